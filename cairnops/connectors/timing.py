"""What a worker goes by: a clock for its leases, and threads in which the database is waited for."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

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
