"""The simulated help desk's webhooks: who subscribed to what, which events a request made, and sending them off.

As Chatwoot does it: signed with the subscription's secret, each delivery once, in no order, given up after 5 s.
"""

import asyncio
import json
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cairnops.connectors.chatwoot import answers, webhooks
from cairnops.connectors.chatwoot.state import INCOMING, OUTGOING, State

_TIMEOUT_S = 5.0
_ABOUT = re.compile(r"/(?:api/v1/accounts/[^/]+|simulator)/conversations/(\d{1,15})(?:/|$)")
_KINDS = {INCOMING: "incoming", OUTGOING: "outgoing"}
#: What of a conversation is told when it changes.
_TOLD = ("status", "labels", "priority", "assignee_id", "team_id", "custom_attributes", "snoozed_until")
_EVENTS = frozenset(
    (*webhooks.EVENTS, "contact_created", "contact_updated", "webwidget_triggered", "conversation_typing_on",
     "conversation_typing_off")
)  # fmt: skip

Handler = Callable[[Request, Any], object]


class Subscriptions:
    """`/webhooks` of an account."""

    def __init__(self, state: State):
        self._state = state

    def routes(self, account: str) -> list[tuple[str, str, Handler]]:
        """Chatwoot's calls below an account's path."""
        one = account + "/webhooks/{id:int}"
        return [
            (
                "GET",
                f"{account}/webhooks",
                lambda *_: {"payload": {"webhooks": self._state.records("webhook")}},
            ),
            ("POST", f"{account}/webhooks", self._create),
            ("PATCH", one, self._change),
            ("DELETE", one, self._remove),
        ]

    def _create(self, _: Request, body: Any) -> object:
        made = {"account_id": self._state.account_id, "name": None, "secret": secrets.token_hex(12)}
        return self._shown(
            self._state.add_record("webhook", made | self._given(body, {"url", "subscriptions"}))
        )

    def _change(self, request: Request, body: Any) -> object:
        row = self._state.record("webhook", request.path_params["id"])
        if row is None:
            raise HTTPException(404, "Resource could not be found")
        return self._shown(self._state.add_record("webhook", row | self._given(body, set())))

    def _remove(self, request: Request, _: Any) -> object:
        self._state.drop_record("webhook", request.path_params["id"])
        return Response()

    def _shown(self, row: dict[str, Any]) -> object:
        return {"payload": {"webhook": row}}

    def _given(self, body: Any, needed: set[str]) -> dict[str, Any]:
        given = body if isinstance(body, dict) else {}
        given = given["webhook"] if isinstance(given.get("webhook"), dict) else given
        known = {name: given[name] for name in ("url", "name", "subscriptions") if name in given}
        url, wanted = known.get("url", "http://x"), known.get("subscriptions", ["message_created"])
        if needed - known.keys() or not isinstance(url, str) or not re.match(r"https?://[^/]", url):
            raise HTTPException(422, "Url is invalid")
        if not isinstance(wanted, list) or not wanted or not set(map(str, wanted)) <= _EVENTS:
            raise HTTPException(422, "Invalid events")
        return known


class Sender:
    """Finds out what a request changed, and tells those who subscribed."""

    def __init__(
        self,
        state: State,
        shown: Callable[[int], dict[str, Any]],
        message: Callable[[dict[str, Any]], dict[str, Any]],
    ):
        """`shown` and `message` give a conversation and a message in Chatwoot's shape."""
        self._state, self._shown, self._message = state, shown, message
        self._under_way: set[asyncio.Task[None]] = set()

    def before(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any], set[int]] | None:
        """What a request may be about to change; None when it changes no conversation or nobody wants to know."""
        key = _about(path, body)
        if method == "GET" or key is None or not self._state.records("webhook"):
            return None
        return key, self._state.conversation(key) or {}, {m["id"] for m in self._state.messages(key)}

    def tell(self, before: tuple[int, dict[str, Any], set[int]] | None) -> None:
        """Send off what has changed since; nobody waits for it."""
        if before is None:
            return
        for event in self._events(*before):
            for hook in self._state.records("webhook"):
                if event["event"] in hook["subscriptions"]:
                    task = asyncio.create_task(_send(hook, event))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _events(self, key: int, was: dict[str, Any], known: set[int]) -> Iterator[dict[str, Any]]:
        row = self._state.conversation(key)
        if row is None:
            return
        shown = self._shown(key)
        changed = [
            {name: {"previous_value": was.get(name), "current_value": row[name]}}
            for name in _TOLD
            if was and was.get(name) != row[name]
        ]
        if not was:
            yield shown | {"event": "conversation_created"}
        if any("status" in one for one in changed):
            yield shown | {"event": "conversation_status_changed", "changed_attributes": changed}
        if changed:
            yield shown | {"event": "conversation_updated", "changed_attributes": changed}
        for message in self._state.messages(key):
            if message["id"] not in known and message["message_type"] in _KINDS:
                yield self._message_created(message, shown)

    def _message_created(self, row: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
        message = self._message(row)
        at = datetime.fromtimestamp(row["created_at"], UTC)
        return {
            **{
                name: message[name]
                for name in ("id", "content", "content_type", "content_attributes", "private")
            },
            "event": "message_created",
            "message_type": _KINDS[row["message_type"]],
            "created_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "source_id": message["source_id"],
            "sender": message.get("sender"),
            "inbox": {"id": message["inbox_id"]},
            "conversation": shown,
            "account": {"id": self._state.account_id, "name": "Simulator"},
        }


def _about(path: str, body: bytes) -> int | None:
    if found := _ABOUT.match(path):
        return int(found[1])
    if path == "/simulator/conversations":
        with suppress(ValueError, KeyError, TypeError):
            return int(json.loads(body)["id"])
    return None


async def _send(hook: dict[str, Any], event: dict[str, Any]) -> None:
    body, timestamp = json.dumps(event).encode(), str(int(time.time()))
    headers = {
        "content-type": "application/json",
        "accept": "application/json",
        "x-chatwoot-delivery": str(uuid.uuid4()),
        "x-chatwoot-timestamp": timestamp,
        "x-chatwoot-signature": webhooks.signature(hook["secret"], timestamp, body),
    }
    # Whoever does not listen has missed it.
    with suppress(httpx.HTTPError, OSError):
        trust = answers.trust(hook["url"])
        async with httpx.AsyncClient(verify=trust, timeout=_TIMEOUT_S, trust_env=False) as http:
            await http.post(hook["url"], content=body, headers=headers)
