"""Encryption of registrations to an MGM's key: HPKE (RFC 9180), mode base, one message."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cpi.crypto.der import check_der
from cpi.crypto.pem import single_pem
from host.domain.errors import InvalidInputError


def seal_to(public_key: str, data: bytes, info: bytes) -> bytes:
    """Encrypt `data`; `KeyStore.open_sealed` with the private key and the same `info` decrypts it.

    Args:
        public_key: PEM, of P-256 or X25519.
        data: to encrypt.
        info: HPKE's, which binds the purpose and the network.

    Raises:
        InvalidInputError: the key is of another kind.
    """
    try:
        der = single_pem(public_key.encode(), "PUBLIC KEY").der()
        check_der(der)
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise InvalidInputError(f"the MGM's encryption key cannot be read: {exc}") from exc
    if isinstance(key, x25519.X25519PublicKey):
        kem = KEM.X25519
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        kem = KEM.P256
    else:
        raise InvalidInputError("the MGM's encryption key is neither P-256 nor X25519")
    return Suite(kem, KDF.HKDF_SHA256, AEAD.AES_256_GCM).encrypt(data, key, info)
