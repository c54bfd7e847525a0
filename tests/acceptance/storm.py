"""A help desk full of faults, a ledger that is fed, and real worker processes that are killed, frozen and replaced.

Run as a script it is the process that forks workers: preloaded, so that a kill falls into work and not into
imports. It reads one JSON object a line (`argv`, `env`) and answers with the pid.
"""

import functools
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from cairnops.connectors.chatwoot import shapes
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.domain.changes import Change, Entry
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.delivery import EffectDraft, EffectKind
from cairnops.settings import Settings
from cairnops.store import tables as t
from cairnops.store.engine import reading
from cairnops.workspace import Workspace

TOKEN = "t0ken"
#: What a worker says that was not upgraded with the others; the layout is the same.
OLDER = "0.0.9"
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
ALEX = Actor(email="alex@shop.example")
TIMEOUT_MS, SETTLE_MS = 500, 700
#: Lands after the deadline and before anybody may look it up.
LATE_MS = 600
#: What a worker holds is another's after this, at the latest.
LEASE_S = (TIMEOUT_MS + SETTLE_MS + SETTLE_MS // 2) / 1000
POLICY = (
    f"profile: dry-run\ndelivery:\n  timeout_ms: {TIMEOUT_MS}\n  settle_ms: {SETTLE_MS}\n"
    "  backoff_ms: 5\n  max_attempts: 8\n"
)
MIX = [
    "timeout", "connection_reset", "rate_limited", "server_error", "slow", "accepted_no_answer", "accepted_late",
    "malformed_body",
]  # fmt: skip

#: What a worker does with an effect, in the outbox and at the help desk; it dies exactly before or after one of them.
STEPS = ("claim", "deliver", "tried", "find", "looked", "finish")
POINTS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]

_OURS = ("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "FEATURE_", "SUPABASE_")


class Forker:
    """The preloaded process, from outside."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout
        assert self._from.readline() == "ready\n"

    def start(self, argv: list[str], env: dict[str, str], log: Path) -> int:
        """The pid of a command that runs from now on."""
        self._to.write(json.dumps({"argv": argv, "env": env, "log": str(log)}) + "\n")
        self._to.flush()
        return int(self._from.readline())

    def close(self) -> None:
        self._to.close()
        self._process.wait(30)
        self._from.close()


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@dataclass
class Tally:
    """What came of it."""

    effects: int = 0
    kills: int = 0
    #: Kills of a worker that had an effect in its hands, and how many effects that were.
    hit: int = 0
    held: int = 0
    #: Exactly before or after which steps of its work a worker was killed.
    points: set[str] = field(default_factory=set)
    freezes: int = 0
    restarts: int = 0
    #: Every connection to the database cut; clocks set; the disk full.
    cuts: int = 0
    jumps: int = 0
    fills: int = 0
    #: What those that delivered called themselves.
    versions: set[str] = field(default_factory=set)
    requests: int = 0
    struck: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    #: Told to have failed and yet there.
    false: int = 0
    out_of_order: int = 0
    lost_tries: int = 0
    #: Seconds from the death of every worker until what they held had ended, with one new worker.
    recovery_s: list[float] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.false or self.out_of_order)


class Storm:
    """One ledger, one simulator, and workers."""

    def __init__(self, folder: Path, forker: Forker, *, url: str = "", seed: int = 1, percent: int = 25):
        self.root, self.forker, self.dice, self.tally = folder / "w", forker, random.Random(seed), Tally()
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "policy.yaml").write_text(POLICY, encoding="utf-8")
        self.log = folder / "workers.log"
        self.simulator = ChatwootSimulator(folder / "simulator.db", TOKEN).start()
        self.env = {"CHATWOOT_BASE_URL": self.simulator.base_url, "CHATWOOT_API_TOKEN": TOKEN}
        self.env |= {"DATABASE_URL": url} if url else {}
        self.w = Workspace.open(self.root, Settings(self.env))
        self.workers: dict[int, float] = {}
        #: Where the clocks of the workers stand, seconds from the true time.
        self.clocks: list[Path] = []
        self._made = self._started = 0
        for key in range(1, 31):
            self.conversation(key)
        self.simulator.set_faults(
            [
                {
                    "random": {"rate_percent": percent, "seed": seed, "actions": MIX},
                    "delay_ms": LATE_MS,
                    "retry_after_s": 0,
                }
            ]
        )

    def close(self) -> None:
        for pid in list(self.workers):
            self._kill(pid)
        self.w.close()
        self.simulator.stop()

    def conversation(self, key: int) -> None:
        """A customer who asks, on both sides."""
        said = Message(id=f"{key}1", author=Author.CUSTOMER, text="where is it?", at=T0)
        conversation = Conversation(
            id=str(key),
            customer="Alex Rivera",
            customer_key=f"alex{key}@example.test",
            status=Status.OPEN,
            created_at=T0,
            messages=(said,),
        )
        self.simulator.seed(shapes.to_seed(conversation))
        self.w.ledger.observe(conversation, at=T0, actor=ALEX, breached_at=None)

    def feed(self, least: int = 30) -> None:
        """Let so many effects wait at least."""
        while self.waiting() < least:
            for _ in range(10):
                self._made += 1
                key = str(1 + self._made % 30)
                entry = Entry(
                    kind="note.added", at=T0, actor=ALEX, conversation=key, key=f"k{self._made}", body={}
                )
                drafts = [
                    EffectDraft(kind=kind, payload={"text": f"{kind.value} {self._made}"})
                    for kind in (EffectKind.REPLY, EffectKind.NOTE)
                ]
                self.w.ledger.commit(Change(conversation=key, entry=entry, effects=drafts))

    def waiting(self) -> int:
        return self.w.ledger.counts()["undelivered"]

    def holding(self, pid: int = 0) -> list[str]:
        """The uids in the hands of that process, or of anybody."""
        e = t.effect.c
        with reading(self.w.ledger.engine) as c:
            rows = c.execute(select(e["uid", "owner"]).where(e.due_ms.is_not(None), e.owner != "")).all()
        return [row.uid for row in rows if not pid or f"-{pid}-" in row.owner]

    def keep(self, count: int) -> None:
        """Let so many workers run."""
        self.workers = {pid: since for pid, since in self.workers.items() if alive(pid)}
        while len(self.workers) < count:
            # Workers of one file are on one machine, and on one clock.
            clock = self.root / (
                "clock" if not self.w.settings["DATABASE_URL"] else f"clock-{len(self.clocks)}"
            )
            if clock not in self.clocks:
                clock.write_text("0")
                self.clocks.append(clock)
            # Every other one has not been upgraded yet.
            self._started += 1
            env = self.env | {"STORM_CLOCK": str(clock), "STORM_VERSION": OLDER if self._started % 2 else ""}
            pid = self.forker.start(["cairnops", "worker", "-w", str(self.root)], env, self.log)
            self.workers[pid] = time.monotonic()

    def _kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        del self.workers[pid]

    def kill_one(self) -> None:
        """Kill the oldest worker at a random instant of its work."""
        while not (begun := self._begun()):
            # On a full disk they end before they have begun.
            self.keep(max(1, len(self.workers)))
            time.sleep(0.02)
        pid = min(begun, key=self.workers.__getitem__)
        time.sleep(self.dice.uniform(0.0, 0.4))
        self._kill(pid)
        held = len(self.holding(pid))
        self.tally.kills += 1
        self.tally.hit += held > 0
        self.tally.held += held

    def die_at(self, point: str, seconds: float = 60) -> None:
        """Let a worker kill itself exactly there, alone, and wait until it has."""
        for pid in list(self.workers):
            self._kill(pid)
            self.tally.kills += 1
        env = self.env | {"STORM_CLOCK": str(self.root / "clock"), "STORM_VERSION": "", "STORM_DIE": point}
        (self.root / "clock").write_text("0")
        pid = self.forker.start(["cairnops", "worker", "-w", str(self.root)], env, self.log)
        self.workers[pid] = time.monotonic()
        end = time.monotonic() + seconds
        while alive(pid):
            assert time.monotonic() < end, f"it never came to {point}"
            self.feed(10)
            time.sleep(0.05)
        del self.workers[pid]
        self.tally.kills += 1
        self.tally.points.add(point)
        held = len(self.holding(pid))
        self.tally.hit += held > 0
        self.tally.held += held

    def _begun(self) -> list[int]:
        """The workers that are listed, and so have begun to deliver."""
        with reading(self.w.ledger.engine) as c:
            listed = {row.pid: row.version for row in c.execute(select(t.worker.c["pid", "version"]))}
        begun = [pid for pid in self.workers if pid in listed]
        self.tally.versions |= {listed[pid] for pid in begun}
        return begun

    def freeze_one(self, seconds: float) -> None:
        """Stop a worker in its tracks for longer than its leases, and let it go on as if nothing had been."""
        pid = self.dice.choice(self._begun() or list(self.workers))
        os.kill(pid, signal.SIGSTOP)
        self.tally.freezes += 1
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def jump(self) -> None:
        """Set the clock of one of the machines that run now an hour on, back, or right again."""
        clock = self.dice.choice(self.clocks[-len(self.workers) :] or [self.root / "clock"])
        now, to = clock.read_text(), self.dice.choice(["3600", "-3600", "0", "20", "-20"])
        aside = clock.with_suffix(".new")
        aside.write_text(to)
        aside.replace(clock)
        self.tally.jumps += now != to

    def fill(self, seconds: float) -> None:
        """Leave no room on the disk for a while; the folder must be on one of its own."""
        filler = self.root / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        self.tally.fills += 1
        time.sleep(seconds)
        filler.unlink()

    def kill_all_and_recover(self) -> None:
        """Kill every worker at one instant and take the time one new worker needs for what they held."""
        for pid in list(self.workers):
            self._kill(pid)
            self.tally.kills += 1
        held = set(self.holding())
        self.tally.hit += bool(held)
        begun = time.monotonic()
        self.keep(1)
        while held & set(self.holding_or_open()):
            assert time.monotonic() - begun < 120, "it does not recover"
            time.sleep(0.02)
        self.tally.recovery_s.append(time.monotonic() - begun)

    def holding_or_open(self) -> list[str]:
        e = t.effect.c
        with reading(self.w.ledger.engine) as c:
            return list(c.execute(select(e.uid).where(e.due_ms.is_not(None))).scalars())

    def drain(self, seconds: float = 240) -> None:
        """Leave the workers in peace until nothing is left."""
        end = time.monotonic() + seconds
        while self.waiting() and time.monotonic() < end:
            self.keep(3)
            time.sleep(0.2)

    def judge(self) -> Tally:
        """Compare the ledger's word with the simulator's books."""
        tally, rows = self.tally, self.w.ledger.deliveries()
        messages = self.simulator.messages()
        there = Counter(m["run_key"] for m in messages if m["run_key"])
        place = {row["run_key"]: number for number, row in enumerate(rows)}
        tally.effects = len(rows)
        for row in rows:
            final, count = row["final"], there[row["run_key"]]
            tally.doubled += count > 1
            tally.stuck += final is None
            if final is None:
                continue
            tally.ended[final["status"]] += 1
            tally.lost += final["status"] == "SUCCESS" and count == 0
            tally.false += final["status"] in ("FAILED", "TIMEOUT") and count > 0
            assert [a["attempt"] for a in row["attempts"]] == list(range(1, final["attempt"] + 1)), row
            tally.lost_tries += sum(a["answer"] == "lost" for a in row["attempts"])
        by_case: dict[int, list[int]] = {}
        for message in sorted((m for m in messages if m["run_key"]), key=lambda m: m["id"]):
            by_case.setdefault(message["conversation_id"], []).append(place[message["run_key"]])
        tally.out_of_order = sum(order != sorted(order) for order in by_case.values())
        asked = self.simulator.requests()
        tally.requests, tally.struck = len(asked), sum(bool(r["fault"]) for r in asked)
        return tally


@contextmanager
def storm(folder: Path, **how: Any) -> Iterator[Storm]:
    """A storm, and calm afterwards whatever happens."""
    made = Storm(folder, **how)
    try:
        yield made
    finally:
        made.close()


def rage(
    made: Storm,
    kills: int,
    *,
    workers: int = 3,
    freezes: int = 0,
    points: Iterable[str] = (),
    meanwhile: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Kill until it is enough, with freezes and whatever else now and then; then drain and judge."""
    freeze_at = set(made.dice.sample(range(kills), freezes)) if freezes else set()
    for number in range(kills):
        made.feed()
        made.keep(workers)
        meanwhile(number)
        if number in freeze_at:
            made.freeze_one(LEASE_S + 0.3)
        made.kill_one()
    for point in points:
        made.die_at(point)
    for _ in range(3):
        made.feed()
        made.keep(workers)
        time.sleep(1.0)
        made.kill_all_and_recover()
    made.drain()
    return made.judge()


def _set_clock(place: Path) -> None:
    """Let this process's wall clock go wrong by what stands there; nothing else of it changes."""
    import datetime as dates

    from cairnops import workspace

    true_ns = time.time_ns

    def ns() -> int:
        return true_ns() + int(place.read_text()) * 1_000_000_000

    def now() -> dates.datetime:
        return dates.datetime.fromtimestamp(ns() // 1_000_000 / 1000, dates.UTC)

    time.time_ns, time.time = ns, lambda: ns() / 1e9
    workspace.now = now


def _die_at(point: str) -> None:
    """Kill this process exactly before or after a step, the second time it comes to it."""
    import inspect

    from cairnops.connectors.chatwoot.client import ChatwootClient
    from cairnops.store.outbox import SqlOutbox

    when, step = point.split(" ")
    owner: Any = ChatwootClient if step in ("deliver", "find") else SqlOutbox
    real, times = getattr(owner, step), [0]

    def die(at: str) -> None:
        times[0] += at == when
        if at == when and times[0] == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    async def apart(*args: Any, **options: Any) -> Any:
        die("before")
        done = await real(*args, **options)
        die("after")
        return done

    def here(*args: Any, **options: Any) -> Any:
        die("before")
        done = real(*args, **options)
        die("after")
        return done

    setattr(owner, step, apart if inspect.iscoroutinefunction(real) else here)


def _work(order: dict[str, Any]) -> None:
    """The command, in a fork."""
    from cairnops.cli import main

    out = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    os.environ |= order["env"]
    _set_clock(Path(order["env"]["STORM_CLOCK"]))
    if version := order["env"]["STORM_VERSION"]:
        import cairnops

        cairnops.__version__ = version
    if point := order["env"].get("STORM_DIE"):
        _die_at(point)
    sys.argv = order["argv"]
    main()


if __name__ == "__main__":
    import psycopg  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg
    import sqlalchemy.dialects.sqlite  # noqa: F401

    import cairnops.cli.tree
    import cairnops.cli.worker
    import cairnops.connectors.chatwoot.client
    import cairnops.connectors.health
    import cairnops.connectors.service  # noqa: F401

    # Every client would read the certificate authorities anew, for longer than it asks anything.
    ssl.create_default_context = functools.cache(ssl.create_default_context)
    httpx.Client().close()
    # Nobody waits for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 3
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _work(json.loads(line))
            except SystemExit as left:
                code = int(left.code or 0)
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(child, flush=True)
