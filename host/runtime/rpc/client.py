"""The calling side: finds workers, keeps connections, goes to another worker when one dies.

A worker is found by its socket in the runtime directory, `<kind>-<number>.sock`. A call that
reached no worker is tried with each of them until one answers or the timeout ends; a call whose
connection broke after it was sent is retried only if its method is repeatable. The final error
shows the cause: no worker was reachable (`OutageError`), or a worker ended during the call, perhaps
because of it (`UnavailableError`).
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar, cast

import msgspec
import structlog

from host.domain.errors import OutageError, UnavailableError
from host.flow.engine.outage_time import note_wait
from host.runtime.rpc.frames import Answer, Call, error_of
from host.runtime.rpc.interface import Interface, Method
from host.runtime.rpc.wire import FRAME_BYTES_MAX, dial

Port = TypeVar("Port")

PATIENCE_SECONDS = 10.0
"""How long a call waits for a worker: longer than a restart takes."""
ANSWER_SECONDS_MAX = 120.0
"""How long a call may take: longer than any limit of a service itself."""
IDS = ("flow_id", "holding_id", "request_id")
"""Log fields that are sent with a call."""

_LOOK_AGAIN_SECONDS = 1.0
_PAUSE_SECONDS = 0.05
_IDLE_MAX = 16
_GONE = (OSError, EOFError, AuthenticationError)


class FrameTooLargeError(UnavailableError):
    """A request between workers is longer than a frame may be."""

    code = "rpc-frame-too-large"


class _BrokenOffError(Exception):
    """The connection was closed between a call and its answer."""


class RpcClient:
    """Calls to workers that have the same services. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        workers: str,
        key: bytes,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> None:
        """Find workers by their names.

        Args:
            folder: the runtime directory.
            workers: the name of a worker, such as `flow-0`, or a pattern such as `crypto-*`.
            key: the workers' shared key.
            patience_seconds: how long a call waits until a worker is reachable.
            answer_seconds_max: how long a call may take.
        """
        self._folder = folder
        self._names = workers
        self._key = key
        self._patience = patience_seconds
        self._answer_seconds = answer_seconds_max
        self._lock = threading.Lock()
        self._idle: dict[Path, list[Connection]] = {}
        self._workers: list[Path] = []
        self._looked_at = float("-inf")
        self._turn = 0

    def proxy(self, interface: Interface[Port]) -> Port:
        """An object with the methods of `interface`; each calls a worker."""
        return cast("Port", _Proxy(interface, self._call))

    def close(self) -> None:
        """Close the connections that no call uses."""
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def _call(self, service: str, method: Method, arguments: bytes) -> bytes:
        ids = structlog.contextvars.get_contextvars()
        call = Call(
            service, method.name, msgspec.Raw(arguments), {n: str(ids[n]) for n in IDS if n in ids}
        )
        frame = msgspec.json.encode(call)
        if len(frame) > FRAME_BYTES_MAX:
            raise FrameTooLargeError(
                f"a call of {service}.{method.name} has {len(frame)} bytes,"
                f" at most {FRAME_BYTES_MAX} are sent"
            )
        answer = self._exchange(frame, is_repeatable=method.is_repeatable)
        if answer.refusal is not None:
            raise error_of(answer.refusal)
        return bytes(answer.result)

    def _exchange(self, frame: bytes, *, is_repeatable: bool) -> Answer:
        until = time.monotonic() + self._patience
        was_broken_off = False
        while True:
            for worker in self._in_turn():
                begun = time.monotonic()
                try:
                    return self._ask(worker, frame)
                except _BrokenOffError as broken:
                    _note_wait_since(begun)
                    if not is_repeatable:
                        raise UnavailableError(
                            f"a worker {self._names} ended during a call;"
                            " whether it was carried out is not known"
                        ) from broken
                    was_broken_off = True
                except _GONE:
                    _note_wait_since(begun)
                    self._forget(worker)
            if time.monotonic() >= until:
                if was_broken_off:
                    raise UnavailableError(f"workers {self._names} end during the call")
                raise OutageError(f"no worker {self._names} answers")
            paused_at = time.monotonic()
            time.sleep(_PAUSE_SECONDS)
            _note_wait_since(paused_at)

    def _ask(self, worker: Path, frame: bytes) -> Answer:
        """One exchange with one worker.

        Raises:
            OSError, EOFError, AuthenticationError: the call did not reach it.
            _BrokenOffError: it may have reached the worker.
        """
        connection = self._take(worker) or self._dial(worker)
        try:
            connection.send_bytes(frame)
            answer = self._receive(connection)
        except BaseException as broken:
            connection.close()
            if isinstance(broken, (*_GONE, msgspec.MsgspecError)):
                self._forget(worker)
                raise _BrokenOffError from broken
            raise
        self._give_back(worker, connection)
        return answer

    def _receive(self, connection: Connection) -> Answer:
        if not connection.poll(self._answer_seconds):
            raise TimeoutError
        return msgspec.json.decode(connection.recv_bytes(FRAME_BYTES_MAX), type=Answer)

    def _dial(self, worker: Path) -> Connection:
        return dial(worker, self._key, seconds_max=self._answer_seconds)

    def _take(self, worker: Path) -> Connection | None:
        """An idle connection that the worker has not closed."""
        while True:
            with self._lock:
                idle = self._idle.get(worker)
                connection = idle.pop() if idle else None
            # A connection that is readable before a call was sent was closed by the worker.
            if connection is None or not _is_readable(connection):
                return connection
            connection.close()

    def _give_back(self, worker: Path, connection: Connection) -> None:
        with self._lock:
            idle = self._idle.setdefault(worker, [])
            if len(idle) < _IDLE_MAX:
                idle.append(connection)
                return
        connection.close()

    def _forget(self, worker: Path) -> None:
        """Close connections to a worker that has ended, and list workers again at the next call."""
        with self._lock:
            connections = self._idle.pop(worker, [])
            self._looked_at = float("-inf")
        for connection in connections:
            connection.close()

    def _in_turn(self) -> list[Path]:
        """The workers, starting with a different one at each call."""
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at >= _LOOK_AGAIN_SECONDS:
                self._workers = sorted(self._folder.glob(f"{self._names}.sock"))
                self._looked_at = now
            self._turn += 1
            count = len(self._workers)
            start = self._turn % count if count else 0
            return self._workers[start:] + self._workers[:start]


def _note_wait_since(begun: float) -> None:
    """Report the time since `begun`, which a worker that is away has cost this thread."""
    note_wait(round((time.monotonic() - begun) * 1000))


def _is_readable(connection: Connection) -> bool:
    with suppress(*_GONE):
        return connection.poll(0)
    return True


class _Proxy:
    """A proxy with one method for each method of an interface."""

    def __init__(
        self, interface: Interface[Port], call: Callable[[str, Method, bytes], bytes]
    ) -> None:
        for method in interface.methods.values():
            setattr(self, method.name, _bound(interface.name, method, call))


def _bound(
    service: str, method: Method, call: Callable[[str, Method, bytes], bytes]
) -> Callable[..., object]:
    def perform(*args: object, **kwargs: object) -> object:
        return method.decode_result(call(service, method, method.encode(args, kwargs)))

    return perform
