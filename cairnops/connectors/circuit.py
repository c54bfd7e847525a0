"""The breaker of one process: what its workers hear, and the outage that all workers of a database share."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from typing import TypeVar

from cairnops.connectors.ports import HelpDesk, Outages
from cairnops.connectors.timing import Timing, apart
from cairnops.domain import breaker
from cairnops.domain.breaker import Line, Outage
from cairnops.domain.policy import DeliveryPolicy

log = logging.getLogger(__name__)

T = TypeVar("T")


class Circuit:
    """Counts silent tries, and asks whether the help desk is there; all workers of a process go by one."""

    def __init__(
        self,
        outages: Outages,
        desk: HelpDesk,
        policy: DeliveryPolicy,
        *,
        stamp: Callable[[], datetime],
        timing: Timing | None = None,
        threads: Executor | None = None,
    ):
        """As for a worker."""
        self._outages, self._desk, self._policy, self._stamp = outages, desk, policy, stamp
        self._timing, self._threads = timing or Timing(), threads
        #: Silent tries in a row, and the effects of those that were to write something, with no other between them.
        self._run, self._failed = 0, list[str]()
        #: One effect may go although it is down; and whether it has gone.
        self._turn = self._trying = False

    async def last(self) -> Outage | None:
        """The present outage, or the one before."""
        return await self._apart(self._outages.last)

    async def heard(self, silent: bool, *, last: bool, effect: str = "", code: str = "") -> bool:
        """Take in what a try or a look-up came to; True when the help desk is down, and it does not count.

        `last`: the effect would end with it. `effect`: the uid of what was to be written, where it was a try that
        came to the error `code`.
        """
        trying = self._trying and bool(effect)
        if effect:
            self._trying = False
            self._failed = [*self._failed, effect][-self._policy.outage_after :] if silent else []
        if not silent:
            self._run = 0
            if trying and (deaf := await self.last()) is not None and deaf.ended is None:
                await self._back(deaf)
            return False
        self._run += 1
        known = await self.last()
        if known is not None and known.ended is None:
            if trying:
                still = breaker.lasting(known, code, self._timing.now_ms(), self._policy)
                await self._apart(lambda: self._outages.go_on(still))
            return True
        deaf_now = breaker.takes_nothing(self._failed, self._policy)
        if not deaf_now and not breaker.to_be_asked(self._run, self._policy, last=last):
            return False
        self._run = 0
        error = await self._desk.silence() or (breaker.DEAF + code if deaf_now else "")
        if not error:
            return False
        self._failed = []
        found = breaker.begun(error, self._stamp(), self._timing.now_ms(), self._policy)
        if await self._apart(lambda: self._outages.begin(found)):
            log.warning("The help desk is down.", extra={"action": "help_desk_down", "error": error})
        return True

    async def wait_ms(self) -> int:
        """How long nothing may be asked of the help desk, 0 when it is there; asks it when it is time to."""
        last, now_ms = await self.last(), self._timing.now_ms()
        stands = breaker.line(last, now_ms, self._policy)
        if last is None or stands is Line.OPEN:
            return 0
        if stands is Line.DOWN:
            return last.ask_ms - now_ms
        # Nobody else asks before this one has heard.
        if not await self._apart(lambda: self._outages.take_turn(now_ms, breaker.turn_ms(self._policy))):
            return self._policy.ask_again_ms
        error = await self._desk.silence()
        if error:
            still = breaker.lasting(last, error, self._timing.now_ms(), self._policy)
            await self._apart(lambda: self._outages.go_on(still))
            return self._policy.ask_again_ms
        if last.deaf:
            # What it says to a question was never wrong: whether it takes anything is seen when something is sent.
            self._turn = True
        else:
            await self._back(last)
        return 0

    def take_turn(self) -> bool:
        """Whether an effect may be claimed although the help desk is down; one may each time it is asked."""
        turn, self._turn = self._turn, False
        self._trying = self._trying or turn
        return turn

    def leave_turn(self) -> None:
        """What was claimed is only looked up: the next may go."""
        self._turn = True

    async def _back(self, outage: Outage) -> None:
        back = breaker.over(outage, self._stamp())
        if await self._apart(lambda: self._outages.end(back)):
            log.warning("The help desk is back.", extra={"action": "help_desk_back"})

    async def _apart(self, call: Callable[[], T]) -> T:
        return await apart(self._threads, call)
