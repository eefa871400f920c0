"""Verdicts of contracts that this process has reached: a transaction is not judged twice in a row.

The identifier commits to the states that a transaction names, and checksums to the code.
"""

import threading
from collections import OrderedDict

from host.domain.ids import Checksum, ShortHash
from host.ledger.core.digests import Verification

KEPT_MAX = 4096
_Key = tuple[ShortHash, str, tuple[Checksum, ...]]


class Verdicts:
    """The latest transactions that contracts accepted. Thread-safe."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, tuple[Verification, ...]] = OrderedDict()

    def find(
        self, node: ShortHash, transaction_id: str, cpks: tuple[Checksum, ...]
    ) -> tuple[Verification, ...] | None:
        """The verifications with which `node`'s contract CPKs accepted a transaction."""
        key = (node, transaction_id, cpks)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(
        self,
        node: ShortHash,
        transaction_id: str,
        cpks: tuple[Checksum, ...],
        verifications: tuple[Verification, ...],
    ) -> None:
        """Remember that they accepted it."""
        with self._lock:
            self._kept[(node, transaction_id, cpks)] = verifications
            while len(self._kept) > self._kept_max:
                self._kept.popitem(last=False)
