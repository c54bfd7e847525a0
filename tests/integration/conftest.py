"""A command line to call in the same process, and one workspace in which the four dry runs have been played."""

import functools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main

from cairnops.cli import main
from tests import warm

_OURS = ("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "FEATURE_", "SUPABASE_")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Done]

# Making the whole tree of commands takes longer than most of them run.
_tree = functools.cache(typer.main.get_command)


def scrubbed(**more: str) -> dict[str, str]:
    """The environment of a child: none of our settings but those given, 80 columns, no colours."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    return kept | {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"} | more


def child(*args: object, cwd: Path | None = None, **env: str) -> Done:
    """The command line in a process of its own."""
    done = warm.run(
        [sys.executable, "-m", "cairnops", *map(str, args)],
        capture_output=True,
        cwd=cwd,
        env=scrubbed(**env),
        timeout=60,
        encoding="utf-8",
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line in this process: `cli("decisions", "list", columns=120)`."""

    def run(*args: object, columns: int = 80) -> Done:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(typer.main, "get_command", _tree)
        monkeypatch.setattr(sys, "argv", ["cairnops", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Done(int(left.value.code or 0), said.out, said.err)

    return run


@pytest.fixture(scope="session")
def _played(once: Callable[..., Path]) -> Path:
    def play(root: Path) -> None:
        done = child("dryrun", "run", "-w", root)
        assert done.code == 0, done.err

    return once("played", play)


@pytest.fixture
def played(_played: Path, tmp_path: Path) -> Path:
    """A copy of a workspace in which pack cx-escalations has been played under its own name."""
    shutil.copytree(_played, tmp_path / "played")
    return tmp_path / "played"
