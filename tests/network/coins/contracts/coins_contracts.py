"""Coins that every party who knows them may spend, so that parties can race for them."""

from dataclasses import dataclass

from cordapp.contracts import Command, Contract, ContractState, UtxoLedgerTransaction, belongs_to


class CoinContract(Contract):
    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        pass


@dataclass(frozen=True)
class Move(Command):
    pass


@belongs_to(CoinContract)
@dataclass(frozen=True)
class Coin(ContractState):
    number: int
    owners: tuple[str, ...]

    @property
    def participants(self) -> tuple[str, ...]:
        return self.owners
