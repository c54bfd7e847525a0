"""What one try at the help desk told us, and what stands there: delivering, looking up and reading Chatwoot."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx

from cairnops.connectors.chatwoot import answers, shapes
from cairnops.connectors.chatwoot.connection import Connection
from cairnops.domain.breaker import silent
from cairnops.domain.conversations import Author, Conversation, Status
from cairnops.domain.delivery import NOBODY, Answer, Effect, EffectKind, Failure, Found, Result, of_failure
from cairnops.domain.stale import Seen, seen
from cairnops.errors import NotFound, RemoteError, SettingError

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Reads:
    """Which conversations are read; an empty field narrows nothing. Names are meant whatever their case."""

    statuses: tuple[Status, ...] = (Status.OPEN, Status.PENDING)
    #: Any of these labels.
    labels: tuple[str, ...] = ()
    #: In one of these inboxes, by name or number.
    inboxes: tuple[str, ...] = ()
    #: Given to one of these teams, by name or number.
    teams: tuple[str, ...] = ()


class ChatwootClient(Connection):
    """One account of a Chatwoot server, read and written with one token.

    Everything goes through httpx, not through `chatwoot-sdk`. The SDK drops response headers (Retry-After),
    cannot send an Idempotency-Key, cannot page messages, has no deadline, takes proxies from the environment
    even for loopback, and answers a shape it does not know with an empty list: labels read so and written
    back would be wiped.

    Args:
        base_url: the server, with a path when it is not at the root.
        account_id: the account's number.
        token: a user's or a bot's access token. It appears in no message, repr or log of ours.
        timeout_ms: hard deadline of one try, and of each request when reading.
        reads: which conversations `escalated` reads.
        patience_ms: how long a request that delivers nothing may wait when the server says it is asked too often.

    Raises:
        SettingError: for a URL, token or deadline that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        account_id: int,
        token: str,
        *,
        timeout_ms: int,
        reads: Reads | None = None,
        patience_ms: int = 0,
    ):
        super().__init__(base_url, account_id, token, timeout_ms=timeout_ms, patience_ms=patience_ms)
        self.reads = reads or Reads()
        self._inboxes: dict[int, str] = {}

    # writing

    async def deliver(self, effect: Effect, in_time: Callable[[], bool] = lambda: True) -> Result:
        """One try at one effect, ended by the hard deadline at the latest; remote trouble is a result, never raised.

        `in_time` is asked again just before anything is written to the line: where it says no, nothing is.

        Reply and note carry the run key in `content_attributes` and as Idempotency-Key; the text goes out as it
        is. Labels are added to those that stand. A status is set, not toggled. A team or a person is looked up by
        name first: Chatwoot takes a team it does not know for none, and the case would be nobody's.
        """
        progress = _Progress(in_time)
        try:
            async with self._deadline():
                match effect.kind:
                    case EffectKind.REPLY | EffectKind.NOTE:
                        return await self._say(effect, progress)
                    case EffectKind.LABELS:
                        return await self._add_label(effect, progress)
                    case EffectKind.STATUS:
                        return await self._set_status(effect, progress)
                    case EffectKind.ASSIGN:
                        return await self._assign(effect, progress)
        except _TooLate:
            return Result(answer=Answer.RETRY, error_code="ELATE")
        except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            return progress.judge(of_failure(answers.failure_of(error)))

    async def _say(self, effect: Effect, progress: "_Progress") -> Result:
        body = {
            "content": effect.payload["text"],
            "message_type": "outgoing",
            "private": effect.kind is EffectKind.NOTE,
            "content_attributes": {shapes.RUN_KEY: effect.run_key},
        }
        response = await self._write(effect, "messages", body, progress)
        result = answers.judged(response)
        if result.answer is not Answer.OK:
            return result
        try:
            return replace(
                result, remote_id=str(shapes.record(answers.parsed(response), "the message made")["id"])
            )
        except RemoteError:
            return of_failure(Failure.MALFORMED)

    async def _add_label(self, effect: Effect, progress: "_Progress") -> Result:
        # Chatwoot replaces the whole list, so what stands must be read first. Somebody else's label set in
        # between is lost; the API has no way to add one.
        response = await self._http.get(f"{self._conversation_url(effect.conversation_id)}/labels")
        if not response.is_success:
            return progress.judge(answers.judged(response))
        try:
            standing = shapes.labels(answers.parsed(response))
            if _has(standing, effect.payload["add"]):
                return Result(answer=Answer.OK)
            response = await self._write(
                effect, "labels", {"labels": [*standing, effect.payload["add"]]}, progress
            )
            result = answers.judged(response)
            if result.answer is Answer.OK and not _has(
                shapes.labels(answers.parsed(response)), effect.payload["add"]
            ):
                return of_failure(Failure.MALFORMED)
            return result
        except RemoteError:
            return progress.judge(of_failure(Failure.MALFORMED))

    async def _set_status(self, effect: Effect, progress: "_Progress") -> Result:
        wanted = effect.payload["status"]
        response = await self._write(effect, "toggle_status", {"status": wanted}, progress)
        result = answers.judged(response)
        if result.answer is not Answer.OK:
            return result
        try:
            body = answers.parsed(response)
        except RemoteError:
            return of_failure(Failure.MALFORMED)
        told = body.get("payload", body) if shapes.is_record(body) else None
        if not shapes.is_record(told) or told.get("current_status", wanted) != wanted:
            return of_failure(Failure.MALFORMED)
        return result

    async def _assign(self, effect: Effect, progress: "_Progress") -> Result:
        (what, name), *_ = effect.payload.items()
        call, field = ("teams", "name") if what == "team" else ("agents", "email")
        wanted = name.strip().casefold()
        try:
            # Asked anew each time: a team made again has another number, and an old one gives the case to nobody.
            response = await self._http.get(f"{self._account}/{call}")
            if not response.is_success:
                return progress.judge(answers.judged(response))
            rows = shapes.items(answers.parsed(response), f"the {call}")
            keys = {str(row.get(field) or "").strip().casefold(): row["id"] for row in rows if "id" in row}
            if wanted not in keys:
                return Result(answer=Answer.REJECT, error_code=NOBODY)
            response = await self._write(effect, "assignments", {f"{what}_id": keys[wanted]}, progress)
            result = answers.judged(response)
            if result.answer is Answer.OK:
                made = shapes.record(answers.parsed(response), "who has it")
                return result if made["id"] == keys[wanted] else of_failure(Failure.MALFORMED)
            return result
        except RemoteError:
            return progress.judge(of_failure(Failure.MALFORMED))

    async def _write(
        self, effect: Effect, call: str, body: dict[str, Any], progress: "_Progress"
    ) -> httpx.Response:
        progress.sent = True
        return await self._http.post(
            f"{self._conversation_url(effect.conversation_id)}/{call}",
            # Escaped to ASCII: a lone surrogate, which text from a browser can have, has no UTF-8.
            content=json.dumps(body).encode(),
            headers={"content-type": "application/json", "idempotency-key": quote(effect.run_key, safe="")},
            extensions={"trace": progress.trace},
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
                case EffectKind.ASSIGN:
                    body = await self._get(self._conversation_url(effect.conversation_id))
                    there = _given_to(shapes.record(body, "the conversation"), effect.payload)
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

    async def escalated(self, reads: Reads | None = None) -> list[Conversation]:
        """The conversations that `reads` (the client's own, when not given) does not leave out.

        Every page is read, each conversation with all its messages; the help desk's order, latest activity
        first within a status, is kept.

        Raises:
            RemoteError: when the help desk cannot be reached or read, or there are more than `MAX_PAGES` pages.
            SettingError: when there is no inbox or no team of a name given.
        """
        wanted = reads or self.reads
        inboxes = await self._numbers("inboxes", wanted.inboxes, "CHATWOOT_INBOXES")
        teams = await self._numbers("teams", wanted.teams, "CHATWOOT_TEAMS")
        rows: dict[str, dict[str, Any]] = {}
        for status, inbox, team in product(wanted.statuses, inboxes, teams):
            for row in await self._listed(status, wanted.labels, inbox, team):
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

    async def sample(self) -> list[dict[str, Any]]:
        """The first page of what `escalated` would read, without messages; raises what that raises."""
        inboxes = await self._numbers("inboxes", self.reads.inboxes, "CHATWOOT_INBOXES")
        teams = await self._numbers("teams", self.reads.teams, "CHATWOOT_TEAMS")
        for status, inbox, team in product(self.reads.statuses, inboxes, teams):
            if found := await self._page(1, status, self.reads.labels, inbox, team):
                return found
        return []

    async def every_conversation(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        """Every conversation a query lists, whatever its status, as the help desk shows it without its messages.

        Raises:
            RemoteError: when it cannot be reached or read, or there are more than `MAX_PAGES` pages.
        """
        found = []
        for page in range(1, MAX_PAGES + 1):
            rows = await self.rows(
                "/conversations", {"status": "all", "assignee_type": "all", "page": page} | query
            )
            found += rows
            if len(rows) < _CONVERSATIONS_PER_PAGE:
                return found
        raise RemoteError(f"more than {MAX_PAGES * _CONVERSATIONS_PER_PAGE} conversations")

    async def every_message(self, conversation_id: str) -> list[dict[str, Any]]:
        """All messages of a conversation as the help desk shows them, in no order.

        Raises:
            RemoteError: when they cannot be reached or read, or are more than `MAX_WINDOWS` windows.
        """
        return await self._messages(conversation_id)

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
                result = answers.judged(await self._http.get(f"{self.base_url}/api/v1/profile"))
        except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            result = of_failure(answers.failure_of(error))
        return result.error_code if silent(result) else ""

    async def _complete(self, row: dict[str, Any]) -> Conversation:
        # After the row, so that what is read is never older than the row's own time says.
        messages = await self.every_message(str(row["id"]))
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

    async def _numbers(self, call: str, names: Sequence[str], setting: str) -> list[int | None]:
        """The numbers of what is named; one None when nothing is, for no narrowing."""
        if not names:
            return [None]
        rows = await self.rows(f"/{call}")
        by_name = {str(row.get("name") or "").strip().casefold(): row["id"] for row in rows if "id" in row}
        by_name |= {str(key): key for key in by_name.values()}
        lost = [name for name in names if name.strip().casefold() not in by_name]
        if lost:
            raise SettingError(
                f"account {self.account_id} has no {call} called {', '.join(lost)}",
                hint=f"Correct {setting}. There are: {', '.join(str(r.get('name')) for r in rows) or 'none'}.",
            )
        return list(dict.fromkeys(by_name[name.strip().casefold()] for name in names))

    async def _listed(
        self, status: Status, labels: Sequence[str], inbox: int | None, team: int | None
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for page in range(1, MAX_PAGES + 1):
            found = await self._page(page, status, labels, inbox, team)
            rows += found
            if len(found) < _CONVERSATIONS_PER_PAGE:
                return rows
        raise RemoteError(
            f"more than {MAX_PAGES * _CONVERSATIONS_PER_PAGE} {status} conversations",
            hint="Narrow it with CHATWOOT_LABELS, CHATWOOT_INBOXES or CHATWOOT_TEAMS.",
        )

    async def _page(
        self, page: int, status: Status, labels: Sequence[str], inbox: int | None, team: int | None
    ) -> list[dict[str, Any]]:
        query: dict[str, Any] = {"status": status.value, "assignee_type": "all", "page": page}
        if labels:
            query["labels[]"] = list(labels)
        query |= {k: v for k, v in (("inbox_id", inbox), ("team_id", team)) if v is not None}
        found = shapes.items(await self._get(f"{self._account}/conversations", query), "the conversations")
        return [shapes.record(row, "a conversation") for row in found]

    async def _inbox_names(self, wanted: object) -> dict[int, str]:
        if isinstance(wanted, int) and wanted not in self._inboxes:
            # A name to show and nothing judged by it: without it the inbox is called by its number.
            with suppress(RemoteError, NotFound):
                rows = shapes.items(await self._get(f"{self._account}/inboxes"), "the inboxes")
                self._inboxes |= {row["id"]: str(row.get("name") or "") for row in rows if "id" in row}
            self._inboxes.setdefault(wanted, str(wanted))
        return self._inboxes

    def _conversation_url(self, conversation_id: str) -> str:
        return f"{self._account}/conversations/{quote(conversation_id, safe='')}"


class _TooLate(Exception):
    """What was to be sent may be somebody else's by now."""


class _Progress:
    """Whether a try has sent anything that could change the help desk, and may still."""

    def __init__(self, in_time: Callable[[], bool]) -> None:
        self.sent = False
        self._in_time = in_time

    async def trace(self, event: str, _: object) -> None:
        """Hear what the connection is about to do: a process that was frozen on its way here sends nothing."""
        writes = event.startswith("http11.send_request_") and event.endswith(".started")
        if writes and not self._in_time():
            raise _TooLate

    def judge(self, result: Result) -> Result:
        """A try that only read has certainly changed nothing, whatever became of it."""
        if result.answer is Answer.UNKNOWN and not self.sent:
            return replace(result, answer=Answer.RETRY)
        return result


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


def _given_to(row: dict[str, Any], payload: dict[str, str]) -> bool:
    meta = row["meta"] if shapes.is_record(row.get("meta")) else {}
    (what, name), *_ = payload.items()
    held = meta[what] if shapes.is_record(meta.get(what)) else {}
    field = "name" if what == "team" else "email"
    return str(held.get(field) or "").strip().casefold() == name.strip().casefold()


def _from_customer(row: dict[str, Any]) -> bool:
    return shapes.message(row).author is Author.CUSTOMER


def _has(labels: Iterable[str], wanted: str) -> bool:
    return wanted.casefold() in {label.casefold() for label in labels}
