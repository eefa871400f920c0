"""`_thread` of a sandbox: locks of a program that has one thread."""

from typing import Never

__tracebackhide__ = True

TIMEOUT_MAX = 4294967.0
error = RuntimeError

_HELD = "the lock is held already, and a sandbox has one thread: nothing would ever release it"
_NO_THREADS = "a sandbox has one thread: use plain calls, receive_all for several peers"


def waits(blocking: bool, timeout: float) -> bool:
    """Whether a call would wait for ever; False where Python would return without success.

    Raises:
        ValueError: the two arguments contradict each other, or the time is negative.
    """
    if not blocking and timeout != -1:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0 and timeout != -1:
        raise ValueError("timeout value must be a non-negative number")
    return blocking and timeout == -1


class lock:
    """A lock. Taking it twice cannot succeed, so it fails at once instead of waiting."""

    def __init__(self) -> None:
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; False if it is held and the call may not wait for ever.

        Raises:
            RuntimeError: it is held, and the call would wait for ever.
        """
        forever = waits(blocking, timeout)
        if self._held:
            if forever:
                raise RuntimeError(_HELD)
            return False
        self._held = True
        return True

    def release(self) -> None:
        """Give the lock back.

        Raises:
            RuntimeError: it is not held.
        """
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False

    def locked(self) -> bool:
        """Whether the lock is held."""
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exception: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{'locked' if self._held else 'unlocked'} _thread.lock>"

    acquire_lock, release_lock, locked_lock = acquire, release, locked


class RLock:
    """A lock that its holder may take again, which in a sandbox is everyone."""

    def __init__(self) -> None:
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock once more."""
        waits(blocking, timeout)
        self._count += 1
        return True

    def release(self) -> None:
        """Give the lock back once.

        Raises:
            RuntimeError: it is not held.
        """
        if not self._count:
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1

    def locked(self) -> bool:
        """Whether the lock is held."""
        return self._count > 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exception: object) -> None:
        self.release()

    def __repr__(self) -> str:
        state = "locked" if self._count else "unlocked"
        return f"<{state} _thread.RLock count={self._count}>"

    def _is_owned(self) -> bool:
        return self._count > 0


class _local:
    """Attributes of the one thread."""

    def __new__(cls, *arguments: object, **options: object) -> "_local":
        if (arguments or options) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        return object.__new__(cls)


def allocate_lock() -> lock:
    """A lock that is not held."""
    return lock()


def start_new_thread(*_arguments: object, **_options: object) -> Never:
    """Refused.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(_NO_THREADS)


def get_ident() -> int:
    """The number of the one thread."""
    return 1


def stack_size(size: int = 0) -> int:
    """0, the default; sizes are not kept, since no thread is started."""
    if size < 0:
        raise ValueError("size must be 0 or a positive value")
    return 0


def exit() -> Never:
    """End the thread.

    Raises:
        SystemExit: always.
    """
    raise SystemExit


def _count() -> int:
    return 0


LockType = lock
allocate, start_new, exit_thread = allocate_lock, start_new_thread, exit
start_joinable_thread = start_new_thread
get_native_id = get_ident
