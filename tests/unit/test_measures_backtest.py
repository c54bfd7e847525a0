"""What another policy would have made of past decisions, against the domain that made them."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cairnops import codec
from cairnops.analytics import backtest as tests
from cairnops.analytics import inputs
from cairnops.analytics.inputs import Material
from cairnops.desk.desk import Desk
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
from cairnops.domain.policy import Policy, RefundTier
from cairnops.domain.requests import Action, Flags, Request
from cairnops.domain.rules import Severity
from cairnops.evidence import exports
from cairnops.store.engine import open_sqlite
from cairnops.store.ledger import SqlLedger

T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
POLICY = policies.profile("dry-run")
ALEX = Actor(email="alex@shop.example")
MIA = Actor(email="mia@shop.example", role=Role.MANAGER)


def case(key: str, text: str, minutes: int, **over: Any) -> Conversation:
    asked = T0 - timedelta(minutes=minutes)
    fields_ = {
        "id": key, "customer": "Alex Rivera", "customer_key": f"{key}@example.test", "status": Status.OPEN,
        "created_at": asked, "messages": (Message(id=f"{key}1", author=Author.CUSTOMER, text=text, at=asked),),
    }  # fmt: skip
    return Conversation(**(fields_ | over))


def effect(c: Conversation, text: str, at: datetime, **over: Any) -> Conversation:
    """The conversation as the help desk shows it once a reply has gone out."""
    said = Message(id=f"{c.id}r", author=Author.AGENT, text=text, at=at)
    return replace(c, messages=(*c.messages, said), **over)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Nine decisions made at a real desk, and their conversations as they stood afterwards."""
    return list(_made(tmp_path_factory.mktemp("backtest")))


def _made(folder: Path) -> Iterator[dict[str, Any]]:
    engine = open_sqlite(folder / "ledger.db")
    ledger = SqlLedger(engine)
    clock = {"at": T0}
    desk = Desk(ledger, POLICY, Flags(), lambda: clock["at"], "shop.example")

    def work(c: Conversation, action: Action, actor: Actor = ALEX, **over: Any) -> None:
        desk.observe(c, actor)
        view = desk.open(c.id, actor, key=f"o{c.id}{clock['at']}", session="")
        asked = Request(
            action=action, conversation=c.id, actor=actor, key=f"r{c.id}{clock['at']}",
            suggestion=view.suggestion_uid, **over,
        )  # fmt: skip
        receipt = desk.submit(asked)
        assert receipt.number, receipt.sentence
        sent = over.get("text") or (view.suggestion.text if view.suggestion else "")
        after = {
            Action.APPROVE_SEND: lambda: effect(c, sent, clock["at"]),
            Action.ESCALATE: lambda: replace(c, tags=(*c.tags, "escalation")),
            Action.MARK_RESOLVED: lambda: replace(
                c,
                status=Status.RESOLVED,
                status_changes=(*c.status_changes, StatusChange(status=Status.RESOLVED, at=clock["at"])),
            ),
        }[action]()
        clock["at"] += timedelta(minutes=1)
        desk.observe(after, actor)

    order = Order(number="#1", total_minor=32_500)
    work(case("1", "It arrived damaged, I want a refund.", 20, order=order), Action.APPROVE_SEND)
    work(case("2", "Where is my order?", 90), Action.APPROVE_SEND)
    work(case("3", "Where is my order?", 200, priority="urgent"), Action.APPROVE_SEND)
    work(
        case("4", "Please make an exception.", 10),
        Action.ESCALATE,
        reason="policy_exception",
        note="wants more",
    )
    work(case("5", "Thanks, it came.", 30), Action.MARK_RESOLVED)
    work(case("6", "Any news?", 45), Action.APPROVE_SEND, text="Hi Alex, we are on it.")
    work(
        case("7", "My lawyer will call.", 10), Action.APPROVE_SEND, MIA,
        text="Hi Alex, I will ring you.", override="agreed with legal",
    )  # fmt: skip
    reopened = (
        StatusChange(status=Status.RESOLVED, at=T0 - timedelta(minutes=50)),
        StatusChange(status=Status.OPEN, at=T0 - timedelta(minutes=40)),
    )
    work(case("8", "Still waiting for news.", 55, status_changes=reopened), Action.APPROVE_SEND)
    twice = case("9", "Where is it?", 20, tags=("escalation",))
    work(twice, Action.ESCALATE, reason="unsure", note="again")
    try:
        for shape in ("decisions", "conversations"):
            yield from exports.rows(ledger, shape, texts=True)  # type: ignore[arg-type]
    finally:
        engine.dispose()


def judged(rows: list[dict[str, Any]], policy: Policy, **over: Any) -> dict[str, Any]:
    return tests.backtest(inputs.of_rows(rows), policy, **over).to_dict()


def without_texts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**r, "messages": [{k: v for k, v in m.items() if k != "text"} for m in r["messages"]]}
        if "messages" in r
        else r
        for r in rows
    ]


def changed(**sections: dict[str, Any]) -> Policy:
    out = POLICY
    for name, values in sections.items():
        out = replace(out, **{name: replace(getattr(out, name), **values)})
    return out


def test_under_its_own_policy_every_decision_comes_out_as_recorded(rows: list[dict[str, Any]]) -> None:
    found = inputs.of_rows(rows)
    assert len(found.decided) == 9
    for d in found.decided:
        own_case = next(c for c in found.cases if c.conversation.ref == d.conversation)
        same = [x for x in found.decided if x.conversation == d.conversation]
        again = tests._Again(d, own_case, same, POLICY)
        words = [
            {rule: word for rule, (word, _) in judged.items()}
            for judged in (again.judge(POLICY), tests._recorded(d))
        ]
        assert words[0] == words[1], d.decision_id
    data = judged(rows, POLICY)
    assert (data["differing"], data["unjudged"], data["exitCode"]) == (0, [], 0)


@pytest.mark.parametrize(
    ("policy", "differing", "kinds"),
    [
        pytest.param(
            changed(refund={"tiers": (RefundTier(above=300, role=Role.LEAD, severity=Severity.BLOCK),)}),
            {"refund.above_tier": {"1"}}, {"warn → block"}, id="a lower refund limit",
        ),
        pytest.param(
            changed(suggestions={"high_risk_words": ("exception",)}),
            {"risk.high_risk_language": {"7"}}, {"overridden → silent"}, id="other words",
        ),
        pytest.param(
            changed(sla={"minutes": 40, "priority_minutes": 30}),
            {"sla.breach": {"6"}, "sla.triage": {"6"}}, {"within → breached", "none → P2"},
            id="a shorter SLA",
        ),
        pytest.param(
            changed(escalation={"reasons": ("unsure",)}),
            {"escalation.reason_unknown": {"4"}}, {"silent → refused"}, id="fewer reasons",
        ),
        pytest.param(
            changed(guardrails={"rapid_reopen_minutes": 5}),
            {"conversation.rapid_reopen": {"8"}}, {"warn → silent"}, id="a shorter window",
        ),
        pytest.param(
            changed(guardrails={"disabled": ("risk.high_risk_language",)}),
            {"risk.high_risk_language": {"7"}}, {"overridden → silent"}, id="a rule switched off",
        ),
        pytest.param(
            changed(guardrails={"overridable": ()}),
            {"risk.high_risk_language": {"7"}}, {"overridden → block"}, id="nobody may override",
        ),
        pytest.param(changed(alerts={"p95_ms": 5}), {}, set(), id="what no decision is judged by"),
    ],
)  # fmt: skip
def test_a_changed_policy(
    policy: Policy, differing: dict[str, set[str]], kinds: set[str], rows: list[dict[str, Any]]
) -> None:
    data = judged(rows, policy)
    found = {
        d["rule"]: {e["conversation"].removeprefix("chatwoot:") for e in d["examples"]}
        for d in data["differences"]
    }
    assert found == differing
    assert {k for d in data["differences"] for k in d["kinds"]} == kinds
    assert data["exitCode"] == (1 if differing else 0)
    stopped = {
        e["uid"] for d in data["differences"] for e in d["examples"] if e["after"] in ("block", "refused")
    }
    assert data["wouldBeRefused"] == len(stopped)


def variations(value: object) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (1, value + 7, value * 50 + 1)
    elif isinstance(value, tuple):
        yield ()
        if all(isinstance(v, str) for v in value):
            yield (
                *value,
                "order",
                "exception",
                "escalation",
                "suggestion.missing",
                "conversation.rapid_reopen",
            )
    elif value == "word_boundary":
        yield "legacy_substring"
    elif value == "last_customer_message":
        yield from ("conversation_created", "first_unanswered_customer_message")
    elif value == "first_operator_action":
        yield "never"


ASSIGNED = [(policies.Assignment(role=role, team="CX leads"),) for role in (Role.LEAD, Role.MANAGER)]


def varied() -> Iterator[Any]:
    for section in fields(Policy):
        part = getattr(POLICY, section.name)
        if is_dataclass(part):
            for field in fields(part):
                given = getattr(part, field.name)
                # Nobody is named in the profile, and a name alone is no assignment.
                values = ASSIGNED if field.name == "assign" else variations(given)
                for place, value in enumerate(values):
                    yield pytest.param(
                        section.name, field.name, value, id=f"{section.name}.{field.name}-{place}"
                    )


@pytest.mark.parametrize(("section", "field", "value"), list(varied()))
def test_no_rule_changes_unless_it_is_known_to_hang_on_that_value(
    section: str, field: str, value: Any, rows: list[dict[str, Any]]
) -> None:
    policy = changed(**{section: {field: value}})
    touched = tests.touched_by(POLICY, policy)
    found = inputs.of_rows(rows)
    for d in found.decided:
        own_case = next(c for c in found.cases if c.conversation.ref == d.conversation)
        again = tests._Again(d, own_case, [d], POLICY)
        before, after = again.judge(POLICY), again.judge(policy)
        differ = {
            r for r in {*before, *after} if before.get(r, tests._SILENT)[0] != after.get(r, tests._SILENT)[0]
        }
        assert {r for r in differ if not tests._unasked(r, after)} <= touched, d.decision_id


def test_without_the_words_nobody_says_that_nothing_differs(rows: list[dict[str, Any]]) -> None:
    policy = changed(suggestions={"high_risk_words": ("order",)})
    assert judged(rows, policy)["differing"] == 3
    data = judged(without_texts(rows), policy)
    by_words = ("risk.high_risk_language", "suggestion.wrong_category")
    assert (data["differing"], data["undecidable"], data["exitCode"]) == (0, [*by_words], 3)
    reasons = {u["reason"] for u in data["unjudged"]}
    assert reasons == {tests._NEEDS_WORDS}


def test_without_conversations_clocks_are_judged_by_the_record(rows: list[dict[str, Any]]) -> None:
    alone = [r for r in rows if "messages" not in r]
    shorter = changed(sla={"minutes": 40})
    data = judged(alone, shorter)
    whole = judged(rows, shorter)
    breach = next(d for d in data["differences"] if d["rule"] == "sla.breach")
    assert breach["kinds"] == next(d for d in whole["differences"] if d["rule"] == "sla.breach")["kinds"]
    # What was urgent then stays urgent: its target is in the record.
    for rows_ in (alone, rows):
        longer = judged(rows_, changed(sla={"minutes": 1000}))["differences"]
        where = {e["conversation"] for d in longer if d["rule"] == "sla.breach" for e in d["examples"]}
        assert where == {"chatwoot:2", "chatwoot:8"}
    refund = judged(alone, changed(refund={"tiers": ()}))
    assert (refund["undecidable"], refund["exitCode"]) == (["refund.above_tier"], 3)


def test_facts_that_are_gone_are_not_taken_for_a_difference(rows: list[dict[str, Any]]) -> None:
    """The order's total was changed since: under its own policy the refund is not judged as it was."""
    later = [{**r, "order": {**r["order"], "totalMinor": 100}} if r.get("order") else r for r in rows]
    lower = changed(refund={"tiers": (RefundTier(above=300, role=Role.LEAD, severity=Severity.BLOCK),)})
    data = judged(later, lower)
    assert data["differing"] == 0
    assert [(u["rule"], u["reason"], u["decisions"]) for u in data["unjudged"]] == [
        ("refund.above_tier", tests._NOT_AS_RECORDED, 1)
    ]


def test_a_policy_nobody_named_is_compared_with_what_was_recorded(rows: list[dict[str, Any]]) -> None:
    foreign = [{**r, "policyHash": "f" * 64} if "requestKey" in r else r for r in rows]
    data = judged(foreign, changed(guardrails={"rapid_reopen_minutes": 5}))
    assert [m["known"] for m in data["madeUnder"]] == [False]
    assert [d["rule"] for d in data["differences"]] == ["conversation.rapid_reopen"]
    named = changed(alerts={"p95_ms": 7})
    hashed = [{**r, "policyHash": codec.policy_hash(named)} if "requestKey" in r else r for r in rows]
    assert judged(hashed, POLICY, known=[named])["madeUnder"][0]["known"] is True


def test_nothing_decided_is_not_nothing_differs() -> None:
    assert tests.backtest(Material(), POLICY).exit_code == 3
