"""`finalize`: a transaction is signed by all parties, notarised, and recorded by each of them.

Source: corda-runtime-os `UtxoFinalityFlowV1.kt`. Differences: all counterparties are served at once
while they resolve backchains; that a final transaction cannot be delivered is no failure; a
counterparty's refusal leaves the last word to the notary.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta, Struct

from host.domain.capability_error import CapabilityError
from host.domain.flow import specific_code
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import BegunFinality, Finished, OfferedProposal
from host.ledger.core.message_reading import ProtocolVersionError, read_reply
from host.ledger.core.messages import (
    SESSIONS_MAX,
    VERSION,
    ChainGet,
    ChainGetParameters,
    ChainStop,
    Content,
    FailedReason,
    FinalityFailed,
    FinalityMore,
    FinalityNotarised,
    FinalityRefused,
    FinalitySignatures,
    FinalityUnknownVersion,
    Reply,
    Text,
)
from host.ledger.core.notary_errors import FATAL_CODES
from host.ledger.protocols.backchain import Offer, serve
from host.ledger.protocols.notary_client import notarise
from host.ledger.protocols.repair import forget, remember, remember_after
from host.ledger.protocols.steps import (
    Got,
    Steps,
    ask,
    call,
    counterparties,
    fail,
    read_request,
    receive,
    send,
    send_made,
    try_to_send,
)
from host.ports.programs import Call


class FinalizeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    transaction: Content
    sessions: Annotated[list[Text], Meta(max_length=SESSIONS_MAX)]


@dataclass(slots=True)
class _Peer:
    """A counterparty: what it may ask for, and what it has answered."""

    session: str
    name: str
    offer: Offer = field(default_factory=Offer)
    reply: FinalitySignatures | None = None
    is_over: bool = False

    def signatures(self) -> list[Content]:
        return [] if self.reply is None else self.reply.signatures


class _GivenUpError(Exception):
    """Finality ends; `reason` is for the counterparties, `error` for the flow."""

    def __init__(self, reason: FailedReason, error: CapabilityError) -> None:
        super().__init__()
        self.reason = reason
        self.error = error


def finalize(request: JsonObject) -> Steps[JsonValue]:
    """Make a transaction final that this node has signed.

    Answers the new signatures, the visible outputs, and the counterparties to which the notary's
    signature could not be delivered.

    Raises:
        CapabilityError: why it is not final, or not known to be.
    """
    wanted = read_request(request, FinalizeRequest)
    if len(set(wanted.sessions)) < len(wanted.sessions):
        raise CapabilityError("request-invalid", "field 'sessions' names a session twice")
    names = yield from counterparties(wanted.sessions)
    begun = yield from ask(
        "begin-finality", {"transaction": wanted.transaction, "parties": names}, BegunFinality
    )
    peers = {
        session: _Peer(session, name) for session, name in zip(wanted.sessions, names, strict=True)
    }
    if begun.until is not None:
        yield from remember(begun.id, begun.repair_ms)
    try:
        yield from _offer(begun, peers)
        yield from _collect(begun, peers)
        yield from _add_signatures(begun, peers)
        yield from _spread(peers)
        notarised = yield from _notarise(begun)
    except _GivenUpError as given_up:
        yield from _tell(peers, given_up)
        raise given_up.error from None
    except CapabilityError as refused:
        yield from _tell(peers, _GivenUpError("UNKNOWN", refused))
        raise
    finished = yield from _finish(begun, peers, notarised)
    if begun.until is not None:
        yield from forget(begun.id)
    undelivered = yield from _deliver(peers, notarised)
    return {
        "id": begun.id,
        "signatures": [
            *(each for peer in peers.values() for each in peer.signatures()),
            *notarised,
        ],
        "visible": list(finished.visible),
        "undelivered": undelivered,
    }


def _offer(begun: BegunFinality, peers: Mapping[str, _Peer]) -> Steps[None]:
    made = Call("make-proposal", {"id": begun.id, "more": len(peers) > 1})
    for peer in peers.values():
        offered = yield from send_made(peer.session, made, OfferedProposal)
        peer.offer.add(offered.backchain)


def _collect(begun: BegunFinality, peers: Mapping[str, _Peer]) -> Steps[None]:
    """Serve the counterparties' questions until each has agreed."""
    while pending := [peer.session for peer in peers.values() if peer.reply is None]:
        for got in (yield from receive(pending, any_of=True)):
            peer = peers[got.session]
            message = yield from _read(peer, got)
            match message:
                case FinalitySignatures():
                    peer.reply = message
                case FinalityRefused() | FinalityUnknownVersion():
                    peer.is_over = True
                    yield from _note_refusal(begun)
                    raise _refusal(begun.id, message)
                case ChainGet() | ChainGetParameters():
                    yield from serve(peer.session, message, peer.offer)
                case ChainStop():
                    peer.offer = Offer()


def _read(peer: _Peer, got: Got) -> Steps[Reply]:
    try:
        return read_reply(got.value())
    except CapabilityError as refused:
        peer.is_over = True
        yield from fail(peer.session, refused)
        raise


def _note_refusal(begun: BegunFinality) -> Steps[None]:
    """The transaction is not wanted; who has all signatures could have it notarised even so."""
    yield from call("refused", {"id": begun.id})
    if begun.until is not None:
        yield from remember_after(begun.id, begun.until, begun.repair_ms)


def _refusal(transaction: str, message: FinalityRefused | FinalityUnknownVersion) -> _GivenUpError:
    if isinstance(message, FinalityUnknownVersion):
        return _GivenUpError("REFUSED", ProtocolVersionError(VERSION, message.highest))
    return _GivenUpError(
        "REFUSED",
        CapabilityError(
            "finality-refused",
            f"Transaction validation failed for transaction {transaction} when signature was"
            f" requested. Message: {message.message}",
            reason_code=specific_code(message.code),
        ),
    )


def _add_signatures(begun: BegunFinality, peers: Mapping[str, _Peer]) -> Steps[None]:
    """Store what the counterparties have signed, if it is all that is missing."""
    replies: list[JsonValue] = [
        {
            "party": peer.name,
            "signatures": peer.reply.signatures,
            "verifications": peer.reply.verifications,
        }
        for peer in peers.values()
        if peer.reply is not None
    ]
    try:
        yield from call("add-signatures", {"id": begun.id, "replies": replies})
    except CapabilityError as refused:
        yield from _note_refusal(begun)
        raise _GivenUpError("REFUSED", refused) from refused


def _spread(peers: Mapping[str, _Peer]) -> Steps[None]:
    """Send to each of several counterparties what the others have signed."""
    if len(peers) < 2:  # one counterparty has seen everything
        return
    for peer in peers.values():
        own = {each["key"] for each in peer.signatures()}
        others = {str(each["key"]): each for other in peers.values() for each in other.signatures()}
        unseen = [each for key, each in others.items() if key not in own]
        yield from send(peer.session, FinalityMore(signatures=unseen))


def _notarise(begun: BegunFinality) -> Steps[list[Content]]:
    if not begun.notary:
        return []
    try:
        return (yield from notarise(begun.id, "WRITE"))
    except CapabilityError as refused:
        if refused.code not in FATAL_CODES:
            raise
        yield from call("refused", {"id": begun.id, "reason": "notary"})
        yield from forget(begun.id)
        raise _GivenUpError("FATAL", refused) from refused


def _finish(
    begun: BegunFinality, peers: Mapping[str, _Peer], notarised: list[Content]
) -> Steps[Finished]:
    """Record the transaction; if this node cannot, the others get what makes it final all the same.

    Raises:
        CapabilityError: it is not recorded here; a repair tries again.
    """
    request: JsonObject = {"id": begun.id, "signatures": notarised}
    try:
        return (yield from ask("finish", request, Finished))
    except CapabilityError as refused:
        if begun.notary:
            yield from _deliver(peers, notarised)
        else:
            yield from _tell(peers, _GivenUpError("UNKNOWN", refused))
        raise


def _tell(peers: Mapping[str, _Peer], given_up: _GivenUpError) -> Steps[None]:
    """Tell all counterparties that the initiator gives up.

    The session of one that has not answered yet ends: nobody would read its answer.
    """
    error = given_up.error
    message = FinalityFailed(reason=given_up.reason, code=error.code, message=error.message)
    for peer in peers.values():
        if peer.is_over:
            continue
        refused = yield from try_to_send(peer.session, message)
        if refused is None and peer.reply is None:
            yield from fail(peer.session, error)


def _deliver(peers: Mapping[str, _Peer], signatures: list[Content]) -> Steps[list[JsonValue]]:
    """Send the notary's signatures to all; answers to whom they could not be sent."""
    undelivered: list[JsonValue] = []
    for peer in peers.values():
        message = FinalityNotarised(signatures=signatures)
        refused = yield from try_to_send(peer.session, message)
        if refused is not None:
            undelivered.append({"counterparty": peer.name, "code": refused.code})
    return undelivered
