"""What one try at the help desk told us, and what stands there: delivering, looking up and reading Chatwoot."""

import asyncio
import errno
import json
import math
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from cairnops.connectors.chatwoot import shapes
from cairnops.domain.breaker import silent
from cairnops.domain.conversations import Author, Conversation, Status
from cairnops.domain.delivery import Answer, Effect, EffectKind, Failure, Found, Result, of_failure, of_status
from cairnops.domain.stale import Seen, seen
from cairnops.errors import NotFound, RemoteError, SettingError
from cairnops.telemetry import jsontext

# Chatwoot's page sizes; a shorter page is the last one.
_MESSAGES_PER_WINDOW = 20
_CONVERSATIONS_PER_PAGE = 25

#: Where reading stops: 5,000 messages of one conversation, 5,000 conversations of one status.
MAX_WINDOWS = 250
MAX_PAGES = 200

# Two clocks that both keep time do not differ by more; a look-up reads back this much further than asked.
_CLOCK_SKEW = timedelta(minutes=15)

# At once, when many conversations are read: enough to hide the latency, too few to be a burden.
_PARALLEL = 4

# Shorter than a server's own patience with an idle connection (often 5 s): a connection that the server is
# closing while we send on it looks like an unknown outcome.
_KEEP_ALIVE_S = 2.0


class ChatwootClient:
    """One account of a Chatwoot server, read and written with one token.

    Everything goes through httpx, not through `chatwoot-sdk`. The SDK drops response headers (Retry-After),
    cannot send an Idempotency-Key, cannot page messages, has no deadline, takes proxies from the environment
    even for loopback, and answers a shape it does not know with an empty list: labels read so and written
    back would be wiped.

    Use it in one event loop, as an async context manager or with `aclose`.

    Args:
        base_url: the server, with a path when it is not at the root.
        account_id: the account's number.
        token: a user's or a bot's access token. It appears in no message, repr or log of ours.
        timeout_ms: hard deadline of one try, and of each request when reading.

    Raises:
        SettingError: for a URL, token or deadline that cannot be used.
    """

    def __init__(self, base_url: str, account_id: int, token: str, *, timeout_ms: int):
        self.base_url = _server(base_url)
        self.account_id = account_id
        self.timeout_ms = timeout_ms
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            # Sent anyway, it would come back in an exception: "Illegal header value b'…'".
            raise SettingError(
                "the Chatwoot token is empty or has characters a token cannot have",
                hint="Set CHATWOOT_API_TOKEN to the access token of the profile settings page.",
            )
        if timeout_ms <= 0:
            raise SettingError(f"a deadline of {timeout_ms} ms is none", hint="Give milliseconds above 0.")
        self._token = token
        self._account = f"{self.base_url}/api/v1/accounts/{account_id}"
        self._inboxes: dict[int, str] = {}
        self._http = httpx.AsyncClient(
            headers={"api_access_token": token, "accept": "application/json"},
            # Per read, hence no deadline (a trickling server passes it); `_deadline` is one.
            timeout=timeout_ms / 1000,
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_S),
            follow_redirects=False,
            # A proxy set for the internet cannot reach a simulator on this machine.
            trust_env=httpx.URL(self.base_url).host not in ("127.0.0.1", "::1", "localhost"),
        )

    def __repr__(self) -> str:
        return f"ChatwootClient(base_url={self.base_url!r}, account_id={self.account_id})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; calling it again does nothing."""
        await self._http.aclose()

    # writing

    async def deliver(self, effect: Effect) -> Result:
        """One try at one effect, ended by the hard deadline at the latest; remote trouble is a result, never raised.

        Reply and note carry the run key in `content_attributes` and as Idempotency-Key; the text goes out as it
        is. Labels are added to those that stand. A status is set, not toggled.
        """
        progress = _Progress()
        try:
            async with self._deadline():
                match effect.kind:
                    case EffectKind.REPLY | EffectKind.NOTE:
                        return await self._say(effect, progress)
                    case EffectKind.LABELS:
                        return await self._add_label(effect, progress)
                    case EffectKind.STATUS:
                        return await self._set_status(effect, progress)
        except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            return progress.judge(of_failure(_failure(error)))

    async def _say(self, effect: Effect, progress: "_Progress") -> Result:
        body = {
            "content": effect.payload["text"],
            "message_type": "outgoing",
            "private": effect.kind is EffectKind.NOTE,
            "content_attributes": {shapes.RUN_KEY: effect.run_key},
        }
        response = await self._write(effect, "messages", body, progress)
        result = _judge(response)
        if result.answer is not Answer.OK:
            return result
        try:
            return replace(result, remote_id=str(shapes.record(_parsed(response), "the message made")["id"]))
        except RemoteError:
            return of_failure(Failure.MALFORMED)

    async def _add_label(self, effect: Effect, progress: "_Progress") -> Result:
        # Chatwoot replaces the whole list, so what stands must be read first. Somebody else's label set in
        # between is lost; the API has no way to add one.
        response = await self._http.get(f"{self._conversation_url(effect.conversation_id)}/labels")
        if not response.is_success:
            return progress.judge(_judge(response))
        try:
            standing = shapes.labels(_parsed(response))
            if _has(standing, effect.payload["add"]):
                return Result(answer=Answer.OK)
            response = await self._write(
                effect, "labels", {"labels": [*standing, effect.payload["add"]]}, progress
            )
            result = _judge(response)
            if result.answer is Answer.OK and not _has(
                shapes.labels(_parsed(response)), effect.payload["add"]
            ):
                return of_failure(Failure.MALFORMED)
            return result
        except RemoteError:
            return progress.judge(of_failure(Failure.MALFORMED))

    async def _set_status(self, effect: Effect, progress: "_Progress") -> Result:
        wanted = effect.payload["status"]
        response = await self._write(effect, "toggle_status", {"status": wanted}, progress)
        result = _judge(response)
        if result.answer is not Answer.OK:
            return result
        try:
            body = _parsed(response)
        except RemoteError:
            return of_failure(Failure.MALFORMED)
        told = body.get("payload", body) if shapes.is_record(body) else None
        if not shapes.is_record(told) or told.get("current_status", wanted) != wanted:
            return of_failure(Failure.MALFORMED)
        return result

    async def _write(
        self, effect: Effect, call: str, body: dict[str, Any], progress: "_Progress"
    ) -> httpx.Response:
        progress.sent = True
        return await self._http.post(
            f"{self._conversation_url(effect.conversation_id)}/{call}",
            # Escaped to ASCII: a lone surrogate, which text from a browser can have, has no UTF-8.
            content=json.dumps(body).encode(),
            headers={"content-type": "application/json", "idempotency-key": quote(effect.run_key, safe="")},
        )

    # looking up

    async def find(self, effect: Effect, since: datetime | None = None) -> Found:
        """Whether an effect is there: a message by its run key, a label or status by what stands.

        Pages back to the conversation's beginning, or to `since` (UTC, when the first try was made; give it
        only where the help desk's clock is a real one). When the end is not reached within `MAX_WINDOWS`
        windows, or anything cannot be read, nothing is known: `unavailable`, never `absent`.
        """
        try:
            match effect.kind:
                case EffectKind.REPLY | EffectKind.NOTE:
                    return await self._find_message(effect, since)
                case EffectKind.LABELS:
                    url = f"{self._conversation_url(effect.conversation_id)}/labels"
                    there = _has(shapes.labels(await self._get(url)), effect.payload["add"])
                case EffectKind.STATUS:
                    body = await self._get(self._conversation_url(effect.conversation_id))
                    there = shapes.record(body, "the conversation").get("status") == effect.payload["status"]
        except (RemoteError, NotFound):
            return Found.UNAVAILABLE
        return Found.PRESENT if there else Found.ABSENT

    async def _find_message(self, effect: Effect, since: datetime | None) -> Found:
        if not effect.run_key:
            # No key would match every message that has none.
            return Found.UNAVAILABLE
        before: int | None = None
        for _ in range(MAX_WINDOWS):
            window = await self._window(effect.conversation_id, before)
            if any(shapes.run_key(row) == effect.run_key for row in window):
                return Found.PRESENT
            oldest = min((shapes.message(row).at for row in window), default=None)
            if since is not None and oldest is not None and oldest < since - _CLOCK_SKEW:
                return Found.ABSENT
            before = _next_before(window, before)
            if before is None:
                return Found.ABSENT
        return Found.UNAVAILABLE

    # reading

    async def conversation(self, conversation_id: str) -> Conversation:
        """One conversation with all its messages.

        Raises:
            NotFound: when the help desk does not have it.
            RemoteError: when it cannot be reached or read.
        """
        body = await self._get(self._conversation_url(conversation_id))
        return await self._complete(shapes.record(body, "the conversation"))

    async def escalated(
        self,
        labels: Sequence[str] = (),
        statuses: Iterable[Status] = (Status.OPEN, Status.PENDING),
    ) -> list[Conversation]:
        """The conversations in these statuses that carry any of the labels (all of them when none is named).

        Every page is read, each conversation with all its messages; the help desk's order, latest activity
        first within a status, is kept.

        Raises:
            RemoteError: when the help desk cannot be reached or read, or there are more than `MAX_PAGES` pages.
        """
        rows: dict[str, dict[str, Any]] = {}
        for status in statuses:
            for row in await self._listed(status, labels):
                rows.setdefault(str(row.get("id")), row)
        turn = asyncio.Semaphore(_PARALLEL)

        async def complete(row: dict[str, Any]) -> Conversation:
            async with turn:
                return await self._complete(row)

        for row in rows.values():
            await self._inbox_names(row.get("inbox_id"))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(complete(row)) for row in rows.values()]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def standing(self, conversation_id: str) -> Seen | None:
        """How a conversation stands now, what was sent from here left out; None when the help desk does not say.

        Raises:
            NotFound: when the help desk does not have it.
        """
        try:
            row = shapes.record(await self._get(self._conversation_url(conversation_id)), "the conversation")
            # What is older than the customer's newest message was there when that was read.
            rows = await self._messages(conversation_id, back_to=_from_customer)
            ours = {str(message["id"]) for message in rows if shapes.run_key(message)}
            return seen(shapes.conversation(row, rows), ours=ours)
        except RemoteError:
            return None

    async def silence(self) -> str:
        """Whether anybody is there, asked with the cheapest call: empty, or why not (`ECONNREFUSED`, `HTTP_503`)."""
        try:
            async with self._deadline():
                result = _judge(await self._http.get(f"{self.base_url}/api/v1/profile"))
        except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            result = of_failure(_failure(error))
        return result.error_code if silent(result) else ""

    async def whoami(self) -> str:
        """The e-mail of the token's owner: the cheapest proof that server and token are right.

        Raises:
            RemoteError: when the server cannot be reached, or does not take the token.
        """
        body = await self._get(f"{self.base_url}/api/v1/profile")
        email = body.get("email") if shapes.is_record(body) else None
        if not isinstance(email, str):
            raise RemoteError(
                f"{self.base_url} does not answer as Chatwoot does", hint="Check CHATWOOT_BASE_URL."
            )
        return email

    async def _complete(self, row: dict[str, Any]) -> Conversation:
        # After the row, so that what is read is never older than the row's own time says.
        messages = await self._messages(str(row["id"]))
        return shapes.conversation(row, messages, await self._inbox_names(row.get("inbox_id")))

    async def _messages(
        self, conversation_id: str, back_to: Callable[[dict[str, Any]], bool] = lambda _: False
    ) -> list[dict[str, Any]]:
        messages: dict[str, dict[str, Any]] = {}
        before: int | None = None
        for _ in range(MAX_WINDOWS):
            window = await self._window(conversation_id, before)
            messages |= {str(m.get("id")): m for m in window}
            before = _next_before(window, before)
            if before is None or any(map(back_to, window)):
                return list(messages.values())
        raise RemoteError(
            f"conversation {conversation_id} has more than {MAX_WINDOWS * _MESSAGES_PER_WINDOW} messages",
            hint="Read it in Chatwoot; a part of a conversation is no ground for a decision.",
        )

    async def _window(self, conversation_id: str, before: int | None) -> list[dict[str, Any]]:
        url = f"{self._conversation_url(conversation_id)}/messages"
        body = await self._get(url, {} if before is None else {"before": before})
        return shapes.items(body, "the messages")

    async def _listed(self, status: Status, labels: Sequence[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for page in range(1, MAX_PAGES + 1):
            query: dict[str, Any] = {"status": status.value, "assignee_type": "all", "page": page}
            if labels:
                query["labels[]"] = list(labels)
            found = shapes.items(
                await self._get(f"{self._account}/conversations", query), "the conversations"
            )
            rows += [shapes.record(row, "a conversation") for row in found]
            if len(found) < _CONVERSATIONS_PER_PAGE:
                return rows
        raise RemoteError(
            f"more than {MAX_PAGES * _CONVERSATIONS_PER_PAGE} {status} conversations", hint="Name a label."
        )

    async def _inbox_names(self, wanted: object) -> dict[int, str]:
        if isinstance(wanted, int) and wanted not in self._inboxes:
            # A name to show and nothing judged by it: without it the inbox is called by its number.
            with suppress(RemoteError, NotFound):
                rows = shapes.items(await self._get(f"{self._account}/inboxes"), "the inboxes")
                self._inboxes |= {row["id"]: str(row.get("name") or "") for row in rows if "id" in row}
            self._inboxes.setdefault(wanted, str(wanted))
        return self._inboxes

    async def _get(self, url: str, query: dict[str, Any] | None = None) -> object:
        try:
            async with self._deadline():
                response = await self._http.get(url, params=query)
        except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise self._unreached(error) from None
        if response.status_code == 404:
            raise NotFound(
                f"{self.base_url} has no {url.removeprefix(self._account).strip('/')} in account {self.account_id}",
                hint="Check the number, and CHATWOOT_ACCOUNT_ID.",
            )
        if not response.is_success:
            raise self._refused(response.status_code)
        return _parsed(response)

    def _deadline(self) -> asyncio.Timeout:
        return asyncio.timeout(self.timeout_ms / 1000)

    def _conversation_url(self, conversation_id: str) -> str:
        return f"{self._account}/conversations/{quote(conversation_id, safe='')}"

    def _unreached(self, error: Exception) -> RemoteError:
        failure = _failure(error)
        within = f" within {self.timeout_ms} ms" if failure is Failure.TIMEOUT else ""
        return RemoteError(
            f"no answer from {self.base_url}{within} ({failure.value})",
            hint="Check that the server runs and CHATWOOT_BASE_URL names it.",
        )

    def _refused(self, status: int) -> RemoteError:
        hint = "Look into the server's log, or try again."
        if status in (401, 403):
            hint = f"Check CHATWOOT_API_TOKEN and that its owner belongs to account {self.account_id}."
        return RemoteError(f"{self.base_url} answered HTTP {status}", hint=hint)


class _Progress:
    """Whether a try has sent anything that could change the help desk."""

    def __init__(self) -> None:
        self.sent = False

    def judge(self, result: Result) -> Result:
        """A try that only read has certainly changed nothing, whatever became of it."""
        if result.answer is Answer.UNKNOWN and not self.sent:
            return replace(result, answer=Answer.RETRY)
        return result


def retry_after_ms(headers: httpx.Headers, now: datetime) -> int | None:
    """A Retry-After header in milliseconds: seconds, or an HTTP date against the answer's own Date.

    RFC 9110 §10.2.3. A past date is 0; anything else unreadable is None. `now` is used when the answer
    has no Date.
    """
    given = headers.get("retry-after", "").strip()
    try:
        seconds = float(given)
        return int(max(seconds, 0.0) * 1000) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(given)
    except ValueError:
        return None
    with suppress(ValueError):
        now = parsedate_to_datetime(headers.get("date", ""))
    until, now = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in (until, now))
    return max(int((until - now).total_seconds() * 1000), 0)


def _judge(response: httpx.Response) -> Result:
    return of_status(response.status_code, retry_after_ms(response.headers, datetime.now(UTC)))


def _parsed(response: httpx.Response) -> object:
    try:
        return jsontext.parse(response.content.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise RemoteError(
            f"the answer is not JSON: {response.headers.get('content-type', 'no content type')},"
            f" {len(response.content)} bytes",
            hint="Check that CHATWOOT_BASE_URL names the Chatwoot server itself.",
        ) from None


def _failure(error: BaseException) -> Failure:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Failure.TIMEOUT
    if isinstance(error, httpx.DecodingError):
        return Failure.MALFORMED
    if isinstance(error, httpx.ConnectError):
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            return Failure.TLS
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return Failure.DNS
        if any(isinstance(cause, OSError) and cause.errno == errno.ETIMEDOUT for cause in causes):
            return Failure.TIMEOUT
        return Failure.REFUSED
    return Failure.RESET


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                yield from _causes(part)
        error = error.__cause__ or error.__context__


def _next_before(window: list[dict[str, Any]], before: int | None) -> int | None:
    """The next cursor when paging back; None when the beginning is reached."""
    if len(window) < _MESSAGES_PER_WINDOW:
        return None
    try:
        oldest = min(int(row["id"]) for row in window)
    except (KeyError, TypeError, ValueError):
        raise RemoteError("cannot read the messages: one has no number as its id") from None
    if before is not None and oldest >= before:
        raise RemoteError("the help desk does not page back through messages: it sent the same ones again")
    return oldest


def _from_customer(row: dict[str, Any]) -> bool:
    return shapes.message(row).author is Author.CUSTOMER


def _has(labels: Iterable[str], wanted: str) -> bool:
    return wanted.casefold() in {label.casefold() for label in labels}


def _server(url: str) -> str:
    try:
        parsed = httpx.URL(url.strip())
        # The resolver raises UnicodeError for a label above 63 bytes, long after anybody expects it.
        parsed.host.encode("idna")
        usable = (
            parsed.scheme in ("http", "https") and bool(parsed.host) and not (parsed.query or parsed.fragment)
        )
    except (httpx.InvalidURL, TypeError, ValueError):
        usable = False
    if not usable or parsed.userinfo:
        # The URL is not repeated here: it may hold a password.
        raise SettingError(
            "the Chatwoot base URL is not of the form https://host[:port][/path], without user and password",
            hint="Set CHATWOOT_BASE_URL, for example to https://chat.example.com.",
        )
    return str(parsed).rstrip("/")
