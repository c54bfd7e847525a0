"""Figures and lists: tiles, a table that sorts, the agenda with its timer, a button that copies."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from cairnops.app.components.case import Tone
from cairnops.app.components.mount import hear, register

_COPY = register("copy_button")
_TABLE = register("data_table")
_TILES = register("stat_tiles")
_AGENDA = register("agenda_timer")


class Column(TypedDict):
    """A column; `key` names its cell in each row."""

    key: str
    label: str
    align: NotRequired[Literal["left", "right"]]
    #: In a typewriter face, for codes and ids.
    mono: NotRequired[bool]


class Cell(TypedDict):
    """A cell with more than its text: a tone makes it a badge, `title` says more, `sort` is its order."""

    text: str | int | float
    tone: NotRequired[Tone | Literal[""]]
    title: NotRequired[str]
    sort: NotRequired[str | int | float]


class Row(TypedDict):
    """A row; `id` is unique in its table."""

    id: str
    cells: Mapping[str, str | int | float | Cell | None]


class Tile(TypedDict):
    """A figure; `value` is printed."""

    label: str
    value: str
    hint: NotRequired[str]
    tone: NotRequired[Tone | Literal[""]]


class Part(TypedDict):
    """A part of an agenda."""

    title: str
    minutes: int


def copy_button(text: str, label: str, *, key: str) -> None:
    """A button that puts `text` on the clipboard and says so."""
    _COPY(key=key, data={"text": text, "label": label})


def data_table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    key: str,
    caption: str,
    show_caption: bool = False,
    on_open: Callable[[str], None] | None = None,
    sort: bool = True,
    empty: str = "Nothing to show.",
) -> None:
    """Draw the rows in their order; with `sort`, a heading sorts them in the browser: up, down, as given.

    `on_open` is told the id of the row that was clicked or entered; without it rows do not open. `caption` names
    the table for screen readers and, with `show_caption`, on the page.
    """
    _TABLE(
        key=key,
        data={
            "columns": list(columns),
            "rows": [{"id": row["id"], "cells": dict(row["cells"])} for row in rows],
            "caption": caption,
            "show_caption": show_caption,
            "opens": on_open is not None,
            "sort": sort,
            "empty": empty,
        },
        on_open_change=hear(key, "open", lambda sent: on_open(str(sent["id"])) if on_open else None),
    )


def stat_tiles(items: Sequence[Tile], *, key: str) -> None:
    """Figures side by side; labels are unique."""
    _TILES(key=key, data={"items": list(items)})


def agenda_timer(parts: Sequence[Part], *, started_ms: int | None, index: int, now_ms: int, key: str) -> None:
    """The agenda with part `index` running since `started_ms` (None: it waits); `len(parts)` means it is over."""
    _AGENDA(key=key, data={"parts": list(parts), "started_ms": started_ms, "index": index, "now_ms": now_ms})
