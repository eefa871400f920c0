"""The state of Corda's consensual demonstration: a text that its participants agree on."""

from dataclasses import dataclass, field

from cordapp.consensual import ConsensualLedgerTransaction, ConsensualState
from cordapp.contracts import PublicKey, require


@dataclass(frozen=True, kw_only=True)
class TestConsensualState(ConsensualState):
    """`participants` sign it, and keep it."""

    test_field: str = field(metadata={"json": "testField"})
    participants: list[PublicKey]

    def verify(self, transaction: ConsensualLedgerTransaction) -> None:
        require(self.test_field != "invalid", "State verification failed")
        for key in self.participants:
            require(key in transaction.required_signatories, "Every participant signs")
