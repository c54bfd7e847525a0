"""The modal of one case: opening it, judging the suggestion, and the four buttons; every rule is the desk's."""

from typing import Any

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import banners, case_header, editor, thread
from cairnops.app.pages import case_form as form
from cairnops.app.pages import case_steps as steps
from cairnops.app.room import LEASE_MS, milliseconds
from cairnops.app.text import line, plain
from cairnops.app.views import case as cases
from cairnops.desk.desk import View
from cairnops.domain.requests import Action
from cairnops.errors import CairnError
from cairnops.scenarios import practice
from cairnops.store.claims import Taken
from cairnops.store.drafts import Draft
from cairnops.workspace import mint

ss = st.session_state


@shell.opener("case")
def open_case(conversation: str) -> None:
    """Claim a case and put its modal up; somebody else's case is refused with who has it."""
    room, person = shell.room(), shell.me()
    shell.clear_problem()
    form.release()
    moment = room.now()
    reads = person.role.rank == 0 or not form.flags().modal_approvals
    try:
        if reads:
            shown = room.workspace.ledger.events(conversation=conversation, kind="suggestion.shown")
            view = form.desk_of(conversation).look(
                conversation,
                session=shell.focus(),
                suggestion=shown[-1]["body"]["uid"] if shown else "",
            )
            draft = None
        else:
            room.workspace.claims.take(
                conversation,
                person,
                shell.tab(),
                session=shell.focus(),
                at=moment,
                now_ms=milliseconds(moment),
                lease_ms=LEASE_MS,
            )
            view, draft = _open(conversation)
    except CairnError as error:
        shell.toast(str(error), "warn" if isinstance(error, Taken) else "bad")
        shell.refresh("overlay", "page")
        return
    form.begin(conversation, view, draft)
    room.changed()
    shell.show("case", conversation=conversation)
    shell.refresh("overlay")


def _open(conversation: str) -> tuple[View, Draft]:
    room, person, session = shell.room(), shell.me(), shell.focus()
    desk = form.desk_of(conversation)
    version = room.workspace.ledger.version(conversation)
    draft = room.workspace.drafts.get_or_make(
        conversation, person.email, session=session, version=version, mint=mint, at=room.now()
    )
    assigned = practice.scenario_of(room.workspace, session, conversation) if session else None
    view = desk.open(
        conversation,
        person,
        key=draft.opening,
        session=session,
        draft=practice.draft_for(*assigned) if assigned else None,
    )
    return view, draft


def leave() -> None:
    """The modal is dismissed (Escape, the cross, a click beside it): what was typed is kept, the case is free."""
    form.keep()
    form.release()
    # News that arrived in between may have drawn the dialog again.
    shell.close()


@shell.dialog("case")
def _dialog(conversation: str) -> None:
    state = ss["_case"]
    state["stirred"] = form.stirred(conversation)
    view: View = state["view"]
    title = plain(f"{view.conversation.customer or 'No name known'} · {conversation}")
    with shell.modal(title, width="large", on_dismiss=leave):
        _body(state, view)


def _body(state: dict[str, Any], view: View) -> None:
    room, person = shell.room(), shell.me()
    policy = room.workspace.policy
    case_header(cases.header(view), key=f"_header_{state['epoch']}", now_ms=milliseconds(room.now()))
    if state["step"] == "worksheet":
        steps.worksheet(state)
        return
    if state["step"]:
        steps.confirm(state)
        return
    verdicts, version = form.judged(state, Action.APPROVE_SEND)
    left, right = st.columns([5, 6], gap="medium")
    with left:
        messages, earlier = cases.thread(view.conversation, whole=state["whole"])
        if earlier:
            st.button(f"Show {earlier} earlier", key="_whole", on_click=_whole, type="tertiary")
        thread(messages, key=f"_thread_{state['epoch']}", heading=True)
        explained = form.explained()
        # Whoever only reads is not about to send anything.
        speak = cases.banners(verdicts, explained=explained) if state["key"] else []
        known, state["known"] = state.get("known"), [banner["code"] for banner in speak]
        if speak:
            banners(speak, key=f"_banners_{state['epoch']}", known=known)
        if explained:
            _hints(view)
    with right:
        buttons = cases.buttons(
            view,
            policy,
            verdicts,
            text=state["text"],
            role=person.role,
            log_problem=room.log_problem,
            session_closed=form.session_closed(),
        )
        shut = not state["key"] or not buttons[Action.ESCALATE].enabled
        editor(
            state["text"],
            key=f"_text_{state['epoch']}",
            label="Reply text",
            epoch=state["epoch"],
            diff=cases.changes(view, state["text"]),
            disabled=shut,
            placeholder="Write the reply here.",
            on_change=form.text_typed,
            heading="Suggested reply" if view.suggestion else "Reply by hand",
            before=line(cases.source_line(view)),
            after=line("Sources: " + " · ".join(sources)) if (sources := cases.citations(view)) else "",
        )
        editor(
            state["note"],
            key=f"_note_main_{state['epoch']}",
            label="Internal note",
            epoch=state["epoch"],
            disabled=shut,
            placeholder="Add context for audit trail",
            on_change=form.note_typed,
        )
        if not shut:
            form.promise_fields(state, expanded=False)
    if version != state["version"]:
        st.warning("The conversation changed since you opened it.", icon=":material/update:")
        st.button("Show what is there now", key="_reopen", on_click=_reopen)
    form.override_field(state, verdicts)
    shell.problem()
    _buttons(buttons, changed=version != state["version"])


def _buttons(buttons: dict[Action, cases.Button], *, changed: bool) -> None:
    failed = "_problem" in ss
    with st.container(horizontal=True, horizontal_alignment="right", key="case_buttons"):
        if shell.focus():
            st.button(
                "Worksheet", key="_worksheet", type="tertiary", on_click=steps.step_to, args=("worksheet",)
            )
            st.button("Finish and debrief", key="_finish", type="tertiary", on_click=steps.finished)
            st.space("stretch")
        for action, kind in (
            (Action.CANCEL, "tertiary"),
            (Action.MARK_RESOLVED, "secondary"),
            (Action.ESCALATE, "secondary"),
            (Action.APPROVE_SEND, "primary"),
        ):
            button = buttons[action]
            approve = action is Action.APPROVE_SEND
            st.button(
                "Retry" if approve and failed else plain(button.label),
                key=f"_do_{action.value}",
                type=kind,
                disabled=not button.enabled or (changed and action is not Action.CANCEL),
                help=button.why_not or None,
                on_click=steps.pressed,
                args=(action,),
                shortcut="Mod+Enter" if approve else None,
            )


def _hints(view: View) -> None:
    room, session = shell.room(), shell.focus()
    assigned = practice.scenario_of(room.workspace, session, view.conversation.id) if session else None
    if assigned is None:
        return
    with st.expander("Hints: what good looks like", icon=":material/school:"):
        for hint in practice.hints(assigned[0], view, room.workspace.policy):
            st.text(f"• {hint.text}")


def _whole() -> None:
    ss["_case"]["whole"] = True
    shell.refresh("overlay")


def _reopen() -> None:
    open_case(ss["_case"]["conversation"])
