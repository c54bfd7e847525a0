"""Whether a workspace's own database still holds what was sealed: each decision, its place, every signature."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from cairnops import codec
from cairnops.domain import checkpoints, merkle
from cairnops.domain.checkpoints import BadNote, Checkpoint, Key, Note
from cairnops.evidence import logfile, proofs
from cairnops.evidence.payload import is_hash
from cairnops.evidence.proofs import Trust, Verification
from cairnops.store import keys
from cairnops.store.seals import Record, Stored
from cairnops.workspace import Workspace

_KEPT = 50
#: What the first decision of every workspace is called.
_FIRST_NUMBER = 101


def verify_database(workspace: Workspace, *, trust: Trust | None = None, deep: bool = False) -> Verification:
    """Check everything the database says about its log; findings have the codes of an export's.

    Compared are each decision's text with its leaf hash, with the one it was sealed with and with the columns beside
    it, the places in the log with each other, the tree with every checkpoint that was ever signed, and every
    signature with the chain of keys. `trust` counts as for an export; `beside` and `rotations` are the workspace's.

    Raises:
        InputError: when a key of `trust` is none.
        WorkspaceError: when the database cannot be read.
    """
    out = Verification(workspace.place, kind="database")
    stored = workspace.seals.stored()
    _tombstones(out, stored)
    leaves = _records(out, stored, deep)
    _numbers(out, stored)
    chain = _keys(out, stored.keys)
    newest = _checkpoints(out, stored, leaves, chain)
    if newest is not None:
        head, note = newest
        out.size, out.origin, out.root = head.size, head.origin, head.root.hex()
        _trusted(out, stored, head, note, leaves, trust or Trust(), chain)
    out.findings = out.findings[:_KEPT]
    _limits(out, sealed=newest is not None)
    return out


def _records(out: Verification, stored: Stored, deep: bool) -> list[bytes]:
    """The leaf hashes as they were sealed, up to the first place that is missing."""
    leaves: list[bytes] = []
    due, number = 0, 0
    removed = {stone.uid: stone.leaf_hash for stone in stored.tombstones if stone.at}
    for record in stored.records:
        out.rows += record.body is not None
        if record.index is None:
            out.unsealed += 1
        elif record.index != due:
            there = [(due, record.index)]
            out.tell("dropped", f"{logfile.told(there)} missing: places in the log were deleted")
            due = record.index
        buried = record.body is None and record.sealed and removed.get(record.uid) == record.sealed
        out.removed += bool(buried)
        wrong = None if buried else _wrong(record)
        if not wrong and deep and record.body is not None:
            why, number = logfile.not_canonical(record.body.encode(), number)
            wrong = ("not-canonical", why) if why else None
        if wrong:
            out.tell(wrong[0], f"{_name(record)}: {wrong[1]}")
        if record.index is None:
            continue
        out.sealed += not wrong and not buried
        if due == len(leaves) and is_hash(record.sealed):
            leaves.append(bytes.fromhex(record.sealed))
        due += 1
    return leaves


def _numbers(out: Verification, stored: Stored) -> None:
    """Numbers are given one after the other, so a decision that is gone leaves a gap even when it was not sealed."""
    there = {record.columns["decisionId"] for record in stored.records}
    there |= {stone.number for stone in stored.tombstones}
    gone = [n for n in range(_FIRST_NUMBER, stored.numbered + 1) if n not in there]
    if gone:
        named = ", ".join(map(str, gone[:10])) + (" …" if len(gone) > 10 else "")
        out.tell("dropped", f"{len(gone)} decisions that were made are not there any more: {named}")


def _tombstones(out: Verification, stored: Stored) -> None:
    """What is said to have been removed was in the log, is not there, and somebody says that it was removed."""
    sealed = {record.uid: record for record in stored.records if record.index is not None}
    for stone in stored.tombstones:
        of = sealed.get(stone.uid)
        if of is None or of.sealed != stone.leaf_hash:
            out.tell(
                "dropped", f"the tombstone of decision {stone.number} is not of a record that was sealed"
            )
        elif of.body is not None:
            out.tell("inserted", f"decision {stone.number} has a tombstone and is still there")
        elif not stone.at:
            out.tell("dropped", f"decision {stone.number} was removed, and no retention is on record for it")


def _name(record: Record) -> str:
    number = record.columns["decisionId"]
    what = f"decision {number}" if isinstance(number, int) else f"decision {record.uid}"
    return what if record.index is None else f"{what} at log index {record.index}"


def _wrong(record: Record) -> tuple[str, str] | None:
    """What is wrong with one decision by itself."""
    if record.body is None:
        return "dropped", "it was sealed, and the decision is gone"
    if codec.leaf_hash(record.body) != record.leaf_hash:
        return "edited", "its text or its leaf hash was changed; they do not agree"
    if record.index is not None and record.sealed != record.leaf_hash:
        return (
            "edited",
            "it is not the record that was sealed: it was changed and hashed anew, or put in its place",
        )
    try:
        data: Any = json.loads(record.body)
        said = {
            **{name: data[name] for name in record.columns},
            "actor": data["actor"]["email"],
            "conversation": str(data["conversation"]).removeprefix("chatwoot:"),
        }
    except (ValueError, TypeError, KeyError, RecursionError):
        return "not-canonical", "the text is not a record at all, though it hashes right"
    if other := [name for name, value in record.columns.items() if said[name] != value]:
        return "edited", f"its row says another {', '.join(other)} than its text"
    return None


def _keys(out: Verification, held: Sequence[tuple[str, str, str]]) -> list[Key]:
    """The log's keys, oldest first, as far as each handed over to the next."""
    chain: list[Key] = []
    for place, (origin, public, statement) in enumerate(held, 1):
        if not is_hash(public):
            out.tell("rotations", f"key {place} of the log is no key")
            break
        key = Key(origin, bytes.fromhex(public))
        if chain and (why := _not_handed_over(chain[-1], key, statement)):
            out.tell("rotations", f"key {key.id.hex()} does not follow {chain[-1].id.hex()}: {why}")
            break
        if not chain and statement:
            out.tell(
                "rotations",
                f"key {key.id.hex()} is the log's first, and the statement beside it is of a later one",
            )
        chain.append(key)
    return chain


def _not_handed_over(before: Key, key: Key, statement: str) -> str:
    try:
        note = checkpoints.read_note(statement)
        stated = checkpoints.read_rotation(note)
        signed = checkpoints.signers_of(note, [before], keys.check)
    except BadNote as error:
        return str(error)
    if (stated.previous, stated.following) != (before, key):
        return "the statement is about other keys"
    return "" if signed else "the key before has not signed the statement"


def _checkpoints(
    out: Verification, stored: Stored, leaves: Sequence[bytes], chain: Sequence[Key]
) -> tuple[Checkpoint, Note] | None:
    """The newest checkpoint that can be read, after comparing each with the tree and with its signature."""
    places = sum(record.index is not None for record in stored.records)
    roots = _roots(leaves, {size for size, _, _, _ in stored.checkpoints})
    newest: tuple[Checkpoint, Note] | None = None
    for place, (size, key_id, root, text) in enumerate(stored.checkpoints, 1):
        what = f"checkpoint {place}, of {size} records,"
        try:
            head, note = checkpoints.read_checkpoint(text)
            signed = checkpoints.signers_of(note, chain, keys.check)
        except BadNote as error:
            out.tell("signature", f"{what} cannot be used: {error}")
            continue
        if not signed:
            out.tell("signature", f"{what} is not signed by a key of the log")
            continue
        if (head.size, head.root.hex(), key_id) != (size, root, note.signatures[0].key_id.hex()):
            out.tell("checkpoint", f"{what} says something else in its columns than in its signed text")
        elif head.origin != chain[0].name:
            out.tell("checkpoint", f"{what} is of another log: {head.origin}")
        elif newest is not None and head.size < newest[0].size:
            out.tell("checkpoint", f"{what} comes after one of {newest[0].size}: it was put in or moved")
        elif roots.get(head.size, head.root) != head.root:
            code = "root" if place == len(stored.checkpoints) else "history"
            out.tell(code, f"{what} was signed for other records than the first {head.size} of the log")
        newest = head, note
    size = newest[0].size if newest else 0
    if places < size:
        out.tell(
            "truncated",
            f"the log ends too early: {size - places} of the {size} records signed for are missing",
        )
    elif places > size:
        out.tell(
            "inserted",
            f"{places - size} places of the log are in no checkpoint: put in, or a checkpoint is gone",
        )
    return newest


def _roots(leaves: Sequence[bytes], sizes: Collection[int]) -> dict[int, bytes]:
    """The roots of the first so many records; larger trees than there are records for are left out."""
    tree, out = merkle.Frontier(), {}
    for size in sorted(sizes):
        if 0 <= size <= len(leaves):
            tree.extend(leaves[tree.size : size])
            out[size] = tree.root()
    return out


def _trusted(
    out: Verification, stored: Stored, head: Checkpoint, note: Note, leaves: Sequence[bytes], trust: Trust,
    chain: Sequence[Key],
) -> None:  # fmt: skip
    """Compare with what somebody else keeps: a key they vouch for, checkpoints from before."""
    statements = "\n".join(statement for _, _, statement in stored.keys if statement)
    beside = "" if trust.key else str(chain[-1])
    trust = replace(trust, beside=beside, rotations=statements.encode())
    proofs.check_signature(out, "newest checkpoint", note, head.origin, trust)
    older = proofs.older_heads(out, trust, head)
    roots = _roots(leaves, {old.size for old in older})
    for old in older:
        if roots.get(old.size, old.root) != old.root:
            what = f"the first {old.size} records are not those of the older checkpoint"
            out.tell("history", f"{what}: they were changed and sealed anew")


def _limits(out: Verification, *, sealed: bool) -> None:
    if not out.rows and not sealed and not out.found:
        out.unproved.append("anything: nothing was decided yet")
        return
    if not out.found and out.rows:
        out.proved.append(
            f"each of {out.rows} decisions agrees with its leaf hash and with the columns beside it"
        )
    if not sealed:
        if not out.found:
            out.unproved.append(
                "that nothing was edited, dropped or put in: nothing is sealed (cairnops ledger seal)"
            )
        return
    if not out.found:
        out.proved.append(
            f"all {out.sealed} sealed decisions are in their places: unaltered, none dropped, none put in"
        )
        if out.removed:
            out.proved.append(
                f"{out.removed} more were removed by retention, on record; their hashes stand in their places"
            )
        out.proved.append("every checkpoint fits the log, and is signed by a key of an unbroken chain")
        if not out.vouched:
            out.unproved.append(
                "that the whole log was not made anew with its keys: give a key you have from elsewhere (--key), or a "
                "checkpoint somebody kept (--old)"
            )
    if out.unsealed:
        out.unproved.append(
            f"{out.unsealed} decisions are not sealed yet: they can still be changed or dropped (cairnops ledger seal)"
        )
