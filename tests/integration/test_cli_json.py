"""Every reading command prints data with --json: it parses, is all of stdout, and holds the rows of the table."""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "fixtures" / "exports" / "decision_sync_sample.ndjson"


def _generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cli_pages", ROOT / "tests" / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


COMMANDS = dict(_generate().commands())

Rows = Callable[[Any], Iterator[object]]


def each(*names: str) -> Rows:
    """The named values of every row."""
    return lambda data: (row[name] for row in data for name in names)


# The reply of the pack that never arrives: its id follows from the scene it was decided in.
_FAILED = "01K7Q296A02QQAXB76Q3MPEC9A"

# What must stand in the table as well, at 200 columns; `.` stands for the workspace.
READING: dict[str, tuple[list[str], Rows]] = {
    "dryrun run": (["-w", "."], lambda d: (s["score"]["title"] for s in d["scenarios"])),
    "scenarios list": ([], each("id", "scenarios", "minutes")),
    "scenarios show": (["cx-escalations"], lambda d: (p["title"] for p in [*d["agenda"], *d["gates"]])),
    "scenarios lint": (["{bad}"], each("line", "message", "code")),
    "session start": (["fresh", "-w", "."], lambda d: (g["title"] for g in d["gates"])),
    "session status": (
        ["cx-escalations", "-w", "."],
        lambda d: (*(g["title"] for g in d["gates"]), *(p["detail"] for p in d["probes"]), d["state"]),
    ),
    "session list": (["-w", "."], each("name", "state", "pack", "decisions")),
    "session debrief": (
        ["cx-escalations", "-w", "."],
        lambda d: (v for x in d for v in (x["operator"], x["seeded"]["title"], x["goodLooksLike"][0], x["why"])),
    ),
    "worksheet": (["cx-escalations", "-w", "."], each("at", "participant", "decision", "sla")),
    "decisions list": (["-w", ".", "--scope", "all"], each("decisionId", "actor")),
    "decisions show": (["102", "-w", "."], lambda d: (d["uid"], d["leafHash"], d["note"][:20])),
    "decisions summary": ([str(SAMPLE)], lambda d: (d["durationsMs"]["p95"], d["errors"]["byCode"][0]["code"])),
    "conversations list": (
        ["--at", "2025-10-16T18:30:00Z", "--all", "-w", "."],
        lambda d: (v for c in d for v in (c["customer"], c["conversation"].removeprefix("chatwoot:"))),
    ),
    "conversations show": (
        ["1045", "--at", "2025-10-16T18:30:00Z", "-w", "."],
        lambda d: (d["customer"], *(x["decisionId"] for x in d["decisions"]), *(m["text"] for m in d["messages"])),
    ),
    "deliver": (["-w", "."], each("kind", "status")),
    "reconcile": (
        ["{played}/artifacts/cx-escalations/worksheet.md", "-w", "."],
        lambda d: (*(r["conversation"] for r in d["rows"]), *(log["name"] for log in d["logs"])),
    ),
    "summary": (
        [str(SAMPLE), "--profile", "parity"],
        lambda d: (d["analyze"]["durationsMs"]["p95"], d["alerts"]["durationStats"]["p95Ms"]),
    ),
    "explain": ([], each("code", "severity", "title")),
    "report sla": (
        ["-w", "."],
        lambda d: (*(g["operator"] for g in d["breakdowns"]["operator"]), *d["verdict"]["reasons"]),
    ),
    "report latency": (["-w", "."], lambda d: (v for s in d["stages"] for v in (s["ended"], s["open"]))),
    "report practice": (
        ["-w", "."],
        lambda d: (*(o["operator"] for o in d["byOperator"]), *(c["cohort"] for c in d["byCohort"])),
    ),
    "report conversations": (
        ["-w", "."],
        lambda d: (v for c in d for v in (c["customer"], c["conversation"].removeprefix("chatwoot:"), c["status"])),
    ),
    "report baseline list": (["-w", "."], each("number", "actor", "measure", "source")),
    "policy backtest": (
        ["--policy", "pilot", "-w", "."],
        lambda d: (v for x in d["differences"] for v in (x["rule"], *(e["decisionId"] for e in x["examples"]))),
    ),
    "policy show": (["-w", "."], lambda d: (*(v["key"] for v in d["values"]), d["hash"])),
    "policy diff": (["parity", "-w", "."], each("key")),
    "policy check": (["-w", "."], lambda d: (d["profile"],)),
    "settings": ([], each("name", "help")),
    "retention plan": (
        ["-w", "."], lambda d: (d["plan"], *(v for x in d["due"] if x["rows"] for v in (x["kind"], x["rows"]))),
    ),
    "db status": (["-w", "."], lambda d: (d["place"], d["layout"], *d["rows"], *d["rows"].values())),
    "db check": (["-w", "."], each("what")),
    "doctor": (["-w", "."], each("what", "state")),
    "worker status": (["-w", "."], lambda d: (d["destination"], d["queue"]["parked"])),
    "jobs list": (["--all", "-w", "."], each("effect", "state", "why")),
    "jobs show": ([_FAILED, "-w", "."], lambda d: (d["effect"], d["why"], *(a["at"] for a in d["attempts"]))),
    "ledger seal": (["-w", "."], lambda d: (d["root"],)),
    "ledger checkpoint": (["-w", "."], lambda d: (d["note"],)),
    "ledger verify": (["{export}"], lambda d: (*d["proved"], *d["unproved"])),
    "ledger prove": (["102", "-w", "."], lambda d: (d["proof"],)),
    "ledger rotate": (["-w", "."], lambda d: (d["key"], d["fingerprint"])),
    "ledger keys": (["-w", "."], each("key", "fingerprint")),
}  # fmt: skip

# These write, or serve, and say what they wrote; an export is data by itself.
WRITING = {
    "report html",
    "init",
    "decisions export",
    "scenarios new",
    "scenarios seeds",
    "session close",
    "session tick",
    "report baseline start",
    "report baseline stop",
    "report baseline add",
    "report baseline withdraw",
    "chatwoot serve",
    "chatwoot listen",
    "worker",
    "app",
}


# These write and say in JSON what they wrote or read; run one after the other on one bundle.
TELLING = {
    "decisions inspect": [str(SAMPLE)],
    "decisions import": [str(SAMPLE), "-w", "."],
    "decisions convert": [str(SAMPLE), "-o", "parquet"],
    "fixtures make": ["--rows", "20", "-o", "made.ndjson"],
    "evidence bundle": ["cx-escalations", "--seal", "-o", "bundle.zip", "-w", "."],
    "evidence verify": ["bundle.zip"],
    "evidence redact": ["bundle.zip", "-o", "redacted.zip"],
    "session seed": ["monday", "A", "-w", "."],
    "jobs retry": [_FAILED, "-w", "."],
    "jobs park": ["{as}", "--reason", "not now", "-w", "."],
    "db upgrade": ["-w", "."],
    "retention apply": ["--yes", "--as", "ada@shop.example:admin", "-w", "."],
    "db copy": ["--from", ".", "--to", "copy.db"],
}

# These need somebody to speak with, or to look at: test_supabase_rest.py has a project, test_chatwoot_account.py an
# account, and the desk's test_capture.py a desk.
ELSEWHERE = {
    "evidence capture",
    "supabase push", "supabase status", "supabase pull", "supabase retain",
    "chatwoot smoke", "chatwoot seed", "chatwoot unseed",
}  # fmt: skip

_BEFORE = {"session seed": ["session", "start", "monday", "--live", "-w", "."]}


def test_what_a_command_wrote_is_told_in_json(
    cli: Any, played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told: Any = {}
    for path, args in TELLING.items():
        if path in _BEFORE:
            assert cli(*(str(played) if word == "." else word for word in _BEFORE[path])).code in (0, 1)
        # What was sent again just before is what is parked.
        words = [str(played) if word == "." else told["as"] if word == "{as}" else word for word in args]
        done = cli(*path.split(), *words, "--json")
        assert done.code in (0, 1, 3), (path, done.err)
        told = json.loads(done.out)
        assert told, path


def test_every_command_is_known_here() -> None:
    assert set(READING) | WRITING | set(TELLING) | ELSEWHERE == set(COMMANDS)
    with_json = {path for path, c in COMMANDS.items() if any("--json" in p.opts for p in c.params)}
    assert with_json == set(READING) | set(TELLING) | ELSEWHERE


@pytest.mark.parametrize("path", sorted(READING))
def test_json_is_data_and_holds_what_the_table_holds(
    path: str, cli: Any, played: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    cli("scenarios", "new", bad)
    bad.write_text(bad.read_text().replace("title:", "titel:", 1))
    if path == "report baseline list":
        cli("report", "baseline", "add", "--minutes", "5", "--source", "a call", "-w", played)
    args, rows = READING[path]
    export = tmp_path / "decisions.ndjson"
    if path in ("ledger checkpoint", "ledger verify", "ledger prove"):
        assert cli("ledger", "seal", "-w", played).code == 0
        assert cli("decisions", "export", "-w", played, "-o", export).code == 0
    given = [str(played) if a == "." else a.format(bad=bad, export=export, played=played) for a in args]
    command = [*path.split(), *given]

    as_json = cli(*command, "--json")
    data = json.loads(as_json.out)
    if path == "session start":
        command = ["session", "status", *given]
    elif path == "ledger rotate":
        command = ["ledger", "keys", *given]
    table = cli(*command, columns=200)
    assert table.code == as_json.code
    expected = [str(value) for value in rows(data)]
    assert expected or path == "deliver"
    shown = " ".join((table.out + (table.err if path == "policy check" else "")).split())
    assert [value for value in expected if " ".join(value.split()) not in shown] == []


def test_one_legacy_tool_gives_its_own_keys(cli: Any) -> None:
    both = json.loads(cli("summary", SAMPLE, "--profile", "parity", "--json").out)
    for tool in ("analyze", "alerts"):
        one = cli("summary", SAMPLE, "--profile", "parity", "--tool", tool, "--json")
        assert json.loads(one.out) == both[tool]


def test_narration_stays_off_stdout(cli: Any, tmp_path: Path) -> None:
    done = cli("dryrun", "run", "A", "-w", tmp_path / "w", "--json")
    assert json.loads(done.out)["passed"] is True
    assert "made workspace" in done.err
    assert "Approve & send" in done.err


def _tree(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in root.rglob("*")
        if p.is_file()
    }


def test_a_dry_run_of_a_dry_run_writes_nothing(cli: Any, played: Path, tmp_path: Path) -> None:
    before = _tree(played)
    assert cli("dryrun", "run", "--dry-run", "-w", played).code == 0
    assert cli("dryrun", "run", "--dry-run", "--json", "-w", tmp_path / "absent").code == 0
    assert _tree(played) == before
    assert not (tmp_path / "absent").exists()


def _without_times(value: Any) -> Any:
    """The same data without what is measured and without where it lies."""
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in ("durationMs", "path")}
    return [_without_times(v) for v in value] if isinstance(value, list) else value


def test_two_fresh_workspaces_give_the_same_data(cli: Any, tmp_path: Path) -> None:
    ran = [cli("dryrun", "run", "B", "-w", tmp_path / name, "--json") for name in ("one", "two")]
    assert [done.code for done in ran] == [0, 0], [done.err for done in ran]
    first, second = (json.loads(done.out) for done in ran)
    assert _without_times(first) == _without_times(second)
    assert first["scenarios"][0]["deliveries"][0]["durationMs"] is not None


def test_an_export_to_stdout_has_the_bytes_of_the_file(cli: Any, played: Path, tmp_path: Path) -> None:
    for shape in ("decisions", "decision-log", "sync-events"):
        shown = cli("decisions", "export", "--shape", shape, "-o", "-", "-w", played)
        cli("decisions", "export", "--shape", shape, "-o", tmp_path / "file", "-w", played)
        assert shown.out == (tmp_path / "file").read_text(encoding="utf-8")
        assert all(json.loads(line) for line in shown.out.splitlines())
