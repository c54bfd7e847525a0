"""The pages of cairnops/docs say what the code does: generated ones are current, hand-written ones complete."""

import importlib.util
import re
import sys
from dataclasses import fields
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from cairnops import codec
from cairnops.analytics.summary import summarize
from cairnops.connectors.chatwoot import faults
from cairnops.domain import catalogue, gates
from cairnops.domain import policy as policies
from cairnops.domain.decisions import Decision
from cairnops.errors import EXIT_CODES
from cairnops.evidence import exports, worksheet
from cairnops.scenarios import lint, model, template
from cairnops.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "cairnops" / "docs"


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generate = _module(Path(__file__).with_name("generate.py"))
COMMANDS = dict(generate.commands())


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a second-level heading."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"no heading {heading}"
    return found[1]


def rows(text: str) -> set[str]:
    """The first cells of a page's tables, without their code marks."""
    return {m[1].strip("`") for m in re.finditer(r"^\| (.+?) \|", text, re.M)}


@pytest.mark.parametrize("name", sorted(generate.pages()))
def test_a_generated_page_is_what_the_code_says_now(name: str) -> None:
    assert page(name) == generate.pages()[name], "run `make docs`"


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_and_option_has_its_place(path: str) -> None:
    text = section(page("cli.md"), path)
    for parameter in COMMANDS[path].params:
        for name in parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]:
            assert name == "--help" or f"`{name}`" in text, name
        assert parameter.name == "help" or parameter.help, f"{parameter.name} says nothing"
    assert "```sh\ncairnops " in text


@pytest.mark.parametrize("code", sorted(catalogue.CODES))
def test_every_rule_has_its_heading(code: str) -> None:
    text = section(page("rules.md"), code)
    entry = catalogue.find(code)
    assert entry
    assert entry.rule.title in text
    for label in ("Severity", "Threshold", "Way out", "Source", "Stands in", "Proved by"):
        assert f"| {label} |" in text


def test_every_setting_and_its_aliases_have_a_row() -> None:
    text = page("settings.md")
    assert {s.name for s in SETTINGS} <= rows(text)
    assert all(f"`{alias}`" in text for s in SETTINGS for alias in s.aliases)


def test_every_policy_value_has_a_row_and_a_meaning() -> None:
    keys = [key for key, _ in policies.flatten(policies.profile("dry-run"))]
    assert set(keys) <= rows(page("policy.md"))
    assert [key for key in keys if not generate.meanings().get(key)] == []
    assert set(generate.MEANINGS) <= set(keys), "a meaning for a key that is gone"


def test_every_exit_code_has_a_row() -> None:
    assert {str(code) for code in EXIT_CODES} <= rows(page("exit-codes.md"))


def test_every_field_of_a_decision_has_a_row() -> None:
    named = {codec._camel(f.name) for f in fields(Decision)} | {"leafHash"}
    assert rows(section(page("formats.md"), "decisions")) == named | {"Field"}


def test_every_field_of_the_other_exports_has_a_row() -> None:
    record = {
        "uid": "u",
        "scope": "ops",
        "actor": {"email": "a@b"},
        "action": "x",
        "conversation": "chatwoot:1",
        "note": "",
        "rationale": "r",
        "createdAt": "t",
        "leafHash": "0",
        "decisionId": 1,
    }
    log = set(exports.decision_log(record))
    assert rows(section(page("formats.md"), "decision-log")) == log | {"Field"}
    effect = {"number": 1, "kind": "reply", "uid": "u"}
    event = exports._sync_event(
        effect, "SUCCESS", {"duration_us": 1, "error_code": "", "attempt": 1, "at": "t"}
    )
    assert rows(section(page("formats.md"), "sync-events")) == set(event) | {"Field"}


def test_every_column_of_the_worksheet_and_key_of_a_summary_has_a_row() -> None:
    assert rows(section(page("formats.md"), "worksheet")) == {*worksheet.COLUMNS, "Column"}
    policy = policies.profile("dry-run")
    sample = ROOT / "fixtures" / "exports" / "decision_sync_sample.ndjson"
    keys = set(summarize(sample, measures=policy.measures, alerts=policy.alerts).to_dict())
    assert rows(section(page("formats.md"), "summary")) == keys | {"Key"}


def test_the_glossary_has_one_line_a_word_in_order() -> None:
    words = [m[1] for m in re.finditer(r"^\| ([A-Z][\w-]+) \|", page("glossary.md"), re.M)][1:]
    assert words == sorted(words, key=str.lower)
    assert len(words) == len(set(words))
    design = {
        "Conversation",
        "Suggestion",
        "Guardrail",
        "Verdict",
        "Request",
        "Outcome",
        "Decision",
        "Effect",
    }
    assert design <= set(words)


def test_everything_a_pack_may_say_has_a_row() -> None:
    text = page("packs.md")
    for heading, names in {
        "World": model.World.model_fields,
        "Script": model.STEP_KINDS,
        "Faults": get_args(faults.Action),
        "Expect": model.Expect.model_fields,
    }.items():
        assert rows(section(text, heading)) >= set(names), heading
    told = set(re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)))
    for names in (get_args(model.Verb), get_args(model.Evidence), gates.FIELDS, get_args(model.Action)):
        assert told >= set(names)


def test_the_scenario_shown_is_fit_to_run(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", page("packs.md"), re.M | re.S)
    before, _, _ = template.text("shown", date(2026, 1, 5)).partition("scenarios:\n  - id:")
    path = tmp_path / "shown.yaml"
    path.write_text(before.replace("late-parcel", "supervisor") + shown, encoding="utf-8")
    assert lint.lint_source(path, today=date(2026, 1, 5), codes=catalogue.CODES) == []


def test_shipped_pages_need_no_network_and_no_machine() -> None:
    for path in DOCS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text.replace("http:// or https://", ""), path.name
        assert "/home/" not in text, path.name
        assert str(DOCS.parents[1]) not in text, path.name
    assert {p.suffix for p in DOCS.iterdir()} == {".md", ".png", ".svg"}
