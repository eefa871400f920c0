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


FLOW_CATEGORIES = (
    KeyCategory.ACCOUNTS,
    KeyCategory.CI,
    KeyCategory.LEDGER,
    KeyCategory.NOTARY,
)
"""Keys of sessions and TLS speak for the host: no flow may sign with them."""


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
    master_key_alias: str | None = None
    """Names the wrapping key that the private key is wrapped under (Corda's name for it)."""


class KeyOrder(StrEnum):
    """What a list of keys is sorted by; keys that are equal in it by their ids."""

    CREATED = "created"
    CATEGORY = "category"
    SCHEME = "scheme"
    ALIAS = "alias"
    MASTER_KEY_ALIAS = "master-key-alias"
    ID = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuery:
    """Which keys of a tenant are wanted; None, or an empty tuple, wants all.

    Attributes:
        ids: their ids.
        category, scheme, alias, master_key_alias: what they have.
        created_from, created_to: when they were made, both ends included.
        order: what they are sorted by.
        is_descending: the greatest first.
        skip: how many to leave out.
        limit: how many at most.
    """

    ids: tuple[str, ...] = ()
    category: str | None = None
    scheme: str | None = None
    alias: str | None = None
    master_key_alias: str | None = None
    created_from: int | None = None
    created_to: int | None = None
    order: KeyOrder = KeyOrder.CREATED
    is_descending: bool = False
    skip: int = 0
    limit: int = 1


MASTER_TENANT = "master"
"""Stands for the master key where a rotation's tenant is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HsmAssociation:
    """A category of keys that a tenant may have made."""

    association_id: str
    tenant: str
    category: KeyCategory


class RotationStatus(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedKeys:
    """Keys that a rotation wraps anew: of a tenant (master), or under a wrapping key."""

    name: str
    total: int
    rotated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """The latest rotation of a tenant's wrapping key, or of the master key."""

    request_id: str
    tenant: str
    status: RotationStatus
    started_at: EpochMs
    updated_at: EpochMs
    keys: tuple[RotatedKeys, ...]


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

    def query(self, tenant: str, query: KeyQuery) -> Sequence[KeyInfo]:
        """Some of the tenant's keys: no more are in memory than are answered."""
        ...

    def find_mine(
        self,
        tenant: str,
        public_keys: Sequence[str],
        categories: Sequence[KeyCategory] | None = None,
    ) -> Sequence[str]:
        """Those of the PEM `public_keys` whose private key the tenant holds, in order.

        Keys of other `categories` do not count, if any are given.
        """
        ...

    def sign(
        self,
        tenant: str,
        public_key: str,
        data: bytes,
        spec: str,
        categories: Sequence[KeyCategory] | None = None,
    ) -> bytes:
        """Sign with the tenant's private key, for example by `SHA256withECDSA`.

        Raises:
            NotFoundError: the tenant holds no such key, or none of `categories`, if any are given.
            InvalidInputError: `spec` does not fit the key.
        """
        ...

    def assign_hsm(self, tenant: str, category: KeyCategory) -> HsmAssociation:
        """Let a tenant have keys of a category made; again: the same association."""
        ...

    def hsm(self, tenant: str, category: KeyCategory) -> HsmAssociation | None: ...

    def start_rotation(self, tenant: str) -> KeyRotation:
        """Give a tenant a new wrapping key, or the host a new master key (`master`).

        What is made from now on is wrapped under it; `rotate_some` wraps the rest anew.

        Raises:
            ForbiddenError: an earlier rotation of the tenant is in progress.
        """
        ...

    def rotate_some(self, tenant: str) -> KeyRotation | None:
        """Go on with a rotation for a while; again until it is done, then the old key is gone.

        Safe to repeat, and from several processes at once. None: there was no rotation.
        """
        ...

    def take_over_rotations(self) -> int:
        """End the rotations that nobody has gone on with for 30 seconds; gives their number.

        The process that holds the keys calls it every ten seconds.

        Raises:
            StorageError: the keys cannot be written.
        """
        ...

    def rotation(self, tenant: str) -> KeyRotation | None:
        """How far the latest rotation of a tenant is."""
        ...
