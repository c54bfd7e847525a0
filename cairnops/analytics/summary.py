"""What an export amounts to: how much failed, how long it took, whether that is an alert, and on what it rests.

This engine reads line by line with the standard library alone. It is the quick one for files people
mail each other, and the yardstick any faster engine has to agree with.
"""

import math
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from cairnops.analytics import legacy, rows
from cairnops.analytics.javascript import iso, number_text, plain, round_half_up
from cairnops.analytics.percentiles import METHODS, percentile, side_by_side, to_fixed
from cairnops.domain.policy import AlertPolicy, MeasurePolicy
from cairnops.errors import CLEAN, FINDINGS, NOT_ENOUGH, USAGE
from cairnops.telemetry.preview import mask, preview
from cairnops.telemetry.reader import REJECTS, REPAIRS, Export, Line, read_lines
from cairnops.telemetry.source import Source

Dialect = Literal["cairnops", "analyze", "alerts"]
DIALECTS: tuple[Dialect, ...] = ("cairnops", "analyze", "alerts")
Status = Literal["ok", "alert", "insufficient-data", "unreadable"]

#: How many rejects, failures and messages per error are shown; all of them are counted.
REJECT_SAMPLES = 20
FAILURE_SAMPLES = 10
MESSAGE_SAMPLES = 5

_HOUR = 3_600_000
_EXIT = {"ok": CLEAN, "alert": FINDINGS, "insufficient-data": NOT_ENOUGH, "unreadable": USAGE}
_LEGACY_NOTE = {
    "analyze": "Counted as the legacy analyser (analyze-supabase-logs) counts; times without a zone are UTC.",
    "alerts": "Counted as the legacy monitor (supabase-sync-alerts) counts; times without a zone are UTC.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The figures of one file under one dialect."""

    dialect: Dialect
    #: `unreadable` is a file that holds no export at all: an error body, a web page.
    status: Status
    reasons: tuple[str, ...]
    #: From our own table (`errors.EXIT_CODES`), whatever the dialect.
    exit_code: int
    #: What the legacy tool would have exited with; None in our own dialect.
    legacy_exit_code: int | None
    figures: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready figures in a stable order: our keys, or the legacy tool's own."""
        return self.figures


def summarize(
    source: str | Path | BinaryIO,
    *,
    measures: MeasurePolicy,
    alerts: AlertPolicy,
    dialect: Dialect = "cairnops",
) -> Summary:
    """Summarise an export.

    `cairnops` counts as `measures` says and judges as `alerts` says. `analyze` and `alerts` reproduce
    the two legacy tools; their methods are fixed, so `measures` does not touch them, and only the
    monitor has thresholds, which it takes from `alerts`. Neither prints when it was made: no clock
    is read here.

    Ties: in our own breakdowns equal counts stand in the order of their names; the legacy analyser
    kept the order of first appearance, and so does its dialect.

    Raises:
        InputError: for a file that is missing, may not be read or has to be unpacked first. A file
            that can be read but is no export comes back as a summary with status `unreadable`.
        ValueError: for an unknown dialect.
    """
    if dialect == "cairnops":
        return _ours(source, measures, alerts)
    if dialect not in DIALECTS:
        raise ValueError(f"no dialect is called {dialect!r}; there are {', '.join(DIALECTS)}")
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
        exit_code=_EXIT[status],
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


def _ours(source: str | Path | BinaryIO, measures: MeasurePolicy, alerts: AlertPolicy) -> Summary:
    reading = read_lines(source)
    tally = _Tally(measures)
    for line in reading:
        if line.record is None:
            tally.reject(line)
        else:
            tally.add(line, rows.read(line.record, seconds_below_ten=measures.seconds_below_ten))
    return tally.summary(reading.export, alerts)


@dataclass(slots=True)
class _Error:
    count: int = 0
    messages: dict[str, None] | None = None


class _Tally:
    """Counts rows as they go by; durations are the only thing kept of every one of them."""

    def __init__(self, measures: MeasurePolicy):
        self._measures = measures
        self._kinds: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._scopes: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._errors: dict[str, _Error] = {}
        self._durations = array("d")
        self._retries = array("d")
        self._hours: dict[int, Counter[str]] = {}
        self._start: int | None = None
        self._end: int | None = None
        self._fields: Counter[str] = Counter()
        self._zoneless = 0
        self._failures: list[dict[str, Any]] = []
        self._rejects: list[dict[str, Any]] = []

    def reject(self, line: Line) -> None:
        if len(self._rejects) < REJECT_SAMPLES:
            self._rejects.append(
                {
                    "line": line.number,
                    "part": line.part,
                    "reason": line.problem,
                    "detail": mask(line.detail),
                    "preview": preview(line.raw[line.at :]),
                }
            )

    def add(self, line: Line, row: rows.Row) -> None:
        self._kinds[row.kind] += 1
        if row.status is not None:
            self._statuses[row.status] += 1
        if row.scope is not None:
            self._scopes[row.scope] += 1
        if row.code is not None:
            self._codes[row.code] += 1
        if row.duration is not None:
            self._durations.append(row.duration)
        if row.duration_presence != "read":
            self._fields[f"duration {row.duration_presence}"] += 1
        if row.retries is not None:
            self._retries.append(row.retries)
        if row.time is not None:
            self._start = row.time if self._start is None else min(self._start, row.time)
            self._end = row.time if self._end is None else max(self._end, row.time)
            hour = self._hours.setdefault(row.time // _HOUR, Counter())
            hour[row.kind] += 1
        else:
            self._fields[f"timestamp {row.time_presence}"] += 1
        self._zoneless += row.zoneless
        if row.kind == "failure":
            self._fail(line, row)

    def _fail(self, line: Line, row: rows.Row) -> None:
        error = self._errors.setdefault(row.cause, _Error())
        error.count += 1
        error.messages = error.messages or {}
        if row.message is not None and len(error.messages) < MESSAGE_SAMPLES:
            error.messages[row.message] = None
        if len(self._failures) < FAILURE_SAMPLES:
            self._failures.append(
                {
                    "line": line.number,
                    "part": line.part,
                    "timestamp": None if row.time is None else iso(row.time),
                    "decisionId": row.decision_id,
                    "status": _quoted(row.status),
                    "scope": _quoted(row.scope),
                    "errorCode": _quoted(row.code),
                    "errorMessage": _quoted(row.message),
                    "attempt": _plain(row.attempt),
                    "retryCount": _plain(row.retries),
                    "durationMs": _plain(row.duration),
                }
            )

    def summary(self, export: Export, alerts: AlertPolicy) -> Summary:
        success, failure = self._kinds["success"], self._kinds["failure"]
        denominators = {"known": success + failure, "total": export.records}
        rates = {name: _rate(failure, n) for name, n in denominators.items()}
        in_force = self._measures.failure_denominator
        ordered = sorted(self._durations)
        status, reasons, warnings = self._verdict(export, alerts, failure, denominators[in_force], ordered)
        figures = {
            "dialect": "cairnops",
            "source": {
                "name": export.path,
                "sha256": export.sha256,
                "bytes": export.size,
                "kind": export.kind,
                "compression": export.compression or None,
                "diagnosis": export.diagnosis or None,
            },
            "measures": {
                "percentile": self._measures.percentile,
                "failureDenominator": in_force,
                "secondsBelowTen": self._measures.seconds_below_ten,
            },
            "parse": {
                "lines": export.lines,
                "blank": export.blank,
                "recordLines": export.record_lines,
                "rejectLines": export.reject_lines,
                "structureLines": export.structure_lines,
                "records": export.records,
                "rejects": export.rejects,
                "reasons": dict(sorted(export.reasons.items())),
                "repairs": dict(sorted(export.repairs.items())),
                "samples": self._rejects,
            },
            "totals": {
                "records": export.records,
                "success": success,
                "failure": failure,
                "unknown": self._kinds["unknown"],
                "failureRate": rates[in_force],
                "failureDenominator": in_force,
                "failureRates": rates,
            },
            "statusBreakdown": _ranked(self._statuses, "status"),
            "statuses": _folded(self._statuses),
            "scopeBreakdown": _ranked(self._scopes, "scope"),
            "errors": {"byCode": self._by_code(failure), "codes": _folded(self._codes)},
            "durationsMs": self._duration_figures(ordered),
            "retries": self._retry_figures(),
            "hours": [
                {
                    "hour": iso(hour * _HOUR),
                    "total": sum(kinds.values()),
                    **{kind: kinds[kind] for kind in ("success", "failure", "unknown")},
                }
                for hour, kinds in sorted(self._hours.items())
            ],
            "window": None if self._start is None else {"start": iso(self._start), "end": iso(self._end or 0)},
            "fields": {
                name: {state: self._fields[f"{name} {state}"] for state in ("missing", "unreadable")}
                for name in ("duration", "timestamp")
            },
            "failureSamples": self._failures,
            "alert": {
                "status": status,
                "reasons": reasons,
                "warnings": warnings,
                "thresholds": {
                    "failureRateWarn": plain(alerts.failure_warn_percent / 100),
                    "failureRateAlert": plain(alerts.failure_alert_percent / 100),
                    "p95Ms": alerts.p95_ms,
                    "minSamples": alerts.min_samples,
                },
                "samples": denominators[in_force],
                "exitCode": _EXIT[status],
            },
            "notes": self._notes(export, alerts, ordered, rates),
        }  # fmt: skip
        return Summary(
            dialect="cairnops",
            status=status,
            reasons=tuple(reasons),
            exit_code=_EXIT[status],
            legacy_exit_code=None,
            figures=figures,
        )

    def _verdict(
        self, export: Export, alerts: AlertPolicy, failure: int, samples: int, ordered: list[float]
    ) -> tuple[Status, list[str], list[str]]:
        """Status, reasons and warnings. Thresholds are passed strictly above them, on unrounded figures."""
        if not export.is_data:
            return "unreadable", [mask(export.diagnosis)], []
        if not samples or samples < alerts.min_samples:
            counted = "known outcomes" if self._measures.failure_denominator == "known" else "records"
            return "insufficient-data", [f"{samples} {counted}; {max(alerts.min_samples, 1)} are needed"], []
        reasons, warnings = [], []
        said = f"failure rate {_shown(_rate(failure, samples))} (of {self._measures.failure_denominator}) is above"
        if failure * 100 > alerts.failure_alert_percent * samples:
            reasons.append(f"{said} {_shown(alerts.failure_alert_percent / 100)}")
        elif failure * 100 > alerts.failure_warn_percent * samples:
            warnings.append(f"{said} {_shown(alerts.failure_warn_percent / 100)}")
        if not ordered:
            reasons.append("no record has a duration, so p95 cannot be judged")
        else:
            p95 = percentile(ordered, 95, self._measures.percentile)
            if p95 > alerts.p95_ms:
                method = self._measures.percentile
                reasons.append(f"p95 {_shown(to_fixed(p95))} ms ({method}) is above {alerts.p95_ms} ms")
        return ("alert" if reasons else "ok"), reasons, warnings

    def _duration_figures(self, ordered: list[float]) -> dict[str, Any] | None:
        if not ordered:
            return None
        method = self._measures.percentile
        return {
            "count": len(ordered),
            "average": plain(to_fixed(math.fsum(ordered) / len(ordered))),
            "min": plain(to_fixed(ordered[0])),
            **{f"p{p}": plain(to_fixed(percentile(ordered, p, method))) for p in (50, 95, 99)},
            "max": plain(to_fixed(ordered[-1])),
            "percentile": method,
            "p95ByMethod": {name: plain(value) for name, value in side_by_side(ordered, 95).items()},
        }

    def _retry_figures(self) -> dict[str, Any] | None:
        if not self._retries:
            return None
        depths = Counter(round_half_up(value) for value in self._retries)
        return {
            "count": len(self._retries),
            "average": plain(to_fixed(math.fsum(self._retries) / len(self._retries))),
            "max": plain(max(self._retries)),
            "distribution": {str(depth): depths[depth] for depth in sorted(depths)},
        }

    def _by_code(self, failures: int) -> list[dict[str, Any]]:
        ranked = sorted(self._errors.items(), key=lambda item: (-item[1].count, item[0]))
        return [
            {
                "code": _quoted(code),
                "count": error.count,
                "percentage": plain(to_fixed(error.count / failures * 100)),
                "sampleMessages": [_quoted(message) for message in error.messages or ()],
            }
            for code, error in ranked
        ]

    def _notes(
        self, export: Export, alerts: AlertPolicy, ordered: list[float], rates: dict[str, float | None]
    ) -> list[str]:
        notes = []
        if export.diagnosis:
            notes.append(mask(export.diagnosis))
        if export.kind == "empty":
            notes.append("The file is empty; that says nothing about how many decisions there were.")
        elif not export.records and export.is_data:
            notes.append("The file holds no rows.")
        for reason, count in sorted(export.reasons.items()):
            notes.append(f"Rejected, {count}: {REJECTS[reason]}.")
        for repair, count in sorted(export.repairs.items()):
            notes.append(f"Repaired, {count}: {REPAIRS[repair]}.")
        if export.unterminated and export.kind == "ndjson":
            notes.append("The last line has no line end; the file may have been cut off.")
        for field, count in sorted(self._fields.items()):
            name, state = field.split()
            notes.append(f"The {name} is {state} in {count} of {export.records} records.")
        if self._zoneless:
            notes.append(f"Times written without a zone and taken for UTC: {self._zoneless}.")
        if self._measures.seconds_below_ten:
            notes.append("Durations below 10 were read as seconds.")
        if rates["known"] != rates["total"]:
            notes.append(
                f"The failure rate is {_shown(rates['known'])} of known outcomes"
                f" and {_shown(rates['total'])} of all records."
            )
        if ordered:
            above = {m for m in METHODS if percentile(ordered, 95, m) > alerts.p95_ms}
            if 0 < len(above) < len(METHODS):
                notes.append(
                    f"Whether p95 is above {alerts.p95_ms} ms depends on the method: it is under"
                    f" {', '.join(m for m in METHODS if m in above)}, and is not under"
                    f" {', '.join(m for m in METHODS if m not in above)}."
                )
        return notes


def _rate(failures: int, of: int) -> float | None:
    return plain(to_fixed(failures / of, 4)) if of else None


def _shown(value: float | None) -> str:
    return "unknown" if value is None else number_text(value)


def _plain(value: float | None) -> float | None:
    return None if value is None else plain(value)


def _quoted(text: str | None) -> str | None:
    return None if text is None else preview(text)


def _ranked(counts: Counter[str], name: str) -> list[dict[str, Any]]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{name: _quoted(key), "count": count} for key, count in ranked]


def _folded(counts: Counter[str]) -> dict[str, int]:
    folded: Counter[str] = Counter()
    for key, count in counts.items():
        folded[preview(key.lower())] += count
    return dict(sorted(folded.items()))
