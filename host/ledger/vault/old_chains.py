"""Unverified transactions that came as dependencies, and that no resolution has verified."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from host.database.key_lists import in_parts
from host.domain.ids import EpochMs
from host.ledger.core.statuses import Status
from host.ledger.vault.tables import PARTY, SIGNATURE, TRANSACTION, VERIFICATION
from host.ledger.vault.transactions import Origin

KEPT_MS = 24 * 60 * 60_000
FORGOTTEN_MAX = 100
"""Transactions that one call deletes."""
_ROW = TRANSACTION.c


def forget_old(connection: Connection, *, now: EpochMs) -> int:
    """Delete those that nobody has needed for a day, the oldest first; returns how many.

    A verified transaction has verified dependencies, so that nothing here needs them. Nobody
    repairs them: this node is no party of them.
    """
    has_party = select(PARTY.c.transaction_seq).where(PARTY.c.transaction_seq == _ROW.seq)
    chosen = (
        select(_ROW.seq)
        .where(
            _ROW.status == Status.UNVERIFIED.value,
            _ROW.origin == Origin.BACKCHAIN.value,
            _ROW.created_at < now - KEPT_MS,
            _ROW.updated_at < now - KEPT_MS,
            ~has_party.exists(),
        )
        .order_by(_ROW.created_at)
        .limit(FORGOTTEN_MAX)
    )
    found = connection.execute(chosen).scalars().all()
    if found:
        for table in (SIGNATURE, VERIFICATION):
            connection.execute(delete(table).where(table.c.transaction_seq.in_(found)))
        connection.execute(delete(TRANSACTION).where(_ROW.seq.in_(found)))
    return len(found)


def touch(connection: Connection, ids: Sequence[str], *, now: EpochMs) -> None:
    """A resolution needs these transactions: they are not old."""
    for part in in_parts(ids):
        connection.execute(update(TRANSACTION).where(_ROW.id.in_(part)).values(updated_at=now))
