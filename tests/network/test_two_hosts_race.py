"""Members of two hosts spend the same states at a notary of the first host.

`make prove-ledger-hosts` makes 1,000 states, and kills workers of both hosts meanwhile.
CORDBOX_SEED repeats a run.
"""

import os
import random
import re
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.network.network_kills import SPLIT, persisting
from tests.network.two_hosts import EC, MGM, NetworkHost, TwoHosts

pytestmark = pytest.mark.timeout(3600)

CAROL, DAVE, NOTARY, SERVICE = (
    f"O={name}, L=London, C=GB" for name in ("Carol", "Dave", "Notary", "Notary Service")
)
COINS = Path(__file__).with_name("coins")
STATES = int(os.environ.get("CORDBOX_RACED_STATES", "4"))
KILLS = int(os.environ.get("CORDBOX_RACE_KILLS", "0"))
SEED = int(os.environ.get("CORDBOX_SEED") or random.SystemRandom().randrange(10**6))
AT_ONCE = 20
CONFLICT = "notary-input-state-conflict"
UNDECIDED = "finality-undecided"
UNDECIDED_OF = re.compile(r"has not decided on transaction (SHA-256D:[0-9A-F]{64}):")
PATIENCE_S = 20 * 60
"""Longer than a flow asks its notary, ten times for a minute with pauses."""


@dataclass
class Killer:
    """Kills a worker of either host, now and then, until it has killed as many as it should."""

    hosts: tuple[NetworkHost, ...]
    kills: int
    chance: random.Random
    killed: list[str] = field(default_factory=list)

    def __post_init__(self):
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def reach(self, kills):
        """Wait until it has killed that often: states that are spent quickly see their share."""
        while len(self.killed) < kills and self._thread.is_alive():
            self._thread.join(0.1)

    def _kill(self):
        while len(self.killed) < self.kills and not self._is_over.wait(self.chance.uniform(0.2, 4)):
            host = self.chance.choice(self.hosts).host
            self.killed.append(host.kill_worker(self.chance, only_ready=True))


@pytest.fixture
def hosts(request, tmp_path):
    """Without kills the pair of hosts that other tests use."""
    if not KILLS:
        yield request.getfixturevalue("two_hosts")
        return
    made = TwoHosts.started(tmp_path, workers=SPLIT)
    yield made
    made.stop()


def join(hosts):
    """The notary and Carol join on the first host, Dave on the second."""
    first, second, packages = hosts.first, hosts.second, hosts.packages
    policy = first.asked("GET", f"/mgm/{first.nodes[MGM]}/info").text
    notary = packages.of_members(policy, "notary", packages.notary_cpb())
    coins = packages.of_members(policy, "coins", packages.cpb(COINS))
    context = first.prepare_member(first.upload(notary), NOTARY)
    context = {name: value for name, value in context.items() if ".ledger." not in name}
    context |= {
        "corda.notary.keys.0.id": first.key(first.nodes[NOTARY], "NOTARY", EC),
        "corda.notary.keys.0.signature.spec": "SHA256withECDSA",
        "corda.roles.0": "notary",
        "corda.notary.service.name": SERVICE,
        "corda.notary.service.flow.protocol.name": "com.r3.corda.notary.plugin.nonvalidating",
        "corda.notary.service.flow.protocol.version.0": "1",
    }
    first.register(first.nodes[NOTARY], context)
    first.onboard_member(first.upload(coins), CAROL)
    second.onboard_member(second.upload(coins), DAVE)
    for host, name in ((first, CAROL), (second, DAVE)):
        host.sees(name, NOTARY, CAROL, DAVE)
        where = f"/members/{host.nodes[name]}/group-parameters"
        host.host.until(where, lambda found: SERVICE in str(found))


def start(host, name, request_id, flow, body):
    """Start a flow, asked again as often as an answer is cut off."""
    whole = {"notary": SERVICE, **body}
    reply = persisting(lambda: host.host.flow(name, request_id, f"coins_flows.{flow}", whole))
    assert reply.status_code in {202, 409}, reply.text  # 409: an earlier request was taken


@dataclass
class Race:
    """What came of the two flows that spend one state, by the names of their nodes.

    `won` are those that have spent it, `undecided` the transactions of those that have not heard
    from the notary, which was killed again and again.
    """

    won: list[str]
    undecided: dict[str, str]
    never_seen: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, ended):
        won = [name for name, found in ended.items() if found["flowStatus"] == "COMPLETED"]
        errors = {name: each["flowError"] for name, each in ended.items() if name not in won}
        codes = {name: error["code"] for name, error in errors.items()}
        assert set(codes.values()) <= {CONFLICT} | ({UNDECIDED} if KILLS else set()), ended
        undecided = {
            name: UNDECIDED_OF.search(errors[name]["message"])[1]
            for name, code in codes.items()
            if code == UNDECIDED
        }
        assert len(won) <= 1, f"seed {SEED}: {ended}"
        # Only a transaction that the notary has taken stands in the way of both.
        assert won or undecided, f"seed {SEED}: {ended}"
        return cls(won, undecided)

    def repaired(self, hosts):
        """Ask the notary what came of the undecided transactions."""
        for name, transaction in self.undecided.items():
            status = repaired(hosts[name], name, transaction)
            self.won += [name] * (status == "V")
            self.never_seen += [name] * (status == "U")
        assert len(self.won) <= 1, f"seed {SEED}: {self}"
        assert self.won or self.never_seen, f"seed {SEED}: {self}"


def repaired(host, name, transaction):
    """The status of a transaction after a repair that an operator has asked for."""
    where = f"/ledger/{host.nodes[name]}/transaction/{transaction}"
    flows = f"/flow/{host.nodes[name]}?responders=true"

    def repairs(found):
        found = [f for f in found["flowStatusResponses"] if transaction in f["clientRequestId"]]
        return Counter(flow["flowStatus"] for flow in found)

    before = repairs(host.host.look(flows, PATIENCE_S))["COMPLETED"]
    reply = persisting(lambda: host.host.ask("POST", f"{where}/repair"))
    assert reply.status_code == 200, reply.text
    if reply.json()["isDue"]:
        host.host.until(flows, lambda found: repairs(found)["COMPLETED"] > before, PATIENCE_S)
    return host.host.look(where, PATIENCE_S)["status"]


@pytest.mark.crash
def test_one_of_two_hosts_spends_a_state(hosts):
    """Both ask at the same moment; the answer stays, and each flow ends once."""
    sys.stdout.write(f"seed {SEED}\n")
    chance = random.Random(SEED)
    join(hosts)
    rivals = ((hosts.first, CAROL), (hosts.second, DAVE))
    start(hosts.first, CAROL, "make", "Make", {"peer": DAVE, "coins": STATES})
    made = hosts.first.host.result(CAROL, "make", PATIENCE_S)
    assert made["flowStatus"] == "COMPLETED", made
    bodies = [{"coin": f"{made['flowResult']}:{number}"} for number in range(STATES)]
    races, told = [], Counter[str]()
    with Killer((hosts.first, hosts.second), KILLS, chance) as killer:
        while len(races) < STATES:
            numbers = range(len(races), min(STATES, len(races) + AT_ONCE))
            for number in numbers:
                for host, name in chance.sample(rivals, 2):
                    start(host, name, f"spend-{number}", "Spend", bodies[number])
            killer.reach(KILLS * numbers.stop // STATES)
            for number in numbers:
                ended = {
                    name: host.host.result(name, f"spend-{number}", PATIENCE_S)
                    for host, name in rivals
                }
                races.append(Race.of(ended))
    told["by its flow"] = sum(len(race.won) for race in races)
    for race in races:
        race.repaired({name: host for host, name in rivals})
    told["by a repair"] = sum(len(race.won) for race in races) - told["by its flow"]
    told["by nobody, never seen by the notary"] = sum(not race.won for race in races)
    winners = Counter(name for race in races for name in race.won)
    sys.stdout.write(f"{STATES} states, won {dict(told)}: {winners}\n")
    sys.stdout.write(f"killed {len(killer.killed)}: {Counter(killer.killed)}\n")
    assert len(killer.killed) == KILLS
    for number in {0, *(number for number, race in enumerate(races) if not race.won)}:
        # One after the other: the first of them may spend what nobody has.
        spent = list(races[number].won)
        for turn, (host, name) in enumerate(rivals * 2):
            request = f"again-{number}-{turn}"
            start(host, name, request, "Spend", bodies[number])
            again = host.host.result(name, request, PATIENCE_S)
            spent += [name] * (again["flowStatus"] == "COMPLETED")
            assert len(spent) <= 1, f"seed {SEED}: state {number}"
        assert len(spent) == 1, f"seed {SEED}: state {number}"
        assert again["flowError"]["code"] == CONFLICT, f"seed {SEED}: {again}"
