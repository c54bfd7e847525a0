"""The command line as people meet it: errors in one sentence, inert text, no secrets, quick help, working examples."""

import ast
import contextlib
import http.server
import importlib.util
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cairnops.scenarios import schema

ROOT = Path(__file__).resolve().parents[2]
EXPORTS = ROOT / "fixtures" / "exports"
SAMPLE = EXPORTS / "decision_sync_sample.ndjson"


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


shared = _module("cli_conftest", Path(__file__).with_name("conftest.py"))
COMMANDS = dict(_module("cli_commands", ROOT / "tests" / "docs" / "generate.py").commands())


def one_message(done: Any, *parts: str, code: int = 2) -> None:
    """One sentence on stderr, perhaps with what to do next; nothing on stdout; no traceback."""
    assert done.code == code, done
    assert done.out == ""
    assert "Traceback" not in done.err
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.err
    assert not lines[0].endswith(("..", "?."))
    for part in parts:
        assert part in done.err


# -- errors


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        pytest.param(["nope"], ["No such command 'nope'", "cairnops --help"], id="unknown command"),
        pytest.param(["decisions", "lits"], ["Did you mean 'list'?"], id="misspelt command"),
        pytest.param(["decisions", "list", "--foo"], ["--foo", "cairnops decisions list --help"], id="unknown option"),
        pytest.param(["decisions", "show", "-w", "."], ["Missing argument"], id="missing argument"),
        pytest.param(["decisions", "list", "--scope", "x", "-w", "."], ["'ops', 'build', 'all'"], id="bad choice"),
        pytest.param(["summary", "nofile.ndjson"], ["There is no file nofile.ndjson"], id="no file"),
        pytest.param(["summary", "{tmp}"], ["is a folder"], id="a folder"),
        pytest.param(["summary", "{db}"], ["an SQLite database"], id="not an export"),
        pytest.param(["summary", "{sample}", "--tool", "alerts"], ["--profile parity"], id="tool without parity"),
        pytest.param(["session", "status", "nope", "-w", "."], ["No session is called nope"], id="no session"),
        pytest.param(["worksheet", "nope", "-w", "."], ["No session is called nope"], id="worksheet, no session"),
        pytest.param(["decisions", "list", "-s", "nope", "-w", "."], ["No session is called"], id="list, no session"),
        pytest.param(["decisions", "export", "-s", "nope", "-w", "."], ["No session is called"], id="export"),
        pytest.param(["decisions", "show", "0", "-w", "."], ["There is no decision 0"], id="decision nought"),
        pytest.param(["decisions", "show", "", "-w", "."], ["There is no decision"], id="decision of no name"),
        pytest.param(["decisions", "show", "9" * 40, "-w", "."], ["There is no decision"], id="a huge number"),
        pytest.param(["decisions", "show", "²", "-w", "."], ["There is no decision"], id="no number"),
        pytest.param(["conversations", "show", "1", "-w", "."], ["no conversation 1"], id="no conversation"),
        pytest.param(["conversations", "list", "--at", "soon", "-w", "."], ["is no moment"], id="no moment"),
        pytest.param(["dryrun", "run", "A", "-s", "../../evil", "-w", "."], ["cannot name a session"], id="a path"),
        pytest.param(["session", "start", "a/b", "-w", "."], ["cannot name a session"], id="a slash in a name"),
        pytest.param(["session", "start", ".", "-w", "."], ["cannot name a session"], id="a dot as name"),
        pytest.param(["dryrun", "run", "--as", "bob", "-w", "."], ["'bob' is no participant"], id="bad --as"),
        pytest.param(["dryrun", "run", "--as", "a@b.c:king", "-w", "."], ["operator, lead"], id="no such role"),
        pytest.param(["dryrun", "run", "Z", "-w", "."], ["has no scenario Z", "a-late-shipment"], id="no scenario"),
        pytest.param(["dryrun", "run", "-p", "nope"], ["no pack called nope", "cx-escalations"], id="no pack"),
        pytest.param(["dryrun", "run", "--switch-off", "x", "-w", "."], ["No rule has the code x"], id="no rule"),
        pytest.param(["explain", "refund.above_teir"], ["Did you mean refund.above_tier?"], id="misspelt rule"),
        pytest.param(["policy", "show", "slaa", "-w", "."], ["The policy has no key slaa"], id="no policy key"),
        pytest.param(["policy", "diff", "nope", "-w", "."], ["neither a profile nor"], id="no policy"),
        pytest.param(["policy", "check", "nope.yaml"], ["There is no file nope.yaml"], id="no policy file"),
        pytest.param(["worksheet", "cx-escalations", "--json", "-o", "x", "-w", "."], ["--output"], id="json to file"),
        pytest.param(["decisions", "export", "--attempts", "all", "-w", "."], ["sync-events"], id="attempts of what"),
        pytest.param(["decisions", "list", "-w", "{file}"], ["is a file, not a workspace"], id="workspace is a file"),
        pytest.param(["decisions", "list", "-w", "/proc/nope"], ["/proc/nope cannot be used"], id="no permission"),
        pytest.param(["decisions", "list", "-w", "{broken}"], ["file is not a database"], id="no database"),
        pytest.param(["scenarios", "new", "{file}"], ["is there already", "--force"], id="would replace"),
        pytest.param(["init", "--profile", "pilot", "-w", "."], ["with profile dry-run"], id="other profile"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(
    args: list[str], parts: list[str], cli: Any, played: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cairnops.db").write_text("this was a database once")
    names = {
        "tmp": tmp_path,
        "db": played / "cairnops.db",
        "file": tmp_path / "file",
        "broken": tmp_path / "broken",
        "sample": SAMPLE,
    }
    given = [a.format(**names) for a in args]
    if given[-2:] == ["-w", "."]:
        given[-1] = str(played)
    if "-w" not in given and given[0] in ("explain", "policy", "dryrun"):
        given += ["-w", str(played)]
    one_message(cli(*given), *parts)


def test_a_pack_with_several_faults_names_them_all_with_their_lines(cli: Any, tmp_path: Path) -> None:
    pack = tmp_path / "bad.yaml"
    cli("scenarios", "new", pack)
    named = pack.read_text().partition("\n")[0].rpartition("$schema=./")[2]
    assert (tmp_path / named).read_text(encoding="utf-8") == schema.render(), (
        "an editor finds it beside the pack"
    )
    text = pack.read_text().replace("title:", "titel:", 1).replace("minutes: 30", "minutes: many", 1)
    pack.write_text(text)
    lint = cli("scenarios", "lint", pack)
    assert lint.code == 1
    assert re.search(r"bad\.yaml:3: .*unknown key `titel`", " ".join(lint.out.split()))
    assert lint.out.count("bad.yaml:") >= 3
    ran = cli("dryrun", "run", "-p", pack, "-w", tmp_path / "w")
    one_message(ran, "unknown key `titel`", "minutes")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FEATURE_AI_ESCALATIONS", "maybe"),
        ("CHATWOOT_SLA_MINUTES", "-3"),
        ("CHATWOOT_BASE_URL", "ftp://x"),
        ("CHATWOOT_ACCOUNT_ID", "one"),
    ],
)
def test_a_bad_setting_names_variable_value_and_what_is_accepted(
    name: str, value: str, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    one_message(cli("settings"), name, value, "Accepted: ")


def test_a_database_damaged_in_the_middle_is_one_sentence(cli: Any, played: Path) -> None:
    data = bytearray((played / "cairnops.db").read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    (played / "cairnops.db").write_bytes(data)
    one_message(cli("decisions", "list", "-w", played), "database")


def test_what_nobody_foresaw_is_no_traceback_either(
    cli: Any, played: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cairnops.store.ledger import SqlLedger

    def broken(*_: object, **__: object) -> None:
        raise KeyError("sekret-in-a-key")

    monkeypatch.setattr(SqlLedger, "decisions", broken)
    done = cli("decisions", "list", "-w", played)
    one_message(done, "KeyError", "python -X dev")
    assert "sekret" not in done.err


def test_a_port_in_use_is_one_sentence(cli: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one_message(cli("chatwoot", "serve", "--port", port, "--state", tmp_path / "s.db"), str(port))


def _wait_for(condition: Any, what: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_ctrl_c_in_the_middle_is_quiet_and_the_next_run_finishes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cairnops", "dryrun", "run", "-w", str(tmp_path / "w")]
    # The third scene waits for three answers that do not come: so long that nobody hears of it too late.
    (tmp_path / "w").mkdir()
    policy = tmp_path / "w" / "policy.yaml"
    policy.write_text("profile: dry-run\ndelivery:\n  timeout_ms: 1500\n", encoding="utf-8")
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=shared.scrubbed(),
        encoding="utf-8",
    ) as process:
        assert process.stderr
        assert process.stdout
        for line in process.stderr:
            if "[3/4]" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.stdout.read() == ""
        assert process.wait(20) == 130
    assert "interrupted; what was committed stays" in rest
    assert "Traceback" not in rest
    policy.write_text("profile: dry-run\n", encoding="utf-8")
    again = shared.child("dryrun", "run", "-w", tmp_path / "w", "--json")
    assert again.code == 0, again.err
    assert [len(s["deliveries"]) for s in json.loads(again.out)["scenarios"]] == [2, 2, 2, 0]


def test_ctrl_c_stops_the_simulator_quietly(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "cairnops",
        "chatwoot",
        "serve",
        "--port",
        "0",
        "--state",
        str(tmp_path / "s.db"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=shared.scrubbed()
    ) as process:
        assert process.stdout
        assert process.stderr
        address = process.stdout.readline().strip()
        port = int(address.rpartition(":")[2])

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        _wait_for(answers, "the simulator did not come up")
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(20) in (0, 130)
    assert "Traceback" not in said


@pytest.mark.parametrize("args", [["explain"], ["explain", "--json"], ["decisions", "export", "-o", "-"]])
def test_a_closed_pipe_is_quiet(args: list[str], played: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "cairnops", *args, "-w", str(played)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=shared.scrubbed(), timeout=30)
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 141


def test_a_full_disk_under_stdout_is_one_sentence(played: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cairnops", "explain", "-w", str(played)],
            stdout=full,
            stderr=subprocess.PIPE,
            env=shared.scrubbed(),
            timeout=30,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: No space left on device."
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# -- what customers write is shown and never obeyed

_NAME = "\x1b]0;pwned\x07Robin \u202e[bold]H|ale[/bold] \x9b31m"
_MESSAGE = (
    '=HYPERLINK("x") \x1b[2J\x1b[31m Where is my order?\r\n## Forged\n| a | b |\n[red]tracking[/red] \u2066x'
)


def _is_inert(text: str) -> None:
    bad = [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert bad == []


@pytest.fixture
def hostile(cli: Any, tmp_path: Path) -> Path:
    """A workspace in which a case has been played whose customer writes what terminals obey."""
    pack = tmp_path / "hostile.yaml"
    cli("scenarios", "new", pack)
    text = pack.read_text()
    text = text.replace("name: Robin Hale", f"name: {json.dumps(_NAME)}")
    text = text.replace('"Where is my order? The tracking has not moved for two days."', json.dumps(_MESSAGE))
    note = json.dumps("=cmd|' /C calc'!A0 | **x** <b> \x1b[2J \u202e\n@SUM(1)")
    text = text.replace(
        'note: "Asked the carrier for a trace."', f"note: {note}, text: {json.dumps('Hi, ' + _MESSAGE)}"
    )
    pack.write_text(text)
    ran = cli("dryrun", "run", "-p", pack, "-w", tmp_path / "h", "--as", "=evil|x@y.example")
    assert ran.code in (0, 1), ran.err
    _is_inert(ran.out + ran.err)
    assert "decision 102" in ran.err or "decision 101" in ran.err
    return tmp_path / "h"


@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize(
    "args",
    [
        ["decisions", "list", "--scope", "all"],
        ["decisions", "show", "{id}"],
        ["conversations", "list", "--all"],
        ["conversations", "show", "{conversation}"],
        ["session", "status", "hostile"],
        ["session", "list"],
        ["worksheet", "hostile"],
        ["scenarios", "show", "{pack}", "late-parcel"],
        ["scenarios", "list", "{pack}"],
        ["scenarios", "lint", "{pack}"],
        ["dryrun", "run", "--dry-run", "-p", "{pack}"],
    ],
    ids=" ".join,
)
def test_hostile_text_is_inert_everywhere(args: list[str], flags: list[str], cli: Any, hostile: Path) -> None:
    decisions = json.loads(cli("decisions", "list", "-w", hostile, "--json").out)
    names = {
        "id": decisions[0]["decisionId"],
        "conversation": decisions[0]["conversation"],
        "pack": hostile.with_name("hostile.yaml"),
    }
    place = [] if args[0] == "scenarios" else ["-w", hostile]
    done = cli(*(a.format(**names) for a in args), *flags, *place)
    assert done.code in (0, 1), done.err
    _is_inert(done.out + done.err)
    if args[:2] in (["decisions", "show"], ["conversations", "show"]):
        assert "[red]tracking[/red]" in done.out
    if not flags and args[:2] == ["conversations", "show"]:
        assert not any(line.startswith(("##", "|")) for line in done.out.splitlines())


def test_hostile_text_neither_leaves_its_cell_nor_runs(cli: Any, hostile: Path) -> None:
    import csv

    markdown = cli("worksheet", "hostile", "-w", hostile).out
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {10}
    assert "<" not in markdown.replace("\\<", "")
    rows = list(csv.reader(cli("worksheet", "hostile", "--format", "csv", "-w", hostile).out.splitlines()))
    assert {len(row) for row in rows} == {9}
    assert [cell for row in rows for cell in row if cell.lstrip().startswith(("=", "+", "@"))] == []
    assert any(cell.startswith("'=evil") for row in rows for cell in row)


def test_data_for_a_terminal_is_the_same_data(cli: Any, hostile: Path) -> None:
    shown = json.loads(cli("decisions", "show", "101", "-w", hostile, "--json").out)
    exported = [
        json.loads(line) for line in cli("decisions", "export", "-o", "-", "-w", hostile).out.splitlines()
    ]
    assert exported[0]["finalText"] == shown["finalText"]
    assert "\x1b[2J" in shown["finalText"]


def test_what_was_changed_in_a_suggestion_is_marked(cli: Any, hostile: Path) -> None:
    told = cli("decisions", "show", "101", "-w", hostile, columns=200).out
    assert re.search(r"\[-.+-\]", told)
    assert re.search(r"\{\+.+\+\}", told)
    assert "edit distance" in told


# -- secrets

_CANARIES = {"CHATWOOT_API_TOKEN": "canary-chatwoot-9f3a51", "SUPABASE_SERVICE_KEY": "canary-supabase-77be02"}


class _Refuses(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(
            {"error": "unauthorized", "you_sent": self.headers.get("api_access_token", "")}
        ).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refuses)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _no_canary(done: Any, folder: Path) -> None:
    for canary in _CANARIES.values():
        assert canary not in done.out + done.err
        for path in folder.rglob("*"):
            if path.is_file():
                assert canary.encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize("where", ["simulator", "closed", "refusing"])
def test_no_secret_is_said_or_kept(where: str, refusing: str, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    base = {
        "simulator": {},
        "closed": {"CHATWOOT_BASE_URL": closed},
        "refusing": {"CHATWOOT_BASE_URL": refusing},
    }
    environ = {**_CANARIES, **base[where]}
    done = shared.child("dryrun", "run", "A", "-w", tmp_path / "w", **environ)
    assert done.code == (0 if where == "simulator" else 2), done
    assert "Traceback" not in done.err
    if where != "simulator":
        assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == 1
    _no_canary(done, tmp_path)
    for args in (["settings"], ["settings", "--json"], ["session", "status", "cx-escalations", "--probe"]):
        place = ["-w", str(tmp_path / "w")] if args[0] == "session" else []
        _no_canary(shared.child(*args, *place, **environ), tmp_path)


# -- the shape of it


def _uses(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Raise) and node.exc:
            yield f"raise {ast.unparse(node.exc).partition('(')[0]}"


def test_only_exits_ends_the_process() -> None:
    for path in sorted((ROOT / "cairnops").rglob("*.py")):
        if path == ROOT / "cairnops" / "cli" / "exits.py":
            continue
        names = set(_uses(ast.parse(path.read_text(encoding="utf-8"))))
        assert not names & {"sys.exit", "typer.Exit", "typer.Abort", "raise SystemExit", "os._exit"}, path


def test_commands_print_through_render_or_narrate() -> None:
    allowed = {"render.py", "common.py", "exits.py"}
    for path in sorted((ROOT / "cairnops" / "cli").glob("*.py")):
        if path.name not in allowed:
            assert "print" not in set(_uses(ast.parse(path.read_text(encoding="utf-8")))), path.name


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['cairnops', '--help']\n"
        "from cairnops.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(','.join(sorted({m.split('.')[0] for m in sys.modules})), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=shared.scrubbed(), timeout=30
    )
    assert "Usage: cairnops" in done.stdout
    heavy = {
        "sqlalchemy", "pydantic", "httpx", "starlette", "uvicorn", "duckdb", "polars", "yaml", "cryptography",
        "sqlite3", "rfc8785",
    }  # fmt: skip
    assert heavy & set(done.stderr.strip().split(",")) == set()


def test_every_command_has_help_with_an_example(cli: Any) -> None:
    for path, command in COMMANDS.items():
        assert "\n    Example: cairnops " in (command.callback.__doc__ or ""), path
        assert "Example:" in cli(*path.split(), "--help").out


def test_a_line_of_the_help_ends_where_the_terminal_does(cli: Any) -> None:
    for path in COMMANDS:
        prose = cli(*path.split(), "--help").out.partition("╭")[0].splitlines()
        for line, below in itertools.pairwise(one.strip() for one in prose):
            if line and below:
                assert len(line) + 1 + len(below.split()[0]) > 78, (path, line)


def test_a_group_says_what_it_is_for(cli: Any) -> None:
    said = " ".join(cli("fixtures", "--help").out.split())
    assert "Make exports to practise and measure on." in said and "the only one" not in said


def _example(path: str) -> str:
    found = re.search(r"Example: (cairnops .+)", COMMANDS[path].callback.__doc__)
    assert found
    return found[1]


# What has to be done first, beside playing the four dry runs.
_START = ["session", "start", "thursday", "-P", "alex@shop.example"]
_FIRST = {"session status": _START, "session close": _START, "session tick": _START}
_FIRST |= {"ledger checkpoint": ["ledger", "seal"], "ledger prove": ["ledger", "seal"]}
_FIRST["session seed"] = ["session", "start", "monday", "--live"]
_FIRST["ledger verify"] = ["decisions", "export", "-o", "decisions.ndjson"]
_FIRST["report baseline stop"] = ["report", "baseline", "start"]
_FIRST["report baseline withdraw"] = ["report", "baseline", "add", "--minutes", "4", "--source", "a call"]
_BUNDLE = ["evidence", "bundle", "cx-escalations", "--seal", "-o", "cx-escalations.zip"]
_FIRST |= {"evidence verify": _BUNDLE, "evidence redact": _BUNDLE}
_FIRST["reconcile"] = ["worksheet", "cx-escalations", "-o", "worksheet.md"]
_FIRST["scenarios lint"] = ["scenarios", "new", "my-pack.yaml"]


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_the_example_in_the_help_runs(
    path: str, cli: Any, played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    played.rename(tmp_path / ".cairnops")
    shutil.copy(SAMPLE, tmp_path / "export.ndjson")
    (tmp_path / "fixtures").symlink_to(SAMPLE.parents[1])
    words = shlex.split(_example(path))
    assert words[1 : 1 + len(path.split())] == path.split() or path == "decisions summary"
    # Of these a project or an account answers; test_supabase_rest.py and test_chatwoot_account.py have them.
    # And one looks at a whole desk for it: test_capture.py runs it as it stands here.
    if path in ("app", "jobs park", "evidence capture") or path.startswith(("supabase ", "chatwoot ")):
        words.append("--help")
    if path in _FIRST:
        assert cli(*_FIRST[path]).code in (0, 1)
    done = cli(*words[1:])
    assert done.code in (0, 1, 3), done.err
    assert "error:" not in done.err


def test_the_help_says_where_the_pages_are(cli: Any) -> None:
    said = "".join(cli("--help").out.split()).partition("Toread:")[2]
    assert (Path(said) / "packs.md").is_file()


@pytest.mark.parametrize("columns", [80, 120])
def test_nothing_is_wider_than_the_terminal(columns: int, cli: Any, played: Path) -> None:
    for args in (
        ["scenarios", "list"],
        ["scenarios", "list", "practice-library"],
        ["scenarios", "show", "cx-escalations"],
        ["scenarios", "show", "cx-escalations", "B"],
        ["session", "status", "cx-escalations", "-w", played],
        ["decisions", "list", "--scope", "all", "-w", played],
        ["decisions", "show", "104", "-w", played],
        ["explain"],
        ["explain", "sla.breach", "-w", played],
        ["policy", "show", "-w", played],
        ["policy", "diff", "parity", "-w", played],
        ["settings"],
        ["summary", EXPORTS / "edge.ndjson"],
        ["summary", EXPORTS / "edge.ndjson", "--profile", "parity"],
        ["dryrun", "run", "--dry-run"],
    ):
        done = cli(*args, columns=columns)
        wide = [line for line in done.out.splitlines() if len(line) > columns]
        assert wide == [], args
        assert [line for line in done.out.splitlines() if line != line.rstrip()] == [], args


# -- summaries people read


@pytest.mark.parametrize(
    ("name", "code", "parts"),
    [
        pytest.param(
            "decision_sync_sample", 3,
            ["sha256  295d45a3c3ab6d3a…", "25% of known outcomes (1 of 4)", "25% of all records (1 of 4)",
             "p95 1315.28", "percentiles: linear; p95 would be 1500.55 by nearest_rank", "at most 2",
             "ETIMEDOUT", "NOT ENOUGH DATA", "at least 5 known outcomes", "14:05:22 to 14:22:57 UTC"],
            id="sample",
        ),
        pytest.param(
            "edge", 1, ["46.15% of known outcomes (6 of 13)", "35.29% of all records (6 of 17)", "16 empty-array []",
                        "ALERT", "p95 1300 ms (linear) is above 1000 ms"], id="edge",
        ),
        pytest.param("concatenated", 3, ["3 truncated", "JSON that ends before it is complete"], id="cut off"),
        pytest.param("empty", 3, ["an empty file", "Check that the export ran"], id="empty"),
        pytest.param("empty_array", 3, ["The query found no rows"], id="empty array"),
        pytest.param("html_saved_as", 2, ["a web page, not an export", "NOT READABLE", "signed in"], id="web page"),
        pytest.param(
            "postgrest_error_exploded", 2, ["error 42703", "Mend the query", "NOT READABLE"], id="database error",
        ),
    ],
)  # fmt: skip
def test_a_summary_says_what_the_file_is_and_what_it_rests_on(
    name: str, code: int, parts: list[str], cli: Any
) -> None:
    done = cli("summary", EXPORTS / f"{name}.ndjson")
    assert done.code == code
    said = " ".join(done.out.split())
    assert [part for part in parts if " ".join(part.split()) not in said] == []


def test_an_override_stands_beside_what_the_policy_says(cli: Any) -> None:
    done = cli("summary", SAMPLE, "--min-samples", "2")
    assert done.code == 1
    assert "at least 2 known outcomes (--min-samples; the policy says 5)" in " ".join(done.out.split())


def test_a_threshold_of_the_workspace_says_who_set_it(cli: Any, played: Path) -> None:
    (played / "policy.yaml").write_text("profile: dry-run\nalerts:\n  min_samples: 3\n")
    done = cli("summary", SAMPLE, "-w", played)
    assert done.code == 1
    assert "alerts.min_samples set by policy.yaml in place of 5" in " ".join(done.out.split())


def test_parity_shows_both_legacy_tools(cli: Any) -> None:
    done = cli("summary", SAMPLE, "--profile", "parity", columns=120)
    assert done.code == 3
    for part in ("analyze-supabase-logs", "supabase-sync-alerts", "241.12", "253.28", "1500.55", "1315.28"):
        assert part in done.out
    only = cli("summary", SAMPLE, "--profile", "parity", "--tool", "analyze", columns=120)
    assert only.code == 0
    assert "supabase-sync-alerts" not in only.out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_cannot_show_a_character_still_shows_the_table(encoding: str, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("cairnops")
    done = subprocess.run(
        [str(command), "dryrun", "run", "A", "-w", str(tmp_path / "w")],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"102 approve_send" in done.stdout
