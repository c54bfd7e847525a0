"""Whether customers were answered in time: first and next responses, resolution, breaches under every clock."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from cairnops import codec
from cairnops.analytics import conversations
from cairnops.analytics.conversations import Reading
from cairnops.analytics.inputs import Case
from cairnops.analytics.javascript import plain
from cairnops.analytics.percentiles import percentile, to_fixed
from cairnops.analytics.spans import Distribution, Span, distribute, rate
from cairnops.domain import sla as slas
from cairnops.domain.conversations import Status
from cairnops.domain.decisions import Decision, Scope
from cairnops.domain.policy import ClockStart, Policy
from cairnops.domain.sla import CLOCKS, Outcome, Sla, Wait
from cairnops.errors import CLEAN, FINDINGS, NOT_ENOUGH

Verdict = Literal["ok", "warn", "alert", "insufficient-data"]
Dimension = Literal["operator", "team", "inbox", "priority", "day"]

DIMENSIONS: tuple[Dimension, ...] = ("operator", "team", "inbox", "priority", "day")

#: The three measures, as reports name them.
MEASURES = ("firstResponse", "nextResponse", "resolution")

_EXIT = {"ok": CLEAN, "warn": CLEAN, "alert": FINDINGS, "insufficient-data": NOT_ENOUGH}
_OPEN = (Status.OPEN, Status.PENDING)


@dataclass(kw_only=True, slots=True)
class Tally:
    """Waits of one measure by how they compare with the target."""

    met: int = 0
    missed: int = 0
    #: Not ended, still in time: neither met nor missed yet, and not in the denominator.
    waiting: int = 0
    #: Not ended and past the target: missed already, and in the denominator.
    overdue: int = 0

    @property
    def decided(self) -> int:
        """The denominator of the rate: met, missed and overdue."""
        return self.met + self.missed + self.overdue

    @property
    def missed_rate(self) -> float | None:
        """Missed and overdue of decided, 0 to 1; None for none."""
        return rate(self.missed + self.overdue, self.decided)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the denominator beside the rate."""
        return {
            "met": self.met,
            "missed": self.missed,
            "waiting": self.waiting,
            "overdue": self.overdue,
            "denominator": self.decided,
            "missedRate": self.missed_rate,
        }


@dataclass(kw_only=True, slots=True)
class Group:
    """The counts of one operator, team, inbox, priority or day, or of all."""

    conversations: int = 0
    #: Open or pending: the denominator of the breach rate.
    open: int = 0
    #: The customer spoke and nobody ever answered.
    unreplied: int = 0
    #: Open ones breached, by clock, answered since or not.
    breached_open: Counter[ClockStart] = field(default_factory=Counter)
    #: The same of all, whatever their status.
    breached: Counter[ClockStart] = field(default_factory=Counter)
    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in MEASURES})

    def to_dict(self, in_force: ClockStart) -> dict[str, Any]:
        """JSON-ready; the breach rate is that of the clock in force."""
        return {
            "conversations": self.conversations,
            "open": self.open,
            "unreplied": self.unreplied,
            "breachedOpen": self.breached_open[in_force],
            "breachRate": rate(self.breached_open[in_force], self.open),
            "breached": self.breached[in_force],
            **{name: tally.to_dict() for name, tally in self.tallies.items()},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class SlaReport:
    """The figures of a set of conversations at one moment."""

    at: datetime
    policy: Policy
    totals: Group
    groups: dict[Dimension, dict[str, Group]]
    waits: dict[str, Distribution]
    #: Conversations breached under which of the two classic clocks: both, only_created, only_last_customer, neither.
    agreement: dict[str, int]
    #: Minutes since creation less minutes since the customer's last message, of conversations that have both.
    delta_minutes: dict[str, float] | None
    #: Rows behind the figures, as `analytics.conversations.rows` gives them.
    rows: tuple[dict[str, Any], ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    min_samples: int

    @property
    def exit_code(self) -> int:
        """0 fine or a warning, 1 critical, 3 too few open conversations to say."""
        return _EXIT[self.verdict]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready figures in a stable order, every denominator named."""
        s, t = self.policy.sla, self.totals
        return {
            "measure": "sla",
            "asOf": codec.stamp(self.at),
            "policy": {"profile": self.policy.profile, "hash": codec.policy_hash(self.policy)},
            "targetsMinutes": {
                "breach": s.minutes,
                "breachUrgent": s.priority_minutes,
                "firstResponse": s.first_response_minutes,
                "nextResponse": s.next_response_minutes,
                "resolution": s.resolution_minutes,
            },
            "counting": {
                "clock": s.clock,
                "stopOn": s.stop_on,
                "pauseStatuses": list(s.pause_statuses),
                "businessHours": codec.plain(s.business_hours),
                "percentile": self.policy.measures.percentile,
            },
            "totals": t.to_dict(s.clock),
            "clocks": [
                {
                    "clock": clock,
                    "inForce": clock == s.clock,
                    "breachedOpen": t.breached_open[clock],
                    "open": t.open,
                    "rateOfOpen": rate(t.breached_open[clock], t.open),
                    "breached": t.breached[clock],
                    "conversations": t.conversations,
                    "rateOfAll": rate(t.breached[clock], t.conversations),
                }
                for clock in CLOCKS
            ],
            "clockAgreement": dict(self.agreement),
            "clockDeltaMinutes": self.delta_minutes,
            "waitsSeconds": {name: codec.record(d) for name, d in self.waits.items()},
            "breakdowns": {
                dimension: [{dimension: key, **group.to_dict(s.clock)} for key, group in groups.items()]
                for dimension, groups in self.groups.items()
            },
            "denominators": {
                "breachRate": "open and pending conversations, unanswered ones among them",
                "missedRate": "waits that met or missed the target, those still open past it among the missed",
            },
            "verdict": {
                "status": self.verdict,
                "reasons": list(self.reasons),
                "thresholds": {
                    "warnAbove": s.breach_rate_warn_percent / 100,
                    "criticalAbove": s.breach_rate_critical_percent / 100,
                    "minSamples": self.min_samples,
                },
                "samples": t.open,
                "exitCode": self.exit_code,
            },
            "rows": list(self.rows),
        }


def measure(
    cases: Iterable[Case],
    policy: Policy,
    at: datetime,
    *,
    decisions: Iterable[Decision] = (),
    min_samples: int | None = None,
    link: str = "",
) -> SlaReport:
    """Measure conversations as they stood at `at` (UTC) against the policy's targets.

    Rates: breached of open and pending conversations (KPI page), under the clock in force; missed of waits
    that are decided. A conversation nobody answered counts as soon as it is late: leaving those out is how
    a legacy report never saw a breach. Late and above are strict. Seconds are counted time: opening hours
    and pauses as the policy has them. A conversation belongs to whoever decided on it first; a wait to the
    day it began, a conversation to the day it was created (UTC).

    `decisions` fill the rows' columns about decisions, and name the operator where a row has no acts.
    `min_samples` open conversations are needed for a verdict (default: the policy's `alerts.min_samples`).
    """
    counted: Counter[tuple[_Where, _Standing]] = Counter()
    tallied: Counter[tuple[_Where, str, Outcome]] = Counter()
    spans: dict[str, list[Span]] = {name: [] for name in MEASURES}
    agreement = dict.fromkeys(("both", "only_created", "only_last_customer", "neither"), 0)
    deltas: list[float] = []
    made = sorted((d for d in decisions if d.scope is Scope.OPS), key=lambda d: (d.created_at, d.uid))
    first = {d.conversation: d.actor.email for d in reversed(made)}
    read = list(conversations.readings(cases, policy, at))
    for one in read:
        keys = _keys(one, first.get(one.conversation.ref, ""))
        standing = _standing(one)
        for key in (_ALL, *keys, ("day", _day(one.conversation.created_at))):
            counted[key, standing] += 1
        for name, wait in _waits(one.waits):
            spans[name].append(Span(seconds=wait.seconds, open=wait.ended_at is None))
            outcome = wait.outcome
            for key in (_ALL, *keys, ("day", _day(wait.started_at))):
                tallied[key, name, outcome] += 1
        _compare(one.sla, agreement, deltas)
    totals, groups = _groups(counted, tallied)
    targets = {
        "firstResponse": policy.sla.first_response_minutes,
        "nextResponse": policy.sla.next_response_minutes,
        "resolution": policy.sla.resolution_minutes,
    }
    least = policy.alerts.min_samples if min_samples is None else min_samples
    verdict, reasons = _judge(totals, policy, least)
    return SlaReport(
        at=at,
        policy=policy,
        totals=totals,
        groups=groups,
        waits={
            name: distribute(spans[name], policy.measures.percentile, targets[name] * 60) for name in MEASURES
        },
        agreement=agreement,
        delta_minutes=_deltas(deltas, policy),
        rows=tuple(conversations.rows_of(read, made, policy, at, link=link)),
        verdict=verdict,
        reasons=reasons,
        min_samples=least,
    )


#: Whose counts: a dimension and its key; of everything, two empty ones.
_Where = tuple[Dimension | Literal[""], str]
_ALL: _Where = ("", "")
#: What is counted of a conversation: open, unreplied, and breached by clock in the order of `CLOCKS`.
_Standing = tuple[bool, bool, tuple[bool, ...]]


def _keys(one: Reading, decided: str) -> tuple[_Where, ...]:
    c = one.conversation
    return (
        ("operator", one.case.operator or decided),
        ("team", c.team),
        ("inbox", c.inbox),
        ("priority", c.priority),
    )


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _standing(one: Reading) -> _Standing:
    return one.conversation.status in _OPEN, one.unreplied, tuple(s.breached for s in one.sla.standings)


def _groups(
    counted: Counter[tuple[_Where, _Standing]], tallied: Counter[tuple[_Where, str, Outcome]]
) -> tuple[Group, dict[Dimension, dict[str, Group]]]:
    """The counts of like conversations and like waits, added up by whose they are."""
    totals = Group()
    groups: dict[Dimension, dict[str, Group]] = {d: {} for d in DIMENSIONS}

    def group(where: _Where) -> Group:
        dimension, key = where
        return groups[dimension].setdefault(key, Group()) if dimension else totals

    for (where, (is_open, unreplied, breached)), count in counted.items():
        one = group(where)
        one.conversations += count
        one.open += count * is_open
        one.unreplied += count * unreplied
        for clock, is_breached in zip(CLOCKS, breached, strict=True):
            one.breached[clock] += count * is_breached
            one.breached_open[clock] += count * (is_breached and is_open)
    for (where, name, outcome), count in tallied.items():
        tally = group(where).tallies[name]
        setattr(tally, outcome.value, getattr(tally, outcome.value) + count)
    return totals, {d: dict(sorted(found.items())) for d, found in groups.items()}


def _waits(responses: slas.ResponseTimes) -> list[tuple[str, Wait]]:
    first = [("firstResponse", responses.first)] if responses.first else []
    return [*first, *(("nextResponse", w) for w in responses.next), ("resolution", responses.resolution)]


def _compare(read: Sla, agreement: dict[str, int], deltas: list[float]) -> None:
    by_clock = {s.clock: s for s in read.standings}
    created, last = by_clock["conversation_created"], by_clock["last_customer_message"]
    name = {
        (True, True): "both",
        (True, False): "only_created",
        (False, True): "only_last_customer",
        (False, False): "neither",
    }[created.breached, last.breached]
    agreement[name] += 1
    if last.started_at is not None:
        deltas.append((created.elapsed_s - last.elapsed_s) / 60)


def _deltas(deltas: list[float], policy: Policy) -> dict[str, float] | None:
    if not deltas:
        return None
    ordered, method = sorted(deltas), policy.measures.percentile
    return {
        "count": len(ordered),
        "p50": plain(to_fixed(percentile(ordered, 50, method))),
        "p90": plain(to_fixed(percentile(ordered, 90, method))),
        "most": plain(to_fixed(ordered[-1])),
    }


def _judge(totals: Group, policy: Policy, least: int) -> tuple[Verdict, tuple[str, ...]]:
    s = policy.sla
    breached, count = totals.breached_open[s.clock], totals.open
    if not count or count < least:
        return "insufficient-data", (f"{count} open conversations; {max(least, 1)} are needed",)
    said = f"{breached} of {count} open conversations are breached, above"
    if breached * 100 > s.breach_rate_critical_percent * count:
        return "alert", (f"{said} {s.breach_rate_critical_percent}% (critical)",)
    if breached * 100 > s.breach_rate_warn_percent * count:
        return "warn", (f"{said} {s.breach_rate_warn_percent}% (warning)",)
    return "ok", ()
