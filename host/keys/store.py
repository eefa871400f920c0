"""The soft key store: key pairs in the cluster's database, private keys wrapped per tenant."""

import re
from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from sqlalchemy import Connection, Row, insert, select

from host.db import Database
from host.domain.errors import InvalidInputError
from host.domain.ids import EpochMs, ShortHash
from host.keys.errors import (
    KeyAliasExistsError,
    KeyAliasInvalidError,
    KeyMaterialError,
    KeyNotFoundError,
    MasterKeyError,
)
from host.keys.schemes import (
    PrivateKey,
    decode_public,
    encode_public,
    find_scheme,
    find_spec,
    id_of,
    sign_with,
)
from host.keys.tables import MASTER_CHECK, SIGNING_KEY, WRAPPING_KEY
from host.keys.wrapping import KEY_BYTES, NONCE_BYTES, unwrap, wrap
from host.ports.clock import Clock, Entropy
from host.ports.keys import KeyCategory, KeyInfo

_ALIAS = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TENANT = re.compile(r"[0-9A-F]{12}|p2p")
_CHECK = "cordbox master key"

_SELECT_CHECK = select(MASTER_CHECK.c.wrapped)
_SELECT_WRAPPING = select(WRAPPING_KEY.c.wrapped)
_SELECT_KEYS = select(SIGNING_KEY).order_by(SIGNING_KEY.c.created_at, SIGNING_KEY.c.alias)


class SoftKeyStore:
    """The `KeyStore` port. Thread-safe."""

    def __init__(
        self, database: Database, *, master_key: bytes, clock: Clock, entropy: Entropy
    ) -> None:
        """Open the store and check that `master_key` is the one that its keys are wrapped with.

        Raises:
            MasterKeyError: it is not.
        """
        self._database = database
        self._master_key = master_key
        self._clock = clock
        self._entropy = entropy
        with database.write() as connection:
            self._check_master(connection)

    def create(self, tenant: str, category: KeyCategory, alias: str, scheme: str) -> KeyInfo:
        if not _TENANT.fullmatch(tenant):
            raise InvalidInputError(f"{tenant[:64]!r} is no tenant: a short hash, or p2p")
        if not _ALIAS.fullmatch(alias):
            raise KeyAliasInvalidError(
                f"key alias {alias[:128]!r}: expected 1 to 128 letters, digits, '.', '-' or '_'"
            )
        private_key = find_scheme(scheme).generate()
        public_key = private_key.public_key()
        key = KeyInfo(
            key_id=id_of(public_key),
            tenant=tenant,
            category=category,
            alias=alias,
            scheme=scheme,
            public_key=encode_public(public_key),
            created_at=self._clock.now_ms(),
        )
        with self._database.write() as connection:
            self._insert(connection, key, private_key)
        return key

    def list(self, tenant: str) -> Sequence[KeyInfo]:
        """The tenant's keys, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(_SELECT_KEYS.where(SIGNING_KEY.c.tenant == tenant)).all()
        return [_info(row) for row in rows]

    def find_mine(self, tenant: str, public_keys: Sequence[str]) -> Sequence[str]:
        with self._database.read() as connection:
            return [
                public_key
                for public_key in public_keys
                if _find(connection, tenant, public_key) is not None
            ]

    def sign(self, tenant: str, public_key: str, data: bytes, spec: str) -> bytes:
        find_spec(spec, decode_public(public_key))
        with self._database.read() as connection:
            row = _find(connection, tenant, public_key)
            if row is None:
                raise KeyNotFoundError(
                    f"tenant {tenant} holds no key {id_of(decode_public(public_key))}"
                )
            wrapping_key = self._wrapping_key(connection, tenant)
        return sign_with(_unwrap_private(wrapping_key, row), data, spec)

    def _insert(self, connection: Connection, key: KeyInfo, private_key: PrivateKey) -> None:
        same_alias = select(SIGNING_KEY.c.key_id).where(
            SIGNING_KEY.c.tenant == key.tenant, SIGNING_KEY.c.alias == key.alias
        )
        if connection.execute(same_alias).first() is not None:
            raise KeyAliasExistsError(f"tenant {key.tenant} has a key {key.alias!r} already")
        wrapping_key = self._wrapping_key(connection, key.tenant, create=True)
        encoded = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        wrapped = wrap(
            wrapping_key,
            encoded,
            bound_to=_binding(key.tenant, key.key_id),
            nonce=self._entropy.random_bytes(NONCE_BYTES),
        )
        connection.execute(
            insert(SIGNING_KEY),
            {
                "tenant": key.tenant,
                "key_id": key.key_id,
                "category": key.category.value,
                "alias": key.alias,
                "scheme": key.scheme,
                "public_key": key.public_key,
                "wrapped": wrapped,
                "created_at": key.created_at,
            },
        )

    def _wrapping_key(self, connection: Connection, tenant: str, *, create: bool = False) -> bytes:
        bound_to = f"wrapping-key/{tenant}"
        wrapped = connection.execute(
            _SELECT_WRAPPING.where(WRAPPING_KEY.c.tenant == tenant)
        ).scalar_one_or_none()
        if wrapped is not None:
            return unwrap(self._master_key, wrapped, bound_to=bound_to)
        if not create:
            raise KeyMaterialError(f"tenant {tenant} has keys and no wrapping key")
        fresh = self._entropy.random_bytes(KEY_BYTES)
        connection.execute(
            insert(WRAPPING_KEY),
            {
                "tenant": tenant,
                "wrapped": self._under_master(fresh, bound_to),
                "created_at": self._clock.now_ms(),
            },
        )
        return fresh

    def _check_master(self, connection: Connection) -> None:
        wrapped = connection.execute(_SELECT_CHECK).scalar_one_or_none()
        if wrapped is None:
            connection.execute(
                insert(MASTER_CHECK),
                {"name": "v1", "wrapped": self._under_master(_CHECK.encode(), "master-check")},
            )
            return
        try:
            unwrap(self._master_key, wrapped, bound_to="master-check")
        except KeyMaterialError as exc:
            raise MasterKeyError(
                f"the master key is not the one that the keys in {self._database.path}"
                " are wrapped with"
            ) from exc

    def _under_master(self, secret: bytes, bound_to: str) -> bytes:
        nonce = self._entropy.random_bytes(NONCE_BYTES)
        return wrap(self._master_key, secret, bound_to=bound_to, nonce=nonce)


def _find(connection: Connection, tenant: str, public_key: str) -> Row[tuple[object, ...]] | None:
    key = decode_public(public_key)
    row = connection.execute(
        select(SIGNING_KEY).where(
            SIGNING_KEY.c.tenant == tenant, SIGNING_KEY.c.key_id == id_of(key)
        )
    ).one_or_none()
    # A key id is 48 bits: whoever finds another key of the same id must not be taken for ours.
    return row if row is not None and row.public_key == encode_public(key) else None


def _unwrap_private(wrapping_key: bytes, row: Row[tuple[object, ...]]) -> PrivateKey:
    encoded = unwrap(wrapping_key, row.wrapped, bound_to=_binding(row.tenant, row.key_id))
    key = load_der_private_key(encoded, password=None)
    if not isinstance(key, PrivateKey):
        raise KeyMaterialError(f"key {row.key_id} of tenant {row.tenant} is of no known scheme")
    return key


def _binding(tenant: str, key_id: str) -> str:
    return f"signing-key/{tenant}/{key_id}"


def _info(row: Row[tuple[object, ...]]) -> KeyInfo:
    return KeyInfo(
        key_id=ShortHash(row.key_id),
        tenant=row.tenant,
        category=KeyCategory(row.category),
        alias=row.alias,
        scheme=row.scheme,
        public_key=row.public_key,
        created_at=EpochMs(row.created_at),
    )
