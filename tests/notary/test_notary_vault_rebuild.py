"""Rebuilds of vaults by flows of the platform, on the flow engine."""

import json

import pytest
from sqlalchemy import delete

from host.domain.capability_error import CapabilityError
from host.domain.errors import NotAllowedError, NotFoundError
from host.domain.ids import EpochMs
from host.flow.engine.system_starts import SystemStarts
from host.ledger.functions import vault_rebuild as functions
from host.ledger.protocols import vault_rebuild
from host.ledger.rebuilds import VaultRebuilds
from host.ledger.vault import rebuilds
from host.ledger.vault.tables import OUTPUT
from host.ports.glances import GlanceQuery
from tests.notary.conftest import ALICE
from tests.notary.test_notary_finality import coins, coins_code, network, nodes, pay

__all__ = ["coins_code", "network", "nodes"]
HOUR = 60 * 60_000
pytestmark = pytest.mark.parametrize("nodes", ["non-validating"], indirect=True)


@pytest.fixture
def node(network, nodes, monkeypatch):
    """A node with three coins, whose vault has lost sight of them; one transaction a flow."""
    monkeypatch.setattr(vault_rebuild, "STEPS_MAX", 1)
    monkeypatch.setattr(functions, "STEP_TRANSACTIONS", 1)
    alice = nodes[0]
    for amount in (1, 2, 3):
        pay(alice, amount)
    assert coins(alice) == [1, 2, 3]
    network.parts.vaults.transact(alice.holding.short_hash, lambda c: c.execute(delete(OUTPUT)))
    assert coins(alice) == []
    return alice


def service(network):
    """As REST has it."""
    parts = network.parts
    starts = SystemStarts(
        units=parts.store, clock=parts.store.time, entropy=parts.base.entropy, quotas=parts.quotas
    )
    return VaultRebuilds(
        vaults=parts.vaults, starts=starts, clock=parts.store.time, entropy=parts.base.entropy
    )


def start(network):
    node = network.node(ALICE).holding.short_hash
    return service(network).start(network.parts.nodes.get(node))


def told(network, rebuild):
    """How far it is."""
    found = service(network).find(network.node(ALICE).holding.short_hash, rebuild)
    is_over = found.ended_at is not None
    return found.transactions, found.total, found.changed, found.failed, is_over


def ended(network):
    """Status, and transactions that are done, of the flows of rebuilds, the oldest first."""
    service = network.flows.service
    query = GlanceQuery(node=network.node(ALICE).holding.short_hash)
    found = [service.glanced(glance) for glance in service.page(query, 100)]
    return [
        (each.status.value, each.result and json.loads(each.result)["transactions"])
        for each in reversed(found)
        if each.flow_class == "cordbox:vault-rebuild"
    ]


def test_a_vault_is_rebuilt_by_flows_that_follow_each_other(network, node):
    assert start(network)
    network.run()
    network.advance(1_000)
    assert coins(node) == [1, 2, 3]
    assert ended(network) == [("COMPLETED", count) for count in (1, 2, 3, 3)]
    assert network.parts.store.scan("later/") == []


def test_a_rebuild_that_fails_goes_on_later(network, node, monkeypatch):
    with monkeypatch.context() as broken:

        def fail(*_):
            raise CapabilityError("vault-full", "no room")

        broken.setattr(functions, "replace_outputs", fail)
        start(network)
        network.run()
        assert (coins(node), ended(network)) == ([], [("FAILED", None)])
        assert len(network.parts.store.scan("later/")) == 1
    network.advance(2 * HOUR)
    assert coins(node) == [1, 2, 3]
    assert network.parts.store.scan("later/") == []


def test_a_rebuild_tells_how_far_it_is(network, node, monkeypatch):
    """Also while it waits after a failure, and of one that could not be started."""
    hash_of_node = node.holding.short_hash
    assert service(network).newest(hash_of_node) == []
    first = start(network)
    assert told(network, first) == (0, 3, 0, 0, False)
    network.run()
    network.advance(1_000)
    assert told(network, first) == (3, 3, 3, 0, True)
    with monkeypatch.context() as broken:
        replace, left = functions.replace_outputs, [None]

        def once(*given):
            if not left:
                raise CapabilityError("vault-full", "no room")
            left.pop()
            return replace(*given)

        broken.setattr(functions, "replace_outputs", once)
        second = start(network)
        network.run()
        network.advance(1_000)
        assert told(network, second) == (1, 3, 0, 0, False)
    network.advance(2 * HOUR)
    assert told(network, second) == (3, 3, 0, 0, True)
    with monkeypatch.context() as refusing:

        def refuse(*_):
            raise NotAllowedError("not operational")

        refusing.setattr(SystemStarts, "start", refuse)
        with pytest.raises(NotAllowedError):
            start(network)
    assert [each.rebuild for each in service(network).newest(hash_of_node)] == [second, first]
    with pytest.raises(NotFoundError, match="has no rebuild x of its vault"):
        service(network).find(hash_of_node, "x")


def test_only_the_last_rebuilds_are_remembered(network, node):
    def many(connection):
        for number in range(rebuilds.KEPT_MAX + 5):
            rebuilds.begin(connection, f"r{number}", until=0, now=EpochMs(number))

    network.parts.vaults.transact(node.holding.short_hash, many)
    kept = [each.rebuild for each in service(network).newest(node.holding.short_hash)]
    assert (len(kept), kept[0], kept[-1]) == (rebuilds.KEPT_MAX, "r104", "r5")
