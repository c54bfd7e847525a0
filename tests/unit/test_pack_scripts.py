"""Each shipped script, played through the rules alone, comes to what its pack expects, and not without its rule."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cairnops.domain import actions, guardrails, sla, suggestions, switches
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Role, Status
from cairnops.domain.delivery import EffectKind
from cairnops.domain.policy import Policy, profile
from cairnops.domain.requests import Action, Facts, Flags, FollowUp, PastDecision, Request
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.model import Pack, Scenario, Step
from cairnops.scenarios.scoring import (
    Done,
    DoneDecision,
    DoneDelivery,
    DoneFollowUp,
    DoneRow,
    DoneSuggestion,
    DoneVerdict,
    Score,
    score,
)

PACKS = [load_pack(name) for name in ("cx-escalations", "practice-library")]
SCENARIOS = [pytest.param(pack, s, id=f"{pack.id}/{s.id}") for pack in PACKS for s in pack.scenarios]


def play(pack: Pack, scenario: Scenario, policy: Policy) -> Done:
    """The script against the rules alone: every effect is taken as delivered at once, unless it always fails."""
    start = pack.begins(scenario.id)
    base = scenario.flags_under(pack.flags)
    flags = Flags(modal_approvals=base.modal_approvals, ai_escalations=base.ai_escalations)
    reply_lost = any(f.call == "create_message" and f.attempts == "all" for f in scenario.world.faults)
    draft = scenario.world.suggestion
    ai = draft and suggestions.AiDraft(
        text=draft.text,
        template_id=draft.template,
        sources=draft.sources,
        index_generated_at=start + draft.index_generated if draft.index_generated is not None else None,
    )
    facts = Facts(
        conversation=scenario.conversation(start),
        version=1,
        flags=flags,
        other_breaches=tuple(start - timedelta(days=b.days_ago) for b in scenario.world.history.breaches),
        session_started_at=pack.starts_at,
    )
    done = Done(operator="operator@example.com")
    seen: int | None = None
    for number, step in enumerate(scenario.script):
        now = start + step.at
        if step.customer is not None:
            facts = replace(
                facts,
                version=facts.version + 1,
                conversation=_said(facts.conversation, Author.CUSTOMER, step.customer.text, now),
            )
        elif step.log is not None:
            row = DoneRow(outcome=step.log.outcome, note=step.log.note)
            done = replace(
                done, steps=done.steps + 1, worksheet=(*done.worksheet, row), evidence=frozenset({"qa_row"})
            )
        elif step.kind == "open":
            shown = suggestions.suggest(facts.conversation, policy, ai_enabled=flags.ai_escalations, draft=ai)
            facts, seen = replace(facts, suggestion=shown), facts.version
            done = _opened(done, facts, policy, now)
        elif step.kind not in ("say", "wait"):
            request = _request(scenario, step, seen, now, number)
            outcome = actions.decide(request, facts, policy, now)
            done = _judged(done, request, outcome, now)
            if isinstance(outcome, actions.Apply):
                facts, seen = _after(facts, outcome, now, reply_lost=reply_lost), None
                done = replace(done, deliveries=done.deliveries + _delivered(outcome))
    public = facts.conversation.public_messages()
    return replace(
        done,
        customer_visible=tuple(m.text for m in public if m.author is Author.AGENT),
        messages_read=len(public),
        labels=facts.conversation.tags,
        status=facts.conversation.status.value,
        elapsed_minutes=scenario.script[-1].at.total_seconds() / 60,
        evidence=done.evidence | ({"decision_row", "qa_row"} if done.decisions else set()),
    )


def _delivered(outcome: actions.Apply) -> tuple[DoneDelivery, ...]:
    return tuple(DoneDelivery(effect=e.kind, status="SUCCESS", attempt=1) for e in outcome.effects)


def _said(conversation: Conversation, author: Author, text: str, at: datetime) -> Conversation:
    message = Message(id=f"n{len(conversation.messages)}", author=author, text=text, at=at)
    return replace(conversation, messages=(*conversation.messages, message))


def _opened(done: Done, facts: Facts, policy: Policy, now: datetime) -> Done:
    request = Request(
        action=Action.APPROVE_SEND, conversation=facts.conversation.id, actor=Actor(email="p"), key="preview"
    )
    verdicts = guardrails.preview(facts, request, policy, now)
    done = replace(
        done,
        steps=done.steps + 1,
        verdicts=done.verdicts + tuple(DoneVerdict(code=v.code, severity=v.severity) for v in verdicts),
    )
    shown = facts.suggestion
    if shown and shown.source is suggestions.Source.AI:
        record = DoneDecision(action="suggestion.shown", scope="build", template=shown.template_id)
        done = replace(done, decisions=(*done.decisions, record))
    if done.suggestion is not None:
        return done
    standing = sla.read(facts.conversation, policy.sla, now)
    breached = {s.clock: s.breached for s in standing.standings}
    priority = sla.triage(facts.conversation, standing, policy, now)
    return replace(
        done,
        suggestion=DoneSuggestion(template=shown.template_id, source=shown.source, text=shown.text)
        if shown
        else DoneSuggestion(),
        breached_created=breached["conversation_created"],
        breached_last_customer=breached["last_customer_message"],
        priority=priority.value if priority else "none",
    )


def _request(scenario: Scenario, step: Step, seen: int | None, now: datetime, number: int) -> Request:
    act = step.approve or step.resolve
    promise = step.follow_up or (act.follow_up if act else None)
    kinds = {
        "approve": Action.APPROVE_SEND,
        "escalate": Action.ESCALATE,
        "resolve": Action.MARK_RESOLVED,
        "cancel": Action.CANCEL,
        "note": Action.NOTE,
        "follow_up": Action.FOLLOW_UP,
    }
    note = step.note.text if step.note else (step.escalate or act).note if step.escalate or act else ""  # type: ignore[union-attr]
    return Request(
        action=kinds[step.kind],
        conversation=scenario.world.conversation.id,
        actor=Actor(email=f"{step.role.value}@example.com", role=Role(step.role)),
        key=str(number),
        seen_version=seen,
        text=step.approve.text if step.approve else None,
        note=note,
        reason=step.escalate.reason if step.escalate else "",
        target=step.escalate.target if step.escalate else None,
        follow_up=FollowUp(owner=promise.owner, due=now + (promise.due or timedelta(0)), text=promise.text)
        if promise
        else None,
        override=act.override.reason if act and act.override else "",
    )


def _judged(done: Done, request: Request, outcome: actions.Outcome, now: datetime) -> Done:
    assert not isinstance(outcome, actions.Repeat)
    verdicts = tuple(DoneVerdict(code=v.code, severity=v.severity) for v in outcome.verdicts)
    done = replace(done, steps=done.steps + 1, verdicts=done.verdicts + verdicts)
    if isinstance(outcome, actions.Refuse):
        return replace(done, refusals=(*done.refusals, outcome.code))
    if outcome.follow_up:
        due = int((outcome.follow_up.due - now).total_seconds() // 60)
        follow_up = DoneFollowUp(
            owner=outcome.follow_up.owner, due_in_minutes=due, text=outcome.follow_up.text
        )
        done = replace(done, follow_ups=(*done.follow_ups, follow_up))
    made = outcome.decision
    if made is None:
        return replace(done, events=(*done.events, outcome.event))
    row = DoneDecision(
        action=made.action,
        template=made.suggestion.template_id if made.suggestion else "",
        edited=made.edited,
        fallback=made.fallback,
        rationale=made.rationale,
        text=made.final_text or "",
        note=made.note,
    )
    return replace(done, decisions=(*done.decisions, row))


def _after(facts: Facts, outcome: actions.Apply, now: datetime, *, reply_lost: bool) -> Facts:
    conversation = facts.conversation
    for effect in outcome.effects:
        if effect.kind is EffectKind.REPLY and not reply_lost:
            conversation = _said(conversation, Author.AGENT, effect.payload["text"], now)
        elif effect.kind is EffectKind.LABELS:
            conversation = replace(conversation, tags=(*conversation.tags, effect.payload["add"]))
        elif effect.kind is EffectKind.STATUS:
            conversation = replace(conversation, status=Status(effect.payload["status"]))
    made = outcome.decision
    past = PastDecision(uid=made.uid, number=1, action=made.action, actor="o", at=now) if made else None
    return replace(
        facts,
        conversation=conversation,
        version=facts.version + 1,
        decisions=(*facts.decisions, past) if past else facts.decisions,
        follow_ups=(*facts.follow_ups, outcome.follow_up) if outcome.follow_up else facts.follow_ups,
    )


def wrong(result: Score) -> list[str]:
    """What is not as expected; deliveries are left to the run over the wire."""
    return [
        f"{c.code}: expected {c.expected}, found {c.found}"
        for c in result.checks
        if c.gating and not c.ok and not c.code.startswith("delivery.")
    ]


@pytest.mark.parametrize(("pack", "scenario"), SCENARIOS)
def test_the_script_comes_to_what_is_expected(pack: Pack, scenario: Scenario) -> None:
    result = score(scenario, play(pack, scenario, profile(pack.policy)))
    assert wrong(result) == []
    assert result.points == 100, result.parts


def off(code: str, policy: Policy) -> Policy:
    """The policy without one rule."""
    if code != "override.not_allowed":
        return switches.without(policy, code)
    everybody = tuple(replace(o, role=Role.OPERATOR) for o in policy.guardrails.overridable)
    return replace(policy, guardrails=replace(policy.guardrails, overridable=everybody))


PROOFS = [
    pytest.param(pack, scenario, code, id=f"{scenario.id}/{code}")
    for pack in PACKS
    for scenario in pack.scenarios
    for code in scenario.proves
    if not code.startswith("delivery.")
]


@pytest.mark.parametrize(("pack", "scenario", "code"), PROOFS)
def test_it_turns_red_without_the_rule_it_proves(pack: Pack, scenario: Scenario, code: str) -> None:
    done = play(pack, scenario, off(code, profile(pack.policy)))
    assert wrong(score(scenario, done))
