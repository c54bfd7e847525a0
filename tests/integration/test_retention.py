"""Retention from the command line: a plan that is kept to, a name on record, and proofs that hold afterwards."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ADA = "ada@shop.example:admin"


@pytest.fixture
def kept(played: Path, tmp_path: Path, cli: Any) -> Path:
    """A sealed log, and beside it what somebody kept from then: checkpoint, key, export, proof of decision 101."""
    assert cli("ledger", "seal", "-w", played).code == 0
    assert cli("ledger", "checkpoint", "-o", tmp_path / "old.txt", "-w", played).code == 0
    assert cli("decisions", "export", "-o", tmp_path / "before.ndjson", "-w", played).code == 0
    return played


def test_a_plan_is_looked_at_and_then_applied(kept: Path, cli: Any) -> None:
    narrow = cli("retention", "plan", "-w", kept, columns=80)
    assert max(map(len, narrow.out.splitlines())) <= 80
    shown = cli("retention", "plan", "-w", kept, columns=120)
    plan = json.loads(cli("retention", "plan", "--json", "-w", kept).out)
    assert shown.code == 0 and plan["plan"] in shown.out
    rows = {due["table"]: due for due in plan["due"]}
    assert (rows["decision"]["rows"], plan["unsealed"], plan["undelivered"]) == (6, 0, 1)
    assert rows["decision"]["oldest"].startswith("2025-10-16T17:2") and rows["request"]["rows"] == 0
    done = cli("retention", "apply", "--plan", plan["plan"], "--as", ADA, "--json", "-w", kept)
    assert json.loads(done.out) == plan
    events = {row[0]: row[1] for row in sql(kept, "SELECT kind, actor || role FROM event")}
    assert events["retention.applied"] == events["retention.removed"] == "ada@shop.exampleadmin"
    assert "nothing is old enough" in cli("retention", "apply", "--yes", "--as", ADA, "-w", kept).out
    late = cli("retention", "apply", "--plan", plan["plan"], "--as", ADA, "-w", kept)
    assert late.code == 2 and "is not what would be removed now" in late.err


def test_a_worksheet_of_then_is_told_what_was_removed(kept: Path, tmp_path: Path, cli: Any) -> None:
    sheet = tmp_path / "worksheet.md"
    sheet.write_text("| Decision |\n|---|\n| 101 |\n| 102 |\n| 999 |\n")
    assert cli("retention", "apply", "--yes", "--as", ADA, "-w", kept).code == 0
    told = json.loads(cli("reconcile", sheet, "--json", "-w", kept).out)
    (day,) = sql(kept, "SELECT DISTINCT substr(at, 1, 10) FROM retention")[0]
    found = [(f["code"], f["decision"], f["log"]) for f in told["findings"] if f["line"]]
    gone = f"removed by retention on {day}"
    assert found == [
        ("missing_in_log", "999", "no such decision"),
        ("removed_by_retention", "101", gone),
        ("removed_by_retention", "102", gone),
    ]
    sheet.write_text("| Decision |\n|---|\n| 101 |\n| 102 |\n")
    shown = cli("reconcile", sheet, "-w", kept, columns=140)
    assert shown.code == 0 and gone in shown.out and "2 removed; 0 findings" in shown.out, shown.out


def sql(root: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(root / "cairnops.db", isolation_level=None)) as c:
        return c.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "Say what is to be removed", id="neither"),
        pytest.param(["--yes", "--plan", "x"], "Say what is to be removed", id="both"),
        pytest.param(["--yes"], "An admin removes what is old; operator", id="by nobody in particular"),
        pytest.param(["--yes", "--as", "mo@shop.example:manager"], "manager is another role", id="by a manager"),
        pytest.param(["--plan", "000", "--as", ADA], "Plan 000 is not", id="another plan"),
    ],
)  # fmt: skip
def test_nothing_goes_by_accident(kept: Path, cli: Any, words: list[str], said: str) -> None:
    before = sql(kept, "SELECT number FROM decision"), sql(kept, "SELECT seq FROM event")
    done = cli("retention", "apply", *words, "-w", kept)
    assert done.code == 2 and said in done.err
    assert (sql(kept, "SELECT number FROM decision"), sql(kept, "SELECT seq FROM event")) == before


def test_the_policy_says_how_long(kept: Path, cli: Any) -> None:
    (kept / "policy.yaml").write_text("profile: dry-run\nretention:\n  decision_days: 3650\n")
    assert json.loads(cli("retention", "plan", "--json", "-w", kept).out)["rows"] == 0


def test_what_is_left_is_proved_against_what_was_signed_before(kept: Path, tmp_path: Path, cli: Any) -> None:
    assert cli("retention", "apply", "--yes", "--as", ADA, "-w", kept).code == 0
    key, old = kept / "keys" / "ledger.pub", tmp_path / "old.txt"
    assert cli("db", "check", "-w", kept).code == 0
    whole = json.loads(cli("ledger", "verify", "--old", old, "--json", "-w", kept).out)
    assert (whole["verdict"], whole["removed"], whole["sealed"]) == ("proved", 6, 1)
    # What somebody kept from before still verifies, and so does the record they kept, with a proof of today.
    before = tmp_path / "before.ndjson"
    assert cli("ledger", "verify", before, "--checkpoint", old, "--key", key).code == 0
    assert cli("ledger", "prove", "101", "-o", tmp_path / "101.tlog-proof", "-w", kept).code == 0
    record = tmp_path / "101.ndjson"
    record.write_text(before.read_text().splitlines(keepends=True)[0])
    assert cli("ledger", "verify", record, "--proof", tmp_path / "101.tlog-proof", "--key", key).code == 0
    told = cli("decisions", "show", "101", "-w", kept)
    assert told.code == 2 and "Decision 101 was removed by retention (ada@shop.example, " in told.err
    gone = cli("ledger", "prove", "101", "--record", tmp_path / "x", "-w", kept)
    assert gone.code == 2 and "Retention has removed the record" in gone.err
    # An export of today is a part of the log, and says so under the log's signature.
    left = tmp_path / "left.ndjson"
    assert cli("decisions", "export", "-o", left, "-w", kept).code == 0
    told = cli("ledger", "checkpoint", "-o", tmp_path / "checkpoint.txt", "-w", kept)
    assert "--kept" in told.err
    assert cli("ledger", "verify", left, "--key", key).code == 1
    assert cli("ledger", "checkpoint", "--kept", "-o", tmp_path / "left.extract", "-w", kept).code == 0
    proved = cli("ledger", "verify", left, "--key", key, "--old", old, columns=120)
    assert proved.code == 0 and "all 1 records retention has left of a log of 7 are here" in proved.out
    # Somebody who drops one more has no signature for it.
    left.write_text("")
    assert cli("ledger", "verify", left, "--key", key).code == 1


def test_a_checkpoint_from_before_what_is_left_needs_a_proof_of_growth(
    kept: Path, tmp_path: Path, cli: Any
) -> None:
    old = tmp_path / "old.txt"
    played_again = cli("dryrun", "run", "A", "--session", "later", "-w", kept)
    assert played_again.code == 0 and cli("ledger", "seal", "-w", kept).code == 0
    assert cli("retention", "apply", "--yes", "--as", ADA, "-w", kept).code == 0
    left = tmp_path / "left.ndjson"
    for command in (
        ["decisions", "export", "-o", left],
        ["ledger", "checkpoint", "--kept", "-o", tmp_path / "left.extract"],
        ["ledger", "prove", "--since", old, "-o", tmp_path / "grown"],
    ):
        assert cli(*command, "-w", kept).code == 0
    key = kept / "keys" / "ledger.pub"
    alone = cli("ledger", "verify", left, "--key", key, "--old", old, columns=120)
    assert alone.code == 3 and "ledger prove --since" in alone.out
    assert cli("ledger", "verify", "--proof", tmp_path / "grown", "--old", old, "--key", key).code == 0


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        pytest.param(f"UPDATE tombstone SET leaf_hash = '{'0' * 64}'", "not of a record that was", id="another hash"),
        pytest.param("DELETE FROM tombstone WHERE number = 103", "the decision is gone", id="a tombstone gone"),
        pytest.param("DELETE FROM event WHERE kind LIKE 'retention.%'", "no retention is on", id="the event gone"),
        pytest.param("DELETE FROM decision", "the decision is gone", id="removed beside it"),
        pytest.param(
            "INSERT INTO tombstone SELECT uid, number, leaf_hash, 3 FROM decision", "still there", id="of what is there"
        ),
    ],
)  # fmt: skip
def test_the_database_is_found_out(kept: Path, cli: Any, tamper: str, said: str) -> None:
    assert cli("retention", "apply", "--yes", "--as", ADA, "-w", kept).code == 0
    for (name,) in sql(kept, "SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        sql(kept, f"DROP TRIGGER {name}")
    sql(kept, tamper)
    found = json.loads(cli("ledger", "verify", "--json", "-w", kept).out)
    assert found["verdict"] == "broken"
    assert any(said in one["what"] for one in found["findings"]), found["findings"]
