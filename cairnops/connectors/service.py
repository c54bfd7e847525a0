"""A process that delivers until it is told to stop: several at once, heard of by the others, on one clock."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from cairnops.connectors.circuit import Circuit
from cairnops.connectors.ports import HelpDesk, Outages, Outbox
from cairnops.connectors.timing import Timing, apart
from cairnops.connectors.worker import Worker
from cairnops.domain.policy import DeliveryPolicy
from cairnops.errors import CairnError

log = logging.getLogger(__name__)

_BEAT_S = 2.0
#: Waits for the database at once; the pool of connections holds a few more.
_THREADS = 6

T = TypeVar("T")


class Book(Protocol):
    """Where workers are listed; both answers are the database's clock, epoch milliseconds."""

    def enter(self, name: str, *, host: str, pid: int, version: str, concurrency: int, at: datetime) -> int:
        """Be listed from now on."""

    def beat(self, name: str, *, delivered: int, failed: int) -> int:
        """Be heard of."""

    def leave(self, name: str) -> None:
        """Be listed no longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """How the process is listed."""

    name: str
    host: str
    pid: int
    version: str


class Service:
    """One delivering process; any number of them may share an outbox.

    Counts what ended in its hands in `ended`, by final status.
    """

    def __init__(
        self,
        outbox: Outbox,
        book: Book,
        desk: HelpDesk,
        policy: DeliveryPolicy,
        who: Identity,
        *,
        concurrency: int,
        stamp: Callable[[], datetime],
        outages: Outages | None = None,
    ):
        """With `outages` it leaves a help desk that is down in peace; see `Worker`."""
        self._book, self._who, self._stamp, self._concurrency = book, who, stamp, concurrency
        self.timing = Timing()
        self._threads = ThreadPoolExecutor(min(concurrency, _THREADS) + 1, "cairnops-worker")
        circuit = (
            None
            if outages is None
            else Circuit(outages, desk, policy, stamp=stamp, timing=self.timing, threads=self._threads)
        )
        self._workers = [
            Worker(
                outbox,
                desk,
                policy,
                # One that looks its neighbour's effect up must not be taken for the neighbour.
                owner=f"{who.name}-{number}",
                stamp=stamp,
                timing=self.timing,
                threads=self._threads,
                circuit=circuit,
            )
            for number in range(concurrency)
        ]
        self.ended: Counter[str] = Counter()
        self._heard: float | None = None

    @property
    def silent_s(self) -> float | None:
        """How long ago the database last took a sign of life; None when it never did."""
        return None if self._heard is None else time.monotonic() - self._heard

    async def run(
        self,
        stop: asyncio.Event,
        *,
        once: bool = False,
        told: Callable[[str, int, str], None] = lambda *_: None,
    ) -> None:
        """Deliver until `stop`, or with `once` until nothing is left; what is under way is finished first.

        Raises:
            CairnError: when the database cannot be reached at the start; with `once`, later too.
        """

        def ended(uid: str, attempt: int, status: str) -> None:
            self.ended[status] += 1
            told(uid, attempt, status)

        who = self._who
        try:
            await self._heard_of(
                lambda: self._book.enter(
                    who.name,
                    host=who.host,
                    pid=who.pid,
                    version=who.version,
                    concurrency=self._concurrency,
                    at=self._stamp(),
                )
            )
            beats = asyncio.create_task(self._beats())
            try:
                async with asyncio.TaskGroup() as group:
                    for worker in self._workers:
                        group.create_task(worker.stay(stop, once=once, told=ended))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            finally:
                beats.cancel()
                with suppress(asyncio.CancelledError):
                    await beats
                with suppress(CairnError):
                    await self._apart(lambda: self._book.leave(who.name))
        finally:
            self._threads.shutdown()

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            arrived = self.ended["SUCCESS"]
            failed = self.ended.total() - arrived
            with suppress(CairnError):
                await self._heard_of(
                    lambda a=arrived, f=failed: self._book.beat(self._who.name, delivered=a, failed=f)
                )

    async def _heard_of(self, call: Callable[[], int]) -> None:
        # Timed where it is made: waiting for a thread is not the database's doing.
        await self._apart(lambda: self.timing.learn(call))
        self._heard = time.monotonic()

    async def _apart(self, call: Callable[[], T]) -> T:
        return await apart(self._threads, call)
