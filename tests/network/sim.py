"""Whole clusters over a bad network: real membership and links, stores in memory, simulated time.

Everything that happens follows from the seed. The medium loses, doubles, delays, replays and edits
requests and answers, and cuts clusters off; clusters lose what they have in memory at any step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host.adapters.memory.store import MemoryStore
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberStatus
from host.flow.engine.local_routes import LocalRoutes
from host.keys import SchemePublicKeys
from host.network.link.routes import NetworkRoutes
from host.network.link.service import Link, LinkEvent, LinkParts
from host.network.membership import group_store
from host.network.membership.sequencer import SetParameters, SetStatus
from host.network.membership.workers import MembershipWork
from host.network.values.messages import MEMBERSHIP_IN_TOPIC, MembershipIn, read_record
from host.network.values.p2p_out import read
from host.ports.quotas import Unmetered
from tests.network.clusters import Entropy, Medium
from tests.network.dynamic_networks import MGM, copied_network, identity, member_name
from tests.network.dynamic_networks import Cluster as Place

MGM_URL = "https://mgm.example:8080"
QUIET_MS = 12 * 3600_000
"""Longer than any member waits before it asks for the list again."""


def url_of(number: int) -> str:
    return MGM_URL if number == 0 else f"https://c{number}.example:8080"


@dataclass
class Sent:
    """What members said, in whose name and to whom, by the cluster that may say so."""

    said: set[tuple[str, str, bytes]] = field(default_factory=set)


class SimCluster:
    """One cluster: its database and key store stay, everything else may be lost at any time."""

    def __init__(self, place: Place, url: str, seed: str, sent: Sent) -> None:
        self.place, self.url, self.clock = place, url, place.access.clock
        self.store = MemoryStore(clock=place.access.clock)
        self.entropy = Entropy(f"{seed} {url}")
        self.events: list[LinkEvent] = []
        self._sent = sent
        self.restart()

    def restart(self) -> None:
        """Lose everything that is in memory."""
        place = self.place
        members = place.new_link_members()
        self.routes = NetworkRoutes(members, LocalRoutes(place.nodes))  # type: ignore[arg-type]
        self.link = Link(
            LinkParts(
                store=self.store,
                members=members,
                routes=self.routes,
                keys=place.keys,
                public_keys=SchemePublicKeys(),
                quotas=Unmetered(),
                clock=self.clock,  # type: ignore[arg-type]
                entropy=self.entropy,
                software="sim",
                events=self.events.append,
                suites=(1,),
            )
        )
        self.membership = MembershipWork(
            place.access, place.worker, self.store, self.clock, handled=self._handled
        )
        everything: dict[int, int | None] = dict.fromkeys(range(self.store.partitions))
        self.link.adopt(everything)
        self.membership.adopt(everything)

    def _handled(self, *, is_dropped: bool) -> None:
        assert not is_dropped, "a record could not be handled"

    def work(self) -> None:
        """Do what can be done now."""
        busy = True
        while busy:
            self._check_arrived()
            busy = self.membership.work()
            self._note_sent()
            busy |= self.link.work()

    def _note_sent(self) -> None:
        for queue in self.store.waiting(["p2p.out"]):
            for record in self.store.take(queue, 1000).records:
                message = read(record.value)
                self._sent.said.add((message.source, message.target, message.payload))

    def _check_arrived(self) -> None:
        """A message is of the identity that it names, and was sent to this one (S7)."""
        for queue in self.store.waiting([MEMBERSHIP_IN_TOPIC]):
            for record in self.store.take(queue, 1000).records:
                found = read_record(record.value)
                if isinstance(found, MembershipIn) and found.source is not None:
                    said = (found.source, found.target, found.payload)
                    assert said in self._sent.said, f"{found.source} has not sent {said}"


class Simulation:
    """A network of several clusters under one schedule."""

    def __init__(self, directory: Path, seed: int, *, clusters: int = 3) -> None:
        self.network = copied_network(directory, clusters=clusters, seed=seed)
        self.random, self.clock = self.network.random, self.network.clock
        sent = Sent()
        self.clusters = [
            SimCluster(place, url_of(n), f"{seed}", sent)
            for n, place in enumerate(self.network.clusters)
        ]
        self.medium = Medium(*self.clusters, seed=seed)  # type: ignore[arg-type]
        self.requests = dict[str, str]()
        self.suspended = set[str]()
        self.cut = set[str]()

    def close(self) -> None:
        self.network.close()

    def disturb(self) -> None:
        """Let the medium do, from now on, what bad networks and adversaries do."""
        self.medium.loss = self.random.choice((0.0, 0.1, 0.4))
        self.medium.doubling = self.random.choice((0.0, 0.2))
        self.medium.replay = self.random.choice((0.0, 0.1))
        self.medium.edit = self.random.choice((0.0, 0.1))

    def heal(self) -> None:
        self.medium.loss = self.medium.doubling = self.medium.replay = self.medium.edit = 0.0
        self.medium.is_cut = False

    def act(self, *, joins: bool = True) -> str:
        """One thing that operators, processes or the network do; says what."""
        acts = [self._restart, self._cut, self._wait, self._parameters]
        if joins:
            acts += [self.join, self.join]
        if self.members():
            acts += [self._suspend, self._activate]
        done = self.random.choice(acts)()
        self._tell()
        return done

    def _tell(self) -> None:
        """Hosts tell their workers of each commit of others."""
        for cluster in self.clusters:
            cluster.membership.changed()

    def run(self, steps: int) -> None:
        """Let messages travel."""
        for _ in range(steps):
            self.medium.step()
            self.clock.advance(self.random.choice((10, 500, 3000)))

    def settle(self) -> None:
        """Heal the network, and let all that is due happen until every member is served."""
        self.heal()
        end = self.clock.now_ms() + 4 * QUIET_MS
        while self.clock.now_ms() < end:
            for _ in range(1000):
                if not self.medium.step():
                    break
            if self.is_settled():
                return
            self.clock.advance(60_000)
        raise AssertionError(f"not settled: {self.describe()}")

    def rest(self) -> None:
        """Let what is on its way arrive, or be given up."""
        end = self.clock.now_ms() + 3600_000
        while self.clock.now_ms() < end:
            while self.medium.step():
                pass
            self.clock.advance(60_000)

    def is_settled(self) -> bool:
        """Whether every request is decided, and every member sees what it should."""
        if not all(
            self._status(name) in ("APPROVED", "DECLINED", "FAILED") for name in self.requests
        ):
            return False
        head = self.network.head(MGM)
        for name in self.members():
            view = self.network.view(name)
            is_restricted = view.own_digest is not None
            if is_restricted != (name in self.suspended):
                return False
            if not is_restricted and self.network.head(name) != head:
                return False
        return True

    def check(self) -> None:
        """Every list that a member has is one that the MGM has signed (S10)."""
        signed = self._heads(MGM)
        for name in self.members():
            for version, head in self._heads(name).items():
                assert signed.get(version) == head, f"{name} has another version {version}"

    def members(self) -> Sequence[str]:
        """Members whose registration was approved."""
        return [name for name in self.requests if self._status(name) == "APPROVED"]

    def describe(self) -> str:
        statuses = {name: self._status(name) for name in self.requests}
        versions = {name: self.network.view(name).version for name in (MGM, *self.members())}
        return f"{statuses}, {versions}, suspended {self.suspended}"

    def _heads(self, name: str) -> dict[int, bytes]:
        view = self.network.view(name)
        with self.network.places[name].database.read() as connection:
            heads = group_store.heads_between(connection, view.realm, 0, view.version)
        return {each.head.version: each.hash for each in heads}

    def _status(self, name: str) -> str:
        return self.network.status(name, self.requests[name])[0]

    def join(self) -> str:
        name = member_name(len(self.requests))
        cluster = self.random.randrange(len(self.clusters))
        given = {"corda.endpoints.0.connectionURL": url_of(cluster)}
        self.requests[name] = self.network.join(name, cluster, **given)
        self._tell()
        return f"{name} joins on {cluster}"

    def _restart(self) -> str:
        cluster = self.random.choice(self.clusters)
        cluster.restart()
        return f"{cluster.url} restarts"

    def _cut(self) -> str:
        self.medium.is_cut = not self.medium.is_cut
        return "the network is cut" if self.medium.is_cut else "the network is whole"

    def _wait(self) -> str:
        minutes = self.random.choice((1, 12, 25))
        self.clock.advance(minutes * 60_000)
        return f"{minutes} minutes pass"

    def _parameters(self) -> str:
        value = str(self.clock.now_ms())
        change = SetParameters(minimum_platform_version=50000, custom=(("ext.at", value),))
        self.network.mgm.worker.sequencer.run(self.network.mgm_hash, change)
        return "parameters change"

    def _suspend(self) -> str:
        return self._set(MemberStatus.SUSPENDED)

    def _activate(self) -> str:
        return self._set(MemberStatus.ACTIVE)

    def _set(self, status: MemberStatus) -> str:
        name = self.random.choice(self.members())
        if (name in self.suspended) == (status is MemberStatus.SUSPENDED):
            return "nothing"
        serial = self._serial(identity(name))
        change = SetStatus(name=name, serial=serial, status=status)
        self.network.mgm.worker.sequencer.run(self.network.mgm_hash, change)
        if status is MemberStatus.SUSPENDED:
            self.suspended.add(name)
        else:
            self.suspended.discard(name)
        return f"{name} is {status}"

    def _serial(self, holding: HoldingIdentity) -> int:
        view = self.network.view(MGM)
        with self.network.mgm.database.read() as connection:
            found = group_store.member_at(
                connection, view.realm, str(holding.x500_name), view.version
            )
        assert found is not None
        return found.serial
