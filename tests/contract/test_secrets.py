"""No secret is ever said or kept: every secret setting holds a canary, and whatever comes out is searched for them."""

import contextlib
import http.server
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from cairnops.cli import main
from cairnops.settings import SETTINGS, Settings
from cairnops.store.engine import writing

#: With a character that an address spells otherwise.
PASSWORD = "canary-DATABASE_URL+7f3a9c"
CANARIES = {
    s.name: f"canary-{s.name.lower()}-7f3a9c" for s in SETTINGS if s.secret and s.name != "DATABASE_URL"
}
#: What a canary stands in where it cannot stand alone.
AS_SET = CANARIES | {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization={CANARIES['OTEL_EXPORTER_OTLP_HEADERS']}"}
WORDS = [*CANARIES.values(), PASSWORD, quote(PASSWORD, safe="")]


class _Echo(http.server.BaseHTTPRequestHandler):
    """Says back all it was told, as a gateway that is set up for debugging does."""

    def _any(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = dict(self.headers.items())
        secret = ("apikey", "authorization", "api_access_token")
        headers = {name: headers[name] for name in sorted(headers, key=lambda n: n.lower() not in secret)}
        body = json.dumps({"message": f"you sent {headers}", "code": "XX000", "error": headers}).encode()
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_HEAD = _any

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def echo() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def environ(postgresql: Any, echo: str) -> dict[str, str]:
    """Everything set; nobody outside believes us."""
    there = {"SUPABASE_URL": echo, "OIDC_METADATA_URL": f"{echo}/.well-known/openid-configuration"}
    there |= {"OTEL_EXPORTER_OTLP_ENDPOINT": echo}
    there |= {"OIDC_CLIENT_ID": "desk", "OIDC_ROLES": "cx=operator"}
    there["DATABASE_URL"] = postgresql.url.replace("postgres@", f"postgres:{quote(PASSWORD, safe='')}@")
    return AS_SET | there


Say = Callable[..., str]


@pytest.fixture
def say(
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Say]:
    """A command in this process; what it says, and everything any library logs, is searched."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    logging.getLogger().addHandler(handler)

    def run(*args: str, code: int | None = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["cairnops", *args])
        with pytest.raises(SystemExit) as left:
            main()
        said = capfd.readouterr()
        told = said.out + said.err + logged.getvalue()
        clean(told, args)
        assert code is None or left.value.code in (code, None if code == 0 else code), (args, told[-2000:])
        return told

    yield run
    logging.getLogger().removeHandler(handler)


def clean(text: str | bytes, where: object) -> None:
    """None of the canaries, in whatever spelling."""
    data = text if isinstance(text, bytes) else text.encode()
    assert [word for word in WORDS if word.encode() in data] == [], where


def searched(folder: Path) -> int:
    """How many files were searched, archives with what is in them."""
    count = 0
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        count += 1
        clean(path.read_bytes(), path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    clean(archive.read(name), f"{path}:{name}")
    return count


def test_there_is_a_canary_for_every_secret() -> None:
    named = {
        s.name
        for s in SETTINGS
        if any(word in s.name for word in ("KEY", "TOKEN", "SECRET", "DATABASE", "HEADERS"))
    }
    assert named == {*CANARIES, "DATABASE_URL"} == {s.name for s in SETTINGS if s.secret}


def test_nothing_is_said_or_kept_whatever_is_asked(
    postgresql: Any, say: Say, tmp_path: Path, echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("init")
    say("dryrun", "run", "A", "C", "--session", "s")
    for words in (
        ["settings"],
        ["settings", "--json"],
        ["db", "status", "--json"],
        ["db", "check"],
        ["worker", "--once", "--http", "0"],
        ["worker", "status", "--json"],
        ["jobs", "list", "--all", "--json"],
        ["ledger", "seal"],
        ["decisions", "export", "-o", "decisions.ndjson"],
        ["decisions", "export", "--shape", "sync-events", "-o", "-"],
        ["evidence", "bundle", "s", "--seal", "-o", "s.zip"],
        ["evidence", "verify", "s.zip"],
        ["report", "html", "s", "-o", "s.html"],
        ["retention", "plan", "--json"],
        ["retention", "apply", "--yes", "--as", "ada@shop.example:admin"],
    ):
        say(*words, code=None)
    # What is outside says back what it was sent.
    assert "does not take the key" in say("supabase", "push", code=2)
    assert "blocked" in say("doctor", "--json", code=1)
    monkeypatch.setenv("CHATWOOT_BASE_URL", echo)
    for words in (["doctor"], ["session", "status", "s", "--probe"], ["session", "start", "t"], ["deliver"]):
        say(*words, code=None)
    assert searched(tmp_path) > 12
    clean(repr(postgresql.everything()), "the database")


@pytest.mark.parametrize("name", [*CANARIES, "DATABASE_URL"])
def test_a_secret_that_is_not_accepted_is_not_repeated(
    say: Say, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = f"mysql://sam:{PASSWORD}@host/x" if name == "DATABASE_URL" else f"{CANARIES[name]} with a blank"
    monkeypatch.setenv(name, bad)
    assert f"error: {name}: the value given is not accepted" in say("settings", code=2)


def test_a_defect_shows_its_traceback_and_no_secret(
    postgresql: Any, environ: dict[str, str], tmp_path: Path
) -> None:
    """`-X dev` is what a person is told to run when something is wrong with us: its output goes into tickets."""
    with writing(postgresql.engine) as c:
        c.exec_driver_sql(
            "INSERT INTO conversation (id, version, customer_key, body, at) VALUES ('1', 1, 'k', '{', '2025')"
        )
    root = tmp_path / "w"
    for flags, said in ((["-X", "dev"], "Traceback"), ([], "This is a defect")):
        done = child(*flags, "-m", "cairnops", "conversations", "list", "-w", str(root), environ=environ)
        assert done.returncode != 0 and said in done.stderr, done.stderr
        clean(done.stdout + done.stderr, flags)
    away = environ | {"DATABASE_URL": f"postgresql://sam:{quote(PASSWORD, safe='')}@127.0.0.1:9/x"}
    done = child("-X", "dev", "-m", "cairnops", "db", "status", "-w", str(root), environ=away)
    assert done.returncode == 2 and "cannot be used as a ledger" in done.stderr
    clean(done.stdout + done.stderr, "a database that is away")


def scrubbed(environ: dict[str, str]) -> dict[str, str]:
    ours = ("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "FEATURE_", "OIDC_", "OTEL_", "SUPABASE_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1"} | environ


def child(*words: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True, text=True, timeout=60, env=scrubbed(environ), check=False,
    )  # fmt: skip


def test_the_desk_keeps_them_to_itself(environ: dict[str, str], echo: str, tmp_path: Path) -> None:
    words = ["-m", "cairnops", "app", "--port", "0", "-w", str(tmp_path / "w")]
    desk = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=scrubbed(environ | {"CHATWOOT_BASE_URL": echo}),
    )  # fmt: skip
    try:
        assert desk.stdout is not None
        address = desk.stdout.readline().strip()
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as browser:
            for path in (
                "/",
                "/api/health",
                "/auth/login",
                "/oauth2callback?code=x&state=y",
                "/_stcore/health",
            ):
                with contextlib.suppress(httpx.HTTPError):
                    answer = browser.get(path)
                    clean(f"{answer.headers}{answer.text}", path)
    finally:
        desk.send_signal(signal.SIGTERM)
        out, err = desk.communicate(timeout=60)
    assert address.startswith("http://127.0.0.1:")
    clean(out + err, "what the desk said")
    assert searched(tmp_path) >= 3


def test_settings_show_no_secret_in_any_way(environ: dict[str, str]) -> None:
    settings = Settings(environ)
    clean(f"{settings!r}{settings}{settings.table()}", "the settings themselves")
    try:
        settings["nothing"]
    except KeyError:
        clean(traceback.format_exc(), "a traceback")
    assert set(settings.secrets()) >= set(AS_SET.values())
