"""The operator's queue: which cases are shown, in which order, and what each row says."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cairnops.app.views.words import clock_name, late_words
from cairnops.domain import sla
from cairnops.domain.conversations import Author, Conversation, Status
from cairnops.domain.policy import Policy
from cairnops.domain.sla import Sla, Standing

State = Literal["rows", "loading", "unconfigured", "down", "empty", "no_match"]

_PREVIEW = 140


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One case as the queue lists it; moments are epoch milliseconds."""

    id: str
    #: `P1`, `P2`, `P3`; empty when nobody needs to look at it.
    priority: str
    customer: str
    preview: str
    tags: tuple[str, ...]
    #: When the clock in force runs out or ran out; None while no customer waits.
    due_ms: int | None
    breached: bool
    breached_at_ms: int | None
    clock: str
    #: The other clocks, for the tooltip.
    other_clock: str
    waited_s: int
    #: Who works on it; empty when nobody does.
    claimed_by: str
    mine: bool
    status: str
    #: What became of the last decision (`saved`, `delivered`, `failed`); empty when there is none.
    delivery: str


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueView:
    """The rows that passed the filters, what was counted before them, and what to say when there is none."""

    state: State
    rows: tuple[Row, ...]
    #: Cases that need somebody, those breached, and those the person has open.
    waiting: int
    breached: int
    mine: int
    sentence: str = ""


def queue(
    cases: Iterable[Conversation],
    policy: Policy,
    now: datetime,
    *,
    me: str,
    claims: Mapping[str, str],
    only: Collection[str] | None = None,
    delivery: Mapping[str, str],
    search: str = "",
    priorities: Collection[str] = (),
    mine_only: bool = False,
    problem: str = "",
    configured: bool = True,
    loaded: bool = True,
) -> QueueView:
    """The queue at `now` (UTC).

    Order: P1, P2, P3, then who waits longest, as the triage rule has it. `only` restricts it to the
    conversations of a session, which stay in the list when nobody waits any more; `claims` maps a
    conversation to whoever has it open; `delivery` to what became of its last decision. `problem` is why
    the help desk could not be read.
    """
    rows = []
    for case in cases:
        if only is not None and case.id not in only:
            continue
        standing = sla.read(case, policy.sla, now)
        priority = sla.triage(case, standing, policy, now)
        if priority is None and only is None:
            continue
        rows.append(_row(case, standing, priority.value if priority else "", me, claims, delivery))
    rows.sort(key=lambda r: (r.priority or "P9", -r.waited_s, r.id))
    shown = [r for r in rows if _passes(r, search, priorities, mine_only)]
    state, sentence = _state(rows, shown, only is not None, problem, configured, loaded)
    return QueueView(
        state=state,
        rows=tuple(shown),
        waiting=sum(1 for r in rows if r.priority),
        breached=sum(1 for r in rows if r.priority and r.breached),
        mine=sum(1 for r in rows if r.mine),
        sentence=sentence,
    )


def _row(
    case: Conversation,
    standing: Sla,
    priority: str,
    me: str,
    claims: Mapping[str, str],
    delivery: Mapping[str, str],
) -> Row:
    force = standing.in_force
    said = case.last_from(Author.CUSTOMER)
    holder = claims.get(case.id, "")
    others = "; ".join(_other(s) for s in standing.standings if s.clock != force.clock)
    stopped = force.stopped_at is not None or case.status is Status.RESOLVED
    return Row(
        id=case.id,
        priority=priority,
        customer=case.customer or "(no name known)",
        preview=" ".join(said.text.split())[:_PREVIEW] if said else "",
        tags=case.tags,
        # An answered case has no clock that ticks, however late the answer was.
        due_ms=None if stopped else _ms(force.due_at),
        breached=force.breached and not stopped,
        breached_at_ms=None if stopped else _ms(force.breached_at),
        clock=f"{standing.target_minutes} min since {clock_name(force.clock)}",
        other_clock=others[:1].upper() + others[1:],
        waited_s=force.elapsed_s,
        claimed_by=holder,
        mine=holder == me,
        status=case.status.value,
        delivery=", ".join(w for w in (delivery.get(case.id, ""), late_words(force) if stopped else "") if w),
    )


def _other(standing: Standing) -> str:
    return f"since {clock_name(standing.clock)}: {late_words(standing)}"


def _passes(row: Row, search: str, priorities: Collection[str], mine_only: bool) -> bool:
    if priorities and row.priority not in priorities:
        return False
    if mine_only and not row.mine:
        return False
    wanted = search.casefold().split()
    said = f"{row.id} {row.customer} {row.preview} {' '.join(row.tags)}".casefold()
    return all(word in said for word in wanted)


def _state(
    rows: list[Row], shown: list[Row], session: bool, problem: str, configured: bool, loaded: bool
) -> tuple[State, str]:
    if not configured:
        return "unconfigured", problem
    if problem:
        # What was read before is still worth working on: decisions are kept and sent later.
        return "down", problem
    if shown:
        return "rows", ""
    if not loaded:
        return "loading", "Reading the help desk…"
    if rows:
        return "no_match", "No case matches these filters."
    if session:
        return "empty", "No case has been given to you yet. The facilitator starts a scenario."
    return "empty", "Nobody waits: no conversation is breached or marked as escalated."


def _ms(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at else None


_DECIDED = {
    "chatwoot.approve_send": ("reply sent", "reply not delivered"),
    "chatwoot.escalate": ("escalated", "escalation not delivered"),
    "chatwoot.mark_resolved": ("resolved", "not resolved yet"),
}


def decided_words(action: str, standing: str) -> str:
    """What became of a decision, for its row; `standing` is `done`, `open`, `parked` or `failed`."""
    done, lost = _DECIDED.get(action, (action, f"{action} not delivered"))
    held = "saved, waits for a person"
    return {"done": done, "failed": lost, "parked": held}.get(standing, "saved, not yet sent")
