"""
Merkle trees over the leaves of a journal: roots, and proofs that a leaf is in a tree or that one tree extends another.
RFC 6962, section 2.1; must not know what a leaf stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "Frontier",
    "consistency_proof",
    "inclusion_proof",
    "root_of",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves."""

HASH_BYTES: Final = 32
"""Length of every hash here: SHA-256."""


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """
    A tree that grows leaf by leaf and remembers only the roots of its complete subtrees, at most one a level.

    Attributes:
        size: How many leaves it has.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of its complete subtrees, from left to right; empty without leaves."""
        return tuple(self._peaks)

    def add(self, leaf: bytes) -> None:
        """Append a leaf hash."""
        peaks = self._peaks
        self.size = rest = self.size + 1
        while not rest & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            rest >>= 1
        peaks.append(leaf)

    def root(self) -> bytes:
        """Return the root of the tree as it is now: 32 bytes."""
        if not self._peaks:
            return EMPTY_ROOT
        *rest, root = self._peaks
        for peak in reversed(rest):
            root = _node(peak, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree over `leaves`, which may be empty."""
    tree = Frontier()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """
    Return the audit path of the leaf at `index`, nearest sibling first: PATH(m, D[n]) of RFC 6962, 2.1.1.

    Raises:
        ValueError: There is no leaf at `index`, which counts from 0.
    """
    if not 0 <= index < len(leaves):
        raise ValueError(f"no leaf {index} in a tree of {len(leaves)}")
    path: list[bytes] = []
    start, end = 0, len(leaves)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root_of(leaves[middle:end]))
            end = middle
        else:
            path.append(root_of(leaves[start:middle]))
            start = middle
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether `proof` shows that `leaf` is at `index` in the tree of `size` leaves with this root (RFC 9162)."""
    if not 0 <= index < size or not all(len(item) == HASH_BYTES for item in (leaf, root, *proof)):
        return False
    found, place, last = leaf, index, size - 1
    for item in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = _node(item, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = _node(found, item)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """
    Return the proof that the tree over `leaves` begins with its first `old_size` leaves: PROOF of RFC 6962, 2.1.2.

    Empty when both trees are the same one.

    Raises:
        ValueError: `old_size` is below 1 or beyond the tree; of an empty tree there is nothing to prove.
    """
    if not 0 < old_size <= len(leaves):
        raise ValueError(f"no tree of {old_size} leaves within one of {len(leaves)}")
    path: list[bytes] = []
    start, end, whole = 0, len(leaves), True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(root_of(leaves[middle:end]))
            end = middle
        else:
            path.append(root_of(leaves[start:middle]))
            start, whole = middle, False
    if not whole:
        path.append(root_of(leaves[start:end]))
    return tuple(reversed(path))


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether `proof` shows that the tree of `size` leaves begins with the one of `old_size` (RFC 9162)."""
    if not 0 < old_size <= size or not all(len(item) == HASH_BYTES for item in (old_root, root, *proof)):
        return False
    if old_size == size:
        return not proof and old_root == root
    # A tree whose size is a power of two is a subtree of the new one, so its root is not repeated in the proof.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for item in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = _node(item, old), _node(item, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = _node(new, item)
        place, last = place >> 1, last >> 1
    return last == 0 and (old, new) == (old_root, root)


def _split(count: int) -> int:
    """Return the largest power of two smaller than `count`, at least 2."""
    return 1 << ((count - 1).bit_length() - 1)
