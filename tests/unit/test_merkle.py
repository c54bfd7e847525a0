"""Trees and proofs: the Certificate Transparency reference data, and what holds for every tree."""

from functools import lru_cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain import merkle

# The reference tree of the Certificate Transparency project (transparency-dev/merkle, testonly/constants.go;
# before that google/certificate-transparency, merkletree/merkle_tree_test.cc): eight records, and the root over the
# first so many of them.
RECORDS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
LEAVES = [merkle.leaf_hash(record) for record in RECORDS]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# The same source: (index, size, path).
INCLUSION = [
    (0, 1, []),
    (0, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (5, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]  # fmt: skip
# The same source: (old size, new size, proof).
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip


def unhex(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


@lru_cache(maxsize=200)
def leaves(size: int) -> tuple[bytes, ...]:
    return tuple(merkle.leaf_hash(f"record {i}".encode()) for i in range(size))


@lru_cache(maxsize=200)
def slow_root(some: tuple[bytes, ...]) -> bytes:
    """RFC 6962 section 2.1 word for word, as the oracle."""
    if not some:
        return sha256(b"").digest()
    if len(some) == 1:
        return some[0]
    k = 1
    while k * 2 < len(some):
        k *= 2
    return sha256(b"\x01" + slow_root(some[:k]) + slow_root(some[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_inclusion_paths_are_those_of_certificate_transparency(
    index: int, size: int, path: list[str]
) -> None:
    assert list(merkle.inclusion_proof(LEAVES[:size], index)) == unhex(path)
    assert merkle.verify_inclusion(LEAVES[index], index, size, unhex(path), bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY)
def test_consistency_proofs_are_those_of_certificate_transparency(
    old: int, new: int, proof: list[str]
) -> None:
    assert list(merkle.consistency_proof(LEAVES[:new], old)) == unhex(proof)
    before, after = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
    assert merkle.verify_consistency(old, new, before, after, unhex(proof))


@given(st.integers(0, 150), st.lists(st.integers(0, 70), max_size=20))
def test_a_tree_that_grows_has_the_root_of_the_whole(size: int, steps: list[int]) -> None:
    some, tree, at = leaves(size), merkle.Frontier(), 0
    for step in [*steps, size]:
        tree.extend(some[at : at + step])
        at = min(at + step, size)
        assert (tree.size, tree.root()) == (at, slow_root(some[:at]))
    one_by_one = merkle.Frontier()
    for leaf in some:
        one_by_one.add(leaf)
    assert one_by_one.root() == tree.root()


@given(st.data())
def test_every_inclusion_proof_verifies_and_no_altered_one_does(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 100))
    index = data.draw(st.integers(0, size - 1))
    some = leaves(size)
    root, proof = merkle.root(some), list(merkle.inclusion_proof(some, index))
    assert merkle.verify_inclusion(some[index], index, size, proof, root)
    for altered in flips(data, proof):
        assert not merkle.verify_inclusion(some[index], index, size, altered, root)
    assert not merkle.verify_inclusion(flip(data, some[index]), index, size, proof, root)
    assert not merkle.verify_inclusion(some[index], index, size, proof, flip(data, root))
    other = data.draw(st.integers(-1, size + 1))
    if other != index:
        assert not merkle.verify_inclusion(some[index], other, size, proof, root)
    # The index and the size say how long the path is; a neighbouring size may have the same path.
    assert not merkle.verify_inclusion(some[index], index, size * 4 + 4, proof, root)
    assert not merkle.verify_inclusion(some[index], index, size, [*proof, root], root)
    assert not merkle.verify_inclusion(some[index][:31], index, size, proof, root)


@given(st.data())
def test_every_consistency_proof_verifies_and_no_altered_one_does(data: st.DataObject) -> None:
    new = data.draw(st.integers(0, 100))
    old = data.draw(st.integers(0, new))
    some = leaves(new)
    before, after = merkle.root(some[:old]), merkle.root(some)
    proof = list(merkle.consistency_proof(some, old))
    assert merkle.verify_consistency(old, new, before, after, proof)
    for altered in flips(data, proof):
        assert not merkle.verify_consistency(old, new, before, after, altered)
    assert not merkle.verify_consistency(old, new, flip(data, before), after, proof)
    if old:
        assert not merkle.verify_consistency(old, new, before, flip(data, after), proof)
    assert not merkle.verify_consistency(old, new, before, after, [*proof, after])
    assert not merkle.verify_consistency(new + 1, new, before, after, proof)


@given(st.sets(st.integers(0, 99)), st.integers(1, 100))
def test_a_part_and_the_hashes_of_the_rest_make_the_root(indexes: set[int], size: int) -> None:
    some = leaves(size)
    held = merkle.spans(sorted(i for i in indexes if i < size))
    mine = [some[i] for a, b in held for i in range(a, b)]
    rest = [merkle.root(some[a:b]) for a, b in merkle.gaps(size, held)]
    assert merkle.root_of_part(size, held, mine, rest) == merkle.root(some)
    for more, fewer in (
        (mine, [*rest, some[0]]),
        ([*mine, some[0]], rest),
        (mine, rest[:-1] if rest else None),
    ):
        if fewer is not None:
            with pytest.raises(ValueError, match="hashes"):
                merkle.root_of_part(size, held, more, fewer)


def test_what_is_not_in_the_tree_has_no_proof() -> None:
    for index in (-1, 8):
        with pytest.raises(ValueError, match="no leaf"):
            merkle.inclusion_proof(LEAVES, index)
    with pytest.raises(ValueError, match="no tree"):
        merkle.consistency_proof(LEAVES, 9)
    with pytest.raises(ValueError, match="ascend"):
        merkle.spans([3, 2])
    with pytest.raises(ValueError, match="outside"):
        merkle.root_of_part(2, [(1, 3)], LEAVES[:2], [])


def flip(data: st.DataObject, value: bytes) -> bytes:
    at, bit = data.draw(st.integers(0, len(value) - 1)), data.draw(st.integers(0, 7))
    return value[:at] + bytes([value[at] ^ 1 << bit]) + value[at + 1 :]


def flips(data: st.DataObject, proof: list[bytes]) -> list[list[bytes]]:
    """The proof with a bit of each hash changed, each hash dropped, and neighbours swapped."""
    out = []
    for i, step in enumerate(proof):
        out.append([*proof[:i], flip(data, step), *proof[i + 1 :]])
        out.append([*proof[:i], *proof[i + 1 :]])
        if i and proof[i - 1] != step:
            out.append([*proof[: i - 1], step, proof[i - 1], *proof[i + 1 :]])
    return out
