"""What one server process shares: the workspace, the help desk, delivery in the background, and what changed."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from cairnops.connectors.chatwoot.admin import SimulatorAdmin
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.connectors.circuit import Circuit
from cairnops.domain import breaker
from cairnops.domain.breaker import Outage
from cairnops.domain.conversations import Actor, Conversation, Role
from cairnops.errors import CairnError, NotFound, RemoteError
from cairnops.settings import Settings
from cairnops.workspace import Remote, Workspace, now

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How many effects may be on their way at once; one that times out must not hold up the others.
_WORKERS = 4
_POLL_S = 0.25
_SYNC_S = 15.0
#: Of what is no longer among those that wait, so many are asked about each time.
_REST_AT_ONCE = 20
_PROBE_S = 5.0
_CALL_S = 60.0

#: How long a case stays claimed after the last sign of life of the tab that holds it.
LEASE_MS = 20_000

#: Who is named when the process itself reads the help desk.
SYNC = Actor(email="sync@cairnops", role=Role.ADMIN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """How the help desk answered last; `at` None means it has not been read yet."""

    at: datetime | None = None
    #: Why it could not be read or is not set up; empty when all is well.
    problem: str = ""
    #: False when a setting is missing rather than a server down.
    configured: bool = True
    simulated: bool = True


class Room:
    """One per process; every browser session works through it. Its callbacks and loops are its own threads."""

    def __init__(self, root: Path, settings: Settings, clock: Callable[[], datetime] = now):
        self.root, self.settings, self.now = root, settings, clock
        self.workspace = Workspace.open(root, settings)
        self.source = Source()
        #: Why the decision log cannot be written; empty when it can.
        self.log_problem = ""
        self.client: ChatwootClient | None = None
        self.admin: SimulatorAdmin | None = None
        self.remote: Remote | None = None
        self._stack = ExitStack()
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cairnops-room", daemon=True)
        self._threads = ThreadPoolExecutor(_WORKERS, thread_name_prefix="cairnops-delivery")
        self._circuit: Circuit | None = None
        #: The last time the help desk was down, as every worker of the database knows it.
        self.outage: Outage | None = None
        self._stale = asyncio.Event()
        self._wake = asyncio.Event()
        self._wake.set()
        self._touched: set[str] = set()
        # What was found waiting and has not been seen otherwise since, and what of it was asked about last.
        self._waiting: set[str] = set()
        self._asked_last = ""
        self._listeners: set[Callable[[str], None]] = set()
        self._version = (self.workspace.ledger.newest(), 0)
        self._holders: frozenset[tuple[str, str]] = frozenset()
        self._cases: tuple[int, list[Conversation]] = (-1, [])
        self._decided: tuple[int, dict[str, tuple[str, str]]] = (-1, {})
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def start(self) -> "Room":
        """Connect to the help desk and begin to deliver; a help desk that is down is a state, not an error."""
        self._thread.start()
        try:
            self.remote = self._stack.enter_context(self.workspace.help_desk())
        except CairnError as error:
            self.source = Source(problem=f"{error} {error.hint}".strip(), configured=False)
        else:
            self.run(self._connect(self.remote))
        running = [self._watch(), self._probe()]
        if self.client is not None:
            running += [self._sync(), *(self._deliver() for _ in range(_WORKERS))]
        for forever in running:
            asyncio.run_coroutine_threadsafe(forever, self._loop)
        return self

    def stop(self) -> None:
        """Stop delivering (what is left is delivered next time) and let go of everything; harmless twice."""
        if self._closing:
            return
        self._closing = True
        if self._thread.is_alive():
            self.run(self._disconnect())
        self._threads.shutdown()
        self._stack.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._loop.is_running():
            self._loop.close()
        self.workspace.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the room's loop and wait for it.

        Raises:
            CairnError: when it takes longer than a minute; and whatever it raises itself.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(_CALL_S)
        except TimeoutError:
            future.cancel()
            raise CairnError("The help desk did not answer within a minute.", hint="Try again.") from None

    @property
    def problem(self) -> str:
        """Why the help desk cannot be worked with, or is not set up; empty when all is well."""
        down = breaker.why(self.outage)
        return f"{down[:1].upper()}{down[1:]}." if down else self.source.problem

    # What changed.

    @property
    def version(self) -> str:
        """Grows with every event of the ledger and every change of who works on what."""
        return f"{self._version[0]}.{self._version[1]}"

    def listen(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Call `hear` with every new version, from the room's thread; returns what ends it."""
        with self._lock:
            self._listeners.add(hear)
        return lambda: self._listeners.discard(hear)

    def changed(self, conversation: str = "") -> None:
        """This process committed something: tell everybody at once, deliver, and read that conversation again."""
        if conversation:
            self._touched.add(conversation)
        if not self._closing:
            self._loop.call_soon_threadsafe(self._look)

    def _look(self, extra: bool = False) -> None:
        newest = self.workspace.ledger.newest()
        if newest == self._version[0] and not extra:
            return
        self._version = (newest, self._version[1] + extra)
        self._wake.set()
        with self._lock:
            listeners = list(self._listeners)
        for hear in listeners:
            hear(self.version)

    def cases(self) -> list[Conversation]:
        """Every conversation the ledger has; read again only when something was committed."""
        # One reads for all: everybody's page asks at the same moment.
        with self._reading:
            at, cases = self._cases
            newest = self.workspace.ledger.newest()
            if at != newest:
                cases = self.workspace.ledger.conversations()
                self._cases = (newest, cases)
        return cases

    def decided(self) -> dict[str, tuple[str, str]]:
        """What was decided last on each conversation and how it stands; see `SqlLedger.last_decisions`."""
        with self._reading:
            at, decided = self._decided
            newest = self.workspace.ledger.newest()
            if at != newest:
                decided = self.workspace.ledger.last_decisions()
                self._decided = (newest, decided)
        return decided

    # The background.

    async def _connect(self, remote: Remote) -> None:
        self.client = self.workspace.client(remote)
        self._circuit = self.workspace.circuit(self.client, self.now, self._threads)
        if remote.simulated:
            self.admin = SimulatorAdmin(remote.base_url, remote.token)
            # A scripted run may have been cut off with the simulator's clock standing still.
            await self.admin.set_now(None)

    async def _disconnect(self) -> None:
        # A claim or a record on its way to the database is waited for.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        async with AsyncExitStack() as stack:
            for used in (self.client, self.admin):
                if used is not None:
                    await stack.enter_async_context(used)

    async def _deliver(self) -> None:
        assert self.client is not None
        while True:
            await self._wake.wait()
            # Before the work, not after it: what is committed meanwhile must wake somebody.
            self._wake.clear()
            try:
                await self.workspace.deliver(
                    self.client,
                    stamp=self.now,
                    told=self._ended,
                    threads=self._threads,
                    circuit=self._circuit,
                )
            except RemoteError:
                # It is down, and everybody is told so.
                await asyncio.sleep(_POLL_S)
                self._wake.set()
            except CairnError as error:
                log.warning("Delivery pauses.", extra={"action": "delivery_paused", "problem": str(error)})
                await asyncio.sleep(1)
                self._wake.set()
            while self._touched:
                await self.read_one(self._touched.pop())

    def _ended(self, *_: object) -> None:
        self._look()

    async def _watch(self) -> None:
        """See what other processes commit, and who let go of a case without saying so."""
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                claims = self.workspace.claims.held(milliseconds(self.now()))
                holders = frozenset((held.conversation, held.actor.email) for held in claims)
                lapsed, self._holders = holders != self._holders, holders
                self._heed(self.workspace.outages.last())
                self._look(extra=lapsed)
            except CairnError as error:
                self.log_problem = str(error)

    def _heed(self, outage: Outage | None) -> None:
        """Take in how the help desk stands; when it is back, what happened there meanwhile is read at once."""
        was, self.outage = breaker.why(self.outage), outage
        if breaker.why(outage):
            # Somebody has to ask whether it is back, even when nothing is to be sent.
            self._wake.set()
        elif was:
            self._stale.set()

    async def _probe(self) -> None:
        """Whether a decision could be written right now."""
        while True:
            try:
                await asyncio.to_thread(self.workspace.ledger.writable)
                problem = ""
            except CairnError as error:
                problem = str(error)
            if problem != self.log_problem:
                self.log_problem = problem
                self._look(extra=True)
            await asyncio.sleep(1 if problem else _PROBE_S)

    async def _sync(self) -> None:
        while True:
            self._stale.clear()
            await self.read()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stale.wait(), _SYNC_S)

    async def read(self) -> None:
        """Read every open and pending conversation of the help desk into the ledger."""
        assert self.client is not None and self.remote is not None
        before = self.source
        try:
            found = await self.client.escalated()
            desk = self.workspace.desk(self.now)
            for conversation in found:
                desk.observe(conversation, SYNC)
            await self._read_the_rest(self.client, {conversation.id for conversation in found})
            self.source = Source(at=self.now(), simulated=self.remote.simulated)
        except CairnError as error:
            self.source = Source(at=before.at, problem=str(error), simulated=self.remote.simulated)
            if isinstance(error, RemoteError) and self._circuit is not None:
                with suppress(CairnError):
                    await self._circuit.heard(True, last=True)
        self._look(extra=before.at is None or before.problem != self.source.problem)

    async def _read_the_rest(self, client: ChatwootClient, found: set[str]) -> None:
        """Read some of what waited before and is not found waiting now: resolved by a colleague, or given away."""
        # Only what was found before: what is narrowed out of sight stays out of sight.
        left = sorted(self._waiting - found, key=lambda key: (key <= self._asked_last, key))
        self._waiting |= found
        for key in left[:_REST_AT_ONCE]:
            self._asked_last = key
            try:
                conversation = await client.conversation(key)
            except NotFound:
                self._waiting.discard(key)
                log.info("The help desk has it no more.", extra={"action": "conversation_lost"})
                continue
            self.workspace.desk(self.now).observe(conversation, SYNC)
            if conversation.status not in client.reads.statuses:
                self._waiting.discard(key)

    async def read_one(self, conversation: str) -> None:
        """Read one conversation of the help desk into the ledger; a help desk that is down changes nothing."""
        assert self.client is not None
        try:
            found = await self.client.conversation(conversation)
            self.workspace.desk(self.now).observe(found, SYNC)
        except CairnError as error:
            log.info("Not read.", extra={"action": "conversation_not_read", "problem": str(error)})
        self._look()


def milliseconds(at: datetime) -> int:
    """Epoch milliseconds."""
    return round(at.timestamp() * 1000)


_current: list[Room] = []


def enter(room: Room) -> Room:
    """Make it the room of this process; the one before, if any, is its caller's to stop."""
    _current[:] = [room]
    return room


def current() -> Room:
    """The room of this process.

    Raises:
        CairnError: when the page was not started by `cairnops app`.
    """
    if not _current:
        raise CairnError("The desk was not started by `cairnops app`.", hint="Start it with: cairnops app")
    return _current[0]
