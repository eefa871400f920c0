"""What links ask of membership (`LinkMembers`), over the tables of lists and hosted identities."""

import threading
from dataclasses import replace

import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import bindparam, select

from cpi.crypto.certificates import load_pem_certificates
from cpi.errors import CpiError
from host.database.prepared import Prepared
from host.database.revision_cache import RevisionCache
from host.domain.errors import HostError, NotFoundError
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.network.client_certificates import SessionCertificates, subject_of, trusted_chain
from host.network.hosted import SESSION_USAGE
from host.network.link.handshake import SessionKey, no_certificates
from host.network.link.members import LinkIdentity, LinkPeer
from host.network.membership import group_store
from host.network.membership.network_access import (
    NetworkAccess,
    NodeGroup,
    group_of_realm,
)
from host.network.membership.network_registrations import (
    NetworkRegistration,
    applicant,
    names_of_applicants,
)
from host.network.membership.network_tables import LOCAL_KEY, MGM_GROUP, MGM_SUBJECT
from host.network.membership.viewers import Viewers
from host.network.membership.views import MemberViews
from host.network.revoked import Revoked, never_revoked
from host.network.values import contexts
from host.network.values.contexts import Context
from host.ports.certificates import CertificateChains
from host.ports.hosted import HostedIdentities, HostedIdentity
from host.ports.keys import KeyQuery
from host.ports.locations import ALL_HERE, Locations, Place
from host.ports.public_keys import PublicKeys

_log = structlog.get_logger("cordbox.membership")
_ABSENT = (Place.MOVED, Place.IMPORTING)
_CLIENT_MS = 60_000
"""A client certificate is judged again after this time, for it may have expired."""
_LOCAL_KEYS = Prepared(
    select(LOCAL_KEY.c.key_digest, LOCAL_KEY.c.spec).where(
        LOCAL_KEY.c.realm == bindparam("of_realm"), LOCAL_KEY.c.short_hash == bindparam("node")
    )
)
_LOCAL = Prepared(
    select(LOCAL_KEY.c.short_hash).where(
        LOCAL_KEY.c.realm == bindparam("of_realm"), LOCAL_KEY.c.key_digest == bindparam("digest")
    )
)
_MGM = Prepared(select(MGM_GROUP.c.short_hash).where(MGM_GROUP.c.realm == bindparam("of_realm")))


class NetworkMembers:
    """`host.network.link.members.LinkMembers`. Thread-safe; answers are remembered in memory.

    Args:
        access: the host's parts.
        hosted: network setups of nodes here.
        certificates: their certificates.
        viewers: the nodes here.
        views: is told when a peer has a newer list.
    """

    def __init__(
        self,
        access: NetworkAccess,
        *,
        hosted: HostedIdentities,
        certificates: CertificateChains,
        viewers: Viewers,
        views: MemberViews,
        locations: Locations = ALL_HERE,
        session_revoked: Revoked = never_revoked,
        client_revoked: Revoked = never_revoked,
    ) -> None:
        self._access = access
        self._hosted = hosted
        self._certificates = certificates
        self._views = views
        self._locations = locations
        self._session_revoked = session_revoked
        self._client_revoked = client_revoked
        database = access.database
        self._viewers = viewers
        self._identities = RevisionCache(database, self._read_identity)
        self._locals = RevisionCache(database, self._read_local)
        self._mgms = RevisionCache(database, self._read_mgm)
        self._peers = RevisionCache(database, self._read_peer)
        self._keys = RevisionCache(database, self._read_key)
        self._clients = RevisionCache(database, self._read_client)
        self._told = dict[ShortHash, tuple[int, int]]()
        self._lock = threading.Lock()

    def is_dynamic(self, holding: HoldingIdentity) -> bool:
        """Whether an identity has a node here that belongs to a dynamic network."""
        return self._viewers.of(holding) is not None

    def identity(self, holding: HoldingIdentity) -> LinkIdentity | None:
        found = self._identities.get(holding.short_hash)
        return found if found is not None and found.holding == holding else None

    def local(self, realm: bytes, session_key_digest: bytes) -> LinkIdentity | None:
        return self._locals.get((realm, session_key_digest))

    def mgm(self, realm: bytes) -> LinkIdentity | None:
        return self._mgms.get(realm)

    def peer(self, viewer: HoldingIdentity, name: MemberX500Name) -> LinkPeer | None:
        found = self._viewers.of(viewer)
        if found is None:
            return None
        listed = self._peers.get((viewer.short_hash, str(name)))
        if not found.group.is_mgm or name == found.group.mgm.x500_name:
            return listed
        with self._access.database.read() as connection:
            request = applicant(
                connection, viewer.short_hash, name=str(name), now=self._access.clock.now_ms()
            )
        return listed if request is None else self._with_request(listed, request, viewer.group_id)

    def peer_of_key(self, viewer: HoldingIdentity, session_key_digest: bytes) -> LinkPeer | None:
        found = self._viewers.of(viewer)
        if found is None:
            return None
        name = self._keys.get((viewer.short_hash, session_key_digest))
        names = [] if name is None else [name]
        if name is None and found.group.is_mgm:
            digest = f"SHA-256:{session_key_digest.hex().upper()}"
            with self._access.database.read() as connection:
                names += names_of_applicants(connection, viewer.short_hash, digest)
        for each in names:
            peer = self.peer(viewer, MemberX500Name.parse(each))
            if peer is not None and any(key.digest == session_key_digest for key in peer.keys):
                return peer
        return None

    def list_version(self, viewer: HoldingIdentity) -> tuple[int, bytes]:
        found = self._viewers.of(viewer)
        return (0, b"") if found is None else (found.version, found.head_hash)

    def admits_client(self, realm: bytes, chain: tuple[bytes, ...]) -> bool:
        return self._clients.get((realm, chain, self._access.clock.now_ms() // _CLIENT_MS))

    def behind(self, viewer: HoldingIdentity, version: int, head_hash: bytes) -> None:
        del head_hash  # of the same version it proves nothing: only a signed head is a fork
        found = self._viewers.of(viewer)
        own = found.version if found else 0
        with self._lock:
            told, at = self._told.get(viewer.short_hash, (0, own))
            # A claim counts until the list has moved on: one too high would hide all later ones.
            if version <= max(own, told if at == own else 0):
                return
            self._told[viewer.short_hash] = (version, own)
        try:
            self._views.behind(viewer, version)
        except HostError as exc:
            _log.warning("membership-behind-lost", viewer=viewer.short_hash, reason=exc.message)
            with self._lock:
                self._told.pop(viewer.short_hash, None)

    def _read_identity(self, short_hash: ShortHash) -> LinkIdentity | None:
        viewer, setup = self._viewers.of_hash(short_hash), self._hosted.hosted(short_hash)
        if viewer is None or setup is None or self._locations.place(short_hash) in _ABSENT:
            return None
        group = viewer.group
        keys = self._own_keys(short_hash, setup, group.signer.realm)
        if not keys:
            return None
        with self._access.database.read() as connection:
            name = str(group.holding.x500_name)
            own = group_store.member_at(connection, group.signer.realm, name, viewer.version)
        roots = group.policy.session_roots
        return LinkIdentity(
            holding=group.holding,
            realm=bytes.fromhex(group.signer.realm),
            keys=keys,
            mode=group.policy.mode,
            tls_tenant=setup.tls_tenant,
            tls_alias=setup.tls_alias if group.policy.is_mutual else None,
            tls_roots=group.policy.tls_roots,
            certificates=None if roots is None else self._session_chain(short_hash, setup),
            certificate_check=no_certificates
            if roots is None
            else SessionCertificates(
                roots, self._access.public_keys, self._access.clock, self._session_revoked
            ),
            location_epoch=max(
                self._locations.claimed_epoch(short_hash),
                0 if own is None else _epoch(own.member),
            ),
            is_mgm=group.is_mgm,
        )

    def _own_keys(
        self, short_hash: ShortHash, setup: HostedIdentity, realm: str
    ) -> tuple[SessionKey, ...]:
        ids = [setup.preferred.key_id, *(k.key_id for k in setup.session_keys if not k.preferred)]
        found = {
            key.key_id: key
            for key in self._access.keys.query(short_hash, KeyQuery(ids=tuple(ids), limit=len(ids)))
        }
        with self._access.database.read() as connection:
            rows = _LOCAL_KEYS.all(connection, {"of_realm": realm, "node": short_hash})
        specs = {row.key_digest: row.spec for row in rows}
        public_keys = self._access.public_keys
        return tuple(
            session_key(public_keys, found[each].public_key, specs.get(digest, ""))
            for each in ids
            if each in found
            for digest in [public_keys.digest(found[each].public_key)]
        )

    def _session_chain(self, short_hash: ShortHash, setup: HostedIdentity) -> tuple[bytes, ...]:
        alias = setup.preferred.certificate_alias
        if alias is None:
            return ()
        try:
            pem = self._certificates.chain(SESSION_USAGE, alias, tenant=short_hash)
            chain = load_pem_certificates(pem.encode(), source=f"certificate {alias!r}")
        except (NotFoundError, CpiError) as exc:
            _log.warning("session-certificate-unusable", node=short_hash, reason=str(exc))
            return ()
        return tuple(each.public_bytes(Encoding.DER) for each in chain)

    def _read_local(self, wanted: tuple[bytes, bytes]) -> LinkIdentity | None:
        realm, digest = wanted
        values = {"of_realm": realm.hex(), "digest": f"SHA-256:{digest.hex().upper()}"}
        with self._access.database.read() as connection:
            nodes = [ShortHash(row.short_hash) for row in _LOCAL.all(connection, values)]
        for each in nodes:
            found = self._read_identity(each)
            if found is not None and any(key.digest == digest for key in found.keys):
                return found
        return None

    def _read_mgm(self, realm: bytes) -> LinkIdentity | None:
        with self._access.database.read() as connection:
            short_hash = _MGM.value(connection, {"of_realm": realm.hex()})
        return None if short_hash is None else self._read_identity(ShortHash(short_hash))

    def _read_peer(self, wanted: tuple[ShortHash, str]) -> LinkPeer | None:
        short_hash, name = wanted
        viewer = self._viewers.of_hash(short_hash)
        if viewer is None:
            return None
        group = viewer.group
        is_mgm = name == str(group.mgm.x500_name)
        with self._access.database.read() as connection:
            found = viewer.member(connection, name)
            if found is None and is_mgm:
                # What other nodes here have stored of the MGM, which may have moved since.
                newest = group_store.newest_version(connection, group.signer.realm)
                found = group_store.member_at(connection, group.signer.realm, name, newest)
        if found is not None:
            return self._peer(found.member, group.holding.group_id, found.status, is_mgm=is_mgm)
        if not is_mgm:
            return None
        # Before its first list a member knows the MGM by its policy alone.
        return self._peer(group.info, group.holding.group_id, MemberStatus.ACTIVE, is_mgm=True)

    def _read_key(self, wanted: tuple[ShortHash, bytes]) -> str | None:
        """The name of the member that has a key, as a viewer's list has it."""
        short_hash, digest = wanted
        viewer = self._viewers.of_hash(short_hash)
        if viewer is None:
            return None
        realm, text = viewer.group.signer.realm, f"SHA-256:{digest.hex().upper()}"
        with self._access.database.read() as connection:
            names = group_store.names_of_key(connection, realm, "session", text)
        for name in [*names, str(viewer.group.mgm.x500_name)]:
            peer = self._read_peer((short_hash, name))
            if peer is not None and any(key.digest == digest for key in peer.keys):
                return name
        return None

    def _read_client(self, wanted: tuple[bytes, tuple[bytes, ...], int]) -> bool:
        realm, chain, _ = wanted
        group = group_of_realm(self._access, realm.hex())
        if group is None:
            return False
        if not group.policy.is_mutual:
            return True
        try:
            leaf = trusted_chain(
                chain, group.policy.tls_roots, self._access.clock, whose="TLS client's"
            )[0]
        except (CpiError, ValueError, IndexError) as exc:
            _log.info("tls-client-refused", group=group.holding.group_id, reason=str(exc))
            return False
        refused = self._client_revoked(chain, group.policy.tls_roots)
        if refused is not None:
            _log.info("tls-client-refused", group=group.holding.group_id, reason=refused)
            return False
        subject = subject_of(leaf)
        return subject is not None and self._is_allowed(group, str(subject))

    def _is_allowed(self, group: NodeGroup, subject: str) -> bool:
        """Whether a TLS subject is the MGM's, a member's, or one that an MGM here allows."""
        own = group.policy.mgm_subject
        if own is not None and str(MemberX500Name.parse(own)) == subject:
            return True
        realm = group.signer.realm
        allowed = (
            select(MGM_SUBJECT.c.subject)
            .join(MGM_GROUP, MGM_GROUP.c.short_hash == MGM_SUBJECT.c.short_hash)
            .where(MGM_GROUP.c.realm == realm, MGM_SUBJECT.c.subject == subject)
        )
        with self._access.database.read() as connection:
            if connection.execute(allowed).first() is not None:
                return True
            newest = group_store.newest_version(connection, realm)
            digest = group_store.subject_digest(subject)
            for name in group_store.names_of_key(connection, realm, "tls", digest):
                found = group_store.member_at(connection, realm, name, newest)
                if found is not None and found.member.get(contexts.TLS_SUBJECT) == subject:
                    return True
        return False

    def _with_request(
        self, listed: LinkPeer | None, request: NetworkRegistration, group_id: str
    ) -> LinkPeer:
        """An applicant as its MGM sees it. A listed member may be where its request says it is."""
        asked = self._peer(request.member, group_id, MemberStatus.PENDING, is_mgm=False)
        if listed is None:
            return asked
        if not {key.digest for key in asked.keys} <= {key.digest for key in listed.keys}:
            return listed
        # Where one copy works here, links lead to the other one alone, which claims the place.
        others = () if asked.urls and self._works_here(listed) else listed.urls
        urls = dict.fromkeys((*asked.urls, *others))
        epoch = max(listed.location_epoch, asked.location_epoch)
        return replace(listed, urls=tuple(urls), location_epoch=epoch)

    def _works_here(self, listed: LinkPeer) -> bool:
        """Whether a member's node is on this cluster, and neither leaves nor arrives."""
        here = self.identity(listed.holding)
        is_same = here is not None and any(key in listed.keys for key in here.keys)
        return is_same and self._locations.place(listed.holding.short_hash) is Place.HERE

    def _peer(
        self, context: Context, group_id: str, status: MemberStatus, *, is_mgm: bool
    ) -> LinkPeer:
        return LinkPeer(
            holding=HoldingIdentity(
                x500_name=MemberX500Name.parse(context[contexts.NAME]), group_id=group_id
            ),
            status=status,
            keys=tuple(
                session_key(self._access.public_keys, key.public_key, key.spec)
                for key in contexts.keys_of(context, contexts.SESSION_KEYS)
            ),
            urls=tuple(each.url for each in contexts.endpoints_of(context)),
            location_epoch=_epoch(context),
            is_mgm=is_mgm,
        )


def session_key(public_keys: PublicKeys, pem: str, spec: str) -> SessionKey:
    """A session key with the digest by which links name it."""
    digest = public_keys.digest(pem).partition(":")[2]
    return SessionKey(
        pem=pem, spec=spec or public_keys.default_spec(pem), digest=bytes.fromhex(digest)
    )


def _epoch(context: Context) -> int:
    text = context.get(contexts.LOCATION_EPOCH, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
