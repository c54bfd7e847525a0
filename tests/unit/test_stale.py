"""Whether what was decided is still right to send."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cairnops.domain import stale
from cairnops.domain.conversations import Author, Conversation, Message, Status
from cairnops.domain.policy import DeliveryPolicy

T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
TEN = DeliveryPolicy(recheck_minutes=10)


def said(key: str, author: Author, minute: int, *, private: bool = False) -> Message:
    return Message(id=key, author=author, text="…", at=T0 + timedelta(minutes=minute), private=private)


ASKED, OURS = said("9", Author.CUSTOMER, 0), said("10", Author.AGENT, 5)
THEN = Conversation(
    id="101", customer="Alex", customer_key="a", status=Status.OPEN, created_at=T0, messages=(ASKED, OURS),
    extra={"assignee": "sam@shop.example"}, team="orders",
)  # fmt: skip


def later(*more: Message, **over: object) -> Conversation:
    return replace(THEN, messages=(*THEN.messages, *more), **over)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        pytest.param(THEN, "", id="as it was"),
        pytest.param(
            later(said("11", Author.CUSTOMER, 20)), "the customer wrote again at 17:20 UTC", id="customer"
        ),
        pytest.param(
            later(said("11", Author.CUSTOMER, 0)),
            "the customer wrote again at 17:00 UTC",
            id="in the same second",
        ),
        pytest.param(later(said("11", Author.CUSTOMER, 20, private=True)), "", id="a note is nobody's reply"),
        pytest.param(later(said("11", Author.SYSTEM, 20)), "", id="activity text"),
        pytest.param(
            later(said("11", Author.AGENT, 20)),
            "somebody answered in the help desk at 17:20 UTC",
            id="colleague",
        ),
        pytest.param(later(said("12", Author.AGENT, 20)), "", id="what was sent from here"),
        pytest.param(later(status=Status.RESOLVED), "it was resolved in the help desk", id="resolved"),
        pytest.param(later(status=Status.SNOOZED), "", id="snoozed"),
        pytest.param(
            later(extra={"assignee": "mo@shop.example"}),
            "it was assigned to mo@shop.example",
            id="reassigned",
        ),
        pytest.param(later(extra={}), "", id="assigned to nobody"),
        pytest.param(later(team="fraud"), "it was assigned to team fraud", id="another team"),
        pytest.param(replace(THEN, messages=()), "", id="a message was taken away"),
        pytest.param(later(tags=("vip",), priority="urgent"), "", id="labels and priority"),
    ],
)
def test_what_makes_a_decision_stale(now: Conversation, why: str) -> None:
    assert stale.moved_on(stale.seen(THEN), stale.seen(now, ours={"12"})) == why


def test_a_first_message_is_a_new_one() -> None:
    empty = stale.seen(replace(THEN, messages=()))
    assert "customer wrote" in stale.moved_on(empty, stale.seen(THEN))


def test_setting_what_is_set_already_is_no_reason_to_ask_a_person() -> None:
    then, now = stale.seen(THEN), stale.seen(later(status=Status.RESOLVED))
    assert stale.moved_on(then, now, status="resolved") == ""
    assert stale.moved_on(then, now, status="open") != ""
    assert stale.moved_on(now, now) == "", "it was resolved when it was decided"


@pytest.mark.parametrize(
    ("waited", "outage_ended", "checked"),
    [
        pytest.param(timedelta(minutes=10), None, False, id="as long as the policy says"),
        pytest.param(timedelta(minutes=10, milliseconds=1), None, True, id="longer"),
        pytest.param(timedelta(seconds=3), timedelta(seconds=-1), False, id="decided after the outage"),
        pytest.param(timedelta(seconds=3), timedelta(0), True, id="at its very end"),
        pytest.param(timedelta(seconds=3), timedelta(seconds=2), True, id="during it"),
        pytest.param(timedelta(minutes=11), timedelta(seconds=-1), True, id="long after it"),
    ],
)
def test_when_it_is_looked_at_again(waited: timedelta, outage_ended: timedelta | None, checked: bool) -> None:
    ended = None if outage_ended is None else T0 + outage_ended
    assert stale.to_be_checked(T0, T0 + waited, TEN, outage_ended=ended) is checked


def test_a_case_given_to_somebody_from_here_has_not_moved_on() -> None:
    then, now = stale.seen(THEN), replace(stale.seen(THEN), team="CX leads", assignee="riley@shop.example")
    assert stale.moved_on(then, now, given=("cx Leads", "riley@shop.example")) == ""
    assert stale.moved_on(then, now, given=("cx Leads",)) == "it was assigned to riley@shop.example"
    assert stale.moved_on(then, now, given=("riley@shop.example",)) == "it was assigned to team CX leads"
