"""Which texts are JSON: the standard's, without Python's extras, and how a value is taken off its front."""

import json
import re
from typing import Any

_ESCAPED_SURROGATE = r"\\u[dD][89a-fA-F]"
_LONE_SURROGATE = "[\ud800-\udfff]"


class NonFinite(ValueError):
    """NaN or an infinity stands where JSON allows only a number."""


def _refuse(constant: str) -> None:
    raise NonFinite(f"{constant} is not a JSON number")


def _integer(digits: str) -> int | float:
    # Python refuses to read an integer of more than 4300 digits; as a float it is an infinity, as elsewhere.
    return int(digits) if len(digits) < 4000 else float(digits)


_STRICT = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)
_FAST = json.JSONDecoder(parse_constant=_refuse)
_SCAN = _FAST.scan_once
_NULLING = json.JSONDecoder(parse_constant=lambda _: None, parse_int=_integer)


def parse(text: str, *, non_finite_as_null: bool = False) -> Any:
    """The one JSON value `text` is. Half of a surrogate pair becomes U+FFFD, for it cannot be written again.

    Raises:
        NonFinite: for NaN, Infinity or -Infinity, unless they are to be null.
        ValueError: for anything else that is not JSON.
        RecursionError: for nesting too deep to follow.
    """
    if non_finite_as_null:
        return _mended(_NULLING.decode(text), text)
    try:
        value = _decoded(text)
    except (json.JSONDecodeError, NonFinite):
        raise
    except ValueError:
        value = _STRICT.decode(text)
    return _mended(value, text)


def _decoded(text: str) -> Any:
    # What `decode` does, without looking for the white space that is hardly ever there.
    try:
        value, end = _SCAN(text, 0)
    except StopIteration:
        return _FAST.decode(text)
    return value if end == len(text) else _FAST.decode(text)


def parse_first(text: str, at: int) -> tuple[Any, int, tuple[str, ...]]:
    """The JSON value that starts at `at`, where it ends, and `("non-finite",)` if NaN was read as null.

    Raises:
        ValueError, RecursionError: as `parse`.
    """
    for decoder in (_FAST, _STRICT):
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            raise
        except ValueError:
            # An integer too long for the first, or no number at all.
            continue
        return _mended(value, text, at, end), end, ()
    value, end = _NULLING.raw_decode(text, at)
    return _mended(value, text, at, end), end, ("non-finite",)


def _mended(value: Any, text: str, start: int = 0, end: int | None = None) -> Any:
    if "\\u" in text and re.compile(_ESCAPED_SURROGATE).search(
        text, start, len(text) if end is None else end
    ):
        return _without_lone_surrogates(value)
    return value


def _without_lone_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(_LONE_SURROGATE, "\ufffd", value)
    if isinstance(value, list):
        return [_without_lone_surrogates(inner) for inner in value]
    if isinstance(value, dict):
        return {_without_lone_surrogates(k): _without_lone_surrogates(v) for k, v in value.items()}
    return value
