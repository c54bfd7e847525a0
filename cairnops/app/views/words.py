"""Durations, clocks and statuses in the words every page uses."""

from datetime import datetime

from cairnops.domain.sla import Standing

_CLOCKS = {
    "conversation_created": "it began",
    "last_customer_message": "the customer's last message",
    "first_unanswered_customer_message": "the first unanswered message",
}

#: What the final status of an effect means to an operator.
DELIVERY = {
    "SUCCESS": "delivered",
    "FAILED": "failed",
    "TIMEOUT": "timed out",
    "UNKNOWN": "not known",
}


def clock_name(clock: str) -> str:
    """From when a clock counts, after "since"."""
    return _CLOCKS.get(clock, clock.replace("_", " "))


def span(seconds: float) -> str:
    """A duration: `40 s`, `35 min`, `2 h 05 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    days, rest = divmod(whole // 60, 1440)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def late_words(standing: Standing) -> str:
    """How a clock stands: breached and since when, answered, or how much is left."""
    if standing.started_at is None or standing.due_at is None:
        return "no customer waits"
    if standing.breached:
        ended = "answered " if standing.stopped_at else ""
        return f"{ended}{span(standing.breach_age_s)} past the target"
    if standing.stopped_at:
        return "answered in time"
    return f"{span(standing.elapsed_s)} so far, within the target"


def clock_time(at: datetime) -> str:
    """A moment of today, UTC, to the second."""
    return f"{at:%H:%M:%S} UTC"


def clock(at: datetime) -> str:
    """A moment of today, UTC, to the minute, where the page says that it is UTC."""
    return f"{at:%H:%M}"


def day(at: datetime) -> str:
    """A moment of any day, UTC, as every export and report writes it: `2025-10-16 17:00`."""
    return f"{at:%Y-%m-%d %H:%M}"


def person(email: str) -> str:
    """The name an address begins with (`alex.kim@shop.example` is `Alex Kim`); empty for no address."""
    name = email.partition("@")[0].replace("_", ".").replace("+", ".")
    return " ".join(part[:1].upper() + part[1:] for part in name.split("."))


def times(count: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def count(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
