"""What each line of an export is: a record, a named reject, or blank; and what the whole file is.

Real exports are error bodies, web pages, pasted arrays and objects run together as often as they
are rows. Nothing is dropped silently and nothing that is not an object is counted as a record.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from cairnops.telemetry import document
from cairnops.telemetry.jsontext import NonFinite, parse, parse_first
from cairnops.telemetry.source import Source, as_text

#: Why something is not a record, as a sentence. The keys are what reports count by.
REJECTS = {
    "not-json": "not JSON",
    "malformed": "JSON with an error in it",
    "truncated": "JSON that ends before it is complete",
    "scalar": "a single JSON value, not an object",
    "array-element": "an array element that is not an object",
    "empty-array": "an array with nothing in it",
    "error-body": "an error message of the database's web interface, not a row",
    "trailing-text": "something left over after an object",
    "too-deep": "JSON nested too deeply",
    "compressed-data": "the compressed data ends early or is damaged",
}
#: What was put right while reading; the record counts.
REPAIRS = {
    "array": "taken out of an array",
    "concatenated": "several objects on one line, taken apart",
    "comma": "a comma before or after the object was ignored",
    "non-finite": "NaN or an infinity was read as null",
    "invalid-utf8": "bytes that are not UTF-8 were replaced by \ufffd",
    "byte-order-mark": "a byte order mark inside the file was ignored",
    "many-lines": "one object written over several lines",
}

#: Lines remembered so that the same text is not judged again and again.
_REJECTED = 200
_ERROR_CODE = r"PGRST\d+|[0-9A-Z]{5}"
_ERROR_KEYS = {"code", "message", "details", "hint"}
_HTML = r"(?i)\s*<(?:!doctype\s+html|html|head|body|\?xml)\b"


class Line(NamedTuple):
    """One record or one reject; a line that holds several yields several, with the same number."""

    #: Physical line it starts on, from 1, blank lines counted: what an editor shows.
    number: int
    #: The same among non-blank lines, from 1: what one legacy analyser calls the line number.
    ordinal: int
    #: The line as text, without its end (of a value over several lines, all of them).
    raw: str
    #: The object, or None for a reject.
    record: dict[str, Any] | None = None
    #: A key of `REJECTS`, or None for a record.
    problem: str | None = None
    #: The reject in words, with what this one is about.
    detail: str = ""
    #: Keys of `REPAIRS`; empty for a clean record.
    repairs: tuple[str, ...] = ()
    #: Which record or reject of its line this is, from 0.
    part: int = 0
    #: Where in `raw` it starts, in characters.
    at: int = 0


@dataclass(kw_only=True, slots=True)
class Export:
    """What a file turned out to be, complete once every line has been read.

    `lines == blank + record_lines + reject_lines + structure_lines`, always: a line that gave any
    record is a record line, brackets and commas of an array over many lines are structure.
    """

    #: File name only; a folder's name says where somebody keeps things.
    path: str
    sha256: str = ""
    #: Bytes on disk, compressed if it is.
    size: int = 0
    #: ndjson, json_array, json_object, json_sequence, empty, postgrest_error, scalars, html,
    #: text_banner, binary, or parquet; see `is_data`.
    kind: str = "empty"
    #: `gzip`, `zstd`, `tar`, `gzip+tar`, or empty.
    compression: str = ""
    #: `utf-8` or `utf-16`.
    encoding: str = "utf-8"
    bom: bool = False
    lines: int = 0
    blank: int = 0
    record_lines: int = 0
    reject_lines: int = 0
    structure_lines: int = 0
    records: int = 0
    rejects: int = 0
    #: Rejects by key of `REJECTS`, repairs by key of `REPAIRS`.
    reasons: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    #: The last line has no line end: the file may have been cut off.
    unterminated: bool = False
    #: What is wrong with the file as a whole, in one sentence; empty when it holds rows or none.
    diagnosis: str = ""

    @property
    def is_data(self) -> bool:
        """The file is an export, with rows or without; False for an error body, a page, a banner."""
        return self.kind in ("ndjson", "json_array", "json_object", "json_sequence", "parquet", "empty")


class Records(NamedTuple):
    """A whole export in memory."""

    records: list[dict[str, Any]]
    problems: list[Line]
    export: Export


class Reading:
    """An export read line by line; iterate it once, then ask for `export`."""

    def __init__(self, source: str | Path | BinaryIO):
        self._source = Source(source)
        self._export: Export | None = None

    @property
    def export(self) -> Export:
        """The account of the file.

        Raises:
            ValueError: before the last line was read; the counts would be wrong.
        """
        if self._export is None:
            raise ValueError("read every line before asking what the file was")
        return self._export

    def __iter__(self) -> Iterator[Line]:
        export = Export(path=self._source.name)
        book = Book(export)
        with self._source as source:
            # The file of an archive has a name of its own.
            export.path = source.name
            export.compression, export.encoding, export.bom = source.compression, source.encoding, source.bom
            head = source.head
            if document.spans_lines(head):
                yield from book.document(source)
            else:
                yield from book.lines(source)
            if source.damage:
                yield book.damage(source.damage)
            export.unterminated = source.unterminated
        export.sha256, export.size = source.sha256, source.size
        book.close(head)
        self._export = export


def read_lines(source: str | Path | BinaryIO) -> Reading:
    """Read an export: a path or an open binary stream, plain or gzip, UTF-8 or UTF-16 with its mark.

    Yields `Line`s in file order and holds one line in memory at a time, except for JSON written over
    several lines, which is read whole.

    Raises:
        InputError: at once for a missing file, a folder or one that may not be read; while reading
            for an archive, a spreadsheet or another container that has to be unpacked first.
    """
    return Reading(source)


def read_records(source: str | Path | BinaryIO) -> Records:
    """Read a whole export: its records, its rejects, and the account of the file.

    Raises:
        InputError: as `read_lines`.
    """
    reading = read_lines(source)
    records: list[dict[str, Any]] = []
    problems: list[Line] = []
    for line in reading:
        if line.record is None:
            problems.append(line)
        else:
            records.append(line.record)
    return Records(records=records, problems=problems, export=reading.export)


class _Part(NamedTuple):
    """A value found in a line, before it knows its line."""

    record: dict[str, Any] | None = None
    problem: str | None = None
    detail: str = ""
    repairs: tuple[str, ...] = ()
    at: int = 0
    #: What a reject was, where it was JSON at all: an error body is recognised by it.
    value: Any = None


class Book:
    """Keeps the account while lines go by, all of them or only those another reader left over."""

    def __init__(self, export: Export):
        self._export = export
        self._ordinal = 0
        #: The first few scalars, to recognise an error body that was taken apart value by value.
        self._scalars: list[object] = []
        self._error_body: dict[str, Any] | None = None
        self._mode = "lines"
        #: Some lines without a record that were met, and what is wrong with them.
        self._rejected: dict[str, list[_Part]] = {}

    def lines(self, source: Source) -> Iterator[Line]:
        export = self._export
        for number, text, repairs in source.texts():
            export.lines = number
            yield from self._text(number, text, repairs)

    def _text(self, number: int, text: str, repairs: tuple[str, ...]) -> Iterator[Line]:
        export = self._export
        if text.startswith("\ufeff"):
            text, repairs = text.lstrip("\ufeff"), (*repairs, "byte-order-mark")
        if not text.strip():
            export.blank += 1
            return
        self._ordinal += 1
        broken: ValueError | None = None
        if not repairs and text[0] == "{":
            try:
                record = parse(text)
            except (ValueError, RecursionError) as error:
                # With its traceback it would hold this frame, and the frame it.
                broken = error.with_traceback(None) if isinstance(error, json.JSONDecodeError) else None
            else:
                if record and not _is_error_body(record):
                    export.record_lines += 1
                    export.records += 1
                    yield Line(number=number, ordinal=self._ordinal, raw=text, record=record)
                    return
        # The same banner, the same `null` may stand there a thousand times.
        parts = self._rejected.get(text)
        if parts is None:
            parts = _parts(text, broken)
            if len(self._rejected) < _REJECTED and len(text) < 1000 and all(p.record is None for p in parts):
                self._rejected[text] = parts
        if any(p.record is not None for p in parts):
            export.record_lines += 1
        else:
            export.reject_lines += 1
        for index, part in enumerate(parts):
            yield self._line(part, number, text, repairs, index)

    @property
    def export(self) -> Export:
        """The account so far."""
        return self._export

    def one(self, number: int, raw: bytes) -> Iterator[Line]:
        """What a line that is not blank holds; `passed` counts it among the lines, its ordinal is not kept."""
        return self._text(number, *as_text(raw.rstrip(b"\r\n")))

    def passed(self, *, lines: int, blank: int, records: int) -> None:
        """Count lines that went by: all of them, the blank ones, and those that were a plain record each."""
        export = self._export
        export.lines += lines
        export.blank += blank
        export.record_lines += records
        export.records += records
        self._ordinal += records

    def mended(self, records: int, repairs: tuple[str, ...]) -> None:
        """Count a line that gave so many records, each of which was put right in these ways."""
        export = self._export
        export.record_lines += 1
        export.records += records
        for repair in repairs:
            export.repairs[repair] += records
        self._ordinal += 1

    def document(self, source: Source) -> Iterator[Line]:
        export = self._export
        text, repairs = source.whole_text()
        found = document.values(text)
        self._mode = found.shape
        export.lines = len(found.lines)
        export.blank = found.lines.count(document.BLANK)
        export.structure_lines = found.lines.count(document.STRUCTURE)
        per_line: Counter[int] = Counter()
        record_lines: set[int] = set()
        counted = 0
        for value in found.values:
            spread = ("many-lines",) if value.last > value.first else ()
            taken_out = ("array",) if value.in_array else ()
            if value.problem:
                parts = [_Part(problem=value.problem, detail=REJECTS[value.problem])]
            else:
                parts = _of_value(value.value, (*taken_out, *spread, *value.repairs), value.in_array)
            self._ordinal += value.first - counted - found.lines.count(document.BLANK, counted, value.first)
            counted = value.first
            for part in parts:
                if part.record is not None:
                    covered = range(value.first, value.last + 1)
                    record_lines.update(n for n in covered if found.lines[n - 1] != document.BLANK)
                index = per_line[value.first]
                per_line[value.first] += 1
                yield self._line(part, value.first, text[value.start : value.end], repairs, index)
        export.record_lines = len(record_lines)
        export.reject_lines = export.lines - export.blank - export.structure_lines - len(record_lines)

    def damage(self, detail: str) -> Line:
        """The compressed data broke off: what was read stands, and the loss is a reject of its own line."""
        self._export.lines += 1
        self._export.reject_lines += 1
        self._ordinal += 1
        return self._line(_Part(problem="compressed-data", detail=detail), self._export.lines, "", (), 0)

    def _line(self, part: _Part, number: int, raw: str, repairs: tuple[str, ...], index: int) -> Line:
        export = self._export
        if part.record is None:
            export.rejects += 1
            export.reasons[part.problem or ""] += 1
        else:
            export.records += 1
            if repairs or part.repairs:
                repairs = (*repairs, *part.repairs)
                export.repairs.update(repairs)
        if part.problem == "scalar" and len(self._scalars) < 8:
            self._scalars.append(part.value)
        if part.problem == "error-body" and self._error_body is None:
            self._error_body = part.value
        return Line(
            number=number,
            ordinal=self._ordinal,
            raw=raw,
            record=part.record,
            problem=part.problem,
            detail=part.detail,
            repairs=repairs if part.record is not None else (),
            part=index,
            at=part.at,
        )

    def close(self, head: str) -> None:
        export = self._export
        export.kind, export.diagnosis = self._verdict(head)

    def _verdict(self, head: str) -> tuple[str, str]:
        export = self._export
        reasons = export.reasons
        if export.records:
            only_an_array = self._ordinal == 1 and export.repairs["array"] and self._mode == "lines"
            return ("json_array" if only_an_array else _SHAPES[self._mode]), ""
        if not export.rejects:
            return _SHAPES[self._mode] if self._mode != "lines" else "empty", ""
        if set(reasons) == {"empty-array"}:
            return "json_array", ""
        if self._error_body is not None:
            code = self._error_body.get("code") or "without a code"
            return "postgrest_error", _query_failed(str(code), str(self._error_body.get("message") or ""))
        if set(reasons) <= {"scalar", "array-element"}:
            texts = [s for s in self._scalars if isinstance(s, str)]
            code = next((t for t in texts if re.fullmatch(_ERROR_CODE, t)), "")
            if code:
                return "postgrest_error", _query_failed(code, texts[-1] if texts[-1] != code else "")
            return "scalars", "The file holds single JSON values and no objects, so there are no rows in it."
        if re.match(_HTML, head):
            return "html", "The file is a web page saved under an export's name; there are no rows in it."
        if "\0" in head:
            return "binary", "The file is not text; there are no rows in it."
        if reasons["truncated"] or reasons["malformed"] or reasons["compressed-data"] or reasons["too-deep"]:
            return "ndjson", "No line could be read as an object."
        return "text_banner", "The file is plain text (the output of a program?); there are no rows in it."


def finished(book: Book, source: Source) -> Export:
    """The account of a file, once it has been read and let go of."""
    export = book.export
    export.compression, export.encoding, export.bom = source.compression, source.encoding, source.bom
    export.unterminated, export.sha256, export.size = source.unterminated, source.sha256, source.size
    book.close(source.head)
    return export


_SHAPES = {"lines": "ndjson", "array": "json_array", "object": "json_object", "sequence": "json_sequence"}


def _query_failed(code: str, message: str) -> str:
    said = f": {message}" if message else ""
    return f"The database answered with error {code}{said}. The query failed, so there are no rows in it."


def _parts(text: str, broken: ValueError | None = None) -> list[_Part]:
    """Everything one line holds; `broken` says why as a whole it is not JSON, where that is known."""
    stripped = text.strip()
    # What people paste out of an array brings its commas along.
    bare = stripped.strip(",").strip()
    commas = ("comma",) if bare != stripped and bare[:1] in ("{", "[") else ()
    body = bare if commas else stripped
    if broken and body == text:
        return _taken_apart(body, commas, broken)
    try:
        value, repairs = _value(body)
    except RecursionError:
        return [_Part(problem="too-deep", detail=REJECTS["too-deep"])]
    except ValueError:
        if body[0] in "{[":
            return _taken_apart(body, commas)
        return [_Part(problem="not-json", detail=REJECTS["not-json"])]
    return _of_value(value, (*commas, *repairs))


def _value(text: str) -> tuple[object, tuple[str, ...]]:
    try:
        return parse(text), ()
    except NonFinite:
        return parse(text, non_finite_as_null=True), ("non-finite",)


def _of_value(value: object, repairs: tuple[str, ...], in_array: bool = False) -> list[_Part]:
    if isinstance(value, dict):
        if _is_error_body(value):
            return [_Part(problem="error-body", detail=REJECTS["error-body"], value=value)]
        return [_Part(record=value, repairs=repairs)]
    if isinstance(value, list):
        if not value:
            return [_Part(problem="empty-array", detail=REJECTS["empty-array"])]
        if "array" not in repairs:
            repairs = (*repairs, "array")
        return [part for inner in value for part in _of_value(inner, repairs, True)]
    problem = "array-element" if in_array else "scalar"
    return [_Part(problem=problem, detail=REJECTS[problem], value=value)]


def _taken_apart(text: str, repairs: tuple[str, ...], broken: ValueError | None = None) -> list[_Part]:
    """Objects run together on one line (`}{`), and whatever cannot be read after the last of them."""
    parts: list[_Part] = []
    if broken and not str(broken).startswith("Extra data"):
        # Then the first of them is what could not be read.
        return [_unread(text, 0, broken)]
    at = 0
    how = "concatenated"
    if document.opens_array(text):
        # An array cut off on its only line: its complete elements are still rows.
        at, how = 1, "array"
    while at < len(text):
        try:
            value, at, fixed = parse_first(text, at)
        except RecursionError:
            parts.append(_Part(problem="too-deep", detail=REJECTS["too-deep"]))
            break
        except ValueError as error:
            parts.append(_unread(text, at, error, after=bool(parts)))
            break
        parts += _of_value(value, (*repairs, *fixed, how), how == "array")
        at = document.skip(text, at, " \t\r,")
    return parts


def _unread(text: str, at: int, error: ValueError, *, after: bool = False) -> _Part:
    """What could not be read, `after` something that could be."""
    problem = _why(text, at, error)
    if after and problem not in ("truncated", "malformed"):
        problem = "trailing-text"
    return _Part(problem=problem, detail=f"{REJECTS[problem]}{_said(error)}", at=at)


def _why(text: str, at: int, error: ValueError) -> str:
    if text[at : at + 1] not in ("{", "["):
        return "not-json"
    where = error.pos if isinstance(error, json.JSONDecodeError) else at
    # An unfinished string is reported where it starts, anything else unfinished where the text stops.
    unfinished = str(error).startswith("Unterminated string") or where >= len(text)
    return "truncated" if unfinished else "malformed"


def _said(error: ValueError) -> str:
    """The parser's own words; its "line 1" would contradict the line number beside them."""
    if isinstance(error, json.JSONDecodeError):
        return f": {error.msg.removesuffix(' at')} at character {error.pos + 1}"
    return f": {error}"


def _is_error_body(value: dict[str, Any]) -> bool:
    return value.keys() <= _ERROR_KEYS and isinstance(value.get("message"), str) and len(value) > 1
