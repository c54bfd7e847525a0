"""What one transaction of the ledger writes: the audit event, and everything it is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cairnops.domain.conversations import Actor
from cairnops.domain.decisions import Decision
from cairnops.domain.delivery import EffectDraft
from cairnops.domain.requests import FollowUp
from cairnops.domain.stale import Seen
from cairnops.domain.suggestions import Suggestion


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One audit event to append."""

    kind: str
    at: datetime
    actor: Actor
    conversation: str = ""
    session: str = ""
    key: str = ""
    #: The rule code a refusal carries.
    code: str = ""
    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyed:
    """What is remembered under a request's key."""

    key: str
    fingerprint: str
    refused: str = ""
    sentence: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Everything one transaction writes: the audit event, and what it is about."""

    conversation: str
    entry: Entry
    #: The version the facts were read at; None when the change does not depend on it.
    expect: int | None = None
    keyed: Keyed | None = None
    decision: Decision | None = None
    effects: Sequence[EffectDraft] = ()
    #: How the conversation stood when the effects were decided; without it they are sent however late.
    seen: Seen | None = None
    follow_up: FollowUp | None = None
    #: A suggestion that was shown, under the uid it is known by.
    shown: tuple[str, Suggestion] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """What the ledger gave the change: the decision's number and its effects' uids, where there were any."""

    number: int = 0
    version: int = 0
    effects: tuple[str, ...] = ()
