"""Flows of members on two real hosts, through real gateways."""

import http.client
import json
import ssl
import time

import pytest

from host.ports.link import CONTENT_TYPE
from tests.network.two_hosts import ALICE, BOB
from tests.support.metrics_page import compared_with_page

pytestmark = pytest.mark.timeout(600)

ROUNDS = 5
GATEWAY = "corda.p2p.gateway"


def test_flows_of_two_hosts_talk_in_both_directions(two_hosts):
    first, second = two_hosts.first, two_hosts.second
    first.talk(ALICE, "there", BOB, ROUNDS)
    second.talk(BOB, "back", ALICE, ROUNDS)
    ended = first.result(ALICE, "there"), second.result(BOB, "back")
    expected = ("COMPLETED", str(ROUNDS * (ROUNDS + 1)))
    assert [(e["flowStatus"], e["flowResult"]) for e in ended] == [expected, expected]


def test_a_trace_goes_on_at_the_member_of_the_other_host(two_hosts):
    """As a property of the session's first message: no header and no frame has a field for it."""
    first, trace, above = two_hosts.first, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    body = {
        "clientRequestId": "traced",
        "flowClassName": "talk_flows.CompareTraces",
        "requestBody": BOB,
    }
    headers = {"traceparent": f"00-{trace}-{above}-01"}
    first.asked("POST", f"/flow/{first.nodes[ALICE]}", json=body, headers=headers)
    spans = [each.split("-") for each in json.loads(first.result(ALICE, "traced")["flowResult"])]

    assert [(version, of, flags) for version, of, _, flags in spans] == [("00", trace, "01")] * 2
    assert len({above, *(span for _, _, span, _ in spans)}) == 3
    assert json.loads(_untraced(two_hosts)["flowResult"]) == ["", ""]


def _untraced(two_hosts):
    """The same flow of the second host, which has no plugin that takes traces."""
    second = two_hosts.second
    started = second.host.flow(BOB, "untraced", "talk_flows.CompareTraces", ALICE)
    assert started.status_code == 202, started.text
    return second.result(BOB, "untraced")


def test_a_member_pings_one_on_the_other_host_and_sees_its_sessions(two_hosts):
    first, second = two_hosts.first, two_hosts.second
    there, back = f"/network/{first.nodes[ALICE]}", f"/network/{second.nodes[BOB]}"
    pong = first.asked("POST", f"{there}/ping", json={"x500Name": BOB}).json()
    assert 0 <= pong["milliseconds"] < 10_000
    assert pong["softwareVersion"].startswith("cordbox ")
    peers = first.asked("GET", f"{there}/peers").json()["peers"]
    assert {(p["x500Name"], p["route"]) for p in peers} >= {(BOB, "LINK"), (ALICE, "HERE")}
    (bob,) = (peer for peer in peers if peer["x500Name"] == BOB)
    assert (bob["sessions"]["outbound"], bob["lastError"]) == (1, None)
    assert bob["endpoints"] == [{"url": f"https://{second.gateway}", "failures": 0}]
    of_bob = second.asked("GET", f"{back}/peers?o=Alice").json()["peers"]
    assert [(p["x500Name"], p["sessions"]["inbound"] > 0) for p in of_bob] == [(ALICE, True)]


def test_metrics_of_links_and_membership_are_those_of_the_page(two_hosts):
    text = two_hosts.first.asked("GET", f"{two_hosts.first.host.url}/metrics").text
    seen, wrong = compared_with_page(text)
    assert wrong == []
    assert seen >= {
        "cordbox_link_sessions",
        "cordbox_link_queue_messages",
        "cordbox_link_handshakes",
        "cordbox_membership_registrations",
        "cordbox_membership_list_lag_versions",
        "cordbox_network_certificate_expiry_seconds",
        "cordbox_gateway_post_bytes",
        "cordbox_gateway_request_bytes",
    }


def test_a_setting_of_a_running_gateway_changes_over_rest(two_hosts):
    first = two_hosts.first

    def put(config):
        version = first.asked("GET", f"/config/{GATEWAY}").json()["version"]
        body = {"section": GATEWAY, "version": version, "config": config}
        first.asked("PUT", "/config", json={**body, "schemaVersion": {"major": 1, "minor": 0}})

    assert status_of_large_request(first) == 400, "of no protocol"
    put({"maxRequestSize": 10_000_000})
    try:
        polled_until(lambda: status_of_large_request(first) == 413)
    finally:
        put({})
    polled_until(lambda: status_of_large_request(first) == 400)


def status_of_large_request(host):
    """The status of a request to a host's gateway whose head names eleven megabytes."""
    address, _, port = host.gateway.rpartition(":")
    context = ssl.create_default_context(cadata=host.ca.root_pem)
    connection = http.client.HTTPSConnection(address, int(port), context=context, timeout=30)
    connection.putrequest("POST", "/")
    connection.putheader("content-type", CONTENT_TYPE)
    connection.putheader("content-length", "11000000")
    connection.endheaders(bytes(64))
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def polled_until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_each_flow_completes_once_though_either_host_is_killed_on_the_way(two_hosts):
    first, second = two_hosts.first, two_hosts.second
    before = second.host.all_statuses(BOB)
    requests = [f"killed-{number}" for number in range(8)]
    for request in requests:
        first.talk(ALICE, request, BOB, 20)
    for host in (second, first):
        host.kill()
        host.start()
    ended = [first.result(ALICE, request) for request in requests]
    assert {(e["flowStatus"], e["flowResult"]) for e in ended} == {("COMPLETED", "420")}
    path = f"/flow/{second.nodes[BOB]}?responders=true"
    second.host.until(
        path,
        lambda a: all(f["flowStatus"] == "COMPLETED" for f in a["flowStatusResponses"]),
    )
    after = second.host.all_statuses(BOB)
    assert after["COMPLETED"] - before["COMPLETED"] == len(requests)
