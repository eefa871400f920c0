"""Recorded transactions with the states that they name, read from nodes' vaults.

Their JSON is the ledger transaction that contracts see (docs/reference/host-api.md): what
`cordbox contract verify` judges again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from host.domain.capability_error import CapabilityError
from host.domain.errors import NotFoundError, StorageError
from host.domain.ids import EpochMs, ShortHash
from host.ledger.core.consensual import read_content
from host.ledger.core.digests import Verification, other_outcomes
from host.ledger.core.model import Resolved
from host.ledger.core.statuses import Status
from host.ledger.functions.stored import dependencies_of
from host.ledger.vault import outputs, parties, transactions, verifications
from host.ledger.vault.transactions import Stored
from host.ports.vaults import VaultAccess

AROUND_MAX = 100
"""Transactions that are shown before, and after, another one."""
_VERIFIED = frozenset({Status.VERIFIED})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A transaction of any status, and what was said of it.

    Attributes:
        notary_key: of the notary that it names.
        visible: indexes of the outputs that concern the node.
        parties: counterparties of its finality, X.500 names.
        verifications: runs of contracts by CPK; the party of the node's own is empty.
    """

    stored: Stored
    notary_key: str | None
    visible: Sequence[int]
    parties: Sequence[str]
    verifications: Sequence[tuple[str, Verification]]

    def differs(self, verification: Verification) -> bool:
        """Whether a verification came to another outcome than the node's own by that CPK."""
        own = [each for party, each in self.verifications if not party]
        return bool(other_outcomes(own, [verification]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The transactions beside one in the ledger's graph, with their statuses at this node.

    Attributes:
        before: those of which it consumes or references states, in the order in which it names
            them; None: the node has no such transaction.
        after: verified ones that consume its states, in the order of the states.
        is_cut: there are more than `AROUND_MAX` of either.
    """

    before: Sequence[tuple[str, Status | None]]
    after: Sequence[tuple[str, Status | None]]
    is_cut: bool


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

    def newest(
        self,
        node: ShortHash,
        limit: int,
        before: int | None,
        statuses: Collection[Status] = _VERIFIED,
    ) -> Sequence[tuple[int, str]]:
        """As `oldest`, the latest first, of some statuses: only smaller sequence numbers."""
        return self._page(node, limit, before, newest_first=True, statuses=statuses)

    def outline(self, node: ShortHash, transaction_id: str) -> tuple[Status, EpochMs]:
        """The status, and when the node recorded or, if it has not, first stored a transaction.

        Raises:
            NotFoundError: the node does not have it.
            StorageError: the vault cannot be read.
        """
        found = None
        if self._vaults.is_made(node):
            with self._vaults.read(node) as connection:
                found = transactions.outline(connection, transaction_id)
        if found is None:
            raise _unknown(node, transaction_id)
        return found

    def overview(self, node: ShortHash, transaction_id: str) -> Overview:
        """A transaction of any status, and what was said of it.

        Raises:
            NotFoundError: the node does not have it.
            LedgerDamagedError: its rows are damaged.
            StorageError: the vault cannot be read.
        """
        self.outline(node, transaction_id)
        try:
            with self._vaults.read(node) as connection:
                stored = transactions.find_stored(connection, transaction_id)
                if stored is None:
                    raise LedgerDamagedError(f"transaction {transaction_id} has gone meanwhile")
                notary = read_content(stored.signed.groups).notary
                return Overview(
                    stored=stored,
                    notary_key=None if notary is None else notary.key,
                    visible=outputs.visible(connection, transaction_id),
                    parties=parties.names(connection, transaction_id),
                    verifications=verifications.list_of(connection, transaction_id),
                )
        except (CapabilityError, ValueError, TypeError, AttributeError) as refused:
            raise _damaged(node, transaction_id, refused) from refused

    def around(self, node: ShortHash, overview: Overview) -> Around:
        """The transactions before and after one.

        Raises:
            LedgerDamagedError: its rows are damaged.
            StorageError: the vault cannot be read.
        """
        signed = overview.stored.signed
        try:
            before = dependencies_of(read_content(signed.groups))
        except (CapabilityError, ValueError, TypeError, AttributeError) as refused:
            raise _damaged(node, signed.id, refused) from refused
        with self._vaults.read(node) as connection:
            after = outputs.consuming(connection, signed.id, limit=AROUND_MAX + 1)
            shown = [*before[:AROUND_MAX], *after[:AROUND_MAX]]
            found = list(zip(shown, transactions.statuses(connection, shown), strict=True))
        count = len(before[:AROUND_MAX])
        return Around(
            before=found[:count],
            after=found[count:],
            is_cut=max(len(before), len(after)) > AROUND_MAX,
        )

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
            raise _unknown(node, transaction_id)
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
                content = read_content(signed.groups)
                resolved = Resolved(
                    id=signed.id,
                    transaction=content,
                    inputs=tuple(outputs.find(connection, content.inputs)),
                    references=tuple(outputs.find(connection, content.references)),
                )
        except (CapabilityError, ValueError, TypeError, AttributeError) as refused:
            raise _damaged(node, transaction_id, refused) from refused
        return Recorded(at=at, resolved=resolved)

    def _page(
        self,
        node: ShortHash,
        limit: int,
        beyond: int | None,
        *,
        newest_first: bool,
        statuses: Collection[Status] = _VERIFIED,
    ) -> Sequence[tuple[int, str]]:
        if not self._vaults.is_made(node):
            return ()
        with self._vaults.read(node) as connection:
            return transactions.list_page(
                connection,
                limit=limit,
                beyond=beyond,
                newest_first=newest_first,
                statuses=statuses,
            )


def _unknown(node: ShortHash, transaction_id: str) -> NotFoundError:
    return NotFoundError(
        f"Virtual node {node} has no transaction {transaction_id}.",
        kind="transaction",
        named=transaction_id,
    )


def _damaged(node: ShortHash, transaction_id: str, refused: Exception) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"transaction {transaction_id} of virtual node {node} is damaged: {refused}"
    )
