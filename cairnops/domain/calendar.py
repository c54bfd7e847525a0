"""Which seconds count: the opening hours of one time zone, measured in real elapsed time.

An opening is the stretch of real time from the first instant the wall clock shows its start to the
first instant it shows its end. So 09:00-17:00 is eight hours on every day of the year, 00:00-24:00 is
23 hours when the clock springs forward and 25 when it falls back, and a wall time the clock jumps over
stands for the instant of the jump.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cairnops.domain.policy import BusinessHours

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WINDOW = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

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
    if hours is None:
        return max(_second(end) - _second(start), 0)
    first, last = _second(start), _second(end)
    if last <= first:
        return 0
    schedule = _schedule(_Same(hours))
    zone = _zone(schedule.zone)
    years = range(start.astimezone(zone).year, end.astimezone(zone).year + 1)
    return sum(year.until(last) - year.until(first) for year in (_year(schedule, y) for y in years))


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
    _check_zone(start)
    try:
        if hours is None or seconds == 0:
            return start.astimezone(UTC) + timedelta(seconds=seconds)
        schedule, left = _schedule(_Same(hours)), seconds
        for number in range(start.astimezone(_zone(schedule.zone)).year, MAXYEAR + 1):
            year = _year(schedule, number)
            gone = year.until(_second(start))
            if gone + left <= year.total:
                return _EPOCH + timedelta(seconds=year.reached(gone + left))
            left -= year.total - gone
    except OverflowError:
        pass
    raise ValueError(f"{seconds} open seconds after {start.isoformat()} lie beyond the year 9999")


def _second(moment: datetime) -> int:
    """The whole second it lies in, since 1970."""
    _check_zone(moment)
    since = moment - _EPOCH
    return since.days * 86400 + since.seconds


def _check_zone(moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; times are UTC")


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


class _Same:
    """Opening hours as a key: the same object, because what holds a dictionary has no hash."""

    __slots__ = ("hours",)

    def __init__(self, hours: BusinessHours):
        self.hours = hours

    def __hash__(self) -> int:
        return id(self.hours)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.hours is self.hours


@lru_cache(maxsize=64)
def _schedule(same: _Same) -> _Schedule:
    hours = same.hours
    return _parsed(hours.time_zone, tuple((day, tuple(windows)) for day, windows in hours.week.items()))


@lru_cache(maxsize=64)
def _parsed(zone: str, week: tuple[tuple[str, tuple[str, ...]], ...]) -> _Schedule:
    given = dict(week)
    if problems := check(BusinessHours(time_zone=zone, week=given)):
        raise ValueError("business hours: " + "; ".join(problems))
    days = ([_window(text)[0] for text in given.get(day, ())] for day in DAYS)
    return _Schedule(zone, tuple(tuple(sorted(w for w in day if w)) for day in days))


class _Year:
    """The openings of one year, added up; seconds since 1970."""

    __slots__ = ("_after", "_closes", "_opens", "total")

    def __init__(self, openings: Iterable[tuple[int, int]]):
        spans = list(openings)
        self._opens = [opens for opens, _ in spans]
        self._closes = [closes for _, closes in spans]
        #: Open seconds up to the end of each.
        self._after = list(accumulate(closes - opens for opens, closes in spans))
        self.total = self._after[-1] if spans else 0

    def until(self, moment: int) -> int:
        """Open seconds before that moment."""
        place = bisect_right(self._opens, moment) - 1
        if place < 0:
            return 0
        return self._after[place] - max(self._closes[place] - moment, 0)

    def reached(self, seconds: int) -> int:
        """The first moment by which so many (1 to `total`) have passed."""
        place = bisect_left(self._after, seconds)
        return self._closes[place] - (self._after[place] - seconds)


@lru_cache(maxsize=256)
def _year(schedule: _Schedule, year: int) -> _Year:
    first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    days = map(date.fromordinal, range(first, last + 1))
    return _Year(
        (_second(opens), _second(closes))
        for day in days
        for opens, closes in _day(schedule.zone, schedule.week[day.weekday()], day)
    )


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
