"""Whether a session may go ahead: its gates against the newest record of each probe."""

from datetime import UTC, datetime, timedelta

import pytest

from cairnops.domain import sessions
from cairnops.domain.gates import GateState, ProbeRecord
from cairnops.domain.requests import Flags
from cairnops.domain.sessions import Gate, Session

NOW = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
GO, NO_GO, UNKNOWN = GateState.GO, GateState.NO_GO, GateState.UNKNOWN


def probe(name: str, status: str = "ok", minutes_ago: float = 5, **more: int) -> ProbeRecord:
    return ProbeRecord(name=name, status=status, at=NOW - timedelta(minutes=minutes_ago), **more)


def session(*requires: str) -> Session:
    return Session(
        name="thursday",
        pack="p",
        pack_version="1",
        pack_digest="D",
        title="Thursday",
        started_at=NOW,
        flags=Flags(),
        policy_profile="dry-run",
        policy_hash="H",
        roles={},
        probes=("desk", "ledger"),
        gates=tuple(Gate(id=f"g{i}", title=r, require=r) for i, r in enumerate(requires)),
    )


@pytest.mark.parametrize(
    ("requires", "records", "states", "board"),
    [
        pytest.param((), [], [], GO, id="no gates, nothing in the way"),
        pytest.param(("desk",), [probe("desk")], [GO], GO, id="measured and fine"),
        pytest.param(("desk",), [], [UNKNOWN], UNKNOWN, id="never measured"),
        pytest.param(("desk",), [probe("desk", "failed")], [NO_GO], NO_GO, id="measured and not fine"),
        pytest.param(("desk", "ledger"), [probe("desk")], [GO, UNKNOWN], UNKNOWN, id="one of two measured"),
        pytest.param(
            ("desk", "ledger"),
            [probe("ledger", "failed")],
            [UNKNOWN, NO_GO],
            NO_GO,
            id="no is graver than unknown",
        ),
        pytest.param(
            ("desk",), [probe("desk", "failed", 9), probe("desk", "ok", 1)], [GO], GO, id="mended since"
        ),
        pytest.param(
            ("desk",),
            [probe("desk", "ok", 1), probe("desk", "failed", 9)],
            [GO],
            GO,
            id="the newest, in any order",
        ),
        pytest.param(
            ("desk",), [probe("desk", "ok", 9), probe("desk", "failed", 1)], [NO_GO], NO_GO, id="broken since"
        ),
        pytest.param(
            ("desk",),
            [probe("desk", "failed", 5), probe("desk", "ok", 5)],
            [GO],
            GO,
            id="of two in one moment the later recorded",
        ),
        pytest.param(
            ("desk.age_minutes < 60",),
            [probe("desk", minutes_ago=60)],
            [NO_GO],
            NO_GO,
            id="measured too long ago",
        ),
        pytest.param(("desk.latency_ms < 500",), [probe("desk", latency_ms=499)], [GO], GO, id="fast enough"),
    ],
)
def test_the_board(
    requires: tuple[str, ...], records: list[ProbeRecord], states: list[GateState], board: GateState
) -> None:
    found = sessions.board(session(*requires), records, NOW)
    assert [result.state for _, result in found.results] == states
    assert [gate.require for gate, _ in found.results] == list(requires)
    assert found.state is board
