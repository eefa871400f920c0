"""What needs an operator, lists of all nodes and flows, where a flow stands, search: over REST."""

from functools import partial

import pytest

from host.rest.flow_glances import stopped_here
from tests.rest.conftest import ALICE, BOB, GROUP_ID

API = "/api/v5_3"


@pytest.fixture
def started(api, alice, polled):
    """Starts a flow that fails, since its code is missing."""

    def start(request_id):
        body = {"clientRequestId": request_id, "flowClassName": "demo.Any", "requestBody": {}}
        reply = api.post(f"{API}/flow/{alice}", json=body)
        assert reply.status_code == 202, reply.text
        path = f"{API}/flow/{alice}/{request_id}"
        return polled(path, lambda s: s["flowStatus"] in ("FAILED", "COMPLETED"))

    return start


@pytest.fixture
def bob(api, node_of):
    """Short hash of the virtual node Bob, made once."""
    found = api.get(f"{API}/glance/virtualnode", params={"q": BOB}).json()["virtualNodes"]
    return found[0]["shortHash"] if found else node_of(BOB)


def test_a_host_tells_what_needs_an_operator_and_its_numbers(api, alice, host):
    found = api.get(f"{API}/attention").json()
    assert {f["code"] for f in found["findings"]} <= {"dead-letters", "node-fails", "disk-low"}
    live = api.get(f"{API}/live").json()
    assert live["virtualNodes"] >= 1
    assert len(live["ended"]) == len(live["failed"]) == 60
    assert [w["name"] for w in live["workers"]] == ["host"]
    assert live["diskSizeBytes"] > 0


def test_flows_of_all_nodes_are_listed_in_pages_and_found_by_request(api, alice, started):
    for number in range(3):
        started(f"everywhere-{number}")
    first = api.get(f"{API}/flow", params={"limit": 2})
    assert [f["clientRequestId"] for f in first.json()["flows"]] == ["everywhere-2", "everywhere-1"]
    assert first.json()["flows"][0]["x500Name"] == ALICE
    after = first.headers["Cordbox-Next"]
    second = api.get(f"{API}/flow", params={"limit": 2, "after": after}).json()["flows"]
    assert second[0]["clientRequestId"] == "everywhere-0"
    failed = api.get(f"{API}/flow", params={"status": "FAILED"}).json()["flows"]
    assert {f["flowStatus"] for f in failed} == {"FAILED"}
    assert api.get(f"{API}/flow", params={"status": "OPEN"}).json()["flows"] == []
    assert api.get(f"{API}/flow", params={"status": "ODD"}).status_code == 400
    found = api.get(f"{API}/search", params={"q": "everywhere-"}).json()
    assert (found["form"], len(found["flows"])) == ("word", 3)
    found = api.get(f"{API}/search", params={"q": alice[:12].lower()}).json()
    assert [n["x500Name"] for n in found["virtualNodes"]] == [ALICE]
    found = api.get(f"{API}/search", params={"q": "dem"}).json()
    assert [p["cpiName"] for p in found["packages"]] == ["demo"]


def test_a_flow_tells_where_it_stands(api, alice, started):
    started("standing")
    stands = api.get(f"{API}/flow/{alice}/standing/standing").json()
    assert (stands["kind"], stands["flowStatus"], stands["x500Name"]) == ("failed", "FAILED", ALICE)
    assert stands["title"].startswith("It failed with ")
    assert api.get(f"{API}/flow/{alice}/no-such/standing").status_code == 404


def test_nodes_that_hurt_come_first(api, alice, bob, host, started):
    get = partial(api.get, f"{API}/glance/virtualnode")
    assert api.put(f"{API}/virtualnode/{alice}/state/MAINTENANCE").status_code == 200
    host.services.board._seen = None
    listed = get().json()["virtualNodes"]
    assert next(n["shortHash"] for n in listed) == alice
    assert listed[0]["isActive"] is False
    assert listed[0]["phrase"]
    assert listed[0]["cpiName"] == "demo"
    assert [n["shortHash"] for n in get(params={"q": "BOB"}).json()["virtualNodes"]] == [bob]
    wanted = get(params={"wanted": "maintenance"}).json()["virtualNodes"]
    assert [n["shortHash"] for n in wanted] == [alice]
    page = get(params={"limit": 1})
    after = get(params={"limit": 1, "after": page.headers["Cordbox-Next"]}).json()
    assert [n["shortHash"] for n in after["virtualNodes"]] == [bob]
    assert api.put(f"{API}/virtualnode/{alice}/state/ACTIVE").status_code == 200


def test_members_of_this_cluster_that_do_not_run_are_known(api, services, alice):
    names = (ALICE, BOB)
    assert stopped_here(services, names, GROUP_ID) == {}
    assert api.put(f"/api/v5_3/virtualnode/{alice}/state/PAUSED").status_code == 200
    assert stopped_here(services, names, GROUP_ID) == {ALICE: "PAUSED"}
    assert stopped_here(services, names, "another group") == {}
    assert api.put(f"/api/v5_3/virtualnode/{alice}/state/ACTIVE").status_code == 200


def test_nodes_of_a_package_and_of_a_network_are_counted(api, alice, bob, cpi):
    get = partial(api.get, f"{API}/glance/virtualnode")
    checksum = cpi.file_checksum.partition(":")[2]
    for known in (checksum[:12], checksum.lower()):
        page = get(params={"cpi": known, "limit": 1}).json()
        assert (len(page["virtualNodes"]), page["count"]) == (1, 2)
    assert get(params={"cpi": "0" * 12}).json() == {"virtualNodes": [], "count": 0}
    assert get(params={"cpi": "no hex"}).status_code == 400
    assert get(params={"group": GROUP_ID, "q": "bob"}).json()["count"] == 1
    assert get(params={"group": "another"}).json()["count"] == 0
    assert api.get(f"{API}/glance/group").json()["groups"] == [
        {
            "groupId": GROUP_ID,
            "count": 2,
            "latest": [
                {"shortHash": bob, "x500Name": BOB},
                {"shortHash": alice, "x500Name": ALICE},
            ],
        }
    ]


def test_a_page_of_a_list_that_was_searched_by_a_long_text_has_a_next_page(api, alice, bob):
    get = partial(api.get, f"{API}/glance/virtualnode")
    text = "\N{KELVIN SIGN}" * 199
    assert get(params={"q": text}).status_code == 200
    following = get(params={"limit": 1}).headers["Cordbox-Next"]
    assert len(following) < 300
    assert get(params={"q": text, "after": following}).json()["details"]["code"] == "cursor-invalid"
