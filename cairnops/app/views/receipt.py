"""The receipt of a decision: what was saved, what of it was delivered, and what to do when it was not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cairnops import codec
from cairnops.app.text import line
from cairnops.app.views.words import DELIVERY, clock_name, clock_time, span

Standing = Literal["saved", "delivered", "failed"]

_ACTIONS = {
    "chatwoot.approve_send": "Reply approved",
    "chatwoot.escalate": "Escalated",
    "chatwoot.mark_resolved": "Marked resolved",
}
_KINDS = {
    "reply": "Reply",
    "note": "Internal note",
    "labels": "Label",
    "status": "Status",
    "assign": "Assignment",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One effect: what it is, how it stands in words, and which attempt that was."""

    what: str
    status: str
    attempt: int
    error: str
    #: None while it is under way.
    ok: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiptView:
    """One decision with its deliveries."""

    uid: str
    number: int
    title: str
    customer: str
    conversation: str
    saved: str
    sla: str
    deliveries: tuple[Delivery, ...]
    standing: Standing
    #: In one line, for the strip above the queue.
    sentence: str
    #: True when the reply surely did not arrive and has not been tried again by the operator.
    retry: bool
    #: What to do after a second failure; empty otherwise.
    reliability: str


def receipt(
    decision: Mapping[str, Any],
    deliveries: Sequence[Mapping[str, Any]],
    customer: str,
    *,
    retried: bool,
    held: Mapping[str, str] | None = None,
    down: str = "",
) -> ReceiptView:
    """The receipt of a decision record (as the ledger gives it) and its effects.

    `retried` says that this decision repeats one whose reply did not arrive; `held` why which of its effects wait
    for a person; `down` why nothing is sent just now.
    """
    held = held or {}
    rows = tuple(_delivery(row, held) for row in deliveries)
    failed = [r for r in rows if r.ok is False]
    pending = [r for r in rows if r.ok is None]
    standing: Standing = "failed" if failed else "saved" if pending else "delivered"
    surely_not = any(
        row["kind"] == "reply" and row["final"] and row["final"]["status"] in ("FAILED", "TIMEOUT")
        for row in deliveries
    )
    number = int(decision["decisionId"])
    return ReceiptView(
        uid=str(decision["uid"]),
        number=number,
        title=_ACTIONS.get(str(decision["action"]), str(decision["action"])),
        customer=line(customer),
        conversation=str(decision["conversation"]).removeprefix("chatwoot:"),
        saved=clock_time(codec.moment(str(decision["createdAt"]))),
        sla=_sla(decision.get("sla")),
        deliveries=rows,
        standing=standing,
        sentence=_sentence(standing, rows, failed, next(iter(held.values()), ""), down),
        retry=surely_not and not retried,
        reliability=_reliability(number, deliveries) if failed and (retried or not surely_not) else "",
    )


def _delivery(row: Mapping[str, Any], held: Mapping[str, str]) -> Delivery:
    final = row["final"]
    what = _KINDS.get(str(row["kind"]), str(row["kind"]))
    if reason := held.get(str(row["uid"])):
        return Delivery(what=what, status="waits for a person", attempt=0, error=line(reason), ok=None)
    if final is None:
        tries = len(row["attempts"])
        status = "on its way" if not tries else f"trying again (attempt {tries + 1})"
        return Delivery(what=what, status=status, attempt=tries, error="", ok=None)
    return Delivery(
        what=what,
        status=DELIVERY.get(str(final["status"]), str(final["status"])),
        attempt=int(final["attempt"]),
        error=str(final["error_code"]),
        ok=final["status"] == "SUCCESS",
    )


def _sentence(
    standing: Standing, rows: Sequence[Delivery], failed: Sequence[Delivery], held: str, down: str
) -> str:
    if standing == "failed":
        first = failed[0]
        why = f" ({first.error})" if first.error else ""
        return f"Saved. {first.what} {first.status} at attempt {first.attempt}{why}."
    if standing == "saved":
        if held:
            return f"Saved, not sent: {line(held)}. Open the case and judge what is there now."
        why = f": {line(down)}" if down else ""
        return f"Saved, not yet sent{why}." if rows else "Saved."
    retried = max((r.attempt for r in rows), default=1)
    return f"Saved and delivered{f' at attempt {retried}' if retried > 1 else ''}."


def _sla(read: Any) -> str:
    if not read:
        return ""
    force = next((s for s in read["standings"] if s["clock"] == read["clock"]), None)
    if force is None:
        return ""
    since = f"since {clock_name(force['clock'])}"
    if force["breached"]:
        return (
            f"breached {span(force['breachAgeS'])} earlier; the target is {read['targetMinutes']} min {since}"
        )
    return f"{span(force['elapsedS'])} of {read['targetMinutes']} min {since}"


def _reliability(number: int, deliveries: Sequence[Mapping[str, Any]]) -> str:
    lost = [row for row in deliveries if row["final"] and row["final"]["status"] != "SUCCESS"]
    named = "; ".join(
        f"{row['kind']} {row['uid']}: {row['final']['status']} {row['final']['error_code']}".rstrip()
        for row in lost
    )
    return f"Tell the reliability on-call: decision {number}, {named}."
