import pytest
from structlog.testing import capture_logs

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.errors import InvalidInputError, NotFoundError, StorageError
from host.domain.ids import InvalidShortHashError, ShortHash, short_hash_of
from host.domain.vnode import AsyncStatus, NodeState, OperationalStatus, Pauses
from host.domain.x500 import InvalidX500NameError
from host.entities import SCHEMA as PERSISTENCE
from host.entities import EntityTypes, VaultSchemas
from host.nodes.vnode import SCHEMA, MadeVaults, VirtualNodeService
from host.nodes.vnode.errors import (
    CpiNotFoundError,
    NodeElsewhereError,
    OperationInProgressError,
    VirtualNodeExistsError,
    VirtualNodeStateError,
)
from host.nodes.vnode.name_forms import warn_of_other_forms
from host.nodes.vnode.tables import OPERATION
from host.ports.live import Fixed
from host.ports.locations import Place
from host.vault.idempotency import REQUESTS
from tests.services.support import ALICE, BOB, CLAIMANT, cpi, holding

ALLOWED = frozenset({"flow", "log", "ledger", "persistence"})


class StoredPackages:
    def __init__(self, *records):
        self.records = list(records)

    def get(self, checksum):
        return next((r for r in self.records if r.file_checksum == checksum), None)

    def find_by_short_hash(self, short):
        return next((r for r in self.records if short_hash_of(r.file_checksum) == short), None)

    def all(self):
        return list(self.records)


class Later:
    """A background that runs what was submitted when the test says so."""

    def __init__(self):
        self.waiting = []

    def submit(self, work):
        self.waiting.append(work)

    def run(self):
        while self.waiting:
            self.waiting.pop(0)()


@pytest.fixture
def later():
    return Later()


@pytest.fixture
def packages():
    return StoredPackages(cpi(), cpi(group_id="CREATE_ID", name="mgm"))


@pytest.fixture
def start(tmp_path, clock, entropy, packages, later):
    opened = []

    def start():
        database = Database.open(tmp_path / "cluster.sqlite", [SCHEMA])
        register = MadeVaults(database=database, clock=clock)
        vaults = Vaults(tmp_path / "vnodes", [REQUESTS, PERSISTENCE], register=register)
        opened.extend([database, vaults])
        return VirtualNodeService(
            database=database,
            schemas=VaultSchemas(vaults, EntityTypes(), clock),
            packages=packages,
            clock=clock,
            entropy=entropy,
            claimant=CLAIMANT,
            background=later.submit,
            allowed_capabilities=Fixed(ALLOWED),
        )

    yield start
    for resource in opened:
        resource.close()


def short(record):
    return short_hash_of(record.file_checksum)


def test_a_node_is_created_in_the_background_and_costs_no_file(start, later, clock, tmp_path):
    service = start()
    request_id = service.create(short(cpi()), "c=GB, l=London, o=Alice")
    accepted = service.operation(request_id)
    assert (accepted.status, accepted.resource_id) == (AsyncStatus.ACCEPTED, None)
    assert service.all() == []
    clock.advance(5)
    later.run()
    done = service.operation(request_id)
    assert done.status is AsyncStatus.SUCCEEDED
    assert done.resource_id == holding(ALICE).short_hash
    assert done.updated_at == accepted.updated_at + 5
    node = service.get(done.resource_id)
    assert node.holding == holding(ALICE)
    assert node.cpi_checksum == cpi().file_checksum
    assert service.find(holding(ALICE)) == node
    assert service.find(holding(BOB)) is None
    assert not (tmp_path / "vnodes").exists()


def test_capabilities_are_those_declared_and_allowed(start, later):
    service = start()
    service.create(short(cpi()), ALICE)
    later.run()
    assert service.all()[0].granted_capabilities == ("flow", "ledger", "persistence")


@pytest.mark.parametrize(
    ("checksum", "name", "error"),
    [
        ("nothex", "O=Alice", InvalidX500NameError),
        ("nothex", ALICE, InvalidShortHashError),
        ("0" * 64, ALICE, InvalidShortHashError),
        ("000000000000", ALICE, CpiNotFoundError),
    ],
)
def test_the_first_wrong_input_is_refused_in_cordas_order(start, later, checksum, name, error):
    service = start()
    with pytest.raises(error) as refused:
        service.create(checksum, name)
    assert isinstance(refused.value, InvalidInputError)
    assert later.waiting == []


def test_a_node_that_exists_or_is_being_created_is_a_conflict(start, later):
    service = start()
    service.create(short(cpi()), ALICE)
    for _ in range(2):
        with pytest.raises(VirtualNodeExistsError, match="O=Alice"):
            service.create(short(cpi()), ALICE)
        later.run()
    service.create(short(cpi()), BOB)
    later.run()
    assert [node.holding for node in service.all()] == sorted(
        (holding(ALICE), holding(BOB)), key=lambda h: h.short_hash
    )


def test_a_new_group_gets_a_random_identifier(start, later, packages):
    service = start()
    for _ in range(2):
        service.create(short(packages.records[1]), ALICE)
    later.run()
    groups = {node.holding.group_id for node in service.all()}
    assert len(groups) == 2
    assert all(len(group) == 36 and group[14] == "4" for group in groups)


def test_what_a_crash_interrupted_is_finished_at_the_next_start(start, later):
    service = start()
    accepted = service.create(short(cpi()), ALICE)
    begun = service.create(short(cpi()), BOB)
    service._set_status(begun, AsyncStatus.IN_PROGRESS)
    later.waiting.clear()
    restarted = start()
    assert restarted.resume_interrupted() == 2
    later.run()
    assert {restarted.operation(r).status for r in (accepted, begun)} == {AsyncStatus.SUCCEEDED}
    assert len(restarted.all()) == 2
    assert restarted.resume_interrupted() == 0


def test_an_operation_that_cannot_be_finished_fails_with_a_reason(start, later, packages):
    service = start()
    request_id = service.create(short(cpi()), ALICE)
    packages.records.clear()
    later.run()
    failed = service.operation(request_id)
    assert failed.status is AsyncStatus.FAILED
    assert "no longer stored" in failed.error_reason
    packages.records.append(cpi())
    again = service.create(short(cpi()), ALICE)
    later.run()
    assert service.operation(again).status is AsyncStatus.SUCCEEDED


def test_maintenance_switches_everything_off_and_active_on_again(start, later):
    service = start()
    service.create(short(cpi()), ALICE)
    later.run()
    target = holding(ALICE).short_hash
    for state, status in (
        ("MAINTENANCE", OperationalStatus.INACTIVE),
        ("ACTIVE", OperationalStatus.ACTIVE),
    ):
        node = service.set_state(target, state)
        assert node == service.get(target)
        assert {
            node.flow_p2p_status,
            node.flow_start_status,
            node.flow_status,
            node.vault_db_status,
        } == {status}


def test_a_pause_is_measured_and_survives_a_restart(start, later, clock):
    service = start()
    service.create(short(cpi()), ALICE)
    later.run()
    target = holding(ALICE).short_hash
    assert service.states() == {NodeState.ACTIVE: 1}
    paused = service.set_state(target, "PAUSED")
    clock.advance(5_000)
    assert service.set_state(target, "PAUSED") == paused  # it goes on: it does not begin anew
    again = start()
    assert again.get(target) == paused
    assert (paused.state, paused.flow_status) == (NodeState.PAUSED, OperationalStatus.ACTIVE)
    assert again.states() == {NodeState.PAUSED: 1}
    clock.advance(2_000)
    resumed = again.set_state(target, "ACTIVE")
    ended_at = clock.now_ms()
    assert resumed.pauses == Pauses(since=None, ended_at=ended_at, total_ms=7_000)
    assert service.get(target) == resumed


def test_unknown_states_nodes_and_requests_are_refused(start):
    service = start()
    with pytest.raises(VirtualNodeStateError, match="MAINTENANCE"):
        service.set_state(ShortHash("0" * 12), "STOPPED")
    with pytest.raises(NotFoundError):
        service.set_state(ShortHash("0" * 12), "ACTIVE")
    with pytest.raises(NotFoundError):
        service.operation("nobody")


def test_a_storage_failure_leaves_the_operation_for_the_next_start(start, later, tmp_path):
    service = start()
    request_id = service.create(short(cpi()), ALICE)

    def broken(*_args, **_kwargs):
        raise StorageError("disk gone")

    working, service._update = service._update, broken
    later.run()
    service._update = working
    assert service.operation(request_id).status is AsyncStatus.ACCEPTED


def test_a_node_of_another_form_of_its_name_is_told_at_the_start(start, later, tmp_path):
    service = start()
    for name in ('O="Acme, Inc", L=London, C=GB', 'O="Two  Spaces", L=London, C=GB'):
        service.create(short(cpi()), name)
    later.run()
    with capture_logs() as logged:
        service.resume_interrupted()
    assert logged == [], "names as they are written now are reached"
    with Database.open(tmp_path / "cluster.sqlite", [SCHEMA]) as database:
        database.transact(
            lambda connection: connection.exec_driver_sql(
                "UPDATE virtual_node SET short_hash = '79ACF82E9ED8',"
                " x500_name = 'O=Acme\\, Inc, L=London, C=GB' WHERE x500_name LIKE '%Acme%'"
            )
        )
        with capture_logs() as logged:
            assert warn_of_other_forms(database) == 1
    service.resume_interrupted()
    (told,) = logged
    assert (told["event"], told["log_level"]) == ("node-name-of-other-form", "error")
    assert (told["holding_id"], told["name"]) == ("79ACF82E9ED8", "O=Acme\\, Inc, L=London, C=GB")


def test_a_node_of_an_unreadable_name_hides_no_other(start, later, tmp_path):
    service = start()
    for number in range(5):
        service.create(short(cpi()), f"O=Node {number}, L=London, C=GB")
    later.run()
    with Database.open(tmp_path / "cluster.sqlite", [SCHEMA]) as database:
        database.transact(
            lambda connection: connection.exec_driver_sql(
                "UPDATE virtual_node SET x500_name = 'O=A=\\\\, L=London, C=GB'"
                " WHERE x500_name LIKE '%Node 2%' OR x500_name LIKE '%Node 3%'"
            )
        )
        assert warn_of_other_forms(database) == 2
    readable = {node.holding.x500_name.organization for node in service.all()}
    assert readable == {"Node 0", "Node 1", "Node 4"}
    for limit in (1, 2, 3):
        page, before = [], None
        while found := service.newest(limit, before):
            page += [node.holding.x500_name.organization for node in found]
            before = found[-1].created_at, found[-1].holding.short_hash
        assert sorted(page) == sorted(readable)


def _made(service, later):
    request_id = service.create(short(cpi()), ALICE)
    later.run()
    return service.operation(request_id).resource_id


class _Asked:
    """Tells where nodes are, and whether that was asked within a transaction."""

    def __init__(self, service):
        self.service, self.within, self.found = service, [], Place.HERE

    def place(self, _node):
        self.within.append(self.service._database._writer is not None)
        return self.found


def test_whether_a_node_is_here_is_asked_in_the_transaction_that_changes_it(start, later):
    service = start()
    node = _made(service, later)
    asked = service._locations = _Asked(service)
    service.set_state(node, "PAUSED")
    asked.found = Place.EXPORTED
    with pytest.raises(NodeElsewhereError):
        service.set_state(node, "ACTIVE")
    assert service.get(node).is_paused
    assert asked.within
    assert all(asked.within)


def test_a_node_leaves_paused_and_alone(start, later):
    service = start()
    node = _made(service, later)

    def leave():
        service._database.transact(service.leaving(node))

    leave()
    assert service.get(node).is_paused
    service.set_state(node, "ACTIVE")
    row = {
        "request_id": "r",
        "operation": "REHEARSE_VIRTUAL_NODE_UPGRADE",
        "status": "ACCEPTED",
        "resource_id": node,
        "cpi_checksum": "c",
        "x500_name": "n",
        "group_id": "g",
        "updated_at": 1,
    }
    service._database.transact(lambda c: c.execute(OPERATION.insert(), row))
    with pytest.raises(OperationInProgressError):
        leave()
    assert not service.get(node).is_paused
