"""Signature algorithms over public keys: which are accepted, how they are named and checked.

RSA from 1024 bits verifies, because Java and Corda accept it; signing needs 2048 and the verifier
warns below that.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from cpi.errors import Code, SignatureError

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_RSA_BITS = range(1024, 16_385)
_DSA_BITS = range(2048, 3073)
_RSA_BITS_STRONG = 2048


def describe_key(key: CertificatePublicKeyTypes) -> str:
    """A key's kind and size, such as `EC P-256` or `RSA 4096`."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case _:
            return type(key).__name__


def is_weak(key: CertificatePublicKeyTypes) -> bool:
    """Whether a key that verifies should be replaced."""
    return isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS_STRONG


def check_key(key: CertificatePublicKeyTypes, owner: str) -> None:
    """Check that a key is of an accepted kind and size.

    Raises:
        SignatureError: the key is too small, too large or of another kind.
    """
    match key:
        case rsa.RSAPublicKey():
            good = key.key_size in _RSA_BITS
        case dsa.DSAPublicKey():
            good = key.key_size in _DSA_BITS
        case ec.EllipticCurvePublicKey():
            good = key.curve.name in _CURVES
        case _:
            good = isinstance(key, ed25519.Ed25519PublicKey)
    if not good:
        raise SignatureError(Code.KEY_WEAK, f"{owner}: key {describe_key(key)} is not accepted")


def strong_hash(name: str | None, what: str) -> hashes.HashAlgorithm:
    """The hash algorithm of that name.

    Raises:
        SignatureError: it is weak or unknown.
    """
    algorithm = _HASHES.get((name or "").lower().replace("-", ""))
    if algorithm is None:
        raise SignatureError(
            Code.SIGNATURE_WEAK,
            f"{what} uses digest {name}, accepted are SHA-256, SHA-384 and SHA-512",
        )
    return algorithm


def verify_signature(
    key: CertificatePublicKeyTypes,
    signature: bytes,
    signed: bytes,
    *,
    digest: hashes.HashAlgorithm,
    pss_salt_length: int | None = None,
) -> bool:
    """Whether `signature` is the key's signature over `signed`.

    Args:
        key: a key that `check_key` accepts.
        signature: as CMS carries it (DER for ECDSA and DSA).
        signed: what was signed.
        digest: the digest of the signature algorithm; Ed25519 has its own.
        pss_salt_length: RSA only: RSASSA-PSS with this salt instead of PKCS#1 v1.5.
    """
    try:
        match key:
            case rsa.RSAPublicKey():
                scheme = (
                    padding.PKCS1v15()
                    if pss_salt_length is None
                    else padding.PSS(padding.MGF1(digest), pss_salt_length)
                )
                key.verify(signature, signed, scheme, digest)
            case ec.EllipticCurvePublicKey():
                key.verify(signature, signed, ec.ECDSA(digest))
            case dsa.DSAPublicKey():
                key.verify(signature, signed, digest)
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
                key.verify(signature, signed)
            case _:
                return False
    except (InvalidSignature, ValueError):
        return False
    return True
