"""A key store, certificates and a register of network setups, over a real database."""

from dataclasses import replace

from host.domain.clock import SimClock
from host.domain.ids import Checksum, ShortHash
from host.domain.vnode import VirtualNode
from host.keys import SCHEMA as KEYS
from host.keys import SchemePublicKeys, SoftKeyStore
from host.network import hosted
from host.network.hosted import HostedIdentityRegister
from host.nodes.packages.tables import PACKAGES
from host.nodes.packages.trust import CertificateStore
from host.ports.hosted import NetworkSetup, SessionKey
from host.ports.keys import KeyCategory
from tests.network.development_ca import DevelopmentCa
from tests.services.support import ALICE, NOW, CountingEntropy, MemoryMasterKeys, holding

SCHEMAS = [KEYS, PACKAGES, hosted.SCHEMA]
EC = "CORDA.ECDSA.SECP256R1"
NODE = holding(ALICE)
TENANT = ShortHash(NODE.short_hash)
OPERATOR = "CN=CordaOperator,C=GB,L=London,O=Org"


class Nodes:
    def get(self, short_hash):
        known = VirtualNode(
            holding=NODE, cpi_checksum=Checksum("x"), granted_capabilities=(), created_at=NOW
        )
        return known if short_hash == TENANT else None


class Cluster:
    """A register with a node that has every key and certificate that its network demands."""

    def __init__(self, database):
        clock, entropy = SimClock(NOW), CountingEntropy()
        self.database = database
        self.ca, self.other_ca = DevelopmentCa("one"), DevelopmentCa("two")
        self.keys = SoftKeyStore(database, masters=MemoryMasterKeys(), clock=clock, entropy=entropy)
        self.certificates = CertificateStore(database=database, clock=clock)
        self.policy = {
            "p2pParameters": {
                "tlsTrustRoots": [self.ca.root_pem],
                "sessionTrustRoots": [self.ca.root_pem],
                "sessionPki": "Standard",
                "tlsType": "OneWay",
                "tlsVersion": "1.3",
            },
            "protocolParameters": {"sessionKeyPolicy": "Distinct"},
        }
        self.is_mutual = False
        self.register = HostedIdentityRegister(
            database=database,
            virtual_nodes=Nodes(),
            policy_of=lambda node: self.policy,
            certificates=self.certificates,
            keys=self.keys,
            public_keys=SchemePublicKeys(),
            clock=clock,
            is_mutual=lambda: self.is_mutual,
        )
        tls = self.keys.create("p2p", KeyCategory.TLS, "tls", EC)
        self.tls_chain = self.ca.chain(tls.public_key, OPERATOR, "127.0.0.1")
        self.certificates.import_certificate("p2p-tls", "tls", self.tls_chain)
        self.session = self.keys.create(TENANT, KeyCategory.SESSION_INIT, "session", EC)
        self.certificates.import_certificate(
            "p2p-session", "session", self.ca.chain(self.session.public_key, ALICE), owner=NODE
        )
        key = SessionKey(key_id=self.session.key_id, certificate_alias="session", preferred=True)
        self.wanted = NetworkSetup(tls_alias="tls", session_keys=(key,))

    def key(self, **changes):
        (key,) = self.wanted.session_keys
        return replace(self.wanted, session_keys=(replace(key, **changes),))
