"""Typed bindings of the two worlds: call a component of any language, and be its host.

    contract = ContractComponent.open(Path("contract.wasm"), cache_dir=cache)
    assert contract.verify(transaction) == []

    class Host(WorkflowHost):
        def flow_now(self, request: messages.Nothing) -> str:
            return "2026-11-21T05:00:00.000000Z"

    text = WorkflowComponent.open(Path("workflow.wasm"), cache_dir=cache).run(start, Host())

Every run is in a fresh sandbox with the limits of a host. A test checks that the methods are those
of the WIT.
"""

# ruff: noqa: ARG002  # requests are for the methods that override

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, get_type_hints

import msgspec

from host.domain.capability_error import CapabilityError
from host.domain.guest_text import GuestTextError, checked_json, mended_json
from host.flow.engine.answers import refusal_text
from host.tools.testkit import messages as m
from host.tools.testkit.errors import FlowFailedError
from sandbox.guest import Guest
from sandbox.host_api import HOST_API
from sandbox.host_calls import GuestCallError
from sandbox.limits import Limits
from sandbox.outcome import Returned
from sandbox.runtime import Sandbox
from sandbox.world import World


class WorkflowHost:
    """The host of one flow: override what the flow calls; the rest is refused.

    A method gets the request of its function and answers the value of `ok`; CapabilityError is
    the function's `err`.
    """

    def log_write(self, request: m.LogWrite) -> None:
        """Drop the line."""

    def flow_now(self, request: m.Nothing) -> str:
        """Answer `flow.now`; refused unless overridden."""
        raise _unanswered("flow.now")

    def flow_random(self, request: m.FlowRandom) -> str:
        """Answer `flow.random`; refused unless overridden."""
        raise _unanswered("flow.random")

    def flow_sleep(self, request: m.FlowSleep) -> None:
        """Answer `flow.sleep`; refused unless overridden."""
        raise _unanswered("flow.sleep")

    def flow_context(self, request: m.FlowContext) -> str | None:
        """Answer `flow.context`; refused unless overridden."""
        raise _unanswered("flow.context")

    def flow_sub_flow(self, request: m.FlowSubFlow) -> None:
        """Take note of nothing: sub-flows matter to sessions only."""

    def sessions_open(self, request: m.SessionOpen) -> m.SessionOpened:
        """Answer `sessions.open`; refused unless overridden."""
        raise _unanswered("sessions.open")

    def sessions_send(self, request: m.SessionsSend) -> None:
        """Answer `sessions.send`; refused unless overridden."""
        raise _unanswered("sessions.send")

    def sessions_receive(self, request: m.Sessions) -> list[m.Json]:
        """Answer `sessions.receive`; refused unless overridden."""
        raise _unanswered("sessions.receive")

    def sessions_info(self, request: m.SessionRef) -> m.SessionInfo:
        """Answer `sessions.info`; refused unless overridden."""
        raise _unanswered("sessions.info")

    def sessions_close(self, request: m.Sessions) -> None:
        """Answer `sessions.close`; refused unless overridden."""
        raise _unanswered("sessions.close")

    def persistence_write(self, request: m.PersistenceWrite) -> list[m.Json]:
        """Answer `persistence.write`; refused unless overridden."""
        raise _unanswered("persistence.write")

    def persistence_read(self, request: m.PersistenceRead) -> m.Json:
        """Answer `persistence.read`; refused unless overridden."""
        raise _unanswered("persistence.read")

    def signing_sign(self, request: m.SigningSign) -> m.Signature:
        """Answer `signing.sign`; refused unless overridden."""
        raise _unanswered("signing.sign")

    def signing_find_keys(self, request: m.SigningFindKeys) -> list[str | None]:
        """Answer `signing.find-keys`; refused unless overridden."""
        raise _unanswered("signing.find-keys")

    def crypto_digest(self, request: m.CryptoDigest) -> str:
        """Answer `crypto.digest`; refused unless overridden."""
        raise _unanswered("crypto.digest")

    def crypto_verify(self, request: m.CryptoVerify) -> bool:
        """Answer `crypto.verify`; refused unless overridden."""
        raise _unanswered("crypto.verify")

    def membership_lookup(self, request: m.MembershipLookup) -> m.Json:
        """Answer `membership.lookup`; refused unless overridden."""
        raise _unanswered("membership.lookup")

    def ledger_build(self, request: m.Json) -> m.Json:
        """Answer `ledger.build`; refused unless overridden."""
        raise _unanswered("ledger.build")

    def ledger_verify(self, request: m.LedgerVerify) -> m.Json:
        """Answer `ledger.verify`; refused unless overridden."""
        raise _unanswered("ledger.verify")

    def ledger_record(self, request: m.LedgerRecord) -> m.Json:
        """Answer `ledger.record`; refused unless overridden."""
        raise _unanswered("ledger.record")

    def ledger_find(self, request: m.LedgerFind) -> m.Json:
        """Answer `ledger.find`; refused unless overridden."""
        raise _unanswered("ledger.find")

    def ledger_query(self, request: m.LedgerQuery) -> m.Json:
        """Answer `ledger.query`; refused unless overridden."""
        raise _unanswered("ledger.query")

    def external_messaging_send(self, request: m.ExternalSend) -> None:
        """Answer `external-messaging.send`; refused unless overridden."""
        raise _unanswered("external-messaging.send")


class _Component:
    """A component of one world."""

    world: World

    def __init__(self, guest: Guest, *, limits: Limits | None = None) -> None:
        self._guest = guest
        self._limits = limits or Limits()

    @classmethod
    def open(cls, file: Path, *, cache_dir: Path, limits: Limits | None = None) -> Self:
        """Compile a component file, unless the cache holds its code.

        Raises:
            SandboxError: it is no component of this world, or exceeds a limit of the compiler.
        """
        sandbox = Sandbox(cache_dir=cache_dir)
        component = sandbox.admit(cls.world, file.read_bytes())
        return cls(sandbox.guest(cls.world, component.digest), limits=limits)

    def describe(self) -> Mapping[str, Any]:
        """What the code declares (host-api.md, `describe`)."""
        described: Mapping[str, Any] = json.loads(self._call("describe", None).value or "{}")
        return described

    def _call(self, export: str, argument: str | None, **options: Any) -> Returned:
        outcome = self._guest.call(export, argument, limits=self._limits, **options)
        if not isinstance(outcome, Returned):
            raise TypeError(f"a host of the bindings never suspends, found {outcome!r}")
        return outcome


class ContractComponent(_Component):
    """A component of the world `contract`."""

    world = World.CONTRACT

    def verify(self, transaction: Mapping[str, Any]) -> list[m.Failure]:
        """The contracts' refusals of a ledger transaction; empty when all accept.

        Raises:
            SandboxError: a trap or a limit ended the run.
        """
        outcome = self._call("verify", json.dumps(transaction))
        if not outcome.is_error:
            return []
        return msgspec.json.decode(outcome.value or "{}", type=dict[str, list[m.Failure]])[
            "failures"
        ]


class WorkflowComponent(_Component):
    """A component of the world `workflow`."""

    world = World.WORKFLOW

    def run(
        self, start: m.Start, host: WorkflowHost, *, granted: frozenset[str] = frozenset(HOST_API)
    ) -> str:
        """Run a flow to its end; answers its result text.

        Args:
            start: which flow, as whom, with what.
            host: answers the flow's calls.
            granted: interfaces that the flow may call.

        Raises:
            FlowFailedError: the flow failed by an error of its own.
            SandboxError: a trap, a limit or a refused capability ended the run.
        """
        outcome = self._call("run", json.dumps(start), host=_Typed(host), granted=granted)
        if outcome.is_error:
            raise _failed(outcome.value or "")
        return outcome.value or ""


class _Typed:
    """A `WorkflowHost` as the sandbox calls it: requests are checked against their types."""

    def __init__(self, host: WorkflowHost) -> None:
        self._host = host

    def __call__(self, interface: str, function: str, request: str) -> str:
        name = method_name(interface, function)
        kind = get_type_hints(getattr(WorkflowHost, name))["request"]
        try:
            text = mended_json(request) if interface == "log" else request
            checked_json(text)
            answer = getattr(self._host, name)(msgspec.json.decode(text, type=kind))
        except GuestTextError as wrong:
            error = CapabilityError(wrong.code, f"{interface}.{function}: {wrong.message}")
            raise GuestCallError(error_payload(error)) from wrong
        except msgspec.ValidationError as wrong:
            error = CapabilityError("request-invalid", f"{interface}.{function}: {wrong}")
            raise GuestCallError(error_payload(error)) from wrong
        except CapabilityError as refused:
            raise GuestCallError(error_payload(refused)) from None
        return msgspec.json.encode(answer).decode()


def _failed(payload: str) -> FlowFailedError:
    """The flow's error; a guest may answer any text."""
    try:
        failure = msgspec.json.decode(payload, type=m.FlowFailure)
    except msgspec.DecodeError:
        return FlowFailedError("flow-failed", payload)
    trace = [dict(frame) for frame in failure.get("trace", ())]
    return FlowFailedError(failure["type"], failure["message"], trace, code=failure.get("code"))


def error_payload(refused: CapabilityError) -> str:
    """A host call's `err` as text."""
    return refusal_text(refused)


def method_name(interface: str, function: str) -> str:
    """The method of `WorkflowHost` for a function of the WIT."""
    return f"{interface}_{function}".replace("-", "_")


def _unanswered(name: str) -> CapabilityError:
    return CapabilityError("capability-unavailable", f"this test's host does not answer {name}")
