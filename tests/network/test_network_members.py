"""What links learn of members: identities here, peers as each viewer sees them, TLS clients (S7)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cpi.crypto.certificates import load_pem_certificates
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.flow.engine.local_routes import LocalRoutes
from host.keys import SchemePublicKeys
from host.network.client_certificates import SessionCertificates
from host.network.link.handshake import SessionKey
from host.network.link.members import LinkPeer
from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.membership.network_access import group_of_mgm
from host.network.membership.sequencer import SetStatus
from host.network.network_members import NetworkMembers
from host.network.static_routes import StaticRoutes
from host.ports.keys import KeyCategory
from host.ports.mgm import RuleKind
from host.ports.routes import Here, Refused
from tests.network.development_ca import DevelopmentCa
from tests.network.dynamic_networks import MGM, Network, identity, member_name

ALICE, BOB, CAROL = (member_name(n) for n in range(3))
OPERATOR = "CN=CordaOperator, O=Org, L=London, C=GB"


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path, clusters=3)
    yield made
    made.close()


def test_members_of_other_clusters_are_known_by_name_and_by_session_key(network: Network) -> None:
    network.join(ALICE, 1)
    network.join(BOB, 2)
    network.settle()
    alices, bobs = _members(network, ALICE), _members(network, BOB)

    alice = alices.identity(identity(ALICE))
    assert alice is not None
    seen = _peer(network, BOB, ALICE)
    assert seen is not None
    assert (seen.status, seen.keys) == (MemberStatus.ACTIVE, alice.keys)
    assert seen.urls == ("https://member.example:8080",)
    (key,) = alice.keys
    assert bobs.peer_of_key(identity(BOB), key.digest) == seen
    assert alices.local(alice.realm, key.digest) == alice
    assert alices.local(bytes(32), key.digest) is None
    assert bobs.local(alice.realm, key.digest) is None
    assert alices.list_version(identity(ALICE)) == bobs.list_version(identity(BOB))
    assert bobs.identity(identity(ALICE)) is None
    assert bobs.peer(identity(ALICE), MemberX500Name.parse(BOB)) is None


def test_a_member_speaks_with_each_of_its_session_keys_the_preferred_one_first(
    network: Network,
) -> None:
    network.join(ALICE, 1)
    network.settle()
    alice, keys = identity(ALICE), network.clusters[1].keys
    first = _members(network, ALICE).identity(alice)
    network.clock.advance(1)  # this set-up prefers the oldest key
    second = keys.create(
        alice.short_hash, KeyCategory.SESSION_INIT, "second", "CORDA.ECDSA.SECP256R1"
    )

    found = network.clusters[1].new_link_members().identity(alice)
    assert first is not None
    assert found is not None
    assert [key.pem for key in found.keys] == [first.keys[0].pem, second.public_key]


def test_mgm_is_known_by_the_policy_alone_and_found_by_its_realm(network: Network) -> None:
    network.join(ALICE, 1)  # nothing has been delivered
    mgm = _members(network, MGM).identity(identity(MGM))
    assert mgm is not None
    assert mgm.is_mgm

    seen = _peer(network, ALICE, MGM)
    assert seen is not None
    assert (seen.is_mgm, seen.keys, seen.urls) == (True, mgm.keys, ("https://mgm.example:8080",))
    assert _peer(network, ALICE, BOB) is None
    assert _members(network, MGM).mgm(mgm.realm) == mgm
    assert _members(network, ALICE).mgm(mgm.realm) is None


def test_applicants_are_known_to_the_mgm_alone_also_when_just_declined(network: Network) -> None:
    operations = OperationsOfMgm(network.mgm.access, network.mgm.worker)
    operations.add_approval_rule(network.mgm_hash, RuleKind.STANDARD, ".*", None)
    network.join(BOB, 2)
    network.settle()
    (request,) = operations.registrations(network.mgm_hash)
    operations.approve(network.mgm_hash, request.registration_id)
    request_of_alice = network.join(ALICE, 1)
    network.settle()
    key = _key(network, ALICE)

    pending = _peer(network, MGM, ALICE)
    assert pending is not None
    assert pending.status is MemberStatus.PENDING
    assert _members(network, MGM).peer_of_key(identity(MGM), key) == pending
    assert _peer(network, BOB, ALICE) is None

    operations.decline(network.mgm_hash, request_of_alice, "no")
    assert _peer(network, MGM, ALICE) == pending
    network.clock.advance(31 * 60_000)
    assert _peer(network, MGM, ALICE) is None
    assert _members(network, MGM).peer_of_key(identity(MGM), key) is None


def test_request_of_another_in_the_name_of_a_member_gives_it_no_key(network: Network) -> None:
    network.join(ALICE, 1)
    network.settle()
    genuine = _peer(network, MGM, ALICE)
    mallory = network.clusters[2]
    node = mallory.nodes.add(identity(ALICE), network.policy)
    short_hash = identity(ALICE).short_hash
    url = "https://mallory.example:1"
    given = mallory.context(short_hash, **{"corda.endpoints.0.connectionURL": url})
    mallory.worker.members.register(node, {**given, "corda.serial": "1"})
    network.settle()
    stolen = mallory.link_members.identity(identity(ALICE))
    assert stolen is not None

    assert _peer(network, MGM, ALICE) == genuine
    assert _members(network, MGM).peer_of_key(identity(MGM), stolen.keys[0].digest) is None


def test_second_member_with_the_session_key_of_another_is_declined(network: Network) -> None:
    network.join(ALICE, 1)
    network.settle()
    place = network.clusters[1]
    node = place.nodes.add(identity(BOB), network.policy)
    network.places[BOB] = place
    short_hash, own = identity(BOB).short_hash, place.context(identity(BOB).short_hash)
    mine = place.access.keys.query
    alices = place.keys.list(identity(ALICE).short_hash)
    place.access.keys.query = lambda tenant, query: [  # type: ignore[method-assign]
        *mine(tenant, query),
        *(key for key in alices if key.key_id in query.ids),
    ]
    stolen = next(k for k in alices if k.category is KeyCategory.SESSION_INIT).key_id
    request = place.worker.members.register(node, {**own, "corda.session.keys.1.id": stolen})
    network.settle()

    assert short_hash
    status, reason = network.status(BOB, request)
    assert (status, "that of another member" in (reason or "")) == ("DECLINED", True)


def test_suspended_member_sees_itself_and_the_mgm_alone(network: Network) -> None:
    network.join(ALICE, 1)
    network.join(BOB, 2)
    network.settle()
    change = SetStatus(name=ALICE, serial=1, status=MemberStatus.SUSPENDED)
    network.mgm.worker.sequencer.run(network.mgm_hash, change)
    network.settle()

    own, of_bob = _peer(network, ALICE, ALICE), _peer(network, BOB, ALICE)
    assert own is not None
    assert of_bob is not None
    assert own.status is of_bob.status is MemberStatus.SUSPENDED
    assert _peer(network, ALICE, MGM) is not None
    assert _peer(network, ALICE, BOB) is None
    assert _members(network, ALICE).peer_of_key(identity(ALICE), _key(network, BOB)) is None


def test_peer_that_tells_a_newer_version_brings_the_next_synchronisation_on(
    network: Network,
) -> None:
    network.join(ALICE, 1)
    network.settle()
    members, viewer = _members(network, ALICE), identity(ALICE)
    version, _ = members.list_version(viewer)

    members.behind(viewer, version, b"another head")
    network.clock.advance(11_000)
    assert network.places[ALICE].worker.tick() == 0
    members.behind(viewer, version + 1, b"")
    network.clock.advance(11_000)
    assert network.places[ALICE].worker.tick() == 1


def test_a_peer_that_claims_too_high_a_version_hides_no_later_one(network: Network) -> None:
    network.join(ALICE, 1)
    network.settle()
    members, viewer = _members(network, ALICE), identity(ALICE)

    def asks(version: int) -> bool:
        members.behind(viewer, version, b"")
        network.clock.advance(11_000)
        return network.places[ALICE].worker.tick() == 1

    assert asks(2**53 - 1)
    network.settle()
    assert not asks(2**53 - 2)  # one ask for each version of the list
    network.join(BOB, 2)
    network.settle()
    assert asks(members.list_version(viewer)[0] + 1)


def test_network_with_mutual_tls_admits_allowed_subjects_of_its_own_roots(tmp_path: Path) -> None:
    ca, other = DevelopmentCa("network"), DevelopmentCa("another network")
    extra = {"corda.group.tls.type": "Mutual", "corda.group.trustroot.tls.0": ca.root_pem}
    network = Network(tmp_path, **extra)
    members = _members(network, MGM)
    with network.mgm.database.read() as connection:
        group = group_of_mgm(connection, network.mgm_hash)
    assert group is not None
    realm = bytes.fromhex(group.signer.realm)
    chain, foreign = _chain(ca, OPERATOR), _chain(other, OPERATOR)

    assert not members.admits_client(realm, chain)
    operations = OperationsOfMgm(network.mgm.access, network.mgm.worker)
    operations.allow_client_certificate_subject(network.mgm_hash, OPERATOR)
    assert members.admits_client(realm, chain)
    assert not members.admits_client(realm, foreign)
    assert not members.admits_client(realm, ())
    assert not members.admits_client(realm, _chain(ca, ALICE))
    assert not members.admits_client(bytes(32), chain)
    operations.disallow_client_certificate_subject(network.mgm_hash, OPERATOR)
    assert not members.admits_client(realm, chain)
    network.close()


def test_a_revoked_client_certificate_is_not_admitted_though_its_subject_is(
    tmp_path: Path,
) -> None:
    ca, asked = DevelopmentCa("network"), list[tuple[bytes, ...]]()

    def revoked(chain: Sequence[bytes], roots: Sequence[bytes]) -> str | None:
        assert list(roots) == [ca.root_der]
        asked.append(tuple(chain))
        return "revoked" if len(asked) == 1 else None

    extra = {"corda.group.tls.type": "Mutual", "corda.group.trustroot.tls.0": ca.root_pem}
    network = Network(tmp_path, **extra)
    place = network.mgm
    OperationsOfMgm(place.access, place.worker).allow_client_certificate_subject(
        network.mgm_hash, OPERATOR
    )
    members = place.new_link_members(client_revoked=revoked)
    with place.database.read() as connection:
        group = group_of_mgm(connection, network.mgm_hash)
    assert group is not None
    realm, chain = bytes.fromhex(group.signer.realm), _chain(ca, OPERATOR)
    assert not members.admits_client(realm, _chain(DevelopmentCa("other"), OPERATOR))
    assert asked == [], "nobody is asked for a chain that leads to no root"
    assert not members.admits_client(realm, chain)
    network.clock.advance(60_000)
    assert members.admits_client(realm, chain), "it is asked again after a minute"
    assert asked == [chain, chain]
    network.close()


def test_a_revoked_session_certificate_ends_a_handshake(network: Network) -> None:
    """The check that a handshake asks; what it answers ends it (`test_link_handshake`)."""
    ca, keys = DevelopmentCa("sessions"), SchemePublicKeys()
    private = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = private.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    found = load_pem_certificates(ca.chain(pem, ALICE), source="a test")
    chain = tuple(each.public_bytes(Encoding.DER) for each in found)
    key = SessionKey(pem=pem, spec="SHA256withECDSA", digest=b"")
    reasons = iter(["it was revoked", None])
    check = SessionCertificates((ca.root_der,), keys, network.clock, lambda *_asked: next(reasons))
    assert check(chain, identity(BOB), key) is not None, "another member's: nobody is asked"
    assert check(chain, identity(ALICE), key) == "it was revoked"
    assert check(chain, identity(ALICE), key) is None


def test_node_that_is_not_set_up_for_its_network_sends_to_nobody(network: Network) -> None:
    network.join(ALICE, 1)
    network.join(BOB, 1)
    place = network.places[ALICE]
    local = LocalRoutes(place.nodes)  # type: ignore[arg-type]
    here = Here(identity(BOB).short_hash)

    assert local.route(identity(ALICE), identity(BOB)) == here
    routes = StaticRoutes(local, place.viewers)
    assert isinstance(routes.route(identity(ALICE), identity(BOB)), Refused)
    of_static = identity("O=Static, L=London, C=GB")
    assert routes.route(of_static, identity(BOB)) == here
    assert routes.accepts(identity(ALICE), identity(BOB)) is None


def _members(network: Network, name: str) -> NetworkMembers:
    return network.places[name].link_members


def _peer(network: Network, viewer: str, name: str) -> LinkPeer | None:
    return _members(network, viewer).peer(identity(viewer), MemberX500Name.parse(name))


def _key(network: Network, name: str) -> bytes:
    """The digest of a member's session key."""
    found = _members(network, name).identity(identity(name))
    assert found is not None
    return found.keys[0].digest


def _chain(ca: DevelopmentCa, subject: str) -> tuple[bytes, ...]:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    found = load_pem_certificates(ca.chain(pem, subject), source="a test")
    return tuple(each.public_bytes(Encoding.DER) for each in found)
