"""Opening hours: real elapsed time through both clock changes, and the laws of counting."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain import calendar
from cairnops.domain.policy import BusinessHours

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(zone: str, windows: str, days: tuple[str, ...] = calendar.DAYS) -> BusinessHours:
    return BusinessHours(time_zone=zone, week={day: tuple(windows.split()) for day in days})


# 2026: Edmonton springs forward on 8 March 02:00 MST (09:00Z) and falls back on 1 November 02:00 MDT (08:00Z);
# Berlin on 29 March 02:00 CET (01:00Z) and on 25 October 03:00 CEST (01:00Z).
@pytest.mark.parametrize(
    ("zone", "windows", "start", "end", "expected_h"),
    [
        pytest.param(
            "America/Edmonton",
            "09:00-17:00",
            "2026-03-08 00:00",
            "2026-03-09 06:00",
            8,
            id="Edmonton spring, a working day is 8 h",
        ),
        pytest.param(
            "America/Edmonton",
            "09:00-17:00",
            "2026-11-01 00:00",
            "2026-11-02 07:00",
            8,
            id="Edmonton autumn, a working day is 8 h",
        ),
        pytest.param(
            "America/Edmonton",
            "00:00-24:00",
            "2026-03-08 07:00",
            "2026-03-09 06:00",
            23,
            id="Edmonton spring, the whole day is 23 h",
        ),
        pytest.param(
            "America/Edmonton",
            "00:00-24:00",
            "2026-11-01 06:00",
            "2026-11-02 07:00",
            25,
            id="Edmonton autumn, the whole day is 25 h",
        ),
        pytest.param(
            "America/Edmonton",
            "01:00-04:00",
            "2026-03-08 07:00",
            "2026-03-09 06:00",
            2,
            id="Edmonton spring, a window over the gap",
        ),
        pytest.param(
            "America/Edmonton",
            "02:30-05:00",
            "2026-03-08 07:00",
            "2026-03-09 06:00",
            2,
            id="Edmonton spring, opens inside the gap: at the jump",
        ),
        pytest.param(
            "America/Edmonton",
            "01:00-02:30",
            "2026-03-08 07:00",
            "2026-03-09 06:00",
            1,
            id="Edmonton spring, closes inside the gap: at the jump",
        ),
        pytest.param(
            "America/Edmonton",
            "02:10-02:50",
            "2026-03-08 07:00",
            "2026-03-09 06:00",
            0,
            id="Edmonton spring, a window the clock jumps over",
        ),
        pytest.param(
            "America/Edmonton",
            "00:00-03:00",
            "2026-11-01 06:00",
            "2026-11-02 07:00",
            4,
            id="Edmonton autumn, a window over the fold",
        ),
        pytest.param(
            "America/Edmonton",
            "01:30-03:00",
            "2026-11-01 06:00",
            "2026-11-02 07:00",
            2.5,
            id="Edmonton autumn, opens at the first 01:30",
        ),
        pytest.param(
            "America/Edmonton",
            "00:00-01:30",
            "2026-11-01 06:00",
            "2026-11-02 07:00",
            1.5,
            id="Edmonton autumn, closes at the first 01:30",
        ),
        pytest.param(
            "Europe/Berlin",
            "09:00-17:00",
            "2026-03-28 23:00",
            "2026-03-29 22:00",
            8,
            id="Berlin spring, a working day is 8 h",
        ),
        pytest.param(
            "Europe/Berlin",
            "09:00-17:00",
            "2026-10-24 22:00",
            "2026-10-25 23:00",
            8,
            id="Berlin autumn, a working day is 8 h",
        ),
        pytest.param(
            "Europe/Berlin",
            "00:00-24:00",
            "2026-03-28 23:00",
            "2026-03-29 22:00",
            23,
            id="Berlin spring, the whole day is 23 h",
        ),
        pytest.param(
            "Europe/Berlin",
            "00:00-24:00",
            "2026-10-24 22:00",
            "2026-10-25 23:00",
            25,
            id="Berlin autumn, the whole day is 25 h",
        ),
        pytest.param(
            "Europe/Berlin",
            "01:00-02:30 03:00-05:00",
            "2026-03-28 23:00",
            "2026-03-29 22:00",
            3,
            id="Berlin spring, neighbours do not overlap over the gap",
        ),
        pytest.param(
            "Europe/Berlin",
            "00:00-02:30 02:30-05:00",
            "2026-10-24 22:00",
            "2026-10-25 23:00",
            6,
            id="Berlin autumn, neighbours tile the fold",
        ),
        pytest.param(
            "Pacific/Apia",
            "09:00-17:00",
            "2011-12-30 10:00",
            "2011-12-31 10:00",
            8,
            id="Apia, the day that never was has no opening",
        ),
        pytest.param(
            "UTC",
            "09:00-12:00 13:00-17:00",
            "2026-05-04 00:00",
            "2026-05-05 00:00",
            7,
            id="a lunch break does not count",
        ),
    ],
)
def test_elapsed_time_is_real(zone: str, windows: str, start: str, end: str, expected_h: float) -> None:
    assert calendar.open_seconds(at(start), at(end), hours(zone, windows)) == expected_h * 3600


@pytest.mark.parametrize(
    ("start", "seconds", "expected"),
    [
        pytest.param("2026-05-08 16:30", 3600, "2026-05-11 09:30", id="over the weekend"),
        pytest.param(
            "2026-05-08 16:00", 3600, "2026-05-08 17:00", id="ends at closing time, not at the next opening"
        ),
        pytest.param("2026-05-09 12:00", 1, "2026-05-11 09:00:01", id="starts while closed"),
        pytest.param("2026-05-09 12:00", 0, "2026-05-09 12:00", id="nothing to count"),
    ],
)
def test_add_open_seconds(start: str, seconds: int, expected: str) -> None:
    week = hours("UTC", "09:00-17:00", WEEKDAYS)
    assert calendar.add_open_seconds(at(start), seconds, week) == at(expected)


@pytest.mark.parametrize(
    ("zone", "week", "problem"),
    [
        pytest.param(
            "Mars/Olympus",
            {"mon": ("09:00-17:00",)},
            "time zone 'Mars/Olympus' is not known",
            id="unknown zone",
        ),
        pytest.param(
            "America", {"mon": ("09:00-17:00",)}, "time zone 'America' is not known", id="folder of zones"
        ),
        pytest.param("../etc/passwd", {"mon": ("09:00-17:00",)}, "is not known", id="path for a zone"),
        pytest.param(
            "UTC", {"monday": ("09:00-17:00",)}, "'monday' is not a day; use mon, tue", id="unknown day"
        ),
        pytest.param(
            "UTC",
            {"mon": ("9-17",)},
            "mon: '9-17' is not a window; write it as 09:00-17:00",
            id="not a window",
        ),
        pytest.param("UTC", {"mon": ("09:00-17:60",)}, "not a time of day", id="minute 60"),
        pytest.param("UTC", {"mon": ("24:00-24:00",)}, "not a time of day", id="starts at 24:00"),
        pytest.param("UTC", {"mon": ("22:00-06:00",)}, "split it at midnight", id="over midnight"),
        pytest.param("UTC", {"mon": ("09:00-09:00",)}, "ends before it starts", id="empty window"),
        pytest.param(
            "UTC",
            {"mon": ("12:00-17:00", "09:00-12:30")},
            "09:00-12:30 and 12:00-17:00 overlap",
            id="overlap",
        ),
        pytest.param("UTC", {"mon": ()}, "no day has an opening", id="never open"),
    ],
)
def test_bad_hours_are_named_and_refused(zone: str, week: dict[str, tuple[str, ...]], problem: str) -> None:
    bad = BusinessHours(time_zone=zone, week=week)
    assert any(problem in found for found in calendar.check(bad))
    with pytest.raises(ValueError, match="business hours"):
        calendar.open_seconds(at("2026-01-01 00:00"), at("2026-01-02 00:00"), bad)


def test_good_hours_have_no_problem() -> None:
    assert calendar.check(hours("America/Edmonton", "00:00-09:00 09:00-22:59 23:59-24:00")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(
            lambda: calendar.open_seconds(
                at("2026-01-01 00:00").replace(tzinfo=None), at("2026-01-02 00:00"), None
            ),
            id="naive time",
        ),
        pytest.param(lambda: calendar.add_open_seconds(at("2026-01-01 00:00"), -1, None), id="backwards"),
        pytest.param(
            lambda: calendar.add_open_seconds(at("9999-12-31 23:00"), 86_400, None), id="beyond 9999"
        ),
        pytest.param(
            lambda: calendar.add_open_seconds(at("9999-12-30 00:00"), 86_400, hours("UTC", "09:00-10:00")),
            id="beyond 9999 by opening hours",
        ),
    ],
)
def test_wrong_arguments_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"time zone|cannot count|beyond"):
        wrong()


# Around both changes of both zones, where counting goes wrong if it goes wrong anywhere.
_moments = st.sampled_from(
    [at("2026-03-08 09:00"), at("2026-11-01 08:00"), at("2026-03-29 01:00"), at("2026-10-25 01:00")]
).flatmap(lambda change: st.integers(-5 * 86_400, 5 * 86_400).map(lambda s: change + timedelta(seconds=s)))
_windows = st.lists(st.integers(0, 96), min_size=2, max_size=6, unique=True).map(
    lambda quarters: tuple(
        f"{a // 4:02}:{a % 4 * 15:02}-{b // 4:02}:{b % 4 * 15:02}"
        for a, b in zip(*[iter(sorted(quarters)[: len(quarters) // 2 * 2])] * 2, strict=True)
    )
)
_hours = st.one_of(
    st.none(),
    st.builds(
        BusinessHours,
        time_zone=st.sampled_from(["America/Edmonton", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]),
        week=st.dictionaries(st.sampled_from(calendar.DAYS), _windows, min_size=1),
    ),
)


_parts = st.timedeltas(timedelta(0), timedelta(microseconds=999_999))


@given(
    moments=st.lists(st.builds(lambda m, p: m + p, _moments, _parts), min_size=3, max_size=3),
    week=_hours,
)
def test_neighbouring_spans_add_up(moments: list[datetime], week: BusinessHours | None) -> None:
    a, b, c = sorted(moments)
    parts = calendar.open_seconds(a, b, week) + calendar.open_seconds(b, c, week)
    assert parts == calendar.open_seconds(a, c, week)


@given(start=_moments, seconds=st.integers(0, 500_000), week=_hours)
def test_adding_is_the_inverse_of_measuring(
    start: datetime, seconds: int, week: BusinessHours | None
) -> None:
    end = calendar.add_open_seconds(start, seconds, week)
    assert calendar.open_seconds(start, end, week) == seconds
    if seconds:
        earlier = end - timedelta(seconds=1)
        assert calendar.open_seconds(start, earlier, week) == seconds - 1, "not the first such instant"


@given(start=_moments, ends=st.tuples(_moments, _moments), week=_hours)
def test_time_never_runs_backwards(start: datetime, ends: tuple[datetime, datetime], week) -> None:
    sooner, later = sorted(ends)
    span = calendar.open_seconds(start, sooner, week)
    assert 0 <= span <= calendar.open_seconds(start, later, week)
    assert span <= calendar.open_seconds(start, sooner, None)


@given(start=_moments, end=_moments)
def test_round_the_clock_is_the_plain_difference(start: datetime, end: datetime) -> None:
    plain = max(int((end - start).total_seconds()), 0)
    assert calendar.open_seconds(start, end, None) == plain
    assert calendar.open_seconds(start, end, hours("America/Edmonton", "00:00-24:00")) == plain
