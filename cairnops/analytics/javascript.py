"""How a JavaScript program writes a JSON value, and what it holds it for: the legacy figures depend on it.

Source: ECMA-262 (Number, String, Date) as far as rows of an export can reach it. What such a program
reads out of a text is in `javascript_read`, for which nobody waits who counts in our own way.
"""

import json
import math
from decimal import Decimal
from typing import Any

_WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_DAY = 86_400_000


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
    indices = sorted((k for k in counts if _is_index(k)), key=int)
    return {k: counts[k] for k in (*indices, *(k for k in counts if not _is_index(k)))}


def _is_index(key: str) -> bool:
    return key == "0" or ("1" <= key[:1] <= "9" and len(key) <= 10 and key.isdecimal())


def as_kept(value: Any) -> Any:
    """A JSON value as the program kept it: every number a double, whole-number keys first."""
    if isinstance(value, dict):
        indices = sorted((k for k in value if _is_index(k)), key=int)
        keys = (*indices, *(k for k in value if not _is_index(k)))
        return {k: as_kept(value[k]) for k in keys}
    if isinstance(value, list):
        return [as_kept(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = as_float(value)
        return plain(value) if math.isfinite(value) else None
    return value


def round_half_up(value: float) -> int:
    """`Math.round`: halves go up, so -0.5 is 0."""
    floor = math.floor(value)
    return floor + (value - floor >= 0.5)


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
