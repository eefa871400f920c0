"""Repairs of transactions on request: an operator does not wait for the time of a repair."""

from dataclasses import dataclass

from host.domain.vnode import VirtualNode
from host.flow.engine.system_starts import SystemStarts
from host.ledger.core.consensual import read_content
from host.ledger.core.statuses import Status, is_decided
from host.ledger.errors import TransactionNotRepairableError
from host.ledger.functions.stored import end_of
from host.ledger.protocols.repair import repair_of
from host.ledger.recorded import Overview, RecordedTransactions


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRequested:
    """The transaction's status before the repair; not `is_due`: nothing is to be repaired."""

    id: str
    status: Status
    is_due: bool


class Repairs:
    """Has repairs made now. Thread-safe."""

    def __init__(self, recorded: RecordedTransactions, starts: SystemStarts) -> None:
        self._recorded = recorded
        self._starts = starts

    def make_due(self, vnode: VirtualNode, transaction_id: str) -> RepairRequested:
        """Start the repair of a transaction that is not decided; may be repeated.

        When this returns, the start is durable. The pauses between attempts begin anew, also
        those of a repair that was given up.

        Raises:
            NotFoundError: the node does not have the transaction.
            TransactionNotRepairableError: it is a draft, is invalid for ever, or names no notary.
            NotAllowedError, QuotaExceededError, StateConflictError: see `SystemStarts.start`.
            LedgerDamagedError, StorageError: the vault or the store cannot be used.
        """
        found = self._recorded.overview(vnode.holding.short_hash, transaction_id)
        status = found.stored.status
        if status is Status.VERIFIED:
            return RepairRequested(id=transaction_id, status=status, is_due=False)
        obstacle = _obstacle(found)
        if obstacle is not None:
            raise TransactionNotRepairableError(
                f"Transaction {transaction_id} of virtual node {vnode.holding.short_hash} cannot be"
                f" repaired: {obstacle}.",
                status=status.value,
            )
        self._starts.start(vnode, repair_of(transaction_id, after_ms=0))
        return RepairRequested(id=transaction_id, status=status, is_due=True)


def _obstacle(found: Overview) -> str | None:
    stored = found.stored
    if stored.status is Status.DRAFT:
        return "it is a draft, which no notary was asked about"
    if is_decided(stored.status, stored.reason):
        return f"it is invalid for ever, reason {stored.reason}"
    if end_of(read_content(stored.signed.groups)) is None:
        return (
            "it names no notary that could be asked; it stays as it is until its flow is run again"
        )
    return None
