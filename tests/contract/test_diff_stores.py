"""Random units applied to the adapters: they refuse the same ones and end up the same."""

import random
from collections.abc import Callable

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import queue_of, target_of
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import NewRecord, TopicPartition
from host.ports.state import StateConflictError, StateWrite
from host.ports.topics import Retention
from host.ports.units import Consumed, Dropped, FlowStore, JournalRow, Unit
from host.ports.work import Done
from tests.contract.conftest import MovableClock, opened, placed

NODES = (ShortHash("A" * 12), ShortHash("B" * 12))
QUEUES = [
    queue_of(NewRecord(topic=t, key=k, value=b"", node=n))
    for t in "tu"
    for k in "kl"
    for n in NODES
]
SOURCES = [TopicPartition(topic=t, partition=p) for t in ("t", "u") for p in range(32)]


def random_unit(rng: random.Random) -> Unit:
    keys = rng.sample(["a", "b", "c/1", "c/2"], rng.randint(0, 2))
    states = tuple(
        StateWrite(
            key=key,
            value=rng.choice([None, rng.randbytes(3)]),
            expected=rng.randint(0, 2),
            due_at=rng.choice([None, EpochMs(rng.randint(1, 50))]),
            place=placed(rng.choice("gh"), rng.randint(0, 2)),
        )
        for key in keys
    )
    flow = FlowId(rng.choice("xy"))
    rows = tuple(
        JournalRow(flow_id=flow, number=rng.randint(0, 3), value=rng.randbytes(2))
        for _ in range(rng.choice([0, 0, 1]))
    )
    records = tuple(
        NewRecord(
            topic=rng.choice("tu"),
            key=rng.choice("kl"),
            value=rng.randbytes(2),
            node=rng.choice([None, *NODES]),
        )
        for _ in range(rng.randint(0, 2))
    )
    done = tuple(
        Done(queue=queue, positions=(rng.randint(1, 60),))
        for queue in rng.sample(QUEUES, rng.choice([0, 0, 1]))
    )
    consumed = tuple(
        Consumed(
            group="g",
            source=target_of(NewRecord(topic="t", key=rng.choice("kl"), value=b"")),
            start=rng.randint(0, 3),
            count=1,
        )
        for _ in range(rng.choice([0, 0, 1]))
    )
    dropped = tuple(
        Dropped(
            source=target_of(NewRecord(topic="t", key=rng.choice("kl"), value=b"")),
            offset=rng.randint(0, 3),
        )
        for _ in range(rng.choice([0, 0, 0, 1]))
    )
    forget = (flow,) if rng.random() < 0.1 else ()
    return Unit(
        states=states,
        journal=rows,
        forget=forget,
        records=records,
        done=done,
        consumed=consumed,
        dropped=dropped,
    )


def refuses(store: FlowStore, unit: Unit) -> str | None:
    try:
        store.commit(unit)
    except StateConflictError as exc:
        return type(exc).__name__
    return None


def everything(store: FlowStore) -> object:
    return (
        [tuple(store.poll(g, s, 99)) for g in ("g", "h") for s in SOURCES],
        list(store.ready("g", ["t", "u"])),
        list(store.scan("")),
        [list(store.due(g, EpochMs(30), 9, {0, 2})) for g in "gh"],
        [store.next_due(g, {p}) for g in "gh" for p in range(3)],
        list(store.placed("g", {1, 2})),
        [list(store.take(q, n, s).records) for q in QUEUES for n in (1, 9) for s in ((), ("k",))],
        (list(store.waiting(["t", "u"])), list(store.backlogs(["t", "u"]))),
        [list(store.journal(FlowId(f))) for f in "xy"],
        [list(store.newest(t, 99)) for t in "tu"],
        [list(store.topics(p)) for p in ("", "u", "v")],
    )


def leave_no_gaps(kind: str, request: pytest.FixtureRequest, last: int) -> None:
    """Let the next position of work be the one after `last`: refused units use up PostgreSQL's."""
    if kind == "postgres":
        database = request.getfixturevalue("postgres_flow_database")
        database.run(f"SELECT setval('{database.work_positions}', {max(last, 1)}, {last > 0})")


@pytest.mark.parametrize(
    ("kind", "seed"), [*(("sqlite", seed) for seed in range(5)), ("postgres", 5), ("postgres", 6)]
)
def test_the_adapters_agree_on_random_units(
    request: pytest.FixtureRequest, kind: str, seed: int
) -> None:
    rng = random.Random(seed)
    clock = MovableClock()
    memory = MemoryStore(clock=clock)
    durable = opened(kind, request, clock)
    refused = 0
    for _ in range(300):
        leave_no_gaps(kind, request, memory._position)
        unit = random_unit(rng)
        verdict = refuses(memory, unit)
        assert refuses(durable, unit) == verdict
        refused += verdict is not None
        clock.advance(rng.randint(-1, 3))
    assert 0 < refused < 300
    assert everything(memory) == everything(durable)
    upkeeps: list[Callable[[FlowStore], int]] = [
        lambda store: store.expire("t", Retention(age_ms=100)),
        lambda store: store.expire("u", Retention(bytes_max=1)),
    ]
    deleted = []
    for upkeep in upkeeps:
        deleted.append(upkeep(memory))
        assert upkeep(durable) == deleted[-1]
        assert everything(memory) == everything(durable)
    assert sum(deleted) > 0
    durable.close()
