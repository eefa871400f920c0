"""A backlog: work that waits in one partition costs the others nothing, and its rows do not stay.

In small; `make prove-scale` raises the numbers, and compares times.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest

from host.adapters.partitions import partition_of
from host.domain.ids import ShortHash
from host.ports.bus import NewRecord, WorkQueue
from host.ports.units import Unit
from host.ports.work import Done
from plugins.postgres.connections import Access, Session
from plugins.postgres.store import PostgresStore, make_tables
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(7200)

IS_FULL = "SCALED_BACKLOG" in os.environ
BACKLOG = int(os.environ.get("SCALED_BACKLOG", "3000"))
SAMPLES = 300 if IS_FULL else 20
AT_ONCE = 500
NODE = ShortHash("A" * 12)
TOPIC = "flow.event"
VALUE = bytes(500)
Record = Callable[[str, object], None]


@pytest.fixture
def access(postgres_server: PostgresServer) -> Access:
    """A database whose commits wait for the disk where times are compared."""
    made = postgres_server.new_database(is_durable=IS_FULL)
    make_tables(made)
    return made


@pytest.fixture
def store(access: Access) -> Iterator[PostgresStore]:
    made = PostgresStore(access)
    yield made
    made.close()


@pytest.fixture
def session(access: Access) -> Iterator[Session]:
    made = Session(replace(access, session={"search_path": "cordbox_flow"}))
    yield made
    made.close()


def keys_of(partition: int) -> Iterator[str]:
    return (key for key in map(str, count()) if partition_of(key) == partition)


def publish(store: PostgresStore, keys: Iterator[str], number: int) -> None:
    """Publish work, in commits of some hundred records."""
    for first in range(0, number, AT_ONCE):
        some = islice(keys, min(AT_ONCE, number - first))
        records = (NewRecord(topic=TOPIC, key=key, value=VALUE, node=NODE) for key in some)
        store.commit(Unit(records=tuple(records)))


def consume(store: PostgresStore, queue: WorkQueue, number: int) -> None:
    """Process the oldest records of a queue, whatever their keys."""
    for _ in range(number):
        (record, *_more) = store.take(queue, 1).records
        store.commit(Unit(done=(Done(queue=queue, positions=(record.position,)),)))


def steps(store: PostgresStore, partition: int) -> list[float]:
    """Seconds of each step of another partition: publish, take, commit."""
    queue = WorkQueue(topic=TOPIC, partition=partition, node=NODE)
    keys, seconds = keys_of(partition), []
    for _ in range(SAMPLES):
        begun = time.perf_counter()
        publish(store, keys, 1)
        consume(store, queue, 1)
        seconds.append(time.perf_counter() - begun)
    return seconds


def blocks_of_a_look(session: Session, partition: int) -> int:
    """How many blocks PostgreSQL reads to find the work of a partition."""
    sql = (
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT position, key FROM work"
        f" WHERE topic = '{TOPIC}' AND partition = {partition} AND node = '{NODE}'"
        " ORDER BY position LIMIT 50"
    )
    ((found,),) = session.run(sql)
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def size_of(session: Session) -> int:
    ((size,),) = session.run("SELECT pg_total_relation_size('work')")
    return int(size)


@pytest.mark.acceptance(15)
def test_a_backlog_costs_other_partitions_nothing_and_leaves_no_dead_rows(
    store: PostgresStore, session: Session, record_property: Record
) -> None:
    behind, other = 1, 2
    publish(store, keys_of(other), 1)
    usual, few = steps(store, other), blocks_of_a_look(session, other)
    keys = keys_of(behind)
    publish(store, keys, BACKLOG)
    session.run("ANALYZE work")
    waiting, many = steps(store, other), blocks_of_a_look(session, other)
    live = size_of(session)
    assert many <= few + 4, "the index leads past what waits elsewhere"
    # As many come as go: the rows of those that went are used again.
    queue, sizes = WorkQueue(topic=TOPIC, partition=behind, node=NODE), [live]
    for _ in range(4):
        clear(store, queue, BACKLOG // 2)
        if not IS_FULL:
            session.simple("VACUUM work")  # as the server does by itself, once a minute
        publish(store, keys, BACKLOG // 2)
        sizes.append(size_of(session))
    assert max(sizes) <= 3 * live, sizes
    ((left,),) = session.run("SELECT count(*) FROM work WHERE partition = :p", p=behind)
    assert left == BACKLOG
    ratio = statistics.median(waiting) / statistics.median(usual)
    record_property("records", BACKLOG)
    record_property("time of a step", f"{ratio:.2f} times")
    record_property("most bytes", f"{max(sizes) / live:.2f} times the live size")
    if IS_FULL:
        assert ratio <= 2.0


def clear(store: PostgresStore, queue: WorkQueue, number: int) -> None:
    """Process many records of a queue, some hundred in a commit."""
    left = number
    while left:
        found = (work.record for work in store.work_of_node(NODE, 0, AT_ONCE))
        positions = tuple(record.position for record in found if record.queue == queue)[:left]
        store.commit(Unit(done=(Done(queue=queue, positions=positions),)))
        left -= len(positions)
