"""The uniqueness service: batches of requests, decided and stored in one transaction each.

Requests of one notary node that wait at the same time share reads, commit and disk flush. Notaries
share nothing: what fails for one is not seen by another.
"""

import threading
from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import Connection

from host.database.shared_batches import Queued, SharedBatches
from host.domain.ids import EpochMs, ShortHash
from host.domain.instants import instant_text
from host.ledger.events import BatchDecided, LedgerEvents, untold
from host.ledger.notary.books import read_books, write_entries
from host.ledger.notary.decide import decide
from host.ledger.notary.model import Result, UniquenessRequest
from host.ports.clock import Clock
from host.ports.vaults import VaultAccess

BATCH_MAX = 256
"""Requests of one transaction."""
_Queued: TypeAlias = Queued[UniquenessRequest, Result]


class UniquenessService:
    """The `Uniqueness` over a database for each notary node. Thread-safe.

    Args:
        databases: each notary node's own.
        clock: the time that windows are compared with; several processes need the database's.
        events: are told how many requests share a commit.
    """

    def __init__(
        self, *, databases: VaultAccess, clock: Clock, events: LedgerEvents = untold
    ) -> None:
        self._databases = databases
        self._clock = clock
        self._events = events
        self._lock = threading.Lock()
        self._latest = EpochMs(0)
        self._nodes: dict[ShortHash, SharedBatches[UniquenessRequest, Result]] = {}

    def check(self, node: ShortHash, request: UniquenessRequest) -> Result:
        """See `Uniqueness.check`."""
        return self._batches(node).run(request)

    def _batches(self, node: ShortHash) -> SharedBatches[UniquenessRequest, Result]:
        with self._lock:
            if node not in self._nodes:
                self._nodes[node] = SharedBatches(
                    lambda batch: self._decide(node, batch), batch_max=BATCH_MAX
                )
            return self._nodes[node]

    def _decide(self, node: ShortHash, batch: Sequence[_Queued]) -> None:
        requests = [queued.item for queued in batch]

        def work(connection: Connection) -> list[Result]:
            # Read inside of the transaction: another process may have waited for its end.
            now = self._now()
            books = read_books(connection, requests)
            results, entries = decide(requests, books, instant_text(now))
            write_entries(connection, entries, now=now)
            return results

        for queued, result in zip(batch, self._databases.transact(node, work), strict=True):
            queued.end(result)
        self._events(BatchDecided(len(batch)))

    def _now(self) -> EpochMs:
        """The time, which never goes back, so that a window that has closed stays closed."""
        with self._lock:
            self._latest = max(self._latest, self._clock.now_ms())
            return self._latest
