"""Delivery through everything that can go wrong on the wire: at most once in effect, and the final status is true."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cairnops.connectors.chatwoot import shapes
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.connectors.timing import Timing
from cairnops.connectors.worker import Worker
from cairnops.domain.changes import Change, Entry
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.delivery import EffectDraft, EffectKind
from cairnops.domain.policy import DeliveryPolicy, profile
from cairnops.domain.switches import without
from cairnops.errors import RemoteError
from cairnops.store.engine import open_sqlite
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox

TOKEN = "t0ken"
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
ALEX = Actor(email="alex@shop.example")
#: A second is not waited for: what takes 0.8 s is late here.
POLICY = DeliveryPolicy(max_attempts=3, timeout_ms=800, settle_ms=400, backoff_ms=5)
#: Where no single outcome is asked for, and nobody minds a machine that stands still for a while.
HASTY = replace(POLICY, timeout_ms=400, settle_ms=600)
#: Sure to land after the deadline.
LATE_MS = 1000
#: What lands late is sure to have landed before the look-up, whatever else the machine has to do.
PATIENT = replace(POLICY, settle_ms=2000)

DRAFTS = {
    EffectKind.REPLY: {"text": "Hi Alex, **not** bold.\n=1+1"},
    EffectKind.NOTE: {"text": "asked the carrier"},
    EffectKind.LABELS: {"add": "escalation"},
    EffectKind.STATUS: {"status": "resolved"},
    EffectKind.ASSIGN: {"team": "CX leads"},
}
CALLS = {
    EffectKind.REPLY: "create_message",
    EffectKind.NOTE: "private_note",
    EffectKind.LABELS: "labels",
    EffectKind.STATUS: "toggle_status",
    EffectKind.ASSIGN: "assignments",
}
ACTIVITY = 2


@dataclass(kw_only=True)
class Bench:
    """A ledger with effects in it, a simulator to take them to, and the eyes to compare both."""

    folder: Path
    simulator: ChatwootSimulator
    ledger: SqlLedger

    def put(self, key: int, *kinds: EffectKind) -> None:
        """One conversation on both sides, with effects of these kinds waiting."""
        conversation = Conversation(
            id=str(key),
            customer="Alex Rivera",
            customer_key=f"alex{key}@example.test",
            status=Status.OPEN,
            created_at=T0,
            tags=("vip",),
            messages=(Message(id=f"{key}1", author=Author.CUSTOMER, text="where is it?", at=T0),),
        )
        self.simulator.seed(shapes.to_seed(conversation))
        if not self.simulator.state.records("team"):
            self.simulator.state.furnish("team", [{"name": "CX leads"}])
        self.ledger.observe(conversation, at=T0, actor=ALEX, breached_at=None)
        self.ledger.commit(
            Change(
                conversation=str(key),
                entry=Entry(
                    kind="note.added", at=T0, actor=ALEX, conversation=str(key), key=f"k{key}", body={}
                ),
                effects=[EffectDraft(kind=kind, payload=DRAFTS[kind]) for kind in kinds],
            )
        )

    def drain(self, policy: DeliveryPolicy = POLICY, workers: int = 4) -> int:
        """Let so many workers, each with its own client, deliver until nothing is left."""

        async def one(number: int, client: ChatwootClient) -> int:
            outbox = SqlOutbox(self.ledger.engine)
            return await Worker(outbox, client, policy, owner=f"w{number}", stamp=lambda: T0).drain()

        async def all_() -> int:
            async with AsyncExitStack() as stack, asyncio.timeout(60):
                # Made and connected before the first claim: eight clients at once take longer than a deadline.
                clients = [await stack.enter_async_context(self.client(policy)) for _ in range(workers)]
                for client in clients:
                    with suppress(RemoteError):
                        await client.whoami()
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(one(n, client)) for n, client in enumerate(clients)]
            return sum(task.result() for task in tasks)

        return asyncio.run(all_())

    def client(self, policy: DeliveryPolicy = POLICY) -> ChatwootClient:
        return ChatwootClient(self.simulator.base_url, 1, TOKEN, timeout_ms=policy.timeout_ms)

    def carried_out(self, row: dict[str, Any]) -> int:
        """How often the effect was carried out, by the simulator's own books."""
        messages = self.simulator.messages(int(row["conversation"]))
        match row["kind"]:
            case "reply" | "note":
                return sum(m["run_key"] == row["run_key"] for m in messages)
            case "labels":
                told = "added escalation"
            case "assign":
                told = "Assigned to CX leads"
            case _:
                told = "marked resolved"
        return sum(m["message_type"] == ACTIVITY and told in (m["content"] or "") for m in messages)

    def tries(self, row: dict[str, Any]) -> int:
        """How often the effect arrived at the simulator, whatever it did with it."""
        there = f"/conversations/{row['conversation']}/"
        call = CALLS[EffectKind(row["kind"])]
        return sum(r["call"] == call and there in r["path"] for r in self.simulator.requests())

    def faults(self, *faults: dict[str, Any]) -> None:
        self.simulator.set_faults(faults)

    def judged(self) -> Counter[str]:
        """The final statuses; every one of them compared with what stands in the simulator."""
        rows = self.ledger.deliveries()
        for row in rows:
            final, count = row["final"], self.carried_out(row)
            assert final is not None, row
            assert count <= 1, f"{count} times: {row}"
            if final["status"] != "UNKNOWN":
                assert (final["status"] == "SUCCESS") == (count == 1), row
            assert [a["attempt"] for a in row["attempts"]] == list(range(1, final["attempt"] + 1))
            assert (final["status"] == "SUCCESS") == (final["error_code"] == "")
        return Counter(row["final"]["status"] for row in rows)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    ledger = SqlLedger(open_sqlite(tmp_path / "ledger.db"))
    with ChatwootSimulator(tmp_path / "simulator.db", TOKEN) as simulator:
        yield Bench(folder=tmp_path, simulator=simulator, ledger=ledger)
    ledger.close()


KINDS = tuple(EffectKind)
# What each fault comes to: at the first attempt only, and at every one. Status, attempt, error.
OUTCOMES = [
    pytest.param({"action": "timeout"}, ("SUCCESS", 2, None), ("TIMEOUT", 3, "ETIMEDOUT"), id="timeout"),
    pytest.param(
        {"action": "connection_reset"},
        ("SUCCESS", 2, None),
        ("FAILED", 3, "ECONNRESET"),
        id="connection_reset",
    ),
    pytest.param(
        {"action": "rate_limited", "retry_after_s": 0},
        ("SUCCESS", 2, None),
        ("FAILED", 3, "HTTP_429"),
        id="rate_limited",
    ),
    pytest.param(
        {"action": "server_error", "status": 502},
        ("SUCCESS", 2, None),
        ("FAILED", 3, "HTTP_502"),
        id="server_error",
    ),
    pytest.param({"action": "slow", "delay_ms": 60}, ("SUCCESS", 1, None), ("SUCCESS", 1, None), id="slow"),
    pytest.param(
        {"action": "slow", "delay_ms": 5000}, ("SUCCESS", 2, None), ("TIMEOUT", 3, "ETIMEDOUT"), id="too slow"
    ),
    pytest.param(
        {"action": "accepted_no_answer"}, ("SUCCESS", 1, None), ("SUCCESS", 1, None), id="accepted_no_answer"
    ),
    pytest.param(
        {"action": "accepted_no_answer", "close": True},
        ("SUCCESS", 1, None),
        ("SUCCESS", 1, None),
        id="accepted_then_reset",
    ),
    pytest.param(
        {"action": "accepted_late", "delay_ms": LATE_MS},
        ("SUCCESS", 1, None),
        ("SUCCESS", 1, None),
        id="accepted_late",
    ),
    pytest.param(
        {"action": "malformed_body"}, ("SUCCESS", 1, None), ("SUCCESS", 1, None), id="malformed_body"
    ),
]


@pytest.mark.parametrize(("fault", "once", "always"), OUTCOMES)
def test_every_fault_for_every_kind(
    bench: Bench, fault: dict[str, Any], once: tuple[Any, ...], always: tuple[Any, ...]
) -> None:
    rules = []
    for place, kind in enumerate(KINDS):
        bench.put(100 + place, kind)
        bench.put(200 + place, kind)
        rules += [
            fault | {"match": {"call": CALLS[kind], "conversation_id": 100 + place, "attempts": [1]}},
            fault | {"match": {"call": CALLS[kind], "conversation_id": 200 + place}},
        ]
    bench.faults(*rules)
    awaited = fault["action"] in ("timeout", "accepted_no_answer") or fault.get("delay_ms", 0) > 60
    # Where the deadline is not what is asked about, none is missed because the machine is busy.
    policy = replace(POLICY, timeout_ms=30_000) if not awaited or fault.get("close") else POLICY
    policy = PATIENT if fault["action"] == "accepted_late" else policy
    assert bench.drain(policy, workers=8) == 2 * len(KINDS)
    bench.judged()
    for row in bench.ledger.deliveries():
        final = row["final"]
        wanted = once if row["conversation"].startswith("1") else always
        if bench.tries(row) < final["attempt"]:
            # The machine stood still over a deadline: what never left was rightly sent again.
            continue
        assert (final["status"], final["attempt"], final["error_code"] or None) == wanted, (
            row["kind"],
            row["conversation"],
            row["attempts"],
        )
    # Labels are added to what stands, never put in its place.
    for key in (102, 202):
        assert "vip" in (bench.simulator.state.conversation(key) or {})["labels"]
    # What was approved is what stands there, byte for byte.
    for row in bench.ledger.deliveries():
        if row["kind"] == "reply" and row["final"]["status"] == "SUCCESS":
            said = bench.simulator.messages(int(row["conversation"]))
            assert [m["content"] for m in said if m["run_key"]] == [DRAFTS[EffectKind.REPLY]["text"]]


MIX = [
    "timeout", "connection_reset", "rate_limited", "server_error", "slow", "accepted_no_answer",
    "accepted_late", "malformed_body",
]  # fmt: skip


def mixed(bench: Bench, seed: int, percent: int) -> None:
    """Faults on everything, look-ups and reading included."""
    bench.faults(
        {
            "random": {"rate_percent": percent, "seed": seed, "actions": MIX},
            "delay_ms": 450,
            "retry_after_s": 0,
        }
    )


@pytest.mark.parametrize(("seed", "percent"), [(1, 20), (2, 35), (3, 60)])
def test_a_seeded_mix_of_faults_on_every_call(bench: Bench, seed: int, percent: int) -> None:
    for key in range(100, 116):
        bench.put(key, *KINDS)
    mixed(bench, seed, percent)
    assert bench.drain(HASTY, workers=10) == 80
    struck = Counter(r["fault"] for r in bench.simulator.requests())
    print(
        f"seed {seed}: {dict(bench.judged())}, struck {sum(struck.values()) - struck['']} of {sum(struck.values())}"
    )
    assert sum(struck.values()) - struck[""] >= sum(struck.values()) * percent / 200
    assert set(MIX) <= set(struck)
    tries = [a for row in bench.ledger.deliveries() for a in row["attempts"]]
    assert len(tries) > 80


def doubled(bench: Bench) -> int:
    return sum(
        bench.carried_out(row) > 1
        for row in bench.ledger.deliveries()
        if row["kind"] in (EffectKind.REPLY, EffectKind.NOTE)
    )


@pytest.mark.parametrize("action", ["accepted_no_answer", "accepted_late", "malformed_body"])
def test_without_the_look_up_replies_are_doubled_and_this_bench_sees_it(bench: Bench, action: str) -> None:
    for key in range(100, 104):
        bench.put(key, EffectKind.REPLY)
    fault: dict[str, Any] = {"action": action, "match": {"call": "create_message", "attempts": [1, 2]}}
    bench.faults(fault | ({"delay_ms": LATE_MS} if action == "accepted_late" else {}))
    rash = without(replace(profile("dry-run"), delivery=POLICY), "delivery.at_most_once").delivery
    bench.drain(rash, workers=1)
    assert doubled(bench) >= 1
    with pytest.raises(AssertionError, match="times"):
        bench.judged()


def test_without_the_settle_wait_a_late_landing_is_doubled_and_this_bench_sees_it(bench: Bench) -> None:
    bench.put(100, EffectKind.REPLY)
    bench.faults(
        {
            "action": "accepted_late",
            "delay_ms": LATE_MS,
            "match": {"call": "create_message", "attempts": [1]},
        }
    )
    bench.drain(replace(POLICY, settle_ms=0), workers=1)
    until = time.monotonic() + 30
    while doubled(bench) == 0 and time.monotonic() < until:
        time.sleep(0.02)
    assert doubled(bench) == 1


LOOK_UPS = {
    EffectKind.REPLY: "messages",
    EffectKind.NOTE: "messages",
    EffectKind.STATUS: "get",
    EffectKind.ASSIGN: "get",
}


@pytest.mark.parametrize("kind", list(LOOK_UPS))
@pytest.mark.parametrize("how", ["server_error", "timeout", "malformed_body", "connection_reset"])
def test_when_nobody_can_find_out_it_ends_unknown_and_is_not_sent_again(
    bench: Bench, kind: EffectKind, how: str
) -> None:
    bench.put(100, kind)
    bench.put(101, kind)
    bench.faults(
        {"action": "accepted_no_answer", "match": {"call": CALLS[kind], "conversation_id": 100}},
        {"action": "timeout", "match": {"call": CALLS[kind], "conversation_id": 101}},
        {"action": how, "match": {"call": LOOK_UPS[kind]}},
    )
    # One worker: beside a second one, a machine that stands still makes it a worker that was lost.
    bench.drain(replace(POLICY, timeout_ms=250, settle_ms=60), workers=1)
    assert bench.judged() == {"UNKNOWN": 2}
    for row in bench.ledger.deliveries():
        final = row["final"]
        assert (final["attempt"], final["error_code"]) == (1, "ETIMEDOUT")
        assert bench.tries(row) <= 1


@pytest.mark.parametrize(
    ("given", "cap", "at_least", "at_most"),
    [
        pytest.param(1, 30_000, 1.0, 3.0, id="honoured"),
        pytest.param(3600, 200, 0.2, 2.0, id="capped"),
    ],
)
def test_retry_after(bench: Bench, given: int, cap: int, at_least: float, at_most: float) -> None:
    bench.put(100, EffectKind.REPLY)
    bench.faults(
        {
            "action": "rate_limited",
            "retry_after_s": given,
            "match": {"call": "create_message", "attempts": [1]},
        }
    )
    begun = time.monotonic()
    bench.drain(replace(POLICY, retry_after_cap_ms=cap), workers=1)
    spent = time.monotonic() - begun
    assert bench.judged() == {"SUCCESS": 1}
    assert at_least <= spent <= at_most


def reopened(bench: Bench) -> None:
    """The same help desk again, at the same address."""
    bench.simulator = ChatwootSimulator(
        bench.folder / "simulator.db", TOKEN, port=bench.simulator.port
    ).start()


def test_the_help_desk_is_away_for_a_while_and_nothing_is_lost(bench: Bench) -> None:
    for key in range(100, 106):
        bench.put(key, *KINDS)
    bench.simulator.stop()

    async def away(seconds: float) -> None:
        await asyncio.sleep(seconds)
        reopened(bench)

    async def story() -> None:
        policy = replace(POLICY, max_attempts=8, backoff_ms=50)
        outbox = SqlOutbox(bench.ledger.engine)
        async with (
            ChatwootClient(bench.simulator.base_url, 1, TOKEN, timeout_ms=250) as client,
            asyncio.timeout(60),
        ):
            worker = Worker(outbox, client, policy, owner="w", stamp=lambda: T0)
            await asyncio.gather(worker.drain(), away(0.6))

    try:
        asyncio.run(story())
        assert bench.judged() == {"SUCCESS": 6 * len(KINDS)}
        refused = [a for row in bench.ledger.deliveries() for a in row["attempts"] if a["answer"] == "retry"]
        assert {a["error_code"] for a in refused} == {"ECONNREFUSED"}
    finally:
        bench.simulator.stop()


def test_the_help_desk_goes_away_after_it_took_everything_and_nothing_is_doubled(bench: Bench) -> None:
    for key in range(100, 104):
        bench.put(key, EffectKind.REPLY, EffectKind.NOTE)
    bench.faults({"action": "accepted_no_answer", "close": True})

    async def story() -> None:
        policy = replace(POLICY, max_attempts=8, settle_ms=100, backoff_ms=30)
        outbox = SqlOutbox(bench.ledger.engine)
        async with (
            ChatwootClient(bench.simulator.base_url, 1, TOKEN, timeout_ms=250) as client,
            asyncio.timeout(60),
        ):
            worker = Worker(outbox, client, policy, owner="w", stamp=lambda: T0)

            async def away() -> None:
                await asyncio.sleep(0.15)
                bench.simulator.stop()
                await asyncio.sleep(0.3)
                reopened(bench)
                bench.faults()

            await asyncio.gather(worker.drain(), away())

    try:
        asyncio.run(story())
        judged = bench.judged()
        assert judged["SUCCESS"] + judged["UNKNOWN"] == 8
    finally:
        bench.simulator.stop()


def test_it_stays_away_and_that_is_what_is_told(bench: Bench) -> None:
    bench.put(100, *KINDS)
    bench.simulator.stop()
    bench.drain(workers=1)
    assert {(r["final"]["status"], r["final"]["error_code"]) for r in bench.ledger.deliveries()} == {
        ("FAILED", "ECONNREFUSED")
    }
    reopened(bench)
    try:
        assert bench.judged() == {"FAILED": len(KINDS)}
    finally:
        bench.simulator.stop()


@pytest.mark.parametrize("status", ["not there", "too long"])
def test_a_refusal_is_not_tried_again(bench: Bench, status: str) -> None:
    bench.put(100, EffectKind.REPLY)
    if status == "not there":
        bench.simulator.state.reset()
    else:
        key = bench.ledger.commit(
            Change(
                conversation="100",
                entry=Entry(kind="note.added", at=T0, actor=ALEX, conversation="100", key="long", body={}),
                effects=[EffectDraft(kind=EffectKind.REPLY, payload={"text": "x" * 150_001})],
            )
        ).effects
        assert key
    bench.drain(workers=1)
    last = bench.ledger.deliveries()[-1]["final"]
    assert (last["status"], last["attempt"]) == ("FAILED", 1)
    assert last["error_code"] == ("HTTP_404" if status == "not there" else "HTTP_422")


def test_an_effect_of_a_conversation_waits_for_the_one_before(bench: Bench) -> None:
    bench.put(100, EffectKind.REPLY, EffectKind.NOTE, EffectKind.STATUS)
    bench.faults({"action": "timeout", "match": {"call": "create_message", "attempts": [1]}})
    bench.drain(workers=4)
    calls = [r["call"] for r in bench.simulator.requests() if r["method"] == "POST"]
    assert calls == ["create_message", "create_message", "private_note", "toggle_status"]


def test_recorded_durations_are_of_the_attempt_itself(bench: Bench) -> None:
    for key in (100, 101):
        bench.put(key, EffectKind.REPLY)
    bench.faults(
        {"action": "slow", "delay_ms": 120, "match": {"call": "create_message", "conversation_id": 100}},
        {"action": "accepted_no_answer", "match": {"call": "create_message", "conversation_id": 101}},
    )
    bench.drain(workers=2)
    slow, recovered = (row["final"] for row in bench.ledger.deliveries())
    assert timedelta(milliseconds=120) <= timedelta(microseconds=slow["duration_us"]) < timedelta(seconds=1)
    assert (recovered["recovered"], recovered["duration_us"]) == (True, None)


class Suspended(Timing):
    """A clock that is an hour on once it has been looked at so often: there the process stood still."""

    def __init__(self, looks: int):
        super().__init__()
        self._looks = looks

    def now_ms(self) -> int:
        self._looks -= 1
        return super().now_ms() + (3_600_000 if self._looks < 0 else 0)


@pytest.mark.parametrize(
    ("looks", "sent"),
    [
        pytest.param(1, 0, id="while it claimed"),
        pytest.param(2, 0, id="after the claim"),
        pytest.param(3, 0, id="while it connected"),
        pytest.param(4, 0, id="between headers and body"),
        pytest.param(5, 1, id="after it was sent"),
    ],
)
def test_whoever_was_suspended_past_the_lease_sends_nothing(bench: Bench, looks: int, sent: int) -> None:
    bench.put(101, EffectKind.NOTE)
    stop = asyncio.Event()

    class Outbox(SqlOutbox):
        def give_back(self, *given: Any, **named: Any) -> bool:
            stop.set()
            return super().give_back(*given, **named)

    async def story() -> None:
        async with ChatwootClient(bench.simulator.base_url, 1, TOKEN, timeout_ms=5000) as client:
            outbox = Outbox(bench.ledger.engine)
            worker = Worker(outbox, client, POLICY, owner="w", stamp=lambda: T0, timing=Suspended(looks))
            await asyncio.wait_for(worker.stay(stop, told=lambda *_: stop.set()), 30)

    try:
        before = len(bench.simulator.state.messages(101))
        asyncio.run(story())
        assert len(bench.simulator.state.messages(101)) - before == sent
    finally:
        bench.simulator.stop()
