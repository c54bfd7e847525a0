"""A facilitator's page says what is known, who says so, and never that all is well because nobody looked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cairnops.app.views import session as view
from cairnops.app.views import words
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.gates import ProbeRecord
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import AgendaPart, Gate, Session, Task, Turn
from cairnops.errors import CairnError

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
ALEX = Actor(email="alex.kim@shop.example")
MORGAN = Actor(email="morgan@shop.example", role=Role.LEAD)
HELD = Session(
    name="thursday",
    pack="late",
    pack_version="1",
    pack_digest="d",
    title="Late parcels",
    started_at=NOW - timedelta(minutes=30),
    flags=Flags(modal_approvals=True, ai_escalations=True),
    policy_profile="dry-run",
    policy_hash="p",
    participants=(ALEX, MORGAN),
    roles={"facilitator": "Enablement lead"},
    agenda=(
        AgendaPart(title="Welcome", minutes=10),
        AgendaPart(title="A", minutes=15, scenarios=("a-late",)),
        AgendaPart(title="Wrap-up", minutes=5),
    ),
    checklist=(
        Task(id="bundle", text="Hand over", when_s=7200),
        Task(id="invite", text="Invite", when_s=-259200),
        Task(id="record", text="Record", when_s=0),
    ),
    probes=("chatwoot", "ledger"),
    gates=(Gate(id="desk", title="The help desk answers", require="chatwoot and chatwoot.latency_ms < 500"),),
    live=True,
)
ON, OFF = Flags(modal_approvals=True, ai_escalations=True), Flags(modal_approvals=True, ai_escalations=False)


def probe(**fields: Any) -> ProbeRecord:
    return ProbeRecord(**{"name": "chatwoot", "status": "ok", "at": NOW, "latency_ms": 40} | fields)


@pytest.mark.parametrize(
    ("session", "caps", "pack", "on", "says"),
    [
        pytest.param(ON, ON, ON, True, "On for this session.", id="on"),
        pytest.param(ON, OFF, ON, False, "FEATURE_AI_ESCALATIONS in the environment", id="capped since"),
        pytest.param(OFF, OFF, OFF, False, "in the environment", id="the environment speaks first"),
        pytest.param(OFF, ON, OFF, False, "Switched off by the pack", id="by the pack"),
        pytest.param(OFF, ON, ON, False, "Switched off for this session", id="by the session"),
        pytest.param(OFF, ON, None, False, "Switched off for this session", id="pack not at hand"),
    ],
)
def test_a_switch_says_who_set_it(
    session: Flags, caps: Flags, pack: Flags | None, on: bool, says: str
) -> None:
    found = view.flags(replace(HELD, flags=session), caps, pack)[1]
    assert found.on is on
    assert says in found.why


@pytest.mark.parametrize(
    ("records", "headline", "verdict", "status"),
    [
        pytest.param(
            [], "Not known: a probe was not measured", "Not known", "not measured", id="nobody looked"
        ),
        pytest.param([probe()], "Go: every gate is met", "Go", "ok", id="met"),
        pytest.param(
            [probe(latency_ms=900)], "No-go: 1 gate of 1 not met", "No-go", "ok", id="answers, and too slowly"
        ),
        pytest.param(
            [probe(status="failed"), probe(at=NOW - timedelta(minutes=5))],
            "No-go: 1 gate of 1 not met",
            "No-go",
            "failed",
            id="the newest counts, in whatever order",
        ),
    ],
)
def test_gates_show_the_probes_behind_them(
    records: list[ProbeRecord], headline: str, verdict: str, status: str
) -> None:
    found = view.gates(HELD, records, NOW)
    assert (found.headline, found.gates[0].verdict) == (headline, verdict)
    assert [(p.name, p.status) for p in found.gates[0].probes] == [("chatwoot", status)]


def turns(*minutes: int) -> list[Turn]:
    return [Turn(part=n, at=NOW - timedelta(minutes=m), by="x") for n, m in enumerate(minutes)]


@pytest.mark.parametrize(
    ("taken", "index", "over", "left", "pace", "following", "before"),
    [
        pytest.param([], None, False, None, "", 0, None, id="not begun"),
        pytest.param(turns(4), 0, False, 6, "on time", 1, None, id="first part"),
        pytest.param(turns(14), 0, False, -4, "4 min behind the plan", 1, None, id="over its time"),
        pytest.param(turns(9, 3), 1, False, 12, "4 min ahead of the plan", 2, 0, id="ahead"),
        pytest.param(turns(30, 20, 5), 2, False, 0, "on time", 3, 1, id="last part"),
        pytest.param(turns(30, 20, 5, 1), 3, True, None, "", None, 2, id="through"),
    ],
)
def test_the_agenda_knows_how_long_is_left(
    taken: list[Turn],
    index: int | None,
    over: bool,
    left: int | None,
    pace: str,
    following: int | None,
    before: int | None,
) -> None:
    found = view.agenda(HELD, taken, NOW, {"a-late": "A"})
    ends = None if left is None else round((NOW + timedelta(minutes=left)).timestamp() * 1000)
    assert (found.index, found.over, found.ends_ms, found.pace) == (index, over, ends, pace)
    assert (found.following, found.before) == (following, before)
    assert [p.standing for p in found.parts].count("now") == (index is not None and not over)
    assert found.parts[1].scenarios == ("A",)


def test_going_back_gives_no_time_back() -> None:
    back = [*turns(20, 10), Turn(part=0, at=NOW, by="x")]
    found = view.agenda(HELD, back, NOW, {})
    assert (found.index, found.pace) == (0, "20 min behind the plan")


def test_the_checklist_stands_in_the_order_of_its_times() -> None:
    done = {"invite": {"by": "alex.kim@shop.example", "at": "2026-01-04T08:00:00.000Z"}}
    found = view.tasks(HELD, done, NOW)
    assert [(t.id, t.when, t.done, t.late) for t in found] == [
        ("invite", "3 days before", True, False),
        ("record", "at the start", False, True),
        ("bundle", "2 hours after", False, False),
    ]
    assert found[0].by == "Alex Kim, 2026-01-04 08:00"


def test_a_rehearsal_dated_in_the_past_is_never_late() -> None:
    assert not any(t.late for t in view.tasks(replace(HELD, live=False), {}, NOW + timedelta(days=300)))


@pytest.mark.parametrize(
    ("practice", "address"),
    [
        pytest.param(
            True, "http://127.0.0.1:8501/?as=alex.kim@shop.example:operator&session=thursday", id="practice"
        ),
        pytest.param(False, "http://127.0.0.1:8501/?session=thursday", id="people sign in"),
    ],
)
def test_everybody_has_a_link_that_lets_them_in(practice: bool, address: str) -> None:
    assert view.persons(HELD, "http://127.0.0.1:8501/", practice=practice)[0].link == address


def test_a_link_is_whole_whatever_the_address_holds() -> None:
    odd = Actor(email="a+b&session=other@x.example")
    assert view.link("http://h", "a b", odd, True) == (
        "http://h/?as=a%2Bb%26session%3Dother@x.example:operator&session=a+b"
    )


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        pytest.param(
            "a@x.example, b@x.example:lead", ["a@x.example operator", "b@x.example lead"], id="commas"
        ),
        pytest.param(
            "A@x.example\n\n a@x.example:lead ", ["a@x.example operator"], id="each once, the first counts"
        ),
        pytest.param(" ;\n", [], id="nobody"),
    ],
)
def test_participants_are_typed_as_people_type(typed: str, found: list[str]) -> None:
    assert [f"{a.email} {a.role.value}" for a in view.people(typed)] == found


def test_somebody_without_an_address_is_named() -> None:
    with pytest.raises(CairnError, match="'morgan' is no participant"):
        view.people("a@x.example\nmorgan")


def test_sessions_are_listed_open_first_then_newest() -> None:
    def row(name: str, day: int, state: str) -> dict[str, Any]:
        at = f"2026-01-{day:02d}T09:00:00.000Z"
        return {
            "name": name,
            "state": state,
            "pack": "p",
            "startedAt": at,
            "participants": ["a"],
            "decisions": 2,
        }

    rows = [row("old", 1, "open"), row("shut", 9, "closed"), row("new", 3, "open")]
    found = view.listed(rows, {"new": True})
    assert [(s.name, s.state) for s in found] == [("new", "live"), ("old", "open"), ("shut", "closed")]


def test_a_question_is_open_until_somebody_owns_it() -> None:
    def row(**fields: str) -> dict[str, str]:
        base = {
            "at": "2026-01-05T09:00:00.000Z",
            "outcome": "question",
            "note": "Why?",
            "participant": "m@x.example",
        }
        return base | {"scenario": "a-late", "owner": "", "due": ""} | fields

    found = view.notes(
        [row(), row(owner="Morgan", due="2026-01-05T09:10:00.000Z"), row(outcome="observation")],
        {"a-late": "A"},
        NOW,
    )
    assert [(n.kind, n.open, n.scenario) for n in found] == [
        ("observation", False, "A"),
        ("question", False, "A"),
        ("question", True, "A"),
    ]
    assert found[1].due == "2026-01-05 09:10, overdue"


@pytest.mark.parametrize(
    ("email", "name"),
    [("alex.kim@shop.example", "Alex Kim"), ("m@x", "M"), ("", ""), ("ann_lee+2@x", "Ann Lee 2")],
)
def test_people_are_called_by_their_address(email: str, name: str) -> None:
    assert words.person(email) == name
