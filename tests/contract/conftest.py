from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host.bus.memory import MemoryStore
from host.bus.sqlite import SqliteStore
from host.ports.units import FlowStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlowStore]:
    makers: dict[str, Callable[[], FlowStore]] = {
        "memory": MemoryStore,
        "sqlite": lambda: SqliteStore(tmp_path / "flows.sqlite"),
    }
    made = makers[request.param]()
    yield made
    made.close()
