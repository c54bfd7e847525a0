"""How a large export is counted: piece by piece, most lines by a database engine, the rest by the careful reader."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cairnops.analytics import rows
from cairnops.analytics.keys import NotThisWay
from cairnops.analytics.scan import Piece, Scan, database
from cairnops.analytics.tally import FAILURE_SAMPLES, Tally
from cairnops.domain.measures import MeasurePolicy
from cairnops.telemetry.document import spans_lines
from cairnops.telemetry.jsontext import parse
from cairnops.telemetry.reader import Book, Export, Line, alone, finished
from cairnops.telemetry.source import Source

__all__ = ["NotThisWay", "database", "duration_of", "finished", "pieces", "tally_large"]

#: Bytes read at a time. Memory follows this and not the file.
PIECE = 64 * 1024 * 1024
#: A plain file of up to this many bytes is read in one piece, which is quicker and takes memory as it grows.
WHOLE = 400 * 1024 * 1024


def tally_large(
    path: Path, measures: MeasurePolicy, *, piece: int = PIECE, whole: int = WHOLE
) -> tuple[Tally, Export] | None:
    """Count an export as the careful reader would, most of it at scan speed.

    None when the file is of a kind only the careful reader reads: JSON over several lines, UTF-16,
    damaged compression, no objects at the top.

    Raises:
        InputError: as `read_lines`.
    """
    tally = Tally(measures)
    try:
        with Source(path) as source, database() as connection:
            scan = Scan(connection)
            counting = _Counting(scan, tally, Book(Export(path=source.name)), measures)
            for found in pieces(source, scan, piece, whole):
                counting.take(found)
            if source.damage:
                raise NotThisWay
            counting.finish()
    except NotThisWay:
        return None
    return tally, finished(counting.book, source)


class Found:
    """One piece of a file: what the engine took of it, where it starts, and the lines it did not take."""

    def __init__(self, lines: "_Lines", piece: Piece, line: int, place: int):
        self.piece = piece
        #: Physical lines and non-blank lines before this piece.
        self.line, self.place = line, place
        self.lines, self.blank = piece.rows, 0
        #: For each blank line how many non-blank ones of the piece stand before it.
        self.gaps: list[int] = []
        #: (place, physical number, bytes) of the lines left to the careful reader.
        self.left: list[tuple[int, int, bytes]] = []
        self._source = lines
        if piece.bad or not lines.dense(piece):
            self._walk()

    def _walk(self) -> None:
        place = -1
        wanted = iter(self.piece.bad)
        next_wanted = next(wanted, -1)
        index = -1
        with self._source.open() as lines:
            for index, raw in enumerate(lines):
                # What the engine passes over as blank is what `isspace` calls so.
                if raw.isspace():
                    self.gaps.append(place + 1)
                    continue
                place += 1
                if place == next_wanted:
                    self.left.append((place, self.line + index + 1, raw))
                    next_wanted = next(wanted, -1)
        self.lines, self.blank = index + 1, len(self.gaps)
        if place + 1 != self.piece.rows:
            raise NotThisWay

    def at(self, places: list[int]) -> Iterator[tuple[int, int, bytes]]:
        """(place, physical number, bytes) of the lines at some places of the piece, given upwards."""
        wanted = iter(places)
        next_wanted = next(wanted, None)
        place = -1
        with self._source.open() as lines:
            for index, raw in enumerate(lines):
                if next_wanted is None:
                    return
                if raw.isspace():
                    continue
                place += 1
                if place == next_wanted:
                    yield place, self.line + index + 1, raw
                    next_wanted = next(wanted, None)


class _Lines:
    """Where the bytes of a piece lie: a whole file, or a part of one that was put aside."""

    def __init__(self, path: Path, size: int, tail: bytes):
        self._path, self._size, self._tail = path, size, tail

    def open(self) -> BinaryIO:
        """The bytes from their start."""
        return self._path.open("rb", buffering=1 << 20)

    def dense(self, piece: Piece) -> bool:
        """Nothing but the rows themselves and a line end each: then no line is blank."""
        ends = piece.rows - (not self._tail.endswith(b"\n"))
        return piece.taken + ends * (2 if self._tail == b"\r\n" else 1) == self._size


def pieces(source: Source, scan: Scan, size: int, whole: int) -> Iterator[Found]:
    """Read a source piece by piece into the engine's table; a plain file of up to `whole` bytes at once.

    Raises:
        NotThisWay: for a file, or a line, only the careful reader reads.
    """
    if source.encoding != "utf-8" or alone(source.head) or spans_lines(source.head):
        raise NotThisWay
    scan.learn(source.head.split("\n"))
    plain = source.plain
    with ThreadPoolExecutor(1) as ahead:
        if plain is not None and plain.stat().st_size <= whole and not set(str(plain)) & set("*?["):
            hashed = ahead.submit(source.drain)
            with plain.open("rb") as file:
                length = file.seek(0, os.SEEK_END)
                file.seek(max(length - 2, 0))
                tail = file.read()
            found = Found(_Lines(plain, length, tail), scan.read(str(plain)), 0, 0)
            hashed.result()
            source.unterminated = not tail.endswith(b"\n")
            yield found
            return
        line = place = 0
        with _spool(size) as (path, other):
            coming = ahead.submit(source.put_aside, path, size)
            while (put := coming.result())[0]:
                length, tail = put
                # Hashing and reading the next piece goes on while the engine is at this one.
                coming = ahead.submit(source.put_aside, other, size)
                found = Found(_Lines(path, length, tail), scan.read(str(path)), line, place)
                yield found
                line, place = line + found.lines, place + found.piece.rows
                source.unterminated = not tail.endswith(b"\n")
                path, other = other, path


@contextmanager
def _spool(size: int) -> Iterator[tuple[Path, Path]]:
    """Where two pieces lie, one for the engine to read: in memory if the system offers that, else on disk."""
    memory = "/dev/shm"
    # Containers are often given 64 MB of it; a line may make a piece longer than asked for.
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 8 * size
    folder = memory if roomy else None
    with tempfile.TemporaryDirectory(prefix="cairnops-", dir=folder) as name:
        yield Path(name) / "piece.ndjson", Path(name) / "next.ndjson"


class _Counting:
    def __init__(self, scan: Scan, tally: Tally, book: Book, measures: MeasurePolicy):
        self._scan, self._tally, self.book = scan, tally, book
        self._seconds = measures.seconds_below_ten
        self._rows: dict[tuple[tuple[str, str], ...], rows.Row] = {}

    def take(self, found: Found) -> None:
        """Count one piece."""
        self._careful(found)
        self._engine(found)
        self.book.passed(
            lines=found.lines, blank=found.blank, records=found.piece.rows - len(found.piece.bad)
        )

    def _careful(self, found: Found) -> None:
        for place, number, raw in found.left:
            for line in self.book.one(number, raw):
                if line.record is None:
                    self._tally.reject(line)
                else:
                    row = rows.read(line.record, seconds_below_ten=self._seconds)
                    self._tally.add((found.place + place, line.part), line, row)

    def _engine(self, found: Found) -> None:
        scan, tally, piece = self._scan, self._tally, found.piece
        failing = []
        seen: set[tuple[tuple[str, str], ...]] = set()
        for cell in scan.cells:
            key = tuple(cell.facts.items())
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = rows.read(scan.record(cell.facts), seconds_below_ten=self._seconds)
            tally.add_facts((found.place + cell.first, 0), row, cell.count)
            if cell.hour is None:
                tally.add_timeless("missing", cell.count)
            else:
                tally.add_times(row.kind, cell.start, cell.end, cell.count)
            if row.kind == "failure" and key not in seen:
                seen.add(key)
                failing.append(cell.facts)
        scan.keep_durations()
        if failing and tally.wants_samples((found.place, 0)):
            for place, number, raw in found.at(scan.first_with(piece, failing, FAILURE_SAMPLES)):
                line = Line(number=number, ordinal=0, raw="")
                record = parse(raw.decode().strip())
                tally.sample(
                    (found.place + place, 0), line, rows.read(record, seconds_below_ten=self._seconds)
                )

    def finish(self) -> None:
        """Count what was kept for the end."""
        plain, others = self._scan.durations()
        if self._seconds:
            others += [(str(value), count) for value, count in plain.items()]
        else:
            self._tally.add_durations(plain)
        for text, count in others:
            self._tally.add_duration(*duration_of(text, self._seconds), count)


def duration_of(text: str | None, seconds_below_ten: bool) -> tuple[float | None, rows.Presence]:
    """What `rows` makes of a duration given as JSON text."""
    if text is None:
        return None, "missing"
    return rows.read_duration({"durationMs": parse(text)}, seconds_below_ten=seconds_below_ten)
