"""The page "from one laptop to a team" is followed literally: every command, in order, in one shell."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.contract import postgres
from tests.docs import shell
from tests.integration import supabase_lite as lite

PAGE = (shell.ROOT / "cairnops" / "docs" / "team.md").read_text(encoding="utf-8")
_STAYS = re.compile(r"\s+# stays open$")
_OPEN = {"cairnops worker": "delivers to", "cairnops app": "the desk is open"}


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)


def free() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("supabase")
    base = tmp_path_factory.getbasetemp()
    run = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with lite.project(lite.template(run), folder / "project") as url:
        yield url


def script(folder: Path) -> str:
    """The page's commands as one shell would be given them; what stays open goes to the background once it says so."""
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    for number, line in enumerate("".join(blocks()).splitlines()):
        text = _STAYS.sub("", line).rstrip()
        lines.append(f"echo {shlex.quote(f'$ {text}')}")
        if text == line.rstrip():
            lines.append(text)
            continue
        log = folder / f"open-{number}.log"
        said = next(words for start, words in _OPEN.items() if text.startswith(start))
        lines += [
            f"{text} >{log} 2>&1 &",
            f"for _ in $(seq 600); do grep -q {shlex.quote(said)} {log} && break; sleep 0.1; done",
            f"grep -q {shlex.quote(said)} {log} || {{ cat {log}; exit 97; }}",
        ]
    return "\n".join(lines) + "\n"


def test_the_page_is_followed_to_its_end(project: str, tmp_path: Path) -> None:
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "SUPABASE_"))
    }
    given = script(tmp_path).replace("9090", free()).replace("8501", free())
    with postgres.database() as url:
        environ = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TEAM_DATABASE": url, "TEAM_SUPABASE": project, "TEAM_SERVICE_KEY": lite.SERVICE,
            "TEAM_ANON_KEY": lite.ANON, "COLUMNS": "100", "NO_COLOR": "1",
        }  # fmt: skip
        with subprocess.Popen(
            ["bash", "-c", given], cwd=tmp_path, env=environ, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as reader:  # fmt: skip
            try:
                said, _ = reader.communicate(timeout=170)
            except subprocess.TimeoutExpired:
                os.killpg(reader.pid, signal.SIGKILL)
                said, _ = reader.communicate()
                raise AssertionError(said) from None
    assert reader.returncode == 0, said
    assert "Traceback" not in said and "blocked" not in said
    for secret in (lite.SERVICE, lite.ANON):
        assert secret not in said
    # Every step came to what the page says it comes to.
    for words in (
        "as it should be",
        "PROVED",
        "alive",
        "anon is refused all",
        "refused wherever there are rows",
    ):
        assert words in said, (words, said)


def test_every_command_of_the_page_is_in_a_block_that_is_run() -> None:
    commands = [line for block in blocks() for line in block.splitlines()]
    assert len(commands) >= 20 and all(line.startswith(("cairnops ", "export ")) for line in commands)
    inline = set(re.findall(r"`(cairnops [a-z]+(?: [a-z]+)?)", PAGE))
    known = {name for name, _ in __import__("tests.docs.generate", fromlist=["x"]).commands()}
    assert {words for words in inline if words.removeprefix("cairnops ") not in known} == set()
