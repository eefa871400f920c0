"""Certificate chains as operators import them: parsing and the order rules.

Source: Corda's `CertificateRestResourceImpl`; the refusals are the same. As in Corda, validity
periods are not checked on import but when packages are verified.
"""

from enum import StrEnum
from itertools import islice, pairwise

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificate_signatures import is_signed_by
from cpi.crypto.certificates import load_der
from cpi.crypto.pem import PemBlock, pem_blocks
from host.domain.errors import InvalidInputError
from host.domain.ids import HoldingIdentity
from host.domain.x500 import InvalidX500NameError, MemberX500Name

ALIAS_LENGTH_MAX = 255
PEM_BYTES_MAX = 64 * 1024
CHAIN_LENGTH_MAX = 10

_LABEL = "CERTIFICATE"


class CertificateUsage(StrEnum):
    CODE_SIGNER = "code-signer"
    P2P_TLS = "p2p-tls"
    P2P_SESSION = "p2p-session"
    REST_TLS = "rest-tls"


class CertificateRefusedError(InvalidInputError):
    """Alias, usage or chain of an imported certificate is wrong."""

    code = "certificate-refused"


def parse_usage(text: str) -> CertificateUsage:
    try:
        return CertificateUsage(text)
    except ValueError:
        raise CertificateRefusedError(
            f"Unknown usage {text!r}, expected one of {', '.join(CertificateUsage)}"
        ) from None


def check_owner(usage: CertificateUsage, leaf: Certificate, owner: HoldingIdentity | None) -> None:
    """Check that a virtual node, or the cluster, may have a certificate of the usage.

    Raises:
        CertificateRefusedError: code is signed and REST is served for the whole cluster, sessions
            are those of virtual nodes, and their certificates name the member.
    """
    if owner is None:
        if usage is CertificateUsage.P2P_SESSION:
            raise CertificateRefusedError(
                f"Certificates of usage {usage} belong to virtual nodes, not to the cluster"
            )
        return
    if usage not in {CertificateUsage.P2P_TLS, CertificateUsage.P2P_SESSION}:
        raise CertificateRefusedError(
            f"Certificates of usage {usage} belong to the cluster, not to a virtual node"
        )
    if usage is CertificateUsage.P2P_SESSION and member_of(leaf) != owner.x500_name:
        raise CertificateRefusedError(
            f"The session certificate of {owner.x500_name} has the subject"
            f" {leaf.subject.rfc4514_string()}"
        )


def member_of(leaf: Certificate) -> MemberX500Name | None:
    """The member that a certificate's subject names; None if it is no name of a member."""
    try:
        return MemberX500Name.parse(leaf.subject.rfc4514_string())
    except InvalidX500NameError:
        return None


def check_alias(alias: str) -> str:
    """The alias without spaces around it.

    Raises:
        CertificateRefusedError: empty, `.` or `..`, longer than 255 characters, or not printable.
    """
    stripped = alias.strip()
    if not stripped:
        raise CertificateRefusedError("Empty alias")
    if len(stripped) > ALIAS_LENGTH_MAX or not stripped.isprintable():
        raise CertificateRefusedError(
            f"The alias must be at most {ALIAS_LENGTH_MAX} printable characters"
        )
    if stripped in {".", ".."}:
        raise CertificateRefusedError(f"The alias is {stripped!r}, which clients remove from paths")
    return stripped


def parse_chain(pem: bytes) -> tuple[Certificate, ...]:
    """Parse one chain of PEM certificates, leaf first.

    Raises:
        CertificateRefusedError: no certificate, other PEM objects, a broken certificate, a loop, or
            a certificate that was not issued by the one after it.
    """
    if len(pem) > PEM_BYTES_MAX:
        raise CertificateRefusedError(
            f"The certificate file has {len(pem)} bytes, at most {PEM_BYTES_MAX}"
        )
    try:
        blocks = list(islice(pem_blocks(pem), CHAIN_LENGTH_MAX + 1))
    except ValueError as refused:
        raise CertificateRefusedError(f"Not a valid certificate: {refused}") from refused
    if not blocks and not pem.isascii():
        raise CertificateRefusedError("Not a valid certificate: the file is no PEM")
    if not blocks:
        raise CertificateRefusedError("No certificates in PEM")
    if len(blocks) > CHAIN_LENGTH_MAX:
        raise CertificateRefusedError(
            f"The chain has more certificates than allowed, at most {CHAIN_LENGTH_MAX}"
        )
    chain = tuple(_parse_block(block) for block in blocks)
    _check_order(chain)
    return chain


def _parse_block(block: PemBlock) -> Certificate:
    if block.label != _LABEL:
        raise CertificateRefusedError(f"Not a valid certificate: found {block.label!r}")
    try:
        return load_der(block.der())
    except ValueError as refused:
        raise CertificateRefusedError(f"Not a valid certificate: {refused}") from refused


def _check_order(chain: tuple[Certificate, ...]) -> None:
    for earlier, later in pairwise(chain):
        if earlier.issuer != later.subject:
            raise CertificateRefusedError(
                "This previous certificate in the chain was issued by "
                f"{earlier.issuer.rfc4514_string()} and not by {later.subject.rfc4514_string()}"
            )
    if len(set(chain)) != len(chain):
        raise CertificateRefusedError("Certificate chain can not hold a loop.")
    for earlier, later in pairwise(chain):
        if not is_signed_by(earlier, later):
            raise CertificateRefusedError(
                f"The certificate of {earlier.subject.rfc4514_string()} carries no valid signature "
                f"of {later.subject.rfc4514_string()}"
            )
