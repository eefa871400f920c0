"""Key store of the host: keys never leave it, callers name them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from host.domain.ids import EpochMs, ShortHash


class KeyCategory(StrEnum):
    """HSM categories of Corda."""

    ACCOUNTS = "ACCOUNTS"
    CI = "CI"
    LEDGER = "LEDGER"
    NOTARY = "NOTARY"
    PRE_AUTH = "PRE_AUTH"
    SESSION_INIT = "SESSION_INIT"
    TLS = "TLS"
    JWT_KEY = "JWT_KEY"
    ENCRYPTION_SECRET = "ENCRYPTION_SECRET"  # noqa: S105  # Corda's category name


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A key pair of a tenant. `public_key` is PEM SubjectPublicKeyInfo; `key_id` its short hash."""

    key_id: ShortHash
    tenant: str
    category: KeyCategory
    alias: str
    scheme: str
    public_key: str
    created_at: EpochMs


class KeyStore(Protocol):
    """Tenants are holding identity short hashes, or `p2p` for the cluster."""

    def create(self, tenant: str, category: KeyCategory, alias: str, scheme: str) -> KeyInfo:
        """Make a key pair of a scheme such as `CORDA.ECDSA.SECP256R1`, wrapped at rest.

        Raises:
            InvalidInputError: alias or scheme.
            ConflictError: the tenant has a key of this alias.
        """
        ...

    def list(self, tenant: str) -> Sequence[KeyInfo]: ...

    def find_mine(self, tenant: str, public_keys: Sequence[str]) -> Sequence[str]:
        """Those of the PEM `public_keys` whose private key the tenant holds, in order."""
        ...

    def sign(self, tenant: str, public_key: str, data: bytes, spec: str) -> bytes:
        """Sign with the tenant's private key, for example by `SHA256withECDSA`.

        Raises:
            NotFoundError: the tenant holds no such key.
            InvalidInputError: `spec` does not fit the key.
        """
        ...
