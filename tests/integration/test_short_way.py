"""A plain summary goes past the tree of commands; nobody but the clock may notice."""

import subprocess
import sys
from pathlib import Path

import pytest

from cairnops import cli as commands
from tests.integration.conftest import Cli, scrubbed

EXPORTS = Path(__file__).resolve().parents[2] / "fixtures" / "exports"
FILES = ("decision_sync_sample", "edge", "empty_array", "html_saved_as")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "file", [*(str(EXPORTS / f"{name}.ndjson") for name in FILES), "nowhere.ndjson", "."]
)
def test_both_ways_say_the_same(cli: Cli, monkeypatch: pytest.MonkeyPatch, file: str, as_json: bool) -> None:
    words = ["summary", file, *(["--json"] if as_json else [])]
    assert commands._short(words) is not None
    short = cli(*words)
    monkeypatch.setattr(commands, "_short", lambda _: None)
    assert cli(*words) == short


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        pytest.param(["summary", "a.ndjson"], True, id="file"),
        pytest.param(["decisions", "summary", "a.ndjson"], True, id="by-its-noun"),
        pytest.param(["summary", "--json", "a.ndjson"], True, id="json-first"),
        pytest.param(["summary"], False, id="no-file"),
        pytest.param(["summary", ""], False, id="empty-name"),
        pytest.param(["summary", "--help"], False, id="help"),
        pytest.param(["summary", "a.ndjson", "--profile", "parity"], False, id="an-option"),
        pytest.param(["summary", "a.ndjson", "b.ndjson"], False, id="two-files"),
        pytest.param(["decisions", "list"], False, id="another-command"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_which_words_go_the_short_way(words: list[str], taken: bool) -> None:
    assert (commands._short(words) is not None) == taken


def test_the_short_way_loads_nothing_heavy() -> None:
    code = (
        "import sys; from cairnops.cli import main\n"
        f"sys.argv = ['cairnops', 'summary', {str(EXPORTS / 'decision_sync_sample.ndjson')!r}, '--json']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=scrubbed(), timeout=60
    )
    heavy = {"typer", "rich", "pydantic", "duckdb", "polars", "sqlalchemy", "yaml", "rfc8785", "difflib"}
    assert heavy & set(done.stderr.split()) == set()
    assert done.stdout.startswith("{")
