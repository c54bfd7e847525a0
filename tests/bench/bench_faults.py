"""Workers of two versions killed, frozen, cut off, on a full disk and on wrong clocks, while every fourth answer outside is wrong.

Run it: python tests/bench/bench_faults.py [KILLS]. It prints how many effects were lost, doubled and stuck.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).resolve().parents[1]
KILLS, FREEZES, RESTARTS, CUTS, JUMPS, FILLS = 160, 20, 4, 30, 30, 6


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
        f"{len(x.points)} exact points, {x.freezes} freezes, {x.restarts} database restarts, {x.cuts} cuts, {x.jumps} clocks set, {x.fills} disks full, "  # type: ignore[attr-defined]
        f"{x.struck} of {x.requests} requests struck, "  # type: ignore[attr-defined]
        f"{x.lost_tries} tries whose worker died; versions {sorted(x.versions)}; ended {dict(x.ended)}\n"  # type: ignore[attr-defined]
        f"  lost {x.lost}, doubled {x.doubled}, stuck {x.stuck}, said to have failed and there {x.false}, "  # type: ignore[attr-defined]
        f"conversations out of order {x.out_of_order}; recovery "  # type: ignore[attr-defined]
        f"{', '.join(f'{s:.1f}' for s in x.recovery_s)} s (lease {storms.LEASE_S:.2f} s); {seconds:.0f} s",  # type: ignore[attr-defined]
        flush=True,
    )
    return bool(x.clean)  # type: ignore[attr-defined]


def admin(server: Path, statement: str) -> None:
    """One statement to the server, as its owner."""
    with postgres.psycopg.connect(postgres.url(server, "postgres"), autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A folder on a disk of its own of 12 MB; it takes the rights to mount one."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


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
            clean.append(
                report("SQLite", storms.rage(s, kills, points=storms.POINTS), time.monotonic() - begun)
            )
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

            tally = storms.rage(s, kills, points=storms.POINTS, meanwhile=restart)
            clean.append(report("PostgreSQL", tally, time.monotonic() - begun))
        begun = time.monotonic()
        with storms.storm(folder / "frozen", forker=forker, seed=3) as s:
            clean.append(
                report("SQLite, frozen", storms.rage(s, FREEZES, freezes=FREEZES), time.monotonic() - begun)
            )
        begun = time.monotonic()
        with storms.storm(folder / "clock", forker=forker, seed=6) as s:
            tally = storms.rage(s, JUMPS, meanwhile=lambda _: s.jump())
            clean.append(report("SQLite, clock set", tally, time.monotonic() - begun))
        for name, strike, times in (("cut off", "cut", CUTS), ("clocks set", "jump", JUMPS)):
            url, begun = postgres.url(server_folder, f"storm_{strike}"), time.monotonic()
            admin(server_folder, f"CREATE DATABASE storm_{strike}")
            with storms.storm(folder / strike, forker=forker, url=url, seed=4) as s:

                def meanwhile(_: int, s: object = s, strike: str = strike) -> None:
                    if strike == "jump":
                        s.jump()  # type: ignore[attr-defined]
                        return
                    admin(
                        server_folder,
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'storm_cut'",
                    )
                    s.tally.cuts += 1  # type: ignore[attr-defined]

                tally = storms.rage(s, times, meanwhile=meanwhile)
                clean.append(report(f"PostgreSQL, {name}", tally, time.monotonic() - begun))
        begun = time.monotonic()
        with disk(folder / "small" / "w"), storms.storm(folder / "small", forker=forker, seed=5) as s:

            def fill(_: int) -> None:
                s.fill(0.7)

            clean.append(
                report("SQLite, disk full", storms.rage(s, FILLS, meanwhile=fill), time.monotonic() - begun)
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
