"""What a scenario pack can say: its world, its script, what it proves, and what must come of it.

Unknown keys are refused everywhere. A misspelt expectation that is dropped without a word is an
expectation nobody checks.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from datetime import date as Day
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from cairnops.connectors.chatwoot import faults
from cairnops.domain import gates
from cairnops.domain.conversations import Author, Conversation, Message, Order, Role, Status, StatusChange
from cairnops.domain.delivery import EffectKind, FinalStatus
from cairnops.domain.policy import ProfileName
from cairnops.domain.rules import Severity
from cairnops.scenarios.spans import Ahead, Around, Past

#: Currencies without minor units; every other one counts in hundredths.
WHOLE_CURRENCIES = ("CLP", "ISK", "JPY", "KRW", "VND")

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
ProbeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
RuleCode = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z_]+$")]
#: The help desk's own id, as text.
ConversationId = Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,17}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Money = Annotated[str, StringConstraints(pattern=r"^\d{1,12}(\.\d{1,2})?$")]

#: `suggestion_shown` is the record of scope `build` that an AI text was put before an operator.
Action = Literal["approve_send", "escalate", "mark_resolved", "suggestion_shown"]
Scope = Literal["ops", "build"]
Verb = Literal["approve", "edit", "escalate", "resolve", "reject"]
#: How the work went on when the usual way was closed.
Fallback = Literal["manual_reply", "manager_escalation", "memory_entry", "worksheet"]
Evidence = Literal["decision_row", "qa_row", "screenshot", "recording"]


class Strict(BaseModel):
    """Frozen, and no key that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Flags(Strict):
    """Which features are on."""

    #: Approvals may be made from the desk; off makes it read-only.
    modal_approvals: bool = True
    #: AI drafts are shown; off leaves templates only.
    ai_escalations: bool = True


class FlagsOverride(Strict):
    """Flags this scenario sets differently; what is not named stays as the pack has it."""

    modal_approvals: bool | None = None
    ai_escalations: bool | None = None


class Customer(Strict):
    """Who is writing. An empty name means nobody knows it."""

    name: str
    email: Text


class ConversationSeed(Strict):
    """The conversation as the help desk holds it when the scenario starts."""

    id: ConversationId
    created: Past
    status: Status = Status.OPEN
    tags: tuple[Text, ...] = ()
    priority: Literal["", "urgent", "high", "medium", "low"] = ""


class MessageSeed(Strict):
    """One message already there; `note` is private to the team, `system` is activity text."""

    author: Literal["customer", "agent", "system", "note"] = Field(alias="from")
    at: Past
    text: Text


class OrderSeed(Strict):
    """What the shop shows; `total` is quoted text (`"325.00"`), because money is never a float."""

    number: Text
    total: Money | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "USD"
    cues: tuple[Text, ...] = ()
    refund_pending: bool = False
    return_in_progress: bool = False

    @property
    def total_minor(self) -> int | None:
        """The total in minor units (cents)."""
        if self.total is None:
            return None
        return int(Decimal(self.total) * (1 if self.currency in WHOLE_CURRENCIES else 100))


class Draft(Strict):
    """The text the AI proposes, what it answers, what it cites, and how old its index is."""

    text: Text
    template: Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")]
    sources: tuple[Text, ...] = ()
    index_generated: Past | None = None


class Breach(Strict):
    """An earlier breach of the same customer, in another conversation."""

    days_ago: Annotated[int, Field(ge=0, le=365)]


class History(Strict):
    """What happened before, as far as the rules care."""

    breaches: tuple[Breach, ...] = ()
    #: When this conversation was marked resolved; it reopened with the customer's next message.
    resolved: Past | None = None


class FaultSeed(Strict):
    """One fault of the Chatwoot simulator, written flat; it is about this conversation only."""

    call: faults.Call | Literal["any"]
    #: The n-th matching call (from 1), or every one.
    attempts: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | Literal["all"] = "all"
    action: faults.Action
    status: int | None = None
    retry_after_s: int | None = None
    delay_ms: int | None = None
    close: bool | None = None

    @model_validator(mode="after")
    def _the_simulator_takes_it(self) -> "FaultSeed":
        try:
            self.fault(1)
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        return self

    def fault(self, conversation_id: int) -> faults.Fault:
        """The simulator's rule, bound to one conversation."""
        attempts = "all" if self.attempts == "all" else list(self.attempts)
        numbers = {"status", "retry_after_s", "delay_ms", "close"}
        return faults.Fault(
            match=faults.Match(call=self.call, conversation_id=conversation_id, attempts=attempts),
            action=self.action,
            **self.model_dump(include=numbers, exclude_none=True),
        )


class World(Strict):
    """Everything that is true when the scenario starts."""

    customer: Customer
    conversation: ConversationSeed
    messages: tuple[MessageSeed, ...] = Field(min_length=1)
    order: OrderSeed | None = None
    #: None: the AI proposes nothing, and the desk falls back to its templates.
    suggestion: Draft | None = None
    history: History = History()
    #: How the help desk misbehaves for this conversation; see the Chatwoot simulator.
    faults: tuple[FaultSeed, ...] = ()


class FollowUp(Strict):
    """A promise: who, until when (counted from the step), and what.

    All may be missing, so that a script can show an incomplete one being refused.
    """

    owner: str = ""
    due: Ahead | None = None
    text: str = ""


class Override(Strict):
    """Going ahead against a block, with a reason."""

    reason: str = ""


class Approve(Strict):
    """Approve & send: `text` when the operator edited or wrote it, else the suggestion as it stands."""

    text: str | None = None
    note: str = ""
    follow_up: FollowUp | None = None
    override: Override | None = None


class Escalate(Strict):
    """Hand the case up, with a reason from the policy's vocabulary and a note."""

    reason: str
    note: str = ""
    target: Role | None = None


class Resolve(Strict):
    """Mark the conversation resolved."""

    note: str = ""
    follow_up: FollowUp | None = None
    override: Override | None = None


class Said(Strict):
    """A text on its own: the customer writing again, or a private note."""

    text: Text


class LogEntry(Strict):
    """A line the operator writes into the worksheet by hand."""

    outcome: Text
    note: str = ""


class Nothing(Strict):
    """An action that needs nothing said (`open: {}`)."""


StepKind = Literal[
    "say", "open", "approve", "escalate", "resolve", "cancel", "note", "follow_up", "customer", "log", "wait"
]
STEP_KINDS: tuple[StepKind, ...] = (
    "say", "open", "approve", "escalate", "resolve", "cancel", "note", "follow_up", "customer", "log", "wait",
)  # fmt: skip
#: Steps somebody at the desk takes, as opposed to the facilitator, the customer and the clock.
OPERATOR_STEPS: tuple[StepKind, ...] = (
    "open", "approve", "escalate", "resolve", "cancel", "note", "follow_up", "log",
)  # fmt: skip


class Step(Strict):
    """One thing that happens `at` minutes after the scenario starts: exactly one of `STEP_KINDS`."""

    at: Ahead
    #: Who does it.
    role: Role = Field(default=Role.OPERATOR, alias="as")
    #: The rule expected to refuse it.
    refused: RuleCode | None = None
    #: What the facilitator says.
    say: Text | None = None
    #: The modal is opened: what is shown now is what a later approval is about.
    open: Nothing | None = None
    approve: Approve | None = None
    escalate: Escalate | None = None
    resolve: Resolve | None = None
    cancel: Nothing | None = None
    note: Said | None = None
    follow_up: FollowUp | None = None
    customer: Said | None = None
    log: LogEntry | None = None
    #: Nothing happens for so long; the next step's `at` must allow for it.
    wait: Ahead | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_keys(cls, data: Any) -> Any:
        """`open:` with nothing after it is YAML for null, and means what it says."""
        if not isinstance(data, Mapping):
            return data
        bare = {k: {} for k in ("open", "cancel", "resolve", "approve") if k in data and data[k] is None}
        return {**data, **bare}

    @model_validator(mode="after")
    def _exactly_one(self) -> "Step":
        given = [kind for kind in STEP_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            said = f"this one has {' and '.join(given)}" if given else "this one has none"
            raise ValueError(f"a step is exactly one of {', '.join(STEP_KINDS)}; {said}")
        if self.refused and self.kind not in OPERATOR_STEPS:
            raise ValueError(f"a `{self.kind}` step cannot be refused")
        return self

    @property
    def kind(self) -> StepKind:
        """Which of the eleven it is."""
        return next(kind for kind in STEP_KINDS if getattr(self, kind) is not None)


class ExpectedDecision(Strict):
    """One row of the decision log; a field left out is not looked at."""

    action: Action
    scope: Scope = "ops"
    template: str | None = None
    edited: bool | None = None
    fallback: Fallback | None = None
    rationale_contains: Text | None = None


class AbsentDecision(Strict):
    """A row that must not exist; without `action`, no row of that scope at all."""

    scope: Scope
    action: Action | None = None


class ExpectedSuggestion(Strict):
    """What the modal showed. `template: none` means no suggestion at all."""

    template: Text
    source: Literal["template", "ai"] | None = None


class ExpectedDelivery(Strict):
    """How one effect ended; effects of a named kind must be exactly as many as are listed."""

    effect: EffectKind
    status: FinalStatus
    #: The attempt reached, from 1.
    attempt: Annotated[int, Field(ge=1)] | None = None
    error_code: str | None = None


class Seen(Strict):
    """What the customer reads: part of a message, a whole one byte for byte, or the suggestion as shown."""

    contains: Text | None = None
    exactly: Text | None = None
    as_suggested: Literal[True] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Seen":
        if sum(x is not None for x in (self.contains, self.exactly, self.as_suggested)) != 1:
            raise ValueError("say exactly one of contains, exactly, as_suggested")
        return self


class ExpectedVerdict(Strict):
    """A guardrail's finding at any moment of the scenario."""

    code: RuleCode
    severity: Severity


class ExpectedFollowUp(Strict):
    """A follow-up on record; without `owner`, anybody's."""

    owner: Text | None = None
    due_in_minutes: Annotated[int, Field(ge=0)]


class ExpectedRow(Strict):
    """A worksheet row whose outcome (and note) contain these words, whatever the case."""

    outcome: Text
    note: Text | None = None


class ExpectedEvidence(Strict):
    """What the bundle must hold, and what it may."""

    required: tuple[Evidence, ...] = ()
    optional: tuple[Evidence, ...] = ()


class ExpectedSla(Strict):
    """The two clocks people argue about, as the modal shows them when it is first opened."""

    breached_created: bool | None = None
    breached_last_customer: bool | None = None


def _contains(value: Any) -> Any:
    return {"contains": value} if isinstance(value, str) else value


def _outcome(value: Any) -> Any:
    return {"outcome": value} if isinstance(value, str) else value


SeenText = Annotated[Seen, BeforeValidator(_contains, json_schema_input_type=str | Seen)]
RowText = Annotated[ExpectedRow, BeforeValidator(_outcome, json_schema_input_type=str | ExpectedRow)]


class Expect(Strict):
    """What must come of it. What is not named is not looked at; an empty list examines nothing and is refused."""

    #: The decision log: of a scope named here, exactly these rows in this order.
    decisions: tuple[ExpectedDecision, ...] = ()
    decisions_absent: tuple[AbsentDecision, ...] = ()
    suggestion: ExpectedSuggestion | None = None
    delivery: tuple[ExpectedDelivery, ...] = ()
    customer_sees: tuple[SeenText, ...] = ()
    customer_does_not_see: tuple[SeenText, ...] = ()
    verdicts: tuple[ExpectedVerdict, ...] = ()
    #: Every refusal of the script, in order.
    refused: tuple[RuleCode, ...] = ()
    events: tuple[Text, ...] = ()
    follow_ups: tuple[ExpectedFollowUp, ...] = ()
    worksheet: tuple[RowText, ...] = ()
    evidence: ExpectedEvidence | None = None
    #: Labels the conversation carries at the end (others may be there too).
    labels: tuple[Text, ...] = ()
    status: Status | None = None
    #: Triage when the modal is first opened.
    priority: Literal["P1", "P2", "P3", "none"] | None = None
    sla: ExpectedSla | None = None


class Answer(Strict):
    """What a good operator does here, and why."""

    best: Verb
    why: Text
    also_acceptable: tuple[Verb, ...] = ()


class Debrief(Strict):
    """What to talk about afterwards."""

    good_looks_like: tuple[Text, ...] = ()
    rules: tuple[RuleCode, ...] = ()


class Scenario(Strict):
    """One case to rehearse."""

    id: Slug
    title: Text
    #: What people call it in the room.
    letter: Annotated[str, StringConstraints(pattern=r"^[A-Z]$")] | None = None
    #: Codes of the rules this scenario turns red without.
    proves: tuple[RuleCode, ...]
    flags: FlagsOverride = FlagsOverride()
    world: World
    script: tuple[Step, ...] = Field(min_length=1)
    expect: Expect
    answer: Answer | None = None
    debrief: Debrief | None = None
    time_limit_minutes: Annotated[int, Field(ge=1, le=240)] = 15

    def flags_under(self, base: Flags) -> Flags:
        """The flags in force here, on top of the pack's or the session's."""
        named = {k: v for k, v in self.flags.model_dump().items() if v is not None}
        return base.model_copy(update=named)

    def expected_text(self) -> str | None:
        """The reply the script ends up sending; None when it sends none."""
        sent = [s.approve for s in self.script if s.approve is not None and s.refused is None]
        if not sent:
            return None
        if sent[-1].text is not None:
            return sent[-1].text
        return self.world.suggestion.text if self.world.suggestion else None

    def conversation(self, start: datetime) -> Conversation:
        """The world's conversation, as the desk would read it at `start` (UTC).

        Message ids are the conversation's id and a running number, so a replay gives the same ids.
        """
        world = self.world
        seed = world.conversation
        ordered = sorted(world.messages, key=lambda m: m.at)
        messages = tuple(
            Message(
                id=f"{seed.id}{number:03d}",
                author=Author.AGENT if m.author == "note" else Author(m.author),
                text=m.text,
                at=start + m.at,
                private=m.author == "note",
            )
            for number, m in enumerate(ordered, 1)
        )
        changes: tuple[StatusChange, ...] = ()
        if world.history.resolved is not None:
            resolved = world.history.resolved
            changes = (StatusChange(status=Status.RESOLVED, at=start + resolved),)
            again = [m.at for m in ordered if m.author == "customer" and m.at > resolved]
            if again and seed.status is not Status.RESOLVED:
                changes += (StatusChange(status=seed.status, at=start + again[0]),)
        order = world.order and Order(
            number=world.order.number,
            total_minor=world.order.total_minor,
            currency=world.order.currency,
            cues=world.order.cues,
            refund_pending=world.order.refund_pending,
            return_in_progress=world.order.return_in_progress,
        )
        return Conversation(
            id=seed.id,
            customer=world.customer.name,
            customer_key=world.customer.email,
            status=seed.status,
            created_at=start + seed.created,
            messages=messages,
            tags=seed.tags,
            priority=seed.priority,
            status_changes=changes,
            order=order,
        )


class AgendaItem(Strict):
    """A part of the session, and the scenarios run in it."""

    title: Text
    minutes: Annotated[int, Field(ge=1)]
    scenarios: tuple[Slug, ...] = ()


class ChecklistItem(Strict):
    """A task of the preparation or the wrap-up."""

    id: Slug
    text: Text
    when: Around


class GateSpec(Strict):
    """A go/no-go condition; see `cairnops.domain.gates` for the words it may use."""

    id: Slug
    title: Text
    require: Text


class Pack(Strict):
    """A set of scenarios with the session around them."""

    id: Slug
    title: Text
    summary: Text
    owner: Text
    version: Text
    reviewed: Day
    #: After this day the pack has to be read again before it is used; None when it does not age.
    expires: Day | None = None
    date: Day
    weekday: Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    #: The instant the session begins, in UTC.
    starts_at: AwareDatetime
    minutes: Annotated[int, Field(ge=1)]
    agenda: tuple[AgendaItem, ...] = Field(min_length=1)
    #: Who does what (`facilitator`, `scribe`, `observer`, …).
    roles: dict[Slug, str]
    flags: Flags = Flags()
    policy: ProfileName = "dry-run"
    checklist: tuple[ChecklistItem, ...] = ()
    #: What is measured before the session; the names gates use.
    probes: tuple[ProbeName, ...] = ()
    gates: tuple[GateSpec, ...] = ()
    scenarios: tuple[Scenario, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _gates_read(self) -> "Pack":
        for gate in self.gates:
            try:
                gates.parse(gate.require, self.probes)
            except gates.GateError as error:
                raise ValueError(f"gate `{gate.id}`: {error}") from None
        return self

    def scenario(self, key: str) -> Scenario | None:
        """The scenario with that id, letter (either case), or id prefix if only one has it."""
        by_name = [s for s in self.scenarios if s.id == key or (s.letter and s.letter == key.upper())]
        if by_name:
            return by_name[0]
        starting = [s for s in self.scenarios if key and s.id.startswith(key)]
        return starting[0] if len(starting) == 1 else None

    def begins(self, scenario_id: str) -> datetime:
        """When a scenario starts (UTC), by its place on the agenda; several in one item share it evenly.

        A scenario the agenda does not name starts with the session.
        """
        elapsed = timedelta(0)
        start = self.starts_at.astimezone(UTC)
        for item in self.agenda:
            if scenario_id in item.scenarios:
                share = timedelta(minutes=item.minutes) / len(item.scenarios)
                share = timedelta(seconds=int(share.total_seconds()))
                return start + elapsed + item.scenarios.index(scenario_id) * share
            elapsed += timedelta(minutes=item.minutes)
        return start
