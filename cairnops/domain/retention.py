"""What is old enough to go: until when each kind is removed, and by which name a plan is known."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cairnops.domain.conversations import Role
from cairnops.domain.policy import RetentionPolicy

#: In the order in which they go: what is practised belongs to its session.
KINDS = ("training", "transcripts", "decisions")


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """The rows of one table that go."""

    kind: str
    table: str
    rows: int
    #: Moments of the first and the last of them; empty where rows have none of their own, or none goes.
    oldest: str = ""
    newest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a retention removes, or has removed."""

    #: Before which moment, by kind.
    until: dict[str, str]
    due: tuple[Due, ...]
    #: Decisions that are old enough and stay: not sealed yet, or with something still to be delivered.
    unsealed: int
    undelivered: int

    @property
    def rows(self) -> int:
        """All that goes."""
        return sum(due.rows for due in self.due)

    @property
    def id(self) -> str:
        """The same for plans that remove the same; another once anything about them differs."""
        told = [
            (due.kind, self.until[due.kind], due.table, due.rows, due.oldest, due.newest) for due in self.due
        ]
        return hashlib.sha256(repr(sorted(told)).encode()).hexdigest()[:12]


def refusal(role: Role) -> str:
    """Why somebody of that role may not remove anything; empty for an admin, who may."""
    return "" if role is Role.ADMIN else f"An admin removes what is old; {role.value} is another role."


def until(policy: RetentionPolicy, now: datetime, kinds: Sequence[str] = KINDS) -> dict[str, datetime]:
    """The moment before which each kind goes, UTC: the beginning of a day, so that a plan holds for one."""
    days = {
        "decisions": policy.decision_days,
        "transcripts": policy.transcript_days,
        "training": policy.training_days,
    }
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {kind: today - timedelta(days=days[kind]) for kind in KINDS if kind in kinds}
