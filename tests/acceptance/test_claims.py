"""Eight processes reach for one conversation: one has it, at every moment, and a holder that dies lets go."""

import multiprocessing
import os
import signal
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from cairnops.domain.conversations import Actor
from cairnops.settings import Settings
from cairnops.store.claims import Taken
from cairnops.workspace import Workspace

EIGHT, ROUNDS, LEASE = 8, 12, 10_000
T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MS = round(T0.timestamp() * 1000)
SPAWN = multiprocessing.get_context("spawn")


def person(number: int) -> Actor:
    return Actor(email=f"operator{number}@shop.example")


def reach(w: Workspace, number: int, after: int) -> bool:
    """Try to open conversation 101 that many milliseconds into the day."""
    try:
        w.claims.take(
            "101",
            person(number),
            f"tab-{number}",
            session="s",
            at=T0 + timedelta(milliseconds=after),
            now_ms=MS + after,
            lease_ms=LEASE,
        )
    except Taken:
        return False
    return True


def _rounds(root: str, number: int, gate: Barrier, said: Any) -> None:
    try:
        with Workspace.open(Path(root), Settings({})) as w:
            won = []
            for turn in range(ROUNDS):
                gate.wait(60)
                # Every other lease is let go, the rest lapse: both make room for the next round.
                if reach(w, number, turn * LEASE):
                    won.append(turn)
                gate.wait(60)
                if turn in won and turn % 2:
                    assert w.claims.release("101", person(number), at=T0)
                gate.wait(60)
            said.put((number, won))
    except BaseException as error:
        gate.abort()
        said.put((number, repr(error)))
        raise


def test_of_eight_processes_one_has_it_in_every_round(tmp_path: Path) -> None:
    root = tmp_path / "w"
    with Workspace.open(root, Settings({})) as w:
        gate, said = SPAWN.Barrier(EIGHT), SPAWN.Queue()
        started = [
            SPAWN.Process(target=_rounds, args=(str(root), number, gate, said)) for number in range(EIGHT)
        ]
        for process in started:
            process.start()
        got = dict(said.get(timeout=120) for _ in started)
        for process in started:
            process.join(60)
        assert all(isinstance(won, list) for won in got.values()), got
        assert sorted(turn for won in got.values() for turn in won) == list(range(ROUNDS))
        kinds = [e["kind"] for e in w.ledger.events(conversation="101")]
        # A lapsed lease the same person takes again is a taking-over too.
        assert kinds.count("claim.taken") + kinds.count("claim.taken_over") == ROUNDS
        assert kinds.count("claim.released") == ROUNDS // 2


def _hold(root: str, ready: Any) -> None:
    with Workspace.open(Path(root), Settings({})) as w:
        ready.put(reach(w, 1, 0))
        signal.pause()


def test_a_process_that_is_killed_lets_go_when_its_lease_ends(tmp_path: Path) -> None:
    root = tmp_path / "w"
    with Workspace.open(root, Settings({})) as w:
        ready = SPAWN.Queue()
        holder = SPAWN.Process(target=_hold, args=(str(root), ready))
        holder.start()
        assert ready.get(timeout=60)
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)
        holder.join(60)
        assert not reach(w, 2, LEASE - 1)
        assert reach(w, 2, LEASE)
        assert [h.actor for h in w.claims.held(MS + LEASE)] == [person(2)]
