"""How a network runs a CorDapp's code; here as plain Python, in `sandboxed` as WebAssembly."""

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from cordapp import guest, registry
from cordapp_testkit.errors import FlowKilled
from cordapp_testkit.project import granted, mount, owns
from host.ports.capability import CapabilityError
from host.toolkit.project import CordappProject

Calls = Callable[[str, str, str], str]
"""The host of one flow: answers `ok`, raises CapabilityError for `err`, FlowKilled to end it."""


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
            except CapabilityError as refused:
                raise guest.HostCallError(error_payload(refused)) from None
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


def error_payload(refused: CapabilityError) -> str:
    """A host call's `err` as text."""
    return json.dumps({"code": refused.code, "message": refused.message})
