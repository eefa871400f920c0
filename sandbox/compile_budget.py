"""Limits of compiling one component: CPU time, memory, threads and wall-clock time.

Compilers take more than linear time on some inputs, so the budget of an uploaded component grows
only linearly with its code: a small one gets less than a second and 256 MiB. Measured with wasmtime
50, fuel on: 1.6 µs of CPU time and 60 bytes a byte of code for QuickJS and Rust, where a bomb takes
60 µs and 8 KB a byte.
"""

from dataclasses import dataclass
from typing import Self

from sandbox.limits import KIB, MIB

_SMALL_CODE_BYTES = 128 * KIB
_CPU_SECONDS = 0.75
_CPU_SECONDS_A_BYTE = 4e-6
_MEMORY_BYTES = 200 * MIB
_MEMORY_BYTES_A_BYTE = 192
_WALL_FACTOR = 20
"""Generous, because a process gets a small share of a busy host; the CPU time is the real limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileBudget:
    """Upper bounds of one compilation; the process that reaches one is killed.

    Attributes:
        cpu_seconds: CPU time of all threads, from when the component is read.
        memory_bytes: writable private memory beyond that of the compiler before it starts.
        wall_seconds: time from the start of the process.
        threads: threads that compile functions; 0 for one a core.
    """

    cpu_seconds: float
    memory_bytes: int
    wall_seconds: float
    threads: int

    @classmethod
    def of_code(cls, code_bytes: int) -> Self:
        """The budget of a self-contained component with so many bytes of function bodies."""
        more = max(0, code_bytes - _SMALL_CODE_BYTES)
        cpu_seconds = _CPU_SECONDS + more * _CPU_SECONDS_A_BYTE
        return cls(
            cpu_seconds=cpu_seconds,
            memory_bytes=_MEMORY_BYTES + more * _MEMORY_BYTES_A_BYTE,
            wall_seconds=_WALL_FACTOR * cpu_seconds,
            threads=2,
        )


RUNTIME = CompileBudget(
    cpu_seconds=120.0, memory_bytes=2 * 1024 * MIB, wall_seconds=240.0, threads=0
)
"""The budget of a pinned runtime: 21 MB, 16 s of CPU time, 430 MiB.

All of its code is this project's, so its cost depends on this project alone.
"""
