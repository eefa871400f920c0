"""The code that a replay runs: of a CPI, with or without line numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

from cpi.package.descriptor import CodeDescriptor
from cpi.package.model import PackageType
from cpi.package.verify import read_package
from host.domain.errors import InvalidInputError
from host.guests.code import CodeRefusedError, CpkCode, code_of, refusing_code
from host.guests.replay.guest_trace import MODULE
from sandbox.python_source import PythonSource
from sandbox.runnable import Runnable
from sandbox.runtime import Sandbox
from sandbox.world import World


class FlowNotInCodeError(InvalidInputError):
    """The code does not declare the recorded flow."""

    code = "flow-not-in-code"


GuestOf = Callable[[World, str], Runnable]
"""Gives the guest of code that the sandbox has, by its world and digest."""


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
    guest: Runnable
    sources: Mapping[str, str]
    capabilities: frozenset[str]


class CpiCode:
    """The code of a CPI's workflows. Used by one thread.

    The CPI's signers do not matter: its code runs in a sandbox without access to anything.
    """

    def __init__(
        self, data: bytes, label: str, sandbox: Sandbox, *, guest_of: GuestOf | None = None
    ) -> None:
        """Read the package.

        Args:
            data: the CPI file.
            label: its name.
            sandbox: makes the image or compiles.
            guest_of: gives the guests, in the process in which they run; by default in this one.

        Raises:
            CpiError: it is not a CPI.
        """
        self._package = read_package(data, package_type=PackageType.CPI)
        self._label = label
        self._sandbox = sandbox
        self._guest_of = guest_of or sandbox.guest
        self._made: dict[tuple[str, bool], ReplayCode] = {}

    def of_flow(self, flow_class: str, *, exact: bool = False) -> ReplayCode:
        """The code of the CPK that declares a flow.

        Args:
            flow_class: the flow.
            exact: run the component as it is, without line numbers.

        Raises:
            FlowNotInCodeError: no CPK declares the flow.
            CodeRefusedError: the code cannot be used.
        """
        for cpk in self._package.cpks:
            if cpk.descriptor is not None and declares(cpk.descriptor, flow_class):
                key = (cpk.file_checksum, exact)
                if key not in self._made:
                    self._made[key] = self._make(code_of(cpk, self._package.cpks), exact=exact)
                return self._made[key]
        raise FlowNotInCodeError(f"{self._label} declares no flow {flow_class!r}")

    def _make(self, code: CpkCode, *, exact: bool) -> ReplayCode:
        package = self._package
        named = None if package.id is None else f"{package.id.name} {package.id.version}"
        return ReplayCode(
            label=self._label if named is None else f"{self._label} ({named})",
            checksum=package.file_checksum,
            guest=guest_of_code(self._sandbox, code, exact=exact, guest_of=self._guest_of),
            sources=dict(code.source.files) if code.source else {},
            capabilities=frozenset(code.descriptor.capabilities),
        )


def code_of_cpi(
    data: bytes, label: str, flow_class: str, sandbox: Sandbox, *, exact: bool = False
) -> ReplayCode:
    """The code of the CPK of a CPI that declares a flow; see `CpiCode`."""
    return CpiCode(data, label, sandbox).of_flow(flow_class, exact=exact)


def declares(descriptor: CodeDescriptor, flow_class: str) -> bool:
    """Whether a CPK is a workflow that declares a flow."""
    return descriptor.world == World.WORKFLOW.value and any(
        flow.get("name") == flow_class for flow in descriptor.flows
    )


def guest_of_code(
    sandbox: Sandbox, code: CpkCode, *, exact: bool, guest_of: GuestOf | None = None
) -> Runnable:
    """The guest of a workflow's code, that reports the origin of its calls unless it is `exact`.

    Raises:
        CodeRefusedError: the code cannot be used.
    """
    with refusing_code(code.label):
        if code.source is not None:
            chosen = code.source if exact else _traced(code.source)
            made = sandbox.make_image(World.WORKFLOW, chosen, runtime=code.descriptor.runtime)
        elif code.wasm is not None:
            made = sandbox.admit(World.WORKFLOW, code.wasm)
        else:
            raise CodeRefusedError(f"{code.label}: there is no code")
        return (guest_of or sandbox.guest)(World.WORKFLOW, made.digest)


def _traced(source: PythonSource) -> PythonSource:
    """`source` with the module that reports the origin of host calls."""
    text = resources.files(__package__).joinpath("guest_trace.py").read_text(encoding="utf-8")
    return PythonSource(
        files={**source.files, f"{MODULE}.py": text},
        entry_modules=(*source.entry_modules, MODULE),
    )
