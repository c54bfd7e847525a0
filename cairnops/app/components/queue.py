"""The queue: one row a conversation, its clock ticking in the browser."""

from collections.abc import Callable, Sequence

from cairnops.app.components.case import Clock
from cairnops.app.components.mount import hear, register

_QUEUE = register("queue_table")


class QueueRow(Clock):
    """A waiting conversation; texts are shown as they are."""

    id: str
    #: `P1` to `P3`, or empty.
    priority: str
    customer: str
    preview: str
    tags: list[str]
    #: Seconds the customer has waited at `now_ms`.
    waited_s: int
    #: Who works on it; empty when nobody does.
    claimed_by: str
    mine: bool
    status: str
    #: The last effect's delivery, in words.
    delivery: str


def queue_table(
    rows: Sequence[QueueRow],
    *,
    key: str,
    now_ms: int,
    on_open: Callable[[str], None],
    focus: tuple[str, int] | None = None,
    empty: str = "Nothing is waiting.",
    caption: str = "Waiting conversations",
    door: str = "",
) -> None:
    """Draw the rows in their order; `on_open` is told the id of the row that was clicked or entered.

    `now_ms` is the server's time in milliseconds since the epoch. `focus` is a row's id and a number that grows:
    with a new number the focus goes to that row, or to the one after it when it has left. Where an announcer opens
    things of the kind `door`, it is told in place of `on_open`.
    """
    _QUEUE(
        key=key,
        data={
            "rows": list(rows),
            "now_ms": now_ms,
            "focus": None if focus is None else list(focus),
            "empty": empty,
            "caption": caption,
            "door": door,
        },
        on_open_change=hear(key, "open", lambda sent: on_open(str(sent["id"]))),
    )
