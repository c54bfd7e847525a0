"""`scenarios`: which packs there are, what is in them, and whether they are fit to run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import JsonOption, narrate

if TYPE_CHECKING:
    from cairnops.scenarios.model import Scenario, Step

app = typer.Typer(help="Scenario packs: list, read, check, write.", no_args_is_help=True)

PackArgument = Annotated[str, typer.Argument(help="A pack that ships (cx-escalations) or a YAML file.")]


@app.command("list")
def list_packs(
    pack: Annotated[str, typer.Argument(help="List the scenarios of this pack.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the packs that ship, or the scenarios of one.

    Example: cairnops scenarios list practice-library
    """
    from cairnops.scenarios.loader import load_pack, shipped

    if pack:
        loaded = load_pack(pack)
        scenarios = [
            {"id": s.id, "letter": s.letter or "", "title": s.title, "proves": list(s.proves)}
            for s in loaded.scenarios
        ]
        render.emit(
            scenarios,
            as_json,
            lambda: render.table(
                ("Scenario", "Title", "Proves"),
                [(s["id"], s["title"], s["proves"]) for s in scenarios],
                wrap=("Title", "Proves"),
            ),
        )
        return
    packs = [
        {
            "id": info.name,
            "title": info.title,
            "scenarios": len(info.scenarios),
            "minutes": info.minutes,
            "summary": info.summary,
        }
        for info in shipped()
    ]
    render.emit(
        packs,
        as_json,
        lambda: render.table(
            ("Pack", "Scenarios", "Minutes", "What it is"),
            [(p["id"], p["scenarios"], p["minutes"], p["summary"]) for p in packs],
            wrap=("What it is",),
        ),
    )


@app.command()
def show(
    pack: PackArgument,
    scenario: Annotated[str, typer.Argument(help="A scenario's id or letter.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show a pack's agenda and gates, or one scenario: the case, the script, the answer.

    Example: cairnops scenarios show cx-escalations A
    """
    from cairnops.errors import NotFound
    from cairnops.scenarios.loader import load_pack

    loaded = load_pack(pack)
    if not scenario:
        data = loaded.model_dump(mode="json", exclude={"scenarios"})
        data["scenarios"] = [s.id for s in loaded.scenarios]

        def overview() -> None:
            render.say(f"{loaded.title}: {loaded.weekday} {loaded.date}, {loaded.minutes} minutes")
            render.say(f"{loaded.summary}\n")
            render.table(
                ("Min", "Agenda", "Scenarios"),
                [(p.minutes, p.title, list(p.scenarios) or "") for p in loaded.agenda],
                wrap=("Agenda", "Scenarios"),
            )
            render.say()
            render.table(
                ("Gate", "Needs"), [(g.title, g.require) for g in loaded.gates], wrap=("Gate", "Needs")
            )

        render.emit(data, as_json, overview)
        return
    found = loaded.scenario(scenario)
    if found is None:
        raise NotFound(
            f"{loaded.id} has no scenario {scenario}.", hint=", ".join(s.id for s in loaded.scenarios)
        )

    render.emit(found.model_dump(mode="json", exclude_none=True), as_json, lambda: _one(found))


def _one(scenario: "Scenario") -> None:
    world = scenario.world
    render.say(f"{scenario.title} ({scenario.id})\n")
    pairs: list[tuple[str, object]] = [("customer", world.customer.name or "(no name known)")]
    if world.order:
        total = f", {world.order.currency} {world.order.total}" if world.order.total else ""
        cues = f": {'; '.join(world.order.cues)}" if world.order.cues else ""
        pairs.append(("order", f"{world.order.number}{total}{cues}"))
    pairs += [("says" if m.author == "customer" else m.author, m.text) for m in world.messages]
    render.lines(pairs)
    render.say("\nscript")
    print_script(scenario)
    render.say()
    pairs = [("best move", f"{scenario.answer.best}: {scenario.answer.why}")] if scenario.answer else []
    render.lines([*pairs, ("proves", ", ".join(scenario.proves))])


def print_script(scenario: "Scenario") -> None:
    """Print the script of a scenario, a step a line, by the minute."""
    for step in scenario.script:
        minutes = int(step.at.total_seconds() // 60)
        after = f" → refused: {step.refused}" if step.refused else ""
        render.say(f"{step_text(step)}{after}", f"  {minutes:>3} min  {step.kind:<9} ", " " * 21)


def step_text(step: "Step") -> str:
    """What a step says or does, in words."""
    said = step.model_dump(mode="json", exclude_none=True)[step.kind]
    return said if isinstance(said, str) else _words(said)


def _words(values: dict[str, Any]) -> str:
    parts = []
    for key, value in values.items():
        if value in ("", None, {}, [], False):
            continue
        shown = f"({_words(value)})" if isinstance(value, dict) else value
        parts.append(f"{key.replace('_', ' ')}: {shown}")
    return "; ".join(parts)


@app.command()
def lint(
    packs: Annotated[
        list[str] | None, typer.Argument(help="Packs or YAML files (default: all that ship).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check packs: unknown keys, scenarios that prove nothing, sums, weekdays, placeholders, expiry.

    Exit code 1 when something is found.

    Example: cairnops scenarios lint my-pack.yaml
    """
    from cairnops.domain.catalogue import CODES
    from cairnops.scenarios.lint import lint_source
    from cairnops.scenarios.loader import shipped
    from cairnops.workspace import now

    names = packs or [info.name for info in shipped()]
    problems = [
        {
            "pack": name,
            "line": p.line,
            "code": p.code,
            "where": "" if p.where == name else p.where,
            "message": p.message,
            "hint": p.hint,
        }
        for name in names
        for p in lint_source(name, today=now().date(), codes=CODES)
    ]

    def tell() -> None:
        for p in problems:
            place = f"{p['pack']}:{p['line']}" if p["line"] else p["pack"]
            where = f"{p['where']}: " if p["where"] else ""
            render.say(f"{place}: {where}{p['message']} [{p['code']}]", hanging="  ")
            if p["hint"] and p["hint"].rstrip("?.").lower() not in p["message"].lower():
                render.say(f"→ {p['hint']}", "  ", "    ")
        narrate(f"{wording.count(len(names), 'pack')}, {wording.count(len(problems), 'problem')}")

    render.emit(problems, as_json, tell)
    exits.findings(problems)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where to write the pack.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")] = False,
) -> None:
    """Write a pack of one complete scenario to start from; it lints clean and runs as it is.

    The JSON Schema of packs is written beside it, for an editor that completes keys.

    Example: cairnops scenarios new my-pack.yaml
    """
    from cairnops.errors import InputError
    from cairnops.scenarios import schema
    from cairnops.scenarios.template import text
    from cairnops.telemetry.writer import write_whole
    from cairnops.workspace import now

    if file.exists() and not force:
        raise InputError(f"{file} is there already.", hint="Choose another name, or --force to replace it.")
    write_whole(file, text(file.stem, now().date()))
    write_whole(file.with_name(schema.BESIDE), schema.render())
    narrate(f"wrote {file}, and {schema.BESIDE} beside it")
    narrate(f"  next: cairnops scenarios lint {file} && cairnops dryrun run --pack {file}")


@app.command()
def seeds(
    pack: PackArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write (default: stdout).", show_default=False),
    ] = None,
) -> None:
    """Write a pack's conversations as seeds for the simulator: a JSON list, faults included.

    Example: cairnops scenarios seeds cx-escalations -o seeds.json
    """
    from cairnops.codec import dumps
    from cairnops.scenarios.loader import load_pack
    from cairnops.scenarios.seeds import seeds as seeds_of
    from cairnops.telemetry.writer import write_whole

    found = seeds_of(load_pack(pack))
    if output is None:
        render.document(dumps(found) + "\n")
        return
    write_whole(output, dumps(found) + "\n")
    narrate(f"wrote {wording.count(len(found), 'conversation')}")
    render.raw(f"{render.safe(output)}\n")
