"""Keys of simulated nodes: real ECDSA keys, the same in every run of a test."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

from host.keys.schemes import encode_public, id_of, sign_with

SPEC = "SHA256withECDSA"


class NodeKey:
    """A P-256 key pair made from a seed text. For tests only: who knows the text knows the key."""

    def __init__(self, seed: str) -> None:
        number = int.from_bytes(hashlib.sha512(seed.encode()).digest()[:31])
        self._private = ec.derive_private_key(number + 1, ec.SECP256R1())
        self.public = encode_public(self._private.public_key())
        self.key_id = id_of(self._private.public_key())

    def sign(self, data: bytes, spec: str = SPEC) -> bytes:
        """A signature of `data`.

        Raises:
            SignatureSpecInvalidError: the spec does not fit the key.
        """
        return sign_with(self._private, data, spec)
