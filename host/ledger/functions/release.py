"""What ends with a flow in its node's vault: its claims, and the answers kept for it."""

from collections.abc import Mapping

from sqlalchemy import Connection

from host.domain.ids import EpochMs, FlowId
from host.domain.json import JsonObject, JsonValue
from host.ledger.parts import Function, LedgerParts
from host.ledger.vault import tokens
from host.ports.capability import CallContext
from host.ports.requests import take_text
from host.vault.idempotency import forget_answers


class ReleaseFunctions:
    """The function of a release after a crash."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {"release-claims": self._release}

    def _release(self, context: CallContext, request: JsonObject) -> JsonValue:
        flow_id = FlowId(take_text(request, "flow"))
        self._parts.write(context, lambda vault: forget_flow(vault, flow_id, context.now))
        return None


def forget_flow(connection: Connection, flow_id: FlowId, now: EpochMs) -> None:
    """End the claims of an ended flow, and delete the answers that were kept for its calls."""
    tokens.release(connection, flow_id)
    forget_answers(connection, flow_id, now)
