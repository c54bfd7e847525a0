"""What reconciling finds, by which key rows meet, and that every engine finds the same."""

import gzip
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.analytics.reconcile import compare
from cairnops.analytics.reconcile_log import LogRow, Part, Rows, read_row
from cairnops.analytics.reconcile_result import CODES, Reconciliation, spell
from cairnops.analytics.reconcile_scan import open_lines
from cairnops.analytics.reconcile_sql import Log, open_parquet
from cairnops.evidence import reconcile_formats as formats
from cairnops.telemetry import sheets

UID = "01K7Q0NXP01CKFAQV88SA97WP{}"


def decision(number: int, **more: Any) -> dict[str, Any]:
    return {
        "uid": UID.format("ABCDEFGHJK"[number % 10]),
        "decisionId": number,
        "scope": "ops",
        "session": "s1",
        "action": "chatwoot.approve_send",
        "actor": {"email": "op@x.example", "role": "operator"},
        "conversation": f"chatwoot:{1000 + number}",
        "createdAt": f"2025-10-16T17:{number % 60:02d}:00.000Z",
        **more,
    }


def event(number: int, status: str = "SUCCESS", effect: str = "reply", **more: Any) -> dict[str, Any]:
    at = f"2025-10-16T17:{number % 60:02d}:01.000Z"
    return {"decisionId": number, "status": status, "effect": effect, "attempt": 1, "timestamp": at, **more}


def source(name: str, *records: dict[str, Any]) -> Rows:
    rows = [read_row(r, name, n) for n, r in enumerate(records, 1)]
    return Rows.of([r for r in rows if r], name=name, kind="ndjson")


def sheet(*rows: str, head: str = "Decision | Time | Conversation | Operator | Status") -> sheets.Sheet:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|" + "---|" * columns, *(f"| {row} |" for row in rows)]
    return sheets.parse("\n".join(lines).encode(), "w.md")


def found(result: Reconciliation) -> list[tuple[str, int, str]]:
    return [(f.code, f.line, f.decision) for f in result.findings]


FIVE = [decision(n) for n in (1, 2, 3)]
ROWS = ["1 | | 1001 | |", "2 | | 1002 | |", "3 | | 1003 | |"]


@pytest.mark.parametrize(
    ("rows", "records", "expected"),
    [
        pytest.param(ROWS, FIVE, [], id="clean"),
        pytest.param([*ROWS, "9 | | | |"], FIVE, [("missing_in_log", 6, "9")], id="missing-in-log"),
        pytest.param(ROWS[:2], FIVE, [("missing_in_worksheet", 0, "3")], id="missing-in-worksheet"),
        pytest.param([*ROWS, ROWS[0]], FIVE, [("duplicate", 6, "1")], id="twice-in-worksheet"),
        pytest.param(ROWS, [*FIVE, decision(1)], [("duplicate", 0, "1")], id="twice-in-log"),
        pytest.param(
            ROWS, [*FIVE, decision(1, uid=UID.format("Z"), createdAt="2025-10-16T17:30:00Z")],
            [("duplicate", 0, "1")], id="number-given-twice-in-log",
        ),
        pytest.param(
            ROWS, [*FIVE, decision(1, uid=UID.format("Z"), session="s0", createdAt="2025-10-15T09:00:00Z")],
            [("id_reused", 3, "1")], id="id-in-two-sessions",
        ),
        pytest.param(
            [*ROWS, "4 | | | |"], [*FIVE, decision(4, session="s0"), decision(5, session="s0")],
            [("id_reused", 6, "4")], id="one-id-of-another-session",
        ),
        pytest.param(
            ["1 | | 1001 | |", "2 | | 1002 | |", "7 | | 1003 | |"], [*FIVE, decision(7, scope="build")],
            [("missing_in_worksheet", 0, "3"), ("wrong_scope", 5, "7"), ("conversation_mismatch", 5, "7")],
            id="shown-instead-of-decided",
        ),
        pytest.param(
            ["1 | 2025-10-16T17:01:02Z | | |", *ROWS[1:]], FIVE, [], id="within-tolerance",
        ),
        pytest.param(
            ["1 | 2025-10-16T17:01:03Z | | |", *ROWS[1:]], FIVE, [("time_drift", 3, "1")], id="beyond-tolerance",
        ),
        pytest.param(
            ["1 | 2025-10-16 17:01 | | |", *ROWS[1:]], FIVE, [], id="minutes-are-coarse",
        ),
        pytest.param(
            ["1 | | 1001 | | TIMEOUT", *ROWS[1:]], [*FIVE, event(1)], [("status_differs", 3, "1")], id="status",
        ),
        pytest.param(
            ["1 | | 1001 | | OK", *ROWS[1:]], [*FIVE, event(1)], [], id="another-word-for-it",
        ),
        pytest.param(
            ["1 | | 1001 | | SUCCESS", *ROWS[1:]], [*FIVE, event(1, "TIMEOUT"), event(1, effect="note")],
            [("status_differs", 3, "1")], id="the-reply-counts-not-the-note",
        ),
        pytest.param(
            ["1 | | 1001 | | SUCCESS", *ROWS[1:]], [*FIVE, event(1, "TIMEOUT"), event(1, attempt=2)], [],
            id="the-last-attempt-counts",
        ),
        pytest.param(
            [*ROWS, "— | | 1004 | |"], [*FIVE, decision(4)], [("unexpected_row", 6, "4")], id="expected-absent",
        ),
        pytest.param(
            [*ROWS, "— | | 1004 | |"], [*FIVE, decision(4, scope="build")], [], id="only-shown-is-not-decided",
        ),
        pytest.param([*ROWS, "— | | 1003 | |"], FIVE, [], id="a-note-on-a-decided-conversation"),
        pytest.param([*ROWS, "1.2E+05 | | | |"], FIVE, [("unreadable_row", 6, "")], id="unreadable"),
    ],
)  # fmt: skip
def test_each_thing_that_does_not_fit_has_its_code(
    rows: Sequence[str], records: Sequence[dict[str, Any]], expected: list[tuple[str, int, str]]
) -> None:
    result = compare([sheet(*rows)], [source("log", *records)])
    assert found(result) == expected
    assert result.exit_code == bool(expected)
    assert all(f.todo and f.meaning and (f.worksheet or f.log) for f in result.findings)


GONE = [(9, UID.format("9"), "2026-10-20T08:00:00.000Z")]


@pytest.mark.parametrize(
    ("row", "records", "expected"),
    [
        pytest.param("9 | | | |", FIVE, "removed by retention on 2026-10-20", id="by-number"),
        pytest.param(UID.format("9") + " | | | |", FIVE, "removed by retention on 2026-10-20", id="by-uid"),
        pytest.param("9 | | | |", [], "removed by retention on 2026-10-20", id="nothing-is-left"),
        pytest.param("8 | | | |", FIVE, "", id="another-is-missing"),
        pytest.param(UID.format("8") + " | | | |", FIVE, "", id="another-uid-is-missing"),
    ],
)
def test_what_retention_removed_is_not_missing(
    row: str, records: list[dict[str, Any]], expected: str
) -> None:
    rows = [r for r in (read_row(record, "log") for record in records) if r]
    result = compare(
        [sheet(*(ROWS if records else []), row)], [Rows.of(rows, name="log", kind="x", removed=GONE)]
    )
    (finding,) = result.findings
    assert finding.code == ("removed_by_retention" if expected else "missing_in_log")
    assert finding.log == (expected or "no such decision")
    assert (result.exit_code, result.wrong) == ((0, 0) if expected else (1, 1))
    assert result.rows[-1].state == ("removed" if expected else "missing")
    junit = formats.as_junit(result)
    assert ('failures="0"' in junit and finding.log in junit) if expected else 'failures="1"' in junit


def test_what_one_log_has_removed_another_may_still_have() -> None:
    nine, other = decision(9), [decision(1), decision(2)]
    logs = [source("export", nine, *other), source("other", *other), source("log", *other)]
    removed = [(9, nine["uid"], GONE[0][2])]
    logs[2] = Rows.of(logs[2].rows, name="log", kind="x", removed=removed)
    result = compare([sheet(*ROWS[:2], "9 | | 1009 | |")], logs)
    assert [(f.code, f.source) for f in result.findings] == [
        ("missing_in_log", "other"), ("removed_by_retention", "log")
    ]  # fmt: skip
    assert result.findings[1].log == "removed by retention on 2026-10-20; export has it"
    assert (result.exit_code, result.rows[2].state) == (1, "matched")


def test_a_session_that_is_named_decides() -> None:
    log = source("log", *FIVE, decision(1, uid=UID.format("Z"), session="s0"), decision(8, session="s0"))
    assert found(compare([sheet(*ROWS)], [log], session="s1")) == []
    assert [c for c, _, _ in found(compare([sheet(*ROWS)], [log], session="s0"))] == [
        "missing_in_worksheet", "id_reused", "id_reused",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "method", "codes"),
    [
        pytest.param(f"{UID.format('B')} | | | |", "uid", [], id="uid"),
        pytest.param("1 | | | |", "decision-id", [], id="decision-id"),
        pytest.param(" | 2025-10-16T17:01:01Z | 1001 | |", "natural-key", [], id="conversation-and-time"),
        pytest.param(" | 2025-10-16T17:01:01Z | 1001 | OP@x.example |", "natural-key", [], id="and-actor"),
        pytest.param(
            "77 | 2025-10-16T17:01:01Z | 1001 | |", "natural-key", ["id_differs"], id="id-of-elsewhere"
        ),
        pytest.param(
            " | 2025-10-16T17:01:01Z | 1001 | else@x.example |", "", ["unexpected_row"], id="somebody-else"
        ),
        pytest.param(" | 2025-10-16T17:09:00Z | 1001 | |", "", ["unexpected_row"], id="too-late"),
    ],
)
def test_the_ladder_is_climbed_and_the_rung_is_told(row: str, method: str, codes: list[str]) -> None:
    result = compare([sheet(row)], [source("log", decision(1))], session="s1")
    assert [r.method for r in result.rows] == [method]
    assert [f.code for f in result.findings] == codes


def test_a_natural_key_takes_one_decision_for_one_row() -> None:
    log = source(
        "log", decision(1), decision(2, conversation="chatwoot:1001", createdAt="2025-10-16T17:01:01Z")
    )
    rows = [" | 2025-10-16T17:01:01Z | 1001 | |", " | 2025-10-16T17:01:00Z | 1001 | |"]
    assert [r.number for r in compare([sheet(*rows)], [log]).rows] == ["2", "1"]


def test_actor_action_and_time_are_a_key_where_a_log_names_no_conversation() -> None:
    head = "Decision | Time | Conversation | Operator | Action"
    log = source("log", {"scope": "ops", "who": "op@x.example", "what": "chatwoot.escalate",
                         "createdAt": "2025-10-16T17:01:00.500Z"})  # fmt: skip
    row = sheet("55 | 2025-10-16T17:01:00.500Z | 1001 | op@x.example | escalate", head=head)
    result = compare([row], [log])
    assert [r.method for r in result.rows] == ["natural-key"]


def test_a_time_zone_is_called_one() -> None:
    rows = [f"{n} | 2025-10-16T19:{n:02d}:00Z | | |" for n in (1, 2, 3)]
    result = compare([sheet(*rows)], [source("log", *FIVE)])
    assert result.drift_median_ms == 7_200_000
    assert any("+2 h: a time zone" in note for note in result.notes)
    assert all("a time zone" in f.log for f in result.findings)
    assert spell(-19_800_000) == "-5.5 h: a time zone"
    assert spell(2500) == "+2.500 s"


def test_the_median_is_a_difference_that_occurred() -> None:
    rows = [
        "1 | 2025-10-16T17:01:10Z | | |",
        "2 | 2025-10-16T17:01:50Z | | |",
        "3 | 2025-10-16T17:03:30Z | | |",
    ]
    result = compare([sheet(*rows)], [source("log", *FIVE)])
    assert [r.drift_ms for r in result.rows] == [10_000, -9_001, 30_000]
    assert result.drift_median_ms == 10_000


def test_every_log_must_have_every_decision() -> None:
    result = compare([sheet(*ROWS)], [source("workspace", *FIVE), source("export", *FIVE[:2])])
    assert [(f.code, f.decision, f.source) for f in result.findings] == [("missing_in_log", "3", "export")]
    assert result.rows[0].sources == ("workspace", "export")


def test_outcomes_stand_in_where_nobody_holds_decisions() -> None:
    head = "Decision | Time"
    events = source("events", *(event(n) for n in (1, 2, 3)))
    claims = sheet("1 | 2025-10-16T17:01:01Z", "3 | 2025-10-16T17:03:01Z", head=head)
    result = compare([claims], [events])
    assert found(result) == [("missing_in_worksheet", 0, "2")]
    assert any("stand for them" in note for note in result.notes)
    # Beside decisions they say only how things ended: one without an outcome is not missing.
    assert found(compare([sheet(*ROWS)], [source("log", *FIVE), source("events", event(1))])) == []


def test_nothing_to_compare_is_no_success() -> None:
    assert compare([sheet(*ROWS)], [source("log")]).exit_code == 3
    assert compare([sheet()], [source("log", *FIVE)]).exit_code == 3
    assert compare([sheet()], [source("log", *FIVE)], session="s1").exit_code == 1
    result = compare([sheet(*ROWS)], [source("log", *FIVE), source("latest")])
    assert [(f.code, f.source) for f in result.findings] == [("empty_log", "latest")]


def test_two_worksheets_may_not_claim_one_decision() -> None:
    one, two = sheet(*ROWS), sheet(ROWS[0])
    two.name = "v.md"
    two.rows = [type(r)(**{**{f: getattr(r, f) for f in r.__slots__}, "sheet": "v.md"}) for r in two.rows]
    result = compare([one, two], [source("log", *FIVE)])
    assert [(f.code, f.sheet) for f in result.findings] == [("duplicate", "v.md")]
    assert "of w.md" in result.findings[0].log


def test_csv_runs_no_formula_and_every_code_has_its_words() -> None:
    log = source("log", decision(1, conversation='=HYPERLINK("x")'))
    text = formats.as_csv(compare([sheet("1 | | 1001 | |")], [log]))
    assert ",=HYPER" not in text
    assert "'=HYPER" in text
    assert all(meaning.endswith(".") and todo.endswith(".") for meaning, todo in CODES.values())


def test_every_code_is_in_the_manual() -> None:
    page = (Path(__file__).parents[2] / "cairnops" / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [c for c, (meaning, todo) in CODES.items() if f"| `{c}` | {meaning} | {todo} |" not in page] == []


def test_junit_is_xml_whatever_stands_in_a_row() -> None:
    from xml.etree import ElementTree

    log = source("log", decision(1, conversation="x:\x00\x1b]<&\ud800￿"))
    result = compare([sheet("1 | | 1001 | |", "9 | | | |", "<b>&\x07 | | | |")], [log])
    root = ElementTree.fromstring(formats.as_junit(result))
    suites = root.findall("testsuite")
    assert root.get("failures") == str(sum(int(s.get("failures", 0)) for s in suites)) == "3"
    assert root.get("tests") == str(len(root.findall("testsuite/testcase")))
    types = [f.get("type") for f in root.iter("failure")]
    assert types == ["conversation_mismatch", "missing_in_log", "unreadable_row"]
    empty = ElementTree.fromstring(formats.as_junit(compare([sheet(*ROWS)], [source("log")])))
    assert int(empty.get("skipped", 0)) > 0


# --- every engine finds the same -----------------------------------------------------------------------------------

_NUMBER = st.one_of(
    st.integers(0, 12), st.integers(0, 12).map(str), st.integers(0, 12).map(lambda n: f"00{n}"),
    st.sampled_from(["", " 7 ", "x-9", None, 5.0, 5.5, True, 10**25, "²"]),
)  # fmt: skip
_UID = st.sampled_from(
    [UID.format("A"), UID.format("B").lower(), "0b7f9c3e-1111-4222-8333-44445555666A", "", None, "u1"]
)
_ABOUT = st.sampled_from(["chatwoot:1", "2", 3, "0004", "x:5", "", None, "é:1"])
_TIME = st.sampled_from(
    ["2025-10-16T17:00:00.000Z", "2025-10-16T17:00:01.500Z", "2025-10-16 17:00:00", "2025-10-16T19:00:00+02:00",
     "2025-10-16T17:00:00.123456Z", "2025-10-16", "infinity", "2025-02-30T00:00:00Z", "2025-10-16T24:00:00Z", "", None,
     1760634000, 1760634000500, "2025-10-16T17:00:00+00"]
)  # fmt: skip
_RECORD = st.fixed_dictionaries(
    {},
    optional={
        "decisionId": _NUMBER,
        "decision_id": _NUMBER,
        "id": st.one_of(_NUMBER, _UID),
        "uid": _UID,
        "conversation": _ABOUT,
        "externalRef": _ABOUT,
        "action": st.sampled_from(["chatwoot.escalate", "", None, " a "]),
        "what": st.sampled_from(["chatwoot.escalate chatwoot:1", "said so", "", None]),
        "actor": st.sampled_from(
            ["Op@X.example", {"email": "op@x.example", "role": "operator"}, {"email": 1}, None, ""]
        ),
        "who": st.sampled_from(["op@x.example", None]),
        "createdAt": _TIME,
        "timestamp": _TIME,
        "scope": st.sampled_from(["ops", "OPS", "build", "", None]),
        "session": st.sampled_from(["s1", "s2", "", None]),
        "status": st.sampled_from(["SUCCESS", "timeout", "", None, 500]),
        "effect": st.sampled_from(["reply", "note", None]),
        "attempt": st.sampled_from([1, 2, "3", None, -1, 2.0]),
        "durationMs": st.sampled_from([1.5, None, "fast", 1e300]),
        "messages": st.sampled_from([None, []]),
        "note": st.sampled_from(['a "quoted" word', "line\nend", "\ud83d\ude00", {"a": [1]}, None]),
    },
)
_DIRT = st.sampled_from(["{", "null", "[]", "", "   ", '{"decisionId":3,"decisionId":4,"status":"OK"}',
                         '{"decisionId":5,"status":"OK",}', '[{"decisionId":6,"status":"OK"}]', "<html>",
                         '{"decisionId":7,"status":"OK"}{"decisionId":8,"status":"OK"}'])  # fmt: skip

ASKED = ({"1", "5", "7", "12", "x-9"}, {UID.format("A"), "u1"})
PARTS = [
    Part(scope="ops"),
    Part(scope="ops", sessions=frozenset({"s1", "x'"})),
    Part(scope="build", start=1760634000000, end=1760634001499),
    Part(scope="ops", start=1760634000000, end=1760634001499),
    Part(scope="ops", start=1760634000001, end=1760634099999),
    Part(scope="ops", start=1760630000000, end=1760639000000),
]


def answers(log: Rows | Log) -> list[Any]:
    """Everything a source can be asked, without what only files have."""

    def bare(rows: Sequence[LogRow]) -> list[dict[str, Any]]:
        plain = [{f: getattr(r, f) for f in r._fields if f not in ("source", "line")} for r in rows]
        return sorted(plain, key=lambda r: json.dumps(r, sort_keys=True))

    out: list[Any] = [log.account.rows, log.account.decisions, log.newest()]
    out.append(bare(log.find(*ASKED)))
    out.append(bare(log.find(set(), ASKED[1])))
    out.append(bare(log.about({"chatwoot:1", "chatwoot:4"}, [(1760634000000, 1760634000400)])))
    for part in PARTS:
        for events in (False, True):
            for limit in (2, 1000):
                left = log.unlisted(part, ASKED[0], ASKED[1], events=events, limit=limit)
                out += [left.count, bare(left.rows)]
    return out


def lines_of(records: Sequence[Any]) -> list[str]:
    return [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]


def oracle(path: Path) -> Rows:
    from cairnops.evidence.reconcile import read_export

    return read_export(path)


@settings(max_examples=12, deadline=None)
@given(st.lists(_RECORD | _DIRT, min_size=1, max_size=40), st.sampled_from([1500, 10**6]), st.booleans())
def test_lines_read_by_the_engine_say_what_the_careful_reader_says(
    records: list[Any], piece: int, packed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.ndjson"
        data = "\n".join(lines_of(records)).encode("utf-8", "surrogatepass")
        path.write_bytes(gzip.compress(data) if packed else data)
        log = open_lines(path, piece=piece)
        if log is None:
            return
        with log:
            careful = oracle(path)
            assert answers(log) == answers(careful)
            assert log.account.rejects == careful.account.rejects
            assert log.account.other == careful.account.other
            assert {r.line for r in log.find(*ASKED)} == {r.line for r in careful.find(*ASKED)}


_TYPED = st.fixed_dictionaries(
    {
        "decisionId": st.one_of(st.none(), st.integers(0, 12)),
        "uid": st.one_of(st.none(), st.sampled_from([UID.format("A"), UID.format("B"), " "])),
        "conversation": st.sampled_from(["chatwoot:1", "4", "é:1", None]),
        "action": st.sampled_from(["chatwoot.escalate", None]),
        "status": st.sampled_from(["SUCCESS", "timeout", None]),
        "scope": st.sampled_from(["ops", "build", " ops", None]),
        "session": st.sampled_from(["s1", "s2", None]),
        "ms": st.sampled_from([1760634000000, 1760634001500, None]),
        "attempt": st.sampled_from([1, 2, None]),
        "email": st.sampled_from(["op@x.example", None]),
    }
)


@settings(max_examples=12, deadline=None)
@given(st.lists(_TYPED, min_size=1, max_size=30), st.booleans(), st.booleans())
def test_parquet_says_what_its_rows_say(rows: list[dict[str, Any]], full: bool, textual: bool) -> None:
    if full:
        # Without a gap the engine takes its short cuts.
        rows = [
            {**r, "decisionId": r["decisionId"] or 1, "scope": "ops", "status": r["status"] or "OK"}
            for r in rows
        ]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path, lines = Path(folder) / "log.parquet", Path(folder) / "rows.json"
        lines.write_text("\n".join(json.dumps(r) for r in rows))
        con = stack.enter_context(duckdb.connect())
        con.execute("SET timezone = 'UTC'")
        number = "decisionId::VARCHAR" if textual else "decisionId"
        texts = ("uid", "conversation", "action", "status", "scope", "session", "email")
        columns = {
            "decisionId": "BIGINT",
            "ms": "BIGINT",
            "attempt": "INTEGER",
            **dict.fromkeys(texts, "VARCHAR"),
        }
        kinds = ", ".join(f"{n}: '{k}'" for n, k in columns.items())
        con.execute(
            f'COPY (SELECT {number} AS "decisionId", uid, conversation, action, status, scope, session,'
            f" make_timestamptz(ms * 1000) AS \"createdAt\", attempt, {{'email': email}} AS actor"
            f" FROM read_json('{lines}', format = 'newline_delimited', columns = {{{kinds}}})) TO '{path}'"
        )
        records = [
            {**{k: v for k, v in r.items() if k not in ("ms", "email")}, "createdAt": r["ms"] and r["ms"] / 1000,
             "actor": {"email": r["email"]}}
            for r in rows
        ]  # fmt: skip
        log = stack.enter_context(open_parquet(str(path), "log"))
        assert answers(log) == answers(source("log", *records))


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(
            [{"decisionId": n} for n in range(40)] + [event(n) for n in range(40, 80)], id="columns-come-late"
        ),
        pytest.param([event(n, "Straße") for n in range(12)], id="letters-that-grow-in-upper-case"),
        pytest.param([{**event(n), "durationMs": 1e300, "more": ""} for n in range(12)], id="long-numbers"),
        pytest.param([event(n) for n in range(6)] + [{**event(7), "action": "x"}], id="one-more-key"),
    ],
)
def test_short_cuts_over_lines_leave_nothing_out(records: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text("".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records))
    log = open_lines(path, piece=700)
    assert log
    with log:
        assert answers(log) == answers(oracle(path))


def _cases(seed: int) -> Iterator[tuple[list[dict[str, Any]], str]]:
    luck = random.Random(seed)
    for _ in range(8):
        records = [
            decision(
                n, uid=f"{luck.randrange(6)}{n:025d}".replace("0", "A"), session=luck.choice(["s1", "s1", "s2"]),
                scope=luck.choice(["ops", "ops", "build"]), conversation=f"chatwoot:{luck.randrange(8)}",
                actor="op@x.example",
            )
            for n in (luck.randrange(30) for _ in range(25))
        ]  # fmt: skip
        records += [event(luck.randrange(30), luck.choice(["SUCCESS", "TIMEOUT"])) for _ in range(10)]
        rows = [
            " | ".join(
                (luck.choice([str(luck.randrange(35)), "—", ""]),
                 luck.choice(["", f"2025-10-16T17:{luck.randrange(30):02d}:0{luck.randrange(5)}Z"]),
                 f"{luck.randrange(8)}", luck.choice(["", "op@x.example"]), luck.choice(["", "SUCCESS"]))
            )
            for _ in range(12)
        ]  # fmt: skip
        yield records, "\n".join(rows)


@pytest.mark.parametrize("seed", range(2))
def test_a_whole_reconciliation_is_the_same_on_every_engine(seed: int, tmp_path: Path) -> None:
    for place, (records, rows) in enumerate(_cases(seed)):
        claims = sheet(*rows.split("\n"))
        path, packed = tmp_path / f"{place}.ndjson", tmp_path / f"{place}.parquet"
        path.write_text("".join(json.dumps(r) + "\n" for r in records))
        duckdb.execute(f"COPY (SELECT * FROM read_json('{path}', sample_size = -1)) TO '{packed}'")
        with ExitStack() as stack:
            lines = open_lines(path, piece=500)
            assert lines
            engines = [
                oracle(path),
                stack.enter_context(lines),
                stack.enter_context(open_parquet(str(packed), path.name)),
            ]
            told = []
            for engine in engines:
                data = compare([claims], [engine]).to_dict()
                for f in data["findings"]:
                    f["log"] = f["log"].split(" (lines")[0]
                told.append([data[key] for key in ("findings", "rows", "counts", "part", "notes", "verdict")])
            assert told[1] == told[0]
            assert told[2] == told[0]
