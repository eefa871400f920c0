"""What both sides of a transfer do with their own ledgers."""

from collections.abc import Mapping

from sqlalchemy import Connection

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import BegunTransfer, OfferedProposal, TakenTransfer
from host.ledger.core.message_reading import read_ledger_transfer, read_transfer
from host.ledger.core.messages import (
    SESSIONS_MAX,
    TransferLedgerTransaction,
    TransferOffered,
    TransferTransaction,
    message_json,
)
from host.ledger.core.metadata import parameters_hash
from host.ledger.core.model import Ledger, Transaction
from host.ledger.core.signed import SignedTransaction, read_signed
from host.ledger.core.statuses import Status
from host.ledger.examine import Checked, Purpose
from host.ledger.functions.filtered_dependencies import (
    DependenciesMismatchError,
    Shown,
    needs_backchain,
    read_dependencies,
    shown_dependencies,
    states_of,
)
from host.ledger.functions.judged import examine, refuse_invalid, to_json
from host.ledger.functions.spoken import check_spoken
from host.ledger.functions.stored import (
    check_ledger,
    content_of,
    dependencies_of,
    stored_transaction,
)
from host.ledger.parts import Function, LedgerParts
from host.ledger.vault import filtered, transactions, verifications
from host.ledger.vault.finish import finish
from host.ledger.vault.transactions import Origin
from host.ledger.vault.verifications import THIS_NODE
from host.ports.capability import CallContext
from host.ports.requests import take_bool, take_object, take_text, take_texts


class TransferFunctions:
    """Functions of sender and receiver."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {
            "begin-transfer": self._begin,
            "make-transfer": self._make,
            "take-transfer": self._take,
            "finish-transfer": self._finish,
            "make-ledger-transfer": self._make_ledger,
            "take-ledger-transfer": self._take_ledger,
            "judge-ledger-transfer": self._judge_ledger,
        }

    def _begin(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Check that a transaction may be sent: it is verified, or right as far as it is signed."""
        signed = read_signed(take_object(request, "transaction"))
        names = take_texts(request, "parties", length_max=SESSIONS_MAX)
        check_spoken(self._parts.members, context.holding, names)
        check_ledger(signed, Ledger.UTXO)
        with self._parts.read(context) as connection:
            is_verified = transactions.find(connection, signed.id) is not None
        if not is_verified:
            self._parts.examiner.examine(
                context.holding, context.cpi, signed, purpose=Purpose.RECEIVED
            )
        return to_json(BegunTransfer(id=signed.id))

    def _make(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The message to a counterparty that stores the transaction."""
        given, wanted = take_object(request, "transaction"), take_bool(request, "backchain")
        return self._offered(context, given, TransferTransaction, backchain=wanted)

    def _make_ledger(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The message to a counterparty that is to see the transaction with its states."""
        given = take_object(request, "transaction")
        return self._offered(context, given, TransferLedgerTransaction, backchain=False)

    def _offered(
        self,
        context: CallContext,
        transaction: JsonObject,
        message: type[TransferOffered],
        *,
        backchain: bool,
    ) -> JsonValue:
        """The vault's transaction if verified, else as given.

        Where the notary requires backchains, states alone prove nothing: the backchain is offered.
        """
        given = read_signed(transaction)
        with self._parts.read(context) as connection:
            signed = transactions.find(connection, given.id) or given
            content = content_of(signed)
            parameters = self._parts.parameters(context, content)
            backchain = backchain or needs_backchain(parameters, content)
            shown = None if backchain else shown_dependencies(connection, content)
        made = message(transaction=signed.to_json(), backchain=backchain, dependencies=shown)
        offered = OfferedProposal(backchain=dependencies_of(content) if backchain else [])
        return {"payload": message_json(made), "summary": to_json(offered)}

    def _take(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Check a transaction by all that needs no other one, and store it as unverified."""
        message = read_transfer(request.get("payload"))
        signed, _, found = self._checked(context, message)
        shown = () if message.backchain else self._dependencies(context, found, message)

        def keep(connection: Connection) -> None:
            refuse_invalid(connection, signed.id)
            transactions.keep(
                connection,
                signed,
                status=Status.UNVERIFIED,
                origin=Origin.TRANSFER,
                now=context.now,
            )
            for each in shown:
                filtered.keep(connection, each.filtered, each.signatures, now=context.now)

        self._parts.write(context, keep)
        return _taken(signed, found, message)

    def _take_ledger(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Check a transaction that is to be seen by all that needs no other one."""
        message = read_ledger_transfer(request.get("payload"))
        signed, _, found = self._checked(context, message)
        with self._parts.read(context) as connection:
            refuse_invalid(connection, signed.id)
        if not message.backchain:
            self._dependencies(context, found, message)
        return _taken(signed, found, message)

    def _judge_ledger(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Examine a transaction that is to be seen; answers it as contracts see it.

        Its states are those of the vault if their backchain was resolved, else those shown.
        """
        message = read_ledger_transfer(request.get("payload"))
        signed, purpose, checked = self._checked(context, message)
        states, hashes = None, []
        if not message.backchain:
            shown = self._dependencies(context, checked, message)
            found = {each.ref: each for each in states_of(shown)}
            content = checked.content
            states = (
                [found[ref] for ref in content.inputs],
                [found[ref] for ref in content.references],
            )
            hashes = [parameters_hash(each.content.metadata) for each in shown]
        examined = self._parts.examiner.judge(
            context.holding,
            signed,
            checked,
            purpose=purpose,
            states=states,
            parameters=hashes,
        )
        return examined.resolved.to_json()

    def _checked(
        self, context: CallContext, message: TransferOffered
    ) -> tuple[SignedTransaction, Purpose, Checked]:
        """A transaction that was sent, and what it is judged for, checked without its states."""
        signed = read_signed(message.transaction)
        check_ledger(signed, Ledger.UTXO)
        purpose = _purpose(signed, content_of(signed))
        checked = self._parts.examiner.check(context.holding, context.cpi, signed, purpose=purpose)
        return signed, purpose, checked

    def _dependencies(
        self, context: CallContext, found: Checked, message: TransferOffered
    ) -> list[Shown]:
        if message.dependencies is None:
            raise DependenciesMismatchError("the transfer shows no dependencies")
        if dependencies_of(found.content) and needs_backchain(found.parameters, found.content):
            raise DependenciesMismatchError(
                "the transaction's notary requires backchains, the counterparty shows states only"
            )
        shown = read_dependencies(
            found.content,
            message.dependencies,
            members=self._parts.members,
            holding=context.holding,
            public_keys=self._parts.public_keys,
        )
        self._parts.examiner.trust.check_states(context.holding.short_hash, states_of(shown))
        return shown

    def _finish(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Examine a transaction whose dependencies are there; a final one becomes verified."""
        transaction_id = take_text(request, "id")
        with self._parts.read(context) as connection:
            signed = stored_transaction(connection, transaction_id).signed
        content = content_of(signed)
        purpose = _purpose(signed, content)
        examined = examine(self._parts, context, signed, Origin.TRANSFER, purpose)
        facts = self._parts.facts(context, transaction_id, content)

        def write(connection: Connection) -> None:
            if purpose is Purpose.CHAIN:
                finish(
                    connection,
                    signed,
                    content,
                    facts=facts,
                    origin=Origin.TRANSFER,
                    now=context.now,
                )
            else:
                transactions.keep(
                    connection,
                    signed,
                    status=Status.UNVERIFIED,
                    origin=Origin.TRANSFER,
                    examined=True,
                    now=context.now,
                )
            found = examined.verifications
            verifications.keep(connection, signed.id, THIS_NODE, found, now=context.now)

        self._parts.write(context, write)
        return None


def _taken(signed: SignedTransaction, found: Checked, message: TransferOffered) -> JsonValue:
    resolve = dependencies_of(found.content) if message.backchain else []
    return to_json(TakenTransfer(id=signed.id, resolve=resolve))


def _purpose(signed: SignedTransaction, content: Transaction) -> Purpose:
    """What a transaction is judged for: `CHAIN` if its notary, or without one all, have signed."""
    keys = {each.key for each in signed.signatures}
    if content.notary is not None:
        return Purpose.CHAIN if content.notary.key in keys else Purpose.RECEIVED
    return Purpose.CHAIN if keys.issuperset(content.signatories) else Purpose.RECEIVED
