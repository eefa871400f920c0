"""What a finality leaves undecided is repaired by flows of the platform, on the flow engine."""

import pytest

from host.domain.errors import StorageError
from host.ledger.vault import transactions
from host.ports.keys import KeyCategory
from tests.notary.conftest import ALICE
from tests.notary.test_notary_finality import BOB, coins, coins_code, network, nodes, pay

__all__ = ["coins_code", "network", "nodes"]
MINUTE, DAY = 60_000, 86_400_000


@pytest.fixture
def unanswered(network, monkeypatch):
    """The notary decides, and cannot sign what it has decided."""
    keys = network.parts.keys
    sign = keys.sign
    away = [True]

    def sign_or_fail(tenant, key, data, spec, categories=None):
        if categories == (KeyCategory.NOTARY,) and away:
            raise StorageError("the key store is away")
        return sign(tenant, key, data, spec, categories)

    monkeypatch.setattr(keys, "sign", sign_or_fail)
    return away


def statuses(network, node):
    with network.parts.vaults.read(network.node(node).holding.short_hash) as connection:
        found = transactions.list_page(
            connection, limit=100, beyond=None, newest_first=False, statuses=tuple("UVID")
        )
        return [transactions.state_of(connection, each)[0].value for _, each in found]


def test_a_decision_that_nobody_heard_is_heard_by_the_repair(network, nodes, unanswered):
    alice, bob, _ = nodes
    unanswered.clear()
    coin = pay(alice)
    unanswered.append(True)
    assert pay(alice, coin=coin, to=BOB).startswith("finality-undecided")
    assert "U" in statuses(network, BOB)  # beside it, the backchain if the notary requires one
    assert (coins(alice), coins(bob)) == ([5], [])
    unanswered.clear()
    network.advance(2 * 60 * MINUTE)
    assert (coins(alice), coins(bob)) == ([], [5])
    assert set(statuses(network, ALICE)) == set(statuses(network, BOB)) == {"V"}
    assert network.parts.store.scan("later/") == []


def test_what_the_notary_never_saw_is_dead_when_its_window_has_passed(network, nodes, monkeypatch):
    alice, bob, _ = nodes
    coin = pay(alice)

    def fail(node, work):
        raise StorageError("the disk is away")

    with monkeypatch.context() as away:
        away.setattr(network.parts.notary_databases, "transact", fail)
        assert pay(alice, coin=coin, to=BOB).startswith("finality-undecided")
    network.advance(2 * DAY)
    assert sorted(statuses(network, ALICE)) == ["I", "V"]
    assert "I" in statuses(network, BOB)
    assert (coins(alice), coins(bob)) == ([5], [])
    assert network.parts.store.scan("later/") == []
    # The coin can be spent by another transaction.
    assert pay(alice, coin=coin, to=BOB).startswith("SHA-256D:")


def test_repairs_are_no_flows_of_clients(network, nodes, unanswered):
    alice, _, _ = nodes
    before = len(alice.flows)
    assert pay(alice).startswith("finality-undecided")
    network.advance(DAY)
    assert len([f for f in alice.flows[before:] if "cordbox:" not in f.flow_class]) == 1
