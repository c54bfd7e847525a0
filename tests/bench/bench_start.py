"""How long the command takes to answer, beside a bare interpreter, and how long a whole pack takes.

Run it: python tests/bench/bench_start.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
COMMAND = str(Path(sys.executable).with_name("cairnops"))
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("CAIRNOPS_", "CHATWOOT_", "FEATURE_"))}
# What is installed is compiled once; a tree that may not keep its bytecode compiles each time.
CLEAN.pop("PYTHONDONTWRITEBYTECODE", None)


def timed(command: list[str], cwd: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=cwd, env=CLEAN, capture_output=True, check=True)
    return time.perf_counter() - begun


def start(cwd: str) -> None:
    cases = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import typer'": [sys.executable, "-c", "import typer"],
        "import every command": [sys.executable, "-c", "import cairnops.cli.tree"],
        "cairnops --version": [COMMAND, "--version"],
        "cairnops --help": [COMMAND, "--help"],
        "cairnops settings": [COMMAND, "settings"],
        "cairnops session list": [COMMAND, "session", "list"],
    }
    subprocess.run([COMMAND, "init"], cwd=cwd, env=CLEAN, capture_output=True, check=True)
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, command in cases.items():
            spent[name].append(timed(command, cwd))
    bare = statistics.median(spent["python -c pass"])
    print(f"{'command':<28}{'median ms':>10}{'p95 ms':>9}{'ratio':>8}   ({ROUNDS} rounds, interleaved)")
    for name, values in spent.items():
        p95 = sorted(values)[int(0.95 * (ROUNDS - 1))]
        median = statistics.median(values)
        print(f"{name:<28}{median * 1000:>10.0f}{p95 * 1000:>9.0f}{median / bare:>8.1f}")


def pack(cwd: str, name: str) -> None:
    command = [COMMAND, "dryrun", "run", "--pack", name, "--workspace", str(Path(cwd) / name)]
    fresh, again = timed(command, cwd), timed(command, cwd)
    print(f"{name:<28}{fresh:>10.2f}{again:>9.2f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        start(folder)
        print(f"\n{'whole pack':<28}{'fresh s':>10}{'again s':>9}   (time-outs of the script included)")
        pack(folder, "cx-escalations")
        pack(folder, "practice-library")
