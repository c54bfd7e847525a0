"""What a session leaves on disk: both exports, their summary, the worksheet, and a table of what is what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairnops import codec
from cairnops.analytics.summary import summarize
from cairnops.evidence import exports, worksheet
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
    out = []
    for shape, what in (("decisions", "decision export"), ("sync-events", "sync-event export")):
        rows = exports.rows(workspace.ledger, shape, session=session)  # type: ignore[arg-type]
        path = folder / export_name(exports.PREFIXES[shape], held.started_at)
        written = write_ndjson(path, rows)
        out.append(Artifact(what=what, path=path, detail=f"{written.records} rows"))
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
        out.append(Artifact(what="worksheet", path=folder / name, detail=f"{len(rows)} rows"))
    runs = workspace.sessions.runs(session)
    if runs:
        write_whole(folder / "results.json", codec.dumps({"session": session, "results": runs}) + "\n")
        passed = sum(run["passed"] for run in runs)
        detail = f"{passed} of {len(runs)} as expected"
        out.append(Artifact(what="results", path=folder / "results.json", detail=detail))
    return out


def summary_of(workspace: Workspace, path: Path) -> dict[str, Any]:
    """The summary of an export under the workspace's policy, as data."""
    return summarize(
        path, measures=workspace.policy.measures, alerts=workspace.policy.alerts, dialect="cairnops"
    ).to_dict()
