"""Request bodies: a large one is stored once, in its own state, until its flow has ended.

The start record and the checkpoint, which is written at every step, contain only its size.
"""

from host.domain.accounts import Account, Charge
from host.domain.ids import ShortHash
from host.flow.core.checkpoint import Checkpoint
from host.flow.core.errors import FlowRecordDamagedError
from host.ports.state import States, StateWrite

INLINE_BYTES_MAX = 8 * 1024
"""A body of at most this size is stored in the start record and in the checkpoint."""


def body_key(node: str, request_id: str) -> str:
    """Key of the body of a client's start request."""
    return f"body/{node}/{request_id}"


def body_write(node: ShortHash, request_id: str, body: bytes) -> StateWrite:
    """Stores a body, JSON text."""
    return StateWrite(
        key=body_key(node, request_id),
        value=body,
        expected=0,
        charge=Charge(node=node, account=Account.JOURNAL),
    )


def body_deletion(node: str, request_id: str) -> StateWrite:
    """Deletes a body, if there is one."""
    return StateWrite(key=body_key(node, request_id), value=None, expected=None)


def read_body(checkpoint: Checkpoint, states: States) -> str | None:
    """The body of a flow, JSON text; None where it has none.

    Raises:
        FlowRecordDamagedError: it is missing or damaged.
        StorageError: the store cannot be read.
    """
    if not checkpoint.body_bytes:
        return checkpoint.body
    key = body_key(checkpoint.holding.node(), checkpoint.request_id)
    record = states.get(key)
    if record is None:
        raise FlowRecordDamagedError(f"the request body {key!r} is not stored")
    try:
        return record.value.decode()
    except UnicodeDecodeError as exc:
        raise FlowRecordDamagedError(f"the request body {key!r} is damaged: {exc}") from exc
