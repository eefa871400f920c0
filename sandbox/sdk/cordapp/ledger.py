"""The UTXO ledger as flows use it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from cordapp.contracts import (
    Command,
    ContractState,
    PublicKey,
    StateAndRef,
    StateRef,
    TimeWindow,
    UtxoLedgerTransaction,
    command_from_json,
    state_and_ref_from_json,
    state_from_json,
    state_to_json,
)
from cordapp.errors import CordaRuntimeError, HostApi
from cordapp.failures import message_of
from cordapp.registry import name_of
from cordapp.schema import from_json, to_json
from cordapp.services import Service, read_pages
from cordapp.vault import VaultNamedQuery, query_name
from cordapp.vault_queries import VaultNamedParameterizedQuery

if TYPE_CHECKING:
    from cordapp.flows import FlowSession

S = TypeVar("S", bound=ContractState)
R = TypeVar("R")


@dataclass(frozen=True)
class UtxoSignedTransaction:
    """A transaction with its signatures so far; travels over sessions as it is."""

    id: str
    privacy_salt: str = field(metadata={"json": "privacySalt"})
    component_groups: list[list[str]] = field(metadata={"json": "componentGroups"})
    signatures: list[dict[str, Any]]

    def with_signatures(self, more: Iterable[dict[str, Any]]) -> "UtxoSignedTransaction":
        """The same transaction with further signatures; a key signs once."""
        known = {s["key"] for s in self.signatures}
        added = [s for s in more if s["key"] not in known]
        groups = self.component_groups
        return UtxoSignedTransaction(self.id, self.privacy_salt, groups, self.signatures + added)


@dataclass(frozen=True)
class VerifiedTransaction:
    """A transaction that this node's rules and contracts accept, and what the node signed."""

    transaction: UtxoLedgerTransaction
    signatures: list[dict[str, Any]]


@dataclass(frozen=True)
class Undelivered:
    """A counterparty that could not be told; its own host will ask the notary."""

    counterparty: str
    code: str


@dataclass(frozen=True)
class FinalizationResult:
    """A final transaction.

    Attributes:
        id: the transaction's.
        signatures: those that were added by this call, the notary's last.
        visible: its outputs that concern this node.
        undelivered: counterparties that have not been told; empty for who received the transaction.
    """

    id: str
    signatures: list[dict[str, Any]]
    visible: list[StateRef]
    undelivered: list[Undelivered]


class UtxoTransactionBuilder:
    """Collects the parts of a transaction. Every `add` answers the builder itself."""

    def __init__(self, api: HostApi, content: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._api = api
        self._notary: str | None = content.get("notary")
        self._window: TimeWindow = from_json(TimeWindow, content.get("timeWindow") or {})
        self._inputs: list[str] = list(content.get("inputs", ()))
        self._references: list[str] = list(content.get("references", ()))
        self._outputs: list[dict[str, Any]] = list(content.get("outputs", ()))
        self._commands: list[dict[str, Any]] = list(content.get("commands", ()))
        self._signatories: list[PublicKey] = list(content.get("signatories", ()))

    @property
    def notary(self) -> str | None:
        """The X.500 name of the notary service."""
        return self._notary

    @property
    def time_window(self) -> TimeWindow:
        """When the transaction may be notarised; without bounds if it is not set."""
        return self._window

    @property
    def input_state_refs(self) -> list[StateRef]:
        """The states to be consumed."""
        return [StateRef.parse(ref) for ref in self._inputs]

    @property
    def reference_state_refs(self) -> list[StateRef]:
        """The states that contracts see beside those."""
        return [StateRef.parse(ref) for ref in self._references]

    @property
    def output_states(self) -> list[ContractState]:
        """The states to be created.

        Raises:
            ValueError: a counterparty has added one that this package does not declare, or that
                does not fit its declaration.
        """
        return [state_from_json(entry) for entry in self._outputs]

    @property
    def commands(self) -> list[Command]:
        """What the transaction does.

        Raises:
            ValueError: as for `output_states`.
        """
        return [command_from_json(entry) for entry in self._commands]

    @property
    def signatories(self) -> list[PublicKey]:
        """The keys that are to sign."""
        return list(self._signatories)

    def set_notary(self, name: str) -> "UtxoTransactionBuilder":
        """Name the notary service; needed where the group has one."""
        self._notary = name
        return self

    def set_time_window(
        self, *, until: datetime, from_: datetime | None = None
    ) -> "UtxoTransactionBuilder":
        """Bound the time of notarisation."""
        self._window = TimeWindow(from_, until)
        return self

    def add_input_states(self, *refs: StateRef) -> "UtxoTransactionBuilder":
        """Consume these states."""
        self._inputs += [str(ref) for ref in refs]
        return self

    def add_reference_states(self, *refs: StateRef) -> "UtxoTransactionBuilder":
        """Show these states to the contracts without consuming them."""
        self._references += [str(ref) for ref in refs]
        return self

    def add_output_states(
        self, *states: ContractState, encumbrance: str | None = None
    ) -> "UtxoTransactionBuilder":
        """Create these states; those with one encumbrance tag must be consumed together."""
        self._outputs += [state_to_json(state, encumbrance) for state in states]
        return self

    def add_commands(self, *commands: Command) -> "UtxoTransactionBuilder":
        """Say what the transaction does."""
        self._commands += [
            {"type": name_of(type(c)), "value": to_json(c, type(c))} for c in commands
        ]
        return self

    def add_signatories(self, *keys: PublicKey) -> "UtxoTransactionBuilder":
        """Require signatures by these keys."""
        self._signatories += keys
        return self

    def to_signed_transaction(self) -> UtxoSignedTransaction:
        """Verify by rules and contracts, and sign with this node's keys among the signatories.

        Raises:
            ContractVerificationError: a contract refuses; its own message.
            CordaRuntimeError: a structural rule is broken (`transaction-invalid`).
        """
        signed: UtxoSignedTransaction = from_json(
            UtxoSignedTransaction, self._api.call("ledger", "build", self._content())
        )
        return signed

    def _content(self) -> dict[str, Any]:
        window = self._window
        return {
            "notary": self._notary,
            "timeWindow": None if window == TimeWindow() else to_json(window, TimeWindow),
            "inputs": self._inputs,
            "references": self._references,
            "outputs": self._outputs,
            "commands": self._commands,
            "signatories": self._signatories,
        }


class UtxoBaselinedTransactionBuilder(UtxoTransactionBuilder):
    """A counterparty's builder, to be added to and sent back."""

    def __init__(self, api: HostApi, content: Mapping[str, Any]) -> None:
        super().__init__(api, content)
        self._baseline = dict(content)


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
        request = {
            "op": "finalize",
            "transaction": to_json(transaction, UtxoSignedTransaction),
            "sessions": [session.id for session in sessions],
        }
        answer = self._call("ledger", "record", request)
        undelivered = [Undelivered(e["counterparty"], e["code"]) for e in answer["undelivered"]]
        return _finalized(answer, undelivered)

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
        received = self._call("ledger", "verify", {"op": "receive-finality", "session": session.id})
        answer = {"session": session.id, "proposal": received["proposal"]}
        try:
            validator(UtxoLedgerTransaction.__from_json__(received["transaction"]))
        except (ValueError, CordaRuntimeError) as refused:
            code = getattr(refused, "code", None)
            refusal = {
                "op": "refuse-finality",
                **answer,
                "message": message_of(refused),
                "code": code if isinstance(code, str) else None,
                "invalid": True,
            }
            self._call("ledger", "record", refusal)
            raise
        return _finalized(self._call("ledger", "record", {"op": "accept-finality", **answer}), [])

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
        request = {"op": "send-builder", **_sent_back(builder), "session": session.id}
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

    def resolve(self, *refs: StateRef) -> list[StateAndRef[Any]]:
        """The states that these references name.

        Raises:
            CordaRuntimeError: `state-not-found`.
        """
        found = self._call("ledger", "find", {"stateRefs": [str(ref) for ref in refs]})
        return [state_and_ref_from_json(entry) for entry in found]

    def find_unconsumed_states(self, cls: type[S]) -> list[StateAndRef[S]]:
        """Unconsumed states of exactly this class, oldest first."""
        query = {"op": "unconsumed", "type": name_of(cls)}
        found = read_pages(self._api, "ledger", "query", query)
        return [state_and_ref_from_json(entry) for entry in found]

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


def _finalized(answer: dict[str, Any], undelivered: list[Undelivered]) -> FinalizationResult:
    visible = [StateRef(answer["id"], index) for index in answer["visible"]]
    return FinalizationResult(answer["id"], answer["signatures"], visible, undelivered)


def _sent_back(builder: UtxoTransactionBuilder) -> dict[str, Any]:
    if not isinstance(builder, UtxoBaselinedTransactionBuilder):
        raise CordaRuntimeError("builder-not-received", "The builder was not received")
    return {"received": builder._baseline, "builder": builder._content()}  # noqa: SLF001
