"""Two parties make one transaction: a builder goes to the other one, who adds to it.

The initiator calls `exchange-builder`; its counterparty `receive-builder`, then `send-builder`.
What the added inputs and references name is resolved before the merged builder is answered.
Source: corda-runtime-os `ledger-utxo-flow/flows/transactionbuilder`.
"""

import msgspec
from msgspec import Struct

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import CheckedBuilder, OfferedProposal, TakenBuilder
from host.ledger.core.message_reading import read_chain_question
from host.ledger.core.messages import BuilderOffered, ChainQuestion, ChainStop, Content, Text
from host.ledger.protocols.backchain import Offer, resolve, serve
from host.ledger.protocols.steps import (
    Steps,
    ask,
    counterparties,
    expect,
    fail,
    read_request,
    receive_from,
    send,
    send_made,
)
from host.ports.programs import Call


class ExchangeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    builder: Content
    session: Text


class ReceiveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session: Text


class SendRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    received: Content
    builder: Content
    session: Text


def exchange_builder(request: JsonObject) -> Steps[JsonValue]:
    """Send a builder, and answer it with what the counterparty adds.

    Raises:
        CapabilityError: `protocol-mismatch`, `dependencies-mismatch`, as `backchain.resolve`, or as
            the session, which fails with whatever is refused.
    """
    wanted = read_request(request, ExchangeRequest)
    parties: list[JsonValue] = [*(yield from counterparties((wanted.session,)))]
    asked: JsonObject = {"builder": wanted.builder, "parties": parties}
    checked = yield from ask("check-builder", asked, CheckedBuilder)
    yield from send(wanted.session, BuilderOffered(builder=checked.builder))
    try:
        into = Call("take-proposed", {"builder": checked.builder})
        taken = msgspec.convert((yield from receive_from(wanted.session, into=into)), TakenBuilder)
        if taken.resolve:
            yield from resolve(wanted.session, taken.resolve)
    except CapabilityError as refused:
        yield from fail(wanted.session, refused)
        raise
    return taken.builder


def receive_builder(request: JsonObject) -> Steps[JsonValue]:
    """Answer the builder that the counterparty sends.

    Raises:
        CapabilityError: `protocol-mismatch`, or as the session.
    """
    session = read_request(request, ReceiveRequest).session
    try:
        answer = yield from receive_from(session, into=Call("take-builder", {}))
    except CapabilityError as refused:
        yield from fail(session, refused)
        raise
    return msgspec.convert(answer, CheckedBuilder).builder


def send_builder(request: JsonObject) -> Steps[JsonValue]:
    """Send what was added to a received builder; ends when the counterparty needs no more of it.

    Raises:
        CapabilityError: `builder-not-received`, `state-not-found`, `request-invalid`; as the
            session.
    """
    wanted = read_request(request, SendRequest)
    made = Call("make-proposed", {"received": wanted.received, "builder": wanted.builder})
    offered = yield from send_made(wanted.session, made, OfferedProposal)
    if not offered.backchain:
        return None
    offer = Offer()
    offer.add(offered.backchain)
    question: ChainQuestion = yield from expect(wanted.session, read_chain_question)
    while not isinstance(question, ChainStop):
        yield from serve(wanted.session, question, offer)
        question = yield from expect(wanted.session, read_chain_question)
    return None
