"""How long reading takes, beside a bare typed scan and beside the plain loops people write.

Run it: python tests/bench/bench_ingest.py [--rows N] [--rounds N] [--huge]
Ratios are of the same run, interleaved; `wall` and `cpu` are taken inside the process around the work,
`whole` from outside, start of the interpreter included. The targets are printed beside them, not asserted.
"""

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What is installed is compiled once, by pip at the latest; a tree that may not keep its bytecode compiles each time.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
COMMAND = str(Path(sys.executable).with_name("cairnops"))


def scan(path: str) -> None:
    """Load with proof and line numbers: facts, times, durations and ids of every line, nothing counted."""
    from cairnops.analytics.quick import pieces
    from cairnops.telemetry.source import Source

    with Source(path) as source:
        for _ in pieces(source):
            pass


def summary(path: str) -> None:
    """Load and the full summary, which keeps no row: memory does not follow the file."""
    from cairnops.analytics.summary import summarize
    from cairnops.domain.measures import AlertPolicy, MeasurePolicy

    summarize(path, measures=MeasurePolicy(), alerts=AlertPolicy()).to_dict()


def summary_and_duplicates(path: str) -> None:
    """Load, the full summary, and the decision ids that stand on several of the lines taken."""
    import polars as pl

    from cairnops.analytics import quick, split

    ids: list[pl.Series] = []
    choose, count = split.Split._choose, quick.Counting._count

    def chosen(self: split.Split) -> list[pl.Expr]:
        (field,) = (f for f in self.fields if f.name == "decisionId")
        text = pl.col(field.column).cast(pl.Binary).bin.slice(len(field.before.encode())).cast(pl.String)
        return [text.cast(pl.Int64, strict=False).alias("id"), *choose(self)]

    def counted(self: quick.Counting, piece: split.Taken, places: list[tuple[int, int]]) -> None:
        ids.append(piece._good["id"])
        count(self, piece, places)

    split.Split._choose, quick.Counting._count = chosen, counted  # type: ignore[method-assign]
    summary(path)
    every = pl.concat(ids).sort()
    assert len(every.filter(every == every.shift()).unique()) > 0


def other_engine(path: str) -> None:
    """The summary as it is counted when rows are not written alike."""
    from cairnops.analytics.engine import tally_large
    from cairnops.domain.measures import AlertPolicy, MeasurePolicy

    found = tally_large(Path(path), MeasurePolicy())
    assert found is not None
    found[0].summary(found[1], AlertPolicy())


def frame(path: str) -> None:
    """The table with all declared columns."""
    from cairnops.analytics.frames import read_export

    table, _ = read_export(path, strict=False)
    table.close()


def bare(path: str) -> None:
    """The yardstick."""
    _module("peers", HERE / "peers.py").bare(path)


WORK = {f.__name__: f for f in (scan, summary, summary_and_duplicates, other_engine, frame, bare)}


def child(name: str, path: str) -> None:
    """Do one piece of work and print what it took."""
    # Loading a library is not what is measured here.
    importlib.import_module("duckdb" if name in ("bare", "other_engine", "frame") else "polars")
    if path.endswith(".parquet"):
        importlib.import_module("duckdb")

    wall, cpu = time.perf_counter(), time.process_time()
    WORK[name](path)
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    # Not ru_maxrss: a process inherits that of whoever started it.
    status = Path("/proc/self/status")
    peak = next((int(line.split()[1]) / 1024 for line in status.open() if line.startswith("VmHWM")), 0)
    print(json.dumps({**took, "rss": peak}))


def measured(name: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", name, str(path)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def whole(command: list[str]) -> dict[str, float]:
    """A process from outside: wall clock, cpu of all threads, and its memory."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_ENVIRONMENT
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return {
        "wall": time.perf_counter() - begun,
        "cpu": used.ru_utime + used.ru_stime,
        "rss": used.ru_maxrss / 1024,
    }


def made(path: Path, rows: int, dirt: str = "0") -> None:
    """An export to read; in a process of its own, so that this one stays small."""
    command = [
        COMMAND,
        "fixtures",
        "make",
        "-o",
        path,
        "--rows",
        rows,
        "--dirt",
        dirt,
        "--seed",
        7,
        "--kind",
        "malformed",
    ]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def rounds(cases: dict[str, object], times: int) -> dict[str, dict[str, float]]:
    """Medians of interleaved rounds; the order turns round every time."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
    for turn in range(times):
        for name in list(cases)[:: 1 if turn % 2 == 0 else -1]:
            taken[name].append(cases[name]())  # type: ignore[operator]
    return {
        name: {key: statistics.median(one[key] for one in all_) for key in all_[0]}
        for name, all_ in taken.items()
    }


def inside(folder: Path, rows: int, times: int) -> None:
    clean, little, much = (folder / f"{name}.ndjson" for name in ("clean", "little", "much"))
    made(clean, rows)
    made(little, rows, "0.1%")
    made(much, rows, "5%")
    subprocess.run(
        [COMMAND, "decisions", "convert", clean, "-o", folder / "parquet"], check=True, capture_output=True
    )
    (converted,) = (folder / "parquet").iterdir()
    cases = {
        "bare typed scan": ("bare", clean, ""),
        "load, proof, line numbers": ("scan", clean, "<= 1.4 wall"),
        "load + summary + duplicates": ("summary_and_duplicates", clean, "<= 2.0 wall"),
        "malformed 0.1 %": ("summary_and_duplicates", little, "<= 2.5 wall"),
        "malformed 5 %": ("summary_and_duplicates", much, "<= 3.5 wall"),
        "summary, nothing kept": ("summary", clean, "<= 1.3 cpu, 250 MB"),
        "summary, rows of any form": ("other_engine", clean, ""),
        "table with all columns": ("frame", clean, ""),
        "summary of the Parquet": ("summary", converted, "<= 0.15 of the line above"),
    }
    took = rounds(
        {name: lambda w=work, p=path: measured(w, p) for name, (work, path, _) in cases.items()}, times
    )
    base = took["bare typed scan"]
    size = clean.stat().st_size / 1e6
    print(f"\n{rows:,} rows, {size:.0f} MB, {times} rounds, against the bare scan ({base['wall']:.2f} s)")
    print(f"{'':<30}{'wall s':>8}{'ratio':>7}{'cpu s':>8}{'ratio':>7}{'MB':>6}   target")
    for name, (_, _, target) in cases.items():
        t = took[name]
        print(
            f"{name:<30}{t['wall']:>8.2f}{t['wall'] / base['wall']:>7.2f}{t['cpu']:>8.2f}"
            f"{t['cpu'] / base['cpu']:>7.2f}{t['rss']:>6.0f}   {target}"
        )
    share = took["summary of the Parquet"]["wall"] / took["summary, nothing kept"]["wall"]
    print(f"cached re-query: {share:.2f} of a reload")


def outside(folder: Path, rows: int, times: int, targets: str) -> None:
    path = folder / f"{rows}.ndjson"
    made(path, rows)
    code = (
        "import sys; from cairnops.analytics.summary import summarize;"
        "from cairnops.domain.measures import AlertPolicy, MeasurePolicy; import json;"
        "print(json.dumps(summarize(sys.argv[1], measures=MeasurePolicy(), alerts=AlertPolicy()).to_dict()))"
    )
    cases = {
        "cairnops (library)": [sys.executable, "-c", code, str(path)],
        "cairnops summary (command)": [COMMAND, "summary", str(path), "--json"],
        "Python loop": [sys.executable, str(HERE / "peers.py"), "loop", str(path)],
        "Python loop as a tool": [sys.executable, str(HERE / "peers.py"), "tool", str(path)],
    }
    if node := shutil.which("node"):
        cases["Node loop"] = [node, str(HERE / "peer.mjs"), str(path)]
    for command in cases.values():
        whole(command)
    took = rounds({name: lambda c=command: whole(c) for name, command in cases.items()}, times)
    base = took["cairnops (library)"]
    print(f"\n{rows:,} rows, whole processes, {times} rounds; target {targets}")
    print(f"{'':<30}{'wall s':>8}{'of ours':>8}{'cpu s':>8}{'MB':>6}")
    for name, t in took.items():
        ratio = f"{t['wall'] / base['wall']:.1f}x"
        print(f"{name:<30}{t['wall']:>8.3f}{ratio:>8}{t['cpu']:>8.2f}{t['rss']:>6.0f}")


def huge(folder: Path) -> None:
    """Twenty million rows: what it takes, and that it fits."""
    path = folder / "huge.ndjson"
    made(path, 20_000_000)
    print(f"\n20,000,000 rows, {path.stat().st_size / 1e9:.1f} GB, one round; target 1 GB")
    base = measured("bare", path)
    for name in ("bare", "summary", "frame"):
        t = base if name == "bare" else measured(name, path)
        print(
            f"{name:<30}{t['wall']:>8.1f} s{t['wall'] / base['wall']:>6.1f}{t['cpu']:>8.1f} cpu-s{t['rss']:>8.0f} MB"
        )


def _module(name: str, path: Path):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--huge", action="store_true")
    parser.add_argument("--child", nargs=2)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _ENVIRONMENT["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
        inside(folder, given.rows, given.rounds)
        outside(folder, given.rows, min(given.rounds, 3), ">= 10x Python, >= 6x Node")
        outside(folder, 300_000, given.rounds, ">= 3x")
        outside(folder, 4, given.rounds * 3, "never slower")
        if given.huge:
            huge(folder)


if __name__ == "__main__":
    main()
