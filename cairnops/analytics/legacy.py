"""What the two tools people used before would have said about a file, figure for figure.

`analyze` and `alerts` keep everything those tools do, the wrong things included, so that an old
report can be checked against its export. Nothing here is how we count: see `summary`.
"""

import functools
import math
import operator
from array import array
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from cairnops.analytics import javascript as js
from cairnops.analytics import javascript_read as js_read
from cairnops.analytics.dialects import (
    ALERTS,
    ANALYZE,
    FAILURE_WORDS,
    FALSE_WORDS,
    SUCCESS_WORDS,
    TRUE_WORDS,
    first_set,
    values,
)
from cairnops.analytics.percentiles import percentile, to_fixed
from cairnops.domain.measures import AlertPolicy
from cairnops.telemetry.jsontext import parse
from cairnops.telemetry.preview import mask, preview

#: How many failures either tool shows.
SAMPLES = 10
_NO_OBJECT = "Line is not a JSON object"
_HOUR = 3_600_000

T = TypeVar("T")


def analyze(lines: Iterable[str]) -> dict[str, Any]:
    """The legacy analyser's summary of the physical lines, under its own keys.

    Its line numbers count non-blank lines only; arrays are records without a field; a file that
    starts with a byte order mark loses its first line.
    """
    rows = _AnalyzeRows()
    for text in lines:
        if js.trim(text):
            rows.add(text)
    return rows.summary()


def alerts(lines: Iterable[str], policy: AlertPolicy) -> tuple[dict[str, Any], int]:
    """The legacy monitor's summary under its own keys, and its exit code (1 for an alert, else 0).

    It counts whatever it could not read as an unknown record, so rubbish lowers its failure rate.
    """
    rows = _AlertRows()
    for text in lines:
        # Node's readline also ends a line at a bare carriage return.
        for piece in text.split("\r"):
            if trimmed := js.trim(piece):
                rows.add(trimmed)
    return rows.summary(policy)


def _first(convert: Callable[[Any], T | None], row: dict[str, Any], names: tuple[str, ...]) -> T | None:
    return next((c for v in values(row, names) if (c := convert(v)) is not None), None)


def _sum(values: Iterable[float]) -> float:
    # From left to right without compensation, as the old programs added.
    return functools.reduce(operator.add, values, 0.0)


def _bump(counts: dict[Any, int], key: Any) -> None:
    counts[key] = counts.get(key, 0) + 1


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    # Stable, so equal counts stay in the order they first appeared.
    return sorted(counts.items(), key=lambda item: -item[1])


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return js.trim(value) or None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(js.as_float(value)):
        return js.number_text(value)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        number = js.as_float(value)
        return number if math.isfinite(number) else None
    return js_read.parse_float(value) if isinstance(value, str) else None


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.lower()
        return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None
    return None


def _seconds_or_ms(value: Any) -> int | None:
    if isinstance(value, bool | list | dict) or value is None:
        return None
    if isinstance(value, str):
        return js_read.time_of(value)
    number = js.as_float(value)
    return js_read.time_of(number if number > 1e10 else number * 1000)


def _unmasked(value: Any) -> Any:
    """An id is quoted whole: a report about rows nobody can find is no use."""
    return value if isinstance(value, str) else _shown(value)


def _shown(value: Any) -> Any:
    """A raw value as it may be quoted: as the program kept it, its text masked."""
    return _masked(js.as_kept(value))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    if isinstance(value, dict):
        return {mask(key): _masked(inner) for key, inner in value.items()}
    return value


def _masked_keys(counts: dict[str, int]) -> dict[str, int]:
    masked: dict[str, int] = {}
    for key, count in counts.items():
        masked[mask(key)] = masked.get(mask(key), 0) + count
    return masked


class _AnalyzeRows:
    def __init__(self) -> None:
        self.lines = 0
        self.classes = {"success": 0, "failure": 0, "unknown": 0}
        self.statuses: dict[str, int] = {}
        self.scopes: dict[str, int] = {}
        self.durations = array("d")
        self.retries = array("d")
        self.depths: dict[int, int] = {}
        self.errors: dict[str, tuple[list[int], dict[str, None]]] = {}
        self.hours: dict[str, dict[str, int]] = {}
        self.start = self.end = ""
        self.failures: list[dict[str, Any]] = []
        self.skipped = 0
        self.skipped_samples: list[dict[str, Any]] = []

    def add(self, text: str) -> None:
        self.lines += 1
        try:
            value = parse(text)
        except (ValueError, RecursionError) as error:
            self._skip(text, str(error))
            return
        if not isinstance(value, dict | list):
            self._skip(text, _NO_OBJECT)
            return
        # An array passes the old test for an object, and has none of the fields.
        self._count(value if isinstance(value, dict) else {})

    def _skip(self, text: str, why: str) -> None:
        self.skipped += 1
        if len(self.skipped_samples) < 5:
            self.skipped_samples.append({"lineNumber": self.lines, "error": why, "rawPreview": preview(text)})

    def _count(self, row: dict[str, Any]) -> None:
        status = _first(_text, row, ANALYZE.status)
        code = _first(_text, row, ANALYZE.error_code)
        raw_message = first_set(row, ANALYZE.error_message)
        message = _text(raw_message)
        if message is None and isinstance(raw_message, dict | list):
            message = js.json_text(raw_message)
        duration = _first(_number, row, ANALYZE.duration)
        if duration is not None and duration < 10:
            duration *= 1000
        retry = _first(_number, row, ANALYZE.retries)
        if retry is None and (attempt := _first(_number, row, ANALYZE.attempt)) is not None:
            retry = max(0.0, attempt - 1)
        time = _first(_seconds_or_ms, row, ANALYZE.timestamp)
        kind = self._class(row, status, bool(code or message))

        self.classes[kind] += 1
        if time is not None:
            at = js.iso(time)
            self.start = min(self.start, at) if self.start else at
            self.end = max(self.end, at)
            hour = js.iso(time // _HOUR * _HOUR)
            bucket = self.hours.setdefault(hour, {"total": 0, "success": 0, "failure": 0})
            bucket["total"] += 1
            if kind != "unknown":
                bucket[kind] += 1
        if status is not None:
            _bump(self.statuses, status)
        if (scope := _first(_text, row, ANALYZE.scope)) is not None:
            _bump(self.scopes, scope)
        if duration is not None and math.isfinite(duration):
            self.durations.append(duration)
        if retry is not None:
            self.retries.append(retry)
            _bump(self.depths, max(0, js.round_half_up(retry)))
        if kind != "failure":
            return
        count, messages = self.errors.setdefault(code or message or status or "unknown", ([0], {}))
        count[0] += 1
        if message is not None and len(messages) < 5:
            messages[message] = None
        if len(self.failures) < SAMPLES:
            self.failures.append(
                _without_none(
                    lineNumber=self.lines,
                    timestamp=None if time is None else js.iso(time),
                    decisionId=_first(_text, row, ANALYZE.decision_id),
                    errorCode=None if code is None else mask(code),
                    errorMessage=None if message is None else mask(message),
                    retryCount=None if retry is None else js.plain(retry),
                    durationMs=None if duration is None else js.plain(duration),
                )
            )

    def _class(self, row: dict[str, Any], status: str | None, error: bool) -> str:
        flag = _first(_flag, row, ANALYZE.flag)
        if flag is not None:
            return "success" if flag else "failure"
        word = (status or "").lower()
        if word in SUCCESS_WORDS:
            return "success"
        if word in FAILURE_WORDS:
            return "failure"
        http = _first(_number, row, ANALYZE.http_status)
        if http is not None and 200 <= http < 400:
            return "success"
        if http is not None and http >= 400:
            return "failure"
        return "failure" if error else "unknown"

    def summary(self) -> dict[str, Any]:
        failures = self.classes["failure"]
        known = failures + self.classes["success"]
        return {
            "timeWindow": {"start": self.start, "end": self.end} if self.start else None,
            "totals": {
                "records": sum(self.classes.values()),
                **self.classes,
                "failureRate": js.plain(to_fixed(failures / known, 4)) if known else 0,
            },
            "statusBreakdown": [{"status": mask(k), "count": n} for k, n in _most_first(self.statuses)],
            "scopeBreakdown": [{"scope": mask(k), "count": n} for k, n in _most_first(self.scopes)],
            "durationsMs": self._durations(),
            "retries": self._retries(),
            "errors": {
                "byCode": [
                    {
                        "code": mask(code),
                        "count": count[0],
                        "percentage": js.plain(to_fixed(count[0] / failures * 100)),
                        "sampleMessages": [mask(m) for m in messages],
                    }
                    for code, (count, messages) in sorted(self.errors.items(), key=lambda e: -e[1][0][0])
                ]
            },
            "hourlyBuckets": [{"hour": hour, **self.hours[hour]} for hour in sorted(self.hours)],
            "failureSamples": self.failures,
            "parse": {"skippedLines": self.skipped, "samples": self.skipped_samples},
        }

    def _durations(self) -> dict[str, float] | None:
        if not self.durations:
            return None
        ordered = sorted(self.durations)
        return {
            "count": len(ordered),
            "average": js.plain(to_fixed(_sum(self.durations) / len(ordered))),
            "p50": js.plain(to_fixed(percentile(ordered, 50, "nearest_rank"))),
            "p95": js.plain(to_fixed(percentile(ordered, 95, "nearest_rank"))),
            "max": js.plain(to_fixed(ordered[-1])),
        }

    def _retries(self) -> dict[str, Any] | None:
        if not self.retries:
            return None
        return {
            "count": len(self.retries),
            "average": js.plain(to_fixed(_sum(self.retries) / len(self.retries))),
            "max": js.plain(max(self.retries)),
            "distribution": {js.number_text(k): self.depths[k] for k in sorted(self.depths)},
        }


class _AlertRows:
    def __init__(self) -> None:
        self.total = 0
        self.classes = {"success": 0, "failure": 0, "unknown": 0}
        self.failures: list[dict[str, Any]] = []
        self.statuses: dict[str, int] = {}
        self.codes: dict[str, int] = {}
        self.durations = array("d")
        self.timestamps: list[str] = []
        self.errors: list[dict[str, Any]] = []

    def add(self, text: str) -> None:
        self.total += 1
        try:
            value = parse(text)
        except (ValueError, RecursionError) as error:
            self.classes["unknown"] += 1
            self.errors.append({"error": f"Failed to parse JSON: {error}", "raw": preview(text)})
            return
        if isinstance(value, dict) and js.truthy(value.get("_error")):
            # The monitor marks its own bad lines with this key, and trusts it in the input too.
            self.classes["unknown"] += 1
            self.errors.append(_without_none(error=_shown(value["_error"]), raw=_shown(value.get("_raw"))))
            return
        if not isinstance(value, dict | list):
            self.classes["unknown"] += 1
            return
        self._count(value if isinstance(value, dict) else {})

    def _count(self, row: dict[str, Any]) -> None:
        kind = self._class(row)
        self.classes[kind] += 1
        if js.truthy(row.get("status")):
            _bump(self.statuses, js.text_of(row["status"]).lower())
        if js.truthy(row.get("errorCode")):
            _bump(self.codes, js.text_of(row["errorCode"]).lower())
        stamp = first_set(row, ALERTS.timestamp)
        time = js_read.time_of(stamp) if js.truthy(stamp) else None
        at = None if time is None else js.iso(time)
        if at is not None:
            self.timestamps.append(at)
        duration = js_read.number_of(first_set(row, ALERTS.duration))
        if math.isfinite(duration) and duration > 0:
            self.durations.append(to_fixed(duration))
        if kind == "failure" and len(self.failures) < SAMPLES:
            sample = {
                "decisionId": _unmasked(first_set(row, ALERTS.decision_id)),
                "status": _shown(row.get("status")),
                "errorCode": _shown(row.get("errorCode")),
                "errorMessage": _shown(first_set(row, ALERTS.error_message)),
                "durationMs": js.plain(duration) if math.isfinite(duration) else None,
                "attempt": _shown(first_set(row, (*ALERTS.attempt, *ALERTS.retries))),
            }
            self.failures.append(sample if at is None else {**sample, "timestamp": at})

    def _class(self, row: dict[str, Any]) -> str:
        flags = [row.get(name) for name in ALERTS.flag]
        if any(flag is True for flag in flags):
            return "success"
        if any(flag is False for flag in flags) or any(row.get(name) is False for name in ALERTS.denial):
            return "failure"
        # Not trimmed, and the first name that is set decides even if it holds no text.
        status = first_set(row, ALERTS.status)
        word = status.lower() if isinstance(status, str) else ""
        if word in SUCCESS_WORDS:
            return "success"
        if word in FAILURE_WORDS:
            return "failure"
        named = (*ALERTS.error_code, *ALERTS.error_message)
        return "failure" if any(js.truthy(row.get(name)) for name in named) else "unknown"

    def summary(self, policy: AlertPolicy) -> tuple[dict[str, Any], int]:
        rate = to_fixed(self.classes["failure"] / self.total, 4) if self.total else 0.0
        stats = self._stats()
        stamps = sorted(self.timestamps)
        status, reasons = self._verdict(rate, stats, policy)
        figures = {
            "total": self.total,
            **self.classes,
            "failures": self.failures,
            "statuses": _masked_keys(js.index_first(self.statuses)),
            "errorCodes": _masked_keys(js.index_first(self.codes)),
            "durations": [js.plain(d) for d in self.durations],
            "timestamps": self.timestamps,
            "parseErrors": self.errors,
            "durationStats": stats,
            "failureRate": js.plain(rate),
            "window": {"start": stamps[0], "end": stamps[-1]} if stamps else None,
            "parseErrorCount": len(self.errors),
            "thresholds": {
                "failureRate": js.plain(policy.failure_alert_percent / 100),
                "p95Ms": policy.p95_ms,
                "minSamples": policy.min_samples,
            },
            "status": status,
            "alertReasons": reasons,
        }
        return figures, int(status == "alert")

    def _stats(self) -> dict[str, float] | None:
        if not self.durations:
            return None
        ordered = sorted(self.durations)
        return {
            "count": len(ordered),
            "averageMs": js.plain(to_fixed(_sum(ordered) / len(ordered))),
            "p50Ms": js.plain(to_fixed(percentile(ordered, 50, "linear"))),
            "p95Ms": js.plain(to_fixed(percentile(ordered, 95, "linear"))),
            "maxMs": js.plain(ordered[-1]),
        }

    def _verdict(
        self, rate: float, stats: dict[str, float] | None, policy: AlertPolicy
    ) -> tuple[str, list[str]]:
        if self.total < policy.min_samples:
            return "insufficient-data", ["Insufficient samples"]
        reasons = []
        threshold = policy.failure_alert_percent / 100
        if rate > threshold:
            reasons.append(
                f"Failure rate {js.number_text(rate)} exceeds threshold {js.number_text(threshold)}"
            )
        p95 = stats["p95Ms"] if stats else 0
        if not p95:
            reasons.append("Missing duration data")
        elif p95 > policy.p95_ms:
            reasons.append(f"p95 {js.number_text(p95)}ms exceeds threshold {policy.p95_ms}ms")
        return ("alert" if reasons else "ok"), reasons


def _without_none(**fields: Any) -> dict[str, Any]:
    """Undefined fields are left out, as JSON.stringify leaves them out."""
    return {key: value for key, value in fields.items() if value is not None}
