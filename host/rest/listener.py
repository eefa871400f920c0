"""The socket of the REST interface."""

import socket

from host.domain.errors import HostError

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
