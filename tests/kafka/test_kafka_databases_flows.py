"""Flows of nodes whose databases are on two PostgreSQL servers talk over one Kafka.

An engine for each database, as the hosts of it would have one: hosts do not open more than one (decision 0080). Messages
for a node of the other database are handed over as those of another cluster are, by a record of the receiver's.
"""

import json
from collections.abc import Iterator, Sequence

import pytest

from host.domain.clock import SimClock
from host.domain.ids import HoldingIdentity, ShortHash
from host.flow.core.mapper import session_key
from host.flow.core.messages import IN_TOPIC, P2P_OUT_TOPIC, WORK_TOPICS, decode_message
from host.flow.engine.local_routes import LocalRoutes
from host.network.carriage.sender import WINDOW
from host.ports.bus import NewRecord
from host.ports.routes import Here, Link, Refused, Route
from host.ports.units import Unit
from host.ports.work import Done
from plugins.postgres.carrying_store import CarryingStore
from tests.flow.network import ALICE, BOB, Network, Nodes, holding
from tests.flow.scripted import Guest
from tests.kafka.carrying import Carriage
from tests.kafka.test_kafka_databases import opened_stores
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer, running_server

pytestmark = [pytest.mark.timeout(600), pytest.mark.crash]

NODES = (holding(ALICE).short_hash, holding(BOB).short_hash)
"""One of each database."""
MESSAGES = 6
ROUNDS_MAX = 100


def home_of(node: ShortHash) -> int:
    return NODES.index(node)


class RoutesOf:
    """Routes of the engine of one database: the nodes of the other one are behind a link."""

    def __init__(self, number: int) -> None:
        self._local = LocalRoutes(Nodes(ALICE, BOB))
        self._number = number

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        found = self._local.route(source, target)
        if isinstance(found, Here) and home_of(found.node) != self._number:
            return Link(pair=f"{source.short_hash}-{target.short_hash}")
        return found

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        return self._local.accepts(source, target)


def hand_over(store: CarryingStore) -> None:
    """Make what leaves a node work of the node that receives it, in one unit."""
    for queue in store.waiting([P2P_OUT_TOPIC]):
        records = store.take(queue, 50).records
        messages = [decode_message(record.value) for record in records]
        handed = tuple(
            NewRecord(
                topic=IN_TOPIC,
                key=message.session_id,
                value=record.value,
                node=message.target.node(),
                peer=queue.node,
            )
            for message, record in zip(messages, records, strict=True)
        )
        done = Done(queue=queue, positions=tuple(record.position for record in records))
        store.commit(Unit(done=(done,), records=handed))


def asks(guest: Guest) -> str:
    session = guest.open(BOB)
    answers = []
    for number in range(MESSAGES):
        guest.send(session, number)
        answers.append(guest.receive(session))
    guest.close(session)
    return json.dumps(answers)


def answers(guest: Guest) -> str:
    for _ in range(MESSAGES):
        guest.send(guest.session, 2 * guest.receive(guest.session))
    return "done"


@pytest.fixture(scope="module")
def servers(postgres_server: PostgresServer) -> Iterator[Sequence[PostgresServer]]:
    with running_server() as other:
        yield (postgres_server, other)


def test_flows_of_two_databases_talk_whatever_of_the_servers_is_lost(
    servers: Sequence[PostgresServer], kafka_server: KafkaServer
) -> None:
    clock = SimClock()
    with opened_stores(servers, home_of, clock) as stores:
        carriage = Carriage(kafka_server, "flows.", *stores)
        topics = {*WORK_TOPICS, P2P_OUT_TOPIC}
        carriage.know(topics)
        flows = {"test.Initiator": asks, "test.Responder": answers}
        engines = [
            Network(store, flows, clock=clock, routes=RoutesOf(number))
            for number, store in enumerate(stores)
        ]
        for number in range(3):
            engines[0].start(request_id=f"r{number}")
        for round_ in range(ROUNDS_MAX):
            if round_ == 4:
                kafka_server.lose_disk()
                carriage.forget_topics()
                carriage.know(topics)
            if round_ in (6, 9):
                server = servers[round_ % 2]
                server.stop("immediate")
                server.start()
                stores[round_ % 2].backlogs(WORK_TOPICS)  # notices that its connections are lost
            carriage.carry()
            for engine, store in zip(engines, stores, strict=True):
                engine.engine.drain()
                hand_over(store)
            ended = [engines[0].alice(f"r{number}") for number in range(3)]
            if all(each.status == "COMPLETED" for each in ended):
                break
        for each in ended:
            assert json.loads(each.result or "") == [2 * n for n in range(MESSAGES)], each
        carriage.carry()
        engines[1].engine.drain()
        assert [each.status for each in engines[1].bobs()] == ["COMPLETED"] * 3
        # Each flow is in the database of its node alone.
        assert [len(store.scan(session_key(""))) for store in stores] == [3, 3]
        for store in stores:
            assert not store.unlanded(range(store.partitions), WINDOW)
            assert store.recount() == []
        carriage.close()
