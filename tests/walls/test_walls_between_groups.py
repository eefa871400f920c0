"""What one group may never see of another, and what no guest can do to its own walls.

Corda's own isolation tests in our terms: docs/reference/corda-test-lists.md names each of them and
the test here that stands for it.
"""

import json

import pytest

pytestmark = pytest.mark.slow
DAY_MS = 86_400_000


def test_sandbox_can_see_bundles_in_its_own_sandbox_group(world):
    assert world.blue_alice.answer("import blue_secret; result = blue_secret.PASSPHRASE")
    assert world.red_alice.answer("import probe_flows; result = probe_flows.__name__")


def test_sandbox_cannot_see_bundles_in_other_sandbox_groups(world):
    code = """
import sys, importlib
result = []
for name in ("blue_secret", "probe_flows.blue_secret"):
    try:
        importlib.import_module(name)
    except ImportError as refused:
        result.append(type(refused).__name__)
result.append([name for name in sys.modules if "blue" in name])
"""
    found = world.red_alice.answer(code)
    assert found == ["ModuleNotFoundError", "ModuleNotFoundError", []]


def test_we_can_load_two_copies_of_the_same_sandbox(world):
    """One CPI, two nodes, one after the other and again: no run sees what another left behind."""
    code = "SEEN.append(flow.flow_engine.virtual_node_name); result = SEEN"
    for node in (world.red_alice, world.red_bob, world.red_alice):
        assert len(node.answer(code)) == 1


def test_can_retrieve_the_calling_sandbox_group_from_within_a_sandbox(world):
    code = "result = [flow.flow_engine.virtual_node_name, flow.member_lookup.my_info().name]"
    for node, name in ((world.red_bob, "O=Bob"), (world.blue_carol, "O=Carol")):
        assert all(answered.startswith(name) for answered in node.answer(code))


def test_sandbox_receives_events_from_its_own_group_only(world):
    """A session reaches the node of one's own group, also when another group has that name."""
    ask = """
session = flow.flow_messaging.initiate_flow({name!r})
session.send("who are you?")
result = session.receive(str)
"""
    bob, carol = "O=Bob, L=London, C=GB", "O=Carol, L=London, C=GB"
    assert world.red_alice.answer(ask.format(name=bob)) == bob
    assert world.blue_alice.answer(ask.format(name=carol)) == carol
    assert "no virtual node in group" in world.red_alice.refusal(ask.format(name=carol))
    assert "no virtual node in group" in world.blue_alice.refusal(ask.format(name=bob))


def test_sandbox_cannot_see_services_of_other_sandbox_groups(world):
    """Members, group parameters and keys are those of one's own group."""
    names = "result = sorted(member.name for member in flow.member_lookup.all())"
    red, blue = world.red_alice.answer(names), world.blue_alice.answer(names)
    assert [n.split(",")[0] for n in red] == ["O=Alice", "O=Bob"]
    assert [n.split(",")[0] for n in blue] == ["O=Alice", "O=Carol"]
    stranger = "result = flow.member_lookup.lookup('O=Carol, L=London, C=GB')"
    assert world.red_alice.answer(stranger) is None
    key = "result = flow.member_lookup.my_info().ledger_keys[0]"
    theirs = world.blue_carol.answer(key)
    by_key = f"""
from cordapp.contracts import PublicKey
found = flow.member_lookup.lookup_key(PublicKey({theirs!r}))
result = found and found.name
"""
    assert world.red_alice.answer(by_key) is None
    assert world.blue_alice.answer(by_key).startswith("O=Carol")


def test_two_groups_have_storage_of_their_own(world):
    """Same X.500 name, same CorDapp, same key of the entity: two nodes, two vaults."""
    store = "flow.persistence_service.persist(Secret('1', {content!r}))"
    world.red_alice.answer(store.format(content="red"))
    world.blue_alice.answer(store.format(content="blue"))
    find = "result = [s.content for s in flow.persistence_service.find_all(Secret)]"
    assert world.red_alice.answer(find) == ["red"]
    assert world.blue_alice.answer(find) == ["blue"]
    assert world.red_bob.answer(find) == []
    assert world.red_alice.folder != world.blue_alice.folder
    assert b"blue" not in b"".join(f.read_bytes() for f in world.red_alice.folder.iterdir())


def test_a_full_queue_and_a_clock_that_is_set_meanwhile_reach_no_other_node(world):
    """Timers run, messages are on their way, and one node has far more flows than threads."""
    asleep = "for _ in range(5): flow.flow_engine.sleep(30)\nresult = 'slept'"
    asking = """
session = flow.flow_messaging.initiate_flow("O=Bob, L=London, C=GB")
session.send("who are you?")
flow.flow_engine.sleep(30)
result = session.receive(str)
"""
    waiting = [world.red_alice.start(code) for _ in range(15) for code in (asleep, asking)]
    others, steps = [], [DAY_MS, -DAY_MS, -30 * DAY_MS, 30 * DAY_MS]
    try:
        while world.red_alice.is_open(waiting[-1]):
            world.clock.ahead_ms = steps[len(others) % len(steps)]
            others.append(world.blue_carol.answer("flow.flow_engine.sleep(1)\nresult = 'done'"))
    finally:
        world.clock.ahead_ms = 0
    assert len(others) > 1, "another node's flows ended while the queue was full"
    ended = [world.red_alice.outcome(request_id) for request_id in waiting]
    assert {flow.status for flow in ended} == {"COMPLETED"}, ended
    assert [flow.result for flow in ended] == ["slept", "O=Bob, L=London, C=GB"] * 15
    for node in (world.red_alice, world.red_bob, world.blue_carol):
        path = f"/api/v5_2/virtualnode/{node.short_hash}/usage"
        assert node.client.get(path).json()["hits"] == {}


@pytest.mark.parametrize(
    "request_field",
    ["holdingIdentity", "virtualNode", "tenant", "tenantId", "groupId", "cpiFileChecksum"],
)
def test_a_guest_cannot_name_another_identity_in_a_call(world, request_field):
    code = f"""
result = flow.flow_engine._api.call("persistence", "read", {{
    "op": "find-all", "type": "probe_flows.Secret", "offset": 0, "limit": 10,
    {request_field!r}: {world.blue_alice.short_hash!r},
}})
"""
    outcome = world.red_alice.run(code)
    assert "blue" not in json.dumps([outcome.result, outcome.error])


def test_a_flow_of_another_cpi_cannot_be_started(world):
    node = world.red_alice
    start = {"clientRequestId": "x", "flowClassName": "iou_flows.Issue", "requestBody": {}}
    reply = node.client.post(f"/api/v5_2/flow/{node.short_hash}", json={"startFlow": start})
    assert reply.status_code in (400, 404)


def test_load_two_cpis_side_by_side_cannot_use_each_others_digests(world):
    """Code that one CorDapp defines for itself is unknown to the other; the platform's is not."""
    define = "import builtins\nbuiltins.own_digest = lambda data: 'own'\nresult = own_digest(b'')"
    assert world.blue_alice.answer(define) == "own"
    use = "result = 'own_digest' in dir(__builtins__)"
    assert world.red_alice.answer(use) is False
    assert world.blue_alice.answer(use) is False
    platform = "result = flow.digest_service.hash(b'')"
    assert "E3B0C44298FC1C149AFBF4C8996FB924" in world.red_alice.answer(platform).upper()


@pytest.mark.parametrize(
    ("corda", "code"),
    [
        ("retrieving environment fails", "import os\nassert dict(os.environ)"),
        ("retrieving environment fails", "import sys\nassert sys.argv[1:]"),
        ("HTTP connection fails", "import socket\nsocket.create_connection(('127.0.0.1', 80))"),
        ("HTTP connection fails", "import urllib.request as u\nu.urlopen('http://127.0.0.1')"),
        ("testBundleDataPermissions", "open('/etc/passwd').read()"),
        ("testBundleDataPermissions", "open('/tmp/note', 'w').write('x')"),
        ("testBundleDataPermissions", "import os\nassert os.listdir('/')"),
        ("testBundleDataPermissions", "import tempfile\ntempfile.TemporaryFile()"),
        ("execute", "import os\nos.system('id')"),
        ("execute", "import subprocess\nsubprocess.run(['id'])"),
        ("native libraries", "import ctypes\nctypes.CDLL(None)"),
        ("threads", "import threading\nthreading.Thread(target=print).start()"),
        ("clock", "import time\ntime.sleep(1)"),
    ],
)
def test_permission_is_denied(world, corda, code):
    """What Corda's security policy forbids has no implementation inside the sandbox."""
    assert world.red_alice.refusal(code), corda


def test_exiting_ends_the_flow_and_not_the_host(world):
    assert world.red_alice.refusal("import os\nos._exit(0)")
    assert world.red_alice.refusal("raise SystemExit(0)")
    assert world.red_alice.answer("result = 1") == 1


@pytest.mark.parametrize(
    ("interface", "function"),
    [("signing", "sign"), ("ledger", "query"), ("external-messaging", "send")],
)
def test_filtering_for_platform_services(world, interface, function):
    """PlatformServiceFilterTest: a service that the CPK does not declare does not answer."""
    code = f"result = flow.flow_engine._api.call({interface!r}, {function!r}, {{}})"
    assert "is not granted" in world.red_alice.refusal(code)


class TestSecurityManagerBreakout:
    """A guest has no way to change what it may do, not even within its own run."""

    def test_cannot_modify_permissions_by_catching_the_refusal(self, world):
        code = """
for _ in range(3):
    try:
        flow.flow_engine._api.call("signing", "sign", {})
    except BaseException:
        pass
result = "still here"
"""
        assert "is not granted" in world.red_alice.refusal(code)

    def test_cannot_modify_permissions_by_changing_its_declarations(self, world):
        code = """
import sys
for module in list(sys.modules.values()):
    for name in dir(module):
        if "capab" in name.lower() or "grant" in name.lower():
            setattr(module, name, ["signing"])
start = flow.flow_engine.__dict__
start["capabilities"] = start["granted"] = ["signing"]
result = flow.flow_engine._api.call("signing", "sign", {})
"""
        assert "is not granted" in world.red_alice.refusal(code)

    def test_cannot_unset_the_walls_by_calling_the_runtime_below_the_sdk(self, world):
        code = """
import sys
result = []
for name, module in list(sys.modules.items()):
    if "signing" in name or name.endswith("imports"):
        target = getattr(module, "signing", module)
        if hasattr(target, "sign"):
            result.append(target.sign("{}"))
if not result:
    flow.flow_engine._api.call("signing", "sign", {})
"""
        assert "is not granted" in world.red_alice.refusal(code)

    def test_cannot_replace_the_walls_for_the_next_run(self, world):
        poison = """
from cordapp import flows, schema
flows.FlowEngine.virtual_node_name = "O=Mallory"
schema.dumps = lambda value: "poisoned"
SEEN.append("poisoned")
"""
        world.red_alice.answer(poison)
        code = "result = [flow.flow_engine.virtual_node_name, SEEN]"
        assert world.red_alice.answer(code) == ["O=Alice, L=London, C=GB", []]


def test_flows_and_keys_of_a_group_are_not_listed_for_another_node(world):
    """Every resource of a node is reached by its own short hash."""
    world.red_alice.answer("result = 'mine'")
    listed = {
        node.short_hash: world.client.get(f"/api/v5_2/flow/{node.short_hash}").json()
        for node in (world.red_alice, world.blue_carol)
    }
    ids = {
        short_hash: {flow["flowId"] for flow in page["flowStatusResponses"]}
        for short_hash, page in listed.items()
    }
    assert ids[world.red_alice.short_hash]
    assert not ids[world.red_alice.short_hash] & ids[world.blue_carol.short_hash]
    for short_hash, page in listed.items():
        assert all(f["holdingIdentityShortHash"] == short_hash for f in page["flowStatusResponses"])


def test_error_text_names_nothing_of_another_group(world):
    for code in ("raise ValueError('mine')", "import blue_secret", "1 / 0"):
        message = world.red_alice.refusal(code)
        assert world.blue_alice.short_hash not in message
        assert world.blue_alice.group_id not in message
        assert str(world.data_dir) not in message
