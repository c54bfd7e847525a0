"""What the ledger promises on every database: it only grows, a commit is whole or absent, a read is of one moment."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any, get_args, get_type_hints

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, Integer, Table, event, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from cairnops import codec
from cairnops.desk.desk import Desk
from cairnops.domain.changes import Change, Entry, Keyed
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.decisions import Decision
from cairnops.domain.delivery import EffectDraft, EffectKind
from cairnops.domain.requests import Action, Flags, FollowUp, Request
from cairnops.errors import InputError, NotFound, StaleFacts, WorkspaceError
from cairnops.store import tables as t
from cairnops.store.engine import writing
from cairnops.store.ledger import SqlLedger

ALEX = Actor(email="alex@shop.example")
APPEND_ONLY = [pytest.param(table, id=table.name) for table in t.APPEND_ONLY]
FIXED = (
    "seq", "uid", "run_key", "decision_uid", "number", "conversation_id", "session", "kind", "payload",
)  # fmt: skip
MEANS = [pytest.param(n, id=name) for n, name in enumerate(("bare", "switches off", "switches on"))]


def a_row(table: Table, number: int) -> dict[str, Any]:
    """A row that shares no value with one of another number, and leaves its sequence to the database."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "seq":
            continue
        row[column.name] = number if isinstance(column.type, Integer) else f"{column.name} {number}"
    return row


def fill(engine: Engine, table: Table, number: int) -> None:
    with writing(engine) as c:
        if table in (t.attempt, t.sync_event):
            c.execute(insert(t.effect).values(a_row(t.effect, number) | {"uid": f"effect_uid {number}"}))
        c.execute(insert(table).values(a_row(table, number)))


def unique_sets(table: Table) -> list[tuple[str, ...]]:
    """Every set of columns that may occur once, read from the database's own point of view."""
    found = [tuple(c.name for c in table.primary_key.columns)]
    found += [(c.name,) for c in table.columns if c.unique]
    found += [
        tuple(c.name for c in k.columns) for k in table.constraints if type(k).__name__ == "UniqueConstraint"
    ]
    return sorted({s for s in found if s})


def attacks(database: Any, table: Table) -> list[tuple[str, dict[str, Any]]]:
    """Ways to rewrite row 1 or to lose it, as statements with named parameters."""
    first = next(c.name for c in table.columns if c.name != "seq")
    out: list[tuple[str, dict[str, Any]]] = [
        (f"UPDATE {table.name} SET {c.name} = {c.name}", {}) for c in table.columns
    ]
    out.append((f"DELETE FROM {table.name}", {}))
    old, new = {"seq": 1} | a_row(table, 1), a_row(table, 3)
    for columns in unique_sets(table):
        row = new | {name: old[name] for name in columns}
        names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        into = f"INSERT INTO {table.name} ({names}) VALUES ({values})"
        other = next(name for name in row if name not in columns)
        conflict = f"ON CONFLICT ({', '.join(columns)}) DO UPDATE SET {other} = excluded.{other}"
        out += [(into, row), (f"{into} {conflict}", row)]
        as_text = row | {name: str(row[name]) for name in columns}
        for spelt in (row, as_text):
            out += [(statement, spelt) for statement in database.more_attacks(table, spelt, first)]
    return out


# Append-only


@pytest.mark.parametrize("means", MEANS)
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_rows_can_neither_be_changed_nor_dropped_behind_our_back(
    database: Any, table: Table, means: int
) -> None:
    for number in (1, 2):
        fill(database.engine, table, number)
    before = database.rows(table.name)
    assert len(before) == 2
    with database.bare(*database.means[means]) as connection:
        for statement, values in attacks(database, table):
            with pytest.raises(Exception, match=r"append-only|no column named|already there|(?i:unique)"):
                connection.execute(statement, values)
            assert database.rows(table.name) == before, statement


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_rows_can_neither_be_changed_nor_dropped_through_our_engine(database: Any, table: Table) -> None:
    fill(database.engine, table, 1)
    before = database.rows(table.name)
    for statement in (table.update().values({c.name: c for c in table.columns}), table.delete()):
        with pytest.raises(IntegrityError, match="append-only"), writing(database.engine) as c:
            c.execute(statement)
    assert database.rows(table.name) == before


@pytest.mark.parametrize(
    "table", [p for p in APPEND_ONLY if "seq" in p.values[0].c] + [pytest.param(t.effect, id="effect")]
)
def test_a_row_cannot_take_the_place_every_later_one_would_be_refused_for(
    database: Any, table: Table
) -> None:
    row = {"seq": -1} | a_row(table, 1)
    with database.bare() as connection, pytest.raises(Exception, match=r"(?i)check"):
        connection.execute(
            f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({', '.join(':' + k for k in row)})", row
        )


@pytest.mark.parametrize("column", FIXED)
def test_what_an_effect_does_never_changes(database: Any, column: str) -> None:
    for number in (1, 2):
        fill(database.engine, t.effect, number)
    before = database.rows("effect")
    values = {name: value for name, value in ({"seq": 2} | a_row(t.effect, 2)).items() if name == column}
    for verb in ("UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE")[: 3 if database.kind == "sqlite" else 1]:
        with database.bare() as connection, pytest.raises(Exception, match="never changes"):
            connection.execute(f"{verb} effect SET {column} = :{column} WHERE seq = 1", values)
    assert database.rows("effect") == before


@pytest.mark.parametrize("means", MEANS)
def test_an_effect_is_never_dropped_nor_replaced(database: Any, means: int) -> None:
    for number in (1, 2):
        fill(database.engine, t.effect, number)
    before = database.rows("effect")
    with database.bare(*database.means[means]) as connection:
        for statement, values in [a for a in attacks(database, t.effect) if not a[0].startswith("UPDATE")]:
            refused = r"never dropped|never changes|append-only|already there|(?i:unique|no column)"
            with pytest.raises(Exception, match=refused):
                connection.execute(statement, values)
            assert database.rows("effect") == before, statement


def test_an_effect_moves_on_until_it_is_finished_and_then_stays(database: Any) -> None:
    fill(database.engine, t.effect, 1)
    with database.bare() as connection:
        connection.execute("UPDATE effect SET state = 'sending', attempt = 1, due_ms = 5")
        connection.execute("UPDATE effect SET state = 'success', due_ms = NULL")
        before = database.rows("effect")
        for change in ("state = 'ready'", "due_ms = 0", "attempt = 9", "owner = 'x'", "state = state"):
            with pytest.raises(Exception, match="finished"):
                connection.execute(f"UPDATE effect SET {change}")
    assert database.rows("effect") == before


def test_an_attempt_needs_its_effect(database: Any) -> None:
    with pytest.raises(IntegrityError), writing(database.engine) as c:
        c.execute(insert(t.attempt).values(a_row(t.attempt, 1)))


# One transaction


def statements_of(engine: Engine, work: Callable[[], Any], fail_at: int = 0) -> list[str]:
    """What `work` writes, statement by statement; the one at place `fail_at` (from 1) fails."""
    written: list[str] = []

    def before(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("INSERT", "UPDATE")):
            written.append(statement)
            if len(written) == fail_at:
                raise RuntimeError("the disk is gone")

    event.listen(engine, "before_cursor_execute", before)
    try:
        work()
    finally:
        event.remove(engine, "before_cursor_execute", before)
    return written


def test_a_commit_is_whole_or_absent_wherever_it_fails(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request], case: Callable[..., Any]
) -> None:
    desk = desk_on(SqlLedger(database.engine), "101", "102")
    asked = approve(follow_up=FollowUp(owner="sam", due=desk.clock() + timedelta(hours=1)))
    trial = replace(asked, conversation="102", key="trial")
    written = statements_of(database.engine, lambda: desk.submit(trial))
    tables = [re.sub(r"\W.*", "", s.split(" ", 2)[2 if s.startswith("INSERT") else 1]) for s in written]
    assert tables == [
        "conversation",
        "follow_up",
        "counter",
        "decision",
        "request",
        "effect",
        "event",
    ]
    before = database.everything()
    for place in range(1, len(written) + 1):
        with pytest.raises(RuntimeError):
            statements_of(database.engine, lambda: desk.submit(asked), fail_at=place)
        assert database.everything() == before, tables[place - 1]
    assert desk.submit(asked).number == 102


def test_numbers_are_consecutive_although_commits_fail_between_them(
    ledger: SqlLedger, engine: Engine, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk = desk_on(ledger, "101", "102", "103")
    numbers = []
    for key in ("101", "102", "103"):
        asked = approve(key=f"k{key}", conversation=key)
        with pytest.raises(RuntimeError):
            statements_of(engine, lambda asked=asked: desk.submit(asked), fail_at=6)
        numbers.append(desk.submit(asked).number)
    assert numbers == [101, 102, 103]


# Facts


def test_facts_are_of_one_moment(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    """Between any two statements of a read somebody else decides; the read shows all of it or nothing."""
    ledger, other = SqlLedger(database.engine), SqlLedger(database.open())
    desk_on(ledger, *(str(place) for place in range(1, 12)))
    peer = desk_on(other, "1")
    found = set()
    for place in range(1, 12):
        key, seen = str(place), []

        def interfere(
            _c: Any,
            _cursor: Any,
            statement: str,
            *_: Any,
            place: int = place,
            key: str = key,
            seen: Any = seen,
        ) -> None:
            seen.append(statement)
            if len(seen) == place:
                assert peer.submit(approve(key, conversation=key)).number

        event.listen(database.engine, "after_cursor_execute", interfere)
        facts = ledger.facts(key, key=key, suggestion="", session="", flags=Flags())
        event.remove(database.engine, "after_cursor_execute", interfere)
        found.add((facts.version, len(facts.decisions), facts.prior is None))
    other.close()
    assert len(seen) < 11, "a statement was left untried"
    assert found == {(1, 0, True), (2, 1, False)}


def test_nobody_has_observed_it(ledger: SqlLedger) -> None:
    with pytest.raises(NotFound, match="999"):
        ledger.facts("999", key="k", suggestion="", session="", flags=Flags())


def change(desk: Desk, key: str, **over: Any) -> Change:
    entry = Entry(kind="note.added", at=desk.clock(), actor=ALEX, conversation="101", key=key, body={})
    fields_: dict[str, Any] = {
        "conversation": "101",
        "entry": entry,
        "keyed": Keyed(key=key, fingerprint="f"),
        "effects": (EffectDraft(kind=EffectKind.NOTE, payload={"text": "x"}),),
    }
    return Change(**(fields_ | over))


def test_a_commit_on_an_older_version_is_refused_and_writes_nothing(
    database: Any, ledger: SqlLedger, desk_on: Callable[..., Desk], case: Callable[..., Conversation]
) -> None:
    desk = desk_on(ledger)
    version = ledger.facts("101", key="k", suggestion="", session="", flags=Flags()).version
    desk.observe(case(tags=("vip",)), ALEX)
    before = database.everything()
    for stale in (version, version + 7):
        with pytest.raises(StaleFacts):
            ledger.commit(change(desk, "k", expect=stale))
    assert database.everything() == before
    assert ledger.commit(change(desk, "k", expect=version + 1)).effects


@pytest.mark.parametrize(
    "expect", [pytest.param(1, id="version expected"), pytest.param(None, id="any version")]
)
def test_a_key_taken_meanwhile_is_refused_and_writes_nothing(
    database: Any, ledger: SqlLedger, desk_on: Callable[..., Desk], expect: int | None
) -> None:
    desk = desk_on(ledger)
    ledger.commit(change(desk, "k", expect=expect))
    before = database.everything()
    with pytest.raises(StaleFacts):
        ledger.commit(change(desk, "k", expect=expect))
    assert database.everything() == before


def test_what_was_shown_elsewhere_was_not_shown_here(
    ledger: SqlLedger, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk = desk_on(ledger, "101", "102")
    view = desk.open("102", ALEX, key="o")
    assert view.suggestion is not None
    receipt = desk.submit(approve(text=None, suggestion=view.suggestion_uid))
    assert receipt.refused and not receipt.number


def test_an_opening_keeps_its_key_and_shows_the_same_again(
    database: Any, ledger: SqlLedger, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk = desk_on(ledger, "101", "102")
    view = desk.open("101", ALEX, key="o")
    before = database.everything()
    assert desk.open("101", ALEX, key="o") == view
    with pytest.raises(InputError, match="another request"):
        desk.open("102", ALEX, key="o")
    desk.submit(approve("k"))
    with pytest.raises(InputError, match="another request"):
        desk.open("101", ALEX, key="k")
    assert desk.submit(approve("o")).refused == "request.key_reused"
    assert {name: rows for name, rows in before.items() if name == "suggestion"} == {
        "suggestion": database.rows("suggestion")
    }


# The record


def stored(database: Any) -> list[tuple[str, bytes, str]]:
    """Every decision as another program finds it: number, the bytes of its body, its hash."""
    with database.bare() as connection:
        return connection.execute(
            f"SELECT number, {database.body_bytes}, leaf_hash FROM decision ORDER BY number"
        ).fetchall()


def floats_in(kind: Any, seen: set[Any]) -> set[str]:
    """Where a type can hold a float, whatever a test happens to put there."""
    found: set[str] = set()
    if kind is float:
        return {"float"}
    for inner in get_args(kind):
        found |= floats_in(inner, seen)
    if is_dataclass(kind) and kind not in seen:
        seen.add(kind)
        hints = get_type_hints(kind)
        for field in fields(kind):
            found |= {f"{field.name}.{where}" for where in floats_in(hints[field.name], seen)}
    return found


def test_no_field_of_a_decision_can_be_a_float() -> None:
    assert floats_in(Decision, set()) == set()


# Any text a browser can hold: every plane, controls, combining marks; no lone surrogates.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60).filter(str.strip)


@given(reply=TEXT, note=TEXT, name=TEXT)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_stored_text_is_canonical_and_its_hash_is_over_exactly_these_bytes(
    database: Any,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
    reply: str,
    note: str,
    name: str,
) -> None:
    ledger = SqlLedger(database.engine)
    off = ("risk.high_risk_language", "suggestion.mismatched", "refund.above_tier")
    desk = desk_on(ledger, disabled=off)
    count = len(stored(database)) + 1
    key = str(1000 + count)
    message = Message(id="m", author=Author.CUSTOMER, text=reply, at=desk.clock() - timedelta(minutes=1))
    desk.observe(
        Conversation(
            id=key,
            customer=name,
            customer_key="c",
            status=Status.OPEN,
            created_at=desk.clock(),
            messages=(message,),
        ),
        ALEX,
    )
    asked = Request(
        action=Action.ESCALATE,
        conversation=key,
        actor=ALEX,
        key=key,
        note=note,
        reason=desk.policy.escalation.reasons[0],
    )
    receipt = desk.submit(asked)
    assert receipt.number, receipt
    body, digest = next((b, h) for n, b, h in stored(database) if n == receipt.number)

    def no_float(text: str) -> float:
        raise AssertionError(f"a float is hashed: {text}")

    record = json.loads(body, parse_float=no_float)
    assert rfc8785.dumps(record) == body
    assert hashlib.sha256(b"\x00" + body).hexdigest() == digest
    assert record["note"] == note
    assert ledger.conversation(key).customer == name


def test_columns_say_what_the_hashed_text_says(
    database: Any, ledger: SqlLedger, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk = desk_on(ledger)
    desk.submit(approve(session="s1"))
    with database.engine.connect() as connection:
        row = connection.execute(select(t.decision)).one()
    record = json.loads(row.body)
    assert (row.uid, row.number, row.scope, row.action) == (
        record["uid"], record["decisionId"], record["scope"], record["action"],
    )  # fmt: skip
    assert (row.actor, f"chatwoot:{row.conversation_id}", row.session, row.request_key, row.at) == (
        record["actor"]["email"], record["conversation"], record["session"], record["requestKey"],
        record["createdAt"],
    )  # fmt: skip
    assert row.leaf_hash == codec.leaf_hash(row.body)


@pytest.mark.parametrize("field", ["text", "note", "reason", "override", "session", "key"])
def test_half_a_character_is_refused_in_words(
    database: Any,
    ledger: SqlLedger,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
    field: str,
) -> None:
    desk = desk_on(ledger)
    before = database.everything()
    with pytest.raises(InputError, match="half of a character"):
        desk.submit(approve(**{field: "ship it \ud83d"}))
    assert database.everything() == before


# Observing


def test_seeing_the_same_again_is_no_new_version(
    database: Any, ledger: SqlLedger, desk_on: Callable[..., Desk], case: Callable[..., Conversation]
) -> None:
    desk = desk_on(ledger)
    before = database.everything()
    assert desk.observe(case(), ALEX) == 1
    assert database.everything() == before
    assert desk.observe(case(tags=("vip",)), ALEX) == 2
    assert desk.observe(case(), ALEX) == 3


def test_a_breach_is_recorded_once(
    database: Any, ledger: SqlLedger, case: Callable[..., Conversation], desk_on: Callable[..., Desk]
) -> None:
    at: datetime = desk_on(ledger).clock()
    for tags in ((), (), ("vip",)):
        ledger.observe(case(tags=tags), at=at, actor=ALEX, breached_at=at)
    assert len(database.rows("breach")) == 1
    assert len(ledger.events(kind="sla.breached")) == 1


def test_refused_requests_leave_one_event_and_their_code(
    database: Any, ledger: SqlLedger, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk = desk_on(ledger)
    desk.submit(approve("k1"))
    for _ in range(3):
        assert desk.submit(approve("k2")).refused == "reply.already_answered"
    refusals = ledger.events(kind="action.refused")
    assert [(e["key"], e["code"]) for e in refusals] == [("k2", "reply.already_answered")]
    assert len(database.rows("decision")) == 1


def test_a_full_or_vanished_database_is_said_in_words(
    database: Any,
    ledger: SqlLedger,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = desk_on(ledger)
    before = database.everything()
    monkeypatch.setattr("cairnops.store.engine._WAITS", ())
    monkeypatch.setattr("cairnops.store.engine._PAUSES", ())
    with (
        database.gone(),
        pytest.raises(WorkspaceError, match=r"full|went away|not currently accepting") as caught,
    ):
        desk.submit(approve(note="long " * 20_000))
    assert caught.value.hint
    assert not isinstance(caught.value, DBAPIError)
    assert database.everything() == before


def test_a_key_that_belongs_to_another_request_is_refused_and_the_refusal_recorded(
    database: Any, ledger: SqlLedger, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk = desk_on(ledger)
    desk.submit(approve("k1"))
    assert desk.submit(approve("k1", text="Something else.")).refused == "request.key_reused"
    assert [(e["key"], e["code"]) for e in ledger.events(kind="action.refused")] == [
        ("k1", "request.key_reused")
    ]
    assert desk.submit(approve("k1")).number == 101
    assert len(database.rows("decision")) == 1
