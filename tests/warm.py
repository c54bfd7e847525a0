"""Commands that start warm: a process that has imported the product forks a child for each.

The child is a process like any other: its own number, folder, environment, standard files, signals and exit. What
is about the start itself, and what asks for another interpreter than this one, starts cold. Run as a script, this
is the process that forks.
"""

import atexit
import functools
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

_CLI = (
    "cairnops.cli.tree", "cairnops.cli.summary", "cairnops.scenarios.runner", "cairnops.scenarios.practice",
    "cairnops.evidence.bundle", "cairnops.evidence.verify", "cairnops.evidence.artifacts",
    "cairnops.connectors.chatwoot.simulator", "cairnops.connectors.chatwoot.admin", "psycopg",
)  # fmt: skip
_DESK = ("streamlit.web.bootstrap", "cairnops.app.launch", "cairnops.app.shell", "cairnops.app.pages.desk")
_COLD = ("PYTHON", "LC_", "LANG")
_ASKED = inspect.signature(subprocess.Popen._execute_child)
_starting = threading.Lock()


class Popen(subprocess.Popen):
    """`subprocess.Popen`, but that `[sys.executable, "-m", "cairnops", …]` starts warm where that is the same."""

    _line: socket.socket | None = None

    def _execute_child(self, *args: Any, **named: Any) -> None:
        asked = _ASKED.bind(self, *args, **named).arguments
        env = dict(os.environ if asked["env"] is None else asked["env"])
        if not _same(asked, env):
            super()._execute_child(*args, **named)
            return
        words = [str(word) for word in asked["args"][3:]]
        order = {
            "words": words,
            "env": env,
            "cwd": str(asked["cwd"] or Path.cwd()),
            "session": asked["start_new_session"],
        }
        pipes = [asked[n] for n in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        own = [fd if fd != -1 else number for number, fd in enumerate((pipes[0], pipes[3], pipes[5]))]
        self._line, theirs = socket.socketpair()
        with theirs, _starting:
            parent = _parent("desk" if words[:1] == ["app"] else "cli")
            socket.send_fds(parent, [json.dumps(order).encode()], [theirs.fileno(), *own])
        number = self._line.recv(8)
        assert number, "the process that forks is gone"
        self.pid = int.from_bytes(number, "big")
        self._child_created = True
        self._close_pipe_fds(*pipes)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._line is None:
            return super()._try_wait(wait_flags)
        if wait_flags & os.WNOHANG and not select.select([self._line], [], [], 0)[0]:
            return 0, 0
        with self._line:
            return self.pid, int.from_bytes(self._line.recv(8) or b"\x09", "big")

    def _internal_poll(self, *args: Any, **named: Any) -> int | None:
        if self._line is None:
            return super()._internal_poll(*args, **named)
        if self.returncode is None and self._waitpid_lock.acquire(False):
            with suppress(OSError):
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)
            self._waitpid_lock.release()
        return self.returncode


def run(
    command: list[Any], *, timeout: float, check: bool = False, **how: Any
) -> "subprocess.CompletedProcess[Any]":
    """`subprocess.run` of such a command; with `capture_output`, `text` and whatever else a `Popen` takes."""
    if how.pop("capture_output", False):
        how |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **how) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def _same(asked: dict[str, Any], env: dict[str, str]) -> bool:
    """Whether a warm start comes to the same as a cold one: this interpreter, as this user, nothing else asked."""
    shaping = [{k: v for k, v in e.items() if k.startswith(_COLD)} for e in (env, os.environ)]
    for one in shaping:
        if one.get("PYTHONIOENCODING") == "utf-8":
            del one["PYTHONIOENCODING"]
    return (
        not isinstance(asked["args"], str | bytes)
        and list(asked["args"][:3]) == [sys.executable, "-m", "cairnops"]
        and shaping[0] == shaping[1]
        and os.geteuid() == os.getuid()
        and not (asked["shell"] or asked["preexec_fn"] or asked["pass_fds"])
    )


@functools.cache
def _parent(kind: str) -> socket.socket:
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, kind, str(theirs.fileno())],
            cwd=Path(__file__).parents[1], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )  # fmt: skip
    atexit.register(lambda: (ours.close(), process.wait(10)))
    return ours


def read_the_authorities_once() -> None:
    """Every HTTP client reads the certificate authorities anew, which takes longer than most of what it asks."""
    ssl.create_default_context = functools.cache(ssl.create_default_context)


# In the process that forks.


def _serve(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork a child for every order; returns in the children only, with their order and files."""
    children: dict[int, socket.socket] = {}
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([control, wake], [], [])
        if wake in ready:
            wake.recv(4096)
            while children and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with children.pop(ended[0]) as line, suppress(OSError):
                    line.send(ended[1].to_bytes(8, "big"))
        if control in ready:
            message, files, _, _ = socket.recv_fds(control, 1 << 18, 4)
            if not message:
                os._exit(0)
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return json.loads(message), files
            children[pid] = socket.socket(fileno=files[0])
            children[pid].send(pid.to_bytes(8, "big"))
            for fd in files[1:]:
                os.close(fd)


def _become(order: dict[str, Any], files: list[int]) -> None:
    """Be the command that was asked for, as if it had just been started."""
    if order["session"]:
        os.setsid()
    for number, fd in enumerate(files):
        os.dup2(fd, number)
    os.closerange(3, 1024)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.path[0] = order["cwd"]
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["cairnops", *order["words"]]


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    for name in (*_CLI, *(_DESK if sys.argv[1] == "desk" else ())):
        importlib.import_module(name)
    threads = list(Path("/proc/self/task").iterdir())
    assert len(threads) == 1, "a process with threads cannot be forked: import less"
    read_the_authorities_once()
    httpx.Client().close()
    gc.freeze()
    order, files = _serve(socket.socket(fileno=int(sys.argv[2])))
    _become(order, files[1:])
    runpy.run_module("cairnops", run_name="__main__", alter_sys=True)
