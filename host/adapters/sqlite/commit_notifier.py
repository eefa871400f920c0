"""Hints between the processes of one machine.

Datagrams between UNIX sockets in a dedicated folder: sending never blocks, and datagrams are lost
if a receiver is too slow. Only this user can access the folder, so no other user can send.
"""

import errno
import hashlib
import os
import secrets
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from host.adapters.hint_messages import Ring
from host.ports.hints import Hint

_BASE = Path("/tmp")  # noqa: S108  # a socket's path is short everywhere; the folder is checked
_DATAGRAM_BYTES_MAX = 2000
"""Below the limit of every system (macOS: 2048); a longer hint is sent as `too_many`."""
_TRIES = 5
_GONE = frozenset({errno.ECONNREFUSED, errno.ENOENT, errno.ENOTSOCK, errno.EPROTOTYPE})

_HELLO = Ring()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Ring)


def folder_for(store: Path, base: Path = _BASE) -> Path:
    """The folder of a store's sockets: a short path, the same for every process of this user."""
    digest = hashlib.sha256(os.fsencode(store.resolve())).hexdigest()
    return base / f"cordbox-{os.getuid()}" / digest[:16]


class CommitNotifier:
    """The port `Hints`: the socket of one process. Thread-safe.

    Args:
        folder: the folder of the store's sockets; created if needed.

    Raises:
        OSError: the folder cannot be used, or belongs to someone else.
    """

    def __init__(self, folder: Path) -> None:
        self._own = folder / secrets.token_hex(6)
        self._socket = _bound(self._own)
        self._guard = threading.Lock()
        self._peers = {str(path) for path in folder.iterdir() if path != self._own}
        self._pending: Ring | None = None
        self._is_ringing = False
        self._is_closed = False
        self._listener: Callable[[Hint], None] | None = None
        self._thread = threading.Thread(target=self._hear, name="doorbell", daemon=True)

    def listen(self, listener: Callable[[Hint], None]) -> None:
        """See `Hints.listen`."""
        self._listener = listener
        self._thread.start()
        self._ring(_HELLO)

    @property
    def has_listeners(self) -> bool:
        """See `Hints.has_listeners`."""
        return bool(self._peers)

    def tell(self, hint: Hint) -> None:
        """See `Hints.tell`; hints of several threads are merged."""
        if self._peers:
            self._ring(Ring.of(hint))

    def _ring(self, ring: Ring) -> None:
        with self._guard:
            if not self._peers or self._is_closed:
                return
            self._pending = ring if self._pending is None else self._pending.with_(ring)
            if self._is_ringing:
                return
            self._is_ringing = True
        while (pending := self._next()) is not None:
            self._send(pending)

    def close(self) -> None:
        """Close the socket and remove it from the folder."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
        if self._thread.is_alive():
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", str(self._own))
            self._thread.join()
        self._socket.close()
        with suppress(OSError):
            self._own.unlink()
        with suppress(OSError):
            self._own.parent.rmdir()

    def _next(self) -> Ring | None:
        with self._guard:
            pending, self._pending = self._pending, None
            self._is_ringing = pending is not None
            return pending

    def _send(self, ring: Ring) -> None:
        data = _encoder.encode(ring)
        if len(data) > _DATAGRAM_BYTES_MAX:
            data = _encoder.encode(ring.shortened())
        for peer in tuple(self._peers):
            try:
                self._socket.sendto(data, socket.MSG_DONTWAIT, peer)
            except OSError as exc:
                if exc.errno in _GONE:
                    self._forget(peer)

    def _forget(self, peer: str) -> None:
        """Remove the socket file that an ended process may have left behind."""
        with self._guard:
            self._peers.discard(peer)
        with suppress(OSError):
            Path(peer).unlink()

    def _hear(self) -> None:
        while not self._is_closed:
            ring = self._receive(0)
            # Hints that arrived meanwhile are handled together with it.
            while ring is not None and (more := self._receive(socket.MSG_DONTWAIT)) is not None:
                ring = ring.with_(more)
            if ring is not None and ring != _HELLO and self._listener is not None:
                self._listener(ring.hint())

    def _receive(self, flags: int) -> Ring | None:
        """The next message; None if there is none, or it cannot be decoded."""
        try:
            data, peer = self._socket.recvfrom(_DATAGRAM_BYTES_MAX + 1, flags)
            ring = _decoder.decode(data)
        except (OSError, msgspec.MsgspecError):
            return None
        self._meet(peer)
        return ring

    def _meet(self, peer: object) -> None:
        # Most messages are of known peers, and making a `Path` takes longer than all else here.
        if not isinstance(peer, str) or peer in self._peers:
            return
        if Path(peer).parent == self._own.parent:
            with self._guard:
                self._peers.add(peer)


def _bound(path: Path) -> socket.socket:
    """A socket at `path`, in a folder that only this user can access."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        for attempt in range(_TRIES):
            _make_private(path.parent.parent)
            _make_private(path.parent)
            try:
                bound.bind(str(path))
            except FileNotFoundError:
                # Another process has meanwhile removed the last socket, and the folder with it.
                if attempt == _TRIES - 1:
                    raise
            else:
                break
    except BaseException:
        bound.close()
        raise
    return bound


def _make_private(folder: Path) -> None:
    """Create a folder that only this user can access.

    Raises:
        PermissionError: it exists and belongs to another user, or is accessible to others.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(errno.EPERM, "is not this user's own", str(folder))
