"""How a stranger's bundle is read: each file so that whatever it holds ends in a finding and never in a traceback."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from cairnops import codec
from cairnops.errors import CLEAN, FINDINGS
from cairnops.evidence import bags, bundle
from cairnops.evidence.bags import Fault
from cairnops.evidence.bundle import Need

#: Findings that are kept; all are counted.
_KEPT = 200
_TEXT_BYTES = 256 << 20
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class Report:
    """What was found in a bundle."""

    bag: str
    #: session or redacted.
    kind: str = ""
    session: str = ""
    #: SHA-256 of the payload's manifest; empty when the bag has none.
    fingerprint: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    #: How many claims were compared with what they are about.
    claims: int = 0
    faults: list[Fault] = field(default_factory=list)
    found: int = 0
    needs: list[Need] = field(default_factory=list)
    proved: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 when nothing was found, 1 when something was."""
        return FINDINGS if self.found else CLEAN

    def tell(self, code: str, where: str, what: str) -> None:
        """Add a finding."""
        self.found += 1
        if len(self.faults) < _KEPT:
            self.faults.append(Fault(code, where, what))

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return {"verdict": "findings" if self.found else "verified", **codec.record(self)}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts besides the bundle's own: a public key, earlier checkpoints, and what a redaction withheld."""

    key: str = ""
    old: Sequence[bytes] = ()
    #: The text of the file of openings that `evidence redact` left outside the bundle.
    openings: str = ""


class Unreadable(Exception):
    """A file of the bundle is not what it should be; the finding has been told."""


def payload(root: Path, report: Report | None = None) -> "Payload":
    """The files of a bundle, read so that whatever is wrong with one is told to the report."""
    return Payload(root, report or Report(str(root)))


class Payload:
    """The files of a bundle, each read so that whatever it holds ends in a finding and not in a traceback."""

    def __init__(self, root: Path, report: Report):
        self.root, self._report = root, report

    def index(self) -> dict[str, Any]:
        found = self.data(bundle.INDEX, dict)
        if found.get("format") != bundle.FORMAT or found.get("kind") not in ("session", "redacted"):
            self._bad(bundle.INDEX, f"it is not of the format {bundle.FORMAT}")
        forms: dict[str, type] = {
            "session": str,
            "counts": dict,
            "files": dict,
            "screenshots": list,
            "unfinished": list,
        }
        for name, form in forms.items():
            if not isinstance(found.get(name), form):
                self._bad(bundle.INDEX, f"its field {name} is missing or of another kind")
        named = [*found["files"].values(), *found["screenshots"]]
        for path in named:
            if not isinstance(path, str) or bags.unsafe(path, 400):
                self._bad(bundle.INDEX, "it names a file that lies outside the bundle")
        return found

    def has(self, path: str) -> bool:
        return (self.root / path).is_file()

    def text(self, path: str) -> str:
        file = self.root / path
        try:
            if file.stat().st_size > _TEXT_BYTES:
                self._bad(path, f"it has more than {_TEXT_BYTES >> 20} MiB")
            with file.open(encoding="utf-8", newline="") as opened:
                return opened.read()
        except UnicodeDecodeError:
            self._bad(path, "it is not UTF-8 text")
        except OSError as error:
            self._bad(path, f"it cannot be read: {error.strerror}")
        raise Unreadable

    def data(self, path: str, form: type) -> Any:
        try:
            found = json.loads(self.text(path))
        except (ValueError, RecursionError):
            self._bad(path, "it is not JSON")
        if not isinstance(found, form):
            self._bad(path, "it holds another kind of JSON than it should")
        return found

    def rows(self, path: str) -> list[dict[str, Any]]:
        out = []
        for number, line in enumerate(self.text(path).split("\n")[:-1], 1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                self._bad(f"{path}:{number}", "the line is not one JSON object")
            out.append(row)
        return out

    def table(self, path: str) -> list[list[str]]:
        try:
            return list(csv.reader(io.StringIO(self.text(path), newline=""), strict=True))
        except csv.Error as error:
            self._bad(path, f"it is not CSV: {error}")
        raise Unreadable

    def _bad(self, path: str, what: str) -> NoReturn:
        self._report.tell("bundle.unreadable", path, what)
        raise Unreadable


def is_hash(value: object) -> bool:
    """True for 64 lower-case hex digits."""
    return isinstance(value, str) and bool(_HEX.fullmatch(value))
