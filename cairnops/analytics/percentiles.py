"""Which value is the p-th percentile, under each of the three definitions people argue with."""

import bisect
import itertools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import overload

from cairnops.domain.measures import Percentile

METHODS: tuple[Percentile, ...] = ("linear", "nearest_rank", "legacy_floor")


def percentile(ordered: Sequence[float], p: int, method: Percentile) -> float:
    """The p-th percentile (p in 1 … 100) of `ordered`, which must be sorted upwards.

    - `nearest_rank`: the value at rank ceil(p·n/100); always a value that occurred. The legacy analyser.
    - `linear`: interpolated at position (n-1)·p/100, Hyndman and Fan's type 7, PERCENTILE_CONT in SQL.
      The legacy alert monitor.
    - `legacy_floor`: the value at index floor(p·n/100), counted from 0. The legacy nightly metrics.

    Ranks are computed in whole numbers: in floating point 0.999·1000 is above 999, and the ceiling of
    it one rank too high.

    Raises:
        ValueError: for no values, an unknown method, or p outside 1 … 100.
    """
    n = len(ordered)
    if not n:
        raise ValueError("no values have no percentile")
    if not 1 <= p <= 100:
        raise ValueError(f"p is a percentage from 1 to 100, not {p}")
    if method == "nearest_rank":
        return ordered[-(-p * n // 100) - 1]
    if method == "legacy_floor":
        return ordered[min(p * n // 100, n - 1)]
    if method != "linear":
        raise ValueError(f"no percentile method is called {method!r}; there are {', '.join(METHODS)}")
    if n == 1:
        return ordered[0]
    # The very order of operations of the legacy monitor, so that the last binary digit agrees too.
    position = (n - 1) * (p / 100)
    low = int(position)
    high = min(low + (position > low), n - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def to_fixed(value: float, digits: int = 2) -> float:
    """`value` rounded half up on its exact binary value, as JavaScript's `Number(x.toFixed(digits))`.

    Python's `round` goes to the even neighbour, so 0.125 would come out as 0.12 there. Values of
    10^21 and more are returned as they are (ECMA-262, Number.prototype.toFixed).
    """
    if not -1e21 < value < 1e21:
        return value
    return float(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def side_by_side(ordered: Sequence[float], p: int) -> dict[str, float]:
    """The p-th percentile under every method, rounded to 2 digits."""
    return {method: to_fixed(percentile(ordered, p, method)) for method in METHODS}


class Spread(Sequence[float]):
    """Counted values as if they stood sorted upwards, each as often as it occurred."""

    def __init__(self, counts: Mapping[float, int]):
        self._values = sorted(counts)
        self._counts = [counts[value] for value in self._values]
        self._ends = list(itertools.accumulate(self._counts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        size = len(self)
        if not -size <= index < size:
            raise IndexError("no such rank")
        return self._values[bisect.bisect_right(self._ends, index % size)]

    def total(self) -> float:
        """The sum of all values, rounded once, whatever their order; what `math.fsum` gives for them."""
        values, counts = self._values, self._counts
        least = next((value for value in values[:2] if value), 0.0)
        if not values or values[0] < 0 or not _SMALL < least <= values[-1] < _LARGE or max(counts) > _COUNT:
            return math.fsum(self._products())
        # The same products, without stopping at each value.
        highs = [(t := value * _SPLIT) - (t - value) for value in values]
        lows = map(operator.sub, values, highs)
        products = itertools.chain(map(operator.mul, highs, counts), map(operator.mul, lows, counts))
        return math.fsum(products)

    def _products(self) -> Iterator[float]:
        for value, count in zip(self._values, self._counts, strict=True):
            if not value:
                continue
            if not _SMALL < abs(value) < _LARGE:
                yield from itertools.repeat(value, count)
                continue
            # Two halves of 26 bits times a count of at most 26 bits: both products are exact.
            t = value * _SPLIT
            high = t - (t - value)
            while count:
                some = min(count, _COUNT)
                yield high * some
                yield (value - high) * some
                count -= some


#: Dekker's constant, 2^27 + 1, which cuts a double into two halves; and where that stays exact.
_SPLIT = 134_217_729.0
_SMALL, _LARGE = 1e-200, 1e200
_COUNT = (1 << 26) - 1
