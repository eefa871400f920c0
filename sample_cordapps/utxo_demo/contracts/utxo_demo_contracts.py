"""The state of Corda's UTXO demonstration: a text that some members keep."""

from dataclasses import dataclass, field

from cordapp.contracts import (
    Command,
    Contract,
    ContractState,
    PublicKey,
    UtxoLedgerTransaction,
    belongs_to,
    require,
)
from cordapp.vault import VaultNamedQuery, vault_index, vault_json


@dataclass(frozen=True)
class TestCommand(Command):
    """Makes or changes states."""


class TestContract(Contract):
    """Whoever keeps a state signs what makes or consumes it."""

    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        require(bool(transaction.get_commands(TestCommand)), "A transaction has a TestCommand")
        states = transaction.get_input_states(TestUtxoState)
        states += transaction.get_output_states(TestUtxoState)
        for state in states:
            require(bool(state.participants), "A state has a participant")
            for key in state.participants:
                require(key in transaction.signatories, "Every participant signs")


@vault_index("testField")
@belongs_to(TestContract)
@dataclass(frozen=True, kw_only=True)
class TestUtxoState(ContractState):
    """`participant_names` are the X.500 names of those whose keys are `participants`."""

    test_field: str = field(metadata={"json": "testField"})
    participants: list[PublicKey]
    participant_names: list[str] = field(metadata={"json": "participantNames"})


@vault_json(TestUtxoState)
def state_json(state: TestUtxoState) -> dict[str, object]:
    """What queries see."""
    return {"testField": state.test_field}


class StatesByField(VaultNamedQuery):
    """Unconsumed states with this text."""

    name = "UtxoDemo.by-field"
    where_json = (
        "WHERE visible_states.custom_representation"
        " -> 'utxo_demo_contracts.TestUtxoState' ->> 'testField' = :testField"
    )
    unconsumed_only = True
