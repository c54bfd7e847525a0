"""A worksheet is read however people typed it, and every line of it is accounted for."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.errors import InputError
from cairnops.telemetry import cells, sheets
from cairnops.telemetry.sheets import Sheet

ULID = "01K7Q0NXP01CKFAQV88SA97WPG"
UUID = "0b7f9c3e-1111-4222-8333-444455556666"


def read(text: str, name: str = "w.md") -> Sheet:
    sheet = sheets.parse(text.encode(), name)
    assert sheet.lines == sheet.blank + sheet.row_lines + sheet.reject_lines + sheet.other_lines
    return sheet


def numbers(sheet: Sheet) -> list[str]:
    return [row.number or row.uid or "—" for row in sheet.rows]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        pytest.param("101", ["101"], id="plain"),
        pytest.param("#101", ["101"], id="hash"),
        pytest.param("# 101", ["101"], id="hash-blank"),
        pytest.param("`101`", ["101"], id="code"),
        pytest.param("**101**", ["101"], id="bold"),
        pytest.param("_101_", ["101"], id="emphasis"),
        pytest.param("[101](https://db.example/rows/101)", ["101"], id="link"),
        pytest.param("[`#101`](x)", ["101"], id="link-around-code"),
        pytest.param("\\#101", ["101"], id="escaped"),
        pytest.param("0101", ["101"], id="leading-zero"),
        pytest.param("000", ["0"], id="zeros"),
        pytest.param("101.0", ["101"], id="spreadsheet-decimal"),
        pytest.param("'101", ["101"], id="spreadsheet-text"),
        pytest.param("１０１", ["101"], id="full-width"),
        pytest.param("\u200b101\ufeff", ["101"], id="invisible"),
        pytest.param("\u00a0101\u00a0", ["101"], id="hard-blanks"),
        pytest.param("decision:101", ["101"], id="namespace"),
        pytest.param("cairnops:decision/101", ["101"], id="evidence-url"),
        pytest.param("Decision 101", ["101"], id="word"),
        pytest.param("Decision ID: 101", ["101"], id="words"),
        pytest.param("№ 101", ["101"], id="numero"),
        pytest.param("104 (attempt 2)", ["104"], id="remark"),
        pytest.param("101, 102", ["101", "102"], id="list"),
        pytest.param("101,102", ["101", "102"], id="list-without-blanks"),
        pytest.param("101 and 102", ["101", "102"], id="and"),
        pytest.param("101<br>102", ["101", "102"], id="break"),
        pytest.param("101/102", ["101", "102"], id="slash"),
        pytest.param("101–103", ["101", "102", "103"], id="range"),
        pytest.param("101, 101", ["101"], id="same-twice-in-a-cell"),
        pytest.param(ULID, [ULID], id="ulid"),
        pytest.param(ULID.lower(), [ULID], id="ulid-lower"),
        pytest.param(UUID.upper(), [UUID], id="uuid"),
        pytest.param("9007199254740993", ["9007199254740993"], id="beyond-a-double"),
    ],
)
def test_an_id_is_read_as_people_write_it(cell: str, expected: list[str]) -> None:
    found = cells.ids(cell, markdown=True)
    assert [n.number or n.uid for n in found.named] == expected
    assert not found.problem
    assert not found.absent


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        pytest.param("1.2E+05", "scientific", id="scientific"),
        pytest.param("1,2E+05", "scientific", id="scientific-comma"),
        pytest.param("1e5", "scientific", id="scientific-short"),
        pytest.param("101.5", "not-whole", id="fraction"),
        pytest.param("1,234", "ambiguous-number", id="thousands-or-list"),
        pytest.param("12.345", "ambiguous-number", id="thousands-or-fraction"),
        pytest.param("TBD", "placeholder", id="tbd"),
        pytest.param("<PENDING>", "placeholder", id="pending"),
        pytest.param("??", "placeholder", id="question-marks"),
        pytest.param("~~101~~", "struck-out", id="struck-out"),
        pytest.param("chatwoot:1045", "conversation", id="conversation"),
        pytest.param("104–101", "range", id="range-backwards"),
        pytest.param("1-99999", "range", id="range-too-long"),
        pytest.param("9" * 40, "too-long", id="too-long"),
        pytest.param("-101", "not-an-id", id="negative"),
        pytest.param("see notes", "not-an-id", id="prose"),
        pytest.param("2025-10-16", "not-an-id", id="date"),
        pytest.param("=101", "not-an-id", id="formula"),
        pytest.param("١٠١", "not-an-id", id="other-digits"),
    ],
)
def test_what_is_no_id_is_rejected_by_name(cell: str, problem: str) -> None:
    assert cells.ids(cell, markdown=True).problem == problem
    sheet = read(f"| Decision | Note |\n| --- | --- |\n| {cell} | x |\n")
    assert [r.reason for r in sheet.rejects] == [problem]
    assert sheet.rejects[0].line == 3
    assert sheet.rejects[0].detail == cells.BAD_IDS[problem]


@pytest.mark.parametrize("cell", ["—", "–", "-", "n/a", "None", "no decision", "No decision.", "**—**"])
def test_some_words_say_that_there_is_no_decision(cell: str) -> None:
    assert cells.ids(cell, markdown=True).absent


TABLE = """\
# Dry run

| # | Time (UTC) | Decision | Conversation | Outcome |
| --- | --- | --- | --- | --- |
"""


@pytest.mark.parametrize(
    ("line", "expected", "repair"),
    [
        pytest.param("| 1 | 2025-10-16T17:24:00Z | 101 | chatwoot:1045 | sent |", "101", "", id="whole"),
        pytest.param(
            "|| 1 | 2025-10-16 17:24 | 101 | 1045 | sent |", "101", "empty-cell-dropped", id="two-pipes"
        ),
        pytest.param("1 | 2025-10-16 17:24 | 101 | 1045 | sent", "101", "", id="no-outer-pipes"),
        pytest.param("| 1 | 2025-10-16 17:24 | 101 |", "101", "cells-added", id="cells-missing-at-the-end"),
        pytest.param(
            "| 1 | 2025-10-16 17:24 | 101 | 1045 | a | b |", "101", "extra-pipe", id="pipe-in-the-last"
        ),
        pytest.param(
            "| 1 | 2025-10-16 17:24 | 101 | 1045 | sent | |", "101", "empty-cell-dropped", id="one-more"
        ),
        pytest.param("| 1 | 2025-10-16 17:24 | 101 | 1045 | a \\| b |", "101", "", id="escaped-pipe"),
        pytest.param("|| 2025-10-16 17:24 | 101 | 1045 | sent |", "101", "", id="empty-first-cell"),
        pytest.param("\t| 1 | 2025-10-16 17:24 | 101 | 1045 | sent |", "101", "", id="indented"),
    ],
)
def test_a_broken_row_of_a_table_is_still_a_row(line: str, expected: str, repair: str) -> None:
    sheet = read(f"{TABLE}{line}\n")
    assert numbers(sheet) == [expected]
    assert list(sheet.repairs) == ([repair] if repair else [])
    assert sheet.rows[0].at is not None
    if "1045" in line:
        assert sheet.rows[0].conversation == "chatwoot:1045"


def test_rows_behind_a_gap_belong_to_their_table() -> None:
    sheet = read(f"{TABLE}| 1 | | 101 | 1045 | |\n\nNoted later:\n\n|| 2 | | 102 | 1046 | |\n")
    assert numbers(sheet) == ["101", "102"]
    assert sheet.repairs["outside"] == 1
    assert [r.line for r in sheet.rows] == [5, 9]


def test_a_row_over_two_lines_is_put_together() -> None:
    sheet = read(f"{TABLE}| 1 | 2025-10-16 17:24 |\n101 | 1045 | sent |\n| 2 | | 102 | 1045 | |\n")
    assert numbers(sheet) == ["101", "102"]
    assert sheet.repairs == {"joined": 1}
    sheet = read(f"{TABLE}| 1 | | 101 | 1045 | sent\nlate |\n| 2 | | 102 | 1045 | |\n")
    assert numbers(sheet) == ["101", "102"]


def test_a_row_that_can_be_cut_two_ways_is_rejected() -> None:
    sheet = read("| Decision | Other |\n|---|---|\n| 101 | 102 | 103 |\n| — | 5 |\n")
    assert numbers(sheet) in (["101", "—"], ["—"])
    sheet = read("| Other | Decision | More |\n|---|---|---|\n| 100 | 101 | 102 | 103 |\n")
    assert [r.reason for r in sheet.rejects] == ["cells-too-many"]


def test_a_row_that_ends_before_its_decision_is_rejected() -> None:
    sheet = read(f"{TABLE}| 1 | 2025-10-16 17:24 |\n")
    assert [r.reason for r in sheet.rejects] == ["cells-missing"]


def test_only_the_table_with_decisions_is_read() -> None:
    tasks, fenced = "| Task | Owner |\n|---|---|\n| 7 | me |\n\n", "\n```\n| 9 | z |\n```\n"
    sheet = read(f"{tasks}| Decision | x |\n|---|---|\n| 101 | y |\n{fenced}")
    assert numbers(sheet) == ["101"]
    assert sheet.other_lines == 8


def test_a_fence_that_is_never_closed_hides_nothing() -> None:
    assert numbers(read("```\n| Decision | x |\n|---|---|\n| 101 | y |\n")) == ["101"]


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_of_every_country(sign: str, end: str) -> None:
    rows = [["Decision ID", "Time", "Conversation"], ["101", "2025-10-16 17:24", "1045"], ["—", "", "1088"]]
    sheet = read("\ufeff" + "".join(sign.join(r) + end for r in rows), "w.csv")
    assert sheet.kind == "csv"
    assert numbers(sheet) == ["101", "—"]
    assert [r.line for r in sheet.rows] == [2, 3]


def test_a_quotation_mark_nobody_closed_swallows_no_row() -> None:
    sheet = read('Decision,Note\n101,"the 5" screen\n102,fine\n103,"two\nlines"\n104,"a 6"\n', "w.csv")
    assert numbers(sheet) == ["101", "102", "103", "104"]
    assert [r.line for r in sheet.rows] == [2, 3, 4, 6]


def test_two_stray_quotation_marks_hide_nothing_between_them() -> None:
    sheet = read('Decision,Note\n101,"a\n102,b\n103,c"\n', "w.csv")
    assert numbers(sheet) == ["101", "102", "103"]
    assert sheet.repairs["stray-quote"] == 2


def test_ids_one_a_line() -> None:
    sheet = read("decision\n101\n\n- #102\n3. 103\n# a remark\n1.2E+05\n[104](x)\n- [x] 105\n", "-")
    assert sheet.kind == "ids"
    assert numbers(sheet) == ["101", "102", "103", "104", "105"]
    assert [(r.line, r.reason) for r in sheet.rejects] == [(7, "scientific")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"decisionId":101}\n', id="export"),
        pytest.param('[{"decisionId":101}]\n', id="array"),
        pytest.param("<!doctype html><html>", id="page"),
        pytest.param("a\0b", id="binary"),
        pytest.param("| Task | Owner |\n|---|---|\n| 7 | me |\n", id="table-of-something-else"),
        pytest.param("Task;Owner;When then\nx;y;z\n", id="csv-of-something-else"),
    ],
)
def test_what_is_no_worksheet_is_said_to_be_none(text: str) -> None:
    with pytest.raises(InputError) as raised:
        sheets.parse(text.encode())
    assert raised.value.hint


@pytest.mark.parametrize(
    ("text", "effect", "status"),
    [
        pytest.param("Approved; reply: SUCCESS at attempt 1", "reply", "SUCCESS", id="ours"),
        pytest.param("reply: saved, not yet sent", "reply", "PENDING", id="not-sent"),
        pytest.param("TIMEOUT", "", "TIMEOUT", id="word"),
    ],
)
def test_how_it_ended_is_read_out_of_an_outcome(text: str, effect: str, status: str) -> None:
    assert cells.statuses(text, exact=False) == ((effect, status),)


def test_prose_has_no_status() -> None:
    assert cells.statuses("Success, the customer was happy", exact=False) == ()
    assert cells.statuses("success", exact=False) == ()
    assert cells.statuses("success", exact=True) == (("", "SUCCESS"),)


@pytest.mark.parametrize(
    ("cell", "paths"),
    [
        pytest.param("[shot](screenshots/a.png)", ["screenshots/a.png"], id="link"),
        pytest.param("`artifacts/logs`", ["artifacts/logs"], id="code"),
        pytest.param("logs/x.ndjson#L4 and/or notes", ["logs/x.ndjson"], id="fragment-and-prose"),
        pytest.param("https://db.example/a.png", [], id="address"),
        pytest.param("[row](https://db.example/a.png)", [], id="link-to-an-address"),
        pytest.param("operator@practice.example, Chatwoot/Supabase, 2.5 h, n/a", [], id="words"),
        pytest.param("cairnops:decision/102", [], id="id"),
    ],
)
def test_the_files_a_cell_points_at(cell: str, paths: list[str]) -> None:
    assert [p.path for p in cells.proofs(cell, markdown=True)] == paths


def test_evidence_in_and_below_the_table(tmp_path: Path) -> None:
    sha = "a" * 64
    sheet = read(
        f"| Decision | Evidence |\n|---|---|\n| 101 | x.ndjson sha256:{sha} |\n\n## Evidence\n\n- [a](b.png)\n"
    )
    assert sheet.rows[0].proofs == (cells.Proof(path="x.ndjson", sha256=sha),)
    assert sheet.proofs == [(7, cells.Proof(path="b.png"))]


_PIECES = st.sampled_from(
    ["|", "||", " ", "101", "#102", "1.2E+05", "—", '"', ";", ",", "\\", "`", "~~", "\n", "\r\n", "\t", "chatwoot:1045",
     "2025-10-16T17:24:00Z", "| Decision | Time | Conversation |", "|---|---|---|", "Decision;Time", "Decision,Note",
     "[101](x)", "<br>", "é", "\ufeff", "```", "## Evidence", "x.png", "101–104", "TBD", "* ", "_"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES, max_size=60).map("".join) | st.text(max_size=200))
def test_no_text_loses_a_line_or_breaks_the_reader(text: str) -> None:
    try:
        read(text)
    except InputError as error:
        assert str(error)
        assert error.hint


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        sheets.parse(data)
    except InputError as error:
        assert error.hint


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**12), st.integers(1, 10**6), st.text(max_size=30)),
        min_size=1,
        max_size=20,
    ),
    st.booleans(),
)
def test_whatever_we_write_we_read_again(rows: list[tuple[int, int, str]], as_csv: bool) -> None:
    from cairnops.evidence import worksheet

    made = [
        worksheet.Row(
            at="2025-10-16T17:24:00.000Z", participant="a@b.example", scenario="s", conversation=f"chatwoot:{c}",
            sla="", decision=str(n), outcome=text, follow_up=text,
        )
        for n, c, text in rows
    ]  # fmt: skip
    sheet = read(worksheet.as_csv(made) if as_csv else worksheet.markdown("t", made))
    assert numbers(sheet) == [str(n) for n, _, _ in rows]
    assert [r.conversation for r in sheet.rows] == [f"chatwoot:{c}" for _, c, _ in rows]
    assert not sheet.rejects
