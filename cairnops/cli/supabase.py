"""`supabase`: the log mirrored to a Supabase project, compared with it, and read back from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import JsonOption, WorkspaceOption, existing, narrate

if TYPE_CHECKING:
    from cairnops.connectors.supabase import Project
    from cairnops.store.mirror import SqlMirrored

app = typer.Typer(help="The log mirrored to a Supabase project.", no_args_is_help=True)

_HINT = "cairnops init makes one; -w names another."
#: Progress is told about once in so many rows.
_STRIDE = 5000


@app.command()
def push(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Send what the project does not have yet: decisions, deliveries that ended, seals and checkpoints.

    It may be stopped, cut off and repeated at any time: the project is asked what it has, and no row is there
    twice. What retention removed there is not sent again. SUPABASE_URL and SUPABASE_SERVICE_KEY name the project.

    Example: cairnops supabase push
    """
    from cairnops.evidence import mirror

    def told(table: str, done: int, of: int) -> None:
        if done == of or done % _STRIDE < mirror.BATCH:
            narrate(f"{table}: {done:,} of {of:,}")

    with _both(workspace) as (project, ledger):
        sent = mirror.push(project, ledger, told)
        url = project.url

    def tell() -> None:
        render.lines([("project", url)])
        render.table(
            ("Table", "Here", "Were there", "Sent"), [(s.table, s.here, s.there, s.sent) for s in sent]
        )

    render.emit({"project": url, "tables": [asdict(s) for s in sent]}, as_json, tell)


@app.command()
def status(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Compare the project with the ledger row by row, and look whether anon is refused.

    Exit code 1 when something is missing there, is there and not here, differs, or can be read by anybody;
    the last is tried with SUPABASE_ANON_KEY, on every table that has rows.

    Example: cairnops supabase status
    """
    from cairnops.connectors.supabase import Project
    from cairnops.evidence import mirror
    from cairnops.settings import Settings

    with _both(workspace) as (project, ledger):
        compared, until = mirror.compare(project, ledger)
        here = ledger.removed_until()
        url, settings, readable = project.url, Settings(), None
        # An empty table shows nobody anything, whoever may read it.
        tried = project.readable(mirror.GUARDED) if settings["SUPABASE_ANON_KEY"] else []
    if tried:
        with Project.of(settings, "SUPABASE_ANON_KEY") as anon:
            readable = anon.readable(tried)
    data = {
        "project": url,
        "removedUntil": until or None,
        "removedHereUntil": here or None,
        "tables": [_data(c) for c in compared],
        "anon": {"checked": tried, "readable": readable or []},
    }

    def tell() -> None:
        render.lines([("project", url), ("anon", _anon(readable))])
        if oldest := max(until, here):
            render.lines(
                [("retention", f"what was decided before {wording.moment(oldest)} UTC is left alone")]
            )
        if here > until:
            render.say("it was removed here and not there → cairnops supabase retain", "  ", "    ")
        render.table(
            ("Table", "Here", "There", "Missing", "Extra", "Differing", "Newest here, there"),
            [
                (
                    c.table,
                    c.here,
                    c.there,
                    *c.counts.values(),
                    [c.newest_here or "none", c.newest_there or "none"],
                )
                for c in compared
            ],
            wrap=("Newest here, there",),
        )
        for c in compared:
            for what in ("missing", "extra", "differing"):
                if keys := getattr(c, what):
                    render.say(f"{c.table} {what}: {_few(keys, c.counts[what])}", "", "  ")
        if any(c.counts["missing"] for c in compared):
            render.say("→ cairnops supabase push sends what is missing.", "  ", "    ")

    render.emit(data, as_json, tell)
    exits.findings(readable or here > until or any(sum(c.counts.values()) for c in compared))


@app.command()
def retain(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Have the project remove what retention has removed here, through its one function for that, on record there.

    `cairnops retention apply` comes first; what is left alone here is left alone there.

    Example: cairnops supabase retain
    """
    from cairnops.errors import NotFound
    from cairnops.evidence import mirror

    with _both(workspace) as (project, ledger):
        mirror.check_layout(project)
        until = ledger.removed_until()
        if not until:
            raise NotFound("Nothing was removed here yet.", hint="cairnops retention plan")
        removed = project.retain("decisions", until, "removed from the ledger it mirrors")
        url = project.url

    def tell() -> None:
        render.lines([("project", url), ("removed before", f"{wording.moment(until)} UTC")])
        render.table(("Table", "Rows"), [(table, rows) for table, rows in removed.items()])

    render.emit({"project": url, "until": until, "removed": removed}, as_json, tell)


@app.command()
def pull(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write, or - for stdout (default: a dated name in artifacts).",
            show_default=False,
        ),
    ] = None,
    shape: Annotated[
        Literal["decisions", "sync-events"],
        typer.Option(help="Full records, or what became of each effect."),
    ] = "decisions",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an export of what the project holds, as NDJSON: one object a line, whole or absent.

    Exit code 1 when decisions there do not agree with their hash; they are written as they are.

    Example: cairnops supabase pull --shape sync-events
    """
    from cairnops.connectors.supabase import Project
    from cairnops.errors import InputError
    from cairnops.evidence import exports, mirror
    from cairnops.settings import Settings
    from cairnops.telemetry.writer import export_name, write_ndjson
    from cairnops.workspace import now

    to_stdout = str(output) == "-"
    if to_stdout and as_json:
        raise InputError("--json tells of a file; -o - prints the rows.", hint="Leave one of them out.")
    wrong: list[int] = []
    with Project.of(Settings()) as project:
        rows = list(mirror.decisions(project, wrong) if shape == "decisions" else mirror.sync_events(project))
    if to_stdout:
        _print(rows)
    else:
        target = output or _artifacts(workspace) / export_name(f"supabase_{exports.PREFIXES[shape]}", now())
        written = write_ndjson(target, rows)
        narrate(f"wrote {wording.count(written.records, 'row')}, sha256 {written.sha256}")
        told = {"path": str(target), "rows": written.records, "sha256": written.sha256, "wrongHash": wrong}
        render.emit(told, as_json, lambda: render.raw(f"{render.safe(target)}\n"))
    if wrong:
        narrate(f"not the text that was hashed: decision {_few(wrong, len(wrong))}")
    exits.findings(wrong)


@contextmanager
def _both(workspace: Path | None) -> "Iterator[tuple[Project, SqlMirrored]]":
    from cairnops.connectors.supabase import Project
    from cairnops.store.mirror import SqlMirrored

    with existing(workspace, hint=_HINT) as opened, Project.of(opened.settings) as project:
        yield project, SqlMirrored(opened.ledger.engine)


def _artifacts(workspace: Path | None) -> Path:
    with existing(workspace, hint=f"Name a file with -o. {_HINT}") as opened:
        return opened.artifact_folder("")


def _print(rows: list[dict[str, Any]]) -> None:
    """The very bytes a file would hold."""
    import sys
    import tempfile

    from cairnops.telemetry.writer import write_ndjson

    with tempfile.TemporaryDirectory() as folder:
        data = write_ndjson(Path(folder) / "export.ndjson", rows).path.read_bytes()
    if sys.stdout.isatty():
        render.document(data.decode())
    else:
        sys.stdout.buffer.write(data)


def _data(compared: Any) -> dict[str, Any]:
    return {
        "table": compared.table,
        "here": compared.here,
        "there": compared.there,
        "newestHere": compared.newest_here or None,
        "newestThere": compared.newest_there or None,
        "counts": compared.counts,
        "missing": compared.missing,
        "extra": compared.extra,
        "differing": compared.differing,
    }


def _anon(readable: list[str] | None) -> str:
    if readable is None:
        return "not checked: set SUPABASE_ANON_KEY to the project's anon (publishable) key"
    return f"CAN READ {', '.join(readable)}" if readable else "refused wherever there are rows"


def _few(keys: list[Any], count: int) -> str:
    shown = ", ".join(map(str, keys[:20]))
    return shown + (f" and {count - 20:,} more" if count > 20 else "")
