"""Statuses of client-started flows as records that leave the cluster (`flow.status`). Pure."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.core.statuses import StoredStatus
from host.ports.bus import NewRecord
from host.ports.outward import STATUS_TOPIC
from host.ports.programs import SYSTEM_FLOW
from host.ports.state import StateWrite

RESULT_BYTES_MAX = 256 * 1024
"""A longer result is left out of the record: it is read over REST."""


class PublishedError(Struct, frozen=True, kw_only=True):
    """Why a flow failed."""

    type: str
    code: str
    message: str


class PublishedStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The value of a record: what `GET /flow/…` answers, with the flow's class.

    Attributes:
        flow_result: JSON text; None if there is none, or if it is left out.
        flow_result_bytes: its length in bytes; 0 if there is none.
        timestamp: when the flow took this status, milliseconds since 1970.
    """

    v: int = 1
    holding_identity_short_hash: ShortHash
    client_request_id: str
    flow_id: FlowId | None
    flow_class_name: str
    flow_status: FlowStatusName
    flow_result: str | None
    flow_result_bytes: int
    flow_error: PublishedError | None
    timestamp: EpochMs


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StoredStatus)


def status_records(writes: Iterable[StateWrite], *, is_wanted: bool) -> tuple[NewRecord, ...]:
    """Records of the statuses that are among `writes`, to publish with them; none if not wanted."""
    if not is_wanted:
        return ()
    return tuple(
        _record(_decoder.decode(write.value))
        for write in writes
        if write.glance is not None
        and write.value is not None
        and not write.glance.is_responder
        and not write.glance.flow_class.startswith(SYSTEM_FLOW)
    )


def _record(status: StoredStatus) -> NewRecord:
    """Its key is that of the flow, so that a compacted topic keeps the last status of each."""
    result = status.result
    size = 0 if result is None else len(result.encode())
    error = None
    if status.error_type is not None:
        error = PublishedError(
            type=status.error_type,
            code=status.error_code or "",
            message=status.error_message or "",
        )
    published = PublishedStatus(
        holding_identity_short_hash=status.holding,
        client_request_id=status.request_id,
        flow_id=status.flow_id,
        flow_class_name=status.flow_class,
        flow_status=status.status,
        flow_result=result if size <= RESULT_BYTES_MAX else None,
        flow_result_bytes=size,
        flow_error=error,
        timestamp=status.updated_at,
    )
    return NewRecord(
        topic=STATUS_TOPIC,
        key=f"{status.holding}/{status.request_id}",
        value=_encoder.encode(published),
        owner=status.holding,
    )
