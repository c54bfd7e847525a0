"""What commands share: the workspace option, who acts, and what opening a workspace says."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairnops.cli import render

if TYPE_CHECKING:
    from cairnops.domain.conversations import Actor
    from cairnops.settings import Settings
    from cairnops.workspace import Workspace

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        help="The workspace folder (default: CAIRNOPS_HOME, else .cairnops).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print data instead of tables.")]
ActorOption = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="EMAIL[:ROLE]", help="Who acts (default: CAIRNOPS_ACTOR).", show_default=False
    ),
]
SessionOption = Annotated[str, typer.Option("--session", "-s", help="Only this session.", show_default=False)]


def narrate(text: str) -> None:
    """Say something to the person; never data, so it goes to stderr."""
    print(render.safe(text), file=sys.stderr)


@contextmanager
def opened(path: Path | None) -> Iterator["Workspace"]:
    """The workspace, made when it must be, and said so."""
    from cairnops.settings import Settings
    from cairnops.workspace import Workspace

    settings = Settings()
    root = path or Path(settings["CAIRNOPS_HOME"])
    workspace = Workspace.open(root, settings)
    try:
        if workspace.made:
            narrate(made(workspace))
        yield workspace
    finally:
        workspace.close()


@contextmanager
def existing(path: Path | None, *, hint: str) -> Iterator["Workspace"]:
    """The workspace where there is one; an empty one made on the spot has nothing to answer with.

    Raises:
        NotFound: when there is none; `hint` says what to do then.
    """
    from cairnops.errors import NotFound
    from cairnops.settings import Settings
    from cairnops.workspace import Workspace

    settings = Settings()
    root = path or Path(settings["CAIRNOPS_HOME"])
    if not (settings["DATABASE_URL"] or (root / "cairnops.db").exists()):
        raise NotFound(f"There is no workspace at {root}.", hint=hint)
    with Workspace.open(root, settings) as workspace:
        yield workspace


@contextmanager
def traced(service: str, settings: "Settings") -> Iterator[None]:
    """Spans are sent meanwhile, where the settings say so; that they cannot be is said, and keeps nobody from work."""
    if not settings["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        yield
        return
    from cairnops import __version__
    from cairnops.telemetry import tracing

    try:
        stop = tracing.start(service, __version__, settings["OTEL_EXPORTER_OTLP_HEADERS"])
    except ImportError:
        narrate("no spans are sent, OpenTelemetry is not installed: pip install 'cairnops[otel]'")
        yield
        return
    try:
        yield
    finally:
        stop()


def made(workspace: "Workspace") -> str:
    """What opening it had to make, in a sentence: the whole workspace, or what was missing from it."""
    root = str(workspace.root)
    if f"{root}/" in workspace.made:
        return f"made workspace {root}"
    return f"workspace {root}: made {', '.join(workspace.made)}"


def session_name(text: str) -> str:
    """The text, when it can name a session; see `scenarios.sessions.check_name`."""
    from cairnops.scenarios.sessions import check_name

    return check_name(text)


def actor(given: str | None, settings: "Settings") -> "Actor":
    """Who acts: --as, else CAIRNOPS_ACTOR, else a practice operator of the shop."""
    from cairnops.store.sessions import participant

    text = given or settings["CAIRNOPS_ACTOR"] or f"operator@{settings['CAIRNOPS_SHOP_DOMAIN']}"
    return participant(text)
