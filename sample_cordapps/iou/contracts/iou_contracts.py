"""The IOU: a borrower owes a lender an amount, and pays it back in one or more parts."""

from dataclasses import dataclass, replace

from cordapp.contracts import (
    Command,
    Contract,
    ContractState,
    PublicKey,
    UtxoLedgerTransaction,
    belongs_to,
    require,
)


@dataclass(frozen=True)
class Issue(Command):
    """A new IOU."""


@dataclass(frozen=True)
class Settle(Command):
    """The borrower pays `amount`, part of the debt or all of it."""

    amount: int


@dataclass(frozen=True)
class Transfer(Command):
    """The lender sells the IOU to another lender."""


class IouContract(Contract):
    """One IOU and one command in each transaction."""

    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        inputs = transaction.get_input_states(Iou)
        outputs = transaction.get_output_states(Iou)
        require(len(transaction.commands) == 1, "An IOU transaction has exactly one command")
        match transaction.commands[0]:
            case Issue():
                _verify_issue(inputs, outputs)
            case Settle(amount):
                _verify_settle(inputs, outputs, amount)
            case Transfer():
                _verify_transfer(inputs, outputs)
            case command:
                require(condition=False, message=f"{type(command).__name__} is no IOU command")
        for iou in inputs + outputs:
            for key in iou.participants:
                require(key in transaction.signatories, "Borrower and lender must both sign an IOU")


@belongs_to(IouContract)
@dataclass(frozen=True, kw_only=True)
class Iou(ContractState):
    """A debt. Amounts count the currency's smallest unit, for example pence.

    Attributes:
        linear_id: stays the same over all transactions of one IOU.
        borrower: X.500 name of who owes; `lender` is who is owed.
        paid: how much of `amount` is paid back.
    """

    linear_id: str
    borrower: str
    lender: str
    borrower_key: PublicKey
    lender_key: PublicKey
    amount: int
    currency: str
    paid: int = 0

    @property
    def outstanding(self) -> int:
        return self.amount - self.paid

    @property
    def participants(self) -> list[PublicKey]:
        return [self.borrower_key, self.lender_key]


def _verify_issue(inputs: list[Iou], outputs: list[Iou]) -> None:
    require(not inputs, "An issue consumes no IOU")
    require(len(outputs) == 1, "An issue creates exactly one IOU")
    iou = outputs[0]
    require(iou.amount > 0, "An IOU's amount must be positive")
    require(iou.paid == 0, "A new IOU has nothing paid yet")
    require(iou.borrower != iou.lender, "Borrower and lender must differ")
    require(iou.borrower_key != iou.lender_key, "Borrower and lender must differ")
    require(
        len(iou.currency) == 3 and iou.currency.isascii() and iou.currency.isupper(),
        "An IOU's currency is an ISO 4217 code such as GBP",
    )


def _verify_settle(inputs: list[Iou], outputs: list[Iou], amount: int) -> None:
    require(len(inputs) == 1, "A settlement consumes exactly one IOU")
    before = inputs[0]
    require(amount > 0, "A settlement's amount must be positive")
    require(amount <= before.outstanding, "A settlement cannot exceed what is outstanding")
    after = replace(before, paid=before.paid + amount)
    expected = [after] if after.outstanding else []
    require(outputs == expected, "A settlement changes only what is paid")


def _verify_transfer(inputs: list[Iou], outputs: list[Iou]) -> None:
    require(len(inputs) == 1 and len(outputs) == 1, "A transfer turns one IOU into one")
    before, after = inputs[0], outputs[0]
    require(after.lender != before.lender, "A transfer changes the lender")
    require(after.lender != after.borrower, "Borrower and lender must differ")
    same = replace(after, lender=before.lender, lender_key=before.lender_key)
    require(same == before, "A transfer changes only the lender")
