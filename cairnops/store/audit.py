"""One audit event, in the transaction of what it tells; and the words that more than one module tells."""

import json
from typing import Any

from sqlalchemy import Connection, insert

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor, Role
from cairnops.store import tables as t

#: Who is named for what workers do by themselves.
DELIVERY = Actor(email="delivery@cairnops", role=Role.ADMIN)

#: An effect was taken out of the queue, by a person or for one.
PARKED = "job.parked"


def append(
    c: Connection, entry: Entry, more: dict[str, Any] | None = None, *, seq: int | None = None
) -> None:
    """Append one audit event in the transaction at hand; `seq` for one that will be undone."""
    given = {} if seq is None else {"seq": seq}
    # Inline: nobody asks which number it got, and asking would cost a trip to the server.
    c.execute(
        insert(t.event)
        .inline()
        .values(
            **given,
            at=codec.stamp(entry.at),
            actor=entry.actor.email,
            role=entry.actor.role.value,
            kind=entry.kind,
            conversation_id=entry.conversation,
            session=entry.session,
            key=entry.key,
            code=entry.code,
            body=json.dumps({**entry.body, **(more or {})}, ensure_ascii=False, sort_keys=True),
        )
    )
