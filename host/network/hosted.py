"""Network setup of virtual nodes: checked against the group policy, and stored.

Source: Corda's `HostedIdentityEntryFactory` and `NetworkRestResourceImpl`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, Text, select

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.trust import validate_path
from cpi.errors import CpiError
from host.database.sql import Upsert
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.ids import ShortHash
from host.domain.vnode import VirtualNode
from host.ports.certificates import CLUSTER_TENANT, CertificateChains, key_tenant
from host.ports.clock import Clock
from host.ports.database import REMEMBERED, Schema, SqlDatabase
from host.ports.directory import VirtualNodes
from host.ports.hosted import HostedIdentity, NetworkSetup, SessionKey
from host.ports.keys import KeyCategory, KeyInfo, KeyQuery, KeyStore
from host.ports.public_keys import PublicKeys

SESSION_KEYS_MAX = 16
TLS_USAGE, SESSION_USAGE = "p2p-tls", "p2p-session"
_MUTUAL, _ONE_WAY = "Mutual", "OneWay"

_METADATA = MetaData()
HOSTED_IDENTITY = Table(
    "hosted_identity",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("tls_tenant", String(12), nullable=False),
    Column("tls_alias", String(255), nullable=False),
    Column("session_keys", Text, nullable=False),
    Column("version", Integer, nullable=False),
    info=REMEMBERED,
)
"""`session_keys` is JSON: a list of `SessionKey`."""
SCHEMA = Schema(name="hosted", metadata=_METADATA)

_PUT = Upsert(table=HOSTED_IDENTITY, replace=("tls_tenant", "tls_alias", "session_keys", "version"))
_keys = msgspec.json.Decoder(tuple[SessionKey, ...])

PolicyOf = Callable[[VirtualNode], Mapping[str, Any] | None]
"""The group policy of a node's network as JSON; None for an MGM that has not registered yet."""


class NetworkSetupRefusedError(InvalidInputError):
    """Keys or certificates of a network setup do not fit the node, or its network's policy."""

    code = "network-setup-refused"


class HostedIdentityRegister:
    """The `HostedIdentities` port.

    Args:
        database: the cluster's, opened with `SCHEMA`.
        is_mutual: whether this cluster's gateways demand certificates of clients.
    """

    def __init__(
        self,
        *,
        database: SqlDatabase,
        virtual_nodes: VirtualNodes,
        policy_of: PolicyOf,
        certificates: CertificateChains,
        keys: KeyStore,
        public_keys: PublicKeys,
        clock: Clock,
        is_mutual: Callable[[], bool],
    ) -> None:
        self._database = database
        self._virtual_nodes = virtual_nodes
        self._policy_of = policy_of
        self._certificates = certificates
        self._keys = keys
        self._public_keys = public_keys
        self._clock = clock
        self._is_mutual = is_mutual

    def setup(self, short_hash: ShortHash, wanted: NetworkSetup) -> None:
        node = self._virtual_nodes.get(short_hash)
        if node is None:
            raise NotFoundError(
                f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
            )
        policy = self._policy_of(node)
        if policy is None:
            raise NetworkSetupRefusedError(f"MGM {short_hash} has not registered its network yet")
        p2p: Mapping[str, Any] = policy.get("p2pParameters") or {}
        self._check_type(p2p)
        _check_preferred(wanted.session_keys)
        tenant = CLUSTER_TENANT if wanted.uses_cluster_tls else short_hash
        self._check_tls(tenant, wanted.tls_alias, p2p)
        for key in wanted.session_keys:
            self._check_session_key(short_hash, key, policy)
        self._database.transact(lambda connection: _store(connection, short_hash, tenant, wanted))

    def hosted(self, short_hash: ShortHash) -> HostedIdentity | None:
        statement = select(HOSTED_IDENTITY).where(HOSTED_IDENTITY.c.short_hash == short_hash)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else _identity(row)

    def all(self) -> Sequence[HostedIdentity]:
        statement = select(HOSTED_IDENTITY).order_by(HOSTED_IDENTITY.c.short_hash)
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return [_identity(row) for row in rows]

    def _check_type(self, p2p: Mapping[str, Any]) -> None:
        own = _MUTUAL if self._is_mutual() else _ONE_WAY
        wanted = p2p.get("tlsType", _ONE_WAY)
        if wanted != own:
            raise NetworkSetupRefusedError(
                f"the network's tlsType is {wanted}, this cluster's"
                f" (corda.p2p.gateway sslConfig.tlsType) is {own}"
            )
        if p2p.get("tlsVersion", "1.3") != "1.3":
            raise NetworkSetupRefusedError(
                f"the network's tlsVersion is {p2p['tlsVersion']}; gateways speak 1.3 alone"
            )

    def _check_tls(self, tenant: str, alias: str, p2p: Mapping[str, Any]) -> None:
        chain = self._chain(TLS_USAGE, alias, tenant)
        self._check_path(chain, p2p.get("tlsTrustRoots"), "TLS", alias)
        self._own_key(key_tenant(tenant), chain[0], (KeyCategory.TLS,), alias)

    def _check_session_key(
        self, short_hash: ShortHash, wanted: SessionKey, policy: Mapping[str, Any]
    ) -> None:
        found = self._keys.query(short_hash, KeyQuery(ids=(wanted.key_id,)))
        if not found:
            raise NotFoundError(
                f"Virtual node {short_hash} has no key {wanted.key_id}.",
                kind="key",
                named=wanted.key_id,
            )
        categories = _session_categories(policy)
        if found[0].category not in categories:
            raise NetworkSetupRefusedError(
                f"key {wanted.key_id} is of category {found[0].category}, expected"
                f" {' or '.join(categories)}"
            )
        self._check_session_certificate(short_hash, wanted, found[0], policy)

    def _check_session_certificate(
        self,
        short_hash: ShortHash,
        wanted: SessionKey,
        key: KeyInfo,
        policy: Mapping[str, Any],
    ) -> None:
        p2p: Mapping[str, Any] = policy.get("p2pParameters") or {}
        alias = wanted.certificate_alias
        if p2p.get("sessionPki", "NoPKI") == "NoPKI":
            if alias is not None:
                raise NetworkSetupRefusedError(
                    f"session certificate {alias!r}: the network's sessionPki is NoPKI"
                )
            return
        if alias is None:
            raise NetworkSetupRefusedError(
                f"key {wanted.key_id} has no session certificate, which the network's sessionPki"
                f" {p2p['sessionPki']} demands"
            )
        chain = self._chain(SESSION_USAGE, alias, short_hash)
        self._check_path(chain, p2p.get("sessionTrustRoots"), "session", alias)
        if self._public_key(chain[0], alias) != key.public_key:
            raise NetworkSetupRefusedError(
                f"session certificate {alias!r} is not that of key {wanted.key_id}"
            )

    def _chain(self, usage: str, alias: str, tenant: str) -> Sequence[Certificate]:
        pem = self._certificates.chain(usage, alias, tenant=tenant)
        return load_pem_certificates(pem.encode(), source=f"certificate {alias!r}")

    def _check_path(
        self, chain: Sequence[Certificate], roots: object, what: str, alias: str
    ) -> None:
        texts = [str(root) for root in roots] if isinstance(roots, list) else []
        try:
            anchors = [
                anchor
                for text in texts
                for anchor in load_pem_certificates(text.encode(), source="a trust root")
            ]
            now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
            validate_path(chain, anchors, at=now, whose=f"{what} certificate {alias!r}")
        except CpiError as refused:
            raise NetworkSetupRefusedError(
                f"{what} certificate {alias!r} does not lead to the network's trust roots:"
                f" {refused}"
            ) from refused

    def _own_key(
        self, tenant: str, leaf: Certificate, categories: Sequence[KeyCategory], alias: str
    ) -> None:
        public_key = self._public_key(leaf, alias)
        if not self._keys.find_mine(tenant, [public_key], categories):
            key_id = self._public_keys.key_id(public_key)
            raise NotFoundError(
                f"Tenant {tenant} has no TLS key {key_id}, whose certificate {alias!r} is.",
                kind="key",
                named=key_id,
            )

    def _public_key(self, leaf: Certificate, alias: str) -> str:
        try:
            return self._public_keys.canonical(public_key_pem(leaf))
        except (CpiError, InvalidInputError, ValueError) as refused:
            raise NetworkSetupRefusedError(
                f"certificate {alias!r} has a key of no known scheme"
            ) from refused


def check_stored(short_hash: ShortHash, row: Any) -> bool:
    """Whether a row that came with a node is a setup of that node, which can be read.

    Raises:
        NetworkSetupRefusedError, ValueError: its session keys cannot be read or used.
    """
    found = _identity(row)
    _check_preferred(found.session_keys)
    return found.short_hash == short_hash and found.tls_tenant in {CLUSTER_TENANT, short_hash}


def public_key_pem(certificate: Certificate) -> str:
    """The PEM SubjectPublicKeyInfo of a certificate's key."""
    key = certificate.public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def _check_preferred(keys: Sequence[SessionKey]) -> None:
    if len(keys) > SESSION_KEYS_MAX:
        raise NetworkSetupRefusedError(f"{len(keys)} session keys, at most {SESSION_KEYS_MAX}")
    preferred = sum(key.preferred for key in keys)
    if preferred != 1:
        raise NetworkSetupRefusedError(
            f"{preferred} session keys are preferred, expected exactly one"
        )
    if len({key.key_id for key in keys}) != len(keys):
        raise NetworkSetupRefusedError("a session key is named twice")


def _session_categories(policy: Mapping[str, Any]) -> Sequence[KeyCategory]:
    protocol: Mapping[str, Any] = policy.get("protocolParameters") or {}
    if protocol.get("sessionKeyPolicy") == "Combined":
        return (KeyCategory.SESSION_INIT, KeyCategory.LEDGER)
    return (KeyCategory.SESSION_INIT,)


def _store(
    connection: Connection, short_hash: ShortHash, tenant: str, wanted: NetworkSetup
) -> None:
    statement = select(HOSTED_IDENTITY.c.version).where(HOSTED_IDENTITY.c.short_hash == short_hash)
    version: int | None = connection.execute(statement).scalar_one_or_none()
    values = {
        "short_hash": short_hash,
        "tls_tenant": tenant,
        "tls_alias": wanted.tls_alias,
        "session_keys": msgspec.json.encode(wanted.session_keys).decode(),
        "version": (version or 0) + 1,
    }
    _PUT.run(connection, values)


def _identity(row: Any) -> HostedIdentity:
    return HostedIdentity(
        short_hash=ShortHash(row.short_hash),
        tls_tenant=row.tls_tenant,
        tls_alias=row.tls_alias,
        session_keys=_keys.decode(row.session_keys),
        version=row.version,
    )
