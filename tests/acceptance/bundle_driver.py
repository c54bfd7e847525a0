"""Writes bundles in forks of a process that has everything imported, and kills each at the step it is told.

A step is anything that touches the folder the bundle is written into: opening, making, renaming, flushing or
removing something there. Reads one JSON object a line and answers each with how its fork ended.
"""

import json
import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cairnops.evidence import bundle, verify
from cairnops.settings import Settings
from cairnops.workspace import Workspace

AT = datetime(2025, 10, 16, 20, 0, tzinfo=UTC)


def mortal(folder: str, left: int) -> dict[str, int]:
    """Have this process killed at the step of that number; 0 lets it live. Counts what it sees."""
    steps = {"left": left, "seen": 0}

    def step() -> None:
        steps["seen"] += 1
        if steps["seen"] == steps["left"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(event: str, given: tuple[Any, ...]) -> None:
        if event.startswith(("open", "os.", "shutil.", "tempfile.")) and any(
            isinstance(one, str | bytes | os.PathLike) and os.fsdecode(one).startswith(folder)
            for one in given
        ):
            step()

    flush = os.fsync

    def flushed(descriptor: int) -> None:
        step()
        flush(descriptor)

    os.fsync = flushed
    sys.addaudithook(heard)
    return steps


def write(order: dict[str, Any]) -> None:
    """One bundle, as the command writes it."""
    target = Path(order["target"])
    with Workspace.open(Path(order["workspace"]), Settings({})) as w:
        steps = mortal(str(target.parent), order["kill"])
        bundle.write(w, "cx-escalations", target, at=AT, replace=order.get("replace", False))
        seen = steps["seen"]
    if order.get("count"):
        Path(order["count"]).write_text(str(seen), encoding="utf-8")


def forked(order: dict[str, Any]) -> int:
    """Write in a fork; returns its exit code, negative for the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            write(order)
            code = 0
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    # What is imported on the way is imported here, so that a kill falls into work.
    warm = json.loads(sys.stdin.readline())
    write({**warm, "kill": 0})
    verify.verify(Path(warm["target"]))
    print("ready", flush=True)
    for line in sys.stdin:
        print(forked(json.loads(line)), flush=True)
