"""What a session hands over: everything somebody needs to check it without the workspace, and what must be among it."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cairnops import __version__, codec
from cairnops.domain import sessions
from cairnops.domain.gates import ProbeRecord
from cairnops.domain.sessions import Session
from cairnops.errors import InputError, WorkspaceError
from cairnops.evidence import artifacts, bags, cases, exports, feedback, proofs, worksheet
from cairnops.evidence.worksheet import Row
from cairnops.store import keys
from cairnops.telemetry.writer import export_name, write_ndjson
from cairnops.workspace import Workspace

FORMAT = "cairnops-bundle/1"
INDEX = "bundle.json"
SCREENSHOTS = "screenshots"

#: Evidence a scenario may ask for.
DECISION_ROW, QA_ROW, SCREENSHOT = "decision_row", "qa_row", "screenshot"

#: How images begin, by ending: a page that says "404" under the name of a picture is no evidence.
IMAGES = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".webp": (b"RIFF",),
}

_SCREENSHOTS_README = """\
# Screenshots

Pictures of what operators saw lie here. A name begins with the scenario's id or holds the conversation's number
(`a-late-shipment.png`, `1045 modal.png`); that is how the completeness map finds them. None is required: the row and
its hash are the evidence, a picture only shows it.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A bundle that was written."""

    kept: bags.Kept
    session: str
    #: How many records of the log the checkpoint covers; None when nothing is sealed.
    sealed: int | None
    unsealed: int
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Something a scenario of the session asked for, and what is there; `found` is empty when nothing is."""

    scenario: str
    operator: str
    conversation: str
    kind: str
    required: bool
    found: str

    @property
    def missing(self) -> bool:
        """True when it was required and is not there."""
        return self.required and not self.found


def default_name(workspace: Workspace, session: str) -> Path:
    """Where a bundle goes when nobody says."""
    held = workspace.sessions.get(session)
    name = export_name("bundle", held.started_at).removesuffix(".ndjson")
    return workspace.artifact_folder(session) / f"{name}.zip"


def write(
    workspace: Workspace,
    session: str,
    target: Path,
    *,
    at: datetime,
    replace: bool = False,
    page: Callable[[], str] | None = None,
) -> Bundle:
    """Write the session's bundle as a BagIt bag, whole or not at all; a name ending in `.zip` is an archive.

    `at` (UTC) is the bagging date and stands in `bag-info.txt` only: while the ledger says the same of the
    session, the payload is the same to the last byte. `page` makes the report (`report_of`) that the bundle
    takes along unless a `report.html` lies beside the session's artifacts; an empty one is left out.

    Raises:
        NotFound: when there is no such session.
        InputError: when the target cannot be written, or a screenshot cannot go into a bundle.
        WorkspaceError: when somebody keeps deciding in the session meanwhile.
    """
    held = workspace.sessions.get(session)
    made: dict[str, Any] = {}

    def fill(folder: Path) -> None:
        for _ in range(3):
            before = _mark(workspace, session)
            made.update(_fill(workspace, held, folder, page))
            if _mark(workspace, session) == before:
                return
            for path in list(folder.iterdir()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise WorkspaceError(
            f"Session {session} is still going on: it changed while it was being bundled.",
            hint="Wait until deliveries are done, then bundle it again.",
        )

    info = {
        "External-Identifier": session,
        "External-Description": f"Evidence of the session {session}: {held.title}",
        "Bagging-Date": f"{at:%Y-%m-%d}",
        "Bag-Software-Agent": f"cairnops {__version__}",
    }
    kept = bags.write(target, fill, info, replace=replace)
    return Bundle(
        kept=kept,
        session=session,
        sealed=made["sealed"],
        unsealed=made["unsealed"],
        counts=made["counts"],
    )


def _mark(workspace: Workspace, session: str) -> list[Any]:
    """What a second look compares: whether anything was committed, delivered or sealed in between."""
    signed = workspace.seals.newest()
    return [
        workspace.ledger.counts(),
        [e["final"] for e in workspace.ledger.deliveries(session=session)],
        len(workspace.ledger.events(session=session)),
        signed.note if signed else "",
        workspace.sessions.state(session),
    ]


def _fill(
    workspace: Workspace, held: Session, folder: Path, page: Callable[[], str] | None
) -> dict[str, Any]:
    """Write the payload; returns what the index says."""
    name = held.name
    signed = workspace.seals.newest()
    paths: dict[str, str] = {}

    def put(what: str, path: str) -> Path:
        paths[what] = path
        return folder / path

    decisions = exports.rows(
        workspace.ledger, "decisions", session=name, log_size=signed.size if signed else 0
    )
    deliveries = exports.rows(workspace.ledger, "sync-events", session=name)
    for shape, rows in (("decisions", decisions), ("sync-events", deliveries)):
        write_ndjson(put(shape, f"exports/{_stamped(shape, held)}"), rows)
    seen = cases.rows(workspace.ledger, session=name, texts=True)
    write_ndjson(put("conversations", f"exports/{_stamped('conversations', held)}"), seen)
    if signed is not None:
        _put_proof(workspace, name, folder, paths)
    events = [_event(e) for e in workspace.ledger.events(session=name)]
    write_ndjson(put("events", "session/events.ndjson"), events)
    _write(put("session", "session/session.json"), _json(_session(workspace, held)))
    policy_text = codec.canonical(codec.plain(workspace.policy))
    if codec.digest(policy_text) == held.policy_hash:
        _write(put("policy", "session/policy.json"), _json(codec.plain(workspace.policy)))
    _write(put("gates", "session/gates.json"), _json(gates(held, workspace.sessions.probes(name))))
    summary = artifacts.summary_of(workspace, folder / paths["sync-events"])
    _write(put("summary", "results/summary.json"), _json(summary))
    results = workspace.sessions.runs(name)
    _write(put("results", "results/results.json"), _json({"session": name, "results": results}))
    rows = worksheet.rows(workspace, name)
    title = f"{held.title}: {name}"
    _write(put("worksheet-markdown", "worksheet/worksheet.md"), worksheet.markdown(title, rows))
    _write(put("worksheet", "worksheet/worksheet.csv"), worksheet.as_csv(rows))
    facts = feedback.Facts(
        session=name,
        decisions=decisions,
        deliveries=deliveries,
        events=events,
        worksheet=rows,
        results=results,
        paths=paths,
    )
    for file, text in feedback.snippets(facts).items():
        _write(put(f"feedback-{file}", f"feedback/{file}.md"), text)
    _put_report(workspace, name, put, page)
    pictures = _put_screenshots(workspace, name, folder)
    index = {
        "format": FORMAT,
        "kind": "session",
        "session": name,
        "title": held.title,
        "pack": held.pack,
        "packDigest": held.pack_digest,
        "policyHash": held.policy_hash,
        "sealed": signed.size if signed else None,
        "unsealed": sum("logIndex" not in d for d in decisions),
        "counts": {
            "decisions": len(decisions),
            "syncEvents": len(deliveries),
            "undelivered": sum(e["final"] is None for e in workspace.ledger.deliveries(session=name)),
            "conversations": len(seen),
            "events": len(events),
            "worksheetRows": len(rows),
            "results": len(results),
            "screenshots": len(pictures),
        },
        "unfinished": _unfinished(workspace, name, results),
        "files": paths,
        "screenshots": pictures,
    }
    _write(folder / INDEX, _json(index))
    return index


def _write(path: Path, text: str | bytes) -> None:
    """Into the hidden folder, which is flushed as a whole before it takes the bundle's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def _json(data: Any) -> str:
    return codec.dumps(data) + "\n"


def _stamped(shape: str, held: Session) -> str:
    return export_name(exports.PREFIXES[shape], held.started_at)


def _put_proof(workspace: Workspace, name: str, folder: Path, paths: dict[str, str]) -> None:
    """What `cairnops ledger verify` looks for beside an export."""
    signed = proofs.newest(workspace)
    beside = folder / "exports"
    first = workspace.seals.held_keys()[-1].key
    texts = {
        "checkpoint": (proofs.CHECKPOINT, signed.note),
        "key": (proofs.PUBLIC_KEY, keys.pem(first.public)),
        "rotations": (proofs.ROTATIONS, proofs.rotations(workspace)),
        "extract": (
            Path(paths["decisions"]).with_suffix(proofs.EXTRACT_SUFFIX).name,
            proofs.extract(workspace, name, signed) or "",
        ),
    }
    for what, (file, text) in texts.items():
        if text:
            _write(beside / file, text)
            paths[what] = f"exports/{file}"


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    """An audit event; the key of its request stays in the decision it made."""
    return {
        "seq": row["seq"],
        "at": row["at"],
        "actor": row["actor"],
        "role": row["role"],
        "kind": row["kind"],
        "conversation": row["conversation_id"],
        "code": row["code"],
        "body": row["body"],
    }


def _session(workspace: Workspace, held: Session) -> dict[str, Any]:
    return {
        "state": workspace.sessions.state(held.name),
        "session": codec.record(held),
        "assignments": workspace.sessions.assignments(held.name),
        "checklistDone": workspace.sessions.ticked(held.name),
    }


def gates(held: Session, records: Sequence[ProbeRecord]) -> dict[str, Any]:
    """The go/no-go board as it stood when somebody last looked: at the newest probe, not at bundling."""
    judged = max((r.at for r in records), default=held.started_at)
    found = sessions.board(held, records, judged)
    return {
        "judgedAt": codec.stamp(judged),
        "verdict": found.state.value,
        "gates": [
            {
                "id": gate.id,
                "title": gate.title,
                "require": gate.require,
                "state": result.state.value,
                "reasons": list(result.reasons),
            }
            for gate, result in found.results
        ],
        "probes": [codec.record(r) for r in records],
    }


def report_of(workspace: Workspace, session: str) -> str:
    """The session's page as of the newest moment in its data; empty when there is nothing to report on yet."""
    # Figures and charts take longer to load than everything else here.
    from cairnops.evidence import report

    figures = report.of_workspace(workspace, session)
    held = figures.material
    return report.page(figures) if held.cases or held.decided or held.deliveries else ""


def _put_report(
    workspace: Workspace, name: str, put: Callable[[str, str], Path], page: Callable[[], str] | None
) -> None:
    """The page somebody made of the session as they made it, else a fresh one."""
    made = workspace.artifact_folder(name) / "report.html"
    if made.is_file():
        _write(put("report", "report/report.html"), made.read_bytes())
    elif page and (text := page()):
        _write(put("report", "report/report.html"), text)


def _put_screenshots(workspace: Workspace, name: str, folder: Path) -> list[str]:
    source = workspace.artifact_folder(name) / SCREENSHOTS
    _write(folder / SCREENSHOTS / "README.md", _SCREENSHOTS_README)
    names = []
    for path in sorted(source.iterdir()) if source.is_dir() else ():
        if path.name.startswith(".") or path.name == "README.md":
            continue
        if path.is_symlink() or not path.is_file() or not is_image(path):
            raise InputError(
                f"{path} is not a picture.",
                hint=f"Only {', '.join(IMAGES)} files belong there; move it away.",
            )
        shutil.copyfile(path, folder / SCREENSHOTS / path.name)
        names.append(f"{SCREENSHOTS}/{path.name}")
    return names


def is_image(path: Path) -> bool:
    """True when the file begins as its ending says it should."""
    begins = IMAGES.get(path.suffix.lower(), ())
    with path.open("rb") as file:
        return bool(begins) and file.read(16).startswith(begins)


def _unfinished(
    workspace: Workspace, name: str, results: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Scenarios somebody took up and that have no result; a copy everybody shares has one by anybody's."""
    done = {(r["scenario"], r["operator"]) for r in results}
    shared = {r["conversation"] for r in results}
    return [
        {"scenario": a["scenario"], "operator": a["operator"], "conversation": a["conversation_id"]}
        for a in workspace.sessions.assignments(name)
        if (a["scenario"], a["operator"]) not in done
        and (a["operator"] or a["conversation_id"] not in shared)
    ]


def completeness(
    results: Sequence[Mapping[str, Any]],
    decisions: Sequence[Mapping[str, Any]],
    rows: Sequence[Row],
    pictures: Sequence[str],
) -> list[Need]:
    """What each scenario that was run asked for, as its result has it on record, against what is there."""
    out = []
    for run in results:
        where = f"chatwoot:{run['conversation']}"
        for check in run["score"]["checks"]:
            if check["code"] != "evidence":
                continue
            kind = check["expected"]
            out.append(
                Need(
                    scenario=run["scenario"],
                    operator=run["operator"],
                    conversation=where,
                    kind=kind,
                    required=bool(check["gating"]),
                    found=_found(kind, run, where, decisions, rows, pictures),
                )
            )
    return out


def _found(
    kind: str,
    run: Mapping[str, Any],
    where: str,
    decisions: Sequence[Mapping[str, Any]],
    rows: Sequence[Row],
    pictures: Sequence[str],
) -> str:
    if kind == DECISION_ROW:
        ids = [str(d["decisionId"]) for d in decisions if d["conversation"] == where and d["scope"] == "ops"]
        return f"decision {', '.join(ids)}" if ids else ""
    if kind == QA_ROW:
        numbers = [str(n) for n, row in enumerate(rows, 1) if row.conversation == where]
        return f"worksheet row {', '.join(numbers)}" if numbers else ""
    if kind == SCREENSHOT:
        names = [Path(p).name for p in pictures if _shows(Path(p).stem, run)]
        return ", ".join(names)
    return ""


def _shows(stem: str, run: Mapping[str, Any]) -> bool:
    words = "".join(c if c.isalnum() else " " for c in stem.lower()).split()
    return stem.lower().startswith(run["scenario"].lower()) or run["conversation"].lower() in words
