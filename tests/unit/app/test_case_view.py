"""The modal's view: which buttons may be pressed and why not, overrides, the difference, the source."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.app.views import case as cases
from cairnops.desk.desk import View
from cairnops.domain import policy as policies
from cairnops.domain import sla
from cairnops.domain.conversations import Author, Conversation, Message, Order, Role, Status
from cairnops.domain.requests import Action, Flags
from cairnops.domain.rules import Severity, Verdict
from cairnops.domain.suggestions import Source, Suggestion

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
POLICY = policies.profile("dry-run")
TEMPLATE = Suggestion(source=Source.TEMPLATE, template_id="ship_update", text="Hi Alex, it is on its way.")


def view(suggestion: Suggestion | None = TEMPLATE, *, flags: Flags | None = None, **changes: Any) -> View:
    asked = NOW - timedelta(minutes=200)
    said = tuple(
        Message(id=str(i), author=Author.CUSTOMER, text=f"line {i}", at=asked + timedelta(minutes=i))
        for i in range(8)
    )
    case = Conversation(
        id="1045",
        customer="Alex Rivera",
        customer_key="alex@example.com",
        status=Status.OPEN,
        created_at=asked,
        messages=said,
    )
    case = replace(case, **changes)
    standing = sla.read(case, POLICY.sla, NOW)
    return View(
        conversation=case,
        version=3,
        suggestion=suggestion,
        suggestion_uid="S",
        verdicts=(),
        sla=standing,
        priority=sla.triage(case, standing, POLICY, NOW),
        flags=flags or Flags(ai_escalations=True),
    )


def verdict(severity: Severity, code: str = "refund.above_tier", **more: Any) -> Verdict:
    return Verdict(code=code, severity=severity, sentence="Said so.", **more)


BLOCK, WARN = verdict(Severity.BLOCK), verdict(Severity.WARN)
GONE = replace(BLOCK, overridden=True)

PRESS = [
    # what stands in the way, given; approve, escalate/resolve
    pytest.param({}, True, True, id="nothing"),
    pytest.param({"verdicts": (WARN,)}, True, True, id="a warning"),
    pytest.param({"verdicts": (BLOCK,)}, False, True, id="a block"),
    pytest.param({"verdicts": (GONE,)}, True, True, id="an overridden block"),
    pytest.param({"text": " \n"}, False, True, id="an empty reply"),
    pytest.param({"log_problem": "disk full"}, False, False, id="a log that cannot be written"),
    pytest.param({"session_closed": True}, False, False, id="a session that is over"),
    pytest.param({"role": Role.QA}, False, False, id="a reader"),
    pytest.param({"view": view(flags=Flags(modal_approvals=False))}, False, False, id="approvals off"),
    pytest.param({"view": view(status=Status.RESOLVED)}, False, False, id="a resolved case"),
]


@pytest.mark.parametrize(("given", "approve", "others"), PRESS)
def test_which_buttons_may_be_pressed(given: dict[str, Any], approve: bool, others: bool) -> None:
    base = {"view": view(), "policy": POLICY, "verdicts": (), "text": "Hi", "role": Role.OPERATOR}
    buttons = cases.buttons(**(base | given))
    assert buttons[Action.APPROVE_SEND].enabled is approve
    assert buttons[Action.ESCALATE].enabled is buttons[Action.MARK_RESOLVED].enabled is others
    assert buttons[Action.CANCEL].enabled
    assert all(b.enabled or b.why_not for b in buttons.values())
    assert [b.label for b in buttons.values()] == ["Approve & send", "Escalate", "Mark resolved", "Cancel"]


OVERRIDES = [
    pytest.param((), Role.ADMIN, None, id="nothing to override"),
    pytest.param((verdict(Severity.BLOCK, override_role="manager"),), Role.LEAD, None, id="rank too low"),
    pytest.param((verdict(Severity.BLOCK, override_role="manager"),), Role.MANAGER, 1, id="the role named"),
    pytest.param((verdict(Severity.BLOCK, override_role="lead"),), Role.ADMIN, 1, id="a higher role"),
    pytest.param((verdict(Severity.BLOCK),), Role.ADMIN, None, id="nobody may"),
    pytest.param(
        (verdict(Severity.BLOCK, override_role="lead"), verdict(Severity.BLOCK, code="x.y")),
        Role.ADMIN,
        None,
        id="one of two nobody may",
    ),
]


@pytest.mark.parametrize(("verdicts", "role", "count"), OVERRIDES)
def test_who_may_go_ahead(verdicts: tuple[Verdict, ...], role: Role, count: int | None) -> None:
    found = cases.overridable(verdicts, role)
    assert (found and len(found.codes)) == count


def test_blocks_are_shown_first_and_explained_only_when_asked() -> None:
    warn = verdict(Severity.WARN, code="sla.breach_age", threshold="120 min")
    shown = cases.banners([warn, verdict(Severity.BLOCK, override_role="manager")], explained=True)
    assert [b["severity"] for b in shown] == ["block", "warn"]
    assert shown[0]["way_out"].endswith("A manager may go ahead with a reason.")
    assert all("Source: " in b["explanation"] for b in shown)
    assert not any(b["explanation"] for b in cases.banners([warn], explained=False))


def test_the_thread_shows_the_last_six_and_says_how_many_came_before() -> None:
    shown, earlier = cases.thread(view().conversation)
    assert ([m["text"] for m in shown], earlier) == ([f"line {i}" for i in range(2, 8)], 2)
    assert len(cases.thread(view().conversation, whole=True)[0]) == 8


def test_the_header_has_both_clocks_and_the_order_in_words() -> None:
    head = cases.header(view(order=Order(number="#EVR-1045", total_minor=32500, refund_pending=True)))
    assert head["order"] == {"number": "#EVR-1045", "total": "USD 325.00", "cues": ["A refund is pending"]}
    assert head["breached"] and head["priority"] == "P1"
    assert head["other_clock"].count("Since ") == 2


def test_the_help_desks_own_sla_stands_beside_ours_where_it_has_one() -> None:
    with_one = cases.header(view(extra={"help_desk_sla_name": "Gold", "help_desk_sla_status": "missed"}))
    assert {"label": "Help desk SLA Gold: missed", "tone": "plain"} in with_one["flags"]
    assert not any("SLA" in flag["label"] for flag in cases.header(view())["flags"])


SOURCES = [
    pytest.param(None, "No suggestion fits", (), id="none"),
    pytest.param(TEMPLATE, "Template ship_update.", (), id="template"),
    pytest.param(
        replace(TEMPLATE, source=Source.AI, sources=("order #1",), index_generated_at=NOW),
        "AI suggestion, in the manner of ship_update.",
        ("order #1", "index of 2026-05-04 12:00 UTC"),
        id="AI with its index",
    ),
    pytest.param(
        replace(TEMPLATE, missing=("eta",)),
        "Template ship_update. Not known and left out: eta.",
        (),
        id="a gap",
    ),
]


@pytest.mark.parametrize(("suggestion", "says", "cited"), SOURCES)
def test_where_the_suggestion_comes_from(
    suggestion: Suggestion | None, says: str, cited: tuple[str, ...]
) -> None:
    assert cases.source_line(view(suggestion)).startswith(says)
    assert cases.citations(view(suggestion)) == cited


@given(st.text(max_size=80))
def test_kept_and_added_stretches_make_the_text_typed(typed: str) -> None:
    shown = cases.changes(view(), typed)
    if not shown:
        assert typed == TEMPLATE.text
    else:
        assert "".join(s["text"] for s in shown if s["kind"] != "removed") == typed
        assert "".join(s["text"] for s in shown if s["kind"] != "added") == TEMPLATE.text
