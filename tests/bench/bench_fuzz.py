"""Many more of the random inputs the tests try: mutated bytes for the reader, dirty files for both engines.

Run it: python tests/bench/bench_fuzz.py [--bytes N] [--files N]
It stops at the first input that is not accounted for, and names its seed.
"""

import argparse
import importlib.util
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

UNIT = Path(__file__).resolve().parents[1] / "unit"


def module(name: str) -> ModuleType:
    """A test module, for what it checks with."""
    spec = importlib.util.spec_from_file_location(name, UNIT / f"{name}.py")
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def mutations(count: int) -> None:
    """Bytes of exports flipped, moved, cut and doubled; every tenth is compressed and damaged as well."""
    fuzz = module("test_reader_fuzz")
    kinds: Counter[str] = Counter()
    slowest = 0.0
    begun = time.perf_counter()
    for seed in range(count):
        rng = random.Random(seed)
        data = fuzz.mutated(rng)
        started = time.perf_counter()
        try:
            kinds[fuzz.account(fuzz.packed(rng, data) if seed % 10 == 9 else data)] += 1
        except BaseException:
            print(f"seed {seed}")
            raise
        slowest = max(slowest, time.perf_counter() - started)
    took = time.perf_counter() - begun
    print(f"\nmutated exports   {count:>9,}   in {took:.0f} s, the slowest {slowest * 1000:.0f} ms")
    for kind, number in kinds.most_common():
        print(f"  {kind:<16}{number:>9,}")


def dirty_files(count: int) -> None:
    """Random dirty files: the account of every line, and for every fifth file the figures of both engines."""
    engines, fuzz = module("test_engine"), module("test_reader_fuzz")
    compared = taken = 0
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzz.ndjson"
        for seed in range(count):
            rng = random.Random(seed)
            data = engines.dirty(rng)
            try:
                fuzz.account(data)
                if seed % 5 == 0:
                    path.write_bytes(data)
                    piece, whole = rng.choice([300, 2000, 1 << 20]), rng.choice([0, 1 << 20])
                    compared += 1
                    taken += engines.agree(path, piece=piece, whole=whole)
            except BaseException:
                print(f"seed {seed}")
                raise
    took = time.perf_counter() - begun
    print(f"\nrandom dirty files{count:>9,}   in {took:.0f} s")
    print(f"  both engines    {compared:>9,}   of which {compared - taken:,} were left to the careful reader")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=120_000)
    parser.add_argument("--files", type=int, default=10_000)
    given = parser.parse_args()
    mutations(given.bytes)
    dirty_files(given.files)


if __name__ == "__main__":
    main()
