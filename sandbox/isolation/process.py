"""The host's side of one guests' process: starting it, connecting to it, detecting its end."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from sandbox.compiled_files import CompiledFile
from sandbox.errors import SandboxError
from sandbox.isolation.errors import (
    GuestProcessDiedError,
    GuestProcessLostError,
    GuestProcessViolationError,
)
from sandbox.isolation.frames import (
    OVERHEAD_BYTES_MAX,
    Channel,
    EndedError,
    FrameError,
    FromGuests,
    Loaded,
    LoadedImage,
    Order,
    Refused,
    Start,
)
from sandbox.isolation.priority import lower_started
from sandbox.isolation.seal import Walls
from sandbox.jail import jail_environment
from sandbox.limits import MIB
from sandbox.world import World

CHILD = "sandbox.isolation.child"
_DYING_SECONDS = 2.0
_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
_LANE = b"l"
_BESIDE_MEMORY_BYTES = 8 * MIB
"""Memory of a waiting run in addition to its guest's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """The configuration of every guests' process of a host.

    Attributes:
        flows: concurrent workflow runs, including those that wait in a host call.
        waiting: how many of these may wait in a host call for long.
        contracts: concurrent contract runs that always have a place.
        memory_bytes_max: private memory beyond what a process starts with.
        restored_instances: whether instances of Python guests are kept, as `sandbox.runtime` says.
        start_seconds: a process that is not sealed after this time is killed.
        grace_seconds: if a run does not end this long after its wall-clock limit, its process is
            killed.
        module: the Python module that the process runs.
    """

    flows: int
    waiting: int
    contracts: int
    memory_bytes_max: int = 2048 * MIB
    restored_instances: bool = True
    start_seconds: float = 30.0
    grace_seconds: float = 2.0
    module: str = CHILD


class Ending(StrEnum):
    """Why the host ended a process."""

    OVERRUN = "a run did not stop at its wall-clock limit"
    VIOLATION = "it broke the protocol"
    EVICTED = "another virtual node needed its place"
    IDLE = "it had nothing to do"
    CLOSED = "the host stops"
    MEMORY = "it had no memory left for a run"
    LOWERED = "it had computed for long, and a fresh one took its place"


class GuestProcess:
    """A sealed process with the code of one CPI for one virtual node. Thread-safe."""

    def __init__(
        self,
        codes: Sequence[CompiledFile],
        plan: ProcessPlan,
        spawn: Callable[[Sequence[str], Sequence[int]], "subprocess.Popen[bytes]"],
    ) -> None:
        """Start the process and wait until it is sealed.

        Args:
            codes: the components that it runs; a run names one by its index.
            plan: its configuration.
            spawn: starts it on a thread that stays alive: the kernel kills the process when that
                thread ends.

        Raises:
            GuestProcessLostError: it cannot be started.
            SandboxError: it refuses the code.
        """
        self._plan = plan
        self._lock = threading.Lock()
        self._idle: list[Channel[FromGuests]] = []
        self._places = threading.Semaphore(plan.flows + plan.contracts)
        self._flow_places = threading.Semaphore(plan.flows)
        self._waiting: list[int] = []
        self._ending: Ending | None = None
        self.is_lowered = False
        """Whether its priority was lowered because it computed for long."""
        files = [number for code in codes for number in code.descriptors()]
        self._control, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-P", "-m", plan.module, str(theirs.fileno())]
            try:
                self._process = spawn(words, [theirs.fileno(), *files])
            except BaseException as refused:
                self._control.close()
                if isinstance(refused, OSError):
                    raise GuestProcessLostError(
                        f"the guests' process cannot be started: {refused.strerror}"
                    ) from refused
                raise
        try:
            self.walls: Walls = self._seal(codes)
        except BaseException:
            self.kill(Ending.CLOSED)
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can still take runs."""
        return self._ending is None and self._process.poll() is None

    @contextmanager
    def lane(self, world: World, *, bytes_max: int) -> Iterator[Channel[FromGuests]]:
        """A connection for one run, as soon as a place is free; it is reused after an orderly end.

        Args:
            world: of the component that is run. Places are reserved for the contracts that flows
                wait for.
            bytes_max: the largest text that the run may send.

        Raises:
            GuestProcessLostError: the process has ended.
        """
        flow_places = self._flow_places if world is World.WORKFLOW else threading.Semaphore(1)
        with flow_places, self._places:
            channel = self._take()
            channel.bytes_max = bytes_max + OVERHEAD_BYTES_MAX
            try:
                yield channel
            except BaseException:
                channel.stream.close()
                raise
            with self._lock:
                self._idle.append(channel)
            if self._ending is not None:
                self._close_lanes()

    @contextmanager
    def waiting_place(self, memory_bytes: int) -> Iterator[bool]:
        """Whether a run may wait in a host call for long, for the length of the block.

        Waiting runs keep their memory. Together they may use no more of the process's memory than
        is left when all runs that may be active have their full limits.

        Args:
            memory_bytes: the limit of the run's memory.
        """
        plan, claim = self._plan, memory_bytes + _BESIDE_MEMORY_BYTES
        running = claim * (plan.flows - plan.waiting + plan.contracts)
        with self._lock:
            found = (
                len(self._waiting) < plan.waiting
                and sum(self._waiting) + claim + running <= plan.memory_bytes_max
            )
            if found:
                self._waiting.append(claim)
        try:
            yield found
        finally:
            if found:
                with self._lock:
                    self._waiting.remove(claim)

    def kill(self, why: Ending) -> None:
        """End the process at once."""
        with self._lock:
            self._ending = self._ending or why
        with suppress(ProcessLookupError):
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_SECONDS)
        with self._lock:  # no send is in progress: the descriptor number may be reused
            self._control.close()
        self._close_lanes()

    def failure(self) -> SandboxError:
        """The error that a run gets after it has noticed the process's end."""
        try:
            status = self._process.wait(_DYING_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(Ending.VIOLATION)
            return GuestProcessViolationError("the guest's process closed a connection")
        ending = self._ending
        self.kill(ending or Ending.CLOSED)
        if ending is not None:
            return GuestProcessLostError(f"the guest's process was ended: {ending}")
        if status in _FROM_OUTSIDE:
            return GuestProcessLostError(
                f"the guest's process was ended from outside ({signal.Signals(-status).name})"
            )
        if status == -signal.SIGSYS:
            return GuestProcessViolationError(
                "the guest's process made a system call that guests never need"
            )
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return GuestProcessDiedError(f"the guest's process died ({how})")

    def _seal(self, codes: Sequence[CompiledFile]) -> Walls:
        channel: Channel[Start] = Channel(self._control, Start, bytes_max=OVERHEAD_BYTES_MAX)
        channel.wait_at_most(self._plan.start_seconds)
        loaded = tuple(_loaded(code) for code in codes)
        lanes = self._plan.flows + self._plan.contracts
        try:
            plan = self._plan
            channel.send(
                Order(os.getpid(), loaded, lanes, plan.memory_bytes_max, plan.restored_instances)
            )
            heard = channel.receive()
        except (EndedError, TimeoutError, FrameError) as failed:
            raise GuestProcessLostError(
                "the guest's process did not become ready; its last words are on the host's "
                "standard error"
            ) from failed
        if isinstance(heard, Refused):
            raise GuestProcessLostError(f"the guest's process refuses its code: {heard.message}")
        return heard.walls

    def _take(self) -> Channel[FromGuests]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    socket.send_fds(self._control, [_LANE], [theirs.fileno()])
                except OSError as gone:
                    ours.close()
                    raise GuestProcessLostError("the guest's process has ended") from gone
            return Channel(ours, FromGuests, bytes_max=0)

    def _close_lanes(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for channel in idle:
            channel.stream.close()


def _loaded(code: CompiledFile) -> Loaded:
    component, number, image = code.component, code.file.fileno(), None
    if code.image is not None:
        files = code.image
        image = LoadedImage(
            files.size,
            files.initial.fileno(),
            files.initial_size,
            files.changes.fileno(),
            files.runs,
        )
    return Loaded(component.digest, component.world, component.runtime, number, image)


def spawn(words: Sequence[str], descriptors: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Start a guests' process; it has the host's standard error until it is sealed.

    Raises:
        OSError: it cannot be started.
    """
    environment = {**jail_environment(), "MALLOC_ARENA_MAX": "2"}
    process = subprocess.Popen(
        list(words),
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=tuple(descriptors),
        # Not in the terminal's session, so not reached by its signals. Where Linux schedules
        # sessions against each other, each process has its own share; elsewhere its priority
        # counts.
        start_new_session=True,
    )
    lower_started(process.pid)
    return process
