"""The process in which guests of one virtual node run: `python -m sandbox.isolation.child SOCKET`.

It loads compiled components from descriptors that it was given, seals itself, and then performs the
requested runs, one at a time on each of its threads. A thread takes its next connection to the host
from the process's socket. Nothing is opened, imported or started after the seal.
"""

import array  # noqa: F401  # `socket.recv_fds` imports it, which a sealed process cannot
import mmap
import os
import select
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from wasmtime import Engine, WasmtimeError
from wasmtime import component as wc

from sandbox.deadline import Ticker
from sandbox.engine import EngineKind, engine_version, new_engine, profile_digest
from sandbox.errors import (
    CapabilityNotGrantedError,
    ComponentUnknownError,
    HostMemoryError,
    MemoryLimitError,
    SandboxError,
)
from sandbox.guest import Component, Guest
from sandbox.host_calls import GuestCallError, RunControl, RunEndedError
from sandbox.images.image import Image, ImageFiles
from sandbox.images.restored import Keeping, program_of
from sandbox.images.runtimes import RuntimeCode, RuntimeFiles, load_runtime
from sandbox.isolation.frames import (
    FRAME_BYTES_MAX,
    MESSAGE_CHARACTERS_MAX,
    Asked,
    Begin,
    Channel,
    EndedError,
    FromHost,
    Halt,
    Halted,
    Loaded,
    LoadedImage,
    Order,
    Pause,
    Ready,
    Refused,
    Reply,
    RunResult,
    Stopped,
    bytes_of,
    text_of,
)
from sandbox.isolation.seal import Seal
from sandbox.limits import MIB, Limits, Usage
from sandbox.loading import loaded_guest
from sandbox.outcome import Returned
from sandbox.world import World

_STACK_BYTES = 3 * MIB
"""Stack size of a thread: it runs wasm, which may use 1 MiB of stack, and Python."""
_DESCRIPTORS_BESIDE_LANES = 16
_FAILED = 70
_KEPT_MAX = 8
"""Instances that wait for their next run, each with private memory of its image's size."""
_BESIDE_MEMORY_BYTES = 32 * MIB
"""Memory that a run may need in addition to its guest's: texts in transit, tables, stacks."""


class _Relay:
    """Forwards one run's host calls to the host."""

    def __init__(self, lane: Channel[FromHost]) -> None:
        self._lane = lane
        self._run: RunControl | None = None

    def attach(self, run: RunControl) -> None:
        self._run = run

    def __call__(self, interface: str, function: str, request: str) -> str:
        assert self._run is not None  # noqa: S101  # attached before the first call
        thread = threading.get_native_id()
        asked = Asked(interface, function, request.encode(), self._run.usage(), thread)
        self._lane.send(asked)
        answer = self._lane.receive()
        if isinstance(answer, Pause):
            with self._run.paused():
                answer = self._lane.receive()
        if isinstance(answer, Reply):
            if answer.is_ok:
                return text_of(answer.text)
            raise GuestCallError(text_of(answer.text))
        if isinstance(answer, Halt):
            raise RunEndedError("the host ends the run")
        raise EndedError


class _Runs:
    """The runs of this process, including waiting ones. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a run for the length of the block."""
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    def reported(self, stopped: SandboxError, limits: Limits) -> SandboxError:
        """The outcome to report for a run that ran out of memory, and has released its own.

        If other runs were active, the process may have been full although the guest had not reached
        its limit: the run is then to be repeated elsewhere. A run that was alone had all the
        memory.
        """
        if not isinstance(stopped, MemoryLimitError | HostMemoryError):
            return stopped
        with self._lock:
            is_alone = self._count <= 1
        lacked_room = isinstance(stopped, HostMemoryError) or not _has_room(limits)
        kind = MemoryLimitError if is_alone or not lacked_room else HostMemoryError
        reported = kind(stopped.message)
        reported.usage = stopped.usage
        return reported


def _has_room(limits: Limits) -> bool:
    """Whether the process's limit leaves enough memory for a run with these limits."""
    size = limits.memory_bytes_max + _BESIDE_MEMORY_BYTES
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        return False
    return True


_runs = _Runs()


def main(socket_number: int) -> None:
    """Execute the initial order, then serve until the host is gone."""
    seal = Seal()
    seal.before_threads()
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, socket_number)
    beginning: Channel[Order] = Channel(control, Order, bytes_max=FRAME_BYTES_MAX)
    order = beginning.receive()
    try:
        keeping = (
            Keeping.opened(instances_max=_kept_max(order)) if order.restored_instances else None
        )
        guests = _load(order, keeping)
    except SandboxError as refused:
        beginning.send(Refused(refused.code, refused.message))
        return
    _begin_serving(control, guests, order.lanes)
    before_seal()
    seal.close(
        parent=order.parent,
        files_max=order.lanes + 2 * len(order.components) + _DESCRIPTORS_BESIDE_LANES,
        memory_bytes_max=order.memory_bytes_max + _waiting_bytes(order, keeping),
        page_map=None if keeping is None else keeping.page_map.descriptor,
    )
    beginning.send(Ready(dict(seal.walls)))
    _await_end(control)


def before_seal() -> None:
    """Initialise everything that is lazy: no file can be read after the seal."""
    engine_version()
    profile_digest()
    bytes_of("")


def _waiting_bytes(order: Order, keeping: Keeping | None) -> int:
    """Memory of instances that wait for a run: no run is to have less because of them."""
    sizes = [loaded.image.size for loaded in order.components if loaded.image is not None]
    return 0 if keeping is None else _kept_max(order) * max(sizes, default=0)


def _kept_max(order: Order) -> int:
    return min(order.lanes, _KEPT_MAX)


def _load(order: Order, keeping: Keeping | None) -> Sequence[Guest]:
    components, runtimes = new_engine(), new_engine(EngineKind.RUNTIMES)
    ticker = Ticker(components, runtimes)
    with ticker.running():
        """Starts the ticker's thread."""
    guests = []
    for loaded in order.components:
        with os.fdopen(loaded.descriptor, "rb") as code:
            if loaded.image is None:
                guests.append(_self_contained(loaded, components, code, ticker))
            else:
                program = program_of(*_image(loaded, loaded.image, runtimes, code), keeping)
                guests.append(Guest(_component(loaded), program, ticker))
    return guests


def _self_contained(loaded: Loaded, engine: Engine, code: BufferedReader, ticker: Ticker) -> Guest:
    try:
        compiled = wc.Component.deserialize_file(engine, f"/dev/fd/{code.fileno()}")
    except WasmtimeError as exc:
        raise ComponentUnknownError(f"compiled code of {loaded.digest} is damaged") from exc
    return loaded_guest(_component(loaded), engine, compiled, ticker)


def _image(
    loaded: Loaded, image: LoadedImage, engine: Engine, code: BufferedReader
) -> tuple[RuntimeCode, Image]:
    initial, changes = os.fdopen(image.initial, "rb"), os.fdopen(image.changes, "rb")
    files = ImageFiles(image.size, initial, image.initial_size, changes, image.runs)
    runtime = load_runtime(
        engine, World(loaded.world), RuntimeFiles(loaded.runtime or "", code, initial)
    )
    return runtime, Image(loaded.digest, files)


def _component(loaded: Loaded) -> Component:
    return Component(
        digest=loaded.digest,
        world=World(loaded.world),
        runtime=loaded.runtime,
        path=Path(f"/dev/fd/{loaded.descriptor}"),
    )


def _begin_serving(control: socket.socket, guests: Sequence[Guest], lanes: int) -> None:
    """Start a thread for each lane, and return when all have started."""
    threading.stack_size(_STACK_BYTES)
    begun = threading.Barrier(lanes + 1)
    for _ in range(lanes):
        threading.Thread(target=_lanes, args=(control, guests, begun), daemon=True).start()
    begun.wait()


def _await_end(control: socket.socket) -> None:
    """Wait until the host has closed its end; the kernel closes it if the host dies."""
    ended = select.poll()
    ended.register(control, select.POLLHUP)
    ended.poll()


def _lanes(control: socket.socket, guests: Sequence[Guest], begun: threading.Barrier) -> NoReturn:
    begun.wait()
    while True:
        try:
            found, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not found:
                os._exit(0)
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptors[0])
            with closing(stream):
                lane: Channel[FromHost] = Channel(stream, FromHost, bytes_max=FRAME_BYTES_MAX)
                while True:
                    _serve(lane, guests)
        except EndedError:
            continue
        except BaseException:  # noqa: BLE001  # a traceback would open files: the exit status says so
            os._exit(_FAILED)


def _serve(lane: Channel[FromHost], guests: Sequence[Guest]) -> None:
    """Perform one run."""
    begin = lane.receive()
    assert isinstance(begin, Begin)  # noqa: S101  # the host keeps the order
    relay = _Relay(lane)
    with _runs.one():
        lane.send(_performed(begin, relay, guests))


def _performed(
    begin: Begin, relay: _Relay, guests: Sequence[Guest]
) -> Halted | Stopped | RunResult:
    """Perform one run; returns the message to the host about its end."""
    try:
        outcome = guests[begin.component].call(
            begin.export,
            None if begin.argument is None else text_of(begin.argument),
            limits=begin.limits,
            host=relay if begin.has_host else None,
            granted=frozenset(begin.granted),
        )
    except RunEndedError as halted:
        return Halted(halted.usage or Usage())
    except SandboxError as ended:
        stopped = _runs.reported(ended, begin.limits)
        message, usage = stopped.message[:MESSAGE_CHARACTERS_MAX], stopped.usage or Usage()
        if not isinstance(stopped, CapabilityNotGrantedError):
            return Stopped(stopped.code, message, None, usage)
        report = None if stopped.report is None else bytes_of(stopped.report)
        return Stopped(stopped.code, message, stopped.function, usage, report)
    except MemoryError:
        return Stopped(HostMemoryError.code, "the process has no memory", None, Usage())
    assert isinstance(outcome, Returned)  # noqa: S101  # nothing here raises `SuspendRun`
    value = None if outcome.value is None else bytes_of(outcome.value)
    return RunResult(value, outcome.is_error, outcome.usage)


if __name__ == "__main__":
    main(int(sys.argv[1]))
