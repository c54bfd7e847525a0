"""Whether a request is applied, refused or a repeat; the order of the clauses is their precedence."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from cairnops.domain import edits, guardrails, sla
from cairnops.domain.conversations import Author, Status
from cairnops.domain.decisions import DECISION_TYPE, Decision, Scope, uid_of
from cairnops.domain.delivery import EffectDraft, EffectKind
from cairnops.domain.guardrails import Case
from cairnops.domain.policy import Policy
from cairnops.domain.requests import DECISION_NAMES, Action, Facts, FollowUp, Request
from cairnops.domain.rules import Rule, Severity, Verdict
from cairnops.domain.suggestions import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Apply:
    """The request holds: what to record, and what must happen outside."""

    #: The event's kind: `action.applied`, `action.cancelled`, `note.added`, `follow_up.set`.
    event: str
    #: None for requests that make no decision.
    decision: Decision | None
    effects: tuple[EffectDraft, ...] = ()
    follow_up: FollowUp | None = None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Refuse:
    """The request does not hold; the refusal is recorded with its code."""

    code: str
    sentence: str
    way_out: str = ""
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """The same request came before; this is what became of it. Nothing is written."""

    decision: str
    number: int
    #: The code it was refused with then; empty when it was applied.
    refused: str
    sentence: str


Outcome = Apply | Refuse | Repeat

_BLOCK = Severity.BLOCK

#: Why a request can be refused before any guardrail is asked.
REFUSALS = {
    rule.code: rule
    for rule in (
        Rule(
            code="request.key_reused",
            severity=_BLOCK,
            title="The key belongs to another request",
            source="DESIGN: one operator action, one decision",
            way_out="Draw the form again; every form has its own key.",
        ),
        Rule(
            code="actor.role_not_allowed",
            severity=_BLOCK,
            title="This role reads and does not act",
            source="Roles: operator, lead, manager and admin act",
            way_out="Ask somebody who may act.",
        ),
        Rule(
            code="desk.read_only",
            severity=_BLOCK,
            title="The desk is read-only",
            source="FEATURE_MODAL_APPROVALS",
            threshold="FEATURE_MODAL_APPROVALS",
            way_out="Set FEATURE_MODAL_APPROVALS=1, or work in the help desk itself.",
        ),
        Rule(
            code="conversation.closed",
            severity=_BLOCK,
            title="The conversation is resolved",
            source="Chatwoot status resolved",
            way_out="Reopen it in the help desk first.",
        ),
        Rule(
            code="conversation.changed",
            severity=_BLOCK,
            title="The conversation changed since it was opened",
            source="What was shown is what is decided",
            way_out="Open it again and judge what is there now.",
        ),
        Rule(
            code="reply.empty",
            severity=_BLOCK,
            title="There is no text to send",
            source="Legacy action route: 400 without reply text",
            way_out="Write a reply, or cancel.",
        ),
        Rule(
            code="reply.already_answered",
            severity=_BLOCK,
            title="This customer message has been answered",
            source="One operator action, one decision; duplicate replies after a failed log",
            threshold="guardrails.no_ack_hours",
            way_out="Wait for the customer, or follow up when the follow-up is due.",
        ),
        Rule(
            code="escalation.reason_unknown",
            severity=_BLOCK,
            title="The reason is not in the policy's list",
            source="SOP-CX-003: valid reasons",
            threshold="escalation.reasons",
            way_out="Pick one of the policy's reasons.",
        ),
        Rule(
            code="escalation.note_required",
            severity=_BLOCK,
            title="An escalation needs a note",
            source="SOP-CX-003: issue and customer expectation",
            threshold="escalation.note_required",
            way_out="Say what the issue is and what the customer expects.",
        ),
        Rule(
            code="escalation.already_decided",
            severity=_BLOCK,
            title="The case has been escalated since the customer last wrote",
            source="One operator action, one decision",
            way_out="Add an internal note for whoever has the case.",
        ),
        Rule(
            code="note.empty",
            severity=_BLOCK,
            title="The note is empty",
            source="Modal: the note is trimmed",
            way_out="Write the note, or cancel.",
        ),
        Rule(
            code="follow_up.incomplete",
            severity=_BLOCK,
            title="A follow-up needs an owner and a due time in the future",
            source="SOP-CX-004: a plan has an owner and a due time",
            way_out="Name who follows up and by when.",
        ),
        Rule(
            code="override.not_allowed",
            severity=_BLOCK,
            title="This block cannot be overridden by this role",
            source="Policy: guardrails.overridable",
            threshold="guardrails.overridable",
            way_out="Escalate, or ask somebody of the role the policy names.",
        ),
    )
}


def fingerprint(request: Request) -> str:
    """SHA-256 over what the request asks for: two requests with one key must be one request."""
    parts = (
        request.action.value,
        request.conversation,
        request.actor.email,
        request.text if request.text is not None else "\x00",
        request.note,
        request.reason,
        request.target.value if request.target else "",
        request.override,
        f"{request.follow_up.owner}|{request.follow_up.due.isoformat()}" if request.follow_up else "",
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def decide(
    request: Request, facts: Facts, policy: Policy, now: datetime, *, policy_hash: str = "", shop: str = ""
) -> Outcome:
    """What becomes of the request.

    `facts` is one read of the ledger; `now` is UTC. The result is data: the caller commits it.
    """
    if facts.prior is not None:
        if facts.prior.fingerprint != fingerprint(request):
            return _refuse("request.key_reused")
        return Repeat(
            decision=facts.prior.decision,
            number=facts.prior.number,
            refused=facts.prior.refused,
            sentence=facts.prior.sentence,
        )
    if request.action is Action.CANCEL:
        return Apply(event="action.cancelled", decision=None)
    if request.actor.role.rank == 0:
        return _refuse("actor.role_not_allowed", f"{request.actor.role.value} reads, and does not act.")
    if not facts.flags.modal_approvals:
        return _refuse("desk.read_only", "The desk is read-only: FEATURE_MODAL_APPROVALS is off.")
    if request.seen_version is not None and request.seen_version != facts.version:
        return _refuse("conversation.changed", _what_changed(facts))
    if request.follow_up and (not request.follow_up.owner.strip() or request.follow_up.due <= now):
        return _refuse("follow_up.incomplete")
    if request.action in DECISION_NAMES and facts.conversation.status is Status.RESOLVED:
        return _refuse("conversation.closed", f"Conversation {facts.conversation.id} is resolved.")
    match request.action:
        case Action.NOTE:
            if not request.note.strip():
                return _refuse("note.empty")
            return Apply(event="note.added", decision=None, effects=(_note(request.note),))
        case Action.FOLLOW_UP:
            if request.follow_up is None:
                return _refuse("follow_up.incomplete")
            return Apply(event="follow_up.set", decision=None, follow_up=request.follow_up)
        case Action.APPROVE_SEND | Action.ESCALATE | Action.MARK_RESOLVED:
            return _decide(request, facts, policy, now, policy_hash, shop)
        case _:
            assert_never(request.action)


def _decide(
    request: Request, facts: Facts, policy: Policy, now: datetime, policy_hash: str, shop: str
) -> Outcome:
    refused = _unfit(request, facts, policy, now)
    if refused is not None:
        return refused
    standing = sla.read(facts.conversation, policy.sla, now)
    case = Case(request=request, facts=facts, sla=standing, policy=policy, now=now)
    verdicts = guardrails.judge(case)
    blocks = [v for v in verdicts if v.severity is Severity.BLOCK and not v.overridden]
    if blocks:
        first = blocks[0]
        rule = next(g.rule for g in guardrails.GUARDRAILS if g.rule.code == first.code)
        if request.override.strip():
            who = f"a {first.override_role} may" if first.override_role else "nobody may"
            return _refuse(
                "override.not_allowed", f"{first.code} stands: {first.sentence} Override: {who}.", verdicts
            )
        return Refuse(code=first.code, sentence=first.sentence, way_out=rule.way_out, verdicts=verdicts)
    return _apply(case, verdicts, policy_hash, shop)


def _unfit(request: Request, facts: Facts, policy: Policy, now: datetime) -> Refuse | None:
    last = facts.conversation.last_from(Author.CUSTOMER)
    if request.action is Action.APPROVE_SEND:
        if request.text is not None and not request.text.strip():
            return _refuse("reply.empty")
        sent = facts.last_decision(Action.APPROVE_SEND)
        if sent is not None and not (last is not None and last.at > sent.at):
            due = any(f.due <= now for f in facts.follow_ups)
            quiet = now - sent.at > timedelta(hours=policy.guardrails.no_ack_hours)
            if not due and not quiet:
                return _refuse(
                    "reply.already_answered",
                    f"{sent.actor} answered with decision {sent.number}; the customer has not written since.",
                )
    if request.action is Action.ESCALATE:
        if request.reason not in policy.escalation.reasons:
            given = f"“{request.reason}” is not" if request.reason else "No reason given; it must be"
            return _refuse(
                "escalation.reason_unknown", f"{given} one of: {', '.join(policy.escalation.reasons)}."
            )
        if policy.escalation.note_required and not request.note.strip():
            return _refuse("escalation.note_required")
        sent = facts.last_decision(Action.ESCALATE)
        if sent is not None and not (last is not None and last.at > sent.at):
            return _refuse(
                "escalation.already_decided",
                f"{sent.actor} escalated with decision {sent.number}; nothing new since.",
            )
    return None


def _apply(case: Case, verdicts: tuple[Verdict, ...], policy_hash: str, shop: str) -> Apply:
    request, facts = case.request, case.facts
    suggestion = facts.suggestion
    text = case.text if request.action is Action.APPROVE_SEND else None
    edited = text is not None and suggestion is not None and text != suggestion.text
    priority = sla.triage(facts.conversation, case.sla, case.policy, case.now)
    target = request.target or case.policy.escalation.target
    decision = Decision(
        uid=uid_of(case.now, "decision", request.key),
        decision_id=0,
        scope=Scope.OPS,
        type=DECISION_TYPE,
        action=DECISION_NAMES[request.action],
        actor=request.actor,
        shop_domain=shop,
        conversation=facts.conversation.ref,
        session=request.session,
        request_key=request.key,
        created_at=case.now,
        rationale=_rationale(case, edited),
        reason=request.reason,
        target=target.value if request.action is Action.ESCALATE else "",
        note=request.note,
        linked=facts.suggestion_uid if suggestion and suggestion.source is Source.AI else "",
        suggestion=suggestion if request.action is Action.APPROVE_SEND else None,
        final_text=text,
        edited=edited,
        edit_distance=edits.distance(suggestion.text, text) if edited and suggestion and text else 0,
        fallback="manual_reply" if text is not None and suggestion is None else "",
        verdicts=verdicts,
        override=request.override.strip(),
        sla=case.sla,
        priority=priority.value if priority else "",
        flags=facts.flags,
        policy_profile=case.policy.profile,
        policy_hash=policy_hash,
        follow_up=request.follow_up,
    )
    return Apply(
        event="action.applied",
        decision=decision,
        effects=_effects(case, text, decision),
        follow_up=request.follow_up,
        verdicts=verdicts,
    )


def _effects(case: Case, text: str | None, decision: Decision) -> tuple[EffectDraft, ...]:
    request = case.request
    out: list[EffectDraft] = []
    if text is not None:
        out.append(EffectDraft(kind=EffectKind.REPLY, payload={"text": text}))
    if request.action is Action.ESCALATE:
        out.append(EffectDraft(kind=EffectKind.LABELS, payload={"add": case.policy.labels.escalation}))
        out.append(_note(f"Escalated to {decision.target} ({decision.reason}): {request.note}"))
    elif request.note.strip():
        out.append(_note(request.note))
    if request.action is Action.MARK_RESOLVED:
        out.append(EffectDraft(kind=EffectKind.STATUS, payload={"status": Status.RESOLVED.value}))
    return tuple(out)


def _note(text: str) -> EffectDraft:
    return EffectDraft(kind=EffectKind.NOTE, payload={"text": text})


def _rationale(case: Case, edited: bool) -> str:
    """The sentence the log shows; the legacy wordings, told apart by what really happened."""
    request, suggestion = case.request, case.facts.suggestion
    if request.action is Action.ESCALATE:
        return f"Escalated to {(request.target or case.policy.escalation.target).value}: {request.reason}"
    if request.action is Action.MARK_RESOLVED:
        return "Marked conversation as resolved"
    if suggestion is None:
        return "Sent a reply written by hand"
    what = "AI suggestion" if suggestion.source is Source.AI else "template reply"
    return f"Approved {what}{' with edits' if edited else ''}"


def _what_changed(facts: Facts) -> str:
    if facts.decisions:
        newest = max(facts.decisions, key=lambda d: d.at)
        return f"It changed since you opened it; newest decision: {newest.number} by {newest.actor}."
    return "It changed since you opened it."


def _refuse(code: str, sentence: str = "", verdicts: tuple[Verdict, ...] = ()) -> Refuse:
    rule = REFUSALS[code]
    return Refuse(code=code, sentence=sentence or f"{rule.title}.", way_out=rule.way_out, verdicts=verdicts)


def numbered(decision: Decision, number: int) -> Decision:
    """The decision with the human number it was given at commit."""
    return replace(decision, decision_id=number)
