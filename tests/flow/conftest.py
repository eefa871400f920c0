from collections.abc import Iterator
from pathlib import Path

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.ports.units import FlowStore
from tests.flow.network import PARKING, Network


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlowStore]:
    made: FlowStore = (
        MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "flows.sqlite")
    )
    yield made
    made.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what runs flows both ways: with suspended guests parked, and always replayed."""
    values = vars(metafunc.module).values()
    runs_flows = any(
        v is Network or getattr(v, "__name__", "") in ("alone", "Made") for v in values
    )
    if getattr(metafunc.module, "PARKS_ITSELF", False):
        return
    if runs_flows:
        metafunc.parametrize("parking", [0, 4], ids=["replayed", "parked"], indirect=True)


@pytest.fixture(autouse=True)
def parking(request: pytest.FixtureRequest) -> Iterator[None]:
    """For every test: a fixture that is only a parameter would be set up for none."""
    PARKING.most = getattr(request, "param", 0)
    yield
    PARKING.clear()
    PARKING.most = 0
