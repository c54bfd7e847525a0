"""The server: where it listens, what it may load, how it stops; Streamlit runs inside it."""

import asyncio
import base64
import contextlib
import functools
import gc
import hashlib
import json
import logging
import re
import secrets
import signal
import socket
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cairnops.app import room as rooms
from cairnops.app.room import Room
from cairnops.errors import SettingError
from cairnops.settings import Settings

log = logging.getLogger(__name__)

HERE = Path(__file__).parent

_HEADERS = {
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}

#: What a browser may call the server; anything else in a `Host` header does not get into the policy.
_HOST = re.compile(r"[\w.-]+(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?", re.ASCII)


def content_policy(host: str) -> str:
    """Everything from this server and nothing from elsewhere. Streamlit needs inline styles and WebAssembly.

    The one inline script of Streamlit's page is admitted by its hash. `host` is what the browser calls the
    server: not every browser takes a web socket to it for the page's own.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return _content_policy().replace("SOCKETS", sockets)


@functools.cache
def _content_policy() -> str:
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    ]
    return (
        "default-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        f"script-src 'self' {' '.join(hashes)} 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
        "connect-src 'self'SOCKETS; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'"
    )


class SecurityHeaders:
    """Puts the headers above, and the content policy, on every response."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the response back with its headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                host = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), "")
                ours = {**_HEADERS, "content-security-policy": content_policy(host)}
                given = {name.lower() for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in ours.items() if k.encode() not in given]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class Events:
    """The open event streams: each is told the newest version, and all of them end when the server does."""

    def __init__(self, room: Room):
        self._room = room
        self._streams: set[asyncio.Event] = set()
        self._closing = False

    async def stream(self, _: Request) -> Response:
        """`/api/events`: the version of what there is to see, now and whenever it grows; nothing else."""
        return StreamingResponse(
            self._tell(), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _tell(self) -> AsyncIterator[str]:
        loop, grown = asyncio.get_running_loop(), asyncio.Event()
        self._streams.add(grown)
        stop = self._room.listen(lambda _: loop.call_soon_threadsafe(grown.set))
        try:
            while not self._closing:
                yield f"data: {json.dumps(self._room.version)}\n\n"
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(grown.wait(), 15)
                grown.clear()
        finally:
            stop()
            self._streams.discard(grown)

    def close(self) -> None:
        """End every stream: an open one would keep the server from stopping, for ever."""
        self._closing = True
        for grown in self._streams:
            grown.set()


async def _heartbeat(request: Request) -> Response:
    """`/api/heartbeat`: the tab lives (POST), or is gone (POST with `gone`); its claims stay or fall free."""
    room: Room = rooms.current()
    given = await request.body()
    try:
        tab, gone = json.loads(given)["tab"], bool(json.loads(given).get("gone"))
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"error": 'send {"tab": …}'}, status_code=400)
    moment = rooms.milliseconds(room.now())
    # A tab that is gone keeps its claims for a moment: reloading the page must not lose them.
    lease = 1_500 if gone else rooms.LEASE_MS
    kept = await asyncio.to_thread(room.workspace.claims.renew, str(tab), now_ms=moment, lease_ms=lease)
    return JSONResponse({"claims": kept})


async def _health(_: Request) -> Response:
    """`/api/health`: whether decisions can be written and the help desk was read."""
    room = rooms.current()
    ok = not room.log_problem and not room.problem
    return JSONResponse(
        {"ok": ok, "log": room.log_problem or "ok", "helpDesk": room.problem or "ok"},
        status_code=200 if ok else 503,
    )


def configuration(host: str, port: int) -> dict[str, Any]:
    """Streamlit's options: ours from `theme.toml`, and where to listen."""
    ours = tomllib.loads((HERE / "theme.toml").read_text(encoding="utf-8"))
    return dict(_flat(ours)) | {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableStaticServing": True,
        "browser.gatherUsageStats": False,
        # Streamlit would send what it believes the browser still has as a reference. While news comes in faster
        # than pages are drawn it believes wrongly, and the page ends in "Cached ForwardMsg MISS".
        "global.minCachedMessageSize": 1e9,
        # Not after every run of a script; the interpreter collects when there is something to collect.
        "runner.postScriptGC": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "logger.hideWelcomeMessage": True,
        # At `info` it tells of presses that met a part which was just drawn anew, which is how a page goes on.
        "logger.level": "warning",
    }


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def free(host: str, port: int) -> int:
    """The port, when it is free; 0 takes any.

    Raises:
        SettingError: when something else listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingError(
                f"{host}:{port} cannot be listened on ({error.strerror}).", hint="Choose another --port."
            ) from None
        return int(probe.getsockname()[1])


def serve(
    root: Path, settings: Settings, host: str, port: int, told: Callable[[int], None] = lambda _: None
) -> None:
    """Serve the desk until SIGINT or SIGTERM; blocks, once in a process, in its main thread.

    `told` hears the port once the desk answers.

    Raises:
        SettingError: when the address cannot be used.
    """
    # Streamlit takes over half a second to import; an address in use is told before that.
    port = free(host, port)
    import streamlit as st

    from cairnops.app import identity

    room = rooms.enter(Room(root, settings))
    events = Events(room)

    @contextlib.asynccontextmanager
    async def lifespan(_: st.App) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)

            def leave(signum: int, frame: Any, before: Any = before) -> None:
                loop.call_soon_threadsafe(events.close)
                if callable(before):
                    before(signum, frame)

            signal.signal(number, leave)
        await asyncio.to_thread(room.start)
        _settle_memory()
        told(port)
        try:
            yield
        finally:
            await asyncio.to_thread(room.stop)

    app = st.App(
        HERE / "front" / "main.py",
        lifespan=lifespan,
        routes=[
            Route("/api/events", events.stream),
            Route("/api/heartbeat", _heartbeat, methods=["POST"]),
            Route("/api/health", _health),
        ],
        middleware=[Middleware(SecurityHeaders)],
        on_script_error=_told,
        secrets=identity.secrets(settings, f"http://{host}:{port}") or None,
    )
    try:
        app.run(config=configuration(host, port))
    finally:
        room.stop()


def _told(error: Exception) -> bool:
    """A mistake of ours: the whole of it goes to the log under a number, and the number to the person."""
    import streamlit as st

    number = secrets.token_hex(4)
    log.error("A page failed.", exc_info=error, extra={"action": "page_failed", "number": number})
    st.error(
        f"Something went wrong here, and it is not your doing (number {number}). What was decided is kept. "
        "Reload the page; if it happens again, tell the reliability on-call the number.",
        icon=":material/error:",
    )
    return True


def _settle_memory() -> None:
    """Keep the collector off what stays for ever.

    Streamlit collects after every run of a script. With everything loaded that took 75 ms each, with the
    interpreter's lock held while messages wait to be sent; frozen, it is not looked at again.
    """
    # What a page loads when it is first opened is loaded now, so that it is frozen too.
    import altair  # noqa: F401
    import pandas  # noqa: F401
    import polars  # noqa: F401

    from cairnops.app.pages import decisions, desk, results, session  # noqa: F401

    gc.collect()
    gc.freeze()
