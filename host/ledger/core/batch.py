"""Batch signatures: a notary signs one Merkle root over the identifiers of many transactions.

Each transaction's signature carries the proof that its identifier is in the batch. The signed bytes
name a batch root, never a transaction, so the root of a batch cannot pass for an identifier.
Source: corda-runtime-os `TransactionSignatureServiceImpl.kt` (`signBatch`); digest settings
`batchMerkleTree…` of the transaction's metadata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from host.domain.json import JsonObject, canonical_json
from host.ledger.core.merkle import HASH_PREFIX, id_text, serialized, sha256d, tree_root
from host.ledger.core.proofs import proof_path, proven_root

BATCH_MAX = 256
"""Transactions of one batch signature."""

_LEAF_PREFIX = b"batchLeaf"
_NODE_PREFIX = b"batchNode"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProof:
    """The place of one identifier in a batch of `size`, and the hashes that complete the root."""

    size: int
    index: int
    path: tuple[bytes, ...]


def batch_root(ids: Sequence[str]) -> str:
    """The root over transaction identifiers, in the form of an identifier."""
    return id_text(tree_root([_leaf(transaction_id) for transaction_id in ids], _node))


def batch_proofs(ids: Sequence[str]) -> Mapping[str, BatchProof]:
    """The proof of each identifier; they must be distinct."""
    leaves = [_leaf(transaction_id) for transaction_id in ids]
    return {
        transaction_id: BatchProof(
            size=len(ids), index=index, path=proof_path(leaves, (index,), _node)
        )
        for index, transaction_id in enumerate(ids)
    }


def proven_batch_root(transaction_id: str, proof: BatchProof) -> str:
    """The root that the proof gives for an identifier.

    Raises:
        ProofInvalidError: the proof does not complete a tree.
    """
    known = {proof.index: _leaf(transaction_id)}
    return id_text(proven_root(proof.size, known, proof.path, _node))


def signable_batch(root: str, metadata: JsonObject) -> bytes:
    """The bytes that a batch signature covers."""
    return canonical_json({"batchRoot": root, "metadata": metadata})


def _leaf(transaction_id: str) -> bytes:
    digest = bytes.fromhex(transaction_id.removeprefix(HASH_PREFIX))
    return sha256d(_LEAF_PREFIX + serialized(digest))


def _node(_depth: int, left: bytes, right: bytes) -> bytes:
    return sha256d(_NODE_PREFIX + serialized(left) + serialized(right))
