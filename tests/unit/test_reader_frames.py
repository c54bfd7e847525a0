"""An export as a table: strict or not, from any form, in any library, and back from Parquet."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from datetime import datetime
from pathlib import Path

import pytest

from cairnops.analytics import columns, frames, parquet
from cairnops.analytics.frames import ExportProblems, read_export
from cairnops.analytics.summary import summarize
from cairnops.domain.measures import AlertPolicy, MeasurePolicy
from cairnops.errors import InputError
from cairnops.telemetry import containers, synthetic
from cairnops.telemetry.naming import claimed_time
from cairnops.telemetry.reader import read_records

EXPORTS = Path(__file__).parents[2] / "fixtures" / "exports"
at = datetime.fromisoformat
SAMPLE = EXPORTS / "decision_sync_sample.ndjson"


def test_the_sample_as_a_table():
    with read_export(SAMPLE) as frame:
        rows = frame.rows()
        assert len(frame) == 4
        assert rows[2] == {
            "source": 0, "line": 3, "part": 0, "decision_id": "103", "outcome": "failure", "status": "TIMEOUT",
            "scope": None, "error_code": "ETIMEDOUT", "error_message": None, "duration_ms": 1500.55, "retries": 2.0,
            "attempt": 3.0, "occurred_at": at("2025-10-09 14:15:12.483"), "duration_state": "read",
            "time_state": "read",
        }  # fmt: skip
        assert tuple(rows[0]) == frame.columns == columns.NAMES
        assert "4 records" in repr(frame)
        assert "4 lines = 4 with records" in repr(frame)
        assert frame.sql("SELECT max(duration_ms) FROM events") == [(1500.55,)]
        assert frame.duplicate_ids() == (0, [])


def test_strict_says_everything_that_is_wrong_at_once():
    with pytest.raises(ExportProblems) as caught:
        read_export(
            [EXPORTS / "edge.ndjson", EXPORTS / "concatenated.ndjson", EXPORTS / "html_saved_as.ndjson"]
        )
    said = str(caught.value)
    for part in (
        "edge.ndjson: ",
        "concatenated.ndjson: 1 JSON that ends before",
        "web page",
        "line 3: truncated",
    ):
        assert part in said
    assert "strict=False" in caught.value.hint
    assert len(caught.value.problems) == sum(e.rejects for e in caught.value.exports)


def test_not_strict_gives_the_rows_and_the_problems():
    frame, problems = read_export(EXPORTS / "edge.ndjson", strict=False)
    plain = read_records(EXPORTS / "edge.ndjson")
    with frame:
        assert len(frame) == len(plain.records)
        assert len(problems) == len(plain.problems) == problems.polars().height
        assert problems.polars().columns == [c.name for c in columns.PROBLEM_COLUMNS]
        assert str(len(problems)) in repr(problems)


def test_several_files_keep_their_place_and_patterns_are_sorted(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.ndjson").write_text(json.dumps({"decisionId": name}) + "\n")
    with read_export(str(tmp_path / "*.ndjson")) as frame:
        assert [(r["source"], r["decision_id"]) for r in frame.rows()] == [(0, "a"), (1, "b")]
        assert [e.path for e in frame.exports] == ["a.ndjson", "b.ndjson"]
    with pytest.raises(InputError, match="Nothing matches"):
        read_export(str(tmp_path / "*.json"))
    with pytest.raises(InputError, match="no file"):
        read_export(tmp_path / "none.ndjson")
    with pytest.raises(InputError, match="without Parquet"):
        read_export(tmp_path)


def test_out_to_polars_and_pandas(tmp_path):
    import pandas

    path = tmp_path / "e.ndjson"
    synthetic.make(path, rows=2000, seed=5)
    with read_export(path) as frame:
        table, panda = frame.polars(), frame.pandas()
        assert table.columns == list(panda.columns) == list(columns.NAMES)
        assert table.height == len(panda) == 2000
        assert table["line"].to_list() == panda["line"].to_list() == list(range(1, 2001))
        assert isinstance(panda, pandas.DataFrame)
        assert table["duration_ms"].sum() == pytest.approx(panda["duration_ms"].sum())
        assert dict(frame.sql("SELECT outcome, count(*) FROM events GROUP BY 1")) == dict(
            table["outcome"].value_counts().iter_rows()
        )


def test_more_than_fits_goes_to_disk_and_stays_the_same_table(tmp_path, monkeypatch):
    path = tmp_path / "e.ndjson"
    synthetic.make(path, rows=3000, dirt=0.02, seed=5)
    whole, _ = read_export(path, strict=False)
    monkeypatch.setattr(frames.Store.spill, "__defaults__", (500,))
    monkeypatch.setattr("cairnops.analytics.engine.WHOLE", 0)
    monkeypatch.setattr("cairnops.analytics.engine.PIECE", 100_000)
    parts, _ = read_export(path, strict=False)
    with whole, parts:
        assert len(parts._store._parts) > 2
        assert parts.rows() == whole.rows()
        folder = Path(parts._store._parts[0]).parent
    assert not folder.exists()


@pytest.mark.parametrize(
    "name", ["edge", "mixed_keys", "concatenated", "decision_sync_sample", "empty_array", "dirty"]
)
@pytest.mark.parametrize("seconds", [False, True])
def test_a_converted_export_gives_the_same_figures(tmp_path, name, seconds):
    path = EXPORTS / f"{name}.ndjson"
    if name == "dirty":
        path = tmp_path / "dirty.ndjson"
        synthetic.make(path, rows=3000, dirt=0.05, seed=6)
    (converted,) = parquet.convert(path, tmp_path / "out")
    assert converted.path.name.startswith(f"{name}-{converted.export.sha256[:12]}")
    settings = {"measures": MeasurePolicy(seconds_below_ten=seconds), "alerts": AlertPolicy()}
    assert summarize(converted.path, **settings).to_dict() == summarize(path, **settings).to_dict()
    again, problems = read_export(converted.path, strict=False)
    direct, direct_problems = read_export(path, strict=False)
    with again, direct:
        assert again.rows() == direct.rows()
        assert again.exports == direct.exports
        assert len(problems) == len(direct_problems)
    times = [r[0] for r in _sql(converted.path, "SELECT occurred_at FROM t") if r[0] is not None]
    assert times == sorted(times)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [converted.path.name]


def test_the_counts_a_converted_export_carries_are_those_of_its_rows(tmp_path, monkeypatch):
    import duckdb

    path = tmp_path / "dirty.ndjson"
    synthetic.make(path, rows=300, dirt=0.05, seed=6)
    (carrying,) = parquet.convert(path, tmp_path / "kept")
    asked = []
    counts = parquet._counts
    monkeypatch.setattr(parquet, "_counts", lambda con: asked.append(con) or counts(con))

    def figures(of):
        return summarize(of, measures=MeasurePolicy(), alerts=AlertPolicy()).to_dict()

    kept = figures(carrying.path)
    assert not asked
    # As a file is that has too many of them, or rows that they are not of.
    monkeypatch.setattr(parquet, "_COUNTS_KEPT", 0)
    (without,) = parquet.convert(path, tmp_path / "asked")
    asked.clear()
    assert figures(without.path) == kept
    assert len(asked) == 1
    shorter = tmp_path / "shorter.parquet"
    with duckdb.connect() as con:
        ((said,),) = con.execute(f"SELECT value FROM parquet_kv_metadata('{carrying.path}')").fetchall()
        con.execute(
            f"COPY (SELECT * FROM read_parquet('{carrying.path}') LIMIT 9) TO '{shorter}'"
            f" (FORMAT parquet, KV_METADATA {{cairnops: {parquet._text(said.decode())}}})"
        )
    totals = figures(shorter)["totals"]
    assert sum(totals[kind] for kind in ("success", "failure", "unknown")) == 9
    assert len(asked) == 2


def _sql(path, query):
    import duckdb

    with duckdb.connect() as connection:
        return connection.execute(query.replace(" t", f" read_parquet('{path}')")).fetchall()


def test_what_is_no_export_is_not_converted(tmp_path):
    with pytest.raises(InputError, match="web page"):
        parquet.convert(EXPORTS / "html_saved_as.ndjson", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_somebody_elses_parquet_is_read_under_our_names(tmp_path):
    path = tmp_path / "theirs.parquet"
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 7 AS decision_id, 'ok' AS state, 12.5 AS duration_ms,"
            " TIMESTAMP '2025-10-09 14:00:00' AS created_at)"
            f" TO '{path}' (FORMAT parquet)"
        )
    with read_export(path) as frame:
        (row,) = frame.rows()
        assert (row["decision_id"], row["outcome"], row["duration_ms"]) == ("7", "success", 12.5)
        assert row["occurred_at"] == at("2025-10-09 14:00:00")
        assert frame.exports[0].kind == "parquet"
    with pytest.raises(InputError, match="somebody else"):
        summarize(path, measures=MeasurePolicy(), alerts=AlertPolicy())
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_export(path)


def test_a_line_of_tens_of_megabytes(tmp_path):
    path = tmp_path / "e.ndjson"
    long = {"decisionId": 2, "status": "SUCCESS", "note": "x" * 20_000_000}
    path.write_text('{"decisionId":1,"status":"SUCCESS","note":"a"}\n' + json.dumps(long) + "\n")
    with read_export(path) as frame:
        assert [r["decision_id"] for r in frame.rows()] == ["1", "2"]
    figures = [
        summarize(path, measures=MeasurePolicy(), alerts=AlertPolicy(), engine=e)
        for e in ("duckdb", "python")
    ]
    assert figures[0].to_dict() == figures[1].to_dict()


def tarred(*members, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_the_one_file_of_an_archive_is_read(mode):
    got = read_records(io.BytesIO(tarred(("._e", b"x"), ("a/e.ndjson", b'{"a":1}\n{"a":2}\n'), mode=mode)))
    assert [r["a"] for r in got.records] == [1, 2]
    assert got.export.path.endswith(":a/e.ndjson")
    assert got.export.compression == {"w": "tar", "w:gz": "gzip+tar"}[mode]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(tarred(("a", b"1"), ("b", b"2")), "2 files: a, b", id="several"),
        pytest.param(tarred(), "not JSON|no file|without", id="none"),
        pytest.param(tarred(("a", b"x" * 4000))[:1500], "cannot be read", id="cut-off"),
    ],
)
def test_other_archives_are_refused_with_the_way_out(data, said):
    if not data.strip(b"\0"):
        assert read_records(io.BytesIO(data)).export.is_data is False
        return
    with pytest.raises(InputError, match=said) as caught:
        read_records(io.BytesIO(data))
    assert caught.value.hint


def _zstd(data, frames=1):
    size = -(-len(data) // frames)
    return b"".join(containers._zstd().compress(data[at : at + size]) for at in range(0, len(data), size))


_PACKED = [pytest.param(gzip.compress, "gzip", id="gzip"), pytest.param(_zstd, "zstd", id="zstd")]


@pytest.mark.parametrize(("pack", "name"), _PACKED)
def test_packed_files_are_read_whatever_they_are_called(tmp_path, pack, name):
    path = tmp_path / "export.ndjson"
    path.write_bytes(pack(b'{"a":1}\n{"a":2}\n'))
    got = read_records(path)
    assert (got.export.compression, [r["a"] for r in got.records]) == (name, [1, 2])
    assert got.export.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_zstd_of_several_frames_is_one_export(tmp_path):
    path = tmp_path / "e.ndjson"
    synthetic.make(path, rows=500, seed=8)
    got = read_records(io.BytesIO(_zstd(path.read_bytes(), frames=3)))
    assert got.export.records == 500


def test_a_python_without_zstd_says_so(monkeypatch):
    packed = _zstd(b'{"a":1}\n')
    monkeypatch.setattr(containers, "_ZSTD_MODULES", ("no.such.module",))
    with pytest.raises(InputError, match="zstd") as caught:
        read_records(io.BytesIO(packed))
    assert "zstd -d" in caught.value.hint


@pytest.mark.parametrize(("pack", "name"), _PACKED)
def test_packed_large_files_give_the_same_figures(tmp_path, pack, name):
    plain, packed = tmp_path / "e.ndjson", tmp_path / "packed"
    synthetic.make(plain, rows=3000, dirt=0.02, seed=8)
    packed.write_bytes(pack(plain.read_bytes()))
    settings = {"measures": MeasurePolicy(), "alerts": AlertPolicy()}
    fast, slow = (summarize(packed, **settings, engine=e).to_dict() for e in ("duckdb", "python"))
    assert fast == slow
    assert fast["source"]["compression"] == name
    packed.write_bytes(packed.read_bytes()[:-2000])
    fast, slow = (summarize(packed, **settings, engine=e).to_dict() for e in ("duckdb", "python"))
    assert fast == slow
    assert fast["parse"]["reasons"]["compressed-data"] == 1


def test_a_table_for_polars_leaves_nothing_behind_at_exit():
    code = f"from cairnops.analytics.frames import read_export\nwith read_export({str(SAMPLE)!r}) as f: f.polars()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "claimed"),
    [
        pytest.param("supabase_2025-10-10T07-29-39Z.ndjson", "2025-10-10T07:29:39", id="hyphens"),
        pytest.param("x_20251010T073700Z.ndjson", "2025-10-10T07:37:00", id="basic"),
        pytest.param("x-2025-10-10T07-26-29.678Z.json", "2025-10-10T07:26:29.678000", id="milliseconds"),
        pytest.param(
            "x-2025-10-10T21-14-08-686Z.json", "2025-10-10T21:14:08.686000", id="hyphen-milliseconds"
        ),
        pytest.param("x-2025-10-10T16:02:25Z.json", "2025-10-10T16:02:25", id="colons"),
        pytest.param("x-2025-10-10-134723.json", "2025-10-10T13:47:23", id="run-together"),
        pytest.param("x-2025-10-10.json", "2025-10-10T00:00:00", id="date-only"),
        pytest.param("x-2025-13-40.json", None, id="no-such-day"),
        pytest.param("decision_log.ndjson", None, id="none"),
        pytest.param("order-120251010123456.json", None, id="a-longer-number"),
    ],
)
def test_the_time_a_name_claims(name, claimed):
    found = claimed_time(name)
    assert (found.replace(tzinfo=None).isoformat() if found else None) == claimed
