"""Results as the page lists them: newest first, the last run of a scenario counts, and a reader of one sees one."""

from typing import Any

import pytest

from cairnops import codec
from cairnops.app.views import results
from cairnops.scenarios.scoring import Check, Score

ALEX, SAM = "alex@shop.example", "sam@shop.example"


def check(code: str, ok: bool, gating: bool = True) -> Check:
    return Check(code=code, ok=ok, expected="x", found="y", examined=1, gating=gating)


def kept(
    scenario: str, who: str, minute: int, *checks: Check, session: str = "thursday", points: int = 90
) -> tuple[str, dict[str, Any]]:
    """A result as the workspace keeps it, with the session it is of."""
    score = Score(
        scenario=scenario,
        title=scenario.upper(),
        operator=who,
        proves=(f"rule.{scenario}",),
        checks=checks,
        passed=all(c.ok for c in checks if c.gating),
        points=points,
        parts=(),
        verb="approve",
        text_distance=0,
    )
    row = {
        "at": f"2025-10-16T17:{minute:02}:00.000Z",
        "conversation": f"10{minute:02}",
        "operator": who,
        "score": codec.record(score),
    }
    return session, row


RIGHT, WRONG, NICE = check("decision", True), check("decision", False), check("note", False, gating=False)
KEPT = [
    kept("a", ALEX, 1, WRONG, WRONG, points=40),
    kept("a", ALEX, 9, RIGHT, NICE),
    kept("a", SAM, 5, WRONG, points=30),
    kept("b", ALEX, 5, RIGHT, session="friday"),
]


def test_runs_come_newest_first_and_are_told_apart() -> None:
    found = results.runs(KEPT)
    assert [(r.session, r.score.scenario, r.score.operator, r.at.minute) for r in found] == [
        ("thursday", "a", ALEX, 9),
        ("thursday", "a", SAM, 5),
        ("friday", "b", ALEX, 5),
        ("thursday", "a", ALEX, 1),
    ]
    assert found == results.runs(reversed(KEPT))


def test_somebody_sees_their_own() -> None:
    assert {r.score.operator for r in results.runs(KEPT, operator=SAM)} == {SAM}
    assert results.runs(KEPT, operator="nobody@shop.example") == ()


@pytest.mark.parametrize(
    ("minute", "who", "missed"),
    [
        pytest.param(1, ALEX, ("decision",), id="said once, however often it is wrong"),
        pytest.param(9, ALEX, (), id="what is nice to have is not missed"),
    ],
)
def test_what_was_missed(minute: int, who: str, missed: tuple[str, ...]) -> None:
    (run,) = [r for r in results.runs(KEPT, operator=who) if r.at.minute == minute]
    assert run.missed == missed
    assert (run.seeded.scenario, run.seeded.operator, run.seeded.conversation) == ("a", who, f"10{minute:02}")


def test_the_last_run_of_a_scenario_counts() -> None:
    alex, sam = results.operators(results.runs(KEPT))
    assert (alex.email, alex.state, alex.tone, alex.passed, alex.scenarios) == (ALEX, "ready", "good", 2, 2)
    assert (sam.email, sam.state, sam.tone) == (SAM, "needs practice", "warn")
    assert sam.practise == ("rule.a",)
