"""How far a sent text is from the suggested one, and in which words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ChangeKind = Literal["kept", "removed", "added"]

# A word takes the white space before it along: a changed sentence then reads as one change, not as
# single words with kept blanks between them.
_TOKEN = re.compile(r"\s*(?:\w+(?:['’-]\w+)*|[^\w\s])|\s+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A stretch of text that was kept, removed or added."""

    kind: ChangeKind
    text: str


def distance(a: str, b: str) -> int:
    """The Levenshtein distance: the fewest code points inserted, deleted or replaced to make `b` of `a`.

    Bit-parallel (Myers 1999 in Hyyrö's 2003 form) on Python's long integers, one step per code point
    of the longer text: two unlike texts of 5,000 take milliseconds, where the table of 25 million cells
    takes seconds.
    """
    a, b = _trimmed(a, b)
    if len(a) > len(b):
        a, b = b, a
    if not a:
        return len(b)
    where: dict[str, int] = {}
    for i, char in enumerate(a):
        where[char] = where.get(char, 0) | 1 << i
    full = (1 << len(a)) - 1
    last = 1 << (len(a) - 1)
    score = len(a)
    # Column differences of the table: bit i of `up` (`down`) says that row i+1 exceeds (undercuts) row i.
    up, down = full, 0
    for char in b:
        match = where.get(char, 0)
        vertical = match | down
        diagonal = (((match & up) + up) ^ up) | match
        right = down | (full & ~(diagonal | up))
        left = up & diagonal
        if right & last:
            score += 1
        elif left & last:
            score -= 1
        right = right << 1 | 1
        left <<= 1
        up = (left | ~(vertical | right)) & full
        down = right & vertical & full
    return score


def diff(a: str, b: str) -> tuple[Change, ...]:
    """Word by word, what became of `a` in `b`, keeping as many words as possible.

    Kept and removed texts joined give `a`, kept and added give `b`, to the last blank. Between two kept
    stretches what was removed stands before what was added; no two neighbours have the same kind.
    """
    before, after = _TOKEN.findall(a), _TOKEN.findall(b)
    changes: list[Change] = []
    removed: list[str] = []
    added: list[str] = []
    kept: list[str] = []

    def close(kind: ChangeKind, words: list[str]) -> None:
        if words:
            changes.append(Change(kind=kind, text="".join(words)))
            words.clear()

    for kind, word in _walk(before, after):
        if kind == "kept":
            close("removed", removed)
            close("added", added)
            kept.append(word)
        else:
            close("kept", kept)
            (removed if kind == "removed" else added).append(word)
    for kind, words in (("kept", kept), ("removed", removed), ("added", added)):
        close(kind, words)
    return tuple(changes)


def _trimmed(a: str, b: str) -> tuple[str, str]:
    """Both texts without their common beginning and end, which no shortest edit touches."""
    shorter = min(len(a), len(b))
    start = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    room = shorter - start
    end = next((i for i in range(room) if a[-1 - i] != b[-1 - i]), room)
    return a[start : len(a) - end], b[start : len(b) - end]


def _walk(a: Sequence[str], b: Sequence[str]) -> list[tuple[ChangeKind, str]]:
    """The words of a longest common subsequence as kept, the others as removed or added, in order."""
    where: dict[str, int] = {}
    for j, word in enumerate(b):
        where[word] = where.get(word, 0) | 1 << j
    full = (1 << len(b)) - 1
    # rows[i] has a zero at bit j where one more word of b lengthens the subsequence of a[:i] and b[:j].
    rows = [full]
    for word in a:
        row = rows[-1]
        hit = row & where.get(word, 0)
        rows.append(((row + hit) | (row - hit)) & full)
    steps: list[tuple[ChangeKind, str]] = []
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            steps.append(("kept", a[i]))
        elif rows[i] >> (j - 1) & 1:
            j -= 1
            steps.append(("added", b[j]))
        else:
            i -= 1
            steps.append(("removed", a[i]))
    steps.extend(("removed", word) for word in reversed(a[:i]))
    steps.extend(("added", word) for word in reversed(b[:j]))
    steps.reverse()
    return steps
