"""`worksheet`: the filled Q&A template of a session."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cairnops.cli import render, wording
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate, opened


def worksheet(
    session: Annotated[str, typer.Argument(help="The session's name.")],
    form: Annotated[Literal["md", "csv"], typer.Option("--format", help="Markdown or CSV.")] = "md",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write (default: stdout).")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fill the Q&A worksheet: time, participant, conversation, SLA timer, decision, outcome, follow-up.

    Example: cairnops worksheet cx-escalations --format csv -o worksheet.csv
    """
    from cairnops import codec
    from cairnops.errors import InputError
    from cairnops.evidence import worksheet as sheets
    from cairnops.telemetry.writer import write_whole

    if as_json and output is not None:
        raise InputError(
            "--json prints to stdout and --output writes --format.", hint="Leave one of them out."
        )
    with opened(workspace) as w:
        rows = sheets.rows(w, session)
        title = f"{w.sessions.get(session).title}: {session}"
    text = sheets.markdown(title, rows) if form == "md" else sheets.as_csv(rows)
    if output is not None:
        write_whole(output, text)
        narrate(f"wrote {wording.count(len(rows), 'row')}")
        render.raw(f"{render.safe(output)}\n")
        return
    render.emit([codec.record(row) for row in rows], as_json, lambda: render.raw(text))
