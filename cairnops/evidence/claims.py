"""Whether a file linked as evidence is there, is what its name says, holds the id it stands for, and is unaltered."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from cairnops.errors import InputError
from cairnops.telemetry.preview import preview
from cairnops.telemetry.reader import error_in, read_lines

Verdict = Literal["ok", "missing", "mismatch"]

#: How files begin, by ending: a page that says "404" under the name of a picture is no evidence.
MAGIC = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".webp": (b"RIFF",),
    ".pdf": (b"%PDF-",),
    ".zip": (b"PK\x03\x04", b"PK\x05\x06"),
    ".xlsx": (b"PK\x03\x04",),
    ".gz": (b"\x1f\x8b",),
    ".parquet": (b"PAR1",),
    ".db": (b"SQLite format 3\x00",),
    ".webm": (b"\x1a\x45\xdf\xa3",),
}
_ROWS = (".ndjson", ".jsonl")
_TEXTS = (".txt", ".log", ".md", ".csv", ".tsv", ".yaml", ".yml", ".har", ".eml", ".xml", ".json", *_ROWS)
_PAGE = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html\b|head\b)", re.IGNORECASE)
_CHUNK = 1 << 20
_JSON_LIMIT = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What somebody says a file proves."""

    path: str
    #: Ids of which the file must hold one; empty when it need not name any.
    ids: tuple[str, ...] = ()
    #: Lower-case hex, or empty.
    sha256: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What became of a claim."""

    claim: Claim
    verdict: Verdict
    #: What is wrong, in a few words; empty when nothing is.
    said: str = ""


def check(claim: Claim, roots: Sequence[Path]) -> Checked:
    """Look at the file itself, below one of `roots` (the first that has it); nothing outside them is opened.

    A text file must hold one of the ids as a word, rows one whose decision it is; a picture or a recording cannot
    be searched, so it only has to be one. A folder must hold a file other than a README.
    """

    def no(verdict: Verdict, said: str) -> Checked:
        return Checked(claim=claim, verdict=verdict, said=said)

    pure = PurePosixPath(claim.path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or re.match(r"[A-Za-z]:", claim.path):
        return no("mismatch", "leads out of the folder; evidence lies beside the worksheet")
    path = next((found for root in roots if (found := _inside(root, pure))), None)
    if path is None:
        return no("missing", "not there")
    try:
        said = _folder(path) if path.is_dir() else _file(path, claim)
    except OSError as error:
        said = f"cannot be read: {error.strerror or error}"
    return no("mismatch", said) if said else Checked(claim=claim, verdict="ok")


def _inside(root: Path, pure: PurePosixPath) -> Path | None:
    try:
        path = (root / pure).resolve()
        return path if path.is_relative_to(root.resolve()) and path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _folder(path: Path) -> str:
    there = [p for p in path.rglob("*") if p.is_file() and not p.name.lower().startswith("readme")]
    return (
        ""
        if there
        else "a folder with nothing in it but a README"
        if any(path.iterdir())
        else "an empty folder"
    )


def _file(path: Path, claim: Claim) -> str:
    """What is wrong with the file; empty when nothing is."""
    if not path.is_file():
        return "not a file"
    size = path.stat().st_size
    if not size:
        return "empty"
    with path.open("rb") as file:
        head = file.read(4096)
    if claim.sha256 and (found := _sha256(path)) != claim.sha256:
        return f"SHA-256 is {found[:16]}…, not {claim.sha256[:16]}…"
    ending = path.suffix.lower()
    page = bool(_PAGE.match(head))
    if ending in MAGIC and not head.startswith(MAGIC[ending]):
        return f"{'a web page' if page else 'something else'} under the name of a {ending} file"
    if page and ending not in (".html", ".htm", ".eml", ".har"):
        return f"a web page under the name of a {ending or 'plain'} file"
    if ending in _ROWS:
        return _rows(path, claim.ids)
    if ending == ".json" and (said := _json(path, size)):
        return said
    if claim.ids and (ending in _TEXTS or ending in (".html", ".htm")) and not _holds(path, claim.ids):
        return f"does not name {' or '.join(claim.ids)}"
    return ""


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _rows(path: Path, ids: Sequence[str]) -> str:
    from cairnops.analytics.reconcile_log import read_row

    wanted, held = set(ids), False
    try:
        reading = read_lines(path)
        for line in reading:
            if line.record is not None and wanted and not held:
                row = read_row(line.record)
                held = row is not None and bool({row.number, row.uid} & wanted)
    except InputError as error:
        return str(error).rstrip(".")
    export = reading.export
    if not export.is_data:
        return export.diagnosis.rstrip(".")
    if not export.records:
        return "no rows"
    return "" if held or not wanted else f"no row is about {' or '.join(ids)}"


def _json(path: Path, size: int) -> str:
    if size > _JSON_LIMIT:
        return ""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        # Rows under this ending are rows all the same.
        return "" if not _rows(path, ()) else "not JSON"
    if value in ({}, [], None, ""):
        return "nothing in it"
    # A query that failed, saved under the name of its answer, has been cited as proof of success.
    failed = error_in(value)
    return f"an error message: {preview(failed)}" if failed else ""


def _holds(path: Path, ids: Sequence[str]) -> bool:
    """Whether one of the ids stands in the text as a word."""
    words = [
        re.compile(rb"(?<![0-9A-Za-z])" + re.escape(i.encode()) + rb"(?![0-9A-Za-z])", re.IGNORECASE)
        for i in ids
    ]
    kept = b""
    overlap = max(len(i) for i in ids) * 4 + 2
    for chunk in _chunks(path):
        text = kept + chunk
        if any(word.search(text) for word in words):
            return True
        kept = text[-overlap:]
    return False
