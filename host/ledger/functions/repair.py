"""What a repair does with its own ledger, and what a counterparty gives for it."""

from collections.abc import Mapping

import structlog
from sqlalchemy import Connection

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import RepairPlan
from host.ledger.core.messages import SIGNATURES_MAX, RepairAnswer, message_json
from host.ledger.core.signed import check_signature, read_signature
from host.ledger.core.statuses import is_decided
from host.ledger.events import RepairGivenUp, StillUnverified
from host.ledger.functions.judged import to_json
from host.ledger.functions.stored import content_of, end_of, stored_transaction, unsigned_of
from host.ledger.parts import Function, LedgerParts
from host.ledger.vault import parties, transactions
from host.ports.capability import CallContext
from host.ports.requests import as_object, take_list, take_text

_log = structlog.get_logger("cordbox.ledger")


class RepairFunctions:
    """Functions of both sides of a repair."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {
            "repair-plan": self._plan,
            "take-repair": self._take,
            "answer-repair": self._answer,
            "repair-given-up": self._given_up,
        }

    def _plan(self, context: CallContext, request: JsonObject) -> JsonValue:
        """What is to be repaired."""
        transaction_id = take_text(request, "id")
        with self._parts.read(context) as connection:
            stored = stored_transaction(connection, transaction_id)
            names = parties.names(connection, transaction_id)
        content = content_of(stored.signed)
        signed = {each.key for each in stored.signed.signatures}
        plan = RepairPlan(
            status=stored.status.value,
            done=is_decided(stored.status, stored.reason),
            until=end_of(content),
            incomplete=not signed.issuperset(content.signatories),
            parties=names,
            given_up_ms=self._parts.repair_times().until_ms,
        )
        if not plan.done:
            age = max(0, context.now - stored.created_at)
            self._parts.events(StillUnverified(age / 1000))
        return to_json(plan)

    def _take(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Store valid signatures by signatories; others are left out."""
        transaction_id = take_text(request, "id")
        found = [
            read_signature(as_object(item, "signatures"))
            for item in take_list(request, "signatures", length_max=SIGNATURES_MAX)
        ]
        with self._parts.read(context) as connection:
            signed = stored_transaction(connection, transaction_id).signed
        signatories = content_of(signed).signatories
        added = [each for each in unsigned_of(signed, found) if each.key in signatories]
        for signature in added:
            check_signature(transaction_id, signature, self._parts.public_keys)

        def keep(connection: Connection) -> None:
            transactions.add_signatures(connection, transaction_id, added, now=context.now)

        self._parts.write(context, keep)
        return None

    def _answer(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The signatures of signatories, for a party of the transaction's finality."""
        transaction_id, party = take_text(request, "id"), take_text(request, "party")
        answer = RepairAnswer(signatures=None)
        with self._parts.read(context) as connection:
            if parties.has(connection, transaction_id, party):
                signed = stored_transaction(connection, transaction_id).signed
                signatories = content_of(signed).signatories
                given = [each.to_json() for each in signed.signatures if each.key in signatories]
                answer = RepairAnswer(signatures=given)
        return {"payload": message_json(answer), "summary": None}

    def _given_up(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Log that nobody could tell what came of a transaction."""
        self._parts.events(RepairGivenUp())
        _log.error(
            "ledger-repair-given-up",
            holding_id=context.holding.short_hash,
            transaction=take_text(request, "id"),
            reason=str(request.get("reason")),
        )
        return None
