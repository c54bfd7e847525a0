"""What a worker goes by: a clock for its leases, and threads in which the database is waited for."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from cairnops.ticks import ticks_ms

#: Two clocks this close, beyond what the question took, are taken for one.
_SAME_MS = 5

T = TypeVar("T")


class Timing:
    """The clock of leases and waits: real time even when the desk's day is scripted, and the database's.

    Leases that several keep mean nothing on several clocks. Until it has learnt it is that of this machine.
    """

    #: What the database's clock is ahead of ours, milliseconds.
    _ahead_ms = 0
    _surest_ms = float("inf")

    def __init__(self) -> None:
        self._start_ms = time.time_ns() // 1_000_000 - ticks_ms()

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self.own_ms() + self._ahead_ms

    def own_ms(self) -> int:
        """A clock that nobody sets: an hour put on this machine's would make every lease of the others look over."""
        return self._start_ms + ticks_ms()

    def learn(self, ask: Callable[[], int]) -> None:
        """Ask the database for its clock (`ask`), and go by it from now on.

        The answer is from somewhere in between, so only one that came about as quickly as the best counts: the
        database was away for ten seconds once is no reason to be ten seconds ahead.
        """
        asked, begun = self.own_ms(), time.perf_counter()
        theirs = ask()
        took_ms = (time.perf_counter() - begun) * 1000
        # A clock that drifts must be believed again some time.
        self._surest_ms += 1
        if took_ms > self._surest_ms:
            return
        self._surest_ms = took_ms
        ahead = round(theirs - asked - took_ms / 2)
        self._ahead_ms = ahead if abs(ahead) > took_ms / 2 + _SAME_MS else 0

    def counter_us(self) -> int:
        """A counter for durations, microseconds."""
        return time.perf_counter_ns() // 1_000

    async def sleep_ms(self, pause: int) -> None:
        """Wait."""
        await asyncio.sleep(pause / 1000)


async def apart(threads: Executor | None, call: Callable[[], T]) -> T:
    """Run what waits for the database without holding up the loop; once begun it is waited for, come what may.

    Without threads it holds the loop up.
    """
    if threads is None:
        return call()
    asked = asyncio.get_running_loop().run_in_executor(threads, call)
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        await asyncio.wait([asked])
        raise
