"""How long things took, when some of them have not ended: distributions in which an open one is never dropped."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cairnops.analytics.javascript import plain
from cairnops.analytics.percentiles import percentile, to_fixed
from cairnops.domain.measures import Percentile

#: The percentiles every distribution shows.
POINTS = (50, 90, 95, 99)

#: Upper edges of the histogram in seconds, each included; the last bucket has none.
EDGES = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One stretch of time, seconds; an open one has lasted that long so far."""

    seconds: float
    open: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Spans up to and including `up_to` seconds and above the bucket before; None for the last one."""

    up_to: int | None
    ended: int
    open: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """Spans of one kind. Percentiles are seconds, by name (`p50`), None where there is nothing to say."""

    count: int
    ended: int
    open: int
    #: The target in seconds; None when the policy names none.
    target_s: int | None
    #: Against the target: ended in time, ended late, open in time, open past it. All 0 without a target.
    met: int
    missed: int
    waiting: int
    overdue: int
    #: `linear`, `nearest_rank` or `legacy_floor`.
    method: Percentile
    #: Of those that ended, alone: too good while others are open.
    of_ended: dict[str, float] | None
    #: Of all, the open ones at their age so far: what the true percentiles can only be at or above.
    at_least: dict[str, float] | None
    #: Estimated with the open ones as censored (Kaplan and Meier 1958, product limit): the first moment by
    #: which so many percent have ended. A point the curve does not reach is None.
    estimated: dict[str, float | None] | None
    mean_of_ended: float | None
    least: float | None
    most: float | None
    histogram: tuple[Bucket, ...]

    @property
    def decided(self) -> int:
        """Spans that have met or missed the target already: all but those still waiting in time."""
        return self.met + self.missed + self.overdue

    @property
    def missed_rate(self) -> float | None:
        """Missed and overdue of `decided`, 0 to 1; None for none."""
        return rate(self.missed + self.overdue, self.decided)


def rate(part: int, whole: int) -> float | None:
    """A share, four decimals, half up; None of nothing."""
    return to_fixed(part / whole, 4) if whole else None


def distribute(spans: Iterable[Span], method: Percentile, target_s: int | None = None) -> Distribution:
    """Describe spans; late is strictly longer than the target. The order they come in does not matter."""
    every = sorted(spans, key=lambda s: (s.seconds, s.open))
    ended = [s.seconds for s in every if not s.open]
    late = [s for s in every if target_s is not None and s.seconds > target_s]
    missed = sum(not s.open for s in late)
    overdue = len(late) - missed
    judged = target_s is not None
    return Distribution(
        count=len(every),
        ended=len(ended),
        open=len(every) - len(ended),
        target_s=target_s,
        met=len(ended) - missed if judged else 0,
        missed=missed,
        waiting=len(every) - len(ended) - overdue if judged else 0,
        overdue=overdue,
        method=method,
        of_ended=_percentiles(ended, method),
        at_least=_percentiles([s.seconds for s in every], method),
        estimated=_estimate(every),
        mean_of_ended=_shown(math.fsum(ended) / len(ended)) if ended else None,
        least=_shown(every[0].seconds) if every else None,
        most=_shown(every[-1].seconds) if every else None,
        histogram=_histogram(every),
    )


def _shown(value: float) -> float:
    return plain(to_fixed(value))


def _percentiles(ordered: Sequence[float], method: Percentile) -> dict[str, float] | None:
    if not ordered:
        return None
    return {f"p{p}": _shown(percentile(ordered, p, method)) for p in POINTS}


def _estimate(ordered: Sequence[Span]) -> dict[str, float | None] | None:
    if not ordered:
        return None
    found: dict[str, float | None] = {f"p{p}": None for p in POINTS}
    left, share = len(ordered), 1.0
    for span in ordered:
        if not span.open:
            share *= (left - 1) / left
            for p in POINTS:
                # A product of quotients misses a round share by its last binary digits.
                if found[f"p{p}"] is None and share <= 1 - p / 100 + 1e-9:
                    found[f"p{p}"] = _shown(span.seconds)
        left -= 1
    return found


def _histogram(every: Sequence[Span]) -> tuple[Bucket, ...]:
    counts = [[0, 0] for _ in range(len(EDGES) + 1)]
    for span in every:
        place = next((i for i, edge in enumerate(EDGES) if span.seconds <= edge), len(EDGES))
        counts[place][span.open] += 1
    return tuple(
        Bucket(up_to=edge, ended=ended, open=waiting)
        for edge, (ended, waiting) in zip((*EDGES, None), counts, strict=True)
    )
