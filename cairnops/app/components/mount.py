"""How a component's script and style get from the package into the page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_WEB = Path(__file__).parent / "web"


def register(name: str) -> Callable[..., Any]:
    """The mounting function of the component whose `name.js` and `name.css` lie in `web/`.

    Not isolated in a shadow root: there the focus of a dialog could neither be kept in nor given back. Every
    class name therefore starts with `co-`.
    """

    def read(file: str) -> str:
        path = _WEB / file
        return path.read_text(encoding="utf-8") if path.exists() else ""

    return st.components.v2.component(
        f"cairnops.{name}",
        css=read("common.css") + read(f"{name}.css"),
        js=read("common.js") + read(f"{name}.js"),
        isolate_styles=False,
    )


def hear(key: str, event: str, tell: Callable[[Any], None]) -> Callable[[], None]:
    """A callback that tells what the component `key` sent with `event`; silent when it sent nothing."""

    def callback() -> None:
        # A page that was turned meanwhile has forgotten the component.
        sent = st.session_state.get(key, {}).get(event)
        if sent is not None:
            tell(sent)

    return callback
