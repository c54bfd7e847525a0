"""A training session: who takes part, what was switched on, what it runs, and whether it may go ahead."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cairnops.domain import gates
from cairnops.domain.conversations import Actor
from cairnops.domain.gates import GateResult, GateState, ProbeRecord
from cairnops.domain.requests import Flags

#: In an exam nobody is told what a guardrail is about, nor what good looks like, before the case is finished.
Mode = Literal["practice", "exam"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgendaPart:
    """One part of the agenda."""

    title: str
    minutes: int
    scenarios: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One line of the checklist; `when` counts from the start in seconds, negative before it."""

    id: str
    text: str
    when_s: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """A go/no-go condition over probes."""

    id: str
    title: str
    require: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A session as it was started. What happens in it is in the ledger under its name."""

    name: str
    pack: str
    pack_version: str
    #: SHA-256 of the pack as it was; a session never goes on with another text.
    pack_digest: str
    title: str
    #: When it begins by its own clock (UTC); a rehearsed session may be dated in the past.
    started_at: datetime
    flags: Flags
    policy_profile: str
    policy_hash: str
    participants: tuple[Actor, ...] = ()
    #: Who facilitates, takes notes, watches.
    roles: dict[str, str]
    agenda: tuple[AgendaPart, ...] = ()
    checklist: tuple[Task, ...] = ()
    probes: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    mode: Mode = "practice"
    #: People work it in real time, and `started_at` is when it really began; else scripts are played.
    live: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class GateBoard:
    """Every gate with what it came to; the session goes ahead only when each says go."""

    results: tuple[tuple[Gate, GateResult], ...]

    @property
    def state(self) -> GateState:
        """`no_go` if any gate says so, else `unknown` if any is, else `go`."""
        states = [result.state for _, result in self.results]
        for grave in (GateState.NO_GO, GateState.UNKNOWN):
            if grave in states:
                return grave
        return GateState.GO


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """The room went to a part of the agenda: its place, from 0; the number of parts stands for the end."""

    part: int
    at: datetime
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """Where a room is on its agenda."""

    #: None before the first part.
    part: int | None
    #: When it went there; None before the first part.
    since: datetime | None = None
    #: Seconds left of the part, negative when it takes too long; 0 before the first and after the last.
    left_s: int = 0
    #: Seconds by which this part will end later than planned, negative when earlier, if it takes what it may.
    behind_s: int = 0
    over: bool = False


def running(agenda: Sequence[AgendaPart], turns: Sequence[Turn], now: datetime) -> Running:
    """Where the room is at `now` (UTC), by the turns it took, oldest first.

    The plan counts from the first turn and the part it went to; going back does not give time back.
    """
    if not turns:
        return Running(part=None)
    last = turns[-1]
    if last.part >= len(agenda):
        return Running(part=last.part, since=last.at, over=True)
    first = turns[0]
    planned = first.at + sum(
        (timedelta(minutes=part.minutes) for part in agenda[min(first.part, last.part) : last.part + 1]),
        timedelta(0),
    )
    due = last.at + timedelta(minutes=agenda[last.part].minutes)
    return Running(
        part=last.part,
        since=last.at,
        left_s=int((due - now).total_seconds()),
        behind_s=int((max(due, now) - planned).total_seconds()),
    )


def board(session: Session, records: Iterable[ProbeRecord], now: datetime) -> GateBoard:
    """Judge the session's gates by the newest record of each probe."""
    newest: dict[str, ProbeRecord] = {}
    for record in records:
        if record.name not in newest or record.at >= newest[record.name].at:
            newest[record.name] = record
    return GateBoard(
        results=tuple(
            (gate, gates.evaluate(gates.parse(gate.require, session.probes), newest, now))
            for gate in session.gates
        )
    )
