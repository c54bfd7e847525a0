"""`reconcile`: hold a worksheet against the log, and say what does not fit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import JsonOption, WorkspaceOption, existing, narrate

if TYPE_CHECKING:
    from cairnops.analytics.reconcile_result import Finding, Reconciliation

#: The log that is a project and not a file; a file of that name is `./supabase`.
_SUPABASE = "supabase"
#: Findings of one kind in the table; the other formats have all.
_SHOWN = 20


def reconcile(
    worksheet: Annotated[
        list[Path],
        typer.Argument(metavar="WORKSHEET", help="Worksheets: Markdown or CSV; - reads ids from stdin."),
    ],
    session: Annotated[
        str, typer.Option("--session", "-s", help="The session the worksheet is about.", show_default=False)
    ] = "",
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="EXPORT",
            help="Compare with this export (NDJSON, Parquet, a folder), or with supabase, the project of the settings;"
            " may be repeated. Without it, the workspace.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            metavar="SECONDS",
            min=0,
            max=86400,
            help="By how much two times of one decision may differ.",
        ),
    ] = 2.0,
    form: Annotated[
        Literal["table", "json", "csv", "junit"], typer.Option("--format", help="How to print the findings.")
    ] = "table",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write (default: stdout).", show_default=False),
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a worksheet against the log: which decisions exist, which are missing, doubled or different, on either side.

    Decisions are met by uid, then decision id, then conversation, people and time; the table says by which.

    Exit 0: they agree; 1: findings; 2: something cannot be read; 3: nothing to compare.

    Example: cairnops reconcile worksheet.md --session cx-escalations
    """
    from contextlib import ExitStack

    from cairnops import codec
    from cairnops.errors import InputError
    from cairnops.evidence import reconcile as reconciling
    from cairnops.evidence import reconcile_formats as formats
    from cairnops.telemetry.writer import write_whole

    if as_json and form not in ("table", "json"):
        raise InputError("--json and --format disagree.", hint="Leave one of them out.")
    chosen = "json" if as_json else form
    if output is not None and chosen == "table":
        raise InputError("--output writes data, not a table.", hint="Add --format csv, json or junit.")
    with ExitStack() as stack:
        opened = None
        if workspace is not None or not against:
            opened = stack.enter_context(
                existing(workspace, hint="Name one with -w, or exports with --against.")
            )
        files, projects = [a for a in against or () if a != _SUPABASE], []
        if files != list(against or ()):
            from cairnops.connectors.supabase import Project
            from cairnops.evidence.mirror import as_source
            from cairnops.settings import Settings

            wrong: list[int] = []
            projects = [as_source(stack.enter_context(Project.of(Settings())), wrong)]
            if wrong:
                narrate(f"supabase: not the text that was hashed: {wording.count(len(wrong), 'decision')}")
        given: list[Path | BinaryIO] = [sys.stdin.buffer if str(w) == "-" else w for w in worksheet]
        result = reconciling.reconcile(
            *given, against=files, more=projects, workspace=opened, session=session, tolerance_s=tolerance
        )
    texts = {
        "json": lambda: codec.dumps(result.to_dict()) + "\n",
        "csv": lambda: formats.as_csv(result),
        "junit": lambda: formats.as_junit(result),
    }
    if output is not None:
        write_whole(output, texts[chosen]())
        narrate(f"wrote {wording.count(len(result.findings), 'finding')}")
        render.raw(f"{render.safe(output)}\n")
    elif chosen == "table":
        _tell(result, session)
    elif chosen == "json":
        render.document(texts["json"]())
    else:
        render.raw(texts[chosen]())
    if result.exit_code:
        exits.leave(result.exit_code)


def _tell(result: "Reconciliation", session: str) -> None:
    for sheet in result.sheets:
        read = [
            wording.count(len(sheet.rows), "claim"),
            f"{wording.count(sheet.lines, 'line')} of {sheet.kind}",
        ]
        if sheet.rejects:
            read.append(f"{len(sheet.rejects)} not readable")
        if sheet.repairs:
            read.append(wording.count(sheet.repairs.total(), "repair") + " while reading")
        render.lines([(sheet.name, ", ".join(read))])
    for log in result.sources:
        held = "" if log.decisions or not log.rows else ", outcomes of deliveries only"
        what = f"{log.rows:,} row{'' if log.rows == 1 else 's'}{held}" + (
            "" if log.kind == log.name else f" ({log.kind})"
        )
        render.lines([("against " + log.name, what)])
    if result.part is not None:
        render.lines([("answers for", _part(result))])
    if result.rows:
        render.say()
        _rows(result)
    for code in dict.fromkeys(f.code for f in result.findings):
        _findings(result, code, [f for f in result.findings if f.code == code])
    if result.notes:
        render.say("\nNotes")
        for note in result.notes:
            render.say(note, "  ", "    ")
    verdict = {0: "AGREES", 1: "FINDINGS", 3: "NOTHING TO COMPARE"}[result.exit_code]
    render.say(f"\n{verdict}")
    render.say(_sum(result, session), "  ", "    ")


def _part(result: "Reconciliation") -> str:
    from cairnops.analytics.reconcile_result import stamp

    part = result.part
    assert part
    if part.sessions:
        names = ", ".join(sorted(part.sessions))
        return f"session{'s' if len(part.sessions) > 1 else ''} {names}, scope {part.scope}"
    if part.start is None or part.end is None:
        return f"scope {part.scope}"
    return f"{wording.moment(stamp(part.start))} to {wording.moment(stamp(part.end))} UTC, scope {part.scope}"


_METHODS = {"uid": "uid", "decision-id": "id", "natural-key": "who, what, when", "": ""}


def _rows(result: "Reconciliation") -> None:
    """A line for every claim; of many, those with findings first."""
    from cairnops.analytics.reconcile_result import HARMLESS, spell

    bad = {(f.sheet, f.line) for f in result.findings if f.line and f.code not in HARMLESS}
    rows = list(result.rows)
    if len(rows) > 2 * _SHOWN:
        rows.sort(key=lambda r: (r.sheet, r.line) not in bad)
    several = len(result.sheets) > 1
    shown = []
    for r in rows[: 2 * _SHOWN]:
        mark = "bad" if (r.sheet, r.line) in bad else "ok" if r.state == "matched" else "none"
        drift = "" if not r.drift_ms else spell(r.drift_ms)
        where = f"{r.sheet}:{r.line}" if several else r.line
        log = r.number or r.uid if r.state == "matched" else ""
        shown.append(
            (where, r.written or "none", (mark, r.state), _METHODS[r.method], log, r.conversation, drift)
        )
    render.table(
        ("Line", "Worksheet", "State", "Met by", "Log", "Conversation", "Drift"),
        shown,
        wrap=("Worksheet", "Conversation", "Met by", "Drift", "Log"),
    )
    if len(rows) > len(shown):
        render.say(f"(the first {len(shown)} of {len(rows):,} rows; --format json has all)")


def _findings(result: "Reconciliation", code: str, findings: "list[Finding]") -> None:
    first, count = findings[0], result.counts[code]
    render.say()
    render.say(f"{code} ({count:,}): {first.meaning}", "", "  ")
    several = len(result.sheets) > 1
    logs = len(result.sources) > 1
    head = ["Line", "Decision", "Worksheet says", "Log says"] + (["Log"] if logs else [])
    render.table(
        head,
        [
            [
                f"{f.sheet}:{f.line}" if several and f.line else f.line or "",
                f.decision,
                f.worksheet,
                f.log,
                *([f.source] if logs else []),
            ]
            for f in findings[:_SHOWN]
        ],
        wrap=("Decision", "Worksheet says", "Log says", "Log"),
    )
    if count > _SHOWN:
        render.say(
            f"(the first {min(_SHOWN, len(findings))} of {count:,}; --format csv has {len(findings):,})"
        )
    render.say(f"→ {first.todo}", "  ", "    ")


def _sum(result: "Reconciliation", session: str) -> str:
    if result.nothing:
        return f"{result.nothing} {'Is the session right?' if session else 'Is it the right file?'}"
    states: dict[str, int] = {}
    for row in result.rows:
        states[row.state] = states.get(row.state, 0) + 1
    parts = [f"{count:,} {state}" for state, count in states.items()]
    said = f"{wording.count(len(result.rows), 'row')}: {', '.join(parts) or 'none'}"
    return f"{said}; {wording.count(result.wrong, 'finding')}; times within {result.tolerance_ms / 1000:g} s."
