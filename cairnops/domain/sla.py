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
_SECOND = timedelta(seconds=1)


def read(conversation: Conversation, policy: SlaPolicy, now: datetime) -> Sla:
    """A conversation is breached when the customer waits longer than the target; waiting exactly as long is in time.

    The target is `sla.minutes`, or `sla.priority_minutes` for urgent and high. All three clocks are read:
    since the conversation began, since the customer's last message, since the first message nobody
    answered; `sla.clock` says which is in force. Time outside opening hours and in pause statuses does not
    count. With `sla.stop_on: first_operator_action` the team's first public message after the clock's
    start stops it; `resolved` ends every clock.

    Three sources disagree: the legacy dashboard counts from the beginning and never stops, its KPI page
    from the last customer message, the nightly metric to the first operator action.

    Returns:
        Every clock at `now` (UTC); what is dated later has not happened yet. `due_at` of a paused
        conversation is what it would be if the pause ended now.

    Raises:
        ValueError: for opening hours that cannot be used, or a time without a zone.
    """
    return _clocks(_Course(conversation, policy, now))


def read_both(conversation: Conversation, policy: SlaPolicy, now: datetime) -> tuple[Sla, ResponseTimes]:
    """What `read` and `responses` say, for little more than the price of one.

    Raises:
        ValueError: as they do.
    """
    course = _Course(conversation, policy, now)
    return _clocks(course), _responses(course)


def triage(conversation: Conversation, sla: Sla, policy: Policy, now: datetime) -> Priority | None:
    """P1 comes first, then P2, then P3; within each, whoever has waited longest.

    P1: breached for longer than `triage.breach_age_minutes`, P2: breached for up to and including that
    (the procedure leaves "exactly two hours" open), P3: marked as escalated and not breached.

    Returns:
        The priority; None for a conversation nobody needs to look at.
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
    return _responses(_Course(conversation, policy, now))


def _responses(course: "_Course") -> ResponseTimes:
    conversation, policy, resolved = course.conversation, course.policy, course.resolved
    waits: list[Wait] = []
    for asked, reply in course.turns:
        target = policy.next_response_minutes if waits else policy.first_response_minutes
        end = reply
        if end is None and resolved and resolved >= asked:
            end = resolved
        waits.append(_wait(course, asked, end, target, answered=reply is not None))
    return ResponseTimes(
        first=waits[0] if waits else None,
        next=tuple(waits[1:]),
        resolution=_wait(
            course, conversation.created_at, resolved, policy.resolution_minutes, answered=False
        ),
    )


def _clocks(course: "_Course") -> Sla:
    conversation, policy = course.conversation, course.policy
    urgent = conversation.priority.casefold() in ("urgent", "high")
    target = policy.priority_minutes if urgent else policy.minutes
    return Sla(
        target_minutes=target,
        clock=policy.clock,
        standings=tuple(_standing(clock, course, target * 60) for clock in CLOCKS),
    )


def _breach_waits(standing: Standing) -> bool:
    return standing.breached and standing.stopped_at is None


class _Course:
    """How a conversation went up to a moment, worked out once for every clock and wait."""

    __slots__ = ("conversation", "now", "policy", "resolved", "said", "turns")

    def __init__(self, conversation: Conversation, policy: SlaPolicy, now: datetime):
        self.conversation, self.policy, self.now = conversation, policy, now
        #: Public messages up to then, oldest first; equal times keep the order they were read in.
        self.said = [m for m in conversation.public_messages() if m.at <= now]
        self.said.sort(key=_at)
        self.turns = list(_turns(self.said))
        self.resolved = _resolved_at(conversation, now)


def _at(message: Message) -> datetime:
    return message.at


def _standing(clock: ClockStart, course: _Course, target_s: int) -> Standing:
    start, answer = _start_and_answer(clock, course)
    if start is None:
        return _NOTHING_TO_COUNT[clock]
    policy, now, resolved = course.policy, course.now, course.resolved
    stopped = answer if policy.stop_on == "first_operator_action" else None
    end = now
    if stopped is not None and start <= stopped < end:
        end = stopped
    if resolved is not None and start <= resolved < end:
        end = resolved
    counted = _counted(course, start, end)
    elapsed = sum(seconds for _, seconds in counted)
    breached = elapsed > target_s
    if end is not now:
        counted = _counted(course, start, now)
    breached_at = None
    if breached:
        # The target is reached at closing time or at the start of a pause, but passed only when the
        # clock runs again: look for the second after it.
        breached_at = _reach(course, counted, start, target_s + 1) - _SECOND
    return Standing(
        clock=clock,
        started_at=start,
        due_at=_reach(course, counted, start, target_s),
        elapsed_s=elapsed,
        breached=breached,
        breached_at=breached_at,
        breach_age_s=calendar.open_seconds(breached_at, end, None) if breached_at else 0,
        stopped_at=stopped if stopped == end else None,
    )


_NOTHING_TO_COUNT = {
    clock: Standing(
        clock=clock,
        started_at=None,
        due_at=None,
        elapsed_s=0,
        breached=False,
        breached_at=None,
        breach_age_s=0,
    )
    for clock in CLOCKS
}


def _start_and_answer(clock: ClockStart, course: _Course) -> tuple[datetime | None, datetime | None]:
    """When a clock starts, and the team's first public message after that."""
    said, turns = course.said, course.turns
    created = course.conversation.created_at
    if clock == "conversation_created":
        replies = (m.at for m in said if m.author is Author.AGENT and m.at >= created)
        return created, next(replies, None)
    if not turns:
        return None, None
    asked, reply = turns[-1]
    if clock == "first_unanswered_customer_message":
        return (asked, None) if reply is None else (None, None)
    return next(m.at for m in reversed(said) if m.author is Author.CUSTOMER), reply


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


def _running(course: _Course, start: datetime, end: datetime) -> list[_Span]:
    """The parts of `start`..`end` outside pause statuses, oldest first."""
    conversation, paused = course.conversation, course.policy.pause_statuses
    if not conversation.status_changes:
        return [(start, end)] if end > start and conversation.status.value not in paused else []
    spans: list[_Span] = []
    changes = sorted((c for c in conversation.status_changes if c.at < end), key=lambda c: c.at)
    status, since = Status.OPEN, start
    for change in changes:
        if change.at > since and status.value not in paused:
            spans.append((since, change.at))
        since, status = max(since, change.at), change.status
    if end > since and status.value not in paused:
        spans.append((since, end))
    return spans


def _counted(course: _Course, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """Where each of those parts begins, and how many seconds of it count."""
    hours = course.policy.business_hours
    return [
        (begin, calendar.open_seconds(begin, stop, hours)) for begin, stop in _running(course, start, end)
    ]


def _reach(course: _Course, counted: list[tuple[datetime, int]], start: datetime, seconds: int) -> datetime:
    """The first instant by which so many seconds have been counted since `start`."""
    hours = course.policy.business_hours
    left = seconds
    for begin, here in counted:
        if left <= here:
            return calendar.add_open_seconds(begin, left, hours)
        left -= here
    return calendar.add_open_seconds(max(start, course.now), left, hours)


def _wait(
    course: _Course, start: datetime, end: datetime | None, target_minutes: int, *, answered: bool
) -> Wait:
    return Wait(
        started_at=start,
        ended_at=end,
        seconds=sum(seconds for _, seconds in _counted(course, start, end or course.now)),
        target_s=target_minutes * 60,
        answered=answered,
    )
