"""What the receipt says of a decision that has not gone out, and why."""

from typing import Any

import pytest

from cairnops.app.views.queue import decided_words
from cairnops.app.views.receipt import receipt

DECISION = {
    "uid": "01D", "decisionId": 101, "action": "chatwoot.approve_send", "conversation": "chatwoot:7",
    "createdAt": "2025-10-16T17:00:00.000Z", "sla": None,
}  # fmt: skip
DOWN = "the help desk has not answered since 17:03 UTC (ECONNREFUSED)"


def effect(kind: str = "reply", **more: Any) -> dict[str, Any]:
    return {"uid": f"01{kind}", "kind": kind, "state": "ready", "final": None, "attempts": []} | more


ARRIVED = {"status": "SUCCESS", "attempt": 1, "error_code": ""}


@pytest.mark.parametrize(
    ("effects", "held", "down", "said"),
    [
        pytest.param([effect()], {}, "", "Saved, not yet sent.", id="on its way"),
        pytest.param([effect()], {}, DOWN, f"Saved, not yet sent: {DOWN}.", id="the help desk is down"),
        pytest.param(
            [effect(state="parked"), effect("note", final=ARRIVED)],
            {"01reply": "the customer wrote again at 17:20 UTC"},
            "",
            "Saved, not sent: the customer wrote again at 17:20 UTC. Open the case and judge what is there now.",
            id="held for a person",
        ),
        pytest.param(
            [effect(final=ARRIVED)], {}, DOWN, "Saved and delivered.", id="arrived before it went down"
        ),
    ],
)
def test_what_became_of_it(effects: list[Any], held: dict[str, str], down: str, said: str) -> None:
    assert receipt(DECISION, effects, "Alex", retried=False, held=held, down=down).sentence == said


def test_what_is_held_is_not_on_its_way() -> None:
    shown = receipt(
        DECISION, [effect(state="parked")], "Alex", retried=False, held={"01reply": "**resolved** elsewhere"}
    )
    (reply,) = shown.deliveries
    assert (reply.status, reply.ok, shown.standing) == ("waits for a person", None, "saved")
    assert not shown.retry


def ended(status: str, code: str = "", attempt: int = 3) -> dict[str, Any]:
    return {"final": {"status": status, "attempt": attempt, "error_code": code}}


@pytest.mark.parametrize(
    ("effects", "retried", "retry", "reliability"),
    [
        pytest.param([effect(**ended("TIMEOUT", "ETIMEDOUT"))], False, True, "", id="once more, by hand"),
        pytest.param(
            [effect(**ended("TIMEOUT", "ETIMEDOUT"))], True, False, "reply 01reply: TIMEOUT ETIMEDOUT",
            id="a second time: not again, but to the on-call",
        ),
        pytest.param(
            [effect(**ended("UNKNOWN"))], False, False, "reply 01reply: UNKNOWN", id="nobody knows: never again"
        ),
        pytest.param(
            [effect(**ended("SUCCESS", attempt=1)), effect("note", **ended("FAILED", "422"))], False, False,
            "note 01note: FAILED 422", id="only the note: the reply must not go twice",
        ),
        pytest.param([effect(**ended("SUCCESS", attempt=2))], True, False, "", id="the retry arrived"),
    ],
)  # fmt: skip
def test_after_a_failure_one_retry_and_then_the_on_call(
    effects: list[Any], retried: bool, retry: bool, reliability: str
) -> None:
    shown = receipt(DECISION, effects, "Alex", retried=retried)
    told = f"Tell the reliability on-call: decision 101, {reliability}." if reliability else ""
    assert (shown.retry, shown.reliability) == (retry, told)
    if shown.standing == "failed":
        lost = next(e["final"] for e in effects if e["final"]["status"] != "SUCCESS")
        assert f"at attempt {lost['attempt']}" in shown.sentence and lost["error_code"] in shown.sentence


def test_the_queue_says_so_too() -> None:
    assert decided_words("chatwoot.approve_send", "parked") == "saved, waits for a person"
    assert decided_words("chatwoot.approve_send", "open") == "saved, not yet sent"
