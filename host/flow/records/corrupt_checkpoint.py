"""Ends a flow whose checkpoint cannot be read, and deletes its other states.

Its peers are not notified, since only the checkpoint names them; their sessions expire.
"""

from contextlib import suppress

from host.domain.flow import FlowError, FlowStatusName
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.core.bodies import body_deletion
from host.flow.core.endings import running
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.messages import flow_state_key
from host.flow.core.statuses import StoredStatus, decode_status, write_status
from host.ports.bus import NOBODY
from host.ports.state import StateRecord, StateWrite
from host.ports.units import StateStore, Unit

UNRECOVERABLE_MESSAGE = (
    "Flow encountered an unrecoverable error while processing an event. It cannot be continued: "
)
_STARTED, _RESPONDERS = "status/", "responder/"


def cleanup_of(
    store: StateStore,
    node: ShortHash,
    flow_id: FlowId,
    error: FlowError,
    now: EpochMs,
    *,
    retention_ms: int,
) -> Unit:
    """The writes that end the flow in status FAILED and delete all of its stored data.

    Searches the node's running flows for the flow's status: no other record leads to it.
    """
    left = [
        record
        for key in (flow_state_key(flow_id), f"timer/{flow_id}")
        if (record := store.get(key)) is not None
    ]
    left += store.scan(f"inbox/{flow_id}/")
    gone = [StateWrite(key=r.key, value=None, expected=r.version) for r in left]
    key = _status_key(store, node, flow_id)
    record = None if key is None else store.get(key)
    status = [] if record is None else _failed_status(record, flow_id, error, now, retention_ms)
    if key is not None and key.startswith(_STARTED):
        _, holding, request_id = key.split("/", 2)
        gone.append(body_deletion(holding, request_id))
    return Unit(states=(*gone, *status), forget=(flow_id,))


def _failed_status(
    record: StateRecord, flow_id: FlowId, error: FlowError, now: EpochMs, kept_ms: int
) -> list[StateWrite]:
    stored = _status_of(record, flow_id)
    if stored is None:
        return []
    failed = StoredStatus(
        holding=stored.holding,
        request_id=stored.request_id,
        flow_id=flow_id,
        flow_class=stored.flow_class,
        status=FlowStatusName.FAILED,
        error_type=error.type,
        error_code=error.code,
        error_message=UNRECOVERABLE_MESSAGE + error.message,
        updated_at=now,
    )
    is_responder = record.key.startswith(_RESPONDERS)
    write = write_status(record, failed, responder=is_responder, retention_ms=kept_ms)
    return [] if write is None else [write]


def _status_key(store: StateStore, node: ShortHash, flow_id: FlowId) -> str | None:
    """The key of a running flow's status; if the node is unknown, all statuses are searched."""
    if node != NOBODY:
        return next((g.key for g in running(store, node) if g.flow_id == flow_id), None)
    statuses = (record for prefix in (_STARTED, _RESPONDERS) for record in store.scan(prefix))
    return next((r.key for r in statuses if _status_of(r, flow_id) is not None), None)


def _status_of(record: StateRecord, flow_id: FlowId) -> StoredStatus | None:
    with suppress(FlowRecordDamagedError):
        stored = decode_status(record)
        return stored if stored.flow_id == flow_id else None
    return None
