"""Writes the newest step of `cairnops/store/migrations` from what the tables have that the layout before had not,
and the tables of a Supabase project.

Run as `python -m tests.contract.steps`. It knows new tables, columns, indexes and triggers; anything else
(and what a new column holds in old rows) is added to the two files by hand. A test compares the outcome.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from cairnops.domain.policy import KEPT_DAYS
from cairnops.domain.retention import KINDS
from cairnops.store import migrations, retained, triggers_postgresql, triggers_sqlite
from cairnops.store import tables as t

HERE = Path(__file__).parent
FOLDER = Path(migrations.__file__).parent
SUPABASE = HERE.parents[1] / "supabase" / "migrations" / "20260101000000_ledger.sql"
RETENTION = SUPABASE.with_name("20260103000000_retention.sql")
DIALECTS: dict[str, Dialect] = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}


def first(dialect: str) -> list[str]:
    """The statements that make layout 1 out of nothing."""
    return migrations.split((HERE / "layouts" / f"1.{dialect}.sql").read_text(encoding="utf-8"))


def until(version: int, dialect: str) -> list[str]:
    """The statements that make that layout out of nothing, step by step."""
    return first(dialect) + [s for v in range(2, version + 1) for s in migrations.statements(v, dialect)]


def _before() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    for statement in until(t.SCHEMA_VERSION - 1, "sqlite"):
        made.execute(statement)
    return made


def step(dialect: str) -> Iterator[str]:
    """The statements of the newest step."""
    before, speaks = _before(), DIALECTS[dialect]
    tables = {name for (name,) in before.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if dialect == "postgresql":
        # Run again even if they are as before: it costs nothing and forgets nothing.
        yield from (
            s for s in (triggers_postgresql.NEXT, *triggers_postgresql.statements()) if "FUNCTION" in s[:40]
        )
    for table in t.metadata.sorted_tables:
        if table.name not in tables:
            yield str(CreateTable(table).compile(dialect=speaks))
            for index in sorted(table.indexes, key=lambda i: str(i.name)):
                yield str(CreateIndex(index).compile(dialect=speaks))
            if dialect == "postgresql" and table in t.APPEND_ONLY:
                yield from triggers_postgresql.append_only(table)
            continue
        yield from _columns(before, table, speaks)
    if dialect == "sqlite":
        known = dict(before.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
        for statement in triggers_sqlite.statements():
            name = statement.split()[2]
            if known.get(name, "").replace("IF NOT EXISTS ", "") == statement:
                continue
            if name in known:
                yield f"DROP TRIGGER {name}"
            yield statement


def _columns(before: sqlite3.Connection, table: Table, speaks: Dialect) -> Iterator[str]:
    there = {row[1] for row in before.execute(f"PRAGMA table_info({table.name})")}
    indexes = {name for (name,) in before.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?", (table.name,)
    )}  # fmt: skip
    compiler = speaks.ddl_compiler(speaks, None)  # type: ignore[arg-type]
    for column in table.columns:
        if column.name not in there:
            yield f"ALTER TABLE {table.name} ADD COLUMN {compiler.get_column_specification(column)}"
    wanted = {str(index.name): index for index in table.indexes}
    yield from (f"DROP INDEX {name}" for name in sorted(indexes - set(wanted)))
    for name in sorted(set(wanted) - indexes):
        yield str(CreateIndex(wanted[name]).compile(dialect=speaks))


def whole() -> Iterator[str]:
    """The statements that make today's layout on PostgreSQL out of nothing."""
    speaks = DIALECTS["postgresql"]
    yield triggers_postgresql.NEXT
    for table in t.metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=speaks))
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            yield str(CreateIndex(index).compile(dialect=speaks))
    yield from triggers_postgresql.statements()
    yield f"INSERT INTO meta (key, value) VALUES ('schema', '{t.SCHEMA_VERSION}')"
    yield "INSERT INTO counter (name, value) VALUES ('decision', 100)"


def supabase() -> str:
    """The first migration of a Supabase project, which makes the tables."""
    return "-- Made by `python -m tests.contract.steps` from the tables of the store.\n\n" + script(whole())


_FUNCTION = """\
-- Made by `python -m tests.contract.steps` from what `cairnops retention` does.
--
-- Retention over the API. The triggers let nothing go but what a retention on record covers, whoever asks; here is who
-- may ask. The role owns one function, logs in nowhere, and nobody is a member of it.

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'cairnops_retention') THEN
    CREATE ROLE cairnops_retention NOLOGIN;
  END IF;
END
$$;

CREATE FUNCTION cairnops_retain(of_kind text, older_than timestamptz, why text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  _at text := to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  _until text := to_char(older_than AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  _actor text := coalesce(nullif(cairnops_email(), ''), session_user);
  _role text := coalesce(nullif(cairnops_role(), ''), 'admin');
  _told jsonb := '{{}}';
  _said bigint;
  _run bigint;
  _rows bigint;
BEGIN
  IF coalesce(of_kind, '') NOT IN ({kinds}) THEN
    RAISE EXCEPTION 'retention is of {named}' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF coalesce(btrim(why), '') = '' THEN
    RAISE EXCEPTION 'retention needs a reason' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF older_than IS NULL OR older_than > now() - interval '{days} days' THEN
    RAISE EXCEPTION 'retention leaves the last {days} days alone' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO event (at, actor, role, kind, conversation_id, session, key, code, body)
  VALUES (_at, _actor, _role, '{applied}', '', '', '', '',
    jsonb_build_object('until', jsonb_build_object(of_kind, _until), 'why', why)::text)
  RETURNING seq INTO _said;
  INSERT INTO retention (kind, until, event, actor, at) VALUES (of_kind, _until, _said, _actor, _at)
  RETURNING seq INTO _run;
  CASE of_kind
{removals}
  END CASE;
  INSERT INTO event (at, actor, role, kind, conversation_id, session, key, code, body)
  VALUES (_at, _actor, _role, '{removed}', '', '', '', '', jsonb_build_object('removed', _told)::text);
  RETURN _told;
END
$$;

GRANT SELECT ON {read} TO cairnops_retention;
GRANT DELETE ON {removed_from} TO cairnops_retention;
GRANT INSERT ON event, retention, tombstone TO cairnops_retention;
GRANT EXECUTE ON FUNCTION cairnops_next(text), cairnops_role(), cairnops_email() TO cairnops_retention;
{policies}

-- To hand a function over one must belong to the role for a moment, and it must be allowed to own something here.
GRANT cairnops_retention TO CURRENT_USER;
GRANT CREATE, USAGE ON SCHEMA public TO cairnops_retention;
ALTER FUNCTION cairnops_retain(text, timestamptz, text) OWNER TO cairnops_retention;
REVOKE ALL ON FUNCTION cairnops_retain(text, timestamptz, text) FROM PUBLIC, anon, authenticated;
GRANT EXECUTE ON FUNCTION cairnops_retain(text, timestamptz, text) TO service_role;
REVOKE CREATE ON SCHEMA public FROM cairnops_retention;
REVOKE cairnops_retention FROM CURRENT_USER;
"""


def retention() -> str:
    """The last migration of a Supabase project, which lets the service ask for what `cairnops retention` does."""
    by_kind = {kind: retained.removals(kind) for kind in KINDS}
    gone = sorted({table for removals in by_kind.values() for table, _, _ in removals})
    read = sorted({*gone, "retention", "seal", "tombstone"})
    return _FUNCTION.format(
        kinds=", ".join(f"'{kind}'" for kind in KINDS),
        named=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}",
        days=KEPT_DAYS,
        applied=retained.APPLIED,
        removed=retained.REMOVED,
        removals="\n".join(line for kind in KINDS for line in _case(kind, by_kind[kind])),
        read=", ".join(read),
        removed_from=", ".join(gone),
        policies="\n".join(
            f"CREATE POLICY {table}_retention ON {table} TO cairnops_retention USING (true) WITH CHECK (true);"
            for table in read
        ),
    )


def _case(kind: str, removals: list[tuple[str, str, str]]) -> Iterator[str]:
    yield f"  WHEN '{kind}' THEN"
    if kind == "decisions":
        yield f"    {retained.TOMBSTONES.replace(':run', '_run')};"
    for table, _, condition in removals:
        yield f"    DELETE FROM {table} WHERE {condition.replace(':run', '_run')};"
        yield "    GET DIAGNOSTICS _rows = ROW_COUNT;"
        yield f"    _told := _told || jsonb_build_object('{table}', _rows);"


def write() -> None:
    """Write the two files of the newest step, and the tables and retention for Supabase."""
    for dialect in DIALECTS:
        (FOLDER / f"{t.SCHEMA_VERSION}.{dialect}.sql").write_text(script(step(dialect)), encoding="utf-8")
    SUPABASE.write_text(supabase(), encoding="utf-8")
    RETENTION.write_text(retention(), encoding="utf-8")


def script(statements: Iterator[str]) -> str:
    """Statements as a file."""
    return "".join(f"{_tidy(one)};\n\n" for one in statements).rstrip("\n") + "\n"


def _tidy(statement: str) -> str:
    return "\n".join(
        line.rstrip().replace("\t", "  ") for line in statement.strip().splitlines() if line.strip()
    )


if __name__ == "__main__":
    write()
