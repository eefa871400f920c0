"""The soft key store: key pairs in the cluster's database, private keys wrapped per tenant."""

import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from sqlalchemy import Connection, Row, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from host.database.prepared import Prepared, PreparedRow
from host.database.sql import Upsert
from host.domain.errors import RequestInvalidError
from host.domain.ids import EpochMs, ShortHash
from host.keys.aliases import check_alias
from host.keys.errors import (
    KeyAliasExistsError,
    KeyMaterialError,
    KeyNotFoundError,
    MasterKeyGoneError,
)
from host.keys.leaving import LeavingKeys
from host.keys.master import MasterKeys
from host.keys.queries import prepared_of, statement_of
from host.keys.rotation import (
    KEYS_AT_ONCE,
    Rotations,
    signing_key_binding,
    wrapping_key_alias,
)
from host.keys.schemes import (
    StoredPrivateKey,
    decode_public,
    decode_stored,
    encode_public,
    find_spec,
    id_of,
    names_of,
    sign_with,
)
from host.keys.sealing import new_key, open_hpke, seal, unseal
from host.keys.tables import HSM, SIGNING_KEY
from host.keys.wrapping import NONCE_BYTES, unwrap, wrap
from host.keys.wrapping_keys import WrappingKeys
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.keys import (
    MASTER_TENANT,
    HsmAssociation,
    KeyCategory,
    KeyInfo,
    KeyMaterial,
    KeyQuery,
    KeyRotation,
)

_TENANT = re.compile(r"[0-9A-F]{12}|p2p")

_KEEP_HSM = Upsert(table=HSM, keep=True)
_SELECT_KEYS = select(SIGNING_KEY).order_by(SIGNING_KEY.c.created_at, SIGNING_KEY.c.alias)
_FIND = Prepared(
    select(SIGNING_KEY).where(
        SIGNING_KEY.c.tenant == bindparam("of_tenant"), SIGNING_KEY.c.key_id == bindparam("of_id")
    )
)


class SoftKeyStore:
    """The `KeyStore` port. Thread-safe."""

    def __init__(
        self,
        database: SqlDatabase,
        *,
        masters: MasterKeys,
        clock: Clock,
        entropy: Entropy,
        keys_at_once: int = KEYS_AT_ONCE,
    ) -> None:
        """Open the store, check its master key, and complete rotations that a crash interrupted.

        Args:
            database: the cluster's, opened with this package's `SCHEMA`.
            masters: the master keys.
            clock: the host's time.
            entropy: source of wrapping keys, nonces and identifiers.
            keys_at_once: how many keys a rotation rewraps in one transaction.

        Raises:
            MasterKeyError: the master key is not the one that the keys are wrapped with.
        """
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._wrapping = WrappingKeys(masters, clock=clock, entropy=entropy)
        self._rotations = Rotations(
            database,
            masters,
            self._wrapping,
            clock=clock,
            entropy=entropy,
            keys_at_once=keys_at_once,
        )
        self._leaving = LeavingKeys(database, self._wrapping, entropy)
        self._wrapping.derive_master(database)
        self._wrapping.outside(lambda: database.transact(self._wrapping.check_master))
        self._rotations.resume()

    def create(self, tenant: str, category: KeyCategory, alias: str, scheme: str) -> KeyInfo:
        _check_tenant(tenant)
        check_alias(alias)
        private_key = new_key(category, scheme)
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
        try:
            generation = self._wrapping.outside(
                lambda: self._database.transact(lambda c: self._insert(c, key, private_key))
            )
        except IntegrityError as exc:
            raise KeyAliasExistsError(f"tenant {tenant} has a key {alias!r} already") from exc
        return replace(key, master_key_alias=wrapping_key_alias(tenant, generation))

    def list(self, tenant: str) -> Sequence[KeyInfo]:
        """The tenant's keys, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(_SELECT_KEYS.where(SIGNING_KEY.c.tenant == tenant)).all()
        return [_info(row) for row in rows]

    def query(self, tenant: str, query: KeyQuery) -> Sequence[KeyInfo]:
        prepared = prepared_of(tenant, query)
        with self._database.read() as connection:
            if prepared is not None:
                statement, values = prepared
                return [_info(row) for row in statement.all(connection, values)]
            return [_info(row) for row in connection.execute(statement_of(tenant, query))]

    def find_mine(
        self,
        tenant: str,
        public_keys: Sequence[str],
        categories: Sequence[KeyCategory] | None = None,
    ) -> Sequence[str]:
        with self._database.read() as connection:
            return [
                public_key
                for public_key in public_keys
                if _find(connection, tenant, public_key, categories) is not None
            ]

    def sign(
        self,
        tenant: str,
        public_key: str,
        data: bytes,
        spec: str,
        categories: Sequence[KeyCategory] | None = None,
    ) -> bytes:
        find_spec(spec, decode_public(public_key))
        private_key = self._retried(tenant, public_key, categories)
        assert not isinstance(private_key, X25519PrivateKey), spec  # noqa: S101  # by decode_public
        return sign_with(private_key, data, spec)

    def seal(self, tenant: str, data: bytes, bound_to: str) -> bytes:
        _check_tenant(tenant)
        generation, wrapping_key = self._newest(tenant)
        nonce = self._entropy.random_bytes(NONCE_BYTES)
        return seal(wrapping_key, generation, data, tenant=tenant, bound_to=bound_to, nonce=nonce)

    def open(self, tenant: str, sealed: bytes, bound_to: str) -> bytes:
        _check_tenant(tenant)

        def wrapping_key(generation: int) -> bytes:
            with self._database.read() as connection:
                return self._wrapping.get(connection, tenant, generation)

        def opened() -> bytes:
            return unseal(sealed, wrapping_key, tenant=tenant, bound_to=bound_to)

        try:
            return self._wrapping.outside(opened)
        except MasterKeyGoneError:  # as in `_retried`
            return self._wrapping.outside(opened)

    def open_sealed(self, tenant: str, public_key: str, sealed: bytes, info: bytes) -> bytes:
        private_key = self._retried(tenant, public_key, (KeyCategory.PRE_AUTH,))
        return open_hpke(private_key, sealed, info)

    def tls_key(self, tenant: str, public_key: str) -> bytes:
        private_key = self._retried(tenant, public_key, (KeyCategory.TLS,))
        return private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def export_keys(self, tenant: str, alias: str | None = None) -> Sequence[KeyMaterial]:
        return self._leaving.export(tenant, alias)

    def import_keys(self, tenant: str, keys: Sequence[KeyMaterial]) -> None:
        self._leaving.take(tenant, keys)

    def erase(self, tenant: str, alias: str | None = None) -> None:
        self._leaving.erase(tenant, alias)

    def assign_hsm(self, tenant: str, category: KeyCategory) -> HsmAssociation:
        _check_tenant(tenant)
        values = {
            "tenant": tenant,
            "category": category.value,
            "association_id": str(uuid.UUID(bytes=self._entropy.random_bytes(16), version=4)),
        }
        self._database.transact(lambda connection: _KEEP_HSM.run(connection, values))
        association = self.hsm(tenant, category)
        assert association is not None, tenant  # noqa: S101  # associations stay
        return association

    def hsm(self, tenant: str, category: KeyCategory) -> HsmAssociation | None:
        statement = select(HSM).where(HSM.c.tenant == tenant, HSM.c.category == category.value)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        return HsmAssociation(association_id=row.association_id, tenant=tenant, category=category)

    def start_rotation(self, tenant: str) -> KeyRotation:
        if tenant != MASTER_TENANT:
            _check_tenant(tenant)
        return self._rotations.start(tenant)

    def rotate_some(self, tenant: str) -> KeyRotation | None:
        return self._rotations.advance(tenant)

    def take_over_rotations(self) -> int:
        return self._rotations.take_over()

    def rotation(self, tenant: str) -> KeyRotation | None:
        return self._rotations.get(tenant)

    def _newest(self, tenant: str) -> tuple[int, bytes]:
        """Generation and bytes of a tenant's current wrapping key; only its first one writes."""
        return self._wrapping.outside(lambda: self._newest_derived(tenant))

    def _newest_derived(self, tenant: str) -> tuple[int, bytes]:
        with suppress(MasterKeyGoneError), self._database.read() as connection:  # as in `_retried`
            generation = self._wrapping.generation(connection, tenant)
            if generation is not None:
                return generation, self._wrapping.get(connection, tenant, generation)
        return self._database.transact(lambda c: self._wrapping.newest(c, tenant))

    def _retried(
        self, tenant: str, public_key: str, categories: Sequence[KeyCategory] | None
    ) -> StoredPrivateKey:
        def found() -> StoredPrivateKey:
            return self._private(tenant, public_key, categories)

        try:
            return self._wrapping.outside(found)
        except MasterKeyGoneError:
            # Another process has rotated it between our snapshot and our read of its file.
            return self._wrapping.outside(found)

    def _private(
        self, tenant: str, public_key: str, categories: Sequence[KeyCategory] | None
    ) -> StoredPrivateKey:
        with self._database.read() as connection:
            row = _find(connection, tenant, public_key, categories)
            if row is None:
                wanted = "" if categories is None else f" of {', '.join(categories)}"
                key_id = id_of(decode_stored(public_key))
                raise KeyNotFoundError(
                    f"tenant {tenant} holds no key {key_id}{wanted}", kind="key", named=key_id
                )
            wrapping_key = self._wrapping.get(connection, tenant, row.wrapping_generation)
        return _unwrap_private(wrapping_key, row)

    def _insert(self, connection: Connection, key: KeyInfo, private_key: StoredPrivateKey) -> int:
        """Store a key; returns the generation of the wrapping key that wraps it."""
        generation, wrapping_key = self._wrapping.newest(connection, key.tenant)
        encoded = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        wrapped = wrap(
            wrapping_key,
            encoded,
            bound_to=signing_key_binding(key.tenant, key.key_id),
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
                "wrapping_generation": generation,
                "wrapped": wrapped,
                "created_at": key.created_at,
            },
        )
        return generation


def _check_tenant(tenant: str) -> None:
    if not _TENANT.fullmatch(tenant):
        raise RequestInvalidError(f"{tenant[:64]!r} is no tenant: a short hash, or p2p")


def _find(
    connection: Connection,
    tenant: str,
    public_key: str,
    categories: Sequence[KeyCategory] | None,
) -> PreparedRow | None:
    names = names_of(public_key)
    row = _FIND.first(connection, {"of_tenant": tenant, "of_id": names.id})
    # A key id has only 48 bits: another key with the same id must not be accepted as ours.
    if row is None or row.public_key != names.canonical:
        return None
    return row if categories is None or row.category in categories else None


def _unwrap_private(wrapping_key: bytes, row: PreparedRow) -> StoredPrivateKey:
    encoded = unwrap(
        wrapping_key, row.wrapped, bound_to=signing_key_binding(row.tenant, row.key_id)
    )
    # To tell whether an RSA key is sound takes 0.15 s, for each signature. This store made it, and
    # encrypted it so that a change is noticed.
    key = load_der_private_key(encoded, password=None, unsafe_skip_rsa_key_validation=True)
    # Also a key of another scheme: what it is used for goes by the row's public key.
    if not isinstance(key, StoredPrivateKey) or encode_public(key.public_key()) != row.public_key:
        raise KeyMaterialError(
            f"key {row.key_id} of tenant {row.tenant} is not the one that the row names"
        )
    return key


def _info(row: Row[Any] | PreparedRow) -> KeyInfo:
    return KeyInfo(
        key_id=ShortHash(row.key_id),
        tenant=row.tenant,
        category=KeyCategory(row.category),
        alias=row.alias,
        scheme=row.scheme,
        public_key=row.public_key,
        created_at=EpochMs(row.created_at),
        master_key_alias=wrapping_key_alias(row.tenant, row.wrapping_generation),
    )
