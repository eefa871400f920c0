"""Sealed processes keep instances of Python guests, and nothing passes from run to run in them."""

from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.limits import Limits
from sandbox.runtime import Sandbox
from sandbox.world import World
from tests.isolation.conftest import PLAN

LEAVES = "import json; json.mark = [0] * 1000"
LOOKS = "import json; result = repr((hasattr(json, 'mark'), id(object())))"
RUNS = 20
WARM_UPS = 8


def faults(pid):
    """Minor page faults of a process so far: field 10 of its `stat`."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def faults_of_runs(guests):
    """Page faults of some runs of the workflow, once its process is warm."""
    guest = guests.workflow()
    for _ in range(WARM_UPS):
        guest.call("run", LEAVES, limits=Limits())
    before = faults(guests.process().pid)
    for _ in range(RUNS):
        guest.call("run", LEAVES, limits=Limits())
    return faults(guests.process().pid) - before


@pytest.mark.parametrize("world", list(World))
def test_what_a_run_leaves_is_gone(guests_of, components, cache_dir, world):
    guests = guests_of()
    guest = guests.workflow() if world is World.WORKFLOW else guests.contract()
    export = "run" if world is World.WORKFLOW else "verify"
    looks = LOOKS if world is World.WORKFLOW else f"{LOOKS}\nraise Refused(result)"
    digest = guest.component.digest
    new = Sandbox(cache_dir=cache_dir, restored_instances=False).guest(world, digest)
    for code in (LEAVES, LEAVES, LEAVES, looks, LEAVES, looks):
        ours = guest.call(export, code, limits=Limits())
        theirs = new.call(export, code, limits=Limits())
        assert (ours.value, ours.receipt) == (theirs.value, theirs.receipt)


def test_kept_instances_save_the_page_faults_of_new_ones(guests_of):
    kept = faults_of_runs(guests_of(plan=replace(PLAN, restored_instances=True)))
    new = faults_of_runs(guests_of(plan=replace(PLAN, restored_instances=False)))
    assert kept < new / 4


def test_a_run_that_ends_badly_ends_its_instance_and_not_the_process(guests_of):
    guests = guests_of()
    guest = guests.workflow()
    for _ in range(WARM_UPS):
        guest.call("run", LEAVES, limits=Limits())
    pid = guests.process().pid
    with pytest.raises(Exception, match="fuel"):
        guest.call("run", "while True: pass", limits=Limits(fuel_max=50_000_000))
    expected = guest.call("run", LOOKS, limits=Limits())
    assert expected.value.startswith("(False")
    assert guest.call("run", LOOKS, limits=Limits()).receipt == expected.receipt
    assert guests.process().pid == pid
