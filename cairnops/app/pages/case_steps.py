"""What pressing a button does: approve, escalate, resolve, a row of the worksheet, the end of a scenario."""

from typing import Any

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import banners, editor
from cairnops.app.pages import case_form as form
from cairnops.app.text import plain
from cairnops.app.views import case as cases
from cairnops.desk.desk import Receipt, View
from cairnops.domain import breaker
from cairnops.domain.conversations import Role
from cairnops.domain.requests import Action, Request
from cairnops.errors import CairnError, InputError
from cairnops.scenarios import practice
from cairnops.store.sessions import Noted
from cairnops.workspace import mint

ss = st.session_state


def pressed(action: Action) -> None:
    if action is Action.CANCEL:
        form.keep()
        form.release()
        shell.close()
        return
    state = form.newest()
    if state["step"]:
        # A button of the step before, met while this one was being drawn: nobody saw what it would send.
        shell.refresh("overlay")
        return
    if action in (Action.ESCALATE, Action.MARK_RESOLVED):
        state["step"] = action.value
        shell.refresh("overlay")
        return
    submit(form.request_of(state, action, key=state["key"]))


def submit(request: Request) -> None:
    """Ask the desk; on yes the modal goes, on no it stays with the reason, and nothing typed is lost."""
    room, state = shell.room(), ss["_case"]
    view: View = state["view"]
    receipt: Receipt | None = None
    with shell.guard():
        receipt = form.desk_of(state["conversation"]).submit(request)
    if receipt is None:
        # Not written: the same key asks for the same thing again.
        form.keep()
        shell.refresh("overlay")
        return
    if receipt.refused:
        ss["_problem"] = (receipt.sentence, "")
        shell.toast(receipt.sentence, "bad")
        # A refusal is kept under its key; what is asked next is another request.
        with shell.guard():
            state["key"] = room.workspace.drafts.renew(
                state["conversation"], shell.me().email, mint=mint, at=room.now()
            ).key
        ss["_problem"] = (receipt.sentence, "")
        shell.refresh("overlay")
        return
    with shell.guard():
        room.workspace.drafts.drop(state["conversation"], shell.me().email)
    _saved(receipt)
    if request.action is Action.APPROVE_SEND:
        waiting = ss.setdefault("_awaited", {})
        waiting[receipt.decision] = view.conversation.customer or "the customer"
    ss["_after"] = [state["conversation"], receipt.number]
    form.release()
    room.changed(state["conversation"])
    shell.close()


def _saved(receipt: Receipt) -> None:
    if receipt.effects and breaker.why(shell.room().outage):
        shell.toast("Saved, not yet sent", "warn")
    else:
        shell.toast("Decision logged to audit trail", "good")


def confirm(state: dict[str, Any]) -> None:
    """The second step of escalating and of resolving: reason, target, note, follow-up."""
    policy = shell.room().workspace.policy
    action = Action(state["step"])
    verdicts, version = form.judged(state, action)
    label = policy.labels.escalate_button if action is Action.ESCALATE else policy.labels.resolve_button
    st.markdown(f"**{plain(label)}**")
    banners(cases.banners(verdicts, explained=form.explained()), key=f"_banners_{action.value}")
    epoch = state["epoch"]
    if action is Action.ESCALATE:
        first, second = st.columns(2)
        first.selectbox(
            "Reason",
            policy.escalation.reasons,
            # A reason that stands there already is recorded by whoever only presses on.
            index=None,
            placeholder="Choose a reason",
            key=f"_reason_{epoch}",
            format_func=lambda r: r.replace("_", " "),
        )
        roles = [role.value for role in Role if role.rank > 1]
        second.selectbox(
            "To", roles, index=roles.index(policy.escalation.target.value), key=f"_target_{epoch}"
        )
    editor(
        state["note"],
        key=f"_note_{action.value}_{epoch}",
        label="Internal note",
        epoch=epoch,
        disabled=False,
        placeholder="Add context for audit trail",
        on_change=form.note_typed,
    )
    form.promise_fields(state, expanded=action is Action.MARK_RESOLVED)
    form.override_field(state, verdicts)
    if version != state["version"]:
        st.warning(
            "The conversation changed since you opened it. Go back to see what is there now.",
            icon=":material/update:",
        )
    shell.problem()
    with st.container(horizontal=True, horizontal_alignment="right", key="case_buttons"):
        st.button("Back", key="_back", type="tertiary", on_click=back)
        st.button(
            plain(label),
            key="_confirm",
            type="primary",
            on_click=confirmed,
            disabled=version != state["version"],
            shortcut="Mod+Enter",
        )


def back() -> None:
    form.newest()["step"] = ""
    shell.clear_problem()
    shell.refresh("overlay")


def confirmed() -> None:
    state = form.newest()
    action, epoch = Action(state["step"]), state["epoch"]
    more: dict[str, Any] = {}
    if action is Action.ESCALATE:
        more = {"reason": ss[f"_reason_{epoch}"] or "", "target": Role(ss[f"_target_{epoch}"])}
    submit(form.request_of(state, action, key=f"{state['key']}/{action.value}", **more))


def step_to(step: str) -> None:
    form.newest()["step"] = step
    shell.refresh("overlay")


def worksheet(state: dict[str, Any]) -> None:
    """A row of the worksheet by hand: what was done outside the modal, or is worth remembering."""
    # Each row has fields of its own: what was typed for the one before is not there again.
    form_of_row = f"{state['epoch']}_{state['rows']}"
    st.markdown("**Write in the worksheet**")
    st.text_input(
        "Outcome",
        key=f"_outcome_{form_of_row}",
        placeholder="What came of it, such as: manual escalation to the operations manager",
    )
    st.text_area(
        "Note", key=f"_remark_{form_of_row}", placeholder="What the next reader must know", height=100
    )
    shell.problem()
    with st.container(horizontal=True, horizontal_alignment="right", key="case_buttons"):
        st.button("Back", key="_back", type="tertiary", on_click=back)
        st.button("Keep the row", key="_keep_row", type="primary", on_click=keep_row, shortcut="Mod+Enter")


def keep_row() -> None:
    state, room, person = ss["_case"], shell.room(), shell.me()
    form_of_row = f"{state['epoch']}_{state['rows']}"
    outcome = ss.get(f"_outcome_{form_of_row}", "").strip()
    with shell.guard():
        if not outcome:
            raise InputError("The row has no outcome.", hint="Say in a few words what came of it.")
        assigned = practice.scenario_of(room.workspace, shell.focus(), state["conversation"])
        room.workspace.sessions.note(
            Noted(
                key=f"{state['key'] or shell.tab()}/row/{outcome}",
                session=shell.focus(),
                scenario=assigned[1].scenario if assigned else "",
                participant=person,
                conversation=state["conversation"],
                outcome=outcome,
                note=ss.get(f"_remark_{form_of_row}", "").strip(),
                at=room.now(),
            )
        )
        shell.toast("Kept in the worksheet", "good")
        state["step"] = ""
        state["rows"] += 1
        room.changed()
    shell.refresh("overlay", "page")


def finished() -> None:
    conversation = ss["_case"]["conversation"]
    form.keep()
    form.release()
    shell.dismiss()
    with shell.guard():
        finish(conversation)
    shell.refresh("overlay", "page")


def tell_delivered() -> None:
    """Toast what has arrived meanwhile of this browser's replies."""
    awaited: dict[str, str] = ss.get("_awaited", {})
    for uid, customer in list(awaited.items()):
        effects = shell.room().workspace.ledger.deliveries(decision=uid)
        reply = next((e for e in effects if e["kind"] == "reply"), None)
        if reply is not None and reply["state"] == "parked":
            awaited.pop(uid)
            reason = shell.room().workspace.jobs.job(reply["uid"]).reason
            shell.toast(f"The reply to {customer} was not sent: {reason}", "bad")
            continue
        if reply is None or reply["final"] is None:
            continue
        awaited.pop(uid)
        if reply["final"]["status"] == "SUCCESS":
            shell.toast(f"Reply sent to {customer}", "good")
        else:
            shell.toast(f"The reply to {customer} was not delivered", "bad")


def send_again(uid: str) -> None:
    """Ask once more for a reply that surely did not arrive; pressing twice is one request."""
    room = shell.room()
    before = room.workspace.ledger.decisions(uid=uid)[0]
    conversation = before["conversation"].removeprefix("chatwoot:")
    with shell.guard():
        receipt = form.desk_of(conversation).submit(
            Request(
                action=Action.APPROVE_SEND,
                conversation=conversation,
                actor=shell.me(),
                key=f"retry/{uid}",
                session=before["session"],
                suggestion=before["linked"],
                text=before["finalText"],
                note=before["note"],
            )
        )
        if receipt.refused:
            shell.toast(receipt.sentence, "bad")
            return
        _saved(receipt)
        found = room.workspace.ledger.conversation(conversation)
        ss.setdefault("_awaited", {})[receipt.decision] = (found.customer if found else "") or "the customer"
        room.changed(conversation)


def finish(conversation: str) -> None:
    """End the scenario and show its debrief."""
    room, session = shell.room(), shell.focus()
    assigned = practice.scenario_of(room.workspace, session, conversation)
    if assigned is None or room.client is None:
        raise CairnError("This case is no scenario of the session.", hint="There is nothing to debrief.")
    room.run(
        practice.finish(
            room.workspace,
            room.client,
            room.workspace.sessions.get(session),
            assigned[1],
            shell.me(),
            at=room.now(),
        )
    )
    room.changed()
    shell.show("debrief", conversation=conversation)
