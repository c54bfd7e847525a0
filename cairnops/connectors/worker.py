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

from cairnops.connectors.ports import HelpDesk, Outbox
from cairnops.domain import delivery
from cairnops.domain.delivery import Again, Claim, Done, FinalStatus, Found, LookUp
from cairnops.domain.policy import DeliveryPolicy
from cairnops.errors import CairnError
from cairnops.telemetry import tracing

log = logging.getLogger(__name__)

_SPARE_MS, _SPARE_MOST_MS = 50, 60_000

#: How long a worker that stays looks away when there is nothing to do, and when the database is away.
_IDLE_MS, _AWAY_MS = 250, 1000

T = TypeVar("T")


class Timing:
    """The worker's own clock: leases and waits run on real time even when the desk's day is scripted."""

    #: What the clock all workers go by is ahead of this machine's, milliseconds; whoever beats knows it.
    ahead_ms = 0

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self.own_ms() + self.ahead_ms

    def own_ms(self) -> int:
        """What this machine's clock says."""
        return time.time_ns() // 1_000_000

    def counter_us(self) -> int:
        """A counter for durations, microseconds."""
        return time.perf_counter_ns() // 1_000

    async def sleep_ms(self, pause: int) -> None:
        """Wait."""
        await asyncio.sleep(pause / 1000)


async def apart(threads: Executor, call: Callable[[], T]) -> T:
    """Run what waits for the database without holding up the loop; once begun it is waited for, come what may."""
    asked = asyncio.get_running_loop().run_in_executor(threads, call)
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        await asyncio.wait([asked])
        raise


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
    ):
        """`owner` must be unlike any other worker's; `stamp` gives the moments that are recorded.

        `threads` is where the database is waited for; a worker that shares its loop with others needs one, or
        their waits come between its claim and its request.
        """
        self._outbox, self._desk, self._policy = outbox, desk, policy
        self._owner, self._stamp, self._threads = owner, stamp, threads
        self._timing = timing or Timing()
        #: How long after it was asked for a claim may still be used; the lease is longer by as much.
        self._spare_ms = max(policy.settle_ms // 2, _SPARE_MS)

    async def drain(self, *, told: Callable[[str, int, str], None] = lambda *_: None) -> int:
        """Deliver until nothing is left unfinished; returns how many effects ended.

        `told` hears of every end: the effect's uid, the attempt, the final status.
        """
        ended = 0
        while True:
            claim = await self._claim()
            if claim is None:
                due = await self._apart(self._outbox.next_due_ms)
                if due is None:
                    return ended
                await self._timing.sleep_ms(max(1, min(due - self._timing.now_ms(), 1000)))
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

        A database that is away is waited for: what was claimed is looked up by whoever comes first. With
        `once` it leaves when nothing is left unfinished, and does not wait for a database.
        """
        while not stop.is_set():
            pause = 0
            try:
                claim = await self._claim()
                if claim is None:
                    due = await self._apart(self._outbox.next_due_ms)
                    if due is None and once:
                        return
                    pause = _IDLE_MS if due is None else max(1, min(due - self._timing.now_ms(), _IDLE_MS))
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
        return call() if self._threads is None else await apart(self._threads, call)

    async def _claim(self) -> Claim | None:
        """The next effect, or None; a fresh claim that came too late to be used is given back.

        The lease runs from before the claim. After a long wait for the database's lock (or a suspended
        process) a peer may already be looking the effect up, and what we would send now it would miss.
        """
        asked = self._timing.now_ms()
        lease = delivery.lease_ms(self._policy) + self._spare_ms
        pace = self._policy.per_second
        claim = await self._apart(
            lambda: self._outbox.claim(self._owner, now_ms=asked, lease_ms=lease, per_second=pace)
        )
        took = self._timing.now_ms() - asked
        if claim is None or claim.unclear or took <= self._spare_ms:
            return claim
        # On a disk this slow the next one would be late again.
        self._spare_ms = min(2 * took, _SPARE_MOST_MS)
        due = self._timing.now_ms()
        await self._apart(lambda: self._outbox.give_back(claim, due_ms=due))
        log.info(
            "Claim came too late to be used.",
            extra={"action": "claim_given_back", "effect": claim.effect.uid},
        )
        return None

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
        begun = self._timing.counter_us()
        result = await self._desk.deliver(claim.effect)
        step.say(error=result.error_code)
        duration, at = self._timing.counter_us() - begun, self._stamp()
        after = delivery.after_try(result, claim.attempt, self._policy)
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
