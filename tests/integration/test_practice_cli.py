"""A facilitator without a browser: a live session started, cases seeded, results told, on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from cairnops.domain.conversations import Actor
from cairnops.domain.requests import Action, Request
from cairnops.scenarios import practice
from cairnops.settings import Settings
from cairnops.workspace import Workspace, now

ALEX = Actor(email="alex@shop.example")
LEAD = ["--as", "morgan@shop.example:lead"]


@pytest.fixture
def room(cli: Any, tmp_path: Path) -> list[str]:
    """A live exam with one operator and one lead; the words that name its workspace."""
    where = ["-w", str(tmp_path / "w")]
    people = ["-P", ALEX.email, "-P", "morgan@shop.example:lead"]
    assert cli("session", "start", "monday", "--live", "--exam", *people, *where).code == 0
    return where


def rows(done: Any) -> list[dict[str, Any]]:
    assert done.code in (0, 1, 3), done.err
    return json.loads(done.out)


def work(where: list[str], conversation: str, **more: Any) -> None:
    """Alex opens the case and approves it as it stands; nothing is delivered."""
    with Workspace.open(Path(where[1]), Settings({})) as w:
        found = practice.scenario_of(w, "monday", conversation)
        assert found is not None
        desk = w.desk(now, practice.flags_for(w, "monday", found[0]))
        view = desk.open(
            conversation, ALEX, key="opening", session="monday", draft=practice.draft_for(*found)
        )
        done = desk.submit(
            Request(
                action=Action.APPROVE_SEND, conversation=conversation, actor=ALEX, key="form", session="monday",
                seen_version=view.version, suggestion=view.suggestion_uid, note="Carrier asked.",
            )
        )  # fmt: skip
        assert done.number


def test_a_live_exam_says_what_it_is(cli: Any, room: list[str]) -> None:
    told = json.loads(cli("session", "status", "monday", "--json", *room).out)
    assert (told["live"], told["mode"]) == (True, "exam")
    assert "worked in real time, exam" in cli("session", "status", "monday", *room).out


@pytest.mark.parametrize(
    ("to", "operators"),
    [
        pytest.param(["--everybody"], [ALEX.email], id="everybody"),
        pytest.param(["--shared"], [""], id="shared"),
        pytest.param(["--to", "sam@shop.example"], ["sam@shop.example"], id="somebody new"),
        pytest.param(
            ["--to", "a@b.example", "--to", "c@b.example"], ["a@b.example", "c@b.example"], id="two"
        ),
        pytest.param(
            ["--to", "morgan@shop.example"], ["morgan@shop.example"], id="a lead, in their own role"
        ),
        pytest.param([], ["morgan@shop.example"], id="to oneself"),
    ],
)
def test_whose_case_it_is(cli: Any, room: list[str], to: list[str], operators: list[str]) -> None:
    first = rows(cli("session", "seed", "monday", "A", *to, *LEAD, *room, "--json"))
    assert [r["operator"] for r in first] == operators
    assert {r["scenario"] for r in first} == {"a-late-shipment"}
    assert rows(cli("session", "seed", "monday", "a-late", *to, *LEAD, *room, "--json")) == first


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["monday", "A", "--everybody"], "operator does not facilitate", id="by an operator"),
        pytest.param(["monday", "Z", *LEAD], "has no scenario Z", id="no scenario"),
        pytest.param(["tuesday", "A", *LEAD], "No session is called tuesday", id="no session"),
        pytest.param(["monday", "A", "--shared", "--everybody", *LEAD], "Say one of", id="two ways at once"),
        pytest.param(["monday", "A", "--to", "alex", *LEAD], "is no participant", id="no address"),
    ],
)
def test_a_mistake_is_one_sentence(cli: Any, room: list[str], words: list[str], says: str) -> None:
    done = cli("session", "seed", *words, *room)
    assert (done.code, done.out) == (2, "")
    assert says in done.err and "→" in done.err and "Traceback" not in done.err


def test_a_session_without_operators_has_nobody_to_seed_to(cli: Any, tmp_path: Path) -> None:
    where = ["-w", tmp_path / "w"]
    cli("session", "start", "monday", "--live", *where)
    done = cli("session", "seed", "monday", "A", "--everybody", *LEAD, *where)
    assert done.code == 2 and "has no operators" in done.err


def test_scripts_and_practice_do_not_mix(cli: Any, room: list[str]) -> None:
    done = cli("dryrun", "run", "A", "-s", "monday", *room)
    assert done.code == 2 and "is worked in real time" in done.err


def test_a_debrief_of_what_was_worked(cli: Any, room: list[str]) -> None:
    (mine,) = rows(cli("session", "seed", "monday", "A", "--everybody", *LEAD, *room, "--json"))
    nothing = cli("session", "debrief", "monday", *room, "--json")
    assert (nothing.code, json.loads(nothing.out)) == (3, [])
    work(room, mine["conversation"])
    waiting = cli("session", "debrief", "monday", *room)
    assert waiting.code == 3 and "still on its way" in waiting.err
    assert cli("deliver", *room).code == 0
    done = cli("session", "debrief", "monday", *room, columns=200)
    assert done.code == 0
    for part in ("Late shipment (Alex Rivera)", ALEX.email, "passed", "follow_ups", "sla.minutes = 60"):
        assert part in done.out
    (told,) = rows(cli("session", "debrief", "monday", "--operator", "ALEX@shop.example", *room, "--json"))
    assert [p["code"] for p in told["missed"]] == ["follow_ups"]
    assert (told["best"], told["score"]["passed"]) == ("approve", True)
    assert rows(cli("session", "debrief", "monday", "--operator", "sam@shop.example", *room, "--json")) == []


def test_what_was_not_passed_is_a_finding_and_stands_after_the_session(cli: Any, room: list[str]) -> None:
    (mine,) = rows(cli("session", "seed", "monday", "D", "--everybody", *LEAD, *room, "--json"))
    work(room, mine["conversation"])
    assert cli("deliver", *room).code == 0
    first = cli("session", "debrief", "monday", *room)
    assert first.code == 1 and "not passed" in first.out
    assert cli("session", "close", "monday", *room).code == 0
    again = cli("session", "debrief", "monday", *room)
    assert (again.code, again.out) == (1, first.out)
