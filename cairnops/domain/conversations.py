"""What the desk knows about a customer's case: messages, order, tags, and who may act on it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Author(StrEnum):
    """Who wrote a message. `system` is activity text, which never counts as the customer speaking."""

    CUSTOMER = "customer"
    AGENT = "agent"
    SYSTEM = "system"


class Status(StrEnum):
    """Where a conversation stands, in Chatwoot's four words."""

    OPEN = "open"
    PENDING = "pending"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Role(StrEnum):
    """What a person may do. Operators, leads, managers and admins act; QA and analysts read."""

    OPERATOR = "operator"
    LEAD = "lead"
    MANAGER = "manager"
    ADMIN = "admin"
    QA = "qa"
    ANALYST = "analyst"

    @property
    def rank(self) -> int:
        """Standing on the escalation ladder: 0 for readers, 1 operator, 2 lead, 3 manager, 4 admin."""
        ladder = (Role.OPERATOR, Role.LEAD, Role.MANAGER, Role.ADMIN)
        return ladder.index(self) + 1 if self in ladder else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """A real person (or a named service) on whose behalf something happens."""

    email: str
    role: Role = Role.OPERATOR


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message of a conversation; `at` is UTC."""

    id: str
    author: Author
    text: str
    at: datetime
    #: A private note is seen by the team only and never stops an SLA clock.
    private: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusChange:
    """The conversation entered `status` at `at` (UTC)."""

    status: Status
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Facts from the shop about the order in question."""

    number: str
    #: Total in minor units (cents); money is never a float.
    total_minor: int | None = None
    currency: str = "USD"
    #: What the shop shows, in words ("label created 18 h ago, no carrier movement").
    cues: tuple[str, ...] = ()
    #: A refund has been asked for or started and is not finished.
    refund_pending: bool = False
    #: Goods are on their way back.
    return_in_progress: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """A customer's case as it was read at one moment; every time is UTC.

    `id` is the help desk's own id, as text. Decision ids and conversation ids collide in real
    exports ("101" was both), so wherever a conversation leaves the core it is written with its
    system in front: see `ref`.
    """

    id: str
    #: The customer's name as known; empty when nobody knows it. Never a stand-in word.
    customer: str
    #: A stable key for the person across conversations (contact id or e-mail).
    customer_key: str
    status: Status
    created_at: datetime
    messages: tuple[Message, ...] = ()
    tags: tuple[str, ...] = ()
    #: Chatwoot's own priority word: urgent, high, medium, low, or empty.
    priority: str = ""
    #: Oldest first. Empty means the status has been `status` since `created_at`.
    status_changes: tuple[StatusChange, ...] = ()
    order: Order | None = None
    inbox: str = ""
    team: str = ""
    #: Facts of the help desk we keep but do not judge by.
    extra: dict[str, str] = field(default_factory=dict)
    #: How far the help desk had come when this was read, in microseconds of its own clock: of two readings the one
    #: with more is newer. 0 when it does not say. No part of what the conversation is.
    revision: int = field(default=0, compare=False)

    @property
    def ref(self) -> str:
        """The id with its system in front (`chatwoot:101`)."""
        return f"chatwoot:{self.id}"

    @property
    def help_desk_sla(self) -> str:
        """What the help desk's own SLA says, in a few words; empty when it has none. Nothing is judged by it."""
        name, status = (self.extra.get(f"help_desk_sla_{key}", "") for key in ("name", "status"))
        return f"{name or 'SLA'}: {status.replace('_', ' ')}" if status else name

    def public_messages(self) -> tuple[Message, ...]:
        """What customer and team said to each other: no notes, no activity text."""
        return tuple(m for m in self.messages if not m.private and m.author is not Author.SYSTEM)

    def last_from(self, author: Author) -> Message | None:
        """The newest public message of that author, by time."""
        said = [m for m in self.public_messages() if m.author is author]
        return max(said, key=lambda m: m.at) if said else None
