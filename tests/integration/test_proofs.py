"""Proofs from end to end: what was sealed verifies anywhere, and what was altered never passes as unaltered."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops import codec
from cairnops.domain import merkle
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.requests import Action, Request
from cairnops.errors import InputError, NotFound, WorkspaceError
from cairnops.evidence import exports, logfile, proofs
from cairnops.evidence.proofs import Trust, Verification, verify_export, verify_proof
from cairnops.settings import Settings
from cairnops.store import keys
from cairnops.telemetry.writer import ESCAPED, write_ndjson
from cairnops.workspace import Workspace
from tests import warm

ALEX = Actor(email="alex@shop.example")
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
#: Everything a text can hold that a hash, a line or an escape could stumble over.
NOTES = (
    "asked the carrier",
    "caf\u00e9 \u2014 \u20ac 5, \U0001f600",
    "two\nlines\tand a tab",
    'a "quote" and a back\\slash, a \\u2028 that is only written so',
    "separators \u2028 and \u2029 and \u0085 and \\\u2028",
    "control \x01 \x1f \x7f \x9b \u200e \u2067 \u061c, \u00ab \u0628 \u2014",
    '","leafHash":"' + "0" * 64 + '","logIndex":0}',
)


def decide(w: Workspace, count: int, *, session: str = "one", start: int = 0) -> None:
    desk = w.desk(lambda: T0)
    for n in range(start, start + count):
        conversation = Conversation(
            id=f"{session}{n}",
            customer="Alex Rivera",
            customer_key=f"{session}{n}@example.test",
            status=Status.OPEN,
            created_at=T0 - timedelta(minutes=50),
            messages=(
                Message(
                    id=f"m{session}{n}",
                    author=Author.CUSTOMER,
                    text="Where is my order?",
                    at=T0 - timedelta(minutes=40),
                ),
            ),
        )
        desk.observe(conversation, ALEX)
        made = desk.submit(
            Request(
                action=Action.APPROVE_SEND,
                conversation=conversation.id,
                actor=ALEX,
                key=f"{session}/{n}",
                session=session,
                text="Hi Alex, your parcel is on its way.",
                note=NOTES[n % len(NOTES)],
            )
        )
        assert made.number, made


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "w", Settings()) as w:
        yield w


@dataclass(frozen=True)
class Handed:
    """What an outsider holds."""

    export: Path
    checkpoint: bytes
    key: str
    extract: bytes = b""

    def verify(self, export: Path | None = None, **over: Any) -> Verification:
        given: dict[str, Any] = {
            "checkpoint": self.checkpoint,
            "extract": self.extract,
            "trust": Trust(key=self.key),
        }
        return verify_export(export or self.export, **(given | over))

    def lines(self) -> list[bytes]:
        return self.export.read_bytes().splitlines(keepends=True)


def hand_out(w: Workspace, to: Path, session: str = "") -> Handed:
    """Write what `decisions export` and `ledger checkpoint` write."""
    signed = w.seals.newest()
    rows = exports.rows(w.ledger, "decisions", session=session, log_size=signed.size if signed else 0)
    path = to / f"export-{session}.ndjson"
    write_ndjson(path, rows)
    held = w.seals.held_keys()
    return Handed(
        path,
        signed.note.encode() if signed else b"",
        keys.pem(held[-1].key.public) if held else "",
        (proofs.extract(w, session, signed) or "").encode() if signed and session else b"",
    )


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    folder = tmp_path_factory.mktemp("sealed")
    with Workspace.open(folder / "w", Settings()) as w:
        decide(w, 7)
        w.seal(ALEX, T0)
        return hand_out(w, folder)


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    """One of two sessions that took turns."""
    folder = tmp_path_factory.mktemp("parted")
    with Workspace.open(folder / "w", Settings()) as w:
        for n in range(0, 6, 2):
            decide(w, 2, session="one", start=n)
            decide(w, 1, session="two", start=n)
        w.seal(ALEX, T0)
        return hand_out(w, folder, "one")


def test_an_export_line_is_the_hashed_text_with_two_fields_put_in(sealed: Handed) -> None:
    for index, line in enumerate(sealed.lines()):
        data = json.loads(line)
        leaf, at = data.pop("leafHash"), data.pop("logIndex")
        assert at == index
        text = codec.canonical(data).encode()
        assert merkle.leaf_hash(text).hex() == leaf
        assert logfile.canonical_text(line[: line.rindex(b',"leafHash"')] + b"}") == text
        assert data.keys() == logfile._FIELDS


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("which", ["sealed", "parted"])
def test_what_was_sealed_is_proved(which: str, deep: bool, request: pytest.FixtureRequest) -> None:
    handed: Handed = request.getfixturevalue(which)
    result = handed.verify(deep=deep)
    assert (result.verdict, result.exit_code, result.findings, result.unproved) == ("proved", 0, [], [])
    assert result.rows == result.sealed == (7 if which == "sealed" else 6)
    assert result.vouched
    # An extract says it all; the checkpoint only repeats it.
    if which == "parted":
        assert handed.verify(checkpoint=b"").verdict == "proved"
        without = handed.verify(extract=b"")
        assert without.findings[0].code == "dropped"


# Nothing slips through.

Rows = list[bytes]


def field_edits(row: bytes) -> Iterator[bytes]:
    """The row with each of its values changed, at every depth, and with fields lost and gained."""
    data = json.loads(row)

    def dumped(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def walk(value: Any, put: Callable[[Any], None]) -> Iterator[bytes]:
        if isinstance(value, dict):
            for name in list(value):
                held = value[name]
                yield from walk(held, lambda v, name=name, value=value: value.__setitem__(name, v))
                value[name] = held
                kept = dict(value)
                del value[name]
                yield dumped(data)
                value.clear()
                value.update(kept)
            value["zzz"] = None
            yield dumped(data)
            del value["zzz"]
        elif isinstance(value, list):
            put([*value, None])
            yield dumped(data)
            for i, held in enumerate(value):
                yield from walk(held, lambda v, i=i, value=value: value.__setitem__(i, v))
                value[i] = held
            put(value)
        else:
            other = (
                not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}."
            )
            put(other)
            yield dumped(data)
            put(value)

    yield from walk(data, lambda _: None)


def classes_of(row: bytes) -> list[int]:
    """A position of every class of byte in the row: each distinct byte, first and last, and each of the tail."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for at, byte in enumerate(row):
        first.setdefault(byte, at)
        last[byte] = at
    return sorted({*first.values(), *last.values(), *range(len(row) - 100, len(row)), *range(20)})


def alterations(rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Ways to alter an export: every row, every class of byte position."""
    for i, row in enumerate(rows):
        rest = rows[:i], rows[i + 1 :]
        for at in classes_of(row):
            for bit in (0, 5, 7):
                changed = row[:at] + bytes([row[at] ^ 1 << bit]) + row[at + 1 :]
                yield f"row {i} byte {at} bit {bit}", [*rest[0], changed, *rest[1]]
            yield f"row {i} byte {at} lost", [*rest[0], row[:at] + row[at + 1 :], *rest[1]]
            yield f"row {i} blank put in at {at}", [*rest[0], row[:at] + b" " + row[at:], *rest[1]]
        for number, changed in enumerate(field_edits(row)):
            yield f"row {i} edit {number}", [*rest[0], changed, *rest[1]]
        yield f"row {i} dropped", [*rest[0], *rest[1]]
        yield f"row {i} twice", [*rest[0], row, row, *rest[1]]
        yield f"row {i} at the end again", [*rows, row]
        yield f"row {i} rewritten", [*rest[0], json.dumps(json.loads(row)).encode() + b"\n", *rest[1]]
        for number, spelled in enumerate(respelled(row)):
            yield f"row {i} spelled otherwise {number}", [*rest[0], spelled, *rest[1]]
        yield f"row {i} carriage return", [*rest[0], row[:-1] + b"\r\n", *rest[1]]
        for j in range(i + 1, len(rows)):
            moved = list(rows)
            moved[i], moved[j] = moved[j], moved[i]
            yield f"rows {i} and {j} swapped", moved
            yield f"rows {i} to {j} dropped", [*rows[:i], *rows[j + 1 :]]
        unplaced = row[: row.rindex(b',"logIndex"')] + b"}\n"
        yield f"row {i} without its index", [*rest[0], unplaced, *rest[1]]
        yield f"row {i} put in again without an index", [*rows, unplaced]
        yield f"row {i} empty line", [*rows[:i], b"\n", *rows[i:]]
        yield f"row {i} hashed anew", [*rest[0], hashed_anew(row), *rest[1]]
        yield f"row {i} dropped, the others numbered anew", numbered_anew([*rest[0], *rest[1]])
        yield (
            f"row {i} put in after, the others numbered anew",
            numbered_anew([*rows[: i + 1], hashed_anew(row), *rest[1]]),
        )
    for cut in (1, 2, 70, 100):
        whole = b"".join(rows)
        yield f"cut by {cut}", [whole[:-cut]]
    yield "a byte order mark", [b"\xef\xbb\xbf" + rows[0], *rows[1:]]
    yield "nothing", []
    yield "reversed", rows[::-1]


def hashed_anew(row: bytes) -> bytes:
    """What an attacker who knows the format does: edit, hash, write as an export is written."""
    data = json.loads(row)
    leaf, index = data.pop("leafHash"), data.pop("logIndex")
    data["note"] += " edited"
    leaf = codec.leaf_hash(codec.canonical(data))
    return line_of({**json.loads(codec.canonical(data)), "leafHash": leaf, "logIndex": index})


def respelled(row: bytes) -> Iterator[bytes]:
    """The same record in other bytes: characters for escapes, escapes for characters."""
    text = row.decode()
    for code, escape in ESCAPED.items():
        if escape in text:
            yield text.replace(escape, chr(code)).encode()
            yield text.replace(escape, escape.upper().replace("U", "u")).encode()
    for c in sorted({c for c in text if not c.isascii()} | set("a/")):
        units = c.encode("utf-16-be").hex(" ", 2).split()
        yield text.replace(c, "".join(f"\\u{unit}" for unit in units), 1).encode()
    yield text.replace("\\n", "\\u000a", 1).encode()
    yield text.replace("\\u0001", "\\u0001".upper().replace("U", "u"), 1).encode()
    yield text.replace('"elapsedS":', '"elapsedS":0', 1).encode()
    yield text.replace('"editDistance":0', '"editDistance":-0', 1).encode()
    yield text.replace('"editDistance":0', '"editDistance":0.0', 1).encode()


def upper(row: bytes) -> bytes:
    return row.replace(b"parcel", b"Parcel")


def spaced(row: bytes) -> bytes:
    return json.dumps(json.loads(row)).encode() + b"\n"


def numbered_anew(rows: Rows) -> Rows:
    return [line_of(json.loads(row) | {"logIndex": i}) for i, row in enumerate(rows)]


def line_of(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.translate(ESCAPED).encode() + b"\n"


@pytest.mark.parametrize("which", ["sealed", "parted"])
def test_of_all_alterations_none_slips_through(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    handed: Handed = request.getfixturevalue(which)
    rows, whole = handed.lines(), handed.export.read_bytes()
    assert whole == b"".join(line_of(json.loads(row)) for row in rows)
    export = tmp_path / "altered.ndjson"
    tried, slipped = 0, []
    for what, altered in alterations(rows):
        data = b"".join(altered)
        if data == whole:
            continue
        tried += 1
        export.write_bytes(data)
        try:
            result = handed.verify(export)
        except InputError:
            continue
        if result.exit_code == 0:
            slipped.append(what)
        elif result.exit_code != 1 and not data.startswith(whole):
            # Only what is put after the last record may be left open: the checkpoint does not speak of it.
            slipped.append(f"{what}: only not proved")
    assert slipped == []
    assert tried > 6000
    print(f"{which}: {tried} alterations, {len(slipped)} slipped through")


@pytest.mark.parametrize(
    ("alter", "line", "code", "said"),
    [
        pytest.param(lambda r: [*r[:2], upper(r[2]), *r[3:]], 3, "edited", "do not agree", id="edit"),
        pytest.param(lambda r: [*r[:2], *r[3:]], 3, "dropped", "log index 3 stands where 2 should", id="drop"),
        pytest.param(lambda r: [*r[:4], r[3], *r[4:]], 5, "duplicate", "there twice", id="duplicate"),
        pytest.param(lambda r: [r[0], r[2], r[1], *r[3:]], 2, "dropped", "dropped or moved", id="swap"),
        pytest.param(lambda r: r[:5], None, "truncated", "log indexes 5–6 are missing at its end", id="cut"),
        pytest.param(lambda r: [*r[:-1], r[-1][:-1]], 7, "truncated", "no line end", id="last byte"),
        pytest.param(lambda r: [r[0][:-2] + b',"x":1}\n', *r[1:]], 1, "extra", "no decision has: x", id="extra field"),
        pytest.param(lambda r: [*r[:6], b"}{\n"], 7, "unreadable", "not one JSON object", id="junk"),
        pytest.param(lambda r: [*r[:6], spaced(r[6])], 7, "rewritten", "the same record", id="other bytes"),
        pytest.param(lambda r: [*r[:3], hashed_anew(r[3]), *r[4:]], None, "root", "lines 1–7", id="hashed anew"),
    ],
)  # fmt: skip
def test_the_first_bad_record_is_named(
    sealed: Handed, tmp_path: Path, alter: Callable[[Rows], Rows], line: int | None, code: str, said: str
) -> None:
    export = tmp_path / "altered.ndjson"
    export.write_bytes(b"".join(alter(sealed.lines())))
    result = sealed.verify(export)
    first = result.findings[0]
    assert (first.line, first.code, result.exit_code) == (line, code, 1)
    assert said in first.what
    assert not result.proved or code == "x"


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_bytes_bring_the_verifier_down_or_pass(
    sealed: Handed, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = bytearray(sealed.export.read_bytes())
    seed = data.draw(st.integers(0, 2**32))
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(raw))
        end = min(at + chance.choice((0, 1, 1, 3, 200)), len(raw))
        raw[at:end] = bytes(chance.randrange(256) for _ in range(chance.choice((0, 1, 2, 40))))
    if bytes(raw) == sealed.export.read_bytes():
        return
    export = tmp_path_factory.getbasetemp() / "fuzzed.ndjson"
    export.write_bytes(bytes(raw))
    try:
        assert sealed.verify(export, deep=chance.random() < 0.5).exit_code == 1
    except InputError:
        return


def test_no_byte_of_the_checkpoint_or_the_extract_can_be_changed(parted: Handed) -> None:
    for name in ("checkpoint", "extract"):
        raw: bytes = getattr(parted, name)
        for at in range(len(raw)):
            for bit in (0, 5):
                changed = raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
                result = parted.verify(**{name: changed})
                assert result.exit_code in (1, 3), (name, at)
                assert result.findings, (name, at)


# Who signed.


def test_a_log_signed_anew_with_another_key_is_caught(sealed: Handed, tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "forger", Settings()) as w:
        decide(w, 7)
        w.seal(ALEX, T0)
        forged = hand_out(w, tmp_path)
    # Whoever takes the key that lies beside is told that it proves nothing about who signed.
    alone = forged.verify(trust=Trust(beside=forged.key))
    assert (alone.exit_code, alone.vouched) == (3, False)
    assert "whose key" in alone.unproved[0]
    assert forged.verify(trust=Trust(key=sealed.key)).findings[0].code == "signature"
    kept = [sealed.checkpoint]
    assert forged.verify(trust=Trust(beside=forged.key, old=kept)).findings[0].code == "old-checkpoint"
    # The honest one needs no key from elsewhere when an earlier checkpoint was kept.
    assert sealed.verify(trust=Trust(beside=sealed.key, old=kept)).exit_code == 0


def test_without_a_checkpoint_it_says_what_is_not_proved(sealed: Handed, tmp_path: Path) -> None:
    result = sealed.verify(checkpoint=b"")
    assert (result.exit_code, result.findings) == (3, [])
    assert "no checkpoint" in result.unproved[-1]
    gap = tmp_path / "gap.ndjson"
    gap.write_bytes(b"".join(sealed.lines()[:2] + sealed.lines()[4:]))
    assert "what was at log indexes 2–3" in sealed.verify(gap, checkpoint=b"").unproved
    assert sealed.verify(trust=Trust()).unproved == ["who signed the checkpoint: no public key was given"]


def test_what_is_not_sealed_is_not_proved(workspace: Workspace, tmp_path: Path) -> None:
    decide(workspace, 2)
    unsealed = hand_out(workspace, tmp_path).verify(checkpoint=b"", trust=Trust())
    assert (unsealed.exit_code, unsealed.unsealed) == (3, 2)
    assert "none of them is sealed" in unsealed.unproved[0]
    workspace.seal(ALEX, T0)
    decide(workspace, 1, start=2)
    partly = hand_out(workspace, tmp_path)
    assert (partly.verify().exit_code, partly.verify().unsealed) == (3, 1)
    workspace.seal(ALEX, T0)
    later = hand_out(workspace, tmp_path)
    beyond = later.verify(checkpoint=partly.checkpoint)
    assert (beyond.exit_code, beyond.beyond, beyond.findings) == (3, 1, [])
    assert later.verify().exit_code == 0


def test_history_against_an_older_checkpoint(workspace: Workspace, tmp_path: Path) -> None:
    decide(workspace, 3)
    workspace.seal(ALEX, T0)
    old = hand_out(workspace, tmp_path)
    decide(workspace, 4, start=3)
    workspace.seal(ALEX, T0)
    new = hand_out(workspace, tmp_path)
    trust = Trust(key=new.key, old=[old.checkpoint])
    assert new.verify(trust=trust).exit_code == 0
    # An earlier, shorter log in the place of the present one.
    cut = tmp_path / "cut.ndjson"
    cut.write_bytes(b"".join(new.lines()[:3]))
    back = old.verify(cut, trust=Trust(key=new.key, old=[new.checkpoint]))
    assert [f.code for f in back.findings] == ["shrunk"]
    # What the older checkpoint covers is sound, so the damage is after it; and the other way round.
    for row, where in ((5, "lines 4–7"), (1, "lines 1–3")):
        changed = tmp_path / "changed.ndjson"
        changed.write_bytes(
            b"".join([*new.lines()[:row], hashed_anew(new.lines()[row]), *new.lines()[row + 1 :]])
        )
        assert where in new.verify(changed, trust=trust).findings[0].what


def test_keys_rotate_and_every_checkpoint_stays_good(workspace: Workspace, tmp_path: Path) -> None:
    decide(workspace, 2)
    workspace.seal(ALEX, T0)
    first = hand_out(workspace, tmp_path)
    before = (workspace.root / "keys" / keys.PRIVATE).read_bytes()
    workspace.rotate_key(ALEX, T0)
    assert (workspace.root / "keys" / keys.PRIVATE).read_bytes() != before
    assert (workspace.root / "keys" / keys.PRIVATE).stat().st_mode & 0o077 == 0
    assert not (workspace.root / "keys" / "ledger.key.next").exists()
    between = hand_out(workspace, tmp_path)
    decide(workspace, 1, start=2)
    workspace.seal(ALEX, T0)
    last = hand_out(workspace, tmp_path)
    said = proofs.rotations(workspace).encode()
    # Both keys sign the tree at the change; after it the old key needs the statement.
    short = first.export.with_name("short.ndjson")
    short.write_bytes(b"".join(last.lines()[:2]))
    assert between.verify(short, trust=Trust(key=first.key)).exit_code == 0
    assert last.verify(trust=Trust(key=first.key)).findings[0].code == "signature"
    assert last.verify(trust=Trust(key=first.key, rotations=said)).exit_code == 0
    assert last.verify(trust=Trust(key=last.key, rotations=said, old=[first.checkpoint])).exit_code == 0
    assert last.verify(trust=Trust(key=last.key, old=[first.checkpoint])).findings[0].code == "old-checkpoint"
    for at in range(0, len(said), 7):
        changed = said[:at] + bytes([said[at] ^ 1]) + said[at + 1 :]
        assert last.verify(trust=Trust(key=first.key, rotations=changed)).exit_code == 1


def test_a_rotation_cut_off_before_the_key_took_over_is_finished(workspace: Workspace) -> None:
    decide(workspace, 1)
    old = workspace.signer()
    folder = workspace.root / "keys"
    workspace.seals.rotate(old, keys.make_next(folder, old.key.name), T0, ALEX)
    assert workspace.seal(ALEX, T0).added == 1
    assert (folder / keys.PUBLIC).read_text() == keys.pem(workspace.signer().key.public)


def test_a_lost_key_is_said_and_nothing_is_signed(workspace: Workspace, tmp_path: Path) -> None:
    decide(workspace, 1)
    workspace.seal(ALEX, T0)
    folder = workspace.root / "keys"
    shutil.copy(folder / keys.PRIVATE, tmp_path / "copy")
    (folder / keys.PRIVATE).unlink()
    decide(workspace, 1, start=1)
    with pytest.raises(WorkspaceError, match="cannot be read"):
        workspace.seal(ALEX, T0)
    with (
        Workspace.open(workspace.root, Settings()) as again,
        pytest.raises(WorkspaceError, match="not the key"),
    ):
        again.seal(ALEX, T0)
    shutil.copy(tmp_path / "copy", folder / keys.PRIVATE)
    assert workspace.seal(ALEX, T0).added == 1


# One record, two checkpoints.


def test_a_record_is_proved_by_a_kilobyte(workspace: Workspace, tmp_path: Path) -> None:
    decide(workspace, 13)
    workspace.seal(ALEX, T0)
    handed = hand_out(workspace, tmp_path)
    trust = Trust(key=handed.key)
    one = tmp_path / "one.ndjson"
    for line, row in zip(handed.lines(), workspace.ledger.decisions(), strict=True):
        proof = proofs.prove(workspace, row["uid"]).text.encode()
        assert len(proof) < 1100
        one.write_bytes(line)
        for record in (one, handed.export):
            assert verify_proof(proof, subject="p", record=record, trust=trust).exit_code == 0
        one.write_text(json.dumps(json.loads(line), indent=2))
        assert verify_proof(proof, subject="p", record=one, trust=trust).exit_code == 0
        data = json.loads(line) | {"note": "other"}
        one.write_text(json.dumps(data))
        assert verify_proof(proof, subject="p", record=one, trust=trust).exit_code == 1
        alone = verify_proof(proof, subject="p", trust=trust)
        assert (alone.exit_code, row["leafHash"] in alone.proved[0]) == (3, True)
    other = hashed_anew(handed.lines()[12])
    one.write_bytes(other)
    assert verify_proof(proof, subject="p", record=one, trust=trust).findings[0].code == "record"
    with pytest.raises(NotFound):
        proofs.prove(workspace, "nobody")


def test_no_byte_of_a_proof_can_be_changed(workspace: Workspace, tmp_path: Path) -> None:
    decide(workspace, 5)
    workspace.seal(ALEX, T0)
    handed = hand_out(workspace, tmp_path)
    decide(workspace, 4, start=5)
    workspace.seal(ALEX, T0)
    record = tmp_path / "one.ndjson"
    record.write_bytes(handed.lines()[3])
    inclusion = replace(
        proofs.prove(workspace, json.loads(handed.lines()[3])["uid"]), extra=b""
    ).text.encode()
    growth = proofs.prove_since(workspace, handed.checkpoint).text.encode()
    trust = Trust(key=handed.key, old=[handed.checkpoint])
    for proof in (inclusion, growth):
        assert verify_proof(proof, subject="p", record=record, trust=trust).exit_code == 0
        for at in range(len(proof)):
            for bit in (0, 1, 5):
                changed = proof[:at] + bytes([proof[at] ^ 1 << bit]) + proof[at + 1 :]
                assert verify_proof(changed, subject="p", record=record, trust=trust).exit_code == 1, at


def test_growth_is_proved_between_two_checkpoints(workspace: Workspace, tmp_path: Path) -> None:
    notes = []
    for n in range(6):
        decide(workspace, 1, start=n)
        workspace.seal(ALEX, T0)
        notes.append(hand_out(workspace, tmp_path).checkpoint)
    key = hand_out(workspace, tmp_path).key
    for old in notes:
        proof = proofs.prove_since(workspace, old).text.encode()
        assert verify_proof(proof, subject="p", trust=Trust(key=key, old=[old])).exit_code == 0
        assert verify_proof(proof, subject="p", trust=Trust(key=key)).exit_code == 3
        wrong = notes[2] if old != notes[2] else notes[3]
        assert verify_proof(proof, subject="p", trust=Trust(key=key, old=[wrong])).exit_code == 1


# The command.


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return warm.run(
        [sys.executable, "-m", "cairnops", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_the_command_works_where_there_is_no_workspace(workspace: Workspace, tmp_path: Path) -> None:
    decide(workspace, 3)
    root = workspace.root
    sealed = run("ledger", "seal", "-w", root, "--json")
    assert (sealed.returncode, json.loads(sealed.stdout)["added"]) == (0, 3)
    away = tmp_path / "away"
    away.mkdir()
    export = away / "e.ndjson"
    assert run("decisions", "export", "-w", root, "-o", export).returncode == 0
    assert run("ledger", "checkpoint", "-w", root, "-o", away / "checkpoint.txt").returncode == 0
    number = json.loads(export.read_bytes().splitlines()[1])["decisionId"]
    made = run("ledger", "prove", number, "-w", root, "-o", away / "p", "--record", away / "r.ndjson")
    assert made.returncode == 0, made.stderr
    shutil.copy(root / "keys" / "ledger.pub", away)
    shutil.copy(root / "keys" / "ledger.pub", tmp_path)
    (key,) = json.loads(run("ledger", "keys", "-w", root, "--json").stdout)
    shutil.rmtree(root)
    for pub in (tmp_path / "ledger.pub", key["key"]):
        found = run("ledger", "verify", export, "--key", pub, "--deep", "--json")
        assert (found.returncode, json.loads(found.stdout)["verdict"]) == (0, "proved"), found.stderr
        assert run("ledger", "verify", away / "r.ndjson", "--proof", away / "p", "--key", pub).returncode == 0
    assert run("ledger", "verify", export).returncode == 3
    data = export.read_bytes()
    export.write_bytes(data.replace(b"parcel", b"Parcel", 1))
    broken = run("ledger", "verify", export, "--key", tmp_path / "ledger.pub")
    assert broken.returncode == 1
    assert "line 1: decision 101" in broken.stdout
    assert max(map(len, broken.stdout.splitlines())) <= 80
    for wrong in ((), (away / "none.ndjson",), (export, "--key", away / "p"), (export, "--key", "")):
        said = run("ledger", "verify", *wrong)
        assert "Traceback" not in said.stderr
    assert run("ledger", "verify").returncode == 2
    assert run("ledger", "verify", away / "none.ndjson").returncode == 2


def test_closing_a_session_leaves_what_verifies_it(workspace: Workspace) -> None:
    root = workspace.root
    for name in ("first", "second"):
        assert run("session", "start", name, "-w", root).returncode in (0, 1)
        decide(workspace, 2, session=name)
    closed = run("session", "close", "second", "-w", root)
    assert closed.returncode == 0, closed.stderr
    folder = root / "artifacts" / "second"
    (export,) = folder.glob("decision_export*.ndjson")
    names = {path.name for path in folder.iterdir()}
    assert {"checkpoint.txt", "ledger.pub", export.with_suffix(".extract").name} <= names
    assert run("ledger", "verify", export, "--key", folder / "ledger.pub").returncode == 0
    assert run("ledger", "verify", export).returncode == 3
    export.write_bytes(b"".join(export.read_bytes().splitlines(keepends=True)[:1]))
    assert run("ledger", "verify", export).returncode == 1
