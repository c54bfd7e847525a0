"""The board tells how far everybody is by what was committed; the feed leaves out what nobody needs to hear."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.app.views.board import Case, Progress, Read, Seat, board
from cairnops.domain.conversations import Actor
from cairnops.domain.requests import Held
from cairnops.scenarios.practice import Seeded

NOW = datetime(2026, 1, 5, 14, 3, tzinfo=UTC)
STAMP = "2026-01-05T14:03:00.000Z"
ALEX, SAM = "alex.kim@shop.example", "sam@shop.example"
CASES = (Case(id="a-late", letter="A", title="Late"), Case(id="b-refund", letter="", title="Refund"))


def seeded(operator: str = ALEX, conversation: str = "1045", scenario: str = "a-late") -> Seeded:
    return Seeded(
        scenario=scenario, letter="A", title="Late", operator=operator, conversation=conversation, at=NOW
    )


def event(what: str, conversation: str = "1045", code: str = "", **body: Any) -> dict[str, Any]:
    return {
        "kind": what,
        "at": STAMP,
        "actor": ALEX,
        "conversation_id": conversation,
        "code": code,
        "body": body,
    }


def verdict(code: str, severity: str = "warn") -> dict[str, str]:
    return {"code": code, "severity": severity, "sentence": "…"}


def decision(number: int = 104, conversation: str = "1045", **fields: Any) -> dict[str, Any]:
    base = {"decisionId": number, "scope": "ops", "conversation": f"chatwoot:{conversation}", "edited": False}
    return base | {"action": "chatwoot.approve_send", "actor": {"email": ALEX}} | fields


def delivery(status: str = "", attempt: int = 1, kind: str = "reply") -> dict[str, Any]:
    final = {"status": status, "attempt": attempt, "error_code": ""} if status else None
    return {"conversation": "1045", "kind": kind, "final": final}


def run(passed: bool, points: int | None) -> dict[str, Any]:
    return {"conversation": "1045", "passed": passed, "score": {"points": points}}


def held(email: str = ALEX) -> Held:
    return Held(conversation="1045", actor=Actor(email=email), tab="t", session="s", since=NOW, until_ms=1)


def seat(**read: Any) -> Seat:
    found = board(CASES, [ALEX], Read(**({"seeded": [seeded()]} | read)))
    return found.rows[0][1][0]


TOLD = verdict("c.d", "info")
OPENED = event("suggestion.shown", source="ai", template="ship_update", verdicts=[])


@pytest.mark.parametrize(
    ("read", "progress", "headline", "tone"),
    [
        pytest.param({"seeded": []}, Progress.NOT_SEEDED, "—", "plain", id="not seeded"),
        pytest.param({}, Progress.SEEDED, "Seeded", "plain", id="seeded"),
        pytest.param({"held": [held()]}, Progress.OPENED, "Working on it", "info", id="somebody is in it"),
        pytest.param({"events": [OPENED]}, Progress.OPENED, "Opened, nothing decided", "warn", id="was looked at"),
        pytest.param({"decisions": [decision()]}, Progress.DECIDED, "Decided", "info", id="nothing to send"),
        pytest.param(
            {"decisions": [decision()], "deliveries": [delivery("SUCCESS"), delivery(kind="note")]},
            Progress.DECIDED, "Decided, being sent", "info", id="half of it sent",
        ),
        pytest.param(
            {"decisions": [decision()], "deliveries": [delivery("SUCCESS")]},
            Progress.DELIVERED, "Delivered", "good", id="sent",
        ),
        pytest.param(
            {"decisions": [decision()], "deliveries": [delivery("SUCCESS"), delivery("TIMEOUT", 3)]},
            Progress.FAILED, "Not delivered", "bad", id="one did not arrive",
        ),
        pytest.param(
            {"decisions": [decision()], "deliveries": [delivery("TIMEOUT", 3)], "runs": [run(True, 92)]},
            Progress.DEBRIEFED, "Debriefed, 92 points", "good", id="debriefed, whatever came before",
        ),
        pytest.param({"runs": [run(False, None)]}, Progress.DEBRIEFED, "Debriefed", "warn", id="no answer key"),
        pytest.param(
            {"decisions": [decision(scope="build")]}, Progress.SEEDED, "Seeded", "plain", id="shown is not decided"
        ),
        pytest.param(
            {"decisions": [decision(conversation="21045")]}, Progress.SEEDED, "Seeded", "plain", id="another's case"
        ),
    ],
)  # fmt: skip
def test_how_far_a_case_is(read: dict[str, Any], progress: Progress, headline: str, tone: str) -> None:
    found = seat(**read)
    assert (found.progress, found.headline, found.tone) == (progress, headline, tone)


@pytest.mark.parametrize(
    ("read", "lines"),
    [
        pytest.param({"held": [held()]}, ("in it since 14:03",), id="the operator"),
        pytest.param({"held": [held(SAM)]}, ("Sam in it since 14:03",), id="somebody else"),
        pytest.param(
            {
                "decisions": [decision(edited=True)],
                "deliveries": [delivery("SUCCESS", 2)],
                "events": [event("action.refused", code="x.y", action="approve_send")] * 2,
            },
            ("#104 approved, edited", "reply: delivered at attempt 2", "refused twice"),
            id="edited, retried, refused",
        ),
        pytest.param(
            {"decisions": [decision(), decision(105, action="chatwoot.escalate", actor={"email": SAM})]},
            ("#105 escalated by Sam",),
            id="the newest counts, and who made it",
        ),
    ],
)
def test_what_there_is_to_say_about_a_case(read: dict[str, Any], lines: tuple[str, ...]) -> None:
    assert seat(**read).lines == lines


def test_a_shared_copy_and_work_of_somebody_unexpected_have_rows_of_their_own() -> None:
    read = Read(seeded=[seeded(""), seeded("guest@shop.example", "3")])
    assert [who for who, _ in board(CASES, [ALEX], read).rows] == [ALEX, "guest@shop.example", ""]


def tiles(**read: Any) -> dict[str, tuple[str, str]]:
    found = board(CASES, [ALEX], Read(**({"seeded": [seeded()]} | read)))
    return {label: (figure, hint) for label, figure, hint, _ in found.tiles}


def test_a_guardrail_met_again_in_the_same_case_counts_once() -> None:
    twice = [event("suggestion.shown", verdicts=[verdict("refund.above_tier")])] * 2
    other = [
        event("action.refused", "7", code="x.y", action="escalate", verdicts=[verdict("refund.above_tier")])
    ]
    found = tiles(events=[*twice, *other])
    assert found["Guardrails hit"][0] == "2"
    assert found["Refused"] == ("1", "x.y, once")


def test_a_reason_is_an_override_only_when_it_was_applied() -> None:
    applied = event("action.applied", action="approve_send", number=104, override="The lead agreed")
    refused = event("action.refused", code="x.y", action="approve_send", override="Because")
    assert tiles(events=[applied, refused])["Overrides"][0] == "1"


def test_figures_of_an_empty_room_say_so() -> None:
    found = board(CASES, [], Read())
    assert found.rows == ()
    assert [figure for _, figure, _, _ in found.tiles] == ["0 of 0", "0", "0", "0", "0", "0"]


@pytest.mark.parametrize(
    ("row", "kind", "tone", "text", "codes"),
    [
        pytest.param(
            event("action.applied", action="approve_send", number=104, verdicts=[verdict("a.b"), TOLD]),
            "decision", "good", "Approved with edits, decision 104", ("a.b",), id="decision",
        ),
        pytest.param(
            event("action.applied", action="escalate", number=105, override="Agreed"),
            "decision", "warn", "Escalated, decision 105, against a block", (), id="override",
        ),
        pytest.param(
            event("action.refused", code="suggestion.wrong_name", action="approve_send", sentence="…"),
            "refusal", "bad", "Refused to approve and send: the reply addresses somebody else",
            ("suggestion.wrong_name",), id="refusal",
        ),
        pytest.param(
            event("action.refused", code="suggestion.ai_unavailable", action="approve_send"),
            "refusal", "bad", "Refused to approve and send: AI is switched off: templates only",
            ("suggestion.ai_unavailable",), id="a rule that begins with AI",
        ),
        pytest.param(
            event("action.refused", code="gone.rule", action="wink"),
            "refusal", "bad", "Refused to wink: gone.rule", ("gone.rule",), id="a rule nobody knows any more",
        ),
        pytest.param(
            event("suggestion.shown", source="ai", template="t", verdicts=[verdict("a.b")]),
            "guardrail", "warn", "Opened the case: AI suggestion t", ("a.b",), id="guardrail at opening",
        ),
        pytest.param(
            event("suggestion.withheld", verdicts=[]),
            "decision", "plain", "Opened the case: no suggestion", (), id="opened",
        ),
        pytest.param(
            event("effect.delivered", kind="reply", number=104, attempt=2),
            "delivery", "good", "Delivered the reply of decision 104 at attempt 2", (), id="delivered",
        ),
        pytest.param(
            event("worksheet.noted", outcome="question"), "capture", "info", "Noted: question", (), id="note"
        ),
        pytest.param(
            event("scenario.seeded", scenario="a-late", operator="sam.roe@shop.example"),
            "room", "plain", "Seeded scenario A for Sam Roe", (), id="seeded",
        ),
        pytest.param(
            event("scenario.seeded", scenario="gone", operator=""),
            "room", "plain", "Seeded scenario gone as a shared copy", (), id="seeded to all",
        ),
        pytest.param(
            event("session.agenda", "", title="", part=3), "room", "plain", "Agenda: the end", (), id="agenda"
        ),
    ],
)  # fmt: skip
def test_what_lands_is_told_in_words(
    row: dict[str, Any], kind: str, tone: str, text: str, codes: tuple[str, ...]
) -> None:
    read = Read(seeded=[seeded()], events=[row], decisions=[decision(edited=True)])
    (line,) = board(CASES, [ALEX], read).feed
    assert (line.kind, line.tone, line.text, line.codes) == (kind, tone, text, codes)
    assert line.case == ("A" if row["conversation_id"] else "")


def test_the_newest_stands_first_and_machinery_is_not_told() -> None:
    rows = [event("session.started", ""), event("conversation.observed"), event("session.closed", "")]
    assert [line.text for line in board(CASES, [], Read(events=rows)).feed] == [
        "Closed the session",
        "Started the session",
    ]


@given(
    st.lists(st.sampled_from([ALEX, SAM, ""]), max_size=4), st.lists(st.sampled_from([ALEX, SAM]), max_size=3)
)
def test_every_row_has_a_seat_for_every_case(given_to: list[str], expected: list[str]) -> None:
    found = board(CASES, expected, Read(seeded=[seeded(who, str(n)) for n, who in enumerate(given_to)]))
    assert {who for who, _ in found.rows} == set(given_to) | set(expected)
    assert all([s.scenario for s in seats] == ["a-late", "b-refund"] for _, seats in found.rows)
