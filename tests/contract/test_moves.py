"""A ledger moved to another database arrives whole or not at all, goes on there, and only there."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cairnops.desk.desk import Desk
from cairnops.domain.checkpoints import Key
from cairnops.domain.conversations import Actor
from cairnops.domain.requests import Flags, Request
from cairnops.errors import WorkspaceError
from cairnops.store import tables as t
from cairnops.store import upkeep
from cairnops.store.engine import open_database, place, reading
from cairnops.store.keys import Signing
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox
from cairnops.store.seals import SqlSeals

MORGAN = Actor(email="morgan@shop.example")
AT = datetime(2025, 10, 16, 18, 0, tzinfo=UTC)


def signing() -> Signing:
    private = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    return Signing(Key("shop.example/cairnops/1", private.public_key().public_bytes_raw()), private)


@pytest.fixture(params=["to sqlite", "to postgresql"])
def target(
    request: pytest.FixtureRequest, tmp_path: Path, another: Callable[[str, Path], Any]
) -> Iterator[Any]:
    """Another database, empty."""
    with another(request.param.split()[1], tmp_path / "elsewhere") as made:
        yield made


@pytest.fixture
def worked(database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]) -> SqlLedger:
    """A ledger with decisions, some sealed, one effect under way."""
    ledger = SqlLedger(database.engine)
    desk = desk_on(ledger, "101", "102", "103")
    for key in ("101", "102"):
        assert desk.submit(approve(f"k{key}", conversation=key, note="Zoë said “ж” 🚚\x7f")).number
    SqlSeals(database.engine).seal(signing(), AT, MORGAN)
    assert desk.submit(approve("k103", conversation="103")).number
    assert SqlOutbox(database.engine).claim("w", now_ms=1, lease_ms=50)
    return ledger


def test_everything_arrives_and_goes_on_there(
    database: Any,
    target: Any,
    worked: SqlLedger,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
) -> None:
    before = database.everything()
    rows = upkeep.move(database.engine, target.engine)
    assert target.everything() == before
    assert rows == {name: len(found) for name, found in before.items()}
    assert rows["decision"] == 3 and rows["seal"] == 2
    there = SqlLedger(target.engine)
    assert there.decisions() == worked.decisions()
    assert [e["seq"] for e in there.events()] == list(range(1, rows["event"] + 1))
    assert SqlSeals(target.engine).checkpoints() == SqlSeals(database.engine).checkpoints()
    assert upkeep.check(target.engine) == upkeep.check(target.engine)
    assert all(one["ok"] for one in upkeep.check(target.engine)), upkeep.check(target.engine)
    desk = desk_on(there, "104")
    assert desk.submit(approve("k103", conversation="103")).number == 103, "the key is known there"
    assert desk.submit(approve("k104", conversation="104")).number == 104
    assert SqlSeals(target.engine).seal(signing(), AT, MORGAN).added == 2
    claim = SqlOutbox(target.engine).claim("v", now_ms=51, lease_ms=50)
    assert claim is not None


def test_what_it_came_from_can_be_read_and_not_written(
    database: Any,
    target: Any,
    worked: SqlLedger,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
) -> None:
    already_open = SqlLedger(database.open())
    upkeep.move(database.engine, target.engine)
    before = database.everything()
    desk = desk_on(SqlLedger(target.engine), "104")
    late = Desk(already_open, desk.policy, Flags(), desk.clock, desk.shop_domain)
    said = f"moved to {place(target.engine)}"
    for attempt in (
        lambda: late.submit(approve("late", conversation="103")),
        lambda: SqlOutbox(database.engine).claim("late", now_ms=99, lease_ms=9),
        lambda: SqlSeals(database.engine).seal(signing(), AT, MORGAN),
        lambda: upkeep.move(database.engine, target.engine),
    ):
        with pytest.raises(WorkspaceError) as refused:
            attempt()
        assert said in str(refused.value) or "is not empty" in str(refused.value)
    assert database.everything() == before
    assert len(already_open.decisions()) == 3
    assert upkeep.status(database.engine)["movedTo"] == place(target.engine)
    already_open.close()


def test_a_target_that_is_not_empty_is_refused(
    database: Any, target: Any, worked: SqlLedger, desk_on: Callable[..., Desk]
) -> None:
    desk_on(SqlLedger(target.engine), "101")
    before, there = database.everything(), target.everything()
    with pytest.raises(WorkspaceError, match="is not empty"):
        upkeep.move(database.engine, target.engine)
    assert (database.everything(), target.everything()) == (before, there)
    assert SqlOutbox(database.engine).claim("w", now_ms=99, lease_ms=9) is not None


TAMPERED = [
    pytest.param("UPDATE decision SET body = replace(body, 'parcel', 'panel') WHERE number = 102",
                 "does not agree with its leaf hash", id="an altered decision"),
    pytest.param("UPDATE decision SET at = '2020' WHERE number = 103", "columns that say something else", id="column"),
    pytest.param("DELETE FROM decision WHERE number = 103", None, id="the last dropped, unsealed"),
    pytest.param("DELETE FROM decision WHERE number = 102", "decision 102 is missing", id="one dropped"),
    pytest.param(f"UPDATE seal SET leaf_hash = '{'0' * 64}' WHERE log_index = 1", "is not what was sealed", id="leaf"),
    pytest.param(f"UPDATE checkpoint SET root = '{'0' * 64}'", "signed for another tree", id="a root"),
    pytest.param("DELETE FROM seal WHERE log_index = 1", "signed for another tree", id="a place dropped"),
]  # fmt: skip


@pytest.mark.parametrize(("tamper", "said"), TAMPERED)
def test_a_ledger_that_was_changed_from_outside_is_found_out_and_not_moved(
    database: Any, target: Any, worked: SqlLedger, tamper: str, said: str | None
) -> None:
    assert all(one["ok"] for one in upkeep.check(database.engine))
    with database.bare() as connection:
        for name, table in connection.execute(database.every_trigger).fetchall():
            connection.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if table else ""))
        connection.execute(tamper)
    empty = target.everything()
    findings = [f for one in upkeep.check(database.engine) for f in one["findings"] if "trigger" not in f]
    if said is None:
        assert findings == [], "nobody can know of it who keeps no checkpoint"
        return
    assert any(said in finding for finding in findings), findings
    with pytest.raises(WorkspaceError, match=said):
        upkeep.move(database.engine, target.engine)
    assert target.everything() == empty
    assert upkeep.status(database.engine)["movedTo"] == ""


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("INSERT INTO counter (name, value) VALUES ('other', 1)", id="a row too many"),
        pytest.param("DELETE FROM conversation WHERE id = '102'", id="a row lost"),
        pytest.param("UPDATE conversation SET customer_key = 'x' WHERE id = '102'", id="a value changed"),
    ],
)
def test_what_is_changed_on_the_way_is_found_out(
    database: Any, target: Any, worked: SqlLedger, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    empty, real = target.everything(), upkeep._copy

    def faulty(here: Any, there: Any, table: Any) -> None:
        real(here, there, table)
        if table is t.metadata.sorted_tables[-1]:
            there.exec_driver_sql(fault)

    monkeypatch.setattr(upkeep, "_copy", faulty)
    with pytest.raises(WorkspaceError, match="is not what was sent; nothing was moved"):
        upkeep.move(database.engine, target.engine)
    assert target.everything() == empty
    assert upkeep.status(database.engine)["movedTo"] == ""


def test_it_is_where_it_is(database: Any) -> None:
    other = database.open()
    with pytest.raises(WorkspaceError, match="where it is already"):
        upkeep.move(database.engine, other)
    other.dispose()


def test_a_ledger_that_was_moved_is_not_moved_a_second_time(
    database: Any, target: Any, worked: SqlLedger, tmp_path: Path, another: Callable[[str, Path], Any]
) -> None:
    upkeep.move(database.engine, target.engine)
    with another("sqlite", tmp_path / "third") as third:
        empty = third.everything()
        with pytest.raises(WorkspaceError, match="can only be read"):
            upkeep.move(database.engine, third.engine)
        assert third.everything() == empty


def test_a_moved_ledger_opens_where_it_is(database: Any, target: Any, worked: SqlLedger) -> None:
    upkeep.move(database.engine, target.engine)
    again = open_database(*target.where)
    with reading(again) as c:
        assert c.execute(t.meta.select()).all() == [("schema", str(t.SCHEMA_VERSION))]
    again.dispose()


def test_a_server_has_a_clock_of_its_own(database: Any) -> None:
    told = upkeep.clock_ms(database.engine)
    assert (told is None) is (database.kind == "sqlite")
    if told is not None:
        assert abs(told / 1000 - datetime.now(UTC).timestamp()) < 60
