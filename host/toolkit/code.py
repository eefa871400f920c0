"""The code of one CPK at build time: from sources or a component to entries and a descriptor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import zstandard

from cpi.descriptor import PYTHON_PREFIX, CodeDescriptor
from host.domain.errors import InvalidInputError
from host.guests.code import (
    COMPONENT_BYTES_MAX,
    DESCRIBED,
    CodeRefusedError,
    describe,
    refusing_code,
)
from host.toolkit.project import CpkPlan
from host.toolkit.sources import SourceRules, collect_sources
from sandbox.guest import Component
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox
from sandbox.world import World

COMPONENT_ENTRY = "wasm/component.wasm.zst"
WORLD_VERSION = "1.0.0"
_ZSTD_LEVEL = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCode:
    """Entries of the CPK, its descriptor, and its sources (empty for a component)."""

    entries: Mapping[str, bytes]
    descriptor: CodeDescriptor
    sources: Mapping[str, str] = field(default_factory=dict)


def python_code(
    sandbox: Sandbox, plan: CpkPlan, limits: Mapping[str, int], *, base: Mapping[str, str]
) -> BuiltCode:
    """Collect the sources, derive the component and let it describe itself.

    Files that `base` holds with the same text are part of the code, but not of the entries: the
    host takes them from the CPK that this one depends on.

    Args:
        sandbox: derives and runs.
        plan: a CPK with `source`.
        limits: the descriptor's limits.
        base: sources of the CPK that this one depends on.

    Raises:
        SourceRefusedError: sources that cannot run in a sandbox.
        CodeRefusedError: the code fails while it is loaded, or does not describe itself.
    """
    if plan.source is None:
        raise ValueError(f"{plan.symbolic_name} has no source folder")
    world = World(plan.world)
    runtime = sandbox.default_runtime(world)
    rules = SourceRules.of_default_runtime()
    own = collect_sources(plan.source, plan.modules, rules=rules, base=base)
    with refusing_code(plan.symbolic_name):
        source = PythonSource(files={**base, **own}, entry_modules=plan.modules)
        component = sandbox.derive(world, source, runtime=runtime)
    descriptor = _descriptor(
        sandbox,
        plan,
        component,
        limits,
        form="python",
        runtime=runtime,
        source_digest=source.digest,
        entry_modules=plan.modules,
    )
    entries = {
        PYTHON_PREFIX + path: text.encode() for path, text in own.items() if base.get(path) != text
    }
    return BuiltCode(entries=entries, descriptor=descriptor, sources=own)


def component_code(sandbox: Sandbox, plan: CpkPlan, limits: Mapping[str, int]) -> BuiltCode:
    """Hold a finished component against its world, let it describe itself, and compress it.

    Raises:
        CodeRefusedError: it is too large, imports more than its world, or fails to describe itself.
    """
    if plan.component is None:
        raise ValueError(f"{plan.symbolic_name} has no component")
    wasm = _read(plan.component)
    with refusing_code(plan.component.name):
        component = sandbox.admit(World(plan.world), wasm)
    descriptor = _descriptor(
        sandbox,
        plan,
        component,
        limits,
        form="component",
        component_path=COMPONENT_ENTRY,
        component_size=len(wasm),
    )
    packed = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(wasm)
    return BuiltCode(entries={COMPONENT_ENTRY: packed}, descriptor=descriptor)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            wasm = stream.read(COMPONENT_BYTES_MAX + 1)
    except OSError as refused:
        raise InvalidInputError(f"{path} cannot be read: {refused.strerror}") from refused
    if len(wasm) > COMPONENT_BYTES_MAX:
        raise CodeRefusedError(f"{path} is larger than {COMPONENT_BYTES_MAX} bytes")
    return wasm


def _descriptor(
    sandbox: Sandbox,
    plan: CpkPlan,
    component: Component,
    limits: Mapping[str, int],
    *,
    form: Literal["python", "component"],
    runtime: str | None = None,
    source_digest: str | None = None,
    component_path: str | None = None,
    component_size: int | None = None,
    entry_modules: tuple[str, ...] = (),
) -> CodeDescriptor:
    with refusing_code(plan.symbolic_name):
        guest = sandbox.guest(World(plan.world), component.digest)
    answer = describe(guest, plan.symbolic_name)
    declared: dict[str, tuple[Any, ...]] = {key: tuple(answer[key]) for key in DESCRIBED}
    return CodeDescriptor(
        world=plan.world.value,
        world_version=WORLD_VERSION,
        form=form,
        runtime=runtime,
        source_digest=source_digest,
        component_digest=component.digest,
        component_path=component_path,
        component_size=component_size,
        entry_modules=entry_modules,
        capabilities=plan.capabilities,
        limits=limits,
        toolchain={"cordbox": version("cordbox"), "sdk": str(answer.get("sdk", "unknown"))},
        **declared,
    )
