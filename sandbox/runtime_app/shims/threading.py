"""`threading` of a sandbox: its names for code that one thread runs.

Locks and locals work. Threads can be made and not started. What would wait for another thread
raises RuntimeError at once, or answers what Python answers when the time is over.
"""

from _thread import (
    TIMEOUT_MAX,
    RLock,
    _local,
    get_ident,
    get_native_id,
    stack_size,
    start_new_thread,
    waits,
)
from _thread import lock as Lock
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Never

__tracebackhide__ = True

__all__ = [
    "TIMEOUT_MAX", "Barrier", "BoundedSemaphore", "BrokenBarrierError", "Condition", "Event",
    "ExceptHookArgs", "Lock", "RLock", "Semaphore", "Thread", "ThreadError", "Timer",
    "active_count", "current_thread", "enumerate", "excepthook", "get_ident", "get_native_id",
    "getprofile", "gettrace", "local", "main_thread", "setprofile", "settrace", "stack_size",
]  # fmt: skip

ThreadError = RuntimeError
local = _local
_FOREVER = "a sandbox has one thread, so nothing would ever end the wait"


def _wait(timeout: float | None) -> bool:
    """The answer of a wait that nothing can end: False after a time.

    Raises:
        RuntimeError: it has no end.
    """
    if timeout is None:
        raise RuntimeError(_FOREVER)
    return False


class Condition:
    """A condition variable; only `wait` of what holds already succeeds."""

    def __init__(self, lock: Any = None) -> None:
        self._lock = RLock() if lock is None else lock
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *exception: object) -> None:
        self._lock.__exit__(*exception)

    def wait(self, timeout: float | None = None) -> bool:
        """False, since nobody notifies.

        Raises:
            RuntimeError: without a timeout.
        """
        self._check("wait")
        return _wait(timeout)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """What `predicate` answers.

        Raises:
            RuntimeError: it is false, and there is no timeout.
        """
        self._check("wait")
        result = predicate()
        if not result:
            _wait(timeout)
        return result

    def notify(self, n: int = 1) -> None:
        """Wake up the waiters, of which there are none."""
        del n
        self._check("notify")

    def notify_all(self) -> None:
        """Wake up the waiters, of which there are none."""
        self._check("notify")

    def _check(self, what: str) -> None:
        if not self._lock.locked():
            raise RuntimeError(f"cannot {what} on un-acquired lock")

    notifyAll = notify_all


class Event:
    """A flag."""

    def __init__(self) -> None:
        self._flag = False

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._flag

    def set(self) -> None:
        """Set the flag."""
        self._flag = True

    def clear(self) -> None:
        """Take the flag down."""
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the flag is set.

        Raises:
            RuntimeError: it is not, and there is no timeout.
        """
        return self._flag or _wait(timeout)

    isSet = is_set


class Semaphore:
    """A counter that is never below zero."""

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._value = value

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Count down; False if it cannot and the call may not wait for ever.

        Raises:
            RuntimeError: the counter is zero, and the call would wait for ever.
        """
        forever = waits(blocking, -1 if timeout is None else timeout)
        if self._value:
            self._value -= 1
            return True
        return _wait(None if forever else 0)

    def release(self, n: int = 1) -> None:
        """Count up by `n`."""
        if n < 1:
            raise ValueError("n must be one or more")
        self._value += n

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exception: object) -> None:
        self.release()


class BoundedSemaphore(Semaphore):
    """A semaphore that is never above its first value."""

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._initial_value = value

    def release(self, n: int = 1) -> None:
        """Count up by `n`.

        Raises:
            ValueError: above the first value.
        """
        if self._value + n > self._initial_value:
            raise ValueError("Semaphore released too many times")
        super().release(n)


class BrokenBarrierError(RuntimeError):
    """A barrier that nobody passes any more."""


class Barrier:
    """A point that several threads reach together, which one thread can only alone."""

    def __init__(
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> None:
        if parties < 1:
            raise ValueError("parties must be >= 1")
        self.parties, self.n_waiting, self.broken = parties, 0, False
        self._action, self._timeout = action, timeout

    def wait(self, timeout: float | None = None) -> int:
        """Pass the barrier of one party.

        Raises:
            BrokenBarrierError: the barrier is broken, or the time is over.
            RuntimeError: it needs other threads, and there is no timeout.
        """
        if self.parties > 1 and not self.broken:
            self.broken = not _wait(self._timeout if timeout is None else timeout)
        if self.broken:
            raise BrokenBarrierError
        if self._action:
            self._action()
        return 0

    def reset(self) -> None:
        """Make the barrier whole."""
        self.broken = False

    def abort(self) -> None:
        """Break the barrier."""
        self.broken = True


class Thread:
    """A thread that cannot be started."""

    _counter = 0

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
        context: object = None,
    ) -> None:
        del group, context
        if name is None:
            Thread._counter += 1
            name = f"Thread-{Thread._counter}"
        self.name, self.daemon = str(name), bool(daemon)
        self.ident = self.native_id = None
        self._target, self._args, self._kwargs = target, tuple(args), dict(kwargs or {})

    def start(self) -> Never:
        """Refused.

        Raises:
            RuntimeError: always.
        """
        start_new_thread()

    def run(self) -> None:
        """Call the target, on the calling thread."""
        if self._target is not None:
            self._target(*self._args, **self._kwargs)

    def join(self, timeout: float | None = None) -> None:
        """Refused, since the thread was not started.

        Raises:
            RuntimeError: always.
        """
        del timeout
        raise RuntimeError("cannot join thread before it is started")

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self.ident is not None

    def getName(self) -> str:
        """The thread's name."""
        return self.name

    def setName(self, name: str) -> None:
        """Name the thread."""
        self.name = str(name)

    def isDaemon(self) -> bool:
        """Whether the program ends without waiting for the thread."""
        return self.daemon

    def setDaemon(self, daemonic: bool) -> None:
        """Say whether the program ends without waiting for the thread."""
        self.daemon = daemonic

    def __repr__(self) -> str:
        state = "started" if self.is_alive() else "initial"
        return f"<{type(self).__name__}({self.name}, {state})>"


class Timer(Thread):
    """A thread that would wait first."""

    def __init__(
        self,
        interval: float,
        function: Callable[..., object],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(target=function, args=args or (), kwargs=kwargs)
        self.interval, self.function, self.finished = interval, function, Event()

    def cancel(self) -> None:
        """Say that the function is not to be called."""
        self.finished.set()


_MAIN = Thread(name="MainThread")
_MAIN.ident = _MAIN.native_id = get_ident()
_kept: dict[str, Any] = {}


def current_thread() -> Thread:
    """The one thread."""
    return _MAIN


def enumerate() -> list[Thread]:
    """The threads that run."""
    return [_MAIN]


def active_count() -> int:
    """How many threads run."""
    return 1


def settrace(func: Any) -> None:
    """Keep a trace function for threads that are started later, which none is."""
    _kept["trace"] = func


def setprofile(func: Any) -> None:
    """Keep a profile function for threads that are started later, which none is."""
    _kept["profile"] = func


def gettrace() -> Any:
    """What `settrace` kept."""
    return _kept.get("trace")


def getprofile() -> Any:
    """What `setprofile` kept."""
    return _kept.get("profile")


class ExceptHookArgs(tuple[Any, ...]):
    """Arguments of `excepthook`: type, value, traceback and thread."""

    exc_type: type[BaseException] = property(lambda self: self[0])
    exc_value: BaseException | None = property(lambda self: self[1])
    exc_traceback: TracebackType | None = property(lambda self: self[2])
    thread: Thread | None = property(lambda self: self[3])


def excepthook(args: ExceptHookArgs, /) -> None:
    """Called for exceptions of threads, which do not run."""


def _register_atexit(func: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Kept nowhere: a guest ends without running exit handlers."""
    del func, arguments, options


main_thread = current_thread
currentThread, activeCount = current_thread, active_count
