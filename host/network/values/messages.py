"""Messages of membership: as they wait in `membership.in`, and what they contain. Pure."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from host.network.values.errors import MembershipMessageInvalidError
from host.network.values.head import SignedHead
from host.network.values.member import SignedMember
from host.network.values.numbers import Number, Serial
from host.network.values.signed import Purpose, hash_of_parts, signed_text

MEMBERSHIP_IN_TOPIC = "membership.in"
"""Work topic, key: the target's short hash, node: the target's. Consumer group `membership`."""
PART_BYTES_MAX = 512 * 1024
PACKAGE_ID_CHARACTERS_MAX = 64
_ID = r"\A[0-9A-Za-z._-]*\Z"
"""Ids are keys of rows: a character that a database does not store would stop all that follows."""
PackageId: TypeAlias = Annotated[str, Meta(max_length=PACKAGE_ID_CHARACTERS_MAX, pattern=_ID)]
RegistrationId: TypeAlias = Annotated[str, Meta(max_length=36, pattern=_ID)]
"""A UUID's text, which its column holds."""


class MembershipIn(Struct, frozen=True, kw_only=True, tag="arrived"):
    """A message that a link handed over.

    Attributes:
        group_id: of both.
        source: X.500 name that the link has proved; None for a registration, whose `payload` is
            encrypted to the MGM's key.
        target: X.500 name of a node here.
    """

    v: int = 1
    group_id: str
    source: str | None
    target: str
    message_id: str
    payload: bytes


class MembershipOutcome(Struct, frozen=True, kw_only=True, tag="outcome"):
    """What became of a message that a node here sent: `code` is None if it was delivered."""

    v: int = 1
    group_id: str
    source: str
    target: str
    message_id: str
    code: str | None


MembershipRecord: TypeAlias = MembershipIn | MembershipOutcome


class Register(Struct, frozen=True, kw_only=True, array_like=True, tag="register"):
    """A registration, encrypted to the MGM. Signed by the first session key of its context."""

    registration_id: RegistrationId
    member_context: bytes
    member_signature: bytes
    registration_context: bytes
    registration_signature: bytes


class VerificationRequest(Struct, frozen=True, kw_only=True, array_like=True, tag="verify"):
    """Asks a member for an answer over a session: it proves the session key and the endpoint."""

    registration_id: RegistrationId


class VerificationResponse(Struct, frozen=True, kw_only=True, array_like=True, tag="verified"):
    """The answer: whether the member has sent that registration."""

    registration_id: RegistrationId
    is_ours: bool


class StatusUpdate(Struct, frozen=True, kw_only=True, array_like=True, tag="status"):
    """The status of a registration; `reason` is for users."""

    registration_id: RegistrationId
    status: str
    reason: str | None


class PackagePart(Struct, frozen=True, kw_only=True, array_like=True, tag="part"):
    """Part of a package: `data` is a piece of its compressed bytes."""

    package_id: PackageId
    index: Number
    count: Number
    data: bytes


class SyncRequest(Struct, frozen=True, kw_only=True, array_like=True, tag="sync"):
    """Asks for what follows a version; 0 asks for everything."""

    version: Number
    head_hash: bytes


class SyncAck(Struct, frozen=True, kw_only=True, array_like=True, tag="ack"):
    """A member has applied a package.

    Attributes:
        version: of its list.
        head_hash: of its head.
        serial: of its own information, as it has it.
    """

    version: Number
    head_hash: bytes
    serial: Serial


MembershipMessage: TypeAlias = (
    Register
    | VerificationRequest
    | VerificationResponse
    | StatusUpdate
    | PackagePart
    | SyncRequest
    | SyncAck
)


class SignedParameters(Struct, frozen=True, kw_only=True, array_like=True):
    """Group parameters and the MGM's signature of them."""

    content: bytes
    signature: bytes
    at: Number


class Entry(Struct, frozen=True, kw_only=True, array_like=True):
    """A change of a list: at a version a member got the information with a digest."""

    version: Number
    name: str
    digest: bytes


class Package(Struct, frozen=True, kw_only=True, array_like=True):
    """What leads from one version of a list to another.

    Attributes:
        from_version: the version that the recipient has; 0 for none.
        heads: of every version after it, in order; of the last alone where it is 0.
        entries: changes of these versions; the newest of each member where it is 0.
        members: what the entries name.
        parameters: what the heads name and the recipient may lack.
        own: for a suspended member, its own information alone; then all else is empty.
    """

    from_version: Number
    heads: tuple[SignedHead, ...] = ()
    entries: tuple[Entry, ...] = ()
    members: tuple[SignedMember, ...] = ()
    parameters: tuple[SignedParameters, ...] = ()
    own: SignedMember | None = None


_record_encoder = msgspec.json.Encoder()
_record_decoder: msgspec.json.Decoder[MembershipRecord] = msgspec.json.Decoder(MembershipRecord)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[MembershipMessage] = msgspec.msgpack.Decoder(MembershipMessage)


def encode_record(record: MembershipRecord) -> bytes:
    return _record_encoder.encode(record)


def read_record(value: bytes) -> MembershipRecord:
    """Read a record of `membership.in`.

    Raises:
        MembershipMessageInvalidError: it is malformed.
    """
    try:
        return _record_decoder.decode(value)
    except (ValueError, RecursionError) as exc:
        raise MembershipMessageInvalidError(f"a record cannot be read: {exc}") from exc


def encode_message(message: MembershipMessage) -> bytes:
    return _encoder.encode(message)


def read_message(payload: bytes) -> MembershipMessage:
    """Read a message of membership.

    Raises:
        MembershipMessageInvalidError: it is malformed.
    """
    try:
        return _decoder.decode(payload)
    except (ValueError, RecursionError) as exc:
        raise MembershipMessageInvalidError(f"a message cannot be read: {exc}") from exc


def registration_text(realm: str, request: Register) -> bytes:
    """What a member signs of a registration: its id, the member context and the rest."""
    return signed_text(
        Purpose.REGISTRATION,
        realm,
        request.registration_id.encode(),
        hash_of_parts(request.member_context),
        request.registration_context,
    )
