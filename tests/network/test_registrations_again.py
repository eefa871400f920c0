"""A registration whose message or decision was lost is sent again until the member knows its end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.errors import StorageError
from host.network.membership.changes import Changes, ToldDatabase
from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.membership.mgm_registrations import TELL_AGAIN_MS
from host.network.membership.network_access import NetworkAccess
from host.network.membership.network_registrations import MGM_SIDE, find_registration
from host.network.membership.network_worker import NetworkWorker
from host.network.membership.times import MINUTE_MS
from host.network.membership.workers import BEAT_MS, MembershipWork
from host.network.values.messages import MembershipIn, MembershipOutcome, encode_record
from host.network.values.p2p_out import P2pOut
from host.ports.mgm import RuleKind
from tests.network.dynamic_networks import MGM, Cluster, Network, identity, member_name

ALICE, BOB = member_name(0), member_name(1)
TWENTY_MINUTES = 20 * MINUTE_MS
NOTARY_OF_BOB = {
    "corda.roles.0": "notary",
    "corda.notary.service.name": "O=Notary Service, L=London, C=GB",
    "corda.notary.service.flow.protocol.name": "com.example.notary",
}


class LosingNetwork(Network):
    """Loses the messages whose ids end in `lost`; senders believe that they were delivered."""

    lost: str | None = None

    def _carry(self, source: Cluster, message: P2pOut) -> None:
        if self.lost is None or not message.message_id.endswith(self.lost):
            super()._carry(source, message)
            return
        outcome = MembershipOutcome(
            group_id=message.group_id,
            source=message.source,
            target=message.target,
            message_id=message.message_id,
            code=None,
        )
        source.arrived.append(encode_record(outcome))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LosingNetwork]:
    made = LosingNetwork(tmp_path)
    yield made
    made.close()


def test_a_request_that_did_not_arrive_is_sent_again(network: LosingNetwork) -> None:
    network.lost = ""
    request = network.join(ALICE, 1)
    network.settle()
    network.lost = None
    assert network.status(ALICE, request)[0] == "SENT_TO_MGM"

    network.clock.advance(TWENTY_MINUTES - 1)
    network.settle()
    assert network.status(ALICE, request)[0] == "SENT_TO_MGM"
    network.clock.advance(1)
    network.settle()
    assert network.status(ALICE, request)[0] == "APPROVED"
    assert set(network.members(ALICE)) == {MGM, ALICE}


@pytest.mark.parametrize("end", ["APPROVED", "DECLINED"])
def test_a_decision_that_did_not_arrive_is_told_again(network: LosingNetwork, end: str) -> None:
    """Hours later too: then the MGM does not remember a declined applicant any more."""
    network.join(BOB, 0, **NOTARY_OF_BOB)
    network.settle()
    network.lost = f"/{end}"
    request = network.join(ALICE, 1, **(NOTARY_OF_BOB if end == "DECLINED" else {}))
    for _ in range(3):
        network.settle()
        network.clock.advance(2 * TWENTY_MINUTES)
    assert network.status(ALICE, request)[0] not in ("APPROVED", "DECLINED")

    network.lost = None
    network.settle()
    assert network.status(ALICE, request)[0] == end


def test_a_request_whose_key_is_gone_stops_nobody_elses(network: LosingNetwork) -> None:
    network.lost = ""
    first, second = network.join(ALICE, 1), network.join(BOB, 1)
    network.settle()
    network.lost = None
    del network.places[ALICE].nodes.nodes[identity(ALICE).short_hash]
    network.clock.advance(TWENTY_MINUTES)
    network.settle()

    assert network.status(BOB, second)[0] == "APPROVED"
    assert network.status(ALICE, first)[0] == "SENT_TO_MGM"


def test_a_recorded_request_makes_the_mgm_tell_its_status_once_in_a_minute(
    network: LosingNetwork,
) -> None:
    request = network.join(ALICE, 1)
    network.settle()
    (sealed,) = (m.payload for m in network.recorded if m.message_id == request)
    told = f"{request}/APPROVED"

    for after, times in ((TELL_AGAIN_MS - 1, 1), (1, 2)):
        network.clock.advance(after)
        for _ in range(3):
            _replay(network, sealed)
            network.settle()
        assert [m.message_id for m in network.recorded].count(told) == times


def test_requests_of_a_name_are_worked_on_one_after_another_the_oldest_first(
    network: LosingNetwork,
) -> None:
    mgm = OperationsOfMgm(network.mgm.access, network.mgm.worker)
    mgm.add_approval_rule(network.mgm_hash, RuleKind.STANDARD, "^corda.endpoints", "by hand")
    place, tenant = network.clusters[1], identity(ALICE).short_hash
    place.nodes.add(identity(ALICE), network.policy)
    network.places[ALICE] = place
    given, requests = place.context(tenant), list[str]()
    for _ in range(3):
        requests.append(network.register(ALICE, given))
        network.settle()
        network.clock.advance(1)
    for number, request in enumerate(requests):
        waiting = [mgm_status(network, each) for each in requests[number:]]
        assert waiting == ["PENDING_MANUAL_APPROVAL", *["RECEIVED_BY_MGM"] * (len(waiting) - 1)]
        mgm.decline(network.mgm_hash, request, "no")
        network.settle()
    assert {mgm_status(network, each) for each in requests} == {"DECLINED"}


def test_a_cluster_with_nothing_to_do_writes_nothing_and_waits(network: LosingNetwork) -> None:
    network.join(ALICE, 1)
    network.settle()
    for place in network.clusters:
        work, told = _work(place)
        assert not work.work()
        work.work()
        assert (work.pause_ms(), told) == (BEAT_MS, [])


def test_what_is_due_is_done_after_a_failure_of_the_store(network: LosingNetwork) -> None:
    network.join(ALICE, 1)
    place = network.clusters[1]
    work, _ = _work(place)

    class Full(MemoryStore):
        def commit(self, unit):  # type: ignore[no-untyped-def]
            raise StorageError("the disk is full")

    work._store = Full(clock=network.clock)
    with pytest.raises(StorageError):
        work.work()
    work._store = MemoryStore(clock=network.clock)
    assert work.pause_ms() == 0
    assert work.work()


def mgm_status(network: Network, registration_id: str) -> str:
    with network.mgm.database.read() as connection:
        found = find_registration(connection, network.mgm_hash, registration_id, MGM_SIDE)
    assert found is not None
    return found.status.value


def _work(place: Cluster) -> tuple[MembershipWork, list[str]]:
    """The work of a process of a cluster, as hosts have it; what is told of its commits."""
    changes, told = Changes(), list[str]()
    access: NetworkAccess = replace(place.access, database=ToldDatabase(place.database, changes))
    clock = place.access.clock
    work = MembershipWork(
        access,
        NetworkWorker(access),
        MemoryStore(clock=clock),  # type: ignore[arg-type]
        clock,
        handled=lambda **_: None,
    )
    changes.follow(work.changed)
    changes.follow(lambda: told.append("a commit"))
    work.adopt({0: None})
    return work, told


def _replay(network: Network, sealed: bytes) -> None:
    record = MembershipIn(
        group_id=identity(MGM).group_id,
        source=None,
        target=MGM,
        message_id="again",
        payload=sealed,
    )
    network.mgm.arrived.append(encode_record(record))
