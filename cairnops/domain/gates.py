"""Whether a session may go ahead: conditions over recorded probes, where what nobody measured counts as no.

A condition is written as people say it: `chatwoot`, `chatwoot.latency_ms < 300`,
`(chatwoot and ledger) or drill.status == "ok"`, `not maintenance`. Two probes of one service once
contradicted each other for days, so a record keeps how it was measured (`kind`) and when, and
`age_minutes` lets a condition refuse a stale one.
"""

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum

#: Longer conditions are not conditions a person can check by eye.
MAX_LENGTH = 500

TEXT_FIELDS = ("status", "kind")
NUMBER_FIELDS = ("latency_ms", "http_status", "age_minutes")
FIELDS = TEXT_FIELDS + NUMBER_FIELDS


class GateError(ValueError):
    """The condition of a gate cannot be understood."""


class GateState(StrEnum):
    """`go`, `no_go`, or `unknown` when a probe it needs was never recorded. Only `go` opens the gate."""

    GO = "go"
    NO_GO = "no_go"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeRecord:
    """One measurement of one thing a session depends on."""

    #: An identifier (`chatwoot`, `decision_log`): the name conditions use.
    name: str
    #: `ok` is the one status a bare name accepts; anything else is the prober's own word.
    status: str
    #: When it was measured, UTC.
    at: datetime
    #: How it was measured (`http`, `login`, `manual`).
    kind: str = ""
    latency_ms: int | None = None
    http_status: int | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A probe's field; `name` alone stands for `status == "ok"`."""

    probe: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Compare:
    """left op right, where each side is a field or a constant."""

    left: "Operand"
    op: str
    right: "Operand"
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Not:
    """The opposite of one condition."""

    inner: "Condition"


@dataclass(frozen=True, kw_only=True, slots=True)
class Every:
    """All of them."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Some:
    """At least one of them."""

    parts: tuple["Condition", ...]


Operand = Field | str | int | float
Condition = Compare | Not | Every | Some


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """What a condition came to, and why not, in sentences with the measured values in them."""

    state: GateState
    #: The comparisons that did not hold, in the order written; empty when the state is `go`.
    reasons: tuple[str, ...]
    #: Probes or fields the condition needed and nobody recorded.
    missing: tuple[str, ...]


_OPS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def parse(expression: str, known: Collection[str]) -> Condition:
    """Read a condition over the probes in `known`.

    Allowed: probe names, their fields (`FIELDS`), text and number constants, `and`, `or`, `not`,
    parentheses, and the six comparisons (chains too).

    Raises:
        GateError: for anything else, an unknown probe or field, or a comparison that could never be
            meant (text with a number, order between texts).
    """
    if len(expression) > MAX_LENGTH:
        raise GateError(f"the condition has {len(expression)} characters; {MAX_LENGTH} is the limit")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        said = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        raise GateError(f"`{expression.strip()}` is not a condition: {said}") from None
    return _condition(tree.body, known)


def _condition(node: ast.expr, known: Collection[str]) -> Condition:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return Every(parts=tuple(_condition(v, known) for v in values))
        case ast.BoolOp(op=ast.Or(), values=values):
            return Some(parts=tuple(_condition(v, known) for v in values))
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return Not(inner=_condition(inner, known))
        case ast.Name(id=name):
            _check_probe(name, known)
            return Compare(left=Field(probe=name, name="status"), op="==", right="ok", text=name)
        case ast.Compare():
            return _comparison(node, known)
        case _:
            raise GateError(
                f"`{ast.unparse(node)}` cannot stand in a condition; use probe names, their fields "
                f"({', '.join(FIELDS)}), and/or/not and comparisons"
            )


def _comparison(node: ast.Compare, known: Collection[str]) -> Condition:
    sides = [node.left, *node.comparators]
    parts: list[Condition] = []
    for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
        sign = _OPS.get(type(op))
        if sign is None:
            raise GateError(f"`{ast.unparse(node)}`: only ==, !=, <, <=, > and >= compare")
        text = f"{ast.unparse(left)} {sign} {ast.unparse(right)}"
        a, b = _operand(left, known), _operand(right, known)
        if not isinstance(a, Field) and not isinstance(b, Field):
            raise GateError(f"`{text}` looks at no probe")
        if _is_text(a) != _is_text(b):
            raise GateError(f"`{text}` compares text with a number")
        if _is_text(a) and sign not in ("==", "!="):
            raise GateError(f"`{text}`: texts can only be equal or not")
        parts.append(Compare(left=a, op=sign, right=b, text=text))
    return parts[0] if len(parts) == 1 else Every(parts=tuple(parts))


def _operand(node: ast.expr, known: Collection[str]) -> Operand:
    match node:
        case ast.Attribute(value=ast.Name(id=probe), attr=name):
            _check_probe(probe, known)
            if name not in FIELDS:
                raise GateError(f"a probe has no `{name}`{_near(name, FIELDS)}")
            return Field(probe=probe, name=name)
        case ast.Constant(value=value) if isinstance(value, str | int | float) and not isinstance(
            value, bool
        ):
            return value
        case ast.Name(id=name) if name in known:
            raise GateError(f"compare a field of `{name}`, for example {name}.status or {name}.latency_ms")
        case _:
            raise GateError(f"`{ast.unparse(node)}` cannot be compared; use a probe's field or a constant")


def _check_probe(name: str, known: Collection[str]) -> None:
    if name not in known:
        raise GateError(f"no probe is called `{name}`{_near(name, known)}")


def _near(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, sorted(known), n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f" (there are: {', '.join(sorted(known)) or 'none'})"


def _is_text(side: Operand) -> bool:
    return side.name in TEXT_FIELDS if isinstance(side, Field) else isinstance(side, str)


def probes_of(condition: Condition) -> tuple[str, ...]:
    """The probes a condition looks at, each once, in the order written."""
    match condition:
        case Compare(left=left, right=right):
            names = [side.probe for side in (left, right) if isinstance(side, Field)]
        case Not(inner=inner):
            names = list(probes_of(inner))
        case Every(parts=parts) | Some(parts=parts):
            names = [name for part in parts for name in probes_of(part)]
    return tuple(dict.fromkeys(names))


def evaluate(condition: Condition, records: Mapping[str, ProbeRecord], now: datetime) -> GateResult:
    """Decide a condition by the newest record of each probe; `now` (UTC) gives the age in minutes.

    Three values: a probe or field that was not recorded makes its comparison unknown, and unknown
    travels as Kleene's logic has it (unknown and false is false, unknown or true is true), so that
    `not maintenance` cannot open a gate because nobody looked.
    """
    reasons: list[str] = []
    missing: list[str] = []
    truth = _truth(condition, records, now, reasons, missing, wanted=True)
    if truth is True:
        return GateResult(state=GateState.GO, reasons=(), missing=())
    state = GateState.NO_GO if truth is False else GateState.UNKNOWN
    return GateResult(
        state=state, reasons=tuple(dict.fromkeys(reasons)), missing=tuple(dict.fromkeys(missing))
    )


def _truth(
    condition: Condition,
    records: Mapping[str, ProbeRecord],
    now: datetime,
    reasons: list[str],
    missing: list[str],
    *,
    wanted: bool,
) -> bool | None:
    match condition:
        case Not(inner=inner):
            truth = _truth(inner, records, now, reasons, missing, wanted=not wanted)
            return None if truth is None else not truth
        case Every(parts=parts):
            found = [_truth(p, records, now, reasons, missing, wanted=wanted) for p in parts]
            return False if False in found else None if None in found else True
        case Some(parts=parts):
            found = [_truth(p, records, now, reasons, missing, wanted=wanted) for p in parts]
            return True if True in found else None if None in found else False
        case Compare(left=left, op=op, right=right, text=text):
            a, b = _value(left, records, now), _value(right, records, now)
            if a is None or b is None:
                for side, value in ((left, a), (right, b)):
                    if value is None and isinstance(side, Field):
                        missing.append(_missing_name(side, records))
                        reasons.append(f"{_missing_name(side, records)} was not recorded")
                return None
            truth = _holds(a, op, b)
            if truth is not wanted:
                seen = ", ".join(
                    f"{side.probe}.{side.name} is {value}"
                    for side, value in ((left, a), (right, b))
                    if isinstance(side, Field)
                )
                reasons.append(f"{text if wanted else f'not ({text})'}: {seen}")
            return truth


def _missing_name(side: Field, records: Mapping[str, ProbeRecord]) -> str:
    return f"{side.probe}.{side.name}" if side.probe in records else side.probe


def _value(side: Operand, records: Mapping[str, ProbeRecord], now: datetime) -> str | int | float | None:
    if not isinstance(side, Field):
        return side
    record = records.get(side.probe)
    if record is None:
        return None
    if side.name == "age_minutes":
        return (now - record.at).total_seconds() / 60
    value: str | int | None = getattr(record, side.name)
    return None if value == "" else value


def _holds(a: str | int | float, op: str, b: str | int | float) -> bool:
    if op == "==":
        return a == b
    if op == "!=":
        return a != b
    # `parse` lets only numbers be ordered.
    assert not isinstance(a, str) and not isinstance(b, str)
    if op == "<":
        return a < b
    if op == "<=":
        return a <= b
    return a > b if op == ">" else a >= b
