"""The clock everybody on a database goes by: its server's; a file's is kept by the counter of the machine it is on."""

import time

from sqlalchemy import Connection, Engine, delete, insert, select, text

from cairnops.domain.clocks import Anchor, anchored
from cairnops.store import tables as t
from cairnops.store.engine import is_sqlite, reading, writing
from cairnops.ticks import boot, ticks_ms

_KEY = "clock"


def now_ms(c: Connection) -> int:
    """Epoch milliseconds. A file that was never asked in a writing transaction (`keep`) goes by the machine's clock."""
    if is_sqlite(c):
        return _anchor(c)[1].now_ms(ticks_ms())
    return int(c.execute(text("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)")).scalar_one())


def keep(c: Connection) -> int:
    """As `now_ms`; from now on a file's clock goes on by itself, whatever the machine's is set to."""
    if is_sqlite(c):
        kept, holds = _anchor(c)
        if kept != holds:
            c.execute(delete(t.meta).where(t.meta.c.key == _KEY))
            value = f"{holds.wall_ms} {holds.ticks_ms} {holds.boot}"
            c.execute(insert(t.meta).values(key=_KEY, value=value))
    return now_ms(c)


def ask(engine: Engine) -> int:
    """As `keep`; writes only when it has to."""
    with reading(engine) as c:
        if not is_sqlite(c) or len(set(_anchor(c))) == 1:
            return now_ms(c)
    with writing(engine, over="") as c:
        return keep(c)


def _anchor(c: Connection) -> tuple[Anchor | None, Anchor]:
    """What is kept, and what holds."""
    kept = None
    if found := c.execute(select(t.meta.c.value).where(t.meta.c.key == _KEY)).scalar():
        wall, ticks, *started = found.split(" ")
        kept = Anchor(boot="".join(started), wall_ms=int(wall), ticks_ms=int(ticks))
    here = Anchor(boot=boot(), wall_ms=time.time_ns() // 1_000_000, ticks_ms=ticks_ms())
    return kept, anchored(kept, here)
