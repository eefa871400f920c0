"""Keys of simulated nodes: real ECDSA keys, the same in every run of a test."""

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

_ALGORITHM = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class NodeKey:
    """A P-256 key pair made from a seed text. For tests only: who knows the text knows the key."""

    def __init__(self, seed: str) -> None:
        number = int.from_bytes(hashlib.sha512(seed.encode()).digest()[:31])
        self._private = ec.derive_private_key(number + 1, ec.SECP256R1())
        pem = self._private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        self.public = pem.decode()

    def sign(self, data: bytes) -> str:
        """An ECDSA signature over SHA-256, as base64."""
        return base64.b64encode(self._private.sign(data, _ALGORITHM)).decode()


def key_id(public: str) -> str:
    """The short hash of a PEM public key."""
    return hashlib.sha256(public.encode()).hexdigest()[:12].upper()


def verifies(public: str, data: bytes, signature: str) -> bool:
    """Whether a base64 `signature` is one of `data` by `public`."""
    try:
        key = load_pem_public_key(public.encode())
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(base64.b64decode(signature, validate=True), data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
