"""What becomes of each request: every refusal, their order, what is recorded and what is sent."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.domain import actions, edits
from cairnops.domain import policy as policies
from cairnops.domain.actions import ADMISSIONS, REFUSALS, Apply, Outcome, Refuse, Repeat
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Order, Role, Status
from cairnops.domain.decisions import Decision, Scope
from cairnops.domain.delivery import EffectDraft, EffectKind
from cairnops.domain.policy import Policy
from cairnops.domain.requests import (
    DECISION_NAMES,
    Action,
    Facts,
    Flags,
    FollowUp,
    Held,
    PastDecision,
    Prior,
    Request,
)
from cairnops.domain.rules import Severity
from cairnops.domain.suggestions import Source, Suggestion

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
DRY_RUN = policies.profile("dry-run")
SHIP = Suggestion(source=Source.TEMPLATE, template_id="ship_update", text="Hi Jordan, it is on its way.\n")
AI = replace(SHIP, source=Source.AI, index_generated_at=NOW)
SAM = Actor(email="sam@example.com")
LATER = FollowUp(owner="Sam", due=NOW + timedelta(hours=1), text="Ask the carrier.")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def talk(text: str = "Where is the delivery?", **changes) -> Conversation:
    message = Message(id="1", author=Author.CUSTOMER, text=text, at=changes.pop("said", ago(minutes=20)))
    start = {
        "id": "7",
        "customer": "Jordan Lee",
        "customer_key": "jordan@example.com",
        "status": Status.OPEN,
        "created_at": ago(minutes=20),
        "messages": (message,),
    }
    return Conversation(**(start | changes))


def request(action: Action = Action.APPROVE_SEND, **changes) -> Request:
    start = {"action": action, "conversation": "7", "actor": SAM, "key": "form-1", "session": "monday"}
    if action is Action.ESCALATE:
        start |= {"reason": "unsure", "note": "Wants it by Friday."}
    if action is Action.NOTE:
        start |= {"note": "Called the carrier."}
    if action is Action.FOLLOW_UP:
        start |= {"follow_up": LATER}
    return Request(**(start | changes))


def facts(**changes) -> Facts:
    start = {
        "conversation": talk(),
        "version": 3,
        "flags": Flags(),
        "suggestion": SHIP,
        "suggestion_uid": "S1",
    }
    return Facts(**(start | changes))


def past(action: Action, at: datetime, number: int = 41) -> PastDecision:
    return PastDecision(uid="D", number=number, action=DECISION_NAMES[action], actor="kim@example.com", at=at)


def decide(asked: Request | None = None, policy: Policy = DRY_RUN, **known) -> Outcome:
    return actions.decide(
        asked or request(), facts(**known), policy, NOW, policy_hash="H", shop="shop.example"
    )


def applied(asked: Request | None = None, policy: Policy = DRY_RUN, **known) -> Apply:
    outcome = decide(asked, policy, **known)
    assert isinstance(outcome, Apply), outcome
    return outcome


def decision(asked: Request | None = None, policy: Policy = DRY_RUN, **known) -> Decision:
    made = applied(asked, policy, **known).decision
    assert made is not None
    return made


def refused(asked: Request | None = None, policy: Policy = DRY_RUN, **known) -> Refuse:
    outcome = decide(asked, policy, **known)
    assert isinstance(outcome, Refuse), outcome
    return outcome


APPROVE, ESCALATE, RESOLVE = Action.APPROVE_SEND, Action.ESCALATE, Action.MARK_RESOLVED
NOTE, FOLLOW_UP, CANCEL = Action.NOTE, Action.FOLLOW_UP, Action.CANCEL
QA = Actor(email="qa@example.com", role=Role.QA)
READ_ONLY = Flags(modal_approvals=False)
RESOLVED = talk(status=Status.RESOLVED)
OTHER = Prior(fingerprint="another request", decision="", number=0, refused="", sentence="")


def answered(**span: float) -> dict:
    return {"decisions": (past(APPROVE, ago(**span)),)}


def handed_up(**span: float) -> dict:
    return {"decisions": (past(ESCALATE, ago(**span)),)}


def open_at(who: str, ms: int = 1) -> dict:
    """Somebody has it open, since 20 minutes ago and for `ms` milliseconds more."""
    return {
        "claim": Held(
            conversation="7",
            actor=Actor(email=who),
            tab="a tab",
            session="monday",
            since=ago(minutes=20),
            until_ms=round(NOW.timestamp() * 1000) + ms,
        )
    }


REFUSED = [
    # code, request, facts, what the sentence says
    *(
        pytest.param(
            "actor.role_not_allowed",
            request(a, actor=QA),
            {},
            "The role qa reads, and does not act.",
            id=f"qa {a}",
        )
        for a in (APPROVE, ESCALATE, RESOLVE, NOTE, FOLLOW_UP)
    ),
    *(
        pytest.param(
            "desk.read_only", request(a), {"flags": READ_ONLY}, "The desk is read-only", id=f"read-only {a}"
        )
        for a in (APPROVE, ESCALATE, RESOLVE, NOTE, FOLLOW_UP)
    ),
    *(
        pytest.param(
            "session.closed",
            request(a, session="thursday"),
            {"session_closed": True},
            "Session thursday is closed.",
            id=f"closed session {a}",
        )
        for a in (APPROVE, ESCALATE, RESOLVE, NOTE, FOLLOW_UP)
    ),
    *(
        pytest.param(
            "conversation.claimed",
            request(a),
            open_at("kim@example.com"),
            "kim@example.com has had it open since 11:40 UTC.",
            id=f"claimed {a}",
        )
        for a in (APPROVE, ESCALATE, RESOLVE, NOTE, FOLLOW_UP)
    ),
    *(
        pytest.param(
            "conversation.changed",
            request(a, seen_version=2),
            {},
            "It changed since you opened it.",
            id=f"changed {a}",
        )
        for a in (APPROVE, ESCALATE, RESOLVE, NOTE, FOLLOW_UP)
    ),
    pytest.param(
        "conversation.changed",
        request(seen_version=2),
        answered(minutes=1),
        "It changed since you opened it; newest decision: 41 by kim@example.com.",
        id="changed by a decision",
    ),
    pytest.param(
        "follow_up.incomplete", request(FOLLOW_UP, follow_up=None), {}, "A follow-up needs", id="no follow-up"
    ),
    pytest.param(
        "follow_up.incomplete",
        request(FOLLOW_UP, follow_up=replace(LATER, owner=" ")),
        {},
        "The follow-up has no owner.",
        id="follow-up without owner",
    ),
    pytest.param(
        "follow_up.incomplete",
        request(follow_up=replace(LATER, due=NOW)),
        {},
        "The follow-up has no due time in the future.",
        id="follow-up due now, beside a reply",
    ),
    pytest.param(
        "follow_up.incomplete",
        request(RESOLVE, follow_up=FollowUp(owner="", due=ago(hours=1))),
        {},
        "The follow-up has no owner and no due time in the future.",
        id="follow-up with neither, beside a resolve",
    ),
    *(
        pytest.param(
            "conversation.closed",
            request(a),
            {"conversation": RESOLVED},
            "Conversation 7 is resolved.",
            id=f"closed {a}",
        )
        for a in (APPROVE, ESCALATE, RESOLVE)
    ),
    pytest.param("note.empty", request(NOTE, note=" \n"), {}, "The note is empty.", id="empty note"),
    pytest.param("reply.empty", request(text=""), {}, "There is no text to send.", id="emptied reply"),
    pytest.param("reply.empty", request(text=" \t\n"), {}, "There is no text to send.", id="reply of blanks"),
    pytest.param(
        "reply.empty",
        request(),
        {"suggestion": replace(SHIP, text=" ")},
        "There is no text",
        id="blank suggestion",
    ),
    pytest.param(
        "reply.already_answered",
        request(),
        answered(minutes=10),
        "kim@example.com answered with decision 41; the customer has not written since.",
        id="answered",
    ),
    pytest.param(
        "reply.already_answered", request(), answered(minutes=20), "kim", id="answered in the same moment"
    ),
    pytest.param(
        "reply.already_answered",
        request(),
        answered(hours=24) | {"conversation": talk(said=ago(hours=30))},
        "kim",
        id="answered exactly 24 h ago",
    ),
    pytest.param(
        "reply.already_answered",
        request(),
        answered(minutes=10) | {"follow_ups": (LATER,)},
        "kim",
        id="follow-up not due yet",
    ),
    pytest.param(
        "reply.already_answered",
        request(),
        answered(minutes=10) | {"follow_ups": (replace(LATER, due=ago(minutes=15)),)},
        "kim",
        id="the due follow-up was what was answered",
    ),
    pytest.param(
        "reply.already_answered",
        request(),
        answered(minutes=10) | {"follow_ups": (replace(LATER, due=ago(minutes=10)),)},
        "kim",
        id="the follow-up fell due in the moment it was answered",
    ),
    pytest.param(
        "escalation.reason_unknown",
        request(ESCALATE, reason=""),
        {},
        "No reason is given; it must be one of: policy_exception, ",
        id="no reason",
    ),
    pytest.param(
        "escalation.reason_unknown",
        request(ESCALATE, reason="Unsure"),
        {},
        "“Unsure” is not one of: ",
        id="reason by another case",
    ),
    pytest.param(
        "escalation.note_required",
        request(ESCALATE, note="  "),
        {},
        "An escalation needs a note.",
        id="no note",
    ),
    pytest.param(
        "escalation.already_decided",
        request(ESCALATE),
        handed_up(minutes=10),
        "kim@example.com escalated with decision 41; the customer has not written since.",
        id="escalated already",
    ),
    pytest.param(
        "suggestion.missing", request(), {"suggestion": None}, "No suggestion fits", id="a guardrail's block"
    ),
    pytest.param(
        "override.not_allowed",
        request(override="I know better", text="Hi Alex, hello."),
        {},
        "The text addresses Alex; the customer is Jordan Lee. Nobody may override suggestion.wrong_name.",
        id="override of what nobody overrides",
    ),
    pytest.param(
        "override.not_allowed",
        request(override="I know better"),
        {"conversation": talk("My lawyer will ask where the delivery is.")},
        "The customer wrote “lawyer”; an operator does not answer that. "
        "Only a manager may override risk.high_risk_language.",
        id="override by the wrong role",
    ),
    pytest.param(
        "request.key_reused",
        request(),
        {"prior": OTHER},
        "The key belongs to another request.",
        id="key reused",
    ),
]


@pytest.mark.parametrize(("code", "asked", "known", "sentence"), REFUSED)
def test_it_is_refused_with_its_code_a_sentence_and_a_way_out(
    code: str, asked: Request, known: dict, sentence: str
) -> None:
    outcome = refused(asked, **known)
    assert (outcome.code, outcome.sentence[: len(sentence)]) == (code, sentence)
    assert outcome.way_out.endswith(".")
    if sentence.endswith("."):
        assert outcome.sentence == sentence


def test_every_refusal_has_a_case() -> None:
    assert set(REFUSALS) <= {case.values[0] for case in REFUSED}


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        pytest.param(request(seen_version=3), {}, id="seen as it is"),
        pytest.param(request(), open_at(SAM.email), id="open in the actor's own hands"),
        pytest.param(request(), open_at("kim@example.com", ms=0), id="a lease that ends now"),
        pytest.param(request(), open_at("kim@example.com", ms=-60_000), id="a lease nobody renewed"),
        pytest.param(request(seen_version=None), {}, id="no form drawn"),
        pytest.param(
            request(follow_up=replace(LATER, due=NOW + timedelta(seconds=1))), {}, id="due in a second"
        ),
        pytest.param(request(), answered(minutes=21), id="the customer wrote since"),
        pytest.param(
            request(),
            answered(hours=24, seconds=1) | {"conversation": talk(said=ago(hours=30))},
            id="silent for more than 24 h",
        ),
        pytest.param(
            request(),
            answered(minutes=10) | {"follow_ups": (replace(LATER, due=NOW),)},
            id="a follow-up is due now",
        ),
        pytest.param(request(ESCALATE), handed_up(minutes=21), id="escalated, and written since"),
        pytest.param(request(ESCALATE), answered(minutes=10), id="answered is not escalated"),
        pytest.param(request(NOTE), {"conversation": RESOLVED}, id="a note on a resolved case"),
        pytest.param(request(FOLLOW_UP), {"conversation": RESOLVED}, id="a follow-up on a resolved case"),
        pytest.param(request(RESOLVE, note=""), {}, id="resolving needs no note"),
        pytest.param(request(ESCALATE), {"suggestion": None}, id="escalating needs no suggestion"),
        pytest.param(
            request(actor=Actor(email="m@example.com", role=Role.MANAGER), override="Agreed with legal"),
            {"conversation": talk("My lawyer will ask where the delivery is.")},
            id="overridden by a manager",
        ),
    ],
)
def test_it_passes(asked: Request, known: dict) -> None:
    applied(asked, **known)


def test_the_gravest_reason_is_the_one_that_is_told() -> None:
    """A request with everything wrong, put right in the order in which the desk complains."""
    asked = request(
        ESCALATE, actor=QA, seen_version=1, follow_up=replace(LATER, owner=""), reason="", note=""
    )
    known = {"flags": READ_ONLY, "conversation": RESOLVED, "prior": OTHER} | handed_up(minutes=10)
    known |= open_at("kim@example.com") | {"session_closed": True}
    steps = [
        ("request.key_reused", {}, {"prior": None}),
        ("actor.role_not_allowed", {"actor": SAM}, {}),
        ("desk.read_only", {}, {"flags": Flags()}),
        ("session.closed", {}, {"session_closed": False}),
        ("conversation.claimed", {}, {"claim": None}),
        ("conversation.changed", {"seen_version": 3}, {}),
        ("follow_up.incomplete", {"follow_up": None}, {}),
        ("conversation.closed", {}, {"conversation": talk()}),
        ("escalation.reason_unknown", {"reason": "unsure"}, {}),
        ("escalation.note_required", {"note": "Wants it by Friday."}, {}),
        ("escalation.already_decided", {}, {"decisions": ()}),
    ]
    for code, mend_request, mend_facts in steps:
        assert refused(asked, **known).code == code
        asked, known = replace(asked, **mend_request), known | mend_facts
    applied(asked, **known)


def test_refusals_of_a_reply_come_before_its_guardrails() -> None:
    lawyer = talk("My lawyer will ask.", said=ago(minutes=20))
    known = {"conversation": lawyer} | answered(minutes=10)
    assert refused(request(text=""), **known).code == "reply.empty"
    assert refused(request(text="Hi Jordan"), **known).code == "reply.already_answered"
    assert refused(request(text="Hi Jordan"), conversation=lawyer).code == "risk.high_risk_language"


@pytest.mark.parametrize("code", [a.rule.code for a in ADMISSIONS])
def test_a_refusal_that_is_switched_off_is_not_given(code: str) -> None:
    case = next(c for c in REFUSED if c.values[0] == code)
    _, asked, known, _ = case.values
    off = replace(DRY_RUN, guardrails=replace(DRY_RUN.guardrails, disabled=(code,)))
    outcome = decide(asked, off, **known)
    if code == "follow_up.incomplete" and asked.follow_up is None:
        # There would be nothing to record: this one cannot pass.
        assert isinstance(outcome, Refuse)
    else:
        assert not isinstance(outcome, Refuse) or outcome.code != code


def test_without_the_guardrail_for_it_nothing_is_still_not_sent() -> None:
    off = replace(DRY_RUN, guardrails=replace(DRY_RUN.guardrails, disabled=("suggestion.missing",)))
    assert refused(request(), off, suggestion=None).code == "reply.empty"


def test_an_override_of_an_overridable_block_names_who_may() -> None:
    outcome = refused(request(override="Now"), conversation=talk(tags=("escalated",)))
    assert (outcome.code, outcome.way_out) == ("override.not_allowed", "Escalate, or ask a lead.")
    assert outcome.sentence.endswith("Only a lead may override escalation.already_escalated.")
    assert [v.code for v in outcome.verdicts if v.severity is Severity.BLOCK] == [
        "escalation.already_escalated"
    ]


def test_a_guardrail_s_refusal_tells_the_way_out_of_that_guardrail() -> None:
    outcome = refused(request(text="Hi Alex, hello."))
    assert (outcome.code, outcome.way_out) == ("suggestion.wrong_name", "Correct the name.")


# --- repeats ----------------------------------------------------------------------------------------


def prior_of(asked: Request, **changes) -> Prior:
    start = {
        "fingerprint": actions.fingerprint(asked),
        "decision": "D7",
        "number": 12,
        "refused": "",
        "sentence": "Logged",
    }
    return Prior(**(start | changes))


@pytest.mark.parametrize("action", Action)
def test_the_same_request_again_is_a_repeat_whatever_has_become_of_the_case(action: Action) -> None:
    asked = request(action)
    outcome = decide(asked, conversation=RESOLVED, flags=READ_ONLY, version=99, prior=prior_of(asked))
    assert outcome == Repeat(decision="D7", number=12, refused="", sentence="Logged")


def test_the_repeat_of_a_refused_request_is_refused_as_it_was() -> None:
    asked = request(text="")
    before = prior_of(
        asked, decision="", number=0, refused="reply.empty", sentence="There is no text to send."
    )
    assert decide(asked, prior=before) == Repeat(
        decision="", number=0, refused="reply.empty", sentence="There is no text to send."
    )


CHANGES = [
    pytest.param({"action": RESOLVE}, id="action"),
    pytest.param({"conversation": "8"}, id="conversation"),
    pytest.param({"actor": Actor(email="kim@example.com")}, id="actor"),
    pytest.param({"text": "Hi Jordan"}, id="text"),
    pytest.param({"text": ""}, id="an empty text"),
    pytest.param({"text": "\x00"}, id="a text of a zero byte"),
    pytest.param({"note": "Called"}, id="note"),
    pytest.param({"reason": "unsure"}, id="reason"),
    pytest.param({"target": Role.LEAD}, id="target"),
    pytest.param({"override": "Agreed"}, id="override"),
    pytest.param({"follow_up": LATER}, id="follow-up"),
]


@pytest.mark.parametrize("changes", CHANGES)
def test_another_request_under_the_same_key_is_refused(changes: dict) -> None:
    assert refused(request(**changes), prior=prior_of(request())).code == "request.key_reused"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"owner": "Kim"}, id="owner"),
        pytest.param({"due": NOW + timedelta(hours=2)}, id="due"),
        pytest.param({"text": "Call the customer."}, id="text"),
    ],
)
def test_another_follow_up_is_another_request(changes: dict) -> None:
    mine = request(FOLLOW_UP)
    other = replace(mine, follow_up=replace(LATER, **changes))
    assert refused(other, prior=prior_of(mine)).code == "request.key_reused"


ANY = st.text(st.characters() | st.sampled_from("\x00\x1f|\ud800"), max_size=6)


@settings(deadline=None)
@given(a=st.tuples(ANY | st.none(), ANY, ANY, ANY), b=st.tuples(ANY | st.none(), ANY, ANY, ANY))
def test_requests_have_one_fingerprint_only_if_they_ask_for_the_same(a: tuple, b: tuple) -> None:
    first, second = (
        request(text=text, note=note, reason=reason, override=why) for text, note, reason, why in (a, b)
    )
    assert (actions.fingerprint(first) == actions.fingerprint(second)) == (a == b)


def test_what_the_form_was_drawn_from_is_no_part_of_the_request() -> None:
    drawn = request(seen_version=3, suggestion="S1", session="tuesday")
    assert actions.fingerprint(drawn) == actions.fingerprint(request())


# --- what is recorded -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "event", "effects", "follow_up"),
    [
        pytest.param(CANCEL, "action.cancelled", (), None, id="cancel"),
        pytest.param(
            NOTE,
            "note.added",
            (EffectDraft(kind=EffectKind.NOTE, payload={"text": "Called the carrier."}),),
            None,
            id="note",
        ),
        pytest.param(FOLLOW_UP, "follow_up.set", (), LATER, id="follow-up"),
    ],
)
def test_an_event_is_no_decision(
    action: Action, event: str, effects: tuple, follow_up: FollowUp | None
) -> None:
    assert decide(request(action)) == Apply(event=event, decision=None, effects=effects, follow_up=follow_up)


def test_whoever_may_not_act_may_still_close_the_form() -> None:
    asked = request(CANCEL, actor=QA, seen_version=1, text="", note="never mind")
    assert applied(asked, flags=READ_ONLY, conversation=RESOLVED).event == "action.cancelled"


def test_approved_as_it_is_what_was_shown_is_what_is_sent() -> None:
    made = decision()
    assert made.final_text == SHIP.text and made.suggestion == SHIP
    assert (made.edited, made.edit_distance, made.fallback) == (False, 0, "")
    assert applied().effects == (EffectDraft(kind=EffectKind.REPLY, payload={"text": SHIP.text}),)


def test_typing_the_suggestion_again_is_no_edit() -> None:
    assert decision(request(text=SHIP.text)).edited is False


def test_an_edit_keeps_both_texts_and_how_far_apart_they_are() -> None:
    text = "Hi Jordan, it is on its way!\n"
    made = decision(request(text=text))
    assert made.suggestion == SHIP and made.final_text == text
    assert (made.edited, made.edit_distance, made.fallback) == (True, 1, "")


def test_a_trailing_blank_is_an_edit_like_any_other() -> None:
    made = decision(request(text=SHIP.text + " "))
    assert (made.edited, made.edit_distance) == (True, 1)
    assert made.final_text == SHIP.text + " "


def test_a_reply_by_hand_is_a_recorded_fallback() -> None:
    made = decision(request(text="Hi Jordan, I am looking."), suggestion=None, suggestion_uid="")
    assert made.suggestion is None and made.final_text == "Hi Jordan, I am looking."
    assert (made.fallback, made.edited, made.edit_distance, made.linked) == ("manual_reply", False, 0, "")


@pytest.mark.parametrize(
    ("asked", "known", "linked"),
    [
        pytest.param(request(), {"suggestion": AI}, "S1", id="approved"),
        pytest.param(request(text="Hi Jordan, soon."), {"suggestion": AI}, "S1", id="edited"),
        pytest.param(request(ESCALATE), {"suggestion": AI}, "S1", id="escalated instead"),
        pytest.param(request(), {}, "", id="a template has no record of its own"),
        pytest.param(request(RESOLVE), {"suggestion": None, "suggestion_uid": ""}, "", id="nothing shown"),
    ],
)
def test_a_judged_ai_suggestion_is_linked_to_its_own_record(asked: Request, known: dict, linked: str) -> None:
    assert decision(asked, **known).linked == linked


@pytest.mark.parametrize(
    ("asked", "known", "rationale"),
    [
        pytest.param(request(), {}, "Approved template reply", id="template"),
        pytest.param(request(), {"suggestion": AI}, "Approved AI suggestion", id="AI"),
        pytest.param(
            request(text="Hi Jordan."), {}, "Approved template reply with edits", id="template, edited"
        ),
        pytest.param(
            request(text="Hi Jordan."),
            {"suggestion": AI},
            "Approved AI suggestion with edits",
            id="AI, edited",
        ),
        pytest.param(
            request(text="Hi Jordan."), {"suggestion": None}, "Approved a reply written by hand", id="by hand"
        ),
        pytest.param(request(ESCALATE), {}, "Escalated to manager: unsure", id="escalated"),
        pytest.param(
            request(ESCALATE, target=Role.LEAD), {}, "Escalated to lead: unsure", id="escalated to a lead"
        ),
        pytest.param(request(RESOLVE), {}, "Marked conversation as resolved", id="resolved"),
    ],
)
def test_the_rationale_says_what_really_happened(asked: Request, known: dict, rationale: str) -> None:
    assert decision(asked, **known).rationale == rationale


def effect(kind: EffectKind, **payload: str) -> EffectDraft:
    return EffectDraft(kind=kind, payload=payload)


REPLY_SENT = effect(EffectKind.REPLY, text=SHIP.text)
LABELLED = effect(EffectKind.LABELS, add="escalation")
CLOSED = effect(EffectKind.STATUS, status="resolved")


@pytest.mark.parametrize(
    ("asked", "effects"),
    [
        pytest.param(request(), [REPLY_SENT], id="reply"),
        pytest.param(
            request(note="Calm tone."),
            [REPLY_SENT, effect(EffectKind.NOTE, text="Calm tone.")],
            id="reply and note",
        ),
        pytest.param(request(note=" \n"), [REPLY_SENT], id="a note of blanks is none"),
        pytest.param(
            request(ESCALATE),
            [LABELLED, effect(EffectKind.NOTE, text="Escalated to manager (unsure): Wants it by Friday.")],
            id="escalation",
        ),
        pytest.param(
            request(ESCALATE, target=Role.LEAD, reason="safety", note="Burnt."),
            [LABELLED, effect(EffectKind.NOTE, text="Escalated to lead (safety): Burnt.")],
            id="escalation to a lead",
        ),
        pytest.param(request(RESOLVE), [CLOSED], id="resolve"),
        pytest.param(
            request(RESOLVE, note="Thanks."),
            [effect(EffectKind.NOTE, text="Thanks."), CLOSED],
            id="resolve and note",
        ),
    ],
)
def test_what_must_happen_outside(asked: Request, effects: list[EffectDraft]) -> None:
    assert list(applied(asked).effects) == effects


def test_where_no_note_is_asked_for_an_escalation_says_to_whom_and_why() -> None:
    lax = replace(DRY_RUN, escalation=replace(DRY_RUN.escalation, note_required=False))
    sent = applied(request(ESCALATE, note=""), lax).effects[-1]
    assert sent.payload["text"] == "Escalated to manager (unsure)"


def test_the_record_holds_everything_the_decision_was_made_from() -> None:
    asked = request(text="Hi Jordan, soon.", note="Calm.", follow_up=LATER)
    outcome = applied(asked, suggestion=AI)
    made = outcome.decision
    assert made is not None
    assert (made.scope, made.type, made.action) == (Scope.OPS, "cx.escalation", "chatwoot.approve_send")
    assert (made.actor, made.conversation, made.session) == (SAM, "chatwoot:7", "monday")
    assert (made.request_key, made.created_at, made.shop_domain) == ("form-1", NOW, "shop.example")
    assert (made.policy_profile, made.policy_hash) == ("dry-run", "H")
    assert (made.note, made.follow_up, outcome.follow_up) == ("Calm.", LATER, LATER)
    assert made.sla is not None and len(made.sla.standings) == 3
    assert made.verdicts == outcome.verdicts and made.verdicts
    assert made.flags == Flags() and made.decision_id == 0
    assert actions.numbered(made, 12) == replace(made, decision_id=12)


def test_an_escalation_keeps_reason_and_target_and_sends_no_text() -> None:
    made = decision(request(ESCALATE))
    assert (made.reason, made.target, made.final_text, made.suggestion) == ("unsure", "manager", None, None)


def test_the_reason_of_an_override_is_kept_where_something_was_overridden() -> None:
    lead = Actor(email="lead@example.com", role=Role.LEAD)
    tagged = {"conversation": talk(tags=("escalated",))}
    made = decision(request(actor=lead, override=" Agreed with Riley "), **tagged)
    assert made.override == "Agreed with Riley"
    assert [v.code for v in made.verdicts if v.overridden] == ["escalation.already_escalated"]
    assert decision(request(actor=lead, override="Just in case")).override == ""


# --- laws -------------------------------------------------------------------------------------------

texts = st.sampled_from(
    [
        "",
        " ",
        "Hi Jordan.",
        SHIP.text,
        "Hi Alex.",
        "[name?]",
        "a refund",
        "  Jordan: <b>*x*</b>\r\n\t=1+1 \x1b[31m ",
    ]
) | st.text(max_size=40)
times = st.integers(0, 3000).map(lambda minutes: ago(minutes=minutes))
roles = st.sampled_from(Role)


@st.composite
def anything(draw: st.DrawFn) -> tuple[Request, Facts, Policy]:
    action = draw(st.sampled_from(Action))
    promise = st.builds(FollowUp, owner=st.sampled_from(["", "Sam"]), due=st.sampled_from([NOW, LATER.due]))
    asked = request(
        action,
        actor=Actor(email="sam@example.com", role=draw(roles)),
        seen_version=draw(st.sampled_from([None, None, 3, 2])),
        text=draw(st.none() | texts),
        note=draw(st.sampled_from(["", " ", "A note."])),
        reason=draw(st.sampled_from(["unsure", "unsure", "because"])),
        target=draw(st.none() | roles),
        follow_up=draw(st.none() | promise),
        override=draw(st.sampled_from(["", "", "Agreed"])),
    )
    order = Order(
        number="#1",
        total_minor=draw(st.none() | st.integers(0, 100_000)),
        refund_pending=draw(st.booleans()),
        return_in_progress=draw(st.booleans()),
    )
    said = st.sampled_from(
        ["Where is the delivery?", "It broke, refund me.", "I'll sue.", "Your manager!", ""]
    )
    known = facts(
        conversation=talk(
            draw(said),
            said=draw(times),
            status=draw(st.sampled_from([Status.OPEN, Status.OPEN, Status.PENDING, Status.RESOLVED])),
            tags=draw(st.sampled_from([(), (), ("escalation",)])),
            order=draw(st.none() | st.just(order)),
        ),
        flags=draw(
            st.builds(
                Flags, modal_approvals=st.sampled_from([True, True, False]), ai_escalations=st.booleans()
            )
        ),
        suggestion=draw(st.sampled_from([None, SHIP, AI, replace(AI, index_generated_at=ago(days=3))])),
        decisions=tuple(
            draw(st.lists(st.builds(past, st.sampled_from(list(DECISION_NAMES)), times), max_size=2))
        ),
        follow_ups=tuple(draw(st.lists(promise, max_size=1))),
        prior=draw(st.sampled_from([None, None, None, OTHER, prior_of(asked)])),
    )
    policy = policies.profile(draw(st.sampled_from(policies.PROFILES)))
    return asked, known, policy


@settings(deadline=None, max_examples=200)
@given(anything())
def test_laws_of_every_outcome(case: tuple[Request, Facts, Policy]) -> None:
    asked, known, policy = case
    outcome = actions.decide(asked, known, policy, NOW)
    assert actions.decide(asked, known, policy, NOW) == outcome
    if isinstance(outcome, Repeat):
        assert known.prior is not None and known.prior.fingerprint == actions.fingerprint(asked)
        return
    assert known.prior is None or (isinstance(outcome, Refuse) and outcome.code == "request.key_reused")
    if isinstance(outcome, Refuse):
        assert outcome.sentence and outcome.way_out
        return
    standing = [v for v in outcome.verdicts if v.severity is Severity.BLOCK and not v.overridden]
    assert not standing
    made = outcome.decision
    assert (made is not None) == (asked.action in DECISION_NAMES)
    if made is None:
        return
    assert asked.actor.role.rank > 0 and known.flags.modal_approvals
    assert made.action == DECISION_NAMES[asked.action]
    replies = [e.payload["text"] for e in outcome.effects if e.kind is EffectKind.REPLY]
    assert replies == ([made.final_text] if asked.action is APPROVE else [])
    kinds = [e.kind for e in outcome.effects]
    assert (EffectKind.STATUS in kinds) == (asked.action is RESOLVE)
    assert (EffectKind.LABELS in kinds) == (asked.action is ESCALATE)
    assert len(set(kinds)) == len(kinds)
    if asked.action is APPROVE:
        shown = known.suggestion.text if known.suggestion else None
        assert made.final_text == (shown if asked.text is None else asked.text)
        assert made.final_text is not None and made.final_text.strip()
        assert made.edited == (shown is not None and made.final_text != shown)
        assert made.edit_distance == (edits.distance(shown, made.final_text) if shown is not None else 0)
        assert (made.fallback == "manual_reply") == (shown is None)
    assert bool(made.override) == any(v.overridden for v in outcome.verdicts)


@settings(deadline=None, max_examples=150)
@given(anything(), st.text(min_size=1, max_size=80))
def test_the_text_sent_is_the_text_approved_to_the_last_code_point(case: tuple, text: str) -> None:
    asked, known, policy = case
    known = replace(known, prior=None, flags=Flags(), conversation=talk(), decisions=(), suggestion=None)
    asked = replace(asked, action=APPROVE, text=text, actor=SAM, seen_version=None, follow_up=None)
    outcome = actions.decide(asked, known, policy, NOW)
    if isinstance(outcome, Apply):
        assert [e.payload["text"] for e in outcome.effects if e.kind is EffectKind.REPLY] == [text]


def test_outcomes_are_values() -> None:
    for kind in (Apply, Refuse, Repeat, Decision):
        first = fields(kind)[0].name
        with pytest.raises(AttributeError):
            setattr(kind.__new__(kind), first, "changed")
