"""A member of a dynamic network moves from one real host to another one, with flows in flight."""

import time

import pytest

from tests.network.two_hosts import BOB, MGM

pytestmark = pytest.mark.timeout(600)
ROUNDS, FLOWS = 20, 3
CAROL = "O=Carol, L=London, C=GB"
START = {
    "clientRequestId": "late",
    "flowClassName": "talk_flows.Talk",
    "requestBody": {"peer": BOB, "rounds": 1},
}
PART = 8 * 1024 * 1024
SUM = str(ROUNDS * (ROUNDS + 1))


def _until(host, path, holds):
    return host.host.until(path, holds)


def _transfer(host, request):
    found = _until(
        host, f"/maintenance/transfer/{request}", lambda s: s["status"] in {"SUCCEEDED", "FAILED"}
    )
    assert found["status"] == "SUCCEEDED", found
    return found


def _export(source, node, recipient):
    where = f"/maintenance/virtualnode/{node}/export"
    request = source.asked("POST", where, json={"recipient": recipient}).json()["requestId"]
    size = _transfer(source, request)["bytesTotal"]
    data = b""
    while len(data) < size:
        path = f"/maintenance/transfer/{request}/file?offset={len(data)}"
        data += source.asked("GET", path).content
    return data


def _import(target, data):
    request = target.asked("POST", "/maintenance/import").json()["requestId"]
    for offset in range(0, len(data), PART):
        part = {"part": ("a.cbxnode", data[offset : offset + PART])}
        where = f"/maintenance/import/{request}/part"
        target.asked("PUT", where, data={"offset": str(offset)}, files=part)
    target.asked("POST", f"/maintenance/import/{request}/start", json={})
    return _transfer(target, request)["holdingIdentityShortHash"]


def _place(host, node):
    return host.asked("GET", f"/maintenance/virtualnode/{node}/location").json()


def _activate(target, node, token=None):
    body = {"endpoints": [f"https://{target.gateway}"], "p2pTlsCertificateChainAlias": "tls"}
    if token is not None:
        body["preAuthToken"] = token
    return target.asked("POST", f"/maintenance/virtualnode/{node}/activate", json=body).json()


def _token(hosts, name):
    where = f"/mgm/{hosts.first.nodes[MGM]}/preauthtoken"
    return hosts.first.asked("POST", where, json={"ownerX500Name": name}).json()["id"]


def _talking(hosts, name, count):
    """Onboard a member on the first host that talks with Bob on the second, both ways."""
    first, second = hosts.first, hosts.second
    first.onboard_member(hosts.checksum, name)
    second.sees(BOB, name)
    first.sees(name, BOB)
    for number in range(count):
        first.talk(name, f"there-{number}", BOB, ROUNDS)
        second.talk(BOB, f"{name[2:6]}-{number}", name, ROUNDS)
    return first.nodes[name]


def _check_talks(hosts, host, name, count):
    for number in range(count):
        ended = (
            host.result(name, f"there-{number}"),
            hosts.second.result(BOB, f"{name[2:6]}-{number}"),
        )
        assert [(e["flowStatus"], e["flowResult"]) for e in ended] == [("COMPLETED", SUM)] * 2


def test_a_member_moves_and_its_flows_go_on(two_hosts):
    first, second = two_hosts.first, two_hosts.second
    node = _talking(two_hosts, CAROL, FLOWS)
    begun = time.monotonic()
    recipient = second.asked("GET", "/maintenance/transferkey").json()["recipient"]
    data = _export(first, node, recipient)
    assert _place(first, node)["place"] == "EXPORTED"
    assert first.host.ask("PUT", f"/virtualnode/{node}/state/ACTIVE").status_code == 409
    assert _import(second, data) == node
    assert _place(second, node)["place"] == "IMPORTED"
    _activate(second, node, _token(two_hosts, CAROL))
    _until(second, f"/maintenance/virtualnode/{node}/location", lambda a: a["place"] == "HERE")
    print(f"the node stood still for {time.monotonic() - begun:.1f} s")  # noqa: T201
    second.nodes[CAROL] = node
    _check_talks(two_hosts, second, CAROL, FLOWS)
    _until(first, f"/maintenance/virtualnode/{node}/location", lambda a: a["place"] == "MOVED")
    assert first.asked("GET", f"/key/{node}").json() == {}
    refused = first.host.ask("POST", f"/flow/{node}", json=START)
    assert refused.status_code in {405, 409, 503}, refused.text
