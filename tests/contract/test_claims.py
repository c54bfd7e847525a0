"""Claims on every database: one live holder a conversation, whatever comes in between."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from cairnops.domain.conversations import Actor, Role
from cairnops.domain.requests import Held
from cairnops.store import tables as t
from cairnops.store.claims import SqlClaims, Taken
from cairnops.store.engine import writing
from cairnops.store.ledger import SqlLedger

T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MS = round(T0.timestamp() * 1000)
LEASE = 10_000
ALEX, SAM = Actor(email="alex@shop.example"), Actor(email="sam@shop.example", role=Role.LEAD)


@pytest.fixture
def claims(engine: Engine) -> SqlClaims:
    return SqlClaims(engine)


def take(claims: SqlClaims, who: Actor, tab: str, after: int = 0, conversation: str = "101") -> Held:
    """`who` opens it in `tab`, `after` milliseconds after T0."""
    at = T0 + timedelta(milliseconds=after)
    return claims.take(conversation, who, tab, session="s", at=at, now_ms=MS + after, lease_ms=LEASE)


def told(ledger: SqlLedger) -> list[tuple[str, str]]:
    """The audit events about claims: what and who."""
    return [(e["kind"], e["actor"]) for e in ledger.events() if e["kind"].startswith("claim.")]


def test_a_claim_says_who_where_and_since_when(claims: SqlClaims) -> None:
    held = take(claims, SAM, "tab-1")
    assert held == Held(
        conversation="101", actor=SAM, tab="tab-1", session="s", since=T0, until_ms=MS + LEASE
    )
    assert claims.held(MS) == [held]


def test_somebody_elses_is_refused_with_who_and_since_when(claims: SqlClaims, ledger: SqlLedger) -> None:
    take(claims, SAM, "tab-1")
    with pytest.raises(Taken, match=r"sam@shop\.example has had conversation 101 open since 09:00 UTC") as no:
        take(claims, ALEX, "tab-2", after=LEASE - 1)
    assert no.value.held.actor == SAM and no.value.hint
    assert told(ledger) == [("claim.taken", SAM.email)]


def test_a_lease_that_ended_is_anybodys_and_the_record_says_whose_it_was(
    claims: SqlClaims, ledger: SqlLedger
) -> None:
    take(claims, SAM, "tab-1")
    assert claims.held(MS + LEASE) == []
    held = take(claims, ALEX, "tab-2", after=LEASE)
    assert (held.actor, held.since) == (ALEX, T0 + timedelta(milliseconds=LEASE))
    assert told(ledger) == [("claim.taken", SAM.email), ("claim.taken_over", ALEX.email)]
    body = ledger.events(kind="claim.taken_over")[0]["body"]
    assert body == {"tab": "tab-2", "from": SAM.email, "lapsed": True}
    assert claims.renew("tab-1", now_ms=MS + LEASE, lease_ms=LEASE) == 0
    assert not claims.release("101", SAM, at=T0)


def test_taking_again_in_the_same_tab_renews_and_is_no_news(claims: SqlClaims, ledger: SqlLedger) -> None:
    take(claims, SAM, "tab-1")
    again = take(claims, SAM, "tab-1", after=4_000)
    assert (again.since, again.until_ms) == (T0, MS + 4_000 + LEASE)
    assert claims.renew("tab-1", now_ms=MS + 8_000, lease_ms=LEASE) == 1
    assert claims.held(MS + 17_999) and not claims.held(MS + 18_000)
    assert told(ledger) == [("claim.taken", SAM.email)]


def test_the_same_person_goes_on_in_a_second_tab(claims: SqlClaims, ledger: SqlLedger) -> None:
    take(claims, SAM, "tab-1")
    held = take(claims, SAM, "tab-2", after=1_000)
    assert (held.tab, held.since) == ("tab-2", T0)
    assert claims.renew("tab-1", now_ms=MS + 1_000, lease_ms=LEASE) == 0
    assert not claims.release("101", SAM, at=T0, tab="tab-1")
    assert claims.held(MS + 1_000) == [held]
    assert claims.release("101", SAM, at=T0, tab="tab-2")
    assert [kind for kind, _ in told(ledger)] == ["claim.taken", "claim.taken_over", "claim.released"]


def test_a_heartbeat_that_comes_late_keeps_what_nobody_took(claims: SqlClaims) -> None:
    take(claims, SAM, "tab-1")
    take(claims, SAM, "tab-1", conversation="102")
    take(claims, ALEX, "tab-2", after=LEASE, conversation="102")
    assert claims.renew("tab-1", now_ms=MS + 2 * LEASE, lease_ms=LEASE) == 1
    assert [h.conversation for h in claims.held(MS + 2 * LEASE)] == ["101"]


def test_letting_go_frees_it_once_and_only_by_its_holder(claims: SqlClaims, ledger: SqlLedger) -> None:
    take(claims, SAM, "tab-1")
    assert not claims.release("101", ALEX, at=T0)
    assert claims.release("101", SAM, at=T0)
    assert not claims.release("101", SAM, at=T0)
    assert take(claims, ALEX, "tab-2").actor == ALEX
    assert [kind for kind, _ in told(ledger)] == ["claim.taken", "claim.released", "claim.taken"]


def test_the_longest_held_come_first(claims: SqlClaims) -> None:
    for after, key in ((2, "103"), (1, "102"), (3, "101")):
        take(claims, SAM, "tab-1", after=after, conversation=key)
    assert [h.conversation for h in claims.held(MS)] == ["102", "103", "101"]


def test_the_database_itself_has_room_for_one_holder(claims: SqlClaims, engine: Engine) -> None:
    take(claims, SAM, "tab-1")
    row = {
        "conversation_id": "101",
        "actor": "x",
        "role": "lead",
        "tab": "t",
        "session": "",
        "since": "",
        "until_ms": 0,
    }
    with pytest.raises(IntegrityError), writing(engine) as c:
        c.execute(insert(t.claim).values(row))


def test_the_desk_is_told_who_has_it(claims: SqlClaims, ledger: SqlLedger, desk_on) -> None:
    desk = desk_on(ledger)
    held = take(claims, SAM, "tab-1")
    facts = ledger.facts("101", key="", suggestion="", session="", flags=desk.flags)
    assert facts.claim == held
    assert ledger.facts("101", key="", suggestion="", session="", flags=desk.flags).claim is not None


@pytest.mark.parametrize("lapsed", [False, True], ids=["free", "lapsed"])
def test_of_eight_who_reach_for_it_at_once_one_gets_it(
    claims: SqlClaims, ledger: SqlLedger, lapsed: bool
) -> None:
    if lapsed:
        take(claims, Actor(email="gone@shop.example"), "closed")
    gate, got = threading.Barrier(8), []

    def reach(number: int) -> None:
        gate.wait(30)
        try:
            take(claims, Actor(email=f"operator{number}@shop.example"), f"tab-{number}", after=LEASE)
        except Taken as error:
            got.append(error.held.actor.email)
        else:
            got.append("mine")

    threads = [threading.Thread(target=reach, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (holder,) = claims.held(MS + LEASE)
    assert sorted(got) == sorted(["mine"] + [holder.actor.email] * 7)
    kind = "claim.taken_over" if lapsed else "claim.taken"
    assert told(ledger)[-1] == (kind, holder.actor.email)
    assert len(told(ledger)) == 1 + lapsed


@dataclass
class Model:
    """What a claim should be: who has it, in which tab, since and until when."""

    who: str = ""
    tab: str = ""
    since: int = 0
    until: int = 0


PEOPLE, TABS = st.sampled_from(["a@x.example", "b@x.example"]), st.sampled_from(["1", "2", "3"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), PEOPLE, TABS),
        st.tuples(st.just("renew"), st.just(""), TABS),
        st.tuples(st.just("release"), PEOPLE, st.sampled_from(["", "1", "2", "3"])),
        st.tuples(st.just("wait"), st.integers(1, LEASE + 1), st.just("")),
    ),
    max_size=14,
)
NUMBERS = iter(range(1_000_000))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_comes_in_between_there_is_one_live_holder_and_it_is_the_right_one(
    claims: SqlClaims, ledger: SqlLedger, steps: list[tuple[str, object, str]]
) -> None:
    key, now, model = str(1000 + next(NUMBERS)), 0, Model()
    for verb, who, tab in steps:
        mine = f"{key}/{tab}"
        match verb:
            case "wait":
                now += int(str(who))
            case "take":
                theirs = model.who not in ("", who) and now < model.until
                try:
                    held = take(claims, Actor(email=str(who)), mine, after=now, conversation=key)
                except Taken as error:
                    assert theirs and error.held.actor.email == model.who
                else:
                    assert not theirs
                    goes_on = model.who == who and now < model.until
                    model = Model(str(who), mine, model.since if goes_on else now, now + LEASE)
                    assert held.since == T0 + timedelta(milliseconds=model.since)
            case "renew":
                kept = claims.renew(mine, now_ms=MS + now, lease_ms=LEASE)
                assert kept == int(model.tab == mine)
                if kept:
                    model.until = now + LEASE
            case "release":
                at = T0 + timedelta(milliseconds=now)
                done = claims.release(key, Actor(email=str(who)), at=at, tab=mine if tab else "")
                assert done is (model.who == who and (not tab or model.tab == mine))
                if done:
                    model = Model()
        live = [h for h in claims.held(MS + now) if h.conversation == key]
        assert [h.actor.email for h in live] == ([model.who] if now < model.until else [])
    kinds = [e["kind"] for e in ledger.events(conversation=key)]
    assert kinds.count("claim.released") + bool(model.who) >= kinds.count("claim.taken")
