"""The end of a flow whose checkpoint cannot be read: what is left of it is cleared away.

Its peers learn of it when their sessions expire: whom it talked to stood in the checkpoint.
"""

from contextlib import suppress

from host.domain.flow import FlowError, FlowStatusName
from host.domain.ids import EpochMs, FlowId
from host.flow.errors import FlowRecordDamagedError
from host.flow.messages import flow_state_key
from host.flow.statuses import StoredStatus, decode_status, write_status
from host.ports.state import StateRecord, StateWrite
from host.ports.units import FlowStore, Unit

UNRECOVERABLE_MESSAGE = (
    "Flow encountered an unrecoverable error while processing an event. It cannot be continued: "
)
_STATUS_PREFIXES = ("status/", "responder/")


def clearance(
    store: FlowStore,
    flow_id: FlowId,
    error: FlowError,
    now: EpochMs,
    *,
    retention_ms: int,
) -> Unit:
    """What ends the flow in status FAILED: all that it has stored is deleted.

    Looks through all statuses for the flow's: the only thing that still knows the flow.
    """
    left = [
        record
        for key in (flow_state_key(flow_id), f"timer/{flow_id}")
        if (record := store.get(key)) is not None
    ]
    left += store.scan(f"inbox/{flow_id}/")
    gone = [StateWrite(key=r.key, value=None, expected=r.version) for r in left]
    return Unit(
        states=(*gone, *_failed_status(store, flow_id, error, now, retention_ms)),
        forget=(flow_id,),
    )


def _failed_status(
    store: FlowStore, flow_id: FlowId, error: FlowError, now: EpochMs, retention_ms: int
) -> list[StateWrite]:
    for prefix in _STATUS_PREFIXES:
        for record in store.scan(prefix):
            stored = _status_of(record, flow_id)
            if stored is None:
                continue
            failed = StoredStatus(
                holding=stored.holding,
                request_id=stored.request_id,
                flow_id=flow_id,
                flow_class=stored.flow_class,
                status=FlowStatusName.FAILED,
                error_type=error.type,
                error_message=UNRECOVERABLE_MESSAGE + error.message,
                updated_at=now,
            )
            is_responder = prefix == "responder/"
            write = write_status(record, failed, responder=is_responder, retention_ms=retention_ms)
            return [] if write is None else [write]
    return []


def _status_of(record: StateRecord, flow_id: FlowId) -> StoredStatus | None:
    with suppress(FlowRecordDamagedError):
        stored = decode_status(record)
        return stored if stored.flow_id == flow_id else None
    return None
