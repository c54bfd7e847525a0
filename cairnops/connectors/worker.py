"""Takes committed effects to the help desk: at most once in effect, whatever dies or stays silent.

A crash, a timeout and a lost answer are one case: the effect was claimed and nobody knows whether it
was carried out. It is then looked up by its run key, after a wait that outlasts the help desk's
slowest processing, and sent again only when it is surely absent.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from cairnops.connectors.circuit import Circuit
from cairnops.connectors.ports import HelpDesk, Outbox
from cairnops.connectors.timing import Timing, apart
from cairnops.domain import breaker, delivery, stale
from cairnops.domain.delivery import Again, Answer, Claim, Done, FinalStatus, Found, LookUp
from cairnops.domain.policy import DeliveryPolicy
from cairnops.errors import CairnError, NotFound, RemoteError
from cairnops.telemetry import tracing

log = logging.getLogger(__name__)

_SPARE_MS = 50

#: How long a worker that stays looks away when there is nothing to do, and when the database is away.
_IDLE_MS, _AWAY_MS = 250, 1000
#: How often it looks whether somebody's clock was wrong, seconds.
_RIGHT_S = 5.0

T = TypeVar("T")


class Worker:
    """One that delivers, an effect after the other; several may share an outbox."""

    def __init__(
        self,
        outbox: Outbox,
        desk: HelpDesk,
        policy: DeliveryPolicy,
        *,
        owner: str,
        stamp: Callable[[], datetime],
        timing: Timing | None = None,
        threads: Executor | None = None,
        circuit: Circuit | None = None,
    ):
        """`owner` must be unlike any other worker's; `stamp` gives the moments that are recorded.

        `threads` is where the database is waited for; a worker that shares its loop with others needs one, or
        their waits come between its claim and its request. With a `circuit` it leaves a help desk that is down
        in peace, and looks before it sends what has waited for long; without one it goes by the script.
        """
        self._outbox, self._desk, self._policy = outbox, desk, policy
        self._owner, self._stamp, self._threads = owner, stamp, threads
        self._timing = timing or Timing()
        self._circuit = circuit
        #: How often in a row the conversation of an effect could not be read, by the effect's uid.
        self._unreadable: dict[str, int] = {}
        self._right_until = float("-inf")
        #: When what was claimed just now was asked for, by its uid: its lease runs from there.
        self._asked: dict[str, int] = {}
        #: How long after it was asked for a claim may still be used; the lease is longer by as much.
        self._spare_ms = max(policy.settle_ms // 2, _SPARE_MS)

    async def drain(self, *, told: Callable[[str, int, str], None] = lambda *_: None) -> int:
        """Deliver until nothing is left unfinished; returns how many effects ended.

        `told` hears of every end: the effect's uid, the attempt, the final status.

        Raises:
            RemoteError: when the help desk is down; nothing of what is left was tried.
        """
        ended = 0
        while True:
            claim = await self._claim()
            if claim is None:
                pause = await self._pause(leave=True)
                if pause is None:
                    return ended
                await self._timing.sleep_ms(min(pause, 1000))
                continue
            status = await self.step(claim)
            if status is not None:
                ended += 1
                told(claim.effect.uid, claim.attempt, status.value)

    async def stay(
        self,
        stop: asyncio.Event,
        *,
        once: bool = False,
        told: Callable[[str, int, str], None] = lambda *_: None,
    ) -> None:
        """Deliver until told to stop; what is under way then is finished and recorded, nothing new is begun.

        A database or a help desk that is away is waited for: what was claimed is looked up by whoever comes
        first. With `once` it leaves when nothing is left unfinished, and waits for neither.
        """
        while not stop.is_set():
            pause = 0
            try:
                claim = await self._claim()
                if claim is None:
                    left = await self._pause(leave=once)
                    if left is None and once:
                        return
                    pause = _IDLE_MS if left is None else min(left, _IDLE_MS)
                elif (status := await self.step(claim)) is not None:
                    told(claim.effect.uid, claim.attempt, status.value)
            except CairnError as error:
                if once:
                    raise
                log.warning("Delivery pauses.", extra={"action": "delivery_paused", "problem": str(error)})
                pause = _AWAY_MS
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause / 1000)

    async def _apart(self, call: Callable[[], T]) -> T:
        return await apart(self._threads, call)

    async def _pause(self, *, leave: bool) -> int | None:
        """For how long there is nothing to do, milliseconds; None when nothing is left unfinished."""
        due = await self._apart(self._outbox.next_due_ms)
        if self._circuit is not None:
            wait = await self._circuit.wait_ms()
            if wait > 0 and due is not None:
                if leave:
                    said = breaker.why(await self._circuit.last()) or "the help desk is down"
                    raise RemoteError(f"{said}.", hint="What waits is delivered when it is back.")
                return wait
        return None if due is None else max(1, due - self._timing.now_ms())

    async def _claim(self) -> Claim | None:
        """The next effect, or None; a fresh claim that came too late to be used is given back.

        The lease runs from before the claim. After a long wait for the database's lock (or a suspended
        process) a peer may already be looking the effect up, and what we would send now it would miss.
        """
        await self._set_right()
        asked, lease, pace = self._timing.now_ms(), self._lease_ms(), self._policy.per_second
        turn = self._circuit is not None and self._circuit.take_turn()
        heedful = self._circuit is not None and not turn
        claim = await self._apart(
            lambda: self._outbox.claim(
                self._owner, now_ms=asked, lease_ms=lease, per_second=pace, heedful=heedful
            )
        )
        if self._circuit is not None and turn and claim is not None and claim.unclear:
            self._circuit.leave_turn()
        if claim is None or claim.unclear:
            return claim
        if not await self._in_time(claim, asked):
            return None
        self._asked[claim.effect.uid] = asked
        return claim

    async def _in_time(self, claim: Claim, asked: int) -> bool:
        """Whether a claim that was asked for then can still be used; else it has been given back."""
        if self._timing.now_ms() - asked <= self._spare_ms:
            return True
        await self._too_late(claim, asked)
        return False

    async def _set_right(self) -> None:
        now = time.monotonic()
        if now < self._right_until:
            return
        self._right_until = now + _RIGHT_S
        longest = delivery.longest_ms(self._policy)
        if wrong := await self._apart(lambda: self._outbox.set_right(longest)):
            log.warning(
                "Due times were too far ahead: somebody's clock was wrong.",
                extra={"action": "due_set_right", "effects": wrong},
            )

    def _lease_ms(self) -> int:
        return delivery.lease_ms(self._policy) + self._spare_ms

    async def _too_late(self, claim: Claim, asked: int) -> None:
        took = self._timing.now_ms() - asked
        # On a disk this slow the next one would be late again.
        self._spare_ms = min(2 * took, delivery.SPARE_MOST_MS)
        due = self._timing.now_ms()
        await self._apart(lambda: self._outbox.give_back(claim, due_ms=due))
        log.info(
            "Claim came too late to be used.",
            extra={"action": "claim_given_back", "effect": claim.effect.uid},
        )

    async def step(self, claim: Claim) -> FinalStatus | None:
        """One try or one look-up; the final status when it ended the effect."""
        effect = claim.effect
        with tracing.step(
            "deliver", after=effect.trace, effect=effect.uid, kind=effect.kind.value, attempt=claim.attempt,
            look=claim.unclear,
        ) as step:  # fmt: skip
            status = await (self._look(claim, step) if claim.unclear else self._try(claim, step))
            step.say(outcome=status.value if status else "again")
            return status

    async def _try(self, claim: Claim, step: tracing.Step) -> FinalStatus | None:
        claimed = self._asked.pop(claim.effect.uid, 0) or self._timing.now_ms()
        asked = await self._still_right(claim, claimed)
        # Asking that takes its time, and whoever is suspended meanwhile has lost the lease.
        if asked is None or not await self._in_time(claim, asked):
            return None
        begun, late = self._timing.counter_us(), False
        last_ms = asked + self._spare_ms + self._policy.timeout_ms

        def in_time() -> bool:
            nonlocal late
            late = late or self._timing.now_ms() > last_ms
            return not late

        result = await self._desk.deliver(claim.effect, in_time)
        if late:
            await self._too_late(claim, asked)
            return None
        step.say(error=result.error_code)
        duration, at = self._timing.counter_us() - begun, self._stamp()
        after = delivery.after_try(result, claim.attempt, self._policy)
        silent, code = breaker.silent(result), result.error_code
        if await self._down(silent, last=isinstance(after, Done), effect=claim.effect.uid, code=code):
            if result.answer is Answer.RETRY:
                # It never got there, and an outage uses up no tries.
                await self._give_back(claim)
                return None
            after = LookUp(after_ms=self._policy.settle_ms)
        match after:
            case Done(status=status):
                fenced = await self._apart(
                    lambda: self._outbox.finish(
                        claim, status, at=at, result=result, duration_us=duration, recovered=False
                    )
                )
                return self._ended(claim, status, fenced)
            case Again(after_ms=pause) | LookUp(after_ms=pause):
                due = self._timing.now_ms() + pause
                await self._apart(
                    lambda: self._outbox.tried(
                        claim,
                        result,
                        due_ms=due,
                        at=at,
                        duration_us=duration,
                        looking=isinstance(after, LookUp),
                    )
                )
                if self._policy.per_second and result.retry_after_ms is not None:
                    await self._apart(lambda: self._outbox.hold(due))
                return None

    async def _look(self, claim: Claim, step: tracing.Step) -> FinalStatus | None:
        found, at = await self._guarded(self._desk.find(claim.effect)), self._stamp()
        step.say(code=found.value)
        looks = claim.looks + (found is Found.UNAVAILABLE)
        after = delivery.after_look_up(found, claim.attempt, claim.last_error, looks, self._policy)
        if await self._down(found is Found.UNAVAILABLE, last=isinstance(after, Done)):
            await self._give_back(claim)
            return None
        if found is Found.ABSENT and isinstance(after, Done) and await self._in_vain(claim):
            after = Again(after_ms=delivery.in_turn_ms(claim.attempt, self._policy))
        match after:
            case Done(status=status):
                fenced = await self._apart(
                    lambda: self._outbox.finish(
                        claim,
                        status,
                        at=at,
                        result=None,
                        duration_us=None,
                        recovered=found is Found.PRESENT,
                    )
                )
                return self._ended(claim, status, fenced)
            case Again(after_ms=pause) | LookUp(after_ms=pause):
                due = self._timing.now_ms() + pause
                await self._apart(
                    lambda: self._outbox.looked(
                        claim, found, due_ms=due, at=at, looking=isinstance(after, LookUp)
                    )
                )
                return None

    async def _down(self, silent: bool, *, last: bool, effect: str = "", code: str = "") -> bool:
        """Whether the help desk is down, after a try (of that effect) or a look-up that was answered or not."""
        if self._circuit is None:
            return False
        return await self._circuit.heard(silent, last=last, effect=effect, code=code)

    async def _in_vain(self, claim: Claim) -> bool:
        if self._circuit is None:
            return False
        return breaker.in_vain(await self._circuit.last(), claim.tried, self._policy)

    async def _give_back(self, claim: Claim) -> None:
        due = self._timing.now_ms()
        await self._apart(lambda: self._outbox.give_back(claim, due_ms=due))

    async def _still_right(self, claim: Claim, asked: int) -> int | None:
        """When its lease began (`asked`, unless it was renewed), where it may be sent.

        Else it has been parked for a person, or given back to be asked for later. Only what has waited for long is
        asked about: reading it takes as long as sending it.
        """
        if self._circuit is None or claim.seen is None or claim.decided is None:
            return asked
        now, last = self._stamp(), await self._circuit.last()
        ended = (last.ended or now) if last is not None else None
        if not stale.to_be_checked(claim.decided, now, self._policy, outage_ended=ended):
            return asked
        try:
            # Reading is several requests, each with a deadline of its own, and the lease does not outlast them all.
            async with asyncio.timeout(self._policy.timeout_ms / 1000):
                stands = await self._desk.standing(claim.effect.conversation_id)
        except NotFound:
            # Sending it will be refused, and that tells more.
            return await self._renewed(claim)
        except TimeoutError:
            stands = None
        if stands is None:
            await self._unread(claim)
            return None
        ours = await self._apart(lambda: self._outbox.given(claim.effect.conversation_id))
        wanted = claim.effect.payload.get("status", "")
        if moved := stale.moved_on(claim.seen, stands, status=wanted, given=ours):
            await self._park(claim, moved)
            return None
        return await self._renewed(claim)

    async def _unread(self, claim: Claim) -> None:
        """Nobody can say how the conversation stands: ask again later, and at last leave it to a person."""
        times = self._unreadable[claim.effect.uid] = self._unreadable.get(claim.effect.uid, 0) + 1
        down = await self._down(True, last=times >= self._policy.max_attempts)
        if not down and times >= self._policy.max_attempts:
            await self._park(claim, "nobody can read how the conversation stands now")
            return
        due = self._timing.now_ms() + (0 if down else delivery.backoff_ms(times, self._policy))
        await self._apart(lambda: self._outbox.give_back(claim, due_ms=due))

    async def _park(self, claim: Claim, reason: str) -> None:
        self._unreadable.pop(claim.effect.uid, None)
        at = self._stamp()
        if await self._apart(lambda: self._outbox.park(claim, reason, at=at)):
            log.warning(
                "Not sent; it waits for a person.",
                extra={"action": "effect_parked", "effect": claim.effect.uid, "reason": reason},
            )

    async def _renewed(self, claim: Claim) -> int | None:
        """Begin the lease anew: reading took a part of it, and what is sent must land before it ends."""
        asked = self._timing.now_ms()
        if not await self._apart(lambda: self._outbox.renew(claim, due_ms=asked + self._lease_ms())):
            return None
        self._unreadable.pop(claim.effect.uid, None)
        return asked

    async def _guarded(self, look: Awaitable[Found]) -> Found:
        # The lease outlasts the deadline by the settle wait, so a look-up that hangs cannot outlive its claim.
        try:
            async with asyncio.timeout(self._policy.timeout_ms / 1000):
                return await look
        except TimeoutError:
            return Found.UNAVAILABLE

    def _ended(self, claim: Claim, status: FinalStatus, fenced: bool) -> FinalStatus | None:
        if not fenced:
            log.warning(
                "Another worker took the effect over; its record stands.",
                extra={"action": "effect_lost_to_peer", "effect": claim.effect.uid},
            )
            return None
        log.info(
            "Effect ended.",
            extra={"action": "effect_ended", "effect": claim.effect.uid, "status": status.value},
        )
        return status
