"""Rules for every request: who, how long, in which letter case, and the shape of refusals."""

import json

import anyio
import pytest
from starlette.requests import Request

from host.access import Effect, Permission
from host.domain.errors import HostError, StorageError
from host.rest.errors import STATUS_OF, refusal

ALICE = "O=Alice, L=London, C=GB"
HELLO = "/api/v5_2/hello?addressee=Bob"
SELF_PASSWORD = "/api/v5_2/user/selfpassword"


def test_hello_answers_plain_text_that_calls_itself_json(api):
    reply = api.post(HELLO)
    assert (reply.status_code, reply.text) == (200, "Hello, Bob! (from admin)")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic %%%",
        "Basic YWRtaW4=",
        "Basic /////w==",
        "Bearer abc",
        "Basic " + "A" * 8000,
        "Basic YWRtaW46d3Jvbmc=",
    ],
)
def test_missing_malformed_and_wrong_credentials_are_401(api, header):
    api.auth = None
    reply = api.post(HELLO, headers={} if header is None else {"authorization": header})
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith('Basic realm="')
    assert reply.json()["details"]["code"] == "not-authenticated"


def test_credentials_that_are_given_twice_are_none(api):
    good, wrong = ("authorization", "Basic YWRtaW46c2VjcmV0"), ("authorization", "Basic YTpi")
    api.auth = None
    for headers in ([good, wrong], [wrong, good], [good, good]):
        reply = api.post(HELLO, headers=headers)
        assert (reply.status_code, reply.json()["details"]["code"]) == (401, "not-authenticated")
    assert api.post(HELLO, headers=[good]).status_code == 200


def test_login_names_are_case_insensitive(api):
    assert api.post(HELLO, auth=("ADMIN", "secret")).status_code == 200
    assert api.post(HELLO, auth=("admin", "SECRET")).status_code == 401


def test_what_no_permission_allows_is_403_but_the_protocol_version_needs_none(api, services):
    permission = Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_2/cpi")
    services.users.create("viewer", "pw", full_name="", permissions=(permission,))
    api.auth = ("viewer", "pw")
    refused = api.post(HELLO)
    assert refused.status_code == 403
    assert refused.json()["details"]["action"] == "POST:/api/v5_2/hello?addressee=Bob"
    assert api.get("/api/v5_2/hello/getprotocolversion").json() == 50200
    api.auth = None
    assert api.get("/api/v5_2/hello/getprotocolversion").status_code == 401


def test_the_error_shape_is_cordas(api):
    body = api.get("/api/v5_2/user/nobody").json()
    assert body == {
        "title": "user 'nobody' does not exist",
        "status": 404,
        "details": {
            "cause": "NotFoundError",
            "reason": "user 'nobody' does not exist",
            "code": "not-found",
            "kind": "user",
            "id": "nobody",
        },
    }


def test_clients_do_not_learn_where_the_host_keeps_its_files():
    lost = StorageError("database /srv/data/x.sqlite: lost", path="/srv/data/x.sqlite")
    reply = anyio.run(refusal, Request({"type": "http", "headers": []}), lost)
    assert reply.status_code == 500
    assert b"/srv" not in reply.body
    assert json.loads(reply.body)["title"] == "database x.sqlite: lost"


def test_errors_are_plain_text_for_clients_that_take_no_json(api):
    reply = api.get("/api/v5_2/user/nobody", headers={"accept": "text/html"})
    assert reply.text == "user 'nobody' does not exist"
    assert reply.headers["content-type"].startswith("text/plain")


def test_every_refusal_of_the_host_has_a_status():
    def subclasses(kind):
        return {kind}.union(*(subclasses(s) for s in kind.__subclasses__()))

    for kind in subclasses(HostError):
        assert any(base in STATUS_OF for base in kind.__mro__), kind


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/api", "/api/v5_2", "/api/v9_9/cpi", "/api/v5_2/no"]
)
def test_unknown_paths_are_404_in_the_same_shape(api, path):
    reply = api.get(path)
    assert reply.status_code == 404
    assert reply.json()["details"]["code"] == "path-unknown"


def test_a_wrong_method_is_405_in_the_same_shape(api):
    reply = api.delete("/api/v5_2/hello")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert reply.json()["details"]["code"] == "method-not-allowed"


def test_a_missing_query_key_is_named(api):
    reply = api.post("/api/v5_2/hello")
    assert reply.status_code == 400
    assert reply.json()["details"]["fields"] == "addressee"


def test_query_keys_are_case_insensitive_and_values_are_not(api):
    assert "Ünï/Böb" in api.post("/api/v5_2/hello", params={"Addressee": "Ünï/Böb"}).text


def test_upper_case_paths_are_redirected_and_parameters_keep_their_case(api):
    reply = api.get("/api/v5_2/USER/Admin/PermissionSummary?X=y")
    assert reply.status_code == 301
    assert reply.headers["location"] == "/api/v5_2/user/Admin/permissionsummary?X=y"
    assert api.post("/api/v5_2/Hello?addressee=A").status_code == 301


def test_a_slash_at_the_end_of_a_path_changes_nothing(api, services):
    # Corda's documentation uploads to `/cpi/`.
    assert api.get("/api/v5_2/user/admin/").json() == api.get("/api/v5_2/user/admin").json()
    assert api.post("/api/v5_2/hello/?addressee=Bob").text == "Hello, Bob! (from admin)"
    assert api.get("/api/v5_2/user/admin//").status_code == 404
    permission = Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_2/cpi")
    services.users.create("slash-viewer", "pw", full_name="", permissions=(permission,))
    assert api.get("/api/v5_2/cpi/", auth=("slash-viewer", "pw")).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "request-invalid"),
        (b"{}", "request-invalid"),
        (b"null", "request-invalid"),
        (b"[]", "request-invalid"),
        (b"{", "json-invalid"),
        (b'{"password": null}', "request-invalid"),
        (b'{"password": 5}', "request-invalid"),
        (b'{"Password": "x"}', "request-invalid"),
        (b'{"password": "a", "password": "b"}', "json-duplicate-key"),
        (b'{"password": ""}', "user-invalid"),
    ],
)
def test_bad_bodies_are_400_with_a_code(api, body, code):
    reply = api.post(SELF_PASSWORD, content=body)
    assert reply.status_code == 400
    assert reply.json()["details"]["code"] == code


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "text/plain", "application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize("body", ['{"password": "new"}', '{"request": {"password": "new"}}'])
def test_bodies_are_bare_or_wrapped_whatever_their_type_says(api, somebody, body, content_type):
    headers = {} if content_type is None else {"content-type": content_type}
    api.auth = somebody
    assert api.post(SELF_PASSWORD, content=body.encode(), headers=headers).status_code == 200
    assert api.post(HELLO).status_code == 401
    assert api.post(HELLO, auth=(somebody[0], "new")).status_code == 200


def test_a_body_that_announces_too_much_is_refused_before_it_is_read(api):
    reply = api.post(SELF_PASSWORD, content=b"x" * 100_001)
    assert reply.status_code == 400
    assert reply.json()["title"] == (
        "Content length is 100001 which exceeds the maximum limit of 100000."
    )
    assert reply.headers["connection"] == "close"


def test_a_body_that_grows_too_long_is_refused_while_it_streams(api):
    reply = api.post(SELF_PASSWORD, content=(b"x" * 1000 for _ in range(101)))
    assert reply.status_code == 400
    assert "exceeds the maximum limit of 100000." in reply.json()["title"]


def test_json_is_limited_apart_from_uploads(tmp_path, host_on, client_of):
    limit = {"rest_max_content_length": 100_000_000}
    with host_on(tmp_path, **limit) as host, client_of(host) as client:
        fits = b'{"password": ' + b" " * 1_000_000 + b'"secret"}'
        assert client.post(SELF_PASSWORD, content=fits).status_code == 200
        reply = client.post(SELF_PASSWORD, content=b" " * (16 * 1024 * 1024 + 1))
        assert (reply.status_code, reply.json()["details"]["code"]) == (400, "json-too-long")


def test_strangers_cannot_make_the_host_parse_a_body(api):
    api.auth = None
    assert api.post(SELF_PASSWORD, content=b"{{{").status_code == 401


def test_the_versions_have_the_operations_that_corda_gave_them(api):
    assert api.get("/api/v5_1/cpi/getprotocolversion").status_code == 200
    assert api.get("/api/v5_3/cpi/getprotocolversion").status_code == 404
    assert api.post("/api/v5_1/user/selfpassword", json={"password": "x"}).status_code == 405
    for version in ("v5_1", "v5_2", "v5_3"):
        assert api.get(f"/api/{version}/user/admin").json()["loginName"] == "admin"


def test_health_and_metrics_need_no_credentials(api):
    api.post(HELLO)
    api.auth = None
    assert api.get("/status").json() == {"status": "OK"}
    assert api.get("/isHealthy").status_code == 200
    metrics = api.get("/metrics").text
    hello = 'method="POST",route="/hello",status="200"'
    assert f"cordbox_rest_requests_total{{{hello}}}" in metrics


def test_permissions_of_a_user_are_shown(api):
    reply = api.get("/api/v5_2/user/admin/permissionsummary").json()
    assert reply["permissions"][0]["permissionString"] == ".*"


LONG = "x" * 300_000


def test_no_refusal_repeats_a_long_value(api, alice):
    flow = {"clientRequestId": LONG, "flowClassName": "demo.Any", "requestBody": {}}
    node = {"cpiFileChecksum": LONG, "x500Name": f"O={LONG}, L=London, C=GB"}
    for reply in (
        api.post(f"/api/v5_2/flow/{alice}", json=flow),
        api.post(f"/api/v5_2/flow/{alice}", json={**flow, "clientRequestId": "ok", LONG: 1}),
        api.post(
            f"/api/v5_2/flow/{alice}",
            json={**flow, "clientRequestId": "ok", "flowClassName": LONG},
        ),
        api.post("/api/v5_2/virtualnode", json=node),
        api.post("/api/v5_2/virtualnode", json={**node, "x500Name": ALICE}),
        api.post("/api/v5_2/user/otheruserpassword", json={"username": LONG, "password": "x"}),
        api.post("/api/v5_2/user/otheruserpassword", content=f'{{"{LONG}": 1, "{LONG}": 1}}'),
        api.get(f"/api/v5_2/user/{'x' * 2000}"),
        api.get(f"/api/v5_2/flow/{alice}?status={'x' * 16_000}"),
        api.get(f"/api/v5_2/flow/{alice}?{'x' * 16_000}=1"),
        api.get(f"/api/v5_2/{LONG[:60_000]}"),
        api.request("X" * 5000, "/api/v5_2/hello"),
    ):
        assert reply.status_code >= 400 or "flowStatus" in reply.text
        assert len(reply.content) < 10_000, reply.text[:200]


def test_the_allow_header_names_all_methods_of_a_path(api, alice):
    for path, methods in (
        (f"/flow/{alice}", "GET, POST"),
        ("/cpi", "GET, POST"),
        ("/flow/getprotocolversion", "GET, POST"),
        (f"/virtualnode/{alice}/quota", "GET, PUT"),
        ("/hello", "POST"),
    ):
        reply = api.delete(f"/api/v5_2{path}")
        assert (reply.status_code, reply.headers["allow"]) == (405, methods), path


def test_text_is_called_text_when_no_json_is_accepted(api):
    reply = api.post(HELLO, headers={"accept": "text/plain"})
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert api.post(HELLO, headers={"accept": "*/*"}).headers["content-type"] == "application/json"


@pytest.mark.parametrize("character", ["%0A", "%0D", "%00", "%09", "%7F", "%E2%80%AE"])
def test_a_path_with_an_invisible_character_is_refused(api, character):
    reply = api.get(f"/api/v5_2/cpi{character}")
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "request-invalid")
    assert "unprintable character U+" in reply.json()["title"]


@pytest.mark.parametrize("kind", ["vault", "crypto", "uniqueness"])
@pytest.mark.parametrize("user", ["Ddl", "Dml"])
def test_a_database_that_would_be_ignored_is_refused(api, kind, user):
    name = f"{kind}{user}Connection"
    node = {"cpiFileChecksum": "0123456789AB", "x500Name": ALICE, name: "jdbc:x"}
    reply = api.post("/api/v5_2/virtualnode", json=node)
    assert (reply.status_code, reply.json()["details"]["fields"]) == (400, name)
    assert "the host's own" in reply.json()["details"]["reason"]
    reply = api.post("/api/v5_2/virtualnode", json={**node, name: None})
    assert "No CPI metadata" in reply.json()["title"]


@pytest.mark.parametrize("state", ["maintenance", "Maintenance", "MAINTENANCE"])
def test_the_state_of_a_node_is_taken_in_any_letter_case(api, alice, state):
    path = f"/api/v5_2/virtualnode/{alice}"
    reply = api.put(f"{path.lower()}/state/{state}")
    assert reply.json() == {"holdingIdShortHash": alice, "newState": "MAINTENANCE"}
    assert api.get(path).json()["flowOperationalStatus"] == "INACTIVE"
    assert api.put(f"{path}/state/active").json()["newState"] == "ACTIVE"
    assert api.get(path).json()["flowOperationalStatus"] == "ACTIVE"
    assert api.put(f"{path}/state/asleep").status_code == 400


def test_the_document_has_the_errors_that_are_answered_and_patterns_of_its_parameters(api):
    document = api.get("/api/v5_2/swagger.json").json()
    schema = document["components"]["schemas"]["ErrorResponse"]
    error = api.get("/api/v5_2/user/nobody").json()
    assert set(schema["required"]) == set(error)
    named = {"kind", "id"}  # what is absent; other refusals have other details
    assert set(schema["properties"]["details"]["required"]) == set(error["details"]) - named
    assert "ValidationError" not in json.dumps(document)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            for status, response in operation["responses"].items():
                assert (status < "400") or "ErrorResponse" in json.dumps(response["content"]), path
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"].endswith(
                    ("shorthash", "shortid")
                ):
                    assert parameter["schema"]["pattern"] == "^[0-9A-Fa-f]{12}$"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "mgm/0123456789AB/suspend", {"x500Name": {}}),
        ("POST", "mgm/0123456789AB/preauthtoken", {"ownerX500Name": [], "ttl": "P1D"}),
        ("POST", "permission/bulk", {"permissionsToCreate": [], "roleIds": [{}]}),
        ("GET", f"key/p2p?skip={2**70}", None),
        ("GET", "administrativelog?until=0.5", None),
    ],
)
def test_values_of_other_types_and_sizes_are_refused(api, method, path, body):
    reply = api.request(method, f"/api/v5_2/{path}", json=body)
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "request-invalid")
