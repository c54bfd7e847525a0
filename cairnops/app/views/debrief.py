"""What a scenario or a whole session came to: expected against done, points, the rules behind it, who is ready."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cairnops.app.views import words
from cairnops.app.views.board import Case
from cairnops.scenarios import scoring
from cairnops.scenarios.debriefs import Met, Point, RuleNote
from cairnops.scenarios.practice import Debrief

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One operator's last run of one scenario; `text` is a dash where there is none."""

    text: str
    tone: str
    hint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One operator over the session."""

    operator: str
    cells: tuple[Cell, ...]
    #: `ready`, `needs practice` or `no scenarios`.
    state: str
    tone: str
    passed: int
    scenarios: int
    points: int | None
    #: Rules to practise, most frequent first.
    practise: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cohort:
    """Everybody together at one scenario."""

    case: Case
    passed: int
    runs: int
    points: int | None
    #: What was missed most, in the words of the checks; empty when nothing was.
    missed: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """The result of a session."""

    cases: tuple[Case, ...]
    standings: tuple[Standing, ...]
    cohort: tuple[Cohort, ...]
    ready: int
    headline: str
    #: What readiness asks for, in a sentence.
    bar: str


_STATES = {"ready": "good", "needs practice": "warn", "no scenarios": "plain"}


def scores(cases: Sequence[Case], operators: Sequence[str], runs: Sequence[Row]) -> Scores:
    """Scores and readiness of the operators named and of whoever else was scored."""
    made = [scoring.of_record(run["score"]) for run in runs]
    names = list(dict.fromkeys((*operators, *sorted({score.operator for score in made}))))
    standings = tuple(_standing(cases, made, who) for who in names)
    ready = sum(s.state == "ready" for s in standings)
    return Scores(
        cases=tuple(cases),
        standings=standings,
        cohort=tuple(_cohort(case, made) for case in cases),
        ready=ready,
        headline=f"{ready} of {words.count(len(standings), 'operator')} ready"
        if made
        else "Nobody was scored yet",
        bar=(
            f"Ready: {scoring.READY_PERCENT}% of the finished scenarios passed, {scoring.PASS_POINTS} points on"
            " average. The last run of each scenario counts."
        ),
    )


def _standing(cases: Sequence[Case], made: Sequence[scoring.Score], who: str) -> Standing:
    mine = {score.scenario: score for score in made if score.operator == who}
    whole = scoring.readiness(made, who)
    return Standing(
        operator=who,
        cells=tuple(_cell(mine.get(case.id)) for case in cases),
        state=whole.state,
        tone=_STATES[whole.state],
        passed=whole.passed,
        scenarios=whole.scenarios,
        points=whole.points,
        practise=whole.practise,
    )


def _cell(score: scoring.Score | None) -> Cell:
    if score is None:
        return Cell(text="—", tone="plain", hint="not run")
    said = "passed" if score.passed else "not passed"
    missed = [c.code for c in score.checks if c.gating and not c.ok]
    return Cell(
        text=said if score.points is None else str(score.points),
        tone="good" if score.passed else "warn",
        hint=f"{said}, missed: {', '.join(missed)}" if missed else said,
    )


def _cohort(case: Case, made: Sequence[scoring.Score]) -> Cohort:
    runs = list({s.operator: s for s in made if s.scenario == case.id}.values())
    points = [s.points for s in runs if s.points is not None]
    missed = Counter(c.code for s in runs for c in s.checks if c.gating and not c.ok)
    missed += Counter(part for s in runs for part, got, out_of in s.parts if got < out_of)
    most = sorted(missed.items(), key=lambda item: (-item[1], item[0]))[:2]
    return Cohort(
        case=case,
        passed=sum(s.passed for s in runs),
        runs=len(runs),
        points=round(sum(points) / len(points)) if points else None,
        missed=", ".join(f"{_said(code)} ({words.times(times)})" for code, times in most),
    )


def _said(code: str) -> str:
    """A check or a part of the score, as a person says it."""
    return _PARTS.get(code, _ABOUT.get(code, code))


# One case, talked over.

#: What a check is about, as a person says it.
_ABOUT = {
    "answer": "The answer",
    "refusals": "Refused on the way",
    "note": "A note for the team",
    "time": "In time",
    "decisions.ops": "What was decided",
    "decisions.build": "The AI suggestion is on record",
    "decisions.absent": "What must not be decided",
    "suggestion": "The suggestion shown",
    "delivery.reply": "The reply is delivered",
    "delivery.note": "The note is delivered",
    "delivery.label": "The label is set",
    "delivery.status": "The status is set",
    "customer.sees": "What the customer reads",
    "customer.does_not_see": "What the customer must not read",
    "verdicts": "A guardrail speaks",
    "follow_ups": "A promise with owner and time",
    "worksheet": "A row in the worksheet",
    "evidence": "Evidence",
    "labels": "Labels",
    "status": "Status at the end",
    "priority": "Priority when opened",
    "sla.created": "SLA since it began",
    "sla.last_customer": "SLA since the customer's last message",
}
_PARTS = {
    "action": "Right action",
    "text": "The text",
    "guardrails": "Guardrails",
    "note": "The note",
    "time": "In time",
}
_VERBS = {
    "approve": "approve as suggested",
    "edit": "approve with edits",
    "escalate": "escalate",
    "resolve": "mark as resolved",
    "reject": "send nothing of it",
}
#: Tone of an expectation by how it ended, in the order they are talked over.
_POINTS = {"missed": "bad", "differs": "info", "met": "good"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One expectation beside what was found."""

    title: str
    tone: str
    state: str
    expected: str
    found: str
    rules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule that was met or missed, and what there is to know about it."""

    code: str
    title: str
    tone: str
    #: What it said about this case; empty when it said nothing.
    said: str
    meaning: str
    #: Where it comes from, and the threshold in force.
    source: str
    way_out: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Debriefed:
    """A case of one operator, expected against done."""

    headline: str
    tone: str
    points: int | None
    #: (part, points, out of)
    parts: tuple[tuple[str, int, int], ...]
    #: What counts against the operator first, then what is otherwise than scripted, then what was met.
    lines: tuple[Line, ...]
    rules: tuple[Rule, ...]
    #: What a good operator does here, and why; empty without an answer key.
    answer: str
    why: str
    good_looks_like: tuple[str, ...]


def debriefed(found: Debrief) -> Debriefed:
    """The debrief of one case, ready to be read aloud."""
    score = found.score
    missed = len(found.missed)
    verdict = "passed" if score.passed else "not passed yet"
    said = f"{score.points} points, {verdict}" if score.points is not None else verdict.capitalize()
    met = {m.code: m for m in found.met}
    others = " or ".join(_VERBS[verb] for verb in found.also_acceptable)
    return Debriefed(
        headline=f"{said}; {missed} missed" if missed else said,
        tone="good" if score.passed else "warn",
        points=score.points,
        parts=tuple((_PARTS.get(part, part), got, out_of) for part, got, out_of in score.parts),
        lines=tuple(
            sorted((_debrief_line(p) for p in found.points), key=lambda line: list(_POINTS).index(line.state))
        ),
        rules=tuple(_rule(note, met.get(note.code)) for note in found.rules),
        answer=f"{_VERBS[found.best].capitalize()}{f'; {others} is as good' if others else ''}"
        if found.best
        else "",
        why=found.why,
        good_looks_like=found.good_looks_like,
    )


def _debrief_line(point: Point) -> Line:
    return Line(
        title=_ABOUT.get(point.code, point.code),
        tone=_POINTS[point.state],
        state=point.state,
        expected=point.expected,
        found=point.found,
        rules=point.rules,
    )


def _rule(note: RuleNote, met: Met | None) -> Rule:
    tone = "plain" if met is None else "bad" if met.refused else "warn"
    times = f" ({words.times(met.times)})" if met and met.times > 1 else ""
    return Rule(
        code=note.code,
        title=note.title,
        tone=tone,
        said=f"{met.sentence}{times}" if met else "",
        meaning=note.meaning,
        source=" · ".join(part for part in (note.source, note.threshold) if part),
        way_out=note.way_out,
    )
