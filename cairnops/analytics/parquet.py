"""How exports become Parquet and come back: one file per source, sorted by time, its account in the file itself."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cairnops.analytics import rows
from cairnops.analytics.columns import NAMES
from cairnops.analytics.tally import FAILURE_SAMPLES, Tally
from cairnops.domain.measures import MeasurePolicy
from cairnops.errors import InputError
from cairnops.telemetry.reader import Export, Line

if TYPE_CHECKING:
    import duckdb

    from cairnops.analytics.frames import Problems, Store

#: Under this key of the file's metadata stands the account of the export it was made from.
_KEY = "cairnops"
#: Line and part in one number that sorts as they do.
_PLACE = "(line * 1048576 + part)"
#: Counts are kept in the file if they are no more rows than this; each takes some 15 bytes.
_COUNTS_KEPT = 100_000
_FACTS = ("outcome", "status", "scope", "error_code", "error_message", "retries", "attempt")


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """One Parquet file, and the export it was made from."""

    path: Path
    export: Export
    records: int


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, whatever it is called."""
    try:
        with path.open("rb") as file:
            return path.is_file() and file.read(4) == b"PAR1"
    except OSError:
        return False


def convert(source: str | Path | Sequence[str | Path], folder: str | Path) -> list[Converted]:
    """Write each export as one Parquet file (zstd, sorted by time) under `folder`, whole or not at all.

    A file is named by its source and the first 12 digits of its SHA-256, so that doing it again gives
    the same names. The account of the export, its first rejects and what a summary counts travel in
    the file: who asks again waits for none of its rows.

    Raises:
        InputError: as `read_export`, for a file that is no export, or a folder that cannot be written.
    """
    from cairnops.analytics.frames import paths, read_export

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"Cannot write to {folder}: {error.strerror}.", hint="Choose another folder."
        ) from None
    out = []
    for path in paths(source):
        frame, problems = read_export(path, strict=False)
        with frame:
            export = frame.exports[0]
            if not export.is_data:
                raise InputError(
                    f"{path.name}: {export.diagnosis}", hint="cairnops decisions inspect says more."
                )
            target = folder / f"{_stem(path)}-{export.sha256[:12]}.parquet"
            temporary = target.with_name(f".{target.name}.tmp")
            account = {f.name: getattr(export, f.name) for f in fields(Export)} | {"samples": problems.sample}
            counts = _counts(frame.duckdb())
            if sum(map(len, counts.values())) <= _COUNTS_KEPT:
                account["counts"] = counts
            said = json.dumps(account, separators=(",", ":"))
            try:
                frame.duckdb().execute(
                    "COPY (SELECT * EXCLUDE (source) FROM events ORDER BY occurred_at, line, part)"
                    f" TO {_text(str(temporary))}"
                    f" (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{_KEY}: {_text(said)}}})"
                )
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            out.append(Converted(path=target, export=export, records=len(frame)))
    return out


def read(store: "Store", path: Path, index: int, problems: "Problems") -> Export:
    """Insert a Parquet file into `events`: one of ours as it is, a foreign one row by row under our names.

    Raises:
        InputError: for a file that breaks off or cannot be read.
    """
    with _told(path):
        stored = _stored(store.connection, path)
        if stored is None:
            return _foreign(store, path, index)
        store.connection.execute(
            f"INSERT INTO events SELECT {index}, {', '.join(NAMES[1:])} FROM read_parquet({_text(str(path))})"
        )
        export, samples, _ = stored
        problems.total += export.rejects
        for reason, count in export.reasons.items():
            problems.reasons[reason] = problems.reasons.get(reason, 0) + count
        problems.kept += [{**sample, "source": index} for sample in samples]
        return export


def tally_parquet(path: Path, measures: MeasurePolicy) -> tuple[Tally, Export] | None:
    """Count a converted export as the export itself would be counted; None for a foreign Parquet file.

    Raises:
        InputError: for a file that breaks off or cannot be read.
    """
    from cairnops.analytics.engine import database

    with _told(path), database() as connection:
        stored = _stored(connection, path)
        if stored is None:
            return None
        export, samples, counts = stored
        if counts is None or sum(count for *_, count, _ in counts["cells"]) != _height(connection, path):
            connection.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet({_text(str(path))})")
            counts = _counts(connection)
    tally = Tally(measures)
    _count(counts, tally, measures.seconds_below_ten)
    for sample in samples:
        tally.reject_sample(sample)
    return tally, export


def _counts(con: "duckdb.DuckDBPyConnection") -> dict[str, Any]:
    """Everything a summary is made of, as JSON has it: rows of facts, hours and durations with their counts."""
    cells = f"SELECT {', '.join(_FACTS)}, count(*), min({_PLACE}) FROM events GROUP BY ALL"
    # Apart from the others: hours times combinations would be many more cells, and each costs as much as a row.
    hours = (
        "SELECT outcome, time_state, epoch_ms(h), n FROM (SELECT outcome, time_state,"
        " date_trunc('hour', occurred_at) AS h, count(*) AS n FROM events GROUP BY ALL)"
    )
    window = "SELECT epoch_ms(min(occurred_at)), epoch_ms(max(occurred_at)) FROM events"
    spent = "SELECT duration_state, duration_ms, count(*) FROM events GROUP BY ALL"
    failures = (
        f"SELECT {', '.join(_FACTS)}, line, part, duration_ms, epoch_ms(occurred_at), decision_id FROM events"
        f" WHERE outcome = 'failure' ORDER BY line, part LIMIT {FAILURE_SAMPLES}"
    )
    asked = {"cells": cells, "hours": hours, "window": window, "spent": spent, "failures": failures}
    return {name: con.execute(query).fetchall() for name, query in asked.items()}


def _count(counts: dict[str, Any], tally: Tally, seconds: bool) -> None:
    for *facts, count, place in counts["cells"]:
        tally.add_facts(divmod(place, 1 << 20), _row(facts), count)
    for kind, state, hour, count in counts["hours"]:
        if hour is None:
            tally.add_timeless(state, count)
            continue
        tally.add_hour(kind, hour, count)
        if state == "zoneless":
            tally.add_zoneless(count)
    ((start, end),) = counts["window"]
    if start is not None:
        tally.add_window(start, end)
    spent = counts["spent"]
    if not seconds:
        tally.add_durations({value: count for state, value, count in spent if state == "read"})
        spent = [row for row in spent if row[0] != "read"]
    for state, value, count in spent:
        tally.add_duration(_seconds(value, seconds), state, count)
    for *facts, line, part, duration, at, decision in counts["failures"]:
        row = _row(facts)
        row = row._replace(time=at, decision_id=decision, duration=_seconds(duration, seconds))
        tally.sample((line, part), Line(number=line, ordinal=0, raw="", part=part), row)


def _seconds(value: float | None, below_ten: bool) -> float | None:
    return value * 1000 if below_ten and value is not None and value < 10 else value


def _row(facts: Sequence[Any]) -> rows.Row:
    kind, status, scope, code, message, retries, attempt = facts
    return rows.Row(
        kind=kind, status=status, scope=scope, code=code, message=message, duration=None,
        duration_presence="missing", retries=retries, attempt=attempt, time=None, time_presence="missing",
        zoneless=False, decision_id=None,
    )  # fmt: skip


@contextmanager
def _told(path: Path) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{path.name} cannot be read as Parquet: {said}", hint="Export it again.") from None


def _height(con: "duckdb.DuckDBPyConnection", path: Path) -> int:
    """How many rows a file says it has, without looking at them."""
    ((height,),) = con.execute(f"SELECT num_rows FROM parquet_file_metadata({_text(str(path))})").fetchall()
    return int(height)


class _Stored(NamedTuple):
    """What a file of ours says of itself."""

    export: Export
    #: The first rejects.
    samples: list[dict[str, Any]]
    #: As `_counts` has them; None if they were too many, or the file is older than they are.
    counts: dict[str, Any] | None


def _stored(con: "duckdb.DuckDBPyConnection", path: Path) -> _Stored | None:
    """The account a file carries; None for a foreign one."""
    found = con.execute(
        f"SELECT decode(value) FROM parquet_kv_metadata({_text(str(path))}) WHERE decode(key) = '{_KEY}'"
    ).fetchall()
    if not found:
        return None
    stored = json.loads(found[0][0])
    known = {f.name for f in fields(Export)}
    given = {name: value for name, value in stored.items() if name in known}
    given["reasons"], given["repairs"] = Counter(given.get("reasons")), Counter(given.get("repairs"))
    return _Stored(Export(**given), stored["samples"], stored.get("counts"))


def _foreign(store: "Store", path: Path, index: int) -> Export:
    import hashlib

    from cairnops.analytics.frames import Filling, Problems

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    export = Export(path=path.name, sha256=digest, size=path.stat().st_size, kind="parquet")
    fill = Filling(store, index, Problems())
    with store.connection.cursor() as reader:
        # As JSON every type has a form the rules of `rows` know; dates become text.
        reader.execute("SET timezone = 'UTC'")
        result = reader.execute(f"SELECT to_json(r)::VARCHAR FROM read_parquet({_text(str(path))}) r")
        while batch := result.fetchmany(10_000):
            for (text,) in batch:
                export.lines += 1
                fill.line(Line(number=export.lines, ordinal=export.lines, raw=text, record=json.loads(text)))
    fill.flush()
    export.records = export.record_lines = export.lines
    return export


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".gz", ".zst", ".tar", ".ndjson", ".jsonl", ".json", ".parquet"):
        name = name.removesuffix(ending)
    return name or "export"


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
