"""Whole clusters over a bad network end with one list, whatever happened (S7, S10, S11).

The default runs a few schedules; `make prove-link` runs many. A failure names its seed:
`CORDBOX_SEED=n CORDBOX_SCHEDULES=1` runs it again.
"""

import os
from pathlib import Path

import pytest

from tests.network.handshakes import FIRST_SEED
from tests.network.sim import Simulation

_ACTS = 12
SCHEDULES = int(os.environ.get("CORDBOX_SCHEDULES", "50"))
"""One takes about half a second of processor time: keys, databases and signatures are real."""


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SCHEDULES))
def test_clusters_on_a_bad_network_end_with_one_list_of_the_mgm(tmp_path: Path, seed: int) -> None:
    simulation = Simulation(tmp_path, seed)
    simulation.disturb()
    for _ in range(_ACTS):
        print(f"seed {seed}: {simulation.act()}")  # noqa: T201  # shown where it fails
        simulation.run(simulation.random.randrange(1, 6))
    simulation.settle()

    simulation.check()
    simulation.close()
