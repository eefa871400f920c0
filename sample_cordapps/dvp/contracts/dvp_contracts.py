"""Bonds, and the money that they are paid with: two contracts, each for its own states."""

from dataclasses import dataclass, replace
from decimal import Decimal

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
class IssueBond(Command):
    """An issuer makes a bond."""


@dataclass(frozen=True)
class MoveBond(Command):
    """A bond gets another owner."""


@dataclass(frozen=True)
class IssueMoney(Command):
    """A bank makes money."""


@dataclass(frozen=True)
class MoveMoney(Command):
    """Holders give money to others, and keep the change."""


class BondContract(Contract):
    """One bond in a transaction; its issuer signs what is made, its owner what is given away."""

    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        spent = transaction.get_input_states(Bond)
        made = transaction.get_output_states(Bond)
        commands = [c for c in transaction.commands if isinstance(c, IssueBond | MoveBond)]
        require(len(commands) == 1, "A transaction has one command about bonds")
        require(len(made) == 1, "A transaction makes one bond")
        if isinstance(commands[0], IssueBond):
            require(not spent, "An issue spends no bond")
            require(made[0].issuer_key in transaction.signatories, "The issuer signs its bonds")
        else:
            require(len(spent) == 1, "One bond moves")
            require(spent[0].owner_key in transaction.signatories, "A bond's owner signs its sale")
            kept = replace(spent[0], owner=made[0].owner, owner_key=made[0].owner_key)
            require(kept == made[0], "A bond that moves changes its owner only")


class MoneyContract(Contract):
    """Sums of each bank; who loses money signs, and the bank for what it makes."""

    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        spent = transaction.get_input_states(Money)
        made = transaction.get_output_states(Money)
        for money in made:
            require(money.amount > 0, "Money has an amount of more than 0")
        for money in spent:
            require(money.owner_key in transaction.signatories, "Who holds money signs for it")
        commands = [c for c in transaction.commands if isinstance(c, IssueMoney | MoveMoney)]
        require(len(commands) == 1, "A transaction has one command about money")
        if isinstance(commands[0], IssueMoney):
            require(not spent, "An issue spends no money")
            for money in made:
                require(money.bank_key in transaction.signatories, "The bank signs its money")
        else:
            require(_sums(spent) == _sums(made), "Money that moves is neither made nor lost")


@belongs_to(BondContract)
@dataclass(frozen=True, kw_only=True)
class Bond(ContractState):
    """What `issuer` owes to `owner`; both are X.500 names.

    Attributes:
        name: of the bond, unique for its issuer.
        price: what its owner asks for.
    """

    issuer: str
    issuer_key: PublicKey
    owner: str
    owner_key: PublicKey
    name: str
    price: Decimal

    @property
    def participants(self) -> list[PublicKey]:
        return [self.owner_key]


@belongs_to(MoneyContract)
@dataclass(frozen=True, kw_only=True)
class Money(ContractState):
    """An amount that `bank` owes to `owner`; both are X.500 names."""

    bank: str
    bank_key: PublicKey
    owner: str
    owner_key: PublicKey
    amount: Decimal

    @property
    def participants(self) -> list[PublicKey]:
        return [self.owner_key]


def _sums(states: list[Money]) -> dict[tuple[str, PublicKey], Decimal]:
    sums: dict[tuple[str, PublicKey], Decimal] = {}
    for money in states:
        bank = (money.bank, money.bank_key)
        sums[bank] = sums.get(bank, Decimal(0)) + money.amount
    return sums
