"""The linear memories of pinned runtimes' instances, made by this host instead of the engine.

The engine asks for a memory by a callback, and is answered with an address range that this module
has mapped; so the host knows where the memory of an instance is, and may map an image over it.
Source: wasmtime's C API, `wasmtime/config.h`, `wasmtime_config_host_memory_creator_set`.

An address range is reserved whole when the memory is made, so a memory never moves:

    base .. base + size            readable and writable
    .. base + reserved + guard     inaccessible, until the memory grows

The engine never calls two callbacks of one memory at once, and makes the memories of an instance on
the thread that instantiates it. No exception passes the boundary: it would be lost there.
"""

import ctypes
import errno
import itertools
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from wasmtime import _bindings as bindings

_PROT_NONE = 0
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0)
_MAP_FIXED = 0x10
_PROT_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
_MADV_POPULATE_WRITE = 23
"""Since Linux 5.14; Python's `mmap` does not name it."""
_FAILED = ctypes.c_void_p(-1).value
_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(0)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
)  # fmt: skip
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


@dataclass(slots=True)
class LinearMemory:
    """One linear memory; valid until the store of its instance is closed.

    Attributes:
        base: address of its first byte.
        size: accessible bytes; grows when the guest grows its memory.
        capacity: bytes up to which it can grow without being moved.
        mapped: bytes of the whole address range, with the guard behind the capacity.
    """

    base: int
    size: int
    capacity: int
    mapped: int

    def view(self) -> memoryview:
        """The accessible bytes; must not be used after the store is closed."""
        array = (ctypes.c_ubyte * self.size).from_address(self.base)
        return memoryview(array).cast("B")

    def grow(self, size: int) -> None:
        """Make the memory `size` bytes large; the new bytes are zero.

        Raises:
            OSError: beyond the capacity, or the system refuses.
        """
        if size > self.capacity:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        _open(self.base + self.size, size - self.size)
        self.size = size

    def map_file(self, descriptor: int, start: int, end: int) -> None:
        """Show the bytes `start` to `end` of a file at the same place, privately: writes stay here.

        Args:
            descriptor: of the file, which must not change while the memory exists.
            start: a multiple of the page size.
            end: a multiple of the page size, at most the memory's size.

        Raises:
            ValueError: beyond the memory's size.
            OSError: the system refuses.
        """
        if end > self.size:
            raise ValueError(f"{end} bytes for a memory of {self.size}")
        address = self.base + start
        _map(_PROT_READ_WRITE, _MAP_FIXED, address, end - start, (descriptor, start))

    def copy_pages(self, start: int, end: int) -> None:
        """Give the memory copies of a file's pages of its own now, not each at its first write.

        Args:
            start: a multiple of the page size.
            end: the same.
        """
        # Where the system refuses or does not know this, the pages are copied when written.
        _libc.madvise(self.base + start, end - start, _MADV_POPULATE_WRITE)

    def free(self) -> None:
        """Unmap the whole range of a memory that belongs to no instance."""
        _libc.munmap(self.base, self.mapped)

    def forget(self, start: int, end: int) -> None:
        """Show the file again from offset `start` to `end`, and free what was written there.

        Args:
            start: a multiple of the page size.
            end: the same.

        Raises:
            OSError: the system refuses.
        """
        if _libc.madvise(self.base + start, end - start, mmap.MADV_DONTNEED) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


@dataclass(slots=True)
class Created:
    """The memories that the calling thread's instantiation made.

    Attributes:
        memories: in the order of their creation.
        interruption: what could not be raised in a callback, such as `KeyboardInterrupt`.
    """

    memories: list[LinearMemory] = field(default_factory=list)
    interruption: BaseException | None = None


class _Local(threading.local):
    created: Created | None = None
    size_min: int = 0


_local = _Local()
_memories: dict[int, LinearMemory] = {}
"""Every memory that exists, by the number under which the engine knows it."""
_numbers = itertools.count(1)


@contextmanager
def creating(size_min: int = 0) -> Iterator[Created]:
    """Within the block, what the thread instantiates tells its memories.

    Args:
        size_min: bytes that a memory has at least, even if its module declares fewer; a multiple
            of 64 KiB.

    Raises:
        BaseException: what interrupted a callback; the instantiation has failed then.
    """
    before = _local.created, _local.size_min
    created = Created()
    _local.created, _local.size_min = created, size_min
    try:
        yield created
    except Exception:
        if created.interruption is not None:
            raise created.interruption from None
        raise
    finally:
        _local.created, _local.size_min = before


def memory_count() -> int:
    """How many memories exist in this process."""
    return len(_memories)


def set_creator(config: Any) -> None:
    """Let this module make the memories of the engine of `config` (a `wasmtime.Config`)."""
    creator = bindings.wasmtime_memory_creator_t()
    creator.new_memory = _new_memory  # type: ignore[assignment]
    creator.finalizer = _NO_FINALIZER  # type: ignore[assignment]
    bindings.wasmtime_config_host_memory_creator_set(config.ptr(), ctypes.byref(creator))


def _map(
    protection: int, flags: int, address: int, size: int, file: tuple[int, int] = (-1, 0)
) -> int:
    """Map memory, or a file from an offset on, privately; returns the address.

    Raises:
        OSError: the system refuses.
    """
    found = _libc.mmap(address, size, protection, flags | mmap.MAP_PRIVATE, *file)
    if found is None or found == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(found)


def _open(address: int, size: int) -> None:
    """Make `size` bytes from `address` on accessible.

    Raises:
        OSError: the system refuses.
    """
    if size and _libc.mprotect(address, size, _PROT_READ_WRITE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _made(minimum: int, reserved: int, guard: int) -> LinearMemory:
    """A new memory of `minimum` bytes, or what the thread's block asks for.

    Raises:
        OSError: the system refuses.
    """
    size = max(minimum, _local.size_min)
    capacity = max(size, reserved)
    mapped = capacity + guard
    base = _map(_PROT_NONE, mmap.MAP_ANONYMOUS | _MAP_NORESERVE, 0, mapped)
    try:
        _open(base, size)
    except BaseException:
        _libc.munmap(base, mapped)
        raise
    return LinearMemory(base, size, capacity, mapped)


def plain_memory(size: int) -> LinearMemory:
    """A memory of no instance, which cannot grow; whoever makes it must free it.

    Raises:
        OSError: the system refuses.
    """
    return _made(size, size, 0)


def _error(failure: BaseException) -> int:
    """An engine's error that names the failure; the engine owns it."""
    if isinstance(failure, OSError):
        # As the engine writes it for its own memories: `sandbox.traps` knows the form.
        text = f"memory: {failure.strerror} (os error {failure.errno})"
    else:
        text = f"memory: {type(failure).__name__}"
    pointer = bindings.wasmtime_error_new(text.encode())
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


@bindings.wasmtime_new_memory_callback_t  # type: ignore[untyped-decorator]
def _new_memory(
    _env: int | None,
    _type: Any,
    minimum: int,
    _maximum: int,
    reserved: int,
    guard: int,
    answer: Any,
) -> int:
    try:
        memory = _made(minimum, reserved, guard)
        number = next(_numbers)
        _memories[number] = memory
        found = answer.contents
        found.env = number
        found.get_memory = _get_memory
        found.grow_memory = _grow_memory
        found.finalizer = _end_memory
        if _local.created is not None:
            _local.created.memories.append(memory)
    except BaseException as failure:  # noqa: BLE001  # nothing may pass through the engine
        if _local.created is not None and not isinstance(failure, Exception):
            _local.created.interruption = failure
        return _error(failure)
    return 0


@bindings.wasmtime_memory_get_callback_t  # type: ignore[untyped-decorator]
def _get_memory(number: int, size: Any, capacity: Any) -> int:
    memory = _memories[number]
    size[0] = memory.size
    capacity[0] = memory.capacity
    return memory.base


@bindings.wasmtime_memory_grow_callback_t  # type: ignore[untyped-decorator]
def _grow_memory(number: int, size: int) -> int:
    try:
        memory = _memories[number]
        memory.grow(size)
    except BaseException as failure:  # noqa: BLE001  # nothing may pass through the engine
        return _error(failure)
    return 0


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # type: ignore[untyped-decorator]
def _end_memory(number: int | None) -> None:
    memory = _memories.pop(number or 0, None)
    if memory is not None:
        _libc.munmap(memory.base, memory.mapped)
