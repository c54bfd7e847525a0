"""Retention on every database: what is old goes on one audited path, nothing beside it, and the log still holds."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select, update

from cairnops.desk.desk import Desk
from cairnops.domain import merkle, retention
from cairnops.domain.checkpoints import Key
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.delivery import Answer, FinalStatus, Result
from cairnops.domain.policy import RetentionPolicy, profile
from cairnops.domain.requests import Action, Flags, FollowUp, Request
from cairnops.errors import WorkspaceError
from cairnops.store import retention as removing
from cairnops.store import tables as t
from cairnops.store import upkeep
from cairnops.store.engine import reading, writing
from cairnops.store.keys import Signing
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox
from cairnops.store.retention import SqlRetention
from cairnops.store.seals import SqlSeals

ADA = Actor(email="ada@shop.example", role=Role.ADMIN)
#: The desk of these tests decides on 2025-10-16; a year and a bit later all of it is old.
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
UNTIL = retention.until(RetentionPolicy(), LATER)
OLD = "2026-01-01T00:00:00.000Z"


def signing() -> Signing:
    private = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    return Signing(Key("shop.example/cairnops/1", private.public_key().public_bytes_raw()), private)


def deliver(engine: Any, count: int = 99) -> None:
    outbox = SqlOutbox(engine)
    for _ in range(count):
        claim = outbox.claim("w", now_ms=10**13, lease_ms=9)
        if claim is None:
            return
        done = Result(answer=Answer.OK)
        outbox.finish(claim, FinalStatus.SUCCESS, at=T0, result=done, duration_us=5, recovered=False)


@pytest.fixture
def worked(database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]) -> Any:
    """Decisions 101 to 103 are sealed and delivered, 104 is sealed and waits, 105 is delivered and not sealed."""
    engine = database.engine
    desk = desk_on(SqlLedger(engine), *"12345")
    promise = FollowUp(owner="sam", due=T0 + timedelta(hours=1))
    for key in "123":
        desk.submit(approve(f"k{key}", conversation=key, follow_up=promise))
    desk.submit(approve("note", action=Action.NOTE, conversation="1", text=None))
    deliver(engine)
    desk.submit(approve("k4", conversation="4"))
    wait(engine, 10**14)
    SqlSeals(engine).seal(signing(), T0, ADA)
    desk.submit(approve("k5", conversation="5"))
    deliver(engine)
    return database


def wait(engine: Any, until_ms: int) -> None:
    """Let what is to be delivered of decision 104 wait until then."""
    with writing(engine) as c:
        c.execute(update(t.effect).where(t.effect.c.number == 104).values(due_ms=until_ms))


def numbers(database: Any) -> list[int]:
    return sorted(row[1] for row in database.rows("decision"))


def check(database: Any) -> list[str]:
    """What `db check` finds in the rows."""
    with reading(database.engine) as c:
        return [*upkeep._altered(c), *upkeep._forked(c), *upkeep._orphans(c), *upkeep._unburied(c)]


# What goes


def test_a_plan_is_what_is_removed_and_removes_nothing(worked: Any) -> None:
    before, kept = worked.everything(), SqlRetention(worked.engine)
    plan = kept.plan(UNTIL, ADA, LATER)
    assert worked.everything() == before
    assert kept.plan(UNTIL, ADA, LATER + timedelta(hours=3)).id == plan.id
    made = kept.apply(UNTIL, ADA, LATER, expect=plan.id)
    assert made == plan
    after = worked.everything()
    gone = {due.table: due.rows for due in plan.due if due.rows}
    told = [row for row in after["event"] if row[4].startswith("retention.")]
    after["event"] = [row for row in after["event"] if row not in told]
    assert len(told) == 2
    assert gone == {name: len(before[name]) - len(after[name]) for name in gone}
    assert {name for name in after if len(after[name]) < len(before[name])} == set(gone)
    assert (plan.unsealed, plan.undelivered) == (1, 1)


def test_what_is_sealed_and_delivered_goes_and_the_log_holds(worked: Any) -> None:
    seals = SqlSeals(worked.engine)
    leaves, indexes = seals.leaves(4), seals.indexes()
    SqlRetention(worked.engine).apply(UNTIL, ADA, LATER)
    assert numbers(worked) == [104, 105]
    assert [one["findings"] for one in upkeep.check(worked.engine) if not one["ok"]] == []
    assert (seals.leaves(4), seals.indexes()) == (leaves, indexes)
    stones = SqlRetention(worked.engine).tombstones()
    assert [(s.number, s.leaf_hash, s.actor) for s in stones] == [
        (number, leaf.hex(), ADA.email) for number, leaf in zip((101, 102, 103), leaves, strict=False)
    ]
    signed = seals.newest()
    assert signed is not None and merkle.root(leaves) == signed.root
    # What is left to do is done, and what comes next goes on where it was.
    wait(worked.engine, 0)
    deliver(worked.engine)
    assert seals.unsealed() == 1
    assert seals.seal(signing(), LATER, ADA).added == 1
    again = SqlRetention(worked.engine).apply(UNTIL, ADA, LATER)
    assert {due.table: due.rows for due in again.due}["decision"] == 1
    assert numbers(worked) == [105] and check(worked) == []


def seven(database: Any, case: Callable[..., Any], approve: Callable[..., Request]) -> SqlRetention:
    """Seven decisions, a minute apart, sealed and delivered."""
    moment = [T0]
    desk = Desk(SqlLedger(database.engine), profile("dry-run"), Flags(), lambda: moment[0], "shop.example")
    for key in "1234567":
        moment[0] += timedelta(minutes=1)
        desk.observe(case(key), ADA)
        desk.submit(approve(f"k{key}", conversation=key))
    deliver(database.engine)
    SqlSeals(database.engine).seal(signing(), T0, ADA)
    return SqlRetention(database.engine)


def left(database: Any) -> dict[str, list[Any]]:
    """What is there, but for who removed it when."""
    everything = database.everything()
    events = [row[1:] for row in everything.pop("event") if not row[4].startswith("retention.")]
    stones = [row[:3] for row in everything.pop("tombstone")]
    del everything["retention"]
    return everything | {"event": events, "tombstone": stones}


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of two decisions, and nobody is waited for."""
    monkeypatch.setattr(removing, "_AT_ONCE", 2)
    monkeypatch.setattr(removing, "_LET_IN_S", 0)


def test_in_slices_goes_what_goes_at_once(
    database: Any, another: Any, tmp_path: Path, case: Any, approve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = seven(database, case, approve)
    with another(database.kind, tmp_path / "whole") as whole:
        plan = seven(whole, case, approve).apply(UNTIL, ADA, LATER)
        assert len(whole.rows("tombstone")) == 6, "the newest stays"
        monkeypatch.setattr(removing, "_AT_ONCE", 2)
        monkeypatch.setattr(removing, "_LET_IN_S", 0)
        made = kept.apply(UNTIL, ADA, LATER, expect=plan.id)
        assert (made, made.id) == (plan, plan.id)
        assert left(database) == left(whole)
    told = [json.loads(row[9]) for row in database.rows("event") if row[4] == "retention.removed"]
    assert [body["removed"].get("decision", 0) for body in told if "decision" in body["removed"]] == [2, 2, 2]
    assert {body["plan"] for body in told} == {plan.id}
    assert check(database) == [] and kept.apply(UNTIL, ADA, LATER).rows == 0


def test_what_was_interrupted_is_gone_on_with(
    database: Any, case: Any, approve: Any, slices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, done = seven(database, case, approve), removing._remove

    def dies(c: Any, stamps: dict[str, str], *args: Any, **more: Any) -> Any:
        if "decisions" in stamps and stamps["decisions"] > "2025-10-16T17:04":
            raise RuntimeError("killed")
        return done(c, stamps, *args, **more)

    monkeypatch.setattr(removing, "_remove", dies)
    with pytest.raises(RuntimeError):
        kept.apply(UNTIL, ADA, LATER)
    assert [s.number for s in kept.tombstones()] == [101, 102] and check(database) == []
    monkeypatch.setattr(removing, "_remove", done)
    assert kept.apply(UNTIL, ADA, LATER).rows > 0
    assert [s.number for s in kept.tombstones()] == [101, 102, 103, 104, 105, 106]
    assert check(database) == [] and numbers(database) == [107]


def test_whoever_decides_meanwhile_comes_in_between(
    database: Any, case: Any, approve: Any, desk_on: Any, slices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = seven(database, case, approve)
    desk, made = desk_on(SqlLedger(database.engine)), list[int]()

    def decide(_: float) -> None:
        key = f"new{len(made)}"
        desk.observe(case(key), ADA)
        made.append(desk.submit(approve(f"k{key}", conversation=key)).number)

    monkeypatch.setattr(time, "sleep", decide)
    kept.apply(UNTIL, ADA, LATER)
    monkeypatch.undo()
    assert len(made) > 3 and set(made) <= set(numbers(database))
    assert check(database) == []


def test_a_plan_keeps_nobody_waiting_on_a_server(
    postgresql: Any, case: Any, approve: Any, desk_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, done = seven(postgresql, case, approve), removing._remove
    desk, times = desk_on(SqlLedger(postgresql.open())), 0
    # Nothing of it is old: what is would be waited for.
    desk.clock = lambda: LATER
    desk.observe(case("meanwhile"), ADA)

    def slowly(*args: Any, **more: Any) -> Any:
        nonlocal times
        times += 1
        made = done(*args, **more)
        assert desk.submit(approve("k", conversation="meanwhile")).number == 108
        return made

    monkeypatch.setattr(removing, "_remove", slowly)
    assert kept.plan(UNTIL, ADA, LATER).rows > 0
    # Had anybody waited, the server would have cut the plan off, and it would have been made again.
    assert times == 1
    monkeypatch.undo()
    desk.ledger.close()
    assert numbers(postgresql) == list(range(101, 109))


def test_numbers_go_on_where_they_were(
    worked: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    wait(worked.engine, 0)
    deliver(worked.engine)
    SqlSeals(worked.engine).seal(signing(), T0, ADA)
    newest = {name: max(row[0] for row in worked.rows(name)) for name in ("effect", "event", "follow_up")}
    SqlRetention(worked.engine).apply(UNTIL, ADA, LATER)
    desk = desk_on(SqlLedger(worked.engine), "9")
    receipt = desk.submit(
        approve("k9", conversation="9", follow_up=FollowUp(owner="s", due=T0 + timedelta(days=1)))
    )
    assert receipt.number == 106
    for name, before in newest.items():
        assert max(row[0] for row in worked.rows(name)) > before, name
    assert check(worked) == []


def test_it_is_on_record_in_the_same_transaction(worked: Any) -> None:
    SqlRetention(worked.engine).apply(UNTIL, ADA, LATER, why={"kept": "365 days"})
    events = [e for e in SqlLedger(worked.engine).events() if e["kind"].startswith("retention.")]
    assert [(e["kind"], e["actor"], e["role"]) for e in events] == [
        ("retention.applied", ADA.email, "admin"),
        ("retention.removed", ADA.email, "admin"),
    ]
    assert events[0]["body"]["until"]["decisions"] == "2025-11-01T00:00:00.000Z"
    assert events[0]["body"]["kept"] == "365 days" and events[1]["body"]["removed"]["decision"] == 3
    assert [row[3] for row in worked.rows("retention")] == [events[0]["seq"]] * 3
    told = [e["kind"] for e in SqlLedger(worked.engine).events()]
    assert "ledger.sealed" in told, "who sealed is known for good"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_left_moves_with_its_tombstones(
    worked: Any, kind: str, another: Callable[[str, Path], Any], tmp_path: Path
) -> None:
    SqlRetention(worked.engine).apply(UNTIL, ADA, LATER)
    with another(kind, tmp_path / "target") as target:
        upkeep.move(worked.engine, target.engine)
        assert check(target) == []
        assert target.rows("tombstone") == worked.rows("tombstone")
        with pytest.raises(WorkspaceError, match="can only be read"):
            SqlRetention(worked.engine).apply(UNTIL, ADA, LATER)


def test_another_plan_by_now_removes_nothing(worked: Any) -> None:
    kept = SqlRetention(worked.engine)
    plan = kept.plan(UNTIL, ADA, LATER)
    SqlSeals(worked.engine).seal(signing(), T0, ADA)
    wait(worked.engine, 0)
    deliver(worked.engine)
    before = worked.everything()
    with pytest.raises(WorkspaceError, match=f"Plan {plan.id} is not what would be removed now"):
        kept.apply(UNTIL, ADA, LATER, expect=plan.id)
    assert worked.everything() == before


def test_where_nothing_is_old_nothing_is_written(worked: Any) -> None:
    before = worked.everything()
    young = retention.until(RetentionPolicy(), T0 + timedelta(days=10))
    assert SqlRetention(worked.engine).apply(young, ADA, LATER).rows == 0
    assert worked.everything() == before


def test_conversations_and_practice_go_by_their_own_clocks(worked: Any) -> None:
    with writing(worked.engine) as c:
        for name, started in (("spring", "2026-06-01T09:00:00.000Z"), ("autumn", "2026-10-01T09:00:00.000Z")):
            c.execute(insert(t.session).values(name=name, state="open", body="{}", started_at=started))
            c.execute(
                insert(t.assignment).values(
                    session=name,
                    scenario="a",
                    operator="o",
                    conversation_id="1" if name == "autumn" else "2",
                    at=started,
                )
            )
            for _ in range(2):
                c.execute(
                    insert(t.probe).values(
                        session=name, name="p", at=started, status="ok", latency_ms=1, detail=""
                    )
                )
    only = {kind: UNTIL[kind] for kind in ("training", "transcripts")}
    gone = {due.table: due.rows for due in SqlRetention(worked.engine).apply(only, ADA, LATER).due}
    assert (gone["session"], gone["assignment"], gone["probe"]) == (1, 1, 2), "spring is over, autumn is not"
    assert gone["conversation"] == 3, "one belongs to a session that is kept, one waits to be delivered"
    assert sorted(row[0] for row in worked.rows("conversation")) == ["1", "4"]
    assert numbers(worked) == [101, 102, 103, 104, 105] and check(worked) == []


# Nothing goes beside it

EVENT = (
    "INSERT INTO event (seq, at, actor, role, kind, conversation_id, session, key, code, body) "
    "VALUES (900, :at, :actor, 'admin', :kind, '', '', '', '', '{}')"
)
ROW = (
    "INSERT INTO retention (seq, kind, until, event, actor, at) VALUES (50, :kind, :until, 900, :actor, :at)"
)


def claim(
    connection: Any,
    *,
    kind: str = "decisions",
    until: str = OLD,
    event: str = "retention.applied",
    actor: str = "ada",
    told: bool = True,
) -> None:
    """Say that old rows go, as whoever may write the database could."""
    if told:
        connection.execute(EVENT, {"at": OLD, "actor": actor, "kind": event})
    connection.execute(ROW, {"kind": kind, "until": until, "actor": "ada", "at": OLD})


TABLES = (
    "attempt",
    "sync_event",
    "effect",
    "decision",
    "follow_up",
    "event",
    "request",
    "suggestion",
    "breach",
)
MEANS = [pytest.param(n, id=name) for n, name in enumerate(("bare", "switches off", "switches on"))]
REFUSED = r"append-only|never dropped|(?i:foreign key)"
OF = "IN (SELECT uid FROM effect WHERE number = {})"


@pytest.mark.parametrize("means", MEANS)
def test_nothing_goes_by_itself(worked: Any, means: int) -> None:
    before = worked.everything()
    with worked.bare(*worked.means[means]) as connection:
        for table in TABLES:
            if before[table]:
                with pytest.raises(Exception, match=REFUSED):
                    connection.execute(f"DELETE FROM {table}")
    assert worked.everything() == before


#: What somebody may say who wants to get rid of something, and whether the databases believe it.
SAYINGS = [
    pytest.param({"told": False}, False, id="without an event"),
    pytest.param({"event": "note.added"}, False, id="with an event of something else"),
    pytest.param({"actor": "eve"}, False, id="in somebody else's name"),
    pytest.param({"until": "2999-01-01T00:00:00.000Z"}, False, id="even of what is young"),
    pytest.param({"until": "2025-10-16T16:59:00.000Z"}, False, id="of what is older"),
    pytest.param({"kind": "everything"}, False, id="of another kind"),
    pytest.param({}, True, id="as it has to be said"),
]
#: One row that goes by its moment, and what hangs on a decision that has its tombstone.
LEGITIMATE = ("DELETE FROM event WHERE seq = 1", f"DELETE FROM sync_event WHERE effect_uid {OF.format(101)}")


@pytest.mark.parametrize(("said", "believed"), SAYINGS)
def test_what_goes_was_said_before_on_record(worked: Any, said: dict[str, Any], believed: bool) -> None:
    with worked.bare() as connection:
        claim(connection, **said)
        connection.execute(STONE.format(hash="leaf_hash", of=101))
        before = worked.everything()
        for statement in LEGITIMATE:
            if believed:
                connection.execute(statement)
                continue
            with pytest.raises(Exception, match=REFUSED):
                connection.execute(statement)
        after = worked.everything()
    assert (after == before) is not believed
    assert believed is (len(after["sync_event"]) == len(before["sync_event"]) - 2)


STONE = (
    "INSERT INTO tombstone (uid, number, leaf_hash, retention) "
    "SELECT uid, number, {hash}, 50 FROM decision WHERE number = {of}"
)


@pytest.mark.parametrize(
    ("stone", "attacks"),
    [
        pytest.param("", ["DELETE FROM decision WHERE number = 101"], id="without a tombstone"),
        pytest.param(
            STONE.format(hash=f"'{'0' * 64}'", of=101),
            [f"DELETE FROM sync_event WHERE effect_uid {OF.format(101)}", "DELETE FROM decision WHERE number = 101"],
            id="with a tombstone of another hash",
        ),
        pytest.param(
            "INSERT INTO tombstone SELECT uid, 300, leaf_hash, 50 FROM decision WHERE number = 101",
            [f"DELETE FROM sync_event WHERE effect_uid {OF.format(101)}", "DELETE FROM decision WHERE number = 101"],
            id="with a tombstone of another number",
        ),
        pytest.param(
            STONE.format(hash="leaf_hash", of=105),
            [
                "DELETE FROM sync_event WHERE effect_uid = (SELECT min(uid) FROM effect WHERE number = 105 "
                "AND seq < (SELECT max(seq) FROM effect))",
                "DELETE FROM decision WHERE number = 105",
            ],
            id="what is not sealed",
        ),
        pytest.param(
            STONE.format(hash="leaf_hash", of=104),
            ["DELETE FROM effect WHERE number = 104", "DELETE FROM decision WHERE number = 104"],
            id="what waits to be delivered",
        ),
        pytest.param(
            STONE.format(hash="leaf_hash", of=101),
            ["DELETE FROM decision WHERE number = 101", "DELETE FROM sync_event WHERE effect_uid IN "
             "(SELECT uid FROM effect WHERE number = 102)"],
            id="before what hangs on it, and what hangs on another",
        ),
        pytest.param(
            "",
            [
                "DELETE FROM event WHERE kind = 'retention.applied'",
                "DELETE FROM event WHERE kind = 'ledger.sealed'",
                "DELETE FROM event WHERE key = 'k1'",
                "DELETE FROM request WHERE key = 'k1'",
                "DELETE FROM retention",
                "DELETE FROM seal",
                "DELETE FROM checkpoint",
                "DELETE FROM ledger_key",
                "DELETE FROM follow_up WHERE seq = 1",
                "UPDATE decision SET body = ''",
            ],
            id="what is kept for good, or is still needed",
        ),
    ],
)  # fmt: skip
def test_what_is_on_record_lets_nothing_else_go(worked: Any, stone: str, attacks: list[str]) -> None:
    with worked.bare() as connection:
        claim(connection)
        if stone:
            connection.execute(stone)
        before = worked.everything()
        for attack in attacks:
            with pytest.raises(Exception, match=REFUSED):
                connection.execute(attack)
        assert worked.everything() == before


def test_a_tombstone_stays_and_is_of_one_decision(worked: Any) -> None:
    SqlRetention(worked.engine).apply(UNTIL, ADA, LATER)
    before = worked.everything()
    with worked.bare() as connection:
        for attack in (
            "DELETE FROM tombstone",
            "UPDATE tombstone SET leaf_hash = ''",
            "INSERT INTO tombstone VALUES ('x', 101, '', 1)",
        ):
            with pytest.raises(Exception, match=r"append-only|duplicate key"):
                connection.execute(attack)
    assert worked.everything() == before


def test_tables_of_ones_own_let_nothing_go(postgresql: Any) -> None:
    """Somebody may put a table of that name where it is looked for first."""
    with postgresql.bare() as connection:
        connection.execute("INSERT INTO breach VALUES ('1', '2020', 'x')")
        connection.execute("CREATE SCHEMA mine")
        for where in ("pg_temp", "mine"):
            connection.execute(f"CREATE TABLE {where}.retention AS SELECT 1 AS seq, 'transcripts' AS kind, "
                               "'2026-01-01' AS until, 1 AS event, 'a' AS actor")  # fmt: skip
            connection.execute(
                f"CREATE TABLE {where}.event AS SELECT 1 AS seq, 'retention.applied' AS kind, 'a' AS actor"
            )
        for path in ("public", "mine, public"):
            connection.execute(f"SET search_path = {path}")
            with pytest.raises(Exception, match="append-only"):
                connection.execute("DELETE FROM breach")


# What is changed is found


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        pytest.param(
            f"UPDATE tombstone SET leaf_hash = '{'0' * 64}' WHERE number = 102", "tombstone of decision 102",
            id="another hash",
        ),
        pytest.param(
            "UPDATE tombstone SET number = 300 WHERE number = 102", "decision 102 is missing", id="another number"
        ),
        pytest.param("DELETE FROM tombstone WHERE number = 102", "place 1 of the log", id="a tombstone gone"),
        pytest.param(
            "DELETE FROM event WHERE kind = 'retention.applied'", "no retention is on record", id="the event gone"
        ),
        pytest.param("UPDATE retention SET actor = 'eve'", "no retention is on record", id="another name"),
        pytest.param(
            "INSERT INTO tombstone SELECT uid, number, leaf_hash, 1 FROM decision WHERE number = 104",
            "has a tombstone and is still there", id="of what is there",
        ),
        pytest.param(
            "INSERT INTO tombstone SELECT uid, number, leaf_hash, 1 FROM decision WHERE number = 105",
            "not of what was sealed", id="of what was never sealed",
        ),
        pytest.param("DELETE FROM decision WHERE number = 104", "place 3 of the log", id="a decision gone"),
    ],
)  # fmt: skip
def test_a_tombstone_that_lies_is_found(worked: Any, tamper: str, said: str) -> None:
    SqlRetention(worked.engine).apply(UNTIL, ADA, LATER)
    tampered = ("tombstone", "retention", "event", "decision")
    with worked.bare() as connection:
        for name, table in connection.execute(worked.every_trigger).fetchall():
            if name.startswith(tampered):
                connection.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if table else ""))
        connection.execute(tamper)
    found = check(worked)
    assert any(said in finding for finding in found), found


def test_a_conversation_removed_meanwhile_is_read_again(
    worked: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    from cairnops.errors import NotFound

    desk = desk_on(SqlLedger(worked.engine), "6")
    with writing(worked.engine) as c:
        c.execute(update(t.conversation).where(t.conversation.c.id == "6").values(at=OLD))
    SqlRetention(worked.engine).apply({"transcripts": UNTIL["transcripts"]}, ADA, LATER)
    with pytest.raises(NotFound):
        desk.submit(approve("k6", conversation="6"))
    with worked.engine.connect() as c:
        assert c.execute(select(t.request.c.key).where(t.request.c.key == "k6")).first() is None
    assert json.loads(worked.rows("event")[0][-1]) is not None
