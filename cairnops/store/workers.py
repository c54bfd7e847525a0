"""Who delivers, when they were last heard of, and what waits: what `worker status` and health checks read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from cairnops import codec
from cairnops.store import clock
from cairnops.store import tables as t
from cairnops.store.engine import reading, repeatable, steady, writing
from cairnops.store.outbox import decided_ms

#: A worker that has not been heard of for so long is stale: killed, frozen, or cut off from the database.
STALE_MS = 15_000
#: How long a killed worker is still listed.
_FORGOTTEN_MS = 24 * 3_600_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """What one help desk is still owed; ages in milliseconds, 0 when nothing waits."""

    #: Unfinished and in the queue, and how many of them are being delivered or looked up just now.
    waiting: int
    under_way: int
    #: Of those waiting, how many wait for another try or for a look-up.
    retrying: int
    #: Taken out of the queue by a person.
    parked: int
    #: How long the effect that is due longest could have been taken.
    overdue_ms: int
    #: How long the oldest of those waiting has been decided.
    oldest_ms: int


@steady
class SqlWorkers:
    """The workers of one database, and the queue of one help desk. Times are by the database's clock."""

    def __init__(self, engine: Engine, destination: str = ""):
        self._engine, self._destination = engine, destination

    def clock_ms(self) -> int:
        """The database's clock, epoch milliseconds."""
        with reading(self._engine) as c:
            return clock.now_ms(c)

    @repeatable
    def keep_clock(self) -> int:
        """The same, for one that is about to deliver: from now on it is not moved by who sets the machine's."""
        return clock.ask(self._engine)

    @repeatable
    def enter(self, name: str, *, host: str, pid: int, version: str, concurrency: int, at: datetime) -> int:
        """Be listed from now on; returns the database's clock, epoch milliseconds."""
        with writing(self._engine, over="") as c:
            now_ms = clock.keep(c)
            c.execute(delete(t.worker).where(t.worker.c.name == name))
            c.execute(delete(t.worker).where(t.worker.c.beat_ms < now_ms - _FORGOTTEN_MS))
            c.execute(
                insert(t.worker).values(
                    name=name,
                    host=host,
                    pid=pid,
                    version=version,
                    destination=self._destination,
                    concurrency=concurrency,
                    started=codec.stamp(at),
                    beat_ms=now_ms,
                    delivered=0,
                    failed=0,
                )
            )
        return now_ms

    @repeatable
    def beat(self, name: str, *, delivered: int, failed: int) -> int:
        """Be heard of; returns as `enter` does. Who was forgotten, frozen for a day, is not listed again."""
        with writing(self._engine, over="") as c:
            now_ms = clock.keep(c)
            c.execute(
                update(t.worker)
                .where(t.worker.c.name == name)
                .values(beat_ms=now_ms, delivered=delivered, failed=failed)
            )
        return now_ms

    @repeatable
    def leave(self, name: str) -> None:
        """Be listed no longer."""
        with writing(self._engine, over="") as c:
            c.execute(delete(t.worker).where(t.worker.c.name == name))

    def listed(self) -> list[dict[str, Any]]:
        """Every worker, oldest first, with `beatAgoMs` and whether it is `alive`."""
        with reading(self._engine) as c:
            now_ms = clock.now_ms(c)
            rows = c.execute(select(t.worker).order_by(t.worker.c.started, t.worker.c.name)).all()
        return [_shown(row, now_ms) for row in rows]

    def queue(self, at: datetime) -> Queue:
        """How much waits for this help desk, and for how long; `at` is the clock decisions are made by."""
        e = t.effect.c
        with reading(self._engine) as c:
            now_ms = clock.now_ms(c)
            rows = c.execute(
                select(e["state", "due_ms", "conversation_id", "uid", "attempt", "owner"])
                .where(e.due_ms.is_not(None), e.destination == self._destination)
                .order_by(e.seq)
            ).all()
        waiting = [row for row in rows if row.state != "parked"]
        first = {row.conversation_id: row for row in reversed(waiting)}.values()
        here_ms = round(at.timestamp() * 1000)
        # What has never been tried was due from the moment it was decided.
        due = [now_ms - row.due_ms if row.due_ms else here_ms - decided_ms(row.uid) for row in first]
        return Queue(
            waiting=len(waiting),
            under_way=sum(bool(row.owner) and row.due_ms > now_ms for row in waiting),
            retrying=sum(not row.owner and (row.attempt > 0 or row.state == "looking") for row in waiting),
            parked=len(rows) - len(waiting),
            overdue_ms=max([0, *due]),
            oldest_ms=max([0, *(here_ms - decided_ms(row.uid) for row in waiting)]),
        )


def _shown(row: Row[Any], now_ms: int) -> dict[str, Any]:
    ago = max(now_ms - row.beat_ms, 0)
    return {
        "name": row.name,
        "host": row.host,
        "pid": row.pid,
        "version": row.version,
        "destination": row.destination,
        "concurrency": row.concurrency,
        "started": row.started,
        "beatAgoMs": ago,
        "alive": ago <= STALE_MS,
        "delivered": row.delivered,
        "failed": row.failed,
    }
