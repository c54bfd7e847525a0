"""The commands that read files: what they say, record, write, and with which exit code they end."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests import warm

EXPORTS = Path(__file__).parents[2] / "fixtures" / "exports"
SAMPLE = EXPORTS / "decision_sync_sample.ndjson"


def run(folder: Path, *args: object) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "cairnops", *map(str, args)]
    environ = {**os.environ, "COLUMNS": "80", "CAIRNOPS_HOME": str(folder / "workspace")}
    done = warm.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        pytest.param("decision_sync_sample", 0, "one JSON object a line", id="clean"),
        pytest.param("concatenated", 1, "taken apart", id="repaired-and-cut"),
        pytest.param("html_saved_as", 2, "a web page", id="page"),
        pytest.param("postgrest_error_exploded", 2, "error 42703", id="error-body"),
        pytest.param("empty", 3, "an empty file", id="empty"),
        pytest.param("empty_array", 3, "a JSON array", id="no-rows"),
    ],
)
def test_inspect_says_what_a_file_is(tmp_path, name, code, said):
    got, out, _ = run(tmp_path, "decisions", "inspect", EXPORTS / f"{name}.ndjson")
    assert got == code
    assert said in out
    assert max(map(len, out.splitlines())) <= 80


def test_inspect_as_data(tmp_path):
    code, out, err = run(tmp_path, "decisions", "inspect", SAMPLE, EXPORTS / "concatenated.ndjson", "--json")
    sample, other = json.loads(out)
    assert (code, err) == (1, "")
    assert sample["sha256"].startswith("295d45a3")
    assert (sample["lines"], sample["records"], sample["problems"]) == (4, 4, [])
    assert other["lines"] == other["recordLines"] + other["rejectLines"] + other["blank"]
    assert other["problems"][0]["reason"] == "truncated"


def test_the_same_bytes_are_imported_once(tmp_path):
    code, out, _ = run(tmp_path, "decisions", "import", SAMPLE, "--as", "qa@shop.example:qa", "--json")
    assert code == 0
    assert json.loads(out)[0]["result"] == "imported"
    copy = tmp_path / "refreshed_2025-10-10T07-29-39Z.ndjson"
    shutil.copyfile(SAMPLE, copy)
    code, out, _ = run(tmp_path, "decisions", "import", copy, EXPORTS / "html_saved_as.ndjson", "--json")
    known, refused = json.loads(out)
    assert code == 2
    assert known["result"] == "known"
    assert known["claimedAt"] == "2025-10-10T07:29:39.000Z"
    assert "the same bytes as decision_sync_sample.ndjson" in known["said"]
    assert "no new data" in known["said"]
    assert refused["result"] == "refused"
    import sqlite3

    connection = sqlite3.connect(tmp_path / "workspace" / "cairnops.db")
    try:
        assert connection.execute("SELECT name, records, claimed_at FROM imported").fetchall() == [
            (SAMPLE.name, 4, "")
        ]
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("UPDATE imported SET records = 5")
    finally:
        connection.close()


def test_convert_writes_what_summary_reads(tmp_path):
    code, out, err = run(
        tmp_path, "decisions", "convert", EXPORTS / "concatenated.ndjson", SAMPLE, "-o", "parquet"
    )
    assert code == 0
    assert "1 reject left out" in err
    files = [tmp_path / line for line in out.split()]
    assert [f.exists() for f in files] == [True, True]
    code, out, _ = run(tmp_path, "decisions", "summary", files[1], "--json")
    assert code == 3
    assert json.loads(out) == json.loads(run(tmp_path, "decisions", "summary", SAMPLE, "--json")[1])
    code, _, err = run(tmp_path, "decisions", "convert", EXPORTS / "html_saved_as.ndjson", "-o", "parquet")
    assert code == 2
    assert "web page" in err


def test_fixtures_make(tmp_path):
    code, out, err = run(
        tmp_path, "fixtures", "make", "--rows", 500, "--dirt", "2%", "--seed", 3, "-o", "p.ndjson", "--json"
    )
    told = json.loads(out)
    assert code == 0
    assert "500 lines, 10 of them damaged" in err
    assert sum(told["dirt"].values()) == 10
    code, _, err = run(tmp_path, "decisions", "inspect", "p.ndjson")
    assert code == 1
    for share in ("200%", "-1", "some"):
        code, _, err = run(tmp_path, "fixtures", "make", "--dirt", share, "-o", "p.ndjson")
        assert (code, "not a share" in err) == (2, True)
