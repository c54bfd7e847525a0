"""The shipped packs say what the training documents say, and a pack that does not read says where."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain.catalogue import CODES
from cairnops.domain.conversations import Author, Status
from cairnops.domain.delivery import EffectKind
from cairnops.errors import PackError
from cairnops.scenarios import schema, spans
from cairnops.scenarios.loader import PackInvalid, load_pack, parse_pack, shipped
from cairnops.scenarios.model import Pack

PACKS = {name: load_pack(name) for name in ("cx-escalations", "practice-library")}
PACK_FOLDER = Path(schema.__file__).parent / "packs"

# --- what the documents say ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("letter", "customer", "order", "total", "template", "text"),
    [
        pytest.param(
            "A",
            "Alex Rivera",
            "#EVR-1045",
            14800,
            "ship_update",
            "Hi Alex, thanks for flagging the delay. I've escalated this to our carrier and will email you a "
            "fresh tracking update as soon as they reply \u2014 I'll follow up within the next few hours.",
            id="A",
        ),
        pytest.param(
            "B",
            "Jordan Lee",
            "#EVR-1062",
            32500,
            "refund_offer",
            "I'm really sorry this item arrived faulty, Jordan. I can process a refund right away or ship a "
            "replacement if you prefer \u2014 let me know which works best and I\u2019ll queue it immediately.",
            id="B",
        ),
        pytest.param(
            "C",
            "Taylor Morgan",
            "#EVR-1071",
            9600,
            "ack_delay",
            "Hi Taylor, thank you for your patience \u2014 I'm reviewing your order details right now and will "
            "follow up with the exact status shortly.",
            id="C",
        ),
    ],
)
def test_the_samples_word_for_word(
    letter: str, customer: str, order: str, total: int, template: str, text: str
) -> None:
    scenario = PACKS["cx-escalations"].scenario(letter)
    assert scenario is not None
    world = scenario.world
    assert world.suggestion is not None and world.order is not None
    assert (world.customer.name, world.order.number, world.order.total_minor) == (customer, order, total)
    assert (world.suggestion.template, world.suggestion.text) == (template, text)
    assert scenario.expected_text() == text


def test_the_four_deliveries() -> None:
    replies = {
        s.letter: [
            (d.status.value, d.attempt, d.error_code)
            for d in s.expect.delivery
            if d.effect is EffectKind.REPLY
        ]
        for s in PACKS["cx-escalations"].scenarios
    }
    assert replies == {
        "A": [("SUCCESS", 1, None)],
        "B": [("SUCCESS", 2, None)],
        "C": [("TIMEOUT", 3, "ETIMEDOUT")],
        "D": [],
    }


def test_d_is_about_what_is_absent() -> None:
    d = PACKS["cx-escalations"].scenario("D")
    assert d is not None
    assert {a.scope for a in d.expect.decisions_absent} == {"ops", "build"}
    assert not d.expect.decisions
    assert d.expect.worksheet
    assert not d.flags_under(PACKS["cx-escalations"].flags).ai_escalations
    assert all(
        s.flags_under(PACKS["cx-escalations"].flags).ai_escalations
        for s in PACKS["cx-escalations"].scenarios
        if s.letter != "D"
    )


def test_c_promises_an_hour() -> None:
    c = PACKS["cx-escalations"].scenario("C")
    assert c is not None
    assert [f.due_in_minutes for f in c.expect.follow_ups] == [60]


def test_the_session() -> None:
    pack = PACKS["cx-escalations"]
    assert pack.starts_at == datetime(2025, 10, 16, 17, tzinfo=UTC)
    assert (pack.weekday, pack.minutes) == ("Thursday", 90)
    starts = [pack.begins(s.id) for s in pack.scenarios]
    assert starts == sorted(starts)
    assert starts[0] == pack.starts_at + timedelta(minutes=20)


def test_scenarios_sharing_an_item_share_its_minutes() -> None:
    pack = PACKS["practice-library"]
    item = next(item for item in pack.agenda if len(item.scenarios) > 1)
    first, second = (pack.begins(slug) for slug in item.scenarios[:2])
    assert second - first == timedelta(seconds=item.minutes * 60 // len(item.scenarios))


def test_ids_of_conversations_are_not_those_of_decisions() -> None:
    ids = [s.world.conversation.id for pack in PACKS.values() for s in pack.scenarios]
    assert len(ids) == len(set(ids))
    assert all(int(i) > 1000 for i in ids)


@pytest.mark.parametrize("key", ["A", "a", "a-late-shipment", "a-late"])
def test_a_scenario_is_found_by_letter_id_and_beginning(key: str) -> None:
    found = PACKS["cx-escalations"].scenario(key)
    assert found is not None
    assert found.id == "a-late-shipment"


@pytest.mark.parametrize("key", ["", "x", "E"])
def test_no_other_scenario_is_found(key: str) -> None:
    assert PACKS["cx-escalations"].scenario(key) is None


def test_every_scenario_of_the_library_says_why() -> None:
    for scenario in PACKS["practice-library"].scenarios:
        assert scenario.answer is not None, scenario.id
        assert scenario.debrief is not None, scenario.id


def test_shipped_lists_both() -> None:
    infos = {info.name: info for info in shipped()}
    assert set(infos) == set(PACKS)
    assert [letter for _, letter, _ in infos["cx-escalations"].scenarios] == ["A", "B", "C", "D"]


def test_every_rule_a_script_can_meet_is_proved_by_some_scenario() -> None:
    # A key minted twice and a blank note cannot be written in a script; nobody else is in the room, and no step
    # comes after the end.
    unscripted = {
        "request.key_reused", "note.empty", "conversation.claimed", "duty.not_allowed", "session.closed",
    }  # fmt: skip
    proved = {code for pack in PACKS.values() for s in pack.scenarios for code in s.proves}
    assert proved | unscripted == CODES


# --- schema -------------------------------------------------------------------------------------------


def test_the_shipped_schema_is_the_model() -> None:
    assert (PACK_FOLDER / "schema.json").read_text(encoding="utf-8") == schema.render()


@pytest.mark.parametrize("name", sorted(PACKS))
def test_the_schema_accepts_the_shipped_packs(name: str) -> None:
    text = (PACK_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    document = json.loads(json.dumps(yaml.safe_load(text), default=lambda d: d.isoformat()))
    validator = jsonschema.Draft202012Validator(schema.pack_schema())
    assert [e.message for e in validator.iter_errors(document)] == []
    document["scenarios"][0]["expekt"] = {}
    assert len(list(validator.iter_errors(document))) == 1


def test_the_schema_is_sound() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.pack_schema())


# --- reading ------------------------------------------------------------------------------------------

MINIMAL = """\
id: small
title: Small
summary: One case
owner: tests
version: "1"
reviewed: 2025-10-01
date: 2025-10-16
weekday: Thursday
starts_at: 2025-10-16T17:00:00Z
minutes: 10
agenda:
  - {title: All of it, minutes: 10, scenarios: [one]}
roles: {facilitator: A, scribe: B, observer: C}
probes: [chatwoot]
gates:
  - {id: desk, title: Desk, require: chatwoot}
scenarios:
  - id: one
    title: One
    proves: [sla.breach]
    world:
      customer: {name: Kim, email: kim@example.com}
      conversation: {id: "7", created: -2h}
      messages:
        - {from: customer, at: -2h, text: Hello}
      order: {number: "#1", total: "12.50"}
    script:
      - {at: +1m, open: {}}
    expect:
      status: open
"""


def read(text: str) -> Pack:
    return parse_pack(text.encode(), "p.yaml")


def test_the_smallest_pack_reads() -> None:
    pack = read(MINIMAL)
    assert pack.scenarios[0].world.order is not None
    assert pack.scenarios[0].world.order.total_minor == 1250


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        pytest.param(
            "owner: tests",
            "ownr: tests",
            "p.yaml:4:1: unknown key `ownr`; did you mean `owner`?",
            "Did you mean `owner`?",
            id="unknown key at the top",
        ),
        pytest.param(
            "status: open",
            "statsu: open",
            "p.yaml:30:7: scenarios[0].expect: unknown key",
            "",
            id="unknown key inside",
        ),
        pytest.param(
            "- {at: +1m, open: {}}", "- {at: +1m, opne: {}}", "did you mean `open`?", "", id="unknown step"
        ),
        pytest.param("owner: tests\n", "", "`owner` is missing", "", id="missing key"),
        pytest.param(
            'id: "7"',
            "id: 7",
            "p.yaml:23:22: scenarios[0].world.conversation.id: 7 must be text",
            'Put it in quotes: "7".',
            id="number for text",
        ),
        pytest.param('"12.50"', "12.50", "12.5 must be text", "quotes", id="money as a float"),
        pytest.param('"12.50"', '"12,50"', "'12,50' is not accepted", "", id="money with a comma"),
        pytest.param("at: -2h", "at: +2h", "lies ahead", "", id="a message from the future"),
        pytest.param("created: -2h", "created: 2 hours", "not a relative time", "", id="time in words"),
        pytest.param("created: -2h", "created: -400d", "more than a year", "", id="too far back"),
        pytest.param("at: +1m", "at: 1:30", "not a relative time", "", id="sexagesimal is text"),
        pytest.param(
            "from: customer",
            "from: custmer",
            "'custmer' is not one of",
            "Did you mean `customer`?",
            id="word outside its list",
        ),
        pytest.param(
            "{at: +1m, open: {}}",
            "{at: +1m, open: {}, say: Hi}",
            "this one has say and open",
            "",
            id="two things in a step",
        ),
        pytest.param("{at: +1m, open: {}}", "{at: +1m}", "this one has none", "", id="nothing in a step"),
        pytest.param(
            "{at: +1m, open: {}}",
            "{at: +1m, say: Hi, refused: sla.breach}",
            "cannot be refused",
            "",
            id="a cue cannot be refused",
        ),
        pytest.param(
            "require: chatwoot",
            "require: chatwot",
            "gate `desk`: no probe is called `chatwot`",
            "",
            id="gate over an unknown probe",
        ),
        pytest.param(
            "weekday: Thursday",
            "weekday: Thurday",
            "'Thurday' is not one of",
            "Did you mean `Thursday`?",
            id="weekday misspelt",
        ),
        pytest.param(
            "starts_at: 2025-10-16T17:00:00Z",
            "starts_at: 2025-10-16T17:00:00",
            "timezone",
            "",
            id="instant without a zone",
        ),
        pytest.param(
            "title: Small",
            "title: Small\ntitle: Big",
            "`title` stands here twice (first in line 2)",
            "Keep one",
            id="a key twice",
        ),
        pytest.param("title: Small", "title: &t Small\nsummary: *t", "aliases", "", id="an alias"),
        pytest.param(
            "title: Small", "title: [Small", "p.yaml:3:8: this is not YAML", "quotes", id="broken YAML"
        ),
        pytest.param(
            "title: Small", "title: a: b", "p.yaml:2:9: this is not YAML", "quotes", id="a colon in a text"
        ),
        pytest.param(
            "title: Small", "title: \x07", "a character YAML does not allow", "", id="a control character"
        ),
        pytest.param(
            "title: Small", "title: !!python/object:os.system x", "this is not YAML", "", id="a python tag"
        ),
        pytest.param("reviewed: 2025-10-01", "reviewed: 2025-13-01", "p.yaml", "", id="no such month"),
        pytest.param(
            "roles: {facilitator: A, scribe: B, observer: C}",
            "roles: nobody",
            "keys are expected here, not text",
            "",
            id="text for keys",
        ),
        pytest.param(
            "proves: [sla.breach]",
            "proves: sla.breach",
            "a list is expected here, not text",
            "- ",
            id="text for a list",
        ),
        pytest.param("title: One\n", "title:\n", "must be text", "", id="an empty value"),
    ],
)
def test_unreadable(old: str, new: str, said: str, hint: str) -> None:
    assert MINIMAL.count(old) >= 1
    with pytest.raises(PackInvalid) as caught:
        read(MINIMAL.replace(old, new, 1))
    assert said in str(caught.value)
    assert hint in caught.value.hint
    assert str(caught.value).startswith("p.yaml")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "this file is empty", id="empty"),
        pytest.param(b"# only a comment\n", "this file is empty", id="comment only"),
        pytest.param(b"- a\n- b\n", "this file is a list", id="a list"),
        pytest.param(b"just words", "this file is a text", id="a word"),
        pytest.param(b"id: a\xff\n", "not UTF-8", id="not UTF-8"),
        pytest.param(b"a: 1\n---\nb: 2\n", "this is not YAML", id="two documents"),
        pytest.param(b"[" * 5000, "p.yaml", id="nested without end"),
        pytest.param(b"{a: " * 3000 + b"1" + b"}" * 3000, "nested too deeply", id="nested and closed"),
    ],
)
def test_not_a_pack(data: bytes, said: str) -> None:
    with pytest.raises(PackInvalid, match=said):
        parse_pack(data, "p.yaml")


def test_one_mistake_is_one_complaint() -> None:
    with pytest.raises(PackInvalid) as caught:
        read(MINIMAL.replace("status: open", "statsu: open"))
    assert [c.kind for c in caught.value.complaints] == ["unknown_key"]


def test_complaints_are_all_kept_and_five_are_shown() -> None:
    text = MINIMAL + "".join(f"extra{n}: 1\n" for n in range(7))
    with pytest.raises(PackInvalid) as caught:
        read(text)
    assert len(caught.value.complaints) == 7
    assert str(caught.value).endswith("… and 2 more")
    assert [c.line for c in caught.value.complaints] == list(range(31, 38))


def test_a_byte_order_mark_is_no_matter() -> None:
    assert parse_pack(b"\xef\xbb\xbf" + MINIMAL.encode(), "p.yaml").id == "small"


def test_bare_words_of_a_script_mean_themselves() -> None:
    pack = read(MINIMAL.replace("- {at: +1m, open: {}}", "- at: +1m\n        open:"))
    assert pack.scenarios[0].script[0].kind == "open"


def test_texts_that_look_like_something_else_stay_texts() -> None:
    pack = read(MINIMAL.replace("text: Hello", "text: No").replace("title: One", "title: off"))
    assert pack.scenarios[0].world.messages[0].text == "No"
    assert pack.scenarios[0].title == "off"


def test_a_fault_the_simulator_would_not_take() -> None:
    world = "      order:"
    fault = "      faults: [{call: create_message, action: timeout, status: 503}]\n"
    with pytest.raises(PackInvalid, match="status means nothing here"):
        read(MINIMAL.replace(world, fault + world))


def test_a_pack_by_path(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    assert load_pack(path).id == load_pack(str(path)).id == "small"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("cx-escalation", "Did you mean cx-escalations?", id="nearly a name"),
        pytest.param(
            "nothing-like-it", "Shipped packs: cx-escalations, practice-library", id="no name at all"
        ),
    ],
)
def test_no_such_pack(name: str, hint: str) -> None:
    with pytest.raises(PackError) as caught:
        load_pack(name)
    assert hint in caught.value.hint


def test_a_folder_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="folder"):
        load_pack(tmp_path)


# --- times --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        pytest.param("-3h", -180, id="hours back"),
        pytest.param("+2m", 2, id="minutes ahead"),
        pytest.param("60m", 60, id="no sign"),
        pytest.param("-3d", -4320, id="days"),
        pytest.param("+25h10m", 1510, id="two units"),
        pytest.param("1d2h3m", 1563, id="three units"),
        pytest.param("0m", 0, id="now"),
    ],
)
def test_span(text: str, minutes: int) -> None:
    assert spans.parse_span(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "text", ["", "-", "3", "h", "3 h", "3h-", "1.5h", "3m2h", "T-3h", "--3h", 90, None, "9" * 30 + "d"]
)
def test_no_span(text: object) -> None:
    with pytest.raises(ValueError, match=r"relative time|a year"):
        spans.parse_span(text)


@given(st.integers(min_value=-366 * 86400, max_value=366 * 86400))
def test_spans_read_back(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert spans.parse_span(spans.format_span(span)) == span


@pytest.mark.parametrize(
    ("when", "hours"),
    [("T-72h", -72), ("T0", 0), ("T+2h", 2), ("T-1d", -24)],
    ids=["before", "at", "after", "days"],
)
def test_moments_around_the_session(when: str, hours: int) -> None:
    extra = f"checklist:\n  - {{id: a, text: Do it, when: {when}}}\n"
    assert read(MINIMAL + extra).checklist[0].when == timedelta(hours=hours)


@pytest.mark.parametrize("name", sorted(PACKS))
def test_a_pack_survives_being_written_and_read(name: str) -> None:
    pack = PACKS[name]
    assert Pack.model_validate(json.loads(pack.model_dump_json(by_alias=True, exclude_none=True))) == pack


# --- the world as the desk reads it -------------------------------------------------------------------


def test_the_world_becomes_a_conversation() -> None:
    scenario = PACKS["practice-library"].scenario("already-escalated")
    assert scenario is not None
    start = datetime(2025, 10, 23, 15, tzinfo=UTC)
    found = scenario.conversation(start)
    assert [(m.author, m.private) for m in found.messages] == [(Author.CUSTOMER, False), (Author.AGENT, True)]
    assert found.messages[0].at == start - timedelta(minutes=25)
    assert len({m.id for m in found.messages}) == len(found.messages)
    assert all(m.id.isdigit() for m in found.messages)
    assert found.order is not None and found.order.total_minor == 5400


def test_a_reopened_conversation_has_both_changes() -> None:
    scenario = PACKS["practice-library"].scenario("reopened-at-once")
    assert scenario is not None
    changes = scenario.conversation(datetime(2025, 10, 23, 15, tzinfo=UTC)).status_changes
    assert [c.status for c in changes] == [Status.RESOLVED, Status.OPEN]
    assert changes[1].at - changes[0].at == timedelta(minutes=12)
