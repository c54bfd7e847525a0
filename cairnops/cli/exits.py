"""The one place where a command ends with something other than success."""

import sys
from typing import NoReturn

import typer

from cairnops.errors import EXIT_CODES, FINDINGS, CairnError


def leave(code: int) -> NoReturn:
    """End the command with that exit code; see `cairnops.errors.EXIT_CODES`."""
    assert code in EXIT_CODES
    raise typer.Exit(code)


def findings(any_found: object) -> None:
    """End with 1 when something was found, else go on."""
    if any_found:
        leave(FINDINGS)


def complain(error: CairnError) -> NoReturn:
    """Say what went wrong and what to do next, on stderr, and end."""
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"  → {error.hint}", file=sys.stderr)
    sys.exit(error.exit_code)


def interrupted() -> NoReturn:
    """The person pressed Ctrl+C; what was committed stays."""
    print("\ninterrupted; what was committed stays, run the same command to finish it", file=sys.stderr)
    sys.exit(130)
