"""The first gap of a mirror, found by counting: a law, and how few questions it takes."""

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from cairnops.evidence.mirror import agreed


class Counted:
    """A mirror that only counts."""

    def __init__(self, keys: list[int]):
        self.keys, self.asked = sorted(keys), 0

    def __call__(self, key: int) -> int:
        self.asked += 1
        return bisect_right(self.keys, key)


@given(st.lists(st.integers(0, 40), max_size=60), st.data())
def test_it_is_the_longest_beginning_that_is_there(rows: list[int], data: st.DataObject) -> None:
    """Several rows may have one key; whichever of them are there, a key with a gap does not count."""
    ours = sorted(rows)
    kept = data.draw(st.lists(st.booleans(), min_size=len(ours), max_size=len(ours)))
    theirs = [key for key, there in zip(ours, kept, strict=True) if there]
    gaps = [key for key, there in zip(ours, kept, strict=True) if not there]
    wanted = sum(key < min(gaps) for key in ours) if gaps else len(ours)
    assert agreed(ours, Counted(theirs)) == wanted


def test_it_asks_once_when_all_is_there_and_a_few_times_else() -> None:
    ours = list(range(100_000))
    whole, cut = Counted(ours), Counted([*ours[:61_234], *ours[70_000:]])
    assert (agreed(ours, whole), whole.asked) == (100_000, 1)
    assert agreed(ours, cut) == 61_234
    assert cut.asked <= 18
