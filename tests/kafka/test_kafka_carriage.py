"""Work over a real broker: what lands, what does not, and how a cluster comes to another bus."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer

from host.domain.errors import StorageBusyError
from host.domain.ids import ShortHash
from host.network.carriage.workers import CARRIED_TOPICS
from host.ports.bus import NewRecord
from host.ports.units import FlowStore, Unit
from host.runtime.plugin_loading import declared_settings
from host.settings import HostSettings, SettingsInvalidError, load_settings
from plugins.kafka.topics import KafkaTopics
from plugins.postgres.carrying_store import CarryingStore
from plugins.postgres.connections import Access
from plugins.postgres.storage import BusDiffersError, open_flow_store
from plugins.postgres.store import PostgresStore
from tests.kafka.carrying import Carriage, settings_of
from tests.support.kafka import KafkaServer
from tests.support.postgres import Cluster, PostgresServer

ALICE, BOB = ShortHash("A" * 12), ShortHash("B" * 12)
EVENTS = "flow.event"


def work(key: str, value: bytes = b"v", node: ShortHash = ALICE) -> NewRecord:
    return NewRecord(topic=EVENTS, key=key, value=value, node=node)


def waiting(store: FlowStore) -> list[tuple[str, bytes]]:
    """Key and value of all work, by queue and position."""
    found = []
    for queue in store.waiting([EVENTS]):
        skip: list[str] = []
        while records := store.take(queue, 100, skip).records:
            found += [(record.key, record.value) for record in records]
            skip.append(records[0].key)
    return found


@pytest.fixture
def store(postgres_flows: Access) -> Iterator[CarryingStore]:
    made = CarryingStore(postgres_flows)
    yield made
    made.close()


@pytest.fixture
def carriage(kafka_server: KafkaServer, store: CarryingStore) -> Iterator[Carriage]:
    made = Carriage(kafka_server, "carriage.", store)
    made.know({EVENTS})
    yield made
    made.close()


def test_work_is_in_the_outbox_until_it_lands(store: CarryingStore, carriage: Carriage) -> None:
    store.commit(Unit(records=(work("k", b"1"), work("k", b"2"))))
    assert waiting(store) == []
    assert [(b.topic, b.records) for b in store.backlogs([EVENTS])] == [(EVENTS, 2)]
    assert [(b.topic, b.records) for b in store.leaving()] == [(EVENTS, 2)]
    with pytest.raises(StorageBusyError, match=f"2 records of virtual node {ALICE} are on"):
        store.work_of_node(ALICE, -1, 10)
    carriage.carry()
    assert store.leaving() == []
    assert waiting(store) == [("k", b"1"), ("k", b"2")]
    assert [b.records for b in store.backlogs([EVENTS])] == [2]
    assert len(store.work_of_node(ALICE, -1, 10)) == 2
    assert store.recount() == []


def test_a_reader_that_begins_anew_lands_nothing_twice(
    store: CarryingStore, carriage: Carriage
) -> None:
    for number in range(5):
        store.commit(Unit(records=(work("k", b"%d" % number),)))
        carriage.carry()
    carriage.own(range(store.partitions))
    store._read("DELETE FROM inlet_places RETURNING 1")
    store.commit(Unit(records=(work("k", b"5"),)))
    carriage.carry()
    assert waiting(store) == [("k", b"%d" % number) for number in range(6)]


def test_records_of_whoever_can_write_to_the_topics_do_not_land(
    store: CarryingStore, carriage: Carriage, kafka_server: KafkaServer
) -> None:
    store.commit(Unit(records=(work("k", b"good"),)))
    (unlanded,) = store.unlanded(range(store.partitions), 10)
    producer = Producer({"bootstrap.servers": kafka_server.address})
    place = f"{store.store_id}/{EVENTS}/{unlanded.queue.partition}/{unlanded.position}"
    for headers in ([], [("cordbox-id", place.encode()), ("cordbox-code", b"x" * 32)]):
        producer.produce(
            f"carriage.{EVENTS}",
            key=b"k",
            value=b"bad",
            partition=unlanded.queue.partition,
            headers=headers,
        )
    producer.flush()
    carriage.carry()
    assert waiting(store) == [("k", b"good")]
    assert carriage.seen.left_records["foreign"] >= 2


def cluster_settings(cluster: Cluster, server: KafkaServer, folder: Path, bus: str) -> HostSettings:
    return load_settings(
        options={"data_dir": folder},
        file=None,
        environment={
            **cluster.environment,
            "CORDBOX_BUS": bus,
            "CORDBOX_PLUGINS": "embedded,kafka",
            "CORDBOX_KAFKA_BOOTSTRAP_SERVERS": server.address,
            "CORDBOX_KAFKA_TLS": "false",
        },
        declare=declared_settings,
    )


def test_the_bus_changes_while_no_host_runs(
    postgres_server: PostgresServer, kafka_server: KafkaServer, tmp_path: Path
) -> None:
    cluster = postgres_server.new_cluster(tmp_path, is_durable=False)
    over = {b: cluster_settings(cluster, kafka_server, tmp_path, b) for b in ("kafka", "database")}
    carrying = open_flow_store(over["kafka"])
    assert isinstance(carrying, CarryingStore)
    carriage = Carriage(kafka_server, "change.", carrying)
    carriage.know({EVENTS})
    carrying.commit(Unit(records=(work("k", b"1"),)))
    carriage.carry()
    carrying.commit(Unit(records=(work("k", b"2"), work("k", b"3"))))
    carriage.senders[0].work()  # they are on the broker, and have not landed

    carrying.join("flow", "host.flow-1.1.run", ttl_ms=60_000)
    with pytest.raises(BusDiffersError, match="bus = database: hosts of the cluster run with bus"):
        open_flow_store(over["database"])
    carrying.leave("flow", "host.flow-1.1.run")

    plain = open_flow_store(over["database"])
    assert type(plain) is PostgresStore
    plain.commit(Unit(records=(work("k", b"4"),)))
    assert waiting(plain) == [("k", b"%d" % number) for number in (1, 2, 3, 4)]
    assert plain.recount() == []

    again = open_flow_store(over["kafka"])
    again.commit(Unit(records=(work("k", b"5"),)))
    carriage.own(range(carrying.partitions))  # a process that still knows the marks would conflict
    carriage.carry()
    assert waiting(again) == [("k", b"%d" % number) for number in (1, 2, 3, 4, 5)]
    for each in (carriage, carrying, plain, again):
        each.close()


@pytest.mark.parametrize("missing", ["CORDBOX_DATABASE_URL", "CORDBOX_PLUGINS"])
def test_work_over_kafka_needs_a_cluster_and_brokers(missing: str, tmp_path: Path) -> None:
    environment = {
        "CORDBOX_BUS": "kafka",
        "CORDBOX_PLUGINS": "embedded,kafka",
        "CORDBOX_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "CORDBOX_DATABASE_URL": "postgresql://host@localhost/cordbox",
        "CORDBOX_MASTER_PASSPHRASE_FILE": str(tmp_path / "phrase"),
    }
    del environment[missing]
    if missing == "CORDBOX_PLUGINS":
        del environment["CORDBOX_KAFKA_BOOTSTRAP_SERVERS"]
    with pytest.raises(SettingsInvalidError, match="bus: kafka needs database_url, and the plugin"):
        load_settings(
            options={"data_dir": tmp_path},
            file=None,
            environment=environment,
            declare=declared_settings,
        )


def test_topics_of_work_have_the_partitions_of_the_database(kafka_server: KafkaServer) -> None:
    topics = KafkaTopics(settings_of(kafka_server, "work."), carries_work=True)
    wanted = topics.wanted((), partitions=1, replicas=1, work_partitions=4)
    assert {each.name for each in wanted if each.is_work} == {f"work.{t}" for t in CARRIED_TOPICS}
    topics.create(wanted)
    assert all(each.exists and not each.faults for each in topics.check(wanted))
    more = [replace(each, partitions=8) for each in wanted if each.is_work]
    faults = {fault for each in topics.check(more) for fault in each.faults}
    assert faults == {"it has 4 partitions, the database has 8"}
