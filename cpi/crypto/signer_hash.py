"""The signer summary hash: identifies signers by subject name, so a renewed certificate keeps it.

Corda takes each subject's RFC 2253 text, keeps the attributes CN, OU, O, L, ST and C in a fixed
order, hashes each text, sorts the hashes and hashes their text forms. Two rules differ in which
certificates go in: the CPK rule takes the set of leaf certificates, the CPI rule every
certificate of every signer's chain.

Source: corda-runtime-os `packaging/Utils.kt` `signerSummaryHash`; Java `LdapName` and `Rdn`.
"""

import hashlib
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.certificate import AnyCertificate, Certificate, as_certificates
from cpi.digests import sha256_text
from cpi.errors import Code, SignatureError

_ORDER = ("CN", "OU", "O", "L", "ST", "C")
_ESCAPED = frozenset(',=+<>#;"\\')
_JAVA_WHITESPACE = " \r"

Rdn = Sequence[tuple[str, str | bytes]]
"""One relative distinguished name: pairs of attribute type (keyword or dotted) and value; bytes are
the encoding of a value that has no text."""


def cpk_signer_summary_hash(chains: Iterable[Sequence[AnyCertificate]]) -> str:
    """The hash by the CPK rule: over the set of leaf certificates."""
    return signer_summary_hash(dict.fromkeys(chain[0] for chain in chains))


def cpi_signer_summary_hash(chains: Iterable[Sequence[AnyCertificate]]) -> str:
    """The hash by the CPI rule: over all certificates of all chains, repetitions included."""
    return signer_summary_hash(certificate for chain in chains for certificate in chain)


def signer_summary_hash(certificates: Iterable[AnyCertificate]) -> str:
    """The summary hash over the subjects of `certificates`, in any order.

    Raises:
        SignatureError: there is no certificate.
    """
    return summary_hash_of_names(certificate_rdns(c) for c in as_certificates(certificates))


def summary_hash_of_names(names: Iterable[Sequence[Rdn]]) -> str:
    """The summary hash over subject names, each its RDNs in the order of the DER encoding.

    Raises:
        SignatureError: there is no name.
    """
    hashes = [hashlib.sha256(hashed_text(name).encode()).digest() for name in names]
    if not hashes:
        raise SignatureError(
            Code.NOT_SIGNED,
            "Summary Hash cannot be null. There must be at least one valid signature",
        )
    hashes.sort(key=_as_signed_bytes)
    return sha256_text("".join(f"SHA-256:{h.hex().upper()}" for h in hashes).encode())


def hashed_text(rdns: Sequence[Rdn]) -> str:
    """The text that is hashed for one subject, such as `C=GB,L=London,O=R3,CN=Alice`."""
    ordered = [sorted(rdn, key=_ava_key) for rdn in rdns]
    kept = [rdn for rdn in ordered if rdn[0][0] in _ORDER]
    kept.sort(key=lambda rdn: _ORDER.index(rdn[0][0]))
    return ",".join(
        "+".join(f"{kind}={_escape(value)}" for kind, value in rdn) for rdn in reversed(kept)
    )


def certificate_rdns(certificate: Certificate) -> list[Rdn]:
    """The subject's RDNs in the order of the DER encoding, with values as Java's text has them."""
    return [
        [(attribute.keyword, attribute.rfc2253_value) for attribute in rdn]
        for rdn in certificate.subject.rdns
    ]


def subject_text(certificate: Certificate) -> str:
    """The subject as RFC 2253 text, for people to read."""
    return certificate.subject.rfc4514_string()


def _ava_key(ava: tuple[str, str | bytes]) -> tuple[str, str]:
    kind, value = ava
    text = value.hex() if isinstance(value, bytes) else value
    return kind.upper(), " ".join(text.upper().split())


def _as_signed_bytes(digest: bytes) -> bytes:
    """A sort key that puts 0x80..0xFF before 0x00..0x7F, as Java's signed bytes do."""
    return bytes(byte ^ 0x80 for byte in digest)


def _escape(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return "#" + value.hex()
    lead = len(value) - len(value.lstrip(_JAVA_WHITESPACE))
    trail = len(value.rstrip(_JAVA_WHITESPACE))
    return "".join(
        f"\\{character}" if not lead <= at < trail or character in _ESCAPED else character
        for at, character in enumerate(value)
    )


def certificate_der(certificate: AnyCertificate) -> bytes:
    """The certificate's DER encoding."""
    return certificate.public_bytes(Encoding.DER)
