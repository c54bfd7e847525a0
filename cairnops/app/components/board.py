"""The live board of a session, and the feed of what landed in it."""

from collections.abc import Callable, Sequence
from typing import TypedDict

from cairnops.app.components.mount import hear, register

_BOARD = register("board")
_FEED = register("feed")


class SeatData(TypedDict):
    """One operator at one scenario."""

    scenario: str
    #: Empty for the copy everybody shares.
    operator: str
    #: How a screen reader names it (`Alex Kim, scenario A`).
    name: str
    #: How many of the five steps are behind it; 0 draws no button.
    steps: int
    #: `good`, `warn`, `bad`, `info`, `note` or `plain`.
    tone: str
    headline: str
    lines: list[str]
    picked: bool


class BoardRow(TypedDict):
    """An operator and their seats, one for each column."""

    operator: str
    name: str
    detail: str
    seats: list[SeatData]


class FeedItem(TypedDict):
    """Something that landed; texts are shown as they are."""

    #: Names the item for as long as the page is open.
    key: str
    at_ms: int
    name: str
    who: str
    tone: str
    text: str
    detail: str
    codes: list[str]
    case: str


def board(
    columns: Sequence[tuple[str, str]],
    rows: Sequence[BoardRow],
    *,
    key: str,
    on_pick: Callable[[str, str], None],
    label: str = "Live board",
    empty: str = "Nobody takes part yet.",
) -> None:
    """Draw the board; `columns` are (letter, title), `on_pick` hears (scenario, operator) of the seat pressed."""
    _BOARD(
        key=key,
        data={
            "columns": [{"short": short, "title": title} for short, title in columns],
            "rows": list(rows),
            "label": label,
            "empty": empty,
        },
        on_pick_change=hear(key, "pick", lambda sent: on_pick(str(sent["scenario"]), str(sent["operator"]))),
    )


def feed(
    items: Sequence[FeedItem], *, key: str, label: str = "What landed", empty: str = "Nothing has landed yet."
) -> None:
    """Draw the items in their order; one that was not there before lights up for a moment."""
    _FEED(key=key, data={"items": list(items), "label": label, "empty": empty})
