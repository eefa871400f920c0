"""Nodes move to a host whose database is on a server, and from one, with flows in flight."""

import pytest

from tests.network.moves_in_full import move, token, until_place
from tests.network.two_hosts import ALICE, BOB, MGM, TwoHosts

pytestmark = pytest.mark.timeout(900)
CAROL = "O=Carol, L=London, C=GB"
ROUNDS = 10
SUM = str(ROUNDS * (ROUNDS + 1))


@pytest.fixture
def hosts(tmp_path, postgres_server):
    """The second host has its database on a server."""
    (tmp_path / "database").mkdir()
    environment = postgres_server.new_cluster(tmp_path / "database").environment
    made = TwoHosts.started(tmp_path, of_second={**environment, "CORDBOX_HOST_NAME": "second"})
    yield made
    made.stop()


def test_nodes_move_to_a_database_server_and_from_one(hosts, tmp_path):
    first, second = hosts.first, hosts.second
    second.onboard_member(hosts.checksum, CAROL)
    for host, name in ((first, ALICE), (second, BOB), (second, CAROL)):
        host.sees(name, ALICE, BOB, CAROL)
    first.talk(ALICE, "there", BOB, ROUNDS)
    second.talk(BOB, "back", ALICE, ROUNDS)
    second.talk(CAROL, "across", ALICE, ROUNDS)
    for source, target, name in ((first, second, ALICE), (second, first, CAROL)):
        node = source.nodes[name]
        secret = token(first.nodes[MGM], name, first)
        move(source, target, node, tmp_path / f"{node}.cbxnode", secret)
        target.nodes[name] = node
        until_place(source, node, "MOVED")
    for host, name, request in (
        (second, ALICE, "there"),
        (second, BOB, "back"),
        (first, CAROL, "across"),
    ):
        ended = host.result(name, request)
        assert (ended["flowStatus"], ended["flowResult"]) == ("COMPLETED", SUM)
