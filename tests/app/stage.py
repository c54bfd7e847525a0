"""A page for one component at a time, chosen by `?scene=`; what Python was told stands in the place `told`."""

import streamlit as st

from cairnops.app import components as ui
from cairnops.app.text import plain
from cairnops.domain import edits
from tests.app import hostile

NOW = 1_790_000_000_000
MINUTE = 60_000
SUGGESTION = "Hi Jamie, your order is on its way."

ss = st.session_state


def tell(*what):
    """Note what a callback was given."""
    ss.told.append(" ".join(str(w) for w in what))


def told():
    """Show it."""
    with st.container(key="told"):
        st.text("\n".join(ss.told))


def act(label, change):
    """A button that changes the stage and draws it again."""
    st.button(label, on_click=change)


def row(number, **other):
    """A row of the queue."""
    return {
        "id": str(number), "priority": "P2", "customer": f"Customer {number}", "preview": "Where is my order?",
        "tags": ["shipping"], "due_ms": NOW + 30 * MINUTE, "breached": False, "breached_at_ms": None,
        "clock": "In force: 60 min from the first message", "other_clock": "By the last message: 12 min left",
        "waited_s": 1800, "claimed_by": "", "mine": False, "status": "open", "delivery": "",
    } | other  # fmt: skip


def queue():
    ss.setdefault("rows", [
        row(1, priority="P1", due_ms=NOW - 125 * MINUTE, breached=True, breached_at_ms=NOW - 125 * MINUTE),
        row(2, due_ms=NOW + 90_000),
        row(3, claimed_by="Dana Okafor"),
        row(4, claimed_by="Alex Kim", mine=True, delivery="Reply delivered"),
        row(5, priority="", due_ms=None, tags=[]),
    ])  # fmt: skip
    ss.setdefault("focus", None)

    def leaves(number, asked=True):
        ss.rows = [r for r in ss.rows if r["id"] != str(number)]
        if asked:
            ss.focus = (str(number), (ss.focus or ("", 0))[1] + 1)

    def opened(number):
        tell("open", number)
        if "dialog" in st.query_params:
            ss.open = number
        elif "act" in st.query_params:
            leaves(number, asked=st.query_params["act"] == "asked")

    ui.queue_table(ss.rows, key="queue", now_ms=NOW, on_open=opened, focus=ss.focus)
    act("Again", lambda: None)
    act("One more", lambda: ss.update(rows=[row(0), *ss.rows]))
    act("Retouch", lambda: ss.rows[2].update(status="pending"))
    if "many" in st.query_params and len(ss.rows) < 500:
        ss.rows = [row(n) for n in range(500)]
        st.rerun()

    if number := ss.get("open"):

        @st.dialog(f"Case {number}", on_dismiss=lambda: ss.update(open=None))
        def case():
            st.button("Approve", on_click=lambda: (leaves(number), ss.update(open=None), st.rerun()))
            st.button("Approve and look", on_click=lambda: (leaves(number), st.rerun()))
            st.button("Close it", on_click=lambda: (ss.update(open=None), st.rerun()))

        case()


def messages():
    ss.setdefault("said", [
        {"id": "1", "author": "Jamie Lee", "kind": "customer", "text": "Hello,\n\nwhere is it?", "time": "09:02"},
        {"id": "2", "author": "", "kind": "system", "text": "Assigned to Dana", "time": "09:03"},
        {"id": "3", "author": "Dana", "kind": "note", "text": "Lost at the depot.", "time": "09:05"},
        {"id": "4", "author": "Dana", "kind": "agent", "text": "Let me look.", "time": "09:06", "state": "delivered"},
        *({"id": f"h{i}", "author": "Jamie", "kind": "customer", "text": t, "time": "09:10"}
          for i, t in enumerate(hostile.TEXTS.values())),
    ])  # fmt: skip
    ui.thread(ss.said, key="thread", height=300)
    more = {"id": "new", "author": "Jamie Lee", "kind": "customer", "text": "Newest", "time": "09:30"}
    act("One more", lambda: ss.said.append(more))


def editor():
    ss.setdefault("epoch", 0)
    ss.setdefault("disabled", False)

    def form():
        text = ui.editor_text("reply", ss.epoch, SUGGESTION)
        changes = [{"kind": c.kind, "text": c.text} for c in edits.diff(SUGGESTION, text)]
        ui.editor(
            SUGGESTION, key="reply", label="Suggested reply", epoch=ss.epoch, diff=changes, max_chars=60,
            disabled=ss.disabled, on_change=lambda sent: tell("typed", sent),
        )  # fmt: skip
        st.button(
            "Approve",
            type="primary",
            shortcut="Mod+Enter",
            on_click=lambda: tell("approved", ui.editor_text("reply", ss.epoch, SUGGESTION)),
        )

    if "dialog" in st.query_params:
        # A dialog is a part of its own: what it tells must be shown in it to be drawn.
        st.dialog("Case")(lambda: (form(), told()))()
        return
    form()
    act("Again", lambda: tell("again"))
    act("Start over", lambda: ss.update(epoch=ss.epoch + 1))
    act("Disable", lambda: ss.update(disabled=True))


def header():
    with st.container(key="one"):
        ui.case_header(
            {
                "customer": "Jamie Lee", "conversation": "101", "status": "open", "priority": "P1",
                "due_ms": NOW - 125 * MINUTE, "breached": True, "breached_at_ms": NOW - 125 * MINUTE,
                "clock": "In force: 60 min", "other_clock": "By the last message: 12 min left", "tags": ["refund"],
                "flags": [{"label": "AI suggestions off"}],
                "order": {"number": "#1042", "total": "$612.40", "cues": ["Shipped 6 days ago"]},
            }, now_ms=NOW, key="head",
        )  # fmt: skip
    with st.container(key="two"):
        ui.case_header(
            {
                "customer": "", "conversation": "102", "status": "", "priority": "", "due_ms": NOW + 90_000,
                "breached": False, "breached_at_ms": None, "clock": "", "other_clock": "", "tags": [],
                "flags": [], "order": None,
            }, now_ms=NOW, key="head2",
        )  # fmt: skip


def guardrails():
    ss.setdefault("banners", [
        {"code": "refund.above_tier", "severity": "block", "sentence": "The refund is above your tier.",
         "threshold": "$500.00", "way_out": "Escalate with a note.", "explanation": "It commits money."},
        {"code": "sla.breach_age", "severity": "warn", "sentence": "Breached 2 h ago.", "threshold": "120 min"},
        {"code": "ai.unavailable", "severity": "info", "sentence": "This is the template."},
        {"code": "name.wrong", "severity": "block", "sentence": "Another name.", "overridden": True},
    ])  # fmt: skip
    ui.banners(ss.banners, key="banners")
    fresh = {"code": "reply.placeholder_left", "severity": "block", "sentence": "A placeholder is left."}
    act("Block", lambda: ss.update(banners=[fresh, *ss.banners]))
    act("Again", lambda: ss.update(banners=[dict(b) for b in ss.banners]))


def announcer():
    ss.setdefault("seq", 0)
    ui.announcer("Reply sent to Jamie" if ss.seq else "", ss.seq)
    act("Say", lambda: ss.update(seq=ss.seq + 1))
    if "dialog" in st.query_params:
        st.dialog("Case")(lambda: act("Say here", lambda: (ss.update(seq=ss.seq + 1), st.rerun())))()


def live():
    ui.live("/test/events", version="0", on_change=lambda version: tell("version", version))


def heartbeat():
    ui.heartbeat("/test/beat", "tab-1", every_s=0.1)


def copying():
    ui.copy_button("| 1 | 101 | delivered |", "Copy the worksheet row", key="copy")


def table():
    columns = [
        {"key": "who", "label": "Operator"}, {"key": "n", "label": "Decisions", "align": "right"},
        {"key": "state", "label": "State"}, {"key": "code", "label": "Rule", "mono": True},
    ]  # fmt: skip
    rows = [
        {
            "id": "a",
            "cells": {"who": "Zoe", "n": 9, "state": {"text": "Ready", "tone": "good"}, "code": "a.b"},
        },
        {
            "id": "b",
            "cells": {"who": "Álvaro", "n": 10, "state": {"text": "No", "tone": "bad", "title": "2 of 3"}},
        },
        {"id": "c", "cells": {"who": "Ben", "n": None, "state": "", "code": "w" * 400}},
        {
            "id": "d",
            "cells": {"who": "Cleo", "n": {"text": "1 h", "sort": 3600}, "state": hostile.TEXTS["badge"]},
        },
    ]
    ui.data_table(columns, rows, key="table", caption="Cohort", on_open=lambda i: tell("open", i))
    ui.data_table(columns, [], key="none", caption="Nobody", sort=False)


def tiles():
    ui.stat_tiles(
        [
            {"label": "Waiting", "value": "12", "hint": "3 new"},
            {"label": "Breached", "value": "4", "tone": "bad"},
            {"label": "Ready", "value": "83 %", "tone": "good"},
            {"label": "Late", "value": "2", "tone": "warn"},
        ],
        key="tiles",
    )


def agenda():
    parts = [{"title": t, "minutes": m} for t, m in (("Welcome", 5), ("Scenario A", 15), ("Debrief", 10))]
    ui.agenda_timer(parts, started_ms=NOW - 14 * MINUTE, index=1, now_ms=NOW, key="agenda")
    ui.agenda_timer(parts, started_ms=None, index=0, now_ms=NOW, key="before")
    ui.agenda_timer(parts, started_ms=NOW, index=3, now_ms=NOW, key="after")


def labels():
    for name, text in enumerate(hostile.TEXTS.values()):
        with st.container(key=f"sink-{name}"):
            st.button(plain(text), key=f"b{name}", help=plain(text))
            st.checkbox(plain(text), key=f"c{name}")
            with st.expander(plain(text)):
                st.text("inside")
            st.caption(plain(text))
            st.error(plain(text))
    st.title(plain(" ".join(hostile.TEXTS.values()), 2000))


def toasts():
    for text in hostile.TEXTS.values():
        st.toast(plain(text), duration="infinite")
    number = ss.setdefault("title", 0)

    @st.dialog(plain(list(hostile.TEXTS.values())[number]))
    def titled():
        st.text(f"dialog {number}")
        st.button("Next", on_click=lambda: (ss.update(title=number + 1), st.rerun()))

    titled()


SCENES = {
    f.__name__: f
    for f in (
        queue, messages, editor, header, guardrails, announcer, live, heartbeat, copying, table, tiles, agenda,
        labels, toasts,
    )
}  # fmt: skip


def main():
    """Draw the scene asked for."""
    st.set_page_config(layout="wide", page_title="stage")
    ui.page_style()
    ss.setdefault("told", [])
    st.title("Stage")
    scene = st.query_params["scene"]
    SCENES[scene]()
    if scene != "editor" or "dialog" not in st.query_params:
        told()
