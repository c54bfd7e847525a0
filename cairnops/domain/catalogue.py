"""Every rule of the desk, collected: its code, what its function says, and where that stands."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from cairnops.domain import actions, delivery, duties, guardrails, sla, suggestions
from cairnops.domain.rules import Rule, Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A rule with its meaning (the docstring of the function that decides it) and its place in the code."""

    rule: Rule
    meaning: str
    place: str


def _of(rule: Rule, function: Callable[..., Any]) -> Entry:
    module = function.__module__.replace(".", "/")
    return Entry(
        rule=rule,
        meaning=inspect.cleandoc(function.__doc__ or ""),
        place=f"{module}.py:{function.__code__.co_firstlineno} ({function.__name__})",
    )


#: Rules that stand on no list: what the desk computes and promises, and the two refusals around the lists.
_CORE: tuple[tuple[Rule, Callable[..., Any]], ...] = (
    (
        Rule(
            code="sla.breach",
            severity=Severity.INFO,
            title="When a customer has waited too long",
            source="KPI definitions; both clocks people argue about",
            threshold="sla.minutes",
        ),
        sla.read,
    ),
    (
        Rule(
            code="sla.triage",
            severity=Severity.INFO,
            title="Which case comes first",
            source="SOP-CX-001",
            threshold="triage.breach_age_minutes",
        ),
        sla.triage,
    ),
    (
        Rule(
            code="suggestion.template",
            severity=Severity.INFO,
            title="Which template a conversation calls for",
            source="Template catalogue of the escalations modal",
            threshold="suggestions.matcher",
        ),
        suggestions.classify,
    ),
    (
        Rule(
            code="suggestion.high_risk_screen",
            severity=Severity.INFO,
            title="High-risk words come before any template",
            source="SOP-CX-003",
            threshold="suggestions.high_risk_words",
        ),
        suggestions.suggest,
    ),
    (
        Rule(
            code="delivery.retry",
            severity=Severity.INFO,
            title="What follows a try that failed",
            source="Retry rules of the decision sync",
            threshold="delivery.max_attempts",
        ),
        delivery.after_try,
    ),
    (
        Rule(
            code="delivery.at_most_once",
            severity=Severity.INFO,
            title="An unclear try is looked up before anything is sent again",
            source="What was decided takes effect once, or a person is told",
            threshold="delivery.settle_ms",
        ),
        delivery.after_look_up,
    ),
    (actions.KEY_REUSED, actions.repeated),
    (actions.OVERRIDE_NOT_ALLOWED, actions.blocked),
    (duties.NOT_ALLOWED, duties.refusal),
)

ENTRIES: tuple[Entry, ...] = (
    *(_of(g.rule, g.check) for g in guardrails.GUARDRAILS),
    *(_of(a.rule, a.check) for a in actions.ADMISSIONS),
    *(_of(rule, function) for rule, function in _CORE),
)

CODES = frozenset(entry.rule.code for entry in ENTRIES)


def find(code: str) -> Entry | None:
    """The rule with exactly that code."""
    return next((entry for entry in ENTRIES if entry.rule.code == code), None)


def near(code: str) -> str:
    """The code most like a mistyped one; empty when none is close."""
    return next(iter(get_close_matches(code, sorted(CODES), n=1)), "")
