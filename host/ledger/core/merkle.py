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


def component_nonces(privacy_salt: bytes, group: int, count: int) -> list[bytes]:
    """The nonces of the first `count` leaves of a group, drawn from the salt."""
    entropy = sha256d(privacy_salt + _big_endian(group))
    return [sha256d(_big_endian(index) + entropy) for index in range(count)]


def component_leaf(nonce: bytes, leaf: bytes) -> bytes:
    """The hash of one component, hidden by its nonce."""
    return sha256d(serialized(nonce) + leaf)


def component_root(privacy_salt: bytes, group: int, leaves: Sequence[bytes]) -> bytes:
    """The root of one component group: leaves hidden by nonces drawn from the salt.

    An empty group counts as one leaf of no bytes.
    """
    contents = leaves or (b"",)
    nonces = component_nonces(privacy_salt, group, len(contents))
    hashes = [component_leaf(nonce, leaf) for nonce, leaf in zip(nonces, contents, strict=True)]
    return tree_root(hashes, nonce_node)


def group_leaf(root: bytes) -> bytes:
    """The leaf of the tree over groups, from the root of a group."""
    return sha256d(_LEAF_PREFIX + root)


def transaction_id(privacy_salt: bytes, groups: Sequence[Sequence[bytes]]) -> str:
    """The identifier of a transaction: `SHA-256D:` and 64 upper-case hexadecimal digits."""
    roots = [component_root(privacy_salt, group, leaves) for group, leaves in enumerate(groups)]
    return id_text(tree_root([group_leaf(root) for root in roots], root_node))


def id_text(root: bytes) -> str:
    """The identifier of the transaction whose tree over groups has this root."""
    return HASH_PREFIX + root.hex().upper()


def nonce_node(depth: int, left: bytes, right: bytes) -> bytes:
    """A node of the tree of one component group."""
    return sha256d(_big_endian(depth) + serialized(left) + serialized(right))


def root_node(_depth: int, left: bytes, right: bytes) -> bytes:
    """A node of the tree over component groups."""
    return sha256d(_NODE_PREFIX + serialized(left) + serialized(right))


def _big_endian(number: int) -> bytes:
    return number.to_bytes(4, "big")
