"""`receive-finality`, then `accept-finality` or `refuse-finality`: a counterparty's side of it.

Between the two the flow's own code decides whether it wants the transaction.
Source: corda-runtime-os `UtxoReceiveFinalityFlowV1.kt`. Difference: what the initiator says of a
failure is not taken as the notary's word.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from host.domain.capability_error import CapabilityError
from host.domain.flow import specific_code
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import Finished, Signed, TakenProposal
from host.ledger.core.message_reading import read_more, read_notarised
from host.ledger.core.messages import (
    CONSENSUAL,
    VERSION,
    Content,
    FinalityFailed,
    FinalityMore,
    FinalityNotarised,
    FinalityRefused,
    FinalitySignatures,
    FinalityUnknownVersion,
    Id,
    Message,
    Text,
)
from host.ledger.protocols.backchain import resolve
from host.ledger.protocols.repair import AT_ONCE_MS, forget, remember
from host.ledger.protocols.steps import (
    Steps,
    ask,
    call,
    counterparties,
    expect,
    fail,
    is_mismatch,
    read_request,
    receive_from,
    send,
    try_to_send,
)
from host.ports.programs import Call

_JUDGED = frozenset({"contract-verification-failed", "transaction-invalid"})
"""Refusals that the identifier of the transaction commits to."""


class ReceiveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session: Text
    ledger: Literal["utxo", "consensual"] = "utxo"


class Proposal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The proposal that a flow has received, as it hands it back."""

    id: Id
    more: bool
    v: int


class AcceptRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session: Text
    proposal: Proposal


class RefuseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session: Text
    proposal: Proposal
    message: Message
    invalid: bool
    code: Text | None = None


def receive_finality(request: JsonObject) -> Steps[JsonValue]:
    """Take a proposed transaction, resolve what it depends on, and examine it.

    Raises:
        CapabilityError: why it is refused; the counterparty is told.
    """
    wanted = read_request(request, ReceiveRequest)
    session = wanted.session
    # Golden sub-journals of the UTXO ledger have no field for it.
    of: JsonObject = {"ledger": CONSENSUAL} if wanted.ledger == CONSENSUAL else {}
    try:
        answer = yield from receive_from(session, into=Call("take-proposal", of))
        taken = msgspec.convert(answer, TakenProposal)
        if taken.repair_ms is not None:
            # Who proposes it may make it final without this node, whose flow may end before.
            yield from remember(taken.id, taken.repair_ms)
        if taken.resolve:
            yield from resolve(session, taken.resolve)
        transaction = yield from call("examine", {"id": taken.id})
    except CapabilityError as refused:
        yield from _tell(session, refused)
        raise
    proposal: JsonObject = {"id": taken.id, "more": taken.more, "v": taken.version}
    return {"proposal": proposal, "transaction": transaction}


def accept_finality(request: JsonObject) -> Steps[JsonValue]:
    """Sign a proposed transaction, and record it when it is final.

    Raises:
        CapabilityError: `proposal-unknown`; `finality-failed`, the counterparty has given up; as
            the session. Whether the transaction is final is then asked of its notary.
    """
    wanted = read_request(request, AcceptRequest)
    session, proposal = wanted.session, wanted.proposal
    party = yield from _party(session)
    signed = yield from _sign(session, proposal.id, party)
    if signed.notary:
        yield from remember(proposal.id, signed.repair_ms)
    try:
        signatures, finished = yield from _agree(session, proposal, party, signed)
    except CapabilityError:
        if signed.notary:
            yield from remember(proposal.id, AT_ONCE_MS)
        raise
    if signed.notary:
        yield from forget(proposal.id)
    visible: list[JsonValue] = [*finished.visible]
    return {"id": proposal.id, "signatures": signatures, "visible": visible}


def refuse_finality(request: JsonObject) -> Steps[JsonValue]:
    """Tell the counterparty that its transaction is not wanted."""
    wanted = read_request(request, RefuseRequest)
    party = yield from _party(wanted.session)
    yield from call("refuse", {"id": wanted.proposal.id, "party": party, "invalid": wanted.invalid})
    if wanted.invalid:
        yield from forget(wanted.proposal.id)
    refused = FinalityRefused(
        code=specific_code(wanted.code) or "finality-refused",
        message=wanted.message,
        invalid=wanted.invalid,
    )
    yield from send(wanted.session, refused)
    return None


def _party(session: str) -> Steps[str]:
    (party,) = yield from counterparties((session,))
    return party


def _agree(
    session: str, proposal: Proposal, party: str, signed: Signed
) -> Steps[tuple[list[JsonValue], Finished]]:
    """Send this node's signatures, and take those of the others and of the notary."""
    own = FinalitySignatures(signatures=signed.signatures, verifications=signed.verifications)
    yield from send(session, own)
    others: list[Content] = []
    if proposal.more:
        others = _signatures((yield from expect(session, read_more)))
    yield from _add(session, proposal.id, party, others)
    final = _signatures((yield from expect(session, read_notarised)))
    finished = yield from _finish(session, proposal.id, final)
    return [*signed.signatures, *others, *final], finished


def _sign(session: str, transaction: str, party: str) -> Steps[Signed]:
    request: JsonObject = {"id": transaction, "party": party}
    try:
        return (yield from ask("sign", request, Signed, audited="ledger.sign"))
    except CapabilityError as refused:
        yield from fail(session, refused)
        raise


def _signatures(message: FinalityMore | FinalityNotarised | FinalityFailed) -> list[Content]:
    """The signatures of a message.

    Raises:
        CapabilityError: `finality-failed`.
    """
    if isinstance(message, FinalityFailed):
        raise CapabilityError(
            "finality-failed",
            f"the counterparty has given up ({message.reason}, {message.code}): {message.message}",
        )
    return message.signatures


def _add(session: str, transaction: str, party: str, signatures: list[Content]) -> Steps[None]:
    reply: JsonValue = {"party": party, "signatures": signatures, "verifications": []}
    try:
        yield from call("add-signatures", {"id": transaction, "replies": [reply]})
    except CapabilityError as refused:
        yield from fail(session, refused)
        raise


def _finish(session: str, transaction: str, signatures: list[Content]) -> Steps[Finished]:
    try:
        request: JsonObject = {"id": transaction, "signatures": signatures}
        return (yield from ask("finish", request, Finished))
    except CapabilityError as refused:
        yield from fail(session, refused)
        raise


def _tell(session: str, refused: CapabilityError) -> Steps[None]:
    """Tell the counterparty why its proposal is refused, if it can still be told."""
    if is_mismatch(refused):
        yield from fail(session, refused)
    elif refused.code == "protocol-version-unknown":
        yield from try_to_send(session, FinalityUnknownVersion(highest=VERSION))
    else:
        invalid = refused.code in _JUDGED
        message = FinalityRefused(code=refused.code, message=refused.message, invalid=invalid)
        yield from try_to_send(session, message)
