"""The `ledger` interface of a simulated node: the host's own rules and identifiers, kept in memory.

There is no notary, and metadata names no CPK: tests run sources, not packages.
"""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cordapp_testkit.keys import SPEC, NodeKey
from cordapp_testkit.storage import page
from host.domain.json import JsonObject
from host.keys.schemes import SchemePublicKeys
from host.ledger.builder import read_builder
from host.ledger.components import from_groups, to_groups
from host.ledger.errors import ContractRefusedError, StateConsumedError, StateNotFoundError
from host.ledger.model import Resolved, State, StateAndRef, StateRef, Transaction
from host.ledger.rules import (
    BUILDER,
    LEDGER_TRANSACTION,
    check_canonical_keys,
    check_content,
    check_resolved,
)
from host.ledger.signed import (
    Signature,
    SignedTransaction,
    check_complete,
    check_signatures,
    privacy_salt,
    read_signed,
    signable,
    unsigned,
)

if TYPE_CHECKING:
    from cordapp_testkit.engines import Engine

Json = dict[str, Any]
_METADATA: JsonObject = {"ledgerModel": "cordapp-testkit", "cpkMetadata": []}
_PUBLIC_KEYS = SchemePublicKeys()


class NodeLedger:
    """Transactions and states of one node, its vault."""

    def __init__(self, engine: "Engine", key: NodeKey, now: Callable[[], str]) -> None:
        self._engine = engine
        self._key = key
        self._now = now
        self._transactions: dict[str, SignedTransaction] = {}
        self._states: dict[StateRef, State] = {}
        self._visible: list[StateRef] = []
        self._consumed: set[StateRef] = set()

    def build(self, builder: Json, request_id: str) -> JsonObject:
        """Sign what a builder asks for, once rules and contracts accept it."""
        content = content_of(builder)
        signed = unsigned(privacy_salt(request_id), to_groups(content))
        self._check_states(signed.id, content)
        return signed.signed_by(self._sign(signed, content)).to_json()

    def verify(self, request: Json) -> Json:
        """Check a transaction; sign it if asked to."""
        signed = read_signed(request["transaction"])
        seen = self._check(signed)
        signatures = self._sign(signed, seen.transaction) if request["sign"] else []
        return {"transaction": seen.to_json(), "signatures": [s.to_json() for s in signatures]}

    def record(self, request: Json) -> Json:
        """Store a transaction that all signatories have signed."""
        signed = read_signed(request["transaction"])
        seen = self._check(signed)
        content = seen.transaction
        check_complete(signed, content, _PUBLIC_KEYS)
        outputs = {StateRef(seen.id, i): state for i, state in enumerate(content.outputs)}
        mine = [ref for ref, s in outputs.items() if self._key.public in s.participants]
        if seen.id not in self._transactions:
            spent = [str(ref) for ref in content.inputs if ref in self._consumed]
            if spent:
                raise StateConsumedError(f"consumed already: {', '.join(spent)}")
            self._transactions[seen.id] = signed
            self._states.update(outputs)
            self._consumed.update(content.inputs)
            self._visible += mine
        return {"id": seen.id, "visible": [ref.index for ref in mine]}

    def find(self, request: Json) -> Any:
        """A transaction by id, or states by reference."""
        if "id" in request:
            found = self._transactions.get(request["id"])
            return None if found is None else found.to_json()
        return [self._state(StateRef.parse(ref)).to_json() for ref in request["stateRefs"]]

    def query(self, request: Json) -> Json:
        """Unconsumed visible states of a type, oldest first."""
        return page([found.to_json() for found in self.unconsumed(request["type"])], request)

    def unconsumed(self, kind: str) -> list[StateAndRef]:
        """All unconsumed visible states of a type, oldest first."""
        found = [self._state(ref) for ref in self._visible if ref not in self._consumed]
        return [entry for entry in found if entry.state.type == kind]

    def _check(self, signed: SignedTransaction) -> Resolved:
        """Content, present signatures, states and contracts of a received transaction."""
        content = from_groups(signed.groups)
        check_content(content, subject=LEDGER_TRANSACTION, notaries=())
        check_canonical_keys(content, _PUBLIC_KEYS)
        check_signatures(signed, content, _PUBLIC_KEYS)
        return self._check_states(signed.id, content)

    def _check_states(self, transaction_id: str, content: Transaction) -> Resolved:
        seen = Resolved(
            id=transaction_id,
            transaction=content,
            inputs=tuple(self._state(ref) for ref in content.inputs),
            references=tuple(self._state(ref) for ref in content.references),
        )
        check_resolved(seen)
        failures = self._engine.verify(json.dumps(seen.to_json()))
        if failures:
            raise ContractRefusedError("; ".join(failure["message"] for failure in failures))
        return seen

    def _state(self, ref: StateRef) -> StateAndRef:
        if ref not in self._states:
            raise StateNotFoundError(f"this node does not know state {ref}")
        return StateAndRef(ref=ref, state=self._states[ref])

    def _sign(self, signed: SignedTransaction, content: Transaction) -> Sequence[Signature]:
        done = {signature.key for signature in signed.signatures}
        if self._key.public not in content.signatories or self._key.public in done:
            return []
        blank = Signature(
            by=self._key.key_id,
            key=self._key.public,
            signature=b"",
            timestamp=self._now(),
            spec=SPEC,
            properties=(),
        )
        return [blank.with_bytes(self._key.sign(signable(signed.id, blank.metadata())))]


def content_of(builder: Json) -> Transaction:
    """The content that a builder (host-api.md) asks for, once the rules accept it.

    Raises:
        CapabilityError: `transaction-invalid`, also for a notary, which the kit does not have.
        InvalidInputError: a key.
    """
    content = read_builder(builder, metadata=_METADATA, notaries=(), public_keys=_PUBLIC_KEYS)
    check_content(content, subject=BUILDER, notaries=())
    return content
