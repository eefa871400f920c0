"""Parked guests in real sandboxes: what they answer and use is what a replay comes to."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from host.domain.quotas import Quota
from host.guests.flows import SandboxedFlows
from host.guests.library import GuestLibrary
from host.guests.sticky_flows import StickyFlows
from host.ports.guest import Finished, FlowRun, GuestKilledError, SuspendRun

PAGES = [json.dumps({"results": [], "next": place}) for place in ("a", "b", None)]
START = json.dumps(
    {"flowId": "f", "flowClass": "iou_flows.ListIous", "me": "O=Alice, L=London, C=GB"}
    | {"requestBody": {}, "session": None}
)


class Ledger:
    """Answers the first queries, and suspends the run at the next one."""

    def __init__(self, first: int, last: int) -> None:
        self.answers = PAGES[first:last]
        self.requests: list[str] = []

    def __call__(self, interface: str, function: str, request: str) -> str:
        if not self.answers:
            raise SuspendRun
        self.requests.append(request)
        return self.answers.pop(0)


@pytest.fixture
def record(bench: Any, key: Any, iou_cpi: bytes) -> Any:
    bench.trust(key)
    bench.upload(iou_cpi)
    return bench.service.all()[0]


@pytest.fixture
def library(bench: Any, sandbox: Any) -> GuestLibrary:
    return GuestLibrary(sandbox=sandbox, read=bench.read)


def run(flows: Any, record: Any, host: Any, **quota: int) -> Any:
    run = FlowRun(
        cpi=record, flow_class="iou_flows.ListIous", start=START,
        granted=frozenset({"ledger"}), quota=Quota(**quota),
    )  # fmt: skip
    return flows.run(run, host)


def ended(action: Callable[[], Any]) -> Any:
    """What a run comes to: its outcome, or the code of what ended it."""
    try:
        return action()
    except GuestKilledError as killed:
        return killed.code


@pytest.mark.slow
def test_a_parked_guest_answers_asks_and_uses_what_a_replayed_one_does(
    library: GuestLibrary, record: Any
) -> None:
    plain = SandboxedFlows(library=library)
    whole = Ledger(0, 3)
    replayed = run(plain, record, whole)
    flows = StickyFlows(plain)
    hosts = [Ledger(0, 1), Ledger(1, 2), Ledger(2, 3)]
    outcomes = [run(flows, record, hosts[0])]
    outcomes += [outcomes[-1].parked.resume(hosts[1])]
    outcomes += [outcomes[-1].parked.resume(hosts[2])]
    flows.close()
    assert outcomes[-1] == replayed == Finished(result="[]")
    assert [r for host in hosts for r in host.requests] == whole.requests
    assert sum(o.usage.fuel for o in outcomes) == replayed.usage.fuel
    assert run(plain, record, Ledger(0, 1)).usage == outcomes[0].usage


@pytest.mark.slow
def test_the_fuel_of_a_parked_guest_goes_on_from_what_it_has_used(
    library: GuestLibrary, record: Any
) -> None:
    plain = SandboxedFlows(library=library)
    fuel = run(plain, record, Ledger(0, 3)).usage.fuel
    flows = StickyFlows(plain)
    for allowed in (fuel + 1, fuel - 1, fuel - 10_000):
        parked = run(flows, record, Ledger(0, 2), fuel_max=allowed).parked
        expected = ended(lambda allowed=allowed: run(
            plain, record, Ledger(0, 3), fuel_max=allowed
        ))  # fmt: skip
        assert ended(lambda parked=parked: parked.resume(Ledger(2, 3))) == expected
    assert expected == "out-of-fuel"
    flows.close()


@pytest.mark.slow
def test_a_parked_guest_that_is_dropped_leaves_nothing(library: GuestLibrary, record: Any) -> None:
    flows = StickyFlows(SandboxedFlows(library=library))
    for _ in range(3):
        run(flows, record, Ledger(0, 1)).parked.drop()
    flows.close()
    assert run(flows, record, Ledger(0, 3)) == Finished(result="[]")
