"""An export as a table with declared columns: read from any form, checked as a whole, handed to any library."""

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from cairnops.analytics import rows
from cairnops.analytics.columns import COLUMNS, NAMES, PROBLEM_COLUMNS, declaration
from cairnops.errors import InputError
from cairnops.telemetry.preview import mask, preview
from cairnops.telemetry.reader import REJECTS, Book, Export, Line, read_lines
from cairnops.telemetry.source import Source, files_of

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars

    from cairnops.analytics.engine import Found
    from cairnops.analytics.scan import Scan

#: Rejects kept with their words; all of them are counted.
PROBLEMS_KEPT = 10_000
#: Records kept in memory at most; more go to disk.
SPILL_ROWS = 2_500_000
_BATCH = 50_000
_AT = "CASE WHEN t IS NOT NULL THEN make_timestamp(t * 1000) END"


class ExportProblems(InputError):
    """The export is not sound; everything that is wrong with it at once."""

    def __init__(self, problems: "Problems", exports: Sequence[Export]):
        said = [f"{export.path}: {_account(export)}" for export in exports if _account(export)]
        samples = [f"  line {p['line']}: {p['reason']}: {p['preview']}" for p in problems.sample]
        more = problems.total - len(problems.sample)
        if more > 0 and samples:
            samples.append(f"  … and {more} more")
        super().__init__(
            "\n".join([*said, *samples]),
            hint="strict=False gives the rows that can be read, and the problems as a second table.",
        )
        self.problems, self.exports = problems, tuple(exports)


class Problems:
    """The rejects of an export: how many, why, and the first of them."""

    def __init__(self) -> None:
        self.total = 0
        self.reasons: dict[str, int] = {}
        self.kept: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return self.total

    def __repr__(self) -> str:
        counted = ", ".join(f"{n} {reason}" for reason, n in sorted(self.reasons.items()))
        return f"<Problems {self.total}{': ' + counted if counted else ''}>"

    @property
    def sample(self) -> list[dict[str, Any]]:
        """The first twenty."""
        return self.kept[:20]

    def add(self, source: int, line: Line) -> None:
        """Count a reject, and keep it if it is among the first."""
        self.total += 1
        self.reasons[line.problem or ""] = self.reasons.get(line.problem or "", 0) + 1
        if len(self.kept) < PROBLEMS_KEPT:
            self.kept.append(
                {
                    "source": source,
                    "line": line.number,
                    "part": line.part,
                    "reason": line.problem,
                    "detail": mask(line.detail),
                    "preview": preview(line.raw[line.at :]),
                }
            )

    def polars(self) -> "polars.DataFrame":
        """The kept rejects as a table; its columns are `columns.PROBLEM_COLUMNS`."""
        import polars as pl

        types = {"INTEGER": pl.Int32, "BIGINT": pl.Int64, "VARCHAR": pl.String}
        return pl.DataFrame(self.kept, schema={c.name: types[c.type] for c in PROBLEM_COLUMNS})


class Store:
    """Where the records lie: in memory, and beyond some millions in Parquet files that go with the frame."""

    def __init__(self) -> None:
        from cairnops.analytics.engine import database

        self.connection = database()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._parts: list[str] = []
        self.connection.execute(f"CREATE TABLE events ({declaration()})")

    def spill(self, least: int = SPILL_ROWS) -> None:
        """Move the records to disk once there are `least` of them."""
        ((count,),) = self.connection.execute("SELECT count(*) FROM events").fetchall()
        if count < least:
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="cairnops-")
        path = f"{self._folder.name}/{len(self._parts):05d}.parquet"
        self.connection.execute(f"COPY events TO '{path}' (FORMAT parquet, COMPRESSION lz4)")
        self.connection.execute("TRUNCATE events")
        self._parts.append(path)

    def close_parts(self) -> None:
        """Make `events` one table again, wherever its records lie."""
        if self._folder is None:
            return
        self.spill(0)
        self.connection.execute("DROP TABLE events")
        listed = ", ".join(f"'{path}'" for path in self._parts)
        self.connection.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet([{listed}])")
        self.connection.execute(f"SET temp_directory = '{self._folder.name}/spill'")
        self.connection.execute("SET memory_limit = '700MB'")

    def forget(self, index: int) -> None:
        """Drop what was read of one file, which will be read another way.

        Raises:
            InputError: when some of it lies on disk already.
        """
        if self._parts:
            raise InputError(
                "The file turned out to be of another kind after some millions of rows.",
                hint="cairnops decisions inspect says what it is.",
            )
        self.connection.execute("DELETE FROM events WHERE source = ?", [index])

    def close(self) -> None:
        """Let go of everything."""
        self.connection.close()
        if self._folder is not None:
            self._folder.cleanup()


class Frame:
    """The records of one or several exports, in file and line order, under the columns of `columns.COLUMNS`.

    Close it, or use it as a context manager: the table lives in a database of its own.
    """

    def __init__(self, store: "Store", exports: Sequence[Export]):
        self._store, self._con = store, store.connection
        #: The account of every file, in the order of the column `source`.
        self.exports = tuple(exports)

    def __enter__(self) -> "Frame":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the table."""
        self._store.close()

    def __len__(self) -> int:
        return int(self.sql("SELECT count(*) FROM events")[0][0])

    def __repr__(self) -> str:
        lines = [f"<Frame of {len(self):,} records, {len(NAMES)} columns>"]
        for export in self.exports:
            lines.append(
                f"  {export.path}: {export.kind}, {export.lines:,} lines = {export.record_lines:,} with records"
                f" + {export.reject_lines:,} rejected + {export.blank:,} blank + {export.structure_lines:,} brackets"
                # A line with records may end in something that is none.
                + (f"; problems: {export.rejects:,}" if export.rejects else "")
            )
        return "\n".join(lines)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names, in order; `columns.COLUMNS` says what they mean."""
        return NAMES

    def duckdb(self) -> "duckdb.DuckDBPyConnection":
        """The database with the table `events`; it stays the frame's."""
        return self._con

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query over the table `events`. Without ORDER BY their order is not promised."""
        return self._con.execute(query).fetchall()

    def polars(self) -> "polars.DataFrame":
        """The whole table, numbers and times without being copied twice."""
        import polars as pl

        with self._con.cursor() as cursor:
            relation = cursor.sql(f"SELECT * FROM events {_ORDER}")
            table = pl.DataFrame(_Stream(relation))
            del relation
        return table

    def pandas(self) -> "pandas.DataFrame":
        """The whole table as pandas knows it (pandas comes with the extra `notebooks`)."""
        with self._con.cursor() as cursor:
            return cursor.execute(f"SELECT * FROM events {_ORDER}").df()

    def rows(self) -> list[dict[str, Any]]:
        """The whole table as dictionaries; for small ones."""
        found = self._con.execute(f"SELECT * FROM events {_ORDER}").fetchall()
        return [dict(zip(NAMES, row, strict=True)) for row in found]

    def duplicate_ids(self, limit: int = 20) -> tuple[int, list[tuple[str, int]]]:
        """How many decision ids stand on more than one record, and the first of them with their counts."""
        counted = (
            "SELECT decision_id, count(*) n FROM events WHERE decision_id IS NOT NULL GROUP BY 1 HAVING n > 1"
        )
        listed = self.sql(f"SELECT *, count(*) OVER () FROM ({counted}) ORDER BY 2 DESC, 1 LIMIT {limit}")
        return (listed[0][2] if listed else 0), [(i, n) for i, n, _ in listed]


_ORDER = "ORDER BY source, line, part"


class _Stream:
    """A relation's columns and nothing else of it.

    Polars remembers the type of what it is given until the process ends; a type of DuckDB's, remembered
    that long, makes DuckDB complain of leaks on stderr.
    """

    def __init__(self, relation: "duckdb.DuckDBPyRelation"):
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._relation.__arrow_c_stream__(requested_schema)


@overload
def read_export(source: str | Path | Sequence[str | Path], strict: Literal[True] = True) -> Frame: ...
@overload
def read_export(
    source: str | Path | Sequence[str | Path], strict: Literal[False]
) -> tuple[Frame, Problems]: ...
def read_export(
    source: str | Path | Sequence[str | Path], strict: bool = True
) -> Frame | tuple[Frame, Problems]:
    """Read exports: a path, a pattern such as `logs/*.ndjson`, a `.parquet` file or folder, or several of these.

    `strict` wants every line to be a record and raises with all that is wrong at once; otherwise the
    problems come as a second value beside what could be read.

    Raises:
        InputError: for a file that is missing, may not be read or is a container of something else.
        ExportProblems: when `strict` and something is not a record, or the file is no export.
    """
    store = Store()
    problems = Problems()
    exports: list[Export] = []
    try:
        for index, path in enumerate(paths(source)):
            exports.append(_read(store, path, index, problems))
        store.close_parts()
    except BaseException:
        store.close()
        raise
    frame = Frame(store, exports)
    if not strict:
        return frame, problems
    if any(_account(export) for export in exports):
        frame.close()
        raise ExportProblems(problems, exports)
    return frame


def paths(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files behind a path, a pattern, a folder of Parquet files, or several of these; sorted within each.

    Raises:
        InputError: where there is none.
    """
    if not isinstance(source, str | Path):
        return [path for one in source for path in paths(one)]
    path = Path(source)
    if path.is_dir():
        found = sorted(path.rglob("*.parquet"))
        if not found:
            raise InputError(
                f"{path} is a folder without Parquet files.", hint="Name a file, or a pattern in quotes."
            )
        return found
    return files_of(source)


def account_of(path: Path) -> tuple[Export, Problems]:
    """What a file is, and what in it is no record; the rows themselves are let go of.

    Raises:
        InputError: as `read_export`.
    """
    from cairnops.analytics import parquet
    from cairnops.analytics.summary import is_large

    problems = Problems()
    if parquet.is_parquet(path) or is_large(path):
        frame, problems = read_export(path, strict=False)
        with frame:
            return frame.exports[0], problems
    reading = read_lines(path)
    for line in reading:
        if line.record is None:
            problems.add(0, line)
    return reading.export, problems


def _account(export: Export) -> str:
    """What is wrong with a file, in one sentence; empty when nothing is."""
    said = [export.diagnosis] if export.diagnosis else []
    said += [f"{count} {REJECTS[reason]}" for reason, count in sorted(export.reasons.items())]
    return "; ".join(mask(part) for part in said)


def _read(store: Store, path: Path, index: int, problems: Problems) -> Export:
    from cairnops.analytics import parquet
    from cairnops.analytics.engine import NotThisWay

    if parquet.is_parquet(path):
        return parquet.read(store, path, index, problems)
    before = (problems.total, dict(problems.reasons), len(problems.kept))
    try:
        return Filling(store, index, problems).engine(path)
    except NotThisWay:
        problems.total, problems.reasons = before[0], before[1]
        del problems.kept[before[2] :]
        store.forget(index)
    return Filling(store, index, problems).careful(path)


class Filling:
    """Puts one file's records into `events`."""

    def __init__(self, store: Store, index: int, problems: Problems):
        self._store, self._con = store, store.connection
        self._index, self._problems = index, problems
        self._batch: list[dict[str, Any]] = []

    def careful(self, path: Path) -> Export:
        """Read a file line by line."""
        reading = read_lines(path)
        for line in reading:
            self.line(line)
        self.flush()
        return reading.export

    def engine(self, path: Path) -> Export:
        """Read a file at scan speed.

        Raises:
            NotThisWay: for a file only the careful reader reads, or too small for it to pay.
        """
        from cairnops.analytics.engine import PIECE, WHOLE, NotThisWay, finished, pieces
        from cairnops.analytics.scan import Scan

        with Source(path) as source:
            if source.small:
                raise NotThisWay
            book = Book(Export(path=source.name))
            scan = Scan(self._con)
            for found in pieces(source, scan, PIECE, WHOLE):
                for _, number, raw in found.left:
                    for line in book.one(number, raw):
                        self.line(line)
                self.flush()
                self._taken(scan, found)
                taken = found.piece.rows - len(found.piece.bad)
                book.passed(lines=found.lines, blank=found.blank, records=taken)
                self._store.spill()
            if source.damage:
                raise NotThisWay
        self._con.execute("DROP TABLE IF EXISTS ev")
        return finished(book, source)

    def _taken(self, scan: "Scan", found: "Found") -> None:
        """Insert what the engine took, by way of what each combination and each odd value means."""
        con = self._con
        facts = [f"f{i}" for i in range(len(scan.facts))]
        meanings = [
            {
                **dict(zip(facts, (cell.get(name) for name in scan.facts), strict=True)),
                **_meaning(scan.record(cell)),
            }
            for cell in scan.combinations()
        ]
        _table(con, "meaning", [*facts, *_MEANT], meanings)
        same = " AND ".join(f"ev.{f} IS NOT DISTINCT FROM m.{f}" for f in facts) or "true"
        odd_ids = scan.odd("id")
        _table(con, "ids", ["raw", "value"], [{"raw": t, "value": _id(t)} for t in odd_ids])
        odd_durations = scan.odd("d")
        spent = [dict(zip(("raw", "value", "state"), (t, *_duration(t)), strict=True)) for t in odd_durations]
        _table(con, "spent_odd", ["raw", "value", "state"], spent)
        line = _line_number(con, found)
        ident = scan.value("id", "(SELECT value FROM ids WHERE raw = ev.id)" if odd_ids else "NULL")
        took = scan.value("d", "(SELECT value FROM spent_odd WHERE raw = ev.d)" if odd_durations else "NULL")
        odd_state = "(SELECT state FROM spent_odd WHERE raw = ev.d)" if odd_durations else "'read'"
        state = scan.value("d", odd_state, known="'read'", missing="'missing'")
        at = "make_timestamp(t * 1000)" if scan.has("t") else "NULL"
        at_state = "CASE WHEN t IS NULL THEN 'missing' ELSE 'read' END" if scan.has("t") else "'missing'"
        con.execute(
            f"INSERT INTO events SELECT {self._index}, {line}, 0, {ident}, m.outcome, m.status, m.scope, m.error_code,"
            f" m.error_message, ({took})::DOUBLE, m.retries, m.attempt, {at}, {state}, {at_state}"
            f" FROM ev JOIN meaning m ON {same} WHERE NOT bad"
        )

    def line(self, line: Line) -> None:
        """Take one record or reject."""
        if line.record is None:
            self._problems.add(self._index, line)
            return
        row = rows.read(line.record, seconds_below_ten=False)
        self._batch.append(
            {
                "source": self._index, "line": line.number, "part": line.part, "decision_id": row.decision_id,
                **_fields(row), "duration_ms": row.duration, "t": row.time,
                "duration_state": row.duration_presence,
                "time_state": "zoneless" if row.zoneless else row.time_presence,
            }
        )  # fmt: skip
        if len(self._batch) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Put the records taken so far into the table."""
        if not self._batch:
            return
        types = {c.name: c.type for c in COLUMNS if c.name != "occurred_at"} | {"t": "BIGINT"}
        names = [_AT if name == "occurred_at" else f'"{name}"' for name in NAMES]
        with _lines(self._batch) as path:
            self._con.execute(
                f"INSERT INTO events SELECT {', '.join(names)}"
                f" FROM read_json('{path}', format = 'newline_delimited', columns = {json.dumps(types)},"
                " maximum_object_size = 1073741824)"
            )
        self._batch.clear()


_MEANT = ("outcome", "status", "scope", "error_code", "error_message", "retries", "attempt")


def _fields(row: rows.Row) -> dict[str, Any]:
    return {
        "outcome": row.kind,
        "status": row.status,
        "scope": row.scope,
        "error_code": row.code,
        "error_message": row.message,
        "retries": row.retries,
        "attempt": row.attempt,
    }


def _meaning(record: dict[str, Any]) -> dict[str, Any]:
    return _fields(rows.read(record, seconds_below_ten=False))


def _id(text: str) -> str | None:
    from cairnops.telemetry.jsontext import parse

    return rows.read({"decisionId": parse(text)}, seconds_below_ten=False).decision_id


def _duration(text: str) -> tuple[float | None, rows.Presence]:
    from cairnops.analytics.engine import duration_of

    return duration_of(text, False)


def _table(
    con: "duckdb.DuckDBPyConnection", name: str, columns: Iterable[str], found: list[dict[str, Any]]
) -> None:
    """A temporary table; numbers travel as they are, everything else as text."""
    columns = list(columns)
    types = {
        c: "DOUBLE" if c in ("retries", "attempt") or (name == "spent_odd" and c == "value") else "VARCHAR"
        for c in columns
    }
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({', '.join(f'{c} {t}' for c, t in types.items())})")
    if not found:
        return
    with _lines(found) as path:
        con.execute(
            f"INSERT INTO {name} SELECT {', '.join(columns)} FROM read_json('{path}', format = 'newline_delimited',"
            f" columns = {json.dumps(types)}, maximum_object_size = 1073741824)"
        )


class _lines:
    """Rows as a file of lines, for as long as the engine needs to read them."""

    def __init__(self, found: list[dict[str, Any]]):
        self._file = tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8")  # noqa: SIM115
        for row in found:
            self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def __enter__(self) -> str:
        return self._file.name

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _line_number(con: "duckdb.DuckDBPyConnection", found: "Found") -> str:
    """How the physical line of a row of `ev` is told: its place, and the blank lines before it."""
    if not found.gaps:
        return f"ev.rowid + {found.line + 1}"
    con.execute("CREATE OR REPLACE TEMP TABLE gaps (place BIGINT, blank BIGINT)")
    starts: dict[int, int] = {-1: 0}
    for blank, place in enumerate(found.gaps, 1):
        starts[place] = blank
    with _lines([{"place": p, "blank": b} for p, b in starts.items()]) as path:
        con.execute(
            f"INSERT INTO gaps SELECT * FROM read_json('{path}', columns = {{place: 'BIGINT', blank: 'BIGINT'}})"
        )
    runs = "(SELECT e.rowid AS r, g.blank FROM ev e ASOF JOIN gaps g ON e.rowid >= g.place)"
    con.execute(f"CREATE OR REPLACE TEMP TABLE shifted AS SELECT * FROM {runs}")
    return f"ev.rowid + {found.line + 1} + (SELECT blank FROM shifted WHERE r = ev.rowid)"
