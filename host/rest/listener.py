"""Sockets that listen: of the REST interface, and of the gateway."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from host.domain.errors import HostError
from host.settings.bootstrap import split_address

_BACKLOG = 512


class ListenRefusedError(HostError):
    """The server cannot listen on the address."""

    code = "listen-refused"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`; port 0 takes a free one.

    Raises:
        ListenRefusedError: the address is in use, not local, or not valid.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ListenRefusedError(
            f"cannot listen on {host}:{port}: {error.strerror or error}"
        ) from error


@contextmanager
def bound(addresses: Sequence[str]) -> Iterator[Sequence[socket.socket]]:
    """Sockets that listen on addresses such as `[::1]:8080`, for the duration of the block.

    Raises:
        ListenRefusedError: one cannot be listened on.
    """
    found: list[socket.socket] = []
    try:
        for address in addresses:
            found.append(bind(*split_address(address)))  # noqa: PERF401  # closed if one fails
        yield found
    finally:
        for each in found:
            each.close()


def addresses_of(listeners: Sequence[socket.socket]) -> str:
    """Where sockets listen, separated by commas, with the ports that were taken."""
    names = [each.getsockname()[:2] for each in listeners]
    return ",".join(
        f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}" for host, port in names
    )
