"""What the simulated help desk remembers: one SQLite file that outlives the process writing it."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cairnops.connectors.chatwoot import shapes
from cairnops.connectors.chatwoot.faults import Fault, Hit
from cairnops.errors import RemoteError

INCOMING, OUTGOING, ACTIVITY = 0, 1, 2

_TABLES = """
create table if not exists records (kind text, id integer, doc text not null, primary key (kind, id));
create table if not exists conversations (id integer primary key, doc text not null);
create table if not exists messages (
  conversation_id integer, id integer, created_at integer not null, doc text not null,
  primary key (conversation_id, id)
);
create index if not exists messages_by_time on messages (conversation_id, created_at, id);
create table if not exists faults (position integer primary key, doc text not null, seen integer not null);
create table if not exists requests (id integer primary key autoincrement, doc text not null);
create table if not exists settings (name text primary key, value text);
"""

_OWNER: dict[str, Any] = {
    "id": 1,
    "name": "Desk",
    "email": "desk@example.test",
    "role": "administrator",
    "availability_status": "online",
    "confirmed": True,
}
# Chatwoot has no conversation outside an inbox, our seeds may: those share this one, which nobody named.
_INBOX: dict[str, Any] = {"id": 1, "name": "", "channel_id": 1, "channel_type": "Channel::Api"}


_ACCOUNT: dict[str, Any] = {"name": "Simulator", "status": "active", "features": {}}
_LABEL: dict[str, Any] = {"id": 1, "title": "escalation", "color": "#1f93ff"}

# JSON numbers stay exact up to here, and so does everything that reads them.
Id = Annotated[int, Field(ge=1, le=2**53 - 1)]


def _epoch(value: object) -> int:
    try:
        return int(shapes.moment(value, "a time").timestamp())
    except RemoteError as error:
        raise ValueError(str(error)) from None


class SeedContact(BaseModel):
    """The customer: known by `id`, else e-mail, else identifier; otherwise a new contact is made."""

    model_config = ConfigDict(extra="forbid")
    id: Id | None = None
    name: str = ""
    email: str | None = None
    identifier: str | None = None
    phone_number: str | None = None
    custom_attributes: dict[str, Any] = Field(default_factory=dict)
    additional_attributes: dict[str, Any] = Field(default_factory=dict)


class SeedMessage(BaseModel):
    """One message as it was; without an id it gets the next one."""

    model_config = ConfigDict(extra="forbid")
    id: Id | None = None
    message_type: int = Field(ge=0, le=3)
    content: str | None
    private: bool = False
    created_at: int | float | str
    content_type: str = "text"
    content_attributes: dict[str, Any] = Field(default_factory=dict)

    _whole_seconds = field_validator("created_at")(_epoch)


class Seed(BaseModel):
    """One conversation as it should stand, whatever was there under its id before."""

    model_config = ConfigDict(extra="forbid")
    id: Id
    contact: SeedContact = SeedContact()
    status: str = Field(default="open", pattern="^(open|pending|snoozed|resolved)$")
    priority: str | None = None
    created_at: int | float | str
    inbox: str = ""
    team: str = ""
    labels: list[str] = Field(default_factory=list)
    messages: list[SeedMessage] = Field(default_factory=list)
    custom_attributes: dict[str, Any] = Field(default_factory=dict)
    additional_attributes: dict[str, Any] = Field(default_factory=dict)
    #: The SLA policy applied, as Chatwoot shows it (`sla_id`, `sla_name`, `sla_status`, thresholds in seconds).
    applied_sla: dict[str, Any] | None = None
    #: What goes wrong for this conversation from now on; replaces its earlier rules.
    faults: list[Fault] = Field(default_factory=list)

    _whole_seconds = field_validator("created_at")(_epoch)

    @model_validator(mode="after")
    def _one_message_an_id(self) -> Self:
        ids = [m.id for m in self.messages if m.id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("two messages have the same id")
        return self


class State:
    """The help desk's records, in one SQLite file; safe to call from several threads of one process.

    Every public method that writes is one transaction, committed before it returns: what was answered
    survives a SIGKILL.
    """

    def __init__(self, path: Path, account_id: int):
        self.account_id = account_id
        self._lock = RLock()
        self._touched = 0.0
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("pragma journal_mode=wal")
            # Enough against a killed process; only a power cut could lose the last commits, and this is a
            # rehearsal.
            self._db.execute("pragma synchronous=normal")
            with self._transaction():
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                self._furnish()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file; the state in it stays."""
        with self._lock:
            self._db.close()

    def reset(self) -> None:
        """Forget conversations, contacts, faults and the request log."""
        with self._transaction():
            for table in ("records", "conversations", "messages", "faults", "requests", "settings"):
                self._db.execute(f"delete from {table}")
            self._db.execute("delete from sqlite_sequence")
            self._furnish()

    def _furnish(self) -> None:
        account = _ACCOUNT | {"id": self.account_id}
        for kind, row in (("agent", _OWNER), ("inbox", _INBOX), ("account", account), ("label", _LABEL)):
            if self.record(kind, row["id"]) is None:
                self._put(kind, row)

    # time

    def now(self) -> int:
        """Epoch seconds: the time that was set, else the machine's."""
        with self._lock:
            row = self._db.execute("select value from settings where name = 'now'").fetchone()
        return int(row[0]) if row else int(time.time())

    def set_now(self, at: int | None) -> None:
        """Let the desk's clock stand at `at` (epoch seconds); None gives it back the machine's."""
        with self._transaction():
            self._db.execute("delete from settings where name = 'now'")
            if at is not None:
                self._db.execute("insert into settings values ('now', ?)", (str(at),))

    # the account

    def account(self) -> dict[str, Any]:
        """Its id, name, status and features."""
        return self.record("account", self.account_id) or {}

    def change_account(self, fields: dict[str, Any]) -> None:
        """What the account has from now on."""
        with self._transaction():
            self._put("account", self.account() | fields)

    def change_owner(self, fields: dict[str, Any]) -> None:
        """What the token's owner is from now on."""
        with self._transaction():
            self._put("agent", self.records("agent")[0] | fields)

    def furnish(self, kind: str, rows: Iterable[dict[str, Any]]) -> None:
        """Add records of a kind, each under the next id."""
        with self._transaction():
            for row in rows:
                self._put(kind, row | {"id": self._next(kind)})

    def add_inbox(
        self, name: str, webhook_url: str | None, channel_type: str | None = None
    ) -> dict[str, Any]:
        """A new inbox, of the API channel unless told otherwise."""
        with self._transaction():
            key = self._next("inbox")
            more = {"id": key, "name": name, "channel_id": key, "webhook_url": webhook_url}
            return self._put(
                "inbox", _INBOX | more | ({"channel_type": channel_type} if channel_type else {})
            )

    def link(self, contact_id: int, inbox_id: int, source_id: str) -> dict[str, Any]:
        """How a contact is known in an inbox."""
        with self._transaction():
            contact = self.record("contact", contact_id) or {}
            made = {"inbox_id": inbox_id, "source_id": source_id}
            links = contact.get("contact_inboxes", [])
            self._put("contact", contact | {"contact_inboxes": [*links, *([] if made in links else [made])]})
            return made

    def remove_contact(self, contact_id: int) -> None:
        """The contact and all its conversations."""
        with self._transaction():
            for row in self.conversations():
                if row["contact_id"] == contact_id:
                    self.remove_conversation(row["id"])
            self._db.execute("delete from records where kind = 'contact' and id = ?", (contact_id,))

    # contacts, agents, inboxes, teams

    def record(self, kind: str, key: int | None) -> dict[str, Any] | None:
        """One `contact`, `agent`, `inbox` or `team` by id."""
        with self._lock:
            row = self._db.execute(
                "select doc from records where kind = ? and id = ?", (kind, key)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def records(self, kind: str) -> list[dict[str, Any]]:
        """All of a kind, by id."""
        with self._lock:
            rows = self._db.execute("select doc from records where kind = ? order by id", (kind,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def add_record(self, kind: str, row: dict[str, Any]) -> dict[str, Any]:
        """One of a kind, under its own id or the next one."""
        with self._transaction():
            return self._put(kind, row if "id" in row else row | {"id": self._next(kind)})

    def drop_record(self, kind: str, key: int) -> None:
        """Forget one of a kind."""
        with self._transaction():
            self._db.execute("delete from records where kind = ? and id = ?", (kind, key))

    def add_contact(self, given: dict[str, Any]) -> dict[str, Any]:
        """A new contact from Chatwoot's parameters."""
        with self._transaction():
            return self._put("contact", self._contact_fields(given) | {"id": self._next("contact")})

    def _contact_fields(self, given: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": given.get("name") or "",
            "email": given.get("email"),
            "identifier": given.get("identifier"),
            "phone_number": given.get("phone_number"),
            "custom_attributes": given.get("custom_attributes") or {},
            "additional_attributes": given.get("additional_attributes") or {},
            "created_at": self.now(),
        }

    def _known_contact(self, seed: SeedContact) -> int:
        if seed.id is not None:
            return seed.id
        for key in ("email", "identifier"):
            wanted = getattr(seed, key)
            for contact in self.records("contact") if wanted else ():
                if contact[key] == wanted:
                    return int(contact["id"])
        return self._next("contact")

    def _named(self, kind: str, name: str, fields: dict[str, Any]) -> int:
        for row in self.records(kind):
            if row["name"] == name:
                return int(row["id"])
        key = self._next(kind)
        self._put(kind, fields | {"id": key, "name": name})
        return key

    def _put(self, kind: str, row: dict[str, Any]) -> dict[str, Any]:
        self._db.execute(
            "insert or replace into records values (?, ?, ?)", (kind, row["id"], json.dumps(row))
        )
        return row

    def _next(self, kind: str) -> int:
        (top,) = self._db.execute("select max(id) from records where kind = ?", (kind,)).fetchone()
        return int(top or 0) + 1

    # conversations

    def seed(self, seed: Seed) -> None:
        """Put one conversation as it should stand; seeding the same id again replaces it, messages and all."""
        with self._transaction():
            contact = {"id": self._known_contact(seed.contact)}
            self._put("contact", self._contact_fields(seed.contact.model_dump()) | contact)
            inbox = (
                self._named("inbox", seed.inbox, {k: v for k, v in _INBOX.items() if k not in ("id", "name")})
                if seed.inbox
                else _INBOX["id"]
            )
            self._save(
                {
                    "id": seed.id,
                    "status": seed.status,
                    "priority": seed.priority,
                    "created_at": seed.created_at,
                    "labels": list(dict.fromkeys(seed.labels)),
                    "contact_id": contact["id"],
                    "inbox_id": inbox,
                    "team_id": self._named("team", seed.team, {}) if seed.team else None,
                    "assignee_id": None,
                    "snoozed_until": None,
                    "custom_attributes": seed.custom_attributes,
                    "additional_attributes": seed.additional_attributes,
                    "applied_sla": seed.applied_sla,
                }
            )
            self._db.execute("delete from messages where conversation_id = ?", (seed.id,))
            taken = {m.id for m in seed.messages if m.id is not None}
            for given in sorted(seed.messages, key=lambda m: m.created_at):
                key = given.id or self._next_message(taken)
                self._add_message(seed.id, given.model_dump() | {"id": key})
            others = [(f, seen) for f, seen in self.faults() if f.match.conversation_id != seed.id]
            self._keep_faults([*others, *((f, 0) for f in seed.faults)])

    def add_conversation(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A new conversation, now, under the next id."""
        with self._transaction():
            (top,) = self._db.execute("select max(id) from conversations").fetchone()
            row = {
                "priority": None,
                "labels": [],
                "snoozed_until": None,
                **fields,
                "id": int(top or 0) + 1,
                "created_at": self.now(),
            }
            self._save(row)
            return row

    def remove_conversation(self, key: int) -> None:
        """The conversation and its messages."""
        with self._transaction():
            self._db.execute("delete from messages where conversation_id = ?", (key,))
            self._db.execute("delete from conversations where id = ?", (key,))

    def conversation(self, key: int) -> dict[str, Any] | None:
        """One conversation's own fields."""
        with self._lock:
            row = self._db.execute("select doc from conversations where id = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def conversations(self) -> list[dict[str, Any]]:
        """All of them with `last_activity_at`, the latest activity first."""
        with self._lock:
            rows = self._db.execute(
                "select c.doc, max(m.created_at) from conversations c"
                " left join messages m on m.conversation_id = c.id group by c.id"
            ).fetchall()
        found = [json.loads(doc) for doc, _ in rows]
        for row, (_, last) in zip(found, rows, strict=True):
            row["last_activity_at"] = max(last or 0, row["created_at"])
        return sorted(found, key=lambda row: (row["last_activity_at"], row["id"]), reverse=True)

    def change(
        self, key: int, fields: dict[str, Any], told: Iterable[str | dict[str, Any]] = ()
    ) -> dict[str, Any]:
        """Change a conversation and tell so in activity messages, in one transaction.

        Args:
            key: a conversation that exists.
            fields: what it has from now on.
            told: activity texts, or messages' fields where there is more to say.
        """
        with self._transaction():
            row = self.conversation(key) or {}
            self._save(row | fields)
            for text in told:
                more = {"content": text} if isinstance(text, str) else text
                self.add_message(key, {"message_type": ACTIVITY} | more)
            return row | fields

    def _save(self, row: dict[str, Any]) -> None:
        # By the machine's clock, whatever day is played: of two states of a conversation it tells the later.
        self._touched = max(time.time(), self._touched + 0.000_002)
        row = row | {"updated_at": round(self._touched, 6)}
        self._db.execute("insert or replace into conversations values (?, ?)", (row["id"], json.dumps(row)))

    # messages

    def add_message(self, conversation_id: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Append a message, now, under the next id. A customer's message reopens what was closed."""
        with self._transaction():
            row = {
                "content": None,
                "content_type": "text",
                "content_attributes": {},
                "private": False,
                "created_at": self.now(),
                **fields,
                "id": self._next_message(),
            }
            self._add_message(conversation_id, row)
            if (conversation := self.conversation(conversation_id)) is not None:
                reopens = row["message_type"] == INCOMING and conversation["status"] in (
                    "resolved",
                    "snoozed",
                )
                self._save(conversation | ({"status": "open"} if reopens else {}))
            return row

    def customer_says(self, conversation_id: int, text: str, at: int, key: str) -> None:
        """The customer writes at `at` (epoch seconds); under the same key only once.

        What was closed opens again, told in an activity message as a status change is.
        """
        with self._transaction():
            said = [m["content_attributes"].get("simulator_key") for m in self.messages(conversation_id)]
            if key in said:
                return
            before = (self.conversation(conversation_id) or {}).get("status")
            self.add_message(
                conversation_id,
                {
                    "message_type": INCOMING,
                    "content": text,
                    "created_at": at,
                    "content_attributes": {"simulator_key": key},
                },
            )
            if before in ("resolved", "snoozed"):
                told = {"activity": {"type": "conversation_status_changed", "status": "open"}}
                self.add_message(
                    conversation_id,
                    {
                        "message_type": ACTIVITY,
                        "content": "Conversation was reopened by the customer",
                        "created_at": at,
                        "content_attributes": told,
                    },
                )

    def messages(self, conversation_id: int | None = None) -> list[dict[str, Any]]:
        """A conversation's messages, or everybody's, oldest first, each with its `conversation_id`."""
        where, given = (
            ("", ()) if conversation_id is None else (" where conversation_id = ?", (conversation_id,))
        )
        with self._lock:
            rows = self._db.execute(
                f"select conversation_id, doc from messages{where} order by conversation_id, created_at, id",
                given,
            ).fetchall()
        return [json.loads(doc) | {"conversation_id": key} for key, doc in rows]

    def _add_message(self, conversation_id: int, row: dict[str, Any]) -> None:
        self._db.execute(
            "insert into messages values (?, ?, ?, ?)",
            (conversation_id, row["id"], row["created_at"], json.dumps(row)),
        )

    def _next_message(self, taken: Set[int] = frozenset()) -> int:
        (top,) = self._db.execute("select max(id) from messages").fetchone()
        return max(int(top or 0), *taken, 0) + 1

    # faults and the request log

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Replace the fault rules; each counts its requests from one again."""
        with self._transaction():
            self._keep_faults([(fault, 0) for fault in faults])

    def _keep_faults(self, faults: Sequence[tuple[Fault, int]]) -> None:
        self._db.execute("delete from faults")
        self._db.executemany(
            "insert into faults values (?, ?, ?)",
            [
                (n, fault.model_dump_json(exclude_defaults=True), seen)
                for n, (fault, seen) in enumerate(faults)
            ],
        )

    def faults(self) -> list[tuple[Fault, int]]:
        """The rules in order, each with how many requests fitted it so far."""
        with self._lock:
            rows = self._db.execute("select doc, seen from faults order by position").fetchall()
        return [(Fault.model_validate_json(doc), seen) for doc, seen in rows]

    def receive(self, request: dict[str, Any]) -> Hit | None:
        """Log a request and say what goes wrong with it; the first rule that strikes counts.

        Counted and logged before anything else is done, so a restart goes on where the counting stood.
        """
        with self._transaction():
            hit: Hit | None = None
            for position, (fault, seen) in enumerate(self.faults()):
                if not fault.match.fits(request["call"], request["conversation_id"]):
                    continue
                self._db.execute("update faults set seen = seen + 1 where position = ?", (position,))
                action = fault.at(seen + 1)
                if action is not None and hit is None:
                    hit = Hit.of(fault, action)
            logged = request | {"fault": hit.action if hit else "", "at": self.now()}
            self._db.execute("insert into requests (doc) values (?)", (json.dumps(logged),))
        return hit

    def requests(self) -> list[dict[str, Any]]:
        """Every call received, oldest first, with `index` from 1."""
        with self._lock:
            rows = self._db.execute("select id, doc from requests order by id").fetchall()
        return [{"index": key} | json.loads(doc) for key, doc in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")
