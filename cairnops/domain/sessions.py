"""A training session: who takes part, what was switched on, what it runs, and whether it may go ahead."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cairnops.domain import gates
from cairnops.domain.conversations import Actor
from cairnops.domain.gates import GateResult, GateState, ProbeRecord
from cairnops.domain.requests import Flags


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
