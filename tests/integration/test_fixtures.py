"""Every fixture is listed with its origin, and what can be remade comes out the same."""

import json
import re
from pathlib import Path

from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.seeds import seeds

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


def test_the_readme_lists_every_file() -> None:
    listed = re.findall(r"^\| `([^`]+)` \|", (FIXTURES / "README.md").read_text(encoding="utf-8"), re.M)
    patterns = [re.compile(re.escape(row).replace("NAME", r"[\w-]+") + r"\Z") for row in listed]
    files = [
        p.relative_to(FIXTURES).as_posix()
        for p in FIXTURES.rglob("*")
        if p.is_file() and p.name != "README.md"
    ]
    assert [f for f in files if not any(p.match(f) for p in patterns)] == []
    assert [row for row, p in zip(listed, patterns, strict=True) if not any(p.match(f) for f in files)] == []


def test_the_simulator_seeds_are_the_pack_and_the_simulator_takes_them() -> None:
    kept = json.loads((FIXTURES / "simulator" / "cx-escalations.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(seeds(load_pack("cx-escalations"))))
    with ChatwootSimulator() as simulator:
        for seed in kept:
            simulator.seed(seed)
        assert {m["conversation_id"] for m in simulator.messages()} == {seed["id"] for seed in kept}
