"""A workspace whose ledger is a team's database, as its command line sees it; and the way there and back."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cairnops.settings import Settings
from cairnops.store import tables as t
from cairnops.workspace import Workspace, destination
from tests import warm

CANARY = "canary-3f9a1c"
_OURS = ("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "FEATURE_", "PG", "SUPABASE_")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A command in a process of its own; it may be given a DATABASE_URL."""

    def command(*args: object, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        done = warm.run(
            [sys.executable, "-m", "cairnops", *map(str, args)],
            capture_output=True, encoding="utf-8", timeout=150, cwd=tmp_path,
            env=kept | {"COLUMNS": "160", "NO_COLOR": "1"} | env,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert CANARY not in done.stdout + done.stderr and "Traceback" not in done.stderr
        return done

    return command


def with_password(url: str) -> str:
    return url.replace("postgres@", f"postgres:{CANARY}@")


def test_the_dry_runs_on_a_shared_database_and_another_folder_sees_them(postgresql: Any, run: Run) -> None:
    shared = {"DATABASE_URL": with_password(postgresql.url)}
    run("dryrun", "run", "-w", "mine", **shared)
    listed = [
        json.loads(run("decisions", "list", "--json", "-w", w, **shared).stdout) for w in ("mine", "theirs")
    ]
    assert listed[0] == listed[1] and len(listed[0]) >= 3
    assert json.loads(run("decisions", "list", "--json", "-w", "mine").stdout) == [], (
        "the folder has its own, empty"
    )
    status = json.loads(run("db", "status", "--json", "-w", "mine", **shared).stdout)
    assert (status["kind"], status["layout"]) == ("PostgreSQL", str(t.SCHEMA_VERSION))
    assert status["rows"]["effect"] > 4
    run("ledger", "seal", "-w", "mine", **shared)
    run("db", "check", "-w", "mine", **shared)
    assert "nothing to do" in run("db", "upgrade", "-w", "mine", **shared).stdout


def test_a_workspace_moves_to_the_team_and_back(postgresql: Any, run: Run, tmp_path: Path) -> None:
    run("dryrun", "run", "-w", "w")
    run("ledger", "seal", "-w", "w")
    looks = (("decisions", "list", "--scope", "all", "--json"), ("ledger", "checkpoint"))
    before = [run(*what, "-w", "w").stdout for what in looks]
    there = with_password(postgresql.url)
    moved = json.loads(run("db", "copy", "--from", "w", "--to", there, "--json").stdout)
    assert moved["rows"]["decision"] >= 3 and moved["rows"]["checkpoint"] == 1
    shared = {"DATABASE_URL": there}
    assert [run(*what, "-w", "w", **shared).stdout for what in looks] == before
    refused = run("dryrun", "run", "-w", "w", "--session", "again", code=2)
    assert "this ledger was moved to postgresql://" in refused.stderr
    assert "moved to" in run("db", "status", "-w", "w", code=1).stdout
    again = run("db", "copy", "--from", "w", "--to", there, code=2)
    assert "can only be read" in again.stderr
    run("db", "copy", "--from", there, "--to", "back.db")
    (tmp_path / "w" / "cairnops.db").unlink()
    for name in ("-wal", "-shm"):
        (tmp_path / "w" / f"cairnops.db{name}").unlink(missing_ok=True)
    (tmp_path / "back.db").rename(tmp_path / "w" / "cairnops.db")
    assert [run(*what, "-w", "w").stdout for what in looks] == before
    run("ledger", "seal", "-w", "w")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param(f"postgresql://sam:{CANARY}@127.0.0.1:9/desk", ":9/desk cannot be used", id="nobody there"),
        pytest.param(f"postgresql://sam:{CANARY}@h:no/desk", "DATABASE_URL", id="no address"),
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_reached_is_said_in_words(run: Run, url: str, said: str) -> None:
    done = run("decisions", "list", "-w", "w", code=2, DATABASE_URL=url)
    assert said in done.stderr and "→" in done.stderr


def test_a_database_of_something_else_is_left_alone(postgresql: Any, run: Run) -> None:
    with postgresql.server.database() as url:
        import psycopg

        with psycopg.connect(url) as c:
            c.execute("CREATE TABLE session (id int); CREATE TABLE customers (id int)")
        done = run("decisions", "list", "-w", "w", code=2, DATABASE_URL=url)
        assert "something else, with the tables session" in done.stderr and "of its own" in done.stderr
        with psycopg.connect(url) as c:
            c.execute("DROP TABLE session")
        run("decisions", "list", "-w", "w", DATABASE_URL=url)


def test_an_older_workspace_is_mended_by_the_command_it_names(run: Run, tmp_path: Path) -> None:
    import sqlite3

    run("init", "-w", "w")
    path = tmp_path / "w" / "cairnops.db"
    path.unlink()
    older = (Path(__file__).parent / "layouts" / "1.sqlite.sql").read_text(encoding="utf-8")
    connection = sqlite3.connect(path)
    connection.executescript(older)
    connection.close()
    refused = run("decisions", "list", "-w", "w", code=2)
    assert "has layout 1" in refused.stderr and "cairnops db upgrade" in refused.stderr
    assert "cairnops db upgrade" in run("db", "status", "-w", "w", code=1).stdout
    run("db", "check", "-w", "w", code=1)
    done = json.loads(run("db", "upgrade", "-w", "w", "--json").stdout)
    assert done["steps"] == list(range(2, t.SCHEMA_VERSION + 1))
    assert Path(tmp_path / done["backup"]).stat().st_size > 0
    run("db", "check", "-w", "w")
    run("dryrun", "run", "-w", "w")


def test_every_folder_has_a_simulator_of_its_own_and_every_account_its_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    practice = Settings({})
    names = [destination(tmp_path / folder, practice) for folder in ("a", "b", "a")]
    assert names[0] == names[2] != names[1] and names[0].startswith("simulator:")
    for account in ("1", "2"):
        real = Settings({"CHATWOOT_BASE_URL": "https://desk.example/", "CHATWOOT_ACCOUNT_ID": account})
        assert destination(tmp_path, real) == f"chatwoot:https://desk.example/accounts/{account}"


def test_what_was_left_for_one_help_desk_is_not_delivered_to_the_next(
    tmp_path: Path, desk_on: Callable[..., Any], approve: Callable[..., Any], run: Run
) -> None:
    with Workspace.open(tmp_path / "w", Settings({})) as w:
        desk_on(w.ledger).submit(approve())
        practice = w.destination
    elsewhere = {"CHATWOOT_BASE_URL": "http://127.0.0.1:9", "CHATWOOT_API_TOKEN": "t"}
    done = run("deliver", "-w", "w", **elsewhere)
    assert f"2 effects are for another help desk and stay: {practice}" in done.stderr
    with Workspace.open(tmp_path / "w", Settings(elsewhere)) as w:
        assert w.outbox.next_due_ms() is None and w.outbox.elsewhere() == {practice: 2}
        assert [d["attempts"] for d in w.ledger.deliveries()] == [[], []]
