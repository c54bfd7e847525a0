"""What silently breaks a desk made of Streamlit, and what a room meets in a day: each looked at in a real browser."""

import re
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from cairnops.app import launch
from cairnops.app.room import milliseconds
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.settings import Settings
from cairnops.store import upkeep
from cairnops.store.engine import open_sqlite
from cairnops.workspace import Workspace, now
from tests.acceptance.desk.conftest import (
    ALEX,
    MORGAN,
    SAM,
    Visit,
    kept,
    leave,
    rehearsal,
    settled,
    start,
    toasted,
)
from tests.app.server import Desk, serving

MANY = 300
#: What another project in the folder of the person might want of Streamlit.
ELSEWHERE = """
[theme]
primaryColor = "#ff00ff"
[server]
headless = false
[browser]
gatherUsageStats = true
[client]
showErrorDetails = "full"
"""


#: Counts how often the focus is seen outside the dialog that is up, where no key of it is heard.
_ASTRAY = """() => {
    window.astray = 0;
    new MutationObserver(() => {
        if (document.querySelector("[role=dialog]") && document.activeElement === document.body) window.astray += 1;
    }).observe(document, { childList: true, subtree: true });
}"""


def case(number: int) -> Conversation:
    """A case that waits at the help desk, whoever takes it."""
    begun = now().replace(microsecond=0) - timedelta(hours=3)
    at = begun + timedelta(minutes=number % 90)
    said = Message(id=f"{number}1", author=Author.CUSTOMER, text=f"Where is parcel {number}?", at=at)
    return Conversation(
        id=str(number),
        customer=f"Customer {number}",
        customer_key=f"c{number}@shop.example",
        status=Status.OPEN,
        created_at=begun,
        messages=(said,),
        tags=("escalation",),
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with two cases for Alex and many besides, started from a folder that has a theme of its own."""
    home = tmp_path_factory.mktemp("traps")
    (home / ".streamlit").mkdir()
    (home / ".streamlit" / "config.toml").write_text(ELSEWHERE)
    workspace = home / "desk"
    start(workspace, ALEX, letters="AB", others=[case(6000 + n) for n in range(MANY)])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        with serving(workspace) as running:
            yield running


def row(page: Page, customer: str) -> Locator:
    return page.get_by_role("row", name=re.compile(customer))


def open_case(page: Page, customer: str) -> Locator:
    row(page, customer).get_by_role("button").first.click()
    dialog = page.get_by_role("dialog", name=re.compile(customer))
    expect(dialog.get_by_label("Reply text")).to_be_visible()
    return dialog


def left_free(desk: Desk) -> None:
    """Wait until nobody has a case open: the browser closes a dialog before the server hears of it."""
    # Shorter than the lease that would end by itself.
    until = time.monotonic() + 15
    with Workspace.open(desk.log.with_suffix(""), Settings()) as w:
        while w.claims.held(milliseconds(now())):
            assert time.monotonic() < until
            time.sleep(0.05)


# What Streamlit does when nobody looks.


def test_a_toast_leaves_the_dialog_and_what_was_typed_in_it_standing(desk: Desk, visit: Visit) -> None:
    page = visit(desk, ALEX, "thursday")
    dialog = open_case(page, "Alex Rivera")
    dialog.get_by_label("Internal note").fill("half a thought")
    dialog.get_by_role("button", name="Worksheet").click()
    dialog.get_by_label("Outcome").fill("Carrier called")
    dialog.get_by_label("Note", exact=True).fill("They scan tonight")
    page.evaluate(_ASTRAY)
    dialog.get_by_role("button", name="Keep the row").click()
    toasted(page, "Kept in the worksheet")
    expect(dialog.get_by_label("Internal note")).to_have_value("half a thought")
    # A form that was sent comes back empty in the browser too, not only on the server.
    dialog.get_by_role("button", name="Worksheet").click()
    expect(dialog.get_by_label("Outcome")).to_have_value("")
    expect(dialog.get_by_label("Note", exact=True)).to_have_value("")
    # The button that was pressed went with what it stood in: Escape must be heard all the same.
    assert page.evaluate("astray") == 0
    leave(page)


def test_opening_typing_and_leaving_take_one_run_each(desk: Desk, visit: Visit) -> None:
    page = visit(desk, ALEX, "thursday")
    ended: list[int] = []

    def heard(frame: bytes | str) -> None:
        message = ForwardMsg()
        message.ParseFromString(frame if isinstance(frame, bytes) else frame.encode())
        if message.WhichOneof("type") == "script_finished":
            ended.append(message.script_finished)

    page.on("websocket", lambda line: line.on("framereceived", heard))
    page.reload()
    settled(page)
    dialog = open_case(page, "Jordan Lee")
    dialog.get_by_label("Internal note").fill("one moment")
    kept(desk.log.with_suffix(""), "one moment")
    dialog.get_by_role("button", name="Escalate").click()
    dialog.get_by_role("button", name="Back").click()
    expect(dialog.get_by_label("Reply text")).to_be_visible()
    leave(page)
    settled(page)
    assert ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY in ended
    # A run that was cut off so that another one draws what it asked for: everybody would wait for two.
    assert ForwardMsg.FINISHED_EARLY_FOR_RERUN not in ended


def test_the_same_case_opens_again_and_again_and_is_never_left_claimed(desk: Desk, visit: Visit) -> None:
    page = visit(desk, ALEX, "thursday")
    for _ in range(8):
        open_case(page, "Jordan Lee")
        leave(page)
    settled(page)
    left_free(desk)


def test_news_for_a_part_that_is_not_on_the_page_harms_nothing(desk: Desk, visit: Visit) -> None:
    lead, page = visit(desk, MORGAN, "thursday"), visit(desk, ALEX, "thursday")
    for name, sign in (
        ("Results", "Results"),
        ("Decisions", "Decisions"),
        ("Session", "dry run"),
        ("Desk", "Desk"),
    ):
        lead.get_by_role("link", name=name).click()
        open_case(page, "Jordan Lee")
        leave(page)
        expect(lead.get_by_role("heading", level=1)).to_contain_text(sign)
    settled(lead)
    expect(lead.get_by_test_id("stException")).to_have_count(0)
    assert "Traceback" not in desk.log.read_text()


def test_news_reaches_a_tab_after_another_one_went(desk: Desk, visit: Visit) -> None:
    gone, stays, page = (visit(desk, who, "thursday") for who in (MORGAN, MORGAN, ALEX))
    gone.close()
    open_case(page, "Jordan Lee")
    expect(row(stays, "Jordan Lee")).to_contain_text(ALEX.email)
    leave(page)
    expect(row(stays, "Jordan Lee")).not_to_contain_text(ALEX.email)


def test_a_tab_that_vanished_leaves_its_case_to_the_next(desk: Desk, visit: Visit) -> None:
    page = visit(desk, ALEX, "thursday")
    dialog = open_case(page, "Jordan Lee")
    dialog.get_by_label("Internal note").fill("typed in the tab that went")
    dialog.get_by_label("Internal note").press("Tab")
    kept(desk.log.with_suffix(""), "typed in the tab that went")
    page.reload()
    dialog = open_case(page, "Jordan Lee")
    expect(dialog.get_by_label("Internal note")).to_have_value("typed in the tab that went")
    leave(page)


def test_the_look_is_its_own_wherever_it_was_started(desk: Desk, visit: Visit) -> None:
    page = visit(desk, ALEX, "thursday")
    dialog = open_case(page, "Alex Rivera")
    approve = dialog.get_by_role("button", name="Approve & send")
    assert approve.evaluate("(n) => getComputedStyle(n).backgroundColor") == "rgb(15, 118, 110)"
    font = "(n) => getComputedStyle(n).fontFamily"
    assert "Inter" in page.get_by_role("heading", level=1).evaluate(font)
    # The name of the customer is the title of the dialog, and reads as one.
    size = "(n) => parseFloat(getComputedStyle(n).fontSize)"
    title = dialog.get_by_text(re.compile("Alex Rivera")).first.evaluate(size)
    assert title >= 1.3 * dialog.get_by_text("Conversation history").evaluate(size)
    icon = page.locator("link[rel*=icon]").first.get_attribute("href") or ""
    assert not icon.startswith("http") or icon.startswith(desk.base)
    leave(page)


# A big queue, a narrow window, a line that breaks.


def test_hundreds_wait_and_one_is_found_by_a_word(desk: Desk, visit: Visit) -> None:
    page = visit(desk, SAM)
    expect(page.get_by_role("row")).to_have_count(MANY + 1)
    page.get_by_placeholder("Name, id, tag, words").fill("parcel 6123")
    expect(page.get_by_role("row")).to_have_count(2)
    dialog = open_case(page, "Customer 6123")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_placeholder("Name, id, tag, words").fill("nobody is called that")
    expect(page.get_by_text("No case matches these filters.")).to_be_visible()
    page.get_by_placeholder("Name, id, tag, words").fill("")
    expect(page.get_by_role("row")).to_have_count(MANY + 1)


def test_a_narrow_window_shows_everything_without_scrolling_sideways(desk: Desk, visit: Visit) -> None:
    page = visit(desk, ALEX, "thursday", viewport={"width": 400, "height": 800})
    wide = "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
    assert page.evaluate(wide) <= 0
    dialog = open_case(page, "Alex Rivera")
    assert page.evaluate(wide) <= 0
    for name in ("Approve & send", "Escalate", "Mark resolved", "Cancel"):
        button = dialog.get_by_role("button", name=name)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 400, (name, box)
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_server_that_is_killed_and_comes_back_has_what_was_typed(workspace: Path, visit: Visit) -> None:
    start(workspace, ALEX, letters="A")
    port = str(launch.free("127.0.0.1", 0))
    with serving(workspace, "--port", port) as first:
        page = visit(first, ALEX, "thursday")
        dialog = open_case(page, "Alex Rivera")
        dialog.get_by_label("Reply text").fill("Hi Alex, we are looking for it.")
        dialog.get_by_label("Internal note").fill("typed before the server went")
        dialog.get_by_label("Internal note").press("Tab")
        expect(dialog.get_by_text("Your changes").locator("visible=true")).to_have_count(1)
        kept(workspace, "typed before the server went")
        first.process.kill()
        first.process.wait()
    with serving(workspace, "--port", port) as second:
        # The browser finds the way back by itself.
        expect(row(page, "Alex Rivera")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)
        settled(page)
        dialog = open_case(page, "Alex Rivera")
        expect(dialog.get_by_label("Reply text")).to_have_value("Hi Alex, we are looking for it.")
        expect(dialog.get_by_label("Internal note")).to_have_value("typed before the server went")
        dialog.get_by_role("button", name="Approve & send").click()
        toasted(page, "Reply sent to Alex Rivera")
        assert "Traceback" not in second.log.read_text()
    with Workspace.open(workspace, Settings()) as w:
        (made,) = w.ledger.decisions(scope="ops")
        assert (made["finalText"], made["note"]) == (
            "Hi Alex, we are looking for it.",
            "typed before the server went",
        )


def test_a_desk_with_open_streams_stops_when_it_is_told_to(workspace: Path, visit: Visit) -> None:
    with rehearsal(workspace, ALEX, letters="A") as desk:
        pages = [visit(desk, ALEX, "thursday"), visit(desk, MORGAN, "thursday", "session")]
        for page in pages:
            settled(page)
        desk.process.send_signal(signal.SIGTERM)
        # After the last word of the server the signal takes its usual way.
        assert desk.process.wait(30) in (0, -signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            httpx.get(desk.base, trust_env=False)


# What the room can run into.


def test_a_log_that_cannot_be_written_shuts_the_buttons_and_says_why(workspace: Path, visit: Visit) -> None:
    with rehearsal(workspace, ALEX, letters="A") as desk:
        page = visit(desk, ALEX, "thursday")
        dialog = open_case(page, "Alex Rivera")
        dialog.get_by_label("Internal note").fill("must not be lost")
        dialog.get_by_label("Internal note").press("Tab")
        kept(workspace, "must not be lost")
        # Somebody moves the log elsewhere under the running desk.
        here, there = open_sqlite(workspace / "cairnops.db"), open_sqlite(workspace.parent / "other.db")
        try:
            upkeep.move(here, there)
        finally:
            here.dispose()
            there.dispose()
        for name in ("Approve & send", "Escalate", "Mark resolved"):
            expect(dialog.get_by_role("button", name=name)).to_be_disabled()
        leave(page)
        page.reload()
        expect(page.get_by_text("Decisions cannot be logged")).to_be_visible()
        expect(page.get_by_text("this ledger was moved to")).to_be_visible()
        assert httpx.get(f"{desk.base}/api/health", trust_env=False).status_code == 503
    with Workspace.open(workspace, Settings()) as w:
        assert w.ledger.decisions(scope="ops") == []


def test_a_help_desk_that_is_not_set_up_is_said_apart_from_one_that_is_down(
    workspace: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workspace.open(workspace, Settings()):
        pass
    monkeypatch.setenv("CHATWOOT_BASE_URL", "http://127.0.0.1:9")
    with serving(workspace) as desk:
        page = visit(desk, ALEX)
        expect(page.get_by_text("CHATWOOT_API_TOKEN")).to_be_visible()
    monkeypatch.setenv("CHATWOOT_ACCOUNT_ID", "1")
    monkeypatch.setenv("CHATWOOT_API_TOKEN", "t0ken-of-the-desk")
    with serving(workspace) as desk:
        page = visit(desk, ALEX)
        expect(page.get_by_text("has not answered since").first).to_be_visible()
        expect(page.get_by_text("decisions are kept and sent later")).to_be_visible()
        expect(page.get_by_text("t0ken")).to_have_count(0)


@pytest.mark.parametrize(("mode", "hints"), [("practice", 1), ("exam", 0)])
def test_hints_are_for_training_and_not_for_exams(
    workspace: Path, visit: Visit, mode: str, hints: int
) -> None:
    with rehearsal(workspace, ALEX, letters="B", mode=mode) as desk:
        page = visit(desk, ALEX, "thursday")
        dialog = open_case(page, "Jordan Lee")
        expect(dialog).to_contain_text("The order came to USD 325.00")
        settled(page)
        expect(dialog.get_by_text("Hints: what good looks like")).to_have_count(hints)


def test_a_session_that_is_over_can_be_read_and_nothing_more(workspace: Path, visit: Visit) -> None:
    with rehearsal(workspace, ALEX, letters="A") as desk:
        page = visit(desk, ALEX, "thursday")
        dialog = open_case(page, "Alex Rivera")
        with Workspace.open(workspace, Settings()) as w:
            assert w.sessions.close("thursday", MORGAN, now())
        for name in ("Approve & send", "Escalate", "Mark resolved"):
            expect(dialog.get_by_role("button", name=name)).to_be_disabled()
        leave(page)
        page.reload()
        expect(page.get_by_text("Session thursday is over")).to_be_visible()
    with Workspace.open(workspace, Settings()) as w:
        assert w.ledger.decisions(scope="ops") == []


def test_another_person_is_no_longer_the_one_before(desk: Desk, visit: Visit) -> None:
    page = visit(desk, Actor(email="kim@practice.example"), "thursday")
    expect(page.get_by_text("kim@practice.example")).to_be_visible()
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(0)
