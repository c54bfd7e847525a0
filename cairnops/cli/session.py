"""`session`: who takes part, what was probed, go or no-go, and what has happened so far."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, narrate, opened, session_name

if TYPE_CHECKING:
    from cairnops.evidence.artifacts import Artifact
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
    live: Annotated[
        bool, typer.Option("--live", help="People work it in real time, from now; else scripts are played.")
    ] = False,
    exam: Annotated[
        bool, typer.Option("--exam", help="No hints while a case is worked; the debrief tells all.")
    ] = False,
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

    session_name(name)
    people = [participant(text) for text in participants or []]
    with opened(workspace) as w:
        who = actor(as_, w.settings)
        held, fresh = begin(
            w,
            load_pack(pack),
            name,
            people,
            who,
            live=now() if live else None,
            mode="exam" if exam else "practice",
        )
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


@app.command()
def tick(
    name: NameArgument,
    task: Annotated[str, typer.Argument(help="The task's id, as `session status --json` lists it.")],
    as_: ActorOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Tick off a task of the session's checklist; who did it and when is on record.

    Example: cairnops session tick thursday rehearsal --as morgan@shop.example
    """
    from cairnops.workspace import now

    with opened(workspace) as w:
        if w.sessions.tick(name, task, actor(as_, w.settings), now()):
            narrate(f"{task} is done")
        else:
            narrate(f"{task} was done already")


@app.command("list")
def list_sessions(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the workspace's sessions.

    Example: cairnops session list --json
    """
    with opened(workspace) as w:
        rows = w.sessions.all()

    def tell() -> None:
        if not rows:
            narrate("no sessions yet; start one: cairnops session start NAME")
            return
        render.table(
            ("Session", "State", "Pack", "Decisions", "Participants"),
            [(r["name"], r["state"], r["pack"], r["decisions"], r["participants"]) for r in rows],
            wrap=("Session", "Pack", "Participants"),
        )

    render.emit(rows, as_json, tell)


@app.command()
def close(name: NameArgument, as_: ActorOption = None, workspace: WorkspaceOption = None) -> None:
    """Close a session: nothing can be run in it any more, the log is sealed, and its artifacts are written.

    Example: cairnops session close thursday
    """
    from cairnops.evidence import artifacts
    from cairnops.workspace import now

    with opened(workspace) as w:
        if not w.sessions.close(name, actor(as_, w.settings), now()):
            narrate(f"session {name} was closed already")
        w.seal(actor(as_, w.settings), now())
        files = artifacts.write(w, name)
    artifact_lines(files)


def artifact_lines(files: "list[Artifact]") -> None:
    """Print what was written: the folder once, then a file a line."""
    if files:
        render.say(f"artifacts in {files[0].path.parent}")
    render.lines([(a.what, f"{a.path.name} ({a.detail})") for a in files], indent="  ")


def _status(workspace: "Workspace", name: str) -> dict[str, Any]:
    from cairnops import codec
    from cairnops.domain import sessions
    from cairnops.workspace import now

    held = workspace.sessions.get(name)
    records = workspace.sessions.probes(name)
    board = sessions.board(held, records, now())
    newest = {r.name: r for r in records}
    ticked = workspace.sessions.ticked(name)
    runs = workspace.sessions.runs(name)
    pending = [e for e in workspace.ledger.deliveries(session=name) if e["final"] is None]
    return {
        "session": name,
        "state": workspace.sessions.state(name),
        "title": held.title,
        "pack": held.pack,
        "mode": held.mode,
        "live": held.live,
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
        "checklist": [{**codec.record(task), "done": ticked.get(task.id)} for task in held.checklist],
        "agenda": [codec.record(part) for part in held.agenda],
        "results": [
            {"scenario": r["scenario"], "operator": r["operator"], "passed": r["passed"]} for r in runs
        ],
        "undelivered": len(pending),
    }


_GATE_MARKS = {"go": "ok", "no_go": "bad", "unknown": "warn"}
_VERDICTS = {
    "go": "GO: every gate is met",
    "no_go": "NO-GO: a gate is not met",
    "unknown": "NOT KNOWN: a gate's probe was not measured, or too long ago",
}


def _tell(data: dict[str, Any], as_json: bool) -> None:
    render.emit(data, as_json, lambda: _board(data))
    exits.findings(data["verdict"] != "go")


def _checklist(tasks: list[dict[str, Any]]) -> str:
    """How much is done, and the ids of what comes next."""
    left = [task["id"] for task in tasks if not task["done"]]
    following = f"; next: {', '.join(left[:3])}" if left else ""
    return f"{len(tasks) - len(left)} of {len(tasks)} done{following}"


def _board(data: dict[str, Any]) -> None:
    flags = {"modalApprovals": "approvals", "aiEscalations": "AI suggestions"}
    render.say(f"{data['title']}: session {data['session']}, {data['state']}\n")
    render.lines(
        [
            ("pack", data["pack"]),
            (
                "starts",
                f"{wording.moment(data['startedAt'])} UTC{'' if data['live'] else ' by its own clock'}",
            ),
            ("kind", f"{'worked in real time' if data['live'] else 'scripts'}, {data['mode']}"),
            ("policy", f"{data['policy']['profile']}, hash {data['policy']['hash'][:16]}"),
            (
                "flags",
                ", ".join(f"{flags.get(k, k)} {'on' if v else 'off'}" for k, v in data["flags"].items()),
            ),
            *(("participants", f"{p['email']} ({p['role']})") for p in data["participants"]),
            *(("roles", f"{role}: {who}") for role, who in data["roles"].items()),
            *([("checklist", _checklist(data["checklist"]))] if data["checklist"] else []),
            ("undelivered", wording.count(data["undelivered"], "effect")),
        ]
    )
    render.say()
    render.table(
        ("Gate", "State", "Why"),
        [
            (
                g["title"],
                (_GATE_MARKS[g["state"]], g["state"].replace("_", "-").replace("unknown", "not known")),
                g["reasons"] or "",
            )
            for g in data["gates"]
        ],
        wrap=("Gate", "Why"),
    )
    if data["probes"]:
        render.say()
        render.table(
            ("Probe", "Result", "Took", "Measured (UTC)", "Detail"),
            [
                (
                    p["name"],
                    ("ok" if p["status"] == "ok" else "bad", p["status"]),
                    "" if p["latencyMs"] is None else f"{p['latencyMs']} ms",
                    wording.moment(p["at"]),
                    p["detail"],
                )
                for p in data["probes"]
            ],
            wrap=("Detail",),
        )
    if data["results"]:
        render.say()
        render.table(
            ("Scenario", "Operator", "Expectation"),
            [
                (r["scenario"], r["operator"], ("ok", "met") if r["passed"] else ("bad", "not met"))
                for r in data["results"]
            ],
            wrap=("Scenario", "Operator"),
        )
    render.say(f"\n{_VERDICTS[data['verdict']]}")
