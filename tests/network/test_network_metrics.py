"""Gauges and counters of links and of membership."""

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from host.domain.clock import SimClock
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.network.membership.figures import MembershipFigures, figures
from host.network.membership.mgm_operations import OperationsOfMgm
from host.observe.link_observer import LinkObserver
from host.observe.network_metrics import LinkCollector, MembershipCollector
from tests.network.dynamic_networks import Network, member_name
from tests.network.test_link_clusters import BOBS, clusters, membership, put

ALICE, BOB = member_name(0), member_name(1)


def _samples(registry: CollectorRegistry) -> Mapping[tuple[str, ...], float]:
    """Values by name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def _of_link(cluster: Any) -> Mapping[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(LinkCollector(cluster.link.figures, cluster.clock))
    observer = LinkObserver(registry, cluster.clock)
    for event in (*cluster.events, *cluster.made):
        observer(event)
    return _samples(registry)


def test_what_waits_for_a_peer_that_does_not_answer_is_told_by_class_of_peer() -> None:
    a, b, medium = clusters(clock=SimClock(EpochMs(1_000_000)))
    medium.is_cut = True
    put(a, membership("m1"))
    while medium.step():
        pass
    medium.clock.advance(1_500)
    found = _of_link(a)
    assert found["cordbox_link_queue_messages", "member"] == 1
    assert found["cordbox_link_queue_messages", "mgm"] == 0
    assert found["cordbox_link_queue_bytes", "member"] == len(b"hello")
    assert found["cordbox_link_queue_oldest_seconds", "member"] == 1.5
    assert found["cordbox_link_peers_failing", "member"] == 1
    medium.is_cut = False
    medium.run(lambda: bool(b.arrived()))
    done = _of_link(a)
    assert done["cordbox_link_peers_failing", "member"] == 0
    assert done["cordbox_link_sessions", "outbound"] == 1
    assert done["cordbox_link_handshakes_total", "initiator"] == 1
    assert _of_link(b)["cordbox_link_sessions", "inbound"] == 1
    assert _of_link(b)["cordbox_link_handshakes_total", "responder"] == 1


def test_messages_that_were_given_up_are_counted_by_bounded_codes() -> None:
    a, _, medium = clusters()
    medium.is_cut = True
    put(a, membership("m1"))
    put(a, membership("m2"))
    medium.run(lambda: len(a.outcomes()) == 2, most_ms=4 * 3_600_000)
    assert _of_link(a)["cordbox_link_messages_given_up_total", "peer-unreachable"] == 2


def test_what_waits_for_the_mgm_is_told_apart() -> None:
    a, _, medium = clusters()
    a.members.group.change(BOBS, is_mgm=True)
    medium.is_cut = True
    put(a, membership("m1"))
    while medium.step():
        pass
    assert _of_link(a)["cordbox_link_queue_messages", "mgm"] == 1


def _of_membership(read: Callable[[], MembershipFigures], clock: SimClock) -> Mapping[Any, float]:
    registry = CollectorRegistry()
    registry.register(MembershipCollector(read, clock))
    return _samples(registry)


def test_registrations_and_the_lag_of_lists_are_told(tmp_path) -> None:
    network = Network(tmp_path)
    place = network.mgm
    network.join(ALICE, 1)
    network.settle()

    def told(cluster: Any, not_after: int | None = None) -> Mapping[Any, float]:
        return _of_membership(lambda: figures(cluster.database, not_after), network.clock)

    found = told(place)
    assert found["cordbox_membership_registrations", "mgm", "APPROVED"] == 1
    assert found["cordbox_membership_registrations", "member", "APPROVED"] == 1, "the MGM's own"
    assert found["cordbox_membership_recipients_behind",] == 0
    operations = OperationsOfMgm(place.access, place.worker)
    for number in range(3):
        operations.update_group_parameters(network.mgm_hash, {f"ext.{number}": "x"})
    behind = told(place)
    assert behind["cordbox_membership_recipients_behind",] == 1
    assert behind["cordbox_membership_list_lag_versions",] == 3
    network.settle()
    assert told(place)["cordbox_membership_recipients_behind",] == 0
    network.clock.advance(90_000)
    of_member = told(network.places[ALICE], network.clock.now_ms() + 5_000)
    assert of_member["cordbox_membership_list_age_seconds",] == 90
    assert of_member["cordbox_membership_forks",] == 0
    assert of_member["cordbox_network_certificate_expiry_seconds",] == 5
    network.close()


def test_a_database_that_cannot_be_read_leaves_the_other_metrics() -> None:
    def fails() -> Any:
        raise StorageError("the disk is gone")

    registry, clock = CollectorRegistry(), SimClock()
    registry.register(LinkCollector(fails, clock))
    registry.register(MembershipCollector(fails, clock))
    assert _samples(registry) == {}
