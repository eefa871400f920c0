"""Quotas and usage over REST."""

from host.access.permissions import Effect, Permission
from host.domain.accounts import Account
from host.domain.quotas import QUOTA_NAMES, Quota
from host.ports.bus import NewRecord
from host.ports.topics import Retention
from host.ports.units import Unit
from host.rest.wire import camel_case

API = "/api/v5_2/virtualnode"


def test_a_quota_is_set_as_a_whole_and_shown(api, alice):
    shown = api.get(f"{API}/{alice}/quota").json()
    assert set(shown["quota"]) == {camel_case(name) for name in QUOTA_NAMES}
    assert (shown["quota"], shown["overrides"]) == (shown["defaults"], {})
    body = {"request": {"overrides": {"fuelMax": 12345, "flowsOpenMax": 7}}}
    changed = api.put(f"{API}/{alice}/quota", json=body)
    assert changed.status_code == 200, changed.text
    assert changed.json()["quota"] == {
        **shown["defaults"],
        "fuelMax": 12345,
        "flowsOpenMax": 7,
    }
    assert api.get(f"{API}/{alice}/quota").json() == changed.json()
    assert api.put(f"{API}/{alice}/quota", json={"overrides": {}}).json() == shown


def test_what_is_no_quota_is_refused(api, alice):
    for overrides, code in (
        ({"joules": 1}, "quota-invalid"),
        ({"fuelMax": 0}, "quota-invalid"),
        ({"fuelMax": 2**53}, "quota-invalid"),
        ({"fuel_max": 1}, "quota-invalid"),
        ({"fuelMax": "1"}, "request-invalid"),
        ({"fuelMax": True}, "request-invalid"),
        ({"fuelMax": 1.0}, "request-invalid"),
        ({f"x{n}": 1 for n in range(1000)}, "request-invalid"),
        ([], "request-invalid"),
    ):
        reply = api.put(f"{API}/{alice}/quota", json={"overrides": overrides})
        assert reply.status_code == 400, overrides
        assert reply.json()["details"]["code"] == code, overrides
    assert api.get(f"{API}/{alice}/quota").json()["overrides"] == {}


def test_a_node_that_does_not_exist_has_no_quota(api):
    for path in ("quota", "usage"):
        assert api.get(f"{API}/000000000000/{path}").status_code == 404
        assert api.get(f"{API}/nonsense/{path}").status_code == 400
    assert api.put(f"{API}/000000000000/quota", json={"overrides": {}}).status_code == 404


def test_only_who_may_sets_a_quota(api, alice, services):
    only_reads = Permission(effect=Effect.ALLOW, pattern="GET:.*")
    services.users.create("reader", "first", full_name="R", permissions=(only_reads,))
    auth = ("reader", "first")
    assert api.get(f"{API}/{alice}/quota", auth=auth).status_code == 200
    reply = api.put(f"{API}/{alice}/quota", json={"overrides": {}}, auth=auth)
    assert reply.status_code == 403


def test_usage_shows_what_a_flow_ran_into(api, alice, polled):
    before = api.get(f"{API}/{alice}/usage").json()["runs"]
    body = {"clientRequestId": "u1", "flowClassName": "demo.Any", "requestBody": None}
    assert api.post(f"/api/v5_2/flow/{alice}", json={"startFlow": body}).status_code == 202
    polled(f"/api/v5_2/flow/{alice}/u1", lambda s: s["flowStatus"] == "FAILED")
    used = api.get(f"{API}/{alice}/usage").json()
    assert used["runs"] == before + 1
    assert used["storageBytes"] == 0, "a vault is made when it is first used"
    assert used["flowsOpen"] == 0
    assert used["since"].endswith("Z")
    accounts, quota = used["accounts"], Quota()
    assert set(accounts) == {account.value for account in Account}
    for account in Account:
        assert accounts[account]["bytesMax"] == quota.account_max(account), account
    assert accounts["status"]["bytes"] > 0
    assert [accounts[name]["bytes"] for name in ("journal", "parked", "vault")] == [0] * 3
    assert accounts["bus"]["bytes"] == 0, "a start leaves nothing on the bus"
    assert 'cordbox_account_bytes{account="status"}' in api.get("/metrics").text


def test_a_start_without_room_on_the_bus_is_507_with_the_account(api, alice, services):
    store = services.flows._store
    kept = NewRecord(topic="ext.test", key="k", value=b"x" * (1 << 20), owner=alice)
    store.commit(Unit(records=(kept,)))
    services.quotas.set_overrides(alice, {"bus_bytes_max": 1 << 20})
    try:
        body = {"clientRequestId": "full", "flowClassName": "demo.Any", "requestBody": None}
        refused = api.post(f"/api/v5_2/flow/{alice}", json={"startFlow": body})
    finally:
        services.quotas.set_overrides(alice, {})
        store.expire("ext.test", Retention(bytes_max=0))
    assert refused.status_code == 507, refused.text
    details = refused.json()["details"]
    assert (details["code"], details["account"]) == ("quota-exceeded", "bus")
    assert api.get(f"/api/v5_2/flow/{alice}/full").status_code == 404
    hits = api.get(f"{API}/{alice}/usage").json()["hits"]
    assert hits["quota-exceeded:bus"]["count"] == 1


def test_a_start_beyond_the_open_flows_is_refused(api, alice, services):
    body = {"clientRequestId": "too-many", "flowClassName": "demo.Any", "requestBody": None}
    quota = api.get(f"{API}/{alice}/quota").json()["defaults"]["flowsOpenMax"]
    assert quota == Quota().flows_open_max
    services.quotas.set_overrides(alice, {"flows_open_max": 1})
    try:
        replies = [
            api.post(
                f"/api/v5_2/flow/{alice}",
                json={"startFlow": {**body, "clientRequestId": f"many-{n}"}},
            )
            for n in range(20)
        ]
    finally:
        services.quotas.set_overrides(alice, {})
    codes = {reply.status_code for reply in replies}
    assert codes <= {202, 503}
    refused = [reply for reply in replies if reply.status_code == 503]
    assert all(reply.json()["details"]["code"] == "flows-too-many" for reply in refused)


def test_a_refused_value_is_named_as_the_request_names_it(api, alice):
    reply = api.put(f"{API}/{alice}/quota", json={"overrides": {"fuelPerSecondMax": -1}})
    assert reply.json()["details"]["reason"].startswith("quota fuelPerSecondMax is -1, expected")
