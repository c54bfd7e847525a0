"""The operator's page: the queue, what became of the last decisions, and the way into a case."""

from typing import Any

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import copy_button, queue_table, stat_tiles
from cairnops.app.pages import case, case_form, case_steps
from cairnops.app.room import milliseconds
from cairnops.app.text import plain
from cairnops.app.views import queue as queues
from cairnops.app.views.queue import QueueView
from cairnops.app.views.receipt import ReceiptView, receipt
from cairnops.domain import breaker
from cairnops.domain.decisions import Scope
from cairnops.domain.duties import Duty
from cairnops.evidence import worksheet
from cairnops.scenarios import practice
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.sessions import begin

_RECEIPTS = 3


def page() -> None:
    """Draw the page."""
    room, flags = shell.room(), case_form.flags()
    st.title("Desk", anchor=False)
    if shell.focus() and not room.workspace.sessions.state(shell.focus()):
        st.warning(plain(f"There is no session called {shell.focus()}. Choose another one at the left."))
        return
    if room.log_problem:
        st.error(
            f"Decisions cannot be logged: {plain(room.log_problem, 500)} Nothing can be approved until they can.",
            icon=":material/error:",
        )
    if case_form.session_closed():
        st.info(plain(f"Session {shell.focus()} is over: everything can be read, and nothing more decided."))
    if not flags.modal_approvals:
        st.warning("Read-only: FEATURE_MODAL_APPROVALS is off. You can open every case and decide nothing.")
    if not flags.ai_escalations:
        st.info("AI unavailable: suggestions come from templates only.", icon=":material/smart_toy:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Search",
            type="search",
            live="150ms",
            key="_search",
            on_change=_filtered,
            placeholder="Name, id, tag, words",
        )
        st.pills(
            "Priority", ["P1", "P2", "P3"], selection_mode="multi", key="_priorities", on_change=_filtered
        )
        st.toggle("Only mine", key="_mine", on_change=_filtered)
    _live()


@shell.live
def _live() -> None:
    view = _view()
    if view.state == "down":
        lead = "" if breaker.why(shell.room().outage) else "The help desk cannot be read: "
        st.warning(
            f"{lead}{plain(view.sentence, 500)} What you see was read before; decisions are kept and sent later.",
            icon=":material/cloud_off:",
        )
    stat_tiles(
        [
            {"label": "Waiting", "value": str(view.waiting), "hint": "cases that need somebody"},
            {
                "label": "Breached",
                "value": str(view.breached),
                "hint": "past the target of the clock in force",
                "tone": "bad" if view.breached else "",
            },
            {"label": "Open with you", "value": str(view.mine), "hint": "cases you have claimed"},
        ],
        key="_tiles",
    )
    _receipts()
    queue_table(
        [_row(row) for row in view.rows],
        key="_queue",
        on_open=case.open_case,
        door="case",
        now_ms=milliseconds(shell.room().now()),
        focus=st.session_state.get("_after"),
        empty=view.sentence or "Nobody waits.",
    )
    if view.state == "empty" and not shell.focus() and shell.allowed(Duty.ACT) and shell.room().admin:
        _offer_practice()


def _offer_practice() -> None:
    """Nobody waits and there is no session: four cases to practise on are one press away."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="offer"):
        st.text(
            "Practise by yourself: late shipment, refund, SLA breach and policy exception, with hints and a "
            "debrief after each.",
            width="stretch",
        )
        st.button("Start practising", type="primary", key="_practise", on_click=_practise)


def _practise() -> None:
    room, person = shell.room(), shell.me()
    pack = load_pack("cx-escalations")
    with shell.guard():
        assert room.client is not None
        alone = f"practice-{person.email.partition('@')[0]}-{room.now():%m%d-%H%M%S}"
        session, _ = begin(room.workspace, pack, alone, [person], person, live=room.now())
        for scenario in pack.scenarios:
            room.run(
                practice.seed(
                    room.workspace,
                    room.client,
                    room.admin,
                    session,
                    scenario,
                    operators=[person],
                    at=room.now(),
                    actor=person,
                )
            )
        shell.set_focus(session.name)
        room.changed()
    shell.refresh()


def _view() -> QueueView:
    room, person, session = shell.room(), shell.me(), shell.focus()
    cases, only = room.cases(), None
    if not session:
        # What belongs to a session is worked in it, by the people it was given to.
        given_away = room.workspace.sessions.assigned()
        cases = [case for case in cases if case.id not in given_away]
    else:
        given = practice.seeded(room.workspace, session)
        runs_it = person.role.rank != 1
        only = {s.conversation for s in given if runs_it or s.operator in ("", person.email)}
    now = room.now()
    held = room.workspace.claims.held(milliseconds(now))
    return queues.queue(
        cases,
        room.workspace.policy,
        now,
        me=person.email,
        claims={h.conversation: h.actor.email for h in held},
        only=only,
        delivery={key: queues.decided_words(*found) for key, found in room.decided().items()},
        search=st.session_state.get("_search") or "",
        priorities=st.session_state.get("_priorities") or (),
        mine_only=bool(st.session_state.get("_mine")),
        problem=room.problem,
        configured=room.source.configured,
        loaded=room.source.at is not None,
    )


def _row(row: queues.Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__} | {"tags": list(row.tags)}


def _filtered() -> None:
    shell.refresh("page")


# What became of the last decisions.


def _receipts() -> None:
    made = _decisions()
    if not made:
        return
    with st.container(border=True, key="receipts"):
        for found in made:
            with st.container(horizontal=True, vertical_alignment="center", key=f"receipt_{found.number}"):
                tone = {"failed": "red", "saved": "orange", "delivered": "green"}[found.standing]
                st.badge(f"{found.number}", color=tone, width="content")
                st.text(f"{found.title} · {found.customer} · {found.sentence}", width="stretch")
                if found.retry:
                    st.button("Send once more", key=f"_retry_{found.uid}", on_click=_retry, args=(found.uid,))
                st.button(
                    "Receipt",
                    key=f"_receipt_{found.uid}",
                    on_click=_show_receipt,
                    args=(found.uid,),
                    type="tertiary",
                )
                if shell.focus():
                    st.button(
                        "Debrief",
                        key=f"_debrief_{found.uid}",
                        on_click=_debrief,
                        args=(found.conversation,),
                        type="tertiary",
                    )


def _decisions() -> list[ReceiptView]:
    workspace, person = shell.room().workspace, shell.me()
    rows = workspace.ledger.decisions(
        actor=person.email, session=shell.focus(), scope=Scope.OPS.value, last=_RECEIPTS
    )
    return [_receipt(row, rows) for row in reversed(rows)]


def _receipt(decision: dict[str, Any], rows: list[dict[str, Any]]) -> ReceiptView:
    workspace = shell.room().workspace
    conversation = decision["conversation"].removeprefix("chatwoot:")
    found = workspace.ledger.conversation(conversation)
    same = [r for r in rows if r["conversation"] == decision["conversation"] and r["finalText"]]
    effects = workspace.ledger.deliveries(decision=decision["uid"])
    return receipt(
        decision,
        effects,
        (found.customer if found else "") or "the customer",
        retried=decision["requestKey"].startswith("retry/")
        or bool(same and same[-1]["uid"] != decision["uid"]),
        held={e["uid"]: workspace.jobs.job(e["uid"]).reason for e in effects if e["state"] == "parked"},
        down=breaker.why(shell.room().outage),
    )


def _retry(uid: str) -> None:
    case_steps.send_again(uid)
    shell.refresh("page", "overlay")


def _show_receipt(uid: str) -> None:
    shell.show("receipt", uid=uid)
    shell.refresh("overlay")


def _debrief(conversation: str) -> None:
    with shell.guard():
        case_steps.finish(conversation)
    shell.refresh("overlay")


@shell.dialog("receipt")
def _receipt_dialog(uid: str) -> None:
    rows = shell.room().workspace.ledger.decisions(uid=uid)
    found = _receipt(rows[0], rows)
    with shell.modal(f"Decision {found.number}"):
        st.text(f"{found.title} · {found.customer} · {found.conversation}")
        st.text(f"Saved at {found.saved}")
        if found.sla:
            st.text(f"SLA timer: {found.sla}")
        for row in found.deliveries:
            error = f" ({row.error})" if row.error else ""
            st.text(f"{row.what}: {row.status}{f', attempt {row.attempt}' if row.attempt else ''}{error}")
        if found.reliability:
            st.warning(plain(found.reliability))
        line = _worksheet_line(rows[0])
        copy_button(line, "Copy the worksheet row", key=f"_copy_{uid}")
        st.code(line, language=None, wrap_lines=True)


def _worksheet_line(decision: dict[str, Any]) -> str:
    workspace = shell.room().workspace
    if not decision["session"]:
        return f"| {decision['decisionId']} | {decision['conversation']} | {decision['createdAt']} |"
    rows = worksheet.rows(workspace, decision["session"])
    number = str(decision["decisionId"])
    return next(worksheet.line(i, row) for i, row in enumerate(rows, 1) if row.decision == number)
