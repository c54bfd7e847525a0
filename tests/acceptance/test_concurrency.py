"""Eight processes at one desk: one operator action is one decision, whoever presses, however often."""

import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from cairnops.desk.desk import Desk
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Role, Status
from cairnops.domain.requests import Action, Request
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.sessions import begin
from cairnops.settings import Settings
from cairnops.store.sessions import Noted
from cairnops.workspace import Workspace

EIGHT = 8
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
SPAWN = multiprocessing.get_context("spawn")


def person(number: int) -> Actor:
    return Actor(email=f"operator{number}@shop.example")


def case(key: str) -> Conversation:
    said = Message(
        id=f"{key}1", author=Author.CUSTOMER, text="Where is my order?", at=T0 - timedelta(minutes=9)
    )
    return Conversation(
        id=key,
        customer="Alex Rivera",
        customer_key=f"alex{key}@example.test",
        status=Status.OPEN,
        created_at=T0 - timedelta(minutes=10),
        messages=(said,),
    )


def press(desk: Desk, number: int, conversation: str, key: str, seen: int | None, by: int | None) -> Any:
    return desk.submit(
        Request(
            action=Action.APPROVE_SEND,
            conversation=conversation,
            actor=person(number if by is None else by),
            key=key,
            seen_version=seen,
            text="Hi Alex, your parcel is on its way.",
            note="asked the carrier",
        )
    )


# What each of the eight does; the answer goes back as plain data.


def different_keys(w: Workspace, number: int) -> Any:
    receipt = press(w.desk(lambda: T0), number, "101", f"key-{number}", None, None)
    return receipt.refused, receipt.number


def from_a_form(w: Workspace, number: int) -> Any:
    receipt = press(w.desk(lambda: T0), number, "101", f"key-{number}", 1, None)
    return receipt.refused, receipt.number


def same_key(w: Workspace, number: int) -> Any:
    receipt = press(w.desk(lambda: T0), number, "101", "the-form", 1, 0)
    return type(receipt.outcome).__name__, receipt.number, receipt.decision


def own_conversation(w: Workspace, number: int) -> Any:
    receipt = press(w.desk(lambda: T0), number, str(101 + number), f"key-{number}", None, None)
    return receipt.refused, receipt.number


def open_the_same(w: Workspace, number: int) -> Any:
    view = w.desk(lambda: T0).open("101", person(0), key="the-modal")
    return view.suggestion_uid, view.suggestion.text if view.suggestion else ""


def join_and_work(w: Workspace, number: int) -> Any:
    w.sessions.join("s", person(number), T0)
    mine = [w.sessions.assign("s", "a", person(number).email, "1045", T0)[0] for _ in range(3)]
    row = Noted(
        key="one-row", session="s", scenario="a", participant=person(0), conversation=mine[0],
        outcome="seen", note="", at=T0,
    )  # fmt: skip
    noted = w.sessions.note(row)
    for _ in range(2):
        w.sessions.ran("s", "a", person(0), T0, passed=True, body={"score": 1})
    return set(mine), noted


Part = Callable[[Workspace, int], Any]


def _take_part(root: str, number: int, part: Part, gate: Barrier, said: Any) -> None:
    try:
        with Workspace.open(Path(root), Settings({})) as w:
            w.ledger.counts()
            gate.wait(60)
            said.put((number, part(w, number)))
    except BaseException as error:
        gate.abort()
        said.put((number, repr(error)))
        raise


def at_once(root: Path, part: Part) -> list[Any]:
    """What each of eight processes got, all let go at the same moment."""
    gate, said = SPAWN.Barrier(EIGHT), SPAWN.Queue()
    started = [
        SPAWN.Process(target=_take_part, args=(str(root), number, part, gate, said))
        for number in range(EIGHT)
    ]
    for process in started:
        process.start()
    try:
        answers = dict(said.get(timeout=90) for _ in started)
    finally:
        for process in started:
            process.join(30)
            process.close()
        said.close()
        said.join_thread()
    return [answers[number] for number in range(EIGHT)]


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    with Workspace.open(tmp_path / "w", Settings({})) as w:
        desk = w.desk(lambda: T0)
        for number in range(EIGHT):
            desk.observe(case(str(101 + number)), person(0))
        yield w


def actions(w: Workspace) -> list[dict[str, Any]]:
    return [e for e in w.ledger.events() if e["kind"].startswith("action.")]


@pytest.mark.parametrize(
    ("part", "codes"),
    [
        pytest.param(different_keys, {"reply.already_answered"}, id="no form drawn"),
        pytest.param(from_a_form, {"conversation.changed"}, id="eight forms of one version"),
    ],
)
def test_eight_approve_the_same_conversation(workspace: Workspace, part: Part, codes: set[str]) -> None:
    answers = at_once(workspace.root, part)
    refused = [code for code, _ in answers if code]
    assert [number for code, number in answers if not code] == [101]
    assert len(refused) == 7 and set(refused) == codes, answers
    assert [d["decisionId"] for d in workspace.ledger.decisions()] == [101]
    told = actions(workspace)
    assert len(told) == EIGHT
    assert sorted(e["code"] for e in told) == ["", *sorted(refused)]
    assert {e["actor"] for e in told} == {person(n).email for n in range(EIGHT)}
    assert len(workspace.ledger.deliveries()) == 2
    # A refusal says who was first and what to do.
    for event in told:
        if event["code"]:
            assert "101" in event["body"]["sentence"]


def test_eight_presses_of_one_button(workspace: Workspace) -> None:
    answers = at_once(workspace.root, same_key)
    assert sorted(kind for kind, _, _ in answers) == ["Apply"] + ["Repeat"] * 7
    assert {(number, uid) for _, number, uid in answers} == {(101, workspace.ledger.decisions()[0]["uid"])}
    assert len(workspace.ledger.decisions()) == 1
    assert [e["kind"] for e in actions(workspace)] == ["action.applied"]
    assert len(workspace.ledger.deliveries()) == 2


def test_eight_decide_on_eight_conversations(workspace: Workspace) -> None:
    answers = at_once(workspace.root, own_conversation)
    assert [code for code, _ in answers] == [""] * EIGHT
    assert sorted(number for _, number in answers) == list(range(101, 101 + EIGHT))
    made = workspace.ledger.decisions()
    assert [d["decisionId"] for d in made] == list(range(101, 101 + EIGHT))
    assert {d["conversation"]: d["decisionId"] for d in made} == {
        f"chatwoot:{101 + n}": number for n, (_, number) in enumerate(answers)
    }
    assert all(d["leafHash"] for d in made)
    runs = [row["run_key"] for row in workspace.ledger.deliveries()]
    assert len(runs) == len(set(runs)) == 2 * EIGHT


def test_eight_tabs_open_the_same_modal(workspace: Workspace) -> None:
    answers = at_once(workspace.root, open_the_same)
    assert len(set(answers)) == 1 and answers[0][1]
    assert len(workspace.ledger.events(kind="suggestion.shown")) == 1


def test_eight_join_a_session_and_work_the_same_scenario(workspace: Workspace) -> None:
    lead = Actor(email="lead@shop.example", role=Role.LEAD)
    begin(workspace, load_pack("cx-escalations"), "s", [lead], lead)
    answers = at_once(workspace.root, join_and_work)
    assert all(len(mine) == 1 for mine, _ in answers)
    worked = sorted((mine.pop() for mine, _ in answers), key=lambda key: (len(key), key))
    assert worked == ["1045", *(f"{n}1045" for n in range(2, 9))]
    assert sum(noted for _, noted in answers) == 1
    assert len(workspace.sessions.notes("s")) == len(workspace.sessions.runs("s")) == 1
    assert {p.email for p in workspace.sessions.get("s").participants} == {
        lead.email,
        *(person(n).email for n in range(EIGHT)),
    }
    kinds = [e["kind"] for e in workspace.ledger.events(session="s")]
    assert [kinds.count(k) for k in ("worksheet.noted", "scenario.ran")] == [1, 1]
    assert {e["actor"] for e in workspace.ledger.events(session="s", kind="session.joined")} >= {
        person(n).email for n in range(EIGHT)
    }
