"""The decisions page: which decisions are looked for, how many there are of what, and one of them opened whole."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cairnops.app.views import words
from cairnops.domain import catalogue, edits
from cairnops.domain.requests import DECISION_NAMES, Action
from cairnops.evidence.exports import milliseconds
from cairnops.evidence.report_rows import minute

Record = Mapping[str, Any]

_NAMES = {
    DECISION_NAMES[Action.APPROVE_SEND]: "Approve & send",
    DECISION_NAMES[Action.ESCALATE]: "Escalate",
    DECISION_NAMES[Action.MARK_RESOLVED]: "Mark resolved",
    "suggestion.shown": "Suggestion shown",
}
_REPLY = DECISION_NAMES[Action.APPROVE_SEND]

#: How a delivery stands, from what needs a person to what needs nobody: key, word, tone.
DELIVERY = {
    "UNKNOWN": ("outcome not known", "bad"),
    "FAILED": ("failed", "bad"),
    "TIMEOUT": ("timed out", "bad"),
    "PENDING": ("saved, not yet sent", "warn"),
    "SUCCESS": ("delivered", "good"),
    "": ("nothing to send", "plain"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One decision in the list."""

    uid: str
    number: int
    at: str
    who: str
    role: str
    action: str
    conversation: str
    session: str
    scope: str
    #: A key of `DELIVERY`: the worst of what it sent.
    delivery: str
    #: Every effect with its status and attempt.
    effects: tuple[str, ...]
    #: None where no suggestion was answered with a reply.
    edited: bool | None
    #: Rules that spoke, and whether a block among them was overridden.
    codes: tuple[str, ...]
    overridden: bool
    #: Its place in the signed log; None while it is not sealed.
    index: int | None

    @property
    def what(self) -> str:
        """The action as the desk's buttons name it."""
        return _NAMES.get(self.action, self.action)


def rows(records: Iterable[Record], deliveries: Iterable[Record]) -> tuple[Row, ...]:
    """Records of an export in full and the ledger's deliveries as rows, newest first."""
    effects: dict[str, list[Record]] = {}
    for effect in deliveries:
        effects.setdefault(effect["decision"], []).append(effect)
    return tuple(sorted((_row(r, effects.get(r["uid"], ())) for r in records), key=lambda r: -r.number))


def _row(r: Record, effects: Sequence[Record]) -> Row:
    states = {e["final"]["status"] if e["final"] else "PENDING" for e in effects}
    replied = r["action"] == _REPLY and r["suggestion"] is not None
    return Row(
        uid=r["uid"],
        number=r["decisionId"],
        at=r["createdAt"],
        who=r["actor"]["email"],
        role=r["actor"]["role"],
        action=r["action"],
        conversation=r["conversation"],
        session=r["session"],
        scope=r["scope"],
        delivery=next((key for key in DELIVERY if key in states), ""),
        effects=tuple(map(_ended, effects)),
        edited=bool(r["edited"]) if replied else None,
        codes=tuple(dict.fromkeys(v["code"] for v in r["verdicts"])),
        overridden=bool(r["override"]),
        index=r.get("logIndex"),
    )


def _ended(effect: Record) -> str:
    final = effect["final"]
    if final is None:
        return f"{effect['kind']}: {DELIVERY['PENDING'][0]}"
    code = f", {final['error_code']}" if final["error_code"] else ""
    return f"{effect['kind']}: {final['status']} at attempt {final['attempt']}{code}"


# Looking for some of them.


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is looked for; whatever is empty matches all."""

    #: `ops` (what people decided), `build` (what was suggested to them), or both.
    scope: str = "ops"
    session: str = ""
    who: str = ""
    action: str = ""
    #: A key of `DELIVERY` other than the empty one, or `none` for nothing to send.
    delivery: str = ""
    #: `edited`, `as suggested`, or `by hand`.
    edited: str = ""
    code: str = ""
    #: Ids, any of which may match: a number, a uid or a conversation, or how one begins; `#102` is that number.
    text: str = ""


EDITED = ("edited", "unchanged", "by hand")


def select(every: Iterable[Row], wanted: Wanted) -> tuple[Row, ...]:
    """Those that are looked for, in their order."""
    ids = wanted.text.replace(",", " ").replace(";", " ").casefold().split()
    return tuple(r for r in every if _fits(r, wanted) and (not ids or any(_is(r, one) for one in ids)))


def _fits(r: Row, wanted: Wanted) -> bool:
    how = "by hand" if r.edited is None else "edited" if r.edited else "unchanged"
    return (
        (not wanted.scope or r.scope == wanted.scope)
        and (not wanted.session or r.session == wanted.session)
        and (not wanted.who or r.who == wanted.who)
        and (not wanted.action or r.action == wanted.action)
        and (not wanted.delivery or r.delivery == wanted.delivery.removeprefix("none"))
        and (not wanted.edited or (r.action == _REPLY and how == wanted.edited))
        and (not wanted.code or wanted.code in r.codes)
    )


def _is(r: Row, text: str) -> bool:
    if text.startswith("#"):
        return str(r.number) == text[1:]
    case = r.conversation.casefold()
    return any(
        name.startswith(text) for name in (str(r.number), r.uid.casefold(), case, case.partition(":")[2])
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What there is to choose from, over all decisions."""

    sessions: tuple[str, ...]
    people: tuple[str, ...]
    actions: tuple[str, ...]
    codes: tuple[str, ...]


def choices(every: Iterable[Row]) -> Choices:
    """Every value the rows have, in order."""
    some = list(every)
    return Choices(
        sessions=tuple(sorted({r.session for r in some} - {""})),
        people=tuple(sorted({r.who for r in some})),
        actions=tuple(sorted({r.action for r in some})),
        codes=tuple(sorted({code for r in some for code in r.codes})),
    )


def action_name(action: str) -> str:
    """The action as the desk's buttons name it."""
    return _NAMES.get(action, action)


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """One count over the decisions shown."""

    label: str
    value: str
    hint: str
    tone: str


def counts(some: Sequence[Row], every: Sequence[Row]) -> list[Count]:
    """How many there are of what among those shown."""
    replies = [r for r in some if r.edited is not None]
    edited = sum(bool(r.edited) for r in replies)
    ended = Counter(r.delivery for r in some)
    lost = sum(ended[key] for key in ("UNKNOWN", "FAILED", "TIMEOUT"))
    waiting, open_ = ended["PENDING"], sum(r.index is None for r in some)
    told = "; ".join(f"{n} {DELIVERY[key][0]}" for key, n in ended.items() if key and n)
    overridden = sum(r.overridden for r in some)
    return [
        Count(label="Decisions", value=f"{len(some):,}", hint=f"of {len(every):,} in the log", tone="plain"),
        Count(label="Suggestions edited", value=f"{edited:,} of {len(replies):,}",
              hint="replies approved from a suggestion", tone="plain"),
        Count(label="Went ahead against a block", value=f"{overridden:,}", hint="with a reason, on record",
              tone="warn" if overridden else "plain"),
        Count(label="Not delivered", value=f"{lost:,}", hint=told or "nothing to deliver",
              tone="bad" if lost else "good" if told and not waiting else "plain"),
        Count(label="Not sealed yet", value=f"{open_:,}", hint="no place in the signed log",
              tone="warn" if open_ else "good" if some else "plain"),
    ]  # fmt: skip


# One of them, whole.

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoke:
    """A guardrail's verdict as it was recorded, with the rule's title as it is now."""

    code: str
    severity: Literal["block", "warn", "info"]
    sentence: str
    threshold: str
    way_out: str
    explanation: str
    overridden: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """One SLA clock at the moment of the decision."""

    name: str
    in_force: bool
    started: str
    waited: str
    due: str
    state: str
    breached: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One attempt of one effect."""

    effect: str
    attempt: int
    at: str
    answer: str
    took: str
    #: Empty while it goes on: how the effect ended, told at its last attempt.
    ended: str
    tone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """Everything recorded about one decision."""

    number: int
    uid: str
    title: str
    conversation: str
    facts: Pairs
    suggested: str
    #: Where the suggestion came from.
    origin: Pairs
    final: str
    #: How the final text came about, in words.
    text_said: str
    #: (kind, text) stretches; empty when nothing was changed.
    diff: tuple[tuple[str, str], ...]
    verdicts: tuple[Spoke, ...]
    clocks: tuple[Clock, ...]
    tries: tuple[Tried, ...]
    #: What fixes it: policy, hashes, the place in the log, the key of the request.
    fixed: Pairs
    index: int | None


def opened(record: Record, effects: Sequence[Record]) -> Opened:
    """A record of an export in full with the ledger's deliveries of it."""
    r, shown = record, record["suggestion"]
    return Opened(
        number=r["decisionId"],
        uid=r["uid"],
        title=f"#{r['decisionId']} {action_name(r['action'])}",
        conversation=r["conversation"],
        facts=_facts(r),
        suggested=shown["text"] if shown else "",
        origin=_origin(shown) if shown else (),
        final=r["finalText"] or "",
        text_said=_text_said(r),
        diff=tuple((c.kind, c.text) for c in edits.diff(shown["text"], r["finalText"]))
        if shown and r["finalText"] and r["edited"]
        else (),
        verdicts=tuple(map(_spoke, r["verdicts"])),
        clocks=_clocks(r["sla"]),
        tries=tuple(one for effect in effects for one in _tries(effect)),
        fixed=_fixed(r),
        index=r.get("logIndex"),
    )


def _facts(r: Record) -> Pairs:
    flags, promise = r["flags"], r["followUp"]
    switches = (
        ("approvals in the modal", flags["modalApprovals"]),
        ("AI suggestions", flags["aiEscalations"]),
    )
    scope = "ops: what a person decided" if r["scope"] == "ops" else "build: what was suggested to a person"
    return _filled(
        ("When", f"{minute(r['createdAt'])} UTC"),
        ("By", f"{r['actor']['email']} ({r['actor']['role']})"),
        ("Conversation", r["conversation"]),
        ("Session", r["session"]),
        ("Scope", scope),
        ("Priority", r["priority"]),
        ("Rationale", r["rationale"]),
        ("Reason", r["reason"]),
        ("Escalated to", r["target"]),
        ("Internal note", r["note"]),
        ("Overridden because", r["override"]),
        ("Follow-up", f"{promise['owner']} by {minute(promise['due'])} UTC: {promise['text']}" if promise else ""),
        ("Switched on", ", ".join(name for name, on in switches if on) or "nothing"),
    )  # fmt: skip


def _origin(shown: Record) -> Pairs:
    who = {"ai": "the AI", "template": "a template"}.get(shown["source"], shown["source"])
    return _filled(
        ("By", who),
        ("Template", shown["templateId"] or "none"),
        ("Sources", "; ".join(shown["sources"])),
        ("Missing", ", ".join(shown["missing"])),
        (
            "Sources as of",
            f"{minute(shown['indexGeneratedAt'])} UTC" if shown.get("indexGeneratedAt") else "",
        ),
    )


def _text_said(r: Record) -> str:
    if not r["finalText"]:
        return "Nothing was sent to the customer." if r["scope"] == "ops" else ""
    if not r["suggestion"]:
        return "Written by hand: nothing was suggested."
    if not r["edited"]:
        return "Approved word for word as suggested."
    return f"Edited: {words.count(r['editDistance'], 'character')} changed (edit distance)."


def _spoke(v: Record) -> Spoke:
    rule = _RULES.get(v["code"])
    return Spoke(
        code=v["code"],
        severity=v["severity"],
        sentence=v["sentence"],
        threshold=v["threshold"],
        way_out=rule.way_out if rule else "",
        explanation=f"{rule.title}. Source: {rule.source}." if rule else "",
        overridden=v["overridden"],
    )


_RULES = {entry.rule.code: entry.rule for entry in catalogue.ENTRIES}


def _clocks(sla: Record | None) -> tuple[Clock, ...]:
    if not sla:
        return ()
    return tuple(
        Clock(
            name=f"Since {words.clock_name(s['clock'])}",
            in_force=s["clock"] == sla["clock"],
            started=minute(s["startedAt"]) or "nobody waits",
            waited=f"{words.span(s['elapsedS'])} of {sla['targetMinutes']} min",
            due=minute(s["dueAt"]),
            state=f"breached, {words.span(s['breachAgeS'])} past the target" if s["breached"] else "within",
            breached=s["breached"],
        )
        for s in sorted(sla["standings"], key=lambda s: s["clock"] != sla["clock"])
    )


_ANSWERS = {
    "ok": "taken",
    "reject": "refused",
    "retry": "failed, tried again",
    "unknown": "no answer",
    "lost": "lost",
}


def _tries(effect: Record) -> Iterable[Tried]:
    final = effect["final"]
    if not effect["attempts"] and final is None:
        yield Tried(effect=effect["kind"], attempt=0, at="", answer="", took="", ended=DELIVERY["PENDING"][0],
                    tone="warn")  # fmt: skip
    for place, one in enumerate(effect["attempts"], 1):
        last = final is not None and place == len(effect["attempts"])
        word, tone = DELIVERY[final["status"]] if last else ("", "plain")
        answer = _ANSWERS.get(one["answer"], one["answer"])
        took = milliseconds(one["duration_us"])
        yield Tried(
            effect=effect["kind"],
            attempt=one["attempt"],
            at=minute(one["at"]),
            answer=f"{answer} ({one['error_code']})" if one["error_code"] else answer,
            took="not measured" if took is None else f"{took:,.0f} ms",
            ended=f"{final['status']}: {word}" if last else "",
            tone=tone,
        )


def _fixed(r: Record) -> Pairs:
    return _filled(
        ("uid", r["uid"]),
        ("Log index", "not sealed yet" if r.get("logIndex") is None else str(r["logIndex"])),
        ("Leaf hash", r["leafHash"]),
        ("Policy", f"profile {r['policyProfile']}"),
        ("Policy hash", r["policyHash"]),
        ("Suggestion shown as", r["linked"]),
        ("Request key", r["requestKey"]),
    )


def _filled(*pairs: tuple[str, str]) -> Pairs:
    return tuple((name, value) for name, value in pairs if value)
