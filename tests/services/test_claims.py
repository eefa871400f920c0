"""Work that takes long is claimed: one process has it, and another one ends what a dead one left."""

from types import SimpleNamespace

import pytest

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.database.claims import CLAIM_MS, Claimant
from host.domain.ids import short_hash_of
from host.domain.vnode import AsyncStatus
from host.entities import SCHEMA as PERSISTENCE
from host.entities import VaultSchemas
from host.entities.entity_types import EntityTypes
from host.keys import SCHEMA as KEYS
from host.keys import SoftKeyStore
from host.network.membership import SCHEMA as MEMBERSHIP
from host.network.membership import MembershipService
from host.network.membership.registration import RegistrationStatus
from host.nodes.vnode import SCHEMA as NODES
from host.nodes.vnode import VirtualNodeService
from host.nodes.vnode.errors import VirtualNodeExistsError
from host.ports.keys import KeyCategory, RotationStatus
from host.ports.live import Fixed
from host.runtime.wiring.process_parts import ProcessParts
from host.vault.idempotency import REQUESTS
from tests.services.support import ALICE, CountingEntropy, MemoryMasterKeys, cpi, holding
from tests.services.test_virtual_nodes import ALLOWED, Later, StoredPackages
from tests.support.hosts import settings_of


@pytest.fixture
def database(tmp_path):
    schemas = [NODES, MEMBERSHIP, KEYS]
    with Database.open(tmp_path / "cluster.sqlite", schemas) as database:
        yield database


class Process:
    """A process that works on operations, when its test says so."""

    def __init__(self, start, place, run):
        self.later = Later()
        self.service = start(Claimant(place=place, run=run), self.later)

    def create(self):
        return self.service.create(short_hash_of(cpi().file_checksum), ALICE)


@pytest.fixture
def start(tmp_path, database, clock, entropy):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, PERSISTENCE])

    def service(claimant, later):
        return VirtualNodeService(
            database=database,
            schemas=VaultSchemas(vaults, EntityTypes(), clock),
            packages=StoredPackages(cpi()),
            clock=clock,
            entropy=entropy,
            claimant=claimant,
            background=later.submit,
            allowed_capabilities=Fixed(ALLOWED),
        )

    yield lambda place, run="1": Process(service, place, run)
    vaults.close()


def test_a_node_whose_creator_died_is_created_by_another_process_after_thirty_seconds(start, clock):
    dead, other = start("rest-0"), start("rest-1")
    request_id = dead.create()
    assert other.service.resume_interrupted() == 0
    clock.advance(CLAIM_MS)
    assert other.service.renew() == 0
    clock.advance(1)
    assert other.service.renew() == 1
    assert other.service.renew() == 0
    other.later.run()
    assert other.service.operation(request_id).status is AsyncStatus.SUCCEEDED
    assert other.service.find(holding(ALICE)) is not None


def test_a_process_that_was_merely_slow_does_not_end_what_another_took_over(start, clock):
    slow, other = start("rest-0"), start("rest-1")
    request_id = slow.create()
    clock.advance(CLAIM_MS + 1)
    assert other.service.renew() == 1
    slow.later.run()
    assert other.service.operation(request_id).status is AsyncStatus.ACCEPTED
    assert other.service.find(holding(ALICE)) is None
    other.later.run()
    assert other.service.operation(request_id).status is AsyncStatus.SUCCEEDED


def test_a_claim_that_is_renewed_stays(start, clock):
    busy, other = start("rest-0"), start("rest-1")
    request_id = busy.create()
    for _ in range(4):
        clock.advance(CLAIM_MS - 1)
        assert (busy.service.renew(), other.service.renew()) == (0, 0)
    busy.later.run()
    assert busy.service.operation(request_id).status is AsyncStatus.SUCCEEDED


def test_a_process_that_starts_again_takes_up_its_own_at_once(start):
    start("rest-0").create()
    assert start("rest-1").service.resume_interrupted() == 0
    again = start("rest-0", run="2")
    assert again.service.resume_interrupted() == 1
    again.later.run()
    assert again.service.find(holding(ALICE)) is not None


def test_workers_of_one_name_on_two_hosts_have_different_places(tmp_path):
    """Else a host that starts would take over what the other one is doing."""
    parts = [
        ProcessParts(
            SimpleNamespace(
                settings=settings_of(tmp_path, host_name=name),
                cluster=None,
                entropy=CountingEntropy(),
            )
        )
        for name in ("one", "two")
    ]
    assert [each.claimant.place for each in parts] == ["one/combined", "two/combined"]


def test_of_two_creations_of_one_node_the_constraint_lets_one(start):
    one, other = start("rest-0"), start("rest-1")
    one.create()
    with pytest.raises(VirtualNodeExistsError, match="is being created"):
        other.create()
    one.later.run()
    with pytest.raises(VirtualNodeExistsError, match="already exists"):
        other.create()


class Dying:
    """Virtual nodes whose process dies when a registration asks for its node a second time."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.lives = 2

    def get(self, short_hash):
        self.lives -= 1
        if self.lives < 0:
            raise KeyboardInterrupt
        return self.nodes.get(short_hash)


def test_a_registration_whose_process_died_is_decided_by_another(start, database, clock, entropy):
    process = start("rest-0")
    process.create()
    process.later.run()
    node = holding(ALICE).short_hash

    def registrations(nodes, place):
        return MembershipService(
            database=database,
            virtual_nodes=nodes,
            packages=StoredPackages(cpi()),
            keys=None,
            public_keys=None,
            clock=clock,
            entropy=entropy,
            claimant=Claimant(place=place, run="1"),
        )

    dying = Dying(process.service)
    dead = registrations(dying, "membership-0")
    other = registrations(process.service, "membership-1")
    dying.lives = 1
    with pytest.raises(KeyboardInterrupt):
        dead.register(node, {})
    (request,) = other.requests(node)
    assert request.status is RegistrationStatus.NEW
    assert other.renew() == 0
    clock.advance(CLAIM_MS + 1)
    assert other.renew() == 1
    (request,) = other.requests(node)
    assert request.status is RegistrationStatus.INVALID


def test_a_rotation_that_nobody_drives_is_ended_by_whoever_holds_the_keys(database, clock, entropy):
    masters = MemoryMasterKeys()
    one, other = (
        SoftKeyStore(database, masters=masters, clock=clock, entropy=entropy, keys_at_once=1)
        for _ in range(2)
    )
    tenant = holding(ALICE).short_hash
    for alias in ("a", "b"):
        one.create(tenant, KeyCategory.LEDGER, alias, "CORDA.ECDSA.SECP256R1")
    one.start_rotation(tenant)
    one.rotate_some(tenant)
    clock.advance(CLAIM_MS)
    assert other.take_over_rotations() == 0
    one.rotate_some(tenant)
    clock.advance(CLAIM_MS)
    assert other.take_over_rotations() == 0
    clock.advance(1)
    assert other.take_over_rotations() == 1
    assert other.rotation(tenant).status is RotationStatus.DONE
    assert other.take_over_rotations() == 0
