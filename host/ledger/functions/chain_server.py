"""What the server of a backchain gives from its own ledger."""

import base64
from collections.abc import Mapping

import msgspec

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import Dependencies, ServedChain
from host.ledger.core.messages import (
    BATCH_MAX,
    PAYLOAD_BYTES_MAX,
    ChainParameters,
    ChainTransactions,
    message_json,
)
from host.ledger.core.metadata import parameters_hash
from host.ledger.core.model import Transaction
from host.ledger.core.signed import SignedTransaction
from host.ledger.functions.judged import to_json
from host.ledger.functions.stored import content_of, dependencies_of
from host.ledger.parts import Function, LedgerParts
from host.ledger.vault import transactions
from host.ports.capability import CallContext
from host.ports.requests import take_int, take_text, take_texts

_IDS_MAX = 1000
_ENVELOPE_BYTES = 1024


class ChainServerFunctions:
    """Functions of the server; only verified transactions leave the vault."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {
            "serve-chain": self._serve,
            "serve-parameters": self._serve_parameters,
            "dependencies": self._dependencies,
        }

    def _serve(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The longest prefix of what is asked for that the vault has and one message holds.

        Empty if the vault lacks the first. Whole ones are followed by what they depend on, near
        ones first, as far as it is asked for.
        """
        asked = take_texts(request, "ids", length_max=BATCH_MAX)
        ahead = take_int(request, "ahead", minimum=0, maximum=BATCH_MAX)
        found: list[SignedTransaction] = []
        contents: list[Transaction] = []
        waiting, size = dict.fromkeys(asked), _ENVELOPE_BYTES
        with self._parts.read(context) as connection:
            while waiting and len(found) < len(asked) + ahead:
                transaction_id = next(iter(waiting))
                del waiting[transaction_id]
                signed = transactions.find(connection, transaction_id)
                if signed is None and transaction_id in asked:
                    break
                if signed is None:
                    continue  # the vault knows of it by a filtered transaction
                size += len(msgspec.json.encode(signed.to_json())) + 1
                if size > PAYLOAD_BYTES_MAX:
                    break
                found.append(signed)
                contents.append(content_of(signed))
                known = {each.id for each in found}
                needed = (each for each in dependencies_of(contents[-1]) if each not in known)
                waiting.update(dict.fromkeys(needed))
        message = ChainTransactions(transactions=[each.to_json() for each in found])
        named = (parameters_hash(content.metadata) for content in contents)
        summary = ServedChain(
            sent=[each.id for each in found],
            dependencies=list(dict.fromkeys(d for each in contents for d in dependencies_of(each))),
            parameters=list(dict.fromkeys(named)),
        )
        return {"payload": message_json(message), "summary": to_json(summary)}

    def _serve_parameters(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Group parameters that a transaction of the chain names."""
        signed = self._parts.members.parameters(context.holding, take_text(request, "hash"))
        message = ChainParameters(
            parameters=_base64(signed.content),
            signature=_base64(signed.signature),
            key=signed.signer_key,
            spec=signed.spec,
        )
        nothing = ServedChain(sent=[], dependencies=[], parameters=[])
        return {"payload": message_json(message), "summary": to_json(nothing)}

    def _dependencies(self, context: CallContext, request: JsonObject) -> JsonValue:
        """What verified transactions depend on; others are left out."""
        found: dict[str, None] = {}
        with self._parts.read(context) as connection:
            for transaction_id in take_texts(request, "ids", length_max=_IDS_MAX):
                signed = transactions.find(connection, transaction_id)
                if signed is not None:
                    found.update(dict.fromkeys(dependencies_of(content_of(signed))))
        return to_json(Dependencies(ids=list(found)))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
