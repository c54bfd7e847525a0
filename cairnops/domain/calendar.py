"""Which seconds count: the opening hours of one time zone, measured in real elapsed time.

An opening is the stretch of real time from the first instant the wall clock shows its start to the
first instant it shows its end. So 09:00-17:00 is eight hours on every day of the year, 00:00-24:00 is
23 hours when the clock springs forward and 25 when it falls back, and a wall time the clock jumps over
stands for the instant of the jump.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cairnops.domain.policy import BusinessHours

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WINDOW = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)

#: Minutes after local midnight, start and end; the end may be 1440.
_Window = tuple[int, int]
#: Two UTC instants.
_Opening = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class _Schedule:
    zone: str
    week: tuple[tuple[_Window, ...], ...]


def check(hours: BusinessHours) -> list[str]:
    """What is wrong with opening hours, one sentence each; empty when they can be used.

    Refused: an unknown time zone, a day other than mon … sun, a window that is not `HH:MM-HH:MM`, ends
    before it starts or overlaps its neighbour, and a week without any opening (a clock that never runs
    hides every breach).
    """
    problems = []
    if _zone(hours.time_zone) is None:
        problems.append(f"time zone {hours.time_zone!r} is not known; use an IANA name such as Europe/Berlin")
    for day in hours.week:
        if day not in DAYS:
            problems.append(f"{day!r} is not a day; use {', '.join(DAYS)}")
    for day in DAYS:
        windows = []
        for text in hours.week.get(day, ()):
            window, problem = _window(text)
            if window is None:
                problems.append(f"{day}: {problem}")
            else:
                windows.append((window, text))
        windows.sort()
        for (earlier, first), (later, second) in pairwise(windows):
            if later[0] < earlier[1]:
                problems.append(f"{day}: {first} and {second} overlap")
    if not any(hours.week.get(day) for day in DAYS):
        problems.append("no day has an opening; leave business_hours out for round the clock")
    return problems


def open_seconds(start: datetime, end: datetime, hours: BusinessHours | None) -> int:
    """Seconds between two instants that fall into opening hours; 0 when `end` is not after `start`.

    Both instants are cut to whole seconds first, so that neighbouring spans add up exactly; counted
    time is therefore never more than a second ahead of the clock. `None` means round the clock.

    Raises:
        ValueError: for an instant without a time zone, or hours that `check` refuses.
    """
    start, end = _whole(start), _whole(end)
    if end <= start:
        return 0
    if hours is None:
        return (end - start) // _SECOND
    schedule = _schedule(hours)
    total = timedelta(0)
    for opens, closes in _openings(schedule, start, end):
        total += max(min(closes, end) - max(opens, start), timedelta(0))
    return total // _SECOND


def add_open_seconds(start: datetime, seconds: int, hours: BusinessHours | None) -> datetime:
    """The first instant (UTC) by which that many open seconds have passed since `start`.

    The inverse of `open_seconds`: `open_seconds(start, add_open_seconds(start, n, hours), hours) == n`.
    With 0 it is `start` itself, open or not.

    Raises:
        ValueError: for an instant without a time zone, a negative number, hours that `check` refuses,
            or an answer beyond the year 9999.
    """
    if seconds < 0:
        raise ValueError(f"cannot count {seconds} seconds forward")
    whole = _whole(start)
    try:
        if hours is None or seconds == 0:
            return start.astimezone(UTC) + seconds * _SECOND
        left = seconds * _SECOND
        for opens, closes in _openings(_schedule(hours), whole, None):
            begin = max(opens, whole)
            if closes - begin >= left:
                return begin + left
            left -= max(closes - begin, timedelta(0))
    except OverflowError:
        pass
    raise ValueError(f"{seconds} open seconds after {start.isoformat()} lie beyond the year 9999")


def _whole(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; times are UTC")
    return moment.astimezone(UTC).replace(microsecond=0)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A folder of the zone database ("America") is an OSError, a path ("../x") a ValueError.
        return None


def _window(text: str) -> tuple[_Window | None, str]:
    found = _WINDOW.fullmatch(text)
    if not found:
        return None, f"{text!r} is not a window; write it as 09:00-17:00"
    h1, m1, h2, m2 = (int(part) for part in found.groups())
    start, end = h1 * 60 + m1, h2 * 60 + m2
    if m1 > 59 or m2 > 59 or start >= 24 * 60 or end > 24 * 60:
        return None, f"{text!r} is not a time of day; hours run from 00:00 to 24:00"
    if end <= start:
        return None, f"{text!r} ends before it starts; split it at midnight (22:00-24:00, then 00:00-06:00)"
    return (start, end), ""


def _schedule(hours: BusinessHours) -> _Schedule:
    return _parsed(hours.time_zone, tuple((day, tuple(windows)) for day, windows in hours.week.items()))


@lru_cache(maxsize=64)
def _parsed(zone: str, week: tuple[tuple[str, tuple[str, ...]], ...]) -> _Schedule:
    given = dict(week)
    if problems := check(BusinessHours(time_zone=zone, week=given)):
        raise ValueError("business hours: " + "; ".join(problems))
    days = ([_window(text)[0] for text in given.get(day, ())] for day in DAYS)
    return _Schedule(zone, tuple(tuple(sorted(w for w in day if w)) for day in days))


def _openings(schedule: _Schedule, start: datetime, end: datetime | None) -> Iterator[_Opening]:
    """Openings in order of time from the day of `start` on; for ever when `end` is None."""
    zone = _zone(schedule.zone)
    day = start.astimezone(zone).date()
    last = end.astimezone(zone).date() if end else date.max
    while day <= last:
        yield from _day(schedule.zone, schedule.week[day.weekday()], day)
        day += _DAY


@lru_cache(maxsize=8192)
def _day(zone: str, windows: Sequence[_Window], day: date) -> tuple[_Opening, ...]:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  wall time, given its zone in _instant
    found = (
        (
            _instant(zone, midnight + timedelta(minutes=start)),
            _instant(zone, midnight + timedelta(minutes=end)),
        )
        for start, end in windows
    )
    return tuple((opens, closes) for opens, closes in found if opens < closes)


def _instant(zone: str, wall: datetime) -> datetime:
    """The first instant at which the wall clock shows `wall` or, where it jumps over it, later."""
    tz = _zone(zone)
    late = wall.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if late.astimezone(tz).replace(tzinfo=None) == wall:
        return late
    # In a gap Python reads the wall time by the offset before it (fold 0) or after it (fold 1); the
    # jump lies between the two, and zone data knows it to the second.
    early = wall.replace(tzinfo=tz, fold=1).astimezone(UTC)
    while late - early > _SECOND:
        middle = early + (late - early) // _SECOND // 2 * _SECOND
        if middle.astimezone(tz).replace(tzinfo=None) < wall:
            early = middle
        else:
            late = middle
    return late
