"""How data becomes what a person reads: tables on stdout that fit 80 columns, or JSON as it is."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

_MARKS = {"ok": ("✓", "green"), "bad": ("✗", "red"), "warn": ("!", "yellow"), "none": ("·", "dim")}


def emit(data: Any, as_json: bool, show: Callable[[], None]) -> None:
    """JSON on stdout when asked for, else whatever `show` prints."""
    if as_json:
        from cairnops.codec import dumps

        print(dumps(data))
    else:
        show()


def safe(text: object) -> str:
    """Text from outside without what a terminal would obey: control characters become visible."""
    return "".join(
        c if c in "\n\t" or (c.isprintable() and c not in _BIDI) else f"\\x{ord(c):02x}" for c in str(text)
    )


#: Characters that reorder what is around them.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", wrap: Sequence[str] = ()
) -> None:
    """Print a table; the columns named in `wrap` give way when the terminal is narrow."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, expand=False)
    for name in columns:
        grid.add_column(name, overflow="fold", no_wrap=name not in wrap and bool(wrap))
    for row in rows:
        cells = []
        for value in row:
            if isinstance(value, tuple):
                kind, text = value
                sign, style = _MARKS[kind]
                cells.append(Text(f"{sign} {safe(text)}".rstrip(), style=style))
            else:
                cells.append(Text(safe(value)))
        grid.add_row(*cells)
    Console(highlight=False).print(grid)


def lines(pairs: Iterable[tuple[str, object]]) -> None:
    """Print name and value, a pair a line, aligned."""
    shown = [(name, safe(value)) for name, value in pairs]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *rest = value.split("\n")
        print(f"{name.ljust(width)}  {first}")
        for more in rest:
            print(f"{' ' * width}  {more}")
