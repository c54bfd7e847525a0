"""A database made by any cairnops before gets today's layout, and is as if it had been made today."""

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine, select

from cairnops.desk.desk import Desk
from cairnops.domain.requests import Request
from cairnops.errors import WorkspaceError
from cairnops.store import migrations
from cairnops.store import tables as t
from cairnops.store.engine import open_database, reading, writing
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox

OLDER = range(1, t.SCHEMA_VERSION)


def _steps() -> ModuleType:
    spec = importlib.util.spec_from_file_location("steps", Path(__file__).with_name("steps.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


steps = _steps()


def made(database: Any, version: int) -> Engine:
    """The database as a cairnops of that layout made it; today's is gone."""
    with database.bare() as connection:
        for statement in database.wipe(connection):
            connection.execute(statement)
        for statement in steps.until(version, database.kind):
            connection.execute(statement)
        connection.execute(f"UPDATE meta SET value = '{version}' WHERE key = 'schema'")
    return open_database(*database.where, any_layout=True)


@pytest.fixture
def older(database: Any) -> Any:
    """A database of the first layout."""
    engine = made(database, 1)
    yield engine
    engine.dispose()


def description(engine: Engine) -> dict[str, str]:
    with reading(engine) as c:
        return dict(migrations.described(c))


@pytest.mark.parametrize("version", OLDER)
def test_an_upgraded_database_is_as_one_made_today(database: Any, version: int) -> None:
    today = description(database.engine)
    assert len(today) > 300
    engine = made(database, version)
    assert description(engine) != today
    assert migrations.differences(engine)
    assert migrations.upgrade(engine, "") == list(range(version + 1, t.SCHEMA_VERSION + 1))
    assert description(engine) == today
    assert migrations.differences(engine) == []
    assert migrations.upgrade(engine, "") == []
    engine.dispose()
    open_database(*database.where).dispose()


def test_the_newest_step_is_what_the_tables_ask_for() -> None:
    """Run `python -m tests.contract.steps` when this is red and the step has not been released."""
    for dialect in steps.DIALECTS:
        written = migrations.statements(t.SCHEMA_VERSION, dialect)
        assert set(map(steps._tidy, steps.step(dialect))) <= set(written), dialect


def test_an_older_database_is_refused_with_the_command_that_mends_it(database: Any, older: Engine) -> None:
    with pytest.raises(WorkspaceError, match=f"layout 1, this cairnops needs {t.SCHEMA_VERSION}") as refused:
        open_database(*database.where)
    assert "cairnops db upgrade" in refused.value.hint
    with reading(older) as c:
        assert c.exec_driver_sql("SELECT value FROM meta").scalars().all() == ["1"]


@pytest.mark.parametrize("said", ["99", "0", "two", ""])
def test_a_layout_nobody_knows_is_left_alone(database: Any, said: str) -> None:
    with database.bare() as connection:
        connection.execute(f"UPDATE meta SET value = '{said}' WHERE key = 'schema'")
    before = description(database.engine)
    with pytest.raises(WorkspaceError, match="layout"):
        migrations.upgrade(database.engine, "")
    assert description(database.engine) == before


def test_a_step_that_fails_leaves_the_database_as_it_was(
    database: Any, older: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = description(older)
    real = migrations.statements

    def broken(version: int, dialect: str) -> list[str]:
        return [*real(version, dialect), "INSERT INTO nowhere VALUES (1)"]

    monkeypatch.setattr(migrations, "statements", broken)
    with pytest.raises(Exception, match="nowhere"):
        migrations.upgrade(older, "")
    monkeypatch.undo()
    assert description(older) == before
    assert migrations.upgrade(older, "")


def test_two_who_upgrade_at_once_do_it_once(database: Any, older: Engine) -> None:
    done: list[list[int]] = []
    peers = [threading.Thread(target=lambda: done.append(migrations.upgrade(older, ""))) for _ in range(4)]
    for peer in peers:
        peer.start()
    for peer in peers:
        peer.join(30)
    assert sorted(done) == [[], [], [], list(range(2, t.SCHEMA_VERSION + 1))]


def test_what_was_left_to_deliver_is_for_the_help_desk_in_use(database: Any, older: Engine) -> None:
    row = {
        "run_key": "r", "decision_uid": "d", "number": 1, "conversation_id": "101", "session": "",
        "kind": "note", "payload": "{}", "attempt": 0, "looks": 0, "last_error": "", "owner": "",
    }  # fmt: skip
    with writing(older) as c:
        for uid, state, due in (("ended", "success", None), ("left", "ready", 0)):
            c.exec_driver_sql(
                f"INSERT INTO effect (uid, state, due_ms, {', '.join(row)}) VALUES ('{uid}', '{state}', "
                f"{'NULL' if due is None else due}, "
                f"{', '.join(repr(v) for v in (row | {'run_key': uid}).values())})"
            )
    migrations.upgrade(older, "chatwoot here")
    with reading(older) as c:
        found = dict(c.execute(select(t.effect.c.uid, t.effect.c.destination)).all())
    assert found == {"ended": "", "left": "chatwoot here"}
    assert SqlOutbox(older, "chatwoot here").claim("w", now_ms=1, lease_ms=1) is not None


def test_an_upgraded_ledger_goes_on(
    database: Any, older: Engine, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    migrations.upgrade(older, "")
    assert desk_on(SqlLedger(older)).submit(approve()).number == 101


def test_a_backup_is_made_beside_it_and_is_whole(tmp_path: Path) -> None:
    engine = open_database("", tmp_path / "cairnops.db")
    with writing(engine) as c:
        c.exec_driver_sql("UPDATE counter SET value = 7")
        copy = migrations.backup(engine, "20260101T000000Z")
    engine.dispose()
    assert copy == f"{tmp_path / 'cairnops.db'}.layout-{t.SCHEMA_VERSION}.20260101T000000Z"
    kept = open_database("", Path(copy))
    with reading(kept) as c:
        assert c.execute(select(t.counter.c.value)).scalars().all() == [100], (
            "what was not committed is not in it"
        )
    assert migrations.differences(kept) == []
    kept.dispose()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param("DROP TABLE claim", "table claim is missing", id="a table gone"),
        pytest.param(
            "ALTER TABLE draft ADD COLUMN more TEXT", "column draft.more is not part", id="one column more"
        ),
        pytest.param("DROP INDEX effect_turn", "index effect_turn is missing", id="an index gone"),
        pytest.param("{trigger}", "trigger decision_no_update", id="a trigger gone"),
    ],
)
def test_what_is_not_as_it_should_be_is_named(database: Any, change: str, said: str) -> None:
    assert migrations.differences(database.engine) == []
    with database.bare() as connection:
        connection.execute(change.format(trigger=database.disarm))
    assert any(line.startswith(said) for line in migrations.differences(database.engine))
