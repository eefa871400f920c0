"""TLS contexts of a gateway follow what operators set up."""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.certificates import load_pem_certificates
from host.adapters.sqlite.database import Database
from host.network.gateway.contexts import GatewayTls, TlsSources
from host.network.gateway.tls import TlsRefusedError, client_context
from host.ports.keys import KeyCategory
from host.ports.link import TlsIdentity
from tests.network.development_ca import DevelopmentCa
from tests.network.set_up_cluster import EC, OPERATOR, SCHEMAS, TENANT, Cluster


@pytest.fixture
def cluster(tmp_path):
    with Database.open(tmp_path / "c.sqlite", SCHEMAS) as database:
        yield Cluster(database)


def tls_of(cluster, **changes):
    return GatewayTls(
        TlsSources(
            hosted=cluster.register,
            certificates=cluster.certificates,
            keys=cluster.keys,
            public_keys=cluster.register._public_keys,  # the same one
            clock=cluster.register._clock,  # the same one
            client_roots=lambda: [cluster.ca.root_der],
            is_mutual=lambda: cluster.is_mutual,
            **changes,
        )
    )


def presented(server, client, host="127.0.0.1"):
    """The certificate that a server presents in one handshake, as DER."""
    near, far = socket.socketpair()

    def serve():
        with suppress(OSError), server.wrap_socket(far, server_side=True) as stream:
            stream.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=host) as stream:
            found = stream.getpeercert(binary_form=True)
            stream.sendall(b".")
            with suppress(ssl.SSLEOFError):
                stream.recv(1)  # an alert for the client's certificate comes after its handshake
            return found
    finally:
        near.close()
        thread.join()
        far.close()


def one_way(cluster):
    return client_context([cluster.ca.root_der])


def test_no_handshake_succeeds_before_a_network_is_set_up(cluster):
    tls = tls_of(cluster)
    tls.refresh()
    with pytest.raises(ssl.SSLError):
        presented(tls.server(), one_way(cluster))


def test_a_renewed_certificate_and_mutual_tls_are_taken_over(cluster):
    tls = tls_of(cluster)
    cluster.register.setup(TENANT, cluster.wanted)
    tls.refresh()
    context = tls.server()
    first = presented(context, one_way(cluster))
    tls.refresh()
    assert tls.server() is context  # nothing has changed
    key = cluster.keys.create("p2p", KeyCategory.TLS, "tls2", EC)
    renewed = cluster.ca.chain(key.public_key, OPERATOR, "127.0.0.1")
    cluster.certificates.import_certificate("p2p-tls", "tls", renewed)
    tls.refresh()
    assert presented(tls.server(), one_way(cluster)) != first
    cluster.is_mutual = True
    tls.refresh()
    with pytest.raises(ssl.SSLError):
        presented(tls.server(), one_way(cluster))
    identity = TlsIdentity(
        tls_tenant="cluster", tls_alias="tls", trust_roots=(cluster.ca.root_der,)
    )
    client = tls.client(identity)
    assert client is tls.client(identity)
    assert presented(tls.server(), client)
    with pytest.raises(TlsRefusedError):
        tls.client(replace(identity, tls_alias="none"))


def test_a_certificate_without_its_key_leaves_the_earlier_one_in_force(cluster):
    tls = tls_of(cluster)
    cluster.register.setup(TENANT, cluster.wanted)
    tls.refresh()
    context = tls.server()
    foreign = cluster.keys.create(TENANT, KeyCategory.TLS, "node", EC)  # not the cluster's
    chain = cluster.ca.chain(foreign.public_key, OPERATOR, "127.0.0.1")
    cluster.certificates.import_certificate("p2p-tls", "tls", chain)
    tls.refresh()
    assert tls.server() is context


def test_a_gateway_whose_certificate_was_revoked_is_not_spoken_to(cluster):
    asked = []
    tls = tls_of(cluster, revoked=lambda chain, roots: asked.append((chain, roots)) or "revoked")
    key = cluster.keys.create("p2p", KeyCategory.TLS, "other", EC)
    pem = cluster.ca.chain(key.public_key, OPERATOR, "127.0.0.1")
    chain = [
        each.public_bytes(Encoding.DER) for each in load_pem_certificates(pem, source="a test")
    ]
    roots = (cluster.ca.root_der,)
    identity = TlsIdentity(tls_tenant="cluster", tls_alias=None, trust_roots=roots)
    with pytest.raises(TlsRefusedError, match="revoked"):
        tls.check(chain, identity)
    assert asked == [(chain, roots)]
    other = TlsIdentity(
        tls_tenant="cluster", tls_alias=None, trust_roots=(DevelopmentCa("other").root_der,)
    )
    with pytest.raises(TlsRefusedError):
        tls.check(chain, other)
    assert len(asked) == 1, "nobody is asked for a chain that leads to no root"
    tls_of(cluster).check(chain, identity)
