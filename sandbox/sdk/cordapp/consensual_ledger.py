"""The consensual ledger as flows use it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cordapp.consensual import (
    ConsensualLedgerTransaction,
    ConsensualState,
    consensual_state_to_json,
)
from cordapp.errors import CordaRuntimeError, HostApi
from cordapp.finality import FinalizationResult, finalize, receive_finality
from cordapp.schema import from_json, to_json
from cordapp.services import Service
from cordapp.signed import ConsensualSignedTransaction

if TYPE_CHECKING:
    from cordapp.sessions import FlowSession

__all__ = [
    "ConsensualLedgerService",
    "ConsensualSignedTransaction",
    "ConsensualTransactionBuilder",
]


class ConsensualTransactionBuilder:
    """Collects the states of a transaction."""

    def __init__(self, api: HostApi) -> None:
        self._api = api
        self._states: tuple[ConsensualState, ...] = ()
        self._is_signed = False

    @property
    def states(self) -> Sequence[ConsensualState]:
        """What all their participants will agree on."""
        return self._states

    def with_states(self, *states: ConsensualState) -> "ConsensualTransactionBuilder":
        """Add states; answers the builder itself."""
        self._states += states
        return self

    def to_signed_transaction(self) -> ConsensualSignedTransaction:
        """Verify by rules and states, and sign with this node's keys among the participants.

        Raises:
            ContractVerificationError: a state refuses; its own message.
            CordaRuntimeError: a rule is broken (`transaction-invalid`), or the transaction was
                signed before (`already-signed`).
        """
        if self._is_signed:
            raise CordaRuntimeError("already-signed", "A transaction cannot be signed twice.")
        states = [consensual_state_to_json(state) for state in self._states]
        answer = self._api.call("ledger", "build", {"op": "consensual", "states": states})
        self._is_signed = True
        signed: ConsensualSignedTransaction = from_json(ConsensualSignedTransaction, answer)
        return signed


class ConsensualLedgerService(Service):
    """Agrees with other nodes on facts that nobody consumes; no notary takes part."""

    def create_transaction_builder(self) -> ConsensualTransactionBuilder:
        """A new, empty builder."""
        return ConsensualTransactionBuilder(self._api)

    def finalize(
        self, transaction: ConsensualSignedTransaction, sessions: Sequence["FlowSession"] = ()
    ) -> FinalizationResult:
        """Collect the signatures of all participants, and record the transaction at all parties.

        Every counterparty of `sessions` must call `receive_finality`. When this returns, all
        participants have signed, and the transaction is recorded here.

        Raises:
            FinalityRefusedError: a counterparty does not sign.
            CordaRuntimeError: `signature-missing`: a participant is no party of `sessions`; others
                as the sessions.
        """
        return finalize(self._api, to_json(transaction, ConsensualSignedTransaction), sessions)

    def receive_finality(
        self, session: "FlowSession", validator: Callable[[ConsensualLedgerTransaction], object]
    ) -> FinalizationResult:
        """Verify what the counterparty proposes, sign it if `validator` accepts, and record it.

        `validator` refuses as that of the UTXO ledger's `receive_finality` does.

        Raises:
            ContractVerificationError: a state refuses; its own message.
            CordaRuntimeError: `finality-failed`: the counterparty has given up;
                `protocol-mismatch`: it proposes a transaction of the UTXO ledger.
        """

        def validate(transaction: Mapping[str, Any]) -> None:
            validator(ConsensualLedgerTransaction.__from_json__(transaction))

        return receive_finality(self._api, session, validate, "consensual")

    def find_signed_transaction(self, transaction_id: str) -> ConsensualSignedTransaction | None:
        """A recorded transaction, or None."""
        answer = self._call("ledger", "find", {"op": "consensual", "id": transaction_id})
        found: ConsensualSignedTransaction | None = from_json(
            ConsensualSignedTransaction | None, answer
        )
        return found

    def find_ledger_transaction(self, transaction_id: str) -> ConsensualLedgerTransaction | None:
        """A recorded transaction with its states, or None."""
        request = {"op": "consensual-ledger-transaction", "id": transaction_id}
        answer = self._call("ledger", "find", request)
        return None if answer is None else ConsensualLedgerTransaction.__from_json__(answer)
