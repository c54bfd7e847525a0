"""SLA, latency, practice and conversation rows over small cases whose figures can be counted by hand."""

import csv
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cairnops import codec
from cairnops.analytics import conversations, inputs, latency, practice, sla
from cairnops.analytics.spans import Span, distribute
from cairnops.domain import edits
from cairnops.domain import policy as policies
from cairnops.errors import InputError
from cairnops.evidence import cases as files
from cairnops.store.baselines import Baseline

T0 = datetime(2025, 10, 16, 9, 0, tzinfo=UTC)
POLICY = policies.profile("dry-run")
HASH = codec.policy_hash(POLICY)


def at(minutes: float) -> str:
    """A moment so many minutes after T0, as files write it."""
    return codec.stamp(T0 + timedelta(minutes=minutes))


def conversation(key: str, *said: tuple[str, float], **over: Any) -> dict[str, Any]:
    """A row of the conversations export: who spoke how many minutes after T0."""
    return {
        "conversation": f"chatwoot:{key}",
        "customer": "Alex Rivera",
        "status": "open",
        "createdAt": at(min((m for _, m in said), default=0)),
        "priority": "",
        "tags": [],
        "inbox": "",
        "team": "",
        "csat": None,
        "order": None,
        "messages": [{"author": who, "at": at(m), "private": False} for who, m in said],
        "statusChanges": [],
        "followUps": [],
        "otherBreaches": [],
        "sessions": {},
        "acts": [],
        "runs": [],
    } | over


def act(
    minutes: float, kind: str, actor: str = "op@x", role: str = "operator", **over: Any
) -> dict[str, Any]:
    return {"at": at(minutes), "actor": actor, "role": role, "session": "", "kind": kind} | over


def decision(
    number: int, key: str, minutes: float, action: str = "approve_send", **over: Any
) -> dict[str, Any]:
    """A row of the decision export."""
    return {
        "uid": f"D{number:025d}",
        "decisionId": number,
        "scope": "ops",
        "type": "cx.escalation",
        "action": f"chatwoot.{action}",
        "actor": {"email": "op@x", "role": "operator"},
        "shopDomain": "shop.example",
        "conversation": f"chatwoot:{key}",
        "session": "",
        "requestKey": f"k{number}",
        "createdAt": at(minutes),
        "rationale": "",
        "policyProfile": "dry-run",
        "policyHash": HASH,
        "leafHash": "0" * 64,
    } | over


def suggestion(text: str, **over: Any) -> dict[str, Any]:
    return {
        "source": "template",
        "templateId": "ack_delay",
        "text": text,
        "variables": {},
        "missing": [],
    } | over


def breached_since(minutes: float, stopped: float | None = None) -> dict[str, Any]:
    """An SLA reading whose clock in force was breached at that minute."""
    return {
        "targetMinutes": 60,
        "clock": "last_customer_message",
        "standings": [
            {
                "clock": "last_customer_message",
                "startedAt": at(minutes - 60),
                "dueAt": at(minutes),
                "elapsedS": 3660,
                "breached": True,
                "breachedAt": at(minutes),
                "breachAgeS": 60,
                "stoppedAt": None if stopped is None else at(stopped),
            }
        ],
    }


def sync(number: int | None, minutes: float, status: str = "SUCCESS", **over: Any) -> dict[str, Any]:
    return (
        {"decisionId": number, "status": status, "durationMs": 5, "attempt": 1, "timestamp": at(minutes)}
        | {"uid": f"E{number}-{minutes}-{status}"}
        | over
    )


# -- what is read


def test_rows_are_told_apart_and_kept_once() -> None:
    rows = [
        decision(1, "7", 5),
        decision(1, "7", 5),
        sync(1, 6),
        conversation("7", ("customer", 0)),
        conversation("7", ("customer", 0), observedAt=at(9)),
        {"id": "x", "who": "y"},
        decision(2, "7", 5) | {"createdAt": "yesterday"},
        conversation("8", ("nobody", 0)),
        decision(3, "7", 5) | {"createdAt": "2025-10-16T09:00:00"},
    ]
    found = inputs.of_rows(rows)
    assert (len(found.decisions), len(found.cases), len(found.deliveries)) == (1, 1, 1)
    assert (found.duplicates, found.other, found.unusable) == (2, 1, 3)
    assert found.cases[0].observed_at == T0 + timedelta(minutes=9)
    assert [p.line for p in found.problems] == [7, 8, 9]
    assert "time zone" in found.problems[-1].reason


def test_of_two_rows_with_one_name_the_same_counts_whatever_comes_last() -> None:
    rows = [
        decision(1, "7", 5, note="one"),
        decision(1, "7", 5, note="two"),
        decision(1, "7", 9, note="newer"),
    ]
    kept = [inputs.of_rows(order).decisions[0].note for order in (rows, rows[::-1])]
    assert kept == ["newer", "newer"]
    assert inputs.of_rows(rows[:2]) == inputs.of_rows(rows[1::-1])


def test_an_error_body_is_no_empty_export(tmp_path: Any) -> None:
    page = tmp_path / "export.ndjson"
    page.write_text("<!doctype html><html><body>Sign in</body></html>")
    with pytest.raises(InputError, match=r"export\.ndjson"):
        inputs.load(page)
    with pytest.raises(InputError, match="holds no exports"):
        (tmp_path / "empty").mkdir()
        inputs.load(tmp_path / "empty")


def test_a_note_outside_a_decision_belongs_to_none() -> None:
    assert inputs.of_rows([sync(None, 1)]).deliveries[0].decision_id == ""


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param(9, "open", id="before"),
        pytest.param(10, "resolved", id="then"),
        pytest.param(20, "open", id="after"),
    ],
)
def test_a_conversation_is_read_as_it_stood(asked: int, status: str) -> None:
    changes = [{"status": "resolved", "at": at(10)}, {"status": "open", "at": at(15)}]
    case = inputs.case(conversation("7", ("customer", 0), ("agent", 12), statusChanges=changes))
    stood = inputs.as_of(case.conversation, T0 + timedelta(minutes=asked))
    assert stood.status.value == status
    assert len(stood.messages) == (1 if asked < 12 else 2)


# -- distributions


def test_an_open_span_is_never_dropped() -> None:
    spans = [Span(seconds=s) for s in (60, 120, 180)] + [Span(seconds=600, open=True)]
    d = distribute(spans, "nearest_rank", target_s=150)
    assert (d.met, d.missed, d.waiting, d.overdue, d.decided) == (2, 1, 0, 1, 4)
    assert d.missed_rate == 0.5
    assert d.of_ended is not None
    assert d.of_ended["p90"] == 180
    assert d.at_least is not None
    assert d.at_least["p90"] == 600
    # By the product limit a quarter is still waiting after the last end: p50 is reached, p90 is not.
    assert d.estimated == {"p50": 120, "p90": None, "p95": None, "p99": None}
    # An upper edge belongs to its bucket.
    assert {b.up_to: (b.ended, b.open) for b in d.histogram if b.ended or b.open} == {
        60: (1, 0),
        300: (2, 0),
        900: (0, 1),
    }


def test_an_open_span_counts_for_as_long_as_it_was_seen() -> None:
    spans = [Span(seconds=60), Span(seconds=90, open=True), Span(seconds=120), Span(seconds=180)]
    # 3/4 wait longer than 60; of the two still seen at 120 one ends, at 180 the other.
    assert distribute(spans, "linear").estimated == {"p50": 120, "p90": 180, "p95": 180, "p99": 180}


def test_a_target_met_to_the_second_is_met() -> None:
    d = distribute([Span(seconds=60), Span(seconds=60, open=True)], "linear", target_s=60)
    assert (d.met, d.missed, d.waiting, d.overdue) == (1, 0, 1, 0)


# -- SLA


def sla_of(*rows: dict[str, Any], minute: float, **over: Any) -> dict[str, Any]:
    found = inputs.of_rows(rows)
    return sla.measure(
        found.cases, POLICY, T0 + timedelta(minutes=minute), decisions=found.decisions, **over
    ).to_dict()


@pytest.mark.parametrize(
    ("said", "minute", "first", "unreplied"),
    [
        pytest.param([("customer", 0), ("agent", 60)], 90, "met", 0, id="on the second"),
        pytest.param([("customer", 0), ("agent", 61)], 90, "missed", 0, id="late"),
        pytest.param([("customer", 0)], 60, "waiting", 1, id="in time so far"),
        pytest.param([("customer", 0)], 61, "overdue", 1, id="nobody answered"),
        pytest.param(
            [("customer", 0), ("agent", 80)], 70, "overdue", 1, id="answered later than asked about"
        ),
    ],
)
def test_a_first_response(said: list[tuple[str, float]], minute: int, first: str, unreplied: int) -> None:
    data = sla_of(conversation("7", *said), minute=minute)
    tally = data["totals"]["firstResponse"]
    assert {k: v for k, v in tally.items() if v == 1 and k != "denominator" and k != "missedRate"} == {
        first: 1
    }
    assert tally["denominator"] == (0 if first == "waiting" else 1)
    assert data["totals"]["unreplied"] == unreplied


def test_both_clocks_are_counted_with_what_lies_between_them() -> None:
    # Answered in time, asked again: breached since creation only under a clock nothing stops.
    policy = replace(POLICY, sla=replace(POLICY.sla, stop_on="never"))
    found = inputs.of_rows([conversation("7", ("customer", 0), ("agent", 10), ("customer", 60))])
    data = sla.measure(found.cases, policy, T0 + timedelta(minutes=90)).to_dict()
    assert data["clockAgreement"] == {"both": 0, "only_created": 1, "only_last_customer": 0, "neither": 0}
    assert data["clockDeltaMinutes"] == {"count": 1, "p50": 60, "p90": 60, "most": 60}
    rates = {c["clock"]: c["rateOfOpen"] for c in data["clocks"]}
    assert rates["conversation_created"] == 1.0
    assert rates["last_customer_message"] == 0.0


@pytest.mark.parametrize(
    ("late", "fine", "status", "code"),
    [
        pytest.param(1, 4, "ok", 0, id="20 percent is not above 20"),
        pytest.param(2, 7, "warn", 0, id="above the warning"),
        pytest.param(2, 3, "warn", 0, id="40 percent is not above 40"),
        pytest.param(3, 4, "alert", 1, id="critical"),
        pytest.param(4, 0, "insufficient-data", 3, id="too few"),
        pytest.param(0, 0, "insufficient-data", 3, id="none"),
    ],
)
def test_the_verdict(late: int, fine: int, status: str, code: int) -> None:
    rows = [conversation(f"l{i}", ("customer", 0)) for i in range(late)]
    rows += [conversation(f"f{i}", ("customer", 80)) for i in range(fine)]
    data = sla_of(*rows, minute=100)
    assert (data["verdict"]["status"], data["verdict"]["exitCode"]) == (status, code)
    assert data["verdict"]["samples"] == late + fine


def test_resolved_conversations_are_not_in_the_denominator_of_open_ones() -> None:
    gone = conversation(
        "9", ("customer", 0), status="resolved", statusChanges=[{"status": "resolved", "at": at(200)}]
    )
    data = sla_of(gone, conversation("7", ("customer", 190)), minute=210)
    assert data["totals"]["open"] == 1
    assert data["totals"]["breachRate"] == 0.0
    assert data["totals"]["breached"] == 1


def test_breakdowns_name_the_operator_team_inbox_priority_and_day() -> None:
    rows = [
        conversation("7", ("customer", 0), team="returns", inbox="mail", priority="urgent",
                     acts=[act(5, "action.applied", "b@x"), act(3, "action.applied", "a@x")]),
        conversation("8", ("customer", 60 * 24)),
        decision(1, "8", 60 * 24 + 1),
    ]  # fmt: skip
    data = sla_of(*rows, minute=60 * 25)["breakdowns"]
    assert [g["operator"] for g in data["operator"]] == ["a@x", "op@x"]
    assert [g["team"] for g in data["team"]] == ["", "returns"]
    assert [g["priority"] for g in data["priority"]] == ["", "urgent"]
    assert [g["day"] for g in data["day"]] == ["2025-10-16", "2025-10-17"]
    assert [g["conversations"] for g in data["day"]] == [1, 1]


def test_business_hours_stop_the_count() -> None:
    hours = policies.BusinessHours(time_zone="UTC", week={"thu": ("09:00-09:30",), "fri": ("09:00-17:00",)})
    policy = replace(POLICY, sla=replace(POLICY.sla, business_hours=hours))
    found = inputs.of_rows([conversation("7", ("customer", 0))])
    for minute, overdue in ((60 * 23, 0), (60 * 25, 1)):
        data = sla.measure(found.cases, policy, T0 + timedelta(minutes=minute)).to_dict()
        assert data["totals"]["firstResponse"]["overdue"] == overdue


# -- latency


def latency_of(*rows: dict[str, Any], minute: float, **over: Any) -> latency.LatencyReport:
    return latency.measure(inputs.of_rows(rows), POLICY, T0 + timedelta(minutes=minute), **over)


def spans_of(report: latency.LatencyReport, stage: str) -> list[tuple[str, float, bool]]:
    return [(r.conversation, r.seconds / 60, r.ended_at is None) for r in report.rows if r.stage == stage]


def test_a_breach_counts_once_and_from_its_own_moment() -> None:
    report = latency_of(
        decision(1, "7", 90, "escalate", sla=breached_since(70)),
        decision(2, "7", 95, sla=breached_since(70)),
        decision(3, "8", 95, sla=breached_since(70, stopped=80)),
        decision(4, "9", 10),
        conversation("10", ("customer", 0)),
        minute=100,
    )
    assert spans_of(report, "breachToDecision") == [
        ("chatwoot:10", 40, True),
        ("chatwoot:7", 20, False),
    ]
    assert report.aside["breaches answered outside the desk before anything was decided"] == 1


def test_delivery_is_over_when_the_last_effect_is() -> None:
    report = latency_of(
        *(decision(n, str(n), 0) for n in range(1, 6)),
        sync(1, 0.5, uid="a"),
        sync(1, 2, uid="b"),
        sync(2, 1, "TIMEOUT", uid="c"),
        sync(3, 1, "FAILED", uid="d"),
        sync(3, 3, uid="d", attempt=2),
        sync(4, -1, uid="e"),
        sync(None, 1, uid="f"),
        sync(99, 1, uid="g"),
        minute=10,
    )
    assert spans_of(report, "decisionToDelivered") == [
        ("chatwoot:1", 2, False),
        ("chatwoot:3", 3, False),
        ("chatwoot:4", 0, False),
        ("chatwoot:5", 10, True),
    ]
    assert report.aside == {
        "decisions with an effect that could not be delivered": 1,
        "deliveries dated before their decision, counted as 0": 1,
        "sync events of a decision in no export": 1,
        "sync events that name no decision": 1,
    }


def test_decisions_that_share_a_number_cannot_be_told_apart() -> None:
    other = decision(1, "8", 0) | {"uid": "D" + "9" * 25}
    report = latency_of(decision(1, "7", 0), other, sync(1, 1), minute=5)
    assert spans_of(report, "decisionToDelivered") == []
    assert report.aside["decisions that share their number with another"] == 2


@pytest.mark.parametrize(
    ("acts", "acknowledged"),
    [
        pytest.param([act(40, "suggestion.shown", "boss@x", "manager")], (30, False), id="opened by a manager"),
        pytest.param([act(40, "note.added", "root@x", "admin")], (30, False), id="somebody above"),
        pytest.param([act(40, "suggestion.shown", "lead@x", "lead")], (190, True), id="somebody below"),
        pytest.param([act(40, "note.added", "op@x", "manager")], (190, True), id="whoever escalated"),
        pytest.param([act(5, "note.added", "boss@x", "manager")], (190, True), id="before"),
        pytest.param([act(300, "note.added", "boss@x", "manager")], (190, True), id="later than asked about"),
        pytest.param([], (190, True), id="nobody"),
    ],
)  # fmt: skip
def test_an_escalation_is_acknowledged_by_somebody_it_went_to(
    acts: list[dict[str, Any]], acknowledged: tuple[float, bool]
) -> None:
    report = latency_of(
        decision(1, "7", 10, "escalate", target="manager"),
        conversation("7", ("customer", 0), acts=acts),
        minute=200,
    )
    assert [s[1:] for s in spans_of(report, "escalateToAcknowledged")] == [acknowledged]
    assert report.exit_code == (1 if acknowledged[1] else 0)
    assert bool(report.reasons) is acknowledged[1]


def test_the_customer_hears_of_it_by_a_message_or_by_its_being_resolved() -> None:
    def stage(**over: Any) -> list[tuple[str, float, bool]]:
        said = over.pop("said", ())
        row = conversation("7", ("customer", 0), *said, **over)
        report = latency_of(decision(1, "7", 10, "escalate", target="manager"), row, minute=100)
        return spans_of(report, "escalateToUpdated")

    resolved = [{"status": "resolved", "at": at(40)}]
    assert stage(said=[("agent", 70)]) == [("chatwoot:7", 60, False)]
    assert stage(said=[("agent", 70)], status="resolved", statusChanges=resolved) == [
        ("chatwoot:7", 30, False)
    ]
    assert stage(said=[("agent", 5)]) == [("chatwoot:7", 90, True)]


def test_what_was_resolved_without_anybody_taking_it_over_is_named() -> None:
    row = conversation(
        "7", ("customer", 0), status="resolved", statusChanges=[{"status": "resolved", "at": at(40)}]
    )
    report = latency_of(decision(1, "7", 10, "escalate"), row, minute=100)
    assert spans_of(report, "escalateToAcknowledged") == []
    assert report.aside["escalations resolved without anybody acknowledging them"] == 1


def test_handling_runs_from_the_first_opening_to_the_decision() -> None:
    acts = [
        act(1, "suggestion.shown"), act(3, "suggestion.shown"), act(6, "action.refused", code="x"),
        act(9, "action.applied", decisionId=1), act(12, "suggestion.shown"), act(13, "note.added"),
        act(2, "suggestion.shown", "left@x"), act(4, "action.cancelled", "left@x"),
        act(5, "suggestion.shown", "slow@x"),
        act(20, "suggestion.shown", "new@x"),
        act(21, "action.applied", "blind@x"),
    ]  # fmt: skip
    report = latency_of(decision(1, "7", 9), conversation("7", ("customer", 0), acts=acts), minute=30)
    assert spans_of(report, "handling") == [("chatwoot:7", 8, False)]
    assert {k: v for k, v in report.aside.items() if k.startswith(("cases", "decisions made"))} == {
        "cases opened for a note or a follow-up only": 1,
        "cases opened and left by cancelling": 1,
        "cases opened and decided by somebody else": 2,
        "decisions made without opening the case": 1,
    }


def by_hand(*seconds: int) -> list[Baseline]:
    return [
        Baseline(number=n, at=T0, actor="op@x", measure="handling", seconds=s, source=f"call {n}")
        for n, s in enumerate(seconds, 1)
    ]


HANDLED = [
    conversation("7", ("customer", 0), acts=[act(1, "suggestion.shown"), act(3, "action.applied", decisionId=1)]),
    conversation("8", ("customer", 0), acts=[act(1, "suggestion.shown"), act(5, "action.applied", decisionId=2)]),
]  # fmt: skip


def test_minutes_recovered_take_a_baseline() -> None:
    report = latency_of(*HANDLED, minute=10, baselines=by_hand(240, 360))
    found = report.recovered[0]
    assert (found.baseline_mean_s, found.product_mean_s, found.cases) == (300, 180, 2)
    assert (found.minutes, found.minutes_per_case) == (4, 2)
    assert found.sources == ("call 1", "call 2")
    slower = latency_of(*HANDLED, minute=10, baselines=by_hand(60)).recovered[0]
    assert slower.minutes == -4


@pytest.mark.parametrize(
    "baselines",
    [
        pytest.param([], id="none"),
        pytest.param([replace(by_hand(60)[0], measure="pickup")], id="of another stage"),
    ],
)
def test_without_a_baseline_time_in_the_product_is_never_called_recovered(baselines: list[Baseline]) -> None:
    report = latency_of(*HANDLED, minute=10, baselines=baselines)
    assert "recovered" not in json.dumps(report.to_dict()).lower()


def test_nothing_to_measure_is_not_fine() -> None:
    assert latency_of(minute=1).exit_code == 3


# -- practice


def practice_of(*rows: dict[str, Any], **over: Any) -> dict[str, Any]:
    found = inputs.of_rows(rows)
    return practice.measure(found.decisions, found.cases, POLICY, **over).to_dict()


def edited(number: int, before: str, after: str, **over: Any) -> dict[str, Any]:
    return decision(
        number, str(number), number, suggestion=suggestion(before, **over), finalText=after, edited=before != after,
        editDistance=edits.distance(before, after),
    )  # fmt: skip


def test_rates_divide_by_what_they_name() -> None:
    data = practice_of(
        edited(1, "Hi Alex, thanks for writing.", "Hi Alex, thanks for writing."),
        edited(2, "Hi Alex, thanks for writing.", "Hello Alex, thanks for writing."),
        decision(3, "3", 3, finalText="By hand.", fallback="manual_reply"),
        decision(4, "4", 4, "escalate", override="checked with the lead"),
        decision(5, "4", 5, "escalate") | {"scope": "build"},
        decision(6, "4", 6, "mark_resolved"),
        conversation(
            "1", ("customer", 0),
            acts=[act(1, "suggestion.shown", source="ai"), act(2, "suggestion.withheld"),
                  act(3, "action.refused", code="refund.above_tier"), act(4, "action.refused", code="note.empty"),
                  act(5, "action.cancelled")],
        ),
    )["totals"]  # fmt: skip
    assert (data["editRate"], data["repliesFromSuggestion"], data["repliesByHand"]) == (0.5, 2, 1)
    assert (data["abstainRate"], data["openings"], data["cancelled"]) == (0.5, 2, 1)
    assert (data["overrideRate"], data["blocksMet"]) == (0.5, 2)
    assert (data["escalationRate"], data["handled"], data["decisions"]) == (0.25, 4, 5)


def test_what_is_edited_most_is_one_pattern_whoever_the_customer_is() -> None:
    def greeted(number: int, name: str, days: int) -> dict[str, Any]:
        rest = f"{name}, sorry for the wait of {days} days. We will help."
        return edited(number, f"Hi {rest}", f"Hello {rest}", variables={"name": name})

    rows = [
        greeted(1, "Alex", 3),
        greeted(2, "Sam", 12),
        edited(3, "Your refund of 10.50 is under way.", "Your refund of 10.50 is on its way today."),
        edited(4, "Thanks.", "Something else entirely, written from scratch by somebody."),
    ]
    data = practice_of(*rows)
    first = data["editPatterns"][0]
    assert (first["removed"], first["added"], first["decisions"], first["examples"]) == (
        "hi",
        "hello",
        2,
        [1, 2],
    )
    assert data["totals"]["rewritten"] == 1
    assert all("scratch" not in p["added"] for p in data["editPatterns"])


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        pytest.param("Hi Sam, order 12.", "Hi Sam, order 99.", [], id="only a number"),
        pytest.param("Send two of three parts.", "Send 2 of three pieces.",
                     [("two of three parts", "# of three pieces")], id="two words stayed between"),
        pytest.param("Send two of our three parts.", "Send 2 of our three pieces.",
                     [("two", "#"), ("parts", "pieces")], id="three words stayed between"),
        pytest.param("We a will b help c you.", "We x will y help z you.",
                     [("a will b help c", "x will y help z")], id="single words kept"),
        pytest.param("Hi there", "Hi there!", [], id="only a mark"),
        pytest.param("Hi SAM", "Hi {name}", [], id="the name"),
    ],
)  # fmt: skip
def test_changes_between_two_texts(before: str, after: str, pairs: list[tuple[str, str]]) -> None:
    assert list(practice.changes(before, after, {"name": "SAM"})) == pairs


def run(answer: str, session: str = "s", scenario: str = "a", minute: float = 9) -> dict[str, Any]:
    return {
        "session": session, "scenario": scenario, "operator": "op@x", "at": at(minute), "passed": answer != "wrong",
        "points": 100 if answer == "right" else 40, "verb": "approve", "answer": answer,
    }  # fmt: skip


def test_the_confusion_table_holds_every_answered_run_once_for_every_guardrail() -> None:
    verdict = [{"code": "refund.above_tier", "severity": "warn", "overridden": False}]

    def worked(key: str, session: str, answer: str) -> dict[str, Any]:
        met = act(1, "suggestion.shown", session=session, verdicts=verdict)
        return conversation(key, ("customer", 0), acts=[met], runs=[run(answer)])

    rows = [
        worked("1", "s", "wrong"),
        worked("2", "another session", "right"),
        worked("3", "s", "acceptable"),
        conversation("4", ("customer", 0), runs=[run("")]),
    ]
    data = practice_of(*rows)
    table = {c["code"]: c for c in data["confusion"]}
    refund = table["refund.above_tier"]
    assert [refund[k] for k in ("firedRight", "firedWrong", "silentRight", "silentWrong")] == [1, 1, 1, 0]
    assert all(
        c["firedRight"] + c["firedWrong"] + c["silentRight"] + c["silentWrong"] == 3 for c in table.values()
    )
    assert (data["totals"]["accuracy"], data["totals"]["answered"], data["totals"]["runs"]) == (0.6667, 3, 4)


@pytest.mark.parametrize(
    ("escalated", "handled", "verdict"),
    [
        pytest.param(1, 10, "inside", id="the lower edge"),
        pytest.param(3, 20, "inside", id="the upper edge"),
        pytest.param(0, 10, "below", id="below"),
        pytest.param(2, 10, "above", id="above"),
        pytest.param(1, 4, "insufficient-data", id="too few"),
    ],
)
def test_the_escalation_band(escalated: int, handled: int, verdict: str) -> None:
    rows = [
        decision(n, str(n), n, "escalate" if n <= escalated else "mark_resolved")
        for n in range(1, handled + 1)
    ]
    assert practice_of(*rows)["escalationBand"]["verdict"] == verdict


def test_nobody_has_practised() -> None:
    assert practice_of()["verdict"] == {"status": "insufficient-data", "exitCode": 3}


# -- one row a conversation


def test_a_row_says_everything_beside_each_other() -> None:
    found = inputs.of_rows(
        [
            conversation("7", ("customer", 0), ("agent", 30), ("customer", 40), tags=["vip"], csat="5",
                         acts=[act(29, "action.applied", decisionId=4, session="s")]),
            decision(4, "7", 29),
            decision(6, "7", 500),
        ]
    )  # fmt: skip
    row = conversations.rows(
        found.cases, found.decided, POLICY, T0 + timedelta(minutes=120), link="https://desk.example/c/{id}"
    )[0]
    assert list(row) == list(conversations.COLUMNS)
    wanted = {
        "link": "https://desk.example/c/7", "operator": "op@x", "firstResponse": "met", "firstResponseMinutes": 30,
        "nextResponses": 1, "nextResponsesMissed": 1, "resolution": "waiting", "resolvedAt": None,
        "decisionIds": [4], "decisions": 1, "escalations": 0, "csat": "5", "breached": True, "tags": ["vip"],
        "lastCustomerClockMinutes": 80, "createdClockBreached": False, "triage": "P2", "sessions": ["s"],
    }  # fmt: skip
    assert {k: row[k] for k in wanted} == wanted


@pytest.mark.parametrize("name", ["=1+1", "+49", "-x", "@sum", "\t=1", "＝1+1"])
def test_no_spreadsheet_runs_a_name(name: str, tmp_path: Any) -> None:
    found = inputs.of_rows([conversation("7", ("customer", 0), customer=name, tags=[name])])
    rows = conversations.rows(found.cases, (), POLICY, T0)
    files.write(tmp_path / "c.csv", rows)
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for line in csv.DictReader(file) for cell in line.values()]
    assert [c for c in cells if c.lstrip().startswith(("=", "+", "-", "@", "＝"))] == []


def test_parquet_has_the_same_types_whatever_is_empty(tmp_path: Any) -> None:
    for key, said in (("a", [("customer", 0.0)]), ("b", [("agent", 0.0)])):
        found = inputs.of_rows([conversation(key, *said)])
        rows = conversations.rows(found.cases, (), POLICY, T0)
        files.write(tmp_path / f"{key}.parquet", rows, conversations.KINDS)
    schemas = [pl.read_parquet(tmp_path / f"{key}.parquet").schema for key in "ab"]
    assert schemas[0] == schemas[1]
    assert str(schemas[0]["createdAt"]).startswith("Datetime")


def test_a_file_that_ends_in_no_format_is_refused(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="ends in no format"):
        files.write(tmp_path / "c.xlsx", [])


def test_the_page_of_formats_names_every_column() -> None:
    page = (Path(codec.__file__).parent / "docs" / "formats.md").read_text(encoding="utf-8")
    table = page.partition("## conversation table\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(conversations.COLUMNS)
