"""Transactions as the functions of protocols find them in a vault."""

from collections.abc import Sequence

from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.ledger.core.components import ledger_of
from host.ledger.core.consensual import read_content
from host.ledger.core.model import Ledger, Transaction
from host.ledger.core.signed import Signature, SignedTransaction
from host.ledger.errors import LedgerMismatchError
from host.ledger.vault import parties, transactions
from host.ledger.vault.transactions import Stored


def stored_transaction(connection: Connection, transaction_id: str) -> Stored:
    """The transaction that a program has stored before.

    Raises:
        CapabilityError: `proposal-unknown`.
    """
    stored = transactions.find_stored(connection, transaction_id)
    if stored is None:
        raise unknown_proposal(transaction_id)
    return stored


def proposed_by(connection: Connection, transaction_id: str, party: str) -> Stored:
    """The transaction that a counterparty has proposed.

    Raises:
        CapabilityError: `proposal-unknown`.
    """
    stored = stored_transaction(connection, transaction_id)
    if not parties.has(connection, transaction_id, party):
        raise unknown_proposal(transaction_id)
    return stored


def unknown_proposal(transaction_id: str) -> CapabilityError:
    return CapabilityError(
        "proposal-unknown",
        f"no counterparty of this flow has proposed transaction {transaction_id} to this node,"
        " or it was not examined",
    )


def dependencies_of(content: Transaction) -> list[str]:
    """The transactions whose outputs another one names, each once."""
    refs = (*content.inputs, *content.references)
    return list(dict.fromkeys(ref.transaction_id for ref in refs))


def end_of(content: Transaction) -> str | None:
    """The instant before which the transaction's notary has to be asked; None without a notary."""
    window = content.time_window
    return None if content.notary is None or window is None else window.until


def content_of(signed: SignedTransaction) -> Transaction:
    return read_content(signed.groups)


def check_ledger(signed: SignedTransaction, expected: Ledger) -> None:
    """Refuse a transaction of the other ledger.

    Raises:
        LedgerMismatchError: it is one.
    """
    if ledger_of(signed.groups) is not expected:
        raise LedgerMismatchError(signed.id, expected.shown)


def unsigned_of(stored: SignedTransaction, signatures: Sequence[Signature]) -> list[Signature]:
    """Those of `signatures` whose keys have not signed the stored transaction yet, each once."""
    known = {each.key for each in stored.signatures}
    new = {each.key: each for each in reversed(signatures) if each.key not in known}
    return list(reversed(new.values()))
