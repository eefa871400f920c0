"""How each kind of key signs: digest, algorithm identifier, file extension, signature.

Equal inputs give equal signatures with RSA PKCS#1 v1.5, Ed25519 and, by RFC 6979, ECDSA of keys in
files. RSASSA-PSS and ECDSA in hardware are random by nature.
"""

from collections.abc import Callable
from dataclasses import dataclass

from asn1crypto import algos
from asn1crypto import keys as asn1_keys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from cpi.crypto.certificate import Certificate
from cpi.crypto.der import load
from cpi.crypto.public_keys import check_key, is_weak, strong_hash
from cpi.crypto.signer_hash import subject_text
from cpi.errors import Code, SignatureError

_RSA_BITS_SHA256_MAX = 3072
_RSASSA_PSS = "1.2.840.113549.1.1.10"
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
        digest: asn1crypto name of the digest.
        algorithm: the CMS signature algorithm.
        extension: of the signature block file.
        sign: the signature over some bytes.
    """

    digest: str
    algorithm: algos.SignedDigestAlgorithm
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
                algorithm=algos.SignedDigestAlgorithm({"algorithm": "ed25519"}),
                extension="EC",
                sign=private.sign,
            )


def is_pss_only(certificate: Certificate) -> bool:
    """Whether the certificate is for an RSASSA-PSS key, which must not sign by PKCS#1 v1.5."""
    return certificate.key_algorithm == _RSASSA_PSS


def pss_restriction(certificate: Certificate) -> PssRestriction | None:
    """The restrictions that the certificate puts on its RSASSA-PSS key (RFC 4055 section 3.1).

    Raises:
        SignatureError: they cannot be read, or require two different digests, which no scheme here
            supports.
    """
    if not is_pss_only(certificate):
        return None
    try:
        algorithm = load(asn1_keys.PublicKeyAlgorithm, certificate.key_algorithm_der)
        parameters = algorithm["parameters"]
        if parameters.native is None:
            return None
        digest = parameters["hash_algorithm"]["algorithm"].native
        generator = parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native
        salt = int(parameters["salt_length"].native)
    except (ValueError, TypeError, KeyError) as error:
        raise SignatureError(
            Code.KEY_UNSUPPORTED,
            f"{subject_text(certificate)}: the parameters of its key cannot be read: {error}",
        ) from error
    if digest != generator:
        raise SignatureError(
            Code.KEY_UNSUPPORTED,
            f"{subject_text(certificate)}: the RSASSA-PSS key is for {digest} with {generator}",
        )
    return PssRestriction(digest=digest, salt_length_min=salt)


def pss_algorithm(digest: str, salt_length: int | None = None) -> algos.SignedDigestAlgorithm:
    """RSASSA-PSS with one digest throughout; the salt is as long as the digest by default."""
    plain = {"algorithm": digest}
    return algos.SignedDigestAlgorithm(
        {
            "algorithm": "rsassa_pss",
            "parameters": {
                "hash_algorithm": plain,
                "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": plain},
                "salt_length": salt_length or _HASHES[digest].digest_size,
            },
        }
    )


def _pkcs1(private: rsa.RSAPrivateKey, digest: str) -> Scheme:
    def sign(data: bytes) -> bytes:
        return private.sign(data, padding.PKCS1v15(), _HASHES[digest])

    return Scheme(
        digest=digest,
        algorithm=algos.SignedDigestAlgorithm({"algorithm": f"{digest}_rsa"}),
        extension="RSA",
        sign=sign,
    )


def _pss(private: rsa.RSAPrivateKey, restriction: PssRestriction | None, digest: str) -> Scheme:
    digest = restriction.digest if restriction else digest
    algorithm = strong_hash(digest, "RSASSA-PSS key")
    salt = max(algorithm.digest_size, restriction.salt_length_min if restriction else 0)

    def sign(data: bytes) -> bytes:
        return private.sign(data, padding.PSS(padding.MGF1(algorithm), salt), algorithm)

    return Scheme(digest=digest, algorithm=pss_algorithm(digest, salt), extension="RSA", sign=sign)


def _ecdsa(private: ec.EllipticCurvePrivateKey, digest: str) -> Scheme:
    def sign(data: bytes) -> bytes:
        return private.sign(data, ec.ECDSA(_HASHES[digest], deterministic_signing=True))

    return Scheme(
        digest=digest,
        algorithm=algos.SignedDigestAlgorithm({"algorithm": f"{digest}_ecdsa"}),
        extension="EC",
        sign=sign,
    )
