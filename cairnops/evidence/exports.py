"""Which rows an export holds and in which shape: decisions in full, the decision-log view, sync events."""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from cairnops.store.ledger import SqlLedger

Shape = Literal["decisions", "decision-log", "sync-events"]
Attempts = Literal["final", "all"]

SHAPES: tuple[Shape, ...] = ("decisions", "decision-log", "sync-events")

#: What file names begin with, by shape.
PREFIXES: dict[str, str] = {
    "decisions": "decision_export",
    "decision-log": "decision_log",
    "sync-events": "decision_sync_events",
}


def rows(
    ledger: SqlLedger, shape: Shape, *, session: str = "", attempts: Attempts = "final"
) -> list[dict[str, Any]]:
    """The rows of an export, in the order things were committed.

    `attempts` matters to sync events only: the final outcome of each effect, or every try.
    """
    if shape == "sync-events":
        return list(_sync_events(ledger, session, attempts))
    decisions = ledger.decisions(session=session)
    return decisions if shape == "decisions" else [decision_log(d) for d in decisions]


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
