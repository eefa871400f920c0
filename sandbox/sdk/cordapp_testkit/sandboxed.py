"""Runs a CorDapp's code as the host does: a fresh WebAssembly sandbox for each run."""

import json
from pathlib import Path
from typing import Any

from cordapp_testkit.engines import Calls, error_payload
from cordapp_testkit.errors import FlowKilled
from cordapp_testkit.project import granted, mount
from host.ports.capability import CapabilityError
from host.toolkit.code import python_code
from host.toolkit.project import CordappProject
from sandbox.errors import SandboxError
from sandbox.guest import Guest
from sandbox.host_calls import GuestCallError
from sandbox.limits import Limits
from sandbox.outcome import Returned
from sandbox.runtime import Sandbox
from sandbox.world import World


class SandboxEngine:
    """Derives both parts once, then runs each call in a new instance."""

    def __init__(
        self, project: CordappProject, *, cache_dir: Path, limits: Limits | None = None
    ) -> None:
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
        # A workflow's code holds the contracts too, so that it describes the whole CorDapp.
        outcome = self._call(self._workflow or self._contract, "describe", None)
        self._described: dict[str, Any] = json.loads(outcome.value or "{}")

    def describe(self) -> dict[str, Any]:
        """What the CorDapp declares (host-api.md, `describe`)."""
        return self._described

    def verify(self, transaction: str) -> list[dict[str, Any]]:
        """Failures of the contracts; a sandbox that is stopped is a failure, too."""
        try:
            outcome = self._call(self._contract, "verify", transaction)
        except SandboxError as exc:
            return [{"contract": "", "states": [], "type": exc.code, "message": exc.message}]
        if not outcome.is_error:
            return []
        failures: list[dict[str, Any]] = json.loads(outcome.value or "{}")["failures"]
        return failures

    def run(self, start: str, calls: Calls) -> tuple[str | None, dict[str, Any]]:
        """Result text and {}, or None and the flow's error.

        Raises:
            FlowKilled: the sandbox stopped the run; the code is the sandbox's.
        """

        def host(interface: str, function: str, request: str) -> str:
            try:
                return calls(interface, function, request)
            except CapabilityError as refused:
                raise GuestCallError(error_payload(refused)) from None

        try:
            outcome = self._call(self._workflow, "run", start, host=host, granted=self._granted)
        except SandboxError as exc:
            raise FlowKilled(exc.code, exc.message) from exc
        if outcome.is_error:
            return None, json.loads(outcome.value or "{}")
        return outcome.value, {}

    def _call(
        self, guest: Guest | None, export: str, argument: str | None, **options: Any
    ) -> Returned:
        if guest is None:
            raise LookupError(f"the CorDapp has no part that exports {export}")
        outcome = guest.call(export, argument, limits=self._limits, **options)
        if not isinstance(outcome, Returned):
            raise TypeError(f"a run in the test kit never suspends, found {outcome!r}")
        return outcome
