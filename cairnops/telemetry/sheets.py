"""What a worksheet claims, row by row, however it was typed: a Markdown table with broken rows, CSV, or bare ids.

Every physical line ends as a row, as a named reject, as blank, or as something around the table; nothing is dropped
without being counted.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal

from cairnops.errors import InputError
from cairnops.telemetry import cells
from cairnops.telemetry.preview import preview
from cairnops.telemetry.source import Source

Kind = Literal["markdown", "csv", "ids"]

#: Why a line that should be a row is none, as a sentence; `cells.BAD_IDS` has the rest.
REJECTS = {
    "cells-missing": "the row has fewer cells than the table has columns, and which is missing is not clear",
    "cells-too-many": "the row has more cells than the table has columns, and which one was cut in two is not clear",
    "no-identity": "the row names neither a decision nor a conversation with a time",
    "too-large": "a cell is too large",
    **cells.BAD_IDS,
}
#: What was put right while reading; the row counts.
REPAIRS = {
    "extra-pipe": "a cell with a | in it was put together again",
    "empty-cell-dropped": "an empty cell before or behind the row was ignored",
    "cells-added": "cells missing at the end were taken for empty",
    "joined": "a row broken over two lines was put together",
    "outside": "a row standing apart from its table was counted with it",
    "stray-quote": "a quotation mark that is never closed was taken for text",
    **cells.CELL_REPAIRS,
}

_LIMIT = 64 * 1024 * 1024
_CELL_LIMIT = 128 * 1024
_WRITTEN = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One claim of a worksheet; a row that names several decisions is several of these with the same line."""

    sheet: str = ""
    #: Physical line it starts on, from 1.
    line: int = 0
    #: Which of its line's claims this is, from 0.
    part: int = 0
    #: The id cell as it was written, on one line.
    written: str = ""
    number: str = ""
    uid: str = ""
    #: The row says in so many words that there is no decision.
    absent: bool = False
    #: With its system in front (`chatwoot:1045`), or empty.
    conversation: str = ""
    action: str = ""
    actor: str = ""
    at: cells.Moment | None = None
    #: (effect, STATUS) pairs; see `cells.statuses`.
    statuses: tuple[tuple[str, str], ...] = ()
    scope: str = ""
    session: str = ""
    proofs: tuple[cells.Proof, ...] = ()
    #: Keys of `REPAIRS`.
    repairs: tuple[str, ...] = ()

    @property
    def claims(self) -> bool:
        """The row names a decision by an id."""
        return bool(self.number or self.uid)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """A line that should be a row and is none; `reason` is a key of `REJECTS`."""

    sheet: str = ""
    line: int
    reason: str
    #: What stands there, short, without people and secrets.
    preview: str

    @property
    def detail(self) -> str:
        """The reason as a sentence."""
        return REJECTS[self.reason]


@dataclass(kw_only=True, slots=True)
class Sheet:
    """A worksheet as read; `lines == blank + row_lines + reject_lines + other_lines`, always."""

    name: str
    kind: Kind = "ids"
    sha256: str = ""
    size: int = 0
    #: The heading of each fact that was found.
    columns: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    #: Files named under a heading about evidence, outside any row: (line, file).
    proofs: list[tuple[int, cells.Proof]] = field(default_factory=list)
    lines: int = 0
    blank: int = 0
    row_lines: int = 0
    reject_lines: int = 0
    #: Headings, prose, rules between header and body, tables of something else.
    other_lines: int = 0
    #: Rows whose time could not be read, so that it is not compared.
    unread_times: int = 0
    repairs: Counter[str] = field(default_factory=Counter)


def read_sheet(source: str | Path | BinaryIO) -> Sheet:
    """Read a worksheet: a path or an open binary stream (stdin), UTF-8 or UTF-16 with its mark, plain or gzip.

    Raises:
        InputError: for a file that is not there, is no text, is an export, or has no column that says which
            decision a row is about.
    """
    with Source(source) as opened:
        data = opened.block(_LIMIT + 1)
        name = "stdin" if opened.name in ("-", "<stdin>") else opened.name
    if len(data) > _LIMIT:
        raise InputError(
            f"{name} is larger than {_LIMIT >> 20} MiB: no worksheet is.",
            hint="An export goes behind --against; the worksheet is what people filled in.",
        )
    sheet = parse(data, name)
    sheet.sha256, sheet.size = opened.sha256, opened.size
    return sheet


def parse(data: bytes, name: str = "-") -> Sheet:
    """The same for bytes in memory (UTF-8).

    Raises:
        InputError: as `read_sheet`.
    """
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff")
    if "\0" in text[:65536]:
        raise InputError(f"{name} is not text.", hint="Save the worksheet as CSV or Markdown.")
    lines = [line.rstrip("\r") for line in re.sub(r"\r(?!\n)", "\n", text).split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    sheet = Sheet(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data), lines=len(lines))
    taker = _Taker(sheet)
    first = next((line.strip() for line in lines if line.strip()), "")
    if re.match(r"(?:\[\s*)?\{|<(?:!doctype|html)\b", first, re.IGNORECASE):
        what = "a web page" if first[0] == "<" else "an export"
        raise InputError(
            f"{name} is {what}, not a worksheet.", hint="The worksheet is first; exports go behind --against."
        )
    tables = list(_tables(lines))
    if any(cells.usable(table.fields) for table in tables):
        sheet.kind = "markdown"
        _markdown(lines, [t for t in tables if cells.usable(t.fields)], taker)
    elif tables:
        raise _no_column(name, [h for t in tables for h in t.headings])
    elif delimiter := _delimiter(lines):
        sheet.kind = "csv"
        _csv(lines, delimiter, taker)
    else:
        _ids(lines, taker)
    taker.close(lines)
    return sheet


def _no_column(name: str, headings: Sequence[str]) -> InputError:
    there = ", ".join(preview(h, 40) for h in headings[:12]) or "none"
    return InputError(
        f"{name} has no column that says which decision a row is about (columns: {there}).",
        hint="Call one Decision, or two of them Conversation and Time.",
    )


class _Taker:
    """Turns cells into rows or rejects, and keeps the account of lines."""

    def __init__(self, sheet: Sheet):
        self.sheet = sheet
        self._spent: set[int] = set()

    @property
    def markdown(self) -> bool:
        """Cells may hold Markdown; so may ids pasted out of a table."""
        return self.sheet.kind != "csv"

    def take(
        self,
        lines: Sequence[int],
        values: list[str],
        fields: dict[str, int],
        width: int,
        repairs: Sequence[str],
    ) -> None:
        """Take the cells of one row, which stands on those lines (from 1)."""
        ways, fixed = self._aligned(values, fields, width)
        if len({self._typed(way, fields) for way in ways}) != 1:
            reason = "cells-missing" if len(values) < width else "cells-too-many"
            self.reject(lines, reason, " | ".join(values))
            return
        facts = {name: ways[0][i] for name, i in fields.items()}
        if "status" in fields and len({way[fields["status"]] for way in ways}) > 1:
            # Where the outcome ends nobody can say, so nothing is read out of it.
            facts["status"] = ""
        self.row(lines, facts, (*repairs, *fixed))

    def _aligned(
        self, values: list[str], fields: dict[str, int], width: int
    ) -> tuple[list[list[str]], tuple[str, ...]]:
        """The ways in which the cells may fit the columns, and what that puts right; none that makes no sense."""
        extra = len(values) - width
        if extra == 0:
            return [values], ()
        if extra < 0:
            needed = [fields[n] for n in ("decision", "uid") if n in fields]
            needed = needed or [fields["conversation"], fields["at"]]
            way = values + [""] * -extra
            there = len(values) > min(needed) and self._sensible(way, fields)
            return ([way] if there else []), ("cells-added",)
        for cut, way in ((values[:extra], values[extra:]), (values[-extra:], values[:-extra])):
            if not "".join(cut) and self._sensible(way, fields):
                return [way], ("empty-cell-dropped",)
        merged = [
            [*values[:at], "|".join(values[at : at + extra + 1]), *values[at + extra + 1 :]]
            for at in range(width)
        ]
        return [way for way in merged if self._sensible(way, fields)], ("extra-pipe",)

    def _sensible(self, way: Sequence[str], fields: dict[str, int]) -> bool:
        ids, at, conversation, _ = self._typed(way, fields)
        return not ids.problem and at != "unread" and (not conversation or ":" in conversation)

    def _typed(
        self, way: Sequence[str], fields: dict[str, int]
    ) -> tuple[cells.Ids, cells.Moment | str, str, str]:
        """What must not depend on how the cells are put together."""

        def said(name: str) -> str:
            return cells.plain(way[fields[name]], markdown=self.markdown) if name in fields else ""

        raw = way[fields["decision"]] if "decision" in fields else ""
        at = cells.moment(said("at")) or ("unread" if said("at") else "")
        return (
            cells.ids(raw, markdown=self.markdown),
            at,
            cells.conversation(said("conversation")),
            said("uid"),
        )

    def row(self, lines: Sequence[int], values: dict[str, str], repairs: Sequence[str] = ()) -> None:
        """Take one row by its facts."""
        sheet = self.sheet
        text = {name: cells.plain(value, markdown=self.markdown) for name, value in values.items()}
        raw = values.get("decision", "")
        if any(len(value) > _CELL_LIMIT for value in values.values()):
            self.reject(lines, "too-large", raw)
            return
        ids = cells.ids(raw, markdown=self.markdown)
        uid = cells.uid(text.get("uid", ""))
        if ids.problem or (text.get("uid") and not uid and not ids.named):
            self.reject(lines, ids.problem or "not-an-id", raw or values.get("uid", ""))
            return
        named = list(ids.named) or [cells.Named()]
        if uid:
            named = [replace(named[0], uid=uid), *named[1:]]
        at = cells.moment(text.get("at", ""))
        conversation = cells.conversation(text.get("conversation", ""))
        if not ids.named and not uid and not ids.absent and not (conversation and at):
            if any(value.strip() for value in text.values()):
                self.reject(lines, "no-identity", " | ".join(v for v in text.values() if v))
            else:
                self.other(lines)
            return
        if text.get("at") and at is None:
            sheet.unread_times += 1
        single = len(named) == 1
        fixed = (*repairs, *ids.repairs)
        sheet.repairs.update(fixed)
        status = text.get("status", "")
        exact = "status" in sheet.columns and cells.heading_key(sheet.columns["status"]) not in (
            "outcome",
            "result",
        )
        proofs = cells.proofs(
            values.get("evidence", ""), markdown=self.markdown, sha256=_hash(text.get("sha256", ""))
        )
        for part, one in enumerate(named):
            sheet.rows.append(
                Row(
                    sheet=sheet.name,
                    line=lines[0],
                    part=part,
                    written=" ".join(cells.plain(raw or text.get("uid", ""), markdown=self.markdown).split())[
                        :_WRITTEN
                    ],
                    number=one.number,
                    uid=one.uid,
                    absent=ids.absent and not uid,
                    conversation=conversation,
                    action=text.get("action", ""),
                    actor=text.get("actor", "").lower(),
                    at=at if single else None,
                    statuses=cells.statuses(status, exact=exact) if single else (),
                    scope=text.get("scope", "").lower(),
                    session=text.get("session", ""),
                    proofs=proofs if part == 0 else (),
                    repairs=fixed if part == 0 else (),
                )
            )
        sheet.row_lines += self._spend(lines)

    def reject(self, lines: Sequence[int], reason: str, text: str) -> None:
        """Count a row that cannot be used."""
        self.sheet.rejects.append(
            Reject(sheet=self.sheet.name, line=lines[0], reason=reason, preview=preview(text.strip(), 80))
        )
        self.sheet.reject_lines += self._spend(lines)

    def other(self, lines: Sequence[int]) -> None:
        """Lines around the rows."""
        self.sheet.other_lines += self._spend(lines)

    def _spend(self, lines: Sequence[int]) -> int:
        fresh = set(lines) - self._spent
        self._spent |= fresh
        return len(fresh)

    def close(self, lines: Sequence[str]) -> None:
        """Count the lines nobody took; a blank line inside a quoted cell belongs to its row."""
        left = {n for n, line in enumerate(lines, 1) if line.strip()} - self._spent
        self.other(sorted(left))
        self.sheet.blank = len(lines) - len(self._spent)


def _hash(text: str) -> str:
    return text.lower() if re.fullmatch(r"[0-9a-fA-F]{64}", text) else ""


# --- bare ids -----------------------------------------------------------------------------------------------------


def _ids(lines: Sequence[str], taker: _Taker) -> None:
    taker.sheet.columns = {"decision": "one id a line"}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or re.match(r"#(?:\s+\D|$)|//", text):
            continue
        bare = re.sub(r"^(?:[-*+]\s+(?:\[[ xX]\]\s+)?|\d+[.)]\s+)(?=\S)", "", text)
        said = cells.ids(bare, markdown=taker.markdown)
        if number == 1 and said.problem and cells.heading_key(text) in cells.FIELD_OF:
            taker.other([number])
        elif said.problem:
            taker.reject([number], said.problem, bare)
        else:
            taker.row([number], {"decision": bare})


# --- CSV ----------------------------------------------------------------------------------------------------------


def _delimiter(lines: Sequence[str]) -> str:
    """The sign between cells of the header, or empty when the first line is no header of ours."""
    head = next((line for line in lines if line.strip() and not _separator_hint(line)), "")
    best = ("", 0)
    for sign in ",;\t":
        headings = next(csv.reader([head], delimiter=sign), []) if len(head) < _CELL_LIMIT else []
        known = len(cells.fields_of(headings)) if len(headings) > 1 else 0
        if known > best[1]:
            best = (sign, known)
    if best[0]:
        return best[0]
    # Several cells and no heading we know: a table of something else, not a list of ids.
    for sign in ";\t,":
        headings = head.split(sign)
        if len(headings) > 1 and all(cells.ids(h).problem for h in headings if h.strip()):
            return sign
    return ""


def _separator_hint(line: str) -> str:
    found = re.fullmatch(r'"?sep=(.)"?', line.strip(), re.IGNORECASE)
    return found[1] if found else ""


def _csv(lines: list[str], delimiter: str, taker: _Taker) -> None:
    at = next(i for i, line in enumerate(lines) if line.strip() and not _separator_hint(line))
    headings = _split(lines[at], delimiter)
    fields = cells.fields_of(headings)
    if not cells.usable(fields):
        raise _no_column(taker.sheet.name, headings)
    taker.sheet.columns = {name: headings[i].strip() for name, i in fields.items()}
    taker.other([at + 1])
    width, at = len(headings), at + 1
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        values, used, repairs = _record(lines, at, delimiter, width)
        numbers = range(at + 1, at + used + 1)
        at += used
        if not any(v.strip() for v in values) or [v.strip() for v in values] == [h.strip() for h in headings]:
            taker.other(numbers)
        else:
            taker.take(numbers, values, fields, width, repairs)


def _record(
    lines: Sequence[str], at: int, delimiter: str, width: int
) -> tuple[list[str], int, tuple[str, ...]]:
    """The cells of the record that starts there, how many lines it takes, and what was put right.

    A quotation mark nobody closed would swallow the rows behind it, so a record over several lines is believed
    only if none of them is a row by itself.
    """
    if lines[at].count('"') % 2 == 0:
        return _split(lines[at], delimiter), 1, ()
    open_quotes = True
    for end in range(at + 1, min(at + 200, len(lines))):
        if len(_split(lines[end], delimiter)) == width:
            break
        open_quotes ^= lines[end].count('"') % 2 == 1
        if not open_quotes:
            values = _split("\n".join(lines[at : end + 1]), delimiter)
            if len(values) == width:
                return values, end - at + 1, ()
            break
    return lines[at].split(delimiter), 1, ("stray-quote",)


def _split(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return text.split(delimiter)


# --- Markdown -----------------------------------------------------------------------------------------------------

_RULE = re.compile(r"\s*\|*\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|*\s*")


@dataclass(kw_only=True, slots=True)
class _Table:
    #: Index of its header line.
    head: int
    #: Index of the first line of the body.
    body: int
    #: Index behind the last line that may belong to it.
    end: int
    headings: list[str]
    fields: dict[str, int]


def split_row(line: str) -> list[str]:
    """The cells of a table row; a pipe behind a backslash is text."""
    out, cell = [], []
    signs = iter(line.strip())
    for sign in signs:
        if sign == "\\":
            cell.append(sign + next(signs, ""))
        elif sign == "|":
            out.append("".join(cell).strip())
            cell = []
        else:
            cell.append(sign)
    out.append("".join(cell).strip())
    if line.lstrip().startswith("|"):
        out = out[1:]
    if out and not out[-1]:
        out.pop()
    return out


def _fenced(lines: Sequence[str]) -> set[int]:
    """Indexes of lines inside code fences; a fence that is never closed is none."""
    out: set[int] = set()
    opened = -1
    for index, line in enumerate(lines):
        if re.match(r" {0,3}(?:```|~~~)", line):
            if opened < 0:
                opened = index
            else:
                out |= set(range(opened, index + 1))
                opened = -1
    return out


def _tables(lines: Sequence[str]) -> Iterator[_Table]:
    fenced = _fenced(lines)
    heads: list[tuple[int, int, list[str]]] = []
    for index, line in enumerate(lines):
        if "|" not in line or index in fenced or _RULE.fullmatch(line):
            continue
        below = next((i for i in range(index + 1, min(index + 3, len(lines))) if lines[i].strip()), None)
        ruled = (
            below is not None
            and "|" in lines[below]
            and "-" in lines[below]
            and _RULE.fullmatch(lines[below])
        )
        headings = split_row(line)
        # A table whose rule was lost is still one when its first row has headings of ours.
        looks = not heads and line.lstrip().startswith("|") and cells.usable(cells.fields_of(headings))
        if ruled or looks:
            heads.append((index, below + 1 if ruled and below is not None else index + 1, headings))
    for place, (head, body, headings) in enumerate(heads):
        end = heads[place + 1][0] if place + 1 < len(heads) else len(lines)
        yield _Table(head=head, body=body, end=end, headings=headings, fields=cells.fields_of(headings))


def _markdown(lines: list[str], tables: Sequence[_Table], taker: _Taker) -> None:
    fenced = _fenced(lines)
    for table in tables:
        sheet = taker.sheet
        sheet.columns = {name: table.headings[i] for name, i in table.fields.items()} | sheet.columns
        taker.other([n + 1 for n in range(table.head, table.body) if lines[n].strip()])
        _body(lines, table, fenced, taker)
    _evidence(lines, taker)


def _body(lines: list[str], table: _Table, fenced: set[int], taker: _Taker) -> None:
    width, at, apart = len(table.headings), table.body, False
    while at < table.end:
        line = lines[at]
        led = line.lstrip().startswith("|")
        if not line.strip() or at in fenced or not (led or ("|" in line and not apart)):
            # Text behind the table is no row, and what follows it stands apart.
            apart = True
            at += 1
            continue
        if led and re.match(r"\s{0,3}#{1,6}\s", line):
            apart = True
        if _RULE.fullmatch(line) or [c.lower() for c in split_row(line)] == [
            h.lower() for h in table.headings
        ]:
            taker.other([at + 1])
            at += 1
            continue
        values, used = split_row(line), 1
        repairs: tuple[str, ...] = ("outside",) if apart else ()
        if _broken(line, values, lines, at, table, width):
            values, used = split_row(f"{line.rstrip()} {lines[at + 1].strip()}"), 2
            repairs = (*repairs, "joined")
        taker.take(range(at + 1, at + used + 1), values, table.fields, width, repairs)
        at += used


def _broken(line: str, values: list[str], lines: list[str], at: int, table: _Table, width: int) -> bool:
    """The row goes on in the next line, which is none by itself, and the two together are one."""
    whole = len(values) == width and line.rstrip().endswith("|")
    if whole or len(values) > width or at + 1 >= table.end:
        return False
    below = lines[at + 1]
    if "|" not in below or below.lstrip().startswith(("|", "#")) or len(split_row(below)) >= width:
        return False
    return len(split_row(f"{line} {below}")) == width


def _evidence(lines: Sequence[str], taker: _Taker) -> None:
    """Files named below a heading about evidence, outside the rows."""
    inside = False
    for number, line in enumerate(lines, 1):
        if heading := re.match(r"\s{0,3}#{1,6}\s+(.*)", line):
            inside = "evidence" in heading[1].lower()
        elif inside and not line.lstrip().startswith("|"):
            taker.sheet.proofs += [(number, proof) for proof in cells.proofs(line, markdown=True)]
