"""Workers killed, frozen and cut off from their database, against a help desk of which every fourth answer is wrong.

Run it: python tests/bench/bench_faults.py [KILLS]. It prints how many effects were lost, doubled and stuck.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).resolve().parents[1]
KILLS, FREEZES, RESTARTS = 160, 20, 4


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


storms = load("cairnops_storm", TESTS / "acceptance" / "storm.py")
postgres = load("cairnops_postgres", TESTS / "contract" / "postgres.py")


def report(name: str, tally: object, seconds: float) -> bool:
    x = tally
    print(
        f"{name}: {x.effects} effects, {x.kills} kills ({x.hit} of a worker with {x.held} effects in hand), "  # type: ignore[attr-defined]
        f"{x.freezes} freezes, {x.restarts} database restarts, {x.struck} of {x.requests} requests struck, "  # type: ignore[attr-defined]
        f"{x.lost_tries} tries whose worker died; ended {dict(x.ended)}\n"  # type: ignore[attr-defined]
        f"  lost {x.lost}, doubled {x.doubled}, stuck {x.stuck}, said to have failed and there {x.false}, "  # type: ignore[attr-defined]
        f"conversations out of order {x.out_of_order}; recovery "  # type: ignore[attr-defined]
        f"{', '.join(f'{s:.1f}' for s in x.recovery_s)} s (lease {storms.LEASE_S:.2f} s); {seconds:.0f} s",  # type: ignore[attr-defined]
        flush=True,
    )
    return bool(x.clean)  # type: ignore[attr-defined]


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    folder, clean = Path(tempfile.mkdtemp(prefix="cairnops-faults-")), []
    folder.chmod(0o755)
    forker = storms.Forker()
    server_folder = folder / "server"
    server_folder.mkdir()
    server = postgres.start(server_folder)
    try:
        begun = time.monotonic()
        with storms.storm(folder / "sqlite", forker=forker, seed=1) as s:
            clean.append(report("SQLite", storms.rage(s, kills), time.monotonic() - begun))
        begun = time.monotonic()
        with storms.storm(
            folder / "pg", forker=forker, url=postgres.url(server_folder, "postgres"), seed=2
        ) as s:
            restarts = {kills * (n + 1) // (RESTARTS + 1) for n in range(RESTARTS)}

            def restart(number: int) -> None:
                nonlocal server
                if number in restarts:
                    postgres.stop(server_folder)
                    server.returncode = 0
                    server = postgres.start(server_folder)
                    s.tally.restarts += 1

            tally = storms.rage(s, kills, meanwhile=restart)
            clean.append(report("PostgreSQL", tally, time.monotonic() - begun))
        begun = time.monotonic()
        with storms.storm(folder / "frozen", forker=forker, seed=3) as s:
            clean.append(
                report("SQLite, frozen", storms.rage(s, FREEZES, freezes=FREEZES), time.monotonic() - begun)
            )
    finally:
        forker.close()
        postgres.stop(server_folder)
        server.returncode = 0
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(clean) else 1


if __name__ == "__main__":
    os.environ.pop("DATABASE_URL", None)
    sys.exit(main())
