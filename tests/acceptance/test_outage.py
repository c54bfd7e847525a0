"""An hour without a help desk: decided meanwhile, asked for now and then, and right when it is back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cairnops.connectors.chatwoot import shapes
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.connectors.chatwoot.state import ACTIVITY, State
from cairnops.connectors.service import Identity, Service
from cairnops.desk.desk import Desk
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Role, Status
from cairnops.domain.jobs import Job
from cairnops.domain.policy import DeliveryPolicy, profile
from cairnops.domain.requests import Action, Flags, Request
from cairnops.store.engine import open_sqlite
from cairnops.store.jobs import SqlJobs
from cairnops.store.ledger import SqlLedger
from cairnops.store.outages import SqlOutages
from cairnops.store.outbox import SqlOutbox
from cairnops.store.workers import SqlWorkers

TOKEN = "t0ken"
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
ALEX = Actor(email="alex@shop.example")
SAM = Actor(email="sam@shop.example", role=Role.LEAD)
POLICY = DeliveryPolicy(timeout_ms=250, settle_ms=150, backoff_ms=10, ask_again_ms=100)
KEYS = ("101", "102", "103", "104", "105", "106", "107", "108")


def case(key: str) -> Conversation:
    return Conversation(
        id=key,
        customer="Alex Rivera",
        customer_key=f"alex{key}@example.test",
        status=Status.OPEN,
        created_at=T0 - timedelta(hours=2),
        messages=(
            Message(id=f"{key}1", author=Author.CUSTOMER, text="Where is it?", at=T0 - timedelta(hours=2)),
        ),
    )


class Story:
    """A desk, two processes of workers, and a help desk that can be taken away; the day is the test's."""

    def __init__(self, folder: Path):
        self.folder, self.at = folder, T0
        engine = open_sqlite(folder / "ledger.db")
        self.ledger, self.jobs, self.outages = SqlLedger(engine), SqlJobs(engine), SqlOutages(engine)
        self._engine = engine
        self.desk = Desk(self.ledger, profile("dry-run"), Flags(), lambda: self.at, "shop.example")
        self.simulator = ChatwootSimulator(folder / "simulator.db", TOKEN).start()
        self.port = self.simulator.port
        for key in KEYS:
            self.simulator.seed(shapes.to_seed(case(key)))
        #: How often somebody knocked at the door that nobody answers.
        self.knocks = 0

    def close(self) -> None:
        self.simulator.stop()
        self.ledger.close()

    def decide(self, conversation: str, action: Action = Action.APPROVE_SEND, **more: Any) -> None:
        asked = {"text": f"Hi Alex, about {conversation}."} if action is Action.APPROVE_SEND else {}
        receipt = self.desk.submit(
            Request(
                action=action,
                conversation=conversation,
                actor=ALEX,
                key=f"{conversation}/{action}/{self.at:%H%M}",
                **(asked | more),
            )
        )
        assert receipt.number, receipt.sentence

    @asynccontextmanager
    async def workers(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            running = []
            for number in range(2):
                client = ChatwootClient(
                    f"http://127.0.0.1:{self.port}", 1, TOKEN, timeout_ms=POLICY.timeout_ms
                )
                await stack.enter_async_context(client)
                who = Identity(name=f"w{number}", host="h", pid=number, version="1")
                service = Service(
                    SqlOutbox(self._engine), SqlWorkers(self._engine), client, POLICY, who, concurrency=2,
                    stamp=lambda: self.at, outages=self.outages,
                )  # fmt: skip
                running.append(asyncio.create_task(service.run(stop)))
            yield
            stop.set()
            await asyncio.gather(*running)

    @asynccontextmanager
    async def gone(self, how: str) -> AsyncIterator[None]:
        """The help desk is away for as long as the context lasts; what happens there meanwhile is `meanwhile`."""
        if how != "away":
            self.simulator.set_faults([{"action": how}])
            yield
            self.meanwhile(self.simulator.state)
            self.simulator.set_faults([])
            return
        self.simulator.stop()

        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.knocks += 1
            writer.transport.abort()

        # Something that takes a connection and hangs up counts those who come.
        door = await asyncio.start_server(hang_up, "127.0.0.1", self.port)
        yield
        door.close()
        await door.wait_closed()
        offline = State(self.folder / "simulator.db", 1)
        self.meanwhile(offline)
        offline.close()
        self.simulator = ChatwootSimulator(self.folder / "simulator.db", TOKEN, port=self.port).start()

    def meanwhile(self, state: State) -> None:
        """What customers and colleagues do while we see nothing of it."""
        epoch = int(self.at.timestamp())
        state.customer_says(102, "It has arrived, thanks!", epoch, "k")
        state.customer_says(107, "Please do not close this.", epoch, "k")
        state.change(103, {"status": "resolved"})
        state.change(104, {"team_id": state.add_record("team", {"name": "fraud"})["id"]})
        state.add_message(105, {"message_type": 1, "content": "I have answered from my phone."})

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.02)

    def heard(self, how: str) -> int:
        """How often the help desk was asked anything so far."""
        return self.knocks if how == "away" else len(self.simulator.requests())

    def waiting(self) -> list[Job]:
        return [job for job in self.jobs.listed(everything=True) if not job.status and job.stage != "parked"]

    def replies(self) -> Counter[str]:
        """How often the help desk has which reply of ours, by conversation."""
        return Counter(
            str(m["conversation_id"])
            for m in self.simulator.messages()
            if m["run_key"] and m["message_type"] != ACTIVITY and not m["private"]
        )


@pytest.mark.parametrize("how", ["away", "server_error", "timeout"])
def test_an_hour_without_a_help_desk(tmp_path: Path, how: str) -> None:
    story = Story(tmp_path)

    async def told() -> None:
        async with ChatwootClient(story.simulator.base_url, 1, TOKEN, timeout_ms=5000) as client:
            for key in KEYS:
                story.desk.observe(await client.conversation(key), ALEX)
        async with story.workers():
            async with story.gone(how):
                for key in ("101", "102", "103", "104", "105"):
                    story.decide(key)
                await story.until(lambda: (last := story.outages.last()) is not None and last.ended is None)
                # Nobody is tried in vain any more, and what is decided later waits like the rest.
                begun, knocks = asyncio.get_running_loop().time(), story.heard(how)
                story.at = T0 + timedelta(minutes=30)
                story.decide("106")
                # Our own reply, which goes out before, is no reason against it.
                story.decide("106", Action.MARK_RESOLVED)
                story.decide("107", Action.MARK_RESOLVED)
                story.decide("108", Action.ESCALATE, reason="unsure", note="please look")
                await story.until(lambda: story.heard(how) >= knocks + 6)
                asked = asyncio.get_running_loop().time() - begun
                # One question an interval by both processes together, and what was under way when it began.
                most = asked * 1000 / POLICY.ask_again_ms + 4
                assert story.heard(how) - knocks <= most, f"{story.heard(how) - knocks} in {asked:.2f} s"
                assert len(story.waiting()) == 10
                assert all(job.attempt < POLICY.max_attempts for job in story.waiting())
                story.at = T0 + timedelta(hours=1)
            await story.until(lambda: not story.waiting())
            held = {
                j.conversation: j.reason for j in story.jobs.listed(everything=True) if j.stage == "parked"
            }
            assert held == {
                "102": "the customer wrote again at 18:00 UTC",
                "103": "it was resolved in the help desk",
                "104": "it was assigned to team fraud",
                "105": f"somebody answered in the help desk at {answered(story)}",
                "107": "the customer wrote again at 18:00 UTC",
            }
            assert story.replies() == {"101": 1, "106": 1}
            assert story.simulator.state.conversation(106)["status"] == "resolved"  # type: ignore[index]
            assert story.simulator.state.conversation(107)["status"] == "open"  # type: ignore[index]
            assert story.simulator.state.conversation(108)["labels"] == ["escalation"]  # type: ignore[index]
            # A person has looked, and has one of them sent after all.
            (parked,) = [j for j in story.jobs.listed() if j.conversation == "105"]
            epoch_ms = parked.due_ms or 0
            assert story.jobs.retry(parked.uid, SAM, at=story.at, now_ms=epoch_ms)[0] == "back"
            await story.until(lambda: not story.waiting())
            assert story.replies() == {"101": 1, "105": 1, "106": 1}
        kinds = [e["kind"] for e in story.ledger.events() if e["kind"].startswith("help_desk.")]
        assert kinds == ["help_desk.down", "help_desk.back"]

    try:
        asyncio.run(told())
    finally:
        story.close()


def test_a_help_desk_that_answers_and_takes_nothing(tmp_path: Path) -> None:
    """Its web workers are there, and whatever is to be written fails: nothing may use up its tries on that."""
    story = Story(tmp_path)

    async def told() -> None:
        async with ChatwootClient(story.simulator.base_url, 1, TOKEN, timeout_ms=5000) as client:
            for key in KEYS:
                story.desk.observe(await client.conversation(key), ALEX)
        story.simulator.set_faults([{"action": "server_error", "match": {"call": "create_message"}}])
        # All wait before anybody looks: one alone could use up its tries, for it may be what the help desk chokes on.
        for key in KEYS[:6]:
            story.decide(key)
        async with story.workers():
            await story.until(lambda: (last := story.outages.last()) is not None and last.deaf)
            begun = len(writes(story))
            story.at = T0 + timedelta(minutes=5)
            await story.until(lambda: len(writes(story)) >= begun + 4)
            assert len(story.waiting()) == 6 and not story.replies()
            story.simulator.set_faults([])
            story.at = T0 + timedelta(minutes=6)
            await story.until(lambda: not story.waiting())
        assert story.replies() == dict.fromkeys(KEYS[:6], 1)
        kinds = [e["kind"] for e in story.ledger.events() if e["kind"].startswith("help_desk.")]
        assert kinds == ["help_desk.down", "help_desk.back"]

    try:
        asyncio.run(told())
    finally:
        story.close()


def writes(story: Story) -> list[Any]:
    return [r for r in story.simulator.requests() if r["method"] == "POST"]


def answered(story: Story) -> str:
    (message,) = [m for m in story.simulator.messages(105) if m["message_type"] == 1 and not m["run_key"]]
    return f"{datetime.fromtimestamp(message['created_at'], UTC):%H:%M} UTC"
