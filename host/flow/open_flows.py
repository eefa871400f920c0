"""Bounds the client-started flows that a virtual node may have open at once.

Flows that counterparties started do not count: else one node could use up another's quota.
"""

import threading

from host.domain.ids import ShortHash
from host.domain.quotas import QuotaCode
from host.flow.errors import FlowsTooManyError
from host.flow.statuses import status_key
from host.ports.quotas import Quotas
from host.ports.state import States


class OpenFlows:
    """Admits starts. Thread-safe.

    The store is only asked when the flows counted last and those admitted since reach the limit;
    what ended meanwhile is noticed then. Each process that takes starts counts for itself.
    """

    def __init__(self, states: States, quotas: Quotas) -> None:
        self._states = states
        self._quotas = quotas
        self._lock = threading.Lock()
        self._assumed: dict[ShortHash, int] = {}

    def count(self, node: ShortHash) -> int:
        """Client-started flows of `node` that have not ended: a final status has a due time."""
        return self._states.count_lasting(status_key(node, ""))

    def admit(self, node: ShortHash) -> None:
        """Let one more flow start.

        Raises:
            FlowsTooManyError: the node has as many open as its quota allows.
            StorageError: the store cannot be read.
        """
        limit = self._quotas.quota(node).flows_open_max
        with self._lock:
            assumed = self._assumed.get(node, limit)
            if assumed >= limit:
                assumed = self.count(node)
            if assumed < limit:
                self._assumed[node] = assumed + 1
                return
        self._quotas.hit(node, QuotaCode.FLOWS)
        raise FlowsTooManyError(
            f"virtual node {node} has {assumed} flows that have not ended, at most {limit} are"
            " allowed"
        )
