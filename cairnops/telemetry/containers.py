"""What is read out of a container: zstd as a stream, and the one file of a tar archive."""

import importlib
import io
import tarfile
import tempfile
from typing import Any

from cairnops.errors import InputError

# From Python 3.14 on it is in the standard library; before, under the first of these that is installed.
_ZSTD_MODULES = ("compression.zstd", "backports.zstd")


def zstd_stream(packed: Any, name: str) -> Any:
    """A readable stream of what `packed` holds.

    Raises:
        InputError: where this Python knows no zstd.
    """
    module = _zstd()
    if module is None:
        raise InputError(
            f"{name} is compressed with zstd, which this Python cannot unpack.",
            hint="Unpack it first: zstd -d FILE; or install backports.zstd.",
        )
    return module.ZstdFile(packed, "rb")


def zstd_errors() -> tuple[type[Exception], ...]:
    """What reading a damaged stream raises."""
    module = _zstd()
    return () if module is None else (module.ZstdError,)


def _zstd() -> Any:
    for name in _ZSTD_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def only_member(stream: Any, name: str) -> tuple[str, io.BufferedReader]:
    """The name of the one file in a tar archive, and its bytes.

    Raises:
        InputError: for an archive that is damaged, or holds no file or several.
    """
    names: list[str] = []
    kept: Any = None
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                short = member.name.rpartition("/")[2]
                # What macOS and editors leave beside a file is not one.
                if not member.isfile() or short.startswith("."):
                    continue
                names.append(member.name)
                if len(names) == 1:
                    kept = _kept(archive.extractfile(member))
    except (tarfile.TarError, OSError, EOFError) as error:
        if kept is not None:
            kept.close()
        raise InputError(
            f"{name} is a tar archive that cannot be read: {error}.", hint="Copy it again from where it came."
        ) from None
    if len(names) == 1:
        return names[0], io.BufferedReader(kept, 64 * 1024)
    if kept is not None:
        kept.close()
    if not names:
        raise InputError(f"{name} is a tar archive without a file in it.", hint="Check what was packed.")
    listed = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    raise InputError(
        f"{name} is a tar archive with {len(names)} files: {listed}.",
        hint="Unpack it first: tar -xf FILE; then name one of them.",
    )


def _kept(member: Any) -> Any:
    spool = tempfile.TemporaryFile("w+b", buffering=0)  # noqa: SIM115 - closed by whoever reads it
    try:
        while block := member.read(1 << 20):
            spool.write(block)
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return spool
