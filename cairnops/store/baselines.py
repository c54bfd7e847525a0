"""Manual baselines on record: how long the same thing takes by hand, who measured it, and how."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select
from sqlalchemy.exc import IntegrityError

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor
from cairnops.errors import CairnError, NotFound
from cairnops.store import tables as t
from cairnops.store.engine import reading, steady, writing
from cairnops.store.ledger import append


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """One measurement by hand that stands."""

    number: int
    at: datetime
    actor: str
    measure: str
    seconds: int
    #: Where the figure comes from: `stopwatch`, or what was typed.
    source: str


@steady
class SqlBaselines:
    """The baselines of one workspace; rows are only ever added."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def start(self, measure: str, actor: Actor, at: datetime) -> int:
        """Start a stopwatch; returns its row.

        Raises:
            CairnError: when this person's watch is running already.
        """
        with writing(self._engine) as c:
            if (running := self._running(c, actor)) is not None:
                raise CairnError(
                    f"Your stopwatch has been running since {running.at} ({running.measure}).",
                    hint="cairnops report baseline stop, or stop --drop.",
                )
            return self._add(c, "started", actor, at, measure)

    def stop(self, actor: Actor, at: datetime, *, drop: bool = False, note: str = "") -> Baseline | None:
        """Stop this person's stopwatch and keep what it shows; with `drop` nothing is kept, and None returned.

        Raises:
            CairnError: when none is running, or it would show a time that runs backwards.
        """
        with writing(self._engine) as c:
            running = self._running(c, actor)
            if running is None:
                raise CairnError(
                    f"No stopwatch of {actor.email} is running.", hint="cairnops report baseline start"
                )
            if drop:
                self._add(c, "dropped", actor, at, running.measure, of_seq=running.seq)
                return None
            seconds = round((at - codec.moment(running.at)).total_seconds())
            if seconds < 0:
                raise CairnError(
                    f"The watch was started at {running.at}, which is later than now.",
                    hint="Set the machine's clock, or stop with --drop.",
                )
            source = f"stopwatch: {note}" if note else "stopwatch"
            number = self._add(
                c, "stopped", actor, at, running.measure, seconds=seconds, source=source, of_seq=running.seq
            )
            return Baseline(
                number=number,
                at=at,
                actor=actor.email,
                measure=running.measure,
                seconds=seconds,
                source=source,
            )

    def add(self, measure: str, seconds: int, source: str, actor: Actor, at: datetime) -> int:
        """Keep a figure from elsewhere, with its source; returns its row.

        Raises:
            CairnError: without a source, or for a length that is none.
        """
        if not source.strip():
            raise CairnError(
                "A baseline without a source is a guess.", hint='Add --source "where it is from".'
            )
        if not 0 < seconds <= 86_400 * 365:
            raise CairnError("A baseline takes more than no time, and less than a year.")
        with writing(self._engine) as c:
            return self._add(c, "added", actor, at, measure, seconds=seconds, source=source.strip())

    def withdraw(self, number: int, why: str, actor: Actor, at: datetime) -> None:
        """Let a measurement no longer count; it stays on record, and so does the reason.

        Raises:
            NotFound: when there is no such measurement.
            CairnError: without a reason, or when it was withdrawn before.
        """
        if not why.strip():
            raise CairnError("A withdrawal needs a reason.", hint='Add --why "…".')
        try:
            with writing(self._engine) as c:
                row = c.execute(
                    select(t.baseline).where(t.baseline.c.seq == number, t.baseline.c.seconds.is_not(None))
                ).first()
                if row is None:
                    raise NotFound(f"There is no baseline {number}.", hint="cairnops report baseline list")
                self._add(c, "withdrawn", actor, at, row.measure, source=why.strip(), of_seq=number)
        except IntegrityError:
            raise CairnError(f"Baseline {number} has been withdrawn already.") from None

    def running(self, actor: Actor) -> dict[str, Any] | None:
        """This person's running stopwatch: its row, measure and start; None when there is none."""
        with reading(self._engine) as c:
            row = self._running(c, actor)
        return {"number": row.seq, "measure": row.measure, "at": row.at} if row is not None else None

    def standing(self) -> list[Baseline]:
        """Every measurement that was not withdrawn, in the order made."""
        return [
            Baseline(
                number=row["seq"],
                at=codec.moment(row["at"]),
                actor=row["actor"],
                measure=row["measure"],
                seconds=row["seconds"],
                source=row["source"],
            )
            for row in self.all()
            if row["seconds"] is not None and not row["withdrawn"]
        ]

    def all(self) -> list[dict[str, Any]]:
        """Every row, oldest first; `withdrawn` is the reason, empty for what stands."""
        with reading(self._engine) as c:
            rows = c.execute(select(t.baseline).order_by(t.baseline.c.seq)).all()
        reasons = {row.of_seq: row.source for row in rows if row.kind == "withdrawn"}
        return [{**row._mapping, "withdrawn": reasons.get(row.seq, "")} for row in rows]

    def _running(self, c: Connection, actor: Actor) -> Row[Any] | None:
        ended = select(t.baseline.c.of_seq).where(t.baseline.c.of_seq.is_not(None))
        return c.execute(
            select(t.baseline).where(
                t.baseline.c.kind == "started",
                t.baseline.c.actor == actor.email,
                t.baseline.c.seq.not_in(ended),
            )
        ).first()

    def _add(
        self,
        c: Connection,
        kind: str,
        actor: Actor,
        at: datetime,
        measure: str,
        *,
        seconds: int | None = None,
        source: str = "",
        of_seq: int | None = None,
    ) -> int:
        values = {"kind": kind, "measure": measure, "seconds": seconds, "source": source, "of_seq": of_seq}
        number = c.execute(
            insert(t.baseline)
            .values(at=codec.stamp(at), actor=actor.email, role=actor.role.value, **values)
            .returning(t.baseline.c.seq)
        ).scalar_one()
        append(c, Entry(kind=f"baseline.{kind}", at=at, actor=actor, body={**values, "number": number}))
        return int(number)
