"""Clusters with real engines and links over stores in memory, and a medium between them."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from host.adapters.memory.store import MemoryStore
from host.domain.clock import SimClock
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.flow.engine.local_routes import LocalRoutes
from host.keys.errors import SealedInvalidError
from host.network.link.handshakes import SessionMade
from host.network.link.limits import LinkLimits
from host.network.link.members import LinkIdentity, LinkPeer
from host.network.link.protection import Mode
from host.network.link.routes import NetworkRoutes
from host.network.link.service import Link, LinkEvent, LinkParts
from host.network.values.messages import (
    MEMBERSHIP_IN_TOPIC,
    MembershipIn,
    MembershipOutcome,
    MembershipRecord,
    read_record,
)
from host.ports.link import GatewayReply, Post, PostResult, TlsPeer
from host.ports.quotas import Unmetered
from host.ports.routes import Refused, Route
from host.ports.units import FlowStore
from tests.flow.network import Flow, Network, holding
from tests.network.handshakes import KEYS, REALM, Identity


class Entropy:
    """Different bytes at every call, other ones for every seed."""

    def __init__(self, seed: str) -> None:
        self.seed, self.calls = seed, 0

    def random_bytes(self, count: int) -> bytes:
        self.calls += 1
        return hashlib.shake_128(f"{self.seed} {self.calls}".encode()).digest(count)


@dataclass
class Group:
    """The member list of a network, which all clusters see alike."""

    peers: dict[MemberX500Name, LinkPeer] = field(default_factory=dict)
    mode: Mode = Mode.ENCRYPTED
    version: tuple[int, bytes] = (1, b"h" * 32)

    def add(self, identity: Identity, *urls: str, **changes: Any) -> None:
        self.peers[identity.holding.x500_name] = LinkPeer(
            holding=identity.holding,
            status=MemberStatus.ACTIVE,
            keys=(identity.key,),
            urls=urls,
            **changes,
        )

    def change(self, identity: Identity, **changes: Any) -> None:
        name = identity.holding.x500_name
        self.peers[name] = replace(self.peers[name], **changes)


class Members:
    """`LinkMembers` of one cluster; `group` may be replaced by another view."""

    def __init__(self, group: Group, identities: Sequence[Identity]) -> None:
        self.group = group
        self.identities = {each.holding: each for each in identities}
        self.told: list[tuple[int, bytes]] = []
        self.epoch = 0
        self.not_set_up = set[HoldingIdentity]()
        """Nodes of the dynamic network without a network setup."""
        self.clients: tuple[bytes, ...] | None = None
        """Client certificates of mutual TLS that the network allows; None with one-way TLS."""

    def is_dynamic(self, holding: HoldingIdentity) -> bool:
        return holding in self.identities or holding in self.not_set_up

    def identity(self, holding: HoldingIdentity) -> LinkIdentity | None:
        found = self.identities.get(holding)
        if found is None:
            return None
        peer = self.group.peers.get(holding.x500_name)
        return LinkIdentity(
            holding=holding,
            realm=REALM,
            keys=(found.key,),
            mode=self.group.mode,
            tls_tenant="p2p",
            is_mgm=peer is not None and peer.is_mgm,
            location_epoch=self.epoch,
        )

    def local(self, realm: bytes, session_key_digest: bytes) -> LinkIdentity | None:
        found = (self.identity(h) for h in self.identities)
        return next(
            (
                each
                for each in found
                if each is not None
                and each.realm == realm
                and each.keys[0].digest == session_key_digest
            ),
            None,
        )

    def mgm(self, realm: bytes) -> LinkIdentity | None:
        found = (self.identity(h) for h in self.identities)
        return next((e for e in found if e is not None and e.is_mgm and e.realm == realm), None)

    def peer(self, viewer: HoldingIdentity, name: MemberX500Name) -> LinkPeer | None:
        return self.group.peers.get(name)

    def peer_of_key(self, viewer: HoldingIdentity, session_key_digest: bytes) -> LinkPeer | None:
        return next(
            (
                peer
                for peer in self.group.peers.values()
                if session_key_digest in {key.digest for key in peer.keys}
            ),
            None,
        )

    def admits_client(self, realm: bytes, chain: tuple[bytes, ...]) -> bool:
        return self.clients is None or chain[:1] in {(each,) for each in self.clients}

    def list_version(self, viewer: HoldingIdentity) -> tuple[int, bytes]:
        return self.group.version

    def behind(self, viewer: HoldingIdentity, version: int, head_hash: bytes) -> None:
        self.told.append((version, head_hash))


class Keys:
    """`LinkKeys` in memory; counts what was sealed."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        self.private = {each.holding.short_hash: each.private for each in identities}
        self.aead = AESGCM(bytes(32))
        self.sealed = 0

    def sign(
        self, tenant: str, public_key: str, data: bytes, spec: str, categories: Any = None
    ) -> bytes:
        return self.private[tenant].sign(data)  # type: ignore[index]

    def seal(self, tenant: str, data: bytes, bound_to: str) -> bytes:
        self.sealed += 1
        nonce = self.sealed.to_bytes(12, "big")
        return nonce + self.aead.encrypt(nonce, data, bound_to.encode())

    def open(self, tenant: str, sealed: bytes, bound_to: str) -> bytes:
        try:
            return self.aead.decrypt(sealed[:12], sealed[12:], bound_to.encode())
        except InvalidTag as exc:
            raise SealedInvalidError("was sealed by another key") from exc


class Late:
    """Routes among the nodes here, once there are any."""

    nodes: Any = None

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        return LocalRoutes(self.nodes).route(source, target)

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        return LocalRoutes(self.nodes).accepts(source, target)


class Cluster:
    """One cluster with some identities, each with a node. It may be killed and started again."""

    def __init__(
        self,
        url: str,
        group: Group,
        identities: Sequence[Identity],
        flows: dict[str, Flow],
        clock: SimClock,
        store: FlowStore | None = None,
    ) -> None:
        self.url, self.clock = url, clock
        self.store = store or MemoryStore(clock=clock)
        self.members = Members(group, identities)
        self.keys = Keys(identities)
        self.events: list[LinkEvent] = []
        self.made: list[LinkEvent] = []
        """Sessions; `events` are failures."""
        late = Late()
        self.routes = NetworkRoutes(self.members, late)
        self.entropy = Entropy(url)
        self.limits = LinkLimits()
        self.network = Network(
            self.store, flows, clock=clock, routes=self.routes, entropy=self.entropy
        )  # type: ignore[arg-type]
        mine = {each.holding for each in identities}
        self.network.nodes.nodes = {
            h: node for h, node in self.network.nodes.nodes.items() if h in mine
        }
        late.nodes = self.network.nodes
        self.link = self.started()

    def started(self) -> Link:
        link = Link(
            LinkParts(
                store=self.store,
                members=self.members,
                routes=self.routes,
                keys=self.keys,
                public_keys=KEYS,
                quotas=Unmetered(),
                clock=self.clock,
                entropy=self.entropy,
                software="test",
                events=self._told,
                suites=(1,),
                limits=lambda: self.limits,
            )
        )
        link.adopt(dict.fromkeys(range(self.store.partitions)))
        return link

    def _told(self, event: LinkEvent) -> None:
        (self.made if isinstance(event, SessionMade) else self.events).append(event)

    def restart(self) -> None:
        """Lose everything that is in memory."""
        self.link = self.started()

    def work(self) -> None:
        self.network.engine.drain()
        while self.link.work():
            self.network.engine.drain()

    def membership_in(self) -> list[MembershipRecord]:
        """What membership has to process."""
        return [
            read_record(record.value)
            for queue in self.store.waiting([MEMBERSHIP_IN_TOPIC])
            for record in self.store.take(queue, 100).records
        ]

    def arrived(self) -> list[tuple[str | None, str, bytes]]:
        """Source, id and payload of messages that have arrived."""
        return [
            (each.source, each.message_id, each.payload)
            for each in self.membership_in()
            if isinstance(each, MembershipIn)
        ]

    def outcomes(self) -> dict[str, str | None]:
        """What became of messages from here, by their ids."""
        found = self.membership_in()
        return {e.message_id: e.code for e in found if isinstance(e, MembershipOutcome)}

    def states(self, prefix: str) -> list[str]:
        return [state.key for state in self.store.scan(prefix)]


Deliver = Callable[[Post], GatewayReply]


class Medium:
    """What lies between clusters: carries requests and answers, or does anything else to them."""

    def __init__(self, *clusters: Cluster, seed: int = 0) -> None:
        self.clusters: Mapping[str, Cluster] = {each.url: each for each in clusters}
        self.clock = clusters[0].clock
        self.random = random.Random(seed)
        self.recorded: list[Post] = []
        self.answers: list[bytes] = []
        self.loss = self.doubling = self.replay = self.edit = 0.0
        self.is_cut = False

    def step(self) -> bool:
        """Let every cluster work, and carry what it has to send; whether there was anything."""
        posts = [(c, post) for c in self.clusters.values() for post in self._taken(c)]
        self.random.shuffle(posts)
        for cluster, post in posts:
            cluster.link.done([self.carry(post)])
        for cluster in self.clusters.values():
            cluster.work()
        return bool(posts)

    def run(self, until: Callable[[], bool], most_ms: int = 300_000) -> None:
        """Work until a condition holds; time passes when nothing else happens."""
        end = self.clock.now_ms() + most_ms
        while True:
            while self.step():
                pass
            if until():
                return
            assert self.clock.now_ms() < end, "it did not happen in time"
            self.clock.advance(500)

    def carry(self, post: Post) -> PostResult:
        self.recorded.append(post)
        if self.is_cut or self._happens(self.loss):
            return PostResult(post_id=post.post_id, status=None, failure="lost")
        if self._happens(self.replay):
            self.deliver(self.random.choice(self.recorded))
        if self._happens(self.doubling):
            self.deliver(post)
        body = self._edited(post.body) if self._happens(self.edit) else post.body
        reply = self.deliver(replace(post, body=body))
        if self._happens(self.loss):
            return PostResult(post_id=post.post_id, status=None, failure="answer lost")
        self.answers.append(reply.body)
        answer = reply.body
        if answer and self._happens(self.edit):
            answer = self._edited(answer)
        if self.answers and self._happens(self.replay):
            answer = self.random.choice(self.answers)
        return PostResult(post_id=post.post_id, status=reply.status, body=answer)

    def deliver(self, post: Post) -> GatewayReply:
        cluster = self.clusters.get(post.url)
        if cluster is None:
            return GatewayReply(status=503)
        return cluster.link.receive(post.body, TlsPeer(address="10.0.0.1"))

    def _edited(self, body: bytes) -> bytes:
        index = self.random.randrange(len(body))
        return (
            body[:index]
            + bytes([body[index] ^ (1 << self.random.randrange(8))])
            + body[index + 1 :]
        )

    def _happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def _taken(self, cluster: Cluster) -> Sequence[Post]:
        cluster.work()
        return cluster.link.take(0, 16)


def of_name(name: str, seed: int) -> Identity:
    return Identity(holding(name), Identity.of(name, seed).private)
