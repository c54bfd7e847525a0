"""How long a customer has waited under each clock, whether that is too long, and what comes first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cairnops.domain import calendar
from cairnops.domain.conversations import Author, Conversation, Message, Status
from cairnops.domain.policy import ClockStart, Policy, SlaPolicy


class Priority(StrEnum):
    """Triage order of SOP-CX-001."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One clock read at one moment; times are UTC, spans whole seconds of counted time."""

    clock: ClockStart
    #: None when the clock has nothing to count from (no customer message, or every one answered).
    started_at: datetime | None
    due_at: datetime | None
    elapsed_s: int
    breached: bool
    breached_at: datetime | None
    #: Wall time since the breach, seconds; 0 when not breached.
    breach_age_s: int
    #: The clock was stopped by an answer.
    stopped_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sla:
    """Every clock side by side, and which one is in force."""

    target_minutes: int
    clock: ClockStart
    standings: tuple[Standing, ...]

    @property
    def in_force(self) -> Standing:
        """The standing under the clock the policy names."""
        return next(s for s in self.standings if s.clock == self.clock)


class Outcome(StrEnum):
    """How a wait compares with its target."""

    MET = "met"
    #: Ended, too late.
    MISSED = "missed"
    #: Not ended, still in time.
    WAITING = "waiting"
    #: Not ended and past the target: missed already, whatever comes.
    OVERDUE = "overdue"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """One stretch a customer waited; seconds are counted time (opening hours, without pauses)."""

    started_at: datetime
    #: None while it lasts.
    ended_at: datetime | None
    seconds: int
    target_s: int
    #: Ended by an agent's public reply; a wait can also end because the case was resolved.
    answered: bool

    @property
    def outcome(self) -> Outcome:
        """Late is strictly longer than the target, as for a breach."""
        late = self.seconds > self.target_s
        if self.ended_at is None:
            return Outcome.OVERDUE if late else Outcome.WAITING
        return Outcome.MISSED if late else Outcome.MET

    @property
    def missed(self) -> bool:
        """Answered late, or still unanswered past the target."""
        return self.outcome in (Outcome.MISSED, Outcome.OVERDUE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseTimes:
    """The three classic measures of one conversation."""

    #: From the customer's first message to the first reply after it; None when no customer has spoken.
    first: Wait | None
    #: Every later turn of the customer, from its first message to the next reply.
    next: tuple[Wait, ...]
    #: From creation to resolved; a reopened case is not resolved.
    resolution: Wait

    @property
    def turns(self) -> tuple[Wait, ...]:
        """Every turn of the customer, the first included."""
        return (*((self.first,) if self.first else ()), *self.next)


#: The clocks every reading shows, in the order it shows them.
CLOCKS: tuple[ClockStart, ...] = (
    "conversation_created",
    "last_customer_message",
    "first_unanswered_customer_message",
)

_Span = tuple[datetime, datetime]


def read(conversation: Conversation, policy: SlaPolicy, now: datetime) -> Sla:
    """Read all three clocks at `now` (UTC).

    A conversation is breached when it waits strictly longer than the target: `priority_minutes` for
    urgent and high, else `minutes`. Time outside opening hours and in pause statuses does not count.
    With `stop_on: first_operator_action` the first public message of the team after the clock's start
    freezes elapsed time, breach and breach age; `resolved` ends every clock. What is dated after `now`
    has not happened yet.

    Sources: the legacy dashboard (creation, never stops), its KPI page (last customer message), the
    nightly metric (first operator action). `due_at` of a paused conversation is what it would be if the
    pause ended now.

    Raises:
        ValueError: for opening hours that cannot be used, or a time without a zone.
    """
    urgent = conversation.priority.casefold() in ("urgent", "high")
    target = policy.priority_minutes if urgent else policy.minutes
    return Sla(
        target_minutes=target,
        clock=policy.clock,
        standings=tuple(_standing(clock, conversation, policy, target * 60, now) for clock in CLOCKS),
    )


def triage(conversation: Conversation, sla: Sla, policy: Policy, now: datetime) -> Priority | None:
    """What comes first (SOP-CX-001); None for a conversation nobody needs to look at.

    P1: breached for longer than `triage.breach_age_minutes`, P2: breached for up to and including that
    (the procedure leaves "exactly two hours" open), P3: marked as escalated and not breached.
    """
    if "sla.triage" in policy.guardrails.disabled or not needs_attention(conversation, sla, policy):
        return None
    standing = sla.in_force
    if not _breach_waits(standing) or standing.breached_at is None:
        return Priority.P3
    age_s = calendar.open_seconds(standing.breached_at, now, None)
    return Priority.P1 if age_s > policy.triage.breach_age_minutes * 60 else Priority.P2


def needs_attention(conversation: Conversation, sla: Sla, policy: Policy) -> bool:
    """Open or pending, and breached under the clock in force or marked as escalated.

    A breach that was answered, however late, is a figure for the report and no longer work: the list
    that kept showing answered cases was the operators' first complaint about the legacy dashboard.
    """
    if conversation.status not in (Status.OPEN, Status.PENDING):
        return False
    return _breach_waits(sla.in_force) or escalated(conversation, policy)


def escalated(conversation: Conversation, policy: Policy) -> bool:
    """A tag equals one of `labels.escalated`, whatever the case; `escalation-done` does not."""
    marks = {label.casefold() for label in policy.labels.escalated}
    return any(tag.casefold() in marks for tag in conversation.tags)


def responses(conversation: Conversation, policy: SlaPolicy, now: datetime) -> ResponseTimes:
    """First response, next responses and resolution at `now`, against their targets.

    A turn is a run of customer messages up to the team's next public reply, and waits from its first
    message (as Chatwoot and Zendesk count first and next reply). A wait nobody ended counts as missed once
    it is past its target: leaving unanswered cases out is how a legacy report never saw a breach.

    Raises:
        ValueError: for opening hours that cannot be used, or a time without a zone.
    """
    resolved = _resolved_at(conversation, now)
    waits: list[Wait] = []
    for asked, reply in _turns(_said(conversation, now)):
        target = policy.next_response_minutes if waits else policy.first_response_minutes
        end = reply
        if end is None and resolved and resolved >= asked:
            end = resolved
        waits.append(_wait(conversation, policy, asked, end, target, now, answered=reply is not None))
    return ResponseTimes(
        first=waits[0] if waits else None,
        next=tuple(waits[1:]),
        resolution=_wait(
            conversation,
            policy,
            conversation.created_at,
            resolved,
            policy.resolution_minutes,
            now,
            answered=False,
        ),
    )


def _breach_waits(standing: Standing) -> bool:
    return standing.breached and standing.stopped_at is None


def _standing(
    clock: ClockStart, conversation: Conversation, policy: SlaPolicy, target_s: int, now: datetime
) -> Standing:
    start, answer = _start_and_answer(clock, conversation, now)
    if start is None:
        return Standing(
            clock=clock,
            started_at=None,
            due_at=None,
            elapsed_s=0,
            breached=False,
            breached_at=None,
            breach_age_s=0,
        )
    stopped = answer if policy.stop_on == "first_operator_action" else None
    resolved = _resolved_at(conversation, now)
    ends = [now, *(t for t in (stopped, resolved) if t is not None and t >= start)]
    end = min(ends)
    elapsed = _counted(_running(conversation, policy, start, end), policy)
    breached = elapsed > target_s
    breached_at = None
    if breached:
        # The target is reached at closing time or at the start of a pause, but passed only when the
        # clock runs again: look for the second after it.
        breached_at = _reach(conversation, policy, start, target_s + 1, now) - timedelta(seconds=1)
    return Standing(
        clock=clock,
        started_at=start,
        due_at=_reach(conversation, policy, start, target_s, now),
        elapsed_s=elapsed,
        breached=breached,
        breached_at=breached_at,
        breach_age_s=calendar.open_seconds(breached_at, end, None) if breached_at else 0,
        stopped_at=stopped if stopped == end else None,
    )


def _start_and_answer(
    clock: ClockStart, conversation: Conversation, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """When a clock starts, and the team's first public message after that."""
    said = _said(conversation, now)
    created = conversation.created_at
    if clock == "conversation_created":
        replies = (m.at for m in said if m.author is Author.AGENT and m.at >= created)
        return created, next(replies, None)
    turns = list(_turns(said))
    if clock == "first_unanswered_customer_message":
        return (turns[-1][0], None) if turns and turns[-1][1] is None else (None, None)
    last = max((i for i, m in enumerate(said) if m.author is Author.CUSTOMER), default=None)
    if last is None:
        return None, None
    return said[last].at, turns[-1][1]


def _said(conversation: Conversation, now: datetime) -> list[Message]:
    """Public messages up to `now`, oldest first; equal times keep the order they were read in."""
    return sorted((m for m in conversation.public_messages() if m.at <= now), key=lambda m: m.at)


def _turns(said: list[Message]) -> Iterator[tuple[datetime, datetime | None]]:
    """Each run of customer messages: when it began, and when the team answered it."""
    asked: datetime | None = None
    for message in said:
        if message.author is Author.CUSTOMER:
            asked = asked or message.at
        elif asked:
            yield asked, message.at
            asked = None
    if asked:
        yield asked, None


def _resolved_at(conversation: Conversation, now: datetime) -> datetime | None:
    """When a resolved conversation was resolved; without a history, when something last happened in it."""
    if conversation.status is not Status.RESOLVED:
        return None
    changes = [c.at for c in conversation.status_changes if c.status is Status.RESOLVED and c.at <= now]
    if changes:
        return max(changes)
    return max((m.at for m in conversation.messages if m.at <= now), default=conversation.created_at)


def _running(conversation: Conversation, policy: SlaPolicy, start: datetime, end: datetime) -> list[_Span]:
    """The parts of `start`..`end` outside pause statuses, oldest first."""
    spans: list[_Span] = []
    changes = sorted((c for c in conversation.status_changes if c.at < end), key=lambda c: c.at)
    status = Status.OPEN if conversation.status_changes else conversation.status
    since = start
    for change in changes:
        if change.at > since and status.value not in policy.pause_statuses:
            spans.append((since, change.at))
        since, status = max(since, change.at), change.status
    if end > since and status.value not in policy.pause_statuses:
        spans.append((since, end))
    return spans


def _counted(spans: list[_Span], policy: SlaPolicy) -> int:
    return sum(calendar.open_seconds(start, end, policy.business_hours) for start, end in spans)


def _reach(
    conversation: Conversation, policy: SlaPolicy, start: datetime, seconds: int, now: datetime
) -> datetime:
    """The first instant by which so many seconds have been counted since `start`."""
    hours = policy.business_hours
    left = seconds
    for begin, end in _running(conversation, policy, start, now):
        here = calendar.open_seconds(begin, end, hours)
        if left <= here:
            return calendar.add_open_seconds(begin, left, hours)
        left -= here
    return calendar.add_open_seconds(max(start, now), left, hours)


def _wait(
    conversation: Conversation,
    policy: SlaPolicy,
    start: datetime,
    end: datetime | None,
    target_minutes: int,
    now: datetime,
    *,
    answered: bool,
) -> Wait:
    spans = _running(conversation, policy, start, end or now)
    return Wait(
        started_at=start,
        ended_at=end,
        seconds=_counted(spans, policy),
        target_s=target_minutes * 60,
        answered=answered,
    )
