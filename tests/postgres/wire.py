"""A proxy between a host and its database, which can be cut, or be as slow as a long way."""

import heapq
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

_IDLE_SECONDS = 0.05


class Wire:
    """Passes bytes on between a port of its own and another one.

    Attributes:
        port: where it listens, on the loopback interface.
        is_cut: connections are closed instead, those that are there when they send next.
        delay_seconds: how much later bytes are passed on than they came.
    """

    def __init__(self, port: int) -> None:
        """Listen, and pass bytes on to `port`."""
        self._to = port
        self.delay_seconds = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._late: list[tuple[float, int, socket.socket, bytes]] = []
        self._numbers = count()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_over = False
        self.is_cut = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        for each in (self._listener, *self._peers):
            each.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select(self._pause()):
                if not isinstance(key.fileobj, socket.socket):
                    continue
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass_on(key.fileobj)
            self._deliver()

    def _pause(self) -> float:
        if not self._late:
            return _IDLE_SECONDS
        return min(_IDLE_SECONDS, max(0.0, self._late[0][0] - time.monotonic()))

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self.is_cut:
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self._to))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        if one not in self._peers:
            return
        with suppress(OSError):
            data = one.recv(65536)
            if data and not self.is_cut:
                due = time.monotonic() + self.delay_seconds
                heapq.heappush(self._late, (due, next(self._numbers), self._peers[one], data))
                return
        self._end(one)

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            _, _, to, data = heapq.heappop(self._late)
            if to in self._peers:
                try:
                    to.sendall(data)
                except OSError:
                    self._end(to)

    def _end(self, one: socket.socket) -> None:
        other = self._peers[one]
        for each in (one, other):
            del self._peers[each]
            self._selector.unregister(each)
            each.close()


@contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """A wire for the block."""
    made = Wire(port)
    try:
        yield made
    finally:
        made.close()
