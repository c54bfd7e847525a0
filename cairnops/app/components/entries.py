"""A list of things, each with how it stands, what there is to say about it, and at most one thing to do."""

from collections.abc import Callable, Sequence
from typing import Any

from cairnops.app.components.mount import hear, register

_ENTRIES = register("entries")


def entry(
    key: str,
    title: str,
    *,
    tone: str = "plain",
    chip: str = "",
    meta: str = "",
    lines: Sequence[str] = (),
    pair: Sequence[tuple[str, str]] = (),
    codes: Sequence[str] = (),
    act: str = "",
) -> dict[str, Any]:
    """One entry; texts are shown as they are. `pair` are terms with what is said of them, `act` labels a button."""
    return {
        "key": key,
        "title": title,
        "tone": tone,
        "chip": chip,
        "meta": meta,
        "lines": [line for line in lines if line],
        "pair": [list(p) for p in pair],
        "codes": list(codes),
        "act": act,
    }


def entries(
    items: Sequence[dict[str, Any]],
    *,
    key: str,
    label: str,
    heading: bool = False,
    on_act: Callable[[str], None] = lambda _: None,
    empty: str = "Nothing here yet.",
) -> None:
    """Draw the entries in their order under `label`, which is shown with `heading`.

    `on_act` hears the key of the entry whose button was pressed.
    """
    _ENTRIES(
        key=key,
        data={"items": list(items), "label": label, "heading": heading, "empty": empty},
        on_act_change=hear(key, "act", lambda sent: on_act(str(sent["key"]))),
    )
