"""What makes a pack unfit to be used although it can be read: empty proofs, wrong dates, words left to fill in."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel

from cairnops.domain import gates
from cairnops.scenarios.loader import PackInvalid, dotted, parse_pack, read_source
from cairnops.scenarios.model import Expect, Pack, Scenario, Step

#: Roles without which a session leaves no record anybody can use.
NEEDED_ROLES = ("facilitator", "scribe", "observer")

#: Which step makes which decision.
MAKES = {"approve": "approve_send", "escalate": "escalate", "resolve": "mark_resolved"}

#: Which decision an answer key asks for; rejecting the suggestion can end in any of them or in none.
ANSWERS = {
    "approve": "approve_send",
    "edit": "approve_send",
    "escalate": "escalate",
    "resolve": "mark_resolved",
}

_PLACEHOLDERS = (
    (re.compile(r"\b(?:TBD|TBC|TODO|FIXME)\b"), "a word for “not decided yet”"),
    (re.compile(r"\bX{3,}\b"), "a row of X"),
    (re.compile(r"<[A-Za-z][^<>\n]{0,80}>"), "a blank in angle brackets"),
    (re.compile(r"\{\{[^{}\n]*\}\}"), "a template variable"),
    (re.compile(r"\$\([^()\n]*\)"), "an unexpanded shell command"),
    (re.compile(r"\[[a-z_]+\?\]"), "a value nobody knew"),
)

_NOBODY = ("", "-", "?", "none", "nobody", "unassigned", "n/a")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One reason not to use a pack."""

    code: str
    #: Dotted path, with scenarios by id: `scenarios[a-late-shipment].expect`.
    where: str
    message: str
    hint: str = ""
    #: From 1, when the file's line is known.
    line: int | None = None


def lint(pack: Pack, *, today: date, codes: Collection[str]) -> list[Problem]:
    """Every problem of a pack, in the order of the file.

    Args:
        today: the day the pack is to be used, for its expiry.
        codes: the codes of every rule there is.
    """
    out = [*_front_matter(pack, today), *_session(pack)]
    for scenario in pack.scenarios:
        out += _scenario(scenario, codes)
    out += _placeholders(pack)
    return out


def lint_source(name_or_path: str | Path, *, today: date, codes: Collection[str]) -> list[Problem]:
    """The same for a pack by name or path, with what kept it from being read as problems too.

    Raises:
        PackError: when there is no such pack, or the file cannot be opened.
    """
    source, data = read_source(name_or_path)
    try:
        return lint(parse_pack(data, source), today=today, codes=codes)
    except PackInvalid as error:
        return [
            Problem(
                code=f"pack.{c.kind}", where=c.where or source, message=c.message, hint=c.hint, line=c.line
            )
            for c in error.complaints
        ]


def _front_matter(pack: Pack, today: date) -> Iterator[Problem]:
    if pack.expires is not None and pack.expires < today:
        yield Problem(
            code="front.expired",
            where="expires",
            message=f"the pack expired on {pack.expires.isoformat()}",
            hint="Read it again, then set `reviewed` and `expires`.",
        )
    if pack.expires is not None and pack.expires < pack.reviewed:
        yield Problem(
            code="front.dates",
            where="expires",
            message=f"it expires before it was reviewed ({pack.reviewed.isoformat()})",
            hint="Set `expires` to a day after `reviewed`.",
        )
    actual = _weekday(pack.date)
    if pack.weekday != actual:
        yield Problem(
            code="session.weekday",
            where="weekday",
            message=f"{pack.date.isoformat()} is a {actual}, not a {pack.weekday}",
            hint="Ask which of the two people have in their calendars, and correct the other.",
        )
    if abs((pack.starts_at.date() - pack.date).days) > 1:
        yield Problem(
            code="session.start",
            where="starts_at",
            message=f"it starts on {pack.starts_at.date().isoformat()}, the session is on {pack.date.isoformat()}",
            hint="`starts_at` is the same day in UTC, give or take the time zone.",
        )


def _weekday(day: date) -> str:
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return names[day.weekday()]


def _session(pack: Pack) -> Iterator[Problem]:
    total = sum(item.minutes for item in pack.agenda)
    if total != pack.minutes:
        yield Problem(
            code="agenda.minutes",
            where="agenda",
            message=f"the items take {total} minutes, the session has {pack.minutes}",
            hint=f"Change `minutes` or the items by {abs(total - pack.minutes)}.",
        )
    known = {s.id for s in pack.scenarios}
    named = [(n, slug) for n, item in enumerate(pack.agenda) for slug in item.scenarios]
    for n, slug in named:
        if slug not in known:
            close = get_close_matches(slug, sorted(known), n=1)
            yield Problem(
                code="agenda.unknown_scenario",
                where=f"agenda[{n}].scenarios",
                message=f"there is no scenario `{slug}`",
                hint=f"Did you mean `{close[0]}`?" if close else "Take it off the agenda, or write it.",
            )
    for slug in [s.id for s in pack.scenarios if named and s.id not in {slug for _, slug in named}]:
        yield Problem(
            code="agenda.missing_scenario",
            where="agenda",
            message=f"`{slug}` has no place on the agenda",
            hint="Name it in the `scenarios` of an item.",
        )
    for role in NEEDED_ROLES:
        if role not in pack.roles:
            yield _unassigned(role, "nobody is named for it")
    for role, who in pack.roles.items():
        if who.strip().lower() in _NOBODY:
            yield _unassigned(role, "it is left empty")
    yield from _twice("agenda", "agenda.scenario_twice", "scenario", [slug for _, slug in named])
    yield from _twice("scenarios", "scenario.duplicate_id", "scenario id", (s.id for s in pack.scenarios))
    letters = (s.letter for s in pack.scenarios if s.letter)
    yield from _twice("scenarios", "scenario.duplicate_letter", "letter", letters)
    conversations = (s.world.conversation.id for s in pack.scenarios)
    yield from _twice("scenarios", "scenario.duplicate_conversation", "conversation id", conversations)
    yield from _twice("checklist", "checklist.duplicate_id", "checklist id", (c.id for c in pack.checklist))
    yield from _twice("gates", "gate.duplicate_id", "gate id", (g.id for g in pack.gates))
    used = {p for g in pack.gates for p in gates.probes_of(gates.parse(g.require, pack.probes))}
    for probe in pack.probes:
        if probe not in used:
            yield Problem(
                code="gate.unused_probe",
                where="probes",
                message=f"no gate looks at `{probe}`",
                hint="Use it in a gate, or stop measuring it.",
            )


def _unassigned(role: str, why: str) -> Problem:
    return Problem(
        code="roles.unassigned",
        where=f"roles.{role}",
        message=f"{role}: {why}",
        hint="Name a person or a post before the session.",
    )


def _twice(where: str, code: str, what: str, values: Iterable[str]) -> Iterator[Problem]:
    for value, count in Counter(values).items():
        if count > 1:
            yield Problem(
                code=code,
                where=where,
                message=f"{what} `{value}` is used {count} times",
                hint="Evidence is found by it; give each its own.",
            )


def _scenario(scenario: Scenario, codes: Collection[str]) -> Iterator[Problem]:
    where = f"scenarios[{scenario.id}]"
    if not scenario.proves:
        yield Problem(
            code="scenario.proves_nothing",
            where=f"{where}.proves",
            message="it proves no rule",
            hint="Name the rules it would turn red without.",
        )
    yield from _rule_codes(scenario, where, codes)
    yield from _expectation(scenario, where)
    yield from _script(scenario, where)


def _rule_codes(scenario: Scenario, where: str, codes: Collection[str]) -> Iterator[Problem]:
    places: list[tuple[str, str]] = [("proves", code) for code in scenario.proves]
    places += [(f"expect.verdicts[{n}]", v.code) for n, v in enumerate(scenario.expect.verdicts)]
    places += [("expect.refused", code) for code in scenario.expect.refused]
    places += [(f"script[{n}].refused", s.refused) for n, s in enumerate(scenario.script) if s.refused]
    places += [("debrief.rules", code) for code in (scenario.debrief.rules if scenario.debrief else ())]
    for place, code in places:
        if code not in codes:
            close = get_close_matches(code, sorted(codes), n=1)
            yield Problem(
                code="scenario.unknown_rule",
                where=f"{where}.{place}",
                message=f"no rule has the code `{code}`",
                hint=f"Did you mean `{close[0]}`?" if close else "`cairnops explain` lists the codes.",
            )


def _expectation(scenario: Scenario, where: str) -> Iterator[Problem]:
    expect = scenario.expect
    for name in sorted(expect.model_fields_set):
        if _examines_nothing(getattr(expect, name)):
            yield Problem(
                code="expect.empty",
                where=f"{where}.expect.{name}",
                message=f"`{name}` is there and examines nothing",
                hint="Say what is expected, or leave it out; what must be absent has its own key.",
            )
    if not gating(expect):
        yield Problem(
            code="expect.nothing",
            where=f"{where}.expect",
            message="nothing in it can turn this scenario red",
            hint="Expect a decision, a delivery, a refusal, a worksheet row or an absence.",
        )
    for n, absent in enumerate(expect.decisions_absent):
        for decision in expect.decisions:
            if decision.scope == absent.scope and absent.action in (None, decision.action):
                yield Problem(
                    code="expect.contradiction",
                    where=f"{where}.expect.decisions_absent[{n}]",
                    message=f"`{decision.action}` of scope {decision.scope} is expected and must be absent",
                    hint="Drop one of the two.",
                )
    possible = {MAKES[s.kind] for s in scenario.script if s.kind in MAKES}
    absent_ops = [a for a in expect.decisions_absent if a.scope == "ops"]
    vacuous = [a for a in absent_ops if not possible & ({a.action} if a.action else set(MAKES.values()))]
    positive = expect.worksheet or expect.refused or expect.delivery or expect.decisions or expect.follow_ups
    if vacuous and not positive:
        yield Problem(
            code="expect.vacuous_absence",
            where=f"{where}.expect.decisions_absent",
            message="no step could make the decision that must be absent, and nothing else is asserted",
            hint="Log what was done instead, and expect that row in `worksheet`.",
        )
    made = Counter(MAKES[s.kind] for s in scenario.script if s.kind in MAKES and s.refused is None)
    wanted = Counter(d.action for d in expect.decisions if d.scope == "ops")
    for action, count in wanted.items():
        if made[action] < count:
            yield Problem(
                code="expect.unreachable",
                where=f"{where}.expect.decisions",
                message=f"{count} × {action} expected, {made[action]} steps could make it",
                hint="Add the step to the script, or take the decision off.",
            )
    best = ANSWERS.get(scenario.answer.best) if scenario.answer else None
    if best and wanted and best not in wanted:
        yield Problem(
            code="answer.contradiction",
            where=f"{where}.answer.best",
            message=f"the best answer calls for {best}, the script decides otherwise",
            hint="Let the script end with the right answer.",
        )


def _examines_nothing(value: object) -> bool:
    """An empty list, or a group of expectations in which none is set."""
    if isinstance(value, BaseModel):
        return all(getattr(value, name) in (None, ()) for name in type(value).model_fields)
    return value in (None, ())


def gating(expect: Expect) -> tuple[str, ...]:
    """The expectations that can turn a scenario red; optional evidence cannot."""
    named = [n for n in type(expect).model_fields if not _examines_nothing(getattr(expect, n))]
    if expect.evidence is not None and not expect.evidence.required and "evidence" in named:
        named.remove("evidence")
    return tuple(named)


def _script(scenario: Scenario, where: str) -> Iterator[Problem]:
    scripted = Counter(s.refused for s in scenario.script if s.refused)
    expected = Counter(scenario.expect.refused)
    for code in sorted(set(scripted) | set(expected)):
        if scripted[code] != expected[code]:
            yield Problem(
                code="script.refusals",
                where=f"{where}.expect.refused",
                message=f"`{code}`: {scripted[code]} steps are refused with it, {expected[code]} are expected",
                hint="Mark the step with `refused` and name the code in `expect.refused`.",
            )
    earliest = None
    for n, step in enumerate(scenario.script):
        here = f"{where}.script[{n}]"
        if earliest is not None and step.at < earliest:
            yield Problem(
                code="script.order",
                where=f"{here}.at",
                message="this step comes before the one above it",
                hint="Write steps in the order they happen; after a `wait` its span counts.",
            )
        earliest = step.at + (step.wait or step.at * 0)
        yield from _follow_up(step, here)


def _follow_up(step: Step, where: str) -> Iterator[Problem]:
    holder = step.approve or step.resolve
    promise = step.follow_up or (holder.follow_up if holder else None)
    if promise is None or step.refused is not None:
        return
    lacking = [name for name, given in (("owner", promise.owner.strip()), ("due", promise.due)) if not given]
    if promise.owner.strip().lower() in _NOBODY and "owner" not in lacking:
        lacking.insert(0, "owner")
    if lacking:
        yield Problem(
            code="script.follow_up",
            where=where,
            message=f"a follow-up without {' and '.join(lacking)}",
            hint="Name who follows up and when it is due, like +60m.",
        )


def _placeholders(pack: Pack) -> Iterator[Problem]:
    for path, text, intended in _texts(pack):
        if intended:
            continue
        for pattern, what in _PLACEHOLDERS:
            found = pattern.search(text)
            if found:
                yield Problem(
                    code="text.placeholder",
                    where=path,
                    message=f"“{found[0]}” is {what}",
                    hint="Write what is meant.",
                )


def _texts(pack: Pack) -> Iterator[tuple[str, str, bool]]:
    """Every text of the pack with its path, and whether a placeholder in it is the point of the exercise.

    A scenario about placeholders has to show one: in the draft, and in a reply that is refused for it.
    """
    for name in type(pack).model_fields:
        if name != "scenarios":
            yield from ((path, text, False) for path, text in _strings(getattr(pack, name), (name,)))
    for scenario in pack.scenarios:
        about = {"suggestion.placeholder_left", "suggestion.name_missing"} & set(scenario.proves)
        for path, text in _strings(scenario, ("scenarios", scenario.id)):
            inside = path.partition("].")[2]
            refused = inside.startswith("script[") and _step_of(scenario, inside).refused is not None
            yield path, text, bool(about) and (refused or inside.startswith("world.suggestion."))


def _step_of(scenario: Scenario, inside: str) -> Step:
    return scenario.script[int(inside[len("script[") : inside.index("]")])]


def _strings(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield _where(path), value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _strings(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*path, key))
    elif isinstance(value, tuple):
        for n, item in enumerate(value):
            yield from _strings(item, (*path, n))


def _where(path: tuple[str | int, ...]) -> str:
    if path[0] == "scenarios":
        return f"scenarios[{path[1]}].{dotted(path[2:])}"
    return dotted(path)
