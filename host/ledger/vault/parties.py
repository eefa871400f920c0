"""The counterparties of the finalities of a node's flows."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from host.database.prepared import Prepared
from host.database.sql import Upsert
from host.ledger.vault.tables import PARTY, TRANSACTION
from host.ledger.vault.transactions import seq_of

_KEEP = Prepared(Upsert(table=PARTY, keep=True))
_OF = select(PARTY.c.name).join(TRANSACTION, TRANSACTION.c.seq == PARTY.c.transaction_seq)
_FIND = Prepared(
    _OF.where(TRANSACTION.c.id == bindparam("of_id"), PARTY.c.name == bindparam("name"))
)


def keep(connection: Connection, transaction_id: str, names: Sequence[str]) -> None:
    """Add counterparties, X.500 names, to a stored transaction.

    Raises:
        NotFoundError: the vault does not have the transaction.
    """
    seq = seq_of(connection, transaction_id)
    for name in names:
        _KEEP.run(connection, {"transaction_seq": seq, "name": name})


def names(connection: Connection, transaction_id: str) -> list[str]:
    """The counterparties of a transaction, by name."""
    rows = connection.execute(_OF.where(TRANSACTION.c.id == transaction_id).order_by(PARTY.c.name))
    return [row.name for row in rows]


def has(connection: Connection, transaction_id: str, name: str) -> bool:
    """Whether the node has a counterparty of this name in a transaction."""
    return _FIND.first(connection, {"of_id": transaction_id, "name": name}) is not None
