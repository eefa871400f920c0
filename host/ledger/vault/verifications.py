"""Contract verifications of transactions: this node's, and those that counterparties told of."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, select

from host.database.prepared import Prepared
from host.database.sql import Upsert
from host.domain.ids import EpochMs
from host.ledger.core.digests import Verification, read_verification, verification_text
from host.ledger.vault.tables import TRANSACTION, VERIFICATION
from host.ledger.vault.transactions import seq_of

THIS_NODE = ""
"""The party of the node's own verifications."""
_KEEP = Prepared(Upsert(table=VERIFICATION, keep=True))


def keep(
    connection: Connection,
    transaction_id: str,
    party: str,
    verifications: Sequence[Verification],
    *,
    now: EpochMs,
) -> None:
    """Store verifications of a stored transaction by a party; the first of each CPK stays.

    Raises:
        NotFoundError: the vault does not have the transaction.
    """
    seq = seq_of(connection, transaction_id)
    for each in verifications:
        _KEEP.run(
            connection,
            {
                "transaction_seq": seq,
                "cpk": each.cpk,
                "party": party,
                "verification": verification_text(each),
                "verified_at": now,
            },
        )


def list_of(connection: Connection, transaction_id: str) -> list[tuple[str, Verification]]:
    """Party and verification, by party and CPK; this node's come first."""
    rows = connection.execute(
        select(VERIFICATION.c.party, VERIFICATION.c.verification)
        .join(TRANSACTION, TRANSACTION.c.seq == VERIFICATION.c.transaction_seq)
        .where(TRANSACTION.c.id == transaction_id)
        .order_by(VERIFICATION.c.party, VERIFICATION.c.cpk)
    )
    return [(row.party, read_verification(json.loads(row.verification))) for row in rows]
