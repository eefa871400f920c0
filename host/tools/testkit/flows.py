"""The flows of a network: which there are, and what became of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cordapp.errors import ContractVerificationError, SessionError
from cordapp.failures import message_of
from host.domain.failure_lines import behind, lines_of
from host.domain.flow import FlowStatus, FlowStatusName
from host.domain.ids import FlowId, ShortHash
from host.flow.core.events import FlowEnded, FlowStarted
from host.flow.core.statuses import read_status, status_key
from host.flow.engine.service import FlowService
from host.flow.records.history_export import (
    Recording,
    encode_in_parts,
    parse_recording,
    recording_of,
)
from host.flow.records.history_lookup import find_recorded
from host.ports.units import FlowStore
from host.tools.testkit.code import FailureLog, GuestFailure
from host.tools.testkit.errors import FlowFailedError, frames_of
from host.tools.testkit.rebuilt import chain_of, rebuilt
from sandbox.errors import CapabilityNotGrantedError

_FAILURES = (FlowStatusName.FAILED, FlowStatusName.KILLED)
_OF_CODE = ("FLOW_FAILED", CapabilityNotGrantedError.code)
"""Types of failures that are raised at a place in the CorDapp's code."""
_OF_PEERS, _OF_CONTRACTS = SessionError.__name__, ContractVerificationError.__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRecord:
    """What became of one flow, when this was asked for.

    `status` is Corda's name of it, `result` the text that the flow returned. `error` is None
    unless the flow ended FAILED or KILLED.
    """

    flow_class: str
    request_id: str
    status: str
    result: str | None
    error: FlowFailedError | None


@dataclass(frozen=True, slots=True)
class _Known:
    holding_id: ShortHash
    request_id: str
    flow_id: FlowId


class NetworkFlows:
    """Every flow that began, in that order.

    Args:
        store: of the flow engine.
        service: starts flows and tells their status.
        failures: how the CorDapp's code failed.
        folders: where the CorDapp's files lie.
    """

    def __init__(
        self,
        *,
        store: FlowStore,
        service: FlowService,
        failures: FailureLog,
        folders: Sequence[Path],
    ) -> None:
        self.service = service
        self._store = store
        self._failures = failures
        self._folders = folders
        self._begun: list[_Known] = []
        self._open: set[FlowId] = set()

    @property
    def begun_count(self) -> int:
        """Flows that have begun."""
        return len(self._begun)

    def some_open(self, since: int) -> bool:
        """Whether a flow has not ended, of those that began after this many others."""
        return any(flow.flow_id in self._open for flow in self._begun[since:])

    def started(self, event: FlowStarted) -> None:
        """Take note of a flow."""
        self._begun.append(_Known(event.holding_id, event.request_id, event.flow_id))
        self._open.add(event.flow_id)

    def ended(self, event: FlowEnded) -> None:
        """Take note of its end."""
        self._open.discard(event.flow_id)

    def of_node(self, node: ShortHash) -> list[FlowRecord]:
        """The flows of a node, in the order in which they began."""
        known = (flow for flow in self._begun if flow.holding_id == node)
        found = (self._status(node, flow.request_id) for flow in known)
        return [self._record(status) for status in found if status is not None]

    def find(self, node: ShortHash, request_id: str) -> FlowRecord:
        """One flow, by its client request id, or by its session id if it is a responder.

        Raises:
            LookupError: the node has no such flow.
        """
        status = self._status(node, request_id)
        if status is None:
            raise LookupError(f"no flow {request_id!r} of virtual node {node}")
        return self._record(status)

    def recording(self, node: ShortHash, request_id: str) -> Recording:
        """The flow's history with its journal, as `cordbox flow export` writes it.

        Raises:
            HostError: as `host.flow.records.history_lookup.find_recorded`.
        """
        found = find_recorded(self._store, node, request_id)
        head = recording_of(found.history, None)
        return parse_recording(b"".join(encode_in_parts(head, found.entries())), request_id)

    def _status(self, node: ShortHash, request_id: str) -> FlowStatus | None:
        for is_responder in (False, True):
            record = self._store.get(status_key(node, request_id, responder=is_responder))
            if record is not None:
                return read_status(record)
        return None

    def _record(self, status: FlowStatus) -> FlowRecord:
        return FlowRecord(
            flow_class=status.flow_class,
            request_id=status.client_request_id,
            status=status.status.value,
            result=status.result,
            error=self._error(status) if status.status in _FAILURES else None,
        )

    def _error(self, status: FlowStatus) -> FlowFailedError:
        """The flow's failure: in the platform's words, and in those of the code if it was its."""
        error = status.error
        kind, message = (error.type, error.message) if error else (status.status.value, "")
        code = error.code if error else None
        failure = self._failures.find(status.flow_id) if status.flow_id else None
        if failure is None or kind not in _OF_CODE:
            trace = frames_of(error.trace if error else ())
            named = code or kind  # of a timeout the status's type tells nothing
            return FlowFailedError(named, message, trace, flow_error_type=kind, code=code)
        failed = FlowFailedError(
            failure.type,
            message,
            failure.trace,
            flow_error_type=kind,
            code=code,
            behind=behind(lines_of(failure.report)),
        )
        failed.__cause__ = self._exception(failure, {str(status.flow_id)})
        return failed

    def _exception(self, failure: GuestFailure, seen: set[str]) -> BaseException:
        """What the code raised, linked with the failures of peers and contracts behind it."""
        raised = failure.exception or rebuilt(failure.report, self._folders)
        for exc in chain_of(raised):
            found = self._elsewhere(type(exc).__name__, message_of(exc), seen)
            if found is not None and exc.__cause__ is None:
                exc.__cause__ = found
        return raised

    def _elsewhere(self, kind: str, message: str, seen: set[str]) -> BaseException | None:
        """The exception of a peer's flow, or of a contract, that arrived here with this message."""
        if kind == _OF_PEERS:
            for flow in reversed(self._begun):
                failure = self._failures.find(flow.flow_id)
                if failure and flow.flow_id not in seen and _message(failure.report) == message:
                    raised = self._exception(failure, seen | {flow.flow_id})
                    status = self._status(flow.holding_id, flow.request_id)
                    raised.add_note(f"in flow {status.flow_class if status else flow.flow_id}")
                    return raised
        if kind == _OF_CONTRACTS:
            for refusal in reversed(self._failures.refusals):
                if _message(refusal) in message:
                    return rebuilt(refusal, self._folders)
        return None


def _message(report: Mapping[str, Any]) -> str:
    return str(report.get("message"))
