"""The distance between two texts, and the words that make it up."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain import edits
from cairnops.domain.edits import Change

_texts = st.text(alphabet="aab éß👍🏽\n\t.,’-", max_size=30)


def table_distance(a: str, b: str) -> int:
    """The textbook table, cell by cell."""
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
        above = row
    return above[-1]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param("", "", 0, id="both empty"),
        pytest.param("", "abc", 3, id="written from nothing"),
        pytest.param("abc", "", 3, id="all deleted"),
        pytest.param("kitten", "sitting", 3, id="kitten to sitting"),
        pytest.param("saturday", "sunday", 3, id="saturday to sunday"),
        pytest.param("aaa", "aaaa", 1, id="beginning and end overlap"),
        pytest.param("I'll", "I’ll", 1, id="a typographic apostrophe is one edit"),
        pytest.param("👍", "👎", 1, id="an emoji is one code point"),
        pytest.param("é", "e\u0301", 2, id="code points, not graphemes"),
    ],
)
def test_distance(a: str, b: str, expected: int) -> None:
    assert edits.distance(a, b) == expected


@given(a=_texts, b=_texts)
def test_distance_equals_the_table(a: str, b: str) -> None:
    assert edits.distance(a, b) == table_distance(a, b) == edits.distance(b, a)


def test_long_texts_do_not_keep_an_operator_waiting() -> None:
    draw = random.Random(7)
    a, b = ("".join(draw.choices("abcdefgh ", k=5000)) for _ in range(2))
    began = time.perf_counter()
    assert 0 < edits.distance(a, b) <= 5000
    edits.diff(a, b)
    edits.diff("a " * 2500, "b a " * 1250)
    assert time.perf_counter() - began < 2


def test_diff_reads_in_words() -> None:
    assert edits.diff(
        "Hi Alex, I'll follow up within hours.", "Hi Alex, I'll write to you within hours."
    ) == (
        Change(kind="kept", text="Hi Alex, I'll"),
        Change(kind="removed", text=" follow up"),
        Change(kind="added", text=" write to you"),
        Change(kind="kept", text=" within hours."),
    )


@pytest.mark.parametrize(
    ("a", "b", "kinds"),
    [
        pytest.param("", "", [], id="both empty"),
        pytest.param("same", "same", ["kept"], id="as suggested"),
        pytest.param("", "new", ["added"], id="written by hand"),
        pytest.param("old", "", ["removed"], id="deleted"),
        pytest.param("old", "new", ["removed", "added"], id="removed stands before added"),
        pytest.param(" a b c d", " b c d e", ["removed", "kept", "added"], id="the middle stays"),
    ],
)
def test_diff_kinds(a: str, b: str, kinds: list[str]) -> None:
    assert [c.kind for c in edits.diff(a, b)] == kinds


@given(a=_texts | st.text(), b=_texts | st.text())
def test_diff_loses_nothing(a: str, b: str) -> None:
    changes = edits.diff(a, b)
    assert "".join(c.text for c in changes if c.kind != "added") == a
    assert "".join(c.text for c in changes if c.kind != "removed") == b
    assert all(c.text for c in changes)
    assert all(x.kind != y.kind for x, y in pairwise(changes))


@given(
    words=st.lists(st.sampled_from("abcd"), max_size=12),
    others=st.lists(st.sampled_from("abcd"), max_size=12),
)
def test_diff_keeps_as_many_words_as_possible(words: list[str], others: list[str]) -> None:
    a, b = "".join(f" {w}" for w in words), "".join(f" {w}" for w in others)
    kept = sum(len(c.text) // 2 for c in edits.diff(a, b) if c.kind == "kept")
    best = [[0] * (len(others) + 1) for _ in range(len(words) + 1)]
    for i, x in enumerate(words):
        for j, y in enumerate(others):
            best[i + 1][j + 1] = best[i][j] + 1 if x == y else max(best[i][j + 1], best[i + 1][j])
    assert kept == best[-1][-1]
