"""Which of Chatwoot's calls the simulated help desk answers, and in which shapes."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cairnops.connectors.chatwoot import forms, shapes
from cairnops.connectors.chatwoot.account import AccountCalls
from cairnops.connectors.chatwoot.faults import Fault
from cairnops.connectors.chatwoot.hooks import Subscriptions
from cairnops.connectors.chatwoot.state import ACTIVITY, INCOMING, OUTGOING, Seed, State
from cairnops.errors import RemoteError

# Chatwoot's own numbers: ConversationFinder, MessageFinder, Message.
CONVERSATIONS_PER_PAGE = 25
MESSAGES_PER_WINDOW = 20
MESSAGES_AFTER = 100
MESSAGES_BETWEEN = 1000
CONTENT_LIMIT = 150_000

STATUSES = ("open", "resolved", "pending", "snoozed")
PRIORITIES = ("urgent", "high", "medium", "low")
_TYPES = {"incoming": INCOMING, "outgoing": OUTGOING, "activity": ACTIVITY}
_TYPES |= {str(number): number for number in _TYPES.values()}
_STATUS_TOLD = {
    "open": "Conversation was reopened by {}",
    "resolved": "Conversation was marked resolved by {}",
    "pending": "Conversation was marked as pending by {}",
    "snoozed": "Conversation was snoozed by {}",
}
_FAULTS = TypeAdapter(list[Fault])


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer. ASCII escapes, so that any text a client managed to send can be sent back."""
    return Response(json.dumps(body), status, headers, media_type="application/json")


def refusal(status: int, sentence: str) -> HTTPException:
    """An error in Chatwoot's shape, `{"error": …}`."""
    return HTTPException(status, sentence)


class Api:
    """Handlers over one state; each is a plain function of the request and its JSON body."""

    def __init__(self, state: State):
        self.state = state

    def routes(self) -> list[Route]:
        """Chatwoot's calls under `/api/v1`, the simulator's own under `/simulator`."""
        account = f"/api/v1/accounts/{self.state.account_id}"
        conversation = account + "/conversations/{id:int}"
        table: list[tuple[str, str, Callable[[Request, Any], object]]] = [
            ("GET", f"{account}/conversations", self.conversations),
            ("GET", f"{account}/conversations/meta", self.counts),
            ("POST", f"{account}/conversations/filter", self.filtered),
            ("GET", conversation, lambda request, _: self.shown(self._conversation(request))),
            ("PATCH", conversation, self.update),
            ("GET", conversation + "/messages", self.messages),
            ("POST", conversation + "/messages", self.create_message),
            ("GET", conversation + "/labels", lambda request, _: self._labels(self._conversation(request))),
            ("POST", conversation + "/labels", self.replace_labels),
            ("POST", conversation + "/toggle_status", self.toggle_status),
            ("POST", conversation + "/toggle_priority", self.toggle_priority),
            ("POST", conversation + "/assignments", self.assign),
            ("POST", conversation + "/custom_attributes", self.custom_attributes),
            *Subscriptions(self.state).routes(account),
            ("GET", "/simulator/health", self.health),
            ("POST", "/simulator/conversations", self.seed),
            ("GET", "/simulator/conversations/{id:int}", self.has),
            ("POST", "/simulator/conversations/{id:int}/customer", self.customer),
            ("GET", "/simulator/messages", self.received),
            ("POST", "/simulator/faults", self.set_faults),
            ("GET", "/simulator/faults", self.faults),
            ("GET", "/simulator/requests", lambda *_: {"requests": self.state.requests()}),
            ("POST", "/simulator/clock", self.clock),
            ("POST", "/simulator/reset", self.reset),
            ("DELETE", "/simulator/reset", self.reset),
            *AccountCalls(self).table(),
        ]
        return [Route(path, _handled(handler), methods=[method]) for method, path, handler in table]

    # conversations

    def conversations(self, request: Request, _: Any) -> object:
        """`GET conversations`: 25 a page, latest activity first, with the counts before the assignee filter."""
        found = self._found(request)
        shown = self._by_assignee(found, request.query_params.get("assignee_type", "all"))
        page = [self.shown(row) for row in _page(shown, request, CONVERSATIONS_PER_PAGE)]
        return {"data": {"meta": self._counted(found), "payload": page}}

    def counts(self, request: Request, _: Any) -> object:
        """`GET conversations/meta`."""
        return {"meta": self._counted(self._found(request))}

    def filtered(self, request: Request, body: Any) -> object:
        """`POST conversations/filter`: conditions joined by AND and OR, AND binding tighter as in SQL."""
        groups: list[list[Any]] = [[]]
        for condition in _list(_object(body).get("payload"), "payload"):
            groups[-1].append(condition)
            joined = str(_object(condition).get("query_operator") or "AND").upper()
            if joined == "OR":
                groups.append([])
            elif joined != "AND":
                raise refusal(422, f"Invalid query operator - {joined}")
        found = [
            row
            for row in self.state.conversations()
            if any(group and all(_holds(condition, row) for condition in group) for group in groups)
        ]
        page = [self.shown(row) for row in _page(found, request, CONVERSATIONS_PER_PAGE)]
        return {"meta": self._counted(found), "payload": page}

    def update(self, request: Request, body: Any) -> object:
        """`PATCH conversations/{id}`: the priority, and like Chatwoot nothing else."""
        row = self._conversation(request)
        given = _object(body)
        return self.shown(self._set_priority(row, given["priority"]) if "priority" in given else row)

    def toggle_priority(self, request: Request, body: Any) -> object:
        """`POST toggle_priority`: empty 200."""
        self._set_priority(self._conversation(request), _object(body).get("priority"))
        return Response()

    def toggle_status(self, request: Request, body: Any) -> object:
        """`POST toggle_status`: the status given, else open becomes resolved and all else open."""
        row = self._conversation(request)
        given = _object(body)
        status = given.get("status") or ("resolved" if row["status"] == "open" else "open")
        if status not in STATUSES:
            raise refusal(422, f"'{status}' is not a valid status")
        told = {
            "content": _STATUS_TOLD[status].format(self._owner()["name"]),
            "content_attributes": {"activity": {"type": "conversation_status_changed", "status": status}},
        }
        until = given.get("snoozed_until") if status == "snoozed" else None
        changed = self.state.change(
            row["id"], {"status": status, "snoozed_until": until}, [told] if status != row["status"] else []
        )
        payload = {
            "success": True,
            "conversation_id": row["id"],
            "current_status": changed["status"],
            "snoozed_until": until,
        }
        return {"meta": {}, "payload": payload}

    def replace_labels(self, request: Request, body: Any) -> object:
        """`POST labels`: the list given *replaces* the one that stands."""
        row = self._conversation(request)
        wanted = [str(name) for name in dict.fromkeys(_list(_object(body).get("labels"), "labels"))]
        name = self._owner()["name"]
        added = [label for label in wanted if label not in row["labels"]]
        removed = [label for label in row["labels"] if label not in wanted]
        told = [
            f"{name} {verb} {', '.join(which)}"
            for verb, which in (("added", added), ("removed", removed))
            if which
        ]
        return self._labels(self.state.change(row["id"], {"labels": wanted}, told))

    def assign(self, request: Request, body: Any) -> object:
        """`POST assignments`: an agent or a team; answers with it."""
        row = self._conversation(request)
        given = _object(body)
        for field, kind in (("assignee_id", "agent"), ("team_id", "team")):
            if field not in given:
                continue
            who = self.state.record(kind, given[field]) if isinstance(given[field], int) else None
            if given[field] and who is None:
                raise refusal(404, "Resource could not be found")
            key = who["id"] if who else None
            told = f"Assigned to {who['name']} by {self._owner()['name']}" if who else ""
            self.state.change(row["id"], {field: key}, [told] if told and key != row[field] else [])
            return (self.agent(who) if kind == "agent" else who) if who else None
        return None

    def custom_attributes(self, request: Request, body: Any) -> object:
        """`POST custom_attributes`: replaces them."""
        row = self._conversation(request)
        given = _object(_object(body).get("custom_attributes"))
        self.state.change(row["id"], {"custom_attributes": given})
        return {"custom_attributes": given}

    # messages

    def messages(self, request: Request, _: Any) -> object:
        """`GET messages`: the newest 20, or a window set by `before` and `after` (ids); ascending inside."""
        row = self._conversation(request)
        rows = self.state.messages(row["id"])
        if request.query_params.get("filter_internal_messages"):
            rows = [m for m in rows if not m["private"] and m["message_type"] != ACTIVITY]
        before, after = (_number(request.query_params.get(name)) for name in ("before", "after"))
        if before and after:
            rows = [m for m in rows if after <= m["id"] < before][:MESSAGES_BETWEEN]
        elif before:
            rows = [m for m in rows if m["id"] < before][-MESSAGES_PER_WINDOW:]
        elif after:
            rows = [m for m in rows if m["id"] > after][:MESSAGES_AFTER]
        else:
            rows = rows[-MESSAGES_PER_WINDOW:]
        meta = {
            "labels": row["labels"],
            "additional_attributes": row["additional_attributes"],
            "contact": self.contact(row["contact_id"]),
            "agent_last_seen_at": 0,
            "assignee_last_seen_at": 0,
        }
        return {"meta": meta, "payload": [self._message(m, row) for m in rows]}

    def create_message(self, request: Request, body: Any) -> object:
        """`POST messages`: public or private, outgoing unless told otherwise; `echo_id` is only sent back."""
        row = self._conversation(request)
        given = _object(body)
        kind = _TYPES.get(str(given.get("message_type", "outgoing")))
        content = given.get("content")
        if kind is None:
            raise refusal(422, f"'{given['message_type']}' is not a valid message_type")
        if content is not None and not isinstance(content, str):
            raise refusal(422, "Content is not text")
        inbox = self.state.record("inbox", row["inbox_id"])
        if kind == INCOMING and inbox and inbox["channel_type"] != "Channel::Api":
            raise refusal(422, "Incoming messages are only allowed in Api inboxes")
        if len(content or "") > CONTENT_LIMIT:
            raise refusal(422, f"Content is too long (maximum is {CONTENT_LIMIT} characters)")
        attributes = given.get("content_attributes")
        if isinstance(attributes, str):
            # A form can hold it in no other way.
            with suppress(ValueError):
                attributes = json.loads(attributes)
        made = self.state.add_message(
            row["id"],
            {
                "message_type": kind,
                "content": content,
                "private": given.get("private") in (True, "true", 1),
                "content_type": given.get("content_type") or "text",
                "content_attributes": attributes if isinstance(attributes, dict) else {},
                "source_id": given.get("source_id"),
            },
        )
        echo = {"echo_id": given["echo_id"]} if given.get("echo_id") else {}
        return self._message(made, row) | echo

    # the simulator's own surface

    def health(self, *_: Any) -> object:
        """How much there is."""
        return {
            "ok": True,
            "account_id": self.state.account_id,
            "conversations": len(self.state.conversations()),
            "messages": len(self.state.messages()),
            "requests": len(self.state.requests()),
        }

    def seed(self, _: Request, body: Any) -> object:
        """Put one conversation as it should stand."""
        seed = Seed.model_validate(body)
        self.state.seed(seed)
        return self.shown(self._existing(seed.id))

    def has(self, request: Request, _: Any) -> object:
        """Whether a conversation is there."""
        key = request.path_params["id"]
        return {"exists": key < 2**53 and self.state.conversation(key) is not None}

    def customer(self, request: Request, body: Any) -> object:
        """The customer writes `text` at `at`, once per `key`."""
        given = _object(body)
        key, text = self._existing(request.path_params["id"])["id"], given.get("text")
        if not isinstance(text, str) or not text:
            raise refusal(422, "text is not a text")
        try:
            at = int(shapes.moment(given.get("at"), "at").timestamp())
        except RemoteError as error:
            raise refusal(422, str(error)) from None
        self.state.customer_says(key, text, at, str(given.get("key", "")))
        return {"ok": True}

    def received(self, request: Request, _: Any) -> object:
        """Every message, or those of `conversation_id`, each with its run key."""
        key = request.query_params.get("conversation_id")
        if key is not None and _number(key) is None:
            raise refusal(422, "conversation_id is not a number")
        rows = self.state.messages(None if key is None else _number(key))
        return {"messages": [row | {"run_key": shapes.run_key(row)} for row in rows]}

    def set_faults(self, _: Request, body: Any) -> object:
        """Replace the fault rules: a list, or one under `faults`."""
        rules = _FAULTS.validate_python(body.get("faults") if isinstance(body, dict) else body)
        self.state.set_faults(rules)
        return {"faults": len(rules)}

    def faults(self, *_: Any) -> object:
        """The rules in force, and how many requests fitted each so far."""
        return {
            "faults": [
                fault.model_dump(exclude_none=True) | {"seen": seen} for fault, seen in self.state.faults()
            ]
        }

    def clock(self, _: Request, body: Any) -> object:
        """Let the clock stand at `now` (epoch seconds or ISO); null gives it back the machine's."""
        given = _object(body).get("now")
        try:
            self.state.set_now(None if given is None else int(shapes.moment(given, "now").timestamp()))
        except RemoteError as error:
            raise refusal(422, str(error)) from None
        return {"now": self.state.now()}

    def reset(self, *_: Any) -> object:
        """Forget everything."""
        self.state.reset()
        return {"ok": True}

    # shapes

    def shown_by(self, key: int) -> dict[str, Any]:
        """The conversation of that number, which exists, as Chatwoot shows it."""
        return self.shown(self._existing(key))

    def message(self, row: dict[str, Any]) -> dict[str, Any]:
        """One of its messages."""
        return self._message(row, self._existing(row["conversation_id"]))

    def _conversation(self, request: Request) -> dict[str, Any]:
        return self._existing(request.path_params["id"])

    def _existing(self, key: int) -> dict[str, Any]:
        row = self.state.conversation(key) if key < 2**53 else None
        if row is None:
            raise refusal(404, "Resource could not be found")
        return row

    def _found(self, request: Request) -> list[dict[str, Any]]:
        query = request.query_params
        rows = self.state.conversations()
        wanted = query.get("q")
        status = query.get("status") or "open"
        if wanted:
            rows = [row for row in rows if self._says(row["id"], wanted.casefold())]
        elif status != "all":
            rows = [row for row in rows if row["status"] == status]
        for field in ("inbox_id", "team_id"):
            if query.get(field):
                rows = [row for row in rows if row[field] == _number(query[field])]
        labels = {name.casefold() for name in (*query.getlist("labels[]"), *query.getlist("labels"))}
        return [row for row in rows if not labels or labels & {name.casefold() for name in row["labels"]}]

    def _says(self, key: int, wanted: str) -> bool:
        said = (m for m in self.state.messages(key) if m["message_type"] in (INCOMING, OUTGOING))
        return any(wanted in (m["content"] or "").casefold() for m in said)

    def _by_assignee(self, rows: list[dict[str, Any]], wanted: str) -> list[dict[str, Any]]:
        me = self._owner()["id"]
        kept: dict[str, Callable[[Any], bool]] = {
            "me": lambda who: who == me,
            "unassigned": lambda who: who is None,
            "assigned": lambda who: who is not None,
        }
        return [row for row in rows if kept.get(wanted, lambda _: True)(row["assignee_id"])]

    def _counted(self, rows: list[dict[str, Any]]) -> dict[str, int]:
        counts = {f"{kind}_count": len(self._by_assignee(rows, kind)) for kind in ("unassigned", "assigned")}
        return {"mine_count": len(self._by_assignee(rows, "me")), **counts, "all_count": len(rows)}

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        """A conversation as Chatwoot shows it."""
        messages = self.state.messages(row["id"])
        public = [m for m in messages if not m["private"] and m["message_type"] in (INCOMING, OUTGOING)]
        replies = [m["created_at"] for m in public if m["message_type"] == OUTGOING]
        unanswered: list[dict[str, Any]] = []
        for m in public:
            unanswered = [*unanswered, m] if m["message_type"] == INCOMING else []
        last = max([row["created_at"], *(m["created_at"] for m in messages)])
        meta: dict[str, Any] = {"sender": self.contact(row["contact_id"]), "channel": "Channel::Api"}
        if assignee := self.state.record("agent", row["assignee_id"]):
            meta["assignee"] = self.agent(assignee)
        if team := self.state.record("team", row["team_id"]):
            meta["team"] = team
        return {
            "meta": meta | {"hmac_verified": False},
            "id": row["id"],
            "messages": [self._message(m, row) for m in messages[-1:]],
            "account_id": self.state.account_id,
            "additional_attributes": row["additional_attributes"],
            "custom_attributes": row["custom_attributes"],
            "agent_last_seen_at": 0,
            "assignee_last_seen_at": 0,
            "contact_last_seen_at": 0,
            "can_reply": True,
            "inbox_id": row["inbox_id"],
            "labels": row["labels"],
            "muted": False,
            "snoozed_until": row["snoozed_until"],
            "status": row["status"],
            "created_at": row["created_at"],
            "updated_at": row.get("updated_at", row["created_at"]),
            "timestamp": last,
            "last_activity_at": last,
            "first_reply_created_at": min(replies, default=0),
            "unread_count": len(unanswered),
            "priority": row["priority"],
            "waiting_since": unanswered[0]["created_at"] if unanswered else 0,
            "sla_policy_id": (row.get("applied_sla") or {}).get("sla_id"),
            **({"applied_sla": row["applied_sla"], "sla_events": []} if row.get("applied_sla") else {}),
        }

    def _message(self, row: dict[str, Any], conversation: dict[str, Any]) -> dict[str, Any]:
        shown = {
            "id": row["id"],
            "content": row["content"],
            "inbox_id": conversation["inbox_id"],
            "conversation_id": conversation["id"],
            "message_type": row["message_type"],
            "content_type": row["content_type"],
            "status": "sent",
            "content_attributes": row["content_attributes"],
            "created_at": row["created_at"],
            "private": row["private"],
            "source_id": row.get("source_id"),
        }
        if row["message_type"] == INCOMING:
            shown["sender"] = (self.contact(conversation["contact_id"]) or {}) | {"type": "contact"}
        elif row["message_type"] == OUTGOING:
            owner = self._owner()
            shown["sender"] = {"id": owner["id"], "name": owner["name"], "type": "user", "thumbnail": ""}
        return shown

    def contact(self, key: int) -> dict[str, Any] | None:
        """A contact as Chatwoot shows it; None when there is none."""
        found = self.state.record("contact", key)
        if found is None:
            return None
        return found | {
            "thumbnail": "",
            "blocked": False,
            "availability_status": "offline",
            "contact_inboxes": [
                {"source_id": link["source_id"], "inbox": self.state.record("inbox", link["inbox_id"])}
                for link in found.get("contact_inboxes", ())
            ],
        }

    def agent(self, row: dict[str, Any]) -> dict[str, Any]:
        """An agent as Chatwoot shows it."""
        return row | {"account_id": self.state.account_id, "available_name": row["name"], "thumbnail": ""}

    def _owner(self) -> dict[str, Any]:
        return self.state.records("agent")[0]

    def _labels(self, row: dict[str, Any]) -> object:
        return {"payload": row["labels"]}

    def _set_priority(self, row: dict[str, Any], given: object) -> dict[str, Any]:
        wanted = None if given in (None, "", "none", "nil") else given
        if wanted is not None and wanted not in PRIORITIES:
            raise refusal(422, f"'{given}' is not a valid priority")
        told = f"{self._owner()['name']} set the priority to {wanted or 'none'}"
        return self.state.change(row["id"], {"priority": wanted}, [told] if wanted != row["priority"] else [])


def _handled(handler: Callable[[Request, Any], object]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            body = forms.read(request.headers.get("content-type", ""), raw)
        except ValueError:
            raise refusal(400, "The body is neither JSON nor a form") from None
        try:
            made = handler(request, body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise refusal(422, f"{where}: {first['msg']}" if where else first["msg"]) from None
        return made if isinstance(made, Response) else answer(made)

    return endpoint


def _object(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refusal(422, "The body is not an object")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise refusal(422, f"{what} is not a list")
    return value


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,16}", text) else None


def _page_number(request: Request) -> int:
    return max(_number(request.query_params.get("page")) or 1, 1)


def _page(rows: list[dict[str, Any]], request: Request, size: int) -> list[dict[str, Any]]:
    start = (_page_number(request) - 1) * size
    return rows[start : start + size]


_FIELDS = {
    "status": "status",
    "labels": "labels",
    "inbox_id": "inbox_id",
    "team_id": "team_id",
    "assignee_id": "assignee_id",
    "priority": "priority",
    "display_id": "id",
    "created_at": "created_at",
    "last_activity_at": "last_activity_at",
}


def _holds(condition: dict[str, Any], row: dict[str, Any]) -> bool:
    key, operator = condition.get("attribute_key"), condition.get("filter_operator")
    if key not in _FIELDS:
        raise refusal(422, f"Invalid attribute key - [{key}]. The key should be one of [{','.join(_FIELDS)}]")
    standing = row[_FIELDS[key]]
    has = {str(value).casefold() for value in (standing if isinstance(standing, list) else [standing])}
    has -= {"none"} if standing is None else set()
    given = condition.get("values")
    wanted = {str(value).casefold() for value in (given if isinstance(given, list) else [given])}
    if operator in ("is_present", "is_not_present"):
        return bool(has) is (operator == "is_present")
    if operator in ("equal_to", "not_equal_to"):
        equal = bool(has & wanted) or (key == "status" and "all" in wanted)
        return equal is (operator == "equal_to")
    if operator in ("is_greater_than", "is_less_than") and key in ("created_at", "last_activity_at"):
        bound = _epoch_of(next(iter(wanted)))
        return bool(standing > bound if operator == "is_greater_than" else standing < bound)
    raise refusal(
        422, f"Invalid operator. The allowed operators for {key} are [equal_to,not_equal_to,is_present]"
    )


def _epoch_of(text: str) -> int:
    try:
        return int(shapes.moment(text.upper(), "a date").timestamp())
    except RemoteError:
        raise refusal(422, "Invalid value. The values provided are invalid") from None
