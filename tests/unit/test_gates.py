"""A gate opens on what was measured, and on nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain.gates import GateError, GateState, ProbeRecord, evaluate, parse, probes_of

NOW = datetime(2025, 10, 16, 16, 0, tzinfo=UTC)
KNOWN = ("chatwoot", "ledger", "maintenance")


def record(name: str, status: str = "ok", **more: object) -> ProbeRecord:
    fields = {"at": NOW - timedelta(minutes=5), "kind": "http", "latency_ms": 120, "http_status": 200}
    return ProbeRecord(name=name, status=status, **(fields | more))  # type: ignore[arg-type]


FINE = {"chatwoot": record("chatwoot"), "ledger": record("ledger", latency_ms=None)}


@pytest.mark.parametrize(
    ("expression", "state"),
    [
        pytest.param("chatwoot", GateState.GO, id="a name means its status is ok"),
        pytest.param("chatwoot and ledger", GateState.GO, id="and"),
        pytest.param('chatwoot.status == "ok"', GateState.GO, id="status spelt out"),
        pytest.param('chatwoot.status != "ok"', GateState.NO_GO, id="status negated"),
        pytest.param("chatwoot.latency_ms < 300", GateState.GO, id="latency below"),
        pytest.param("chatwoot.latency_ms < 120", GateState.NO_GO, id="below is strict"),
        pytest.param("chatwoot.latency_ms <= 120", GateState.GO, id="at most is not"),
        pytest.param("chatwoot.latency_ms > 120", GateState.NO_GO, id="above is strict"),
        pytest.param("chatwoot.latency_ms >= 120", GateState.GO, id="at least is not"),
        pytest.param("100 < chatwoot.latency_ms < 300", GateState.GO, id="a chain"),
        pytest.param("100 < chatwoot.latency_ms < 110", GateState.NO_GO, id="a chain whose end fails"),
        pytest.param("chatwoot.http_status == 200", GateState.GO, id="http status"),
        pytest.param("chatwoot.age_minutes < 10", GateState.GO, id="young enough"),
        pytest.param("chatwoot.age_minutes < 5", GateState.NO_GO, id="too old"),
        pytest.param('chatwoot.kind == "http"', GateState.GO, id="how it was measured"),
        pytest.param("not chatwoot", GateState.NO_GO, id="not"),
        pytest.param("not (chatwoot and ledger)", GateState.NO_GO, id="not over parentheses"),
        pytest.param("maintenance", GateState.UNKNOWN, id="never recorded"),
        pytest.param("not maintenance", GateState.UNKNOWN, id="the absence of a record is no answer"),
        pytest.param("ledger.latency_ms < 300", GateState.UNKNOWN, id="recorded without that field"),
        pytest.param("chatwoot or maintenance", GateState.GO, id="true or unknown"),
        pytest.param("not chatwoot or maintenance", GateState.UNKNOWN, id="false or unknown"),
        pytest.param("not chatwoot and maintenance", GateState.NO_GO, id="false and unknown"),
        pytest.param("chatwoot and maintenance", GateState.UNKNOWN, id="true and unknown"),
        pytest.param("chatwoot or ledger and maintenance", GateState.GO, id="and binds tighter than or"),
    ],
)
def test_condition(expression: str, state: GateState) -> None:
    assert evaluate(parse(expression, KNOWN), FINE, NOW).state is state


def test_reasons_name_the_measured_value() -> None:
    result = evaluate(parse("chatwoot.latency_ms < 100 and ledger and maintenance", KNOWN), FINE, NOW)
    assert result.state is GateState.NO_GO
    assert result.reasons == (
        "chatwoot.latency_ms < 100: chatwoot.latency_ms is 120",
        "maintenance was not recorded",
    )
    assert result.missing == ("maintenance",)


def test_an_open_gate_gives_no_reasons() -> None:
    result = evaluate(parse("chatwoot or maintenance", KNOWN), FINE, NOW)
    assert (result.reasons, result.missing) == ((), ())


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        pytest.param("weather", "(there are: chatwoot", id="unheard-of probe"),
        pytest.param("chatwot", "did you mean `chatwoot`", id="misspelt probe"),
        pytest.param("chatwoot.latency < 3", "did you mean `latency_ms`", id="misspelt field"),
        pytest.param("", "not a condition", id="empty"),
        pytest.param("chatwoot and", "not a condition", id="unfinished"),
        pytest.param("chatwoot = 1", "not a condition", id="assignment"),
        pytest.param("chatwoot.latency_ms", "cannot stand in a condition", id="a bare number"),
        pytest.param("True", "cannot stand in a condition", id="a constant"),
        pytest.param("1 < 2", "looks at no probe", id="constants only"),
        pytest.param("chatwoot < 3", "compare a field", id="a probe is not a number"),
        pytest.param("chatwoot.status < 3", "text with a number", id="text against number"),
        pytest.param('chatwoot.status < "ok"', "equal or not", id="ordered texts"),
        pytest.param('chatwoot.status in "ok"', "compare", id="membership"),
        pytest.param("chatwoot.latency_ms is 3", "compare", id="identity"),
        pytest.param("chatwoot.latency_ms + 1 < 3", "cannot be compared", id="arithmetic"),
        pytest.param("__import__('os').system('true')", "cannot stand", id="a call"),
        pytest.param("chatwoot.__class__ == 1", "has no `__class__`", id="a dunder"),
        pytest.param("chatwoot.status.x == 1", "cannot be compared", id="a nested field"),
        pytest.param("(lambda: chatwoot)", "cannot stand", id="a lambda"),
        pytest.param("[chatwoot for chatwoot in ledger]", "cannot stand", id="a comprehension"),
        pytest.param("help-desk", "cannot stand", id="a hyphen is a minus"),
        pytest.param("not " * 200 + "chatwoot", "characters", id="too long"),
        pytest.param("(" * 240 + "chatwoot" + ")" * 240, "not a condition", id="too deep"),
        pytest.param("chatwoot\x00", "not a condition", id="a null byte"),
    ],
)
def test_refused(expression: str, said: str) -> None:
    with pytest.raises(GateError, match=said.replace("(", r"\(")):
        parse(expression, KNOWN)


def test_probes_each_once_in_order() -> None:
    condition = parse(
        "ledger and (chatwoot.latency_ms < 3 or not ledger) and 1 < maintenance.age_minutes", KNOWN
    )
    assert probes_of(condition) == ("ledger", "chatwoot", "maintenance")


leaves = st.sampled_from(["chatwoot", "ledger", "maintenance", "chatwoot.latency_ms < 100"])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda e: f"not ({e})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    ),
    max_leaves=8,
)


@given(expressions.filter(lambda e: len(e) < 480))
def test_not_swaps_go_and_no_go_and_keeps_unknown(expression: str) -> None:
    swapped = {
        GateState.GO: GateState.NO_GO,
        GateState.NO_GO: GateState.GO,
        GateState.UNKNOWN: GateState.UNKNOWN,
    }
    plain = evaluate(parse(expression, KNOWN), FINE, NOW)
    negated = evaluate(parse(f"not ({expression})", KNOWN), FINE, NOW)
    assert negated.state is swapped[plain.state]
    assert bool(plain.reasons) == (plain.state is not GateState.GO)


@given(expressions.filter(lambda e: len(e) < 480))
def test_a_record_more_never_turns_a_decided_gate(expression: str) -> None:
    condition = parse(expression, KNOWN)
    before = evaluate(condition, FINE, NOW).state
    after = evaluate(condition, FINE | {"maintenance": record("maintenance", "failed")}, NOW).state
    assert before in (GateState.UNKNOWN, after)
