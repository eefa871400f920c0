"""Recorded transactions with the states that they name, read from nodes' vaults.

Their JSON is the ledger transaction that contracts see (docs/reference/host-api.md): what
`cordbox contract verify` judges again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.capability_error import CapabilityError
from host.domain.errors import NotFoundError, StorageError
from host.domain.ids import EpochMs, ShortHash
from host.ledger.core.components import from_groups
from host.ledger.core.model import Resolved
from host.ledger.vault import outputs, transactions
from host.ports.vaults import VaultAccess


class LedgerDamagedError(StorageError):
    """A recorded transaction cannot be read: its components, or states that it names, are wrong."""

    code = "ledger-damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A transaction and when the node recorded it."""

    at: EpochMs
    resolved: Resolved

    @property
    def state_types(self) -> frozenset[str]:
        """The types of all states that the transaction consumes, refers to or makes."""
        found = self.resolved
        named = (each.state for each in (*found.inputs, *found.references))
        return frozenset(state.type for state in (*named, *found.transaction.outputs))


class RecordedTransactions:
    """Reads the transactions of every node of the host. Thread-safe."""

    def __init__(self, vaults: VaultAccess) -> None:
        self._vaults = vaults

    def oldest(self, node: ShortHash, limit: int, after: int | None) -> Sequence[tuple[int, str]]:
        """Sequence number and identifier of transactions, in the order of recording.

        Args:
            node: whose vault is read.
            limit: number of transactions at most.
            after: only those with a greater sequence number.

        Raises:
            StorageError: the vault cannot be read.
        """
        return self._page(node, limit, after, newest_first=False)

    def newest(self, node: ShortHash, limit: int, before: int | None) -> Sequence[tuple[int, str]]:
        """As `oldest`, the latest first: only those with a smaller sequence number."""
        return self._page(node, limit, before, newest_first=True)

    def recorded_at(self, node: ShortHash, transaction_id: str) -> EpochMs:
        """When the node recorded a transaction.

        Raises:
            NotFoundError: the node has not recorded it.
            StorageError: the vault cannot be read.
        """
        at = None
        if self._vaults.is_made(node):
            with self._vaults.read(node) as connection:
                at = transactions.recorded_at(connection, transaction_id)
        if at is None:
            raise NotFoundError(
                f"Virtual node {node} has recorded no transaction {transaction_id}.",
                kind="transaction",
                named=transaction_id,
            )
        return at

    def find(self, node: ShortHash, transaction_id: str) -> Recorded:
        """A transaction with the states that it names.

        Raises:
            NotFoundError: the node has not recorded it.
            LedgerDamagedError: its rows are damaged.
            StorageError: the vault cannot be read.
        """
        at = self.recorded_at(node, transaction_id)
        try:
            with self._vaults.read(node) as connection:
                signed = transactions.find(connection, transaction_id)
                if signed is None:
                    raise LedgerDamagedError(f"transaction {transaction_id} has gone meanwhile")
                content = from_groups(signed.groups)
                resolved = Resolved(
                    id=signed.id,
                    transaction=content,
                    inputs=tuple(outputs.find(connection, content.inputs)),
                    references=tuple(outputs.find(connection, content.references)),
                )
        except (CapabilityError, ValueError, TypeError, AttributeError) as refused:
            raise LedgerDamagedError(
                f"transaction {transaction_id} of virtual node {node} is damaged: {refused}"
            ) from refused
        return Recorded(at=at, resolved=resolved)

    def _page(
        self, node: ShortHash, limit: int, beyond: int | None, *, newest_first: bool
    ) -> Sequence[tuple[int, str]]:
        if not self._vaults.is_made(node):
            return ()
        with self._vaults.read(node) as connection:
            return transactions.list_page(
                connection, limit=limit, beyond=beyond, newest_first=newest_first
            )
