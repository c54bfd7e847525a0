"""A file leaves whole under its name or not at all, and holds one JSON object a line."""

import hashlib
import json
import os
import select
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.errors import InputError
from cairnops.telemetry.reader import read_records
from cairnops.telemetry.writer import export_name, write_ndjson, write_whole

ROWS = [
    {"decisionId": 101, "status": "SUCCESS", "durationMs": 241.12},
    {"decisionId": 102, "note": "naïve ✓"},
]
BYTES = (
    b'{"decisionId":101,"status":"SUCCESS","durationMs":241.12}\n'
    b'{"decisionId":102,"note":"na\xc3\xafve \xe2\x9c\x93"}\n'
)


def test_rows_are_utf8_lf_one_a_line_in_key_order(tmp_path):
    target = tmp_path / "new folder" / "export.ndjson"
    written = write_ndjson(target, ROWS)
    assert target.read_bytes() == BYTES
    assert (written.path, written.records, written.bytes) == (target, 2, len(BYTES))
    assert written.sha256 == hashlib.sha256(BYTES).hexdigest()
    assert [p.name for p in target.parent.iterdir()] == ["export.ndjson"]


def test_no_rows_make_an_empty_file_not_a_missing_one(tmp_path):
    written = write_ndjson(tmp_path / "none.ndjson", [])
    assert (written.records, written.bytes, written.path.read_bytes()) == (0, 0, b"")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        pytest.param(
            {"metrics": {"durationMs": float("nan")}}, "metrics.durationMs is not a finite", id="nan"
        ),
        pytest.param({"d": [1, float("inf")]}, "d.1 is not a finite", id="infinity-in-a-list"),
        pytest.param(["decisionId", 1], "not an object but a list", id="array"),
        pytest.param("row", "not an object but a str", id="scalar"),
        pytest.param({"at": datetime(2025, 1, 1, tzinfo=UTC)}, "not JSON serializable", id="no-json-form"),
        pytest.param({"name": "\ud83d"}, "surrogate", id="lone-surrogate"),
    ],
)
def test_a_row_that_has_no_json_form_is_named_and_nothing_is_written(tmp_path, row, said):
    target = tmp_path / "export.ndjson"
    target.write_bytes(b"before\n")
    with pytest.raises(InputError, match=f"Row 3 .*{said}") as caught:
        write_ndjson(target, [*ROWS, row])
    assert caught.value.hint
    assert target.read_bytes() == b"before\n"
    assert [p.name for p in tmp_path.iterdir()] == ["export.ndjson"]


def test_rows_that_raise_leave_the_target_alone(tmp_path):
    def rows():
        yield ROWS[0]
        raise LookupError("the database went away")

    with pytest.raises(LookupError):
        write_ndjson(tmp_path / "export.ndjson", rows())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("char", ["\x85", "\u2028", "\u2029"])
def test_characters_some_readers_take_for_line_ends_are_escaped(tmp_path, char):
    written = write_ndjson(tmp_path / "x.ndjson", [{"text": f"a{char}b"}])
    text = written.path.read_text(encoding="utf-8")
    assert len(text.splitlines()) == 1
    assert json.loads(text) == {"text": f"a{char}b"}


# Rows of these keys alone are the database's error bodies, and the reader says so.
ERROR_KEYS = {"code", "message", "details", "hint"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(st.text(), JSON, max_size=4).filter(lambda row: not row.keys() <= ERROR_KEYS),
        max_size=6,
    )
)
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    written = write_ndjson(tmp_path_factory.mktemp("trip") / "x.ndjson", rows)
    back = read_records(written.path)
    assert back.records == rows
    assert back.problems == []
    assert (back.export.sha256, back.export.size) == (written.sha256, written.bytes)


def test_text_and_bytes_are_written_as_given(tmp_path):
    assert write_whole(tmp_path / "a.txt", "é\r\n").path.read_bytes() == b"\xc3\xa9\r\n"
    assert write_whole(tmp_path / "a.txt", b"\xff").path.read_bytes() == b"\xff"
    with pytest.raises(InputError, match="surrogate"):
        write_whole(tmp_path / "a.txt", "\udc00")


def test_permissions_are_kept_asked_for_or_the_usual(tmp_path):
    def mode(path):
        return stat.S_IMODE(path.stat().st_mode)

    usual = tmp_path / "usual"
    usual.touch()
    assert mode(write_whole(tmp_path / "new", b"").path) == mode(usual)
    key = write_whole(tmp_path / "key", b"secret", mode=0o600).path
    assert mode(key) == 0o600
    assert mode(write_whole(tmp_path / "shared", b"", mode=0o666).path) == 0o666
    write_whole(key, b"another")
    assert mode(key) == 0o600


@pytest.mark.parametrize(
    "name", [pytest.param("folder", id="folder"), pytest.param("file/below", id="below-a-file")]
)
def test_a_target_that_cannot_be_written_is_said_in_words(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write") as caught:
        write_ndjson(tmp_path / name, ROWS)
    assert str(tmp_path) in caught.value.hint
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]


# A process that writes 50 rows and dies by SIGKILL at the step named on its command line.
DIES_AT = """
import os, signal, sys
from pathlib import Path
from cairnops.telemetry.writer import write_ndjson

target, step = Path(sys.argv[1]), sys.argv[2]
die = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)

def rows():
    for n in range(50):
        if step == "mid-rows" and n == 25:
            die()
        yield {"n": n, "pad": "x" * 4000}
    if step == "before-flush":
        os.fsync = die

flushed = os.fsync
def flush_then_die(fd):
    flushed(fd)
    die()

if step == "before-rename":
    os.fsync = flush_then_die
if step == "after-rename":
    renamed = Path.replace
    def rename_then_die(self, to):
        renamed(self, to)
        die()
    Path.replace = rename_then_die
write_ndjson(target, rows())
"""


@pytest.mark.parametrize("step", ["mid-rows", "before-flush", "before-rename", "after-rename"])
@pytest.mark.parametrize("before", [None, b'{"old":1}\n'], ids=["new", "replacing"])
def test_killed_at_any_step_the_name_holds_the_old_file_or_the_new_one(tmp_path, step, before):
    target = tmp_path / "export.ndjson"
    if before is not None:
        target.write_bytes(before)
    done = subprocess.run([sys.executable, "-c", DIES_AT, target, step], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    if step == "after-rename":
        assert len(read_records(target).records) == 50
    else:
        assert (target.read_bytes() if target.exists() else None) == before
    # What a glob over exports sees is whole.
    assert [p.name for p in tmp_path.glob("*.ndjson")] == (["export.ndjson"] if target.exists() else [])


def test_killed_from_outside_while_rows_are_coming_leaves_nothing(tmp_path):
    target = tmp_path / "export.ndjson"
    endless = (
        "import itertools, sys\n"
        "from cairnops.telemetry.writer import write_ndjson\n"
        "def rows():\n"
        "    for n in itertools.count():\n"
        "        if n == 1000: print('going', flush=True)\n"
        "        yield {'n': n}\n"
        "write_ndjson(sys.argv[1], rows())\n"
    )
    with subprocess.Popen([sys.executable, "-c", endless, target], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert select.select([process.stdout], [], [], 60)[0], "the writer never got going"
            assert process.stdout.readline() == b"going\n"
        finally:
            process.kill()
        process.wait(timeout=30)
    assert not target.exists()
    assert all(p.name.startswith(".") for p in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("at", "name"),
    [
        pytest.param(
            datetime(2025, 10, 16, 17, tzinfo=UTC), "decision_export_2025-10-16T17-00-00Z.ndjson", id="utc"
        ),
        pytest.param(
            datetime(2025, 10, 16, 23, 30, 5, 999_999, tzinfo=timezone(timedelta(hours=-6))),
            "decision_export_2025-10-17T05-30-05Z.ndjson",
            id="other-zone-and-fraction",
        ),
    ],
)
def test_an_export_is_named_by_the_utc_second(at, name):
    assert export_name("decision_export", at) == name


def test_an_export_needs_a_zone_and_a_harmless_prefix():
    with pytest.raises(ValueError, match="zone"):
        export_name("decision_export", datetime(2025, 10, 16))  # noqa: DTZ001
    for prefix in ("", "../decision", "a b", ".hidden"):
        with pytest.raises(InputError):
            export_name(prefix, datetime(2025, 10, 16, tzinfo=UTC))


def test_reader_and_writer_import_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules)\n"
        "import cairnops.telemetry.writer, cairnops.telemetry.reader, cairnops.analytics.summary\n"
        "tops = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(t for t in tops if t not in sys.stdlib_module_names and t != 'cairnops'))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=env
    )
    assert done.stdout == "[]\n"


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old", encoding="utf-8")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text(encoding="utf-8") == "new"


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no file"):
        write_whole(tmp_path / "pipe", "x")
    assert not (tmp_path / "pipe").is_file() and (tmp_path / "pipe").exists()
