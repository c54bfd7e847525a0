"""Which lines can be taken apart at their commas alone, because nothing else can be meant.

Rows of one file are mostly written alike: the same keys in the same order, one scalar each. Such a line
is a row of a CSV file whose fields are `"key":value`. A field is taken only if it begins as the same
field of the first row does and the rest of it is one JSON value; joined by their commas such fields are
an object with exactly these keys. And all fields with their commas are all the bytes of the line, or it
is not taken. What is not taken is handed back by number, for the careful reader to judge.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal, NamedTuple

import polars as pl

from cairnops.analytics import rows
from cairnops.analytics.keys import DURATIONS, ERROR_KEYS, FACTS, IDS, INSIDE, TIMES, NotThisWay
from cairnops.telemetry.jsontext import parse

#: Lines looked at to learn how a file is written, and fields a line has at most.
_LOOKED_AT = 50
_FIELDS = 60
#: With less of its lines than this another way is quicker.
_LEAST = 0.9
_LINE_END = ord("\n")
_FIELD = re.compile(r'(\{?[ \t]*("[^"\\\x00-\x1f]*")[ \t]*:[ \t]*)(\S.*)', re.DOTALL)
_SCALAR = r'"[^"\\\x00-\x1f\x{FFFD}]*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null'
_DURATION = r"(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,17})?|null"
_TIME = re.compile(
    r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?P<fraction>\d{3}|\d{6}))?(?P<zone>Z|\+00:00)"', re.ASCII
)
#: What follows the hour, but for the fraction and the zone; what stands before it is looked at once an hour.
_AFTER_THE_HOUR = ":[0-5][0-9]:[0-5][0-9]"
#: Characters of a time, its quotation mark included, up to the hour.
_TO_THE_HOUR = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of every line: `before`, a JSON value, and for the last one a brace."""

    name: str
    column: str
    before: str
    last: bool


#: The numbers of the categories a line's facts fall under; the same in every piece of a file.
Codes = tuple[int, ...]


class Group(NamedTuple):
    """Lines alike in every fact but duration and id, within one hour."""

    key: int
    #: What `Split.records` knows their facts by.
    facts: Codes
    #: A time in the hour, in milliseconds since 1970 UTC; None for lines without one.
    hour: int | None
    count: int
    #: The first of the lines, from 0.
    first: int


class Taken:
    """One piece of a file: the lines that were taken, and those that were not.

    `data` are whole lines, but for the last one, which goes on with `rest`.

    Raises:
        NotThisWay: when less than `least` of the lines are taken, so that another way is quicker.
    """

    def __init__(
        self, split: "Split", frame: pl.DataFrame, data: bytes, rest: bytes = b"", least: float = _LEAST
    ):
        self._rest, self.split, self._least = rest, split, least
        #: What the lines of a group say, by their facts.
        self.records = split.records
        #: Physical lines of the piece.
        self.lines = frame.height
        # A last line that is not all there is among those that were not taken.
        self._size = data.rfind(b"\n") + 1 if rest else len(data)
        frame = frame.head(-1) if rest else frame
        if data and not rest and not data.endswith(b"\n"):
            data += b"\n"
            self._size += 1
        self._data = data
        ok = frame["ok"]
        self._few(int(ok.not_().sum()))
        #: The lines that were not taken, by their row.
        self._others: dict[int, bytes] = {}
        self._lengths = frame["n"].cast(pl.Int64) + len(split.fields)
        if not ok.all() or self._lengths.sum() != self._size:
            self._measure(ok)
        if self._others:
            ok = ok.scatter(list(self._others), False)
            frame = frame.filter(ok)
        self._take(frame)
        #: How many lines were taken.
        self.taken = self._good.height
        self._few(self.lines - self.taken)

    def _few(self, left: int) -> None:
        if left > self.lines * (1 - self._least) + 20:
            raise NotThisWay

    def _measure(self, ok: pl.Series) -> None:
        """Find the lines that are not taken: those that are not sound, and those longer than their fields.

        No line is shorter than its fields. So each line taken ends where they say at the earliest, each of
        the others at the next line end at the earliest; if all of them end where the piece does, none is longer.
        """
        ends = (self._lengths * ok).cum_sum()
        rows = ok.not_().arg_true()
        starts = [*(ends.gather(rows)), ends[-1]]
        where = [*rows, len(ends)]
        # Several longer lines may make those behind them look well by chance, unless each is looked at.
        if not any(self._walk(where, starts, ends, each) for each in (False, True)):
            raise NotThisWay

    def _walk(self, rows: list[int], starts: list[int], ends: pl.Series, each: bool) -> bool:
        """Find the lines that are not taken; whether with them all lines end where the piece does.

        `rows` are sure not to be taken, the last of them being the end; `starts` and `ends` say where these
        start and each line would end if they were empty.
        """
        lines, data, others = len(ends), self._data, self._others
        others.clear()
        size = begin = 0
        for row, start in zip(rows, starts, strict=True):
            at = start + size
            if each or (at and data[at - 1] != _LINE_END):
                for longer, end in enumerate(ends[begin:row].to_list(), begin):
                    if data[end + size - 1] != _LINE_END:
                        length = self._lengths[longer]
                        others[longer] = self._line(end + size - length)
                        size += len(others[longer]) + 1 - length
                        self.split.wary = True
                at = start + size
            begin = row + 1
            if row < lines:
                others[row] = line = self._line(at)
                size += len(line) + 1
        return at == self._size

    def _line(self, start: int) -> bytes:
        return self._data[start : self._data.find(b"\n", start)]

    def _take(self, good: pl.DataFrame) -> None:
        """Group the lines that are sound."""
        self._sizes = _sizes(good, self.split.told)
        good = good.with_columns(_key(self.split.told, self._sizes).alias("key"))
        #: The groups of lines taken, by their first line.
        self.groups, wrong = self._grouped(good)
        if wrong:
            amiss = good["key"].is_in(wrong)
            rows = good["row"].filter(amiss)
            lengths = self._lengths.scatter(list(self._others), [len(x) + 1 for x in self._others.values()])
            starts = (lengths.cum_sum() - lengths).gather(rows)
            self._others.update({row: self._line(at) for row, at in zip(rows, starts, strict=True)})
            good = good.filter(~amiss)
        self._good = good

    def _grouped(self, good: pl.DataFrame) -> tuple[list[Group], list[int]]:
        # Told apart like this it takes a third of the time that grouping takes.
        firsts = good["key"].arg_unique().sort()
        counts = dict(good["key"].value_counts().iter_rows())
        found = good[["row", "key"]][firsts]
        hours = self._sizes[-1] if self.split.time else 1
        split = self.split
        codes: dict[int, Codes] = {}
        told = []
        for row, key in found.iter_rows():
            facts, hour = divmod(key, hours)
            if facts not in codes:
                codes[facts] = self._codes(facts)
            told.append((key, codes[facts], hour if split.time else None, counts[key], row))
        split.meet(good, told)
        groups, wrong = [], []
        for key, its, hour, count, row in told:
            at = None if hour is None else split.hours[hour]
            if split.records[its] is None or (hour is not None and at is None):
                wrong.append(key)
            else:
                groups.append(Group(key, its, at, count, row))
        return groups, wrong

    def _codes(self, key: int) -> Codes:
        """The numbers of the facts behind a key without its hour."""
        codes = []
        for size in reversed(self._sizes[:-1] if self.split.time else self._sizes):
            key, code = divmod(key, size)
            codes.append(code)
        return tuple(reversed(codes))

    def left(self) -> list[tuple[int, bytes]]:
        """(line from 0, bytes) of the lines that were not taken."""
        broken = [(self.lines - 1, self._data[self._size :] + self._rest)] if self._rest else []
        return sorted(self._others.items()) + broken

    def window(self) -> tuple[int, int] | None:
        """The first and the last time of the lines taken, milliseconds since 1970 UTC; None where there is none."""
        if not self.taken or not self.split.time:
            return None
        low, high = (self.split.time_of(text) for text in (self._good["t"].min(), self._good["t"].max()))
        return (low, high) if low is not None and high is not None else None

    def first_of(self, keys: list[int], limit: int) -> list[tuple[int, bytes]]:
        """(line from 0, bytes) of the first lines of some groups, rising."""
        rows = self._good.lazy().filter(pl.col("key").is_in(keys)).select("row").head(limit).collect()
        wanted = rows["row"].to_list()
        lines = self._data.split(b"\n", wanted[-1] + 1) if wanted else []
        return [(row, lines[row]) for row in wanted]

    @property
    def spent(self) -> pl.Series:
        """Durations in milliseconds, null where it says null."""
        return self.split.spent["ms"]

    def durations(self) -> pl.Series | None:
        """How long each of the lines taken took, as a place in `spent`; None if none says."""
        return self._good["d"] if self.split.duration else None


def _sizes(frame: pl.DataFrame, names: list[str]) -> list[int]:
    """How many numbers each category has so far, as far as these lines know.

    Raises:
        NotThisWay: when there are too many combinations to be told by one number.
    """
    highest = frame.select(pl.col(names).to_physical().max()).row(0)
    sizes = [0 if code is None else code + 1 for code in highest]
    if math.prod(sizes) >= 1 << 62:
        raise NotThisWay
    return sizes


def _key(names: list[str], sizes: list[int]) -> pl.Expr:
    """One number for each combination of facts and hour, from the numbers of their categories."""
    small = math.prod(sizes) < 1 << 32
    key = pl.lit(0, pl.UInt32 if small else pl.UInt64)
    for name, size in zip(names, sizes, strict=True):
        code = pl.col(name).to_physical()
        key = key * size + (code if small else code.cast(pl.UInt64))
    return key


class Split:
    """How the lines of one file are written.

    Raises:
        NotThisWay: when the first lines do not show rows written alike, of plain values.
    """

    def __init__(self, lines: Iterable[str]):
        shown = next((line for line in list(lines)[:_LOOKED_AT] if _fields(line)), "")
        #: The fields of a line, in their order.
        self.fields = _fields(shown)
        where = {field.name: field for field in self.fields}
        durations, times, ids = (
            [where[name] for name in names if name in where] for names in (DURATIONS, TIMES, IDS)
        )
        if not self.fields or max(map(len, (durations, times, ids))) > 1 or where.keys() & INSIDE:
            raise NotThisWay
        #: The fields of a duration and of a time, if there are any.
        self.duration, self.time = next(iter(durations), None), next(iter(times), None)
        self._facts = [field for field in self.fields if field.name in FACTS]
        #: The columns of a frame that tell one group from another; the hour is the last.
        self.told = [field.column for field in self._facts] + ["hour"] * len(times)
        if not self._facts:
            raise NotThisWay
        #: What every time ends like, and the bytes of its field.
        self._moment, self._width = "", 0
        if self.time:
            value = self._value(self.time, shown.split(",")[self.fields.index(self.time)])
            form = _TIME.fullmatch(value or "")
            if not form:
                raise NotThisWay
            # All of one form: then their order as text is that of the times.
            fraction = f"[.][0-9]{{{len(form['fraction'])}}}" if form["fraction"] else ""
            end = '"}' if self.time.last else '"'
            self._moment = f"{_AFTER_THE_HOUR}{fraction}{re.escape(form['zone'])}{end}$"
            self._width = len(self.time.before.encode()) + len(form[0]) + len(end) - 1
        self._spent, self._one_at_a_time = _category(), Lock()
        #: What the durations met so far are in milliseconds, by the number of their text: null where it is null.
        self.spent = pl.DataFrame(schema={"sound": pl.Boolean, "ms": pl.Float64})
        #: Facts are numbered as they are read: making texts of them first takes twice as long.
        self._schema = {f.column: _category() if f in self._facts else pl.String() for f in self.fields}
        self._chosen = self._choose()
        #: Some line held more than its fields: from here on it is seen whether anything follows them.
        self.wary = False
        self._encoding: Literal["utf8", "utf8-lossy"] = "utf8"
        #: What lines say, by the numbers of their facts; None if one is not written as it should be.
        self.records: dict[Codes, dict[str, Any] | None] = {}
        #: A time in each hour, by the number of the hour.
        self.hours: dict[int, int | None] = {}

    def _value(self, field: Field, text: str) -> str | None:
        """The JSON text of a field's value; None if the field is not written as it should be."""
        if not text.startswith(field.before) or "\ufffd" in text or (field.last and not text.endswith("}")):
            return None
        return text[len(field.before) : -1 if field.last else None]

    def time_of(self, text: Any) -> int | None:
        """What time a field says, milliseconds since 1970 UTC; None if it is not written as it should be."""
        value = self._value(self.time, text) if self.time else None
        return rows.read_time(value[1:-1]) if value and _TIME.fullmatch(value) else None

    def meet(self, frame: pl.DataFrame, told: "list[tuple[int, Codes, int | None, int, int]]") -> None:
        """`records` and `hours` know the facts and hours of these groups afterwards.

        Each is told as its key, the numbers of its facts and its hour, its count and its first line.
        """
        new = [g for g in told if g[1] not in self.records or (g[2] is not None and g[2] not in self.hours)]
        if not new:
            return
        firsts = frame[frame["row"].search_sorted(pl.Series([row for *_, row in new], dtype=pl.UInt32))]
        texts = firsts.select(
            *[pl.col(f.column).cast(pl.String) for f in self._facts], *(["t"] if self.time else [])
        )
        for (_, facts, hour, _, _), said in zip(new, texts.iter_rows(), strict=True):
            if facts not in self.records:
                self.records[facts] = self._record(said)
            if hour is not None and hour not in self.hours:
                self.hours[hour] = self.time_of(said[-1])

    def meet_durations(self, codes: pl.Series) -> None:
        """`spent` knows these afterwards, whether they are numbers or not."""
        highest = codes.max()
        if self.duration is None or not isinstance(highest, int):
            return
        with self._one_at_a_time:
            if highest < (known := self.spent.height):
                return
            new = pl.select(pl.int_range(known, highest + 1, dtype=pl.UInt32).cat.to(self._spent)).to_series()
            text = new.cast(pl.String)
            value = text.str.slice(len(self.duration.before)).str.strip_suffix("}")
            sound = text.str.contains(_pattern(self.duration, _DURATION)).alias("sound")
            said = pl.DataFrame([sound, value.cast(pl.Float64, strict=False).alias("ms")])
            self.spent = self.spent.vstack(said)

    def _record(self, told: tuple[str, ...]) -> dict[str, Any] | None:
        out: dict[str, Any] = {}
        for field, text in zip(self._facts, told, strict=False):
            value = self._value(field, text)
            if value is None:
                return None
            try:
                out[field.name] = parse(value)
            except (ValueError, RecursionError):
                return None
        return out

    def frame(self, data: bytes) -> pl.DataFrame:
        """One row for each line: its number, facts, time and duration, the bytes of its fields, and whether
        fields that are not told one by one are sound.

        Raises:
            NotThisWay: for bytes that cannot be read as lines.
        """
        try:
            # Numbered afterwards: numbering while reading takes as long as a column.
            frame = self._lines(data).collect(engine="in-memory").with_row_index("row")
            return self._timed(frame)
        except pl.exceptions.PolarsError as error:
            if self._encoding == "utf8-lossy":
                raise NotThisWay from error
        # It is the slower one, and not needed as long as all is well.
        self._encoding = "utf8-lossy"
        return self.frame(data)

    def _lines(self, data: bytes) -> pl.LazyFrame:
        schema, chosen = self._schema, self._chosen
        if self.wary:
            alone = pl.col("more").fill_null("") == ""
            schema, chosen = {**schema, "more": pl.String()}, [*chosen[:-1], chosen[-1] & alone]
        return pl.scan_csv(
            data, schema=schema, has_header=False, quote_char=None, encoding=self._encoding,
            ignore_errors=self._encoding != "utf8", truncate_ragged_lines=True, missing_columns="insert",
            extra_columns="ignore", empty_string_is_null=False, glob=False,
        ).select(chosen)  # fmt: skip

    def _timed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with its durations as numbers of their texts; those that are none are not `ok`."""
        if not self.duration:
            return frame
        codes = frame["d"].to_physical()
        self.meet_durations(codes)
        frame = frame.with_columns(codes)
        wrong = self.spent["sound"].not_().arg_true()
        return frame.with_columns(pl.col("ok") & ~pl.col("d").is_in(wrong.implode())) if len(wrong) else frame

    def _length(self, field: Field) -> pl.Expr:
        text = pl.col(field.column)
        return text.cat.len_bytes() if field in self._facts else text.str.len_bytes()

    def _choose(self) -> list[pl.Expr]:
        chosen = [
            pl.sum_horizontal(*map(self._length, self.fields)).alias("n"),
            *[pl.col(f.column) for f in self._facts],
        ]
        # A field of a fact that is empty comes out as no category.
        sound = [pl.col(f.column).is_not_null() for f in (self.fields[0], *self._facts)]
        for field in self.fields:
            text = pl.col(field.column)
            begins = len(field.before.encode())
            if field is self.time:
                to_the_hour = text.str.head(begins + _TO_THE_HOUR)
                chosen += [text.alias("t"), to_the_hour.cast(_category()).alias("hour")]
                # Looked for from the end: it takes half as long as the whole of it would.
                sound += [text.str.len_bytes() == self._width, text.str.contains(self._moment)]
            elif field is self.duration:
                chosen.append(text.cast(self._spent).alias("d"))
            elif field not in self._facts:
                sound.append(text.str.contains(_pattern(field, _SCALAR)))
        return [*chosen, pl.all_horizontal(*sound).alias("ok")]


def _open(data: bytes) -> bool:
    return not data.endswith(b"\n")


def _fields(line: str) -> tuple[Field, ...]:
    """The fields of a line; none if it is not a row that comes apart at its commas."""
    if "\ufffd" in line:
        # Where it stands for bytes that are no text it is longer than these, and lengths would prove nothing.
        return ()
    try:
        value = parse(line)
    except (ValueError, RecursionError):
        return ()
    parts = line.split(",")
    found = [match for part in parts if (match := _FIELD.fullmatch(part))]
    if not isinstance(value, dict) or value.keys() <= ERROR_KEYS or not len(parts) == len(found) <= _FIELDS:
        return ()
    names = [json.loads(match[2]) for match in found]
    braces = [match[1].startswith("{") for match in found]
    if names != list(value) or braces != [True] + [False] * (len(names) - 1) or not line.endswith("}"):
        return ()
    return tuple(
        Field(name=name, column=f"c{i}", before=match[1], last=i == len(names) - 1)
        for i, (name, match) in enumerate(zip(names, found, strict=True))
    )


def _category() -> pl.Categorical:
    """Categories of their own: others of the process would make the numbers larger."""
    return pl.Categorical(pl.Categories.random())


def _pattern(field: Field, value: str) -> str:
    return f"^{re.escape(field.before)}(?:{value}){'[}]' if field.last else ''}$"
