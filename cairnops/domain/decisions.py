"""What a decision record holds, and how its identity follows from the request that made it."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cairnops.domain.conversations import Actor
from cairnops.domain.requests import Flags, FollowUp
from cairnops.domain.rules import Verdict
from cairnops.domain.sla import Sla
from cairnops.domain.suggestions import Suggestion

#: Every decision of this desk has this type; the legacy log derived it from the action's prefix.
DECISION_TYPE = "cx.escalation"

#: The action name of the record that says which suggestion was shown.
SUGGESTION_SHOWN = "suggestion.shown"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Scope(StrEnum):
    """`ops` is what a person decided; `build` is what a machine proposed to them."""

    OPS = "ops"
    BUILD = "build"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The append-only record. Integers, strings, booleans and nulls only, so that every canonicaliser agrees."""

    uid: str
    #: The human number, what a worksheet holds; given when the record is committed.
    decision_id: int
    scope: Scope
    type: str
    action: str
    actor: Actor
    shop_domain: str
    #: With its system in front: `chatwoot:1045`.
    conversation: str
    session: str
    request_key: str
    created_at: datetime
    rationale: str
    reason: str = ""
    target: str = ""
    note: str = ""
    #: The uid of the `build` record of the suggestion that was judged; empty when none was shown by an AI.
    linked: str = ""
    suggestion: Suggestion | None = None
    #: What was approved, byte for byte what is sent; None when nothing is sent.
    final_text: str | None = None
    edited: bool = False
    #: Levenshtein distance between suggestion and final text, in code points.
    edit_distance: int = 0
    #: `manual_reply` when there was no suggestion and the operator wrote the reply.
    fallback: str = ""
    verdicts: tuple[Verdict, ...] = ()
    #: The reason given for going ahead against a block.
    override: str = ""
    sla: Sla | None = None
    priority: str = ""
    flags: Flags = field(default_factory=Flags)
    policy_profile: str = ""
    policy_hash: str = ""
    follow_up: FollowUp | None = None


def uid_of(at: datetime, *parts: str) -> str:
    """A ULID made of a moment and a name: the same request gives the same id on every machine.

    The first 48 bits are `at` in milliseconds, the last 80 the SHA-256 of the parts, so ids sort by time.
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()[:10]
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    value = (milliseconds << 80) | int.from_bytes(digest, "big")
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))
