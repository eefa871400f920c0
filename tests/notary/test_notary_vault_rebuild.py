"""Rebuilds of vaults by flows of the platform, on the flow engine."""

import json

import pytest
from sqlalchemy import delete

from host.domain.capability_error import CapabilityError
from host.flow.engine.system_starts import SystemStarts
from host.ledger.functions import vault_rebuild as functions
from host.ledger.protocols import vault_rebuild
from host.ledger.rebuilds import VaultRebuilds
from host.ledger.recorded import RecordedTransactions
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


def start(network):
    """As REST does it."""
    parts = network.parts
    starts = SystemStarts(
        units=parts.store, clock=parts.store.time, entropy=parts.base.entropy, quotas=parts.quotas
    )
    rebuilds = VaultRebuilds(RecordedTransactions(parts.vaults), starts, parts.base.entropy)
    return rebuilds.start(parts.nodes.get(network.node(ALICE).holding.short_hash))


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
