"""What whoever keeps delivery going is promised on every database: order, pace, parking, and sending again once."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from cairnops.connectors.service import Identity, Service
from cairnops.desk.desk import Desk
from cairnops.domain import jobs as rules
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.delivery import Answer, Claim, Effect, FinalStatus, Found, Result
from cairnops.domain.jobs import Job, JobState
from cairnops.domain.policy import DeliveryPolicy
from cairnops.domain.requests import Request
from cairnops.errors import CairnError, NotFound
from cairnops.store import tables as t
from cairnops.store.engine import writing
from cairnops.store.jobs import SqlJobs
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox
from cairnops.store.workers import STALE_MS, SqlWorkers

AT = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
NOW = round(AT.timestamp() * 1000)
LEASE = 800
SAM = Actor(email="sam@shop.example", role=Role.LEAD)
OK, REFUSED = Result(answer=Answer.OK), Result(answer=Answer.REJECT, error_code="HTTP_422")
LIMITED = Result(answer=Answer.RETRY, error_code="HTTP_429")


@pytest.fixture
def jobs(database: Any) -> SqlJobs:
    return SqlJobs(database.engine)


def claim(outbox: SqlOutbox, now: int = NOW, **pace: int) -> Claim | None:
    return outbox.claim("w", now_ms=now, lease_ms=LEASE, **pace)


def uid(claimed: Claim | None) -> str:
    return claimed.effect.uid if claimed else ""


def end(outbox: SqlOutbox, claimed: Claim | None, status: FinalStatus, result: Result | None = OK) -> None:
    assert claimed is not None
    assert outbox.finish(claimed, status, at=AT, result=result, duration_us=1, recovered=False)


def states(jobs: SqlJobs, now: int = NOW) -> list[str]:
    return [rules.state(job, now).value for job in jobs.listed(everything=True)]


# Parking


def test_what_is_parked_is_not_taken_and_holds_nobody_up(
    jobs: SqlJobs, outbox: SqlOutbox, ledger: SqlLedger, note: Callable[..., str]
) -> None:
    first, second = note(), note()
    jobs.park(first, SAM, "wrong customer", at=AT, now_ms=NOW)
    assert states(jobs) == ["parked", "waiting"]
    assert uid(claim(outbox)) == second
    assert outbox.next_due_ms() == NOW + LEASE
    (told,) = ledger.events(kind="job.parked")
    assert (told["actor"], told["role"]) == (SAM.email, "lead")
    parked = jobs.job(first)
    assert (parked.parked_by, parked.reason) == (SAM.email, "wrong customer")
    assert rules.why(parked) == f"wrong customer ({SAM.email})"


def test_nothing_is_left_to_wait_for_when_all_is_parked(
    jobs: SqlJobs, outbox: SqlOutbox, note: Callable[..., str]
) -> None:
    jobs.park(note(), SAM, "later", at=AT, now_ms=NOW)
    assert outbox.next_due_ms() is None and claim(outbox, NOW + 10**9) is None


def test_what_was_never_tried_goes_back_as_it_was(
    jobs: SqlJobs, outbox: SqlOutbox, ledger: SqlLedger, note: Callable[..., str]
) -> None:
    first = note()
    jobs.park(first, SAM, "later", at=AT, now_ms=NOW)
    assert jobs.retry(first, SAM, at=AT, now_ms=NOW) == ("back", first)
    taken = claim(outbox)
    assert taken is not None and (uid(taken), taken.attempt, taken.unclear) == (first, 1, False)
    assert [e["actor"] for e in ledger.events(kind="job.retried")] == [SAM.email]


def test_what_was_tried_before_it_was_parked_is_looked_up_first(
    jobs: SqlJobs, outbox: SqlOutbox, note: Callable[..., str]
) -> None:
    first = note()
    taken = claim(outbox)
    assert taken and outbox.tried(taken, LIMITED, due_ms=NOW + 9000, at=AT, duration_us=1, looking=False)
    assert states(jobs) == ["retrying"]
    jobs.park(first, SAM, "later", at=AT, now_ms=NOW)
    jobs.retry(first, SAM, at=AT, now_ms=NOW)
    again = claim(outbox)
    assert again is not None and (again.attempt, again.unclear) == (1, True)


def test_the_word_of_a_worker_whose_effect_was_parked_meanwhile_is_refused(
    jobs: SqlJobs, outbox: SqlOutbox, note: Callable[..., str]
) -> None:
    first = note()
    taken = claim(outbox)
    with pytest.raises(CairnError, match="on its way just now"):
        jobs.park(first, SAM, "stop", at=AT, now_ms=NOW)
    jobs.park(first, SAM, "stop", at=AT, now_ms=NOW + LEASE)
    assert taken is not None
    assert not outbox.finish(taken, FinalStatus.SUCCESS, at=AT, result=OK, duration_us=1, recovered=False)
    assert states(jobs, NOW + LEASE) == ["parked"]


# Sending again


@pytest.fixture
def failed(outbox: SqlOutbox, note: Callable[..., str]) -> str:
    """An effect that was refused for good."""
    made = note()
    end(outbox, claim(outbox), FinalStatus.FAILED, REFUSED)
    return made


def test_what_ended_without_arriving_is_parked_by_itself(jobs: SqlJobs, failed: str) -> None:
    assert states(jobs) == ["parked"]
    assert rules.why(jobs.job(failed)) == "FAILED at attempt 1: HTTP_422"


def test_what_ended_is_sent_again_as_another_effect_of_the_same_decision(
    jobs: SqlJobs, outbox: SqlOutbox, ledger: SqlLedger, failed: str
) -> None:
    what, fresh = jobs.retry(failed, SAM, at=AT, now_ms=NOW, found=Found.ABSENT)
    assert what == "again" and fresh != failed
    assert states(jobs) == ["done", "waiting"]
    end(outbox, claim(outbox), FinalStatus.SUCCESS)
    before, after = ledger.deliveries()
    assert states(jobs) == ["done", "done"]
    assert (before["final"]["status"], after["final"]["status"]) == ("FAILED", "SUCCESS")
    assert after["run_key"] == f"{before['run_key']}.again"
    same = ("decision", "number", "conversation", "session", "kind", "payload")
    assert [before[k] for k in same] == [after[k] for k in same]


def test_it_is_sent_again_once(jobs: SqlJobs, failed: str) -> None:
    jobs.retry(failed, SAM, at=AT, now_ms=NOW, found=Found.ABSENT)
    with pytest.raises(CairnError, match="sent again already"):
        jobs.retry(failed, SAM, at=AT, now_ms=NOW, found=Found.ABSENT)
    assert len(jobs.listed(everything=True)) == 2


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(Found.UNAVAILABLE, "could double it", id="the help desk cannot say"),
        pytest.param(None, "could double it", id="nobody looked"),
    ],
)
def test_it_is_not_sent_blind(jobs: SqlJobs, failed: str, found: Found | None, said: str) -> None:
    with pytest.raises(CairnError, match=said):
        jobs.retry(failed, SAM, at=AT, now_ms=NOW, found=found)
    assert states(jobs) == ["parked"]


def test_what_had_arrived_is_recorded_and_not_sent(jobs: SqlJobs, ledger: SqlLedger, failed: str) -> None:
    assert jobs.retry(failed, SAM, at=AT, now_ms=NOW, found=Found.PRESENT) == ("found", failed)
    assert states(jobs) == ["done"]
    assert [e["actor"] for e in ledger.events(kind="job.found")] == [SAM.email]


def test_a_conversation_that_moved_on_is_not_answered_twice(
    jobs: SqlJobs,
    outbox: SqlOutbox,
    ledger: SqlLedger,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
) -> None:
    desk = desk_on(ledger)
    desk.submit(approve("k1"))
    end(outbox, claim(outbox), FinalStatus.FAILED, REFUSED)
    end(outbox, claim(outbox), FinalStatus.SUCCESS)
    second = desk.submit(approve("k2"))
    assert second.number
    (reply,) = [d["uid"] for d in ledger.deliveries() if d["final"] and d["final"]["status"] == "FAILED"]
    with pytest.raises(CairnError, match=f"moved on: decision {second.number} sent its own reply"):
        jobs.retry(reply, SAM, at=AT, now_ms=NOW, found=Found.ABSENT)


def test_while_it_is_sent_again_nobody_acts_on_the_conversation_anew(
    jobs: SqlJobs,
    outbox: SqlOutbox,
    ledger: SqlLedger,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
) -> None:
    desk = desk_on(ledger)
    desk.submit(approve("k1"))
    end(outbox, claim(outbox), FinalStatus.FAILED, REFUSED)
    reply = ledger.deliveries()[0]["uid"]
    jobs.retry(reply, SAM, at=AT, now_ms=NOW, found=Found.ABSENT)
    assert ledger.last_decisions()["101"] == ("chatwoot.approve_send", "open")
    assert not desk.submit(approve("k2")).number


# Who may, and what

JOB = Job(
    uid="u", run_key="k", number=1, conversation="1", session="", kind="reply", urgency=2, destination="d",
    stage="ready", attempt=0, error="", due_ms=0, owner="", status="", overtaken_by=0, repeated=False, found=False,
)  # fmt: skip
PARKED = replace(JOB, stage="parked", parked_by="sam")
FAILED = replace(JOB, stage="failed", status="FAILED", due_ms=None)
QA = Actor(email="q@shop.example", role=Role.QA)


@pytest.mark.parametrize(
    ("job", "actor", "park", "retry"),
    [
        pytest.param(JOB, SAM, "", "tried again by itself", id="waiting"),
        pytest.param(replace(JOB, owner="w", due_ms=9), SAM, "on its way", "by itself", id="under way"),
        pytest.param(replace(JOB, owner="w", due_ms=5), SAM, "", "by itself", id="its worker died"),
        pytest.param(PARKED, SAM, "parked already, by sam", "", id="parked"),
        pytest.param(FAILED, SAM, "has ended", "", id="failed"),
        pytest.param(replace(FAILED, status="SUCCESS"), SAM, "has ended", "has arrived", id="arrived"),
        pytest.param(replace(FAILED, found=True), SAM, "has ended", "has arrived", id="found"),
        pytest.param(replace(FAILED, repeated=True), SAM, "has ended", "again already", id="sent again"),
        pytest.param(replace(FAILED, overtaken_by=7), SAM, "has ended", "decision 7", id="overtaken"),
        pytest.param(
            replace(PARKED, overtaken_by=7), SAM, "already", "decision 7", id="parked and overtaken"
        ),
        pytest.param(
            replace(PARKED, destination="e"), SAM, "already", "another help desk, e", id="elsewhere"
        ),
        pytest.param(PARKED, QA, "qa does not act", "qa does not act", id="who only reviews"),
    ],
)
def test_what_may_be_done(job: Job, actor: Actor, park: str, retry: str) -> None:
    for said, wanted in (
        (rules.refuse_park(job, actor, 5), park),
        (rules.refuse_retry(job, actor, 5, "d"), retry),
    ):
        assert wanted in said and bool(wanted) == bool(said)


def test_an_effect_nobody_knows_is_said_so(jobs: SqlJobs) -> None:
    for call in (jobs.job, jobs.events, lambda u: jobs.park(u, SAM, "x", at=AT, now_ms=NOW)):
        with pytest.raises(NotFound, match="There is no effect nope"):
            call("nope")


# Order and pace


def test_the_most_urgent_go_first_but_never_before_their_own(
    database: Any, outbox: SqlOutbox, note: Callable[..., str]
) -> None:
    slow, other, first, second = note("101"), note("102"), note("103"), note("103")
    with writing(database.engine) as c:
        c.execute(update(t.effect).where(t.effect.c.uid.in_([other, second])).values(urgency=1))
    assert [uid(claim(outbox)) for _ in range(3)] == [other, slow, first]
    assert claim(outbox) is None, "the urgent note waits for the one before it"


def test_what_an_urgent_case_waits_for_is_urgent(
    ledger: SqlLedger, jobs: SqlJobs, desk_on: Callable[..., Desk], approve: Callable[..., Request], case: Any
) -> None:
    desk = desk_on(ledger)
    late = case("104")
    asked = tuple(replace(m, at=m.at - timedelta(hours=3)) for m in late.messages)
    desk.observe(replace(late, created_at=asked[0].at, messages=asked), SAM)
    desk.submit(approve("k1"))
    desk.submit(approve("k2", conversation="104"))
    told = {d["conversation"].removeprefix("chatwoot:"): d["priority"] for d in ledger.decisions()}
    assert told["104"] == "P1" != told["101"]
    assert {job.conversation: job.urgency for job in jobs.listed()} == {"101": 2, "104": 1}


def test_a_pace_holds_for_all_workers_together(database: Any, note: Callable[..., str]) -> None:
    for _ in range(3):
        for conversation in ("101", "102", "103"):
            note(conversation)
    workers = [SqlOutbox(database.engine), SqlOutbox(database.engine)]
    went = []
    for now in range(NOW, NOW + 1000):
        outbox = workers[now % 2]
        while (taken := claim(outbox, now, per_second=5)) is not None:
            went.append(now - NOW)
            end(outbox, taken, FinalStatus.SUCCESS)
    assert went == [0, 200, 400, 600, 800]
    assert workers[0].next_due_ms() == NOW + 1000
    # Late, it catches up a tenth of a second and no more.
    late = NOW + 60_000
    assert [claim(workers[0], late, per_second=10) is not None for _ in range(3)] == [True, True, False]


def test_whoever_is_told_to_wait_waits_for_all(
    database: Any, outbox: SqlOutbox, note: Callable[..., str]
) -> None:
    note("101"), note("102")
    outbox.hold(NOW + 5000)
    assert claim(outbox, per_second=100) is not None, "nothing is known of a pace yet"
    outbox.hold(NOW + 5000)
    outbox.hold(NOW + 4000)
    other = SqlOutbox(database.engine)
    assert claim(other, NOW + 4999, per_second=100) is None and other.next_due_ms() == NOW + 5000
    assert claim(other, NOW + 5000, per_second=100) is not None


# Workers, and what waits


def test_workers_are_listed_while_they_are_heard_of(database: Any) -> None:
    book = SqlWorkers(database.engine, "here")
    began = book.enter("a", host="h", pid=1, version="1", concurrency=4, at=AT)
    book.enter("b", host="h", pid=2, version="1", concurrency=1, at=AT + timedelta(seconds=1))
    book.beat("a", delivered=3, failed=1)
    book.leave("b")
    (one,) = book.listed()
    assert (one["name"], one["alive"], one["delivered"], one["failed"]) == ("a", True, 3, 1)
    with writing(database.engine) as c:
        c.execute(update(t.worker).values(beat_ms=began - STALE_MS - 60_000))
    assert [w["alive"] for w in book.listed()] == [False]
    with writing(database.engine) as c:
        c.execute(update(t.worker).values(beat_ms=began - 25 * 3_600_000))
    book.enter("c", host="h", pid=3, version="1", concurrency=1, at=AT)
    assert [w["name"] for w in book.listed()] == ["c"], "one that died long ago is forgotten"


def test_the_queue_in_figures(
    database: Any, outbox: SqlOutbox, jobs: SqlJobs, note: Callable[..., str]
) -> None:
    book = SqlWorkers(database.engine)
    assert book.queue(AT).waiting == 0
    note("101"), note("101")
    jobs.park(note("103"), SAM, "later", at=AT, now_ms=NOW)
    now = book.enter("a", host="h", pid=1, version="1", concurrency=4, at=AT)
    taken = outbox.claim("w", now_ms=now, lease_ms=60_000)
    queue = book.queue(AT)
    assert (queue.waiting, queue.under_way, queue.retrying, queue.parked) == (2, 1, 0, 1)
    assert queue.overdue_ms == 0, "it is in somebody's hands"
    assert taken and outbox.tried(taken, LIMITED, due_ms=now - 5000, at=AT, duration_us=1, looking=False)
    queue = book.queue(AT)
    assert (queue.under_way, queue.retrying) == (0, 1)
    assert 5000 <= queue.overdue_ms < 65_000
    assert book.queue(AT + timedelta(hours=3)).oldest_ms == queue.oldest_ms + 3 * 3_600_000


class Slow:
    """A help desk that takes as long as the test wants."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.sent: list[str] = []

    async def deliver(self, effect: Effect, *_: Any) -> Result:
        self.sent.append(effect.uid)
        self.asked.set()
        await self.answer.wait()
        return OK

    async def find(self, _: Effect) -> Found:
        return Found.ABSENT


def test_a_stop_finishes_what_is_under_way_and_begins_nothing(
    database: Any, ledger: SqlLedger, note: Callable[..., str]
) -> None:
    for conversation in ("101", "102", "103", "101"):
        note(conversation)

    async def run() -> tuple[Slow, Service]:
        remote, stop = Slow(), asyncio.Event()
        book = SqlWorkers(database.engine)
        policy = DeliveryPolicy(timeout_ms=60_000)
        who = Identity(name="w", host="h", pid=1, version="1")
        service = Service(
            SqlOutbox(database.engine), book, remote, policy, who, concurrency=2, stamp=lambda: AT
        )
        running = asyncio.create_task(service.run(stop))
        while len(remote.sent) < 2:
            await asyncio.wait_for(remote.asked.wait(), 30)
            remote.asked.clear()
        assert [w["name"] for w in book.listed()] == ["w"]
        stop.set()
        remote.answer.set()
        await asyncio.wait_for(running, 30)
        assert book.listed() == []
        return remote, service

    remote, service = asyncio.run(run())
    done = [d["uid"] for d in ledger.deliveries() if d["final"]]
    assert sorted(done) == sorted(remote.sent) and len(done) == 2
    assert service.ended == {"SUCCESS": 2}
    assert JobState.UNDER_WAY not in [rules.state(j, 1) for j in SqlJobs(database.engine).listed()]
