"""What the lender wants: contracts say what is valid, these what was agreed."""

from collections.abc import Callable
from typing import TypeAlias

from iou_contracts import Iou, Issue, Settle, Transfer

from cordapp.contracts import UtxoLedgerTransaction
from cordapp.flows import CordaRuntimeError, MemberInfo

Check: TypeAlias = Callable[[UtxoLedgerTransaction], None]


def is_issued(*, borrower: str, lender: MemberInfo, amount: int, currency: str) -> Check:
    """The transaction issues one IOU, with these terms."""

    def check(transaction: UtxoLedgerTransaction) -> None:
        iou = transaction.get_output_states(Iou)[0]
        agreed = (borrower, lender.name, lender.ledger_keys[0], amount, currency)
        found = (iou.borrower, iou.lender, iou.lender_key, iou.amount, iou.currency)
        if not transaction.get_commands(Issue) or found != agreed:
            raise CordaRuntimeError("iou-not-as-proposed", "The IOU differs from the proposal")

    return check


def is_settled(*, linear_id: str, amount: int) -> Check:
    """The transaction pays this amount of this IOU."""

    def check(transaction: UtxoLedgerTransaction) -> None:
        settled = [iou.linear_id for iou in transaction.get_input_states(Iou)]
        amounts = [command.amount for command in transaction.get_commands(Settle)]
        if settled != [linear_id] or amounts != [amount]:
            raise CordaRuntimeError(
                "iou-not-as-proposed", "The settlement differs from the request"
            )

    return check


def is_transferred(*, party: str) -> Check:
    """The transaction sells an IOU of which `party` is the borrower or the new lender."""

    def check(transaction: UtxoLedgerTransaction) -> None:
        parties = [(iou.borrower, iou.lender) for iou in transaction.get_output_states(Iou)]
        if not transaction.get_commands(Transfer) or not all(party in each for each in parties):
            raise CordaRuntimeError("iou-not-as-proposed", "This is no transfer to or of this node")

    return check
