"""Whether a request is applied, refused or a repeat; the order of the clauses is their precedence."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from cairnops.domain import edits, guardrails, sla
from cairnops.domain.conversations import Author, Status
from cairnops.domain.decisions import DECISION_TYPE, Decision, Scope, uid_of
from cairnops.domain.delivery import EffectDraft, EffectKind
from cairnops.domain.guardrails import Case
from cairnops.domain.policy import Policy
from cairnops.domain.requests import DECISION_NAMES, Action, Facts, FollowUp, PastDecision, Prior, Request
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A request beside what it is admitted by."""

    request: Request
    facts: Facts
    policy: Policy
    now: datetime


#: What a refusal says about this case; None when the request may pass, empty when its title says it all.
Admit = Callable[[Ask], str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """A reason to say no, the actions it watches, and the function that decides it."""

    rule: Rule
    actions: frozenset[Action]
    check: Admit


#: Asked in this order, before any guardrail: the first that speaks is the answer.
ADMISSIONS: list[Admission] = []

_DECIDING = frozenset(DECISION_NAMES)
_ACTING = frozenset(Action) - {Action.CANCEL}


def _refusal(
    code: str, actions: frozenset[Action], *, title: str, source: str, way_out: str, threshold: str = ""
) -> Callable[[Admit], Admit]:
    rule = Rule(
        code=code,
        severity=Severity.BLOCK,
        title=title,
        source=source,
        threshold=threshold,
        way_out=way_out,
    )

    def register(check: Admit) -> Admit:
        ADMISSIONS.append(Admission(rule=rule, actions=actions, check=check))
        return check

    return register


@_refusal(
    "actor.role_not_allowed",
    _ACTING,
    title="This role reads and does not act",
    source="Roles: operator, lead, manager and admin act",
    way_out="Ask somebody who may act.",
)
def role_not_allowed(ask: Ask) -> str | None:
    """QA and analysts read everything and change nothing."""
    role = ask.request.actor.role
    return f"The role {role.value} reads, and does not act." if role.rank == 0 else None


@_refusal(
    "desk.read_only",
    _ACTING,
    title="The desk is read-only",
    source="FEATURE_MODAL_APPROVALS",
    threshold="FEATURE_MODAL_APPROVALS",
    way_out="Set FEATURE_MODAL_APPROVALS=1, or work in the help desk itself.",
)
def read_only(ask: Ask) -> str | None:
    """With approvals switched off everything can be seen and nothing can be done."""
    return (
        None if ask.facts.flags.modal_approvals else "The desk is read-only: FEATURE_MODAL_APPROVALS is off."
    )


@_refusal(
    "session.closed",
    _ACTING,
    title="The session is over",
    source="A session is closed before its evidence is handed over",
    way_out="Choose another session, or work outside of one.",
)
def session_closed(ask: Ask) -> str | None:
    """What was handed over as the evidence of a session is all that was done in it."""
    return f"Session {ask.request.session} is closed." if ask.facts.session_closed else None


@_refusal(
    "conversation.claimed",
    _ACTING,
    title="Somebody else has the conversation open",
    source="One operator action, one decision; two operators on one case",
    way_out="Take another case, or wait until they let go of it.",
)
def conversation_claimed(ask: Ask) -> str | None:
    """Only whoever has a conversation open acts on it, for as long as their lease runs.

    A lease that nobody renews ends, so a closed tab holds nobody up.
    """
    claim = ask.facts.claim
    if claim is None or claim.actor.email == ask.request.actor.email:
        return None
    if not claim.live(round(ask.now.timestamp() * 1000)):
        return None
    return f"{claim.actor.email} has had it open since {claim.since:%H:%M} UTC."


@_refusal(
    "conversation.changed",
    _ACTING,
    title="The conversation changed since it was opened",
    source="What was shown is what is decided",
    way_out="Open it again and judge what is there now.",
)
def conversation_changed(ask: Ask) -> str | None:
    """A form drawn from an older version of the conversation decides nothing."""
    seen, facts = ask.request.seen_version, ask.facts
    if seen is None or seen == facts.version:
        return None
    if not facts.decisions:
        return "It changed since you opened it."
    newest = max(facts.decisions, key=lambda d: d.at)
    return f"It changed since you opened it; newest decision: {newest.number} by {newest.actor}."


@_refusal(
    "follow_up.incomplete",
    _ACTING,
    title="A follow-up needs an owner and a due time in the future",
    source="SOP-CX-004: a plan has an owner and a due time",
    way_out="Name who follows up and by when.",
)
def follow_up_incomplete(ask: Ask) -> str | None:
    """A promise without a name, or due at or before this moment, is no promise."""
    promise = ask.request.follow_up
    if promise is None:
        return "" if ask.request.action is Action.FOLLOW_UP else None
    missing = [] if promise.owner.strip() else ["an owner"]
    missing += [] if promise.due > ask.now else ["a due time in the future"]
    return (
        f"The follow-up has no {' and no '.join(m.partition(' ')[2] for m in missing)}." if missing else None
    )


@_refusal(
    "conversation.closed",
    _DECIDING,
    title="The conversation is resolved",
    source="Chatwoot status resolved",
    way_out="Reopen it in the help desk first.",
)
def conversation_closed(ask: Ask) -> str | None:
    """Nothing is decided about a resolved conversation; notes and follow-ups may still be left.

    Resolved by a decision counts from the decision on, not from when the help desk shows it.
    """
    conversation = ask.facts.conversation
    if conversation.status is Status.RESOLVED:
        return f"Conversation {conversation.id} is resolved."
    closed = ask.facts.last_decision(Action.MARK_RESOLVED)
    if closed is None or closed.undelivered or not _nothing_new(ask.facts, closed):
        return None
    if any(c.at > closed.at and c.status is not Status.RESOLVED for c in conversation.status_changes):
        return None
    return f"{closed.actor} resolved conversation {conversation.id} with decision {closed.number}."


@_refusal(
    "note.empty",
    frozenset({Action.NOTE}),
    title="The note is empty",
    source="Modal: a note is sent only if something is left after trimming",
    way_out="Write the note, or cancel.",
)
def note_empty(ask: Ask) -> str | None:
    """A note of nothing but blanks says nothing."""
    return None if ask.request.note.strip() else ""


@_refusal(
    "reply.empty",
    frozenset({Action.APPROVE_SEND}),
    title="There is no text to send",
    source="Legacy action route: 400 without reply text",
    way_out="Write a reply, or cancel.",
)
def reply_empty(ask: Ask) -> str | None:
    """A reply of nothing but blanks is not sent, whether typed or suggested."""
    suggestion, text = ask.facts.suggestion, ask.request.text
    if text is None and suggestion is None and "suggestion.missing" not in ask.policy.guardrails.disabled:
        return None
    shown = suggestion.text if suggestion else ""
    return None if (shown if text is None else text).strip() else ""


@_refusal(
    "reply.already_answered",
    frozenset({Action.APPROVE_SEND}),
    title="This customer message has been answered",
    source="One operator action, one decision; duplicate replies after a failed log",
    threshold="guardrails.no_ack_hours",
    way_out="Wait for the customer, or follow up when the follow-up is due.",
)
def already_answered(ask: Ask) -> str | None:
    """A second reply to one customer message, unless a promise fell due since or `no_ack_hours` have passed.

    Strictly more than that many hours; a promise due at this very moment counts. A reply that surely never
    reached the help desk answered nothing; one nobody knows about may have, and stands.
    """
    sent = ask.facts.last_decision(Action.APPROVE_SEND)
    if sent is None or sent.undelivered or not _nothing_new(ask.facts, sent):
        return None
    if any(sent.at < promise.due <= ask.now for promise in ask.facts.follow_ups):
        return None
    if ask.now - sent.at > timedelta(hours=ask.policy.guardrails.no_ack_hours):
        return None
    return f"{sent.actor} answered with decision {sent.number}; the customer has not written since."


@_refusal(
    "escalation.reason_unknown",
    frozenset({Action.ESCALATE}),
    title="The reason is not in the policy's list",
    source="SOP-CX-003: valid reasons",
    threshold="escalation.reasons",
    way_out="Pick one of the policy's reasons.",
)
def reason_unknown(ask: Ask) -> str | None:
    """An escalation names one of the policy's reasons, letter for letter."""
    given, reasons = ask.request.reason, ask.policy.escalation.reasons
    if given in reasons:
        return None
    start = f"“{given}” is not" if given else "No reason is given; it must be"
    return f"{start} one of: {', '.join(reasons)}."


@_refusal(
    "escalation.note_required",
    frozenset({Action.ESCALATE}),
    title="An escalation needs a note",
    source="SOP-CX-003: issue and customer expectation",
    threshold="escalation.note_required",
    way_out="Say what the issue is and what the customer expects.",
)
def note_required(ask: Ask) -> str | None:
    """Whoever takes the case over must not have to read it from the beginning."""
    return "" if ask.policy.escalation.note_required and not ask.request.note.strip() else None


@_refusal(
    "escalation.already_decided",
    frozenset({Action.ESCALATE}),
    title="The case has been escalated since the customer last wrote",
    source="One operator action, one decision",
    way_out="Add an internal note for whoever has the case.",
)
def already_escalated(ask: Ask) -> str | None:
    """A second escalation of a case about which the customer has written nothing new."""
    sent = ask.facts.last_decision(Action.ESCALATE)
    if sent is None or sent.undelivered or not _nothing_new(ask.facts, sent):
        return None
    return f"{sent.actor} escalated with decision {sent.number}; the customer has not written since."


def _nothing_new(facts: Facts, since: PastDecision) -> bool:
    last = facts.conversation.last_from(Author.CUSTOMER)
    return last is None or last.at <= since.at


KEY_REUSED = Rule(
    code="request.key_reused",
    severity=Severity.BLOCK,
    title="The key belongs to another request",
    source="One operator action, one decision",
    way_out="Draw the form again; every form has its own key.",
)

OVERRIDE_NOT_ALLOWED = Rule(
    code="override.not_allowed",
    severity=Severity.BLOCK,
    title="This block cannot be overridden by this role",
    source="Policy: guardrails.overridable",
    threshold="guardrails.overridable",
    way_out="Escalate, or ask somebody of the role the policy names.",
)

#: Every rule a request can be refused with by this module, by code.
REFUSALS = {rule.code: rule for rule in (KEY_REUSED, *(a.rule for a in ADMISSIONS), OVERRIDE_NOT_ALLOWED)}


def fingerprint(request: Request) -> str:
    """SHA-256 over what the request asks for: two requests with one key must be one request."""
    promise = request.follow_up
    parts = (
        request.action.value,
        request.conversation,
        request.actor.email,
        request.text,
        request.note,
        request.reason,
        request.target.value if request.target else None,
        request.override,
        [promise.owner, promise.due.isoformat(), promise.text] if promise else None,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def decide(
    request: Request, facts: Facts, policy: Policy, now: datetime, *, policy_hash: str = "", shop: str = ""
) -> Outcome:
    """What becomes of the request.

    `facts` is one read of the ledger; `now` is UTC. The result is data: the caller commits it. In order:
    the key (a repeat, or another request's), cancel, `ADMISSIONS` as they stand, the guardrails' blocks.
    """
    if facts.prior is not None:
        return repeated(request, facts.prior)
    if request.action is Action.CANCEL:
        return Apply(event="action.cancelled", decision=None)
    ask = Ask(request=request, facts=facts, policy=policy, now=now)
    for admission in ADMISSIONS:
        if request.action in admission.actions and admission.rule.code not in policy.guardrails.disabled:
            sentence = admission.check(ask)
            if sentence is not None:
                return _refuse(admission.rule, sentence)
    match request.action:
        case Action.NOTE:
            return Apply(event="note.added", decision=None, effects=(_note(request.note),))
        case Action.FOLLOW_UP if request.follow_up is None:
            return _refuse(REFUSALS["follow_up.incomplete"])
        case Action.FOLLOW_UP:
            return Apply(event="follow_up.set", decision=None, follow_up=request.follow_up)
        case Action.APPROVE_SEND | Action.ESCALATE | Action.MARK_RESOLVED:
            return _decide(ask, policy_hash, shop)
        case _:
            assert_never(request.action)


def repeated(request: Request, prior: Prior) -> Repeat | Refuse:
    """A key stands for one request: the same one is told what became of it, another is refused."""
    if prior.fingerprint != fingerprint(request):
        return _refuse(KEY_REUSED)
    return Repeat(
        decision=prior.decision, number=prior.number, refused=prior.refused, sentence=prior.sentence
    )


def _decide(ask: Ask, policy_hash: str, shop: str) -> Outcome:
    standing = sla.read(ask.facts.conversation, ask.policy.sla, ask.now)
    case = Case(request=ask.request, facts=ask.facts, sla=standing, policy=ask.policy, now=ask.now)
    verdicts = guardrails.judge(case)
    blocks = [v for v in verdicts if v.severity is Severity.BLOCK and not v.overridden]
    if blocks:
        return blocked(case, blocks[0], verdicts)
    return _apply(case, verdicts, policy_hash, shop)


def blocked(case: Case, first: Verdict, verdicts: tuple[Verdict, ...]) -> Refuse:
    """A block stands; going ahead against it takes the role the policy names, and a reason.

    Whoever gave a reason is told who may override, instead of being told about the block again.
    """
    rule = next(g.rule for g in guardrails.GUARDRAILS if g.rule.code == first.code)
    disabled = OVERRIDE_NOT_ALLOWED.code in case.policy.guardrails.disabled
    if not case.request.override.strip() or disabled:
        return Refuse(code=first.code, sentence=first.sentence, way_out=rule.way_out, verdicts=verdicts)
    if not first.override_role:
        return Refuse(
            code=OVERRIDE_NOT_ALLOWED.code,
            sentence=f"{first.sentence} Nobody may override {first.code}.",
            way_out=rule.way_out,
            verdicts=verdicts,
        )
    who = guardrails.named(first.override_role)
    return Refuse(
        code=OVERRIDE_NOT_ALLOWED.code,
        sentence=f"{first.sentence} Only {who} may override {first.code}.",
        way_out=f"Escalate, or ask {who}.",
        verdicts=verdicts,
    )


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
        override=request.override.strip() if any(v.overridden for v in verdicts) else "",
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
        what = f"Escalated to {decision.target} ({decision.reason})"
        out.append(_note(f"{what}: {request.note}" if request.note.strip() else what))
        out += _assigned(case.policy, decision.target)
    elif request.note.strip():
        out.append(_note(request.note))
    if request.action is Action.MARK_RESOLVED:
        out.append(EffectDraft(kind=EffectKind.STATUS, payload={"status": Status.RESOLVED.value}))
    return tuple(out)


def _assigned(policy: Policy, role: str) -> list[EffectDraft]:
    given = next((a for a in policy.escalation.assign if a.role.value == role), None)
    if given is None:
        return []
    # The team first: some help desks put somebody of the team in charge when it is given a case.
    who = {"team": given.team.strip(), "assignee": given.assignee.strip()}
    return [EffectDraft(kind=EffectKind.ASSIGN, payload={key: name}) for key, name in who.items() if name]


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
        return "Approved a reply written by hand"
    what = "AI suggestion" if suggestion.source is Source.AI else "template reply"
    return f"Approved {what}{' with edits' if edited else ''}"


def _refuse(rule: Rule, sentence: str = "") -> Refuse:
    return Refuse(code=rule.code, sentence=sentence or f"{rule.title}.", way_out=rule.way_out)


def numbered(decision: Decision, number: int) -> Decision:
    """The decision with the human number it was given at commit."""
    return replace(decision, decision_id=number)
