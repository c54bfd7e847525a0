"""Summaries: the figures of both legacy tools row by row of their specification, and our own."""

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.analytics.summary import DIALECTS, parity, summarize
from cairnops.domain.measures import AlertPolicy, MeasurePolicy
from cairnops.domain.policy import profile
from cairnops.errors import InputError

EXPORTS = Path(__file__).parents[2] / "fixtures" / "exports"
NAMES = sorted(
    path.stem
    for path in EXPORTS.glob("*.ndjson")
    if (EXPORTS / "golden" / f"{path.stem}.cairnops.json").exists()
)


def figures(data: bytes | str, dialect="cairnops", measures=None, alerts=None):
    return summary(data, dialect, measures, alerts).to_dict()


def summary(data: bytes | str, dialect="cairnops", measures=None, alerts=None):
    source = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return summarize(
        source, measures=measures or MeasurePolicy(), alerts=alerts or AlertPolicy(), dialect=dialect
    )


def at(tree, path: str):
    """`at(figures, "errors.byCode.0.code")`; `#` counts."""
    for step in path.split("."):
        tree = len(tree) if step == "#" else tree[int(step)] if isinstance(tree, Sequence) else tree[step]
    return tree


def golden(name: str, dialect: str):
    return json.loads((EXPORTS / "golden" / f"{name}.{dialect}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_our_summary_of_a_fixture(name):
    got = summarize(EXPORTS / f"{name}.ndjson", measures=MeasurePolicy(), alerts=AlertPolicy())
    assert got.to_dict() == golden(name, "cairnops")
    assert list(got.to_dict()) == list(golden(name, "cairnops"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dialect", ["analyze", "alerts"])
def test_parity_with_what_the_legacy_tool_printed(name, dialect):
    got = parity(EXPORTS / f"{name}.ndjson", measures=profile("parity").measures, alerts=AlertPolicy())[
        dialect
    ]
    expected = golden(name, dialect)
    if dialect == "alerts":
        assert got.legacy_exit_code == expected.pop("exitCode")
    shown = json.loads(json.dumps(got.to_dict()))
    for tree in (shown, expected):
        for sample in tree["parseErrors"] if dialect == "alerts" else tree["parse"]["samples"]:
            # The wording of a parse error belongs to the JavaScript engine, and we quote less of a long line.
            sample.pop("error", None)
            sample.update({key: text[:199] for key, text in sample.items() if key in ("raw", "rawPreview")})
    assert {key: shown[key] for key in expected} == expected
    assert [key for key in shown if key in expected] == list(expected)
    assert shown.keys() - expected.keys() == {"source", "notes"}


def test_the_two_golden_sets_differ_as_the_specification_says():
    both = parity(EXPORTS / "decision_sync_sample.ndjson", measures=MeasurePolicy(), alerts=AlertPolicy())
    analyze, alerts = both["analyze"].to_dict(), both["alerts"].to_dict()
    assert analyze["durationsMs"] == {
        "count": 4,
        "average": 551.47,
        "p50": 241.12,
        "p95": 1500.55,
        "max": 1500.55,
    }
    assert analyze["totals"]["failureRate"] == 0.25
    assert analyze["retries"] == {
        "count": 4,
        "average": 0.75,
        "max": 2,
        "distribution": {"0": 2, "1": 1, "2": 1},
    }
    assert (alerts["durationStats"]["p50Ms"], alerts["durationStats"]["p95Ms"]) == (253.28, 1315.28)
    assert (alerts["status"], both["alerts"].legacy_exit_code, both["alerts"].exit_code) == (
        "insufficient-data",
        0,
        3,
    )
    strict = AlertPolicy(min_samples=1)
    judged = summarize(
        EXPORTS / "decision_sync_sample.ndjson", measures=MeasurePolicy(), alerts=strict, dialect="alerts"
    )
    assert (judged.status, judged.exit_code, len(judged.reasons)) == ("alert", 1, 2)
    loosened = AlertPolicy(failure_alert_percent=30, p95_ms=1500, min_samples=1)
    judged = summarize(
        EXPORTS / "decision_sync_sample.ndjson", measures=MeasurePolicy(), alerts=loosened, dialect="alerts"
    )
    assert (judged.status, judged.exit_code, judged.reasons) == ("ok", 0, ())
    edge = parity(EXPORTS / "edge.ndjson", measures=MeasurePolicy(), alerts=AlertPolicy())
    assert edge["analyze"].to_dict()["totals"] == {
        "records": 16,
        "success": 7,
        "failure": 4,
        "unknown": 5,
        "failureRate": 0.3636,
    }
    assert edge["analyze"].to_dict()["parse"]["skippedLines"] == 4
    b = edge["alerts"].to_dict()
    assert [b[key] for key in ("total", "success", "failure", "unknown", "failureRate")] == [
        20,
        4,
        6,
        10,
        0.3,
    ]
    assert edge["alerts"].legacy_exit_code == 1


S, F, U = "success", "failure", "unknown"


def legacy_rows():
    """Each row of the two tools' specification: a file, a place in either tool's figures, what stands there."""
    for text in (EXPORTS / "legacy_rows.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(text)
        yield pytest.param(row["file"], row["analyze"], row["alerts"], id=row["id"])


@pytest.mark.parametrize(("file", "analyze", "alerts"), list(legacy_rows()))
def test_a_row_of_the_legacy_specification(file, analyze, alerts):
    for dialect, (where, expected) in (("analyze", analyze), ("alerts", alerts)):
        # As text, because the order of keys is part of it.
        assert json.dumps(at(figures(file, dialect), where)) == json.dumps(expected)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param({"status": " Synced "}, S, id="status-trimmed"),
        pytest.param({"result": "failed"}, F, id="result"),
        pytest.param({"ok": " YES "}, S, id="flag-text"),
        pytest.param({"ok": "maybe", "status": "ok"}, S, id="flag-that-says-nothing"),
        pytest.param({"success": False, "status": "SUCCESS"}, F, id="flag-over-status"),
        pytest.param({"status": "UNKNOWN", "errorCode": "ETIMEDOUT"}, U, id="unknown-stays-unknown"),
        pytest.param({"statusCode": "503"}, F, id="http-text"),
        pytest.param({"statusCode": "503 down"}, U, id="http-text-is-not-read-loosely"),
        pytest.param({"statusCode": " 204 "}, S, id="http-text-trimmed"),
        pytest.param({"response": {"status": 399}}, S, id="http-nested"),
        pytest.param({"httpStatus": 400}, F, id="http-400"),
        pytest.param({"httpStatus": 199}, U, id="http-199"),
        pytest.param({"message": "informational"}, U, id="a-bare-message-is-no-failure"),
        pytest.param({"error": "boom"}, F, id="error-text"),
        pytest.param({"error": None}, U, id="error-null"),
        pytest.param({"error": False}, U, id="error-false"),
        pytest.param({"error": {}}, U, id="error-empty-object"),
        pytest.param({"error": True}, F, id="error-true"),
        pytest.param({"status": "PENDING", "error_code": "X"}, F, id="error-over-unknown-word"),
        pytest.param({"retryable": False}, F, id="retryable-false-alone"),
        pytest.param({"retryable": False, "status": "SUCCESS"}, S, id="retryable-false-under-success"),
        pytest.param({}, U, id="nothing"),
    ],
)
def test_how_we_classify_a_row(row, kind):
    # Without an id, an error alone in a file is no row.
    assert figures(json.dumps({"decisionId": 1, **row}))["totals"][kind] == 1


ALIASES = {
    "totals.success": (
        "ok",
        ["status", "state", "outcome", "result", "success", "ok", "successFlag"],
    ),
    "totals.failure": (503, ["statusCode", "httpStatus", "response.status"]),
    "errors.codes.e": ("E", ["errorCode", "error_code", "error.code", "response.errorCode"]),
    "errors.byCode.0.sampleMessages.#": (
        " m ",
        ["errorMessage", "error_message", "error", "response.errorMessage"],
    ),
    "durationsMs.count": (
        700,
        ["durationMs", "duration_ms", "duration", "latencyMs", "metrics.durationMs"],
    ),
    "retries.distribution.1": (1, ["retryCount", "retry_count", "retries"]),
    "retries.distribution.0": (1, ["attempt", "attemptCount"]),
    "hours.0.total": (
        1760019600,
        ["timestamp", "time", "loggedAt", "generatedAt", "createdAt", "created_at", "metadata.generatedAt"],
    ),
    "failureSamples.0.decisionId.#": (
        "7",
        ["decisionId", "decision_id", "id", "uid"],
    ),
    "scopeBreakdown.0.count": ("ops", ["scope", "context.scope"]),
}


def nested(name, value):
    outer, _, inner = name.partition(".")
    return {outer: nested(inner, value) if inner else value}


@pytest.mark.parametrize(
    ("where", "row"),
    [
        pytest.param(where, nested(name, value), id=f"{where}-{name}")
        for where, (value, names) in ALIASES.items()
        for name in names
    ],
)
def test_every_name_either_tool_knows_is_ours_too(where, row):
    # A failed status makes a sample of every row that has not said how it ended.
    lines = [json.dumps({**row, "status": "failed"} if "Sample" in where else row), '{"a":1}']
    assert at(figures("\n".join(lines)), where) == 1


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        pytest.param(9.99, 9.99, id="below-ten-is-still-ms"),
        pytest.param(0, 0, id="zero"),
        pytest.param("1.5s", 1500, id="seconds"),
        pytest.param("300 ms", 300, id="ms"),
        pytest.param("2m", 120_000, id="minutes"),
        pytest.param("250", 250, id="digits"),
        pytest.param("1,5", None, id="comma"),
        pytest.param("fast", None, id="word"),
        pytest.param(-1, None, id="negative"),
        pytest.param(True, None, id="boolean"),
        pytest.param([5], None, id="list"),
    ],
)
def test_how_we_read_a_duration(value, ms):
    got = figures(json.dumps({"durationMs": value}))
    assert (got["durationsMs"] or {}).get("max") == ms
    assert got["fields"]["duration"] == {"missing": 0, "unreadable": int(ms is None)}


@pytest.mark.parametrize("number", ["1e999", "9" * 5000], ids=["exponent", "digits"])
def test_a_number_too_large_for_a_double_is_unreadable(number):
    data = f'{{"ok":true,"durationMs":{number},"timestamp":{number},"attempt":{number}}}'
    got = figures(data)
    assert (got["totals"]["success"], got["durationsMs"], got["window"], got["retries"]) == (
        1,
        None,
        None,
        None,
    )
    assert figures(data, "analyze")["durationsMs"] is None
    assert figures(data, "alerts")["durations"] == []


def test_seconds_below_ten_only_when_asked_for():
    data = '{"durationMs":5}\n{"durationMs":10}\n'
    assert figures(data)["durationsMs"]["max"] == 10
    got = figures(data, measures=MeasurePolicy(seconds_below_ten=True))
    assert got["durationsMs"]["max"] == 5000
    assert "Durations below 10 were read as seconds." in got["notes"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("2025-10-09T14:05:22.318Z", "2025-10-09T14:05:22.318Z", id="iso"),
        pytest.param("2025-10-09 16:05:22.318456+02", "2025-10-09T14:05:22.318Z", id="postgresql"),
        pytest.param(1760019600, "2025-10-09T14:20:00.000Z", id="seconds"),
        pytest.param(1760019600000, "2025-10-09T14:20:00.000Z", id="milliseconds"),
        pytest.param("2025-02-30T00:00:00Z", None, id="no-such-day"),
        pytest.param("yesterday", None, id="word"),
        pytest.param(-5, None, id="negative"),
        pytest.param(1e300, None, id="absurd"),
        pytest.param(True, None, id="boolean"),
    ],
)
def test_how_we_read_a_time(value, shown):
    got = figures(json.dumps({"timestamp": value}))
    assert (got["window"] or {}).get("start") == shown
    assert got["fields"]["timestamp"]["unreadable"] == (shown is None)


def test_a_time_without_a_zone_is_utc_and_said_so():
    got = figures('{"timestamp":"2025-10-09T14:00:00"}')
    assert got["window"]["start"] == "2025-10-09T14:00:00.000Z"
    assert "Times written without a zone and taken for UTC: 1." in got["notes"]


def rows(success=0, failure=0, unknown=0, **fields):
    lines = [{"ok": True, **fields}] * success + [{"ok": False, **fields}] * failure + [{"n": 1}] * unknown
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    ("data", "alerts", "measures", "status", "code", "reasons", "warnings"),
    [
        pytest.param(rows(19, 1, durationMs=50), {}, {}, "ok", 0, 0, 0, id="five-percent-is-fine"),
        pytest.param(rows(18, 1, durationMs=50), {}, {}, "ok", 0, 0, 1, id="above-five-percent-warns"),
        pytest.param(rows(9, 1, durationMs=50), {}, {}, "ok", 0, 0, 1, id="ten-percent-warns"),
        pytest.param(rows(8, 1, durationMs=50), {}, {}, "alert", 1, 1, 0, id="above-ten-percent-alerts"),
        pytest.param(
            rows(8, 1, 20, durationMs=50),
            {},
            {"failure_denominator": "total"},
            "ok",
            0,
            0,
            0,
            id="of-all-records",
        ),
        pytest.param(rows(5, durationMs=1000), {}, {}, "ok", 0, 0, 0, id="p95-at-the-threshold"),
        pytest.param(rows(5, durationMs=1000.5), {}, {}, "alert", 1, 1, 0, id="p95-above"),
        pytest.param(rows(5), {}, {}, "alert", 1, 1, 0, id="no-durations"),
        pytest.param(rows(4, durationMs=1), {}, {}, "insufficient-data", 3, 1, 0, id="too-few"),
        pytest.param(
            rows(4, 0, 9, durationMs=1),
            {},
            {},
            "insufficient-data",
            3,
            1,
            0,
            id="unknown-ones-are-no-samples",
        ),
        pytest.param(
            rows(4, 0, 9, durationMs=1),
            {},
            {"failure_denominator": "total"},
            "ok",
            0,
            0,
            0,
            id="unless-all-count",
        ),
        pytest.param("", {"min_samples": 0}, {}, "insufficient-data", 3, 1, 0, id="nothing-is-never-enough"),
        pytest.param("[]", {}, {}, "insufficient-data", 3, 1, 0, id="no-rows"),
        pytest.param(
            '"42703"\nnull\n"no column"', {}, {}, "unreadable", 2, 1, 0, id="an-error-body-is-no-data"
        ),
        pytest.param("<html>", {}, {}, "unreadable", 2, 1, 0, id="a-page-is-no-data"),
    ],
)
def test_the_verdict(data, alerts, measures, status, code, reasons, warnings):
    got = summary(data, measures=MeasurePolicy(**measures), alerts=AlertPolicy(**alerts))
    alert = got.to_dict()["alert"]
    assert (got.status, got.exit_code, len(got.reasons), len(alert["warnings"])) == (
        status,
        code,
        reasons,
        warnings,
    )
    assert (alert["status"], alert["exitCode"], alert["reasons"]) == (status, code, list(got.reasons))
    assert got.legacy_exit_code is None


def test_both_denominators_are_named_and_the_one_in_force_is_marked():
    data = rows(3, 1, 6)
    known = figures(data)["totals"]
    assert known["failureRates"] == {"known": 0.25, "total": 0.1}
    assert (known["failureRate"], known["failureDenominator"]) == (0.25, "known")
    total = figures(data, measures=MeasurePolicy(failure_denominator="total"))["totals"]
    assert (total["failureRate"], total["failureDenominator"]) == (0.1, "total")
    nothing = figures(rows(unknown=2))["totals"]
    assert nothing["failureRates"] == {"known": None, "total": 0}


def test_the_percentile_method_is_named_beside_the_others():
    data = "".join(f'{{"ok":true,"durationMs":{d}}}\n' for d in (198.77, 241.12, 265.43, 1500.55))
    got = figures(data)
    assert (got["durationsMs"]["p95"], got["durationsMs"]["percentile"]) == (1315.28, "linear")
    assert got["durationsMs"]["p95ByMethod"] == {
        "linear": 1315.28,
        "nearest_rank": 1500.55,
        "legacy_floor": 1500.55,
    }
    nearest = figures(
        data, measures=MeasurePolicy(percentile="nearest_rank"), alerts=AlertPolicy(p95_ms=1400)
    )
    assert nearest["durationsMs"]["p95"] == 1500.55
    assert any("depends on the method" in note for note in nearest["notes"])


@pytest.mark.parametrize(
    "row, said",
    [
        pytest.param('{"decisionId":1,"leafHash":"ab"}', True, id="a decision in full"),
        pytest.param('{"decisionId":1,"status":"PENDING"}', False, id="a sync event that has not ended"),
        pytest.param('{"decisionId":1,"error":"boom"}', False, id="an outcome without a status"),
    ],
)
def test_an_export_without_outcomes_is_told_from_one_whose_outcomes_are_open(row, said):
    notes = " ".join(figures(row + "\n")["notes"])
    assert ("No record says how it ended" in notes and "--shape sync-events" in notes) is said


def test_ties_stand_in_the_order_of_their_names():
    data = '{"status":"b"}\n{"status":"a"}\n{"status":"c"}\n{"status":"c"}\n'
    assert [row["status"] for row in figures(data)["statusBreakdown"]] == ["c", "a", "b"]
    data = '{"errorCode":"Z"}\n{"errorCode":"A"}\n'
    assert [row["code"] for row in figures(data)["errors"]["byCode"]] == ["A", "Z"]


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        pytest.param({"ok": False, "errorCode": "E", "error": "m"}, "E", id="code"),
        pytest.param({"ok": False, "error": " m "}, "m", id="message"),
        pytest.param({"status": "timeout"}, "timeout", id="status"),
        pytest.param(
            {"ok": False, "status": "SUCCESS"}, "unknown", id="a-status-that-says-success-is-no-cause"
        ),
        pytest.param({"statusCode": 503}, "HTTP_503", id="http"),
    ],
)
def test_what_a_failure_is_counted_under(row, cause):
    assert figures(json.dumps(row))["errors"]["byCode"][0]["code"] == cause


def test_samples_are_capped_and_everything_is_counted():
    got = figures(rows(failure=15) + "x\n" * 30)
    assert (len(got["failureSamples"]), got["totals"]["failure"]) == (10, 15)
    assert (len(got["parse"]["samples"]), got["parse"]["rejects"], got["parse"]["reasons"]) == (
        20,
        30,
        {"not-json": 30},
    )
    assert got["parse"]["samples"][0]["line"] == 16


def test_nothing_quoted_shows_people_or_secrets():
    person, key = "jo.doe@example.com", "sb_secret_0123456789abcdef"
    data = (
        f'{{"ok":false,"errorCode":"{person}","error":"for {person} with {key}","status":"{key}","scope":"{person}"}}\n'
        f'{{"text":"{person} wants money","token":"{key}"\n'
    )
    for dialect in DIALECTS:
        shown = json.dumps(figures(data, dialect))
        assert person not in shown
        assert key not in shown


def test_the_source_is_named_without_its_folder_and_hashed(tmp_path):
    path = tmp_path / "private folder" / "export.ndjson.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b'{"ok":true}\n'))
    got = summarize(path, measures=MeasurePolicy(), alerts=AlertPolicy()).to_dict()["source"]
    assert (got["name"], got["compression"], got["bytes"]) == (
        "export.ndjson.gz",
        "gzip",
        path.stat().st_size,
    )
    for dialect in DIALECTS:
        assert "private" not in json.dumps(figures(path.read_bytes(), dialect))


def test_a_missing_file_and_an_unknown_dialect_are_refused(tmp_path):
    for dialect in DIALECTS:
        with pytest.raises(InputError):
            summarize(
                tmp_path / "none.ndjson", measures=MeasurePolicy(), alerts=AlertPolicy(), dialect=dialect
            )
    with pytest.raises(ValueError, match="dialect"):
        summary("", dialect="other")


VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2_000),
    st.floats(),
    st.sampled_from(["ok", "FAILED", "timeout", "x", "", "1.5s"]),
    st.dictionaries(st.sampled_from(["code", "message", "status"]), st.text(max_size=3), max_size=2),
    st.lists(st.integers(), max_size=1),
)
FIELDS = [
    "status",
    "ok",
    "errorCode",
    "error",
    "message",
    "durationMs",
    "retryCount",
    "attempt",
    "timestamp",
    "scope",
    "statusCode",
    "response",
]
FILE = st.lists(
    st.dictionaries(st.sampled_from(FIELDS), VALUE, max_size=6).map(json.dumps)
    | st.sampled_from(["", "[]", "x", '{"a":1}{"b":2}', "null"]),
    max_size=12,
).map("\n".join)


@settings(deadline=None)
@given(data=FILE)
def test_figures_add_up_whatever_the_file(data):
    got = figures(data)
    totals, parse = got["totals"], got["parse"]
    assert totals["success"] + totals["failure"] + totals["unknown"] == totals["records"] == parse["records"]
    assert (
        parse["lines"]
        == parse["blank"] + parse["recordLines"] + parse["rejectLines"] + parse["structureLines"]
    )
    assert sum(row["count"] for row in got["errors"]["byCode"]) == totals["failure"]
    assert sum(hour["total"] for hour in got["hours"]) == totals["records"] - sum(
        got["fields"]["timestamp"].values()
    )
    durations = got["durationsMs"]
    assert (durations or {"count": 0})["count"] == totals["records"] - sum(got["fields"]["duration"].values())
    if durations:
        assert (
            durations["min"] <= durations["p50"] <= durations["p95"] <= durations["p99"] <= durations["max"]
        )
    for dialect in DIALECTS:
        json.dumps(figures(data, dialect), allow_nan=False)
    analyze, alerts = figures(data, "analyze"), figures(data, "alerts")
    assert analyze["totals"]["records"] + analyze["parse"]["skippedLines"] == alerts["total"]
