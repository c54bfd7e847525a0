"""What the measures are computed from: decisions, conversations and sync events, out of any mix of exports.

Rows may come in any order, twice, and from several files: what is read is the same set, in one order.
"""

import gc
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cairnops import codec
from cairnops.analytics import rows as sync_rows
from cairnops.domain.conversations import Conversation, Status
from cairnops.domain.decisions import Decision, Scope
from cairnops.domain.requests import FollowUp
from cairnops.errors import InputError
from cairnops.telemetry.preview import mask, preview
from cairnops.telemetry.reader import read_lines

#: How many rows that could not be used are shown; all of them are counted.
PROBLEM_SAMPLES = 20

#: Acts of the log by which a case is opened.
OPENINGS = ("suggestion.shown", "suggestion.withheld")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENDINGS = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fired:
    """A guardrail's finding, as an act was met by it."""

    code: str
    severity: str
    overridden: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One thing a person did about a conversation, as the audit log has it; `at` is UTC."""

    at: datetime
    actor: str
    role: str
    session: str
    #: `suggestion.shown`, `suggestion.withheld`, `action.applied`, `action.refused`, `action.cancelled`,
    #: `note.added` or `follow_up.set`.
    kind: str
    #: `approve_send`, `escalate`, …; empty for an opening.
    action: str = ""
    #: The rule code of a refusal.
    code: str = ""
    decision_id: int = 0
    #: `ai` or `template` for an opening that showed something.
    source: str = ""
    template: str = ""
    verdicts: tuple[Fired, ...] = ()

    @property
    def opens(self) -> bool:
        """The case was opened, with a suggestion or without one."""
        return self.kind in OPENINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One scenario worked by one operator, and what its answer key says of it."""

    session: str
    scenario: str
    operator: str
    at: datetime
    passed: bool
    #: 0 to 100; None when the scenario names no answer.
    points: int | None = None
    #: What the operator did, as the answer key names it.
    verb: str = ""
    #: `right`, `acceptable`, `wrong`, or empty without an answer key.
    answer: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A conversation with what people did about it: one row of the `conversations` export."""

    conversation: Conversation
    #: Whether what was written is in the row; without it words cannot be judged again.
    texts: bool
    observed_at: datetime | None = None
    acts: tuple[Act, ...] = ()
    runs: tuple[Run, ...] = ()
    #: With the moment each was promised.
    follow_ups: tuple[tuple[datetime, FollowUp], ...] = ()
    #: When the same customer's other conversations were breached.
    other_breaches: tuple[datetime, ...] = ()
    #: Start of every session the conversation was worked in.
    sessions: dict[str, datetime] = field(default_factory=dict)
    csat: str = ""

    @property
    def operator(self) -> str:
        """Whose case it is: who decided first, else opened it first, else ran its scenario; empty for nobody."""
        for kinds in (("action.applied",), OPENINGS):
            done = [a for a in self.acts if a.kind in kinds]
            if done:
                return min(done, key=lambda a: (a.at, a.actor)).actor
        return min((r.operator for r in self.runs), default="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One row of a sync-event export."""

    decision_id: str
    #: The effect's identity; empty in exports that do not name it.
    effect: str
    #: What was delivered (`reply`, `note`, …); empty in exports that do not say.
    kind: str
    delivered: bool
    #: The outcome as written, upper case.
    status: str
    at: datetime | None
    #: `success`, `failure` or `unknown`, as a summary counts it.
    counted: str = "unknown"
    #: What a failure is counted under there, people and secrets cut; empty for anything else.
    cause: str = ""
    #: As measured; None where the row does not say, or not readably.
    duration_ms: float | None = None
    #: Tries after the first.
    retries: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A row that could not be used, and why."""

    source: str
    line: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file that was read."""

    name: str
    sha256: str
    records: int
    rejects: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """Everything the measures look at, in an order that does not depend on how it was given."""

    #: By time, then uid.
    decisions: tuple[Decision, ...] = ()
    #: By conversation id.
    cases: tuple[Case, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    sources: tuple[Source, ...] = ()
    #: Rows given more than once (counted once).
    duplicates: int = 0
    #: Rows of a shape no measure uses.
    other: int = 0
    #: How many rows could not be used, and the first of them.
    unusable: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def decided(self) -> tuple[Decision, ...]:
        """What people decided (scope `ops`), oldest first."""
        return tuple(d for d in self.decisions if d.scope is Scope.OPS)

    @property
    def newest(self) -> datetime | None:
        """The newest moment anything in the data happened at; None for no data."""
        moments = [d.created_at for d in self.decisions]
        moments += [d.at for d in self.deliveries if d.at]
        for case in self.cases:
            moments += [m.at for m in case.conversation.messages]
            moments += [c.at for c in case.conversation.status_changes]
            moments += [a.at for a in case.acts]
            moments += [r.at for r in case.runs]
            moments.append(case.conversation.created_at)
            if case.observed_at:
                moments.append(case.observed_at)
        return max(moments, default=None)

    def of_session(self, name: str) -> "Material":
        """Only what belongs to that session: its decisions, and the conversations worked in it.

        A sync event names no session; it is kept when its decision is.
        """
        decisions = tuple(d for d in self.decisions if d.session == name)
        numbers = {str(d.decision_id) for d in decisions}
        refs = {d.conversation for d in decisions}
        return replace(
            self,
            decisions=decisions,
            cases=tuple(
                c
                for c in self.cases
                if c.conversation.ref in refs
                or any(a.session == name for a in c.acts)
                or any(r.session == name for r in c.runs)
            ),
            deliveries=tuple(d for d in self.deliveries if d.decision_id in numbers),
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing read is let go of: looking for what could be, again and again, took a fifth of the reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_uncollected()
def load(*paths: str | Path) -> Material:
    """Read exports: decisions in full, `conversations`, sync events, in any mix; a folder stands for those in it.

    Raises:
        InputError: for a path that is not there, a folder without exports, or a file that holds no export.
    """
    collected = _Collected()
    for path in _files(paths):
        reading = read_lines(path)
        for line in reading:
            if line.record is not None:
                collected.add(line.record, path.name, line.number)
        export = reading.export
        if not export.is_data:
            raise InputError(
                f"{path.name}: {mask(export.diagnosis)}.".replace("..", "."),
                hint="cairnops summary shows what the file holds.",
            )
        collected.sources.append(
            Source(name=path.name, sha256=export.sha256, records=export.records, rejects=export.rejects)
        )
    return collected.material()


@_uncollected()
def of_rows(rows: Iterable[Mapping[str, Any]]) -> Material:
    """The same from rows in memory, as `cairnops decisions export` writes them, shapes in any mix."""
    collected = _Collected()
    for number, row in enumerate(rows, 1):
        collected.add(dict(row), "", number)
    return collected.material()


def _files(paths: Iterable[str | Path]) -> Iterator[Path]:
    for given in paths:
        path = Path(given)
        if not path.is_dir():
            yield path
            continue
        inside = sorted(p for p in path.rglob("*") if p.name.endswith(_ENDINGS) and p.is_file())
        if not inside:
            raise InputError(f"{path} holds no exports.", hint=f"They end in {', '.join(_ENDINGS[:2])}.")
        yield from inside


class _Collected:
    """Rows as they come, kept once each."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self._rows: dict[tuple[str, str], tuple[str, Any]] = {}
        self._nameless: list[Delivery] = []
        self._counts: Counter[str] = Counter()
        self._problems: list[Problem] = []

    def add(self, row: dict[str, Any], source: str, line: int) -> None:
        shape = shape_of(row)
        if shape == "other":
            self._counts["other"] += 1
            return
        try:
            parsed, key, rank = _PARSERS[shape](row)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, StopIteration) as error:
            self._counts["unusable"] += 1
            self._problems.append(Problem(source=source, line=line, reason=f"{shape}: {_why(error)}"))
            return
        if not key:
            self._nameless.append(parsed)
            return
        there = self._rows.get((shape, key))
        if there is None:
            self._rows[shape, key] = rank, parsed
            return
        self._counts["duplicates"] += 1
        # Of two rows with one name the newer counts, else the greater text: never the one read last.
        if parsed != there[1] and (there[0], repr(there[1])) < (rank, repr(parsed)):
            self._rows[shape, key] = rank, parsed

    def material(self) -> Material:
        by_shape: dict[str, list[Any]] = {shape: [] for shape in _PARSERS}
        for (shape, _), (_, parsed) in self._rows.items():
            by_shape[shape].append(parsed)
        deliveries = by_shape["sync event"] + self._nameless
        problems = sorted(self._problems, key=lambda p: (p.source, p.line))
        return Material(
            decisions=tuple(sorted(by_shape["decision"], key=lambda d: (d.created_at, d.uid))),
            cases=tuple(sorted(by_shape["conversation"], key=lambda c: c.conversation.ref)),
            deliveries=tuple(
                sorted(deliveries, key=lambda d: (d.at or _EPOCH, d.decision_id, d.effect, d.status))
            ),
            sources=tuple(sorted(self.sources, key=lambda s: (s.name, s.sha256))),
            duplicates=self._counts["duplicates"],
            other=self._counts["other"],
            unusable=self._counts["unusable"],
            problems=tuple(problems[:PROBLEM_SAMPLES]),
        )


def as_of(conversation: Conversation, at: datetime) -> Conversation:
    """The conversation as far as it had come at `at`: later messages and changes of status are left out.

    Tags, priority and order are those of the reading; nobody keeps when they changed.
    """
    if all(m.at <= at for m in conversation.messages) and all(
        c.at <= at for c in conversation.status_changes
    ):
        return conversation
    changes = tuple(c for c in conversation.status_changes if c.at <= at)
    status = conversation.status
    if len(changes) < len(conversation.status_changes):
        status = max(changes, key=lambda c: c.at).status if changes else Status.OPEN
    return replace(
        conversation,
        messages=tuple(m for m in conversation.messages if m.at <= at),
        status_changes=changes,
        status=status,
    )


def shape_of(row: Mapping[str, Any]) -> str:
    """`decision`, `conversation`, `sync event`, or `other`."""
    if "requestKey" in row and "uid" in row:
        return "decision"
    if "messages" in row and "conversation" in row:
        return "conversation"
    named = any(name in row for name in ("decisionId", "decision_id"))
    return "sync event" if named and any(n in row for n in ("status", "state", "outcome")) else "other"


def decision(row: Mapping[str, Any]) -> Decision:
    """A row of a decision export as the domain has it.

    Raises:
        ValueError: when it does not fit, or a moment has no zone.
    """
    made = codec.read(Decision, _snake({k: v for k, v in row.items() if k not in ("leafHash", "logIndex")}))
    moments = [made.created_at]
    if made.sla:
        made.sla.in_force  # noqa: B018  a clock nobody reads is found here, not in the middle of a report
        moments += [m for s in made.sla.standings for m in (s.started_at, s.breached_at, s.stopped_at) if m]
    if any(m.tzinfo is None for m in moments):
        raise ValueError("a moment has no time zone")
    return made


def case(row: Mapping[str, Any]) -> Case:
    """A row of a `conversations` export.

    Raises:
        ValueError, KeyError, TypeError: when it does not fit.
    """
    own = {
        name: row[name]
        for name in ("status", "createdAt", "priority", "tags", "inbox", "team", "order", "statusChanges")
        if name in row
    }
    key = str(row["conversation"]).removeprefix("chatwoot:")
    messages = [
        {"id": f"{key}-{place}", "text": "", **message} for place, message in enumerate(row["messages"], 1)
    ]
    conversation = codec.read(
        Conversation,
        {
            **_snake(own),
            "id": key,
            "customer": row.get("customer") or "",
            "customer_key": "",
            "messages": messages,
        },
    )
    spoken = (*conversation.messages, *conversation.status_changes)
    if any(x.at.tzinfo is None for x in spoken) or conversation.created_at.tzinfo is None:
        raise ValueError("a moment has no time zone")
    observed = row.get("observedAt")
    return Case(
        conversation=conversation,
        texts=all("text" in message for message in row["messages"]),
        observed_at=codec.moment(observed) if observed else None,
        acts=tuple(_act(a) for a in row.get("acts", ())),
        runs=tuple(_run(r) for r in row.get("runs", ())),
        follow_ups=tuple(
            (codec.moment(f["at"]), FollowUp(owner=f["owner"], due=codec.moment(f["due"])))
            for f in row.get("followUps", ())
        ),
        other_breaches=tuple(codec.moment(b) for b in row.get("otherBreaches", ())),
        sessions={name: codec.moment(at) for name, at in (row.get("sessions") or {}).items()},
        csat="" if row.get("csat") is None else str(row["csat"]),
    )


def _act(row: Mapping[str, Any]) -> Act:
    data = {**_snake({k: v for k, v in row.items() if k != "verdicts"}), "verdicts": row.get("verdicts", ())}
    act = codec.read(Act, data)
    if act.at.tzinfo is None:
        raise ValueError("a moment has no time zone")
    return act


def _run(row: Mapping[str, Any]) -> Run:
    run = codec.read(Run, _snake(row))
    if run.at.tzinfo is None:
        raise ValueError("a moment has no time zone")
    return run


def _delivery(row: Mapping[str, Any]) -> Delivery:
    # The reader of sync exports knows every name the fields go by.
    read = sync_rows.read(dict(row), seconds_below_ten=False)
    return Delivery(
        # A note outside a decision says null; another id of the row would be taken for the decision's.
        decision_id="" if row.get("decisionId", 0) is None else read.decision_id or "",
        effect=str(row.get("uid") or ""),
        kind=row["effect"] if isinstance(row.get("effect"), str) else "",
        delivered=read.kind == "success",
        status=(read.status or read.kind).upper(),
        at=None if read.time is None else _EPOCH + timedelta(milliseconds=read.time),
        counted=read.kind,
        cause=preview(read.cause) if read.kind == "failure" else "",
        duration_ms=read.duration,
        retries=read.retries,
    )


def _as_decision(row: dict[str, Any]) -> tuple[Any, str, str]:
    made = decision(row)
    return made, made.uid, codec.stamp(made.created_at)


def _as_case(row: dict[str, Any]) -> tuple[Any, str, str]:
    made = case(row)
    return made, made.conversation.ref, codec.stamp(made.observed_at) if made.observed_at else ""


def _as_delivery(row: dict[str, Any]) -> tuple[Any, str, str]:
    made = _delivery(row)
    key = f"{made.effect} {row.get('attempt')} {made.status}" if made.effect else ""
    return made, key, codec.stamp(made.at) if made.at else ""


_PARSERS = {"decision": _as_decision, "conversation": _as_case, "sync event": _as_delivery}


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, StopIteration):
        return "the clock in force has no standing"
    return mask(str(error)) or type(error).__name__


def _snake(value: Any) -> Any:
    """Field names as the domain writes them; what stands in a template's variables stays as it is."""
    # Exact types: JSON gives no others, and asking for abstract ones took a third of the reading.
    if type(value) is dict:
        return {
            _name(k): _snake(v) if type(v) in _NESTED and k != "variables" else v for k, v in value.items()
        }
    return [_snake(v) if type(v) in _NESTED else v for v in value] if type(value) is list else value


_NESTED = {dict, list}


@lru_cache(maxsize=512)
def _name(camel: str) -> str:
    return re.sub(r"(?<!^)[A-Z]", lambda hit: f"_{hit[0].lower()}", camel)
