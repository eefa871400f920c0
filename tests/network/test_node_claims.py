"""Two copies of a node claim its place: the one that loses learns it, and never claims a later one."""

from collections.abc import Iterator

import pytest

from host.adapters.sqlite.database import Database
from host.domain.errors import StorageError
from host.network.location.arriving import ArrivingNodes
from host.network.location.claims import Answer
from host.network.location.leaving import LeavingNodes
from host.network.location.looking import PlaceWatch
from host.network.location.machine import Happened, LocationConflictError
from host.network.location.tables import SCHEMA
from host.network.membership import relocation
from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.membership.node_list import NodeList
from host.network.membership.views import move_view
from host.ports.keys import KeyCategory, KeyQuery
from host.ports.locations import Place
from tests.network.dynamic_networks import MGM, Network, identity, member_name
from tests.network.node_copies import copy, parts_of

ALICE = member_name(0)
NODE = identity(ALICE).short_hash
URL = "https://target.example:8080"


@pytest.fixture
def network(tmp_path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


@pytest.fixture
def registers(tmp_path) -> Iterator[Database]:
    made = Database.open(tmp_path / "location.sqlite", [SCHEMA])
    yield made
    made.close()


def _copied(network):
    """Alice's node on the MGM's cluster, and what a file brought of it to the other one."""
    network.join(ALICE, 0)
    network.settle()
    source, target = network.clusters
    target.nodes.add(identity(ALICE), network.policy)
    copy(identity(ALICE), source, target)
    network.copies[ALICE] = target
    return source, target


def _claim(network, cluster, location_id, *urls, epoch=1):
    node = cluster.nodes.nodes[NODE]
    entries = relocation.place_entries(epoch, location_id, urls)
    of_claim = relocation.of_claim(cluster.access, NODE, None)
    return cluster.worker.members.relocate(node, entries, of_claim)


def _taken_back(network):
    """Both have claimed the place; the MGM has approved the source, which is on its own cluster."""
    source, target = _copied(network)
    won = _claim(network, source, "source")
    network.settle()
    _claim(network, target, "target", URL)
    network.settle()
    OperationsOfMgm(network.mgm.access, network.mgm.worker).approve(network.mgm_hash, won)
    network.settle()
    return source, target, won


def test_the_copy_that_loses_is_told_even_if_the_other_one_is_beside_the_mgm(network):
    source, target, won = _taken_back(network)
    assert network.status(ALICE, won) == ("APPROVED", None)
    reason = relocation.claim_refused(target.access, NODE, "target")
    assert reason is not None
    assert reason.startswith("DECLINED: location-taken")
    assert relocation.listed(source.access, NODE).location_id == "source"
    peer = network.mgm.link_members.peer(identity(MGM), identity(ALICE).x500_name)
    assert peer.urls == (URL,)  # its own gateway would answer for the copy here
    told = [m for m in network.recorded if m.is_for_other and m.target == ALICE]
    assert {m.message_id.rpartition("/")[2] for m in told} == {"DECLINED"}


def test_a_copy_that_lost_never_claims_a_later_place(network, registers):
    source, target, _ = _taken_back(network)
    parts = parts_of(network, target, registers)
    parts.places.change(NODE, Happened.IMPORT, epoch=0)
    parts.places.change(NODE, Happened.LOADED)
    arriving, watch = ArrivingNodes(parts, None), PlaceWatch(parts)
    arriving.activate(NODE, urls=(URL,), tls_alias="tls")
    network.settle()
    assert "location-taken" in watch.refusal(NODE)
    old, new = NodeList(source.access), NodeList(target.access)
    new.load(identity(ALICE), list(old.dump(identity(ALICE))), 1)
    assert parts.claims.answer(NODE, parts.places.location(NODE))[0] is Answer.TAKEN
    with pytest.raises(LocationConflictError, match="another copy"):
        arriving.activate(NODE, urls=(URL,), tls_alias="tls")
    assert parts.places.location(NODE).epoch == 1


def test_a_claim_names_the_newest_serial_that_any_node_here_knows(network):
    source, _, _ = _taken_back(network)
    before = network.view(ALICE).version - 1  # as if the other copy had got the newest list
    source.database.transact(
        lambda c: move_view(c, NODE, before, network.clock.now_ms(), source.times)
    )
    request = _claim(network, source, "again", epoch=2)
    network.settle()
    assert network.status(ALICE, request) == ("PENDING_MANUAL_APPROVAL", None)


def test_a_member_that_registers_again_stays_at_its_place(network):
    source, _, _ = _taken_back(network)
    keys = {
        each: source.keys.query(NODE, KeyQuery(category=each))[0].key_id
        for each in (KeyCategory.SESSION_INIT, KeyCategory.LEDGER)
    }
    source.key = lambda _tenant, category: keys[category]
    later = {"corda.endpoints.0.connectionURL": "https://later.example:1", "corda.serial": "2"}
    request = network.register(ALICE, source.context(NODE, **later))
    network.settle()
    assert network.status(ALICE, request) == ("APPROVED", None)
    found = relocation.listed(source.access, NODE)
    assert (found.epoch, found.location_id) == (1, "source")


class _States:
    """The register of nodes, with the states that were set."""

    def __init__(self, nodes):
        self.get, self.states = nodes.get, []

    def set_state(self, short_hash, state):
        self.states.append((short_hash, state))


def test_a_cancelled_export_that_was_declined_is_asked_for_again(network, registers):
    source, _ = _copied(network)
    operations = OperationsOfMgm(network.mgm.access, network.mgm.worker)
    nodes = _States(source.nodes)
    parts = parts_of(network, source, registers, nodes=nodes)
    leaving, watch = LeavingNodes(parts, None), PlaceWatch(parts)
    parts.places.change(NODE, Happened.EXPORT, transfer="t", epoch=0)
    for is_declined in (True, False):
        assert leaving.cancel(NODE) is Place.RECLAIMING
        network.settle()
        (open_one,) = operations.registrations(network.mgm_hash, name=ALICE)
        if is_declined:
            operations.decline(network.mgm_hash, open_one.registration_id, "not now")
        else:
            operations.approve(network.mgm_hash, open_one.registration_id)
        network.settle()
        assert (watch.refusal(NODE) == "DECLINED: not now") is is_declined
    version = network.view(ALICE).version
    source.database.transact(
        lambda c: move_view(c, NODE, version - 1, network.clock.now_ms(), source.times)
    )
    watch.look()
    assert (parts.places.place(NODE), nodes.states) == (Place.HERE, [(NODE, "ACTIVE")])
    assert parts.places.location(NODE).epoch == 1
    network.settle()
    assert network.view(ALICE).version == version


class _Content:
    """Fails until it was tried often enough."""

    def __init__(self, failures):
        self.failures, self.erased = failures, 0

    def erase(self, holding):
        assert holding == identity(ALICE)
        if self.failures:
            self.failures -= 1
            raise StorageError("the disk is away")
        self.erased += 1


def test_what_a_moved_node_left_is_erased_by_the_next_process(network, registers, tmp_path):
    source, _ = _copied(network)
    content = _Content(failures=1)
    parts = parts_of(network, source, registers, folder=tmp_path, erased=(content,))
    parts.places.change(NODE, Happened.EXPORT, transfer="t")
    parts.places.change(NODE, Happened.TAKEN)  # and the process ends here
    again = PlaceWatch(parts)
    again.look()
    assert (content.erased, parts.places.location(NODE).transfer) == (0, "t")
    again.look()
    again.look()
    PlaceWatch(parts).look()
    assert content.erased == 1
    assert parts.places.location(NODE).transfer == ""
    assert parts.places.place(NODE) is Place.MOVED
