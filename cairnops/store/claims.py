"""Who has which conversation open: leases a browser tab renews, one a conversation, enforced by the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor
from cairnops.domain.requests import Held
from cairnops.errors import CairnError
from cairnops.store import tables as t
from cairnops.store.engine import reading, repeatable, steady, writing
from cairnops.store.ledger import append, held

#: How often a taking is tried again on a claim that changed under it.
_TRIES = 20


class Taken(CairnError):
    """Somebody else has the conversation open."""

    def __init__(self, claim: Held):
        self.held = claim
        super().__init__(
            f"{claim.actor.email} has had conversation {claim.conversation} open since "
            f"{claim.since:%H:%M} UTC.",
            hint="Take another case, or wait until they let go of it.",
        )


@steady
class SqlClaims:
    """The claims of one workspace. Times: `at` is for the record (UTC), milliseconds rule the lease."""

    def __init__(self, engine: Engine):
        self._engine = engine

    @repeatable
    def take(
        self,
        conversation: str,
        actor: Actor,
        tab: str,
        *,
        session: str,
        at: datetime,
        now_ms: int,
        lease_ms: int,
    ) -> Held:
        """Have a conversation to oneself until `now_ms + lease_ms`.

        Taking again renews. The same person in another tab takes it over from the first; a lease that has
        ended is anybody's.

        Raises:
            Taken: when somebody else's lease still runs; it names them and since when.
        """
        claim = Held(
            conversation=conversation,
            actor=actor,
            tab=tab,
            session=session,
            since=at,
            until_ms=now_ms + lease_ms,
        )
        for _ in range(_TRIES):
            try:
                with writing(self._engine, over=f"claim {conversation}") as c:
                    taken = self._take(c, claim, now_ms)
            except IntegrityError:
                # Free when we looked, and not when we wrote.
                continue
            if taken is not None:
                return taken
        raise CairnError(f"Conversation {conversation} changed hands too often just now.", hint="Try again.")

    def _take(self, c: Connection, claim: Held, now_ms: int) -> Held | None:
        row = c.execute(select(t.claim).where(t.claim.c.conversation_id == claim.conversation)).first()
        values = {
            "actor": claim.actor.email,
            "role": claim.actor.role.value,
            "tab": claim.tab,
            "session": claim.session,
            "until_ms": claim.until_ms,
        }
        since = {"since": codec.stamp(claim.since)}
        if row is None:
            c.execute(insert(t.claim).values(conversation_id=claim.conversation, **values, **since))
            self._tell(c, claim, "claim.taken", claim.since, {"tab": claim.tab})
            return claim
        there = held(row)
        mine = there.actor.email == claim.actor.email
        if not mine and there.live(now_ms):
            raise Taken(there)
        goes_on = mine and there.live(now_ms)
        changed = c.execute(
            update(t.claim).where(*_as_it_was(row)).values(values if goes_on else values | since)
        )
        if changed.rowcount != 1:
            return None
        if not goes_on or there.tab != claim.tab:
            body = {"tab": claim.tab, "from": there.actor.email, "lapsed": not there.live(now_ms)}
            self._tell(c, claim, "claim.taken_over", claim.since, body)
        kept = c.execute(select(t.claim).where(t.claim.c.conversation_id == claim.conversation)).one()
        return held(kept)

    @repeatable
    def renew(self, tab: str, *, now_ms: int, lease_ms: int) -> int:
        """The heartbeat of a tab: whatever it still has, it has for `lease_ms` more; returns how many that is.

        A lease that ended and that nobody else took is taken up again: browsers slow the clocks of hidden tabs.
        """
        with writing(self._engine, over="") as c:
            done = c.execute(update(t.claim).where(t.claim.c.tab == tab).values(until_ms=now_ms + lease_ms))
            return int(done.rowcount)

    def release(self, conversation: str, actor: Actor, *, at: datetime, tab: str = "") -> bool:
        """Let go of it; False when they did not have it.

        With `tab`, only if that tab has it: a dialog left open in a first tab must not free what the same
        person goes on with in a second.
        """
        mine = [t.claim.c.conversation_id == conversation, t.claim.c.actor == actor.email]
        if tab:
            mine.append(t.claim.c.tab == tab)
        with writing(self._engine, over=f"claim {conversation}") as c:
            row = c.execute(select(t.claim).where(*mine)).first()
            if row is None or c.execute(delete(t.claim).where(*_as_it_was(row))).rowcount != 1:
                return False
            self._tell(c, held(row), "claim.released", at, {"tab": row.tab})
            return True

    def held(self, now_ms: int) -> list[Held]:
        """Every lease that runs, longest held first."""
        with reading(self._engine) as c:
            rows = c.execute(
                select(t.claim)
                .where(t.claim.c.until_ms > now_ms)
                .order_by(t.claim.c.since, t.claim.c.conversation_id)
            ).all()
        return [held(row) for row in rows]

    def _tell(self, c: Connection, claim: Held, kind: str, at: datetime, body: dict[str, object]) -> None:
        append(
            c,
            Entry(
                kind=kind,
                at=at,
                actor=claim.actor,
                conversation=claim.conversation,
                session=claim.session,
                body=body,
            ),
        )


def _as_it_was(row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """The row as it was read: whoever was quicker has changed it, and then nothing is written."""
    return tuple(column == row._mapping[column.name] for column in t.claim.columns)
