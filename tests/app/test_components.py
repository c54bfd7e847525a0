"""The components in a real browser: what a person sees, hears, types and presses."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.app.conftest import settle, violations
from tests.app.hostile import TEXTS
from tests.app.stage import MINUTE, NOW, SCENES, SUGGESTION

Visit = Callable[..., Page]
Stage = Callable[..., str]

#: Scenes that look like something.
SEEN = ["queue", "messages", "editor", "header", "guardrails", "copying", "table", "tiles", "agenda"]


def told(page: Page) -> Any:
    """Where the stage shows what Python was told."""
    return page.locator(".st-key-told")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def opener(page: Page, number: int) -> Any:
    return page.get_by_role("button", name=f"Customer {number}, conversation {number}: open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scene", SEEN)
def test_axe_finds_nothing(visit: Visit, stage: Stage, scene: str, scheme: str) -> None:
    page = visit(stage(scene), scheme=scheme)
    expect(page.locator(".co:visible").first).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("scene", SEEN)
def test_fits_a_narrow_window(visit: Visit, stage: Stage, scene: str) -> None:
    page = visit(stage(scene), width=400)
    expect(page.locator(".co:visible").first).to_be_visible()
    # What is wider scrolls in its own frame, and that frame can be reached with the keyboard.
    wide = page.evaluate(
        """() => [...document.querySelectorAll('.co, .co *')]
            .filter((n) => n.getBoundingClientRect().right > innerWidth + 1)
            .filter((n) => !n.closest('.co-table[tabindex], .co-hush'))
            .map((n) => n.outerHTML.slice(0, 120))"""
    )
    assert wide == []


def test_every_scene_is_tried() -> None:
    assert set(SCENES) - set(SEEN) == {"announcer", "live", "heartbeat", "labels", "toasts"}


# The queue.


def test_queue_says_where_each_clock_stands(visit: Visit, stage: Stage) -> None:
    page = visit(stage("queue"), at=NOW)
    clocks = page.locator(".co-queue tbody .co-c-sla .co-chip")
    expect(clocks).to_have_text(
        ["Breached 2 h 05 m", re.compile(r"^01:[0-3]\d"), "30:00", "30:00", "No clock"]
    )
    expect(page.locator(".co-queue tbody .co-c-sla .co-hush").first).to_have_text("SLA breached 2 h 05 m ago")
    expect(page.locator(".co-queue tbody .co-c-waiting").last).to_have_text("—")
    expect(page.get_by_role("columnheader")).to_have_text(
        ["Priority", "Customer", "Waiting", "Status", "SLA"]
    )
    expect(page.get_by_role("row").nth(3)).to_contain_text("Dana Okafor")
    expect(page.get_by_role("row").nth(4)).to_contain_text("Yours")


def test_queue_ticks_without_asking_the_server(visit: Visit, stage: Stage) -> None:
    page = visit(stage("queue"), at=NOW)
    clock = page.locator(".co-queue tbody tr").nth(1).locator(".co-c-sla .co-chip")
    expect(clock).to_contain_text("01:")
    asked: list[Any] = []
    page.on("websocket", lambda line: asked.append(line))
    page.on("request", lambda request: asked.append(request))
    page.clock.run_for(60_000)
    expect(clock).to_contain_text("00:")
    page.clock.run_for(60_000)
    expect(clock).to_have_text(re.compile("^Breached under 1 m$"))
    assert asked == []


def test_queue_shows_the_other_clock_on_hover_and_on_focus(visit: Visit, stage: Stage) -> None:
    page = visit(stage("queue"))
    rows = page.locator(".co-queue tbody tr")
    tip = rows.nth(1).get_by_role("tooltip")
    expect(tip).to_be_hidden()
    rows.nth(1).locator(".co-c-sla").hover()
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("By the last message: 12 min left")
    page.mouse.move(0, 0)
    expect(tip).to_be_hidden()
    opener(page, 2).focus()
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    expect(opener(page, 2)).to_have_accessible_description(re.compile("In force: 60 min"))


def test_queue_opens_by_click_anywhere_and_by_enter(visit: Visit, stage: Stage) -> None:
    page = visit(stage("queue"))
    page.locator(".co-queue tbody tr").nth(2).locator(".co-c-status").click()
    expect(told(page)).to_have_text("open 3")
    opener(page, 1).focus()
    page.keyboard.press("ArrowDown")
    expect(opener(page, 2)).to_be_focused()
    page.keyboard.press("Enter")
    expect(told(page)).to_have_text("open 3\nopen 2", use_inner_text=True)
    page.keyboard.press("Enter")
    expect(told(page)).to_have_text("open 3\nopen 2\nopen 2", use_inner_text=True)


def test_queue_keeps_its_rows_over_a_rerun(visit: Visit, stage: Stage) -> None:
    page = visit(stage("queue", many=1))
    rows = page.locator(".co-queue tbody tr")
    expect(rows).to_have_count(500)
    page.evaluate(
        """() => {
            window.changes = 0;
            const body = document.querySelector('.co-queue tbody');
            body.lastChild.mark = 'same';
            new MutationObserver((all) => {
                for (const seen of all) window.changes += seen.addedNodes.length + seen.removedNodes.length;
            }).observe(body, { childList: true });
        }"""
    )
    press(page, "Retouch")
    expect(rows.nth(2).locator(".co-c-status")).to_have_text("pending")
    assert page.evaluate("document.querySelector('.co-queue tbody').lastChild.mark") == "same"
    press(page, "One more")
    expect(rows).to_have_count(501)
    assert page.evaluate("document.querySelector('.co-queue tbody').lastChild.mark") == "same"
    assert page.evaluate("window.changes") == 1


@pytest.mark.parametrize("act", ["asked", "by-itself"])
@pytest.mark.parametrize(
    ("first", "then"), [(2, 3), (5, 4)], ids=["the next", "the last one: the one before"]
)
def test_focus_goes_on_when_its_row_left(visit: Visit, stage: Stage, act: str, first: int, then: int) -> None:
    page = visit(stage("queue", act=act))
    opener(page, first).focus()
    page.keyboard.press("Enter")
    expect(opener(page, first)).to_have_count(0)
    expect(opener(page, then)).to_be_focused()


def test_focus_after_the_dialog(visit: Visit, stage: Stage) -> None:
    page = visit(stage("queue", dialog=1))
    dialog = page.get_by_role("dialog")
    opener(page, 2).focus()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Close it").click()
    expect(dialog).to_have_count(0)
    expect(opener(page, 2)).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Approve", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(opener(page, 3)).to_be_focused()
    # The row leaves while the dialog still shows what came of it.
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Approve and look").click()
    expect(page.locator(".co-queue tbody tr")).to_have_count(3)
    dialog.get_by_role("button", name="Close it").click()
    expect(dialog).to_have_count(0)
    expect(opener(page, 4)).to_be_focused()


def test_focus_stays_in_an_emptied_queue(visit: Visit, stage: Stage) -> None:
    page = visit(stage("queue", act="asked"))
    for number in (1, 2, 3, 4, 5):
        opener(page, number).click()
        expect(opener(page, number)).to_have_count(0)
    expect(page.get_by_text("Nothing is waiting.")).to_be_focused()


# The messages.


def test_messages_are_text_with_their_line_breaks(visit: Visit, stage: Stage) -> None:
    page = visit(stage("messages"))
    log = page.get_by_role("log", name="Conversation history")
    expect(log).to_have_attribute("tabindex", "0")
    texts = log.locator(".co-msg-text")
    assert texts.nth(0).inner_text() == "Hello,\n\nwhere is it?"
    assert texts.evaluate_all("all => all.map((n) => n.childElementCount)") == [0] * (4 + len(TEXTS))
    shown = texts.evaluate_all("all => all.map((n) => n.textContent)")[4:]
    assert shown == [text.replace("\r\n", "\r\n") for text in TEXTS.values()]
    expect(log.locator(".co-msg-note")).to_contain_text("Private note")
    expect(log.locator(".co-msg-agent")).to_contain_text("delivered")
    assert page.evaluate("window.hacked") is None


def test_messages_show_the_newest(visit: Visit, stage: Stage) -> None:
    page = visit(stage("messages"))
    log = page.get_by_role("log")
    at_end = "n => n.scrollHeight - n.scrollTop - n.clientHeight < 2"
    expect(log.locator(".co-msg").last).to_be_in_viewport()
    assert log.evaluate(at_end)
    press(page, "One more")
    expect(log.get_by_text("Newest")).to_be_in_viewport()
    log.evaluate("n => { n.scrollTop = 0; }")
    press(page, "One more")
    expect(log.get_by_text("Newest")).to_have_count(2)
    # Somebody who reads further up is not torn away.
    assert log.evaluate("n => n.scrollTop") == 0


# The editor.


def test_editor_keeps_what_is_typed_until_the_epoch(visit: Visit, stage: Stage) -> None:
    page = visit(stage("editor"))
    field = page.get_by_label("Suggested reply")
    expect(field).to_have_value(SUGGESTION)
    # A first text is sent, and more is typed before the rerun for it is back. The pause before sending is made
    # long enough for that rerun to come first: it knows less than the field.
    page.evaluate(
        """() => {
            const later = window.setTimeout;
            window.setTimeout = (run, ms) => later(run, ms === 250 ? 60000 : ms);
            const area = document.querySelector('.co-editor textarea');
            for (const text of ['Hello Jamie', 'Hello Jamie, one moment']) {
                area.value = text;
                area.dispatchEvent(new InputEvent('input', { bubbles: true }));
                if (text === 'Hello Jamie') area.dispatchEvent(new FocusEvent('blur'));
            }
        }"""
    )
    expect(told(page)).to_have_text("typed Hello Jamie")
    expect(page.locator(".co-diff ins")).to_have_text(" [added: Hello] ")
    expect(field).to_have_value("Hello Jamie, one moment")
    # Both come with one run, in either order: whoever acts on a press reads the text, and waits for no telling.
    press(page, "Again")
    expect(told(page)).to_contain_text("again")
    expect(told(page)).to_contain_text("typed Hello Jamie, one moment")
    expect(field).to_have_value("Hello Jamie, one moment")
    press(page, "Start over")
    expect(field).to_have_value(SUGGESTION)
    expect(page.locator(".co-diff")).to_be_hidden()


def test_editor_tells_in_a_moment_and_draws_what_changed(visit: Visit, stage: Stage) -> None:
    page = visit(stage("editor"))
    page.get_by_label("Suggested reply").fill("Dear Jamie, your order is on its way.")
    expect(told(page)).to_have_text("typed Dear Jamie, your order is on its way.")
    expect(page.locator(".co-diff ins")).to_have_text(" [added: Dear] ")
    expect(page.locator(".co-diff del")).to_have_text(" [removed: Hi] ")
    expect(page.get_by_text("1 word added, 1 word removed")).to_be_visible()
    expect(page.get_by_text("37 / 60 characters")).to_be_visible()


@pytest.mark.parametrize("place", ["page", "dialog"])
@pytest.mark.parametrize("way", ["Control+Enter", "click"])
def test_what_was_typed_last_is_what_is_approved(visit: Visit, stage: Stage, place: str, way: str) -> None:
    page = visit(stage("editor", **({"dialog": 1} if place == "dialog" else {})))
    field = page.get_by_label("Suggested reply")
    expect(page.locator("button", has_text=re.compile("^Approve"))).to_be_visible()
    for text in ("first", "second and longer", "third"):
        # Typed and approved in the same task of the browser: nothing was sent between them.
        field.focus()
        page.evaluate(
            """([text, way]) => {
                const area = document.querySelector('.co-editor textarea');
                const buttons = [...document.querySelectorAll('button')];
                const button = buttons.find((b) => b.textContent.startsWith('Approve'));
                area.value = text;
                area.dispatchEvent(new InputEvent('input', { bubbles: true }));
                if (way === 'click') {
                    button.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true, composed: true }));
                    button.click();
                } else {
                    const key = { key: 'Enter', code: 'Enter', keyCode: 13, ctrlKey: true };
                    area.dispatchEvent(new KeyboardEvent('keydown', { ...key, bubbles: true, cancelable: true }));
                }
            }""",
            [text, way],
        )
        expect(told(page)).to_contain_text(f"approved {text}")
    approved = [line for line in told(page).inner_text().splitlines() if line.startswith("approved")]
    assert approved == ["approved first", "approved second and longer", "approved third"]


def test_a_real_keyboard_approves_the_last_letter(visit: Visit, stage: Stage) -> None:
    page = visit(stage("editor", dialog=1))
    field = page.get_by_label("Suggested reply")
    field.press("Control+a")
    page.keyboard.type("Dear Jamie!", delay=0)
    page.keyboard.press("Control+Enter")
    expect(told(page)).to_contain_text("approved Dear Jamie!")
    expect(field).to_have_value("Dear Jamie!")


def test_editor_counts_and_can_be_closed(visit: Visit, stage: Stage) -> None:
    page = visit(stage("editor"))
    field = page.get_by_label("Suggested reply")
    field.fill("😀" * 61)
    expect(page.get_by_text("61 / 60 characters")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    press(page, "Disable")
    expect(field).to_be_disabled()


# The head of a case, and the guardrails.


def test_header_says_how_urgent_it_is(visit: Visit, stage: Stage) -> None:
    page = visit(stage("header"), at=NOW)
    one, two = page.locator(".st-key-one"), page.locator(".st-key-two")
    for words in (
        "Jamie Lee",
        "Conversation #101",
        "P1",
        "refund",
        "AI suggestions off",
        "Order #1042",
        "$612.40",
    ):
        expect(one).to_contain_text(words)
    clock = one.get_by_role("group", name="SLA breached 2 h 05 m ago")
    expect(clock).to_contain_text("SLA breached 2 h 05 m")
    expect(clock.get_by_role("tooltip")).to_be_hidden()
    clock.focus()
    expect(clock.get_by_role("tooltip")).to_contain_text("By the last message: 12 min left")
    expect(two).to_contain_text("SLA 01:")
    page.clock.run_for(91_000)
    expect(two).to_contain_text("SLA breached under 1 m")
    expect(two.locator(".co-case-order")).to_be_hidden()


def test_banners_explain_and_only_a_new_block_interrupts(visit: Visit, stage: Stage) -> None:
    page = visit(stage("guardrails"))
    items = page.get_by_role("list", name="Guardrails").get_by_role("listitem")
    expect(items.nth(0)).to_contain_text("Blocked: The refund is above your tier.")
    for words in ("Way out: Escalate with a note.", "Threshold in force: $500.00", "refund.above_tier"):
        expect(items.nth(0)).to_contain_text(words)
    expect(items.nth(1)).to_contain_text("Check: ")
    expect(items.nth(2)).to_contain_text("Note: ")
    expect(items.nth(3)).to_contain_text("Overridden: ")
    expect(page.get_by_text("It commits money.")).to_be_hidden()
    page.get_by_text("Why this speaks").click()
    alert = page.locator(".co-banners [role=alert]")
    expect(alert).to_have_text("")
    press(page, "Block")
    expect(alert).to_have_text("Blocked: A placeholder is left.")
    expect(page.get_by_text("It commits money.")).to_be_visible()


# What works behind the page.


@pytest.mark.parametrize("place", ["page", "dialog"])
def test_announcer_is_heard_even_behind_a_dialog(visit: Visit, stage: Stage, place: str) -> None:
    page = visit(stage("announcer", **({"dialog": 1} if place == "dialog" else {})))
    line = page.locator("[role=status][aria-live=polite][data-live-announcer]")
    expect(line).to_have_text("")
    press(page, "Say here" if place == "dialog" else "Say")
    expect(line).to_have_text("Reply sent to Jamie")
    assert line.evaluate("n => n.closest('[inert], [aria-hidden=true]')") is None


def far(stage: Stage, what: str) -> list[dict[str, Any]]:
    """Change the far side of the stage."""
    base = stage().partition("/?")[0]
    return httpx.post(f"{base}/test/{what}", trust_env=False).json()  # type: ignore[no-any-return]


def test_live_tells_once_and_says_when_the_line_is_broken(visit: Visit, stage: Stage) -> None:
    page = visit(stage("live"))
    try:
        expect(told(page)).to_have_text(re.compile(r"^version \d+$"))
        first = int(told(page).inner_text().split()[1])
        far(stage, "grow")
        expect(told(page)).to_have_text(f"version {first}\nversion {first + 5}", use_inner_text=True)
        far(stage, "down")
        expect(page.get_by_text("Connection lost")).to_be_visible()
        far(stage, "grow")
        far(stage, "up")
        expect(page.get_by_text("Connection lost")).to_have_count(0)
        expect(told(page)).to_contain_text(f"version {first + 10}")
    finally:
        far(stage, "up")


def test_heartbeat_beats_and_says_goodbye(visit: Visit, stage: Stage) -> None:
    page = visit(stage("heartbeat"))
    far(stage, "forget")
    with page.expect_request("**/test/beat"):
        pass
    with page.expect_request("**/test/beat"):
        pass
    assert {"tab": "tab-1"} in far(stage, "list")
    page.goto("about:blank")
    until = time.monotonic() + 30
    while {"tab": "tab-1", "gone": True} not in far(stage, "list"):
        assert time.monotonic() < until, "no goodbye"


def test_copy_says_that_it_copied(visit: Visit, stage: Stage) -> None:
    page = visit(stage("copying"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy the worksheet row")
    button.click()
    expect(page.locator(".co-copy").get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "| 1 | 101 | delivered |"
    expect(button).to_be_focused()


# Tables, tiles, agenda.


def test_table_sorts_and_opens(visit: Visit, stage: Stage) -> None:
    page = visit(stage("table"))
    table = page.get_by_role("table", name="Cohort")
    first = table.locator("tbody td:first-child")
    expect(first).to_have_text(["Zoe", "Álvaro", "Ben", "Cleo"])
    table.get_by_role("button", name="Decisions").click()
    # What is missing stands last, both ways.
    expect(first).to_have_text(["Zoe", "Álvaro", "Cleo", "Ben"])
    expect(table.get_by_role("columnheader", name="Decisions")).to_have_attribute("aria-sort", "ascending")
    table.get_by_role("button", name="Decisions").press("Enter")
    expect(first).to_have_text(["Cleo", "Álvaro", "Zoe", "Ben"])
    expect(table.get_by_role("button", name="Decisions")).to_be_focused()
    table.get_by_role("button", name="Decisions").click()
    expect(first).to_have_text(["Zoe", "Álvaro", "Ben", "Cleo"])
    table.get_by_role("button", name="Operator").click()
    expect(first).to_have_text(["Álvaro", "Ben", "Cleo", "Zoe"])
    table.get_by_role("button", name="Ben").press("Enter")
    expect(told(page)).to_have_text("open c")
    table.get_by_text(TEXTS["badge"]).click()
    expect(told(page)).to_contain_text("open d")
    expect(page.get_by_text("Nothing to show.").last).to_be_visible()
    expect(page.get_by_role("table", name="Nobody").get_by_role("button")).to_have_count(0)


def test_tiles_and_agenda(visit: Visit, stage: Stage) -> None:
    page = visit(stage("tiles"))
    expect(page.locator(".co-tile").nth(0)).to_have_text("Waiting123 new")
    page = visit(stage("agenda"), at=NOW)
    timers = page.get_by_role("timer")
    expect(timers.nth(0)).to_have_text(re.compile(r"^(01:00|00:[2-5]\d)$"))
    expect(timers.nth(1)).to_have_text("05:00")
    page.clock.run_for(2 * MINUTE)
    expect(timers.nth(0)).to_have_text(re.compile(r"^\+01:[0-4]\d$"))
    expect(timers.nth(1)).to_have_text("05:00")
    expect(page.locator(".co-agenda li[aria-current=step]").first).to_contain_text("Scenario A")
    expect(page.get_by_text("Agenda finished")).to_be_visible()


# Text from outside where Streamlit reads Markdown.


@pytest.mark.parametrize("scene", ["labels", "toasts"])
def test_plain_text_stays_text_in_every_sink(visit: Visit, stage: Stage, scene: str) -> None:
    page = visit(stage(scene))
    settle(page)
    # What the texts would turn into if anything read them; Streamlit's own parts of a page are left out.
    inside = ".stMain [class*=st-key-sink], .stMain h1, [data-testid=stToast]"
    expect(page.locator(inside).nth(1)).to_be_visible()
    made = "img, iframe, a, script, svg image, table, strong, em, del, code, mark, hr, li, h2, .katex, .stMarkdownBadge"
    found = page.locator(inside).locator(f":is({made}):not([data-testid=stHeaderActionElements] *)")
    assert [node.evaluate("n => n.outerHTML.slice(0, 200)") for node in found.all()] == []
    assert page.evaluate("window.hacked") is None


def test_plain_text_as_the_title_of_a_dialog(visit: Visit, stage: Stage) -> None:
    page = visit(stage("toasts"))
    for number, name in enumerate(TEXTS):
        expect(page.get_by_text(f"dialog {number}", exact=True)).to_be_visible()
        title = page.get_by_role("dialog").get_by_role("heading").first
        assert title.locator("img, a, strong, em, del, code, .katex, .stMarkdownBadge").count() == 0, name
        if number < len(TEXTS) - 1:
            press(page, "Next")
