"""What an operator can ask for, and the facts a decision is made from; both frozen."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cairnops.domain.conversations import Actor, Conversation, Role
from cairnops.domain.suggestions import Suggestion


class Action(StrEnum):
    """Everything the modal offers. The first three make decisions; the others leave events."""

    APPROVE_SEND = "approve_send"
    ESCALATE = "escalate"
    MARK_RESOLVED = "mark_resolved"
    CANCEL = "cancel"
    NOTE = "note"
    FOLLOW_UP = "follow_up"


#: The actions that make a decision, and the name each has in the log.
DECISION_NAMES = {
    Action.APPROVE_SEND: "chatwoot.approve_send",
    Action.ESCALATE: "chatwoot.escalate",
    Action.MARK_RESOLVED: "chatwoot.mark_resolved",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowUp:
    """A promise with a name and a time on it."""

    owner: str
    due: datetime
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One press of one button.

    `key` is minted when the form is drawn, so a double click, a rerun and a retry are the same request.
    """

    action: Action
    conversation: str
    actor: Actor
    key: str
    session: str = ""
    #: The version of the conversation the form was drawn from; None when the driver drew no form.
    seen_version: int | None = None
    #: The uid of the suggestion that was shown.
    suggestion: str = ""
    #: The reply to send; None sends the suggestion as it is.
    text: str | None = None
    note: str = ""
    #: Why a case is escalated, in the policy's vocabulary.
    reason: str = ""
    target: Role | None = None
    follow_up: FollowUp | None = None
    #: Why the actor goes ahead against a block; empty when they do not.
    override: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flags:
    """The two switches teams already have."""

    modal_approvals: bool = True
    ai_escalations: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PastDecision:
    """A decision already in the log for this conversation."""

    uid: str
    number: int
    action: str
    actor: str
    at: datetime
    #: What it asked for surely did not reach the help desk (its reply, label or status failed or timed out).
    undelivered: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """What became of an earlier request with the same key."""

    fingerprint: str
    #: The decision's uid and number; empty and 0 when the request made none.
    decision: str
    number: int
    #: The rule code it was refused with; empty when it was applied.
    refused: str
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Somebody has a conversation open: a lease, which ends by itself unless the browser tab renews it."""

    conversation: str
    actor: Actor
    #: The browser tab that renews it.
    tab: str
    session: str
    since: datetime
    #: End of the lease, epoch milliseconds.
    until_ms: int

    def live(self, now_ms: int) -> bool:
        """Whether the lease still runs; at its very end it does not."""
        return now_ms < self.until_ms


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """One read of everything a decision depends on."""

    conversation: Conversation
    #: Grows with every change of the conversation; a commit on an older version is refused.
    version: int
    flags: Flags
    suggestion: Suggestion | None = None
    #: The uid of the record that says this suggestion was shown.
    suggestion_uid: str = ""
    decisions: tuple[PastDecision, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    #: When this customer's other conversations were breached (UTC).
    other_breaches: tuple[datetime, ...] = ()
    session_started_at: datetime | None = None
    session_closed: bool = False
    #: Who has it open; the lease may have ended.
    claim: Held | None = None
    prior: Prior | None = None

    def last_decision(self, action: Action) -> PastDecision | None:
        """The newest decision of that kind on this conversation."""
        made = [d for d in self.decisions if d.action == DECISION_NAMES[action]]
        return max(made, key=lambda d: d.at) if made else None
