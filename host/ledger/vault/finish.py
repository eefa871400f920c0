"""Makes a transaction verified: its status, consumption and visible outputs, in one write."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, bindparam, insert, select, update

from host.database.prepared import Prepared
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

_CONSUME = Prepared(insert(CONSUMPTION))
_ADD_OUTPUT = Prepared(insert(OUTPUT))
_MADE_BY = select(TRANSACTION.c.seq).where(TRANSACTION.c.id == bindparam("of_id"))
_SPEND = Prepared(
    update(OUTPUT)
    .where(
        OUTPUT.c.transaction_seq == _MADE_BY.scalar_subquery(),
        OUTPUT.c.output_index == bindparam("of_index"),
    )
    .values(consumed_at=bindparam("now"))
    .returning(OUTPUT.c.seq, OUTPUT.c.pool)
)
_CONSUMERS = Prepared(
    select(CONSUMPTION.c.output_index, TRANSACTION.c.recorded_at)
    .join(TRANSACTION, TRANSACTION.c.seq == CONSUMPTION.c.by_seq)
    .where(CONSUMPTION.c.transaction_id == bindparam("of_id"))
)


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
    _CONSUME.run(
        connection,
        [
            {"transaction_id": ref.transaction_id, "output_index": ref.index, "by_seq": seq}
            for ref in inputs
        ],
    )
    for ref in inputs:
        values = {"of_id": ref.transaction_id, "of_index": ref.index, "now": now}
        for row in _SPEND.all(connection, values):
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
    _ADD_OUTPUT.run(connection, rows)


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
    rows = _CONSUMERS.all(connection, {"of_id": transaction_id})
    return {row.output_index: EpochMs(row.recorded_at) for row in rows}
