"""Key schemes and signature specs by Corda's names, and which specs fit which schemes.

Source: corda-api `KeySchemeCodes`, corda-runtime-os `KeySchemeTemplates` and `SignatureSpecs`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from cpi.crypto.der import check_der
from cpi.crypto.pem import single_pem
from host.domain.call_time import check_call_time
from host.domain.ids import ShortHash
from host.keys.errors import KeySchemeUnknownError, PublicKeyInvalidError, SignatureSpecInvalidError

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
StoredPrivateKey: TypeAlias = PrivateKey | x25519.X25519PrivateKey
StoredPublicKey: TypeAlias = PublicKey | x25519.X25519PublicKey

_PEM_CHARACTERS_MAX = 8192
_REMEMBERED_BYTES_MAX = 4096
"""Of key, data and signature, whose verification is remembered: those of transactions are small."""
_PEM_LABELS = ("PUBLIC KEY", "RSA PUBLIC KEY")
X25519 = "CORDA.X25519"
"""Scheme of keys that others encrypt to; they sign nothing."""
_RSA_BITS = 3072
_RSA_BITS_ACCEPTED = range(2048, 8193)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyScheme:
    """A kind of key pair. `default_spec` is the one that ledgers sign with."""

    name: str
    generate: Callable[[], PrivateKey]
    default_spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSpec:
    """A signature algorithm. `key_type` is the class of public keys that it fits."""

    name: str
    key_type: type[PublicKey]
    digest: hashes.HashAlgorithm | None = None
    pss: bool = False


def _rsa() -> PrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


SCHEMES: Mapping[str, KeyScheme] = {
    scheme.name: scheme
    for scheme in (
        KeyScheme(name="CORDA.RSA", generate=_rsa, default_spec="SHA256withRSA"),
        KeyScheme(
            name="CORDA.ECDSA.SECP256R1",
            generate=lambda: ec.generate_private_key(ec.SECP256R1()),
            default_spec="SHA256withECDSA",
        ),
        KeyScheme(
            name="CORDA.ECDSA.SECP256K1",
            generate=lambda: ec.generate_private_key(ec.SECP256K1()),
            default_spec="SHA256withECDSA",
        ),
        KeyScheme(
            name="CORDA.EDDSA.ED25519",
            generate=ed25519.Ed25519PrivateKey.generate,
            default_spec="EdDSA",
        ),
    )
}

_DIGESTS: Mapping[str, hashes.HashAlgorithm] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}

SPECS: Mapping[str, SignatureSpec] = {
    spec.name: spec
    for spec in (
        *(
            SignatureSpec(name=f"{name}withRSA", key_type=rsa.RSAPublicKey, digest=digest)
            for name, digest in _DIGESTS.items()
        ),
        *(
            SignatureSpec(
                name=f"{name}withRSAandMGF1", key_type=rsa.RSAPublicKey, digest=digest, pss=True
            )
            for name, digest in _DIGESTS.items()
        ),
        SignatureSpec(
            name="RSASSA-PSS", key_type=rsa.RSAPublicKey, digest=hashes.SHA256(), pss=True
        ),
        *(
            SignatureSpec(
                name=f"{name}withECDSA", key_type=ec.EllipticCurvePublicKey, digest=digest
            )
            for name, digest in _DIGESTS.items()
        ),
        SignatureSpec(name="EdDSA", key_type=ed25519.Ed25519PublicKey),
    )
}
"""`RSASSA-PSS` and `...andMGF1` use MGF1 with the same digest, and a salt of its length.
"""

_CURVES = {"secp256r1": "CORDA.ECDSA.SECP256R1", "secp256k1": "CORDA.ECDSA.SECP256K1"}


def find_scheme(name: str) -> KeyScheme:
    """Look a scheme up by Corda's code name.

    Raises:
        KeySchemeUnknownError: the scheme is not supported.
    """
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise KeySchemeUnknownError(
            f"key scheme {name[:64]!r} is unknown; known are {', '.join(SCHEMES)}"
        )
    return scheme


def encode_public(key: StoredPublicKey) -> str:
    """The PEM SubjectPublicKeyInfo text, with a final line feed."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def digest_of(key: StoredPublicKey) -> str:
    """SHA-256 of the DER encoding, as 64 upper-case hexadecimal digits."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest().upper()


def id_of(key: StoredPublicKey) -> ShortHash:
    """The first 12 digits of `digest_of`."""
    return ShortHash(digest_of(key)[:12])


def decode_public(pem: str) -> PublicKey:
    """Parse a PEM SubjectPublicKeyInfo of a known scheme of signatures.

    Raises:
        PublicKeyInvalidError: the text is not such a key.
    """
    key = decode_stored(pem)
    if isinstance(key, x25519.X25519PublicKey):
        raise PublicKeyInvalidError(
            f"public key {pem[:40]!r} is of {X25519}, expected one of a scheme that signs:"
            f" {', '.join(SCHEMES)}"
        )
    return key


class KeyNames(NamedTuple):
    """A public key's own PEM text, of all that denote it, and its identifier."""

    canonical: str
    id: ShortHash


@lru_cache(maxsize=1024)
def names_of(pem: str) -> KeyNames:
    """The names of a public key.

    Raises:
        PublicKeyInvalidError: the text is no such key as `decode_stored` parses.
    """
    key = decode_stored(pem)
    return KeyNames(canonical=encode_public(key), id=id_of(key))


@lru_cache(maxsize=1024)
def decode_stored(pem: str) -> StoredPublicKey:
    """Parse a PEM SubjectPublicKeyInfo of a scheme of signatures, or of `X25519`.

    Raises:
        PublicKeyInvalidError: the text is not such a key.
    """
    if len(pem) > _PEM_CHARACTERS_MAX:
        raise PublicKeyInvalidError(f"public key is longer than {_PEM_CHARACTERS_MAX} characters")
    try:
        der = single_pem(pem.encode(), *_PEM_LABELS).der()
        check_der(der)
        key = load_der_public_key(der)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm) as exc:
        raise PublicKeyInvalidError(f"public key {pem[:40]!r} is no PEM public key: {exc}") from exc
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS_ACCEPTED:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey | x25519.X25519PublicKey):
        return key
    raise PublicKeyInvalidError(
        f"public key {pem[:40]!r} is of no known scheme: {', '.join(SCHEMES)}"
    )


def scheme_of(key: PublicKey) -> KeyScheme:
    if isinstance(key, rsa.RSAPublicKey):
        return SCHEMES["CORDA.RSA"]
    if isinstance(key, ec.EllipticCurvePublicKey):
        return SCHEMES[_CURVES[key.curve.name]]
    return SCHEMES["CORDA.EDDSA.ED25519"]


def find_spec(name: str, key: PublicKey) -> SignatureSpec:
    """Look a spec up and check that it fits the key.

    Raises:
        SignatureSpecInvalidError: it is unknown or does not fit.
    """
    spec = SPECS.get(name)
    if spec is None or not isinstance(key, spec.key_type):
        fitting = ", ".join(s.name for s in SPECS.values() if isinstance(key, s.key_type))
        raise SignatureSpecInvalidError(
            f"signature spec {name[:64]!r} does not fit a key of {scheme_of(key).name};"
            f" fitting are {fitting}"
        )
    return spec


def sign_with(key: PrivateKey, data: bytes, spec_name: str) -> bytes:
    """Sign `data`; ECDSA signatures are DER encoded.

    Raises:
        SignatureSpecInvalidError: the spec does not fit the key.
    """
    spec = find_spec(spec_name, key.public_key())
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, _padding(spec), _digest(spec))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(_digest(spec)))
    return key.sign(data)


def is_signature(key: PublicKey, data: bytes, signature: bytes, spec_name: str) -> bool:
    """Whether `signature` over `data` is this key's.

    Raises:
        SignatureSpecInvalidError: the spec does not fit the key.
    """
    spec = find_spec(spec_name, key)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, _padding(spec), _digest(spec))
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(_digest(spec)))
        else:
            key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=4096)
def _verified(public_key: str, data: bytes, signature: bytes, spec: str) -> bool:
    """As `is_signature`; the steps of a flow, and both its parties, verify the same signature."""
    return is_signature(decode_public(public_key), data, signature, spec)


class SchemePublicKeys:
    """The `PublicKeys` port over the schemes of this module.

    Requests hold lists of keys, and each operation takes a while: within a host call, each one
    checks the call's time limit.
    """

    def canonical(self, public_key: str) -> str:
        check_call_time()
        decode_public(public_key)
        return names_of(public_key).canonical

    def key_id(self, public_key: str) -> ShortHash:
        check_call_time()
        decode_public(public_key)
        return names_of(public_key).id

    def digest(self, public_key: str) -> str:
        return f"SHA-256:{digest_of(decode_public(public_key))}"

    def default_spec(self, public_key: str) -> str:
        return scheme_of(decode_public(public_key)).default_spec

    def verify(self, public_key: str, data: bytes, signature: bytes, spec: str) -> bool:
        check_call_time()
        size = len(public_key) + len(data) + len(signature)
        verified = _verified if size <= _REMEMBERED_BYTES_MAX else _verified.__wrapped__
        return verified(public_key, data, signature, spec)


def _digest(spec: SignatureSpec) -> hashes.HashAlgorithm:
    assert spec.digest is not None, spec.name  # noqa: S101  # a table's invariant
    return spec.digest


def _padding(spec: SignatureSpec) -> padding.AsymmetricPadding:
    if not spec.pss:
        return padding.PKCS1v15()
    digest = _digest(spec)
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
