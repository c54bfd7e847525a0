"""What a Merkle tree over the log says: its root, that a record is in it, that a later tree only added to an earlier.

Hashes, trees and both kinds of proof are those of RFC 6962 section 2.1 with SHA-256; a hash is 32 bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

#: The root of a tree without leaves: SHA-256 of nothing.
EMPTY_ROOT = sha256(b"").digest()

HASH_BYTES = 32

_LEAF, _NODE = b"\x00", b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """The hash of a record's text (RFC 6962 section 2.1: SHA-256 over 0x00 and the data)."""
    return sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours (RFC 6962 section 2.1: SHA-256 over 0x01, the left and the right hash)."""
    return sha256(_NODE + left + right).digest()


class Frontier:
    """A tree that grows by leaves, kept as the roots of its complete subtrees: a few hashes at any size."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        #: How many leaves were added.
        self.size = 0
        # The i-th is the root of a complete subtree of 2^i leaves, None where the size has no such bit.
        self._peaks: list[bytes | None] = []

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        self._raise(leaf, 0)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append leaf hashes; the same as adding them one by one, at the speed of hashing."""
        start, end = 0, len(leaves)
        while start < end:
            # The largest complete subtree that begins where the tree ends.
            level = (end - start).bit_length() - 1
            if self.size:
                level = min(level, (self.size & -self.size).bit_length() - 1)
            width = 1 << level
            row = leaves if width == end else leaves[start : start + width]
            while len(row) > 1:
                pairs = iter(row)
                row = [sha256(_NODE + left + next(pairs)).digest() for left in pairs]
            self._raise(row[0], level)
            self.size += width
            start += width

    def _raise(self, node: bytes, level: int) -> None:
        while len(self._peaks) <= level:
            self._peaks.append(None)
        while (left := self._peaks[level]) is not None:
            self._peaks[level] = None
            node = node_hash(left, node)
            level += 1
            if len(self._peaks) == level:
                self._peaks.append(None)
        self._peaks[level] = node

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        found: bytes | None = None
        for peak in self._peaks:
            if peak is not None:
                found = peak if found is None else node_hash(peak, found)
        return EMPTY_ROOT if found is None else found


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    tree = Frontier()
    tree.extend(leaves)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes that lead from one leaf to the root, the leaf's sibling first (RFC 6962 section 2.1.1).

    Raises:
        ValueError: when there is no leaf of that index.
    """
    if not 0 <= index < len(leaves):
        raise ValueError(f"no leaf {index} in a tree of {len(leaves)}")
    start, end = 0, len(leaves)
    path: list[bytes] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root(leaves[middle:end]))
            end = middle
        else:
            path.append(root(leaves[start:middle]))
            start = middle
    return tuple(reversed(path))


def consistency_proof(leaves: Sequence[bytes], old: int) -> tuple[bytes, ...]:
    """The hashes that show the tree of the first `old` leaves to be the beginning of this one (section 2.1.2).

    Empty for an old size of 0 and for the tree itself.

    Raises:
        ValueError: when the old tree would be larger than this one.
    """
    if not 0 <= old <= len(leaves):
        raise ValueError(f"no tree of {old} inside one of {len(leaves)}")
    if old == 0:
        return ()
    start, end, own = 0, len(leaves), True
    path: list[bytes] = []
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(root(leaves[middle:end]))
            end = middle
        else:
            path.append(root(leaves[start:middle]))
            start, own = middle, False
    if not own:
        path.append(root(leaves[start:end]))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """True when the proof leads from that leaf at that index to the root of a tree of that size.

    The algorithm of RFC 9162 section 2.1.3.2, whose trees are those of RFC 6962.
    """
    if not 0 <= index < size or not _hashes(leaf, expected, *proof):
        return False
    position, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(step, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, step)
        position, last = position >> 1, last >> 1
    return last == 0 and found == expected


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """True when the proof shows that the tree of `new` leaves begins with the tree of `old` leaves.

    The algorithm of RFC 9162 section 2.1.4.2. Every tree begins with the empty one; its proof is empty.
    """
    if not 0 <= old <= new or not _hashes(old_root, new_root, *proof):
        return False
    if old == 0:
        return old_root == EMPTY_ROOT and not proof and (new > 0 or new_root == EMPTY_ROOT)
    if old == new:
        return old_root == new_root and not proof
    steps = list(proof)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            after = node_hash(after, step)
        position, last = position >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


# A part of a log: some records, and the hashes of everything between them.

#: Log indexes from the first up to, not including, the second.
Span = tuple[int, int]


def spans(indexes: Iterable[int]) -> tuple[Span, ...]:
    """Ascending indexes as spans.

    Raises:
        ValueError: when they do not ascend.
    """
    out: list[Span] = []
    for index in indexes:
        if out and index < out[-1][1]:
            raise ValueError("indexes must ascend")
        if out and index == out[-1][1]:
            out[-1] = (out[-1][0], index + 1)
        else:
            out.append((index, index + 1))
    return tuple(out)


def gaps(size: int, held: Sequence[Span]) -> Iterator[Span]:
    """The subtrees a part of the log has no record of, left to right, each as large as the tree allows."""
    return (span for span, is_held in _parts((0, size), held) if not is_held)


def root_of_part(size: int, held: Sequence[Span], leaves: Sequence[bytes], rest: Sequence[bytes]) -> bytes:
    """The root of the whole tree, from the leaf hashes of a part and the hashes of its `gaps`.

    Raises:
        ValueError: when there are more or fewer hashes than the tree needs.
    """
    if held and (held[0][0] < 0 or held[-1][1] > size):
        raise ValueError("the part lies outside the tree")
    stack: list[tuple[Span, bytes]] = []
    given, others = 0, iter(rest)
    for (start, end), is_held in _parts((0, size), held):
        if is_held:
            node = root(leaves[given : given + end - start])
            given += end - start
        else:
            found = next(others, None)
            if found is None:
                raise ValueError("hashes of the rest are missing")
            node = found
        stack.append(((start, end), node))
    if given != len(leaves) or next(others, None) is not None:
        raise ValueError("more hashes than the tree needs")
    return _join((0, size), iter(stack)) if size else EMPTY_ROOT


def root_before(
    old: int, size: int, held: Sequence[Span], leaves: Sequence[bytes], rest: Sequence[bytes]
) -> bytes | None:
    """The root of the first `old` leaves, from a part of the whole tree; None when the part does not tell it.

    It does wherever records beyond the last gap before `old` are held.

    Raises:
        ValueError: when there are more or fewer hashes than the whole tree needs.
    """
    known = dict(zip(gaps(size, held), rest, strict=True))
    begun = tuple((start, min(end, old)) for start, end in held if start < old)
    needed = [known.get(gap) for gap in gaps(old, begun)]
    hashes = [one for one in needed if one is not None]
    if len(hashes) < len(needed):
        return None
    return root_of_part(old, begun, leaves[: sum(end - start for start, end in begun)], hashes)


def _parts(whole: Span, held: Sequence[Span]) -> Iterator[tuple[Span, bool]]:
    """The largest subtrees that are held entirely or not at all, left to right."""
    start, end = whole
    if start == end:
        return
    inside = [span for span in held if span[0] < end and span[1] > start]
    if not inside:
        yield whole, False
    elif inside[0][0] <= start and inside[0][1] >= end:
        yield whole, True
    else:
        middle = start + _split(end - start)
        yield from _parts((start, middle), inside)
        yield from _parts((middle, end), inside)


def _join(whole: Span, nodes: Iterator[tuple[Span, bytes]]) -> bytes:
    """Fold subtree roots, given left to right, into the root of `whole`."""
    waiting: list[tuple[Span, bytes]] = []

    def fold(span: Span) -> bytes:
        if not waiting:
            waiting.append(next(nodes))
        if waiting[0][0] == span:
            return waiting.pop()[1]
        middle = span[0] + _split(span[1] - span[0])
        left = fold((span[0], middle))
        return node_hash(left, fold((middle, span[1])))

    return fold(whole)


def _split(width: int) -> int:
    """The largest power of two below the width: where RFC 6962 cuts a tree in two."""
    return 1 << ((width - 1).bit_length() - 1)


def _hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
