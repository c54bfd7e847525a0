"""The three clocks at every boundary, what comes first, and how long customers waited."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain import policy as policies
from cairnops.domain import sla
from cairnops.domain.conversations import Author, Conversation, Message, Status, StatusChange
from cairnops.domain.policy import BusinessHours, Policy, SlaPolicy
from cairnops.domain.sla import Outcome, Priority

T0 = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)  # a Monday
DRY_RUN = policies.profile("dry-run")
PARITY = policies.profile("parity")
WHO = {"c": Author.CUSTOMER, "a": Author.AGENT, "s": Author.SYSTEM, "n": Author.AGENT}


def after(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def case(said: str = "c0", *, history: str = "", **changes) -> Conversation:
    """A conversation from "c0 a30 n40": who (customer, agent, system, private note) spoke at which minute.

    `history` likewise: "snoozed@10 open@40".
    """
    messages = tuple(
        Message(id=str(i), author=WHO[m[0]], text="words", at=after(float(m[1:])), private=m[0] == "n")
        for i, m in enumerate(said.split())
    )
    entries = (entry.split("@") for entry in history.split())
    given = {
        "id": "7",
        "customer": "Jamie Lee",
        "customer_key": "jamie@example.com",
        "status": Status.OPEN,
        "created_at": T0,
        "messages": messages,
        "status_changes": tuple(StatusChange(status=Status(s), at=after(float(m))) for s, m in entries),
    }
    return Conversation(**(given | changes))


def standing(conversation: Conversation, clock: str, minutes: float, **changes) -> sla.Standing:
    reading = sla.read(conversation, replace(SlaPolicy(), clock=clock, **changes), after(minutes))
    return reading.in_force


CREATED, LAST, UNANSWERED = sla.CLOCKS


@pytest.mark.parametrize(
    ("said", "clock", "started", "elapsed", "stopped"),
    [
        pytest.param("c0", CREATED, 0, 50, None, id="created: runs from creation"),
        pytest.param("", CREATED, 0, 50, None, id="created: needs no message"),
        pytest.param("c0 a20 c30", CREATED, 0, 20, 20, id="created: the first answer stops it for good"),
        pytest.param("c0 n10 s20", CREATED, 0, 50, None, id="created: note and activity do not stop it"),
        pytest.param("a0 c10", CREATED, 0, 0, 0, id="created: the team wrote first"),
        pytest.param("c0", LAST, 0, 50, None, id="last: runs from the only message"),
        pytest.param("c0 c30", LAST, 30, 20, None, id="last: writing again starts it anew"),
        pytest.param("c0 a20", LAST, 0, 20, 20, id="last: stopped by the answer"),
        pytest.param("c0 a20 c30", LAST, 30, 20, None, id="last: an answer before the last message"),
        pytest.param("c0 a20 a40", LAST, 0, 20, 20, id="last: the first answer counts"),
        pytest.param("c0 a0", LAST, 0, 0, 0, id="last: answered within the same second"),
        pytest.param(
            "a0 c0", LAST, 0, 50, None, id="last: asked within the same second as a reply before it"
        ),
        pytest.param("c0 n20 s30", LAST, 0, 50, None, id="last: note and activity do not stop it"),
        pytest.param("a0 s10", LAST, None, 0, None, id="last: no customer message"),
        pytest.param("c0 c30", UNANSWERED, 0, 50, None, id="unanswered: from the first of the run"),
        pytest.param(
            "c0 a20 c30 c40", UNANSWERED, 30, 20, None, id="unanswered: from the first after the answer"
        ),
        pytest.param("c0 a20", UNANSWERED, None, 0, None, id="unanswered: every message answered"),
        pytest.param("c0 a20 c90", LAST, 0, 20, 20, id="what is dated later has not happened yet"),
    ],
)
def test_clocks(said: str, clock: str, started: float | None, elapsed: float, stopped: float | None) -> None:
    got = standing(case(said), clock, 50)
    assert got.started_at == (None if started is None else after(started))
    assert got.elapsed_s == elapsed * 60
    assert got.stopped_at == (None if stopped is None else after(stopped))
    assert got.due_at == (None if started is None else after(started + 60))
    assert not got.breached


def test_every_clock_is_always_read() -> None:
    reading = sla.read(case("c0 a10 c20"), SlaPolicy(), after(90))
    assert [s.clock for s in reading.standings] == list(sla.CLOCKS)
    assert reading.in_force.clock == "last_customer_message"
    assert [s.elapsed_s // 60 for s in reading.standings] == [10, 70, 70]


@pytest.mark.parametrize(
    ("seconds", "breached"),
    [
        pytest.param(3599, False, id="a second before"),
        pytest.param(3600, False, id="exactly the target"),
        pytest.param(3601, True, id="a second after"),
    ],
)
def test_breach_is_strictly_longer(seconds: int, breached: bool) -> None:
    got = standing(case(), LAST, seconds / 60)
    assert (got.breached, got.breached_at) == (breached, after(60) if breached else None)
    assert got.breach_age_s == max(seconds - 3600, 0)


@pytest.mark.parametrize(
    ("priority", "target"),
    [
        pytest.param("urgent", 30, id="urgent"),
        pytest.param("High", 30, id="high, whatever the case"),
        pytest.param("medium", 60, id="medium"),
        pytest.param("", 60, id="none"),
    ],
)
def test_target_by_priority(priority: str, target: int) -> None:
    reading = sla.read(case(priority=priority), SlaPolicy(), after(31))
    assert reading.target_minutes == target
    assert reading.in_force.breached is (target == 30)


def test_a_late_answer_freezes_the_breach() -> None:
    soon, much_later = (standing(case("c0 a90"), LAST, m) for m in (100, 5000))
    assert soon == much_later
    assert (soon.breached, soon.breach_age_s, soon.stopped_at) == (True, 30 * 60, after(90))


def test_never_stopping_is_the_legacy_way() -> None:
    got = standing(case("c0 a10"), LAST, 90, stop_on="never")
    assert (got.elapsed_s, got.breached, got.stopped_at) == (90 * 60, True, None)


@pytest.mark.parametrize(
    ("history", "status", "elapsed", "due"),
    [
        pytest.param("snoozed@10 open@40", Status.OPEN, 70, 90, id="a pause is taken off"),
        pytest.param("snoozed@10", Status.SNOOZED, 10, 150, id="still paused: due as if it ended now"),
        pytest.param("snoozed@10 snoozed@20 open@30", Status.OPEN, 80, 80, id="told twice"),
        pytest.param("snoozed@10 open@20 snoozed@70 open@80", Status.OPEN, 80, 70, id="two pauses"),
        pytest.param("open@0 pending@10", Status.PENDING, 100, 60, id="pending does not pause"),
        pytest.param("", Status.SNOOZED, 0, 160, id="snoozed since ever"),
        pytest.param("resolved@50", Status.RESOLVED, 50, 60, id="resolved ends it"),
        pytest.param("resolved@50 open@70", Status.OPEN, 100, 60, id="reopened"),
        pytest.param("snoozed@120", Status.OPEN, 100, 60, id="a pause to come"),
    ],
)
def test_pauses_and_resolved(history: str, status: Status, elapsed: int, due: int) -> None:
    got = standing(case(history=history, status=status), LAST, 100)
    assert (got.elapsed_s, got.due_at) == (elapsed * 60, after(due))
    assert got.breached is (elapsed > 60)


def test_pauses_move_the_moment_of_breach() -> None:
    # Counted: 0-10 and 40-90; the target is reached at 90 and passed at once.
    assert standing(case(history="snoozed@10 open@40"), LAST, 100).breached_at == after(90)
    # The target is reached as the pause begins, and passed only when it ends.
    assert standing(case(history="snoozed@60 open@80"), LAST, 100).breached_at == after(80)


OFFICE = BusinessHours(time_zone="UTC", week=dict.fromkeys(("mon", "tue"), ("09:00-17:00",)))


@pytest.mark.parametrize(
    ("asked", "now", "elapsed", "due", "breached_at"),
    [
        pytest.param(0, 600, 480, 60, 60, id="the day ends at 17:00"),
        pytest.param(450, 1440 + 60, 90, 1440 + 30, 1440 + 30, id="over night"),
        pytest.param(420, 1440, 60, 480, None, id="reached at closing time, not passed over night"),
        pytest.param(420, 1441, 61, 480, 1440, id="passed at the next opening"),
        pytest.param(-60, 30, 30, 60, None, id="asked before opening"),
        pytest.param(1440 + 450, 5 * 1440, 30, 7 * 1440 + 30, None, id="over the rest of the week"),
    ],
)
def test_business_hours(asked: int, now: int, elapsed: int, due: int, breached_at: int | None) -> None:
    conversation = case(f"c{asked}", created_at=after(asked))
    got = standing(conversation, LAST, now, business_hours=OFFICE)
    assert (got.elapsed_s, got.due_at) == (elapsed * 60, after(due))
    assert got.breached_at == (None if breached_at is None else after(breached_at))


@pytest.mark.parametrize(
    ("age_min", "tags", "breached"),
    [
        pytest.param(60, "", True, id="breached basic"),
        pytest.param(90, "shipping_delay", True, id="shipping tag and text"),
        pytest.param(120, "", True, id="refund text"),
        pytest.param(75, "", True, id="delivery-delay text"),
        pytest.param(45, "", True, id="generic"),
        pytest.param(110, "Refund Issue", True, id="tag only"),
        pytest.param(30, "", False, id="exactly thirty minutes"),
        pytest.param(30 + 1 / 60, "", True, id="a second more"),
    ],
)
def test_parity_breaches_thirty_minutes_after_creation(age_min: float, tags: str, breached: bool) -> None:
    # Answered at once and still breached: the legacy dashboard counts from creation and never stops.
    conversation = case("c0 a1", tags=tuple(filter(None, [tags])))
    reading = sla.read(conversation, PARITY.sla, after(age_min))
    assert reading.clock == "conversation_created"
    assert reading.in_force.breached is breached
    assert reading.in_force.breached_at == (after(30) if breached else None)
    assert sla.needs_attention(conversation, reading, PARITY) is breached


@pytest.mark.parametrize(
    ("said", "minute", "tags", "status", "expected"),
    [
        pytest.param("c0", 60, "", Status.OPEN, None, id="in time"),
        pytest.param("c0", 61, "", Status.OPEN, Priority.P2, id="just breached"),
        pytest.param("c0", 180, "", Status.OPEN, Priority.P2, id="breached exactly two hours ago"),
        pytest.param("c0", 180 + 1 / 60, "", Status.OPEN, Priority.P1, id="a second longer"),
        pytest.param("c0", 181, "", Status.PENDING, Priority.P1, id="pending counts"),
        pytest.param("c0", 10, "escalation", Status.OPEN, Priority.P3, id="tagged, in time"),
        pytest.param("c0", 10, "Escalated", Status.OPEN, Priority.P3, id="the legacy tag, whatever the case"),
        pytest.param("c0", 10, "escalation-done", Status.OPEN, None, id="a tag that only begins so"),
        pytest.param("c0", 100, "escalation", Status.OPEN, Priority.P2, id="tagged and breached"),
        pytest.param("c0", 200, "escalation", Status.RESOLVED, None, id="resolved"),
        pytest.param("c0", 200, "escalation", Status.SNOOZED, None, id="snoozed"),
        pytest.param("c0 a90", 300, "", Status.OPEN, None, id="answered late is answered"),
        pytest.param("c0 a90", 300, "escalation", Status.OPEN, Priority.P3, id="answered late, tagged"),
    ],
)
def test_triage(said: str, minute: float, tags: str, status: Status, expected: Priority | None) -> None:
    conversation = case(said, tags=tuple(filter(None, [tags])), status=status)
    reading = sla.read(conversation, DRY_RUN.sla, after(minute))
    assert sla.triage(conversation, reading, DRY_RUN, after(minute)) is expected
    assert sla.needs_attention(conversation, reading, DRY_RUN) is (expected is not None)


def test_labels_that_mark_an_escalation_are_the_policys() -> None:
    own = replace(DRY_RUN, labels=replace(DRY_RUN.labels, escalated=("L3",)))
    assert sla.escalated(case(tags=("l3",)), own)
    assert not sla.escalated(case(tags=("escalation",)), own)


def waits(said: str, now: float, policy: Policy = DRY_RUN, **changes) -> sla.ResponseTimes:
    return sla.responses(case(said, **changes), policy.sla, after(now))


@pytest.mark.parametrize(
    ("said", "now", "expected"),
    [
        pytest.param("c0 a60", 100, [(60, Outcome.MET)], id="answered exactly in time"),
        pytest.param("c0 a61", 100, [(61, Outcome.MISSED)], id="answered late"),
        pytest.param("c0", 60, [(60, Outcome.WAITING)], id="waiting, in time"),
        pytest.param(
            "c0", 61, [(61, Outcome.OVERDUE)], id="unanswered past the target is missed, not absent"
        ),
        pytest.param("c0 c30 a40", 100, [(40, Outcome.MET)], id="a turn waits from its first message"),
        pytest.param("a0 c5 a10", 100, [(5, Outcome.MET)], id="the team wrote first"),
        pytest.param("c0 n5 s6 a10", 100, [(10, Outcome.MET)], id="note and activity are no answer"),
        pytest.param(
            "c0 a10 a11 c20 a90 c95",
            100,
            [(10, Outcome.MET), (70, Outcome.MISSED), (5, Outcome.WAITING)],
            id="three turns",
        ),
        pytest.param("a0", 100, [], id="no customer message, no measure"),
    ],
)
def test_response_times(said: str, now: int, expected: list[tuple[int, Outcome]]) -> None:
    got = waits(said, now)
    assert [(w.seconds // 60, w.outcome) for w in got.turns] == expected
    assert (got.first is None) is (not expected)
    assert [w.missed for w in got.turns] == [o in (Outcome.MISSED, Outcome.OVERDUE) for _, o in expected]


def test_first_and_next_response_have_their_own_targets() -> None:
    policy = replace(DRY_RUN, sla=replace(DRY_RUN.sla, first_response_minutes=5, next_response_minutes=20))
    got = waits("c0 a10 c20 a30", 100, policy)
    assert (got.first.outcome, [w.outcome for w in got.next]) == (Outcome.MISSED, [Outcome.MET])


@pytest.mark.parametrize(
    ("history", "status", "now", "expected"),
    [
        pytest.param("resolved@1440", Status.RESOLVED, 3000, (1440, Outcome.MET), id="exactly in time"),
        pytest.param("resolved@1441", Status.RESOLVED, 3000, (1441, Outcome.MISSED), id="late"),
        pytest.param("", Status.OPEN, 1440, (1440, Outcome.WAITING), id="open, in time"),
        pytest.param("", Status.OPEN, 1441, (1441, Outcome.OVERDUE), id="open past the target"),
        pytest.param("resolved@10 open@20", Status.OPEN, 30, (30, Outcome.WAITING), id="reopened"),
        pytest.param("snoozed@10 open@20 resolved@30", Status.RESOLVED, 99, (20, Outcome.MET), id="a pause"),
        pytest.param("", Status.RESOLVED, 99, (7, Outcome.MET), id="no history: the last message"),
    ],
)
def test_resolution(history: str, status: Status, now: int, expected: tuple[int, Outcome]) -> None:
    got = waits("c0 a7", now, history=history, status=status).resolution
    assert (got.seconds // 60, got.outcome) == expected


def test_resolving_ends_a_wait_without_answering_it() -> None:
    got = waits("c0 a5 c10", 500, history="resolved@20", status=Status.RESOLVED).next[0]
    assert (got.seconds // 60, got.outcome, got.answered) == (10, Outcome.MET, False)


_minutes = st.integers(0, 3000)
_said = st.lists(st.tuples(st.sampled_from("casn"), _minutes), max_size=8).map(
    lambda found: " ".join(f"{who}{minute}" for who, minute in found)
)
_history = st.lists(st.tuples(st.sampled_from(["open", "snoozed", "pending"]), _minutes), max_size=5).map(
    lambda found: " ".join(f"{s}@{m}" for s, m in sorted(found, key=lambda f: f[1]))
)


@given(
    said=_said,
    history=_history,
    nows=st.tuples(_minutes, _minutes),
    hours=st.sampled_from([None, OFFICE]),
    stop=st.sampled_from(["first_operator_action", "never"]),
)
def test_laws_of_the_clocks(said: str, history: str, nows: tuple[int, int], hours, stop) -> None:
    conversation = case(said, history=history)
    policy = replace(SlaPolicy(), business_hours=hours, stop_on=stop)
    sooner, later = (sla.read(conversation, policy, after(m)) for m in sorted(nows))
    for reading, now in ((sooner, min(nows)), (later, max(nows))):
        for s in reading.standings:
            assert s.breached is (s.elapsed_s > reading.target_minutes * 60) is (s.breached_at is not None)
            assert (s.started_at is None) is (s.due_at is None)
            if s.breached:
                assert s.started_at < s.due_at <= s.breached_at < after(now)
                assert s.breach_age_s > 0
    created = (sooner.standings[0], later.standings[0])
    assert created[0].elapsed_s <= created[1].elapsed_s
    assert created[1].breached or not created[0].breached
    if created[1].breached and created[0].breached:
        assert created[0].breached_at == created[1].breached_at
