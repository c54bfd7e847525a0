"""What QA looks for is found, counted as it is, and one decision is shown whole: nothing recorded is left out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.app.views import decisions as view
from cairnops.app.views.decisions import Wanted

SUGGESTED = "Hi Robin, your parcel is late."


def record(number: int, **changes: Any) -> dict[str, Any]:
    """A decision as an export in full has it."""
    return {
        "decisionId": number,
        "uid": f"01ABC{number}",
        "scope": "ops",
        "action": "chatwoot.approve_send",
        "actor": {"email": "alex@shop.example", "role": "operator"},
        "shopDomain": "shop.example",
        "conversation": f"chatwoot:{number + 900}",
        "session": "thursday",
        "requestKey": f"key-{number}",
        "createdAt": "2026-01-05T12:00:00.000Z",
        "rationale": "Approved AI suggestion",
        "reason": "",
        "target": "",
        "note": "",
        "linked": "",
        "suggestion": {
            "templateId": "ship_update",
            "text": SUGGESTED,
            "source": "ai",
            "sources": ["order 7"],
            "missing": [],
            "variables": {},
            "indexGeneratedAt": None,
        },
        "finalText": SUGGESTED,
        "edited": False,
        "editDistance": 0,
        "fallback": "",
        "verdicts": [],
        "override": "",
        "sla": None,
        "priority": "P2",
        "flags": {"modalApprovals": True, "aiEscalations": False},
        "policyProfile": "dry-run",
        "policyHash": "abc",
        "followUp": None,
        "leafHash": "f00d",
    } | changes


def effect(decision: str, kind: str, *statuses: str, **final: Any) -> dict[str, Any]:
    """An effect with one attempt a status; the last is how it ended, `""` leaves it under way."""
    attempts = [
        {"attempt": n, "at": "2026-01-05T12:00:01.000Z", "answer": "ok" if s == "SUCCESS" else "unknown",
         "error_code": "" if s == "SUCCESS" else "ETIMEDOUT", "duration_us": 2500}
        for n, s in enumerate(statuses, 1) if s
    ]  # fmt: skip
    ended = {
        "status": statuses[-1],
        "attempt": len(statuses),
        "error_code": "",
        "at": "2026-01-05T12:00:01.000Z",
    }
    return {
        "decision": decision,
        "kind": kind,
        "attempts": attempts,
        "final": ended | final if statuses and statuses[-1] else None,
    }


VERDICT = {
    "code": "refund.above_tier", "severity": "block", "sentence": "Above your tier.", "threshold": "$100",
    "overrideRole": "lead", "overridden": True,
}  # fmt: skip
ROWS = view.rows(
    [
        record(101, scope="build", action="suggestion.shown", finalText=None, logIndex=0),
        record(102, logIndex=1),
        record(103, edited=True, finalText="Hi Robin, soon.", actor={"email": "sam@shop.example", "role": "lead"},
               verdicts=[VERDICT, VERDICT], override="The lead said so."),
        record(104, suggestion=None, finalText="By hand.", session="friday"),
        record(1020, action="chatwoot.escalate", suggestion=None, finalText=None),
    ],
    [
        effect("01ABC102", "reply", "SUCCESS"),
        effect("01ABC102", "note", "TIMEOUT"),
        effect("01ABC103", "reply", "SUCCESS"),
        effect("01ABC104", "reply", ""),
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        pytest.param([], "", id="nothing to send"),
        pytest.param(["SUCCESS", "SUCCESS"], "SUCCESS", id="all delivered"),
        pytest.param(["SUCCESS", ""], "PENDING", id="one still on its way"),
        pytest.param(["", "TIMEOUT"], "TIMEOUT", id="lost outweighs on its way"),
        pytest.param(["FAILED", "TIMEOUT"], "FAILED", id="refused outweighs late"),
        pytest.param(["FAILED", "UNKNOWN"], "UNKNOWN", id="not knowing is worst"),
    ],
)
def test_a_decision_stands_as_the_worst_of_what_it_sent(statuses: list[str], worst: str) -> None:
    effects = [effect("01ABC1", f"kind{n}", status) for n, status in enumerate(statuses)]
    assert view.rows([record(1)], effects)[0].delivery == worst


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        pytest.param(Wanted(), [1020, 104, 103, 102], id="what people decided, newest first"),
        pytest.param(Wanted(scope="build"), [101], id="suggestions shown"),
        pytest.param(Wanted(scope=""), [1020, 104, 103, 102, 101], id="both"),
        pytest.param(Wanted(session="friday"), [104], id="of a session"),
        pytest.param(Wanted(who="sam@shop.example"), [103], id="of a person"),
        pytest.param(Wanted(action="chatwoot.escalate"), [1020], id="of an action"),
        pytest.param(Wanted(delivery="TIMEOUT"), [102], id="by its worst effect"),
        pytest.param(Wanted(delivery="PENDING"), [104], id="on its way"),
        pytest.param(Wanted(delivery="none"), [1020], id="nothing to send"),
        pytest.param(Wanted(edited="edited"), [103], id="edited"),
        pytest.param(Wanted(edited="unchanged"), [102], id="sent as suggested"),
        pytest.param(Wanted(edited="by hand"), [104], id="written by hand, escalations not among them"),
        pytest.param(Wanted(code="refund.above_tier"), [103], id="by a rule"),
        pytest.param(Wanted(text="102"), [1020, 102], id="how a number begins"),
        pytest.param(Wanted(text="#102"), [102], id="a number exactly"),
        pytest.param(Wanted(text=" 01abc103 "), [103], id="a uid, in any case"),
        pytest.param(Wanted(text="1003"), [103], id="a conversation by its bare id"),
        pytest.param(Wanted(text="chatwoot:1003"), [103], id="a conversation in full"),
        pytest.param(Wanted(text="#102, #104;chatwoot:1003"), [104, 103, 102], id="several ids"),
        pytest.param(Wanted(text="nothing"), [], id="none"),
        pytest.param(Wanted(text="#102", session="friday"), [], id="filters add up"),
    ],
)
def test_what_is_looked_for_is_found(wanted: Wanted, numbers: list[int]) -> None:
    assert [r.number for r in view.select(ROWS, wanted)] == numbers


def test_counts_say_what_they_are_out_of() -> None:
    some = view.select(ROWS, Wanted())
    assert [(c.label, c.value, c.tone) for c in view.counts(some, ROWS)] == [
        ("Decisions", "4", "plain"),
        ("Suggestions edited", "1 of 2", "plain"),
        ("Went ahead against a block", "1", "warn"),
        ("Not delivered", "1", "bad"),
        ("Not sealed yet", "3", "warn"),
    ]
    # Nothing sent is not all delivered.
    assert view.counts((), ROWS)[3].tone == "plain"


def test_choices_are_what_there_is() -> None:
    there = view.choices(ROWS)
    assert there.sessions == ("friday", "thursday")
    assert there.people == ("alex@shop.example", "sam@shop.example")
    assert there.codes == ("refund.above_tier",)


@given(shown=st.text(max_size=60), sent=st.text(min_size=1, max_size=60))
def test_the_marked_changes_hold_both_texts_whole(shown: str, sent: str) -> None:
    made = view.opened(
        record(
            7, suggestion={**record(7)["suggestion"], "text": shown}, finalText=sent, edited=shown != sent
        ),
        [],
    )
    if shown == sent:
        assert made.diff == ()
        return
    assert "".join(text for kind, text in made.diff if kind != "added") == shown
    assert "".join(text for kind, text in made.diff if kind != "removed") == sent


def test_a_decision_is_shown_with_everything_recorded() -> None:
    promise = {"owner": "operator on shift", "due": "2026-01-05T15:00:00.000Z", "text": "Call back."}
    kept = record(
        103, reason="policy", target="manager", note="See order.", override="The lead said so.", followUp=promise,
        verdicts=[VERDICT], linked="01BUILD", logIndex=4,
    )  # fmt: skip
    made = view.opened(kept, [])
    told = dict(made.facts) | dict(made.fixed) | dict(made.origin)
    for value in (
        "policy",
        "manager",
        "See order.",
        "The lead said so.",
        "01BUILD",
        "key-103",
        "f00d",
        "abc",
        "4",
    ):
        assert value in told.values(), value
    assert "operator on shift by 2026-01-05 15:00 UTC: Call back." in told.values()
    assert told["Switched on"] == "approvals in the modal"
    spoke = made.verdicts[0]
    assert (spoke.code, spoke.overridden, spoke.threshold) == ("refund.above_tier", True, "$100")
    assert spoke.explanation
    assert made.index == 4
    assert made.text_said == "Approved word for word as suggested."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"edited": True, "finalText": "x", "editDistance": 1}, "Edited: 1 character changed", id="edited"
        ),
        pytest.param({"suggestion": None}, "Written by hand", id="by hand"),
        pytest.param({"finalText": None}, "Nothing was sent", id="nothing sent"),
    ],
)
def test_how_the_text_came_about_is_said(changes: dict[str, Any], said: str) -> None:
    assert view.opened(record(7, **changes), []).text_said.startswith(said)


def test_both_clocks_are_there_the_one_in_force_first() -> None:
    def standing(clock: str, *, breached: bool) -> dict[str, Any]:
        return {"clock": clock, "breached": breached, "breachAgeS": 2400, "elapsedS": 6000, "stoppedAt": None,
                "startedAt": "2026-01-05T10:20:00.000Z", "dueAt": "2026-01-05T11:20:00.000Z"}  # fmt: skip

    sla = {"clock": "last_customer_message", "targetMinutes": 60,
           "standings": [standing("conversation_created", breached=True),
                         standing("last_customer_message", breached=False)]}  # fmt: skip
    clocks = view.opened(record(7, sla=sla), []).clocks
    assert [(c.in_force, c.breached) for c in clocks] == [(True, False), (False, True)]
    assert clocks[1].state == "breached, 40 min past the target"
    assert clocks[0].waited == "1 h 40 min of 60 min"


def test_every_attempt_is_there_and_the_last_says_how_it_ended() -> None:
    effects = [effect("u", "reply", "FAILED", "TIMEOUT"), effect("u", "note", "")]
    tries = view.opened(record(7), effects).tries
    assert [(t.effect, t.attempt, t.ended, t.tone) for t in tries] == [
        ("reply", 1, "", "plain"),
        ("reply", 2, "TIMEOUT: timed out", "bad"),
        ("note", 0, "saved, not yet sent", "warn"),
    ]
    assert tries[0].answer == "no answer (ETIMEDOUT)"
