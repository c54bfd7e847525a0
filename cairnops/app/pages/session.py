"""The facilitator's page: choose or create a session, prepare it, run it live, and hand it over."""

import streamlit as st

from cairnops.app import identity, shell
from cairnops.app.components import copy_button, data_table
from cairnops.app.components.entries import entries, entry
from cairnops.app.components.record import record
from cairnops.app.pages import debrief, session_end, session_run  # noqa: F401 (it registers its dialog)
from cairnops.app.pages.session_common import act, caps, pack, running
from cairnops.app.text import plain
from cairnops.app.views import session as views
from cairnops.app.views import words
from cairnops.domain.duties import Duty
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import Session
from cairnops.errors import CairnError
from cairnops.scenarios.loader import load_pack, shipped
from cairnops.scenarios.sessions import begin, measure

PREPARE, RUN, END = "Prepare", "Run", "Wrap up"


def page() -> None:
    """Draw the page."""
    room = shell.room()
    if not (shell.allowed(Duty.FACILITATE) or shell.allowed(Duty.REVIEW)):
        st.title("Session", anchor=False)
        st.info("Sessions are run by leads, managers and admins. Your cases are on the Desk.")
        return
    if shell.focus() and room.workspace.sessions.state(shell.focus()):
        _one()
    else:
        st.title("Sessions", anchor=False)
        if shell.focus():
            st.warning(plain(f"There is no session called {shell.focus()}."))
        _sessions()
        if shell.allowed(Duty.FACILITATE):
            _create()


# Which session.


@shell.live
def _sessions() -> None:
    sessions = shell.room().workspace.sessions
    rows = sessions.all()
    live = {row["name"]: sessions.get(row["name"]).live for row in rows}
    data_table(
        [
            {"key": "name", "label": "Session"},
            {"key": "state", "label": "State"},
            {"key": "pack", "label": "Pack"},
            {"key": "started", "label": "Started (UTC)"},
            {"key": "people", "label": "People", "align": "right"},
            {"key": "decisions", "label": "Decisions", "align": "right"},
        ],
        [
            {
                "id": s.name,
                "cells": {
                    "name": s.name,
                    "state": {"text": s.state, "tone": s.tone},
                    "pack": s.pack,
                    "started": s.started,
                    "people": s.people,
                    "decisions": s.decisions,
                },
            }
            for s in views.listed(rows, live)
        ],
        key="_sessions",
        caption="Sessions",
        on_open=_choose,
        empty="No sessions yet. Create the first one below.",
    )


def _choose(name: str) -> None:
    shell.set_focus(name)
    shell.refresh()


def _create() -> None:
    packs = {info.name: info for info in shipped()}
    switches = caps()
    st.header("Create a session", anchor=False)
    with st.form("_create"):
        left, right = st.columns(2, gap="large")
        with left:
            st.text_input("Name", placeholder="thursday", key="_new_name", max_chars=64)
            st.selectbox(
                "Pack",
                list(packs),
                format_func=lambda name: f"{packs[name].title}, {packs[name].minutes} min",
                key="_new_pack",
            )
            st.segmented_control(
                "Mode",
                ["practice", "exam"],
                default="practice",
                required=True,
                format_func={"practice": "Practice, with hints", "exam": "Exam, without hints"}.get,
                key="_new_mode",
            )
        with right:
            st.text_area(
                "Participants",
                placeholder="alex.kim@shop.example\nmorgan@shop.example:lead",
                help="One a line: an address, and a role after a colon unless it is an operator.",
                key="_new_people",
                height=122,
            )
            st.toggle(
                "Approvals from the desk",
                value=switches.modal_approvals,
                disabled=not switches.modal_approvals,
                key="_new_modal",
            )
            st.toggle(
                "AI suggestions",
                value=switches.ai_escalations,
                disabled=not switches.ai_escalations,
                key="_new_ai",
            )
        st.form_submit_button("Create and go live", type="primary", on_click=_created)
    shell.problem()


def _created() -> None:
    ss, room = st.session_state, shell.room()

    def create() -> None:
        name = ss["_new_name"].strip()
        if not name:
            raise CairnError("A session needs a name.", hint="Such as thursday.")
        if room.workspace.sessions.state(name):
            raise CairnError(
                f"Session {name} is there already.", hint="Choose another name, or open it above."
            )
        people = views.people(ss["_new_people"])
        if not people:
            raise CairnError("Nobody takes part.", hint="Write at least one address under Participants.")
        held, _ = begin(
            room.workspace,
            load_pack(ss["_new_pack"]),
            name,
            people,
            shell.me(),
            live=room.now(),
            mode=ss["_new_mode"],
            flags=Flags(modal_approvals=ss["_new_modal"], ai_escalations=ss["_new_ai"]),
        )
        measure(room.workspace, held, shell.me(), room.now(), remote=room.remote)
        shell.set_focus(name)
        shell.toast(f"Session {name} is live", "good")

    act(create, everything=True)


# One session.


def _one() -> None:
    workspace = shell.room().workspace
    held, state = workspace.sessions.get(shell.focus()), workspace.sessions.state(shell.focus())
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(plain(held.title), anchor=False)
        st.button("All sessions", type="tertiary", icon=":material/arrow_back:", on_click=_choose, args=("",))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        running = "closed" if state == "closed" else "live" if held.live else "scripted"
        st.badge(running, color={"live": "green", "closed": "gray"}.get(running, "blue"))
        st.badge(held.mode, color="violet" if held.mode == "exam" else "gray")
        st.text(f"{held.name} · pack {held.pack} {held.pack_version} · policy {held.policy_profile}")
    if not shell.allowed(Duty.FACILITATE):
        st.info("You see what the facilitator sees; running the session is up to leads, managers and admins.")
    st.segmented_control(
        "Part",
        [PREPARE, RUN, END],
        default=END if state == "closed" else RUN if workspace.sessions.turns(held.name) else PREPARE,
        required=True,
        key=f"_part_{held.name}",
        label_visibility="collapsed",
    )
    _live()


@shell.live
def _live() -> None:
    name = shell.focus()
    held = shell.room().workspace.sessions.get(name)
    shell.problem()
    chosen = st.session_state.get(f"_part_{name}", PREPARE)
    {PREPARE: _prepare, RUN: session_run.draw, END: session_end.draw}[chosen](held)


def _prepare(held: Session) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        _gates(held)
        _checklist(held)
    with right:
        _people(held)
        _flags(held)


def _gates(held: Session) -> None:
    room = shell.room()
    found = views.gates(held, room.workspace.sessions.probes(held.name), room.now())
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header("Go or no-go", anchor=False)
        st.button(
            "Measure again",
            icon=":material/refresh:",
            key="_measure",
            disabled=not running(held),
            on_click=_measured,
        )
    {"good": st.success, "bad": st.error, "warn": st.warning}[found.tone](found.headline)
    entries(
        [
            entry(
                gate.title,
                gate.title,
                tone=gate.tone,
                chip=gate.verdict,
                lines=(*gate.reasons, *(_probe(p) for p in gate.probes)),
                codes=(gate.require,),
            )
            for gate in found.gates
        ],
        key="_gates",
        label="Go or no-go",
        empty="This pack sets no gates.",
    )


def _probe(probe: views.Probe) -> str:
    return " · ".join(
        p
        for p in (
            f"{probe.name}: {probe.status}",
            probe.took,
            probe.detail,
            f"at {probe.at} UTC" if probe.at else "",
        )
        if p
    )


def _measured() -> None:
    room = shell.room()

    def again() -> None:
        held = room.workspace.sessions.get(shell.focus())
        records = measure(room.workspace, held, shell.me(), room.now(), remote=room.remote)
        shell.toast(f"{words.count(len(records), 'probe')} measured", "good")

    act(again)


def _checklist(held: Session) -> None:
    room = shell.room()
    tasks = views.tasks(held, room.workspace.sessions.ticked(held.name), room.now())
    if not tasks:
        return
    done = sum(task.done for task in tasks)
    st.header(f"Checklist, {done} of {len(tasks)} done", anchor=False)
    may = running(held)
    entries(
        [
            entry(
                task.id,
                task.text,
                tone="good" if task.done else "warn" if task.late else "plain",
                chip="late" if task.late else "",
                lines=(task.by or task.when,),
                act="Done" if may and not task.done else "",
            )
            for task in tasks
        ],
        key="_checklist",
        label="Checklist",
        on_act=_ticked,
    )


def _ticked(task: str) -> None:
    room = shell.room()
    act(lambda: room.workspace.sessions.tick(shell.focus(), task, shell.me(), room.now()))


def _people(held: Session) -> None:
    st.header(f"People, {len(held.participants)}", anchor=False)
    practice = not identity.provider(shell.room().settings)
    with st.container(border=True):
        for person in views.persons(held, _base(), practice=practice):
            left, right = st.columns([3, 2], vertical_alignment="center")
            left.text(f"{person.name} · {person.role}\n{person.email}")
            with right:
                copy_button(person.link, "Copy join link", key=f"_link_{person.email}")
    if held.roles:
        with st.container(border=True):
            record(
                [{"name": role.capitalize(), "text": who} for role, who in held.roles.items()],
                key="_roles",
                label="Who does what in the room",
            )


def _base() -> str:
    """Where browsers find the desk: as it was set up, else as this browser found it."""
    settings = shell.room().settings
    url = settings["CAIRNOPS_APP_URL"] or st.context.url or ""
    return url.partition("?")[0].removesuffix("/").removesuffix("/session")


def _flags(held: Session) -> None:
    st.header("Switched on", anchor=False)
    known = pack(held)
    given = Flags(**known.flags.model_dump()) if known else None
    entries(
        [
            entry(
                flag.title,
                flag.title,
                tone="good" if flag.on else "plain",
                chip="on" if flag.on else "off",
                lines=(flag.why,),
            )
            for flag in views.flags(held, caps(), given)
        ],
        key="_flags",
        label="Switched on",
    )
