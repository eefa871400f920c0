"""A member moves between real hosts that are killed at stages of its move: nothing happens twice.

`make prove-moves` has the long form, at random moments.
"""

import time

import pytest

from host.domain.errors import HostError
from host.tools.network import moves
from tests.network.moves_in_full import client, new_place, token, until_place
from tests.network.two_hosts import BOB, MGM

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]
ERIN = "O=Erin, L=London, C=GB"
ROUNDS = 10
SUM = str(ROUNDS * (ROUNDS + 1))


class StageKills:
    """Kills a host when a move tells a stage for the first time."""

    def __init__(self, hosts):
        source, target = hosts.first, hosts.second
        self.victims = {"pausing": source, "fetch": source, "send": target, "approval": target}
        self.killed = []

    def __call__(self, stage, _done, _total):
        victim = self.victims.pop(stage, None)
        if victim is not None:
            self.killed.append(stage)
            victim.kill()
            victim.start()


def test_hosts_are_killed_at_stages_of_a_move(two_hosts, tmp_path):
    first, second = two_hosts.first, two_hosts.second
    first.onboard_member(two_hosts.checksum, ERIN)
    second.sees(BOB, ERIN)
    first.sees(ERIN, BOB)
    first.talk(ERIN, "there", BOB, ROUNDS)
    second.talk(BOB, "to-erin", ERIN, ROUNDS)
    node, kills = first.nodes[ERIN], StageKills(two_hosts)
    secret = token(first.nodes[MGM], ERIN, first)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            with client(first) as one, client(second) as other:
                place = new_place(second, secret)
                moves.move(one, other, node, tmp_path / "erin", place=place, report=kills)
            break
        except HostError:
            time.sleep(0.3)
    assert {"fetch", "send"} <= set(kills.killed)
    until_place(first, node, "MOVED")
    second.nodes[ERIN] = node
    for name, request in ((ERIN, "there"), (BOB, "to-erin")):
        ended = second.result(name, request)
        assert (ended["flowStatus"], ended["flowResult"]) == ("COMPLETED", SUM)
    statuses = second.host.all_statuses(ERIN)
    assert statuses == {"COMPLETED": 2}, statuses
