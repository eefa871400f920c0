"""The UTXO ledger as flows use it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from cordapp.builder import (
    UtxoBaselinedTransactionBuilder,
    UtxoTransactionBuilder,
    sent_back,
)
from cordapp.contracts import (
    ContractState,
    StateAndRef,
    StateRef,
    UtxoLedgerTransaction,
    state_and_ref_from_json,
)
from cordapp.filtered import (
    UtxoFilteredTransaction,
    UtxoFilteredTransactionAndSignatures,
    UtxoFilteredTransactionBuilder,
)
from cordapp.finality import FinalizationResult, Undelivered, finalize, receive_finality
from cordapp.registry import name_of
from cordapp.schema import from_json, to_json
from cordapp.services import PAGE, Service, read_after
from cordapp.signed import UtxoSignedTransaction
from cordapp.vault import VaultNamedQuery, query_name
from cordapp.vault_queries import VaultNamedParameterizedQuery

if TYPE_CHECKING:
    from cordapp.sessions import FlowSession

__all__ = [
    "FinalizationResult",
    "Undelivered",
    "UtxoBaselinedTransactionBuilder",
    "UtxoFilteredTransaction",
    "UtxoFilteredTransactionAndSignatures",
    "UtxoFilteredTransactionBuilder",
    "UtxoLedgerService",
    "UtxoSignedTransaction",
    "UtxoTransactionBuilder",
    "VerifiedTransaction",
]

S = TypeVar("S", bound=ContractState)
R = TypeVar("R")


@dataclass(frozen=True)
class VerifiedTransaction:
    """A transaction that this node's rules and contracts accept, and what the node signed."""

    transaction: UtxoLedgerTransaction
    signatures: list[dict[str, Any]]


class UtxoLedgerService(Service):
    """Builds, verifies, records and finds transactions and states of this node."""

    def create_transaction_builder(self) -> UtxoTransactionBuilder:
        """A new, empty builder."""
        return UtxoTransactionBuilder(self._api)

    def verify(
        self, transaction: UtxoSignedTransaction, *, sign: bool = False
    ) -> VerifiedTransaction:
        """Check rules, contracts and present signatures; with `sign`, sign with own keys.

        Raises:
            ContractVerificationError: a contract refuses; its own message.
        """
        request = {"transaction": to_json(transaction, UtxoSignedTransaction), "sign": sign}
        answer = self._call("ledger", "verify", request)
        seen = UtxoLedgerTransaction.__from_json__(answer["transaction"])
        return VerifiedTransaction(seen, answer["signatures"])

    def record(self, transaction: UtxoSignedTransaction) -> list[StateRef]:
        """Store a fully signed transaction; answer its outputs that concern this node.

        Raises:
            CordaRuntimeError: `signature-missing`, `state-consumed`, or as for `verify`.
        """
        answer = self._call(
            "ledger", "record", {"transaction": to_json(transaction, UtxoSignedTransaction)}
        )
        return [StateRef(answer["id"], index) for index in answer["visible"]]

    def finalize(
        self, transaction: UtxoSignedTransaction, sessions: Sequence["FlowSession"] = ()
    ) -> FinalizationResult:
        """Collect signatures, have the transaction notarised, and record it at all parties.

        Every counterparty of `sessions` must call `receive_finality`. When this returns, the
        transaction is final.

        Raises:
            FinalityRefusedError: a counterparty does not sign; nothing has changed.
            NotaryError: the notary refuses, for example because a state was spent before.
            CordaRuntimeError: `finality-undecided`: the notary was not reached, and the platform
                will ask it again; `signature-missing` and others as for `verify`.
        """
        return finalize(self._api, to_json(transaction, UtxoSignedTransaction), sessions)

    def receive_finality(
        self, session: "FlowSession", validator: Callable[[UtxoLedgerTransaction], object]
    ) -> FinalizationResult:
        """Verify what the counterparty proposes, sign it if `validator` accepts, and record it.

        Rules and contracts say what is valid, `validator` what this node wants. It refuses by
        `ValueError` (`require` of contracts raises one) or `CordaRuntimeError`: the counterparty is
        told its message and code, and the transaction counts as invalid here. Another exception
        ends the flow, and leaves the transaction undecided.

        Raises:
            BackchainError: what the transaction depends on could not be resolved.
            ContractVerificationError: a contract refuses; its own message.
            CordaRuntimeError: `finality-failed`: the counterparty has given up.
        """

        def validate(transaction: Mapping[str, Any]) -> None:
            validator(UtxoLedgerTransaction.__from_json__(transaction))

        return receive_finality(self._api, session, validate)

    def send_transaction(
        self, transaction: UtxoSignedTransaction, sessions: Sequence["FlowSession"]
    ) -> None:
        """Send a transaction to counterparties that call `receive_transaction`.

        What it depends on is shown by filtered transactions with their notary's signatures.

        Raises:
            CordaRuntimeError: `transfer-refused`, a counterparty does not take it.
        """
        self._send_transaction(transaction, sessions, backchain=False)

    def send_transaction_with_backchain(
        self, transaction: UtxoSignedTransaction, sessions: Sequence["FlowSession"]
    ) -> None:
        """As `send_transaction`; receivers get and verify all that it depends on."""
        self._send_transaction(transaction, sessions, backchain=True)

    def receive_transaction(self, session: "FlowSession") -> str:
        """Verify and store the transaction that the counterparty sends; answer its id.

        `find_signed_transaction` gives it if it is final: signed by its notary.

        Raises:
            BackchainError: what the transaction depends on could not be resolved.
            ContractVerificationError: a contract refuses; its own message.
        """
        request = {"op": "receive-transaction", "session": session.id}
        answer = self._call("ledger", "verify", request)
        transaction_id: str = answer["id"]
        return transaction_id

    def send_ledger_transaction(
        self, transaction: UtxoSignedTransaction, sessions: Sequence["FlowSession"]
    ) -> None:
        """Show a transaction with its states to counterparties, who do not store it.

        They call `receive_ledger_transaction`, and verify it and all that it depends on.

        Raises:
            CordaRuntimeError: `transfer-refused`, a counterparty does not take it.
        """
        request = {
            "op": "send-ledger-transaction",
            "transaction": to_json(transaction, UtxoSignedTransaction),
            "sessions": [session.id for session in sessions],
        }
        self._call("ledger", "record", request)

    def receive_ledger_transaction(self, session: "FlowSession") -> UtxoLedgerTransaction:
        """The transaction that the counterparty shows, verified with its states; it is not stored.

        Raises:
            BackchainError: what the transaction depends on could not be resolved.
            ContractVerificationError: a contract refuses; its own message.
        """
        request = {"op": "receive-ledger-transaction", "session": session.id}
        return UtxoLedgerTransaction.__from_json__(self._call("ledger", "verify", request))

    def send_and_receive_transaction_builder(
        self, builder: UtxoTransactionBuilder, session: "FlowSession"
    ) -> UtxoTransactionBuilder:
        """Let the counterparty add to a transaction; answer a new builder with what it has added.

        It calls `receive_transaction_builder`, then `send_updated_transaction_builder`. Notary and
        time window stay as they are if they are set, duplicates go, what was there comes first.
        What added inputs and references depend on is resolved and verified. Look at the result:
        the counterparty may have added anything.

        Raises:
            BackchainError: what added inputs and references depend on could not be resolved.
            CordaRuntimeError: `dependencies-mismatch`, `protocol-mismatch`.
        """
        request = {"op": "exchange-builder", "builder": builder._content(), "session": session.id}  # noqa: SLF001
        return UtxoTransactionBuilder(self._api, self._call("ledger", "record", request))

    def receive_transaction_builder(
        self, session: "FlowSession"
    ) -> UtxoBaselinedTransactionBuilder:
        """The builder that the counterparty sends, to be added to and sent back."""
        request = {"op": "receive-builder", "session": session.id}
        return UtxoBaselinedTransactionBuilder(self._api, self._call("ledger", "verify", request))

    def send_updated_transaction_builder(
        self, builder: UtxoBaselinedTransactionBuilder, session: "FlowSession"
    ) -> None:
        """Send back what was added to a received builder, and what that depends on.

        Raises:
            CordaRuntimeError: `builder-not-received`: it was not received, or something of it was
                changed; `state-not-found`: an added input or reference is not verified here;
                `request-invalid`: an added output is equal to another one.
        """
        request = {"op": "send-builder", **sent_back(builder), "session": session.id}
        self._call("ledger", "record", request)

    def _send_transaction(
        self,
        transaction: UtxoSignedTransaction,
        sessions: Sequence["FlowSession"],
        *,
        backchain: bool,
    ) -> None:
        request = {
            "op": "send-transaction",
            "transaction": to_json(transaction, UtxoSignedTransaction),
            "sessions": [session.id for session in sessions],
            "backchain": backchain,
        }
        self._call("ledger", "record", request)

    def find_signed_transaction(self, transaction_id: str) -> UtxoSignedTransaction | None:
        """A recorded transaction, or None."""
        found: UtxoSignedTransaction | None = from_json(
            UtxoSignedTransaction | None, self._call("ledger", "find", {"id": transaction_id})
        )
        return found

    def find_ledger_transaction(self, transaction_id: str) -> UtxoLedgerTransaction | None:
        """A recorded transaction with its states, as contracts see it, or None."""
        found = self._call("ledger", "find", {"op": "ledger-transaction", "id": transaction_id})
        return None if found is None else UtxoLedgerTransaction.__from_json__(found)

    def persist_draft_signed_transaction(self, transaction: UtxoSignedTransaction) -> None:
        """Store a transaction that is not finalized yet, for a later flow of this node.

        Raises:
            CordaRuntimeError: `signature-invalid`: a signature that it has is wrong.
        """
        draft = to_json(transaction, UtxoSignedTransaction)
        self._call("ledger", "record", {"op": "draft", "transaction": draft})

    def find_draft_signed_transaction(self, transaction_id: str) -> UtxoSignedTransaction | None:
        """A transaction that was stored as a draft, and nothing more, or None."""
        request = {"op": "draft", "id": transaction_id}
        found: UtxoSignedTransaction | None = from_json(
            UtxoSignedTransaction | None, self._call("ledger", "find", request)
        )
        return found

    def find_transaction_statuses(self, *transaction_ids: str) -> list[str | None]:
        """A letter for each, or None for one that this node does not have.

        D draft, U unverified, V verified, I invalid.
        """
        request = {"op": "status", "ids": list(transaction_ids)}
        found: list[str | None] = self._call("ledger", "find", request)
        return found

    def verify_signatory_signatures(self, transaction: UtxoSignedTransaction) -> None:
        """Check that all signatories have signed, and that all signatures are right.

        Raises:
            CordaRuntimeError: `signature-missing`, `signature-invalid`.
        """
        signed = to_json(transaction, UtxoSignedTransaction)
        self._call("ledger", "verify", {"op": "signatories", "transaction": signed})

    def filter_signed_transaction(
        self, transaction: UtxoSignedTransaction
    ) -> UtxoFilteredTransactionBuilder:
        """Show some parts of a transaction only, proved to belong to it."""
        return UtxoFilteredTransactionBuilder(self._api, transaction)

    def verify_filtered_transaction(self, filtered: UtxoFilteredTransaction) -> dict[str, Any]:
        """Check every proof of a filtered transaction; answer what it shows.

        Hidden parts are None; lists have their `size` and, of those shown, `values` by index.

        Raises:
            CordaRuntimeError: `filtered-invalid`: a part does not belong to the identifier.
        """
        request = {"op": "filtered", "filtered": filtered.content}
        found: dict[str, Any] = self._call("ledger", "verify", request)
        return found

    def find_filtered_transactions_and_signatures(
        self, transaction_id: str
    ) -> list[UtxoFilteredTransactionAndSignatures] | None:
        """What proves the states that a stored transaction names, or None if it is not stored.

        Each shows the named outputs of one transaction, with the signatures of its notary.
        """
        request = {"op": "dependencies", "id": transaction_id}
        found = self._call("ledger", "find", request)
        if found is None:
            return None
        return [
            UtxoFilteredTransactionAndSignatures(
                UtxoFilteredTransaction(each["filtered"]), each["signatures"]
            )
            for each in found
        ]

    def resolve(self, *refs: StateRef) -> list[StateAndRef[Any]]:
        """The states that these references name.

        Raises:
            CordaRuntimeError: `state-not-found`.
        """
        found = self._call("ledger", "find", {"stateRefs": [str(ref) for ref in refs]})
        return [state_and_ref_from_json(entry) for entry in found]

    def find_unconsumed_states(self, cls: type[S]) -> list[StateAndRef[S]]:
        """Unconsumed states of exactly this class, oldest first."""
        return list(self._unconsumed(cls, PAGE, None))

    def find_unconsumed_states_by_exact_type(
        self, cls: type[S], limit: int, created_before: datetime | None = None
    ) -> list[StateAndRef[S]]:
        """The first `limit` unconsumed states of exactly this class, oldest first.

        Args:
            cls: of the states.
            limit: how many at most.
            created_before: only states that this node recorded before this instant.
        """
        found = self._unconsumed(cls, max(1, min(limit, PAGE)), created_before)
        return list(islice(found, limit))

    def _unconsumed(
        self, cls: type[S], page: int, before: datetime | None
    ) -> Iterator[StateAndRef[S]]:
        until = to_json(before, datetime | None)
        query = {"op": "unconsumed", "type": name_of(cls), "limit": page, "createdBefore": until}
        for entry in read_after(self._api, "query", query):
            yield state_and_ref_from_json(entry)

    def query(
        self, query: str | type[VaultNamedQuery], cls: type[R]
    ) -> VaultNamedParameterizedQuery[R]:
        """A query that a contract package declares.

        Args:
            query: its name, or its class.
            cls: of its results: what its `map` answers, `StateAndRef` without one.
        """
        del cls  # for type checkers
        name = query if isinstance(query, str) else query_name(query)
        return VaultNamedParameterizedQuery(self._api, name)
