"""`report baseline`: how long the same thing takes by hand, by stopwatch or typed with its source."""

from typing import Annotated, Literal

import typer

from cairnops.cli import render, report_text, wording
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, narrate, opened

app = typer.Typer(help="How long it takes by hand: stopwatch or typed figure.", no_args_is_help=True)

MeasureOption = Annotated[
    Literal["handling", "pickup"],
    typer.Option(help="Deciding a case from opening it, or taking over an escalated one."),
]


@app.command("start")
def start(
    measure: MeasureOption = "handling", who: ActorOption = None, workspace: WorkspaceOption = None
) -> None:
    """Start a stopwatch on something done by hand; one a person.

    Example: cairnops report baseline start --measure pickup
    """
    from cairnops.store.baselines import SqlBaselines
    from cairnops.workspace import now

    with opened(workspace) as w:
        person = actor(who, w.settings)
        number = SqlBaselines(w.ledger.engine).start(measure, person, now())
    narrate(f"stopwatch {number} of {person.email} runs ({measure}); cairnops report baseline stop ends it")


@app.command("stop")
def stop(
    note: Annotated[str, typer.Option(help="What was measured, for whoever reads the figure.")] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Stop without keeping a figure.")] = False,
    who: ActorOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Stop your stopwatch and keep what it shows.

    Example: cairnops report baseline stop --note "verbal handover, call 3"
    """
    from cairnops.store.baselines import SqlBaselines
    from cairnops.workspace import now

    with opened(workspace) as w:
        kept = SqlBaselines(w.ledger.engine).stop(actor(who, w.settings), now(), drop=drop, note=note)
    if kept is None:
        narrate("stopped; nothing kept")
    else:
        narrate(f"baseline {kept.number}: {kept.measure} by hand took {report_text.span(kept.seconds)}")


@app.command("add")
def add(
    minutes: Annotated[float, typer.Option(metavar="NUMBER", help="How long it took by hand, minutes.")],
    source: Annotated[str, typer.Option(help="Where the figure is from: who measured it, when, how.")],
    measure: MeasureOption = "handling",
    who: ActorOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Keep a figure measured elsewhere, with its source.

    Example: cairnops report baseline add --minutes 5 --source "five calls timed by the lead"
    """
    from cairnops.store.baselines import SqlBaselines
    from cairnops.workspace import now

    with opened(workspace) as w:
        number = SqlBaselines(w.ledger.engine).add(
            measure, _seconds(minutes), source, actor(who, w.settings), now()
        )
    narrate(f"baseline {number}: {measure} by hand took {report_text.span(_seconds(minutes))}")


@app.command("withdraw")
def withdraw(
    number: Annotated[int, typer.Argument(help="The baseline's number.")],
    why: Annotated[str, typer.Option(help="Why it should not count; kept beside it.")],
    who: ActorOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Let a baseline no longer count; it stays on record with the reason.

    Example: cairnops report baseline withdraw 1 --why "the phone rang in between"
    """
    from cairnops.store.baselines import SqlBaselines
    from cairnops.workspace import now

    with opened(workspace) as w:
        SqlBaselines(w.ledger.engine).withdraw(number, why, actor(who, w.settings), now())
    narrate(f"baseline {number} no longer counts")


@app.command("list")
def list_baselines(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List every measurement by hand, who made it and from what.

    Example: cairnops report baseline list
    """
    from cairnops.store.baselines import SqlBaselines

    with opened(workspace) as w:
        rows = [
            {
                "number": row["seq"],
                "at": row["at"],
                "actor": row["actor"],
                "measure": row["measure"],
                "seconds": row["seconds"],
                "source": row["source"],
                "withdrawn": row["withdrawn"],
            }
            for row in SqlBaselines(w.ledger.engine).all()
            if row["seconds"] is not None
        ]

    def tell() -> None:
        if not rows:
            narrate("no baselines; cairnops report baseline start times one")
            return
        render.table(
            ("No", "When (UTC)", "By", "Measure", "Took", "Source"),
            [
                (
                    r["number"],
                    wording.moment(r["at"]),
                    r["actor"],
                    r["measure"],
                    report_text.span(r["seconds"]),
                    [r["source"], *([f"withdrawn: {r['withdrawn']}"] if r["withdrawn"] else [])],
                )
                for r in rows
            ],
            wrap=("By", "Source"),
        )

    render.emit(rows, as_json, tell)


def _seconds(minutes: float) -> int:
    from cairnops.errors import InputError

    if not 0 < minutes <= 525_600:
        raise InputError("--minutes is no length of time.", hint="Write minutes above 0, such as 4.5.")
    return max(round(minutes * 60), 1)
