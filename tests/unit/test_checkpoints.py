"""Signed notes, checkpoints, extracts, rotations and proofs as texts: one way to write each, and no other is read."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.domain import checkpoints, merkle
from cairnops.domain.checkpoints import BadNote, Checkpoint, Consistency, Extract, Inclusion, Key, Rotation
from cairnops.store.keys import Signing, check

# The published vector of Go's note package (golang.org/x/mod/sumdb/note, note_test.go): key, seed, note.
VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNED = (
    TEXT + "\n\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The example of c2sp.org/tlog-checkpoint.
EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
ORIGIN = "shop.example/cairnops/1"
LEAVES = [merkle.leaf_hash(bytes([i])) for i in range(11)]
AT = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)


def signing(seed: int, name: str = ORIGIN) -> Signing:
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return Signing(Key(name, private.public_key().public_bytes_raw()), private)


OURS, OTHER = signing(1), signing(2)


def test_a_note_is_signed_byte_for_byte_as_go_signs_it() -> None:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    signer = Signing(Key("PeterNeumann", private.public_key().public_bytes_raw()), private)
    assert str(signer.key) == VERIFIER
    assert checkpoints.write_note(TEXT, [signer]) == SIGNED
    note = checkpoints.read_note(SIGNED)
    assert note.text == TEXT
    assert checkpoints.signers_of(note, [Key.parse(VERIFIER)], check) == [signer.key]


def test_the_example_of_the_checkpoint_specification_reads() -> None:
    read, note = checkpoints.read_checkpoint(EXAMPLE)
    assert (read.origin, read.size, len(read.root)) == ("example.com/behind-the-sofa", 20852163, 32)
    assert read.text == note.text
    assert [s.name for s in note.signatures] == ["example.com/behind-the-sofa"]


def test_no_part_and_no_neighbour_of_a_verifier_key_is_one() -> None:
    for start in range(len(VERIFIER)):
        for end in range(start + 1, len(VERIFIER) + 1):
            if (start, end) != (0, len(VERIFIER)):
                with pytest.raises(BadNote):
                    Key.parse(VERIFIER[start:end])
    for i, c in enumerate(VERIFIER):
        with pytest.raises(BadNote):
            Key.parse(VERIFIER[:i] + chr(ord(c) + 1) + VERIFIER[i + 1 :])


def test_signatures_of_others_are_passed_over_and_a_false_one_of_ours_is_not() -> None:
    made = checkpoints.write_note(Checkpoint(ORIGIN, 3, LEAVES[0]).text, [OTHER, OURS])
    note = checkpoints.read_note(made)
    assert checkpoints.signers_of(note, [OURS.key], check) == [OURS.key]
    assert checkpoints.signers_of(note, [signing(3).key], check) == []
    assert checkpoints.signers_of(note, [replace(OURS.key, name="else.example")], check) == []
    with pytest.raises(BadNote, match="does not belong"):
        checkpoints.signers_of(replace(note, text=note.text + "more\n"), [OURS.key], check)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(TEXT, id="without signatures"),
        pytest.param(SIGNED[:-1], id="without its last line end"),
        pytest.param(SIGNED.replace("\u2014", "-"), id="a hyphen for the dash"),
        pytest.param(SIGNED.replace("AM=\n", "AN=\n"), id="base64 with loose bits"),
        pytest.param(SIGNED.replace("x08go", "x08 go"), id="a blank in the signature"),
        pytest.param(SIGNED.replace("\n", "\r\n"), id="line ends of another system"),
        pytest.param(SIGNED.replace("crypto", "crypto\x07"), id="a control character"),
        pytest.param(SIGNED + SIGNED.rpartition("\n\n")[2] * 64, id="too many signatures"),
        pytest.param(SIGNED.replace("PeterNeumann", "Peter+Neumann"), id="a plus in the name"),
        pytest.param(b"\xff" + SIGNED.encode(), id="no text"),
    ],
)
def test_what_is_no_note_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadNote):
        checkpoints.read_note(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("o\n3\n", id="no root"),
        pytest.param("o\n03\n{}\n", id="a leading zero"),
        pytest.param("o\n-1\n{}\n", id="a negative size"),
        pytest.param("o\n\u0663\n{}\n", id="a digit of another script"),
        pytest.param("o\n3\nAAAA\n", id="a short root"),
        pytest.param("o\n3\n{}\n\nmore\n", id="an empty line"),
        pytest.param("\n3\n{}\n", id="no origin"),
        pytest.param(f"o\n{'9' * 5000}\n{{}}\n", id="a size beyond reason"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    root = base64.b64encode(bytes(32)).decode()
    with pytest.raises(BadNote):
        checkpoints.read_checkpoint(checkpoints.write_note(text.format(root), [OURS]))


def test_an_extract_says_which_rows_and_reads_back() -> None:
    held = merkle.spans([2, 3, 4, 9])
    rest = tuple(merkle.root(LEAVES[a:b]) for a, b in merkle.gaps(11, held))
    made = Extract(ORIGIN, 11, merkle.root(LEAVES), "thursday\u2028", held, rest)
    note = checkpoints.write_note(made.text, [OURS])
    read, signed = checkpoints.read_extract(note)
    assert read == made
    assert "\nrows 2-4,9\n" in note
    assert checkpoints.signers_of(signed, [OURS.key], check)
    # A reader of checkpoints can read it too, and sees another log's name.
    assert checkpoints.read_checkpoint(note)[0].origin == f"{ORIGIN}/extract"
    empty = Extract(ORIGIN, 11, merkle.root(LEAVES), "s", (), (merkle.root(LEAVES),))
    assert checkpoints.read_extract(checkpoints.write_note(empty.text, [OURS]))[0] == empty
    for wrong in ("rows 4-2", "rows 2-40", "rows 9,2", "rows 2-3,4", "rows 2,,3", "rows"):
        with pytest.raises(BadNote):
            checkpoints.read_extract(checkpoints.write_note(made.text.replace("rows 2-4,9", wrong), [OURS]))


def test_keys_are_followed_over_statements_their_predecessor_signed() -> None:
    a, b, c = (signing(i) for i in (1, 2, 3))

    def said(old: Signing, new: Signing, by: Signing) -> str:
        return checkpoints.write_note(Rotation(ORIGIN, old.key, new.key, AT, "x@y.z").text, [by])

    true = said(a, b, a) + "\n" + said(b, c, b)
    forged = said(a, c, c)
    steps = checkpoints.handed_over(checkpoints.read_notes(true), check)
    assert steps == [(a.key, b.key), (b.key, c.key)]
    assert checkpoints.reachable(a.key, steps) == [a.key, b.key, c.key]
    assert checkpoints.reachable(c.key, steps) == [c.key]
    assert checkpoints.handed_over(checkpoints.read_notes(forged), check) == []
    assert checkpoints.read_rotation(checkpoints.read_notes(true)[1]).at == AT
    with pytest.raises(BadNote):
        checkpoints.read_notes(true + "\nand more\n")


def proofs() -> list[Inclusion | Consistency]:
    head = checkpoints.write_note(Checkpoint(ORIGIN, 11, merkle.root(LEAVES)).text, [OURS])
    return [
        Inclusion(4, merkle.inclusion_proof(LEAVES, 4), head, b'{"leafHash":"00"}'),
        Inclusion(0, (), head),
        Consistency(6, merkle.consistency_proof(LEAVES, 6), head),
        Consistency(0, (), head),
    ]


@pytest.mark.parametrize("proof", [pytest.param(p, id=str(i)) for i, p in enumerate(proofs())])
def test_a_proof_reads_back(proof: Inclusion | Consistency) -> None:
    assert checkpoints.read_proof(proof.text) == proof
    assert checkpoints.read_proof(proof.text.encode()) == proof


@settings(max_examples=150)
@given(st.data())
def test_a_text_with_a_byte_changed_reads_differently_or_not_at_all(data: st.DataObject) -> None:
    proof = data.draw(st.sampled_from(proofs()))
    raw = bytearray(proof.text.encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        assert checkpoints.read_proof(bytes(raw)) != proof
    except BadNote:
        return


@settings(max_examples=150)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_bring_a_reader_down(raw: bytes) -> None:
    for read in (
        checkpoints.read_note, checkpoints.read_notes, checkpoints.read_checkpoint, checkpoints.read_extract,
        checkpoints.read_proof,
    ):  # fmt: skip
        for whole in (raw, raw + b"\n\n" + SIGNED.encode(), b"old 1\n" + raw + b"\n\n" + EXAMPLE.encode()):
            try:
                read(whole)
            except BadNote:
                continue
