"""The mirror over REST, against Supabase Lite with our migrations, by the `supabase` client the product uses."""

import importlib.util
import json
import re
import shutil
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from postgrest import APIError
from sqlalchemy import insert, select

from cairnops import codec
from cairnops.cli import supabase
from cairnops.connectors.supabase import PAGE, PATIENCE, PAUSES, Duplicate, Project
from cairnops.domain.decisions import uid_of
from cairnops.errors import RemoteError
from cairnops.evidence import mirror
from cairnops.store import tables as t
from cairnops.store.engine import open_database, reading, writing
from cairnops.store.mirror import MIRRORED, SqlMirrored

NAMES = [m.name for m in MIRRORED]


def _beside(name: str, file: str) -> ModuleType:
    """The module beside this one: under import-mode importlib, tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(file))
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lite = _beside("supabase_lite", "supabase_lite.py")
shared = _beside("mirror_conftest", "conftest.py")
Answer = lite.Answer


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    # Beside the folders of all workers of one run, or in the only one.
    return lite.template(base.parent if base.name.startswith("popen-") else base)


@pytest.fixture
def fresh(_template: Path, tmp_path: Path) -> Iterator[str]:
    """A project of one's own."""
    with lite.project(_template, tmp_path / "project") as url:
        yield url


@pytest.fixture(scope="module")
def _mirrored(
    _template: Path, _played: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """A sealed workspace and the project it was pushed to; whoever changes either makes a copy."""
    root = tmp_path_factory.mktemp("mirrored")
    shutil.copytree(_played, root / "w")
    assert shared.child("ledger", "seal", "-w", root / "w").code == 0
    with lite.project(_template, root / "project") as url:
        done = shared.child(
            "supabase", "push", "-w", root / "w", SUPABASE_URL=url, SUPABASE_SERVICE_KEY=lite.SERVICE
        )
        assert done.code == 0, done.err
        yield url, root / "w"


@pytest.fixture
def mirrored(_mirrored: tuple[str, Path], tmp_path: Path, at: Callable[[str], None]) -> tuple[str, Path]:
    """The project, set in the environment, and a copy of the workspace."""
    url, root = _mirrored
    at(url)
    shutil.copytree(root, tmp_path / "w")
    return url, tmp_path / "w"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the environment for the project at an address."""

    def set_(url: str) -> None:
        monkeypatch.setenv("SUPABASE_URL", url)
        monkeypatch.setenv("SUPABASE_SERVICE_KEY", lite.SERVICE)
        monkeypatch.setenv("SUPABASE_ANON_KEY", lite.ANON)

    return set_


@pytest.fixture
def waits() -> list[float]:
    """What was slept."""
    return []


def project(url: str, waits: list[float], key: str = lite.SERVICE) -> Project:
    return Project(url, key, sleep=waits.append)


def ledger(root: Path) -> SqlMirrored:
    return SqlMirrored(open_database("", root / "cairnops.db"))


def doctor(cli: Any, root: Path) -> dict[str, dict[str, str]]:
    done = cli("doctor", "--json", "-w", root)
    assert lite.SERVICE not in done.out + done.err and lite.ANON not in done.out + done.err
    found = {line["what"]: line for line in json.loads(done.out)}
    assert done.code == ("blocked" in {line["state"] for line in found.values()})
    return found


def every(url: str, table: str) -> list[dict[str, Any]]:
    """All rows there, in the order of their key."""
    m = next(m for m in MIRRORED if m.name == table)
    columns = [*m.key, *(c.name for c in m.table.c if c.name not in m.key)]
    with Project(url, lite.SERVICE) as there:
        return list(there.pages(table, columns, tie=m.key[1] if len(m.key) > 1 else ""))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# Push


def test_every_row_is_there_once_and_the_same(mirrored: tuple[str, Path], cli: Any) -> None:
    url, root = mirrored
    with reading(open_database("", root / "cairnops.db")) as c:
        for m in MIRRORED:
            here = [dict(row._mapping) for row in c.execute(select(m.table))]
            assert here, m.name
            key = lambda row: tuple(row[name] for name in m.key)  # noqa: B023, E731
            assert sorted(every(url, m.name), key=key) == sorted(here, key=key), m.name


def test_a_second_push_sends_nothing(mirrored: tuple[str, Path], cli: Any) -> None:
    url, root = mirrored
    done = cli("supabase", "push", "--json", "-w", root)
    told = json.loads(done.out)
    assert (done.code, told["project"], [s["table"] for s in told["tables"]]) == (0, url, NAMES)
    assert all(s["sent"] == 0 and s["there"] == s["here"] > 0 for s in told["tables"])


def test_only_what_ended_is_sent_and_what_ends_later_is_sent_then(
    fresh: str, played: Path, waits: list[float]
) -> None:
    with closing(sqlite3.connect(played / "cairnops.db")) as c:
        uids = [uid for (uid,) in c.execute("SELECT uid FROM effect ORDER BY seq")]
        late = uids[1]
        c.execute("DROP TRIGGER sync_event_no_delete")
        final = c.execute("SELECT * FROM sync_event WHERE effect_uid = ?", (late,)).fetchone()
        c.execute("DELETE FROM sync_event WHERE effect_uid = ?", (late,))
        c.commit()
        with project(fresh, waits) as there:
            first = {s.table: s.sent for s in mirror.push(there, ledger(played))}
        assert (first["effect"], first["sync_event"]) == (len(uids) - 1, len(uids) - 1)
        c.execute(f"INSERT INTO sync_event VALUES ({','.join('?' * len(final))})", final)
        c.commit()
    with project(fresh, waits) as there:
        # Behind rows that are there already: the highest number alone would not tell.
        second = {s.table: s.sent for s in mirror.push(there, ledger(played))}
    assert (second["decision"], second["effect"], second["sync_event"]) == (0, 1, 1)
    assert [row["uid"] for row in every(fresh, "effect")] == uids
    assert waits == []


@pytest.fixture(scope="module")
def large(_played: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with 2,100 decisions more, each delivered and sealed; an attempt more for every third."""
    root = tmp_path_factory.mktemp("large") / "w"
    shutil.copytree(_played, root)
    engine = open_database("", root / "cairnops.db")
    start = datetime(2025, 11, 1, 8, tzinfo=UTC)
    with reading(engine) as c:
        model = dict(c.execute(select(t.decision).where(t.decision.c.number == 102)).one()._mapping)
        effect = dict(c.execute(select(t.effect).order_by(t.effect.c.seq).limit(1)).one()._mapping)
    rows: dict[str, list[dict[str, Any]]] = {"decision": [], "effect": [], "attempt": [], "sync_event": []}
    for n in range(2100):
        at = start + timedelta(seconds=n)
        stamp, uid, of = codec.stamp(at), uid_of(at, "decision", str(n)), uid_of(at, "effect", str(n))
        record = {
            **json.loads(model["body"]),
            "uid": uid,
            "decisionId": 1000 + n,
            "requestKey": f"k{n}",
            "createdAt": stamp,
        }
        body = codec.canonical(record)
        told = {"uid": uid, "number": 1000 + n, "request_key": f"k{n}", "at": stamp, "body": body}
        rows["decision"].append({**model, **told, "leaf_hash": codec.leaf_hash(body)})
        told = {
            "seq": 1000 + n,
            "uid": of,
            "run_key": f"cairnops-{of}",
            "decision_uid": uid,
            "number": 1000 + n,
        }
        rows["effect"].append({**effect, **told})
        for attempt in range(1, 3 if n % 3 == 0 else 2):
            one = {
                "effect_uid": of,
                "attempt": attempt,
                "at": stamp,
                "answer": "ok",
                "error_code": "",
                "duration_us": 1000,
            }
            rows["attempt"].append(one)
        final = {
            "effect_uid": of,
            "status": "SUCCESS",
            "attempt": attempt,
            "error_code": "",
            "recovered": 0,
            "at": stamp,
        }
        rows["sync_event"].append({**final, "duration_us": 12_345 + n})
    with writing(engine) as c:
        for name, many in rows.items():
            c.execute(insert(t.metadata.tables[name]), many)
        c.execute(t.counter.update().where(t.counter.c.name == "decision").values(value=3099))
    engine.dispose()
    assert shared.child("ledger", "seal", "-w", root).code == 0
    return root


def test_two_thousand_rows_go_through_cuts_and_a_stop_and_are_there_once(
    fresh: str, large: Path, waits: list[float], cli: Any, at: Callable[[str], None], tmp_path: Path
) -> None:
    """The second insert is heard and its answer lost; the sixth is where the network ends; two resume at once."""
    inserts: Counter[str] = Counter()
    landed: list[tuple[str, int]] = []

    def judge(asked: Any) -> Any:
        if asked.method != "POST":
            return None
        inserts["all"] += 1
        landed.append((asked.table, len(json.loads(asked.body))))
        if inserts["all"] == 3:
            return Answer(cut=True)
        return Answer(503, body=b"no healthy upstream") if inserts["all"] >= 7 else None

    with (
        lite.before(fresh, judge) as url,
        project(url, waits) as there,
        pytest.raises(RemoteError) as stopped,
    ):
        mirror.push(there, ledger(large))
    assert "503" in str(stopped.value) and "not sent twice" in stopped.value.hint
    assert waits == [PAUSES[0], *PAUSES], "once after the cut, and four times before giving up"
    assert landed[2] == landed[3] == ("decision", mirror.BATCH), (
        "the batch whose answer was lost went out again"
    )
    decisions = every(fresh, "decision")
    assert len(decisions) == len({row["uid"] for row in decisions}) == 4 * mirror.BATCH

    done: list[Any] = []

    def resume() -> None:
        with project(fresh, waits) as there:
            done.append({s.table: (s.there, s.sent, s.here) for s in mirror.push(there, ledger(large))})

    two = [threading.Thread(target=resume) for _ in range(2)]
    for one in two:
        one.start()
    for one in two:
        one.join()
    assert len(done) == 2
    assert all(told["decision"][2] == 2107 and told["decision"][0] >= 4 * mirror.BATCH for told in done)
    outlines = ledger(large).outlines()
    with project(fresh, waits) as there:
        compared, _ = mirror.compare(there, ledger(large))
    assert {c.table: c.there for c in compared} == {name: len(rows) for name, rows in outlines.items()}
    assert all(sum(c.counts.values()) == 0 for c in compared)

    # In pages: more rows than one answer holds, and a project that gives fewer than it was asked for.
    at(fresh)
    for shape in ("decisions", "sync-events"):
        pulled, exported = tmp_path / "pulled.ndjson", tmp_path / "exported.ndjson"
        assert cli("supabase", "pull", "--shape", shape, "-o", pulled).code == 0
        assert cli("decisions", "export", "--shape", shape, "-o", exported, "-w", large).code == 0
        assert len(lines(pulled)) > 2 * PAGE
        assert sorted(lines(pulled), key=lambda r: r["uid"]) == sorted(
            lines(exported), key=lambda r: r["uid"]
        )
    # What the project gives is proved with nothing but the checkpoint and the key kept here.
    assert cli("supabase", "pull", "-o", tmp_path / "log.ndjson").code == 0
    note = json.loads(cli("ledger", "checkpoint", "--json", "-w", large).out)["note"]
    (tmp_path / "checkpoint.txt").write_text(note, encoding="utf-8")
    proved = cli("ledger", "verify", tmp_path / "log.ndjson", "--key", large / "keys" / "ledger.pub")
    assert proved.code == 0, proved.out

    def stingy(asked: Any) -> None:
        asked.path = asked.path.replace(f"limit={PAGE}", "limit=300")

    with lite.before(fresh, stingy) as url, project(url, waits) as there:
        assert len(list(mirror.decisions(there, []))) == 2107


def test_another_ledger_is_refused_and_nothing_of_it_is_sent(
    mirrored: tuple[str, Path], cli: Any, tmp_path: Path
) -> None:
    url, _ = mirrored
    before = every(url, "decision")
    assert cli("dryrun", "run", "B", "-s", "other", "-w", tmp_path / "other").code == 0
    done = cli("supabase", "push", "-w", tmp_path / "other")
    assert (done.code, done.out) == (2, "")
    assert "does not have" in done.err and "cairnops supabase status" in done.err
    assert every(url, "decision") == before


def test_a_row_of_somebody_elses_number_is_told(mirrored: tuple[str, Path], waits: list[float]) -> None:
    url, _ = mirrored
    row = {**every(url, "decision")[0], "uid": "01OTHER", "request_key": "other"}
    with project(url, waits) as there, pytest.raises(Duplicate, match="Key \\(number\\)") as refused:
        there.add("decision", [row], ("uid",))
    assert "a project of its own" in refused.value.hint


def test_what_retention_removed_is_not_sent_again(
    fresh: str, played: Path, at: Callable[[str], None], cli: Any
) -> None:
    at(fresh)
    assert cli("ledger", "seal", "-w", played).code == 0
    assert cli("supabase", "push", "-w", played).code == 0
    with Project(fresh, lite.SERVICE) as there:
        limit = every(fresh, "decision")[4]["at"]
        told = there.retain("decisions", limit, "365 days")
        assert there.removed_until() == limit
        removed = there.removed()
    left = [row["number"] for row in every(fresh, "decision")]
    assert sorted(n for n, uid, at in removed if uid and at) == sorted(set(range(101, 108)) - set(left))
    assert told["decision"] > 0 and len(left) == 7 - told["decision"]
    sent = json.loads(cli("supabase", "push", "--json", "-w", played).out)["tables"]
    assert {s["table"]: s["sent"] for s in sent} == dict.fromkeys(NAMES, 0)
    assert [row["number"] for row in every(fresh, "decision")] == left
    done = cli("supabase", "status", "-w", played)
    assert done.code == 0 and "is left alone" in done.out


def test_what_was_removed_here_goes_there_too(
    fresh: str, played: Path, at: Callable[[str], None], cli: Any
) -> None:
    at(fresh)
    for command in (["ledger", "seal"], ["supabase", "push"]):
        assert cli(*command, "-w", played).code == 0
    assert cli("supabase", "retain", "-w", played).code == 2, "nothing was removed here yet"
    applied = cli("retention", "apply", "--yes", "--as", "ada@shop.example:admin", "-w", played)
    assert applied.code == 0 and "cairnops supabase retain" in applied.err
    behind = cli("supabase", "status", "-w", played)
    assert behind.code == 1 and "removed here and not there" in behind.out
    told = json.loads(cli("supabase", "retain", "--json", "-w", played).out)
    assert told["removed"]["decision"] == 6 == 7 - len(every(fresh, "decision"))
    assert cli("supabase", "push", "-w", played).code == 0
    status = cli("supabase", "status", "--json", "-w", played)
    assert status.code == 0, status.out
    assert json.loads(status.out)["removedUntil"] == json.loads(status.out)["removedHereUntil"]


# Status


def test_status_agrees_and_anon_is_refused(mirrored: tuple[str, Path], cli: Any) -> None:
    _, root = mirrored
    done = cli("supabase", "status", "--json", "-w", root)
    told = json.loads(done.out)
    assert done.code == 0
    assert told["anon"] == {"checked": [*NAMES, "decision_sync_events", "meta"], "readable": []}
    assert [c["table"] for c in told["tables"]] == NAMES
    assert all(c["here"] == c["there"] > 0 and c["newestHere"] == c["newestThere"] for c in told["tables"])
    table = cli("supabase", "status", "-w", root, columns=200)
    assert "refused wherever there are rows" in table.out and table.code == 0


def test_status_tells_what_is_missing_what_is_extra_and_what_differs(
    mirrored: tuple[str, Path], cli: Any
) -> None:
    _, root = mirrored
    with closing(sqlite3.connect(root / "cairnops.db")) as c:
        for trigger in ("decision_no_update", "seal_no_delete"):
            c.execute(f"DROP TRIGGER {trigger}")
        c.execute("UPDATE decision SET leaf_hash = 'ff' WHERE number = 104")
        c.execute("UPDATE decision SET number = 150 WHERE number = 107")
        c.execute("DELETE FROM seal WHERE log_index = 2")
        c.commit()
    done = cli("supabase", "status", "--json", "-w", root)
    assert done.code == 1
    told = {c["table"]: c for c in json.loads(done.out)["tables"]}
    found = {k: told["decision"][k] for k in ("missing", "extra", "differing", "newestHere", "newestThere")}
    assert found == {
        "missing": ["150"], "extra": ["107"], "differing": ["104"], "newestHere": "150", "newestThere": "107",
    }  # fmt: skip
    assert told["seal"]["extra"] == ["2"]
    shown = cli("supabase", "status", "-w", root)
    assert "decision differing: 104" in shown.out and "supabase push sends" in shown.out


def test_the_doctor_asks_the_project(
    mirrored: tuple[str, Path], cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, root = mirrored
    ready = doctor(cli, root)
    assert "has our tables (layout 2)" in ready["Supabase"]["detail"]
    assert "anon is refused all 9 tables" in ready["row-level security"]["detail"]
    monkeypatch.setenv("SUPABASE_ANON_KEY", lite.SERVICE)
    open_to_all = doctor(cli, root)["row-level security"]
    assert open_to_all["state"] == "blocked" and "reads ledger_key, decision" in open_to_all["detail"]
    monkeypatch.delenv("SUPABASE_ANON_KEY")
    assert doctor(cli, root)["row-level security"]["state"] == "not checked"
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", lite.ANON)
    assert doctor(cli, root)["Supabase"]["state"] == "blocked"


def test_anon_reading_something_is_a_finding(
    mirrored: tuple[str, Path], cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, root = mirrored
    monkeypatch.setenv("SUPABASE_ANON_KEY", lite.SERVICE)
    done = cli("supabase", "status", "--json", "-w", root)
    readable = json.loads(done.out)["anon"]["readable"]
    assert (done.code, readable) == (1, [*NAMES, "decision_sync_events", "meta"])
    monkeypatch.setenv("SUPABASE_ANON_KEY", "sb_publishable_wrong")
    done = cli("supabase", "status", "-w", root)
    assert (done.code, done.out) == (2, "") and "SUPABASE_ANON_KEY" in done.err
    monkeypatch.delenv("SUPABASE_ANON_KEY")
    done = cli("supabase", "status", "-w", root, columns=200)
    assert done.code == 0 and "not checked: set SUPABASE_ANON_KEY" in done.out


# Who may do what


@pytest.mark.parametrize("table", NAMES)
def test_the_service_changes_and_removes_nothing(mirrored: tuple[str, Path], table: str) -> None:
    url, _ = mirrored
    there = every(url, table)
    column, value = next((c, v) for c, v in there[0].items() if isinstance(v, str))
    with Project(url, lite.SERVICE) as project:
        rows = project._client.table(table)
        for attack in (
            rows.update({column: "x"}).eq(column, value),
            rows.delete().eq(column, value),
            rows.upsert({**there[0], column: "x"}),
        ):
            with pytest.raises(APIError):
                attack.execute()
    assert every(url, table) == there


def test_anon_adds_and_reads_nothing(mirrored: tuple[str, Path], waits: list[float]) -> None:
    url, _ = mirrored
    with project(url, waits, lite.ANON) as anon:
        assert anon.readable([*NAMES, *mirror.GUARDED]) == []
        row = {**every(url, "decision")[0], "uid": "01ANON", "number": 9999, "request_key": "anon"}
        with pytest.raises(RemoteError, match="may not do this") as refused:
            anon.add("decision", [row], ("uid",))
        assert "SUPABASE_SERVICE_KEY" in refused.value.hint
        with pytest.raises(RemoteError, match="opens nothing"):
            mirror.push(anon, ledger(mirrored[1]))
    assert len(every(url, "decision")) == 7


# Pull, and holding a worksheet against it


@pytest.mark.parametrize("shape", ["decisions", "sync-events"])
def test_what_is_pulled_is_what_is_exported(
    mirrored: tuple[str, Path], shape: str, cli: Any, tmp_path: Path
) -> None:
    _, root = mirrored
    assert cli("decisions", "export", "--shape", shape, "-o", tmp_path / "here", "-w", root).code == 0
    done = cli("supabase", "pull", "--shape", shape, "-o", tmp_path / "there", "--json")
    assert (done.code, json.loads(done.out)["rows"]) == (0, len(lines(tmp_path / "here")))
    if shape == "decisions":
        assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    else:
        key = lambda row: row["uid"]  # noqa: E731
        assert sorted(lines(tmp_path / "there"), key=key) == sorted(lines(tmp_path / "here"), key=key)
    to_stdout = cli("supabase", "pull", "--shape", shape, "-o", "-")
    assert to_stdout.out == (tmp_path / "there").read_text(encoding="utf-8")
    named = cli("supabase", "pull", "--shape", shape, "-w", root)
    assert Path(named.out.strip()).read_bytes() == (tmp_path / "there").read_bytes()


ERROR = (
    b'{"code":"57014","details":null,"hint":null,"message":"canceling statement due to statement timeout"}'
)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(Answer(500, body=ERROR), "statement timeout", id="an error"),
        pytest.param(Answer(200, body=ERROR), "not rows", id="an error that calls itself a success"),
        pytest.param(Answer(200, body=b"<html>maintenance</html>"), "not rows", id="a page"),
        pytest.param(
            Answer(200, body=b'[{"code":"42703","message":"no"}]'), "not rows", id="an error in a list"
        ),
        pytest.param(Answer(200, body=b'[{"number":1}'), "not rows", id="half an answer"),
    ],
)
def test_an_error_is_never_an_export(
    mirrored: tuple[str, Path], answer: Any, said: str, cli: Any, at: Callable[[str], None], tmp_path: Path
) -> None:
    pages: Counter[str] = Counter()

    def judge(asked: Any) -> Any:
        asked.path = asked.path.replace(f"limit={PAGE}", "limit=3")
        if asked.table == "decision":
            pages["n"] += 1
        return answer if asked.table == "decision" and pages["n"] == 2 else None

    kept = tmp_path / "export.ndjson"
    kept.write_text("what was there\n", encoding="utf-8")
    with lite.before(mirrored[0], judge) as url:
        at(url)
        done = cli("supabase", "pull", "-o", kept)
        pages.clear()
        sheet = tmp_path / "w" / "artifacts" / "cx-escalations" / "worksheet.md"
        held = cli("reconcile", sheet, "--against", "supabase")
    for one in (done, held):
        assert (one.code, one.out) == (2, "") and said in one.err
    assert kept.read_text(encoding="utf-8") == "what was there\n"


def test_nothing_there_is_an_empty_export_and_no_error(
    mirrored: tuple[str, Path], cli: Any, at: Callable[[str], None], tmp_path: Path
) -> None:
    with lite.before(mirrored[0], lambda a: Answer(200, body=b"[]") if a.table != "meta" else None) as url:
        at(url)
        done = cli("supabase", "pull", "-o", tmp_path / "none.ndjson")
    assert done.code == 0 and "wrote 0 rows" in done.err
    assert (tmp_path / "none.ndjson").read_bytes() == b""


def test_a_text_that_is_not_the_one_that_was_hashed_is_told(
    mirrored: tuple[str, Path], cli: Any, at: Callable[[str], None], tmp_path: Path
) -> None:
    rows = [{k: r[k] for k in ("number", "uid", "body", "leaf_hash")} for r in every(mirrored[0], "decision")]
    rows[3]["body"] = rows[3]["body"].replace("chatwoot:", "chatwood:")
    asked: Counter[str] = Counter()

    def judge(request: Any) -> Any:
        asked[request.table] += request.table == "decision"
        return Answer(200, body=json.dumps(rows).encode()) if asked[request.table] == 1 else None

    with lite.before(mirrored[0], judge) as url:
        at(url)
        done = cli("supabase", "pull", "-o", tmp_path / "log.ndjson", "--json")
        assert (done.code, json.loads(done.out)["wrongHash"]) == (1, [104])
        asked.clear()
        sheet = tmp_path / "w" / "artifacts" / "cx-escalations" / "worksheet.md"
        assert "the text that was hashed: 1 decision" in cli("reconcile", sheet, "--against", "supabase").err
    assert lines(tmp_path / "log.ndjson")[3]["conversation"].startswith("chatwood:")


def test_a_worksheet_is_held_against_the_project(
    mirrored: tuple[str, Path], cli: Any, tmp_path: Path
) -> None:
    _, root = mirrored
    sheet = root / "artifacts" / "cx-escalations" / "worksheet.md"
    here = json.loads(cli("reconcile", sheet, "-w", root, "--json").out)
    done = cli("reconcile", sheet, "--against", "supabase", "-s", "cx-escalations", "--json")
    there = json.loads(done.out)
    assert [log["name"] for log in there["logs"]] == ["supabase"]
    states = lambda told: [(r["line"], r["state"], r["conversation"]) for r in told["rows"]]  # noqa: E731
    assert states(there) == states(here) != []
    both = cli("reconcile", sheet, "--against", "supabase", "-w", root, "--json")
    assert [log["name"] for log in json.loads(both.out)["logs"]] == ["workspace", "supabase"]
    assert both.code == done.code == 0


@pytest.mark.parametrize("command", ["push", "status", "pull"])
def test_the_example_in_the_help_runs(
    mirrored: tuple[str, Path], command: str, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w").rename(tmp_path / ".cairnops")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"Example: cairnops (.+)", getattr(supabase, command).__doc__)
    assert example.split()[:2] == ["supabase", command]
    assert cli(*example.split()).code == 0


# Trouble


BAD_KEY = Answer(401, body=b'{"message":"Invalid API key"}')
NO_RIGHT = Answer(401, body=b'{"code":"42501","message":"permission denied for table meta"}')
NO_TABLE = Answer(404, body=b'{"code":"PGRST205","message":"Could not find the table"}')
DISK_FULL = Answer(500, body=b'{"code":"XX000","message":"disk full"}')
WAIT, WAIT_LONG = (Answer(429, {"retry-after": text}, b"{}") for text in ("3", "900"))


@pytest.mark.parametrize(
    ("answers", "said", "todo", "slept"),
    [
        pytest.param([BAD_KEY], "does not take the key", "SERVICE_KEY", [], id="key"),
        pytest.param([Answer(404, body=b"<html>")], "no Supabase project (HTTP 404)", "SUPABASE_URL", [], id="address"),
        pytest.param([Answer(302, {"location": "http://127.0.0.1:1/"})], "HTTP 302", "SUPABASE_URL", [], id="moved"),
        pytest.param([NO_RIGHT], "may not do this with meta", "SERVICE_KEY", [], id="another key"),
        pytest.param([NO_TABLE], "no such table", "supabase/migrations", [], id="no tables"),
        pytest.param([Answer(200, body=b'[{"value":"1"}]')], "have layout 1", "supabase/migrations", [], id="old"),
        pytest.param([DISK_FULL], "XX000", "later", [], id="broken"),
        pytest.param([Answer(503, body=b"x")], "HTTP 503", "later", list(PAUSES), id="down"),
        pytest.param([Answer(cut=True)], "No answer", "later", list(PAUSES), id="cut off"),
        pytest.param([WAIT, BAD_KEY], "(HTTP 401)", "KEY", [3.0], id="asked to wait"),
        pytest.param([WAIT_LONG], "left alone for 900 s", "then", [], id="asked to wait long"),
    ],
)  # fmt: skip
def test_trouble_is_told_in_words(
    answers: list[Any], said: str, todo: str, slept: list[float], played: Path, waits: list[float]
) -> None:
    left = list(answers)
    asked: list[Any] = []

    def judge(request: Any) -> Any:
        asked.append(request)
        return left.pop(0) if len(left) > 1 else left[0]

    with (
        lite.before("http://127.0.0.1:1", judge) as url,
        project(url, waits) as there,
        pytest.raises(RemoteError) as told,
    ):
        mirror.push(there, ledger(played))
    assert said in str(told.value) and todo in told.value.hint
    assert waits == slept and all(wait <= PATIENCE for wait in waits)
    assert len(asked) == len(slept) + 1
    assert lite.SERVICE not in f"{told.value} {told.value.hint}"


def test_nobody_there(played: Path, cli: Any, at: Callable[[str], None], waits: list[float]) -> None:
    with project("http://127.0.0.1:1", waits) as there, pytest.raises(RemoteError, match="No answer"):
        there.layout()
    assert waits == list(PAUSES)


@pytest.mark.parametrize("command", ["push", "status", "pull"])
def test_what_is_not_set_is_asked_for_and_no_key_is_ever_shown(
    command: str, played: Path, cli: Any, at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cli("supabase", command, "-w", played)
    assert done.code == 2 and "SUPABASE_URL is not set" in done.err and "→" in done.err
    monkeypatch.setenv("SUPABASE_URL", "https://project.example")
    done = cli("supabase", command, "-w", played)
    assert done.code == 2 and "SUPABASE_SERVICE_KEY is not set" in done.err

    refused = Answer(401, body=json.dumps({"message": "Invalid API key"}).encode())
    with lite.before("http://127.0.0.1:1", lambda _: refused) as url:
        at(url)
        done = cli("supabase", command, "-w", played)
    assert done.code == 2 and "does not take the key" in done.err
    assert not any(key in done.out + done.err for key in (lite.SERVICE, lite.ANON, "canary"))
