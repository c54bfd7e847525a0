"""What is mirrored, as each database gives it: every row by its key, and none twice."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cairnops.desk.desk import Desk
from cairnops.domain.delivery import Answer, FinalStatus, Result
from cairnops.domain.requests import Request
from cairnops.store.ledger import SqlLedger
from cairnops.store.mirror import MIRRORED, SqlMirrored
from cairnops.store.outbox import SqlOutbox


def test_every_row_is_found_by_its_key(
    database: Any, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> None:
    desk, outbox = desk_on(SqlLedger(database.engine), *"123"), SqlOutbox(database.engine)
    for key in "123":
        desk.submit(approve(key, conversation=key))
    while (claim := outbox.claim("w", now_ms=1, lease_ms=9)) is not None:
        done = Result(answer=Answer.OK)
        at = datetime(2025, 10, 16, 18, 0, tzinfo=UTC)
        outbox.finish(claim, FinalStatus.SUCCESS, at=at, result=done, duration_us=1, recovered=False)
    ledger = SqlMirrored(database.engine)
    outlines = ledger.outlines()
    for mirrored in MIRRORED:
        found = outlines[mirrored.name]
        for keys in filter(None, (found, found[1:-1])):
            rows = ledger.rows(mirrored, keys)
            assert [tuple(row[name] for name in (*mirrored.key, *mirrored.same)) for row in rows] == keys
    assert {name for name, rows in outlines.items() if rows} == {
        "decision",
        "effect",
        "attempt",
        "sync_event",
    }
