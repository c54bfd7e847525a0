"""How an effect stands for whoever keeps delivery going: what may be parked, and what may be sent again.

What ended without arriving is parked as well: nobody but a person decides to send it once more, and then
it is looked up first, for "failed" may have meant that the answer was lost.
"""

from dataclasses import dataclass
from enum import StrEnum

from cairnops.domain import breaker, duties
from cairnops.domain.breaker import Outage
from cairnops.domain.conversations import Actor
from cairnops.domain.delivery import NOBODY, Found


class JobState(StrEnum):
    """What is happening to an effect."""

    WAITING = "waiting"
    #: On its way, or being looked up, in a worker's hands.
    UNDER_WAY = "under way"
    #: Between two tries.
    RETRYING = "retrying"
    #: May have arrived; it will be looked up.
    UNCLEAR = "unclear"
    #: Waits for a person.
    PARKED = "parked"
    DONE = "done"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One effect with what became of it. Times are epoch milliseconds."""

    uid: str
    run_key: str
    number: int
    conversation: str
    session: str
    kind: str
    urgency: int
    destination: str
    #: As the queue has it: ready, sending, looking, parked, or how it ended in lower case.
    stage: str
    attempt: int
    error: str
    due_ms: int | None
    owner: str
    #: SUCCESS, FAILED, TIMEOUT, UNKNOWN; empty while it is unfinished.
    status: str
    #: The number of a later decision that sent the same kind of thing there; 0 when there is none.
    overtaken_by: int
    #: Whether a person has had it sent again already, or found that it had arrived.
    repeated: bool
    found: bool
    #: Who took it out of the queue, and why.
    parked_by: str = ""
    reason: str = ""


def state(job: Job, now_ms: int) -> JobState:
    """How it stands now."""
    if job.status:
        settled = job.status == "SUCCESS" or job.repeated or job.found
        return JobState.DONE if settled else JobState.PARKED
    if job.stage == "parked":
        return JobState.PARKED
    if _held(job, now_ms):
        return JobState.UNDER_WAY
    if job.stage != "ready":
        return JobState.UNCLEAR
    return JobState.RETRYING if job.attempt else JobState.WAITING


def why(job: Job, outage: Outage | None = None) -> str:
    """Why it is where it is, in a few words; empty when it is on its way as it should be.

    `outage` is the last one of the help desk: what is unfinished waits for its end.
    """
    if job.reason:
        return f"{job.reason} ({job.parked_by})"
    if job.status == "UNKNOWN":
        return f"nobody could find out whether it arrived (last {job.error or 'no error'})"
    if job.error == NOBODY:
        return f"{NOBODY}: the help desk has no team or person of the name in escalation.assign"
    if job.status and job.status != "SUCCESS":
        return f"{job.status} at attempt {job.attempt}: {job.error or 'no error'}"
    return job.error if job.status else breaker.why(outage) or job.error


def refuse_park(job: Job, actor: Actor, now_ms: int) -> str:
    """Why it cannot be parked by them now; empty when it can."""
    if refused := duties.refusal(actor.role, duties.Duty.ACT):
        return refused.removesuffix(".")
    if job.status:
        return f"effect {job.uid} has ended ({job.status})"
    if job.stage == "parked":
        return f"effect {job.uid} is parked already, by {job.parked_by}"
    if _held(job, now_ms):
        return f"effect {job.uid} is on its way just now; park it when that has ended"
    return ""


def refuse_retry(job: Job, actor: Actor, now_ms: int, destination: str) -> str:
    """Why they cannot have it sent (again) now; empty when they can."""
    if refused := duties.refusal(actor.role, duties.Duty.ACT):
        return refused.removesuffix(".")
    if job.destination != destination:
        return f"effect {job.uid} is for another help desk, {job.destination or 'which was never named'}"
    if job.repeated:
        return f"effect {job.uid} has been sent again already"
    if state(job, now_ms) is JobState.DONE:
        return f"effect {job.uid} has arrived"
    if state(job, now_ms) is not JobState.PARKED:
        return f"effect {job.uid} is not parked: it is tried again by itself"
    if job.overtaken_by:
        later = f"decision {job.overtaken_by} sent its own {job.kind}"
        return f"the conversation has moved on: {later} after effect {job.uid}"
    return ""


def refuse_again(job: Job, found: Found) -> str:
    """Why what ended must not be sent again after that look-up; empty when it may."""
    if found is Found.UNAVAILABLE:
        return f"the help desk cannot say whether effect {job.uid} arrived; sending it again could double it"
    return ""


def _held(job: Job, now_ms: int) -> bool:
    return bool(job.owner) and job.due_ms is not None and job.due_ms > now_ms
