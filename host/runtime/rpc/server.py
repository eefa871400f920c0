"""The serving side: one thread per connection, one call at a time on each."""

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import structlog

from host.domain.capability_error import CapabilityError
from host.domain.errors import HostError
from host.runtime.rpc.frames import Answer, Call, refusal_of
from host.runtime.rpc.interface import Interface, Method
from host.runtime.rpc.wire import FRAME_BYTES_MAX, HANDSHAKE_SECONDS_MAX, bounded, listen, welcome

CONNECTIONS_MAX = 512
TRANSFER_SECONDS_MAX = 30.0
"""How long a frame may take after its first byte was received."""

_RETRY_SECONDS = 0.1
_NOTHING = msgspec.Raw(b"null")
_log = structlog.get_logger("cordbox.rpc")


class CallInvalidError(HostError):
    """A call named a service or method that the worker does not have, or had wrong arguments."""

    code = "rpc-call-invalid"


@dataclass(frozen=True, slots=True)
class Service:
    """An interface, and the object that serves it from many threads."""

    interface: Interface[object]
    target: object


class RpcServer:
    """Serves calls at a UNIX socket until stopped."""

    def __init__(self, path: Path, key: bytes, services: Sequence[Service]) -> None:
        """Listen at `path`; calls wait until `start`.

        Raises:
            OSError: the folder cannot be used.
        """
        self._path = path
        self._key = key
        self._services: Mapping[str, Service] = {s.interface.name: s for s in services}
        self._listener = listen(path)
        self._lock = threading.Lock()
        self._open: dict[Connection, bool] = {}
        self._is_stopping = False
        self._stopped = threading.Event()
        self._none_open = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._accept, name="rpc-accept", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def busy(self) -> int:
        """The number of calls in progress."""
        with self._lock:
            return sum(self._open.values())

    def stop(self, seconds_max: float) -> bool:
        """Accept no more calls, and wait for those in progress.

        Returns:
            False if a call was still running after `seconds_max`.
        """
        with self._lock:
            self._is_stopping = True
            self._stopped.set()
            idle = [connection for connection, is_busy in self._open.items() if not is_busy]
            for connection in idle:
                _wake(connection)
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            return self._none_open.wait_for(lambda: not self._open, seconds_max)

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
                self._begin(bounded(accepted, HANDSHAKE_SECONDS_MAX))
            except (OSError, RuntimeError) as failed:
                if self._is_stopping:
                    return
                # No descriptor or thread was available: retry later.
                _log.warning("rpc-connection-lost", socket=self._path.name, reason=str(failed))
                self._stopped.wait(_RETRY_SECONDS)

    def _begin(self, connection: Connection) -> None:
        with self._lock:
            is_taken = len(self._open) < CONNECTIONS_MAX and not self._is_stopping
            if is_taken:
                self._open[connection] = False
        if not is_taken:
            connection.close()
            return
        try:
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        except RuntimeError:
            self._end(connection)
            raise

    def _serve(self, connection: Connection) -> None:
        try:
            welcome(connection, self._key, seconds_max=TRANSFER_SECONDS_MAX)
            while self._next(connection):
                pass
        except AuthenticationError:
            _log.warning("rpc-stranger-refused", socket=self._path.name)
        except (OSError, EOFError):
            pass  # The peer has closed, or violated the framing: no answer can be sent.
        finally:
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        with self._lock:
            del self._open[connection]
            self._none_open.notify_all()
        connection.close()

    def _next(self, connection: Connection) -> bool:
        """Wait for a call and answer it; False if the server stops."""
        connection.poll(None)
        with self._lock:
            if self._is_stopping:
                return False
            self._open[connection] = True
        try:
            answer = self._answer(connection.recv_bytes(FRAME_BYTES_MAX))
            connection.send_bytes(msgspec.json.encode(answer))
        finally:
            with self._lock:
                self._open[connection] = False
                is_over = self._is_stopping
        return not is_over

    def _answer(self, frame: bytes) -> Answer:
        try:
            call = _decode_call(frame)
        except CallInvalidError as refused:
            return Answer(_NOTHING, refusal_of(refused))
        with structlog.contextvars.bound_contextvars(**call.ids):
            try:
                return self._perform(call)
            except (HostError, CapabilityError) as refused:
                return Answer(_NOTHING, refusal_of(refused))
            except Exception as failed:  # noqa: BLE001  # one failing call must not end the worker
                _log.exception("rpc-call-failed", service=call.service, method=call.method)
                return Answer(_NOTHING, refusal_of(failed))

    def _perform(self, call: Call) -> Answer:
        service, method = self._find(call)
        try:
            arguments = method.decode(bytes(call.arguments))
        except msgspec.MsgspecError as error:
            raise CallInvalidError(f"{call.service}.{call.method}: {error}") from error
        result = getattr(service.target, method.name)(**arguments)
        encoded = msgspec.json.encode(result)
        if len(encoded) > FRAME_BYTES_MAX:
            raise CallInvalidError(
                f"the answer of {call.service}.{call.method} has {len(encoded)} bytes,"
                f" at most {FRAME_BYTES_MAX} are sent"
            )
        return Answer(msgspec.Raw(encoded))

    def _find(self, call: Call) -> tuple[Service, Method]:
        service = self._services.get(call.service)
        method = None if service is None else service.interface.methods.get(call.method)
        if service is None or method is None:
            raise CallInvalidError(
                f"this worker has no {call.service[:64]!r} with a method {call.method[:64]!r}"
            )
        return service, method


def _decode_call(frame: bytes) -> Call:
    try:
        return msgspec.json.decode(frame, type=Call)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CallInvalidError(f"a frame is no call: {error}") from error


def _wake(connection: Connection) -> None:
    """Wake the thread that waits for the connection's next call, so that it stops."""
    with suppress(OSError), socket.socket(fileno=connection.fileno()) as same:
        try:
            same.shutdown(socket.SHUT_RD)
        finally:
            same.detach()
