"""What hosts on one database have to survive, where a broker carries their work (`bus = kafka`): the same tests.

Stopped processes that go on, workers and hosts that die, a host that is cut off from the database. Run by `make
prove-scale`; in CI what carries work is stopped and ended in memory (`tests/relay/test_carriage.py`), and by
`test_kafka_bus_hosts.py`.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kafka.carrying import WorkTopics
from tests.postgres.conftest import Start, starter
from tests.postgres.fleet import Fleet, opened_fleet
from tests.postgres.test_postgres_fleet import (
    SEED,
    session,
    test_a_stopped_process_that_goes_on_is_fenced,
    test_the_dead_are_taken_over,
)
from tests.postgres.test_postgres_troubles import (
    test_a_host_that_is_cut_off_commits_nothing_and_comes_back,
    wire,
)
from tests.support.kafka import KafkaServer
from tests.support.postgres import Cluster, PostgresServer

pytestmark = [pytest.mark.crash, pytest.mark.timeout(14400)]
__all__ = [
    "session",
    "test_a_host_that_is_cut_off_commits_nothing_and_comes_back",
    "test_a_stopped_process_that_goes_on_is_fenced",
    "test_the_dead_are_taken_over",
    "wire",
]
PARTITIONS = 8
"""Of a cluster as `PostgresServer.new_cluster` makes it."""


@pytest.fixture(scope="module")
def fleet(
    postgres_server: PostgresServer,
    kafka_server: KafkaServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    sys.stdout.write(f"seed {SEED}\n")
    topics = WorkTopics(kafka_server, PARTITIONS)
    with ExitStack() as stack:
        yield opened_fleet(
            postgres_server,
            tmp_path_factory.mktemp("fleet"),
            stack,
            workers="flow=1,rest=1,relay=1",
            more=topics.environment,
        )


@pytest.fixture
def cluster(tmp_path: Path, postgres_server: PostgresServer) -> Cluster:
    return postgres_server.new_cluster(tmp_path)


@pytest.fixture
def start(tmp_path: Path, cluster: Cluster, kafka_server: KafkaServer) -> Iterator[Start]:
    topics = WorkTopics(kafka_server, PARTITIONS)
    with ExitStack() as stack:
        yield starter(tmp_path, {**cluster.environment, **topics.environment}, stack)
