"""One row for every conversation, with all that help-desk users ask for beside each other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cairnops import codec
from cairnops.analytics import inputs
from cairnops.analytics.inputs import Case
from cairnops.domain import sla as slas
from cairnops.domain.conversations import Author, Conversation, Status
from cairnops.domain.decisions import Decision
from cairnops.domain.policy import Policy
from cairnops.domain.requests import DECISION_NAMES, Action
from cairnops.domain.sla import ResponseTimes, Sla

#: Every column of a row, in order: its unit where it has one, and what it says.
COLUMNS = {
    "conversation": "With its system in front.",
    "link": "Where to open it; empty when no help desk is named.",
    "customer": "The name as known; empty when nobody knows it.",
    "operator": "Who decided first, else opened it first; empty for nobody yet.",
    "team": "The help desk's team.",
    "inbox": "The help desk's inbox.",
    "priority": "The help desk's own priority word.",
    "triage": "P1, P2, P3, or empty for a case nobody needs to look at.",
    "status": "open, pending, snoozed or resolved.",
    "tags": "Every tag.",
    "createdAt": "When it began (UTC).",
    "firstResponseAt": "When the team first answered the customer; empty while it has not.",
    "firstResponse": "met, missed, waiting or overdue, against the policy's target; empty when no customer spoke.",
    "firstResponseMinutes": "Minutes the first answer took, or has been awaited.",
    "nextResponses": "Further turns of the customer.",
    "nextResponsesMissed": "How many of them were answered late, or wait past the target.",
    "resolvedAt": "When it was resolved; empty while it is not.",
    "resolution": "met, missed, waiting or overdue.",
    "resolutionMinutes": "Minutes from creation to resolved, or until now.",
    "breached": "Breached under the clock in force, answered since or not.",
    "breachedAt": "When.",
    "createdClockMinutes": "Minutes on the clock that starts at creation.",
    "createdClockBreached": "Breached under that clock.",
    "lastCustomerClockMinutes": "Minutes on the clock that starts at the customer's last message.",
    "lastCustomerClockBreached": "Breached under that clock.",
    "unansweredClockMinutes": "Minutes on the clock that starts at the first message nobody answered.",
    "unansweredClockBreached": "Breached under that clock.",
    "decisions": "How many decisions people made on it.",
    "decisionIds": "Their numbers.",
    "escalations": "How many of them escalated it.",
    "refusals": "How many requests were refused.",
    "sessions": "The sessions it was worked in.",
    "csat": "The customer's rating, where the help desk has one.",
}

#: What a column holds where it is not text: `int`, `bool`, `moment`, `texts` or `ints`.
KINDS = {
    **{name: "int" for name in COLUMNS if name.endswith("Minutes")},
    **{name: "bool" for name in COLUMNS if name.lower().endswith("breached")},
    **{name: "moment" for name in COLUMNS if name.endswith("At")},
    **dict.fromkeys(("nextResponses", "nextResponsesMissed", "decisions", "escalations", "refusals"), "int"),
    **dict.fromkeys(("tags", "sessions"), "texts"),
    "decisionIds": "ints",
}

_PREFIX = {
    "conversation_created": "createdClock",
    "last_customer_message": "lastCustomerClock",
    "first_unanswered_customer_message": "unansweredClock",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A conversation as it stood at a moment, with its clocks and waits read once."""

    case: Case
    conversation: Conversation
    sla: Sla
    waits: ResponseTimes

    @property
    def unreplied(self) -> bool:
        """The customer has spoken, nobody of the team ever answered, and it is not resolved."""
        authors = {m.author for m in self.conversation.public_messages()}
        return (
            Author.CUSTOMER in authors
            and Author.AGENT not in authors
            and self.conversation.status is not Status.RESOLVED
        )


def readings(cases: Iterable[Case], policy: Policy, at: datetime) -> Iterator[Reading]:
    """Every conversation that had begun by `at` (UTC), by id; what is dated later has not happened yet."""
    for case in sorted(cases, key=lambda c: c.conversation.ref):
        if case.conversation.created_at <= at:
            c = inputs.as_of(case.conversation, at)
            sla, waits = slas.read_both(c, policy.sla, at)
            yield Reading(case=case, conversation=c, sla=sla, waits=waits)


def rows(
    cases: Iterable[Case], decisions: Iterable[Decision], policy: Policy, at: datetime, *, link: str = ""
) -> list[dict[str, Any]]:
    """The rows by conversation id, judged at `at` (UTC); the keys are those of `COLUMNS`, in that order.

    `link` is an address with `{id}` in it; `decisions` are what people decided.
    """
    return rows_of(readings(cases, policy, at), decisions, policy, at, link=link)


def rows_of(
    read: Iterable[Reading], decisions: Iterable[Decision], policy: Policy, at: datetime, *, link: str = ""
) -> list[dict[str, Any]]:
    """The same for conversations that have been read already."""
    made: dict[str, list[Decision]] = {}
    for d in sorted(decisions, key=lambda d: (d.created_at, d.uid)):
        if d.created_at <= at:
            made.setdefault(d.conversation, []).append(d)
    return [_row(r, made.get(r.conversation.ref, []), policy, at, link) for r in read]


def _row(
    reading: Reading, decisions: list[Decision], policy: Policy, at: datetime, link: str
) -> dict[str, Any]:
    case, c, read, waits = reading.case, reading.conversation, reading.sla, reading.waits
    triage, in_force = slas.triage(c, read, policy, at), read.in_force
    first = waits.first
    answered = first.ended_at if first and first.answered else None
    clocks: dict[str, Any] = {}
    for standing in read.standings:
        name = _PREFIX[standing.clock]
        clocks[f"{name}Minutes"] = standing.elapsed_s // 60 if standing.started_at else None
        clocks[f"{name}Breached"] = standing.breached
    # In the order of `COLUMNS`.
    return {
        "conversation": c.ref,
        "link": link.replace("{id}", c.id) if link else "",
        "customer": c.customer,
        "operator": case.operator or (decisions[0].actor.email if decisions else ""),
        "team": c.team,
        "inbox": c.inbox,
        "priority": c.priority,
        "triage": triage.value if triage else "",
        "status": c.status.value,
        "tags": list(c.tags),
        "createdAt": codec.stamp(c.created_at),
        "firstResponseAt": codec.stamp(answered) if answered else None,
        "firstResponse": first.outcome.value if first else None,
        "firstResponseMinutes": first.seconds // 60 if first else None,
        "nextResponses": len(waits.next),
        "nextResponsesMissed": sum(w.missed for w in waits.next),
        "resolvedAt": codec.stamp(waits.resolution.ended_at) if waits.resolution.ended_at else None,
        "resolution": waits.resolution.outcome.value,
        "resolutionMinutes": waits.resolution.seconds // 60,
        "breached": in_force.breached,
        "breachedAt": codec.stamp(in_force.breached_at) if in_force.breached_at else None,
        **clocks,
        "decisions": len(decisions),
        "decisionIds": [d.decision_id for d in decisions],
        "escalations": sum(d.action == DECISION_NAMES[Action.ESCALATE] for d in decisions),
        "refusals": sum(a.kind == "action.refused" and a.at <= at for a in case.acts),
        "sessions": sorted({*(a.session for a in case.acts), *(r.session for r in case.runs)} - {""}),
        "csat": case.csat or None,
    }
