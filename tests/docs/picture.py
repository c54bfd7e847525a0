"""The README's picture: the demo as an 80-column terminal shows it, drawn from what the command prints."""

import io
import re
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.docs import shell

COMMAND = "cairnops dryrun run --pack cx-escalations --session demo --as alex.kim@practice.example"
TARGET = shell.ROOT / "cairnops" / "docs" / "demo.svg"

_THEME = TerminalTheme(
    (13, 23, 28),
    (214, 222, 224),
    [(13, 23, 28), (242, 119, 122), (94, 201, 159), (240, 196, 92), (110, 168, 254), (196, 150, 255),
     (92, 200, 206), (214, 222, 224)],
    [(120, 136, 142), (242, 119, 122), (94, 201, 159), (240, 196, 92), (110, 168, 254), (196, 150, 255),
     (92, 200, 206), (255, 255, 255)],
)  # fmt: skip

# What each line of narration and of the table is coloured by: its own marks.
_STYLES = (
    (re.compile(r"^\$ .*"), "bold"),
    (re.compile(r"^\[\d+/\d+\] .*"), "bold cyan"),
    (re.compile(r"^ +\d+:\d\d ✓ .*|✓ \w+"), "green"),
    (re.compile(r"^ +\d+:\d\d ✗ .*|✗ [\w ]+|TIMEOUT"), "red"),
    (re.compile(r"^ +\d+:\d\d +(warn|block) .*"), "yellow"),
    (re.compile(r"^ +\d+:\d\d +facilitator: .*"), "bright_black"),
)
_GOES_ON = re.compile(r"^ {11}\S")


def draw() -> str:
    """The SVG. It names no font to fetch: a picture that loads things is no picture."""
    with tempfile.TemporaryDirectory() as folder:
        done = shell.run(COMMAND, Path(folder))
    console = Console(record=True, width=82, file=io.StringIO(), legacy_windows=False, force_terminal=True)
    before = ""
    for line in ["$ " + COMMAND, *(done.stderr + done.stdout).splitlines()]:
        text = Text(line, no_wrap=False)
        if _GOES_ON.match(line):
            text.stylize(before)
        else:
            before = ""
            for pattern, style in _STYLES:
                for found in pattern.finditer(line):
                    text.stylize(style, found.start(), found.end())
                    before = style if found.start() == 0 else before
        console.print(text)
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.S)
    template = template.replace("Fira Code", "ui-monospace, SFMono-Regular, Menlo, Consolas")
    return console.export_svg(title="cairnops", theme=_THEME, code_format=template, unique_id="demo")


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
    print(f"wrote {TARGET.name}")
