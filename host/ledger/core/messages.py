"""Messages of the platform's protocols, as they travel on the sessions of flows.

    {"cordbox": <protocol>, "v": 1, "kind": .., ..}

Each is read once: another kind than is due, an unknown field or a value beyond its limit is
`protocol-mismatch`. Transactions, filtered transactions and signatures are objects here; what
stores them reads their fields.
"""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from host.domain.json import JsonObject

if TYPE_CHECKING:
    Content: TypeAlias = JsonObject
else:
    # msgspec has no recursive types. What a payload holds is JSON already.
    Content = dict[str, object]

CONSENSUAL = "consensual"
"""The name of the consensual ledger in requests of `receive-finality`."""
VERSION = 1
"""The highest version of the protocols that this release speaks."""
SIGNATURES_MAX = 200
SESSIONS_MAX = 100
"""Counterparties of one call."""
BATCH_MAX = 10
"""Transactions of a backchain in one message."""
PAYLOAD_BYTES_MAX = 8 * 1024 * 1024
_DEPENDENCIES_MAX = 2000
_CPKS_MAX = 100

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Message: TypeAlias = Annotated[str, Meta(max_length=16 * 1024)]
Id: TypeAlias = Annotated[str, Meta(pattern=r"^SHA-256D:[0-9A-F]{64}$")]
Signatures: TypeAlias = Annotated[list[Content], Meta(max_length=SIGNATURES_MAX)]
FailedReason: TypeAlias = Literal["FATAL", "UNKNOWN", "REFUSED"]


class Dependency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is shown of a transaction that another one consumes or refers to states of."""

    filtered: Content
    signatures: Signatures


class _Finality(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    cordbox: Literal["finality"] = "finality"
    v: Literal[1] = 1


class _Chain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    cordbox: Literal["chain"] = "chain"
    v: Literal[1] = 1


class FinalityProposal(_Finality, frozen=True, kw_only=True, tag="proposal"):
    """`more`: signatures of other parties follow those of the receiver.

    Attributes:
        dependencies: None where the receiver asks for the backchain, or there is no notary.
        backchain: the receiver may ask for the transactions that this one depends on.
    """

    transaction: Content
    more: bool
    dependencies: Annotated[list[Dependency], Meta(max_length=_DEPENDENCIES_MAX)] | None
    backchain: bool


class FinalitySignatures(_Finality, frozen=True, kw_only=True, tag="signatures"):
    """The receiver agrees. `verifications`: digests of its contract runs (`core.digests`)."""

    signatures: Signatures
    verifications: Annotated[list[Content], Meta(max_length=_CPKS_MAX)]


class FinalityRefused(_Finality, frozen=True, kw_only=True, tag="refused"):
    """The receiver does not sign; `invalid`: it has judged the transaction."""

    code: Text
    message: Message
    invalid: bool


class FinalityUnknownVersion(_Finality, frozen=True, kw_only=True, tag="unknown-version"):
    """The receiver does not know the version of the proposal."""

    highest: int


class FinalityMore(_Finality, frozen=True, kw_only=True, tag="more"):
    """Signatures that the receiver has not seen."""

    signatures: Signatures


class FinalityNotarised(_Finality, frozen=True, kw_only=True, tag="notarised"):
    """The transaction is final; no signatures where it names no notary."""

    signatures: Signatures


class FinalityFailed(_Finality, frozen=True, kw_only=True, tag="failed"):
    """The initiator gives up. Only its notary can tell whether the transaction is final."""

    reason: FailedReason
    code: Text
    message: Message


class ChainGet(_Chain, frozen=True, kw_only=True, tag="get"):
    """Asks for transactions; at least the first of them is answered.

    `ahead`: so many more are taken, each a dependency of one before it, as in a chain without
    branches there is always one id that can be asked for.
    """

    ids: Annotated[list[Id], Meta(min_length=1, max_length=BATCH_MAX)]
    ahead: Annotated[int, Meta(ge=0, le=BATCH_MAX)] = 0


class ChainGetParameters(_Chain, frozen=True, kw_only=True, tag="get-parameters"):
    """Asks for the group parameters that a transaction of the chain names."""

    hash: Text


class ChainStop(_Chain, frozen=True, kw_only=True, tag="stop"):
    """Nothing more of the chain is asked for."""


class ChainTransactions(_Chain, frozen=True, kw_only=True, tag="transactions"):
    """A prefix of the transactions asked for, and if it is whole what is taken ahead.

    Empty if the server does not have the first.
    """

    transactions: Annotated[list[Content], Meta(max_length=2 * BATCH_MAX)]


class ChainParameters(_Chain, frozen=True, kw_only=True, tag="parameters"):
    """Signed group parameters; bytes are base64."""

    parameters: Annotated[str, Meta(max_length=PAYLOAD_BYTES_MAX)]
    signature: Annotated[str, Meta(max_length=16 * 1024)]
    key: Annotated[str, Meta(max_length=16 * 1024)]
    spec: Annotated[str, Meta(max_length=256)]


class _Transfer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    cordbox: Literal["transfer"] = "transfer"
    v: Literal[1] = 1


class TransferTransaction(_Transfer, frozen=True, kw_only=True, tag="transaction"):
    """A transaction; `dependencies` are None where the receiver asks for the backchain."""

    transaction: Content
    backchain: bool
    dependencies: Annotated[list[Dependency], Meta(max_length=_DEPENDENCIES_MAX)] | None


class TransferLedgerTransaction(_Transfer, frozen=True, kw_only=True, tag="ledger-transaction"):
    """A transaction to be seen with its states, not to be stored; else as `TransferTransaction`."""

    transaction: Content
    backchain: bool
    dependencies: Annotated[list[Dependency], Meta(max_length=_DEPENDENCIES_MAX)] | None


class TransferReceived(_Transfer, frozen=True, kw_only=True, tag="received"):
    """The receiver has verified the transaction, and stored it if it was sent for that."""


class TransferRefused(_Transfer, frozen=True, kw_only=True, tag="refused"):
    """The receiver does not take the transaction."""

    code: Text
    message: Message


class _Builder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    cordbox: Literal["builder"] = "builder"
    v: Literal[1] = 1


class BuilderOffered(_Builder, frozen=True, kw_only=True, tag="builder"):
    """A builder that the receiver may add to."""

    builder: Content


class BuilderProposed(_Builder, frozen=True, kw_only=True, tag="proposed"):
    """What was added to a builder that was offered, as a builder.

    Attributes:
        filtered: shows the added inputs and references; None where the receiver resolves their
            backchain.
    """

    builder: Content
    filtered: Annotated[list[Dependency], Meta(max_length=_DEPENDENCIES_MAX)] | None


class _Repair(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    cordbox: Literal["repair"] = "repair"
    v: Literal[1] = 1


class RepairAsk(_Repair, frozen=True, kw_only=True, tag="ask"):
    """Asks a party of a finality for the signatures that it has."""

    id: Id


class RepairAnswer(_Repair, frozen=True, kw_only=True, tag="answer"):
    """Signatures of signatories; None if the asker is no party of that finality."""

    signatures: Signatures | None


Reply: TypeAlias = (
    FinalitySignatures
    | FinalityRefused
    | FinalityUnknownVersion
    | ChainGet
    | ChainGetParameters
    | ChainStop
)
"""What the receiver of a proposal may send."""
TransferOffered: TypeAlias = TransferTransaction | TransferLedgerTransaction
"""What the sender of a transaction sends first."""
TransferReply: TypeAlias = (
    TransferReceived | TransferRefused | ChainGet | ChainGetParameters | ChainStop
)
"""What the receiver of a transferred transaction may send."""
ChainQuestion: TypeAlias = ChainGet | ChainGetParameters | ChainStop
"""What the resolver of a backchain sends."""


def message_json(message: Struct) -> JsonObject:
    """The payload of a message."""
    payload: JsonObject = msgspec.to_builtins(message)
    return payload
