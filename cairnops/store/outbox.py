"""Which effect is delivered next, by whom, and what each try came to; every step is one transaction."""

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, func, insert, select, update

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.delivery import Answer, Claim, Effect, EffectKind, FinalStatus, Found, Result
from cairnops.store import tables as t
from cairnops.store.engine import reading, writing
from cairnops.store.ledger import append

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _blocked() -> ColumnElement[bool]:
    """Whether an earlier effect of the same conversation is unfinished."""
    earlier = t.effect.alias("earlier")
    return exists(
        select(earlier.c.seq).where(
            earlier.c.conversation_id == t.effect.c.conversation_id,
            earlier.c.seq < t.effect.c.seq,
            earlier.c.due_ms.is_not(None),
        )
    )


def _not_before_decided(claim: Claim, at: datetime) -> datetime:
    """`at`, or when the effect was decided if that is later.

    A rehearsal that goes on after a crash delivers what is left under the clock of its first scene: a
    record once said that a reply was delivered twelve minutes before it was approved.
    """
    # The effect's uid is a ULID: ten characters of milliseconds since 1970 in Crockford's base 32.
    decided_ms = 0
    for letter in claim.effect.uid[:10]:
        decided_ms = decided_ms * 32 + _CROCKFORD.index(letter)
    return max(at, _EPOCH + timedelta(milliseconds=decided_ms))


class SqlOutbox:
    """The effects of committed decisions, and what became of them."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def claim(self, owner: str, *, now_ms: int, lease_ms: int) -> Claim | None:
        """Take the next effect that is due, in order within its conversation; None when nothing is.

        The commit of this claim is the only record that a request may leave, so it is made before.
        """
        ready = (
            select(t.effect)
            .where(t.effect.c.due_ms.is_not(None), t.effect.c.due_ms <= now_ms, ~_blocked())
            .order_by(t.effect.c.due_ms, t.effect.c.seq)
            .limit(1)
        )
        # An idle poll takes no write lock: with nothing due this read is all that happens.
        with reading(self._engine) as c:
            if c.execute(ready).first() is None:
                return None
        with writing(self._engine) as c:
            row = c.execute(ready).first()
            if row is None:
                return None
            unclear = row.state != "ready"
            attempt = row.attempt if unclear else row.attempt + 1
            # A worker that vanished left no record of its try.
            lost = row.state == "sending"
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
                ),
                attempt=attempt,
                unclear=unclear,
                looks=row.looks if unclear else 0,
                last_error="" if lost else row.last_error,
                owner=owner,
            )

    def next_due_ms(self) -> int | None:
        """When the next effect can be claimed (epoch milliseconds); None when all are finished.

        An effect behind another of its conversation does not count: it cannot be claimed, however long due.
        """
        with reading(self._engine) as c:
            return c.execute(
                select(func.min(t.effect.c.due_ms)).where(t.effect.c.due_ms.is_not(None), ~_blocked())
            ).scalar_one_or_none()

    def give_back(self, claim: Claim, *, due_ms: int) -> bool:
        """Undo a claim under which nothing was sent; the attempt has not been made."""
        with writing(self._engine) as c:
            undone = c.execute(
                update(t.effect)
                .where(self._mine(claim))
                .values(
                    state="ready",
                    attempt=claim.attempt - 1,
                    due_ms=due_ms,
                    owner="",
                    last_error=claim.last_error,
                )
            )
            return undone.rowcount == 1

    def tried(
        self, claim: Claim, result: Result, *, due_ms: int, at: datetime, duration_us: int, looking: bool
    ) -> bool:
        """Record an attempt that did not finish the effect, and when to look up or try again."""
        at = _not_before_decided(claim, at)
        with writing(self._engine) as c:
            if not self._release(c, claim, due_ms, looking=looking, error=result.error_code, looks=0):
                return False
            self._attempt(c, claim, result, at, duration_us)
            return True

    def looked(self, claim: Claim, found: Found, *, due_ms: int, at: datetime, looking: bool) -> bool:
        """Record a look-up that did not finish the effect."""
        at = _not_before_decided(claim, at)
        looks = claim.looks + (found is Found.UNAVAILABLE)
        with writing(self._engine) as c:
            if not self._release(c, claim, due_ms, looking=looking, error=claim.last_error, looks=looks):
                return False
            self._lost(c, claim, at)
            self._told(c, claim, "effect.looked_up", at, {"found": found.value})
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
        with writing(self._engine) as c:
            ended = c.execute(
                update(t.effect)
                .where(self._mine(claim))
                .values(state=status.value.lower(), due_ms=None, owner="")
            )
            if ended.rowcount != 1:
                return False
            if result is not None:
                self._attempt(c, claim, result, at, duration_us)
            else:
                self._lost(c, claim, at)
            error, spent = self._last(c, claim)
            ok = status is FinalStatus.SUCCESS
            c.execute(
                insert(t.sync_event).values(
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
            self._told(
                c,
                claim,
                "effect.delivered" if ok else "effect.failed",
                at,
                {"status": status.value, "attempt": claim.attempt, "recovered": recovered},
            )
            return True

    def _mine(self, claim: Claim) -> ColumnElement[bool]:
        return and_(
            t.effect.c.uid == claim.effect.uid,
            t.effect.c.owner == claim.owner,
            t.effect.c.attempt == claim.attempt,
            t.effect.c.due_ms.is_not(None),
        )

    def _release(
        self, c: Connection, claim: Claim, due_ms: int, *, looking: bool, error: str, looks: int
    ) -> bool:
        released = c.execute(
            update(t.effect)
            .where(self._mine(claim))
            .values(
                state="looking" if looking else "ready",
                due_ms=due_ms,
                owner="",
                last_error=error,
                looks=looks,
            )
        )
        return released.rowcount == 1

    def _attempt(
        self, c: Connection, claim: Claim, result: Result, at: datetime, duration_us: int | None
    ) -> None:
        c.execute(
            insert(t.attempt).values(
                effect_uid=claim.effect.uid,
                attempt=claim.attempt,
                at=codec.stamp(at),
                answer=result.answer.value,
                error_code=result.error_code,
                duration_us=duration_us,
            )
        )

    def _lost(self, c: Connection, claim: Claim, at: datetime) -> None:
        """Every attempt has a row: one whose worker died is recorded as lost when it is looked up."""
        known = c.execute(
            select(t.attempt.c.attempt).where(
                t.attempt.c.effect_uid == claim.effect.uid, t.attempt.c.attempt == claim.attempt
            )
        ).first()
        if known is None:
            c.execute(
                insert(t.attempt).values(
                    effect_uid=claim.effect.uid,
                    attempt=claim.attempt,
                    at=codec.stamp(at),
                    answer="lost",
                    error_code="EWORKERLOST",
                    duration_us=None,
                )
            )

    def _last(self, c: Connection, claim: Claim) -> tuple[str, int | None]:
        row = c.execute(
            select(t.attempt.c["error_code", "duration_us", "answer"])
            .where(t.attempt.c.effect_uid == claim.effect.uid)
            .order_by(t.attempt.c.attempt.desc())
        ).first()
        if row is None or row.answer == Answer.OK.value:
            return "", row.duration_us if row else None
        return row.error_code, row.duration_us

    def _told(
        self, c: Connection, claim: Claim, kind: str, at: datetime, body: dict[str, str | int | bool]
    ) -> None:
        row = c.execute(
            select(t.effect.c["session", "decision_uid", "number"]).where(t.effect.c.uid == claim.effect.uid)
        ).one()
        append(
            c,
            Entry(
                kind=kind,
                at=at,
                actor=Actor(email="delivery@cairnops", role=Role.ADMIN),
                conversation=claim.effect.conversation_id,
                session=row.session,
                key=claim.effect.run_key,
                body={
                    "effect": claim.effect.uid,
                    "kind": claim.effect.kind.value,
                    "decision": row.decision_uid,
                    "number": row.number,
                    **body,
                },
            ),
        )
