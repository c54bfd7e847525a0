"""How the state of one thing a team depends on is told: ready, blocked, or not checked, with what to do."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One thing that was looked at."""

    what: str
    state: Literal["ready", "blocked", "not checked"]
    detail: str
    #: What to do about it; empty when nothing has to be.
    fix: str = ""


def blocked(what: str, error: Exception) -> Line:
    """The line of what ended in an error."""
    return Line(what=what, state="blocked", detail=str(error), fix=getattr(error, "hint", ""))


def unseen(what: str, why: str) -> Line:
    """The line of what could not be looked at."""
    return Line(what=what, state="not checked", detail=why)
