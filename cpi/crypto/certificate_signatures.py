"""The signatures of issuers on certificates.

Every algorithm that Java verifies is known by name; whether it is strong enough is judged by
`cpi.crypto.trust`. Parameters of algorithms that have none (ECDSA, DSA) are ignored: Java's older
tools wrote NULL there.

Source: RFC 3279, 4055, 5758, 8410; NIST's identifiers of SHA-3 signatures.
"""

from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from cpi.crypto.algorithms import RSASSA_PSS, pss_parameters, read_algorithm
from cpi.crypto.certificate import Certificate
from cpi.crypto.der import DerRefusedError
from cpi.crypto.public_keys import verify_signature
from cpi.errors import TrustError

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303 - only read: the path's rules refuse it
    "sha1": hashes.SHA1(),  # noqa: S303 - as above
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha512_224": hashes.SHA512_224(),
    "sha512_256": hashes.SHA512_256(),
    "sha3_224": hashes.SHA3_224(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}
_PKCS1, _NIST = "1.2.840.113549.1.1", "2.16.840.1.101.3.4.3"
_SHA3 = ("sha3_224", "sha3_256", "sha3_384", "sha3_512")
_SHA2 = ("sha224", "sha256", "sha384", "sha512")
_EDWARDS = {"1.3.101.112": ed25519.Ed25519PublicKey, "1.3.101.113": ed448.Ed448PublicKey}
_HASHED: dict[str, tuple[type, str]] = {
    f"{_PKCS1}.4": (rsa.RSAPublicKey, "md5"),
    f"{_PKCS1}.5": (rsa.RSAPublicKey, "sha1"),
    f"{_PKCS1}.11": (rsa.RSAPublicKey, "sha256"),
    f"{_PKCS1}.12": (rsa.RSAPublicKey, "sha384"),
    f"{_PKCS1}.13": (rsa.RSAPublicKey, "sha512"),
    f"{_PKCS1}.14": (rsa.RSAPublicKey, "sha224"),
    f"{_PKCS1}.15": (rsa.RSAPublicKey, "sha512_224"),
    f"{_PKCS1}.16": (rsa.RSAPublicKey, "sha512_256"),
    "1.2.840.10045.4.1": (ec.EllipticCurvePublicKey, "sha1"),
    "1.2.840.10040.4.3": (dsa.DSAPublicKey, "sha1"),
    **{f"1.2.840.10045.4.3.{n}": (ec.EllipticCurvePublicKey, h) for n, h in enumerate(_SHA2, 1)},
    **{f"{_NIST}.{n}": (dsa.DSAPublicKey, h) for n, h in enumerate((*_SHA2, *_SHA3), 1)},
    **{f"{_NIST}.{n}": (ec.EllipticCurvePublicKey, h) for n, h in enumerate(_SHA3, 9)},
    **{f"{_NIST}.{n}": (rsa.RSAPublicKey, h) for n, h in enumerate(_SHA3, 13)},
}
"""Key class and digest of each algorithm with a digest of its own, by dotted identifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Algorithm:
    """How a certificate was signed: `digest` is None where the scheme has its own."""

    key: type
    digest: str | None
    pss_salt_length: int | None = None


def signature_digest(certificate: Certificate) -> str | None:
    """The digest of the issuer's signature; None where the scheme has its own, as Ed25519 has.

    An unknown algorithm's dotted identifier stands for its digest.
    """
    try:
        return _algorithm(certificate).digest
    except KeyError:
        return certificate.signature_algorithm_id


def is_issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer has the name that the certificate states, and its key signed it."""
    return certificate.issuer == issuer.subject and is_signed_by(certificate, issuer)


def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's key signed the certificate; names are not compared."""
    if not certificate.states_one_algorithm:
        return False
    try:
        algorithm, key = _algorithm(certificate), issuer.public_key()
        if not isinstance(key, algorithm.key):
            return False
        return verify_signature(
            key,
            certificate.signature,
            certificate.signed_part,
            digest=_HASHES[algorithm.digest or "sha512"],
            pss_salt_length=algorithm.pss_salt_length,
        )
    except (KeyError, TrustError, UnsupportedAlgorithm):
        return False


def _algorithm(certificate: Certificate) -> _Algorithm:
    """How it is signed.

    Raises:
        KeyError: by an algorithm that is not known, or whose parameters are not.
    """
    kind = certificate.signature_algorithm_id
    if kind in _EDWARDS:
        return _Algorithm(key=_EDWARDS[kind], digest=None)
    if kind != RSASSA_PSS:
        key, digest = _HASHED[kind]
        return _Algorithm(key=key, digest=digest)
    try:
        stated = pss_parameters(read_algorithm(certificate.signature_algorithm))
    except DerRefusedError as error:
        raise KeyError(kind) from error
    digest, salt = stated.digest, stated.salt_length
    if digest not in _HASHES or stated.generator != digest or salt < 0:
        raise KeyError(kind)
    return _Algorithm(key=rsa.RSAPublicKey, digest=digest, pss_salt_length=salt)
