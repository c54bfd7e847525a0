"""What whoever keeps a database asks of it: what it is, whether it is whole, and to be moved elsewhere intact."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, text

from cairnops import codec
from cairnops.domain import merkle
from cairnops.errors import WorkspaceError
from cairnops.store import clock, migrations
from cairnops.store import tables as t
from cairnops.store.engine import MOVED, is_sqlite, layout, place, reading, writing
from cairnops.store.retention import buried

_AT_ONCE = 1000


def status(engine: Engine) -> dict[str, Any]:
    """Where the database is, of which kind and layout, what was moved away from it, and how much it holds."""
    with reading(engine) as c:
        version = "sqlite_version()" if is_sqlite(c) else "current_setting('server_version')"
        found = layout(c)
        return {
            "place": place(engine),
            "kind": "SQLite" if is_sqlite(c) else "PostgreSQL",
            "version": c.execute(text(f"SELECT {version}")).scalar_one(),
            "layout": found,
            "needed": str(t.SCHEMA_VERSION),
            "movedTo": moved_to(c),
            "rows": {name: _count(c, table) for name, table in sorted(t.metadata.tables.items())}
            if found == str(t.SCHEMA_VERSION)
            else {},
        }


def check(engine: Engine) -> list[dict[str, Any]]:
    """What was looked at: `what`, `ok`, and a sentence for each finding."""
    steps = migrations.outstanding(engine)
    said = [f"{len(steps)} steps are outstanding; run cairnops db upgrade"] if steps else []
    out = [_seen("layout", said or migrations.differences(engine))]
    if not said:
        with reading(engine) as c:
            if is_sqlite(c):
                out.append(
                    _seen(
                        "file", [r for r in c.execute(text("PRAGMA integrity_check")).scalars() if r != "ok"]
                    )
                )
            out.append(_seen("decisions", list(_altered(c))))
            out.append(_seen("log", list(_forked(c))))
            out.append(_seen("effects", list(_orphans(c))))
            out.append(_seen("retention", list(_unburied(c))))
    return out


def _seen(what: str, found: list[str]) -> dict[str, Any]:
    return {"what": what, "ok": not found, "findings": found}


def _altered(c: Connection) -> Iterator[str]:
    """Decisions that are not what was hashed, stand in columns that say something else, or are gone."""
    last, removed = 100, {stone.number for stone in buried(c)}
    for row in c.execute(select(t.decision).order_by(t.decision.c.number)):
        if codec.leaf_hash(row.body) != row.leaf_hash:
            yield f"decision {row.number} does not agree with its leaf hash"
        record = json.loads(row.body)
        if (row.uid, row.number, row.at) != (record["uid"], record["decisionId"], record["createdAt"]):
            yield f"decision {row.number} stands in columns that say something else"
        gone = [number for number in range(last + 1, row.number) if number not in removed]
        if gone or row.number <= last:
            yield f"decision {(gone or [last + 1])[0]} is missing before {row.number}"
        last = row.number


def _forked(c: Connection) -> Iterator[str]:
    """Places of the log that are not those that were signed."""
    leaves, tree = [], merkle.Frontier()
    held = {stone.uid: stone.leaf_hash for stone in buried(c)}
    held |= dict(c.execute(select(t.decision.c["uid", "leaf_hash"])).all())
    for place_, row in enumerate(c.execute(select(t.seal).order_by(t.seal.c.log_index))):
        if row.log_index != place_ or held.get(row.decision_uid) != row.leaf_hash:
            yield f"place {row.log_index} of the log is not what was sealed"
        leaves.append(bytes.fromhex(row.leaf_hash))
    done = 0
    for row in c.execute(select(t.checkpoint).order_by(t.checkpoint.c.size, t.checkpoint.c.seq)):
        tree.extend(leaves[done : row.size])
        done = max(done, row.size)
        if (tree.size, tree.root().hex()) != (row.size, row.root):
            yield f"the checkpoint of {row.size} records was signed for another tree"


def _orphans(c: Connection) -> Iterator[str]:
    """Ends and tries of effects that are not there, which only a database without its rules can hold."""
    for table in (t.attempt, t.sync_event):
        count = c.execute(
            select(func.count()).select_from(table).where(table.c.effect_uid.not_in(select(t.effect.c.uid)))
        ).scalar_one()
        if count:
            yield f"{count} rows of {table.name} belong to no effect"


def _unburied(c: Connection) -> Iterator[str]:
    """Tombstones of what was never in the log, is still there, or went without anybody saying so."""
    sealed = dict(c.execute(select(t.seal.c["decision_uid", "leaf_hash"])).all())
    there = {number for (number,) in c.execute(select(t.decision.c.number))}
    for stone in buried(c):
        if sealed.get(stone.uid) != stone.leaf_hash:
            yield f"the tombstone of decision {stone.number} is not of what was sealed"
        elif stone.number in there:
            yield f"decision {stone.number} has a tombstone and is still there"
        elif not stone.at:
            yield f"decision {stone.number} was removed, and no retention is on record for it"


def clock_ms(engine: Engine) -> int | None:
    """The server's clock, epoch milliseconds; None where there is no server."""
    with reading(engine) as c:
        if is_sqlite(c):
            return None
        return clock.now_ms(c)


def moved_to(c: Connection) -> str:
    """Where the ledger was moved; empty when it is here."""
    return c.execute(select(t.meta.c.value).where(t.meta.c.key == "moved")).scalar() or ""


def move(source: Engine, target: Engine) -> dict[str, int]:
    """Take a ledger to an empty database, verified before it counts; returns the rows of each table.

    From then on the one it came from can be read and not written: two that go on from one history could
    never be believed again, and would deliver what is left twice.

    Raises:
        WorkspaceError: when the target is not empty, or what arrived is not what was sent; nothing is moved.
    """
    if place(source) == place(target):
        raise WorkspaceError(f"{place(target)} is where it is already.", hint="Name another --to.")
    # Both alone: nothing is decided here while it is copied, and nothing there.
    with writing(source) as here, writing(target) as there:
        if before := moved_to(here):
            raise WorkspaceError(
                f"{place(source)} can only be read: {MOVED} {before}.", hint="Move it from there."
            )
        _refuse_unless_empty(there, place(target))
        for table in t.metadata.sorted_tables:
            _copy(here, there, table)
        rows = {}
        for table in t.metadata.sorted_tables:
            sent, arrived = _digest(here, table), _digest(there, table)
            if sent != arrived:
                raise WorkspaceError(
                    f"What arrived in {table.name} is not what was sent; nothing was moved.",
                    hint="Run cairnops db check on the database it comes from.",
                )
            rows[table.name] = sent[0]
        for finding in (*_altered(there), *_forked(there)):
            raise WorkspaceError(f"{finding}; nothing was moved.", hint="cairnops db check shows everything.")
        there.commit()
        here.execute(insert(t.meta).values(key="moved", value=place(target)))
        for statement in _closing(here, place(target)):
            here.exec_driver_sql(statement)
    return rows


def _closing(c: Connection, where: str) -> list[str]:
    """What refuses everything that would be decided or delivered here from now on, whoever has it open."""
    said = f"{MOVED} {where}".replace("'", "''")
    if is_sqlite(c):
        does = f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
    else:
        does = f"FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('{said}')"
    return [
        f"CREATE TRIGGER {table}_moved_{verb.lower()} BEFORE {verb} ON {table} {does}"
        for table, verb in (
            ("event", "INSERT"),
            ("effect", "INSERT"),
            ("effect", "UPDATE"),
            # Whoever asks whether a decision could be written now asks here.
            ("counter", "UPDATE"),
        )
    ]


def _refuse_unless_empty(c: Connection, where: str) -> None:
    for table in t.metadata.sorted_tables:
        if table not in (t.meta, t.counter) and (count := _count(c, table)):
            raise WorkspaceError(
                f"{where} is not empty: it has {count} rows in {table.name}.",
                hint="Move it to a new database, or empty that one first.",
            )


def _copy(here: Connection, there: Connection, table: Table) -> None:
    if table in (t.meta, t.counter):
        # What a fresh ledger has of these gives way.
        there.execute(table.delete())
    found = here.execute(select(table).order_by(*table.primary_key.columns))
    for rows in found.mappings().partitions(_AT_ONCE):
        there.execute(insert(table), [dict(row) for row in rows])


def _digest(c: Connection, table: Table) -> tuple[int, str]:
    """How many rows there are, and a hash over every value of every row in the order of their keys."""
    digest, count = hashlib.sha256(), 0
    for row in c.execute(select(table).order_by(*table.primary_key.columns)):
        digest.update(json.dumps(list(row), ensure_ascii=False).encode() + b"\n")
        count += 1
    return count, digest.hexdigest()


def _count(c: Connection, table: Table) -> int:
    return int(c.execute(select(func.count()).select_from(table)).scalar_one())
