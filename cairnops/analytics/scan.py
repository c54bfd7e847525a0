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

from cairnops.analytics.dialects import CAIRNOPS
from cairnops.telemetry.jsontext import parse

#: Names (their first step) under which a duration, a time and an id are looked for, in precedence.
DURATIONS, TIMES, IDS = (
    tuple(dict.fromkeys(name for name in names if "." not in name))
    for names in (CAIRNOPS.duration, CAIRNOPS.timestamp, CAIRNOPS.decision_id)
)
#: Every other name that is looked at: these are counted by combination.
FACTS = tuple(
    dict.fromkeys(
        head
        for names in (
            CAIRNOPS.status, CAIRNOPS.http_status, CAIRNOPS.flag, CAIRNOPS.denial, CAIRNOPS.error_code,
            CAIRNOPS.error_message, ("message",), CAIRNOPS.retries, CAIRNOPS.attempt, CAIRNOPS.scope,
            CAIRNOPS.duration, CAIRNOPS.timestamp, CAIRNOPS.decision_id,
        )
        for head in (name.partition(".")[0] for name in names)
        if head not in DURATIONS + TIMES + IDS
    )
)  # fmt: skip

#: Facts that are words as a rule, and are read as plain text as long as they are.
_TEXTS = frozenset(FACTS) & {
    *CAIRNOPS.status, *CAIRNOPS.error_code, *CAIRNOPS.error_message, *CAIRNOPS.scope, "message",
}  # fmt: skip

_ERROR_KEYS = {"code", "message", "details", "hint"}
#: Lines looked at to learn what a file's rows look like, and shapes told apart at most.
_LOOKED_AT = 500
_SHAPES = 24
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?:\d{3}|\d{6}))?(?P<zone>Z|\+00:00)")
_TIME_PATTERNS = 4
_WORD = re.compile(r"(?!(?:true|false|null|nan|inf|infinity)\Z)[A-Za-z_]", re.IGNORECASE)
_INEXACT = re.compile(r"^(?!\")(?:.*\.0$|0\.000|[-{\[])")
_SCALAR = re.compile(r'"|-?\d|true\Z|false\Z')


class NotThisWay(Exception):
    """The engine cannot read this at all; the careful reader can."""


@dataclass(kw_only=True, slots=True)
class Plan:
    """What is known of a file's rows so far."""

    #: Key tuples that may be taken, in the order they stand in the line.
    shapes: list[tuple[str, ...]] = field(default_factory=list)
    #: LIKE patterns of times that are sure to be read the same everywhere.
    times: list[str] = field(default_factory=list)
    #: All rows have the one shape so far, and the engine itself refuses any other.
    strict: bool = True
    #: Some value was of a kind that is told line by line and not by looking at the distinct values.
    wary: bool = False
    #: That a line has no other keys is told line by line, and not by the lengths of all of them together.
    keyed: bool = False

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
            if value and not value.keys() <= _ERROR_KEYS:
                self._plan.keyed |= not _compact(line, value)
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
                zone = match["zone"]
                pattern = re.sub(r"\d", "_", value[: -len(zone)]) + zone
                if pattern not in self._plan.times and len(self._plan.times) < _TIME_PATTERNS:
                    self._plan.times.append(pattern)

    def read(self, path: str) -> Piece:
        """Read a file of lines into `ev`.

        Raises:
            NotThisWay: for what the engine cannot read, such as a line beyond its limits.
        """
        plan = self._plan
        try:
            if plan.strict:
                try:
                    return self._load(path)
                except duckdb.InvalidInputException:
                    plan.strict, plan.wary, plan.keyed = False, True, True
                    self._learn_shapes(path)
            piece = self._load(path)
            if len(piece.bad) * 20 > piece.rows and self._learn_shapes(path):
                piece = self._load(path)
        except duckdb.Error as error:
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
        length = rows * (1 + sum(len(_string(key).encode()) + 2 for key in shape))
        names = self.facts
        for cell in self._cells:
            for name in names:
                text = cell.facts.get(name)
                if name not in _TEXTS and text is not None and _INEXACT.search(text):
                    return False
                quotes = 2 if name in _TEXTS else 0
                length += cell.count * (4 if text is None else len(text.encode()) + quotes)
        where = _where(piece)
        for column in ("d", "id"):
            if self.has(column):
                sums = f"sum(coalesce(strlen({column}), 4)), count(*) FILTER ({_inexact(column)})"
                total, inexact = self._one(f"SELECT {sums} FROM ev{where}")
                if inexact:
                    return False
                length += int(total or 0)
        if self.has("t"):
            width = len(self._plan.times[0]) + 2 if self._plan.times else 0
            (there,) = self._one(f"SELECT count(t) FROM ev{where}")
            length += there * width + (rows - there) * 4
        (others,) = self._one(f"SELECT sum(u) FROM ev{where}")
        return length + int(others or 0) == piece.taken

    def _learn_shapes(self, path: str) -> bool:
        """Add the commoner shapes of this file to the plan; whether there were any new ones."""
        rows = self._con.execute(
            "SELECT any_value(keys), count(*) n, any_value(json) FROM (SELECT json, json_keys(json) keys FROM "
            f"{_objects(path)} WHERE starts_with(json, '{{')) GROUP BY hash(keys) HAVING n > 20 ORDER BY n DESC, 1"
        ).fetchall()
        new = False
        for keys, _, example in rows[:_SHAPES]:
            shape = tuple(keys)
            usable = len(set(shape)) == len(shape) and not set(shape) <= _ERROR_KEYS
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
        summed = self._plan.strict and not self._plan.keyed
        return Piece(rows=rows, bad=places, taken=int(taken or 0), summed=summed)

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
        where = _where(piece)
        for column in ("d", "id"):
            if self.has(column):
                low, high = self._one(f"SELECT min({column}), max({column}) FROM ev{where}")
                # All digits first, or all quotation marks.
                if low is not None and not ((low > "." and high < ":") or (low >= '"' and high < "#")):
                    return False
        return True

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
        structure = _literal("{" + ",".join(f"{_string(key)}:{kind}" for key, kind in kinds.items()) + "}")
        if plan.strict:
            begins = _literal("{" + _string(keys[0]) + ":")
            taken = f"CASE WHEN starts_with(json, {begins}) THEN from_json_strict(json, {structure}) END"
        else:
            known = " OR ".join(
                f"k = hash([{', '.join(map(_literal, shape))}]::VARCHAR[])" for shape in plan.shapes
            )
            taken = f"CASE WHEN starts_with(json, '{{') AND ({known}) THEN from_json(json, {structure}) END"
        # As text: compared with a JSON value, a literal would be taken for JSON itself.
        column = {key: f"s.{_name(key)}::VARCHAR" for key in keys}
        out, sound = self._columns(column)
        times = [column[key] for key in TIMES if key in column]
        if plan.strict and not plan.keyed:
            out.append(f"{_rest([x for key, x in column.items() if key not in self._read])} AS u")
        elif plan.strict:
            sound.append(_all_keys(plan.shapes[0], column, text))
        sound.append(_ENDS_WELL)
        hashed = "" if plan.strict else ", hash(json_keys(json)) AS k"
        timed = f"{self._time(_first(times))} AS t, " if times else ""
        # One step after the other: an expression that is named and used twice is computed twice.
        return (
            f"SELECT {', '.join(out)}, strlen(json)::INTEGER AS n, "
            f"NOT coalesce(s IS NOT NULL AND {' AND '.join(sound)}, false) AS bad "
            f"FROM (SELECT {timed}json, s FROM (SELECT json, {taken} AS s"
            f" FROM (SELECT json{hashed} FROM {_objects(path)})))"
        )

    def _columns(self, column: dict[str, str]) -> tuple[list[str], list[str]]:
        """Output columns, and the conditions under which they say all there is to say."""
        wary = self._plan.wary
        out: list[str] = []
        sound: list[str] = []
        for place, name in enumerate(self.facts):
            out.append(f"{column[name]} AS f{place}")
            if wary:
                sound.append(_scalar(column[name]))
        for name, names in (("d", DURATIONS), ("id", IDS)):
            there = [column[key] for key in names if key in column]
            if there:
                out.append(f"{_first(there)} AS {name}")
            if wary or len(there) > 1:
                sound += [_scalar(x) for x in there]
            if len(there) > 1:
                # The first name decides only if it holds something usable.
                sound.append(
                    f"({_several(there)} <= 1 OR ({_first(there)} >= '0' AND {_first(there)} < ':'))"
                )
        times = [column[key] for key in TIMES if key in column]
        if times:
            out.append("t")
            sound.append(f"({_first(times)} IS NULL OR t >= 0)")
        sound += [_sound(x) for key, x in column.items() if key not in self._read]
        return out, sound

    @property
    def _read(self) -> set[str]:
        return {*FACTS, *DURATIONS, *IDS, *TIMES}

    def _time(self, x: str) -> str:
        """Milliseconds since 1970 where the text has a form that everybody reads alike."""
        if not self._plan.times:
            return "NULL::BIGINT"
        like = " OR ".join(f"{x} LIKE {_literal(pattern)}" for pattern in self._plan.times)
        at = f"epoch_us(try_cast({x} AS TIMESTAMPTZ)) // 1000"
        # The engine takes ' 1' for an hour, and 24:00 for midnight; the careful reader takes neither.
        return f"CASE WHEN ({like}) AND NOT contains({x}, ' ') AND NOT contains({x}, 'T24') THEN {at} END"

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
        known = _KNOWN[column].format(x=column)
        found = self._con.execute(
            f"SELECT DISTINCT {column} FROM ev WHERE NOT bad AND {column} IS NOT NULL AND NOT ({known})"
        )
        return [text for (text,) in found.fetchall()]

    def value(self, column: str, otherwise: str, *, known: str = "", missing: str = "NULL") -> str:
        """The expression that reads `d` or `id`, `otherwise` for the odd ones; `known` instead of its value."""
        if not self.has(column):
            return missing
        x = f"ev.{column}"
        read = known or (f"{x}::DOUBLE" if column == "d" else f"trim({x}, '\"')")
        plain = _KNOWN[column].format(x=x)
        return f"CASE WHEN {x} IS NULL THEN {missing} WHEN {plain} THEN {read} ELSE {otherwise} END"

    def keep_durations(self, piece: Piece) -> None:
        """Add the durations taken to those of the pieces before."""
        value = "d" if self.has("d") else "NULL::VARCHAR"
        self._con.execute("CREATE TEMP TABLE IF NOT EXISTS spent (d VARCHAR, n BIGINT)")
        self._con.execute(f"INSERT INTO spent SELECT {value}, count(*) FROM ev{_where(piece)} GROUP BY 1")
        if self._one("SELECT count(*) FROM spent")[0] > _SPENT_ROWS:
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE spent AS {_SPENT}")

    def durations(self) -> list[tuple[str | None, int]]:
        """(JSON text, count) of every distinct duration kept; None where there is none."""
        return self._con.execute(_SPENT).fetchall()

    def first_with(self, piece: Piece, wanted: Sequence[dict[str, str]], limit: int) -> list[int]:
        """The first places whose facts are one of `wanted`, rising."""
        if not wanted:
            return []
        columns = [f"f{i}" for i in range(len(self.facts))]
        tests = [
            " AND ".join(
                f"{c} = {_literal(w[name])}" if w.get(name) is not None else f"{c} IS NULL"
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


def _first(columns: Sequence[str]) -> str:
    """The first of the columns that holds something."""
    return columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"


def _several(columns: Sequence[str]) -> str:
    """How many of the columns hold something."""
    return f"({' + '.join(f'({x} IS NOT NULL)::INTEGER' for x in columns)})"


def _objects(path: str) -> str:
    return f"read_ndjson_objects({_literal(path)}, ignore_errors = true, compression = 'none')"


def _scalar(x: str) -> str:
    """A string, a finite number, a truth value, null or nothing, told by the first characters of its text."""
    return (
        f"({x} IS NULL OR ({x} >= '\"' AND {x} < ':' AND NOT ({x} >= '-:' AND {x} < '.'))"
        f" OR {x} = 'true' OR {x} = 'false')"
    )


def _sound(x: str) -> str:
    """A scalar, or something nested that both readers take for JSON: shallow, no stray comma, no NaN."""
    stray = r"(?i),\s*[}\]]|[:\[,]\s*[-+]?(?:nan|inf)"
    shallow = "strlen(json) - strlen(replace(replace(json, '[', ''), '{', '')) < 300"
    nested = f"(starts_with({x}, '{{') OR starts_with({x}, '['))"
    return (
        f"CASE WHEN {_scalar(x)} THEN true WHEN {nested} THEN"
        f" {shallow} AND NOT regexp_matches(json, {_literal(stray)}) ELSE false END"
    )


def _inexact(x: str) -> str:
    """Whether what was written may be shorter than the text seen: 1e5 is shown as 100000.0."""
    return (
        f"ends_with({x}, '.0') OR starts_with({x}, '0.000') OR starts_with({x}, '-')"
        f" OR starts_with({x}, '{{') OR starts_with({x}, '[')"
    )


def _rest(columns: Sequence[str]) -> str:
    """The length of values that nobody asks for; absurd where it is not sure."""
    if not columns:
        return "0"
    parts = [
        f"CASE WHEN coalesce({_inexact(x)}, false) THEN 100000000 ELSE coalesce(strlen({x}), 4) END"
        for x in columns
    ]
    return f"({' + '.join(parts)})"


def _compact(line: str, value: dict[str, Any]) -> bool:
    """Whether a line is written as short as can be, and nothing in it could be written shorter still."""
    short = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    odd = any(isinstance(v, dict | list) or _INEXACT.search(json.dumps(v)) for v in value.values())
    return not odd and len(short) == len(line.strip())


def _all_keys(shape: tuple[str, ...], column: dict[str, str], text: set[str]) -> str:
    """No key but these, where the engine has made sure that each of them is there, and once.

    It passes over keys it was not asked for. A line as long as these keys and values are at the least
    has room for nothing else; any other is asked for its keys, which takes longer.
    """
    length = 2 + sum(len(_string(key).encode()) + 2 for key in shape) - 1
    parts = [str(length)]
    exact = []
    for key in shape:
        x = column[key]
        # Plain text stands between two quotation marks.
        parts.append(f"coalesce(strlen({x}){' + 2' if key in text else ''}, 4)")
        if key not in text:
            exact.append(f"coalesce(NOT ({_inexact(x)}), true)")
    short = f"strlen(json) = {' + '.join(parts)}"
    return (
        f"CASE WHEN {' AND '.join([short, *exact])} THEN true"
        f" ELSE hash(json_keys(json)) = hash([{', '.join(map(_literal, shape))}]::VARCHAR[]) END"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
