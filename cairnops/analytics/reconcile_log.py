"""What a row of any log says about a decision, and what reconciliation asks of whoever holds such rows."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from cairnops.analytics import dialects
from cairnops.telemetry import cells

#: How many unlisted decisions of one source are named; all of them are counted.
NAMED = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Numbers above this are milliseconds since 1970, others seconds; 10^10 s is the year 2286.
_MS_ABOVE = 10_000_000_000
_LAST_YEAR_MS = 253_402_300_799_999

NUMBERS = ("decisionId", "decision_id")
UIDS = ("uid", "decisionUid", "decision_uid")
#: Holds a number in some logs and a uid in others.
EITHER = "id"
CONVERSATIONS = ("conversation", "conversationId", "conversation_id", "externalRef", "external_ref")
ACTIONS = ("action",)
#: `chatwoot.approve_send chatwoot:1045`: the action, and behind it the conversation.
WHAT = "what"
ACTORS = ("actor", "who", "operator")
#: The last is what our own Parquet calls it.
TIMES = (*dialects.CAIRNOPS.timestamp, "occurred_at")
SCOPES = ("scope",)
SESSIONS = ("session",)
STATUSES = dialects.CAIRNOPS.status
EFFECTS = ("effect",)
ATTEMPTS = dialects.CAIRNOPS.attempt
#: The forms of a moment every engine reads alike.
ISO = (
    r"(?:19[7-9]\d|2\d{3})-[01]\d-[0-3]\d[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
    r"(?:Z|[+-](?:0\d|1[0-4])(?::[0-5]\d)?)?"
)
_ISO = re.compile(ISO, re.ASCII)
_WHAT = re.compile(r"(\S+) (\w+:\S+)")


class LogRow(NamedTuple):
    """A decision as one log has it, or how the delivery of one ended; unknown facts are empty.

    A tuple, because tens of thousands are made of what an engine answers.
    """

    source: str = ""
    #: Physical line in its file, from 1; 0 where rows have no lines.
    line: int = 0
    #: The decision's; of a delivery, its own.
    uid: str = ""
    number: str = ""
    conversation: str = ""
    action: str = ""
    #: Lower case.
    actor: str = ""
    #: Milliseconds since 1970 UTC.
    at: int | None = None
    scope: str = ""
    session: str = ""
    #: This is how a delivery ended, not a decision.
    event: bool = False
    #: Upper case.
    status: str = ""
    effect: str = ""
    attempt: int = 0

    @property
    def order(self) -> tuple[Any, ...]:
        """The same order whatever the rows came out of."""
        return (
            self.at is None, self.at or 0, len(self.number), self.number, self.uid, self.session, self.conversation,
            self.action, self.actor, self.scope, self.effect, self.attempt, self.status, self.source, self.line,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Which part of a log a worksheet answers for: sessions, else a stretch of time (both ends in it)."""

    scope: str
    sessions: frozenset[str] = frozenset()
    start: int | None = None
    end: int | None = None

    def holds(self, row: LogRow) -> bool:
        """Whether the row belongs to it; a row without a scope belongs to every scope."""
        if row.scope not in ("", self.scope):
            return False
        if self.sessions:
            return row.session in self.sessions
        if self.start is None or self.end is None:
            return True
        return row.at is not None and self.start <= row.at <= self.end


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlisted:
    """Rows of a part nobody asked about: how many, and the first of them."""

    count: int = 0
    rows: tuple[LogRow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What a source turned out to be."""

    name: str
    #: `workspace`, `ndjson`, `parquet`, …
    kind: str
    #: Rows with a decision or the outcome of a delivery.
    rows: int
    #: It holds decisions themselves, not only how their deliveries ended.
    decisions: bool
    #: Lines that could not be read, and rows about something else.
    rejects: int = 0
    other: int = 0
    sha256: str = ""
    #: When retention removed a decision from it, as exports write moments; by its number, and by its uid.
    removed: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """Whoever can say which decisions there are: a workspace, an export; a database or a help desk may follow."""

    @property
    def account(self) -> Account:
        """What is in it."""
        ...

    def newest(self) -> int | None:
        """The newest moment of any row, milliseconds since 1970 UTC."""
        ...

    def find(self, numbers: AbstractSet[str], uids: AbstractSet[str]) -> list[LogRow]:
        """Every row with one of those numbers, and every decision with one of those uids, in any order."""
        ...

    def about(self, conversations: AbstractSet[str], spans: Sequence[tuple[int, int]]) -> list[LogRow]:
        """Every decision about one of those conversations, or made in one of those spans (both ends in it)."""
        ...

    def unlisted(
        self, part: Part, numbers: AbstractSet[str], uids: AbstractSet[str], *, events: bool, limit: int
    ) -> Unlisted:
        """What the part holds beyond those numbers and uids: decisions, or with `events` outcomes of deliveries.

        Every row is counted; the first `limit` in `LogRow.order` are given.
        """
        ...


def read_row(record: Mapping[str, Any], source: str = "", line: int = 0) -> LogRow | None:
    """A row of an export under any name its facts go by; None when it is about no decision."""
    if record.get("messages") is not None:
        return None
    number = cells.whole_number(_first(record, NUMBERS))
    uid = _uid(_first(record, UIDS))
    either = _first(record, (EITHER,))
    if either and (known := cells.uid(either)):
        uid = uid or known
    elif either and not number:
        number = cells.whole_number(either)
    action, conversation = _first(record, ACTIONS), _first(record, CONVERSATIONS)
    what = _first(record, (WHAT,))
    if what and not action:
        match = _WHAT.fullmatch(what)
        action, about = (match[1], match[2]) if match else (what, "")
        conversation = conversation or about
    actor = _first(record, ACTORS) or _first(record, ("actor.email",))
    status = _first(record, STATUSES).upper()
    event = bool(status and not action and not actor)
    at = _time(record)
    if event:
        if not number:
            return None
    elif not (number or uid or (at is not None and (conversation or action))):
        return None
    return LogRow(
        source=source,
        line=line,
        uid=uid,
        number=number,
        conversation=about_conversation(conversation),
        action=action,
        actor=actor.lower(),
        at=at,
        scope=_first(record, SCOPES).lower(),
        session=_first(record, SESSIONS),
        event=event,
        status=status,
        effect=_first(record, EFFECTS),
        attempt=_attempt(_first(record, ATTEMPTS)),
    )


def about_conversation(text: str) -> str:
    """A bare number is a conversation of Chatwoot's; anything else names its system."""
    return f"chatwoot:{cells.whole_number(text)}" if text.isascii() and text.isdigit() else text


def _first(record: Mapping[str, Any], names: Sequence[str]) -> str:
    for value in dialects.values(record, tuple(names)):  # type: ignore[arg-type]
        if text := scalar_text(value):
            return text
    return ""


def scalar_text(value: Any) -> str:
    """A text or a number as text, without blanks around it; anything else is empty."""
    if isinstance(value, str):
        return value.strip(" ")
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**40 else ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return ""


def _uid(text: str) -> str:
    return cells.uid(text) or text


def _attempt(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _time(record: Mapping[str, Any]) -> int | None:
    for value in dialects.values(record, TIMES):  # type: ignore[arg-type]
        at = moment_ms(value)
        if at is not None:
            return at
    return None


def moment_ms(value: Any) -> int | None:
    """Milliseconds since 1970 UTC of an ISO text (UTC where it has no zone) or a number of seconds or milliseconds."""
    if isinstance(value, str):
        if not _ISO.fullmatch(value.strip(" ")):
            return None
        try:
            at = datetime.fromisoformat(value.strip(" "))
            return (at.replace(tzinfo=at.tzinfo or UTC) - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        ms = int(value * (1 if value > _MS_ABOVE else 1000))
    except (ValueError, OverflowError):
        return None
    return ms if 0 <= ms <= _LAST_YEAR_MS else None


@dataclass(kw_only=True)
class Rows:
    """A source whose rows are in memory: a workspace, or a small export. What it answers is what every other must."""

    account: Account
    rows: Sequence[LogRow]
    _numbers: dict[str, list[LogRow]] = field(init=False)
    _uids: dict[str, list[LogRow]] = field(init=False)

    def __post_init__(self) -> None:
        self._numbers, self._uids = defaultdict(list), defaultdict(list)
        for row in self.rows:
            if row.number:
                self._numbers[row.number].append(row)
            if row.uid and not row.event:
                self._uids[row.uid].append(row)

    @classmethod
    def of(
        cls,
        rows: Iterable[LogRow],
        *,
        name: str,
        kind: str,
        rejects: int = 0,
        other: int = 0,
        sha256: str = "",
        removed: Iterable[tuple[object, str, str]] = (),
    ) -> "Rows":
        """A source of those rows; `removed` are number, uid and when of what retention took away."""
        held = list(rows)
        account = Account(
            name=name,
            kind=kind,
            rows=len(held),
            decisions=any(not row.event for row in held),
            rejects=rejects,
            other=other,
            sha256=sha256,
            removed={key: at for number, uid, at in removed if at for key in (str(number), uid)},
        )
        return cls(account=account, rows=held)

    def newest(self) -> int | None:
        """See `Source.newest`."""
        return max((row.at for row in self.rows if row.at is not None), default=None)

    def find(self, numbers: AbstractSet[str], uids: AbstractSet[str]) -> list[LogRow]:
        """See `Source.find`."""
        found = [row for n in numbers for row in self._numbers.get(n, ())]
        found += [row for u in uids for row in self._uids.get(u, ()) if row.number not in numbers]
        return found

    def about(self, conversations: AbstractSet[str], spans: Sequence[tuple[int, int]]) -> list[LogRow]:
        """See `Source.about`."""
        found = [
            row
            for row in self.rows
            if not row.event
            and (
                row.conversation in conversations
                or (row.at is not None and any(start <= row.at <= end for start, end in spans))
            )
        ]
        return sorted(found, key=lambda r: r.order)

    def unlisted(
        self, part: Part, numbers: AbstractSet[str], uids: AbstractSet[str], *, events: bool, limit: int
    ) -> Unlisted:
        """See `Source.unlisted`."""
        left = [
            row
            for row in self.rows
            if row.event == events
            and part.holds(row)
            and not (row.number and row.number in numbers)
            and (events or not (row.uid and row.uid in uids))
        ]
        left.sort(key=lambda r: r.order)
        return Unlisted(count=len(left), rows=tuple(left[:limit]))
