"""`ledger`: what flows may do with transactions, each node on its own vault.

Nothing from another node is trusted: identifier, rules, contracts and signatures are checked again
at every `verify` and `record`.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.ids import EpochMs
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import ChainLimits, RepairTimes
from host.ledger.core.builders import read_builder
from host.ledger.core.components import Groups, to_groups
from host.ledger.core.facts import OutputFacts
from host.ledger.core.metadata import make_metadata
from host.ledger.core.model import Ledger, StateRef, Transaction, is_transaction_id
from host.ledger.core.rules import BUILDER, check_content
from host.ledger.core.signed import (
    Signature,
    SignedTransaction,
    check_complete,
    check_notarised,
    privacy_salt,
    read_signed,
    unsigned,
)
from host.ledger.errors import SignatureMissingError
from host.ledger.events import LedgerEvents, untold
from host.ledger.examine import Examined, Examiner, Purpose
from host.ledger.hooks import OutputRecorder
from host.ledger.ops.consensual import Consensual
from host.ledger.ops.drafts import Drafts
from host.ledger.ops.filtering import Filtering
from host.ledger.ops.finding import Finding, Operations
from host.ledger.parts import CHAIN_LIMITS, REPAIR_TIMES, Function, LedgerParts, ProtocolFunctions
from host.ledger.protocol_functions import protocol_functions
from host.ledger.queries import NamedQueries
from host.ledger.signing import sign
from host.ledger.tokens import CLAIM_MS, TokenClaims
from host.ledger.trust import Distrusted, nobody
from host.ledger.vault import outputs, transactions, verifications
from host.ledger.vault.finish import finish
from host.ledger.vault.transactions import Origin
from host.ports.capability import CallContext
from host.ports.directory import ContractVerifier, Cpks, Members
from host.ports.keys import KeyStore
from host.ports.programs import INTERNAL
from host.ports.public_keys import PublicKeys
from host.ports.requests import (
    check_fields,
    invalid_request,
    take_bool,
    take_object,
    take_text,
    take_texts,
)
from host.ports.vault_functions import VaultFunctions
from host.ports.vaults import VaultAccess
from host.vault.idempotency import find_answer, refuse_ended, remember_answer


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
        cpks: Cpks,
        contracts: ContractVerifier,
        vault_functions: VaultFunctions,
        functions: Sequence[ProtocolFunctions] = (),
        chain_limits: Callable[[], ChainLimits] = lambda: CHAIN_LIMITS,
        repair_times: Callable[[], RepairTimes] = lambda: REPAIR_TIMES,
        claim_ms: Callable[[], int] = lambda: CLAIM_MS,
        distrusted: Callable[[], Distrusted] = nobody,
        monotonic: Callable[[], float] = time.monotonic,
        events: LedgerEvents = untold,
    ) -> None:
        self._vaults = vaults
        self._keys = keys
        self._public_keys = public_keys
        self._members = members
        self._examiner = Examiner(
            vaults=vaults,
            public_keys=public_keys,
            members=members,
            cpks=cpks,
            contracts=contracts,
            distrusted=distrusted,
        )
        self._monotonic = monotonic
        parts = LedgerParts(
            vaults=vaults,
            keys=keys,
            public_keys=public_keys,
            members=members,
            examiner=self._examiner,
            chain_limits=chain_limits,
            repair_times=repair_times,
            monotonic=monotonic,
            recorder=OutputRecorder(keys, vault_functions, events),
            events=events,
        )
        self._parts = parts
        self._operations = self._operations_of(parts, claim_ms)
        self._handlers: Mapping[str, Function] = {
            "build": self._build,
            "verify": self._verify,
            "record": self._record,
            "find": self._find,
            **{
                f"{INTERNAL}{name}": handler
                for each in (*protocol_functions(parts), *functions)
                for name, handler in each.handlers().items()
            },
        }

    def _operations_of(self, parts: LedgerParts, claim_ms: Callable[[], int]) -> Operations:
        """What requests with an `op` are answered by, without programs."""
        vaults, members, monotonic = parts.vaults, parts.members, parts.monotonic
        claims = TokenClaims(vaults, claim_ms, monotonic=monotonic, events=parts.events)
        return {
            **Finding(vaults=vaults, members=members, monotonic=monotonic).operations(),
            **Filtering(parts.public_keys).operations(),
            **Drafts(parts).operations(),
            **Consensual(parts, self._sign_new).operations(),
            ("query", "named"): NamedQueries(vaults, monotonic).answer,
            ("query", "token-balance"): claims.balance,
            ("record", "claim-tokens"): claims.claim,
        }

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        handler = self._operation(function, request) or self._handlers.get(function)
        if handler is None and any(known == function for known, _ in self._operations):
            raise invalid_request(f"ledger.{function} has no operation {request.get('op')!r:.64}")
        if handler is None:
            raise invalid_request(f"interface ledger has no function {function!r}")
        try:
            return handler(context, request)
        except (InvalidInputError, NotFoundError) as exc:
            raise CapabilityError(exc.code, exc.message) from exc

    def _operation(self, function: str, request: JsonObject) -> Function | None:
        op = request.get("op")
        if not isinstance(op, str):
            return None
        return self._operations.get((function, op))

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
        return self._sign_new(context, to_groups(content))

    def _sign_new(self, context: CallContext, groups: Groups) -> JsonValue:
        signed = unsigned(privacy_salt(context.request_id), groups)
        # Judged as other nodes will judge it, by what its component groups say.
        examined = self._examine(context, signed)
        signatures = self._sign(context, signed.id, examined.content)
        if not signatures:
            raise SignatureMissingError("this node holds the key of no signatory")
        return signed.signed_by(signatures).to_json()

    def _verify(self, context: CallContext, request: JsonObject) -> JsonValue:
        check_fields(request, ("transaction", "sign"))
        wants_signatures = take_bool(request, "sign")
        signed = read_signed(take_object(request, "transaction"))
        examined = self._examine(context, signed)
        content = examined.content
        signatures = self._sign(context, signed.id, content) if wants_signatures else ()
        return {
            "transaction": examined.resolved.to_json(),
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
        examined = None if recorded else self._examine(context, signed, is_complete=True)
        facts = () if examined is None else self._parts.facts(context, signed.id, examined.content)

        def record(connection: Connection) -> JsonValue:
            # If this worker lost the flow meanwhile, another one may have made the same call, or
            # ended the flow.
            refuse_ended(connection, context.flow_id)
            known = find_answer(connection, request_id, request)
            if known is not None:
                again: JsonValue = json.loads(known)
                return again
            if examined is not None:
                _store(connection, examined, facts, context.now)
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
                signed = transactions.find(connection, transaction_id, ledger=Ledger.UTXO)
                return None if signed is None else signed.to_json()
            check_fields(request, ("stateRefs",))
            refs = [
                StateRef.parse(ref) for ref in take_texts(request, "stateRefs", characters_max=128)
            ]
            return [state.to_json() for state in outputs.find(connection, refs)]

    def _examine(
        self, context: CallContext, signed: SignedTransaction, *, is_complete: bool = False
    ) -> Examined:
        """Check a transaction that a flow was given.

        `is_complete`: all signatories and, if it names one, its notary must have signed it.
        """
        purpose = Purpose.RECEIVED
        checked = self._examiner.check(context.holding, context.cpi, signed, purpose=purpose)
        if is_complete:
            check_complete(signed, checked.content, self._public_keys)
            check_notarised(signed, checked.content, self._public_keys)
        return self._examiner.judge(context.holding, signed, checked, purpose=purpose)

    def _sign(
        self, context: CallContext, transaction_id: str, content: Transaction
    ) -> tuple[Signature, ...]:
        signatories = content.signatories
        return sign(self._keys, self._public_keys, context, transaction_id, signatories)


def _store(
    connection: Connection, examined: Examined, facts: Sequence[OutputFacts], now: EpochMs
) -> None:
    signed = examined.signed
    if transactions.find(connection, signed.id) is None:
        finish(connection, signed, examined.content, facts=facts, origin=Origin.OWN, now=now)
        verifications.keep(
            connection, signed.id, verifications.THIS_NODE, examined.verifications, now=now
        )
