"""How people work with what is suggested to them: edits, abstentions, overrides, escalations, right answers."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from cairnops import codec
from cairnops.analytics.inputs import Act, Case, Run
from cairnops.analytics.javascript import plain
from cairnops.analytics.percentiles import percentile, to_fixed
from cairnops.analytics.spans import rate
from cairnops.domain import edits
from cairnops.domain.decisions import Decision, Scope
from cairnops.domain.guardrails import GUARDRAILS
from cairnops.domain.measures import Percentile
from cairnops.domain.policy import Policy
from cairnops.domain.requests import DECISION_NAMES, Action
from cairnops.domain.suggestions import first_name
from cairnops.errors import CLEAN, NOT_ENOUGH

#: Escalated cases of cases handled, percent, both ends included (certification material; other documents
#: say under 10, 12 to 15 and 10 to 18).
ESCALATION_BAND = (10, 15)

#: How many patterns of edits are shown, and how many decisions stand for each.
PATTERNS, EXAMPLES = 15, 3

#: A reply that shares less than this with its suggestion was written anew (as in scoring): no pattern is looked for.
REWRITTEN_BELOW = 0.5

_WORD = re.compile(r"\w+(?:['’-]\w+)*|[{#]")
_Key = TypeVar("_Key", str, tuple[str, str, str])
_APPROVE = DECISION_NAMES[Action.APPROVE_SEND]
_ESCALATE = DECISION_NAMES[Action.ESCALATE]
_RULES = frozenset(g.rule.code for g in GUARDRAILS)


@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts of one operator, cohort, day, or of all. Every count of a breakdown adds up to the total's."""

    decisions: int = 0
    #: Replies approved from a suggestion, and how many of them were edited.
    suggested: int = 0
    edited: int = 0
    #: Edited so far that little of the suggestion is left.
    rewritten: int = 0
    #: Replies written by hand because nothing was suggested.
    by_hand: int = 0
    distances: list[int] = field(default_factory=list)
    #: Openings of a case, by what was shown: `ai`, `template`, or `none`.
    openings: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    #: Decisions against a block, and requests a guardrail's block stopped.
    overrides: int = 0
    blocked: int = 0
    #: Conversations decided on, and how many of them were escalated; a conversation belongs to its first decision.
    handled: int = 0
    escalated: int = 0
    #: Scenarios with an answer key, by how they were answered.
    answers: Counter[str] = field(default_factory=Counter)
    points: list[int] = field(default_factory=list)
    passed: int = 0
    runs: int = 0

    def to_dict(self, method: Percentile) -> dict[str, Any]:
        """JSON-ready, each rate with its denominator under the name of what it divides by."""
        opened, answered = sum(self.openings.values()), sum(self.answers.values())
        met = self.overrides + self.blocked
        distances = sorted(self.distances)
        return {
            "decisions": self.decisions,
            "repliesFromSuggestion": self.suggested,
            "edited": self.edited,
            "rewritten": self.rewritten,
            "editRate": rate(self.edited, self.suggested),
            "editDistanceP50": plain(to_fixed(percentile(distances, 50, method))) if distances else None,
            "repliesByHand": self.by_hand,
            "openings": opened,
            "shownAi": self.openings["ai"],
            "shownTemplate": self.openings["template"],
            "abstained": self.openings["none"],
            "abstainRate": rate(self.openings["none"], opened),
            "cancelled": self.cancelled,
            "blocksMet": met,
            "overrides": self.overrides,
            "overrideRate": rate(self.overrides, met),
            "handled": self.handled,
            "escalated": self.escalated,
            "escalationRate": rate(self.escalated, self.handled),
            "answered": answered,
            "right": self.answers["right"],
            "acceptable": self.answers["acceptable"],
            "wrong": self.answers["wrong"],
            "accuracy": rate(self.answers["right"] + self.answers["acceptable"], answered),
            "runs": self.runs,
            "passed": self.passed,
            "pointsMean": plain(to_fixed(sum(self.points) / len(self.points))) if self.points else None,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """One change operators make to suggestions; numbers read `#`, the names put into a template `{name}`."""

    removed: str
    added: str
    #: In so many decisions, each counted once.
    decisions: int
    templates: tuple[str, ...]
    #: Numbers of the first decisions with it.
    examples: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """One guardrail against the operators' answers: whether it speaks up where people go wrong."""

    code: str
    fired_right: int
    fired_wrong: int
    silent_right: int
    silent_wrong: int

    @property
    def fired(self) -> int:
        """Runs in which it was raised."""
        return self.fired_right + self.fired_wrong

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the share of wrong answers on either side."""
        return {
            "code": self.code,
            "fired": self.fired,
            "firedRight": self.fired_right,
            "firedWrong": self.fired_wrong,
            "silentRight": self.silent_right,
            "silentWrong": self.silent_wrong,
            "wrongWhenFired": rate(self.fired_wrong, self.fired),
            "wrongWhenSilent": rate(self.silent_wrong, self.silent_right + self.silent_wrong),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PracticeReport:
    """The figures of a set of decisions and conversations."""

    policy: Policy
    totals: Tally
    by_operator: dict[str, Tally]
    #: A cohort is a session; empty for work outside one.
    by_cohort: dict[str, Tally]
    #: By cohort, operator and day (UTC).
    over_time: dict[tuple[str, str, str], Tally]
    patterns: tuple[Pattern, ...]
    #: Every guardrail, the most often raised first.
    confusion: tuple[Confusion, ...]
    #: `below`, `inside`, `above`, or `insufficient-data`.
    band: tuple[int, int]
    band_verdict: str
    min_samples: int

    @property
    def exit_code(self) -> int:
        """0, or 3 when there is neither a decision, nor an opening, nor a run."""
        t = self.totals
        return CLEAN if t.decisions or t.runs or sum(t.openings.values()) else NOT_ENOUGH

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready figures in a stable order."""
        method = self.policy.measures.percentile
        return {
            "measure": "practice",
            "policy": {"profile": self.policy.profile, "hash": codec.policy_hash(self.policy)},
            "percentile": method,
            "totals": self.totals.to_dict(method),
            "denominators": DENOMINATORS,
            "escalationBand": {
                "percent": list(self.band),
                "verdict": self.band_verdict,
                "minSamples": self.min_samples,
            },
            "byOperator": [{"operator": k, **v.to_dict(method)} for k, v in self.by_operator.items()],
            "byCohort": [{"cohort": k, **v.to_dict(method)} for k, v in self.by_cohort.items()],
            "overTime": [
                {"cohort": cohort, "operator": operator, "day": day, **v.to_dict(method)}
                for (cohort, operator, day), v in self.over_time.items()
            ],
            "editPatterns": [codec.record(p) for p in self.patterns],
            "confusion": [c.to_dict() for c in self.confusion],
            "verdict": {
                "status": "ok" if self.exit_code == CLEAN else "insufficient-data",
                "exitCode": self.exit_code,
            },
        }


#: What each rate divides by.
DENOMINATORS = {
    "editRate": "replies approved from a suggestion",
    "abstainRate": "openings of a case; abstained where nothing was suggested",
    "overrideRate": "requests a guardrail's block met: overridden ones and stopped ones",
    "escalationRate": "conversations decided on",
    "accuracy": "scenarios with an answer key; right and acceptable answers count",
}


def measure(
    decisions: Iterable[Decision],
    cases: Iterable[Case],
    policy: Policy,
    *,
    band: tuple[int, int] = ESCALATION_BAND,
    min_samples: int | None = None,
) -> PracticeReport:
    """Measure practice over decisions and conversations, in any order.

    Edits, overrides and escalations come from decisions; openings, stopped requests and answers from
    conversations. Decisions of scope `build` are not people's and are left out. A run's last result counts.
    `min_samples` handled conversations are needed to judge the band (default: `alerts.min_samples`).
    """
    made = sorted((d for d in decisions if d.scope is Scope.OPS), key=lambda d: (d.created_at, d.uid))
    seen = sorted(cases, key=lambda c: c.conversation.ref)
    book = _Book()
    escalated = {d.conversation for d in made if d.action == _ESCALATE}
    handled: set[str] = set()
    for d in made:
        for tally in book.of(d.session, d.actor.email, d.created_at):
            _decided(tally, d)
            if d.conversation not in handled:
                tally.handled += 1
                tally.escalated += d.conversation in escalated
        handled.add(d.conversation)
    for case in seen:
        for act in case.acts:
            for tally in book.of(act.session, act.actor, act.at):
                _acted(tally, act)
        for run in case.runs:
            for tally in book.of(run.session, run.operator, run.at):
                _ran(tally, run)
    least = policy.alerts.min_samples if min_samples is None else min_samples
    return PracticeReport(
        policy=policy,
        totals=book.totals,
        by_operator=_worked(book.operators),
        by_cohort=_worked(book.cohorts),
        over_time=_worked(book.times),
        patterns=tuple(
            _patterns(made, {c.conversation.ref: first_name(c.conversation.customer) for c in seen})
        ),
        confusion=tuple(_confusion(seen)),
        band=band,
        band_verdict=_band(book.totals, band, least),
        min_samples=least,
    )


class _Book:
    """The tallies a figure goes into."""

    def __init__(self) -> None:
        self.totals = Tally()
        self.operators: dict[str, Tally] = {}
        self.cohorts: dict[str, Tally] = {}
        self.times: dict[tuple[str, str, str], Tally] = {}

    def of(self, session: str, operator: str, at: datetime) -> tuple[Tally, Tally, Tally, Tally]:
        day = codec.stamp(at)[:10]
        return (
            self.totals,
            self.operators.setdefault(operator, Tally()),
            self.cohorts.setdefault(session, Tally()),
            self.times.setdefault((session, operator, day), Tally()),
        )


def _worked(tallies: dict[_Key, Tally]) -> dict[_Key, Tally]:
    """By name, without those in which nothing was counted (a request refused for its role)."""
    return {key: tally for key, tally in sorted(tallies.items()) if tally != Tally()}


def _decided(tally: Tally, d: Decision) -> None:
    tally.decisions += 1
    tally.overrides += bool(d.override)
    if d.action != _APPROVE:
        return
    if d.suggestion is None:
        tally.by_hand += 1
        return
    tally.suggested += 1
    tally.edited += d.edited
    tally.rewritten += d.edited and _rewritten(d)
    if d.edited:
        tally.distances.append(d.edit_distance)


def _acted(tally: Tally, act: Act) -> None:
    if act.opens:
        tally.openings[act.source or "none"] += 1
    elif act.kind == "action.cancelled":
        tally.cancelled += 1
    elif act.kind == "action.refused":
        # `override.not_allowed` is a block that was met as well; other refusals are not about guardrails.
        tally.blocked += act.code in _RULES or act.code == "override.not_allowed"


def _ran(tally: Tally, run: Run) -> None:
    tally.runs += 1
    tally.passed += run.passed
    if run.answer:
        tally.answers[run.answer] += 1
    if run.points is not None:
        tally.points.append(run.points)


def _band(totals: Tally, band: tuple[int, int], least: int) -> str:
    if not totals.handled or totals.handled < least:
        return "insufficient-data"
    share = totals.escalated * 100
    if share < band[0] * totals.handled:
        return "below"
    return "above" if share > band[1] * totals.handled else "inside"


def changes(suggested: str, sent: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What was taken out and what was put in, stretch by stretch, made alike across customers.

    A stretch reaches over up to two words that stayed: what shares single words only was written anew. The
    values of a template's variables become their names in braces and runs of digits `#`, so that one habit
    is one pattern whoever the customer is; white space, case and marks without a word do not count.
    """
    removed = added = between = ""
    for change in edits.diff(suggested, sent):
        if change.kind == "kept":
            if len(_WORD.findall(change.text)) <= 2 and (removed or added):
                between = change.text
                continue
            yield from _pair(removed, added, variables)
            removed = added = between = ""
        else:
            removed, added, between = removed + between, added + between, ""
            if change.kind == "removed":
                removed += change.text
            else:
                added += change.text
    yield from _pair(removed, added, variables)


def _pair(removed: str, added: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    pair = _alike(removed, variables), _alike(added, variables)
    if pair[0] != pair[1] and any(_WORD.search(text) for text in pair):
        yield pair


def _alike(text: str, variables: Mapping[str, str]) -> str:
    for name, value in sorted(variables.items()):
        if value.strip():
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", f"{{{name}}}", text)
    return " ".join(re.sub(r"\d+(?:[.,:]\d+)*", "#", text).casefold().split())


def _rewritten(d: Decision) -> bool:
    shown, sent = d.suggestion.text if d.suggestion else "", d.final_text or ""
    return 1 - d.edit_distance / max(len(shown), len(sent), 1) < REWRITTEN_BELOW


def _patterns(made: Iterable[Decision], names: Mapping[str, str]) -> list[Pattern]:
    found: dict[tuple[str, str], list[Decision]] = {}
    for d in made:
        shown = d.suggestion
        if d.action != _APPROVE or not d.edited or shown is None or d.final_text is None or _rewritten(d):
            continue
        known = {"name": names.get(d.conversation, ""), **shown.variables}
        for pair in dict.fromkeys(changes(shown.text, d.final_text, known)):
            found.setdefault(pair, []).append(d)
    ranked = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Pattern(
            removed=removed,
            added=added,
            decisions=len(ds),
            templates=tuple(sorted({d.suggestion.template_id for d in ds if d.suggestion})),
            examples=tuple(d.decision_id for d in ds[:EXAMPLES]),
        )
        for (removed, added), ds in ranked[:PATTERNS]
    ]


def raised(case: Case, run: Run) -> set[str]:
    """The guardrails that were raised on the case in the session of the run."""
    return {v.code for a in case.acts if a.session == run.session for v in a.verdicts}


def _confusion(cases: Iterable[Case]) -> list[Confusion]:
    counts: dict[str, Counter[tuple[bool, bool]]] = {g.rule.code: Counter() for g in GUARDRAILS}
    for case in cases:
        for run in case.runs:
            if not run.answer:
                continue
            right = run.answer != "wrong"
            spoke = raised(case, run)
            for code, count in counts.items():
                count[code in spoke, right] += 1
    rows = [
        Confusion(
            code=code,
            fired_right=c[True, True],
            fired_wrong=c[True, False],
            silent_right=c[False, True],
            silent_wrong=c[False, False],
        )
        for code, c in counts.items()
    ]
    return sorted(rows, key=lambda c: (-c.fired, c.code))
