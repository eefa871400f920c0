"""Key agreement: X25519, and X25519 with ML-KEM-768, by the protocol's suite numbers. Pure.

Suite 2 stays secret as long as one of the two is unbroken: recorded traffic is of no use to a later
quantum computer.
"""

from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

X25519 = 1
X25519_ML_KEM_768 = 2
X25519_BYTES = 32
ML_KEM_KEY_BYTES = 1184
ML_KEM_CIPHERTEXT_BYTES = 1088
ML_KEM_SEED_BYTES = 64


class KeyAgreementError(ValueError):
    """A key share is malformed, or of a kind that gives no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """One side's random numbers of a handshake: never used twice.

    Attributes:
        x25519: a private key, 32 bytes.
        random: of the hello, 32 bytes.
        session: names the handshake, 16 bytes; the initiator's alone.
        ml_kem: seed of a decapsulation key, 64 bytes; the initiator's alone.
    """

    x25519: bytes
    random: bytes
    session: bytes = b""
    ml_kem: bytes = b""
    _keys: dict[int, X25519PrivateKey | MLKEM768PrivateKey] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """By suite: the initiator needs its keys for its share and for the answer, and to make them
    takes a fifth of what a handshake computes.
    """

    def x25519_key(self) -> X25519PrivateKey:
        key = self._keys.get(X25519)
        if not isinstance(key, X25519PrivateKey):
            key = self._keys[X25519] = X25519PrivateKey.from_private_bytes(self.x25519)
        return key

    def ml_kem_key(self) -> MLKEM768PrivateKey:
        key = self._keys.get(X25519_ML_KEM_768)
        if not isinstance(key, MLKEM768PrivateKey):
            key = MLKEM768PrivateKey.from_seed_bytes(self.ml_kem)
            self._keys[X25519_ML_KEM_768] = key
        return key


def supported() -> tuple[int, ...]:
    """Suites that the cryptographic library has, the preferred one first."""
    try:
        MLKEM768PrivateKey.from_seed_bytes(bytes(ML_KEM_SEED_BYTES))
    except UnsupportedAlgorithm:
        return (X25519,)
    return (X25519_ML_KEM_768, X25519)


def initiator_share(secrets: Secrets, suites: tuple[int, ...]) -> bytes:
    """The initiator's key share for all suites that it offers."""
    share = secrets.x25519_key().public_key().public_bytes_raw()
    if X25519_ML_KEM_768 in suites:
        share += secrets.ml_kem_key().public_key().public_bytes_raw()
    return share


def respond(secrets: Secrets, suite: int, share: bytes) -> tuple[bytes, bytes]:
    """The responder's key share, and the shared secret.

    ML-KEM's encapsulation draws its own random numbers: the library gives no other way.

    Raises:
        KeyAgreementError: the initiator's share is unusable.
    """
    own = secrets.x25519_key()
    answer, secret = own.public_key().public_bytes_raw(), _agree(own, share[:X25519_BYTES])
    if suite == X25519_ML_KEM_768:
        try:
            key = MLKEM768PublicKey.from_public_bytes(share[X25519_BYTES:])
            inner, ciphertext = key.encapsulate()
        except ValueError as exc:
            raise KeyAgreementError(f"the ML-KEM key is unusable: {exc}") from exc
        return answer + ciphertext, secret + inner
    return answer, secret


def conclude(secrets: Secrets, suite: int, share: bytes) -> bytes:
    """The shared secret, by the responder's share.

    Raises:
        KeyAgreementError: the responder's share is unusable.
    """
    expected = X25519_BYTES + (ML_KEM_CIPHERTEXT_BYTES if suite == X25519_ML_KEM_768 else 0)
    if len(share) != expected:
        raise KeyAgreementError(f"a key share has {len(share)} bytes, expected {expected}")
    secret = _agree(secrets.x25519_key(), share[:X25519_BYTES])
    if suite == X25519_ML_KEM_768:
        secret += secrets.ml_kem_key().decapsulate(share[X25519_BYTES:])
    return secret


def share_bytes(suites: tuple[int, ...]) -> int:
    """Length of an initiator's key share for these suites."""
    return X25519_BYTES + (ML_KEM_KEY_BYTES if X25519_ML_KEM_768 in suites else 0)


def _agree(own: X25519PrivateKey, share: bytes) -> bytes:
    """The X25519 secret; a share that gives zero is refused by the library (RFC 7748, 6.1)."""
    try:
        return own.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError as exc:
        raise KeyAgreementError(f"the X25519 key is unusable: {exc}") from exc
