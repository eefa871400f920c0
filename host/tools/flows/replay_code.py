"""The code that a replay runs: of a CPI, or of a CorDapp's folder, with or without line numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cpi.package.descriptor import CodeDescriptor
from cpi.package.model import PackageType
from cpi.package.verify import read_package
from host.domain.errors import InvalidInputError
from host.guests.code import CodeRefusedError, CpkCode, code_of, refusing_code
from host.tools.code import python_code, python_sources
from host.tools.dependencies import foreign_cpks, merged_sources
from host.tools.flows.guest_trace import MODULE
from host.tools.project import CordappProject, load_project
from sandbox.guest import Guest
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox
from sandbox.world import World


class FlowNotInCodeError(InvalidInputError):
    """The code does not declare the recorded flow."""

    code = "flow-not-in-code"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCode:
    """A workflow's code.

    Attributes:
        label: its name in messages.
        checksum: of the CPI, None for a folder.
        guest: the code.
        sources: Python files by the path that lines name; empty for other languages.
        capabilities: the capabilities that the code declares.
    """

    label: str
    checksum: str | None
    guest: Guest
    sources: Mapping[str, str]
    capabilities: frozenset[str]


def code_of_cpi(
    data: bytes, label: str, flow_class: str, sandbox: Sandbox, *, exact: bool = False
) -> ReplayCode:
    """The code of the CPK of a CPI that declares a flow.

    The CPI's signers do not matter: its code runs in a sandbox without access to anything.

    Args:
        data: the CPI file.
        label: its name.
        flow_class: the flow.
        sandbox: makes the image or compiles.
        exact: run the component as it is, without line numbers.

    Raises:
        CpiError: it is not a CPI.
        FlowNotInCodeError: no CPK declares the flow.
        CodeRefusedError: the code cannot be used.
    """
    package = read_package(data, package_type=PackageType.CPI)
    for cpk in package.cpks:
        if cpk.descriptor is not None and _declares(cpk.descriptor, flow_class):
            code = code_of(cpk, package.cpks)
            break
    else:
        raise FlowNotInCodeError(f"{label} declares no flow {flow_class!r}")
    guest = _guest(sandbox, code, exact=exact)
    return ReplayCode(
        label=f"{label} ({package.id.name} {package.id.version})" if package.id else label,
        checksum=package.file_checksum,
        guest=guest,
        sources=dict(code.source.files) if code.source else {},
        capabilities=frozenset(code.descriptor.capabilities),
    )


def code_of_folder(
    folder: Path, flow_class: str, sandbox: Sandbox, *, exact: bool = False
) -> ReplayCode:
    """The code of a CorDapp's folder as it would be built now; raises the errors of `code_of_cpi`.

    Raises:
        ProjectInvalidError: its cordapp.toml is wrong.
    """
    project = load_project(folder)
    files, descriptor = _built(project, sandbox)
    if not _declares(descriptor, flow_class):
        raise FlowNotInCodeError(f"{folder} declares no flow {flow_class!r}")
    source = PythonSource(files=files, entry_modules=descriptor.entry_modules)
    code = CpkCode(label=str(folder), descriptor=descriptor, source=source, wasm=None)
    return ReplayCode(
        label=str(folder),
        checksum=None,
        guest=_guest(sandbox, code, exact=exact),
        sources=files,
        capabilities=frozenset(descriptor.capabilities),
    )


def _built(project: CordappProject, sandbox: Sandbox) -> tuple[dict[str, str], CodeDescriptor]:
    if project.workflow is None or project.workflow.source is None:
        raise FlowNotInCodeError(f"{project.root} has no workflow in Python")
    base: dict[str, str] = {}
    if project.contract is not None and project.contract.source is not None:
        base = dict(python_sources(project.contract, base={}).own)
    built = python_code(sandbox, python_sources(project.workflow, base=base), {})
    base = dict(merged_sources(base, foreign_cpks(project.workflow)))
    return {**base, **built.sources}, built.descriptor


def _declares(descriptor: CodeDescriptor, flow_class: str) -> bool:
    return descriptor.world == World.WORKFLOW.value and any(
        flow.get("name") == flow_class for flow in descriptor.flows
    )


def _guest(sandbox: Sandbox, code: CpkCode, *, exact: bool) -> Guest:
    with refusing_code(code.label):
        if code.source is not None:
            chosen = code.source if exact else _traced(code.source)
            made = sandbox.make_image(World.WORKFLOW, chosen, runtime=code.descriptor.runtime)
        elif code.wasm is not None:
            made = sandbox.admit(World.WORKFLOW, code.wasm)
        else:
            raise CodeRefusedError(f"{code.label}: there is no code")
        return sandbox.guest(World.WORKFLOW, made.digest)


def _traced(source: PythonSource) -> PythonSource:
    """`source` with the module that reports the origin of host calls."""
    text = resources.files(__package__).joinpath("guest_trace.py").read_text(encoding="utf-8")
    return PythonSource(
        files={**source.files, f"{MODULE}.py": text},
        entry_modules=(*source.entry_modules, MODULE),
    )
