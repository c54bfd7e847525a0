"""What every page shares in one browser: who is there, the dialog, the toasts, and which part is drawn again."""

import contextlib
import functools
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator_singletons import get_dg_singleton_instance
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
_OPENERS: dict[str, Callable[[str], None]] = {}


def room() -> Room:
    """What all browsers of this server share."""
    return rooms.current()


def begin(person: Actor, on_news: Callable[[str], None] | None = None) -> None:
    """The start of every full run: who is there, what hears of news, and that nothing is on the page yet."""
    st.session_state["_me"] = person
    st.session_state["_on_news"] = on_news
    st.session_state["_present"] = set()
    st.session_state["_wanted"] = set()
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


@contextlib.contextmanager
def modal(
    title: str, *, width: Literal["small", "large"] = "small", on_dismiss: Callable[[], None] | None = None
) -> Iterator[None]:
    """What is drawn inside stands in a dialog.

    It is the dialog of `st.dialog` without the fragment that one puts into it: what is pressed in it belongs to the
    overlay, so that one run does what was asked and draws what came of it.
    """
    box = get_dg_singleton_instance().event_dg._dialog(
        title=title, width=width, on_dismiss=on_dismiss or dismiss
    )
    box.open()
    with box:
        yield


def opener(kind: str) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """Register what opens one kind of thing, wherever in the page it is pressed (`cairnops-open` in the browser)."""

    def register(opens: Callable[[str], None]) -> Callable[[str], None]:
        _OPENERS[kind] = opens
        return opens

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
    """Take the dialog down; the last line of a callback. The page follows as soon as that is seen."""
    dismiss()
    if not _everything_follows():
        st.session_state["_due"] = st.session_state.get("_due", 0) + 1
    refresh("overlay")


@st.fragment(key="toasts")
def toasts() -> None:
    """What is said in passing."""
    present("toasts")
    said = st.session_state.get("_toasts", [])
    st.session_state["_heard"] = said[-1]["seq"] if said else 0
    components.toasts(said)


def unheard() -> bool:
    """Whether something was said in passing since the toasts were drawn."""
    said = st.session_state.get("_toasts", [])
    return bool(said) and said[-1]["seq"] > st.session_state.get("_heard", 0)


@st.fragment(key="overlay")
def overlay() -> None:
    """What stands over the page: toasts, the dialog, what is said to screen readers.

    Drawn before the page: somebody waits for it, and pages take their time.
    """
    present("overlay")
    toasts()
    if up := shown():
        kind, args = up
        _DIALOGS[kind](**args)
    else:
        # The one before stands until something else is drawn in its place.
        get_dg_singleton_instance().event_dg.empty()
    text, number = st.session_state.get("_said", ("", 0))
    components.announcer(
        text, number, due=st.session_state.get("_due", 0), opens=sorted(_OPENERS), on_open=_opened
    )


def _opened(kind: str, what: str) -> None:
    if kind in _OPENERS:
        _OPENERS[kind](what)


# What is drawn again.


def present(key: str) -> None:
    """Note that a keyed fragment is on the page; asking for one that is not is an error of Streamlit's."""
    st.session_state["_present"].add(key)
    st.session_state["_wanted"].discard(key)


def live(draw: Callable[[], None]) -> Callable[[], None]:
    """A page's part that is drawn again whenever something was committed anywhere."""

    @st.fragment(key="page")
    @functools.wraps(draw)
    def drawn() -> None:
        present("page")
        if heard := st.session_state["_on_news"]:
            components.news(room().version, heard)
        draw()

    return drawn


def refresh(*keys: str) -> None:
    """Draw these parts again (`page`, `overlay`); the last line of a callback. Without keys, everything.

    What the run that has called the callback draws anyway is not asked for: each run costs the browser a redraw.
    """
    if _everything_follows():
        return
    # What cut off a page that was being drawn must not leave it half drawn.
    if not keys or not st.session_state.get("_whole"):
        st.session_state["_whole"] = False
        st.rerun()
    # One press may call several callbacks, and the last who asks decides for all.
    wanted = st.session_state["_wanted"]
    wanted |= st.session_state["_present"].intersection(keys)
    if not wanted <= _follow():
        st.rerun(sorted(wanted))


def _follow() -> set[str]:
    """The parts that are drawn after this callback without being asked for."""
    context = get_script_run_ctx()
    if context is None or not context.fragment_ids_this_run:
        return set()
    kept, run = context.fragment_storage, context.fragment_ids_this_run
    return {
        key
        for key in st.session_state["_present"]
        if all(one in run or kept.has_ancestor_in(one, run) for one in kept.resolve_target(key))
    }


def _everything_follows() -> bool:
    """In a callback: whether the whole page is drawn after it."""
    context = get_script_run_ctx()
    return context is not None and not context.fragment_ids_this_run


def whole_page_follows() -> bool:
    """In a callback: whether everything is drawn after it anyway, and asking for parts would take the rest away.

    So it is when a page is being turned: what was sent from the one before comes under that one's name.
    """
    context = get_script_run_ctx()
    if context is None:
        return False
    return _everything_follows() or context.page_script_hash != st.session_state.get("_turned_to")


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
