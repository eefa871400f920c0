"""Fetches answers on revoked certificates: http, without redirects, within limits."""

import http.client
import ipaddress
import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from host.network.gateway.endpoint import Network, is_denied
from host.network.gateway.revocation import NotFetchedError

SECONDS_MAX = 3.0
BYTES_MAX = 10 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
_OK = 200
_PORT = 80


class HttpFetch:
    """`host.network.gateway.revocation.Fetch`.

    Args:
        denied: networks that are never connected to.
    """

    def __init__(self, denied: Sequence[Network]) -> None:
        self._denied = denied

    def __call__(self, url: str, body: bytes | None) -> bytes:
        try:
            return self._fetched(url, body, time.monotonic() + SECONDS_MAX)
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise NotFetchedError(str(exc) or type(exc).__name__) from exc

    def _fetched(self, url: str, body: bytes | None, until: float) -> bytes:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.username is not None:
            raise NotFetchedError("no http address")
        port = parts.port or _PORT
        connection = http.client.HTTPConnection(
            self._address(parts.hostname, port), port, timeout=SECONDS_MAX
        )
        try:
            target = parts.path or "/"
            headers = {"Host": parts.netloc, "Connection": "close"}
            if body is not None:
                headers["Content-Type"] = "application/ocsp-request"
            connection.request(
                "GET" if body is None else "POST",
                f"{target}?{parts.query}" if parts.query else target,
                body,
                headers,
            )
            return _read(connection.getresponse(), until)
        finally:
            connection.close()

    def _address(self, host: str, port: int) -> str:
        """The address that is connected to is the one that was checked."""
        found = [
            str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        ]
        allowed = [each for each in found if not is_denied(each, self._denied)]
        if not allowed:
            raise NotFetchedError("it leads to a denied network")
        return str(ipaddress.ip_address(allowed[0].partition("%")[0]))


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    if response.status != _OK:
        raise NotFetchedError(f"HTTP status {response.status}")
    data = bytearray()
    while piece := response.read1(_PIECE_BYTES):
        data += piece
        if len(data) > BYTES_MAX:
            raise NotFetchedError(f"more than {BYTES_MAX} bytes")
        if time.monotonic() > until:
            raise NotFetchedError("it takes too long")
    return bytes(data)
