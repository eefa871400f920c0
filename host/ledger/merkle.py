"""Corda's Merkle trees and transaction identifiers, byte for byte.

H is SHA-256 twice (`SHA-256D`). A hash inside a tree is written as `SHA-256D:` and its 32 bytes.
Source: corda-runtime-os `MerkleTreeHashDigestProviders.kt`, `MerkleTreeImpl.kt`,
`WireTransaction.kt`.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_PREFIX = "SHA-256D:"
_LEAF_PREFIX = b"leaf"
_NODE_PREFIX = b"node"


def sha256d(data: bytes) -> bytes:
    """H: SHA-256 of the SHA-256."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def serialized(digest: bytes) -> bytes:
    """The form of a hash inside other hashed bytes."""
    return HASH_PREFIX.encode() + digest


def tree_root(leaves: Sequence[bytes], node: Callable[[int, bytes, bytes], bytes]) -> bytes:
    """The root over leaf hashes; `node` hashes depth, left and right, the root at depth 0.

    An unpaired last element of a level is lifted unchanged to the next.
    """
    level = list(leaves)
    depth = (len(level) - 1).bit_length()
    while len(level) > 1:
        depth -= 1
        paired = [node(depth, level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def component_root(privacy_salt: bytes, group: int, leaves: Sequence[bytes]) -> bytes:
    """The root of one component group: leaves hidden by nonces drawn from the salt.

    An empty group counts as one leaf of no bytes.
    """
    entropy = sha256d(privacy_salt + _big_endian(group))
    hashes = [
        sha256d(serialized(sha256d(_big_endian(index) + entropy)) + leaf)
        for index, leaf in enumerate(leaves or (b"",))
    ]
    return tree_root(hashes, _nonce_node)


def transaction_id(privacy_salt: bytes, groups: Sequence[Sequence[bytes]]) -> str:
    """The identifier of a transaction: `SHA-256D:` and 64 upper-case hexadecimal digits."""
    roots = [component_root(privacy_salt, group, leaves) for group, leaves in enumerate(groups)]
    root = tree_root([sha256d(_LEAF_PREFIX + root) for root in roots], _tweakable_node)
    return HASH_PREFIX + root.hex().upper()


def _nonce_node(depth: int, left: bytes, right: bytes) -> bytes:
    return sha256d(_big_endian(depth) + serialized(left) + serialized(right))


def _tweakable_node(_depth: int, left: bytes, right: bytes) -> bytes:
    return sha256d(_NODE_PREFIX + serialized(left) + serialized(right))


def _big_endian(number: int) -> bytes:
    return number.to_bytes(4, "big")
