"""What bench_ingest compares with: a bare typed scan, and the plain loop most people would write.

Run it: python tests/bench/peers.py loop FILE, tool FILE, or bare FILE.
"""

import json
import math
import sys
from collections import Counter
from datetime import datetime

_KINDS = {"SUCCESS": "success", "TIMEOUT": "failure", "FAILURE": "failure"}


def loop(path: str) -> dict[str, object]:
    """Read a line, parse it, count: the same figures from seven fields, and nothing said of what was lost."""
    totals: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    scopes: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    hours: Counter[int] = Counter()
    retries: Counter[int] = Counter()
    durations: list[float] = []
    start = end = None
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as people write it
        for line in file:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                totals["skipped"] += 1
                continue
            if not isinstance(row, dict):
                totals["skipped"] += 1
                continue
            kind = _KINDS.get(row.get("status"), "unknown")
            totals[kind] += 1
            statuses[row.get("status")] += 1
            scopes[row.get("scope")] += 1
            if kind == "failure":
                errors[row.get("errorCode")] += 1
            if isinstance(row.get("durationMs"), int | float):
                durations.append(row["durationMs"])
            retries[row.get("attempt", 1) - 1] += 1
            try:
                at = datetime.fromisoformat(row["timestamp"]).timestamp()
            except (KeyError, TypeError, ValueError):
                continue
            hours[int(at // 3600)] += 1
            start = at if start is None else min(start, at)
            end = at if end is None else max(end, at)
    durations.sort()
    ranks = {
        f"p{p}": durations[max(math.ceil(p * len(durations) / 100) - 1, 0)] for p in (50, 95, 99) if durations
    }
    return {
        "totals": totals, "statuses": statuses, "scopes": scopes, "errors": errors, "hours": len(hours),
        "retries": retries, "average": sum(durations) / max(len(durations), 1), **ranks, "start": start, "end": end,
    }  # fmt: skip


def tool(path: str) -> dict[str, object]:
    """The loop as a small command: options, the file's hash, and the imports such a command has."""
    import argparse
    import dataclasses  # noqa: F401
    import hashlib
    import re  # noqa: F401
    from pathlib import Path

    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args([path])
    with given.file.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), **loop(path)}


def bare(path: str) -> list[object]:
    """Seven typed columns and a handful of aggregates, with no proof and no account: as fast as it gets."""
    import duckdb

    columns = (
        "{decisionId: 'VARCHAR', status: 'VARCHAR', durationMs: 'DOUBLE', errorCode: 'VARCHAR',"
        " attempt: 'DOUBLE', timestamp: 'TIMESTAMPTZ', scope: 'VARCHAR'}"
    )
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        return connection.execute(
            "SELECT count(*), avg(durationMs), quantile_cont(durationMs, [0.5, 0.95, 0.99]), epoch_ms(min(timestamp)),"
            " epoch_ms(max(timestamp)), count(*) FILTER (status = 'SUCCESS'), count(errorCode), count(scope),"
            " count(decisionId), max(attempt)"
            f" FROM read_json('{path}', format = 'newline_delimited', columns = {columns})"
        ).fetchall()


if __name__ == "__main__":
    print(json.dumps({"loop": loop, "tool": tool, "bare": bare}[sys.argv[1]](sys.argv[2])))
