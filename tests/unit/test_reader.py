"""Every line of an export is a record, a named reject or blank; the file as a whole gets a name."""

import gzip
import hashlib
import io
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.errors import USAGE, InputError
from cairnops.telemetry import preview as masking
from cairnops.telemetry.preview import preview
from cairnops.telemetry.reader import REJECTS, REPAIRS, read_lines, read_records

EXPORTS = Path(__file__).parents[2] / "fixtures" / "exports"


def read(data: bytes):
    return read_records(io.BytesIO(data))


def told(data: bytes):
    """(number, part, record or reason) of everything in a file."""
    return [
        (line.number, line.part, line.problem if line.record is None else line.record)
        for line in read_lines(io.BytesIO(data))
    ]


def counts_agree(export):
    assert export.lines == export.blank + export.record_lines + export.reject_lines + export.structure_lines
    assert min(export.blank, export.record_lines, export.reject_lines, export.structure_lines) >= 0
    assert export.rejects == sum(export.reasons.values())
    assert export.reasons.keys() <= REJECTS.keys()
    assert export.repairs.keys() <= REPAIRS.keys()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"a":1}\n{"a":2}\n', [(1, 0, {"a": 1}), (2, 0, {"a": 2})], id="plain"),
        pytest.param(
            b'{"a":1}\r\n\r\n{"a":2}\r\n', [(1, 0, {"a": 1}), (3, 0, {"a": 2})], id="crlf-and-blank"
        ),
        pytest.param(b'\xef\xbb\xbf{"a":1}\n', [(1, 0, {"a": 1})], id="byte-order-mark"),
        pytest.param(b'{"a":1}{"b":2}\n', [(1, 0, {"a": 1}), (1, 1, {"b": 2})], id="objects-run-together"),
        pytest.param(
            b'{"a":1} {"b":2},{"c":3}',
            [(1, 0, {"a": 1}), (1, 1, {"b": 2}), (1, 2, {"c": 3})],
            id="run-together-with-commas",
        ),
        pytest.param(b'{"a":1}\r{"a":2}\r', [(1, 0, {"a": 1}), (1, 1, {"a": 2})], id="bare-carriage-returns"),
        pytest.param(b'{"a":1}{"b":\n', [(1, 0, {"a": 1}), (1, 1, "truncated")], id="run-together-and-cut"),
        pytest.param(b'{"a":1} tail\n', [(1, 0, {"a": 1}), (1, 1, "trailing-text")], id="something-after"),
        pytest.param(b'{"a":1},\n', [(1, 0, {"a": 1})], id="trailing-comma"),
        pytest.param(b',{"a":1}\n', [(1, 0, {"a": 1})], id="leading-comma"),
        pytest.param(
            b'[{"a":1},{"b":2}]\n{"c":3}\n',
            [(1, 0, {"a": 1}), (1, 1, {"b": 2}), (2, 0, {"c": 3})],
            id="array-line",
        ),
        pytest.param(
            b'[[{"a":1}],7,[]]\n',
            [(1, 0, {"a": 1}), (1, 1, "array-element"), (1, 2, "empty-array")],
            id="array-of-everything",
        ),
        pytest.param(b"[]\n", [(1, 0, "empty-array")], id="empty-array"),
        pytest.param(
            b'[{"a":1},{"b"', [(1, 0, {"a": 1}), (1, 1, "truncated")], id="array-cut-off-on-its-line"
        ),
        pytest.param(b'null\n"x"\n7\ntrue\n', [(n, 0, "scalar") for n in (1, 2, 3, 4)], id="scalars"),
        pytest.param(b"not json\n", [(1, 0, "not-json")], id="words"),
        pytest.param(b"[2025-10-10] started\n", [(1, 0, "malformed")], id="log-line-in-brackets"),
        pytest.param(b'{"a":1,}\n', [(1, 0, "malformed")], id="comma-inside"),
        pytest.param(b'{"a":1}\n{"a":"ha', [(1, 0, {"a": 1}), (2, 0, "truncated")], id="cut-off-last-line"),
        pytest.param(b'{"a":NaN,"b":-Infinity}\n', [(1, 0, {"a": None, "b": None})], id="nan-is-null"),
        pytest.param(
            b'{"a":NaN}{"b":Infinity}\n', [(1, 0, {"a": None}), (1, 1, {"b": None})], id="nan-run-together"
        ),
        pytest.param(b'{"a":"\xff\xc3"}\n', [(1, 0, {"a": "\ufffd\ufffd"})], id="invalid-utf8"),
        pytest.param(b'{"a":"\\ud83d"}\n', [(1, 0, {"a": "\ufffd"})], id="half-a-surrogate-pair"),
        pytest.param(b'{"a":"\\ud83d\\ude00"}\n', [(1, 0, {"a": "\U0001f600"})], id="a-whole-surrogate-pair"),
        pytest.param(
            b'{"a":1}\n\xef\xbb\xbf{"a":2}\n', [(1, 0, {"a": 1}), (2, 0, {"a": 2})], id="mark-in-the-middle"
        ),
        pytest.param(
            b'{"a":"' + b"9" * 3 + b'"}\n\x00\x00\n{"a":2}\n',
            [(1, 0, {"a": "999"}), (2, 0, "not-json"), (3, 0, {"a": 2})],
            id="zero-bytes",
        ),
        pytest.param(
            b'{"message":"no such table","code":"PGRST205"}\n{"a":1}\n',
            [(1, 0, "error-body"), (2, 0, {"a": 1})],
            id="error-body-among-rows",
        ),
        pytest.param(b'{"message":"hello"}\n', [(1, 0, {"message": "hello"})], id="a-message-alone-is-a-row"),
        pytest.param(
            b"[" * 50_000 + b'\n{"a":1}\n', [(1, 0, "too-deep"), (2, 0, {"a": 1})], id="nested-too-deeply"
        ),
        pytest.param(
            b'[\n{"a":1},\n{"b":2}\n]\n', [(2, 0, {"a": 1}), (3, 0, {"b": 2})], id="array-over-lines"
        ),
        pytest.param(b'[{"a":1},\n {"b":2}]', [(1, 0, {"a": 1}), (2, 0, {"b": 2})], id="array-a-row-a-line"),
        pytest.param(b'{\n "a": 1\n}\n', [(1, 0, {"a": 1})], id="object-over-lines"),
        pytest.param(b'{"a":1}\n' + b"[" * 50_000, [(1, 0, {"a": 1}), (2, 0, "too-deep")], id="deep-line"),
        pytest.param(b'{"a":1}' + b"[" * 50_000, [(1, 0, {"a": 1}), (1, 1, "too-deep")], id="deep-tail"),
        pytest.param(
            b'[\n {"a": oops,\n  "items": [\n   {"x":1}\n  ]\n },\n {"b":2}\n]',
            [(2, 0, "malformed"), (7, 0, {"b": 2})],
            id="bad-element-with-objects-inside",
        ),
        pytest.param(
            b'{\n "a": 1\n}\n{\n "a": 2\n}\n', [(1, 0, {"a": 1}), (4, 0, {"a": 2})], id="objects-over-lines"
        ),
        pytest.param(
            b'[\n  {"a":1},\n  {"b":},\n  {"c":3}\n]',
            [(2, 0, {"a": 1}), (3, 0, "malformed"), (4, 0, {"c": 3})],
            id="one-bad-element",
        ),
        pytest.param(
            b'[\n{"a":1},\n{"b":', [(2, 0, {"a": 1}), (3, 0, "truncated")], id="array-over-lines-cut-off"
        ),
        pytest.param(
            b'{"cut":\n{"a":1}\n{"a":2}\n',
            [(1, 0, "truncated"), (2, 0, {"a": 1}), (3, 0, {"a": 2})],
            id="first-line-cut-is-not-a-document",
        ),
    ],
)
def test_what_each_line_holds(data, expected):
    assert told(data) == expected
    counts_agree(read(data).export)


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        pytest.param(b"", "empty", "", id="empty"),
        pytest.param(b"\n \n\r\n", "empty", "", id="blank-lines"),
        pytest.param(b'{"a":1}\n', "ndjson", "", id="one-row"),
        pytest.param(b"[]\n", "json_array", "", id="empty-array"),
        pytest.param(b"[\n]\n", "json_array", "", id="empty-array-over-lines"),
        pytest.param(b'[{"a":1},{"a":2}]', "json_array", "", id="array-on-one-line"),
        pytest.param(b'[\n{"a":1}\n]\n', "json_array", "", id="array-over-lines"),
        pytest.param(b'[{"a":1}]\n{"a":2}\n', "ndjson", "", id="array-line-among-rows"),
        pytest.param(b'{\n"a":1\n}', "json_object", "", id="object-over-lines"),
        pytest.param(b'[\n{"a":1}\n]\n{"b":2}\n', "json_sequence", "", id="array-and-an-object-after-it"),
        pytest.param(b'{\n"a":1\n}\n{\n"a":1\n}', "json_sequence", "", id="objects-over-lines"),
        pytest.param(
            b'"42703"\nnull\nnull\n"column x does not exist"\n',
            "postgrest_error",
            "error 42703: column x does not exist",
            id="error-taken-apart",
        ),
        pytest.param(
            b'"PGRST205"\n"Perhaps you meant"\n"Could not find the table"\n',
            "postgrest_error",
            "PGRST205: Could not find the table",
            id="error-without-details",
        ),
        pytest.param(
            b'{"code":"PGRST100","details":null,"hint":null,"message":"bad alias"}',
            "postgrest_error",
            "PGRST100: bad alias",
            id="error-object",
        ),
        pytest.param(
            b'{\n "code": "42P01",\n "message": "no relation"\n}\n',
            "postgrest_error",
            "42P01: no relation",
            id="error-object-over-lines",
        ),
        pytest.param(
            b'{"message":"No API key found","hint":"add apikey"}',
            "postgrest_error",
            "without a code: No API key",
            id="gateway-error",
        ),
        pytest.param(b'{"error":"Unauthorized"}', "error_body", "an error: Unauthorized.", id="a-word"),
        pytest.param(
            b'{"error":{"code":"rate_limited","message":"slow down"}}',
            "error_body",
            "slow down.",
            id="nested-error",
        ),
        pytest.param(
            b'{\n "statusCode": "404",\n "error": "not_found",\n "message": "No such bucket"\n}\n',
            "error_body",
            "not_found, No such bucket.",
            id="error-over-lines",
        ),
        pytest.param(b'{"errors":["You need to sign in."]}', "error_body", "sign in.", id="help-desk-error"),
        pytest.param(b'{"code":401,"msg":"bad token ey"}', "error_body", "bad token ey.", id="sign-in-error"),
        pytest.param(
            b'[{"detail":"Not authenticated"}]', "error_body", "Not authenticated.", id="in-an-array"
        ),
        pytest.param(
            b'{"data":[{"id":1},{"id":2}],"count":2}', "envelope", "jq -c '.data[]' FILE", id="envelope"
        ),
        pytest.param(
            b'{\n "success": true,\n "data": {"meta": {"all": 2}, "payload": [\n  {"id": 1}\n ]}\n}\n',
            "envelope",
            ".data.payload[]",
            id="envelope-in-an-envelope",
        ),
        pytest.param(
            b'{"rows":[' + b",".join([b'{"id":1,"status":"OK"}'] * 9000) + b"]}",
            "envelope",
            "none of them was read",
            id="envelope-longer-than-what-is-looked-at",
        ),
        pytest.param(b'{"decisionId":1,"items":[{"sku":"a"}]}', "ndjson", "", id="a-row-with-items"),
        pytest.param(b'{"items":[{"a":1}]}\n{"items":[{"a":2}]}\n', "ndjson", "", id="rows-of-items"),
        pytest.param(b'{"status":"FAILED","error":"boom"}', "ndjson", "", id="an-event-that-failed"),
        pytest.param(b'{"id":7,"error":"boom"}', "ndjson", "", id="a-row-with-an-id-that-failed"),
        pytest.param(b'{"error":"a"}\n{"error":"b"}\n', "ndjson", "", id="two-rows-that-failed"),
        pytest.param(b'{"message":"No","statusCode":404}', "error_body", "an error: No.", id="by-its-number"),
        pytest.param(b'{"message":"all well","status":200}', "ndjson", "", id="no-error-at-all"),
        pytest.param(b'"just a string"\n5\n', "scalars", "single JSON values", id="scalars"),
        pytest.param(b"<!DOCTYPE html>\n<html></html>\n", "html", "web page", id="html"),
        pytest.param(b"\n  <html>\n", "html", "web page", id="html-after-a-blank-line"),
        pytest.param(
            b"> app@1.0.0 export\n> node export.js\n", "text_banner", "plain text", id="program-output"
        ),
        pytest.param(b"[ERROR] no connection\n", "ndjson", "No line could be read", id="bracketed-log"),
        pytest.param(b'> app@1.0.0 export\n\n{"a":1}\n', "ndjson", "", id="banner-before-rows"),
        pytest.param(b"\x00\x01\x02\n", "binary", "not text", id="binary"),
        pytest.param(b'{"a":\n', "ndjson", "No line could be read", id="only-a-cut-row"),
    ],
)
def test_what_the_file_is(data, kind, said):
    export = read(data).export
    assert export.kind == kind
    assert said in export.diagnosis
    assert bool(said) == bool(export.diagnosis)
    assert export.is_data == (kind in ("empty", "ndjson", "json_array", "json_object", "json_sequence"))
    counts_agree(export)


def test_line_numbers_are_what_an_editor_shows_and_ordinals_skip_blank_lines():
    lines = list(read_lines(io.BytesIO(b'\n{"a":1}\n\n\n{"b":2}\nx\n')))
    assert [(line.number, line.ordinal) for line in lines] == [(2, 1), (5, 2), (6, 3)]
    lines = list(read_lines(io.BytesIO(b'[\n\n{"a":1},\n\n{"b":2}\n]')))
    assert [(line.number, line.ordinal) for line in lines] == [(3, 2), (5, 3)]


def test_a_blank_line_inside_an_object_stays_a_blank_line():
    export = read(b'{\n\n "a": 1\n}\n').export
    assert (export.lines, export.blank, export.record_lines, export.reject_lines) == (4, 1, 3, 0)


def test_repairs_are_named_on_the_record_and_counted():
    data = b'\xef\xbb\xbf{"a":1},\n[{"a":2}]\n{"a":NaN}{"a":4}\n{"a":"\xff"}\n'
    lines = list(reading := read_lines(io.BytesIO(data)))
    assert [line.repairs for line in lines] == [
        ("comma",),
        ("array",),
        ("non-finite", "concatenated"),
        ("concatenated",),
        ("invalid-utf8",),
    ]
    assert reading.export.repairs == {
        "comma": 1,
        "array": 1,
        "non-finite": 1,
        "concatenated": 2,
        "invalid-utf8": 1,
    }
    assert reading.export.bom


def test_a_reject_says_where_it_starts():
    (_, reject) = read_lines(io.BytesIO(b'{"a":1}{"b":tru}\n'))
    assert reject.raw[reject.at :] == '{"b":tru}'
    assert reject.detail == "JSON with an error in it: Expecting value at character 13"


def test_a_missing_last_line_end_is_remarked():
    assert read(b'{"a":1}').export.unterminated
    assert not read(b'{"a":1}\n').export.unterminated


def test_gzip_is_read_through_and_hashed_as_it_lies_on_disk(tmp_path):
    plain = b'{"a":1}\n\n{"b":2}\n'
    path = tmp_path / "export.ndjson.gz"
    path.write_bytes(gzip.compress(plain))
    got = read_records(path)
    assert got.records == [{"a": 1}, {"b": 2}]
    export = got.export
    assert (export.path, export.compression, export.kind, export.lines) == (
        "export.ndjson.gz",
        "gzip",
        "ndjson",
        3,
    )
    assert export.size == path.stat().st_size
    assert export.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_gzip_that_breaks_off_keeps_what_came_and_names_the_loss():
    whole = gzip.compress(
        b"".join(b'{"n":%d,"x":"%s"}\n' % (n, os.urandom(200).hex().encode()) for n in range(400))
    )
    got = read(whole[: len(whole) // 2])
    assert 0 < len(got.records) < 400
    assert got.problems[-1].problem == "compressed-data"
    assert got.problems[-1].ordinal == got.problems[-1].number == got.export.lines
    counts_agree(got.export)


def test_utf16_with_its_mark_is_read():
    got = read('{"name":"é"}\r\n'.encode("utf-16"))
    assert got.records == [{"name": "é"}]
    assert got.export.encoding == "utf-16"


def test_a_named_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b'{"a":1}\n',), daemon=True)
    # Nobody writes yet: asking for the reading must not open the pipe, which would wait and then lose it.
    reading = read_lines(pipe)
    writer.start()
    assert [line.record for line in reading] == [{"a": 1}]
    writer.join(timeout=10)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"PK\x03\x04rest", "zip", id="zip"),
        pytest.param(b"PAR1rest", "Parquet", id="parquet"),
        pytest.param(gzip.compress(b"\0" * 257 + b"ustar" + b"\0" * 300), "tar", id="tar-gz"),
    ],
)
def test_containers_are_refused_with_the_way_out(data, what):
    with pytest.raises(InputError, match=what) as caught:
        read(data)
    assert caught.value.hint
    assert caught.value.exit_code == USAGE


def test_paths_that_cannot_be_read_are_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_lines(tmp_path / "missing.ndjson")
    with pytest.raises(InputError, match="is a folder"):
        read_lines(tmp_path)
    with pytest.raises(InputError):
        read_lines(tmp_path / ("x" * 300))


@pytest.fixture
def locked(tmp_path):
    path = tmp_path / "locked.ndjson"
    path.touch(mode=0o000)
    return path


def test_a_file_without_read_permission_is_refused(locked, ordinary_user):
    path = locked
    with pytest.raises(InputError, match="may not be read"):
        read_lines(path)


def test_the_account_is_not_given_before_the_end():
    reading = read_lines(io.BytesIO(b'{"a":1}\n{"a":2}\n'))
    lines = iter(reading)
    next(lines)
    with pytest.raises(ValueError, match="every line"):
        _ = reading.export
    list(lines)
    assert reading.export.records == 2


ROW = st.dictionaries(
    st.sampled_from(["decisionId", "status", "n"]), st.integers() | st.text(), min_size=1, max_size=3
)
PIECE = st.one_of(
    ROW.map(lambda r: json.dumps(r).encode()),
    st.sampled_from(
        [
            b"",
            b"  ",
            b"[]",
            b"null",
            b'"PGRST205"',
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b'{"a":1}{"b":2}',
            b'{"a":',
            b"not json",
            b'[{"a":1},2]',
            b"\xef\xbb\xbf",
            b"\xff",
            b"NaN",
            b'{"a":NaN}',
            b"<html>",
            b"\x00",
            b"\r",
            b'{"a":1},',
            b'{"code":"x","message":"y"}',
        ]
    ),
    st.binary(max_size=12),
)
FILE = st.builds(
    lambda parts, end: end.join(parts), st.lists(PIECE, max_size=8), st.sampled_from([b"\n", b"\r\n"])
)


@settings(max_examples=150, deadline=None)
@given(data=FILE)
def test_every_physical_line_is_accounted_for(data):
    try:
        got = read(data)
    except InputError:
        return
    export = got.export
    counts_agree(export)
    assert len(got.records) == export.records
    assert len(got.problems) == export.rejects
    assert export.size == len(data)
    if export.encoding == "utf-8" and not export.compression:
        body = data.removeprefix(b"\xef\xbb\xbf")
        assert export.lines == body.count(b"\n") + (not body.endswith(b"\n") and body != b"")
    assert all(isinstance(record, dict) for record in got.records)
    assert all(1 <= line.number <= export.lines for line in got.problems)


@settings(deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=5), indent=st.sampled_from([None, 1, 4]), array=st.booleans())
def test_rows_survive_however_they_were_laid_out(rows, indent, array):
    text = json.dumps(rows, indent=indent) if array else "\n".join(json.dumps(r, indent=indent) for r in rows)
    got = read(text.encode())
    assert got.records == rows
    assert got.problems == []


@pytest.mark.parametrize(
    ("name", "kind", "records", "rejects"),
    [
        pytest.param("decision_sync_sample", "ndjson", 4, 0),
        pytest.param("edge", "ndjson", 17, 4),
        pytest.param("mixed_keys", "ndjson", 10, 0),
        pytest.param("concatenated", "ndjson", 4, 1),
        pytest.param("postgrest_error_exploded", "postgrest_error", 0, 4),
        pytest.param("html_saved_as", "html", 0, 8),
        pytest.param("empty", "empty", 0, 0),
        pytest.param("empty_array", "json_array", 0, 1),
    ],
)
def test_the_fixtures_are_what_their_readme_says(name, kind, records, rejects):
    got = read_records(EXPORTS / f"{name}.ndjson")
    assert (got.export.kind, len(got.records), len(got.problems)) == (kind, records, rejects)


def test_the_sample_is_the_file_the_legacy_kits_cite():
    assert read_records(EXPORTS / "decision_sync_sample.ndjson").export.sha256.startswith("295d45a3")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("mail jo.doe+x@shop.example.com now", "mail [e-mail] now", id="e-mail"),
        pytest.param('{"token": "abc123", "n": 1}', '{"token": "[secret]", "n": 1}', id="token-field"),
        pytest.param("Authorization: Bearer abc.def", "Authorization: [secret]", id="header"),
        pytest.param("key eyJhbGciOiJIUzI1NiJ9.e30.x end", "key [secret] end", id="jwt"),
        pytest.param("id " + "a1" * 20, "id [token]", id="long-token"),
        pytest.param(
            "id 123e4567-e89b-12d3-a456-426614174000",
            "id 123e4567-e89b-12d3-a456-426614174000",
            id="a-uuid-stays",
        ),
        pytest.param("card 4111 1111 1111 1111.", "card [number].", id="card-number"),
        pytest.param("call +1 555 123 4567 now", "call [phone] now", id="phone"),
        pytest.param("+49 (0)30/901820-0", "[phone]", id="phone-as-abroad"),
        pytest.param("555 123 4567", "[phone]", id="phone-alone"),
        pytest.param("(555) 123-4567", "[phone]", id="phone-in-brackets"),
        pytest.param("2025-10-10 14:05:00+00", "2025-10-10 14:05:00+00", id="no-phone-but-a-time"),
        pytest.param(
            "2025-10-10T14:05:00.123+0545", "2025-10-10T14:05:00.123+0545", id="no-phone-but-a-zone"
        ),
        pytest.param(
            "durationMs 1500.55 of 241.12", "durationMs 1500.55 of 241.12", id="no-phone-but-figures"
        ),
        pytest.param('{"first_name":"Alex"', '{"first_name":"[text, 4 characters]"', id="a-first-name"),
        pytest.param("at 1760019600000", "at 1760019600000", id="a-time-stays"),
        pytest.param(
            '{"text":"I want my \\"money\\" back","id":1}',
            '{"text":"[text, 24 characters]","id":1}',
            id="customer-words",
        ),
        pytest.param(
            '{"body":"cut off in the mid', '{"body":"[text, 18 characters]"', id="customer-words-cut-off"
        ),
        pytest.param("a\x1b[31mred\u202e", "a\\u001b[31mred\\u202e", id="terminal-escapes"),
    ],
)
def test_previews_show_no_people_secrets_or_escapes(text, shown):
    assert preview(text) == shown


def test_previews_are_short():
    assert preview("x y " * 1000) == ("x y " * 50)[:199] + "…"
    assert len(preview("é" * 201)) == 200


_BEGINS = st.sampled_from(["", "eyJ", "sbp_", "sb_secret_", "AKIA", "gho_", "name ", "1234 5678 "])


_ENDS = st.sampled_from(["", " a", "_", "\u0663", "\u200b", "\n", " 9012 3456"])


@given(text=st.tuples(_BEGINS, st.text("aZ1", min_size=5, max_size=10), _ENDS).map("".join))
def test_what_is_quoted_without_looking_has_nothing_in_it_that_is_cut(text):
    cut = text
    for pattern, instead in masking._patterns():
        cut = pattern.sub(instead, cut)
    assert masking.mask(text) == cut
