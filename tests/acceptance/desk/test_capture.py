"""Screenshots of a session that was run: named by scenario, whole, and found by the bundle."""

import json
import re
import struct
import sys
from pathlib import Path

from cairnops.cli import evidence
from cairnops.evidence.bundle import is_image
from tests import warm


def cairnops(folder: Path, *words: str) -> str:
    done = warm.run(
        [sys.executable, "-m", "cairnops", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height


def test_a_bundle_takes_along_what_the_desk_showed(tmp_path: Path) -> None:
    cairnops(tmp_path, "dryrun", "run", "--pack", "cx-escalations")
    # As the help has it.
    example = re.search("Example: cairnops (.+)", evidence.capture.__doc__ or "")
    assert example
    told = json.loads(cairnops(tmp_path, *example[1].split(), "--json"))
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
    pictures = [tmp_path / told["folder"] / name for name in names]
    assert all(is_image(picture) for picture in pictures)
    assert {size(picture) for picture in pictures} == {(1440, 1000)}
    # Nothing is claimed and nothing decided by looking.
    listed = json.loads(cairnops(tmp_path, "decisions", "list", "--json"))
    assert [d["decisionId"] for d in listed] == [102, 104, 107]
    cairnops(tmp_path, "evidence", "bundle", "cx-escalations", "--seal", "-o", "bag.zip")
    checked = json.loads(cairnops(tmp_path, "evidence", "verify", "bag.zip", "--json"))
    assert checked["counts"]["screenshots"] == len(names)
