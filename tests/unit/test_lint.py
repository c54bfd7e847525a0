"""A pack that proves nothing, or could not be held as written, is named and refused."""

from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cairnops.domain.catalogue import CODES
from cairnops.scenarios.lint import Problem, gating, lint, lint_source
from cairnops.scenarios.loader import load_pack, shipped
from cairnops.scenarios.model import Pack

TODAY = date(2025, 10, 16)

SOUND: dict[str, Any] = {
    "id": "small",
    "title": "Small",
    "summary": "Two cases",
    "owner": "tests",
    "version": "1",
    "reviewed": "2025-10-01",
    "expires": "2025-12-31",
    "date": "2025-10-16",
    "weekday": "Thursday",
    "starts_at": "2025-10-16T17:00:00Z",
    "minutes": 30,
    "agenda": [
        {"title": "Cases", "minutes": 20, "scenarios": ["one", "two"]},
        {"title": "Talk", "minutes": 10},
    ],
    "roles": {"facilitator": "Ann", "scribe": "Ben", "observer": "Cem"},
    "probes": ["chatwoot"],
    "gates": [{"id": "desk", "title": "Desk", "require": "chatwoot"}],
    "checklist": [{"id": "access", "text": "Everybody can sign in", "when": "T-24h"}],
    "scenarios": [
        {
            "id": "one",
            "title": "One",
            "proves": ["refund.above_tier"],
            "world": {
                "customer": {"name": "Kim", "email": "kim@example.com"},
                "conversation": {"id": "7", "created": "-2h"},
                "messages": [{"from": "customer", "at": "-2h", "text": "A refund, please"}],
                "suggestion": {
                    "text": "Hi Kim, of course.",
                    "template": "refund_offer",
                    "index_generated": "-1h",
                },
            },
            "script": [
                {"at": "+1m", "open": {}},
                {"at": "+2m", "approve": {}, "refused": "refund.above_tier"},
                {
                    "at": "+3m",
                    "approve": {
                        "text": "Hi Kim, I'll ask.",
                        "follow_up": {"owner": "Kim's desk", "due": "+60m"},
                    },
                },
            ],
            "expect": {
                "refused": ["refund.above_tier"],
                "decisions": [{"action": "approve_send", "edited": True}],
            },
            "answer": {"best": "edit", "why": "Because."},
        },
        {
            "id": "two",
            "title": "Two",
            "proves": ["suggestion.ai_unavailable"],
            "world": {
                "customer": {"name": "Lou", "email": "lou@example.com"},
                "conversation": {"id": "8", "created": "-2h"},
                "messages": [{"from": "customer", "at": "-2h", "text": "An exception, please"}],
            },
            "script": [{"at": "+1m", "open": {}}, {"at": "+2m", "log": {"outcome": "Told the manager"}}],
            "expect": {"decisions_absent": [{"scope": "ops"}], "worksheet": ["manager"]},
        },
    ],
}


def problems(pack: dict[str, Any], today: date = TODAY) -> list[Problem]:
    return lint(Pack.model_validate(pack), today=today, codes=CODES)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The sound pack with one thing put elsewhere; `DROP` takes it out."""
    pack = deepcopy(SOUND)
    *way, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    node: Any = pack
    for segment in way:
        node = node[segment]
    if value is DROP:
        del node[last]
    else:
        node[last] = value
    return pack


DROP = object()


def test_the_sound_pack_has_no_problem() -> None:
    assert problems(SOUND) == []


@pytest.mark.parametrize("name", [info.name for info in shipped()])
def test_the_shipped_packs_have_no_problem(name: str) -> None:
    assert lint(load_pack(name), today=TODAY, codes=CODES) == []


@pytest.mark.parametrize(
    ("path", "value", "code", "where", "said"),
    [
        pytest.param("expires", "2025-10-15", "front.expired", "expires", "2025-10-15", id="expired"),
        pytest.param(
            "reviewed", "2026-01-01", "front.dates", "expires", "before", id="expires before review"
        ),
        pytest.param("weekday", "Wednesday", "session.weekday", "weekday", "is a Thursday", id="weekday"),
        pytest.param(
            "starts_at",
            "2025-10-18T17:00:00Z",
            "session.start",
            "starts_at",
            "2025-10-18",
            id="starts on another day",
        ),
        pytest.param(
            "minutes", 90, "agenda.minutes", "agenda", "take 30 minutes, the session has 90", id="agenda sum"
        ),
        pytest.param(
            "agenda.0.scenarios",
            ["one", "two", "tow"],
            "agenda.unknown_scenario",
            "agenda[0].scenarios",
            "`tow`",
            id="agenda names no such scenario",
        ),
        pytest.param(
            "agenda.0.scenarios",
            ["one"],
            "agenda.missing_scenario",
            "agenda",
            "`two`",
            id="no place on the agenda",
        ),
        pytest.param(
            "agenda.1.scenarios",
            ["one"],
            "agenda.scenario_twice",
            "agenda",
            "`one`",
            id="twice on the agenda",
        ),
        pytest.param("roles.scribe", DROP, "roles.unassigned", "roles.scribe", "scribe", id="no scribe"),
        pytest.param(
            "roles.scribe", " ", "roles.unassigned", "roles.scribe", "empty", id="scribe left empty"
        ),
        pytest.param(
            "roles.scribe", "TBD", "text.placeholder", "roles.scribe", "TBD", id="scribe to be decided"
        ),
        pytest.param(
            "scenarios.1.id", "one", "scenario.duplicate_id", "scenarios", "`one`", id="scenario id twice"
        ),
        pytest.param(
            "scenarios.1.world.conversation.id",
            "7",
            "scenario.duplicate_conversation",
            "scenarios",
            "`7`",
            id="conversation id twice",
        ),
        pytest.param(
            "probes", ["chatwoot", "spare"], "gate.unused_probe", "probes", "`spare`", id="unused probe"
        ),
        pytest.param(
            "scenarios.0.proves",
            [],
            "scenario.proves_nothing",
            "scenarios[one].proves",
            "no rule",
            id="proves nothing",
        ),
        pytest.param(
            "scenarios.0.proves",
            ["refund.above_teir"],
            "scenario.unknown_rule",
            "scenarios[one].proves",
            "refund.above_teir",
            id="proves no such rule",
        ),
        pytest.param(
            "scenarios.1.expect",
            {"verdicts": [{"code": "no.rule", "severity": "warn"}]},
            "scenario.unknown_rule",
            "scenarios[two].expect.verdicts[0]",
            "no.rule",
            id="verdict of no rule",
        ),
        pytest.param(
            "scenarios.1.expect", {}, "expect.nothing", "scenarios[two].expect", "red", id="expects nothing"
        ),
        pytest.param(
            "scenarios.1.expect",
            {"evidence": {"optional": ["screenshot"]}},
            "expect.nothing",
            "scenarios[two].expect",
            "red",
            id="only optional evidence",
        ),
        pytest.param(
            "scenarios.1.expect.labels",
            [],
            "expect.empty",
            "scenarios[two].expect.labels",
            "labels",
            id="empty list",
        ),
        pytest.param(
            "scenarios.1.expect.sla", {}, "expect.empty", "scenarios[two].expect.sla", "sla", id="empty group"
        ),
        pytest.param(
            "scenarios.1.expect.worksheet",
            DROP,
            "expect.vacuous_absence",
            "scenarios[two].expect.decisions_absent",
            "no step",
            id="an absence nobody could break",
        ),
        pytest.param(
            "scenarios.0.expect.decisions_absent",
            [{"scope": "ops"}],
            "expect.contradiction",
            "scenarios[one].expect.decisions_absent[0]",
            "approve_send",
            id="expected and absent",
        ),
        pytest.param(
            "scenarios.0.expect.decisions",
            [{"action": "approve_send"}] * 2,
            "expect.unreachable",
            "scenarios[one].expect.decisions",
            "2 × approve_send expected, 1 steps",
            id="more decisions than steps",
        ),
        pytest.param(
            "scenarios.0.expect.refused",
            DROP,
            "script.refusals",
            "scenarios[one].expect.refused",
            "1 steps are refused with it, 0",
            id="a refusal nobody expects",
        ),
        pytest.param(
            "scenarios.0.script.1.refused",
            DROP,
            "script.refusals",
            "scenarios[one].expect.refused",
            "0 steps are refused with it, 1",
            id="an expected refusal no step meets",
        ),
        pytest.param(
            "scenarios.0.script.2.at",
            "+1m",
            "script.order",
            "scenarios[one].script[2].at",
            "before",
            id="order",
        ),
        pytest.param(
            "scenarios.1.script.0",
            {"at": "+1m", "wait": "60m"},
            "script.order",
            "scenarios[two].script[1].at",
            "before",
            id="a step inside a wait",
        ),
        pytest.param(
            "scenarios.0.script.2.approve.follow_up",
            {"due": "+1h"},
            "script.follow_up",
            "scenarios[one].script[2]",
            "without owner",
            id="follow-up without owner",
        ),
        pytest.param(
            "scenarios.0.script.2.approve.follow_up",
            {"owner": "nobody", "due": "+1h"},
            "script.follow_up",
            "scenarios[one].script[2]",
            "without owner",
            id="follow-up owned by nobody",
        ),
        pytest.param(
            "scenarios.0.script.2.approve.follow_up",
            {"owner": "Ann"},
            "script.follow_up",
            "scenarios[one].script[2]",
            "without due",
            id="follow-up without due",
        ),
        pytest.param(
            "scenarios.0.answer.best",
            "escalate",
            "answer.contradiction",
            "scenarios[one].answer.best",
            "escalate",
            id="the script does not do the best answer",
        ),
        pytest.param("summary", "Run by TBD", "text.placeholder", "summary", "TBD", id="to be decided"),
        pytest.param("summary", "Call XXX", "text.placeholder", "summary", "XXX", id="a row of X"),
        pytest.param("owner", "<owner>", "text.placeholder", "owner", "<owner>", id="angle brackets"),
        pytest.param(
            "version", "$(git rev-parse HEAD)", "text.placeholder", "version", "$(", id="shell command"
        ),
        pytest.param(
            "checklist.0.text",
            "Ask {{name}}",
            "text.placeholder",
            "checklist[0].text",
            "{{name}}",
            id="template variable",
        ),
        pytest.param(
            "scenarios.0.world.messages.0.text",
            "I am {{customer}}",
            "text.placeholder",
            "scenarios[one].world.messages[0].text",
            "{{customer}}",
            id="in what a customer says",
        ),
        pytest.param(
            "scenarios.0.script.2.approve.text",
            "Hi [name?], I'll ask",
            "text.placeholder",
            "scenarios[one].script[2].approve.text",
            "[name?]",
            id="in a reply that is sent",
        ),
    ],
)
def test_one_thing_wrong(path: str, value: Any, code: str, where: str, said: str) -> None:
    found = problems(changed(path, value))
    assert [(p.code, p.where) for p in found if p.code == code] == [(code, where)]
    assert any(said in p.message for p in found if p.code == code)
    assert all(p.hint for p in found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("expires", "2025-10-16", id="the last day is a day"),
        pytest.param("expires", None, id="a pack that does not age"),
        pytest.param("starts_at", "2025-10-17T01:00:00Z", id="an evening west of Greenwich"),
        pytest.param("summary", "Size XXL, <3, 2 < 3 and $5 (net)", id="texts that only look like blanks"),
        pytest.param(
            "scenarios.0.script.1.approve.follow_up",
            {"owner": ""},
            id="an incomplete follow-up to be refused",
        ),
        pytest.param(
            "scenarios.0.expect.decisions_absent",
            [{"scope": "ops", "action": "escalate"}],
            id="another absent",
        ),
        pytest.param("scenarios.0.expect.decisions_absent", [{"scope": "build"}], id="another scope absent"),
    ],
)
def test_nothing_wrong(path: str, value: Any) -> None:
    assert problems(changed(path, value)) == []


def test_a_pack_expires_after_its_last_day() -> None:
    assert problems(SOUND, date(2025, 12, 31)) == []
    assert [p.code for p in problems(SOUND, date(2026, 1, 1))] == ["front.expired"]


def test_a_scenario_about_placeholders_may_show_one() -> None:
    pack = deepcopy(SOUND)
    one = pack["scenarios"][0]
    one["world"]["suggestion"]["text"] = "Hi {{name}}, of course."
    assert [p.where for p in problems(pack)] == ["scenarios[one].world.suggestion.text"]
    one["proves"] = ["suggestion.placeholder_left"]
    assert problems(pack) == []


def test_what_keeps_a_pack_from_being_read_is_a_problem_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("id: p\nowneer: me\nid: q\n", encoding="utf-8")
    [twice] = lint_source(path, today=TODAY, codes=CODES)
    assert (twice.code, twice.line) == ("pack.duplicate_key", 3)
    path.write_text("id: p\nowneer: me\n", encoding="utf-8")
    found = lint_source(path, today=TODAY, codes=CODES)
    unknown = next(p for p in found if p.code == "pack.unknown_key")
    assert (unknown.line, unknown.hint) == (2, "Did you mean `owner`?")


def test_lint_source_takes_a_shipped_name() -> None:
    assert lint_source("cx-escalations", today=TODAY, codes=CODES) == []


def test_gating_names_what_can_turn_it_red() -> None:
    first, second = Pack.model_validate(SOUND).scenarios
    assert gating(first.expect) == ("decisions", "refused")
    assert gating(second.expect) == ("decisions_absent", "worksheet")
