"""Which rows an export holds and in which shape: decisions whole or in brief, sync events, conversations."""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from cairnops.evidence import cases
from cairnops.store.ledger import SqlLedger
from cairnops.store.seals import SqlSeals

Shape = Literal["decisions", "decision-log", "sync-events", "conversations"]
Attempts = Literal["final", "all"]

#: What file names begin with, by shape.
PREFIXES: dict[str, str] = {
    "decisions": "decision_export",
    "decision-log": "decision_log",
    "sync-events": "decision_sync_events",
    "conversations": "conversations",
}


def rows(
    ledger: SqlLedger,
    shape: Shape,
    *,
    session: str = "",
    attempts: Attempts = "final",
    texts: bool = False,
    log_size: int | None = None,
) -> list[dict[str, Any]]:
    """The rows of an export, in the order things were committed.

    `attempts` matters to sync events only: the final outcome of each effect, or every try. In full, a sealed
    decision carries its `logIndex`; with `log_size` only where it lies below, so that the rows and a checkpoint
    of that size speak of the same log. `texts` matters to conversations only: with what was written in them.
    """
    if shape == "sync-events":
        return list(_sync_events(ledger, session, attempts))
    if shape == "conversations":
        return cases.rows(ledger, session=session, texts=texts)
    decisions = ledger.decisions(session=session)
    if shape == "decision-log":
        return [decision_log(d) for d in decisions]
    # Read after the decisions: what is sealed in between is among them or has no row.
    indexes = SqlSeals(ledger.engine).indexes(session)
    for decision in decisions:
        index = indexes.get(decision["uid"])
        if index is not None and (log_size is None or index < log_size):
            decision["logIndex"] = index
    return decisions


def decision_log(record: dict[str, Any]) -> dict[str, Any]:
    """The eight fields teams already read: `{id, scope, who, what, why, createdAt, sha, evidenceUrl}`."""
    return {
        "id": record["uid"],
        "scope": record["scope"],
        "who": record["actor"]["email"],
        "what": f"{record['action']} {record['conversation']}",
        "why": record["note"] or record["rationale"],
        "createdAt": record["createdAt"],
        "sha": record["leafHash"],
        "evidenceUrl": f"cairnops:decision/{record['decisionId']}",
    }


def milliseconds(microseconds: int | None) -> float | None:
    """Microseconds as the milliseconds of a sync event: two decimals, half up; None stays None."""
    if microseconds is None:
        return None
    return float((Decimal(microseconds) / 1000).quantize(Decimal("0.01"), ROUND_HALF_UP))


#: How one try reads in the words of sync events.
_TRY_STATUS = {"ok": "SUCCESS", "reject": "FAILED", "retry": "FAILED", "unknown": "FAILED", "lost": "UNKNOWN"}


def _sync_events(ledger: SqlLedger, session: str, attempts: Attempts) -> Iterator[dict[str, Any]]:
    for effect in ledger.deliveries(session=session):
        final = effect["final"]
        tries = effect["attempts"] if attempts == "all" else []
        for one in tries:
            status = "TIMEOUT" if one["error_code"] == "ETIMEDOUT" else _TRY_STATUS[one["answer"]]
            yield _sync_event(effect, status, one)
        if final and attempts == "final":
            yield _sync_event(effect, final["status"], final)


def _sync_event(effect: dict[str, Any], status: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "decisionId": effect["number"] or None,
        "status": status,
        "durationMs": milliseconds(row["duration_us"]),
        "errorCode": row["error_code"] or None,
        "attempt": row["attempt"],
        "timestamp": row["at"],
        "scope": "ops",
        "effect": effect["kind"],
        "uid": effect["uid"],
    }
