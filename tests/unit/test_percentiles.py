"""Three definitions of a percentile, and rounding as the legacy tools rounded."""

import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.analytics.percentiles import METHODS, Spread, percentile, side_by_side, to_fixed

SAMPLE = [198.77, 241.12, 265.43, 1500.55]


@pytest.mark.parametrize(
    ("p", "method", "expected"),
    [
        pytest.param(50, "nearest_rank", 241.12, id="p50-nearest-rank"),
        pytest.param(95, "nearest_rank", 1500.55, id="p95-nearest-rank"),
        pytest.param(50, "linear", 253.28, id="p50-linear"),
        pytest.param(95, "linear", 1315.28, id="p95-linear"),
        pytest.param(50, "legacy_floor", 265.43, id="median-of-the-nightly-metrics"),
        pytest.param(90, "legacy_floor", 1500.55, id="p90-of-the-nightly-metrics"),
        pytest.param(100, "linear", 1500.55, id="p100-linear"),
        pytest.param(100, "nearest_rank", 1500.55, id="p100-nearest-rank"),
        pytest.param(100, "legacy_floor", 1500.55, id="p100-floor"),
        pytest.param(1, "nearest_rank", 198.77, id="p1"),
    ],
)
def test_the_four_sample_durations(p, method, expected):
    assert to_fixed(percentile(SAMPLE, p, method)) == expected


def test_side_by_side_names_every_method():
    assert side_by_side(SAMPLE, 95) == {"linear": 1315.28, "nearest_rank": 1500.55, "legacy_floor": 1500.55}


@pytest.mark.parametrize("method", METHODS)
def test_one_value_is_every_percentile(method):
    assert [percentile([7.5], p, method) for p in (1, 50, 100)] == [7.5, 7.5, 7.5]


@pytest.mark.parametrize(
    ("values", "p", "method"),
    [
        pytest.param([], 50, "linear", id="no-values"),
        pytest.param([1.0], 0, "linear", id="p0"),
        pytest.param([1.0], 101, "nearest_rank", id="p101"),
        pytest.param([1.0, 2.0], 50, "median", id="unknown-method"),
    ],
)
def test_what_has_no_percentile_is_refused(values, p, method):
    with pytest.raises(ValueError, match=r"percentile|percentage"):
        percentile(values, p, method)


NUMBERS = st.lists(st.integers(-(10**6), 10**6).map(float), min_size=1, max_size=60).map(sorted)


@settings(deadline=None)
@given(values=NUMBERS, p=st.integers(1, 100))
def test_nearest_rank_is_the_first_value_with_enough_at_or_below_it(values, p):
    got = percentile(values, p, "nearest_rank")
    need = Fraction(p * len(values), 100)
    assert sum(v <= got for v in values) >= need
    assert sum(v < got for v in values) < need


@settings(deadline=None)
@given(values=NUMBERS.filter(lambda v: len(v) > 1), p=st.integers(1, 99))
def test_linear_is_the_inclusive_method_of_the_standard_library(values, p):
    expected = statistics.quantiles(values, n=100, method="inclusive")[p - 1]
    assert math.isclose(percentile(values, p, "linear"), expected, rel_tol=1e-9, abs_tol=1e-6)


@settings(deadline=None)
@given(values=NUMBERS, p=st.integers(1, 99), method=st.sampled_from(METHODS))
def test_percentiles_stay_inside_and_do_not_fall(values, p, method):
    low, high = percentile(values, p, method), percentile(values, p + 1, method)
    assert values[0] <= low <= values[-1]
    assert low <= high or math.isclose(low, high, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        pytest.param(0.125, 2, 0.13, id="half-goes-up-where-round-goes-even"),
        pytest.param(1.005, 2, 1.0, id="a-half-that-is-below-it-in-binary"),
        pytest.param((9.99 + 10) / 2, 2, 10.0, id="a-half-that-is-above-it-in-binary"),
        pytest.param(-0.125, 2, -0.13, id="away-from-zero-below-it"),
        pytest.param(4 / 11, 4, 0.3636, id="a-rate"),
        pytest.param(1e21, 2, 1e21, id="too-large-to-have-digits"),
        pytest.param(123456789012345680000.0, 2, 123456789012345680000.0, id="just-below-that"),
        pytest.param(math.inf, 2, math.inf, id="infinity"),
    ],
)
def test_to_fixed_rounds_as_javascript_does(value, digits, expected):
    assert to_fixed(value, digits) == expected


_VALUE = st.one_of(
    st.decimals(0, 10_000, places=2).map(float), st.floats(0, 1e12), st.floats(-1e300, 1e300), st.just(0.0)
)


@given(counts=st.dictionaries(_VALUE, st.one_of(st.integers(1, 5000), st.integers(1, 1 << 30)), max_size=12))
def test_the_sum_of_counted_values_is_rounded_once(counts):
    exact = sum((Fraction(value) * count for value, count in counts.items()), Fraction())
    small = all(not value or 1e-200 < abs(value) < 1e200 for value in counts)
    if small or sum(counts.values()) < 10_000:
        assert Spread(counts).total() == float(exact)
