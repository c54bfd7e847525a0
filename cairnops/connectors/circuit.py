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
        #: Silent tries in a row.
        self._run = 0

    async def last(self) -> Outage | None:
        """The present outage, or the one before."""
        return await self._apart(self._outages.last)

    async def heard(self, silent: bool, *, last: bool) -> bool:
        """Take in what a try or a look-up came to; True when the help desk is down, and it does not count.

        `last`: the effect would end with it.
        """
        if not silent:
            self._run = 0
            return False
        self._run += 1
        known = await self.last()
        if known is not None and known.ended is None:
            return True
        if not breaker.to_be_asked(self._run, self._policy, last=last):
            return False
        self._run = 0
        error = await self._desk.silence()
        if not error:
            return False
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
        back = breaker.over(last, self._stamp())
        if await self._apart(lambda: self._outages.end(back)):
            log.warning("The help desk is back.", extra={"action": "help_desk_back"})
        return 0

    async def _apart(self, call: Callable[[], T]) -> T:
        return await apart(self._threads, call)
