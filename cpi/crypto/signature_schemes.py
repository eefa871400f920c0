"""How each kind of key signs: digest, algorithm identifier, file extension, signature.

Equal inputs give equal signatures with RSA PKCS#1 v1.5, Ed25519 and, by RFC 6979, ECDSA of keys in
files. RSASSA-PSS and ECDSA in hardware are random by nature.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from cpi.crypto.algorithms import (
    RSASSA_PSS,
    encode_ecdsa,
    encode_ed25519,
    encode_pss,
    encode_rsa,
    parameters_of,
    pss_parameters,
    read_algorithm,
)
from cpi.crypto.certificate import Certificate
from cpi.crypto.der import DerRefusedError
from cpi.crypto.public_keys import check_key, is_weak, strong_hash
from cpi.crypto.signer_hash import subject_text
from cpi.errors import Code, SignatureError

_RSA_BITS_SHA256_MAX = 3072
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_SignerKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A way to sign.

    Attributes:
        digest: hashlib name of the digest.
        algorithm: the encoding of its AlgorithmIdentifier.
        extension: of the signature block file.
        sign: the signature over some bytes.
    """

    digest: str
    algorithm: bytes
    extension: str
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class PssRestriction:
    """The digest, and the minimum salt length in bytes, that an RSASSA-PSS key may be used with."""

    digest: str
    salt_length_min: int


def scheme_of(private: _SignerKey, certificate: Certificate) -> Scheme:
    """How the key of a certificate signs.

    Raises:
        SignatureError: the key is too weak to sign, or of a kind that the verifier refuses.
    """
    public = certificate.public_key()
    check_key(public, subject_text(certificate))
    if is_weak(public):
        raise SignatureError(
            Code.KEY_WEAK,
            f"{subject_text(certificate)}: keys that sign have at least 2048 bits",
        )
    match private:
        case rsa.RSAPrivateKey():
            digest = "sha256" if private.key_size <= _RSA_BITS_SHA256_MAX else "sha384"
            if is_pss_only(certificate):
                return _pss(private, pss_restriction(certificate), digest)
            return _pkcs1(private, digest)
        case ec.EllipticCurvePrivateKey():
            return _ecdsa(private, {256: "sha256", 384: "sha384"}.get(private.key_size, "sha512"))
        case _:
            return Scheme(
                digest="sha512",
                algorithm=encode_ed25519(),
                extension="EC",
                sign=private.sign,
            )


def is_pss_only(certificate: Certificate) -> bool:
    """Whether the certificate is for an RSASSA-PSS key, which must not sign by PKCS#1 v1.5."""
    return certificate.key_algorithm == RSASSA_PSS


def pss_restriction(certificate: Certificate) -> PssRestriction | None:
    """The restrictions that the certificate puts on its RSASSA-PSS key (RFC 4055 section 3.1).

    Raises:
        SignatureError: they cannot be read, or require two different digests, which no scheme here
            supports.
    """
    if not is_pss_only(certificate):
        return None
    try:
        algorithm = read_algorithm(certificate.key_algorithm_der)
        if parameters_of(algorithm) is None:
            return None
        stated = pss_parameters(algorithm)
    except DerRefusedError as error:
        raise SignatureError(
            Code.KEY_UNSUPPORTED,
            f"{subject_text(certificate)}: the parameters of its key cannot be read: {error}",
        ) from error
    if stated.digest != stated.generator:
        raise SignatureError(
            Code.KEY_UNSUPPORTED,
            f"{subject_text(certificate)}: the RSASSA-PSS key is for {stated.digest} with"
            f" {stated.generator}",
        )
    return PssRestriction(digest=stated.digest, salt_length_min=stated.salt_length)


def _pkcs1(private: rsa.RSAPrivateKey, digest: str) -> Scheme:
    def sign(data: bytes) -> bytes:
        return private.sign(data, padding.PKCS1v15(), _HASHES[digest])

    return Scheme(
        digest=digest,
        algorithm=encode_rsa(digest),
        extension="RSA",
        sign=sign,
    )


def _pss(private: rsa.RSAPrivateKey, restriction: PssRestriction | None, digest: str) -> Scheme:
    digest = restriction.digest if restriction else digest
    algorithm = strong_hash(digest, "RSASSA-PSS key")
    salt = max(algorithm.digest_size, restriction.salt_length_min if restriction else 0)

    def sign(data: bytes) -> bytes:
        return private.sign(data, padding.PSS(padding.MGF1(algorithm), salt), algorithm)

    return Scheme(digest=digest, algorithm=encode_pss(digest, salt), extension="RSA", sign=sign)


def _ecdsa(private: ec.EllipticCurvePrivateKey, digest: str) -> Scheme:
    def sign(data: bytes) -> bytes:
        return private.sign(data, ec.ECDSA(_HASHES[digest], deterministic_signing=True))

    return Scheme(
        digest=digest,
        algorithm=encode_ecdsa(digest),
        extension="EC",
        sign=sign,
    )
