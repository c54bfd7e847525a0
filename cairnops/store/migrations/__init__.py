"""How a database made by an older cairnops gets today's layout: numbered steps, each once, all or none.

`N.sqlite.sql` and `N.postgresql.sql` bring layout N-1 to N; statements end with `;` before an empty
line. A step that has been released never changes. How to write one: `cairnops.store.tables`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, Engine, Inspector, inspect, text, update

from cairnops.errors import WorkspaceError
from cairnops.store import engine as engines
from cairnops.store import tables as t
from cairnops.store.engine import is_sqlite, layout, place, reading, writing

#: What `supabase/migrations` adds to the layout for those who come over the API.
_OF_SUPABASE = {f"function cairnops_{name}" for name in ("retain", "role", "email")}


def statements(version: int, dialect: str) -> list[str]:
    """The statements of one step."""
    script = files(__package__).joinpath(f"{version}.{dialect}.sql").read_text(encoding="utf-8")
    return split(script)


def split(script: str) -> list[str]:
    """A script's statements; what stands inside a function or a trigger is not taken apart."""
    return [one.strip().removesuffix(";") for one in script.split(";\n\n") if one.strip()]


def outstanding(engine: Engine) -> list[int]:
    """The steps a database still needs, oldest first.

    Raises:
        WorkspaceError: when its layout is none that this cairnops knows.
    """
    with reading(engine) as c:
        return _outstanding(c, place(engine))


def _outstanding(c: Connection, where: str) -> list[int]:
    found = layout(c)
    if found is None or not found.isdecimal() or not 1 <= int(found) <= t.SCHEMA_VERSION:
        raise WorkspaceError(
            f"{where} has layout {found}, this cairnops needs {t.SCHEMA_VERSION}.",
            hint="Use the cairnops that made it, or a newer one.",
        )
    return list(range(int(found) + 1, t.SCHEMA_VERSION + 1))


def upgrade(engine: Engine, destination: str) -> list[int]:
    """Take every outstanding step in one transaction; returns their numbers.

    What is still to be delivered and does not say for which help desk is for `destination`.
    """
    with writing(engine) as c:
        steps = _outstanding(c, place(engine))
        for version in steps:
            for statement in statements(version, engine.dialect.name):
                c.exec_driver_sql(statement)
        if steps:
            c.execute(update(t.meta).where(t.meta.c.key == "schema").values(value=str(steps[-1])))
            c.execute(
                update(t.effect)
                .where(t.effect.c.due_ms.is_not(None), t.effect.c.destination == "")
                .values(destination=destination)
            )
    return steps


def differences(engine: Engine) -> list[str]:
    """What of the database is not as this layout has it, in words; empty when all is.

    Raises:
        WorkspaceError: when nothing could be made to compare it with.
    """
    with reading(engine) as c:
        there = dict(described(c))
    wanted = _wanted(engine)
    said = [f"{name} is missing" for name in wanted if name not in there]
    said += [f"{name} is not part of the layout" for name in there if name not in {*wanted, *_OF_SUPABASE}]
    said += [
        f"{name} is {there[name] or 'bare'}, and should be {wanted[name] or 'bare'}"
        for name in wanted
        if name in there and there[name] != wanted[name]
    ]
    return sorted(said)


def _wanted(engine: Engine) -> dict[str, str]:
    """The layout as it is made today, made for a moment: in memory, or in a schema that is rolled back."""
    if is_sqlite(engine):
        fresh = engines._sqlite(Path(":memory:"))
        try:
            with fresh.connect().execution_options(write=True) as c, c.begin():
                engines.create(c)
                return dict(described(c))
        finally:
            fresh.dispose()
    found: dict[str, str] = {}
    with writing(engine, over="") as c:
        c.exec_driver_sql("CREATE SCHEMA cairnops_compare")
        c.exec_driver_sql("SET LOCAL search_path = cairnops_compare")
        engines.create(c)
        found = dict(described(c))
        c.rollback()
    return found


def described(c: Connection) -> Iterator[tuple[str, str]]:
    """Every table, column, key, index, trigger and function of ours, each as a name and what it is."""
    there = inspect(c)
    ours = set(t.metadata.tables)
    for table in sorted(ours & set(there.get_table_names())):
        yield from _table(there, table)
    if is_sqlite(c):
        rows = c.execute(text("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
    else:
        rows = c.execute(
            text(
                "SELECT r.relname, g.tgname, pg_get_triggerdef(g.oid, true) || ' ' || g.tgenabled::text "
                "FROM pg_trigger g JOIN pg_class r ON r.oid = g.tgrelid "
                "WHERE NOT g.tgisinternal AND r.relnamespace = current_schema()::regnamespace"
            )
        ).all()
        for name, source in c.execute(
            text(
                "SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'cairnops%' "
                "AND pronamespace = current_schema()::regnamespace"
            )
        ):
            yield f"function {name}", " ".join(source.split())
    for table, name, definition in rows:
        if table in ours:
            yield f"trigger {name}", " ".join(definition.replace("IF NOT EXISTS ", "").split())


def _table(there: Inspector, table: str) -> Iterator[tuple[str, str]]:
    yield f"table {table}", ""
    for column in there.get_columns(table):
        null = "" if column["nullable"] else " NOT NULL"
        default = f" DEFAULT {column['default']}" if column["default"] is not None else ""
        yield f"column {table}.{column['name']}", f"{column['type']}{null}{default}"
    yield f"primary key of {table}", ", ".join(there.get_pk_constraint(table)["constrained_columns"])
    for key in there.get_unique_constraints(table):
        yield f"unique key of {table} ({', '.join(key['column_names'])})", ""
    for check in there.get_check_constraints(table):
        yield f"check of {table} {check['sqltext']}", ""
    for foreign in there.get_foreign_keys(table):
        columns = ", ".join(foreign["constrained_columns"])
        referred = f"{foreign['referred_table']} ({', '.join(foreign['referred_columns'])})"
        yield f"foreign key of {table} ({columns})", referred
    for index in there.get_indexes(table):
        if "duplicates_constraint" not in index:
            options = index.get("dialect_options", {})
            only = options.get("sqlite_where", options.get("postgresql_where", ""))
            names = ", ".join(str(name) for name in index["column_names"])
            yield f"index {index['name']}", f"({names}){f' WHERE {only}' if only != '' else ''}"


def backup(engine: Engine, at: str) -> str:
    """Copy a SQLite database as it is now beside itself, before anything is done to it; returns the copy's path.

    `at` goes into its name. A server's database is backed up where it is kept.
    """
    path = place(engine)
    with reading(engine) as c:
        found = layout(c)
    copy = f"{path}.layout-{found}.{at}"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy
