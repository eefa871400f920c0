"""Messages of the ledger's protocols, read from what a counterparty has sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonValue
from host.ledger.core.messages import (
    PAYLOAD_BYTES_MAX,
    VERSION,
    BuilderOffered,
    BuilderProposed,
    ChainParameters,
    ChainQuestion,
    ChainTransactions,
    FinalityFailed,
    FinalityMore,
    FinalityNotarised,
    FinalityProposal,
    RepairAnswer,
    RepairAsk,
    Reply,
    TransferLedgerTransaction,
    TransferReply,
    TransferTransaction,
)

_SMALL_BYTES_MAX = 1024 * 1024
_ASKED_BYTES_MAX = 4 * 1024
_BYTES_MAX: Mapping[str, int] = {
    "transaction": PAYLOAD_BYTES_MAX,
    "ledger-transaction": PAYLOAD_BYTES_MAX,
    "proposal": PAYLOAD_BYTES_MAX,
    "transactions": PAYLOAD_BYTES_MAX,
    "parameters": PAYLOAD_BYTES_MAX,
    "builder": PAYLOAD_BYTES_MAX,
    "proposed": PAYLOAD_BYTES_MAX,
    "get": _ASKED_BYTES_MAX,
    "get-parameters": _ASKED_BYTES_MAX,
    "stop": _ASKED_BYTES_MAX,
}
"""Largest messages by kind; all others have at most 1 MiB."""


class ProtocolMismatchError(CapabilityError):
    """The counterparty sent another message than is due."""

    def __init__(self, message: str) -> None:
        super().__init__("protocol-mismatch", message)


class ProtocolVersionError(CapabilityError):
    """A party speaks a version of the protocol that the other one does not know."""

    def __init__(self, found: int, highest: int) -> None:
        super().__init__(
            "protocol-version-unknown",
            f"the counterparty speaks version {found} of the protocol, this release {highest}",
        )


def read_proposal(payload: JsonValue) -> FinalityProposal:
    """Read an initiator's first message.

    Raises:
        ProtocolVersionError: it is of another version.
        ProtocolMismatchError: it is something else, or larger than its kind may be. So all others.
    """
    with _reading(payload):
        return msgspec.convert(payload, FinalityProposal)


def read_reply(payload: JsonValue) -> Reply:
    """Read what the receiver of a proposal sends."""
    with _reading(payload):
        reply: Reply = msgspec.convert(payload, Reply)
    return reply


def read_more(payload: JsonValue) -> FinalityMore | FinalityFailed:
    """Read an initiator's second message, if there are several counterparties."""
    with _reading(payload):
        message: FinalityMore | FinalityFailed
        message = msgspec.convert(payload, FinalityMore | FinalityFailed)
    return message


def read_notarised(payload: JsonValue) -> FinalityNotarised | FinalityFailed:
    """Read an initiator's last message."""
    with _reading(payload):
        message: FinalityNotarised | FinalityFailed
        message = msgspec.convert(payload, FinalityNotarised | FinalityFailed)
    return message


def read_transactions(payload: JsonValue) -> ChainTransactions | FinalityFailed:
    """Read the answer to `ChainGet`, or that the initiator has given up meanwhile."""
    with _reading(payload):
        message: ChainTransactions | FinalityFailed
        message = msgspec.convert(payload, ChainTransactions | FinalityFailed)
    return message


def read_parameters(payload: JsonValue) -> ChainParameters | FinalityFailed:
    """Read the answer to `ChainGetParameters`, or that the initiator has given up meanwhile."""
    with _reading(payload):
        message: ChainParameters | FinalityFailed
        message = msgspec.convert(payload, ChainParameters | FinalityFailed)
    return message


def read_transfer(payload: JsonValue) -> TransferTransaction:
    """Read a transferred transaction."""
    with _reading(payload):
        return msgspec.convert(payload, TransferTransaction)


def read_ledger_transfer(payload: JsonValue) -> TransferLedgerTransaction:
    """Read a transaction that is to be seen only."""
    with _reading(payload):
        return msgspec.convert(payload, TransferLedgerTransaction)


def read_transfer_reply(payload: JsonValue) -> TransferReply:
    """Read what the receiver of a transferred transaction sends."""
    with _reading(payload):
        reply: TransferReply = msgspec.convert(payload, TransferReply)
    return reply


def read_builder_offered(payload: JsonValue) -> BuilderOffered:
    """Read a builder that a counterparty offers."""
    with _reading(payload):
        return msgspec.convert(payload, BuilderOffered)


def read_builder_proposed(payload: JsonValue) -> BuilderProposed:
    """Read what a counterparty has added to a builder."""
    with _reading(payload):
        return msgspec.convert(payload, BuilderProposed)


def read_chain_question(payload: JsonValue) -> ChainQuestion:
    """Read what the resolver of a backchain asks for."""
    with _reading(payload):
        question: ChainQuestion = msgspec.convert(payload, ChainQuestion)
    return question


def read_repair_ask(payload: JsonValue) -> RepairAsk:
    """Read the question of a node that repairs a transaction."""
    with _reading(payload):
        return msgspec.convert(payload, RepairAsk)


def read_repair_answer(payload: JsonValue) -> RepairAnswer:
    """Read the answer to `RepairAsk`."""
    with _reading(payload):
        return msgspec.convert(payload, RepairAnswer)


@contextmanager
def _reading(payload: JsonValue) -> Iterator[None]:
    found = payload if isinstance(payload, Mapping) else {}
    version, kind = found.get("v"), found.get("kind")
    if "cordbox" in found and type(version) is int and version != VERSION:
        raise ProtocolVersionError(version, VERSION)
    if isinstance(kind, str):
        size, most = len(msgspec.json.encode(payload)), _BYTES_MAX.get(kind, _SMALL_BYTES_MAX)
        if size > most:
            raise ProtocolMismatchError(f"message {kind[:64]!r} has {size} bytes, at most {most}")
    try:
        yield
    except msgspec.ValidationError as exc:
        raise ProtocolMismatchError(f"the counterparty sent another message: {exc}") from exc
