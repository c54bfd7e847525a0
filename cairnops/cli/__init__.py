"""The command line, and a short way to the one command that is run in loops over small files."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cairnops.cli import exits


def main() -> None:
    """Run the command line; errors a person can mend are said in one sentence, with exit code 2."""
    exits.guarded(_short(sys.argv[1:]) or _whole)


def _whole(**how: bool) -> object:
    from cairnops.cli.tree import app

    return app(**how)


def _short(words: Sequence[str]) -> Callable[..., int] | None:
    """What `summary FILE` and `summary FILE --json` do; None for all else.

    Making the whole tree of commands takes several times as long as reading a small file.
    """
    words = words[1:] if words[:1] == ["decisions"] else words
    given = [word for word in words[1:] if word != "--json"]
    if words[:1] != ["summary"] or len(given) != 1 or given[0][:1] in ("", "-"):
        return None
    from cairnops.cli.summary import show_summary

    return lambda **_: show_summary(Path(given[0]), as_json="--json" in words)
