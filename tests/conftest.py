"""Every test starts from an environment without our settings, in a folder of its own."""

import os
from collections.abc import Iterator
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
