"""What a JavaScript program would have made of a JSON value: the legacy figures depend on it.

Source: ECMA-262 (Number, String, Date) as far as rows of an export can reach it. Strings that only
V8's lenient date parser accepts ("12", "abc 1") are unreadable here, and a time without a zone is
UTC, while the legacy tools took the zone of the machine they ran on.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any

_WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_PARSE_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_INDEX = re.compile(r"0|[1-9]\d{0,9}")
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


def trim(text: str) -> str:
    """Without the white space `String.prototype.trim` takes off, which includes the byte order mark."""
    return text.strip(_WHITESPACE)


def truthy(value: object) -> bool:
    """Whether `if (value)` holds; empty arrays and objects do."""
    if isinstance(value, list | dict):
        return True
    return bool(value) and value == value


def number_text(value: float) -> str:
    """A finite number as `String(number)` writes it: `1`, `0.5`, `1e+21`, `1e-7`."""
    value = as_float(value)
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if not value:
        return "0"
    exact = Decimal(repr(value)).normalize()
    if 1e-6 <= abs(value) < 1e21:
        return format(exact, "f")
    sign, digits, _ = exact.as_tuple()
    head, tail = str(digits[0]), "".join(map(str, digits[1:]))
    exponent = exact.adjusted()
    return f"{'-' if sign else ''}{head}{'.' + tail if tail else ''}e{exponent:+d}"


def as_float(value: float) -> float:
    """A JSON number as the double it becomes; an integer too large for one is an infinity."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def plain(value: float) -> float:
    """A number as JSON would show it: 2.0 as 2, and beyond 2^53 only the digits that tell it apart."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(number_text(value))
    return value


def text_of(value: object) -> str:
    """`String(value)`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, list):
        return ",".join("" if inner is None else text_of(inner) for inner in value)
    return "[object Object]"


def json_text(value: Any) -> str:
    """`JSON.stringify(value)`: no spaces, whole-number keys first, numbers as `number_text` has them."""
    if isinstance(value, dict):
        kept = as_kept(value)
        return "{" + ",".join(f"{json_text(k)}:{json_text(inner)}" for k, inner in kept.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value) if math.isfinite(as_float(value)) else "null"
    return json.dumps(value, ensure_ascii=False)


def index_first(counts: dict[str, int]) -> dict[str, int]:
    """Keys in the order a JavaScript object keeps them: whole numbers upwards, then as they came."""
    indices = sorted((k for k in counts if _INDEX.fullmatch(k)), key=int)
    return {k: counts[k] for k in (*indices, *(k for k in counts if not _INDEX.fullmatch(k)))}


def as_kept(value: Any) -> Any:
    """A JSON value as the program kept it: every number a double, whole-number keys first."""
    if isinstance(value, dict):
        indices = sorted((k for k in value if _INDEX.fullmatch(k)), key=int)
        keys = (*indices, *(k for k in value if not _INDEX.fullmatch(k)))
        return {k: as_kept(value[k]) for k in keys}
    if isinstance(value, list):
        return [as_kept(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = as_float(value)
        return plain(value) if math.isfinite(value) else None
    return value


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


def round_half_up(value: float) -> int:
    """`Math.round`: halves go up, so -0.5 is 0."""
    floor = math.floor(value)
    return floor + (value - floor >= 0.5)


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


def iso(time: int) -> str:
    """`new Date(time).toISOString()`: `2025-10-09T14:05:22.318Z`."""
    days, rest = divmod(time, _DAY)
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    day, month = of_year - (153 * shifted + 2) // 5 + 1, shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    seconds, ms = divmod(rest, 1000)
    shown = f"{year:04d}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06d}"
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{shown}-{month:02d}-{day:02d}T{clock}.{ms:03d}Z"
