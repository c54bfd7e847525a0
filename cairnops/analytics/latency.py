"""How long escalated work takes from stage to stage, and what that saves against doing it by hand."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from cairnops import codec
from cairnops.analytics import inputs
from cairnops.analytics.inputs import Act, Case, Delivery, Material
from cairnops.analytics.javascript import plain
from cairnops.analytics.percentiles import to_fixed
from cairnops.analytics.spans import Distribution, Span, distribute
from cairnops.domain import sla as slas
from cairnops.domain.conversations import Author, Conversation, Role, Status
from cairnops.domain.decisions import Decision
from cairnops.domain.policy import Policy
from cairnops.domain.requests import DECISION_NAMES, Action
from cairnops.errors import CLEAN, FINDINGS, NOT_ENOUGH

#: The stages in the order a case goes through them, and what each counts from and to.
STAGES = {
    "breachToDecision": "From the breach (clock in force) to the first decision after it, once a breach.",
    "decisionToDelivered": "From the decision to the delivery of the last of its effects.",
    "escalateToAcknowledged": "From the escalation to the first act of somebody else, of the role it went to or above.",
    "escalateToUpdated": "From the escalation to the next public message of the team, or to resolved.",
    "handling": "From opening a case to deciding it, by the same person: time in the product.",
    "pickup": "From opening an escalated case to the first thing done about it, by whoever took it over.",
}

#: The stages a manual baseline can be recorded for.
COMPARABLE = ("handling", "pickup")


class Measured(Protocol):
    """A measurement by hand, as `store.baselines.Baseline` has it."""

    @property
    def measure(self) -> str:
        """`handling` or `pickup`."""
        ...

    @property
    def seconds(self) -> int:
        """What it took by hand."""
        ...

    @property
    def source(self) -> str:
        """Where the figure comes from."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One span of one stage, with what it is about."""

    stage: str
    conversation: str
    #: The decision it ends or begins with; 0 where there is none yet.
    decision_id: int
    #: Whose it is.
    actor: str
    started_at: datetime
    #: None while it lasts.
    ended_at: datetime | None
    #: To the millisecond.
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovered:
    """Manual baseline against time in the product, for one stage; only ever made from a baseline."""

    measure: str
    baselines: int
    #: Every source a baseline was given with, each once.
    sources: tuple[str, ...]
    baseline_mean_s: float
    baseline_median_s: float
    cases: int
    product_mean_s: float
    product_median_s: float
    #: (Mean by hand − mean in the product) × cases, minutes; below 0 when the product took longer.
    minutes: float
    #: The same for one case, by the medians.
    minutes_per_case: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LatencyReport:
    """Distributions of every stage at one moment."""

    at: datetime
    policy: Policy
    stages: dict[str, Distribution]
    rows: tuple[Row, ...]
    #: What is in no distribution, each kind counted: nothing is left out without being named.
    aside: dict[str, int]
    recovered: tuple[Recovered, ...]
    reasons: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 when an escalation waits past its target, 3 when there is nothing to measure."""
        if not any(d.count for d in self.stages.values()):
            return NOT_ENOUGH
        return FINDINGS if self.reasons else CLEAN

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready. `minutesRecovered` is there only for what has a manual baseline."""
        out: dict[str, Any] = {
            "measure": "latency",
            "asOf": codec.stamp(self.at),
            "policy": {"profile": self.policy.profile, "hash": codec.policy_hash(self.policy)},
            "percentile": self.policy.measures.percentile,
            "stages": [
                {
                    "stage": name,
                    "meaning": STAGES[name],
                    **codec.record(d),
                    "denominator": d.decided,
                    "missedRate": d.missed_rate,
                }
                for name, d in self.stages.items()
            ],
            "aside": dict(self.aside),
            "verdict": {
                "status": {CLEAN: "ok", FINDINGS: "alert", NOT_ENOUGH: "insufficient-data"}[self.exit_code],
                "reasons": list(self.reasons),
                "exitCode": self.exit_code,
            },
            "rows": [codec.record(r) for r in self.rows],
        }
        if self.recovered:
            out["minutesRecovered"] = [codec.record(r) for r in self.recovered]
        return out


def measure(
    material: Material, policy: Policy, at: datetime, *, baselines: Iterable[Measured] = ()
) -> LatencyReport:
    """Measure every stage at `at` (UTC); what has not ended counts with its age so far, as open.

    Wall time, except for breaches, which come from the SLA clock in force. Targets: acknowledged within
    `escalation.acknowledge_minutes`, updated within `escalation.update_hours` (SOP-CX-003). A legacy metric
    took the first decision of a window even before the breach, and one breach once a snapshot; here a breach
    counts once and from its own moment.

    Time in the product alone is not time recovered (seed 4): that takes a manual baseline of the same stage.
    """
    decided = [d for d in material.decided if d.created_at <= at]
    cases = {c.conversation.ref: c for c in material.cases if c.conversation.created_at <= at}
    aside: dict[str, int] = {}
    rows = [
        *_breaches(decided, cases, policy, at, aside),
        *_deliveries(decided, material.deliveries, at, aside),
        *_escalations(decided, cases, policy, at, aside),
        *_handling(decided, cases, at, aside),
    ]
    rows.sort(
        key=lambda r: (list(STAGES).index(r.stage), r.started_at, r.conversation, r.decision_id, r.actor)
    )
    targets = {
        "escalateToAcknowledged": policy.escalation.acknowledge_minutes * 60,
        "escalateToUpdated": policy.escalation.update_hours * 3600,
    }
    stages = {
        name: distribute(
            (Span(seconds=r.seconds, open=r.ended_at is None) for r in rows if r.stage == name),
            policy.measures.percentile,
            targets.get(name),
        )
        for name in STAGES
    }
    late = {"escalateToAcknowledged": "acknowledged", "escalateToUpdated": "updated"}
    reasons = tuple(
        f"{stages[name].overdue} escalated and not {word} within {targets[name] // 60} min"
        for name, word in late.items()
        if stages[name].overdue
    )
    return LatencyReport(
        at=at,
        policy=policy,
        stages=stages,
        rows=tuple(rows),
        aside=dict(sorted(aside.items())),
        recovered=_recovered(rows, list(baselines)),
        reasons=reasons,
    )


def _row(
    stage: str, conversation: str, started: datetime, ended: datetime | None, at: datetime, **more: Any
) -> Row:
    # Whole milliseconds, as every moment on record has them: deliveries take no whole second.
    whole, rest = divmod(((ended or at) - started) // timedelta(milliseconds=1), 1000)
    seconds = whole + rest / 1000 if rest else whole
    return Row(
        stage=stage,
        conversation=conversation,
        started_at=started,
        ended_at=ended,
        seconds=seconds,
        **{"decision_id": 0, "actor": "", **more},
    )


def _aside(aside: dict[str, int], name: str) -> None:
    aside[name] = aside.get(name, 0) + 1


def _breaches(
    decided: Sequence[Decision], cases: dict[str, Case], policy: Policy, at: datetime, aside: dict[str, int]
) -> Iterable[Row]:
    waiting: dict[tuple[str, datetime], Decision] = {}
    answered: set[tuple[str, datetime]] = set()
    for d in decided:
        standing = d.sla.in_force if d.sla else None
        if standing is None or standing.breached_at is None:
            continue
        key = d.conversation, standing.breached_at
        if standing.stopped_at is None:
            waiting.setdefault(key, d)
        else:
            answered.add(key)
    for (conversation, since), d in waiting.items():
        yield _row(
            "breachToDecision", conversation, since, d.created_at, at,
            decision_id=d.decision_id, actor=d.actor.email,
        )  # fmt: skip
    for _ in answered - waiting.keys():
        _aside(aside, "breaches answered outside the desk before anything was decided")
    newest = {d.conversation: d.created_at for d in decided}
    for ref, case in cases.items():
        c = inputs.as_of(case.conversation, at)
        since = slas.read(c, policy.sla, at).in_force
        if since.breached_at is None or since.stopped_at or c.status is Status.RESOLVED:
            continue
        if ref not in newest or newest[ref] < since.breached_at:
            yield _row("breachToDecision", ref, since.breached_at, None, at, actor=case.operator)


def _deliveries(
    decided: Sequence[Decision], deliveries: Sequence[Delivery], at: datetime, aside: dict[str, int]
) -> Iterable[Row]:
    if not deliveries:
        return
    by_number: dict[str, list[Decision]] = {}
    for d in decided:
        by_number.setdefault(str(d.decision_id), []).append(d)
    tries: dict[str, list[Delivery]] = {}
    for one in deliveries:
        if one.at is not None and one.at > at:
            continue
        tries.setdefault(one.decision_id, []).append(one)
        if not one.decision_id:
            _aside(aside, "sync events that name no decision")
        elif one.decision_id not in by_number:
            _aside(aside, "sync events of a decision in no export")
    for number, same in by_number.items():
        if len(same) > 1:
            # "101" was four decisions of three kits; which of them was delivered nobody can tell.
            for _ in same:
                _aside(aside, "decisions that share their number with another")
            continue
        yield from _delivered(same[0], tries.get(number, []), at, aside)


def _delivered(d: Decision, tries: Sequence[Delivery], at: datetime, aside: dict[str, int]) -> Iterable[Row]:
    effects: dict[str, list[Delivery]] = {}
    for one in tries:
        effects.setdefault(one.effect, []).append(one)
    done = [[o for o in found if o.delivered] for found in effects.values()]
    if any(not o for o in done):
        _aside(aside, "decisions with an effect that could not be delivered")
        return
    moments = [o.at for found in done for o in found[:1]]
    ended = max((m for m in moments if m is not None), default=None)
    if tries and ended is None:
        _aside(aside, "deliveries without a time")
        return
    if ended is not None and ended < d.created_at:
        _aside(aside, "deliveries dated before their decision, counted as 0")
        ended = d.created_at
    yield _row(
        "decisionToDelivered", d.conversation, d.created_at, ended, at,
        decision_id=d.decision_id, actor=d.actor.email,
    )  # fmt: skip


def _escalations(
    decided: Sequence[Decision], cases: dict[str, Case], policy: Policy, at: datetime, aside: dict[str, int]
) -> Iterable[Row]:
    for d in decided:
        if d.action != DECISION_NAMES[Action.ESCALATE]:
            continue
        case = cases.get(d.conversation)
        if case is None:
            _aside(aside, "escalations whose conversation is in no export")
            continue
        c = inputs.as_of(case.conversation, at)
        about = {"decision_id": d.decision_id, "actor": d.actor.email}
        taken = _taken_over(d, case, policy, at)
        resolved = _resolved_after(c, d.created_at)
        if not taken and resolved is not None:
            _aside(aside, "escalations resolved without anybody acknowledging them")
        else:
            ended = taken[0].at if taken else None
            yield _row("escalateToAcknowledged", d.conversation, d.created_at, ended, at, **about)
        told = [m.at for m in c.public_messages() if m.author is Author.AGENT and m.at > d.created_at]
        ends = [*told, *([resolved] if resolved else [])]
        yield _row("escalateToUpdated", d.conversation, d.created_at, min(ends, default=None), at, **about)
        if taken and taken[0].opens:
            then = next((a for a in taken[1:] if a.actor == taken[0].actor and not a.opens), None)
            yield _row(
                "pickup", d.conversation, taken[0].at, then.at if then else None, at,
                decision_id=d.decision_id, actor=taken[0].actor,
            )  # fmt: skip


def _taken_over(d: Decision, case: Case, policy: Policy, at: datetime) -> list[Act]:
    """What people of the role it was escalated to, or above, did since; empty for nothing."""
    needed = Role(d.target).rank if d.target in {r.value for r in Role} else policy.escalation.target.rank
    ranks = {r.value: r.rank for r in Role}
    since = [
        a
        for a in case.acts
        if d.created_at <= a.at <= at and a.actor != d.actor.email and ranks.get(a.role, 0) >= needed
    ]
    return sorted(since, key=lambda a: (a.at, not a.opens, a.actor, a.kind))


def _resolved_after(c: Conversation, since: datetime) -> datetime | None:
    return min((s.at for s in c.status_changes if s.status is Status.RESOLVED and s.at > since), default=None)


def _handling(
    decided: Sequence[Decision], cases: dict[str, Case], at: datetime, aside: dict[str, int]
) -> Iterable[Row]:
    """Each person's work on each case, cut at their decisions; counted from the first opening, the longest reading."""
    numbers = {d.decision_id for d in decided}
    for ref, case in cases.items():
        by_actor: dict[str, list[Act]] = {}
        for act in sorted(case.acts, key=lambda a: (a.at, not a.opens, a.kind, a.decision_id)):
            if act.at <= at:
                by_actor.setdefault(act.actor, []).append(act)
        applied = [a for acts in by_actor.values() for a in acts if a.kind == "action.applied"]
        for actor, acts in by_actor.items():
            opened: datetime | None = None
            noted = False
            for act in acts:
                if act.opens:
                    opened = opened or act.at
                elif act.kind in ("note.added", "follow_up.set"):
                    noted = True
                elif act.kind == "action.cancelled" and opened:
                    _aside(aside, "cases opened and left by cancelling")
                    opened, noted = None, False
                elif act.kind == "action.applied":
                    if opened is None:
                        _aside(aside, "decisions made without opening the case")
                    else:
                        number = act.decision_id if act.decision_id in numbers else 0
                        yield _row("handling", ref, opened, act.at, at, decision_id=number, actor=actor)
                    opened, noted = None, False
            since = opened
            if since is None:
                continue
            if noted:
                _aside(aside, "cases opened for a note or a follow-up only")
            elif any(a.actor != actor and a.at >= since for a in applied):
                _aside(aside, "cases opened and decided by somebody else")
            else:
                yield _row("handling", ref, since, None, at, actor=actor)


def _recovered(rows: Sequence[Row], baselines: Sequence[Measured]) -> tuple[Recovered, ...]:
    out = []
    for name in COMPARABLE:
        by_hand = sorted(b.seconds for b in baselines if b.measure == name)
        product = sorted(r.seconds for r in rows if r.stage == name and r.ended_at is not None)
        if not by_hand or not product:
            continue
        hand_mean, product_mean = math.fsum(by_hand) / len(by_hand), math.fsum(product) / len(product)
        hand_median, product_median = statistics.median(by_hand), statistics.median(product)
        out.append(
            Recovered(
                measure=name,
                baselines=len(by_hand),
                sources=tuple(sorted({b.source for b in baselines if b.measure == name})),
                baseline_mean_s=_shown(hand_mean),
                baseline_median_s=_shown(hand_median),
                cases=len(product),
                product_mean_s=_shown(product_mean),
                product_median_s=_shown(product_median),
                minutes=_shown((hand_mean - product_mean) * len(product) / 60),
                minutes_per_case=_shown((hand_median - product_median) / 60),
            )
        )
    return tuple(out)


def _shown(value: float) -> float:
    return plain(to_fixed(value))
