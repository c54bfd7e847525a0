"""The live board: how far each operator is with each scenario, and what landed in the room, newest first."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cairnops import codec
from cairnops.app.views import words
from cairnops.domain import catalogue
from cairnops.domain.requests import DECISION_NAMES, Action, Held
from cairnops.scenarios.practice import Seeded

Row = Mapping[str, Any]

_OPENED = ("suggestion.shown", "suggestion.withheld")
_ACTIONS = {name: action for action, name in DECISION_NAMES.items()}
#: What the log says was done, as a person says it.
_DID = {
    Action.APPROVE_SEND: "Approved",
    Action.ESCALATE: "Escalated",
    Action.MARK_RESOLVED: "Marked resolved",
}
_TRIED = {
    Action.APPROVE_SEND.value: "approve and send",
    Action.ESCALATE.value: "escalate",
    Action.MARK_RESOLVED.value: "mark as resolved",
    Action.CANCEL.value: "cancel",
    Action.NOTE.value: "add a note",
    Action.FOLLOW_UP.value: "set a follow-up",
}


class Progress(StrEnum):
    """How far one operator is with one scenario."""

    NOT_SEEDED = "not seeded"
    SEEDED = "seeded"
    OPENED = "opened"
    DECIDED = "decided"
    DELIVERED = "delivered"
    FAILED = "not delivered"
    DEBRIEFED = "debriefed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A scenario as the board heads a column with it."""

    id: str
    letter: str
    title: str

    @property
    def short(self) -> str:
        """What people call it in the room: its letter, else its id."""
        return self.letter or self.id


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """One operator at one scenario; `operator` is empty for the copy everybody shares."""

    scenario: str
    operator: str
    progress: Progress
    #: One of the tones the components know: empty, `muted`, `info`, `warn`, `bad`, `ok`.
    tone: str
    #: The state in words, and what there is to say about it.
    headline: str
    lines: tuple[str, ...] = ()
    conversation: str = ""
    #: Whoever has the case open now, and since when; empty and None when nobody does.
    holder: str = ""
    since: datetime | None = None
    #: The newest decision's number; 0 when nothing was decided.
    decision: int = 0
    refused: int = 0
    points: int | None = None
    passed: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Landed:
    """One line of the feed."""

    at: datetime
    who: str
    #: `decision`, `refusal`, `guardrail`, `delivery`, `capture`, `room`: what the feed can be narrowed to.
    kind: str
    tone: str
    text: str
    #: What was said or given as a reason, word for word; customer text may be in it.
    detail: str = ""
    #: Rule codes the line is about.
    codes: tuple[str, ...] = ()
    #: The scenario's letter or id; empty when it is about none.
    case: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """Everything the facilitator sees of a running session."""

    cases: tuple[Case, ...]
    #: By operator in the order given, the shared copy last; each row has a seat for each case.
    rows: tuple[tuple[str, tuple[Seat, ...]], ...]
    #: (label, figure, hint, tone)
    tiles: tuple[tuple[str, str, str, str], ...]
    feed: tuple[Landed, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """What the ledger holds of a session, read by the page in one go."""

    seeded: Sequence[Seeded] = ()
    held: Sequence[Held] = ()
    decisions: Sequence[Row] = ()
    events: Sequence[Row] = ()
    deliveries: Sequence[Row] = ()
    runs: Sequence[Row] = ()
    notes: Sequence[Row] = ()


def board(cases: Sequence[Case], operators: Sequence[str], read: Read) -> Board:
    """The board of a session.

    Operators who were seeded something and are no longer expected keep their row: work does not vanish.
    """
    seen = dict.fromkeys(operators)
    seen.update(dict.fromkeys(s.operator for s in read.seeded if s.operator))
    if any(not s.operator for s in read.seeded):
        seen[""] = None
    by_seat = {(s.scenario, s.operator): s for s in read.seeded}
    rows = tuple(
        (who, tuple(_seat(case, who, by_seat.get((case.id, who)), read) for case in cases)) for who in seen
    )
    feed = tuple(reversed(tuple(_feed(cases, read))))
    return Board(cases=tuple(cases), rows=rows, tiles=tuple(_tiles(read, rows)), feed=feed)


def undebriefed(read: Read) -> tuple[tuple[Seeded, bool], ...]:
    """Cases without a result, each with whether anybody opened it."""
    done = {run["conversation"] for run in read.runs}
    opened = {e["conversation_id"] for e in read.events if e["kind"] in _OPENED}
    return tuple((s, s.conversation in opened) for s in read.seeded if s.conversation not in done)


def _seat(case: Case, operator: str, seeded: Seeded | None, read: Read) -> Seat:
    if seeded is None:
        return Seat(
            scenario=case.id,
            operator=operator,
            progress=Progress.NOT_SEEDED,
            tone="plain",
            headline="—",
        )
    ref = f"chatwoot:{seeded.conversation}"
    events = [e for e in read.events if e["conversation_id"] == seeded.conversation]
    decided = [d for d in read.decisions if d["scope"] == "ops" and d["conversation"] == ref]
    refused = sum(e["kind"] == "action.refused" for e in events)
    held = next((h for h in read.held if h.conversation == seeded.conversation), None)
    run = next((r for r in reversed(read.runs) if r["conversation"] == seeded.conversation), None)
    sent = [e for e in read.deliveries if e["conversation"] == seeded.conversation]
    looked = any(e["kind"] in _OPENED for e in events)
    lines = list(_lines(operator, decided, sent))
    if refused:
        lines.append(f"refused {words.times(refused)}")
    if held is not None:
        who = "" if held.actor.email == operator else f"{words.person(held.actor.email)} "
        lines.append(f"{who}in it since {words.clock(held.since)}")
    points = run["score"]["points"] if run else None
    progress, tone, headline = _progress(run, decided, sent, looked=looked, held=held is not None)
    return Seat(
        scenario=case.id,
        operator=operator,
        progress=progress,
        tone=tone,
        headline=headline,
        lines=tuple(lines),
        conversation=seeded.conversation,
        holder=held.actor.email if held else "",
        since=held.since if held else None,
        decision=decided[-1]["decisionId"] if decided else 0,
        refused=refused,
        points=points,
        passed=run["passed"] if run else None,
    )


def _progress(
    run: Row | None, decided: Sequence[Row], sent: Sequence[Row], *, looked: bool, held: bool
) -> tuple[Progress, str, str]:
    if run is not None:
        points = run["score"]["points"]
        said = "Debriefed" if points is None else f"Debriefed, {points} points"
        return Progress.DEBRIEFED, "good" if run["passed"] else "warn", said
    if decided:
        finals = [e["final"] for e in sent]
        if any(final and final["status"] != "SUCCESS" for final in finals):
            return Progress.FAILED, "bad", "Not delivered"
        if finals and all(finals):
            return Progress.DELIVERED, "good", "Delivered"
        return Progress.DECIDED, "info", "Decided" if not finals else "Decided, being sent"
    if held:
        return Progress.OPENED, "info", "Working on it"
    if looked:
        return Progress.OPENED, "warn", "Opened, nothing decided"
    return Progress.SEEDED, "plain", "Seeded"


def _lines(operator: str, decided: Sequence[Row], sent: Sequence[Row]) -> Iterable[str]:
    if not decided:
        return
    last = decided[-1]
    edited = ", edited" if last["edited"] else ""
    by = "" if last["actor"]["email"] == operator else f" by {words.person(last['actor']['email'])}"
    yield f"#{last['decisionId']} {did(last['action']).lower()}{edited}{by}"
    for effect in sent:
        final = effect["final"]
        if final and (final["status"] != "SUCCESS" or final["attempt"] > 1):
            ended = words.DELIVERY.get(final["status"], final["status"])
            yield f"{effect['kind']}: {ended} at attempt {final['attempt']}"


def did(action: str) -> str:
    """A decision's action as a person says it (`chatwoot.escalate` is `Escalated`)."""
    known = _ACTIONS.get(action)
    return _DID[known] if known else action


def _tiles(read: Read, rows: Sequence[tuple[str, Sequence[Seat]]]) -> Iterable[tuple[str, str, str, str]]:
    ops = [d for d in read.decisions if d["scope"] == "ops"]
    edited = sum(bool(d["edited"]) for d in ops)
    refused = Counter(e["code"] for e in read.events if e["kind"] == "action.refused")
    hit = {(e["conversation_id"], v["code"]) for e in read.events for v in e["body"].get("verdicts", ())}
    overrides = sum(_overrode(e) for e in read.events)
    failed = sum(bool(e["final"]) and e["final"]["status"] != "SUCCESS" for e in read.deliveries)
    waiting = sum(e["final"] is None for e in read.deliveries)
    seats = [seat for _, row in rows for seat in row if seat.progress is not Progress.NOT_SEEDED]
    done = sum(seat.decision > 0 for seat in seats)
    questions = [n for n in read.notes if n["outcome"] == "question"]
    yield (
        "Cases decided",
        f"{done} of {len(seats)}",
        f"{words.count(len(ops), 'decision')}, {edited} edited",
        "",
    )
    yield "Refused", str(sum(refused.values())), _most(refused), "warn" if refused else ""
    yield "Guardrails hit", str(len(hit)), _most(Counter(code for _, code in hit)), ""
    yield "Overrides", str(overrides), "against a block, with a reason", "warn" if overrides else ""
    yield (
        "Not delivered",
        str(failed),
        f"{waiting} on the way" if waiting else "nothing on the way",
        "bad" if failed else "",
    )
    yield "Questions", str(len(questions)), f"{sum(not n['owner'] for n in questions)} without an owner", ""


def _overrode(event: Row) -> bool:
    return event["kind"] == "action.applied" and bool(event["body"].get("override"))


def _most(counted: Counter[str]) -> str:
    if not counted:
        return "none so far"
    code, times = max(counted.items(), key=lambda item: (item[1], item[0]))
    return f"{title(code)}, {words.times(times)}"


def _feed(cases: Sequence[Case], read: Read) -> Iterable[Landed]:
    names = {case.id: case.short for case in cases}
    where = {s.conversation: names.get(s.scenario, s.scenario) for s in read.seeded}
    edited = {d["decisionId"]: d["edited"] for d in read.decisions}
    for event in read.events:
        line = _line(event, edited, names)
        if line is None:
            continue
        kind, tone, text, detail, codes = line
        yield Landed(
            at=codec.moment(event["at"]),
            who=event["actor"],
            kind=kind,
            tone=tone,
            text=text,
            detail=detail,
            codes=codes,
            case=where.get(event["conversation_id"], "") or names.get(event["body"].get("scenario", ""), ""),
        )


_Line = tuple[str, str, str, str, tuple[str, ...]]


def _line(event: Row, edited: Mapping[int, bool], names: Mapping[str, str]) -> _Line | None:
    """(kind, tone, text, detail, rule codes); None for what nobody in the room needs to hear."""
    body: dict[str, Any] = event["body"]
    blocks = tuple(v["code"] for v in body.get("verdicts", ()) if v["severity"] != "info")
    match event["kind"]:
        case "action.applied":
            number = int(body["number"])
            changed = " with edits" if edited.get(number) else ""
            text = f"{_DID[Action(body['action'])]}{changed}, decision {number}"
            if override := body.get("override"):
                return "decision", "warn", f"{text}, against a block", f"Reason: {override}", blocks
            return "decision", "good", text, body.get("reason", "").replace("_", " "), blocks
        case "action.refused":
            tried = _TRIED.get(body["action"], body["action"])
            return (
                "refusal",
                "bad",
                f"Refused to {tried}: {title(event['code'])}",
                body.get("sentence", ""),
                (event["code"],),
            )
        case "action.cancelled":
            return "decision", "plain", "Closed the case without a decision", "", ()
        case "note.added":
            return "decision", "plain", "Added an internal note", body.get("note", ""), ()
        case "follow_up.set":
            promise = body.get("followUp", {})
            return "decision", "plain", f"Follow-up: {promise.get('owner', '')}", promise.get("text", ""), ()
        case "suggestion.shown":
            return _opened(f"Opened the case: {_source(body)}", blocks)
        case "suggestion.withheld":
            return _opened("Opened the case: no suggestion", blocks)
        case "effect.delivered":
            again = f" at attempt {body['attempt']}" if body.get("attempt", 1) > 1 else ""
            return (
                "delivery",
                "good",
                f"Delivered the {body['kind']} of decision {body['number']}{again}",
                "",
                (),
            )
        case "effect.failed":
            return (
                "delivery",
                "bad",
                f"Could not deliver the {body['kind']} of decision {body['number']}",
                str(body.get("error_code", "")),
                (),
            )
        case "worksheet.noted":
            return "capture", "info", f"Noted: {body['outcome']}", "", ()
        case "scenario.seeded":
            return (
                "room",
                "plain",
                f"Seeded scenario {names.get(body['scenario'], body['scenario'])} "
                + (f"for {words.person(body['operator'])}" if body.get("operator") else "as a shared copy"),
                "",
                (),
            )
        case "cue.played":
            return "room", "info", "Played a cue", str(body.get("text", "")), ()
        case "scenario.ran":
            passed = body["passed"]
            return (
                "room",
                "good" if passed else "warn",
                "Debriefed: " + ("passed" if passed else "not passed"),
                "",
                (),
            )
        case "session.agenda":
            return "room", "plain", f"Agenda: {body['title']}" if body["title"] else "Agenda: the end", "", ()
        case "session.joined":
            return "room", "plain", f"Joined as {body['role']}", "", ()
        case "session.started":
            return "room", "plain", "Started the session", "", ()
        case "session.closed":
            return "room", "plain", "Closed the session", "", ()
        case _:
            return None


def _opened(text: str, codes: tuple[str, ...]) -> _Line:
    return ("guardrail", "warn", text, "", codes) if codes else ("decision", "plain", text, "", ())


def _source(body: Row) -> str:
    return (
        f"{'AI' if body.get('source') == 'ai' else 'template'} suggestion {body.get('template', '')}".rstrip()
    )


def title(code: str) -> str:
    """A rule's title in a sentence, or its code when no rule has it."""
    entry = catalogue.find(code)
    if entry is None:
        return code
    said = entry.rule.title
    # AI stays AI.
    return said if said[1:2].isupper() else said[:1].lower() + said[1:]
