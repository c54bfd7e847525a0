"""A session while it runs: figures, the live board, cues of a case, the feed, the agenda, and what is noted."""

from collections.abc import Sequence
from datetime import UTC

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import agenda_timer, stat_tiles
from cairnops.app.components.board import BoardRow, FeedItem, SeatData, board, feed
from cairnops.app.components.entries import entries, entry
from cairnops.app.pages.session_common import act, cases, operators, pack, picked, read, running
from cairnops.app.room import milliseconds
from cairnops.app.text import plain
from cairnops.app.views import board as views
from cairnops.app.views import session as session_views
from cairnops.app.views import words
from cairnops.app.views.board import Board, Case, Landed, Progress, Seat
from cairnops.app.views.debrief import debriefed
from cairnops.domain import duties
from cairnops.domain.conversations import Actor
from cairnops.domain.duties import Duty
from cairnops.domain.sessions import Session
from cairnops.errors import CairnError
from cairnops.scenarios import practice
from cairnops.scenarios.practice import Seeded
from cairnops.store.sessions import Noted
from cairnops.workspace import mint

_STEPS = {
    Progress.NOT_SEEDED: 0,
    Progress.SEEDED: 1,
    Progress.OPENED: 2,
    Progress.DECIDED: 3,
    Progress.FAILED: 3,
    Progress.DELIVERED: 4,
    Progress.DEBRIEFED: 5,
}
_EVERYBODY, _SOME, _SHARED = "Everybody", "Some", "One shared copy"
_KINDS = {
    "Decisions": ("decision", "refusal", "delivery"),
    "Guardrails": ("guardrail", "refusal"),
    "Notes": ("capture",),
    "Room": ("room",),
}
#: Older lines stay in the log and on the Decisions page.
_FEED = 200


def draw(held: Session) -> None:
    """Draw it."""
    found = views.board(cases(held), operators(held), read(held))
    stat_tiles(
        [
            {"label": label, "value": value, "hint": hint, "tone": tone}
            for label, value, hint, tone in found.tiles
        ],
        key="_tiles",
    )
    _board(held, found)
    _seat(held, found)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _feed(found.feed)
    with right:
        _agenda(held)
        _capture(held, found.cases)


# The board, and seeding.


def _board(held: Session, found: Board) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.header("Live board", anchor=False)
        if running(held):
            with st.popover("Seed a scenario"):
                _seed_form(held, found.cases)
    board(
        [(case.short, case.title) for case in found.cases],
        [_row(found.cases, operator, seats) for operator, seats in found.rows],
        key="_board",
        on_pick=_pick,
    )
    st.caption("Times are UTC. Press a case for its cues and its debrief.")


def _row(columns: Sequence[Case], operator: str, seats: Sequence[Seat]) -> BoardRow:
    name = words.person(operator) if operator else "Shared copy"
    return {
        "operator": operator,
        "name": name,
        "detail": operator or "everybody works on it",
        "seats": [_seat_data(name, case, seat) for case, seat in zip(columns, seats, strict=True)],
    }


def _seat_data(name: str, case: Case, seat: Seat) -> SeatData:
    return {
        "scenario": seat.scenario,
        "operator": seat.operator,
        "name": f"{name}, scenario {case.short}",
        "steps": _STEPS[seat.progress],
        "tone": seat.tone,
        "headline": seat.headline,
        "lines": list(seat.lines),
        "picked": picked() == (seat.scenario, seat.operator),
    }


def _pick(scenario: str, operator: str) -> None:
    seat = (scenario, operator)
    st.session_state["_seat"] = None if picked() == seat else seat
    shell.refresh("page")


def _seed_form(held: Session, columns: Sequence[Case]) -> None:
    names = {case.id: f"{case.short} · {case.title}" for case in columns}
    st.selectbox("Scenario", list(names), format_func=lambda i: names[i], key="_out_scenario")
    st.segmented_control("To", [_EVERYBODY, _SOME, _SHARED], default=_EVERYBODY, required=True, key="_out_to")
    if st.session_state.get("_out_to") == _SOME:
        may = [p.email for p in held.participants if duties.allowed(p.role, Duty.ACT)]
        st.multiselect("Operators", may, key="_out_people")
    st.button("Seed", type="primary", key="_out", on_click=_seeded)


def _seeded() -> None:
    ss, room = st.session_state, shell.room()

    def seed() -> None:
        held = room.workspace.sessions.get(shell.focus())
        known = pack(held)
        scenario = known.scenario(ss["_out_scenario"]) if known else None
        if scenario is None or room.client is None:
            raise CairnError("The help desk cannot be reached.", hint="See the banner on the Desk.")
        wanted = {
            _EVERYBODY: operators(held),
            _SOME: list(ss.get("_out_people") or ()),
            _SHARED: [],
        }[ss["_out_to"]]
        if not wanted and ss["_out_to"] != _SHARED:
            raise CairnError("Nobody was chosen.", hint="Choose at least one operator.")
        given = room.run(
            practice.seed(
                room.workspace,
                room.client,
                room.admin,
                held,
                scenario,
                operators=[p for p in held.participants if p.email in wanted],
                at=room.now(),
                actor=shell.me(),
            )
        )
        who = words.count(len(given), "operator") if wanted else "everybody, as one shared copy"
        shell.toast(f"{scenario.title} seeded to {who}", "good")

    act(seed)


# One case: its cues and its debrief.


def _seat(held: Session, found: Board) -> None:
    seat = next((s for _, row in found.rows for s in row if (s.scenario, s.operator) == picked()), None)
    workspace = shell.room().workspace
    given = next((g for g in practice.seeded(workspace, held.name) if seat and _is(g, seat)), None)
    if seat is None or given is None:
        return
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            who = words.person(seat.operator) if seat.operator else "Shared copy"
            st.subheader(plain(f"{who}: {given.letter} {given.title}".replace("  ", " ")), anchor=False)
            st.button(
                "Close", key="_seat_close", type="tertiary", icon=":material/close:", on_click=_pick,
                args=(seat.scenario, seat.operator),
            )  # fmt: skip
        st.text(f"Conversation {given.conversation}, begun {words.clock(given.at)} UTC")
        left, right = st.columns(2, gap="large")
        with left:
            _cues(held, given)
        with right:
            _debrief(held, seat, given)


def _is(given: Seeded, seat: Seat) -> bool:
    return (given.scenario, given.operator) == (seat.scenario, seat.operator)


_CUES = {"say": "Read aloud", "customer": "The customer writes", "wait": "Wait"}
_ACTS = {"say": "Read", "customer": "Play", "wait": "Over"}


def _cues(held: Session, given: Seeded) -> None:
    found = practice.cues(shell.room().workspace, held.name, given)
    may = running(held)
    entries(
        [
            entry(
                str(cue.place),
                cue.text,
                tone="good" if cue.played_at else "note" if cue.kind == "customer" else "plain",
                chip=_CUES[cue.kind],
                meta=words.clock(cue.played_at)
                if cue.played_at
                else f"+{words.span(cue.after.total_seconds())}",
                act="" if cue.played_at or not may else _ACTS[cue.kind],
            )
            for cue in found
        ],
        key=f"_cues_{given.conversation}",
        label="Cues",
        on_act=_played,
        empty="This scenario has no cues.",
    )


def _picked_seeded() -> Seeded:
    """The case that was pressed on the board.

    Raises:
        CairnError: when none is any more.
    """
    for given in practice.seeded(shell.room().workspace, shell.focus()):
        if (given.scenario, given.operator) == picked():
            return given
    raise CairnError("No case is chosen.", hint="Press one on the board.")


def _played(place: str) -> None:
    room = shell.room()

    def play() -> None:
        if room.client is None:
            raise CairnError("The help desk cannot be reached.", hint="See the banner on the Desk.")
        room.run(
            practice.play_cue(
                room.workspace, room.client, room.admin, shell.focus(), _picked_seeded(), int(place),
                at=room.now(), actor=shell.me(),
            )
        )  # fmt: skip

    act(play)


def _debrief(held: Session, seat: Seat, given: Seeded) -> None:
    workspace = shell.room().workspace
    who = seat.operator
    if not who:
        who = st.selectbox("Whose debrief", operators(held), key="_debrief_who")
    kept = practice.debrief(workspace, held.name, given, Actor(email=who)) if who else None
    if who and running(held):
        st.button(
            "Judge again" if kept else "Finish and debrief",
            key="_finish",
            icon=":material/fact_check:",
            on_click=_finished,
            args=(who,),
        )
    if kept is None:
        st.text("Not finished yet. The operator finishes it on the desk, or you do it here.")
        return
    view = debriefed(kept)
    entries(
        [
            entry("_result", view.headline, tone=view.tone),
            *(
                entry(str(place), line.title, tone=line.tone, chip=line.state, lines=(line.found,))
                for place, line in enumerate(view.lines)
                if line.state == "missed"
            ),
        ],
        key="_kept",
        label="Result",
    )
    st.button("Open the debrief", key="_debrief_open", on_click=_opened, args=(given.conversation, who))


def _opened(conversation: str, who: str) -> None:
    shell.show("debrief", conversation=conversation, operator=who)
    shell.refresh("overlay")


def _finished(who: str) -> None:
    act(lambda: finish(shell.focus(), _picked_seeded(), who))


def finish(session: str, given: Seeded, who: str) -> None:
    """Judge one operator's case.

    Raises:
        CairnError: when it cannot be judged now, with what to do.
    """
    room = shell.room()
    held = room.workspace.sessions.get(session)
    operator = next((p for p in held.participants if p.email == who), Actor(email=who))
    if room.client is None:
        raise CairnError("The help desk cannot be reached.", hint="See the banner on the Desk.")
    room.run(practice.finish(room.workspace, room.client, held, given, operator, at=room.now()))


# What landed.


def _feed(landed: Sequence[Landed]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header("What landed", anchor=False)
        st.pills("Show", list(_KINDS), key="_feed_kinds", label_visibility="collapsed", on_change=_narrowed)
    kinds = _KINDS.get(st.session_state.get("_feed_kinds") or "")
    chosen = [(place, line) for place, line in _numbered(landed) if kinds is None or line.kind in kinds]
    feed([_item(place, line) for place, line in chosen[:_FEED]], key="_feed")


def _numbered(landed: Sequence[Landed]) -> list[tuple[int, Landed]]:
    """Each line with its place from the beginning, which it keeps however many come after it."""
    return [(len(landed) - place, line) for place, line in enumerate(landed)]


def _item(place: int, line: Landed) -> FeedItem:
    return {
        "key": str(place),
        "at_ms": milliseconds(line.at),
        "name": words.person(line.who),
        "who": line.who,
        "tone": line.tone,
        "text": line.text,
        "detail": line.detail,
        "codes": list(line.codes),
        "case": line.case,
    }


def _narrowed() -> None:
    shell.refresh("page")


# The agenda.


def _agenda(held: Session) -> None:
    if not held.agenda:
        return
    room = shell.room()
    turns = room.workspace.sessions.turns(held.name)
    now = room.now()
    found = session_views.agenda(held, turns, now, {})
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header("Agenda", anchor=False)
        if found.pace:
            st.badge(found.pace, color="orange" if found.tone == "warn" else "green")
    agenda_timer(
        [{"title": part.title, "minutes": part.minutes} for part in found.parts],
        started_ms=milliseconds(turns[-1].at) if turns and not found.over else None,
        index=found.index or 0,
        now_ms=milliseconds(now),
        key="_agenda",
    )
    if running(held):
        with st.container(horizontal=True):
            st.button(
                "Back",
                key="_agenda_back",
                icon=":material/skip_previous:",
                disabled=found.before is None,
                on_click=_turned,
                args=(found.before,),
            )
            label = (
                "Begin" if found.index is None else "End" if found.following == len(found.parts) else "Next"
            )
            st.button(
                label,
                key="_agenda_next",
                icon=":material/skip_next:",
                type="primary" if found.index is None else "secondary",
                disabled=found.following is None,
                on_click=_turned,
                args=(found.following,),
            )


def _turned(part: int) -> None:
    # The part was named when the button was drawn, so two who press Next at once go on by one.
    room = shell.room()
    act(lambda: room.workspace.sessions.turn(shell.focus(), part, shell.me(), room.now()))


# What is written down by hand.


def _capture(held: Session, columns: Sequence[Case]) -> None:
    ss, room = st.session_state, shell.room()
    letters = {case.id: case.short for case in columns}
    st.header("Capture", anchor=False)
    if running(held):
        ss.setdefault("_note_key", mint())
        epoch = ss["_note_key"]
        with st.form(f"_note_{epoch}"):
            st.segmented_control(
                "Kind",
                session_views.CAPTURES,
                default=session_views.CAPTURES[0],
                required=True,
                format_func=str.capitalize,
                key=f"_note_kind_{epoch}",
                label_visibility="collapsed",
            )
            st.text_area("What was asked or seen", key=f"_note_text_{epoch}", height=90)
            st.selectbox(
                "About",
                ["", *letters],
                format_func=lambda i: letters.get(i, "the room"),
                key=f"_note_case_{epoch}",
            )
            owner, due = st.columns(2)
            owner.text_input("Owner", key=f"_note_owner_{epoch}", placeholder="who answers")
            due.datetime_input("Due (UTC)", value=None, key=f"_note_due_{epoch}")
            st.form_submit_button("Note it", on_click=_noted, args=(epoch,))
    entries(
        [
            entry(
                str(place),
                note.text,
                tone="warn" if note.open else "info" if note.kind == "question" else "plain",
                chip=note.kind,
                meta=words.clock(note.at),
                lines=(
                    " · ".join(
                        part
                        for part in (
                            words.person(note.who),
                            f"scenario {note.scenario}" if note.scenario else "",
                            f"owner {note.owner}" if note.owner else "no owner yet" if note.open else "",
                            f"due {note.due}" if note.due else "",
                        )
                        if part
                    ),
                ),
            )
            for place, note in enumerate(
                session_views.notes(room.workspace.sessions.notes(held.name), letters, room.now())
            )
        ],
        key="_notes",
        label="Noted so far",
        empty="Nothing noted yet.",
    )


def _noted(epoch: str) -> None:
    ss, room = st.session_state, shell.room()

    def note() -> None:
        text = ss[f"_note_text_{epoch}"].strip()
        if not text:
            raise CairnError("There is nothing to note.", hint="Write what was asked or seen.")
        due = ss[f"_note_due_{epoch}"]
        owner = ss[f"_note_owner_{epoch}"].strip()
        if due and not owner:
            raise CairnError("A due time needs an owner.", hint="Write who answers.")
        room.workspace.sessions.note(
            Noted(
                key=f"note/{epoch}",
                session=shell.focus(),
                scenario=ss[f"_note_case_{epoch}"] or "",
                participant=shell.me(),
                conversation="",
                outcome=ss[f"_note_kind_{epoch}"],
                note=text,
                at=room.now(),
                owner=owner,
                due=due.replace(tzinfo=UTC) if due else None,
            )
        )
        # The form is drawn afresh under another key: emptied from here, the browser would keep the words.
        ss["_note_key"] = mint()
        shell.toast("Noted in the worksheet", "good")

    act(note)
