"""How the database is opened: durable, one writer at a time, and never a half-made schema."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from cairnops.errors import WorkspaceError
from cairnops.store import tables

_BUSY_MS = 30_000


def open_sqlite(path: Path) -> Engine:
    """The ledger in one SQLite file, made when it is not there.

    WAL, synchronous FULL: the claim commit is the only record that a request may have left, and
    losing it to a power cut would send the effect twice.

    Raises:
        WorkspaceError: when the file is no ledger, or one of another layout.
    """
    fresh = not path.exists()
    engine = create_engine(
        f"sqlite:///{path}", poolclass=QueuePool, pool_size=4, connect_args={"timeout": 30}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # The driver would open transactions by itself; `_begin` below decides which kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    try:
        if fresh or not _ready(engine):
            _wal(path)
            _create(engine)
        _check(engine, path)
    except (DatabaseError, sqlite3.DatabaseError) as error:
        engine.dispose()
        raise WorkspaceError(
            f"{path} cannot be opened as a ledger: {getattr(error, 'orig', error)}",
            hint="Point --workspace at another folder, or move the file away to start anew.",
        ) from None
    return engine


def _wal(path: Path) -> None:
    # With two openers on a fresh file this pragma fails at once in spite of busy_timeout: seen in
    # 33 of 40 rounds with four processes; with a retry in none.
    for attempt in range(200):
        connection = sqlite3.connect(path, timeout=30)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if attempt == 199:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def _ready(engine: Engine) -> bool:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = 'meta'")).first()
        return found is not None


def _create(engine: Engine) -> None:
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        tables.metadata.create_all(connection)
        for statement in tables.sqlite_triggers():
            connection.exec_driver_sql(statement)
        if connection.execute(select(tables.meta.c.value)).first() is None:
            connection.execute(insert(tables.meta).values(key="schema", value=str(tables.SCHEMA_VERSION)))
            connection.execute(insert(tables.counter).values(name="decision", value=100))


def _check(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        found = connection.execute(
            select(tables.meta.c.value).where(tables.meta.c.key == "schema")
        ).scalar_one_or_none()
    if found != str(tables.SCHEMA_VERSION):
        raise WorkspaceError(
            f"{path} has layout {found}, this cairnops needs {tables.SCHEMA_VERSION}.",
            hint="Start a new workspace with --workspace, or use the cairnops that made this one.",
        )


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: it holds the write lock from its first statement, commits at the end."""
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent read."""
    with engine.connect() as connection, connection.begin():
        yield connection
