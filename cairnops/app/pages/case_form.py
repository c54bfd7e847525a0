"""The form of one case in one browser: what is shown, what is typed, and the request it makes."""

from datetime import timedelta
from typing import Any

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import editor_text
from cairnops.app.views import case as cases
from cairnops.desk.desk import Desk, View
from cairnops.domain.requests import Action, Flags, FollowUp, Request
from cairnops.domain.rules import Verdict
from cairnops.errors import NotFound
from cairnops.scenarios import practice
from cairnops.store.drafts import Draft

ss = st.session_state


def flags() -> Flags:
    """What is switched on in the session in focus, or in the workspace."""
    session = shell.focus()
    workspace = shell.room().workspace
    try:
        return workspace.sessions.get(session).flags if session else workspace.flags
    except NotFound:
        return workspace.flags


def desk_of(conversation: str) -> Desk:
    room = shell.room()
    assigned = practice.scenario_of(room.workspace, shell.focus(), conversation) if shell.focus() else None
    if assigned is None:
        return room.workspace.desk(room.now, flags())
    return room.workspace.desk(room.now, practice.flags_for(room.workspace, shell.focus(), assigned[0]))


def begin(conversation: str, view: View, draft: Draft | None) -> None:
    suggested = view.suggestion.text if view.suggestion else ""
    ss["_case"] = {
        "conversation": conversation,
        "view": view,
        "key": draft.key if draft else "",
        "version": view.version,
        "text": suggested if draft is None or draft.text is None else draft.text,
        "note": draft.note if draft else "",
        "epoch": ss.get("_case", {}).get("epoch", 0) + 1,
        "step": "",
        "override": "",
        "whole": False,
        "unfolded": False,
        "rows": 0,
        "opened": view if draft and draft.text is None and not draft.note else None,
    }


def newest() -> dict[str, Any]:
    """The state with what the editors hold now: a button's callback may come before the editor's own."""
    state: dict[str, Any] = ss.get("_case") or {}
    if state.get("key"):
        epoch = state["epoch"]
        state["text"] = editor_text(f"_text_{epoch}", epoch, state["text"])
        note = f"_note_{state['step'] or 'main'}_{epoch}"
        state["note"] = editor_text(note, epoch, state["note"])
    return state


def keep() -> None:
    state = newest()
    if state.get("key"):
        room = shell.room()
        with shell.guard():
            room.workspace.drafts.keep(
                state["conversation"], shell.me().email, text=state["text"], note=state["note"], at=room.now()
            )


def release() -> None:
    held = ss.get("_case") or {}
    if "conversation" not in held:
        return
    room = shell.room()
    ss["_case"] = {"epoch": held["epoch"]}
    with shell.guard():
        if room.workspace.claims.release(held["conversation"], shell.me(), at=room.now(), tab=shell.tab()):
            room.changed()


def typed(field: str, text: str) -> None:
    state = ss["_case"]
    if state.get(field) != text:
        state[field] = text
        keep()
    shell.refresh("overlay")


def note_typed(text: str) -> None:
    typed("note", text)


def text_typed(text: str) -> None:
    typed("text", text)


def override_typed(key: str) -> None:
    typed("override", ss[key])


def request_of(state: dict[str, Any], action: Action, *, key: str, **more: Any) -> Request:
    view: View = state["view"]
    return Request(
        action=action,
        conversation=state["conversation"],
        actor=shell.me(),
        key=key,
        session=shell.focus(),
        seen_version=state["version"],
        suggestion=view.suggestion_uid,
        text=state["text"] if action is Action.APPROVE_SEND else None,
        note=state["note"].strip(),
        override=state["override"].strip(),
        follow_up=promised(state),
        **more,
    )


def judged(state: dict[str, Any], action: Action) -> tuple[tuple[Verdict, ...], int]:
    """What pressing would meet now."""
    opened: View | None = state.pop("opened", None)
    version = shell.room().workspace.ledger.version
    # Just opened and nothing typed: that was judged on the way, unless something has come in since.
    if opened and action is Action.APPROVE_SEND and version(state["conversation"]) == opened.version:
        return opened.verdicts, opened.version
    return desk_of(state["conversation"]).preview(request_of(state, action, key=""))


def stirred(conversation: str) -> tuple[object, ...]:
    """What changes whenever the modal of that case would read otherwise if it were drawn again."""
    room = shell.room()
    return room.workspace.ledger.newest(conversation), room.log_problem, session_closed()


def stands() -> bool:
    """Whether the dialog that is up is the modal of a case, and reads as it would if it were drawn again."""
    kind, args = shell.shown() or ("", {})
    return kind == "case" and ss["_case"].get("stirred") == stirred(args["conversation"])


def session_closed() -> bool:
    return bool(shell.focus()) and shell.room().workspace.sessions.state(shell.focus()) == "closed"


def explained() -> bool:
    session = shell.focus()
    if not session:
        return True
    try:
        return shell.room().workspace.sessions.get(session).mode == "practice"
    except NotFound:
        return True


def override_field(state: dict[str, Any], verdicts: tuple[Verdict, ...]) -> None:
    may = cases.overridable(verdicts, shell.me().role)
    if may is not None:
        st.text_input(
            f"Reason for going ahead against {', '.join(may.codes)} (as {may.role})",
            key=f"_override_{state['epoch']}",
            on_change=override_typed,
            args=(f"_override_{state['epoch']}",),
        )


def promise_fields(state: dict[str, Any], *, expanded: bool) -> None:
    epoch = state["epoch"]
    box = st.expander(
        "Follow-up: who, by when",
        expanded=expanded,
        icon=":material/event_upcoming:",
        key=f"_follow_up_{state['step']}_{epoch}",
        on_change=_unfolded,
    )
    # Most replies promise nothing: what is folded is drawn when it is wanted, and then stays.
    state["unfolded"] = state["unfolded"] or bool(box.open)
    if not state["unfolded"]:
        return
    with box:
        first, second, third = st.columns([3, 2, 4])
        first.text_input("Owner", key=f"_owner_{epoch}", value=shell.me().email)
        second.number_input("Due in minutes", 0, 43_200, 0, 15, key=f"_due_{epoch}", help="0: no follow-up")
        third.text_input("What is promised", key=f"_promise_{epoch}")


def _unfolded() -> None:
    shell.refresh("overlay")


def promised(state: dict[str, Any]) -> FollowUp | None:
    epoch = state["epoch"]
    minutes = int(ss.get(f"_due_{epoch}") or 0)
    if not minutes:
        return None
    return FollowUp(
        owner=ss.get(f"_owner_{epoch}", "").strip(),
        due=shell.room().now() + timedelta(minutes=minutes),
        text=ss.get(f"_promise_{epoch}", "").strip(),
    )
