"""What a case is made of on the screen: its header, its messages, the reply being written, the guardrails."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NotRequired, TypedDict

import streamlit as st

from cairnops.app.components.mount import hear, register

_HEADER = register("case_header")
_THREAD = register("thread")
_EDITOR = register("editor")
_BANNERS = register("banners")

Tone = Literal["plain", "good", "warn", "bad", "info", "note"]


class Flag(TypedDict):
    """A switch or a mark worth seeing beside the case."""

    label: str
    tone: NotRequired[Tone]


class OrderFacts(TypedDict):
    """The order a case is about; `total` is printed money, `cues` are short sentences."""

    number: str
    total: str
    cues: list[str]


class Clock(TypedDict):
    """A case's SLA: milliseconds since the epoch, and both clocks in words."""

    #: None when no clock is running.
    due_ms: int | None
    breached: bool
    breached_at_ms: int | None
    #: The clock in force, for the tooltip.
    clock: str
    other_clock: str


class Header(Clock):
    """The head of a case."""

    #: Empty where a title above already says the name.
    customer: str
    conversation: str
    status: str
    #: `P1` to `P3`, or empty.
    priority: str
    tags: list[str]
    flags: list[Flag]
    order: OrderFacts | None


class Bubble(TypedDict):
    """One message; `time` is printed, `title` (the full date) and `state` (its delivery) may be left out."""

    id: str
    author: str
    kind: Literal["customer", "agent", "note", "system"]
    text: str
    time: str
    title: NotRequired[str]
    state: NotRequired[str]


class Stretch(TypedDict):
    """A part of a difference."""

    kind: Literal["kept", "added", "removed"]
    text: str


class Banner(TypedDict):
    """One guardrail that speaks."""

    code: str
    severity: Literal["block", "warn", "info"]
    sentence: str
    threshold: NotRequired[str]
    way_out: NotRequired[str]
    #: Shown when it is opened.
    explanation: NotRequired[str]
    overridden: NotRequired[bool]


def case_header(data: Header, *, now_ms: int, key: str) -> None:
    """Who, what, how urgent, about which order; the SLA clock ticks from `now_ms`, the server's time."""
    _HEADER(key=key, data={**data, "now_ms": now_ms})


def thread(
    messages: Sequence[Bubble],
    *,
    key: str,
    label: str = "Conversation history",
    heading: bool = False,
    empty: str = "No recent messages available.",
    height: int = 380,
) -> None:
    """The messages as bubbles, oldest first, scrolled to the newest; at most `height` pixels high.

    `label` names them for screen readers and, with `heading`, above them.
    """
    _THREAD(
        key=key,
        data={
            "messages": list(messages),
            "label": label,
            "heading": heading,
            "empty": empty,
            "height": height,
        },
    )


def editor(
    text: str,
    *,
    key: str,
    label: str,
    epoch: int | str = 0,
    diff: Sequence[Stretch] | None = None,
    placeholder: str = "",
    disabled: bool = False,
    on_change: Callable[[str], None] | None = None,
    max_chars: int = 0,
    rows: int = 4,
    mono: bool = False,
    heading: str = "",
    before: str = "",
    after: str = "",
) -> str:
    """A field for a longer text; the newest text that reached the server, at first `text`.

    What is typed belongs to the browser and outlives every rerun; only another `epoch` puts `text` in its
    place. It is sent a quarter of a second after the last key, and at once before whatever leaves the field:
    a click elsewhere, Escape, Ctrl/Cmd+Enter. `on_change` is told the newest text; a press that leaves the field
    comes with the same run, perhaps before it, so what acts on the press reads `editor_text`. `diff` is drawn below as
    long as it has a change; `max_chars` (0: none) is counted in code points and warns, it does not cut. `heading`
    and `before` stand above the field and `after` below it, as text.
    """
    now = editor_text(key, epoch, text)
    _EDITOR(
        key=key,
        data={
            "text": now,
            "label": label,
            "epoch": epoch,
            "diff": None if diff is None else list(diff),
            "placeholder": placeholder,
            "disabled": disabled,
            "max_chars": max_chars,
            "rows": rows,
            "mono": mono,
            "heading": heading,
            "before": before,
            "after": after,
        },
        # Not `value`: Streamlit unpacks a state of that one name when it compares, and then calls nobody.
        on_typed_change=hear(key, "typed", lambda sent: _tell(sent, epoch, on_change)),
    )
    return now


def editor_text(key: str, epoch: int | str, text: str) -> str:
    """What the editor `key` holds in this `epoch` as far as the server knows; `text` when nothing was typed."""
    sent = (st.session_state.get(key) or {}).get("typed")
    return str(sent["text"]) if sent and sent["epoch"] == epoch else text


def _tell(sent: dict[str, Any], epoch: int | str, on_change: Callable[[str], None] | None) -> None:
    # A text of an earlier epoch arrives late: whoever raised the epoch has dealt with it.
    if on_change is not None and sent["epoch"] == epoch:
        on_change(str(sent["text"]))


def banners(
    shown: Sequence[Banner], *, key: str, label: str = "Guardrails", known: Sequence[str] | None = None
) -> None:
    """The guardrails that speak; a block that appears while somebody works is announced at once.

    One whose code is in `known` was there before; without `known`, so were those drawn first.
    """
    _BANNERS(
        key=key,
        data={"banners": list(shown), "label": label, "known": None if known is None else list(known)},
    )
