"""A static group with a notary moves from one real host to another, both killed meanwhile."""

import json
import os
import subprocess
import time

import pytest

from tests.network.test_two_hosts_race import CAROL, COINS, CONFLICT, DAVE, NOTARY, SERVICE
from tests.network.two_hosts import ALICE, BOB, EC, NetworkHost, Packages
from tests.support.killable_host import CORDBOX, KillableHost

pytestmark = pytest.mark.timeout(900)
ROUNDS, TALKS, COUNT = 20, 2, 2
SUM = str(ROUNDS * (ROUNDS + 1))
MEMBER = {"corda.key.scheme": EC}
CONTEXT_OF_NOTARY = MEMBER | {
    "corda.roles.0": "notary",
    "corda.notary.service.name": SERVICE,
    "corda.notary.service.flow.protocol.name": "com.r3.corda.notary.plugin.nonvalidating",
    "corda.notary.service.flow.protocol.version.0": "1",
}


class Host(NetworkHost):
    """A host without a gateway."""

    def start(self):
        self.host = KillableHost(self.folder, self.options)
        self.host.nodes = self.nodes
        self.host.start()
        self.password = self.folder / "password"

    def cordbox(self, *words):
        """A command of an operator of this host."""
        return _run(*words, *self.options_of("--url", "--password-file", "--ca-file"))

    def begun(self, *words):
        options = self.options_of("--url", "--password-file", "--ca-file")
        line = [CORDBOX, *map(str, words), *options]
        return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def options_of(self, *names):
        values = (self.host.url, self.password, self.host.facts["certificate"])
        return [str(each) for pair in zip(names, values, strict=True) for each in pair]


def _run(*words):
    done = subprocess.run(
        [CORDBOX, *map(str, words)], capture_output=True, text=True, check=False, env=os.environ
    )
    return done.returncode, done.stdout, done.stderr


def _policy(folder):
    names = [word for name in (ALICE, BOB, CAROL, DAVE, NOTARY) for word in ("--name", name)]
    endpoint = ("--endpoint", "http://localhost:1080", "--endpoint-protocol", "1")
    file = folder / "policy.json"
    code, _, told = _run("network", "groupPolicy", *names, *endpoint, "--output-file", file)
    assert code == 0, told
    return file.read_text()


@pytest.fixture
def hosts(tmp_path):
    """The source with the group, and an empty target."""
    packages = Packages(tmp_path)
    found = [Host(tmp_path / name, None) for name in ("source", "target")]
    for each in found:
        pem = {"certificate": packages.certificate}
        each.asked("PUT", "/certificate/cluster/code-signer", data={"alias": "a"}, files=pem)
    source, policy = found[0], _policy(tmp_path)
    talk = source.upload(packages.of_members(policy))
    coins = source.upload(packages.of_members(policy, "coins", packages.cpb(COINS)))
    notary = source.upload(packages.of_members(policy, "notary", packages.notary_cpb()))
    for name, cpi in ((ALICE, talk), (BOB, talk), (CAROL, coins), (DAVE, coins), (NOTARY, notary)):
        context = CONTEXT_OF_NOTARY if name == NOTARY else MEMBER
        source.register(source.node(cpi, name), context)
    yield found
    for each in found:
        each.kill()


def _group(host):
    found = host.asked("GET", f"/virtualnode/{host.nodes[ALICE]}").json()
    return found["holdingIdentity"]["groupId"]


def _places(host, group):
    found = host.host.look(f"/maintenance/group/{group}/location")
    return {each["place"] for each in found["nodes"]}


def _ended(host, name, request, flow, body):
    whole = {"notary": SERVICE, **body}
    assert host.host.flow(name, request, f"coins_flows.{flow}", whole).status_code == 202
    return host.result(name, request)


def _moved(source, target, group, folder):
    """Move a group by the command, again and again while its hosts are killed, each once."""

    def is_exported():
        return _places(source, group) == {"EXPORTED"}

    def is_loading():
        return target.host.ask("GET", f"/maintenance/group/{group}/location").status_code == 200

    kills, deadline = [(source, is_exported), (target, is_loading)], time.monotonic() + 600
    while True:
        to = target.options_of("--to", "--to-password-file", "--to-ca-file")
        words = ("vnode", "move", "--group", group, "--file", folder, *to)
        with source.begun(*words) as moving:
            while moving.poll() is None:
                if kills and kills[0][1]():
                    victim, _ = kills.pop(0)
                    victim.kill()
                    victim.start()
                time.sleep(0.02)
            told = moving.stderr.read()
        if moving.returncode == 0:
            return
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def test_a_static_group_moves_with_its_notary_and_its_flows(hosts, tmp_path):
    source, target = hosts
    group, secret, early = _group(source), tmp_path / "secret", tmp_path / "early"
    secret.write_text("of the files\n")
    made = _ended(source, CAROL, "make", "Make", {"peer": DAVE, "coins": COUNT})
    coins = [f"{made['flowResult']}:{number}" for number in range(COUNT)]
    assert _ended(source, CAROL, "spend", "Spend", {"coin": coins[0]})["flowStatus"] == "COMPLETED"
    for number in range(TALKS):
        source.talk(ALICE, f"there-{number}", BOB, ROUNDS)
        source.talk(BOB, f"back-{number}", ALICE, ROUNDS)

    # One node does not leave without the others; a group that was exported comes back.
    alone = source.host.ask(
        "POST",
        f"/maintenance/virtualnode/{source.nodes[ALICE]}/export",
        json={"recipient": target.asked("GET", "/maintenance/transferkey").json()["recipient"]},
    )
    assert (alone.status_code, "--group" in alone.text) == (409, True), alone.text
    code, _, told = source.cordbox(
        "vnode", "export", "--group", group, early, "--passphrase-file", secret
    )
    assert code == 0, told
    code, _, told = source.cordbox("vnode", "cancel-export", "--group", group)
    assert (code, "no MGM" in told) == (1, True), told
    assert source.cordbox("vnode", "cancel-export", "--group", group, "--unfenced")[0] == 0
    assert _places(source, group) == {"HERE"}

    # Its older files can be loaded, and work only if an operator answers for it.
    code, loaded, told = target.cordbox(
        "vnode", "import", "--group", early, "--passphrase-file", secret
    )
    assert (code, set(loaded.split())) == (0, set(source.nodes.values())), told
    activate = ("vnode", "activate", "--group", group)
    for more, word in (((), "unfenced"), (("--unfenced",), "uniqueness current")):
        code, _, told = target.cordbox(*activate, *more)
        assert (code, word in told) == (1, True), told
    to = target.options_of("--to", "--to-password-file", "--to-ca-file")
    code, _, told = source.cordbox("vnode", "move", "--group", group, "--file", early, *to)
    assert (code, _places(source, group)) == (1, {"HERE"}), told
    for node in source.nodes.values():
        target.asked("DELETE", f"/maintenance/virtualnode/{node}/import")
    assert target.host.ask("GET", f"/maintenance/group/{group}/location").status_code == 404

    before = source.asked("GET", f"/members/{source.nodes[ALICE]}/group-parameters").json()
    _moved(source, target, group, tmp_path / "files")
    target.nodes.update(source.nodes)
    assert (_places(source, group), _places(target, group)) == ({"MOVED"}, {"HERE"})
    for number in range(TALKS):
        for name, request in ((ALICE, f"there-{number}"), (BOB, f"back-{number}")):
            ended = target.result(name, request)
            assert (ended["flowStatus"], ended["flowResult"]) == ("COMPLETED", SUM)
    after = target.asked("GET", f"/members/{target.nodes[ALICE]}/group-parameters").json()
    assert after == before

    # The notary knows what was spent at its source, and goes on.
    again = _ended(target, DAVE, "again", "Spend", {"coin": coins[0]})
    assert again["flowError"]["code"] == CONFLICT, again
    for name, request in ((DAVE, "won"), (CAROL, "lost")):
        ended = _ended(target, name, request, "Spend", {"coin": coins[1]})
        assert (ended["flowError"] is None) is (name == DAVE), ended

    # What is left of it at its source does nothing, and is given to nobody else.
    assert source.asked("GET", f"/key/{source.nodes[ALICE]}").json() == {}
    assert "static-mgm" not in source.asked("GET", "/key/p2p").text
    for act in ("activate", "export/cancel"):
        body = {"unfenced": True, "uniquenessCurrent": True}
        body = body if act == "activate" else {"unfenced": True}
        reply = source.host.ask("POST", f"/maintenance/group/{group}/{act}", json=body)
        assert reply.status_code == 409, reply.text
    other = {"exportId": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "recipient": "age1other"}
    reply = source.host.ask("POST", f"/maintenance/group/{group}/moved", json=other)
    assert (reply.status_code, "another cluster" in reply.text) == (409, True), reply.text
    refused = source.asked(
        "POST", f"/membership/{source.nodes[ALICE]}", json={"context": MEMBER}
    ).json()
    assert "static-group-elsewhere" in json.dumps(refused), refused
