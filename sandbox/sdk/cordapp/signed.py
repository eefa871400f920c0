"""Signed transactions, of either ledger, as flows pass them on."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction with its signatures so far; travels over sessions as it is."""

    id: str
    privacy_salt: str = field(metadata={"json": "privacySalt"})
    component_groups: list[list[str]] = field(metadata={"json": "componentGroups"})
    signatures: list[dict[str, Any]]

    def with_signatures(self, more: Iterable[dict[str, Any]]) -> Self:
        """The same transaction with further signatures; a key signs once."""
        known = {s["key"] for s in self.signatures}
        return replace(
            self, signatures=self.signatures + [s for s in more if s["key"] not in known]
        )


@dataclass(frozen=True)
class UtxoSignedTransaction(SignedTransaction):
    """A transaction of the UTXO ledger with its signatures so far."""


@dataclass(frozen=True)
class ConsensualSignedTransaction(SignedTransaction):
    """A transaction of the consensual ledger with its signatures so far."""
