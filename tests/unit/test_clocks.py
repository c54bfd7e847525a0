"""A file's clock goes on by the machine's counter, whatever the machine's clock is set to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain.clocks import Anchor, anchored, latest_ms

KEPT = Anchor(boot="b1", wall_ms=1_000_000, ticks_ms=5_000)


@pytest.mark.parametrize(
    ("kept", "boot", "ticks", "shows"),
    [
        pytest.param(None, "b1", 5_000, "the wall's", id="asked for the first time"),
        pytest.param(KEPT, "b1", 7_000, 1_002_000, id="it has gone on"),
        pytest.param(KEPT, "b1", 5_000, 1_000_000, id="at once"),
        pytest.param(KEPT, "b2", 7_000, "the wall's", id="started anew, or another machine"),
        pytest.param(KEPT, "b1", 4_999, "the wall's", id="started anew where nobody names that"),
    ],
)
@pytest.mark.parametrize(
    "wall", [1_002_000, 4_602_000, -2_598_000], ids=["right", "an hour on", "an hour back"]
)
def test_what_the_clock_shows(
    kept: Anchor | None, boot: str, ticks: int, shows: int | str, wall: int
) -> None:
    holds = anchored(kept, Anchor(boot=boot, wall_ms=wall, ticks_ms=ticks))
    assert holds.now_ms(ticks) == (wall if shows == "the wall's" else shows)
    assert anchored(holds, Anchor(boot=boot, wall_ms=0, ticks_ms=ticks)) == holds, "and it stays with that"


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(-(10**7), 10**7)), min_size=1))
def test_however_it_is_set_the_clock_counts_what_went_by(turns: list[tuple[int, int]]) -> None:
    kept = anchored(None, Anchor(boot="b", wall_ms=77, ticks_ms=3))
    ticks, wall = 3, 77
    for went_by, set_by in turns:
        ticks, wall = ticks + went_by, wall + went_by + set_by
        kept = anchored(kept, Anchor(boot="b", wall_ms=wall, ticks_ms=ticks))
        assert kept.now_ms(ticks) == 77 + ticks - 3


def test_a_moment_may_be_two_pauses_ahead() -> None:
    assert latest_ms(1000, 60) == 1120
