"""Transactions of which some parts are shown only, with proofs that they belong to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from cordapp.errors import HostApi
from cordapp.schema import to_json
from cordapp.signed import UtxoSignedTransaction


@dataclass(frozen=True)
class UtxoFilteredTransaction:
    """Parts of a transaction with their proofs; travels over sessions as it is.

    Attributes:
        content: as the host API has it; `verify_filtered_transaction` checks and reads it.
    """

    content: dict[str, Any]

    @property
    def id(self) -> str:
        """Of the whole transaction."""
        return str(self.content["id"])


@dataclass(frozen=True)
class UtxoFilteredTransactionAndSignatures:
    """A filtered transaction, and the signatures of its notary."""

    filtered_transaction: UtxoFilteredTransaction
    signatures: list[dict[str, Any]]


class UtxoFilteredTransactionBuilder:
    """Chooses what is shown of a transaction; what is not named stays hidden.

    Lists are shown whole, at some indexes, or by their size alone.
    """

    def __init__(self, api: HostApi, transaction: UtxoSignedTransaction) -> None:
        self._api = api
        self._transaction = transaction
        self._keep: dict[str, Any] = {"notary": False, "timeWindow": False}

    def with_notary(self) -> Self:
        """Show the notary."""
        return self._with("notary", shown=True)

    def with_time_window(self) -> Self:
        """Show the time window."""
        return self._with("timeWindow", shown=True)

    def with_signatories(self, indexes: Iterable[int] | None = None) -> Self:
        """Show the signatories, or those at `indexes`."""
        return self._with("signatories", shown=_chosen(indexes))

    def with_signatories_size(self) -> Self:
        """Tell how many signatories there are."""
        return self._with("signatories", shown="size")

    def with_input_states(self, indexes: Iterable[int] | None = None) -> Self:
        """Show the inputs' references, or those at `indexes`."""
        return self._with("inputs", shown=_chosen(indexes))

    def with_input_states_size(self) -> Self:
        """Tell how many inputs there are."""
        return self._with("inputs", shown="size")

    def with_reference_states(self, indexes: Iterable[int] | None = None) -> Self:
        """Show the reference states' references, or those at `indexes`."""
        return self._with("references", shown=_chosen(indexes))

    def with_reference_states_size(self) -> Self:
        """Tell how many reference states there are."""
        return self._with("references", shown="size")

    def with_output_states(self, indexes: Iterable[int] | None = None) -> Self:
        """Show the outputs, or those at `indexes`."""
        return self._with("outputs", shown=_chosen(indexes))

    def with_output_states_size(self) -> Self:
        """Tell how many outputs there are."""
        return self._with("outputs", shown="size")

    def with_commands(self, indexes: Iterable[int] | None = None) -> Self:
        """Show the commands, or those at `indexes`."""
        return self._with("commands", shown=_chosen(indexes))

    def with_commands_size(self) -> Self:
        """Tell how many commands there are."""
        return self._with("commands", shown="size")

    def build(self) -> UtxoFilteredTransaction:
        """The filtered transaction."""
        transaction = to_json(self._transaction, UtxoSignedTransaction)
        request = {"op": "filter", "transaction": transaction, "keep": self._keep}
        found: Any = self._api.call("ledger", "build", request)
        return UtxoFilteredTransaction(found)

    def _with(self, part: str, *, shown: Any) -> Self:
        self._keep[part] = shown
        return self


def _chosen(indexes: Iterable[int] | None) -> Any:
    return "all" if indexes is None else list(indexes)
