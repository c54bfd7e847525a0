"""Every guardrail just inside and just outside its threshold, who may go against it, and what it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.domain import guardrails, sla
from cairnops.domain import policy as policies
from cairnops.domain.conversations import (
    Actor,
    Author,
    Conversation,
    Message,
    Order,
    Role,
    Status,
    StatusChange,
)
from cairnops.domain.guardrails import GUARDRAILS, Case
from cairnops.domain.policy import GuardrailPolicy, Overridable, Policy
from cairnops.domain.requests import DECISION_NAMES, Action, Facts, Flags, FollowUp, PastDecision, Request
from cairnops.domain.rules import Severity, Verdict, worst
from cairnops.domain.suggestions import Source, Suggestion

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
DRY_RUN, PARITY, PILOT = (policies.profile(name) for name in policies.PROFILES)
BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO
SECOND = timedelta(seconds=1)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def said(*lines: str) -> tuple[Message, ...]:
    """Messages from "c -30 text": who (c, a, n for a note), how many minutes ago, what."""
    out = []
    for i, line in enumerate(lines):
        who, minutes, text = line.split(" ", 2)
        author = Author.CUSTOMER if who == "c" else Author.AGENT
        at = NOW + timedelta(minutes=float(minutes))
        out.append(Message(id=str(i), author=author, text=text, at=at, private=who == "n"))
    return tuple(out)


def conversation(*lines: str, **changes) -> Conversation:
    messages = said(*(lines or ("c -20 When will my order come?",)))
    given_ = {
        "id": "7",
        "customer": "Jordan Lee",
        "customer_key": "jordan@example.com",
        "status": Status.OPEN,
        "created_at": min(m.at for m in messages),
        "messages": messages,
    }
    return Conversation(**(given_ | changes))


def template(text: str = "Hi Jordan, it is on its way.", template_id: str = "ship_update") -> Suggestion:
    return Suggestion(source=Source.TEMPLATE, template_id=template_id, text=text)


def ai(age: timedelta | None, text: str = "Hi Jordan, it is on its way.") -> Suggestion:
    built = None if age is None else NOW - age
    return Suggestion(source=Source.AI, template_id="ship_update", text=text, index_generated_at=built)


REFUND = template("Hi Jordan, I can offer you a refund.", "refund_offer")
ORDER = Order(number="#EVR-1062", total_minor=32_500)


def judged(
    talk: Conversation | None = None,
    *,
    action: Action = Action.APPROVE_SEND,
    role: Role = Role.OPERATOR,
    policy: Policy = DRY_RUN,
    text: str | None = None,
    override: str = "",
    follow_up: FollowUp | None = None,
    **facts,
) -> dict[str, Verdict]:
    """The verdicts on one request, by code."""
    talk = talk or conversation()
    facts = {"suggestion": template(), "flags": Flags(ai_escalations=True)} | facts
    case = Case(
        request=Request(
            action=action,
            conversation=talk.id,
            actor=Actor(email="op@example.com", role=role),
            key="k",
            text=text,
            override=override,
            follow_up=follow_up,
        ),
        facts=Facts(conversation=talk, version=1, **facts),
        sla=sla.read(talk, policy.sla, NOW),
        policy=policy,
        now=NOW,
    )
    return {v.code: v for v in guardrails.judge(case)}


def past(action: Action, at: datetime, number: int = 104) -> PastDecision:
    return PastDecision(uid="u", number=number, action=DECISION_NAMES[action], actor="sam@example.com", at=at)


def order(cents: int | None, **changes) -> Conversation:
    return conversation(
        "c -20 It broke, I want a refund.", order=replace(ORDER, total_minor=cents, **changes)
    )


def history(*changes: tuple[Status, timedelta]) -> Conversation:
    entries = tuple(StatusChange(status=status, at=NOW - before) for status, before in changes)
    return conversation("c -400 Hello?", status_changes=entries)


def promised(*more: str, **changes) -> Conversation:
    return conversation("c -300 Where is it?", "a -200 I'll get back to you tomorrow.", *more, **changes)


def approved(talk: str, *spans: timedelta) -> dict:
    """A customer who said something, and replies approved so long ago."""
    decisions = tuple(past(Action.APPROVE_SEND, NOW - span) for span in spans)
    return {"talk": conversation(talk), "decisions": decisions}


def breached(talk: str, *spans: timedelta) -> dict:
    """A conversation beside earlier breaches of the same customer."""
    return {"talk": conversation(talk), "other_breaches": tuple(NOW - span for span in spans)}


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PENDING = {"talk": order(1, refund_pending=True)}
OWNED = FollowUp(owner="Sam", due=NOW)

#: Minutes since the customer's last message at which a breach (60 min) is exactly two hours old.
TWO_HOURS = 60 + 120

CASES = [
    # code, expected severity (None: silent), arguments of `judged`
    *(
        pytest.param("risk.high_risk_language", severity, args, id=f"high risk: {name}")
        for name, severity, args in [
            ("a lawyer", BLOCK, {"talk": conversation("c -20 My lawyer will write to you.")}),
            ("in an answered message", BLOCK, {"talk": conversation("c -90 Fraud!", "a -80 Sorry.", "c -5 Well?")}),
            ("said by the team", None, {"talk": conversation("c -90 Hello", "a -80 No legal advice here.")}),
            ("in a private note", None, {"talk": conversation("c -90 Hello", "n -80 Mentions a lawyer.")}),
            ("part of a word", None, {"talk": conversation("c -90 It is illegally slow.")}),
            ("escalating is the way out", None, {"talk": conversation("c -9 I'll sue."), "action": Action.ESCALATE}),
            ("parity has no list", None, {"talk": conversation("c -9 I'll sue."), "policy": PARITY}),
            ("pilot has", BLOCK, {"talk": conversation("c -9 I'll sue."), "policy": PILOT}),
        ]
    ),
    *(
        pytest.param("risk.supervisor_requested", severity, args, id=f"supervisor: {name}")
        for name, severity, args in [
            ("asked for", BLOCK, {"talk": conversation("c -20 Let me speak to your manager.")}),
            ("asked for and answered", None, {"talk": conversation("c -90 Manager!", "a -80 It is me.", "c -5 Ok")}),
            ("not asked for", None, {}),
        ]
    ),
    *(
        pytest.param("refund.above_tier", severity, {"suggestion": REFUND} | args, id=f"refund: {name}")
        for name, severity, args in [
            ("operator, 100.00", None, {"talk": order(10_000)}),
            ("operator, 100.01 tells a lead", WARN, {"talk": order(10_001)}),
            ("operator, 325.00 of scenario B", WARN, {"talk": order(32_500)}),
            ("operator, 500.00", WARN, {"talk": order(50_000)}),
            ("operator, 500.01", BLOCK, {"talk": order(50_001)}),
            ("lead, 500.00", None, {"talk": order(50_000), "role": Role.LEAD}),
            ("lead, 500.01", BLOCK, {"talk": order(50_001), "role": Role.LEAD}),
            ("manager, 900.00", None, {"talk": order(90_000), "role": Role.MANAGER}),
            ("admin, 900.00", None, {"talk": order(90_000), "role": Role.ADMIN}),
            ("pilot operator, 100.00", None, {"talk": order(10_000), "policy": PILOT}),
            ("pilot operator, 100.01", BLOCK, {"talk": order(10_001), "policy": PILOT}),
            ("pilot lead, 100.01", BLOCK, {"talk": order(10_001), "role": Role.LEAD, "policy": PILOT}),
            ("pilot manager, 900.00", None, {"talk": order(90_000), "role": Role.MANAGER, "policy": PILOT}),
            ("parity operator, 500.01", BLOCK, {"talk": order(50_001), "policy": PARITY}),
            ("amount unknown", WARN, {"talk": order(None)}),
            ("amount unknown, manager", None, {"talk": order(None), "role": Role.MANAGER}),
            ("no order at all", WARN, {}),
            ("another reply", None, {"talk": order(90_000), "suggestion": template()}),
            ("promised by hand", BLOCK, {"talk": order(90_000), "suggestion": None, "text": "Your money back."}),
            ("promised in an edit", BLOCK, {"talk": order(90_000), "suggestion": template(), "text": "A refund."}),
            ("edited out of the offer", BLOCK, {"talk": order(90_000), "text": "Hi Jordan, one moment."}),
            ("escalating promises nothing", None, {"talk": order(90_000), "action": Action.ESCALATE}),
            ("resolving promises nothing", None, {"talk": order(90_000), "action": Action.MARK_RESOLVED}),
        ]
    ),
    *(
        pytest.param("suggestion.missing", severity, args, id=f"missing: {name}")
        for name, severity, args in [
            ("nothing shown", BLOCK, {"suggestion": None}),
            ("written by hand", None, {"suggestion": None, "text": "Hi Jordan, here I am."}),
            ("blanks are nothing", BLOCK, {"suggestion": None, "text": " \n"}),
            ("there is one", None, {}),
            ("not needed to escalate", None, {"suggestion": None, "action": Action.ESCALATE}),
        ]
    ),
    *(
        pytest.param(code, severity, args, id=f"{code.partition('.')[2]}: {name}")
        for code, name, severity, args in [
            ("suggestion.wrong_name", "another name", BLOCK, {"suggestion": template("Hi Alex, hello.")}),
            ("suggestion.wrong_name", "edited into another name", BLOCK, {"text": "Dear Ms Morgan, hello."}),
            ("suggestion.wrong_name", "corrected", None, {"suggestion": template("Hi Alex."), "text": "Hi Jordan."}),
            ("suggestion.placeholder_left", "left", BLOCK, {"suggestion": template("Hi [name?], hello.")}),
            ("suggestion.placeholder_left", "typed", BLOCK, {"text": "Hi Jordan, your code is {{code}}."}),
            ("suggestion.placeholder_left", "filled", None, {"suggestion": template("[name?]"), "text": "Hi Jordan"}),
            ("suggestion.wrong_category", "refund for a delay", WARN, {"suggestion": REFUND}),
            ("suggestion.wrong_category", "fits", None, {"talk": conversation("c -9 Where is the delivery?")}),
            ("suggestion.wrong_category", "by hand", None, {"suggestion": None, "text": "Hi Jordan."}),
            ("suggestion.name_missing", "no name", WARN, {"suggestion": template("It is on its way.")}),
            ("suggestion.name_missing", "nobody knows it", WARN, {"talk": conversation(customer=""), "text": "Hello!"}),
            ("suggestion.name_missing", "named", None, {}),
        ]
    ),
    *(
        pytest.param("suggestion.ai_unavailable", severity, args, id=f"ai off: {name}")
        for name, severity, args in [
            ("approving", INFO, {"flags": Flags()}),
            ("escalating", INFO, {"flags": Flags(), "action": Action.ESCALATE}),
            ("resolving", INFO, {"flags": Flags(), "action": Action.MARK_RESOLVED}),
            ("it is on", None, {}),
        ]
    ),
    *(
        pytest.param("suggestion.index_stale", severity, args, id=f"index: {name}")
        for name, severity, args in [
            ("exactly 24 h", None, {"suggestion": ai(timedelta(hours=24))}),
            ("24 h and a second", WARN, {"suggestion": ai(timedelta(hours=24) + SECOND)}),
            ("exactly 36 h", WARN, {"suggestion": ai(timedelta(hours=36))}),
            ("36 h and a second", BLOCK, {"suggestion": ai(timedelta(hours=36) + SECOND)}),
            ("newer than now", None, {"suggestion": ai(-timedelta(hours=1))}),
            ("nobody says", WARN, {"suggestion": ai(None)}),
            ("a template has none", None, {}),
            # Three hours old when the session began two days ago: fresh, as the session's people saw it.
            (
                "fresh when the session began",
                None,
                {"suggestion": ai(timedelta(hours=51)), "session_started_at": ago(hours=48)},
            ),
            (
                "stale when the session began",
                BLOCK,
                {"suggestion": ai(timedelta(hours=90)), "session_started_at": ago(hours=48)},
            ),
            ("rebuilt during it", None, {"suggestion": ai(timedelta(0)), "session_started_at": ago(hours=2)}),
        ]
    ),
    *(
        pytest.param("escalation.already_escalated", severity, args, id=f"escalated: {name}")
        for name, severity, args in [
            ("tagged", BLOCK, {"talk": conversation(tags=("vip", "Escalation"))}),
            ("tagged the old way", BLOCK, {"talk": conversation(tags=("escalated",))}),
            ("a similar tag", None, {"talk": conversation(tags=("escalation-done",))}),
            ("decided, label not yet seen", BLOCK, {"decisions": (past(Action.ESCALATE, ago(minutes=5)),)}),
            ("another decision", None, {"decisions": (past(Action.MARK_RESOLVED, ago(minutes=5)),)}),
            ("resolving is allowed", None, {"talk": conversation(tags=("escalated",)), "action": Action.MARK_RESOLVED}),
        ]
    ),
    *(
        pytest.param(code, severity, {"action": Action.MARK_RESOLVED} | args, id=f"resolve: {name}")
        for code, name, severity, args in [
            ("resolve.refund_pending", "refund pending", BLOCK, PENDING),
            ("resolve.refund_pending", "refund done", None, {"talk": order(1)}),
            ("resolve.refund_pending", "no order", None, {}),
            ("resolve.refund_pending", "and replying", None, PENDING | {"action": Action.APPROVE_SEND}),
            ("resolve.return_in_progress", "return under way", BLOCK, {"talk": order(1, return_in_progress=True)}),
            ("resolve.return_in_progress", "nothing comes back", None, {"talk": order(1)}),
            ("resolve.follow_up_unowned", "promised", BLOCK, {"talk": promised()}),
            ("resolve.follow_up_unowned", "thanked since", BLOCK, {"talk": promised("c -9 Ok", "a -8 Thanks!")}),
            ("resolve.follow_up_unowned", "in a note", None, {"talk": conversation("c -9 Hi", "n -8 Will follow up")}),
            ("resolve.follow_up_unowned", "the customer did", None, {"talk": conversation("c -9 I'll follow up")}),
            ("resolve.follow_up_unowned", "owned already", None, {"talk": promised(), "follow_ups": (OWNED,)}),
            ("resolve.follow_up_unowned", "owned by this", None, {"talk": promised(), "follow_up": OWNED}),
        ]
    ),
    *(
        pytest.param("sla.breach_age", severity, args, id=f"breach age: {name}")
        for name, severity, args in [
            ("exactly 2 h", None, {"talk": conversation(f"c {-TWO_HOURS} Hello?")}),
            ("2 h and a second", WARN, {"talk": conversation(f"c {-TWO_HOURS - 1 / 60} Hello?")}),
            ("within the SLA", None, {}),
            ("answered late is over", None, {"talk": conversation("c -600 Hello?", "a -10 Sorry, Jordan.")}),
            ("also on escalating", WARN, {"talk": conversation("c -600 Hello?"), "action": Action.ESCALATE}),
            # The legacy clock never stops, and counts from creation.
            ("parity goes on", WARN, {"talk": conversation("c -600 Hello?", "a -10 Sorry."), "policy": PARITY}),
            ("parity, 2 h after 30 min", None, {"talk": conversation("c -150 Hello?"), "policy": PARITY}),
            ("parity, a minute later", WARN, {"talk": conversation("c -151 Hello?"), "policy": PARITY}),
        ]
    ),
    *(
        pytest.param("follow_up.no_acknowledgement", severity, args, id=f"no word: {name}")
        for name, severity, args in [
            ("exactly 24 h", None, approved("c -1500 Hi", DAY)),
            ("24 h and a second", WARN, approved("c -1500 Hi", DAY + SECOND)),
            ("they wrote since", None, approved("c -20 Hi", 30 * HOUR)),
            ("nothing was approved", None, {"decisions": (past(Action.ESCALATE, ago(hours=30)),)}),
            ("the newest reply counts", None, approved("c -4000 Hi", 50 * HOUR, HOUR)),
        ]
    ),
    *(
        pytest.param("customer.repeat_breach", severity, args, id=f"repeat: {name}")
        for name, severity, args in [
            ("this and one before", WARN, breached("c -61 Hi", 3 * DAY)),
            ("exactly 7 days ago", WARN, breached("c -61 Hi", 7 * DAY)),
            ("7 days and a second ago", None, breached("c -61 Hi", 7 * DAY + SECOND)),
            ("only this one", None, breached("c -61 Hi")),
            ("this one in time", None, breached("c -60 Hi", 3 * DAY)),
            ("two before, none now", WARN, breached("c -20 Hi", 3 * DAY, 4 * DAY)),
            ("dated after now", None, breached("c -61 Hi", -DAY)),
            ("answered late", WARN, {"talk": conversation("c -90 Hi", "a -5 Sorry"), "other_breaches": (ago(days=3),)}),
            (
                "answered late long ago",
                None,
                {"talk": conversation("c -20000 Hi", "a -19000 Sorry"), "other_breaches": (ago(days=3),)},
            ),
        ]
    ),
    *(
        pytest.param("conversation.rapid_reopen", severity, {"talk": talk}, id=f"reopened: {name}")
        for name, severity, talk in [
            ("after exactly 30 min", WARN, history((Status.RESOLVED, minutes(60)), (Status.OPEN, minutes(30)))),
            ("a second later", None, history((Status.RESOLVED, minutes(60)), (Status.OPEN, minutes(30) - SECOND))),
            ("as pending", WARN, history((Status.RESOLVED, minutes(20)), (Status.PENDING, minutes(10)))),
            ("never", None, history((Status.OPEN, timedelta(hours=6)))),
            (
                "rapidly once, slowly since",
                None,
                history(
                    (Status.RESOLVED, timedelta(days=30)),
                    (Status.OPEN, timedelta(days=30) - minutes(5)),
                    (Status.RESOLVED, timedelta(days=29)),
                    (Status.OPEN, minutes(40)),
                ),
            ),
            (
                "and snoozed since",
                WARN,
                history(
                    (Status.RESOLVED, minutes(60)),
                    (Status.OPEN, minutes(50)),
                    (Status.SNOOZED, minutes(40)),
                    (Status.OPEN, minutes(30)),
                ),
            ),
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "severity", "args"), CASES)
def test_it_speaks_when_it_should_and_only_then(code: str, severity: Severity | None, args: dict) -> None:
    found = judged(**args).get(code)
    assert (found.severity if found else None) == severity


@pytest.mark.parametrize("guard", GUARDRAILS, ids=lambda g: g.rule.code)
def test_each_guardrail_has_cases_on_both_sides_and_a_switch(guard: guardrails.Guardrail) -> None:
    mine = [case.values for case in CASES if case.values[0] == guard.rule.code]
    spoke = [args for _, severity, args in mine if severity is not None]
    assert spoke and len(spoke) < len(mine)
    off = replace(DRY_RUN, guardrails=replace(DRY_RUN.guardrails, disabled=(guard.rule.code,)))
    assert guard.rule.code in judged(**spoke[0])
    assert guard.rule.code not in judged(**{**spoke[0], "policy": off})


SENTENCES = [
    pytest.param(
        "risk.high_risk_language",
        {"talk": conversation("c -20 I'll call my lawyer about this chargeback.")},
        "The customer wrote “lawyer”, “chargeback”; an operator does not answer that.",
        id="high risk",
    ),
    pytest.param(
        "risk.supervisor_requested",
        {"talk": conversation("c -20 Get me your Manager")},
        "The customer asks for somebody in charge: “manager”.",
        id="supervisor",
    ),
    pytest.param(
        "refund.above_tier",
        {"talk": order(50_001), "suggestion": REFUND},
        "The order came to USD 500.01; above USD 500.00 only a manager may offer it back.",
        id="refund blocked",
    ),
    pytest.param(
        "refund.above_tier",
        {"talk": order(32_500, currency="CAD"), "suggestion": REFUND},
        "The order came to CAD 325.00; above CAD 100.00 tell a lead.",
        id="refund to tell",
    ),
    pytest.param(
        "refund.above_tier",
        {"suggestion": REFUND},
        "The reply offers money back and nobody knows how much the order came to.",
        id="refund of an unknown amount",
    ),
    pytest.param(
        "suggestion.wrong_name",
        {"suggestion": template("Hi Alex, hello.")},
        "The text addresses Alex; the customer is Jordan Lee.",
        id="wrong name",
    ),
    pytest.param(
        "suggestion.ai_unavailable",
        {"flags": Flags()},
        "AI unavailable: the reply shown is the ship_update template.",
        id="ai off, template",
    ),
    pytest.param(
        "suggestion.ai_unavailable",
        {"flags": Flags(), "suggestion": None},
        "AI unavailable, and no template fits either.",
        id="ai off, nothing",
    ),
    pytest.param(
        "suggestion.ai_unavailable",
        {"flags": Flags(), "suggestion": ai(timedelta(hours=1))},
        "AI unavailable: it was switched off after this reply was suggested.",
        id="ai switched off since",
    ),
    pytest.param(
        "suggestion.index_stale",
        {"suggestion": ai(timedelta(hours=24, minutes=30))},
        "The index behind this suggestion was built 24 h 30 min ago.",
        id="index, outside a session",
    ),
    pytest.param(
        "suggestion.index_stale",
        {"suggestion": ai(timedelta(hours=90)), "session_started_at": ago(hours=48)},
        "The index behind this suggestion was built 42 h 00 min before the session began.",
        id="index, in a session",
    ),
    pytest.param(
        "escalation.already_escalated",
        {"decisions": (past(Action.ESCALATE, ago(minutes=5)),)},
        "sam@example.com escalated this case (decision 104).",
        id="escalated",
    ),
    pytest.param(
        "resolve.refund_pending",
        {"talk": order(1, refund_pending=True), "action": Action.MARK_RESOLVED},
        "The refund for #EVR-1062 is not finished.",
        id="refund pending",
    ),
    pytest.param(
        "resolve.follow_up_unowned",
        {"talk": promised(), "action": Action.MARK_RESOLVED},
        "The customer was told “get back to you”, and no follow-up with owner and due time is recorded.",
        id="promise",
    ),
    pytest.param(
        "sla.breach_age",
        {"talk": conversation("c -245 Hello?")},
        "Breached for 3 h 05 min, counted from the customer's last message.",
        id="breach age",
    ),
    pytest.param(
        "follow_up.no_acknowledgement",
        {"talk": conversation("c -1600 Hi"), "decisions": (past(Action.APPROVE_SEND, ago(hours=25)),)},
        "No word from Jordan Lee in the 25 h 00 min since decision 104.",
        id="no word",
    ),
    pytest.param(
        "customer.repeat_breach",
        {"talk": conversation("c -61 Hi", customer=""), "other_breaches": (ago(days=3),)},
        "2 breaches for the customer (no name known) in 7 days.",
        id="repeat",
    ),
    pytest.param(
        "conversation.rapid_reopen",
        {"talk": history((Status.RESOLVED, minutes(30)), (Status.OPEN, minutes(18)))},
        "Reopened 12 min after it was resolved.",
        id="reopened",
    ),
]


@pytest.mark.parametrize(("code", "args", "sentence"), SENTENCES)
def test_the_sentence_holds_the_facts_of_the_case(code: str, args: dict, sentence: str) -> None:
    assert judged(**args)[code].sentence == sentence


@pytest.mark.parametrize(
    ("role", "tier"),
    [
        pytest.param(Role.ADMIN, "an admin", id="an"),
        pytest.param(Role.LEAD, "a lead", id="a"),
    ],
)
def test_roles_are_named_with_their_article(role: Role, tier: str) -> None:
    refund = replace(PILOT.refund, tiers=(policies.RefundTier(above=100, role=role, severity=BLOCK),))
    found = judged(order(20_000), suggestion=REFUND, policy=replace(PILOT, refund=refund))[
        "refund.above_tier"
    ]
    assert f"only {tier} may" in found.sentence
    assert found.threshold == f"> 100 → {role.value}"


def test_a_tier_that_blocks_is_heard_before_a_higher_one_that_warns() -> None:
    tiers = (
        policies.RefundTier(above=100, role=Role.MANAGER, severity=BLOCK),
        policies.RefundTier(above=500, role=Role.ADMIN, severity=WARN),
    )
    policy = replace(DRY_RUN, refund=replace(DRY_RUN.refund, tiers=tiers))
    found = judged(order(60_000), suggestion=REFUND, policy=policy)["refund.above_tier"]
    assert (found.severity, found.threshold) == (BLOCK, "> 100 → manager")


ESCALATED = conversation(tags=("escalation",))


@pytest.mark.parametrize(
    ("role", "reason", "overridden"),
    [
        pytest.param(Role.LEAD, "Agreed with Riley", True, id="the role, with a reason"),
        pytest.param(Role.MANAGER, "Agreed with Riley", True, id="a higher role"),
        pytest.param(Role.OPERATOR, "Agreed with Riley", False, id="a lower role"),
        pytest.param(Role.QA, "Agreed with Riley", False, id="a role that reads"),
        pytest.param(Role.LEAD, "", False, id="no reason"),
        pytest.param(Role.LEAD, " \t", False, id="a reason of blanks"),
    ],
)
def test_a_block_is_overridden_by_the_role_the_policy_names_with_a_reason(
    role: Role, reason: str, overridden: bool
) -> None:
    found = judged(ESCALATED, role=role, override=reason)["escalation.already_escalated"]
    assert (found.severity, found.override_role, found.overridden) == (BLOCK, "lead", overridden)
    assert (worst([found]) is None) == overridden


@pytest.mark.parametrize(
    "args",
    [
        pytest.param({"suggestion": None}, id="suggestion.missing"),
        pytest.param({"suggestion": template("Hi Alex.")}, id="suggestion.wrong_name"),
        pytest.param({"suggestion": template("Hi [name?]")}, id="suggestion.placeholder_left"),
    ],
)
def test_what_the_policy_does_not_list_nobody_overrides(args: dict, request: pytest.FixtureRequest) -> None:
    found = judged(role=Role.ADMIN, override="I am the admin", **args)[request.node.callspec.id]
    assert (found.override_role, found.overridden) == ("", False)


def test_a_warning_has_nothing_to_override() -> None:
    listed = GuardrailPolicy(overridable=(Overridable(code="sla.breach_age", role=Role.OPERATOR),))
    found = judged(
        conversation("c -600 Hello?"), policy=replace(DRY_RUN, guardrails=listed), override="because"
    )["sla.breach_age"]
    assert (found.override_role, found.overridden) == ("", False)


def test_blocks_come_first_and_otherwise_the_catalogue_s_order_holds() -> None:
    found = judged(
        conversation("c -600 My lawyer, and your manager!", tags=("escalated",)),
        suggestion=template("It is on its way."),
        flags=Flags(),
    )
    order_ = [g.rule.code for g in GUARDRAILS]
    blocks = [c for c, v in found.items() if v.severity is BLOCK]
    others = [c for c, v in found.items() if v.severity is not BLOCK]
    assert list(found) == blocks + others
    assert blocks == sorted(blocks, key=order_.index) and len(blocks) == 3
    assert others == sorted(others, key=order_.index) and len(others) == 3


@settings(deadline=None)
@given(cents=st.integers(0, 200_000), role=st.sampled_from([r for r in Role if r.rank]))
def test_a_higher_role_is_never_held_back_more(cents: int, role: Role) -> None:
    grave = {None: 0, INFO: 1, WARN: 2, BLOCK: 3}

    def severity(who: Role) -> int:
        found = judged(order(cents), suggestion=REFUND, role=who).get("refund.above_tier")
        return grave[found.severity if found else None]

    assert all(severity(role) >= severity(higher) for higher in Role if higher.rank > role.rank)


@settings(deadline=None)
@given(cents=st.integers(0, 10**12))
def test_money_is_written_to_the_cent(cents: int) -> None:
    currency, amount = guardrails.money(cents, "USD").split()
    whole, fraction = amount.split(".")
    assert currency == "USD" and len(fraction) == 2 and int(whole) * 100 + int(fraction) == cents


def test_a_modal_just_opened_shows_what_approving_would_meet() -> None:
    facts = Facts(conversation=ESCALATED, version=1, flags=Flags(), suggestion=template())
    request = Request(
        action=Action.APPROVE_SEND, conversation="7", actor=Actor(email="op@example.com"), key="p"
    )
    shown = guardrails.preview(facts, request, DRY_RUN, NOW)
    assert [v.code for v in shown] == [
        "escalation.already_escalated",
        "suggestion.wrong_category",
        "suggestion.ai_unavailable",
    ]
