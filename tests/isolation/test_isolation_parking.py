"""Flows that are parked where they wait, inside the process of their node."""

import pytest

from host.domain.errors import UnavailableError
from host.guests.flows import SandboxedFlows
from host.guests.sticky_flows import StickyFlows
from host.ports.guest import Finished, SuspendRun
from tests.isolation.test_isolation_host import (
    ALICE,
    BOB,
    flow_run,
    isolated,
    made,
    pids,
    record,
    run,
)

__all__ = ["isolated"]
pytestmark = pytest.mark.slow
CODE = "a = host('flow', 'now', '{}'); b = host('flow', 'now', '{}'); result = a + b"


class Answering:
    """Answers with what it has, then suspends."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def attach(self, run):
        """Takes part in parking; `StickyFlows` has its own handler in between."""

    def __call__(self, *_call):
        if not self.answers:
            raise SuspendRun
        return self.answers.pop(0)


@pytest.fixture
def parking(isolated):
    parking = StickyFlows(SandboxedFlows(library=isolated))
    yield parking
    parking.close()


def parked(parking, cpi):
    started = Answering("1")
    outcome = parking.run(flow_run(cpi, CODE, ALICE), started)
    assert outcome.parked is not None
    return outcome.parked


def test_a_parked_flow_goes_on_in_its_process(parking, isolated, components):
    waiting = parked(parking, record(components))
    before = pids(isolated)
    assert waiting.resume(Answering("2")) == Finished(result="12")
    assert pids(isolated) == before


def test_parked_flows_can_be_dropped(parking, isolated, components):
    cpi = record(components)
    for _ in range(3):
        parked(parking, cpi).drop()
    assert run(isolated, cpi, "result = 1", ALICE) == Finished(result="1")


def test_a_parked_flow_whose_process_made_room_is_to_be_replayed(sandbox, tmp_path, components):
    cpi = record(components)
    settings = {"isolation": "process", "isolation_processes_max": 1}
    with made(sandbox, tmp_path / "data", **settings) as (guests, _):
        parking = StickyFlows(SandboxedFlows(library=guests))
        waiting = parked(parking, cpi)
        assert run(guests, cpi, "result = 1", BOB) == Finished(result="1")
        with pytest.raises(UnavailableError, match="another virtual node"):
            waiting.resume(Answering("2"))
        assert run(guests, cpi, CODE, ALICE) == Finished(result="11")
        parking.close()
