"""Scenarios worked by people: seeded in real time, moved on by cues, finished, judged, and talked over."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cairnops import codec
from cairnops.connectors.chatwoot.admin import SimulatorAdmin
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.desk.desk import Receipt, View
from cairnops.domain.conversations import Actor, Author, Role
from cairnops.domain.requests import Action, Flags, FollowUp, Request
from cairnops.domain.sessions import Mode, Session
from cairnops.errors import CairnError, NotFound, PackError
from cairnops.evidence import bundle, verify
from cairnops.scenarios import practice
from cairnops.scenarios.loader import load_pack, parse_pack
from cairnops.scenarios.model import Pack, Scenario
from cairnops.scenarios.practice import Debrief, Point, Seeded
from cairnops.scenarios.sessions import begin, measure, pack_of
from cairnops.scenarios.template import text
from cairnops.settings import Settings
from cairnops.store.claims import Taken
from cairnops.store.drafts import Draft
from cairnops.store.sessions import Noted
from cairnops.workspace import Workspace, mint

T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ALEX, SAM = Actor(email="alex@shop.example"), Actor(email="sam@shop.example")
MORGAN = Actor(email="morgan@shop.example", role=Role.LEAD)
QA = Actor(email="quinn@shop.example", role=Role.QA)
CX, LIBRARY = load_pack("cx-escalations"), load_pack("practice-library")


def of(pack: Pack, key: str) -> Scenario:
    found = pack.scenario(key)
    assert found is not None
    return found


class Room:
    """A live session at a simulator, on a clock of its own."""

    def __init__(self, workspace: Workspace, client: ChatwootClient, admin: SimulatorAdmin, run: Any):
        self.workspace, self.client, self.admin, self._run = workspace, client, admin, run
        self.at = T0
        self.session: Session
        self.open()

    def open(self, pack: Pack = CX, name: str = "monday", mode: Mode = "practice") -> Session:
        self.session, fresh = begin(
            self.workspace, pack, name, [ALEX, MORGAN], MORGAN, live=self.at, mode=mode
        )
        assert fresh
        self.pack = pack
        return self.session

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._run(work)

    def later(self, **span: float) -> None:
        self.at += timedelta(**span)
        self.run(self.admin.set_now(self.at))

    def seed(self, key: str, *operators: Actor, by: Actor = MORGAN) -> list[Seeded]:
        self.run(self.admin.set_now(self.at))
        return self.run(
            practice.seed(
                self.workspace, self.client, self.admin, self.session, of(self.pack, key),
                operators=operators, at=self.at, actor=by,
            )
        )  # fmt: skip

    def draft(self, seeded: Seeded, who: Actor) -> Draft:
        version = self.desk(seeded).look(seeded.conversation).version
        return self.workspace.drafts.get_or_make(
            seeded.conversation, who.email, session=self.session.name, version=version, mint=mint, at=self.at
        )

    def desk(self, seeded: Seeded) -> Any:
        found = practice.scenario_of(self.workspace, self.session.name, seeded.conversation)
        assert found is not None
        return self.workspace.desk(
            lambda: self.at, practice.flags_for(self.workspace, self.session.name, found[0])
        )

    def opens(self, seeded: Seeded, who: Actor) -> View:
        """What happens when somebody opens the case: claimed, and shown under the key of their form."""
        now_ms = round(self.at.timestamp() * 1000)
        self.workspace.claims.take(
            seeded.conversation, who, f"tab of {who.email}", session=self.session.name,
            at=self.at, now_ms=now_ms, lease_ms=3_600_000,
        )  # fmt: skip
        found = practice.scenario_of(self.workspace, self.session.name, seeded.conversation)
        assert found is not None
        return self.desk(seeded).open(
            seeded.conversation,
            who,
            key=self.draft(seeded, who).opening,
            session=self.session.name,
            draft=practice.draft_for(*found),
        )

    def asks(
        self, seeded: Seeded, who: Actor, action: Action, view: View | None = None, **more: Any
    ) -> Receipt:
        """One press of a button, under the key of the form; then the form and the claim are given up."""
        form = self.draft(seeded, who)
        receipt = self.desk(seeded).submit(
            Request(
                action=action,
                conversation=seeded.conversation,
                actor=who,
                key=form.key,
                session=self.session.name,
                seen_version=view.version if view else None,
                suggestion=view.suggestion_uid if view else "",
                **more,
            )
        )
        if receipt.refused:
            self.workspace.drafts.renew(seeded.conversation, who.email, mint=mint, at=self.at)
        else:
            self.workspace.drafts.drop(seeded.conversation, who.email)
            self.workspace.claims.release(seeded.conversation, who, at=self.at)
        return receipt

    def deliver(self) -> None:
        self.run(self.workspace.deliver(self.client, stamp=lambda: self.at))

    def finish(self, seeded: Seeded, who: Actor) -> Debrief:
        return self.run(practice.finish(self.workspace, self.client, self.session, seeded, who, at=self.at))

    def cue(self, seeded: Seeded, place: int, by: Actor = MORGAN) -> practice.Cue:
        return self.run(
            practice.play_cue(
                self.workspace, self.client, self.admin, self.session.name, seeded, place,
                at=self.at, actor=by,
            )
        )  # fmt: skip

    def kinds(self, seeded: Seeded) -> list[str]:
        return [e["kind"] for e in self.workspace.ledger.events(conversation=seeded.conversation)]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with (
        asyncio.Runner() as loop,
        Workspace.open(tmp_path / "w", Settings({})) as workspace,
        workspace.help_desk() as remote,
    ):
        admin, client = SimulatorAdmin(remote.base_url, remote.token), workspace.client(remote)
        loop.run(client.__aenter__())
        yield Room(workspace, client, admin, loop.run)
        loop.run(client.__aexit__(None, None, None))
        loop.run(admin.__aexit__())


def states(debrief: Debrief) -> dict[str, str]:
    """How each point came out; of two with one code the worse."""
    order = ["met", "differs", "missed"]
    out: dict[str, str] = {}
    for point in debrief.points:
        out[point.code] = max(out.get(point.code, "met"), point.state, key=order.index)
    return out


def point(debrief: Debrief, code: str) -> Point:
    return next(p for p in debrief.points if p.code == code)


NOTE = "Label created 18 h ago, no carrier movement; carrier asked."


def approve_a(room: Room, mine: Seeded, who: Actor, **more: Any) -> Receipt:
    """Scenario A done well, three minutes after opening it."""
    view = room.opens(mine, who)
    room.later(minutes=3)
    # The desk counts from the press, the record is made moments later.
    due = room.at + timedelta(minutes=180, seconds=-2)
    promise = FollowUp(owner=who.email, due=due, text="Send the link.")
    done = room.asks(mine, who, Action.APPROVE_SEND, view, **{"note": NOTE, "follow_up": promise} | more)
    room.deliver()
    return done


# The whole way.


def test_two_operators_practise_scenario_a_and_are_debriefed(room: Room) -> None:
    alex, sam = room.seed("A", ALEX, SAM)
    assert (alex.conversation, sam.conversation) == ("1045", "21045")
    for mine, who in ((alex, ALEX), (sam, SAM)):
        first = approve_a(room, mine, who)
        assert first.number and not first.refused
    for mine, who in ((alex, ALEX), (sam, SAM)):
        debrief = room.finish(mine, who)
        assert debrief.score.passed and debrief.score.points == 100
        assert not debrief.missed
        assert (debrief.best, debrief.seeded, debrief.operator) == ("approve", mine, who.email)
        assert states(debrief) == {
            "answer": "met", "refusals": "met", "note": "met", "time": "met", "customer.does_not_see": "met",
            "decisions.ops": "met", "suggestion": "met", "delivery.reply": "met", "delivery.note": "met",
            "customer.sees": "met", "follow_ups": "met", "status": "met", "priority": "met",
            "sla.created": "met", "sla.last_customer": "met",
        }  # fmt: skip
        assert practice.debrief(room.workspace, "monday", mine, who) == debrief
        assert [r.code for r in debrief.rules] == ["sla.breach", "sla.triage"]
        assert debrief.good_looks_like == of(CX, "A").debrief.good_looks_like  # type: ignore[union-attr]
    assert {p.email for p in room.workspace.sessions.get("monday").participants} == {
        ALEX.email, SAM.email, MORGAN.email,
    }  # fmt: skip
    results = {(r["scenario"], r["operator"], r["passed"]) for r in room.workspace.sessions.runs("monday")}
    assert results == {("a-late-shipment", who.email, True) for who in (ALEX, SAM)}


def test_a_practised_session_makes_a_bundle_that_verifies(room: Room, tmp_path: Path) -> None:
    (alex,), (everybody,) = room.seed("A", ALEX), room.seed("B")
    approve_a(room, alex, ALEX)
    room.finish(alex, ALEX)
    room.asks(everybody, SAM, Action.APPROVE_SEND, room.opens(everybody, SAM))
    room.deliver()
    room.finish(everybody, SAM)
    measure(room.workspace, room.session, MORGAN, room.at)
    room.workspace.seal(MORGAN, room.at)
    bundle.write(room.workspace, "monday", tmp_path / "bag", at=room.at)
    report = verify.verify(tmp_path / "bag")
    assert not report.faults
    assert report.counts["results"] == 2


# Seeding.


def test_the_world_is_told_relative_to_now(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    assert (mine.scenario, mine.letter, mine.title, mine.operator, mine.at) == (
        "a-late-shipment", "A", "Late shipment (Alex Rivera)", ALEX.email, T0,
    )  # fmt: skip
    found = room.workspace.ledger.conversation(mine.conversation)
    assert found is not None
    assert found.created_at == T0 - timedelta(hours=5)
    assert found.messages[-1].at == T0 - timedelta(minutes=95)
    view = room.desk(mine).look(mine.conversation)
    assert view.sla.in_force.breach_age_s == (95 - 60) * 60
    draft = practice.draft_for(of(CX, "A"), mine)
    assert draft is not None and draft.index_generated_at == T0 - timedelta(hours=3)


def test_seeding_again_goes_on_with_what_is_there(room: Room) -> None:
    first = room.seed("A", ALEX)
    approve_a(room, first[0], ALEX)
    before = room.kinds(first[0])
    assert room.seed("A", ALEX) == first
    assert room.kinds(first[0]) == before
    (sam,) = (s for s in room.seed("A", ALEX, SAM) if s.operator == SAM.email)
    assert sam.at == T0 + timedelta(minutes=3)
    assert [s.operator for s in practice.seeded(room.workspace, "monday")] == [ALEX.email, SAM.email]
    assert before.count("scenario.seeded") == 1


def test_who_seeded_what_to_whom_is_in_the_ledger(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    (event,) = room.workspace.ledger.events(session="monday", kind="scenario.seeded")
    assert (event["actor"], event["role"], event["conversation_id"]) == (MORGAN.email, "lead", "1045")
    assert event["body"] == {
        "scenario": "a-late-shipment", "operator": ALEX.email, "begins": codec.stamp(mine.at),
    }  # fmt: skip


def test_history_comes_with_the_case(room: Room) -> None:
    room.open(LIBRARY, "history")
    (mine,) = room.seed("third-breach-this-week", ALEX)
    assert "customer.repeat_breach" in [v.code for v in room.opens(mine, ALEX).verdicts]


@pytest.mark.parametrize(
    ("operators", "by", "says"),
    [
        pytest.param([ALEX, SAM], ALEX, "operator does not facilitate", id="an operator to others"),
        pytest.param([SAM], ALEX, "operator does not facilitate", id="an operator to another"),
        pytest.param([], ALEX, "operator does not facilitate", id="an operator to everybody"),
        pytest.param([QA], QA, "qa does not act", id="a reader to themselves"),
        pytest.param([ALEX], QA, "qa does not facilitate", id="a reader to an operator"),
    ],
)
def test_who_may_not_seed_is_told_so_on_record(
    room: Room, operators: list[Actor], by: Actor, says: str
) -> None:
    with pytest.raises(CairnError, match=says) as no:
        room.seed("A", *operators, by=by)
    assert no.value.hint
    (event,) = room.workspace.ledger.events(kind="duty.refused")
    assert (event["actor"], event["code"]) == (by.email, "duty.not_allowed")
    assert practice.seeded(room.workspace, "monday") == []


def test_practising_by_oneself_takes_no_facilitator(room: Room) -> None:
    (mine,) = room.seed("A", ALEX, by=ALEX)
    assert mine.operator == ALEX.email
    room.cue(mine, 1, by=ALEX)
    # Neither is work on the case.
    assert practice.operators_of(room.workspace, "monday", mine) == []


def test_seeding_where_it_cannot_be(room: Room) -> None:
    with pytest.raises(CairnError, match="no simulator") as no:
        room.run(
            practice.seed(
                room.workspace, room.client, None, room.session, of(CX, "A"),
                operators=[ALEX], at=T0, actor=MORGAN,
            )
        )  # fmt: skip
    assert "CHATWOOT_BASE_URL" in no.value.hint
    room.pack = LIBRARY
    with pytest.raises(NotFound, match="has no scenario where-is-my-order"):
        room.seed("where-is-my-order", ALEX)
    room.pack = CX
    room.session, _ = begin(room.workspace, CX, "scripts", [], MORGAN)
    with pytest.raises(CairnError, match="plays scripts") as no:
        room.seed("A", ALEX)
    assert "--live" in no.value.hint
    room.session = room.workspace.sessions.get("monday")
    room.workspace.sessions.close("monday", MORGAN, T0)
    with pytest.raises(CairnError, match="is closed"):
        room.seed("A", ALEX)
    assert practice.seeded(room.workspace, "monday") == []


def test_a_conversation_nobody_seeded_has_no_scenario(room: Room) -> None:
    room.seed("A", ALEX)
    assert practice.scenario_of(room.workspace, "monday", "9") is None
    with pytest.raises(NotFound):
        practice.seeded(room.workspace, "tuesday")


# Sessions that are worked in real time.


def test_a_live_session_begins_when_it_really_does(room: Room) -> None:
    assert (room.session.live, room.session.mode, room.session.started_at) == (True, "practice", T0)
    again, fresh = begin(room.workspace, CX, "monday", [SAM], SAM, live=T0 + timedelta(hours=1))
    assert not fresh and again.started_at == T0


@pytest.mark.parametrize(
    ("live", "mode", "says"),
    [
        pytest.param(None, "practice", "is worked in real time", id="scripts in it"),
        pytest.param(T0, "exam", "is no exam", id="an exam in it"),
    ],
)
def test_a_session_stays_of_its_kind(room: Room, live: datetime | None, mode: Mode, says: str) -> None:
    with pytest.raises(CairnError, match=says):
        begin(room.workspace, CX, "monday", [], MORGAN, live=live, mode=mode)
    other, fresh = begin(room.workspace, CX, "", [], MORGAN, live=live, mode=mode)
    assert fresh and (other.name, other.mode) == ("cx-escalations", mode)


def test_a_session_goes_on_with_its_own_text_of_the_pack(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    own = parse_pack(text("late", T0.date()).encode(), "late.yaml")
    held = room.open(own, "own")
    monkeypatch.setattr("cairnops.scenarios.sessions._PACKS", {})
    assert pack_of(room.workspace, held) == own
    assert pack_of(room.workspace, replace(held, name="other")) is pack_of(room.workspace, held)
    with pytest.raises(PackError, match="late"):
        pack_of(room.workspace, replace(held, pack_digest="0" * 64))
    with pytest.raises(PackError, match="is gone") as gone:
        pack_of(room.workspace, replace(held, pack="cx-escalations", pack_digest="0" * 64))
    assert gone.value.hint


# While it is worked.


def test_flags_are_those_of_the_scenario_then_the_session_then_the_environment(room: Room) -> None:
    (mine,) = room.seed("D", ALEX)
    assert practice.flags_for(room.workspace, "monday", of(CX, "A")) == Flags(ai_escalations=True)
    assert practice.flags_for(room.workspace, "monday", of(CX, "D")) == Flags(ai_escalations=False)
    view = room.opens(mine, ALEX)
    assert view.suggestion is not None and view.suggestion.source.value == "template"
    assert "suggestion.ai_unavailable" in [v.code for v in view.verdicts]


def test_two_tabs_are_one_form_and_one_decision(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    first, second = room.draft(mine, ALEX), room.draft(mine, ALEX)
    assert first == second
    view = room.opens(mine, ALEX)
    press = Request(
        action=Action.APPROVE_SEND, conversation=mine.conversation, actor=ALEX, key=first.key,
        session="monday", seen_version=first.version, suggestion=view.suggestion_uid, note=NOTE,
    )  # fmt: skip
    numbers = {room.desk(mine).submit(press).number for _ in range(2)}
    assert len(numbers) == 1
    assert len(room.workspace.ledger.decisions(conversation=mine.conversation, scope="ops")) == 1


def test_a_corrected_text_after_a_refusal_goes_out_under_a_key_of_its_own(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    view = room.opens(mine, ALEX)
    assert room.asks(mine, ALEX, Action.APPROVE_SEND, view, text=" ").refused == "reply.empty"
    assert room.asks(mine, ALEX, Action.APPROVE_SEND, view, text="Hi Alex, we are on it.").number


def test_whoever_has_it_open_acts_and_nobody_else(room: Room) -> None:
    (ours,) = room.seed("A")
    view = room.opens(ours, ALEX)
    with pytest.raises(Taken, match=ALEX.email):
        room.opens(ours, SAM)
    refused = room.asks(ours, SAM, Action.APPROVE_SEND, view, note=NOTE)
    assert refused.refused == "conversation.claimed" and ALEX.email in refused.sentence
    assert room.asks(ours, ALEX, Action.APPROVE_SEND, view, note=NOTE).number


def test_hints_say_why_a_guardrail_speaks_and_what_good_looks_like(room: Room) -> None:
    (mine,) = room.seed("B", ALEX)
    found, policy = of(CX, "B"), room.workspace.policy
    hints = practice.hints(found, room.opens(mine, ALEX), policy)
    (tier,) = [h for h in hints if h.rule and h.rule.code == "refund.above_tier"]
    assert tier.rule is not None
    for part in (tier.sentence, tier.rule.way_out, tier.rule.source):
        assert part and part in tier.text
    assert tier.rule.threshold.startswith("refund.tiers = ")
    assert found.debrief is not None
    assert [h.text for h in hints if h.kind == "good"] == list(found.debrief.good_looks_like)
    assert practice.hints(found, room.opens(mine, ALEX), policy, mode="exam") == []


# Cues.


@pytest.fixture
def meanwhile(room: Room) -> Seeded:
    """A case in which the customer writes while the operator works it, seeded to Alex."""
    room.open(LIBRARY, "library")
    (mine,) = room.seed("customer-writes-meanwhile", ALEX)
    return mine


def test_the_script_of_everybody_but_the_operator(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    found = practice.cues(room.workspace, "monday", mine)
    assert [(c.place, c.kind, c.after) for c in found] == [
        (1, "say", timedelta(0)), (3, "say", timedelta(minutes=3)), (5, "say", timedelta(minutes=6)),
    ]  # fmt: skip
    assert all(c.text and c.played_at is None for c in found)
    room.open(LIBRARY, "library")
    (mine,) = room.seed("silence-after-reply", ALEX)
    (wait,) = practice.cues(room.workspace, "library", mine)
    assert (wait.kind, wait.text) == ("wait", "1d1h pass")


def test_a_customers_cue_is_written_by_the_customer_once(room: Room, meanwhile: Seeded) -> None:
    (cue,) = practice.cues(room.workspace, "library", meanwhile)
    view = room.opens(meanwhile, ALEX)
    room.later(minutes=2)
    played = room.cue(meanwhile, cue.place)
    assert (played.kind, played.played_at) == ("customer", room.at)
    room.later(minutes=1)
    assert room.cue(meanwhile, cue.place, by=ALEX) == played
    found = room.workspace.ledger.conversation(meanwhile.conversation)
    assert found is not None
    said = [m.text for m in found.messages if m.author is Author.CUSTOMER]
    assert said.count(cue.text) == 1 and said[-1] == cue.text
    assert room.kinds(meanwhile).count("cue.played") == 1
    (event,) = room.workspace.ledger.events(kind="cue.played")
    assert event["actor"] == MORGAN.email
    assert event["body"] == {
        "scenario": meanwhile.scenario, "place": cue.place, "cue": "customer", "text": cue.text,
    }  # fmt: skip
    late = room.asks(meanwhile, ALEX, Action.APPROVE_SEND, view)
    assert late.refused == "conversation.changed"


def test_whose_case_it_is_may_play_its_cues_and_others_may_not(room: Room, meanwhile: Seeded) -> None:
    (cue,) = practice.cues(room.workspace, "library", meanwhile)
    with pytest.raises(CairnError, match="does not facilitate"):
        room.cue(meanwhile, cue.place, by=SAM)
    assert "duty.refused" in [e["kind"] for e in room.workspace.ledger.events(session="library")]
    assert room.cue(meanwhile, cue.place, by=ALEX).played_at == room.at


def test_cues_that_cannot_be_played(room: Room, meanwhile: Seeded) -> None:
    with pytest.raises(NotFound, match="no cue at place 99"):
        room.cue(meanwhile, 99)
    (cue,) = practice.cues(room.workspace, "library", meanwhile)
    with pytest.raises(NotFound):
        room.cue(meanwhile, cue.place - 1)
    with pytest.raises(CairnError, match="no simulator"):
        room.run(
            practice.play_cue(
                room.workspace, room.client, None, "library", meanwhile, cue.place, at=T0, actor=MORGAN
            )
        )
    room.workspace.sessions.close("library", MORGAN, T0)
    with pytest.raises(CairnError, match="is closed"):
        room.cue(meanwhile, cue.place)
    assert room.kinds(meanwhile).count("cue.played") == 0


# Debriefs.


def test_another_answer_the_key_accepts_differs_and_is_passed(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    approve_a(room, mine, ALEX, text="Hi Alex, I have asked the carrier and will write again today.")
    debrief = room.finish(mine, ALEX)
    assert debrief.score.verb == "edit"
    found = states(debrief)
    assert {found[c] for c in ("answer", "decisions.ops", "customer.sees")} == {"differs"}
    assert not debrief.missed


def test_a_wrong_answer_is_missed_with_the_rules_behind_it(room: Room) -> None:
    (mine,) = room.seed("B", ALEX)
    room.opens(mine, ALEX)
    room.asks(mine, ALEX, Action.MARK_RESOLVED)
    room.deliver()
    debrief = room.finish(mine, ALEX)
    assert not debrief.score.passed
    missed = {p.code for p in debrief.missed}
    assert {"answer", "note", "decisions.ops", "delivery.reply", "customer.sees", "status"} <= missed
    assert point(debrief, "answer").expected == "approve (also: edit)"
    assert point(debrief, "delivery.reply").rules == ("delivery.retry",)
    assert debrief.why.startswith("A photographed defect")
    notes = {r.code: r for r in debrief.rules}
    assert notes["delivery.retry"].threshold == "delivery.max_attempts = 3"
    assert notes["refund.above_tier"].title and notes["refund.above_tier"].meaning


def test_what_was_forgotten_beside_a_right_answer_is_named(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    approve_a(room, mine, ALEX, note="", follow_up=None)
    debrief = room.finish(mine, ALEX)
    assert debrief.score.passed and debrief.score.points == 90
    assert [p.code for p in debrief.missed] == ["note", "follow_ups"]
    assert states(debrief)["delivery.note"] == "differs"


def test_refusals_count_and_are_told_with_their_sentence(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    view = room.opens(mine, ALEX)
    for _ in range(2):
        room.asks(mine, ALEX, Action.APPROVE_SEND, view, text="")
    approve_a(room, mine, ALEX)
    debrief = room.finish(mine, ALEX)
    assert point(debrief, "refusals").state == "missed"
    assert point(debrief, "refusals").found == "reply.empty, reply.empty"
    assert {part: got for part, got, _ in debrief.score.parts}["guardrails"] == 0
    (met,) = [m for m in debrief.met if m.refused]
    assert (met.code, met.sentence, met.times) == ("reply.empty", "There is no text to send.", 2)
    assert debrief.rules[0].code == "reply.empty"


def test_faults_of_the_help_desk_happen_in_practice_too(room: Room) -> None:
    (mine,) = room.seed("B", ALEX)
    room.asks(mine, ALEX, Action.APPROVE_SEND, room.opens(mine, ALEX), note="Lead told: 325 dollars.")
    room.deliver()
    debrief = room.finish(mine, ALEX)
    assert debrief.score.passed
    assert point(debrief, "delivery.reply").found == "SUCCESS at attempt 2"
    assert states(debrief)["delivery.reply"] == "met"
    assert [m.code for m in debrief.met] == ["refund.above_tier"]


def test_what_rightly_leaves_no_decision_is_passed_by_the_worksheet(room: Room) -> None:
    (mine,) = room.seed("D", ALEX)
    room.opens(mine, ALEX)
    row = Noted(
        key="row", session="monday", scenario=mine.scenario, participant=ALEX, conversation=mine.conversation,
        outcome="Manual escalation to the operations manager", note="policy exception", at=room.at,
    )  # fmt: skip
    room.workspace.sessions.note(row)
    debrief = room.finish(mine, ALEX)
    assert debrief.score.passed and debrief.score.verb == "reject"
    assert not debrief.missed


def test_doing_what_must_not_be_done_fails_whatever_the_points(room: Room) -> None:
    (mine,) = room.seed("D", ALEX)
    room.asks(mine, ALEX, Action.APPROVE_SEND, room.opens(mine, ALEX), text="Of course, Trainer Demo.")
    room.deliver()
    debrief = room.finish(mine, ALEX)
    assert not debrief.score.passed
    assert point(debrief, "decisions.absent").state == "missed"


def test_time_runs_from_opening_and_late_is_late(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    room.later(minutes=40)
    approve_a(room, mine, ALEX)
    assert point(room.finish(mine, ALEX), "time").found == "3 min"
    (slow,) = room.seed("A", SAM)
    room.opens(slow, SAM)
    room.later(minutes=17)
    approve_a(room, slow, SAM)
    late = room.finish(slow, SAM)
    assert (point(late, "time").found, point(late, "time").state) == ("20 min", "missed")


def test_a_case_that_was_never_opened_is_no_success(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    assert practice.operators_of(room.workspace, "monday", mine) == []
    debrief = room.finish(mine, ALEX)
    assert (debrief.score.passed, debrief.score.points) == (False, 0)
    assert [(p.code, p.found) for p in debrief.points] == [("answer", "the case was not opened")]


def test_a_shared_case_is_judged_by_what_each_did(room: Room) -> None:
    (ours,) = room.seed("A")
    assert ours.operator == practice.SHARED
    room.workspace.sessions.join("monday", SAM, room.at)
    seen = room.opens(ours, SAM)
    assert room.asks(ours, SAM, Action.APPROVE_SEND, seen, text="").refused
    room.workspace.claims.release(ours.conversation, SAM, at=room.at)
    approve_a(room, ours, ALEX)
    worked = practice.operators_of(room.workspace, "monday", ours)
    assert {p.email for p in worked} == {ALEX.email, SAM.email}
    mine, theirs = room.finish(ours, ALEX), room.finish(ours, SAM)
    assert (mine.score.passed, mine.score.points, mine.met) == (True, 100, ())
    assert not theirs.score.passed and [m.code for m in theirs.met] == ["reply.empty"]


def test_what_is_still_on_its_way_is_not_judged(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    room.asks(mine, ALEX, Action.APPROVE_SEND, room.opens(mine, ALEX), note=NOTE)
    with pytest.raises(CairnError, match="still on its way") as wait:
        room.finish(mine, ALEX)
    assert wait.value.hint
    assert practice.debrief(room.workspace, "monday", mine, ALEX) is None
    room.deliver()
    assert room.finish(mine, ALEX).score.passed


def test_finishing_again_after_more_was_done_counts_the_newest(room: Room) -> None:
    (mine,) = room.seed("D", ALEX)
    room.opens(mine, ALEX)
    first = room.finish(mine, ALEX)
    assert [p.code for p in first.missed] == ["worksheet"]
    room.later(minutes=1)
    room.asks(mine, ALEX, Action.ESCALATE, reason="policy_exception", note="Asks for an exception.")
    room.deliver()
    room.finish(mine, ALEX)
    kept = practice.debrief(room.workspace, "monday", mine, ALEX)
    assert kept is not None and kept.score.verb == "escalate"
    assert len(room.workspace.sessions.runs("monday")) == 1


def test_a_closed_session_keeps_its_results(room: Room) -> None:
    (mine,) = room.seed("A", ALEX)
    approve_a(room, mine, ALEX)
    before = room.finish(mine, ALEX)
    room.workspace.sessions.close("monday", MORGAN, room.at)
    with pytest.raises(CairnError, match="is closed"):
        room.finish(mine, ALEX)
    assert practice.debrief(room.workspace, "monday", mine, ALEX) == before
