"""An MGM moves to another cluster, where it signs on; what is left of it at its source does nothing."""

import json
from collections.abc import Iterator

import pytest

from host.adapters.sqlite.database import Database
from host.network.location.arriving import ArrivingNodes
from host.network.location.claims import ClaimInvalidError
from host.network.location.leaving import LeavingNodes
from host.network.location.looking import PlaceWatch
from host.network.location.machine import Happened, LocationConflictError
from host.network.location.tables import SCHEMA
from host.network.membership import group_store
from host.network.membership.mgm_group import MgmElsewhereError, register_mgm
from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.membership.network_access import group_of_mgm
from host.network.membership.package import GroupForkError
from host.ports.keys import KeyCategory, KeyQuery
from host.ports.locations import Place
from host.ports.mgm import RuleKind
from tests.network.dynamic_networks import MGM, MGM_POLICY, Network, identity, member_name
from tests.network.node_copies import contents, copy, parts_of

ALICE, BOB, CAROL = (member_name(number) for number in range(3))
URL = "https://target.example:8080"
NODE = identity(MGM).short_hash


@pytest.fixture
def network(tmp_path) -> Iterator[Network]:
    """Alice is beside the MGM, Bob on the other cluster."""
    made = Network(tmp_path)
    made.join(ALICE, 0)
    made.settle()
    made.join(BOB, 1)
    made.settle()
    yield made
    made.close()


@pytest.fixture
def sides(network, tmp_path):
    """What moves nodes at the source, and at the target."""
    registers = [Database.open(tmp_path / f"{n}.sqlite", [SCHEMA]) for n in range(2)]
    yield [
        parts_of(
            network, cluster, each, erased=contents(cluster), folder=tmp_path, nodes=States(cluster)
        )
        for cluster, each in zip(network.clusters, registers, strict=True)
    ]
    for each in registers:
        each.close()


class States:
    """The register of nodes, with the states that were set."""

    def __init__(self, cluster):
        self.get, self.states = cluster.nodes.get, []

    def set_state(self, short_hash, state):
        self.states.append((short_hash, state))


def _settle(network, sides):
    for cluster, parts in zip(network.clusters, sides, strict=True):
        cluster.access.locations.places[NODE] = parts.places.place(NODE)
    network.settle()


def _arrived(network, sides):
    """The MGM is exported, and its file loaded at the target."""
    source, target = sides
    source.places.change(NODE, Happened.EXPORT, transfer="t", epoch=0)
    network.clusters[1].nodes.add(identity(MGM), MGM_POLICY)
    target.places.change(NODE, Happened.IMPORT, epoch=0)
    copy(identity(MGM), *network.clusters)
    target.places.change(NODE, Happened.LOADED)
    _settle(network, sides)


def _moved(network, sides):
    _arrived(network, sides)
    _work_there(network, sides)


def _work_there(network, sides):
    _, target = sides
    ArrivingNodes(target, None).activate(NODE, urls=(URL,), tls_alias="tls")
    assert PlaceWatch(target).look() == 1
    assert target.nodes.states == [(NODE, "ACTIVE")]
    network.places[MGM] = network.clusters[1]
    _settle(network, sides)


def _operations(cluster):
    return OperationsOfMgm(cluster.access, cluster.worker)


def test_an_mgm_goes_on_with_its_list_at_its_new_place(network, sides):
    _operations(network.mgm).add_approval_rule(NODE, RuleKind.STANDARD, "x", "kept")
    _arrived(network, sides)
    realm = network.view(MGM).realm
    with network.clusters[0].database.read() as before, network.clusters[1].database.read() as now:
        for read in (group_store.heads_between, group_store.entries_between):
            assert len(read(before, realm, 0, 9)) == 3
            assert read(now, realm, 0, 9) == read(before, realm, 0, 9)
    _work_there(network, sides)
    assert network.head(ALICE) == network.head(BOB) == network.head(MGM)
    assert network.view(MGM).version == 4
    for name in (ALICE, BOB):
        peer = network.places[name].link_members.peer(identity(name), identity(MGM).x500_name)
        assert (peer.urls, peer.location_epoch, peer.is_mgm) == ((URL,), 1, True)
    operations = _operations(network.clusters[1])
    assert URL in operations.info(NODE)
    assert [r.label for r in operations.approval_rules(NODE, RuleKind.STANDARD)] == ["kept"]
    assert PlaceWatch(sides[0]).look() == 1
    assert sides[0].places.place(NODE) is Place.MOVED
    _settle(network, sides)
    with pytest.raises(MgmElsewhereError, match="MOVED"):
        _operations(network.clusters[0]).info(NODE)
    network.join(CAROL, 0)  # by the group policy of before
    peer = network.clusters[0].link_members.peer(identity(CAROL), identity(MGM).x500_name)
    assert (peer.urls, peer.location_epoch) == ((URL,), 1)
    network.settle()
    assert network.members(CAROL) == network.members(ALICE) == network.members(MGM)
    assert len(network.members(CAROL)) == 4


def test_what_is_asked_of_an_mgm_on_its_way_waits_for_its_new_place(network, sides):
    _arrived(network, sides)
    for cluster in network.clusters:
        with pytest.raises(MgmElsewhereError):
            _operations(cluster).add_approval_rule(NODE, RuleKind.STANDARD, "x", None)
        with pytest.raises(MgmElsewhereError):
            register_mgm(cluster.access, cluster.nodes.nodes[NODE], {}, "again")
    request = network.join(CAROL, 1)
    network.settle()
    assert network.status(CAROL, request)[0] != "APPROVED"
    assert network.view(BOB).version == 3
    ArrivingNodes(sides[1], None).activate(NODE, urls=(URL,), tls_alias="tls")
    PlaceWatch(sides[1]).look()
    network.places[MGM] = network.clusters[1]
    for _ in range(20):
        network.clock.advance(60_000)
        _settle(network, sides)
    assert network.status(CAROL, request) == ("APPROVED", None)
    assert network.members(CAROL) == network.members(ALICE)


def test_a_claim_that_was_granted_before_a_crash_is_not_made_twice(network, sides):
    _arrived(network, sides)
    arriving = ArrivingNodes(sides[1], None)
    for _ in range(2):
        arriving.activate(NODE, urls=(URL,), tls_alias="tls")
    PlaceWatch(sides[1]).look()
    network.places[MGM] = network.clusters[1]
    _settle(network, sides)
    assert network.view(MGM).version == 4


def test_an_mgm_comes_back_by_force_alone_and_not_once_it_works_elsewhere(network, sides):
    _arrived(network, sides)
    leaving = LeavingNodes(sides[0], None)
    with pytest.raises(ClaimInvalidError, match="no MGM above"):
        leaving.cancel(NODE)
    assert leaving.cancel(NODE, is_forced=True) is Place.HERE
    sides[0].places.change(NODE, Happened.EXPORT, transfer="t", epoch=0)
    ArrivingNodes(sides[1], None).activate(NODE, urls=(URL,), tls_alias="tls")
    PlaceWatch(sides[1]).look()
    network.places[MGM] = network.clusters[1]
    _settle(network, sides)
    with pytest.raises(LocationConflictError, match="works elsewhere"):
        leaving.cancel(NODE, is_forced=True)


def test_the_source_learns_of_the_move_by_the_signature_of_the_mgm_itself(network, sides):
    _arrived(network, sides)
    ArrivingNodes(sides[1], None).activate(NODE, urls=(URL,), tls_alias="tls")
    proof = sides[1].claims.listed(NODE).member
    assert LeavingNodes(sides[0], None).moved(NODE, proof) is Place.MOVED
    with network.clusters[0].database.read() as connection:
        assert group_of_mgm(connection, NODE) is None
    assert network.clusters[0].keys.list(NODE) == []


def test_two_copies_of_an_mgm_that_both_sign_are_told_by_their_list(network, sides):
    _arrived(network, sides)
    ArrivingNodes(sides[1], None).activate(NODE, urls=(URL,), tls_alias="tls")
    sides[0].places.change(NODE, Happened.FORCED)  # its operator says that no copy works
    network.clusters[0].access.locations.places[NODE] = Place.HERE
    _operations(network.clusters[0]).update_group_parameters(NODE, {"ext.a": "b"})
    source, target = (contents(cluster)[-1] for cluster in network.clusters)
    with pytest.raises(GroupForkError):
        target.load(identity(MGM), list(source.dump(identity(MGM))), 1)


def test_an_mgm_that_registers_again_stays_at_its_place(network, sides):
    _moved(network, sides)
    cluster, later = network.mgm, "https://later.example:1"
    keys = {
        each: cluster.keys.query(NODE, KeyQuery(category=each))[0].key_id
        for each in (KeyCategory.SESSION_INIT, KeyCategory.PRE_AUTH)
    }
    cluster.key = lambda _tenant, category: keys[category]
    given = {**cluster.mgm_context(NODE), "corda.endpoints.0.connectionURL": later}
    (root,) = json.loads(_operations(cluster).info(NODE))["p2pParameters"]["tlsTrustRoots"]
    given["corda.group.trustroot.tls.0"] = root
    register_mgm(cluster.access, cluster.nodes.nodes[NODE], given, "again")
    _settle(network, sides)
    peer = network.places[ALICE].link_members.peer(identity(ALICE), identity(MGM).x500_name)
    assert (peer.urls, peer.location_epoch) == ((later,), 1)
