"""Which conversations of an account are there to practise on: putting a pack's cases there, and taking them away.

Nobody real can be reached through them. They live in an API inbox of their own that calls no webhook, and
their customers have no e-mail address there: Chatwoot can be set to mail what is answered in an API inbox.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import httpx

from cairnops import codec
from cairnops.connectors.chatwoot import shapes
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.domain.conversations import Conversation
from cairnops.errors import RemoteError

#: The inbox they live in.
INBOX = "cairnops sandbox"

#: Set last: without it the next run finishes what an interrupted one left.
_COMPLETE = "cairnops_complete"

_SPOKEN = {0: "incoming", 1: "outgoing"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A scenario's conversation."""

    pack: str
    scenario: str
    #: As it stands when the scenario begins at that moment (UTC).
    world: Callable[[datetime], Conversation]


@dataclass(frozen=True, kw_only=True, slots=True)
class Put:
    """A case in the account."""

    scenario: str
    #: The number the help desk gave it.
    conversation: str
    customer: str
    #: When the scenario began there (UTC); seeding again does not begin it again.
    began: datetime
    state: Literal["made", "finished", "there already"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Removed:
    """What was taken away."""

    conversations: tuple[str, ...]
    #: Made-up customers; one who has other conversations stays.
    contacts: int


class Sandbox:
    """The cases of packs in one account, over its client.

    Every call raises RemoteError when the help desk cannot be reached or refuses; what was done until then
    stays, and the same call again goes on from there.
    """

    def __init__(self, client: ChatwootClient):
        self._client = client

    def why(self, account: str) -> str:
        """What says that an account of this name is one to practise in; empty when nothing does."""
        if httpx.URL(self._client.base_url).host in ("127.0.0.1", "::1", "localhost"):
            return "the help desk runs on this machine"
        return "the account is called a sandbox" if re.search(r"\bsandbox\b", account, re.I) else ""

    async def account(self) -> str:
        """The account's name, as the token's owner sees it."""
        found = next(
            (a for a in (await self._client.profile())["accounts"] if a["id"] == self._client.account_id),
            None,
        )
        if found is not None:
            return str(found.get("name") or "")
        raise RemoteError(
            f"the token's owner does not belong to account {self._client.account_id}",
            hint="cairnops chatwoot smoke says what is wrong.",
        )

    async def fill(self, cases: Sequence[Case], at: datetime, session: str = "") -> list[Put]:
        """Put the cases there, beginning at `at` (UTC), each once in a session; those that are there are left alone."""
        inbox = await self._inbox()
        if inbox is None:
            inbox = await self._make_inbox()
        there = {_mark(row): row for row in await self._ours(inbox)}
        return [
            await self._put(case, at, session, inbox, there.get((case.pack, case.scenario, session)))
            for case in cases
        ]

    async def clear(self, pack: str, session: str = "") -> Removed:
        """Take away what `fill` put there for this pack and session, and nothing else."""
        inbox = await self._inbox()
        rows = [] if inbox is None else await self._ours(inbox)
        gone = [str(row["id"]) for row in rows if (_mark(row)[0], _mark(row)[2]) == (pack, session)]
        for key in gone:
            # Older servers cannot remove a conversation by itself; it goes with its customer.
            await self._client.remove(f"/conversations/{key}")
        people = _identifier(pack, session, "")
        contacts = 0
        for row in await self._client.rows("/contacts/search", {"q": people}):
            if not str(row.get("identifier") or "").startswith(people):
                continue
            left = await self._client.rows(f"/contacts/{row['id']}/conversations")
            if {str(c["id"]) for c in left} <= set(gone):
                contacts += await self._client.remove(f"/contacts/{row['id']}")
        if contacts == _PEOPLE_PER_PAGE:
            more = await self.clear(pack, session)
            gone, contacts = [*gone, *more.conversations], contacts + more.contacts
        return Removed(conversations=tuple(gone), contacts=contacts)

    async def _put(
        self, case: Case, at: datetime, session: str, inbox: int, row: dict[str, Any] | None
    ) -> Put:
        attributes = dict(row["custom_attributes"]) if row else {}
        began = codec.moment(attributes[shapes.BEGAN]) if row else at
        world = case.world(began)
        seed = shapes.to_seed(world)
        if row is None:
            attributes = {
                shapes.PACK: case.pack,
                shapes.SCENARIO: case.scenario,
                shapes.SESSION: session,
                shapes.BEGAN: codec.stamp(began),
                shapes.CREATED: codec.stamp(world.created_at),
            } | seed["custom_attributes"]
            row = await self._make(world, session, case.pack, inbox, attributes)
            state: Literal["made", "finished", "there already"] = "made"
        else:
            state = "there already" if _COMPLETE in attributes else "finished"
        if state != "there already":
            await self._finish(str(row["id"]), seed, attributes)
        return Put(
            scenario=case.scenario,
            conversation=str(row["id"]),
            customer=world.customer,
            began=began,
            state=state,
        )

    async def _make(
        self, world: Conversation, session: str, pack: str, inbox: int, attributes: dict[str, Any]
    ) -> dict[str, Any]:
        known_as = _identifier(pack, session, world.customer_key)
        body = {
            "source_id": known_as,
            "inbox_id": inbox,
            "contact_id": await self._contact(known_as, world.customer, inbox),
            "status": "open",
            "custom_attributes": attributes,
            "additional_attributes": dict(world.extra),
        }
        return shapes.record(await self._client.put("POST", "/conversations", body), "the conversation made")

    async def _finish(self, key: str, seed: dict[str, Any], attributes: dict[str, Any]) -> None:
        place = f"/conversations/{key}"
        said = {
            row["content_attributes"].get(shapes.PLACE)
            for row in await self._client.every_message(key)
            if shapes.is_record(row.get("content_attributes"))
        }
        for number, message in enumerate(seed["messages"], 1):
            # Activity is written by the help desk alone; the history it would tell is among the attributes.
            if number in said or message["message_type"] not in _SPOKEN:
                continue
            body = {
                "content": message["content"],
                "message_type": _SPOKEN[message["message_type"]],
                "private": message["private"],
                "content_attributes": {shapes.PLACE: number, shapes.WRITTEN: message["created_at"]},
            }
            await self._client.put("POST", f"{place}/messages", body)
        if seed["labels"]:
            await self._client.put("POST", f"{place}/labels", {"labels": seed["labels"]})
        if seed["priority"]:
            await self._client.put("POST", f"{place}/toggle_priority", {"priority": seed["priority"]})
        if seed["status"] != "open":
            # Only now: a customer's message opens what is closed.
            await self._client.put("POST", f"{place}/toggle_status", {"status": seed["status"]})
        whole = {"custom_attributes": attributes | {_COMPLETE: "yes"}}
        await self._client.put("POST", f"{place}/custom_attributes", whole)

    async def _contact(self, identifier: str, name: str, inbox: int) -> int:
        for row in await self._client.rows("/contacts/search", {"q": identifier}):
            if row.get("identifier") == identifier:
                return int(row["id"])
        body = {"inbox_id": inbox, "name": name, "identifier": identifier, "source_id": identifier}
        made = await self._client.put("POST", "/contacts", body)
        found = made.get("payload", made) if shapes.is_record(made) else made
        return int(
            shapes.record(
                found.get("contact", found) if shapes.is_record(found) else found, "the contact made"
            )["id"]
        )

    async def _inbox(self) -> int | None:
        """The number of our inbox; None when there is none yet."""
        for row in await self._client.rows("/inboxes"):
            if row.get("name") != INBOX:
                continue
            if row.get("channel_type") != "Channel::Api" or row.get("webhook_url"):
                raise RemoteError(
                    f"the inbox “{INBOX}” is no API inbox or calls a webhook: answers would leave the account",
                    hint="Rename it, or take its webhook away; cairnops makes one of its own.",
                )
            return int(row["id"])
        return None

    async def _make_inbox(self) -> int:
        body = {
            "name": INBOX,
            "channel": {"type": "api"},
            "enable_auto_assignment": False,
            "csat_survey_enabled": False,
            "greeting_enabled": False,
        }
        return int(shapes.record(await self._client.put("POST", "/inboxes", body), "the inbox made")["id"])

    async def _ours(self, inbox: int) -> list[dict[str, Any]]:
        rows = await self._client.every_conversation({"inbox_id": inbox})
        return [row for row in rows if _mark(row)[0] and row.get("inbox_id") == inbox]


_PEOPLE_PER_PAGE = 15


def _mark(row: dict[str, Any]) -> tuple[str, str, str]:
    given = row["custom_attributes"] if shapes.is_record(row.get("custom_attributes")) else {}
    return (
        str(given.get(shapes.PACK) or ""),
        str(given.get(shapes.SCENARIO) or ""),
        str(given.get(shapes.SESSION) or ""),
    )


def _identifier(pack: str, session: str, person: str) -> str:
    """How a made-up customer is known: one person a pack and session, so that no session is another's history."""
    return f"cairnops:{pack}:{session}:{person}"
