"""`chatwoot`: the simulator, for whoever wants to look at it or point another client at it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cairnops.cli import render
from cairnops.cli.common import narrate

app = typer.Typer(help="The Chatwoot account in use, and a simulator of one.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The Chatwoot account in use, and a simulator of one."""


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 3333,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    state: Annotated[
        Path | None, typer.Option(help="The file it keeps everything in (default: a temporary one).")
    ] = None,
    seed: Annotated[
        str,
        typer.Option(help="Put these conversations there: a pack, or a file of seeds.", show_default=False),
    ] = "",
) -> None:
    """Serve a simulated Chatwoot until Ctrl+C; the token is CHATWOOT_API_TOKEN, or one is made and printed.

    Example: cairnops chatwoot serve --port 3333 --seed cx-escalations
    """
    import secrets
    import sys

    from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
    from cairnops.settings import Settings

    settings = Settings()
    conversations = _seeds(seed) if seed else []
    given = settings["CHATWOOT_API_TOKEN"]
    token = given or secrets.token_hex(12)
    account = settings["CHATWOOT_ACCOUNT_ID"]
    simulator = ChatwootSimulator(state, token, account, host=host, port=port)
    for conversation in conversations:
        simulator.seed(conversation)
    render.raw(f"{simulator.base_url}\n")
    sys.stdout.flush()
    if conversations:
        narrate(f"{len(conversations)} conversations are there")
    narrate(f"Chatwoot simulator, account {account}; stop with Ctrl+C. To use it elsewhere:")
    narrate(f"  export CHATWOOT_BASE_URL={simulator.base_url} CHATWOOT_ACCOUNT_ID={account}")
    narrate(f"  export CHATWOOT_API_TOKEN={'(the one you set)' if given else token}")
    simulator.run()
    narrate("stopped")


def _seeds(source: str) -> list[dict[str, Any]]:
    """Seeds of a pack, beginning now; or the seeds a file holds, as they are."""
    import json

    from cairnops.errors import InputError
    from cairnops.scenarios.loader import load_pack
    from cairnops.scenarios.seeds import seeds
    from cairnops.workspace import now

    if not source.endswith(".json"):
        return seeds(load_pack(source), now().replace(microsecond=0))
    try:
        found = json.loads(Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{source} holds no seeds: {error}", hint="cairnops scenarios seeds PACK -o FILE writes some."
        ) from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise InputError(
            f"{source} is no list of seeds.", hint="cairnops scenarios seeds PACK -o FILE writes one."
        )
    return found
