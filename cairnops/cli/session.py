"""`session`: who takes part, what was probed, go or no-go, and what has happened so far."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, narrate, opened

if TYPE_CHECKING:
    from cairnops.workspace import Workspace

app = typer.Typer(help="Training sessions: start, look at, close.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The session's name.")]


@app.command()
def start(
    name: NameArgument,
    pack: Annotated[str, typer.Option("--pack", "-p", help="The pack it runs.")] = "cx-escalations",
    participants: Annotated[
        list[str] | None,
        typer.Option(
            "--participant", "-P", metavar="EMAIL[:ROLE]", help="Who takes part; repeat the option."
        ),
    ] = None,
    as_: ActorOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a session from a pack: participants, roles, flags, agenda; probes are measured and gates judged.

    Exit code 1 when a gate does not say go.

    Example: cairnops session start thursday -P alex@shop.example -P morgan@shop.example:lead
    """
    from cairnops.errors import CairnError
    from cairnops.scenarios.loader import load_pack
    from cairnops.scenarios.sessions import begin, measure
    from cairnops.store.sessions import participant
    from cairnops.workspace import now

    people = [participant(text) for text in participants or []]
    with opened(workspace) as w:
        who = actor(as_, w.settings)
        held, fresh = begin(w, load_pack(pack), name, people, who)
        if not fresh:
            raise CairnError(
                f"Session {name} is there already.", hint=f"cairnops session status {name}, or another name."
            )
        measure(w, held, who, now())
        data = _status(w, name)
    _tell(data, as_json)


@app.command()
def status(
    name: NameArgument,
    probe: Annotated[bool, typer.Option("--probe", help="Measure every probe again first.")] = False,
    as_: ActorOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a session: gates with the probes behind them, participants, results, what is undelivered.

    Exit code 1 when a gate does not say go.

    Example: cairnops session status thursday --probe
    """
    from cairnops.scenarios.sessions import measure
    from cairnops.workspace import now

    with opened(workspace) as w:
        if probe:
            measure(w, w.sessions.get(name), actor(as_, w.settings), now())
        data = _status(w, name)
    _tell(data, as_json)


@app.command("list")
def list_sessions(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the workspace's sessions.

    Example: cairnops session list --json
    """
    with opened(workspace) as w:
        rows = w.sessions.all()
    render.emit(
        rows,
        as_json,
        lambda: render.table(
            ("Session", "State", "Pack", "Decisions", "Participants"),
            [(r["name"], r["state"], r["pack"], r["decisions"], ", ".join(r["participants"])) for r in rows],
            wrap=("Participants",),
        ),
    )


@app.command()
def close(name: NameArgument, as_: ActorOption = None, workspace: WorkspaceOption = None) -> None:
    """Close a session: nothing can be run in it any more, and its artifacts are written a last time.

    Example: cairnops session close thursday
    """
    from cairnops.evidence import artifacts
    from cairnops.workspace import now

    with opened(workspace) as w:
        if not w.sessions.close(name, actor(as_, w.settings), now()):
            narrate(f"session {name} was closed already")
        files = artifacts.write(w, name)
    render.lines([(a.what, f"{a.path} ({a.detail})") for a in files])


def _status(workspace: "Workspace", name: str) -> dict[str, Any]:
    from cairnops import codec
    from cairnops.domain import sessions
    from cairnops.workspace import now

    held = workspace.sessions.get(name)
    records = workspace.sessions.probes(name)
    board = sessions.board(held, records, now())
    newest = {r.name: r for r in records}
    runs = workspace.sessions.runs(name)
    pending = [e for e in workspace.ledger.deliveries(session=name) if e["final"] is None]
    return {
        "session": name,
        "state": workspace.sessions.state(name),
        "title": held.title,
        "pack": held.pack,
        "startedAt": codec.stamp(held.started_at),
        "policy": {"profile": held.policy_profile, "hash": held.policy_hash},
        "flags": codec.record(held.flags),
        "participants": [{"email": p.email, "role": p.role.value} for p in held.participants],
        "roles": held.roles,
        "verdict": board.state.value,
        "gates": [
            {
                "id": gate.id,
                "title": gate.title,
                "require": gate.require,
                "state": result.state.value,
                "reasons": list(result.reasons),
            }
            for gate, result in board.results
        ],
        "probes": [codec.record(newest[p]) for p in held.probes if p in newest],
        "checklist": [codec.record(task) for task in held.checklist],
        "agenda": [codec.record(part) for part in held.agenda],
        "results": [
            {"scenario": r["scenario"], "operator": r["operator"], "passed": r["passed"]} for r in runs
        ],
        "undelivered": len(pending),
    }


def _tell(data: dict[str, Any], as_json: bool) -> None:
    def tell() -> None:
        print(f"{data['title']} · session {data['session']} ({data['state']}) · {data['startedAt']}")
        render.lines(
            [
                ("policy", f"{data['policy']['profile']} {data['policy']['hash'][:12]}"),
                ("flags", ", ".join(f"{k}={'on' if v else 'off'}" for k, v in data["flags"].items())),
                (
                    "participants",
                    ", ".join(f"{p['email']} ({p['role']})" for p in data["participants"]) or "nobody",
                ),
                ("undelivered", data["undelivered"]),
            ]
        )
        kinds = {"go": "ok", "no_go": "bad", "unknown": "warn"}
        render.table(
            ("Gate", "", "Why"),
            [
                (g["title"], (kinds[g["state"]], g["state"].replace("_", "-")), "; ".join(g["reasons"]))
                for g in data["gates"]
            ],
            wrap=("Gate", "Why"),
        )
        if data["results"]:
            render.table(
                ("Scenario", "Operator", ""),
                [
                    (r["scenario"], r["operator"], ("ok", "met") if r["passed"] else ("bad", "not met"))
                    for r in data["results"]
                ],
            )
        print(
            {"go": "GO", "no_go": "NO-GO", "unknown": "NOT KNOWN: a gate's probe was not measured"}[
                data["verdict"]
            ]
        )

    render.emit(data, as_json, tell)
    exits.findings(data["verdict"] != "go")
