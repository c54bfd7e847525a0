"""What a JavaScript program would have read out of a JSON value: a number, or a time.

Source: ECMA-262 (Number, String, Date) as far as rows of an export can reach it. Strings that only
V8's lenient date parser accepts ("12", "abc 1") are unreadable here, and a time without a zone is
UTC, while the legacy tools took the zone of the machine they ran on.
"""

import math
import re

from cairnops.analytics.javascript import as_float, text_of, trim

_PARSE_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
#: The widest time value, milliseconds either side of 1970.
_WIDEST = 8.64e15
_DAY = 86_400_000

_ISO = re.compile(
    r"(?P<y>\d{4}|[+-]\d{6})(?:-(?P<mo>\d\d)(?:-(?P<d>\d\d))?)?"
    r"(?:T(?P<h>\d\d):(?P<mi>\d\d)(?::(?P<s>\d\d)(?:\.(?P<f>\d+))?)?(?P<z>Z|[+-]\d\d:\d\d)?)?"
)
_LOOSE = re.compile(
    r"(?P<y>\d{4})[-/](?P<mo>\d{1,2})[-/](?P<d>\d{1,2})"
    r"(?:(?:[Tt]| +)(?P<h>\d\d):(?P<mi>\d\d)(?::(?P<s>\d\d)(?:\.(?P<f>\d+))?)?"
    r"(?P<z> ?(?:[Zz]|GMT|UTC|[+-]\d\d(?::?\d\d)?))?)?"
)
# After a `T` V8 takes an offset of hours only, and words for the zone, as nonsense.
_NOT_AFTER_T = re.compile(r"[Tt].*(?:[+-]\d\d| .*|[GU].*)$")


def parse_float(text: str) -> float | None:
    """`Number.parseFloat`, None for anything not finite: it reads "1.5s" as 1.5."""
    match = _PARSE_FLOAT.match(trim(text))
    value = float(match[0]) if match else math.nan
    return value if math.isfinite(value) else None


def number_of(value: object) -> float:
    """`Number(value)`, NaN where it is not a number."""
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return as_float(value)
    if isinstance(value, dict):
        return math.nan
    text = trim(text_of(value))
    if not text:
        return 0.0
    if _PARSE_FLOAT.fullmatch(text):
        return float(text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+", text):
        return as_float(int(text, 0))
    if text.lstrip("+-") == "Infinity":
        return -math.inf if text[0] == "-" else math.inf
    return math.nan


def time_of(value: object) -> int | None:
    """Milliseconds since 1970 of `new Date(value)`, None for an invalid date."""
    if isinstance(value, dict):
        return None
    if isinstance(value, bool | int | float):
        number = as_float(value)
        return int(number) if abs(number) <= _WIDEST else None
    return _time_of_text(text_of(value))


def _time_of_text(text: str) -> int | None:
    match = _ISO.fullmatch(text)
    if match is None:
        match = _LOOSE.fullmatch(text)
        if match is None or _NOT_AFTER_T.search(text):
            return _time_of_mail_date(text)
    f = match.groupdict()
    month, day = int(f["mo"] or 1), int(f["d"] or 1)
    hour, minute, second = int(f["h"] or 0), int(f["mi"] or 0), int(f["s"] or 0)
    millisecond = int(((f["f"] or "") + "000")[:3])
    end_of_day = hour == 24 and not (minute or second or millisecond)
    if not (1 <= month <= 12 and 1 <= day <= 31 and (hour < 24 or end_of_day)):
        return None
    if minute > 59 or second > 59:
        return None
    days = _days(int(f["y"]), month, day)
    time = days * _DAY + ((hour * 60 + minute) * 60 + second) * 1000 + millisecond - _offset(f["z"])
    return time if abs(time) <= _WIDEST else None


def _offset(zone: str | None) -> int:
    if not zone or zone.strip() in ("Z", "z", "GMT", "UTC"):
        return 0
    digits = zone.strip()[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return minutes * 60_000 * (-1 if zone.strip()[0] == "-" else 1)


def _time_of_mail_date(text: str) -> int | None:
    if not re.search(r"[A-Za-z]{3}\b.*\d{4}.*\d\d:\d\d", text):
        return None
    # Heavy, and wanted once in a blue moon.
    from email.utils import parsedate_tz

    parts = parsedate_tz(text)
    if parts is None:
        return None
    year, month, day, hour, minute, second = parts[:6]
    days = _days(year, month, day)
    return days * _DAY + ((hour * 60 + minute) * 60 + second - (parts[9] or 0)) * 1000


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the proleptic Gregorian calendar; the day may overflow the month."""
    year -= month <= 2
    shifted = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * shifted + 2) // 5 + day - 1 - 719_468
