"""The code of a CorDapp as the kit runs it: its guests, and what its parts declare.

Both ways answer the same records, so that everything above is told of no difference.
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cordapp import guest, registry
from cpi.package.descriptor import CodeDescriptor
from cpi.package.model import PackageId
from host.domain.errors import InvalidInputError
from host.domain.ids import Checksum, ShortHash
from host.domain.packages import CodeWorld, CpiRecord, CpkRecord
from host.guests.code import DESCRIBED
from host.guests.declarations import declarations_of
from host.tools.cordapps.build import prepare_cordapp
from host.tools.cordapps.module_names import modules_of
from host.tools.cordapps.project import CordappProject, CpkPlan
from host.tools.cordapps.sources import SourceRefusedError, missing_entries, walk_sources
from host.tools.cordapps.toolchains import ComponentBuilder, no_toolchains
from host.tools.testkit.native_guest import NativeGuest
from host.tools.testkit.project import mount, source_folders, source_folders_of
from sandbox.errors import CapabilityNotGrantedError
from sandbox.host_calls import HostCallHandler
from sandbox.outcome import Outcome, Returned
from sandbox.runnable import Runnable, RunRequest
from sandbox.runtime import Sandbox
from sandbox.world import World

SIGNERS = f"SHA-256:{hashlib.sha256(b'cordapp_testkit').hexdigest().upper()}"
"""Signer summary hash of what was never signed."""

_KINDS = (
    registry.CONTRACTS,
    registry.STATES,
    registry.COMMANDS,
    registry.QUERIES,
    registry.FLOWS,
    registry.ENTITIES,
)


class NotPythonError(InvalidInputError):
    """Code that is asked to run as plain Python is of another language."""

    code = "cordapp-not-python"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFailure:
    """How the code itself failed.

    Attributes:
        report: the `err` of the run (host-api.md).
        exception: the exception itself, where the code is plain Python in this process.
    """

    report: Mapping[str, Any]
    exception: BaseException | None = None

    @property
    def type(self) -> str:
        """The error's code, or the exception's class name."""
        return str(self.report["type"])

    @property
    def trace(self) -> tuple[Mapping[str, Any], ...]:
        """Frames of the CorDapp's own files."""
        frames = self.report.get("trace")
        found = frames if isinstance(frames, list) else []
        return tuple(frame for frame in found if isinstance(frame, dict))


class FailureLog:
    """How the code of one network failed: of each flow the last failure, by the flow's id.

    Attributes:
        refusals: what contracts refused, the oldest first.
    """

    def __init__(self) -> None:
        self.refusals: list[Mapping[str, Any]] = []
        self._failures: dict[str, GuestFailure] = {}
        self._exceptions: dict[str, BaseException] = {}

    def find(self, flow_id: str) -> GuestFailure | None:
        return self._failures.get(flow_id)

    def raised(self, start: str, exception: BaseException) -> None:
        """Keep the exception for the answer that follows."""
        self._exceptions[_flow_id(start)] = exception

    def failed(self, start: str, payload: str) -> None:
        """Keep the `err` of a run."""
        flow_id = _flow_id(start)
        exception = self._exceptions.pop(flow_id, None)
        report = _object(payload)
        if "type" in report:
            self._failures[flow_id] = GuestFailure(report=report, exception=exception)

    def refused(self, payload: str) -> None:
        """Keep the `err` of a contract's run."""
        listed = _object(payload).get("failures")
        found = listed if isinstance(listed, list) else []
        self.refusals += [failure for failure in found if isinstance(failure, dict)]


FindGuest = Callable[[World, str, FailureLog], Runnable]
"""Finds the guest of a component by its digest; tells the log what a run raised, if it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KitCode:
    """What a network of nodes runs.

    Attributes:
        name, version: the CorDapp's.
        cpks: its parts, the contract first.
        folders: where its Python modules lie and those that it brings.
        described: what each part declares, put together (host-api.md, `describe`).
        find_guest: finds what runs a part.
    """

    name: str
    version: str
    cpks: tuple[CpkRecord, ...]
    folders: tuple[Path, ...]
    described: Mapping[str, Any]
    find_guest: FindGuest

    def guests(self, failures: FailureLog) -> "KitGuests":
        """The guests of one network, which tell `failures` how flows fail in their own code."""
        return KitGuests([self], failures)


def native_code(project: CordappProject) -> KitCode:
    """The project's modules, imported into this process.

    Raises:
        NotPythonError: a part is no Python.
        DeclarationInvalidError: the code declares what no CPK may declare.
    """
    import_modules(project)
    plans = [plan for plan in (project.contract, project.workflow) if plan is not None]
    folders: list[Path] = []
    records, described = [], dict[str, Any]()
    for plan in plans:
        folders += source_folders_of(plan)
        with only_classes_below(folders):
            described = json.loads(guest.describe())
        descriptor = CodeDescriptor(
            world=plan.world.value,
            world_version="1.0.0",
            form="python",
            code_digest=_digest_of("native", plan),
            entry_modules=plan.modules,
            capabilities=plan.capabilities,
            limits=project.limits,
            **_declared(described),
        )
        records.append(_record(project, plan, descriptor))
    return KitCode(
        name=project.name,
        version=project.version,
        cpks=tuple(records),
        folders=tuple(folders),
        described=described,
        find_guest=lambda world, digest, log: NativeGuest(world, digest, log.raised),
    )


def import_modules(project: CordappProject) -> None:
    """Import the project's entry modules into this process.

    Raises:
        NotPythonError: a part is no Python.
        SourceRefusedError: an entry module is not there.
    """
    mount(project)
    for plan in (project.contract, project.workflow):
        if plan is not None and not plan.modules:
            raise NotPythonError(f"{plan.symbolic_name} is no Python: it runs in a sandbox only")
        if plan is not None and plan.source is not None:
            _check_entries(plan.source, plan.modules)
        for module in plan.modules if plan else ():
            importlib.import_module(module)


def _check_entries(folder: Path, entry_modules: Sequence[str]) -> None:
    files = (path for path in walk_sources(folder) if path.suffix == ".py")
    paths = [path.relative_to(folder).as_posix() for path in files]
    missing = missing_entries(folder, entry_modules, modules_of(paths))
    if missing:
        raise SourceRefusedError(tuple(missing))


def sandboxed_code(
    project: CordappProject,
    sandbox: Sandbox,
    *,
    build_component: ComponentBuilder = no_toolchains,
) -> KitCode:
    """The project's images and components, made as `cordbox cordapp build` does it.

    Raises:
        InvalidInputError: as `host.tools.cordapps.build.prepare_cordapp`.
    """
    mount(project)
    prepared = prepare_cordapp(
        project, sandbox, lambda _step: None, build_component=build_component
    )
    described: dict[str, list[Any]] = {key: [] for key in DESCRIBED}
    for cpk in prepared.cpks:
        for key, known in described.items():
            known += [entry for entry in getattr(cpk.code.descriptor, key) if entry not in known]
    return KitCode(
        name=project.name,
        version=project.version,
        cpks=tuple(_record(project, cpk.plan, cpk.code.descriptor) for cpk in prepared.cpks),
        folders=tuple(source_folders(project)),
        described=described,
        find_guest=lambda world, digest, _log: sandbox.guest(world, digest),
    )


@contextmanager
def only_classes_below(folders: Sequence[Path]) -> Iterator[None]:
    """Hide the classes of other CorDapps: one test process may have imported several."""
    saved = [dict(kind) for kind in _KINDS]
    try:
        for kind in _KINDS:
            for name, cls in list(kind.items()):
                if not _is_below(cls, folders):
                    del kind[name]
        yield
    finally:
        for kind, before in zip(_KINDS, saved, strict=True):
            kind.clear()
            kind.update(before)


class KitGuests:
    """The `GuestSource` of one network, which notes how flows fail in their own code."""

    def __init__(self, codes: Sequence["KitCode"], failures: FailureLog) -> None:
        self._failures = failures
        self._finders: dict[str, FindGuest] = {}
        for code in codes:
            self.add(code)

    def add(self, code: "KitCode") -> None:
        """Run the parts of one more CorDapp, too."""
        self._finders |= {cpk.code_digest: code.find_guest for cpk in code.cpks}

    def guest(self, cpi: CpiRecord, cpk: CpkRecord, *, node: ShortHash | None = None) -> Runnable:
        """See `GuestSource.guest`."""
        del cpi, node
        return self.candidate(World(cpk.world), cpk.code_digest)

    def prepare(self, cpi: CpiRecord) -> None:
        """See `GuestSource.prepare`."""

    def candidate(self, world: World, code_digest: str) -> Runnable:
        """See `GuestSource.candidate`."""
        guest = self._finders[code_digest](world, code_digest, self._failures)
        return _Watched(guest, self._failures)


@dataclass(frozen=True, slots=True)
class _Watched(Runnable):
    """A guest whose failures are noted."""

    guest: Runnable
    failures: FailureLog = field(repr=False)

    def run(self, request: RunRequest, host: HostCallHandler | None = None) -> Outcome:
        try:
            outcome = self.guest.run(request, host)
        except CapabilityNotGrantedError as refused:
            self.failures.failed(request.argument or "", refused.report or "")
            raise
        if isinstance(outcome, Returned) and outcome.is_error:
            if request.export == "run":
                self.failures.failed(request.argument or "", outcome.value or "")
            elif request.export == "verify":
                self.failures.refused(outcome.value or "")
        return outcome


def _declared(described: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(described[key]) for key in DESCRIBED}


def _record(project: CordappProject, plan: CpkPlan, descriptor: CodeDescriptor) -> CpkRecord:
    """What a host would keep of the part once it is packaged, as far as it can be known."""
    declared = declarations_of(descriptor, plan.symbolic_name)
    return CpkRecord(
        identity=PackageId(
            name=plan.symbolic_name, version=project.version, signer_summary_hash=SIGNERS
        ),
        file_checksum=Checksum(_digest_of("file", plan)),
        world=CodeWorld(descriptor.world),
        code_digest=descriptor.code_digest,
        flows=declared.flows,
        contract_types=declared.contract_types,
        state_types=declared.state_types,
        queries=declared.queries,
        states_in_vault=declared.states_in_vault,
        entities=declared.entities,
        capabilities=descriptor.capabilities,
        libraries=(),
        limits=dict(descriptor.limits),
        external_channels=plan.external_channels or None,
    )


def _digest_of(what: str, plan: CpkPlan) -> str:
    text = f"{what} {plan.world.value} {plan.symbolic_name} {plan.version}"
    return f"SHA-256:{hashlib.sha256(text.encode()).hexdigest().upper()}"


def _is_below(cls: type, folders: Sequence[Path]) -> bool:
    file = getattr(importlib.import_module(cls.__module__), "__file__", None)
    return file is not None and any(Path(file).is_relative_to(folder) for folder in folders)


def _object(payload: str) -> dict[str, Any]:
    """The JSON object of a guest's `err`; of other languages it may be any text."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _flow_id(start: str) -> str:
    return str(json.loads(start)["flowId"])
