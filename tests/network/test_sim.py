"""Whole clusters over a bad network end with one list, whatever happened (S7, S10, S11).

The default runs some schedules; `make prove-link` runs many. A failure names its seed:
`CORDBOX_SEED=n CORDBOX_SCHEDULES=1` runs it again.
"""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.handshakes import FIRST_SEED
from tests.network.sim import Simulation

_ACTS = 12
SCHEDULES = int(os.environ.get("CORDBOX_SCHEDULES", "2000"))
"""One takes about a sixth of a second of processor time: databases and signatures are real."""
_AT_ONCE = 10
_MEMORY = Path("/dev/shm")  # its files end with the test


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, if the machine has one: here nothing ends but simulated processes."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    gc.collect()
    gc.freeze()  # what other tests have left is not searched for garbage again and again
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)
    gc.unfreeze()


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + SCHEDULES, _AT_ONCE))
def test_clusters_on_a_bad_network_end_with_one_list_of_the_mgm(memory: Path, first: int) -> None:
    for seed in range(first, min(first + _AT_ONCE, FIRST_SEED + SCHEDULES)):
        run(memory / f"{seed}", seed)


def run(folder: Path, seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201  # shown where it fails
    simulation = Simulation(folder, seed)
    try:
        simulation.disturb()
        for _ in range(_ACTS):
            print(f"seed {seed}: {simulation.act()}")  # noqa: T201
            simulation.run(simulation.random.randrange(1, 6))
        simulation.settle()

        simulation.check()
    finally:
        simulation.close()
