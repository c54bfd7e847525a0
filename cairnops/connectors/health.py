"""What a worker says of itself over HTTP: alive, ready, and figures; never a customer's word, and few labels."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cairnops.errors import SettingError

#: A figure: name, kind, what it means, and its values by label (`status="SUCCESS"`, or nothing).
Figure = tuple[str, str, str, dict[str, float]]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals are the worker's, which stops this server when it is done.
        yield


def listening(port: int, host: str = "127.0.0.1", *, option: str = "--http") -> socket.socket:
    """A socket, on this machine only unless another address is named; `option` is where the port came from.

    Raises:
        SettingError: when the address cannot be listened on.
    """
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise SettingError(
            f"port {port} cannot be listened on: {error.strerror or error}", hint=f"Choose another {option}."
        ) from None


@contextlib.asynccontextmanager
async def answering(app: Starlette, listener: socket.socket) -> AsyncIterator[None]:
    """Serve for as long as the context lasts; what is under way at its end is finished."""
    server = _Server(
        uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False, server_header=False)
    )
    served = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await served


@contextlib.asynccontextmanager
async def serving(
    listener: socket.socket,
    ready: Callable[[], str],
    figures: Callable[[], Awaitable[list[Figure]]],
) -> AsyncIterator[None]:
    """Answer `/live`, `/ready` and `/metrics` for as long as the context lasts.

    `ready` says what keeps the worker from delivering, empty when nothing does.
    """

    async def live(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def is_ready(_: Request) -> Response:
        problem = ready()
        return PlainTextResponse(f"{problem or 'ready'}\n", 503 if problem else 200)

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(text(await figures()), media_type="text/plain; version=0.0.4")

    app = Starlette(routes=[Route("/live", live), Route("/ready", is_ready), Route("/metrics", metrics)])
    async with answering(app, listener):
        yield


def text(figures: list[Figure]) -> str:
    """The figures as Prometheus reads them."""
    out = []
    for name, kind, meaning, values in figures:
        out += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        out += [
            f"{name}{{{label}}} {value:.15g}" if label else f"{name} {value:.15g}"
            for label, value in values.items()
        ]
    return "\n".join(out) + "\n"
