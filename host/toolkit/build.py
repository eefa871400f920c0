"""Build a CorDapp: sources or components in, signed CPKs and a signed CPB out.

Everything is made in memory before the first file is written, and files appear whole or not at all.
The same sources give the same bytes up to the signatures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpi.build import CpkSpec, build_cpb, build_cpk
from cpi.descriptor import DESCRIPTOR_PATH, CodeDescriptor, dump_descriptor
from cpi.keys import SigningKey
from cpi.model import CpkDependency
from host.domain.packages import CodeWorld
from host.guests.code import CodeRefusedError
from host.guests.declarations import declarations_of
from host.toolkit.code import BuiltCode, component_code, python_code
from host.toolkit.output import BuiltFile, write_files
from host.toolkit.project import CordappProject, CpkPlan, load_project
from sandbox.runtime import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCpk:
    """A CPK and what its code declares."""

    file: BuiltFile
    symbolic_name: str
    descriptor: CodeDescriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCordapp:
    """What a build made. The contract CPK, if any, comes first."""

    name: str
    version: str
    cpks: tuple[BuiltCpk, ...]
    cpb: BuiltFile


def build_cordapp(
    project_dir: Path,
    keys: Sequence[SigningKey],
    out_dir: Path,
    sandbox: Sandbox,
    progress: Callable[[str], None],
) -> BuiltCordapp:
    """Build the project's CPKs and CPB into `out_dir`.

    Args:
        project_dir: holds `cordapp.toml`.
        keys: sign every CPK and the CPB.
        out_dir: made if it is not there; files of the same names are replaced.
        sandbox: derives the components and runs `describe`.
        progress: is told each step in a sentence.

    Raises:
        ProjectInvalidError: `cordapp.toml`.
        SourceRefusedError: sources that cannot run in a sandbox.
        CodeRefusedError: the sandbox refuses the code, or it lacks what its world needs.
        DeclarationInvalidError: the code describes itself in another shape than documented.
        CpiError: names, versions or keys that no package can have.
        StorageError: `out_dir` cannot be written; nothing is left there.
    """
    project = load_project(project_dir)
    codes = _codes(project, sandbox, progress)
    progress("Signing packages")
    files: dict[str, bytes] = {}
    for plan, code in codes:
        name = f"{project.name}-{plan.world.value}-{project.version}.jar"
        files[name] = build_cpk(_spec(project, plan, code), keys)
    cpb_name = f"{project.name}-{project.version}.cpb"
    cpb = build_cpb(name=project.name, version=project.version, cpks=files, keys=keys)
    written = write_files(out_dir, {**files, cpb_name: cpb})
    cpks = (
        BuiltCpk(file=file, symbolic_name=plan.symbolic_name, descriptor=code.descriptor)
        for file, (plan, code) in zip(written, codes, strict=False)
    )
    return BuiltCordapp(
        name=project.name, version=project.version, cpks=tuple(cpks), cpb=written[-1]
    )


def _codes(
    project: CordappProject, sandbox: Sandbox, progress: Callable[[str], None]
) -> list[tuple[CpkPlan, BuiltCode]]:
    """The code of each CPK, the contract's first: the workflow's sources build upon it."""
    result: list[tuple[CpkPlan, BuiltCode]] = []
    base: Mapping[str, str] = {}
    for plan in (project.contract, project.workflow):
        if plan is None:
            continue
        progress(f"Preparing the {plan.world.value} code of {plan.symbolic_name}")
        if plan.component is not None:
            code = component_code(sandbox, plan, project.limits)
        else:
            code = python_code(sandbox, plan, project.limits, base=base)
            base = code.sources
        _check_declarations(plan, code.descriptor)
        result.append((plan, code))
    return result


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


def _spec(project: CordappProject, plan: CpkPlan, code: BuiltCode) -> CpkSpec:
    depends_on = project.contract if plan.world is CodeWorld.WORKFLOW else None
    return CpkSpec(
        symbolic_name=plan.symbolic_name,
        version=project.version,
        cordapp_kind=plan.world.value,
        cordapp_name=plan.symbolic_name,
        cordapp_version=plan.version,
        vendor=project.vendor,
        licence=project.licence,
        entries={DESCRIPTOR_PATH: dump_descriptor(code.descriptor), **code.entries},
        dependencies=()
        if depends_on is None
        else (CpkDependency(name=depends_on.symbolic_name, version=project.version),),
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
