"""A debrief says first what counts against somebody, and readiness is the scoring's own word."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cairnops import codec
from cairnops.app.views.board import Case
from cairnops.app.views.debrief import debriefed, scores
from cairnops.scenarios import scoring
from cairnops.scenarios.practice import Debrief, Met, Point, RuleNote, Seeded
from cairnops.scenarios.scoring import Check, Score

NOW = datetime(2026, 1, 5, 14, 3, tzinfo=UTC)
ALEX, SAM = "alex@shop.example", "sam@shop.example"
CASES = (Case(id="a", letter="A", title="Late"), Case(id="b", letter="B", title="Refund"))


def score(scenario: str = "a", operator: str = ALEX, **fields: Any) -> Score:
    checks = (Check(code="customer.sees", ok=True, expected="e", found="f", examined=1),)
    base = {"title": "Late", "proves": ("sla.breach",), "checks": checks, "passed": True, "points": 90}
    more = {"parts": (("action", 40, 40), ("note", 0, 10)), "verb": "approve", "text_distance": None}
    return Score(scenario=scenario, operator=operator, **(base | more | fields))


def run(made: Score) -> dict[str, Any]:
    return {"scenario": made.scenario, "operator": made.operator, "score": codec.record(made)}


def point(code: str, state: Any) -> Point:
    return Point(code=code, state=state, expected="e", found="f", rules=("sla.breach",))


NOTE = RuleNote(
    code="sla.breach",
    title="T",
    severity="info",
    meaning="M",
    source="S",
    threshold="sla.minutes = 60",
    way_out="W",
)
WHOLE = Debrief(
    seeded=Seeded(scenario="a", letter="A", title="Late", operator=ALEX, conversation="1", at=NOW),
    operator=ALEX,
    at=NOW,
    score=score(passed=False, points=62),
    points=(point("customer.sees", "met"), point("answer", "missed"), point("new.check", "differs")),
    met=(Met(code="sla.breach", severity="info", sentence="It is late.", refused=False, times=2),),
    best="approve",
    also_acceptable=("edit",),
    why="It fits.",
    good_looks_like=("Reads aloud",),
    rules=(NOTE, replace(NOTE, code="other.rule")),
)


def test_what_was_missed_comes_first_and_says_what_it_is_about() -> None:
    found = debriefed(WHOLE)
    assert found.headline == "62 points, not passed yet; 1 missed"
    assert [(line.state, line.title, line.tone) for line in found.lines] == [
        ("missed", "The answer", "bad"),
        ("differs", "new.check", "info"),
        ("met", "What the customer reads", "good"),
    ]
    assert found.parts == (("Right action", 40, 40), ("The note", 0, 10))
    assert found.answer == "Approve as suggested; approve with edits is as good"


def test_a_rule_says_what_it_said_about_this_case() -> None:
    met, silent = debriefed(WHOLE).rules
    assert (met.said, met.tone) == ("It is late. (twice)", "warn")
    assert (silent.said, silent.tone) == ("", "plain")
    assert met.source == "S · sla.minutes = 60"


def test_without_an_answer_key_there_is_a_verdict_and_no_figure() -> None:
    found = debriefed(replace(WHOLE, score=score(points=None), points=(), best=None, also_acceptable=()))
    assert (found.headline, found.points, found.answer) == ("Passed", None, "")


def test_readiness_is_what_scoring_says_it_is() -> None:
    made = [score(), score("b", passed=False, points=50), score(operator=SAM)]
    found = scores(CASES, [ALEX], [run(s) for s in made])
    for standing in found.standings:
        whole = scoring.readiness(made, standing.operator)
        assert (standing.state, standing.points, standing.practise) == (
            whole.state,
            whole.points,
            whole.practise,
        )
    assert [(s.operator, s.state) for s in found.standings] == [(ALEX, "needs practice"), (SAM, "ready")]
    assert [cell.text for cell in found.standings[1].cells] == ["90", "—"]
    assert found.headline == "1 of 2 operators ready"


def test_a_second_run_of_a_scenario_counts_in_place_of_the_first() -> None:
    found = scores(CASES, [ALEX], [run(score(passed=False, points=10)), run(score())])
    assert (found.standings[0].cells[0].text, found.cohort[0].runs) == ("90", 1)


@pytest.mark.parametrize(
    ("made", "missed"),
    [
        pytest.param([score(parts=())], "", id="nothing"),
        pytest.param([score(), score(operator=SAM)], "The note (twice)", id="part of the score"),
    ],
)
def test_the_cohort_learns_what_was_missed_most(made: list[Score], missed: str) -> None:
    assert scores(CASES, [ALEX, SAM], [run(s) for s in made]).cohort[0].missed == missed


def test_a_session_nobody_was_scored_in_says_so() -> None:
    found = scores(CASES, [ALEX], [])
    assert (found.headline, found.standings[0].state) == ("Nobody was scored yet", "no scenarios")
    assert [c.runs for c in found.cohort] == [0, 0]
