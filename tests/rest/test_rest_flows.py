"""Flows over REST: starting, polling, results, and the API that each node has of its own."""

import pytest

from host.access import Effect, Permission

ANY = "demo.Any"


def start(api, node, request_id, flow_class=ANY, body=None, **more):
    start_flow = {
        "clientRequestId": request_id,
        "flowClassName": flow_class,
        "requestBody": {} if body is None else body,
        **more,
    }
    return api.post(f"/api/v5_2/flow/{node}", json=start_flow)


def ended(polled, node, request_id):
    path = f"/api/v5_2/flow/{node}/{request_id}"
    return polled(path, lambda f: f["flowStatus"] in ("COMPLETED", "FAILED", "KILLED"))


def test_a_started_flow_is_accepted_and_its_failure_told(api, alice, polled):
    reply = start(api, alice, "first")
    assert reply.status_code == 202
    accepted = reply.json()
    assert accepted | {"timestamp": ""} == {
        "holdingIdentityShortHash": alice,
        "clientRequestId": "first",
        "flowId": None,
        "flowStatus": "START_REQUESTED",
        "flowResult": None,
        "flowError": None,
        "timestamp": "",
    }
    failed = ended(polled, alice, "first")
    assert failed["flowStatus"] == "FAILED"
    assert failed["flowId"]
    assert failed["flowError"].keys() == {"type", "code", "message"}
    assert failed["flowError"]["code"] == "cpk-code-refused"
    result = api.get(f"/api/v5_2/flow/{alice}/first/result")
    assert (result.status_code, result.json()["json"]) == (200, None)
    assert result.json()["flowError"] == failed["flowError"]


def test_a_client_request_id_is_taken_once(api, alice):
    assert start(api, alice, "once").status_code == 202
    again = start(api, alice, "once")
    assert again.status_code == 409
    assert again.json()["title"] == (
        "A flow has already been started for the requested holdingId and clientRequestId."
    )


@pytest.mark.parametrize("request_id", ["", "a b", "a/b", "ü", "x" * 243])
def test_a_bad_client_request_id_is_400(api, alice, request_id):
    assert start(api, alice, request_id).status_code == 400


@pytest.mark.parametrize("flow_class", ["demo.Nothing", "demo.Answer", ""])
def test_what_cannot_be_started_is_400_and_says_what_can(api, alice, flow_class):
    reply = start(api, alice, "unknown", flow_class=flow_class)
    assert reply.status_code == 400
    details = reply.json()["details"]
    assert details["startableFlows"] == "demo.Any,demo.Greet"
    assert details["CPI-name"] == "demo"


@pytest.mark.parametrize("body", [{"name": 5}, {}, [], "text", 5])
def test_input_that_does_not_match_the_flows_schema_is_400(api, alice, body):
    reply = start(api, alice, "input", flow_class="demo.Greet", body=body)
    assert reply.status_code == 400
    assert "request body" in reply.json()["title"]


def test_the_refusal_of_an_input_names_the_field(api, alice):
    reply = start(api, alice, "named", flow_class="demo.Greet", body={"name": 5})
    assert reply.json()["details"]["path"] == "$.name"


@pytest.mark.parametrize(
    ("request_id", "body"),
    [("object", {"name": "x"}), ("escaped", '{"name": "x"}'), ("escaped2", ' {"name":\n"x"}')],
)
def test_a_request_body_is_an_object_or_escaped_json(api, alice, request_id, body):
    assert start(api, alice, request_id, flow_class="demo.Greet", body=body).status_code == 202


@pytest.mark.parametrize(
    ("number", "body"), list(enumerate(["text", "", [1, {"a": 2}], 5, False, "[1]"]))
)
def test_a_flow_without_a_schema_takes_any_body(api, alice, number, body):
    assert start(api, alice, f"any-{number}", body=body).status_code == 202


def test_an_escaped_body_with_a_key_twice_is_400(api, alice):
    reply = start(api, alice, "twice", body='{"a": 1, "a": 2}')
    assert reply.json()["details"]["code"] == "json-duplicate-key"


@pytest.mark.parametrize("missing", ["clientRequestId", "flowClassName", "requestBody"])
def test_a_missing_field_is_named(api, alice, missing):
    body = {"clientRequestId": "a", "flowClassName": ANY, "requestBody": {}}
    del body[missing]
    reply = api.post(f"/api/v5_2/flow/{alice}", json={"startFlow": body})
    assert (reply.status_code, reply.json()["details"]["fields"]) == (400, missing)


def test_the_start_may_be_wrapped(api, alice):
    body = {"clientRequestId": "wrapped", "flowClassName": ANY, "requestBody": {}}
    assert api.post(f"/api/v5_2/flow/{alice}", json={"startFlow": body}).status_code == 202


def test_flows_are_listed_by_status(api, alice, polled):
    start(api, alice, "listed")
    ended(polled, alice, "listed")
    path = f"/api/v5_2/flow/{alice}"
    failed = api.get(f"{path}?status=FAILED").json()["flowStatusResponses"]
    assert "listed" in [f["clientRequestId"] for f in failed]
    assert api.get(f"{path}?STATUS=COMPLETED").json() == {"flowStatusResponses": []}
    assert api.get(f"{path}?status=DREAMING").status_code == 400
    since = {"status": "FAILED", "since": "2026-01-01T00:00:00Z"}
    assert api.get(path, params=since).json()["flowStatusResponses"] == failed
    late = {**since, "since": "2999-01-01"}
    assert api.get(path, params=late).json() == {"flowStatusResponses": []}
    assert api.get(path, params={"since": "7"}).status_code == 400


def test_responders_are_listed_on_request(api, alice):
    start(api, alice, "shown-anyway")
    path = f"/api/v5_2/flow/{alice}?responders="
    listed = api.get(f"{path}true").json()["flowStatusResponses"]
    assert "shown-anyway" in [f["clientRequestId"] for f in listed]
    assert api.get(f"{path}perhaps").status_code == 400


def test_unknown_flows_are_404(api, alice):
    assert api.get(f"/api/v5_2/flow/{alice}/nope").status_code == 404
    assert api.get(f"/api/v5_2/flow/{alice}/nope/result").status_code == 404


def test_startable_flows_are_listed(api, alice):
    reply = api.get(f"/api/v5_2/flowclass/{alice}").json()
    assert reply == {"flowClassNames": ["demo.Any", "demo.Greet"]}


def test_a_flow_needs_a_permission_of_its_own(api, services, alice):
    allowed = (
        Permission(effect=Effect.ALLOW, pattern="POST:/api/v5_2/flow/.*"),
        Permission(effect=Effect.ALLOW, pattern="StartFlow:demo.Greet"),
    )
    services.users.create("starter", "pw", full_name="", permissions=allowed)
    api.auth = ("starter", "pw")
    refused = start(api, alice, "forbidden")
    assert (refused.status_code, refused.json()["details"]["action"]) == (403, "StartFlow:demo.Any")
    assert (
        start(api, alice, "granted", flow_class="demo.Greet", body={"name": "x"}).status_code == 202
    )


def test_a_node_describes_its_flows_as_typed_operations(api, alice):
    document = api.get(f"/nodes/{alice}/openapi.json").json()
    assert set(document["paths"]) == {"/flows/demo.Any", "/flows/demo.Greet"}
    operation = document["paths"]["/flows/demo.Greet"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"] == {"name": {"type": "string"}}
    assert document["servers"] == [{"url": f"/nodes/{alice}"}]


def test_a_typed_operation_starts_the_flow_with_its_body(api, alice):
    path = f"/nodes/{alice}/flows/demo.Greet"
    started = api.post(path, json={"name": "x"})
    assert started.status_code == 202
    request_id = started.json()["clientRequestId"]
    assert api.get(f"/api/v5_2/flow/{alice}/{request_id}").status_code == 200
    assert api.post(path, json={"name": 5}).status_code == 400
    named = api.post(f"{path}?clientRequestId=typed", json={"name": "x"})
    assert named.json()["clientRequestId"] == "typed"
    api.auth = None
    assert api.get(f"/nodes/{alice}/openapi.json").status_code == 401
