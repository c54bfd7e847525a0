"""Whatever bytes it is given, the reader ends, complains in its own words, and accounts for every line."""

import gzip
import io
import random
from collections import Counter
from pathlib import Path

import pytest

from cairnops.errors import InputError
from cairnops.telemetry import containers
from cairnops.telemetry.document import spans_lines
from cairnops.telemetry.reader import read_lines

EXPORTS = Path(__file__).parents[2] / "fixtures" / "exports"
#: What mutations start from: every kind of export there is, none of them long.
SEEDS = [data for path in sorted(EXPORTS.glob("*.ndjson")) if len(data := path.read_bytes()) < 4000]
#: Bytes that mean something to a reader of JSON, of lines, or of encodings.
TELLING = [
    b"\n", b"\r\n", b"\r", b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\x00", b"\xff", b"\xc3", b"\xef\xbb\xbf",
    b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b", b"\x1c", b" ", b"NaN", b"1e999", b"-", b"\\ud83d", b"null", b"[]", b"{}",
    b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"<html>", b"ustar", b"[[[[[[[[", b"9" * 400,
]  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    """An export with one to twelve bytes or stretches flipped, put in, taken out, moved or doubled."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(1, 13)):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        to = min(to, at + 80)
        match rng.randrange(7):
            case 0 if data:
                data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
            case 1:
                data[at:at] = rng.choice(TELLING)
            case 2:
                data[at:to] = rng.choice(TELLING)
            case 3:
                del data[at:to]
            case 4:
                data[at:at] = data[at:to]
            case 5:
                other = rng.choice(SEEDS)
                start = rng.randrange(len(other) + 1)
                data[at:at] = other[start : start + 80]
            case 6 if rng.random() < 0.2:
                del data[at:]
    return bytes(data)


def packed(rng: random.Random, data: bytes) -> bytes:
    """The same compressed, and then damaged once."""
    pack = rng.choice([lambda d: gzip.compress(d, mtime=0), containers._zstd().compress])
    out = bytearray(pack(data))
    at = rng.randrange(len(out))
    if rng.random() < 0.5:
        del out[at:]
    else:
        out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def account(data: bytes) -> str:
    """Read it, check the account of every line, and say what it was taken for."""
    seen: Counter[int] = Counter()
    try:
        reading = read_lines(io.BytesIO(data))
        for line in reading:
            seen[line.number] += 1
            assert (line.record is None) != (line.problem is None)
    except InputError as error:
        assert error.hint
        return "refused"
    export = reading.export
    assert export.lines == export.blank + export.record_lines + export.reject_lines + export.structure_lines
    assert sum(seen.values()) == export.records + export.rejects
    assert sum(export.reasons.values()) == export.rejects
    assert export.size == len(data)
    if not export.compression and export.encoding == "utf-8":
        plain = data.removeprefix(b"\xef\xbb\xbf")
        lines = plain.split(b"\n")
        assert export.lines == len(lines) - (not lines[-1])
        # In JSON over several lines a value, or a stretch that is none, is named by its first line.
        if not spans_lines(plain.decode(errors="replace")):
            words = (raw.decode(errors="replace").lstrip("\ufeff").strip() for raw in lines)
            assert {n for n, text in enumerate(words, 1) if text} == seen.keys()
    return export.kind


@pytest.mark.parametrize("part", range(4))
def test_mutated_exports_are_accounted_for(part: int) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(part * 2500, part * 2500 + 2500):
        rng = random.Random(seed)
        data = mutated(rng)
        kinds[account(packed(rng, data) if seed % 10 == 9 else data)] += 1
    # A mutator that leaves nothing readable, or nothing broken, tests nothing.
    assert kinds["ndjson"] > 500
    assert len(kinds) > 5
