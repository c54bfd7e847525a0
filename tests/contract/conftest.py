"""What every database has to do is asked of each database named here; a new one is a new parameter."""

import functools
import importlib.util
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, Table, event, select

from cairnops.desk.desk import Desk
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.policy import profile
from cairnops.domain.requests import Action, Flags, Request
from cairnops.store import tables as t
from cairnops.store.engine import open_database
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox
from cairnops.store.sessions import SqlSessions


def _server() -> ModuleType:
    """The module beside this one: under import-mode importlib, tests are no package."""
    if "cairnops_postgres" not in sys.modules:
        place = Path(__file__).with_name("postgres.py")
        spec = importlib.util.spec_from_file_location("cairnops_postgres", place)
        assert spec and spec.loader
        sys.modules["cairnops_postgres"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["cairnops_postgres"]


postgres = _server()
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
ALEX = Actor(email="alex@shop.example")


@functools.cache
def _empty() -> bytes:
    """A fresh ledger's file, made once; test_opening.py makes them anew."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.db"
        open_database("", file).dispose()
        return file.read_bytes()


class Database:
    """One database, and how to reach it behind our back."""

    kind: str
    engine: Engine

    def open(self) -> Engine:
        """Another engine on the same database, as another process would have it."""
        return open_database(*self.where)

    @property
    def where(self) -> tuple[str, Path]:
        """What another process opens it with."""
        raise NotImplementedError

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Everything in a table, in one order."""
        with self.engine.connect() as connection:
            found = connection.execute(select(t.metadata.tables[table])).all()
        return sorted((tuple(row) for row in found), key=repr)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        return {name: self.rows(name) for name in t.metadata.tables}


class Sqlite(Database):
    """A file on disk."""

    kind = "sqlite"
    #: Switches somebody may throw before they attack.
    means = (
        (),
        ("PRAGMA recursive_triggers=OFF", "PRAGMA foreign_keys=OFF"),
        ("PRAGMA recursive_triggers=ON", "PRAGMA foreign_keys=ON"),
    )
    every_trigger = "SELECT name, '' FROM sqlite_master WHERE type = 'trigger'"
    body_bytes = "CAST(body AS BLOB)"
    disarm = "DROP TRIGGER decision_no_update"

    def __init__(self, folder: Path):
        self.file = folder / "ledger.db"
        self.file.write_bytes(_empty())
        self.engine = self.open()

    @property
    def where(self) -> tuple[str, Path]:
        return "", self.file

    @contextmanager
    def bare(self, *switches: str) -> Iterator[sqlite3.Connection]:
        """A connection with nothing of ours on it: no pragma, no event, autocommit; parameters as `:name`."""
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=5)) as connection:
            for switch in switches:
                connection.execute(switch)
            yield connection

    def wipe(self, connection: sqlite3.Connection) -> list[str]:
        """What takes every table away."""
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return ["PRAGMA foreign_keys=OFF", *(f"DROP TABLE {name}" for (name,) in names)]

    @contextmanager
    def gone(self) -> Iterator[None]:
        """For a while there is no room left."""
        with self.engine.connect() as connection:
            size = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

        def small(connection: Any, _record: Any, _proxy: Any) -> None:
            connection.execute(f"PRAGMA max_page_count={size}")

        event.listen(self.engine, "checkout", small)
        yield
        event.remove(self.engine, "checkout", small)

    def more_attacks(self, table: Table, row: dict[str, Any], first: str) -> list[str]:
        """What only this database can say: ways to replace a row by one, or to change it."""
        into = f"INTO {table.name} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
        hidden = [
            f"INSERT OR REPLACE INTO {table.name} ({name}, {', '.join(row)}) "
            f"VALUES (1, {', '.join(f':{k}' for k in row)})"
            for name in ("rowid", "_rowid_", "oid")
        ]
        return [
            f"INSERT OR REPLACE {into}",
            f"REPLACE {into}",
            f"UPDATE OR IGNORE {table.name} SET {first} = 'x'",
            f"UPDATE OR REPLACE {table.name} SET {first} = {first}",
            *hidden,
        ]


class Postgresql(Database):
    """A copy of an empty ledger on a real server."""

    kind = "postgresql"
    means = ((), ("SET session_replication_role = replica",), ("SET session_replication_role = local",))
    every_trigger = (
        "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'"
    )
    body_bytes = "convert_to(body, 'UTF8')"
    server = postgres
    disarm = "ALTER TABLE decision DISABLE TRIGGER decision_no_update"

    def __init__(self, url: str):
        self.url = url
        self.engine = self.open()

    @property
    def where(self) -> tuple[str, Path]:
        return self.url, Path()

    @contextmanager
    def bare(self, *switches: str) -> Iterator["Bare"]:
        """The same, as the superuser."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for switch in switches:
                connection.execute(switch)
            yield Bare(connection)

    def wipe(self, _connection: "Bare") -> list[str]:
        """What takes everything away."""
        return ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"]

    @contextmanager
    def gone(self) -> Iterator[None]:
        """For a while nobody is let in, and who was is thrown out."""
        postgres.close(self.url)
        yield
        postgres.close(self.url, for_good=False)

    def more_attacks(self, table: Table, _row: dict[str, Any], first: str) -> list[str]:
        """What only this database can say: ways to empty the table, or to change a row."""
        return [
            f"TRUNCATE {table.name} CASCADE",
            f"MERGE INTO {table.name} USING (SELECT 1) AS x ON true WHEN MATCHED THEN DELETE",
            f"UPDATE ONLY {table.name} SET {first} = {first}",
            f"WITH gone AS (DELETE FROM {table.name} RETURNING 1) SELECT * FROM gone",
        ]


class Bare:
    """A connection to PostgreSQL that takes parameters as SQLite does."""

    def __init__(self, connection: psycopg.Connection[Any]):
        self._connection = connection

    def execute(self, statement: str, values: dict[str, Any] | None = None) -> psycopg.Cursor[Any]:
        """Run it; parameters are written `:name`."""
        return self._connection.execute(re.sub(r"(?<!:):([a-z_0-9]+)", r"%(\1)s", statement), values)


@contextmanager
def made(kind: str, folder: Path) -> Iterator[Database]:
    """An empty ledger of that kind; gone afterwards, but for a file."""
    if kind == "sqlite":
        folder.mkdir(exist_ok=True)
        fresh: Database = Sqlite(folder)
        yield fresh
        fresh.engine.dispose()
        return
    with postgres.database(postgres.template()) as url:
        fresh = Postgresql(url)
        yield fresh
        fresh.engine.dispose()


@pytest.fixture
def another() -> Callable[[str, Path], AbstractContextManager[Database]]:
    """How to make one more."""
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """What is promised is promised on both."""
    with made(request.param, tmp_path) as fresh:
        yield fresh


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Database]:
    """What only a server can meet."""
    with made("postgresql", tmp_path) as fresh:
        yield fresh


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


@pytest.fixture
def note(ledger: SqlLedger, desk_on: Callable[..., Desk]) -> Callable[[str], str]:
    """Commit one effect for a conversation; returns its uid."""
    desk = desk_on(ledger, "101", "102", "103")
    made: list[str] = []

    def committed(conversation: str = "101") -> str:
        made.append(conversation)
        desk.submit(
            Request(
                action=Action.NOTE,
                conversation=conversation,
                actor=ALEX,
                key=f"n{len(made)}",
                note=f"note {len(made)}",
            )
        )
        return str(ledger.deliveries(conversation=conversation)[-1]["uid"])

    return committed
