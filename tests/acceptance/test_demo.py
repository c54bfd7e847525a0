"""What `make demo` leaves on disk, checked row by row; the printout is not evidence."""

import csv
import hashlib
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import rfc8785

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("cairnops")
STAMP = "2025-10-16T17-00-00Z"


def play(workspace: Path) -> subprocess.CompletedProcess[str]:
    """The demo's commands, as the Makefile has them."""
    return subprocess.run(
        ["make", "-s", "play", f"CAIRNOPS={COMMAND}", f"WORKSPACE={workspace}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the demo has run once."""
    workspace = tmp_path_factory.mktemp("demo") / "workspace"
    done = play(workspace)
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def artifact(workspace: Path, name: str) -> Path:
    return workspace / "artifacts" / "demo" / name


def decisions(workspace: Path) -> list[dict[str, Any]]:
    return rows(artifact(workspace, f"decision_export_{STAMP}.ndjson"))


def of(workspace: Path, conversation: str, scope: str = "ops") -> list[dict[str, Any]]:
    return [
        d
        for d in decisions(workspace)
        if d["conversation"] == f"chatwoot:{conversation}" and d["scope"] == scope
    ]


def sync(workspace: Path, decision: int, effect: str) -> dict[str, Any]:
    found = [
        r
        for r in rows(artifact(workspace, f"decision_sync_events_{STAMP}.ndjson"))
        if r["decisionId"] == decision and r["effect"] == effect
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("conversation", "template", "opening", "status", "attempt", "error"),
    [
        pytest.param(
            "1045", "ship_update", "Hi Alex, thanks for flagging the delay.", "SUCCESS", 1, None, id="A"
        ),
        pytest.param(
            "1062",
            "refund_offer",
            "I'm really sorry this item arrived faulty, Jordan.",
            "SUCCESS",
            2,
            None,
            id="B",
        ),
        pytest.param(
            "1071", "ack_delay", "Hi Taylor, thank you for your patience", "TIMEOUT", 3, "ETIMEDOUT", id="C"
        ),
    ],
)
def test_each_case_is_decided_once_and_delivered_as_the_sample_says(
    demo: Path, conversation: str, template: str, opening: str, status: str, attempt: int, error: str | None
) -> None:
    (decision,) = of(demo, conversation)
    assert decision["action"] == "chatwoot.approve_send"
    assert decision["type"] == "cx.escalation"
    assert decision["actor"]["email"] == "alex.kim@practice.example"
    assert decision["suggestion"]["templateId"] == template
    assert decision["finalText"].startswith(opening)
    event = sync(demo, decision["decisionId"], "reply")
    assert (event["status"], event["attempt"], event["errorCode"]) == (status, attempt, error)
    # The suggestion is a record of its own, and the decision points to it.
    shown = of(demo, conversation, "build")
    assert decision["linked"] in {record["uid"] for record in shown}


def test_the_policy_exception_leaves_no_decision_and_a_line_in_the_worksheet(demo: Path) -> None:
    assert of(demo, "1088") == []
    assert of(demo, "1088", "build") == []
    with artifact(demo, "worksheet.csv").open(encoding="utf-8", newline="") as file:
        sheet = list(csv.DictReader(file))
    (line,) = [row for row in sheet if row["Scenario"] == "d-policy-exception"]
    assert line["Decision"] == "—"
    assert "escalation" in line["Outcome"].lower()


def test_the_hold_has_a_follow_up_due_in_an_hour(demo: Path) -> None:
    (decision,) = of(demo, "1071")
    due, made = decision["followUp"]["due"], decision["createdAt"]
    assert (due[11:16], made[11:16]) == ("18:50", "17:50")


def test_the_worksheet_names_time_person_conversation_timer_decision_and_outcome(demo: Path) -> None:
    with artifact(demo, "worksheet.csv").open(encoding="utf-8", newline="") as file:
        sheet = list(csv.DictReader(file))
    ids = {str(d["decisionId"]) for d in decisions(demo) if d["scope"] == "ops"}
    assert {row["Decision"] for row in sheet} - {"—"} == ids
    for row in sheet:
        assert re.fullmatch(r"2025-10-16T\d\d:\d\d:\d\d\.\d{3}Z", row["Time (UTC)"])
        assert re.search(r"\d+ of 60 min", row["SLA timer"])
        assert row["Participant"] and row["Conversation"] and row["Outcome"]
    table = artifact(demo, "worksheet.md").read_text(encoding="utf-8")
    assert table.count("\n| ") == len(sheet) + 2


def test_every_record_hashes_to_its_leaf(demo: Path) -> None:
    for record in decisions(demo):
        leaf = record.pop("leafHash")
        assert leaf == hashlib.sha256(b"\x00" + rfc8785.dumps(record)).hexdigest()


def test_the_summary_agrees_with_a_count_by_hand(demo: Path) -> None:
    events = rows(artifact(demo, f"decision_sync_events_{STAMP}.ndjson"))
    summary = json.loads(artifact(demo, "summary.json").read_text(encoding="utf-8"))
    by_status = Counter(event["status"] for event in events)
    assert summary["totals"]["records"] == len(events)
    assert summary["totals"]["success"] == by_status["SUCCESS"]
    assert summary["totals"]["failure"] == by_status["TIMEOUT"] == 1
    assert summary["durationsMs"]["max"] == max(event["durationMs"] for event in events)


def test_what_was_approved_is_what_the_help_desk_holds_once(demo: Path) -> None:
    held = sqlite3.connect(f"file:{demo / 'simulator.db'}?mode=ro", uri=True)
    try:
        messages = [
            (str(key), json.loads(doc))
            for key, doc in held.execute("select conversation_id, doc from messages")
        ]
    finally:
        held.close()
    for conversation in ("1045", "1062"):
        (decision,) = of(demo, conversation)
        sent = [
            m["content"]
            for key, m in messages
            if key == conversation and m["content"] == decision["finalText"]
        ]
        assert len(sent) == 1
    (held_back,) = of(demo, "1071")
    assert held_back["finalText"] not in [m["content"] for _, m in messages]


def test_running_it_again_changes_nothing_and_is_quick(demo: Path) -> None:
    folder = artifact(demo, "")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    begun = time.monotonic()
    again = play(demo)
    assert again.returncode == 0, again.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    # A fresh run waits out three time-outs; a repeat waits for nothing. Not a speed claim, a sanity bound.
    assert time.monotonic() - begun < 60
