"""What should make an operator stop and think, rule by rule; each finding is a value, nothing is done."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from cairnops.domain import sla as slas
from cairnops.domain import suggestions as replies
from cairnops.domain.conversations import Author, Conversation, Status
from cairnops.domain.policy import Policy
from cairnops.domain.requests import Action, Facts, Request
from cairnops.domain.rules import Rule, Severity, Verdict
from cairnops.domain.sla import Sla
from cairnops.domain.suggestions import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A request beside everything it is judged by."""

    request: Request
    facts: Facts
    sla: Sla
    policy: Policy
    now: datetime

    @property
    def conversation(self) -> Conversation:
        """The conversation as it was read."""
        return self.facts.conversation

    @property
    def text(self) -> str:
        """The reply that would be sent: the operator's own words, else the suggestion."""
        if self.request.text is not None:
            return self.request.text
        return self.facts.suggestion.text if self.facts.suggestion else ""


#: What a guardrail finds: a sentence, and when they differ from the rule's own, severity and threshold.
@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one guardrail has to say about one case."""

    sentence: str
    severity: Severity | None = None
    threshold: str = ""


Check = Callable[[Case], Finding | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Guardrail:
    """A rule, the actions it watches, and the function that checks it."""

    rule: Rule
    actions: frozenset[Action]
    check: Check


GUARDRAILS: list[Guardrail] = []

_REPLYING = frozenset({Action.APPROVE_SEND})
_ALL = frozenset({Action.APPROVE_SEND, Action.ESCALATE, Action.MARK_RESOLVED})


def _guardrail(rule: Rule, actions: frozenset[Action] = _REPLYING) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        GUARDRAILS.append(Guardrail(rule=rule, actions=actions, check=check))
        return check

    return register


def judge(case: Case) -> tuple[Verdict, ...]:
    """Every standing verdict on the case, blocks first, otherwise in catalogue order.

    A block counts as overridden only where the policy lists its code, the actor has the role it
    names, and the request says why.
    """
    out: list[Verdict] = []
    for guard in GUARDRAILS:
        if case.request.action not in guard.actions or guard.rule.code in case.policy.guardrails.disabled:
            continue
        found = guard.check(case)
        if found is not None:
            verdict = Verdict(
                code=guard.rule.code,
                severity=found.severity or guard.rule.severity,
                sentence=found.sentence,
                threshold=found.threshold,
            )
            out.append(_override(verdict, case))
    return tuple(sorted(out, key=lambda v: v.severity is not Severity.BLOCK))


def _override(verdict: Verdict, case: Case) -> Verdict:
    if verdict.severity is not Severity.BLOCK:
        return verdict
    role = next((o.role for o in case.policy.guardrails.overridable if o.code == verdict.code), None)
    if role is None:
        return verdict
    allowed = case.request.actor.role.rank >= role.rank
    return replace(
        verdict, override_role=role.value, overridden=allowed and bool(case.request.override.strip())
    )


def _minutes(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def money(minor: int, currency: str) -> str:
    """Minor units as people write them: `USD 325.00`."""
    return f"{currency} {minor // 100}.{minor % 100:02d}"


@_guardrail(
    Rule(
        code="risk.high_risk_language",
        severity=Severity.BLOCK,
        title="Legal, fraud, chargeback, threat or injury language",
        source="SOP-CX-003; red-flag list of the quick cards",
        threshold="suggestions.high_risk_words",
        way_out="Escalate; a person with the right role answers.",
    )
)
def high_risk_language(case: Case) -> Finding | None:
    """The customer's words call for a person above the operator, whatever was suggested."""
    said = " \n".join(m.text for m in case.conversation.public_messages() if m.author is Author.CUSTOMER)
    hits = replies.high_risk(said, case.policy.suggestions.high_risk_words)
    if not hits:
        return None
    return Finding(sentence=f"The customer wrote: {', '.join(hits)}. This is not answered from the modal.")


@_guardrail(
    Rule(
        code="risk.supervisor_requested",
        severity=Severity.BLOCK,
        title="The customer asks for a supervisor or manager",
        source="Modal job aid, decision guardrails",
        threshold="suggestions.supervisor_words",
        way_out="Escalate, with a summary in the internal note.",
    )
)
def supervisor_requested(case: Case) -> Finding | None:
    """The customer asks for somebody in charge in what they wrote since the team last answered."""
    hits = replies.screen(case.conversation, case.policy.suggestions).supervisor
    if not hits:
        return None
    return Finding(sentence=f"{_customer(case)} asks for somebody in charge ({', '.join(hits)}).")


@_guardrail(
    Rule(
        code="refund.above_tier",
        severity=Severity.BLOCK,
        title="Refund above what this role may promise",
        source="Modal job aid (> 500); tiers of the job-aid library",
        threshold="refund.tiers",
        way_out="Escalate to the role named, or have somebody of that role approve it.",
    )
)
def refund_above_tier(case: Case) -> Finding | None:
    """The reply offers money back and the order's total is strictly above the actor's tier."""
    suggestion, order = case.facts.suggestion, case.conversation.order
    offers = (suggestion is not None and suggestion.template_id == "refund_offer") or (
        "refund" in case.text.lower()
    )
    if not offers or order is None:
        return None
    if order.total_minor is None:
        return Finding(
            sentence="The reply offers money back and the amount is not known.", severity=Severity.WARN
        )
    above = [t for t in case.policy.refund.tiers if order.total_minor > t.above * 100]
    needed = [t for t in above if case.request.actor.role.rank < t.role.rank]
    if not needed:
        return None
    tier = max(needed, key=lambda t: (t.severity is Severity.BLOCK, t.above))
    return Finding(
        sentence=f"{money(order.total_minor, order.currency)} is above {tier.above}: "
        f"{'needs' if tier.severity is Severity.BLOCK else 'tell'} a {tier.role.value}.",
        severity=tier.severity,
        threshold=f"> {tier.above} → {tier.role.value}",
    )


@_guardrail(
    Rule(
        code="suggestion.missing",
        severity=Severity.BLOCK,
        title="There is no suggestion to approve",
        source="SOP-CX-002; modal job aid",
        way_out="Write the reply by hand (it is recorded as a fallback) or escalate.",
    )
)
def suggestion_missing(case: Case) -> Finding | None:
    """Approving as it is needs something to approve; a text written by hand is a recorded fallback."""
    if case.facts.suggestion is not None or (case.request.text or "").strip():
        return None
    return Finding(sentence="No suggestion fits this conversation. Draft a reply by hand or escalate.")


_MISMATCHES = {
    "wrong_name": Rule(
        code="suggestion.wrong_name",
        severity=Severity.BLOCK,
        title="The reply addresses somebody else",
        source="Modal job aid: check for the correct customer name",
        way_out="Correct the name.",
    ),
    "placeholder_left": Rule(
        code="suggestion.placeholder_left",
        severity=Severity.BLOCK,
        title="A placeholder is still in the reply",
        source="Modal job aid: suggestion mismatched",
        way_out="Fill the placeholder in.",
    ),
    "wrong_category": Rule(
        code="suggestion.wrong_category",
        severity=Severity.WARN,
        title="The suggestion answers another kind of request",
        source="Modal job aid: suggestion mismatched",
        way_out="Edit the reply, write it by hand, or escalate.",
    ),
    "name_missing": Rule(
        code="suggestion.name_missing",
        severity=Severity.WARN,
        title="The reply does not name the customer",
        source="Edge checklist: name fallback; operators on impersonal replies",
        way_out="Address the customer by name, or ask for it when nobody knows it.",
    ),
}


def _mismatch(kind: str) -> Check:
    def check(case: Case) -> Finding | None:
        if not case.text:
            return None
        found = [
            p
            for p in replies.problems(
                case.text, case.facts.suggestion, case.conversation, case.policy.suggestions
            )
            if p.kind == kind
        ]
        return Finding(sentence="; ".join(p.detail for p in found)) if found else None

    return check


for _kind, _rule in _MISMATCHES.items():
    _guardrail(_rule)(_mismatch(_kind))


@_guardrail(
    Rule(
        code="suggestion.ai_unavailable",
        severity=Severity.INFO,
        title="AI is switched off: templates only",
        source="Dry-run samples, scenario D",
        threshold="FEATURE_AI_ESCALATIONS",
        way_out="Judge the template as you would any text; policy exceptions go to a manager.",
    ),
    _ALL,
)
def ai_unavailable(case: Case) -> Finding | None:
    """With the AI flag off the operator is told so in words, never left to guess."""
    if case.facts.flags.ai_escalations:
        return None
    shown = case.facts.suggestion
    what = f"the reply shown is the {shown.template_id} template" if shown else "no template fits either"
    return Finding(sentence=f"AI unavailable: {what}.")


@_guardrail(
    Rule(
        code="suggestion.index_stale",
        severity=Severity.WARN,
        title="The AI's index is older than the session",
        source="Modal job aid, AI guardrails; index freshness bands 24/36 h",
        threshold="guardrails.index_fresh_hours",
        way_out="Rebuild the index, or write the reply by hand.",
    )
)
def index_stale(case: Case) -> Finding | None:
    """How old the index was when the session began (or now, outside a session) decides: warn, then block."""
    suggestion = case.facts.suggestion
    if suggestion is None or suggestion.source is not Source.AI:
        return None
    if suggestion.index_generated_at is None:
        return Finding(sentence="Nobody says when the index behind this suggestion was built.")
    limits = case.policy.guardrails
    age = (case.facts.session_started_at or case.now) - suggestion.index_generated_at
    hours = int(age.total_seconds() // 3600)
    if age > timedelta(hours=limits.index_stale_hours):
        return Finding(
            sentence=f"The index behind this suggestion is {hours} h older than the session.",
            severity=Severity.BLOCK,
            threshold=f"{limits.index_stale_hours} h",
        )
    if age > timedelta(hours=limits.index_fresh_hours):
        return Finding(
            sentence=f"The index behind this suggestion is {hours} h older than the session.",
            threshold=f"{limits.index_fresh_hours} h",
        )
    return None


@_guardrail(
    Rule(
        code="escalation.already_escalated",
        severity=Severity.BLOCK,
        title="The case has been escalated already",
        source="SOP-CX-002: if already tagged, do not approve",
        threshold="labels.escalated",
        way_out="Leave the reply to whoever has the case, or add an internal note.",
    )
)
def already_escalated(case: Case) -> Finding | None:
    """An escalated case belongs to somebody else; a reply from the modal would cross theirs."""
    marks = {label.lower() for label in case.policy.labels.escalated}
    tagged = [t for t in case.conversation.tags if t.lower() in marks]
    if tagged:
        return Finding(sentence=f"Tagged {', '.join(tagged)}: somebody above has this case.")
    before = case.facts.last_decision(Action.ESCALATE)
    if before is None:
        return None
    return Finding(sentence=f"{before.actor} escalated this case (decision {before.number}).")


@_guardrail(
    Rule(
        code="resolve.refund_pending",
        severity=Severity.BLOCK,
        title="A refund is still pending",
        source="SOP-CX-004",
        way_out="Finish the refund first, or leave the conversation open.",
    ),
    frozenset({Action.MARK_RESOLVED}),
)
def refund_pending(case: Case) -> Finding | None:
    """Never resolve while money is still on its way."""
    order = case.conversation.order
    if order is None or not order.refund_pending:
        return None
    return Finding(sentence=f"The refund for {order.number} is not finished.")


@_guardrail(
    Rule(
        code="resolve.return_in_progress",
        severity=Severity.BLOCK,
        title="A return is in progress",
        source="SOP-CX-004",
        way_out="Wait for the return, or leave the conversation open.",
    ),
    frozenset({Action.MARK_RESOLVED}),
)
def return_in_progress(case: Case) -> Finding | None:
    """Never resolve while goods are still on their way back."""
    order = case.conversation.order
    if order is None or not order.return_in_progress:
        return None
    return Finding(sentence=f"The return for {order.number} is still under way.")


@_guardrail(
    Rule(
        code="resolve.follow_up_unowned",
        severity=Severity.BLOCK,
        title="A follow-up was promised and nobody owns it",
        source="SOP-CX-004, reconciled with the modal job aid (a plan has an owner and a due time)",
        threshold="suggestions.promise_words",
        way_out="Record the follow-up with an owner and a due time, then resolve.",
    ),
    frozenset({Action.MARK_RESOLVED}),
)
def follow_up_unowned(case: Case) -> Finding | None:
    """A promise in a reply is kept by a person with a date, or it is not kept."""
    if case.facts.follow_ups or case.request.follow_up:
        return None
    for message in reversed(case.conversation.public_messages()):
        if message.author is not Author.AGENT:
            continue
        hits = replies.high_risk(message.text, case.policy.suggestions.promise_words)
        if hits:
            return Finding(
                sentence=f"The customer was told “{hits[0]}”; no owner and no due time are recorded."
            )
    return None


@_guardrail(
    Rule(
        code="sla.breach_age",
        severity=Severity.WARN,
        title="Breached for longer than two hours",
        source="Modal job aid; SOP-CX-001",
        threshold="triage.breach_age_minutes",
        way_out="Answer now; escalate if the promise needs another team.",
    ),
    _ALL,
)
def breach_age(case: Case) -> Finding | None:
    """The clock in force says the customer has waited strictly longer past the breach than the policy allows."""
    standing = case.sla.in_force
    limit = case.policy.triage.breach_age_minutes
    if not standing.breached or standing.breach_age_s <= limit * 60:
        return None
    return Finding(
        sentence=f"Breached {_minutes(standing.breach_age_s)} ago ({_clock(standing.clock)}).",
        threshold=f"{limit} min",
    )


@_guardrail(
    Rule(
        code="follow_up.no_acknowledgement",
        severity=Severity.WARN,
        title="The customer has not come back after the reply",
        source="Modal job aid: no acknowledgement within 24 hours",
        threshold="guardrails.no_ack_hours",
        way_out="Follow up and say so in the internal note.",
    ),
    _ALL,
)
def no_acknowledgement(case: Case) -> Finding | None:
    """A reply was approved, more than the policy's hours have passed, and the customer said nothing since."""
    sent = case.facts.last_decision(Action.APPROVE_SEND)
    if sent is None or case.now - sent.at <= timedelta(hours=case.policy.guardrails.no_ack_hours):
        return None
    last = case.conversation.last_from(Author.CUSTOMER)
    if last is not None and last.at > sent.at:
        return None
    hours = int((case.now - sent.at).total_seconds() // 3600)
    return Finding(
        sentence=f"No answer from {_customer(case)} for {hours} h after decision {sent.number}.",
        threshold=f"{case.policy.guardrails.no_ack_hours} h",
    )


@_guardrail(
    Rule(
        code="customer.repeat_breach",
        severity=Severity.WARN,
        title="The same customer was kept waiting before",
        source="Modal job aid: repeated breaches in 7 days",
        threshold="guardrails.repeat_breach_days",
        way_out="Flag to the support lead for a root-cause review.",
    ),
    _ALL,
)
def repeat_breach(case: Case) -> Finding | None:
    """Breaches of this customer's conversations inside the window, this one included, reach the count."""
    limits = case.policy.guardrails
    since = case.now - timedelta(days=limits.repeat_breach_days)
    count = sum(1 for at in case.facts.other_breaches if since <= at <= case.now)
    count += 1 if case.sla.in_force.breached else 0
    if count < limits.repeat_breach_count:
        return None
    return Finding(
        sentence=f"{count} breaches for {_customer(case)} in {limits.repeat_breach_days} days.",
        threshold=f"{limits.repeat_breach_count} in {limits.repeat_breach_days} d",
    )


@_guardrail(
    Rule(
        code="conversation.rapid_reopen",
        severity=Severity.WARN,
        title="Reopened shortly after it was resolved",
        source="SOP-CX-004: rapid reopen within 30 minutes",
        threshold="guardrails.rapid_reopen_minutes",
        way_out="Read the whole thread before answering; consider the lead.",
    ),
    _ALL,
)
def rapid_reopen(case: Case) -> Finding | None:
    """The conversation came back within the window after it had been resolved."""
    window = timedelta(minutes=case.policy.guardrails.rapid_reopen_minutes)
    changes = sorted(case.conversation.status_changes, key=lambda c: c.at)
    for before, after in pairwise(changes):
        if before.status is Status.RESOLVED and after.status is not Status.RESOLVED:
            gap = after.at - before.at
            if gap <= window:
                return Finding(
                    sentence=f"Reopened {_minutes(int(gap.total_seconds()))} after it was resolved.",
                    threshold=f"{case.policy.guardrails.rapid_reopen_minutes} min",
                )
    return None


def _customer(case: Case) -> str:
    return case.conversation.customer or "the customer (no name known)"


def _clock(name: str) -> str:
    return "since " + name.replace("_", " ")


def preview(facts: Facts, actor_request: Request, policy: Policy, now: datetime) -> tuple[Verdict, ...]:
    """What approving the suggestion as it is would meet: the banners of a modal just opened."""
    case = Case(
        request=actor_request,
        facts=facts,
        sla=slas.read(facts.conversation, policy.sla, now),
        policy=policy,
        now=now,
    )
    return judge(case)
