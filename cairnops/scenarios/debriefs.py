"""What a case worked by hand is held against: each expectation beside what was found, and the rule behind it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from cairnops.domain import catalogue
from cairnops.domain.policy import Policy, flatten
from cairnops.scenarios import scoring
from cairnops.scenarios.model import Scenario
from cairnops.scenarios.scoring import Check, Done, Score

State = Literal["met", "differs", "missed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One thing the scenario expects, beside what was found.

    `differs` is not as the script has it and counts against nobody, because what was decided is an answer
    the key accepts; `missed` is what to talk about.
    """

    #: The part of the score (`answer`, `note`, `refusals`, `time`) or the check it is.
    code: str
    state: State
    expected: str
    found: str
    #: Codes of the rules behind it.
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Met:
    """A guardrail or refusal the operator met, in the words it was last met with."""

    code: str
    severity: str
    sentence: str
    refused: bool
    times: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleNote:
    """A rule, as somebody who met it is told about it."""

    code: str
    title: str
    severity: str
    meaning: str
    #: Where the rule comes from.
    source: str
    #: The value in force (`guardrails.no_ack_hours = 24`); empty when it has none.
    threshold: str
    way_out: str


def rule_note(code: str, policy: Policy) -> RuleNote | None:
    """What there is to say about a rule, with the threshold in force; None when there is no such rule."""
    entry = catalogue.find(code)
    if entry is None:
        return None
    rule, values = entry.rule, dict(flatten(policy))
    return RuleNote(
        code=code,
        title=rule.title,
        severity=rule.severity.value,
        meaning=" ".join(entry.meaning.partition("\n\n")[0].split()),
        source=rule.source,
        threshold=f"{rule.threshold} = {_value(values[rule.threshold])}" if rule.threshold in values else "",
        way_out=rule.way_out,
    )


def _value(value: object) -> str:
    if isinstance(value, tuple):
        plain = all(isinstance(v, str | int) for v in value)
        return ", ".join(map(str, value)) if plain and 0 < len(value) < 5 else f"{len(value)} entries"
    return str(value)


def points(scenario: Scenario, done: Done, score: Score) -> tuple[Point, ...]:
    """The answer and its circumstances, then every expectation of the script, beside what was found.

    Left out is what the script does on purpose (its wrong moves) and what the desk does by itself.
    """
    if not done.steps:
        return (
            Point(code="answer", state="missed", expected=_best(scenario), found="the case was not opened"),
        )
    accepted = any(part == "action" and got > 0 for part, got, _ in score.parts)
    checks = scoring.score(scenario, replace(done, scripted=True)).checks
    return (
        *_circumstances(scenario, done, score),
        *(
            _point(scenario, check, accepted=check.code in _SHOWN or (accepted and check.code not in _MUSTS))
            for check in checks
            if check.code not in _NOT_THEIRS
        ),
    )


def of_script(scenario: Scenario, score: Score) -> tuple[Point, ...]:
    """The points of a script that was played: it is held to every check."""
    return tuple(_point(scenario, check, accepted=False) for check in score.checks)


#: What holds whatever else was decided: nothing forbidden happened.
_MUSTS = ("decisions.absent", "customer.does_not_see")
#: What the desk put before them. A case opened later than the script opens it may show something else.
_SHOWN = ("suggestion", "priority", "sla.created", "sla.last_customer")
_NOT_THEIRS = ("refused", "events", "evidence", "decisions.build")


def _circumstances(scenario: Scenario, done: Done, score: Score) -> Iterator[Point]:
    """The parts of the score, in words."""
    parts = {part: (got, out_of) for part, got, out_of in score.parts}
    answer = scenario.answer
    if answer is None:
        return
    about = tuple(_about(scenario))
    full = {part: got == out_of for part, (got, out_of) in parts.items()}
    state: State = "met" if full["action"] else "differs" if parts["action"][0] else "missed"
    found = score.verb or "nothing was decided"
    yield Point(code="answer", state=state, expected=_best(scenario), found=found, rules=about)
    yield Point(
        code="refusals",
        state="met" if full["guardrails"] else "missed",
        expected="no request refused",
        found=", ".join(done.refusals) or "none",
        rules=tuple(dict.fromkeys(done.refusals)),
    )
    if "note" in full:
        yield Point(
            code="note",
            state="met" if full["note"] else "missed",
            expected="a note for the team",
            found="left" if full["note"] else "none",
        )
    yield Point(
        code="time",
        state="met" if full["time"] else "missed",
        expected=f"within {scenario.time_limit_minutes} min of opening",
        found=f"{done.elapsed_minutes:.0f} min",
    )


def _best(scenario: Scenario) -> str:
    answer = scenario.answer
    if answer is None:
        return "the case worked"
    also = ", ".join(answer.also_acceptable)
    return f"{answer.best} (also: {also})" if also else answer.best


def _point(scenario: Scenario, check: Check, *, accepted: bool) -> Point:
    state: State = "met"
    if not check.ok:
        # A promise that the script has and nobody made is missed, however the reply was worded.
        forgotten = check.code in ("follow_ups", "worksheet") and check.examined == 0
        state = "differs" if (accepted and not forgotten) or not check.gating else "missed"
    return Point(
        code=check.code,
        state=state,
        expected=check.expected,
        found=check.found,
        rules=_behind(scenario, check),
    )


#: The rules behind a check, by the check's code or its first word.
_RULES = {
    "delivery": ("delivery.retry", "delivery.at_most_once"),
    "sla": ("sla.breach",),
    "priority": ("sla.triage",),
    "suggestion": ("suggestion.template", "suggestion.ai_unavailable", "suggestion.missing"),
    "follow_ups": ("follow_up.incomplete", "resolve.follow_up_unowned"),
}


def _behind(scenario: Scenario, check: Check) -> tuple[str, ...]:
    """The rules a check hangs on by its kind, narrowed to what the scenario is about."""
    if check.code == "verdicts":
        return (check.expected.partition(" ")[0],)
    about = _about(scenario)
    related = _RULES.get(check.code.partition(".")[0])
    if related is None:
        return tuple(about)
    return tuple(code for code in related if code in about) or related[:1]


def _about(scenario: Scenario) -> dict[str, None]:
    said = scenario.debrief.rules if scenario.debrief else ()
    return dict.fromkeys((*scenario.proves, *said))


def met(events: Iterable[Mapping[str, Any]]) -> tuple[Met, ...]:
    """What spoke up in one person's audit events of a case: refusals first, then as first met."""
    found: dict[str, Met] = {}
    for event in events:
        refused = event["code"] if event["kind"] == "action.refused" else ""
        said = [(v["code"], v["severity"], v["sentence"]) for v in event["body"].get("verdicts", ())]
        if refused:
            said = [s for s in said if s[0] != refused]
            said.append((refused, "block", str(event["body"].get("sentence", ""))))
        for code, severity, sentence in said:
            before = found.get(code)
            found[code] = Met(
                code=code,
                severity=severity,
                sentence=sentence,
                refused=code == refused or (before is not None and before.refused),
                times=before.times + 1 if before else 1,
            )
    return tuple(sorted(found.values(), key=lambda m: not m.refused))


def rules(
    scenario: Scenario, points: Iterable[Point], met: Iterable[Met], policy: Policy
) -> tuple[RuleNote, ...]:
    """The rules to talk about: behind what was missed, then what was met, then what the scenario is about."""
    missed = (code for p in points if p.state == "missed" for code in p.rules)
    named = dict.fromkeys((*missed, *(m.code for m in met), *_about(scenario)))
    return tuple(note for note in (rule_note(code, policy) for code in named) if note is not None)
