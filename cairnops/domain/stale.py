"""Whether what was decided is still right to send: what had been read then, against what stands there now.

An hour's outage is long enough for the customer to write again, for a colleague to answer in the help desk, and
for the case to be closed. A reply to what stood there before would then be the wrong one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from cairnops.domain.conversations import Author, Conversation, Message, Status
from cairnops.domain.policy import DeliveryPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A message, as far as telling a later one from it goes."""

    at: datetime
    id: str

    @property
    def place(self) -> tuple[datetime, int, str]:
        """What messages are ordered by; help desks give times in whole seconds, and ids in their order."""
        return self.at, int(self.id) if self.id.isdecimal() else 0, self.id


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A conversation, as far as a decision on it can grow stale."""

    status: Status
    #: The newest public message of each side; None when there is none.
    customer: Mark | None = None
    agent: Mark | None = None
    assignee: str = ""
    team: str = ""


def seen(conversation: Conversation, *, ours: Collection[str] = ()) -> Seen:
    """What of a conversation counts; `ours` are the ids of messages that were sent from here."""
    newest: dict[Author, Message] = {}
    for message in conversation.public_messages():
        if message.id in ours:
            continue
        before = newest.get(message.author)
        if before is None or _mark(message).place > _mark(before).place:
            newest[message.author] = message
    marks = {author: _mark(message) for author, message in newest.items()}
    return Seen(
        status=conversation.status,
        customer=marks.get(Author.CUSTOMER),
        agent=marks.get(Author.AGENT),
        assignee=conversation.extra.get("assignee", ""),
        team=conversation.team,
    )


def _mark(message: Message) -> Mark:
    return Mark(at=message.at, id=message.id)


def to_be_checked(
    decided: datetime, now: datetime, policy: DeliveryPolicy, *, outage_ended: datetime | None
) -> bool:
    """Whether the conversation is read once more before what was `decided` then is sent at `now`.

    Strictly longer than the policy's minutes, or through an outage however short: nobody could be read then.
    """
    waited = now - decided > timedelta(minutes=policy.recheck_minutes)
    return waited or (outage_ended is not None and decided <= outage_ended)


def moved_on(then: Seen, now: Seen, *, status: str = "", given: Collection[str] = ()) -> str:
    """What has happened since, in a few words; empty when it stands as it did.

    `now` leaves out what was sent from here. `status` is the one that is about to be set: that it is set already
    is no reason against it. `given` are the teams and people it was given to from here: neither is that.
    """
    if _later(now.customer, then.customer):
        return f"the customer wrote again at {_clock(now.customer)}"
    if _later(now.agent, then.agent):
        return f"somebody answered in the help desk at {_clock(now.agent)}"
    if now.status is Status.RESOLVED and Status.RESOLVED.value not in (then.status.value, status):
        return "it was resolved in the help desk"
    for what, before, after in (("", then.assignee, now.assignee), ("team ", then.team, now.team)):
        if after and after != before and after.casefold() not in {name.casefold() for name in given}:
            return f"it was assigned to {what}{after}"
    return ""


def _later(mark: Mark | None, than: Mark | None) -> bool:
    return mark is not None and (than is None or mark.place > than.place)


def _clock(mark: Mark | None) -> str:
    return f"{mark.at:%H:%M} UTC" if mark else ""
