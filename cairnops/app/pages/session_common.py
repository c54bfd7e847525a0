"""What the parts of the facilitator's page share: acting as a facilitator, and reading the session."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from cairnops.app import shell
from cairnops.app.views.board import Case, Read
from cairnops.domain import duties
from cairnops.domain.duties import Duty
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import Session
from cairnops.errors import CairnError, PackError
from cairnops.scenarios import practice
from cairnops.scenarios.model import Pack
from cairnops.scenarios.sessions import flag_caps, pack_of


def act(what: Callable[[], Any], *, everything: bool = False) -> None:
    """Do something as a facilitator; what goes wrong is told where the person looks, and the page is drawn again."""
    with shell.guard():
        if refused := duties.refusal(shell.me().role, Duty.FACILITATE):
            raise CairnError(refused, hint=duties.NOT_ALLOWED.way_out)
        what()
        shell.room().changed()
    if everything:
        shell.refresh()
    shell.refresh("page", "overlay")


def running(held: Session) -> bool:
    """Whether the person may act in the session, and it still goes on."""
    return shell.allowed(Duty.FACILITATE) and shell.room().workspace.sessions.state(held.name) == "open"


def caps() -> Flags:
    """What the environment allows."""
    return flag_caps(shell.room().workspace)


def pack(held: Session) -> Pack | None:
    """The pack as the session runs it; None when its text is gone."""
    try:
        return pack_of(shell.room().workspace, held)
    except PackError:
        return None


def cases(held: Session) -> tuple[Case, ...]:
    """The scenarios of the session's pack."""
    known = pack(held)
    return (
        tuple(Case(id=s.id, letter=s.letter or "", title=s.title) for s in known.scenarios) if known else ()
    )


def read(held: Session) -> Read:
    """What the ledger holds of the session."""
    room = shell.room()
    workspace, name = room.workspace, held.name
    return Read(
        seeded=practice.seeded(workspace, name),
        held=workspace.claims.held(round(room.now().timestamp() * 1000)),
        decisions=workspace.ledger.decisions(session=name),
        events=workspace.ledger.events(session=name),
        deliveries=workspace.ledger.deliveries(session=name),
        runs=workspace.sessions.runs(name),
        notes=workspace.sessions.notes(name),
    )


def operators(held: Session) -> list[str]:
    """Whoever practises: the operators; where there are none, everybody who may act."""
    acting = [p for p in held.participants if duties.allowed(p.role, Duty.ACT)]
    return [p.email for p in acting if p.role.rank == 1] or [p.email for p in acting]


def picked() -> tuple[str, str] | None:
    """The seat that was pressed on the board: (scenario, operator)."""
    found: tuple[str, str] | None = st.session_state.get("_seat")
    return found
