"""What a flow puts together to a transaction of the UTXO ledger."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from cordapp.contracts import (
    Command,
    ContractState,
    PublicKey,
    StateRef,
    TimeWindow,
    command_from_json,
    command_to_json,
    state_from_json,
    state_ref_to_json,
    state_to_json,
)
from cordapp.errors import CordaRuntimeError, HostApi
from cordapp.schema import from_json, to_json
from cordapp.signed import UtxoSignedTransaction


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
        self._inputs += map(state_ref_to_json, refs)
        return self

    def add_reference_states(self, *refs: StateRef) -> "UtxoTransactionBuilder":
        """Show these states to the contracts without consuming them."""
        self._references += map(state_ref_to_json, refs)
        return self

    def add_output_states(
        self, *states: ContractState, encumbrance: str | None = None
    ) -> "UtxoTransactionBuilder":
        """Create these states; those with one encumbrance tag must be consumed together."""
        self._outputs += [state_to_json(state, encumbrance) for state in states]
        return self

    def add_commands(self, *commands: Command) -> "UtxoTransactionBuilder":
        """Say what the transaction does."""
        self._commands += map(command_to_json, commands)
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


def sent_back(builder: UtxoTransactionBuilder) -> dict[str, Any]:
    """A received builder and what has become of it.

    Raises:
        CordaRuntimeError: `builder-not-received`.
    """
    if not isinstance(builder, UtxoBaselinedTransactionBuilder):
        raise CordaRuntimeError("builder-not-received", "The builder was not received")
    return {"received": builder._baseline, "builder": builder._content()}  # noqa: SLF001
