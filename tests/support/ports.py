"""Ports that no process listens on, for servers that do not say which they got."""

import socket
from contextlib import ExitStack

STARTS_MAX = 3
"""How often a server is started, on other ports: a process may take one before the server does."""


def free_ports(count: int) -> tuple[int, ...]:
    """Different free ports of this machine."""
    with ExitStack() as held:
        found = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return tuple(each.getsockname()[1] for each in found)
