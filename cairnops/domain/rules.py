"""What a rule is: a stable code, a severity, a sentence for the operator, and where it comes from."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`block` stops the action, `warn` asks for thought, `info` only tells."""

    BLOCK = "block"
    WARN = "warn"
    INFO = "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule of the desk, as the catalogue, `explain` and every verdict name it."""

    code: str
    #: The severity it has unless the policy's tiers say otherwise.
    severity: Severity
    #: What it is about, in a few words.
    title: str
    #: Where the rule comes from (a standard operating procedure, a job aid, a specification).
    source: str
    #: Where in the policy its threshold stands (`guardrails.no_ack_hours`); empty when it has none.
    threshold: str = ""
    #: What an operator should do instead, in one sentence.
    way_out: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One rule's finding on one request."""

    code: str
    severity: Severity
    #: For the operator, with the facts of this case in it.
    sentence: str
    #: The threshold that was in force, printed (`120 min`); empty when the rule has none.
    threshold: str = ""
    #: The role that may go ahead all the same; empty when nobody may.
    override_role: str = ""
    #: True once somebody of that role did, with a reason.
    overridden: bool = False


def worst(verdicts: Iterable[Verdict]) -> Severity | None:
    """The gravest severity still standing (overridden blocks do not count); None when there is none."""
    order = {Severity.BLOCK: 0, Severity.WARN: 1, Severity.INFO: 2}
    standing = [v.severity for v in verdicts if not v.overridden]
    return min(standing, key=order.__getitem__) if standing else None
