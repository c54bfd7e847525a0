"""Many at once and a server that goes away: one decision a press, one order for everybody, nothing half done."""

import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, select

from cairnops.desk.desk import Desk
from cairnops.domain.conversations import Actor, Conversation
from cairnops.domain.delivery import Answer, Claim, FinalStatus, Result
from cairnops.domain.requests import Action, Flags, Request
from cairnops.errors import WorkspaceError
from cairnops.store import tables as t
from cairnops.store.engine import Interrupted, open_database, reading, writing
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox

ALEX = Actor(email="alex@shop.example")
AT = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
OK = Result(answer=Answer.OK)
PEERS = 8


def note(key: str, conversation: str) -> Request:
    return Request(action=Action.NOTE, conversation=conversation, actor=ALEX, key=key, note=f"note {key}")


@contextmanager
def desks(database: Any, like: Desk) -> Iterator[list[Desk]]:
    """Eight desks, each as in a process of its own."""
    ledgers = [SqlLedger(database.open()) for _ in range(PEERS)]
    try:
        yield [Desk(one, like.policy, Flags(), like.clock, like.shop_domain) for one in ledgers]
    finally:
        for one in ledgers:
            one.close()


def all_at_once(work: Callable[[int], Any]) -> list[Any]:
    gate = threading.Barrier(PEERS)

    def one(number: int) -> Any:
        gate.wait(30)
        return work(number)

    with ThreadPoolExecutor(PEERS) as pool:
        return list(pool.map(one, range(PEERS)))


# Many at once


def test_one_press_in_eight_places_is_one_decision(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk = desk_on(SqlLedger(database.engine))
    with desks(database, desk) as peers:
        receipts = all_at_once(lambda n: peers[n].submit(approve("k")))
    assert {r.number for r in receipts} == {101}
    assert len(database.rows("decision")) == len(database.rows("request")) == 1


def test_eight_answers_to_one_customer_are_one(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk = desk_on(SqlLedger(database.engine))
    with desks(database, desk) as peers:
        receipts = all_at_once(lambda n: peers[n].submit(approve(f"k{n}")))
    assert sorted(r.refused for r in receipts) == [""] + ["reply.already_answered"] * (PEERS - 1)


def test_numbers_and_events_have_no_gaps_and_come_in_the_order_of_the_commits(
    database: Any,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
    case: Callable[..., Conversation],
) -> None:
    each = 5
    desk = desk_on(SqlLedger(database.engine))
    seen: list[list[int]] = []
    stop = threading.Event()

    def watch() -> None:
        ledger = SqlLedger(database.open())
        while not stop.is_set():
            seen.append([e["seq"] for e in ledger.events()])
        ledger.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with desks(database, desk) as peers:

            def work(number: int) -> list[int]:
                made = []
                for turn in range(each):
                    key = str(1000 + number * 100 + turn)
                    peers[number].observe(case(key), ALEX)
                    made.append(peers[number].submit(approve(f"k{key}", conversation=key)).number)
                return made

            numbers = [n for made in all_at_once(work) for n in made]
    finally:
        stop.set()
        watcher.join(30)
    assert sorted(numbers) == list(range(101, 101 + PEERS * each))
    for one in seen:
        assert one == list(range(1, len(one) + 1)), "whoever has seen an event has seen all before it"


def test_four_workers_take_each_effect_once_and_a_conversations_in_order(
    database: Any, desk_on: Callable[..., Desk]
) -> None:
    conversations = [str(n) for n in range(201, 207)]
    ledger = SqlLedger(database.engine)
    desk = desk_on(ledger, *conversations)
    for turn in range(5):
        for conversation in conversations:
            desk.submit(note(f"{conversation} {turn}", conversation))
    taken: list[Claim] = []

    def work(number: int) -> None:
        outbox = SqlOutbox(database.open())
        while (due := outbox.next_due_ms()) is not None:
            claim = outbox.claim(f"w{number}", now_ms=max(due, 1), lease_ms=60_000) if due <= 1 else None
            if claim is None:
                continue
            assert not claim.unclear
            taken.append(claim)
            assert outbox.finish(claim, FinalStatus.SUCCESS, at=AT, result=OK, duration_us=1, recovered=False)
        outbox._engine.dispose()

    all_at_once(work)
    assert len(taken) == len({c.effect.uid for c in taken}) == 30
    for conversation in conversations:
        mine = [c.effect.payload["text"] for c in taken if c.effect.conversation_id == conversation]
        assert mine == [f"note {conversation} {turn}" for turn in range(5)]


def test_what_is_for_one_help_desk_never_goes_to_another(database: Any, desk_on: Callable[..., Desk]) -> None:
    first, second = SqlLedger(database.engine, "first"), SqlLedger(database.engine, "second")
    desk = desk_on(first, "101", "102")
    desk.submit(note("k1", "101"))
    Desk(second, desk.policy, Flags(), desk.clock, desk.shop_domain).submit(note("k2", "101"))
    there, here = SqlOutbox(database.engine, "first"), SqlOutbox(database.engine, "second")
    assert here.elsewhere() == {"first": 1} and there.elsewhere() == {"second": 1}
    claim = here.claim("w", now_ms=1, lease_ms=9)
    assert claim is not None and claim.effect.payload["text"] == "note k2", "nor waits behind it"
    assert here.claim("w", now_ms=1, lease_ms=9) is None
    assert here.finish(claim, FinalStatus.SUCCESS, at=AT, result=OK, duration_us=1, recovered=False)
    assert here.next_due_ms() is None and there.next_due_ms() == 0
    with database.bare() as connection, pytest.raises(Exception, match="never changes"):
        connection.execute("UPDATE effect SET destination = 'second' WHERE due_ms IS NOT NULL")


def test_whoever_wants_the_next_number_waits_for_one_trip_to_the_server(
    postgresql: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    """What follows the number goes off with the commit; the same for the ends that workers record."""
    ledger = SqlLedger(postgresql.engine)
    desk, outbox = desk_on(ledger), SqlOutbox(postgresql.engine)
    seen: list[tuple[str, bool]] = []

    def look(_c: Any, cursor: Any, statement: str, *_: Any) -> None:
        together = cursor.connection.pgconn.pipeline_status != psycopg.pq.PipelineStatus.OFF
        seen.append((" ".join(statement.split()[:3]), together))

    event.listen(postgresql.engine, "before_cursor_execute", look)
    desk.submit(approve())
    assert [what for what, together in seen if together] == [
        "INSERT INTO decision", "INSERT INTO request", "INSERT INTO effect", "INSERT INTO event",
    ]  # fmt: skip
    seen.clear()
    claim = outbox.claim("w", now_ms=1, lease_ms=9)
    assert claim and outbox.finish(
        claim, FinalStatus.SUCCESS, at=AT, result=OK, duration_us=1, recovered=False
    )
    assert [what for what, together in seen if together] == [
        "UPDATE effect SET", "INSERT INTO attempt", "INSERT INTO sync_event", "INSERT INTO event",
    ]  # fmt: skip
    assert [d["final"]["status"] for d in ledger.deliveries() if d["final"]] == ["SUCCESS"]


# A server that goes away


@pytest.fixture
def server(postgresql: Any) -> ModuleType:
    """How to interfere with the server."""
    found: ModuleType = postgresql.server
    return found


def test_wherever_the_connection_is_cut_the_press_is_one_decision(
    postgresql: Any, server: ModuleType, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    ledger = SqlLedger(postgresql.engine)
    desk = desk_on(ledger, *(str(n) for n in range(101, 130)))
    before = len(ledger.events())
    for place in range(1, 30):
        seen: list[str] = []

        def cut(_c: Any, _cursor: Any, statement: str, *_: Any, seen: Any = seen, place: int = place) -> None:
            seen.append(statement)
            if len(seen) == place:
                server.cut(server.name_of(postgresql.url))

        event.listen(postgresql.engine, "before_cursor_execute", cut)
        receipt = desk.submit(approve(f"k{place}", conversation=str(100 + place)))
        event.remove(postgresql.engine, "before_cursor_execute", cut)
        assert receipt.number == 100 + place, (place, seen[place - 1 : place])
        if len(seen) < place:
            break
    assert place > 12, "every statement of a press was cut once"
    assert len(ledger.events()) - before == len(ledger.decisions()) == place


@pytest.mark.parametrize("landed", [True, False], ids=["it was made", "it was not"])
@pytest.mark.parametrize("again", [1, 2], ids=["once", "twice"])
def test_a_commit_nobody_saw_the_end_of(
    postgresql: Any,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
    monkeypatch: pytest.MonkeyPatch,
    landed: bool,
    again: int,
) -> None:
    ledger = SqlLedger(postgresql.engine)
    desk = desk_on(ledger)
    failing = broken_commits(monkeypatch, postgresql.engine, [landed] * again)
    receipt = desk.submit(approve())
    assert (receipt.number, len(receipt.effects), receipt.refused) == (101, 2, "")
    assert sorted(ledger.deliveries(), key=lambda d: d["uid"])[0]["uid"] in receipt.effects
    assert len(ledger.decisions()) == 1 and failing == ([True] if landed and again == 2 else [])
    assert len(ledger.events(kind="reply.approved") or ledger.events(conversation="101")) <= 2


def test_an_end_nobody_saw_recorded_counts_once(
    postgresql: Any, desk_on: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, outbox = SqlLedger(postgresql.engine), SqlOutbox(postgresql.engine)
    desk = desk_on(ledger, "101", "102")
    for key in ("101", "102"):
        desk.submit(note(key, key))
    for landed in (True, False):
        claim = outbox.claim("w", now_ms=1, lease_ms=9)
        assert claim is not None
        broken_commits(monkeypatch, postgresql.engine, [landed])
        assert outbox.finish(claim, FinalStatus.SUCCESS, at=AT, result=OK, duration_us=1, recovered=False)
    assert [d["final"]["status"] for d in ledger.deliveries()] == ["SUCCESS"] * 2
    assert len(ledger.events(kind="effect.delivered")) == 2


def broken_commits(monkeypatch: pytest.MonkeyPatch, engine: Any, landed: list[bool]) -> list[bool]:
    """The next commits of a write are made, or not, and then the connection breaks."""
    left, real = list(landed), engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        raw = connection.dbapi_connection if hasattr(connection, "dbapi_connection") else connection
        writes = raw.execute("SHOW transaction_read_only").fetchone()[0] == "off"
        if not writes or not left:
            return real(connection)
        if left.pop(0):
            real(connection)
        raw.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(engine.dialect, "do_commit", do_commit)
    return left


def test_what_others_rolled_back_is_done_again(postgresql: Any, desk_on: Callable[..., Desk]) -> None:
    """Two who take two conversations' rows crosswise: the server ends one of them, who starts anew."""
    ledger = SqlLedger(postgresql.engine)
    desk = desk_on(ledger, "101", "102")
    gate = threading.Barrier(2)

    def crosswise() -> None:
        with postgresql.bare() as connection:
            connection.execute("SET deadlock_timeout = '60s'")
            connection.execute("BEGIN")
            connection.execute("UPDATE counter SET value = value")
            gate.wait(30)
            connection.execute("UPDATE conversation SET version = version")
            connection.execute("ROLLBACK")

    first: list[str] = []

    def meet(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE counter") and not first:
            first.append(statement)
            gate.wait(30)

    peer = threading.Thread(target=crosswise)
    event.listen(postgresql.engine, "before_cursor_execute", meet)
    peer.start()
    receipt = desk.submit(
        Request(
            action=Action.APPROVE_SEND,
            conversation="101",
            actor=ALEX,
            key="k",
            text="Hi Alex, it is on its way.",
        )
    )
    peer.join(30)
    assert receipt.number == 101 and first
    assert len(ledger.decisions()) == 1


def test_whoever_freezes_inside_a_transaction_is_let_go_of(
    postgresql: Any, desk_on: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = SqlLedger(postgresql.engine)
    desk = desk_on(ledger, "101")
    monkeypatch.setattr("cairnops.store.engine._BUSY_MS", 300)
    frozen = open_database(*postgresql.where)
    with pytest.raises(Interrupted), writing(frozen) as c:
        monkeypatch.undo()
        c.execute(t.counter.update().values(value=900))
        assert desk.submit(note("k", "101")).effects, "waits, and then goes on"
        c.execute(select(t.counter)).all()
    frozen.dispose()
    assert database_value(ledger) == 100


def database_value(ledger: SqlLedger) -> int:
    with reading(ledger.engine) as c:
        return int(c.execute(select(t.counter.c.value)).scalar_one())


def test_a_transaction_leaves_nothing_behind_on_its_connection(
    postgresql: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    """A pooler hands the next transaction to any connection: none may matter to what comes after it."""
    look = (
        "SELECT (SELECT count(*) FROM pg_prepared_statements), "
        "(SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'), "
        "(SELECT count(*) FROM pg_settings WHERE source = 'session' AND name !~ '^transaction'), "
        "(SELECT count(*) FROM pg_listening_channels())"
    )
    with reading(postgresql.engine) as c:
        before = c.exec_driver_sql(look).one()
    desk = desk_on(SqlLedger(postgresql.engine))
    for turn in range(12):
        desk.submit(note(f"k{turn}", "101"))
    desk.submit(approve())
    with reading(postgresql.engine) as c:
        assert c.exec_driver_sql(look).one() == before == (0, 0, before[2], 0)


@pytest.fixture
def alone(postgresql: Any) -> Iterator[tuple[ModuleType, Path, "subprocess.Popen[bytes]"]]:
    """A server of one's own, which keeps what it said it kept."""
    folder = Path(tempfile.mkdtemp(prefix="cairnops-pg-"))
    folder.chmod(0o755)
    module = postgresql.server
    process = module.start(folder, fsync="on", full_page_writes="on")
    try:
        yield module, folder, process
    finally:
        module.stop(folder)
        process.wait(30)
        shutil.rmtree(folder)


def test_a_server_that_is_killed_and_comes_back_loses_nothing_acknowledged(
    alone: Any,
    desk_on: Callable[..., Desk],
    approve: Callable[..., Request],
    case: Callable[..., Conversation],
) -> None:
    module, folder, process = alone
    ledger = SqlLedger(open_database(module.url(folder, "postgres"), Path()))
    desk = desk_on(ledger)
    acknowledged: list[int] = []
    halfway = threading.Event()

    def work() -> None:
        for turn in range(60):
            key = str(1000 + turn)
            desk.observe(case(key), ALEX)
            acknowledged.append(desk.submit(approve(f"k{key}", conversation=key)).number)
            if turn == 20:
                halfway.set()

    worker = threading.Thread(target=work)
    worker.start()
    assert halfway.wait(60)
    process.send_signal(signal.SIGQUIT)
    process.wait(30)
    back = module.start(folder, fsync="on", full_page_writes="on")
    worker.join(60)
    assert acknowledged == list(range(101, 161))
    assert [d["decisionId"] for d in ledger.decisions()] == acknowledged
    ledger.close()
    back.send_signal(signal.SIGQUIT)
    back.wait(30)


def test_a_server_that_stays_away_is_said_in_words(
    alone: Any, desk_on: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, folder, _ = alone
    ledger = SqlLedger(open_database(module.url(folder, "postgres", "postgres"), Path()))
    desk = desk_on(ledger)
    module.stop(folder)
    monkeypatch.setattr("cairnops.store.engine._WAITS", (0.01,))
    monkeypatch.setattr("cairnops.store.engine._PAUSES", (0.01,))
    with pytest.raises(WorkspaceError, match="went away") as caught:
        desk.submit(note("k", "101"))
    assert not isinstance(caught.value, Interrupted) and caught.value.hint
    with pytest.raises(WorkspaceError, match="cannot be used as a ledger") as caught:
        open_database(module.url(folder, "postgres"), Path())
    assert "DATABASE_URL" in caught.value.hint
    ledger.close()
