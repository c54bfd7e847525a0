"""Sealing: which place in the log each decision gets, and which trees the log's key has signed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select

from cairnops import codec
from cairnops.domain import checkpoints, merkle
from cairnops.domain.changes import Entry
from cairnops.domain.checkpoints import Checkpoint, Key, Rotation, Signer
from cairnops.domain.conversations import Actor
from cairnops.errors import WorkspaceError
from cairnops.store import tables as t
from cairnops.store.engine import reading, repeatable, steady, writing
from cairnops.store.ledger import append
from cairnops.store.retention import Tombstone, buried

#: Sealers and whoever rotates the key come one after the other; deciding goes on beside them.
_LOG = "log"


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint the log has signed."""

    size: int
    root: bytes
    #: The signed note, byte for byte as it was made.
    note: str
    at: str
    actor: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one sealing did; `added` is 0 when there was nothing new, and `checkpoint` then the one there was."""

    added: int
    checkpoint: Signed | None


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key the log signs or signed with."""

    key: Key
    #: The note of the key before it; empty for the first.
    statement: str
    actor: str
    at: str


@dataclass(frozen=True, slots=True)
class Record:
    """A decision as its row has it, and its place in the log; a row that is not there leaves its part empty."""

    #: None for a decision that is not sealed.
    index: int | None
    uid: str
    #: The leaf hash it was sealed with, hex.
    sealed: str
    #: None for a place in the log whose decision is gone.
    body: str | None
    leaf_hash: str
    #: What the row says beside its text, under the names of the text's fields.
    columns: dict[str, object]


@dataclass(frozen=True, slots=True)
class Stored:
    """All that is stored about the log, of one moment and as it stands there."""

    #: Sealed ones in the order of the log, then the others by number.
    records: list[Record]
    #: Size, key id, root in hex and note, oldest first.
    checkpoints: list[tuple[int, str, str, str]]
    #: Origin, public key in hex and statement, oldest first.
    keys: list[tuple[str, str, str]]
    #: The number given last; numbers are given one after the other.
    numbered: int
    #: What stays of decisions that retention removed.
    tombstones: list[Tombstone]


@steady
class SqlSeals:
    """The sealed part of the ledger of one workspace."""

    def __init__(self, engine: Engine):
        self._engine = engine

    @repeatable
    def seal(self, signer: Signer, at: datetime, actor: Actor) -> Sealed:
        """Give every committed, unsealed decision the next log index, by number, and sign the tree.

        All of it is one transaction. Nothing new: nothing is written.

        Raises:
            WorkspaceError: when the key is not the log's, or what is stored does not agree with what was
                signed before; then nothing is signed.
        """
        with writing(self._engine, over=_LOG) as c:
            newest = _newest(c)
            fresh = c.execute(
                select(t.decision.c["uid", "body", "leaf_hash"])
                .where(t.decision.c.uid.not_in(select(t.seal.c.decision_uid)))
                .order_by(t.decision.c.number)
            ).all()
            if not fresh:
                return Sealed(0, newest)
            self._claim(c, signer.key, at, actor)
            tree = _tree(c, newest)
            first = tree.size
            rows = []
            for index, row in enumerate(fresh, first):
                if codec.leaf_hash(row.body) != row.leaf_hash:
                    raise WorkspaceError(
                        f"Decision {row.uid} no longer agrees with its leaf hash; nothing was sealed.",
                        hint="The database was changed from outside; compare it with a copy.",
                    )
                rows.append({"log_index": index, "decision_uid": row.uid, "leaf_hash": row.leaf_hash})
            c.execute(insert(t.seal), rows)
            tree.extend([bytes.fromhex(row.leaf_hash) for row in fresh])
            made = Checkpoint(signer.key.name, tree.size, tree.root())
            signed = _sign(c, made, [signer], at, actor)
            body = {"first": first, "size": made.size, "root": made.root.hex(), "key": signer.key.id.hex()}
            append(c, Entry(kind="ledger.sealed", at=at, actor=actor, body=body))
            return Sealed(len(rows), signed)

    def rotate(self, old: Signer, new: Signer, at: datetime, actor: Actor) -> HeldKey:
        """Let another key follow: the old one signs that it does, and both sign the tree as it is.

        Raises:
            WorkspaceError: when the old key is not the log's.
        """
        with writing(self._engine, over=_LOG) as c:
            self._claim(c, old.key, at, actor)
            newest = _newest(c)
            stated = Rotation(old.key.name, old.key, new.key, at, actor.email)
            note = checkpoints.write_note(stated.text, [old])
            _keep_key(c, new.key, note, at, actor)
            if newest is not None:
                tree = _tree(c, newest)
                _sign(c, Checkpoint(new.key.name, tree.size, tree.root()), [new, old], at, actor)
            body = {"from": old.key.id.hex(), "to": new.key.id.hex(), "fingerprint": new.key.fingerprint}
            append(c, Entry(kind="ledger.rotated", at=at, actor=actor, body=body))
        return HeldKey(new.key, note, actor.email, codec.stamp(at))

    def _claim(self, c: Connection, key: Key, at: datetime, actor: Actor) -> None:
        """Make sure the key is the log's; the first to sign becomes it."""
        held = _keys(c)
        if not held:
            _keep_key(c, key, "", at, actor)
        elif held[-1].key != key:
            raise WorkspaceError(
                f"The key {key.id.hex()} is not the one this ledger is sealed with, {held[-1].key.id.hex()}.",
                hint="If it was rotated a moment ago, run the command again; else put the key back from a copy.",
            )

    # What was sealed, as rows.

    def held_keys(self) -> list[HeldKey]:
        """Every key of the log, oldest first; the last is in force."""
        with reading(self._engine) as c:
            return _keys(c)

    def newest(self) -> Signed | None:
        """The checkpoint signed last."""
        with reading(self._engine) as c:
            return _newest(c)

    def checkpoints(self) -> list[Signed]:
        """Every checkpoint that was ever signed, oldest first."""
        with reading(self._engine) as c:
            rows = c.execute(select(t.checkpoint).order_by(t.checkpoint.c.seq)).all()
        return [Signed(row.size, bytes.fromhex(row.root), row.note, row.at, row.actor) for row in rows]

    def stored(self) -> Stored:
        """The log as it is stored, whatever was done to it: nothing is taken for true."""
        d, s, k, p = t.decision, t.seal, t.ledger_key.c, t.checkpoint.c
        with reading(self._engine) as c:
            sealed = select(s.c.log_index, s.c.decision_uid, s.c.leaf_hash.label("sealed"), d).select_from(
                s.outerjoin(d, d.c.uid == s.c.decision_uid)
            )
            rows = c.execute(sealed.order_by(s.c.log_index)).all()
            more = c.execute(
                select(d).where(d.c.uid.not_in(select(s.c.decision_uid))).order_by(d.c.number)
            ).all()
            signed = c.execute(select(p.size, p.key_id, p.root, p.note).order_by(p.seq)).all()
            held = c.execute(select(k.origin, k.public, k.statement).order_by(k.seq)).all()
            count = select(t.counter.c.value).where(t.counter.c.name == "decision")
            numbered = c.execute(count).scalar_one_or_none() or 0
            tombstones = buried(c)
        return Stored(
            [_record(r, r.log_index, r.decision_uid, r.sealed) for r in rows]
            + [_record(r, None, r.uid, "") for r in more],
            [(row[0], row[1], row[2], row[3]) for row in signed],
            [(row[0], row[1], row[2]) for row in held],
            numbered,
            tombstones,
        )

    def leaves(self, size: int) -> list[bytes]:
        """The leaf hashes of the first `size` records of the log."""
        with reading(self._engine) as c:
            return _leaves(c, size)

    def indexes(self, session: str = "") -> dict[str, int]:
        """The log index of every sealed decision, by uid, in the order of the log; of one session when named."""
        query = select(t.seal.c["decision_uid", "log_index"]).order_by(t.seal.c.log_index)
        if session:
            query = query.join(t.decision, t.decision.c.uid == t.seal.c.decision_uid).where(
                t.decision.c.session == session
            )
        with reading(self._engine) as c:
            return {row.decision_uid: row.log_index for row in c.execute(query)}

    def unsealed(self) -> int:
        """How many decisions have no place in the log yet."""
        with reading(self._engine) as c:
            waiting = select(func.count()).where(t.decision.c.uid.not_in(select(t.seal.c.decision_uid)))
            return int(c.execute(waiting).scalar_one())

    def removed(self) -> set[str]:
        """The uids of the decisions that retention removed."""
        with reading(self._engine) as c:
            return {stone.uid for stone in buried(c)}


def _record(row: Row[Any], index: int | None, uid: str, sealed: str) -> Record:
    columns = {
        "uid": row.uid, "decisionId": row.number, "scope": row.scope, "action": row.action, "actor": row.actor,
        "conversation": row.conversation_id, "session": row.session, "requestKey": row.request_key,
        "createdAt": row.at,
    }  # fmt: skip
    return Record(index, uid, sealed, row.body, row.leaf_hash or "", columns)


def _keep_key(c: Connection, key: Key, statement: str, at: datetime, actor: Actor) -> None:
    c.execute(
        insert(t.ledger_key).values(
            origin=key.name,
            public=key.public.hex(),
            statement=statement,
            actor=actor.email,
            at=codec.stamp(at),
        )
    )


def _keys(c: Connection) -> list[HeldKey]:
    rows = c.execute(select(t.ledger_key).order_by(t.ledger_key.c.seq)).all()
    return [
        HeldKey(Key(row.origin, bytes.fromhex(row.public)), row.statement, row.actor, row.at) for row in rows
    ]


def _newest(c: Connection) -> Signed | None:
    row = c.execute(select(t.checkpoint).order_by(t.checkpoint.c.seq.desc()).limit(1)).first()
    return Signed(row.size, bytes.fromhex(row.root), row.note, row.at, row.actor) if row else None


def _leaves(c: Connection, size: int | None = None) -> list[bytes]:
    query = select(t.seal.c.leaf_hash).order_by(t.seal.c.log_index)
    if size is not None:
        query = query.where(t.seal.c.log_index < size)
    return [bytes.fromhex(leaf) for leaf in c.execute(query).scalars()]


def _tree(c: Connection, newest: Signed | None) -> merkle.Frontier:
    """The tree as it stands, after making sure that it is the one that was signed."""
    tree = merkle.Frontier()
    tree.extend(_leaves(c))
    signed = (newest.size, newest.root) if newest else (0, merkle.EMPTY_ROOT)
    # A log that signs two trees for one history can never be believed again.
    if (tree.size, tree.root()) != signed:
        raise WorkspaceError(
            f"The sealed records are not the {signed[0]} the last checkpoint was signed for; nothing was signed.",
            hint="The database was changed from outside; compare it with a copy.",
        )
    return tree


def _sign(c: Connection, made: Checkpoint, signers: Sequence[Signer], at: datetime, actor: Actor) -> Signed:
    note = checkpoints.write_note(made.text, signers)
    c.execute(
        insert(t.checkpoint).values(
            size=made.size,
            key_id=signers[0].key.id.hex(),
            root=made.root.hex(),
            note=note,
            actor=actor.email,
            at=codec.stamp(at),
        )
    )
    return Signed(made.size, made.root, note, codec.stamp(at), actor.email)
