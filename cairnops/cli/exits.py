"""The one place where a command ends with something other than success."""

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from cairnops.errors import EXIT_CODES, FINDINGS, USAGE, CairnError
from cairnops.evidence import inert

#: What shells expect of a program that was stopped from outside: 128 and the signal's number.
INTERRUPTED, PIPE_CLOSED = 130, 141


def leave(code: int) -> NoReturn:
    """End the command with that exit code; see `cairnops.errors.EXIT_CODES`."""
    import typer

    assert code in EXIT_CODES
    raise typer.Exit(code)


def findings(any_found: object) -> None:
    """End with 1 when something was found, else go on."""
    if any_found:
        leave(FINDINGS)


def guarded(app: Callable[..., Any]) -> NoReturn:
    """Run the command line and end the process; whatever goes wrong is one message, never a traceback.

    `python -X dev -m cairnops` shows the traceback of what we did not foresee.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that cannot show a character shows its number; it is no reason to stop.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False) or 0
        # What is still buffered meets a closed pipe here, where it can be caught, and not at the very end.
        sys.stdout.flush()
    except CairnError as error:
        code = _complain(str(error), error.hint, error.exit_code)
    except (BrokenPipeError, SystemExit):
        # Typer leaves by itself only when stdout is a closed pipe.
        code = _stdout_is_gone(PIPE_CLOSED)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last stop before a traceback
        code = _unforeseen(error)
    if code == INTERRUPTED:
        with suppress(OSError):
            print(
                "\ninterrupted; what was committed stays, the same command goes on from there",
                file=sys.stderr,
            )
    sys.exit(code)


def _complain(message: str, hint: str = "", code: int = USAGE) -> int:
    """Say what went wrong and what to do next, on stderr."""
    with suppress(OSError):
        print(f"error: {inert.visible(message, keep=chr(10))}", file=sys.stderr)
        if hint and hint.rstrip("?.").lower() not in message.lower():
            print(f"  → {inert.visible(hint, keep=chr(10))}", file=sys.stderr)
    return code


def _stdout_is_gone(code: int) -> int:
    # Python would flush once more at exit, and complain once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    return code


def _unforeseen(error: Exception) -> int:
    import errno

    from typer.exceptions import TyperException

    if type(error).__name__ == "NoArgsIsHelpError":
        return USAGE
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path} --help" if context else ""
        return _complain(_sentence(error.format_message()), hint)
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            _stdout_is_gone(USAGE)
        named = f"{error.filename}: " if error.filename else ""
        return _complain(
            f"{named}{error.strerror or error}.", "Check the path, its permissions and the disk."
        )
    if sys.flags.dev_mode:
        raise error
    return _complain(
        f"cairnops came across something it does not understand ({type(error).__name__}).",
        "This is a defect; `python -X dev -m cairnops …` shows where.",
    )


def _sentence(text: str) -> str:
    flat = " ".join(text.replace("Value error, ", "").split())
    return flat if flat.endswith((".", ")", "?")) else f"{flat}."
