from collections.abc import Iterator
from pathlib import Path

import pytest

from host.bus.memory import MemoryStore
from host.bus.sqlite import SqliteStore
from host.ports.units import FlowStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlowStore]:
    made: FlowStore = (
        MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "flows.sqlite")
    )
    yield made
    made.close()
