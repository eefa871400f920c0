"""Flow statuses as stored: one state per started flow, and one per responder."""

from dataclasses import dataclass, replace

import msgspec
from msgspec import Struct

from host.domain.accounts import Account, Charge
from host.domain.flow import FlowError, FlowStatus, FlowStatusName
from host.domain.ids import ClientRequestId, EpochMs, FlowId, ShortHash
from host.flow.core.config import CORDA_DEFAULTS
from host.flow.core.messages import due_place
from host.flow.core.room import NodeBalances, evicted
from host.flow.core.versioned_codec import read_stored
from host.ports.accounts import Accounts
from host.ports.glances import GlanceWrite
from host.ports.programs import SYSTEM_FLOW
from host.ports.state import StateRecord, StateWrite

STATUS_VERSIONS = (1, 2, 3)
"""Versions that can be read; 2 added `assigned`, 3 `result_is_json`, both None in earlier ones."""


class StoredStatus(Struct, frozen=True, kw_only=True):
    """A status. `history` is the key of the ended flow's history, if it is kept.

    `flow_id` is None until the flow has begun, as for Corda's clients; `assigned` is the id that a
    start request was given when it was accepted, None for one that an earlier release accepted.
    `result_is_json` tells whether the result is JSON that the host accepts (`checked_json`) or
    plain text, so that it is parsed once, not at each request; None without a result.
    `received` is the last sequence number that each session of an ended flow has received.
    """

    v: int = 3
    holding: ShortHash
    request_id: str
    flow_id: FlowId | None
    flow_class: str
    status: FlowStatusName
    result: str | None = None
    result_is_json: bool | None = None
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_trace: tuple[str, ...] = ()
    updated_at: EpochMs
    history: str | None = None
    assigned: FlowId | None = None
    received: dict[str, int] = {}


class _UnreadStatus(StoredStatus, frozen=True, kw_only=True):
    result: msgspec.Raw = msgspec.Raw(b"null")  # type: ignore[assignment] # for one decoder alone


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadStatus:
    """A status whose result is left as it is stored, since it may be megabytes long.

    Attributes:
        status: the status, without its result.
        result: the result as JSON text: a string, or null.
        result_is_json: whether that string's content is JSON; None if that is not known.
    """

    status: FlowStatus
    result: msgspec.Raw
    result_is_json: bool | None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StoredStatus)
_unread_decoder = msgspec.json.Decoder(_UnreadStatus)


def status_key(holding: str, request_id: str, *, responder: bool = False) -> str:
    kind = "responder" if responder else "status"
    return f"{kind}/{holding}/{request_id}"


def write_status(
    before: StateRecord | None,
    status: StoredStatus,
    *,
    responder: bool = False,
    peer: ShortHash | None = None,
    origin: FlowId | None = None,
    retention_ms: int = CORDA_DEFAULTS.status_retention_ms,
    now: EpochMs | None = None,
) -> StateWrite | None:
    """The write that records `status`; None if the flow already has a final status.

    A final status is kept for `retention_ms` from `now`, which is a time of the clock of due times
    and by default the status's own; so is that of a system flow: what is kept for a time does not
    count to the open flows. `peer` is the node whose flow started a responder; an
    existing status keeps its charge. `origin` is the client-started flow from which a responder
    descends.
    """
    if before is not None and read_status(before).status.is_final:
        return None
    is_kept = status.status.is_final or status.flow_class.startswith(SYSTEM_FLOW)
    due = EpochMs((status.updated_at if now is None else now) + retention_ms) if is_kept else None
    key = status_key(status.holding, status.request_id, responder=responder)
    return StateWrite(
        key=key,
        value=_encoder.encode(status),
        expected=before.version if before else 0,
        due_at=due,
        place=None if due is None else due_place(key),
        charge=Charge(node=status.holding, account=Account.STATUS, peer=peer)
        if before is None or peer is not None
        else None,
        glance=_glance_of(status, origin, responder=responder),
    )


def _glance_of(status: StoredStatus, origin: FlowId | None, *, responder: bool) -> GlanceWrite:
    return GlanceWrite(
        node=status.holding,
        request_id=status.request_id,
        flow_id=status.flow_id,
        flow_class=status.flow_class,
        status=status.status.value,
        is_responder=responder,
        is_final=status.status.is_final,
        at=status.updated_at,
        origin=origin,
    )


def glances_of(
    status: StoredStatus,
    origin: FlowId | None,
    *,
    started_at: EpochMs | None,
    responder: bool,
) -> tuple[GlanceWrite, ...]:
    """The glances of a status that another store had: as its flow began, and as it is."""
    now = _glance_of(status, origin, responder=responder)
    if started_at is None or started_at == now.at:
        return (now,)
    return (replace(now, at=started_at, is_final=False), now)


def made_room(
    accounts: Accounts,
    write: StateWrite,
    *,
    node: ShortHash,
    balances: NodeBalances,
    bytes_max: int,
) -> tuple[StateWrite, ...]:
    """Deletions of the oldest statuses of ended flows, so that `write` fits its node's account."""
    charge = write.charge or Charge(node=node, account=Account.STATUS)
    gone = evicted(
        accounts, charge, balances=balances, more=len(write.value or b""), bytes_max=bytes_max
    )
    return tuple(
        StateWrite(key=record.key, value=None, expected=None)
        for record in gone
        if record.key != write.key
    )


def read_status(record: StateRecord) -> FlowStatus:
    """Decode a stored status.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return status_of(decode_status(record))


def decode_status(record: StateRecord) -> StoredStatus:
    """The status as stored; raises as `read_status`."""
    return read_stored(_decoder, record.value, f"status {record.key!r}", versions=STATUS_VERSIONS)


def read_unread(record: StateRecord) -> UnreadStatus:
    """The status with its result as it is stored; raises as `read_status`."""
    what = f"status {record.key!r}"
    found = read_stored(_unread_decoder, record.value, what, versions=STATUS_VERSIONS)
    return UnreadStatus(
        status=_status(found, None), result=found.result, result_is_json=found.result_is_json
    )


def status_of(stored: StoredStatus) -> FlowStatus:
    return _status(stored, stored.result)


def _status(stored: StoredStatus, result: str | None) -> FlowStatus:
    error = None
    if stored.error_type is not None:
        error = FlowError(
            type=stored.error_type,
            code=stored.error_code or "",
            message=stored.error_message or "",
            trace=stored.error_trace,
        )
    return FlowStatus(
        holding_short_hash=stored.holding,
        client_request_id=ClientRequestId(stored.request_id),
        flow_id=stored.flow_id,
        flow_class=stored.flow_class,
        status=stored.status,
        result=result,
        error=error,
        updated_at=stored.updated_at,
    )
