"""A bundle is whole or it is not there: the writer is killed at every step, and nobody ever meets half of one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cairnops.errors import InputError
from cairnops.evidence import bags, verify

DRIVER = Path(__file__).with_name("bundle_driver.py")


class Driver:
    """The preloaded process that forks writers; see `bundle_driver.py`."""

    def __init__(self, workspace: Path, warm: Path):
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout
        self._workspace = str(workspace)
        assert self._ask(target=str(warm)) == "ready"

    def _ask(self, **order: Any) -> str:
        self._to.write(json.dumps({"workspace": self._workspace, **order}) + "\n")
        self._to.flush()
        return self._from.readline().strip()

    def __call__(self, target: Path, kill: int, *, replace: bool = False) -> int:
        return int(self._ask(target=str(target), kill=kill, replace=replace))

    def steps(self, target: Path, *, replace: bool = False) -> int:
        """How many steps it takes to the end."""
        counted = target.parent.parent / "steps"
        assert int(self._ask(target=str(target), kill=0, replace=replace, count=str(counted))) == 0
        return int(counted.read_text(encoding="utf-8"))

    def close(self) -> None:
        self._to.close()
        self._process.wait(30)
        self._from.close()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("kills")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CAIRNOPS_", "CHATWOOT_", "FEATURE_"))}
    for command in (["dryrun", "run"], ["ledger", "seal"]):
        subprocess.run(
            [sys.executable, "-m", "cairnops", *command, "-w", str(root / "w")],
            check=True,
            capture_output=True,
            env=env,
            timeout=60,
        )
    made = Driver(root / "w", root / "warm")
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fingerprint of the bundle nobody interrupted."""
    target = tmp_path_factory.mktemp("whole") / "bag"
    assert driver(target, 0) == 0
    return bags.fingerprint(target)


def judged(target: Path) -> str:
    """What whoever looks under the name finds: `absent`, or the fingerprint of a bundle that verifies."""
    if not target.exists():
        with pytest.raises(InputError):
            verify.verify(target)
        return "absent"
    report = verify.verify(target)
    assert not report.faults, report.faults
    return report.fingerprint


def killed_at(driver: Driver, folder: Path, name: str, step: int, *, replace: bool = False) -> None:
    assert driver(folder / name, step, replace=replace) == -signal.SIGKILL, step


@pytest.mark.slow
def test_killed_at_every_step_a_folder_is_whole_or_absent(driver: Driver, whole: str, tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    last = driver.steps(tmp_path / "0" / "bag")
    assert last > 100
    seen = []
    for step in range(1, last + 1):
        folder = tmp_path / str(step)
        folder.mkdir()
        killed_at(driver, folder, "bag", step)
        seen.append(judged(folder / "bag"))
        shutil.rmtree(folder)
    # The name is taken once, near the end; after that only the hidden folder is left to remove.
    taken = seen.index(whole)
    assert seen == ["absent"] * taken + [whole] * (last - taken)


def test_killed_while_the_archive_is_made_it_is_whole_or_absent(
    driver: Driver, whole: str, tmp_path: Path
) -> None:
    (tmp_path / "0").mkdir()
    last = driver.steps(tmp_path / "0" / "bag.zip")
    seen = []
    # The way to the archive is that of the folder.
    for step in range(last - 70, last + 1):
        folder = tmp_path / str(step)
        folder.mkdir()
        killed_at(driver, folder, "bag.zip", step)
        seen.append(judged(folder / "bag.zip"))
        shutil.rmtree(folder)
    taken = seen.index(whole)
    assert seen == ["absent"] * taken + [whole] * (len(seen) - taken)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        pytest.param("bag", ["old", "absent", "new"], id="folder"),
        pytest.param("bag.zip", ["old", "new"], id="zip"),
    ],
)
def test_killed_while_replacing_it_is_the_old_or_the_new_but_nothing_between(
    driver: Driver, whole: str, tmp_path: Path, name: str, stages: list[str]
) -> None:
    def before(folder: Path) -> None:
        folder.mkdir()
        bags.write(folder / name, lambda f: (f / "index.txt").write_text("what was there") and None, {})

    before(tmp_path / "0")
    with bags.opened(tmp_path / "0" / name) as bag:
        old = bags.fingerprint(bag)
    last = driver.steps(tmp_path / "0" / name, replace=True)
    seen = []
    for step in range(last - 70, last + 1):
        folder = tmp_path / str(step)
        before(folder)
        killed_at(driver, folder, name, step, replace=True)
        if (folder / name).exists():
            with bags.opened(folder / name) as bag:
                assert not bags.faults(bag)
                mark = bags.fingerprint(bag)
            assert mark in (old, whole)
            seen.append("old" if mark == old else "new")
        else:
            seen.append("absent")
        shutil.rmtree(folder)
    assert list(dict.fromkeys(seen)) == stages


def test_after_a_kill_the_same_command_finishes(driver: Driver, whole: str, tmp_path: Path) -> None:
    target = tmp_path / "bag"
    assert driver(target, 100) == -signal.SIGKILL
    assert driver(target, 0) == 0
    assert judged(target) == whole
    assert driver(target, 0) == 0, "the same bundle again is no conflict"
