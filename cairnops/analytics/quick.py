"""How a large export whose rows are written alike is counted: piece by piece, and most lines by the thousand."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import polars as pl

from cairnops.analytics import rows
from cairnops.analytics.keys import NotThisWay
from cairnops.analytics.split import Codes, Split, Taken
from cairnops.analytics.tally import FAILURE_SAMPLES, Place, Tally
from cairnops.domain.measures import MeasurePolicy
from cairnops.telemetry.document import spans_lines
from cairnops.telemetry.jsontext import parse
from cairnops.telemetry.reader import Book, Export, Line, finished
from cairnops.telemetry.source import Source

#: Bytes read at a time. Memory follows this and not the file.
PIECE = 16 * 1024 * 1024
#: Durations kept as they come, before they are counted by value.
_KEPT = 2_000_000
#: From so many lines of a piece on that were not taken it is quicker to try them once more, put right.
_WORTH_IT = 500
_MARK = b"\xef\xbb\xbf"


def tally_alike(path: Path, measures: MeasurePolicy, *, piece: int = PIECE) -> tuple[Tally, Export] | None:
    """Count an export as the careful reader would; None when its rows are not written alike, or not at all.

    Raises:
        InputError: as `read_lines`.
    """
    tally = Tally(measures)
    try:
        with Source(path) as source:
            counting = Counting(tally, Book(Export(path=source.name)), measures)
            for taken in pieces(source, piece):
                counting.take(taken)
            if source.damage:
                raise NotThisWay
            counting.finish()
    except NotThisWay:
        return None
    return tally, finished(counting.book, source)


def pieces(source: Source, size: int = PIECE) -> Iterator[Taken]:
    """Read a source piece by piece.

    Raises:
        NotThisWay: when its rows are not written alike.
    """
    if source.encoding != "utf-8" or spans_lines(source.head) or "\r" in source.head:
        raise NotThisWay
    split = Split(source.head.split("\n"))
    blocks = _blocks(source, size)
    # Two pieces are under way beside the one that is counted: one is read and hashed, one taken apart.
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as parting:
        read = reading.submit(next, blocks)

        def part() -> tuple[bytes, bytes, pl.DataFrame] | None:
            nonlocal read
            data, rest = read.result()
            if not data:
                return None
            read = reading.submit(next, blocks)
            return data, rest, split.frame(data)

        coming = parting.submit(part)
        while (put := coming.result()) is not None:
            coming = parting.submit(part)
            data, rest, frame = put
            source.unterminated = not (rest or data).endswith(b"\n")
            yield Taken(split, frame, data, rest)


def _blocks(source: Source, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The file in stretches of `size` bytes, each with what its last line lacks; nothing twice at the end."""
    while block := source.block(size):
        yield block, b"" if block.endswith(b"\n") else source.line()
    yield b"", b""


class Mended(NamedTuple):
    """What a line holds if each of `rows` is an object; keys of `reader.REPAIRS` for each of them."""

    rows: list[bytes]
    repairs: tuple[str, ...]


def mend(raw: bytes) -> Mended | None:
    """Put a damaged line right by its looks: a mark or a comma too many, objects side by side or in an array.

    An object ends where its last brace is and nowhere else. So where each of the rows turns out to be one, the
    careful reader finds these in the line, and nothing else.
    """
    raw = raw.removesuffix(b"\n")
    repairs: tuple[str, ...] = ()
    if raw.startswith(_MARK):
        raw, repairs = raw[len(_MARK) :], ("byte-order-mark",)
    if raw.startswith(b"[{") and raw.endswith(b"}]"):
        return Mended(_apart(raw[1:-1], b"},{"), (*repairs, "array"))
    if not raw.startswith(b"{"):
        return None
    if raw.endswith(b"},"):
        return Mended([raw[:-1]], (*repairs, "comma"))
    parts = _apart(raw, b"}{")
    if len(parts) > 1:
        repairs = (*repairs, "concatenated")
    return Mended(parts, repairs) if repairs else None


def _apart(raw: bytes, between: bytes) -> list[bytes]:
    """The objects between two braces, with both of them."""
    first, *others = raw.split(between)
    parts = [first, *(b"{" + part for part in others)]
    return [part + b"}" for part in parts[:-1]] + parts[-1:]


class Counting:
    """Counts pieces in the order of the file."""

    def __init__(self, tally: Tally, book: Book, measures: MeasurePolicy):
        self._tally, self.book = tally, book
        self._seconds = measures.seconds_below_ten
        self._lines = 0
        self._rows: dict[Codes, rows.Row] = {}
        self._spent: list[pl.Series] = []
        self._ms = pl.Series(dtype=pl.Float64)
        self._counted = pl.DataFrame(schema={"d": pl.UInt32, "len": pl.Int64})

    def take(self, taken: Taken) -> None:
        """Count one piece."""
        left = taken.left()
        if len(left) >= _WORTH_IT:
            left = self._mended(taken.split, left)
        for place, raw in left:
            for line in self.book.one(self._lines + place + 1, raw):
                if line.record is None:
                    self._tally.reject(line)
                else:
                    row = rows.read(line.record, seconds_below_ten=self._seconds)
                    self._tally.add((self._lines + place, line.part), line, row)
        self._count(taken, [])
        self.book.passed(lines=taken.lines, blank=0, records=taken.taken)
        self._lines += taken.lines

    def _mended(self, split: Split, left: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Count what is a row once it was put right; the lines of which that cannot be said."""
        found = {place: mended for place, raw in left if (mended := mend(raw))}
        while found:
            places = [(place, part) for place, its in found.items() for part in range(len(its.rows))]
            data = b"\n".join(row for its in found.values() for row in its.rows) + b"\n"
            again = Taken(split, split.frame(data), data, least=0)
            # The line of a row that was not taken is nothing for this way, with all that it holds.
            amiss = {places[row][0] for row, _ in again.left()}
            if not amiss:
                self._count(again, places)
                for its in found.values():
                    self.book.mended(len(its.rows), its.repairs)
                break
            found = {place: its for place, its in found.items() if place not in amiss}
        return [(place, raw) for place, raw in left if place not in found]

    def _count(self, taken: Taken, places: list[Place]) -> None:
        """Count rows; `places` says where each of them stands, if they are not the lines of a piece."""

        def where(row: int) -> Place:
            place, part = places[row] if places else (row, 0)
            return self._lines + place, part

        failing = self._groups(taken, where)
        if failing and self._tally.wants_samples(where(0)):
            for row, raw in taken.first_of(failing, FAILURE_SAMPLES):
                place, part = where(row)
                line = Line(number=place + 1, ordinal=0, raw="", part=part)
                read = rows.read(parse(raw.decode()), seconds_below_ten=self._seconds)
                self._tally.sample((place, part), line, read)
        if window := taken.window():
            self._tally.add_window(*window)
        self._keep(taken)

    def _groups(self, taken: Taken, where: Callable[[int], Place]) -> list[int]:
        """Count the groups; the keys of those that failed."""
        alike: dict[Codes, list[int]] = {}
        hours: Counter[tuple[rows.Class, int | None]] = Counter()
        failing = []
        for group in taken.groups:
            row = self._rows.get(group.facts)
            if row is None:
                record = taken.records[group.facts] or {}
                row = self._rows[group.facts] = rows.read(record, seconds_below_ten=self._seconds)
            # They come by their first line.
            alike.setdefault(group.facts, [group.first, 0])[1] += group.count
            hours[row.kind, group.hour] += group.count
            if row.kind == "failure":
                failing.append(group.key)
        for facts, (first, count) in alike.items():
            self._tally.add_facts(where(first), self._rows[facts], count)
        for (kind, hour), count in hours.items():
            if hour is None:
                self._tally.add_timeless("missing", count)
            else:
                self._tally.add_hour(kind, hour, count)
        return failing

    def _keep(self, taken: Taken) -> None:
        spent = taken.durations()
        if spent is None:
            self._tally.add_duration(None, "missing", taken.taken)
            return
        self._spent.append(spent)
        self._ms = taken.spent
        if sum(map(len, self._spent)) > _KEPT:
            self._settle()

    def _settle(self) -> None:
        counts = pl.DataFrame({"d": pl.concat(self._spent)}).group_by("d").agg(pl.len().cast(pl.Int64))
        self._counted = pl.concat([self._counted, counts]).group_by("d").agg(pl.col("len").sum())
        self._spent = []

    def finish(self) -> None:
        """Count what was kept for the end."""
        if self._spent:
            self._settle()
        spent = self._counted.select(ms=self._ms.gather(self._counted["d"]), count="len")
        missing = spent.filter(pl.col("ms").is_null())["count"].sum()
        if missing:
            self._tally.add_duration(None, "missing", missing)
        ms = pl.col("ms")
        if self._seconds:
            ms = pl.when(ms < 10).then(ms * 1000).otherwise(ms)
        counts = spent.drop_nulls().group_by(ms).agg(pl.col("count").sum())
        self._tally.add_durations(dict(zip(counts["ms"].to_list(), counts["count"].to_list(), strict=True)))
