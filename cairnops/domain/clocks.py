"""What time it is where leases are kept in a file, and which due times cannot have been meant.

A clock that is set an hour on would make every lease look over, and what is on its way would be sent again; one that is
set back would hold every try up for an hour. So a file's clock counts on from when it was first asked for, by the
machine's counter, and a moment that no pause leads to is taken for somebody's wrong clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """Where a file's clock began to count: on which start of the machine, and what clock and counter said then."""

    boot: str
    wall_ms: int
    ticks_ms: int

    def now_ms(self, ticks_ms: int) -> int:
        """The file's clock, epoch milliseconds, when the counter stands there."""
        return self.wall_ms + ticks_ms - self.ticks_ms


def anchored(kept: Anchor | None, now: Anchor) -> Anchor:
    """What the clock counts from: as before, unless the machine was started anew or is another one."""
    if kept is None or kept.boot != now.boot or now.ticks_ms < kept.ticks_ms:
        return now
    return kept


def latest_ms(now_ms: int, longest_ms: int) -> int:
    """The last moment that can have been meant where no pause is longer than that.

    Twice as far as the pause itself: two machines' clocks and policies may differ a little.
    """
    return now_ms + 2 * longest_ms
