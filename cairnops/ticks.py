"""A counter that goes on whatever the machine's clock is set to, and the same for every process of the machine."""

import time
from contextlib import suppress
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def ticks_ms() -> int:
    """Milliseconds since the machine was started, its sleep included where it tells of that."""
    # A worker that slept through its lease must not think that no time has gone by.
    asleep_too = getattr(time, "CLOCK_BOOTTIME", None)
    ns = time.monotonic_ns() if asleep_too is None else time.clock_gettime_ns(asleep_too)
    return ns // 1_000_000


def boot() -> str:
    """Which start of which machine `ticks_ms` counts from; empty where the system has no name for it."""
    with suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return ""
