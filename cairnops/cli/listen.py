"""`chatwoot listen`: hear of what happens at the help desk when it happens."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import render
from cairnops.cli.common import WorkspaceOption, narrate, opened

if TYPE_CHECKING:
    from cairnops.workspace import Workspace


def listen(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 3334,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    workspace: WorkspaceOption = None,
) -> None:
    """Take Chatwoot's webhooks until SIGTERM or Ctrl+C: what a customer or a colleague does there shows at the desk.

    Name the address it prints, as the internet reaches it, in Chatwoot under Settings, Integrations, Webhooks, with
    the events about conversations and messages; set CHATWOOT_WEBHOOK_SECRET to the secret shown there. Of a
    delivery only the conversation's number is used: how it stands is read from CHATWOOT_BASE_URL. GET /health
    answers while it listens.

    Example: cairnops chatwoot listen --port 3334
    """
    import asyncio

    from cairnops.errors import SettingError

    with opened(workspace) as w:
        if not w.settings["CHATWOOT_BASE_URL"]:
            raise SettingError(
                "CHATWOOT_BASE_URL is not set: there is no help desk to hear of.",
                hint="Set it to the Chatwoot that sends the webhooks.",
            )
        if not (w.settings["CHATWOOT_WEBHOOK_SECRET"] or w.settings["CHATWOOT_WEBHOOK_TOKEN"]):
            raise SettingError(
                "Neither CHATWOOT_WEBHOOK_SECRET nor CHATWOOT_WEBHOOK_TOKEN is set: anybody could send.",
                hint="Set the first to the secret Chatwoot shows for the webhook; before 4.11.2, the second to a"
                " word of your own, and end the address with it.",
            )
        with w.help_desk() as remote:
            asyncio.run(_serve(w, remote, host, port))


async def _serve(w: "Workspace", remote: Any, host: str, port: int) -> None:
    import asyncio
    import signal
    import sys
    import time

    from cairnops.connectors import health
    from cairnops.connectors.chatwoot import webhooks
    from cairnops.domain.conversations import Actor, Role
    from cairnops.workspace import now

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def asked() -> None:
        narrate("stopping: reading what was announced")
        stop.set()
        for one in signals:
            loop.remove_signal_handler(one)

    for one in signals:
        loop.add_signal_handler(one, asked)
    desk, who = w.desk(now), Actor(email="webhook@cairnops", role=Role.ADMIN)
    secret = w.settings["CHATWOOT_WEBHOOK_SECRET"]
    async with w.client(remote) as client:
        keeper = webhooks.Keeper(
            client.conversation, lambda found: asyncio.to_thread(desk.observe, found, who)
        )
        receiver = webhooks.Receiver(
            keeper,
            account_id=remote.account_id,
            now_s=time.time,
            secret=secret,
            token=w.settings["CHATWOOT_WEBHOOK_TOKEN"],
        )
        listener = health.listening(port, host, option="--port")
        async with health.answering(receiver.app(), listener):
            end = "" if secret else "/(the token you set)"
            render.raw(f"http://{host}:{listener.getsockname()[1]}{webhooks.PATH}{end}\n")
            sys.stdout.flush()
            narrate(f"hears of {w.destination}; stop with Ctrl+C")
            await stop.wait()
        left = await keeper.close(client.timeout_ms / 1000)
    narrate(f"stopped; {left} conversations are to be read again" if left else "stopped")
