"""Secrets that are encrypted to a tenant: sealed by the host itself, or by others to a public key.

What the host seals is 4 bytes of the wrapping key's generation, big-endian, and a wrapped text
(`host.keys.wrapping`). What others send is HPKE (RFC 9180): the encapsulated key and a ciphertext.
"""

from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from host.keys.errors import KeyMaterialError, KeySchemeUnknownError, SealedInvalidError
from host.keys.schemes import SCHEMES, X25519, StoredPrivateKey, find_scheme
from host.keys.wrapping import unwrap, wrap
from host.ports.keys import KeyCategory

_GENERATION_BYTES = 4
_GENERATION_MAX = 2**31 - 1
_P256 = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_X25519 = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def schemes_of(category: KeyCategory) -> Sequence[str]:
    """The schemes that keys of a category may have."""
    return (*SCHEMES, X25519) if category is KeyCategory.PRE_AUTH else tuple(SCHEMES)


def new_key(category: KeyCategory, scheme: str) -> StoredPrivateKey:
    """A new private key.

    Raises:
        KeySchemeUnknownError: keys of the category have no such scheme.
    """
    if scheme != X25519:
        return find_scheme(scheme).generate()
    if category is not KeyCategory.PRE_AUTH:
        raise KeySchemeUnknownError(
            f"key scheme {X25519} signs nothing: it is for keys of category {KeyCategory.PRE_AUTH},"
            f" not {category}"
        )
    return x25519.X25519PrivateKey.generate()


def seal(
    wrapping_key: bytes, generation: int, data: bytes, *, tenant: str, bound_to: str, nonce: bytes
) -> bytes:
    """Encrypt `data` under a generation of the tenant's wrapping key."""
    wrapped = wrap(wrapping_key, data, bound_to=_binding(tenant, bound_to), nonce=nonce)
    return generation.to_bytes(_GENERATION_BYTES, "big") + wrapped


def unseal(
    sealed: bytes, wrapping_key: Callable[[int], bytes], *, tenant: str, bound_to: str
) -> bytes:
    """The data of a result of `seal`.

    Raises:
        SealedInvalidError: it was changed, or sealed for something else, or the generation of the
            wrapping key is gone.
    """
    generation = int.from_bytes(sealed[:_GENERATION_BYTES], "big")
    if generation > _GENERATION_MAX:
        raise SealedInvalidError(f"what was sealed for {bound_to[:64]!r} does not open")
    try:
        wrapped = sealed[_GENERATION_BYTES:]
        return unwrap(wrapping_key(generation), wrapped, bound_to=_binding(tenant, bound_to))
    except KeyMaterialError as exc:
        raise SealedInvalidError(
            f"what was sealed for {bound_to[:64]!r} does not open: {exc.message}"
        ) from exc


def open_hpke(key: StoredPrivateKey, sealed: bytes, info: bytes) -> bytes:
    """Decrypt an HPKE message to a key.

    Raises:
        SealedInvalidError: it does not open; the message names no reason, as the sender gets none.
    """
    try:
        if isinstance(key, x25519.X25519PrivateKey):
            return _X25519.decrypt(sealed, key, info)
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return _P256.decrypt(sealed, key, info)
    except (InvalidTag, ValueError, TypeError) as exc:
        raise SealedInvalidError("the message does not open with this key and purpose") from exc
    raise SealedInvalidError(f"nothing is encrypted to a key that is neither P-256 nor {X25519}")


def _binding(tenant: str, bound_to: str) -> str:
    """Differs from that of every wrapped key (`signing-key/`, `wrapping-key/`)."""
    return f"sealed/{tenant}/{bound_to}"
