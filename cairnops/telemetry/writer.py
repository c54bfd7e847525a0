"""How a file leaves this product: whole under its name, or not there at all.

The bytes go to a hidden temporary file beside the target, are flushed to the disk, and only then
take the target's name; the folder is flushed last. A process killed at any instant leaves the old
file or the new one, and at worst a hidden `.….tmp` that no reader picks up.
"""

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from cairnops.errors import InputError

#: Legal inside a JSON string, yet readers that split on Unicode line ends stop there (Python's splitlines),
#: a terminal obeys the C1 controls, and the bidirectional marks show a line in another order than it has.
ESCAPED = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What was written, so that a caller can quote it without reading the file again."""

    path: Path
    #: Rows; 0 for a file that is not made of rows.
    records: int
    #: Of the file as it stands on disk, lower-case hex.
    sha256: str
    bytes: int


def write_ndjson(path: str | Path, records: Iterable[Mapping[str, Any]]) -> Written:
    """Write one JSON object a line: UTF-8, LF after every line, keys in the order given, no spaces.

    Missing folders are made; an existing file is replaced, and keeps its permissions. `records` is
    consumed row by row; if it raises, the target is left as it was.

    Raises:
        InputError: a row that is not an object, that holds NaN or an infinity, a lone surrogate or
            a value JSON has no form for; or a target that cannot be written.
    """
    count = 0
    with _whole(Path(path), mode=None) as out:
        for count, record in enumerate(records, 1):
            out.write(_row(count, record))
    return out.written(count)


def write_stream(path: str | Path, chunks: Iterable[bytes], *, records: Callable[[], int]) -> Written:
    """Write bytes as they come, whole or not at all; `records` is asked at the end how many rows they were.

    Raises:
        InputError: a target that cannot be written.
    """
    with _whole(Path(path), mode=None) as out:
        for chunk in chunks:
            out.write(chunk)
    return out.written(records())


def write_whole(path: str | Path, data: str | bytes, *, mode: int | None = None) -> Written:
    """Write any text (as UTF-8, line ends as given) or bytes under `path`, whole or not at all.

    `mode` sets the permissions (`0o600` for a key); left out, an existing file keeps its own and a
    new one gets what the umask allows.

    Raises:
        InputError: a target that cannot be written, or text with a lone surrogate.
    """
    if isinstance(data, str):
        try:
            data = data.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"Cannot write {Path(path).name}: half of a surrogate pair at character {error.start}.",
                hint="Replace the broken character; it has no form in UTF-8.",
            ) from None
    with _whole(Path(path), mode=mode) as out:
        out.write(data)
    return out.written(0)


def export_name(prefix: str, at: datetime) -> str:
    """The file name of an export made at `at`: `decision_export_2025-10-16T17-00-00Z.ndjson`.

    Hyphens instead of colons, because a colon is not allowed in a file name on Windows. Any time
    zone is converted to UTC and fractions of a second are dropped.

    Raises:
        InputError: a prefix with anything but letters, digits, `_` and `-`.
        ValueError: a time without a zone.
    """
    if not _PREFIX.fullmatch(prefix):
        raise InputError(
            f"{prefix!r} cannot start a file name.", hint="Use letters, digits, underscores and hyphens."
        )
    if at.tzinfo is None:
        raise ValueError("an export is named by a time with a zone")
    return f"{prefix}_{at.astimezone(UTC):%Y-%m-%dT%H-%M-%SZ}.ndjson"


def _row(number: int, record: Mapping[str, Any]) -> bytes:
    if not isinstance(record, Mapping):
        raise InputError(
            f"Row {number} is not an object but a {type(record).__name__}.",
            hint="An export holds one object a line; nothing was written.",
        )
    try:
        text = json.dumps(dict(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return (text.translate(ESCAPED) + "\n").encode()
    except UnicodeEncodeError:
        what = "half of a surrogate pair, which has no form in UTF-8"
    except (TypeError, ValueError, RecursionError) as error:
        where = _not_finite(record)
        what = f"{where} is not a finite number" if where else str(error)
    raise InputError(f"Row {number} cannot be written: {what}.", hint="Nothing was written; mend the row.")


def _not_finite(value: object, at: str = "") -> str:
    """Where NaN or an infinity stands (`metrics.durationMs`), or an empty string."""
    if isinstance(value, float) and not math.isfinite(value):
        return at
    parts: Iterable[tuple[object, object]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    for key, inner in parts:
        if found := _not_finite(inner, f"{at}.{key}" if at else str(key)):
            return found
    return ""


class _Out:
    """Counts and hashes what goes through it."""

    def __init__(self, path: Path, file: BinaryIO):
        self._path, self._file = path, file
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def written(self, records: int) -> Written:
        return Written(path=self._path, records=records, sha256=self._hash.hexdigest(), bytes=self._size)


@contextlib.contextmanager
def _whole(path: Path, *, mode: int | None) -> Iterator[_Out]:
    # A link is followed, not replaced; and what is no file (a device, a pipe) would be lost to the rename.
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise InputError(
            f"Cannot write {path.name}: it is no file.",
            hint=f"Name a file in {path.parent}, or - for stdout.",
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    file = None
    try:
        with _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if mode is None and path.exists():
                mode = path.stat().st_mode & 0o777
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode or 0o666)
            file = os.fdopen(descriptor, "wb")
            if mode is not None:
                temporary.chmod(mode)
        out = _Out(path, file)
        yield out
        with _named(path):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            temporary.replace(path)
            _flush_folder(path.parent)
    except BaseException:
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"Cannot write {path.name}: {error.strerror or error}.",
            hint=f"Check that {path.parent} is a folder you may write to and has room.",
        ) from error


def _flush_folder(folder: Path) -> None:
    # Windows cannot open a folder, and some network file systems refuse to flush one; the rename itself stands.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
