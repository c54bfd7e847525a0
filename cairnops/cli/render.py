"""How data becomes what a person reads: text and tables that fit the terminal, or JSON as it is."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cairnops.evidence import inert

_MARKS = {"ok": ("✓", "green"), "bad": ("✗", "red"), "warn": ("!", "yellow"), "none": ("·", "dim")}
_GAP = 2

#: Longer lines than this are hard to read, however wide the terminal is.
_PROSE = 100


def emit(data: Any, as_json: bool, show: Callable[[], None]) -> None:
    """JSON on stdout when asked for, else whatever `show` prints."""
    if as_json:
        from cairnops.codec import dumps

        print(inert.json_text(dumps(data)))
    else:
        show()


def safe(text: object) -> str:
    """Text from outside without what a terminal would obey: control characters become visible."""
    return inert.visible(text, keep="\n")


def raw(text: str) -> None:
    """Print a document that is plain already (a worksheet), ending as it ends."""
    print(text, end="")


def document(text: str) -> None:
    """Print JSON lines so that a terminal obeys nothing in them; they stay the same data."""
    print(inert.json_text(text), end="")


def width() -> int:
    """Columns of the terminal; COLUMNS wins, and 80 where there is neither."""
    import shutil

    return shutil.get_terminal_size().columns


def folded(text: object, indent: str = "", hanging: str = "") -> str:
    """Plain text in lines of at most the terminal's width, broken between words only.

    The first line begins with `indent`, the others with `hanging`. Line ends in the text stay.
    """
    import textwrap

    out = []
    for number, line in enumerate(safe(text).split("\n")):
        first = indent if number == 0 else hanging
        out += textwrap.wrap(
            line,
            max(min(width(), _PROSE), len(hanging) + 20),
            initial_indent=first,
            subsequent_indent=hanging,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [first.rstrip()]
    return "\n".join(out)


def say(text: object = "", indent: str = "", hanging: str = "") -> None:
    """Print a sentence on stdout, folded."""
    print(folded(text, indent, hanging))


def lines(pairs: Iterable[tuple[str, object]], indent: str = "") -> None:
    """Print name and value, a pair a line, aligned; a name that repeats is printed once."""
    shown = [(inert.one_line(name), value) for name, value in pairs]
    column = max((len(name) for name, _ in shown), default=0) + _GAP
    last = None
    for name, value in shown:
        head = "" if name == last else name
        print(folded(value, f"{indent}{head.ljust(column)}", indent + " " * column))
        last = name


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, wrap: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `wrap` give way when the terminal is narrow.

    A cell is a text (kept on one line), a list (a line each), or a pair of a mark and a text; a column
    of numbers is set to the right.
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    cells = [[_cell(value) for value in row] for row in rows]
    widths = _widths(columns, cells, wrap, cell_len)
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for place, (name, wide) in enumerate(zip(columns, widths, strict=True)):
        numbers = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
        grid.add_column(Text(name), overflow="fold", width=wide, justify="right" if numbers else "left")
    for row in cells:
        grid.add_row(*(Text("\n".join(texts), style=style) for texts, style in row))
    console = Console(highlight=False, width=max(width(), sum(widths) + _GAP * len(widths)))
    with console.capture() as captured:
        console.print(grid)
    # The grid pads every line to its full width, which is noise in a pipe and in a diff.
    print("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def _cell(value: object) -> tuple[list[str], str]:
    if isinstance(value, tuple):
        kind, text = value
        sign, style = _MARKS[kind]
        return [f"{sign} {inert.one_line(text)}".rstrip()], style
    if isinstance(value, list):
        return [inert.one_line(part) for part in value], ""
    return [inert.one_line(value)], ""


def _widths(
    columns: Sequence[str],
    rows: Sequence[Sequence[tuple[list[str], str]]],
    wrap: Sequence[str],
    measure: Callable[[str], int],
) -> list[int]:
    """A width per column: what it needs, less where the terminal is narrow, whole words as long as possible."""
    by_column = [[name, *(line for row in rows for line in row[i][0])] for i, name in enumerate(columns)]
    widths = [max(measure(text) for text in texts) for texts in by_column]
    words = [max((measure(w) for text in texts for w in text.split()), default=1) for texts in by_column]
    room = width() - _GAP * (len(columns) - 1)
    flexible = [i for i, name in enumerate(columns) if name in wrap]
    for floors in (words, [8] * len(words)):
        while sum(widths) > room:
            above = [i for i in flexible if widths[i] > floors[i]]
            if not above:
                break
            widths[max(above, key=widths.__getitem__)] -= 1
    return widths
