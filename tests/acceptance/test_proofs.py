"""Every shipped scenario passes as it is, and fails once a rule it proves is switched off."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cairnops.domain import actions, switches
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.requests import Action, Request
from cairnops.scenarios import runner
from cairnops.scenarios.loader import load_pack, shipped
from cairnops.scenarios.model import Pack, Scenario
from cairnops.scenarios.sessions import begin
from cairnops.settings import Settings
from cairnops.workspace import Workspace

PACKS = [load_pack(info.name) for info in shipped()]
SCENARIOS = [
    pytest.param(pack, scenario, id=f"{pack.id}/{scenario.id}")
    for pack in PACKS
    for scenario in pack.scenarios
]
PROOFS = [
    pytest.param(pack, scenario, code, id=f"{pack.id}/{scenario.id}:{code}")
    for pack in PACKS
    for scenario in pack.scenarios
    for code in scenario.proves
]
OPERATOR = Actor(email="alex.kim@practice.example")


@contextmanager
def workspace(folder: Path, profile: str = "dry-run") -> Iterator[Workspace]:
    with Workspace.open(folder / "w", Settings({}), profile=profile) as opened:
        yield opened


def play(folder: Path, pack: Pack, scenario: Scenario, switched_off: str = "") -> runner.Result:
    """One scenario over the wire, in a workspace of its own, as `dryrun run --switch-off` plays it."""
    with workspace(folder, pack.policy) as w:
        if switched_off:
            w.use(switches.without(w.policy, switched_off))
        session, _ = begin(w, pack, "proof", [OPERATOR], OPERATOR)
        with w.help_desk() as remote:
            results = asyncio.run(runner.run(w, remote, pack, session, OPERATOR, [scenario]))
    assert len(results) == 1
    return results[0]


@pytest.mark.parametrize(("pack", "scenario"), SCENARIOS)
def test_it_passes_as_it_is(tmp_path: Path, pack: Pack, scenario: Scenario) -> None:
    score = play(tmp_path, pack, scenario).score
    assert [(c.code, c.expected, c.found) for c in score.checks if c.gating and not c.ok] == []
    assert score.passed and score.points == 100


@pytest.mark.parametrize(("pack", "scenario", "code"), PROOFS)
def test_it_fails_without_the_rule(tmp_path: Path, pack: Pack, scenario: Scenario, code: str) -> None:
    score = play(tmp_path, pack, scenario, code).score
    assert not score.passed
    assert [c.code for c in score.checks if c.gating and not c.ok]


# Two rules no script can break: a pack has no empty note, and every step has a key of its own.

T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace in which one conversation has been observed."""
    asked = Message(id="1", author=Author.CUSTOMER, text="Where is the delivery?", at=T0)
    conversation = Conversation(
        id="7",
        customer="Jordan Lee",
        customer_key="jordan@example.com",
        status=Status.OPEN,
        created_at=T0,
        messages=(asked,),
    )
    with workspace(tmp_path) as w:
        w.desk(lambda: T0).observe(conversation, OPERATOR)
        yield w


def note(text: str, key: str) -> Request:
    return Request(action=Action.NOTE, conversation="7", actor=OPERATOR, key=key, note=text)


def test_an_empty_note_is_refused_and_leaves_only_the_refusal(seen: Workspace) -> None:
    receipt = seen.desk(lambda: T0).submit(note(" \n", "form-1"))
    assert (receipt.refused, receipt.number, receipt.effects) == ("note.empty", 0, ())
    assert [e["code"] for e in seen.ledger.events(kind="action.refused")] == ["note.empty"]
    assert seen.ledger.deliveries() == []


def test_a_key_stands_for_the_request_that_used_it_first(seen: Workspace) -> None:
    desk = seen.desk(lambda: T0)
    first = desk.submit(note("Called the carrier.", "form-1"))
    assert first.refused == "" and len(first.effects) == 1
    other = desk.submit(note("Called the customer.", "form-1"))
    assert (other.refused, other.effects) == ("request.key_reused", ())
    assert other.sentence == f"{actions.KEY_REUSED.title}. {actions.KEY_REUSED.way_out}"
    again = desk.submit(note("Called the carrier.", "form-1"))
    assert again.refused == "" and isinstance(again.outcome, actions.Repeat)
    assert [d["payload"]["text"] for d in seen.ledger.deliveries()] == ["Called the carrier."]


def test_a_refused_key_reuse_is_recorded_however_often_it_is_tried(seen: Workspace) -> None:
    desk = seen.desk(lambda: T0)
    desk.submit(note("Called the carrier.", "form-1"))
    for _ in range(2):
        assert desk.submit(note("Called the customer.", "form-1")).refused == "request.key_reused"
    assert [e["code"] for e in seen.ledger.events(kind="action.refused")] == ["request.key_reused"] * 2
