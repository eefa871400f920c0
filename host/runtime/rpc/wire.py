"""Frames over UNIX sockets: addresses, the handshake by a shared key, and limits of size and time.

A frame is sent as bytes by `multiprocessing.connection`; nothing is ever unpickled. Both sides
prove knowledge of the key before the first frame is read.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path

FRAME_BYTES_MAX = 64 * 1024 * 1024
"""Maximum length of a frame; longer ones end the connection."""
HANDSHAKE_SECONDS_MAX = 5.0
_PATH_BYTES_MAX = 100
"""A socket's path has at most 108 bytes, its end included."""
_BACKLOG = 128


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address of the socket `path` that is short enough for any depth of folders."""
    if len(os.fsencode(path)) <= _PATH_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """A socket that listens at `path`; replaces one that a dead process left.

    Raises:
        OSError: the folder cannot be used.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_address(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def dial(path: Path, key: bytes, *, seconds_max: float) -> Connection:
    """A connection to the process that listens at `path`, authenticated by `key`.

    Args:
        path: the socket.
        key: the shared key.
        seconds_max: how long sending or receiving one frame may take.

    Raises:
        OSError, EOFError, AuthenticationError: no process listens, or it does not have `key`.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(HANDSHAKE_SECONDS_MAX)
        with socket_address(path) as address:
            client.connect(address)
        connection = bounded(client, HANDSHAKE_SECONDS_MAX)
    except BaseException:
        client.close()
        raise
    try:
        answer_challenge(connection, key)
        deliver_challenge(connection, key)
        limit_time(connection, seconds_max)
    except BaseException:
        connection.close()
        raise
    return connection


def welcome(connection: Connection, key: bytes, *, seconds_max: float) -> None:
    """The listening side of the handshake.

    Raises:
        OSError, EOFError, AuthenticationError: the peer does not have `key`.
    """
    deliver_challenge(connection, key)
    answer_challenge(connection, key)
    limit_time(connection, seconds_max)


def bounded(accepted: socket.socket, seconds_max: float) -> Connection:
    """Turn a socket into a connection whose reads and writes have this time limit."""
    accepted.settimeout(None)
    connection = Connection(accepted.detach())
    limit_time(connection, seconds_max)
    return connection


def limit_time(connection: Connection, seconds_max: float) -> None:
    """Make reads and writes fail with `OSError` after `seconds_max` without progress."""
    seconds = int(seconds_max)
    limit = struct.pack("ll", seconds, int((seconds_max - seconds) * 1_000_000))
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
