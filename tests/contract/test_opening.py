"""Opening a ledger: never half made, however many come first at once, and a clear no where there is none."""

import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import ModuleType

import pytest

from cairnops.errors import WorkspaceError
from cairnops.store import tables
from cairnops.store.engine import open_sqlite, writing

PROCESSES, ROUNDS = 8, 15


def _open_all(folder: str, gate: Barrier, rounds: int, said: "multiprocessing.Queue[str]") -> None:
    try:
        for number in range(rounds):
            gate.wait(60)
            engine = open_sqlite(Path(folder) / f"{number}.db")
            with writing(engine) as c:
                c.execute(tables.counter.update().values(value=tables.counter.c.value + 1))
            engine.dispose()
        said.put("ok")
    except BaseException as error:
        gate.abort()
        said.put(repr(error))
        raise


def test_eight_processes_open_a_fresh_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Streamlit's AppTest leaves its script behind as the main module, and a spawned process would run it.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    spawn = multiprocessing.get_context("spawn")
    gate, said = spawn.Barrier(PROCESSES), spawn.Queue()
    started = [
        spawn.Process(target=_open_all, args=(str(tmp_path), gate, ROUNDS, said)) for _ in range(PROCESSES)
    ]
    for process in started:
        process.start()
    answers = [said.get(timeout=150) for _ in started]
    for process in started:
        process.join(30)
        process.close()
    said.close()
    assert answers == ["ok"] * PROCESSES
    for number in range(ROUNDS):
        engine = open_sqlite(tmp_path / f"{number}.db")
        with engine.connect() as c:
            assert c.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
            assert c.exec_driver_sql("SELECT value FROM counter").scalars().all() == [100 + PROCESSES]
            assert c.exec_driver_sql("SELECT count(*) FROM meta").scalar_one() == 1
        engine.dispose()


def test_it_is_opened_durable_and_with_its_rules(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "a.db")
    for connection in (engine.connect(), engine.connect()):
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
        assert found == ["wal", 2, 1, 30_000]
        connection.close()
    engine.dispose()


@pytest.mark.parametrize("name", ["what?mode=memory", "a%20b", "c#d", "ü ñ", "file:x", "-", "a'b\"c"])
def test_a_folder_may_be_called_anything(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    open_sqlite(folder / "a.db").dispose()
    assert (folder / "a.db").stat().st_size > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


def text_file(path: Path) -> None:
    path.write_text("Dear diary, today I was no database at all. " * 40, encoding="utf-8")


def cut_off(path: Path) -> None:
    open_sqlite(path).dispose()
    path.write_bytes(path.read_bytes()[:5000])


def other_layout(said: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        open_sqlite(path).dispose()
        connection = sqlite3.connect(path)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (said,))
        connection.commit()
        connection.close()

    return make


def no_layout(path: Path) -> None:
    open_sqlite(path).dispose()
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM meta")
    connection.commit()
    connection.close()


def someone_elses(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.commit()
    connection.close()


def someone_elses_meta(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE meta (name TEXT)")
    connection.commit()
    connection.close()


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(text_file, "not a database", id="text"),
        pytest.param(cut_off, "malformed|disk image|not a database", id="cut off"),
        pytest.param(other_layout("99"), "layout 99", id="a newer layout"),
        pytest.param(other_layout("1"), "layout 1", id="an older layout"),
        pytest.param(no_layout, "layout None", id="no layout"),
        pytest.param(someone_elses, "something else.*customers", id="another program's"),
        pytest.param(someone_elses_meta, "something else.*meta", id="another program's meta"),
        pytest.param(folder, "unable to open", id="a folder"),
    ],
)
def test_what_is_no_ledger_is_refused_in_words_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "cairnops.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(WorkspaceError, match=says) as caught:
        open_sqlite(path)
    assert caught.value.hint
    assert str(path) in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="unable to open") as caught:
        open_sqlite(tmp_path / "nowhere" / "cairnops.db")
    assert "--workspace" in caught.value.hint


_OPEN = """
import os, sys
sys.path[:] = {path!r}
from cairnops.errors import WorkspaceError
from cairnops.store.engine import open_sqlite
from pathlib import Path
import sqlalchemy.dialects.sqlite
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    open_sqlite(Path(sys.argv[1]))
except WorkspaceError as error:
    print("REFUSED", error, "HINT", error.hint)
"""


@pytest.mark.parametrize("there", [pytest.param(False, id="new"), pytest.param(True, id="there")])
def test_a_folder_that_may_only_be_read(there: bool) -> None:
    """Played by somebody without rights, for whoever may do everything is refused nothing."""
    # Not pytest's own folder, which nobody else may enter.
    shelf = Path(tempfile.mkdtemp())
    try:
        if there:
            open_sqlite(shelf / "cairnops.db").dispose()
            with sqlite3.connect(shelf / "cairnops.db") as connection:
                connection.execute("UPDATE counter SET value = value")
            connection.close()
        for path in shelf.iterdir():
            path.chmod(0o444)
        shelf.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", _OPEN.format(path=sys.path), str(shelf / "cairnops.db")],
            capture_output=True, text=True, timeout=60, check=False, cwd="/",
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout.startswith("REFUSED"), done
        assert "HINT Check" in done.stdout
    finally:
        shelf.chmod(0o755)
        shutil.rmtree(shelf)
