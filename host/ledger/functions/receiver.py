"""What the receiver of a finality does with its own ledger."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import Signed, TakenProposal
from host.ledger.core.components import ledger_of
from host.ledger.core.message_reading import read_proposal
from host.ledger.core.messages import CONSENSUAL, FinalityProposal
from host.ledger.core.model import Ledger
from host.ledger.core.signed import SignedTransaction, read_signed
from host.ledger.core.statuses import REVOCABLE, Reason, Status
from host.ledger.examine import Checked, Purpose
from host.ledger.functions.filtered_dependencies import (
    DependenciesMismatchError,
    Shown,
    needs_backchain,
    read_dependencies,
    states_of,
)
from host.ledger.functions.judged import (
    examine,
    invalidate,
    note_refusal,
    refuse_invalid,
    to_json,
)
from host.ledger.functions.stored import (
    content_of,
    dependencies_of,
    end_of,
    proposed_by,
    stored_transaction,
    unknown_proposal,
)
from host.ledger.parts import Function, LedgerParts
from host.ledger.signing import sign
from host.ledger.vault import filtered, old_chains, parties, transactions, verifications
from host.ledger.vault.transactions import Origin
from host.ledger.vault.verifications import THIS_NODE
from host.ports.capability import CallContext
from host.ports.keys import FLOW_CATEGORIES
from host.ports.requests import take_bool, take_text


class ReceiverFunctions:
    """Functions of the receiver."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {
            "take-proposal": self._take,
            "examine": self._examine,
            "sign": self._sign,
            "refuse": self._refuse,
        }

    def _take(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Check a proposal by all that needs no other transaction, and store it as unverified.

        A wrong identifier or signature stores nothing: the identifier does not commit to
        signatures, and who sends wrong ones must not spoil a right transaction.
        """
        proposal = read_proposal(request.get("payload"))
        counterparty = take_text(request, "counterparty")
        signed = read_signed(proposal.transaction)
        _check_ledger(signed, request.get("ledger"))
        found = self._check(context, signed)
        backchain = needs_backchain(found.parameters, found.content)
        shown = [] if backchain else self._dependencies(context, found, proposal)

        def keep(connection: Connection) -> None:
            refuse_invalid(connection, signed.id)
            transactions.keep(
                connection,
                signed,
                status=Status.UNVERIFIED,
                origin=Origin.FINALITY,
                now=context.now,
            )
            parties.keep(connection, signed.id, [counterparty])
            old_chains.forget_old(connection, now=context.now)
            for each in shown:
                filtered.keep(connection, each.filtered, each.signatures, now=context.now)

        self._parts.write(context, keep)
        taken = TakenProposal(
            id=signed.id,
            more=proposal.more,
            version=proposal.v,
            resolve=dependencies_of(found.content) if backchain else [],
            repair_ms=None
            if end_of(found.content) is None
            else self._parts.repair_times().first_ms,
        )
        return to_json(taken)

    def _check(self, context: CallContext, signed: SignedTransaction) -> Checked:
        try:
            return self._parts.examiner.check(
                context.holding, context.cpi, signed, purpose=Purpose.NEW
            )
        except CapabilityError as refused:
            note_refusal(self._parts, context, signed, Origin.FINALITY, refused)
            raise

    def _dependencies(
        self, context: CallContext, found: Checked, proposal: FinalityProposal
    ) -> Sequence[Shown]:
        if proposal.dependencies is None:
            raise DependenciesMismatchError("the proposal shows no dependencies")
        shown = read_dependencies(
            found.content,
            proposal.dependencies,
            members=self._parts.members,
            holding=context.holding,
            public_keys=self._parts.public_keys,
        )
        self._parts.examiner.trust.check_states(context.holding.short_hash, states_of(shown))
        return shown

    def _examine(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Examine a proposed transaction whose dependencies are there; answers its content."""
        transaction_id = take_text(request, "id")
        with self._parts.read(context) as connection:
            signed = stored_transaction(connection, transaction_id).signed
        examined = examine(self._parts, context, signed, Origin.FINALITY)

        def keep(connection: Connection) -> None:
            transactions.keep(
                connection,
                signed,
                status=Status.UNVERIFIED,
                origin=Origin.FINALITY,
                examined=True,
                now=context.now,
            )
            found = examined.verifications
            verifications.keep(connection, signed.id, THIS_NODE, found, now=context.now)

        self._parts.write(context, keep)
        return examined.resolved.to_json()

    def _sign(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Sign a transaction that the counterparty proposed and this node has examined."""
        transaction_id, party = take_text(request, "id"), take_text(request, "party")
        with self._parts.read(context) as connection:
            stored = proposed_by(connection, transaction_id, party)
            found = [
                each.to_json()
                for of, each in verifications.list_of(connection, transaction_id)
                if of == THIS_NODE
            ]
        # A flow that refused it before may accept it now; what breaks a rule was never examined.
        if not stored.examined or stored.reason not in {None, *REVOCABLE}:
            raise unknown_proposal(transaction_id)
        content = content_of(stored.signed)
        signatories = content.signatories
        present = {each.key for each in stored.signed.signatures}
        missing = [key for key in signatories if key not in present]
        made = sign(self._parts.keys, self._parts.public_keys, context, transaction_id, missing)

        def keep(connection: Connection) -> SignedTransaction:
            transactions.add_signatures(connection, transaction_id, made, now=context.now)
            return stored_transaction(connection, transaction_id).signed

        signed = self._parts.write(context, keep) if made else stored.signed
        mine = set(
            self._parts.keys.find_mine(context.holding.short_hash, signatories, FLOW_CATEGORIES)
        )
        own = [each.to_json() for each in signed.signatures if each.key in mine]
        return to_json(
            Signed(
                signatures=own,
                verifications=found,
                notary=content.notary is not None,
                repair_ms=self._parts.repair_times().first_ms,
            )
        )

    def _refuse(self, context: CallContext, request: JsonObject) -> JsonValue:
        """This node's flow does not want a transaction; `invalid`: it never will."""
        transaction_id, party = take_text(request, "id"), take_text(request, "party")
        is_invalid = take_bool(request, "invalid")

        def refuse(connection: Connection) -> None:
            proposed_by(connection, transaction_id, party)
            if is_invalid:
                invalidate(connection, context, transaction_id, Reason.REFUSED)

        self._parts.write(context, refuse)
        return None


def _check_ledger(signed: SignedTransaction, named: JsonValue) -> None:
    """Refuse a proposal of the other ledger than the one for which the flow waits.

    Raises:
        CapabilityError: `protocol-mismatch`.
    """
    expected = Ledger.CONSENSUAL if named == CONSENSUAL else Ledger.UTXO
    found = ledger_of(signed.groups)
    if found is not expected:
        raise CapabilityError(
            "protocol-mismatch",
            f"expected a proposal of the {expected.shown} ledger, found one of the {found.shown}"
            " ledger",
        )
