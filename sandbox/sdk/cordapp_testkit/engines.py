"""The two ways to run a CorDapp's code: as plain Python, and in the WebAssembly sandbox."""

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cordapp import guest, registry
from cordapp_testkit.errors import CallRefusedError, FlowKilled
from cordapp_testkit.project import granted, mount, owns
from host.toolkit.project import CordappProject

if TYPE_CHECKING:
    from sandbox.limits import Limits
    from sandbox.runtime import Guest

Calls = Callable[[str, str, str], str]
"""The host of one flow: answers `ok`, raises CallRefusedError for `err`, FlowKilled to end it."""


class Engine(Protocol):
    """Runs the code of one CorDapp."""

    def describe(self) -> dict[str, Any]:
        """What the CorDapp declares (host-api.md, `describe`)."""
        ...

    def verify(self, transaction: str) -> list[dict[str, Any]]:
        """Failures of the contracts, empty when all accept."""
        ...

    def run(self, start: str, calls: Calls) -> tuple[str | None, dict[str, Any]]:
        """Result text and {}, or None and the flow's error."""
        ...


class NativeEngine:
    """Runs the code in this process: fast, with a debugger, and without any protection."""

    def __init__(self, project: CordappProject) -> None:
        mount(project)
        self._project = project
        self._granted = granted(project)
        for plan in (project.contract, project.workflow):
            for module in plan.modules if plan else ():
                importlib.import_module(module)

    def describe(self) -> dict[str, Any]:
        with self._only_own_classes():
            described: dict[str, Any] = json.loads(guest.describe())
        return described

    def verify(self, transaction: str) -> list[dict[str, Any]]:
        try:
            guest.verify(transaction)
        except guest.Refused as refused:
            failures: list[dict[str, Any]] = json.loads(refused.payload)["failures"]
            return failures
        return []

    def run(self, start: str, calls: Calls) -> tuple[str | None, dict[str, Any]]:
        killed: list[FlowKilled] = []

        def host(interface: str, function: str, request: str) -> str:
            try:
                self._refuse_ungranted(interface)
                return calls(interface, function, request)
            except CallRefusedError as refused:
                raise guest.HostCallError(refused.payload) from None
            except FlowKilled as kill:
                killed.append(kill)
                raise

        result: tuple[str | None, dict[str, Any]]
        try:
            result = guest.run(start, host), {}
        except guest.Failed as failed:
            result = None, json.loads(failed.payload)
        if killed:  # also when the flow caught it: code cannot overrule the platform
            raise killed[0]
        return result

    def _refuse_ungranted(self, interface: str) -> None:
        if interface not in self._granted:
            raise FlowKilled("capability-not-granted", f"{interface} is not granted")

    @contextmanager
    def _only_own_classes(self) -> Iterator[None]:
        """Hide other CorDapps' classes: one test process may have imported several."""
        kinds = (
            registry.CONTRACTS,
            registry.STATES,
            registry.COMMANDS,
            registry.FLOWS,
            registry.ENTITIES,
        )
        saved = [dict(kind) for kind in kinds]
        try:
            for kind in kinds:
                for name, cls in list(kind.items()):
                    if not owns(self._project, cls):
                        del kind[name]
            yield
        finally:
            for kind, before in zip(kinds, saved, strict=True):
                kind.clear()
                kind.update(before)


class SandboxEngine:
    """Runs the code as the host does: pre-initialised, in a fresh WebAssembly sandbox each time."""

    def __init__(
        self, project: CordappProject, *, cache_dir: Path, limits: "Limits | None" = None
    ) -> None:
        from host.toolkit.code import python_code  # noqa: PLC0415  # needs the sandbox's runtimes
        from sandbox.limits import Limits  # noqa: PLC0415  # the same
        from sandbox.runtime import Sandbox  # noqa: PLC0415  # the same
        from sandbox.world import World  # noqa: PLC0415  # the same

        mount(project)
        box = Sandbox(cache_dir=cache_dir)
        self._limits = limits or Limits()
        self._granted = granted(project)
        self._contract: Guest | None = None
        self._workflow: Guest | None = None
        base: dict[str, str] = {}
        if project.contract:
            built = python_code(box, project.contract, {}, base={})
            base = dict(built.sources)
            self._contract = box.guest(World.CONTRACT, built.descriptor.component_digest)
        if project.workflow:
            built = python_code(box, project.workflow, {}, base=base)
            self._workflow = box.guest(World.WORKFLOW, built.descriptor.component_digest)
        self._described = self._describe()

    def describe(self) -> dict[str, Any]:
        return self._described

    def _describe(self) -> dict[str, Any]:
        guest_code = self._workflow or self._contract  # a workflow holds the contracts too
        if guest_code is None:
            return {}
        outcome = guest_code.call("describe", None, limits=self._limits)
        described: dict[str, Any] = json.loads(outcome.value)
        return described

    def verify(self, transaction: str) -> list[dict[str, Any]]:
        from sandbox.errors import SandboxError  # noqa: PLC0415  # needs the sandbox

        if self._contract is None:
            return []
        try:
            outcome = self._contract.call("verify", transaction, limits=self._limits)
        except SandboxError as exc:
            return [{"contract": "", "states": [], "type": exc.code, "message": exc.message}]
        if not outcome.is_error:
            return []
        failures: list[dict[str, Any]] = json.loads(outcome.value)["failures"]
        return failures

    def run(self, start: str, calls: Calls) -> tuple[str | None, dict[str, Any]]:
        from sandbox.errors import SandboxError  # noqa: PLC0415  # needs the sandbox
        from sandbox.host_calls import GuestError  # noqa: PLC0415  # the same

        def host(interface: str, function: str, request: str) -> str:
            try:
                return calls(interface, function, request)
            except CallRefusedError as refused:
                raise GuestError(refused.payload) from None

        try:
            outcome = self._workflow.call(
                "run", start, limits=self._limits, host=host, granted=self._granted
            )
        except SandboxError as exc:
            raise FlowKilled(exc.code, exc.message) from exc
        if outcome.is_error:
            return None, json.loads(outcome.value)
        return outcome.value, {}
