"""`worker`: deliver until told to stop, and say who delivers and what waits."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate, opened, traced

if TYPE_CHECKING:
    from cairnops.connectors.health import Figure
    from cairnops.connectors.service import Service
    from cairnops.workspace import Workspace

app = typer.Typer()

#: What has been due for so long, though a worker is there, is not taken for some reason.
STUCK_MS = 60_000


@app.callback(invoke_without_command=True)
def worker(
    context: typer.Context,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=64, help="How many effects may be under way at once.")
    ] = 4,
    once: Annotated[bool, typer.Option("--once", help="Leave when nothing is left to deliver.")] = False,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            min=0,
            max=65535,
            help="Answer /live, /ready and /metrics on this port of 127.0.0.1; 0 takes a free one.",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Deliver what is committed until SIGTERM or Ctrl+C; what is under way then is finished first.

    Any number of workers may share a database: none sends what another has taken, and what one leaves
    behind when it dies is looked up by the others and sent only if it did not arrive. A second signal ends
    it at once, which is safe too. A help desk that is down is asked now and then whether it is back, and
    nothing else; with --once the worker leaves then.

    Example: cairnops worker --once
    """
    if context.invoked_subcommand:
        return
    import asyncio

    with opened(workspace) as w, w.help_desk() as remote, traced("worker", w.settings):
        if remote.simulated:
            narrate("CHATWOOT_BASE_URL is not set: delivering to the simulator of this workspace")
        asyncio.run(_serve(w, remote, concurrency, once, http))


async def _serve(w: "Workspace", remote: Any, concurrency: int, once: bool, http: int | None) -> None:
    import asyncio
    import contextlib
    import os
    import signal
    import socket

    from cairnops import __version__
    from cairnops.connectors import health
    from cairnops.connectors.service import Identity, Service
    from cairnops.workspace import now, worker_name

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def asked() -> None:
        narrate("stopping: finishing what is under way")
        stop.set()
        for one in signals:
            loop.remove_signal_handler(one)

    for one in signals:
        loop.add_signal_handler(one, asked)
    who = Identity(name=worker_name(), host=socket.gethostname(), pid=os.getpid(), version=__version__)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(w.client(remote))
        service = Service(
            w.outbox,
            w.workers,
            client,
            w.policy.delivery,
            who,
            concurrency=concurrency,
            stamp=now,
            outages=w.outages,
        )
        if http is not None:
            listener = health.listening(http)
            await stack.enter_async_context(
                health.serving(listener, lambda: _not_ready(service), lambda: figures(w, service))
            )
            narrate(f"health: http://127.0.0.1:{listener.getsockname()[1]}/ready")
        narrate(f"worker {who.name} delivers to {w.destination}")
        await service.run(stop, once=once)
    arrived = service.ended["SUCCESS"]
    narrate(f"stopped; {arrived} effects delivered, {service.ended.total() - arrived} ended otherwise")


def _not_ready(service: "Service") -> str:
    from cairnops.store.workers import STALE_MS

    silent = service.silent_s
    if silent is None:
        return "the database has not answered yet"
    return f"the database has not answered for {silent:.0f} s" if silent * 1000 > STALE_MS else ""


async def figures(w: "Workspace", service: "Service") -> "list[Figure]":
    """What the worker has done, and what the database says of the queue; without the latter when it is away."""
    import asyncio

    from cairnops.domain.delivery import FinalStatus
    from cairnops.errors import CairnError
    from cairnops.workspace import now

    ended = {f'status="{s.value}"': float(service.ended[s.value]) for s in FinalStatus}
    out: list[Figure] = [
        ("cairnops_effects_ended_total", "counter", "Effects that ended in this worker's hands.", ended),
        (
            "cairnops_heartbeat_age_seconds",
            "gauge",
            "Since the database last answered.",
            {"": service.silent_s or 0},
        ),
    ]
    try:
        queue, listed, outage = await asyncio.to_thread(
            lambda: (w.workers.queue(now()), w.workers.listed(), w.outages.last())
        )
    except CairnError:
        return [*out, ("cairnops_database_up", "gauge", "Whether the database answers.", {"": 0})]
    alive = sum(one["alive"] for one in listed)
    depth = {
        'state="waiting"': float(queue.waiting - queue.under_way - queue.retrying),
        'state="retrying"': float(queue.retrying),
        'state="under_way"': float(queue.under_way),
        'state="parked"': float(queue.parked),
    }
    there = {'state="alive"': float(alive), 'state="stale"': float(len(listed) - alive)}
    lasts = outage is not None and outage.ended is None
    down = max((now() - outage.since).total_seconds(), 0.001) if outage and lasts else 0.0
    overdue, oldest = {"": queue.overdue_ms / 1000}, {"": queue.oldest_ms / 1000}
    return [
        *out,
        ("cairnops_database_up", "gauge", "Whether the database answers.", {"": 1}),
        ("cairnops_queue_effects", "gauge", "Unfinished effects of this help desk.", depth),
        ("cairnops_queue_overdue_seconds", "gauge", "How long the one due longest waits.", overdue),
        ("cairnops_queue_oldest_seconds", "gauge", "Since the oldest was decided.", oldest),
        ("cairnops_workers", "gauge", "Workers of this database.", there),
        ("cairnops_help_desk_up", "gauge", "Whether the help desk answers.", {"": float(not down)}),
        ("cairnops_help_desk_down_seconds", "gauge", "Since when it does not.", {"": down}),
    ]


@app.command()
def status(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show which workers are alive, how much waits, for how long, and whether the help desk is down.

    Exit code 1 when something is stuck: the help desk does not answer, effects wait and no worker is alive, or
    one has been due for more than a minute. The desk delivers too while it is open, and is not listed.

    Example: cairnops worker status
    """
    with opened(workspace) as w:
        found = standing(w)

    def tell() -> None:
        if found["workers"]:
            render.table(
                ("Worker", "State", "Since", "At once", "Delivered", "Failed"),
                [
                    (
                        one["name"],
                        ("ok", "alive") if one["alive"] else ("bad", f"silent {_ago(one['beatAgoMs'])}"),
                        one["started"],
                        one["concurrency"],
                        one["delivered"],
                        one["failed"],
                    )
                    for one in found["workers"]
                ],
                wrap=("Worker",),
            )
            render.say()
        q = found["queue"]
        render.lines(
            [
                ("help desk", found["destination"]),
                ("waiting", f"{q['waiting']}, {q['underWay']} under way, {q['retrying']} to be tried again"),
                ("due longest", _ago(q["overdueMs"])),
                ("oldest", _ago(q["oldestMs"])),
                ("parked", f"{q['parked']} for a person: cairnops jobs list" if q["parked"] else 0),
                *(("stuck", sentence) for sentence in found["stuck"]),
            ]
        )

    render.emit(found, as_json, tell)
    exits.findings(found["stuck"])


def standing(w: "Workspace") -> dict[str, Any]:
    """The workers, the queue, and in sentences what is stuck."""
    from cairnops import codec
    from cairnops.domain import breaker, jobs
    from cairnops.workspace import now

    at, outage = now(), w.outages.last()
    down = breaker.why(outage)
    queue, listed = w.workers.queue(at), w.workers.listed()
    now_ms = w.workers.clock_ms()
    parked = sum(jobs.state(job, now_ms) is jobs.JobState.PARKED for job in w.jobs.listed())
    mine = [one for one in listed if one["alive"] and one["destination"] == w.destination]
    stuck = []
    if queue.waiting and not mine:
        some = "1 effect waits" if queue.waiting == 1 else f"{queue.waiting} effects wait"
        stuck.append(f"{some} and no worker is alive; start one: cairnops worker")
    if down:
        stuck.append(f"{down}; what waits is sent when it does")
    elif mine and queue.overdue_ms > STUCK_MS:
        stuck.append(f"an effect has been due for {_ago(queue.overdue_ms)}: cairnops jobs list")
    return {
        "destination": w.destination,
        "workers": listed,
        "queue": {
            "waiting": queue.waiting,
            "underWay": queue.under_way,
            "retrying": queue.retrying,
            "parked": parked,
            "overdueMs": queue.overdue_ms,
            "oldestMs": queue.oldest_ms,
        },
        "outage": {"since": codec.stamp(outage.since), "error": outage.error} if outage and down else None,
        "stuck": stuck,
    }


def _ago(ms: int) -> str:
    seconds = ms // 1000
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
