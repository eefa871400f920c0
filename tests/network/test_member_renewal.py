"""A member whose node got another CPI registers again by itself."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from host.network.membership.member_registrations import note_upgraded
from host.network.membership.network_registrations import registrations_where
from host.network.membership.network_tables import NETWORK_REGISTRATION, UPGRADED_NODE
from host.network.membership.registration import RegistrationStatus
from host.network.values import contexts
from host.ports.keys import KeyCategory, KeyQuery
from tests.network.dynamic_networks import MGM, Network, identity, member_name

ALICE = member_name(0)


@pytest.fixture
def network(tmp_path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


def _upgrade(network: Network, name: str, version: str) -> None:
    """What an upgrade's transaction does to the tables of membership."""
    place, short_hash = network.places[name], identity(name).short_hash
    node = place.nodes.nodes[short_hash]
    record = place.nodes.cpis[node.cpi_checksum]
    newer = replace(record.identity, version=version)
    place.nodes.cpis[node.cpi_checksum] = replace(record, identity=newer)
    place.database.transact(lambda connection: note_upgraded(connection, short_hash))


def _listed(network: Network, name: str, viewer: str = MGM) -> tuple[str, str | None, str]:
    """Serial, version of the CPI and status of a member, as another one sees it."""
    place = network.places[viewer]
    viewed = place.viewers.of(identity(viewer))
    assert viewed is not None
    with place.database.read() as connection:
        found = viewed.member(connection, name)
    assert found is not None
    return (
        found.mgm[contexts.SERIAL],
        found.member.get(contexts.CPI_VERSION),
        found.member["ext.sample"],
    )


def _requests(network: Network, name: str) -> list[RegistrationStatus]:
    with network.places[name].database.read() as connection:
        where = NETWORK_REGISTRATION.c.side == "member", NETWORK_REGISTRATION.c.name == name
        found = registrations_where(connection, *where)
    return [each.status for each in sorted(found, key=lambda each: each.sent_at)]


def _noted(network: Network, name: str) -> int:
    with network.places[name].database.read() as connection:
        return len(connection.execute(select(UPGRADED_NODE)).all())


def test_the_list_tells_the_new_version_with_what_the_member_told_before(network):
    network.join(ALICE, 1, **{"ext.sample": "apple"})
    network.settle()
    network.clock.advance(1_000)
    _upgrade(network, ALICE, "2.0")
    network.settle()
    assert _listed(network, ALICE) == _listed(network, ALICE, ALICE) == ("2", "2.0", "apple")
    assert _requests(network, ALICE) == [RegistrationStatus.APPROVED] * 2
    assert _noted(network, ALICE) == 0
    network.settle()
    assert len(_requests(network, ALICE)) == 2, "once"


@pytest.mark.parametrize("seed", range(3))
def test_processes_that_end_on_the_way_do_not_prevent_it(tmp_path, seed):
    network = Network(tmp_path, seed=seed)
    network.join(ALICE, 1, **{"ext.sample": "apple"})
    network.settle()
    _upgrade(network, ALICE, "2.0")
    network.settle(ends_per_run=4)
    network.clock.advance(int(timedelta(hours=1).total_seconds() * 1000))
    network.settle()
    assert _listed(network, ALICE) == ("2", "2.0", "apple")
    network.close()


def test_an_upgrade_that_changes_nothing_of_it_asks_for_nothing(network):
    network.join(ALICE, 1, **{"ext.sample": "apple"})
    network.settle()
    version = _listed(network, ALICE)[1]
    assert version is not None
    _upgrade(network, ALICE, version)
    network.settle()
    assert len(_requests(network, ALICE)) == 1
    assert _noted(network, ALICE) == 0


def test_a_node_that_is_no_member_yet_asks_for_nothing(network):
    network.join(ALICE, 1, **{"ext.sample": "apple"})
    network.settle()
    place = network.mgm
    place.database.transact(lambda c: note_upgraded(c, network.mgm_hash))
    network.settle()
    assert _noted(network, MGM) == 0
    other = member_name(7)
    network.places[other] = place
    place.nodes.add(identity(other), network.policy)
    place.database.transact(lambda c: note_upgraded(c, identity(other).short_hash))
    network.settle()
    assert _requests(network, other) == []
    assert _noted(network, other) == 0


def test_an_operator_who_registers_meanwhile_is_enough(network):
    network.join(ALICE, 1, **{"ext.sample": "apple"})
    network.settle()
    _upgrade(network, ALICE, "2.0")
    network.clock.advance(1_000)
    place, short_hash = network.places[ALICE], identity(ALICE).short_hash
    keys = {
        each: place.keys.query(short_hash, KeyQuery(category=each))[0].key_id
        for each in (KeyCategory.SESSION_INIT, KeyCategory.LEDGER)
    }
    place.key = lambda _tenant, category: keys[category]  # type: ignore[method-assign]
    network.register(ALICE, place.context(short_hash, **{"ext.sample": "pear"}))
    network.settle()
    assert _listed(network, ALICE) == ("2", "2.0", "pear")
    assert len(_requests(network, ALICE)) == 2
