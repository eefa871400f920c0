"""The filter of system calls that a sealed process has, as classic BPF, and its installation."""

import ctypes
import errno
import os
import platform
import signal
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.isolation.syscalls import (
    ALLOWED,
    FATAL,
    NOT_EXECUTABLE,
    OWN_PROCESS,
    PAGE_MAP,
    STANDARD_ERROR,
)

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions `ld [k]`, `jeq #k`, `jge #k`, `jset #k`, `ret #k`."""
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
"""Offsets in `struct seccomp_data`; an argument is 8 bytes, little-endian here."""
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_X32_BIT = 0x40000000
_PROT_EXEC = 4
_SET_MODE_FILTER, _TSYNC = 1, 1


@dataclass(frozen=True, slots=True)
class _Architecture:
    audit: int
    column: int
    seccomp: int


_ARCHITECTURES = {
    "x86_64": _Architecture(0xC000003E, 0, 317),
    "aarch64": _Architecture(0xC00000B7, 1, 277),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def filter_of(machine: str, pid: int, page_map: int | None = None) -> bytes | None:
    """The program for process `pid`, 8 bytes an instruction; None on an unknown machine.

    Args:
        machine: as the system names it.
        pid: of the process.
        page_map: the descriptor of its page map, if it may read it.
    """
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        return None
    return b"".join(
        struct.pack("<HBBI", code, if_true, if_false, value)
        for code, if_true, if_false, value in _instructions(architecture, pid, page_map)
    )


def install(page_map: int | None = None) -> str | None:
    """Filter the system calls of all threads from now on; returns the reason if that fails.

    Needs no-new-privileges. `page_map` is as of `filter_of`.
    """
    machine = platform.machine()
    program = filter_of(machine, os.getpid(), page_map)
    if program is None or os.uname().sysname != "Linux":
        return f"no filter for {os.uname().sysname} on {machine}"
    buffer = ctypes.create_string_buffer(program, len(program))
    header = _Program(len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    number = _ARCHITECTURES[machine].seccomp
    done = libc.syscall(number, _SET_MODE_FILTER, _TSYNC, ctypes.byref(header))
    if done != 0:
        return f"seccomp: {os.strerror(ctypes.get_errno()) if done < 0 else 'a thread refuses'}"
    return None


def _instructions(
    of: _Architecture, pid: int, page_map: int | None
) -> Iterator[tuple[int, int, int, int]]:
    yield _LOAD, 0, 0, _ARCHITECTURE_AT
    yield _JUMP_EQUAL, 1, 0, of.audit
    yield _RETURN, 0, 0, _KILL_PROCESS
    yield _LOAD, 0, 0, _NUMBER_AT
    if of.column == 0:
        yield _JUMP_AT_LEAST, 0, 1, _X32_BIT
        yield _RETURN, 0, 0, _KILL_PROCESS
    for numbers in ALLOWED.values():
        yield from _answer(numbers[of.column], _ALLOW)
    for numbers in NOT_EXECUTABLE.values():
        yield from _by_argument(numbers[of.column], 2, _JUMP_ANY_BIT, _PROT_EXEC, is_good=False)
    for numbers in OWN_PROCESS.values():
        yield from _aborts(numbers[of.column], pid)
    for numbers in STANDARD_ERROR.values():
        yield from _by_argument(numbers[of.column], 0, _JUMP_EQUAL, 2, is_good=True)
    for numbers in PAGE_MAP.values() if page_map is not None else ():
        yield from _by_argument(numbers[of.column], 0, _JUMP_EQUAL, page_map or 0, is_good=True)
    for numbers in FATAL.values():
        yield from _answer(numbers[of.column], _KILL_PROCESS)
    yield _RETURN, 0, 0, _ERRNO | errno.EPERM


def _answer(number: int | None, answer: int) -> Iterator[tuple[int, int, int, int]]:
    if number is not None:
        yield _JUMP_EQUAL, 0, 1, number
        yield _RETURN, 0, 0, answer


def _by_argument(
    number: int, argument: int, test: int, value: int, *, is_good: bool
) -> Iterator[tuple[int, int, int, int]]:
    """Decide one system call by the low half of an argument, as the kernel does."""
    yield _JUMP_EQUAL, 0, 4, number
    yield _LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument
    yield (test, 0, 1, value) if is_good else (test, 1, 0, value)
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _KILL_PROCESS


def _aborts(number: int, pid: int) -> Iterator[tuple[int, int, int, int]]:
    """Decide `tgkill`: other signals would let a process pretend to be killed from outside."""
    yield _JUMP_EQUAL, 0, 6, number
    yield _LOAD, 0, 0, _ARGUMENTS_AT
    yield _JUMP_EQUAL, 0, 3, pid
    yield _LOAD, 0, 0, _ARGUMENTS_AT + 16
    yield _JUMP_EQUAL, 0, 1, signal.SIGABRT
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _KILL_PROCESS
