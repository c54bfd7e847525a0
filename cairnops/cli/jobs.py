"""`jobs`: what waits to be delivered, what waits for a person, and what that person does about it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import render
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, narrate, opened

if TYPE_CHECKING:
    from cairnops.domain.breaker import Outage
    from cairnops.domain.delivery import Found
    from cairnops.domain.jobs import Job
    from cairnops.workspace import Workspace

app = typer.Typer(help="The effects of decisions, for whoever keeps delivery going.", no_args_is_help=True)

EffectArgument = Annotated[
    str, typer.Argument(metavar="EFFECT", help="The effect's id, as jobs list shows it.")
]

_SIGNS = {
    "waiting": "none",
    "under way": "none",
    "retrying": "warn",
    "unclear": "warn",
    "parked": "bad",
    "done": "ok",
}


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also what has arrived.")] = False,
    parked: Annotated[bool, typer.Option("--parked", help="Only what waits for a person.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is not delivered: waiting, between two tries, unclear, or parked for a person to decide.

    What was refused for good, what nobody could find out about, and what was decided on a conversation that has
    moved on during an outage, is parked by itself.

    Example: cairnops jobs list --parked
    """
    with opened(workspace) as w:
        outage = w.outages.last()
        now_ms = w.workers.clock_ms()
        rows = [_row(job, now_ms, outage) for job in w.jobs.listed(everything=everything)]
    rows = [
        row for row in rows if (row["state"] == "parked" if parked else everything or row["state"] != "done")
    ]

    def tell() -> None:
        if not rows:
            narrate("nothing waits" if not everything else "no effect was ever decided")
            return
        render.table(
            ("Effect", "Decision", "Conversation", "Kind", "State", "Why"),
            [
                (
                    row["effect"],
                    row["decisionId"] or "–",
                    row["conversation"],
                    f"{row['kind']}{' (urgent)' if row['urgent'] else ''}",
                    (_SIGNS[row["state"]], row["state"]),
                    row["why"],
                )
                for row in rows
            ],
            wrap=("Kind", "Why"),
        )

    render.emit(rows, as_json, tell)


@app.command()
def show(effect: EffectArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show one effect: how it stands, every try, and what was done about it.

    Example: cairnops jobs show 01K7Q296A02QQAXB76Q3MPEC9A
    """
    with opened(workspace) as w:
        job = w.jobs.job(effect)
        (delivery,) = [
            one for one in w.ledger.deliveries(conversation=job.conversation) if one["uid"] == effect
        ]
        data = _row(job, w.workers.clock_ms(), w.outages.last()) | {
            "attempts": delivery["attempts"],
            "events": w.jobs.events(effect),
        }

    def tell() -> None:
        render.lines(
            [
                ("effect", f"{data['effect']} of decision {data['decisionId'] or '–'}"),
                ("conversation", data["conversation"]),
                ("kind", data["kind"]),
                ("for", data["destination"]),
                ("state", f"{data['state']}{': ' if data['why'] else ''}{data['why']}"),
                *(
                    ("attempt", f"{a['attempt']} at {a['at']}: {a['answer']} {a['error_code']}".rstrip())
                    for a in data["attempts"]
                ),
                *(("record", f"{e['at']} {e['kind']} by {e['actor']}") for e in data["events"]),
            ]
        )

    render.emit(data, as_json, tell)


@app.command()
def park(
    effect: EffectArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why it must not be delivered now.")],
    who: ActorOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an effect out of the queue until somebody retries it; those behind it in its conversation go on.

    Example: cairnops jobs park 01K7Q296A02QQAXB76Q3MPEC9A --reason "wrong customer"
    """
    from cairnops.errors import InputError
    from cairnops.workspace import now

    if not reason.strip():
        raise InputError("--reason is empty.", hint="Say why it must wait.")
    with opened(workspace) as w:
        at, now_ms = now(), w.workers.clock_ms()
        job = w.jobs.park(effect, actor(who, w.settings), reason.strip(), at=at, now_ms=now_ms)
        row = _row(job, now_ms)
    render.emit(row, as_json, lambda: render.say(f"parked: {row['why']}"))


@app.command()
def retry(
    effect: EffectArgument,
    who: ActorOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a parked effect delivered after all, under your name.

    What has ended is looked up at the help desk first, and sent again, as another effect of the same decision,
    only when it is surely not there. It is refused when a later decision has replied in its place.

    Example: cairnops jobs retry 01K7Q296A02QQAXB76Q3MPEC9A
    """
    from cairnops.domain import jobs
    from cairnops.errors import CairnError
    from cairnops.workspace import now

    with opened(workspace) as w:
        job, by = w.jobs.job(effect), actor(who, w.settings)
        # Asking the help desk is for nothing when the answer is no anyway.
        if refused := jobs.refuse_retry(job, by, w.workers.clock_ms(), w.destination):
            raise CairnError(f"{refused}.", hint=f"cairnops jobs show {effect}")
        found = _look(w, job) if job.status else None
        what, uid = w.jobs.retry(effect, by, at=now(), now_ms=w.workers.clock_ms(), found=found)
    said = {
        "back": "back in the queue",
        "again": f"not there; it is sent again as effect {uid}",
        "found": "it had arrived: nothing is sent",
    }[what]
    render.emit({"effect": effect, "outcome": what, "as": uid}, as_json, lambda: render.say(said))


def _look(w: "Workspace", job: "Job") -> "Found":
    """Whether what ended is there after all."""
    import asyncio

    async def look() -> "Found":
        with w.help_desk() as remote:
            async with w.client(remote) as client:
                return await client.find(w.jobs.effect(job.uid))

    return asyncio.run(look())


def _row(job: "Job", now_ms: int, outage: "Outage | None" = None) -> dict[str, Any]:
    from cairnops.domain import jobs

    return {
        "effect": job.uid,
        "decisionId": job.number or None,
        "conversation": job.conversation,
        "session": job.session,
        "kind": job.kind,
        "urgent": job.urgency == 1,
        "state": jobs.state(job, now_ms).value,
        "status": job.status or None,
        "attempt": job.attempt,
        "why": jobs.why(job, outage),
        "dueMs": job.due_ms,
        "parkedBy": job.parked_by or None,
        "destination": job.destination,
    }
