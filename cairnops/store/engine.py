"""How the database is opened: durable, one writer at a time, and never a half-made schema."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, select, text
from sqlalchemy.exc import DatabaseError, OperationalError
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
    # Not `sqlite:///{path}`: read as a URL, a folder with a question mark in its name is another folder.
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, poolclass=QueuePool, pool_size=4, connect_args={"timeout": 30})

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
        if fresh or not _ready(engine, path):
            _wal(path)
            _create(engine)
        _check(engine, path)
    except WorkspaceError:
        engine.dispose()
        raise
    except (DatabaseError, sqlite3.DatabaseError) as error:
        engine.dispose()
        raise _unusable(path, error) from None
    return engine


def _unusable(path: object, error: Exception) -> WorkspaceError:
    return WorkspaceError(
        f"{path} cannot be used as a ledger: {getattr(error, 'orig', error)}.",
        hint="Check that its folder may be written to and has room, or point --workspace at another.",
    )


def _wal(path: Path) -> None:
    # With two openers on a fresh file this pragma fails at once in spite of busy_timeout: seen in
    # 33 of 40 rounds with four processes; with a retry in none.
    for attempt in range(200):
        connection = sqlite3.connect(path, timeout=30)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if attempt == 199 or "locked" not in str(error):
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def _ready(engine: Engine, path: Path) -> bool:
    with engine.connect() as connection:
        there = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
    if there and not {"meta", "decision", "effect"} <= there:
        raise WorkspaceError(
            f"{path} is a database of something else, with the tables {', '.join(sorted(there)[:5])}.",
            hint="Point --workspace at another folder, or move the file away to start anew.",
        )
    return bool(there)


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
    """One write transaction: it holds the write lock from its first statement, commits at the end.

    Raises:
        WorkspaceError: when the database cannot be written (full, locked too long, damaged); nothing is.
    """
    with (
        _told(engine),
        engine.connect().execution_options(write=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent read.

    Raises:
        WorkspaceError: when the database cannot be read.
    """
    with _told(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        # What the disk or the file does, as against what our statements do.
        if type(error) not in (DatabaseError, OperationalError):
            raise
        raise _unusable(engine.url.database, error) from error
