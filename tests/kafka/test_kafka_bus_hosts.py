"""Hosts whose work a broker carries (`bus = kafka`): flows outlive the broker, the database and any process.

In small; `make prove-scale` raises the number of kills. CORDBOX_SEED repeats a run.
"""

import random
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from plugins.kafka.topics import KafkaTopics
from tests.kafka.carrying import settings_of
from tests.postgres.test_postgres_troubles import FLOWS_AT_ONCE, KILLS, SEED, Load
from tests.support.kafka import KafkaServer
from tests.support.killable_host import KillableHost, make_packages
from tests.support.postgres import Cluster, PostgresServer

pytestmark = pytest.mark.timeout(7200)

PARTITIONS = 8


class Hosts:
    """Hosts of one cluster, whose topics have a prefix of their own."""

    def __init__(self, folder: Path, cluster: Cluster, server: KafkaServer) -> None:
        prefix = f"{uuid.uuid4().hex[:8]}."
        self._topics = settings_of(server, prefix)
        self._folder = folder
        self._stack = ExitStack()
        self.environment = {
            **cluster.environment,
            "CORDBOX_BUS": "kafka",
            "CORDBOX_PLUGINS": "embedded,kafka",
            "CORDBOX_KAFKA_BOOTSTRAP_SERVERS": server.address,
            "CORDBOX_KAFKA_TLS": "false",
            "CORDBOX_KAFKA_TOPIC_PREFIX": prefix,
        }
        self.make_topics()

    def make_topics(self) -> None:
        topics = KafkaTopics(self._topics, carries_work=True)
        topics.create(topics.wanted((), partitions=1, replicas=1, work_partitions=PARTITIONS))

    def start(self, name: str, workers: str = "combined", **settings: str) -> KillableHost:
        (self._folder / name).mkdir()
        environment = {**self.environment, "CORDBOX_HOST_NAME": name, **settings}
        words = ("--workers", workers)
        host = KillableHost(self._folder / name, words, environment=environment)
        host.start()
        self._stack.callback(host.kill)
        return host

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def hosts(
    tmp_path: Path, postgres_server: PostgresServer, kafka_server: KafkaServer
) -> Iterator[Hosts]:
    sys.stdout.write(f"seed {SEED}\n")
    (tmp_path / "packages").mkdir()
    cluster = postgres_server.new_cluster(tmp_path, partitions=PARTITIONS)
    made = Hosts(tmp_path, cluster, kafka_server)
    yield made
    made.close()


@pytest.mark.acceptance(4)
def test_flows_of_two_hosts_outlive_restarts_of_broker_and_database_and_kills(
    hosts: Hosts, tmp_path: Path, kafka_server: KafkaServer, postgres_server: PostgresServer
) -> None:
    chance = random.Random(SEED)
    one = hosts.start("one", workers="flow=1,rest=1,relay=1")
    two = hosts.start("two")
    one.form_network(make_packages(tmp_path / "packages"))
    two.nodes = one.nodes
    load = Load(one, two)
    load.issue(FLOWS_AT_ONCE)
    kafka_server.kill()
    load.issue(FLOWS_AT_ONCE)  # accepted: they wait in the outbox
    kafka_server.start()
    load.issue(1)
    kafka_server.lose_disk()
    load.issue(1)
    hosts.make_topics()
    postgres_server.stop("immediate")
    postgres_server.start()
    killed = []
    for _ in range(KILLS):
        load.issue(FLOWS_AT_ONCE)
        killed.append(one.kill_worker(chance))
    sys.stdout.write(f"killed: {killed}\n")
    load.settle()
