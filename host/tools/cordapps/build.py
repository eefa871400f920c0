"""Build a CorDapp: sources or components in, signed CPKs and a signed CPB out.

Everything is built in memory before the first file is written, and files appear complete or not at
all. The same sources give the same bytes up to the signatures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from cpi.crypto.keys import SigningKey
from cpi.jar.signing import Stamp
from cpi.package.build import CpkSpec, build_cpb, build_cpk
from cpi.package.descriptor import DESCRIPTOR_PATH, CodeDescriptor, dump_descriptor
from cpi.package.external_channels import CHANNELS_PATH, channels_document
from cpi.package.model import CpkDependency, PackageType
from cpi.package.verify import read_package
from host.domain.errors import InvalidInputError
from host.domain.packages import CodeWorld
from host.guests.admissions import Admissions, Task
from host.guests.code import MAKING_MEMORY_BYTES, CodeRefusedError
from host.guests.declarations import declarations_of
from host.tools.cordapps.code import (
    BuiltCode,
    PythonSources,
    component_code,
    python_code,
    python_sources,
)
from host.tools.cordapps.dependencies import DependencyRefusedError, ForeignCpk, foreign_cpks
from host.tools.cordapps.project import CordappProject, CpkPlan, load_project
from host.tools.cordapps.sources import SourceRefusedError
from host.tools.cordapps.toolchains import ComponentBuilder, no_toolchains
from host.tools.lint.run import checked
from host.tools.output import BuiltFile, write_files
from sandbox.runtime import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCpk:
    """A CPK that only needs to be signed."""

    file_name: str
    plan: CpkPlan
    spec: CpkSpec
    code: BuiltCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCordapp:
    """All content of a CorDapp's packages; equal sources give equal values.

    Attributes:
        name, version: of the CPB.
        cpks: the project's own, the contract CPK first.
        foreign: signed CPKs of other signers that go into the CPB unchanged.
    """

    name: str
    version: str
    cpks: tuple[PreparedCpk, ...]
    foreign: tuple[ForeignCpk, ...]

    @property
    def cpb_name(self) -> str:
        return f"{self.name}-{self.version}.cpb"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCpk:
    """A CPK and what its code declares."""

    file: BuiltFile
    symbolic_name: str
    descriptor: CodeDescriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCordapp:
    """The output of a build. The contract CPK, if any, is first. `warnings` are for the author."""

    name: str
    version: str
    cpks: tuple[BuiltCpk, ...]
    cpb: BuiltFile
    warnings: tuple[str, ...] = ()


def build_cordapp(
    project_dir: Path,
    keys: Sequence[SigningKey],
    out_dir: Path,
    sandbox: Sandbox,
    progress: Callable[[str], None],
    *,
    build_component: ComponentBuilder = no_toolchains,
    signature_name: str | None = None,
    stamp: Stamp | None = None,
) -> BuiltCordapp:
    """Build the project's CPKs and CPB into `out_dir`.

    Args:
        project_dir: holds `cordapp.toml`.
        keys: sign every CPK and the CPB.
        out_dir: created if it is missing; files of the same names are replaced.
        sandbox: makes the images and runs `describe`.
        progress: is told each step in a sentence.
        build_component: makes the components of CPKs in other languages than Python.
        signature_name: base name of the signature files, for one key only.
        stamp: timestamps each signature.

    Raises:
        ProjectInvalidError: `cordapp.toml`.
        ToolchainMissingError, ToolchainFailedError: sources in other languages.
        SourceRefusedError: sources that cannot run in a sandbox.
        LintRefusedError: contract code that could give different verdicts.
        VendoringRefusedError: third-party packages that cannot be vendored.
        DependencyRefusedError: a CPK of others that cannot be a dependency.
        CodeRefusedError: the sandbox refuses the code, or it lacks the entry points of its world.
        DeclarationInvalidError: the code describes itself in another shape than documented.
        CpiError: names, versions or keys that no package can have; dependencies not satisfied.
        StorageError: `out_dir` cannot be written; nothing is left there.
    """
    project = load_project(project_dir)
    prepared = prepare_cordapp(project, sandbox, progress, build_component=build_component)
    lint_warnings = checked(project)
    progress("Signing packages")
    files = sign_cordapp(prepared, keys, signature_name=signature_name, stamp=stamp)
    own = {cpk.file_name: files[cpk.file_name] for cpk in prepared.cpks}
    written = write_files(out_dir, {**own, prepared.cpb_name: files[prepared.cpb_name]})
    cpks = (
        BuiltCpk(file=file, symbolic_name=cpk.plan.symbolic_name, descriptor=cpk.code.descriptor)
        for file, cpk in zip(written, prepared.cpks, strict=False)
    )
    return BuiltCordapp(
        name=prepared.name,
        version=prepared.version,
        cpks=tuple(cpks),
        cpb=written[-1],
        warnings=(*lint_warnings, *(line for cpk in prepared.cpks for line in cpk.code.warnings)),
    )


def prepare_cordapp(
    project: CordappProject,
    sandbox: Sandbox,
    progress: Callable[[str], None],
    *,
    runtimes: Mapping[CodeWorld, str] = MappingProxyType({}),
    build_component: ComponentBuilder = no_toolchains,
) -> PreparedCordapp:
    """Everything of a build that needs no key.

    Args:
        project: what to build.
        sandbox: makes the images and runs `describe`.
        progress: is told each step in a sentence.
        runtimes: digests of the runtimes to use; the newest where a world is not named.
        build_component: makes the components of CPKs in other languages than Python.

    Raises:
        InvalidInputError: as `build_cordapp` does, by kind.
    """
    codes = _codes(project, sandbox, progress, runtimes, build_component)
    foreign = () if project.workflow is None else foreign_cpks(project.workflow)
    cpks = tuple(
        PreparedCpk(
            file_name=f"{project.name}-{plan.world.value}-{project.version}.jar",
            plan=plan,
            spec=_spec(project, plan, code, foreign),
            code=code,
        )
        for plan, code in codes
    )
    taken = {cpk.file_name for cpk in cpks}
    for other in foreign:
        if other.file_name in taken:
            raise DependencyRefusedError(
                f"{other.file_name}: has the file name of one of the project's own CPKs"
            )
    return PreparedCordapp(name=project.name, version=project.version, cpks=cpks, foreign=foreign)


def sign_cordapp(
    prepared: PreparedCordapp,
    keys: Sequence[SigningKey],
    *,
    signature_name: str | None = None,
    stamp: Stamp | None = None,
) -> dict[str, bytes]:
    """The signed files by name: CPKs, those of others included, and the CPB last.

    Raises:
        CpiError: names, versions or keys that no package can have; the CPKs do not satisfy each
            other's dependencies.
    """
    files = {
        cpk.file_name: build_cpk(cpk.spec, keys, signature_name=signature_name, stamp=stamp)
        for cpk in prepared.cpks
    }
    files |= {other.file_name: other.data for other in prepared.foreign}
    cpb = build_cpb(
        name=prepared.name,
        version=prepared.version,
        cpks=files,
        keys=keys,
        signature_name=signature_name,
        stamp=stamp,
    )
    read_package(cpb, package_type=PackageType.CPB)
    return {**files, prepared.cpb_name: cpb}


def _codes(
    project: CordappProject,
    sandbox: Sandbox,
    progress: Callable[[str], None],
    runtimes: Mapping[CodeWorld, str],
    build_component: ComponentBuilder,
) -> list[tuple[CpkPlan, BuiltCode]]:
    """The code of each CPK, the contract's first: the workflow's sources build upon it.

    Sources are collected one after the other, code runs at once.
    """
    plans = [plan for plan in (project.contract, project.workflow) if plan is not None]
    sources = _sources([plan for plan in plans if _is_python(plan)])
    tasks: list[Task[BuiltCode]] = []
    for plan in plans:
        progress(f"Preparing the {plan.world.value} code of {plan.symbolic_name}")
        action: Callable[[], BuiltCode]
        if _is_python(plan):
            runtime, own = runtimes.get(plan.world), sources[plan.world]
            action = partial(python_code, sandbox, own, project.limits, runtime=runtime)
        else:
            action = partial(component_code, sandbox, plan, project.limits, build_component)
        tasks.append(Task(name=plan.symbolic_name, memory_bytes=MAKING_MEMORY_BYTES, action=action))
    with Admissions.of_machine() as admissions:
        codes = admissions.run(
            tasks, lambda name, count, whole: progress(f"Prepared {name}, {count} of {whole}")
        )
    for plan, code in zip(plans, codes, strict=True):
        _check_declarations(plan, code.descriptor)
    return list(zip(plans, codes, strict=True))


def _is_python(plan: CpkPlan) -> bool:
    return plan.component is None and plan.language is None


def _sources(plans: Sequence[CpkPlan]) -> dict[CodeWorld, PythonSources]:
    """The sources of each CPK by its world.

    Raises:
        SourceRefusedError: with the problems of all of them.
    """
    found: dict[CodeWorld, PythonSources] = {}
    problems: list[str] = []
    base: Mapping[str, str] = {}
    for plan in plans:
        try:
            found[plan.world] = python_sources(plan, base=base)
            base = found[plan.world].own
        except SourceRefusedError as refused:
            problems += refused.problems
            base = refused.files
        except InvalidInputError:
            if not problems:
                raise
    if problems:
        raise SourceRefusedError(tuple(problems))
    return found


def _check_declarations(plan: CpkPlan, descriptor: CodeDescriptor) -> None:
    """Refuse code without the entry points of its world, or with those of the other one."""
    label = plan.symbolic_name
    if plan.world is CodeWorld.CONTRACT:
        if not descriptor.contracts:
            raise CodeRefusedError(f"{label}: the contract code declares no contract")
        if descriptor.flows:
            raise CodeRefusedError(
                f"{label}: the contract code declares flow {descriptor.flows[0]['name']}; "
                "flows belong into the workflow CPK"
            )
    elif not descriptor.flows:
        raise CodeRefusedError(f"{label}: the workflow code declares no flow")
    declared = declarations_of(descriptor, label)
    for name in (*declared.contract_types, *(flow.name for flow in declared.flows)):
        if "," in name:
            raise CodeRefusedError(f"{label}: the name {name!r} has a comma")


def _spec(
    project: CordappProject, plan: CpkPlan, code: BuiltCode, foreign: Sequence[ForeignCpk]
) -> CpkSpec:
    """A workflow depends on the project's contract by its signer, on others' by their hash."""
    dependencies: tuple[CpkDependency, ...] = ()
    if plan.world is CodeWorld.WORKFLOW:
        dependencies = tuple(other.dependency for other in foreign)
        if project.contract is not None:
            own = CpkDependency(name=project.contract.symbolic_name, version=project.version)
            dependencies = (own, *dependencies)
    entries = {DESCRIPTOR_PATH: dump_descriptor(code.descriptor), **code.entries}
    if plan.external_channels:
        entries[CHANNELS_PATH] = channels_document(plan.external_channels)
    return CpkSpec(
        symbolic_name=plan.symbolic_name,
        version=project.version,
        cordapp_kind=plan.world.value,
        cordapp_name=plan.symbolic_name,
        cordapp_version=plan.version,
        vendor=project.vendor,
        licence=project.licence,
        entries=entries,
        dependencies=dependencies,
        attributes=_class_attributes(plan.world, code.descriptor),
    )


def _class_attributes(world: CodeWorld, descriptor: CodeDescriptor) -> dict[str, str]:
    """Corda's `Corda-*-Classes` main attributes, those without classes left out."""
    names: dict[str, list[str]] = {}
    if world is CodeWorld.CONTRACT:
        names["Corda-Contract-Classes"] = [c["name"] for c in descriptor.contracts]
    for flow in descriptor.flows:
        names.setdefault("Corda-Flow-Classes", []).append(flow["name"])
        attribute = _FLOW_ATTRIBUTES.get(flow["kind"])
        if attribute:
            names.setdefault(attribute, []).append(flow["name"])
    return {attribute: ",".join(sorted(classes)) for attribute, classes in names.items()}


_FLOW_ATTRIBUTES = {
    "client-startable": "Corda-ClientStartableFlow-Classes",
    "responder": "Corda-InitiatedFlow-Classes",
    "sub-flow": "Corda-Subflow-Classes",
}
