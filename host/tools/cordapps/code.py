"""The code of one CPK at build time: from sources or a component to entries and a descriptor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import zstandard

from cpi.package.descriptor import PYTHON_PREFIX, CodeDescriptor
from host.domain.errors import InvalidInputError
from host.guests.code import (
    COMPONENT_BYTES_MAX,
    DESCRIBED,
    CodeRefusedError,
    describe,
    refusing_code,
)
from host.tools.cordapps.capability_use import undeclared_uses
from host.tools.cordapps.dependencies import foreign_cpks, merged_sources
from host.tools.cordapps.package_data import package_data
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.sources import collect_sources, unreached_of
from host.tools.cordapps.toolchains import ComponentBuilder
from host.tools.cordapps.vendoring import vendored_packages
from sandbox.guest import Component
from sandbox.python_source import PythonSource, data_bytes, is_data
from sandbox.runtime import Sandbox
from sandbox.world import World

COMPONENT_ENTRY = "wasm/component.wasm.zst"
WORLD_VERSION = "1.0.0"
_ZSTD_LEVEL = 19
_WARNINGS_MAX, _WARNING_CHARACTERS_MAX = 1_000, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCode:
    """The parts of a CPK that come from its code.

    Attributes:
        entries: its entries, without the descriptor.
        descriptor: describes the entries and their declarations.
        sources: its modules and data files (`PythonSource.files`); empty for a component.
        warnings: one sentence each, with file and line.
    """

    entries: Mapping[str, bytes]
    descriptor: CodeDescriptor
    sources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSources:
    """The sources of a Python CPK, before any of them has run.

    Attributes:
        own: its modules and data files (`PythonSource.files`).
        base: those of the CPKs that it depends on.
        vendored: entries of its vendored packages beside modules and data.
        warnings: one sentence each, with file and line.
    """

    plan: CpkPlan
    own: Mapping[str, str]
    base: Mapping[str, str]
    vendored: Mapping[str, bytes]
    warnings: tuple[str, ...]


def python_sources(plan: CpkPlan, *, base: Mapping[str, str]) -> PythonSources:
    """Collect the sources of a CPK.

    Args:
        plan: a CPK with `source`; its vendored packages and dependencies are read.
        base: sources of the project's own CPK that this one depends on.

    Raises:
        SourceRefusedError: sources that cannot run in a sandbox.
        VendoringRefusedError: third-party packages that cannot be vendored.
        DependencyRefusedError: a file of `dependencies` that is not a contract CPK.
    """
    if plan.source is None:
        raise ValueError(f"{plan.symbolic_name} has no source folder")
    rules = SourceRules.of_default_runtime()
    vendored = vendored_packages(plan)
    base = merged_sources(base, foreign_cpks(plan))
    collected = collect_sources(
        plan.source,
        plan.modules,
        rules=rules,
        base=base,
        vendored=vendored.modules,
        data=package_data(plan, vendored.data),
        unreached=unreached_of(plan),
    )
    return PythonSources(
        plan=plan,
        own=collected.files,
        base=base,
        vendored=vendored.entries,
        warnings=tuple(collected.warnings),
    )


def python_code(
    sandbox: Sandbox,
    sources: PythonSources,
    limits: Mapping[str, int],
    *,
    runtime: str | None = None,
) -> BuiltCode:
    """Make the image of the sources and run its `describe`.

    Files that a dependency contains with the same text are part of the code, but not of the
    entries: the host takes them from the dependencies.

    Args:
        sandbox: makes and runs it.
        sources: of the CPK.
        limits: the descriptor's limits.
        runtime: digest of the pinned runtime; the newest by default.

    Raises:
        CodeRefusedError: the code fails while it is loaded, or its `describe` fails.
    """
    plan, own, base = sources.plan, sources.own, sources.base
    world = World(plan.world)
    runtime = runtime or sandbox.default_runtime(world)
    with refusing_code(plan.symbolic_name):
        source = PythonSource(files={**base, **own}, entry_modules=plan.modules)
        component = sandbox.make_image(world, source, runtime=runtime)
    descriptor, warnings = _descriptor(
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
        PYTHON_PREFIX + path: data_bytes(text) if is_data(path) else text.encode()
        for path, text in own.items()
        if base.get(path) != text
    }
    return BuiltCode(
        entries={**entries, **sources.vendored},
        descriptor=descriptor,
        sources=own,
        warnings=(*sources.warnings, *undeclared_uses(plan, own), *warnings),
    )


def component_code(
    sandbox: Sandbox, plan: CpkPlan, limits: Mapping[str, int], build_component: ComponentBuilder
) -> BuiltCode:
    """Check a component against its world, run its `describe`, and compress it.

    Args:
        sandbox: admits and runs it.
        plan: a CPK with a finished `component`, or with `source` and `language`.
        limits: the descriptor's limits.
        build_component: makes the component of another language's sources.

    Raises:
        ToolchainMissingError, ToolchainFailedError: the component cannot be built from the sources.
        CodeRefusedError: it is too large, imports more than its world, or its `describe` fails.
    """
    if plan.component is not None:
        label, wasm = plan.component.name, _read(plan.component)
    elif plan.language is not None and plan.source is not None:
        label = plan.symbolic_name
        wasm = build_component(plan.language, plan.world, plan.source)
    else:
        raise ValueError(f"{plan.symbolic_name} has no component")
    with refusing_code(label):
        component = sandbox.admit(World(plan.world), wasm)
    descriptor = _descriptor(
        sandbox,
        plan,
        component,
        limits,
        form="component",
        component_path=COMPONENT_ENTRY,
        component_size=len(wasm),
    )[0]
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
) -> tuple[CodeDescriptor, tuple[str, ...]]:
    """The descriptor, and what the code's own checks warn of."""
    with refusing_code(plan.symbolic_name):
        guest = sandbox.guest(World(plan.world), component.digest)
    answer = describe(guest, plan.symbolic_name)
    declared: dict[str, tuple[Any, ...]] = {key: tuple(answer[key]) for key in DESCRIBED}
    warnings = tuple(str(line)[:_WARNING_CHARACTERS_MAX] for line in answer.get("warnings", ()))
    descriptor = CodeDescriptor(
        world=plan.world.value,
        world_version=WORLD_VERSION,
        form=form,
        runtime=runtime,
        source_digest=source_digest,
        code_digest=component.digest,
        component_path=component_path,
        component_size=component_size,
        entry_modules=entry_modules,
        capabilities=plan.capabilities,
        limits=limits,
        toolchain={
            "cordbox": version("cordbox"),
            "sdk": str(answer.get("sdk", "unknown")),
        },
        **declared,
    )
    return descriptor, warnings[:_WARNINGS_MAX]
