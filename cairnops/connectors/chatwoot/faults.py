"""Which call to the simulated help desk goes wrong, at which attempt, and how."""

from random import Random
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

Call = Literal[
    "create_message",
    "private_note",
    "labels",
    "labels_read",
    "toggle_status",
    "assignments",
    "list",
    "messages",
    "get",
    "other",
]

Action = Literal[
    "timeout",
    "connection_reset",
    "rate_limited",
    "server_error",
    "slow",
    "accepted_no_answer",
    "accepted_late",
    "malformed_body",
]

DELAY_MS = 200
RETRY_AFTER_S = 1
SERVER_ERROR = 503

_USES = {
    "delay_ms": {"slow", "accepted_late"},
    "retry_after_s": {"rate_limited"},
    "status": {"server_error"},
    "close": {"accepted_no_answer"},
}


class Match(BaseModel):
    """The requests a fault is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: `create_message` is a public reply, `private_note` a private one, `labels` the write of the label list
    #: and `labels_read` its reading; `list` covers the filter too.
    call: Call | Literal["any"] = "any"
    conversation_id: int | None = None
    #: The n-th request that fits (from 1), or every one.
    attempts: list[PositiveInt] | Literal["all"] = "all"

    def fits(self, call: str, conversation_id: int | None) -> bool:
        """Whether a request is one of these; says nothing about the attempt."""
        return self.call in ("any", call) and self.conversation_id in (None, conversation_id)


class Chance(BaseModel):
    """A dice roll for each fitting request; the same seed gives the same faults for the same n-th request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate_percent: int = Field(ge=0, le=100)
    seed: int
    actions: list[Action] = Field(min_length=1)


class Fault(BaseModel):
    """One rule: for these requests, this goes wrong.

    - `timeout`: never processed; no answer until the caller gives up.
    - `connection_reset`: never processed; the connection is reset.
    - `rate_limited`: 429 with `Retry-After: retry_after_s`.
    - `server_error`: `status` (500 to 504), not processed.
    - `slow`: `delay_ms` later as always; a caller that left before is not served.
    - `accepted_no_answer`: processed, then no answer; with `close` the connection is reset instead.
    - `accepted_late`: processed `delay_ms` later, whether or not the caller still waits.
    - `malformed_body`: processed, then 200 with JSON cut in the middle.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: Match = Match()
    action: Action | None = None
    random: Chance | None = None
    delay_ms: NonNegativeInt | None = None
    retry_after_s: NonNegativeInt | None = None
    status: int | None = Field(default=None, ge=500, le=504)
    close: bool | None = None

    @model_validator(mode="after")
    def _one_kind_and_no_idle_parameter(self) -> Self:
        if (self.action is None) == (self.random is None):
            raise ValueError("a fault has either an action or random, not both and not neither")
        possible = {self.action} if self.random is None else set(self.random.actions)
        for name, users in _USES.items():
            if getattr(self, name) is not None and not possible & users:
                raise ValueError(f"{name} means nothing here; it belongs to {', '.join(sorted(users))}")
        return self

    def at(self, nth: int) -> Action | None:
        """What happens to the n-th fitting request (from 1); None when it is left alone."""
        if self.match.attempts != "all" and nth not in self.match.attempts:
            return None
        if self.random is None:
            return self.action
        dice = Random(f"{self.random.seed}:{nth}")
        return dice.choice(self.random.actions) if dice.randrange(100) < self.random.rate_percent else None


class Hit(BaseModel):
    """A fault that applies to the request in hand, with its numbers filled in."""

    action: Action
    delay_ms: int = DELAY_MS
    retry_after_s: int = RETRY_AFTER_S
    status: int = SERVER_ERROR
    close: bool = False

    @classmethod
    def of(cls, fault: Fault, action: Action) -> Self:
        """The fault's own numbers where it has them."""
        given = {name: getattr(fault, name) for name in _USES if getattr(fault, name) is not None}
        return cls(action=action, **given)
