"""The HTTP protocol with limits on each part of a request and its answer, in bytes and time.

Clients reach this code before authentication: without limits, one connection could fill the memory
with an endless header, or stay open forever by sending a body or reading an answer byte by byte.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from host.adapters.http.pace import Pace, Patience

HEAD_BYTES_MAX = 64 * 1024
HEAD_SECONDS_MAX = 20.0
_FAREWELL_SECONDS = 0.5
_SENT_LOOK_SECONDS = 0.1
_PIECE_BYTES = 64 * 1024
_TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 33\r\n"
    b"connection: close\r\n\r\n"
    b"The body of the request is slow.\n"
)

_logger = logging.getLogger("cordbox.rest.http")
_logger.setLevel(logging.ERROR)  # Unauthenticated clients must not fill the log.

Ended = Callable[[str], None]
"""Called with the reason when the server ends a connection."""


class BoundedHttp(HttpToolsProtocol):
    """Ends a connection whose client is too slow or sends too much that is not read.

    One read may exceed a limit; no more than that is ever held.

    Args:
        config, server_state, app_state, _loop: uvicorn's arguments.
        patience: the time limits.
        ended: called with `head-too-long`, `head-too-slow`, `body-too-slow`, `body-unread`,
            `reader-too-slow`, `idle`.
        left: called when the connection is lost.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        patience: Patience | None = None,
        ended: Ended = lambda _reason: None,
        left: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _logger
        self._patience = patience or Patience(head_seconds=HEAD_SECONDS_MAX)
        self._ended = ended
        self._left = left
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._pace = Pace(self._patience)
        self._bytes_of_head = 0
        self._bytes_beside_body = 0
        self._thrown_away = 0
        self._is_in_head = True
        self._is_in_body = False
        self._is_stopping = False
        self._is_finishing = False
        self._is_lingering = False
        self._stays_alive = True
        self._written = 0
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._is_clogged = False

    # Data from the client

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await("head-too-slow", self._patience.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
        self._unsent.clear()
        self._unsent_bytes = 0
        super().connection_lost(exc)
        self._left()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._is_lingering:
            self._throw_away(data)
            return
        if self._is_finishing:
            return
        if self._is_in_head:
            self._bytes_of_head += len(data)
        if self._is_in_body:
            self._bytes_beside_body += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_in_head and self._bytes_of_head > HEAD_BYTES_MAX:
            self._ended("head-too-long")
            self.send_400_response("The head of the request is too long.")
        elif self._is_in_body and self._bytes_beside_body > HEAD_BYTES_MAX:
            # Trailers, and other bytes between and after the bytes of a body.
            self._ended("head-too-long")
            self.transport.abort()

    def on_message_begin(self) -> None:
        if not self._is_in_head:
            self._is_in_head = True
            self._await("head-too-slow", self._patience.head_seconds)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:  # Trailers are not used as headers.
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._bytes_of_head = 0
        super().on_headers_complete()
        cycle = self.cycle
        cycle.transport = _Outlet(self)
        # Until the message is complete, its answer announces that the connection closes: the rest
        # of the body is not awaited.
        self._stays_alive, cycle.keep_alive = cycle.keep_alive, False
        self._is_in_body = True
        self._bytes_beside_body = 0
        self._pace = Pace(self._patience)
        self._watch_body()

    def on_body(self, body: bytes) -> None:
        self._bytes_beside_body = 0
        self._pace.moved(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_body = False
        self._stop_waiting()
        cycle = self.cycle
        if not cycle.response_started and not self._is_stopping:
            cycle.keep_alive = self._stays_alive
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._stop_waiting()
        if self._unsent:  # An answer to an earlier request; nothing may be written in between.
            self.transport.abort()
            return
        super().send_400_response(msg)
        self._part()

    # Data to the client

    def on_response_complete(self) -> None:
        if self._is_finishing:
            self.pipeline.clear()
        super().on_response_complete()
        if not (self._is_in_head or self._is_in_body or self._is_finishing or self.pipeline):
            self._await("idle", self._patience.idle_seconds)

    def send(self, data: bytes) -> None:
        """Write a part of an answer, and check that the client reads it.

        The transport gets no more than it accepts: under TLS it does not report how much is
        buffered, and drops that when it is closed.
        """
        self._written += len(data)
        self._unsent.append(memoryview(data))
        self._unsent_bytes += len(data)
        self._pump()
        if self._reader_timer is None and self._waiting_bytes():
            self._watch_reader(Pace(self._patience), self._taken())

    def pause_writing(self) -> None:
        self._is_clogged = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._is_clogged = False
        self._pump()

    def _pump(self) -> None:
        while self._unsent and not self._is_clogged and not self.transport.is_closing():
            first = self._unsent.popleft()
            if len(first) > _PIECE_BYTES:
                self._unsent.appendleft(first[_PIECE_BYTES:])
                first = first[:_PIECE_BYTES]
            self._unsent_bytes -= len(first)
            self.transport.write(first)
        if self._unsent:
            self.flow.pause_writing()
        elif not self._is_clogged:
            self.flow.resume_writing()

    def _waiting_bytes(self) -> int:
        """Bytes of answers that are not sent yet."""
        return self._unsent_bytes + self.transport.get_write_buffer_size()

    def _taken(self) -> int:
        """Bytes of answers that were sent to the client."""
        return self._written - self._waiting_bytes()

    def finish(self) -> None:
        """End the connection once the answer is sent; the client may still be sending a body."""
        self._is_finishing = True
        if self._is_in_body and not self._is_stopping and not self.transport.is_closing():
            self._is_lingering = True
            self.flow.resume_reading()
            self._await("body-unread", self._patience.linger_seconds)
        else:
            self._close_when_sent()

    def shutdown(self) -> None:
        self._is_stopping = True
        # Before its first request a connection has no cycle, whatever its annotation says.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._is_finishing = True
            self._close_when_sent()
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Uvicorn's keep-alive timer, which any byte stops; replaced by `idle`."""

    # Time

    def _await(self, reason: str, seconds: float) -> None:
        """End the connection for `reason` after `seconds`, unless this timer is replaced."""
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._give_up, reason)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch_body(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self._patience.window_seconds, self._look_at_body)

    def _look_at_body(self) -> None:
        if self.flow.read_paused:
            self._pace.excuse()  # The client could not send anything.
        elif not self._pace.holds():
            self._give_up("body-too-slow")
            return
        self._watch_body()

    def _watch_reader(self, pace: Pace, taken: int) -> None:
        self._reader_timer = self.loop.call_later(
            self._patience.window_seconds, self._look_at_reader, pace, taken
        )

    def _look_at_reader(self, pace: Pace, taken: int) -> None:
        self._reader_timer = None
        if not self._waiting_bytes():
            return
        now_taken = self._taken()
        pace.moved(now_taken - taken)
        if pace.holds():
            self._watch_reader(pace, now_taken)
        else:
            self._ended("reader-too-slow")
            self.transport.abort()

    def _give_up(self, reason: str) -> None:
        self._timer = None
        if reason == "idle" and self._waiting_bytes():
            # The answer is still being sent; `_look_at_reader` checks its progress.
            self._await(reason, self._patience.idle_seconds)
            return
        self._ended(reason)
        if reason == "body-too-slow":
            self._disappoint()
        self.transport.close()
        self._part()

    def _disappoint(self) -> None:
        """Send an error, unless the answer has begun, and wake handlers that wait for the body."""
        cycle = self.cycle
        if not cycle.response_started and not self._unsent:
            self.transport.write(_TIMEOUT)
        cycle.disconnected = True
        cycle.message_event.set()

    def _close_when_sent(self) -> None:
        """Close when nearly all is sent: TLS drops what is pending too long after closing."""
        if self.transport.is_closing():
            return
        if self._waiting_bytes():
            self.loop.call_later(_SENT_LOOK_SECONDS, self._close_when_sent)
        else:
            self.transport.close()
            if self._is_stopping:
                self._part()

    def _throw_away(self, data: bytes) -> None:
        self._thrown_away += len(data)
        if self._thrown_away > self._patience.linger_bytes:
            self._stop_waiting()
            self._give_up("body-unread")

    def _part(self) -> None:
        """Close without waiting long for the client's TLS close_notify: idle clients send none."""
        self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)


class _Outlet(asyncio.Transport):
    """The transport that uvicorn's cycle writes its answer to."""

    def __init__(self, protocol: BoundedHttp) -> None:
        super().__init__()
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._protocol.send(bytes(data))

    def close(self) -> None:
        self._protocol.finish()

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()
