"""Network setup of virtual nodes, over a real key store and real certificates."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from host.adapters.sqlite.database import Database
from host.domain.clock import SimClock
from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from host.network.hosted import NetworkSetupRefusedError
from host.nodes.packages.certificates import CertificateRefusedError
from host.nodes.packages.tables import PACKAGES
from host.nodes.packages.trust import CertificateStore
from host.ports.database import EVERY, Schema
from host.ports.keys import KeyCategory
from tests.network.development_ca import DevelopmentCa
from tests.network.set_up_cluster import EC, NODE, OPERATOR, SCHEMAS, TENANT, Cluster
from tests.services.support import ALICE, BOB, NOW, holding


@pytest.fixture
def cluster(tmp_path):
    with Database.open(tmp_path / "c.sqlite", SCHEMAS) as database:
        yield Cluster(database)


def test_a_setup_is_stored_and_replaced(cluster):
    register = cluster.register
    assert register.hosted(TENANT) is None
    register.setup(TENANT, cluster.wanted)
    found = register.hosted(TENANT)
    assert (found.tls_tenant, found.tls_alias, found.version) == ("cluster", "tls", 1)
    assert found.preferred == cluster.wanted.session_keys[0]
    register.setup(TENANT, cluster.wanted)
    assert [each.version for each in register.all()] == [2]


def test_a_node_may_have_its_own_tls_certificate(cluster):
    wanted = replace(cluster.wanted, uses_cluster_tls=False)
    with pytest.raises(NotFoundError):
        cluster.register.setup(TENANT, wanted)
    cluster.certificates.import_certificate("p2p-tls", "tls", cluster.tls_chain, owner=NODE)
    with pytest.raises(NotFoundError, match="no TLS key"):  # the key is the cluster's
        cluster.register.setup(TENANT, wanted)
    own = cluster.keys.create(TENANT, KeyCategory.TLS, "tls", EC)
    chain = cluster.ca.chain(own.public_key, OPERATOR, "127.0.0.1")
    cluster.certificates.import_certificate("p2p-tls", "tls", chain, owner=NODE)
    cluster.register.setup(TENANT, wanted)
    assert cluster.register.hosted(TENANT).tls_tenant == TENANT


def _p2p(cluster, **changes):
    cluster.policy["p2pParameters"] |= changes


def _mutual(cluster):
    cluster.is_mutual = True


def _unregistered(cluster):
    cluster.policy = None


def _expired(cluster):
    key = cluster.keys.create("p2p", KeyCategory.TLS, "old", EC)
    ended = cluster.ca.chain(
        key.public_key, OPERATOR, "localhost", until=datetime(2021, 1, 1, tzinfo=UTC)
    )
    cluster.certificates.import_certificate("p2p-tls", "tls", ended)


POLICIES = {
    "another root": lambda c: _p2p(c, tlsTrustRoots=[c.other_ca.root_pem]),
    "no root": lambda c: _p2p(c, tlsTrustRoots=[]),
    "another root of sessions": lambda c: _p2p(c, sessionTrustRoots=[c.other_ca.root_pem]),
    "mutual TLS there": lambda c: _p2p(c, tlsType="Mutual"),
    "mutual TLS here": _mutual,
    "TLS 1.2": lambda c: _p2p(c, tlsVersion="1.2"),
    "no session certificates": lambda c: _p2p(c, sessionPki="NoPKI"),
    "an MGM without a network": _unregistered,
    "an expired certificate": _expired,
}


@pytest.mark.parametrize("name", POLICIES)
def test_what_does_not_fit_the_network_is_refused(cluster, name):
    POLICIES[name](cluster)
    with pytest.raises(NetworkSetupRefusedError):
        cluster.register.setup(TENANT, cluster.wanted)
    assert cluster.register.hosted(TENANT) is None


def test_keys_of_a_setup_are_the_nodes_own_session_keys(cluster):
    one = cluster.wanted.session_keys[0]
    ledger = cluster.keys.create(TENANT, KeyCategory.LEDGER, "ledger", EC)
    other = cluster.keys.create(TENANT, KeyCategory.SESSION_INIT, "other", EC)
    for refused in (
        cluster.key(preferred=False),
        replace(cluster.wanted, session_keys=()),
        replace(cluster.wanted, session_keys=(one, one)),
        replace(cluster.wanted, session_keys=(one, replace(one, preferred=False))),
        cluster.key(key_id=ledger.key_id),
        cluster.key(key_id=other.key_id),  # the certificate is that of another key
        cluster.key(certificate_alias=None),
    ):
        with pytest.raises(NetworkSetupRefusedError):
            cluster.register.setup(TENANT, refused)
    for unknown in (
        cluster.key(key_id=ShortHash("0" * 12)),
        cluster.key(certificate_alias="x"),
        replace(cluster.wanted, tls_alias="x"),
    ):
        with pytest.raises(NotFoundError):
            cluster.register.setup(TENANT, unknown)
    with pytest.raises(NotFoundError):
        cluster.register.setup(ShortHash("0" * 12), cluster.wanted)


def test_ledger_keys_are_session_keys_where_the_policy_says_so(cluster):
    ledger = cluster.keys.create(TENANT, KeyCategory.LEDGER, "ledger", EC)
    cluster.policy["protocolParameters"]["sessionKeyPolicy"] = "Combined"
    _p2p(cluster, sessionPki="NoPKI")
    cluster.register.setup(TENANT, cluster.key(key_id=ledger.key_id, certificate_alias=None))


def test_certificates_belong_to_tenants(cluster):
    chain = cluster.ca.chain(cluster.session.public_key, ALICE)
    store = cluster.certificates
    for usage in ("p2p-tls", "p2p-session"):
        store.import_certificate(usage, "mine", chain, owner=NODE)
        assert "mine" in store.aliases(usage, tenant=TENANT)
        assert "mine" not in store.aliases(usage)
        with pytest.raises(NotFoundError):
            store.chain(usage, "mine")
    for usage, owner in (
        ("code-signer", NODE),
        ("rest-tls", NODE),
        ("p2p-session", None),
        ("p2p-session", holding(BOB)),  # its subject is Alice
    ):
        with pytest.raises(CertificateRefusedError):
            store.import_certificate(usage, "mine", chain, owner=owner)


def test_certificates_of_an_older_database_are_the_clusters(tmp_path):
    table = (
        "CREATE TABLE certificate (usage VARCHAR(32), alias VARCHAR(255), pem TEXT NOT NULL,"
        " imported_at BIGINT NOT NULL, PRIMARY KEY (usage, alias))"
    )
    schema = Schema(name="packages", statements={EVERY: (table,)})
    chain = DevelopmentCa().root_pem
    with Database.open(tmp_path / "c.sqlite", [schema]) as database:
        database.transact(
            lambda connection: connection.execute(
                text("INSERT INTO certificate VALUES ('code-signer', 'a', :pem, 1)"), {"pem": chain}
            )
        )
    with Database.open(tmp_path / "c.sqlite", [PACKAGES]) as database:
        store = CertificateStore(database=database, clock=SimClock(NOW))
        assert store.aliases("code-signer") == ["a"]
        assert len(store.trusted()) == 1
        store.import_certificate("code-signer", "b", chain.encode())
        assert store.aliases("code-signer") == ["a", "b"]
