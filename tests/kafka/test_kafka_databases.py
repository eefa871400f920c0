"""Work between the databases of two servers, over one broker: once and in order, whatever of them is lost."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import pytest

from host.domain.accounts import Account
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.network.carriage.sender import WINDOW
from host.ports.bus import NewRecord
from host.ports.clock import Clock
from host.ports.groups import Fence, FencedError
from host.ports.state import StateWrite
from host.ports.units import FlowStore, Unit
from host.ports.work import Done
from plugins.postgres.carrying_store import CarryingStore
from plugins.postgres.connections import Access
from plugins.postgres.store import make_tables
from tests.kafka.carrying import Carriage
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer, running_server

pytestmark = pytest.mark.timeout(600)

EVENTS = "flow.event"
NODES = (ShortHash("A" * 12), ShortHash("B" * 12))
"""One of each database."""
KEYS = ("k0", "k1", "k2")
RECORDS = 24


def home_of(node: ShortHash) -> int:
    return NODES.index(node)


def database_of(server: PostgresServer) -> Access:
    access = server.new_database(is_durable=True)
    make_tables(access)
    return access


@pytest.fixture(scope="module")
def other_server() -> Iterator[PostgresServer]:
    """A second PostgreSQL server."""
    with running_server() as server:
        yield server


@contextmanager
def opened_stores(
    servers: Sequence[PostgresServer],
    home_of: Callable[[ShortHash], int],
    clock: Clock | None = None,
) -> Iterator[tuple[CarryingStore, ...]]:
    """A store on each server."""
    with ExitStack() as stack:
        made = [
            CarryingStore(database_of(server), number=number, home_of=home_of, clock=clock)
            for number, server in enumerate(servers)
        ]
        for each in made:
            stack.callback(each.close)
        yield tuple(made)


@pytest.fixture
def stores(
    postgres_server: PostgresServer, other_server: PostgresServer
) -> Iterator[tuple[CarryingStore, ...]]:
    with opened_stores((postgres_server, other_server), home_of) as made:
        yield made


@pytest.fixture
def carriage(kafka_server: KafkaServer, stores: tuple[CarryingStore, ...]) -> Iterator[Carriage]:
    made = Carriage(kafka_server, "databases.", *stores)
    made.know({EVENTS})
    yield made
    made.close()


def events(node: ShortHash, key: str, number: int, *, of: int) -> NewRecord:
    return NewRecord(
        topic=EVENTS, key=key, value=b"%d" % number, node=node, peer=NODES[1 - of] if of else None
    )


def work_off(store: FlowStore) -> dict[str, list[int]]:
    """Take all work, as steps do; the values of each key, in their order."""
    found = defaultdict[str, list[int]](list)
    for queue in store.waiting([EVENTS]):
        while records := store.take(queue, 50).records:
            positions = tuple(record.position for record in records)
            store.commit(Unit(done=(Done(queue=queue, positions=positions),)))
            found[records[0].key] += [int(record.value) for record in records]
    return dict(found)


@pytest.mark.crash
def test_work_crosses_from_one_server_to_the_other(
    stores: tuple[CarryingStore, ...],
    carriage: Carriage,
    kafka_server: KafkaServer,
    postgres_server: PostgresServer,
    other_server: PostgresServer,
) -> None:
    """Steps of both databases send to nodes of both; servers and the broker's disk are lost meanwhile."""
    wanted: list[dict[str, list[int]]] = [{}, {}]

    def send(first: int, count: int) -> None:
        for number in range(first, first + count):
            of, to, key = number % 2, number // 2 % 2, f"{number % 2}{KEYS[number % 3]}"
            stores[of].commit(Unit(records=(events(NODES[to], key, number, of=of),)))
            wanted[to].setdefault(key, []).append(number)

    send(0, RECORDS)
    for sender in carriage.senders:
        sender.work()
    other_server.stop("immediate")  # the target of some: what it has not landed, it lands later
    with suppress(HostError):
        carriage.landers[0].work()
    with pytest.raises(HostError):
        carriage.landers[1].work()
    other_server.start()
    send(RECORDS, RECORDS)
    for sender in carriage.senders:
        sender.work()
    kafka_server.lose_disk()
    postgres_server.stop("immediate")
    postgres_server.start()
    stores[0].backlogs([EVENTS])  # notices that its connections are lost
    send(2 * RECORDS, RECORDS)
    carriage.forget_topics()
    carriage.know({EVENTS})
    carriage.carry()

    for number, store in enumerate(stores):
        assert store.recount() == []
        assert work_off(store) == wanted[number]
        assert store.recount() == []
        assert store.balance(NODES[number], Account.BUS).bytes == 0
        assert not store.unlanded(range(store.partitions), WINDOW)


def test_a_record_counts_to_its_node_in_one_database_then_in_the_other(
    stores: tuple[CarryingStore, ...], carriage: Carriage
) -> None:
    here, there = stores
    here.commit(Unit(records=(events(NODES[1], "k", 1, of=0),)))
    size = here.balance(NODES[1], Account.BUS)
    assert size.rows == 1
    carriage.carry()
    assert here.balance(NODES[1], Account.BUS).rows == 0
    assert there.balance(NODES[1], Account.BUS) == size


def test_what_landed_and_was_not_acknowledged_is_acknowledged_when_it_comes_again(
    stores: tuple[CarryingStore, ...], carriage: Carriage, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = stores
    here.commit(Unit(records=(events(NODES[1], "k", 1, of=0),)))
    carriage.senders[0].work()
    with monkeypatch.context() as patched:
        patched.setattr(here, "acknowledge", lambda _: None)
        while not there.waiting([EVENTS]):
            carriage.landers[1].work()
    assert len(here.unlanded(range(here.partitions), WINDOW)) == 1
    carriage.own(range(here.partitions))  # another process sends it again
    carriage.carry()
    assert work_off(there) == {"k": [1]}


def test_a_step_that_lost_its_partition_sends_nothing(
    stores: tuple[CarryingStore, ...], carriage: Carriage
) -> None:
    here, there = stores
    epochs = here.join("flow", "first", ttl_ms=60_000).epochs
    here.join("flow", "second", ttl_ms=60_000)
    moved = next(n for n in epochs if n not in here.heartbeat("flow", "first").epochs)
    fence = Fence(group="flow", partition=moved, epoch=epochs[moved])
    unit = Unit(
        states=(StateWrite(key="s", value=b"", expected=0),),
        records=(events(NODES[1], "k", 1, of=0),),
        fences=(fence,),
    )
    with pytest.raises(FencedError):
        here.commit(unit)
    carriage.carry()
    assert here.get("s") is None
    assert not there.waiting([EVENTS])
