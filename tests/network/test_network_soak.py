"""Days of a network that is cut, loses messages and loses its processes leave nothing behind.

The default runs two days; `make prove-link` runs many. A failure names its seed.
"""

import threading
from pathlib import Path

from sqlalchemy import func, select

from host.network.membership.network_tables import OUTBOX
from tests.network.handshakes import FIRST_SEED, SCHEDULES
from tests.network.sim import SimCluster, Simulation

DAYS = max(2, SCHEDULES // 20)
MEMBERS, ACTS_OF_A_DAY = 3, 4
STATES_OF_A_PAIR_MAX = 8
"""Four inbound sessions and an outbound one, the heads of both ends, and reports."""


def test_days_on_a_bad_network_leave_nothing_behind(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path, FIRST_SEED)
    while len(simulation.members()) < MEMBERS:
        simulation.join()
        simulation.settle()
    at_first = used()
    for day in range(DAYS):
        simulation.disturb()
        for _ in range(ACTS_OF_A_DAY):
            simulation.act(joins=False)
            simulation.run(simulation.random.randrange(1, 6))
            simulation.clock.advance(6 * 3600_000)
        simulation.settle()
        simulation.check()
        simulation.rest()

        pairs = 2 * len(simulation.requests)
        states = sum(states_of(cluster) for cluster in simulation.clusters)
        assert states <= pairs * STATES_OF_A_PAIR_MAX, (FIRST_SEED, day)
        assert [waiting(cluster) for cluster in simulation.clusters] == [0] * 3, (FIRST_SEED, day)
    assert used() == at_first
    simulation.close()


def used() -> tuple[int, int]:
    """Threads and open files of this process."""
    return threading.active_count(), sum(1 for _ in Path("/proc/self/fd").iterdir())


def states_of(cluster: SimCluster) -> int:
    return len(list(cluster.store.scan("")))


def waiting(cluster: SimCluster) -> int:
    """Messages that are not settled, in the database, in topics and at the link."""
    topics = ["p2p.out", "membership.in"]
    queued = sum(len(cluster.store.take(q, 1000).records) for q in cluster.store.waiting(topics))
    unsettled = sum(state.key.count("/") > 2 for state in cluster.store.scan("p2p/tx/"))
    with cluster.place.database.read() as connection:
        posted: int = connection.execute(select(func.count()).select_from(OUTBOX)).scalar_one()
    return queued + unsettled + posted
