"""How a pack becomes a session, and how its probes are measured."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cairnops import codec
from cairnops.domain.conversations import Actor
from cairnops.domain.gates import ProbeRecord
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import AgendaPart, Gate, Session, Task
from cairnops.errors import CairnError, InputError
from cairnops.scenarios.model import Pack
from cairnops.workspace import Workspace


def check_name(name: str) -> str:
    """The name, when it can name a session: its artifacts get a folder of that name.

    Raises:
        InputError: when it cannot.
    """
    if not re.fullmatch(r"[^\W_][\w.+@ -]{0,63}", name) or name.endswith((" ", ".")):
        raise InputError(
            f"{name!r} cannot name a session.",
            hint="Use up to 64 letters, digits, blanks and . _ + @ -, a letter or digit first.",
        )
    return name


def begin(
    workspace: Workspace, pack: Pack, name: str, participants: Sequence[Actor], actor: Actor
) -> tuple[Session, bool]:
    """The session of that name, started from the pack when there is none; the second value says which.

    Without a name it is the pack's own, or the first of `name-2`, `name-3`, … that is free or fits.

    Raises:
        CairnError: when a session of that name is closed, or ran another pack, another text of it, or
            under another policy: repeating what was decided then would be no rehearsal of this.
        InputError: for a name no session can have.
    """
    if name:
        check_name(name)
    wanted = _session(workspace, pack, name, participants)
    number = 1
    while not name and _unfit(workspace, replace(wanted, name=_numbered(pack.id, number))):
        number += 1
    wanted = replace(wanted, name=name or _numbered(pack.id, number))
    if problem := _unfit(workspace, wanted):
        raise CairnError(f"Session {wanted.name} {problem}.", hint="Choose another --session name.")
    fresh = workspace.sessions.start(wanted, actor)
    for participant in participants:
        workspace.sessions.join(wanted.name, participant, wanted.started_at)
    return workspace.sessions.get(wanted.name), fresh


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _unfit(workspace: Workspace, wanted: Session) -> str:
    """Why the session of that name cannot go on as the one wanted; empty when it can, or there is none."""
    state = workspace.sessions.state(wanted.name)
    if not state:
        return ""
    if state == "closed":
        return "is closed"
    there = workspace.sessions.get(wanted.name)
    if there.pack != wanted.pack:
        return f"runs the pack {there.pack}, not {wanted.pack}"
    if there.pack_digest != wanted.pack_digest:
        return f"was started with another text of {wanted.pack}"
    if there.policy_hash != wanted.policy_hash:
        return "was started under another policy"
    if there.flags != wanted.flags:
        return "was started with other flags"
    return ""


def flag_caps(workspace: Workspace) -> Flags:
    """What the environment allows: a switch set to off there is off in every rehearsal."""
    return Flags(
        modal_approvals=workspace.flags.modal_approvals,
        ai_escalations=workspace.flags.ai_escalations
        or not workspace.settings.given("FEATURE_AI_ESCALATIONS"),
    )


def _session(workspace: Workspace, pack: Pack, name: str, participants: Sequence[Actor]) -> Session:
    caps = flag_caps(workspace)
    return Session(
        name=name,
        pack=pack.id,
        pack_version=pack.version,
        pack_digest=codec.digest(pack.model_dump_json()),
        title=pack.title,
        started_at=pack.starts_at,
        flags=Flags(
            modal_approvals=pack.flags.modal_approvals and caps.modal_approvals,
            ai_escalations=pack.flags.ai_escalations and caps.ai_escalations,
        ),
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
            status, detail, spent = probes[name](workspace)
        except (CairnError, OSError) as error:
            status, detail, spent = "failed", str(error), time.perf_counter() - begun
        record = ProbeRecord(
            name=name,
            status=status,
            at=now,
            kind="measured",
            latency_ms=round(spent * 1000),
            detail=detail,
        )
        workspace.sessions.probed(session.name, record, actor)
        records.append(record)
    return records


#: The probe's word, what it saw, and the seconds the thing it looks at took.
Measured = tuple[str, str, float]


def _chatwoot(workspace: Workspace) -> Measured:
    """Ask the help desk for its open conversations; starting the simulator is not what is measured."""
    with workspace.help_desk() as remote:

        async def ask() -> tuple[int, float]:
            async with workspace.client(remote) as client:
                await client.whoami()
                begun = time.perf_counter()
                count = len(await client.escalated())
                return count, time.perf_counter() - begun

        count, spent = asyncio.run(ask())
    where = "simulator" if remote.simulated else remote.base_url
    return "ok", f"{where} answers, {count} open or pending conversations", spent


def _ledger(workspace: Workspace) -> Measured:
    begun = time.perf_counter()
    counts = workspace.ledger.counts()
    detail = f"{counts['decisions']} decisions, {counts['undelivered']} undelivered"
    return "ok", detail, time.perf_counter() - begun


def _exports(workspace: Workspace) -> Measured:
    begun = time.perf_counter()
    probe = workspace.artifacts / ".probe"
    probe.write_text("probe", encoding="utf-8")
    probe.unlink()
    return "ok", f"{workspace.artifacts.name}/ can be written", time.perf_counter() - begun


def _operators(workspace: Workspace, session: Session) -> Measured:
    acting = [p.email for p in workspace.sessions.get(session.name).participants if p.role.rank > 0]
    if acting:
        return "ok", ", ".join(acting), 0.0
    return "missing", "nobody has joined as an operator", 0.0
