"""Operations on public keys that need no key store."""

from typing import Protocol

from host.domain.ids import ShortHash


class PublicKeys(Protocol):
    """Reads PEM SubjectPublicKeyInfo texts.

    Every method raises `InvalidInputError` for a text that is not a public key of a known scheme.
    """

    def canonical(self, public_key: str) -> str:
        """The canonical PEM text of this key: equal keys have equal texts."""
        ...

    def key_id(self, public_key: str) -> ShortHash:
        """First 12 digits of SHA-256 over the key's DER encoding."""
        ...

    def digest(self, public_key: str) -> str:
        """`SHA-256:HEX` of the key's DER encoding."""
        ...

    def default_spec(self, public_key: str) -> str:
        """The signature spec that ledgers use for this key, such as `SHA256withECDSA`."""
        ...

    def verify(self, public_key: str, data: bytes, signature: bytes, spec: str) -> bool:
        """Whether `signature` over `data` was made with the key.

        Raises:
            InvalidInputError: `spec` is unknown or does not fit the key.
        """
        ...
