"""What the simulated help desk answers about its account and its contacts, and what it lets be made and removed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from cairnops.connectors.chatwoot.api import Api

#: What `GET /api` tells; the simulator speaks this version's API.
VERSION = "4.8.0"

CONTACTS_PER_PAGE = 15

_NOT_ALLOWED = "You are not authorized to do this action"


class Person(BaseModel):
    """An agent of the account."""

    model_config = ConfigDict(extra="forbid")
    name: str
    email: str
    role: str = Field(default="agent", pattern="^(agent|administrator)$")


class Furnished(BaseModel):
    """What an administrator would set up on Chatwoot's settings pages; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    status: str | None = Field(default=None, pattern="^(active|suspended)$")
    #: Of the token's owner.
    role: str | None = Field(default=None, pattern="^(agent|administrator)$")
    #: Of the token's owner, when their role is one the account made itself.
    permissions: list[str] | None = None
    #: The token is a bot's: it may write to conversations and read nothing.
    bot: bool | None = None
    features: dict[str, bool] | None = None
    labels: list[str] | None = None
    teams: list[str] | None = None
    agents: list[Person] | None = None
    sla_policies: list[str] | None = None
    inboxes: list[dict[str, Any]] | None = None


class AccountCalls:
    """Handlers beside those of `Api`, over the same state."""

    def __init__(self, api: "Api"):
        self._api, self.state = api, api.state

    def table(self) -> list[tuple[str, str, Callable[[Request, Any], object]]]:
        """Method, path, handler."""
        account = f"/api/v1/accounts/{self.state.account_id}"
        return [
            ("GET", "/api", lambda *_: {"version": VERSION, "queue_services": "ok", "data_services": "ok"}),
            ("GET", "/api/v1/profile", self.profile),
            ("GET", account, self.account),
            (
                "GET",
                f"{account}/agents",
                lambda *_: [self._api.agent(a) for a in self.state.records("agent")],
            ),
            ("GET", f"{account}/inboxes", lambda *_: {"payload": self.state.records("inbox")}),
            ("GET", f"{account}/labels", lambda *_: {"payload": self.state.records("label")}),
            ("GET", f"{account}/teams", lambda *_: [self.team(t) for t in self.state.records("team")]),
            ("GET", f"{account}/sla_policies", lambda *_: {"payload": self.state.records("sla_policy")}),
            ("POST", f"{account}/inboxes", self.create_inbox),
            ("POST", f"{account}/conversations", self.create_conversation),
            ("DELETE", account + "/conversations/{id:int}", self.remove_conversation),
            ("GET", f"{account}/contacts", self.contacts),
            ("POST", f"{account}/contacts", self.create_contact),
            ("GET", f"{account}/contacts/search", self.search_contacts),
            ("GET", account + "/contacts/{id:int}", self.contact),
            ("GET", account + "/contacts/{id:int}/conversations", self.conversations_of),
            ("DELETE", account + "/contacts/{id:int}", self.remove_contact),
            ("POST", "/simulator/account", self.furnish),
        ]

    def profile(self, *_: Any) -> object:
        """`GET /api/v1/profile`: whose token this is."""
        owner, account = self.state.records("agent")[0], self.state.account()
        if owner.get("bot"):
            raise HTTPException(401, "Access to this endpoint is not authorized for bots")
        member = {
            "id": account["id"],
            "name": account["name"],
            "status": account["status"],
            "role": owner["role"],
            "permissions": owner.get("permissions") or [owner["role"]],
            "custom_role_id": 1 if owner.get("permissions") else None,
        }
        return self._api.agent(owner) | {"uid": owner["email"], "accounts": [member], "type": None}

    def account(self, *_: Any) -> object:
        """`GET accounts/{id}`."""
        found = self.state.account()
        return {
            "id": found["id"],
            "name": found["name"],
            "status": found["status"],
            "locale": "en",
            "domain": None,
            "support_email": None,
            "features": found["features"],
            "custom_attributes": {},
        }

    def team(self, row: dict[str, Any]) -> dict[str, Any]:
        """A team as Chatwoot shows it."""
        shown = {"description": None, "allow_auto_assign": True, "is_member": False}
        return shown | {"account_id": self.state.account_id} | row

    def contacts(self, request: Request, _: Any) -> object:
        """`GET contacts`: 15 a page."""
        return self._page(self.state.records("contact"), request)

    def search_contacts(self, request: Request, _: Any) -> object:
        """`GET contacts/search?q=`: in name, e-mail, phone number and identifier."""
        wanted = request.query_params.get("q", "").strip().casefold()
        if not wanted:
            raise HTTPException(422, "Specify search string with parameter q")
        fields = ("name", "email", "phone_number", "identifier")
        found = [
            c
            for c in self.state.records("contact")
            if any(wanted in (c[field] or "").casefold() for field in fields)
        ]
        return self._page(found, request)

    def contact(self, request: Request, _: Any) -> object:
        """`GET contacts/{id}`."""
        found = self._api.contact(request.path_params["id"])
        if found is None:
            raise HTTPException(404, "Resource could not be found")
        return {"payload": found}

    def create_contact(self, _: Request, body: Any) -> object:
        """`POST contacts`: known in one inbox; an e-mail address and an identifier belong to one contact only."""
        given = body if isinstance(body, dict) else {}
        inbox = self._named("inbox", given.get("inbox_id", 1))
        for field in ("identifier", "email"):
            if given.get(field) in {c[field] for c in self.state.records("contact") if c[field]}:
                raise HTTPException(422, f"{field.capitalize()} has already been taken")
        made = self.state.add_contact(given)
        link = self.state.link(made["id"], inbox["id"], str(given.get("source_id") or made["id"]))
        known = {"source_id": link["source_id"], "inbox": inbox}
        return {"payload": {"contact": self._api.contact(made["id"]), "contact_inbox": known}}

    def _page(self, rows: list[dict[str, Any]], request: Request) -> object:
        asked = request.query_params.get("page", "")
        number = max(int(asked), 1) if asked.isdecimal() and asked.isascii() and len(asked) < 10 else 1
        page = rows[(number - 1) * CONTACTS_PER_PAGE : number * CONTACTS_PER_PAGE]
        shown = [self._api.contact(row["id"]) for row in page]
        return {"meta": {"count": len(rows), "current_page": number}, "payload": shown}

    def create_inbox(self, _: Request, body: Any) -> object:
        """`POST inboxes`: an API inbox; administrators only."""
        self._administrator()
        given = body if isinstance(body, dict) else {}
        channel = given.get("channel") if isinstance(given.get("channel"), dict) else {}
        if channel.get("type") != "api":
            raise HTTPException(422, "Only inboxes of the type api are simulated")
        if not isinstance(given.get("name"), str) or not given["name"]:
            raise HTTPException(422, "Name can't be blank")
        return self.state.add_inbox(given["name"], channel.get("webhook_url"))

    def create_conversation(self, _: Request, body: Any) -> object:
        """`POST conversations`: for a contact, in an inbox; its first message may come with it."""
        given = body if isinstance(body, dict) else {}
        inbox = self._named("inbox", given.get("inbox_id"))
        contact = self._named("contact", given.get("contact_id"))
        status = given.get("status") or "open"
        if status not in ("open", "resolved", "pending", "snoozed"):
            raise HTTPException(422, f"'{status}' is not a valid status")
        self.state.link(contact["id"], inbox["id"], str(given.get("source_id") or contact["id"]))
        made = self.state.add_conversation(
            {
                "status": status,
                "contact_id": contact["id"],
                "inbox_id": inbox["id"],
                "team_id": given.get("team_id"),
                "assignee_id": given.get("assignee_id"),
                "custom_attributes": given.get("custom_attributes") or {},
                "additional_attributes": given.get("additional_attributes") or {},
            }
        )
        if isinstance(given.get("message"), dict) and given["message"].get("content"):
            self.state.add_message(made["id"], {"message_type": 1, "content": given["message"]["content"]})
        return self._api.shown(made)

    def remove_conversation(self, request: Request, _: Any) -> object:
        """`DELETE conversations/{id}`: administrators only; empty 200."""
        self._administrator()
        if self.state.conversation(request.path_params["id"]) is None:
            raise HTTPException(404, "Resource could not be found")
        self.state.remove_conversation(request.path_params["id"])
        return Response()

    def conversations_of(self, request: Request, _: Any) -> object:
        """`GET contacts/{id}/conversations`: the latest twenty."""
        contact = self._named("contact", request.path_params["id"])
        rows = [row for row in self.state.conversations() if row["contact_id"] == contact["id"]]
        return {"payload": [self._api.shown(row) for row in rows[:20]]}

    def remove_contact(self, request: Request, _: Any) -> object:
        """`DELETE contacts/{id}`: with all its conversations; administrators only; empty 200."""
        self._administrator()
        self.state.remove_contact(self._named("contact", request.path_params["id"])["id"])
        return Response()

    def furnish(self, _: Request, body: Any) -> object:
        """Set up the account, as an administrator would on Chatwoot's settings pages."""
        given = Furnished.model_validate(body)
        about = {name: getattr(given, name) for name in ("name", "status", "features")}
        self.state.change_account({k: v for k, v in about.items() if v is not None})
        owner = {name: getattr(given, name) for name in ("role", "permissions", "bot")}
        self.state.change_owner({k: v for k, v in owner.items() if v is not None})
        for kind, rows in (
            ("label", [{"title": title, "color": "#1f93ff"} for title in given.labels or ()]),
            ("team", [{"name": name} for name in given.teams or ()]),
            ("agent", [p.model_dump() | {"confirmed": True} for p in given.agents or ()]),
            ("sla_policy", [{"name": name} for name in given.sla_policies or ()]),
        ):
            self.state.furnish(kind, rows)
        for inbox in given.inboxes or ():
            self.state.add_inbox(str(inbox["name"]), inbox.get("webhook_url"), inbox.get("channel_type"))
        return self.account()

    def _administrator(self) -> None:
        if self.state.records("agent")[0]["role"] != "administrator":
            raise HTTPException(401, _NOT_ALLOWED)

    def _named(self, kind: str, key: object) -> dict[str, Any]:
        found = self.state.record(kind, key) if isinstance(key, int) and key < 2**53 else None
        if found is None:
            raise HTTPException(404, "Resource could not be found")
        return found
