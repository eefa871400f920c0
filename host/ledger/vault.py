"""Statements on one node's ledger tables, executed in the caller's transaction."""

import json
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, insert, select, update

from host.domain.call_time import check_call_time
from host.domain.ids import EpochMs
from host.ledger.core.components import read_state, state_text
from host.ledger.core.model import StateAndRef, StateRef, Transaction
from host.ledger.core.signed import Signature, SignedTransaction
from host.ledger.errors import StateConsumedError, StateNotFoundError, StatesTooLargeError
from host.ledger.tables import OUTPUT, TRANSACTION

STATES_BYTES_MAX = 1024 * 1024
_VERIFIED = "V"
_SELECT_TRANSACTION = select(TRANSACTION)
_SELECT_OUTPUT = select(OUTPUT.c.state, OUTPUT.c.consumed_by)
_SELECT_UNCONSUMED = (
    select(OUTPUT.c.transaction_id, OUTPUT.c.output_index, OUTPUT.c.state)
    .where(OUTPUT.c.visible, OUTPUT.c.consumed_by.is_(None))
    .order_by(OUTPUT.c.seq, OUTPUT.c.output_index)
)
_SELECT_VISIBLE = select(OUTPUT.c.output_index).where(OUTPUT.c.visible)


def find_transaction(connection: Connection, transaction_id: str) -> SignedTransaction | None:
    """The verified transaction of this identifier."""
    row = connection.execute(
        _SELECT_TRANSACTION.where(
            TRANSACTION.c.id == transaction_id, TRANSACTION.c.status == _VERIFIED
        )
    ).one_or_none()
    if row is None:
        return None
    return SignedTransaction(
        id=row.id,
        privacy_salt=row.privacy_salt,
        groups=tuple(tuple(group) for group in json.loads(row.component_groups)),
        signatures=msgspec.json.decode(row.signatures, type=tuple[Signature, ...]),
    )


def recorded_at(connection: Connection, transaction_id: str) -> EpochMs | None:
    """When the verified transaction of this identifier was recorded."""
    at = connection.execute(
        select(TRANSACTION.c.recorded_at).where(
            TRANSACTION.c.id == transaction_id, TRANSACTION.c.status == _VERIFIED
        )
    ).scalar_one_or_none()
    return None if at is None else EpochMs(at)


def list_transactions(
    connection: Connection, *, limit: int, beyond: int | None, newest_first: bool
) -> list[tuple[int, str]]:
    """Sequence number and identifier of verified transactions, in the order of recording.

    Args:
        connection: to the node's vault.
        limit: number of transactions at most.
        beyond: only those that come after this sequence number in the order asked for.
        newest_first: the reverse order.
    """
    number = TRANSACTION.c.seq
    query = select(number, TRANSACTION.c.id).where(TRANSACTION.c.status == _VERIFIED)
    if beyond is not None:
        query = query.where(number < beyond if newest_first else number > beyond)
    rows = connection.execute(
        query.order_by(number.desc() if newest_first else number).limit(limit)
    )
    return [(row.seq, row.id) for row in rows]


def find_states(connection: Connection, refs: Sequence[StateRef]) -> list[StateAndRef]:
    """Outputs of recorded transactions, consumed or not.

    Raises:
        StateNotFoundError: one is not in this vault.
        StatesTooLargeError: together they exceed `STATES_BYTES_MAX`.
    """
    return [state for state, _ in _find(connection, refs)]


def resolve(
    connection: Connection, refs: Sequence[StateRef], *, by: str
) -> tuple[StateAndRef, ...]:
    """The states of `refs`, none of them consumed by another transaction than `by`.

    Raises:
        StateNotFoundError: one is not in this vault.
        StateConsumedError: one is consumed.
        StatesTooLargeError: together they exceed `STATES_BYTES_MAX`.
    """
    found = _find(connection, refs)
    for state, consumed_by in found:
        if consumed_by not in (None, by):
            raise StateConsumedError(f"state {state.ref} was consumed by transaction {consumed_by}")
    return tuple(state for state, _ in found)


def visible_outputs(connection: Connection, transaction_id: str) -> list[int]:
    """Indexes of the transaction's outputs that concern this node."""
    rows = connection.execute(
        _SELECT_VISIBLE.where(OUTPUT.c.transaction_id == transaction_id).order_by(
            OUTPUT.c.output_index
        )
    )
    return [row.output_index for row in rows]


def store(
    connection: Connection,
    signed: SignedTransaction,
    content: Transaction,
    *,
    visible: Sequence[int],
    now: EpochMs,
) -> None:
    """Store a verified transaction, consume its inputs and add its outputs.

    Args:
        connection: its open transaction is on the node's vault.
        signed: as the vault keeps it.
        content: the content of its component groups.
        visible: indexes of the outputs that concern this node.
        now: the time of recording.

    Raises:
        StateNotFoundError: an input or reference is not in this vault.
        StateConsumedError: another transaction has consumed one.
    """
    resolve(connection, content.inputs, by=signed.id)
    resolve(connection, content.references, by=signed.id)
    seq = connection.execute(
        insert(TRANSACTION).returning(TRANSACTION.c.seq),
        {
            "id": signed.id,
            "status": _VERIFIED,
            "privacy_salt": signed.privacy_salt,
            "component_groups": json.dumps(signed.groups),
            "signatures": msgspec.json.encode(signed.signatures).decode(),
            "recorded_at": now,
        },
    ).scalar_one()
    _consume(connection, content, signed.id)
    if content.outputs:
        connection.execute(
            insert(OUTPUT),
            [
                {
                    "transaction_id": signed.id,
                    "output_index": index,
                    "seq": seq,
                    "type": state.type,
                    "state": state_text(state),
                    "visible": index in visible,
                }
                for index, state in enumerate(content.outputs)
            ],
        )


def unconsumed(
    connection: Connection, state_type: str, *, offset: int, limit: int
) -> tuple[list[StateAndRef], bool]:
    """A page of this node's unconsumed states of exactly this type, oldest first.

    Returns:
        At most `limit` states, of about `STATES_BYTES_MAX` bytes together, and whether there
        are more.
    """
    rows = connection.execute(
        _SELECT_UNCONSUMED.where(OUTPUT.c.type == state_type).offset(offset).limit(limit + 1)
    )
    found: list[StateAndRef] = []
    size, more = 0, False
    for row in rows:
        size += len(row.state)
        if len(found) == limit or (found and size > STATES_BYTES_MAX):
            more = True
            break
        ref = StateRef(row.transaction_id, row.output_index)
        found.append(StateAndRef(ref=ref, state=read_state(row.state)))
    rows.close()
    return found, more


def _find(connection: Connection, refs: Sequence[StateRef]) -> list[tuple[StateAndRef, str | None]]:
    found = []
    size = 0
    for ref in refs:
        check_call_time()
        row = connection.execute(
            _SELECT_OUTPUT.where(
                OUTPUT.c.transaction_id == ref.transaction_id, OUTPUT.c.output_index == ref.index
            )
        ).one_or_none()
        if row is None:
            raise StateNotFoundError(f"state {ref} is not in this node's vault")
        size += len(row.state)
        if size > STATES_BYTES_MAX:
            raise StatesTooLargeError(
                f"the {len(refs)} states asked for exceed {STATES_BYTES_MAX} bytes"
            )
        found.append((StateAndRef(ref=ref, state=read_state(row.state)), row.consumed_by))
    return found


def _consume(connection: Connection, content: Transaction, transaction_id: str) -> None:
    for ref in content.inputs:
        connection.execute(
            update(OUTPUT)
            .where(
                OUTPUT.c.transaction_id == ref.transaction_id, OUTPUT.c.output_index == ref.index
            )
            .values(consumed_by=transaction_id)
        )
