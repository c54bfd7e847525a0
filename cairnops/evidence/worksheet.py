"""The filled Q&A worksheet of a session: what was decided and noted, row by row, as Markdown and as CSV."""

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cairnops import codec
from cairnops.evidence import inert
from cairnops.workspace import Workspace

COLUMNS = (
    "#", "Time (UTC)", "Participant", "Scenario", "Conversation", "SLA timer", "Decision", "Outcome", "Follow-up",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the worksheet."""

    at: str
    participant: str
    scenario: str
    conversation: str
    sla: str
    decision: str
    outcome: str
    follow_up: str


def rows(workspace: Workspace, session: str) -> list[Row]:
    """Decisions and hand-written rows of the session, by time.

    Raises:
        NotFound: when there is no such session.
    """
    workspace.sessions.get(session)
    scenario_of = {a["conversation_id"]: a["scenario"] for a in workspace.sessions.assignments(session)}
    promised: dict[str, list[dict[str, Any]]] = {}
    for promise in workspace.ledger.follow_ups(session=session):
        promised.setdefault(promise["decision_uid"], []).append(promise)
    delivered: dict[str, list[dict[str, Any]]] = {}
    for effect in workspace.ledger.deliveries(session=session):
        delivered.setdefault(effect["decision"], []).append(effect)
    out = [
        Row(
            at=d["createdAt"],
            participant=d["actor"]["email"],
            scenario=scenario_of.get(d["conversation"].partition(":")[2], ""),
            conversation=d["conversation"],
            sla=_timer(d["sla"]),
            decision=str(d["decisionId"]),
            outcome=_outcome(d, delivered.get(d["uid"], [])),
            follow_up="; ".join(f"{p['owner']} by {p['due']}" for p in promised.get(d["uid"], [])),
        )
        for d in workspace.ledger.decisions(session=session, scope="ops")
    ]
    out += [
        Row(
            at=n["at"],
            participant=n["participant"],
            scenario=n["scenario"],
            conversation=f"chatwoot:{n['conversation_id']}" if n["conversation_id"] else "",
            sla=_timer_at(workspace, n["conversation_id"], codec.moment(n["at"])),
            decision="—",
            outcome="; ".join(part for part in (n["outcome"], n["note"]) if part),
            follow_up=" by ".join(part for part in (n["owner"], n["due"]) if part),
        )
        for n in workspace.sessions.notes(session)
    ]
    return sorted(out, key=lambda r: r.at)


def _outcome(decision: dict[str, Any], effects: list[dict[str, Any]]) -> str:
    said = [decision["rationale"]]
    for effect in effects:
        final = effect["final"]
        if final is None:
            said.append(f"{effect['kind']}: saved, not yet sent")
            continue
        code = f" {final['error_code']}" if final["error_code"] else ""
        said.append(f"{effect['kind']}: {final['status']} at attempt {final['attempt']}{code}")
    return "; ".join(said)


def _timer(sla: dict[str, Any] | None) -> str:
    if not sla:
        return ""
    standing = next(s for s in sla["standings"] if s["clock"] == sla["clock"])
    waited = f"{standing['elapsedS'] // 60} of {sla['targetMinutes']} min"
    return f"{waited}, breached" if standing["breached"] else waited


def _timer_at(workspace: Workspace, conversation: str, at: datetime) -> str:
    from cairnops.domain import sla

    found = workspace.ledger.conversation(conversation)
    return _timer(codec.record(sla.read(found, workspace.policy.sla, at))) if found else ""


def markdown(title: str, rows: list[Row]) -> str:
    """The worksheet as a Markdown table; text from outside cannot break out of its cell."""
    lines = [
        f"# {inert.markdown_cell(title)}",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + " --- |" * len(COLUMNS),
    ]
    lines += [line(number, row) for number, row in enumerate(rows, 1)]
    return "\n".join(lines) + "\n"


def line(number: int, row: Row) -> str:
    """One row of the table, to be pasted into a worksheet that is filled by hand."""
    return "| " + " | ".join(inert.markdown_cell(value) for value in _values(number, row)) + " |"


def as_csv(rows: list[Row]) -> str:
    """The worksheet as CSV that no spreadsheet runs as a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, row in enumerate(rows, 1):
        writer.writerow([inert.csv_cell(value) for value in _values(number, row)])
    return out.getvalue()


def _values(number: int, row: Row) -> list[str]:
    return [
        str(number), row.at, row.participant, row.scenario, row.conversation, row.sla, row.decision, row.outcome,
        row.follow_up,
    ]  # fmt: skip
