"""Which effect is delivered next, by whom, and what each try came to; every step is one transaction."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.clocks import latest_ms
from cairnops.domain.delivery import Answer, Claim, Effect, EffectKind, FinalStatus, Found, Result
from cairnops.domain.stale import Seen
from cairnops.store import clock
from cairnops.store import tables as t
from cairnops.store.audit import DELIVERY, PARKED, append
from cairnops.store.engine import Interrupted, hurry, reading, repeatable, steady, writing

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CATCH_UP_US = 100_000


def _blocked() -> ColumnElement[bool]:
    """Whether an earlier effect of the same conversation is unfinished."""
    earlier = t.effect.alias("earlier")
    return exists(
        select(earlier.c.seq).where(
            earlier.c.conversation_id == t.effect.c.conversation_id,
            earlier.c.destination == t.effect.c.destination,
            earlier.c.seq < t.effect.c.seq,
            earlier.c.due_ms.is_not(None),
            # What a person took out of the queue holds nobody up.
            earlier.c.state != "parked",
        )
    )


def _not_before_decided(claim: Claim, at: datetime) -> datetime:
    """`at`, or when the effect was decided if that is later.

    A rehearsal that goes on after a crash delivers what is left under the clock of its first scene: a
    record once said that a reply was delivered twelve minutes before it was approved.
    """
    return max(at, _decided(claim.effect.uid))


def _decided(uid: str) -> datetime:
    return _EPOCH + timedelta(milliseconds=decided_ms(uid))


def decided_ms(uid: str) -> int:
    """When an effect was decided, epoch milliseconds: its uid is a ULID, which begins with that in base 32."""
    value = 0
    for letter in uid[:10]:
        value = value * 32 + _CROCKFORD.index(letter)
    return value


@steady
class SqlOutbox:
    """The effects of committed decisions for one help desk, and what became of them.

    What was decided while another help desk was in use stays with that one: it is not seen here.
    """

    def __init__(self, engine: Engine, destination: str = ""):
        self._engine = engine
        self._destination = destination
        #: Whether there was something to claim when this was last asked.
        self._busy = False
        # To build and to recognise so large a statement takes longer than the server needs to answer it.
        self._ready = self._next(self._open())
        self._ready_up = self._next(self._open(), ~self._down())

    @staticmethod
    def _next(*which: ColumnElement[bool]) -> tuple[Select[Any], Select[Any]]:
        """What reads the next of those that are due at `now_ms`, and what locks it as well."""
        e = t.effect.c
        ready = (
            select(t.effect)
            .where(*which, e.due_ms <= bindparam("now_ms"))
            .order_by(e.urgency, e.due_ms, e.seq)
            .limit(1)
        )
        return ready, ready.with_for_update(of=t.effect, skip_locked=True)

    @repeatable
    def claim(
        self, owner: str, *, now_ms: int, lease_ms: int, per_second: int = 0, heedful: bool = False
    ) -> Claim | None:
        """Take the next effect that is due, in order within its conversation; None when nothing is.

        The most urgent go first, then what is due longest. `per_second` is how often all workers together
        may ask the help desk, 0 for as often as they can; a `heedful` one takes nothing while it is down. The
        commit of this claim is the only record that a request may leave, so it is made before.
        """
        ready, locked = self._ready_up if heedful else self._ready
        at = {"now_ms": now_ms}
        # An idle poll takes no write lock: with nothing due this read is all that happens.
        if not self._busy:
            with reading(self._engine) as c:
                if c.execute(ready, at).first() is None:
                    return None
        # Elsewhere than on SQLite peers claim at the same time, and step over the row another is taking.
        with writing(self._engine, over="") as c:
            row = c.execute(locked, at).first()
            self._busy = row is not None
            if row is None or (per_second and not self._let_through(c, now_ms * 1000, per_second)):
                return None
            unclear = row.state != "ready"
            attempt = row.attempt if unclear else row.attempt + 1
            # A worker that vanished left no record of its try.
            lost = row.state == "sending"
            tried = self._tried(c, row.uid, attempt) if unclear else None
            hurry(c)
            c.execute(
                update(t.effect)
                .where(t.effect.c.seq == row.seq)
                .values(
                    state="looking" if unclear else "sending",
                    attempt=attempt,
                    owner=owner,
                    due_ms=now_ms + lease_ms,
                    looks=row.looks if unclear else 0,
                    last_error="" if lost or not unclear else row.last_error,
                )
            )
            return Claim(
                effect=Effect(
                    uid=row.uid,
                    run_key=row.run_key,
                    conversation_id=row.conversation_id,
                    kind=EffectKind(row.kind),
                    payload=json.loads(row.payload),
                    trace=row.trace,
                ),
                attempt=attempt,
                unclear=unclear,
                looks=row.looks if unclear else 0,
                last_error="" if lost else row.last_error,
                owner=owner,
                seen=codec.read(Seen, json.loads(row.seen)) if row.seen else None,
                decided=_decided(row.uid) if row.seen else None,
                tried=tried,
            )

    @repeatable
    def set_right(self, longest_ms: int) -> int:
        """Let nothing wait for a moment that no pause of that length leads to; returns how many effects did.

        Such a moment comes from a clock that was set back since, or was wrong. From now on they wait for the
        longest pause there is: whoever has one of them in hand has ended by then.
        """
        e, b = t.effect.c, t.bucket.c
        here = (e.destination == self._destination, e.state != "parked")
        with reading(self._engine) as c:
            latest = latest_ms(clock.now_ms(c), longest_ms)
            far = exists(select(e.seq).where(*here, e.due_ms > latest))
            held = exists(
                select(b.free_us).where(b.destination == self._destination, b.free_us > latest * 1000)
            )
            if not c.execute(select(or_(far, held))).scalar():
                return 0
        with writing(self._engine, over="") as c:
            now_ms = clock.now_ms(c)
            latest = latest_ms(now_ms, longest_ms)
            c.execute(
                update(t.bucket)
                .where(b.destination == self._destination, b.free_us > latest * 1000)
                .values(free_us=now_ms * 1000)
            )
            mended = update(t.effect).where(*here, e.due_ms > latest).values(due_ms=now_ms + longest_ms)
            return c.execute(mended).rowcount

    def _tried(self, c: Connection, uid: str, attempt: int) -> datetime | None:
        a = t.attempt.c
        at = c.execute(select(a.at).where(a.effect_uid == uid, a.attempt == attempt)).scalar()
        return codec.moment(at) if at else None

    def next_due_ms(self) -> int | None:
        """When the next effect can be claimed (epoch milliseconds); None when all are finished.

        An effect behind another of its conversation does not count: it cannot be claimed, however long due.
        """
        with reading(self._engine) as c:
            due = c.execute(select(func.min(t.effect.c.due_ms)).where(self._open())).scalar_one_or_none()
            free = None if due is None else c.execute(self._free()).scalar_one_or_none()
        return due if due is None or free is None else max(int(due), -(-free // 1000))

    @repeatable
    def hold(self, until_ms: int) -> None:
        """Let no worker ask this help desk before then: it said that it is asked too often."""
        b = t.bucket.c
        with writing(self._engine, over="") as c:
            c.execute(
                update(t.bucket)
                .where(b.destination == self._destination, b.free_us < until_ms * 1000)
                .values(free_us=until_ms * 1000)
            )

    def _free(self) -> Select[tuple[int]]:
        return select(t.bucket.c.free_us).where(t.bucket.c.destination == self._destination)

    def _let_through(self, c: Connection, now_us: int, per_second: int) -> bool:
        """Whether one more request may go now, and if so, that it goes.

        Requests are spaced evenly. A worker that comes late may catch up a tenth of a second, no more, so a
        second never sees more than a tenth above what is allowed.
        """
        apart = 1_000_000 // per_second
        free = c.execute(self._free().with_for_update()).scalar_one_or_none()
        if free is None:
            # Whoever meets another here finds the row at the next poll.
            with suppress(IntegrityError), c.begin_nested():
                c.execute(insert(t.bucket).values(destination=self._destination, free_us=now_us + apart))
                return True
            return False
        if free > now_us:
            return False
        c.execute(
            update(t.bucket)
            .where(t.bucket.c.destination == self._destination)
            .values(free_us=max(free, now_us - _CATCH_UP_US) + apart)
        )
        return True

    def elsewhere(self) -> dict[str, int]:
        """How many unfinished effects wait for which other help desk."""
        e = t.effect.c
        with reading(self._engine) as c:
            rows = c.execute(
                select(e.destination, func.count().label("effects"))
                .where(e.due_ms.is_not(None), e.destination != self._destination)
                .group_by(e.destination)
                .order_by(e.destination)
            ).all()
        return {row.destination: row.effects for row in rows}

    @repeatable
    def renew(self, claim: Claim, *, due_ms: int) -> bool:
        """Let the lease of a claim run until then; False when another worker has taken it over."""
        with writing(self._engine, over="") as c:
            return c.execute(update(t.effect).where(self._mine(claim)).values(due_ms=due_ms)).rowcount == 1

    @repeatable
    def give_back(self, claim: Claim, *, due_ms: int) -> bool:
        """Undo a claim under which nothing was sent or learnt: the attempt has not been made, nor the look-up."""
        with writing(self._engine, over="") as c:
            undone = c.execute(
                update(t.effect)
                .where(self._mine(claim))
                .values(
                    **self._before(claim),
                    due_ms=due_ms,
                    owner="",
                    last_error=claim.last_error,
                )
            )
            return undone.rowcount == 1

    def given(self, conversation_id: str) -> frozenset[str]:
        """The teams and people a conversation was given to, or is about to be, by what was decided here."""
        e = t.effect.c
        mine = (e.conversation_id == conversation_id, e.destination == self._destination)
        with reading(self._engine) as c:
            rows = c.execute(select(e.payload).where(*mine, e.kind == EffectKind.ASSIGN.value)).scalars()
            return frozenset(name for payload in rows for name in json.loads(payload).values())

    def park(self, claim: Claim, reason: str, *, at: datetime) -> bool:
        """Take a claimed effect out of the queue for a person to look at; the attempt has not been made."""
        at = _not_before_decided(claim, at)
        with writing(self._engine, over="") as c:
            origin = self._let_go(c, claim, **self._before(claim) | {"state": "parked"})
            if origin is None:
                return False
            hurry(c)
            _told(c, claim, origin, PARKED, at, {"reason": reason, "stage": "ready"})
            return True

    def _before(self, claim: Claim) -> dict[str, Any]:
        """How the effect stood before it was claimed."""
        if claim.unclear:
            return {"state": "looking"}
        return {"state": "ready", "attempt": claim.attempt - 1}

    @repeatable
    def tried(
        self, claim: Claim, result: Result, *, due_ms: int, at: datetime, duration_us: int, looking: bool
    ) -> bool:
        """Record an attempt that did not finish the effect, and when to look up or try again."""
        at = _not_before_decided(claim, at)
        with writing(self._engine, over="") as c:
            if not self._release(c, claim, due_ms, looking=looking, error=result.error_code, looks=0):
                return False
            hurry(c)
            _attempted(c, claim, at, result.answer.value, result.error_code, duration_us)
            return True

    @repeatable
    def looked(self, claim: Claim, found: Found, *, due_ms: int, at: datetime, looking: bool) -> bool:
        """Record a look-up that did not finish the effect."""
        at = _not_before_decided(claim, at)
        looks = claim.looks + (found is Found.UNAVAILABLE)
        with writing(self._engine, over="") as c:
            origin = self._release(c, claim, due_ms, looking=looking, error=claim.last_error, looks=looks)
            if origin is None:
                return False
            _lost(c, claim, at)
            hurry(c)
            _told(c, claim, origin, "effect.looked_up", at, {"found": found.value})
            return True

    def finish(
        self,
        claim: Claim,
        status: FinalStatus,
        *,
        at: datetime,
        result: Result | None,
        duration_us: int | None,
        recovered: bool,
    ) -> bool:
        """Record how the effect ended; False when another worker has taken it over meanwhile."""
        at = _not_before_decided(claim, at)
        try:
            return self._finish(claim, status, at, result, duration_us, recovered)
        except Interrupted as error:
            # The connection broke while it was being committed: whether it was is there to be read.
            if not error.unclear:
                raise
            return self._ended(claim, status, at) or self._finish(
                claim, status, at, result, duration_us, recovered
            )

    def _finish(
        self,
        claim: Claim,
        status: FinalStatus,
        at: datetime,
        result: Result | None,
        duration_us: int | None,
        recovered: bool,
    ) -> bool:
        with writing(self._engine, over="") as c:
            origin = self._let_go(c, claim, state=status.value.lower(), due_ms=None)
            if origin is None:
                return False
            if result is None:
                _lost(c, claim, at)
            error, spent = _last(c, claim, result, duration_us)
            hurry(c)
            if result is not None:
                _attempted(c, claim, at, result.answer.value, result.error_code, duration_us)
            ok = status is FinalStatus.SUCCESS
            c.execute(
                insert(t.sync_event)
                .inline()
                .values(
                    effect_uid=claim.effect.uid,
                    status=status.value,
                    attempt=claim.attempt,
                    error_code="" if ok else error,
                    # Nobody measured how long a recovered attempt really took.
                    duration_us=None if recovered else spent,
                    recovered=int(recovered),
                    at=codec.stamp(at),
                )
            )
            _told(
                c,
                claim,
                origin,
                "effect.delivered" if ok else "effect.failed",
                at,
                {"status": status.value, "attempt": claim.attempt, "recovered": recovered},
            )
            return True

    def _ended(self, claim: Claim, status: FinalStatus, at: datetime) -> bool:
        s = t.sync_event.c
        with reading(self._engine) as c:
            row = c.execute(
                select(s["status", "attempt", "at"]).where(s.effect_uid == claim.effect.uid)
            ).first()
        return row is not None and tuple(row) == (status.value, claim.attempt, codec.stamp(at))

    def _open(self) -> ColumnElement[bool]:
        """Whether it is this help desk's, unfinished, and the first of its conversation."""
        e = t.effect.c
        return and_(
            e.due_ms.is_not(None), e.state != "parked", e.destination == self._destination, ~_blocked()
        )

    def _down(self) -> ColumnElement[bool]:
        """Whether its help desk is down."""
        return exists(
            select(t.outage.c.since).where(
                t.outage.c.destination == self._destination, t.outage.c.ended == ""
            )
        )

    def _mine(self, claim: Claim) -> ColumnElement[bool]:
        return and_(
            t.effect.c.uid == claim.effect.uid,
            t.effect.c.owner == claim.owner,
            t.effect.c.attempt == claim.attempt,
            t.effect.c.due_ms.is_not(None),
            t.effect.c.state != "parked",
        )

    def _release(
        self, c: Connection, claim: Claim, due_ms: int, *, looking: bool, error: str, looks: int
    ) -> Row[Any] | None:
        state = "looking" if looking else "ready"
        return self._let_go(c, claim, state=state, due_ms=due_ms, last_error=error, looks=looks)

    def _let_go(self, c: Connection, claim: Claim, **values: Any) -> Row[Any] | None:
        """Let go of a claimed effect; which decision it comes from, or None when another worker has taken it over."""
        e = t.effect.c
        settled = update(t.effect).where(self._mine(claim)).values(owner="", **values)
        return c.execute(settled.returning(e.session, e.decision_uid, e.number)).first()


def _attempted(
    c: Connection, claim: Claim, at: datetime, answer: str, error: str, duration_us: int | None
) -> None:
    c.execute(
        insert(t.attempt)
        .inline()
        .values(
            effect_uid=claim.effect.uid,
            attempt=claim.attempt,
            at=codec.stamp(at),
            answer=answer,
            error_code=error,
            duration_us=duration_us,
        )
    )


def _lost(c: Connection, claim: Claim, at: datetime) -> None:
    """Every attempt has a row: one whose worker died is recorded as lost when it is looked up."""
    a = t.attempt.c
    its = (a.effect_uid == claim.effect.uid, a.attempt == claim.attempt)
    if c.execute(select(a.attempt).where(*its)).first() is None:
        _attempted(c, claim, at, "lost", "EWORKERLOST", None)


def _last(
    c: Connection, claim: Claim, result: Result | None, duration_us: int | None
) -> tuple[str, int | None]:
    """What the newest attempt failed of and how long it took, microseconds: this one, or what stands there."""
    if result is not None:
        return "" if result.answer is Answer.OK else result.error_code, duration_us
    row = c.execute(
        select(t.attempt.c["error_code", "duration_us", "answer"])
        .where(t.attempt.c.effect_uid == claim.effect.uid)
        .order_by(t.attempt.c.attempt.desc())
    ).first()
    if row is None or row.answer == Answer.OK.value:
        return "", row.duration_us if row else None
    return row.error_code, row.duration_us


def _told(
    c: Connection, claim: Claim, origin: Row[Any], kind: str, at: datetime, body: dict[str, Any]
) -> None:
    append(
        c,
        Entry(
            kind=kind,
            at=at,
            actor=DELIVERY,
            conversation=claim.effect.conversation_id,
            session=origin.session,
            key=claim.effect.run_key,
            body={
                "effect": claim.effect.uid,
                "kind": claim.effect.kind.value,
                "decision": origin.decision_uid,
                "number": origin.number,
                **body,
            },
        ),
    )
