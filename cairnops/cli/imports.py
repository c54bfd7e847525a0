"""`decisions import`, `inspect` and `convert`: what a file is, that it was taken in, and the same as Parquet."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, narrate, opened

if TYPE_CHECKING:
    from cairnops.analytics.frames import Problems
    from cairnops.telemetry.reader import Export

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE…", help="Exports: NDJSON, JSON, gzip, zstd, tar, Parquet, or a pattern in quotes."
    ),
]


def inspect(files: Files, as_json: JsonOption = False) -> None:
    """Say what a file is, whatever it is called: its kind, what every line of it is, and its hash.

    Exit code 0 every line is a record, 1 some are not, 2 it is no export, 3 it holds no rows.

    Example: cairnops decisions inspect fixtures/exports/concatenated.ndjson
    """
    told = []
    for path, export, problems in _read(files):
        told.append((_account(path, export), problems))
    render.emit(
        [{**account, "problems": problems.sample} for account, problems in told],
        as_json,
        lambda: [_tell(account, problems) for account, problems in told],
    )
    code = max((_code(account) for account, _ in told), key=(0, 1, 3, 2).index)
    if code:
        exits.leave(code)


def import_(
    files: Files, actor_: ActorOption = None, workspace: WorkspaceOption = None, as_json: JsonOption = False
) -> None:
    """Take exports into the workspace's record: what each was, when, and by whom; the same bytes only once.

    The rows stay in the file. Exit code 2 when a file is no export; nothing is recorded of it.

    Example: cairnops decisions import fixtures/exports/decision_sync_sample.ndjson
    """
    from cairnops.errors import USAGE
    from cairnops.store.imports import Imported, SqlImports
    from cairnops.telemetry.preview import mask
    from cairnops.workspace import now

    out: list[dict[str, Any]] = []
    with opened(workspace) as w:
        imports, who = SqlImports(w.ledger.engine), actor(actor_, w.settings)
        for path, export, _ in _read(files):
            account = _account(path, export)
            row = {
                k: account[k]
                for k in ("file", "sha256", "kind", "records", "rejects", "claimedAt", "observedAt")
            }
            if not export.is_data:
                out.append({**row, "result": "refused", "said": mask(export.diagnosis)})
                continue
            claimed, observed = _times(path)
            new = imports.add(
                Imported(
                    sha256=export.sha256, name=export.path, kind=export.kind, size=export.size,
                    records=export.records, rejects=export.rejects, claimed_at=claimed, observed_at=observed,
                    at=now(), actor=who.email, account=account,
                ),
                who,
            )  # fmt: skip
            if new:
                said = f"{wording.count(export.records, 'record')}, {export.rejects} rejected"
                out.append({**row, "result": "imported", "said": said})
                continue
            before = imports.find(export.sha256)
            assert before is not None
            when = f"{before.at:%Y-%m-%d %H:%M}"
            said = f"the same bytes as {before.name}, imported on {when} UTC by {before.actor}: no new data"
            out.append({**row, "result": "known", "said": said})
    render.emit(
        out,
        as_json,
        lambda: render.table(
            ("File", "Result", "What it was"), [(r["file"], r["result"], r["said"]) for r in out],
            wrap=("File", "What it was"),
        ),
    )  # fmt: skip
    if any(row["result"] == "refused" for row in out):
        exits.leave(USAGE)


def convert(
    files: Files,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the Parquet files.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Write each export as one Parquet file, sorted by time, under the declared columns.

    `summary`, `reconcile`, `decisions inspect` and `read_export` read it in place of the export, many times quicker.

    Example: cairnops decisions convert fixtures/exports/decision_sync_sample.ndjson -o parquet
    """
    from cairnops.analytics.parquet import convert as to_parquet

    written = to_parquet(files, output)
    rejects = sum(c.export.rejects for c in written)
    if rejects:
        narrate(f"{wording.count(rejects, 'reject')} left out; cairnops decisions inspect shows them")
    rows = [
        {"file": c.export.path, "parquet": str(c.path), "records": c.records, "rejects": c.export.rejects}
        for c in written
    ]
    render.emit(
        rows, as_json, lambda: render.raw("".join(f"{render.safe(row['parquet'])}\n" for row in rows))
    )


def _read(files: list[str]) -> list[tuple[Path, "Export", "Problems"]]:
    from cairnops.analytics.frames import account_of, paths

    return [(path, *account_of(path)) for path in paths(files)]


def _account(path: Path, export: "Export") -> dict[str, Any]:
    from cairnops.telemetry.preview import mask

    claimed, observed = _times(path)
    return {
        "file": export.path,
        "kind": export.kind,
        "isExport": export.is_data,
        "diagnosis": mask(export.diagnosis) or None,
        "sha256": export.sha256,
        "bytes": export.size,
        "compression": export.compression or None,
        "encoding": export.encoding,
        "byteOrderMark": export.bom,
        "unterminated": export.unterminated,
        "lines": export.lines,
        "recordLines": export.record_lines,
        "rejectLines": export.reject_lines,
        "structureLines": export.structure_lines,
        "blank": export.blank,
        "records": export.records,
        "rejects": export.rejects,
        "reasons": dict(sorted(export.reasons.items())),
        "repairs": dict(sorted(export.repairs.items())),
        "claimedAt": None if claimed is None else _stamp(claimed),
        "observedAt": _stamp(observed),
    }


def _times(path: Path) -> tuple[Any, Any]:
    from datetime import UTC, datetime

    from cairnops.telemetry.naming import claimed_time

    at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return claimed_time(path.name), at.replace(microsecond=at.microsecond // 1000 * 1000)


def _stamp(at: Any) -> str:
    from cairnops import codec

    return codec.stamp(at)


def _code(account: dict[str, Any]) -> int:
    from cairnops.errors import CLEAN, FINDINGS, NOT_ENOUGH, USAGE

    if not account["isExport"]:
        return USAGE
    if not account["records"]:
        return NOT_ENOUGH
    return FINDINGS if account["rejects"] else CLEAN


def _tell(account: dict[str, Any], problems: "Problems") -> None:
    from cairnops.cli.summary import KINDS
    from cairnops.telemetry.reader import REJECTS, REPAIRS

    packed = f", {account['compression']}" if account["compression"] else ""
    render.say(f"{account['file']}: {KINDS.get(account['kind'], account['kind'])}{packed}")
    if account["diagnosis"]:
        render.say(account["diagnosis"], "  ", "  ")
    parts = [
        f"{account['recordLines']} with records", f"{account['rejectLines']} rejected", f"{account['blank']} blank",
    ]  # fmt: skip
    if account["structureLines"]:
        parts.append(f"{account['structureLines']} only brackets")
    marks = [
        *(["byte order mark"] if account["byteOrderMark"] else []),
        *(["no line end after the last line"] if account["unterminated"] else []),
        *([account["encoding"]] if account["encoding"] != "utf-8" else []),
    ]
    pairs: list[tuple[str, object]] = [
        ("sha256", account["sha256"]),
        ("bytes", f"{account['bytes']:,}"),
        ("lines", f"{account['lines']:,} = {' + '.join(parts)}"),
        ("records", f"{account['records']:,}"),
        *(("rejected", f"{count}: {REJECTS[reason]}") for reason, count in account["reasons"].items()),
        *(("repaired", f"{count}: {REPAIRS[repair]}") for repair, count in account["repairs"].items()),
        *([("marks", ", ".join(marks))] if marks else []),
        (
            "made",
            f"{account['claimedAt'] or 'not said'} by its name, {account['observedAt']} by the file system",
        ),
    ]
    render.lines(pairs, indent="  ")
    if problems.sample:
        render.say()
        render.table(
            ("Line", "Rejected because", "What stands there"),
            [(p["line"], p["reason"], p["preview"]) for p in problems.sample],
            wrap=("Rejected because", "What stands there"),
        )
        if len(problems) > len(problems.sample):
            render.say(f"(the first {len(problems.sample)} of {len(problems)})")
