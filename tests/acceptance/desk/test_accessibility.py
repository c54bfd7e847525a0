"""The desk without a mouse and without eyes: what axe finds, the way through a case by keys, what is said."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from cairnops.app.room import milliseconds
from cairnops.domain.requests import Action, Request
from cairnops.scenarios import practice
from cairnops.settings import Settings
from cairnops.workspace import Workspace, mint, now
from tests.acceptance.desk.conftest import ALEX, MORGAN, SAM, Visit, settled, start
from tests.app.conftest import in_light_and_dark
from tests.app.server import Desk, serving


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Four cases of which one is decided, sealed and delivered."""
    workspace = tmp_path_factory.mktemp("seen") / "desk"
    start(workspace, ALEX, letters="ABCD")
    with Workspace.open(workspace, Settings()) as w:
        given = next(s for s in practice.seeded(w, "thursday") if s.letter == "B")
        found = practice.scenario_of(w, "thursday", given.conversation)
        assert found is not None
        at = w.desk(now, practice.flags_for(w, "thursday", found[0]))
        view = at.open(
            given.conversation, ALEX, key=mint(), session="thursday", draft=practice.draft_for(*found)
        )
        made = at.submit(
            Request(
                action=Action.APPROVE_SEND,
                conversation=given.conversation,
                actor=ALEX,
                key=mint(),
                session="thursday",
                seen_version=view.version,
                suggestion=view.suggestion_uid,
            )
        )
        assert made.number == 102
        w.seal(MORGAN, now())
    with serving(workspace) as running:
        yield running


def test_axe_finds_nothing_on_any_page_light_or_dark(desk: Desk, visit: Visit) -> None:
    found: dict[str, list[str]] = {}

    def look(name: str, page: Page) -> None:
        settled(page)
        if faults := in_light_and_dark(page):
            found[name] = faults

    page = visit(desk, None, "thursday")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    look("sign-in", page)
    page = visit(desk, SAM, "thursday")
    expect(page.get_by_text("No case has been given to you yet.")).to_be_visible()
    look("desk, empty", page)

    page = visit(desk, ALEX, "thursday")
    expect(page.get_by_role("row")).to_have_count(5)
    expect(page.get_by_role("button", name="Receipt").first).to_be_visible()
    look("desk", page)
    page.get_by_role("button", name="Receipt").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Saved at")
    look("receipt", page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("row", name=re.compile("Taylor Morgan")).get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Reply text")).to_be_visible()
    dialog.get_by_label("Reply text").fill("Hi Taylor, it is on its way. {{tracking}}")
    expect(dialog.get_by_text("Your changes").locator("visible=true")).to_have_count(1)
    dialog.get_by_text("Hints: what good looks like").click()
    look("case", page)
    for name, sign in (("Escalate", "Reason"), ("Mark resolved", "Owner"), ("Worksheet", "Outcome")):
        dialog.get_by_role("button", name=name, exact=True).click()
        expect(dialog.get_by_label(sign).first).to_be_visible()
        expect(dialog.get_by_role("button", name="Back")).to_be_visible()
        look(name.lower(), page)
        dialog.get_by_role("button", name="Back").click()
        expect(dialog.get_by_label("Reply text")).to_be_visible()
    dialog.get_by_role("button", name="Finish and debrief").click()
    expect(page.get_by_role("dialog")).to_contain_text("Debrief")
    look("debrief", page)
    page = visit(desk, ALEX, "thursday", "results")
    expect(page.get_by_role("table")).to_be_visible()
    look("results of an operator", page)

    page = visit(desk, MORGAN, "thursday", "session")
    for part in ("Prepare", "Run", "Wrap up"):
        page.get_by_test_id("stButtonGroup").get_by_text(part, exact=True).click()
        look(f"session, {part.lower()}", page)
    page = visit(desk, MORGAN, "", "session")
    expect(page.get_by_text("Create a session")).to_be_visible()
    look("sessions", page)
    page = visit(desk, MORGAN, "thursday", "results")
    expect(page.get_by_role("table").first).to_be_visible()
    look("results", page)
    page = visit(desk, MORGAN, "thursday", "decisions")
    expect(page.get_by_role("row", name=re.compile("#102"))).to_be_visible()
    look("decisions", page)
    page.get_by_role("row", name=re.compile("#102")).get_by_role("button").first.click()
    expect(page.get_by_text("Anybody can check it offline:")).to_be_visible()
    look("a decision", page)
    assert found == {}


# By keys alone.

_LOOKS = """(n) => {
    const looks = [];
    for (let up = n, i = 0; up && i < 4; up = up.parentElement, i++) {
        const s = getComputedStyle(up);
        looks.push(s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow, s.borderTopColor, s.backgroundColor);
    }
    return JSON.stringify(looks);
}"""


class Keys:
    """Somebody without a mouse: walks by Tab, and must see at every stop where they are."""

    def __init__(self, page: Page):
        self.page = page
        self.unseen: list[str] = []
        # How a stop looks is read at once, not on its way there.
        page.add_style_tag(content="* { transition: none !important }")

    def to(self, name: str) -> None:
        """Go on by Tab to the next stop of that name."""
        for _ in range(80):
            before = self.page.evaluate_handle("document.activeElement")
            looked = before.evaluate(_LOOKS) if before.evaluate("(n) => n.tabIndex >= 0") else ""
            self.page.keyboard.press("Tab")
            if looked and before.evaluate("(n) => n.isConnected") and looked == before.evaluate(_LOOKS):
                self.unseen.append(str(before.evaluate("(n) => n.outerHTML.slice(0, 160)")))
            if re.search(name, self.name()):
                return
        raise AssertionError(f"no stop is called {name}")

    def name(self) -> str:
        """What the stop is called, as far as its own words and label tell."""
        return (
            str(
                self.page.evaluate(
                    """() => { const n = document.activeElement;
                    return n.ariaLabel || (n.labels && n.labels[0]?.textContent)
                        || (n.matches("a, button, summary") ? n.textContent : "") }"""
                )
            )
            .replace("\u2060", "")
            .strip()
        )

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)


def test_a_case_is_worked_from_sign_in_to_receipt_without_a_mouse(desk: Desk, visit: Visit) -> None:
    page = visit(desk, None, "thursday")
    keys, dialog = Keys(page), page.get_by_role("dialog")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    keys.to(re.escape(ALEX.email))
    keys.press("Enter")
    row = page.get_by_role("row", name=re.compile("Alex Rivera")).get_by_role("button")
    expect(row).to_be_visible()
    settled(page)
    keys.to("Alex Rivera")
    expect(row).to_be_focused()

    # Escape lets go of the case, and the person is back where they were.
    keys.press("Enter")
    expect(dialog.get_by_label("Reply text")).to_be_visible()
    assert claims(desk) == [ALEX.email]
    keys.to("Internal note")
    page.keyboard.type("typed and not sent")
    keys.press("Escape")
    expect(dialog).to_have_count(0)
    expect(row).to_be_focused()
    expect(row).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Yours"))).to_have_count(0)
    assert claims(desk) == []

    keys.press("Enter")
    expect(dialog.get_by_label("Internal note")).to_have_value("typed and not sent")
    keys.to("Internal note")
    keys.press("Control+A")
    page.keyboard.type("Label created 18 h ago; asked for a scan.")
    keys.press("Control+Enter")
    expect(dialog).to_have_count(0)
    # What happened is said to whoever does not see it.
    for words in ("Decision logged to audit trail", "Reply sent to Alex Rivera"):
        expect(page.get_by_role("status").filter(has_text=words)).to_have_count(1)
    settled(page)
    following = page.get_by_role("table").get_by_role("button")
    expect(following.and_(page.locator(":focus"))).to_have_count(1)
    for _ in range(len(page.get_by_role("row").all())):
        keys.press("ArrowUp")
    for _ in range(80):
        keys.press("Shift+Tab")
        if keys.name() == "Receipt":
            break
    keys.press("Enter")
    expect(dialog).to_contain_text("Saved at")
    keys.to("Copy the worksheet row")
    keys.press("Escape")
    expect(dialog).to_have_count(0)
    assert keys.unseen == []


def claims(desk: Desk) -> list[str]:
    with Workspace.open(desk.log.with_suffix(""), Settings()) as w:
        return [held.actor.email for held in w.claims.held(milliseconds(now()))]
