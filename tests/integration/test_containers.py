"""The compose file and the container file, as far as they can be followed where no engine runs."""

import importlib.metadata
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.contract import postgres

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if "build" in s}
CONTAINER = (ROOT / "Containerfile").read_text(encoding="utf-8")
#: A name and a tag, and no host: whoever builds it says where images come from.
_IMAGE = re.compile(r"[a-z][a-z0-9-]*:[a-z0-9][a-z0-9.-]*")
_KNOWN = {
    "build", "image", "env_file", "init", "read_only", "tmpfs", "cap_drop", "security_opt", "volumes", "restart",
    "command", "depends_on", "healthcheck", "ports", "stop_grace_period", "deploy",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """The container file's instructions, continued lines joined."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", CONTAINER, flags=re.M))
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word
    ]


# What they say


def test_the_compose_file_holds_together() -> None:
    assert set(SERVICES) == {"postgres", "upgrade", "desk", "worker"}
    for name, service in SERVICES.items():
        assert set(service) <= _KNOWN, name
        assert _IMAGE.fullmatch(service["image"]), name
        assert service["env_file"] == "team.env" and "environment" not in service, (
            "secrets stand in one file only"
        )
        for other, how in service.get("depends_on", {}).items():
            needs = {"service_healthy": "healthcheck", "service_completed_successfully": "command"}
            assert needs[how["condition"]] in SERVICES[other], (name, other)
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in COMPOSE["volumes"], name
    assert "team.env" in (ROOT / ".gitignore").read_text().split()


def test_ours_run_without_rights() -> None:
    for name, service in OURS.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert [port for s in SERVICES.values() for port in s.get("ports", ())] == ["127.0.0.1:8501:8501"]


def test_the_container_file_holds_together() -> None:
    steps = instructions()
    bases = [rest.split()[0] for word, rest in steps if word == "FROM"]
    assert len(set(bases)) == 1 and _IMAGE.fullmatch(bases[0])
    last = [word for word, _ in steps][::-1].index("FROM")
    final = dict(steps[-last:])
    assert final["USER"].isdecimal() and int(final["USER"]) > 0
    assert [w for w, _ in steps].index("USER") < [w for w, _ in steps].index("ENTRYPOINT")
    assert final["ENTRYPOINT"] == '["cairnops"]'
    kept = (ROOT / ".dockerignore").read_text().split()
    for word, rest in steps:
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists() and f"!{source}" in kept, source


def pins(name: str) -> dict[Requirement, str]:
    """Each pin of a lock file, with its hashes."""
    text = (ROOT / ".lock" / name).read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+==.*?) \\\n(.*?)(?=^\w|\Z)", text, re.M | re.S)
    return {Requirement(pin): hashes for pin, hashes in found}


def locked(name: str) -> set[tuple[str, str, str]]:
    return {(pin.name, str(pin.specifier), hashes) for pin, hashes in pins(name).items()}


def needed(*extras: str) -> set[str]:
    """Every distribution that ours needs here with these extras."""
    found: set[str] = set()
    asked = [("cairnops", extra) for extra in ("", *extras)]
    seen = set(asked)
    while asked:
        name, extra = asked.pop()
        for text in importlib.metadata.requires(name) or []:
            one = Requirement(text)
            if one.marker is not None and not one.marker.evaluate({"extra": extra}):
                continue
            found.add(canonicalize_name(one.name))
            new = {(one.name, more) for more in ("", *one.extras)} - seen
            seen |= new
            asked += new
    return found


@pytest.mark.parametrize(
    ("lock", "extras"), [("run.txt", ("app", "charts")), ("team.txt", ("app", "charts", "shared"))]
)
def test_what_is_installed_is_what_the_tests_ran_with_and_all_of_it(
    lock: str, extras: tuple[str, ...]
) -> None:
    """pip refuses a lock that leaves out something that is needed here, but only once it is asked to install."""
    assert locked("run.txt") <= locked(lock) <= locked("test.txt")
    here = (pin for pin in pins(lock) if pin.marker is None or pin.marker.evaluate())
    assert needed(*extras) <= {canonicalize_name(pin.name) for pin in here}


# What they do


def environ(root: Path, url: str) -> dict[str, str]:
    ours = ("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "FEATURE_", "OIDC_", "SUPABASE_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    place = re.search(r"CAIRNOPS_HOME=/workspace(\S+)", CONTAINER)
    assert place
    return kept | {
        "CAIRNOPS_HOME": f"{root}{place[1]}", "DATABASE_URL": url, "PYTHONUNBUFFERED": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip


@pytest.fixture
def team(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An empty database, and a workspace volume of one's own; `upgrade` has run, as every service waits for."""
    with postgres.database() as url:
        env = environ(tmp_path, url)
        for _ in range(2):
            done = subprocess.run(
                ["cairnops", *OURS["upgrade"]["command"]], env=env, capture_output=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
        yield env


@contextmanager
def up(name: str, env: dict[str, str], *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A service as compose starts it, on a free port; the process and the port."""
    inside = next(word for word in OURS[name]["command"] if word.isdecimal())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    words = [port if word == inside else word for word in OURS[name]["command"]]
    process = subprocess.Popen(
        ["cairnops", *words, *more],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


def healthy(name: str, port: str, env: dict[str, str]) -> bool:
    """What the health check says, word for word, but for the port."""
    how, *words = OURS[name]["healthcheck"]["test"]
    assert how == "CMD"
    inside = next(word for word in OURS[name]["command"] if word.isdecimal())
    assert f":{inside}/" in words[-1]
    words[-1] = words[-1].replace(f":{inside}/", f":{port}/")
    return subprocess.run(words, env=env, capture_output=True, timeout=30).returncode == 0


def wait_healthy(process: "subprocess.Popen[str]", name: str, port: str, env: dict[str, str]) -> None:
    assert not healthy(name, "9", env), "it would call anything healthy"
    end = time.monotonic() + 60
    while not healthy(name, port, env):
        assert process.poll() is None and time.monotonic() < end, process.stdout and process.stdout.read()
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("name", "more"), [("worker", ()), ("desk", ("--practice-identity",))], ids=["worker", "desk"]
)
def test_a_service_becomes_healthy_and_stops_when_asked(
    name: str, more: tuple[str, ...], team: dict[str, str]
) -> None:
    with up(name, team, *more) as (process, port):
        wait_healthy(process, name, port, team)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=45)
        # The desk's server hands the signal on once it has closed everything.
        assert process.returncode in (0, -signal.SIGTERM) and "Traceback" not in out, out


def test_the_desk_wants_to_know_who_people_are(team: dict[str, str]) -> None:
    done = subprocess.run(
        ["cairnops", *OURS["desk"]["command"]], env=team, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "OIDC_METADATA_URL" in done.stderr


def test_the_database_says_when_it_is_ready(tmp_path: Path) -> None:
    how, check = SERVICES["postgres"]["healthcheck"]["test"]
    assert how == "CMD-SHELL"
    given = re.findall(r'"\$\$(\w+)"', check)
    assert given == ["POSTGRES_USER", "POSTGRES_DB"]
    ready = postgres.binaries() / "pg_isready"
    folder = postgres.shared()
    words = [str(ready), "--username", "postgres", "--dbname", "postgres", "--host"]
    assert subprocess.run([*words, str(folder)], capture_output=True, timeout=20).returncode == 0
    assert subprocess.run([*words, str(tmp_path)], capture_output=True, timeout=20).returncode != 0


def test_the_image_is_built_from_what_is_copied(tmp_path: Path) -> None:
    """The container's own install step, on a copy that holds only what the file copies."""
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    for source in (name for names in copied for name in names):
        target = tmp_path / "src" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            subprocess.run(["cp", "-r", ROOT / source, target], check=True)
        else:
            target.write_bytes((ROOT / source).read_bytes())
    words = next(
        rest for word, rest in instructions() if word == "RUN" and "--no-build-isolation" in rest
    ).split()
    assert words[:2] == ["/opt/cairnops/bin/pip", "install"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--target", tmp_path / "made", *words[2:]],
        cwd=tmp_path / "src", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [sys.executable, "-c", "import cairnops.cli as c; print(c.__file__)"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "made")},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert said.stdout.strip() == str(tmp_path / "made" / "cairnops" / "cli" / "__init__.py"), said.stderr
    for part in ("docs/team.md", "store/migrations/2.postgresql.sql", "scenarios/packs", "app/front/main.py"):
        assert (tmp_path / "made" / "cairnops" / part).exists(), part
