"""The relay on every store, with a broker that fails as a test says."""

from collections.abc import Iterator

import pytest

from host.adapters.partitions import target_of
from host.domain.accounts import Account, Balance
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.network.outward.relay import RECORDS_MAX, RETRY_MS_MAX, Relay, in_turns
from host.network.outward.troubles import GROUP, troubles
from host.ports.bus import NewRecord, TopicPartition
from host.ports.clock import two_clocks
from host.ports.groups import FencedError
from host.ports.units import FlowStore, Unit
from tests.contract.conftest import MovableClock, opened
from tests.relay.scripted_broker import ScriptedBroker

ALICE, BOB = ShortHash("A1B2C3D4E5F6"), ShortHash("B1B2C3D4E5F6")
OWN, OTHER = f"ext.{ALICE}.orders.receive", f"ext.{BOB}.orders.receive"
MEMBER = "host.relay-1.7.run"


class Told:
    """What the relay tells its observer."""

    def __init__(self) -> None:
        self.records: dict[str, int] = {}
        self.codes: list[str] = []
        self.waiting = 0

    def delivered(self, topic: str, records: int) -> None:
        self.records[topic] = self.records.get(topic, 0) + records

    def refused(self, place: TopicPartition, error: HostError) -> None:
        self.codes.append(error.code)

    def blocked(self, places: int) -> None:
        self.waiting = places


class Stage:
    """A relay that owns all partitions of a store."""

    def __init__(self, store: FlowStore, clock: MovableClock) -> None:
        self.store, self.clock, self.broker, self.told = store, clock, ScriptedBroker(), Told()
        self.relay = self.joined(MEMBER)

    def joined(self, member: str) -> Relay:
        relay = Relay(self.store, self.broker, two_clocks(self.clock), self.told, host="host")
        relay.adopt(self.store.join(GROUP, member, ttl_ms=60_000).epochs)
        return relay

    def publish(self, topic: str, *values: str, key: str = "k", owner: ShortHash = ALICE) -> None:
        records = (
            NewRecord(topic=topic, key=key, value=value.encode(), owner=owner) for value in values
        )
        self.store.commit(Unit(records=tuple(records)))

    def run(self) -> None:
        while self.relay.work():
            pass

    def arrived(self, topic: str) -> list[str]:
        return [r.value.decode() for r in self.broker.arrived if r.source.topic == topic]

    def unsent(self) -> dict[str, int]:
        return dict(self.store.unread(GROUP, ["flow.event.dlq", "flow.status", OWN, OTHER]))


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def stage(request: pytest.FixtureRequest, clock: MovableClock) -> Iterator[Stage]:
    store = opened(request.param, request, clock)
    yield Stage(store, clock)
    store.close()


def test_outward_topics_are_sent_in_order_and_others_stay(stage: Stage) -> None:
    stage.publish(OWN, "1", "2", "3")
    stage.publish("flow.status", "RUNNING", "COMPLETED")
    stage.publish("flow.event.dlq", "letter")
    stage.publish("private", "secret")

    stage.run()

    assert stage.arrived(OWN) == ["1", "2", "3"]
    assert stage.arrived("flow.status") == ["RUNNING", "COMPLETED"]
    assert stage.arrived("flow.event.dlq") == ["letter"]
    assert stage.arrived("private") == []
    assert stage.told.records == {OWN: 3, "flow.status": 2, "flow.event.dlq": 1}
    assert stage.unsent() == {}


def test_what_was_sent_leaves_its_node_s_account_but_dead_letters_stay(stage: Stage) -> None:
    stage.publish(OWN, "1", "2")
    stage.publish("flow.status", "RUNNING")
    stage.publish("flow.event.dlq", "letter")

    stage.run()

    assert stage.store.balances(ALICE)[Account.BUS] == Balance(bytes=len("kletter"), rows=1)
    assert [r.value for r in stage.store.newest("flow.event.dlq", 9)] == [b"letter"]
    assert not stage.store.newest(OWN, 9)
    assert not stage.store.newest("flow.status", 9)


def test_nothing_is_deleted_while_the_broker_is_away_and_all_comes_later(stage: Stage) -> None:
    stage.broker.is_away = True
    stage.publish(OWN, *map(str, range(5)))

    stage.run()
    assert stage.unsent() == {OWN: 5}
    assert stage.store.balances(ALICE)[Account.BUS].rows == 5
    (told,) = troubles(stage.store)
    place = target_of(NewRecord(topic=OWN, key="k", value=b""))
    assert (told.code, told.places) == ("unavailable", (f"{OWN}-{place.partition}",))
    assert stage.told.waiting == 1

    stage.broker.is_away = False
    stage.run()
    assert stage.arrived(OWN) == [], "not before it is time for another try"
    stage.clock.advance(stage.relay.pause_ms())
    stage.run()

    assert stage.arrived(OWN) == [str(n) for n in range(5)]
    assert not troubles(stage.store)
    assert stage.told.waiting == 0


def test_tries_become_rare_and_are_of_one_record(stage: Stage) -> None:
    stage.broker.refused = {OWN}
    stage.publish(OWN, *map(str, range(RECORDS_MAX + 7)))

    pauses = []
    for _ in range(8):
        stage.run()
        pauses.append(stage.relay.pause_ms())
        stage.clock.advance(pauses[-1])

    assert pauses[:4] == [1_000, 2_000, 4_000, 8_000]
    assert pauses[-1] == RETRY_MS_MAX
    assert [len(call) for call in stage.broker.calls] == [RECORDS_MAX, *[1] * 7]


def test_a_refused_topic_holds_no_other(stage: Stage) -> None:
    stage.broker.refused = {OWN}
    stage.publish(OWN, "1")
    stage.publish(OTHER, "2", owner=BOB)
    stage.publish("flow.status", "RUNNING")

    stage.run()

    assert stage.arrived(OTHER) == ["2"]
    assert stage.arrived("flow.status") == ["RUNNING"]
    assert stage.unsent() == {OWN: 1}
    assert [trouble.code for trouble in troubles(stage.store)] == ["broker-refused"]


def test_a_lost_answer_repeats_records_with_their_places(stage: Stage) -> None:
    stage.broker.loses_answers = True
    stage.publish(OWN, "1", "2")
    stage.run()
    stage.broker.loses_answers = False
    stage.clock.advance(RETRY_MS_MAX)
    stage.run()

    assert stage.arrived(OWN) == ["1", "2", "1", "2"]
    assert [r.offset for r in stage.broker.arrived] == [0, 1, 0, 1]
    assert stage.unsent() == {}


def test_a_relay_that_lost_its_partitions_moves_nothing_on(stage: Stage) -> None:
    stage.publish(OWN, "1")
    stage.store.leave(GROUP, MEMBER)

    with pytest.raises(FencedError):
        stage.run()
    assert stage.unsent() == {OWN: 1}
    successor = stage.joined("host.relay-1.8.run")
    while successor.work():
        pass

    assert stage.arrived(OWN) == ["1", "1"], "readers see the same id twice"
    assert stage.unsent() == {}


def test_a_node_with_many_records_does_not_hold_the_others(stage: Stage) -> None:
    for number in range(12):
        stage.publish(OWN, "x" * 1_048_576, key=f"k{number}")
    stage.publish(OTHER, "small", owner=BOB)

    assert stage.relay.work()

    assert stage.arrived(OTHER) == ["small"]
    assert len(stage.arrived(OWN)) < 12


def test_troubles_of_hosts_that_are_gone_are_not_told(stage: Stage) -> None:
    stage.broker.is_away = True
    stage.publish(OWN, "1")
    stage.run()
    assert troubles(stage.store)

    stage.store.leave(GROUP, MEMBER)

    assert not troubles(stage.store)


def test_topics_take_turns() -> None:
    def place(text: str) -> TopicPartition:
        return TopicPartition(topic=text[0], partition=int(text[1]))

    def named(after: str, turn: int) -> str:
        places = [place(each) for each in ("a1", "a2", "a3", "b1", "c1", "c2")]
        found = in_turns(places, after=after, turn=turn)
        return " ".join(f"{each.topic}{each.partition}" for each in found)

    assert named("", 0) == "a1 b1 c1 a2 c2 a3"
    assert named("a", 0) == "b1 c1 a1 c2 a2 a3"
    assert named("c", 1) == "a2 b1 c2 a3 c1 a1"
    assert in_turns([], after="", turn=3) == []
