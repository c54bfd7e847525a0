"""Hears of what happens at the help desk: a delivery is checked, and the conversation it names is read and kept.

Nothing else of a delivery is believed. What stands at the help desk now is read, so deliveries may come twice, late
and in any order. Chatwoot sends each one once: what cannot be read at once is read as soon as it can be.
"""

import asyncio
import hashlib
import hmac
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cairnops.domain.conversations import Conversation
from cairnops.errors import CairnError, NotFound

log = logging.getLogger(__name__)

PATH = "/chatwoot"
#: A message has at most 150,000 characters, and comes with its conversation.
MOST_BYTES = 1 << 20
#: How far apart the sender's clock and ours may be; an older delivery is somebody's recording.
MOST_APART_S = 300
#: Chatwoot gives up after 5 s, and takes a sender of messages for broken then.
_PATIENCE_S = 4.0
_BODY_S = 10.0
_REMEMBERED = 4096
#: Conversations read at once.
_PARALLEL = 4
_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)

#: What is about a conversation; all else is taken in and changes nothing.
EVENTS = (
    "conversation_created", "conversation_status_changed", "conversation_updated", "message_created",
    "message_updated",
)  # fmt: skip


class Refused(Exception):
    """A delivery that is not taken."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What Chatwoot (4.11.2 and later) sends as `X-Chatwoot-Signature` for a body sent at that epoch second."""
    signed = timestamp.encode() + b"." + body
    return f"sha256={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def check_signature(secret: str, given: str, timestamp: str, body: bytes, now_s: float) -> None:
    """Make sure that a body was signed with the secret, lately.

    Raises:
        Refused: with status 401; what is wrong with it is not told to whoever sent it.
    """
    whole = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    wanted = signature(secret, timestamp if whole else "", body)
    # Compared in any case, so that nobody learns from the time it takes.
    same = hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
    if not (same and whole and abs(now_s - int(timestamp)) <= MOST_APART_S):
        raise Refused(401, "not signed")


def conversation_in(body: bytes, account_id: int) -> str:
    """The conversation a delivery is about; empty when it is about something else.

    Raises:
        Refused: with 400 for what is no JSON object, 422 for one that is no delivery for this account.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(given, dict):
        raise Refused(400, "the body is not an object")
    event = given.get("event")
    if not isinstance(event, str):
        raise Refused(422, "event is missing")
    if event not in EVENTS:
        return ""
    about = given if event.startswith("conversation_") else given.get("conversation")
    number = about.get("id") if isinstance(about, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**53:
        raise Refused(422, "there is no conversation with an id")
    account = given.get("account")
    if isinstance(account, dict) and account.get("id") not in (None, account_id):
        raise Refused(422, "it is about another account")
    return str(number)


class Keeper:
    """Reads conversations and keeps them; while one waits to be read, whatever happens to it needs no more."""

    def __init__(
        self,
        read: Callable[[str], Awaitable[Conversation]],
        keep: Callable[[Conversation], Awaitable[object]],
        *,
        pauses_s: tuple[float, ...] = _PAUSES_S,
    ):
        """`pauses_s` are those between tries when it cannot be read or kept; the last one goes on."""
        self._read, self._keep, self._pauses_s = read, keep, pauses_s
        self._turn = asyncio.Semaphore(_PARALLEL)
        self._locks: dict[str, asyncio.Lock] = {}
        #: Those whose reading has not begun.
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def refresh(self, conversation: str) -> "asyncio.Task[None]":
        """Have a conversation read as it stands now or later; the task ends when it is kept."""
        task = self._waiting.get(conversation)
        if task is None:
            task = self._waiting[conversation] = asyncio.create_task(self._refresh(conversation))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return task

    async def close(self, patience_s: float) -> int:
        """Wait so long for what is under way; returns how many conversations were left unread."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience_s)
        left = list(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    async def _refresh(self, conversation: str) -> None:
        lock = self._locks.setdefault(conversation, asyncio.Lock())
        try:
            async with lock, self._turn:
                # What happens from here on may be missed by this reading.
                del self._waiting[conversation]
                await self._until_kept(conversation)
        finally:
            if not lock.locked() and conversation not in self._waiting:
                self._locks.pop(conversation, None)

    async def _until_kept(self, conversation: str) -> None:
        tries = 0
        while True:
            try:
                await self._keep(await self._read(conversation))
                return
            except NotFound:
                # Taken away meanwhile; what was known of it stays.
                return
            except CairnError as error:
                log.warning(
                    "Not read; it is tried again.",
                    extra={
                        "action": "conversation_not_read",
                        "conversation": conversation,
                        "problem": str(error),
                    },
                )
            await asyncio.sleep(self._pauses_s[min(tries, len(self._pauses_s) - 1)])
            tries += 1


class Receiver:
    """Takes deliveries for one account."""

    def __init__(
        self,
        keeper: Keeper,
        *,
        account_id: int,
        now_s: Callable[[], float],
        secret: str = "",
        token: str = "",
        patience_s: float = _PATIENCE_S,
    ):
        """With a `secret` every delivery must be signed with it; without one the `token` must end the address."""
        if not secret and not token:
            raise ValueError("anybody could send")
        self._keeper, self._account, self._now_s = keeper, account_id, now_s
        self._secret, self._token, self._patience_s = secret, token, patience_s
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def app(self) -> Starlette:
        """`POST /chatwoot`, or `POST /chatwoot/TOKEN`; and `GET /health`."""
        path = PATH if self._secret else f"{PATH}/{{token}}"
        return Starlette(
            routes=[
                Route(path, self._take, methods=["POST"]),
                Route("/health", lambda _: PlainTextResponse("ok\n"), methods=["GET"]),
            ]
        )

    async def _take(self, request: Request) -> Response:
        try:
            return PlainTextResponse(*await self._taken(request))
        except Refused as refused:
            log.warning(
                "Delivery refused.",
                extra={"action": "webhook_refused", "status": refused.status, "why": str(refused)},
            )
            return PlainTextResponse(f"{refused}\n", refused.status)

    async def _taken(self, request: Request) -> tuple[str, int]:
        given = request.path_params.get("token", "")
        if not self._secret and not hmac.compare_digest(given.encode(), self._token.encode()):
            raise Refused(401, "unknown address")
        body = await _body(request)
        if self._secret:
            check_signature(
                self._secret,
                request.headers.get("x-chatwoot-signature", ""),
                request.headers.get("x-chatwoot-timestamp", ""),
                body,
                self._now_s(),
            )
        conversation = conversation_in(body, self._account)
        if not conversation:
            return "nothing to do\n", 200
        known = request.headers.get("x-chatwoot-delivery", "")[:100], hashlib.sha256(body).hexdigest()
        if known[0] and known in self._known:
            return "known\n", 200
        reading = self._keeper.refresh(conversation)
        done, _ = await asyncio.wait({reading}, timeout=self._patience_s)
        if not done or reading.cancelled():
            return "it will be read\n", 202
        reading.result()
        self._known[known] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return "kept\n", 200


async def _body(request: Request) -> bytes:
    """The body, when it is not larger than any delivery can be.

    Raises:
        Refused: with 413 when it is, 408 when it does not come, 400 when whoever sent it left.
    """
    out = bytearray()
    try:
        with suppress(ValueError):
            if int(request.headers.get("content-length", "0")) > MOST_BYTES:
                raise Refused(413, "too large")
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                out += chunk
                if len(out) > MOST_BYTES:
                    raise Refused(413, "too large")
    except TimeoutError:
        raise Refused(408, "the body did not come") from None
    except ClientDisconnect:
        raise Refused(400, "the body is not whole") from None
    return bytes(out)
