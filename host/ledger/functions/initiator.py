"""What the initiator of a finality does with its own ledger, and what both sides do at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import BegunFinality, Finished, OfferedProposal
from host.ledger.core.digests import Verification, other_outcomes, other_runs, read_verification
from host.ledger.core.messages import (
    SESSIONS_MAX,
    SIGNATURES_MAX,
    FinalityProposal,
    message_json,
)
from host.ledger.core.signed import (
    Signature,
    SignedTransaction,
    check_complete,
    check_notarised,
    check_signature,
    read_signature,
    read_signed,
)
from host.ledger.core.statuses import Reason, Status
from host.ledger.errors import (
    NotarySignatureInvalidError,
    SignatureInvalidError,
)
from host.ledger.events import FinalityEnded, VerificationDiffers
from host.ledger.examine import Purpose
from host.ledger.functions.filtered_dependencies import needs_backchain, shown_dependencies
from host.ledger.functions.judged import examine, invalidate, refuse_invalid, to_json
from host.ledger.functions.spoken import check_spoken
from host.ledger.functions.stored import (
    content_of,
    dependencies_of,
    end_of,
    stored_transaction,
    unsigned_of,
)
from host.ledger.parts import Function, LedgerParts
from host.ledger.vault import outputs, parties, transactions, verifications
from host.ledger.vault.finish import finish
from host.ledger.vault.transactions import Origin, Stored
from host.ledger.vault.verifications import THIS_NODE
from host.ports.capability import CallContext
from host.ports.requests import as_object, take_bool, take_list, take_object, take_text, take_texts

_log = structlog.get_logger("cordbox.ledger")


class FinalityFunctions:
    """Functions of the initiator, and those of both sides."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {
            "begin-finality": self._begin,
            "make-proposal": self._make_proposal,
            "add-signatures": self._add_signatures,
            "refused": self._refused,
            "finish": self._finish,
        }

    def _begin(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Examine an own transaction and store it as unverified, or as invalid if it is."""
        signed = read_signed(take_object(request, "transaction"))
        names = take_texts(request, "parties", length_max=SESSIONS_MAX)
        check_spoken(self._parts.members, context.holding, names)
        examined = examine(self._parts, context, signed, Origin.OWN)

        def keep(connection: Connection) -> None:
            refuse_invalid(connection, signed.id)
            transactions.keep(
                connection,
                signed,
                status=Status.UNVERIFIED,
                origin=Origin.OWN,
                examined=True,
                now=context.now,
            )
            parties.keep(connection, signed.id, names)
            found = examined.verifications
            verifications.keep(connection, signed.id, THIS_NODE, found, now=context.now)

        self._parts.write(context, keep)
        content = examined.content
        begun = BegunFinality(
            id=signed.id,
            notary=content.notary is not None,
            backchain=needs_backchain(examined.parameters, content),
            dependencies=dependencies_of(content),
            until=end_of(content),
            repair_ms=self._parts.repair_times().first_ms,
        )
        return to_json(begun)

    def _make_proposal(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The first message to a counterparty."""
        transaction_id = take_text(request, "id")
        with self._parts.read(context) as connection:
            signed = stored_transaction(connection, transaction_id).signed
            content = content_of(signed)
            parameters = self._parts.parameters(context, content)
            backchain = needs_backchain(parameters, content)
            shown = None if backchain else shown_dependencies(connection, content)
        message = FinalityProposal(
            transaction=signed.to_json(),
            more=take_bool(request, "more"),
            dependencies=shown,
            backchain=backchain,
        )
        offered = OfferedProposal(backchain=dependencies_of(content) if backchain else [])
        return {"payload": message_json(message), "summary": to_json(offered)}

    def _add_signatures(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Store what counterparties have signed, once all signatories have.

        Raises:
            CapabilityError: `signature-invalid`, `signature-missing`, `verification-differs`.
        """
        transaction_id = take_text(request, "id")
        replies = [
            _Reply.read(as_object(item, "replies"))
            for item in take_list(request, "replies", length_max=SESSIONS_MAX)
        ]
        with self._parts.read(context) as connection:
            signed = stored_transaction(connection, transaction_id).signed
            own = [
                each
                for party, each in verifications.list_of(connection, transaction_id)
                if party == THIS_NODE
            ]
        added = unsigned_of(signed, [each for reply in replies for each in reply.signatures])
        self._check_added(signed, added)

        def keep(connection: Connection) -> None:
            transactions.add_signatures(connection, transaction_id, added, now=context.now)
            for reply in replies:
                verifications.keep(
                    connection, transaction_id, reply.party, reply.verifications, now=context.now
                )

        self._parts.write(context, keep)
        for reply in replies:
            self._check_verifications(transaction_id, own, reply)
        return None

    def _check_verifications(
        self, transaction_id: str, own: Sequence[Verification], reply: "_Reply"
    ) -> None:
        """Compare a counterparty's contract runs with this node's.

        Raises:
            CapabilityError: `verification-differs`.
        """
        for other in other_runs(own, reply.verifications):
            self._parts.events(VerificationDiffers("run"))
            _log.warning(
                "ledger-verification-differs",
                transaction=transaction_id,
                party=reply.party,
                cpk=other.cpk,
            )
        if others := other_outcomes(own, reply.verifications):
            self._parts.events(VerificationDiffers("outcome"))
            raise CapabilityError(
                "verification-differs",
                f"{reply.party} verified transaction {transaction_id} by contract CPK"
                f" {others[0].cpk} and came to {others[0].verdict} by outcome {others[0].outcome}:"
                " it saw other states or ran other code",
            )

    def _check_added(self, signed: SignedTransaction, added: Sequence[Signature]) -> None:
        content = content_of(signed)
        for signature in added:
            if signature.key not in content.signatories:
                raise SignatureInvalidError(
                    f"signature by key {signature.by}, which is no signatory of {signed.id}"
                )
            check_signature(signed.id, signature, self._parts.public_keys)
        check_complete(signed.signed_by(added), content, self._parts.public_keys)

    def _refused(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Store that a transaction was refused, by a counterparty or by the notary."""
        transaction_id = take_text(request, "id")
        by_notary = request.get("reason") == Reason.NOTARY.value
        reason = Reason.NOTARY if by_notary else Reason.REFUSED
        self._parts.write(
            context, lambda connection: invalidate(connection, context, transaction_id, reason)
        )
        with self._parts.read(context) as connection:
            stored = transactions.find_stored(connection, transaction_id)
        if stored is not None:
            self._tell_end(context, stored, "rejected" if by_notary else "refused")
        return None

    def _tell_end(
        self,
        context: CallContext,
        stored: Stored,
        outcome: Literal["final", "refused", "rejected"],
    ) -> None:
        side: Literal["initiator", "receiver"]
        side = "initiator" if stored.origin is Origin.OWN else "receiver"
        seconds = max(0, context.now - stored.created_at) / 1000
        self._parts.events(FinalityEnded(side, outcome, seconds))

    def _finish(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Make a transaction verified that all signatories and its notary have signed."""
        transaction_id = take_text(request, "id")
        final = [
            read_signature(as_object(item, "signatures"))
            for item in take_list(request, "signatures", length_max=SIGNATURES_MAX)
        ]
        with self._parts.read(context) as connection:
            stored = stored_transaction(connection, transaction_id)
        content = content_of(stored.signed)
        added = unsigned_of(stored.signed, final)
        for signature in added:
            if content.notary is None or signature.key != content.notary.key:
                raise NotarySignatureInvalidError(
                    f"signature by key {signature.by}, which is not that of the notary of"
                    f" {transaction_id}"
                )
        signed = stored.signed.signed_by(added)
        check_complete(signed, content, self._parts.public_keys)
        check_notarised(signed, content, self._parts.public_keys)
        self._parts.examiner.trust.check(context.holding.short_hash, signed.id, content.notary)
        if not stored.examined:
            examine(self._parts, context, signed, stored.origin, Purpose.RECEIVED)
        facts = self._parts.facts(context, transaction_id, content)

        def write(connection: Connection) -> list[int]:
            finish(connection, signed, content, facts=facts, origin=stored.origin, now=context.now)
            return outputs.visible(connection, transaction_id)

        finished = Finished(visible=self._parts.write(context, write))
        if stored.status is not Status.VERIFIED:
            self._tell_end(context, stored, "final")
        return to_json(finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What one counterparty has signed and found."""

    party: str
    signatures: tuple[Signature, ...]
    verifications: tuple[Verification, ...]

    @staticmethod
    def read(item: JsonObject) -> "_Reply":
        signatures = take_list(item, "signatures", length_max=SIGNATURES_MAX)
        found = take_list(item, "verifications", length_max=SIGNATURES_MAX)
        return _Reply(
            party=take_text(item, "party"),
            signatures=tuple(read_signature(as_object(each, "signatures")) for each in signatures),
            verifications=tuple(
                read_verification(as_object(each, "verifications")) for each in found
            ),
        )
