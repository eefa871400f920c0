"""Worker processes of two hosts are killed while members join and talk: nothing is lost or doubled.

Run by `make prove-network-kills` alone: not collected by its name. CORDBOX_KILLS says how often,
CORDBOX_KILL_SEED when and whom; the seed is printed.
"""

import os
import random
import sys
import time
from collections import Counter

import httpx2
import pytest

from tests.network.two_hosts import ALICE, BOB, MGM, TwoHosts

KILLS = int(os.environ.get("CORDBOX_KILLS", "20"))
SPLIT = "rest=1,flow=1,membership=1,link=1,gateway=1"
KILLS_OF_A_FLOW, KILLS_OF_A_MEMBER = 2, 20
SECONDS_MAX = 300
ROUNDS = 10
pytestmark = [
    pytest.mark.crash,
    pytest.mark.slow,
    pytest.mark.timeout(7200),
]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    made = TwoHosts.started(tmp_path_factory.mktemp("killed-hosts"), workers=SPLIT)
    yield made
    made.stop()


def test_no_killed_worker_loses_or_doubles_a_message_a_member_or_a_list(hosts):
    seed = int(os.environ.get("CORDBOX_KILL_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"CORDBOX_KILL_SEED={seed}\n")
    chance, both = random.Random(seed), (hosts.first, hosts.second)
    newcomers = [
        (host, name, host.prepare_member(hosts.checksum, name))
        for number in range(1 + KILLS // KILLS_OF_A_MEMBER)
        for host in [both[number % 2]]
        for name in [f"O=Newcomer {number}, L=London, C=GB"]
    ]
    joining, talks, killed = list(newcomers), list[tuple[object, str, str]](), Counter[str]()
    for number in range(KILLS):
        if number % KILLS_OF_A_FLOW == 0:
            host, name, peer = chance.choice([(both[0], ALICE, BOB), (both[1], BOB, ALICE)])
            body = {"peer": peer, "rounds": ROUNDS}
            start(host, name, f"talk-{number}", body)
            talks.append((host, name, f"talk-{number}"))
        if number % KILLS_OF_A_MEMBER == 0:
            host, name, context = joining.pop()
            register(host, host.nodes[name], context)
        time.sleep(chance.uniform(0.05, 1.5))
        killed[chance.choice(both).host.kill_worker(chance)] += 1
    for host, name, context in joining:
        register(host, host.nodes[name], context)
    sys.stdout.write(f"killed: {dict(killed)}\n")

    everybody = {MGM, ALICE, BOB, *(name for _, name, _ in newcomers)}
    for host in both:
        for name in host.nodes:
            host.sees(name, *everybody)
    check_lists(both, everybody)
    ended = [host.result(name, request) for host, name, request in talks]
    expected = ("COMPLETED", str(ROUNDS * (ROUNDS + 1)))
    assert Counter((e["flowStatus"], e["flowResult"]) for e in ended) == {expected: len(talks)}
    check_responders(both, talks)


def start(host, name, request, body):
    """Start a flow, asked again as often as an answer is cut off."""
    reply = persisting(lambda: host.host.flow(name, request, "talk_flows.Talk", body))
    assert reply.status_code in {202, 409}, reply.text  # 409: an earlier request was taken


def register(host, node, context):
    """Register a member, unless an earlier request whose answer was cut off has done it."""

    def once():
        asked = host.host.ask("GET", f"/membership/{node}")
        if asked.status_code != 200 or asked.json():
            return asked
        return host.host.ask("POST", f"/membership/{node}", json={"context": context})

    assert persisting(once).status_code in {200, 202}


def persisting(ask):
    """The answer to a request that is repeated while the process that answers is killed."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            reply = ask()
            if reply.status_code < 500:
                return reply
        except httpx2.HTTPError as failed:
            reply = failed
        assert time.monotonic() < deadline, reply
        time.sleep(0.2)


def check_lists(both, everybody):
    """Every member sees the same serials of the same members."""

    def listed(host, node):
        members = host.host.look(f"/members/{node}")["members"]
        return {
            (m["memberContext"]["corda.name"], m["mgmContext"]["corda.serial"]) for m in members
        }

    views = [
        listed(host, node) for host in both for name, node in host.nodes.items() if name != MGM
    ]
    assert all(view == views[0] for view in views)
    assert {name for name, _ in views[0]} == everybody


def check_responders(both, talks):
    """Each flow has had one responder on the other host, which has completed."""
    for host, responder in ((both[0], ALICE), (both[1], BOB)):
        own = sum(name == responder for _, name, _ in talks)
        path = f"/flow/{host.nodes[responder]}?responders=true"
        host.host.until(
            path,
            lambda a: all(f["flowStatus"] == "COMPLETED" for f in a["flowStatusResponses"]),
        )
        statuses = host.host.all_statuses(responder)
        assert statuses == {"COMPLETED": len(talks)}, (responder, own)
