"""`conversations`: the queue as triage orders it, and one case with its clocks, waits and decisions."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import render
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate, opened

if TYPE_CHECKING:
    from cairnops.domain.conversations import Conversation
    from cairnops.domain.policy import Policy
    from cairnops.domain.sla import ResponseTimes, Wait

app = typer.Typer(help="Cases: what waits longest, and one case with its clocks.", no_args_is_help=True)

AtOption = Annotated[
    str,
    typer.Option(
        "--at",
        metavar="MOMENT",
        help="Judge as of this moment, ISO 8601 with a zone (default: now).",
        show_default=False,
    ),
]


@app.command("list")
def list_conversations(
    at: AtOption = "",
    every: Annotated[bool, typer.Option("--all", help="Also cases nobody needs to look at.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the cases that need somebody, the most urgent first: P1, P2, P3, then by waiting time.

    Example: cairnops conversations list --at 2025-10-16T18:00:00Z
    """
    with opened(workspace) as w:
        moment = _moment(at)
        cases = [_case(c, w.policy, moment) for c in w.ledger.conversations()]
    rows = sorted(
        (c for c in cases if every or c["priority"]),
        key=lambda c: (
            c["priority"] or "P9",
            -c["inForce"]["breachAgeS"],
            -c["inForce"]["elapsedS"],
            c["conversation"],
        ),
    )

    def tell() -> None:
        if not rows:
            narrate("nobody waits" if not every else "no conversations yet")
            return
        render.table(
            ("Priority", "Case", "Customer", "Waited", "Breach", "Tags"),
            [
                (
                    r["priority"] or "–",
                    r["conversation"].removeprefix("chatwoot:"),
                    r["customer"] or "(no name known)",
                    _minutes(r["inForce"]["elapsedS"]),
                    f"{_minutes(r['inForce']['breachAgeS'])} ago"
                    if r["inForce"]["breached"]
                    else "within SLA",
                    ", ".join(r["tags"]),
                )
                for r in rows
            ],
            wrap=("Customer", "Tags"),
        )

    render.emit(rows, as_json, tell)


@app.command()
def show(
    conversation: Annotated[str, typer.Argument(help="A conversation id (1045 or chatwoot:1045).")],
    at: AtOption = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a case: every SLA clock, first and next responses, resolution, what was said and decided.

    Example: cairnops conversations show 1045 --at 2025-10-16T18:00:00Z
    """
    from cairnops import codec
    from cairnops.domain import sla
    from cairnops.errors import NotFound

    key = conversation.removeprefix("chatwoot:")
    with opened(workspace) as w:
        found = w.ledger.conversation(key)
        if found is None:
            raise NotFound(f"There is no conversation {key}.", hint="cairnops conversations list --all")
        moment = _moment(at)
        data = _case(found, w.policy, moment)
        data["sla"] = codec.record(sla.read(found, w.policy.sla, moment))
        waits = _waits(sla.responses(found, w.policy.sla, moment))
        data["responses"] = [
            {"measure": name, **codec.record(wait), "outcome": wait.outcome.value} for name, wait in waits
        ]
        data["messages"] = [codec.record(m) for m in found.messages]
        data["order"] = codec.record(found.order)
        data["helpDeskSla"] = found.help_desk_sla
        data["decisions"] = w.ledger.decisions(conversation=key, scope="ops")
        data["followUps"] = w.ledger.follow_ups(conversation=key)

    def tell() -> None:
        pairs: list[tuple[str, object]] = [
            ("case", f"{data['conversation']} · {data['status']} · {data['priority'] or 'needs nobody'}"),
            ("customer", data["customer"] or "(no name known)"),
            ("tags", ", ".join(data["tags"]) or "none"),
        ]
        if found.order:
            pairs.append(("order", f"{found.order.number}: {'; '.join(found.order.cues)}"))
        for standing in data["sla"]["standings"]:
            force = ", in force" if standing["clock"] == data["sla"]["clock"] else ""
            state = "breached" if standing["breached"] else "within"
            pairs.append(
                (
                    "SLA",
                    f"{_minutes(standing['elapsedS'])} of {data['sla']['targetMinutes']} min since "
                    f"{standing['clock'].replace('_', ' ')}: {state}{force}",
                )
            )
        if found.help_desk_sla:
            pairs.append(("help desk SLA", found.help_desk_sla))
        for name, wait in waits:
            said = f"{_minutes(wait.seconds)} of {wait.target_s // 60} min: {wait.outcome.value}"
            pairs.append((name, said))
        for message in found.messages:
            who = "note" if message.private else message.author.value
            pairs.append((who, f"{codec.stamp(message.at)[:16].replace('T', ' ')}  {message.text}"))
        for d in data["decisions"]:
            pairs.append(
                ("decision", f"{d['decisionId']} {d['action']} by {d['actor']['email']}: {d['rationale']}")
            )
        for f in data["followUps"]:
            pairs.append(("follow-up", f"{f['owner']} by {f['due']} {f['text']}".rstrip()))
        render.lines(pairs)

    render.emit(data, as_json, tell)


def _waits(responses: "ResponseTimes") -> "list[tuple[str, Wait]]":
    named = [("first response", responses.first)]
    named += [("next response", wait) for wait in responses.next]
    named += [("resolution", responses.resolution)]
    return [(name, wait) for name, wait in named if wait is not None]


def _case(conversation: "Conversation", policy: "Policy", moment: datetime) -> dict[str, Any]:
    from cairnops import codec
    from cairnops.domain import sla

    standing = sla.read(conversation, policy.sla, moment)
    priority = sla.triage(conversation, standing, policy, moment)
    return {
        "conversation": conversation.ref,
        "customer": conversation.customer,
        "status": conversation.status.value,
        "tags": list(conversation.tags),
        "priority": priority.value if priority else "",
        "inForce": codec.record(standing.in_force),
    }


def _moment(text: str) -> datetime:
    from cairnops import codec
    from cairnops.errors import InputError
    from cairnops.workspace import now

    if not text:
        return now()
    try:
        return codec.moment(text)
    except ValueError:
        raise InputError(
            f"{text!r} is no moment.", hint="Write it like 2025-10-16T18:00:00Z, with the zone."
        ) from None


def _minutes(seconds: int) -> str:
    days, rest = divmod(seconds // 60, 1440)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
