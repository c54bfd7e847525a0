"""Whether any bytes bring down whoever reads worksheets, bundles and proofs, keep them busy, or pass as unaltered.

Run it: python -m tests.bench.bench_fuzz_evidence [--inputs N] [--seconds N] [--seed N]

Seeded bytes are changed, cut, doubled, swapped and mixed; every input ends in one of five ways, and the last three must
not happen: accepted (nothing that counts was changed), refused by name, a traceback, a hang, an altered thing accepted.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from cairnops.domain import checkpoints
from cairnops.domain.checkpoints import BadNote
from cairnops.errors import CairnError
from cairnops.evidence import bags, payload, proofs, verify
from cairnops.store import keys
from cairnops.telemetry import sheets

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "practice"
ENDS = ("accepted", "refused", "traceback", "hang", "altered and accepted")
#: Seconds one input may take; the slowest take a tenth of one.
PATIENCE = 20

_TOKENS = (
    b"\n", b"\r\n", b"|", b" | ", b'"', b"\\", b"\\u2028", "\u2028".encode(), b"\x00", b"\xff", b"\xef\xbb\xbf", b",",
    b"0", b"-1", b"99999999999999999999", b"1e999", b"null", b"{", b"}", b"[", b"]", b"[" * 2000, b"../../etc/passwd",
    b"\n\n", "\u2014 ".encode(), b"PK\x03\x04", b"\x1f\x8b\x08", b"| --- | --- |\n", b"=cmd()", b"#101",
    b"101, 102 and 103",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A reader, what it is fed from, and its share of the inputs; `read` says `accepted` or `altered and accepted`."""

    name: str
    share: int
    corpus: Sequence[bytes]
    #: Raises what the reader raises; a `CairnError`, a `BadNote` or "refused" is a refusal by name.
    read: Callable[[bytes], str]


@dataclass
class Tally:
    """What became of the inputs of each target, and the first that ended badly."""

    ends: dict[str, Counter[str]] = field(default_factory=dict)
    bad: list[tuple[str, str, bytes]] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return sum(count.total() for count in self.ends.values())


class Hang(BaseException):
    """An input took too long."""


def mutated(corpus: Sequence[bytes], luck: random.Random) -> bytes:
    """One of the corpus, changed once to five times."""
    data = bytearray(luck.choice(corpus))
    for _ in range(luck.choice((1, 1, 1, 2, 3, 5))):
        at = luck.randrange(len(data) + 1)
        size = min(luck.choice((1, 1, 2, 8, 64, 600)), len(data) - at)
        match luck.randrange(9):
            case 0 if data:
                data[at % len(data)] ^= 1 << luck.randrange(8)
            case 1 if data:
                data[at % len(data)] = luck.randrange(256)
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = luck.choice(_TOKENS)
            case 4:
                data[at:at] = data[at : at + size] * luck.choice((1, 2, 30))
            case 5:
                lines = bytes(data).split(b"\n")
                one, two = luck.randrange(len(lines)), luck.randrange(len(lines))
                lines[one], lines[two] = lines[two], lines[one]
                data = bytearray(b"\n".join(lines))
            case 6:
                other = luck.choice(corpus)
                cut = luck.randrange(len(other) + 1)
                data[at : at + size] = other[cut : cut + size]
            case 7:
                del data[at:]
            case 8:
                digits = [place for place, byte in enumerate(data[at : at + 400], at) if 48 <= byte < 58]
                if digits:
                    data[luck.choice(digits)] = luck.choice(b"0123456789")
    return bytes(data)


def run(targets: Sequence[Target], inputs: int, seed: int, seconds: float = 1e9) -> Tally:
    """Feed the targets, each its share; ends early after so many seconds."""
    tally, begun = Tally({t.name: Counter() for t in targets}), time.monotonic()
    shares = sum(t.share for t in targets)
    for target in targets:
        luck = random.Random(f"{seed} {target.name}")
        until = begun + seconds * sum(t.share for t in targets[: targets.index(target) + 1]) / shares
        for _ in range(max(1, inputs * target.share // shares)):
            if time.monotonic() > until:
                break
            data = mutated(target.corpus, luck)
            end = _end(target, data)
            tally.ends[target.name][end] += 1
            if end not in ENDS[:2]:
                tally.bad.append((target.name, end, data))
    return tally


def _end(target: Target, data: bytes) -> str:
    try:
        with _limited():
            return target.read(data)
    except (CairnError, BadNote):
        return "refused"
    except Hang:
        return "hang"
    except Exception:  # noqa: BLE001  whatever it is, it would have been a traceback
        return "traceback"


@contextmanager
def _limited() -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    # Whoever runs this may have a timer of the same kind, as pytest has.
    left = signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left)


# What is fed.


def targets(folder: Path, *, bundles: bool = True) -> list[Target]:
    """Every reader of evidence, with sound originals made in that folder; bundles take a second to make."""
    made = [_worksheets(), *_of_a_log(folder), *_notes(folder / "w")]
    return [*made, *_bundles(folder)] if bundles else made


def _cairnops(*args: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cairnops", *map(str, args)], capture_output=True, encoding="utf-8"
    )
    assert done.returncode in (0, 3), done.stderr
    return done.stdout


def _worksheets() -> Target:
    markdown = (FIXTURES / "worksheet.md").read_bytes()
    table = b"Decision,Time (UTC),Conversation,Status\n" + b"".join(
        b'"#%d",2025-10-16T17:%02d:00Z,chatwoot:%d,SUCCESS\n' % (101 + n, n, 1000 + n) for n in range(20)
    )

    def read(data: bytes) -> str:
        sheet = sheets.parse(data)
        counted = sheet.blank + sheet.row_lines + sheet.reject_lines + sheet.other_lines
        return "accepted" if counted == sheet.lines else "altered and accepted"

    return Target("worksheet", 36, (markdown, table, b"101\n102\n#103, 104\n", markdown[:1500]), read)


def _of_a_log(folder: Path) -> list[Target]:
    """An export with its checkpoint and key, as the fixtures have them."""
    export = FIXTURES / "decisions.ndjson"
    note, key = (FIXTURES / "checkpoint.txt").read_bytes(), (FIXTURES / "ledger.pub").read_text()
    original = export.read_bytes()
    short, path = original[:8000], folder / "mutated.ndjson"

    def an_export(data: bytes) -> str:
        path.write_bytes(data)
        found = proofs.verify_export(path, checkpoint=note, trust=proofs.Trust(key=key))
        return _judged(found, data == original)

    def a_checkpoint(data: bytes) -> str:
        found = proofs.verify_export(export, checkpoint=data, trust=proofs.Trust(key=key))
        return _judged(found, not found.found and _same_note(data, note))

    def a_key(data: bytes) -> str:
        text = data.decode(errors="replace")
        found = proofs.verify_export(export, checkpoint=note, trust=proofs.Trust(key=text))
        return _judged(found, not text or keys.public_key(text, "x") == keys.public_key(key, "x"))

    def older(data: bytes) -> str:
        found = proofs.verify_export(export, checkpoint=note, trust=proofs.Trust(key=key, old=(data,)))
        return _judged(found, not found.found and _same_note(data, note))

    return [
        Target("export", 18, (original, short), an_export),
        Target("checkpoint", 10, (note,), a_checkpoint),
        Target("older checkpoint", 4, (note,), older),
        Target("public key", 4, (key.encode(),), a_key),
    ]


def _notes(workspace: Path) -> list[Target]:
    """Proofs, an extract and rotations, of a log of two sessions whose key changed."""
    folder = workspace.parent
    _cairnops("dryrun", "run", "A", "-w", workspace, "-s", "one")
    _cairnops("dryrun", "run", "A", "-w", workspace, "-s", "two")
    _cairnops("ledger", "seal", "-w", workspace)
    old = _cairnops("ledger", "checkpoint", "-w", workspace).encode()
    first = (workspace / "keys/ledger.pub").read_text()
    _cairnops("ledger", "rotate", "-w", workspace)
    _cairnops("dryrun", "run", "B", "-w", workspace, "-s", "two")
    _cairnops("ledger", "seal", "-w", workspace)
    note = _cairnops("ledger", "checkpoint", "-w", workspace).encode()
    part = _cairnops("ledger", "checkpoint", "-s", "one", "-w", workspace).encode()
    steps = _cairnops("ledger", "keys", "--statements", "-w", workspace).encode()
    (folder / "kept.txt").write_bytes(old)
    growth = _cairnops("ledger", "prove", "--since", folder / "kept.txt", "-w", workspace).encode()
    record, export = folder / "102.ndjson", folder / "one.ndjson"
    _cairnops("ledger", "prove", "102", "-w", workspace, "-o", folder / "102.proof", "--record", record)
    _cairnops("decisions", "export", "-s", "one", "-w", workspace, "-o", export)
    proof = (folder / "102.proof").read_bytes()
    trust = proofs.Trust(key=first, rotations=steps)

    def a_proof(data: bytes) -> str:
        found = proofs.verify_proof(data, subject="x", record=record, trust=trust)
        return _judged(found, not found.found and _same_proof(data, proof))

    def of_growth(data: bytes) -> str:
        kept = proofs.Trust(key=first, rotations=steps, old=(old,))
        found = proofs.verify_proof(data, subject="x", trust=kept)
        return _judged(found, not found.found and _same_proof(data, growth))

    def an_extract(data: bytes) -> str:
        found = proofs.verify_export(export, checkpoint=note, extract=data, trust=trust)
        return _judged(found, not found.found and _same_note(data, part))

    def rotations(data: bytes) -> str:
        changed = proofs.Trust(key=first, rotations=data)
        found = proofs.verify_export(export, checkpoint=note, extract=part, trust=changed)
        return _judged(found, not found.found and _texts(steps) <= _texts(data))

    assert all(read(data) == "accepted" for read, data in (
        (a_proof, proof), (of_growth, growth), (an_extract, part), (rotations, steps),
    ))  # fmt: skip
    return [
        Target("proof of a record", 10, (proof,), a_proof),
        Target("proof of growth", 6, (growth,), of_growth),
        Target("extract", 6, (part,), an_extract),
        Target("rotations", 4, (steps,), rotations),
    ]


def _bundles(folder: Path) -> list[Target]:
    """A bundle as a zip and as a folder of which one file is changed, and a redacted one with its openings."""
    work, whole, shown = folder / "w", folder / "one.zip", folder / "shown"
    _cairnops("evidence", "bundle", "one", "-w", work, "-o", whole)
    _cairnops("evidence", "bundle", "one", "-w", work, "-o", folder / "one")
    _cairnops("evidence", "redact", whole, "-o", shown)
    opens = (folder / "shown.openings.ndjson").read_bytes()
    files = sorted(p for p in (folder / "one").rglob("*") if p.is_file())
    originals = {path.relative_to(folder / "one").as_posix(): path.read_bytes() for path in files}
    archive = folder / "mutated.zip"

    def a_zip(data: bytes) -> str:
        archive.write_bytes(data)
        found = verify.verify(archive)
        if found.found:
            return "refused"
        with bags.opened(archive) as bag:
            held = {p.relative_to(bag).as_posix(): p.read_bytes() for p in bag.rglob("*") if p.is_file()}
        return "accepted" if held == originals else "altered and accepted"

    def a_folder(data: bytes) -> str:
        # Which file it is, is in the first bytes, so that one input is one change.
        name, content = sorted(originals)[sum(data[:1]) % len(originals)], originals
        path = folder / "one" / name
        luck = random.Random(data)
        changed = mutated((content[name],), luck)
        path.write_bytes(changed)
        try:
            found = verify.verify(folder / "one").found
        finally:
            path.write_bytes(content[name])
        return "refused" if found else "accepted" if changed == content[name] else "altered and accepted"

    def openings(data: bytes) -> str:
        trust = payload.Trust(openings=data.decode(errors="replace"))
        found = verify.verify(shown, trust=trust)
        if found.found:
            return "refused"
        return "accepted" if _opened(data) <= _opened(opens) else "altered and accepted"

    return [
        Target("bundle, zipped", 1, (whole.read_bytes(),), a_zip),
        Target("bundle, one file", 1, (bytes(range(256)),), a_folder),
        Target("openings", 1, (opens,), openings),
    ]


def _judged(found: proofs.Verification, same: bool) -> str:
    if found.found:
        return "refused"
    return "accepted" if same else "altered and accepted"


def _same_note(data: bytes, original: bytes) -> bool:
    """The same statement; signatures of other keys beside it say nothing."""
    return checkpoints.read_note(data).text == checkpoints.read_note(original).text


def _same_proof(data: bytes, original: bytes) -> bool:
    """The same steps to the same tree; what a proof says for its reader is no part of it."""
    one, two = (checkpoints.read_proof(raw) for raw in (data, original))
    place = {getattr(p, "index", None) for p in (one, two)} | {getattr(p, "old", None) for p in (one, two)}
    return one.steps == two.steps and len(place) == 2 and _same_note(one.checkpoint, two.checkpoint)


def _texts(raw: bytes) -> set[str]:
    return {note.text for note in checkpoints.read_notes(raw)}


def _opened(data: bytes) -> set[str]:
    """What openings say of records; lines may be missing, and what stand-ins mean proves nothing."""
    out = set()
    for line in data.decode(errors="replace").split("\n"):
        said: Any = json.loads(line) if line else None
        if isinstance(said, dict) and "record" in said:
            out.add(json.dumps([said.get(name) for name in ("uid", "salt", "record", "logIndex")]))
    return out


def main(inputs: int, seconds: float, seed: int) -> int:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = run(targets(Path(folder)), inputs, seed, seconds)
    print(f"seed {seed}, {tally.inputs:,} inputs in {time.monotonic() - begun:.0f} s")
    print(f"{'':<20}" + "".join(f"{end:>22}" for end in ENDS))
    for name, count in tally.ends.items():
        print(f"{name:<20}" + "".join(f"{count[end]:>22,}" for end in ENDS))
    for name, end, data in tally.bad[:5]:
        print(f"{name}: {end}: {data[:300]!r}")
    if tally.inputs < inputs * 0.99:
        print(f"too slow: {inputs:,} inputs were wanted")
    return 1 if tally.bad or tally.inputs < inputs * 0.99 else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=105_000)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=11)
    given = parser.parse_args()
    sys.exit(main(given.inputs, given.seconds, given.seed))
