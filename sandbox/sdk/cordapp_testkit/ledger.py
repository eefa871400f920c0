"""The `ledger` interface of a simulated node: real rules, contracts and signatures.

The digest that makes a transaction's id is the kit's own. Ids in a test differ from those that a
host gives, and a CorDapp must not care.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cordapp_testkit.errors import CallRefusedError
from cordapp_testkit.keys import NodeKey, key_id, verifies
from cordapp_testkit.storage import page

if TYPE_CHECKING:
    from cordapp_testkit.engines import Engine

SPEC = "SHA256withECDSA"
Json = dict[str, Any]


class NodeLedger:
    """Transactions and states of one node, its vault."""

    def __init__(self, engine: "Engine", key: NodeKey, now: Callable[[], str]) -> None:
        self._engine = engine
        self._key = key
        self._now = now
        self._transactions: dict[str, Json] = {}
        self._states: dict[str, Json] = {}
        self._visible: list[str] = []
        self._consumed: set[str] = set()

    def build(self, builder: Json, salt_seed: str) -> Json:
        """Sign what a builder asks for, once rules and contracts accept it."""
        if builder["notary"] is not None:
            raise CallRefusedError("transaction-invalid", "a simulated network has no notary")
        salt = base64.b64encode(hashlib.sha256(salt_seed.encode()).digest()).decode()
        transaction = _signed(salt, _groups(builder), [])
        self._check(transaction)
        transaction["signatures"] = self._sign(transaction)
        return transaction

    def verify(self, request: Json) -> Json:
        """Check a transaction; sign it if asked to."""
        transaction = request["transaction"]
        seen = self._check(transaction)
        return {
            "transaction": seen,
            "signatures": self._sign(transaction) if request["sign"] else [],
        }

    def record(self, transaction: Json) -> Json:
        """Store a transaction that all signatories have signed."""
        seen = self._check(transaction)
        signed = {s["key"] for s in transaction["signatures"]}
        missing = [key for key in seen["signatories"] if key not in signed]
        if missing:
            raise CallRefusedError("signature-missing", f"no signature by {len(missing)} keys")
        refs = [f"{seen['id']}:{index}" for index in range(len(seen["outputs"]))]
        mine = [
            index
            for index, state in enumerate(seen["outputs"])
            if self._key.public in state["participants"]
        ]
        if seen["id"] not in self._transactions:
            self._refuse_consumed(seen)
            self._transactions[seen["id"]] = transaction
            self._states.update(zip(refs, seen["outputs"], strict=True))
            self._consumed.update(entry["stateRef"] for entry in seen["inputs"])
            self._visible += [refs[index] for index in mine]
        return {"id": seen["id"], "visible": mine}

    def find(self, request: Json) -> Any:
        """A transaction by id, or states by reference."""
        if "id" in request:
            return self._transactions.get(request["id"])
        return [self._state(ref) for ref in request["stateRefs"]]

    def query(self, request: Json) -> Json:
        """Unconsumed visible states of a type, oldest first."""
        return page(self.unconsumed(request["type"]), request)

    def unconsumed(self, kind: str) -> list[Json]:
        """All unconsumed visible states of a type, oldest first."""
        open_refs = [ref for ref in self._visible if ref not in self._consumed]
        return [self._state(ref) for ref in open_refs if self._states[ref]["type"] == kind]

    def _check(self, transaction: Json) -> Json:
        """Structure, id, present signatures, contracts; answer the ledger transaction."""
        groups = transaction["componentGroups"]
        if transaction != _signed(transaction["privacySalt"], groups, transaction["signatures"]):
            raise CallRefusedError("transaction-invalid", f"{transaction['id']} is not its id")
        for signature in transaction["signatures"]:
            data = _signable(transaction["id"], signature["metadata"])
            if not verifies(signature["key"], data, signature["signature"]):
                raise CallRefusedError("signature-invalid", f"signature by {signature['by']}")
        seen = self._resolve(transaction["id"], groups)
        refuse_structure(seen)
        failures = self._engine.verify(json.dumps(seen))
        if failures:
            message = "; ".join(f["message"] for f in failures)
            raise CallRefusedError("contract-verification-failed", message)
        return seen

    def _resolve(self, transaction_id: str, groups: list[list[str]]) -> Json:
        leaves = [[json.loads(leaf) for leaf in group] for group in groups]
        metadata, notary, signatories, infos, commands, _, inputs, references, outputs, values = (
            leaves
        )
        return {
            "id": transaction_id,
            "metadata": metadata[0],
            "notary": notary[0],
            "timeWindow": notary[2],
            "signatories": signatories,
            "inputs": [self._state(ref) for ref in inputs],
            "references": [self._state(ref) for ref in references],
            "outputs": [{**i, "value": v} for i, v in zip(infos, outputs, strict=True)],
            "commands": [{"type": t, "value": v} for t, v in zip(commands, values, strict=True)],
        }

    def _state(self, ref: str) -> Json:
        if ref not in self._states:
            raise CallRefusedError("state-not-found", f"this node does not know state {ref}")
        return {"stateRef": ref, "state": self._states[ref]}

    def _refuse_consumed(self, seen: Json) -> None:
        spent = [e["stateRef"] for e in seen["inputs"] if e["stateRef"] in self._consumed]
        if spent:
            raise CallRefusedError("state-consumed", f"consumed already: {', '.join(spent)}")

    def _sign(self, transaction: Json) -> list[Json]:
        wanted = [json.loads(leaf) for leaf in transaction["componentGroups"][2]]
        done = [s["key"] for s in transaction["signatures"]]
        if self._key.public not in wanted or self._key.public in done:
            return []
        metadata = {"timestamp": self._now(), "signatureSpec": SPEC, "properties": {}}
        signature = self._key.sign(_signable(transaction["id"], metadata))
        return [
            {
                "by": key_id(self._key.public),
                "key": self._key.public,
                "signature": signature,
                "metadata": metadata,
            }
        ]


def refuse_structure(seen: Json) -> None:
    """Corda's structural rules, as far as a network without a notary has them.

    Raises:
        CallRefusedError: `transaction-invalid`.
    """
    inputs = [entry["stateRef"] for entry in seen["inputs"]]
    references = [entry["stateRef"] for entry in seen["references"]]
    groups = Counter(o["encumbrance"] for o in seen["outputs"] if o["encumbrance"] is not None)
    rules = {
        "At least one signatory is needed": bool(seen["signatories"]),
        "At least one input or output is needed": bool(inputs or seen["outputs"]),
        "At least one command is needed": bool(seen["commands"]),
        "Duplicate input states": len(set(inputs)) == len(inputs),
        "Duplicate reference states": len(set(references)) == len(references),
        "A state cannot be both an input and a reference input in the same transaction": (
            not set(inputs) & set(references)
        ),
        "An encumbrance group needs more than one state": all(n > 1 for n in groups.values()),
    }
    broken = [rule for rule, holds in rules.items() if not holds]
    if broken:
        raise CallRefusedError("transaction-invalid", "; ".join(broken))


def _groups(builder: Json) -> list[list[str]]:
    outputs = builder["outputs"]
    infos = [{k: v for k, v in output.items() if k != "value"} for output in outputs]
    content: list[list[Any]] = [
        [{"ledgerModel": "cordapp-testkit", "cpkMetadata": []}],
        [None, None, builder["timeWindow"]],
        builder["signatories"],
        infos,
        [command["type"] for command in builder["commands"]],
        [],
        builder["inputs"],
        builder["references"],
        [output["value"] for output in outputs],
        [command["value"] for command in builder["commands"]],
    ]
    return [[_canonical(leaf) for leaf in group] for group in content]


def _signed(salt: str, groups: list[list[str]], signatures: list[Json]) -> Json:
    once = hashlib.sha256(_canonical([salt, groups]).encode()).digest()
    digest = hashlib.sha256(once).hexdigest().upper()
    return {
        "id": f"SHA-256D:{digest}",
        "privacySalt": salt,
        "componentGroups": groups,
        "signatures": signatures,
    }


def _signable(transaction_id: str, metadata: Json) -> bytes:
    return _canonical([transaction_id, metadata]).encode()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
