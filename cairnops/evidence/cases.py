"""What leaves the workspace about a conversation: when who spoke and acted, never a customer's address.

One row holds all that figures and a back-test need, so that they work on a colleague's bundle. What was
written is left out unless it is asked for: times are enough for every figure, words only for judging again.
"""

import csv
import io
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cairnops import codec
from cairnops.domain.conversations import Conversation
from cairnops.errors import InputError
from cairnops.evidence import inert
from cairnops.store.ledger import SqlLedger
from cairnops.store.sessions import SqlSessions
from cairnops.telemetry.writer import Written, write_ndjson, write_whole

#: What people do about a conversation, as the audit log names it; the worker's own events are not among it.
ACTS = (
    "suggestion.shown", "suggestion.withheld", "action.applied", "action.refused", "action.cancelled",
    "note.added", "follow_up.set",
)  # fmt: skip

_CSAT = ("csat", "csat_rating", "csat_score", "csatRating")


def rows(ledger: SqlLedger, *, session: str = "", texts: bool = False) -> list[dict[str, Any]]:
    """A row for every conversation (of that session), by id; `texts` adds what was written in it."""
    kept = SqlSessions(ledger.engine)
    sessions = {s["name"]: s["startedAt"] for s in kept.all()}
    acts, observed, breaches = _from_events(ledger.events())
    runs = _runs(kept, sessions)
    promises: dict[str, list[dict[str, str]]] = {}
    for f in ledger.follow_ups():
        promises.setdefault(f["conversation_id"], []).append(
            {"owner": f["owner"], "due": f["due"], "at": f["at"]}
        )
    every = ledger.conversations()
    of_customer: dict[str, list[str]] = {}
    for c in every:
        of_customer.setdefault(c.customer_key, []).append(c.id)
    out = []
    for c in every:
        mine, ran = acts.get(c.id, []), runs.get(c.id, [])
        worked = sorted({x["session"] for x in (*mine, *ran)} - {""})
        if session and session not in worked:
            continue
        others = [at for key in of_customer[c.customer_key] if key != c.id for at in breaches.get(key, ())]
        out.append(
            _row(c, texts=texts)
            | {
                "observedAt": observed.get(c.id),
                "followUps": promises.get(c.id, []),
                "otherBreaches": sorted(others),
                "sessions": {name: sessions[name] for name in worked if name in sessions},
                "acts": mine,
                "runs": ran,
            }
        )
    return out


def _row(c: Conversation, *, texts: bool) -> dict[str, Any]:
    order = c.order
    return {
        "conversation": c.ref,
        "customer": c.customer,
        "status": c.status.value,
        "createdAt": codec.stamp(c.created_at),
        "priority": c.priority,
        "tags": list(c.tags),
        "inbox": c.inbox,
        "team": c.team,
        "csat": next((c.extra[key] for key in _CSAT if c.extra.get(key)), None),
        "order": {
            "number": order.number,
            "totalMinor": order.total_minor,
            "currency": order.currency,
            "refundPending": order.refund_pending,
            "returnInProgress": order.return_in_progress,
        }
        if order
        else None,
        "messages": [
            {"author": m.author.value, "at": codec.stamp(m.at), "private": m.private}
            | ({"text": m.text} if texts else {})
            for m in c.messages
        ],
        "statusChanges": [{"status": s.status.value, "at": codec.stamp(s.at)} for s in c.status_changes],
    }


def _from_events(
    events: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str], dict[str, list[str]]]:
    """Acts, the last observation and the breaches of every conversation."""
    acts: dict[str, list[dict[str, Any]]] = {}
    observed: dict[str, str] = {}
    breaches: dict[str, list[str]] = {}
    for e in events:
        key, body = e["conversation_id"], e["body"]
        if e["kind"] == "conversation.observed":
            observed[key] = max(observed.get(key, ""), e["at"])
        elif e["kind"] == "sla.breached":
            breaches.setdefault(key, []).append(body["breachedAt"])
        elif e["kind"] in ACTS:
            acts.setdefault(key, []).append(
                {
                    "at": e["at"],
                    "actor": e["actor"],
                    "role": e["role"],
                    "session": e["session"],
                    "kind": e["kind"],
                    "action": body.get("action", ""),
                    "code": e["code"],
                    "decisionId": body.get("number", 0),
                    "source": body.get("source", ""),
                    "template": body.get("template", ""),
                    "verdicts": [
                        {
                            "code": v["code"],
                            "severity": v["severity"],
                            "overridden": v.get("overridden", False),
                        }
                        for v in body.get("verdicts", ())
                    ],
                }
            )
    return acts, observed, breaches


def _runs(kept: SqlSessions, sessions: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """What each scenario's answer key says of the conversation it was worked on."""
    out: dict[str, list[dict[str, Any]]] = {}
    for name in sessions:
        for run in kept.runs(name):
            score = run["score"]
            out.setdefault(run["conversation"], []).append(
                {
                    "session": name,
                    "scenario": run["scenario"],
                    "operator": run["operator"],
                    "at": run["at"],
                    "passed": run["passed"],
                    "points": score["points"],
                    "verb": score["verb"],
                    "answer": _answer(score["parts"]),
                }
            )
    return out


def _answer(parts: Sequence[Sequence[Any]]) -> str:
    """Full points for the action are the key's best answer, some an acceptable one."""
    for name, got, out_of in parts:
        if name == "action":
            return "right" if got == out_of else "acceptable" if got else "wrong"
    return ""


def write(path: Path, table: Sequence[Mapping[str, Any]], kinds: Mapping[str, str] | None = None) -> Written:
    """Write flat rows (`analytics.conversations`) in the format the file's ending names, whole or not at all.

    `.csv`: UTF-8, no cell a spreadsheet would run as a formula, lists joined by `, `. `.ndjson` and
    `.jsonl`: as data. `.parquet`: lists as lists, and columns typed as `kinds` says (text otherwise), so that an
    empty column has the same type in every file.

    Raises:
        InputError: for another ending, or a target that cannot be written.
    """
    ending = path.suffix.lower()
    if ending in (".ndjson", ".jsonl"):
        return write_ndjson(path, table)
    if ending == ".csv":
        return write_whole(path, csv_text(table))
    if ending == ".parquet":
        return _parquet(path, table, kinds or {})
    raise InputError(f"{path.name} ends in no format.", hint="End it in .csv, .ndjson or .parquet.")


def _parquet(path: Path, table: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> Written:
    import polars as pl

    types: dict[str, Any] = {
        "int": pl.Int64(),
        "bool": pl.Boolean(),
        "moment": pl.Datetime("ms", "UTC"),
        "texts": pl.List(pl.String()),
        "ints": pl.List(pl.Int64()),
    }
    names = list(table[0]) if table else []
    moments = [name for name in names if kinds.get(name) == "moment"]
    rows = [
        {**row, **{name: codec.moment(row[name]) if row[name] else None for name in moments}} for row in table
    ]
    frame = pl.DataFrame(rows, schema={name: types.get(kinds.get(name, ""), pl.String()) for name in names})
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "rows.parquet"
        frame.write_parquet(made)
        return write_whole(path, made.read_bytes())


def csv_text(table: Sequence[Mapping[str, Any]]) -> str:
    """Flat rows as CSV with a heading; CRLF between rows as RFC 4180 has it."""
    out = io.StringIO()
    writer = csv.writer(out)
    if table:
        writer.writerow(table[0].keys())
    for row in table:
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    return inert.csv_cell(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)
