"""A host under load is killed again and again; afterwards both sides hold the same IOUs, each once.

Once the host is killed as a whole, once worker processes of it, any at any time, once the sealed
processes of its guests. CORDBOX_KILLS sets how often, CORDBOX_KILL_SEED when and whom; the seed is
printed.
"""

import os
import random
import sys
import time
from collections import Counter

import pytest

from tests.support.borrowers import Borrowers, check_ledgers

SPLIT = "flow=2,crypto=1,persistence=1,verification=1,membership=1"
pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(600)]


def test_no_kill_loses_or_doubles_an_iou(host_with, packages):
    host = host_with("--workers", "flow=2")

    def strike(_chance):
        host.kill()
        host.start()

    check_under_load(host, packages, strike)


def test_no_killed_worker_loses_or_doubles_an_iou(host_with, packages):
    host = host_with("--workers", SPLIT)
    killed = Counter()

    def strike(chance):
        killed[host.kill_worker(chance)] += 1

    check_under_load(host, packages, strike)
    sys.stdout.write(f"killed: {dict(killed)}\n")


def test_no_killed_process_of_guests_loses_or_doubles_an_iou(host_with, packages):
    host = host_with("--workers", "flow=2", "--isolation", "process")
    check_under_load(host, packages, host.kill_guests)


def test_waves_of_killed_workers_and_guests_lose_or_double_no_iou(host_with, packages):
    """Several at once, so that one process dies while another is being replaced."""
    host = host_with("--workers", SPLIT, "--isolation", "process")
    killed = Counter()

    def strike(chance):
        for _ in range(chance.randint(1, 3)):
            kill = chance.choice([host.kill_worker, host.kill_worker, host.kill_guests])
            killed[kill(chance)] += 1

    check_under_load(host, packages, strike)
    sys.stdout.write(f"killed: {dict(killed)}\n")


def check_under_load(host, packages, strike):
    """Strike while clients start flows; then each flow has completed, and the ledgers agree."""
    seed = int(os.environ.get("CORDBOX_KILL_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"CORDBOX_KILL_SEED={seed}\n")
    chance = random.Random(seed)
    host.form_network(packages)
    borrowers = Borrowers(host, seed)
    try:
        for _ in range(int(os.environ.get("CORDBOX_KILLS", "2"))):
            time.sleep(chance.uniform(0.05, 1.5))
            strike(chance)
        borrowers.await_one()
    finally:
        borrowers.stop()
    assert borrowers.refused == []
    check_ledgers(host, borrowers)
