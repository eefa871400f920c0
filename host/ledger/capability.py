"""`ledger`: what flows may do with transactions, each node on its own vault.

Nothing from another node is trusted: identifier, rules, contracts and signatures are checked again
at every `verify` and `record`.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

from sqlalchemy import Connection

from host.database.query_time import limited_time
from host.domain.call_time import call_time_paused
from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.flow import specific_code
from host.domain.guest_text import cut_message
from host.domain.instants import instant_text
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.builders import read_builder
from host.ledger.core.components import from_groups, to_groups
from host.ledger.core.facts import OutputFacts, default_facts
from host.ledger.core.metadata import (
    check_metadata,
    make_metadata,
    parameters_hash,
    signing_properties,
)
from host.ledger.core.model import Resolved, StateRef, Transaction, is_transaction_id
from host.ledger.core.rules import (
    BUILDER,
    LEDGER_TRANSACTION,
    check_canonical_keys,
    check_content,
    check_declared,
    check_resolved,
)
from host.ledger.core.signed import (
    Signature,
    SignedTransaction,
    check_complete,
    check_signatures,
    privacy_salt,
    read_signed,
    signable,
    unsigned,
)
from host.ledger.errors import (
    ContractRefusedError,
    ContractUndecidedError,
    SignatureMissingError,
)
from host.ledger.vault import outputs, transactions
from host.ledger.vault.finish import finish
from host.ledger.vault.transactions import Origin
from host.ports.capability import CallContext
from host.ports.directory import UNDECIDED, ContractVerifier, Members
from host.ports.keys import FLOW_CATEGORIES, KeyStore
from host.ports.public_keys import PublicKeys
from host.ports.requests import (
    check_fields,
    invalid_request,
    take_bool,
    take_int,
    take_object,
    take_text,
    take_texts,
)
from host.ports.vaults import VaultAccess
from host.vault.idempotency import find_answer, refuse_ended, remember_answer
from sandbox.host_api import size

_PAGE_MAX = size("ledger.query", "limit")
_OFFSET_MAX = 2**53 - 1

_Handler: TypeAlias = "Callable[[CallContext, JsonObject], JsonValue]"


class LedgerCapability:
    """The WIT interface `ledger`. Thread-safe."""

    name = "ledger"

    def __init__(
        self,
        *,
        vaults: VaultAccess,
        keys: KeyStore,
        public_keys: PublicKeys,
        members: Members,
        contracts: ContractVerifier,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vaults = vaults
        self._keys = keys
        self._public_keys = public_keys
        self._members = members
        self._contracts = contracts
        self._monotonic = monotonic
        self._handlers: Mapping[str, _Handler] = {
            "build": self._build,
            "verify": self._verify,
            "record": self._record,
            "find": self._find,
            "query": self._query,
        }

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        handler = self._handlers.get(function)
        if handler is None:
            raise invalid_request(f"interface ledger has no function {function!r}")
        try:
            return handler(context, request)
        except (InvalidInputError, NotFoundError) as exc:
            raise CapabilityError(exc.code, exc.message) from exc

    def _build(self, context: CallContext, request: JsonObject) -> JsonValue:
        current = self._members.parameters(context.holding)
        parameters = current.parameters
        content = read_builder(
            request,
            metadata=make_metadata(context.cpi, current.hash),
            notaries=parameters.notaries,
            public_keys=self._public_keys,
        )
        check_content(content, subject=BUILDER, notaries=parameters.notaries)
        check_declared(content, context.cpi)
        signed = unsigned(privacy_salt(context.request_id), to_groups(content))
        # Parsed again, so that contracts get exactly the same values as on other nodes.
        content = from_groups(signed.groups)
        self._check_states(context, signed.id, content)
        signatures = self._sign(context, signed.id, content)
        if not signatures:
            raise SignatureMissingError("this node holds the key of no signatory")
        return signed.signed_by(signatures).to_json()

    def _verify(self, context: CallContext, request: JsonObject) -> JsonValue:
        check_fields(request, ("transaction", "sign"))
        wants_signatures = take_bool(request, "sign")
        signed = read_signed(take_object(request, "transaction"))
        content = self._check_received(context, signed)
        resolved = self._check_states(context, signed.id, content)
        signatures = self._sign(context, signed.id, content) if wants_signatures else ()
        return {
            "transaction": resolved.to_json(),
            "signatures": [signature.to_json() for signature in signatures],
        }

    def _record(self, context: CallContext, request: JsonObject) -> JsonValue:
        check_fields(request, ("transaction",))
        request_id = f"call:{context.request_id}"
        node = context.holding.short_hash
        signed = read_signed(take_object(request, "transaction"))
        with self._vaults.read(node) as connection:
            known = find_answer(connection, request_id, request)
            recorded = transactions.find(connection, signed.id) is not None
        if known is not None:
            answered: JsonValue = json.loads(known)
            return answered
        checked = None if recorded else self._check_complete(context, signed)

        def record(connection: Connection) -> JsonValue:
            # If this worker lost the flow meanwhile, another one may have made the same call, or
            # ended the flow.
            refuse_ended(connection, context.flow_id)
            known = find_answer(connection, request_id, request)
            if known is not None:
                again: JsonValue = json.loads(known)
                return again
            if checked is not None and transactions.find(connection, signed.id) is None:
                content, facts = checked
                finish(connection, signed, content, facts=facts, origin=Origin.OWN, now=context.now)
            indexes: list[JsonValue] = list(outputs.visible(connection, signed.id))
            answer: JsonValue = {"id": signed.id, "visible": indexes}
            remember_answer(connection, request_id, request, answer, context.now)
            return answer

        return self._vaults.transact(node, record)

    def _find(self, context: CallContext, request: JsonObject) -> JsonValue:
        with self._vaults.read(context.holding.short_hash) as connection:
            if "id" in request:
                check_fields(request, ("id",))
                transaction_id = take_text(request, "id", characters_max=128)
                if not is_transaction_id(transaction_id):
                    raise invalid_request(
                        f"field 'id' is no transaction identifier: {transaction_id!r}"
                    )
                signed = transactions.find(connection, transaction_id)
                return None if signed is None else signed.to_json()
            check_fields(request, ("stateRefs",))
            refs = [
                StateRef.parse(ref) for ref in take_texts(request, "stateRefs", characters_max=128)
            ]
            return [state.to_json() for state in outputs.find(connection, refs)]

    def _query(self, context: CallContext, request: JsonObject) -> JsonValue:
        check_fields(request, ("op", "type", "offset", "limit"))
        if take_text(request, "op", characters_max=32) != "unconsumed":
            raise invalid_request("field 'op' must be 'unconsumed'")
        with (
            self._vaults.read(context.holding.short_hash) as connection,
            limited_time(connection, self._monotonic),
        ):
            page = outputs.unconsumed(
                connection,
                take_text(request, "type", characters_max=255),
                offset=take_int(request, "offset", minimum=0, maximum=_OFFSET_MAX),
                limit=take_int(request, "limit", minimum=1, maximum=_PAGE_MAX),
            )
        return {"results": [state.to_json() for state in page.states], "more": page.more}

    def _check_received(self, context: CallContext, signed: SignedTransaction) -> Transaction:
        content = from_groups(signed.groups)
        check_metadata(content.metadata, context.cpi)
        # The parameters of its time: later added or removed notaries do not change the verdict.
        parameters = self._members.parameters(
            context.holding, parameters_hash(content.metadata)
        ).parameters
        check_content(content, subject=LEDGER_TRANSACTION, notaries=parameters.notaries)
        check_canonical_keys(content, self._public_keys)
        check_declared(content, context.cpi)
        check_signatures(signed, content, self._public_keys)
        return content

    def _check_complete(
        self, context: CallContext, signed: SignedTransaction
    ) -> tuple[Transaction, tuple[OutputFacts, ...]]:
        """Check a transaction before recording; returns its content and the visible outputs."""
        content = self._check_received(context, signed)
        check_complete(signed, content, self._public_keys)
        self._check_states(context, signed.id, content)
        participants = sorted({key for state in content.outputs for key in state.participants})
        mine = set(self._keys.find_mine(context.holding.short_hash, participants, FLOW_CATEGORIES))
        return content, default_facts(content, mine)

    def _check_states(
        self, context: CallContext, transaction_id: str, content: Transaction
    ) -> Resolved:
        with self._vaults.read(context.holding.short_hash) as connection:
            resolved = Resolved(
                id=transaction_id,
                transaction=content,
                inputs=outputs.resolve(connection, content.inputs, by=transaction_id),
                references=outputs.resolve(connection, content.references, by=transaction_id),
            )
        check_resolved(resolved)
        with call_time_paused():
            failures = self._contracts.verify(
                context.cpi, resolved.to_json(), node=context.holding.short_hash
            )
        if failures:
            message = cut_message("; ".join(str(f.get("message")) for f in failures))
            # A refusal by one contract is final, even if another one reached no verdict.
            if all(f.get(UNDECIDED) is True for f in failures):
                raise ContractUndecidedError(message)
            codes = (specific_code(f.get("code")) for f in failures)
            raise ContractRefusedError(message, next(filter(None, codes), None))
        return resolved

    def _sign(
        self, context: CallContext, transaction_id: str, content: Transaction
    ) -> tuple[Signature, ...]:
        tenant = context.holding.short_hash
        properties = tuple(sorted(signing_properties(context.cpi).items()))
        signatures = []
        for key in self._keys.find_mine(tenant, content.signatories, FLOW_CATEGORIES):
            draft = Signature(
                by=self._public_keys.key_id(key),
                key=key,
                signature=b"",
                timestamp=instant_text(context.now),
                spec=self._public_keys.default_spec(key),
                properties=properties,
            )
            data = signable(transaction_id, draft.metadata())
            signed = self._keys.sign(tenant, key, data, draft.spec, FLOW_CATEGORIES)
            signatures.append(draft.with_bytes(signed))
        return tuple(signatures)
