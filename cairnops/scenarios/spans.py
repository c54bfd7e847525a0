"""How a pack writes time: before the scenario, after its start, or around the session."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

#: A pack rehearses days, not decades; this also keeps every date a calendar can hold.
MAX_OFFSET = timedelta(days=366)

_SPAN = re.compile(r"(?P<sign>[+-]?)(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?")
_SPAN_SCHEMA = r"^[+-]?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"


def parse_span(text: object) -> timedelta:
    """Read a relative time: `-3h`, `+25h30m`, `2d`, `0m`; days, hours, minutes, seconds in that order.

    Raises:
        ValueError: when it is not one, or further away than a year.
    """
    if isinstance(text, timedelta):
        return text
    found = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if found is None or not any(found[unit] for unit in "dhms"):
        raise ValueError(f"{text!r} is not a relative time; write it like -3h, +25h30m, -3d or 0m")
    days, hours, minutes, seconds = (int((found[unit] or "0")[:9]) for unit in "dhms")
    if days > MAX_OFFSET.days or hours > 24 * MAX_OFFSET.days:
        raise ValueError(f"{text!r} is more than a year away")
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if span > MAX_OFFSET:
        raise ValueError(f"{text!r} is more than a year away")
    return -span if found["sign"] == "-" else span


def format_span(span: timedelta) -> str:
    """Write a relative time so that `parse_span` reads it back (`-1d2h`, `+5m`, `0m`)."""
    seconds = int(abs(span.total_seconds()))
    if seconds == 0:
        return "0m"
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (left, "s"))
    return ("-" if span < timedelta(0) else "+") + "".join(f"{n}{unit}" for n, unit in parts if n)


def _past(text: object) -> timedelta:
    span = parse_span(text)
    if span > timedelta(0):
        raise ValueError(f"{text!r} lies ahead; the world is told before the scenario starts, like -3h")
    return span


def _ahead(text: object) -> timedelta:
    span = parse_span(text)
    if span < timedelta(0):
        raise ValueError(f"{text!r} lies back; write it like +5m")
    return span


def _around(text: object) -> timedelta:
    if isinstance(text, str) and text.startswith("T"):
        return timedelta(0) if text in ("T", "T0") else parse_span(text[1:])
    raise ValueError(f"{text!r} is not a moment around the session; write it like T-72h, T0 or T+2h")


def _span_schema(description: str, pattern: str = _SPAN_SCHEMA) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "description": description})


#: Before the scenario starts.
Past = Annotated[
    timedelta,
    BeforeValidator(_past),
    PlainSerializer(format_span),
    _span_schema("Before the start, like -3h."),
]
#: After the scenario starts.
Ahead = Annotated[
    timedelta,
    BeforeValidator(_ahead),
    PlainSerializer(format_span),
    _span_schema("After the start, like +5m."),
]
#: Around the beginning of the session.
Around = Annotated[
    timedelta,
    BeforeValidator(_around),
    PlainSerializer(lambda span: "T0" if not span else "T" + format_span(span)),
    _span_schema("Around the session, like T-72h.", r"^T(0|[+-](\d+d)?(\d+h)?(\d+m)?(\d+s)?)?$"),
]
