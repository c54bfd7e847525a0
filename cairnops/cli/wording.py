"""How values of the domain read: policy values, percentages, moments, and docstrings as prose."""

import re
from typing import Any

#: Headings of a docstring that are for whoever calls the function, not for whoever lives by the rule.
_FOR_CALLERS = ("Raises:", "Returns:", "Args:", "Yields:")


def value(given: Any) -> str:
    """A policy value (as `codec.plain` gives it) in words."""
    if given is None or given == []:
        return "none"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, list):
        return ("; " if given and isinstance(given[0], dict) else ", ").join(value(v) for v in given)
    if isinstance(given, dict):
        return _mapping(given)
    return str(given)


def _mapping(given: dict[str, Any]) -> str:
    if given.keys() == {"above", "role", "severity"}:
        verb = "needs" if given["severity"] == "block" else "tells"
        return f"above {given['above']} {verb} a {given['role']} ({given['severity']})"
    if given.keys() == {"code", "role"}:
        return f"{given['code']} by a {given['role']}"
    if given.keys() == {"role", "team", "assignee"}:
        return f"a {given['role']}'s to {' and '.join(n for n in (given['team'], given['assignee']) if n)}"
    if given.keys() == {"time_zone", "week"}:
        days = "; ".join(f"{day} {', '.join(hours)}" for day, hours in given["week"].items())
        return f"{days} ({given['time_zone']})"
    return ", ".join(f"{k} {value(v)}" for k, v in given.items())


def short(text: str, limit: int = 60) -> str:
    """The text up to `limit` characters; what is cut off is counted in words of a list."""
    if len(text) <= limit:
        return text
    kept = text[:limit].rpartition(", ")[0]
    if not kept:
        return text[: limit - 1] + "…"
    return f"{kept}, … ({text.count(', ') - kept.count(', ')} more)"


def percent(rate: float | None) -> str:
    """A rate (0 to 1) in percent, at most two decimals."""
    return "unknown" if rate is None else f"{rate * 100:.2f}".rstrip("0").rstrip(".") + "%"


def moment(stamp: str) -> str:
    """`2025-10-16T17:24:00.000Z` as `2025-10-16 17:24` (UTC)."""
    return stamp[:16].replace("T", " ")


def count(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def prose(docstring: str) -> str:
    """A docstring's paragraphs, each on one line, without the parts meant for callers."""
    out = []
    for paragraph in re.split(r"\n\s*\n", docstring.strip()):
        if paragraph.lstrip().startswith(_FOR_CALLERS):
            continue
        if any(line.startswith("- ") for line in paragraph.split("\n")):
            out.append(re.sub(r"\n\s+(?!- )", " ", paragraph))
        else:
            out.append(" ".join(paragraph.split()))
    return "\n\n".join(out)
