"""Removing what is old, on record: one transaction that says who, until when and how much, and leaves every hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, exists, func, insert, select, text

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor
from cairnops.domain.retention import KINDS, Due, Plan
from cairnops.errors import WorkspaceError
from cairnops.store import retained
from cairnops.store import tables as t
from cairnops.store.engine import reading, steady, writing
from cairnops.store.ledger import append


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstone:
    """What stays of a decision that was removed."""

    uid: str
    number: int
    leaf_hash: str
    #: Until when decisions went with it, by whom and when; empty when no retention on record says so.
    until: str
    actor: str
    at: str


@steady
class SqlRetention:
    """What is old on one database."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def plan(self, until: Mapping[str, datetime], actor: Actor, at: datetime) -> Plan:
        """What `apply` would remove now: it is done, counted and undone, so it is the same by nature."""
        with writing(self._engine) as c:
            made = _remove(c, until, actor, at, {})
            c.rollback()
        return made

    def apply(
        self,
        until: Mapping[str, datetime],
        actor: Actor,
        at: datetime,
        *,
        expect: str = "",
        why: Mapping[str, object] | None = None,
    ) -> Plan:
        """Remove it, all or nothing; where nothing is old, nothing is written.

        `expect` is the id of the plan somebody looked at; `why` goes into the audit event.

        Raises:
            WorkspaceError: when it is another plan by now; nothing is removed.
        """
        with writing(self._engine) as c:
            made = _remove(c, until, actor, at, why or {})
            if expect and made.id != expect:
                raise WorkspaceError(
                    f"Plan {expect} is not what would be removed now; nothing was removed.",
                    hint="Look at it again: cairnops retention plan.",
                )
            if not made.rows:
                c.rollback()
                return made
            body = {"plan": made.id, "removed": {due.table: due.rows for due in made.due if due.rows}}
            append(c, Entry(kind=retained.REMOVED, at=at, actor=actor, body=body))
        return made

    def until(self, kind: str = "decisions") -> str:
        """The moment before which rows of that kind were removed; empty when they never were."""
        with reading(self._engine) as c:
            newest = select(func.max(t.retention.c.until)).where(t.retention.c.kind == kind)
            return c.execute(newest).scalar() or ""

    def tombstones(self) -> list[Tombstone]:
        """Every tombstone, by number, with the retention that is on record for it."""
        with reading(self._engine) as c:
            return buried(c)


def buried(c: Connection) -> list[Tombstone]:
    """See `SqlRetention.tombstones`."""
    b, r, v = t.tombstone, t.retention, t.event
    told = (r.c.seq == b.c.retention) & (r.c.kind == "decisions")
    said = (v.c.seq == r.c.event) & (v.c.kind == retained.APPLIED) & (v.c.actor == r.c.actor)
    rows = c.execute(
        select(b.c["uid", "number", "leaf_hash"], r.c.until, r.c.actor, r.c.at, v.c.seq)
        .select_from(b.outerjoin(r, told).outerjoin(v, said))
        .order_by(b.c.number)
    ).all()
    return [
        Tombstone(
            uid=row.uid,
            number=row.number,
            leaf_hash=row.leaf_hash,
            until=row.until if row.seq else "",
            actor=row.actor if row.seq else "",
            at=row.at if row.seq else "",
        )
        for row in rows
    ]


def _remove(
    c: Connection, until: Mapping[str, datetime], actor: Actor, at: datetime, why: Mapping[str, object]
) -> Plan:
    stamps = {kind: codec.stamp(until[kind]) for kind in KINDS if kind in until}
    append(c, Entry(kind=retained.APPLIED, at=at, actor=actor, body={"until": stamps, **why}))
    said = c.execute(select(func.max(t.event.c.seq))).scalar_one()
    due: list[Due] = []
    for kind, stamp in stamps.items():
        run = c.execute(
            insert(t.retention)
            .values(kind=kind, until=stamp, event=said, actor=actor.email, at=codec.stamp(at))
            .returning(t.retention.c.seq)
        ).scalar_one()
        if kind == "decisions":
            c.execute(text(retained.TOMBSTONES), {"run": run})
        for table, column, condition in retained.removals(kind):
            when = f", min({column}), max({column})" if column else ", '', ''"
            count, oldest, newest = c.execute(
                text(f"SELECT count(*){when} FROM {table} WHERE {condition}"), {"run": run}
            ).one()
            if count:
                c.execute(text(f"DELETE FROM {table} WHERE {condition}"), {"run": run})
            due.append(Due(kind=kind, table=table, rows=count, oldest=oldest or "", newest=newest or ""))
    old = (t.decision.c.at < stamps["decisions"]) if "decisions" in stamps else text("1 = 0")
    sealed = exists(select(t.seal.c.log_index).where(t.seal.c.decision_uid == t.decision.c.uid))
    left = select(func.count()).select_from(t.decision).where(old)
    return Plan(
        until=stamps,
        due=tuple(due),
        unsealed=c.execute(left.where(~sealed)).scalar_one(),
        undelivered=c.execute(left.where(sealed)).scalar_one(),
    )
