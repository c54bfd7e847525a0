"""What an answer from outside means, and what to do next: retry, look it up, give up, or tell a person.

A request that got no clear answer may have been carried out. So "no answer" never leads straight to
another try: the worker waits until a request still in flight must have landed, looks the effect up
by its run key, and only a clear "absent" allows the next attempt.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cairnops.domain.policy import DeliveryPolicy
from cairnops.domain.stale import Seen


class EffectKind(StrEnum):
    """What must happen on the help desk."""

    REPLY = "reply"
    NOTE = "note"
    LABELS = "labels"
    STATUS = "status"
    ASSIGN = "assign"


#: What the customer or the queue would see, and so must still be right when it is sent.
RECHECKED = frozenset({EffectKind.REPLY, EffectKind.STATUS, EffectKind.ASSIGN})


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectDraft:
    """An effect a decision asks for; the store gives it its uid and run key.

    `payload`: reply and note `{"text": …}`, labels `{"add": "escalation"}`, status `{"status": "resolved"}`,
    assign `{"team": "CX leads"}` or `{"assignee": "morgan@shop.example"}`.
    """

    kind: EffectKind
    payload: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """An effect as it is delivered. `run_key` travels with it and is never used for anything else."""

    uid: str
    run_key: str
    conversation_id: str
    kind: EffectKind
    payload: dict[str, str]
    #: The step it was committed in, for whoever follows an action across processes; empty when nobody does.
    trace: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """An effect that belongs to this worker until its lease ends."""

    effect: Effect
    #: The attempt this claim is about, from 1.
    attempt: int
    #: True when an earlier try of this attempt ended unclear (or its worker died): look up before anything else.
    unclear: bool
    #: Look-ups of this attempt that stayed without an answer so far.
    looks: int
    #: The error the unclear try ended with; empty when nobody saw its end.
    last_error: str
    owner: str
    #: What was decided on; None when nobody wrote it down, or when a person has looked since.
    seen: Seen | None = None
    decided: datetime | None = None
    #: When the unclear try was made; None when nobody saw its end.
    tried: datetime | None = None


class Answer(StrEnum):
    """What one try told us."""

    OK = "ok"
    #: Refused for good: trying again cannot help.
    REJECT = "reject"
    #: Certainly not carried out; trying again may help.
    RETRY = "retry"
    #: May or may not have been carried out.
    UNKNOWN = "unknown"


class Failure(StrEnum):
    """How a try can fail without an HTTP status."""

    TIMEOUT = "ETIMEDOUT"
    RESET = "ECONNRESET"
    REFUSED = "ECONNREFUSED"
    DNS = "ENOTFOUND"
    MALFORMED = "EBADBODY"
    TLS = "ETLS"


#: A lease is longer than it need be by as much at the most, for a disk that is slow.
SPARE_MOST_MS = 60_000

#: Nothing was sent: the help desk has no team or nobody of the name the policy gives.
NOBODY = "ENOBODY"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The outcome of one try."""

    answer: Answer
    #: `ETIMEDOUT`, `ECONNRESET`, `HTTP_429`, …; empty on success.
    error_code: str = ""
    retry_after_ms: int | None = None
    #: The help desk's id of what was made, when it told us.
    remote_id: str = ""


class Found(StrEnum):
    """What a look-up by run key told us."""

    PRESENT = "present"
    ABSENT = "absent"
    #: The look-up itself failed; nothing is known.
    UNAVAILABLE = "unavailable"


class FinalStatus(StrEnum):
    """How an effect ended, in the words sync exports use."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    #: Nobody could find out; a person has been told.
    UNKNOWN = "UNKNOWN"


def of_status(status: int, retry_after_ms: int | None = None) -> Result:
    """Classify an HTTP status.

    2xx is done. 429 is certainly not done. 5xx, 408 and 425 may have been done: a gateway answers 502
    for a request its backend carried out. Everything else, a redirect included, is a refusal.
    """
    if 200 <= status < 300:
        return Result(answer=Answer.OK)
    code = f"HTTP_{status}"
    if status == 429:
        return Result(answer=Answer.RETRY, error_code=code, retry_after_ms=retry_after_ms)
    if status in (408, 425) or status >= 500:
        return Result(answer=Answer.UNKNOWN, error_code=code, retry_after_ms=retry_after_ms)
    return Result(answer=Answer.REJECT, error_code=code)


def of_failure(failure: Failure) -> Result:
    """Classify a try that never got an HTTP status: only a connection never made is surely not done."""
    sure = failure in (Failure.REFUSED, Failure.DNS, Failure.TLS)
    return Result(answer=Answer.RETRY if sure else Answer.UNKNOWN, error_code=failure.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Nothing more to do."""

    status: FinalStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """Send once more, after a pause in milliseconds."""

    after_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LookUp:
    """Wait so many milliseconds, then ask the help desk whether the effect is there."""

    after_ms: int


Step = Done | Again | LookUp


def backoff_ms(attempt: int, policy: DeliveryPolicy) -> int:
    """Pause after attempt n: the base times 2^(n-1)."""
    return int(policy.backoff_ms * 2 ** max(attempt - 1, 0))


def after_try(result: Result, attempt: int, policy: DeliveryPolicy) -> Step:
    """A try that failed is made again, up to `delivery.max_attempts` in all, with a growing wait between.

    What the help desk refuses for good is final at once. A try that may or may not have arrived is
    looked up first.

    Returns:
        What follows attempt number `attempt` (from 1).
    """
    if result.answer is Answer.OK:
        return Done(status=FinalStatus.SUCCESS)
    if result.answer is Answer.REJECT:
        return Done(status=FinalStatus.FAILED)
    if result.answer is Answer.UNKNOWN and policy.look_up:
        return LookUp(after_ms=policy.settle_ms)
    return _again_or(attempt, policy, result.error_code, result.retry_after_ms)


def after_look_up(found: Found, attempt: int, last_error: str, looks: int, policy: DeliveryPolicy) -> Step:
    """After a try that may have arrived, the help desk is asked whether it did; only when it did not is it sent again.

    The question waits `delivery.settle_ms`, for what is still under way. When the help desk does not answer
    `delivery.max_attempts` such questions, the effect ends `UNKNOWN` and a person is told, because sending
    it again blind could double it.

    Returns:
        What follows a look-up after attempt `attempt` ended unclear with `last_error`; `looks` counts those
        that stayed without an answer, this one included.
    """
    if found is Found.PRESENT:
        return Done(status=FinalStatus.SUCCESS)
    if found is Found.UNAVAILABLE:
        if looks >= policy.max_attempts:
            return Done(status=FinalStatus.UNKNOWN)
        return LookUp(after_ms=backoff_ms(looks, policy))
    return _again_or(attempt, policy, last_error, None)


def in_turn_ms(attempt: int, policy: DeliveryPolicy) -> int:
    """Pause after a try that does not count: long enough that others have their turn, and no longer than a cap."""
    return min(backoff_ms(attempt, policy), policy.retry_after_cap_ms)


def _again_or(attempt: int, policy: DeliveryPolicy, error_code: str, retry_after_ms: int | None) -> Step:
    if attempt >= policy.max_attempts:
        timed_out = error_code == Failure.TIMEOUT.value
        return Done(status=FinalStatus.TIMEOUT if timed_out else FinalStatus.FAILED)
    pause = backoff_ms(attempt, policy)
    if retry_after_ms is not None:
        pause = max(pause, min(retry_after_ms, policy.retry_after_cap_ms))
    return Again(after_ms=pause)


def lease_ms(policy: DeliveryPolicy) -> int:
    """How long a claimed effect belongs to its worker: the hard deadline plus the settle wait.

    A worker that dies is thus taken over only when its last request must have landed.
    """
    return policy.timeout_ms + policy.settle_ms


def longest_ms(policy: DeliveryPolicy) -> int:
    """The longest that an effect is ever made to wait: a pause between two tries, or the lease of a slow disk."""
    pause = max(backoff_ms(policy.max_attempts, policy), policy.retry_after_cap_ms)
    return max(pause, lease_ms(policy) + SPARE_MOST_MS)
