"""Hints between all processes of a cluster, by notifications of PostgreSQL.

They are sent after a step's transaction, never within it, on a connection of their own: notifying
commits wait for each other. What is not yet sent is merged.
"""

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex

import msgspec

from host.adapters.hint_messages import Ring
from host.domain.errors import HostError
from host.ports.hints import Hint
from plugins.postgres.connections import Access, Session, Sessions
from plugins.postgres.errors import CONNECTION_ERRORS

_CHANNEL = "cordbox_hints"
_PAYLOAD_BYTES_MAX = 7900
"""Of a notification: PostgreSQL takes less than 8,000."""
_HELD_MAX = 100
"""Notifications that the driver holds; it drops further ones."""
_LOOK_SECONDS = 5.0
"""Period of looking for processes that have ended."""
_RETRY_SECONDS = 1.0
_PRESENT = "SELECT pg_advisory_lock_shared(hashtextextended('cordbox hints', 0))"
_COUNT_PRESENT = (
    "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (classid::bigint << 32 | objid::bigint) = hashtextextended('cordbox hints', 0)"
)
"""Each process that listens holds a shared lock."""


class _Message(msgspec.Struct, frozen=True, array_like=True):
    sender: str
    ring: Ring


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Message).decode


class PostgresHints:
    """The port `Hints`. Thread-safe.

    Args:
        access: how to connect.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._own = token_hex(8)
        self._sessions = Sessions(access)
        self._others = 0
        self._listener: Callable[[Hint], None] | None = None
        self._guard = threading.Condition()
        self._pending: Ring | None = None
        self._is_closed = False
        self._wake, self._woken = socket.socketpair()
        self._sender = threading.Thread(target=self._send, name="hints-out", daemon=True)
        self._receiver = threading.Thread(target=self._receive, name="hints-in", daemon=True)

    @property
    def has_listeners(self) -> bool:
        """See `Hints.has_listeners`."""
        return self._others > 0

    def listen(self, listener: Callable[[Hint], None]) -> None:
        """See `Hints.listen`."""
        self._listener = listener
        self._sender.start()
        self._receiver.start()

    def tell(self, hint: Hint) -> None:
        """See `Hints.tell`; hints of several threads are merged."""
        if self.has_listeners:
            self._tell(Ring.of(hint))

    def close(self) -> None:
        """End both threads, and close the connections."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
            self._guard.notify_all()
        self._wake.send(b"\0")
        for thread in (self._sender, self._receiver):
            if thread.is_alive():
                thread.join()
        self._sessions.close()
        self._wake.close()
        self._woken.close()

    def _tell(self, ring: Ring) -> None:
        with self._guard:
            self._pending = ring if self._pending is None else self._pending.with_(ring)
            self._guard.notify_all()

    def _send(self) -> None:
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._is_closed or self._pending is not None)
                if self._is_closed:
                    return
                ring, self._pending = self._pending, None
            if ring is not None:
                # A hint may be lost: whoever needs it looks at the store from time to time.
                with suppress(HostError):
                    self._notify(self._payload(ring))

    def _notify(self, payload: str) -> None:
        self._sessions.use(
            lambda session: session.run("SELECT pg_notify(:c, :p)", c=_CHANNEL, p=payload)
        )

    def _payload(self, ring: Ring) -> str:
        said = _encode(_Message(self._own, ring))
        if len(said) > _PAYLOAD_BYTES_MAX:
            said = _encode(_Message(self._own, ring.shortened()))
        return said.decode()

    def _receive(self) -> None:
        is_first = True
        while not self._is_closed:
            try:
                session = Session(self._access)
            except CONNECTION_ERRORS:
                self._wait(None, _RETRY_SECONDS)
                continue
            try:
                session.simple(f"LISTEN {_CHANNEL}")
                session.run(_PRESENT)
                if not is_first and self._listener is not None:
                    self._listener(Hint(is_incomplete=True))
                is_first = False
                self._tell(Ring())  # the others look again who is there
                self._hear(session)
            except CONNECTION_ERRORS:
                self._others = 0
            finally:
                session.close()

    def _hear(self, session: Session) -> None:
        while not self._is_closed:
            ((present,),) = session.run(_COUNT_PRESENT)
            self._others = present - 1
            self._deliver(session)
            self._wait(session, _LOOK_SECONDS)
            session.simple("")  # reads what the server has told

    def _deliver(self, session: Session) -> None:
        told = session.raw.notifications
        hint = Ring(too_many=len(told) >= _HELD_MAX)
        while told:
            _pid, _channel, payload = told.popleft()
            with suppress(msgspec.MsgspecError):
                message = _decode(payload)
                if message.sender != self._own:
                    hint = hint.with_(message.ring)
        if hint != Ring() and self._listener is not None:
            self._listener(hint.hint())

    def _wait(self, session: Session | None, seconds: float) -> None:
        """Until the server tells something, the end, or for some time."""
        waited: list[socket.socket | Session] = [self._woken]
        if session is not None:
            waited.append(session)
        select.select(waited, (), (), seconds)
