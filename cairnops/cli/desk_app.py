"""`app`: serve the desk to browsers."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cairnops.cli import render
from cairnops.cli.common import WorkspaceOption, narrate, traced

if TYPE_CHECKING:
    from cairnops.settings import Settings

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def app(
    port: Annotated[
        int, typer.Option("--port", help="Where to listen; 0 takes a free port.", min=0, max=65535)
    ] = 8501,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    session: Annotated[str, typer.Option("--session", "-s", help="Open the desk in this session.")] = "",
    practice_identity: Annotated[
        bool,
        typer.Option(
            "--practice-identity",
            help="Let people say who they are, though others can reach the address.",
        ),
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve the desk: operators work cases in the modal, facilitators run the session, QA reads the log.

    Decisions are kept first and delivered in the background, to the simulator unless CHATWOOT_BASE_URL is set.

    Stop it with Ctrl+C; what is not delivered then is delivered next time.

    Example: cairnops app --session thursday
    """
    from pathlib import Path

    from cairnops.errors import SettingError
    from cairnops.settings import Settings

    try:
        from cairnops.app import identity, launch
    except ModuleNotFoundError as error:
        raise SettingError(
            f"The desk needs {error.name}, which is not installed.",
            hint="Install it: pip install 'cairnops[app]'",
        ) from None
    settings = Settings()
    if host not in _LOOPBACK and not identity.provider(settings) and not practice_identity:
        raise SettingError(
            f"On {host} everybody who reaches the address could act under any name.",
            hint="Set OIDC_METADATA_URL and its companions, or add --practice-identity in a closed room.",
        )
    root = workspace or Path(settings["CAIRNOPS_HOME"])
    with traced("desk", settings):
        launch.serve(root, settings, host, port, told=lambda chosen: _tell(host, chosen, session, settings))


def _tell(host: str, port: int, session: str, settings: "Settings") -> None:
    from urllib.parse import quote

    where = settings["CAIRNOPS_APP_URL"] or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    render.raw(f"{where}/{f'?session={quote(session)}' if session else ''}\n")
    sys.stdout.flush()
    narrate("the desk is open at this address; Ctrl+C closes it")
