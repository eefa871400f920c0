"""Certificates of peers: session certificates of members, and those of TLS clients."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import load_der, load_pem_certificates
from cpi.crypto.trust import validate_path
from cpi.errors import CpiError
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.network.hosted import TLS_USAGE, public_key_pem
from host.network.link.handshake import SessionKey
from host.network.revoked import Revoked, never_revoked
from host.ports.certificates import CertificateChains
from host.ports.clock import Clock
from host.ports.hosted import HostedIdentities
from host.ports.public_keys import PublicKeys


@dataclass(frozen=True, slots=True)
class SessionCertificates:
    """The check of peers' session certificates (`CertificateCheck`), by a network's trust roots."""

    roots: tuple[bytes, ...]
    public_keys: PublicKeys
    clock: Clock
    revoked: Revoked = never_revoked

    def __call__(
        self, certificates: tuple[bytes, ...] | None, identity: HoldingIdentity, key: SessionKey
    ) -> str | None:
        if not certificates:
            return "the network's sessionPki demands a session certificate"
        try:
            chain = trusted_chain(certificates, self.roots, self.clock, whose="session certificate")
            found = self.public_keys.canonical(public_key_pem(chain[0]))
        except (CpiError, ValueError) as refused:
            return str(refused)
        if found != self.public_keys.canonical(key.pem):
            return "the session certificate is that of another key"
        if subject_of(chain[0]) != identity.x500_name:
            return f"the session certificate is not that of {identity.x500_name}"
        return self.revoked(certificates, self.roots)


@dataclass(frozen=True, slots=True)
class TlsSubjects:
    """Subjects of the TLS certificates with which nodes here are set up for their networks."""

    hosted: HostedIdentities
    certificates: CertificateChains

    def __call__(self, short_hash: ShortHash) -> str | None:
        """The subject of a node's certificate as a member's name; None without a network setup.

        Raises:
            InvalidInputError: the certificate is gone, or its subject is no member's name.
        """
        setup = self.hosted.hosted(short_hash)
        if setup is None:
            return None
        source = f"certificate {setup.tls_alias!r}"
        try:
            pem = self.certificates.chain(TLS_USAGE, setup.tls_alias, tenant=setup.tls_tenant)
            leaf = load_pem_certificates(pem.encode(), source=source)[0]
        except (NotFoundError, CpiError) as exc:
            raise InvalidInputError(f"{source} of {short_hash}'s network setup: {exc}") from exc
        return str(MemberX500Name.parse(leaf.subject.rfc4514_string()))


def trusted_chain(
    certificates: Sequence[bytes], roots: Sequence[bytes], clock: Clock, *, whose: str
) -> Sequence[Certificate]:
    """A chain that leads to a trust root now.

    Args:
        certificates: DER, the leaf first.
        roots: DER.
        clock: gives the time at which the chain must be valid.
        whose: for messages.

    Raises:
        CpiError: it does not lead to one, or is not valid now.
        ValueError: a certificate cannot be read.
    """
    chain = [load_der(each) for each in certificates]
    anchors = [load_der(each) for each in roots]
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    validate_path(chain, anchors, at=now, whose=whose)
    return chain


def subject_of(leaf: Certificate) -> MemberX500Name | None:
    """The subject as a member's name; None if it is none."""
    try:
        return MemberX500Name.parse(leaf.subject.rfc4514_string())
    except InvalidX500NameError:
        return None
