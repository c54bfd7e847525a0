"""Conversations as they were read at the help desk: the newest reading stands, in whatever order they arrive."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor, Conversation
from cairnops.store import tables as t
from cairnops.store.audit import append


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A conversation as it is kept, and how far which help desk had come when it was read."""

    conversation: Conversation
    body: str
    revision: int
    destination: str

    @classmethod
    def of(cls, conversation: Conversation, destination: str) -> "Reading":
        """What is kept of it; the revision is no part of that, for it grows with what nobody sees."""
        plain = codec.plain(conversation)
        revision = plain.pop("revision")
        return cls(
            conversation=conversation,
            body=codec.canonical(plain),
            revision=revision,
            destination=destination,
        )


def keep(c: Connection, read: Reading, *, at: datetime, actor: Actor, breached_at: datetime | None) -> int:
    """Keep a reading unless a newer one is kept; returns the conversation's version, which grows only if it differs."""
    key, revision = t.conversation.c.id == read.conversation.id, read.revision
    row = c.execute(select(t.conversation).where(key)).first()
    # Two that read at once may write in the other order, and what a slow one read hours ago is no news.
    # Revisions of two help desks say nothing of each other.
    if row is not None and row.destination == read.destination:
        if 0 < revision < row.revision:
            return int(row.version)
        revision = max(revision, row.revision)
    if breached_at is not None:
        _breached(c, read.conversation, breached_at, at, actor)
    reach = {"revision": revision, "destination": read.destination}
    if row is not None and row.body == read.body:
        if (row.revision, row.destination) != (revision, read.destination):
            c.execute(update(t.conversation).where(key).values(**reach))
        return int(row.version)
    version = int(row.version) + 1 if row is not None else 1
    values = {
        "version": version,
        "customer_key": read.conversation.customer_key,
        "body": read.body,
        "at": codec.stamp(at),
        **reach,
    }
    if row is None:
        c.execute(insert(t.conversation).values(id=read.conversation.id, **values))
    else:
        c.execute(update(t.conversation).where(key).values(**values))
    append(
        c,
        Entry(
            kind="conversation.observed",
            at=at,
            actor=actor,
            conversation=read.conversation.id,
            body={"version": version, "sha256": codec.digest(read.body)},
        ),
    )
    return version


def _breached(
    c: Connection, conversation: Conversation, breached_at: datetime, at: datetime, actor: Actor
) -> None:
    stamp = codec.stamp(breached_at)
    known = c.execute(
        select(t.breach).where(t.breach.c.conversation_id == conversation.id, t.breach.c.breached_at == stamp)
    ).first()
    if known is not None:
        return
    c.execute(
        insert(t.breach).values(
            conversation_id=conversation.id, breached_at=stamp, customer_key=conversation.customer_key
        )
    )
    append(
        c,
        Entry(
            kind="sla.breached",
            at=at,
            actor=actor,
            conversation=conversation.id,
            body={"breachedAt": stamp},
        ),
    )
