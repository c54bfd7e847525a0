"""Running a session: its agenda on record, what it switches off, its probes, and how it is handed over."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops import codec
from cairnops.domain import sessions
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import AgendaPart, Session, Turn
from cairnops.errors import CairnError, NotFound
from cairnops.evidence import handover
from cairnops.scenarios import scoring
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.scoring import Check, Score
from cairnops.scenarios.sessions import begin, measure
from cairnops.settings import Settings
from cairnops.workspace import Workspace

ALEX = Actor(email="alex@shop.example")
MORGAN = Actor(email="morgan@shop.example", role=Role.LEAD)
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PACK = load_pack("cx-escalations")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "w", Settings({})) as opened:
        yield opened


def live(workspace: Workspace, flags: Flags | None = None) -> Session:
    return begin(workspace, PACK, "thursday", [ALEX, MORGAN], MORGAN, live=NOW, flags=flags)[0]


def test_two_who_press_next_at_once_go_on_by_one(workspace: Workspace) -> None:
    live(workspace)
    done = [
        workspace.sessions.turn("thursday", part, who, NOW)
        for part, who in ((0, MORGAN), (1, MORGAN), (1, ALEX))
    ]
    assert done == [True, True, False]
    assert [(t.part, t.by) for t in workspace.sessions.turns("thursday")] == [
        (0, MORGAN.email),
        (1, MORGAN.email),
    ]
    told = [e["body"] for e in workspace.ledger.events(session="thursday", kind="session.agenda")]
    assert told[1] == {"part": 1, "title": PACK.agenda[1].title}


@pytest.mark.parametrize("part", [-1, len(PACK.agenda) + 1])
def test_there_is_no_part_beside_the_agenda(workspace: Workspace, part: int) -> None:
    live(workspace)
    with pytest.raises(NotFound, match="has no part"):
        workspace.sessions.turn("thursday", part, MORGAN, NOW)


def test_the_agenda_of_a_closed_session_stands(workspace: Workspace) -> None:
    live(workspace)
    workspace.sessions.turn("thursday", 0, MORGAN, NOW)
    workspace.sessions.close("thursday", MORGAN, NOW)
    with pytest.raises(CairnError, match="is closed"):
        workspace.sessions.turn("thursday", 1, MORGAN, NOW)
    assert len(workspace.sessions.turns("thursday")) == 1


AGENDA = tuple(AgendaPart(title=f"{n}", minutes=n) for n in (5, 10, 15))


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.lists(st.integers(0, 7200), min_size=9, max_size=9),
)
def test_time_only_runs_out(parts: list[int], waits: list[int]) -> None:
    at, turns = NOW, []
    for part, wait in zip(parts, waits, strict=False):
        turns.append(Turn(part=part, at=at, by="m"))
        at += timedelta(seconds=wait)
    now, later = (sessions.running(AGENDA, turns, at + timedelta(seconds=more)) for more in (0, waits[-1]))
    assert now.over is later.over is (parts[-1] == len(AGENDA))
    assert now.part == later.part == parts[-1]
    if not now.over:
        assert now.left_s - later.left_s == waits[-1]
        assert later.behind_s >= now.behind_s


@pytest.mark.parametrize(
    ("flags", "environment", "on"),
    [
        pytest.param(None, {}, (True, True), id="as the pack has it"),
        pytest.param(
            Flags(modal_approvals=True, ai_escalations=False), {}, (True, False), id="off for the session"
        ),
        pytest.param(Flags(modal_approvals=False, ai_escalations=True), {}, (False, True), id="read-only"),
        pytest.param(
            Flags(modal_approvals=True, ai_escalations=True),
            {"FEATURE_AI_ESCALATIONS": "0"},
            (True, False),
            id="a session switches nothing on that the environment has off",
        ),
    ],
)
def test_a_session_can_switch_off_and_never_on(
    tmp_path: Path, flags: Flags | None, environment: dict[str, str], on: tuple[bool, bool]
) -> None:
    with Workspace.open(tmp_path / "w", Settings(environment)) as workspace:
        held = live(workspace, flags)
    assert (held.flags.modal_approvals, held.flags.ai_escalations) == on


def test_the_help_desk_that_is_open_already_is_the_one_measured(workspace: Workspace) -> None:
    held = live(workspace)
    with workspace.help_desk() as remote:
        records = {r.name: r for r in measure(workspace, held, MORGAN, NOW, remote=remote)}
        assert records["chatwoot"].status == "ok"
    gone = {r.name: r for r in measure(workspace, held, MORGAN, NOW, remote=remote)}
    assert gone["chatwoot"].status == "failed"


def test_the_end_leaves_a_bundle_that_holds_and_can_be_written_again(workspace: Workspace) -> None:
    held = live(workspace)
    measure(workspace, held, MORGAN, NOW)
    first = handover.end(workspace, "thursday", MORGAN, NOW)
    assert workspace.sessions.state("thursday") == "closed"
    assert (first.report.found, first.report.session) == (0, "thursday")
    assert {a.path.name for a in first.artifacts} >= {"worksheet.md", "worksheet.csv", "summary.json"}
    again = handover.end(workspace, "thursday", MORGAN, NOW + timedelta(hours=1))
    assert (again.bundle.kept.path, again.report.found) == (first.bundle.kept.path, 0)
    closed = workspace.ledger.events(session="thursday", kind="session.closed")
    assert len(closed) == 1


def test_a_session_that_never_was_cannot_end(workspace: Workspace) -> None:
    with pytest.raises(NotFound):
        handover.end(workspace, "friday", MORGAN, NOW)


def test_a_kept_score_is_read_back_as_it_was() -> None:
    made = Score(
        scenario="a", title="T", operator="o", proves=("x.y",), passed=True, points=None, verb="edit",
        checks=(Check(code="c", ok=True, expected="e", found="f", examined=1, gating=False),),
        parts=(("action", 30, 40),), text_distance=7,
    )  # fmt: skip
    assert scoring.of_record(codec.record(made)) == made
