"""What a clock that is set does to delivery on every database: nothing."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cairnops.connectors.timing import Timing
from cairnops.connectors.worker import Worker
from cairnops.desk.desk import Desk
from cairnops.domain import delivery
from cairnops.domain.breaker import Outage
from cairnops.domain.conversations import Actor
from cairnops.domain.delivery import Answer, Effect, Found, Result
from cairnops.domain.policy import DeliveryPolicy
from cairnops.domain.requests import Action, Request
from cairnops.store import clock
from cairnops.store.ledger import SqlLedger
from cairnops.store.outages import SqlOutages
from cairnops.store.outbox import SqlOutbox
from cairnops.store.workers import SqlWorkers

AT = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
HOUR_MS = 3_600_000
OK = Result(answer=Answer.OK)
LIMITED = Result(answer=Answer.RETRY, error_code="HTTP_429")
POLICY = DeliveryPolicy(timeout_ms=20_000, settle_ms=10_000, backoff_ms=10)


@pytest.fixture
def put(ledger: SqlLedger, desk_on: Callable[..., Desk]) -> Callable[[], None]:
    """Commit one effect."""
    desk = desk_on(ledger, "101")
    made: list[str] = []

    def committed() -> None:
        made.append("n")
        desk.submit(
            Request(
                action=Action.NOTE,
                conversation="101",
                actor=Actor(email="alex@shop.example"),
                key=f"n{len(made)}",
                note="asked the carrier",
            )
        )

    return committed


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set this machine's clock so many hours from the true time."""
    true = time.time_ns

    def put_on(hours: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: true() + hours * HOUR_MS * 1_000_000)

    return put_on


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "on"])
def test_a_clock_that_is_set_is_not_the_databases(
    database: Any, set_clock: Callable[[int], None], hours: int
) -> None:
    before = SqlWorkers(database.engine).keep_clock()
    set_clock(hours)
    seen = [SqlWorkers(database.engine).clock_ms(), SqlWorkers(database.engine).keep_clock()]
    assert all(0 <= now - before < 60_000 for now in seen), "nor for who comes later"
    timing = Timing()
    timing.learn(SqlWorkers(database.engine).keep_clock)
    assert abs(timing.now_ms() - before) < 60_000


def test_a_file_on_a_machine_that_was_started_anew_goes_by_its_clock(
    tmp_path: Any, another: Any, monkeypatch: pytest.MonkeyPatch, set_clock: Callable[[int], None]
) -> None:
    with another("sqlite", tmp_path / "one") as database:
        before = SqlWorkers(database.engine).keep_clock()
        set_clock(1)
        monkeypatch.setattr(clock, "boot", lambda: "another start")
        workers = SqlWorkers(database.engine)
        for now in (workers.clock_ms(), workers.keep_clock(), workers.clock_ms()):
            assert HOUR_MS <= now - before < HOUR_MS + 60_000


class Remote:
    """A help desk whose answer waits for `answer`, where there is one."""

    def __init__(self) -> None:
        self.sent, self.looked = 0, 0
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def deliver(self, *_: Any) -> Result:
        self.sent += 1
        self.asked.set()
        await self.answer.wait()
        return OK

    async def find(self, _: Effect) -> Found:
        self.looked += 1
        return Found.ABSENT


def worker(database: Any, remote: Remote, name: str) -> Worker:
    engine, timing = database.engine, Timing()
    timing.learn(SqlWorkers(engine).keep_clock)
    return Worker(SqlOutbox(engine), remote, POLICY, owner=name, stamp=lambda: AT, timing=timing)


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "on"])
def test_what_is_on_its_way_stays_with_its_worker(
    database: Any, ledger: SqlLedger, put: Callable[[], None], set_clock: Callable[[int], None], hours: int
) -> None:
    """An hour put on the clock made its lease look over to whoever came next, who looked too early and sent again."""
    put()

    async def run() -> Remote:
        remote = Remote()
        first = asyncio.create_task(worker(database, remote, "a").drain())
        await asyncio.wait_for(remote.asked.wait(), 30)
        set_clock(hours)
        stop = asyncio.Event()
        peer = asyncio.create_task(worker(database, remote, "b").stay(stop))
        await asyncio.sleep(0.1)
        remote.answer.set()
        assert await asyncio.wait_for(first, 30) == 1
        stop.set()
        await asyncio.wait_for(peer, 30)
        return remote

    remote = asyncio.run(run())
    assert (remote.sent, remote.looked) == (1, 0)
    assert [d["final"]["status"] for d in ledger.deliveries()] == ["SUCCESS"]


# What a clock that was wrong has written already


def test_nobody_waits_for_a_moment_no_pause_leads_to(
    database: Any, outbox: SqlOutbox, put: Callable[[], None]
) -> None:
    put(), put()
    now, longest = SqlWorkers(database.engine).keep_clock(), delivery.longest_ms(POLICY)
    claim = outbox.claim("a", now_ms=now, lease_ms=delivery.lease_ms(POLICY), per_second=50)
    assert claim and outbox.set_right(longest) == 0, "a lease is no such moment"
    outbox.tried(claim, LIMITED, due_ms=now + HOUR_MS, at=AT, duration_us=1, looking=False)
    outbox.hold(now + HOUR_MS)
    other = SqlOutbox(database.engine, "another help desk")
    assert other.set_right(longest) == 0
    assert outbox.set_right(longest) == 1
    due = outbox.next_due_ms()
    assert due is not None and now + longest <= due < now + longest + 60_000
    assert outbox.set_right(longest) == 0, "it is done once"
    again = outbox.claim("b", now_ms=due, lease_ms=1, per_second=50)
    assert again is not None and again.attempt == 2


def test_whoever_has_it_in_hand_keeps_it_until_he_has_ended(
    database: Any, outbox: SqlOutbox, put: Callable[[], None]
) -> None:
    put()
    now, longest = SqlWorkers(database.engine).keep_clock(), delivery.longest_ms(POLICY)
    mine = outbox.claim("a", now_ms=now + HOUR_MS, lease_ms=delivery.lease_ms(POLICY))
    assert mine and outbox.set_right(longest) == 1
    assert outbox.claim("b", now_ms=now + delivery.lease_ms(POLICY), lease_ms=9) is None
    assert outbox.finish(mine, delivery.FinalStatus.SUCCESS, at=AT, result=OK, duration_us=1, recovered=False)


def test_a_worker_sets_it_right_by_itself(
    database: Any,
    ledger: SqlLedger,
    outbox: SqlOutbox,
    put: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "longest_ms", lambda _: 300)
    put()
    now = SqlWorkers(database.engine).keep_clock()
    claim = outbox.claim("a", now_ms=now, lease_ms=9)
    assert claim and outbox.tried(claim, LIMITED, due_ms=now + HOUR_MS, at=AT, duration_us=1, looking=False)
    quick = DeliveryPolicy(timeout_ms=100, settle_ms=100, backoff_ms=1, retry_after_cap_ms=1)
    remote, timing = Remote(), Timing()
    remote.answer.set()
    timing.learn(SqlWorkers(database.engine).keep_clock)
    one = Worker(outbox, remote, quick, owner="b", stamp=lambda: AT, timing=timing)
    assert asyncio.run(asyncio.wait_for(one.drain(), 30)) == 1
    assert ledger.deliveries()[0]["final"]["attempt"] == 2


def test_the_help_desk_is_asked_again_although_the_clock_was_set_back(database: Any) -> None:
    outages = SqlOutages(database.engine)
    outages.begin(Outage(since=AT, error="ECONNREFUSED", ask_ms=HOUR_MS))
    assert not outages.take_turn(HOUR_MS - 2000, 1000), "that may have been meant"
    assert outages.take_turn(HOUR_MS - 2001, 1000)
    last = outages.last()
    assert last and last.ask_ms == HOUR_MS - 1001
    assert not SqlOutages(database.engine).take_turn(HOUR_MS - 2001, 1000)
