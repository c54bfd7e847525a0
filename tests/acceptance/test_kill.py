"""Dry runs killed by SIGKILL at any instant: no decision lost, no effect twice, and the next start completes."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.settings import Settings
from cairnops.workspace import Workspace

DRIVER = Path(__file__).with_name("kill_driver.py")
SESSION = "killed"
KILLS = 60
#: Kills of one workspace before it is left in peace and judged.
A_WORKSPACE = 14
#: Enough for the machine this runs on to be busy; the figures are judged, not the time.
BUDGET_S = 200.0
POLICY = "profile: dry-run\ndelivery:\n  timeout_ms: 300\n  settle_ms: 100\n  backoff_ms: 5\n"
ACTIVITY = 2

Play = Callable[..., dict[str, Any]]


class Driver:
    """The preloaded process that forks dry runs; see `kill_driver.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout
        assert self._from.readline() == "ready\n"

    def __call__(self, root: Path, **order: Any) -> dict[str, Any]:
        self._to.write(json.dumps({"root": str(root), **order}) + "\n")
        self._to.flush()
        return dict(json.loads(self._from.readline()))

    def close(self) -> None:
        self._to.close()
        self._process.wait(30)
        self._from.close()


@pytest.fixture(scope="module")
def drivers() -> Iterator[list[Driver]]:
    made = [Driver(), Driver()]
    yield made
    for driver in made:
        driver.close()


def fresh(folder: Path) -> Path:
    """A folder whose workspace waits for short deadlines only; the rest the first run makes."""
    (folder / "workspace").mkdir(parents=True)
    (folder / "workspace" / "policy.yaml").write_text(POLICY, encoding="utf-8")
    return folder


def export(root: Path, shape: str) -> list[dict[str, Any]]:
    (path,) = (root / "workspace" / "artifacts" / SESSION).glob(f"decision_{shape}_*.ndjson")
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@dataclass
class Story:
    """What a workspace holds in the end."""

    decisions: bytes
    events: list[dict[str, Any]]
    effects: list[dict[str, Any]]
    #: How often each effect was carried out, by the simulator's own books.
    carried_out: dict[str, int]
    #: Expectations that were not met, by scenario.
    unmet: dict[str, list[str]]
    acknowledged: set[int]

    @property
    def disturbed(self) -> set[str]:
        """Effects with a try whose worker died: it is a try like any other, so the next one has a higher number."""
        return {e["uid"] for e in self.effects if any(a["answer"] == "lost" for a in e["attempts"])}


def told(root: Path, simulator: ChatwootSimulator) -> Story:
    (path,) = (root / "workspace" / "artifacts" / SESSION).glob("decision_export_*.ndjson")
    with Workspace.open(root / "workspace", Settings({})) as w:
        effects = w.ledger.deliveries(session=SESSION)
    messages = simulator.messages()
    counted = Counter(m["run_key"] for m in messages if m["run_key"])
    assert {e["kind"] for e in effects} == {"reply", "note"}, "labels and statuses are counted otherwise"
    return Story(
        decisions=path.read_bytes(),
        events=[{k: v for k, v in row.items() if k != "durationMs"} for row in export(root, "sync_events")],
        effects=effects,
        carried_out={e["uid"]: counted[e["run_key"]] for e in effects},
        unmet=json.loads((root / "passed.json").read_text(encoding="utf-8")),
        acknowledged={int(n) for n in (root / "acks").read_text(encoding="utf-8").split()},
    )


@dataclass
class Tally:
    """Figures over all workspaces."""

    kills: int = 0
    missed: int = 0
    workspaces: int = 0
    decisions: int = 0
    effects: int = 0
    disturbed: int = 0
    recovered: int = 0
    doubled: int = 0
    other: list[str] = field(default_factory=list)


def judge(story: Story, calm: Story, tally: Tally) -> None:
    """Compare what is left after the kills with an undisturbed run's."""
    assert story.decisions == calm.decisions, "a decision is missing, doubled, or says something else"
    numbers = {json.loads(line)["decisionId"] for line in story.decisions.splitlines()}
    assert story.acknowledged <= numbers, "an acknowledged decision is gone"
    assert [e["uid"] for e in story.effects] == [e["uid"] for e in calm.effects]
    undisturbed = {e["uid"]: e for e in calm.effects}
    for effect in story.effects:
        final, count = effect["final"], story.carried_out[effect["uid"]]
        assert final is not None, effect
        tally.doubled += count > 1
        assert count <= 1, f"carried out {'twice' if count == 2 else f'{count} times'}: {effect}"
        if final["status"] != "UNKNOWN":
            assert (final["status"] == "SUCCESS") == (count == 1), effect
        assert [a["attempt"] for a in effect["attempts"]] == list(range(1, final["attempt"] + 1))
        tally.recovered += final["recovered"]
        tries = [(a["answer"], a["error_code"]) for a in effect["attempts"]]
        calm_tries = [(a["answer"], a["error_code"]) for a in undisturbed[effect["uid"]]["attempts"]]
        if effect["uid"] not in story.disturbed and tries != calm_tries:
            tally.other.append(f"{effect['kind']} of {effect['number']}: {tries}, undisturbed {calm_tries}")
    free = {e["uid"] for e in story.effects} - story.disturbed
    if not tally.other:
        assert [e for e in story.events if e["uid"] in free] == [e for e in calm.events if e["uid"] in free]
        if not story.disturbed:
            assert not any(story.unmet.values()), story.unmet
    assert list(story.unmet) == list(calm.unmet)
    tally.workspaces += 1
    tally.decisions += len(numbers)
    tally.effects += len(story.effects)
    tally.disturbed += len(story.disturbed)


def books(root: Path, outside: ChatwootSimulator | None) -> ChatwootSimulator:
    """The simulator whose books count: the one outside, or what the dying process left on disk."""
    return outside or ChatwootSimulator(root / "workspace" / "simulator.db", "t0ken")


def busy(root: Path) -> bool:
    """Whether the last run stopped because a read took longer than this machine had time for."""
    return "RemoteError: no answer" in (root / "output").read_text(encoding="utf-8")[-400:]


def finish(driver: Driver, root: Path, **order: Any) -> None:
    for _ in range(4):
        done = driver(root, **order)
        if done["code"] == 0:
            return
        assert busy(root), (done, (root / "output").read_text(encoding="utf-8"))
    raise AssertionError("this machine is too busy to finish a run")


def calm_run(driver: Driver, folder: Path, **order: Any) -> tuple[Story, float]:
    """An undisturbed run: on a busy machine the first that was one."""
    for number in range(4):
        root = fresh(folder / str(number))
        begun = time.monotonic()
        done = driver(root, **order)
        spent = time.monotonic() - begun
        if done["code"] != 0:
            assert busy(root), (root / "output").read_text(encoding="utf-8")
            continue
        simulator = books(root, None)
        try:
            story = told(root, simulator)
        finally:
            simulator.stop()
        if not any(story.unmet.values()):
            assert not story.disturbed
            return story, spent
    raise AssertionError(f"no undisturbed run met its expectations: {story.unmet}")


def kill_many(driver: Driver, folder: Path, calm: Story, spent: float, *, seed: int, outside: bool) -> Tally:
    """Kill dry runs at random instants until enough kills have hit, judging a workspace now and then."""
    dice, tally = random.Random(seed), Tally()
    until = time.monotonic() + BUDGET_S
    while tally.kills < KILLS // 2 and time.monotonic() < until:
        root = fresh(folder / f"{tally.workspaces}")
        simulator = ChatwootSimulator(folder / f"{tally.workspaces}.db", "t0ken").start() if outside else None
        order = {"remote": simulator.base_url} if simulator else {}
        if simulator:
            # Notes land a while after they were sent, whether or not their sender still lives.
            simulator.set_faults(
                [{"action": "accepted_late", "delay_ms": 60, "match": {"call": "private_note"}}]
            )
        try:
            for _ in range(A_WORKSPACE):
                # Some while it starts, most in the work; the settle and time-out waits would draw the rest.
                early = dice.random() < 0.1
                after = dice.uniform(0.0, 0.15 if early or dice.random() < 0.5 else spent * 0.4)
                done = driver(root, after=after, early=early, **order)
                if done["code"] == -signal.SIGKILL:
                    tally.kills += 1
                elif done["code"] == 0:
                    tally.missed += 1
                    break
                else:
                    assert busy(root), (root / "output").read_text(encoding="utf-8")
            finish(driver, root, **order)
            simulator = books(root, simulator)
            judge(told(root, simulator), calm, tally)
        finally:
            if simulator:
                simulator.stop()
    return tally


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kills_at_random_instants(drivers: list[Driver], tmp_path: Path) -> None:
    """Half with the simulator in the dying process, half with one that lives on and carries out what it was sent."""
    calm, spent = calm_run(drivers[0], tmp_path / "calm")
    with ThreadPoolExecutor(2) as pool:
        inside = pool.submit(kill_many, drivers[0], tmp_path / "inside", calm, spent, seed=1, outside=False)
        outside = pool.submit(kill_many, drivers[1], tmp_path / "outside", calm, spent, seed=2, outside=True)
        for name, tally in (("inside", inside.result()), ("outside", outside.result())):
            print(f"simulator {name}: {tally}")
            assert tally.kills >= KILLS // 2, "too few kills hit to say anything"
            assert tally.doubled == 0


POINTS = [
    ("before commit", "AB", (1, 3)),
    ("after commit", "AB", (1, 2, 4)),
    ("after observe", "AB", (1, 3, 5)),
    ("before claim", "AB", (1, 4)),
    ("after claim", "AB", (1, 2, 4)),
    ("before send", "AB", (3,)),
    ("after answer", "AB", (1, 2, 3)),
    ("after send", "AB", (1, 3)),
    ("before settle", "AB", (1, 2, 3)),
    ("after settle", "AB", (1, 2, 3)),
    ("after claim of a look-up", "C", (1, 3)),
    ("before look-up settles", "C", (1, 2)),
    ("after look-up settles", "C", (1, 2)),
    ("before artifacts", "A", (1,)),
    ("after artifacts", "A", (1,)),
]


@pytest.fixture(scope="module")
def undisturbed(drivers: list[Driver], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Story]:
    stories = {}
    for only in sorted({only for _, only, _ in POINTS}):
        stories[only], _ = calm_run(drivers[0], tmp_path_factory.mktemp(only), only=only)
    return stories


@pytest.mark.parametrize(("point", "only", "places"), [pytest.param(*p, id=p[0]) for p in POINTS])
def test_a_kill_at_an_exact_point(
    drivers: list[Driver],
    undisturbed: dict[str, Story],
    tmp_path: Path,
    point: str,
    only: str,
    places: tuple[int, ...],
) -> None:
    tally = Tally()
    for nth in places:
        root = fresh(tmp_path / str(nth))
        done = drivers[0](root, only=only, point=point, nth=nth)
        assert done["code"] == -signal.SIGKILL, f"{point} was not passed {nth} times"
        finish(drivers[0], root, only=only)
        simulator = books(root, None)
        try:
            story = told(root, simulator)
            judge(story, undisturbed[only], tally)
        finally:
            simulator.stop()
    died_trying = point in ("after claim", "before send", "after answer", "after send", "before settle")
    assert (tally.disturbed == len(places)) == died_trying
    # What had arrived was found again, not sent again.
    if point in ("after answer", "after send", "before settle"):
        assert tally.recovered >= 1
    print(point, tally)


def test_without_the_look_up_a_kill_doubles_the_reply_and_this_bench_sees_it(
    drivers: list[Driver], undisturbed: dict[str, Story], tmp_path: Path
) -> None:
    root = fresh(tmp_path / "rash")
    assert drivers[0](root, only="A", point="after answer", nth=1)["code"] == -signal.SIGKILL
    finish(drivers[0], root, only="A", rash=True)
    simulator = books(root, None)
    story = told(root, simulator)
    simulator.stop()
    tally = Tally()
    with pytest.raises(AssertionError, match="carried out twice"):
        judge(story, undisturbed["A"], tally)
    assert tally.doubled == 1


def test_a_worker_that_dies_at_every_start_gives_up_in_the_end(drivers: list[Driver], tmp_path: Path) -> None:
    root = fresh(tmp_path)
    for _ in range(3):
        done = drivers[0](root, only="A", point="before send", nth=1)
        assert done["code"] == -signal.SIGKILL
    finish(drivers[0], root, only="A")
    simulator = books(root, None)
    story = told(root, simulator)
    simulator.stop()
    reply, note = story.effects
    assert [a["answer"] for a in reply["attempts"]] == ["lost"] * 3
    assert (reply["final"]["status"], reply["final"]["error_code"]) == ("FAILED", "EWORKERLOST")
    assert story.carried_out == {reply["uid"]: 0, note["uid"]: 1}
    assert story.unmet["a-late-shipment"]
