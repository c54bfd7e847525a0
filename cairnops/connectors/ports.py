"""What the delivery worker needs: an outbox to take effects from, and a help desk to take them to."""

from datetime import datetime
from typing import Protocol

from cairnops.domain.delivery import Claim, Effect, FinalStatus, Found, Result


class Outbox(Protocol):
    """Claims and settlements; each is one transaction, and a settlement by anybody but the owner is refused."""

    def claim(self, owner: str, *, now_ms: int, lease_ms: int, per_second: int = 0) -> Claim | None:
        """Take the next effect that is due and may be asked for now, in order within its conversation, or None."""

    def hold(self, until_ms: int) -> None:
        """Let no worker ask before then."""

    def next_due_ms(self) -> int | None:
        """When the next effect can be claimed (epoch milliseconds); None when all are finished."""

    def give_back(self, claim: Claim, *, due_ms: int) -> bool:
        """Undo a claim under which nothing was sent; the attempt has not been made."""

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


class HelpDesk(Protocol):
    """The outside, as far as delivery goes."""

    async def deliver(self, effect: Effect) -> Result:
        """Try once, within the hard deadline; trouble comes back as a value."""

    async def find(self, effect: Effect) -> Found:
        """Look for the effect by its run key."""
