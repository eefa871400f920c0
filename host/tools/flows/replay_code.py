"""The code of a CorDapp's folder, for a replay."""

from pathlib import Path

from cpi.package.descriptor import CodeDescriptor
from host.guests.code import CpkCode
from host.guests.replay.code import FlowNotInCodeError, ReplayCode, declares, guest_of_code
from host.tools.cordapps.code import python_code, python_sources
from host.tools.cordapps.dependencies import foreign_cpks, merged_sources
from host.tools.cordapps.project import CordappProject, load_project
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox


def code_of_folder(
    folder: Path, flow_class: str, sandbox: Sandbox, *, exact: bool = False
) -> ReplayCode:
    """The code of a CorDapp's folder as it would be built now; raises the errors of `code_of_cpi`.

    Raises:
        ProjectInvalidError: its cordapp.toml is wrong.
    """
    project = load_project(folder)
    files, descriptor = _built(project, sandbox)
    if not declares(descriptor, flow_class):
        raise FlowNotInCodeError(f"{folder} declares no flow {flow_class!r}")
    source = PythonSource(files=files, entry_modules=descriptor.entry_modules)
    code = CpkCode(label=str(folder), descriptor=descriptor, source=source, wasm=None)
    return ReplayCode(
        label=str(folder),
        checksum=None,
        guest=guest_of_code(sandbox, code, exact=exact),
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
