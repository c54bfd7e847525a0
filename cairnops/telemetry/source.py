"""Which bytes an export is made of: opened once, unpacked, hashed as they pass, cut into physical lines."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cairnops.errors import InputError

#: JSON over several lines has to be read whole; beyond this it is better turned into lines first.
WHOLE_LIMIT = 512 * 1024 * 1024
_HEAD = 64 * 1024
_HASHED = 256 * 1024

_CONTAINERS = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "Unpack it, or save the sheet as NDJSON."),
    (b"BZh", "compressed with bzip2", "Unpack it first: bunzip2 -k FILE."),
    (b"\xfd7zXZ\x00", "compressed with xz", "Unpack it first: xz -dk FILE."),
    (b"PAR1", "a Parquet file", "Export it as NDJSON first."),
    (b"SQLite format 3\x00", "an SQLite database", "Export the table as NDJSON first."),
)  # fmt: skip
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Source:
    """A path or an open binary stream; a context manager that can be entered once.

    Raises:
        InputError: on construction for a path that is missing, a folder or not readable; on entry
            for a container that has to be unpacked first.
    """

    def __init__(self, source: str | Path | BinaryIO):
        self.name = "-"
        self.compression = ""
        self.encoding = "utf-8"
        self.bom = False
        self.unterminated = False
        #: What broke while unpacking, in words; empty when nothing did.
        self.damage = ""
        self.sha256 = ""
        self.size = 0
        #: The first 64 KiB as text, to tell what kind of file this is.
        self.head = ""
        self._path: Path | None = None
        self._given: BinaryIO | None = None
        if isinstance(source, str | Path):
            self._path = Path(source)
            self.name = self._path.name
            # A named pipe can be opened only once, so it is not tried beforehand.
            if not _is_pipe(self._path):
                _open(self._path).close()
        else:
            self._given = source
            named = getattr(source, "name", "")
            if isinstance(named, str) and named:
                self.name = Path(named).name

    def __enter__(self) -> "Source":
        raw = self._given if self._given is not None else _open(self._path or Path())
        self._raw = raw
        self._hashing = _Hashing(raw)
        self._bytes: Any = io.BufferedReader(self._hashing, _HEAD)
        try:
            self._unpack()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, failed: object = None, *_: object) -> None:
        try:
            # What follows the end of the compressed data still belongs to the file's hash.
            if not failed:
                self.drain()
        finally:
            self.sha256, self.size = self._hashing.hash.hexdigest(), self._hashing.size
            self._bytes.close()
            if self._given is None:
                self._raw.close()

    def _unpack(self) -> None:
        start = self._bytes.peek(512)[:512]
        for magic, what, hint in _CONTAINERS:
            if start.startswith(magic):
                raise InputError(f"{self.name} is {what}, not an export.", hint=hint)
        if start.startswith(_GZIP):
            import gzip
            import zlib

            self.compression = "gzip"
            packed = gzip.GzipFile(fileobj=self._bytes)
            self._bytes = io.BufferedReader(_Guarded(packed, self, (zlib.error,)), _HEAD)
            start = self._bytes.peek(512)[:512]
        elif start.startswith(_ZSTD):
            from cairnops.telemetry import containers

            self.compression = "zstd"
            unpacking = containers.zstd_stream(self._bytes, self.name)
            self._bytes = io.BufferedReader(_Guarded(unpacking, self, containers.zstd_errors()), _HEAD)
            start = self._bytes.peek(512)[:512]
        if start[257:262] == b"ustar":
            from cairnops.telemetry import containers

            self.compression = f"{self.compression}+tar".lstrip("+")
            member, self._bytes = containers.only_member(self._bytes, self.name)
            self.name = f"{self.name}:{member}"
            start = self._bytes.peek(512)[:512]
        if start.startswith(_UTF16_MARKS):
            self.encoding, self.bom = "utf-16", True
            text = self._read_whole().decode("utf-16", errors="replace")
            self._bytes.close()
            self._bytes = io.BufferedReader(io.BytesIO(text.encode("utf-8", errors="replace")), _HEAD)
        elif start.startswith(_UTF8_MARK):
            self.bom = True
            self._bytes.read(len(_UTF8_MARK))
        self.head = self._bytes.peek(_HEAD)[:_HEAD].decode("utf-8", errors="replace")

    def texts(self) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """(number from 1, text without its line end, `("invalid-utf8",)` if bytes were replaced)."""
        raw = b""
        for number, raw in enumerate(self._bytes, 1):
            yield number, *as_text(raw.rstrip(b"\r\n"))
        self.unterminated = bool(raw) and not raw.endswith(b"\n")

    @property
    def plain(self) -> Path | None:
        """The path, where its bytes are the text itself: not packed, no mark, no pipe."""
        if self._path is None or self.compression or self.bom or not self._path.is_file():
            return None
        return self._path

    @property
    def small(self) -> bool:
        """All of it has been looked at already."""
        return len(self._bytes.peek(_HEAD)) < _HEAD and self.plain is not None

    def drain(self) -> None:
        """Read to the end for the hash alone."""
        while self._hashing.read(1 << 20):
            pass

    def block(self, size: int) -> bytes:
        """The next bytes, at most `size` of them; empty at the end."""
        data: bytes = self._bytes.read(size)
        return data

    def line(self) -> bytes:
        """What is left of the line the last `block` broke off in."""
        data: bytes = self._bytes.readline()
        return data

    def put_aside(self, path: Path, size: int) -> tuple[int, bytes]:
        """Write the next whole lines, about `size` bytes together, to a file: (bytes, the last two); 0 at the end."""
        length, tail = 0, b""
        with path.open("wb", buffering=0) as file:
            while length < size and (data := self._bytes.read(min(size - length, 1 << 20))):
                file.write(data)
                length, tail = length + len(data), (tail + data[-2:])[-2:]
            if tail and not tail.endswith(b"\n"):
                data = self._bytes.readline()
                file.write(data)
                length, tail = length + len(data), (tail + data[-2:])[-2:]
        return length, tail

    def whole_text(self) -> tuple[str, tuple[str, ...]]:
        """The rest of the file as one text, and `("invalid-utf8",)` if bytes were replaced.

        Raises:
            InputError: beyond `WHOLE_LIMIT` bytes.
        """
        data = self._read_whole()
        self.unterminated = bool(data) and not data.endswith(b"\n")
        return as_text(data)

    def _read_whole(self) -> bytes:
        data: bytes = self._bytes.read(WHOLE_LIMIT + 1)
        if len(data) > WHOLE_LIMIT:
            raise InputError(
                f"{self.name} is one JSON document of more than {WHOLE_LIMIT >> 20} MiB.",
                hint="Turn it into one object a line first: jq -c '.[]' FILE > FILE.ndjson.",
            )
        return data


def as_text(raw: bytes) -> tuple[str, tuple[str, ...]]:
    """Bytes as text, and `("invalid-utf8",)` if some had to be replaced."""
    try:
        return raw.decode(), ()
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), ("invalid-utf8",)


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo()
    except OSError:
        return False


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)  # type: ignore[return-value]
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.", hint="Check the name and the folder.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder.", hint="Name one export inside it.") from None
    except PermissionError:
        raise InputError(
            f"{path} may not be read.", hint="Ask its owner for read permission, or copy it."
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", hint="Check the path and the disk."
        ) from error


class _Hashing(io.RawIOBase):
    """Hashes and counts the bytes of the file as they are on disk."""

    def __init__(self, raw: BinaryIO):
        self._raw = raw
        self.hash = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view, count = memoryview(buffer), 0
        # Hashed while it is still in the processor's cache: a fifth quicker than all of it afterwards.
        while count < len(view):
            part = view[count : count + _HASHED]
            got = self._raw.readinto(part) or 0  # type: ignore[attr-defined]
            self.hash.update(part[:got])
            count += got
            if got < len(part):
                break
        self.size += count
        return count


class _Guarded(io.RawIOBase):
    """Ends quietly where compressed data breaks off, and leaves word of it with the source."""

    def __init__(self, packed: Any, source: Source, damaged: tuple[type[Exception], ...]):
        self._packed, self._source = packed, source
        self._damaged = (EOFError, OSError, *damaged)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._source.damage:
            return 0
        try:
            data = self._packed.read1(len(buffer))
        except self._damaged as error:
            self._source.damage = f"the compressed data ends early or is damaged: {error}"
            return 0
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._packed.close()
        super().close()
