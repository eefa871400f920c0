"""Operations of the consensual ledger: its transactions are made and found by ops of their own."""

from collections.abc import Callable
from typing import TypeAlias

from host.domain.instants import instant_text
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.components import Groups
from host.ledger.core.consensual import (
    check_consensual,
    consensual_groups,
    read_consensual_builder,
    read_content,
)
from host.ledger.core.metadata import make_metadata
from host.ledger.core.model import Ledger, Resolved
from host.ledger.ops.finding import Operations, take_id
from host.ledger.parts import LedgerParts
from host.ledger.vault import transactions
from host.ports.capability import CallContext
from host.ports.requests import check_fields

SignNew: TypeAlias = Callable[[CallContext, Groups], JsonValue]
"""Examines a new transaction with these groups, and signs it with the node's keys."""


class Consensual:
    """Makes and finds transactions of the consensual ledger."""

    def __init__(self, parts: LedgerParts, sign_new: SignNew) -> None:
        self._parts = parts
        self._sign_new = sign_new

    def operations(self) -> Operations:
        return {
            ("build", "consensual"): self._build,
            ("find", "consensual"): self._find,
            ("find", "consensual-ledger-transaction"): self._ledger_transaction,
        }

    def _build(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Sign a transaction with these states, whose participants are its signatories."""
        check_fields(request, ("op", "states"))
        current = self._parts.members.parameters(context.holding)
        content = read_consensual_builder(
            request,
            metadata=make_metadata(context.cpi, current.hash, Ledger.CONSENSUAL),
            timestamp=instant_text(context.now),
            public_keys=self._parts.public_keys,
        )
        check_consensual(content)
        return self._sign_new(context, consensual_groups(content))

    def _find(self, context: CallContext, request: JsonObject) -> JsonValue:
        """A verified transaction, or null."""
        transaction_id = take_id(request)
        with self._parts.read(context) as connection:
            found = transactions.find(connection, transaction_id, ledger=Ledger.CONSENSUAL)
        return None if found is None else found.to_json()

    def _ledger_transaction(self, context: CallContext, request: JsonObject) -> JsonValue:
        """A verified transaction as its states see it, or null."""
        transaction_id = take_id(request)
        with self._parts.read(context) as connection:
            found = transactions.find(connection, transaction_id, ledger=Ledger.CONSENSUAL)
        if found is None:
            return None
        content = read_content(found.groups)
        return Resolved(id=found.id, transaction=content, inputs=(), references=()).to_json()
