"""Results and decisions: figures lead to exactly their rows, roles see what is theirs, texts stay texts."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from cairnops.app import room as rooms
from cairnops.app.pages import decisions as decisions_page
from cairnops.app.pages.report import COLOURS
from cairnops.app.room import Room
from cairnops.app.views import report as view
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Role, Status
from cairnops.domain.requests import Action, Flags, Request
from cairnops.evidence import cases, charts, exports, reconcile
from cairnops.evidence import report as pages
from cairnops.evidence.report import Figures
from cairnops.settings import Settings
from cairnops.telemetry.reader import read_lines
from cairnops.workspace import Workspace
from tests.app.conftest import in_light_and_dark, settle
from tests.app.hostile import TEXTS
from tests.app.server import Desk, serving
from tests.integration.conftest import child

ALEX, MORGAN = "alex.kim@practice.example", "morgan.lee@practice.example"
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def played(once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cases by two operators, and a library with edits, overrides and refusals."""

    def play(root: Path) -> None:
        for pack, session, who in (
            ("cx-escalations", "demo", ALEX),
            ("cx-escalations", "demo", MORGAN),
            ("practice-library", "library", "sam.ortiz@practice.example"),
        ):
            done = child("dryrun", "run", "--pack", pack, "--session", session, "--as", who, "-w", root)
            assert done.code == 0, done.err

    home = tmp_path_factory.mktemp("played") / "w"
    shutil.copytree(once("reviewed", play), home)
    return home


@pytest.fixture(scope="module")
def figures(played: Path) -> Figures:
    with Workspace.open(played, Settings({})) as workspace:
        return pages.of_workspace(workspace)


# Figures and their rows.


def test_every_mark_of_every_chart_leads_to_as_many_rows_as_it_stands_for(figures: Figures) -> None:
    counted = 0
    for picture in view.pictures(figures, COLOURS["light"]).values():
        layers = picture.spec.get("layer", [picture.spec])
        for row in (r for one in (picture.spec, *layers) for r in one.get("data", {}).get("values", ())):
            href = row.get("href", "")
            if not href:
                continue
            found = view.behind(figures, href)
            assert found is not None, href
            said = str(row.get("said", row.get("count", "")))
            number = int(said.partition(" ")[0]) if said else None
            if "seconds" in row:
                assert len(found.table.rows) == 1
            elif number is not None and "next=yes" not in href:
                assert len(found.table.rows) == number, (href, said)
                counted += 1
    assert counted > 10


def test_every_figure_of_the_overview_leads_to_as_many_rows_as_it_counts(figures: Figures) -> None:
    overview = view.overview(figures)
    assert len(overview) == 8
    for figure in overview:
        found = view.behind(figures, figure.href)
        assert found is not None
        assert len(found.table.rows) == int(figure.hint.partition(" ")[0].replace(",", "")), figure


def test_a_row_is_found_by_each_of_several_words(figures: Figures) -> None:
    (once,) = [c for c in figures.practice["confusion"] if c["code"] == "refund.above_tier"]
    for word, count in (("raised", once["fired"]), ("silent", once["silentRight"] + once["silentWrong"])):
        found = view.behind(figures, f"#runs?{word}=refund.above_tier&answer=right|acceptable|wrong")
        assert found is not None and len(found.table.rows) == count > 0


def test_a_chart_for_the_screen_has_only_the_theme_s_colours_and_leads_nowhere_by_itself(
    figures: Figures,
) -> None:
    paper = {pair[0] for pair in charts.COLOURS.values()}
    for name, picture in view.pictures(figures, COLOURS["dark"]).items():
        text = json.dumps(picture.spec)
        assert not [colour for colour in paper if colour in text], name
        encodings = [layer["encoding"] for layer in picture.spec.get("layer", [picture.spec])]
        assert not [one for one in encodings if "href" in one], name


def test_rows_as_csv_are_told_apart_and_run_no_formula() -> None:
    table = view.table(("Case", "took", "took"), [("=1+1", "a", "b")])
    assert cases.csv_text(table.records()) == "Case,took,took took\r\n'=1+1,a,b\r\n"


def test_what_cannot_be_said_yet_is_not_said(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w", Settings({})) as workspace:
        empty = pages.of_workspace(workspace)
    assert {v.name: (v.word, v.tone) for v in view.verdicts(empty)} == dict.fromkeys(
        ("SLA", "Escalation latency", "Delivery", "Escalation rate"), ("Not enough data", "plain")
    )
    assert (
        next(v.why for v in view.verdicts(empty) if v.name == "SLA") == "0 open conversations; 5 are needed"
    )
    assert view.overview(empty) == []
    assert view.pictures(empty, COLOURS["light"]) == {}
    made = view.course(empty, "editRate", "operator", COLOURS["light"])
    assert made == "Not enough data to say: 0 of 2 days needed to see a course."


def test_one_day_is_no_course_and_two_are(figures: Figures, played: Path) -> None:
    assert not isinstance(view.course(figures, "decisions", "cohort", COLOURS["light"]), str)
    with Workspace.open(played, Settings({})) as workspace:
        demo = pages.of_workspace(workspace, "demo")
    made = view.course(demo, "decisions", "cohort", COLOURS["light"])
    assert made == "Not enough data to say: 1 of 2 days needed to see a course."


def test_who_works_cases_does_not_wait_for_what_only_a_report_needs() -> None:
    script = (
        "import sys, cairnops.app.pages.decisions, cairnops.app.pages.results\n"
        "print(*sorted({'duckdb', 'polars', 'pandas', 'altair', 'cairnops.evidence.report'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""


# The pages, without a browser.


@pytest.fixture
def desk(played: Path, tmp_path: Path) -> Iterator[Room]:
    """A room of its own on a copy of what was played; nothing is delivered."""
    home = tmp_path / "w"
    shutil.copytree(played, home)
    with entered(home) as room:
        yield room


@contextmanager
def entered(home: Path) -> Iterator[Room]:
    """The room of this process, never started: no help desk, no delivery, no thread."""
    room = rooms.enter(Room(home, Settings({})))
    yield room
    room.workspace.close()
    room._loop.close()


def _script(page: str) -> None:
    import importlib

    import streamlit as st

    from cairnops.app import identity, shell

    person = identity.of_practice(st.query_params["as"])
    assert person is not None
    shell.begin(person)
    importlib.import_module(f"cairnops.app.pages.{page}").page()
    shell.overlay()
    shell.end()


def opened(page: str, who: str, **state: Any) -> AppTest:
    """A page as one person sees it; `state` is what they chose before."""
    at = AppTest.from_function(_script, default_timeout=60, args=(page,))
    at.query_params["as"] = who
    for name, value in state.items():
        at.session_state[name] = value
    at.run()
    assert not at.exception
    return at


def drawn(at: AppTest, name: str) -> list[dict[str, Any]]:
    """What the components of that name were given."""
    return [
        json.loads(node.proto.json) for node in at.get("bidi_component") if name in node.proto.component_name
    ]


def told(at: AppTest) -> str:
    return "\n".join(
        element.value for kind in ("text", "info", "error", "warning") for element in at.get(kind)
    )


@pytest.mark.parametrize("who", [f"{ALEX}:operator"])
def test_an_operator_has_no_decisions_page(desk: Room, who: str) -> None:
    at = opened("decisions", who)
    assert [e.value for e in at.error] == [
        "The role operator does not review\\; these do\\: lead\\, manager\\, admin\\, qa\\, analyst\\."
    ]
    assert not drawn(at, "data_table")
    assert not at.button


def test_an_operator_sees_their_own_results_only(desk: Room) -> None:
    at = opened("results", f"{ALEX}:operator")
    assert [t.value for t in at.title] == ["Your results"]
    text = json.dumps([drawn(at, "data_table"), drawn(at, "stat_tiles"), told(at)])
    assert "Refund offer" in text
    assert MORGAN not in text
    assert "sam.ortiz" not in text


def test_an_operator_cannot_open_the_debrief_of_somebody_else(desk: Room) -> None:
    at = opened("results", f"{ALEX}:operator", _run=f"demo/b-refund-offer/{MORGAN}")
    assert not drawn(at, "entries")
    assert drawn(opened("results", f"{ALEX}:operator", _run=f"demo/b-refund-offer/{ALEX}"), "entries")


def test_who_has_no_results_is_told_what_makes_some(desk: Room) -> None:
    assert "No results yet" in told(opened("results", "new@practice.example:operator"))


@pytest.mark.parametrize("part", ["Overview", "SLA", "Latency", "Practice", "Delivery", "People"])
def test_every_part_of_the_report_is_drawn(desk: Room, part: str) -> None:
    at = opened("results", "quinn@practice.example:analyst", _report_section=part)
    assert drawn(at, "data_table")


@pytest.mark.parametrize("part", ["Overview", "SLA", "Latency", "Practice", "Delivery", "People"])
def test_an_empty_workspace_says_so_in_every_part(tmp_path: Path, part: str) -> None:
    with entered(tmp_path / "empty"):
        at = opened("results", "quinn@practice.example:analyst", _report_section=part)
    assert "yet" in told(at)


def test_figures_hold_still_until_they_are_measured_again(desk: Room) -> None:
    at = opened("results", "quinn@practice.example:analyst")
    before = drawn(at, "stat_tiles")
    desk.workspace.desk(lambda: NOW, Flags()).observe(case("9999", "Robin"), Actor(email=ALEX))
    at.run()
    assert drawn(at, "stat_tiles") == before
    again = next(b for b in at.button if b.label.startswith("Measure again"))
    again.click().run()
    assert "36 conversations" in told(at)


def test_only_who_runs_sessions_seals(desk: Room) -> None:
    assert not [b for b in opened("decisions", "q@practice.example:qa").button if b.label.startswith("Seal")]
    at = opened("decisions", "r@practice.example:lead")
    next(b for b in at.button if b.label == "Seal 58").click().run()
    assert not at.exception
    assert desk.workspace.seals.unsealed() == 0
    assert [e for e in desk.workspace.ledger.events() if e["kind"] == "ledger.sealed"][-1][
        "actor"
    ] == "r@practice.example"


def test_a_sealed_decision_comes_with_a_proof_a_stranger_can_check(desk: Room) -> None:
    at = opened("decisions", "q@practice.example:qa", _param_decision="102")
    assert "Not sealed yet" in told(at)
    desk.workspace.seal(Actor(email=MORGAN, role=Role.LEAD), NOW)
    at = opened("decisions", "q@practice.example:qa", _param_decision="102")
    proved = next(d for d in drawn(at, "record") if d["label"].startswith("Checked"))
    told_ = {f["name"]: f["text"] for f in proved["fields"]}
    assert told_["Proved"] == "the record is unaltered and has index 1 of the log's 58"
    assert told_["Not proved by it"].startswith("whose key that is")
    assert at.get("download_button")


def test_filters_that_are_hidden_are_counted_and_hold(desk: Room) -> None:
    at = opened("decisions", "q@practice.example:qa", _decisions_scope="build", _decisions_edited="unchanged")
    (more,) = at.get("popover")
    assert more.proto.popover.label == "More filters (2)"
    assert [s.value for s in at.selectbox if s.label in ("Scope", "Suggestion")] == ["unchanged", "build"]
    assert not drawn(at, "data_table")[0]["rows"]


def test_a_decision_nobody_made_is_not_found(desk: Room) -> None:
    assert "There is no decision 7" in told(opened("decisions", "q@practice.example:qa", _param_decision="7"))


def test_the_export_is_that_of_the_command_line(desk: Room, tmp_path: Path) -> None:
    done = child(
        "decisions", "export", "--session", "demo", "-o", tmp_path / "e.ndjson", "-w", desk.workspace.root
    )
    assert done.code == 0
    rows = exports.rows(desk.workspace.ledger, "decisions", session="demo")
    assert decisions_page._ndjson(rows) == (tmp_path / "e.ndjson").read_bytes()
    assert sum(line.record is not None for line in read_lines(tmp_path / "e.ndjson")) == len(rows)


def test_a_pasted_worksheet_is_held_against_the_log(desk: Room) -> None:
    at = opened("decisions", "q@practice.example:qa", _decisions_part="Reconcile a worksheet")
    sheet = (desk.workspace.artifacts / "demo" / "worksheet.md").read_text(encoding="utf-8")
    at.text_area[0].input(sheet.replace("| 107 |", "| 999 |"))
    at.button(key="_reconcile_go").click().run()
    assert not at.exception
    found = next(d for d in drawn(at, "data_table") if d["caption"] == "Findings")
    assert [row["cells"]["what"]["text"] for row in found["rows"]] == ["id_differs"]
    at.text_area[0].input("")
    at.button(key="_reconcile_go").click().run()
    assert "There is no worksheet yet" in told(at)


def test_links_of_a_pasted_worksheet_are_not_looked_up_where_the_server_runs(
    desk: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 64)
    monkeypatch.chdir(tmp_path)
    sheet = b"| Decision | Evidence |\n|---|---|\n| 102 | [shot](shot.png) |\n"
    here = reconcile.reconcile(io.BytesIO(sheet), workspace=desk.workspace)
    assert "evidence_missing" not in here.counts
    elsewhere = reconcile.reconcile(io.BytesIO(sheet), workspace=desk.workspace, roots=[])
    assert elsewhere.counts["evidence_missing"] == 1


# The pages, in a browser.


def case(number: str, customer: str) -> Conversation:
    said = Message(id=f"{number}1", author=Author.CUSTOMER, text="Where is it?", at=NOW - timedelta(hours=2))
    return Conversation(
        id=number,
        customer=customer,
        customer_key=f"c{number}@customers.example",
        status=Status.OPEN,
        created_at=NOW - timedelta(hours=2),
        messages=(said,),
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every text somebody could send stands wherever a text can stand."""
    home = tmp_path_factory.mktemp("hostile") / "w"
    with Workspace.open(home, Settings({})) as workspace:
        desk = workspace.desk(lambda: NOW, Flags())
        for number, text in enumerate(TEXTS.values(), 7000):
            desk.observe(case(str(number), text), Actor(email=ALEX))
            ask = {"conversation": str(number), "actor": Actor(email=ALEX), "key": f"k{number}", "note": text}
            done = desk.submit(Request(action=Action.APPROVE_SEND, text=text, **ask))
            if done.refused:
                done = desk.submit(Request(action=Action.MARK_RESOLVED, **{**ask, "key": f"r{number}"}))
            assert done.number, done.refused
    return home


@pytest.fixture(scope="module")
def serving_played(played: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("served") / "w"
    shutil.copytree(played, home)
    with serving(home) as desk:
        yield desk


@pytest.fixture(scope="module")
def serving_hostile(hostile: Path) -> Iterator[Desk]:
    with serving(hostile) as desk:
        yield desk


ANALYST = "quinn@practice.example:analyst"
Visit = Callable[..., Page]

#: How long a page may take that is opened first, with all that a report loads, on a machine busy with other tests.
SLOW_MS = 60_000


def turn(page: Page, part: str) -> None:
    page.get_by_test_id("stButtonGroup").get_by_text(part, exact=True).click(timeout=SLOW_MS)
    settle(page)


def test_a_bar_that_is_pressed_shows_the_rows_it_counts(serving_played: Desk, visit: Visit) -> None:
    page = visit(serving_played.url(ANALYST, page="results"))
    turn(page, "SLA")
    page.locator("svg.marks path[aria-label*='answered late']").first.click()
    behind = page.locator(".st-key-report_behind")
    expect(behind.get_by_text("Conversations: 20 of 35 (first response: missed)")).to_be_visible()
    expect(behind.locator("tbody tr")).to_have_count(20)
    # Another part begins without it.
    turn(page, "Practice")
    expect(behind).to_have_count(0)


def test_without_a_mouse_the_list_leads_to_the_same_rows(serving_played: Desk, visit: Visit) -> None:
    page = visit(serving_played.url(ANALYST, page="results"))
    box = page.get_by_role("combobox", name="Rows behind a figure")
    box.focus()
    page.keyboard.press("Enter")
    page.keyboard.type("Suggestions edited")
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-report_behind tbody tr")).to_have_count(7)


def test_a_decision_opens_from_the_list_and_its_address_leads_back_to_it(
    serving_played: Desk, visit: Visit
) -> None:
    page = visit(serving_played.url("q@practice.example:qa", page="decisions"))
    page.get_by_placeholder("Decision id, uid or conversation").fill("#117")
    rows = page.get_by_role("table", name="Decisions").locator("tbody tr")
    expect(rows).to_have_count(1)
    rows.get_by_role("button").press("Enter")
    expect(page.get_by_role("heading", name="#117 Approve & send")).to_be_visible()
    expect(page.locator(".co-record ins")).to_contain_text(["Priya", "Saturday"])
    assert "decision=117" in page.url
    page.reload()
    settle(page)
    expect(page.get_by_role("heading", name="#117 Approve & send")).to_be_visible()


def test_nothing_of_ours_is_in_the_way_of_a_screen_reader(serving_played: Desk, visit: Visit) -> None:
    page = visit(serving_played.url(ANALYST, page="results"))
    found = in_light_and_dark(page)
    for part in ("SLA", "Practice", "People"):
        turn(page, part)
        found += in_light_and_dark(page)
    page = visit(serving_played.url("q@practice.example:qa", page="decisions"))
    found += in_light_and_dark(page)
    page.goto(serving_played.url("q@practice.example:qa", page="decisions") + "&decision=125")
    expect(page.get_by_role("heading", name="Proof")).to_be_visible()
    settle(page)
    assert found + in_light_and_dark(page) == []


def test_on_a_narrow_screen_nothing_sticks_out(serving_played: Desk, visit: Visit) -> None:
    for where in ("results", "decisions"):
        page = visit(serving_played.url(ANALYST, page=where), width=400)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, where


def test_no_text_is_more_than_a_text(serving_hostile: Desk, visit: Visit) -> None:
    page = visit(serving_hostile.url(ANALYST, page="results"))
    turn(page, "Practice")
    harmless(page)
    turn(page, "SLA")
    page.locator("svg.marks path[aria-label*='First response']").first.click()
    expect(page.locator(".st-key-report_behind tbody tr").first).to_be_visible(timeout=SLOW_MS)
    harmless(page)
    page = visit(serving_hostile.url("q@practice.example:qa", page="decisions"))
    expect(page.get_by_role("table", name="Decisions")).to_be_visible(timeout=SLOW_MS)
    harmless(page)
    page.goto(
        serving_hostile.url("q@practice.example:qa", page="decisions") + f"&decision={100 + len(TEXTS)}"
    )
    for number, text in reversed(list(enumerate(TEXTS.values(), 101))):
        expect(page.get_by_role("heading", name=f"#{number} ")).to_be_visible(timeout=SLOW_MS)
        expect(page.locator("dd", has_text=f"chatwoot:{number + 6899}")).to_be_visible()
        settle(page)
        harmless(page)
        said = page.locator("dd").evaluate_all("all => all.map((n) => n.textContent)")
        assert text.replace("\r\n", "\n") in [one.replace("\r\n", "\n") for one in said], text
        if number > 101:
            page.get_by_role("button", name="Older").click()


def harmless(page: Page) -> None:
    main = page.get_by_test_id("stMain")
    assert page.evaluate("window.hacked") is None
    assert main.locator("img, iframe, a[href^=http], script, .katex, object, embed").count() == 0
    assert main.get_by_test_id("stMarkdownContainer").locator("a").count() == 0
