"""What the modal shows of one case: header, thread, suggestion, guardrails, and which buttons may be pressed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cairnops.app.views.words import clock_name, late_words
from cairnops.desk.desk import View
from cairnops.domain import catalogue, edits
from cairnops.domain.conversations import Author, Conversation, Role, Status
from cairnops.domain.guardrails import money
from cairnops.domain.policy import Policy
from cairnops.domain.requests import Action
from cairnops.domain.rules import Severity, Verdict
from cairnops.domain.suggestions import Source

_SHOWN = 6

_KINDS = {Author.CUSTOMER: "customer", Author.AGENT: "agent", Author.SYSTEM: "system"}
_AUTHORS = {Author.CUSTOMER: "Customer", Author.AGENT: "Team", Author.SYSTEM: "Activity"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """One of the four buttons: its label from the policy, whether it may be pressed, and why not."""

    label: str
    enabled: bool
    why_not: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """A block the person may go ahead against, with a reason."""

    codes: tuple[str, ...]
    role: str


def header(view: View) -> dict[str, Any]:
    """The header as the component takes it; moments are epoch milliseconds, the name is the dialog's title."""
    case, force = view.conversation, view.sla.in_force
    stopped = force.stopped_at is not None or case.status is Status.RESOLVED
    flags = [{"label": late_words(force).capitalize(), "tone": "warn" if force.breached else "good"}]
    return {
        "customer": "",
        "conversation": case.id,
        "status": case.status.value,
        "priority": view.priority.value if view.priority else "",
        "due_ms": None if stopped else _ms(force.due_at),
        "breached": force.breached and not stopped,
        "breached_at_ms": None if stopped else _ms(force.breached_at),
        "clock": f"{view.sla.target_minutes} min since {clock_name(force.clock)}",
        "other_clock": "; ".join(
            f"Since {clock_name(s.clock)}: {late_words(s)}" for s in view.sla.standings if s is not force
        ),
        "tags": list(case.tags),
        "order": _order(case),
        "flags": [
            *(flags if stopped else []),
            *(
                [{"label": f"Help desk SLA {case.help_desk_sla}", "tone": "plain"}]
                if case.help_desk_sla
                else []
            ),
            *([] if view.flags.ai_escalations else [{"label": "AI unavailable", "tone": "warn"}]),
            *([] if view.flags.modal_approvals else [{"label": "Read-only", "tone": "warn"}]),
        ],
    }


def _order(case: Conversation) -> dict[str, Any] | None:
    order = case.order
    if order is None:
        return None
    total = ""
    if order.total_minor is not None:
        total = money(order.total_minor, order.currency)
    cues = [*order.cues]
    cues += ["A refund is pending"] if order.refund_pending else []
    cues += ["A return is in progress"] if order.return_in_progress else []
    return {"number": order.number, "total": total, "cues": cues}


def thread(case: Conversation, *, whole: bool = False) -> tuple[list[dict[str, Any]], int]:
    """The last messages as bubbles, oldest first, and how many earlier ones are not among them."""
    messages = sorted(case.messages, key=lambda m: m.at)
    shown = messages if whole else messages[-_SHOWN:]
    return [
        {
            "id": m.id,
            "author": (case.customer or "Customer") if m.author is Author.CUSTOMER else _AUTHORS[m.author],
            "kind": "note" if m.private else _KINDS[m.author],
            "text": m.text,
            "time": f"{m.at:%H:%M}",
            "title": f"{m.at:%Y-%m-%d %H:%M:%S} UTC",
        }
        for m in shown
    ], len(messages) - len(shown)


def source_line(view: View) -> str:
    """Where the suggestion comes from, in a sentence; what to do when there is none."""
    found = view.suggestion
    if found is None:
        return "No suggestion fits. Write the reply yourself, or escalate; a reply by hand is recorded as a fallback."
    missing = f" Not known and left out: {', '.join(found.missing)}." if found.missing else ""
    if found.source is Source.AI:
        return f"AI suggestion, in the manner of {found.template_id}.{missing}"
    return f"Template {found.template_id}.{missing}"


def citations(view: View) -> tuple[str, ...]:
    """What the suggestion rests on, and how old the index behind it is."""
    found = view.suggestion
    if found is None:
        return ()
    built = found.index_generated_at
    return (*found.sources, *([f"index of {built:%Y-%m-%d %H:%M} UTC"] if built else ()))


def changes(view: View, text: str) -> list[dict[str, str]]:
    """Word by word, what became of the suggestion; empty when there was none or nothing changed."""
    if view.suggestion is None or text == view.suggestion.text:
        return []
    return [asdict(change) for change in edits.diff(view.suggestion.text, text)]


def banners(verdicts: Sequence[Verdict], *, explained: bool) -> list[dict[str, Any]]:
    """The guardrails that speak, gravest first; `explained` adds what the rule is for (never in an exam)."""
    order = {Severity.BLOCK: 0, Severity.WARN: 1, Severity.INFO: 2}
    out = []
    for verdict in sorted(verdicts, key=lambda v: (order[v.severity], v.overridden)):
        entry = catalogue.find(verdict.code)
        rule = entry.rule if entry else None
        may = f" A {verdict.override_role} may go ahead with a reason." if verdict.override_role else ""
        out.append(
            {
                "code": verdict.code,
                "severity": verdict.severity.value,
                "overridden": verdict.overridden,
                "sentence": verdict.sentence,
                "threshold": verdict.threshold,
                "way_out": f"{rule.way_out if rule else ''}{may}".strip(),
                "explanation": f"{entry.meaning} Source: {rule.source}."
                if entry and rule and explained
                else "",
            }
        )
    return out


def overridable(verdicts: Sequence[Verdict], role: Role) -> Override | None:
    """The blocks this role may go ahead against, when those are all that stand in the way."""
    blocks = [v for v in verdicts if v.severity is Severity.BLOCK]
    allowed = [v for v in blocks if v.override_role and role.rank >= Role(v.override_role).rank]
    if not blocks or len(allowed) != len(blocks):
        return None
    return Override(codes=tuple(v.code for v in allowed), role=role.value)


def buttons(
    view: View,
    policy: Policy,
    verdicts: Sequence[Verdict],
    *,
    text: str,
    role: Role,
    log_problem: str = "",
    session_closed: bool = False,
) -> dict[Action, Button]:
    """Which of the four buttons may be pressed. The desk asks everything again when one is."""
    labels = policy.labels
    shut = ""
    if log_problem:
        shut = "The decision log cannot be written, so nothing can be decided."
    elif session_closed:
        shut = "The session is over."
    elif not view.flags.modal_approvals:
        shut = "The desk is read-only: approvals are switched off."
    elif role.rank == 0:
        shut = f"The role {role.value} reads and does not act."
    elif view.conversation.status is Status.RESOLVED:
        shut = "The conversation is resolved."
    blocks = [v for v in verdicts if v.severity is Severity.BLOCK and not v.overridden]
    send = shut or ("The reply is empty." if not text.strip() else "")
    send = send or (f"Blocked by {blocks[0].code}." if blocks else "")
    return {
        Action.APPROVE_SEND: Button(label=labels.approve_button, enabled=not send, why_not=send),
        Action.ESCALATE: Button(label=labels.escalate_button, enabled=not shut, why_not=shut),
        Action.MARK_RESOLVED: Button(label=labels.resolve_button, enabled=not shut, why_not=shut),
        Action.CANCEL: Button(label=labels.cancel_button, enabled=True),
    }


def _ms(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at else None
