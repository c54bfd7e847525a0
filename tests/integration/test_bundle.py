"""A bundle from the command line to a stranger's desk: written, verified, forged, redacted."""

import csv
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.requests import Action, Request
from cairnops.errors import CairnError, InputError
from cairnops.evidence import bags, bundle, charts, payload, redact, redacted, verify
from cairnops.evidence.bags import Limits
from cairnops.evidence.payload import Trust
from cairnops.settings import Settings
from cairnops.workspace import Workspace, now
from tests.integration.conftest import Cli, child

SESSION = "cx-escalations"
AT = datetime(2025, 10, 16, 20, 0, tzinfo=UTC)
ALEX = Actor(email="alex@practice.example")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
SECRET = bytes(range(32))


def write(workspace: Path, target: Path, **more: Any) -> bundle.Bundle:
    with Workspace.open(workspace, Settings({})) as w:
        return bundle.write(w, SESSION, target, at=more.pop("at", AT), **more)


@pytest.fixture(scope="module")
def made(_played: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a sealed session, with a picture; copy it before changing it."""
    root = tmp_path_factory.mktemp("made")
    shutil.copytree(_played, root / "w")
    pictures = root / "w" / "artifacts" / SESSION / "screenshots"
    pictures.mkdir(parents=True)
    (pictures / "a-late-shipment.png").write_bytes(PNG)
    assert child("ledger", "seal", "-w", root / "w").code == 0
    write(root / "w", root / "bag")
    return root / "bag"


@pytest.fixture
def bag(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "bag")
    return tmp_path / "bag"


def rebagged(folder: Path) -> Path:
    """Sound manifests over whatever the payload is now: what a forger would do."""
    again = folder.parent / "again"
    shutil.copytree(folder / "data", folder.parent / "payload")
    shutil.rmtree(folder)
    bags.write(
        again, lambda to: shutil.copytree(folder.parent / "payload", to, dirs_exist_ok=True) and None, {}
    )
    again.rename(folder)
    shutil.rmtree(folder.parent / "payload")
    return folder


def codes(report: payload.Report) -> set[str]:
    return {fault.code for fault in report.faults}


# What is in it.


def test_a_bundle_holds_the_session_and_verifies(made: Path) -> None:
    report = verify.verify(made)
    assert not report.faults
    assert report.counts == {
        "decisions": 7, "syncEvents": 6, "conversations": 4, "events": report.counts["events"], "worksheetRows": 5,
        "results": 4, "screenshots": 1,
    }  # fmt: skip
    assert report.claims > 100
    assert any("7 sealed records" in said for said in report.proved)
    required = [n for n in report.needs if n.required]
    assert len(required) == 7 and not any(n.missing for n in required)
    assert [n.found for n in report.needs if n.kind == "screenshot"] == ["a-late-shipment.png", "", "", ""]
    index = json.loads((made / "data" / "bundle.json").read_text(encoding="utf-8"))
    held = {p.relative_to(made / "data").as_posix() for p in (made / "data").rglob("*") if p.is_file()}
    assert held == {"bundle.json", "screenshots/README.md", *index["files"].values(), *index["screenshots"]}
    assert {"checkpoint", "key", "gates", "policy", "session", "worksheet", "results"} <= index[
        "files"
    ].keys()


def test_any_bagit_tool_finds_it_valid(made: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "bagit.py", "--validate", made],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stderr
    assert (made / "bagit.txt").read_text() == "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def test_the_ledger_in_it_is_verified_by_its_own_command(made: Path, cli: Cli) -> None:
    (export,) = (made / "data" / "exports").glob("decision_export_*.ndjson")
    key = made / "data" / "exports" / "ledger.pub"
    assert cli("ledger", "verify", export, "--key", key).code == 0


def test_a_wrong_file_for_a_key_is_no_finding_about_the_evidence(
    made: Path, cli: Cli, tmp_path: Path
) -> None:
    wrong = tmp_path / "pack.yaml"
    wrong.write_text("id: no-key\n", encoding="utf-8")
    (export,) = (made / "data" / "exports").glob("decision_export_*.ndjson")
    for what in (["evidence", "verify", made], ["ledger", "verify", export]):
        done = cli(*what, "--key", wrong)
        assert (done.code, done.out) == (2, "")
        assert f"{wrong}: That is no public key" in done.err and "→ Give the ledger.pub" in done.err
    key = (made / "data" / "exports" / "ledger.pub").read_text(encoding="utf-8")
    assert cli("evidence", "verify", made, "--key", key).code == 0, "its text does as well as its file"


def test_the_same_session_gives_the_same_payload_whenever_and_wherever(played: Path, tmp_path: Path) -> None:
    one = write(played, tmp_path / "one")
    two = write(played, tmp_path / "two.zip", at=datetime(2031, 1, 1, tzinfo=UTC))
    assert one.kept.fingerprint == two.kept.fingerprint
    write(played, tmp_path / "a" / "same.zip")
    write(played, tmp_path / "b" / "same.zip")
    assert (tmp_path / "a" / "same.zip").read_bytes() == (tmp_path / "b" / "same.zip").read_bytes()
    for path in (tmp_path / "one" / "data").rglob("*"):
        assert str(tmp_path) not in (path.read_text(encoding="utf-8") if path.is_file() else "")


def test_feedback_names_what_happened_and_where_it_is_proved(made: Path) -> None:
    ai = (made / "data/feedback/ai.md").read_text(encoding="utf-8")
    assert "decision 104 · chatwoot:1062 · reply: SUCCESS at attempt 2" in ai
    assert "decision 107 · chatwoot:1071 · reply: TIMEOUT at attempt 3, ETIMEDOUT" in ai
    enablement = (made / "data/feedback/enablement.md").read_text(encoding="utf-8")
    assert "no decision · chatwoot:1088 · " in enablement
    assert "Manual escalation to the operations manager" in enablement
    assert "Nothing to report." in (made / "data/feedback/qa.md").read_text(encoding="utf-8")


def test_an_unsealed_session_is_bundled_and_says_so(played: Path, tmp_path: Path) -> None:
    written = write(played, tmp_path / "bag")
    assert written.sealed is None and written.unsealed == 7
    report = verify.verify(tmp_path / "bag")
    assert not report.faults
    assert any("none of them is sealed" in said for said in report.unproved)


def test_a_session_that_is_part_of_a_longer_log_is_verified_by_its_extract(
    played: Path, tmp_path: Path
) -> None:
    assert child("dryrun", "run", "A", "-w", played, "--session", "another").code == 0
    assert child("ledger", "seal", "-w", played).code == 0
    write(played, tmp_path / "bag")
    report = verify.verify(tmp_path / "bag")
    assert not report.faults
    assert any(SESSION in said and "in a log of" in said for said in report.proved)
    shown = redact.redact(tmp_path / "bag", tmp_path / "shown", tmp_path / "openings", at=AT, secret=SECRET)
    again = verify.verify(shown.kept.path, trust=Trust(openings=shown.openings.read_text(encoding="utf-8")))
    assert not again.faults
    assert len(again.proved) == 2


def test_a_policy_that_was_changed_since_is_not_passed_off_as_the_one_then(
    played: Path, tmp_path: Path
) -> None:
    with (played / "policy.yaml").open("a", encoding="utf-8") as file:
        file.write("sla:\n  minutes: 45\n")
    write(played, tmp_path / "bag")
    assert not (tmp_path / "bag/data/session/policy.json").exists()
    report = verify.verify(tmp_path / "bag")
    assert not report.faults
    assert any("policy as it was" in said for said in report.unproved)


def test_what_is_no_picture_does_not_go_in_as_one(played: Path, tmp_path: Path) -> None:
    folder = played / "artifacts" / SESSION / "screenshots"
    folder.mkdir(parents=True)
    (folder / "tile.png").write_text("<html>404</html>", encoding="utf-8")
    with pytest.raises(InputError, match="not a picture"):
        write(played, tmp_path / "bag")
    assert list(tmp_path.iterdir()) == [played]


# Where it goes.


@pytest.mark.parametrize("name", ["bag", "bag.zip"])
def test_a_name_that_is_taken_is_given_up_only_when_asked(played: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "out" / name
    assert not write(played, target).kept.unchanged
    assert write(played, target).kept.unchanged
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    target.mkdir()
    (target / "mine.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(InputError, match="there already"):
        write(played, target)
    assert (target / "mine.txt").read_text(encoding="utf-8") == "keep me"
    with pytest.raises(InputError, match="no bag, and is not replaced"):
        write(played, target, replace=True)
    assert (target / "mine.txt").read_text(encoding="utf-8") == "keep me"
    (target / "bagit.txt").write_text("a bag of mine", encoding="utf-8")
    assert not write(played, target, replace=True).kept.unchanged
    assert not verify.verify(target).faults
    assert [p.name for p in target.parent.iterdir()] == [name]


def test_a_folder_nobody_may_write_to_is_said_in_a_sentence(
    played: Path, tmp_path: Path, ordinary_user: None
) -> None:
    closed = Path("/proc/bag")
    with pytest.raises(InputError, match="Cannot write"):
        bags.write(closed, lambda _: None, {})


# What does not hold.


def _edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        (found,) = data.glob(path)
        text = found.read_text(encoding="utf-8")
        assert old in text
        found.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")

    return change


def _lines(path: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def run(data: Path) -> None:
        (found,) = data.glob(path)
        lines = found.read_text(encoding="utf-8").splitlines(keepends=True)
        found.write_text("".join(change(lines)), encoding="utf-8", newline="\n")

    return run


def _gone(path: str) -> Callable[[Path], None]:
    return lambda data: next(iter(data.glob(path))).unlink()


def _new(path: str, content: bytes) -> Callable[[Path], None]:
    return lambda data: (data / path).write_bytes(content) and None


EXPORT, SYNC = "exports/decision_export_*.ndjson", "exports/decision_sync_events_*.ndjson"

FORGERIES = [
    pytest.param(_edit(EXPORT, "Label created", "Parcel arrived"), "ledger.edited", id="a note rewritten"),
    pytest.param(_lines(EXPORT, lambda x: x[:3] + x[4:]), "ledger.dropped", id="a record dropped"),
    pytest.param(_lines(EXPORT, lambda x: x[:-1]), "ledger.truncated", id="the last record cut off"),
    pytest.param(_lines(EXPORT, lambda x: [x[1], x[0], *x[2:]]), "ledger.order", id="records swapped"),
    pytest.param(_gone("exports/checkpoint.txt"), "bundle.missing", id="the checkpoint taken out"),
    pytest.param(_edit("worksheet/worksheet.csv", ",104,", ",105,"), "claim.worksheet", id="another decision"),
    pytest.param(_edit("worksheet/worksheet.csv", ",104,", ",999,"), "claim.decision", id="a decision that is none"),
    pytest.param(_edit("worksheet/worksheet.csv", ",104,", ",1O4,"), "claim.decision", id="no number at all"),
    pytest.param(_edit("worksheet/worksheet.csv", "chatwoot:1062", "chatwoot:1045"), "claim.worksheet",
                 id="another case"),
    pytest.param(_edit("worksheet/worksheet.csv", "TIMEOUT at attempt 3", "SUCCESS at attempt 1"), "claim.worksheet",
                 id="a better outcome"),
    pytest.param(_lines("worksheet/worksheet.csv", lambda x: x[:1] + x[2:]), "claim.worksheet", id="a row left out"),
    pytest.param(_edit("worksheet/worksheet.md", "ETIMEDOUT", "sent"), "claim.worksheet", id="Markdown unlike CSV"),
    pytest.param(_edit(SYNC, '"TIMEOUT"', '"SUCCESS"'), "claim.summary", id="a time-out made a success"),
    pytest.param(_edit(SYNC, '"decisionId":104', '"decisionId":994'), "claim.decision",
                 id="a delivery of no decision"),
    pytest.param(_edit("results/summary.json", '"failure": 1', '"failure": 0'), "claim.summary",
                 id="a better figure"),
    pytest.param(_edit("results/results.json", '"ok": true', '"ok": false'), "claim.result",
                 id="passed over a failed check"),
    pytest.param(_edit("results/results.json", '"conversation": "1045"', '"conversation": "1099"'),
                 "claim.conversation", id="a case nobody saw"),
    pytest.param(_edit("session/gates.json", '"verdict": "go"', '"verdict": "no_go"'), "claim.gate",
                 id="another verdict"),
    pytest.param(_edit("session/gates.json", '"status": "ok"', '"status": "down"'), "claim.gate",
                 id="a probe that says no"),
    pytest.param(_edit("session/policy.json", '"minutes": 60', '"minutes": 90'), "claim.policy", id="another policy"),
    pytest.param(_edit("feedback/ai.md", "decision 104", "decision 194"), "claim.decision",
                 id="feedback on no decision"),
    pytest.param(_edit("feedback/ai.md", "line 3", "line 4"), "claim.evidence", id="feedback with the wrong row"),
    pytest.param(_edit("feedback/ai.md", "exports/", "../exports/"), "claim.evidence", id="evidence outside"),
    pytest.param(_edit("feedback/ai.md", "\n- 2025", "\n- yesterday\n- 2025"), "claim.feedback",
                 id="an entry without evidence"),
    pytest.param(_edit("bundle.json", '"decisions": 7', '"decisions": 8'), "claim.count", id="a wrong count"),
    pytest.param(_edit("bundle.json", '"sealed": 7', '"sealed": 6'), "claim.sealed", id="a wrong size of the log"),
    pytest.param(_edit("bundle.json", '"session": "cx-escalations"', '"session": "another"'), "claim.session",
                 id="another session"),
    pytest.param(_new("screenshots/a-late-shipment.png", b"<html>404</html>"), "claim.picture",
                 id="a page as a picture"),
    pytest.param(_new("notes.txt", b"hello"), "bundle.extra", id="a file nobody listed"),
    pytest.param(_gone("feedback/qa.md"), "bundle.missing", id="a file gone"),
    pytest.param(_new("results/results.json", b"[]"), "bundle.unreadable", id="another kind of JSON"),
    pytest.param(_new("session/gates.json", b'{"a":' * 5000), "bundle.unreadable", id="JSON without end"),
    pytest.param(_new("worksheet/worksheet.csv", b"\xff\xfe"), "bundle.unreadable", id="no text"),
    pytest.param(_edit("bundle.json", "session/events.ndjson", "../../bagit.txt"), "bundle.unreadable",
                 id="a list that leads out"),
]  # fmt: skip


@pytest.mark.parametrize(("forge", "code"), FORGERIES)
def test_a_forgery_with_sound_manifests_is_found(bag: Path, forge: Callable[[Path], None], code: str) -> None:
    forge(bag / "data")
    report = verify.verify(rebagged(bag))
    assert code in codes(report), report.faults
    assert report.exit_code == 1


def test_without_new_manifests_every_change_is_found_by_the_bag_alone(bag: Path) -> None:
    (bag / "data/worksheet/worksheet.md").write_text("other", encoding="utf-8")
    (bag / "data/feedback/ai.md").unlink()
    (bag / "data/feedback/new.md").write_text("new", encoding="utf-8")
    assert {"bag.missing", "bag.unlisted", "bag.changed"} <= codes(verify.verify(bag))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        pytest.param(_new("manifest-sha256.txt", b""), "bag.unlisted", id="an empty manifest"),
        pytest.param(_edit("bag-info.txt", "Payload-Oxum: ", "Payload-Oxum: 1"), "bag.changed", id="a wrong size"),
        pytest.param(_edit("bag-info.txt", "cx-", "cy-"), "bag.changed", id="another name"),
        pytest.param(_new("extra.txt", b"hello"), "bag.unvouched", id="a tag file nobody vouches for"),
        pytest.param(_new("fetch.txt", b"http://example.org/x 1 data/x\n"), "bag.fetch", id="parts elsewhere"),
        pytest.param(_edit("bagit.txt", "UTF-8", "hex"), "bag.form", id="another encoding"),
        pytest.param(_new("bagit.txt", b"x" * 5000), "bag.form", id="no bagit.txt in it"),
        pytest.param(_new("manifest-shake_128.txt", b"00  data/bundle.json\n"), "bag.invalid",
                     id="a hash without a length"),
        pytest.param(_new("bag-info.txt", b"no colon\n"), "bag.invalid", id="a tag that is none"),
        pytest.param(_new("manifest-sha256.txt", b"0" * 64 + b"  ../../etc/passwd\n"), "bag.invalid",
                     id="a manifest that leads out"),
    ],
)  # fmt: skip
def test_a_damaged_bag_is_a_finding(bag: Path, damage: Callable[[Path], None], code: str) -> None:
    damage(bag)
    assert code in codes(verify.verify(bag))


def test_a_scenario_that_was_begun_and_not_finished_is_missing(played: Path, tmp_path: Path) -> None:
    with Workspace.open(played, Settings({})) as w:
        w.sessions.assign(SESSION, "b-refund-offer", "late@practice.example", "1062", now())
    write(played, tmp_path / "bag")
    report = verify.verify(tmp_path / "bag")
    assert [(f.code, f.where) for f in report.faults] == [("missing", "b-refund-offer")]


def test_required_evidence_that_is_not_there_is_missing(bag: Path) -> None:
    def require(data: Path) -> None:
        path = data / "results/results.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        for run in found["results"]:
            for check in run["score"]["checks"]:
                check["gating"] = check["gating"] or check["expected"] == "screenshot"
                check["ok"] = True
        path.write_text(json.dumps(found), encoding="utf-8")

    require(bag / "data")
    report = verify.verify(rebagged(bag))
    assert [f.where for f in report.faults if f.code == "missing"] == [
        "b-refund-offer", "c-sla-breach-and-hold", "d-policy-exception",
    ]  # fmt: skip


def test_an_older_checkpoint_and_a_key_from_elsewhere_count(bag: Path, tmp_path: Path) -> None:
    beside = bag / "data/exports"
    key = (beside / "ledger.pub").read_text(encoding="utf-8")
    old = (beside / "checkpoint.txt").read_bytes()
    report = verify.verify(bag, trust=Trust(key=key, old=[old]))
    assert not report.faults and not report.unproved
    assert child("init", "-w", tmp_path / "other").code == 0
    other = (tmp_path / "other/keys/ledger.pub").read_text(encoding="utf-8")
    assert "ledger.signature" in codes(verify.verify(bag, trust=Trust(key=other)))


# What is not safe to read.


def _entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, mode << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@pytest.mark.parametrize(
    ("names", "said"),
    [
        pytest.param(["../evil"], "leads out", id="parent"),
        pytest.param(["bag/../../evil"], "leads out", id="parent inside"),
        pytest.param(["/etc/evil"], "is absolute", id="absolute"),
        pytest.param(["C:/evil"], "is absolute", id="drive"),
        pytest.param(["~/evil"], "is absolute", id="home"),
        pytest.param(["..\\evil"], "backslash", id="backslash"),
        pytest.param(["a//b"], "leads out", id="an empty part"),
        pytest.param(["a\x00b"], "control", id="NUL"),
        pytest.param(["a\nb"], "control", id="line end"),
        pytest.param(["x" * 500], "longer", id="endless"),
        pytest.param(["bag/a", "bag/a"], "there twice", id="twice"),
        pytest.param(["bag/A", "bag/a"], "there twice", id="twice but for case"),
        pytest.param(["bag/\u00e9", "bag/e\u0301"], "there twice", id="twice but for form"),
        pytest.param(["bag/a", "bag/a/b"], "inside a file", id="file and folder"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_such_names_is_not_unpacked(tmp_path: Path, names: list[str], said: str) -> None:
    with zipfile.ZipFile(tmp_path / "bag.zip", "w") as archive:
        for name in names:
            entry = _entry("placeholder")
            entry.filename = entry.orig_filename = name
            archive.writestr(entry, "x")
    with pytest.raises(InputError, match=said):
        verify.verify(tmp_path / "bag.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["bag.zip"]


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        pytest.param(stat.S_IFLNK | 0o777, "is a link", id="link"),
        pytest.param(stat.S_IFIFO | 0o644, "no ordinary file", id="pipe"),
        pytest.param(stat.S_IFCHR | 0o644, "no ordinary file", id="device"),
    ],
)
def test_an_archive_with_other_than_files_is_not_unpacked(tmp_path: Path, mode: int, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "bag.zip", "w") as archive:
        archive.writestr(_entry("bag/x", mode), "/etc/passwd")
    with pytest.raises(InputError, match=said):
        verify.verify(tmp_path / "bag.zip")


def _zeros(path: Path, size: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(_entry("bag/bagit.txt"), bytes(size))


def _lying(path: Path, _: int) -> None:
    """The list says one byte, the entry has a million."""
    _zeros(path, 1_000_000)
    raw = bytearray(path.read_bytes())
    place = raw.rfind(b"PK\x01\x02")
    raw[place + 24 : place + 28] = (1).to_bytes(4, "little")
    path.write_bytes(raw)


def _overlapping(path: Path, _: int) -> None:
    """Two entries over the same bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(_entry("bag/a"), b"a" * 100)
        archive.writestr(_entry("bag/b"), b"b" * 100)
        archive.infolist()[1].header_offset = archive.infolist()[0].header_offset
        archive._didModify = True  # type: ignore[attr-defined]


def _crowded(path: Path, count: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(_entry(f"bag/{number}"), b"")


@pytest.mark.parametrize(
    ("make", "amount", "said"),
    [
        pytest.param(_zeros, 5_000_000, "times its size", id="a bomb"),
        pytest.param(_zeros, 900_000, "brings it to", id="more than the limit"),
        pytest.param(_lying, 0, "larger than the archive says|damaged", id="a list that lies"),
        pytest.param(_overlapping, 0, "shares its bytes", id="entries over the same bytes"),
        pytest.param(_crowded, 150, "more than 50 files", id="too many"),
    ],
)
def test_an_archive_that_would_swell_is_not_unpacked(
    tmp_path: Path, make: Callable[[Path, int], None], amount: int, said: str
) -> None:
    make(tmp_path / "bag.zip", amount)
    total = 10_000_000 if amount == 5_000_000 else 500_000
    with pytest.raises(InputError, match=said):
        verify.verify(tmp_path / "bag.zip", limits=Limits(files=50, total_bytes=total, file_bytes=total))


def test_a_cut_or_altered_archive_is_said_to_be_damaged_or_has_findings(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "bag.zip"
    shutil.make_archive(str(tmp_path / "bag"), "zip", made.parent, made.name)
    whole = path.read_bytes()
    dice = random.Random(7)
    for _ in range(60):
        raw = bytearray(whole)
        for _ in range(dice.choice((1, 1, 3))):
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        path.write_bytes(raw if dice.random() < 0.8 else raw[: dice.randrange(len(raw))])
        try:
            report = verify.verify(path)
        except CairnError:
            continue
        # What was altered may lie in the archive's own bookkeeping (a date, a comment).
        assert report.faults or report.fingerprint == bags.fingerprint(made)


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        pytest.param(lambda bag: (bag / "data/x").symlink_to("/etc/passwd"), "is a link", id="link"),
        pytest.param(lambda bag: (bag / "data/x").symlink_to(bag), "is a link", id="link to itself"),
        pytest.param(lambda bag: os.mkfifo(bag / "data/x"), "no ordinary file", id="pipe"),
        pytest.param(lambda bag: (bag / "bagit.txt").unlink(), "no bagit.txt", id="no bag"),
    ],
)
def test_a_folder_with_other_than_files_is_not_read(
    bag: Path, plant: Callable[[Path], object], said: str
) -> None:
    plant(bag)
    with pytest.raises(InputError, match=said):
        verify.verify(bag)


def test_a_huge_manifest_is_not_read(bag: Path) -> None:
    with (bag / "manifest-sha256.txt").open("a", encoding="utf-8") as file:
        for number in range(200):
            file.write(f"{'0' * 64}  data/{number}\n")
    with pytest.raises(InputError, match="lists more than 50 files"):
        verify.verify(bag, limits=Limits(files=50))
    with pytest.raises(InputError, match="bytes"):
        verify.verify(bag, limits=Limits(manifest_bytes=1000))


def test_a_sound_bag_of_somebody_else_is_no_bundle(tmp_path: Path) -> None:
    bags.write(tmp_path / "bag", lambda f: (f / "x").write_text("x") and None, {})
    with pytest.raises(InputError, match="no bundle"):
        verify.verify(tmp_path / "bag")


def _mutated(dice: random.Random, value: Any) -> Any:
    """The same JSON with something in it of another kind, gone, or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(list(value))
        out = dict(value)
        if dice.random() < 0.15:
            del out[key]
        else:
            out[key] = _mutated(dice, value[key])
        return out
    if isinstance(value, list) and value and dice.random() < 0.85:
        place = dice.randrange(len(value))
        return [*value[:place], _mutated(dice, value[place]), *value[place + dice.randrange(2) :]]
    return dice.choice(
        [None, -1, 10**30, 1.5, True, "", "x", "\u202e", "9" * 5000, [], {}, [value], {"a": value}]
    )


def test_whatever_stands_in_the_files_ends_in_findings_and_never_in_a_traceback(bag: Path) -> None:
    dice = random.Random(11)
    data = bag / "data"
    files = [p for p in data.rglob("*") if p.suffix in (".json", ".ndjson", ".csv", ".md", ".txt", ".pub")]
    sound = {p: p.read_bytes() for p in files}
    for _ in range(150):
        path = dice.choice(files)
        raw = sound[path]
        if path.suffix == ".json":
            raw = json.dumps(_mutated(dice, json.loads(raw))).encode()
        elif path.suffix == ".ndjson" and dice.random() < 0.8:
            lines = raw.splitlines()
            place = dice.randrange(len(lines))
            lines[place] = json.dumps(_mutated(dice, json.loads(lines[place]))).encode()
            raw = b"\n".join(lines) + b"\n"
        else:
            place = dice.randrange(len(raw))
            raw = raw[:place] + dice.choice([b"\x00", b"\xff", b'"', b"\n", b"", b"|" * 9]) + raw[place + 1 :]
        path.write_bytes(raw)
        report = payload.Report("x")
        held = payload.payload(data, report)
        try:
            verify._Check(report, held, held.index(), Trust()).run()
        except payload.Unreadable:
            assert report.faults
        finally:
            path.write_bytes(sound[path])
        json.dumps(report.to_dict())


# Without the customers.


@pytest.fixture(scope="module")
def shown(made: Path, tmp_path_factory: pytest.TempPathFactory) -> redact.Redaction:
    root = tmp_path_factory.mktemp("shown")
    return redact.redact(made, root / "bag", root / "openings", at=AT, secret=SECRET, show_hashes=True)


PERSONAL = ("Alex", "Rivera", "Jordan", "Taylor", "EVR-10", "Trainer")


def test_nothing_of_a_customer_is_left_in_a_redacted_bundle(shown: redact.Redaction) -> None:
    for path in shown.kept.path.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            # The one with whom operators talk on the phone is staff.
            assert not [p for p in PERSONAL if p in text.replace("Morgan Patel", "")], path
    assert not shown.left
    assert shown.withheld == ("screenshots/a-late-shipment.png",)
    assert shown.openings.stat().st_mode & 0o077 == 0
    assert "Rivera" in shown.openings.read_text(encoding="utf-8")


def test_a_redacted_bundle_verifies_and_its_openings_prove_the_views(shown: redact.Redaction) -> None:
    shut = verify.verify(shown.kept.path)
    assert not shut.faults and shut.kind == "redacted"
    assert any("7 sealed records are those the log holds" in said for said in shut.proved)
    assert any("7 views are faithful" in said for said in shut.unproved)
    assert next(n.found for n in shut.needs if n.kind == "screenshot") == "a-late-shipment.png"
    text = shown.openings.read_text(encoding="utf-8")
    opened = verify.verify(shown.kept.path, trust=Trust(openings=text))
    assert not opened.faults
    assert any("7 opened records" in said for said in opened.proved)
    head, first, *_ = text.splitlines(keepends=True)
    assert "Rivera" not in head, "who is shown one record learns nothing of the others"
    one = verify.verify(shown.kept.path, trust=Trust(openings=head + first))
    assert not one.faults and any("6 views" in said for said in one.unproved)


def test_the_same_person_is_the_same_everywhere_and_nobody_else(shown: redact.Redaction, made: Path) -> None:
    data = shown.kept.path / "data"
    (conversations,) = (data / "exports").glob("conversations_*.ndjson")
    names = [json.loads(line)["customer"] for line in conversations.read_text(encoding="utf-8").splitlines()]
    assert names == [f"[customer {n}]" for n in (1, 2, 3, 4)]
    views = [
        json.loads(line)["view"]
        for line in (data / redact.DECISIONS).read_text(encoding="utf-8").splitlines()
    ]
    texts = {v["conversation"]: v["finalText"] for v in views if v["finalText"]}
    assert texts["chatwoot:1045"].startswith("Hi [customer 1],")
    assert texts["chatwoot:1071"].startswith("Hi [customer 3],")
    titles = [r["score"]["title"] for r in json.loads((data / "results/results.json").read_text())["results"]]
    assert titles[0] == "Late shipment ([customer 1])"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(("Carrier asked for a scan", "Carrier refused"), "redacted.opening",
                     id="a view that says otherwise"),
        pytest.param(("Hi [customer 1]", "Hi [customer 1], sorry"), "redacted.opening", id="more than was replaced"),
        pytest.param(('"edited":false', '"edited":true'), "redacted.opening", id="another fact"),
        pytest.param(('"/finalText"', '"/note"'), "redacted.opening", id="another field withheld"),
        pytest.param(('"requestKey":""', '"requestKey":"demo/1"'), "redacted.form", id="a key shown"),
        pytest.param(('"logIndex":1', '"logIndex":9'), "ledger.order", id="another place in the log"),
        pytest.param(('"leafHash":"', '"leafHash":"00'), "redacted.form", id="no leaf hash"),
    ],
)  # fmt: skip
def test_a_forged_view_is_found(
    shown: redact.Redaction, tmp_path: Path, change: tuple[str, str], code: str
) -> None:
    shutil.copytree(shown.kept.path, tmp_path / "bag")
    _edit(redact.DECISIONS, *change)(tmp_path / "bag/data")
    trust = Trust(openings=shown.openings.read_text(encoding="utf-8"))
    assert code in codes(verify.verify(rebagged(tmp_path / "bag"), trust=trust))


def test_dropped_and_exchanged_views_are_found_without_openings(
    shown: redact.Redaction, tmp_path: Path
) -> None:
    for name, change, code in (
        ("dropped", lambda x: x[:2] + x[3:], "ledger.order"),
        ("cut", lambda x: x[:-1], "ledger.order"),
        ("swapped", lambda x: [x[1], x[0], *x[2:]], "ledger.order"),
    ):
        shutil.copytree(shown.kept.path, tmp_path / name)
        _lines(redact.DECISIONS, change)(tmp_path / name / "data")
        assert code in codes(verify.verify(rebagged(tmp_path / name))), name
    shutil.copytree(shown.kept.path, tmp_path / "hash")
    rows = (tmp_path / "hash/data" / redact.DECISIONS).read_text(encoding="utf-8")
    leaf = json.loads(rows.splitlines()[0])["leafHash"]
    (tmp_path / "hash/data" / redact.DECISIONS).write_text(rows.replace(leaf, leaf[::-1]), encoding="utf-8")
    assert "ledger.root" in codes(verify.verify(rebagged(tmp_path / "hash")))


def test_a_guess_can_be_confirmed_by_a_leaf_hash_and_hiding_them_prevents_it(
    made: Path, shown: redact.Redaction, tmp_path: Path
) -> None:
    assert shown.guessable == tuple(range(101, 108)), "the keys of scripted runs are no secret"
    hidden = redact.redact(made, tmp_path / "bag", tmp_path / "openings", at=AT, secret=SECRET, staff=True)
    assert hidden.hidden and not shown.hidden
    (export,) = (made / "data/exports").glob("decision_export_*.ndjson")
    everything = "".join(p.read_text(encoding="utf-8") for p in hidden.kept.path.rglob("*") if p.is_file())
    for line in export.read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["leafHash"] not in everything
    assert "BEGIN PUBLIC KEY" not in everything and "operator@practice.example" not in everything
    report = verify.verify(hidden.kept.path)
    assert not report.faults and any("hidden" in said for said in report.unproved)
    trust = Trust(openings=hidden.openings.read_text(encoding="utf-8"))
    opened = verify.verify(hidden.kept.path, trust=trust)
    assert not opened.faults and len(opened.proved) == 2


def test_hashes_that_confirm_no_guess_are_shown(cli: Cli, played: Path, tmp_path: Path) -> None:
    assert cli("session", "start", "thursday", "-w", played).code == 1, "nobody has joined yet"
    with Workspace.open(played, Settings({})) as w:
        desk = w.desk(lambda: AT)
        seen = Conversation(
            id="77", customer="Alex Rivera", customer_key="77@example.test", status=Status.OPEN, created_at=AT,
            messages=(Message(id="m", author=Author.CUSTOMER, text="I am Alex Rivera.", at=AT),),
        )  # fmt: skip
        desk.observe(seen, ALEX)
        asked = Request(
            action=Action.APPROVE_SEND, conversation="77", actor=ALEX, key="0123456789abcdef" * 2, session="thursday",
            text="Hi Alex, your parcel is on its way.",
        )  # fmt: skip
        assert desk.submit(asked).number
        w.seal(ALEX, AT)
        bundle.write(w, "thursday", tmp_path / "bag", at=AT)
    shown = redact.redact(tmp_path / "bag", tmp_path / "shown", tmp_path / "openings", at=AT, secret=SECRET)
    assert (shown.guessable, shown.hidden) == ((), False)
    report = verify.verify(shown.kept.path)
    assert not report.faults and any("none dropped, put in or moved" in said for said in report.proved)


def test_two_redactions_share_no_commitment(made: Path, tmp_path: Path) -> None:
    seen = []
    for number in (1, 2):
        done = redact.redact(
            made,
            tmp_path / f"bag{number}",
            tmp_path / f"openings{number}",
            at=AT,
            secret=bytes([number]) * 32,
        )
        rows = (done.kept.path / "data" / redact.DECISIONS).read_text(encoding="utf-8").splitlines()
        seen.append({json.loads(row)["commitment"] for row in rows})
    assert not seen[0] & seen[1]


def test_what_undoes_it_is_never_overwritten_nor_put_inside(made: Path, tmp_path: Path) -> None:
    kept = tmp_path / "openings"
    kept.write_text("the only copy", encoding="utf-8")
    for openings, said in ((kept, "there already"), (tmp_path / "bag" / "o", "may not lie")):
        with pytest.raises(InputError, match=said):
            redact.redact(made, tmp_path / "bag", openings, at=AT, secret=SECRET)
    assert kept.read_text(encoding="utf-8") == "the only copy"
    assert [p.name for p in tmp_path.iterdir()] == ["openings"]


def test_what_has_findings_is_not_redacted_and_nothing_twice(
    bag: Path, shown: redact.Redaction, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="redacted already"):
        redact.redact(shown.kept.path, tmp_path / "x", tmp_path / "o", at=AT, secret=SECRET)
    (bag / "data/worksheet/worksheet.md").write_text("other", encoding="utf-8")
    with pytest.raises(redact.NotSound) as refused:
        redact.redact(bag, tmp_path / "x", tmp_path / "o", at=AT, secret=SECRET)
    assert refused.value.exit_code == 1
    assert not (tmp_path / "x").exists() and not (tmp_path / "o").exists()


def test_openings_of_something_else_are_refused(made: Path, shown: redact.Redaction) -> None:
    for text in ("x", "{}", '{"format":"cairnops-openings/1","session":"y","statements":{}}', "[" * 9000):
        with pytest.raises(InputError, match="openings"):
            verify.verify(shown.kept.path, trust=Trust(openings=text))
    with pytest.raises(InputError, match="not redacted"):
        verify.verify(made, trust=Trust(openings=shown.openings.read_text(encoding="utf-8")))


def test_a_salted_commitment_of_the_original_opens(shown: redact.Redaction, made: Path) -> None:
    about = json.loads((shown.kept.path / "data" / redact.ABOUT).read_text(encoding="utf-8"))
    head = json.loads(shown.openings.read_text(encoding="utf-8").splitlines()[-1])
    salt = bytes.fromhex(head["original"]["salt"])
    assert about["original"] == redacted.commitment(salt, bags.fingerprint(made))
    assert head["original"]["fingerprint"] == bags.fingerprint(made)
    assert about["notFound"]


# The commands.


def test_the_commands_hand_over_from_one_to_the_next(cli: Cli, played: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.zip"
    done = cli("evidence", "bundle", SESSION, "--seal", "-w", played, "-o", target)
    assert done.code == 0 and "checkpoint of 7 records" in done.out
    done = cli("evidence", "verify", target)
    assert done.code == 0 and "7 of 7 required" in done.out
    assert "b/data/report/report.html" in zipfile.ZipFile(target).namelist()
    assert max(map(len, done.out.splitlines())) <= 80
    done = cli("evidence", "verify", target, "--json")
    assert json.loads(done.out)["verdict"] == "verified"
    done = cli("evidence", "redact", target, "-o", tmp_path / "r.zip")
    assert done.code == 0 and "not found" in done.out and "leaf hashes are left out" in done.err
    opened = cli("evidence", "verify", tmp_path / "r.zip", "--openings", tmp_path / "r.openings.ndjson")
    assert opened.code == 0
    done = cli("evidence", "redact", target, "-o", tmp_path / "r2", "--json")
    assert json.loads(done.out)["replaced"]["order"] > 0
    assert cli("evidence", "bundle", SESSION, "-w", played, "-o", target).code == 0
    assert cli("evidence", "verify", tmp_path / "absent").code == 2
    assert cli("evidence", "bundle", "nobody", "-w", played).code == 2


def test_the_report_goes_along_and_one_made_by_hand_in_its_place(
    played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "available", lambda: False)
    with Workspace.open(played, Settings({})) as w:
        page = partial(bundle.report_of, w, SESSION)
        bags_made = [bundle.write(w, SESSION, tmp_path / n, at=AT, page=page) for n in ("one", "two")]
        text = (tmp_path / "one" / "data/report/report.html").read_text(encoding="utf-8")
        assert "Escalation desk report" in text and "Alex Rivera" in text
        assert len({b.kept.fingerprint for b in bags_made}) == 1
        assert not verify.verify(tmp_path / "one").faults
        shown = redact.redact(
            tmp_path / "one", tmp_path / "shown", tmp_path / "openings", at=AT, secret=SECRET
        )
        assert not (shown.kept.path / "data" / "report").exists()
        (w.artifact_folder(SESSION) / "report.html").write_text("<p>By hand</p>", encoding="utf-8")
        bundle.write(w, SESSION, tmp_path / "three", at=AT, page=page)
    assert (tmp_path / "three" / "data/report/report.html").read_text(encoding="utf-8") == "<p>By hand</p>"


def test_without_a_name_it_lies_beside_the_artifacts(cli: Cli, played: Path) -> None:
    done = cli("evidence", "bundle", SESSION, "-w", played, "--json")
    path = Path(json.loads(done.out)["kept"]["path"])
    assert path == played / "artifacts" / SESSION / "bundle_2025-10-16T17-00-00Z.zip"
    assert not verify.verify(path).faults


def test_findings_end_with_one(cli: Cli, bag: Path) -> None:
    _edit("worksheet/worksheet.csv", ",104,", ",999,")(bag / "data")
    done = cli("evidence", "verify", rebagged(bag))
    assert done.code == 1 and "claim.decision" in done.out


def test_the_worksheet_of_a_bundle_is_no_program(made: Path) -> None:
    text = (made / "data/worksheet/worksheet.csv").read_text(encoding="utf-8")
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
