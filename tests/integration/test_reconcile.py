"""`cairnops reconcile` on a workspace in which the four dry runs were played: clean, and broken in every way."""

import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

Cli = Callable[..., Any]
SESSION = "cx-escalations"


@pytest.fixture
def artifacts(played: Path) -> Path:
    return played / "artifacts" / SESSION


def exports(artifacts: Path) -> tuple[Path, Path]:
    return next(artifacts.glob("decision_export_*.ndjson")), next(artifacts.glob("decision_sync_*.ndjson"))


def codes(done: Any) -> list[str]:
    return [f["code"] for f in json.loads(done.out)["findings"]]


@pytest.mark.parametrize("name", ["worksheet.md", "worksheet.csv"])
def test_what_a_dry_run_left_agrees_with_its_log(cli: Cli, played: Path, artifacts: Path, name: str) -> None:
    done = cli("reconcile", artifacts / name, "-w", played)
    assert (done.code, done.err) == (0, "")
    assert "AGREES" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    decisions, events = exports(artifacts)
    done = cli(
        "reconcile",
        artifacts / name,
        "-s",
        SESSION,
        "-w",
        played,
        "--against",
        decisions,
        "--against",
        events,
    )
    assert done.code == 0
    data = json.loads(cli("reconcile", artifacts / name, "--against", decisions, "--json").out)
    assert [r["state"] for r in data["rows"]] == ["matched"] * 3 + ["no decision"] * 2
    assert data["methods"] == {"decision-id": 3}
    assert data["part"]["sessions"] == [SESSION]


def test_a_changed_worksheet_is_found_out(cli: Cli, played: Path, artifacts: Path, tmp_path: Path) -> None:
    text = (artifacts / "worksheet.md").read_text()
    text = (
        text.replace("| 102 |", "| 101 |")
        .replace("reply: TIMEOUT", "reply: SUCCESS")
        .replace("17:36:00", "19:36:00")
    )
    text += "|| 6 | 2025-10-16T18:10:00.000Z | x | y | chatwoot:1045 | | 1.2E+05 | | |\n"
    broken = tmp_path / "broken.md"
    broken.write_text(text)
    done = cli("reconcile", broken, "-w", played, "-s", SESSION)
    assert done.code == 1
    assert max(map(len, done.out.splitlines())) <= 80
    for code in ("unreadable_row", "missing_in_worksheet", "wrong_scope", "status_differs", "time_drift"):
        assert f"\n{code} (" in done.out
    assert "a time zone" in done.out
    as_json = cli("reconcile", broken, "-w", played, "-s", SESSION, "--json")
    assert set(codes(as_json)) == {
        "unreadable_row",
        "missing_in_worksheet",
        "wrong_scope",
        "status_differs",
        "time_drift",
    }


def test_a_decision_where_none_was_to_be(cli: Cli, played: Path, artifacts: Path, tmp_path: Path) -> None:
    decisions, _ = exports(artifacts)
    row = json.loads(decisions.read_text().splitlines()[1])
    row |= {"decisionId": 999, "uid": "01K7Q0SJW0GHTCQ35R6JGK7XPZ", "conversation": "chatwoot:1088"}
    more = tmp_path / "more.ndjson"
    more.write_text(decisions.read_text() + json.dumps(row) + "\n")
    done = cli("reconcile", artifacts / "worksheet.md", "--against", more, "--json")
    assert done.code == 1
    (finding,) = json.loads(done.out)["findings"]
    assert (finding["code"], finding["decision"], finding["line"]) == ("unexpected_row", "999", 9)


def test_ids_from_stdin(cli: Cli, played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.TextIOWrapper(io.BytesIO(b"102\n#104\n[107](x)\n104\n205\n"))
    monkeypatch.setattr("sys.stdin", given)
    done = cli("reconcile", "-", "-w", played, "--json")
    assert done.code == 1
    assert [(f["code"], f["line"]) for f in json.loads(done.out)["findings"]] == [
        ("missing_in_log", 5),
        ("duplicate", 4),
    ]


def test_every_format_holds_every_finding(cli: Cli, played: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "w.csv"
    sheet.write_text("Decision;Conversation\n102;=1+1\n205;\n1.2E+05;\n")
    command = ("reconcile", sheet, "-w", played, "-s", SESSION)
    data = json.loads(cli(*command, "--format", "json").out)["findings"]
    assert [f["code"] for f in data] == [
        "unreadable_row", "missing_in_log", "missing_in_worksheet", "missing_in_worksheet", "conversation_mismatch",
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(cli(*command, "--format", "csv").out)))
    assert [r["code"] for r in rows] == [f["code"] for f in data]
    assert not any(cell.startswith("=") for r in rows for cell in r.values())
    root = ElementTree.fromstring(cli(*command, "--format", "junit").out)
    assert sum(len(f.get("type", "").split()) for f in root.iter("failure")) == len(data)
    out = tmp_path / "out.xml"
    done = cli(*command, "--format", "junit", "-o", out)
    assert (done.code, done.out) == (1, f"{out}\n")
    ElementTree.fromstring(out.read_text())


def test_evidence_is_looked_at(cli: Cli, played: Path, artifacts: Path, tmp_path: Path) -> None:
    decisions, events = exports(artifacts)
    (tmp_path / "shot.png").write_bytes(b"\x89PNG\r\n\x1a\n rest")
    (tmp_path / "page.png").write_text("<!DOCTYPE html><html>404</html>")
    (tmp_path / "error.ndjson").write_text('"42703"\nnull\nnull\n"column who does not exist"\n')
    (tmp_path / "failed.json").write_text('{"code":"PGRST205","message":"no table for decision 102"}')
    (tmp_path / "run.log").write_text("decision 1022 was saved\n")
    (tmp_path / "rows.ndjson").write_bytes(events.read_bytes())
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "README.md").write_text("here be pictures")
    # What would pass were it here: a picture beside the folder, reached through a link.
    outside = tmp_path.with_name(f"{tmp_path.name}-outside.png")
    outside.write_bytes(b"\x89PNG\r\n\x1a\n rest")
    (tmp_path / "linked.png").symlink_to(outside)
    sha = hashlib.sha256(events.read_bytes()).hexdigest()
    rows = {
        "shot.png": "", "gone.png": "evidence_missing", "page.png": "evidence_mismatch",
        "error.ndjson": "evidence_mismatch", "failed.json": "evidence_mismatch",
        "run.log": "evidence_mismatch", "rows.ndjson": "",
        f"rows.ndjson sha256:{sha}": "", f"rows.ndjson sha256:{'0' * 64}": "evidence_mismatch",
        "shots/": "evidence_mismatch", "../secret.txt": "evidence_mismatch", "linked.png": "evidence_missing",
    }  # fmt: skip
    sheet = tmp_path / "w.md"
    lines = [f"| 102 | {path} |\n" for path in rows]
    sheet.write_text("| Decision | Evidence |\n|---|---|\n" + "".join(lines))
    done = cli("reconcile", sheet, "--against", decisions, "--json")
    found = {
        f["line"]: f["code"] for f in json.loads(done.out)["findings"] if f["code"].startswith("evidence")
    }
    assert found == {n: code for n, code in enumerate(rows.values(), 3) if code}


def test_a_pattern_in_quotes_stands_for_its_exports(cli: Cli, artifacts: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "w.csv"
    sheet.write_text("Decision,Note\n102,\n104,\n")
    named = cli("reconcile", sheet, *(x for p in exports(artifacts) for x in ("--against", p)), "--json")
    found = cli("reconcile", sheet, "--against", artifacts / "decision_*.ndjson", "--json")
    assert (found.code, json.loads(found.out)) == (named.code, json.loads(named.out))
    assert cli("reconcile", sheet, "--against", artifacts / "*.jsonl").code == 2


def test_latest_is_not_taken_at_its_word(cli: Cli, artifacts: Path, tmp_path: Path) -> None:
    decisions, _ = exports(artifacts)
    lines = decisions.read_text().splitlines(keepends=True)
    (tmp_path / "decision_export-latest.ndjson").write_text("".join(lines[:4]))
    (tmp_path / "decision_export_2025-10-16T17-00-00Z.ndjson").write_text("".join(lines))
    sheet = tmp_path / "w.csv"
    sheet.write_text("Decision,Note\n102,\n104,\n")
    done = cli("reconcile", sheet, "--against", tmp_path / "decision_export-latest.ndjson", "--json")
    assert (done.code, codes(done)) == (1, ["stale_latest"])
    (tmp_path / "decision_export-latest.ndjson").write_text("")
    done = cli("reconcile", sheet, "--against", tmp_path / "decision_export-latest.ndjson", "--json")
    assert codes(done) == ["stale_latest"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        pytest.param(["{none}"], 2, "no file", id="no-worksheet"),
        pytest.param(["{export}"], 2, "not a worksheet", id="an-export-for-a-worksheet"),
        pytest.param(["{sheet}", "--against", "{page}"], 2, "web page", id="a-page-for-an-export"),
        pytest.param(["{sheet}", "--against", "{sheet}.parquet"], 2, "Parquet", id="no-parquet"),
        pytest.param(["{sheet}", "-w", "{none}"], 2, "no workspace", id="no-workspace"),
        pytest.param(["{sheet}", "-s", "never"], 2, "No session is called never", id="no-session"),
        pytest.param(["{sheet}", "--against", "{empty}"], 3, "NOTHING TO COMPARE", id="empty-log"),
        pytest.param(["{sheet}", "-o", "x"], 2, "not a table", id="a-table-to-a-file"),
        pytest.param(["{sheet}", "--format", "csv", "--json"], 2, "disagree", id="two-formats"),
    ],
)
def test_what_cannot_be_compared_is_said(
    cli: Cli, played: Path, artifacts: Path, tmp_path: Path, args: list[str], code: int, said: str
) -> None:
    names = {
        "none": tmp_path / "none", "sheet": artifacts / "worksheet.md", "export": exports(artifacts)[0],
        "page": tmp_path / "page.ndjson", "empty": tmp_path / "empty.ndjson",
    }  # fmt: skip
    names["page"].write_text("<html>404</html>")
    names["empty"].write_text("")
    given = [a.format(**names) for a in args]
    done = cli("reconcile", *given, *([] if "-w" in given or "--against" in given else ["-w", played]))
    assert done.code == code
    assert said in done.out + done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "none").exists()


def test_parquet_and_a_large_export_give_the_same(cli: Cli, artifacts: Path, tmp_path: Path) -> None:
    import duckdb

    from cairnops.evidence.reconcile import reconcile

    decisions, events = exports(artifacts)
    packed = tmp_path / "packed.parquet"
    duckdb.execute(f"COPY (SELECT * FROM read_json('{decisions}')) TO '{packed}'")
    assert cli("reconcile", artifacts / "worksheet.md", "--against", packed, "--against", events).code == 0
    small = reconcile(artifacts / "worksheet.md", against=[decisions, events]).to_dict()
    large = reconcile(artifacts / "worksheet.md", against=[decisions, events], large=0).to_dict()
    for data in (small, large):
        for log in data["logs"]:
            log.pop("kind")
    assert large == small


def test_reading_changes_nothing(cli: Cli, played: Path, artifacts: Path) -> None:
    def dump() -> str:
        con = sqlite3.connect(played / "cairnops.db")
        try:
            return "\n".join(con.iterdump())
        finally:
            con.close()

    before = dump()
    assert cli("reconcile", artifacts / "worksheet.md", "-w", played).code == 0
    assert dump() == before
