"""What a made-up export looks like: plausible sync events, damaged as real ones are, and the truth about it."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cairnops.errors import InputError
from cairnops.telemetry.writer import Written, write_stream, write_whole

Dirt = Literal["malformed", "mixed", "all"]

#: Rows are put together from this many ready-made middles; it is also how many durations there are at most.
_POOL = 65_536
_BATCH = 50_000
_START = datetime(2025, 10, 6, 6, tzinfo=UTC)
_STEP_MS = 640

# (status, share, error codes with their words)
_OUTCOMES: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("SUCCESS", 0.953, ()),
    ("TIMEOUT", 0.022, ("ETIMEDOUT", "ESOCKETTIMEDOUT")),
    ("FAILURE", 0.018, ("HTTP_502", "HTTP_429", "ECONNRESET", "HTTP_422")),
    ("UNKNOWN", 0.007, ("SETTLE_EXPIRED",)),
)
_CLASS = {"SUCCESS": "success", "TIMEOUT": "failure", "FAILURE": "failure", "UNKNOWN": "unknown"}


@dataclass(kw_only=True, slots=True)
class Truth:
    """What was put into a file, so that whoever reads it can be checked."""

    rows: int
    seed: int
    lines: int = 0
    blank: int = 0
    records: int = 0
    rejects: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    #: Line numbers (from 1) of every kind of damage.
    dirt: dict[str, list[int]] = field(default_factory=dict)
    #: Decision ids that stand on more than one row.
    duplicates: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, in a stable order."""
        return {
            "rows": self.rows,
            "seed": self.seed,
            "lines": self.lines,
            "blank": self.blank,
            "records": self.records,
            "rejects": self.rejects,
            "classes": {name: self.classes[name] for name in ("success", "failure", "unknown")},
            "duplicates": self.duplicates,
            "dirt": {kind: self.dirt[kind] for kind in sorted(self.dirt)},
        }


def make(
    path: str | Path, *, rows: int, dirt: float = 0.0, seed: int = 1, kind: Dirt = "all", start: int = 1
) -> tuple[Written, Truth]:
    """Write a synthetic sync-event export of `rows` rows, a share `dirt` (0 to 1) of them damaged.

    The same arguments give the same bytes. The truth is written beside it as `PATH.truth.json`.
    `malformed` damages lines, `mixed` writes sound objects under other names and forms, `all` does both.
    `start` is the first decision id and moves the clock, so that files can follow one another.

    Raises:
        InputError: for fewer rows than none, a share outside 0 to 1, or a target that cannot be written.
    """
    if rows < 0:
        raise InputError("--rows cannot be negative.", hint="Give the number of rows, such as 100000.")
    if not 0 <= dirt <= 1:
        raise InputError("--dirt is a share from 0 to 100 %.", hint="Write it as 0.1% or 0.001.")
    truth = Truth(rows=rows, seed=seed)
    written = write_stream(path, _file(rows, dirt, seed, kind, start, truth), records=lambda: truth.records)
    target = Path(path)
    write_whole(
        target.with_name(target.name + ".truth.json"),
        json.dumps(truth.to_dict(), separators=(",", ":")) + "\n",
    )
    return written, truth


def share(text: str) -> float:
    """`0.1%` or `0.001` as 0.001.

    Raises:
        InputError: for anything else.
    """
    number, percent = (text[:-1], 100) if text.endswith("%") else (text, 1)
    try:
        value = float(number) / percent
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InputError(f"{text!r} is not a share from 0 to 100 %.", hint="Write it as 0.1% or 0.001.")
    return value


def _file(rows: int, dirt: float, seed: int, kind: Dirt, start: int, truth: Truth) -> Iterator[bytes]:
    rng = random.Random(seed)
    middles = _middles(rng)
    ends = [f'{s:02d}.{ms:03d}Z","scope":"' for s in range(60) for ms in range(1000)]
    kinds = [name for name, (family, _) in _KINDS.items() if kind in ("all", family)]
    jitter = [rng.randrange(_STEP_MS) for _ in range(4096)]
    for first in range(0, rows, _BATCH):
        count = min(_BATCH, rows - first)
        picked = rng.choices(middles, k=count)
        lines = []
        minute = -1
        shown = ""
        for i, (middle, _) in enumerate(picked, first + start):
            at = i * _STEP_MS + jitter[i & 4095]
            if at // 60_000 != minute:
                minute = at // 60_000
                shown = f"{_START + timedelta(minutes=minute):%Y-%m-%dT%H:%M:}"
            # One in a thousand was exported twice, as after a retry of the export itself.
            number = i - 1 if i % 1000 == 999 else i
            scope = "build" if i % 7 == 0 else "ops"
            lines.append(f'{{"decisionId":{number}{middle}{shown}{ends[at % 60_000]}{scope}"}}')
        truth.duplicates += sum(
            1 for i in range(first + start, first + start + count) if i % 1000 == 999 and i - 1 >= start
        )
        damaged = _places(rng, count, dirt)
        if not damaged:
            truth.lines += count
            truth.records += count
            truth.classes.update(Counter(c for _, c in picked))
            yield ("\n".join(lines) + "\n").encode()
            continue
        yield from _damaged(lines, picked, damaged, rng, kinds, truth)


def _damaged(
    lines: list[str],
    picked: list[tuple[str, str]],
    damaged: set[int],
    rng: random.Random,
    kinds: list[str],
    truth: Truth,
) -> Iterator[bytes]:
    out: list[bytes] = []
    for place, line in enumerate(lines):
        outcome = picked[place][1]
        truth.lines += 1
        if place not in damaged:
            truth.records += 1
            truth.classes[outcome] += 1
            out.append(line.encode())
            continue
        name = rng.choice(kinds)
        truth.dirt.setdefault(name, []).append(truth.lines)
        text, records, rejects = _KINDS[name][1](line, rng)
        truth.records += records
        truth.rejects += rejects
        truth.classes[outcome] += records
        truth.blank += not records and not rejects
        out.append(text)
    yield b"\n".join(out) + b"\n"


def _places(rng: random.Random, count: int, dirt: float) -> set[int]:
    exact = count * dirt
    number = int(exact) + (rng.random() < exact - int(exact))
    return set(rng.sample(range(count), number)) if number else set()


def _middles(rng: random.Random) -> list[tuple[str, str]]:
    """Ready-made texts from the status to the opening quote of the time, each with its class."""
    out = []
    weights = [share for _, share, _ in _OUTCOMES]
    for status, _, codes in rng.choices(_OUTCOMES, weights, k=_POOL):
        attempt = rng.choices((1, 2, 3), (90, 8, 2) if status == "SUCCESS" else (5, 15, 80))[0]
        centre = math.log(7000 if status == "TIMEOUT" else 240 * attempt)
        duration = round(min(math.exp(rng.gauss(centre, 0.45)), 30_000.0), 2)
        shown = str(int(duration)) if duration.is_integer() else str(duration)
        code = f'"{rng.choice(codes)}"' if codes else "null"
        out.append(
            (
                f',"status":"{status}","durationMs":{shown},"errorCode":{code},"attempt":{attempt},"timestamp":"',
                _CLASS[status],
            )
        )
    return out


# A kind of damage: (family, what becomes of the line, in how many records and rejects).
_Damage = Callable[[str, random.Random], tuple[bytes, int, int]]


def _reject(text: str) -> _Damage:
    return lambda _line, _rng: (text.encode(), 0, 1)


def _rewritten(change: Callable[[dict[str, Any]], dict[str, Any]]) -> _Damage:
    def damage(line: str, _rng: random.Random) -> tuple[bytes, int, int]:
        return json.dumps(change(json.loads(line)), separators=(",", ":")).encode(), 1, 0

    return damage


def _truncated(line: str, rng: random.Random) -> tuple[bytes, int, int]:
    return line[: rng.randrange(2, len(line) - 1)].encode(), 0, 1


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    row["metrics"] = {"durationMs": row.pop("durationMs")}
    row["context"] = {"scope": row.pop("scope")}
    return row


def _snake(row: dict[str, Any]) -> dict[str, Any]:
    row["decision_id"], row["duration_ms"] = row.pop("decisionId"), row.pop("durationMs")
    row["error_code"], row["created_at"] = row.pop("errorCode"), row.pop("timestamp")
    return row


def _epoch(row: dict[str, Any]) -> dict[str, Any]:
    row["timestamp"] = int(datetime.fromisoformat(row["timestamp"]).timestamp() * 1000)
    return row


_KINDS: dict[str, tuple[str, _Damage]] = {
    "truncated": ("malformed", _truncated),
    "bare-string": ("malformed", _reject('"42703"')),
    "null": ("malformed", _reject("null")),
    "html": ("malformed", _reject("<html><head><title>502 Bad Gateway</title></head></html>")),
    "banner": ("malformed", _reject("> ops@1.0.0 export-decisions")),
    "empty-array": ("malformed", _reject("[]")),
    "error-body": ("malformed", _reject('{"code":"57014","details":null,"hint":null,"message":"canceling statement"}')),
    "comma-inside": ("malformed", lambda line, _: (line[:-1].encode() + b",}", 0, 1)),
    "blank": ("malformed", lambda _line, _rng: (b"", 0, 0)),
    "concatenated": ("malformed", lambda line, _: ((line + line).encode(), 2, 0)),
    "array-line": ("malformed", lambda line, _: (f"[{line},{line}]".encode(), 2, 0)),
    "trailing-comma": ("malformed", lambda line, _: (line.encode() + b",", 1, 0)),
    "invalid-utf8": ("malformed", lambda line, _: (line[:-2].encode() + b'\xff\xc3"}', 1, 0)),
    "byte-order-mark": ("malformed", lambda line, _: (b"\xef\xbb\xbf" + line.encode(), 1, 0)),
    "snake-case": ("mixed", _rewritten(_snake)),
    "nested": ("mixed", _rewritten(_nested)),
    "epoch-ms": ("mixed", _rewritten(_epoch)),
    "number-as-text": ("mixed", _rewritten(lambda row: row | {"durationMs": str(row["durationMs"])})),
    "with-unit": ("mixed", _rewritten(lambda row: row | {"durationMs": f"{row['durationMs']}ms"})),
    "extra-key": ("mixed", _rewritten(lambda row: row | {"note": "sent by hand", "actor": {"role": "operator"}})),
    "key-missing": ("mixed", _rewritten(lambda row: {k: v for k, v in row.items() if k != "errorCode"})),
    "not-finite": ("mixed", lambda line, _: (line[:-1].encode() + b',"score":NaN}', 1, 0)),
}  # fmt: skip
