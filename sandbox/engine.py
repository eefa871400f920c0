"""The only constructor of engines, and the fingerprints that key all compiled code.

Engines differ in how memories begin: for self-contained components the engine maps their initial
content copy-on-write; for pinned runtimes this host makes the memories (`sandbox.images.memories`).
That changes no result of a call and no fuel that it uses, so receipts name one profile; but the
fuel of an instantiation differs, since data segments are then copied by compiled code, and compiled
code for one kind of engine cannot be loaded by the other.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType

import wasmtime
from wasmtime import _ffi as ffi

from sandbox import growth, pooling
from sandbox.images import memories
from sandbox.limits import MIB

WASM_STACK_BYTES = 1024 * 1024

SETTINGS: Mapping[str, bool | int | str] = MappingProxyType(
    {
        "consume_fuel": True,
        "epoch_interruption": True,
        "cranelift_nan_canonicalization": True,
        "cranelift_opt_level": "speed",
        "max_wasm_stack": WASM_STACK_BYTES,
        "wasm_relaxed_simd": True,
        "wasm_relaxed_simd_deterministic": True,
        "wasm_threads": False,
        "shared_memory": False,
        "wasm_memory64": False,
        "wasm_function_references": False,
        "wasm_gc": False,
        "wasm_stack_switching": False,
        "wasm_custom_page_sizes": False,
        "wasm_wide_arithmetic": False,
        "wasm_component_model": True,
    }
)
"""Every setting that differs from, or must not drift with, wasmtime's defaults."""

_COMPONENT_SETTINGS: Mapping[str, bool] = MappingProxyType(
    {
        "wasm_component_model_async": False,
        "wasm_component_model_async_stackful": False,
        "wasm_component_model_more_async_builtins": False,
        "concurrency_support": False,
    }
)
"""Settings of the C API that the Python binding does not wrap."""

_RUNTIME_REVISION = 2
"""Of what is changed in runtimes before they are compiled: `sandbox.images.stripped`, `joined`."""

_RUNTIME_SETTINGS: Mapping[str, bool | int] = MappingProxyType(
    {
        "memory_init_cow": False,
        "memory_may_move": False,
        "memory_reservation": 4 * 1024 * MIB,
        "memory_guard_size": 32 * MIB,
    }
)
"""Settings of engines whose memories this host makes; they change no call."""


class EngineKind(StrEnum):
    """What an engine runs."""

    COMPONENTS = "components"
    CONTRACTS = "contracts"
    """As `COMPONENTS`, which it shares compiled code with, but its instances come from a pool."""
    RUNTIMES = "runtimes"


def new_engine(kind: EngineKind = EngineKind.COMPONENTS) -> wasmtime.Engine:
    """A new engine of the one profile.

    Raises:
        WasmtimeError: the system has too few addresses for the kind's pool.
    """
    config = wasmtime.Config()
    for name, value in SETTINGS.items():
        setattr(config, name, value)
    for name, enabled in _COMPONENT_SETTINGS.items():
        getattr(ffi, f"wasmtime_config_{name}_set")(config.ptr(), enabled)
    if kind is EngineKind.RUNTIMES:
        for name, setting in _RUNTIME_SETTINGS.items():
            getattr(ffi, f"wasmtime_config_{name}_set")(config.ptr(), setting)
        memories.set_creator(config)
    if kind is EngineKind.CONTRACTS:
        pooling.set_pool(config)
    return wasmtime.Engine(config)


@cache
def profile_digest() -> str:
    """SHA-256 of the inputs that determine a run's result and fuel: settings and engine version."""
    profile = {
        "settings": {**SETTINGS, **_COMPONENT_SETTINGS},
        "wasmtime": engine_version(),
        "refused growth": growth.REVISION,
    }
    return hashlib.sha256(json.dumps(profile, sort_keys=True).encode()).hexdigest()


@cache
def engine_version() -> str:
    """The version of wasmtime."""
    from importlib.metadata import version  # noqa: PLC0415  # takes a fifth of all imports here

    return version("wasmtime")


@cache
def fingerprint(kind: EngineKind = EngineKind.COMPONENTS) -> str:
    """SHA-256 of the inputs of compilation: profile, kind of engine, architecture and CPU."""
    parts = [profile_digest(), platform.system(), platform.machine(), _cpu_features()]
    if kind is EngineKind.RUNTIMES:
        parts += [json.dumps(dict(_RUNTIME_SETTINGS), sort_keys=True), str(_RUNTIME_REVISION)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _cpu_features() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    keys = ("flags", "Features", "model name")
    return "\n".join(sorted({line for line in lines if line.split("\t", 1)[0] in keys}))
