"""`dryrun`: play scenarios through the desk, watch what happens, and keep the evidence."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, narrate, opened, session_name
from cairnops.cli.decisions import delivery
from cairnops.cli.scenarios import print_script, step_text
from cairnops.cli.session import artifact_lines
from cairnops.evidence import inert

if TYPE_CHECKING:
    from cairnops.scenarios.model import Pack, Scenario
    from cairnops.scenarios.runner import Line, Result

app = typer.Typer(help="Scripted rehearsals, through the code an operator uses.", no_args_is_help=True)


@app.command()
def run(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="Scenario ids or letters (default: all of the pack).")
    ] = None,
    pack: Annotated[
        str, typer.Option("--pack", "-p", help="A pack that ships, or a YAML file.")
    ] = "cx-escalations",
    session: Annotated[
        str,
        typer.Option(
            "--session", "-s", help="The session to run in; started when new.", show_default="the pack's id"
        ),
    ] = "",
    as_: ActorOption = None,
    workspace: WorkspaceOption = None,
    switch_off: Annotated[
        list[str] | None,
        typer.Option("--switch-off", metavar="CODE", help="Run without this rule, to see what it is for."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; do nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run scenarios: decide, deliver, compare with what was expected, and write the evidence.

    Running a session again repeats nothing that was decided and finishes what was interrupted.

    A new session name starts afresh. Exit code 1 when a scenario did not meet its expectation.

    Example: cairnops dryrun run A B --session thursday --as alex@shop.example
    """
    from cairnops.scenarios.loader import load_pack

    loaded = load_pack(pack)
    chosen = _chosen(loaded, scenarios or [])
    if dry_run:
        _plan(loaded, chosen, as_json)
        return
    import asyncio

    from cairnops.evidence import artifacts
    from cairnops.scenarios import runner
    from cairnops.scenarios.scoring import readiness_lines
    from cairnops.scenarios.sessions import begin, measure
    from cairnops.workspace import now

    if session:
        session_name(session)
    with opened(workspace) as w:
        who = actor(as_, w.settings)
        _switch_off(w, switch_off or [])
        held, fresh = begin(w, loaded, session, [who], who)
        narrate(f"{'session' if fresh else 'continuing session'} {held.name} · {loaded.title}")
        clock = w.policy.sla.clock.replace("_", " ")
        narrate(f"policy {w.policy.profile} · SLA {w.policy.sla.minutes} min since {clock}")
        if loaded.policy != w.policy.profile:
            narrate(
                f"note: the pack was written for profile {loaded.policy}; "
                "`profile:` in the workspace's policy.yaml says which is in force"
            )
        if fresh:
            measure(w, held, who, now())
        teller = _Teller(chosen)
        with w.help_desk() as remote:
            results = asyncio.run(runner.run(w, remote, loaded, held, who, chosen, teller))
        files = artifacts.write(w, held.name)
        readiness = readiness_lines([r.score for r in results])
        data = {
            "session": held.name,
            "pack": loaded.id,
            "passed": all(r.score.passed for r in results),
            "scenarios": [_as_data(r) for r in results],
            "readiness": list(readiness),
            "artifacts": [{"what": a.what, "path": str(a.path), "detail": a.detail} for a in files],
        }

    def tell() -> None:
        render.say()
        render.table(
            ("Scenario", "Decided", "Delivered", "Expectation"),
            [_row(r) for r in results],
            wrap=("Scenario", "Decided", "Delivered"),
        )
        render.say()
        for result in results:
            for check in result.score.checks:
                if not check.ok and check.gating:
                    render.say(
                        f"{result.scenario.id}: {check.code}: expected {check.expected}; found {check.found}",
                        hanging="  ",
                    )
        for line in readiness:
            render.say(line)
        artifact_lines(files)

    render.emit(data, as_json, tell)
    exits.findings(not data["passed"])


def _chosen(pack: "Pack", names: list[str]) -> "list[Scenario]":
    from cairnops.errors import NotFound

    if not names:
        return list(pack.scenarios)
    out = []
    for name in names:
        found = pack.scenario(name)
        if found is None:
            raise NotFound(
                f"{pack.id} has no scenario {name}.",
                hint=f"It has: {', '.join(s.id for s in pack.scenarios)}.",
            )
        out.append(found)
    return out


def _switch_off(workspace: Any, codes: list[str]) -> None:
    from cairnops.domain import catalogue, switches
    from cairnops.errors import NotFound

    for code in codes:
        if catalogue.find(code) is None:
            near = catalogue.near(code)
            raise NotFound(
                f"No rule has the code {code}.",
                hint=f"Did you mean {near}?" if near else "cairnops explain lists every rule.",
            )
    for code in codes:
        workspace.use(switches.without(workspace.policy, code))
    if codes:
        narrate(f"switched off for this run: {', '.join(codes)}")


def _plan(pack: "Pack", chosen: "list[Scenario]", as_json: bool) -> None:
    from cairnops import codec

    plan = [
        {
            "scenario": s.id,
            "at": codec.stamp(pack.begins(s.id) + step.at),
            "step": number,
            "minute": int(step.at.total_seconds() // 60),
            "kind": step.kind,
            "text": step_text(step),
            "refused": step.refused or "",
        }
        for s in chosen
        for number, step in enumerate(s.script, 1)
    ]

    def tell() -> None:
        for s in chosen:
            begins = wording.moment(codec.stamp(pack.begins(s.id)))
            render.say(f"{s.title} ({s.id}), {begins} UTC")
            print_script(s)
            render.say()
        narrate("a plan only; nothing was done")

    render.emit(plan, as_json, tell)


class _Teller:
    """Says each step as it happens, a line each, with a heading when a scenario begins."""

    def __init__(self, chosen: "list[Scenario]"):
        self._titles = {s.id: s.title for s in chosen}
        self._order = [s.id for s in chosen]
        self._now = ""

    def __call__(self, line: "Line") -> None:
        if line.scenario != self._now:
            self._now = line.scenario
            place = self._order.index(line.scenario) + 1
            narrate(f"\n[{place}/{len(self._order)}] {self._titles[line.scenario]}")
        minutes, seconds = divmod(int(line.at.total_seconds()), 60)
        mark = {"done": "•", "sent": "✓", "failed": "✗", "refused": "■", "cue": " "}[line.tone]
        who = f"{line.who}: " if line.who else ""
        text = inert.one_line(f"{who}{line.text}")
        narrate(render.folded(text, f"  {minutes:>3}:{seconds:02d} {mark} ", " " * 11))


def _row(result: "Result") -> tuple[object, ...]:
    decided = [
        f"{d['decisionId']} {d['action'].removeprefix('chatwoot.')}"
        for d in result.decisions
        if d["scope"] == "ops"
    ]
    if not decided:
        decided = [f"no decision; worksheet: {n['outcome']}" for n in result.notes] or ["no decision"]
    delivered = [delivery(effect) for effect in result.deliveries]
    verdict = ("ok", "met") if result.score.passed else ("bad", "not met")
    letter = f"{result.scenario.letter}  " if result.scenario.letter else ""
    return f"{letter}{result.scenario.title}", decided, delivered or "nothing", verdict


def _as_data(result: "Result") -> dict[str, Any]:
    from cairnops import codec
    from cairnops.evidence.exports import milliseconds

    return {
        "scenario": result.scenario.id,
        "conversation": f"chatwoot:{result.conversation}",
        "decisions": [
            {"decisionId": d["decisionId"], "uid": d["uid"], "scope": d["scope"], "action": d["action"]}
            for d in result.decisions
        ],
        "deliveries": [
            {
                "effect": e["kind"],
                "decisionId": e["number"] or None,
                "status": e["final"]["status"] if e["final"] else "PENDING",
                "attempt": e["final"]["attempt"] if e["final"] else None,
                "errorCode": (e["final"]["error_code"] or None) if e["final"] else None,
                "durationMs": milliseconds(e["final"]["duration_us"]) if e["final"] else None,
            }
            for e in result.deliveries
        ],
        "followUps": [{"owner": f["owner"], "due": f["due"]} for f in result.follow_ups],
        "worksheet": [n["outcome"] for n in result.notes],
        "score": codec.record(result.score),
    }
