"""What must hold of every set of conversations: order does not matter, parts make the whole, silence is no success."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops import codec
from cairnops.analytics import conversations, inputs, latency, practice, sla
from cairnops.analytics.percentiles import METHODS, percentile
from cairnops.analytics.spans import POINTS, Span, distribute
from cairnops.domain import policy as policies
from cairnops.store.baselines import Baseline

T0 = datetime(2025, 10, 16, 9, 0, tzinfo=UTC)
NOW = T0 + timedelta(hours=30)
POLICY = policies.profile("dry-run")
HASH = codec.policy_hash(POLICY)
PEOPLE = ("ann@x", "ben@x", "cy@x")
KINDS = (
    "suggestion.shown", "suggestion.withheld", "action.applied", "action.refused", "action.cancelled", "note.added",
)  # fmt: skip
SECONDS = st.lists(st.integers(1, 5000), min_size=1, max_size=20)


def stamp(minutes: int) -> str:
    return codec.stamp(T0 + timedelta(minutes=minutes))


MINUTES = st.integers(0, 60 * 40)


@st.composite
def acts(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(KINDS))
    return {
        "at": stamp(draw(MINUTES)),
        "actor": draw(st.sampled_from(PEOPLE)),
        "role": draw(st.sampled_from(("operator", "lead", "manager"))),
        "session": draw(st.sampled_from(("", "mon", "tue"))),
        "kind": kind,
        "code": "refund.above_tier" if kind == "action.refused" else "",
        "source": draw(st.sampled_from(("ai", "template"))) if kind == "suggestion.shown" else "",
    }


@st.composite
def case_rows(draw: st.DrawFn, key: str) -> dict[str, Any]:
    said = draw(st.lists(st.tuples(st.sampled_from(("customer", "agent")), MINUTES), max_size=5))
    status = draw(st.sampled_from(("open", "pending", "snoozed", "resolved")))
    return {
        "conversation": f"chatwoot:{key}",
        "customer": "",
        "status": status,
        "createdAt": stamp(min((m for _, m in said), default=0)),
        "priority": draw(st.sampled_from(("", "urgent"))),
        "team": draw(st.sampled_from(("", "returns"))),
        "messages": [{"author": who, "at": stamp(m), "private": False} for who, m in said],
        "statusChanges": [{"status": status, "at": stamp(draw(MINUTES))}] if status == "resolved" else [],
        "acts": draw(st.lists(acts(), max_size=4)),
        "runs": [
            {
                "session": "mon",
                "scenario": "a",
                "operator": draw(st.sampled_from(PEOPLE)),
                "at": stamp(5),
                "passed": True,
                "points": draw(st.sampled_from((None, 40, 100))),
                "answer": draw(st.sampled_from(("", "right", "acceptable", "wrong"))),
            }
        ],
    }


@st.composite
def decision_rows(draw: st.DrawFn, number: int, keys: int) -> dict[str, Any]:
    action = draw(st.sampled_from(("approve_send", "escalate", "mark_resolved")))
    shown = action == "approve_send" and draw(st.booleans())
    sent = (
        draw(st.sampled_from(("Hi Ann, sorry.", "Hello Ann, sorry.", "Wait.")))
        if action == "approve_send"
        else None
    )
    return {
        "uid": f"D{number:025d}",
        "decisionId": number,
        "scope": "ops",
        "type": "cx.escalation",
        "action": f"chatwoot.{action}",
        "actor": {"email": draw(st.sampled_from(PEOPLE)), "role": "operator"},
        "shopDomain": "s",
        "conversation": f"chatwoot:{draw(st.integers(0, keys))}",
        "session": draw(st.sampled_from(("", "mon"))),
        "requestKey": f"k{number}",
        "createdAt": stamp(draw(MINUTES)),
        "rationale": "",
        "suggestion": {"source": "template", "templateId": "t", "text": "Hi Ann, sorry."} if shown else None,
        "finalText": sent,
        "edited": shown and sent != "Hi Ann, sorry.",
        "override": draw(st.sampled_from(("", "asked"))),
        "policyHash": HASH,
    }


@st.composite
def materials(draw: st.DrawFn) -> list[dict[str, Any]]:
    keys = draw(st.integers(0, 6))
    rows = [draw(case_rows(str(k))) for k in range(keys)]
    rows += [draw(decision_rows(n, keys)) for n in range(draw(st.integers(0, 6)))]
    for n in range(draw(st.integers(0, 4))):
        rows.append(
            {
                "decisionId": n,
                "status": draw(st.sampled_from(("SUCCESS", "FAILED", "TIMEOUT"))),
                "timestamp": stamp(draw(MINUTES)),
                "attempt": 1,
                "uid": draw(st.sampled_from(("", f"E{n}"))),
            }
        )
    return rows


def everything(rows: list[dict[str, Any]]) -> list[Any]:
    """Every report over rows, as data."""
    found = inputs.of_rows(rows)
    return [
        sla.measure(found.cases, POLICY, NOW, decisions=found.decisions).to_dict(),
        latency.measure(found, POLICY, NOW).to_dict(),
        practice.measure(found.decisions, found.cases, POLICY).to_dict(),
        conversations.rows(found.cases, found.decided, POLICY, NOW),
    ]


@settings(deadline=None, max_examples=60)
@given(rows=materials(), seed=st.integers(0, 999))
def test_the_order_of_rows_and_giving_them_twice_change_nothing(
    rows: list[dict[str, Any]], seed: int
) -> None:
    named = [r for r in rows if r.get("uid") or "messages" in r]
    mixed = rows + named
    random.Random(seed).shuffle(mixed)
    assert everything(mixed) == everything(rows)


@settings(deadline=None, max_examples=60)
@given(rows=materials())
def test_every_breakdown_of_the_sla_adds_up(rows: list[dict[str, Any]]) -> None:
    data = sla.measure(inputs.of_rows(rows).cases, POLICY, NOW).to_dict()
    for groups in data["breakdowns"].values():
        for name in ("conversations", "open", "unreplied", "breachedOpen", "breached"):
            assert sum(g[name] for g in groups) == data["totals"][name]
        for measure in sla.MEASURES:
            for word in ("met", "missed", "waiting", "overdue", "denominator"):
                assert sum(g[measure][word] for g in groups) == data["totals"][measure][word]
    for measure in sla.MEASURES:
        tally, waits = data["totals"][measure], data["waitsSeconds"][measure]
        assert [waits[w] for w in ("met", "missed", "waiting", "overdue")] == [
            tally[w] for w in ("met", "missed", "waiting", "overdue")
        ]
        assert sum(b["ended"] + b["open"] for b in waits["histogram"]) == waits["count"]
    assert sum(data["clockAgreement"].values()) == data["totals"]["conversations"] == len(data["rows"])


@settings(deadline=None, max_examples=60)
@given(rows=materials())
def test_every_breakdown_of_practice_adds_up(rows: list[dict[str, Any]]) -> None:
    found = inputs.of_rows(rows)
    data = practice.measure(found.decisions, found.cases, POLICY).to_dict()
    counts = [k for k, v in data["totals"].items() if isinstance(v, int) and not k.endswith(("P50", "Mean"))]
    assert {"decisions", "edited", "openings", "blocksMet", "handled", "escalated", "right", "wrong"} <= set(
        counts
    )
    for groups in (data["byOperator"], data["byCohort"], data["overTime"]):
        for name in counts:
            assert sum(g[name] for g in groups) == data["totals"][name], name
    answered = data["totals"]["answered"]
    assert all(
        c["firedRight"] + c["firedWrong"] + c["silentRight"] + c["silentWrong"] == answered
        for c in data["confusion"]
    )


@settings(deadline=None, max_examples=60)
@given(rows=materials())
def test_every_stage_of_latency_counts_its_rows(rows: list[dict[str, Any]]) -> None:
    report = latency.measure(inputs.of_rows(rows), POLICY, NOW)
    assert sum(d.count for d in report.stages.values()) == len(report.rows)
    for name, d in report.stages.items():
        mine = [r for r in report.rows if r.stage == name]
        assert d.open == sum(r.ended_at is None for r in mine)
        assert d.target_s is None or d.met + d.missed + d.waiting + d.overdue == d.count
        assert all(r.seconds >= 0 for r in mine)


@settings(deadline=None, max_examples=60)
@given(rows=materials(), priority=st.sampled_from(("", "urgent")), minute=st.integers(0, 60 * 28))
def test_one_more_late_customer_nobody_answered_never_improves_a_rate(
    rows: list[dict[str, Any]], priority: str, minute: int
) -> None:
    late = {
        "conversation": "chatwoot:late",
        "status": "open",
        "createdAt": stamp(minute),
        "priority": priority,
        "messages": [{"author": "customer", "at": stamp(minute), "private": False}],
    }
    before, after = (sla.measure(inputs.of_rows(r).cases, POLICY, NOW) for r in (rows, [*rows, late]))
    clocks = POLICY.sla.clock
    assert after.totals.breached_open[clocks] == before.totals.breached_open[clocks] + 1
    for name in ("breachRate", "missedRate"):
        one, two = (r.to_dict()["totals"] for r in (before, after))
        was = one["breachRate"] if name == "breachRate" else one["firstResponse"]["missedRate"]
        now = two["breachRate"] if name == "breachRate" else two["firstResponse"]["missedRate"]
        assert now >= (was or 0)
    assert after.totals.unreplied == before.totals.unreplied + 1


SPANS = st.lists(st.builds(Span, seconds=st.integers(0, 10**6), open=st.booleans()), min_size=1, max_size=40)


@settings(deadline=None)
@given(
    spans=SPANS,
    grown=st.lists(st.integers(0, 10**6), min_size=40, max_size=40),
    method=st.sampled_from(METHODS),
)
def test_open_ones_at_their_age_are_a_bound_from_below(
    spans: list[Span], grown: list[int], method: Any
) -> None:
    then = sorted(s.seconds + (more if s.open else 0) for s, more in zip(spans, grown, strict=False))
    found = distribute(spans, method).at_least
    assert found is not None
    for p in POINTS:
        assert found[f"p{p}"] <= percentile(then, p, method) + 0.01


@settings(deadline=None)
@given(seconds=st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
def test_without_open_ones_the_estimate_is_the_nearest_rank(seconds: list[int]) -> None:
    d = distribute([Span(seconds=s) for s in seconds], "nearest_rank")
    assert d.estimated == d.of_ended == d.at_least


@settings(deadline=None)
@given(seconds=SECONDS, by_hand=SECONDS)
def test_minutes_recovered_are_the_sum_over_the_cases(seconds: list[int], by_hand: list[int]) -> None:
    begun = T0
    rows = []
    for n, s in enumerate(seconds):
        base = {"actor": "ann@x", "role": "operator", "session": ""}
        rows.append(
            {
                "conversation": f"chatwoot:{n}",
                "status": "open",
                "createdAt": codec.stamp(begun),
                "messages": [],
                "acts": [
                    base | {"at": codec.stamp(begun), "kind": "suggestion.shown"},
                    base | {"at": codec.stamp(begun + timedelta(seconds=s)), "kind": "action.applied"},
                ],
            }
        )
    kept = [
        Baseline(number=1, at=T0, actor="x", measure="handling", seconds=b, source="watch") for b in by_hand
    ]
    found = latency.measure(inputs.of_rows(rows), POLICY, NOW, baselines=kept).recovered[0]
    mean = sum(by_hand) / len(by_hand)
    assert abs(found.minutes - sum(mean - s for s in seconds) / 60) < 0.02
