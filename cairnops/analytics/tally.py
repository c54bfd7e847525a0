"""What is counted of an export's rows, however they were read, and how the counts become figures."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from cairnops.analytics import rows
from cairnops.analytics.javascript import iso, number_text, plain, round_half_up
from cairnops.analytics.percentiles import METHODS, Spread, percentile, side_by_side, to_fixed
from cairnops.domain.measures import AlertPolicy, MeasurePolicy
from cairnops.errors import CLEAN, FINDINGS, NOT_ENOUGH, USAGE
from cairnops.telemetry.preview import mask, preview
from cairnops.telemetry.reader import REJECTS, REPAIRS, Export, Line

Dialect = Literal["cairnops", "analyze", "alerts"]
Status = Literal["ok", "alert", "insufficient-data", "unreadable"]

#: How many rejects, failures and messages per error are shown; all of them are counted.
REJECT_SAMPLES = 20
FAILURE_SAMPLES = 10
MESSAGE_SAMPLES = 5

_HOUR = 3_600_000
EXIT = {"ok": CLEAN, "alert": FINDINGS, "insufficient-data": NOT_ENOUGH, "unreadable": USAGE}


class Summary(NamedTuple):
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


#: Where something stands: the line's place among the non-blank ones, and the part of the line.
Place = tuple[int, int]


class _Error:
    def __init__(self) -> None:
        self.count = 0
        self.messages: dict[str, Place] = {}


class Tally:
    """Counts rows one by one or by the thousand; what it keeps does not grow with the file.

    Every distinct duration is kept with its count, so that percentiles and averages are exact.
    """

    def __init__(self, measures: MeasurePolicy):
        self._measures = measures
        self._kinds: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._scopes: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._errors: dict[str, _Error] = {}
        self._durations: Counter[float] = Counter()
        self._retries: Counter[float] = Counter()
        self._hours: dict[int, Counter[str]] = {}
        self._start: int | None = None
        self._end: int | None = None
        self._fields: Counter[str] = Counter()
        self._zoneless = 0
        self._failures: dict[Place, dict[str, Any]] = {}
        self._rejects: list[dict[str, Any]] = []

    def reject(self, line: Line) -> None:
        """Count a reject; they come in the order of the file."""
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

    def add(self, place: Place, line: Line, row: rows.Row) -> None:
        """Count one record."""
        self.add_facts(place, row, 1)
        self.add_duration(row.duration, row.duration_presence, 1)
        self.add_times(row.kind, row.time, row.time, 1)
        if row.time is None:
            self.add_timeless(row.time_presence, 1)
        self._zoneless += row.zoneless
        if row.kind == "failure":
            self.sample(place, line, row)

    def add_facts(self, first: Place, row: rows.Row, count: int) -> None:
        """Count `count` records alike in all but duration, time and id, the first of which stands at `first`."""
        self._kinds[row.kind] += count
        if row.status is not None:
            self._statuses[row.status] += count
        if row.scope is not None:
            self._scopes[row.scope] += count
        if row.code is not None:
            self._codes[row.code] += count
        if row.retries is not None:
            self._retries[row.retries] += count
        if row.kind == "failure":
            cause = row.cause
            error = self._errors.get(cause)
            if error is None:
                error = self._errors[cause] = _Error()
            error.count += count
            if row.message is not None:
                error.messages[row.message] = min(first, error.messages.get(row.message, first))
                if len(error.messages) > 8 * MESSAGE_SAMPLES:
                    error.messages = _earliest(error.messages, MESSAGE_SAMPLES)

    def add_duration(self, value: float | None, presence: rows.Presence, count: int) -> None:
        """Count `count` records that took that long, or say nothing readable about it."""
        if value is not None:
            self._durations[value] += count
        if presence != "read":
            self._fields[f"duration {presence}"] += count

    def add_durations(self, counts: Mapping[float, int]) -> None:
        """Count as many records as `counts` says for each duration."""
        # What is there are a few lines that were read one by one, and what comes are very many.
        before, self._durations = self._durations, Counter(counts)
        self._durations.update(before)

    def add_times(self, kind: rows.Class, start: int | None, end: int | None, count: int) -> None:
        """Count `count` records of one class whose times lie in one hour."""
        if start is None or end is None:
            return
        self.add_window(start, end)
        self.add_hour(kind, start, count)

    def add_hour(self, kind: rows.Class, time: int, count: int) -> None:
        """Count `count` records of one class in the hour of `time`; `add_window` says when they were."""
        hour = time // _HOUR
        kinds = self._hours.get(hour)
        if kinds is None:
            kinds = self._hours[hour] = Counter()
        kinds[kind] += count

    def add_window(self, start: int, end: int) -> None:
        """Widen the window to these times."""
        self._start = start if self._start is None else min(self._start, start)
        self._end = end if self._end is None else max(self._end, end)

    def add_timeless(self, presence: rows.Presence, count: int) -> None:
        """Count records without a time that could be read."""
        self._fields[f"timestamp {presence}"] += count

    def wants_samples(self, place: Place) -> bool:
        """Whether a failure that stands there would be shown."""
        return len(self._failures) < FAILURE_SAMPLES or place < max(self._failures)

    def add_zoneless(self, count: int) -> None:
        """Count times that were taken for UTC."""
        self._zoneless += count

    def reject_sample(self, sample: dict[str, Any]) -> None:
        """Show a reject that was counted and masked elsewhere."""
        if len(self._rejects) < REJECT_SAMPLES:
            self._rejects.append({k: sample[k] for k in ("line", "part", "reason", "detail", "preview")})

    def sample(self, place: Place, line: Line, row: rows.Row) -> None:
        """Show this failure if it is among the first of the file; counting it is somebody else's."""
        if len(self._failures) >= FAILURE_SAMPLES and place > max(self._failures):
            return
        self._failures[place] = {
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
        if len(self._failures) > FAILURE_SAMPLES:
            del self._failures[max(self._failures)]

    def summary(self, export: Export, alerts: AlertPolicy) -> Summary:
        success, failure = self._kinds["success"], self._kinds["failure"]
        denominators = {"known": success + failure, "total": export.records}
        rates = {name: _rate(failure, n) for name, n in denominators.items()}
        in_force = self._measures.failure_denominator
        ordered = Spread(self._durations)
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
            "failureSamples": [self._failures[place] for place in sorted(self._failures)],
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
                "exitCode": EXIT[status],
            },
            "notes": self._notes(export, alerts, ordered, rates),
        }  # fmt: skip
        return Summary(
            dialect="cairnops",
            status=status,
            reasons=tuple(reasons),
            exit_code=EXIT[status],
            legacy_exit_code=None,
            figures=figures,
        )

    def _verdict(
        self, export: Export, alerts: AlertPolicy, failure: int, samples: int, ordered: Spread
    ) -> tuple[Status, list[str], list[str]]:
        """Status, reasons and warnings. Thresholds are passed strictly above them, on unrounded figures."""
        if not export.is_data:
            return "unreadable", [mask(export.diagnosis)], []
        if not samples or samples < alerts.min_samples:
            counted = "known outcomes" if self._measures.failure_denominator == "known" else "records"
            return "insufficient-data", [f"{samples} {counted}; {max(alerts.min_samples, 1)} are needed"], []
        reasons, warnings = [], []
        of = "known outcomes" if self._measures.failure_denominator == "known" else "all records"
        said = f"failure rate {_percent(_rate(failure, samples))} of {of} is above"
        if failure * 100 > alerts.failure_alert_percent * samples:
            reasons.append(f"{said} {_percent(alerts.failure_alert_percent / 100)}")
        elif failure * 100 > alerts.failure_warn_percent * samples:
            warnings.append(f"{said} {_percent(alerts.failure_warn_percent / 100)}")
        if not ordered:
            reasons.append("no record has a duration, so p95 cannot be judged")
        else:
            p95 = percentile(ordered, 95, self._measures.percentile)
            if p95 > alerts.p95_ms:
                method = self._measures.percentile
                reasons.append(f"p95 {number_text(to_fixed(p95))} ms ({method}) is above {alerts.p95_ms} ms")
        return ("alert" if reasons else "ok"), reasons, warnings

    def _duration_figures(self, ordered: Spread) -> dict[str, Any] | None:
        if not ordered:
            return None
        method = self._measures.percentile
        return {
            "count": len(ordered),
            "average": plain(to_fixed(ordered.total() / len(ordered))),
            "min": plain(to_fixed(ordered[0])),
            **{f"p{p}": plain(to_fixed(percentile(ordered, p, method))) for p in (50, 95, 99)},
            "max": plain(to_fixed(ordered[-1])),
            "percentile": method,
            "p95ByMethod": {name: plain(value) for name, value in side_by_side(ordered, 95).items()},
        }

    def _retry_figures(self) -> dict[str, Any] | None:
        if not self._retries:
            return None
        spread = Spread(self._retries)
        depths: Counter[int] = Counter()
        for value, count in self._retries.items():
            depths[round_half_up(value)] += count
        return {
            "count": len(spread),
            "average": plain(to_fixed(spread.total() / len(spread))),
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
                "sampleMessages": [
                    _quoted(message) for message in _earliest(error.messages, MESSAGE_SAMPLES)
                ],
            }
            for code, error in ranked
        ]

    def _notes(
        self, export: Export, alerts: AlertPolicy, ordered: Spread, rates: dict[str, float | None]
    ) -> list[str]:
        notes = []
        if export.diagnosis:
            notes.append(mask(export.diagnosis))
        if export.kind == "empty":
            notes.append("The file is empty; that says nothing about how many decisions there were.")
        elif not export.records and export.is_data:
            notes.append("The file holds no rows.")
        elif export.records and not self._statuses and rates["known"] is None:
            notes.append(
                "No record says how it ended, as decisions in full do not; the outcomes are sync events"
                " (cairnops decisions export --shape sync-events)."
            )
        for reason, count in sorted(export.reasons.items()):
            notes.append(f"Rejected, {count}: {REJECTS[reason]}.")
        for repair, count in sorted(export.repairs.items()):
            notes.append(f"Repaired, {count}: {REPAIRS[repair]}.")
        if export.unterminated and export.kind == "ndjson":
            notes.append("The last line has no line end; the file may have been cut off.")
        for fact, count in sorted(self._fields.items()):
            name, state = fact.split()
            notes.append(f"The {name} is {state} in {count} of {export.records} records.")
        if self._zoneless:
            notes.append(f"Times written without a zone and taken for UTC: {self._zoneless}.")
        if self._measures.seconds_below_ten:
            notes.append("Durations below 10 were read as seconds.")
        if rates["known"] != rates["total"]:
            notes.append(
                f"The failure rate is {_percent(rates['known'])} of known outcomes"
                f" and {_percent(rates['total'])} of all records."
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


def _percent(rate: float | None) -> str:
    return "unknown" if rate is None else f"{number_text(to_fixed(rate * 100, 2))}%"


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


def _earliest(messages: dict[str, Place], cap: int) -> dict[str, Place]:
    return dict(sorted(messages.items(), key=lambda item: item[1])[:cap])
