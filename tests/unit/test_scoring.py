"""A run is judged by what it left behind, and looking at nothing is never a pass."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.scenarios.model import Scenario
from cairnops.scenarios.scoring import (
    Done,
    DoneDecision,
    DoneDelivery,
    DoneFollowUp,
    DoneRow,
    DoneSuggestion,
    DoneVerdict,
    Score,
    likeness,
    readiness,
    readiness_lines,
    score,
    verbs,
)

DRAFT = "Hi Kim, your parcel is with the carrier. I'll follow up today."
BETTER = "Hi Kim, your parcel is at the depot. I'll follow up today."

WORLD = {
    "customer": {"name": "Kim", "email": "kim@example.com"},
    "conversation": {"id": "7", "created": "-2h"},
    "messages": [
        {"from": "customer", "at": "-2h", "text": "Where is it?"},
        {"from": "agent", "at": "-1h", "text": "Looking."},
    ],
    "suggestion": {"text": DRAFT, "template": "ship_update", "index_generated": "-1h"},
}

EVERYTHING: dict[str, Any] = {
    "decisions": [
        {
            "action": "approve_send",
            "template": "ship_update",
            "edited": True,
            "rationale_contains": "with edits",
        },
        {"action": "suggestion_shown", "scope": "build"},
    ],
    "decisions_absent": [{"scope": "ops", "action": "mark_resolved"}],
    "suggestion": {"template": "ship_update", "source": "ai"},
    "delivery": [{"effect": "reply", "status": "SUCCESS", "attempt": 2}],
    "customer_sees": ["at the depot", {"exactly": BETTER}],
    "customer_does_not_see": ["with the carrier", {"as_suggested": True}],
    "verdicts": [{"code": "refund.above_tier", "severity": "warn"}],
    "refused": ["suggestion.wrong_name"],
    "events": ["action.applied"],
    "follow_ups": [{"owner": "Ann", "due_in_minutes": 60}],
    "worksheet": [{"outcome": "told the lead", "note": "by phone"}],
    "evidence": {"required": ["decision_row"], "optional": ["screenshot"]},
    "labels": ["escalation"],
    "status": "open",
    "priority": "P2",
    "sla": {"breached_created": True, "breached_last_customer": False},
}

DONE = Done(
    operator="op@example.com",
    steps=4,
    decisions=(
        DoneDecision(action="suggestion.shown", scope="build", template="ship_update"),
        DoneDecision(
            action="chatwoot.approve_send",
            template="ship_update",
            edited=True,
            rationale="Approved AI suggestion with edits",
            text=BETTER,
            note="Depot confirmed",
        ),
    ),
    refusals=("suggestion.wrong_name",),
    verdicts=(DoneVerdict(code="refund.above_tier", severity="warn"),),
    suggestion=DoneSuggestion(template="ship_update", source="ai", text=DRAFT),
    deliveries=(DoneDelivery(effect="reply", status="SUCCESS", attempt=2),),
    customer_visible=("Looking.", BETTER),
    messages_read=3,
    follow_ups=(DoneFollowUp(owner="Ann", due_in_minutes=60),),
    worksheet=(DoneRow(outcome="Told the lead", note="By phone, 14:02"),),
    evidence=frozenset({"decision_row"}),
    events=("action.refused", "action.applied"),
    labels=("vip", "escalation"),
    status="open",
    priority="P2",
    breached_created=True,
    breached_last_customer=False,
    elapsed_minutes=3,
)


def scenario(expect: dict[str, Any], **more: Any) -> Scenario:
    script = [
        {"at": "+1m", "open": {}},
        {"at": "+2m", "approve": {}, "refused": "suggestion.wrong_name"},
        {"at": "+3m", "approve": {"text": BETTER, "note": "Depot confirmed"}},
    ]
    fields = {
        "id": "one",
        "title": "One",
        "proves": ["suggestion.wrong_name"],
        "world": WORLD,
        "script": script,
    }
    return Scenario.model_validate(fields | {"expect": expect} | more)


def failed(result: Score) -> set[str]:
    return {c.code for c in result.checks if not c.ok}


def test_everything_as_expected_passes() -> None:
    result = score(scenario(EVERYTHING), DONE)
    assert failed(result) == {"evidence"}
    assert [(c.expected, c.gating) for c in result.checks if not c.ok] == [("screenshot", False)]
    assert result.passed
    assert all(c.examined for c in result.checks)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"decisions": DONE.decisions[:1]}, "decisions.ops", id="no decision"),
        pytest.param(
            {"decisions": (*DONE.decisions, DONE.decisions[1])}, "decisions.ops", id="one decision too many"
        ),
        pytest.param(
            {"decisions": DONE.decisions[1:]}, "decisions.build", id="the suggestion was not recorded"
        ),
        pytest.param(
            {"decisions": (DONE.decisions[0], replace(DONE.decisions[1], edited=False))},
            "decisions.ops",
            id="not edited",
        ),
        pytest.param(
            {"decisions": (DONE.decisions[0], replace(DONE.decisions[1], template="ack_delay"))},
            "decisions.ops",
            id="another template",
        ),
        pytest.param(
            {"decisions": (DONE.decisions[0], replace(DONE.decisions[1], action="chatwoot.escalate"))},
            "decisions.ops",
            id="another action",
        ),
        pytest.param(
            {"decisions": (DONE.decisions[0], replace(DONE.decisions[1], rationale="x"))},
            "decisions.ops",
            id="another rationale",
        ),
        pytest.param(
            {"decisions": (*DONE.decisions, DoneDecision(action="chatwoot.mark_resolved"))},
            "decisions.absent",
            id="what must be absent",
        ),
        pytest.param(
            {"suggestion": DoneSuggestion(template="ship_update", source="template", text=DRAFT)},
            "suggestion",
            id="template instead of AI",
        ),
        pytest.param({"suggestion": DoneSuggestion()}, "suggestion", id="no suggestion"),
        pytest.param({"suggestion": None}, "suggestion", id="never opened"),
        pytest.param({"deliveries": ()}, "delivery.reply", id="nothing delivered"),
        pytest.param(
            {"deliveries": (DoneDelivery(effect="reply", status="SUCCESS", attempt=1),)},
            "delivery.reply",
            id="another attempt",
        ),
        pytest.param(
            {"deliveries": (DoneDelivery(effect="reply", status="TIMEOUT", attempt=2),)},
            "delivery.reply",
            id="another status",
        ),
        pytest.param({"deliveries": DONE.deliveries * 2}, "delivery.reply", id="delivered twice"),
        pytest.param({"customer_visible": ("Looking.", BETTER + " ")}, "customer.sees", id="one byte more"),
        pytest.param({"customer_visible": ("Looking.",)}, "customer.sees", id="only what was there before"),
        pytest.param(
            {"customer_visible": ("Looking.", BETTER, DRAFT)},
            "customer.does_not_see",
            id="the draft went out",
        ),
        pytest.param({"messages_read": 0}, "customer.does_not_see", id="nobody read the thread"),
        pytest.param(
            {"verdicts": (DoneVerdict(code="refund.above_tier", severity="block"),)},
            "verdicts",
            id="another severity",
        ),
        pytest.param({"verdicts": ()}, "verdicts", id="no verdict"),
        pytest.param({"refusals": ()}, "refused", id="not refused"),
        pytest.param(
            {"refusals": ("suggestion.wrong_name", "reply.empty")}, "refused", id="refused once more"
        ),
        pytest.param({"events": ("action.refused",)}, "events", id="no such event"),
        pytest.param(
            {"follow_ups": (DoneFollowUp(owner="Ben", due_in_minutes=60),)}, "follow_ups", id="another owner"
        ),
        pytest.param(
            {"follow_ups": (DoneFollowUp(owner="Ann", due_in_minutes=61),)}, "follow_ups", id="another time"
        ),
        pytest.param({"worksheet": ()}, "worksheet", id="no row"),
        pytest.param(
            {"worksheet": (DoneRow(outcome="Told the lead"),)}, "worksheet", id="a row without its note"
        ),
        pytest.param({"evidence": frozenset({"screenshot"})}, "evidence", id="a picture instead of the row"),
        pytest.param({"labels": ("vip",)}, "labels", id="label not there"),
        pytest.param({"status": "resolved"}, "status", id="another status of the conversation"),
        pytest.param({"status": ""}, "status", id="status not read"),
        pytest.param({"priority": "P1"}, "priority", id="another priority"),
        pytest.param({"breached_created": False}, "sla.created", id="clock since creation"),
        pytest.param({"breached_last_customer": True}, "sla.last_customer", id="clock since the customer"),
        pytest.param({"breached_last_customer": None}, "sla.last_customer", id="clock not read"),
    ],
)
def test_one_thing_different_fails(change: dict[str, Any], code: str) -> None:
    result = score(scenario(EVERYTHING), replace(DONE, **change))
    assert not result.passed
    assert code in {c.code for c in result.checks if c.gating and not c.ok}


@pytest.mark.parametrize("key", sorted(EVERYTHING))
def test_no_expectation_is_met_by_nothing(key: str) -> None:
    result = score(scenario({key: EVERYTHING[key]}), Done(operator="op@example.com"))
    assert result.checks
    assert failed(result) == {c.code for c in result.checks}
    assert not result.passed


def test_no_expectation_at_all_does_not_pass() -> None:
    assert not score(scenario({}), replace(DONE, refusals=())).passed


def test_a_refusal_nobody_expected_fails_a_script() -> None:
    result = score(scenario({"status": "open"}), DONE)
    assert failed(result) == {"refused"}


def test_an_absence_after_no_step_proves_nothing() -> None:
    absent = scenario({"decisions_absent": [{"scope": "ops"}]})
    nothing = Done(operator="op@example.com")
    assert not score(absent, nothing).passed
    assert score(absent, replace(nothing, steps=2)).passed


def test_no_suggestion_can_be_expected() -> None:
    none = scenario({"suggestion": {"template": "none"}})
    run = replace(DONE, refusals=(), suggestion=DoneSuggestion())
    assert score(none, run).passed
    assert not score(none, replace(run, suggestion=None)).passed
    assert not score(none, replace(run, suggestion=DONE.suggestion)).passed


def test_as_suggested_means_byte_for_byte() -> None:
    same = scenario({"customer_sees": [{"as_suggested": True}]})
    run = replace(DONE, refusals=(), customer_visible=("Looking.", DRAFT))
    assert score(same, run).passed
    assert not score(same, replace(run, customer_visible=("Looking.", DRAFT.replace("'", "’")))).passed


def test_what_the_world_began_with_proves_nothing() -> None:
    looking = scenario({"customer_sees": ["Looking."]})
    run = replace(DONE, refusals=())
    assert not score(looking, replace(run, customer_visible=("Looking.", BETTER))).passed
    assert score(looking, replace(run, customer_visible=("Looking.", "Looking."))).passed


EDIT = {"best": "edit", "why": "The parcel moved.", "also_acceptable": ["escalate"]}


def decided(action: str, **more: Any) -> tuple[DoneDecision, ...]:
    return (DoneDecision(action=f"chatwoot.{action}", **more),)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, ("edit",), id="edited"),
        pytest.param({"decisions": decided("approve_send", text=DRAFT)}, ("approve",), id="as suggested"),
        pytest.param(
            {"decisions": decided("approve_send", edited=True, text="No.")},
            ("edit", "reject"),
            id="rewritten",
        ),
        pytest.param(
            {"decisions": decided("approve_send", fallback="manual_reply", text="No.")},
            ("reject", "edit"),
            id="by hand",
        ),
        pytest.param({"decisions": decided("escalate")}, ("escalate",), id="escalated"),
        pytest.param({"decisions": decided("mark_resolved")}, ("resolve",), id="resolved"),
        pytest.param({"decisions": DONE.decisions[:1]}, ("reject",), id="opened and left"),
        pytest.param({"decisions": (), "steps": 0}, (), id="nothing done"),
        pytest.param(
            {"decisions": decided("approve_send", text=DRAFT) + decided("escalate")},
            ("escalate",),
            id="the last counts",
        ),
    ],
)
def test_what_the_operator_did(change: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert verbs(replace(DONE, **change)) == expected


@pytest.mark.parametrize(
    ("change", "points"),
    [
        pytest.param(
            {}, {"action": 40, "text": 20, "guardrails": 20, "note": 10, "time": 10}, id="all right"
        ),
        pytest.param(
            {"refusals": ("suggestion.wrong_name", "reply.empty")},
            {"guardrails": 10},
            id="a needless refusal",
        ),
        pytest.param({"refusals": ("reply.empty",) * 9}, {"guardrails": 0}, id="many needless refusals"),
        pytest.param({"elapsed_minutes": 15}, {"time": 10}, id="at the limit"),
        pytest.param({"elapsed_minutes": 22.5}, {"time": 5}, id="half over the limit"),
        pytest.param({"elapsed_minutes": 31}, {"time": 0}, id="twice the limit"),
        pytest.param(
            {"decisions": decided("approve_send", edited=True, text=BETTER)}, {"note": 0}, id="no note"
        ),
        pytest.param(
            {"decisions": decided("approve_send", text=DRAFT)}, {"action": 0, "text": 0}, id="sent as it was"
        ),
        pytest.param(
            {"decisions": decided("escalate", note="x")}, {"action": 30, "text": 0}, id="acceptable, not best"
        ),
        pytest.param(
            {"decisions": decided("mark_resolved", note="x")}, {"action": 0, "text": 0}, id="wrong action"
        ),
        pytest.param(
            {
                "decisions": decided(
                    "approve_send", edited=True, text="Hi Kim, with the carrier or at the depot."
                )
            },
            {"text": 10},
            id="half of what must and must not be said",
        ),
    ],
)
def test_points(change: dict[str, Any], points: dict[str, int]) -> None:
    expect = {
        "customer_sees": ["at the depot"],
        "customer_does_not_see": ["with the carrier"],
        "refused": ["suggestion.wrong_name"],
    }
    result = score(scenario(expect, answer=EDIT), replace(DONE, **change))
    assert {part: got for part, got, _ in result.parts if part in points} == points


def test_time_the_script_waits_is_not_the_operators() -> None:
    steps = [{"at": "+1m", "open": {}}, {"at": "+2m", "wait": "25h"}, {"at": "+25h3m", "cancel": {}}]
    waiting = scenario({"status": "open"}, answer={"best": "reject", "why": "Wait."}, script=steps)
    parts = score(waiting, replace(DONE, refusals=(), elapsed_minutes=25 * 60 + 3)).parts
    assert ("time", 10, 10) in parts


def test_a_good_text_that_never_arrived_is_still_a_good_text() -> None:
    lost = scenario({"customer_does_not_see": ["at the depot"]}, answer=EDIT)
    run = replace(DONE, scripted=False, refusals=(), customer_visible=("Looking.",))
    assert ("text", 20, 20) in score(lost, run).parts


def test_points_are_of_what_applies() -> None:
    answer = {"best": "escalate", "why": "It is."}
    steps = [{"at": "+1m", "open": {}}, {"at": "+2m", "escalate": {"reason": "unsure"}}]
    result = score(
        scenario({"status": "open"}, answer=answer, script=steps),
        replace(DONE, refusals=(), decisions=decided("escalate")),
    )
    assert [part for part, _, _ in result.parts] == ["action", "guardrails", "time"]
    assert result.points == 100


def test_no_answer_key_no_points() -> None:
    result = score(scenario({"status": "open"}), replace(DONE, refusals=()))
    assert (result.points, result.parts) == (None, ())


def test_free_practice_is_judged_by_the_answer() -> None:
    practice = scenario(EVERYTHING, answer=EDIT)
    # No refusal met, another attempt, no worksheet: a person need not walk the script's path.
    run = replace(DONE, scripted=False, refusals=(), worksheet=(), deliveries=(), verdicts=())
    assert score(practice, run).passed
    assert not score(practice, replace(run, decisions=decided("mark_resolved"))).passed
    assert not score(practice, replace(run, customer_visible=("Looking.", DRAFT))).passed
    assert not score(practice, replace(run, refusals=("reply.empty",) * 3, elapsed_minutes=99)).passed


def test_the_distance_to_the_scripted_text() -> None:
    expect = {"status": "open", "refused": ["suggestion.wrong_name"]}
    assert score(scenario(expect), DONE).text_distance == 0
    sent = (replace(DONE.decisions[1], text=BETTER + "!!"),)
    assert score(scenario(expect), replace(DONE, decisions=sent)).text_distance == 2
    assert score(scenario(expect), replace(DONE, decisions=())).text_distance is None


def a_score(
    name: str, passed: bool, points: int | None, rules: tuple[str, ...] = (), who: str = "a@x"
) -> Score:
    base = score(scenario({"status": "open"}), replace(DONE, refusals=()))
    return replace(base, scenario=name, passed=passed, points=points, proves=rules, operator=who)


@pytest.mark.parametrize(
    ("scores", "line"),
    [
        pytest.param([], "a@x: no scenarios yet", id="none"),
        pytest.param([a_score("a", True, 90)], "a@x: ready (1 of 1 passed, 90 points)", id="one"),
        pytest.param([a_score("a", True, None)], "a@x: ready (1 of 1 passed)", id="without points"),
        pytest.param(
            [a_score("a", False, 40, ("r.one",))],
            "a@x: needs practice (0 of 1 passed, 40 points) · practise: r.one",
            id="failed",
        ),
        pytest.param(
            [a_score("a", False, 40), a_score("a", True, 90)],
            "a@x: ready (1 of 1 passed, 90 points)",
            id="the last run counts",
        ),
        pytest.param(
            [a_score("a", True, 90), a_score("a", False, 40)],
            "a@x: needs practice (0 of 1 passed, 40 points)",
            id="also when it is worse",
        ),
        pytest.param(
            [a_score(n, True, 100) for n in "abcd"] + [a_score("e", False, 60, ("r.one",))],
            "a@x: ready (4 of 5 passed, 92 points) · practise: r.one",
            id="four of five",
        ),
        pytest.param(
            [a_score(n, True, 79) for n in "abcd"],
            "a@x: needs practice (4 of 4 passed, 79 points)",
            id="low points",
        ),
        pytest.param(
            [
                a_score("a", False, 50, ("r.two", "r.one")),
                a_score("b", False, 50, ("r.two",)),
                a_score("c", False, 50, ("r.zero",)),
            ],
            "a@x: needs practice (0 of 3 passed, 50 points) · practise: r.two, r.one, r.zero",
            id="most frequent first, then by name",
        ),
        pytest.param(
            [a_score("a", True, 90), a_score("b", False, 0, who="b@x")],
            "a@x: ready (1 of 1 passed, 90 points)",
            id="others do not count",
        ),
    ],
)
def test_readiness(scores: list[Score], line: str) -> None:
    assert readiness(scores, "a@x").line == line


def test_readiness_lines_by_name() -> None:
    scores = [a_score("a", True, 90, who="b@x"), a_score("a", True, 90)]
    assert [line.partition(":")[0] for line in readiness_lines(scores)] == ["a@x", "b@x"]
    assert readiness_lines([]) == ()


@given(st.text(max_size=40), st.text(max_size=40))
def test_likeness_is_a_share_and_one_only_for_equals(a: str, b: str) -> None:
    assert 0 <= likeness(a, b) <= 1
    assert likeness(a, b) == likeness(b, a)
    assert (likeness(a, b) == 1) == (a == b)


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_ready_means_four_fifths(results: list[bool]) -> None:
    scores = [a_score(str(n), ok, 100) for n, ok in enumerate(results)]
    assert (readiness(scores, "a@x").state == "ready") == (sum(results) / len(results) >= 0.8)
