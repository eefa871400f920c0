"""Clusters with real databases, key stores and membership code, joined by a medium in memory.

A record is delivered at least once: until its handler returns. Any transaction may be the last one
of a process.
"""

import random
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from host.adapters.sqlite.database import Database
from host.domain.clock import SimClock
from host.domain.ids import Checksum, HoldingIdentity, ShortHash
from host.domain.packages import CpiRecord
from host.domain.vnode import VirtualNode
from host.domain.x500 import MemberX500Name
from host.keys import SCHEMA as KEYS
from host.keys import SchemePublicKeys, SoftKeyStore
from host.network import membership
from host.network.membership import group_store, network_tables
from host.network.membership.mgm_group import register_mgm
from host.network.membership.network_access import NetworkAccess, group_of_mgm
from host.network.membership.network_registrations import MEMBER_SIDE, find_registration
from host.network.membership.network_worker import NetworkWorker
from host.network.membership.outbox import OutboxRelay
from host.network.membership.times import NetworkTimes
from host.network.membership.viewers import Viewers
from host.network.membership.views import View, view_of
from host.network.network_members import NetworkMembers
from host.network.values.messages import MembershipIn, MembershipOutcome, encode_record
from host.network.values.p2p_out import P2pOut, read
from host.ports.bus import NewRecord
from host.ports.hosted import HostedIdentity, SessionKey
from host.ports.keys import KeyCategory, KeyQuery
from host.ports.locations import Place
from tests.network.development_ca import DevelopmentCa
from tests.services.support import GROUP_ID, CountingEntropy, MemoryMasterKeys, cpi

OPERATOR = "CN=CordaOperator, O=Org, L=London, C=GB"
MGM_POLICY = '{"fileFormatVersion": 1, "groupId": "CREATE_ID"}'
MGM = "O=MGM, L=London, C=GB"
_SCHEME = "CORDA.ECDSA.SECP256R1"
_T = TypeVar("_T")


class ProcessEndError(Exception):
    """The process ends after a commit, before what would have followed."""


class FragileDatabase:
    """A database whose process may end after any commit."""

    def __init__(self, database: Database, ends: Callable[[], bool]) -> None:
        self._database = database
        self._ends = ends
        self.read, self.revision = database.read, database.revision

    def transact(self, work: Callable[[Connection], _T]) -> _T:
        done = self._database.transact(work)
        if self._ends():
            raise ProcessEndError
        return done


class Nodes:
    """`VirtualNodes` and `Packages` of one cluster."""

    def __init__(self) -> None:
        self.nodes = dict[ShortHash, VirtualNode]()
        self.cpis = dict[Checksum, CpiRecord]()

    def add(self, holding: HoldingIdentity, policy: str) -> VirtualNode:
        record = replace(cpi(group_policy=policy), file_checksum=Checksum(holding.full_hash))
        self.cpis[record.file_checksum] = record
        node = VirtualNode(
            holding=holding,
            cpi_checksum=record.file_checksum,
            granted_capabilities=(),
            created_at=record.stored_at,
        )
        self.nodes[holding.short_hash] = node
        return node

    def find(self, holding: HoldingIdentity) -> VirtualNode | None:
        return self.nodes.get(holding.short_hash)

    def get(self, key: str) -> object:
        return self.nodes.get(ShortHash(key)) or self.cpis.get(Checksum(key))


class Hosted:
    """`HostedIdentities`: every node that has a session key is set up with it."""

    def __init__(self, keys: SoftKeyStore) -> None:
        self._keys = keys

    def hosted(self, short_hash: ShortHash) -> HostedIdentity | None:
        query = KeyQuery(category=KeyCategory.SESSION_INIT, limit=10)
        found = [
            SessionKey(key_id=key.key_id, preferred=index == 0)
            for index, key in enumerate(self._keys.query(short_hash, query))
        ]
        if not found:
            return None
        return HostedIdentity(
            short_hash=short_hash,
            tls_tenant="cluster",
            tls_alias="tls",
            session_keys=tuple(found),
            version=1,
        )


class Located:
    """`Locations`: every node is here but those that a test says."""

    def __init__(self) -> None:
        self.places = dict[ShortHash, Place]()

    def place(self, short_hash: ShortHash) -> Place:
        return self.places.get(short_hash, Place.HERE)

    def claimed_epoch(self, short_hash: ShortHash) -> int:
        del short_hash
        return 0


class Cluster:
    """A host of members."""

    def __init__(self, directory: Path, clock: SimClock, ends: Callable[[], bool]) -> None:
        directory.mkdir(exist_ok=True)
        is_copy = (directory / "cluster.sqlite").exists()
        schemas = [membership.SCHEMA, network_tables.SCHEMA, KEYS]
        self.database = Database.open(directory / "cluster.sqlite", schemas)
        self.tls_subjects, self.is_mutual = defaultdict(lambda: OPERATOR), False
        self.times = NetworkTimes()
        self.nodes, entropy, self.located = Nodes(), CountingEntropy(), Located()
        entropy.count = 1_000_000 * int(directory.name) + 500_000 * is_copy
        self.keys = SoftKeyStore(
            self.database, masters=MemoryMasterKeys(), clock=clock, entropy=entropy
        )
        fragile = FragileDatabase(self.database, ends)
        self.access = NetworkAccess(
            database=fragile,  # type: ignore[arg-type]
            virtual_nodes=self.nodes,  # type: ignore[arg-type]
            packages=self.nodes,  # type: ignore[arg-type]
            keys=self.keys,
            public_keys=SchemePublicKeys(),
            clock=clock,
            entropy=entropy,
            tls_subject=self.tls_subjects.__getitem__,
            is_mutual=lambda: self.is_mutual,
            times=lambda: self.times,
            locations=self.located,
        )
        self.worker = NetworkWorker(self.access)
        self.viewers = Viewers(self.access)
        self.link_members = self.new_link_members()
        self.sent = list[P2pOut]()
        self.arrived = list[bytes]()
        self.relay = OutboxRelay(fragile, self._publish)  # type: ignore[arg-type]

    def new_link_members(self, **changes: Any) -> NetworkMembers:
        """What links of a new process ask; `changes` are further parts of it."""
        return NetworkMembers(
            self.access,
            hosted=Hosted(self.keys),  # type: ignore[arg-type]
            certificates=None,  # type: ignore[arg-type]  # a network without any
            viewers=Viewers(self.access),
            views=self.worker.views,
            **changes,
        )

    def key(self, tenant: ShortHash, category: KeyCategory) -> str:
        """The id of a new key."""
        return self.keys.create(tenant, category, f"{tenant}-{category}", _SCHEME).key_id

    def context(self, tenant: ShortHash, **extra: str) -> Mapping[str, str]:
        """The context of a member's registration, with new keys."""
        session = self.key(tenant, KeyCategory.SESSION_INIT)
        is_notary = "corda.roles.0" in extra
        use = KeyCategory.NOTARY if is_notary else KeyCategory.LEDGER
        return {
            "corda.session.keys.0.id": session,
            f"corda.{use.lower()}.keys.0.id": self.key(tenant, use),
            "corda.endpoints.0.connectionURL": "https://member.example:8080",
            "corda.endpoints.0.protocolVersion": "1",
            **extra,
        }

    def mgm_context(self, tenant: ShortHash) -> Mapping[str, str]:
        """The context of an MGM's registration, with new keys."""
        return {
            "corda.session.keys.0.id": self.key(tenant, KeyCategory.SESSION_INIT),
            "corda.ecdh.key.id": self.key(tenant, KeyCategory.PRE_AUTH),
            "corda.group.protocol.registration": "R",
            "corda.group.protocol.synchronisation": "S",
            "corda.group.protocol.p2p.mode": "Authenticated_Encryption",
            "corda.group.key.session.policy": "Distinct",
            "corda.group.pki.session": "NoPKI",
            "corda.group.pki.tls": "Standard",
            "corda.group.tls.version": "1.3",
            "corda.endpoints.0.connectionURL": "https://mgm.example:8080",
            "corda.endpoints.0.protocolVersion": "1",
            "corda.group.trustroot.tls.0": DevelopmentCa("tls").root_pem,
        }

    def _publish(self, records: Sequence[NewRecord]) -> None:
        self.sent.extend(read(record.value) for record in records)


class Network:
    """One MGM and members on several clusters."""

    def __init__(self, directory: Path, *, clusters: int = 2, seed: int = 0, **extra: str) -> None:
        self._extra = extra  # entries of the MGM's registration
        self.random = random.Random(seed)  # a schedule
        self.clock = SimClock()
        self.end_in = 0
        self.clusters = [
            Cluster(directory / f"{n}", self.clock, self._ends) for n in range(clusters)
        ]
        self.places = dict[str, Cluster]()
        self.copies = dict[str, Cluster]()  # of nodes that are on the cluster in `places`, too
        self.recorded = list[P2pOut]()
        self.policy = self._group() or self._found_group()

    def close(self) -> None:
        for cluster in self.clusters:
            cluster.database.close()

    @property
    def mgm(self) -> Cluster:
        return self.places[MGM]

    @property
    def mgm_hash(self) -> ShortHash:
        return identity(MGM).short_hash

    def join(self, name: str, cluster: int, **extra: str) -> str:
        """Register a new member; returns the request's id."""
        place = self.clusters[cluster]
        tenant = identity(name).short_hash
        if name not in self.places:
            self.places[name] = place
            place.nodes.add(identity(name), self.policy)
        return self.register(name, place.context(tenant, **extra))

    def register(self, name: str, given: Mapping[str, str]) -> str:
        """Register a member that has a node."""
        place = self.places[name]
        node = place.nodes.nodes[identity(name).short_hash]
        return place.worker.members.register(node, given)

    def status(self, name: str, registration_id: str) -> tuple[str, str | None]:
        """Status and reason, as the member has them."""
        with self.places[name].database.read() as connection:
            short_hash = identity(name).short_hash
            found = find_registration(connection, short_hash, registration_id, MEMBER_SIDE)
        assert found is not None
        return found.status.value, found.reason

    def view(self, name: str) -> View:
        with self.places[name].database.read() as connection:
            found = view_of(connection, identity(name).short_hash)
        assert found is not None
        return found

    def head(self, name: str) -> bytes:
        """Hash of the head that a member sees."""
        view = self.view(name)
        with self.places[name].database.read() as connection:
            return group_store.head_hash(connection, view.realm, view.version)

    def members(self, name: str) -> Mapping[str, bytes]:
        """The list that a member sees."""
        view = self.view(name)
        with self.places[name].database.read() as connection:
            return group_store.list_state(connection, view.realm, view.version).members

    def settle(self, *, ends_per_run: int = 0) -> None:
        """Run until nothing is left to do.

        Args:
            ends_per_run: how many transactions a process does before it ends, about; 0: it lives.
        """
        while True:
            self.end_in = self.random.randint(1, ends_per_run) if ends_per_run else 0
            try:
                if not self.step():
                    self.end_in = 0  # what callers do next is done by processes that live
                    return
            except ProcessEndError:
                continue

    def step(self) -> bool:
        """Let every cluster work once, and carry what it sends; whether there was anything."""
        busy = False
        for cluster in self.random.sample(self.clusters, len(self.clusters)):
            busy |= cluster.worker.members.renew() + cluster.worker.tick() > 0
            while cluster.relay.relay():
                busy = True
            while cluster.sent:
                self._carry(cluster, cluster.sent.pop(self.random.randrange(len(cluster.sent))))
            while cluster.arrived:
                busy = True
                at = self.random.randrange(len(cluster.arrived))
                cluster.worker.handle(cluster.arrived[at])
                cluster.arrived.pop(at)
        return busy or any(cluster.arrived or cluster.sent for cluster in self.clusters)

    def _carry(self, source: Cluster, message: P2pOut) -> None:
        self.recorded.append(message)
        common = {"group_id": message.group_id, "target": message.target}
        place = self.places[message.target]
        if message.is_for_other:
            place = self.copies.get(message.target, place)
        place.arrived.append(
            encode_record(
                MembershipIn(
                    **common,
                    source=None if message.sealed_for_mgm else message.source,
                    message_id=message.message_id,
                    payload=message.payload,
                )
            )
        )
        if message.sealed_for_mgm:
            source.arrived.append(
                encode_record(
                    MembershipOutcome(
                        **common, source=message.source, message_id=message.message_id, code=None
                    )
                )
            )

    def _group(self) -> str | None:
        """The policy of a group that a database has which was copied."""
        holding = identity(MGM)
        with self.clusters[0].database.read() as connection:
            group = group_of_mgm(connection, holding.short_hash)
        if group is None:
            return None
        self.places[MGM] = self.clusters[0]
        self.clusters[0].nodes.add(holding, MGM_POLICY)
        return group.policy

    def _found_group(self) -> str:
        cluster, holding = self.clusters[0], identity(MGM)
        for each in self.clusters:
            each.is_mutual = self._extra.get("corda.group.tls.type") == "Mutual"
        self.places[MGM] = cluster
        node = cluster.nodes.add(holding, MGM_POLICY)
        tenant = holding.short_hash
        given = {**cluster.mgm_context(tenant), **self._extra}
        register_mgm(cluster.access, node, given, "00000000-0000-4000-8000-000000000000")
        with cluster.database.read() as connection:
            group = group_of_mgm(connection, tenant)
        assert group is not None
        return group.policy

    def _ends(self) -> bool:
        if self.end_in:
            self.end_in -= 1
            return self.end_in == 0
        return False


def copied_network(directory: Path, *, clusters: int, seed: int) -> Network:
    """A network with its MGM, whose databases are copies of those that were made first."""
    shutil.copytree(_made(clusters).name, directory, dirs_exist_ok=True)
    return Network(directory, clusters=clusters, seed=seed)


@cache
def _made(clusters: int) -> tempfile.TemporaryDirectory[str]:
    """The databases of clusters, of which the first has an MGM."""
    folder = tempfile.TemporaryDirectory()
    Network(Path(folder.name), clusters=clusters).close()
    return folder


def identity(name: str) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=GROUP_ID)


def member_name(number: int) -> str:
    return f"O=Member {number}, L=London, C=GB"
