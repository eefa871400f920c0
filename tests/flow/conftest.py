import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.ports.units import FlowStore
from tests.flow.network import PARKING, Network

STORES = ("memory", "sqlite")
PARKED = {"replayed": 0, "parked": 4}
"""Names of the ways to treat suspended guests, and how many are parked."""
_PAIRS = (("memory", "replayed"), ("sqlite", "parked"))


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlowStore]:
    made: FlowStore = (
        MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "flows.sqlite")
    )
    yield made
    made.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests with each store, and what runs flows with suspended guests parked and replayed.

    What has both takes each value once: a store never sees whether the guest that a step runs was
    parked. `make prove-deaths` takes all four.
    """
    stores = STORES if "store" in metafunc.fixturenames else ()
    ways = PARKED if _runs_flows(metafunc) else ()
    if stores and ways:
        every = os.environ.get("CORDBOX_DEATHS") == "all"
        pairs = list(product(stores, ways)) if every else _PAIRS
        values = [(store, PARKED[way]) for store, way in pairs]
        ids = [f"{store}-{way}" for store, way in pairs]
        metafunc.parametrize(("store", "parking"), values, ids=ids, indirect=True)
    elif stores:
        metafunc.parametrize("store", stores, indirect=True)
    elif ways:
        metafunc.parametrize("parking", PARKED.values(), ids=PARKED, indirect=True)


def _runs_flows(metafunc: pytest.Metafunc) -> bool:
    if getattr(metafunc.module, "PARKS_ITSELF", False):
        return False
    if metafunc.definition.get_closest_marker("unparked") is not None:
        return False
    return any(
        value is Network or getattr(value, "__name__", "") in ("alone", "Made")
        for value in vars(metafunc.module).values()
    )


@pytest.fixture(autouse=True)
def parking(request: pytest.FixtureRequest) -> Iterator[None]:
    """For every test: a fixture that is only a parameter would be set up for none."""
    PARKING.most = getattr(request, "param", 0)
    yield
    PARKING.clear()
    PARKING.most = 0
