"""The handshake of a session: values of both roles, and the table of their transitions. Pure.

Each role is a state machine: `step(state, input) -> Step(state, commands)`. A state that is over
(`Established`, `Failed`) takes no input. No machine signs or looks anything up: it gives a command,
and the answer is its next input. Time, random numbers and the length of a session are inputs.

initiator: HelloSent -> Signing -> HandshakeSent -> Established, or Failed
responder: HelloAnswered -> Verifying -> Answering -> Established, or Failed

The four messages, what is signed in them and the order of all checks:
docs/reference/link-protocol.md. A peer learns of every failure the same: one code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from host.domain.ids import HoldingIdentity
from host.network.link.frames import Body, Frame, RefusalHint
from host.network.link.key_schedule import SessionKeys
from host.network.link.limits import VALID_MS_MAX
from host.network.link.protection import Mode
from host.network.values.numbers import Number

SIGNED_BY_INITIATOR = b" " * 64 + b"cordbox/v1/link/initiator\x00"
SIGNED_BY_RESPONDER = b" " * 64 + b"cordbox/v1/link/responder\x00"
"""Beginnings of all that session keys sign here. A flow's keys sign nothing that begins so."""
DIGEST_BYTES = 32
MESSAGE_BYTES_MIN = 10_000
"""The least maximum of messages that a side may demand."""
SOFTWARE_CHARACTERS_MAX = 100
CERTIFICATES_MAX = 10


class Failure(StrEnum):
    """Why a handshake ended, for the log of this side alone."""

    VERSION = "version"
    FORM = "form"
    KEY_SHARE = "key-share"
    TAG = "tag"
    OTHER_REALM_OR_KEY = "other-realm-or-key"
    OWN_KEY_UNKNOWN = "own-key-unknown"
    PEER_KEY_UNKNOWN = "peer-key-unknown"
    SIGNATURE = "signature"
    FINISHED = "finished"
    MODE = "mode"
    LOCATION_STALE = "stale-location"
    LOCATION_NEWER = "newer-location"
    CERTIFICATES = "certificates"
    SIZE = "size"
    CLIENT = "tls-client"
    REFUSED_BY_PEER = "refused-by-peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """A public session key: PEM, the spec of its signatures, SHA-256 of its DER encoding."""

    pem: str
    spec: str
    digest: bytes


CertificateCheck: TypeAlias = Callable[
    [tuple[bytes, ...] | None, HoldingIdentity, SessionKey], str | None
]
"""Why certificates (DER, the key's own first) do not prove that a key is an identity's."""


def no_certificates(
    certificates: tuple[bytes, ...] | None, identity: HoldingIdentity, key: SessionKey
) -> str | None:
    """The check of a network without session certificates (`sessionPki` NoPKI)."""
    del identity, key
    return None if certificates is None else "the network has no session certificates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """This side, as it presents itself.

    Attributes:
        realm: SHA-256 of the group's id and its MGM's key.
        mode: that the network's policy demands; no other is agreed on.
        max_message: bytes of the largest payload that it takes.
        list_version, head_hash: of its member list.
    """

    identity: HoldingIdentity
    realm: bytes
    key: SessionKey
    mode: Mode
    certificates: tuple[bytes, ...] | None = None
    certificate_check: CertificateCheck = no_certificates
    max_message: int = 1024 * 1024
    list_version: int = 0
    head_hash: bytes = b""
    location_epoch: int = 0
    software: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other side, as this side's member list has it."""

    identity: HoldingIdentity
    keys: tuple[SessionKey, ...]
    location_epoch: int = 0
    is_mgm: bool = False

    def key(self, digest: bytes) -> SessionKey | None:
        """The key with this digest."""
        return next((key for key in self.keys if key.digest == digest), None)


class InitiatorHello(Body, frozen=True, kw_only=True):
    versions: tuple[int, ...]
    suites: tuple[int, ...]
    modes: tuple[str, ...]
    share: bytes
    random: bytes
    realm: bytes
    key: bytes


class ResponderHello(Body, frozen=True, kw_only=True):
    version: int
    suite: int
    share: bytes
    random: bytes


class InitiatorStatement(Body, frozen=True, kw_only=True):
    """What the initiator signs about itself."""

    key: bytes
    peer_key: bytes
    realm: bytes
    modes: tuple[str, ...]
    max_message: Number
    list_version: Number
    head_hash: bytes
    location_epoch: Number
    software: str
    certificates: tuple[bytes, ...] | None


class ResponderStatement(Body, frozen=True, kw_only=True):
    """What the responder signs about itself."""

    key: bytes
    peer_key: bytes
    realm: bytes
    mode: str
    max_message: Number
    list_version: Number
    head_hash: bytes
    location_epoch: Number
    software: str
    certificates: tuple[bytes, ...] | None
    valid_ms: Number


class Proof(Body, frozen=True, kw_only=True):
    """Content of both handshake messages; `statement` is an encoded statement."""

    statement: bytes
    signature: bytes
    fin: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What both sides agree on."""

    keys: SessionKeys
    suite: int
    mode: Mode
    own: HoldingIdentity
    peer: HoldingIdentity
    own_key: bytes
    peer_key: bytes
    realm: bytes
    max_message: int
    peer_list_version: int
    peer_head_hash: bytes
    peer_location_epoch: int
    peer_software: str = ""
    valid_ms: int


@dataclass(frozen=True, slots=True)
class Established:
    agreed: Agreed


@dataclass(frozen=True, slots=True)
class Failed:
    failure: Failure
    detail: str = ""

    @property
    def refusal(self) -> RefusalHint:
        """What the peer is told."""
        is_version = self.failure is Failure.VERSION
        return RefusalHint.VERSION if is_version else RefusalHint.REFUSED


@dataclass(frozen=True, slots=True)
class Received:
    """Input: a frame of the other side."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Signed:
    """Input: the signature that was asked for."""

    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Input: what the lists have for the keys that were looked up; None: no such identity.

    `valid_ms` is the length of the session if there is one.
    """

    own: Own | None
    peer: Peer | None
    valid_ms: int = VALID_MS_MAX


Input: TypeAlias = Received | Signed | Found


@dataclass(frozen=True, slots=True)
class Send:
    """Command: send a frame."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class NeedSignature:
    """Command: sign with a session key of this side."""

    identity: HoldingIdentity
    key: SessionKey
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedPeer:
    """Command: look up this side by its key, and the peer in this side's list by its key."""

    realm: bytes
    own_key: bytes
    peer_key: bytes


Command: TypeAlias = Send | NeedSignature | NeedPeer


class HandshakeError(Exception):
    """A check failed; becomes the state `Failed`."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(failure, detail)
        self.failed = Failed(failure, detail)


def require(condition: object, failure: Failure, detail: str = "") -> None:
    """Raise `HandshakeError` unless the condition holds."""
    if not condition:
        raise HandshakeError(failure, detail)


def check_peer(
    own: Own, peer: Peer, key: SessionKey, epoch: int, certificates: tuple[bytes, ...] | None
) -> None:
    """The checks that both sides make of the other one's location and certificates, in order.

    Raises:
        HandshakeError: one fails.
    """
    require(epoch >= peer.location_epoch, Failure.LOCATION_STALE)
    require(epoch == peer.location_epoch or peer.is_mgm, Failure.LOCATION_NEWER)
    refused = own.certificate_check(certificates, peer.identity, key)
    require(refused is None, Failure.CERTIFICATES, refused or "")


def check_statement(statement: InitiatorStatement | ResponderStatement) -> None:
    """Check the form of what a peer says about itself.

    Raises:
        HandshakeError: it is malformed.
    """
    digests = (statement.key, statement.peer_key, statement.realm)
    require(all(len(digest) == DIGEST_BYTES for digest in digests), Failure.FORM)
    require(len(statement.head_hash) in {0, DIGEST_BYTES}, Failure.FORM)
    require(len(statement.software) <= SOFTWARE_CHARACTERS_MAX, Failure.FORM)
    require(len(statement.certificates or ()) <= CERTIFICATES_MAX, Failure.FORM)


def agreed_size(own: Own, theirs: int) -> int:
    """The smaller of both maxima of a message.

    Raises:
        HandshakeError: the peer's is too small to be useful.
    """
    require(theirs >= MESSAGE_BYTES_MIN, Failure.SIZE)
    return min(own.max_message, theirs)
