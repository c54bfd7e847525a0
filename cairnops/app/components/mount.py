"""How a component's script and style get from the package into the page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_WEB = Path(__file__).parent / "web"


def register(name: str, css: str = "") -> Callable[..., Any]:
    """The mounting function of the component whose `name.js` lies in `web/`.

    Not isolated in a shadow root: there the focus of a dialog could neither be kept in nor given back. Every
    class name therefore starts with `co-`. Nor does it bring its own style: a dialog of nine components would
    bring nine, each a reason to lay out the page anew. The page has one for all, `styles()`.
    """
    return st.components.v2.component(
        f"cairnops.{name}", css=css or None, js=_read("common.js") + _read(f"{name}.js"), isolate_styles=False
    )


def styles() -> str:
    """The style of every component, what they share first."""
    files = sorted(_WEB.glob("*.css"), key=lambda path: (path.stem != "common", path.stem))
    return "".join(_read(path.name) for path in files)


def _read(file: str) -> str:
    return (_WEB / file).read_text(encoding="utf-8")


def hear(key: str, event: str, tell: Callable[[Any], None]) -> Callable[[], None]:
    """A callback that tells what the component `key` sent with `event`; silent when it sent nothing."""

    def callback() -> None:
        # A page that was turned meanwhile has forgotten the component.
        sent = st.session_state.get(key, {}).get(event)
        if sent is not None:
            tell(sent)

    return callback
