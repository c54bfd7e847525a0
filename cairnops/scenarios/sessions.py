"""How a pack becomes a session, and how its probes are measured."""

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime

from cairnops import codec
from cairnops.domain.conversations import Actor
from cairnops.domain.gates import ProbeRecord
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import AgendaPart, Gate, Mode, Session, Task
from cairnops.errors import CairnError, InputError, PackError
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.model import Pack
from cairnops.workspace import Remote, Workspace


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
    workspace: Workspace,
    pack: Pack,
    name: str,
    participants: Sequence[Actor],
    actor: Actor,
    *,
    live: datetime | None = None,
    mode: Mode = "practice",
    flags: Flags | None = None,
) -> tuple[Session, bool]:
    """The session of that name, started from the pack when there is none; the second value says which.

    Without a name it is the pack's own, or the first of `name-2`, `name-3`, … that is free or fits.
    `live` is the moment (UTC) a session that people work in real time begins; without it, scripts are
    played in the session by the pack's own clock. `flags` switch off what the pack would have on.

    Raises:
        CairnError: when a session of that name is closed, or ran another pack, another text of it, or
            under another policy: repeating what was decided then would be no rehearsal of this.
        InputError: for a name no session can have.
    """
    if name:
        check_name(name)
    wanted = _session(workspace, pack, name, participants)
    if live is not None:
        wanted = replace(wanted, live=True, started_at=live)
    wanted = replace(wanted, mode=mode, flags=_both(wanted.flags, flags or Flags(ai_escalations=True)))
    number = 1
    while not name and _unfit(workspace, replace(wanted, name=_numbered(pack.id, number))):
        number += 1
    wanted = replace(wanted, name=name or _numbered(pack.id, number))
    if problem := _unfit(workspace, wanted):
        raise CairnError(f"Session {wanted.name} {problem}.", hint="Choose another --session name.")
    workspace.sessions.keep_pack(
        wanted.pack_digest, pack.id, pack.model_dump_json(by_alias=True, exclude_none=True)
    )
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
    if there.live != wanted.live:
        return "is worked in real time" if there.live else "plays scripts, by its pack's own clock"
    if there.mode != wanted.mode:
        return f"is {'an exam' if there.mode == 'exam' else 'no exam'}"
    return ""


#: Packs that were read, by digest: the same digest is the same text.
_PACKS: dict[str, Pack] = {}


def pack_of(workspace: Workspace, session: Session) -> Pack:
    """The pack exactly as the session runs it, whatever has become of its file since.

    Raises:
        PackError: when its text was not kept and no pack that ships is it.
    """
    known = _PACKS.get(session.pack_digest)
    if known is None:
        kept = workspace.sessions.pack(session.pack_digest)
        known = Pack.model_validate_json(kept) if kept else load_pack(session.pack)
        if codec.digest(known.model_dump_json()) != session.pack_digest:
            raise PackError(
                f"Session {session.name} runs a text of {session.pack} that is gone.",
                hint="Start a new session with the text there is now.",
            )
        _PACKS[session.pack_digest] = known
    return known


def flag_caps(workspace: Workspace) -> Flags:
    """What the environment allows: a switch set to off there is off in every rehearsal."""
    return Flags(
        modal_approvals=workspace.flags.modal_approvals,
        ai_escalations=workspace.flags.ai_escalations
        or not workspace.settings.given("FEATURE_AI_ESCALATIONS"),
    )


def _both(one: Flags, other: Flags) -> Flags:
    return Flags(
        modal_approvals=one.modal_approvals and other.modal_approvals,
        ai_escalations=one.ai_escalations and other.ai_escalations,
    )


def _session(workspace: Workspace, pack: Pack, name: str, participants: Sequence[Actor]) -> Session:
    asked = Flags(modal_approvals=pack.flags.modal_approvals, ai_escalations=pack.flags.ai_escalations)
    return Session(
        name=name,
        pack=pack.id,
        pack_version=pack.version,
        pack_digest=codec.digest(pack.model_dump_json()),
        title=pack.title,
        started_at=pack.starts_at,
        flags=_both(asked, flag_caps(workspace)),
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


def measure(
    workspace: Workspace, session: Session, actor: Actor, now: datetime, *, remote: Remote | None = None
) -> list[ProbeRecord]:
    """Measure every probe the session names and keep the records; `now` (UTC) is when.

    A probe nobody knows how to measure is not recorded, and a gate that needs it stays `unknown`.
    `remote` is the help desk in use, when one is open already.
    """
    probes = {
        "chatwoot": lambda w: _chatwoot(w, remote),
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


def _chatwoot(workspace: Workspace, open_already: Remote | None) -> Measured:
    """Ask the help desk for its open conversations; starting the simulator is not what is measured."""
    with nullcontext(open_already) if open_already else workspace.help_desk() as remote:

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
    return "missing", "nobody is named who may work a case; name somebody with -P", 0.0
