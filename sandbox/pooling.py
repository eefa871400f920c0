"""Slots for instances of self-contained contracts, kept by the engine from run to run.

An instance on demand maps 4 GiB of addresses, faults in each page that it touches, and unmaps them.
The engine's pool keeps the addresses, and after a run puts the slot's content back to its initial
one; a slot that served the same component before costs neither mappings nor page faults. What a run
computes, its fuel and its limits stay the same: `tests/sandbox/test_sandbox_pooling.py`.

A component that does not fit into a slot is refused when it is loaded, and then runs on demand.
Workflows do, too, since their runs may be parked for long, and sealed processes, whose private
memory is limited: a slot stays writable as far as its largest guest has grown.
Source: `wasmtime/config.h`, `wasmtime_pooling_allocation_config_*`.
"""

from collections.abc import Mapping
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any

from wasmtime import _ffi as ffi

from sandbox.limits import KIB, MIB

INSTANCES_MAX = 32
"""Instances at a time."""
TABLE_ELEMENTS_MAX = 100_000
"""Elements of each table of a contract, in a pool or not; also the limit of platform 50200."""
_CORE_INSTANCES_MAX = 16
_MEMORIES_MAX = 2
_TABLES_MAX = 4

SETTINGS: Mapping[str, int] = MappingProxyType(
    {
        "total_component_instances": INSTANCES_MAX,
        "max_core_instances_per_component": _CORE_INSTANCES_MAX,
        "total_core_instances": INSTANCES_MAX * _CORE_INSTANCES_MAX,
        "max_memories_per_component": _MEMORIES_MAX,
        "max_memories_per_module": _MEMORIES_MAX,
        "total_memories": INSTANCES_MAX * _MEMORIES_MAX,
        "max_memory_size": 4 * 1024 * MIB,
        "linear_memory_keep_resident": 512 * KIB,
        "max_tables_per_component": _TABLES_MAX,
        "max_tables_per_module": _TABLES_MAX,
        "total_tables": INSTANCES_MAX * _TABLES_MAX,
        "table_elements": TABLE_ELEMENTS_MAX,
        "table_keep_resident": 64 * KIB,
        "max_unused_warm_slots": INSTANCES_MAX,
    }
)
"""Sizes of the pool. Memories may be as large as any limit of a run allows, and tables as those of
contracts, so that none is refused here. 260 GiB of addresses are reserved, and 100 MiB of private
memory for tables, of which no page is used until a table uses it."""


class Places:
    """As many places as the pool has instances: a run holds one within a `with` block. Thread-safe.

    A queue, since Python's semaphores take longer than a small guest's run.
    """

    def __init__(self, count: int = INSTANCES_MAX) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(self, *_: object) -> None:
        self._free.put(None)


def set_pool(config: Any) -> None:
    """Let the engine of `config` (a `wasmtime.Config`) keep its instances in a pool."""
    pool = ffi.wasmtime_pooling_allocation_config_new()
    try:
        for name, value in SETTINGS.items():
            getattr(ffi, f"wasmtime_pooling_allocation_config_{name}_set")(pool, value)
        ffi.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    finally:
        ffi.wasmtime_pooling_allocation_config_delete(pool)
