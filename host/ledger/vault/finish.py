"""Makes a transaction verified: its status, consumption and visible outputs, in one write."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, insert, select, update

from host.domain.ids import EpochMs
from host.ledger.core.facts import OutputFacts
from host.ledger.core.model import StateRef, Transaction
from host.ledger.core.signed import SignedTransaction
from host.ledger.core.statuses import Status, may_become
from host.ledger.errors import StateConsumedError, TransactionIsInvalidError
from host.ledger.vault import tokens
from host.ledger.vault.outputs import check_unconsumed
from host.ledger.vault.tables import CONSUMPTION, OUTPUT, TRANSACTION
from host.ledger.vault.transactions import (
    Origin,
    add_signatures,
    change,
    insert_row,
    seq_of,
    state_of,
)

_log = structlog.get_logger("cordbox.ledger")


class Made(NamedTuple):
    """A verified transaction: identifier, number, when it became verified."""

    id: str
    seq: int
    at: EpochMs


def finish(
    connection: Connection,
    signed: SignedTransaction,
    content: Transaction,
    *,
    facts: Sequence[OutputFacts],
    origin: Origin,
    now: EpochMs,
) -> None:
    """Make a transaction verified, whether or not the vault has it; may be repeated.

    The caller has checked content, contracts, signatures and, where it names one, the notary's.

    Args:
        connection: its open transaction is on the node's vault.
        signed: the transaction; its signatures are added to those that are stored.
        content: of its component groups.
        facts: of the outputs that concern this node, by rising index.
        origin: how it came, if the vault does not have it.
        now: the time.

    Raises:
        TransactionIsInvalidError: the vault has it as invalid, for a reason that its identifier
            commits to.
        StateConsumedError: another verified transaction consumes an input; in a group without a
            notary, or a reference. A notary has then signed both: the host's log says so.
    """
    stored = state_of(connection, signed.id)
    if stored is not None and stored[0] is Status.VERIFIED:
        add_signatures(connection, signed.id, signed.signatures, now=now)
        return
    if stored is not None and not may_become(*stored, Status.VERIFIED):
        raise TransactionIsInvalidError(
            f"transaction {signed.id} is invalid at this node: {stored[1]}"
        )
    _check_unspent(connection, signed, content)
    if stored is None:
        seq = insert_row(
            connection, signed, status=Status.VERIFIED, origin=origin, examined=True, now=now
        )
    else:
        changed = {"status": Status.VERIFIED.value, "reason": None, "examined": True}
        change(connection, signed.id, now=now, recorded_at=now, **changed)
        add_signatures(connection, signed.id, signed.signatures, now=now)
        seq = seq_of(connection, signed.id)
    _consume(connection, content.inputs, seq, now)
    consumed = dict.fromkeys(consumption_times(connection, signed.id), now)
    add_outputs(connection, Made(signed.id, seq, now), content, facts, consumed=consumed)


def _check_unspent(connection: Connection, signed: SignedTransaction, content: Transaction) -> None:
    if content.notary is None:
        refs = (*content.inputs, *content.references)
        check_unconsumed(connection, refs, by=signed.id)
        return
    try:
        check_unconsumed(connection, content.inputs, by=signed.id)
    except StateConsumedError as refused:
        _log.error(
            "ledger-notarised-twice",
            transaction=signed.id,
            notary=content.notary.name,
            reason=refused.message,
        )
        raise


def _consume(connection: Connection, inputs: Sequence[StateRef], seq: int, now: EpochMs) -> None:
    if not inputs:
        return
    connection.execute(
        insert(CONSUMPTION),
        [
            {"transaction_id": ref.transaction_id, "output_index": ref.index, "by_seq": seq}
            for ref in inputs
        ],
    )
    for ref in inputs:
        made_by = select(TRANSACTION.c.seq).where(TRANSACTION.c.id == ref.transaction_id)
        spent = connection.execute(
            update(OUTPUT)
            .where(
                OUTPUT.c.transaction_seq == made_by.scalar_subquery(),
                OUTPUT.c.output_index == ref.index,
            )
            .values(consumed_at=now)
            .returning(OUTPUT.c.seq, OUTPUT.c.pool)
        ).all()
        for row in spent:
            if row.pool is not None:
                tokens.left(connection, row.seq)


def add_outputs(
    connection: Connection,
    made: Made,
    content: Transaction,
    facts: Sequence[OutputFacts],
    *,
    consumed: Mapping[int, EpochMs],
) -> None:
    """Add outputs that concern the node; `consumed` has the times of those that are consumed."""
    if not facts:
        return
    rows = [
        {
            "transaction_seq": made.seq,
            "output_index": fact.index,
            "type": content.outputs[fact.index].type,
            "representation": fact.representation,
            "created_at": made.at,
            "consumed_at": consumed.get(fact.index),
            **_token_columns(connection, made.id, fact, is_consumed=fact.index in consumed),
        }
        for fact in facts
    ]
    connection.execute(insert(OUTPUT), rows)


def _token_columns(
    connection: Connection, transaction_id: str, fact: OutputFacts, *, is_consumed: bool
) -> dict[str, object]:
    if fact.token is None:
        return dict.fromkeys(tokens.COLUMNS)
    columns = tokens.columns_of(connection, transaction_id, fact.index, fact.token)
    if not is_consumed:
        tokens.added(connection, columns)
    return columns


def consumption_times(connection: Connection, transaction_id: str) -> Mapping[int, EpochMs]:
    """The outputs that verified transactions consume, and when those became verified."""
    rows = connection.execute(
        select(CONSUMPTION.c.output_index, TRANSACTION.c.recorded_at)
        .join(TRANSACTION, TRANSACTION.c.seq == CONSUMPTION.c.by_seq)
        .where(CONSUMPTION.c.transaction_id == transaction_id)
    )
    return {row.output_index: EpochMs(row.recorded_at) for row in rows}
