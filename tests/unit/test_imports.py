"""Who may import whom, held by the contracts in pyproject.toml; and the types of rules and desk."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cairnops

ROOT = Path(cairnops.__file__).parents[1]
BIN = Path(sys.executable).parent

LAYERS = "drivers, then wiring, then desk and adapters, then domain"
STANDARD = "the domain is the standard library"
CYCLES = "no cycles between the nouns of the domain"
SQL = "only the store and the wiring speak SQL"


def contracts(root: Path) -> dict[str, str]:
    """Each contract with KEPT or BROKEN, as the import linter judges the tree at `root`."""
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": str(BIN), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line.strip() for line in done.stdout.splitlines()]
    found = {
        line.rpartition(" ")[0]: line.rpartition(" ")[2]
        for line in lines
        if line.endswith((" KEPT", " BROKEN"))
    }
    assert found or done.returncode, done.stdout + done.stderr
    assert (done.returncode == 0) == (bool(found) and set(found.values()) == {"KEPT"}), (
        done.stdout + done.stderr
    )
    return found or {"": done.stdout + done.stderr}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its contracts, where a fault can be planted."""
    shutil.copytree(ROOT / "cairnops", tmp_path / "cairnops", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_kept() -> None:
    assert contracts(ROOT) == dict.fromkeys([LAYERS, STANDARD, CYCLES, SQL], "KEPT")


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        pytest.param("domain/sla.py", "import logging", STANDARD, id="the domain logs"),
        pytest.param("domain/policy.py", "import pydantic", STANDARD, id="the domain validates"),
        pytest.param("domain/sla.py", "import time", STANDARD, id="the domain looks at the clock"),
        pytest.param("domain/sla.py", "from cairnops import errors", LAYERS, id="the domain reaches up"),
        pytest.param(
            "domain/rules.py",
            "from cairnops.domain import guardrails",
            CYCLES,
            id="two nouns need each other",
        ),
        pytest.param(
            "desk/desk.py", "from cairnops.store import ledger", LAYERS, id="the desk knows its store"
        ),
        pytest.param(
            "store/ledger.py", "from cairnops.desk import ports", LAYERS, id="the store knows the desk"
        ),
        pytest.param(
            "scenarios/runner.py", "from cairnops.cli import render", LAYERS, id="a scenario prints"
        ),
        pytest.param(
            "workspace.py", "from cairnops.scenarios import loader", LAYERS, id="the wiring reads packs"
        ),
        pytest.param(
            "evidence/exports.py", "from cairnops.scenarios import model", LAYERS, id="evidence reads packs"
        ),
        pytest.param("connectors/worker.py", "import sqlalchemy", SQL, id="the worker speaks SQL"),
        pytest.param("cli/summary.py", "import sqlalchemy", SQL, id="a command speaks SQL"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, module: str, line: str, broken: str) -> None:
    file = copy / "cairnops" / module
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    assert [name for name, state in contracts(copy).items() if state == "BROKEN"] == [broken]


def test_a_new_package_must_be_given_a_place(copy: Path) -> None:
    package = copy / "cairnops" / "helpers"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    found = contracts(copy)
    assert found.get(LAYERS) == "BROKEN" or "helpers" in found.get("", "")


def test_rules_and_desk_are_typed_to_the_last_argument() -> None:
    # With what `make lint` has read already: from nothing it takes half a minute.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "cairnops/domain", "cairnops/desk"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr


#: All that counting a small file loads of ours, and what of it is made by `dataclass`, which takes its time.
SMALL = {
    "cairnops", "cairnops.errors", "cairnops.domain", "cairnops.domain.measures", "cairnops.telemetry",
    "cairnops.telemetry.document", "cairnops.telemetry.jsontext", "cairnops.telemetry.preview",
    "cairnops.telemetry.reader", "cairnops.telemetry.source", "cairnops.analytics", "cairnops.analytics.dialects",
    "cairnops.analytics.javascript", "cairnops.analytics.percentiles", "cairnops.analytics.rows",
    "cairnops.analytics.summary", "cairnops.analytics.tally",
}  # fmt: skip
COMMAND = {
    "cairnops.cli", "cairnops.cli.exits", "cairnops.cli.render", "cairnops.cli.summary", "cairnops.cli.wording",
    "cairnops.codec", "cairnops.evidence", "cairnops.evidence.inert", "cairnops.settings",
}  # fmt: skip
MADE = {"AlertPolicy", "MeasurePolicy", "Export"}
SLOW = {
    "argparse",
    "duckdb",
    "gzip",
    "numpy",
    "polars",
    "pydantic",
    "rich",
    "shutil",
    "tempfile",
    "typer",
    "yaml",
}


@pytest.mark.parametrize(
    ("work", "allowed"),
    [
        pytest.param(
            "from cairnops.analytics.summary import summarize\n"
            "from cairnops.domain.measures import AlertPolicy, MeasurePolicy\n"
            "summarize(sys.argv[1], measures=MeasurePolicy(), alerts=AlertPolicy())\n",
            SMALL,
            id="library",
        ),
        pytest.param(
            "from cairnops.cli import main\nsys.argv[1:] = ['summary', sys.argv[1], '--json']\n"
            "try: main()\nexcept SystemExit: pass\n",
            SMALL | COMMAND,
            id="command",
        ),
    ],
)
def test_a_small_file_is_counted_with_little_loaded(tmp_path: Path, work: str, allowed: set[str]) -> None:
    path = tmp_path / "e.ndjson"
    path.write_text('{"decisionId":1,"status":"TIMEOUT","durationMs":12.5,"errorCode":"no answer"}\n' * 4)
    code = (
        f"import sys\nbefore = set(sys.modules)\n{work}"
        "ours = {name: m for name, m in sys.modules.items() if name.partition('.')[0] == 'cairnops'}\n"
        "made = {c.__name__ for m in ours.values() for c in vars(m).values() if hasattr(c, '__dataclass_fields__')}\n"
        "print(*sorted(ours), *sorted(made), *sorted(set(sys.modules) - before - set(ours)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, path],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = set(done.stderr.split())
    assert {name for name in loaded if name.partition(".")[0] == "cairnops"} == allowed, done.stderr
    assert loaded & SLOW == set()
    assert {name for name in loaded if name[0].isupper()} <= MADE
