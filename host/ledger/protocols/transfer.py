"""Sending verified transactions to other nodes, beside finality.

`send-transaction` gives a transaction with its backchain, or with filtered dependencies;
`receive-transaction` verifies and stores it. No new signature is made.
Source: corda-runtime-os `SendTransactionFlow`, `ReceiveAndUpdateTransactionBuilder..` of
`ledger-utxo-flow/flows/transactiontransmission`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import BegunTransfer, OfferedProposal, TakenTransfer
from host.ledger.core.messages import (
    ChainGet,
    ChainGetParameters,
    ChainStop,
    Content,
    Text,
    TransferReceived,
    TransferRefused,
    read_transfer_reply,
)
from host.ledger.protocols.backchain import Offer, resolve, serve
from host.ledger.protocols.steps import (
    Steps,
    ask,
    call,
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

SESSIONS_MAX = 100


class SendRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    transaction: Content
    sessions: Annotated[list[Text], Meta(min_length=1, max_length=SESSIONS_MAX)]
    backchain: bool


class ReceiveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session: Text


def send_transaction(request: JsonObject) -> Steps[JsonValue]:
    """Send a transaction to counterparties; ends when all have it.

    Raises:
        CapabilityError: `transfer-refused`, a counterparty does not take it; as its session.
    """
    wanted = read_request(request, SendRequest)
    if len(set(wanted.sessions)) < len(wanted.sessions):
        raise CapabilityError("request-invalid", "field 'sessions' names a session twice")
    begun = yield from ask("begin-transfer", {"transaction": wanted.transaction}, BegunTransfer)
    made = Call("make-transfer", {"transaction": wanted.transaction, "backchain": wanted.backchain})
    offers: dict[str, Offer] = {}
    for session in wanted.sessions:
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
    return None


def receive_transaction(request: JsonObject) -> Steps[JsonValue]:
    """Take a transaction with all that it depends on, and verify it; answers its id."""
    session = read_request(request, ReceiveRequest).session
    try:
        answer = yield from receive_from(session, into=Call("take-transfer", {}))
        taken = msgspec.convert(answer, TakenTransfer)
        if taken.resolve:
            yield from resolve(session, taken.resolve)
        yield from call("finish-transfer", {"id": taken.id})
    except CapabilityError as refused:
        if is_mismatch(refused):
            yield from fail(session, refused)
        else:
            refusal = TransferRefused(code=refused.code, message=refused.message)
            yield from try_to_send(session, refusal)
        raise
    yield from send(session, TransferReceived())
    return {"id": taken.id}
