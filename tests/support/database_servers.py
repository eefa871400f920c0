"""Fixtures of servers, one of a kind for a test run, which load nothing before a test asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugins.postgres.connections import Access
    from tests.support.kafka import KafkaServer
    from tests.support.postgres import FlowDatabase, PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; the test is skipped where its programs are not installed."""
    pytest.importorskip("pg8000")
    from tests.support.postgres import running_server

    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_flow_database(postgres_server: PostgresServer) -> Iterator[FlowDatabase]:
    from tests.support.postgres import FlowDatabase

    database = FlowDatabase(postgres_server)
    yield database
    database.close()


@pytest.fixture
def postgres_flows(postgres_flow_database: FlowDatabase) -> Access:
    """A database with the empty tables of a flow store."""
    return postgres_flow_database.empty()


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Access:
    """An empty database of its own, whose commits do not wait for the disk."""
    return postgres_server.new_database()


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    """A Kafka broker; the test is skipped where Java or the broker's JARs are not."""
    pytest.importorskip("confluent_kafka")
    from tests.support.kafka import missing, running_broker

    if (reason := missing()) is not None:
        pytest.skip(reason)
    with running_broker() as server:
        yield server
