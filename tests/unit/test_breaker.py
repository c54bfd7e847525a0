"""When a help desk counts as down, and how often it is asked whether it is back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain import breaker, delivery
from cairnops.domain.breaker import Line, Outage
from cairnops.domain.delivery import Answer, Failure, Result
from cairnops.domain.policy import DeliveryPolicy

T0 = datetime(2025, 10, 16, 17, 3, tzinfo=UTC)
FIVE = DeliveryPolicy(outage_after=5, ask_again_ms=1000)
DOWN = Outage(since=T0, error="ECONNREFUSED", ask_ms=5000)


@pytest.mark.parametrize(
    ("result", "silent"),
    [
        *(
            pytest.param(delivery.of_status(s), False, id=f"{s} answers")
            for s in (200, 401, 404, 408, 422, 429)
        ),
        *(pytest.param(delivery.of_status(s), True, id=f"{s} is nobody") for s in (500, 502, 503, 504)),
        pytest.param(delivery.of_failure(Failure.MALFORMED), False, id="what nobody can read is an answer"),
        *(
            pytest.param(delivery.of_failure(f), True, id=f"{f} is nobody")
            for f in Failure
            if f is not Failure.MALFORMED
        ),
        pytest.param(Result(answer=Answer.OK), False, id="done"),
    ],
)
def test_what_counts_as_silence(result: Result, silent: bool) -> None:
    assert breaker.silent(result) is silent


@pytest.mark.parametrize(
    ("run", "last", "asked"),
    [
        pytest.param(1, False, False, id="once is an accident"),
        pytest.param(4, False, False, id="one short"),
        pytest.param(5, False, True, id="as often as the policy says"),
        pytest.param(6, False, True, id="more often"),
        pytest.param(1, True, True, id="an effect would end with it"),
    ],
)
def test_when_it_is_asked_whether_anybody_is_there(run: int, last: bool, asked: bool) -> None:
    assert breaker.to_be_asked(run, FIVE, last=last) is asked


@pytest.mark.parametrize(
    ("failed", "deaf"),
    [
        pytest.param([], False, id="none"),
        pytest.param(["a", "b", "a", "b"], False, id="one short"),
        pytest.param(["a", "b", "a", "b", "a"], True, id="as often as the policy says"),
        pytest.param(["a", "a", "a", "a", "a"], False, id="one effect alone"),
        pytest.param(["a", "a", "a", "a", "b"], True, id="the second one too"),
    ],
)
def test_when_it_takes_nothing(failed: list[str], deaf: bool) -> None:
    assert breaker.takes_nothing(failed, FIVE) is deaf


@pytest.mark.parametrize(
    ("ended", "tried", "vain"),
    [
        pytest.param(None, 1000, True, id="while it lasts"),
        pytest.param(None, -800, True, id="how it was noticed"),
        pytest.param(None, -801, False, id="before"),
        pytest.param(2000, 1999, True, id="until its end"),
        pytest.param(2000, 2000, False, id="afterwards"),
        pytest.param(2000, None, False, id="nobody saw its end"),
    ],
)
def test_which_tries_were_in_vain(ended: int | None, tried: int | None, vain: bool) -> None:
    def at(ms: int | None) -> datetime | None:
        return None if ms is None else T0 + timedelta(milliseconds=ms)

    policy = replace(FIVE, timeout_ms=500, settle_ms=300)
    assert breaker.in_vain(replace(DOWN, ended=at(ended)), at(tried), policy) is vain
    assert not breaker.in_vain(None, at(tried), policy)


@pytest.mark.parametrize(
    ("outage", "now_ms", "stands"),
    [
        pytest.param(None, 0, Line.OPEN, id="there never was one"),
        pytest.param(replace(DOWN, ended=T0), 9000, Line.OPEN, id="it is over"),
        pytest.param(DOWN, 4999, Line.DOWN, id="before it is asked again"),
        pytest.param(DOWN, 5000, Line.ASK, id="at its moment"),
        pytest.param(DOWN, 99_000, Line.ASK, id="long after"),
        pytest.param(DOWN, 2000, Line.DOWN, id="two turns before its moment"),
        pytest.param(DOWN, 1999, Line.ASK, id="a moment only a wrong clock can have named"),
    ],
)
def test_how_the_line_stands(outage: Outage | None, now_ms: int, stands: Line) -> None:
    assert breaker.line(outage, now_ms, FIVE) is stands


def test_an_outage_keeps_its_beginning_and_tells_its_latest_error() -> None:
    begun = breaker.begun("ECONNREFUSED", T0, 7000, FIVE)
    assert begun == Outage(since=T0, error="ECONNREFUSED", ask_ms=8000)
    lasting = breaker.lasting(begun, "HTTP_503", 9000, FIVE)
    assert lasting == Outage(since=T0, error="HTTP_503", ask_ms=10_000)
    assert breaker.lasting(begun, "", 9000, FIVE).error == "ECONNREFUSED"
    assert breaker.over(lasting, T0).ended == T0


@pytest.mark.parametrize(
    ("outage", "said"),
    [
        pytest.param(None, "", id="none"),
        pytest.param(replace(DOWN, ended=T0), "", id="over"),
        pytest.param(DOWN, "the help desk has not answered since 17:03 UTC (ECONNREFUSED)", id="lasting"),
        pytest.param(
            replace(DOWN, error="write HTTP_503"),
            "the help desk has taken nothing since 17:03 UTC (HTTP_503)",
            id="it answers and takes nothing",
        ),
        pytest.param(
            replace(DOWN, error=""), "the help desk has not answered since 17:03 UTC", id="nobody knows why"
        ),
    ],
)
def test_why_nothing_is_sent(outage: Outage | None, said: str) -> None:
    assert breaker.why(outage) == said


@given(
    looks=st.lists(st.integers(0, 3000), max_size=60),
    workers=st.integers(1, 8),
    back_after=st.integers(0, 60),
)
def test_however_many_workers_look_an_interval_sees_one_question(
    looks: list[int], workers: int, back_after: int
) -> None:
    """Every worker looks at the line at every moment given; whoever finds it due asks, and the others wait."""
    outage, now, asked = breaker.begun("ECONNREFUSED", T0, 0, FIVE), 0, list[int]()
    for number, pause in enumerate(looks):
        now += pause
        for _ in range(workers):
            if breaker.line(outage, now, FIVE) is Line.ASK:
                asked.append(now)
                back = number >= back_after
                outage = (
                    breaker.over(outage, T0 + timedelta(milliseconds=now))
                    if back
                    else breaker.lasting(outage, "ECONNREFUSED", now, FIVE)
                )
    gaps = [later - sooner for sooner, later in zip([0, *asked], asked, strict=False)]
    assert all(gap >= FIVE.ask_again_ms for gap in gaps)
    assert breaker.line(outage, now, FIVE) is not Line.ASK
