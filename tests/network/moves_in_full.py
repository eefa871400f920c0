"""Nodes move between real hosts: notaries and MGMs under load, rival copies, hosts killed meanwhile.

Run by `make prove-moves` alone: not collected by its name. CORDBOX_KILLS says how often hosts are
killed while a node moves, CORDBOX_KILL_SEED when and which; the seed is printed. Each test prints
how long the node stood still.
"""

import os
import random
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pyrage
import pytest

from host.domain.errors import HostError
from host.tools.client.host_client import HostClient
from host.tools.network import moves, moving
from tests.network.test_two_hosts_race import CAROL, CONFLICT, DAVE, NOTARY, join, start
from tests.network.two_hosts import ALICE, BOB, MGM, NetworkHost, TwoHosts

KILLS = int(os.environ.get("CORDBOX_KILLS", "6"))
COINS, BEFORE = 12, 3
PATIENCE_S = 1800
ROUNDS = 10
ERIN = "O=Erin, L=London, C=GB"
pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.fixture
def hosts(tmp_path):
    made = TwoHosts.started(tmp_path)
    yield made
    made.stop()


def client(host):
    """A client of the process that a host is now."""
    ca = Path(host.host.facts["certificate"])
    return HostClient(host.host.url, user="admin", password="given", ca_file=ca)


def token(mgm, name, host):
    where = f"/mgm/{mgm}/preauthtoken"
    return host.asked("POST", where, json={"ownerX500Name": name}).json()["id"]


def place(host, node):
    return host.host.look(f"/maintenance/virtualnode/{node}/location", PATIENCE_S)["place"]


def until_place(host, node, wanted):
    path = f"/maintenance/virtualnode/{node}/location"
    host.host.until(path, lambda found: found["place"] == wanted, PATIENCE_S)


def new_place(host, secret=None):
    return moves.NewPlace(endpoints=(f"https://{host.gateway}",), tls_alias="tls", token=secret)


def move(source, target, node, file, secret=None):
    """Move a node; returns for how long it stood still, and when each stage began."""
    begun, stages = time.monotonic(), dict[str, float]()

    def report(stage, _done, _total):
        stages.setdefault(stage, round(time.monotonic() - begun, 2))

    with client(source) as one, client(target) as other:
        moves.move(one, other, node, file, place=new_place(target, secret), report=report)
    sys.stdout.write(f"{node} stood still for {time.monotonic() - begun:.1f} s: {stages}\n")


@contextmanager
def spending(hosts, coins):
    """Carol and Dave both spend each of some coins, one after the other, while the block runs."""

    def spend():
        for number, coin in coins:
            for host, name in ((hosts.first, CAROL), (hosts.second, DAVE)):
                start(host, name, f"spend-{number}", "Spend", {"coin": coin})
            time.sleep(0.5)

    thread = threading.Thread(target=spend)
    thread.start()
    yield
    thread.join()


def winners(hosts, number):
    ended = {
        name: host.host.result(name, f"spend-{number}", PATIENCE_S)
        for host, name in ((hosts.first, CAROL), (hosts.second, DAVE))
    }
    lost = [each["flowError"]["code"] for each in ended.values() if each["flowError"]]
    assert set(lost) <= {CONFLICT}, ended
    return [name for name, each in ended.items() if each["flowStatus"] == "COMPLETED"]


def test_a_notary_moves_while_members_spend(hosts, tmp_path):
    join(hosts)
    first, second = hosts.first, hosts.second
    start(first, CAROL, "make", "Make", {"peer": DAVE, "coins": COINS})
    made = first.host.result(CAROL, "make", PATIENCE_S)
    assert made["flowStatus"] == "COMPLETED", made
    coins = [(number, f"{made['flowResult']}:{number}") for number in range(COINS)]
    with spending(hosts, coins[:BEFORE]):
        pass
    assert [len(winners(hosts, number)) for number, _ in coins[:BEFORE]] == [1] * BEFORE
    node = first.nodes[NOTARY]
    secret = token(first.nodes[MGM], NOTARY, first)
    with spending(hosts, coins[BEFORE:]):
        move(first, second, node, tmp_path / "notary.cbxnode", secret)
    won = Counter(len(winners(hosts, number)) for number, _ in coins)
    assert won == {1: COINS}
    until_place(first, node, "MOVED")
    for number, coin in coins[:BEFORE]:
        for turn, (host, name) in enumerate(((first, CAROL), (second, DAVE))):
            start(host, name, f"again-{number}-{turn}", "Spend", {"coin": coin})
            again = host.host.result(name, f"again-{number}-{turn}", PATIENCE_S)
            assert again["flowError"]["code"] == CONFLICT, again


def test_an_mgm_moves_while_members_talk_and_join(hosts, tmp_path):
    first, second = hosts.first, hosts.second
    for number in range(3):
        first.talk(ALICE, f"talk-{number}", BOB, ROUNDS)
    node = first.nodes[MGM]
    move(first, second, node, tmp_path / "mgm.cbxnode")
    until_place(first, node, "MOVED")
    for number in range(3):
        assert first.result(ALICE, f"talk-{number}")["flowStatus"] == "COMPLETED"
    for host, name in ((first, ERIN), (second, CAROL)):
        host.onboard_member(hosts.checksum, name)
    for host, name in ((first, ALICE), (first, ERIN), (second, BOB), (second, CAROL)):
        host.sees(name, ALICE, BOB, CAROL, ERIN, MGM)
    policy = second.asked("GET", f"/mgm/{node}/info").text
    assert second.gateway in policy
    assert first.gateway not in policy
    assert first.host.ask("GET", f"/mgm/{node}/info").status_code == 409
    # With its MGM elsewhere a member moves, too.
    second.nodes[MGM] = node
    alice = first.nodes[ALICE]
    move(first, second, alice, tmp_path / "alice.cbxnode", token(node, ALICE, second))
    until_place(first, alice, "MOVED")


def _carried(source, targets, node, tmp_path):
    """The file of a node, loaded at each target."""
    identity, file = pyrage.x25519.Identity.generate(), tmp_path / "node.cbxnode"
    with client(source) as one:
        request = moving.begin_export(one, node, str(identity.to_public()), None)
        size = moving.until_ended(one, request, _quiet)["bytesTotal"]
        moving.fetch(one, request, file, size, _quiet)
    for target in targets:
        with client(target) as other:
            sent = moving.send(other, file, str(identity), _quiet)
            moving.until_ended(other, sent, _quiet)


def _quiet(_stage, _done, _total):
    pass


def _at_once(*works):
    threads = [threading.Thread(target=work) for work in works]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _activate(host, node, secret):
    with client(host) as other:
        place_of = new_place(host, secret)
        moving.activate(
            other, node, endpoints=place_of.endpoints, tls_alias="tls", token=place_of.token
        )


def test_of_two_targets_one_wins(hosts, tmp_path):
    first, second = hosts.first, hosts.second
    third = NetworkHost(tmp_path / "third", second.ca)
    third.prepare(hosts.packages)
    try:
        node, mgm = first.nodes[ALICE], first.nodes[MGM]
        first.talk(ALICE, "there", BOB, 400)
        _carried(first, (second, third), node, tmp_path)
        secrets = [token(mgm, ALICE, first) for _ in range(2)]
        _at_once(
            lambda: _activate(second, node, secrets[0]), lambda: _activate(third, node, secrets[1])
        )
        until_place(first, node, "MOVED")

        def is_decided():
            return sorted(place(each, node) for each in (second, third))

        deadline = time.monotonic() + 300
        while is_decided() != ["HERE", "IMPORTED"]:
            assert time.monotonic() < deadline, is_decided()
            time.sleep(0.2)
        winner, loser = (second, third) if place(second, node) == "HERE" else (third, second)
        where = f"/maintenance/virtualnode/{node}/location"
        told = loser.host.until(where, lambda f: f["errorReason"] is not None, PATIENCE_S)
        sys.stdout.write(f"the other copy: {told['errorReason']}\n")
        winner.nodes[ALICE] = node
        assert winner.result(ALICE, "there")["flowStatus"] == "COMPLETED"
        assert place(loser, node) == "IMPORTED"
        loser.asked("DELETE", f"/maintenance/virtualnode/{node}/import")
    finally:
        third.kill()


def test_of_a_cancelled_export_and_its_import_one_wins(hosts, tmp_path):
    first, second = hosts.first, hosts.second
    node, mgm = first.nodes[ALICE], first.nodes[MGM]
    first.talk(ALICE, "there", BOB, 400)
    _carried(first, (second,), node, tmp_path)
    secrets = [token(mgm, ALICE, first) for _ in range(2)]

    def cancel():
        body = {"unfenced": False, "preAuthToken": secrets[0]}
        first.asked("POST", f"/maintenance/virtualnode/{node}/export/cancel", json=body)

    _at_once(cancel, lambda: _activate(second, node, secrets[1]))
    deadline = time.monotonic() + 300
    while (found := (place(first, node), place(second, node))) not in {
        ("HERE", "IMPORTED"),
        ("MOVED", "HERE"),
    }:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    sys.stdout.write(f"source and target: {found}\n")
    winner = first if found[0] == "HERE" else second
    winner.nodes[ALICE] = node
    assert winner.result(ALICE, "there")["flowStatus"] == "COMPLETED"


def test_hosts_are_killed_while_nodes_move(hosts, tmp_path):
    """One after the other, nodes move between the hosts, each killed now and then meanwhile."""
    seed = int(os.environ.get("CORDBOX_KILL_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"CORDBOX_KILL_SEED={seed}\n")
    chance, first, second = random.Random(seed), hosts.first, hosts.second
    for number in range(KILLS):
        name = f"O=Mover {number}, L=London, C=GB"
        first.onboard_member(hosts.checksum, name)
        first.sees(name, BOB)
        second.sees(BOB, name)
        node = first.nodes[name]
        for each in range(2):
            first.talk(name, f"there-{each}", BOB, ROUNDS)
            second.talk(BOB, f"{number}-{each}", name, ROUNDS)
        secret = token(first.nodes[MGM], name, first)
        victim = chance.choice((first, second))
        stages, killed_in = list[str](), _kill_later(victim, chance.uniform(0.0, 12.0))
        file, deadline = tmp_path / f"{number}.cbxnode", time.monotonic() + PATIENCE_S
        while True:
            refused = _move_again(hosts, node, file, secret, stages)
            if refused is None:
                break
            assert time.monotonic() < deadline, refused
            time.sleep(0.3)
        killed_in.join()
        at = stages[-1] if stages else "none"
        side = "source" if victim is first else "target"
        sys.stdout.write(f"{number}: killed the {side}; last stage seen {at}\n")
        until_place(first, node, "MOVED")
        second.nodes[name] = node
        ended = [second.host.result(name, f"there-{each}", PATIENCE_S) for each in range(2)]
        ended += [second.host.result(BOB, f"{number}-{each}", PATIENCE_S) for each in range(2)]
        expected = ("COMPLETED", str(ROUNDS * (ROUNDS + 1)))
        assert [(e["flowStatus"], e["flowResult"]) for e in ended] == [expected] * 4, ended


def _move_again(hosts, node, file, secret, stages):
    """Try a move; returns why it was interrupted, if it was."""

    def report(stage, _done, _total):
        stages.append(stage)

    try:
        with client(hosts.first) as one, client(hosts.second) as other:
            to = new_place(hosts.second, secret)
            moves.move(one, other, node, file, place=to, report=report)
    except HostError as error:
        return error
    return None


def _kill_later(host, seconds):
    def kill():
        time.sleep(seconds)
        host.kill()
        host.start()

    thread = threading.Thread(target=kill)
    thread.start()
    return thread
