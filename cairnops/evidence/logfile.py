"""Reading an export as part of a log: which line is not the record that was sealed, and why.

A line is the record's RFC 8785 text with `leafHash` and `logIndex` put before its last brace, and with the characters
of `telemetry.writer.ESCAPED` written as escapes. So a sound line is settled by one hash and one comparison; only
others are parsed.
"""

import json
import re
from binascii import hexlify
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any

import rfc8785

from cairnops.domain import merkle
from cairnops.domain.decisions import Decision
from cairnops.domain.merkle import Frontier, Span
from cairnops.errors import InputError
from cairnops.telemetry.writer import ESCAPED

#: Small enough to be still in the processor's cache when it is hashed.
_CHUNK = 1 << 18
_MARK = b',"leafHash":"'
#: Bytes of the mark, the hash, `","logIndex":` and the brace: what stands behind a text, but for the index itself.
_TAIL = 13 + 64 + 13 + 1
_TAIL_FORM = re.compile(rb',"leafHash":"([0-9a-f]{64})"(?:,"logIndex":(0|[1-9][0-9]{0,17}))?\}')
#: An escape, or any other pair that begins with a backslash and is to be left alone.
_ESCAPE = re.compile(rb"\\(?:u([0-9a-f]{4})|.)", re.DOTALL)
#: What the writer spells as an escape where canonical text holds the character itself, by its four digits.
_SPELLED = {f"{code:04x}".encode(): chr(code).encode() for code in ESCAPED}
#: What follows the first byte of each of them, by that byte: found at the speed of a search for single bytes.
_UNSPELLED = {
    lead: frozenset(c[1:] for c in _SPELLED.values() if c[:1] == lead)
    for lead in sorted({c[:1] for c in _SPELLED.values()})
}
#: The same with what begins an escape by number.
_ODD = {**_UNSPELLED, b"\\": frozenset([b"u"])}
_WIDTHS = {lead: len(next(iter(rests))) for lead, rests in _ODD.items()}
_FIELDS = frozenset(f.name[:1] + f.name.title().replace("_", "")[1:] for f in fields(Decision))
_KEPT = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was sealed."""

    #: The physical line, from 1; None when it is about the file or the log as a whole.
    line: int | None
    #: What kind: edited, rewritten, unreadable, extra, order, duplicate, dropped, truncated, unsealed, root, …
    code: str
    what: str


@dataclass(slots=True)
class Scan:
    """What a reading found; `leaves` only where it was asked to keep them."""

    rows: int = 0
    #: Records whose text agrees with their leaf hash, and that stand where the log has them.
    sealed: int = 0
    #: Records at the end that carry no log index yet.
    unsealed: int = 0
    #: Sealed records beyond the size that was asked about.
    beyond: int = 0
    #: Log indexes between the first and the last record that are in no row; only where the extent is not known.
    missing: list[Span] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    #: All of them; `findings` holds the first fifty.
    found: int = 0
    tree: Frontier = field(default_factory=Frontier)
    #: Roots of the first so many records, for the sizes asked for.
    roots: dict[int, bytes] = field(default_factory=dict)
    leaves: list[bytes] = field(default_factory=list)
    first: int | None = None
    last: int | None = None

    def tell(self, line: int | None, code: str, what: str) -> None:
        """Add a finding."""
        self.found += 1
        if len(self.findings) < _KEPT:
            self.findings.append(Finding(line, code, what))


def scan(
    path: Path,
    held: Sequence[Span] | None,
    *,
    size: int = 0,
    older: Sequence[int] = (),
    keep_leaves: bool = False,
    deep: bool = False,
) -> Scan:
    """Read the export and compare it with the log indexes it should hold in a log of `size`; None: not known.

    `older` are the sizes of older trees, whose roots are wanted. `deep` also parses every record and makes its
    canonical text anew, so that nothing that merely hashes right is taken for a record.

    Raises:
        InputError: when the file cannot be read, or is not an export of decisions in full.
    """
    out = Scan()
    _Reader(out, _Order(out, held, size), older, keep_leaves, deep).run(path)
    return out


class _Order:
    """Which log index is due, and what it means when another comes."""

    def __init__(self, out: Scan, held: Sequence[Span] | None, size: int):
        self._out, self._size = out, size
        self._open = held is None
        self._spans = [(0, 1 << 62)] if held is None else list(held)
        self._queue = iter(self._spans)
        self._skipped: list[Span] = []
        #: The index that is due; -1 before the first record of an unknown extent, and after the last.
        self.due = -1
        #: Where the span it lies in ends.
        self.end = -1
        if not self._open:
            self._next()

    def _next(self) -> None:
        self.due, self.end = next(self._queue, (-1, -1))

    def step(self, count: int = 1) -> None:
        """The records that were due are there; no more of them than end before `end`."""
        self.due += count
        if count and self.due == self.end:
            self._next()

    def place(self, index: int) -> tuple[str, str] | None:
        """Take the record of that index as the next; what is wrong with that, if anything."""
        if self._open and self.due < 0:
            next(self._queue)
            self.due = self._out.first = index
            self.end = 1 << 62
        if index == self.due:
            self.step()
            return None
        if not self._open and index >= self._size:
            self._out.beyond += 1
            if index == self._size + self._out.beyond - 1:
                return None
            return "order", f"log index {index} does not follow the one before"
        if self._open and index < (self._out.first or 0):
            return "order", f"log index {index} stands after {self._out.first}: records were moved"
        if not any(a <= index < b for a, b in self._spans):
            return "inserted", f"log index {index} is not among those this export should hold"
        if self.due < 0 or index < self.due:
            return self._late(index)
        gone = self._skip_to(index)
        self._skipped += gone
        self.step()
        if self._open:
            self._out.missing += gone
            return None
        return "dropped", (
            f"log index {index} stands where {gone[0][0]} should: {told(gone)} missing here, dropped or moved"
        )

    def _late(self, index: int) -> tuple[str, str]:
        for place, (start, end) in enumerate(self._skipped):
            if start <= index < end:
                parts = ((start, index), (index + 1, end))
                self._skipped[place : place + 1] = [s for s in parts if s[0] < s[1]]
                return "order", f"log index {index} stands too late: records were moved"
        return "duplicate", f"log index {index} was there already: a record is there twice"

    def _skip_to(self, index: int) -> list[Span]:
        gone: list[Span] = []
        while not self.due <= index < self.end:
            gone.append((self.due, self.end))
            self._next()
        if self.due < index:
            gone.append((self.due, index))
            self.due = index
        return gone

    def left(self) -> list[Span]:
        """What is still due when the file ends."""
        out: list[Span] = []
        while not self._open and self.due >= 0:
            out.append((self.due, self.end))
            self._next()
        return out


class _Reader:
    """One pass over the file."""

    def __init__(self, out: Scan, order: _Order, older: Sequence[int], keep_leaves: bool, deep: bool):
        self._out, self._order, self._deep, self._keep = out, order, deep, keep_leaves
        self._older = sorted(set(older))
        self._block: list[bytes] = []
        self._unsealed_at = 0
        self._any_hash = False
        self._last_number = 0
        # How many lines to hash at a time: short after a bad one, or a file of bad lines is hashed again and again.
        self._stride = 256

    def run(self, path: Path) -> None:
        number = 0
        for lines, odd in _lines(path):
            stops = range(len(lines)) if self._deep else odd
            at = 0
            for stop in (*stops, len(lines)):
                while at < stop:
                    at += self._sound(lines[at:stop] if at or stop < len(lines) else lines)
                    if at < stop:
                        self._judge(number + at + 1, lines[at])
                        at += 1
                if at < len(lines):
                    self._judge(number + at + 1, lines[at])
                    at += 1
            number += len(lines)
            self._settle()
        out = self._out
        out.rows, out.sealed = number, out.tree.size
        out.last = self._order.due - 1 if out.first is not None else None
        if number and not self._any_hash:
            raise InputError(
                f"{path.name} is not an export of decisions in full: no row has a leaf hash.",
                hint="Verify the file that `cairnops decisions export` writes; its default shape is the full one.",
            )
        if number and not _ends_whole(path):
            out.tell(number, "truncated", "the last line has no line end: the file was cut")
        if left := self._order.left():
            out.tell(None, "truncated", f"the file ends too early: {told(left)} missing at its end")

    def _sound(self, lines: Sequence[bytes]) -> int:
        """The fast path: how many of the lines, from the first on, are the records that are due, to the last byte."""
        order, done = self._order, 0
        while done < len(lines) and order.due >= 0 and not self._unsealed_at:
            # As many as have an index of the same length, so that every text ends as far from its line's end.
            due = order.due
            digits = len(str(due))
            count = min(len(lines) - done, order.end - due, 10**digits - due, self._stride)
            some = lines[done : done + count] if count < len(lines) else lines
            cut = -_TAIL - digits - 1
            hashes = [sha256(b"\x00%b}" % line[:cut]).digest() for line in some]
            tails = [
                b',"leafHash":"%b","logIndex":%d}\n' % (hexlify(h), i) for i, h in enumerate(hashes, due)
            ]
            if [line[cut:] for line in some] != tails:
                count = next(i for i in range(count) if some[i][cut:] != tails[i])
            self._block += hashes[:count]
            order.step(count)
            done += count
            if count < len(some):
                self._stride = 1
                break
            self._stride *= 2
        return done

    def _judge(self, number: int, line: bytes) -> None:
        """The slow path: what is wrong with the line, if anything is."""
        found = _anatomy(line.removesuffix(b"\n"))
        out, fault = self._out, found.fault
        self._any_hash = self._any_hash or found.has_hash
        if fault is None and self._deep:
            why, self._last_number = not_canonical(found.text, self._last_number)
            fault = ("not-canonical", why) if why else None
        if fault is not None:
            out.tell(number, *fault)
        if found.index is None:
            if fault is None:
                self._unsealed_at = self._unsealed_at or number
                out.unsealed += 1
            elif self._order.due >= 0 and not self._unsealed_at:
                # A line nobody can place is taken to stand for the record that is due.
                self._order.step()
            return
        if self._unsealed_at:
            out.tell(
                self._unsealed_at,
                "unsealed",
                f"the record has no log index and sealed ones follow (line {number}): it was put in, or has lost it",
            )
            self._unsealed_at = 0
        beyond = out.beyond
        misplaced = self._order.place(found.index)
        if misplaced is not None:
            out.tell(number, *misplaced)
        elif out.beyond == beyond:
            self._block.append(found.digest)

    def _settle(self) -> None:
        """Put the block's leaf hashes into the tree, stopping where an older tree ended."""
        if not self._block:
            return
        self._any_hash = True
        block, tree, out = self._block, self._out.tree, self._out
        if self._keep:
            out.leaves += block
        while self._older and tree.size + len(block) >= self._older[0]:
            size = self._older.pop(0)
            part = size - tree.size
            tree.extend(block[:part])
            block = block[part:]
            out.roots[size] = tree.root()
        tree.extend(block)
        self._block = []


def not_canonical(text: bytes, after: int) -> tuple[str, int]:
    """Why a text that hashes right is still no proper record that follows the decision `after`; and its number.

    Nothing is said of one that is.
    """
    try:
        data = json.loads(text, object_pairs_hook=_once)
        same = rfc8785.dumps(data) == text
    except _Twice as error:
        return f"the field {error} is there twice", after
    except (ValueError, RecursionError):
        return "the text is not a record at all, though it hashes right", after
    if not same:
        return "the text is not the one canonical text of its record (RFC 8785)", after
    if wrong := sorted(data.keys() ^ _FIELDS):
        return f"its fields are not those of a decision: {', '.join(wrong)}", after
    number = data["decisionId"]
    if not isinstance(number, int) or number <= after:
        return f"decision {number} does not follow decision {after}", after
    return "", number


def _lines(path: Path) -> Iterator[tuple[list[bytes], Sequence[int]]]:
    """Lines with their ends, many at once, and which of them may hold a character the writer spells out."""
    try:
        with path.open("rb", buffering=0) as file:
            rest: list[bytes] = []
            while chunk := file.read(_CHUNK):
                # Twice as fast as cutting at every line end.
                lines = BytesIO(chunk).readlines()
                places = list(_places(chunk, _ODD))
                odd = _at(places, lines) if places else []
                left = [] if lines[-1].endswith(b"\n") else [lines.pop()]
                if not lines:
                    rest += left
                    continue
                if rest:
                    # The pieces of a line that lies across chunks are looked at once they are together.
                    lines[0] = b"".join((*rest, lines[0]))
                    odd = ([0] if _some(_places(lines[0], _ODD)) else []) + [i for i in odd if i]
                rest = left
                yield lines, [i for i in odd if i < len(lines)]
            if rest:
                yield [b"".join(rest)], [0]
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", hint="Check the path and its permissions."
        ) from None


def _at(places: Sequence[int], lines: Sequence[bytes]) -> list[int]:
    """Which lines those places of their chunk are in."""
    ends = list(accumulate(map(len, lines)))
    return sorted({bisect_right(ends, place) for place in places})


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def _places(data: bytes, wanted: Mapping[bytes, frozenset[bytes]]) -> Iterator[int]:
    """Where one of those bytes stands with what may follow it."""
    for lead, rests in wanted.items():
        width, at = _WIDTHS[lead], data.find(lead)
        # One by one while there are few; a text full of them is cut up at once.
        for _ in range(256):
            if at < 0:
                break
            if data[at + 1 : at + 1 + width] in rests:
                yield at
            at = data.find(lead, at + 1)
        if at < 0:
            continue
        for piece in data[at:].split(lead)[1:]:
            if piece[:width] in rests:
                yield at
            at += 1 + len(piece)


def _some(places: Iterator[int]) -> bool:
    return next(places, None) is not None


@dataclass(frozen=True, slots=True)
class _Line:
    """What a line says of itself, and what is wrong with it: a code and a sentence."""

    text: bytes = b""
    digest: bytes = b""
    index: int | None = None
    fault: tuple[str, str] | None = None
    has_hash: bool = True


def _anatomy(line: bytes) -> _Line:
    cut = line.rfind(_MARK)
    tail = _TAIL_FORM.fullmatch(line, cut) if cut > 0 else None
    if tail is not None:
        text = canonical_text(line[:cut] + b"}")
        digest = merkle.leaf_hash(text) if text is not None else b""
        if text is not None and digest.hex() == tail[1].decode():
            return _Line(text, digest, int(tail[2]) if tail[2] else None)
    return _wrong(line)


def canonical_text(raw: bytes) -> bytes | None:
    """The canonical text behind an export's spelling of it; None when the writer would have spelled it otherwise."""
    if _some(_places(raw, _UNSPELLED)):
        return None
    if b"\\u" not in raw:
        return raw
    return _ESCAPE.sub(lambda found: _SPELLED.get(found[1], found[0]), raw)


def _wrong(line: bytes) -> _Line:
    try:
        data = json.loads(line.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError:
        return _Line(fault=("unreadable", "the line is not UTF-8 text"), has_hash=False)
    except _Twice as error:
        return _Line(fault=("edited", f"the field {error} is there twice"))
    except (ValueError, RecursionError):
        what = "the line is not one JSON object" if line.strip() else "the line is empty"
        return _Line(fault=("unreadable", what), has_hash=False)
    if not isinstance(data, dict):
        return _Line(fault=("unreadable", "the line is not one JSON object"), has_hash=False)
    given, index = data.pop("leafHash", None), data.pop("logIndex", None)
    place = index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else None
    if given is None:
        return _Line(index=place, fault=("edited", "the record has lost its leaf hash"), has_hash=False)
    try:
        text = rfc8785.dumps(data)
    except (ValueError, RecursionError):
        return _Line(index=place, fault=("edited", "it holds a value no record can hold"))
    digest = merkle.leaf_hash(text)
    if digest.hex() == given and (index is None or place is not None):
        what = "the same record, but not the bytes that were exported: blanks, order, escapes or line ends differ"
        return _Line(text, digest, place, ("rewritten", what))
    names = data.keys() ^ _FIELDS
    extra, lost = sorted(names & data.keys()), sorted(names - data.keys())
    where = f"decision {data['decisionId']}: " if isinstance(data.get("decisionId"), int) else ""
    if index is not None and place is None:
        what = "its log index is not a number"
    elif extra:
        what = f"it has a field no decision has: {', '.join(extra[:3])}"
    elif lost:
        what = f"it has lost the field {', '.join(lost[:3])}"
    else:
        what = "its text or its leaf hash was changed; they do not agree"
    return _Line(text, digest, place, ("extra" if extra else "edited", where + what))


class _Twice(ValueError):
    """A field name occurs twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return out


def told(spans: Sequence[Span]) -> str:
    """`log index 3 is`, `log indexes 3–5, 8 are`."""
    parts = [str(a) if b - a == 1 else f"{a}–{b - 1}" for a, b in spans]
    one = len(spans) == 1 and spans[0][1] - spans[0][0] == 1
    return f"log index{'' if one else 'es'} {', '.join(parts)} {'is' if one else 'are'}"


def record_at(path: Path, index: int) -> tuple[int | None, bytes, str]:
    """The line, the leaf hash and the fault of the record of that log index, or of the only one in the file.

    The record may be written in any JSON way: what is hashed is its canonical text. Without one the hash is empty.

    Raises:
        InputError: when the file cannot be read.
    """
    wanted = str(index).encode()
    number, alone = 0, b""
    for lines, _ in _lines(path):
        for line in lines:
            number, line = number + 1, line.removesuffix(b"\n")
            alone = line if number == 1 else b""
            if wanted in line[-40:] and (found := _anatomy(line)).index == index:
                return number, found.digest, _fault(found)
    whole = alone if number == 1 else path.read_bytes() if path.stat().st_size < _CHUNK else b""
    found = _anatomy(whole)
    if found.index not in (None, index):
        return None, b"", ""
    return (1 if number == 1 else None), found.digest, _fault(found)


def _fault(line: _Line) -> str:
    return line.fault[1] if line.fault and line.fault[0] != "rewritten" else ""
