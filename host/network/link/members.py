"""What links ask of membership and of the key store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.network.link.handshake import (
    CertificateCheck,
    Own,
    Peer,
    SessionKey,
    no_certificates,
)
from host.network.link.protection import Mode
from host.network.values.p2p_out import Filter
from host.ports.keys import KeyCategory


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIdentity:
    """An identity of this cluster.

    Attributes:
        realm: of its network, 32 bytes.
        keys: its session keys, the preferred one first.
        mode: that the network's policy demands.
        tls_tenant: tenant of its TLS certificate.
        tls_alias: alias of its client certificate; None for one-way TLS.
        tls_roots: trust roots of the network's TLS, as DER.
        certificates: of the preferred key, if the network has session certificates.
        certificate_check: of peers' certificates.
        location_epoch: that it says it is at.
        is_mgm: whether it manages the network's members.
    """

    holding: HoldingIdentity
    realm: bytes
    keys: tuple[SessionKey, ...]
    mode: Mode
    tls_tenant: str
    tls_alias: str | None = None
    tls_roots: tuple[bytes, ...] = ()
    certificates: tuple[bytes, ...] | None = None
    certificate_check: CertificateCheck = no_certificates
    location_epoch: int = 0
    is_mgm: bool = False

    def own(
        self, key: SessionKey, version: tuple[int, bytes], *, software: str, max_message: int
    ) -> Own:
        """The identity as a side of a handshake, by one of its keys."""
        return Own(
            identity=self.holding,
            realm=self.realm,
            key=key,
            mode=self.mode,
            certificates=self.certificates,
            certificate_check=self.certificate_check,
            list_version=version[0],
            head_hash=version[1],
            location_epoch=self.location_epoch,
            software=software,
            max_message=max_message,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPeer:
    """A member as another one sees it; `urls` are its endpoints, the first one preferred."""

    holding: HoldingIdentity
    status: MemberStatus
    keys: tuple[SessionKey, ...]
    urls: tuple[str, ...]
    location_epoch: int = 0
    is_mgm: bool = False

    def peer(self) -> Peer:
        """The member as a side of a handshake."""
        return Peer(
            identity=self.holding,
            keys=self.keys,
            location_epoch=self.location_epoch,
            is_mgm=self.is_mgm,
        )


class LinkMembers(Protocol):
    """Identities of this cluster, and members as these see them. Thread-safe, and fast."""

    def is_dynamic(self, holding: HoldingIdentity) -> bool:
        """Whether an identity has a node here that belongs to a dynamic network."""
        ...

    def identity(self, holding: HoldingIdentity) -> LinkIdentity | None:
        """An identity that has a node here and is set up for the network."""
        ...

    def local(self, realm: bytes, session_key_digest: bytes) -> LinkIdentity | None:
        """The identity here that has this session key in this network."""
        ...

    def mgm(self, realm: bytes) -> LinkIdentity | None:
        """The network's MGM, if it is here."""
        ...

    def peer(self, viewer: HoldingIdentity, name: MemberX500Name) -> LinkPeer | None:
        """The member with a name, as `viewer` sees it; the MGM always, on an MGM PENDING ones."""
        ...

    def peer_of_key(self, viewer: HoldingIdentity, session_key_digest: bytes) -> LinkPeer | None:
        """The member with a session key, as `viewer` sees it."""
        ...

    def list_version(self, viewer: HoldingIdentity) -> tuple[int, bytes]:
        """Version and head hash of the viewer's member list."""
        ...

    def admits_client(self, realm: bytes, chain: tuple[bytes, ...]) -> bool:
        """Whether a TLS client may carry frames of a network.

        Always with one-way TLS. Else its chain must lead to a trust root of this network (another
        network's roots have let it connect), and its subject be one that the network allows.

        Args:
            realm: of the network.
            chain: certificates that the client presented, as DER, its own first; may be empty.
        """
        ...

    def behind(self, viewer: HoldingIdentity, version: int, head_hash: bytes) -> None:
        """A peer told a newer version than the viewer's, or another head of the same one.

        Must not block. It may be told often.
        """
        ...


class LinkKeys(Protocol):
    """The part of the key store that links use (`host.ports.keys.KeyStore`)."""

    def sign(
        self,
        tenant: str,
        public_key: str,
        data: bytes,
        spec: str,
        categories: Sequence[KeyCategory] | None = None,
    ) -> bytes: ...

    def seal(self, tenant: str, data: bytes, bound_to: str) -> bytes: ...

    def open(self, tenant: str, sealed: bytes, bound_to: str) -> bytes: ...


def admits(status: MemberStatus, wanted: Filter) -> bool:
    """Whether a message may go to a member of this status."""
    match wanted:
        case Filter.ACTIVE:
            return status is MemberStatus.ACTIVE
        case Filter.PENDING:
            return status is MemberStatus.PENDING
        case Filter.ACTIVE_OR_SUSPENDED:
            return status is not MemberStatus.PENDING
        case Filter.ACTIVE_IF_PRESENT_OR_PENDING:
            return status is not MemberStatus.SUSPENDED
        case Filter.ACTIVE_OR_SUSPENDED_IF_PRESENT_OR_PENDING:
            return True
