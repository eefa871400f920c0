"""Sending transactions to other nodes, beside finality.

`send-transaction` gives a transaction with its backchain, or with filtered dependencies;
`receive-transaction` verifies and stores it. `send-ledger-transaction` shows one in the same way:
`receive-ledger-transaction` verifies it, and answers it with its states. What proves the states is
resolved as a backchain where the notary requires that; the transaction itself is not stored. No new
signature is made.
Source: corda-runtime-os `SendTransactionFlow`, `ReceiveAndUpdateTransactionBuilder..` of
`ledger-utxo-flow/flows/transactiontransmission`.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import BegunTransfer, OfferedProposal, TakenTransfer
from host.ledger.core.message_reading import read_transfer_reply
from host.ledger.core.messages import (
    SESSIONS_MAX,
    ChainGet,
    ChainGetParameters,
    ChainStop,
    Content,
    Text,
    TransferReceived,
    TransferRefused,
)
from host.ledger.protocols.backchain import Offer, resolve, serve
from host.ledger.protocols.steps import (
    Steps,
    ask,
    call,
    counterparties,
    fail,
    is_mismatch,
    read_request,
    receive,
    receive_from,
    send,
    send_made,
    try_to_send,
)
from host.ports.programs import Call

_T = TypeVar("_T")
_Sessions = Annotated[list[Text], Meta(min_length=1, max_length=SESSIONS_MAX)]


class SendRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    transaction: Content
    sessions: _Sessions
    backchain: bool


class SendLedgerRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    transaction: Content
    sessions: _Sessions


class ReceiveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session: Text


def send_transaction(request: JsonObject) -> Steps[JsonValue]:
    """Send a transaction to counterparties; ends when all have it.

    Raises:
        CapabilityError: `transfer-refused`, a counterparty does not take it; as its session.
    """
    wanted = read_request(request, SendRequest)
    made = Call("make-transfer", {"transaction": wanted.transaction, "backchain": wanted.backchain})
    yield from _send(wanted.transaction, wanted.sessions, made)
    return None


def send_ledger_transaction(request: JsonObject) -> Steps[JsonValue]:
    """Show a transaction with its states to counterparties; ends when all have seen it.

    Raises:
        CapabilityError: as `send_transaction`.
    """
    wanted = read_request(request, SendLedgerRequest)
    made = Call("make-ledger-transfer", {"transaction": wanted.transaction})
    yield from _send(wanted.transaction, wanted.sessions, made)
    return None


def receive_transaction(request: JsonObject) -> Steps[JsonValue]:
    """Take a transaction with all that it depends on, and verify it; answers its id."""
    session = read_request(request, ReceiveRequest).session
    return (yield from _answered(session, _take(session)))


def receive_ledger_transaction(request: JsonObject) -> Steps[JsonValue]:
    """Verify a transaction with all that it depends on; answers the ledger transaction."""
    session = read_request(request, ReceiveRequest).session
    return (yield from _answered(session, _see(session)))


def _send(transaction: JsonObject, sessions: list[str], made: Call) -> Steps[None]:
    if len(set(sessions)) < len(sessions):
        raise CapabilityError("request-invalid", "field 'sessions' names a session twice")
    parties: list[JsonValue] = [*(yield from counterparties(sessions))]
    asked: JsonObject = {"transaction": transaction, "parties": parties}
    begun = yield from ask("begin-transfer", asked, BegunTransfer)
    offers: dict[str, Offer] = {}
    for session in sessions:
        offered = yield from send_made(session, made, OfferedProposal)
        offers[session] = Offer()
        offers[session].add(offered.backchain)
    while offers:
        for got in (yield from receive(tuple(offers), any_of=True)):
            try:
                reply = read_transfer_reply(got.value())
            except CapabilityError as refused:
                yield from fail(got.session, refused)
                raise
            match reply:
                case ChainGet() | ChainGetParameters():
                    yield from serve(got.session, reply, offers[got.session])
                case ChainStop():
                    offers[got.session] = Offer()
                case TransferReceived():
                    del offers[got.session]
                case TransferRefused():
                    raise CapabilityError(
                        "transfer-refused",
                        f"transaction {begun.id}: {reply.message}",
                        reason_code=reply.code,
                    )


def _take(session: str) -> Steps[JsonValue]:
    answer = yield from receive_from(session, into=Call("take-transfer", {}))
    taken = msgspec.convert(answer, TakenTransfer)
    if taken.resolve:
        yield from resolve(session, taken.resolve)
    yield from call("finish-transfer", {"id": taken.id})
    return {"id": taken.id}


def _see(session: str) -> Steps[JsonValue]:
    # The vault does not store the transaction, so its payload stands in the program's rows.
    shown: JsonObject = {"payload": (yield from receive_from(session))}
    taken = yield from ask("take-ledger-transfer", shown, TakenTransfer)
    if taken.resolve:
        yield from resolve(session, taken.resolve)
    return (yield from call("judge-ledger-transfer", shown))


def _answered(session: str, steps: Steps[_T]) -> Steps[_T]:
    """Do what takes a transaction, and tell the sender how it ended."""
    try:
        found = yield from steps
    except CapabilityError as refused:
        if is_mismatch(refused):
            yield from fail(session, refused)
        else:
            refusal = TransferRefused(code=refused.code, message=refused.message)
            yield from try_to_send(session, refusal)
        raise
    yield from send(session, TransferReceived())
    return found
