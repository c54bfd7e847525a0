"""Whether what was done is what a scenario expects, and how ready the operator is; pure and deterministic.

A check that examined nothing has failed. A judge that is content with an empty log is content with
everything.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cairnops import codec
from cairnops.domain import edits
from cairnops.scenarios.model import ExpectedDecision, Scenario, Seen, Verb

#: Points of the operator's score. What does not apply to a case is left out and the rest counts as 100.
WEIGHTS = {"action": 40, "text": 20, "guardrails": 20, "note": 10, "time": 10}

#: Points a practice run needs, and the share of scenarios an operator needs (training guide: 80 %).
PASS_POINTS = 80
READY_PERCENT = 80

#: A text that shares less than this with the suggestion was written anew rather than edited.
REWRITTEN_BELOW = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class DoneDecision:
    """A row of the decision log; `action` with or without its system in front (`chatwoot.escalate`)."""

    action: str
    scope: str = "ops"
    template: str = ""
    edited: bool = False
    fallback: str = ""
    rationale: str = ""
    #: The text approved; empty when nothing was sent.
    text: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DoneDelivery:
    """How one effect ended."""

    effect: str
    status: str
    attempt: int
    error_code: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DoneVerdict:
    """A guardrail's finding, shown at opening or met by a request."""

    code: str
    severity: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DoneSuggestion:
    """What the modal showed first; `template` and `text` empty when there was no suggestion."""

    template: str = ""
    source: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DoneFollowUp:
    """A follow-up on record, its due time in minutes from the step that set it."""

    owner: str
    due_in_minutes: int
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DoneRow:
    """A row of the worksheet."""

    outcome: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Everything that came of one run of one scenario, read back after delivery had ended."""

    operator: str
    #: False when a person practised freely: the script's own wrong moves are then not expected.
    scripted: bool = True
    #: Operator steps carried out; an absence looked for after none of them proves nothing.
    steps: int = 0
    #: This conversation's rows in log order, both scopes.
    decisions: tuple[DoneDecision, ...] = ()
    #: Codes of refused requests, in order.
    refusals: tuple[str, ...] = ()
    verdicts: tuple[DoneVerdict, ...] = ()
    #: None when the modal was never opened.
    suggestion: DoneSuggestion | None = None
    deliveries: tuple[DoneDelivery, ...] = ()
    #: Public messages of the team that the help desk holds, oldest first, byte for byte; those the world
    #: began with included.
    customer_visible: tuple[str, ...] = ()
    #: Public messages read back from the help desk, whoever wrote them.
    messages_read: int = 0
    follow_ups: tuple[DoneFollowUp, ...] = ()
    worksheet: tuple[DoneRow, ...] = ()
    #: Kinds of evidence that exist (`decision_row`, `qa_row`, `screenshot`).
    evidence: frozenset[str] = frozenset()
    events: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    #: The conversation's status on the help desk; empty when it was not read.
    status: str = ""
    #: `P1`, `P2`, `P3` or `none`; empty when it was not read.
    priority: str = ""
    breached_created: bool | None = None
    breached_last_customer: bool | None = None
    elapsed_minutes: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One comparison, in words both sides can be shown in."""

    code: str
    ok: bool
    expected: str
    found: str
    #: How many things were looked at; a check with 0 has failed.
    examined: int
    #: False for what is nice to have: it is shown and never turns a scenario red.
    gating: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One scenario's result for one operator."""

    scenario: str
    title: str
    operator: str
    proves: tuple[str, ...]
    checks: tuple[Check, ...]
    passed: bool
    #: 0 to 100; None when the scenario names no answer.
    points: int | None
    #: (part, points, out of), for the parts of `WEIGHTS` that apply to this scenario.
    parts: tuple[tuple[str, int, int], ...]
    #: What the operator did, as the answer key names it; empty when nothing was decided.
    verb: str
    #: Code points between the reply sent and the one the script sends; None when either is missing.
    text_distance: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """Whether an operator can go live, over every scenario they ran (the last run of each counts)."""

    operator: str
    state: Literal["ready", "needs practice", "no scenarios"]
    passed: int
    scenarios: int
    #: Mean points; None when no scenario gave any.
    points: int | None
    #: Rules of the scenarios that did not pass, most frequent first.
    practise: tuple[str, ...]

    @property
    def line(self) -> str:
        """One line for a table or a report."""
        if self.state == "no scenarios":
            return f"{self.operator}: no scenarios yet"
        mean = "" if self.points is None else f", {self.points} points"
        end = f" · practise: {', '.join(self.practise)}" if self.practise else ""
        return f"{self.operator}: {self.state} ({self.passed} of {self.scenarios} passed{mean}){end}"


def score(scenario: Scenario, done: Done) -> Score:
    """Compare a run with the scenario's expectations and its answer key.

    A scripted run passes when every gating check does. A free practice run is judged by the answer:
    at least `PASS_POINTS`, and nothing happened that must not happen.
    """
    checks = tuple(_checks(scenario, done))
    gating = [c for c in checks if c.gating]
    parts = tuple(_parts(scenario, done))
    points = _points(parts)
    held = all(c.ok for c in gating)
    passed = bool(gating) and held if done.scripted else held and points is not None and points >= PASS_POINTS
    sent, wanted = _sent(done), scenario.expected_text()
    return Score(
        scenario=scenario.id,
        title=scenario.title,
        operator=done.operator,
        proves=scenario.proves,
        checks=checks,
        passed=passed,
        points=points,
        parts=parts,
        verb=next(iter(verbs(done)), ""),
        text_distance=edits.distance(sent, wanted) if sent and wanted else None,
    )


def of_record(kept: Mapping[str, Any]) -> Score:
    """The score a run was kept with, of the record `codec.record` made of it."""
    fields = {name: value for name, value in kept.items() if name != "textDistance"}
    return codec.read(Score, fields | {"text_distance": kept["textDistance"]})


def readiness(scores: Iterable[Score], operator: str) -> Readiness:
    """The readiness of one operator over scores in the order they were made.

    Ready: at least `READY_PERCENT` of the scenarios passed and the mean reaches `PASS_POINTS`.
    """
    last = {s.scenario: s for s in scores if s.operator == operator}
    if not last:
        return Readiness(
            operator=operator, state="no scenarios", passed=0, scenarios=0, points=None, practise=()
        )
    passed = sum(s.passed for s in last.values())
    points = [s.points for s in last.values() if s.points is not None]
    mean = round(sum(points) / len(points)) if points else None
    ready = passed * 100 >= READY_PERCENT * len(last) and (mean is None or mean >= PASS_POINTS)
    failed = Counter(code for s in last.values() if not s.passed for code in s.proves)
    return Readiness(
        operator=operator,
        state="ready" if ready else "needs practice",
        passed=passed,
        scenarios=len(last),
        points=mean,
        practise=tuple(code for code, _ in sorted(failed.items(), key=lambda item: (-item[1], item[0]))),
    )


def readiness_lines(scores: Iterable[Score]) -> tuple[str, ...]:
    """One line per operator, by name."""
    every = tuple(scores)
    return tuple(readiness(every, who).line for who in sorted({s.operator for s in every}))


def plain(action: str) -> str:
    """An action as packs name it: `chatwoot.approve_send` is `approve_send`, `suggestion.shown` `suggestion_shown`."""
    return action.removeprefix("chatwoot.").replace(".", "_")


def verbs(done: Done) -> tuple[Verb, ...]:
    """What the operator did, as the answer key names it; a rewritten reply is both an edit and a rejection.

    The last decision counts. Opening a case and deciding nothing rejects the suggestion.
    """
    decided = [d for d in done.decisions if d.scope == "ops"]
    if not decided:
        return ("reject",) if done.steps else ()
    last = decided[-1]
    match plain(last.action):
        case "escalate":
            return ("escalate",)
        case "mark_resolved":
            return ("resolve",)
        case "approve_send" if last.fallback:
            return ("reject", "edit")
        case "approve_send" if last.edited:
            shown = done.suggestion.text if done.suggestion else ""
            return ("edit", "reject") if likeness(shown, last.text) < REWRITTEN_BELOW else ("edit",)
        case "approve_send":
            return ("approve",)
    return ()


def likeness(a: str, b: str) -> float:
    """1 for equal texts, 0 for texts with nothing in place: 1 − Levenshtein / longer length."""
    return 1 - edits.distance(a, b) / max(len(a), len(b), 1)


def _sent(done: Done) -> str:
    texts = [d.text for d in done.decisions if d.scope == "ops" and plain(d.action) == "approve_send"]
    return texts[-1] if texts else ""


def _points(parts: tuple[tuple[str, int, int], ...]) -> int | None:
    total = sum(weight for _, _, weight in parts)
    return round(100 * sum(got for _, got, _ in parts) / total) if total else None


def _parts(scenario: Scenario, done: Done) -> Iterator[tuple[str, int, int]]:
    """(part, points, weight) of whatever applies to this answer."""
    answer = scenario.answer
    if answer is None:
        return
    did = verbs(done)
    right = answer.best in did
    acceptable = right or any(verb in answer.also_acceptable for verb in did)
    yield (
        "action",
        WEIGHTS["action"] if right else WEIGHTS["action"] * 3 // 4 if acceptable else 0,
        WEIGHTS["action"],
    )
    if answer.best in ("approve", "edit"):
        yield "text", round(WEIGHTS["text"] * _text_share(scenario, done)), WEIGHTS["text"]
    needed = len(scenario.expect.refused) if done.scripted else 0
    needless = max(len(done.refusals) - needed, 0)
    # Whoever never opened the case was neither careful nor quick.
    worked = bool(done.steps or done.decisions)
    careful = max(WEIGHTS["guardrails"] - 10 * needless, 0)
    yield "guardrails", careful if worked else 0, WEIGHTS["guardrails"]
    if _note_wanted(scenario):
        noted = any(d.note.strip() for d in done.decisions) or any(
            d.effect == "note" for d in done.deliveries
        )
        yield "note", WEIGHTS["note"] if noted else 0, WEIGHTS["note"]
    limit = scenario.time_limit_minutes
    waits = (step.wait.total_seconds() for step in scenario.script if step.wait)
    # Nobody sits through a script's waits in practice: there time only ever runs as it runs.
    waited = sum(waits) / 60 if done.scripted else 0
    late = max(done.elapsed_minutes - waited - limit, 0) / limit
    yield "time", round(WEIGHTS["time"] * max(1 - late, 0)) if worked else 0, WEIGHTS["time"]


def _text_share(scenario: Scenario, done: Done) -> float:
    """How good the reply is, 0 to 1: what must and must not be in it, else how near the script's own text."""
    sent = _sent(done)
    shown = done.suggestion.text if done.suggestion else ""
    if not sent or (scenario.answer and scenario.answer.best == "edit" and sent == shown):
        return 0.0
    expected = scenario.expected_text()
    # What the script's own reply does not say (an earlier one did), or says although it never arrives,
    # is a matter of delivery and not of wording.
    said = [s.contains for s in scenario.expect.customer_sees if s.contains]
    unsaid = [s.contains for s in scenario.expect.customer_does_not_see if s.contains]
    wanted = [text for text in said if text in (expected or text)]
    banned = [text for text in unsaid if text not in (expected or "")]
    if wanted or banned:
        met = sum(w in sent for w in wanted) + sum(b not in sent for b in banned)
        return met / (len(wanted) + len(banned))
    return likeness(sent, expected) if expected else 1.0


def _note_wanted(scenario: Scenario) -> bool:
    steps = [s for s in scenario.script if s.refused is None]
    return any(
        step.note is not None
        or any(part is not None and part.note.strip() for part in (step.approve, step.escalate, step.resolve))
        for step in steps
    )


def _checks(scenario: Scenario, done: Done) -> Iterator[Check]:
    expect = scenario.expect
    yield from _absences(scenario, done)
    if not done.scripted:
        return
    yield from _decisions(expect.decisions, done)
    if expect.suggestion is not None:
        yield _suggestion(scenario, done)
    yield from _deliveries(scenario, done)
    arrived = _arrived(scenario, done)
    for seen in expect.customer_sees:
        hit = any(_matches(seen, text, done) for text in arrived)
        found = _short(" | ".join(arrived)) or "nothing was sent"
        yield _check("customer.sees", hit, _wording(seen), found, len(arrived))
    for verdict in expect.verdicts:
        severities = sorted({v.severity for v in done.verdicts if v.code == verdict.code})
        ok = verdict.severity.value in severities
        found = ", ".join(f"{verdict.code} ({s})" for s in severities) or "not raised"
        yield _check("verdicts", ok, f"{verdict.code} ({verdict.severity.value})", found, len(done.verdicts))
    if expect.refused or done.refusals:
        yield _check(
            "refused",
            done.refusals == expect.refused,
            _list(expect.refused),
            _list(done.refusals),
            done.steps,
        )
    for kind in expect.events:
        yield _check("events", kind in done.events, kind, _list(done.events), len(done.events))
    yield from _follow_ups(scenario, done)
    for row in expect.worksheet:
        ok = any(_has(r.outcome, row.outcome) and _has(r.note, row.note or "") for r in done.worksheet)
        found = _short(" | ".join(r.outcome for r in done.worksheet)) or "no rows"
        yield _check("worksheet", ok, row.outcome, found, len(done.worksheet))
    if expect.evidence is not None:
        for kinds, gating in ((expect.evidence.required, True), (expect.evidence.optional, False)):
            for kind in kinds:
                found = _list(sorted(done.evidence))
                yield _check(
                    "evidence", kind in done.evidence, kind, found, len(done.evidence), gating=gating
                )
    if expect.labels:
        ok = set(expect.labels) <= set(done.labels)
        yield _check("labels", ok, _list(expect.labels), _list(done.labels), len(done.labels))
    yield from _standing(scenario, done)


def _decisions(expected: tuple[ExpectedDecision, ...], done: Done) -> Iterator[Check]:
    for scope in dict.fromkeys(e.scope for e in expected):
        wanted = [e for e in expected if e.scope == scope]
        rows = [d for d in done.decisions if d.scope == scope]
        if scope == "ops":
            ok = len(wanted) == len(rows) and all(_is(e, d) for e, d in zip(wanted, rows, strict=True))
        else:
            # A modal opened twice shows the suggestion twice; what matters is that it was recorded.
            ok = all(any(_is(e, d) for d in rows) for e in wanted)
        yield _check(
            f"decisions.{scope}",
            ok,
            _list(_describe_expected(e) for e in wanted),
            _list(_describe(d) for d in rows),
            len(rows),
        )


def _is(expected: ExpectedDecision, found: DoneDecision) -> bool:
    return (
        plain(found.action) == expected.action
        and (expected.template is None or found.template == expected.template.replace("none", ""))
        and (expected.edited is None or found.edited is expected.edited)
        and (expected.fallback is None or found.fallback == expected.fallback)
        and (expected.rationale_contains is None or _has(found.rationale, expected.rationale_contains))
    )


def _absences(scenario: Scenario, done: Done) -> Iterator[Check]:
    for absent in scenario.expect.decisions_absent:
        rows = [
            d for d in done.decisions if d.scope == absent.scope and absent.action in (None, plain(d.action))
        ]
        what = f"no {absent.action or 'decision'} of scope {absent.scope}"
        yield _check("decisions.absent", not rows, what, _list(_describe(d) for d in rows), done.steps)
    for seen in scenario.expect.customer_does_not_see:
        hit = any(_matches(seen, text, done) for text in _arrived(scenario, done))
        found = "it was sent" if hit else "not there"
        yield _check("customer.does_not_see", not hit, _wording(seen), found, done.messages_read)


def _arrived(scenario: Scenario, done: Done) -> list[str]:
    """What the team said since the scenario began: the messages its world started with prove nothing."""
    before = Counter(m.text for m in scenario.world.messages if m.author == "agent")
    out: list[str] = []
    for text in done.customer_visible:
        if before[text]:
            before[text] -= 1
        else:
            out.append(text)
    return out


def _suggestion(scenario: Scenario, done: Done) -> Check:
    expected = scenario.expect.suggestion
    assert expected is not None
    shown = done.suggestion
    template = (shown.template or "none") if shown else ""
    ok = template == expected.template and (
        expected.source is None or (shown is not None and shown.source == expected.source)
    )
    found = " ".join(x for x in (template, shown.source if shown else "") if x) or "the modal was not opened"
    wanted = f"{expected.template} {expected.source or ''}".strip()
    return _check("suggestion", ok, wanted, found, 0 if shown is None else 1)


def _deliveries(scenario: Scenario, done: Done) -> Iterator[Check]:
    expected = scenario.expect.delivery
    for effect in dict.fromkeys(e.effect.value for e in expected):
        wanted = [e for e in expected if e.effect.value == effect]
        rows = [d for d in done.deliveries if d.effect == effect]
        ok = len(wanted) == len(rows) and all(
            d.status == e.status.value
            and e.attempt in (None, d.attempt)
            and e.error_code in (None, d.error_code)
            for e, d in zip(wanted, rows, strict=True)
        )
        says = _list(_result(e.status.value, e.attempt, e.error_code) for e in wanted)
        found = _list(_result(d.status, d.attempt, d.error_code) for d in rows)
        yield _check(f"delivery.{effect}", ok, says, found, len(rows))


def _follow_ups(scenario: Scenario, done: Done) -> Iterator[Check]:
    for wanted in scenario.expect.follow_ups:
        ok = any(
            f.due_in_minutes == wanted.due_in_minutes
            and f.owner.strip() != ""
            and wanted.owner in (None, f.owner)
            for f in done.follow_ups
        )
        found = _list(f"{f.owner or 'nobody'} in {f.due_in_minutes} min" for f in done.follow_ups)
        says = f"{wanted.owner or 'somebody'} in {wanted.due_in_minutes} min"
        yield _check("follow_ups", ok, says, found, len(done.follow_ups))


def _standing(scenario: Scenario, done: Done) -> Iterator[Check]:
    expect = scenario.expect
    pairs: list[tuple[str, str, str]] = []
    if expect.status is not None:
        pairs.append(("status", expect.status.value, done.status))
    if expect.priority is not None:
        pairs.append(("priority", expect.priority, done.priority))
    if expect.sla is not None and expect.sla.breached_created is not None:
        pairs.append(("sla.created", _word(expect.sla.breached_created), _word(done.breached_created)))
    if expect.sla is not None and expect.sla.breached_last_customer is not None:
        wanted = _word(expect.sla.breached_last_customer)
        pairs.append(("sla.last_customer", wanted, _word(done.breached_last_customer)))
    for code, says, found in pairs:
        yield _check(code, says == found, says, found or "not read", 1 if found else 0)


def _word(breached: bool | None) -> str:
    """A clock's standing in one word; empty when it was not read."""
    return {True: "breached", False: "within", None: ""}[breached]


def _check(code: str, ok: bool, expected: str, found: str, examined: int, *, gating: bool = True) -> Check:
    return Check(
        code=code, ok=ok and examined > 0, expected=expected, found=found, examined=examined, gating=gating
    )


def _matches(seen: Seen, text: str, done: Done) -> bool:
    if seen.as_suggested:
        return done.suggestion is not None and done.suggestion.text != "" and text == done.suggestion.text
    return text == seen.exactly if seen.exactly is not None else (seen.contains or "") in text


def _wording(seen: Seen) -> str:
    return "the suggestion as shown" if seen.as_suggested else _short(seen.exactly or seen.contains or "")


def _describe_expected(e: ExpectedDecision) -> str:
    how = {True: "edited", False: "as suggested", None: ""}[e.edited]
    parts = (e.action, e.template or "", how, e.fallback or "", e.rationale_contains or "")
    return " ".join(p for p in parts if p)


def _describe(d: DoneDecision) -> str:
    how = "edited" if d.edited else "as suggested" if plain(d.action) == "approve_send" else ""
    return " ".join(p for p in (plain(d.action), d.template, how, d.fallback) if p)


def _result(status: str, attempt: int | None, error_code: str | None) -> str:
    return " ".join(p for p in (status, f"at attempt {attempt}" if attempt else "", error_code or "") if p)


def _has(text: str, part: str) -> bool:
    return part.casefold() in text.casefold()


def _list(items: Iterable[str]) -> str:
    return "; ".join(items) or "none"


def _short(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
