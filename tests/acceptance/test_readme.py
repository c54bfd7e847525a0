"""The README is followed literally: its commands run in order, and its transcript is what the command prints."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.docs import picture, shell

README = (shell.ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = list(shell.commands(README))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which somebody has followed the README from its top."""
    return tmp_path_factory.mktemp("reader")


def test_there_is_something_to_follow() -> None:
    assert len(COMMANDS) >= 15


@pytest.mark.xdist_group("readme")
def test_every_command_ends_as_the_readme_says(reader: Path) -> None:
    for command in COMMANDS:
        done = shell.run(command.text, reader)
        said = f"$ {command.text}\n{done.stdout}{done.stderr}"
        assert done.returncode == command.code, said
        assert "Traceback" not in done.stderr, said


def test_the_transcript_is_what_the_demo_prints() -> None:
    checked = subprocess.run(
        [str(Path(sys.executable).with_name("cog")), "-I", ".", "--check", "--diff", "README.md"],
        cwd=shell.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-1000:]


def test_the_picture_is_what_the_demo_prints() -> None:
    drawn = picture.draw()
    assert picture.TARGET.read_text(encoding="utf-8") == drawn
    assert "<image" not in drawn and "@font-face" not in drawn
