"""The queue: who is in it, in which order, what a row says, and which of the empty states is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.app.views.queue import QueueView, queue
from cairnops.domain import policy as policies
from cairnops.domain.conversations import Author, Conversation, Message, Status

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
POLICY = policies.profile("dry-run")


def case(key: str, minutes: float, **changes: Any) -> Conversation:
    """A customer's question that is `minutes` old."""
    asked = NOW - timedelta(minutes=minutes)
    said = Message(id=f"{key}1", author=Author.CUSTOMER, text=f"Where  is\nparcel {key}?", at=asked)
    base = Conversation(
        id=key,
        customer=f"Customer {key}",
        customer_key=f"{key}@example.com",
        status=Status.OPEN,
        created_at=asked,
        messages=(said,),
    )
    return replace(base, **changes)


def answered(key: str, minutes: float, after: float) -> Conversation:
    asked = case(key, minutes)
    reply = Message(
        id=f"{key}2",
        author=Author.AGENT,
        text="Here.",
        at=asked.created_at + timedelta(minutes=after),
    )
    return replace(asked, messages=(*asked.messages, reply))


def drawn(*cases: Conversation, **given: Any) -> QueueView:
    return queue(cases, POLICY, NOW, **({"me": "alex@x.example", "claims": {}, "delivery": {}} | given))


def test_the_longest_breach_comes_first_and_who_need_not_wait_is_left_out() -> None:
    view = drawn(
        case("1", 10),
        case("2", 70),
        case("3", 200),
        case("4", 20, tags=("Escalation",)),
        case("5", 90),
        answered("6", 300, 5),
    )
    assert [(r.id, r.priority) for r in view.rows] == [("3", "P1"), ("5", "P2"), ("2", "P2"), ("4", "P3")]
    assert (view.waiting, view.breached, view.state) == (4, 3, "rows")


def test_in_a_session_everything_given_stays_in_the_list() -> None:
    view = drawn(case("1", 10), answered("6", 300, 90), case("9", 300), only={"1", "6"})
    assert [(r.id, r.priority) for r in view.rows] == [("6", ""), ("1", "")]
    late = view.rows[0]
    assert (late.due_ms, late.breached, late.delivery) == (None, False, "answered 30 min past the target")


def test_a_row_says_when_the_clock_ran_out_and_what_the_other_clocks_say() -> None:
    row = drawn(case("3", 200), claims={"3": "sam@x.example"}).rows[0]
    due = NOW - timedelta(minutes=140)
    assert row.due_ms == row.breached_at_ms == due.timestamp() * 1000
    assert row.clock == "60 min since the customer's last message"
    assert row.other_clock == (
        "Since it began: 2 h 20 min past the target; "
        "since the first unanswered message: 2 h 20 min past the target"
    )
    assert (row.preview, row.claimed_by, row.mine) == ("Where is parcel 3?", "sam@x.example", False)


FILTERS = [
    pytest.param({"search": "parcel 3"}, ["3"], id="words of the message"),
    pytest.param({"search": "CUSTOMER 5"}, ["5"], id="the name, whatever the case"),
    pytest.param({"search": "vip"}, ["5"], id="a tag"),
    pytest.param({"search": "nothing like it"}, [], id="no match"),
    pytest.param({"priorities": ["P1"]}, ["3"], id="one priority"),
    pytest.param({"priorities": ["P1", "P2"]}, ["3", "5"], id="two priorities"),
    pytest.param({"mine_only": True}, ["5"], id="mine"),
]


@pytest.mark.parametrize(("chosen", "ids"), FILTERS)
def test_filters(chosen: dict[str, Any], ids: list[str]) -> None:
    view = drawn(case("3", 200), case("5", 90, tags=("vip",)), claims={"5": "alex@x.example"}, **chosen)
    assert [r.id for r in view.rows] == ids
    # What is filtered away is counted all the same.
    assert (view.waiting, view.breached, view.mine) == (2, 2, 1)
    assert view.state == ("rows" if ids else "no_match")


STATES = [
    pytest.param({}, "empty", "Nobody waits", id="nobody waits"),
    pytest.param({"only": set()}, "empty", "No case has been given", id="nothing seeded"),
    pytest.param({"loaded": False}, "loading", "Reading", id="not read yet"),
    pytest.param({"problem": "refused"}, "down", "refused", id="down"),
    pytest.param(
        {"problem": "no token", "configured": False}, "unconfigured", "no token", id="not configured"
    ),
]


@pytest.mark.parametrize(("given", "state", "says"), STATES)
def test_the_empty_states_are_told_apart(given: dict[str, Any], state: str, says: str) -> None:
    view = drawn(**given)
    assert view.state == state and says in view.sentence


def test_what_was_read_before_stays_when_the_help_desk_is_down() -> None:
    view = drawn(case("3", 200), problem="refused")
    assert view.state == "down" and [r.id for r in view.rows] == ["3"]


@given(st.permutations([case(str(i), 65 + 7 * i) for i in range(8)]))
def test_the_order_does_not_depend_on_the_order_read(cases: list[Conversation]) -> None:
    assert drawn(*cases) == drawn(*sorted(cases, key=lambda c: c.id))
