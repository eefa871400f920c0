"""A coin; one of its kind is found by its number with an index, by its colour without one."""

from dataclasses import dataclass
from decimal import Decimal

from cordapp.contracts import (
    Command,
    Contract,
    ContractState,
    UtxoLedgerTransaction,
    belongs_to,
    require,
)
from cordapp.vault import VaultNamedQuery, vault_index


@dataclass(frozen=True)
class Pay(Command):
    """A coin is issued or moved."""


class CoinContract(Contract):
    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        before = sum(coin.amount for coin in transaction.get_input_states(Coin))
        after = sum(coin.amount for coin in transaction.get_output_states(Coin))
        require(before in (0, after), "moving coins keeps their amount")


@vault_index("number")
@belongs_to(CoinContract)
@dataclass(frozen=True, kw_only=True)
class Coin(ContractState):
    amount: Decimal
    owner: str
    number: int = 0
    colour: int = 0

    @property
    def participants(self) -> tuple[str, ...]:
        return (self.owner,)


_FIELD = "visible_states.custom_representation -> 'bench_contracts.Coin' ->> "


class AllCoins(VaultNamedQuery):
    name = "all"
    unconsumed_only = True


class CoinsByNumber(VaultNamedQuery):
    """In the order of the index, from a number on."""

    name = "by-number"
    where_json = f"WHERE ({_FIELD}'number') = :number"
    unconsumed_only = True


class CoinsByColour(VaultNamedQuery):
    """No index helps: every coin is looked at."""

    name = "by-colour"
    where_json = f"WHERE ({_FIELD}'colour')::int = :colour"
    unconsumed_only = True
