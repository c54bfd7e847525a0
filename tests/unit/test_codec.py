"""Domain values to JSON and back: one text, one hash, nothing lost and nothing added."""

import json
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops import codec
from cairnops.domain import policy as policies
from cairnops.domain import sla
from cairnops.domain.conversations import (
    Actor,
    Author,
    Conversation,
    Message,
    Order,
    Role,
    Status,
    StatusChange,
)
from cairnops.domain.decisions import Decision, Scope
from cairnops.domain.policy import BusinessHours, Overridable, Policy, RefundTier
from cairnops.domain.requests import Flags, FollowUp
from cairnops.domain.rules import Severity, Verdict
from cairnops.domain.suggestions import Source, Suggestion

T0 = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        pytest.param(T0, "2026-05-04T12:00:00.250Z", id="milliseconds"),
        pytest.param(T0.replace(microsecond=999_999), "2026-05-04T12:00:00.999Z", id="cut, not rounded"),
        pytest.param(T0.replace(microsecond=0), "2026-05-04T12:00:00.000Z", id="a whole second"),
        pytest.param(
            T0.astimezone(timezone(timedelta(hours=-6))), "2026-05-04T12:00:00.250Z", id="another zone"
        ),
        pytest.param(datetime(987, 1, 2, tzinfo=UTC), "0987-01-02T00:00:00.000Z", id="four digits of a year"),
    ],
)
def test_a_moment_is_written_one_way(at: datetime, text: str) -> None:
    assert codec.stamp(at) == text


@settings(deadline=None)
@given(at=MOMENTS)
def test_a_moment_survives_the_round_trip(at: datetime) -> None:
    assert codec.moment(codec.stamp(at)) == at
    assert codec.moment(codec.stamp(at)).tzinfo is UTC


@settings(deadline=None)
@given(a=MOMENTS, b=MOMENTS)
def test_stamps_sort_as_moments_do(a: datetime, b: datetime) -> None:
    assert (codec.stamp(a) < codec.stamp(b)) == (a < b)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2026-05-04T12:00:00", id="no zone"),
        pytest.param("2026-05-04", id="a day"),
        pytest.param("noon", id="words"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        codec.moment(text)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        codec.stamp(T0.replace(tzinfo=None))


def test_a_moment_of_another_zone_is_read_as_utc() -> None:
    assert codec.moment("2026-05-04T14:00:00.25+02:00") == T0


CASE = Conversation(
    id="7",
    customer="Zoë \u202eLee",
    customer_key="z@example.com",
    status=Status.SNOOZED,
    created_at=T0,
    messages=(Message(id="1", author=Author.CUSTOMER, text="=1+1 <b>\x1b[31m", at=T0, private=True),),
    tags=("a", "b"),
    status_changes=(StatusChange(status=Status.OPEN, at=T0),),
    order=Order(number="#1", total_minor=32_500, cues=("late",)),
    extra={"some_key": "kept_as_it_is"},
)
MADE = Decision(
    uid="U",
    decision_id=101,
    scope=Scope.OPS,
    type="cx.escalation",
    action="chatwoot.approve_send",
    actor=Actor(email="sam@example.com", role=Role.LEAD),
    shop_domain="shop.example",
    conversation="chatwoot:7",
    session="monday",
    request_key="k",
    created_at=T0,
    rationale="Approved",
    suggestion=Suggestion(source=Source.AI, template_id="t", text="Hi", variables={"name": "Zoë"}),
    final_text="Hi Zoë",
    verdicts=(Verdict(code="a.b", severity=Severity.WARN, sentence="Hm."),),
    sla=sla.read(CASE, policies.profile("dry-run").sla, T0),
    flags=Flags(),
    follow_up=FollowUp(owner="Sam", due=T0),
)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(Conversation, CASE, id="conversation"),
        pytest.param(Decision, MADE, id="decision"),
        *(pytest.param(Policy, policies.profile(name), id=f"policy {name}") for name in policies.PROFILES),
    ],
)
def test_a_value_survives_the_round_trip_through_json(kind: type, value: Any) -> None:
    assert codec.read(kind, json.loads(json.dumps(codec.plain(value)))) == value


def test_a_record_has_camel_case_names_and_leaves_keys_of_dictionaries_alone() -> None:
    record = codec.record(CASE)
    assert record["customerKey"] == "z@example.com"
    assert record["statusChanges"][0] == {"status": "open", "at": "2026-05-04T12:00:00.250Z"}
    assert record["order"]["totalMinor"] == 32_500
    assert record["extra"] == {"some_key": "kept_as_it_is"}
    assert set(codec.record(MADE)) >= {"decisionId", "finalText", "editDistance", "policyHash", "requestKey"}


def _floats(data: Any) -> bool:
    if isinstance(data, dict):
        return any(_floats(v) for v in data.values())
    if isinstance(data, list):
        return any(_floats(v) for v in data)
    return not (data is None or isinstance(data, str | int))


def test_a_decision_record_holds_no_floats() -> None:
    assert not _floats(codec.record(MADE))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(value=JSON)
def test_canonical_text_is_rfc_8785(value: Any) -> None:
    text = codec.canonical(value)
    assert text == rfc8785.dumps(value).decode()
    assert json.loads(text) == value
    assert codec.canonical(json.loads(text)) == text


def test_canonical_sorts_by_utf_16_and_drops_blanks() -> None:
    assert codec.canonical({"€": 1, "b": [True, None], "😀": 2, "a": "\u2028"}) == (
        '{"a":"\u2028","b":[true,null],"€":1,"😀":2}'
    )


@pytest.mark.parametrize(
    "value", [float("nan"), 2**53 + 1, "\ud800"], ids=["NaN", "beyond 2^53", "half a character"]
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        codec.canonical({"x": value})


def test_hashes_are_what_their_names_say() -> None:
    assert codec.digest("é") == sha256("é".encode()).hexdigest()
    assert codec.leaf_hash("é") == sha256(b"\x00" + "é".encode()).hexdigest()


# --- the policy's hash ------------------------------------------------------------------------------

HASHES = {name: codec.policy_hash(policies.profile(name)) for name in policies.PROFILES}


def test_the_hash_is_the_same_for_equal_policies_and_another_for_each_profile() -> None:
    assert {name: codec.policy_hash(policies.profile(name)) for name in policies.PROFILES} == HASHES
    assert len(set(HASHES.values())) == len(policies.PROFILES)


def other(value: Any) -> Any:
    """A value of the same kind that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, Enum):
        return next(v for v in type(value) if v is not value)
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, tuple):
        return (*value, "one more")
    assert value is None
    return BusinessHours(time_zone="UTC", week={"mon": ("09:00-17:00",)})


def mended(value: Any, path: list[str], new: Any) -> Any:
    if not path:
        return new
    return replace(value, **{path[0]: mended(getattr(value, path[0]), path[1:], new)})


@pytest.mark.parametrize("name", policies.PROFILES)
def test_every_leaf_moves_the_hash(name: policies.ProfileName) -> None:
    base = policies.profile(name)
    hashes = {
        leaf: codec.policy_hash(mended(base, leaf.split("."), other(value)))
        for leaf, value in policies.flatten(base)
    }
    assert HASHES[name] not in hashes.values()
    assert len(set(hashes.values())) == len(hashes)


def test_a_leaf_inside_a_list_moves_the_hash_too() -> None:
    base = policies.profile("dry-run")
    tier, listed = base.refund.tiers[0], base.guardrails.overridable[0]
    changed = [
        mended(base, ["refund", "tiers"], (replace(tier, **{f.name: other(getattr(tier, f.name))}),))
        for f in fields(RefundTier)
    ] + [
        mended(
            base,
            ["guardrails", "overridable"],
            (replace(listed, **{f.name: other(getattr(listed, f.name))}),),
        )
        for f in fields(Overridable)
    ]
    assert len({codec.policy_hash(policy) for policy in changed}) == 5


def test_flatten_reaches_every_field_of_the_policy() -> None:
    def count(value: Any) -> int:
        inner = is_dataclass(value) and not isinstance(value, BusinessHours)
        return sum(count(getattr(value, f.name)) for f in fields(value)) if inner else 1

    leaves = [leaf for leaf, _ in policies.flatten(Policy())]
    assert len(leaves) == len(set(leaves)) == count(Policy())


def test_unknown_keys_of_a_policy_are_refused() -> None:
    data = codec.plain(policies.profile("pilot"))
    with pytest.raises(ValueError):
        codec.read(Policy, data | {"slaa": {}})


def test_dumps_is_for_people() -> None:
    assert codec.dumps({"b": "é", "a": 1}) == '{\n  "b": "é",\n  "a": 1\n}'
    with pytest.raises(ValueError):
        codec.dumps(float("inf"))


@dataclass(frozen=True)
class _Odd:
    single: int = 1
    two_words: int = 2
    p95_ms: int = 3


def test_names_in_camel_case_never_run_together() -> None:
    assert codec.record(_Odd()) == {"single": 1, "twoWords": 2, "p95Ms": 3}
