"""How domain values become JSON and come back: one canonical text, one hash, no floats in what is hashed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from cairnops.domain.policy import Policy

T = TypeVar("T")


@lru_cache(maxsize=64)
def _adapter(kind: type[Any]) -> "TypeAdapter[Any]":
    # Writing needs neither this nor the canonical form, and a short command writes without waiting for them.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def stamp(at: datetime) -> str:
    """A moment as every file and table writes it: UTC, milliseconds, `Z` (`2025-10-16T17:00:00.000Z`).

    Raises:
        ValueError: for a naive datetime; a moment without a zone is no moment.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def moment(text: str) -> datetime:
    """The inverse of `stamp`; any ISO 8601 text with a zone is read.

    Raises:
        ValueError: for text without a zone or that is no ISO 8601 moment.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at.astimezone(UTC)


def plain(value: Any) -> Any:
    """A domain value as JSON data: dataclasses to objects, enums to values, moments as `stamp` writes them."""
    return _data(value, str)


def record(value: Any) -> Any:
    """The same with field names in camelCase, as exports write them; keys of dictionaries stay as they are."""
    return _data(value, _camel)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _data(value: Any, name: Callable[[str], str]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name(f.name): _data(getattr(value, f.name), name) for f in fields(value)}
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, dict):
        return {str(k): _data(v, name) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_data(v, name) for v in value]
    return value.value if isinstance(value, Enum) else value


def read(kind: type[T], data: Any) -> T:
    """JSON data as a domain value; unknown keys are refused where the type says so.

    Raises:
        pydantic.ValidationError: when the data does not fit.
    """
    return cast(T, _adapter(kind).validate_python(data))


def canonical(value: Any) -> str:
    """RFC 8785 text of JSON data.

    Raises:
        rfc8785.CanonicalizationError: for what has no canonical form (NaN, integers beyond 2^53).
    """
    import rfc8785

    return rfc8785.dumps(value).decode()


def digest(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def policy_hash(policy: "Policy") -> str:
    """The hash stored with every decision: SHA-256 over the policy's canonical text."""
    return digest(canonical(plain(policy)))


def leaf_hash(body: str) -> str:
    """RFC 6962 leaf hash of a decision's canonical text: SHA-256 over a zero byte and the text, in hex."""
    return hashlib.sha256(b"\x00" + body.encode()).hexdigest()


def dumps(value: Any) -> str:
    """JSON for people and pipes: UTF-8, two spaces, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
