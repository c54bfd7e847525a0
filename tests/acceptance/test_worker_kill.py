"""Real workers of two versions killed, cut off and on wrong clocks, on SQLite and PostgreSQL: nothing lost or doubled.

The whole of it is tests/bench/bench_faults.py; here is enough of it to notice when it breaks.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cairnops

#: All of them are in the bench.
EXACTLY = ("after claim", "after deliver", "before looked", "before finish")
TESTS = Path(__file__).resolve().parents[1]


def _load(name: str, path: Path) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec and spec.loader
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


storms = _load("cairnops_storm", TESTS / "acceptance" / "storm.py")
postgres = _load("cairnops_postgres", TESTS / "contract" / "postgres.py")


@pytest.fixture(scope="module")
def forker() -> Iterator[Any]:
    made = storms.Forker()
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_workers_killed_and_frozen_lose_and_double_nothing(kind: str, forker: Any, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(postgres.database()) if kind == "postgresql" else ""
        made = stack.enter_context(storms.storm(tmp_path, forker=forker, url=url, seed=11 + bool(url)))

        def strike(number: int) -> None:
            if url and number % 3 == 0:
                postgres.cut(postgres.name_of(url))
            elif number % 3 == 1:
                made.jump()

        tally = storms.rage(made, 12, freezes=1, points=EXACTLY, meanwhile=strike)
    print(tally)
    assert tally.clean, tally
    assert tally.kills >= 12 and tally.hit > 0 and tally.jumps > 0 and tally.struck * 5 > tally.requests
    assert tally.points == set(EXACTLY)
    assert tally.versions == {cairnops.__version__, storms.OLDER}
    assert set(tally.ended) <= {"SUCCESS", "FAILED", "TIMEOUT", "UNKNOWN"}
