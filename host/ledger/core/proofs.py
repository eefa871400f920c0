"""Merkle multiproofs: some leaves of a tree, and the hashes that complete its root.

A path holds the hashes that cannot be computed from the known leaves, level by level from the
leaves up, each level from left to right. An unpaired last element of a level is lifted unchanged,
so it needs no partner. The same leaves and indexes give exactly one path.
Source of the trees: `host.ledger.core.merkle`; of multiproofs: corda-runtime-os
`MerkleTreeImpl.kt`,
`MerkleProofImpl.kt`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

Node: TypeAlias = Callable[[int, bytes, bytes], bytes]
"""Hashes depth (the root's is 0), left and right; see `host.ledger.core.merkle.tree_root`."""

HASH_BYTES = 32


class ProofInvalidError(ValueError):
    """A path does not complete the tree: a hash is missing or left over."""


def proof_path(leaves: Sequence[bytes], indexes: Collection[int], node: Node) -> tuple[bytes, ...]:
    """The path that proves the leaves at `indexes`, at least one.

    Raises:
        ProofInvalidError: no index, or one outside the tree.
    """
    known = set(indexes)
    if not known or not all(0 <= index < len(leaves) for index in known):
        raise ProofInvalidError(f"expected indexes of {len(leaves)} leaves, found {sorted(known)}")
    path: list[bytes] = []
    level = list(leaves)
    for depth in _depths(len(leaves)):
        above: list[bytes] = []
        for left in range(0, len(level) - 1, 2):
            if (left in known) != (left + 1 in known):
                path.append(level[left + 1 if left in known else left])
            above.append(node(depth, level[left], level[left + 1]))
        level = above + level[len(above) * 2 :]
        known = {index // 2 for index in known}
    return tuple(path)


def proven_root(size: int, known: Mapping[int, bytes], path: Sequence[bytes], node: Node) -> bytes:
    """The root of a tree of `size` leaves, of which `known` (index to hash) and `path` are given.

    Raises:
        ProofInvalidError: no leaf, one outside the tree, or a hash too few or too many.
    """
    if not known or not all(0 <= index < size for index in known):
        raise ProofInvalidError(f"expected leaves of {size}, found indexes {sorted(known)}")
    rest = iter(path)
    level = dict(known)
    width = size
    for depth in _depths(size):
        above: dict[int, bytes] = {}
        for index in sorted({index - index % 2 for index in level}):
            if index + 1 == width:
                above[index // 2] = level[index]
                continue
            left = level[index] if index in level else _next(rest)
            right = level[index + 1] if index + 1 in level else _next(rest)
            above[index // 2] = node(depth, left, right)
        level, width = above, (width + 1) // 2
    if next(rest, None) is not None:
        raise ProofInvalidError("the path holds a hash that completes nothing")
    return level[0]


def _depths(leaves: int) -> range:
    return range((leaves - 1).bit_length() - 1, -1, -1)


def _next(path: Iterator[bytes]) -> bytes:
    found = next(path, None)
    if found is None:
        raise ProofInvalidError("the path lacks a hash")
    return found
