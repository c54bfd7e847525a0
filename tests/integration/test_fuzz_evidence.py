"""A small share of the fuzzing of `tests/bench/bench_fuzz_evidence.py`, with inputs of its own."""

from pathlib import Path

import pytest

from cairnops.errors import InputError
from cairnops.store.keys import public_key
from tests.bench.bench_fuzz_evidence import ENDS, Target, run, targets


@pytest.mark.slow
def test_no_bytes_bring_down_a_reader_of_evidence_or_pass_as_unaltered(tmp_path: Path) -> None:
    tally = run(targets(tmp_path, bundles=False), inputs=600, seed=2025)
    assert tally.bad == []
    assert tally.inputs > 580
    assert all(sum(count[end] for end in ENDS[:2]) == count.total() > 0 for count in tally.ends.values())


def test_the_fuzzer_tells_a_traceback_and_an_altered_thing_from_a_refusal() -> None:
    def read(data: bytes) -> str:
        if data[:1] == b"b":
            raise InputError("no")
        if data[:1] == b"c":
            raise KeyError("unexpected")
        return "accepted" if data == b"a" else "altered and accepted"

    tally = run([Target("any", 1, (b"a", b"b", b"c"), read)], inputs=300, seed=1)
    assert all(tally.ends["any"][end] for end in ("refused", "traceback", "altered and accepted"))
    assert len(tally.bad) == tally.ends["any"]["traceback"] + tally.ends["any"]["altered and accepted"]


def test_a_key_of_an_algorithm_nobody_knows_is_refused() -> None:
    # One bit from a real one, found by the fuzzer: the library has another exception for it than for nonsense.
    body = "MCowBQYDK8VwAyEAu+hCwMV46KSg4GtKYmYPtmeHXDyUATumomXCfKAHkFE="
    with pytest.raises(InputError, match="no public key"):
        public_key(f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n", "log")
