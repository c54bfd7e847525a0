"""Which role may take which part in the room: work cases, run the session, look at what everybody did."""

from enum import StrEnum

from cairnops.domain.conversations import Role
from cairnops.domain.rules import Rule, Severity


class Duty(StrEnum):
    """A part somebody takes; what may be done to a case itself is for `actions` to say."""

    #: Work cases at the desk.
    ACT = "act"
    #: Run a session: seed cases to others, give cues, end it.
    FACILITATE = "facilitate"
    #: See results, decisions and reports of everybody.
    REVIEW = "review"


_ABOVE = frozenset({Role.LEAD, Role.MANAGER, Role.ADMIN})
_ROLES = {
    Duty.ACT: _ABOVE | {Role.OPERATOR},
    Duty.FACILITATE: _ABOVE,
    Duty.REVIEW: _ABOVE | {Role.QA, Role.ANALYST},
}

NOT_ALLOWED = Rule(
    code="duty.not_allowed",
    severity=Severity.BLOCK,
    title="This role does not take this part in a session",
    source="Session roles: operators practise, leads facilitate, QA and analysts review",
    way_out="Ask somebody of a role that may.",
)


def allowed(role: Role, duty: Duty) -> bool:
    """Whether a role takes that part."""
    return role in _ROLES[duty]


def refusal(role: Role, duty: Duty) -> str:
    """Operators act; leads, managers and admins also facilitate and review; QA and analysts only review.

    Returns:
        What is said to somebody of another role; empty when they may.
    """
    if allowed(role, duty):
        return ""
    may = ", ".join(r.value for r in Role if allowed(r, duty))
    return f"The role {role.value} does not {duty.value}; these do: {may}."
