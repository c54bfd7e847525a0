"""What should make an operator stop and think, rule by rule; each finding is a value, nothing is done."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from cairnops.domain import sla as slas
from cairnops.domain import suggestions as replies
from cairnops.domain.conversations import Author, Conversation, Status
from cairnops.domain.policy import ClockStart, Policy
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one guardrail has to say about one case; severity only where it differs from the rule's own."""

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


def _minutes(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def named(role: str) -> str:
    """A role with its article: `a manager`, `an admin`."""
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"“{word}”" for word in words)


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
        way_out="Escalate, and quote the customer's words in the note.",
    )
)
def high_risk_language(case: Case) -> Finding | None:
    """The customer's words call for a person above the operator, whatever was suggested."""
    hits = replies.screen(case.conversation, case.policy.suggestions).high_risk
    if not hits:
        return None
    return Finding(sentence=f"The customer wrote {_quoted(hits)}; an operator does not answer that.")


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
    return Finding(sentence=f"The customer asks for somebody in charge: {_quoted(hits)}.")


@_guardrail(
    Rule(
        code="refund.above_tier",
        severity=Severity.BLOCK,
        title="Refund above what this role may promise",
        source="Modal job aid (> 500); tiers of the job-aid library",
        threshold="refund.tiers",
        way_out="Escalate, or have somebody of the role named approve it.",
    )
)
def refund_above_tier(case: Case) -> Finding | None:
    """The reply offers money back and the order's total is strictly above what the actor's role may promise.

    A tier may only warn: the operator goes ahead and tells somebody of the role named. A total nobody
    knows warns everybody whom some tier would stop.
    """
    suggestion, order, refund = case.facts.suggestion, case.conversation.order, case.policy.refund
    offers = suggestion is not None and suggestion.template_id == "refund_offer"
    if not offers and not replies.high_risk(case.text, refund.words):
        return None
    beyond = [t for t in refund.tiers if case.request.actor.role.rank < t.role.rank]
    if order is None or order.total_minor is None:
        if not beyond:
            return None
        return Finding(
            sentence="The reply offers money back and nobody knows how much the order came to.",
            severity=Severity.WARN,
        )
    needed = [t for t in beyond if order.total_minor > t.above * 100]
    if not needed:
        return None
    tier = max(needed, key=lambda t: (t.severity is Severity.BLOCK, t.above))
    total, limit = money(order.total_minor, order.currency), money(tier.above * 100, order.currency)
    role = named(tier.role.value)
    then = f"only {role} may offer it back" if tier.severity is Severity.BLOCK else f"tell {role}"
    return Finding(
        sentence=f"The order came to {total}; above {limit} {then}.",
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


@_guardrail(
    Rule(
        code="suggestion.wrong_name",
        severity=Severity.BLOCK,
        title="The reply addresses somebody else",
        source="Modal job aid: check for the correct customer name",
        way_out="Correct the name.",
    )
)
def wrong_name(case: Case) -> Finding | None:
    """The reply greets or addresses a name that is not the customer's."""
    return _problem(case, replies.ProblemKind.WRONG_NAME)


@_guardrail(
    Rule(
        code="suggestion.placeholder_left",
        severity=Severity.BLOCK,
        title="A placeholder is still in the reply",
        source="Modal job aid: suggestion mismatched",
        way_out="Fill the placeholder in.",
    )
)
def placeholder_left(case: Case) -> Finding | None:
    """The reply still holds something that was meant to be filled in: `{{…}}`, `[name?]`, `<…>`, TBD."""
    return _problem(case, replies.ProblemKind.PLACEHOLDER_LEFT)


@_guardrail(
    Rule(
        code="suggestion.wrong_category",
        severity=Severity.WARN,
        title="The suggestion answers another kind of request",
        source="Modal job aid: suggestion mismatched",
        threshold="suggestions.matcher",
        way_out="Edit the reply, write it by hand, or escalate.",
    )
)
def wrong_category(case: Case) -> Finding | None:
    """The suggestion belongs to another template than the customer's words call for."""
    return _problem(case, replies.ProblemKind.WRONG_CATEGORY)


@_guardrail(
    Rule(
        code="suggestion.name_missing",
        severity=Severity.WARN,
        title="The reply does not name the customer",
        source="Edge checklist: name fallback; operators on impersonal replies",
        way_out="Address the customer by name, or ask for it when nobody knows it.",
    )
)
def name_missing(case: Case) -> Finding | None:
    """The reply does not name the customer, or nobody knows what to call them."""
    return _problem(case, replies.ProblemKind.NAME_MISSING)


def _problem(case: Case, kind: replies.ProblemKind) -> Finding | None:
    if not case.text.strip():
        return None
    found = replies.problems(case.text, case.facts.suggestion, case.conversation, case.policy.suggestions)
    details = "; ".join(p.detail for p in found if p.kind is kind)
    return Finding(sentence=f"{details[0].upper()}{details[1:]}.") if details else None


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
    if shown is None:
        return Finding(sentence="AI unavailable, and no template fits either.")
    if shown.source is Source.AI:
        return Finding(sentence="AI unavailable: it was switched off after this reply was suggested.")
    return Finding(sentence=f"AI unavailable: the reply shown is the {shown.template_id} template.")


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
    """The index was built too long before the session began (outside a session: before now): warn, then block.

    The job aid rejects any index older than the session, which every index is; the bands are those of the
    index check, strictly above `index_fresh_hours` and strictly above `index_stale_hours`.
    """
    suggestion, limits = case.facts.suggestion, case.policy.guardrails
    if suggestion is None or suggestion.source is not Source.AI:
        return None
    if suggestion.index_generated_at is None:
        return Finding(sentence="Nobody says when the index behind this suggestion was built.")
    begun = case.facts.session_started_at
    age = (begun or case.now) - suggestion.index_generated_at
    passed = [
        (hours, severity)
        for hours, severity in (
            (limits.index_stale_hours, Severity.BLOCK),
            (limits.index_fresh_hours, Severity.WARN),
        )
        if age > timedelta(hours=hours)
    ]
    if not passed:
        return None
    hours, severity = passed[0]
    when = "before the session began" if begun else "ago"
    return Finding(
        sentence=f"The index behind this suggestion was built {_minutes(age.total_seconds())} {when}.",
        severity=severity,
        threshold=f"{hours} h",
    )


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
    if slas.escalated(case.conversation, case.policy):
        return Finding(sentence="It is tagged as escalated: somebody above has this case.")
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
                sentence=f"The customer was told “{hits[0]}”, and no follow-up with owner and due time is recorded."
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
    """Under the clock in force the customer has waited, past the breach, strictly longer than the policy allows.

    A breach that was answered, however late, has stopped ageing.
    """
    standing = case.sla.in_force
    limit = case.policy.triage.breach_age_minutes
    if not standing.breached or standing.stopped_at or standing.breach_age_s <= limit * 60:
        return None
    return Finding(
        sentence=f"Breached for {_minutes(standing.breach_age_s)}, counted from {_SINCE[standing.clock]}.",
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
    quiet = _minutes((case.now - sent.at).total_seconds())
    return Finding(
        sentence=f"No word from {_customer(case)} in the {quiet} since decision {sent.number}.",
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
    """Breaches of this customer's conversations inside the window, this one included, reach the count.

    The window is closed: a breach exactly so many days ago counts. This one counts until it was answered,
    and from then on for as long as the window reaches back to the answer.
    """
    limits = case.policy.guardrails
    since = case.now - timedelta(days=limits.repeat_breach_days)
    count = sum(1 for at in case.facts.other_breaches if since <= at <= case.now)
    this = case.sla.in_force
    count += this.breached and (this.stopped_at or case.now) >= since
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
    """The conversation's last reopening came within the window (exactly so many minutes included)."""
    limit = case.policy.guardrails.rapid_reopen_minutes
    changes = sorted(case.conversation.status_changes, key=lambda c: c.at)
    gaps = [
        after.at - before.at
        for before, after in pairwise(changes)
        if before.status is Status.RESOLVED and after.status is not Status.RESOLVED
    ]
    if not gaps or gaps[-1] > timedelta(minutes=limit):
        return None
    return Finding(
        sentence=f"Reopened {_minutes(gaps[-1].total_seconds())} after it was resolved.",
        threshold=f"{limit} min",
    )


def _customer(case: Case) -> str:
    return case.conversation.customer or "the customer (no name known)"


_SINCE: dict[ClockStart, str] = {
    "conversation_created": "its creation",
    "last_customer_message": "the customer's last message",
    "first_unanswered_customer_message": "the first message nobody answered",
}


def preview(facts: Facts, request: Request, policy: Policy, now: datetime) -> tuple[Verdict, ...]:
    """What the request would meet at `now` (UTC); for a modal just opened, approving as it is."""
    case = Case(
        request=request,
        facts=facts,
        sla=slas.read(facts.conversation, policy.sla, now),
        policy=policy,
        now=now,
    )
    return judge(case)
