"""Two clusters with real gateways, TLS and a bad TCP network between them lose and double nothing.

The default runs a few courses; `make prove-link` runs many. A failure names its seed.
"""

import threading

import pytest

from host.domain.clock import SimClock
from host.network.gateway.client import ClientLimits
from tests.network.bad_network import BadNetwork
from tests.network.clusters import Cluster, Group
from tests.network.development_ca import DevelopmentCa
from tests.network.gateways import serving
from tests.network.handshakes import FIRST_SEED, SCHEDULES
from tests.network.test_gateway import Restarting, lead_to
from tests.network.test_link_clusters import ALICES, BOBS, FLOWS, settled

COURSES = max(2, SCHEDULES // 20)
FLOWS_AT_ONCE = 4
BAD_MS, HEALED_MS = 60_000, 30_000
IDLE_SECONDS, STEP_MS = 0.02, 100
CA = DevelopmentCa("one")
LIMITS = ClientLimits(acquire_seconds=1.0, response_seconds=1.0)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + COURSES))
def test_flows_of_two_gateways_complete_once_over_a_bad_network(seed: int) -> None:
    group, clock = Group(), SimClock()
    a, b = (Cluster(name, group, [who], FLOWS, clock) for name, who in (("a", ALICES), ("b", BOBS)))
    for cluster in (a, b):
        lead_to(cluster, CA)
    limits = {"client_limits": lambda: LIMITS}
    with (
        BadNetwork(seed) as to_a,
        BadNetwork(seed + 1) as to_b,
        serving(Restarting(a), CA, **limits) as (to_a.target_port, _),
        serving(Restarting(b), CA, **limits) as (to_b.target_port, _),
    ):
        group.add(ALICES, f"https://127.0.0.1:{to_a.port}/")
        group.add(BOBS, f"https://127.0.0.1:{to_b.port}/")
        requests = [f"r{number}" for number in range(FLOWS_AT_ONCE)]
        for request in requests:
            a.network.start(request_id=request)

        work(a, b, requests, BAD_MS)
        for each in (to_a, to_b):
            each.heal()
        assert work(a, b, requests, HEALED_MS), (seed, a.events[-3:], b.events[-3:])
    assert [a.network.alice(request).result for request in requests] == ["done"] * FLOWS_AT_ONCE
    assert [status.result for status in b.network.bobs()] == ["answered"] * FLOWS_AT_ONCE


def work(a: Cluster, b: Cluster, requests: list[str], most_ms: int) -> bool:
    """Work until all flows have ended and nothing waits, or the time is over; whether they have."""
    changed, clock = threading.Event(), a.clock
    for cluster in (a, b):
        cluster.store.on_commit(lambda _: changed.set())
    end = clock.now_ms() + most_ms
    while clock.now_ms() < end:
        changed.clear()
        for cluster in (a, b):
            cluster.work()
        if all(a.network.alice(each).status.is_final for each in requests) and settled(a, b):
            return True
        if not changed.wait(IDLE_SECONDS):
            clock.advance(STEP_MS)
    return False
