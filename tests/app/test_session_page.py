"""The facilitator's page: what may be done by whom, and a session from nothing to a verified bundle in a browser."""

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from cairnops.app import room as rooms
from cairnops.app.room import Room
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.requests import Action, Request
from cairnops.evidence import verify
from cairnops.scenarios import practice
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.sessions import begin
from cairnops.settings import Settings
from cairnops.workspace import Workspace, mint, now
from tests.app.conftest import in_light_and_dark, settle
from tests.app.hostile import TEXTS
from tests.app.server import serving

ALEX, SAM = Actor(email="alex.kim@practice.example"), Actor(email="sam.roe@practice.example")
MORGAN = Actor(email="morgan.patel@practice.example", role=Role.LEAD)
QUINN = Actor(email="quinn@practice.example", role=Role.QA)
PACK = load_pack("cx-escalations")
LATE = "a-late-shipment"


def started(workspace: Workspace, **how: Any) -> None:
    begin(workspace, PACK, "thursday", [ALEX, SAM, MORGAN], MORGAN, live=now(), **how)


# The page's logic, without a browser.


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A room with a simulator, in which a session is live."""
    room = rooms.enter(Room(tmp_path / "w", Settings({})).start())
    started(room.workspace)
    yield room
    room.stop()


def _script() -> None:
    import streamlit as st

    from cairnops.app import identity, shell
    from cairnops.app.pages import session

    person = identity.of_practice(st.query_params["as"])
    assert person is not None
    shell.begin(person)
    session.page()
    shell.overlay()
    shell.end()


def opened(who: Actor, part: str = "Run", session: str = "thursday", **state: Any) -> AppTest:
    at = AppTest.from_function(_script, default_timeout=60)
    at.query_params["as"] = f"{who.email}:{who.role.value}"
    if session:
        at.query_params["session"] = session
        at.session_state[f"_part_{session}"] = part
    for name, value in state.items():
        at.session_state[name] = value
    at.run()
    assert not at.exception
    return at


def given_to(at: AppTest, component: str, label: str = "") -> dict[str, Any]:
    """What the component of that name, and that label, was given."""
    found = [
        json.loads(node.proto.json)
        for node in at.get("bidi_component")
        if node.proto.component_name.endswith(f".{component}")
    ]
    return next(data for data in found if not label or data.get("label", data.get("caption")) == label)


def errors(at: AppTest) -> str:
    return " ".join(e.value.replace("\\", "") for e in at.error)


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    # After a press only the parts that changed are there.
    return at.run()


def seed(room: Room, *operators: Actor, scenario: str = LATE) -> list[practice.Seeded]:
    held = room.workspace.sessions.get("thursday")
    wanted = PACK.scenario(scenario)
    assert wanted is not None
    assert room.client is not None
    return room.run(
        practice.seed(
            room.workspace, room.client, room.admin, held, wanted, operators=operators, at=now(), actor=MORGAN
        )
    )


def decide(workspace: Workspace, who: Actor, session: str = "thursday") -> int:
    """An operator opens their case and approves what is suggested, through the same desk the app uses."""
    case = next(s for s in practice.seeded(workspace, session) if s.operator == who.email)
    found = practice.scenario_of(workspace, session, case.conversation)
    assert found is not None
    desk = workspace.desk(now, practice.flags_for(workspace, session, found[0]))
    draft = practice.draft_for(*found)
    view = desk.open(case.conversation, who, key=mint(), session=session, draft=draft)
    done = desk.submit(
        Request(
            action=Action.APPROVE_SEND,
            conversation=case.conversation,
            actor=who,
            key=mint(),
            session=session,
            seen_version=view.version,
            suggestion=view.suggestion_uid,
        )
    )
    return done.number


def test_operators_are_told_where_their_cases_are(room: Room) -> None:
    at = opened(ALEX)
    assert [i.value for i in at.info] == [
        "Sessions are run by leads, managers and admins. Your cases are on the Desk."
    ]
    assert not at.button
    assert not [n for n in at.get("bidi_component") if n.proto.component_name.endswith((".board", ".feed"))]


@pytest.mark.parametrize("part", ["Prepare", "Run", "Wrap up"])
def test_who_reviews_sees_everything_and_can_press_nothing(room: Room, part: str) -> None:
    at = opened(QUINN, part)
    # What only looks elsewhere may be pressed.
    assert [b.label for b in at.button if not b.disabled] == ["All sessions"]
    assert "You see what the facilitator sees" in at.info[0].value
    acts = [
        item["act"]
        for node in at.get("bidi_component")
        if node.proto.component_name.endswith(".entries")
        for item in json.loads(node.proto.json)["items"]
    ]
    assert not any(acts)


def test_a_press_of_somebody_who_may_not_is_refused(room: Room) -> None:
    at = opened(MORGAN, "Prepare")
    at.query_params["as"] = f"{QUINN.email}:qa"
    at.session_state["_me"] = QUINN
    at.button(key="_measure").click().run()
    assert not room.workspace.sessions.probes("thursday")


def create(at: AppTest, name: str, people: str, **more: Any) -> AppTest:
    at.text_input(key="_new_name").input(name)
    at.text_area(key="_new_people").input(people)
    for key, value in more.items():
        at.toggle(key=key).set_value(value)
    next(b for b in at.button if b.label == "Create and go live").click().run()
    assert not at.exception
    return at


def test_a_session_is_created_live_with_its_probes_measured(room: Room) -> None:
    create(
        opened(MORGAN, session=""),
        "friday",
        "sam.roe@practice.example, ann@practice.example:lead",
        _new_ai=False,
    )
    held = room.workspace.sessions.get("friday")
    assert (held.live, held.mode, held.flags.ai_escalations) == (True, "practice", False)
    assert [p.email for p in held.participants] == ["sam.roe@practice.example", "ann@practice.example"]
    assert {r.name: r.status for r in room.workspace.sessions.probes("friday")}["chatwoot"] == "ok"


@pytest.mark.parametrize(
    ("name", "people", "says"),
    [
        pytest.param("", "a@x.example", "A session needs a name", id="no name"),
        pytest.param("../x", "a@x.example", "cannot name a session", id="no folder's name"),
        pytest.param("thursday", "a@x.example", "is there already", id="taken"),
        pytest.param("friday", "  ", "Nobody takes part", id="nobody"),
        pytest.param("friday", "morgan", "is no participant", id="no address"),
    ],
)
def test_what_cannot_be_created_is_said_and_what_was_typed_stays(
    room: Room, name: str, people: str, says: str
) -> None:
    at = create(opened(MORGAN, session=""), name, people)
    assert says in errors(at)
    assert at.text_area(key="_new_people").value == people
    assert [row["name"] for row in room.workspace.sessions.all()] == ["thursday"]


@pytest.mark.parametrize(
    ("to", "some", "operators"),
    [
        pytest.param("Everybody", [], [ALEX.email, SAM.email], id="everybody"),
        pytest.param("Some", [SAM.email], [SAM.email], id="one"),
        pytest.param("Some", [SAM.email, MORGAN.email], [MORGAN.email, SAM.email], id="a lead practises too"),
        pytest.param("One shared copy", [], [""], id="shared"),
    ],
)
def test_a_scenario_is_seeded_to_whom_it_is_meant_for(
    room: Room, to: str, some: list[str], operators: list[str]
) -> None:
    at = opened(MORGAN, _out_to=to, _out_people=some)
    at = press(at, "_out")
    assert sorted(s.operator for s in practice.seeded(room.workspace, "thursday")) == operators
    rows = given_to(at, "board")["rows"]
    assert sorted(r["operator"] for r in rows if r["seats"][0]["steps"]) == operators


def test_nobody_is_seeded_when_nobody_was_chosen(room: Room) -> None:
    at = press(opened(MORGAN, _out_to="Some"), "_out")
    assert "Nobody was chosen" in errors(at)
    assert not practice.seeded(room.workspace, "thursday")


def test_the_agenda_goes_on_and_back_and_is_on_record(room: Room) -> None:
    at = opened(MORGAN)
    for key in ("_agenda_next", "_agenda_next", "_agenda_back"):
        at = press(at, key)
    assert [t.part for t in room.workspace.sessions.turns("thursday")] == [0, 1, 0]
    assert given_to(at, "agenda_timer")["index"] == 0


def test_what_is_noted_stands_in_the_worksheet_once(room: Room) -> None:
    at = opened(MORGAN, _note_key="k1")
    at.text_area(key="_note_text_k1").input("Who answers?")
    at.text_input(key="_note_owner_k1").input("Ann")
    at = press(at, next(b.key for b in at.button if b.label == "Note it"))
    (row,) = room.workspace.sessions.notes("thursday")
    assert (row["outcome"], row["note"], row["owner"], row["participant"]) == (
        "question",
        "Who answers?",
        "Ann",
        MORGAN.email,
    )
    assert given_to(at, "entries", "Noted so far")["items"][0]["title"] == "Who answers?"
    # The form is a new one, with a key of its own.
    assert at.session_state["_note_key"] != "k1"


def test_an_empty_note_is_refused_in_words(room: Room) -> None:
    at = opened(MORGAN, _note_key="k1")
    at = press(at, next(b.key for b in at.button if b.label == "Note it"))
    assert "There is nothing to note" in errors(at)
    assert not room.workspace.sessions.notes("thursday")


def test_what_is_open_is_named_before_the_session_is_closed(room: Room) -> None:
    seed(room, ALEX, SAM)
    decide(room.workspace, ALEX)
    before = {
        e["key"]: e for e in given_to(opened(MORGAN, "Wrap up"), "entries", "Before you close")["items"]
    }
    assert before["left"]["title"] == "2 cases without a debrief"
    assert before["left"]["lines"] == [
        "Alex Kim: A Late shipment (Alex Rivera)",
        "Sam Roe: A Late shipment (Alex Rivera), never opened",
    ]
    assert before["owners"]["title"] == "Every question has an owner"


def test_hostile_texts_reach_no_markdown(room: Room) -> None:
    """A label or a title with somebody's text in it would load a picture from wherever it says."""
    held = room.workspace.sessions
    for number, text in enumerate(TEXTS.values()):
        held.record(
            Entry(
                kind="action.refused", at=now(), actor=Actor(email="x@x.example"), session="thursday",
                key=f"h{number}", code="suggestion.wrong_name", body={"action": "approve_send", "sentence": text},
            )
        )  # fmt: skip
    at = opened(MORGAN)
    shown = [
        e.value for kind in ("markdown", "caption", "title", "header", "subheader") for e in at.get(kind)
    ]
    assert not [text for text in TEXTS.values() if any(text in value for value in shown)]
    assert len(given_to(at, "feed")["items"]) >= len(TEXTS)


# In a browser.


@contextmanager
def noise(workspace: Path) -> Iterator[None]:
    """Something is committed again and again by another process's hand, as in a busy room."""
    over = threading.Event()

    def commit() -> None:
        with Workspace.open(workspace, Settings({})) as w:
            number = 0
            while not over.wait(0.25):
                number += 1
                w.sessions.record(
                    Entry(
                        kind="room.noise",
                        at=now(),
                        actor=ALEX,
                        session="thursday",
                        key=f"noise{number}",
                        body={},
                    )
                )

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_page_is_turned_although_things_keep_landing(tmp_path: Path, visit: Callable[..., Page]) -> None:
    with Workspace.open(tmp_path / "w", Settings({})) as w:
        started(w)
    with serving(tmp_path / "w") as desk, noise(tmp_path / "w"):
        page = visit(desk.url("", "thursday", "session") + f"&as={MORGAN.email}:lead")
        for _ in range(4):
            for link, heading in (("Desk", "Desk"), ("Session", PACK.title)):
                page.get_by_role("link", name=link, exact=True).click()
                expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()


def test_nothing_of_ours_stands_in_anybodys_way(tmp_path: Path, visit: Callable[..., Page]) -> None:
    with Workspace.open(tmp_path / "w", Settings({})) as w:
        started(w)
    with serving(tmp_path / "w") as desk:
        page = visit(desk.url(f"{MORGAN.email}:lead", "thursday", "session"), height=1600)
        found = {}
        for part in ("Wrap up", "Prepare", "Run"):
            page.get_by_role("radio", name=part).click()
            settle(page)
            expect(page.get_by_role("heading", level=2).first).to_be_visible()
            found[part] = in_light_and_dark(page)
        page.get_by_role("button", name="Seed a scenario").click()
        page.get_by_role("button", name="Seed", exact=True).click()
        seat = page.get_by_role("button", name="Alex Kim, scenario A, Seeded")
        expect(seat).to_be_visible()
        page.keyboard.press("Escape")
        seat.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Finish and debrief")).to_be_visible()
        found["a case"] = in_light_and_dark(page)
        assert not any(found.values()), found


def test_a_session_from_nothing_to_a_verified_bundle(tmp_path: Path, visit: Callable[..., Page]) -> None:
    workspace = tmp_path / "w"
    with serving(workspace) as desk:
        page = visit(desk.url(f"{MORGAN.email}:lead", page="session"), height=1600)
        _create(page)
        _run(page, workspace)
        _finish_and_capture(page)
        bundle = _hand_over(page, tmp_path)
    report = verify.verify(bundle)
    assert (report.found, report.session) == (0, "friday")
    assert report.counts["decisions"] == 2 * 2
    assert (
        "Who answers on Sundays?"
        in zipfile.Path(bundle, f"{bundle.stem}/data/worksheet/worksheet.md").read_text()
    )


def _create(page: Page) -> None:
    page.get_by_role("textbox", name="Name").fill("friday")
    page.get_by_role("textbox", name="Participants").fill(f"{ALEX.email}\n{SAM.email}\n{MORGAN.email}:lead")
    page.get_by_role("button", name="Create and go live").click()
    expect(page.get_by_text("Go: every gate is met")).to_be_visible()


def _run(page: Page, workspace: Path) -> None:
    """Two operators get A; what they decide in another process is seen without touching the page."""
    page.get_by_role("radio", name="Run").click()
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_text("on time")).to_be_visible()
    page.get_by_role("button", name="Seed a scenario").click()
    page.get_by_role("button", name="Seed", exact=True).click()
    expect(page.get_by_role("button", name="Sam Roe, scenario A, Seeded")).to_be_visible()
    page.keyboard.press("Escape")
    page.evaluate("globalThis.neverReloaded = true")
    with Workspace.open(workspace, Settings({})) as w:
        for who in (ALEX, SAM):
            decided = decide(w, who, "friday")
            expect(page.get_by_role("button", name=f"#{decided} approved")).to_be_visible()
    expect(page.get_by_text("Approved, decision")).to_have_count(2)
    assert page.evaluate("globalThis.neverReloaded") is True


def _finish_and_capture(page: Page) -> None:
    page.get_by_role("textbox", name="What was asked or seen").fill("Who answers on Sundays?")
    page.get_by_role("textbox", name="Owner").fill("Morgan")
    page.get_by_role("button", name="Note it").click()
    expect(page.get_by_role("textbox", name="What was asked or seen")).to_have_value("")
    expect(page.locator(".co-entries").get_by_text("Who answers on Sundays?")).to_be_visible()
    page.get_by_role("button", name="Alex Kim, scenario A, Delivered").click()
    page.get_by_role("button", name="Read: Can everybody see").click()
    expect(page.get_by_role("button", name="Read: Can everybody see")).to_have_count(0)
    page.get_by_role("button", name="Finish and debrief").click()
    expect(page.get_by_role("button", name="Open the debrief")).to_be_visible()
    page.get_by_role("button", name="Open the debrief").click()
    expect(page.get_by_role("dialog").get_by_text("What good looks like")).to_be_visible()
    settle(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def _hand_over(page: Page, home: Path) -> Path:
    page.get_by_role("radio", name="Wrap up").click()
    page.get_by_role("button", name="Debrief everybody").click()
    expect(page.get_by_text("Every case has its debrief")).to_be_visible()
    page.get_by_role("button", name="Close the session").click()
    page.get_by_role("button", name="Close and hand over").click()
    expect(page.get_by_text("Verified: whole, and nothing was altered")).to_be_visible()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download bundle").click()
    target = home / coming.value.suggested_filename
    coming.value.save_as(target)
    return target
