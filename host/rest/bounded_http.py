"""The HTTP protocol with bounds on the head of a request, in bytes and in time.

Strangers reach this code before any check of who they are: without bounds one connection could
fill the memory with a header that never ends, or stay open for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES_MAX = 64 * 1024
HEAD_SECONDS_MAX = 20.0
_FAREWELL_SECONDS = 0.5


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request line and headers are too long or too slow.

    One read may overrun the limit; no more than that is ever held.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._bytes_of_head = 0
        self._is_in_head = True
        self._is_stopping = False
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._bytes_of_head += len(data)
        super().data_received(data)
        if self._is_in_head and self._bytes_of_head > HEAD_BYTES_MAX:
            self.logger.warning("request head is longer than %d bytes", HEAD_BYTES_MAX)
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        if not self._is_in_head:
            self._is_in_head = True
            self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._bytes_of_head = 0
        self._patience.cancel()
        super().on_headers_complete()

    def shutdown(self) -> None:
        self._is_stopping = True
        super().shutdown()
        # Before its first request a connection has no cycle, whatever its annotation says.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._part()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_stopping:
            self._part()

    def _part(self) -> None:
        """Close without the client's TLS farewell if it does not come: idle clients send none."""
        asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, self.transport.abort)

    def _await_head(self) -> None:
        loop: Any = asyncio.get_running_loop()
        self._patience: asyncio.TimerHandle = loop.call_later(HEAD_SECONDS_MAX, self._give_up)

    def _give_up(self) -> None:
        self.transport.close()
        self._part()
