"""What the delivery worker needs: an outbox to take effects from, and a help desk to take them to."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from cairnops.domain.breaker import Outage
from cairnops.domain.delivery import Claim, Effect, FinalStatus, Found, Result
from cairnops.domain.stale import Seen


class Outbox(Protocol):
    """Claims and settlements; each is one transaction, and a settlement by anybody but the owner is refused."""

    def claim(
        self, owner: str, *, now_ms: int, lease_ms: int, per_second: int = 0, heedful: bool = False
    ) -> Claim | None:
        """Take the next effect that is due and may be asked for now, in order within its conversation, or None.

        A `heedful` worker takes nothing while the help desk is down.
        """

    def renew(self, claim: Claim, *, due_ms: int) -> bool:
        """Let the lease run until then."""

    def given(self, conversation_id: str) -> frozenset[str]:
        """The teams and people a conversation was given to, or is about to be, by what was decided here."""

    def park(self, claim: Claim, reason: str, *, at: datetime) -> bool:
        """Take it out of the queue for a person; the attempt has not been made."""

    def hold(self, until_ms: int) -> None:
        """Let no worker ask before then."""

    def set_right(self, longest_ms: int) -> int:
        """Let nothing wait for a moment that no pause of that length leads to; returns how many effects did."""

    def next_due_ms(self) -> int | None:
        """When the next effect can be claimed (epoch milliseconds); None when all are finished."""

    def give_back(self, claim: Claim, *, due_ms: int) -> bool:
        """Undo a claim under which nothing was sent or learnt: the attempt has not been made, nor the look-up."""

    def tried(
        self, claim: Claim, result: Result, *, due_ms: int, at: datetime, duration_us: int, looking: bool
    ) -> bool:
        """Record an attempt that did not finish the effect, and when to look up or try again."""

    def looked(self, claim: Claim, found: Found, *, due_ms: int, at: datetime, looking: bool) -> bool:
        """Record a look-up that did not finish the effect."""

    def finish(
        self,
        claim: Claim,
        status: FinalStatus,
        *,
        at: datetime,
        result: Result | None,
        duration_us: int | None,
        recovered: bool,
    ) -> bool:
        """Record how the effect ended; `result` is the attempt that ended it, None when a look-up did."""


class Outages(Protocol):
    """Whether the help desk is down, as all workers of one database know it; each is one transaction."""

    def last(self) -> Outage | None:
        """The present outage, or the one before."""

    def begin(self, outage: Outage) -> bool:
        """It is down; False when somebody has said so before."""

    def take_turn(self, now_ms: int, turn_ms: int) -> bool:
        """Whether it is the caller who asks now; then nobody else does for `turn_ms`."""

    def go_on(self, outage: Outage) -> None:
        """It was asked, and is still down."""

    def end(self, outage: Outage) -> bool:
        """It is back; False when somebody has said so before."""


class HelpDesk(Protocol):
    """The outside, as far as delivery goes."""

    async def deliver(self, effect: Effect, in_time: Callable[[], bool]) -> Result:
        """Try once, within the hard deadline; trouble comes back as a value.

        `in_time` is asked just before anything is sent; where it says no, nothing is.
        """

    async def find(self, effect: Effect) -> Found:
        """Look for the effect by its run key."""

    async def standing(self, conversation_id: str) -> Seen | None:
        """How the conversation stands now, what was sent from here left out; None when it cannot be read.

        Raises:
            NotFound: when it is not there any more.
        """

    async def silence(self) -> str:
        """Empty when anybody is there, else the error code; changes nothing there."""
