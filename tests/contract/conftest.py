from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import partition_of
from host.adapters.sqlite.store import SqliteStore
from host.domain.ids import EpochMs
from host.ports.bus import Placement
from host.ports.units import FlowStore


class MovableClock:
    """A clock that tests move, back as well."""

    def __init__(self) -> None:
        self._now = 0

    def now_ms(self) -> EpochMs:
        return EpochMs(self._now)

    def advance(self, millis: int) -> None:
        self._now += millis


def placed(group: str, partition: int) -> Placement:
    """What places a state in a partition."""
    key = next(key for key in map(str, count()) if partition_of(key) == partition)
    return Placement(group=group, key=key)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


def opened(kind: str, request: pytest.FixtureRequest, clock: MovableClock) -> FlowStore:
    """A store of one kind, empty."""
    if kind == "memory":
        return MemoryStore(clock=clock)
    if kind == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        return SqliteStore(folder / "flows.sqlite", clock=clock)
    access = request.getfixturevalue("postgres_flows")
    from plugins.postgres.store import PostgresStore  # of an extra

    return PostgresStore(access, clock=clock)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, clock: MovableClock) -> Iterator[FlowStore]:
    made = opened(request.param, request, clock)
    yield made
    made.close()
