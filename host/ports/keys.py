"""Key store of the host: keys never leave it, callers name them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
"""Keys that flows may use. Session and TLS keys represent the host: flows cannot sign with them."""


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
    """Name of the wrapping key of the private key (Corda's term)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterial:
    """A key pair that moves to another cluster; `private_key` is PKCS#8 in DER, unencrypted."""

    category: KeyCategory
    alias: str
    scheme: str
    public_key: str
    created_at: EpochMs
    private_key: bytes = field(repr=False)


class KeyOrder(StrEnum):
    """The sort order of a list of keys; ties are sorted by id."""

    CREATED = "created"
    CATEGORY = "category"
    SCHEME = "scheme"
    ALIAS = "alias"
    MASTER_KEY_ALIAS = "master-key-alias"
    ID = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuery:
    """Selects keys of a tenant; None, or an empty tuple, selects all.

    Attributes:
        ids: their ids.
        category, scheme, alias, master_key_alias: what they have.
        created_from, created_to: creation time, both ends included.
        order: the sort order.
        is_descending: greatest first.
        skip: number of keys to skip.
        limit: maximum number of keys.
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
"""Denotes the master key in place of a rotation's tenant."""
STATIC_GROUP_ALIAS = "static-mgm-"
"""Begins the aliases of the cluster's keys that sign the parameters of static groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HsmAssociation:
    """A category in which a tenant may create keys."""

    association_id: str
    tenant: str
    category: KeyCategory


class RotationStatus(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedKeys:
    """Counts of keys that a rotation rewraps: of a tenant (master), or under a wrapping key."""

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

        `CORDA.X25519` decrypts and does not sign: it is for category PRE_AUTH.

        Raises:
            InvalidInputError: alias or scheme.
            ConflictError: the tenant has a key of this alias.
        """
        ...

    def list(self, tenant: str) -> Sequence[KeyInfo]: ...

    def query(self, tenant: str, query: KeyQuery) -> Sequence[KeyInfo]:
        """Keys of the tenant; only those that are returned are loaded into memory."""
        ...

    def find_mine(
        self,
        tenant: str,
        public_keys: Sequence[str],
        categories: Sequence[KeyCategory] | None = None,
    ) -> Sequence[str]:
        """The PEM `public_keys` whose private keys the tenant holds, in order.

        If `categories` are given, keys of other categories are excluded.
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
            NotFoundError: the tenant holds no such key, or none in `categories`, if they are given.
            InvalidInputError: `spec` does not fit the key.
        """
        ...

    def seal(self, tenant: str, data: bytes, bound_to: str) -> bytes:
        """Encrypt `data` under the tenant's wrapping key; only `open` with `bound_to` decrypts it.

        What is sealed can be opened until the wrapping key has been rotated away.

        Raises:
            RequestInvalidError: there cannot be such a tenant.
        """
        ...

    def open(self, tenant: str, sealed: bytes, bound_to: str) -> bytes:
        """The data of a result of `seal`.

        Raises:
            SealedInvalidError: it was changed, sealed for something else, or its wrapping key is
                gone.
        """
        ...

    def open_sealed(self, tenant: str, public_key: str, sealed: bytes, info: bytes) -> bytes:
        """Decrypt what was encrypted to a tenant's key of category PRE_AUTH (HPKE, RFC 9180).

        Mode base, DHKEM by the key's curve (P-256 or X25519), HKDF-SHA256, AES-256-GCM, one
        message, no associated data; `sealed` is the encapsulated key followed by the ciphertext.

        Raises:
            NotFoundError: the tenant holds no such key of this category.
            SealedInvalidError: it does not open with this key and `info`.
        """
        ...

    def tls_key(self, tenant: str, public_key: str) -> bytes:
        """The private key of category TLS with this public key, as PKCS#8 in DER.

        The only private key that leaves the store: OpenSSL needs it in the gateway's process.

        Raises:
            NotFoundError: the tenant holds no such key of this category.
        """
        ...

    def export_keys(self, tenant: str, alias: str | None = None) -> Sequence[KeyMaterial]:
        """Keys of a virtual node with their private keys, oldest first, for its move.

        Args:
            tenant: the node; or the cluster, for the key of a static group.
            alias: of the only key that is meant: of the cluster's keys, those of static groups
                alone leave (`STATIC_GROUP_ALIAS`).

        Raises:
            RequestInvalidError: there cannot be such a tenant, or it is the cluster's.
        """
        ...

    def import_keys(self, tenant: str, keys: Sequence[KeyMaterial]) -> None:
        """Store keys of a node that moves here, each wrapped anew; those that are here stay.

        Raises:
            InvalidInputError: a private key is not one of its scheme, or not that of its public
                key; none is stored.
            ConflictError: the node has another key of one of the aliases.
        """
        ...

    def erase(self, tenant: str, alias: str | None = None) -> None:
        """Delete all keys of a virtual node, its wrapping keys and its HSM associations.

        With an alias that key alone, which may be of a static group (`export_keys`).
        """
        ...

    def assign_hsm(self, tenant: str, category: KeyCategory) -> HsmAssociation:
        """Allow a tenant to create keys of a category; a repeated call returns the same result."""
        ...

    def hsm(self, tenant: str, category: KeyCategory) -> HsmAssociation | None: ...

    def start_rotation(self, tenant: str) -> KeyRotation:
        """Give a tenant a new wrapping key, or the host a new master key (`master`).

        New keys are wrapped under it; `rotate_some` rewraps the existing ones.

        Raises:
            ForbiddenError: an earlier rotation of the tenant is in progress.
        """
        ...

    def rotate_some(self, tenant: str) -> KeyRotation | None:
        """Continue a rotation for a while; call until it is complete, which deletes the old key.

        May be repeated, and called by several processes at once. Returns None if there is no
        rotation.
        """
        ...

    def take_over_rotations(self) -> int:
        """Complete the rotations without progress for 30 seconds; returns their number.

        The process that holds the keys calls it every ten seconds.

        Raises:
            StorageError: the keys cannot be written.
        """
        ...

    def rotation(self, tenant: str) -> KeyRotation | None:
        """The progress of the latest rotation of a tenant."""
        ...


class MasterKeys(Protocol):
    """The master keys by generation, from 1 on."""

    def make(self, generation: int) -> bytes:
        """The key of a generation, created if there is none; it is stored before it is returned."""
        ...

    def get(self, generation: int) -> bytes:
        """The key of a generation.

        Raises:
            MasterKeyGoneError: it was destroyed, or never created.
            MasterKeyError: a passphrase is given, and the key is a random one, or the reverse.
        """
        ...

    def destroy_before(self, generation: int) -> None:
        """Destroy all older generations."""
        ...
