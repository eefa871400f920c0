"""Keys of a virtual node that moves: they leave one key store, and are wrapped anew in another."""

import re
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from cpi.crypto.der import DerRefusedError
from cpi.crypto.private_keys import private_key as read_private_key
from host.domain.errors import RequestInvalidError
from host.domain.ids import EpochMs
from host.keys.aliases import check_alias
from host.keys.errors import KeyAliasExistsError, KeyImportError
from host.keys.rotation import signing_key_binding
from host.keys.schemes import (
    X25519,
    StoredPrivateKey,
    decode_stored,
    encode_public,
    id_of,
    scheme_of,
)
from host.keys.sealing import schemes_of
from host.keys.tables import HSM, ROTATED, ROTATION, SIGNING_KEY, WRAPPING_KEY
from host.keys.wrapping import NONCE_BYTES, unwrap, wrap
from host.keys.wrapping_keys import WrappingKeys
from host.ports.clock import Entropy
from host.ports.database import SqlDatabase
from host.ports.keys import STATIC_GROUP_ALIAS, KeyCategory, KeyMaterial

_NODE = re.compile(r"[0-9A-F]{12}")
_CLUSTER = "p2p"
_CREATED_MAX = 2**53
_OF = select(SIGNING_KEY).order_by(SIGNING_KEY.c.created_at, SIGNING_KEY.c.alias)


class LeavingKeys:
    """The part of the key store that moves use. Thread-safe."""

    def __init__(self, database: SqlDatabase, wrapping: WrappingKeys, entropy: Entropy) -> None:
        self._database = database
        self._wrapping = wrapping
        self._entropy = entropy

    def export(self, tenant: str, alias: str | None) -> Sequence[KeyMaterial]:
        """See `KeyStore.export_keys`."""
        _check_owner(tenant, () if alias is None else (alias,))
        return self._wrapping.outside(lambda: self._exported(tenant, alias))

    def _exported(self, tenant: str, alias: str | None) -> Sequence[KeyMaterial]:
        with self._database.read() as connection:
            return [
                KeyMaterial(
                    category=KeyCategory(row.category),
                    alias=row.alias,
                    scheme=row.scheme,
                    public_key=row.public_key,
                    created_at=EpochMs(row.created_at),
                    private_key=unwrap(
                        self._wrapping.get(connection, tenant, row.wrapping_generation),
                        row.wrapped,
                        bound_to=signing_key_binding(tenant, row.key_id),
                    ),
                )
                for row in connection.execute(_OF.where(*_named(tenant, alias)))
            ]

    def take(self, tenant: str, keys: Sequence[KeyMaterial]) -> None:
        """See `KeyStore.import_keys`."""
        _check_owner(tenant, [key.alias for key in keys])
        private_keys = [_checked(key) for key in keys]

        def store(connection: Connection) -> None:
            generation, wrapping_key = self._wrapping.newest(connection, tenant)
            here = {
                row.alias: row.public_key
                for row in connection.execute(_OF.where(SIGNING_KEY.c.tenant == tenant))
            }
            rows = list[dict[str, object]]()
            for key, private_key in zip(keys, private_keys, strict=True):
                if here.get(key.alias, key.public_key) != key.public_key:
                    raise KeyAliasExistsError(f"tenant {tenant} has another key {key.alias!r}")
                if key.alias not in here:
                    rows.append(self._row(tenant, key, private_key, generation, wrapping_key))
            if rows:
                connection.execute(insert(SIGNING_KEY), rows)

        self._wrapping.outside(lambda: self._database.transact(store))

    def erase(self, tenant: str, alias: str | None) -> None:
        """See `KeyStore.erase`."""
        _check_owner(tenant, () if alias is None else (alias,))

        def work(connection: Connection) -> None:
            if alias is not None:
                connection.execute(delete(SIGNING_KEY).where(*_named(tenant, alias)))
                return
            for table in (SIGNING_KEY, WRAPPING_KEY, HSM, ROTATION, ROTATED):
                connection.execute(delete(table).where(table.c.tenant == tenant))

        self._database.transact(work)
        self._database.scrub()

    def _row(
        self,
        tenant: str,
        key: KeyMaterial,
        private_key: StoredPrivateKey,
        generation: int,
        wrapping_key: bytes,
    ) -> dict[str, object]:
        key_id = id_of(private_key.public_key())
        wrapped = wrap(
            wrapping_key,
            private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            bound_to=signing_key_binding(tenant, key_id),
            nonce=self._entropy.random_bytes(NONCE_BYTES),
        )
        return {
            "tenant": tenant,
            "key_id": key_id,
            "category": key.category.value,
            "alias": key.alias,
            "scheme": key.scheme,
            "public_key": key.public_key,
            "wrapping_generation": generation,
            "wrapped": wrapped,
            "created_at": key.created_at,
        }


def _named(tenant: str, alias: str | None) -> Sequence[ColumnElement[bool]]:
    of_tenant = SIGNING_KEY.c.tenant == tenant
    return (of_tenant,) if alias is None else (of_tenant, SIGNING_KEY.c.alias == alias)


def _check_owner(tenant: str, aliases: Sequence[str]) -> None:
    """Refuse keys that never leave: of the cluster's, all but those of static groups."""
    is_of_groups = aliases and all(each.startswith(STATIC_GROUP_ALIAS) for each in aliases)
    if not _NODE.fullmatch(tenant) and not (tenant == _CLUSTER and is_of_groups):
        raise RequestInvalidError(f"{tenant[:64]!r} is no short hash of a virtual node")


def _checked(key: KeyMaterial) -> StoredPrivateKey:
    """The private key of an imported key.

    Raises:
        KeyImportError: it is none of its scheme, or not that of its public key.
        KeyAliasInvalidError: the alias.
    """
    check_alias(key.alias)
    if not 0 <= key.created_at <= _CREATED_MAX:
        raise KeyImportError(f"the key {key.alias!r} was made at no time: {key.created_at}")
    try:
        found = read_private_key(key.private_key, "the file")
    except DerRefusedError as exc:
        raise KeyImportError(f"the private key {key.alias!r} cannot be read") from exc
    if not isinstance(found, StoredPrivateKey):
        raise KeyImportError(f"the private key {key.alias!r} is of no known scheme")
    public_key = decode_stored(key.public_key)
    if encode_public(found.public_key()) != key.public_key:
        raise KeyImportError(f"the private key {key.alias!r} is not that of its public key")
    scheme = X25519 if isinstance(public_key, X25519PublicKey) else scheme_of(public_key).name
    if scheme != key.scheme or scheme not in schemes_of(key.category):
        raise KeyImportError(
            f"the key {key.alias!r} of category {key.category} is of {scheme}, not {key.scheme!r}"
        )
    return found
