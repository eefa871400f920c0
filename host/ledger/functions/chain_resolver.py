"""What the resolver of a backchain does with its own ledger."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.domain.errors import HostError
from host.domain.group_parameters import SignedGroupParameters
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import ChainPlan, TakenChain, VerifiedChain
from host.ledger.core.message_reading import read_parameters, read_transactions
from host.ledger.core.messages import BATCH_MAX, ChainParameters, ChainTransactions, FinalityFailed
from host.ledger.core.metadata import parameters_hash
from host.ledger.core.model import Ledger
from host.ledger.core.signed import SignedTransaction, read_signed
from host.ledger.core.statuses import REVOCABLE, Status
from host.ledger.events import ChainBegun, ChainVerified
from host.ledger.functions.chain_verifier import BackchainInvalidError, ChainVerifier
from host.ledger.functions.judged import to_json
from host.ledger.functions.stored import (
    check_ledger,
    content_of,
    dependencies_of,
    stored_transaction,
)
from host.ledger.parts import Function, LedgerParts
from host.ledger.vault import old_chains, transactions
from host.ledger.vault.transactions import Origin, Stored
from host.ports.capability import CallContext
from host.ports.requests import take_int, take_text, take_texts

_M = TypeVar("_M", ChainTransactions, ChainParameters)
IDS_MAX = 1000
STEP_SECONDS = 0.2
"""A call that verifies for so long answers how far it came: other flows of its partition go on."""


class ChainResolverFunctions:
    """Functions of the resolver."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {
            "chain-limits": self._limits,
            "plan": self._plan,
            "take-chain": self._take,
            "take-parameters": self._take_parameters,
            "verify-chain": self._verify,
        }

    def _limits(self, context: CallContext, request: JsonObject) -> JsonValue:  # noqa: ARG002
        """The limits of a chain that is to be asked for."""
        self._parts.events(ChainBegun())
        return to_json(self._parts.chain_limits())

    def _plan(self, context: CallContext, request: JsonObject) -> JsonValue:
        """What the vault lacks of some transactions.

        Raises:
            BackchainInvalidError: one broke a rule.
        """
        plan = ChainPlan(ask=[], unverified={})
        with self._parts.read(context) as connection:
            for transaction_id in take_texts(request, "ids", length_max=IDS_MAX):
                status = transactions.state_of(connection, transaction_id)
                if status is None:
                    plan.ask.append(transaction_id)
                elif status[0] is not Status.VERIFIED:
                    self._plan_stored(stored_transaction(connection, transaction_id), plan)
        needed = list(plan.unverified)
        if needed:
            self._parts.write(context, lambda c: old_chains.touch(c, needed, now=context.now))
        return to_json(plan)

    def _plan_stored(self, stored: Stored, plan: ChainPlan) -> None:
        signed = stored.signed
        if stored.status is Status.INVALID and stored.reason not in REVOCABLE:
            raise BackchainInvalidError(f"transaction {signed.id} is invalid: {stored.reason}")
        content = content_of(signed)
        needed = set(content.signatories)
        if content.notary is not None:
            needed.add(content.notary.key)
        if needed <= {each.key for each in signed.signatures}:
            plan.unverified[signed.id] = dependencies_of(content)
        else:  # the counterparty has the signatures that are missing here
            plan.ask.append(signed.id)

    def _take(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Store transactions of a backchain as unverified: those asked for, and what came ahead.

        Ahead are at most so many as were asked for, each a dependency of one before it.

        Raises:
            CapabilityError: `backchain-incomplete`, `backchain-unexpected`, `finality-failed`,
                `protocol-mismatch`, `transaction-invalid`, `request-invalid`.
        """
        asked = take_texts(request, "ids", length_max=BATCH_MAX)
        ahead = take_int(request, "ahead", minimum=0, maximum=BATCH_MAX)
        message = _unless_failed(read_transactions(request.get("payload")))
        found: dict[str, SignedTransaction] = {}
        dependencies, named = dict[str, list[str]](), dict[str, str]()
        expected, more = set(asked), set[str]()
        for item in message.transactions:
            signed = read_signed(item)
            if signed.id in more and ahead:
                ahead -= 1
            elif signed.id not in expected:
                raise CapabilityError(
                    "backchain-unexpected", f"transaction {signed.id} was not asked for, or twice"
                )
            check_ledger(signed, Ledger.UTXO)
            found[signed.id] = signed
            content = content_of(signed)
            dependencies[signed.id] = dependencies_of(content)
            named[signed.id] = parameters_hash(content.metadata)
            expected.discard(signed.id)
            more.update(dependencies[signed.id])
            more -= found.keys() | expected
        if not found:
            raise CapabilityError(
                "backchain-incomplete", f"the counterparty does not give transaction {asked[0]}"
            )
        found = self._new(context, found, asked)
        answer = TakenChain(
            taken={each: dependencies[each] for each in found},
            parameters=self._unknown_parameters(context, [named[each] for each in found]),
            bytes=sum(len(leaf) for each in found.values() for g in each.groups for leaf in g),
        )

        def keep(connection: Connection) -> None:
            old_chains.forget_old(connection, now=context.now)
            for signed in found.values():
                self._keep(connection, context, signed)

        self._parts.write(context, keep)
        return to_json(answer)

    def _new(
        self, context: CallContext, found: Mapping[str, SignedTransaction], asked: Sequence[str]
    ) -> dict[str, SignedTransaction]:
        """Without those that came unasked and that the vault has: they are looked up as others."""
        with self._parts.read(context) as connection:
            return {
                each: signed
                for each, signed in found.items()
                if each in asked or transactions.state_of(connection, each) is None
            }

    def _keep(
        self, connection: Connection, context: CallContext, signed: SignedTransaction
    ) -> None:
        transactions.keep(
            connection,
            signed,
            status=Status.UNVERIFIED,
            origin=Origin.BACKCHAIN,
            now=context.now,
        )

    def _unknown_parameters(self, context: CallContext, named: Sequence[str]) -> list[str]:
        return [each for each in dict.fromkeys(named) if not self._knows(context, each)]

    def _knows(self, context: CallContext, parameters: str) -> bool:
        try:
            self._parts.members.parameters(context.holding, parameters)
        except HostError as exc:
            if exc.code != "group-parameters-unknown":
                raise
            return False
        return True

    def _take_parameters(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Store group parameters of an earlier time, which the group's MGM has signed.

        Raises:
            CapabilityError: `group-parameters-invalid`, `finality-failed`, `protocol-mismatch`.
        """
        wanted = take_text(request, "hash")
        message = _unless_failed(read_parameters(request.get("payload")))
        signed = SignedGroupParameters(
            content=_bytes(message.parameters),
            signature=_bytes(message.signature),
            signer_key=message.key,
            spec=message.spec,
            at=context.now,
        )
        if signed.hash != wanted:
            raise _parameters_invalid(f"{signed.hash} came for group parameters {wanted}")
        self._parts.members.keep_parameters(context.holding, signed)
        return None

    def _verify(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Verify transactions whose dependencies are verified, in order; at least the first.

        Raises:
            BackchainInvalidError: one is invalid. Those before it stay verified.
            CapabilityError: there is no verdict on one.
        """
        ids = take_texts(request, "ids", length_max=IDS_MAX)
        until, count = self._parts.monotonic() + STEP_SECONDS, 0
        verifier = ChainVerifier(self._parts, context)
        try:
            for transaction_id in ids:
                verifier.judge(transaction_id)
                count += 1
                if self._parts.monotonic() > until:
                    break
        except CapabilityError:
            verifier.store()
            raise
        verifier.store()
        self._parts.events(ChainVerified(count))
        return to_json(VerifiedChain(count=count))


def _unless_failed(message: _M | FinalityFailed) -> _M:
    if isinstance(message, FinalityFailed):
        raise CapabilityError(
            "finality-failed",
            f"the counterparty has given up ({message.reason}, {message.code}): {message.message}",
        )
    return message


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _parameters_invalid(f"they are no base64: {exc}") from exc


def _parameters_invalid(reason: str) -> CapabilityError:
    return CapabilityError("group-parameters-invalid", f"group parameters: {reason}")
