"""How the questions a scan asks of a column are written in the engine's SQL."""

import json
from collections.abc import Sequence

#: A length no line has: it makes a sum of lengths come out wrong.
ABSURD = 1_000_000_000_000


def first(columns: Sequence[str]) -> str:
    """The first of the columns that holds something."""
    return columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"


def several(columns: Sequence[str]) -> str:
    """How many of the columns hold something."""
    return f"({' + '.join(f'({x} IS NOT NULL)::INTEGER' for x in columns)})"


def objects(path: str, longest: int) -> str:
    return (
        f"read_ndjson_objects({literal(path)}, ignore_errors = true, compression = 'none',"
        f" maximum_object_size = {longest})"
    )


def scalar(x: str) -> str:
    """A string, a finite number, a truth value, null or nothing, told by the first characters of its text."""
    return (
        f"({x} IS NULL OR ({x} >= '\"' AND {x} < ':' AND NOT ({x} >= '-:' AND {x} < '.'))"
        f" OR {x} = 'true' OR {x} = 'false')"
    )


def sound(x: str) -> str:
    """A scalar, or something nested that both readers take for JSON: shallow, no stray comma, no NaN."""
    stray = r"(?i),\s*[}\]]|[:\[,]\s*[-+]?(?:nan|inf)"
    shallow = "strlen(json) - strlen(replace(replace(json, '[', ''), '{', '')) < 300"
    nested = f"(starts_with({x}, '{{') OR starts_with({x}, '['))"
    return (
        f"CASE WHEN {scalar(x)} THEN true WHEN {nested} THEN"
        f" {shallow} AND NOT regexp_matches(json, {literal(stray)}) ELSE false END"
    )


def inexact(x: str) -> str:
    """Whether what was written may be shorter than the text seen: 1e5 is shown as 100000.0."""
    return (
        f"ends_with({x}, '.0') OR starts_with({x}, '0.000') OR starts_with({x}, '-')"
        f" OR starts_with({x}, '{{') OR starts_with({x}, '[')"
    )


def rest(columns: Sequence[str]) -> str:
    """The length of values that nobody asks for; absurd where it is not sure."""
    if not columns:
        return "0"
    parts = [
        f"CASE WHEN coalesce({inexact(x)}, false) THEN {ABSURD} ELSE coalesce(strlen({x}), 4) END"
        for x in columns
    ]
    return f"({' + '.join(parts)})"


def all_keys(shape: tuple[str, ...], column: dict[str, str], text: set[str]) -> str:
    """No key but these, where the engine has made sure that each of them is there, and once.

    It passes over keys it was not asked for. A line as long as these keys and values are at the least
    has room for nothing else; any other is asked for its keys, which takes longer.
    """
    length = 2 + sum(len(string(key).encode()) + 2 for key in shape) - 1
    parts = [str(length)]
    exact = []
    for key in shape:
        x = column[key]
        # Plain text stands between two quotation marks.
        parts.append(f"coalesce(strlen({x}){' + 2' if key in text else ''}, 4)")
        if key not in text:
            exact.append(f"coalesce(NOT ({inexact(x)}), true)")
    short = f"strlen(json) = {' + '.join(parts)}"
    return (
        f"CASE WHEN {' AND '.join([short, *exact])} THEN true"
        f" ELSE hash(json_keys(json)) = hash([{', '.join(map(literal, shape))}]::VARCHAR[]) END"
    )


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
