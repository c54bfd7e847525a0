"""How a pack becomes a session, and how its probes are measured."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from cairnops import codec
from cairnops.domain.conversations import Actor
from cairnops.domain.gates import ProbeRecord
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import AgendaPart, Gate, Session, Task
from cairnops.errors import CairnError
from cairnops.scenarios.model import Pack
from cairnops.workspace import Workspace


def begin(
    workspace: Workspace, pack: Pack, name: str, participants: Sequence[Actor], actor: Actor
) -> tuple[Session, bool]:
    """The session of that name, started from the pack when there is none; the second value says which.

    Raises:
        CairnError: when a session of that name runs another pack, or is closed.
    """
    wanted = Session(
        name=name,
        pack=pack.id,
        pack_version=pack.version,
        title=pack.title,
        started_at=pack.starts_at,
        flags=Flags(modal_approvals=pack.flags.modal_approvals, ai_escalations=pack.flags.ai_escalations),
        policy_profile=workspace.policy.profile,
        policy_hash=codec.policy_hash(workspace.policy),
        participants=tuple(participants),
        roles=dict(pack.roles),
        agenda=tuple(
            AgendaPart(title=part.title, minutes=part.minutes, scenarios=part.scenarios)
            for part in pack.agenda
        ),
        checklist=tuple(
            Task(id=task.id, text=task.text, when_s=int(task.when.total_seconds())) for task in pack.checklist
        ),
        probes=pack.probes,
        gates=tuple(Gate(id=gate.id, title=gate.title, require=gate.require) for gate in pack.gates),
    )
    fresh = workspace.sessions.start(wanted, actor)
    session = workspace.sessions.get(name)
    if session.pack != pack.id:
        raise CairnError(
            f"Session {name} runs the pack {session.pack}, not {pack.id}.",
            hint="Choose another --session name.",
        )
    if workspace.sessions.state(name) == "closed":
        raise CairnError(f"Session {name} is closed.", hint="Choose another --session name.")
    for participant in participants:
        workspace.sessions.join(name, participant, session.started_at)
    return workspace.sessions.get(name), fresh


def measure(workspace: Workspace, session: Session, actor: Actor, now: datetime) -> list[ProbeRecord]:
    """Measure every probe the session names and keep the records; `now` (UTC) is when.

    A probe nobody knows how to measure is not recorded, and a gate that needs it stays `unknown`.
    """
    probes = {
        "chatwoot": _chatwoot,
        "ledger": _ledger,
        "exports": _exports,
        "operators": lambda w: _operators(w, session),
    }
    records = []
    for name in session.probes:
        if name not in probes:
            continue
        begun = time.perf_counter()
        try:
            status, detail = probes[name](workspace)
        except (CairnError, OSError) as error:
            status, detail = "failed", str(error)
        record = ProbeRecord(
            name=name,
            status=status,
            at=now,
            kind="measured",
            latency_ms=round((time.perf_counter() - begun) * 1000),
            detail=detail,
        )
        workspace.sessions.probed(session.name, record, actor)
        records.append(record)
    return records


def _chatwoot(workspace: Workspace) -> tuple[str, str]:
    """Ask the help desk for its escalated conversations; starting the simulator is not what is measured."""
    with workspace.help_desk() as remote:

        async def ask() -> int:
            async with workspace.client(remote) as client:
                return len(await client.escalated())

        count = asyncio.run(ask())
    where = "simulator" if remote.simulated else remote.base_url
    return "ok", f"{where} answers, {count} open or pending conversations"


def _ledger(workspace: Workspace) -> tuple[str, str]:
    counts = workspace.ledger.counts()
    return "ok", f"{counts['decisions']} decisions, {counts['undelivered']} undelivered"


def _exports(workspace: Workspace) -> tuple[str, str]:
    probe = workspace.artifacts / ".probe"
    probe.write_text("probe", encoding="utf-8")
    probe.unlink()
    return "ok", f"{workspace.artifacts.name}/ can be written"


def _operators(workspace: Workspace, session: Session) -> tuple[str, str]:
    acting = [p.email for p in workspace.sessions.get(session.name).participants if p.role.rank > 0]
    return ("ok", ", ".join(acting)) if acting else ("missing", "nobody has joined as an operator")
