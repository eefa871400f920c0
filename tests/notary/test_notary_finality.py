"""Finality with a notary that is shipped: spent once, at all parties, also where answers are lost."""

from pathlib import Path

import pytest
from sqlalchemy import delete, update

from host.domain.errors import OutageError, StorageError
from host.ledger.core.statuses import Status
from host.ledger.vault import transactions
from host.ledger.vault.tables import CONSUMPTION, OUTPUT
from host.ports.keys import KeyCategory
from host.tools.cordapps.project import load_project
from host.tools.testkit.code import native_code
from host.tools.testkit.network import Network
from tests.notary.conftest import ALICE
from tests.notary.requests import NODE, SERVICE

COINS = Path(__file__).parent / "coins"
BOB, CAROL = "O=Bob, L=London, C=GB", "O=Carol, L=London, C=GB"


@pytest.fixture(scope="module")
def coins_code():
    return native_code(load_project(COINS))


@pytest.fixture
def network(coins_code):
    with Network(coins_code) as network:
        yield network


@pytest.fixture(params=["non-validating", "contract-verifying"])
def nodes(request, network):
    network.notary(NODE, service=SERVICE, protocol=request.param)
    return [network.node(name) for name in (ALICE, BOB, CAROL)]


def pay(node, amount=5, **payment):
    return node.start("coins_flows.PayCoin", {"notary": SERVICE, "amount": amount, **payment})


def coins(node):
    return node.start("coins_flows.Coins", None)


def test_a_coin_is_issued_moved_and_moved_on(nodes):
    alice, bob, carol = nodes
    coin = pay(alice)
    assert coins(alice) == [5]
    coin = pay(alice, coin=coin, to=BOB)
    assert (coins(alice), coins(bob)) == ([], [5])
    coin = pay(bob, coin=coin, to=CAROL)
    assert (coins(alice), coins(bob), coins(carol)) == ([], [], [5])


@pytest.mark.parametrize("how", ["plain", "backchain"])
def test_a_final_transaction_is_sent_to_a_member_that_is_no_party(network, nodes, how):
    alice, bob, carol = nodes
    moved = pay(alice, coin=pay(alice), to=BOB).rpartition(":")[0]
    # Bob has what was shown to him of the issue; where notaries verify contracts, not the whole.
    sender = alice if how == "backchain" else bob
    assert send(sender, moved, how) == moved
    with network.parts.vaults.read(carol.holding.short_hash) as connection:
        assert transactions.state_of(connection, moved) == (Status.VERIFIED, None)
    assert coins(carol) == []


def test_a_transaction_is_shown_with_its_states_to_a_member_that_is_no_party(nodes):
    alice, bob, carol = nodes
    moved = pay(alice, coin=pay(alice), to=BOB).rpartition(":")[0]
    assert send(bob, moved, "seen") == f"{moved}: [5] to [5]"
    assert send(carol, moved, "seen", to=ALICE) == "unknown"


@pytest.mark.parametrize("nodes", ["non-validating"], indirect=True)
def test_a_flow_asks_for_transactions_states_and_proofs_in_every_way(nodes):
    alice, *_ = nodes
    pay(alice, amount=3)
    moved = pay(alice, coin=pay(alice, amount=5), amount=5).rpartition(":")[0]
    assert alice.start("coins_flows.LookAt", moved) == [
        "[5]",
        "['V', 'D', None]",
        "True",
        f"True {SERVICE} 1",
        "5 None",
        "[True]",
        "1 2",
    ]
    assert alice.start("coins_flows.LookAt", "SHA-256D:" + "0" * 64) == ["none"]


def send(node, transaction, how, to=CAROL):
    return node.start("coins_flows.SendCoin", {"transaction": transaction, "to": to, "how": how})


def test_a_state_that_is_spent_is_not_spent_again_by_a_vault_that_does_not_know(network, nodes):
    """Bob's vault is told that his coin is unspent: only the notary knows better."""
    _, bob, _ = nodes
    coin = pay(bob)
    first = pay(bob, coin=coin, to=ALICE)
    forget_consumption(network, bob)
    refused = pay(bob, coin=coin, to=CAROL)
    transaction = first.rpartition(":")[0]
    assert refused.startswith("notary-input-state-conflict: Unable to notarize transaction ")
    assert "Input State Conflict" in refused
    assert transaction in refused


def forget_consumption(network, node):
    def work(connection):
        connection.execute(delete(CONSUMPTION))
        connection.execute(update(OUTPUT).values(consumed_at=None))

    network.parts.vaults.transact(node.holding.short_hash, work)


def test_a_window_that_has_passed_is_refused_with_cordas_words(network, nodes, monkeypatch):
    alice, *_ = nodes
    service = network.parts.uniqueness
    decide = service.check

    def late(node, request):
        network.parts.base.clock.advance(21_000)
        return decide(node, request)

    monkeypatch.setattr(service, "check", late)
    refused = pay(alice, seconds=20)
    assert refused.startswith("notary-time-window-out-of-bounds: Unable to notarize transaction")
    assert "Time Window Out Of Bounds" in refused
    assert coins(alice) == []


def test_an_answer_that_is_lost_after_the_commit_is_asked_for_again(network, nodes, monkeypatch):
    """The decision is durable, the signature fails once: the client's second question gets it."""
    alice, bob, _ = nodes
    coin = pay(alice)
    keys = network.parts.keys
    sign = keys.sign
    failures = [StorageError("the key store is away")]

    def sign_or_fail(tenant, key, data, spec, categories=None):
        if categories == (KeyCategory.NOTARY,) and failures:
            raise failures.pop()
        return sign(tenant, key, data, spec, categories)

    monkeypatch.setattr(keys, "sign", sign_or_fail)
    moved = pay(alice, coin=coin, to=BOB)
    assert failures == []
    assert moved.startswith("SHA-256D:")
    assert (coins(alice), coins(bob)) == ([], [5])


def test_a_notary_that_cannot_decide_is_asked_until_it_can(network, nodes, monkeypatch):
    alice, bob, _ = nodes
    coin = pay(alice)
    databases = network.parts.notary_databases
    transact = databases.transact
    failures = [StorageError("the disk is away") for _ in range(3)]

    def fail(node, work):
        if failures:
            raise failures.pop()
        return transact(node, work)

    monkeypatch.setattr(databases, "transact", fail)
    moved = pay(alice, coin=coin, to=BOB)
    assert (failures, coins(bob)) == ([], [5])
    assert moved.startswith("SHA-256D:")


def test_a_notary_that_stays_away_leaves_the_coin_undecided(network, nodes, monkeypatch):
    alice, bob, _ = nodes
    coin = pay(alice)

    def fail(node, work):
        raise StorageError("the disk is away")

    with monkeypatch.context() as away:
        away.setattr(network.parts.notary_databases, "transact", fail)
        refused = pay(alice, coin=coin, to=BOB)
    assert refused.startswith("finality-undecided")
    assert (coins(alice), coins(bob)) == ([5], [])


@pytest.mark.parametrize("nodes", ["non-validating"], indirect=True)
def test_a_notary_that_does_not_answer_in_time_is_asked_again(network, nodes, monkeypatch):
    """Its node waits for a part of its host for as long as that is away."""
    alice, bob, _ = nodes
    coin = pay(alice)
    sign, since = network.parts.keys.sign, network.parts.base.clock.now_ms()

    def sign_after(tenant, key, data, spec, categories=None):
        is_away = network.parts.base.clock.now_ms() < since + 100_000
        if is_away and categories == (KeyCategory.NOTARY,):
            raise OutageError("the worker of keys is away")
        return sign(tenant, key, data, spec, categories)

    monkeypatch.setattr(network.parts.keys, "sign", sign_after)
    assert pay(alice, coin=coin, to=BOB).startswith("SHA-256D:")
    assert (coins(alice), coins(bob)) == ([], [5])


def test_of_two_flows_that_spend_a_coin_at_once_one_is_notarised(network, nodes, monkeypatch):
    """Neither vault nor flow knows of the other's payment when it is built."""
    alice, bob, carol = nodes
    moved = []
    for _ in range(10):
        coin = pay(alice)
        payments = [{"notary": SERVICE, "amount": 5, "coin": coin, "to": to} for to in (BOB, CAROL)]
        with monkeypatch.context() as together:
            together.setattr(network, "drain", lambda: None)
            begun = [alice.begin("coins_flows.PayCoin", payment) for payment in payments]
        network.run()
        results = [alice.flow(each).result for each in begun]
        accepted = [each for each in results if each.startswith("SHA-256D:")]
        (refused,) = [each for each in results if each not in accepted]
        assert refused.startswith(("notary-input-state-conflict: ", "state-consumed: "))
        moved += accepted
    assert len(moved) == 10
    assert coins(alice) == []
    assert len(coins(bob)) + len(coins(carol)) == 10


def test_how_often_a_notary_is_asked_is_a_setting(coins_code, monkeypatch):
    with Network(coins_code, settings={"ledger_notary_attempts": 2}) as network:
        network.notary(NODE, service=SERVICE)
        alice = network.node(ALICE)
        asked = []

        def fail(node, work):
            asked.append(node)
            raise StorageError("the disk is away")

        monkeypatch.setattr(network.parts.notary_databases, "transact", fail)
        assert pay(alice).startswith("finality-undecided")
        assert len(asked) == 2
