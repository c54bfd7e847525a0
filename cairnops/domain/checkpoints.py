"""What a log signs and how it reads: checkpoints, extracts of one session, and the handing over from key to key.

All three are signed notes (c2sp.org/signed-note) with Ed25519; a checkpoint is one of c2sp.org/tlog-checkpoint.
Signing and checking a signature are handed in: nothing here knows the algorithm's mathematics.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cairnops.domain.merkle import HASH_BYTES, Span

#: Type byte of a plain Ed25519 signature (signed-note, "Signature types").
_ED25519 = b"\x01"
_DASH = "\u2014 "
#: A note must be accepted with 16 signatures; one with more than this is an attack on whoever checks it.
_MOST_SIGNATURES = 64
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_SPAN = re.compile(r"(0|[1-9][0-9]{0,17})(?:-([1-9][0-9]{0,17}))?")


class BadNote(ValueError):
    """The text is no signed note of the kind it should be; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key as notes know it: a name, and the 32 bytes of an Ed25519 public key."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that say which key signed: SHA-256(name, newline, 0x01, public key)[:4]."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key's 32 bytes in hex: what two people compare over the telephone."""
        return hashlib.sha256(self.public).hexdigest()

    def __str__(self) -> str:
        """`name+id+base64`, the form Go's note tools call a verifier key."""
        return f"{self.name}+{self.id.hex()}+{_encode(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """The inverse of `str`.

        Raises:
            BadNote: for anything else.
        """
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise BadNote("a verifier key reads name+id+base64")
        name, key_id, raw = parts[0], parts[1], _decode(parts[2], 33)
        _check_name(name)
        if raw[:1] != _ED25519:
            raise BadNote("the verifier key is not an Ed25519 key")
        key = cls(name, raw[1:])
        if key.id.hex() != key_id:
            raise BadNote("the verifier key's id does not belong to its name and key")
        return key


class Signer(Protocol):
    """Whoever can sign: a key, and its private half."""

    @property
    def key(self) -> Key:
        """The public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        ...


#: True when the public key's owner signed the message: (public key, message, signature).
Check = Callable[[bytes, bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends with a newline, and who claims to have signed it."""

    text: str
    signatures: tuple[Signature, ...]


def write_note(text: str, signers: Iterable[Signer]) -> str:
    """The text with a signature line of each signer.

    Raises:
        BadNote: for a text or a key name a note cannot hold.
    """
    _check_text(text)
    lines = []
    for signer in signers:
        _check_name(signer.key.name)
        lines.append(f"{_DASH}{signer.key.name} {_encode(signer.key.id + signer.sign(text.encode()))}\n")
    return f"{text}\n{''.join(lines)}"


def read_note(raw: bytes | str) -> Note:
    """The parts of a signed note. Nothing in it is true before `signers_of` has named somebody.

    Raises:
        BadNote: when it is not one.
    """
    try:
        whole = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        raise BadNote("it is not UTF-8 text") from None
    head, blank, tail = whole.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise BadNote("it has no blank line followed by signature lines")
    text = f"{head}\n"
    _check_text(text)
    lines = tail[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise BadNote(f"it has more than {_MOST_SIGNATURES} signatures")
    return Note(text, tuple(_signature(line) for line in lines))


def read_notes(raw: bytes | str) -> list[Note]:
    """Notes one after the other, a blank line between them; their texts hold no blank line themselves.

    Raises:
        BadNote: when one of them is not a note.
    """
    whole = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    parts = whole.strip("\n").split("\n\n")
    if len(parts) % 2:
        raise BadNote("a note's text and its signatures come in pairs")
    return [read_note(f"{text}\n\n{signed}\n") for text, signed in zip(parts[::2], parts[1::2], strict=True)]


def signers_of(note: Note, keys: Iterable[Key], check: Check) -> list[Key]:
    """Those of the keys that signed the note.

    Signatures of other keys say nothing and are passed over, as the specification demands.

    Raises:
        BadNote: when one of the keys is named and its signature is not true.
    """
    found: list[Key] = []
    for key in keys:
        for one in note.signatures:
            if (one.name, one.key_id) != (key.name, key.id):
                continue
            if not check(key.public, note.text.encode(), one.value):
                raise BadNote(f"the signature of {key.name} ({key.id.hex()}) does not belong to this text")
            if key not in found:
                found.append(key)
    return found


# A checkpoint: so many records, with this root.


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The size of the tree and its root, for the log of that origin."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"


def read_checkpoint(raw: bytes | str) -> tuple[Checkpoint, Note]:
    """A checkpoint and the note it stands in; extension lines are signed too, and mean nothing to us.

    Raises:
        BadNote: when it is none.
    """
    note = read_note(raw)
    found, _ = _head(note.text, "a checkpoint")
    return found, note


def _head(text: str, what: str) -> tuple[Checkpoint, list[str]]:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise BadNote(f"{what} has at least three lines: origin, size, root")
    if not _NUMBER.fullmatch(lines[1]):
        raise BadNote("its second line is not the size of a tree")
    return Checkpoint(lines[0], int(lines[1]), _decode(lines[2], HASH_BYTES)), lines[3:]


# An extract: which records of the log belong to one session, and the hashes of everything between them.


@dataclass(frozen=True, slots=True)
class Extract:
    """What one session's export holds of the log at that size.

    Signed, because whoever drops a record could otherwise put its hash among those of the rest.
    """

    origin: str
    size: int
    root: bytes
    session: str
    held: tuple[Span, ...]
    #: The roots of `merkle.gaps(size, held)`, in that order.
    rest: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """The note's text: a checkpoint of `origin/extract`, whose further lines say what is held."""
        rows = ",".join(f"{a}-{b - 1}" if b - a > 1 else f"{a}" for a, b in self.held)
        lines = [
            f"{self.origin}/extract",
            f"{self.size}",
            _encode(self.root),
            f"session {json.dumps(self.session)}",
            f"rows {rows or 'none'}",
            *map(_encode, self.rest),
        ]
        return "\n".join(lines) + "\n"


def read_extract(raw: bytes | str) -> tuple[Extract, Note]:
    """An extract and the note it stands in.

    Raises:
        BadNote: when it is none.
    """
    note = read_note(raw)
    head, more = _head(note.text, "an extract")
    origin = head.origin.removesuffix("/extract")
    if origin == head.origin or len(more) < 2:
        raise BadNote("it is not an extract")
    try:
        session = json.loads(more[0].removeprefix("session "))
    except ValueError:
        session = None
    if not isinstance(session, str) or not more[1].startswith("rows "):
        raise BadNote("it does not say which session and which rows it is about")
    held = _held(more[1].removeprefix("rows "), head.size)
    rest = tuple(_decode(line, HASH_BYTES) for line in more[2:])
    found = Extract(origin, head.size, head.root, session, held, rest)
    if found.text != note.text:
        raise BadNote("it is not written as extracts are")
    return found, note


def _held(text: str, size: int) -> tuple[Span, ...]:
    out: list[Span] = []
    for part in () if text == "none" else text.split(","):
        match = _SPAN.fullmatch(part)
        if match is None:
            raise BadNote("its rows are not spans of log indexes")
        start = int(match[1])
        end = int(match[2] or start) + 1
        if end <= start or end > size or (out and start <= out[-1][1]):
            raise BadNote("its rows do not ascend within the tree")
        out.append((start, end))
    return tuple(out)


# A rotation: the old key says which key follows it.


@dataclass(frozen=True, slots=True)
class Rotation:
    """The statement with which a log changes its key; signed by the key that goes."""

    origin: str
    previous: Key
    following: Key
    at: datetime
    actor: str

    @property
    def text(self) -> str:
        """The note's text."""
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"{self.origin}/rotation\n{self.previous}\n{self.following}\n{at}\n{self.actor}\n"


def read_rotation(note: Note) -> Rotation:
    """The rotation a note states.

    Raises:
        BadNote: when it states none.
    """
    lines = note.text[:-1].split("\n")
    if len(lines) != 5 or not lines[0].endswith("/rotation"):
        raise BadNote("it is not a rotation")
    try:
        at = datetime.fromisoformat(lines[3])
    except ValueError:
        raise BadNote("it does not say when") from None
    origin = lines[0].removesuffix("/rotation")
    found = Rotation(origin, Key.parse(lines[1]), Key.parse(lines[2]), at, lines[4])
    if {found.previous.name, found.following.name} != {origin}:
        raise BadNote("its keys have another name than the log")
    return found


def handed_over(rotations: Iterable[Note], check: Check) -> list[tuple[Key, Key]]:
    """Which key handed over to which; statements their own key has not signed are passed over."""
    out = []
    for note in rotations:
        try:
            stated = read_rotation(note)
            if signers_of(note, [stated.previous], check):
                out.append((stated.previous, stated.following))
        except BadNote:
            continue
    return out


def reachable(key: Key, steps: Sequence[tuple[Key, Key]]) -> list[Key]:
    """The key, and every key that follows it over such steps."""
    out = [key]
    for known in out:
        out += [after for before, after in steps if before == known and after not in out]
    return out


def _signature(line: str) -> Signature:
    name, _, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not value:
        raise BadNote("its last lines are not signature lines")
    _check_name(name)
    raw = _decode(value)
    if len(raw) < 5:
        raise BadNote("a signature is too short")
    return Signature(name, raw[:4], raw[4:])


def _check_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n":
        raise BadNote("a note's text ends with a newline")
    if any(c < " " and c != "\n" for c in text):
        raise BadNote("it holds control characters")


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() for c in name):
        raise BadNote("a key's name is a word without blanks and plus signs")


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str, length: int = 0) -> bytes:
    """Strict base64: several texts for the same bytes would let a changed file pass as unchanged."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote("it holds something that is not base64") from None
    if _encode(raw) != text:
        raise BadNote("it holds base64 that is not written the one way it may be")
    if length and len(raw) != length:
        raise BadNote(f"it holds {len(raw)} bytes where {length} belong")
    return raw


# Proofs as texts.

_PROOF = "c2sp.org/tlog-proof@v1"
_MOST_STEPS = 63


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That the record of an index is in the tree of a checkpoint (c2sp.org/tlog-proof)."""

    index: int
    steps: tuple[bytes, ...]
    #: The signed note, as it was given.
    checkpoint: str
    #: Anything that helps a reader; nobody has signed it.
    extra: bytes = b""

    @property
    def text(self) -> str:
        """The proof's text."""
        extra = f"extra {_encode(self.extra)}\n" if self.extra else ""
        steps = "".join(f"{_encode(step)}\n" for step in self.steps)
        return f"{_PROOF}\n{extra}index {self.index}\n{steps}\n{self.checkpoint}"


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the tree of a checkpoint begins with the tree of an earlier size (c2sp.org/tlog-witness)."""

    old: int
    steps: tuple[bytes, ...]
    checkpoint: str

    @property
    def text(self) -> str:
        """The proof's text, in the form a witness is sent."""
        steps = "".join(f"{_encode(step)}\n" for step in self.steps)
        return f"old {self.old}\n{steps}\n{self.checkpoint}"


def read_proof(raw: bytes | str) -> Inclusion | Consistency:
    """An inclusion or a consistency proof.

    Raises:
        BadNote: when it is neither.
    """
    try:
        whole = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        raise BadNote("it is not UTF-8 text") from None
    head, blank, checkpoint = whole.partition("\n\n")
    lines = head.split("\n")
    if not blank:
        raise BadNote("it has no blank line before its checkpoint")
    inclusion = lines[0] == _PROOF
    extra = b""
    if inclusion:
        lines = lines[1:]
        if lines and lines[0].startswith("extra "):
            extra = _decode(lines.pop(0).removeprefix("extra "))
    word = "index " if inclusion else "old "
    if not lines or not lines[0].startswith(word) or not _NUMBER.fullmatch(lines[0].removeprefix(word)):
        raise BadNote("it is neither an inclusion nor a consistency proof")
    if len(lines) > _MOST_STEPS + 1:
        raise BadNote("it has more hashes than any tree needs")
    number = int(lines[0].removeprefix(word))
    steps = tuple(_decode(line, HASH_BYTES) for line in lines[1:])
    read_checkpoint(checkpoint)
    return (
        Inclusion(number, steps, checkpoint, extra) if inclusion else Consistency(number, steps, checkpoint)
    )
