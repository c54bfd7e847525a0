"""A session as its facilitator sees it: people, switches, go or no-go, the agenda's clock, what was noted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from cairnops import codec
from cairnops.app.views import words
from cairnops.domain import sessions
from cairnops.domain.conversations import Actor
from cairnops.domain.gates import GateState, ProbeRecord, parse, probes_of
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import Session, Turn
from cairnops.store.sessions import participant

Row = Mapping[str, Any]

#: What is written down by hand while a session runs, in the words the worksheet keeps it under.
CAPTURES = ("question", "observation", "scribe note")

_FLAGS = (
    ("modal_approvals", "Approvals from the desk", "FEATURE_MODAL_APPROVALS", "The desk is read-only."),
    ("ai_escalations", "AI suggestions", "FEATURE_AI_ESCALATIONS", "Templates only; the desk says AI is unavailable."),
)  # fmt: skip
_GATES = {
    GateState.GO: ("good", "Go"),
    GateState.NO_GO: ("bad", "No-go"),
    GateState.UNKNOWN: ("warn", "Not known"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A session in the list of sessions."""

    name: str
    pack: str
    #: `live`, `open` (a rehearsal by its own clock) or `closed`.
    state: str
    tone: str
    started: str
    people: int
    decisions: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """A switch: whether it is on, and who says so."""

    title: str
    on: bool
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who takes part, with the address that lets them in."""

    name: str
    email: str
    role: str
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A line of the checklist."""

    id: str
    text: str
    #: When it is due, in words (`3 days before`).
    when: str
    done: bool
    #: Who did it and when; empty while nobody has.
    by: str
    late: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """The newest measurement of one thing."""

    name: str
    tone: str
    status: str
    took: str
    detail: str
    #: When; empty when it was never measured.
    at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """A go/no-go condition, why it says so, and the probes it looks at."""

    title: str
    tone: str
    verdict: str
    reasons: tuple[str, ...]
    require: str
    probes: tuple[Probe, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gates:
    """All of them, and what they come to together."""

    tone: str
    headline: str
    gates: tuple[Gate, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of the agenda."""

    title: str
    minutes: int
    #: `done`, `now` or `next`.
    standing: str
    scenarios: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Agenda:
    """The agenda and the clock on it."""

    parts: tuple[Part, ...]
    #: None before the first part.
    index: int | None
    over: bool
    #: When the part ends if it takes what it may (epoch ms); None when none is running.
    ends_ms: int | None
    headline: str
    #: Whether the plan still holds, in words; empty when none is running.
    pace: str
    tone: str
    #: The part one step on and one step back; None when there is none.
    following: int | None
    before: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A row of the worksheet that was written by hand."""

    at: datetime
    kind: str
    text: str
    who: str
    scenario: str
    owner: str
    due: str
    open: bool


def listed(rows: Sequence[Row], live: Mapping[str, bool]) -> tuple[Listed, ...]:
    """The sessions, those still open first, then the newest first; `live` says which run by the real clock."""
    made = []
    for row in rows:
        closed = row["state"] == "closed"
        running = live.get(row["name"], False)
        state, tone = ("closed", "plain") if closed else ("live", "good") if running else ("open", "info")
        made.append(
            Listed(
                name=row["name"],
                pack=row["pack"],
                state=state,
                tone=tone,
                started=words.day(codec.moment(row["startedAt"])),
                people=len(row["participants"]),
                decisions=row["decisions"],
            )
        )
    started = {row["name"]: row["startedAt"] for row in rows}
    newest = sorted(made, key=lambda s: started[s.name], reverse=True)
    return tuple(sorted(newest, key=lambda s: s.state == "closed"))


def people(text: str) -> tuple[Actor, ...]:
    """Participants as they are typed: `email` or `email:role`, one a line or with commas between; each once.

    Raises:
        CairnError: naming the first that is none.
    """
    found: dict[str, Actor] = {}
    for part in text.replace(",", "\n").replace(";", "\n").split("\n"):
        if part.strip():
            actor = participant(part.strip().replace(" ", ""))
            found.setdefault(actor.email, actor)
    return tuple(found.values())


def flags(held: Session, caps: Flags, pack: Flags | None) -> tuple[Flag, ...]:
    """What is switched on, and who says so: the environment comes first, then the pack, then this session.

    `pack` is None when the pack is not at hand.
    """
    made = []
    for field, title, variable, off in _FLAGS:
        on = getattr(held.flags, field) and getattr(caps, field)
        if on:
            why = "On for this session."
        elif not getattr(caps, field):
            why = f"{off} Switched off by {variable} in the environment."
        elif pack is not None and not getattr(pack, field):
            why = f"{off} Switched off by the pack."
        else:
            why = f"{off} Switched off for this session."
        made.append(Flag(title=title, on=on, why=why))
    return tuple(made)


def persons(held: Session, base: str, *, practice: bool) -> tuple[Person, ...]:
    """Who takes part; `base` is where browsers find the desk. Without practice identities, people sign in."""
    return tuple(
        Person(
            name=words.person(p.email),
            email=p.email,
            role=p.role.value,
            link=link(base, held.name, p, practice),
        )
        for p in held.participants
    )


def link(base: str, session: str, actor: Actor, practice: bool) -> str:
    """The address that opens this session for somebody."""
    who = {"as": f"{actor.email}:{actor.role.value}"} if practice else {}
    return f"{base.rstrip('/')}/?{urlencode(who | {'session': session}, safe='@:')}"


def tasks(held: Session, ticked: Mapping[str, Mapping[str, str]], now: datetime) -> tuple[Task, ...]:
    """The checklist in the order of its times; only a live session's own clock can make a task late."""
    made = []
    for task in sorted(held.checklist, key=lambda t: t.when_s):
        done = ticked.get(task.id)
        due = held.started_at + timedelta(seconds=task.when_s)
        by = f"{words.person(done['by'])}, {words.day(codec.moment(done['at']))}" if done else ""
        made.append(
            Task(
                id=task.id,
                text=task.text,
                when=_when(task.when_s),
                done=done is not None,
                by=by,
                late=held.live and done is None and task.when_s >= 0 and due < now,
            )
        )
    return tuple(made)


def _when(seconds: int) -> str:
    if seconds == 0:
        return "at the start"
    side = "before" if seconds < 0 else "after"
    days, rest = divmod(abs(seconds), 86400)
    if days and not rest:
        return f"{words.count(days, 'day')} {side}"
    hours, rest = divmod(abs(seconds), 3600)
    if hours and not rest:
        return f"{words.count(hours, 'hour')} {side}"
    return f"{words.span(abs(seconds))} {side}"


def gates(held: Session, records: Sequence[ProbeRecord], now: datetime) -> Gates:
    """Go or no-go at `now`, each gate with the newest measurement of every probe it looks at."""
    board = sessions.board(held, records, now)
    newest: dict[str, ProbeRecord] = {}
    for record in records:
        if record.name not in newest or record.at >= newest[record.name].at:
            newest[record.name] = record
    made = []
    for gate, result in board.results:
        tone, verdict = _GATES[result.state]
        names = probes_of(parse(gate.require, held.probes))
        made.append(
            Gate(
                title=gate.title,
                tone=tone,
                verdict=verdict,
                reasons=result.reasons,
                require=gate.require,
                probes=tuple(_probe(name, newest.get(name), now) for name in names),
            )
        )
    tone, _ = _GATES[board.state]
    against = sum(gate.tone != "good" for gate in made)
    headline = {
        GateState.GO: "Go: every gate is met" if made else "Go: this pack sets no gates",
        GateState.NO_GO: f"No-go: {words.count(against, 'gate')} of {len(made)} not met",
        GateState.UNKNOWN: "Not known: a probe was not measured",
    }[board.state]
    return Gates(tone=tone, headline=headline, gates=tuple(made))


def _probe(name: str, record: ProbeRecord | None, now: datetime) -> Probe:
    if record is None:
        return Probe(name=name, tone="warn", status="not measured", took="", detail="", at="")
    return Probe(
        name=name,
        tone="good" if record.status == "ok" else "bad",
        status=record.status,
        took="" if record.latency_ms is None else f"{record.latency_ms} ms",
        detail=record.detail,
        at=words.day(record.at) if record.at.date() != now.date() else words.clock(record.at),
    )


def agenda(held: Session, turns: Sequence[Turn], now: datetime, letters: Mapping[str, str]) -> Agenda:
    """Where the room is; `letters` are the names of scenarios in the room."""
    run = sessions.running(held.agenda, turns, now)
    at = -1 if run.part is None else run.part
    parts = tuple(
        Part(
            title=part.title,
            minutes=part.minutes,
            standing="done" if place < at else "now" if place == at else "next",
            scenarios=tuple(letters.get(s, s) for s in part.scenarios),
        )
        for place, part in enumerate(held.agenda)
    )
    ends, headline, pace, tone = None, "", "", ""
    if run.part is None:
        headline = f"Not begun: {words.span(60 * sum(p.minutes for p in parts))} planned"
    elif run.over:
        headline = "The agenda is through"
    else:
        ends = round((now + timedelta(seconds=run.left_s)).timestamp() * 1000)
        headline = parts[at].title
        tone, pace = _pace(run)
    return Agenda(
        parts=parts,
        index=run.part,
        over=run.over,
        ends_ms=ends,
        headline=headline,
        pace=pace,
        tone=tone,
        following=None if run.over or not parts else at + 1,
        before=at - 1 if at > 0 else None,
    )


def _pace(run: sessions.Running) -> tuple[str, str]:
    """A minute either way is on time."""
    if run.behind_s >= 60:
        return "warn", f"{words.span(run.behind_s)} behind the plan"
    if run.behind_s <= -60:
        return "good", f"{words.span(-run.behind_s)} ahead of the plan"
    return "good", "on time"


def notes(rows: Sequence[Row], letters: Mapping[str, str], now: datetime) -> tuple[Note, ...]:
    """What was written down by hand, newest first; a question stays open until it has an owner."""
    made = []
    for row in rows:
        due = codec.moment(row["due"]) if row["due"] else None
        made.append(
            Note(
                at=codec.moment(row["at"]),
                kind=row["outcome"],
                text=row["note"],
                who=row["participant"],
                scenario=letters.get(row["scenario"], row["scenario"]),
                owner=row["owner"],
                due=f"{words.day(due)}{', overdue' if due < now else ''}" if due else "",
                open=row["outcome"] == "question" and not row["owner"],
            )
        )
    return tuple(reversed(made))
