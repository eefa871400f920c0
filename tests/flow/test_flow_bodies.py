"""Large request bodies and results: written once, and gone when their flow has ended."""

from dataclasses import replace

import pytest

from host.domain.accounts import Account
from host.domain.flow import FlowStatusName
from host.domain.quotas import DEFAULT_QUOTA
from host.flow.core.bodies import INLINE_BYTES_MAX, body_key
from host.flow.core.messages import flow_state_key
from host.flow.core.offloaded_payloads import result_key
from host.flow.records.history import HistoryLimits
from host.flow.records.history_export import recording_of
from host.ports.quotas import Unmetered
from host.ports.state import StateWrite
from host.ports.units import FlowStore, Unit
from tests.flow.network import ALICE, BOB, CountedEntropy, Network, alone, holding
from tests.flow.scripted import Guest

HERE = holding(ALICE).short_hash
LARGE = {"marker": "\u00e4" * INLINE_BYTES_MAX}
MIB = 1024 * 1024
KEY = body_key(HERE, "r1")


def steps(guest: Guest) -> str:
    for _ in range(3):
        guest.call("flow", "sleep", millis=1000)
    return str(guest.body == LARGE)


def written(network: Network) -> list[bytes]:
    """Values that the network writes from now on."""
    values, commit = list[bytes](), network.store.commit

    def noting(unit: Unit) -> None:
        values.extend(write.value for write in unit.states if write.value is not None)
        values.extend(record.value for record in unit.records)
        commit(unit)

    network.store.commit = noting  # type: ignore[method-assign]
    return values


def gone(store: FlowStore) -> bool:
    return not store.scan("body/") and not store.scan("inbox/")


@pytest.mark.usefixtures("parking")
def test_a_large_body_is_written_once(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": steps})
    values = written(network)
    network.start(LARGE)
    body = store.get(KEY)
    assert body is not None
    assert store.balance(HERE, Account.JOURNAL).bytes == len(body.value) + len(KEY)
    network.engine.drain()
    for _ in range(3):
        network.later(1000)
    assert network.alice().result == "True"
    assert sum("marker" in value.decode() for value in values) == 1
    assert gone(store)
    assert store.balance(HERE, Account.JOURNAL).bytes == 0


def test_a_small_body_stands_in_the_start() -> None:
    network = alone(lambda guest: str(len(guest.body)))
    network.start("x" * (INLINE_BYTES_MAX - 2))
    assert gone(network.store)
    network.engine.drain()
    assert network.alice().result == str(INLINE_BYTES_MAX - 2)


def test_a_body_for_which_the_node_has_no_room_is_refused() -> None:
    class Small(Unmetered):
        def quota(self, node: object) -> object:
            return replace(DEFAULT_QUOTA, journals_bytes_max=MIB)

    network = alone(steps)
    network.service._quotas = Small()  # type: ignore[assignment]
    with pytest.raises(Exception, match="account journal") as refused:
        network.start("x" * MIB)
    assert refused.value.code == "quota-exceeded"
    assert gone(network.store)
    network.start("small")


def test_a_body_that_is_missing_ends_its_flow() -> None:
    network = alone(steps)
    network.start(LARGE)
    network.store.commit(Unit(states=(StateWrite(key=KEY, value=None, expected=1),)))
    for _ in range(20):
        network.later(20_000)
    assert network.alice().status is FlowStatusName.FAILED
    assert network.alice().error.type == "flow-record-damaged"
    assert f"the request body '{KEY}' is not stored" in network.alice().error.message


@pytest.mark.parametrize("how", ["killed before it started", "killed", "ruined", "node gone"])
def test_no_body_outlives_its_flow(how: str) -> None:
    network = alone(steps)
    network.start(LARGE)
    if how == "killed before it started":
        network.service.kill(HERE, "r1")
    elif how == "node gone":
        del network.nodes.nodes[holding(ALICE)]
    network.engine.drain()
    if how == "killed":
        network.service.kill(HERE, "r1")
    elif how == "ruined":
        key = flow_state_key(network.alice().flow_id)
        record = network.store.get(key)
        write = StateWrite(key=key, value=b"{", expected=record.version)
        network.store.commit(Unit(states=(write,)))
    for _ in range(9):
        network.later(20_000)
    assert network.alice().status.is_final
    assert gone(network.store)


def test_a_history_has_the_body_unless_that_is_too_large(store: FlowStore) -> None:
    entropy = CountedEntropy()
    for most, is_kept in ((10_000_000, True), (INLINE_BYTES_MAX, False)):
        limits = HistoryLimits(retention_ms=10**9, bytes_max=most)
        network = Network(
            store, {"test.Initiator": lambda guest: "1"}, history=limits, entropy=entropy
        )
        network.start(LARGE, request_id=f"r{most}")
        network.engine.drain()
        found = network.service.recorded(HERE, f"r{most}")
        start = recording_of(found.history, None).start
        assert (start is not None and "marker" in start) is is_kept
        assert len(list(found.entries())) == 0


@pytest.mark.usefixtures("parking")
def test_a_large_result_is_not_written_while_sessions_close(store: FlowStore) -> None:
    def initiator(guest: Guest) -> str:
        for _ in range(3):
            guest.send(guest.open(BOB), 1)
        return "marker" * INLINE_BYTES_MAX

    def responder(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.call("flow", "sleep", millis=1000)
        return ""

    network = Network(store, {"test.Initiator": initiator, "test.Responder": responder})
    values = written(network)
    network.run()
    assert network.alice().status is FlowStatusName.RUNNING
    assert store.get(result_key(network.alice().flow_id)) is not None
    network.later(1000)
    assert network.alice().result == "marker" * INLINE_BYTES_MAX
    assert sum(b"marker" in value for value in values) == 2  # beside the checkpoint, the status
    assert gone(store)
