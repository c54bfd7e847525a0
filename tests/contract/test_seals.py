"""Sealing on every database: places in the log are given once, in order, and one history is signed, never two."""

import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from cairnops.desk.desk import Desk
from cairnops.domain import checkpoints, merkle
from cairnops.domain.checkpoints import Key
from cairnops.domain.conversations import Actor
from cairnops.domain.requests import Request
from cairnops.errors import WorkspaceError
from cairnops.store import tables as t
from cairnops.store.engine import open_database
from cairnops.store.keys import Signing, check
from cairnops.store.ledger import SqlLedger
from cairnops.store.seals import SqlSeals

MORGAN = Actor(email="morgan@shop.example")
AT = datetime(2025, 10, 16, 18, 0, tzinfo=UTC)
NAME = "shop.example/cairnops/1"
PROCESSES, EACH = 4, 6


def signing(seed: int = 1) -> Signing:
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return Signing(Key(NAME, private.public_key().public_bytes_raw()), private)


@pytest.fixture
def seals(database: Any) -> SqlSeals:
    return SqlSeals(database.engine)


@pytest.fixture
def decide(
    ledger: SqlLedger, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> Callable[[int], None]:
    """Make so many more decisions."""
    made = 0

    def more(count: int) -> None:
        nonlocal made
        for _ in range(count):
            made += 1
            desk = desk_on(ledger, str(100 + made))
            assert desk.submit(approve(f"k{made}", conversation=str(100 + made))).number

    return more


def test_decisions_get_consecutive_places_by_number_and_the_tree_is_signed(
    seals: SqlSeals, ledger: SqlLedger, decide: Callable[[int], None]
) -> None:
    decide(3)
    first = seals.seal(signing(), AT, MORGAN)
    decide(2)
    second = seals.seal(signing(), AT, MORGAN)
    assert (first.added, second.added) == (3, 2)
    made = ledger.decisions()
    assert list(seals.indexes().items()) == [(d["uid"], i) for i, d in enumerate(made)]
    assert [leaf.hex() for leaf in seals.leaves(5)] == [d["leafHash"] for d in made]
    for sealed, size in ((first, 3), (second, 5)):
        assert sealed.checkpoint is not None
        head, note = checkpoints.read_checkpoint(sealed.checkpoint.note)
        assert (head.origin, head.size, head.root) == (NAME, size, merkle.root(seals.leaves(size)))
        assert checkpoints.signers_of(note, [signing().key], check)
    assert [e["body"]["size"] for e in ledger.events(kind="ledger.sealed")] == [3, 5]
    assert {e["actor"] for e in ledger.events(kind="ledger.sealed")} == {MORGAN.email}
    assert [k.key for k in seals.held_keys()] == [signing().key]


def test_sealing_again_writes_nothing(seals: SqlSeals, database: Any, decide: Callable[[int], None]) -> None:
    assert seals.seal(signing(), AT, MORGAN).checkpoint is None
    decide(1)
    sealed = seals.seal(signing(), AT, MORGAN)
    before = database.everything()
    again = seals.seal(signing(), AT, MORGAN)
    assert (again.added, again.checkpoint) == (0, sealed.checkpoint)
    assert database.everything() == before
    assert seals.unsealed() == 0


def test_another_key_signs_nothing(seals: SqlSeals, database: Any, decide: Callable[[int], None]) -> None:
    decide(1)
    seals.seal(signing(), AT, MORGAN)
    decide(1)
    before = database.everything()
    with pytest.raises(WorkspaceError, match="not the one this ledger is sealed with"):
        seals.seal(signing(2), AT, MORGAN)
    with pytest.raises(WorkspaceError, match="not the one this ledger is sealed with"):
        seals.rotate(signing(2), signing(3), AT, MORGAN)
    assert database.everything() == before


def test_a_rotation_is_signed_by_the_key_that_goes_and_both_sign_the_tree(
    seals: SqlSeals, ledger: SqlLedger, decide: Callable[[int], None]
) -> None:
    decide(2)
    seals.seal(signing(1), AT, MORGAN)
    held = seals.rotate(signing(1), signing(2), AT, MORGAN)
    steps = checkpoints.handed_over(checkpoints.read_notes(held.statement), check)
    assert steps == [(signing(1).key, signing(2).key)]
    newest = seals.newest()
    assert newest is not None
    note = checkpoints.read_note(newest.note)
    assert len(checkpoints.signers_of(note, [signing(1).key, signing(2).key], check)) == 2
    with pytest.raises(WorkspaceError):
        seals.seal(signing(1), AT, MORGAN) if not decide(1) else None
    assert seals.seal(signing(2), AT, MORGAN).added == 1
    (told,) = ledger.events(kind="ledger.rotated")
    assert (told["actor"], told["body"]["to"]) == (MORGAN.email, signing(2).key.id.hex())
    assert [k.statement != "" for k in seals.held_keys()] == [False, True]


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("INSERT INTO seal VALUES (0, 'another', 'ab')", id="a place twice"),
        pytest.param("INSERT INTO seal SELECT 9, decision_uid, leaf_hash FROM seal LIMIT 1", id="a decision twice"),
        pytest.param(
            "INSERT INTO checkpoint (size, key_id, root, note, actor, at) "
            "SELECT size, key_id, 'other', note, actor, at FROM checkpoint LIMIT 1",
            id="two roots for one size",
        ),
        pytest.param("UPDATE seal SET leaf_hash = 'ab'", id="another leaf"),
        pytest.param("DELETE FROM checkpoint", id="a checkpoint dropped"),
        pytest.param("DELETE FROM ledger_key", id="a key dropped"),
    ],
)  # fmt: skip
def test_the_database_refuses_a_fork(
    seals: SqlSeals, database: Any, decide: Callable[[int], None], statement: str
) -> None:
    decide(2)
    seals.seal(signing(), AT, MORGAN)
    before = database.everything()
    with database.bare() as connection, pytest.raises(Exception, match=r"append-only|duplicate key"):
        connection.execute(statement)
    assert database.everything() == before


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        pytest.param("UPDATE decision SET body = '{}'", "no longer agrees", id="an unsealed decision"),
        pytest.param("DELETE FROM seal WHERE log_index = 0", "sealed records are not", id="a place gone"),
        pytest.param("UPDATE seal SET leaf_hash = '' WHERE log_index = 9", None, id="nothing"),
        pytest.param(
            f"UPDATE seal SET leaf_hash = '{'0' * 64}' WHERE log_index = 1",
            "sealed records are not",
            id="another leaf",
        ),
    ],
)
def test_a_log_that_was_changed_from_outside_is_not_signed(
    seals: SqlSeals, database: Any, decide: Callable[[int], None], tamper: str, said: str | None
) -> None:
    decide(2)
    seals.seal(signing(), AT, MORGAN)
    decide(1)
    with database.bare() as connection:
        for name, table in connection.execute(database.every_trigger).fetchall():
            connection.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if table else ""))
        connection.execute(tamper)
    before = database.everything()
    if said is None:
        assert seals.seal(signing(), AT, MORGAN).added == 1
        return
    with pytest.raises(WorkspaceError, match=said):
        seals.seal(signing(), AT, MORGAN)
    assert database.everything() == before


def _seal_often(
    where: tuple[str, Path], gate: Barrier, number: int, said: "multiprocessing.Queue[str]"
) -> None:
    engine = open_database(*where)
    try:
        seals = SqlSeals(engine)
        gate.wait(60)
        for _ in range(EACH):
            _another_decision(engine, number)
            seals.seal(signing(), AT, MORGAN)
        said.put("ok")
    except BaseException as error:
        gate.abort()
        said.put(repr(error))
        raise
    finally:
        engine.dispose()


def _another_decision(engine: Any, number: int) -> None:
    import secrets

    from sqlalchemy import func, insert

    from cairnops import codec
    from cairnops.store.engine import writing

    uid = secrets.token_hex(13)
    with writing(engine) as c:
        last = c.execute(select(func.max(t.decision.c.number))).scalar() or 100
        c.execute(
            insert(t.decision).values(
                uid=uid, number=last + 1, scope="ops", action="a", actor=f"{number}", conversation_id="1",
                session="s", request_key=uid, at="", body=uid, leaf_hash=codec.leaf_hash(uid),
            )
        )  # fmt: skip


def test_sealers_at_the_same_time_never_fork(database: Any, seals: SqlSeals) -> None:
    spawn = multiprocessing.get_context("spawn")
    gate, said = spawn.Barrier(PROCESSES), spawn.Queue()
    started = [
        spawn.Process(target=_seal_often, args=(database.where, gate, n, said)) for n in range(PROCESSES)
    ]
    for process in started:
        process.start()
    answers = [said.get(timeout=90) for _ in started]
    for process in started:
        process.join(30)
        process.close()
    said.close()
    assert answers == ["ok"] * PROCESSES
    every = PROCESSES * EACH
    with database.engine.connect() as c:
        by_number = c.execute(select(t.decision.c.uid).order_by(t.decision.c.number)).scalars().all()
    assert list(seals.indexes().items()) == [(uid, i) for i, uid in enumerate(by_number)]
    assert len(by_number) == every
    leaves = seals.leaves(every)
    signed = seals.checkpoints()
    assert signed[-1].size == every
    for one in signed:
        assert one.root == merkle.root(leaves[: one.size])
