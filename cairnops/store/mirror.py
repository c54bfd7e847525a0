"""What of the ledger is mirrored: rows that never change again, by the keys they are known by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, Table, select

from cairnops.store import tables as t
from cairnops.store.engine import reading, steady
from cairnops.store.retention import SqlRetention


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirrored:
    """A table that is mirrored."""

    table: Table
    #: The columns that name a row; the first orders them.
    key: tuple[str, ...]
    #: The columns a row that is there already is known by.
    unique: tuple[str, ...]
    #: What must be the same on both sides.
    same: tuple[str, ...]
    #: The column with a uid that sorts by the moment of the decision; empty where retention removes nothing.
    born: str = ""

    @property
    def name(self) -> str:
        """What it is called, here and there."""
        return str(self.table.name)


#: In an order in which every row finds what it refers to.
MIRRORED = (
    Mirrored(table=t.ledger_key, key=("seq",), unique=("public",), same=("public",)),
    Mirrored(table=t.decision, key=("number",), unique=("uid",), same=("uid", "leaf_hash"), born="uid"),
    Mirrored(table=t.effect, key=("seq",), unique=("uid",), same=("uid", "decision_uid"), born="uid"),
    Mirrored(
        table=t.attempt,
        key=("effect_uid", "attempt"),
        unique=("effect_uid", "attempt"),
        same=("answer", "error_code"),
        born="effect_uid",
    ),
    Mirrored(
        table=t.sync_event,
        key=("effect_uid",),
        unique=("effect_uid",),
        same=("status", "attempt", "error_code"),
        born="effect_uid",
    ),
    Mirrored(table=t.seal, key=("log_index",), unique=("decision_uid",), same=("decision_uid", "leaf_hash")),
    Mirrored(table=t.checkpoint, key=("seq",), unique=("size", "key_id"), same=("size", "root")),
)

#: The key of a row, and behind it what must be the same.
Outline = tuple[Any, ...]


@steady
class SqlMirrored:
    """The rows to mirror, on one database."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def removed_until(self) -> str:
        """The moment before which retention has removed decisions here; empty when it never ran."""
        return SqlRetention(self._engine).until()

    def outlines(self, since: str = "") -> dict[str, list[Outline]]:
        """Key and compared columns of every row, by table, in key order, all of one moment.

        An effect counts once its final outcome is recorded: before that it changes. `since` leaves out what
        was born before: it is the beginning of a uid.
        """
        with reading(self._engine) as c:
            return {
                m.name: [
                    tuple(row)
                    for row in c.execute(_chosen(m, [m.table.c[x] for x in (*m.key, *m.same)], since))
                ]
                for m in MIRRORED
            }

    def rows(self, mirrored: Mirrored, keys: Sequence[Outline]) -> list[dict[str, Any]]:
        """The rows with those keys (or outlines), whole, in key order; `keys` is in that order."""
        wanted = {key[: len(mirrored.key)] for key in keys}
        first = mirrored.table.c[mirrored.key[0]]
        query = _chosen(mirrored, list(mirrored.table.c), "")
        with reading(self._engine) as c:
            # Not BETWEEN: PostgreSQL takes no collation behind it.
            found = c.execute(query.where(first >= keys[0][0], first <= keys[-1][0])).all()
        rows = [dict(row._mapping) for row in found]
        return [row for row in rows if tuple(row[name] for name in mirrored.key) in wanted]


def _chosen(mirrored: Mirrored, columns: list[Any], since: str) -> Select[Any]:
    query = select(*columns).order_by(*(mirrored.table.c[name] for name in mirrored.key))
    if mirrored.table is t.effect:
        query = query.join(t.sync_event, t.sync_event.c.effect_uid == t.effect.c.uid)
    elif mirrored.table is t.attempt:
        query = query.join(t.sync_event, t.sync_event.c.effect_uid == t.attempt.c.effect_uid)
    if since and mirrored.born:
        query = query.where(mirrored.table.c[mirrored.born] >= since)
    return query
