"""Two hosts on loopback, each a process with a gateway, and a dynamic network over both.

The MGM and Alice are on the first, Bob on the second. Everything is done over REST, by the steps
that Corda documents; certificates are those of a development CA.
"""

import json
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from cpi.package.build import build_cpi
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import build_cordapp
from host.tools.cordapps.notary_build import notary_cpb
from sandbox.runtime import Sandbox
from tests.network.development_ca import DevelopmentCa
from tests.support.keystores import make_key
from tests.support.killable_host import KillableHost

UPLOAD_SECONDS_MAX = 600

TALK = Path(__file__).with_name("talk")
MGM, ALICE, BOB = (f"O={name}, L=London, C=GB" for name in ("MGM", "Alice", "Bob"))
OPERATOR = "CN=CordaOperator, C=GB, L=London, O=Org"
EC = "CORDA.ECDSA.SECP256R1"
_PROTOCOL = "net.corda.membership.impl.registration.dynamic"
_MGM_POLICY = {
    "fileFormatVersion": 1,
    "groupId": "CREATE_ID",
    "registrationProtocol": f"{_PROTOCOL}.mgm.MGMRegistrationService",
    "synchronisationProtocol": "net.corda.membership.impl.synchronisation.MgmSynchronisationServiceImpl",
}


@dataclass
class Packages:
    """CPIs of an MGM and of members, signed by one key."""

    folder: Path

    @cached_property
    def key(self):
        return make_key(self.folder, "signer")

    @cached_property
    def sandbox(self):
        return Sandbox(cache_dir=default_cache_dir())

    def cpb(self, sources):
        built = build_cordapp(sources, (self.key,), self.folder, self.sandbox, progress=_quietly)
        return built.cpb.path.read_bytes()

    def notary_cpb(self):
        return notary_cpb(
            "non-validating", {}, keys=(self.key,), sandbox=self.sandbox, progress=_quietly
        )

    @property
    def certificate(self):
        return self.key.certificate_chain[0].public_bytes(Encoding.PEM)

    def of_mgm(self):
        policy = json.dumps(_MGM_POLICY)
        return build_cpi(name="mgm", version="1", cpb=None, group_policy=policy, keys=(self.key,))

    def of_members(self, policy, name="talk", content=None):
        cpb = (f"{name}.cpb", content or self.cpb(TALK))
        return build_cpi(name=name, version="1", cpb=cpb, group_policy=policy, keys=(self.key,))


def _quietly(_progress):
    pass


@dataclass
class NetworkHost:
    """A host with a gateway on a port that it keeps, and its nodes by name."""

    folder: Path
    ca: DevelopmentCa
    options: tuple[str, ...] = ("--workers", "combined")
    nodes: dict[str, str] = field(default_factory=dict)
    gateway: str = "127.0.0.1:0"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.folder.mkdir()
        self.start()

    def start(self):
        options = [*self.options, "--gateway-listen", self.gateway]
        started = KillableHost(self.folder, options, environment=self.environment)
        started.nodes = self.nodes
        started.start()
        # Not before: another thread asks it meanwhile, and is refused as long as it is dead.
        self.host = started
        self.gateway = self.host.facts["gatewayListen"]

    def kill(self):
        self.host.kill()

    def asked(self, method, path, **more):
        reply = self.host.ask(method, path, **more)
        assert reply.status_code in {200, 202, 204}, f"{method} {path}: {reply.text}"
        return reply

    def prepare(self, packages):
        """What the cluster's operator does once: the signer's and the TLS certificate."""
        pem = {"certificate": packages.certificate}
        self.asked("PUT", "/certificate/cluster/code-signer", data={"alias": "a"}, files=pem)
        key = self.key("p2p", "TLS", EC)
        names = {"x500Name": OPERATOR, "subjectAlternativeNames": ["127.0.0.1"]}
        csr = self.asked("POST", f"/certificate/p2p/{key}", json=names).text
        chain = {"certificate": self.ca.answer(csr, "127.0.0.1")}
        self.asked("PUT", "/certificate/cluster/p2p-tls", data={"alias": "tls"}, files=chain)

    def upload(self, cpi):
        """The checksum of an uploaded CPI.

        An upload is given up where its process did not run for half a minute, as on a machine that
        is busy with other work; then it is made again, as its answer says.
        """
        name, deadline = {"upload": ("a.cpi", cpi)}, time.monotonic() + UPLOAD_SECONDS_MAX
        while True:
            request = self.asked("POST", "/cpi", files=name).json()["id"]
            while (reply := self.host.ask("GET", f"/cpi/status/{request}")).status_code == 200:
                if reply.json()["status"] == "OK":
                    return reply.json()["cpiFileChecksum"]
                assert time.monotonic() < deadline, reply.text
                time.sleep(0.05)
            assert reply.json()["details"]["code"] == "upload-interrupted", reply.text

    def node(self, checksum, name):
        body = {"cpiFileChecksum": checksum, "x500Name": name}
        request = self.asked("POST", "/virtualnode", json=body).json()["requestId"]
        path = f"/virtualnode/status/{request}"
        made = self.host.until(path, lambda s: s["status"] == "SUCCEEDED")["resourceId"]
        self.nodes[name] = made
        return made

    def key(self, tenant, category, scheme):
        self.asked("POST", f"/hsm/soft/{tenant}/{category}")
        where = f"/key/{tenant}/alias/{tenant}-{category}/category/{category}/scheme/{scheme}"
        return self.asked("POST", where).json()["id"]

    def set_up(self, node, session_key):
        key = {"sessionKeyId": session_key, "preferred": True}
        body = {"p2pTlsCertificateChainAlias": "tls", "sessionKeysAndCertificates": [key]}
        body["useClusterLevelTlsCertificateAndKey"] = True
        self.asked("PUT", f"/network/setup/{node}", json=body)

    def register(self, node, context):
        """Register, and wait until the request is approved."""
        answer = self.asked("POST", f"/membership/{node}", json={"context": context}).json()
        assert answer["registrationStatus"] == "SUBMITTED", answer
        where = f"/membership/{node}/{answer['registrationId']}"

        def is_over(found):
            assert found["registrationStatus"] not in {"INVALID", "FAILED", "DECLINED"}, found
            return found["registrationStatus"] == "APPROVED"

        self.host.until(where, is_over)

    def endpoint(self):
        return {
            "corda.endpoints.0.connectionURL": f"https://{self.gateway}",
            "corda.endpoints.0.protocolVersion": "1",
        }

    def onboard_mgm(self, cpi):
        """Make the MGM; gives the group policy of its members."""
        node = self.node(self.upload(cpi), MGM)
        session = self.key(node, "SESSION_INIT", EC)
        context = {
            **self.endpoint(),
            "corda.session.keys.0.id": session,
            "corda.ecdh.key.id": self.key(node, "PRE_AUTH", EC),
            "corda.group.protocol.registration": (
                f"{_PROTOCOL}.member.DynamicMemberRegistrationService"
            ),
            "corda.group.protocol.synchronisation": (
                "net.corda.membership.impl.synchronisation.MemberSynchronisationServiceImpl"
            ),
            "corda.group.protocol.p2p.mode": "Authenticated_Encryption",
            "corda.group.key.session.policy": "Distinct",
            "corda.group.pki.session": "NoPKI",
            "corda.group.pki.tls": "Standard",
            "corda.group.tls.type": "OneWay",
            "corda.group.tls.version": "1.3",
            "corda.group.trustroot.tls.0": self.ca.root_pem,
        }
        self.register(node, context)
        self.set_up(node, session)
        return self.asked("GET", f"/mgm/{node}/info").text

    def onboard_member(self, checksum, name):
        context = self.prepare_member(checksum, name)
        self.register(self.nodes[name], context)

    def prepare_member(self, checksum, name):
        """A node that is set up for the network; gives the context of its registration."""
        node = self.node(checksum, name)
        session = self.key(node, "SESSION_INIT", EC)
        ledger = self.key(node, "LEDGER", EC)
        self.set_up(node, session)
        return {
            **self.endpoint(),
            "corda.session.keys.0.id": session,
            "corda.session.keys.0.signature.spec": "SHA256withECDSA",
            "corda.ledger.keys.0.id": ledger,
            "corda.ledger.keys.0.signature.spec": "SHA256withECDSA",
        }

    def sees(self, name, *members):
        """Wait until a node's list has these members."""

        def holds(answer):
            found = {m["memberContext"]["corda.name"] for m in answer["members"]}
            return found >= set(members)

        self.host.until(f"/members/{self.nodes[name]}", holds)

    def talk(self, name, request_id, peer, rounds):
        body = {"peer": peer, "rounds": rounds}
        reply = self.host.flow(name, request_id, "talk_flows.Talk", body)
        assert reply.status_code == 202, reply.text

    def result(self, name, request_id):
        return self.host.result(name, request_id)


@dataclass
class TwoHosts:
    first: NetworkHost
    second: NetworkHost
    checksum: str
    """Of the members' CPI, on both."""
    packages: Packages

    @classmethod
    def started(cls, folder, *, workers="combined", of_first=None, of_second=None):
        """Start both; `of_first` and `of_second` are added to their environments."""
        ca, packages = DevelopmentCa(), Packages(folder)
        options = ("--workers", workers)
        hosts = [
            NetworkHost(folder / name, ca, options, environment=more or {})
            for name, more in (("first", of_first), ("second", of_second))
        ]
        for each in hosts:
            each.prepare(packages)
        first, second = hosts
        policy = first.onboard_mgm(packages.of_mgm())
        cpi = packages.of_members(policy)
        (checksum,) = {first.upload(cpi), second.upload(cpi)}
        first.onboard_member(checksum, ALICE)
        second.onboard_member(checksum, BOB)
        first.sees(ALICE, ALICE, BOB)
        second.sees(BOB, ALICE, BOB)
        return cls(first, second, checksum, packages)

    def stop(self):
        self.first.kill()
        self.second.kill()
