"""Whose turn it is: nodes share the threads by the time that their steps take.

Pure. Start-time fair queueing (Goyal, Vin, Cheng 1996), a form of deficit round robin in which who
has used less comes first. Each node has a clock that its steps move on by the milliseconds they
took, waiting in host calls included. The common clock stands where the node stood whose step began
last. Of the nodes of which no step runs, that whose clock is furthest behind is next; only if
there is none, a node of which some run already.

A node that comes, or whose steps have all ended, is set to the common clock if it is behind it: it
saves nothing up, and what it has used beyond others still counts. So its clock is the least of all
that wait, and its first record waits for at most one step of each node that came before it, however
much that one has waiting. All operations take time in the logarithm of the number of nodes.
"""

import heapq
from dataclasses import dataclass
from enum import IntEnum

from host.domain.ids import ShortHash

COST_MIN_MS = 0.1
"""What a step costs at least: one that takes no measurable time takes a turn all the same."""
_AVERAGE_OVER = 8
"""Steps that the expected cost of a node's next one looks back on."""
_FORGET_ABOVE = 64
"""Nodes that are remembered before it is looked for some to forget."""


class _Line(IntEnum):
    """Where a node stands that has something to do."""

    FRESH = 0
    """None of its steps runs."""
    SHARING = 1
    """Some run, and one more may."""


@dataclass(slots=True)
class _Node:
    """Mutable. `used` is the node's clock in milliseconds; `ticket` is of its place in a line."""

    used: float
    expected: float = COST_MIN_MS
    running: int = 0
    is_ready: bool = False
    ticket: int = 0


_Entry = tuple[float, int, ShortHash]
"""A place in a line: the node's clock, its ticket, the node."""


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
        """The node has something to do; it may be told again."""
        node = self._nodes.get(name) or self._new(name)
        if node.is_ready:
            return
        if not node.running:
            node.used = max(node.used, self._clock)
            self._active += 1
        node.is_ready = True
        self._stand_in_line(name, node)

    def idle(self, name: ShortHash) -> None:
        """The node has nothing to do but what runs."""
        node = self._nodes.get(name)
        if node is not None and node.is_ready:
            node.is_ready = False
            node.ticket = 0
            self._rest(node)

    def next(self, *, only_fresh: bool = False) -> ShortHash | None:
        """The node whose turn it is; None when none may have one.

        Args:
            only_fresh: of nodes of which no step runs.
        """
        first = self._first(_Line.FRESH)
        if first is None and not only_fresh:
            first = self._first(_Line.SHARING)
        return first

    def begin(self, name: ShortHash) -> float:
        """A step of the node begins.

        Returns:
            What it is expected to cost, and counts for until it has ended.
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
            expected: what `begin` answered.
            cost_ms: what it has cost.
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

    def ahead_ms(self, name: ShortHash) -> float:
        """How far the node's clock is ahead of the common one; 0 for a node that is unknown."""
        node = self._nodes.get(name)
        return 0.0 if node is None else max(0.0, node.used - self._clock)

    def __len__(self) -> int:
        """How many nodes are remembered."""
        return len(self._nodes)

    def _new(self, name: ShortHash) -> _Node:
        if len(self._nodes) >= self._forget_above:
            # Each pass over all nodes pays for as many that came since the one before.
            self._nodes = {n: each for n, each in self._nodes.items() if self._counts_still(each)}
            self._forget_above = max(_FORGET_ABOVE, 2 * len(self._nodes))
        node = self._nodes[name] = _Node(used=self._clock)
        return node

    def _counts_still(self, node: _Node) -> bool:
        return node.is_ready or node.running > 0 or node.used > self._clock

    def _rest(self, node: _Node) -> None:
        """A node may have nothing to do now. When no node has, all begin anew."""
        if node.running or node.is_ready:
            return
        self._active -= 1
        if not self._active:
            self._nodes.clear()
            for line in self._lines:
                line.clear()

    def _stand_in_line(self, name: ShortHash, node: _Node) -> None:
        """Give the node its present place; one that it had before does not count any more."""
        self._tickets += 1
        node.ticket = self._tickets
        if node.running < self._steps_max:
            line = _Line.SHARING if node.running else _Line.FRESH
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
