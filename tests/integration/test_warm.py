"""A command that starts warm is the process a cold one is."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.integration.conftest import scrubbed

COMMAND = [sys.executable, "-m", "cairnops"]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["settings"], id="reads its environment"),
        pytest.param(["policy", "check", "policy.yaml"], id="finds a file where it stands"),
        pytest.param(["explain", "no.such.rule", "-w", "w"], id="fails"),
        pytest.param(["--nope"], id="is asked wrongly"),
    ],
)
def test_it_says_and_leaves_what_a_cold_one_does(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("profile: parity\n")
    how: dict[str, Any] = {
        "cwd": tmp_path, "env": scrubbed(CAIRNOPS_ACTOR="ada@shop.example"), "timeout": 60, "capture_output": True,
    }  # fmt: skip
    one, other = warm.run([*COMMAND, *words], **how), subprocess.run([*COMMAND, *words], **how)
    assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)


def test_it_can_be_killed_and_has_a_session_of_its_own(tmp_path: Path) -> None:
    words = ["chatwoot", "serve", "--port", "0", "--state", str(tmp_path / "s.db")]
    with warm.Popen(
        [*COMMAND, *words], env=scrubbed(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:  # fmt: skip
        assert process.stdout and process.stdout.readline().startswith(b"http")
        assert process._line is not None, "it started cold"
        assert process.poll() is None
        assert os.getsid(process.pid) == process.pid
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait(30) == -signal.SIGKILL


def test_what_asks_for_another_interpreter_starts_cold() -> None:
    with warm.Popen(
        [*COMMAND, "--version"], env=scrubbed(PYTHONHASHSEED="1"), stdout=subprocess.PIPE
    ) as process:
        assert process._line is None
        assert process.communicate(timeout=60)[0].startswith(b"cairnops ")
