"""Merkle trees against the eight well-known leaves of Certificate Transparency, and against their naive definition."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn.store.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# Leaf inputs and roots by tree size that the implementations of RFC 6962 have in common.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
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
LEAVES = [sha256(b"\0" + bytes.fromhex(text)).digest() for text in INPUTS]
N01, N23, N45, N67 = (sha256(b"\1" + LEAVES[place] + LEAVES[place + 1]).digest() for place in (0, 2, 4, 6))
N0123, N4567 = (sha256(b"\1" + left + right).digest() for left, right in ((N01, N23), (N45, N67)))
L = LEAVES

leaves = st.lists(st.binary(min_size=32, max_size=32), max_size=70)


def naive_root(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word, over leaf hashes."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return entries[0]
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\1" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def naive_path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1, word for word."""
    if len(entries) == 1:
        return []
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m < k:
        return [*naive_path(m, entries[:k]), naive_root(entries[k:])]
    return [*naive_path(m - k, entries[k:]), naive_root(entries[:k])]


def naive_subproof(m: int, entries: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2, word for word."""
    if m == len(entries):
        return [] if whole else [naive_root(entries)]
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m <= k:
        return [*naive_subproof(m, entries[:k], whole), naive_root(entries[k:])]
    return [*naive_subproof(m - k, entries[k:], False), naive_root(entries[:k])]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_well_known_ones(size: int) -> None:
    """Sizes 0 to 8."""
    assert ROOTS[size] == root_of(LEAVES[:size]).hex()


def test_empty_root_is_the_hash_of_nothing() -> None:
    assert ROOTS[0] == EMPTY_ROOT.hex() == Frontier().root().hex()


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [
        (0, 1, []),
        (0, 8, [L[1], N23, N4567]),
        (5, 8, [L[4], N67, N0123]),
        (2, 3, [N01]),
        (1, 5, [L[0], N23, L[4]]),
    ],
)
def test_inclusion_proofs_are_the_well_known_ones(index: int, size: int, expected: list[bytes]) -> None:
    """Node by node, nearest sibling first."""
    proof = inclusion_proof(LEAVES[:size], index)
    assert expected == list(proof)
    assert verify_inclusion(LEAVES[index], index, size, proof, root_of(LEAVES[:size]))


@pytest.mark.parametrize(
    ("old", "size", "expected"),
    [
        (1, 1, []),
        (1, 8, [L[1], N23, N4567]),
        (6, 8, [N45, N67, N0123]),
        (2, 5, [N23, L[4]]),
        (3, 7, [L[2], L[3], N01, sha256(b"\1" + N45 + L[6]).digest()]),
        (4, 7, [sha256(b"\1" + N45 + L[6]).digest()]),
    ],
)
def test_consistency_proofs_are_the_well_known_ones(old: int, size: int, expected: list[bytes]) -> None:
    """The examples of RFC 6962, 2.1.3, and those of Certificate Transparency."""
    proof = consistency_proof(LEAVES[:size], old)
    assert expected == list(proof)
    assert verify_consistency(old, root_of(LEAVES[:old]), size, root_of(LEAVES[:size]), proof)


@given(leaves)
def test_root_is_that_of_the_definition(entries: list[bytes]) -> None:
    """Also while the tree grows."""
    tree = Frontier()
    for number, leaf in enumerate(entries):
        assert naive_root(entries[:number]) == tree.root()
        tree.add(leaf)
    assert (len(entries), naive_root(entries)) == (tree.size, tree.root())


@given(leaves.filter(bool), st.data())
def test_inclusion_proof_is_that_of_the_definition_and_fits_nothing_else(entries: list[bytes], data) -> None:
    """It holds for its leaf, place, size and root, and for no other of any of them."""
    index = data.draw(st.integers(0, len(entries) - 1))
    proof = inclusion_proof(entries, index)
    root = root_of(entries)
    assert naive_path(index, entries) == list(proof)
    assert verify_inclusion(entries[index], index, len(entries), proof, root)
    other = sha256(entries[index]).digest()
    assert not verify_inclusion(other, index, len(entries), proof, root)
    assert not verify_inclusion(entries[index], index, len(entries), proof, other)
    assert not verify_inclusion(entries[index], index, len(entries), (*proof, other), root)
    assert not verify_inclusion(entries[index], index + len(entries), len(entries), proof, root)
    assert not verify_inclusion(entries[index], -1, len(entries), proof, root)
    if proof:
        assert not verify_inclusion(entries[index], index, len(entries), proof[:-1], root)
        changed = data.draw(st.integers(0, len(proof) - 1))
        forged = (*proof[:changed], sha256(proof[changed]).digest(), *proof[changed + 1 :])
        assert not verify_inclusion(entries[index], index, len(entries), forged, root)


@given(leaves.filter(bool), st.data())
def test_consistency_proof_is_that_of_the_definition_and_fits_nothing_else(entries: list[bytes], data) -> None:
    """It holds for its two sizes and roots, and for no others."""
    old = data.draw(st.integers(1, len(entries)))
    proof = consistency_proof(entries, old)
    old_root, root = root_of(entries[:old]), root_of(entries)
    assert naive_subproof(old, entries, True) == list(proof)
    assert verify_consistency(old, old_root, len(entries), root, proof)
    other = sha256(root).digest()
    assert not verify_consistency(old, other, len(entries), root, proof)
    assert not verify_consistency(old, old_root, len(entries), other, proof)
    assert not verify_consistency(old, old_root, len(entries), root, (*proof, other))
    assert not verify_consistency(0, old_root, len(entries), root, proof)
    assert not verify_consistency(len(entries) + 1, old_root, len(entries), root, proof)
    if proof:
        assert not verify_consistency(old, old_root, len(entries), root, proof[:-1])


@pytest.mark.parametrize(("size", "index"), [(0, 0), (3, 3), (3, -1)])
def test_no_proof_of_what_is_not_there(size: int, index: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(LEAVES[:size], index)


@pytest.mark.parametrize(("size", "old"), [(0, 0), (3, 0), (3, 4)])
def test_no_proof_of_a_tree_that_is_not_contained(size: int, old: int) -> None:
    with pytest.raises(ValueError, match="no tree"):
        consistency_proof(LEAVES[:size], old)


@pytest.mark.parametrize("short", [b"", b"x", bytes(31), bytes(33)])
def test_hashes_of_another_length_prove_nothing(short: bytes) -> None:
    """A leaf cannot pass for a node, nor an empty text for a root."""
    assert not verify_inclusion(short, 0, 1, (), short)
    assert not verify_inclusion(L[0], 0, 2, (short,), root_of(L[:2]))
    assert not verify_consistency(1, short, 1, short, ())
