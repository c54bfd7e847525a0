"""`fixtures`: make exports to practise and measure on, with the truth about them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cairnops.cli import render, wording
from cairnops.cli.common import JsonOption, narrate

app = typer.Typer(help="Make exports to practise and measure on.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    # Without a callback the only command would take the group's place.
    return


@app.command()
def make(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.")],
    rows: Annotated[int, typer.Option(min=0, help="How many rows.")] = 10_000,
    dirt: Annotated[str, typer.Option(metavar="SHARE", help="Share of damaged lines, such as 0.1%.")] = "0",
    kind: Annotated[
        Literal["malformed", "mixed", "all"],
        typer.Option(help="Damage lines, write sound rows under other names and forms, or both."),
    ] = "all",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Write a synthetic sync-event export, and beside it FILE.truth.json: what was damaged, and where.

    Example: cairnops fixtures make --rows 1000 --dirt 1% --seed 7 -o practice.ndjson
    """
    from cairnops.telemetry import synthetic

    written, truth = synthetic.make(output, rows=rows, dirt=synthetic.share(dirt), seed=seed, kind=kind)
    told = truth.to_dict()
    damaged = sum(len(lines) for lines in truth.dirt.values())
    narrate(
        f"wrote {wording.count(truth.lines, 'line')}, {damaged} of them damaged,"
        f" {wording.count(truth.records, 'record')}, {wording.count(truth.rejects, 'reject')}, sha256 {written.sha256}"
    )
    told["dirt"] = {name: len(lines) for name, lines in told["dirt"].items()}
    render.emit(
        {"file": str(written.path), "sha256": written.sha256, "bytes": written.bytes, **told},
        as_json,
        lambda: render.raw(f"{render.safe(written.path)}\n"),
    )
