"""What a finality leaves undecided is repaired by flows of the platform, on the flow engine."""

from dataclasses import replace

import pytest

from host.domain.errors import NotAllowedError, StorageError
from host.domain.vnode import OperationalStatus
from host.flow.engine import programs
from host.flow.engine.system_starts import SystemStarts
from host.ledger.core.statuses import Status
from host.ledger.recorded import RecordedTransactions
from host.ledger.repairs import Repairs
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


@pytest.fixture
def repairs(network):
    """Repairs on request, as REST has them."""
    parts = network.parts
    starts = SystemStarts(
        units=parts.store,
        clock=parts.store.time,
        entropy=parts.base.entropy,
        quotas=parts.quotas,
    )
    return Repairs(RecordedTransactions(parts.vaults), starts)


def undecided(network, node):
    """The identifier of the node's only unverified transaction."""
    with network.parts.vaults.read(network.node(node).holding.short_hash) as connection:
        ((_, found),) = transactions.list_page(
            connection, limit=2, beyond=None, newest_first=True, statuses=("U",)
        )
    return found


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


@pytest.mark.parametrize("nodes", ["non-validating"], indirect=True)
def test_a_notary_whose_step_is_divided_by_a_busy_machine_leaves_the_coin_undecided(
    network, nodes, monkeypatch
):
    """Its retries begin anew then, and last longer than its client's session."""
    alice, bob, _ = nodes
    coin = pay(alice)
    sign, asked = network.parts.keys.sign, []

    def fail(tenant, key, data, spec, categories=None):
        if categories != (KeyCategory.NOTARY,):
            return sign(tenant, key, data, spec, categories)
        asked.append(network.now())
        monkeypatch.setattr(programs, "STEP_MS", -1 if len(asked) == 5 else 200)
        raise StorageError("the key store is away")

    monkeypatch.setattr(network.parts.keys, "sign", fail)
    assert pay(alice, coin=coin, to=BOB).startswith("finality-undecided")
    assert (coins(alice), coins(bob)) == ([5], [])


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


@pytest.mark.parametrize("nodes", ["non-validating"], indirect=True)
def test_a_repair_on_request_does_not_wait_for_its_time(network, nodes, unanswered, repairs):
    alice, bob, _ = nodes
    unanswered.clear()
    coin = pay(alice)
    unanswered.append(True)
    assert pay(alice, coin=coin, to=BOB).startswith("finality-undecided")
    named = undecided(network, BOB)
    for _ in range(2):  # the notary does not answer yet; each request is an attempt
        before = len(network.parts.store.scan("later/"))
        assert repairs.make_due(vnode(network, ALICE), named).is_due
        network.run()
        assert (coins(alice), len(network.parts.store.scan("later/"))) == ([5], before)
    unanswered.clear()
    for name in (ALICE, BOB):
        requested = repairs.make_due(vnode(network, name), named)
        assert (requested.status, requested.is_due) == (Status.UNVERIFIED, True)
    network.run()
    assert (coins(alice), coins(bob)) == ([], [5])
    assert set(statuses(network, ALICE)) == set(statuses(network, BOB)) == {"V"}
    assert network.parts.store.scan("later/") == []
    again = repairs.make_due(vnode(network, ALICE), named)
    assert (again.status, again.is_due) == (Status.VERIFIED, False)
    assert network.parts.store.scan("later/") == []


@pytest.mark.parametrize("nodes", ["non-validating"], indirect=True)
def test_a_repair_that_was_given_up_is_made_on_request(network, nodes, unanswered, repairs):
    alice, bob, _ = nodes
    unanswered.clear()
    coin = pay(alice)
    unanswered.append(True)
    assert pay(alice, coin=coin, to=BOB).startswith("finality-undecided")
    named = undecided(network, BOB)
    network.advance(8 * DAY)
    assert network.parts.store.scan("later/") == []
    assert undecided(network, ALICE) == undecided(network, BOB) == named
    unanswered.clear()
    for name in (ALICE, BOB):
        repairs.make_due(vnode(network, name), named)
    network.run()
    assert (coins(alice), coins(bob)) == ([], [5])
    assert network.parts.store.scan("later/") == []


@pytest.mark.parametrize("nodes", ["non-validating"], indirect=True)
def test_a_node_that_runs_no_flows_repairs_nothing(network, nodes, unanswered, repairs):
    alice, _, _ = nodes
    assert pay(alice).startswith("finality-undecided")
    before = network.parts.store.scan("later/")
    stopped = replace(vnode(network, ALICE), flow_status=OperationalStatus.INACTIVE)
    with pytest.raises(NotAllowedError):
        repairs.make_due(stopped, undecided(network, ALICE))
    assert network.parts.store.scan("later/") == before


def vnode(network, name):
    return network.parts.nodes.get(network.node(name).holding.short_hash)
