"""The order in which pairs send: fair to nodes, then to the pairs of a node. Pure.

Deficit round robin (Shreedhar, Varghese 1995): a node may send 64 KiB in each of its turns; what it
sends beyond is deducted from its next turns. The pairs of a node take turns of their own.
"""

from collections import deque

from host.domain.ids import ShortHash

QUANTUM_BYTES = 64 * 1024


class FairQueue:
    """Mutable: pairs that have something to send. A pair is in it once."""

    def __init__(self) -> None:
        self._nodes: deque[ShortHash] = deque()
        self._pairs: dict[ShortHash, deque[str]] = {}
        self._debts: dict[ShortHash, int] = {}
        self._queued: set[str] = set()

    def __contains__(self, pair: str) -> bool:
        return pair in self._queued

    def offer(self, node: ShortHash, pair: str) -> None:
        """Add a pair of a node; does nothing if it is in the queue."""
        if pair in self._queued:
            return
        self._queued.add(pair)
        if node not in self._pairs:
            self._pairs[node] = deque()
            self._nodes.append(node)
        self._pairs[node].append(pair)

    def take(self) -> tuple[ShortHash, str] | None:
        """Remove the next pair; its bytes are charged by `sent`."""
        while self._nodes:
            node = self._nodes.popleft()
            if (debt := self._debts.pop(node, 0)) > QUANTUM_BYTES:
                self._debts[node] = debt - QUANTUM_BYTES
                self._nodes.append(node)
                continue
            pair = self._pairs[node].popleft()
            if self._pairs[node]:
                self._nodes.append(node)
            else:
                del self._pairs[node]
            self._queued.discard(pair)
            return node, pair
        return None

    def sent(self, node: ShortHash, size: int) -> None:
        """Charge bytes to a node; nothing while no other node waits."""
        if self._nodes:
            self._debts[node] = self._debts.get(node, 0) + size
        else:
            self._debts.clear()
