"""The setting `isolation` of a host: what it logs, what it refuses, and what a lost guest costs."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from cpi.package.model import PackageId
from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import SystemClock, SystemEntropy
from host.domain.errors import UnavailableError
from host.domain.ids import Checksum, EpochMs, ShortHash
from host.domain.packages import (
    CodeWorld,
    CpiRecord,
    CpkRecord,
    FlowDeclaration,
    FlowKind,
    contracts_of,
)
from host.domain.quotas import Quota
from host.guests.contracts import SandboxedContracts
from host.guests.flows import SandboxedFlows
from host.guests.isolated import IsolatedGuests
from host.guests.library import GuestLibrary
from host.ports.guest import Finished, FlowRun
from host.runtime.plugin_loading import make_plugin_manager
from host.runtime.wiring.base import ProcessContext
from host.runtime.wiring.guests import IsolationMissingError, make_guests
from host.settings import SettingsInvalidError
from host.settings.live import LiveConfig
from host.settings.sections import SECTIONS
from sandbox.isolation.seal import WALLS
from sandbox.limits import Limits
from sandbox.world import World
from tests.support.hosts import settings_of

ALICE, BOB = ShortHash("A" * 12), ShortHash("B" * 12)
QUOTA = Quota()
pytestmark = pytest.mark.slow


def record(components: Any) -> CpiRecord:
    """A CPI of the contract and the workflow that run what they are given."""
    contract, workflow = components
    identity = PackageId(name="cpi", version="1", signer_summary_hash="SHA-256:" + 64 * "0")
    flow = FlowDeclaration(
        name="Run",
        kind=FlowKind.CLIENT_STARTABLE,
        protocol=None,
        versions=(),
        initiating=False,
        input_schema=None,
        output_schema=None,
    )
    cpks = tuple(
        CpkRecord(
            identity=identity,
            file_checksum=Checksum("SHA-256:" + 64 * "1"),
            world=world,
            code_digest=component.digest,
            flows=flows,
            contract_types=contracts,
            state_types=tuple(("State", name) for name in contracts),
            entities=(),
            capabilities=(),
            libraries=(),
            limits={},
        )
        for world, component, flows, contracts in (
            (CodeWorld.CONTRACT, contract, (), ("Contract",)),
            (CodeWorld.WORKFLOW, workflow, (flow,), ()),
        )
    )
    return CpiRecord(
        identity=identity,
        file_checksum=Checksum("SHA-256:" + 64 * "2"),
        group_id="g",
        group_policy={},
        cpks=cpks,
        stored_at=EpochMs(0),
    )


@contextmanager
def made(sandbox: Any, folder: Path, **settings: Any) -> Iterator[Any]:
    """The guests of a host with these settings, and what it logged."""
    folder.mkdir()
    directory = DataDirectory.hold(folder)
    with ExitStack() as stack, capture_logs() as logs:
        stack.callback(directory.release)
        base = ProcessContext(
            settings=settings_of(folder, **settings),
            directory=directory,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            plugins=make_plugin_manager(("embedded",), with_entry_points=False),
            registry=CollectorRegistry(),
            stack=stack,
        )
        library = GuestLibrary(sandbox=sandbox, read=lambda _: b"")
        yield make_guests(base, LiveConfig(SECTIONS, base.settings.pins), sandbox, library), logs


@pytest.fixture
def isolated(sandbox: Any, tmp_path: Path) -> Iterator[IsolatedGuests]:
    with made(sandbox, tmp_path / "data", isolation="process") as (guests, _):
        yield guests


def pids(guests: IsolatedGuests) -> dict[str, int]:
    """Process by the virtual node that it belongs to."""
    return {key.split()[0]: process.pid for key, process in guests._pool.processes()}


def flow_run(cpi: CpiRecord, code: str, node: ShortHash | None) -> FlowRun:
    return FlowRun(
        cpi=cpi, flow_class="Run", start=code, granted=frozenset(), quota=QUOTA, node=node
    )


def run(guests: Any, cpi: CpiRecord, code: str, node: ShortHash | None, host: Any = None) -> Any:
    flows = SandboxedFlows(library=guests)
    answer: Callable[..., str] = host or (lambda *_: "1")
    return flows.run(flow_run(cpi, code, node), answer)


def test_a_host_tells_which_walls_stand(sandbox, tmp_path):
    with made(sandbox, tmp_path / "data", isolation="process") as (_, logs):
        (line,) = (line for line in logs if line["event"] == "isolation")
        assert line["mode"] == "process"
        assert {*line["in_force"], *line["missing"]} == set(WALLS)
        assert all(line["missing"].values())


def test_shared_guests_have_no_process(sandbox, tmp_path):
    with made(sandbox, tmp_path / "data") as (guests, logs):
        assert isinstance(guests, GuestLibrary)
        (line,) = (line for line in logs if line["event"] == "isolation")
        assert (line["mode"], line["in_force"]) == ("shared", [])


def test_a_required_wall_that_is_none_is_refused(sandbox, tmp_path):
    with (
        pytest.raises(SettingsInvalidError, match="'moat' is none of process"),
        made(sandbox, tmp_path / "data", isolation_required=("moat",)),
    ):
        pass


def test_a_required_wall_that_does_not_stand_stops_the_start(sandbox, tmp_path):
    with (
        pytest.raises(IsolationMissingError, match="seccomp: isolation is shared") as caught,
        made(sandbox, tmp_path / "data", isolation_required=("seccomp",)),
    ):
        pass
    assert caught.value.code == "isolation-missing"


def test_required_walls_that_stand_let_the_host_start(sandbox, tmp_path):
    required = ("limits", "no-new-privileges", "seccomp")
    with made(sandbox, tmp_path / "data", isolation="process", isolation_required=required) as (
        guests,
        _,
    ):
        assert isinstance(guests, IsolatedGuests)


def test_every_node_has_a_process_of_its_own(isolated, components):
    cpi = record(components)
    for node in (ALICE, BOB, ALICE):
        assert run(isolated, cpi, "result = 1", node) == Finished(result="1")
    assert set(pids(isolated)) == {ALICE, BOB}
    assert len(set(pids(isolated).values())) == 2


def test_a_contract_runs_in_its_nodes_process_with_the_same_verdict(isolated, sandbox, components):
    cpi = record(components)
    shared = GuestLibrary(sandbox=sandbox, read=lambda _: b"")
    state = {"type": "State", "contract": "Contract"}
    verdicts = []
    for guests in (isolated, shared):
        contracts = SandboxedContracts(library=guests, limits=Limits())
        verdicts.append(contracts.judge(contracts_of(cpi), {"outputs": [state]}, node=ALICE))
    assert verdicts[0] == verdicts[1]
    assert verdicts[0].runs[0].receipt is not None
    assert set(pids(isolated)) == {ALICE}


@pytest.mark.crash
def test_a_flow_whose_process_is_killed_is_to_be_run_again(isolated, components):
    cpi = record(components)

    def killing(*_call):
        os.kill(pids(isolated)[ALICE], signal.SIGKILL)
        return "1"

    with pytest.raises(UnavailableError, match="ended from outside"):
        run(isolated, cpi, "host('flow', 'now', '{}'); result = 1", ALICE, killing)
    assert run(isolated, cpi, "result = 2", ALICE) == Finished(result="2")


def test_a_contract_that_cannot_run_has_no_verdict(isolated, components):
    """A transaction is never refused, and never accepted, because a process is missing."""
    contracts = SandboxedContracts(library=isolated, limits=Limits())
    isolated._pool.close()
    with pytest.raises(UnavailableError):
        contracts.judge(
            contracts_of(record(components)),
            {"outputs": [{"type": "State", "contract": "Contract"}]},
            node=ALICE,
        )


def test_uploaded_code_describes_itself_in_a_process_of_its_own(isolated, components):
    guest = isolated.candidate(World.WORKFLOW, components[1].digest)
    assert guest.call("describe", None, limits=Limits()).value == "{}"
    assert set(pids(isolated)) == {"component"}
