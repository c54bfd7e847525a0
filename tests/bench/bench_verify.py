"""How fast an export is verified, beside a bare SHA-256 over the same bytes.

Run it: python tests/bench/bench_verify.py [rows]
"""

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cairnops import codec
from cairnops.domain import merkle
from cairnops.domain.checkpoints import Checkpoint, Key, write_note
from cairnops.evidence.proofs import Trust, verify_export
from cairnops.store.keys import Signing, pem

ROUNDS = 5
WANTED = 3.0


def make(path: Path, rows: int) -> tuple[bytes, str]:
    """An export of records as long as real ones, sealed; every tenth text is not ASCII, every hundredth is escaped."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    leaves = []
    text = "Thanks for flagging the delay. I've escalated this to our carrier. " * 6
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            odd = " \u2014 caf\u00e9" if n % 10 == 0 else " \\u2028" if n % 100 == 1 else ""
            data = {
                "action": "chatwoot.approve_send",
                "actor": {"email": "operator@practice.example", "role": "operator"},
                "createdAt": "2025-10-16T17:24:00.000Z",
                "decisionId": n + 101,
                "finalText": text + odd,
                "sla": [{"breached": True, "clock": "conversation_created", "elapsedS": 18240 + n}] * 6,
                "suggestion": {"sources": ["shop order", "help centre"], "text": text},
                "uid": f"01K7Q0NXP0{n:016d}",
            }
            body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
            leaf = codec.leaf_hash(body)
            leaves.append(bytes.fromhex(leaf))
            file.write(f'{body[:-1]},"leafHash":"{leaf}","logIndex":{n}}}\n')
    private = Ed25519PrivateKey.generate()
    signer = Signing(Key("bench.example/cairnops/1", private.public_key().public_bytes_raw()), private)
    note = write_note(Checkpoint(signer.key.name, rows, merkle.root(leaves)).text, [signer])
    return note.encode(), pem(signer.key.public)


def whole(path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)


def by_line(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            hashlib.sha256(line).digest()


def main(rows: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.ndjson"
        note, key = make(path, rows)
        trust = Trust(key=key)

        def verified() -> None:
            assert verify_export(path, checkpoint=note, trust=trust).exit_code == 0

        cases: dict[str, Callable[[], None]] = {
            "SHA-256 of the file": lambda: whole(path),
            "SHA-256 of every line": lambda: by_line(path),
            "verify": verified,
        }
        spent: dict[str, list[float]] = {name: [] for name in cases}
        for round_ in range(ROUNDS):
            for name in list(cases) if round_ % 2 else reversed(list(cases)):
                begun = time.perf_counter()
                cases[name]()
                spent[name].append(time.perf_counter() - begun)
        size = path.stat().st_size
        print(f"{rows} rows, {size / 1e6:.0f} MB, {ROUNDS} rounds, interleaved, best of them")
        print(f"{'':<26}{'rows/s':>10}{'MB/s':>8}{'to file':>9}{'to lines':>10}")
        best = {name: min(values) for name, values in spent.items()}
        bare, lines = best["SHA-256 of the file"], best["SHA-256 of every line"]
        for name, took in best.items():
            print(
                f"{name:<26}{rows / took:>10.0f}{size / took / 1e6:>8.0f}{took / bare:>9.2f}{took / lines:>10.2f}"
            )
        ratio = statistics.median(
            a / b for a, b in zip(spent["verify"], spent["SHA-256 of the file"], strict=True)
        )
        print(
            f"verify takes {ratio:.2f} times a bare SHA-256 of the same bytes (median); wanted at most {WANTED:.0f}"
        )
        peak = subprocess.run(
            [sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True
        ).stdout.strip()
        print(f"memory of a process that verifies it: {peak} MB at most")
    return 0 if ratio <= WANTED else 1


_PEAK = """
import resource, sys
from pathlib import Path
from cairnops.evidence.logfile import scan
assert scan(Path(sys.argv[1]), None).found == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
