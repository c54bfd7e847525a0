"""What a session leaves on disk: both exports, their summary, the worksheet, and a table of what is what."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairnops import codec
from cairnops.analytics.summary import summarize
from cairnops.errors import WorkspaceError
from cairnops.evidence import exports, proofs, worksheet
from cairnops.store.seals import Signed
from cairnops.telemetry.writer import export_name, write_ndjson, write_whole
from cairnops.workspace import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One file a session left."""

    what: str
    path: Path
    detail: str


def write(workspace: Workspace, session: str) -> list[Artifact]:
    """Write the session's artifacts, each whole or absent; the same session gives the same names again.

    Raises:
        NotFound: when there is no such session.
    """
    held = workspace.sessions.get(session)
    folder = workspace.artifact_folder(session)
    signed = workspace.seals.newest()
    size = signed.size if signed else 0
    out = []
    for shape, what in (("decisions", "decision export"), ("sync-events", "sync-event export")):
        rows = exports.rows(workspace.ledger, shape, session=session, log_size=size)  # type: ignore[arg-type]
        path = folder / export_name(exports.PREFIXES[shape], held.started_at)
        written = write_ndjson(path, rows)
        out.append(Artifact(what=what, path=path, detail=_rows(written.records)))
    signed_files = _statements(workspace, session, out[0].path, signed) if signed else []
    summary = summary_of(workspace, out[-1].path)
    path = folder / "summary.json"
    write_whole(path, codec.dumps(summary) + "\n")
    totals = summary["totals"]
    out.append(
        Artifact(what="summary", path=path, detail=f"{totals['success']} of {totals['records']} delivered")
    )
    rows = worksheet.rows(workspace, session)
    for name, text in (
        ("worksheet.md", worksheet.markdown(f"{held.title}: {session}", rows)),
        ("worksheet.csv", worksheet.as_csv(rows)),
    ):
        write_whole(folder / name, text)
        out.append(Artifact(what="worksheet", path=folder / name, detail=_rows(len(rows))))
    runs = workspace.sessions.runs(session)
    if runs:
        write_whole(folder / "results.json", codec.dumps({"session": session, "results": runs}) + "\n")
        passed = sum(run["passed"] for run in runs)
        detail = f"{passed} of {len(runs)} as expected"
        out.append(Artifact(what="results", path=folder / "results.json", detail=detail))
    return out + signed_files


def _statements(workspace: Workspace, session: str, export: Path, signed: Signed) -> list[Artifact]:
    """What somebody needs to check the export: the checkpoint, the public key, and which part of the log it is."""
    from cairnops.store import keys

    held = workspace.seals.held_keys()
    texts = [
        ("checkpoint", proofs.CHECKPOINT, signed.note, _rows(signed.size)),
        ("public key", proofs.PUBLIC_KEY, keys.pem(held[-1].key.public), held[-1].key.id.hex()),
    ]
    if rotations := proofs.rotations(workspace):
        texts.append(("key rotations", proofs.ROTATIONS, rotations, f"{len(held)} keys"))
    # Whoever may not read the key can write artifacts; only the part of the log stays unsigned.
    with suppress(WorkspaceError):
        if part := proofs.extract(workspace, session, signed):
            name = export.with_suffix(proofs.EXTRACT_SUFFIX).name
            texts.append(("extract", name, part, f"of {_rows(signed.size)}"))
    out = []
    for what, name, text, detail in texts:
        write_whole(export.parent / name, text)
        out.append(Artifact(what=what, path=export.parent / name, detail=detail))
    return out


def summary_of(workspace: Workspace, path: Path) -> dict[str, Any]:
    """The summary of an export under the workspace's policy, as data."""
    return summarize(
        path, measures=workspace.policy.measures, alerts=workspace.policy.alerts, dialect="cairnops"
    ).to_dict()


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
