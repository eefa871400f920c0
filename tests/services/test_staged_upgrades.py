"""Upgrades that leave open flows alive: each way, each refusal, and death at every transaction."""

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.ids import FlowId, short_hash_of
from host.domain.vnode import AsyncStatus, NodeState
from host.entities import SCHEMA as PERSISTENCE
from host.entities import EntityTypes, VaultSchemas
from host.guests.rehearsals import shortened
from host.nodes.vnode import SCHEMA, MadeVaults, VirtualNodeService
from host.nodes.vnode.errors import (
    NodeElsewhereError,
    OperationInProgressError,
    VirtualNodeInMaintenanceError,
    VirtualNodeNotInMaintenanceError,
)
from host.nodes.vnode.rehearsal import UpgradeRehearsal
from host.nodes.vnode.staged_upgrades import DRAIN_MS
from host.nodes.vnode.upgrade_report import Diverging, Report, Way
from host.ports.live import Fixed
from host.ports.locations import Place
from host.ports.node_flows import Rehearsed, Verdict
from host.vault.idempotency import REQUESTS
from tests.services.support import ALICE, CLAIMANT, holding
from tests.services.test_entity_schemas import V1, V2, V3, Fish
from tests.services.test_node_upgrades import version
from tests.services.test_virtual_nodes import ALLOWED, Later, StoredPackages

NODE = holding(ALICE).short_hash
OLD, NEW = version(V1, "1"), version(V3, "2")
PLAIN = version(V1, "1.1")
"""No entity of it differs from those of `OLD`."""
UNFIT = version(replace(V2, migrations=({"version": 2, "steps": []},)), "unfit")
SAME, OTHER = FlowId("same"), FlowId("other")


def short(record):
    return short_hash_of(record.file_checksum)


class Death(BaseException):
    """The process ends here."""


class MortalDatabase:
    """The cluster's database; a process dies before or after its n-th transaction."""

    def __init__(self, inner, at=0, *, after=False):
        self._inner, self.left, self._after = inner, at, after

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def transact(self, work):
        self.left -= 1
        if self.left == 0 and not self._after:
            raise Death
        result = self._inner.transact(work)
        if self.left == 0:
            raise Death
        return result


class OpenFlows:
    """The open flows of the node, by id: the CPI of each, and what its rehearsal says."""

    def __init__(self):
        self.cpis = {SAME: OLD.file_checksum, OTHER: OLD.file_checksum}
        self.ended: list[FlowId] = []
        self.paused: list[bool] = []
        self.failing: list[Exception] = []

    def open_count(self, node):
        return len(self.cpis)

    def rehearse(self, node, cpi):
        self.paused.append(node.is_paused)
        for flow_id, checksum in self.cpis.items():
            yield Rehearsed(
                flow_id=flow_id,
                request_id=f"r-{flow_id}",
                flow_class="F",
                cpi_checksum=checksum,
                verdict=Verdict.SAME if flow_id == SAME else Verdict.DIVERGES,
            )

    def move(self, node, flows, cpi):
        if self.failing:
            raise self.failing.pop()
        for flow_id in flows:
            self.cpis[flow_id] = cpi.file_checksum
        return len(flows)

    def end(self, node, flows, reason):
        self.ended += flows


class NoStates:
    def rehearse(self, node, cpi):
        return ()


class World:
    """What outlives a process: the databases, the flows and the time."""

    def __init__(self, folder, clock, entropy):
        self.clock, self.entropy, self.later, self.flows = clock, entropy, Later(), OpenFlows()
        self.database = Database.open(folder / "cluster.sqlite", [SCHEMA])
        register = MadeVaults(database=self.database, clock=clock)
        self.vaults = Vaults(folder / "vnodes", [REQUESTS, PERSISTENCE], register=register)
        self.told = []
        service = self.booted()
        service.create(short(OLD), ALICE)
        self.later.run()
        Fish(self.vaults, V1).write("persist", "a", {"id": "a", "colour": "red"})

    def booted(self, at=0, *, after=False):
        schemas = VaultSchemas(self.vaults, EntityTypes(), self.clock)
        service = VirtualNodeService(
            database=MortalDatabase(self.database, at, after=after),
            schemas=schemas,
            packages=StoredPackages(OLD, NEW, PLAIN, UNFIT),
            clock=self.clock,
            entropy=self.entropy,
            claimant=CLAIMANT,
            background=self.later.submit,
            allowed_capabilities=Fixed(ALLOWED),
            upgraded=lambda _connection, node: self.told.append(node),
            rehearsal=lambda: UpgradeRehearsal(
                flows=self.flows, schemas=schemas, states=NoStates()
            ),
        )
        service._staged._parts = replace(
            service._staged._parts, sleep=lambda s: self.clock.advance(int(s * 1000))
        )
        return service

    def done(self, way, target=NEW, diverging=Diverging.FINISH):
        service = self.booted()
        request = service.upgrade(NODE, short(target), way=way, diverging=diverging)
        self.later.run()
        return service, service.operation(request)

    def close(self):
        self.vaults.close()
        self.database.close()


@pytest.fixture
def world(tmp_path, clock, entropy):
    world = World(tmp_path, clock, entropy)
    yield world
    world.close()


def is_as_before(world, service):
    node = service.get(NODE)
    assert (node.cpi_checksum, node.state) == (OLD.file_checksum, NodeState.ACTIVE)
    assert Fish(world.vaults, V1, flow="later").all() == [{"id": "a", "colour": "red"}]
    assert set(world.flows.cpis.values()) == {OLD.file_checksum}
    assert world.told == world.flows.ended == []


def test_flows_that_do_the_same_go_on_with_the_new_code_and_others_are_ended(world):
    service, done = world.done(Way.MIGRATE, diverging=Diverging.KILL)
    assert (done.status, done.stage) == (AsyncStatus.SUCCEEDED, "DONE")
    assert world.flows.cpis[SAME] == NEW.file_checksum
    assert world.flows.ended == [OTHER]
    assert world.flows.paused == [False, True], "rehearsed while it runs, and while it is paused"
    node = service.get(NODE)
    assert (node.cpi_checksum, node.state) == (NEW.file_checksum, NodeState.ACTIVE)
    assert Fish(world.vaults, V3, flow="later").all() == [{"id": "a", "finCount": 7}]
    assert set(world.told) == {NODE}


def test_flows_end_with_the_old_code_if_entities_stay_as_they_are(world):
    service, done = world.done(Way.FINISH, PLAIN)
    assert done.status is AsyncStatus.SUCCEEDED
    assert set(world.flows.cpis.values()) == {OLD.file_checksum}
    assert service.get(NODE).cpi_checksum == PLAIN.file_checksum


@pytest.mark.parametrize("way", [Way.FINISH, Way.MIGRATE])
def test_old_code_never_meets_migrated_entities(world, way):
    service, done = world.done(way)
    assert done.status is AsyncStatus.FAILED
    assert "r-other" in done.error_reason
    is_as_before(world, service)


@pytest.mark.parametrize("way", [Way.DRAIN, Way.FINISH, Way.MIGRATE])
def test_entities_that_do_not_fit_are_found_before_anything_is_changed(world, way):
    service, done = world.done(way, UNFIT, Diverging.KILL)
    assert done.status is AsyncStatus.FAILED
    assert "pets.Fish 'a' does not fit version 2" in done.error_reason
    is_as_before(world, service)


def test_a_drained_node_starts_nothing_and_is_upgraded_when_its_last_flow_has_ended(world):
    service = world.booted()
    request = service.upgrade(NODE, short(NEW), way=Way.DRAIN)
    world.later.run()
    assert (service.operation(request).stage, service.get(NODE).flow_start_status) == (
        "DRAIN",
        "INACTIVE",
    )
    with pytest.raises(OperationInProgressError):
        service.set_state(NODE, "ACTIVE")
    world.flows.cpis.clear()
    assert service.renew() == 1
    world.later.run()
    assert service.operation(request).status is AsyncStatus.SUCCEEDED
    node = service.get(NODE)
    assert (node.cpi_checksum, node.flow_start_status) == (NEW.file_checksum, "ACTIVE")


def test_a_drain_that_takes_too_long_puts_the_node_back(world):
    service = world.booted()
    request = service.upgrade(NODE, short(NEW), way=Way.DRAIN)
    world.later.run()
    world.clock.advance(DRAIN_MS + 1)
    service.renew()
    world.later.run()
    assert "2 flows are open still" in service.operation(request).error_reason
    assert service.get(NODE).flow_start_status == "ACTIVE"
    is_as_before(world, service)


def test_a_rehearsal_changes_nothing_and_tells_what_would_happen(world):
    service = world.booted()
    request = service.rehearse_upgrade(NODE, short(NEW))
    assert service.upgrade_report(request) is None
    world.later.run()
    assert service.operation(request).status is AsyncStatus.SUCCEEDED
    report = service.upgrade_report(request)
    assert '"change": "migrated"' in report
    assert '"verdict": "diverges"' in report
    is_as_before(world, service)


def test_a_node_that_was_paused_stays_paused(world):
    world.booted().set_state(NODE, "PAUSED")
    service, done = world.done(Way.MIGRATE, diverging=Diverging.KILL)
    assert done.status is AsyncStatus.SUCCEEDED
    assert service.get(NODE).state is NodeState.PAUSED


def test_each_way_needs_the_state_that_it_works_in(world):
    service = world.booted()
    with pytest.raises(VirtualNodeNotInMaintenanceError):
        service.upgrade(NODE, short(NEW))
    service.set_state(NODE, "PAUSED")
    with pytest.raises(VirtualNodeInMaintenanceError, match="paused"):
        service.upgrade(NODE, short(NEW), way=Way.DRAIN)
    service.set_state(NODE, "MAINTENANCE")
    for way in (Way.DRAIN, Way.FINISH, Way.MIGRATE):
        with pytest.raises(VirtualNodeInMaintenanceError):
            service.upgrade(NODE, short(NEW), way=way)


def test_what_fails_after_the_migration_is_done_again_until_it_succeeds(world):
    world.flows.failing.append(RuntimeError("a defect"))
    service, waiting = world.done(Way.MIGRATE, diverging=Diverging.KILL)
    assert (waiting.status, waiting.stage) == (AsyncStatus.IN_PROGRESS, "MOVE")
    assert service.get(NODE).state is NodeState.PAUSED
    service.renew()
    world.later.run()
    assert service.operation(waiting.request_id).status is AsyncStatus.SUCCEEDED
    assert service.get(NODE).state is NodeState.ACTIVE


def deaths(make: Callable[[], World], way: Way, target, diverging) -> int:
    """Let a process die at each of its transactions, and another one go on; how many died.

    Before one and after the next: to another process, they are the same.
    """
    count, at = 0, 1
    while True:
        died, after = False, at % 2 == 0
        world = make()
        request = world.booted().upgrade(NODE, short(target), way=way, diverging=diverging)
        world.later.waiting.clear()
        try:
            world.booted(at, after=after).resume_interrupted()
            world.later.run()
        except Death:
            died, count = True, count + 1
            world.later.waiting.clear()
        service = world.booted()
        service.resume_interrupted()
        world.later.run()
        done = service.operation(request)
        if target is UNFIT:
            assert done.status is AsyncStatus.FAILED
            is_as_before(world, service)
        else:
            assert done.status is AsyncStatus.SUCCEEDED
            node = service.get(NODE)
            assert (node.cpi_checksum, node.state) == (NEW.file_checksum, NodeState.ACTIVE)
            assert world.flows.cpis[SAME] == NEW.file_checksum
            assert set(world.flows.ended) == {OTHER}
            assert Fish(world.vaults, V3, flow="later").all() == [{"id": "a", "finCount": 7}]
        world.close()
        if not died:
            return count
        at += 1


@pytest.mark.parametrize("target", [NEW, UNFIT], ids=["fits", "refused"])
def test_death_around_each_transaction_changes_nothing(tmp_path, clock, entropy, target):
    made = iter(range(1000))

    def make():
        folder = tmp_path / str(next(made))
        folder.mkdir()
        return World(folder, clock, entropy)

    assert deaths(make, Way.MIGRATE, target, Diverging.KILL) > (6 if target is NEW else 2)


def test_a_node_does_not_leave_in_the_middle_of_an_upgrade(world):
    service = world.booted()
    request = service.upgrade(NODE, short(NEW), way=Way.DRAIN)
    world.later.run()
    with pytest.raises(OperationInProgressError, match=request):
        world.database.transact(service.leaving(NODE))
    assert service.get(NODE).state is NodeState.ACTIVE
    world.flows.cpis.clear()
    service.renew()
    world.later.run()
    world.database.transact(service.leaving(NODE))
    assert service.get(NODE).state is NodeState.PAUSED


def test_an_upgrade_is_refused_where_the_node_has_left_or_got_another_cpi_meanwhile(world):
    service = world.booted()
    late = service.get(NODE)
    assert world.done(Way.FINISH, PLAIN)[1].status is AsyncStatus.SUCCEEDED
    service.get = lambda _node: late
    with pytest.raises(OperationInProgressError, match="another CPI meanwhile"):
        service.upgrade(NODE, short(NEW), way=Way.DRAIN)
    service._locations = SimpleNamespace(place=lambda _: Place.EXPORTED)
    with pytest.raises(NodeElsewhereError):
        service.upgrade(NODE, short(NEW), way=Way.DRAIN)
    with pytest.raises(NodeElsewhereError):
        service.set_state(NODE, "ACTIVE")


def test_a_report_of_many_flows_has_short_texts_whatever_code_says():
    failed = Rehearsed(
        flow_id=FlowId("f"),
        request_id="r",
        flow_class="F",
        cpi_checksum="c",
        verdict=Verdict.DIVERGES,
        expected="flow.send",
        found="failed: " + "\ud83d" + "m" * 8192,
        file="a/" * 5000,
    )
    report = Report(from_cpi="a", to_cpi="b", flows=(shortened(failed),) * 10_000)
    text = json.dumps(report.to_json(), ensure_ascii=False)
    assert len(text.encode()) < 10_000 * 700
    (flow, *_) = report.flows
    assert (flow.expected, flow.found[:10]) == ("flow.send", "failed: ?m")
    assert flow.found.endswith("... (8201 characters)")
    assert shortened(replace(failed, found=None, file=None)).found is None
