"""Which past decisions another policy would have judged differently, by rule, and which nobody can say.

A decision is judged again from what was stored: its record, and its conversation as far as it had come.
Where the policy it was made under is known, it is judged by that one too; a rule that does not come out as
recorded rests on facts nobody kept, and that decision is not counted for that rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cairnops import codec
from cairnops.analytics import inputs
from cairnops.analytics.inputs import Case, Material
from cairnops.domain import actions, sla
from cairnops.domain import policy as policies
from cairnops.domain.actions import Apply, Refuse
from cairnops.domain.conversations import Author, Conversation, Message, Role, Status
from cairnops.domain.decisions import Decision
from cairnops.domain.guardrails import GUARDRAILS
from cairnops.domain.policy import Policy
from cairnops.domain.requests import DECISION_NAMES, Action, Facts, FollowUp, PastDecision, Request
from cairnops.domain.rules import Verdict
from cairnops.errors import CLEAN, FINDINGS, NOT_ENOUGH

#: How many decisions are shown for each rule; all are counted.
EXAMPLES = 3

#: Readings that are judged beside the guardrails.
BREACH, TRIAGE = "sla.breach", "sla.triage"

#: What a rule needs beyond the record, in the order it is looked for.
_NEEDS_CONVERSATION = "the conversation is in no export"
_NEEDS_WORDS = (
    "the conversation came without what was written (decisions export --shape conversations --texts)"
)
_NEEDS_URGENCY = "the policy it was made under is unknown, and with it whether it was urgent"
_NEEDS_SESSION = "nobody kept when its session began"
_NOT_AS_RECORDED = "judged again under its own policy it does not come out as recorded"

#: Rules that can be judged by the decision's record alone.
_BY_RECORD = frozenset(
    {
        BREACH, "sla.breach_age", "suggestion.missing", "suggestion.placeholder_left",
        "suggestion.ai_unavailable", "suggestion.index_stale", "escalation.reason_unknown",
        "escalation.note_required", "reply.empty", "actor.role_not_allowed", "desk.read_only",
        "follow_up.incomplete",
    }
)  # fmt: skip

#: Rules that read what was written.
_BY_WORDS = frozenset(
    {
        "risk.high_risk_language", "risk.supervisor_requested", "suggestion.wrong_name",
        "suggestion.wrong_category", "resolve.follow_up_unowned",
    }
)  # fmt: skip

_BY_CLOCK = frozenset({BREACH, TRIAGE, "sla.breach_age", "customer.repeat_breach"})
#: Rules that hang on every value of a section of the policy, not only on the threshold they name.
_BY_SECTION = {
    "suggestion.wrong_category": "suggestions",
    "refund.above_tier": "refund",
    "escalation.already_escalated": "labels",
}
#: Values of the policy a rule hangs on beside the threshold it names.
_ALSO = {
    "suggestion.index_stale": "guardrails.index_stale_hours",
    "customer.repeat_breach": "guardrails.repeat_breach_count",
}
_GUARDED = frozenset(g.rule.code for g in GUARDRAILS)
_WATCHED: dict[str, frozenset[Action]] = {
    **{a.rule.code: a.actions for a in actions.ADMISSIONS},
    **{g.rule.code: g.actions for g in GUARDRAILS},
}
_ACTIONS = {name: action for action, name in DECISION_NAMES.items()}


#: A judgement: one word, and the rule's sentence.
_Judgement = tuple[str, str]
_SILENT: _Judgement = ("silent", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One decision another policy would have judged differently by one rule."""

    decision_id: int
    uid: str
    conversation: str
    action: str
    actor: str
    created_at: datetime
    #: How it was judged, and how it would be: `silent`, `warn`, `block`, `breached`, `P1`, `refused`, …
    before: str
    after: str
    #: What the rule says about it; empty when it would say nothing.
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What changes by one rule."""

    rule: str
    decisions: int
    #: How many go from which judgement to which (`silent → block`).
    kinds: dict[str, int]
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unjudged:
    """Decisions nobody can judge again by one rule, and why."""

    rule: str
    reason: str
    decisions: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Backtest:
    """What another policy would have made of past decisions."""

    policy: Policy
    decisions: int
    #: Decisions judged differently by any rule, each counted once.
    differing: int
    #: Of those, the ones the policy would not have let through.
    refused: int
    differences: tuple[Difference, ...]
    unjudged: tuple[Unjudged, ...]
    #: Rules on which the policies differ and by which not one decision could be judged again.
    undecidable: tuple[str, ...]
    #: Decisions by the policy they were made under: profile and hash, how many, and whether it is known.
    made_under: tuple[tuple[str, str, int, bool], ...]

    @property
    def exit_code(self) -> int:
        """1 when any decision differs; 3 when there is none to judge, or the rules that differ cannot be judged."""
        if self.differing:
            return FINDINGS
        return CLEAN if self.decisions and not self.undecidable else NOT_ENOUGH

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready figures in a stable order."""
        return {
            "measure": "backtest",
            "policy": {"profile": self.policy.profile, "hash": codec.policy_hash(self.policy)},
            "decisions": self.decisions,
            "differing": self.differing,
            "wouldBeRefused": self.refused,
            "differences": [codec.record(d) for d in self.differences],
            "undecidable": list(self.undecidable),
            "unjudged": [codec.record(u) for u in self.unjudged],
            "madeUnder": [
                {"profile": profile, "hash": digest, "decisions": count, "known": known}
                for profile, digest, count, known in self.made_under
            ],
            "exitCode": self.exit_code,
        }


def backtest(material: Material, policy: Policy, *, known: Iterable[Policy] = ()) -> Backtest:
    """Judge every decision of people again under `policy`.

    `known` are policies decisions may have been made under, beside the three profiles as they start; each is
    recognised by its hash. A decision of an unknown policy is compared with what was recorded, without the
    check that its facts are all there.
    """
    by_hash = {codec.policy_hash(p): p for p in (*map(policies.profile, policies.PROFILES), *known)}
    cases = {c.conversation.ref: c for c in material.cases}
    decided = material.decided
    past: dict[str, list[Decision]] = {}
    for d in decided:
        past.setdefault(d.conversation, []).append(d)
    differing: dict[str, list[Example]] = {}
    unjudged: dict[tuple[str, str], int] = {}
    judged: set[str] = set()
    touched: dict[str, frozenset[str]] = {}
    changed: set[str] = set()
    refused: set[str] = set()
    for d in decided:
        own = by_hash.get(d.policy_hash)
        again = _Again(d, cases.get(d.conversation), past[d.conversation], own)
        stored, after = _recorded(d), again.judge(policy)
        before = again.judge(own) if own else None
        if d.policy_hash not in touched:
            touched[d.policy_hash] = touched_by(own, policy)
        # A rule the policies differ on is looked at even where it is silent: without the facts, silence
        # says nothing. The others cannot differ.
        watching = {r for r in touched[d.policy_hash] if again.request.action in _WATCHED.get(r, ())}
        for rule in sorted(touched[d.policy_hash] & {*stored, *after, *(before or {}), *watching}):
            if _unasked(rule, after):
                continue
            was, would = stored.get(rule, _SILENT), after.get(rule, _SILENT)
            why = again.missing(rule, policy)
            if not why and before is not None and before.get(rule, _SILENT)[0] != was[0]:
                why = _NOT_AS_RECORDED
            if why:
                unjudged[rule, why] = unjudged.get((rule, why), 0) + 1
                continue
            judged.add(rule)
            if was[0] != would[0]:
                differing.setdefault(rule, []).append(_example(d, was[0], would))
                changed.add(d.uid)
                if would[0] in ("block", "refused"):
                    refused.add(d.uid)
    return Backtest(
        policy=policy,
        decisions=len(decided),
        differing=len(changed),
        refused=len(refused),
        differences=tuple(_differences(differing)),
        unjudged=tuple(
            Unjudged(rule=rule, reason=why, decisions=count)
            for (rule, why), count in sorted(unjudged.items())
        ),
        undecidable=tuple(
            sorted({rule for rule, _ in unjudged} & frozenset().union(*touched.values()) - judged)
        ),
        made_under=_made_under(decided, by_hash),
    )


def touched_by(own: Policy | None, policy: Policy) -> frozenset[str]:
    """The rules whose thresholds differ between two policies; every rule when one of them is unknown."""
    rules = {r.code: r for r in (*(g.rule for g in GUARDRAILS), *(a.rule for a in actions.ADMISSIONS))}
    if own is None:
        return frozenset({*rules, BREACH, TRIAGE})
    paths = {path for path, _, _ in policies.diff(own, policy)}
    sections = {path.partition(".")[0] for path in paths}
    out = {code for code, rule in rules.items() if rule.threshold in paths}
    out |= {code for code, path in _ALSO.items() if path in paths}
    out |= {code for code, section in _BY_SECTION.items() if section in sections}
    if "sla" in sections:
        out |= _BY_CLOCK
    if "labels.escalated" in paths or "triage" in sections:
        out.add(TRIAGE)
    before, after = own.guardrails, policy.guardrails
    off = {*before.disabled} ^ {*after.disabled}
    out |= off
    if "suggestion.missing" in off:
        out.add("reply.empty")
    out |= {o.code for o in {*before.overridable} ^ {*after.overridable}}
    return frozenset(out)


def _unasked(rule: str, judged: Mapping[str, _Judgement]) -> bool:
    """A request refused before the guardrails never met them."""
    stopped = any(word == "refused" for word, _ in judged.values())
    return stopped and rule in _GUARDED and rule not in judged


def _recorded(d: Decision) -> dict[str, _Judgement]:
    out = {v.code: _said(v) for v in d.verdicts}
    out[TRIAGE] = (d.priority or "none", "")
    if d.sla:
        out[BREACH] = ("breached" if d.sla.in_force.breached else "within", "")
    return out


def _said(verdict: Verdict) -> _Judgement:
    if verdict.overridden:
        return "overridden", verdict.sentence
    return verdict.severity.value, verdict.sentence


class _Again:
    """One decision, ready to be judged under any policy."""

    def __init__(self, d: Decision, case: Case | None, same: Sequence[Decision], own: Policy | None):
        self._decision, self._case, self._own = d, case, own
        self._conversation = _conversation(d, case, same, own)
        self.request = Request(
            action=_ACTIONS.get(d.action, Action.NOTE),
            conversation=d.conversation,
            actor=d.actor,
            key=d.request_key,
            session=d.session,
            text=d.final_text,
            note=d.note,
            reason=d.reason,
            target=Role(d.target) if d.target in {r.value for r in Role} else None,
            follow_up=d.follow_up,
            override=d.override,
        )
        self._facts = Facts(
            conversation=self._conversation,
            version=0,
            flags=d.flags,
            suggestion=d.suggestion,
            suggestion_uid=d.linked,
            decisions=tuple(
                PastDecision(
                    uid=p.uid, number=p.decision_id, action=p.action, actor=p.actor.email, at=p.created_at
                )
                for p in same
                if (p.created_at, p.decision_id) < (d.created_at, d.decision_id)
            ),
            follow_ups=_follow_ups(d, case, same),
            other_breaches=case.other_breaches if case else (),
            session_started_at=case.sessions.get(d.session) if case else None,
        )

    def judge(self, policy: Policy) -> dict[str, _Judgement]:
        """Every rule that speaks, by code; a refusal before the guardrails stands alone among them."""
        outcome = actions.decide(self.request, self._facts, policy, self._decision.created_at)
        if isinstance(outcome, Apply) and outcome.decision:
            return _recorded(outcome.decision)
        assert isinstance(outcome, Refuse)
        said = {v.code: _said(v) for v in outcome.verdicts}
        if outcome.code not in said and outcome.code != "override.not_allowed":
            said[outcome.code] = ("refused", outcome.sentence)
        # What stopped it says nothing of the clocks; a decision let through would have had these.
        standing = sla.read(self._conversation, policy.sla, self._decision.created_at)
        triage = sla.triage(self._conversation, standing, policy, self._decision.created_at)
        return said | {
            BREACH: ("breached" if standing.in_force.breached else "within", ""),
            TRIAGE: (triage.value if triage else "none", ""),
        }

    def missing(self, rule: str, policy: Policy) -> str:
        """Why this decision cannot be judged again by that rule; empty when it can."""
        d, case = self._decision, self._case
        if case is None and rule not in _BY_RECORD:
            return _NEEDS_CONVERSATION
        if rule in _BY_WORDS and not (case and case.texts):
            return _NEEDS_WORDS
        if (
            rule in _BY_CLOCK
            and case is None
            and not self._own
            and policy.sla.priority_minutes != policy.sla.minutes
        ):
            return _NEEDS_URGENCY
        if rule == "suggestion.index_stale" and d.session and self._facts.session_started_at is None:
            return _NEEDS_SESSION
        return ""


def _conversation(
    d: Decision, case: Case | None, same: Sequence[Decision], own: Policy | None
) -> Conversation:
    """The conversation as it was when it was decided on; without one, as its clocks tell of it."""
    if case is None:
        return _from_clocks(d, own)
    c = _before(case.conversation, d.created_at)
    escalations = [x.created_at for x in same if x.action == DECISION_NAMES[Action.ESCALATE]]
    # P3 and the verdict are given to what carried the label by then.
    carried = d.priority == "P3" or any(v.code == "escalation.already_escalated" for v in d.verdicts)
    if escalations and min(escalations) >= d.created_at and not carried:
        # The label was put on by this decision or a later one; tags have no history of their own.
        label = (own or policies.profile("dry-run")).labels.escalation.casefold()
        c = replace(c, tags=tuple(t for t in c.tags if t.casefold() != label))
    return c


def _before(conversation: Conversation, at: datetime) -> Conversation:
    """The conversation just before something was decided at `at`: what came of it may carry the same moment."""
    c = inputs.as_of(conversation, at)
    changes = tuple(s for s in c.status_changes if s.at < at or s.status is not Status.RESOLVED)
    status = c.status
    if len(changes) < len(c.status_changes):
        status = max(changes, key=lambda s: s.at).status if changes else Status.OPEN
    elif status is Status.RESOLVED and not changes:
        # Nothing is decided about a resolved conversation, so it was resolved since.
        status = Status.OPEN
    messages = tuple(m for m in c.messages if m.at < at or m.author is Author.CUSTOMER)
    return replace(c, messages=messages, status_changes=changes, status=status)


def _from_clocks(d: Decision, own: Policy | None) -> Conversation:
    standings = {s.clock: s for s in d.sla.standings} if d.sla else {}
    created = standings.get("conversation_created")
    messages: list[tuple[Author, datetime]] = []
    for standing in standings.values():
        if standing.clock != "conversation_created" and standing.started_at:
            messages.append((Author.CUSTOMER, standing.started_at))
        if standing.stopped_at:
            messages.append((Author.AGENT, standing.stopped_at))
    urgent = bool(
        own and d.sla and own.sla.priority_minutes != own.sla.minutes
        and d.sla.target_minutes == own.sla.priority_minutes
    )  # fmt: skip
    return Conversation(
        id=d.conversation.removeprefix("chatwoot:"),
        customer="",
        customer_key="",
        status=Status.OPEN,
        created_at=created.started_at if created and created.started_at else d.created_at,
        messages=tuple(
            Message(id=f"m{place}", author=author, text="", at=at)
            for place, (author, at) in enumerate(sorted(set(messages), key=lambda m: (m[1], m[0])), 1)
        ),
        priority="urgent" if urgent else "",
    )


def _follow_ups(d: Decision, case: Case | None, same: Sequence[Decision]) -> tuple[FollowUp, ...]:
    if case is not None:
        return tuple(f for at, f in case.follow_ups if at < d.created_at)
    return tuple(p.follow_up for p in same if p.follow_up and p.created_at < d.created_at)


def _example(d: Decision, before: str, would: _Judgement) -> Example:
    return Example(
        decision_id=d.decision_id,
        uid=d.uid,
        conversation=d.conversation,
        action=d.action,
        actor=d.actor.email,
        created_at=d.created_at,
        before=before,
        after=would[0],
        sentence=would[1],
    )


def _differences(found: Mapping[str, list[Example]]) -> Iterable[Difference]:
    for rule, examples in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        kinds: dict[str, int] = {}
        for e in examples:
            kind = f"{e.before} → {e.after}"
            kinds[kind] = kinds.get(kind, 0) + 1
        # One of each kind before a second of any: three alike would hide the others.
        shown: list[Example] = []
        for kind in sorted(kinds, key=lambda k: (-kinds[k], k)):
            shown += [e for e in examples if f"{e.before} → {e.after}" == kind][:1]
        shown += [e for e in examples if e not in shown]
        yield Difference(
            rule=rule,
            decisions=len(examples),
            kinds=dict(sorted(kinds.items())),
            examples=tuple(shown[:EXAMPLES]),
        )


def _made_under(
    decided: Sequence[Decision], by_hash: Mapping[str, Policy]
) -> tuple[tuple[str, str, int, bool], ...]:
    counts: dict[tuple[str, str], int] = {}
    for d in decided:
        key = d.policy_profile, d.policy_hash
        counts[key] = counts.get(key, 0) + 1
    return tuple(
        (profile, digest, count, digest in by_hash) for (profile, digest), count in sorted(counts.items())
    )
