"""`chatwoot`: the simulator, for whoever wants to look at it or point another client at it."""

from pathlib import Path
from typing import Annotated

import typer

from cairnops.cli.common import narrate

app = typer.Typer(help="The Chatwoot simulator.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The Chatwoot simulator."""


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 3333,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    state: Annotated[
        Path | None, typer.Option(help="The file it keeps everything in (default: a temporary one).")
    ] = None,
) -> None:
    """Serve a simulated Chatwoot until Ctrl+C; the token is CHATWOOT_API_TOKEN, or one is made and printed.

    Example: cairnops chatwoot serve --port 3333 --state .cairnops/simulator.db
    """
    import secrets

    from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
    from cairnops.settings import Settings

    settings = Settings()
    given = settings["CHATWOOT_API_TOKEN"]
    token = given or secrets.token_hex(12)
    account = settings["CHATWOOT_ACCOUNT_ID"]
    simulator = ChatwootSimulator(state, token, account, host=host, port=port)
    print(simulator.base_url, flush=True)
    narrate(f"Chatwoot simulator, account {account}; stop with Ctrl+C. To use it elsewhere:")
    narrate(f"  export CHATWOOT_BASE_URL={simulator.base_url} CHATWOOT_ACCOUNT_ID={account}")
    narrate(f"  export CHATWOOT_API_TOKEN={'(the one you set)' if given else token}")
    simulator.run()
