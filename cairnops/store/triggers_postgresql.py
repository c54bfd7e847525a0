"""What makes PostgreSQL refuse what the ledger forbids, and number rows in the order they are committed."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn

from cairnops.store import retained
from cairnops.store import tables as t

#: Comes before the tables, whose columns call it. Whoever takes a number keeps the others of that table waiting
#: until the commit, so nobody who has seen number 12 finds an 11 later that was not there before.
NEXT = """\
CREATE OR REPLACE FUNCTION cairnops_next(of_table text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  newest bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('cairnops ' || of_table, 0));
  EXECUTE 'SELECT max(seq) FROM ' || quote_ident(of_table) INTO newest;
  RETURN coalesce(newest, 0) + 1;
END
$$"""

#: Tables are looked for where they are: one called `retention` that somebody has of their own lets nothing go.
_REFUSE = """\
CREATE OR REPLACE FUNCTION cairnops_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    CASE TG_TABLE_NAME
{lets_go}
    ELSE NULL;
    END CASE;
  END IF;
  RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
END
$$"""
_HERE = """\
DO $FUNCTION$
BEGIN
  EXECUTE 'ALTER FUNCTION cairnops_refuse() SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END
$FUNCTION$"""

_EFFECT = """\
CREATE OR REPLACE FUNCTION cairnops_effect() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong text;
BEGIN
  IF {changed}
    OR (OLD.destination <> NEW.destination AND OLD.destination <> '') THEN
    wrong := 'an effect never changes what it does';
  ELSIF OLD.due_ms IS NULL THEN
    wrong := 'the effect is finished';
  ELSE
    RETURN NEW;
  END IF;
  RAISE EXCEPTION USING MESSAGE = wrong, ERRCODE = 'integrity_constraint_violation';
END
$$"""


@compiles(CreateColumn, "postgresql")
def _column(element: CreateColumn, compiler: Any, **options: Any) -> str:
    column = element.element
    if column.table.metadata is t.metadata and column.name == "seq":
        return f"seq BIGINT DEFAULT cairnops_next('{column.table.name}') NOT NULL CHECK (seq > 0)"
    return str(compiler.visit_create_column(element, **options))


def statements() -> list[str]:
    """Functions and triggers, to be created once the tables are there."""
    changed = "\n    OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in t.EFFECT_FIXED)
    out = [_refuse(), _HERE, _EFFECT.format(changed=changed)]
    for table in t.APPEND_ONLY:
        out += append_only(table)
    out += _trigger("effect", "fixed", "BEFORE UPDATE", "ROW", "cairnops_effect()")
    out += _refusing("effect", "no_delete", "BEFORE DELETE", "ROW", "an effect is never dropped")
    out += _refusing("effect", "no_truncate", "BEFORE TRUNCATE", "STATEMENT", "an effect is never dropped")
    return out


def _refuse() -> str:
    guarded = {table.name for table in (*t.APPEND_ONLY, t.effect)}
    return _REFUSE.format(
        lets_go="\n".join(
            f"    WHEN '{table}' THEN\n      IF {condition} THEN\n        RETURN OLD;\n      END IF;"
            for table, condition in retained.conditions("postgresql").items()
            if table in guarded
        )
    )


def append_only(table: Table) -> list[str]:
    """What keeps one table append-only."""
    said = f"{table.name} is append-only"
    return [
        *_refusing(table.name, "no_update", "BEFORE UPDATE", "ROW", said),
        *_refusing(table.name, "no_delete", "BEFORE DELETE", "ROW", said),
        *_refusing(table.name, "no_truncate", "BEFORE TRUNCATE", "STATEMENT", said),
    ]


def _refusing(table: str, name: str, when: str, each: str, said: str) -> list[str]:
    return _trigger(table, name, when, each, f"cairnops_refuse('{said}')")


def _trigger(table: str, name: str, when: str, each: str, call: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_{name} {when} ON {table} FOR EACH {each} EXECUTE FUNCTION {call}",
        # Without ALWAYS, a session that says it replays a replica's changes passes every trigger.
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}",
    ]
