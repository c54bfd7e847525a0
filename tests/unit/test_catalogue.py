"""Every rule has one code, one meaning, one place, one threshold that exists, and a scenario that proves it."""

import ast
import re
from pathlib import Path

import pytest

from cairnops.domain import actions, catalogue, guardrails
from cairnops.domain import policy as policies
from cairnops.domain.catalogue import ENTRIES, Entry
from cairnops.domain.rules import Severity, Verdict, worst
from cairnops.scenarios.loader import load_pack, shipped
from cairnops.settings import SETTINGS

ROOT = Path(catalogue.__file__).parents[2]

#: Codes no scenario can prove, and why.
UNPROVED = {
    "conversation.claimed": "a script plays one part at a time and holds nothing open",
    "duty.not_allowed": "a script is run by whoever runs it: nobody seeds or gives a cue in one",
    "note.empty": "the pack format has no empty note: such a step would not load",
    "session.closed": "a run ends when its session does: no step comes after",
    "request.key_reused": "keys are minted per step: no script can press another form's button",
}

BY_CODE = [pytest.param(entry, id=entry.rule.code) for entry in ENTRIES]


def test_every_code_is_there_once() -> None:
    codes = [entry.rule.code for entry in ENTRIES]
    assert len(codes) == len(set(codes)) == len(catalogue.CODES)


def test_every_guardrail_and_every_refusal_is_in_the_catalogue() -> None:
    assert {g.rule.code for g in guardrails.GUARDRAILS} | set(actions.REFUSALS) <= catalogue.CODES


@pytest.mark.parametrize("entry", BY_CODE)
def test_a_rule_says_what_it_is(entry: Entry) -> None:
    rule = entry.rule
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", rule.code)
    assert rule.title and rule.title[0].isupper() and not rule.title.endswith(".")
    assert rule.source
    assert entry.meaning.endswith(".") and entry.meaning.rstrip(".") != rule.title
    if rule.severity is not Severity.INFO:
        assert rule.way_out.endswith("."), "what to do instead"


@pytest.mark.parametrize("entry", BY_CODE)
def test_its_place_is_the_function_that_decides_it(entry: Entry) -> None:
    match = re.fullmatch(r"(cairnops/domain/\w+\.py):(\d+) \((\w+)\)", entry.place)
    assert match
    tree = ast.parse((ROOT / match[1]).read_text(encoding="utf-8"))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == match[3]]
    assert len(functions) == 1
    first = min([functions[0].lineno, *(d.lineno for d in functions[0].decorator_list)])
    assert first == int(match[2])
    assert ast.get_docstring(functions[0]) == entry.meaning


def test_no_two_rules_share_a_function() -> None:
    places = [entry.place for entry in ENTRIES]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("entry", BY_CODE)
def test_its_threshold_is_a_key_of_the_policy_or_a_setting(entry: Entry) -> None:
    known = {leaf for leaf, _ in policies.flatten(policies.Policy())} | {s.name for s in SETTINGS}
    assert entry.rule.threshold in known | {""}


def proved() -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for info in shipped():
        pack = load_pack(info.name)
        for scenario in pack.scenarios:
            for code in scenario.proves:
                out.setdefault(code, []).append(f"{pack.id}/{scenario.id}")
    return out


def test_every_rule_is_proved_by_a_shipped_scenario() -> None:
    assert catalogue.CODES - set(proved()) == set(UNPROVED)


def test_no_scenario_proves_a_rule_that_is_not_there() -> None:
    assert set(proved()) <= catalogue.CODES


@pytest.mark.parametrize(
    ("given", "near"),
    [
        pytest.param("refund.above_teir", "refund.above_tier", id="mistyped"),
        pytest.param("sla.breached", "sla.breach", id="another form"),
        pytest.param("zzz", "", id="nothing like it"),
    ],
)
def test_the_code_most_like_a_mistyped_one(given: str, near: str) -> None:
    assert catalogue.find(given) is None
    assert catalogue.near(given) == near


def test_a_rule_is_found_by_its_exact_code() -> None:
    found = catalogue.find("refund.above_tier")
    assert found is not None and found.rule.title.startswith("Refund")
    assert catalogue.find("refund.above") is None and catalogue.find("REFUND.ABOVE_TIER") is None


BLOCK, WARN, INFO = (Verdict(code="a.b", severity=s, sentence="") for s in Severity)


@pytest.mark.parametrize(
    ("verdicts", "gravest"),
    [
        pytest.param([], None, id="none"),
        pytest.param([INFO, WARN, BLOCK], Severity.BLOCK, id="block"),
        pytest.param([INFO, WARN], Severity.WARN, id="warn"),
        pytest.param([INFO], Severity.INFO, id="info"),
        pytest.param(
            [WARN, Verdict(code="a", severity=Severity.BLOCK, sentence="", overridden=True)],
            Severity.WARN,
            id="overridden",
        ),
    ],
)
def test_the_gravest_verdict_still_standing(verdicts: list[Verdict], gravest: Severity | None) -> None:
    assert worst(verdicts) == gravest
