"""What is read of a help desk, in whatever order it arrives: the newest reading stands, and nothing comes back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairnops.desk.desk import Desk
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.policy import profile
from cairnops.domain.requests import Flags
from cairnops.store.ledger import SqlLedger

T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
WEBHOOK = Actor(email="webhook@cairnops")


@pytest.fixture
def states(case: Callable[..., Conversation]) -> Callable[[str], list[Conversation]]:
    """Five states of one conversation, the oldest first; the fourth is as the second was."""

    def made(key: str) -> list[Conversation]:
        first = case(key)
        asked = (*first.messages, Message(id=f"{key}2", author=Author.CUSTOMER, text="hello?", at=T0))
        made = [
            first,
            replace(first, tags=("vip",)),
            replace(first, tags=("vip",), messages=asked),
            replace(first, tags=("vip",)),
            replace(first, status=Status.RESOLVED, messages=asked),
        ]
        return [replace(state, revision=1000 + n) for n, state in enumerate(made)]

    return made


def observe(ledger: SqlLedger, state: Conversation) -> int:
    return ledger.observe(state, at=T0, actor=WEBHOOK, breached_at=None)


def test_whatever_the_order_the_newest_stands(ledger: SqlLedger, states: Any) -> None:
    for number, order in enumerate(permutations(range(3))):
        three = states(str(200 + number))[:3]
        for place in order:
            observe(ledger, three[place])
        assert ledger.conversation(three[0].id) == three[2], order


@given(order=st.lists(st.integers(0, 4), max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_any_repetition_comes_to_the_same(
    ledger: SqlLedger, states: Any, order: list[int]
) -> None:
    key = str(1000 + len(ledger.conversations()))
    five = states(key)
    versions = [observe(ledger, five[place]) for place in [*order, 4, *order]]
    assert ledger.conversation(key) == five[4]
    assert versions == sorted(versions), "a version never goes back"
    assert len(set(versions[len(order) :])) == 1, "what is old or known changes nothing"
    told = ledger.events(conversation=key, kind="conversation.observed")
    assert len(told) == versions[-1] and {e["actor"] for e in told} == {WEBHOOK.email}


def test_a_reading_that_says_the_same_later_holds_off_what_was_between(
    ledger: SqlLedger, states: Any
) -> None:
    _, second, third, fourth, _ = states("101")
    for state in (second, fourth, third):
        assert observe(ledger, state) == 1
    assert ledger.conversation("101") == second


def test_what_says_nothing_of_its_age_is_taken_as_it_comes(ledger: SqlLedger, states: Any) -> None:
    first, second, third, *_ = states("101")
    observe(ledger, third)
    assert observe(ledger, replace(first, revision=0)) == 2
    assert observe(ledger, second) == 2, "and what is older than the last that said it stays away"
    assert ledger.conversation("101") == first


def test_the_clocks_of_two_help_desks_are_not_compared(engine: Any, states: Any) -> None:
    here, there = SqlLedger(engine, "simulator:a"), SqlLedger(engine, "chatwoot:b")
    first, second, *_ = states("101")
    observe(here, second)
    assert observe(there, first) == 2 and there.conversation("101") == first
    assert observe(here, second) == 3


def test_an_old_reading_tells_of_no_breach(ledger: SqlLedger, case: Callable[..., Conversation]) -> None:
    """It lacks the answer that came in time."""
    asked = case("101", created_at=T0 - timedelta(hours=3))
    late = replace(asked.messages[0], at=T0 - timedelta(hours=3))
    reply = Message(
        id="1012", author=Author.AGENT, text="On its way.", at=T0 - timedelta(hours=2, minutes=50)
    )
    asked = replace(asked, messages=(late,), revision=1)
    desk = Desk(ledger, profile("dry-run"), Flags(), lambda: T0, "shop.example")
    desk.observe(replace(asked, messages=(late, reply), revision=2), WEBHOOK)
    desk.observe(asked, WEBHOOK)
    assert ledger.events(kind="sla.breached") == []


def test_how_far_the_help_desk_had_come_is_no_part_of_what_is_kept(
    database: Any, ledger: SqlLedger, states: Any
) -> None:
    first = states("101")[0]
    observe(ledger, first)
    assert observe(ledger, replace(first, revision=9999)) == 1, "it moved on in nothing we see"
    (row,) = database.rows("conversation")
    assert "revision" not in row[3] and 9999 in row
    assert len(ledger.events()) == 1
