"""Examination of transactions for protocols: what it says of them is stored."""

from dataclasses import replace

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject
from host.ledger.core.signed import SignedTransaction
from host.ledger.core.statuses import Reason, Status, may_become
from host.ledger.errors import TransactionIsInvalidError
from host.ledger.examine import Examined, Purpose, reason_of
from host.ledger.parts import LedgerParts
from host.ledger.vault import transactions
from host.ledger.vault.transactions import Origin
from host.ports.capability import CallContext

_NOT_CURRENT = "group-parameters-not-current"


def examine(
    parts: LedgerParts,
    context: CallContext,
    signed: SignedTransaction,
    origin: Origin,
    purpose: Purpose = Purpose.NEW,
) -> Examined:
    """Examine a transaction; one that breaks a rule is stored as invalid.

    Raises:
        CapabilityError: as `Examiner.examine`.
    """
    try:
        return parts.examiner.examine(context.holding, context.cpi, signed, purpose=purpose)
    except CapabilityError as refused:
        note_refusal(parts, context, signed, origin, refused)
        raise


def note_refusal(
    parts: LedgerParts,
    context: CallContext,
    signed: SignedTransaction,
    origin: Origin,
    refused: CapabilityError,
) -> None:
    """Store a transaction as invalid if its identifier commits to what is wrong with it."""
    reason = reason_of(refused)
    if refused.code == _NOT_CURRENT and origin is Origin.FINALITY:
        reason = Reason.REFUSED  # it may have become final while its parameters were current
    if reason is None:
        return

    def keep(connection: Connection) -> None:
        # Its signatures may be wrong: the identifier does not commit to them.
        transactions.keep(
            connection,
            replace(signed, signatures=()),
            status=Status.INVALID,
            reason=reason,
            origin=origin,
            now=context.now,
        )

    parts.write(context, keep)


def refuse_invalid(connection: Connection, transaction_id: str) -> None:
    """Refuse a transaction of which the vault knows that it can never be verified.

    Raises:
        TransactionIsInvalidError: it is invalid for a reason that its identifier commits to.
    """
    state = transactions.state_of(connection, transaction_id)
    if state is not None and not may_become(*state, Status.VERIFIED):
        raise TransactionIsInvalidError(
            f"transaction {transaction_id} is invalid at this node: {state[1]}"
        )


def invalidate(
    connection: Connection, context: CallContext, transaction_id: str, reason: Reason
) -> None:
    """Change a stored transaction to invalid, if its status allows it."""
    stored = transactions.find_stored(connection, transaction_id)
    if stored is not None:
        transactions.keep(
            connection,
            stored.signed,
            status=Status.INVALID,
            reason=reason,
            origin=stored.origin,
            now=context.now,
        )


def to_json(answer: Struct) -> JsonObject:
    """The JSON of an answer to a program."""
    found: JsonObject = msgspec.to_builtins(answer)
    return found
