"""Which lines of a large export an engine may read by itself; the others go to the careful reader, by number.

Taken is a line that is one object with each key once, whose facts are plain ASCII texts or whole numbers. What such a
row means is decided in `reconcile_log` and said again, for the engine, in `reconcile_sql`.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb

from cairnops.analytics import reconcile_log as logs
from cairnops.analytics.reconcile_sql import COLUMNS, Log, View, connect, literal, quoted
from cairnops.telemetry.document import spans_lines
from cairnops.telemetry.reader import Book, Export
from cairnops.telemetry.source import Source

#: Bytes read at a time.
PIECE = 48 * 1024 * 1024
#: Shapes of rows told apart at most; rows of further ones are read carefully.
_SHAPES = 500

_ACTOR = r'\{"email":"[ !#-\[\]-~]*"(?:,"role":"[a-z]*")?\}'
#: The engine ignores a comma before the closing brace; the careful reader calls it malformed.
_ENDS_WELL = "(ends_with(json, '\"}') OR NOT regexp_matches(json, ',\\s*}\\s*$'))"

#: Every name a fact goes by at the top of a row.
_NAMES = tuple(
    dict.fromkeys(
        name
        for names in (
            logs.NUMBERS, logs.UIDS, (logs.EITHER,), logs.CONVERSATIONS, logs.ACTIONS, (logs.WHAT,), logs.ACTORS,
            logs.SCOPES, logs.SESSIONS, logs.STATUSES, logs.EFFECTS, logs.ATTEMPTS, logs.TIMES,
        )
        for name in names
        if "." not in name
    )
)  # fmt: skip


class NotThisWay(Exception):
    """The engine cannot read this at all; the careful reader can."""


def open_lines(path: Path, *, piece: int = PIECE) -> Log | None:
    """A large export of lines, read once into a relation on disk; None for what only the careful reader reads.

    Raises:
        InputError: as `telemetry.reader.read_lines`.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cairnops-")))
        con = connect(ordered=True)
        stack.callback(con.close)
        try:
            with Source(path) as source:
                taking = _Taking(con, source, folder)
                taking.all(piece)
        except NotThisWay:
            return None
        export = taking.book.export
        taking.relation()
        log = Log(con, source.name, held=stack.pop_all())
        log.count("ndjson", total=export.records, rejects=export.rejects, sha256=source.sha256)
        return log


class _Taking:
    def __init__(self, con: duckdb.DuckDBPyConnection, source: Source, folder: Path):
        self._con, self._source, self._folder = con, source, folder
        self.book = Book(Export(path=source.name))
        #: The key lists seen, and whether the engine itself refuses any but the one there is.
        self._shapes: list[tuple[str, ...]] = []
        self._strict = True
        facts = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        con.execute(f"CREATE TABLE careful ({facts})")
        self._parts = 0

    def relation(self) -> None:
        """Make `log` of everything taken."""
        listed = ", ".join(COLUMNS)
        parts = literal(str(self._folder / "*.parquet"))
        taken = f"SELECT {listed} FROM read_parquet({parts}) UNION ALL " if self._parts else ""
        self._con.execute(f"CREATE TEMP VIEW log AS {taken}SELECT {listed} FROM careful")

    def all(self, size: int) -> None:
        """Take the whole file."""
        if self._source.encoding != "utf-8" or spans_lines(self._source.head):
            raise NotThisWay
        self._shapes = [keys for line in self._source.head.split("\n")[:200] if (keys := _keys(line))][:1]
        if not self._shapes:
            raise NotThisWay
        before = 0
        memory = "/dev/shm"
        where = memory if os.access(memory, os.W_OK) else str(self._folder)
        with (
            tempfile.TemporaryDirectory(prefix="cairnops-", dir=where) as spool,
            ThreadPoolExecutor(1) as ahead,
        ):
            path = Path(spool) / "piece.ndjson"
            pieces = _whole_lines(self._source, size)
            coming = ahead.submit(next, pieces, b"")
            while data := coming.result():
                # Hashing and reading the next piece goes on while the engine is at this one.
                coming = ahead.submit(next, pieces, b"")
                path.write_bytes(data)
                before += self._piece(data, str(path), before)
        if self._source.damage:
            raise NotThisWay

    def _piece(self, data: bytes, path: str, before: int) -> int:
        con = self._con
        try:
            self._load(path)
        except duckdb.Error as error:
            # A line beyond the engine's limits, for one.
            raise NotThisWay from error
        (rows,) = self._one("SELECT count(*) FROM ev")
        bad = [place for (place,) in con.execute("SELECT rowid FROM ev WHERE bad ORDER BY 1").fetchall()]
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        number = "rowid + 1"
        split: list[bytes] = []
        if lines != rows or bad:
            split = data.split(b"\n")[:lines]
            # What the engine passes over as blank is what `isspace` calls so.
            there = [n for n, raw in enumerate(split, 1) if raw and not raw.isspace()]
            if len(there) != rows:
                raise NotThisWay
            if lines != rows:
                con.execute(
                    "CREATE OR REPLACE TEMP TABLE placed AS SELECT unnest(?::BIGINT[]) AS number,"
                    " unnest(range(len(?::BIGINT[]))) AS place",
                    [there, there],
                )
                number = "(SELECT p.number FROM placed p WHERE p.place = ev.rowid)"
            self._careful([(before + there[place], split[there[place] - 1]) for place in bad])
        self._insert(f"({number} + {before})::BIGINT")
        self.book.passed(lines=lines, blank=lines - rows, records=rows - len(bad))
        return lines

    def _load(self, path: str) -> None:
        """Read a piece into `ev`, in the order of its lines."""
        lines = f"read_ndjson_objects({literal(path)}, ignore_errors = true, compression = 'none')"
        if self._strict:
            try:
                begins = literal("{" + json.dumps(self._shapes[0][0], ensure_ascii=False) + ":")
                taken = f"CASE WHEN starts_with(json, {begins}) THEN from_json_strict(json, {self._structure}) END"
                self._take(f"SELECT json, {taken} AS s FROM {lines}")
                rows, bad = self._one("SELECT count(*), count(*) FILTER (bad) FROM ev")
                if bad * 20 <= rows:
                    return
                # Too many for the careful reader: there are other kinds of rows in it.
                self._strict = False
            except duckdb.InvalidInputException:
                self._strict = False
        found = self._con.execute(
            "SELECT any_value(keys) FROM (SELECT json_keys(json) AS keys FROM "
            f"{lines} WHERE starts_with(json, '{{')) GROUP BY hash(keys) ORDER BY count(*) DESC, 1 LIMIT {_SHAPES}"
        ).fetchall()
        shapes = [tuple(keys) for (keys,) in found]
        self._shapes = [keys for keys in shapes if keys and len(set(keys)) == len(keys)]
        if not self._shapes:
            raise NotThisWay
        known = " OR ".join(
            f"k = hash([{', '.join(map(literal, keys))}]::VARCHAR[])" for keys in self._shapes
        )
        self._take(
            f"SELECT json, CASE WHEN {known} THEN from_json(json, {self._structure}) END AS s FROM (SELECT json,"
            f" CASE WHEN starts_with(json, '{{') THEN hash(json_keys(json)) END AS k FROM {lines})"
        )

    @property
    def _keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for keys in self._shapes for key in keys))

    @property
    def _structure(self) -> str:
        return literal(json.dumps(dict.fromkeys(self._keys, "JSON"), ensure_ascii=False))

    def _take(self, lines: str) -> None:
        columns = {key: f"(s.{quoted(key)}::VARCHAR)" for key in self._keys}
        sound = [_sound(key, x) for key, x in columns.items()]
        if self._strict:
            sound.append(_all_keys(self._shapes[0], columns))
        texts = [f"{_text(key, x)} AS {quoted(key)}" for key, x in columns.items() if key in _NAMES]
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE ev AS SELECT {', '.join([*texts, ''])} NOT coalesce(s IS NOT NULL"
            f" AND {' AND '.join([*sound, _ENDS_WELL])}, false) AS bad FROM ({lines})"
        )

    def _insert(self, number: str) -> None:
        """Put aside what the rows taken say: a file a piece, so that memory stays where it is."""
        names = [key for key in self._keys if key in _NAMES]
        listed = ", ".join([*map(quoted, names), f"{number} AS line_"])
        view = View("", dict.fromkeys(names, "VARCHAR"))
        if not view.identifies:
            return
        rows = view.select(table=f"(SELECT {listed} FROM ev WHERE NOT bad)")
        path = literal(str(self._folder / f"{self._parts}.parquet"))
        self._con.execute(
            f"COPY (SELECT {', '.join(COLUMNS)} FROM ({rows})) TO {path} (FORMAT parquet, COMPRESSION lz4)"
        )
        self._parts += 1

    def _careful(self, lines: list[tuple[int, bytes]]) -> None:
        """Read lines as the careful reader does, and put their rows into the log."""
        rows = []
        for number, raw in lines:
            for line in self.book.one(number, raw):
                row = logs.read_row(line.record, line=line.number) if line.record is not None else None
                if row is not None:
                    rows.append({**row._asdict(), "at_ms": row.at})
        if rows:
            path = self._folder / "careful.ndjson"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            kinds = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
            self._con.execute(
                f"INSERT INTO careful SELECT {', '.join(COLUMNS)} FROM read_json({literal(str(path))},"
                f" format = 'newline_delimited', columns = {{{kinds}}})"
            )

    def _one(self, sql: str) -> tuple[Any, ...]:
        (found,) = self._con.execute(sql).fetchall()
        return found


def _whole_lines(source: Source, size: int) -> Iterator[bytes]:
    """The file in pieces of about that size, none of which ends within a line."""
    rest: list[bytes] = []
    while data := source.block(size):
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join((*rest, data[:end])) if rest else data[:end]
            rest = []
        if end < len(data):
            rest.append(data[end:])
    if rest:
        yield b"".join(rest)


def _sound(key: str, x: str) -> str:
    """The value can be read only one way."""
    number = f"{x} >= '-' AND {x} < ':' AND NOT ({x} >= '.' AND {x} < '0')"
    if key not in _NAMES:
        # A sound scalar, whatever it is; what is nested may hide what only the careful reader minds.
        return f"({x} IS NULL OR starts_with({x}, '\"') OR ({number}) OR {x} = 'true' OR {x} = 'false')"
    plain = (
        f"CASE WHEN starts_with({x}, '\"') THEN strlen({x}) = length({x}) AND NOT contains({x}, '\\')"
        f" ELSE regexp_full_match({x}, '(0|[1-9][0-9]{{0,17}})') END"
    )
    if key in logs.TIMES:
        # Seconds or milliseconds since 1970 are read by the careful reader.
        plain = f"starts_with({x}, '\"') AND strlen({x}) = length({x}) AND NOT contains({x}, '\\')"
    if key == "actor":
        plain = f"({plain} OR regexp_full_match({x}, '{_ACTOR}'))"
    return f"({x} IS NULL OR coalesce({plain}, false))"


def _all_keys(keys: tuple[str, ...], columns: dict[str, str]) -> str:
    """No key but these, each of which the engine has seen once: it passes over keys it was not asked for.

    A line as long as these keys and values has room for nothing else, unless `1e9` got longer when it was read; any
    other line is asked for its keys, which takes longer.
    """
    bare = 1 + sum(len(json.dumps(key, ensure_ascii=False).encode()) + 2 for key in keys)
    length = " + ".join([str(bare), *(f"coalesce(strlen({columns[key]}), 4)" for key in keys)])
    listed = ", ".join(map(literal, keys))
    return (
        f"CASE WHEN strlen(json) = {length} AND NOT regexp_matches(json, '[0-9][eE][-+0-9]') THEN true"
        f" ELSE hash(json_keys(json)) = hash([{listed}]::VARCHAR[]) END"
    )


def _text(key: str, x: str) -> str:
    text = f"CASE WHEN starts_with({x}, '\"') THEN {x}[2:-2] ELSE {x} END"
    return (
        f"CASE WHEN starts_with({x}, '{{') THEN json_extract_string({x}, '$.email') ELSE {text} END"
        if (key == "actor")
        else text
    )


def _keys(line: str) -> tuple[str, ...]:
    """The keys of the object a line is, in order; empty when it is none, or has one twice."""
    try:
        pairs = json.loads(line, object_pairs_hook=lambda p: p)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(pairs, list) or not all(isinstance(p, tuple) for p in pairs):
        return ()
    keys = tuple(key for key, _ in pairs)
    return keys if len(set(keys)) == len(keys) else ()
