"""Plays a scenario through the same desk an operator uses, and reads back what came of it.

Every step has a key made of session, scenario, operator and place in the script. Running a session
again therefore repeats what was decided and finishes what was interrupted, and sends nothing twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cairnops import codec
from cairnops.connectors.chatwoot.admin import SimulatorAdmin
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.desk.desk import Desk, Receipt, View
from cairnops.domain.conversations import Actor, Author, Conversation, Role
from cairnops.domain.requests import Action, FollowUp, Request
from cairnops.domain.sessions import Session
from cairnops.domain.suggestions import Source
from cairnops.scenarios import casting
from cairnops.scenarios.model import Pack, Scenario, Step
from cairnops.scenarios.scoring import (
    Done,
    DoneDecision,
    DoneDelivery,
    DoneFollowUp,
    DoneRow,
    DoneSuggestion,
    DoneVerdict,
    Score,
    score,
)
from cairnops.store.sessions import Noted
from cairnops.workspace import Remote, Workspace


class ScriptClock:
    """The day as the script has it: it moves only when a step says so."""

    def __init__(self, at: datetime):
        self.at = at

    def __call__(self) -> datetime:
        """The moment the script has reached, UTC."""
        return self.at


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of narration."""

    scenario: str
    #: Time into the scenario.
    at: timedelta
    who: str
    text: str
    #: `cue`, `done`, `refused`, `sent`, `failed`.
    tone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one scenario came to for one operator."""

    scenario: Scenario
    conversation: str
    done: Done
    score: Score
    decisions: tuple[dict[str, Any], ...]
    deliveries: tuple[dict[str, Any], ...]
    follow_ups: tuple[dict[str, Any], ...]
    notes: tuple[dict[str, Any], ...]


@dataclass(kw_only=True, slots=True)
class _Stage:
    """One scenario while it is played."""

    scenario: Scenario
    start: datetime
    conversation: str
    desk: Desk
    view: View | None = None
    keys: list[str] = field(default_factory=list)


Teller = Callable[[Line], None]


class Runner:
    """Plays scenarios of one pack in one session, for one operator."""

    def __init__(
        self,
        workspace: Workspace,
        pack: Pack,
        session: Session,
        operator: Actor,
        client: ChatwootClient,
        admin: SimulatorAdmin,
        tell: Teller = lambda _: None,
    ):
        self._workspace, self._pack, self._session = workspace, pack, session
        self._operator, self._client, self._admin, self._tell = operator, client, admin, tell
        self._clock = ScriptClock(session.started_at)

    async def play(self, scenario: Scenario) -> Result:
        """Play one scenario to its end, deliver what it decided, and judge it.

        Raises:
            CairnError: when the simulator or the workspace cannot be used.
        """
        stage = await self._set(scenario)
        for place, step in enumerate(stage.scenario.script, 1):
            self._clock.at = stage.start + step.at
            await self._admin.set_now(self._clock.at)
            await self._step(stage, step, self._key(scenario, place))
        await self._deliver(stage)
        return await self._judge(stage)

    def _key(self, scenario: Scenario, place: int) -> str:
        return f"{self._session.name}/{scenario.id}/{place}/{self._operator.email}"

    def _who(self, role: Role) -> Actor:
        # Whoever runs the script plays the operator, whatever else they may do.
        if role in (Role.OPERATOR, self._operator.role):
            return self._operator
        for participant in self._session.participants:
            if participant.role is role:
                return participant
        return Actor(email=f"{role.value}@{self._operator.email.partition('@')[2]}", role=role)

    # The world as it should stand when the scenario starts.

    async def _set(self, scenario: Scenario) -> _Stage:
        start = self._pack.begins(scenario.id)
        self._clock.at = start
        conversation = self._workspace.sessions.assign(
            self._session.name, scenario.id, self._operator.email, scenario.world.conversation.id, start
        )[0]
        mine = casting.cast(scenario, conversation)
        desk = self._workspace.desk(self._clock, casting.flags(self._workspace, mine, self._pack.flags))
        stage = _Stage(scenario=mine, start=start, conversation=conversation, desk=desk)
        await self._admin.set_now(start)
        await casting.place(self._admin, self._client, desk, mine, start, self._operator)
        if self._workspace.ledger.conversation(conversation) is None:
            await self._refresh(stage)
        return stage

    async def _refresh(self, stage: _Stage) -> Conversation:
        found = await casting.read(self._client, stage.conversation)
        stage.desk.observe(found, self._operator)
        return found

    # The script.

    async def _step(self, stage: _Stage, step: Step, key: str) -> None:
        actor = self._workspace.ledger.actor_of(key) or self._who(step.role)
        match step.kind:
            case "say":
                self._say(stage, "facilitator", step.say or "", "cue")
            case "wait":
                self._say(stage, "", "time passes", "cue")
            case "customer":
                assert step.customer is not None
                await self._admin.customer_says(stage.conversation, step.customer.text, self._clock.at, key)
                if not self._later(stage, step):
                    await self._refresh(stage)
                self._say(stage, "customer", step.customer.text, "cue")
            case "open":
                await self._open(stage, actor, key)
            case "log":
                self._log(stage, step, actor, key)
            case _:
                await self._act(stage, step, actor, key)

    def _later(self, stage: _Stage, step: Step) -> bool:
        """Whether a later step has been committed already: then this is a repeat and the view stays."""
        places = range(stage.scenario.script.index(step) + 2, len(stage.scenario.script) + 1)
        return any(self._workspace.ledger.known(self._key(stage.scenario, place)) for place in places)

    async def _open(self, stage: _Stage, actor: Actor, key: str) -> None:
        if not self._workspace.ledger.known(key):
            await self._refresh(stage)
        stage.view = stage.desk.open(
            stage.conversation,
            actor,
            key=key,
            session=self._session.name,
            draft=casting.draft(stage.scenario, stage.start),
        )
        shown = stage.view.suggestion
        by = "AI" if shown and shown.source is Source.AI else "template"
        what = f"{by} suggestion {shown.template_id}" if shown else "no suggestion"
        clock = stage.view.sla.in_force
        late = f"breached {clock.breach_age_s // 60} min ago" if clock.breached else "within SLA"
        if clock.stopped_at is not None:
            late = "answered late" if clock.breached else "answered in time"
        self._say(stage, actor.email, f"opens {stage.conversation}: {what}, {late}", "done")
        for verdict in stage.view.verdicts:
            self._say(stage, "", f"{verdict.severity.value} {verdict.code}: {verdict.sentence}", "cue")

    def _log(self, stage: _Stage, step: Step, actor: Actor, key: str) -> None:
        assert step.log is not None
        self._workspace.sessions.note(
            Noted(
                key=key,
                session=self._session.name,
                scenario=stage.scenario.id,
                participant=actor,
                conversation=stage.conversation,
                outcome=step.log.outcome,
                note=step.log.note,
                at=self._clock.at,
            )
        )
        self._say(stage, actor.email, f"writes in the worksheet: {step.log.outcome}", "done")

    async def _act(self, stage: _Stage, step: Step, actor: Actor, key: str) -> None:
        request = self._request(stage, step, actor, key)
        repeated = self._workspace.ledger.known(key)
        receipt = stage.desk.submit(request)
        self._told(stage, step, actor, receipt, repeated=repeated)
        if receipt.refused:
            return
        if request.action is not Action.CANCEL and not repeated:
            # What was decided moved the conversation on; the modal is drawn afresh for the next step.
            stage.view = None
        await self._deliver(stage)
        if not repeated:
            await self._refresh(stage)

    def _request(self, stage: _Stage, step: Step, actor: Actor, key: str) -> Request:
        act = step.approve or step.escalate or step.resolve or step.note or step.follow_up
        actions = {
            "approve": Action.APPROVE_SEND,
            "escalate": Action.ESCALATE,
            "resolve": Action.MARK_RESOLVED,
            "cancel": Action.CANCEL,
            "note": Action.NOTE,
            "follow_up": Action.FOLLOW_UP,
        }
        promise = step.follow_up or getattr(act, "follow_up", None)
        override = getattr(act, "override", None)
        shown = stage.view
        return Request(
            action=actions[step.kind],
            conversation=stage.conversation,
            actor=actor,
            key=key,
            session=self._session.name,
            seen_version=shown.version if shown else None,
            suggestion=shown.suggestion_uid if shown else self._shown_last(stage),
            text=step.approve.text if step.approve else None,
            note=step.note.text if step.note else getattr(act, "note", ""),
            reason=step.escalate.reason if step.escalate else "",
            target=step.escalate.target if step.escalate else None,
            follow_up=FollowUp(
                owner=promise.owner,
                # A promise without a due time is asked for as it is, so that the desk refuses it.
                due=self._clock.at + (promise.due or timedelta(0)),
                text=promise.text,
            )
            if promise
            else None,
            override=override.reason if override else "",
        )

    def _shown_last(self, stage: _Stage) -> str:
        shown = [
            e
            for e in self._workspace.ledger.events(
                session=self._session.name, conversation=stage.conversation
            )
            if e["kind"] in ("suggestion.shown", "suggestion.withheld")
        ]
        return shown[-1]["body"]["uid"] if shown else ""

    def _told(self, stage: _Stage, step: Step, actor: Actor, receipt: Receipt, *, repeated: bool) -> None:
        labels = self._workspace.policy.labels
        names = {
            "approve": labels.approve_button,
            "escalate": labels.escalate_button,
            "resolve": labels.resolve_button,
            "cancel": labels.cancel_button,
            "note": "Internal note",
            "follow_up": "Follow-up",
        }
        what = f"{names[step.kind]} (as before)" if repeated else names[step.kind]
        if receipt.refused:
            text = f"{what} → refused ({receipt.refused}): {receipt.sentence}"
            self._say(stage, actor.email, text, "refused")
        elif receipt.number:
            self._say(stage, actor.email, f"{what} → decision {receipt.number}", "done")
        else:
            self._say(stage, actor.email, what, "done")

    async def _deliver(self, stage: _Stage) -> None:
        ended: list[str] = []
        await self._workspace.deliver(
            self._client, stamp=self._clock, told=lambda uid, _attempt, _status: ended.append(uid)
        )
        for row in self._workspace.ledger.deliveries(conversation=stage.conversation):
            if row["uid"] in ended:
                final = row["final"]
                code = f" {final['error_code']}" if final["error_code"] else ""
                text = f"{row['kind']}: {final['status']} at attempt {final['attempt']}{code}"
                self._say(stage, "delivery", text, "sent" if final["status"] == "SUCCESS" else "failed")

    def _say(self, stage: _Stage, who: str, text: str, tone: str) -> None:
        self._tell(
            Line(scenario=stage.scenario.id, at=self._clock.at - stage.start, who=who, text=text, tone=tone)
        )

    # What came of it, from the ledger and the help desk, not from memory.

    async def _judge(self, stage: _Stage) -> Result:
        found = await casting.read(self._client, stage.conversation)
        result = read_back(
            self._workspace, self._session.name, stage.scenario, self._operator, found, stage.start
        )
        self._workspace.sessions.ran(
            self._session.name,
            stage.scenario.id,
            self._operator,
            self._clock.at,
            passed=result.score.passed,
            body={"conversation": stage.conversation, "score": codec.record(result.score)},
        )
        return result


def read_back(
    workspace: Workspace,
    session: str,
    scenario: Scenario,
    operator: Actor,
    found: Conversation,
    start: datetime,
    *,
    scripted: bool = True,
) -> Result:
    """What the ledger and the help desk say about one scenario, and how it is judged.

    A script has every part played, whoever's it is. Of free practice only what this operator did counts, and
    their time runs from when they first opened the case: others may have had theirs at the same moment.
    """
    ledger = workspace.ledger
    decisions = ledger.decisions(session=session, conversation=found.id)
    deliveries = ledger.deliveries(session=session, conversation=found.id)
    follow_ups = ledger.follow_ups(session=session, conversation=found.id)
    events = ledger.events(conversation=found.id)
    if not scripted:
        decisions = [d for d in decisions if d["actor"]["email"] == operator.email]
        events = [e for e in events if e["actor"] == operator.email]
        own = {d["uid"] for d in decisions} | {""}
        deliveries = [d for d in deliveries if d["decision"] in own]
        follow_ups = [f for f in follow_ups if f["decision_uid"] in own]
    notes = workspace.sessions.notes(session, scenario.id, operator.email)
    shown = [e for e in events if e["kind"] in ("suggestion.shown", "suggestion.withheld")]
    steps = [e for e in events if e["key"] and e["session"] == session and e["kind"] not in NOT_STEPS]
    first = shown[0]["body"] if shown else {}
    standings = {s["clock"]: s["breached"] for s in first.get("sla", {}).get("standings", ())}
    last = max((codec.moment(e["at"]) for e in steps), default=start)
    begun = codec.moment(shown[0]["at"]) if shown and not scripted else start
    done = Done(
        operator=operator.email,
        scripted=scripted,
        steps=len(steps) + len(notes),
        decisions=tuple(
            DoneDecision(
                action=d["action"],
                scope=d["scope"],
                template=(d["suggestion"] or {}).get("templateId", ""),
                edited=d["edited"],
                fallback=d["fallback"],
                rationale=d["rationale"],
                text=d["finalText"] or "",
                note=d["note"],
            )
            for d in decisions
        ),
        refusals=tuple(e["code"] for e in events if e["kind"] == "action.refused"),
        verdicts=tuple(
            DoneVerdict(code=v["code"], severity=v["severity"])
            for e in events
            for v in e["body"].get("verdicts", ())
        ),
        suggestion=_suggestion_shown(workspace, shown[0]) if shown else None,
        deliveries=tuple(
            DoneDelivery(
                effect=d["kind"],
                status=d["final"]["status"],
                attempt=d["final"]["attempt"],
                error_code=d["final"]["error_code"],
            )
            for d in deliveries
            if d["final"]
        ),
        customer_visible=tuple(m.text for m in found.public_messages() if m.author is Author.AGENT),
        messages_read=len(found.public_messages()),
        follow_ups=tuple(
            DoneFollowUp(
                owner=f["owner"],
                # To the nearest: between the press and the record lie moments, and 180 minutes are not 179.
                due_in_minutes=round((codec.moment(f["due"]) - codec.moment(f["at"])).total_seconds() / 60),
                text=f["text"],
            )
            for f in follow_ups
        ),
        worksheet=tuple(DoneRow(outcome=n["outcome"], note=n["note"]) for n in notes),
        evidence=frozenset(
            ({"decision_row"} if decisions else set()) | ({"qa_row"} if decisions or notes else set())
        ),
        events=tuple(e["kind"] for e in events),
        labels=found.tags,
        status=found.status.value,
        priority=(first["priority"] or "none") if first else "",
        breached_created=standings.get("conversation_created"),
        breached_last_customer=standings.get("last_customer_message"),
        elapsed_minutes=(last - begun).total_seconds() / 60,
    )
    return Result(
        scenario=scenario,
        conversation=found.id,
        done=done,
        score=score(scenario, done),
        decisions=tuple(decisions),
        deliveries=tuple(deliveries),
        follow_ups=tuple(follow_ups),
        notes=tuple(notes),
    )


#: Events under a key that nobody at the desk caused.
NOT_STEPS = ("effect.delivered", "effect.failed", "effect.looked_up", "scenario.seeded", "cue.played")


def _suggestion_shown(workspace: Workspace, event: dict[str, Any]) -> DoneSuggestion:
    body = event["body"]
    shown = workspace.ledger.suggestion(body["uid"]) if body["uid"] else None
    return DoneSuggestion(template=body["template"], source=body["source"], text=shown.text if shown else "")


async def run(
    workspace: Workspace,
    remote: Remote,
    pack: Pack,
    session: Session,
    operator: Actor,
    scenarios: Sequence[Scenario],
    tell: Teller = lambda _: None,
) -> list[Result]:
    """Play the scenarios one after the other against a simulator; nothing is ever played against a live desk.

    Work that an interrupted run left behind is delivered first.

    Raises:
        CairnError: when the help desk is no simulator, or does not answer.
    """
    async with SimulatorAdmin(remote.base_url, remote.token) as admin, workspace.client(remote) as client:
        await admin.check()
        runner = Runner(workspace, pack, session, operator, client, admin, tell)
        try:
            return [await runner.play(scenario) for scenario in scenarios]
        finally:
            await admin.set_now(None)
