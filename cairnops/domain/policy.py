"""Every threshold, clock, word list and label as a value, and the three profiles they start from.

Two documents disagree about nearly every number of this trade, so none is written into a rule: a
rule reads the policy in force, and the policy's hash is stored with each decision made under it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Literal

from cairnops.domain.conversations import Role, Status
from cairnops.domain.measures import STRICT, AlertPolicy, MeasurePolicy
from cairnops.domain.rules import Severity

ClockStart = Literal["conversation_created", "last_customer_message", "first_unanswered_customer_message"]
ClockStop = Literal["first_operator_action", "never"]
Matcher = Literal["word_boundary", "legacy_substring"]
ProfileName = Literal["dry-run", "parity", "pilot"]

PROFILES: tuple[ProfileName, ...] = ("dry-run", "parity", "pilot")


@dataclass(frozen=True, kw_only=True, slots=True)
class BusinessHours:
    """Opening hours in one IANA time zone; outside them SLA clocks stand still.

    `week` maps `mon` … `sun` to `HH:MM-HH:MM` windows; a day left out is closed.
    """

    __pydantic_config__ = STRICT
    time_zone: str
    week: dict[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SlaPolicy:
    """How long a customer may wait, and from when that is counted."""

    __pydantic_config__ = STRICT
    #: A conversation is breached when it waits strictly longer than this many minutes.
    minutes: int = 60
    #: The same for conversations marked urgent or high.
    priority_minutes: int = 30
    #: The clock in force; the others are always computed beside it.
    clock: ClockStart = "last_customer_message"
    #: Whether an answer stops the clock. The legacy dashboard never stopped it.
    stop_on: ClockStop = "first_operator_action"
    #: Time spent in these statuses does not count.
    pause_statuses: tuple[str, ...] = ("snoozed",)
    business_hours: BusinessHours | None = None
    #: Targets for the three classic measures, in minutes.
    first_response_minutes: int = 60
    next_response_minutes: int = 60
    resolution_minutes: int = 1440
    #: Breach rate of open conversations, percent.
    breach_rate_warn_percent: int = 20
    breach_rate_critical_percent: int = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class TriagePolicy:
    """Which breach comes first (SOP-CX-001)."""

    __pydantic_config__ = STRICT
    #: Breached strictly longer than this is P1; up to and including it is P2.
    breach_age_minutes: int = 120
    p1_within_minutes: int = 0
    p2_within_minutes: int = 30
    p3_within_minutes: int = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class SuggestionPolicy:
    """Which template a conversation calls for, and which words call for a person instead."""

    __pydantic_config__ = STRICT
    matcher: Matcher = "word_boundary"
    #: Whole words and phrases; a trailing `*` stands for any ending (`ship*` is not used: `shipped` is listed).
    ship_words: tuple[str, ...] = ()
    refund_words: tuple[str, ...] = ()
    ship_tags: tuple[str, ...] = ()
    refund_tags: tuple[str, ...] = ()
    high_risk_words: tuple[str, ...] = ()
    supervisor_words: tuple[str, ...] = ()
    promise_words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundTier:
    """A refund strictly above `above` (whole currency units) needs somebody of `role`."""

    __pydantic_config__ = STRICT
    above: int
    role: Role
    severity: Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundPolicy:
    """Who may promise how much money back."""

    __pydantic_config__ = STRICT
    tiers: tuple[RefundTier, ...] = ()
    #: Any of these in a reply offers money back (whole words; a trailing `*` stands for any ending).
    words: tuple[str, ...] = ("refund*", "reimburs*", "money back", "store credit")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelPolicy:
    """Labels on the help desk, and what the four buttons are called."""

    __pydantic_config__ = STRICT
    #: Added when a conversation is escalated, beside the labels already there.
    escalation: str = "escalation"
    #: Any of these marks a conversation as escalated already (exact, whatever the case).
    escalated: tuple[str, ...] = ("escalation", "escalated")
    approve_button: str = "Approve & send"
    escalate_button: str = "Escalate"
    resolve_button: str = "Mark resolved"
    cancel_button: str = "Cancel"


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """A case escalated to `role` is given to this team, this person, or both, by their names on the help desk."""

    __pydantic_config__ = STRICT
    role: Role
    #: The team's name, whatever the case.
    team: str = ""
    #: The agent's e-mail address.
    assignee: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class EscalationPolicy:
    """Why a case may be handed up, to whom, and how fast they answer (SOP-CX-003)."""

    __pydantic_config__ = STRICT
    reasons: tuple[str, ...] = (
        "policy_exception",
        "refund_above_tier",
        "legal_or_fraud",
        "abusive_language",
        "supervisor_requested",
        "safety",
        "cross_team_blocker",
        "unsure",
    )
    note_required: bool = True
    acknowledge_minutes: int = 120
    update_hours: int = 24
    #: Who a case goes to when the operator names nobody.
    target: Role = Role.MANAGER
    #: Whom an escalated case is given to on the help desk, by the role it goes to; a role not named here: nobody.
    assign: tuple[Assignment, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Overridable:
    """Somebody of `role` (or above) may go ahead against the rule `code`, with a reason."""

    __pydantic_config__ = STRICT
    code: str
    role: Role


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardrailPolicy:
    """Windows of the guardrails, and which blocks a person may override."""

    __pydantic_config__ = STRICT
    no_ack_hours: int = 24
    repeat_breach_days: int = 7
    repeat_breach_count: int = 2
    rapid_reopen_minutes: int = 30
    #: An index built longer before the session than this warns, than the next blocks; hours. Outside a
    #: session the moment of the decision counts.
    index_fresh_hours: int = 24
    index_stale_hours: int = 36
    overridable: tuple[Overridable, ...] = ()
    #: Rule codes switched off; printed on every report made under this policy.
    disabled: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryPolicy:
    """How hard the worker tries, and how long it waits before it believes a look-up."""

    __pydantic_config__ = STRICT
    max_attempts: int = 3
    #: Hard deadline of one attempt, milliseconds.
    timeout_ms: int = 500
    #: Back-off before attempt n+1 is this times 2^(n-1), milliseconds.
    backoff_ms: int = 250
    #: After an unknown outcome: longer than the help desk's slowest processing, milliseconds.
    settle_ms: int = 300
    #: After an unclear try, look before sending again. Off only to show what the rule is for.
    look_up: bool = True
    #: A Retry-After longer than this counts as this, milliseconds.
    retry_after_cap_ms: int = 30_000
    #: How often all workers together may ask the help desk in a second; 0 sets no limit.
    per_second: int = 0
    #: After so many tries in a row without an answer the help desk is asked whether it is there at all.
    outage_after: int = 5
    #: How often that is asked while it is down, by all workers together, milliseconds.
    ask_again_ms: int = 1000
    #: What waited strictly longer, or through an outage, is sent only if its conversation stands as it did; minutes.
    recheck_minutes: int = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class RetentionPolicy:
    """How long what was recorded is kept; `cairnops retention` removes what is older, never by itself."""

    __pydantic_config__ = STRICT
    #: Decisions and what hangs on them are kept so many days; their hashes stay in the log for good.
    decision_days: int = 365
    #: Conversations, suggestions and drafts nobody has touched are kept so many days.
    transcript_days: int = 14
    #: Practice sessions with their results, worksheets and conversations are kept so many days.
    training_days: int = 90


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The rules' numbers, all of them; immutable, hashed, and named by the profile it started from."""

    __pydantic_config__ = STRICT
    profile: ProfileName = "dry-run"
    sla: SlaPolicy = field(default_factory=SlaPolicy)
    triage: TriagePolicy = field(default_factory=TriagePolicy)
    suggestions: SuggestionPolicy = field(default_factory=SuggestionPolicy)
    refund: RefundPolicy = field(default_factory=RefundPolicy)
    labels: LabelPolicy = field(default_factory=LabelPolicy)
    escalation: EscalationPolicy = field(default_factory=EscalationPolicy)
    guardrails: GuardrailPolicy = field(default_factory=GuardrailPolicy)
    delivery: DeliveryPolicy = field(default_factory=DeliveryPolicy)
    alerts: AlertPolicy = field(default_factory=AlertPolicy)
    measures: MeasurePolicy = field(default_factory=MeasurePolicy)
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)


LEGACY_SHIP_WORDS = (
    "ship", "shipping", "delivery", "carrier", "tracking", "tracking number", "in transit", "delivered",
    "delayed delivery", "late delivery", "lost package", "delayed shipment",
)  # fmt: skip
LEGACY_REFUND_WORDS = (
    "refund", "return", "damage", "damaged", "broken", "defective", "replacement", "store credit", "exchange",
    "faulty", "warranty",
)  # fmt: skip

_LEGACY_WORDS = SuggestionPolicy(
    matcher="legacy_substring",
    ship_words=LEGACY_SHIP_WORDS,
    refund_words=LEGACY_REFUND_WORDS,
    ship_tags=("shipping", "delivery"),
    refund_tags=("refund", "return"),
)

_WORDS = SuggestionPolicy(
    matcher="word_boundary",
    ship_words=(
        "ship", "ships", "shipped", "shipping", "shipment", "shipments", "delivery", "deliveries", "deliver",
        "delivered", "carrier", "courier", "tracking", "in transit", "lost package", "lost parcel",
        "where is my order", "where's my order", "where is my package", "where's my package",
        "where is my parcel", "where's my parcel", "still says processing", "still processing",
        "hasn't arrived", "has not arrived", "not arrived", "never arrived", "didn't arrive",
        "did not arrive", "haven't received my order", "haven't received my package", "haven't received it",
    ),
    refund_words=(
        "refund", "refunds", "refunded", "return it", "return this", "return them", "return these",
        "want to return", "like to return", "need to return", "start a return", "return label",
        "return request", "send it back", "send them back", "damage", "damaged", "broken", "defective",
        "replacement", "replace it", "store credit", "exchange", "faulty", "warranty", "money back",
    ),
    ship_tags=("shipping", "shipment", "delivery"),
    refund_tags=("refund", "return"),
    high_risk_words=(
        "lawyer*", "attorney*", "lawsuit*", "legal", "sue you", "sue your", "sue them", "will sue",
        "i'll sue", "to sue", "could sue", "suing", "small claims", "chargeback*", "charge back", "fraud*",
        "scam*", "unauthorized charge", "unauthorised charge", "dispute the charge", "dispute this charge",
        "dispute the payment", "disputing the charge", "disputing this charge", "bbb",
        "better business bureau", "ftc", "reporter", "journalist", "police", "injury", "injuries", "injured",
        "allergic", "allergy", "hospital*", "kill", "threat*",
    ),
    supervisor_words=(
        "supervisor", "supervisors", "manager", "managers", "someone in charge", "somebody in charge",
        "person in charge", "your boss", "escalate this",
    ),
    promise_words=("follow up", "follow-up", "get back to you", "call you back", "update you"),
)  # fmt: skip

_LADDER = RefundPolicy(
    tiers=(
        RefundTier(above=100, role=Role.LEAD, severity=Severity.WARN),
        RefundTier(above=500, role=Role.MANAGER, severity=Severity.BLOCK),
    )
)

_OVERRIDES = (
    Overridable(code="refund.above_tier", role=Role.MANAGER),
    Overridable(code="risk.high_risk_language", role=Role.MANAGER),
    Overridable(code="risk.supervisor_requested", role=Role.LEAD),
    Overridable(code="escalation.already_escalated", role=Role.LEAD),
    Overridable(code="resolve.refund_pending", role=Role.MANAGER),
    Overridable(code="resolve.return_in_progress", role=Role.MANAGER),
    Overridable(code="suggestion.index_stale", role=Role.LEAD),
)


def profile(name: ProfileName) -> Policy:
    """The policy a profile starts from.

    `dry-run` is what training runs on; `parity` reproduces the legacy dashboard's figures; `pilot`
    is for a live desk, with real-network timeouts and the lower refund limit.

    Raises:
        ValueError: for a name outside `PROFILES`.
    """
    if name not in PROFILES:
        raise ValueError(f"no profile is called {name!r}; there are {', '.join(PROFILES)}")
    dry_run = Policy(suggestions=_WORDS, refund=_LADDER, guardrails=GuardrailPolicy(overridable=_OVERRIDES))
    return {
        "dry-run": dry_run,
        "parity": replace(
            dry_run,
            profile="parity",
            sla=SlaPolicy(
                minutes=30,
                priority_minutes=30,
                clock="conversation_created",
                stop_on="never",
                pause_statuses=(),
            ),
            suggestions=_LEGACY_WORDS,
            measures=MeasurePolicy(percentile="nearest_rank", seconds_below_ten=True),
        ),
        "pilot": replace(
            dry_run,
            profile="pilot",
            refund=RefundPolicy(tiers=(RefundTier(above=100, role=Role.MANAGER, severity=Severity.BLOCK),)),
            delivery=DeliveryPolicy(
                timeout_ms=10_000, backoff_ms=1_000, settle_ms=30_000, ask_again_ms=15_000
            ),
        ),
    }[name]


def flatten(policy: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every leaf of a policy as (`sla.minutes`, 60), in declaration order; tuples and calendars are leaves."""
    for f in fields(policy):  # type: ignore[arg-type]
        value = getattr(policy, f.name)
        path = f"{prefix}{f.name}"
        if is_dataclass(value) and not isinstance(value, BusinessHours):
            yield from flatten(value, f"{path}.")
        else:
            yield path, value


def diff(base: Policy, other: Policy) -> list[tuple[str, object, object]]:
    """Leaves on which two policies differ, as (path, base value, other value)."""
    theirs = dict(flatten(other))
    return [(path, value, theirs[path]) for path, value in flatten(base) if theirs[path] != value]


#: No number of a policy may be above this: what is larger is a slip of the keyboard, and overflows a date.
_LARGEST = {"days": 3650, "ms": 3_600_000, "percent": 100}
_LARGEST_OTHER = 1_000_000

#: Retention leaves so many days alone, whatever a policy says; the databases refuse it too.
KEPT_DAYS = 14

_AT_LEAST_ONE = (
    "sla.minutes",
    "sla.priority_minutes",
    "sla.first_response_minutes",
    "sla.next_response_minutes",
    "sla.resolution_minutes",
    "guardrails.repeat_breach_days",
    "guardrails.repeat_breach_count",
    "delivery.max_attempts",
    "delivery.timeout_ms",
    "delivery.settle_ms",
    "delivery.outage_after",
    "delivery.ask_again_ms",
    "alerts.p95_ms",
    "alerts.min_samples",
)


def check(policy: Policy) -> list[str]:
    """What is wrong with a policy's numbers, in sentences; empty when they hold together."""
    # Numbers that are wrong in themselves contradict their neighbours too; once is enough.
    numbers = list(_numbers(policy)) or list(_contradictions(policy))
    return [*numbers, *_words(policy), *_roles(policy)]


def _numbers(policy: Policy) -> Iterator[str]:
    numbers = [(path, v) for path, v in flatten(policy) if isinstance(v, int) and not isinstance(v, bool)]
    numbers += [(f"refund.tiers[{i}].above", tier.above) for i, tier in enumerate(policy.refund.tiers)]
    for path, value in numbers:
        least = KEPT_DAYS if path.startswith("retention.") else 1 if path in _AT_LEAST_ONE else 0
        most = _LARGEST.get(path.rpartition("_")[2], _LARGEST_OTHER)
        if value < least:
            yield f"{path} is {value}; it must be at least {least}"
        elif value > most:
            yield f"{path} is {value}; it can be at most {most}"


def _contradictions(policy: Policy) -> Iterator[str]:
    values = dict(flatten(policy))
    for lower, upper, why in (
        ("sla.priority_minutes", "sla.minutes", "an urgent case would wait longer than any other"),
        (
            "guardrails.index_fresh_hours",
            "guardrails.index_stale_hours",
            "blocking would come before warning",
        ),
        (
            "alerts.failure_warn_percent",
            "alerts.failure_alert_percent",
            "the alert would come before the warning",
        ),
        (
            "sla.breach_rate_warn_percent",
            "sla.breach_rate_critical_percent",
            "critical would come before warning",
        ),
    ):
        first, second = values[lower], values[upper]
        if isinstance(first, int) and isinstance(second, int) and first > second:
            yield f"{lower} ({first}) is above {upper} ({second}); {why}"
    if not policy.delivery.look_up:
        yield "delivery.look_up is off; replies would be sent twice"


def _words(policy: Policy) -> Iterator[str]:
    for path, value in flatten(policy):
        if isinstance(value, tuple) and any(isinstance(v, str) and not v.strip(" *") for v in value):
            yield f"{path} holds an empty word"
        elif isinstance(value, str) and not value.strip():
            yield f"{path} is empty"
    for status in policy.sla.pause_statuses:
        if status not in [s.value for s in Status]:
            yield f"sla.pause_statuses: {status} is no status; use {', '.join(s.value for s in Status)}"
    if not policy.escalation.reasons:
        yield "escalation.reasons is empty; nobody could escalate"
    if policy.labels.escalation.casefold() not in {label.casefold() for label in policy.labels.escalated}:
        yield "labels.escalation is not among labels.escalated; an escalated case would not look escalated"


def _roles(policy: Policy) -> Iterator[str]:
    named = [("escalation.target", policy.escalation.target)]
    named += [(f"refund.tiers[{i}].role", tier.role) for i, tier in enumerate(policy.refund.tiers)]
    named += [(f"guardrails.overridable.{o.code}", o.role) for o in policy.guardrails.overridable]
    named += [(f"escalation.assign[{i}].role", a.role) for i, a in enumerate(policy.escalation.assign)]
    for path, role in named:
        if role.rank == 0:
            acting = ", ".join(r.value for r in Role if r.rank)
            yield f"{path} is {role.value}, who reads and does not act; use one of {acting}"
    codes = [o.code for o in policy.guardrails.overridable]
    for code in dict.fromkeys(c for c in codes if codes.count(c) > 1):
        yield f"guardrails.overridable names {code} more than once"
    given = [a.role for a in policy.escalation.assign]
    for role in dict.fromkeys(r for r in given if given.count(r) > 1):
        yield f"escalation.assign names {role.value} more than once"
    for i, a in enumerate(policy.escalation.assign):
        if not (a.team.strip() or a.assignee.strip()):
            yield f"escalation.assign[{i}] names neither a team nor an assignee"
