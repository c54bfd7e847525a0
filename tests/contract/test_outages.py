"""What an outage promises on every database: it begins once, one asks, nothing is claimed, what waited is looked at."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairnops.connectors.circuit import Circuit
from cairnops.connectors.worker import Timing, Worker
from cairnops.desk.desk import Desk
from cairnops.domain import stale
from cairnops.domain.breaker import Outage
from cairnops.domain.conversations import Actor, Role, Status
from cairnops.domain.delivery import Answer, Claim, Effect, Found, Result
from cairnops.domain.policy import DeliveryPolicy
from cairnops.domain.requests import Action, Request
from cairnops.domain.stale import Mark, Seen
from cairnops.errors import RemoteError
from cairnops.store import tables as t
from cairnops.store.jobs import SqlJobs
from cairnops.store.ledger import SqlLedger
from cairnops.store.outages import SqlOutages
from cairnops.store.outbox import SqlOutbox

T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
DOWN = Outage(since=T0, error="ECONNREFUSED", ask_ms=5000)
OK = Result(answer=Answer.OK)
REFUSED = Result(answer=Answer.RETRY, error_code="ECONNREFUSED")
BROKEN = Result(answer=Answer.UNKNOWN, error_code="HTTP_503")
POLICY = DeliveryPolicy(
    max_attempts=3, timeout_ms=50, settle_ms=30, backoff_ms=10, outage_after=5, ask_again_ms=1000
)


@pytest.fixture
def outages(database: Any) -> SqlOutages:
    return SqlOutages(database.engine)


def test_an_outage_begins_once_and_ends_once(database: Any, outages: SqlOutages, ledger: SqlLedger) -> None:
    peer = SqlOutages(database.engine)
    assert outages.last() is None
    assert (outages.begin(DOWN), peer.begin(replace(DOWN, since=T0 + timedelta(hours=1)))) == (True, False)
    assert outages.last() == DOWN
    back = replace(DOWN, ended=T0 + timedelta(minutes=5))
    assert (peer.end(back), outages.end(back)) == (True, False)
    assert outages.last() == back
    again = replace(DOWN, since=T0 + timedelta(hours=2), error="HTTP_503")
    assert outages.begin(again) and outages.last() == again
    told = [(e["kind"], e["at"][11:16], e["actor"]) for e in ledger.events()]
    assert told == [
        ("help_desk.down", "17:00", "delivery@cairnops"),
        ("help_desk.back", "17:05", "delivery@cairnops"),
        ("help_desk.down", "19:00", "delivery@cairnops"),
    ]


def test_of_all_who_find_out_at_once_one_says_so(database: Any, ledger: SqlLedger) -> None:
    peers = [SqlOutages(database.engine) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda peer: peer.begin(DOWN), peers))
    assert sorted(said) == [False, False, False, True]
    assert len(ledger.events(kind="help_desk.down")) == 1


def test_of_all_who_come_one_asks(database: Any, outages: SqlOutages) -> None:
    outages.begin(DOWN)
    peers = [SqlOutages(database.engine) for _ in range(3)]
    assert [p.take_turn(4999, 1000) for p in peers] == [False] * 3
    assert [p.take_turn(5000, 1000) for p in peers] == [True, False, False]
    assert [p.take_turn(5999, 1000) for p in peers] == [False] * 3
    assert peers[1].take_turn(6000, 1000), "who asked never came back, and the next one does"
    outages.go_on(replace(DOWN, error="HTTP_502", ask_ms=9000))
    assert outages.last() == replace(DOWN, error="HTTP_502", ask_ms=9000)
    outages.end(replace(DOWN, ended=T0))
    assert not peers[0].take_turn(99_000, 1000), "nobody asks for what is over"


def test_one_help_desk_is_not_another(database: Any, outages: SqlOutages) -> None:
    other = SqlOutages(database.engine, "chatwoot:elsewhere")
    outages.begin(DOWN)
    assert other.last() is None and not other.take_turn(9999, 1000) and not other.end(replace(DOWN, ended=T0))
    assert outages.last() == DOWN


# Workers


@pytest.fixture
def decide(ledger: SqlLedger, desk_on: Callable[..., Desk], approve: Callable[..., Request]) -> Any:
    """Approve a reply on a conversation; returns the effect's uid."""
    desk = desk_on(ledger, "101", "102", "103")

    def made(conversation: str = "101") -> str:
        asked = approve(f"k{conversation}", conversation=conversation, note="")
        (effect,) = desk.submit(asked).effects
        return effect

    return made


def test_a_heedful_worker_takes_nothing_while_it_lasts(
    outages: SqlOutages, outbox: SqlOutbox, decide: Any
) -> None:
    decide()
    outages.begin(DOWN)
    assert outbox.claim("w", now_ms=1, lease_ms=80, heedful=True) is None
    outages.end(replace(DOWN, ended=T0))
    assert outbox.claim("w", now_ms=1, lease_ms=80, heedful=True) is not None


def test_one_that_goes_by_the_script_does_not_heed_it(
    outages: SqlOutages, outbox: SqlOutbox, decide: Any
) -> None:
    decide()
    outages.begin(DOWN)
    assert outbox.claim("w", now_ms=1, lease_ms=80) is not None


class Clock(Timing):
    """A day that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def now_ms(self) -> int:
        return self.now

    async def sleep_ms(self, pause: int) -> None:
        self.now += pause


class Remote:
    """A help desk that is there or not, and that shows what a test puts there."""

    def __init__(self, clock: Clock):
        self.clock, self.answer, self.there = clock, OK, True
        #: What was tried, and what of it arrived.
        self.sent: list[str] = []
        #: What it chokes on.
        self.broken: set[str] = set()
        self.landed: list[str] = []
        self.asked: list[int] = []
        self.stands: Seen | None = None
        self.read = 0

    async def deliver(self, effect: Effect, *_: Any) -> Result:
        self.sent.append(effect.uid)
        answer = BROKEN if effect.uid in self.broken else self.answer if self.there else REFUSED
        if answer is OK:
            self.landed.append(effect.uid)
        return answer

    async def find(self, _: Effect) -> Found:
        return Found.ABSENT if self.there else Found.UNAVAILABLE

    async def standing(self, _: str) -> Seen | None:
        self.read += 1
        return self.stands if self.there else None

    async def silence(self) -> str:
        self.asked.append(self.clock.now)
        return "" if self.there else "ECONNREFUSED"


class Bench:
    """Some workers of one process, on a clock of their own."""

    def __init__(self, database: Any):
        self.clock = Clock()
        self.remote = Remote(self.clock)
        self.at = T0
        self.outbox, self.outages = SqlOutbox(database.engine), SqlOutages(database.engine)
        self.jobs, self.ledger = SqlJobs(database.engine), SqlLedger(database.engine)

    def worker(self, policy: DeliveryPolicy = POLICY) -> Worker:
        circuit = Circuit(self.outages, self.remote, policy, stamp=lambda: self.at, timing=self.clock)
        return Worker(
            self.outbox,
            self.remote,
            policy,
            owner="w",
            stamp=lambda: self.at,
            timing=self.clock,
            circuit=circuit,
        )

    def drain(self, policy: DeliveryPolicy = POLICY) -> int:
        return asyncio.run(self.worker(policy).drain())

    def states(self) -> list[tuple[str, int]]:
        return [(job.stage, job.attempt) for job in self.jobs.listed(everything=True)]


@pytest.fixture
def bench(database: Any) -> Bench:
    return Bench(database)


@pytest.mark.parametrize("outage_after", [1, 50])
def test_nothing_ends_because_the_help_desk_was_down(bench: Bench, decide: Any, outage_after: int) -> None:
    for conversation in ("101", "102", "103"):
        decide(conversation)
    bench.remote.there = False
    with pytest.raises(RemoteError, match=r"has not answered since 17:00 UTC \(ECONNREFUSED\)"):
        bench.drain(replace(POLICY, outage_after=outage_after))
    # Each was tried at most as often as it takes to be sure, and the last try was undone.
    assert all(stage == "ready" and attempt < POLICY.max_attempts for stage, attempt in bench.states())
    tried = len(bench.remote.sent)
    for _ in range(50):
        bench.clock.now += 100
        with pytest.raises(RemoteError):
            bench.drain()
    assert len(bench.remote.sent) == tried, "while it is down nothing is sent"
    assert len(bench.remote.asked) <= 7, "and it is asked once a second"
    bench.remote.there, bench.remote.stands = True, stale.seen(bench.ledger.conversation("101"))  # type: ignore[arg-type]
    bench.clock.now += 1000
    assert bench.drain() == 3
    assert [stage for stage, _ in bench.states()] == ["success"] * 3


def test_what_may_have_arrived_is_looked_up_when_it_is_back(bench: Bench, decide: Any) -> None:
    decide()
    bench.remote.answer = BROKEN

    async def gone(_: Effect) -> Found:
        bench.remote.there = False
        return Found.UNAVAILABLE

    bench.remote.find = gone  # type: ignore[method-assign]
    with pytest.raises(RemoteError):
        bench.drain()
    assert bench.states() == [("looking", 1)]

    async def present(_: Effect) -> Found:
        return Found.PRESENT

    bench.remote.there, bench.remote.find = True, present  # type: ignore[method-assign]
    bench.clock.now += 1000
    assert bench.drain() == 1 and len(bench.remote.sent) == 1
    (row,) = bench.ledger.deliveries()
    assert (row["final"]["status"], row["final"]["recovered"], row["final"]["attempt"]) == (
        "SUCCESS",
        True,
        1,
    )


def test_one_effect_the_help_desk_chokes_on_is_no_outage(bench: Bench, decide: Any) -> None:
    choked = decide("101")
    bench.remote.broken = {choked}
    bench.drain(replace(POLICY, max_attempts=8))
    assert bench.outages.last() is None and bench.states() == [("failed", 8)]


def rounds(bench: Bench, count: int) -> None:
    for _ in range(count):
        bench.clock.now += 1000
        bench.at += timedelta(seconds=1)
        with pytest.raises(RemoteError, match="has taken nothing since"):
            bench.drain()


def test_nothing_ends_because_the_help_desk_took_nothing(bench: Bench, decide: Any) -> None:
    """It answers every question and refuses everything that is to be written with 503."""
    for conversation in ("101", "102", "103"):
        decide(conversation)
    bench.remote.stands = stale.seen(bench.ledger.conversation("101"))  # type: ignore[arg-type]
    bench.remote.answer = BROKEN
    with pytest.raises(RemoteError, match=r"has taken nothing since 17:00 UTC \(HTTP_503\)"):
        bench.drain()
    assert len(bench.remote.sent) == POLICY.outage_after
    rounds(bench, 25)
    tried = bench.remote.sent[POLICY.outage_after :]
    assert 10 <= len(tried) <= 25, "one effect an interval, no more"
    assert len(set(tried)) == 3, "each has its turn"
    assert {stage for stage, _ in bench.states()} <= {"ready", "looking"}
    bench.remote.answer = OK
    bench.clock.now += 40_000
    bench.at += timedelta(seconds=40)
    assert bench.drain() == 3
    assert [stage for stage, _ in bench.states()] == ["success"] * 3 and len(bench.remote.landed) == 3
    kinds = [e["kind"] for e in bench.ledger.events() if e["kind"].startswith("help_desk.")]
    assert kinds == ["help_desk.down", "help_desk.back"]


def test_what_it_chokes_on_does_not_keep_the_others_waiting(bench: Bench, decide: Any) -> None:
    choked, fine = decide("101"), [decide("102"), decide("103")]
    bench.remote.stands = stale.seen(bench.ledger.conversation("101"))  # type: ignore[arg-type]
    bench.remote.answer = BROKEN
    with pytest.raises(RemoteError):
        bench.drain()
    bench.remote.answer, bench.remote.broken = OK, {choked}
    for _ in range(8):
        bench.clock.now += 1000
        bench.at += timedelta(seconds=1)
        with suppress(RemoteError):
            bench.drain()
    assert sorted(bench.remote.landed) == sorted(fine)
    assert sorted(stage for stage, _ in bench.states()) == ["failed", "success", "success"]
    assert (last := bench.outages.last()) is not None and last.ended is not None


def test_that_it_answers_again_is_not_enough_where_it_took_nothing(bench: Bench, decide: Any) -> None:
    for conversation in ("101", "102", "103"):
        decide(conversation)
    bench.remote.stands = stale.seen(bench.ledger.conversation("101"))  # type: ignore[arg-type]
    bench.remote.answer = BROKEN
    with pytest.raises(RemoteError):
        bench.drain()
    bench.remote.there = False
    bench.clock.now += 1000
    with pytest.raises(RemoteError, match=r"has taken nothing since 17:00 UTC .ECONNREFUSED"):
        bench.drain()
    bench.remote.there = True
    rounds(bench, 3)


WROTE = Mark(at=T0 + timedelta(minutes=20), id="2000")


@pytest.mark.parametrize(
    ("waited", "moved", "ends"),
    [
        pytest.param(timedelta(minutes=9), True, "success", id="fresh: nobody looks"),
        pytest.param(timedelta(minutes=11), False, "success", id="old, and as it was"),
        pytest.param(timedelta(minutes=11), True, "parked", id="old, and the customer wrote"),
    ],
)
def test_what_waited_for_long_is_sent_only_if_it_is_still_right(
    bench: Bench, decide: Any, waited: timedelta, moved: bool, ends: str
) -> None:
    uid = decide()
    then = stale.seen(bench.ledger.conversation("101"))  # type: ignore[arg-type]
    bench.remote.stands = replace(then, customer=WROTE) if moved else then
    bench.at = T0 + waited
    bench.drain()
    assert bench.states() == [(ends, 1 if ends == "success" else 0)]
    assert bench.remote.read == (waited > timedelta(minutes=10))
    assert bench.remote.sent == ([uid] if ends == "success" else [])
    if ends == "parked":
        job = bench.jobs.job(uid)
        assert bench.ledger.last_decisions()["101"] == ("chatwoot.approve_send", "parked")
        assert (job.reason, job.parked_by) == ("the customer wrote again at 17:20 UTC", "delivery@cairnops")


def test_what_a_person_has_looked_at_is_sent_however_it_stands(bench: Bench, decide: Any) -> None:
    uid = decide()
    bench.remote.stands = Seen(status=Status.RESOLVED)
    bench.at = T0 + timedelta(hours=1)
    bench.drain()
    assert bench.jobs.job(uid).reason == "it was resolved in the help desk"
    who = Actor(email="sam@shop.example", role=Role.LEAD)
    assert bench.jobs.retry(uid, who, at=bench.at, now_ms=bench.clock.now) == ("back", uid)
    bench.drain()
    assert bench.states() == [("success", 1)] and bench.remote.sent == [uid]


def test_what_nobody_can_read_is_left_to_a_person_in_the_end(bench: Bench, decide: Any) -> None:
    uid = decide()
    bench.at = T0 + timedelta(hours=1)
    bench.drain()
    assert bench.states() == [("parked", 0)] and bench.remote.sent == []
    assert "nobody can read" in bench.jobs.job(uid).reason
    assert bench.remote.read == POLICY.max_attempts


def test_a_note_and_a_label_are_sent_however_late(
    bench: Bench, desk_on: Callable[..., Desk], ledger: SqlLedger
) -> None:
    desk = desk_on(ledger)
    desk.submit(
        Request(
            action=Action.ESCALATE,
            conversation="101",
            actor=Actor(email="a@shop.example"),
            key="e",
            reason="unsure",
            note="please look",
        )
    )
    bench.remote.stands, bench.at = Seen(status=Status.RESOLVED), T0 + timedelta(hours=1)
    bench.drain()
    assert [stage for stage, _ in bench.states()] == ["success", "success"] and bench.remote.read == 0


def test_a_look_that_took_the_lease_is_not_followed_by_a_send(bench: Bench, decide: Any) -> None:
    """Somebody else has taken it over meanwhile: to send it now would be to send it twice."""
    decide()
    then = stale.seen(bench.ledger.conversation("101"))  # type: ignore[arg-type]
    bench.at = T0 + timedelta(hours=1)
    taken: list[Claim | None] = []

    async def slowly(_: str) -> Seen:
        bench.clock.now += 10_000
        taken.append(bench.outbox.claim("peer", now_ms=bench.clock.now, lease_ms=80))
        return then

    bench.remote.standing = slowly  # type: ignore[method-assign]
    claim = bench.outbox.claim("w", now_ms=bench.clock.now, lease_ms=80)
    assert claim is not None
    assert asyncio.run(bench.worker().step(claim)) is None
    assert bench.remote.sent == [] and taken[0] is not None


STEP = st.tuples(
    st.sampled_from(["deliver", "down", "up", "decide", "wait", "customer"]), st.integers(0, 4000)
)


@given(steps=st.lists(STEP, max_size=14))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_each_effect_is_sent_once_or_waits_for_a_person(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request], steps: list[tuple[str, int]]
) -> None:
    bench = Bench(database)
    before = number = len(bench.jobs.listed(everything=True))
    desk = desk_on(bench.ledger, *(str(500 + n) for n in range(number, number + 15)))
    wrote = False
    for what, pause in [*steps, ("up", 2000), ("deliver", 0)]:
        bench.clock.now += pause
        bench.at += timedelta(milliseconds=pause)
        if what in ("down", "up"):
            bench.remote.there = what == "up"
        elif what == "customer":
            wrote = True
        elif what == "decide":
            assert desk.submit(approve(f"k{number}", conversation=str(500 + number), note="")).number
            number += 1
        elif what == "deliver":
            case = bench.ledger.conversation("500")
            if case is not None:
                then = stale.seen(case)
                bench.remote.stands = replace(then, customer=WROTE) if wrote else then
            try:
                bench.drain()
            except RemoteError:
                assert not bench.remote.there
    made = [job for job in bench.jobs.listed(everything=True) if int(job.conversation) >= 500 + before]
    assert len(made) == number - before
    for job in made:
        landed = bench.remote.landed.count(job.uid)
        assert (job.stage, landed) in (("success", 1), ("parked", 0))
        assert wrote or job.stage == "success"


def test_how_it_stood_is_written_beside_the_effect_and_nowhere_else(
    database: Any, decide: Any, ledger: SqlLedger
) -> None:
    uid = decide()
    names = [column.name for column in t.effect.columns]
    rows = [dict(zip(names, row, strict=True)) for row in database.rows("effect")]
    (seen,) = [json.loads(row["seen"]) for row in rows if row["uid"] == uid]
    assert seen["status"] == "open" and seen["customer"]["id"] == "1011"
    assert "seen" not in ledger.decisions()[0]
