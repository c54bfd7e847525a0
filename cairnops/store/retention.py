"""Removing what is old, on record: transactions that say who, until when and how much, and leave every hash."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine, exists, func, insert, select, text

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor
from cairnops.domain.retention import KINDS, Due, Plan
from cairnops.errors import WorkspaceError
from cairnops.store import retained
from cairnops.store import tables as t
from cairnops.store.audit import append
from cairnops.store.engine import reading, steady, writing

#: So many decisions (conversations, practised cases) are removed at a time; and how long others are let in between.
_AT_ONCE, _LET_IN_S = 500, 0.12
#: Whose moments are counted for that.
_CUT = {"training": "assignment", "transcripts": "conversation", "decisions": "decision"}
#: The number of the event of a plan, which is never committed.
_PLANNED = 2**62


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
        # Under a number that is never given, so that nobody who commits has to wait for it.
        with writing(self._engine, over="plan") as c:
            made = _remove(c, _stamps(until), actor, at, {}, number=_PLANNED)
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
        """Remove it, the oldest first; where nothing is old, nothing is written.

        Much is removed in slices, each whole or not at all and on record by itself, so that nobody who decides
        has to wait for long. One that is interrupted is gone on with by applying it again.

        `expect` is the id of the plan somebody looked at; `why` goes into the audit events.

        Raises:
            WorkspaceError: when it is another plan by now; nothing is removed.
        """
        if expect and self.plan(until, actor, at).id != expect:
            raise WorkspaceError(
                f"Plan {expect} is not what would be removed now; nothing was removed.",
                hint="Look at it again: cairnops retention plan.",
            )
        with reading(self._engine) as c:
            slices = _slices(c, _stamps(until))
        made = []
        for number, stamps in enumerate(slices):
            if number:
                time.sleep(_LET_IN_S)
            made.append(self._slice(stamps, actor, at, expect, why or {}))
        return _together(_stamps(until), made)

    def _slice(
        self, stamps: dict[str, str], actor: Actor, at: datetime, plan: str, why: Mapping[str, object]
    ) -> Plan:
        with writing(self._engine) as c:
            made = _remove(c, stamps, actor, at, why)
            if not made.rows:
                c.rollback()
                return made
            removed = {due.table: due.rows for due in made.due if due.rows}
            body = {"plan": plan or made.id, "removed": removed}
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


def _stamps(until: Mapping[str, datetime]) -> dict[str, str]:
    return {kind: codec.stamp(until[kind]) for kind in KINDS if kind in until}


def _slices(c: Connection, stamps: dict[str, str]) -> list[dict[str, str]]:
    """Until when is removed at a time: all at once where that is little, else a kind after the other."""
    cuts = {
        kind: list(
            c.execute(
                text(
                    f"SELECT DISTINCT at FROM (SELECT at, row_number() OVER (ORDER BY at) AS n FROM {_CUT[kind]} "
                    "WHERE at < :until) AS old WHERE n > 1 AND n % :size = 1 ORDER BY at"
                ),
                {"until": stamp, "size": _AT_ONCE},
            ).scalars()
        )
        for kind, stamp in stamps.items()
    }
    if not any(cuts.values()):
        return [stamps]
    return [{kind: until} for kind, stamp in stamps.items() for until in (*cuts[kind], stamp)]


def _together(stamps: dict[str, str], parts: Sequence[Plan]) -> Plan:
    """What the slices removed, as one."""
    due: dict[tuple[str, str], Due] = {}
    for one in (one for part in parts for one in part.due):
        known = due.setdefault((one.kind, one.table), replace(one, rows=0))
        due[one.kind, one.table] = replace(
            known,
            rows=known.rows + one.rows,
            oldest=min(filter(None, (known.oldest, one.oldest)), default=""),
            newest=max(known.newest, one.newest),
        )
    # A slice knows only of what is older than itself; the last of them of all.
    last = next((part for part in reversed(parts) if "decisions" in part.until), parts[-1])
    return Plan(until=stamps, due=tuple(due.values()), unsealed=last.unsealed, undelivered=last.undelivered)


def _remove(
    c: Connection,
    stamps: dict[str, str],
    actor: Actor,
    at: datetime,
    why: Mapping[str, object],
    *,
    number: int | None = None,
) -> Plan:
    append(c, Entry(kind=retained.APPLIED, at=at, actor=actor, body={"until": stamps, **why}), seq=number)
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
