"""What makes SQLite refuse what the ledger forbids: one trigger for each table, verb and way around."""

from sqlalchemy import Table, UniqueConstraint

from cairnops.store import retained
from cairnops.store import tables as t


def statements() -> list[str]:
    """The triggers, to be created once the tables are there."""
    out = [s for table in t.APPEND_ONLY for s in append_only(table)]
    changed = " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in t.EFFECT_FIXED)
    out.append(
        "CREATE TRIGGER effect_fixed BEFORE UPDATE ON effect "
        f"WHEN {changed} OR (OLD.destination <> NEW.destination AND OLD.destination <> '') "
        "BEGIN SELECT RAISE(ABORT, 'an effect never changes what it does'); END"
    )
    out.append(
        "CREATE TRIGGER effect_finished BEFORE UPDATE ON effect WHEN OLD.due_ms IS NULL "
        "BEGIN SELECT RAISE(ABORT, 'the effect is finished'); END"
    )
    out.append(
        f"CREATE TRIGGER effect_no_delete BEFORE DELETE ON effect {_unless_retained(t.effect)}"
        "BEGIN SELECT RAISE(ABORT, 'an effect is never dropped'); END"
    )
    for columns in _unique_sets(t.effect):
        out.append(
            f"CREATE TRIGGER effect_no_replace_{columns[0]} BEFORE INSERT ON effect "
            f"WHEN EXISTS (SELECT 1 FROM effect WHERE {columns[0]} = NEW.{columns[0]}) "
            "BEGIN SELECT RAISE(ABORT, 'the effect is already there'); END"
        )
    return out


def append_only(table: Table) -> list[str]:
    """What keeps one table append-only.

    `INSERT OR REPLACE` deletes without firing delete triggers unless recursive triggers are on, so a
    row that is already there is also refused before the insert.
    """
    out = [
        f"CREATE TRIGGER {table.name}_no_{verb.lower()} BEFORE {verb} ON {table.name} {unless}"
        f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only'); END"
        for verb, unless in (("UPDATE", ""), ("DELETE", _unless_retained(table)))
    ]
    for columns in _unique_sets(table):
        same = " AND ".join(f"{c} = NEW.{c}" for c in columns)
        out.append(
            f"CREATE TRIGGER {table.name}_no_replace_{'_'.join(columns)} "
            f"BEFORE INSERT ON {table.name} WHEN EXISTS (SELECT 1 FROM {table.name} WHERE {same}) "
            f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only: the row is already there'); END"
        )
    return out


def _unless_retained(table: Table) -> str:
    lets_go = retained.conditions("sqlite").get(table.name)
    return f"WHEN ({lets_go}) IS NOT TRUE " if lets_go else ""


def _unique_sets(table: Table) -> list[tuple[str, ...]]:
    sets = [tuple(c.name for c in table.primary_key.columns)]
    sets += [(c.name,) for c in table.columns if c.unique]
    sets += [
        tuple(c.name for c in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint) and len(constraint.columns) > 1
    ]
    # An autoincremented key is NULL before the insert and cannot collide by equality.
    return list(dict.fromkeys(s for s in sets if s))
