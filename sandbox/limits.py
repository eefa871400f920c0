"""Limits of one sandbox run, and what a run used."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds of one run; reaching one ends the run with that limit's error.

    Attributes:
        fuel_max: wasm instructions, roughly; deterministic for one engine version.
        memory_bytes_max: bytes of each linear memory.
        table_elements_max: elements of each table; of a contract's, at most 100,000.
        wall_ms_max: milliseconds from the start of the call, host calls included.
        payload_bytes_max: UTF-8 bytes of any one text that crosses the boundary, either way.
        host_calls_max: host calls, `log` included.
        log_bytes_max: UTF-8 bytes of all requests to `log` together.
    """

    fuel_max: int = 2_000_000_000
    memory_bytes_max: int = 128 * MIB
    table_elements_max: int = 100_000
    wall_ms_max: int = 10_000
    payload_bytes_max: int = 4 * MIB
    host_calls_max: int = 10_000
    log_bytes_max: int = 64 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources that one run used. `log_bytes` counts all requests to `log`, repeats included."""

    fuel: int = 0
    host_calls: int = 0
    log_bytes: int = 0
