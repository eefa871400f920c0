"""The relay on a real Kafka broker: nothing is lost or disordered, whoever of them is killed."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from host.adapters.os.system import SystemClock
from host.adapters.sqlite.store import SqliteStore
from host.cli import root
from host.domain.ids import EpochMs, ShortHash
from host.network.outward.relay import Relay, outward_topics
from host.network.outward.troubles import GROUP
from host.ports.bus import NewRecord, Record, TopicPartition
from host.ports.units import FlowStore, Unit
from plugins.kafka.client import client_of
from plugins.kafka.producer import KafkaBroker
from plugins.kafka.settings import KafkaSettings
from plugins.kafka.topics import KafkaTopics
from tests.kafka.reading import Read, read_all, taken
from tests.kafka.relaying_process import Silent, replace_members
from tests.support.kafka import USER, KafkaServer

ALICE = ShortHash("A1B2C3D4E5F6")
ORDERS = f"ext.{ALICE}.orders.receive"
KEYS = 20


def settings_of(server: KafkaServer, prefix: str = "") -> KafkaSettings:
    return KafkaSettings(
        kafka_bootstrap_servers=server.address, kafka_tls=False, kafka_topic_prefix=prefix
    )


def make_topics(server: KafkaServer, prefix: str, *external: str) -> None:
    topics = KafkaTopics(settings_of(server, prefix))
    topics.create(topics.wanted(external, partitions=3, replicas=1))


def publish(store: FlowStore, numbers: Iterator[int], times: int) -> None:
    """Records of several keys and topics, each with the next number as value."""
    for _ in range(times):
        records = []
        for topic in (ORDERS, "flow.status", "flow.event.dlq"):
            number = next(numbers)
            records.append(
                NewRecord(topic=topic, key=f"k{number % KEYS}", value=b"%d" % number, owner=ALICE)
            )
        store.commit(Unit(records=tuple(records)))


def relayed(store: FlowStore, server: KafkaServer, prefix: str) -> Relay:
    """A relay that has sent everything."""
    broker = KafkaBroker(client_of(settings_of(server)), prefix=prefix, store_id="store")
    relay = Relay(store, broker, SystemClock(), Silent(), host="host")
    replace_members(store)
    relay.adopt(store.join(GROUP, "host.relay-1.0.last", ttl_ms=600_000).epochs)
    while relay.work():
        pass
    broker.close()
    assert store.unread(GROUP, outward_topics(store.topics)) == {}
    return relay


def values_of(records: Sequence[Read]) -> dict[str, list[int]]:
    """The values of each key, in their order."""
    found = defaultdict(list)
    for record in records:
        found[record.key].append(int(record.value))
    return dict(found)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_records_arrive_in_order_with_ids(
    kind: str, kafka_server: KafkaServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    prefix = f"{kind}."
    make_topics(kafka_server, prefix, ORDERS)
    if kind == "sqlite":
        store: FlowStore = SqliteStore(tmp_path / "flows.sqlite")
    else:
        from plugins.postgres.store import PostgresStore

        store = PostgresStore(request.getfixturevalue("postgres_flows"))
    publish(store, count(), 60)

    relayed(store, kafka_server, prefix)

    for number, topic in enumerate((ORDERS, "flow.status", "flow.event.dlq")):
        found = read_all(kafka_server.address, prefix + topic)
        assert {(r.store_id, r.topic) for r in found} == {("store", topic)}
        assert all(r.broker_partition == r.partition % 3 for r in found)
        assert sorted(int(r.value) for r in found) == list(range(number, 180, 3))
        assert taken(found) == found
        assert all(values == sorted(values) for values in values_of(found).values())
    store.close()


class RelayingProcess:
    """`relaying_process`, which goes on only when it is told to."""

    def __init__(self, path: Path, server: KafkaServer) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kafka.relaying_process", path, server.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def said(self) -> str:
        """Its next line: `acknowledged`, or the codes of what failed."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.mark.crash
@pytest.mark.acceptance(4)
def test_kills_of_relays_and_of_the_broker_lose_nothing(
    kafka_server: KafkaServer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    make_topics(kafka_server, "kills.", ORDERS)
    path = tmp_path / "flows.sqlite"
    store, numbers = SqliteStore(path), count()
    publish(store, numbers, 40)
    # One dies before it has stored what the broker acknowledged.
    first = RelayingProcess(path, kafka_server)
    assert first.said() == "acknowledged"
    publish(store, numbers, 20)
    first.kill()
    # Its successor sends it again, and goes on; then the broker dies.
    second = RelayingProcess(path, kafka_server)
    assert second.said() == "acknowledged"
    kafka_server.kill()
    publish(store, numbers, 20)
    second.go_on()
    assert second.said() == "broker-unavailable"
    assert store.unread(GROUP, [ORDERS]) == {ORDERS: 20}
    second.kill()
    kafka_server.start()
    third = RelayingProcess(path, kafka_server)
    while third.said() != "acknowledged":
        third.go_on()  # the broker listens before it leads its partitions
    third.kill()
    publish(store, numbers, 5)
    relayed(store, kafka_server, "kills.")

    total = repeated = 0
    for number, topic in enumerate((ORDERS, "flow.status", "flow.event.dlq")):
        found = read_all(kafka_server.address, f"kills.{topic}")
        read = taken(found)
        assert sorted(int(r.value) for r in read) == list(range(number, 85 * 3, 3))
        assert all(values == sorted(values) for values in values_of(read).values())
        copies = defaultdict(set)
        for record in found:
            copies[record.partition, record.position].add((record.key, record.value))
        assert all(len(contents) == 1 for contents in copies.values()), "equal ids, equal records"
        assert len(copies) == len(read)
        total, repeated = total + len(read), repeated + len(found) - len(read)
    assert total == 85 * 3
    record_property("records", total)
    record_property("sent again", repeated)
    assert repeated >= 40 * 3, "what the first had sent came again"
    store.close()


def test_a_topic_that_is_missing_waits_and_names_itself(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    make_topics(kafka_server, "missing.")
    store = SqliteStore(tmp_path / "flows.sqlite")
    publish(store, count(), 3)
    broker = KafkaBroker(client_of(settings_of(kafka_server)), prefix="missing.", store_id="store")
    relay = Relay(store, broker, SystemClock(), Silent(), host="host")
    relay.adopt(store.join(GROUP, "host.relay-1.0.run", ttl_ms=600_000).epochs)

    while relay.work():
        pass

    assert store.unread(GROUP, outward_topics(store.topics)) == {ORDERS: 3}
    (told,) = store.scan("relay/trouble/")
    assert b'"code":"broker-refused"' in told.value
    assert f"records of {ORDERS}: UNKNOWN_TOPIC_OR_PART".encode() in told.value
    broker.close()
    store.close()


def test_topics_are_listed_made_and_checked(kafka_server: KafkaServer, tmp_path: Path) -> None:
    file = tmp_path / "cordbox.toml"
    file.write_text(
        'plugins = ["embedded", "kafka"]\n'
        f'kafka_bootstrap_servers = "{kafka_server.address}"\n'
        'kafka_tls = false\nkafka_topic_prefix = "demo."\n'
    )

    def told(action: str, *words: str, fails: bool = False) -> list[str]:
        line = ["kafka", "topics", action, "--settings", str(file), "--replicas", "1", *words]
        done = CliRunner().invoke(root, line, catch_exceptions=False)
        assert done.exit_code == (1 if fails else 0), done.output
        return done.output.splitlines()

    assert told("list", "--partitions", "4") == [
        "demo.flow.event.dlq  4 partitions, 1 replicas, kept: 7 days",
        "demo.flow.status  4 partitions, 1 replicas, kept: compacted",
    ]
    assert told("check", fails=True) == [
        "demo.flow.event.dlq: missing",
        "demo.flow.status: missing",
    ]
    assert told("create") == ["demo.flow.event.dlq: made", "demo.flow.status: made"]
    assert told("create", "--external", ORDERS)[2] == f"demo.{ORDERS}: made"
    assert told("create")[0] == "demo.flow.event.dlq: exists"
    assert told("check", "--external", ORDERS)[2] == f"demo.{ORDERS}: ok"
    faults = told("check", "--replicas", "3", fails=True)
    assert "it has 1 replicas, expected 3" in faults[0]
    assert "min.insync.replicas is 1" in faults[0]


@pytest.fixture
def secure(kafka_server: KafkaServer, tmp_path: Path) -> KafkaSettings:
    """How to reach the broker as a user, over TLS."""
    (tmp_path / "password").write_text(kafka_server.password)
    return KafkaSettings(
        kafka_bootstrap_servers=f"localhost:{kafka_server.secure_port}",
        kafka_topic_prefix="secure.",
        kafka_ca_file=kafka_server.ca_file,
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_user=USER,
        kafka_password_file=tmp_path / "password",
    )


def sent(settings: KafkaSettings) -> list[str]:
    """Codes and messages of what fails if a record is sent."""
    broker = KafkaBroker(client_of(settings), prefix="secure.", store_id="store")
    source = TopicPartition(topic="flow.status", partition=0)
    record = Record(source=source, offset=0, key="k", value=b"{}", written_at=EpochMs(0))
    failed = broker.deliver([[record]])
    broker.close()
    return [f"{error.code}: {error.message}" for error in failed.values()]


def test_brokers_are_reached_over_tls_by_a_password(
    kafka_server: KafkaServer, secure: KafkaSettings, tmp_path: Path
) -> None:
    topics = KafkaTopics(secure)
    wanted = topics.wanted((), partitions=1, replicas=1)
    topics.create(wanted)
    assert all(each.exists and not each.faults for each in topics.check(wanted))
    assert sent(secure) == []
    assert len(read_all(kafka_server.address, "secure.flow.status")) == 1


@pytest.mark.parametrize(
    ("wrong", "cause"), [("name", "TLS fails"), ("authority", "TLS fails"), ("password", "refused")]
)
def test_wrong_names_authorities_and_passwords_send_nothing(
    wrong: str, cause: str, kafka_server: KafkaServer, secure: KafkaSettings, tmp_path: Path
) -> None:
    (tmp_path / "other").write_text("another")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    changed = {
        "name": {"kafka_bootstrap_servers": f"127.0.0.1:{kafka_server.secure_port}"},
        "authority": {"kafka_ca_file": tmp_path / "other.pem"},
        "password": {"kafka_password_file": tmp_path / "other"},
    }
    (failed,) = sent(replace(secure, **changed[wrong]))
    assert failed.startswith("broker-unavailable: Kafka cannot be reached: ")
    assert cause in failed
