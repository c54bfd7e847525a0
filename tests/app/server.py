"""The desk as people start it: the installed command, in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from tests import warm

_START_S = 60


@dataclass(frozen=True)
class Desk:
    """A running desk: where it answers, and the process behind it."""

    base: str
    process: subprocess.Popen[str]
    log: Path

    def url(self, who: str = "", session: str = "", page: str = "") -> str:
        """The address of a page for a practice identity (`email:role`)."""
        asked = "&".join(
            f"{name}={quote(value)}" for name, value in (("as", who), ("session", session)) if value
        )
        return f"{self.base}/{page}{f'?{asked}' if asked else ''}"


@contextmanager
def serving(workspace: Path, *options: str, **environment: str) -> Iterator[Desk]:
    """`cairnops app` on that workspace until the block ends; then it must stop by itself.

    Raises:
        AssertionError: when it does not answer, or does not stop within half a minute of SIGTERM.
    """
    workspace.parent.mkdir(parents=True, exist_ok=True)
    log = workspace.parent / f"{workspace.name}.log"
    command = [sys.executable, "-m", "cairnops", "app", "--port", "0", "-w", str(workspace), *options]
    with log.open("w") as errors:
        process = warm.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip().rstrip("/")
        assert address.startswith("http"), log.read_text()
        base = address.partition("/?")[0]
        _answers(base, process, log)
        yield Desk(base=base, process=process, log=log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"the desk did not stop:\n{log.read_text()[-2000:]}") from None
        finally:
            process.stdout.close()


def _answers(base: str, process: subprocess.Popen[str], log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{base}/_stcore/health", trust_env=False).text == "ok":
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"{base} does not answer:\n{log.read_text()[-2000:]}")
