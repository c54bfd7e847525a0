"""`worksheet`: the filled Q&A template of a session."""

from pathlib import Path
from typing import Annotated

import typer

from cairnops.cli import render
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate, opened


def worksheet(
    session: Annotated[str, typer.Argument(help="The session's name.")],
    form: Annotated[str, typer.Option("--format", help="md or csv.")] = "md",
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

    if form not in ("md", "csv"):
        raise InputError(f"There is no format {form!r}.", hint="Formats: md, csv.")
    with opened(workspace) as w:
        rows = sheets.rows(w, session)
        title = f"{w.sessions.get(session).title}: {session}"
    text = sheets.markdown(title, rows) if form == "md" else sheets.as_csv(rows)
    if output is not None:
        write_whole(output, text)
        narrate(f"{len(rows)} rows")
        print(output)
        return
    render.emit([codec.record(row) for row in rows], as_json, lambda: print(text, end=""))
