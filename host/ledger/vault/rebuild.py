"""Replaces what a vault keeps of a verified transaction's outputs, in one write."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, delete, select, update

from host.domain.ids import EpochMs
from host.ledger.core.facts import OutputFacts
from host.ledger.core.model import Transaction
from host.ledger.vault import tokens
from host.ledger.vault.finish import Made, add_outputs, consumption_times
from host.ledger.vault.tables import OUTPUT, TRANSACTION

_TOKEN = [OUTPUT.c[name] for name in tokens.COLUMNS]


def replace_outputs(
    connection: Connection,
    transaction_id: str,
    content: Transaction,
    facts: Sequence[OutputFacts],
) -> bool:
    """Keep what `facts` say of the outputs that concern the node; returns whether that is new.

    An output that was kept keeps its number and its times. One that was not gets a new number, and
    the times of its transaction and of the one that consumed it. A token that has become another,
    or none, leaves its claim.

    Args:
        connection: its open transaction is on the node's vault, which has it verified.
        transaction_id: the transaction.
        content: of its component groups.
        facts: of the outputs that concern the node, by rising index.
    """
    seq, at = connection.execute(
        select(TRANSACTION.c.seq, TRANSACTION.c.recorded_at).where(
            TRANSACTION.c.id == transaction_id
        )
    ).one()
    rows = connection.execute(
        select(
            OUTPUT.c.seq,
            OUTPUT.c.output_index,
            OUTPUT.c.representation,
            OUTPUT.c.consumed_at,
            *_TOKEN,
        ).where(OUTPUT.c.transaction_seq == seq)
    ).all()
    kept = {row.output_index: row for row in rows}
    wanted = {fact.index: fact for fact in facts}
    changes = [
        _change(connection, transaction_id, kept[index], fact)
        for index, fact in wanted.items()
        if index in kept
    ]
    gone = [row for index, row in kept.items() if index not in wanted]
    for row in gone:
        _leave_pool(connection, row)
        connection.execute(delete(OUTPUT).where(OUTPUT.c.seq == row.seq))
    added = [fact for index, fact in wanted.items() if index not in kept]
    add_outputs(
        connection,
        Made(transaction_id, seq, EpochMs(at)),
        content,
        added,
        consumed=consumption_times(connection, transaction_id),
    )
    return bool(added or gone or any(changes))


def _change(
    connection: Connection, transaction_id: str, row: Row[tuple[object, ...]], fact: OutputFacts
) -> bool:
    """Update an output's row where it differs."""
    before = {name: getattr(row, name) for name in tokens.COLUMNS}
    columns: dict[str, object] = dict.fromkeys(tokens.COLUMNS)
    if fact.token is not None:
        columns = tokens.columns_of(connection, transaction_id, fact.index, fact.token)
    is_other = columns != before
    if not is_other and row.representation == fact.representation:
        return False
    if is_other:
        _leave_pool(connection, row)
        if fact.token is not None and row.consumed_at is None:
            tokens.added(connection, columns)
    connection.execute(
        update(OUTPUT)
        .where(OUTPUT.c.seq == row.seq)
        .values(representation=fact.representation, **columns)
    )
    return True


def _leave_pool(connection: Connection, row: Row[tuple[object, ...]]) -> None:
    if row.pool is not None and row.consumed_at is None:
        tokens.left(connection, row.seq)
