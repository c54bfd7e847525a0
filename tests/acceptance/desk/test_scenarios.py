"""The four escalations worked by hand in a real browser, and what the ledger and the customer have afterwards."""

import re
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from cairnops.domain.conversations import Author
from cairnops.settings import Settings
from cairnops.workspace import Workspace
from tests.acceptance.desk.conftest import ALEX, SAM, Visit, chosen, kept, leave, rehearsal, toasted


def row(page: Page, customer: str) -> Locator:
    return page.get_by_role("row", name=re.compile(customer))


def open_case(page: Page, customer: str) -> Locator:
    row(page, customer).get_by_role("button").first.click()
    dialog = page.get_by_role("dialog", name=re.compile(customer))
    expect(dialog.get_by_label("Reply text")).to_be_visible()
    return dialog


def receipt(page: Page, says: str) -> None:
    expect(page.locator(".st-key-receipts").get_by_text(says)).to_be_visible()


def test_the_four_scenarios_are_worked_by_hand(workspace: Path, visit: Visit) -> None:
    with rehearsal(workspace, ALEX) as desk:
        page = visit(desk, ALEX, "thursday")

        # A: the suggestion fits; it is approved with a note and a promise.
        dialog = open_case(page, "Alex Rivera")
        dialog.get_by_label("Internal note").fill(
            "Label created 18 h ago, no carrier movement; asked for a scan."
        )
        dialog.get_by_text("Follow-up: who, by when").click()
        dialog.get_by_label("Owner").fill("operator on shift")
        dialog.get_by_label("Due in minutes", exact=True).fill("180")
        dialog.get_by_role("button", name="Approve & send").click()
        toasted(page, "Decision logged to audit trail")
        toasted(page, "Reply sent to Alex Rivera")
        receipt(page, "Saved and delivered.")
        expect(row(page, "Alex Rivera")).to_contain_text("answered 35 min past the target")

        # B: the order is above the lead's tier, which warns; the first attempt to send fails.
        dialog = open_case(page, "Jordan Lee")
        expect(dialog).to_contain_text("The order came to USD 325.00; above USD 100.00 tell a lead.")
        dialog.get_by_label("Internal note").fill("Above the lead tier, below the manager's; lead told.")
        dialog.get_by_role("button", name="Approve & send").click()
        toasted(page, "Reply sent to Jordan Lee")
        receipt(page, "Saved and delivered at attempt 2.")

        # C: the help desk times out three times; nothing reached the customer, and the page says so.
        dialog = open_case(page, "Taylor Morgan")
        dialog.get_by_label("Internal note").fill("Waits for stock; operations asked.")
        dialog.get_by_text("Follow-up: who, by when").click()
        dialog.get_by_label("Owner").fill("operator on shift")
        dialog.get_by_label("Due in minutes", exact=True).fill("60")
        dialog.get_by_role("button", name="Approve & send").click()
        toasted(page, "The reply to Taylor Morgan was not delivered")
        receipt(page, "Saved. Reply timed out at attempt 3 (ETIMEDOUT).")
        dialog = open_case(page, "Taylor Morgan")
        dialog.get_by_role("button", name="Worksheet").click()
        dialog.get_by_label("Outcome").fill("Reply not delivered, ETIMEDOUT after attempt 3")
        dialog.get_by_label("Note", exact=True).fill("cx follow_up_due in 60 minutes; the note is there")
        dialog.get_by_role("button", name="Keep the row").click()
        toasted(page, "Kept in the worksheet")
        leave(page)

        # D: AI is off and the case is an exception to policy: no decision, a row of the worksheet by hand.
        dialog = open_case(page, "Trainer Demo")
        expect(dialog).to_contain_text("AI unavailable")
        dialog.get_by_role("button", name="Worksheet").click()
        dialog.get_by_label("Outcome").fill("Manual escalation to the operations manager, policy exception")
        dialog.get_by_label("Note", exact=True).fill("AI off; no decision made in the modal")
        dialog.get_by_role("button", name="Keep the row").click()
        toasted(page, "Kept in the worksheet")
        dialog.get_by_role("button", name="Finish and debrief").click()
        expect(page.get_by_role("dialog")).to_contain_text("Debrief")

    with Workspace.open(workspace, Settings()) as w:
        made = w.ledger.decisions(scope="ops")
        assert [(d["conversation"], d["action"], d["edited"]) for d in made] == [
            ("chatwoot:1045", "chatwoot.approve_send", False),
            ("chatwoot:1062", "chatwoot.approve_send", False),
            ("chatwoot:1071", "chatwoot.approve_send", False),
        ]
        assert {d["actor"]["email"] for d in made} == {ALEX.email}
        finals = {
            (d["number"], d["kind"]): (d["final"]["status"], d["final"]["attempt"])
            for d in w.ledger.deliveries()
        }
        numbers = [d["decisionId"] for d in made]
        assert finals == {
            (numbers[0], "reply"): ("SUCCESS", 1), (numbers[0], "note"): ("SUCCESS", 1),
            (numbers[1], "reply"): ("SUCCESS", 2), (numbers[1], "note"): ("SUCCESS", 1),
            (numbers[2], "reply"): ("TIMEOUT", 3), (numbers[2], "note"): ("SUCCESS", 1),
        }  # fmt: skip
        # What was approved is, byte for byte, what the customer has; once, or not at all.
        for decision, times in zip(made, (1, 1, 0), strict=True):
            case = w.ledger.conversation(decision["conversation"].removeprefix("chatwoot:"))
            assert case is not None
            said = [m.text for m in case.public_messages() if m.author is Author.AGENT]
            assert said.count(decision["finalText"]) == times
        assert [f["owner"] for f in w.ledger.follow_ups()] == ["operator on shift", "operator on shift"]
        assert len(w.sessions.notes("thursday")) == 2
        assert [r["scenario"] for r in w.sessions.runs("thursday")] == ["d-policy-exception"]


def test_a_case_somebody_has_open_is_not_anybody_elses(workspace: Path, visit: Visit) -> None:
    with rehearsal(workspace, ALEX, SAM, letters="A", shared=True) as desk:
        first, second = visit(desk, ALEX, "thursday"), visit(desk, SAM, "thursday")
        open_case(first, "Alex Rivera")
        expect(row(second, "Alex Rivera")).to_contain_text(ALEX.email)
        row(second, "Alex Rivera").get_by_role("button").first.click()
        toasted(second, f"{ALEX.email} has had conversation 1045 open")
        expect(second.get_by_role("dialog")).to_have_count(0)
        # Closing the tab frees it, without a word from anybody.
        first.close(run_before_unload=False)
        expect(row(second, "Alex Rivera")).not_to_contain_text(ALEX.email)
        dialog = open_case(second, "Alex Rivera")
        dialog.get_by_role("button", name="Approve & send").click()
        toasted(second, "Reply sent to Alex Rivera")
    with Workspace.open(workspace, Settings()) as w:
        assert [d["actor"]["email"] for d in w.ledger.decisions(scope="ops")] == [SAM.email]
        kinds = [e["kind"] for e in w.ledger.events(conversation="1045") if e["kind"].startswith("claim.")]
        assert kinds == ["claim.taken", "claim.taken_over", "claim.released"]


def test_two_tabs_and_a_reload_send_once_and_lose_nothing_typed(workspace: Path, visit: Visit) -> None:
    with rehearsal(workspace, ALEX, letters="A") as desk:
        first = visit(desk, ALEX, "thursday")
        dialog = open_case(first, "Alex Rivera")
        text = "Hi Alex, the carrier was asked for a scan; news by tonight."
        dialog.get_by_label("Reply text").fill(text)
        dialog.get_by_label("Internal note").fill("typed before the reload")
        dialog.get_by_label("Internal note").press("Tab")
        expect(dialog.get_by_text("Your changes").locator("visible=true")).to_have_count(1)
        kept(workspace, "typed before the reload")
        first.reload()
        dialog = open_case(first, "Alex Rivera")
        expect(dialog.get_by_label("Reply text")).to_have_value(text)
        expect(dialog.get_by_label("Internal note")).to_have_value("typed before the reload")
        # The same person in a second tab has the same form: pressed in both, it is one request.
        second = visit(desk, ALEX, "thursday")
        other = open_case(second, "Alex Rivera")
        expect(other.get_by_label("Reply text")).to_have_value(text)
        # In the same moment: a tab that has heard of the other's press shuts its buttons.
        moment = time.time() * 1000 + 2000
        for form in (dialog, other):
            button = form.get_by_role("button", name="Approve & send")
            expect(button).to_be_enabled()
            button.evaluate("(n, at) => { setTimeout(() => n.click(), at - Date.now()) }", moment)
        toasted(first, "Reply sent to Alex Rivera")
        receipt(second, "Saved and delivered.")
    with Workspace.open(workspace, Settings()) as w:
        assert [d["finalText"] for d in w.ledger.decisions(scope="ops")] == [text]
        assert len([d for d in w.ledger.deliveries() if d["kind"] == "reply"]) == 1


def test_what_was_typed_last_is_what_is_sent(workspace: Path, visit: Visit) -> None:
    with rehearsal(workspace, ALEX, letters="A") as desk:
        page = visit(desk, ALEX, "thursday")
        dialog = open_case(page, "Alex Rivera")
        field = dialog.get_by_label("Reply text")
        field.fill("Hi Alex, ")
        field.press_sequentially("soon.")
        field.press("Control+Enter")
        toasted(page, "Reply sent to Alex Rivera")
    with Workspace.open(workspace, Settings()) as w:
        (made,) = w.ledger.decisions(scope="ops")
        assert (made["finalText"], made["edited"]) == ("Hi Alex, soon.", True)


def test_with_approvals_off_everything_is_seen_and_nothing_done(
    workspace: Path, visit: Visit, monkeypatch: Any
) -> None:
    monkeypatch.setenv("FEATURE_MODAL_APPROVALS", "0")
    with rehearsal(workspace, ALEX, letters="A") as desk:
        page = visit(desk, ALEX, "thursday")
        expect(page.get_by_text("Read-only: FEATURE_MODAL_APPROVALS is off.")).to_be_visible()
        dialog = open_case(page, "Alex Rivera")
        for name in ("Approve & send", "Escalate", "Mark resolved"):
            expect(dialog.get_by_role("button", name=name)).to_be_disabled()
        expect(dialog.get_by_label("Reply text")).to_be_disabled()
    with Workspace.open(workspace, Settings()) as w:
        assert w.ledger.decisions() == [] and w.ledger.events(kind="claim.taken") == []


def test_an_escalation_has_a_reason_a_target_and_a_note(workspace: Path, visit: Visit) -> None:
    with rehearsal(workspace, ALEX, letters="C") as desk:
        page = visit(desk, ALEX, "thursday")
        dialog = open_case(page, "Taylor Morgan")
        dialog.get_by_role("button", name="Escalate").click()
        expect(dialog.get_by_role("button", name="Back")).to_be_visible()
        dialog.get_by_role("button", name="Escalate").click()
        # Without a reason, then without a note, the desk refuses, says why, and keeps the form.
        toasted(page, "No reason is given")
        chosen(dialog, "Reason", "policy exception")
        dialog.get_by_role("button", name="Escalate").click()
        toasted(page, "note")
        dialog.get_by_label("Internal note").fill("Blocked in the warehouse since Monday.")
        dialog.get_by_role("button", name="Escalate").click()
        toasted(page, "Decision logged to audit trail")
        receipt(page, "Saved and delivered.")
    with Workspace.open(workspace, Settings()) as w:
        (made,) = w.ledger.decisions(scope="ops")
        assert (made["action"], made["reason"], made["target"]) == (
            "chatwoot.escalate",
            "policy_exception",
            "manager",
        )
        assert [e["code"] for e in w.ledger.events(kind="action.refused")] == [
            "escalation.reason_unknown",
            "escalation.note_required",
        ]
        case = w.ledger.conversation("1071")
        assert case is not None and "escalation" in case.tags
