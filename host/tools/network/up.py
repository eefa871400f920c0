"""Brings up a dynamic network on this machine: hosts, MGM, notary, members."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

from cpi.crypto.keys import SigningKey
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_mgm_policy
from host.domain.errors import UnavailableError
from host.tools.client.answers import parsed, shaped
from host.tools.client.host_client import HostClient
from host.tools.cordapps.build import build_cordapp
from host.tools.cordapps.notary_build import notary_cpb
from host.tools.cordapps.scaffold import new_project
from host.tools.network import running
from host.tools.network.answer_shapes import Member
from host.tools.network.authority import DevelopmentAuthority
from host.tools.network.homes import Home, homes_at, nearest
from host.tools.network.onboarding import NOTARY_ROLE, NetworkTerms, Onboarding
from host.tools.network.operations import trust, trust_files, until_approved, upload_missing
from host.tools.network.own_files import signing_key
from host.tools.network.plan import (
    MGM,
    NOTARY,
    NOTARY_SERVICE,
    NetworkChangedError,
    NetworkFolder,
    NetworkPlan,
)
from host.tools.notary_server import NON_VALIDATING, notary_context
from sandbox.runtime import Sandbox

ALIAS = "cordbox-network"
_VERSION = "1.0.0"
_GREETER = "greeter"
"""What members run if no CPB is given: a new project, as `cordbox cordapp new` makes it."""
_SUBJECT = "CN=Gateway, O=Host {number}, L=London, C=GB"
_SECONDS_MAX = 120.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class UpNode:
    """A virtual node of the network.

    `host` is the number of its host, from 1; `request` is the id of a registration that waits for
    an operator; `place` is where the node is, as `cordbox vnode location` tells it.
    """

    name: str
    short_hash: str
    host: int
    request: str | None = None
    place: str = "HERE"


@dataclass(slots=True, kw_only=True)
class NetworkUp:
    """One bringing up: what is there stays, what is missing is made.

    Attributes:
        folder, plan: of the network.
        members: X.500 names of members beside the notary.
        has_notary: a notary is a member, too.
        cpb: the CorDapp that members run; None: one that greets.
        code_signers: files of certificates whose keys sign it.
        sandbox: builds images.
        cache: directory of compiled code, for the hosts.
        tell: is called with a line for each step.
        progress: is told of long steps.
    """

    folder: NetworkFolder
    plan: NetworkPlan
    members: Sequence[str]
    has_notary: bool
    cpb: Path | None
    code_signers: Sequence[Path]
    sandbox: Sandbox
    cache: Path
    tell: Callable[[str], None]
    progress: Callable[[str], None]
    _key: SigningKey = field(init=False)
    _stack: ExitStack = field(init=False, default_factory=ExitStack)
    _clusters: list[Onboarding] = field(init=False, default_factory=list)
    _homes: Mapping[str, Home] = field(init=False, default_factory=dict)

    def run(self) -> Sequence[UpNode]:
        """Bring the network up; returns its nodes.

        Raises:
            HostError, CpiError, SandboxError: a step is refused.
            UnavailableError: one takes too long.
        """
        self._key = signing_key(self.folder.root)
        with self._stack, ThreadPoolExecutor(len(self.plan.hosts) + 1) as pool:
            built = pool.submit(self._packages)
            started = [pool.submit(self._start, n) for n in range(1, len(self.plan.hosts) + 1)]
            self._clusters = [self._cluster(n, each.result()) for n, each in enumerate(started, 1)]
            list(pool.map(self._prepare, self._clusters))
            self._homes = self._found_homes()
            mgm = self._mgm()
            policy = self._clusters[mgm.host - 1].group_policy(mgm.short_hash)
            cpbs = built.result()
            joining = [pool.submit(self._join, n, policy, cpbs) for n, _ in self._numbered()]
            asked = [each for joined in joining for each in joined.result()]
            nodes = asked if self.plan.needs_approval else self._approved(asked)
            if not self.plan.needs_approval:
                self._until_all_see_all(nodes)
        return [mgm, *nodes]

    def _found_homes(self) -> Mapping[str, Home]:
        """The nodes of the network that the hosts have, by their names."""
        found = nearest(
            home
            for number, cluster in self._numbered()
            for home in homes_at(cluster.client, number)
        )
        return {home.name: home for home in reversed(list(found.values()))}

    def _start(self, number: int) -> HostClient:
        place = self.plan.hosts[number - 1]
        if running.start(self.folder, number, place, self.cache):
            self.tell(f"host {number}: {place.url}, gateway {place.gateway_url}")
        return running.client(self.folder, number, place)

    def _cluster(self, number: int, client: HostClient) -> Onboarding:
        self._stack.enter_context(client)
        return Onboarding(
            client=client,
            gateways=(self.plan.hosts[number - 1].gateway_url,),
            issue=DevelopmentAuthority(self.folder.authority).issue,
            subject=_SUBJECT.format(number=number),
        )

    def _prepare(self, cluster: Onboarding) -> None:
        cluster.prepare_cluster(is_mutual=self.plan.is_mutual)
        trust(cluster.client, self._key, alias=ALIAS)
        trust_files(cluster.client, self.code_signers)

    def _packages(self) -> Mapping[str, bytes]:
        """Role -> CPB, of members without a role and of the notary."""
        made = {"": self._member_cpb()}
        if self.has_notary:
            made[NOTARY_ROLE] = self._kept(
                "notary.cpb",
                lambda: notary_cpb(
                    NON_VALIDATING,
                    {},
                    keys=[self._key],
                    sandbox=self.sandbox,
                    progress=self.progress,
                ),
            )
        return made

    def _member_cpb(self) -> bytes:
        if self.cpb is not None:
            return self.cpb.read_bytes()
        return self._kept(f"{_GREETER}.cpb", self._greeter)

    def _greeter(self) -> bytes:
        with TemporaryDirectory() as folder:
            new_project(Path(folder), _GREETER, vendor="Cordbox")
            built = build_cordapp(
                Path(folder) / _GREETER,
                keys=[self._key],
                out_dir=Path(folder) / "built",
                sandbox=self.sandbox,
                progress=self.progress,
            )
            return built.cpb.path.read_bytes()

    def _kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """A package of the folder, made at the first start."""
        file = self.folder.packages / name
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            part = file.with_suffix(".part")
            part.write_bytes(make())
            part.replace(file)
        return file.read_bytes()

    def _mgm(self) -> UpNode:
        """The MGM's virtual node, registered: on the first host, unless it has moved.

        Raises:
            NetworkChangedError: it is on no host of this network, or on its way.
        """
        home = self._homes.get(MGM)
        if home is not None and not home.works:
            raise NetworkChangedError(
                f"the MGM is {home.place} on host {home.host}: where it works, members are added by"
                " cordbox network dynamic onboard-member"
            )
        number = 1 if home is None else home.host
        cluster = self._clusters[number - 1]
        data = build_cpi(
            name="MGM",
            version=_VERSION,
            cpb=None,
            group_policy=generate_mgm_policy(),
            keys=[self._key],
        )
        node = cluster.node(upload_missing(cluster.client, data, "MGM.cpi"), MGM)
        root = (DevelopmentAuthority(self.folder.authority).root,)
        terms = NetworkTerms(
            tls_roots=root,
            session_roots=root if self.plan.has_session_certificates else (),
            is_mutual=self.plan.is_mutual,
        )
        cluster.mgm(node, terms)
        if self.plan.is_mutual:
            for number in range(1, len(self._clusters) + 1):
                cluster.allow_client(node, _SUBJECT.format(number=number))
        if self.plan.needs_approval:
            cluster.demand_approval(node)
        self.tell(f"MGM: {MGM} is {node} on host {number}")
        return UpNode(name=MGM, short_hash=node, host=number)

    def _numbered(self) -> Sequence[tuple[int, Onboarding]]:
        return list(enumerate(self._clusters, 1))

    def _join(self, host: int, policy: str, cpbs: Mapping[str, bytes]) -> Sequence[UpNode]:
        """Make the nodes of one host and ask for their membership: the notary's on the first."""
        first = self.members[host - 1 :: len(self._clusters)]
        notary = [NOTARY] if self.has_notary else []
        made: list[UpNode] = []
        if names := self._names_at(host, notary, new=notary if host == 1 else []):
            made += self._join_as(host, policy, NOTARY_ROLE, cpbs[NOTARY_ROLE], names)
        if names := self._names_at(host, self.members, new=first):
            made += self._join_as(host, policy, "", cpbs[""], names)
        return made

    def _names_at(self, host: int, names: Sequence[str], new: Sequence[str]) -> Sequence[str]:
        """Those of `names` that are on a host; those that are nowhere, if they are `new` there."""
        known = {name: self._homes[name].host for name in names if name in self._homes}
        return [name for name in names if known.get(name, host if name in new else 0) == host]

    def _join_as(
        self, host: int, policy: str, role: str, cpb: bytes, names: Sequence[str]
    ) -> Sequence[UpNode]:
        cluster = self._clusters[host - 1]
        homes = [self._homes[name] for name in names if name in self._homes]
        made = {home.name: home.short_hash for home in homes if home.works}
        away = [home for home in homes if not home.works]
        missing = [name for name in names if name not in self._homes]
        if missing:
            checksum = self._uploaded(cluster, policy, role, cpb)
            made |= {name: cluster.node(checksum, name) for name in missing}
        joined: list[UpNode] = []
        for name, node in made.items():
            request = cluster.member(
                node,
                roles=[role] if role else [],
                extra=notary_context(NOTARY_SERVICE, NON_VALIDATING) if role else {},
                has_certificate=self.plan.has_session_certificates,
            )
            if request is not None:
                self.tell(f"{name} is {node} on host {host}")
            joined.append(UpNode(name=name, short_hash=node, host=host, request=request))
        for home in away:
            self.tell(f"{home.name} is {home.place} on host {host}")
        gone = [
            UpNode(name=h.name, short_hash=h.short_hash, host=h.host, place=h.place) for h in away
        ]
        return [*joined, *gone]

    def _uploaded(self, cluster: Onboarding, policy: str, role: str, cpb: bytes) -> str:
        """The checksum of a CPI on a host."""
        cpi = "Notary" if role else "CorDapp"
        data = build_cpi(
            name=cpi,
            version=_version(policy),
            cpb=(f"{cpi.lower()}.cpb", cpb),
            group_policy=policy,
            keys=[self._key],
        )
        return upload_missing(cluster.client, data, f"{cpi}.cpi")

    def _approved(self, asked: Sequence[UpNode]) -> Sequence[UpNode]:
        """Wait for the registrations that were asked for."""
        for node in asked:
            if node.request is not None:
                client = self._clusters[node.host - 1].client
                until_approved(client, node.short_hash, node.request, seconds=_SECONDS_MAX)
        return [replace(node, request=None) for node in asked]

    def _until_all_see_all(self, nodes: Sequence[UpNode]) -> None:
        nodes = [node for node in nodes if node.place == "HERE"]
        names = {MGM, *(node.name for node in nodes)}
        deadline = time.monotonic() + _SECONDS_MAX
        for node in nodes:
            client = self._clusters[node.host - 1].client
            while missing := names - _seen(client, node.short_hash):
                if time.monotonic() > deadline:
                    raise UnavailableError(f"{node.name} does not see {', '.join(sorted(missing))}")
                time.sleep(_POLL_SECONDS)
        self.tell(f"all {len(nodes)} members see each other")


def _version(policy: str) -> str:
    """The version of members' CPIs: another one when their MGM has registered again, or moved."""
    serial = shaped(parsed(policy.encode(), "GroupPolicy.json"), _Policy, "GroupPolicy.json")
    return f"1.0.{int(serial['mgmInfo'].get('corda.serial', '1')) - 1}"


class _Policy(TypedDict):
    mgmInfo: dict[str, str]


def _seen(client: HostClient, node: str) -> set[str]:
    path = f"/members/{node}"
    members = [shaped(each, Member, path) for each in client.items(path, "members")]
    return {str(member["memberContext"].get("corda.name")) for member in members}
