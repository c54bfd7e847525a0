"""How a database is opened, read and written: durable, in one order, and never a half-made schema.

SQLite has one writer at a time. PostgreSQL is made to look the same, with locks that end with their
transaction, so that a pooler may hand every transaction to another connection. What is known to touch
one thing only says so (`over`), and waits for nobody but those who touch the same.
"""

import functools
import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError, StatementError
from sqlalchemy.pool import QueuePool

from cairnops.errors import CairnError, WorkspaceError
from cairnops.store import tables

#: How a ledger that is elsewhere now begins to say so; see `upkeep.move`.
MOVED = "this ledger was moved to"

_BUSY_MS = 30_000
#: Between tries to reach a database that went away, seconds; ten of them in all.
_WAITS = (0.05, 0.1, 0.2, 0.4, 0.75, 1.5, 1.5, 1.5, 2.0, 2.0)
#: Between tries of work that was rolled back under us.
_PAUSES = (0.01, 0.03, 0.1, 0.2, 0.4, 0.8)
#: What of a ledger every layout has had.
_OURS = {"meta", "decision", "effect"}

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


class Interrupted(WorkspaceError):
    """The database went away, or rolled our work back for another's."""

    def __init__(self, message: str, *, hint: str, unclear: bool):
        super().__init__(message, hint=hint)
        #: True when it went during the commit: what was written may be there.
        self.unclear = unclear


# Opening


def open_database(url: str, path: Path, *, any_layout: bool = False) -> Engine:
    """The ledger at that address, or in that file when there is none; made when it is not there.

    Raises:
        WorkspaceError: when it cannot be used, is no ledger, or has another layout (unless any will do).
    """
    engine = _postgresql(url) if url else _sqlite(path)
    try:
        if url:
            _make(engine)
        # An empty file is what a maker leaves who was stopped, or has only begun.
        elif not path.exists() or not _there(engine):
            _wal(path)
            _make(engine)
        if not any_layout:
            _check(engine)
    except CairnError:
        engine.dispose()
        raise
    except (DatabaseError, sqlite3.DatabaseError) as error:
        engine.dispose()
        raise _unusable(engine, error) from None
    return engine


def open_sqlite(path: Path) -> Engine:
    """The ledger in one SQLite file; see `open_database`."""
    return open_database("", path)


def place(engine: Engine) -> str:
    """Where the database is, as it may be shown to anybody."""
    url = engine.url
    if is_sqlite(engine):
        return str(url.database)
    host = url.query.get("host", "localhost") if url.host is None else url.host
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def is_sqlite(engine: Engine | Connection) -> bool:
    """Whether it is one file here, as opposed to a server."""
    return engine.dialect.name == "sqlite"


def _sqlite(path: Path) -> Engine:
    """WAL, synchronous FULL: the claim commit is the only record that a request may have left, and
    losing it to a power cut would send the effect twice."""
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

    return engine


def _postgresql(address: str) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise WorkspaceError(
            "PostgreSQL is reached with psycopg, which is not installed.",
            hint='pip install "cairnops[shared]", or unset DATABASE_URL.',
        ) from None
    url = make_url(address).set(drivername="postgresql+psycopg")
    engine = create_engine(
        url,
        pool_size=4,
        max_overflow=4,
        use_native_hstore=False,
        connect_args={
            # A pooler gives the next transaction a connection that knows nothing of what this one prepared.
            "prepare_threshold": None,
            # The driver would open transactions by itself; `_begin` below does, in one trip with its locks.
            "autocommit": True,
            "application_name": "cairnops",
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        },
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("write", False):
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        over = options.get("over")
        locks = f"pg_advisory_xact_lock{'' if over is None else '_shared'}({_lock('ledger')})"
        if over:
            locks += f", pg_advisory_xact_lock({_lock(f'over {over}')})"
        # Whoever is frozen inside a transaction holds its locks; the server lets go of it in the end. A claim
        # that a power cut could take back would be sent twice.
        connection.exec_driver_sql(
            f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
            f"SELECT set_config('lock_timeout', '{_BUSY_MS}', true), "
            f"set_config('idle_in_transaction_session_timeout', '{_BUSY_MS}', true), "
            "CASE current_setting('synchronous_commit') WHEN 'off' "
            f"THEN set_config('synchronous_commit', 'on', true) END; SELECT {locks}"
        ).close()

    return engine


def _lock(name: str) -> int:
    digest = hashlib.sha256(f"cairnops {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


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


def _there(engine: Engine) -> bool:
    """Whether a ledger is there; False when nothing is.

    Raises:
        WorkspaceError: when it is something else.
    """
    with engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
    # A server's database may hold what is another's, unless it is called as ours is.
    theirs = there if is_sqlite(engine) else there & set(tables.metadata.tables)
    if theirs and not there >= _OURS:
        raise WorkspaceError(
            f"{place(engine)} is a database of something else, with the tables {', '.join(sorted(theirs)[:5])}.",
            hint="Point --workspace at another folder, or move the file away to start anew."
            if is_sqlite(engine)
            else "Set DATABASE_URL to a database of its own.",
        )
    return bool(theirs)


def _make(engine: Engine) -> None:
    if _there(engine):
        return
    with writing(engine) as connection:
        # Under the lock: somebody else may have made it meanwhile.
        if not set(inspect(connection).get_table_names()) >= _OURS:
            create(connection)


def create(connection: Connection) -> None:
    """Make every table and trigger, in the transaction at hand."""
    if is_sqlite(connection):
        from cairnops.store import triggers_sqlite

        before, after = [], triggers_sqlite.statements()
    else:
        from cairnops.store import triggers_postgresql

        before, after = [triggers_postgresql.NEXT], triggers_postgresql.statements()
    for statement in before:
        connection.exec_driver_sql(statement)
    tables.metadata.create_all(connection)
    for statement in after:
        connection.exec_driver_sql(statement)
    connection.execute(insert(tables.meta).values(key="schema", value=str(tables.SCHEMA_VERSION)))
    connection.execute(insert(tables.counter).values(name="decision", value=100))


def layout(connection: Connection) -> str | None:
    """The layout the database says it has; None when it says nothing."""
    return connection.execute(
        select(tables.meta.c.value).where(tables.meta.c.key == "schema")
    ).scalar_one_or_none()


def _check(engine: Engine) -> None:
    with engine.connect() as connection:
        found = layout(connection)
    if found == str(tables.SCHEMA_VERSION):
        return
    if found is not None and found.isdecimal() and int(found) < tables.SCHEMA_VERSION:
        hint = "Bring it up to date: cairnops db upgrade."
    else:
        hint = "Use the cairnops that made it, or a newer one; or point --workspace at another folder."
    raise WorkspaceError(
        f"{place(engine)} has layout {found}, this cairnops needs {tables.SCHEMA_VERSION}.", hint=hint
    )


# Reading and writing


@contextmanager
def writing(engine: Engine, *, over: str | None = None) -> Iterator[Connection]:
    """One write transaction; commits at the end.

    It is alone from its first statement on, so what it reads stays true. With `over` it waits on
    PostgreSQL only for those that name the same, and must touch nothing else that others change; the
    empty text waits for nobody, for what locks its own rows.

    Raises:
        Interrupted: when the database went away, or rolled this back for another transaction.
        WorkspaceError: when the database cannot be written (full, locked too long, damaged); nothing is.
    """
    with _transaction(engine, write=True, over=over) as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent read: all of it is of one moment.

    Raises:
        Interrupted: when the database went away.
        WorkspaceError: when the database cannot be read.
    """
    with _transaction(engine, write=False) as connection:
        yield connection


def hurry(connection: Connection) -> None:
    """Send what is written from here on in one trip with the commit, for others wait until that is made.

    Nothing of it can be read back. What fails of it says so at the commit at the latest.
    """
    if not is_sqlite(connection):
        trip: ExitStack = connection.get_execution_options()["trip"]
        trip.enter_context(connection.connection.driver_connection.pipeline())  # type: ignore[union-attr]


@contextmanager
def _transaction(engine: Engine, **options: Any) -> Iterator[Connection]:
    committing = False
    try:
        with _begun(engine, options) as connection:
            yield connection
            committing = options["write"]
            connection.commit()
    except DBAPIError as error:
        if _gone(error):
            raise Interrupted(
                f"{place(engine)} went away: {_words(error)}.",
                hint="Try again: what was done before is not done twice.",
                unclear=committing,
            ) from error
        if MOVED in str(error.orig):
            where = str(error.orig).partition(MOVED)[2].splitlines()[0].strip()
            raise WorkspaceError(
                f"{place(engine)} can only be read: {MOVED} {where}.",
                hint="Set DATABASE_URL to where it is, or open the workspace it is in.",
            ) from None
        # What the disk or the file does, as against what our statements do.
        if type(error) not in (DatabaseError, OperationalError):
            raise
        raise _unusable(engine, error) from error
    except StatementError as error:
        # What a column refuses to keep is wrapped on its way here.
        if isinstance(error.orig, CairnError):
            raise error.orig from None
        raise


@contextmanager
def _begun(engine: Engine, options: dict[str, Any]) -> Iterator[Connection]:
    """A connection in its transaction, rolled back when something goes wrong, waited for when it is away."""
    trip = ExitStack()
    connection = _reached(engine, {**options, "trip": trip})
    try:
        try:
            yield connection
        finally:
            # What went wrong on the way was raised by the commit, or keeps it from being made.
            with suppress(Exception):
                trip.close()
    except BaseException:
        with suppress(DBAPIError):
            connection.rollback()
        raise
    finally:
        connection.close()


def _reached(engine: Engine, options: dict[str, Any]) -> Connection:
    waits = iter(_WAITS)
    while True:
        try:
            connection = engine.connect().execution_options(**options)
            try:
                connection.begin()
            except BaseException:
                connection.close()
                raise
            return connection
        except OperationalError as error:
            wait = next(waits, None)
            if wait is None or not _gone(error):
                raise
            time.sleep(wait)


def _gone(error: DBAPIError) -> bool:
    """Whether the connection or the whole server is gone, or the work was rolled back for another's."""
    if isinstance(error.orig, sqlite3.Error):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    rolled_back = state in ("40001", "40P01", "25P03")
    # 57P: being shut down, crashed, not yet up; 53300: no connection left; 08: the connection. No state at
    # all: it could not be reached.
    away = state.startswith(("57P", "08")) or state == "53300" or not state
    return error.connection_invalidated or rolled_back or (away and isinstance(error, OperationalError))


def _words(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", error)).split()).rstrip(".")


def _unusable(engine: Engine, error: Exception) -> WorkspaceError:
    if is_sqlite(engine):
        hint = "Check that its folder may be written to and has room, or point --workspace at another."
    else:
        hint = "Check DATABASE_URL, that the server runs, and what its user may do there."
    return WorkspaceError(f"{place(engine)} cannot be used as a ledger: {_words(error)}.", hint=hint)


# Again


def steady(cls: C) -> C:
    """Let every public method of a class start anew when it was interrupted before its commit.

    When nobody can say whether the commit was made, only what is marked `repeatable` does.
    """
    for name, method in list(vars(cls).items()):
        if isinstance(method, FunctionType) and not name.startswith("_"):
            setattr(cls, name, _again(method))
    return cls


def repeatable(method: F) -> F:
    """Mark a method that comes to the same when what it wrote is there already."""
    method.repeatable = True  # type: ignore[attr-defined]
    return method


def _again(method: F) -> F:
    @functools.wraps(method)
    def run(*args: Any, **options: Any) -> Any:
        for pause in (*_PAUSES, None):
            try:
                return method(*args, **options)
            except Interrupted as error:
                if pause is None or (error.unclear and not getattr(method, "repeatable", False)):
                    # Plain from here on: a method that called this one has nothing to add.
                    raise WorkspaceError(str(error), hint=error.hint) from error
                time.sleep(pause)
        raise AssertionError

    return run  # type: ignore[return-value]
