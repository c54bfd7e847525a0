"""What every page shares in one browser: who is there, the dialog, the toasts, and which part is drawn again."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Literal

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cairnops.app import components
from cairnops.app import room as rooms
from cairnops.app.room import Room
from cairnops.app.text import line, plain
from cairnops.domain import duties
from cairnops.domain.conversations import Actor
from cairnops.domain.duties import Duty
from cairnops.errors import CairnError

_TOASTS_KEPT = 20

_DIALOGS: dict[str, Callable[..., None]] = {}


def room() -> Room:
    """What all browsers of this server share."""
    return rooms.current()


def begin(person: Actor) -> None:
    """The start of every full run: who is there, and that nothing is on the page yet."""
    st.session_state["_me"] = person
    st.session_state["_present"] = set()
    st.session_state["_whole"] = False
    st.session_state.setdefault("_tab", secrets.token_hex(16))


def end() -> None:
    """The end of every full run: the page is drawn as a whole."""
    st.session_state["_whole"] = True
    context = get_script_run_ctx()
    st.session_state["_turned_to"] = context.page_script_hash if context else ""


def me() -> Actor:
    """The person at this browser."""
    person: Actor = st.session_state["_me"]
    return person


def tab() -> str:
    """This browser tab; a secret, since whoever knows it keeps its claims alive."""
    return str(st.session_state["_tab"])


def param(name: str) -> str:
    """A value kept in the address, so that a reload and a link keep it.

    Turning to another page empties the address; what stood there is put back.
    """
    given = st.query_params.get(name)
    if given is None:
        given = st.session_state.get(f"_param_{name}", "")
        if given:
            st.query_params[name] = given
    # Whoever made a link wrote this; no name of ours has such characters, and no database takes a NUL.
    given = "".join(c for c in given if c.isprintable())
    st.session_state[f"_param_{name}"] = given
    return given


def set_param(name: str, value: str) -> None:
    """Keep a value in the address; an empty one is taken out."""
    st.session_state[f"_param_{name}"] = value
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def focus() -> str:
    """The session people work in here; empty when they work on whatever waits."""
    return param("session")


def set_focus(name: str) -> None:
    """Work in another session."""
    set_param("session", name)


def allowed(duty: Duty) -> bool:
    """Whether the person's role has that duty. The desk and the sessions ask again; this only draws less."""
    return duties.allowed(me().role, duty)


# Toasts, announcements, and the one dialog.


def toast(text: str, tone: Literal["good", "bad", "warn", "info"] = "info") -> None:
    """Say something in passing."""
    shown = st.session_state.setdefault("_toasts", [])
    number = shown[-1]["seq"] + 1 if shown else 1
    shown.append({"seq": number, "text": line(text), "tone": tone})
    # What is older has been seen; a browser that lost its line for long need not hear it all.
    del shown[:-_TOASTS_KEPT]


def announce(text: str) -> None:
    """Say something to screen readers only."""
    st.session_state["_said"] = (text, st.session_state.get("_said", ("", 0))[1] + 1)


def dialog(kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the function that draws the dialogs of one kind."""

    def register(draw: Callable[..., None]) -> Callable[..., None]:
        _DIALOGS[kind] = draw
        return draw

    return register


def show(kind: str, **args: Any) -> None:
    """Put a dialog up; the overlay draws it until it is dismissed."""
    st.session_state["_modal"] = (kind, args)


def shown() -> tuple[str, dict[str, Any]] | None:
    """The dialog that is up, and what it was shown with."""
    return st.session_state.get("_modal")


def dismiss() -> None:
    """Forget the dialog; the browser has closed it already (Escape, the cross, a click beside it)."""
    st.session_state.pop("_modal", None)


def close() -> None:
    """Take the dialog down; the last line of a callback.

    Everything is drawn again: a keyed fragment that merely draws no dialog leaves the one before standing.
    """
    dismiss()
    refresh()


@st.fragment(key="toasts")
def toasts() -> None:
    """What is said in passing. Drawn first: somebody waits for it, and pages take their time."""
    present("toasts")
    components.toasts(st.session_state.get("_toasts", []))


@st.fragment(key="overlay")
def overlay() -> None:
    """The dialog, and what is said to screen readers."""
    present("overlay")
    if up := shown():
        kind, args = up
        _DIALOGS[kind](**args)
    text, number = st.session_state.get("_said", ("", 0))
    components.announcer(text, number)


# What is drawn again.


def present(key: str) -> None:
    """Note that a keyed fragment is on the page; asking for one that is not is an error of Streamlit's."""
    st.session_state["_present"].add(key)


def live(draw: Callable[[], None]) -> Callable[[], None]:
    """A page's part that is drawn again whenever something was committed anywhere."""
    fragment = st.fragment(key="page")(draw)

    def drawn() -> None:
        present("page")
        fragment()

    return drawn


def refresh(*keys: str) -> None:
    """Draw these parts again (`page`, `overlay`); the last line of a callback. Without keys, everything."""
    if "overlay" in keys:
        keys = ("toasts", *keys)
    there = [key for key in dict.fromkeys(keys) if key in st.session_state["_present"]]
    # What cut off a page that was being drawn must not leave it half drawn.
    if not keys or not st.session_state.get("_whole"):
        st.session_state["_whole"] = False
        st.rerun()
    if there:
        st.rerun(there)


def whole_page_follows() -> bool:
    """In a callback: whether everything is drawn after it anyway, and asking for parts would take the rest away.

    So it is when a page is being turned: what was sent from the one before comes under that one's name.
    """
    context = get_script_run_ctx()
    if context is None:
        return False
    return not context.fragment_ids_this_run or context.page_script_hash != st.session_state.get("_turned_to")


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Turn what can go wrong into a toast and a line where it happened; see `problem`."""
    st.session_state.pop("_problem", None)
    try:
        yield
    except CairnError as error:
        st.session_state["_problem"] = (str(error), error.hint)
        toast(str(error), "bad")


def problem() -> None:
    """Draw what went wrong in the last guarded callback, where the person is looking."""
    if found := st.session_state.get("_problem"):
        sentence, hint = found
        st.error(plain(f"{sentence} {hint}".strip(), 500), icon=":material/error:")


def clear_problem() -> None:
    """Forget what went wrong."""
    st.session_state.pop("_problem", None)
