"""The database engine and the careful reader give the same figures, to the last printed digit, on any file."""

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cairnops.analytics import engine, frames, quick
from cairnops.analytics.engine import NotThisWay, tally_large
from cairnops.analytics.quick import pieces, tally_alike
from cairnops.analytics.scan import Scan, database
from cairnops.analytics.summary import summarize
from cairnops.domain.measures import AlertPolicy, MeasurePolicy
from cairnops.telemetry import synthetic
from cairnops.telemetry.reader import Book
from cairnops.telemetry.source import Source

MEASURES = MeasurePolicy()


@pytest.fixture(autouse=True, scope="module")
def _every_line_put_right() -> Iterator[None]:
    """As if there were many of them: a few damaged lines are quicker left to the careful reader."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick, "_WORTH_IT", 1)
        yield


ROW = '{"decisionId":%d,"status":"%s","durationMs":%s,"errorCode":%s,"attempt":%d,"timestamp":"%s","scope":"%s"}'


def plain(number: int, rng: random.Random) -> str:
    failed = rng.random() < 0.3
    clock = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:07.{rng.randrange(1000):03d}"
    at = f"2025-10-{rng.randrange(1, 29):02d}T{clock}Z"
    return ROW % (
        number, "TIMEOUT" if failed else "SUCCESS", rng.choice([12, 250.5, 0.1, 1500.55, 3, 9.99]),
        '"ETIMEDOUT"' if failed else "null", rng.randrange(1, 4), at, rng.choice(["ops", "build"]),
    )  # fmt: skip


#: Texts that stand where a value stands; each has fooled some reader.
VALUES = [
    "null", "true", "false", "0", "-0", "-1", "1.0", "1e3", "1E3", "1e999", "-1e999", "NaN", "nan", "-Infinity",
    "Infinity", "9007199254740993", "123456789012345678901234567890123", "0.1", "10", '""', '" "', '"12"', '"1.5s"',
    '"2 min"', '"12."', '"1_000"', '"0x10"', '"true"', '"False"', '"null"', '"NaN"', '"ok"', '"FAILED"', '"unknown"',
    '"é"', '"\\u00e9\\n"', '"a\\u0000b"', '"\\ud83d"', '"\\ud83d\\ude00"', '"\\""', '" ops "', "{}", "[]", '{"a":1,}',
    "[1,]", '{"code":"E","message":"m"}', '{"durationMs":5}', '{"status":503}', "[[[[1]]]]", '"2025-10-09T14:05:22Z"',
    '"2025-10-09T24:00:00.000Z"', '"2025-10-09T 1:05:22.318Z"', '"2025-02-30T14:05:22.318Z"',
    '"2025-10-09T14:05:60.318Z"', '"2025-1-09T14:05:22.3181Z"', '"2025-10-09 14:05:22.318"',
    '"2025-10-09T14:05:22.318+02:00"', '"2025-10-09T14:05:22.318999+00:00"', '"1969-12-31T23:59:59.999Z"',
    '"2025-1-9T1:5:2.3Z"', '"2025-10-9T1:05:22.318Z"', '" 025-10-09T14:05:22.318Z"',
    '"0001-01-01T00:00:00.000Z"', '"infinity"', '"epoch"', "1760019600", "1760019600000", "503", "200", "99.5",
]  # fmt: skip
KEYS = [
    "status", "state", "ok", "success", "statusCode", "errorCode", "error", "message", "durationMs", "duration",
    "metrics", "timestamp", "time", "createdAt", "decisionId", "id", "uid", "scope", "context", "attempt", "retries",
    "retryable", "note", "response", "score", 'odd"key', "it's",
]  # fmt: skip
LINES = [
    "", " ", "\t", "\x0b", "\xa0", "\x1c", "\u2028", "null", "7", '"42703"', "[]", "[1]", "{", "}", "tru", "<html>",
    "{}",
    '{"a":1}', '{"code":"57014","message":"m"}', '{"message":"hello"}', '{"a":1}{"b":2}', "\ufeff", "\x00", ",", "//",
    '{"status":"SUCCESS","status":"FAILED"}', "[" * 2000, '{"x":' * 400 + "1" + "}" * 400,
    '{"decisionId":1,"deep":' + "[" * 400 + "]" * 400 + "}",
]  # fmt: skip


def dirty(rng: random.Random) -> bytes:
    """A file of rows, most of them plain, some broken in every way we could think of."""
    out: list[bytes] = []
    if rng.random() < 0.1:
        out.append(rng.choice(LINES).encode())
    for number in range(rng.randrange(1, 40)):
        line = plain(number, rng)
        kind = rng.random()
        if kind < 0.08:
            line = rng.choice(LINES)
        elif kind < 0.3:
            row = dict.fromkeys(
                ("decisionId", "status", "durationMs", "errorCode", "attempt", "timestamp", "scope")
            )
            cells = dict(zip(row, line[1:-1].split(",", 6), strict=True))
            name = rng.choice(list(cells))
            cells[name] = f'"{name}":{rng.choice(VALUES)}'
            line = "{" + ",".join(cells.values()) + "}"
        elif kind < 0.4:
            pairs = [
                f"{json.dumps(rng.choice(KEYS))}:{rng.choice(VALUES)}" for _ in range(rng.randrange(1, 6))
            ]
            line = "{" + ",".join(pairs) + "}"
        elif kind < 0.45:
            line = line[: rng.randrange(len(line))]
        elif kind < 0.5:
            line = line[:-1] + f",{json.dumps(rng.choice(KEYS))}:{rng.choice(VALUES)}}}"
        elif kind < 0.55:
            line = rng.choice(
                [
                    line + line,
                    f"[{line},{line}]",
                    line + ",",
                    "\ufeff" + line,
                    "  " + line + " ",
                    line[:-1] + ",}",
                    line[:-1] + ", }",
                ]
            )
        raw = line.encode()
        if rng.random() < 0.04 and raw:
            at = rng.randrange(len(raw))
            raw = raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
        out.append(raw)
    end = rng.choice([b"\n", b"\n", b"\n", b"\r\n"])
    return (
        (b"\xef\xbb\xbf" if rng.random() < 0.05 else b"")
        + end.join(out)
        + (end if rng.random() < 0.8 else b"")
    )


def figures(path: Path, how: str, **measures: object) -> dict[str, object]:
    got = summarize(path, measures=MeasurePolicy(**measures), alerts=AlertPolicy(), engine=how)  # type: ignore[arg-type]
    return got.to_dict()


def by_engine(path: Path, *, piece: int, whole: int, seconds: bool = False) -> dict[str, object] | None:
    """The figures as the engine has them; None if it left the file to the careful reader."""
    found = tally_large(path, MeasurePolicy(seconds_below_ten=seconds), piece=piece, whole=whole)
    return None if found is None else found[0].summary(found[1], AlertPolicy()).to_dict()


def alike(path: Path, *, piece: int = 1 << 20, seconds: bool = False) -> dict[str, object] | None:
    """The figures as taking lines apart at their commas gives them; None if the rows are not written alike."""
    found = tally_alike(path, MeasurePolicy(seconds_below_ten=seconds), piece=piece)
    return None if found is None else found[0].summary(found[1], AlertPolicy()).to_dict()


def agree(path: Path, *, piece: int = 1 << 20, whole: int = 1 << 20, seconds: bool = False) -> bool:
    """Whether the engine took the file at all; what it says of it must be what the careful reader says."""
    fast = by_engine(path, piece=piece, whole=whole, seconds=seconds)
    apart = alike(path, piece=piece, seconds=seconds)
    slow = figures(path, "python", seconds_below_ten=seconds)
    assert fast is None or fast == slow
    assert apart is None or apart == slow
    parse = slow["parse"]
    kinds = ("blank", "recordLines", "rejectLines", "structureLines")
    assert parse["lines"] == sum(parse[kind] for kind in kinds)
    return fast is not None


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    piece=st.sampled_from([300, 2000, 1 << 20]),
    whole=st.sampled_from([0, 1 << 20]),
)
@example(seed=1, piece=300, whole=0)
def test_both_engines_give_the_same_figures_on_any_file(tmp_path, seed, piece, whole):
    path = tmp_path / "export.ndjson"
    rng = random.Random(seed)
    path.write_bytes(dirty(rng))
    agree(path, piece=piece, whole=whole, seconds=rng.random() < 0.3)


def good(path: Path, *odd: str, rows: int = 60) -> Path:
    rng = random.Random(4)
    lines = [plain(n, rng) for n in range(rows)]
    path.write_text("\n".join([*lines, *odd]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "name", ["decisionId", "status", "durationMs", "errorCode", "attempt", "timestamp", "scope", "note"]
)
def test_one_odd_value_among_plain_rows(tmp_path, name, value):
    cells = {
        key: f'"{key}":null'
        for key in ("decisionId", "status", "durationMs", "errorCode", "attempt", "timestamp", "scope")
    }
    cells[name] = f'"{name}":{value}'
    assert agree(good(tmp_path / "e.ndjson", "{" + ",".join(cells.values()) + "}"))


@pytest.mark.parametrize(
    "short",
    [
        pytest.param({"decisionId": "1e9"}, id="an-id-as-a-power"),
        pytest.param({"durationMs": "1e9"}, id="a-duration-as-a-power"),
        pytest.param({"attempt": "1e9"}, id="an-attempt-as-a-power"),
        pytest.param({"note": "1e9"}, id="an-unasked-value-as-a-power"),
        pytest.param({"timestamp": '"2025-10-09T14:05Z"'}, id="a-shorter-time"),
        pytest.param({"errorCode": ""}, id="a-key-left-out"),
    ],
)
def test_what_one_line_saves_another_may_not_spend(tmp_path, short):
    """Lines together as long as they should be, one of them with a key too many that turns its outcome."""
    ((name, value),) = short.items()
    keys = ["decisionId", "status", "durationMs", "errorCode", "attempt", "timestamp", "scope"]
    keys += ["note"] if name == "note" else []
    saved = {"timestamp": 6, "errorCode": len('"errorCode":null,'), "decisionId": 7}.get(name, 9)

    def row(**cells: str) -> str:
        found = {key: cells.get(key, "null") for key in keys}
        return "{" + ",".join(f'"{key}":{text}' for key, text in found.items() if text) + "}"

    rows = -(-len(',"ok":"failed"') // saved)
    blanks = " " * (rows * saved - len(',"ok":"failed"'))
    spent = row(status='"SUCCESS"')[:-1] + f',"ok":"failed{blanks}"}}'
    rng = random.Random(4)
    # The odd ones stand beyond what is looked at to learn what lines look like.
    lines = [plain(n, rng)[:-1] + (',"note":null}' if name == "note" else "}") for n in range(600)]
    path = tmp_path / "e.ndjson"
    path.write_text("\n".join([*lines, *[row(**{name: value})] * rows, spent]) + "\n")
    assert agree(path)


@pytest.mark.parametrize("shift", [0, 1])
def test_a_complaint_cut_off_inside_a_character_is_only_a_complaint(tmp_path, shift):
    odd = '{"decisionId":1,"' + "x" * shift + "é" * 200 + '":1}'
    assert agree(
        good(tmp_path / "e.ndjson", odd, '{"decisionId":1,"status":"' + "x" * shift + "é" * 200 + '"}')
    )


@pytest.mark.parametrize("line", LINES)
def test_one_odd_line_among_plain_rows(tmp_path, line):
    assert agree(good(tmp_path / "e.ndjson", line, plain(7, random.Random(3))))


def test_rows_of_several_shapes_are_taken_by_the_engine(tmp_path):
    rng = random.Random(5)
    lines = []
    for number in range(900):
        row = json.loads(plain(number, rng))
        if number % 3 == 1:
            row["duration_ms"] = row.pop("durationMs")
            row["extra"] = {"deep": [1, 2]}
        if number % 3 == 2:
            del row["errorCode"]
        lines.append(json.dumps(row))
    path = tmp_path / "e.ndjson"
    path.write_text("\n".join(lines) + "\n")
    assert agree(path)
    with database() as connection:
        scan = Scan(connection)
        scan.learn(lines)
        piece = scan.read(str(path))
    assert (piece.rows, piece.bad) == (900, [])


@pytest.mark.parametrize(
    ("names", "gap", "zone", "fraction"),
    [
        pytest.param("id status duration time", " ", "Z", "", id="blanks-and-whole-seconds"),
        pytest.param("status duration id time", "", "+00:00", "123456", id="time-last-with-microseconds"),
        pytest.param("time status duration", "", "Z", "123", id="duration-last"),
        pytest.param("status id", "\t", "Z", "", id="nothing-but-a-status-and-an-id"),
        pytest.param("été status note time scope", "", "+00:00", "123", id="names-beyond-ascii"),
        pytest.param("id status time error", "", "Z", "", id="ends-with-null-or-text"),
    ],
)
def test_rows_written_alike_are_taken_however_they_are_written(tmp_path, names, gap, zone, fraction):
    rng = random.Random(6)
    path = tmp_path / "e.ndjson"
    lines = []
    for number in range(300):
        clock = f"{number % 24:02d}:{number % 60:02d}:59" + (f".{fraction}" if fraction else "")
        cells = {
            "id": rng.choice([str(number), f'"01K7{number}"']), "status": rng.choice(['"ok"', '"FAILED"', "503"]),
            "duration": rng.choice(["0", "12.5", "null", "0.001"]),
            "time": f'"2025-10-{1 + number % 28:02d}T{clock}{zone}"',
            "été": rng.choice(["true", "-1.5e3", '"ü"']), "note": f'"{number}"', "scope": '"ops"',
            "error": rng.choice(["null", '"E"', '{"code":7}']),
        }  # fmt: skip
        lines.append("{" + f",{gap}".join(f'"{n}":{gap}{cells[n]}' for n in names.split()) + "}")
    odd = [
        lines[7].replace("ok", "o,k").replace("FAILED", "F,D"),
        lines[8] + ",",
        lines[9][:-1],
        "",
        '{"a":1}',
        lines[9],
    ]
    path.write_text("\n".join([*lines, *odd]) + "\n", encoding="utf-8")
    for piece in (1000, 1 << 20):
        assert alike(path, piece=piece) == figures(path, "python")
    with Source(path) as source:
        (taken,) = pieces(source)
    assert (taken.lines, taken.taken) == (306, 301 + (lines[7] == odd[0]))
    assert [place for place, _ in taken.left()][-4:] == [301, 302, 303, 304]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("}", "},", id="a-comma-behind-it"),
        pytest.param("}", '},{"status":"FAILED"}', id="another-object-behind-it"),
        pytest.param("05:07.318", "05:60.318", id="a-sixtieth-second"),
        pytest.param("05:07.318", "60:07.318", id="a-sixtieth-minute"),
        pytest.param("05:07.318", "05:0:.318", id="a-sign-above-nine"),
        pytest.param("07.318Z", "07.318z", id="another-zone"),
        pytest.param("12.5", "12.", id="a-number-that-breaks-off"),
        pytest.param("12.5", "012.5", id="a-number-with-a-zero-in-front"),
        pytest.param("12.5", "1e2", id="a-number-as-a-power"),
        pytest.param('"id":850', '"id":0850', id="an-id-with-a-zero-in-front"),
        pytest.param('"id":850', '"ok":false', id="another-key"),
        pytest.param('"ok"', '"\ufffd"', id="a-character-replaced"),
        pytest.param("}", "}\r", id="another-line-end"),
    ],
)
def test_one_flaw_among_hundreds_of_rows_is_seen(tmp_path, old, new):
    line = '{"id":%d,"status":"ok","durationMs":12.5,"timestamp":"2025-10-09T14:05:07.318Z","scope":"ops"}'
    lines = [line % number for number in range(900)]
    lines[850] = lines[850].replace(old, new)
    assert lines[850] != line % 850
    path = tmp_path / "e.ndjson"
    path.write_bytes(("\n".join(lines) + "\n").encode())
    assert alike(path) == figures(path, "python")
    with Source(path) as source:
        (taken,) = pieces(source)
    assert [place for place, _ in taken.left()] == [850]


_A, _B = (
    f'{{"id":{n},"status":"FAILED","durationMs":{n}.5,"errorCode":"E{n}","timestamp":"2025-10-09T14:05:0{n}.318Z"}}'
    for n in (7, 8)
)


@pytest.mark.parametrize(
    ("line", "put_right"),
    [
        pytest.param("\ufeff" + _A, True, id="a-mark"),
        pytest.param(_A + ",", True, id="a-comma"),
        pytest.param("\ufeff" + _A + ",", True, id="a-mark-and-a-comma"),
        pytest.param(_A + _B, True, id="side-by-side"),
        pytest.param("\ufeff" + _A + _B + _A, True, id="a-mark-and-three-side-by-side"),
        pytest.param(f"[{_A}]", True, id="an-array-of-one"),
        pytest.param(f"[{_A},{_B}]", True, id="an-array"),
        pytest.param("\ufeff" + f"[{_A},{_B}]", True, id="a-mark-and-an-array"),
        pytest.param("\ufeff\ufeff" + _A, False, id="two-marks"),
        pytest.param(_A + ",,", False, id="two-commas"),
        pytest.param(_A + "}", False, id="a-brace-too-many"),
        pytest.param(_A + _B[:-9], False, id="side-by-side-and-broken-off"),
        pytest.param(_A + _B + ",", False, id="side-by-side-and-a-comma"),
        pytest.param(f"{_A} {_B}", False, id="side-by-side-with-a-blank"),
        pytest.param(f"[{_A},{{}}]", False, id="an-array-with-an-empty-object"),
        pytest.param(f"[{_A},1]", False, id="an-array-with-a-number"),
        pytest.param(f"[{_A},{_B[:-1]},}}]", False, id="an-array-with-a-comma-inside"),
        pytest.param(_A.replace("FAILED", "a}{b"), True, id="braces-in-a-text"),
        pytest.param(_A.replace("FAILED", "a}{b") + _B, False, id="side-by-side-and-braces-in-a-text"),
        pytest.param(f"[{_A.replace('FAILED', 'a},{b')}]", False, id="an-array-and-braces-in-a-text"),
    ],
)
def test_a_damaged_line_is_put_right_as_the_careful_reader_does(tmp_path, monkeypatch, line, put_right):
    careful = []
    one = Book.one
    monkeypatch.setattr(Book, "one", lambda *given: careful.append(given[2]) or one(*given))
    row = _A.replace("FAILED", "SUCCESS").replace('"E7"', "null")
    path = tmp_path / "e.ndjson"
    path.write_text("\n".join([*[row] * 40, line, row, line, *[row] * 60]) + "\n")
    # The line is the first of its piece, or in the middle.
    for piece in (40 * len(row + "\n"), 1 << 20):
        assert alike(path, piece=piece) == figures(path, "python")
        careful = [raw for raw in careful if raw.strip().decode() == line]
        assert bool(careful) is not put_right
        careful.clear()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('{"status":"ok","metrics":{"durationMs":5}}', id="a-duration-inside"),
        pytest.param('{"status":"ok","duration":5,"latencyMs":6}', id="two-durations"),
        pytest.param('{"status":"ok","time":1760019600}', id="a-time-in-seconds"),
        pytest.param('{"status":"ok","error":{"code":1,"message":"m"}}', id="a-comma-inside"),
        pytest.param('{"id":1,"note":2}', id="no-facts"),
        pytest.param('{"status":"ok","status":"ok"}', id="a-key-twice"),
        pytest.param('{"message":"a","code":"b"}', id="an-error-message"),
        pytest.param('{"status":"ok"}\r', id="other-line-ends"),
    ],
)
def test_rows_that_do_not_come_apart_are_read_another_way(tmp_path, line):
    path = tmp_path / "e.ndjson"
    path.write_bytes((line + "\n").encode() * 300)
    assert alike(path) is None
    agree(path)


def test_a_large_file_needs_no_database_if_its_rows_are_written_alike(tmp_path, monkeypatch):
    def no(*_: object, **__: object) -> None:
        raise AssertionError("the database engine was asked")

    path = tmp_path / "e.ndjson"
    synthetic.make(path, rows=20_000, seed=3)
    monkeypatch.setattr(engine, "tally_large", no)
    assert figures(path, "auto") == figures(path, "python")


def test_the_engine_keeps_the_order_of_the_lines(tmp_path):
    path = tmp_path / "e.ndjson"
    synthetic.make(path, rows=300_000, seed=2)
    for _ in range(2):
        with database() as connection:
            scan = Scan(connection)
            scan.learn(path.read_text().splitlines()[:10])
            assert scan.read(str(path)).bad == []
            assert connection.execute("SELECT current_setting('disabled_optimizers')").fetchall() == [
                ("in_clause",)
            ]
            ids = [int(i) for (i,) in connection.execute("SELECT id FROM ev ORDER BY rowid").fetchall()]
        assert len(ids) == 300_000
        assert all(a <= b for a, b in itertools.pairwise(ids))


@pytest.mark.parametrize("kind", ["malformed", "mixed", "all"])
def test_what_was_put_in_is_what_comes_out(tmp_path, kind):
    path = tmp_path / "e.ndjson"
    _, truth = synthetic.make(path, rows=3000, dirt=0.05, seed=11, kind=kind)
    assert len(truth.dirt) == {"malformed": 14, "mixed": 8, "all": 22}[kind]
    assert agree(path)
    got = figures(path, "duckdb")
    parse, totals = got["parse"], got["totals"]
    assert (parse["lines"], parse["blank"], parse["records"], parse["rejects"]) == (
        truth.lines, truth.blank, truth.records, truth.rejects,
    )  # fmt: skip
    assert {k: totals[k] for k in ("success", "failure", "unknown")} == truth.to_dict()["classes"]
    kept = json.loads(path.with_name("e.ndjson.truth.json").read_text())
    assert kept == truth.to_dict()
    frame, problems = frames.read_export(path, strict=False)
    with frame:
        assert frame.duplicate_ids()[0] >= truth.duplicates - sum(map(len, truth.dirt.values()))
    rejected = {
        name
        for name, (_, damage) in synthetic._KINDS.items()
        if damage(plain(1, random.Random(1)), random.Random(1))[2]
    }
    assert sorted(p["line"] for p in problems.kept) == sorted(
        n for name in rejected for n in truth.dirt.get(name, [])
    )


def test_the_same_arguments_make_the_same_bytes(tmp_path):
    first, _ = synthetic.make(tmp_path / "a", rows=500, dirt=0.1, seed=3)
    again, _ = synthetic.make(tmp_path / "b", rows=500, dirt=0.1, seed=3)
    other, _ = synthetic.make(tmp_path / "c", rows=500, dirt=0.1, seed=4)
    assert first.sha256 == again.sha256 != other.sha256


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b'[\n{"a":1}\n]\n', "JSON over several lines", id="array-over-lines"),
        pytest.param('{"a":1}\n'.encode("utf-16"), "another encoding", id="utf-16"),
        pytest.param(b"x\ny\n", "no object to learn from", id="words"),
        pytest.param(b"", "nothing at all", id="empty"),
    ],
)
def test_what_the_engine_leaves_to_the_careful_reader(tmp_path, data, why):
    path = tmp_path / "e.ndjson"
    path.write_bytes(data)
    assert tally_large(path, MEASURES) is None, why
    assert figures(path, "duckdb") == figures(path, "python")


def test_a_key_that_is_no_text_does_not_make_up_for_a_line_that_is_too_long(tmp_path):
    path = tmp_path / "e.ndjson"
    odd = b'{"decisionId":%d,"status":"TIMEOUT","e\xa1rorCode":"ETIMEDOUT","scope":"ops"}%b'
    path.write_bytes(b"\n".join(odd % (n, b",123" if n % 2 else b"") for n in range(60)) + b"\n")
    agree(path)


def test_memory_follows_the_piece_and_not_the_file(tmp_path):
    path = good(tmp_path / "e.ndjson", rows=2000)
    sizes = []

    class Watched(engine.Scan):
        def read(self, path: str):  # type: ignore[no-untyped-def]
            sizes.append(Path(path).stat().st_size)
            return super().read(path)

    original, engine.Scan = engine.Scan, Watched  # type: ignore[misc]
    try:
        assert agree(path, piece=10_000, whole=0)
    finally:
        engine.Scan = original  # type: ignore[misc]
    assert len(sizes) > 20
    assert max(sizes) < 11_000


def test_a_frame_is_the_same_whoever_reads_it(tmp_path, monkeypatch):
    path = tmp_path / "e.ndjson"
    synthetic.make(path, rows=4000, dirt=0.05, seed=9)
    with path.open("ab") as file:
        rng = random.Random(8)
        for _ in range(40):
            file.write(dirty(rng) + b"\n")

    def no(*_: object) -> None:
        raise NotThisWay

    fast, fast_problems = frames.read_export(path, strict=False)
    monkeypatch.setattr(frames.Filling, "engine", no)
    slow, slow_problems = frames.read_export(path, strict=False)
    with fast, slow:
        assert fast.rows() == slow.rows()
        assert fast.exports == slow.exports
        assert fast_problems.kept == slow_problems.kept
