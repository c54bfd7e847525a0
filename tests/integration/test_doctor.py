"""The doctor's lines: what is ready, what is blocked and what to do, and no secret in any of them."""

import json
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from cairnops.cli import doctor
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.workspace import now

CANARY = "canary-5b1e77"


def lines(cli: Any, root: Path, code: int) -> dict[str, dict[str, str]]:
    done = cli("doctor", "--json", "-w", root)
    assert done.code == code, done
    assert CANARY not in done.out + done.err
    return {row["what"]: row for row in json.loads(done.out)}


def test_a_workspace_on_its_own_is_ready(played: Path, cli: Any) -> None:
    found = lines(cli, played, 0)
    assert [(w, r["state"]) for w, r in found.items() if r["state"] != "ready"] == [
        ("database clock", "not checked"), ("workers", "not checked"), ("clock", "not checked"),
        ("Supabase", "not checked"), ("row-level security", "not checked"),
    ]  # fmt: skip
    assert "layout" in found["database"]["detail"] and "1 parked" in found["queue"]["detail"]


def test_no_workspace_is_not_made(tmp_path: Path, cli: Any) -> None:
    found = lines(cli, tmp_path / "absent", 1)
    assert (found["database"]["state"], found["database"]["fix"]) == ("blocked", "cairnops init")
    assert not (tmp_path / "absent").exists()


def test_a_key_others_can_read(played: Path, cli: Any) -> None:
    (played / "keys" / "ledger.key").chmod(0o644)
    assert lines(cli, played, 1)["ledger key"]["fix"].startswith("chmod 600 ")


def test_a_damaged_database_blocks_what_is_in_it(played: Path, cli: Any) -> None:
    (played / "cairnops.db").write_bytes(b"this was a database once")
    found = lines(cli, played, 1)
    assert found["database"]["state"] == "blocked"
    assert {found[what]["state"] for what in ("decision log", "policy", "workers", "queue")} == {
        "not checked"
    }


@pytest.mark.parametrize(
    ("token", "what", "state", "said"),
    [
        pytest.param(
            CANARY, "help desk account", "ready", "1, Simulator; administrator", id="the right token"
        ),
        pytest.param(f"{CANARY}x", "help desk token", "blocked", "HTTP 401: Invalid", id="a wrong token"),
        pytest.param("", "help desk", "blocked", "CHATWOOT_API_TOKEN is not set", id="no token"),
    ],
)
def test_the_help_desk(
    played: Path, cli: Any, monkeypatch: pytest.MonkeyPatch, token: str, what: str, state: str, said: str
) -> None:
    with ChatwootSimulator(token=CANARY) as simulator:
        monkeypatch.setenv("CHATWOOT_BASE_URL", simulator.base_url)
        monkeypatch.setenv("CHATWOOT_API_TOKEN", token)
        found = lines(cli, played, 0 if state == "ready" else 1)
    assert found[what]["state"] == state and said in found[what]["detail"]
    assert found["clock"]["state"] == ("ready" if token else "not checked")


def test_a_help_desk_nobody_reaches(played: Path, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATWOOT_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CHATWOOT_API_TOKEN", CANARY)
    found = lines(cli, played, 1)
    assert "no answer from http://127.0.0.1:9 (ECONNREFUSED)" in found["help desk"]["detail"]
    assert found["clock"]["state"] == found["help desk token"]["state"] == "not checked"


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "ready"), (20, "ready"), (90, "blocked"), (-90, "blocked")]
)
def test_clocks_apart(seconds: int, state: str) -> None:
    from datetime import timedelta

    line = doctor._clock(format_datetime(now() + timedelta(seconds=seconds)))
    assert line.state == state
    assert doctor._clock("soon").state == "not checked"


def test_supabase_half_set_up(played: Path, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    without = lines(cli, played, 1)
    assert without["Supabase"]["state"] == "blocked" and "SUPABASE_SERVICE_KEY" in without["Supabase"]["fix"]
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", CANARY)
    found = lines(cli, played, 1)
    assert "No answer from http://127.0.0.1:9 (" in found["Supabase"]["detail"]
    assert found["row-level security"]["state"] == "not checked"


def test_a_policy_nobody_can_work_under(played: Path, cli: Any) -> None:
    (played / "policy.yaml").write_text("retention:\n  decision_days: 3\n")
    found = lines(cli, played, 1)["policy"]
    assert found["state"] == "blocked" and "at least 14" in found["detail"] and found["fix"]


def test_workers_of_two_versions_are_named(played: Path, cli: Any) -> None:
    from cairnops.settings import Settings
    from cairnops.workspace import Workspace

    with Workspace.open(played, Settings()) as w:
        for version in ("0.1.0", "0.2.0"):
            w.workers.enter(f"w-{version}", host="h", pid=1, version=version, concurrency=1, at=now())
    assert lines(cli, played, 0)["workers"]["detail"] == "2 alive, 0 silent; versions 0.1.0, 0.2.0"
