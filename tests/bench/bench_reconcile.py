"""How fast a worksheet is held against a large log, beside a bare anti-join over the same file.

Run it: python tests/bench/bench_reconcile.py [--rows N] [--claims N] [--lines N]
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import duckdb

from cairnops.analytics.reconcile import compare
from cairnops.analytics.reconcile_scan import open_lines
from cairnops.analytics.reconcile_sql import open_parquet
from cairnops.telemetry.sheets import Sheet, read_sheet

ROUNDS = 5
WANTED = 3.0
START = 1735689600000
STEP = 1500


def make_log(path: Path, rows: int) -> None:
    """Sync events in the order they happened, one every one and a half seconds."""
    duckdb.execute(
        f"""COPY (SELECT i + 101 AS "decisionId", CASE WHEN i % 20 = 0 THEN 'TIMEOUT' ELSE 'SUCCESS' END AS status,
        round(100 + (i * 7919 % 100000) / 100.0, 2) AS "durationMs", 1 + (i % 3)::INTEGER AS attempt,
        make_timestamptz(({START} + i * {STEP}) * 1000) AS "timestamp", 'ops' AS scope FROM range({rows}) t(i))
        TO '{path}' (FORMAT parquet, COMPRESSION zstd)"""
    )


def make_sheet(path: Path, rows: int, claims: int, scattered: bool) -> dict[str, int]:
    """Claims of a stretch of the log, or from all over it, with errors of every kind; returns how many of each."""
    luck = random.Random(7)
    first = rows // 2
    numbers = luck.sample(range(rows), claims) if scattered else list(range(first, first + claims))
    put = {
        "missing_in_log": 0,
        "duplicate": 0,
        "time_drift": 0,
        "missing_in_worksheet": 0,
        "status_differs": 0,
    }
    lines = ["Decision,Time,Status"]
    for place, n in enumerate(numbers):
        at, status, decision = START + n * STEP, "TIMEOUT" if n % 20 == 0 else "SUCCESS", str(n + 101)
        if place % 200 == 1:
            put["missing_in_log"] += 1
            put["missing_in_worksheet"] += 1
            decision = str(rows + 1_000_000 + n)
        elif place % 200 == 3:
            put["time_drift"] += 1
            at += 7_200_000 if scattered else 60_000
        elif place % 200 == 5:
            put["status_differs"] += 1
            status = "FAILED"
        elif place % 200 == 7:
            put["duplicate"] += 1
            lines.append(f"{decision},,{status}")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000))
        lines.append(f"#{decision},{stamp}.{at % 1000:03d}Z,{status}")
    path.write_text("\n".join(lines) + "\n")
    return put


def whole(parquet: Path, sheet: Sheet) -> dict[str, int]:
    with ExitStack() as stack:
        log = stack.enter_context(open_parquet(str(parquet), parquet.name))
        return dict(compare([sheet], [log]).counts)


def anti_join(parquet: Path, sheet: Sheet) -> None:
    con = duckdb.connect()
    try:
        con.execute(
            "CREATE TEMP TABLE w AS SELECT unnest(?::BIGINT[]) AS k", [[int(r.number) for r in sheet.rows]]
        )
        sql = f"SELECT count(*) FROM '{parquet}' l ANTI JOIN w ON l.\"decisionId\" = w.k"
        con.execute(sql).fetchall()
    finally:
        con.close()


def main(rows: int, claims: int, lines: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        parquet = Path(folder) / "log.parquet"
        make_log(parquet, rows)
        worst = 0.0
        print(f"{rows:,} rows, {claims:,} claims, {ROUNDS} rounds, interleaved, best of them")
        print(f"{'':<42}{'seconds':>9}{'to anti-join':>14}")
        for scattered in (False, True):
            path = Path(folder) / "worksheet.csv"
            put = make_sheet(path, rows, claims, scattered)
            sheet = read_sheet(path)
            found = whole(parquet, sheet)
            for code, count in put.items():
                # Scattered claims span nearly all of the log.
                least = int(rows * 0.95) if scattered and code == "missing_in_worksheet" else count
                assert found.get(code, 0) >= least, (code, found, put)
                assert scattered or found[code] == count or code == "missing_in_worksheet", (code, found, put)
            cases: dict[str, Callable[[], object]] = {
                "bare anti-join": lambda p=parquet, s=sheet: anti_join(p, s),
                "reconcile": lambda p=parquet, s=sheet: whole(p, s),
            }
            spent: dict[str, list[float]] = {name: [] for name in cases}
            for round_ in range(ROUNDS):
                for name in list(cases) if round_ % 2 else reversed(list(cases)):
                    begun = time.perf_counter()
                    cases[name]()
                    spent[name].append(time.perf_counter() - begun)
            ratio = statistics.median(a / b for a, b in zip(*reversed(spent.values()), strict=True))
            where = "claims from all over the log" if scattered else "claims of one stretch of the log"
            for name, values in spent.items():
                label = f"{name}, {where}" if name == "reconcile" else name
                print(f"{label:<42}{min(values):>9.2f}{'' if name != 'reconcile' else f'{ratio:.2f}':>14}")
            worst = max(worst, ratio)
            begun = time.perf_counter()
            read_sheet(path)
            print(f"{'reading the worksheet':<42}{time.perf_counter() - begun:>9.2f}")
        print(f"at worst {worst:.2f} times the anti-join (median); wanted at most {WANTED:.0f}")
        if lines:
            _ndjson(Path(folder), parquet, min(lines, rows))
    return 0 if worst <= WANTED else 1


def _ndjson(folder: Path, parquet: Path, rows: int) -> None:
    path = folder / "log.ndjson"
    times = "strftime(\"timestamp\" AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ') AS \"timestamp\""
    duckdb.execute(
        f"COPY (SELECT * REPLACE ({times}) FROM '{parquet}' LIMIT {rows}) TO '{path}' (FORMAT json)"
    )
    begun = time.perf_counter()
    duckdb.execute(
        f"SELECT count(*), max(\"decisionId\"), min(status) FROM read_ndjson_auto('{path}')"
    ).fetchall()
    bare = time.perf_counter() - begun
    begun = time.perf_counter()
    log = open_lines(path)
    assert log
    with log:
        took = time.perf_counter() - begun
    print(f"{rows:,} lines of NDJSON taken in: {took:.1f} s; a bare read of them: {bare:.1f} s")
    code = f"import resource; from pathlib import Path; import cairnops.analytics.reconcile_scan as s; s.open_lines(Path({json.dumps(str(path))})).close(); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    peak = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"memory of a process that does: {peak} MB at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--claims", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=2_000_000, help="of NDJSON; 0 leaves that out")
    given = parser.parse_args()
    sys.exit(main(given.rows, given.claims, given.lines))
