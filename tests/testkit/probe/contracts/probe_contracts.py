"""A state whose contract wants a positive number."""

from dataclasses import dataclass

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
class Create(Command):
    pass


class UnluckyError(Exception):
    code = "number-unlucky"


class NumberContract(Contract):
    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        for output in transaction.get_output_states(Number):
            require(output.value > 0, "the number must be positive")
            if output.value == 13:
                raise UnluckyError("nobody takes a 13")


@belongs_to(NumberContract)
@dataclass(frozen=True)
class Number(ContractState):
    value: int
    owner: PublicKey

    @property
    def participants(self) -> list[PublicKey]:
        return [self.owner]
