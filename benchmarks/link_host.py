"""A link with its store, gateway and threads, and a fixed member list: one cluster of a benchmark.

`python -m benchmarks.link_host PLAN SIDE` runs one in a process of its own: it prints its port, and
ends when its input does.
"""

import json
import os
import ssl
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import CollectorRegistry

from host.adapters.os.system import SystemClock, SystemEntropy
from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.keys import SchemePublicKeys
from host.keys.errors import SealedInvalidError
from host.keys.schemes import digest_of, encode_public, scheme_of
from host.network.gateway.gateway import Gateway, GatewayMetrics, GatewayParts
from host.network.gateway.tls import TlsCertificate, check_chain, client_context, server_context
from host.network.group_thread import GroupThread
from host.network.link.handshake import SessionKey
from host.network.link.members import LinkIdentity, LinkPeer
from host.network.link.protection import Mode
from host.network.link.routes import NetworkRoutes
from host.network.link.service import Link, LinkParts
from host.network.link.workers import LINKS
from host.ports.keys import KeyCategory
from host.ports.link import TlsIdentity
from host.ports.quotas import Unmetered
from host.ports.routes import Refused, Route, RouteCode
from host.rest.listener import bind

GROUP = "6f2c1a3e-0000-4000-8000-000000000001"
REALM = bytes(range(32))
UNUSED_URL = "https://unused.example:8080"


def holding(name: str) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=GROUP)


@dataclass(frozen=True)
class Side:
    """One cluster: its members by name with the numbers of their keys, and its TLS certificate."""

    folder: str
    members: dict[str, int]
    chain: str = ""
    key: str = ""
    url: str = UNUSED_URL


@dataclass(frozen=True)
class Plan:
    """Both clusters; `root` is PEM."""

    sides: dict[str, Side]
    root: str = ""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Plan":
        given = json.loads(path.read_text(encoding="utf-8"))
        sides = {name: Side(**side) for name, side in given["sides"].items()}
        return Plan(sides=sides, root=given["root"])


class FixedMembers:
    """`LinkMembers` of one side."""

    def __init__(self, plan: Plan, side: str) -> None:
        self.private = dict[HoldingIdentity, ec.EllipticCurvePrivateKey]()
        self.identities = dict[HoldingIdentity, LinkIdentity]()
        self.peers = dict[MemberX500Name, LinkPeer]()
        roots = tuple(
            each.public_bytes(Encoding.DER)
            for each in (x509.load_pem_x509_certificates(plan.root.encode()) if plan.root else ())
        )
        for name, each in plan.sides.items():
            for member, number in each.members.items():
                private = ec.derive_private_key(number, ec.SECP256R1())
                public = private.public_key()
                key = SessionKey(
                    pem=encode_public(public),
                    spec=scheme_of(public).default_spec,
                    digest=bytes.fromhex(digest_of(public)),
                )
                own = holding(member)
                self.peers[own.x500_name] = LinkPeer(
                    holding=own, status=MemberStatus.ACTIVE, keys=(key,), urls=(each.url,)
                )
                if name == side:
                    self.private[own] = private
                    self.identities[own] = LinkIdentity(
                        holding=own,
                        realm=REALM,
                        keys=(key,),
                        mode=Mode.ENCRYPTED,
                        tls_tenant="p2p",
                        tls_roots=roots,
                    )
        self._of_key = {each.keys[0].digest: each for each in self.peers.values()}
        self._local = {each.keys[0].digest: each for each in self.identities.values()}

    def is_dynamic(self, holding: HoldingIdentity) -> bool:
        return holding in self.identities

    def identity(self, holding: HoldingIdentity) -> LinkIdentity | None:
        return self.identities.get(holding)

    def local(self, realm: bytes, session_key_digest: bytes) -> LinkIdentity | None:
        return self._local.get(session_key_digest) if realm == REALM else None

    def mgm(self, realm: bytes) -> LinkIdentity | None:
        del realm
        return None

    def peer(self, viewer: HoldingIdentity, name: MemberX500Name) -> LinkPeer | None:
        del viewer
        return self.peers.get(name)

    def peer_of_key(self, viewer: HoldingIdentity, session_key_digest: bytes) -> LinkPeer | None:
        del viewer
        return self._of_key.get(session_key_digest)

    def list_version(self, viewer: HoldingIdentity) -> tuple[int, bytes]:
        del viewer
        return 1, bytes(32)

    def admits_client(self, realm: bytes, chain: tuple[bytes, ...]) -> bool:
        del realm, chain
        return True

    def behind(self, viewer: HoldingIdentity, version: int, head_hash: bytes) -> None:
        raise AssertionError(f"{viewer} is behind {version} {head_hash!r}")

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        """Of static networks: there are none."""
        del source
        return Refused(RouteCode.UNKNOWN, str(target))

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        del source
        return None if target in self.identities else Refused(RouteCode.UNKNOWN, str(target))


class MemoryKeys:
    """`LinkKeys` without a key store: the link layer alone is measured."""

    def __init__(self, members: FixedMembers) -> None:
        self._private = {h.short_hash: key for h, key in members.private.items()}
        self._aead = AESGCM(bytes(32))

    def sign(
        self,
        tenant: str,
        public_key: str,
        data: bytes,
        spec: str,
        categories: Sequence[KeyCategory] | None = None,
    ) -> bytes:
        del public_key, spec, categories
        return self._private[tenant].sign(data, ec.ECDSA(SHA256()))  # type: ignore[index]

    def seal(self, tenant: str, data: bytes, bound_to: str) -> bytes:
        del tenant
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, data, bound_to.encode())

    def open(self, tenant: str, sealed: bytes, bound_to: str) -> bytes:
        del tenant
        try:
            return self._aead.decrypt(sealed[:12], sealed[12:], bound_to.encode())
        except InvalidTag as exc:
            raise SealedInvalidError("was sealed by another key") from exc


class LinkHost:
    """A link over a store on disk; `start` adds its gateway and its threads.

    Args:
        clock: another one than the system's, so that rates of strangers bound nothing.
    """

    def __init__(self, plan: Plan, side: str, *, clock: SimClock | None = None) -> None:
        self.side, self._root = plan.sides[side], plan.root
        self.clock = clock or SystemClock()
        self.members = FixedMembers(plan, side)
        self.store = SqliteStore(Path(self.side.folder) / f"{side}.sqlite", clock=self.clock)
        self.failures = list[object]()
        self.link = Link(
            LinkParts(
                store=self.store,
                members=self.members,
                routes=NetworkRoutes(self.members, self.members),
                keys=MemoryKeys(self.members),
                public_keys=SchemePublicKeys(),
                quotas=Unmetered(),
                clock=self.clock,
                entropy=SystemEntropy(),
                software="bench",
                events=self.failures.append,
            )
        )

    def start(self) -> int:
        """Serve and send; returns the gateway's port."""
        roots = [each.tls_roots for each in self.members.identities.values()][:1]
        certificate = TlsCertificate(chain=self.side.chain, key=bytes.fromhex(self.side.key))
        served = server_context([certificate])
        listener = bind("127.0.0.1", 0)
        port: int = listener.getsockname()[1]

        def context_of(tls: TlsIdentity) -> ssl.SSLContext:
            return client_context(tls.trust_roots)

        def checked(chain: Sequence[bytes], tls: TlsIdentity) -> None:
            check_chain(chain, tls.trust_roots, at=datetime.now(UTC))

        assert roots
        self.gateway = Gateway(
            GatewayParts(
                link=self.link,
                listeners=[listener],
                server_context=lambda: served,
                context_of=context_of,
                check_chain=checked,
                clock=self.clock,
                metrics=GatewayMetrics(CollectorRegistry()),
            )
        )
        self.workers = GroupThread(
            LINKS,
            work=self.link,
            store=self.store,
            clock=self.clock,
            member=f"bench-{port}",
            failed=self.failures.append,
        )
        self.workers.start()
        self.gateway.start()
        return port

    def stop(self) -> None:
        self.workers.stop()
        self.gateway.stop()
        self.store.close()


def main(plan: str, side: str) -> None:
    host = LinkHost(Plan.read(Path(plan)), side)
    print(host.start(), flush=True)  # read by the process that has started this one
    sys.stdin.read()
    host.stop()
    for failure in host.failures[:5]:
        print(failure, file=sys.stderr)  # for the log


if __name__ == "__main__":
    main(*sys.argv[1:])
