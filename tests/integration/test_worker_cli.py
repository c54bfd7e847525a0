"""The worker as a process: it stops when asked, says how it is, and people see and mend what is stuck."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cairnops.domain.conversations import Actor
from cairnops.domain.requests import Action, Request
from cairnops.settings import Settings
from cairnops.store.outbox import SqlOutbox
from cairnops.workspace import Workspace
from tests import warm

ROOT = Path(__file__).resolve().parents[2]
_OURS = ("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "FEATURE_", "SUPABASE_")


@contextmanager
def worker(root: Path, *args: object, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A worker in a process of its own, killed when it is not gone by then."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    process = warm.Popen(
        [sys.executable, "-m", "cairnops", "worker", "-w", str(root), *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=kept | env,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], text: str) -> str:
    """The line of stderr that holds the text."""
    assert process.stderr
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f"it never said {text!r}")


def until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def put(root: Path, key: str = "n1", env: dict[str, str] | None = None) -> str:
    """A decision whose effect waits; returns the effect's uid."""
    with Workspace.open(root, Settings(env or {})) as w:
        w.desk().submit(
            Request(
                action=Action.NOTE,
                conversation="1045",
                actor=Actor(email="alex@shop.example"),
                key=key,
                note=f"note {key}",
            )
        )
        return str(w.ledger.deliveries(conversation="1045")[-1]["uid"])


def ended(root: Path, uid: str) -> str:
    with Workspace.open(root, Settings({})) as w:
        (row,) = [d for d in w.ledger.deliveries(conversation="1045") if d["uid"] == uid]
        return row["final"]["status"] if row["final"] else ""


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_delivers_until_it_is_asked_to_stop(played: Path, cli: Any, sign: signal.Signals) -> None:
    with worker(played) as process:
        said(process, "delivers to simulator:")
        uid = put(played)
        until(lambda: ended(played, uid) == "SUCCESS")
        seen = json.loads(cli("worker", "status", "--json", "-w", played).out)
        assert [(w["pid"], w["alive"]) for w in seen["workers"]] == [(process.pid, True)]
        process.send_signal(sign)
        assert "1 effects delivered, 0 ended otherwise" in said(process, "stopped")
        assert process.wait(30) == 0
    assert json.loads(cli("worker", "status", "--json", "-w", played).out)["workers"] == []


def test_status_says_what_is_stuck_and_once_mends_it(played: Path, cli: Any) -> None:
    assert cli("worker", "status", "-w", played).code == 0
    uid = put(played)
    done = cli("worker", "status", "-w", played)
    assert done.code == 1 and "1 effect waits and no worker is alive" in done.out
    assert cli("worker", "--once", "-w", played).code == 0
    assert ended(played, uid) == "SUCCESS"
    assert cli("worker", "status", "-w", played).code == 0


def test_a_worker_that_was_killed_is_shown_and_its_effect_is_not_lost(played: Path, cli: Any) -> None:
    uid = put(played)
    with Workspace.open(played, Settings({})) as w:
        outbox = SqlOutbox(w.ledger.engine, w.destination)
        assert outbox.claim("dead", now_ms=time.time_ns() // 1_000_000, lease_ms=1500) is not None
    assert cli("worker", "--once", "-w", played).code == 0
    with Workspace.open(played, Settings({})) as w:
        (row,) = [d for d in w.ledger.deliveries() if d["uid"] == uid]
    assert [a["answer"] for a in row["attempts"]] == ["lost", "ok"]
    assert row["final"]["status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("layout", "mends"), [("1", "cairnops db upgrade"), ("3", "or a newer one")], ids=["older", "newer"]
)
def test_a_worker_of_another_layout_does_not_begin(played: Path, cli: Any, layout: str, mends: str) -> None:
    uid = put(played)
    with closing(sqlite3.connect(played / "cairnops.db")) as file, file:
        file.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (layout,))
    refused = cli("worker", "--once", "-w", played)
    assert refused.code == 2 and f"layout {layout}, this cairnops needs 2" in refused.err
    assert mends in refused.err
    with closing(sqlite3.connect(played / "cairnops.db")) as file:
        assert file.execute("SELECT state, attempt FROM effect WHERE uid = ?", (uid,)).fetchone() == (
            "ready",
            0,
        )


def test_health_over_http(played: Path) -> None:
    with worker(played, "--http", 0) as process:
        base = re.search(r"http://[0-9.:]+", said(process, "health: "))
        assert base and base[0].startswith("http://127.0.0.1:")
        until(lambda: httpx.get(f"{base[0]}/ready", timeout=30).status_code == 200)
        assert httpx.get(f"{base[0]}/live", timeout=30).text == "alive\n"
        uid = put(played)
        until(lambda: ended(played, uid) == "SUCCESS")
        figures = httpx.get(f"{base[0]}/metrics", timeout=30).text
        rows = dict(line.rsplit(" ", 1) for line in figures.splitlines() if not line.startswith("#"))
        assert rows['cairnops_effects_ended_total{status="SUCCESS"}'] == "1"
        assert rows['cairnops_queue_effects{state="waiting"}'] == "0"
        assert rows['cairnops_workers{state="alive"}'] == "1"
        assert "1045" not in figures and "alex" not in figures
        labels = {line.partition("{")[2].partition("=")[0] for line in rows if "{" in line}
        assert labels == {"status", "state"} and len(rows) < 20
        process.terminate()
        assert process.wait(30) == 0


def test_a_port_that_is_taken_is_one_sentence(played: Path) -> None:
    with worker(played, "--http", 0) as first:
        port = re.search(r":(\d+)/", said(first, "health: "))
        assert port
        with worker(played, "--http", port[1]) as second:
            assert f"port {port[1]} cannot be listened on" in said(second, "error: ")
            assert second.wait(30) == 2


def test_parking_and_sending_again_by_a_person(played: Path, cli: Any) -> None:
    uid = put(played)
    done = cli(
        "jobs", "park", uid, "--reason", "wrong customer", "--as", "sam@shop.example:lead", "-w", played
    )
    assert done.code == 0 and "wrong customer (sam@shop.example)" in done.out
    assert cli("worker", "--once", "-w", played).code == 0
    assert ended(played, uid) == ""
    listed = json.loads(cli("jobs", "list", "--parked", "--json", "-w", played).out)
    assert uid in [row["effect"] for row in listed]
    refused = cli("jobs", "retry", uid, "--as", "quinn@shop.example:qa", "-w", played)
    assert refused.code == 2 and "qa does not act" in refused.err
    assert "back in the queue" in cli("jobs", "retry", uid, "-w", played).out
    assert cli("worker", "--once", "-w", played).code == 0
    assert ended(played, uid) == "SUCCESS"
    shown = cli("jobs", "show", uid, "-w", played).out
    assert "job.parked by sam@shop.example" in shown and "job.retried by operator@" in shown
    again = cli("jobs", "retry", uid, "-w", played)
    assert again.code == 2 and "has arrived" in again.err


def test_an_empty_reason_is_none(played: Path, cli: Any) -> None:
    done = cli("jobs", "park", put(played), "--reason", "  ", "-w", played)
    assert done.code == 2 and "--reason is empty" in done.err


def test_an_outage_is_told_wherever_somebody_looks(
    played: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        gone = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    env = {"CHATWOOT_BASE_URL": gone, "CHATWOOT_API_TOKEN": "t0ken"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    (played / "policy.yaml").write_text("profile: dry-run\ndelivery: {backoff_ms: 10}\n")
    uid = put(played, env=env)
    done = cli("deliver", "-w", played)
    why = "has not answered since"
    assert done.code == 2 and why in done.err and "(ECONNREFUSED)" in done.err
    assert cli("worker", "--once", "-w", played).code == 2
    (row,) = [r for r in json.loads(cli("jobs", "list", "--json", "-w", played).out) if r["effect"] == uid]
    assert why in row["why"] and row["state"] in ("waiting", "retrying")
    assert why in cli("jobs", "show", uid, "-w", played).out
    seen = cli("worker", "status", "-w", played)
    assert seen.code == 1 and why in seen.out
    assert (
        json.loads(cli("worker", "status", "--json", "-w", played).out)["outage"]["error"] == "ECONNREFUSED"
    )
    with worker(played, "--http", 0, **env) as process:
        base = re.search(r"http://[0-9.:]+", said(process, "health: "))
        assert base
        until(lambda: httpx.get(f"{base[0]}/ready", timeout=30).status_code == 200)
        figures = httpx.get(f"{base[0]}/metrics", timeout=30).text
        assert "cairnops_help_desk_up 0" in figures and gone not in figures
        process.terminate()
        assert process.wait(30) == 0
    assert ended(played, uid) == ""
