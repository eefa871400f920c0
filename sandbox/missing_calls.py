"""Makes the system calls that a Python runtime has no system for fail, where they would trap.

componentize-py replaces every import of WASI by a function that traps. C code of Python that opens
a file or reads a clock therefore ends the run: without a place in the program, and where Python
promises an OSError that a program may catch. In the runtime's libc the functions below are replaced
by functions that report ENOTSUP as POSIX has it, from which Python raises OSError by itself:

    (func (param ..) (result i32)
      call $__errno_location  i32.const 58  i32.store
      i32.const -1)

What is not listed still traps. No index moves, and nothing else is changed.
Source: POSIX.1-2024, "return value" of each function; WASI preview 1, errno.
"""

from collections.abc import Mapping
from types import MappingProxyType

from sandbox.binary import (
    CODE,
    CORE_MODULE,
    EXPORT,
    HEADER_BYTES,
    IMPORT,
    imports_of,
    make_number,
    make_section,
    make_vector,
    read_number,
    sections_of,
)
from sandbox.errors import ComponentRefusedError

_ERRNO = "__errno_location"
_ENOTSUP = b"\x41\x3a"
"""i32.const 58"""
_MINUS_ONE, _ZERO, _LONG_MINUS_ONE = b"\x41\x7f", b"\x41\x00", b"\x42\x7f"

_BY_ANSWER = {
    _MINUS_ONE: (
        "access", "chdir", "clock_getres", "clock_gettime", "close", "creat", "faccessat",
        "fdatasync", "fstatat", "fsync", "ftruncate", "futimens", "getentropy", "gettimeofday",
        "link", "linkat", "lstat", "mkdir", "mkdirat", "nanosleep", "open", "openat", "poll",
        "pread", "preadv", "pselect", "pwrite", "pwritev", "read", "readlink", "readlinkat",
        "readv", "rename", "renameat", "rmdir", "scandir", "select", "socket", "stat", "symlink",
        "symlinkat", "truncate", "unlink", "unlinkat", "utimensat", "utimes", "write", "writev",
    ),
    _ZERO: ("fdopendir", "fopen", "freopen", "isatty", "opendir", "readdir", "realpath"),
    _ENOTSUP: ("clock_nanosleep", "posix_fadvise"),
    _LONG_MINUS_ONE: ("time",),
}  # fmt: skip
ANSWERS: Mapping[str, bytes] = MappingProxyType(
    {name: answer for answer, names in _BY_ANSWER.items() for name in names}
)
"""Function of the libc -> the instruction that gives its answer."""


def fail_missing_calls(component: bytes) -> bytes:
    """`component`, a runtime as componentize-py builds it, with the calls answered.

    Raises:
        ComponentRefusedError: it has no libc with these functions.
    """
    parts, found = [component[:HEADER_BYTES]], 0
    for kind, body in sections_of(component):
        exports = _functions(body) if kind == CORE_MODULE else {}
        if _ERRNO in exports and "clock_gettime" in exports:
            found += 1
            parts.append(make_section(kind, _answering(body, exports)))
        else:
            parts.append(make_section(kind, body))
    if found != 1:
        raise ComponentRefusedError(f"runtime: expected one libc, found {found}")
    return b"".join(parts)


def _answering(module: bytes, exports: Mapping[str, int]) -> bytes:
    missing = sorted(name for name in ANSWERS if name not in exports)
    if missing:
        raise ComponentRefusedError(f"runtime: its libc has no function {', '.join(missing)}")
    sections = list(sections_of(module))
    imported = next((imports_of(body)[0] for kind, body in sections if kind == IMPORT), 0)
    report = b"".join((b"\x10", make_number(exports[_ERRNO]), _ENOTSUP, b"\x36\x02\x00"))
    bodies = {
        exports[name] - imported: b"".join((b"\x00", report, answer, b"\x0b"))
        for name, answer in ANSWERS.items()
    }
    parts = [module[:HEADER_BYTES]]
    for kind, body in sections:
        parts.append(make_section(kind, _replaced(body, bodies) if kind == CODE else body))
    return b"".join(parts)


def _replaced(code: bytes, bodies: Mapping[int, bytes]) -> bytes:
    count, position = read_number(code, 0)
    entries = []
    for index in range(count):
        size, start = read_number(code, position)
        position = start + size
        body = bodies.get(index, code[start:position])
        entries.append(make_number(len(body)) + body)
    return make_vector(entries)


def _functions(module: bytes) -> dict[str, int]:
    """The exported functions of a core module, by name; the index counts imports, too."""
    section = next((body for kind, body in sections_of(module) if kind == EXPORT), b"\0")
    count, position = read_number(section, 0)
    functions = {}
    for _ in range(count):
        size, start = read_number(section, position)
        kind = section[start + size]
        index, position = read_number(section, start + size + 1)
        if kind == 0:
            functions[section[start : start + size].decode()] = index
    return functions
