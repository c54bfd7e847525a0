"""Text from outside that goes where Markdown is read."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.app.text import plain
from tests.app.hostile import TEXTS

ANY = st.one_of(
    st.text(),
    # Markup is rare among all of Unicode; this makes it dense.
    st.text(alphabet="ab :/@w.[]()!<>*_`$&#\\-=~|\n\t\u202e\u200b\u2060\x1b", max_size=60),
    st.lists(st.sampled_from(sorted(TEXTS.values()))).map(" ".join),
)


def read(text: str) -> str:
    """What a reader sees of it: without the backslashes and the joiner."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text.replace("\u2060", ""))


def visible(text: str) -> str:
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if unicodedata.category(c) not in {"Cc", "Cf", "Co", "Cn", "Cs"})


@given(ANY)
def test_reads_the_same_on_one_line(text: str) -> None:
    assert read(plain(text, 10**6)) == visible(text)
    assert len(plain(text, 10**6).splitlines()) <= 1


@given(ANY)
def test_every_mark_is_escaped(text: str) -> None:
    without = re.sub(r"\\[!-/:-@\[-`{-~]", "", plain(text, 10**6))
    assert not re.search(r"[!-/:-@\[-`{-~]", without)


@given(ANY)
def test_nothing_turns_into_a_link_a_directive_or_another_sign(text: str) -> None:
    # Markdown takes the backslashes away before it looks for addresses and `:names:`.
    seen = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", plain(text, 10**6))
    assert not re.search(
        r"->|<-|--|[<>~]=|https?:/|mailto:[a-z]|xmpp:[a-z]|www\.|\w@\w|:[a-z+-][\w+-]*:|:\d+:",
        seen,
        re.IGNORECASE,
    )


@given(ANY, st.integers(min_value=1, max_value=40))
def test_is_cut_with_a_sign(text: str, limit: int) -> None:
    whole, cut = visible(text), read(plain(text, limit))
    assert len(cut) <= limit
    if len(whole) <= limit:
        assert cut == whole
    else:
        assert cut.endswith("…")
        assert whole.startswith(cut[:-1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jamie Lee", "Jamie Lee"),
        ("Reply sent to Ávila", "Reply sent to Ávila"),
        ("at 10:30", "at 10\\:30"),
        ("a\nb\u2028c", "a b c"),
        ("abc\u202egnp.exe", "abcgnp\\.exe"),
        ("**x**", "\\*\\*x\\*\\*"),
        ("\x1b[31mred", "\\[31mred"),
    ],
    ids=["name", "accents", "time", "lines", "direction", "emphasis", "escape"],
)
def test_examples(text: str, expected: str) -> None:
    assert plain(text) == expected
