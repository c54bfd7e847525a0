"""What the outbox promises on every database: whose turn it is, whose word counts, and one row for each try."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from cairnops.connectors.worker import Timing, Worker
from cairnops.desk.desk import Desk
from cairnops.domain.changes import Change, Entry
from cairnops.domain.conversations import Actor
from cairnops.domain.delivery import (
    Answer,
    Claim,
    Effect,
    EffectDraft,
    EffectKind,
    FinalStatus,
    Found,
    Result,
    lease_ms,
)
from cairnops.domain.policy import DeliveryPolicy
from cairnops.store import tables as t
from cairnops.store.engine import writing
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox

AT = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
OK = Result(answer=Answer.OK)
LIMITED = Result(answer=Answer.RETRY, error_code="HTTP_429")
SILENT = Result(answer=Answer.UNKNOWN, error_code="ETIMEDOUT")
LEASE = 800


def taken(outbox: SqlOutbox, owner: str, now: int, lease: int = LEASE) -> Claim:
    claim = outbox.claim(owner, now_ms=now, lease_ms=lease)
    assert claim is not None
    return claim


def tried(outbox: SqlOutbox, claim: Claim, result: Result, due: int, *, looking: bool = False) -> bool:
    return outbox.tried(claim, result, due_ms=due, at=AT, duration_us=1500, looking=looking)


def finished(outbox: SqlOutbox, claim: Claim, status: FinalStatus, result: Result | None = OK) -> bool:
    return outbox.finish(
        claim,
        status,
        at=AT,
        result=result,
        duration_us=1500 if result else None,
        recovered=result is None and status is FinalStatus.SUCCESS,
    )


def text(claim: Claim | None) -> str:
    return claim.effect.payload["text"] if claim else ""


# Whose turn it is


def test_effects_of_one_conversation_go_in_the_order_decided(
    outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    for conversation in ("101", "101", "102", "101"):
        note(conversation)
    first = taken(outbox, "a", 0)
    second = taken(outbox, "b", 0)
    assert (text(first), text(second)) == ("note 1", "note 3")
    assert outbox.claim("c", now_ms=LEASE - 1, lease_ms=LEASE) is None
    tried(outbox, first, LIMITED, 5000)
    assert outbox.claim("c", now_ms=4999, lease_ms=LEASE) is not None, "102 is over its lease"
    again = taken(outbox, "a", 5000)
    assert (text(again), again.attempt) == ("note 1", 2)
    finished(outbox, again, FinalStatus.FAILED)
    assert text(outbox.claim("a", now_ms=5000, lease_ms=LEASE)) == "note 2"


def test_what_is_due_longest_goes_first(outbox: SqlOutbox, note: Callable[..., None]) -> None:
    for conversation in ("101", "102", "103"):
        note(conversation)
    for due in (300, 100, 200):
        tried(outbox, taken(outbox, "a", 0), LIMITED, due)
    order = [text(outbox.claim("a", now_ms=now, lease_ms=9999)) for now in (99, 300, 300, 300, 300)]
    assert order == ["", "note 2", "note 3", "note 1", ""]


def test_the_next_moment_is_that_of_an_effect_that_can_be_claimed(
    outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    assert outbox.next_due_ms() is None
    note("101")
    note("101")
    tried(outbox, taken(outbox, "a", 0), LIMITED, 5000)
    assert outbox.next_due_ms() == 5000, "the effect behind it is due, and cannot go"
    note("102")
    assert outbox.next_due_ms() == 0
    finished(outbox, taken(outbox, "a", 0), FinalStatus.SUCCESS)
    finished(outbox, taken(outbox, "a", 5000), FinalStatus.SUCCESS)
    finished(outbox, taken(outbox, "a", 5000), FinalStatus.SUCCESS)
    assert outbox.next_due_ms() is None


def test_an_idle_poll_takes_no_write_lock(
    database: Any, outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    note()
    claim = taken(outbox, "a", 0)
    with writing(database.engine) as c:
        c.execute(t.counter.update().values(value=t.counter.c.value))
        assert SqlOutbox(database.engine).claim("b", now_ms=0, lease_ms=LEASE) is None
    assert finished(outbox, claim, FinalStatus.SUCCESS)


# Whose word counts


def test_a_lease_ends_at_its_millisecond(outbox: SqlOutbox, note: Callable[..., None]) -> None:
    note()
    mine = taken(outbox, "a", 1000)
    assert (mine.attempt, mine.unclear) == (1, False)
    assert outbox.claim("b", now_ms=1000 + LEASE - 1, lease_ms=LEASE) is None
    theirs = taken(outbox, "b", 1000 + LEASE)
    assert (theirs.attempt, theirs.unclear, theirs.last_error, theirs.owner) == (1, True, "", "b")
    assert theirs.effect == mine.effect


def settle(how: str) -> Callable[[SqlOutbox, Claim], bool]:
    return {
        "finish": lambda o, c: finished(o, c, FinalStatus.SUCCESS),
        "finish by look-up": lambda o, c: finished(o, c, FinalStatus.SUCCESS, None),
        "tried": lambda o, c: tried(o, c, SILENT, 9000, looking=True),
        "looked": lambda o, c: o.looked(c, Found.ABSENT, due_ms=9000, at=AT, looking=False),
        "give back": lambda o, c: o.give_back(c, due_ms=9000),
    }[how]


@pytest.mark.parametrize("how", ["finish", "finish by look-up", "tried", "looked", "give back"])
@pytest.mark.parametrize("meanwhile", ["taken over", "taken and released", "ended", "taken and sent again"])
def test_the_word_of_a_former_owner_is_refused_and_writes_nothing(
    database: Any, outbox: SqlOutbox, note: Callable[..., None], how: str, meanwhile: str
) -> None:
    note()
    former = taken(outbox, "a", 0)
    peer = taken(outbox, "b", LEASE)
    if meanwhile == "taken and released":
        outbox.looked(peer, Found.UNAVAILABLE, due_ms=5000, at=AT, looking=True)
    elif meanwhile == "ended":
        finished(outbox, peer, FinalStatus.SUCCESS, None)
    elif meanwhile == "taken and sent again":
        outbox.looked(peer, Found.ABSENT, due_ms=5000, at=AT, looking=False)
        assert taken(outbox, "a", 5000).attempt == 2, "even when the former owner has the next attempt"
    before = database.everything()
    assert settle(how)(outbox, former) is False
    assert database.everything() == before


@pytest.mark.parametrize("how", ["finish", "tried", "looked"])
def test_an_owner_whose_lease_has_passed_still_counts_while_nobody_took_over(
    outbox: SqlOutbox, note: Callable[..., None], how: str
) -> None:
    note()
    claim = taken(outbox, "a", 0)
    assert settle(how)(outbox, claim) is True


def test_a_claim_given_back_was_no_attempt(
    database: Any, outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    note()
    tried(outbox, taken(outbox, "a", 0), LIMITED, 100)
    before = database.everything()
    claim = taken(outbox, "a", 100)
    assert outbox.give_back(claim, due_ms=100)
    assert database.everything() == before
    again = taken(outbox, "b", 100)
    assert replace(again, owner="a") == claim


# One row for each try


def test_an_attempt_whose_worker_died_gets_its_row_when_it_is_looked_up(
    database: Any, ledger: SqlLedger, outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    note()
    taken(outbox, "dead", 0)
    looking = taken(outbox, "b", LEASE)
    assert outbox.looked(looking, Found.ABSENT, due_ms=LEASE, at=AT, looking=False)
    again = taken(outbox, "b", LEASE)
    assert (again.attempt, again.unclear) == (2, False)
    assert finished(outbox, again, FinalStatus.SUCCESS)
    (row,) = ledger.deliveries(conversation="101")
    assert [(a["attempt"], a["answer"], a["error_code"], a["duration_us"]) for a in row["attempts"]] == [
        (1, "lost", "EWORKERLOST", None),
        (2, "ok", "", 1500),
    ]
    assert row["final"] == {
        "status": "SUCCESS", "attempt": 2, "error_code": "", "duration_us": 1500, "recovered": False,
        "at": "2025-10-16T17:00:00.000Z",
    }  # fmt: skip


def test_a_worker_that_dies_looking_loses_nothing(
    ledger: SqlLedger, outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    note()
    tried(outbox, taken(outbox, "a", 0), SILENT, 500, looking=True)
    for number in range(5):
        claim = taken(outbox, f"dies{number}", 500 + number * LEASE)
        assert (claim.attempt, claim.unclear, claim.last_error, claim.looks) == (1, True, "ETIMEDOUT", 0)
    assert finished(outbox, claim, FinalStatus.SUCCESS, None)
    (row,) = ledger.deliveries(conversation="101")
    assert [a["answer"] for a in row["attempts"]] == ["unknown"]
    assert (row["final"]["recovered"], row["final"]["duration_us"], row["final"]["attempt"]) == (
        True,
        None,
        1,
    )


def test_look_ups_without_an_answer_are_counted_for_the_present_attempt_only(
    outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    note()
    tried(outbox, taken(outbox, "a", 0), SILENT, 0, looking=True)
    for looks in range(3):
        claim = taken(outbox, "a", 0)
        assert (claim.looks, claim.last_error) == (looks, "ETIMEDOUT")
        outbox.looked(claim, Found.UNAVAILABLE, due_ms=0, at=AT, looking=True)
    outbox.looked(taken(outbox, "a", 0), Found.ABSENT, due_ms=0, at=AT, looking=False)
    again = taken(outbox, "a", 0)
    assert (again.attempt, again.looks, again.unclear) == (2, 0, False)
    tried(outbox, again, SILENT, 0, looking=True)
    assert taken(outbox, "a", 0).looks == 0


def test_nothing_is_recorded_as_done_before_it_was_decided(
    ledger: SqlLedger, outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    """What a crash left over is delivered under the clock of a rehearsal that starts from its beginning again."""
    note()
    early = AT - timedelta(minutes=12)
    for now in (0, LEASE):
        claim = taken(outbox, "a", now)
        outbox.tried(claim, LIMITED, due_ms=LEASE, at=early, duration_us=1, looking=False)
    outbox.tried(taken(outbox, "a", LEASE), SILENT, due_ms=LEASE, at=early, duration_us=1, looking=True)
    outbox.looked(taken(outbox, "a", LEASE), Found.UNAVAILABLE, due_ms=LEASE, at=early, looking=True)
    late = AT + timedelta(minutes=12)
    outbox.finish(
        taken(outbox, "a", LEASE),
        FinalStatus.UNKNOWN,
        at=late,
        result=None,
        duration_us=None,
        recovered=False,
    )
    (row,) = ledger.deliveries(conversation="101")
    decided = ledger.events(kind="note.added")[0]["at"]
    assert {a["at"] for a in row["attempts"]} == {decided}
    assert {e["at"] for e in ledger.events(kind="effect.looked_up")} == {decided}
    assert row["final"]["at"] == "2025-10-16T17:12:00.000Z"


# Everything at once: any worker, any answer, any death, in any order.

POLICY = DeliveryPolicy(max_attempts=3, timeout_ms=50, settle_ms=30, backoff_ms=10)
STEP = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(
        ["claim", "ok", "limited", "silent", "present", "absent", "unavailable", "give back", "dies"]
    ),
    st.integers(0, 120),
)


@given(steps=st.lists(STEP, max_size=40))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_tries_are_numbered_without_gaps_and_an_end_comes_once(
    database: Any, outbox: SqlOutbox, note: Callable[..., None], steps: list[tuple[str, str, int]]
) -> None:
    for conversation in ("101", "101", "102"):
        note(conversation)
    before = {row.uid for row in _effects(database) if row.due_ms is None}
    now, held = 0, dict[str, Claim]()
    for who, what, later in steps:
        now += later
        claim = held.pop(who, None)
        if claim is None or what == "claim":
            found = outbox.claim(who, now_ms=now, lease_ms=lease_ms(POLICY))
            if found is not None:
                held[who] = found
        elif what == "dies":
            continue
        elif claim.unclear:
            if what == "present":
                finished(outbox, claim, FinalStatus.SUCCESS, None)
            elif what in ("absent", "unavailable"):
                outbox.looked(claim, Found(what), due_ms=now + 5, at=AT, looking=what == "unavailable")
        elif what == "ok":
            finished(outbox, claim, FinalStatus.SUCCESS)
        elif what == "limited":
            tried(outbox, claim, LIMITED, now + 5)
        elif what == "silent":
            tried(outbox, claim, SILENT, now + 5, looking=True)
        elif what == "give back":
            outbox.give_back(claim, due_ms=now)
    _drain(outbox, now)
    assert {row.uid for row in _effects(database)} > before
    assert all(row.due_ms is None for row in _effects(database))
    tries: dict[str, list[int]] = {}
    for uid, number, *_ in database.rows("attempt"):
        tries.setdefault(uid, []).append(number)
    ends = {row[0]: row[2] for row in database.rows("sync_event")}
    assert len(database.rows("sync_event")) == len(_effects(database))
    for uid, numbers in tries.items():
        assert sorted(numbers) == list(range(1, ends[uid] + 1))


def _effects(database: Any) -> list[Any]:
    with database.engine.connect() as c:
        return list(c.execute(select(t.effect)).all())


def _drain(outbox: SqlOutbox, now: int) -> None:
    for _ in range(200):
        due = outbox.next_due_ms()
        if due is None:
            return
        now = max(now, due)
        claim = taken(outbox, "last", now)
        finished(outbox, claim, FinalStatus.SUCCESS, None if claim.unclear else OK)
    raise AssertionError("there is no end")


# The worker on top, on a clock of its own


class Clock(Timing):
    """A day that moves only when somebody waits, or when told."""

    def __init__(self) -> None:
        self.now, self.slept = 1_000_000, list[int]()

    def now_ms(self) -> int:
        return self.now

    async def sleep_ms(self, pause: int) -> None:
        self.slept.append(pause)
        self.now += pause
        assert len(self.slept) < 200, "it never ends"


class Remote:
    """A help desk that answers from a list; what it was sent stays readable."""

    def __init__(self, answers: list[Result], found: list[Found]):
        self.answers, self.found, self.sent = answers, found, list[str]()

    async def deliver(self, effect: Effect, *_: Any) -> Result:
        self.sent.append(effect.run_key)
        return self.answers.pop(0)

    async def find(self, _effect: Effect) -> Found:
        return self.found.pop(0)


def worker(outbox: Any, remote: Remote, clock: Clock, **over: Any) -> Worker:
    return Worker(outbox, remote, replace(POLICY, **over), owner="w", stamp=lambda: AT, timing=clock)


@pytest.mark.parametrize(
    ("answers", "found", "ends", "tries"),
    [
        pytest.param([SILENT], [Found.PRESENT], ("SUCCESS", ""), 1, id="found"),
        pytest.param([SILENT, OK], [Found.ABSENT], ("SUCCESS", ""), 2, id="absent, sent again"),
        pytest.param(
            [SILENT],
            [Found.UNAVAILABLE] * 3,
            ("UNKNOWN", "ETIMEDOUT"),
            1,
            id="nobody can say: never sent again",
        ),
        pytest.param(
            [SILENT, OK], [Found.UNAVAILABLE] * 2 + [Found.ABSENT], ("SUCCESS", ""), 2, id="said at last"
        ),
        pytest.param([SILENT] * 3, [Found.ABSENT] * 3, ("TIMEOUT", "ETIMEDOUT"), 3, id="never there"),
        pytest.param(
            [SILENT] * 3, [Found.ABSENT] * 2 + [Found.PRESENT], ("SUCCESS", ""), 3, id="last try landed"
        ),
        pytest.param([LIMITED] * 3, [], ("FAILED", "HTTP_429"), 3, id="limited throughout"),
        pytest.param([LIMITED, OK], [], ("SUCCESS", ""), 2, id="limited once"),
    ],
)
def test_how_a_delivery_ends(
    ledger: SqlLedger,
    outbox: SqlOutbox,
    note: Callable[..., None],
    answers: list[Result],
    found: list[Found],
    ends: tuple[str, str],
    tries: int,
) -> None:
    note()
    remote, clock = Remote(list(answers), list(found)), Clock()
    assert asyncio.run(worker(outbox, remote, clock).drain()) == 1
    (row,) = ledger.deliveries(conversation="101")
    assert (row["final"]["status"], row["final"]["error_code"]) == ends
    assert row["final"]["attempt"] == len(row["attempts"]) == len(remote.sent) == tries
    assert remote.found == remote.answers == []


@pytest.mark.parametrize(
    ("after", "waits"),
    [
        pytest.param(None, 10, id="none: the back-off"),
        pytest.param(0, 10, id="shorter than the back-off"),
        pytest.param(700, 700, id="honoured"),
        pytest.param(90_000, 900, id="capped"),
    ],
)
def test_retry_after_is_honoured_and_capped(
    outbox: SqlOutbox, note: Callable[..., None], after: int | None, waits: int
) -> None:
    note()
    clock = Clock()
    remote = Remote([replace(LIMITED, retry_after_ms=after), OK], [])
    asyncio.run(worker(outbox, remote, clock, retry_after_cap_ms=900).drain())
    assert clock.slept == [waits]


def test_waiting_behind_a_slow_effect_is_one_wait(outbox: SqlOutbox, note: Callable[..., None]) -> None:
    note("101")
    note("101")
    clock = Clock()
    remote = Remote([replace(LIMITED, retry_after_ms=900), OK, OK], [])
    asyncio.run(worker(outbox, remote, clock).drain())
    assert clock.slept == [900]


class Late(SqlOutbox):
    """An outbox whose lock is long in coming, the first `times` times."""

    def __init__(self, engine: Any, clock: Clock, pause: int, times: int):
        super().__init__(engine)
        self.clock, self.pause, self.times, self.claims = clock, pause, times, list[Claim]()

    def claim(self, owner: str, **named: Any) -> Claim | None:
        claim = super().claim(owner, **named)
        if claim is not None:
            self.claims.append(claim)
            self.clock.now += self.pause if len(self.claims) <= self.times else 0
        return claim


@pytest.mark.parametrize(
    ("pause", "given_back"),
    [
        pytest.param(50, 0, id="in time"),
        pytest.param(51, 1, id="late: the next has twice as long"),
        pytest.param(60_001, 3, id="suspended"),
    ],
)
def test_a_claim_that_came_too_late_sends_nothing(
    database: Any, ledger: SqlLedger, note: Callable[..., None], pause: int, given_back: int
) -> None:
    """A peer may be looking the effect up already, and would miss what is sent now."""
    note()
    clock, remote = Clock(), Remote([OK], [])
    late = Late(database.engine, clock, pause, 3)
    asyncio.run(worker(late, remote, clock).drain())
    assert len(late.claims) - 1 == given_back
    (row,) = ledger.deliveries(conversation="101")
    assert [a["attempt"] for a in row["attempts"]] == [1]
    assert len(remote.sent) == 1


def test_the_lease_outlasts_the_latest_landing(
    database: Any, outbox: SqlOutbox, note: Callable[..., None]
) -> None:
    """Claimed, held up as long as allowed, sent, timed out, processed as late as can be: only then is it free."""
    note()
    clock = Clock()
    seen: list[int] = []

    class Watched(Remote):
        async def deliver(self, effect: Effect, *_: Any) -> Result:
            seen.extend(row.due_ms for row in _effects(database))
            return await super().deliver(effect)

    late = Late(database.engine, clock, 50, 1)
    begun = clock.now
    asyncio.run(worker(late, Watched([OK], []), clock).drain())
    assert seen[0] - begun >= 50 + POLICY.timeout_ms + POLICY.settle_ms


def test_to_whom_a_case_was_given_from_here_is_known(ledger: SqlLedger, desk_on: Callable[..., Desk]) -> None:
    desk_on(ledger, "101", "102")
    alex = Actor(email="alex@shop.example")
    drafts = [
        EffectDraft(kind=EffectKind.ASSIGN, payload={"team": "CX leads"}),
        EffectDraft(kind=EffectKind.ASSIGN, payload={"assignee": "riley@shop.example"}),
        EffectDraft(kind=EffectKind.NOTE, payload={"text": "to whom it may concern"}),
    ]
    entry = Entry(kind="note.added", at=AT, actor=alex, conversation="101", key="k", body={})
    ledger.commit(Change(conversation="101", entry=entry, effects=drafts))
    outbox = SqlOutbox(ledger.engine)
    assert outbox.given("101") == {"CX leads", "riley@shop.example"}
    assert outbox.given("102") == SqlOutbox(ledger.engine, "another").given("101") == frozenset()
