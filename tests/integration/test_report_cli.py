"""`report` and `policy backtest` as people type them: workspace and bundle alike, exit codes, baselines on record."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from cairnops.errors import CairnError, NotFound
from cairnops.evidence import charts, exports
from cairnops.settings import Settings
from cairnops.store.baselines import SqlBaselines
from cairnops.workspace import Workspace

SHAPES = ("decisions", "sync-events", "conversations")


@pytest.fixture
def bundle(cli: Any, played: Path, tmp_path: Path) -> Path:
    """What a colleague would be sent: three exports and no workspace."""
    folder = tmp_path / "bundle"
    for shape in SHAPES:
        cli("decisions", "export", "--shape", shape, "-o", folder / f"{shape}.ndjson", "-w", played)
    return folder


def data(done: Any) -> Any:
    found = json.loads(done.out)
    if isinstance(found, dict):
        found.pop("inputs", None)
    return found


@pytest.mark.parametrize("report", ["sla", "latency", "practice", "conversations"])
def test_a_bundle_gives_the_figures_of_the_workspace(
    report: str, cli: Any, played: Path, bundle: Path, tmp_path: Path
) -> None:
    here = cli("report", report, "--json", "-w", played)
    there = cli("report", report, bundle, "--json", "-w", tmp_path / "nowhere")
    assert data(here) == data(there)
    assert here.code == there.code
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("report", ["sla", "latency", "practice", "conversations"])
def test_the_order_of_the_files_does_not_matter(report: str, cli: Any, bundle: Path) -> None:
    files = sorted(bundle.iterdir())
    assert cli("report", report, *files, "--json").out == cli("report", report, *files[::-1], "--json").out


@pytest.mark.parametrize(
    "args",
    [
        *(pytest.param(["report", "sla", "--by", by], id=f"sla by {by}")
          for by in ("operator", "team", "inbox", "priority", "day")),
        pytest.param(["report", "latency"], id="latency"),
        pytest.param(["report", "practice"], id="practice"),
        pytest.param(["report", "conversations"], id="conversations"),
        pytest.param(["report", "baseline", "list"], id="baselines"),
        pytest.param(["policy", "backtest", "--policy", "parity"], id="backtest"),
    ],
)  # fmt: skip
def test_nothing_is_wider_than_the_terminal(args: list[str], cli: Any, played: Path) -> None:
    cli(
        "report",
        "baseline",
        "add",
        "--minutes",
        "5",
        "--source",
        "five calls the lead timed on Monday",
        "-w",
        played,
    )
    done = cli(*args, "-w", played)
    assert done.code in (0, 1, 3)
    assert [line for line in done.out.splitlines() if len(line) > 80 or line != line.rstrip()] == []


# -- verdicts and exit codes


def test_four_conversations_are_not_enough_for_a_verdict_and_two_are_when_asked(
    cli: Any, played: Path
) -> None:
    done = cli("report", "sla", "-w", played)
    assert done.code == 3
    assert "4 open conversations; 5 are needed" in done.out
    done = cli("report", "sla", "--min-samples", "2", "-w", played)
    assert done.code == 1
    assert "4 of 4 open conversations are breached, above 40% (critical)" in done.out


def test_too_few_cases_are_said_in_words_on_the_page(cli: Any, played: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert cli("report", "html", "-w", played, "-o", page).code == 0
    assert "Band 10–15%: not enough cases to judge." in page.read_text(encoding="utf-8")


def test_the_moment_is_the_datas_own_unless_another_is_named(cli: Any, played: Path) -> None:
    def moment(*args: str) -> str:
        return str(json.loads(cli("report", "sla", *args, "--json", "-w", played).out)["asOf"])

    assert moment() == "2025-10-16T18:08:00.000Z"
    assert moment("--at", "2025-10-16T17:00:00Z") == "2025-10-16T17:00:00.000Z"
    assert moment("--at", "now") > "2025-10-17"


@pytest.mark.parametrize("report", ["sla", "latency", "practice", "html"])
def test_what_is_set_otherwise_stands_beside_what_the_profile_says(
    report: str, cli: Any, played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "available", lambda: False)
    (played / "policy.yaml").write_text("profile: dry-run\nescalation:\n  update_hours: 48\n")
    page = tmp_path / "page.html"
    done = cli("report", report, "-w", played, *(["-o", page] if report == "html" else []))
    told = page.read_text(encoding="utf-8") if report == "html" else " ".join(done.out.split())
    assert "escalation.update_hours 48 set by policy.yaml, in place of 24" in told


def test_a_threshold_given_for_once_stands_beside_the_policys(cli: Any, played: Path) -> None:
    done = cli("report", "sla", "--min-samples", "2", "-w", played, "--json")
    assert json.loads(done.out)["policy"]["overrides"] == [
        {"key": "alerts.min_samples", "value": 2, "instead": 5, "by": "--min-samples"}
    ]


def test_the_policy_judged_by_is_the_one_named(cli: Any, played: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text(
        "profile: dry-run\nsla:\n  minutes: 6000\n  first_response_minutes: 6000\n"
    )
    done = json.loads(cli("report", "sla", "--policy", tmp_path / "slow.yaml", "--json", "-w", played).out)
    assert done["targetsMinutes"]["breach"] == 6000
    assert done["totals"]["firstResponse"]["missedRate"] in (None, 0.0)
    (played / "policy.yaml").write_text("profile: parity\n")
    done = json.loads(cli("report", "sla", "--json", "-w", played).out)
    assert (done["policy"]["profile"], done["counting"]["clock"]) == ("parity", "conversation_created")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        pytest.param(["sla", "{empty}"], 3, "no conversations among the inputs", id="nothing in it"),
        pytest.param(["latency", "{empty}"], 3, "", id="nothing to measure"),
        pytest.param(["practice", "{empty}"], 3, "no conversations", id="nobody practised"),
        pytest.param(["conversations", "{empty}"], 3, "no conversations", id="no rows"),
        pytest.param(["sla", "{page}"], 2, "error: page.ndjson", id="a web page"),
        pytest.param(["sla", "gone.ndjson"], 2, "There is no file", id="no such file"),
        pytest.param(["sla", "--at", "noonish"], 2, "is no moment", id="no moment"),
        pytest.param(["sla", "--policy", "nope"], 2, "neither a profile nor", id="no policy"),
        pytest.param(["sla", "-s", "nope"], 2, "No session is called", id="no session"),
        pytest.param(["practice", "--band", "20-10"], 2, "is no band", id="a band upside down"),
        pytest.param(["practice", "--band", "some"], 2, "is no band", id="no band"),
        pytest.param(["conversations", "-o", "{tmp}/x.xlsx"], 2, "ends in no format", id="no format"),
        pytest.param(["conversations", "--link", "https://x"], 2, "no {id} in it", id="a link to nowhere"),
        pytest.param(["baseline", "stop"], 2, "No stopwatch", id="nothing runs"),
        pytest.param(["baseline", "withdraw", "7", "--why", "x"], 2, "no baseline 7", id="no such baseline"),
        pytest.param(["baseline", "add", "--minutes", "0", "--source", "x"], 2, "no length of time", id="no time"),
        pytest.param(["baseline", "add", "--minutes", "nan", "--source", "x"], 2, "no length of time", id="no number"),
        pytest.param(["baseline", "add", "--minutes", "3", "--source", " "], 2, "without a source", id="no source"),
    ],
)  # fmt: skip
def test_what_cannot_be_said(
    args: list[str], code: int, said: str, cli: Any, played: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.ndjson").write_text("")
    (tmp_path / "page.ndjson").write_text("<!doctype html><html>Sign in</html>")
    names = {"empty": tmp_path / "empty.ndjson", "page": tmp_path / "page.ndjson", "tmp": tmp_path}
    given = [a.format(**names) if "{id}" not in a and a[:1] == "{" else a for a in args]
    done = cli("report", *given, "-w", played)
    assert done.code == code, done
    assert said in done.err
    assert "Traceback" not in done.err


def test_rows_that_cannot_be_used_are_named(cli: Any, bundle: Path) -> None:
    file = bundle / "decisions.ndjson"
    broken = file.read_text().replace('"createdAt":"2025-10-16T17:24:00.000Z"', '"createdAt":"lately"')
    file.write_text(broken + '{"a":1}\nnot json\n')
    done = cli("report", "latency", bundle, "--json")
    found = json.loads(done.out)["inputs"]
    assert (found["unusable"], found["otherShapes"], found["problems"][0]["line"]) == (1, 1, 2)
    assert "line 2 of decisions.ndjson" in done.err
    assert "1 line not read" in done.err


def test_the_table_of_conversations_is_written_whole(cli: Any, played: Path, tmp_path: Path) -> None:
    for ending in ("csv", "ndjson", "parquet"):
        done = cli("report", "conversations", "-o", tmp_path / f"c.{ending}", "-w", played,
                   "--link", "https://desk.example/{id}")  # fmt: skip
        assert done.out.strip() == str(tmp_path / f"c.{ending}")
        assert "wrote 4 rows" in done.err
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    rows = [json.loads(line) for line in (tmp_path / "c.ndjson").read_text().splitlines()]
    assert [c["conversation"] for c in cells] == [r["conversation"] for r in rows]
    assert cells[0]["link"] == "https://desk.example/1045"
    assert cells[0]["decisionIds"] == "102"


def test_a_hostile_name_stays_text(cli: Any, bundle: Path) -> None:
    file = bundle / "conversations.ndjson"
    file.write_text(file.read_text().replace("Alex Rivera", "\\u001b[31m=cmd()"))
    done = cli("report", "conversations", file)
    assert "\x1b" not in done.out
    assert "\\x1b[31m=cmd()" in "".join(done.out.split())


# -- the conversations export


def test_a_conversation_leaves_without_addresses_and_without_words(cli: Any, played: Path) -> None:
    plain = cli("decisions", "export", "--shape", "conversations", "-o", "-", "-w", played).out
    assert "alex.rivera@example.com" not in plain
    assert "package still in transit" not in plain
    whole = cli("decisions", "export", "--shape", "conversations", "--texts", "-o", "-", "-w", played).out
    assert "package still in transit" in whole
    assert cli("decisions", "export", "--texts", "-o", "-", "-w", played).code == 2


def test_a_session_takes_its_own_conversations_only(cli: Any, played: Path) -> None:
    with Workspace.open(played, Settings({})) as w:
        every = exports.rows(w.ledger, "conversations")
        assert len(exports.rows(w.ledger, "conversations", session="cx-escalations")) == len(every) == 4
        assert exports.rows(w.ledger, "conversations", session="another") == []
    assert {tuple(r["sessions"]) for r in every} == {("cx-escalations",)}
    assert [r["runs"][0]["answer"] for r in every] == ["right"] * 4


# -- baselines


def test_minutes_are_recovered_only_against_a_baseline(cli: Any, played: Path) -> None:
    before = cli("report", "latency", "-w", played)
    assert "recovered" not in (before.out + before.err).lower()
    timed = ("--source", "calls timed by the lead", "-w", played)
    for minutes in ("10", "6"):
        assert cli("report", "baseline", "add", "--minutes", minutes, *timed).code == 0
    after = cli("report", "latency", "-w", played)
    assert "Minutes recovered, opened → decided" in after.out
    assert "calls timed by the lead" in after.out
    found = json.loads(cli("report", "latency", "--json", "-w", played).out)["minutesRecovered"][0]
    assert (found["baselineMeanS"], found["cases"]) == (480, 3)
    assert found["minutes"] == round((480 - found["productMeanS"]) * 3 / 60, 2)


def test_a_stopwatch_is_one_persons(cli: Any, played: Path) -> None:
    def said(*args: str) -> Any:
        return cli("report", "baseline", *args, "-w", played)

    assert said("start", "--measure", "pickup", "--as", "ann@x.example").code == 0
    assert "has been running since" in said("start", "--as", "ann@x.example").err
    assert said("start", "--as", "ben@x.example").code == 0
    assert "nothing kept" in said("stop", "--drop", "--as", "ben@x.example").err
    assert said("stop", "--note", "call 3", "--as", "ann@x.example").code == 0
    rows = json.loads(said("list", "--json").out)
    assert [(r["actor"], r["measure"], r["source"]) for r in rows] == [
        ("ann@x.example", "pickup", "stopwatch: call 3")
    ]
    assert said("start", "--as", "ann@x.example").code == 0


def test_what_is_withdrawn_stays_on_record(cli: Any, played: Path) -> None:
    from datetime import timedelta

    from cairnops.domain.conversations import Actor
    from cairnops.workspace import now

    ann = Actor(email="ann@x.example")
    with Workspace.open(played, Settings({})) as w:
        kept = SqlBaselines(w.ledger.engine)
        number = kept.add("handling", 300, "by hand", ann, now())
        kept.withdraw(number, "the phone rang", ann, now())
        assert kept.standing() == []
        assert [row["withdrawn"] for row in kept.all() if row["seconds"]] == ["the phone rang"]
        with pytest.raises(CairnError, match="withdrawn already"):
            kept.withdraw(number, "again", ann, now())
        with pytest.raises(CairnError, match="needs a reason"):
            kept.withdraw(number, " ", ann, now())
        started = kept.start("handling", ann, now())
        with pytest.raises(NotFound):
            kept.withdraw(started, "a start is no measurement", ann, now())
        with pytest.raises(CairnError, match="later than now"):
            kept.stop(ann, now() - timedelta(hours=1))
        told = [e["kind"] for e in w.ledger.events() if e["kind"].startswith("baseline.")]
        assert told == ["baseline.added", "baseline.withdrawn", "baseline.started"]
    shown = cli("report", "baseline", "list", "-w", played, columns=120)
    assert "withdrawn: the phone rang" in " ".join(shown.out.split())


# -- back-test


def test_a_back_test_over_the_workspace(cli: Any, played: Path, tmp_path: Path) -> None:
    same = cli("policy", "backtest", "--policy", "dry-run", "-w", played)
    assert same.code == 0
    assert "0 of 3 decisions would have been judged differently" in same.out
    pilot = cli("policy", "backtest", "--policy", "pilot", "-w", played)
    assert pilot.code == 1
    assert "refund.above_tier: 104 approve_send on chatwoot:1062" in " ".join(pilot.out.split())
    (tmp_path / "bad.yaml").write_text("profile: dry-run\nslaa: {}\n")
    bad = cli("policy", "backtest", "--policy", tmp_path / "bad.yaml", "-w", played)
    assert bad.code == 2
    assert "slaa" in bad.err


def test_a_back_test_over_a_bundle_says_what_it_lacks(cli: Any, bundle: Path) -> None:
    alone = cli("policy", "backtest", "--policy", "pilot", bundle / "decisions.ndjson")
    assert alone.code == 3
    assert "the conversation is in no export" in alone.out
    assert cli("policy", "backtest", "--policy", "pilot", bundle).code == 1
