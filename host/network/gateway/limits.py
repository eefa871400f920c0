"""What strangers may hold at a gateway: connections, and requests in work. Pure.

A connection is a stranger's until a peer has proved on it who it is, by a frame of a session or by
the end of a handshake. One that has not ended its TLS handshake is counted apart.
Strangers cannot take what peers need: each has a budget of its own.
"""

from collections import Counter, OrderedDict

CONNECTIONS_MAX = 2048
STRANGERS_MAX = 512
ADDRESS_MAX = 64
HANDSHAKES_MAX = 512
"""TLS handshakes that are under way."""
HANDSHAKES_PER_SECOND, HANDSHAKES_PER_SECOND_OF_ADDRESS = 500.0, 64.0
WORK_MAX, WORK_OF_PEER_MAX = 16, 4
LOG_LINES_PER_SECOND = 10


class Strangers:
    """Mutable: the connections of strangers, in the order of their last request.

    Args:
        most: beyond this number, the one that is idle for the longest time is closed.
    """

    def __init__(self, most: int = STRANGERS_MAX) -> None:
        self._most = most
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._busy: set[str] = set()

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def enter(self, connection: str) -> str | None:
        """Note a new connection; returns the one to close, itself if all others are at work."""
        self._idle[connection] = None
        if len(self) <= self._most:
            return None
        closed, _ = self._idle.popitem(last=False)
        return closed

    def begin(self, connection: str) -> None:
        """A request of the connection is being answered; it is not closed meanwhile."""
        if connection in self._idle:
            del self._idle[connection]
            self._busy.add(connection)

    def end(self, connection: str, *, proved: bool) -> None:
        """The answer is complete; `proved`: the connection is no stranger's any more."""
        if connection in self._busy:
            self._busy.remove(connection)
            if not proved:
                self._idle[connection] = None

    def left(self, connection: str) -> None:
        self._idle.pop(connection, None)
        self._busy.discard(connection)


class Turns:
    """Mutable: requests in work, of all peers and of each."""

    def __init__(self, most: int = WORK_MAX, of_peer: int = WORK_OF_PEER_MAX) -> None:
        self._most = most
        self._of_peer = of_peer
        self._count = 0
        self._counts: Counter[str] = Counter()

    def take(self, peer: str) -> bool:
        """Whether a request of a peer may be worked on now; `leave` ends it."""
        if self._count >= self._most or self._counts[peer] >= self._of_peer:
            return False
        self._count += 1
        self._counts[peer] += 1
        return True

    def leave(self, peer: str) -> None:
        self._count -= 1
        self._counts[peer] -= 1
        if not self._counts[peer]:
            del self._counts[peer]


class LogBudget:
    """Mutable: lines about strangers; what is beyond the budget is counted."""

    def __init__(self, per_second: int = LOG_LINES_PER_SECOND) -> None:
        self._per_second = per_second
        self._second = -1
        self._lines = 0
        self._left_out = 0

    def admit(self, now_ms: int) -> int | None:
        """How many lines were left out since the last one; None if this one is left out too."""
        second = now_ms // 1000
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= self._per_second:
            self._left_out += 1
            return None
        self._lines += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
