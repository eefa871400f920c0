"""Fair scheduling: nodes share the threads by the time that their steps take.

Pure. Start-time fair queueing (Goyal, Vin, Cheng 1996), a form of deficit round robin in which the
node with the least usage comes first. Each node has a virtual clock that its steps advance by their
duration in milliseconds, including waits in host calls. The common clock has the value of the node
whose step began last. The next turn goes to the node with the lowest clock among those without a
running step; only if there is none, to a node that has some already.

The clock of a new or idle node is raised to the common clock if it is lower: idle time gives no
credit, and earlier excess usage still counts. So its clock is the lowest of all waiting nodes, and
its first record waits for at most one step of each earlier node, however long their queues are. A
slot of a node may rest after a step: it counts like a running step then, but costs nothing. All
operations take logarithmic time in the number of nodes.
"""

import heapq
from dataclasses import dataclass
from enum import IntEnum

from host.domain.ids import ShortHash

COST_MIN_MS = 0.1
"""Minimum cost of a step: a step without measurable duration still uses a turn."""
_AVERAGE_OVER = 8
"""Number of steps over which the expected cost of a node's next step is averaged."""
_FORGET_ABOVE = 64
"""Number of stored nodes above which inactive ones are removed."""


class _Line(IntEnum):
    """The queue of a node that has pending work."""

    FRESH = 0
    """No step of the node is running, and no slot rests."""
    SHARING = 1
    """Some steps are running or slots rest, and one more step is allowed."""


@dataclass(slots=True)
class _Node:
    """Mutable. `used` is the node's clock in milliseconds; `ticket` is that of its valid entry."""

    used: float
    expected: float = COST_MIN_MS
    running: int = 0
    resting: int = 0
    is_ready: bool = False
    ticket: int = 0

    @property
    def taken(self) -> int:
        """Slots that are not free."""
        return self.running + self.resting


_Entry = tuple[float, int, ShortHash]
"""An entry in a line: the node's clock, its ticket, the node."""


class Turns:
    """Mutable, not thread-safe.

    Args:
        steps_max: steps of one node that may run at once.
    """

    def __init__(self, steps_max: int) -> None:
        self._steps_max = steps_max
        self._nodes: dict[ShortHash, _Node] = {}
        self._lines: tuple[list[_Entry], list[_Entry]] = ([], [])
        self._clock = 0.0
        self._tickets = 0
        self._active = 0
        self._forget_above = _FORGET_ABOVE

    def ready(self, name: ShortHash) -> None:
        """Report that the node has pending work; may be repeated."""
        node = self._nodes.get(name) or self._new(name)
        if node.is_ready:
            return
        if not node.running:
            node.used = max(node.used, self._clock)
        if not node.taken:
            self._active += 1
        node.is_ready = True
        self._stand_in_line(name, node)

    def idle(self, name: ShortHash) -> None:
        """Report that the node has no work besides its running steps."""
        node = self._nodes.get(name)
        if node is not None and node.is_ready:
            node.is_ready = False
            node.ticket = 0
            self._rest(node)

    def next(self, *, only_fresh: bool = False) -> ShortHash | None:
        """The node whose turn is next; None if no node may begin a step.

        Args:
            only_fresh: only nodes without a running step.
        """
        first = self._first(_Line.FRESH)
        if first is None and not only_fresh:
            first = self._first(_Line.SHARING)
        return first

    def begin(self, name: ShortHash) -> float:
        """A step of the node begins.

        Returns:
            Its expected cost, which is charged until it has ended.
        """
        node = self._nodes[name]
        self._clock = max(self._clock, node.used)
        node.running += 1
        node.used += node.expected
        if node.is_ready:
            self._stand_in_line(name, node)
        return node.expected

    def end(self, name: ShortHash, expected: float, cost_ms: float) -> None:
        """A step of the node has ended.

        Args:
            name: of the node.
            expected: the result of `begin`.
            cost_ms: its actual cost.
        """
        node, cost = self._nodes[name], max(COST_MIN_MS, cost_ms)
        node.running -= 1
        node.used += cost - expected
        node.expected += (cost - node.expected) / _AVERAGE_OVER
        if not node.running:
            node.used = max(node.used, self._clock)
        if node.is_ready:
            self._stand_in_line(name, node)
        else:
            self._rest(node)

    def rest(self, name: ShortHash) -> None:
        """A slot of the node rests, after `end` of its step, until `rested`."""
        node = self._nodes.get(name) or self._new(name)
        if not node.taken and not node.is_ready:
            self._active += 1
        node.resting += 1
        if node.is_ready:
            self._stand_in_line(name, node)

    def rested(self, name: ShortHash) -> None:
        """A slot of the node has rested."""
        node = self._nodes[name]
        node.resting -= 1
        if node.is_ready:
            self._stand_in_line(name, node)
        else:
            self._rest(node)

    def charge(self, name: ShortHash, cost_ms: float) -> None:
        """Charge time that was spent for the node outside of its steps, such as for its timers."""
        node = self._nodes.get(name) or self._new(name)
        node.used = max(node.used, self._clock) + cost_ms
        if node.is_ready:
            self._stand_in_line(name, node)

    def ahead_ms(self, name: ShortHash) -> float:
        """How far the node's clock is ahead of the common one; 0 for a node that is unknown."""
        node = self._nodes.get(name)
        return 0.0 if node is None else max(0.0, node.used - self._clock)

    def __len__(self) -> int:
        """The number of stored nodes."""
        return len(self._nodes)

    def _new(self, name: ShortHash) -> _Node:
        if len(self._nodes) >= self._forget_above:
            # Amortised: each pass over all nodes follows as many insertions since the previous
            # pass.
            self._nodes = {n: each for n, each in self._nodes.items() if self._counts_still(each)}
            self._forget_above = max(_FORGET_ABOVE, 2 * len(self._nodes))
        node = self._nodes[name] = _Node(used=self._clock)
        return node

    def _counts_still(self, node: _Node) -> bool:
        return node.is_ready or node.taken > 0 or node.used > self._clock

    def _rest(self, node: _Node) -> None:
        """Mark the node inactive if it has no work left. If no node has any, reset all clocks."""
        if node.taken or node.is_ready:
            return
        self._active -= 1
        if not self._active:
            self._nodes.clear()
            for line in self._lines:
                line.clear()

    def _stand_in_line(self, name: ShortHash, node: _Node) -> None:
        """Add a new entry for the node; its earlier entry becomes invalid."""
        self._tickets += 1
        node.ticket = self._tickets
        if node.taken < self._steps_max:
            line = _Line.SHARING if node.taken else _Line.FRESH
            heapq.heappush(self._lines[line], (node.used, node.ticket, name))

    def _first(self, which: _Line) -> ShortHash | None:
        line = self._lines[which]
        while line:
            _, ticket, name = line[0]
            node = self._nodes.get(name)
            if node is not None and node.ticket == ticket:
                return name
            heapq.heappop(line)
        return None
