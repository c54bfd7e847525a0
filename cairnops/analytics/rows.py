"""What one row of an export says: how it ended, how long it took, when, and what went wrong."""

import functools
import math
import re
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from cairnops.analytics.dialects import (
    CAIRNOPS,
    FAILURE_WORDS,
    FALSE_WORDS,
    SUCCESS_WORDS,
    TRUE_WORDS,
)
from cairnops.analytics.javascript import as_float, json_text, number_text

Class = Literal["success", "failure", "unknown"]
#: Whether a fact was there: `missing` under every name, or present and `unreadable`.
Presence = Literal["read", "missing", "unreadable"]

_UNIT_MS = {"": 1, "ms": 1, "msec": 1, "s": 1000, "sec": 1000, "m": 60_000, "min": 60_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Numbers above this are milliseconds since 1970, others seconds; 10^10 s is the year 2286.
_MS_ABOVE = 10_000_000_000
_LAST_YEAR_MS = 253_402_300_799_999


class Row(NamedTuple):
    """One row as figures see it. Times are milliseconds since 1970 UTC, durations milliseconds."""

    kind: Class
    status: str | None
    scope: str | None
    #: `HTTP_503` when a failure carries only an HTTP status.
    code: str | None
    message: str | None
    duration: float | None
    duration_presence: Presence
    #: Tries after the first.
    retries: float | None
    attempt: float | None
    time: int | None
    time_presence: Presence
    #: The time was written without a zone and taken for UTC.
    zoneless: bool
    decision_id: str | None

    @property
    def cause(self) -> str:
        """What a failure is counted under: its code, else its words, else a status that says so."""
        told = self.status if self.status and self.status.lower() not in SUCCESS_WORDS else None
        return self.code or self.message or told or "unknown"


def read(row: dict[str, Any], *, seconds_below_ten: bool) -> Row:
    """Read a record under any name either legacy tool knows (`dialects.CAIRNOPS`).

    `seconds_below_ten` reads a duration below 10 as seconds, as one legacy tool did.
    """
    there = _there(tuple(row))
    status = _text(row, there.status)
    code = _text(row, there.error_code)
    message, blamed = _message(row, there.error_message)
    duration, duration_presence = _duration(row, there.duration, seconds_below_ten)
    time, time_presence, zoneless = _time(row, there.timestamp)
    attempt = _number(row, there.attempt)
    retries = _number(row, there.retries)
    if retries is None and attempt is not None:
        retries = attempt - 1 if attempt > 1 else 0.0
    http = _number(row, there.http_status)
    kind = _class(row, there, status, http, blamed or code is not None)
    if code is None and kind == "failure" and http is not None and http >= 400:
        code = f"HTTP_{number_text(http)}"
    scope, decision_id = _text(row, there.scope), _text(row, there.decision_id)
    # By position: naming thirteen arguments takes as long as filling them.
    return Row(
        kind, status, scope, code, message, duration, duration_presence, retries, attempt, time, time_presence,
        zoneless, decision_id,
    )  # fmt: skip


#: Where a value stands: a key, and the keys inside it.
_Paths = tuple[tuple[str, tuple[str, ...]], ...]


class _There(NamedTuple):
    """For each fact the places it may stand at in rows with certain keys, in order of precedence."""

    status: _Paths
    http_status: _Paths
    flag: _Paths
    denial: _Paths
    error_code: _Paths
    error_message: _Paths
    duration: _Paths
    retries: _Paths
    attempt: _Paths
    timestamp: _Paths
    decision_id: _Paths
    scope: _Paths


@functools.lru_cache(maxsize=4096)
def _there(keys: tuple[str, ...]) -> _There:
    """Where each fact may stand in a row with these keys; most rows have the same ones."""
    out = {}
    for fact in _There._fields:
        split = [name.split(".") for name in getattr(CAIRNOPS, fact)]
        out[fact] = tuple((head, tuple(rest)) for head, *rest in split if head in keys)
    return _There(**out)


#: Nothing stands there, not even null.
_ABSENT = object()


def _inside(value: Any, rest: tuple[str, ...]) -> Any:
    for part in rest:
        if not isinstance(value, dict) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _class(row: dict[str, Any], there: _There, status: str | None, http: float | None, error: bool) -> Class:
    """The order is precedence: a flag, the status word, the HTTP status, an error, a denial."""
    for head, rest in there.flag:
        value = _inside(row[head], rest)
        word = value if isinstance(value, bool) else value.strip().lower() if isinstance(value, str) else None
        if word is True or word in TRUE_WORDS:
            return "success"
        if word is False or word in FALSE_WORDS:
            return "failure"
    word = (status or "").lower()
    if word in SUCCESS_WORDS:
        return "success"
    if word in FAILURE_WORDS:
        return "failure"
    # Ours for "nobody could find out"; its error code says why, not that it failed.
    if word == "unknown":
        return "unknown"
    if http is not None and http >= 200:
        return "success" if http < 400 else "failure"
    if error or any(_inside(row[head], rest) is False for head, rest in there.denial):
        return "failure"
    return "unknown"


def _text(row: dict[str, Any], paths: _Paths) -> str | None:
    for head, rest in paths:
        value = row[head] if not rest else _inside(row[head], rest)
        if isinstance(value, str):
            if stripped := value.strip():
                return stripped
        elif isinstance(value, int) and not isinstance(value, bool):
            return str(value) if abs(value) < 10**30 else number_text(value)
        elif isinstance(value, float) and math.isfinite(value):
            return number_text(value)
    return None


@functools.cache
def _duration_form() -> re.Pattern[str]:
    # Numbers are seldom written as text: the others do not wait for this.
    return re.compile(
        r"([+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(ms|msec|s|sec|m|min)?", re.IGNORECASE
    )


def _with_unit(text: str) -> re.Match[str] | None:
    """A number, and its unit if it has one."""
    return _duration_form().fullmatch(text)


def _number(row: dict[str, Any], paths: _Paths) -> float | None:
    """The first number of at least 0 under `paths`; text counts when it is a number and nothing else."""
    for head, rest in paths:
        value = row[head] if not rest else _inside(row[head], rest)
        kind = type(value)
        if kind is str and (match := _with_unit(value.strip())) and not match[2]:
            value, kind = float(match[1]), float
        if kind is int or kind is float:
            number = as_float(value)
            if math.isfinite(number) and number >= 0:
                return number
    return None


def _message(row: dict[str, Any], paths: _Paths) -> tuple[str | None, bool]:
    """The words about what happened, and whether they say that something failed."""
    for head, rest in paths:
        value = row[head] if not rest else _inside(row[head], rest)
        if isinstance(value, str) and value.strip():
            return value.strip(), True
        if isinstance(value, dict | list) and value:
            inner = value.get("message") if isinstance(value, dict) else None
            return (inner if isinstance(inner, str) and inner else json_text(value)), True
        if isinstance(value, int | float) and value:
            return json_text(value), True
    words = row.get("message")
    return (words.strip() or None if isinstance(words, str) else None), False


def read_duration(row: dict[str, Any], *, seconds_below_ten: bool) -> tuple[float | None, Presence]:
    """How long it took in milliseconds, and whether that was there to be read."""
    return _duration(row, _there(tuple(row)).duration, seconds_below_ten)


def _duration(row: dict[str, Any], paths: _Paths, seconds_below_ten: bool) -> tuple[float | None, Presence]:
    presence: Presence = "missing"
    for head, rest in paths:
        value = row[head] if not rest else _inside(row[head], rest)
        if value is None or value is _ABSENT:
            continue
        presence = "unreadable"
        factor = 1
        if isinstance(value, str):
            match = _with_unit(value.strip())
            if match is None:
                continue
            value, factor = float(match[1]), _UNIT_MS[(match[2] or "").lower()]
        if type(value) is not int and type(value) is not float:
            continue
        number = as_float(value) * factor
        if not math.isfinite(number) or number < 0:
            continue
        if seconds_below_ten and number < 10:
            number *= 1000
        return number, "read"
    return None, presence


def _time(row: dict[str, Any], paths: _Paths) -> tuple[int | None, Presence, bool]:
    presence: Presence = "missing"
    for head, rest in paths:
        value = row[head] if not rest else _inside(row[head], rest)
        if value is None or value is _ABSENT:
            continue
        presence = "unreadable"
        if isinstance(value, str):
            read_at = _time_of_text(value.strip())
            if read_at is not None:
                return read_at[0], "read", read_at[1]
        elif type(value) is int or type(value) is float:
            time = as_float(value) * (1 if value > _MS_ABOVE else 1000)
            if 0 <= time <= _LAST_YEAR_MS:
                return int(time), "read", False
    return None, presence, False


def read_time(text: str) -> int | None:
    """A time in ISO 8601 in milliseconds since 1970 UTC; None for anything else."""
    found = _time_of_text(text)
    return None if found is None else found[0]


def _time_of_text(text: str) -> tuple[int, bool] | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    zoneless = at.tzinfo is None
    try:
        since = (at.replace(tzinfo=UTC) if zoneless else at.astimezone(UTC)) - _EPOCH
    except OverflowError:
        return None
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000, zoneless
