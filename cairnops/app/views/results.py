"""Who ran which scenario with what result: one line a run, one an operator."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cairnops import codec
from cairnops.scenarios import scoring
from cairnops.scenarios.practice import Seeded
from cairnops.scenarios.scoring import Score


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The newest result of one operator at one scenario in one session."""

    session: str
    at: datetime
    conversation: str
    score: Score

    @property
    def key(self) -> str:
        """Names it on the page."""
        return "/".join((self.session, self.score.scenario, self.score.operator))

    @property
    def seeded(self) -> Seeded:
        """Where it was worked, for its debrief; a scripted run was never seeded."""
        return Seeded(
            scenario=self.score.scenario,
            letter="",
            title=self.score.title,
            operator=self.score.operator,
            conversation=self.conversation,
            at=self.at,
        )

    @property
    def missed(self) -> tuple[str, ...]:
        """What was otherwise than it must be, each once."""
        return tuple(dict.fromkeys(c.code for c in self.score.checks if c.gating and not c.ok))


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One operator over all their runs; the last run of each scenario counts."""

    email: str
    state: str
    tone: str
    passed: int
    scenarios: int
    points: int | None
    practise: tuple[str, ...]


_TONES = {"ready": "good", "needs practice": "warn", "no scenarios": "plain"}


def runs(kept: Iterable[tuple[str, Mapping[str, Any]]], *, operator: str = "") -> tuple[Run, ...]:
    """Kept results with the session each belongs to (of one operator when named), newest first."""
    found = (
        Run(
            session=session,
            at=codec.moment(row["at"]),
            conversation=row["conversation"],
            score=scoring.of_record(row["score"]),
        )
        for session, row in kept
        if not operator or row["operator"] == operator
    )
    return tuple(sorted(found, key=lambda r: (r.at, r.key), reverse=True))


def operators(some: Sequence[Run]) -> tuple[Operator, ...]:
    """Who is ready, by name."""
    scores = [r.score for r in reversed(some)]
    names = sorted({s.operator for s in scores})
    return tuple(_operator(scoring.readiness(scores, who)) for who in names)


def _operator(r: scoring.Readiness) -> Operator:
    return Operator(
        email=r.operator,
        state=r.state,
        tone=_TONES[r.state],
        passed=r.passed,
        scenarios=r.scenarios,
        points=r.points,
        practise=r.practise,
    )
