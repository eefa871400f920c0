"""Signatures of notaries: transactions that wait at the same time are signed together."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from host.database.shared_batches import Queued, SharedBatches
from host.domain.ids import EpochMs, ShortHash
from host.domain.instants import instant_text
from host.ledger.core.batch import BATCH_MAX, batch_proofs, batch_root, signable_batch
from host.ledger.core.metadata import DIGEST_SETTINGS
from host.ledger.core.signed import Signature, signable
from host.ports.keys import KeyCategory, KeyStore
from host.ports.public_keys import PublicKeys

_BATCH_SETTINGS = tuple(
    (name, value) for name, value in DIGEST_SETTINGS.items() if name.startswith("batchMerkleTree")
)
_KEYS_KEPT_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class NotaryKey:
    """With what a notary signs.

    Attributes:
        node: the notary node.
        key: its public key, PEM.
        properties: of the signatures; they describe the notary's code.
    """

    node: ShortHash
    key: str
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    transaction_id: str
    now: EpochMs


_Batch: TypeAlias = Sequence[Queued[_Wanted, Signature]]


class NotarySigner:
    """Signs accepted transactions with the keys of notaries. Thread-safe.

    Args:
        keys: hold the notaries' private keys.
        public_keys: names their ids and signature specs.
    """

    def __init__(self, *, keys: KeyStore, public_keys: PublicKeys) -> None:
        self._keys = keys
        self._public_keys = public_keys
        self._lock = threading.Lock()
        self._batches: dict[NotaryKey, SharedBatches[_Wanted, Signature]] = {}

    def sign(self, key: NotaryKey, transaction_id: str, *, now: EpochMs) -> Signature:
        """The notary's signature over a transaction: alone, or with the proof of its batch.

        Raises:
            NotFoundError: the node does not hold the key.
            UnavailableError: the key store cannot be reached.
        """
        return self._of_key(key).run(_Wanted(transaction_id=transaction_id, now=now))

    def _of_key(self, key: NotaryKey) -> SharedBatches[_Wanted, Signature]:
        with self._lock:
            if key not in self._batches:
                while len(self._batches) >= _KEYS_KEPT_MAX:
                    del self._batches[next(iter(self._batches))]
                self._batches[key] = SharedBatches(
                    lambda batch: self._sign_all(key, batch), batch_max=BATCH_MAX
                )
            return self._batches[key]

    def _sign_all(self, key: NotaryKey, batch: _Batch) -> None:
        ids = list(dict.fromkeys(queued.item.transaction_id for queued in batch))
        draft = Signature(
            by=self._public_keys.key_id(key.key),
            key=key.key,
            signature=b"",
            timestamp=instant_text(max(queued.item.now for queued in batch)),
            spec=self._public_keys.default_spec(key.key),
            properties=tuple(sorted(key.properties)),
        )
        if len(ids) == 1:
            data = signable(ids[0], draft.metadata())
            signed = {ids[0]: draft.with_bytes(self._bytes(key, draft, data))}
        else:
            draft = replace(draft, properties=tuple(sorted((*key.properties, *_BATCH_SETTINGS))))
            data = signable_batch(batch_root(ids), draft.metadata())
            made = draft.with_bytes(self._bytes(key, draft, data))
            signed = {each: replace(made, proof=p) for each, p in batch_proofs(ids).items()}
        for queued in batch:
            queued.end(signed[queued.item.transaction_id])

    def _bytes(self, key: NotaryKey, draft: Signature, data: bytes) -> bytes:
        return self._keys.sign(key.node, key.key, data, draft.spec, (KeyCategory.NOTARY,))
