"""Moves over REST: who may not export a node exports no group of it; what has left is not changed."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from host.access import Action, Effect, Permission
from host.domain.ids import ShortHash
from host.ports.locations import Place
from host.rest.nodes_elsewhere import refuse_elsewhere
from tests.rest.conftest import GROUP_ID

BASE = "/api/v5_2"
GROUP = f"{BASE}/maintenance/group/{GROUP_ID}"
RECIPIENT = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"
CONTEXT = {"memberRegistrationRequest": {"context": {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}}}
ACTS = (
    ("POST", f"{GROUP}/export", {"recipient": RECIPIENT}),
    ("POST", f"{GROUP}/export/cancel", {"unfenced": True}),
    ("POST", f"{GROUP}/moved", {"exportId": GROUP_ID, "recipient": RECIPIENT}),
    ("POST", f"{GROUP}/activate", {"unfenced": True}),
    ("GET", f"{GROUP}/location", None),
)


@pytest.fixture(scope="module")
def member(data_dir, cpi, host):
    """Makes Alice a member once."""
    return {}


@pytest.fixture
def alice_member(api, alice, member):
    if not member:
        member["request"] = api.post(f"{BASE}/membership/{alice}", json=CONTEXT).json()
        assert member["request"]["registrationStatus"] == "SUBMITTED", member
    return alice


def _auth(services, name, *denied, node=None):
    everything = Permission(effect=Effect.ALLOW, pattern=".*")
    denies = [Permission(effect=Effect.DENY, pattern=each, virtual_node=node) for each in denied]
    services.users.create(name, "w", full_name="", permissions=(everything, *denies))
    return name, "w"


@pytest.mark.parametrize("how", ["bound", "spelt", "lower", "operation"])
def test_who_is_denied_a_node_does_nothing_with_its_group(api, alice_member, services, how):
    node = alice_member
    pattern = {
        "bound": ".*",
        "spelt": f".*{node}.*",
        "lower": f".*/{node.lower()}/.*",
        "operation": r"(GET|POST):/api/v5_[123]/maintenance/virtualnode/.*",
    }[how]
    bound = ShortHash(node) if how == "bound" else None
    auth = _auth(services, f"denied-{how}", pattern, node=bound)
    for method, path, body in ACTS:
        reply = api.request(method, path, json=body, auth=auth)
        assert reply.status_code == 403, (path, reply.text)
    assert api.get(f"{GROUP}/location").json()["nodes"][0]["place"] == "HERE"


def test_nothing_of_a_node_that_has_left_is_changed(api, alice_member, services, polled):
    node = alice_member
    exported = api.post(f"{GROUP}/export", json={"recipient": RECIPIENT}).json()
    (export,) = exported["exports"]
    bound = _auth(services, "denied-file", ".*", node=ShortHash(node))
    for path in ("", "/file"):
        transfer = f"{BASE}/maintenance/transfer/{export['requestId']}{path}"
        assert api.get(transfer, auth=bound).status_code == 403
    transfer = f"{BASE}/maintenance/transfer/{export['requestId']}"
    size = polled(transfer, lambda found: found["status"] == "SUCCEEDED")["bytesTotal"]
    for offset, there in ((0, size), (size - 1, 1), (size, 0), (2**63, 0), (10**30, 0)):
        reply = api.get(f"{transfer}/file?offset={offset}")
        assert (reply.status_code, len(reply.content)) == (200, there), (offset, reply.text)
    key = f"{BASE}/key/{node}/alias/late/category/LEDGER/scheme/CORDA.ECDSA.SECP256R1"
    start = {"clientRequestId": "late", "flowClassName": "demo.Any", "requestBody": {}}
    changes = (
        ("POST", key, {}),
        ("POST", f"{BASE}/flow/{node}", start),
        ("POST", f"{BASE}/flow/{node}/early/kill", {}),
        ("POST", f"/nodes/{node}/flows/demo.Any", {}),
        ("PUT", f"{BASE}/virtualnode/{node}/quota", {"overrides": {}}),
        ("PUT", f"{BASE}/virtualnode/{node}/state/active", {}),
        ("POST", f"{BASE}/virtualnode/{node}/vault/rebuild", {}),
        ("POST", f"{BASE}/hsm/soft/{node}/TLS", {}),
    )
    for method, path, body in changes:
        reply = api.request(method, path, json=body)
        assert (reply.status_code, reply.json()["details"]["code"]) == (
            409,
            "virtual-node-elsewhere",
        ), (path, reply.text)
    assert api.get(f"{BASE}/key/{node}").status_code == 200  # it can be looked at
    back = api.post(f"{GROUP}/export/cancel", json={"unfenced": True}).json()
    assert [each["place"] for each in back["nodes"]] == ["HERE"]
    assert api.post(f"{BASE}/hsm/soft/{node}/TLS", json={}).status_code == 200


def test_the_database_is_not_asked_on_the_event_loop(alice):
    asked = []

    def place(node):
        asked.append((node, threading.current_thread()))
        return Place.HERE

    services = SimpleNamespace(moves=SimpleNamespace(place=place))
    action = Action(allowed_as=("x",), denied_as=frozenset(), node=ShortHash(alice))
    for method, template in (
        ("POST", "/flow/{holdingidentityshorthash}"),
        ("GET", "/flow/{holdingidentityshorthash}"),
        ("POST", "/maintenance/virtualnode/{holdingidentityshorthash}/export"),
    ):
        asyncio.run(refuse_elsewhere(services, method, template, action))
    ((node, thread),) = asked
    assert node == alice
    assert thread is not threading.current_thread()
