"""How Chatwoot's JSON becomes a conversation of ours and back; a shape nobody can read is an error, not empty."""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard

from cairnops.domain.conversations import Author, Conversation, Message, Order, Status, StatusChange
from cairnops.errors import InputError, RemoteError

#: Where a message carries the run key of the effect it came from.
RUN_KEY = "cairnops_run_key"

#: Attributes of a conversation that was put there to practise on: where it comes from, and when it began in its
#: world. The help desk stamps everything with its own clock; a customer who waits for an hour already needs ours.
PACK, SCENARIO, SESSION = "cairnops_pack", "cairnops_scenario", "cairnops_session"
BEGAN, CREATED = "cairnops_began", "cairnops_created"

#: Where a message of such a conversation carries its place in it, and (Chatwoot's own word) when it was written.
PLACE, WRITTEN = "cairnops_place", "external_created_at"

#: Custom attribute with the status history, one `status time` a line. Chatwoot itself tells it in activity
#: messages only; a seed needs a place that is not a message.
STATUS_CHANGES = "status_changes"

_AUTHORS = {
    0: Author.CUSTOMER,
    1: Author.AGENT,
    2: Author.SYSTEM,
    # Templates (greetings, satisfaction forms) are sent by nobody: they must not stop a clock.
    3: Author.SYSTEM,
    "incoming": Author.CUSTOMER,
    "outgoing": Author.AGENT,
    "activity": Author.SYSTEM,
    "template": Author.SYSTEM,
}
_MESSAGE_TYPES = {Author.CUSTOMER: 0, Author.AGENT: 1, Author.SYSTEM: 2}

#: Activity text of a desk in English. Desks that fill `content_attributes.activity` need no words.
_STATUS_WORDS = (
    (re.compile(r"^Conversation was marked resolved\b", re.I), Status.RESOLVED),
    (re.compile(r"^Conversation was (?:marked )?reopened\b", re.I), Status.OPEN),
    (re.compile(r"^Conversation was marked as pending\b", re.I), Status.PENDING),
    (re.compile(r"^Conversation was (?:marked as )?snoozed\b", re.I), Status.SNOOZED),
)

# Seconds stay below this until the year 5138; milliseconds passed it in 1973.
_MILLISECONDS_FROM = 100_000_000_000

_ORDER_KEYS = frozenset(
    {"order_number", "order_total", "order_currency", "order_cues", "refund_pending", "return_in_progress"}
)
_SLA_KEYS = (
    "sla_name",
    "sla_status",
    "sla_first_response_time_threshold",
    "sla_next_response_time_threshold",
    "sla_resolution_time_threshold",
)
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0", "")


def is_record(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether this is a JSON object."""
    return isinstance(value, dict)


def items(body: object, what: str) -> list[dict[str, Any]]:
    """The rows of an answer: a list, or one under `payload`, `data` or `data.payload`.

    Raises:
        RemoteError: for anything else, naming the shape that came.
    """
    found = body
    if is_record(found) and "payload" not in found and "data" in found:
        found = found["data"]
    if is_record(found) and "payload" in found:
        found = found["payload"]
    if not isinstance(found, list):
        raise _unreadable(what, "a list of them", body)
    rows = [row for row in found if is_record(row)]
    if len(rows) != len(found):
        odd = next(row for row in found if not is_record(row))
        raise _unreadable(what, "objects in the list", odd)
    return rows


def record(body: object, what: str) -> dict[str, Any]:
    """The one object of an answer, bare or under `payload` or `data`; it must have an `id`.

    Raises:
        RemoteError: for anything else, naming the shape that came.
    """
    for candidate in (body, *(body.get(key) for key in ("payload", "data") if is_record(body))):
        if is_record(candidate) and "id" in candidate:
            return candidate
    raise _unreadable(what, "an object with an id", body)


def labels(body: object) -> tuple[str, ...]:
    """The answer of the label calls: strings in a list, or under `payload`, `data`, `labels` or `tags`."""
    found = body
    for _ in range(2):
        if is_record(found):
            found = next((found[k] for k in ("payload", "data", "labels", "tags") if k in found), found)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise _unreadable("the labels", "a list of names", body)
    return tuple(found)


def moment(value: object, what: str) -> datetime:
    """A time in UTC from epoch seconds, epoch milliseconds (by size), or ISO 8601; no zone means UTC.

    Raises:
        RemoteError: when it is none of these.
    """
    try:
        if isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
            at = datetime.fromisoformat(value.strip())
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            number = float(value) if not isinstance(value, int) else value
            return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS_FROM else number, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise _unreadable(what, "epoch seconds, epoch milliseconds or an ISO 8601 time", value)


def run_key(message: Mapping[str, Any]) -> str:
    """The run key a message carries; empty when it carries none."""
    attributes = message.get("content_attributes")
    key = attributes.get(RUN_KEY) if is_record(attributes) else None
    return key if isinstance(key, str) else ""


def message(row: dict[str, Any]) -> Message:
    """One message. Its text is passed on untouched; a message without text (an attachment) has an empty one."""
    kind = row.get("message_type")
    author = _AUTHORS.get(kind) if isinstance(kind, int | str) and not isinstance(kind, bool) else None
    if author is None:
        raise _unreadable("message_type", "0 to 3, incoming, outgoing, activity or template", kind)
    if "id" not in row:
        raise _unreadable("a message", "an id", row)
    content = row.get("content")
    if content is not None and not isinstance(content, str):
        raise _unreadable("the content of a message", "text", content)
    return Message(
        id=str(row["id"]),
        author=author,
        text=content or "",
        at=_written(row),
        private=bool(row.get("private", False)),
    )


def _written(row: dict[str, Any]) -> datetime:
    attributes = row.get("content_attributes")
    # Believed of our own messages only: elsewhere it is whatever an importer wrote.
    if is_record(attributes) and PLACE in attributes and WRITTEN in attributes:
        return moment(attributes[WRITTEN], WRITTEN)
    return moment(row.get("created_at"), "created_at of a message")


def conversation(
    row: dict[str, Any], messages: Iterable[dict[str, Any]], inboxes: Mapping[int, str] | None = None
) -> Conversation:
    """One conversation with its messages (oldest first), from Chatwoot's objects.

    The customer's name comes from `meta.sender`, else from the first of `contacts` that has one, else it
    is empty. The customer key is the e-mail, else the identifier, else the contact's id. Order facts are
    read from custom attributes; all other attributes are kept as text in `extra`, and so is what the help
    desk's own SLA says (`help_desk_sla_name`, `help_desk_sla_status`, thresholds in seconds), and the customer's
    latest rating (`csat`).

    Args:
        row: the conversation as the help desk shows it.
        messages: its messages, in any order.
        inboxes: names by inbox id; an inbox without one is named by its id.

    Raises:
        RemoteError: naming the first thing that cannot be read.
    """
    try:
        return _conversation(row, messages, inboxes or {})
    except RemoteError as error:
        raise RemoteError(f"conversation {row.get('id', '?')}: {error}", hint=error.hint) from error


def _conversation(
    row: dict[str, Any], rows: Iterable[dict[str, Any]], inboxes: Mapping[int, str]
) -> Conversation:
    rows = list(rows)
    meta = row["meta"] if is_record(row.get("meta")) else {}
    sender = meta["sender"] if is_record(meta.get("sender")) else {}
    custom = row["custom_attributes"] if is_record(row.get("custom_attributes")) else {}
    additional = row["additional_attributes"] if is_record(row.get("additional_attributes")) else {}
    tags: object = next((row[key] for key in ("labels", "tags") if row.get(key) is not None), [])
    try:
        status = Status(row.get("status") or "")
    except ValueError:
        raise _unreadable("status", "open, pending, snoozed or resolved", row.get("status")) from None
    extra = {key: _text(value) for key, value in additional.items()}
    extra |= {
        key: _text(value)
        for key, value in custom.items()
        if key not in _ORDER_KEYS and key != STATUS_CHANGES and not key.startswith("cairnops_")
    }
    assignee = meta.get("assignee")
    if is_record(assignee):
        extra.setdefault("assignee", _text(assignee.get("email") or assignee.get("name") or ""))
    extra |= _sla_facts(row) | _rating(rows)
    team = meta.get("team")
    inbox_id = row.get("inbox_id")
    priority = row.get("priority") or ""
    return Conversation(
        id=str(row["id"]),
        customer=_customer(row, sender),
        customer_key=_customer_key(sender),
        status=status,
        created_at=moment(
            custom.get(CREATED, row.get("created_at")) if PACK in custom else row.get("created_at"),
            "created_at",
        ),
        messages=tuple(sorted(map(message, rows), key=lambda m: (m.at, _order(m.id)))),
        tags=labels(tags),
        priority="" if priority == "none" else _text(priority),
        status_changes=_status_changes(custom, rows),
        order=_order_facts(custom),
        inbox=inboxes.get(inbox_id, str(inbox_id)) if isinstance(inbox_id, int) else "",
        team=_text(team.get("name") or "") if is_record(team) else "",
        extra=extra,
        revision=_revision(row),
    )


def _sla_facts(row: dict[str, Any]) -> dict[str, str]:
    """What the help desk's own SLA says, where the account has one; told, and never judged by."""
    applied = row.get("applied_sla")
    if not is_record(applied):
        return {}
    return {f"help_desk_{key}": _text(applied[key]) for key in _SLA_KEYS if applied.get(key) is not None}


def _rating(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What the customer answered to the newest satisfaction form that was answered: it hangs on the form's message."""
    given: tuple[tuple[int, str], str] = (-1, ""), ""
    for row in rows:
        attributes = row.get("content_attributes")
        answers = attributes.get("submitted_values") if is_record(attributes) else None
        survey = answers.get("csat_survey_response") if is_record(answers) else None
        rating = survey.get("rating") if is_record(survey) else None
        # Only the help desk's own form: any message may carry attributes somebody made up.
        if (
            row.get("content_type") == "input_csat"
            and isinstance(rating, int)
            and not isinstance(rating, bool)
        ):
            given = max(given, (_order(str(row.get("id", ""))), str(rating)))
    return {"csat": given[1]} if given[1] else {}


def _revision(row: dict[str, Any]) -> int:
    """When the help desk last touched the conversation; desks that do not say it tell the last activity, in seconds."""
    for name in ("updated_at", "last_activity_at", "timestamp"):
        with suppress(RemoteError):
            return round(moment(row.get(name), name).timestamp() * 1_000_000)
    return 0


def _order(message_id: str) -> tuple[int, str]:
    return (int(message_id), "") if message_id.isdecimal() else (0, message_id)


def _customer(row: dict[str, Any], sender: dict[str, Any]) -> str:
    contacts = row["contacts"] if isinstance(row.get("contacts"), list) else []
    names = (c.get("name") for c in (sender, *filter(is_record, contacts)))
    return next((name for name in names if isinstance(name, str) and name), "")


def _customer_key(sender: dict[str, Any]) -> str:
    return next((str(sender[k]) for k in ("email", "identifier", "id") if sender.get(k)), "")


def _status_changes(custom: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[StatusChange, ...]:
    found: set[StatusChange] = set()
    for line in _text(custom.get(STATUS_CHANGES, "")).splitlines():
        word, _, at = line.strip().partition(" ")
        try:
            found.add(StatusChange(status=Status(word), at=moment(at, STATUS_CHANGES)))
        except ValueError:
            raise _unreadable(STATUS_CHANGES, "lines of `status time`", line) from None
    for row in rows:
        status = _status_in(row)
        if status:
            found.add(
                StatusChange(status=status, at=moment(row.get("created_at"), "created_at of a message"))
            )
    return tuple(sorted(found, key=lambda change: (change.at, change.status)))


def _status_in(row: dict[str, Any]) -> Status | None:
    if row.get("message_type") not in (2, "activity"):
        return None
    attributes = row.get("content_attributes")
    activity = attributes.get("activity") if is_record(attributes) else None
    if is_record(activity):
        changed = activity.get("type") == "conversation_status_changed"
        word = activity.get("status") if changed else None
        return Status(word) if word in tuple(Status) else None
    text = row.get("content") or ""
    return next((status for pattern, status in _STATUS_WORDS if pattern.match(text)), None)


def _order_facts(custom: dict[str, Any]) -> Order | None:
    if custom.get("order_number") is None:
        return None
    return Order(
        number=_text(custom["order_number"]),
        total_minor=_minor(custom.get("order_total")),
        currency=_text(custom.get("order_currency") or "USD"),
        cues=tuple(filter(None, _text(custom.get("order_cues") or "").split("\n"))),
        refund_pending=_flag(custom.get("refund_pending"), "refund_pending"),
        return_in_progress=_flag(custom.get("return_in_progress"), "return_in_progress"),
    )


def _minor(value: object) -> int | None:
    if value is None or value == "":
        return None
    try:
        cents = Decimal(str(value)).scaleb(2)
        if isinstance(value, bool) or cents != int(cents):
            raise ValueError
    except (InvalidOperation, ValueError, OverflowError):
        # A refund tier hangs on this number: a guess ("1,5" is 1.5 or 15) is worse than a stop.
        raise _unreadable("order_total", "an amount like 325.00", value) from None
    return int(cents)


def _flag(value: object, what: str) -> bool:
    if isinstance(value, bool) or value is None:
        return bool(value)
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise _unreadable(what, "true or false", value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _unreadable(what: str, wanted: str, found: object) -> RemoteError:
    if is_record(found):
        shown = f"an object with {', '.join(sorted(map(str, found))[:8]) or 'nothing in it'}"
    elif isinstance(found, list):
        shown = f"a list of {len(found)}"
    elif found is None:
        shown = "nothing"
    else:
        shown = f"{type(found).__name__} {str(found)[:60]!r}"
    return RemoteError(
        f"cannot read {what}: expected {wanted}, found {shown}",
        hint="Check that the base URL is the Chatwoot server itself and not a page in front of it.",
    )


def to_seed(conversation: Conversation) -> dict[str, Any]:
    """A conversation as `POST /simulator/conversations` takes it; reading it back gives an equal one.

    Equal, provided times are whole seconds (Chatwoot has no finer ones; a fraction is cut off), message
    ids are decimal and in the order of their times (other ids are given anew), cues are single lines, and
    status changes told by activity messages are among `status_changes`. A customer key made of digits
    becomes the contact's id, one with an `@` the e-mail, any other the identifier.

    Raises:
        InputError: when the conversation's id is not a whole number, as Chatwoot's are.
    """
    if not _is_number(conversation.id):
        raise InputError(
            f"conversation id {conversation.id!r} is not a whole number",
            hint="Chatwoot numbers its conversations; use an id such as 101.",
        )
    custom: dict[str, Any] = {}
    if conversation.order is not None:
        custom |= _from_order(conversation.order)
    if conversation.status_changes:
        custom[STATUS_CHANGES] = "\n".join(
            f"{change.status} {change.at.isoformat()}" for change in conversation.status_changes
        )
    return {
        "id": int(conversation.id),
        "status": conversation.status.value,
        "priority": conversation.priority or None,
        "created_at": int(conversation.created_at.timestamp()),
        "inbox": conversation.inbox,
        "team": conversation.team,
        "labels": list(conversation.tags),
        "contact": _contact(conversation.customer, conversation.customer_key),
        "custom_attributes": custom,
        "additional_attributes": dict(conversation.extra),
        "messages": [_from_message(m) for m in conversation.messages],
    }


def _is_number(text: str) -> bool:
    # Written as Chatwoot writes ids: "007" or "٣" would come back as something else.
    return re.fullmatch(r"[1-9][0-9]{0,17}", text) is not None


def _from_order(order: Order) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "order_number": order.number,
        "order_currency": order.currency,
        "order_cues": "\n".join(order.cues),
        "refund_pending": order.refund_pending,
        "return_in_progress": order.return_in_progress,
    }
    if order.total_minor is not None:
        whole, cents = divmod(abs(order.total_minor), 100)
        facts["order_total"] = f"{'-' if order.total_minor < 0 else ''}{whole}.{cents:02}"
    return facts


def _contact(name: str, key: str) -> dict[str, Any]:
    if _is_number(key):
        return {"name": name, "id": int(key)}
    return {"name": name, "email" if "@" in key else "identifier": key or None}


def _from_message(message: Message) -> dict[str, Any]:
    seed: dict[str, Any] = {
        "message_type": _MESSAGE_TYPES[message.author],
        "content": message.text,
        "private": message.private,
        "created_at": int(message.at.timestamp()),
    }
    if _is_number(message.id):
        seed["id"] = int(message.id)
    return seed
