"""Scenarios worked by people in real time: seeded to them, moved on by cues, finished, and talked over.

Nothing here plays the operator. What they did is read back from the ledger and the help desk; what the
scenario expects is held against it, and a free hand is allowed wherever the answer key allows one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cairnops import codec
from cairnops.connectors.chatwoot.admin import SimulatorAdmin
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.desk.desk import View
from cairnops.domain import duties
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor
from cairnops.domain.duties import Duty
from cairnops.domain.policy import Policy
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import Mode, Session
from cairnops.domain.suggestions import AiDraft
from cairnops.errors import CairnError, NotFound
from cairnops.scenarios import casting, debriefs, scoring
from cairnops.scenarios.debriefs import Met, Point, RuleNote, rule_note
from cairnops.scenarios.model import Scenario, Verb
from cairnops.scenarios.runner import NOT_STEPS, read_back
from cairnops.scenarios.scoring import Score
from cairnops.scenarios.sessions import pack_of
from cairnops.scenarios.spans import format_span
from cairnops.workspace import Workspace

#: The operator of a copy everybody works on.
SHARED = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeded:
    """A scenario on a conversation of its own."""

    #: The scenario's id.
    scenario: str
    #: What people call it in the room; empty when it has no letter.
    letter: str
    title: str
    #: Whose it is, by e-mail address; empty for a copy everybody works on.
    operator: str
    conversation: str
    #: When it begins (UTC): its world is told relative to this.
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Cue:
    """Something the script has happen that is not the operator's: a word of the facilitator, the customer, time."""

    #: Its place in the script, from 1.
    place: int
    #: How long after the beginning the script has it.
    after: timedelta
    kind: Literal["say", "customer", "wait"]
    text: str
    #: When it was played (UTC); None while it was not.
    played_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """One line of help while practising: why a guardrail speaks here, or what good looks like."""

    kind: Literal["rule", "good"]
    text: str
    #: The rule behind it, with the sentence it says about this case; None for what good looks like.
    rule: RuleNote | None = None
    sentence: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Debrief:
    """What one case came to for one operator, and what there is to learn from it."""

    seeded: Seeded
    operator: str
    at: datetime
    score: Score
    points: tuple[Point, ...]
    met: tuple[Met, ...]
    #: The answer key; None and empty when the scenario has none.
    best: Verb | None
    also_acceptable: tuple[Verb, ...]
    why: str
    good_looks_like: tuple[str, ...]
    #: Every rule named above, in that order.
    rules: tuple[RuleNote, ...]

    @property
    def missed(self) -> tuple[Point, ...]:
        """What counts against the operator."""
        return tuple(p for p in self.points if p.state == "missed")


# Seeding.


async def seed(
    workspace: Workspace,
    client: ChatwootClient,
    admin: SimulatorAdmin | None,
    session: Session,
    scenario: Scenario,
    *,
    operators: Sequence[Actor],
    at: datetime,
    actor: Actor,
) -> list[Seeded]:
    """Give each operator the scenario on a conversation of their own, beginning at `at`; to nobody: one for all.

    Seeding again changes nothing: the case goes on from when it first began. Whoever is new joins the session.

    Raises:
        CairnError: when the session is closed or plays scripts, the actor may not seed to others, or the help
            desk is no simulator.
        NotFound: when the session's pack has no such scenario.
    """
    if workspace.sessions.state(session.name) != "open":
        raise CairnError(f"Session {session.name} is closed.", hint="Start another one to practise in.")
    if not session.live:
        raise CairnError(
            f"Session {session.name} plays scripts, by its pack's own clock.",
            hint="Start one to practise in: cairnops session start NAME --live",
        )
    known = _scenario(workspace, session, scenario.id)
    # To practise by oneself takes no facilitator.
    alone = [o.email for o in operators] == [actor.email]
    _must(workspace, session.name, actor, Duty.ACT if alone else Duty.FACILITATE, at)
    simulator = _simulator(admin)
    for operator in operators:
        workspace.sessions.join(session.name, operator, at)
    return [
        await _seed(workspace, client, simulator, session, known, who, at, actor)
        for who in dict.fromkeys(o.email for o in operators) or (SHARED,)
    ]


async def _seed(
    workspace: Workspace,
    client: ChatwootClient,
    admin: SimulatorAdmin,
    session: Session,
    scenario: Scenario,
    operator: str,
    at: datetime,
    actor: Actor,
) -> Seeded:
    wanted = scenario.world.conversation.id
    conversation, start = workspace.sessions.assign(session.name, scenario.id, operator, wanted, at)
    mine = casting.cast(scenario, conversation)
    desk = workspace.desk(lambda: at, casting.flags(workspace, mine, session.flags))
    await casting.place(admin, client, desk, mine, start, actor)
    if workspace.ledger.conversation(conversation) is None:
        desk.observe(await casting.read(client, conversation), actor)
    workspace.sessions.record(
        Entry(
            kind="scenario.seeded",
            at=at,
            actor=actor,
            conversation=conversation,
            session=session.name,
            key=f"{session.name}/{scenario.id}/seeded/{operator}",
            body={"scenario": scenario.id, "operator": operator, "begins": codec.stamp(start)},
        )
    )
    return _as_seeded(scenario, operator, conversation, start)


def seeded(workspace: Workspace, session: str) -> list[Seeded]:
    """Everything seeded in a session, in the order of the pack, then by operator.

    Raises:
        NotFound: when there is no such session.
    """
    held = workspace.sessions.get(session)
    rows = [a for a in workspace.sessions.assignments(session) if a["at"]]
    if not rows:
        return []
    return [
        _as_seeded(scenario, row["operator"], row["conversation_id"], codec.moment(row["at"]))
        for scenario in pack_of(workspace, held).scenarios
        for row in rows
        if row["scenario"] == scenario.id
    ]


def scenario_of(workspace: Workspace, session: str, conversation: str) -> tuple[Scenario, Seeded] | None:
    """The scenario a conversation was seeded with, cast on it; None when it was not."""
    rows = workspace.sessions.assignments(session)
    row = next((a for a in rows if a["conversation_id"] == conversation and a["at"]), None)
    if row is None:
        return None
    scenario = _scenario(workspace, workspace.sessions.get(session), row["scenario"])
    found = _as_seeded(scenario, row["operator"], conversation, codec.moment(row["at"]))
    return casting.cast(scenario, conversation), found


def operators_of(workspace: Workspace, session: str, seeded: Seeded) -> list[Actor]:
    """Whose work on a case there is to judge: its operator, or whoever shares it, once they did something there.

    Raises:
        NotFound: when there is no such session.
    """
    there = {p.email: p for p in workspace.sessions.get(session).participants}
    if seeded.operator:
        there = {seeded.operator: there.get(seeded.operator, Actor(email=seeded.operator))}
    events = workspace.ledger.events(session=session, conversation=seeded.conversation)
    acted = {e["actor"] for e in events if e["key"] and e["kind"] not in NOT_STEPS}
    return [person for email, person in there.items() if email in acted]


def draft_for(scenario: Scenario, seeded: Seeded) -> AiDraft | None:
    """What the AI proposes there, for `Desk.open`; None when it proposes nothing."""
    return casting.draft(scenario, seeded.at)


def flags_for(workspace: Workspace, session: str, scenario: Scenario) -> Flags:
    """The flags in force in a scenario of a session.

    Raises:
        NotFound: when there is no such session.
    """
    return casting.flags(workspace, scenario, workspace.sessions.get(session).flags)


# While it is worked.


def cues(workspace: Workspace, session: str, seeded: Seeded) -> list[Cue]:
    """What the script has the facilitator say, the customer write and the clock do, in its order.

    Raises:
        NotFound: when the session or its scenario is not there.
    """
    scenario = _scenario(workspace, workspace.sessions.get(session), seeded.scenario)
    played = {
        event["body"]["place"]: codec.moment(event["at"])
        for event in workspace.ledger.events(
            session=session, conversation=seeded.conversation, kind="cue.played"
        )
    }
    out = []
    for place, step in enumerate(scenario.script, 1):
        match step.kind:
            case "say" | "customer" | "wait" as kind:
                said = step.say or (step.customer.text if step.customer else "")
                text = said or f"{format_span(step.wait or timedelta(0)).removeprefix('+')} pass"
                out.append(Cue(place=place, after=step.at, kind=kind, text=text, played_at=played.get(place)))
    return out


async def play_cue(
    workspace: Workspace,
    client: ChatwootClient,
    admin: SimulatorAdmin | None,
    session: str,
    seeded: Seeded,
    place: int,
    *,
    at: datetime,
    actor: Actor,
) -> Cue:
    """Play the cue at that place; a customer's is written by the customer. Once, whoever presses.

    Raises:
        NotFound: when there is no cue at that place.
        CairnError: when the case is somebody else's and the actor may not facilitate, the session is closed,
            or the help desk is no simulator.
    """
    cue = next((c for c in cues(workspace, session, seeded) if c.place == place), None)
    if cue is None:
        raise NotFound(f"Scenario {seeded.scenario} has no cue at place {place}.", hint="See its script.")
    if workspace.sessions.state(session) != "open":
        raise CairnError(f"Session {session} is closed.", hint="Nothing is played in it any more.")
    own = seeded.operator == actor.email
    _must(workspace, session, actor, Duty.ACT if own else Duty.FACILITATE, at)
    key = f"{session}/{seeded.scenario}/{place}/cue/{seeded.conversation}"
    if cue.kind == "customer":
        await _simulator(admin).customer_says(seeded.conversation, cue.text, at, key)
        desk = workspace.desk(lambda: at)
        desk.observe(await casting.read(client, seeded.conversation), actor)
    workspace.sessions.record(
        Entry(
            kind="cue.played",
            at=at,
            actor=actor,
            conversation=seeded.conversation,
            session=session,
            key=key,
            body={"scenario": seeded.scenario, "place": place, "cue": cue.kind, "text": cue.text},
        )
    )
    # Of two who pressed at once, the first one's moment stands.
    return next(c for c in cues(workspace, session, seeded) if c.place == place)


def hints(scenario: Scenario, view: View, policy: Policy, *, mode: Mode = "practice") -> list[Hint]:
    """Why each guardrail speaks here and what good looks like; nothing in an exam."""
    if mode == "exam":
        return []
    out = []
    for verdict in view.verdicts:
        note = rule_note(verdict.code, policy)
        if note is None:
            continue
        limit = verdict.threshold or note.threshold
        parts = [verdict.sentence, note.way_out, f"({'; '.join(p for p in (note.source, limit) if p)})"]
        out.append(
            Hint(kind="rule", text=" ".join(p for p in parts if p), rule=note, sentence=verdict.sentence)
        )
    if scenario.debrief is not None:
        out += [Hint(kind="good", text=line) for line in scenario.debrief.good_looks_like]
    return out


# Afterwards.


async def finish(
    workspace: Workspace,
    client: ChatwootClient,
    session: Session,
    seeded: Seeded,
    operator: Actor,
    *,
    at: datetime,
) -> Debrief:
    """Judge what the operator did with the case, keep the result, and say what there is to learn.

    May be done again after more was done; the newest result counts.

    Raises:
        CairnError: when the session is closed, something decided is still on its way, or the help desk does
            not answer.
        NotFound: when the session's pack has no such scenario.
    """
    if workspace.sessions.state(session.name) != "open":
        raise CairnError(f"Session {session.name} is closed.", hint="Its results stand as they are.")
    scenario = casting.cast(_scenario(workspace, session, seeded.scenario), seeded.conversation)
    sent = workspace.ledger.deliveries(session=session.name, conversation=seeded.conversation)
    if any(effect["final"] is None for effect in sent):
        raise CairnError(
            f"Something decided about conversation {seeded.conversation} is still on its way.",
            hint="Wait until it is delivered or has failed, then finish again.",
        )
    found = await casting.read(client, seeded.conversation)
    result = read_back(workspace, session.name, scenario, operator, found, seeded.at, scripted=False)
    points = debriefs.points(scenario, result.done, result.score)
    workspace.sessions.ran(
        session.name,
        seeded.scenario,
        operator,
        at,
        passed=result.score.passed,
        body={
            "conversation": seeded.conversation,
            "score": codec.record(result.score),
            "points": [codec.record(p) for p in points],
        },
    )
    return _debrief(workspace, session.name, scenario, seeded, result.score, points, at)


def debrief(workspace: Workspace, session: str, seeded: Seeded, operator: Actor) -> Debrief | None:
    """The debrief of the result that was kept last; None when the case was not finished.

    A scripted run is held against every expectation of its script.
    """
    runs = [
        run
        for run in workspace.sessions.runs(session)
        if (run["conversation"], run["operator"]) == (seeded.conversation, operator.email)
    ]
    if not runs:
        return None
    kept = runs[-1]
    held = workspace.sessions.get(session)
    scenario = casting.cast(_scenario(workspace, held, seeded.scenario), seeded.conversation)
    score = scoring.of_record(kept["score"])
    points = (
        tuple(codec.read(Point, p) for p in kept["points"])
        if "points" in kept
        else debriefs.of_script(scenario, score)
    )
    at = codec.moment(kept["at"])
    return _debrief(workspace, session, scenario, seeded, score, points, at)


def _debrief(
    workspace: Workspace,
    session: str,
    scenario: Scenario,
    seeded: Seeded,
    score: Score,
    points: tuple[Point, ...],
    at: datetime,
) -> Debrief:
    events = workspace.ledger.events(session=session, conversation=seeded.conversation)
    met = debriefs.met(e for e in events if e["actor"] == score.operator)
    answer, said = scenario.answer, scenario.debrief
    return Debrief(
        seeded=seeded,
        operator=score.operator,
        at=at,
        score=score,
        points=points,
        met=met,
        best=answer.best if answer else None,
        also_acceptable=answer.also_acceptable if answer else (),
        why=answer.why if answer else "",
        good_looks_like=said.good_looks_like if said else (),
        rules=debriefs.rules(scenario, points, met, workspace.policy),
    )


# What several of them need.


def _as_seeded(scenario: Scenario, operator: str, conversation: str, at: datetime) -> Seeded:
    return Seeded(
        scenario=scenario.id,
        letter=scenario.letter or "",
        title=scenario.title,
        operator=operator,
        conversation=conversation,
        at=at,
    )


def _scenario(workspace: Workspace, session: Session, scenario: str) -> Scenario:
    pack = pack_of(workspace, session)
    found = next((s for s in pack.scenarios if s.id == scenario), None)
    if found is None:
        raise NotFound(
            f"Session {session.name} runs {pack.id}, which has no scenario {scenario}.",
            hint=f"It has: {', '.join(s.id for s in pack.scenarios)}.",
        )
    return found


def _simulator(admin: SimulatorAdmin | None) -> SimulatorAdmin:
    if admin is None:
        raise CairnError(
            "The help desk is no simulator, and practice writes only to a simulator.",
            hint="Unset CHATWOOT_BASE_URL, or point it at: cairnops chatwoot serve",
        )
    return admin


def _must(workspace: Workspace, session: str, actor: Actor, duty: Duty, at: datetime) -> None:
    """Refuse, on record, whoever does not take that part."""
    sentence = duties.refusal(actor.role, duty)
    if sentence:
        code = duties.NOT_ALLOWED.code
        workspace.sessions.record(
            Entry(
                kind="duty.refused",
                at=at,
                actor=actor,
                session=session,
                code=code,
                body={"duty": duty.value, "sentence": sentence},
            )
        )
        raise CairnError(sentence, hint=duties.NOT_ALLOWED.way_out)
