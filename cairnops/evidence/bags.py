"""What a bag of files (BagIt, RFC 8493) must be: whole or absent when written, and harmless before it is read."""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cairnops.errors import InputError
from cairnops.evidence import inert

# Bags are written here and judged by the `bagit` library: its own writer changes the process's working folder,
# which a program with threads cannot bear, and stops at BagIt 0.97. No bag takes its name before it is valid.
ALGORITHMS = ("sha256", "sha512")
PAYLOAD = "data"

_BLOCK = 1 << 20
# No clock and no user of this machine in a zip: the same files give the same archive.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much of a stranger's bag is read before we stop believing that it is one. Sizes are bytes."""

    files: int = 10_000
    file_bytes: int = 1 << 30
    total_bytes: int = 2 << 30
    #: Unpacked over packed size of one file; zlib reaches 1032 on zeros, the densest export we have seen 40.
    ratio: int = 250
    manifest_bytes: int = 32 << 20
    tag_bytes: int = 1 << 20
    name_chars: int = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A bag under its name."""

    path: Path
    #: SHA-256 of `manifest-sha256.txt`, hex: one figure for everything in the payload.
    fingerprint: str
    files: int
    bytes: int
    #: True when a bag with the same payload was there already, and was left as it is.
    unchanged: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as a bag or a bundle must be: a code, where (a path in the bag), and a sentence."""

    code: str
    where: str
    what: str


# Writing.


def write(
    target: Path, fill: Callable[[Path], None], info: Mapping[str, str], *, replace: bool = False
) -> Kept:
    """Make a bag of whatever `fill` puts into the folder it is given; a target ending in `.zip` is an archive.

    Everything happens in a hidden folder beside the target, which takes the target's name at the very end: a
    process killed at any instant leaves no target, or the old one, or the new one whole. What lies under the name
    already is left alone when its payload is the same, and otherwise only given up with `replace`.

    Raises:
        InputError: when something else is there, or the target cannot be written.
    """
    target = target.parent.resolve() / target.name
    if target.name in ("", ".."):
        raise InputError(f"{target} is no name for a bag.", hint="Name a new folder or a .zip file.")
    zipped = target.suffix.lower() == ".zip"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        try:
            bag = hidden / (target.stem if zipped else target.name)
            bag.mkdir()
            (bag / PAYLOAD).mkdir()
            fill(bag / PAYLOAD)
            files, size = _tag(bag, info)
            for fault in faults(bag, Limits(files=1 << 31, manifest_bytes=1 << 40)):
                raise InputError(f"The bag would not be valid: {fault.where}: {fault.what}.")
            mark = fingerprint(bag)
            made = _zip(bag, hidden / "archive") if zipped else bag
            _flush(bag if not zipped else hidden)
            unchanged = _take_name(made, target, hidden, mark, replace)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"Cannot write {target.name}: {error.strerror or error}.",
            hint=f"Check that {target.parent} is a folder you may write to and has room.",
        ) from None
    return Kept(path=target, fingerprint=mark, files=files, bytes=size, unchanged=unchanged)


def fingerprint(bag: Path) -> str:
    """SHA-256 of the payload manifest, hex; dates and other tags have no part in it."""
    return hashlib.sha256((bag / "manifest-sha256.txt").read_bytes()).hexdigest()


def _tag(bag: Path, info: Mapping[str, str]) -> tuple[int, int]:
    payload = sorted(p.relative_to(bag).as_posix() for p in (bag / PAYLOAD).rglob("*") if p.is_file())
    for name in payload:
        if fault := unsafe(name, Limits().name_chars) or ("holds a %" if "%" in name else ""):
            raise InputError(f"{name} cannot go into a bag: its name {fault}.", hint="Rename the file.")
    size = sum((bag / name).stat().st_size for name in payload)
    _text(bag / "bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    tags = {**info, "Payload-Oxum": f"{size}.{len(payload)}"}
    _text(bag / "bag-info.txt", "".join(f"{k}: {inert.one_line(v)}\n" for k, v in tags.items()))
    listed = [(name, hashes(bag / name)) for name in payload]
    for algorithm in ALGORITHMS:
        text = "".join(f"{found[algorithm]}  {name}\n" for name, found in listed)
        _text(bag / f"manifest-{algorithm}.txt", text)
    names = ("bag-info.txt", "bagit.txt", *(f"manifest-{a}.txt" for a in ALGORITHMS))
    listed = [(name, hashes(bag / name)) for name in names]
    for algorithm in ALGORITHMS:
        text = "".join(f"{found[algorithm]}  {name}\n" for name, found in listed)
        _text(bag / f"tagmanifest-{algorithm}.txt", text)
    return len(payload), size


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def hashes(path: Path) -> dict[str, str]:
    """The file's digests in hex, by algorithm."""
    found = {name: hashlib.new(name) for name in ALGORITHMS}
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for one in found.values():
                one.update(block)
    return {name: one.hexdigest() for name, one in found.items()}


def _zip(bag: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(p for p in bag.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(bag.parent).as_posix(), _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(entry, "w") as out:
                shutil.copyfileobj(source, out, _BLOCK)
    return target


def _flush(folder: Path) -> None:
    """Have it on the disk before its name says that it is there."""
    for path in sorted(folder.rglob("*"), reverse=True):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    # Windows cannot open a folder, and some network file systems refuse to flush one.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _take_name(made: Path, target: Path, hidden: Path, mark: str, replace: bool) -> bool:
    """Rename; True when the same payload was there already."""
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        target.rmdir()
    if os.path.lexists(target):
        if _same(target, mark):
            return True
        if not replace:
            raise InputError(
                f"{target} is there already, and is not this bag.",
                hint="Choose another name, or let it be replaced with --replace.",
            )
    if replace and os.path.lexists(target):
        _check_ours(target)
        if target.is_dir():
            target.rename(hidden / "given-up")
    if made.is_dir():
        made.rename(target)
    elif replace:
        made.replace(target)
    else:
        _claim(made, target)
    _sync(target.parent)
    return False


def _check_ours(target: Path) -> None:
    """A name mistyped once must not cost anybody a folder of other things."""
    if not (target / "bagit.txt").is_file() and not (target.is_file() and zipfile.is_zipfile(target)):
        raise InputError(f"{target} is no bag, and is not replaced.", hint="Choose another name.")


def _claim(made: Path, target: Path) -> None:
    """Take a name nobody has; a plain rename would silently take it from whoever came first."""
    try:
        os.link(made, target)
    except FileExistsError:
        raise InputError(f"{target} has just been made by somebody else.") from None
    except OSError:
        # No hard links here (FAT, some network file systems).
        made.rename(target)


def _same(target: Path, mark: str) -> bool:
    try:
        with opened(target) as there:
            return not faults(there) and fingerprint(there) == mark
    except (InputError, OSError):
        return False


# Reading what a stranger sent.


@contextlib.contextmanager
def opened(path: Path, limits: Limits | None = None) -> Iterator[Path]:
    """The bag's folder: the folder itself, or a zip unpacked into a private one that goes away afterwards.

    Nothing of it is believed yet, but reading it does no harm: only ordinary files, inside the folder, each name
    once on any system, no more and no larger than the limits.

    Raises:
        InputError: when it is no bag, or one that cannot be read safely, with the entry at fault.
    """
    limits = limits or Limits()
    try:
        if path.is_dir():
            _look_through(path, limits)
            yield _bag_in(path, path)
        elif path.is_file() and zipfile.is_zipfile(path):
            with tempfile.TemporaryDirectory(prefix="cairnops-bag-") as folder:
                _unpack(path, Path(folder), limits)
                yield _bag_in(Path(folder), path)
        elif path.exists():
            raise InputError(
                f"{path} is neither a folder nor a zip archive.",
                hint="Give the bag's folder, or the .zip that `cairnops evidence bundle` wrote.",
            )
        else:
            raise InputError(f"There is no {path}.", hint="Check the path.")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


def _bag_in(folder: Path, path: Path) -> Path:
    if (folder / "bagit.txt").is_file():
        return folder
    inside = list(folder.iterdir())
    if folder != path and len(inside) == 1 and (inside[0] / "bagit.txt").is_file():
        return inside[0]
    raise InputError(f"{path} is no bag: it has no bagit.txt.", hint="Give the folder that holds bagit.txt.")


def unsafe(name: str, longest: int) -> str:
    """Why a path in a bag must not be followed; empty when it may be. Slashes divide it."""
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return "holds control characters"
    if not name or len(name) > longest:
        return f"is empty or longer than {longest} characters"
    if "\\" in name:
        return "holds a backslash, which some systems take for a folder"
    if name.startswith(("/", "~")) or re.match(r"[A-Za-z]:", name):
        return "is absolute"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "leads out of the bag"
    return ""


def _refuse(path: Path, name: str, why: str) -> InputError:
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    return InputError(
        f"{path.name} is not safe to read: the entry {shown!r} {why}.",
        hint="No bundle of ours holds such an entry; ask whoever sent it.",
    )


def _too_much(path: Path, what: str) -> InputError:
    return InputError(
        f"{path.name} is not read: {what}.", hint="That is beyond what a bundle can be; ask whoever sent it."
    )


def _look_through(folder: Path, limits: Limits) -> None:
    waiting, count, total = [folder], 0, 0
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                name = Path(entry.path).relative_to(folder).as_posix()
                if entry.is_symlink():
                    raise _refuse(folder, name, "is a link")
                if why := unsafe(name, limits.name_chars):
                    raise _refuse(folder, name, why)
                count += 1
                if count > 2 * limits.files:
                    raise _too_much(folder, f"it has more than {limits.files} files")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                    continue
                found = entry.stat(follow_symlinks=False)
                # A pipe would wait for a writer for ever, a device never end.
                if not stat.S_ISREG(found.st_mode):
                    raise _refuse(folder, name, "is no ordinary file")
                total += found.st_size
                if found.st_size > limits.file_bytes or total > limits.total_bytes:
                    raise _too_much(folder, f"with {name} it has {total} bytes and more")


def _unpack(path: Path, into: Path, limits: Limits) -> None:
    _check_directory(path, limits)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked(path, archive.infolist(), limits)
            left = limits.total_bytes
            for entry in entries:
                target = into.joinpath(*PurePosixPath(entry.filename).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("xb") as out:
                    # What the directory says of sizes is the sender's word; what comes out is counted.
                    while block := source.read(min(_BLOCK, left + 1)):
                        left -= len(block)
                        if left < 0 or out.tell() + len(block) > entry.file_size:
                            raise _too_much(path, f"{entry.filename} is larger than the archive says")
                        out.write(block)
    except (
        zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, FileExistsError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path.name} is a damaged archive: {error or type(error).__name__}.",
            hint="Have it sent again.",
        ) from None


def _check_directory(path: Path, limits: Limits) -> None:
    """Bound the archive's list of entries before anything reads it whole."""
    size = path.stat().st_size
    if size > limits.total_bytes:
        raise _too_much(path, f"it has {size} bytes")
    with path.open("rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read()
    end = tail[tail.rfind(b"PK\x05\x06") :][:22]
    if len(end) < 22:
        raise InputError(f"{path.name} is a damaged archive: its end is missing.", hint="Have it sent again.")
    entries, listing = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if entries > 2 * limits.files or entries == 0xFFFF:
        raise _too_much(path, f"it lists more than {limits.files} files")
    if listing > limits.manifest_bytes:
        raise _too_much(path, f"its list of entries alone has {listing} bytes")


def _checked(path: Path, entries: Sequence[zipfile.ZipInfo], limits: Limits) -> list[zipfile.ZipInfo]:
    """The files among the entries, in the order of the archive, once every entry has been found harmless."""
    seen: dict[str, str] = {}
    files: list[zipfile.ZipInfo] = []
    total = 0
    for entry in entries:
        name = entry.orig_filename
        bare = name.rstrip("/") if name != "/" else name
        if why := unsafe(bare, limits.name_chars):
            raise _refuse(path, name, why)
        kind = stat.S_IFMT(entry.external_attr >> 16) if entry.create_system == 3 else 0
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refuse(path, name, "is a link" if kind == stat.S_IFLNK else "is no ordinary file")
        if entry.flag_bits & 1:
            raise _refuse(path, name, "is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refuse(path, name, "is packed in a way that is neither stored nor deflated")
        # Two names that one system tells apart and another does not would unpack into one file there.
        same = _same_name(bare)
        if same in seen:
            raise _refuse(path, name, f"is there twice ({seen[same]!r})")
        seen[same] = bare
        if name.endswith("/"):
            continue
        files.append(entry)
        total += entry.file_size
        if entry.file_size > limits.file_bytes or total > limits.total_bytes:
            raise _too_much(path, f"unpacked, {name} brings it to {total} bytes")
        if entry.file_size > _BLOCK and entry.file_size > limits.ratio * max(entry.compress_size, 1):
            raise _too_much(
                path, f"{name} unpacks to {entry.file_size // max(entry.compress_size, 1)} times its size"
            )
    if len(files) > limits.files:
        raise _too_much(path, f"it has more than {limits.files} files")
    _check_overlap(path, files)
    plain = {_same_name(entry.filename) for entry in files}
    for same, name in seen.items():
        if any(str(parent) in plain for parent in PurePosixPath(same).parents):
            raise _refuse(path, name, "lies inside a file")
    return files


def _same_name(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _check_overlap(path: Path, files: Sequence[zipfile.ZipInfo]) -> None:
    """Entries that share bytes let a small archive unpack to any size."""
    end = 0
    for entry in sorted(files, key=lambda e: e.header_offset):
        if entry.header_offset < end:
            raise _refuse(path, entry.filename, "shares its bytes with another")
        end = entry.header_offset + 30 + len(entry.filename.encode()) + entry.compress_size


# Judging.


def faults(bag: Path, limits: Limits | None = None) -> list[Fault]:
    """What makes it an invalid bag, as the `bagit` library judges, and where RFC 8493 is stricter than the library.

    Raises:
        InputError: when its tag files are larger than a bag's can be.
    """
    import bagit

    limits = limits or Limits()
    _check_tag_files(bag, limits)
    head = (bag / "bagit.txt").read_bytes()
    form = re.fullmatch(
        rb"BagIt-Version: \d+\.\d+\r?\nTag-File-Character-Encoding: UTF-8\r?\n?", head, re.IGNORECASE
    )
    # Any codec Python knows could be named there, some of them slow and some no text at all.
    if form is None:
        return [Fault("bag.form", "bagit.txt", "it does not say a BagIt version and UTF-8")]
    if (bag / "fetch.txt").exists():
        return [Fault("bag.fetch", "fetch.txt", "parts of the bag are elsewhere, and nothing is fetched")]
    out: list[Fault] = []
    found: bagit.Bag | None = None
    with _quiet():
        try:
            found = bagit.Bag(str(bag))
            out += _strict(bag, found.entries)
            found.validate()
        except (bagit.BagError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            # The library stops at the first thing; whoever has to mend it wants to know all of them.
            out += list(_differing(bag, found.entries if found else {})) or [
                Fault("bag.invalid", "", _plain(error, bag))
            ]
    return sorted(dict.fromkeys(out), key=lambda f: (f.where, f.code))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The library tells its log what it also raises."""
    log = logging.getLogger("bagit")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _plain(error: Exception, bag: Path) -> str:
    return str(error).replace(f"{bag}{os.sep}", "").replace(str(bag), "the bag") or type(error).__name__


def _differing(bag: Path, entries: Mapping[str, Mapping[str, str]]) -> Iterator[Fault]:
    """What is not the same in the manifests and on the disk."""
    for name, listed in entries.items():
        path = bag / name
        if not path.is_file():
            yield Fault("bag.missing", name, "it is in a manifest and not in the bag")
            continue
        real = hashes(path)
        wrong = sorted(a for a in real if a in listed and listed[a].lower() != real[a])
        if wrong:
            yield Fault(
                "bag.changed", name, f"it is not the file that was bagged ({', '.join(wrong)} differs)"
            )
    for path in (bag / PAYLOAD).rglob("*") if entries else ():
        name = path.relative_to(bag).as_posix()
        if path.is_file() and name not in entries:
            yield Fault("bag.unlisted", name, "it is in the bag and in no manifest")


def _strict(bag: Path, entries: Mapping[str, Mapping[str, str]]) -> Iterator[Fault]:
    """Each manifest lists every payload file, with a hash that still means something; no tag file goes unvouched."""
    payload = {a for a in ALGORITHMS if (bag / f"manifest-{a}.txt").is_file()}
    if not payload:
        yield Fault("bag.weak", "", "it has neither a SHA-256 nor a SHA-512 manifest")
    for name, found in entries.items():
        if name.startswith(f"{PAYLOAD}/") and (lost := payload - found.keys()):
            yield Fault("bag.unlisted", name, f"the {', '.join(sorted(lost))} manifest does not list it")
    for path in bag.rglob("*"):
        name = path.relative_to(bag).as_posix()
        if name.startswith((f"{PAYLOAD}/", "tagmanifest-")) or not path.is_file():
            continue
        if not entries.get(name, {}).keys() & set(ALGORITHMS):
            yield Fault("bag.unvouched", name, "no tag manifest vouches for it")


def _check_tag_files(bag: Path, limits: Limits) -> None:
    for path in bag.glob("*.txt"):
        manifest = "manifest-" in path.name
        most = limits.manifest_bytes if manifest else limits.tag_bytes
        if path.stat().st_size > most:
            raise _too_much(path, f"it has {path.stat().st_size} bytes")
        if manifest:
            with path.open("rb") as file:
                lines = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
            if lines > limits.files:
                raise _too_much(path, f"it lists more than {limits.files} files")
