"""When a help desk counts as down, who asks whether it is back, and what else is asked of it meanwhile: nothing.

A run of tries without any answer is no proof: one more question, which changes nothing, decides. While it is
down one question an interval is all that is asked, by whichever worker comes first, and no effect uses up its
tries. It is back with the first answer.

One that answers every question and takes nothing is down as well, once tries for more than one effect have failed in
a row. Then an answer says little: one effect an interval is tried, and it is back when one was taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cairnops.domain import clocks
from cairnops.domain.delivery import Answer, Failure, Result, lease_ms
from cairnops.domain.policy import DeliveryPolicy

#: So begins the error of a help desk that answers and takes nothing; behind it stands what the try came to.
DEAF = "write "


@dataclass(frozen=True, kw_only=True, slots=True)
class Outage:
    """The last time a help desk was down; every worker goes by the same one."""

    since: datetime
    #: What the question whether it is there came to last: `ECONNREFUSED`, `HTTP_503`, …
    error: str
    #: When somebody may ask again, epoch milliseconds.
    ask_ms: int
    #: None while it lasts.
    ended: datetime | None = None

    @property
    def deaf(self) -> bool:
        """Whether it answers, and takes nothing."""
        return self.error.startswith(DEAF)


class Line(StrEnum):
    """What may be asked of a help desk."""

    #: Everything.
    OPEN = "open"
    #: Nothing before it is asked again.
    DOWN = "down"
    #: Whether it is there, by one worker.
    ASK = "ask"


def line(outage: Outage | None, now_ms: int, policy: DeliveryPolicy) -> Line:
    """How the line to a help desk stands. Nobody waits for a moment that only a wrong clock can have named."""
    if outage is None or outage.ended is not None:
        return Line.OPEN
    meant = outage.ask_ms <= clocks.latest_ms(now_ms, turn_ms(policy))
    return Line.DOWN if now_ms < outage.ask_ms and meant else Line.ASK


def turn_ms(policy: DeliveryPolicy) -> int:
    """How long nobody else asks after one has begun to."""
    return policy.timeout_ms + policy.ask_again_ms


def silent(result: Result) -> bool:
    """Whether a try says that nobody was there.

    A refusal is an answer, and so is being told to ask less often (429). An answer nobody can read is none.
    """
    if result.answer in (Answer.OK, Answer.REJECT) or result.error_code == Failure.MALFORMED.value:
        return False
    code = result.error_code
    return not code.startswith("HTTP_") or code.startswith("HTTP_5")


def to_be_asked(run: int, policy: DeliveryPolicy, *, last: bool) -> bool:
    """Whether, after so many silent tries in a row, the help desk is asked if it is there at all.

    `last`: the effect in hand would end with this try, and nothing ends because a help desk was down.
    """
    return last or run >= policy.outage_after


def takes_nothing(failed: Sequence[str], policy: DeliveryPolicy) -> bool:
    """Whether the help desk takes nothing, after silent tries for these effects and no other between them.

    Those for a single effect say nothing: it may be what the help desk chokes on.
    """
    return len(failed) >= policy.outage_after and len(set(failed)) > 1


def in_vain(outage: Outage | None, tried: datetime | None, policy: DeliveryPolicy) -> bool:
    """Whether a try fell into the time when the help desk was down, and so was none of those an effect has."""
    if outage is None or tried is None:
        return False
    # The last tries before it began are how it was noticed.
    noticed = timedelta(milliseconds=lease_ms(policy))
    return outage.since - noticed <= tried and (outage.ended is None or tried < outage.ended)


def begun(error: str, at: datetime, now_ms: int, policy: DeliveryPolicy) -> Outage:
    """It did not answer: it is down from now on."""
    return Outage(since=at, error=error, ask_ms=now_ms + policy.ask_again_ms)


def lasting(outage: Outage, error: str, now_ms: int, policy: DeliveryPolicy) -> Outage:
    """It was asked and is still down; one that took nothing is back only when it does."""
    if outage.deaf and error:
        error = DEAF + error.removeprefix(DEAF)
    return replace(outage, error=error or outage.error, ask_ms=now_ms + policy.ask_again_ms)


def over(outage: Outage, at: datetime) -> Outage:
    """It answered: it is back."""
    return replace(outage, ended=at)


def why(outage: Outage | None) -> str:
    """Why nothing is sent, in a few words; empty when it is."""
    if outage is None or outage.ended is not None:
        return ""
    said = outage.error.removeprefix(DEAF)
    does = "has taken nothing" if outage.deaf else "has not answered"
    return f"the help desk {does} since {outage.since:%H:%M} UTC{f' ({said})' if said else ''}"
