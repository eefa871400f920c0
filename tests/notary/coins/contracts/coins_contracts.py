"""A coin that one node owns; moving one must keep its amount."""

from dataclasses import dataclass

from cordapp.contracts import (
    Command,
    Contract,
    ContractState,
    UtxoLedgerTransaction,
    belongs_to,
    require,
)


@dataclass(frozen=True)
class Pay(Command):
    """A coin is issued or moved."""


class CoinContract(Contract):
    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        before = sum(coin.amount for coin in transaction.get_input_states(Coin))
        after = sum(coin.amount for coin in transaction.get_output_states(Coin))
        require(after > 0, "a coin is worth something")
        require(before in (0, after), "moving coins keeps their amount")


@belongs_to(CoinContract)
@dataclass(frozen=True, kw_only=True)
class Coin(ContractState):
    amount: int
    owner: str

    @property
    def participants(self) -> tuple[str, ...]:
        return (self.owner,)
