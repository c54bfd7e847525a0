"""Fifty operators who act at once on one PostgreSQL while four workers deliver, beside a bare insert there.

Run it: python tests/bench/bench_shared.py. Five desks serve ten operators each. Commits are timed from the press to
the receipt; the bare insert of one row is made by as many threads of as many processes on the same server.
"""

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import psycopg

TESTS = Path(__file__).resolve().parents[1]
DESKS, PEOPLE, EACH, WORKERS = 5, 10, 8, 4


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


storms = load("cairnops_storm", TESTS / "acceptance" / "storm.py")
postgres = load("cairnops_postgres", TESTS / "contract" / "postgres.py")


def together(work: Callable[[int, int], object]) -> list[float]:
    """Ten people of one desk do it `EACH` times, once told to go; the seconds of each."""
    gate, spent = threading.Barrier(PEOPLE + 1), list[float]()

    def one(person: int) -> None:
        gate.wait()
        for turn in range(EACH):
            begun = time.perf_counter()
            work(person, turn)
            spent.append(time.perf_counter() - begun)

    with ThreadPoolExecutor(PEOPLE) as pool:
        done = [pool.submit(one, person) for person in range(PEOPLE)]
        print("ready", flush=True)
        sys.stdin.readline()
        gate.wait()
        for future in done:
            future.result()
    return spent


def pressing(desk_number: int, root: Path) -> list[float]:
    """One desk, whose operators approve a reply and a note for one case after the other."""
    from cairnops.domain.conversations import Actor
    from cairnops.domain.requests import Action, Request
    from cairnops.settings import Settings
    from cairnops.workspace import Workspace

    with Workspace.open(root, Settings()) as w:
        desk = w.desk(lambda: storms.T0 + timedelta(minutes=20))

        def press(person: int, turn: int) -> None:
            case = str(1 + (desk_number * PEOPLE + person) * EACH + turn)
            made = desk.submit(
                Request(
                    action=Action.APPROVE_SEND,
                    conversation=case,
                    actor=Actor(email=f"op{desk_number}{person}@shop.example"),
                    key=case,
                    text="Hi Alex, your parcel is on its way.",
                    note="asked the carrier",
                )
            )
            assert made.number and len(made.effects) == 2, made

        return together(press)


def inserting(url: str) -> list[float]:
    """As many bare inserts of one row, each committed."""
    lines = [psycopg.connect(url, autocommit=True) for _ in range(PEOPLE)]
    spent = together(
        lambda person, _: lines[person].execute("INSERT INTO bare (body) VALUES (%s)", ("x" * 400,))
    )
    for line in lines:
        line.close()
    return spent


def everybody(what: str, root: Path, env: dict[str, str]) -> tuple[list[float], float]:
    """All desks at once, each a process; the seconds of each call, and of all."""
    desks = [
        subprocess.Popen(
            [sys.executable, __file__, what, str(number), str(root)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | env,
        )
        for number in range(DESKS)
    ]  # fmt: skip
    for desk in desks:
        assert desk.stdout and desk.stdout.readline() == "ready\n"
    begun = time.perf_counter()
    for desk in desks:
        assert desk.stdin
        desk.stdin.write("go\n")
        desk.stdin.flush()
    spent = []
    for desk in desks:
        assert desk.stdout
        spent += json.loads(desk.stdout.readline())
    took = time.perf_counter() - begun
    for desk in desks:
        desk.communicate()
    return spent, took


def figures(spent: list[float], took: float) -> str:
    cuts = statistics.quantiles(spent, n=20)
    rate = f"{len(spent) / took:.0f}/s"
    return (
        f"{rate}; p50 {cuts[9] * 1000:.1f} ms, p95 {cuts[18] * 1000:.1f} ms, most {max(spent) * 1000:.0f} ms"
    )


def main() -> int:

    folder, count = Path(tempfile.mkdtemp(prefix="cairnops-shared-")), DESKS * PEOPLE * EACH
    folder.chmod(0o755)
    place = folder / "server"
    place.mkdir()
    # As a team's server would be: what is committed is on the disk.
    server = postgres.start(place, fsync="on", full_page_writes="on")
    url, forker = postgres.url(place, "postgres"), storms.Forker()
    try:
        with storms.storm(folder / "w", forker=forker, url=url, percent=0) as s:
            for key in range(31, count + 1):
                s.conversation(key)
            with psycopg.connect(url, autocommit=True) as c:
                c.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, body text NOT NULL)")
            bare = everybody("insert", s.root, s.env)
            alone = len(os.sched_getaffinity(0)), os.getloadavg()[0]
            s.keep(WORKERS)
            while len(s.w.workers.listed()) < WORKERS:
                time.sleep(0.1)
            begun = time.perf_counter()
            spent = everybody("press", s.root, s.env)
            while s.waiting():
                time.sleep(0.05)
            drained = time.perf_counter() - begun
            tally = s.judge()
            sent = tally.ended["SUCCESS"]
            print(
                f"{DESKS * PEOPLE} operators, {WORKERS} workers; {alone[0]} cores under a load of {alone[1]:.0f}"
            )
            print(f"  {count} decisions: {figures(*spent)}")
            print(f"  bare one-row insert: {figures(*bare)}")
            print(f"  {sent} effects delivered {drained:.1f} s after the desks began to start")
            print(
                f"  lost {tally.lost}, doubled {tally.doubled}, stuck {tally.stuck}, out of order {tally.out_of_order}"
            )
            return 0 if tally.clean and sent == 2 * count else 1
    finally:
        forker.close()
        postgres.stop(place)
        server.returncode = 0
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        what, number, root = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
        made = pressing(number, root) if what == "press" else inserting(os.environ["DATABASE_URL"])
        print(json.dumps(made), flush=True)
        sys.exit(0)
    os.environ.pop("DATABASE_URL", None)
    sys.exit(main())
