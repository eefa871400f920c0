"""Hosts whose work a broker carries (`bus = kafka`): flows outlive the broker, the database and any process.

In small; `make prove-scale` raises the number of kills. CORDBOX_SEED repeats a run.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kafka.carrying import WorkTopics
from tests.postgres.conftest import Start, starter
from tests.postgres.test_postgres_troubles import FLOWS_AT_ONCE, KILLS, SEED, Load
from tests.support.kafka import KafkaServer
from tests.support.killable_host import make_packages
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(7200)

PARTITIONS = 8


@pytest.fixture
def topics(kafka_server: KafkaServer) -> WorkTopics:
    return WorkTopics(kafka_server, PARTITIONS)


@pytest.fixture
def start(tmp_path: Path, postgres_server: PostgresServer, topics: WorkTopics) -> Iterator[Start]:
    sys.stdout.write(f"seed {SEED}\n")
    (tmp_path / "packages").mkdir()
    cluster = postgres_server.new_cluster(tmp_path, partitions=PARTITIONS)
    with ExitStack() as stack:
        yield starter(tmp_path, {**cluster.environment, **topics.environment}, stack)


@pytest.mark.acceptance(4)
def test_flows_of_two_hosts_outlive_restarts_of_broker_and_database_and_kills(
    start: Start,
    topics: WorkTopics,
    tmp_path: Path,
    kafka_server: KafkaServer,
    postgres_server: PostgresServer,
) -> None:
    chance = random.Random(SEED)
    one = start("one", workers="flow=1,rest=1,relay=1")
    two = start("two")
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
    topics.make()
    postgres_server.stop("immediate")
    postgres_server.start()
    killed = []
    for _ in range(KILLS):
        load.issue(FLOWS_AT_ONCE)
        killed.append(one.kill_worker(chance))
    sys.stdout.write(f"killed: {killed}\n")
    load.settle()
