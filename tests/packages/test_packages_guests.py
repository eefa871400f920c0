"""Flows and contracts of stored CPIs in their sandboxes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from host.domain.clock import SimClock
from host.domain.errors import StorageError, UnavailableError
from host.domain.ids import ShortHash
from host.domain.packages import contracts_of
from host.domain.quotas import QUOTA_NAMES, Quota, RunCharge, quota_range
from host.guests.contract_limits import CONTRACT_LIMITS, contract_limits
from host.guests.contracts import SandboxedContracts
from host.guests.flows import SandboxedFlows
from host.guests.isolated import IsolatedGuests
from host.guests.library import GuestLibrary
from host.guests.metered import MeteredContracts
from host.guests.source import GuestSource
from host.guests.warm_up import warm_up
from host.ledger.core.digests import verification_of
from host.ports.directory import UNDECIDED
from host.ports.guest import (
    Finished,
    FlowFailedInGuest,
    FlowRun,
    GuestCallError,
    GuestKilledError,
    SuspendedRun,
    SuspendRun,
)
from host.ports.quotas import Unmetered
from sandbox.isolation.pool import ProcessPool
from sandbox.isolation.process import ProcessPlan
from sandbox.limits import MIB, Limits
from sandbox.runtime import Sandbox

QUOTA = Quota()
ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
IOU = {
    "linear_id": "1",
    "borrower": ALICE,
    "lender": BOB,
    "borrower_key": "key of Alice",
    "lender_key": "key of Bob",
    "amount": 100,
    "currency": "GBP",
    "paid": 0,
}
ALL = frozenset({"sessions", "ledger", "membership", "persistence"})


def transaction(*, contract: str = "iou_contracts.IouContract", **changes: Any) -> dict[str, Any]:
    value = IOU | changes
    output = {
        "type": "iou_contracts.Iou",
        "contract": contract,
        "value": value,
        "participants": [value["borrower_key"], value["lender_key"]],
        "encumbrance": None,
    }
    return {
        "id": "SHA-256D:" + "AB" * 32,
        "metadata": {},
        "notary": None,
        "timeWindow": None,
        "signatories": [IOU["borrower_key"], IOU["lender_key"]],
        "inputs": [],
        "references": [],
        "outputs": [output],
        "commands": [{"type": "iou_contracts.Issue", "value": {}}],
    }


def start(body: object) -> str:
    return json.dumps(
        {"flowId": "f", "flowClass": "iou_flows.ListIous", "me": ALICE}
        | {"requestBody": body, "session": None}
    )


@pytest.fixture
def stored(bench: Any, key: Any, iou_cpi: bytes) -> Any:
    bench.trust(key)
    bench.upload(iou_cpi)
    return bench


@pytest.fixture
def record(stored: Any) -> Any:
    return stored.service.all()[0]


@pytest.fixture
def library(stored: Any, sandbox: Any) -> GuestLibrary:
    return GuestLibrary(sandbox=sandbox, read=stored.read)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    plan = ProcessPlan(flows=4, waiting=1, contracts=2)
    pool = ProcessPool(most=4, idle_seconds=600, plan=plan)
    yield pool
    pool.close()


@pytest.fixture(params=["shared", "process"])
def guests(request: Any, library: GuestLibrary, sandbox: Any, pool: ProcessPool) -> GuestSource:
    """Guests in this process, and in one of their own: what is asked of them is the same."""
    if request.param == "shared":
        return library
    return IsolatedGuests(library=library, sandbox=sandbox, pool=pool)


@pytest.fixture
def flows(guests: GuestSource) -> SandboxedFlows:
    return SandboxedFlows(library=guests)


@pytest.fixture
def contracts(guests: GuestSource) -> SandboxedContracts:
    return SandboxedContracts(library=guests, limits=Limits())


def no_states(interface: str, function: str, request: str) -> str:
    if (interface, function) == ("ledger", "query"):
        return json.dumps({"results": [], "next": None})
    return "null"


def run(
    flows: SandboxedFlows,
    record: Any,
    host: Any = no_states,
    granted: Any = ALL,
    quota: Quota = QUOTA,
    flow_class: str = "iou_flows.ListIous",
) -> Any:
    run = FlowRun(cpi=record, flow_class=flow_class, start=start({}), granted=granted, quota=quota)
    return flows.run(run, host)


@pytest.mark.slow
def test_a_flow_runs_to_its_result(flows: SandboxedFlows, record: Any) -> None:
    assert run(flows, record) == Finished(result="[]")


@pytest.mark.slow
def test_contracts_are_compiled_before_the_flow_runs_and_not_while(
    stored: Any, record: Any, sandbox: Any
) -> None:
    asked = []

    class Recording(GuestLibrary):
        def guest(self, cpi: Any, cpk: Any, **node: Any) -> Any:
            asked.append(cpk.world)
            return super().guest(cpi, cpk, **node)

    library = Recording(sandbox=sandbox, read=stored.read)

    def no_call_yet(interface: str, function: str, request: str) -> str:
        assert set(asked) == {"contract", "workflow"}
        return no_states(interface, function, request)

    run(SandboxedFlows(library=library), record, no_call_yet)


@pytest.mark.slow
def test_warming_up_reports_a_cpi_whose_file_is_gone(
    stored: Any, record: Any, sandbox: Any, tmp_path: Any
) -> None:
    library = GuestLibrary(sandbox=sandbox, read=stored.read)
    empty = GuestLibrary(sandbox=Sandbox(cache_dir=tmp_path), read=stored.read)
    for file in stored.files():
        file.unlink()
    reported: list[tuple[str, str]] = []
    with ThreadPoolExecutor(1) as executor:
        for each in (library, empty):
            warm_up(
                each,
                [record],
                executor=executor,
                report=lambda cpi, refused: reported.append((cpi.identity.name, refused.code)),
            )
    assert reported == [("iou", "storage")]


@pytest.mark.slow
def test_a_flow_that_waits_is_suspended(flows: SandboxedFlows, record: Any) -> None:
    def waits(interface: str, function: str, request: str) -> str:
        raise SuspendRun

    assert run(flows, record, waits) == SuspendedRun()


@pytest.mark.slow
def test_a_refused_call_fails_the_flow_with_its_code(flows: SandboxedFlows, record: Any) -> None:
    def refuses(interface: str, function: str, request: str) -> str:
        raise GuestCallError(json.dumps({"code": "state-not-found", "message": "no such state"}))

    outcome = run(flows, record, refuses)
    assert isinstance(outcome, FlowFailedInGuest)
    assert (outcome.type, outcome.message) == ("state-not-found", "no such state")
    assert any(line.startswith("iou_flows.py:") for line in outcome.trace)


@pytest.mark.slow
def test_what_the_handler_raises_reaches_the_caller(flows: SandboxedFlows, record: Any) -> None:
    def diverges(interface: str, function: str, request: str) -> str:
        raise GuestKilledError("flow-non-deterministic", "step 0")

    with pytest.raises(GuestKilledError) as killed:
        run(flows, record, diverges)
    assert killed.value.code == "flow-non-deterministic"

    def breaks(interface: str, function: str, request: str) -> str:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(flows, record, breaks)


@pytest.mark.slow
def test_a_failing_service_is_not_taken_for_the_guests_failure(
    flows: SandboxedFlows, record: Any
) -> None:
    def unavailable(_interface: str, _function: str, _request: str) -> str:
        raise UnavailableError("the ledger's storage")

    with pytest.raises(UnavailableError):
        run(flows, record, unavailable)


@pytest.mark.slow
def test_a_capability_that_is_not_granted_kills_the_run(flows: SandboxedFlows, record: Any) -> None:
    with pytest.raises(GuestKilledError) as killed:
        run(flows, record, granted=frozenset({"sessions"}))
    assert killed.value.code == "capability-not-granted"


@pytest.mark.slow
def test_a_limit_kills_the_run(library: GuestLibrary, record: Any) -> None:
    flows = SandboxedFlows(library=library)
    with pytest.raises(GuestKilledError) as killed:
        run(flows, record, quota=Quota(fuel_max=1000))
    assert killed.value.code == "out-of-fuel"
    assert killed.value.usage is not None
    assert killed.value.usage.fuel == 1000


@pytest.mark.slow
def test_an_unknown_flow_is_refused(flows: SandboxedFlows, record: Any) -> None:
    with pytest.raises(GuestKilledError) as killed:
        run(flows, record, flow_class="iou_flows.Nothing")
    assert killed.value.code == "flow-class-unknown"


@pytest.mark.slow
def test_a_contract_accepts_what_it_allows(contracts: SandboxedContracts, record: Any) -> None:
    assert list(contracts.judge(contracts_of(record), transaction()).failures) == []


@pytest.mark.slow
def test_a_contract_refuses_in_its_own_words(contracts: SandboxedContracts, record: Any) -> None:
    (failed,) = contracts.judge(contracts_of(record), transaction(amount=0)).failures
    assert failed == {
        "contract": "iou_contracts.IouContract",
        "states": ["iou_contracts.Iou"],
        "type": "RequirementError",
        "message": "An IOU's amount must be positive",
    }


@pytest.mark.slow
def test_a_state_of_an_unknown_contract_is_a_failure(
    contracts: SandboxedContracts, record: Any
) -> None:
    (failed,) = contracts.judge(
        contracts_of(record), transaction(contract="other.Contract")
    ).failures
    assert failed["type"] == "contract-unknown"
    assert failed["contract"] == "other.Contract"


@pytest.mark.slow
def test_a_contract_beyond_its_limits_is_a_failure(library: GuestLibrary, record: Any) -> None:
    contracts = SandboxedContracts(library=library, limits=Limits(fuel_max=1000))
    (failed,) = contracts.judge(contracts_of(record), transaction()).failures
    assert failed["type"] == "out-of-fuel"
    assert failed[UNDECIDED] is True


@pytest.mark.slow
def test_nothing_that_an_operator_sets_has_a_part_in_a_verdict(
    library: GuestLibrary, record: Any
) -> None:
    """A node's quota of next to nothing is charged, and may delay others; it judges nothing."""
    least = {name: quota_range(name)[0] for name in QUOTA_NAMES}
    quotas = Recorded(Quota(**least))
    contracts = SandboxedContracts(library=library)
    metered = MeteredContracts(contracts, quotas=quotas, clock=SimClock())
    node = ShortHash("A" * 12)
    assert list(metered.verify(contracts_of(record), transaction(), node=node).failures) == []
    refused = metered.verify(contracts_of(record), transaction(amount=0), node=node).failures
    assert [f["type"] for f in refused] == ["RequirementError"]
    assert all(UNDECIDED not in failure for failure in refused)
    assert [spent.usage.fuel > 0 for spent in quotas.charged] == [True, True]


class Recorded(Unmetered):
    """Quotas that are the same for every node, and what was charged to it."""

    def __init__(self, quota: Quota) -> None:
        self.given = quota
        self.charged: list[RunCharge] = []

    def quota(self, short_hash: ShortHash) -> Quota:
        return self.given

    def spent(self, short_hash: ShortHash, spent: RunCharge) -> None:
        self.charged.append(spent)


@pytest.mark.parametrize(
    ("metadata", "row"),
    [({"platformVersion": 50200}, 50200), ({"platformVersion": 50199}, 50200), ({}, 50200),
     ({"platformVersion": True}, 50200), (None, 50200)],
)  # fmt: skip
def test_the_limits_of_a_contract_are_those_of_its_platform_version(
    metadata: Any, row: int
) -> None:
    found = contract_limits({"metadata": metadata})
    assert (found.platform_version, found.limits) == (row, CONTRACT_LIMITS[row])


def test_released_rows_of_contract_limits_stay() -> None:
    """Another value is another verdict for transactions that were made: add a row instead."""
    assert CONTRACT_LIMITS[50200] == Limits(
        fuel_max=2_000_000_000,
        memory_bytes_max=128 * MIB,
        table_elements_max=100_000,
        wall_ms_max=10_000,
        payload_bytes_max=4 * MIB,
    )


def test_a_component_contract_refuses(bench: Any, make: Any, key: Any, sandbox: Any) -> None:
    bench.trust(key)
    failure = {
        "contract": "wat.Contract",
        "states": ["wat.State"],
        "type": "No",
        "message": "never",
    }
    bench.upload(make.contract_cpi(refusal=json.dumps({"failures": [failure]})))
    (record,) = bench.service.all()
    library = GuestLibrary(sandbox=sandbox, read=bench.read)
    contracts = SandboxedContracts(library=library, limits=Limits())
    state = {"type": "wat.State", "contract": "wat.Contract"}
    assert list(contracts.judge(contracts_of(record), {"outputs": [state]}).failures) == [failure]
    assert list(contracts.judge(contracts_of(record), {"outputs": []}).failures) == []


def test_a_refusal_in_any_words_is_never_an_acceptance(
    bench: Any, make: Any, key: Any, sandbox: Any
) -> None:
    bench.trust(key)
    bench.upload(make.contract_cpi(refusal='{"failures": []}'))
    (record,) = bench.service.all()
    library = GuestLibrary(sandbox=sandbox, read=bench.read)
    contracts = SandboxedContracts(library=library, limits=Limits())
    state = {"type": "wat.State", "contract": "wat.Contract"}
    (failed,) = contracts.judge(contracts_of(record), {"outputs": [state]}).failures
    assert (failed["type"], failed["message"]) == ("contract-refused", '{"failures": []}')


def test_a_lost_cache_is_filled_again_from_the_stored_cpi(
    bench: Any, make: Any, key: Any, tmp_path: Any
) -> None:
    bench.trust(key)
    bench.upload(make.contract_cpi(refusal="never"))
    (record,) = bench.service.all()
    fresh = Sandbox(cache_dir=tmp_path / "cache")
    library = GuestLibrary(sandbox=fresh, read=bench.read)
    contracts = SandboxedContracts(library=library, limits=Limits())
    transaction = {"outputs": [{"type": "wat.State", "contract": "wat.Contract"}]}
    assert contracts.judge(contracts_of(record), transaction).failures[0]["message"] == "never"
    bench.files()[0].write_bytes(b"damaged")
    lost = GuestLibrary(sandbox=Sandbox(cache_dir=tmp_path / "other"), read=bench.read)
    with pytest.raises(StorageError):  # no verdict: the platform's failure is not the contract's
        SandboxedContracts(library=lost, limits=Limits()).judge(contracts_of(record), transaction)


def test_the_code_of_a_replaced_package_still_judges_what_was_made_with_it(
    bench: Any, make: Any, key: Any, tmp_path: Any
) -> None:
    """A chain names its contract CPKs by checksum, also those of packages that are gone."""
    bench.trust(key)
    bench.upload(make.contract_cpi())
    (old,) = bench.service.all()
    bench.upload(make.contract_cpi(refusal="no longer"), force=True)
    (current,) = bench.service.all()
    found = bench.service._catalogue.find_cpk(old.cpks[0].file_checksum)
    assert found.cpi == old != current
    library = GuestLibrary(sandbox=Sandbox(cache_dir=tmp_path / "empty"), read=bench.read)
    contracts = SandboxedContracts(library=library, limits=Limits())
    transaction = {"outputs": [{"type": "wat.State", "contract": "wat.Contract"}]}
    then = contracts.judge([found], transaction).judged()
    now = contracts.judge(contracts_of(current), transaction).judged()
    assert (then.failures, now.failures[0]["message"]) == ((), "no longer")
    of_then, of_now = (verification_of(*judged.receipts[0]) for judged in (then, now))
    assert (of_then.verdict, of_now.verdict) == ("accepted", "refused")
    assert of_then.code == old.cpks[0].code_digest != of_now.code
    assert of_then.outcome != of_now.outcome


@pytest.mark.slow
def test_a_flow_whose_code_is_away_is_tried_again(record: Any) -> None:
    """By the engine, a number of times: it has not failed by anything of its own."""

    class Away:
        def prepare(self, cpi: Any) -> None:
            raise StorageError("the disk is full")

    flows = SandboxedFlows(library=Away())  # type: ignore[arg-type]  # asked for nothing else
    with pytest.raises(UnavailableError, match="the disk is full"):
        run(flows, record)
