"""Plays dry runs in forks of a process that has everything imported, and kills them where it is told to.

Reads one JSON object a line and answers each with one: what became of the fork, and after how long. The
parent is preloaded so that a kill falls into work and not into imports; it opens nothing itself.
"""

import asyncio
import contextlib
import functools
import importlib
import json
import os
import signal
import ssl
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.domain.conversations import Actor
from cairnops.evidence import artifacts
from cairnops.scenarios import runner
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.sessions import begin
from cairnops.settings import Settings
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox
from cairnops.workspace import Remote, Workspace

WHO = Actor(email="alex@shop.example")
PACK = load_pack("cx-escalations")
SESSION = "killed"
GIVE_UP_S = 60.0


class Fate:
    """Kills its own process the n-th time a point is passed."""

    def __init__(self, point: str, nth: int):
        self.point, self.left = point, nth

    def at(self, point: str) -> None:
        """Pass a point."""
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class DyingLedger(SqlLedger):
    """The ledger, with a point before and after every commit."""

    fate: Fate

    def commit(self, change: Any) -> Any:
        self.fate.at("before commit")
        committed = super().commit(change)
        self.fate.at("after commit")
        return committed

    def observe(self, *given: Any, **named: Any) -> int:
        version = super().observe(*given, **named)
        self.fate.at("after observe")
        return version


class DyingOutbox(SqlOutbox):
    """The outbox, with a point before and after every claim and every settlement."""

    fate: Fate
    #: Without the rule: what a dead worker left is taken for not sent.
    rash = False

    def claim(self, owner: str, **named: Any) -> Any:
        self.fate.at("before claim")
        claim = super().claim(owner, **named)
        if claim is not None:
            self.fate.at("after claim of a look-up" if claim.unclear else "after claim")
            if self.rash:
                return replace(claim, unclear=False)
        return claim

    def tried(self, *given: Any, **named: Any) -> bool:
        self.fate.at("before settle")
        done = super().tried(*given, **named)
        self.fate.at("after settle")
        return done

    def looked(self, *given: Any, **named: Any) -> bool:
        self.fate.at("before look-up settles")
        done = super().looked(*given, **named)
        self.fate.at("after look-up settles")
        return done

    def finish(self, *given: Any, **named: Any) -> bool:
        self.fate.at("before settle")
        done = super().finish(*given, **named)
        self.fate.at("after settle")
        return done


class DyingClient(ChatwootClient):
    """The client, with a point before a try, after its request was answered, and after it was judged."""

    fate: Fate

    async def deliver(self, *given: Any) -> Any:
        self.fate.at("before send")
        result = await super().deliver(*given)
        self.fate.at("after send")
        return result

    async def _write(self, *given: Any, **named: Any) -> Any:
        response = await super()._write(*given, **named)
        self.fate.at("after answer")
        return response


def play(order: dict[str, Any], begun: int) -> None:
    """One dry run, as the command does it; every number it is given is acknowledged in a file at once.

    `begun` is a file to write to when the first scene begins.
    """
    root = Path(order["root"])
    fate = Fate(order.get("point", ""), order.get("nth", 0))
    acks = os.open(root / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(line: Any) -> None:
        _, arrow, number = line.text.partition("→ decision ")
        if arrow:
            os.write(acks, f"{number}\n".encode())

    with Workspace.open(root / "workspace", Settings({})) as w:
        w.ledger = DyingLedger(w.ledger.engine)
        w.outbox = DyingOutbox(w.ledger.engine)
        w.ledger.fate = w.outbox.fate = fate
        w.outbox.rash = order.get("rash", False)

        def client(remote: Remote) -> ChatwootClient:
            made = DyingClient(
                remote.base_url, remote.account_id, remote.token, timeout_ms=w.policy.delivery.timeout_ms
            )
            made.fate = fate
            return made

        w.client = client  # type: ignore[method-assign]
        held, _ = begin(w, PACK, SESSION, [WHO], WHO)
        chosen = [s for s in PACK.scenarios if not order.get("only") or s.letter in order["only"]]
        os.write(begun, b"!")
        if order.get("remote"):
            remote = Remote(base_url=order["remote"], account_id=1, token="t0ken", simulated=True)
            results = asyncio.run(runner.run(w, remote, PACK, held, WHO, chosen, tell))
        else:
            with w.help_desk() as remote:
                results = asyncio.run(runner.run(w, remote, PACK, held, WHO, chosen, tell))
        fate.at("before artifacts")
        artifacts.write(w, held.name)
        fate.at("after artifacts")
        passed = {r.scenario.id: [c.code for c in r.score.checks if c.gating and not c.ok] for r in results}
    (root / "passed.json").write_text(json.dumps(passed), encoding="utf-8")


def forked(order: dict[str, Any]) -> dict[str, Any]:
    """Play in a fork; kill it `after` seconds after its first scene began (or after the fork: `early`)."""
    curtain, begun = os.pipe()
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.close(curtain)
            out = os.open(Path(order["root"]) / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            play(order, begun)
            code = 0
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(begun)
    if not order.get("early"):
        os.read(curtain, 1)
    kill_at = time.monotonic() + order.get("after", GIVE_UP_S)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() >= kill_at:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.001)
    os.close(curtain)
    return {"code": os.waitstatus_to_exitcode(status)}


def preload() -> None:
    """Import whatever a whole run imports on its way, found out by playing one in a fork."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "modules"
        child = os.fork()
        if child == 0:
            play({"root": folder, "only": "A"}, os.open(os.devnull, os.O_WRONLY))
            listed.write_text("\n".join(sys.modules), encoding="utf-8")
            os._exit(0)
        os.waitpid(child, 0)
        for name in listed.read_text(encoding="utf-8").split():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # Every client would read the certificate authorities anew, for longer than it asks anything.
    ssl.create_default_context = functools.cache(ssl.create_default_context)
    httpx.Client().close()
    # A thread alive here would be cut in half by every fork.
    assert threading.active_count() == 1


if __name__ == "__main__":
    preload()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line))), flush=True)
