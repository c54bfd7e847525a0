"""A workspace is made whole by whoever comes first, and belongs to one key."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cairnops.errors import PolicyError, WorkspaceError
from cairnops.settings import Settings
from cairnops.workspace import Workspace

OPEN = """
import sys
from pathlib import Path
from cairnops.settings import Settings
from cairnops.workspace import Workspace
sys.stdin.readline()
with Workspace.open(Path(sys.argv[1]), Settings({})):
    pass
"""


def test_eight_processes_make_one_workspace_at_once(tmp_path: Path) -> None:
    for number in range(3):
        root = tmp_path / f"w{number}"
        openers = [
            subprocess.Popen(
                [sys.executable, "-c", OPEN, str(root)],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(8)
        ]
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write("go\n")
            opener.stdin.flush()
        said = [(opener.communicate(timeout=60)[1], opener.returncode) for opener in openers]
        assert [code for _, code in said] == [0] * 8, said
        private = serialization.load_pem_private_key((root / "keys/ledger.key").read_bytes(), password=None)
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert (root / "keys/ledger.pub").read_bytes() == public
        assert sorted(p.name for p in (root / "keys").iterdir()) == ["ledger.key", "ledger.pub"]


def test_the_private_key_is_its_owners_only(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w", Settings({})):
        mode = (tmp_path / "w/keys/ledger.key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_opening_again_makes_nothing_and_keeps_the_key(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w", Settings({})) as first:
        assert "cairnops.db" in first.made
        key = (tmp_path / "w/keys/ledger.key").read_bytes()
    with Workspace.open(tmp_path / "w", Settings({})) as again:
        assert again.made == ()
    assert (tmp_path / "w/keys/ledger.key").read_bytes() == key


def test_a_lost_public_key_is_made_from_the_private_one(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w", Settings({})):
        public = (tmp_path / "w/keys/ledger.pub").read_bytes()
    (tmp_path / "w/keys/ledger.pub").unlink()
    with Workspace.open(tmp_path / "w", Settings({})):
        assert (tmp_path / "w/keys/ledger.pub").read_bytes() == public


def test_artifacts_stay_inside(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w", Settings({})) as workspace:
        for name in ("../out", "a/b", "..", "/etc"):
            with pytest.raises(WorkspaceError):
                workspace.artifact_folder(name)


def test_a_broken_policy_is_said_when_it_is_needed_and_names_the_file(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w", Settings({})) as workspace:
        workspace.policy_file.write_text("profile: dry-run\nsla: {minuts: 5}\n", encoding="utf-8")
        with pytest.raises(PolicyError, match=r"policy\.yaml.*minuts"):
            _ = workspace.policy
