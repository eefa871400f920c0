"""Flows of earlier builds are replayed by this one, call by call, to the same result."""

import json
from collections.abc import Callable

import pytest

from cpi.package.model import PackageType
from cpi.package.verify import read_package
from host.adapters.memory.store import MemoryStore
from host.domain.clock import SimClock
from host.domain.ids import EpochMs, FlowId
from host.domain.packages import CpiRecord
from host.domain.quotas import Quota
from host.domain.vnode import VirtualNode
from host.flow.core.checkpoint import Checkpoint, Scope
from host.flow.core.journal import Entries, decode_journal
from host.flow.core.messages import Party
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.host_calls import HostCalls
from host.flow.engine.local_routes import LocalRoutes
from host.flow.engine.step_state import StepState
from host.guests.flows import SandboxedFlows
from host.guests.library import GuestLibrary
from host.guests.records import record_of
from host.ports.guest import Finished, FlowGuests, FlowRun, GuestKilledError
from host.tools.cache import default_cache_dir
from sandbox.host_api import CAPABILITIES
from sandbox.runtime import Sandbox
from tests.flow.golden_journals import CPI, SCRIPTED, Golden, read_golden
from tests.flow.network import GROUP_ID, INITIATOR, RESPONDER, CountedEntropy, Nodes, make_cpi
from tests.flow.scripted import ScriptedGuests

GOLDEN = read_golden()
Engine = Callable[[Golden], tuple[FlowGuests, CpiRecord]]


@pytest.fixture(scope="module")
def iou() -> tuple[FlowGuests, CpiRecord]:
    """The IOU flows as they were packaged when the golden journals were made."""
    data = CPI.read_bytes()
    package = read_package(data, package_type=PackageType.CPI)
    record = record_of(package, group_id=GROUP_ID, stored_at=EpochMs(0))
    sandbox = Sandbox(cache_dir=default_cache_dir())
    return SandboxedFlows(library=GuestLibrary(sandbox=sandbox, read=lambda _: data)), record


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    def chosen(golden: Golden) -> tuple[FlowGuests, CpiRecord]:
        if golden.guest == "iou":
            made: tuple[FlowGuests, CpiRecord] = request.getfixturevalue("iou")
            return made
        flows = SCRIPTED[golden.name.split("-")[1]]
        return ScriptedGuests(flows), make_cpi((INITIATOR, RESPONDER))

    return chosen


def replay(golden: Golden, rows: tuple[str, ...], engine: Engine) -> tuple[object, HostCalls]:
    guests, cpi = engine(golden)
    start = json.loads(golden.start)
    entries = decode_journal([row.encode() for row in rows])
    me = Party(name=start["me"], group_id=GROUP_ID)
    checkpoint = Checkpoint(
        flow_id=FlowId(start["flowId"]), holding=me, cpi_checksum=cpi.file_checksum,
        flow_class=golden.flow_class, request_id="r", body=None, responds_to=None,
        created_at=EpochMs(0), stack=(Scope(flow=golden.flow_class, protocol=None),),
        calls=len(entries),
    )  # fmt: skip
    node = VirtualNode(
        holding=me.holding(), cpi_checksum=cpi.file_checksum, granted_capabilities=CAPABILITIES,
        created_at=EpochMs(0),
    )  # fmt: skip
    flow = StepState(
        checkpoint=checkpoint, holding_id=node.holding.short_hash, version=1, timer=None,
        journal=Entries(entries), written=len(entries),
    )  # fmt: skip
    services = FlowServices(
        capabilities={}, vnodes=Nodes(), routes=LocalRoutes(Nodes()), clock=SimClock(), entropy=CountedEntropy(),
        states=MemoryStore(), journals=MemoryStore(),
    )  # fmt: skip
    handler = HostCalls(
        flow, cpi, services, persist=unexpected, quota=Quota(), granted=CAPABILITIES
    )
    run = FlowRun(
        cpi=cpi, flow_class=golden.flow_class, start=golden.start,
        granted=frozenset(CAPABILITIES), quota=Quota(),
    )  # fmt: skip
    outcome = guests.run(run, handler)
    handler.check_complete()
    return outcome, handler


def unexpected() -> None:
    raise AssertionError("a replayed flow has nothing new to write")


def test_the_golden_journals_are_of_scripted_and_of_sandboxed_flows() -> None:
    classes = {g.flow_class for g in GOLDEN}
    assert {"iou_flows.IssueIou", "iou_flows.AcceptIou", "iou_flows.SettleIou"} <= classes
    assert {"test.Initiator", "test.Responder"} <= classes
    functions = {
        e.function for g in GOLDEN for e in decode_journal([r.encode() for r in g.journal])
    }
    assert {"ledger.record", "flow.sleep", "flow.sub-flow", "external-messaging.send"} <= functions


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: g.name)
def test_a_golden_journal_is_replayed_to_its_result(golden: Golden, engine: Engine) -> None:
    outcome, handler = replay(golden, golden.journal, engine)
    assert isinstance(outcome, Finished)
    assert outcome.result == (golden.result or "")
    assert (handler.replayed, handler.made) == (len(golden.journal), 0)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: g.name)
def test_any_call_that_differs_is_named(golden: Golden, engine: Engine) -> None:
    for number in range(0, len(golden.journal), 3):
        rows = list(golden.journal)
        row = json.loads(rows[number])
        row[2] = "flow.other"
        rows[number] = json.dumps(row)
        with pytest.raises(GuestKilledError) as caught:
            replay(golden, tuple(rows), engine)
        assert caught.value.code == "flow-non-deterministic"
        assert f"call {number} differs" in caught.value.message
        assert "expected flow.other" in caught.value.message
