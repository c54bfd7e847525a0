"""What somebody who trusts nobody can check of the log, offline: an export, one record, two checkpoints."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cairnops import codec
from cairnops.domain import checkpoints, merkle
from cairnops.domain.checkpoints import BadNote, Checkpoint, Consistency, Extract, Inclusion, Key, Note
from cairnops.errors import CLEAN, FINDINGS, NOT_ENOUGH, InputError, NotFound
from cairnops.evidence import logfile
from cairnops.evidence.logfile import Finding, Scan, told
from cairnops.store import keys
from cairnops.store.seals import Signed
from cairnops.workspace import Workspace

#: What lies beside an export: the log's checkpoint, its public key, and how one key handed over to the next.
CHECKPOINT, PUBLIC_KEY, ROTATIONS = "checkpoint.txt", "ledger.pub", "ledger.rotations"
#: What an export of one session is called when it is about its place in the log.
EXTRACT_SUFFIX = ".extract"

_LARGEST = 256 << 20


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count: a key somebody vouched for, the one that lies beside, and earlier checkpoints.

    All are the contents of files as they were given; a public key is PEM or a verifier key.
    """

    key: str = ""
    beside: str = ""
    rotations: bytes = b""
    old: Sequence[bytes] = ()


@dataclass(slots=True)
class Verification:
    """What was checked, what is wrong, what is proved by it and what is not."""

    subject: str
    #: export, inclusion, consistency or database.
    kind: str = "export"
    rows: int = 0
    sealed: int = 0
    unsealed: int = 0
    beyond: int = 0
    #: Removed by retention, their hashes still in the log; of a database only.
    removed: int = 0
    origin: str = ""
    size: int | None = None
    #: Hex.
    root: str = ""
    #: The key that signed, as a verifier key, and its fingerprint; empty when no signature was found true.
    key: str = ""
    fingerprint: str = ""
    #: True when that key was vouched for by `Trust.key` or by an older checkpoint.
    vouched: bool = False
    #: The first fifty; `found` counts all.
    findings: list[Finding] = field(default_factory=list)
    found: int = 0
    proved: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 proved, 1 something is wrong, 3 nothing is wrong and not everything could be proved."""
        return FINDINGS if self.found else NOT_ENOUGH if self.unproved else CLEAN

    @property
    def verdict(self) -> str:
        """`proved`, `broken` or `not proved`."""
        return {CLEAN: "proved", FINDINGS: "broken", NOT_ENOUGH: "not proved"}[self.exit_code]

    def tell(self, code: str, what: str, line: int | None = None) -> None:
        """Add a finding."""
        self.found += 1
        self.findings.append(Finding(line, code, what))

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return {"verdict": self.verdict, **codec.record(self)}


def verify_export(
    export: Path,
    *,
    checkpoint: bytes = b"",
    extract: bytes = b"",
    trust: Trust | None = None,
    deep: bool = False,
) -> Verification:
    """Check an export of decisions against the checkpoint it was handed over with; an extract names a part of the log.

    Every record is hashed, its place in the log compared, and the root computed from all of them compared with
    the signed one. Nothing is fetched and no workspace is needed.

    Raises:
        InputError: when the export cannot be read or holds no decisions in full, or a key is none.
    """
    out, trust = Verification(str(export)), trust or Trust()
    head, part = _signed_tree(out, checkpoint, extract, trust)
    older = older_heads(out, trust, head)
    held = None if head is None else part.held if part else ((0, head.size),) if head.size else ()
    scanned = logfile.scan(
        export,
        held,
        size=head.size if head else 0,
        older=[o.size for o in older if part is None],
        keep_leaves=part is not None,
        deep=deep,
    )
    out.rows, out.sealed = scanned.rows, scanned.sealed
    out.unsealed, out.beyond = scanned.unsealed, scanned.beyond
    out.findings += scanned.findings
    out.found += scanned.found
    if head is not None:
        out.size, out.origin = head.size, head.origin
    if not scanned.found:
        _compare(out, scanned, head, part, older)
    _limits(out, scanned, head, part)
    return out


def _signed_tree(
    out: Verification, checkpoint: bytes, extract: bytes, trust: Trust
) -> tuple[Checkpoint | None, Extract | None]:
    """The tree somebody signed for; findings where the signature or the statements are not true."""
    head: Checkpoint | None = None
    part: Extract | None = None
    notes: list[tuple[str, Note]] = []
    try:
        if checkpoint:
            what = "checkpoint"
            head, note = checkpoints.read_checkpoint(checkpoint)
            notes.append((what, note))
        if extract:
            what = "extract"
            part, note = checkpoints.read_extract(extract)
            notes.append((what, note))
    except BadNote as error:
        out.tell(what, f"the {what} cannot be used: {error}")
    if part is not None:
        if head is not None and (part.origin, part.size, part.root) != (head.origin, head.size, head.root):
            out.tell("extract", "the extract and the checkpoint speak of different trees")
        head = head or Checkpoint(part.origin, part.size, part.root)
    if head is not None:
        for what, note in notes:
            check_signature(out, what, note, head.origin, trust)
        out.root = head.root.hex()
    return head, part


def check_signature(out: Verification, what: str, note: Note, origin: str, trust: Trust) -> None:
    """Say who signed the note, and whether somebody vouched for that key; a finding when nobody who should did."""
    text = trust.key or trust.beside
    if not text:
        return
    first = keys.public_key(text, origin)
    steps = checkpoints.handed_over(_rotations(out, trust), keys.check)
    try:
        signed = checkpoints.signers_of(note, checkpoints.reachable(first, steps), keys.check)
    except BadNote as error:
        out.tell("signature", f"the {what} is not as it was signed: {error}")
        return
    if not signed:
        there = ", ".join(f"{s.name} {s.key_id.hex()}" for s in note.signatures[:3])
        which = "given" if trust.key else "that lies beside it"
        out.tell(
            "signature",
            f"neither the key {which}, with the fingerprint {first.fingerprint[:16]}…, nor one it handed over to"
            f" signed the {what}; it is signed by {there}",
        )
        return
    out.key, out.fingerprint = str(signed[-1]), signed[-1].fingerprint
    out.vouched = bool(trust.key)


def _rotations(out: Verification, trust: Trust) -> list[Note]:
    if not trust.rotations:
        return []
    try:
        return checkpoints.read_notes(trust.rotations)
    except BadNote as error:
        out.tell("rotations", f"the statements of key rotation cannot be used: {error}")
        return []


def older_heads(out: Verification, trust: Trust, head: Checkpoint | None) -> list[Checkpoint]:
    """Earlier checkpoints that speak of this log; one its key did not sign is a finding."""
    found: list[Checkpoint] = []
    for raw in trust.old:
        try:
            old, note = checkpoints.read_checkpoint(raw)
        except BadNote as error:
            out.tell("old-checkpoint", f"the older checkpoint cannot be used: {error}")
            continue
        if head is None:
            continue
        if old.origin != head.origin:
            out.tell("old-checkpoint", f"the older checkpoint is of another log: {old.origin}")
            continue
        if out.key:
            present = Key.parse(out.key)
            steps = checkpoints.handed_over(_rotations(out, trust), keys.check)
            before = [present, *(a for a, _ in steps if present in checkpoints.reachable(a, steps))]
            try:
                signed = checkpoints.signers_of(note, dict.fromkeys(before), keys.check)
            except BadNote as error:
                out.tell("old-checkpoint", f"the older checkpoint is not as it was signed: {error}")
                continue
            if not signed:
                out.tell(
                    "old-checkpoint",
                    f"the older checkpoint was signed by another key than {present.id.hex()}, "
                    "and that key did not hand over to it",
                )
                continue
            out.vouched = True
        if old.size > head.size:
            out.tell("shrunk", f"the log was longer before: {old.size} records then, {head.size} now")
            continue
        found.append(old)
    return found


def _compare(
    out: Verification, scanned: Scan, head: Checkpoint | None, part: Extract | None, older: list[Checkpoint]
) -> None:
    """Roots against roots, once every line has been found sound by itself."""
    if head is None:
        if not scanned.missing and scanned.first == 0:
            out.root = scanned.tree.root().hex()
        return
    if part is None:
        found = scanned.tree.root()
    else:
        try:
            found = merkle.root_of_part(part.size, part.held, scanned.leaves, part.rest)
        except ValueError as error:
            out.tell("extract", f"the extract does not fit its tree: {error}")
            return
        _compare_part(out, scanned, part, older)
    sound = 0
    if part is None:
        for old in sorted(older, key=lambda o: o.size):
            if scanned.roots.get(old.size, merkle.EMPTY_ROOT) == old.root:
                sound = old.size
            else:
                out.tell(
                    "history",
                    f"the first {old.size} records are not those of the older checkpoint: something among "
                    f"{_lines_told(sound, old.size)} was changed and hashed anew",
                )
                break
    if found == head.root:
        return
    where = _lines_told(sound, head.size) if part is None else "its records or in the hashes it leaves out"
    out.tell(
        "root",
        f"every record agrees with its own hash, and together they are not the log that was signed: something in "
        f"{where} was changed and hashed anew (root {found.hex()[:16]}…, signed {head.root.hex()[:16]}…)",
    )


def _compare_part(out: Verification, scanned: Scan, part: Extract, older: list[Checkpoint]) -> None:
    for old in older:
        root = merkle.root_before(old.size, part.size, part.held, scanned.leaves, part.rest)
        if root is None:
            out.unproved.append(
                f"that the log begins with the {old.size} records of the older checkpoint: too few of them are "
                "here (cairnops ledger prove --since)"
            )
        elif root != old.root:
            out.tell(
                "history",
                f"the first {old.size} records are not those of the older checkpoint: the log was made anew",
            )


def _lines_told(start: int, end: int) -> str:
    return f"line {end}" if end - start == 1 else f"lines {start + 1}–{end}"


def _limits(out: Verification, scanned: Scan, head: Checkpoint | None, part: Extract | None) -> None:
    """Say what follows from what was checked, and what does not."""
    if head is None:
        _limits_unsigned(out, scanned)
    elif not out.found:
        which = f"all {scanned.sealed} sealed records are here"
        if part is not None:
            session = json.dumps(part.session, ensure_ascii=False)
            whose = f"session {session} has in" if part.session else "retention has left of"
            which = f"all {scanned.sealed} records {whose} a log of {head.size} are here"
        out.proved.append(f"{which}: unaltered, in their order, none dropped, none put in")
        if out.key:
            out.proved.append(f"the tree was signed by key {out.fingerprint[:16]}… of {head.origin}")
    if head is not None and not out.key and not out.found:
        out.unproved.append("who signed the checkpoint: no public key was given")
    elif out.key and not out.vouched:
        out.unproved.append(
            "whose key that is: it lay beside the file; compare its fingerprint with one you got another way, "
            "and give that key with --key"
        )
    if scanned.unsealed:
        out.unproved.append(
            f"{scanned.unsealed} records at the end are not sealed yet: they can still be changed or dropped"
        )
    if scanned.beyond:
        out.unproved.append(f"{scanned.beyond} records were sealed after this checkpoint: get a newer one")


def _limits_unsigned(out: Verification, scanned: Scan) -> None:
    if not scanned.rows:
        out.unproved.append("anything: the export has no rows, and there is no checkpoint to compare it with")
        return
    if not out.found and scanned.rows:
        out.proved.append(f"each of {scanned.rows} records agrees with the leaf hash written beside it")
    if not scanned.sealed:
        out.unproved.append("that they are the log's: none of them is sealed (cairnops ledger seal)")
        return
    if scanned.missing:
        out.unproved.append(f"what was at {told(scanned.missing).removesuffix(' is').removesuffix(' are')}")
    out.unproved.append(
        "that nothing was edited and hashed anew, dropped or cut off: there is no checkpoint to compare with"
    )


# One record, two checkpoints.


def verify_proof(
    proof: bytes, *, subject: str, record: Path | None = None, trust: Trust | None = None
) -> Verification:
    """Check an inclusion proof (with the record it is about) or a consistency proof (with the older checkpoint).

    Raises:
        InputError: when a file cannot be read or a key is none.
    """
    out, trust = Verification(subject), trust or Trust()
    try:
        read = checkpoints.read_proof(proof)
        head, note = checkpoints.read_checkpoint(read.checkpoint)
    except BadNote as error:
        out.tell("proof", f"the proof cannot be used: {error}")
        return out
    out.kind = "inclusion" if isinstance(read, Inclusion) else "consistency"
    out.size, out.origin, out.root = head.size, head.origin, head.root.hex()
    check_signature(out, "checkpoint", note, head.origin, trust)
    older = older_heads(out, trust, head)
    if isinstance(read, Inclusion):
        _included(out, read, head, record)
    else:
        _consistent(out, read, head, older, bool(trust.old))
    if not out.found and not out.key:
        out.unproved.append("who signed the checkpoint: no public key was given")
    elif out.key and not out.vouched and not out.found:
        out.unproved.append(
            "whose key that is: compare its fingerprint with one you got another way, and give it with --key"
        )
    return out


def _included(out: Verification, proof: Inclusion, head: Checkpoint, record: Path | None) -> None:
    def leads(leaf: bytes) -> bool:
        return merkle.verify_inclusion(leaf, proof.index, head.size, proof.steps, head.root)

    if record is None:
        leaf = _claimed_leaf(proof)
        if not leaf:
            out.unproved.append("anything: give the record the proof is about")
        elif leads(leaf):
            out.proved.append(f"a record with leaf hash {leaf.hex()} has index {proof.index} of {head.size}")
            out.unproved.append("what that record says: give it, as a line of an export")
        else:
            out.tell("proof", "the proof does not lead from its leaf hash to the signed root")
        return
    line, found, fault = logfile.record_at(record, proof.index)
    out.rows = 1
    if fault:
        out.tell("record", fault, line)
    elif not found:
        out.tell("record", f"{record.name} holds no record with log index {proof.index}")
    elif not leads(found):
        what = f"the record is not the one at log index {proof.index}: it or the proof was changed"
        out.tell("record", what, line)
    else:
        out.sealed = 1
        out.proved.append(f"the record is unaltered and has index {proof.index} of the log's {head.size}")


def _claimed_leaf(proof: Inclusion) -> bytes:
    try:
        leaf = bytes.fromhex(json.loads(proof.extra)["leafHash"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return b""
    return leaf if len(leaf) == merkle.HASH_BYTES else b""


def _consistent(
    out: Verification, proof: Consistency, head: Checkpoint, older: list[Checkpoint], given: bool
) -> None:
    if not given:
        out.unproved.append("anything: give the older checkpoint with --old")
        return
    for old in older:
        if old.size != proof.old:
            out.tell(
                "proof", f"the proof starts from {proof.old} records, the older checkpoint from {old.size}"
            )
        elif merkle.verify_consistency(old.size, head.size, old.root, head.root, proof.steps):
            out.proved.append(
                f"the log of {head.size} records begins with the {old.size} of the older checkpoint"
            )
        else:
            out.tell(
                "history",
                "the log does not begin with the records of the older checkpoint, or the proof is wrong",
            )


# Making what is handed over.


def extract(workspace: Workspace, session: str, signed: Signed) -> str | None:
    """The signed extract of a session at that checkpoint; None when the session is the whole log.

    Without a session it is of everything retention has left.

    Raises:
        WorkspaceError: when the key cannot be read.
    """
    gone = set() if session else workspace.seals.removed()
    indexes = [i for u, i in workspace.seals.indexes(session).items() if i < signed.size and u not in gone]
    held = merkle.spans(indexes)
    if held == ((0, signed.size),):
        return None
    leaves = workspace.seals.leaves(signed.size)
    rest = tuple(merkle.root(leaves[a:b]) for a, b in merkle.gaps(signed.size, held))
    signer = workspace.signer()
    made = Extract(signer.key.name, signed.size, signed.root, session, held, rest)
    return checkpoints.write_note(made.text, [signer])


def rotations(workspace: Workspace) -> str:
    """The statements with which keys handed over, oldest first; empty when there was one key only."""
    return "\n".join(held.statement for held in workspace.seals.held_keys() if held.statement)


def newest(workspace: Workspace) -> Signed:
    """The checkpoint signed last.

    Raises:
        NotFound: when nothing was sealed.
    """
    signed = workspace.seals.newest()
    if signed is None:
        raise NotFound("Nothing is sealed in this workspace.", hint="cairnops ledger seal")
    return signed


def prove(workspace: Workspace, uid: str) -> Inclusion:
    """The proof that a decision is in the log of the newest checkpoint.

    Raises:
        NotFound: when it is not sealed.
    """
    signed = newest(workspace)
    index = workspace.seals.indexes().get(uid)
    if index is None:
        raise NotFound(f"Decision {uid} is not sealed yet.", hint="cairnops ledger seal")
    leaves = workspace.seals.leaves(signed.size)
    extra = codec.canonical({"leafHash": leaves[index].hex(), "uid": uid})
    return Inclusion(index, merkle.inclusion_proof(leaves, index), signed.note, extra.encode())


def prove_since(workspace: Workspace, old: bytes) -> Consistency:
    """The proof that the newest checkpoint's log begins with that of an older one.

    Raises:
        InputError: when that is no checkpoint of this log, or one of a longer log.
    """
    signed = newest(workspace)
    try:
        before, _ = checkpoints.read_checkpoint(old)
        origin = checkpoints.read_checkpoint(signed.note)[0].origin
    except BadNote as error:
        raise InputError(f"That is no checkpoint: {error}.") from None
    if before.origin != origin:
        raise InputError(f"That checkpoint is of another log, {before.origin}; this one is {origin}.")
    if before.size > signed.size:
        raise InputError(f"That checkpoint is of {before.size} records, this log has sealed {signed.size}.")
    leaves = workspace.seals.leaves(signed.size)
    return Consistency(before.size, merkle.consistency_proof(leaves, before.size), signed.note)


def beside(export: Path) -> dict[str, Path]:
    """The files of the log that lie beside an export, by what they are."""
    there = {
        "checkpoint": export.parent / CHECKPOINT,
        "key": export.parent / PUBLIC_KEY,
        "rotations": export.parent / ROTATIONS,
        "extract": export.with_suffix(EXTRACT_SUFFIX),
    }
    return {what: path for what, path in there.items() if path.is_file()}


def trusted_key(given: str) -> str:
    """The text of the public key somebody vouches for: a file's, or the key itself as it stands.

    A wrong file is looked at here: found later, it would be told as a fault of the evidence.

    Raises:
        InputError: when it cannot be read, or is no public key.
    """
    text = given
    if "-----BEGIN" not in given and (given.count("+") < 2 or Path(given).exists()):
        text = read_small(Path(given)).decode(errors="replace")
    if not text.strip():
        raise InputError(f"{given} is empty, not a public key.", hint="Give a ledger.pub.")
    try:
        keys.public_key(text, "given")
    except InputError as error:
        raise InputError(f"{given}: {error}", hint=error.hint) from None
    return text


def read_small(path: Path) -> bytes:
    """A statement's bytes.

    Raises:
        InputError: when it cannot be read or is larger than any statement.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} is too large for a checkpoint, a key or a proof.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", hint="Check the path and its permissions."
        ) from None
