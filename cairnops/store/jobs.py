"""Effects as whoever keeps delivery going sees them: listed, taken out of the queue, and sent again, on record."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from cairnops.domain import jobs
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor
from cairnops.domain.decisions import uid_of
from cairnops.domain.delivery import Effect, EffectKind, Found
from cairnops.domain.jobs import Job
from cairnops.errors import CairnError, NotFound
from cairnops.store import tables as t
from cairnops.store.audit import PARKED, append
from cairnops.store.engine import reading, steady, writing
from cairnops.store.ledger import AGAIN, repeated

RETRIED, FOUND = "job.retried", "job.found"


@steady
class SqlJobs:
    """The effects of one database, and the queue of one help desk."""

    def __init__(self, engine: Engine, destination: str = ""):
        self._engine, self._destination = engine, destination

    def listed(self, *, everything: bool = False) -> list[Job]:
        """What is unfinished and what ended without arriving, in the order decided; or every effect."""
        chosen = [] if everything else [or_(t.effect.c.due_ms.is_not(None), t.effect.c.state != "success")]
        with reading(self._engine) as c:
            return [_job(row) for row in c.execute(_jobs(*chosen).order_by(t.effect.c.seq))]

    def job(self, uid: str) -> Job:
        """One effect.

        Raises:
            NotFound: when there is none of that uid.
        """
        with reading(self._engine) as c:
            return self._one(c, uid)

    def effect(self, uid: str) -> Effect:
        """The effect itself, to be looked up."""
        with reading(self._engine) as c:
            row = c.execute(select(t.effect).where(t.effect.c.uid == uid)).one()
        return Effect(
            uid=row.uid,
            run_key=row.run_key,
            conversation_id=row.conversation_id,
            kind=EffectKind(row.kind),
            payload=json.loads(row.payload),
        )

    def events(self, uid: str) -> list[dict[str, Any]]:
        """What was recorded about an effect, in order: tries that ended it, look-ups, and what people did."""
        v = t.event.c
        with reading(self._engine) as c:
            key = self._one(c, uid).run_key
            rows = c.execute(
                select(v["at", "actor", "kind", "body"]).where(v.key == key).order_by(v.seq)
            ).all()
        # Beside what happened, `kind` would be that of the effect.
        return [{**json.loads(r.body), "at": r.at, "actor": r.actor, "kind": r.kind} for r in rows]

    def park(self, uid: str, actor: Actor, reason: str, *, at: datetime, now_ms: int) -> Job:
        """Take an unfinished effect out of the queue; those behind it in its conversation go on.

        Raises:
            CairnError: when it has ended, is parked, or is on its way; NotFound when there is none.
        """
        with writing(self._engine) as c:
            job = self._one(c, uid)
            if refused := jobs.refuse_park(job, actor, now_ms):
                raise CairnError(f"{refused}.", hint="cairnops jobs list shows what can be parked.")
            self._set(c, uid, state="parked", owner="")
            self._tell(c, PARKED, job, actor, at, {"reason": reason})
        return self.job(uid)

    def retry(
        self, uid: str, actor: Actor, *, at: datetime, now_ms: int, found: Found | None = None
    ) -> tuple[str, str]:
        """Have a parked effect delivered after all; returns what was done and the uid that is delivered.

        One that is unfinished goes back to the queue ("back"). One that ended is sent again as another effect
        of the same decision ("again"), unless `found`, a look-up made now, shows that it had arrived
        ("found"): then that is recorded and nothing is sent.

        Raises:
            CairnError: when it may not be sent; NotFound when there is none of that uid.
        """
        try:
            with writing(self._engine) as c:
                return self._retry(c, self._one(c, uid), actor, at, now_ms, found)
        except IntegrityError:
            raise CairnError(
                f"effect {uid} has been sent again already.", hint="cairnops jobs list"
            ) from None

    def _retry(
        self, c: Connection, job: Job, actor: Actor, at: datetime, now_ms: int, found: Found | None
    ) -> tuple[str, str]:
        refused = jobs.refuse_retry(job, actor, now_ms, self._destination)
        if not refused and job.status:
            refused = jobs.refuse_again(job, found or Found.UNAVAILABLE)
        if refused:
            raise CairnError(f"{refused}.", hint=f"cairnops jobs show {job.uid}")
        if not job.status:
            # What was tried before it was parked may have arrived since. That the conversation moved on is no
            # reason any more: somebody has looked.
            self._set(c, job.uid, state="looking" if job.attempt else "ready", due_ms=now_ms, seen="")
            self._tell(c, RETRIED, job, actor, at, {"as": job.uid})
            return "back", job.uid
        if found is Found.PRESENT:
            self._tell(c, FOUND, job, actor, at, {})
            return "found", job.uid
        uid = uid_of(at, "effect", job.run_key + AGAIN)
        first = c.execute(select(t.effect).where(t.effect.c.uid == job.uid)).one()
        same = {
            name: first._mapping[name]
            for name in ("decision_uid", "number", "conversation_id", "session", "kind", "payload")
        }
        c.execute(
            insert(t.effect).values(
                uid=uid,
                run_key=job.run_key + AGAIN,
                state="ready",
                attempt=0,
                looks=0,
                last_error="",
                due_ms=0,
                owner="",
                destination=first.destination,
                urgency=first.urgency,
                **same,
            )
        )
        self._tell(c, RETRIED, job, actor, at, {"as": uid})
        return "again", uid

    def _one(self, c: Connection, uid: str) -> Job:
        row = c.execute(_jobs(t.effect.c.uid == uid)).first()
        if row is None:
            raise NotFound(f"There is no effect {uid}.", hint="cairnops jobs list shows their ids.")
        return _job(row)

    def _set(self, c: Connection, uid: str, **values: Any) -> None:
        c.execute(update(t.effect).where(t.effect.c.uid == uid).values(**values))

    def _tell(
        self, c: Connection, kind: str, job: Job, actor: Actor, at: datetime, body: dict[str, Any]
    ) -> None:
        body = {"effect": job.uid, "kind": job.kind, "number": job.number, "stage": job.stage, **body}
        append(
            c,
            Entry(
                kind=kind,
                at=at,
                actor=actor,
                conversation=job.conversation,
                session=job.session,
                key=job.run_key,
                body=body,
            ),
        )


def _jobs(*chosen: ColumnElement[bool]) -> Select[Any]:
    s, v, e = t.sync_event, t.event, t.effect.c
    later = t.effect.alias("later")
    overtaken = (
        select(func.max(later.c.number))
        .where(
            later.c.conversation_id == e.conversation_id,
            later.c.kind == e.kind,
            later.c.seq > e.seq,
            later.c.decision_uid != e.decision_uid,
        )
        .scalar_subquery()
    )

    def newest(kind: str) -> Any:
        return select(func.max(v.c.seq)).where(v.c.key == e.run_key, v.c.kind == kind).scalar_subquery()

    told = v.alias("told")
    return (
        select(
            t.effect,
            func.coalesce(s.c.status, "").label("status"),
            s.c.error_code,
            func.coalesce(overtaken, 0).label("overtaken"),
            repeated().label("repeated"),
            newest(FOUND).label("found"),
            told.c.actor.label("parked_by"),
            told.c.body.label("parked_body"),
        )
        .select_from(
            t.effect.outerjoin(s, s.c.effect_uid == e.uid).outerjoin(told, told.c.seq == newest(PARKED))
        )
        .where(*chosen)
    )


def _job(row: Row[Any]) -> Job:
    parked = row.state == "parked"
    return Job(
        uid=row.uid,
        run_key=row.run_key,
        number=row.number,
        conversation=row.conversation_id,
        session=row.session,
        kind=row.kind,
        urgency=row.urgency,
        destination=row.destination,
        stage=row.state,
        attempt=row.attempt,
        error=row.error_code or row.last_error,
        due_ms=row.due_ms,
        owner=row.owner,
        status=row.status,
        overtaken_by=row.overtaken,
        repeated=bool(row.repeated),
        found=row.found is not None,
        parked_by=row.parked_by if parked else "",
        reason=json.loads(row.parked_body)["reason"] if parked else "",
    )
