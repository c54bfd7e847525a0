"""What an export amounts to: how much failed, how long it took, whether that is an alert, and on what it rests.

Small files are read line by line with the standard library alone, which is also the yardstick; large
ones are taken apart at their commas if their rows are written alike, else read by a database engine.
Both have to agree with it to the last printed digit.
"""

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Literal

from cairnops.analytics import rows
from cairnops.analytics.tally import EXIT, Dialect, Status, Summary, Tally
from cairnops.domain.measures import AlertPolicy, MeasurePolicy
from cairnops.errors import CLEAN, InputError
from cairnops.telemetry.reader import Export, read_lines
from cairnops.telemetry.source import Source

Engine = Literal["auto", "python", "duckdb"]
DIALECTS: tuple[Dialect, ...] = ("cairnops", "analyze", "alerts")

#: From this many bytes on starting the database engine pays; packed files count tenfold.
LARGE = 2 * 1024 * 1024
_LEGACY_NOTE = {
    "analyze": "Counted as the legacy analyser (analyze-supabase-logs) counts; times without a zone are UTC.",
    "alerts": "Counted as the legacy monitor (supabase-sync-alerts) counts; times without a zone are UTC.",
}


def summarize(
    source: str | Path | BinaryIO,
    *,
    measures: MeasurePolicy,
    alerts: AlertPolicy,
    dialect: Dialect = "cairnops",
    engine: Engine = "auto",
) -> Summary:
    """Summarise an export.

    `cairnops` counts as `measures` says and judges as `alerts` says. `analyze` and `alerts` reproduce
    the two legacy tools; their methods are fixed, so `measures` does not touch them, and only the
    monitor has thresholds, which it takes from `alerts`. Neither prints when it was made: no clock
    is read here.

    `engine` says who reads: the standard library, the database engine, or whichever is quicker for the
    file's size and for how alike its rows are written. The figures are the same; the legacy dialects
    always read line by line.

    Ties: in our own breakdowns equal counts stand in the order of their names; the legacy analyser
    kept the order of first appearance, and so does its dialect.

    Raises:
        InputError: for a file that is missing, may not be read or has to be unpacked first. A file
            that can be read but is no export comes back as a summary with status `unreadable`.
        ValueError: for an unknown dialect.
    """
    if dialect == "cairnops":
        return _ours(source, measures, alerts, engine)
    if dialect not in DIALECTS:
        raise ValueError(f"no dialect is called {dialect!r}; there are {', '.join(DIALECTS)}")
    # Only who asks for the old figures waits for it to load.
    from cairnops.analytics import legacy

    opened = Source(source)
    with opened:
        texts = (text for _, text, _ in opened.texts())
        if dialect == "analyze":
            # It read the file without taking a byte order mark off, and lost the first line to it.
            mark = "\ufeff" if opened.bom and opened.encoding == "utf-8" else ""
            figures = legacy.analyze(_marked(texts, mark))
            code = CLEAN
        else:
            figures, code = legacy.alerts(texts, alerts)
    figures = {"source": opened.name, **figures, "notes": _LEGACY_NOTE[dialect]}
    status: Status = figures.get("status") or ("ok" if figures["totals"]["records"] else "insufficient-data")
    return Summary(
        dialect=dialect,
        status=status,
        reasons=tuple(figures.get("alertReasons", ())),
        exit_code=EXIT[status],
        legacy_exit_code=code,
        figures=figures,
    )


def parity(source: str | Path, *, measures: MeasurePolicy, alerts: AlertPolicy) -> dict[Dialect, Summary]:
    """The same file under both legacy dialects, as `--profile parity` shows it.

    Raises:
        InputError: as `summarize`.
    """
    both: tuple[Dialect, ...] = ("analyze", "alerts")
    return {d: summarize(source, measures=measures, alerts=alerts, dialect=d) for d in both}


def _marked(texts: Any, mark: str) -> Any:
    for text in texts:
        yield mark + text
        mark = ""


def _ours(
    source: str | Path | BinaryIO, measures: MeasurePolicy, alerts: AlertPolicy, engine: Engine
) -> Summary:
    if isinstance(source, str | Path) and str(source).endswith(".parquet") and Path(source).is_file():
        from cairnops.analytics.parquet import tally_parquet

        converted = tally_parquet(Path(source), measures)
        if converted is None:
            raise InputError(
                f"{Path(source).name} is a Parquet file of somebody else's.",
                hint="cairnops decisions convert FILE -o DIR reads it under our names; summarise that.",
            )
        return converted[0].summary(converted[1], alerts)
    if isinstance(source, str | Path) and (engine == "duckdb" or (engine == "auto" and is_large(source))):
        large = _tally_large(Path(source), measures, engine)
        if large is not None:
            return large[0].summary(large[1], alerts)
    reading = read_lines(source)
    tally = Tally(measures)
    for line in reading:
        if line.record is None:
            tally.reject(line)
        else:
            row = rows.read(line.record, seconds_below_ten=measures.seconds_below_ten)
            tally.add((line.ordinal, line.part), line, row)
    return tally.summary(reading.export, alerts)


def _tally_large(path: Path, measures: MeasurePolicy, engine: Engine) -> tuple[Tally, Export] | None:
    # Each costs a tenth of a second to load, so only who needs it does.
    if engine == "auto":
        from cairnops.analytics.quick import tally_alike

        if alike := tally_alike(path, measures):
            return alike
    from cairnops.analytics.engine import tally_large

    return tally_large(path, measures)


def is_large(path: str | Path) -> bool:
    """Whether a file is of a size from which the database engine pays."""
    try:
        status = os.stat(path)  # noqa: PTH116 - the path may be a text
    except OSError:
        return False
    packed = str(path).endswith((".gz", ".zst"))
    return stat.S_ISREG(status.st_mode) and status.st_size >= (LARGE // 10 if packed else LARGE)
