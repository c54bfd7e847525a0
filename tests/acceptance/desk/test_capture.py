"""Screenshots of a session that was run: named by scenario, whole, and found by the bundle."""

import json
import struct
import sys
from pathlib import Path

from cairnops.evidence.bundle import is_image
from tests import warm


def cairnops(*words: str | Path) -> str:
    done = warm.run(
        [sys.executable, "-m", "cairnops", *map(str, words)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height


def test_a_bundle_takes_along_what_the_desk_showed(tmp_path: Path) -> None:
    workspace, bag = tmp_path / "desk", tmp_path / "bag.zip"
    cairnops("dryrun", "run", "--pack", "cx-escalations", "--session", "demo", "-w", workspace)
    told = json.loads(cairnops("evidence", "capture", "demo", "-w", workspace, "--json"))
    names = [shot["file"] for shot in told["screenshots"]]
    assert names == [
        "a-late-shipment-1045-1-queue.png",
        "a-late-shipment-1045-2-case.png",
        "a-late-shipment-1045-3-decision-102.png",
        "b-refund-offer-1062-1-queue.png",
        "b-refund-offer-1062-2-case.png",
        "b-refund-offer-1062-3-decision-104.png",
        "c-sla-breach-and-hold-1071-1-queue.png",
        "c-sla-breach-and-hold-1071-2-case.png",
        "c-sla-breach-and-hold-1071-3-decision-107.png",
        "d-policy-exception-1088-1-queue.png",
        "d-policy-exception-1088-2-case.png",
        "session-board.png",
        "session-results.png",
    ]
    pictures = [Path(told["folder"]) / name for name in names]
    assert all(is_image(picture) for picture in pictures)
    assert {size(picture) for picture in pictures} == {(1440, 1000)}
    # Nothing is claimed and nothing decided by looking.
    listed = json.loads(cairnops("decisions", "list", "-w", workspace, "--json"))
    assert [d["decisionId"] for d in listed] == [102, 104, 107]
    cairnops("evidence", "bundle", "demo", "--seal", "-o", bag, "-w", workspace)
    checked = json.loads(cairnops("evidence", "verify", bag, "--json"))
    assert checked["counts"]["screenshots"] == len(names)
