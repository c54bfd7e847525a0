"""Whether a help desk is down, as every worker of the database knows it; and whose turn it is to ask again."""

from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection, Engine, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from cairnops import codec
from cairnops.domain.breaker import Outage
from cairnops.domain.changes import Entry
from cairnops.domain.clocks import latest_ms
from cairnops.store import tables as t
from cairnops.store.audit import DELIVERY, append
from cairnops.store.engine import reading, repeatable, steady, writing


@steady
class SqlOutages:
    """The last outage of one help desk."""

    def __init__(self, engine: Engine, destination: str = ""):
        self._engine, self._destination = engine, destination
        self._here = t.outage.c.destination == destination
        self._lasts = self._here & (t.outage.c.ended == "")

    def last(self) -> Outage | None:
        """The present outage, or the one before; None when there never was one."""
        with reading(self._engine) as c:
            row = c.execute(select(t.outage).where(self._here)).first()
        if row is None:
            return None
        return Outage(
            since=codec.moment(row.since),
            error=row.error,
            ask_ms=row.ask_ms,
            ended=codec.moment(row.ended) if row.ended else None,
        )

    @repeatable
    def begin(self, outage: Outage) -> bool:
        """It is down; False when somebody has said so before."""
        values = {
            "since": codec.stamp(outage.since),
            "ended": "",
            "error": outage.error,
            "ask_ms": outage.ask_ms,
        }
        with suppress(IntegrityError), writing(self._engine, over="") as c:
            # Of two who come at the same time one waits for the other's row, and finds it begun.
            known = c.execute(select(t.outage.c.ended).where(self._here).with_for_update()).scalar()
            if known == "":
                return False
            if known is None:
                c.execute(insert(t.outage).values(destination=self._destination, **values))
            else:
                c.execute(update(t.outage).where(self._here).values(**values))
            self._tell(c, "help_desk.down", outage.since, {"error": outage.error})
            return True
        return False

    @repeatable
    def take_turn(self, now_ms: int, turn_ms: int) -> bool:
        """Whether it is the caller who asks now; then nobody else does for `turn_ms`."""
        ask = t.outage.c.ask_ms
        due = or_(ask <= now_ms, ask > latest_ms(now_ms, turn_ms))
        with writing(self._engine, over="") as c:
            taken = c.execute(update(t.outage).where(self._lasts, due).values(ask_ms=now_ms + turn_ms))
            return taken.rowcount == 1

    @repeatable
    def go_on(self, outage: Outage) -> None:
        """It was asked, and is still down."""
        with writing(self._engine, over="") as c:
            c.execute(update(t.outage).where(self._lasts).values(error=outage.error, ask_ms=outage.ask_ms))

    @repeatable
    def end(self, outage: Outage) -> bool:
        """It is back since `outage.ended`; False when somebody has said so before."""
        assert outage.ended is not None
        with writing(self._engine, over="") as c:
            ended = c.execute(update(t.outage).where(self._lasts).values(ended=codec.stamp(outage.ended)))
            if ended.rowcount == 1:
                since = {"since": codec.stamp(outage.since)}
                self._tell(c, "help_desk.back", outage.ended, since)
            return ended.rowcount == 1

    def _tell(self, c: Connection, kind: str, at: datetime, body: dict[str, str]) -> None:
        append(
            c,
            Entry(kind=kind, at=at, actor=DELIVERY, body={"destination": self._destination, **body}),
        )
