"""How two nodes agree on a transaction: verify, sign, record, on both sides."""

from collections.abc import Callable
from dataclasses import dataclass

from cordapp.contracts import UtxoLedgerTransaction
from cordapp.flows import CordaRuntimeError, FlowSession, SubFlow, UtxoSignedTransaction


@dataclass(frozen=True)
class Signatures:
    """What the counterparty answers when it agrees."""

    signatures: list[dict[str, object]]


@dataclass(frozen=True)
class Recorded:
    """The counterparty has stored the transaction."""

    transaction_id: str


@dataclass
class CollectAndRecord(SubFlow[UtxoSignedTransaction]):
    """Collect the counterparty's signatures, store the transaction, and hand it over complete."""

    session: FlowSession
    transaction: UtxoSignedTransaction

    def call(self) -> UtxoSignedTransaction:
        answer = self.session.send_and_receive(Signatures, self.transaction)
        complete = self.transaction.with_signatures(answer.signatures)
        self.ledger_service.record(complete)
        self.session.send_and_receive(Recorded, complete)
        return complete


@dataclass
class CheckSignAndRecord(SubFlow[UtxoSignedTransaction]):
    """Verify what the counterparty sends, sign it if `check` accepts it, and store it complete.

    `check` raises to refuse: contracts say what is valid, `check` what this node wants.
    """

    session: FlowSession
    check: Callable[[UtxoLedgerTransaction], None]

    def call(self) -> UtxoSignedTransaction:
        proposed = self.session.receive(UtxoSignedTransaction)
        verified = self.ledger_service.verify(proposed, sign=True)
        self.check(verified.transaction)
        complete = self.session.send_and_receive(
            UtxoSignedTransaction, Signatures(verified.signatures)
        )
        if complete.id != proposed.id:
            raise CordaRuntimeError("iou-not-as-proposed", "This is not the transaction we signed")
        self.ledger_service.record(complete)
        self.session.send(Recorded(complete.id))
        return complete
