"""Which lines a database engine may read by itself at scan speed, because they can mean only one thing.

A line is taken only if it is one object with exactly the keys of a known shape, every value of which is
a plain JSON scalar (or, under a name nobody asks for, anything sound), and its time is written in a form
seen before. Everything else is handed back by number, for the careful reader to judge. Values stay JSON
text as they were: what they mean is decided by `rows`, once for each combination and not once a line.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from cairnops.analytics import scan_sql as sql
from cairnops.analytics.dialects import CAIRNOPS
from cairnops.analytics.keys import DURATIONS, ERROR_KEYS, FACTS, IDS, TIMES, NotThisWay
from cairnops.telemetry.jsontext import parse

#: Facts that are words as a rule, and are read as plain text as long as they are.
_TEXTS = frozenset(FACTS) & {
    *CAIRNOPS.status, *CAIRNOPS.error_code, *CAIRNOPS.error_message, *CAIRNOPS.scope, "message",
}  # fmt: skip

#: Lines looked at to learn what a file's rows look like, and shapes told apart at most.
_LOOKED_AT = 500
_SHAPES = 24
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?P<fraction>\d{3}|\d{6}))?(?P<zone>Z|\+00:00)")
_FRACTIONS = {0: "", 3: ".%g", 6: ".%f"}
_TIME_PATTERNS = 4
#: Longer lines than this are left to the careful reader, with all of their file.
_LONGEST = 64 << 20
_WORD = re.compile(r"(?!(?:true|false|null|nan|inf|infinity)\Z)[A-Za-z_]", re.IGNORECASE)
_INEXACT = re.compile(r"^(?!\")(?:.*\.0$|0\.000|[-{\[])")
_SCALAR = re.compile(r'"|-?\d|true\Z|false\Z')


@dataclass(kw_only=True, slots=True)
class Plan:
    """What is known of a file's rows so far."""

    #: Key tuples that may be taken, in the order they stand in the line.
    shapes: list[tuple[str, ...]] = field(default_factory=list)
    #: Length and `strptime` format of times that are sure to be read the same everywhere.
    times: list[tuple[int, str]] = field(default_factory=list)
    #: All rows have the one shape so far, and the engine itself refuses any other.
    strict: bool = True
    #: Some value was of a kind that is told line by line and not by looking at the distinct values.
    wary: bool = False
    #: That a line has no other keys is told line by line, and not by the lengths of all of them together.
    keyed: bool = False
    #: Every id looked at was a whole number.
    whole_ids: bool = True
    #: Bytes of the longest line the engine is asked to read; its memory follows this.
    longest: int = 4 << 20

    @property
    def summed(self) -> bool:
        """That a line has no other keys is told by the lengths of all of them together."""
        return self.strict and not self.keyed

    @property
    def numbered(self) -> bool:
        """Ids are read as numbers: they weigh less, and the lengths tell whether each was written as one."""
        return self.summed and self.whole_ids and not self.wary

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key of any shape, in a stable order."""
        return tuple(dict.fromkeys(key for shape in self.shapes for key in shape))


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One stretch of lines, read into the table `ev` (rowid is the line's place among non-blank lines)."""

    rows: int
    #: Places of the lines left to the careful reader, rising.
    bad: list[int]
    #: Bytes of all lines taken, without line ends and white space around them.
    taken: int
    #: That the lines hold no other keys has still to be told from their lengths.
    summed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """Rows alike in every fact but duration, time and id, within one hour."""

    facts: dict[str, str]
    hour: int | None
    count: int
    first: int
    start: int | None
    end: int | None


def database() -> duckdb.DuckDBPyConnection:
    """An engine in memory, set up so that it reads the same everywhere."""
    connection = duckdb.connect(":memory:")
    for setting in (
        "SET timezone = 'UTC'",
        # An IN list of some length becomes a hash join, and that puts rows out of order.
        "SET disabled_optimizers = 'in_clause'",
        "SET autoinstall_known_extensions = false",
    ):
        connection.execute(setting)
    # In a notebook without ipywidgets it is off, and even switching it off is refused.
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (True,):
        connection.execute("SET enable_progress_bar = false")
    return connection


class Scan:
    """An engine at one file, and what it has learnt of it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._con = connection
        self._plan = Plan()
        self._cells: list[Cell] = []
        self._con.execute("DROP TABLE IF EXISTS spent")

    @property
    def plan(self) -> Plan:
        """What is known of the rows so far."""
        return self._plan

    def learn(self, lines: Iterable[str]) -> None:
        """Look at the first lines of a file.

        Raises:
            NotThisWay: when there is no object among them.
        """
        for line in list(lines)[:_LOOKED_AT]:
            value = _object(line)
            if value and not value.keys() <= ERROR_KEYS:
                self._plan.keyed |= not _compact(line, value)
                self._plan.whole_ids &= all(type(value.get(n)) in (int, type(None)) for n in IDS)
                if not self._plan.shapes:
                    self._plan.shapes.append(tuple(value))
                self._learn_times(value.get(name) for name in TIMES)
        if not self._plan.shapes:
            raise NotThisWay
        shape = self._plan.shapes[0]
        alone = all(sum(key in names for key in shape) <= 1 for names in (DURATIONS, TIMES, IDS))
        self._plan.keyed |= not alone or len(self._plan.times) > 1

    def _learn_times(self, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, str) and (match := _PLAIN_TIME.fullmatch(value)):
                fraction = _FRACTIONS[len(match["fraction"] or "")]
                form = (len(value), f"%Y-%m-%dT%H:%M:%S{fraction}{match['zone']}")
                if form not in self._plan.times and len(self._plan.times) < _TIME_PATTERNS:
                    self._plan.times.append(form)

    def read(self, path: str) -> Piece:
        """Read a file of lines into `ev`.

        Raises:
            NotThisWay: for what the engine cannot read, such as a line beyond its limits.
        """
        plan = self._plan
        try:
            while plan.strict:
                # A complaint that quotes a line may be cut off inside a character; then it arrives as bad UTF-8.
                try:
                    return self._load(path)
                except (duckdb.InvalidInputException, UnicodeDecodeError) as error:
                    if "maximum_object_size" in str(error) and plan.longest < _LONGEST:
                        plan.longest = _LONGEST
                    elif plan.numbered:
                        plan.whole_ids = False
                    else:
                        plan.strict, plan.wary, plan.keyed = False, True, True
                        self._learn_shapes(path)
            piece = self._load(path)
            if len(piece.bad) * 20 > piece.rows and self._learn_shapes(path):
                piece = self._load(path)
        except (duckdb.Error, UnicodeDecodeError) as error:
            raise NotThisWay from error
        return piece

    def _full(self, piece: Piece) -> bool:
        """Whether the keys asked for and their values are all there is in the lines taken.

        The engine makes sure that each key is there, once, and passes over any other. No line is shorter
        than its keys and values at the least; if all lines together are just as long as that, each one is.
        """
        if not piece.summed:
            return True
        shape = self._plan.shapes[0]
        rows = piece.rows - len(piece.bad)
        length = rows * (1 + sum(len(sql.string(key).encode()) + 2 for key in shape))
        names = self.facts
        for cell in self._cells:
            for name in names:
                text = cell.facts.get(name)
                if name not in _TEXTS and text is not None and _INEXACT.search(text):
                    return False
                quotes = 2 if name in _TEXTS else 0
                length += cell.count * (4 if text is None else len(text.encode()) + quotes)
        where = _where(piece)
        if self.has("d"):
            total, inexact = self._one(
                f"SELECT sum(coalesce(strlen(d), 4) * n), count(*) FILTER ({sql.inexact('d')}) FROM spent_here"
            )
            if inexact:
                return False
            length += int(total or 0)
        if self.has("id"):
            length += self._id_lengths(where, rows)
        if self.has("t"):
            width = self._plan.times[0][0] + 2 if self._plan.times else 0
            (there,) = self._one(f"SELECT count(t) FROM ev{where}")
            length += there * width + (rows - there) * 4
        (others,) = self._one(f"SELECT sum(u) FROM ev{where}")
        return length + int(others or 0) == piece.taken

    def _id_lengths(self, where: str, rows: int) -> int:
        """The length of all ids as they must be written at the least; absurd where it is not sure."""
        if not self._plan.numbered:
            sums = f"sum(coalesce(strlen(id), 4)), count(*) FILTER ({sql.inexact('id')})"
            total, inexact = self._one(f"SELECT {sums} FROM ev{where}")
            return sql.ABSURD if inexact else int(total or 0)
        low, high, there = self._one(f"SELECT min(id), max(id), count(id) FROM ev{where}")
        if not there:
            return rows * 4
        shortest, longest = len(str(low)), len(str(high))
        longer = [f"count(*) FILTER (id >= {10**digits})" for digits in range(shortest, longest)]
        counts = self._one(f"SELECT {', '.join(longer)} FROM ev{where}") if longer else ()
        return there * shortest + sum(counts) + (rows - there) * 4

    def _learn_shapes(self, path: str) -> bool:
        """Add the commoner shapes of this file to the plan; whether there were any new ones."""
        objects = sql.objects(path, self._plan.longest)
        rows = self._con.execute(
            "SELECT any_value(keys), count(*) n, any_value(json) FROM (SELECT json, json_keys(json) keys"
            f" FROM {objects} WHERE starts_with(json, '{{')) GROUP BY hash(keys) HAVING n > 20 ORDER BY n DESC, 1"
        ).fetchall()
        new = False
        for keys, _, example in rows[:_SHAPES]:
            shape = tuple(keys)
            usable = len(set(shape)) == len(shape) and not set(shape) <= ERROR_KEYS
            if usable and shape not in self._plan.shapes and len(self._plan.shapes) < _SHAPES:
                self._plan.shapes.append(shape)
                new = True
            if usable and (value := _object(example)):
                self._learn_times(value.get(name) for name in TIMES)
        return new

    def _load(self, path: str) -> Piece:
        plan = self._plan
        piece = self._take(path)
        if plan.wary:
            self._cells = self._count(piece)
            return piece
        plan.wary = not self._plain(piece)
        plan.keyed |= plan.wary or not self._full(piece)
        if plan.wary or (plan.keyed and piece.summed):
            piece = self._take(path)
            self._cells = self._count(piece)
        return piece

    def _take(self, path: str) -> Piece:
        self._con.execute("DROP TABLE IF EXISTS ev")
        self._con.execute(f"CREATE TEMP TABLE ev AS {self._select(path)}")
        rows, bad, taken = self._one(
            "SELECT count(*), count(*) FILTER (bad), sum(n) FILTER (NOT bad) FROM ev"
        )
        places = []
        if bad:
            places = [r for (r,) in self._con.execute("SELECT rowid FROM ev WHERE bad ORDER BY 1").fetchall()]
        value, where = ("d" if self.has("d") else "NULL::VARCHAR"), " WHERE NOT bad" if bad else ""
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE spent_here AS SELECT {value} AS d, count(*) AS n FROM ev{where} GROUP BY 1"
        )
        return Piece(rows=rows, bad=places, taken=int(taken or 0), summed=self._plan.summed)

    def _plain(self, piece: Piece) -> bool:
        """Whether the distinct values alone show that every row taken may be taken.

        Most columns hold few values, or only numbers; asking each row costs as much as reading it.
        """
        self._cells = self._count(piece)
        seen: set[tuple[str, str]] = set()
        for cell in self._cells:
            seen.update(cell.facts.items())
        for name, text in seen:
            # As plain text a word is surely a string; what could be a number, a truth value or an object is not.
            test = _WORD if name in _TEXTS else _SCALAR
            if not test.match(text):
                return False
        if self.has("d") and not self._digits_or_quotes("SELECT min(d), max(d) FROM spent_here"):
            return False
        if not self.has("id"):
            return True
        ends = f"SELECT min(id), max(id) FROM ev{_where(piece)}"
        if self._plan.numbered:
            least, _ = self._one(ends)
            return least is None or least >= 0
        return self._digits_or_quotes(ends)

    def _digits_or_quotes(self, ends: str) -> bool:
        low, high = self._one(ends)
        # All digits first, or all quotation marks.
        return low is None or (low > "." and high < ":") or (low >= '"' and high < "#")

    def _one(self, sql: str) -> tuple[Any, ...]:
        # A result that was not read to its end keeps the connection busy.
        (found,) = self._con.execute(sql).fetchall()
        return found

    def _select(self, path: str) -> str:
        """The statement that takes every line it may take and marks the others `bad`."""
        plan = self._plan
        keys = plan.keys
        text = set(TIMES) if plan.wary else {*TIMES, *_TEXTS}
        kinds = {key: '"VARCHAR"' if key in text else '"JSON"' for key in keys}
        ids = [key for key in IDS if key in keys] if plan.numbered else []
        kinds.update(dict.fromkeys(ids, '"BIGINT"'))
        structure = sql.literal(
            "{" + ",".join(f"{sql.string(key)}:{kind}" for key, kind in kinds.items()) + "}"
        )
        if plan.strict:
            begins = sql.literal("{" + sql.string(keys[0]) + ":")
            taken = f"CASE WHEN starts_with(json, {begins}) THEN from_json_strict(json, {structure}) END"
        else:
            known = " OR ".join(
                f"k = hash([{', '.join(map(sql.literal, shape))}]::VARCHAR[])" for shape in plan.shapes
            )
            taken = f"CASE WHEN starts_with(json, '{{') AND ({known}) THEN from_json(json, {structure}) END"
        # As text: compared with a JSON value, a literal would be taken for JSON itself.
        column = {key: f"s.{sql.name(key)}{'' if key in ids else '::VARCHAR'}" for key in keys}
        out, sound = self._columns(column)
        times = [column[key] for key in TIMES if key in column]
        if plan.summed:
            # What is read as 5000 may have been written 5e3: shorter, so that the lengths would not tell.
            for key in ids:
                written = f"{sql.literal(sql.string(key) + ':')} || {column[key]}"
                sound.append(
                    f"CASE WHEN {column[key]} % 1000 = 0 THEN contains(json, {written}) ELSE true END"
                )
            out.append(f"{sql.rest([x for key, x in column.items() if key not in self._read])} AS u")
        elif plan.strict:
            sound.append(sql.all_keys(plan.shapes[0], column, text))
        sound.append(_ENDS_WELL)
        hashed = "" if plan.strict else ", hash(json_keys(json)) AS k"
        timed = f"{self._time(sql.first(times))} AS t, " if times else ""
        # One step after the other: an expression that is named and used twice is computed twice.
        return (
            f"SELECT {', '.join(out)}, strlen(json)::INTEGER AS n, "
            f"NOT coalesce(s IS NOT NULL AND {' AND '.join(sound)}, false) AS bad "
            f"FROM (SELECT {timed}json, s FROM (SELECT json, {taken} AS s"
            f" FROM (SELECT json{hashed} FROM {sql.objects(path, self._plan.longest)})))"
        )

    def _columns(self, column: dict[str, str]) -> tuple[list[str], list[str]]:
        """Output columns, and the conditions under which they say all there is to say."""
        wary = self._plan.wary
        out: list[str] = []
        sound: list[str] = []
        for place, name in enumerate(self.facts):
            out.append(f"{column[name]} AS f{place}")
            if wary:
                sound.append(sql.scalar(column[name]))
        for name, names in (("d", DURATIONS), ("id", IDS)):
            there = [column[key] for key in names if key in column]
            if there:
                out.append(f"{sql.first(there)} AS {name}")
            if wary or len(there) > 1:
                sound += [sql.scalar(x) for x in there]
            if len(there) > 1:
                # The first name decides only if it holds something usable.
                sound.append(
                    f"({sql.several(there)} <= 1 OR ({sql.first(there)} >= '0' AND {sql.first(there)} < ':'))"
                )
        times = [column[key] for key in TIMES if key in column]
        if times:
            out.append("t")
            sound.append(f"({sql.first(times)} IS NULL OR t >= 0)")
        sound += [sql.sound(x) for key, x in column.items() if key not in self._read]
        return out, sound

    @property
    def _read(self) -> set[str]:
        return {*FACTS, *DURATIONS, *IDS, *TIMES}

    def _time(self, x: str) -> str:
        """Milliseconds since 1970 where the text has a form that everybody reads alike."""
        if not self._plan.times:
            return "NULL::BIGINT"
        # As long as the format at its longest, so that nothing in it can be shorter than two digits, or four.
        forms = " ".join(
            f"WHEN {length} THEN epoch_us(try_strptime({x}, {sql.literal(form)})) // 1000"
            for length, form in self._plan.times
        )
        return f"CASE strlen({x}) {forms} END"

    @property
    def facts(self) -> tuple[str, ...]:
        """The names behind the columns f0, f1, … of `ev`."""
        keys = self._plan.keys
        return tuple(name for name in FACTS if name in keys)

    def has(self, column: str) -> bool:
        """Whether `ev` has a column `d`, `t` or `id`."""
        names = {"d": DURATIONS, "t": TIMES, "id": IDS}[column]
        return any(key in names for key in self._plan.keys)

    @property
    def cells(self) -> list[Cell]:
        """The rows of the last piece that were taken, counted by combination and hour."""
        return self._cells

    def _count(self, piece: Piece) -> list[Cell]:
        names = self.facts
        columns = [f"f{i}" for i in range(len(names))]
        hour, span = ("t // 3600000", "min(t), max(t)") if self.has("t") else ("NULL::BIGINT", "NULL, NULL")
        listed = ", ".join([*columns, f"{hour} AS h"])
        rows = self._con.execute(
            f"SELECT {listed}, count(*), min(rowid), {span} FROM ev{_where(piece)} GROUP BY ALL"
        ).fetchall()
        width = len(names)
        return [
            Cell(
                facts={name: text for name, text in zip(names, row, strict=False) if text is not None},
                hour=row[width],
                count=row[width + 1],
                first=row[width + 2],
                start=row[width + 3],
                end=row[width + 4],
            )
            for row in rows
            if row[width + 1]
        ]

    def record(self, facts: dict[str, str]) -> dict[str, Any]:
        """The facts of a cell as the values they had in the file."""
        plain = not self._plan.wary
        return {name: text if plain and name in _TEXTS else parse(text) for name, text in facts.items()}

    def combinations(self) -> list[dict[str, str]]:
        """Every combination of facts among the rows taken."""
        return list({tuple(cell.facts.items()): cell.facts for cell in self._cells}.values())

    def odd(self, column: str) -> list[str]:
        """The distinct texts of `d` or `id` that `value` does not know how to read."""
        if not self.has(column):
            return []
        if column == "id" and self._plan.numbered:
            return []
        known = _KNOWN[column].format(x=column)
        lying = "spent_here WHERE" if column == "d" else "ev WHERE NOT bad AND"
        found = self._con.execute(
            f"SELECT DISTINCT {column} FROM {lying} {column} IS NOT NULL AND NOT ({known})"
        )
        return [text for (text,) in found.fetchall()]

    def value(self, column: str, otherwise: str, *, known: str = "", missing: str = "NULL") -> str:
        """The expression that reads `d` or `id`, `otherwise` for the odd ones; `known` instead of its value."""
        if not self.has(column):
            return missing
        x = f"ev.{column}"
        if column == "id" and self._plan.numbered:
            return f"{x}::VARCHAR"
        read = known or (f"{x}::DOUBLE" if column == "d" else f"trim({x}, '\"')")
        plain = _KNOWN[column].format(x=x)
        return f"CASE WHEN {x} IS NULL THEN {missing} WHEN {plain} THEN {read} ELSE {otherwise} END"

    def keep_durations(self) -> None:
        """Add the durations taken to those of the pieces before."""
        self._con.execute("CREATE TEMP TABLE IF NOT EXISTS spent (d VARCHAR, n BIGINT)")
        self._con.execute("INSERT INTO spent FROM spent_here")
        if self._one("SELECT count(*) FROM spent")[0] > _SPENT_ROWS:
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE spent AS {_SPENT}")

    def durations(self) -> tuple[dict[float, int], list[tuple[str | None, int]]]:
        """Every distinct duration kept with its count: plain numbers, and the JSON text of all else (None: null)."""
        plain = _KNOWN["d"].format(x="d")
        numbers = f"SELECT d::DOUBLE, sum(n)::BIGINT FROM spent WHERE {plain} GROUP BY 1"
        others = f"SELECT d, sum(n)::BIGINT FROM spent WHERE ({plain}) IS NOT TRUE GROUP BY 1"
        return dict(self._con.execute(numbers).fetchall()), self._con.execute(others).fetchall()

    def first_with(self, piece: Piece, wanted: Sequence[dict[str, str]], limit: int) -> list[int]:
        """The first places whose facts are one of `wanted`, rising."""
        if not wanted:
            return []
        columns = [f"f{i}" for i in range(len(self.facts))]
        tests = [
            " AND ".join(
                f"{c} = {sql.literal(w[name])}" if w.get(name) is not None else f"{c} IS NULL"
                for c, name in zip(columns, self.facts, strict=True)
            )
            for w in wanted
        ]
        either = " OR ".join(f"({test or 'true'})" for test in tests)
        # Failures are common enough to stand near the top as a rule; then nobody has to look at the rest.
        for upto in (4096, piece.rows):
            found = self._con.execute(
                f"SELECT rowid FROM ev WHERE NOT bad AND rowid < {upto} AND ({either}) ORDER BY rowid LIMIT {limit}"
            ).fetchall()
            if len(found) == limit:
                break
        return [place for (place,) in found]


#: The engine ignores a comma before the closing brace; the careful reader calls it malformed.
_ENDS_WELL = "CASE WHEN ends_with(json, '\"}') THEN true ELSE NOT regexp_matches(json, ',\\s*}$') END"


def _object(line: str) -> dict[str, Any]:
    """The object a line is, or an empty one."""
    try:
        value = parse(line.strip())
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


#: Which texts of an id and a duration mean what they look like.
_KNOWN = {
    "id": "regexp_full_match({x}, '[0-9]{{1,18}}|\"[A-Za-z0-9][A-Za-z0-9_.:#-]*\"')",
    "d": "{x} >= '0' AND {x} < ':' AND strlen({x}) < 18 AND NOT contains({x}, 'e') AND NOT contains({x}, 'E')",
}
_SPENT = "SELECT d, sum(n)::BIGINT AS n FROM spent GROUP BY d"
_SPENT_ROWS = 2_000_000


def _where(piece: Piece) -> str:
    return " WHERE NOT bad" if piece.bad else ""


def _compact(line: str, value: dict[str, Any]) -> bool:
    """Whether a line is written as short as can be, and nothing in it could be written shorter still."""
    short = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    odd = any(isinstance(v, dict | list) or _INEXACT.search(json.dumps(v)) for v in value.values())
    return not odd and len(short) == len(line.strip())
