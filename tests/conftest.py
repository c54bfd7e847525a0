"""Every test starts from an environment without our settings, in a folder of its own."""

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import warm

_OURS = ("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "FEATURE_", "OIDC_", "OTEL_", "SUPABASE_")

warm.read_the_authorities_once()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the person running the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
    yield


Once = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """`once("played", play)`: a folder of that name, made by one test process for all of a run; only to be copied."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base

    def made(name: str, make: Callable[[Path], None]) -> Path:
        done = run / f"{name}.done"
        with (run / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(run / name)
                done.touch()
        return run / name

    return made


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Iterator[None]:
    """For the length of the test nobody is the superuser, who may read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder.stat().st_mode & 0o077 == 0:
            folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
