"""`scenarios`: which packs there are, what is in them, and whether they are fit to run."""

from pathlib import Path
from typing import Annotated

import typer

from cairnops.cli import exits, render
from cairnops.cli.common import JsonOption, narrate

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
                [(s["id"], s["title"], ", ".join(s["proves"])) for s in scenarios],
                wrap=("Title", "Proves"),
            ),
        )
        return
    packs = [
        {"id": p.id, "title": p.title, "scenarios": p.scenarios, "minutes": p.minutes, "summary": p.summary}
        for p in (load_info(info.id) for info in shipped())
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


class load_info:
    """A pack in a line."""

    def __init__(self, name: str):
        from cairnops.scenarios.loader import load_pack

        pack = load_pack(name)
        self.id, self.title, self.minutes, self.summary = pack.id, pack.title, pack.minutes, pack.summary
        self.scenarios = len(pack.scenarios)


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
            print(
                f"{loaded.title} · {loaded.weekday} {loaded.date} · {loaded.minutes} min\n{loaded.summary}\n"
            )
            render.table(
                ("Min", "Agenda", "Scenarios"),
                [(p.minutes, p.title, ", ".join(p.scenarios)) for p in loaded.agenda],
                wrap=("Agenda", "Scenarios"),
            )
            render.table(("Gate", "Needs"), [(g.title, g.require) for g in loaded.gates], wrap=("Needs",))

        render.emit(data, as_json, overview)
        return
    found = loaded.scenario(scenario)
    if found is None:
        raise NotFound(
            f"{loaded.id} has no scenario {scenario}.", hint=", ".join(s.id for s in loaded.scenarios)
        )

    def one() -> None:
        world = found.world
        print(f"{found.title} ({found.id})")
        print(f"customer   {render.safe(world.customer.name or '(no name known)')}")
        if world.order:
            total = f" {world.order.currency} {world.order.total}" if world.order.total else ""
            print(f"order      {world.order.number}{total}: {'; '.join(world.order.cues)}")
        for message in world.messages:
            print(f"{message.author:<10} {render.safe(message.text)}")
        print("\nscript")
        for step in found.script:
            said = step.model_dump(mode="json", exclude_none=True, exclude={"at", "role", "refused"})
            minutes = int(step.at.total_seconds() // 60)
            after = f"  → refused: {step.refused}" if step.refused else ""
            values = said[step.kind]
            text = (
                values
                if isinstance(values, str)
                else ", ".join(f"{k}: {v}" for k, v in values.items() if v not in ("", None, {}, []))
            )
            print(f"  +{minutes:>3} min  {step.kind:<9} {render.safe(text)}{after}")
        if found.answer:
            print(f"\nbest move  {found.answer.best}: {found.answer.why}")
        print(f"proves     {', '.join(found.proves)}")

    render.emit(found.model_dump(mode="json", exclude_none=True), as_json, one)


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

    names = packs or [info.id for info in shipped()]
    problems = [
        {"pack": name, "code": p.code, "where": p.where, "message": p.message, "hint": p.hint}
        for name in names
        for p in lint_source(name, today=now().date(), codes=CODES)
    ]

    def tell() -> None:
        for p in problems:
            print(f"{p['pack']}: {p['where']}: {p['message']} [{p['code']}]")
            if p["hint"]:
                print(f"  → {p['hint']}")
        narrate(f"{len(names)} pack(s), {len(problems)} problem(s)")

    render.emit(problems, as_json, tell)
    exits.findings(problems)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where to write the pack.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")] = False,
) -> None:
    """Write a pack of one complete scenario to start from; it lints clean and runs as it is.

    Example: cairnops scenarios new my-pack.yaml
    """
    from cairnops.errors import InputError
    from cairnops.scenarios.template import text
    from cairnops.telemetry.writer import write_whole
    from cairnops.workspace import now

    if file.exists() and not force:
        raise InputError(f"{file} is there already.", hint="Choose another name, or --force to replace it.")
    write_whole(file, text(file.stem, now().date()))
    narrate(f"wrote {file}\n  next: cairnops scenarios lint {file} && cairnops dryrun run --pack {file}")
