"""What every database has to do is asked of each database named here; a new one is a new parameter."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.engine import make_url

from cairnops.desk.desk import Desk
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.policy import profile
from cairnops.domain.requests import Action, Flags, Request
from cairnops.store import tables as t
from cairnops.store.engine import open_sqlite
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox
from cairnops.store.sessions import SqlSessions

T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
ALEX = Actor(email="alex@shop.example")


class Database:
    """One kind of database, and how to reach it behind our back."""

    def __init__(self, kind: str, folder: Path):
        self.kind, self.folder = kind, folder
        self.engine = self.open()

    def open(self) -> Engine:
        """Another engine on the same database, as another process would have it."""
        return open_sqlite(self.folder / "ledger.db")

    @contextmanager
    def bare(self, *pragmas: str) -> Iterator[sqlite3.Connection]:
        """A connection with nothing of ours on it: no pragma, no event, autocommit."""
        path = make_url(str(self.engine.url)).database
        with closing(sqlite3.connect(str(path), isolation_level=None, timeout=5)) as connection:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
            yield connection

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Everything in a table, in one order."""
        with self.engine.connect() as connection:
            found = connection.execute(select(t.metadata.tables[table])).all()
        return sorted((tuple(row) for row in found), key=repr)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        return {name: self.rows(name) for name in t.metadata.tables}


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    made = Database(request.param, tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engine


@pytest.fixture
def ledger(engine: Engine) -> SqlLedger:
    return SqlLedger(engine)


@pytest.fixture
def outbox(engine: Engine) -> SqlOutbox:
    return SqlOutbox(engine)


@pytest.fixture
def sessions(engine: Engine) -> SqlSessions:
    return SqlSessions(engine)


@pytest.fixture
def case() -> Callable[..., Conversation]:
    """A customer who has been asking for a late parcel; every field can be said otherwise."""

    def made(key: str = "101", **over: Any) -> Conversation:
        fields: dict[str, Any] = {
            "id": key,
            "customer": "Alex Rivera",
            "customer_key": f"alex{key}@example.test",
            "status": Status.OPEN,
            "created_at": T0 - timedelta(minutes=50),
            "messages": (
                Message(
                    id=f"{key}1",
                    author=Author.CUSTOMER,
                    text="Where is my order? The tracking has not moved.",
                    at=T0 - timedelta(minutes=40),
                ),
            ),
        }
        return Conversation(**(fields | over))

    return made


@pytest.fixture
def desk_on(case: Callable[..., Conversation]) -> Callable[..., Desk]:
    """A desk on a ledger at T0, with conversation 101 in front of it."""

    def made(ledger: SqlLedger, *conversations: str, disabled: tuple[str, ...] = ()) -> Desk:
        policy = profile("dry-run")
        policy = replace(policy, guardrails=replace(policy.guardrails, disabled=disabled))
        desk = Desk(ledger, policy, Flags(), lambda: T0, "shop.example")
        for key in conversations or ("101",):
            desk.observe(case(key), ALEX)
        return desk

    return made


@pytest.fixture
def approve() -> Callable[..., Request]:
    """The press of the approve button on conversation 101."""

    def made(key: str = "k1", **over: Any) -> Request:
        fields: dict[str, Any] = {
            "action": Action.APPROVE_SEND,
            "conversation": "101",
            "actor": ALEX,
            "key": key,
            "text": "Hi Alex, your parcel is on its way.",
            "note": "asked the carrier",
        }
        return Request(**(fields | over))

    return made
