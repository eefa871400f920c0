"""A host under load meets several troubles of its machine at once; nothing is lost or doubled.

Kills, a full disk, exhausted descriptors and suspensions, two at a time; `tests/flow` lets the
clock
jump, which no process can do to another without changing how it sleeps.
CORDBOX_CHAOS sets how many rounds there are, CORDBOX_CHAOS_SEED which troubles meet and for how
long; the seed is printed.
"""

import contextlib
import os
import random
import sys
from collections import Counter

import pytest

from tests.support.borrowers import Borrowers, check_ledgers
from tests.support.chaos import full_disk, hold, no_descriptors, small_disk, suspended

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(900)]


class Machine:
    """Strikes a host in the ways of a bad machine; each returns a context of its duration."""

    def __init__(self, host, disk):
        self._host = host
        self._disk = disk

    def strikes(self):
        return {
            "kill-host": self.kill_host,
            "kill-worker": self.kill_worker,
            "disk-full": self.fill_disk,
            "no-descriptors": self.exhaust_descriptors,
            "suspend": self.suspend,
        }

    @contextlib.contextmanager
    def kill_host(self, _chance):
        self._host.kill()
        yield

    def start_again(self):
        self._host.start()

    @contextlib.contextmanager
    def kill_worker(self, chance):
        self._host.kill_worker(chance)
        yield

    def fill_disk(self, _chance):
        return full_disk(self._disk)

    def exhaust_descriptors(self, chance):
        pids = self._host.worker_pids()
        return no_descriptors(chance.choice(pids)) if pids else contextlib.nullcontext()

    def suspend(self, _chance):
        return suspended(self._host.all_pids())


def test_no_trouble_of_the_machine_loses_or_doubles_an_iou(host_with, packages, tmp_path):
    seed = int(os.environ.get("CORDBOX_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"CORDBOX_CHAOS_SEED={seed}\n")
    chance, met = random.Random(seed), Counter()
    with small_disk(tmp_path / "data") as disk:
        host = host_with("--workers", "flow=2")
        machine = Machine(host, disk)
        host.form_network(packages)
        borrowers = Borrowers(host, seed)
        try:
            for _ in range(int(os.environ.get("CORDBOX_CHAOS", "2"))):
                hold(chance.uniform(0.2, 1.5))
                names = chance.sample(sorted(machine.strikes()), 2)
                met.update(names)
                strike(machine, names, chance)
            borrowers.await_one()
        finally:
            borrowers.stop()
        sys.stdout.write(f"met: {dict(met)}\n")
        assert borrowers.refused == []
        check_ledgers(host, borrowers)
        host.kill()


def strike(machine, names, chance):
    """Begin both, hold them, and end them; a host that was killed is started after them."""
    order = sorted(names, key="kill-host".__eq__)  # a killed host has no processes to strike
    with contextlib.ExitStack() as stack:
        for name in order:
            stack.enter_context(machine.strikes()[name](chance))
        hold(chance.uniform(0.2, 2.0))
    if "kill-host" in names:
        machine.start_again()
