"""Key wrapping: AES-256-GCM, bound to the owner and the identity of the wrapped key.

A wrapped text is 12 bytes of nonce followed by ciphertext and tag.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from host.keys.errors import KeyMaterialError

KEY_BYTES = 32
NONCE_BYTES = 12


def wrap(wrapping_key: bytes, secret: bytes, *, bound_to: str, nonce: bytes) -> bytes:
    """Encrypt `secret`. A nonce must never be used twice with the same wrapping key."""
    return nonce + AESGCM(wrapping_key).encrypt(nonce, secret, bound_to.encode())


def unwrap(wrapping_key: bytes, wrapped: bytes, *, bound_to: str) -> bytes:
    """Decrypt the result of `wrap` for the same `bound_to`.

    Raises:
        KeyMaterialError: wrong key, wrong binding, or changed bytes.
    """
    nonce, encrypted = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
    try:
        return AESGCM(wrapping_key).decrypt(nonce, encrypted, bound_to.encode())
    except (InvalidTag, ValueError) as exc:
        raise KeyMaterialError(f"wrapped key of {bound_to} does not open") from exc
