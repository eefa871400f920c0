"""Dynamic networks: members join in any order, over restarts, and all see one list."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.domain.errors import ConflictError, InvalidInputError
from host.domain.membership import MemberStatus
from host.network.membership import group_store
from host.network.membership.distributor import package_after
from host.network.membership.due import next_due
from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.membership.network_access import group_of_mgm
from host.network.membership.package import to_parts
from host.network.membership.sequencer import Approve, SetParameters, SetStatus
from host.network.membership.times import NetworkTimes
from host.network.values.messages import MembershipIn, encode_message, encode_record
from host.network.values.p2p_out import P2pOut
from tests.network.dynamic_networks import MGM, Cluster, Network, identity, member_name

ALICE, BOB = member_name(0), member_name(1)
NOTARY = "O=Notary, L=London, C=GB"
AS_NOTARY = {
    "corda.roles.0": "notary",
    "corda.notary.service.name": "O=Notary Service, L=London, C=GB",
    "corda.notary.service.flow.protocol.name": "com.example.notary",
}
MEMBERS = int(os.environ.get("CORDBOX_NETWORK", "12"))


class MeasuredNetwork(Network):
    """Counts what members are sent instead of keeping it, and tells what joins have cost."""

    packages = package_bytes = told = 0
    seconds = 0.0

    def _carry(self, source: Cluster, message: P2pOut) -> None:
        super()._carry(source, message)
        self.recorded.clear()
        if message.message_id.startswith("package/"):
            self.packages += 1
            self.package_bytes += len(message.payload)

    def tell(self, members: int) -> None:
        """Each tenth of the way: packages, and bytes and processor time for each recipient."""
        if members - self.told < MEMBERS / 10:
            return
        joined, self.told = members - self.told, members
        spent, self.seconds = time.process_time() - self.seconds, time.process_time()
        each = joined * (members - joined / 2)
        print(  # noqa: T201  # shown by `make prove-network`
            f"\n{members} members: {1000 * spent / joined:.0f} ms of processor time for each join,"
            f" {1000 * spent / each:.2f} ms and {self.package_bytes / each:.0f} bytes for each"
            f" join and recipient, {self.packages} packages",
            flush=True,
        )
        self.packages = self.package_bytes = 0

    def list_bytes(self) -> int:
        """Bytes of all parts of the newest list, as a new member gets it."""
        view = self.view(MGM)
        with self.mgm.database.read() as connection:
            group = group_of_mgm(connection, self.mgm_hash)
            assert group is not None
            package = package_after(connection, group, 0, view.version)
        return sum(len(encode_message(part)) for part in to_parts(package, "all"))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


def test_members_join_in_any_order_over_restarts_and_see_one_list(tmp_path: Path) -> None:
    network = MeasuredNetwork(tmp_path, seed=MEMBERS)
    network.seconds = time.process_time()
    names = [member_name(n) for n in range(MEMBERS - 1)]
    network.random.shuffle(names)
    requests = {}
    for at, name in enumerate(names):
        requests[name] = network.join(name, at % 2)
        if network.random.random() < 0.3:
            network.settle(ends_per_run=25)
            network.tell(len(requests))
    requests[NOTARY] = network.join(NOTARY, 1, **AS_NOTARY)
    network.settle(ends_per_run=25)
    network.settle()

    listed = network.members(MGM)
    print(f"\nthe list of {len(listed)} members has {network.list_bytes()} bytes")  # noqa: T201
    assert {network.status(n, r)[0] for n, r in requests.items()} == {"APPROVED"}
    assert {network.head(name) for name in [MGM, *requests]} == {network.head(MGM)}
    assert set(network.members(NOTARY)) == {MGM, *requests}
    network.close()


def test_notary_is_in_the_parameters_while_it_is_active(network: Network) -> None:
    network.join(NOTARY, 1, **AS_NOTARY)
    network.settle()
    assert _services(network, NOTARY) == [AS_NOTARY["corda.notary.service.name"]]

    _set_status(network, NOTARY, 1, MemberStatus.SUSPENDED)
    network.settle()
    assert _services(network, MGM) == []

    _set_status(network, NOTARY, 2, MemberStatus.ACTIVE)
    network.settle()
    assert _services(network, NOTARY) == [AS_NOTARY["corda.notary.service.name"]]


def test_suspended_member_sees_itself_until_it_is_active_again(network: Network) -> None:
    network.join(ALICE, 1)
    network.join(BOB, 1)
    network.settle()

    _set_status(network, ALICE, 1, MemberStatus.SUSPENDED)
    network.settle()
    assert network.view(ALICE).own_digest is not None
    assert network.head(BOB) == network.head(MGM) != network.head(ALICE)

    _set_status(network, ALICE, 2, MemberStatus.ACTIVE)
    network.settle()
    assert network.view(ALICE).own_digest is None
    assert network.head(ALICE) == network.head(BOB) == network.head(MGM)


def test_member_that_does_not_answer_is_declined_when_its_time_is_over(network: Network) -> None:
    """Nothing is due before; the time is the setting's."""
    place, mgm = network.clusters[1], network.mgm
    mgm.times = NetworkTimes(verify_ms=60_000)
    assert next_due(mgm.database) is None
    network.join(ALICE, 1)
    place.relay.relay()
    sealed = place.sent.pop()
    _replay(network, sealed.payload, MGM)
    mgm.worker.handle(mgm.arrived.pop())

    assert next_due(mgm.database) == network.clock.now_ms() + 60_000
    network.clock.advance(59_999)
    assert mgm.worker.tick() == 0
    network.clock.advance(1)
    assert mgm.worker.tick() == 1
    assert next_due(mgm.database) is None
    operations = OperationsOfMgm(mgm.access, mgm.worker)
    (request,) = operations.registrations(network.mgm_hash, view_historic=True)
    assert request.status == "DECLINED"


def test_list_that_one_node_has_checked_costs_the_next_ones_no_signature(
    network: Network,
) -> None:
    for name in (ALICE, BOB):
        network.join(name, 1)
    network.settle()
    place = network.clusters[1]
    checked = list[str]()
    verify = place.access.public_keys.verify

    def counting(key: str, data: bytes, signature: bytes, spec: str) -> bool:
        checked.append(spec)
        return verify(key, data, signature, spec)

    place.access.public_keys.verify = counting  # type: ignore[method-assign]
    network.join(NOTARY, 0, **AS_NOTARY)
    network.settle()

    assert network.head(ALICE) == network.head(BOB) == network.head(MGM)
    assert len(checked) == 4  # the head, both contexts and the parameters, for both nodes together


def test_stale_serials_present_states_and_the_mgm_are_refused(network: Network) -> None:
    network.join(ALICE, 1)
    network.settle()

    with pytest.raises(ConflictError):
        _set_status(network, ALICE, 7, MemberStatus.SUSPENDED)
    with pytest.raises(ConflictError):
        _set_status(network, ALICE, 1, MemberStatus.ACTIVE)
    with pytest.raises(InvalidInputError):
        _set_status(network, MGM, 1, MemberStatus.SUSPENDED)


def test_parameters_of_operators_reach_members(network: Network) -> None:
    network.join(ALICE, 1)
    network.settle()

    change = SetParameters(minimum_platform_version=50100, custom=(("ext.a", "1"),))
    network.mgm.worker.sequencer.run(network.mgm_hash, change)
    network.settle()

    view = network.view(ALICE)
    with network.places[ALICE].database.read() as connection:
        found = group_store.parameters_at(connection, view.realm, view.version)
    assert found is not None
    assert (found.parameters.epoch, found.parameters.custom) == (2, (("ext.a", "1"),))


def test_second_notary_of_a_service_is_declined_with_the_reason(network: Network) -> None:
    first = network.join(NOTARY, 1, **AS_NOTARY)
    second = network.join(ALICE, 0, **AS_NOTARY)
    network.settle()

    outcomes = [network.status(NOTARY, first), network.status(ALICE, second)]
    assert sorted(status for status, _ in outcomes) == ["APPROVED", "DECLINED"]
    assert any("already exists" in (reason or "") for _, reason in outcomes)


def test_request_with_a_wrong_context_is_invalid_and_sends_nothing(network: Network) -> None:
    request = network.join(ALICE, 1, **{"corda.endpoints.0.connectionURL": "http://a"})
    other = network.register(ALICE, {"corda.name": "x"})
    network.settle()

    assert network.status(ALICE, request)[0] == network.status(ALICE, other)[0] == "INVALID"
    assert network.recorded == []


def test_only_the_member_that_is_named_can_answer_for_a_registration(network: Network) -> None:
    """A registration of Alice that another one sent is declined: Alice does not know it (S11)."""
    network.join(BOB, 1)
    request = network.join(ALICE, 1)
    network.settle()
    sealed = next(m for m in network.recorded if m.message_id == request)

    network.settle()
    before = network.head(MGM)
    for _ in range(3):
        _replay(network, sealed.payload, MGM)
    network.settle()

    assert network.head(MGM) == before


def test_registration_replayed_to_another_mgm_is_dropped(network: Network, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Network(tmp_path / "other")
    request = network.join(ALICE, 1)
    network.settle()
    sealed = next(m for m in network.recorded if m.message_id == request)

    before = other.head(MGM)
    _replay(other, sealed.payload, MGM)
    _replay(other, sealed.payload[:-1], MGM)
    other.settle()

    assert other.head(MGM) == before
    other.close()


def test_recorded_messages_that_come_again_change_nothing(network: Network) -> None:
    network.join(ALICE, 1)
    network.join(BOB, 0)
    network.settle()
    heads = {name: network.head(name) for name in (MGM, ALICE, BOB)}
    recorded = list(network.recorded)

    for message in recorded:
        source = None if message.sealed_for_mgm else message.source
        _replay(network, message.payload, message.target, source=source)
    network.settle()

    assert {name: network.head(name) for name in heads} == heads


def test_messages_of_a_member_in_the_name_of_the_mgm_are_dropped(network: Network) -> None:
    request = network.join(ALICE, 1)
    network.join(BOB, 1)
    network.settle()
    packages = [m for m in network.recorded if m.message_id.startswith("package/")]
    before = network.view(ALICE)

    for message in packages:
        _replay(network, message.payload, ALICE, source=BOB)
    network.settle()

    assert network.view(ALICE) == before
    assert network.status(ALICE, request)[0] == "APPROVED"


def test_approval_of_an_unknown_or_ended_request_is_refused(network: Network) -> None:
    request = network.join(ALICE, 1)
    network.settle()

    with pytest.raises(InvalidInputError):
        network.mgm.worker.sequencer.run(network.mgm_hash, Approve(registration_id=request))


def _replay(network: Network, payload: bytes, target: str, *, source: str | None = None) -> None:
    record = MembershipIn(
        group_id=identity(target).group_id,
        source=source,
        target=target,
        message_id="again",
        payload=payload,
    )
    network.places[target].arrived.append(encode_record(record))


def _set_status(network: Network, name: str, serial: int, status: MemberStatus) -> None:
    change = SetStatus(name=name, serial=serial, status=status)
    network.mgm.worker.sequencer.run(network.mgm_hash, change)


def _services(network: Network, name: str) -> list[str]:
    view = network.view(name)
    with network.places[name].database.read() as connection:
        found = group_store.parameters_at(connection, view.realm, view.version)
    assert found is not None
    return [str(notary.name) for notary in found.parameters.notaries]
