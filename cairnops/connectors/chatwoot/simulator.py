"""A help desk on loopback that speaks Chatwoot's API over real HTTP, and fails in the ways it is told to."""

import asyncio
import re
import signal
import socket
import sqlite3
import struct
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from cairnops.connectors.chatwoot import forms, shapes
from cairnops.connectors.chatwoot.api import Api, answer
from cairnops.connectors.chatwoot.faults import Fault, Hit
from cairnops.connectors.chatwoot.hooks import Sender
from cairnops.connectors.chatwoot.state import Seed, State
from cairnops.errors import InputError, SettingError

TOKEN_HEADER = "api_access_token"

_START_S = 10.0
_STOP_S = 5.0
_CONVERSATION = re.compile(r"/api/v1/accounts/[^/]+/conversations/(\d{1,18})(?:/(\w+))?$")


class ChatwootSimulator:
    """A simulated Chatwoot for one account, served from a thread of this process.

    ```python
    with ChatwootSimulator(state=None, token="secret") as desk:
        client = ChatwootClient(desk.base_url, desk.account_id, "secret", timeout_ms=500)
    ```

    What it was sent is on disk before it answers. Started again on the same `state`, by whatever process,
    it goes on where it stood: conversations, fault counters and request log included. Stopping takes less
    than a second even while requests hang; a request that hangs then is reset, never processed afterwards.

    Args:
        state: the SQLite file that holds everything; None keeps it in a temporary file, gone at the end.
        token: what callers must send as `api_access_token`.
        account_id: the one account there is; any other is 404.
        host: the address to listen on.
        port: 0 takes a free one.

    Raises:
        SettingError: when the address cannot be listened on or the state file cannot be opened.
    """

    def __init__(
        self,
        state: Path | None = None,
        token: str = "simulator",
        account_id: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
    ):
        self.account_id = account_id
        self.token = token
        self._socket = _listening(host, port)
        self._host, self.port = self._socket.getsockname()[:2]
        self._temporary = None if state else tempfile.TemporaryDirectory(prefix="cairnops-chatwoot-")
        path = state or Path(self._temporary.name if self._temporary else "") / "chatwoot.sqlite"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.state = State(path, account_id)
        except (OSError, sqlite3.Error) as error:
            self._socket.close()
            raise SettingError(
                f"the simulator's state {path} cannot be opened: {error}",
                hint="Name a file in a folder you may write to, or leave it out.",
            ) from error
        self._server = _Server(self.state, token)
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"ChatwootSimulator(base_url={self.base_url!r}, account_id={self.account_id})"

    @property
    def base_url(self) -> str:
        """Where it listens, without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def start(self) -> Self:
        """Serve from a thread; returns once requests are answered."""
        self._thread = threading.Thread(target=self._serve_quietly, name="chatwoot-simulator", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(_START_S):
            self.stop()
            raise SettingError(f"the simulator did not start on {self.base_url}", hint="Try another port.")
        return self

    def stop(self) -> None:
        """Stop serving and close the state; calling it again does nothing."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_S)
            self._thread = None
        self._close()

    def run(self) -> None:
        """Serve in this thread until SIGINT or SIGTERM."""
        previous = {sig: signal.signal(sig, self._leave) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._server.run(sockets=[self._socket])
        finally:
            for sig, handler in previous.items():
                signal.signal(sig, handler)
            self._close()

    def seed(self, conversation: dict[str, Any]) -> None:
        """Put one conversation (as `shapes.to_seed` makes it) as it should stand, replacing what was there.

        Raises:
            InputError: when it is not a seed, naming the field.
        """
        try:
            self.state.seed(Seed.model_validate(conversation))
        except ValidationError as error:
            raise _bad_input("conversation", error) from None

    def set_faults(self, faults: Iterable[Fault | dict[str, Any]]) -> None:
        """Replace the fault rules and start their counting again.

        Raises:
            InputError: when one of them is not a fault, naming the field.
        """
        try:
            self.state.set_faults([Fault.model_validate(fault) for fault in faults])
        except ValidationError as error:
            raise _bad_input("fault", error) from None

    def set_now(self, at: int | None) -> None:
        """Let its clock stand at `at` (epoch seconds); None gives it back the machine's."""
        self.state.set_now(at)

    def requests(self) -> list[dict[str, Any]]:
        """The calls received: index, method, path, call, conversation_id, run_key, fault, at."""
        return self.state.requests()

    def messages(self, conversation_id: int | None = None) -> list[dict[str, Any]]:
        """The messages it holds, oldest first, each with its `run_key`."""
        return [row | {"run_key": shapes.run_key(row)} for row in self.state.messages(conversation_id)]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve_quietly(self) -> None:
        # uvicorn leaves by SystemExit when it cannot start; the one who waits for `ready` says so.
        with suppress(SystemExit):
            self._server.run(sockets=[self._socket])

    def _leave(self, _: int, __: FrameType | None) -> None:
        # uvicorn raises the signals it caught once more when it is done, and that must not end the process.
        self._server.should_exit = True

    def _close(self) -> None:
        self._socket.close()
        self.state.close()
        if self._temporary is not None:
            self._temporary.cleanup()


def serve(
    state: Path | None,
    token: str,
    account_id: int = 1,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[ChatwootSimulator], None] | None = None,
) -> None:
    """Run the simulator in the foreground until SIGINT or SIGTERM; returns when it has stopped cleanly.

    `on_ready` is called once it answers. Raises what `ChatwootSimulator` raises.
    """
    simulator = ChatwootSimulator(state, token, account_id, host, port)
    if on_ready is not None:
        simulator._server.on_ready = lambda: on_ready(simulator)
    simulator.run()


class _Desk:
    """The ASGI door: token first, then the log and the faults, then Chatwoot's calls."""

    def __init__(self, state: State, token: str, stopping: asyncio.Event):
        self._state = state
        self._token = token
        self._stopping = stopping
        self._late: set[asyncio.Task[None]] = set()
        api = Api(state)
        self.sender = Sender(state, api.shown_by, api.message)
        self._app: ASGIApp = Starlette(
            routes=api.routes(),
            exception_handlers={404: _not_found, 405: _not_found, **dict.fromkeys((400, 401, 422), _refused)},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        given = request.headers.get(TOKEN_HEADER)
        if given != self._token:
            await _unauthorized(given)(scope, receive, send)
            return
        hit = None
        if not scope["path"].startswith("/simulator/"):
            hit = self._state.receive(_described(request, body))
        await self._respond(hit, scope, body, receive, send)

    async def _respond(
        self, hit: Hit | None, scope: Scope, body: bytes, receive: Receive, send: Send
    ) -> None:
        if hit is None:
            await _send_all(await self._process(scope, body), send)
            return
        match hit.action:
            case "timeout":
                await self._hang(scope, receive)
            case "connection_reset":
                await self._reset(scope, receive)
            case "rate_limited":
                limited = answer({"error": "Retry later"}, 429, {"retry-after": str(hit.retry_after_s)})
                await limited(scope, receive, send)
            case "server_error":
                await answer({"error": "Internal Server Error"}, hit.status)(scope, receive, send)
            case "slow":
                if await self._gone(receive, hit.delay_ms / 1000):
                    await self._reset(scope, receive)
                else:
                    await _send_all(await self._process(scope, body), send)
            case "accepted_late":
                await self._process_late(hit, scope, body, receive, send)
            case "accepted_no_answer":
                await self._process(scope, body)
                await (self._reset if hit.close else self._hang)(scope, receive)
            case "malformed_body":
                await _send_all(_cut(await self._process(scope, body)), send)

    async def _process(self, scope: Scope, body: bytes) -> list[Message]:
        said: list[Message] = []
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return given.pop() if given else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            said.append(message)

        before = self.sender.before(scope["method"], scope["path"], body)
        await self._app(scope, receive, send)
        self.sender.tell(before)
        return said

    async def _process_late(self, hit: Hit, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        said: list[Message] = []

        async def later() -> None:
            await asyncio.sleep(hit.delay_ms / 1000)
            said.extend(await self._process(scope, body))

        # A task of its own: it must land whether or not the caller still waits.
        task = asyncio.create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            await _send_all(said, send)
        else:
            task.cancel()
            await self._reset(scope, receive)

    async def _hang(self, scope: Scope, receive: Receive) -> None:
        await self._gone(receive, None)
        await self._reset(scope, receive)

    async def _gone(self, receive: Receive, seconds: float | None) -> bool:
        """Wait so long (None: for ever); True when the caller left or the simulator stops before that."""
        watched = {asyncio.ensure_future(_disconnected(receive)), asyncio.create_task(self._stopping.wait())}
        done, pending = await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return bool(done)

    async def _reset(self, scope: Scope, receive: Receive) -> None:
        scope["state"]["reset"]()
        # Until the connection is known to be lost, uvicorn would take our silence for a bug and answer 500.
        await _disconnected(receive)


class _ResettableProtocol(H11Protocol):
    """uvicorn's h11 protocol, whose connection a request can reset through `scope["state"]["reset"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "reset": self._reset}

    def _reset(self) -> None:
        if (connection := self.transport.get_extra_info("socket")) is not None:
            # Lingering for zero seconds makes the close a RST, which is what a caller of a crashed server sees.
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Server(uvicorn.Server):
    def __init__(self, state: State, token: str):
        self.ready = threading.Event()
        self.on_ready: Callable[[], None] | None = None
        self._stopping = asyncio.Event()
        self._desk = _Desk(state, token, self._stopping)
        super().__init__(
            uvicorn.Config(
                self._desk,
                http=_ResettableProtocol,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
        if self.on_ready is not None:
            self.on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Hanging requests are let go first: uvicorn would wait for them.
        self._stopping.set()
        await super().shutdown(sockets)
        await self._desk.sender.stop()


def _described(request: Request, body: bytes) -> dict[str, Any]:
    """What the log and the fault rules see of a request."""
    path = request.url.path
    with suppress(ValueError):
        parsed = forms.read(request.headers.get("content-type", ""), body)
        return _call(request, path, parsed if isinstance(parsed, dict) else {})
    return _call(request, path, {})


def _call(request: Request, path: str, body: dict[str, Any]) -> dict[str, Any]:
    place = _CONVERSATION.match(path)
    private = body.get("private") in (True, "true", 1)
    call = "other"
    match request.method, place and (place[2] or ""):
        case "GET", "":
            call = "get"
        case "GET", "messages":
            call = "messages"
        case "POST", "messages":
            call = "private_note" if private else "create_message"
        case "GET", "labels":
            call = "labels_read"
        case "POST", "labels" | "toggle_status" | "assignments" as name:
            call = name
        case ("GET", None) if path.endswith("/conversations"):
            call = "list"
        case ("POST", None) if path.endswith("/conversations/filter"):
            call = "list"
    return {
        "method": request.method,
        "path": path,
        "query": request.url.query,
        "call": call,
        "conversation_id": int(place[1]) if place else None,
        "run_key": shapes.run_key(body) or request.headers.get("idempotency-key", ""),
    }


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_all(messages: list[Message], send: Send) -> None:
    for message in messages:
        await send(message)


def _cut(messages: list[Message]) -> list[Message]:
    body = b"".join(m.get("body", b"") for m in messages)
    cut = body[: max(len(body) // 2, 1)] if len(body) > 2 else b"{"
    status = messages[0]["status"] if messages else 200
    head = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(cut)).encode())],
    }
    return [head, {"type": "http.response.body", "body": cut}]


def _unauthorized(given: str | None) -> Response:
    # Chatwoot answers in two voices: its own for a wrong token, its sign-in library's for none.
    if given is None:
        return answer({"errors": ["You need to sign in or sign up before continuing."]}, 401)
    return answer({"error": "Invalid Access Token"}, 401)


def _not_found(_: Request, __: Exception) -> Response:
    return answer({"error": "Resource could not be found"}, 404)


def _refused(_: Request, error: Exception) -> Response:
    return answer({"error": getattr(error, "detail", str(error))}, getattr(error, "status_code", 422))


def _bad_input(what: str, error: ValidationError) -> InputError:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return InputError(
        f"this is not a {what} the simulator knows: {where + ': ' if where else ''}{first['msg']}",
        hint="Correct that field; unknown fields are refused.",
    )


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Named TCP, or asyncio leaves Nagle's algorithm on: every answer then took 40 ms.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, port))
            made.listen(256)
        except BaseException:
            made.close()
            raise
    except (OSError, OverflowError) as error:
        raise SettingError(
            f"cannot listen on {host}:{port}: {error}", hint="Choose another port, or 0 for a free one."
        ) from error
    return made
