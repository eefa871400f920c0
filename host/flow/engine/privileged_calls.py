"""Entries of privileged calls in the audit log of a flow's node."""

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from host.domain.accounts import Account, QuotaExceededError
from host.domain.capability_error import CapabilityError
from host.domain.packages import CpiRecord
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.step_state import StepState
from host.ports.audit_log import PrivilegedCall


class _Named(Struct):
    op: Annotated[str, Meta(pattern="^[a-z][a-z-]{0,63}$")] | None = None


_operation_decoder = msgspec.json.Decoder(_Named | None)


class PrivilegedCalls:
    """The privileged calls of one run of one flow, whose code is `cpi`."""

    def __init__(self, flow: StepState, services: FlowServices, cpi: CpiRecord) -> None:
        self._flow = flow
        self._services = services
        self._cpi = cpi

    def check_room(self) -> None:
        """Refuse a privileged call if the node's log has no room for its entry.

        Evidence is never deleted to make room: `cordbox audit log archive` moves it elsewhere.

        Raises:
            CapabilityError: `quota-exceeded`.
        """
        node = self._flow.checkpoint.holding.holding().short_hash
        if not self._services.audit_logs.has_room(node):
            raise CapabilityError(
                QuotaExceededError.code,
                "account audit: the node's audit log has no room",
                account=Account.AUDIT,
            )

    def record(
        self, call: int, name: str, request: str | None, outcome: str, *, step: int | None = None
    ) -> None:
        """Store the entry of a call, before the flow receives its outcome.

        Args:
            call: its number in the flow's journal.
            name: `interface.function`.
            request: its text; None if the host did not read it.
            outcome: `ok`, or the code of the refusal.
            step: number of the operation, for a call that the call's program makes.

        Raises:
            StorageError: it cannot be stored.
        """
        flow, text = self._flow, (request or "").encode("utf-8", "surrogatepass")
        self._services.audit_logs.record(
            PrivilegedCall(
                holding=flow.checkpoint.holding.holding(),
                cpi=self._cpi.file_checksum,
                flow_id=flow.flow_id,
                flow_class=flow.checkpoint.flow_class,
                call=call,
                function=name,
                request_digest=f"SHA-256:{hashlib.sha256(text).hexdigest().upper()}",
                outcome=outcome,
                operation=_operation(request),
                step=step,
            )
        )


def _operation(request: str | None) -> str | None:
    """The `op` of a request, if it has one that can be the name of an operation."""
    try:
        named = _operation_decoder.decode(request or "null")
    except (msgspec.MsgspecError, RecursionError):  # nested beyond what a request may be
        return None
    return None if named is None else named.op
