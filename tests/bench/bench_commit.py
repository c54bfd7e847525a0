"""How many decisions a second the desk commits durably, beside bare durable one-row inserts in the same run.

Run it: python tests/bench/bench_commit.py
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cairnops.desk.desk import Desk
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.policy import profile
from cairnops.domain.requests import Action, Flags, Request
from cairnops.store.engine import open_sqlite
from cairnops.store.ledger import SqlLedger

ROUNDS, EACH = 5, 150
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
WHO = Actor(email="alex@shop.example")


def case(number: int) -> Conversation:
    said = Message(
        id=f"{number}1", author=Author.CUSTOMER, text="Where is my order?", at=T0 - timedelta(minutes=9)
    )
    return Conversation(
        id=str(number),
        customer="Alex Rivera",
        customer_key=f"alex{number}@example.test",
        status=Status.OPEN,
        created_at=T0 - timedelta(minutes=10),
        messages=(said,),
    )


def timed(work: Callable[[int], object], first: int) -> list[float]:
    """Seconds of each of `EACH` calls."""
    spent = []
    for number in range(first, first + EACH):
        begun = time.perf_counter()
        work(number)
        spent.append(time.perf_counter() - begun)
    return spent


def main(folder: Path) -> None:
    ledger = SqlLedger(open_sqlite(folder / "ledger.db"))
    desk = Desk(ledger, profile("dry-run"), Flags(), lambda: T0, "shop.example")
    for number in range(ROUNDS * EACH + 1):
        desk.observe(case(number), WHO)

    def submit(number: int) -> None:
        receipt = desk.submit(
            Request(
                action=Action.APPROVE_SEND,
                conversation=str(number),
                actor=WHO,
                key=f"k{number}",
                text="Hi Alex, your parcel is on its way.",
                note="asked the carrier",
            )
        )
        if not receipt.number:
            raise SystemExit(f"not decided: {receipt.sentence}")

    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    bare.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    body = "x" * 2000

    def insert(number: int) -> None:
        bare.execute("INSERT INTO row VALUES (?, ?)", (number, body))

    submit(ROUNDS * EACH)
    rates: dict[str, list[float]] = {"bare": [], "desk": []}
    spent: dict[str, list[float]] = {"bare": [], "desk": []}
    for place in range(ROUNDS):
        for name, work in (("bare", insert), ("desk", submit)):
            one = timed(work, place * EACH)
            rates[name].append(EACH / sum(one))
            spent[name] += one
    bare.close()
    ledger.close()

    print(f"{ROUNDS} rounds of {EACH}, interleaved; SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL")
    print(f"{'':<44}{'per second':>12}{'p50 ms':>9}{'p95 ms':>9}")
    what = {
        "bare": "one row of 2 kB, inserted and durable",
        "desk": "one decision with two effects (desk.submit)",
    }
    for name, told in what.items():
        times = sorted(spent[name])
        p50, p95 = statistics.median(times), times[int(0.95 * (len(times) - 1))]
        print(
            f"{told:<44}{statistics.median(rates[name]):>12.0f}{p50 * 1000:>9.2f}{p95 * 1000:>9.2f}"
            f"   [{min(rates[name]):.0f}–{max(rates[name]):.0f}]"
        )
    ratios = [b / d for b, d in zip(rates["bare"], rates["desk"], strict=True)]
    print(
        f"a decision costs {statistics.median(ratios):.1f} bare inserts [{min(ratios):.1f}–{max(ratios):.1f}]"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
