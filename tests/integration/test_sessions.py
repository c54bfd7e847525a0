"""Sessions: what makes one go on, what makes a new one, who works on what, and go or no-go."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cairnops.domain import sessions
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.gates import GateState
from cairnops.errors import CairnError, NotFound
from cairnops.scenarios import runner
from cairnops.scenarios.loader import load_pack, parse_pack
from cairnops.scenarios.sessions import begin, measure
from cairnops.scenarios.template import text
from cairnops.settings import Settings
from cairnops.store.sessions import participant
from cairnops.workspace import Workspace

ALEX = Actor(email="alex@shop.example")
SAM = Actor(email="sam@shop.example")
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PACK = parse_pack(text("late", NOW.date()).encode(), "late.yaml")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "w", Settings({})) as opened:
        yield opened


def stricter(workspace: Workspace) -> None:
    policy = workspace.policy
    workspace.use(replace(policy, sla=replace(policy.sla, minutes=15)))


def test_the_same_pack_goes_on_in_the_same_session(workspace: Workspace) -> None:
    first, fresh = begin(workspace, PACK, "", [ALEX], ALEX)
    again, anew = begin(workspace, PACK, "", [ALEX], ALEX)
    assert (first.name, fresh) == ("late", True)
    assert (again, anew) == (first, False)


@pytest.mark.parametrize("change", ["pack", "policy", "closed"])
def test_without_a_name_what_does_not_fit_starts_afresh(workspace: Workspace, change: str) -> None:
    begin(workspace, PACK, "", [ALEX], ALEX)
    pack = PACK.model_copy(update={"summary": "Another text."}) if change == "pack" else PACK
    if change == "policy":
        stricter(workspace)
    if change == "closed":
        workspace.sessions.close("late", ALEX, NOW)
    session, fresh = begin(workspace, pack, "", [ALEX], ALEX)
    assert (session.name, fresh) == ("late-2", True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param("pack", "another text of late", id="pack edited"),
        pytest.param("policy", "another policy", id="policy changed"),
        pytest.param("closed", "is closed", id="closed"),
        pytest.param("other", "runs the pack late", id="another pack"),
    ],
)
def test_a_named_session_that_does_not_fit_is_refused(workspace: Workspace, change: str, says: str) -> None:
    begin(workspace, PACK, "monday", [ALEX], ALEX)
    pack = PACK.model_copy(update={"summary": "Another text."}) if change == "pack" else PACK
    if change == "other":
        pack = load_pack("cx-escalations")
    if change == "policy":
        stricter(workspace)
    if change == "closed":
        workspace.sessions.close("monday", ALEX, NOW)
    with pytest.raises(CairnError, match=says) as refused:
        begin(workspace, pack, "monday", [ALEX], ALEX)
    assert "--session" in refused.value.hint


def test_two_operators_work_on_two_conversations_and_both_are_judged(workspace: Workspace) -> None:
    session, _ = begin(workspace, PACK, "", [ALEX], ALEX)
    begin(workspace, PACK, "", [SAM], SAM)
    with workspace.help_desk() as remote:
        results = [
            asyncio.run(runner.run(workspace, remote, PACK, session, who, PACK.scenarios))[0]
            for who in (ALEX, SAM)
        ]
    assert [r.conversation for r in results] == ["3001", "23001"]
    assert all(r.score.passed for r in results)
    assert [d["actor"]["email"] for d in workspace.ledger.decisions(scope="ops")] == [ALEX.email, SAM.email]
    assert {p.email for p in workspace.sessions.get(session.name).participants} == {ALEX.email, SAM.email}
    assert {r["operator"] for r in workspace.sessions.runs(session.name)} == {ALEX.email, SAM.email}


def test_probes_open_the_gates_and_their_absence_does_not(workspace: Workspace) -> None:
    session, _ = begin(workspace, load_pack("cx-escalations"), "thursday", [ALEX], ALEX)
    assert sessions.board(session, [], NOW).state is GateState.UNKNOWN
    measure(workspace, session, ALEX, NOW)
    records = workspace.sessions.probes("thursday")
    assert {r.name for r in records} == {"chatwoot", "ledger", "exports", "operators"}
    assert sessions.board(session, records, NOW).state is GateState.GO
    stale = sessions.board(session, records, NOW + timedelta(hours=2))
    assert stale.state is GateState.NO_GO


def test_a_help_desk_that_does_not_answer_is_a_no_go(tmp_path: Path) -> None:
    down = Settings({"CHATWOOT_BASE_URL": "http://127.0.0.1:9", "CHATWOOT_API_TOKEN": "token"})
    with Workspace.open(tmp_path / "w", down) as workspace:
        session, _ = begin(workspace, load_pack("cx-escalations"), "thursday", [ALEX], ALEX)
        measure(workspace, session, ALEX, NOW)
        board = sessions.board(session, workspace.sessions.probes("thursday"), NOW)
        (gate,) = [result for gate, result in board.results if gate.id == "help-desk"]
        assert gate.state is GateState.NO_GO
        assert any("chatwoot" in reason for reason in gate.reasons)


def test_a_session_without_anybody_who_acts_is_a_no_go(workspace: Workspace) -> None:
    reader = Actor(email="qa@shop.example", role=Role.QA)
    session, _ = begin(workspace, load_pack("cx-escalations"), "thursday", [reader], reader)
    measure(workspace, session, reader, NOW)
    board = sessions.board(session, workspace.sessions.probes("thursday"), NOW)
    (people,) = [result for gate, result in board.results if gate.id == "people"]
    assert people.state is GateState.NO_GO


def test_a_task_is_ticked_once_and_by_somebody(workspace: Workspace) -> None:
    begin(workspace, load_pack("cx-escalations"), "thursday", [ALEX], ALEX)
    assert workspace.sessions.tick("thursday", "rehearsal", SAM, NOW)
    assert not workspace.sessions.tick("thursday", "rehearsal", ALEX, NOW + timedelta(minutes=1))
    assert workspace.sessions.ticked("thursday")["rehearsal"]["by"] == SAM.email
    with pytest.raises(NotFound, match="no task dance"):
        workspace.sessions.tick("thursday", "dance", ALEX, NOW)


def test_every_change_of_a_session_has_its_event_with_its_actor(workspace: Workspace) -> None:
    begin(workspace, PACK, "monday", [ALEX], ALEX)
    workspace.sessions.join("monday", SAM, NOW)
    workspace.sessions.close("monday", SAM, NOW)
    assert not workspace.sessions.close("monday", ALEX, NOW)
    told = [(e["kind"], e["actor"]) for e in workspace.ledger.events(session="monday")]
    assert told == [
        ("session.started", ALEX.email),
        ("session.joined", SAM.email),
        ("session.closed", SAM.email),
    ]


def test_one_person_has_one_role_and_one_spelling(workspace: Workspace) -> None:
    begin(workspace, PACK, "monday", [participant("Alex@Shop.Example")], ALEX)
    begin(workspace, PACK, "monday", [participant("alex@shop.example")], ALEX)
    assert [p.email for p in workspace.sessions.get("monday").participants] == [ALEX.email]
    with pytest.raises(CairnError, match="as operator, not as admin"):
        begin(workspace, PACK, "monday", [participant("alex@shop.example:admin")], ALEX)


def test_whoever_runs_the_script_plays_the_operator_before_and_after_others_join(
    workspace: Workspace,
) -> None:
    morgan = Actor(email="morgan@shop.example", role=Role.LEAD)
    session, _ = begin(workspace, PACK, "", [morgan], morgan)
    for joining in (ALEX, SAM):
        with workspace.help_desk() as remote:
            (result,) = asyncio.run(runner.run(workspace, remote, PACK, session, morgan, PACK.scenarios))
        assert result.score.passed, result.score.checks
        session, _ = begin(workspace, PACK, "", [joining], joining)
    assert [d["actor"]["email"] for d in workspace.ledger.decisions(scope="ops")] == [morgan.email]


def test_one_rehearsal_is_no_history_of_the_next(workspace: Workspace) -> None:
    pack = load_pack("cx-escalations")
    told = []
    for name in ("first", "second", "third"):
        session, _ = begin(workspace, pack, name, [ALEX], ALEX)
        with workspace.help_desk() as remote:
            (result,) = asyncio.run(runner.run(workspace, remote, pack, session, ALEX, [pack.scenarios[0]]))
        (decision,) = [d for d in result.decisions if d["scope"] == "ops"]
        told.append([v["code"] for v in decision["verdicts"]])
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("switch", ["FEATURE_MODAL_APPROVALS", "FEATURE_AI_ESCALATIONS"])
def test_a_switch_that_is_off_in_the_environment_is_off_in_the_rehearsal(tmp_path: Path, switch: str) -> None:
    pack = load_pack("cx-escalations")
    with Workspace.open(tmp_path / "w", Settings({switch: "0"})) as workspace:
        session, _ = begin(workspace, pack, "", [ALEX], ALEX)
        with workspace.help_desk() as remote:
            (result,) = asyncio.run(runner.run(workspace, remote, pack, session, ALEX, [pack.scenarios[0]]))
        assert not result.score.passed
        ai, modal = session.flags.ai_escalations, session.flags.modal_approvals
        assert (modal, ai) == ((False, True) if "MODAL" in switch else (True, False))
        refused = [e["code"] for e in workspace.ledger.events(kind="action.refused")]
        assert ("desk.read_only" in refused) == ("MODAL" in switch)
