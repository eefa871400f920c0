"""A virtual node gets another version of its CPI, with its entities."""

from dataclasses import replace

import pytest

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.domain.errors import NotFoundError
from host.domain.ids import short_hash_of
from host.domain.vnode import AsyncStatus
from host.entities import SCHEMA as PERSISTENCE
from host.entities import EntityTypes, VaultSchemas
from host.nodes.vnode import SCHEMA, MadeVaults, VirtualNodeService
from host.nodes.vnode.errors import (
    CpiUpgradeInvalidError,
    CpiUpgradeSameError,
    OperationInProgressError,
    VirtualNodeNotInMaintenanceError,
)
from host.ports.live import Fixed
from host.vault.idempotency import REQUESTS
from tests.services.support import ALICE, BOB, CLAIMANT, checksum, holding
from tests.services.test_entity_queries import cpi_of
from tests.services.test_entity_schemas import V1, V2, V3, Fish, indexes
from tests.services.test_virtual_nodes import ALLOWED, Later, StoredPackages

NODE = holding(ALICE).short_hash


def version(entity, number, **identity):
    record = cpi_of(entity)
    return replace(
        record,
        identity=replace(record.identity, version=number, **identity),
        file_checksum=checksum(f"{number} {identity}"),
    )


OLD, NEW = version(V1, "1"), version(V3, "2")
BAD = version(replace(V2, migrations=({"version": 2, "steps": []},)), "bad")
OTHER_NAME = version(V2, "3", name="other")
OTHER_SIGNER = version(V2, "3", signer_summary_hash=checksum("mallory"))
OTHER_GROUP = replace(version(V2, "4"), group_id="other", file_checksum=checksum("group"))


def short(record):
    return short_hash_of(record.file_checksum)


class Nodes:
    """One node, ALICE, at OLD, with a fish."""

    def __init__(self, folder, clock, entropy):
        self.later = Later()
        self.database = Database.open(folder / "cluster.sqlite", [SCHEMA])
        register = MadeVaults(database=self.database, clock=clock)
        self.vaults = Vaults(folder / "vnodes", [REQUESTS, PERSISTENCE], register=register)
        self.clock, self.entropy = clock, entropy
        self.told = []
        self.service = self.started()
        self.service.create(short(OLD), ALICE)
        self.later.run()
        Fish(self.vaults, V1).write("persist", "a", {"id": "a", "colour": "red"})
        self.service.set_state(NODE, "MAINTENANCE")

    def started(self):
        packages = StoredPackages(OLD, NEW, BAD, OTHER_NAME, OTHER_SIGNER, OTHER_GROUP)
        return VirtualNodeService(
            database=self.database,
            schemas=VaultSchemas(self.vaults, EntityTypes(), self.clock),
            packages=packages,
            clock=self.clock,
            entropy=self.entropy,
            claimant=CLAIMANT,
            background=self.later.submit,
            allowed_capabilities=Fixed(ALLOWED),
            upgraded=lambda _connection, node: self.told.append(node),
        )

    def fish(self, entity):
        return Fish(self.vaults, entity, flow="later").all()


@pytest.fixture
def nodes(tmp_path, clock, entropy):
    nodes = Nodes(tmp_path, clock, entropy)
    yield nodes
    nodes.vaults.close()
    nodes.database.close()


def test_an_upgrade_migrates_the_entities_and_then_changes_the_cpi(nodes):
    request = nodes.service.upgrade(NODE, short(NEW))
    assert nodes.service.get(NODE).cpi_checksum == OLD.file_checksum
    nodes.later.run()
    assert nodes.service.operation(request).status is AsyncStatus.SUCCEEDED
    assert nodes.service.get(NODE).cpi_checksum == NEW.file_checksum
    assert indexes(nodes.vaults) == 1
    assert nodes.fish(V3) == [{"id": "a", "finCount": 7}]
    assert set(nodes.told) == {NODE}, "in the transaction, which may run again"


def test_a_bad_migration_leaves_node_and_entities_and_tells_the_operator(nodes):
    request = nodes.service.upgrade(NODE, short(BAD))
    nodes.later.run()
    failed = nodes.service.operation(request)
    assert failed.status is AsyncStatus.FAILED
    assert "pets.Fish 'a' does not fit version 2" in failed.error_reason
    assert nodes.service.get(NODE).cpi_checksum == OLD.file_checksum
    assert nodes.fish(V1) == [{"id": "a", "colour": "red"}]
    assert nodes.told == []


def test_an_upgrade_that_a_crash_interrupts_is_taken_up_again(nodes):
    request = nodes.service.upgrade(NODE, short(NEW))
    nodes.later.waiting.clear()
    VaultSchemas(nodes.vaults, EntityTypes(), nodes.clock).apply(NODE, NEW)
    restarted = nodes.started()
    assert restarted.resume_interrupted() == 1
    nodes.later.run()
    assert restarted.operation(request).status is AsyncStatus.SUCCEEDED
    assert nodes.fish(V3) == [{"id": "a", "finCount": 7}]


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        (OLD, CpiUpgradeSameError),
        (OTHER_NAME, CpiUpgradeInvalidError),
        (OTHER_SIGNER, CpiUpgradeInvalidError),
        (OTHER_GROUP, CpiUpgradeInvalidError),
        (version(V1, "unknown"), NotFoundError),
    ],
)
def test_upgrades_that_are_none_are_refused(nodes, target, refusal):
    with pytest.raises(refusal):
        nodes.service.upgrade(NODE, short(target))
    assert nodes.later.waiting == []


def test_an_active_or_unknown_node_is_not_upgraded(nodes):
    with pytest.raises(NotFoundError):
        nodes.service.upgrade(holding(BOB).short_hash, short(NEW))
    nodes.service.set_state(NODE, "ACTIVE")
    with pytest.raises(VirtualNodeNotInMaintenanceError):
        nodes.service.upgrade(NODE, short(NEW))
    with pytest.raises(VirtualNodeNotInMaintenanceError):
        nodes.service.force_resync(NODE)


def test_a_node_that_became_active_meanwhile_is_not_upgraded(nodes):
    request = nodes.service.upgrade(NODE, short(NEW))
    nodes.service.set_state(NODE, "ACTIVE")
    nodes.later.run()
    assert nodes.service.operation(request).status is AsyncStatus.FAILED
    assert nodes.fish(V1) == [{"id": "a", "colour": "red"}]


def test_one_upgrade_at_a_time_unless_forced(nodes):
    nodes.service.upgrade(NODE, short(NEW))
    with pytest.raises(OperationInProgressError):
        nodes.service.upgrade(NODE, short(NEW))
    nodes.service.upgrade(NODE, short(NEW), force=True)
    nodes.later.run()
    assert nodes.service.get(NODE).cpi_checksum == NEW.file_checksum


def test_a_resync_forgets_the_entities_of_the_node(nodes):
    nodes.service.force_resync(NODE)
    assert nodes.fish(V1) == []
