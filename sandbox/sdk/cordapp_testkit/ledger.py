"""The `ledger` interface of a simulated node: the host's own rules and identifiers, kept in memory.

There is no notary, and metadata names no CPK: tests run sources, not packages.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cordapp_testkit.keys import SPEC, NodeKey
from cordapp_testkit.storage import page
from host.domain.json import canonical_json
from host.keys.schemes import SchemePublicKeys
from host.ledger.components import Groups, from_groups, to_groups
from host.ledger.errors import (
    ContractRefusedError,
    SignatureInvalidError,
    SignatureMissingError,
    StateConsumedError,
    StateNotFoundError,
    TransactionInvalidError,
)
from host.ledger.merkle import transaction_id
from host.ledger.model import (
    Command,
    Resolved,
    State,
    StateAndRef,
    StateRef,
    TimeWindow,
    Transaction,
)
from host.ledger.rules import BUILDER, LEDGER_TRANSACTION, check_content, check_resolved

if TYPE_CHECKING:
    from cordapp_testkit.engines import Engine

Json = dict[str, Any]


class NodeLedger:
    """Transactions and states of one node, its vault."""

    def __init__(self, engine: "Engine", key: NodeKey, now: Callable[[], str]) -> None:
        self._engine = engine
        self._key = key
        self._now = now
        self._public_keys = SchemePublicKeys()
        self._transactions: dict[str, Json] = {}
        self._states: dict[StateRef, State] = {}
        self._visible: list[StateRef] = []
        self._consumed: set[StateRef] = set()

    def build(self, builder: Json, salt_seed: str) -> Json:
        """Sign what a builder asks for, once rules and contracts accept it."""
        content = transaction_of(builder)
        check_content(content, subject=BUILDER, notaries=())
        salt = hashlib.sha256(salt_seed.encode()).digest()
        transaction = _signed(salt, to_groups(content))
        self._check(transaction)
        transaction["signatures"] = self._sign(transaction)
        return transaction

    def verify(self, request: Json) -> Json:
        """Check a transaction; sign it if asked to."""
        transaction = request["transaction"]
        seen = self._check(transaction)
        signatures = self._sign(transaction) if request["sign"] else []
        return {"transaction": seen.to_json(), "signatures": signatures}

    def record(self, transaction: Json) -> Json:
        """Store a transaction that all signatories have signed."""
        seen = self._check(transaction)
        content = seen.transaction
        missing = set(content.signatories) - {s["key"] for s in transaction["signatures"]}
        if missing:
            ids = sorted(self._public_keys.key_id(key) for key in missing)
            raise SignatureMissingError(f"{seen.id} has no signature by {', '.join(ids)}")
        outputs = {StateRef(seen.id, i): state for i, state in enumerate(content.outputs)}
        mine = [ref for ref, s in outputs.items() if self._key.public in s.participants]
        if seen.id not in self._transactions:
            spent = [str(ref) for ref in content.inputs if ref in self._consumed]
            if spent:
                raise StateConsumedError(f"consumed already: {', '.join(spent)}")
            self._transactions[seen.id] = transaction
            self._states.update(outputs)
            self._consumed.update(content.inputs)
            self._visible += mine
        return {"id": seen.id, "visible": [ref.index for ref in mine]}

    def find(self, request: Json) -> Any:
        """A transaction by id, or states by reference."""
        if "id" in request:
            return self._transactions.get(request["id"])
        return [self._state(StateRef.parse(ref)).to_json() for ref in request["stateRefs"]]

    def query(self, request: Json) -> Json:
        """Unconsumed visible states of a type, oldest first."""
        return page([found.to_json() for found in self.unconsumed(request["type"])], request)

    def unconsumed(self, kind: str) -> list[StateAndRef]:
        """All unconsumed visible states of a type, oldest first."""
        found = [self._state(ref) for ref in self._visible if ref not in self._consumed]
        return [entry for entry in found if entry.state.type == kind]

    def _check(self, transaction: Json) -> Resolved:
        """Identifier, present signatures, rules and contracts."""
        groups = _groups(transaction)
        content = from_groups(groups)
        salt = base64.b64decode(transaction["privacySalt"])
        if transaction["id"] != _identifier(salt, groups):
            raise TransactionInvalidError("id-wrong", f"{transaction['id']} is not its id")
        for signature in transaction["signatures"]:
            self._check_signature(transaction["id"], signature)
        seen = Resolved(
            id=transaction["id"],
            transaction=content,
            inputs=tuple(self._state(ref) for ref in content.inputs),
            references=tuple(self._state(ref) for ref in content.references),
        )
        check_content(content, subject=LEDGER_TRANSACTION, notaries=())
        check_resolved(seen)
        failures = self._engine.verify(json.dumps(seen.to_json()))
        if failures:
            raise ContractRefusedError("; ".join(failure["message"] for failure in failures))
        return seen

    def _check_signature(self, identifier: str, signature: Json) -> None:
        data = _signable(identifier, signature["metadata"])
        spec = signature["metadata"]["signatureSpec"]
        raw = base64.b64decode(signature["signature"])
        if not self._public_keys.verify(signature["key"], data, raw, spec):
            raise SignatureInvalidError(f"the signature by {signature['by']} does not fit")

    def _state(self, ref: StateRef) -> StateAndRef:
        if ref not in self._states:
            raise StateNotFoundError(f"this node does not know state {ref}")
        return StateAndRef(ref=ref, state=self._states[ref])

    def _sign(self, transaction: Json) -> list[Json]:
        wanted = from_groups(_groups(transaction)).signatories
        done = [s["key"] for s in transaction["signatures"]]
        if self._key.public not in wanted or self._key.public in done:
            return []
        metadata = {"timestamp": self._now(), "signatureSpec": SPEC, "properties": {}}
        signature = self._key.sign(_signable(transaction["id"], metadata))
        return [
            {
                "by": self._key.key_id,
                "key": self._key.public,
                "signature": base64.b64encode(signature).decode(),
                "metadata": metadata,
            }
        ]


def transaction_of(builder: Json) -> Transaction:
    """The content that a builder (host-api.md) asks for.

    Raises:
        TransactionInvalidError: it names a notary, which simulated networks do not have.
    """
    if builder["notary"] is not None:
        raise TransactionInvalidError("notary-unknown", "a simulated network has no notary")
    window = builder["timeWindow"]
    sizes = Counter(output["encumbrance"] for output in builder["outputs"])
    return Transaction(
        metadata={"ledgerModel": "cordapp-testkit", "cpkMetadata": []},
        notary=None,
        time_window=window and TimeWindow(starts=window["from"], until=window["until"]),
        signatories=tuple(builder["signatories"]),
        outputs=tuple(
            State(
                type=output["type"],
                contract=output["contract"],
                value=output["value"],
                participants=tuple(output["participants"]),
                encumbrance=output["encumbrance"],
                encumbrance_size=output["encumbrance"] and sizes[output["encumbrance"]],
            )
            for output in builder["outputs"]
        ),
        commands=tuple(Command(type=c["type"], value=c["value"]) for c in builder["commands"]),
        inputs=tuple(StateRef.parse(ref) for ref in builder["inputs"]),
        references=tuple(StateRef.parse(ref) for ref in builder["references"]),
    )


def _groups(transaction: Json) -> Groups:
    return tuple(tuple(group) for group in transaction["componentGroups"])


def _signed(salt: bytes, groups: Groups) -> Json:
    return {
        "id": _identifier(salt, groups),
        "privacySalt": base64.b64encode(salt).decode(),
        "componentGroups": [list(group) for group in groups],
        "signatures": [],
    }


def _identifier(salt: bytes, groups: Groups) -> str:
    return transaction_id(salt, [[leaf.encode() for leaf in group] for group in groups])


def _signable(identifier: str, metadata: Json) -> bytes:
    return canonical_json([identifier, metadata])
