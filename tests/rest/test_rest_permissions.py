"""Permissions judge what is done: every operation of the application, in many spellings.

The operations come from the application itself, so that a new one is tried as well.
"""

import base64
import itertools
import json
import os
import re
import socket
import threading

import pytest
import uvicorn
from fastapi import FastAPI

from host.access import Effect, Permission
from host.rest.operation import OpenOperation

REFUSALS = {301, 400, 403, 404, 405, 414}
"""Statuses that mean that nothing was done."""
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
ALLOW_ALL = Permission(effect=Effect.ALLOW, pattern=".*")
VALUES = {
    "loginname": "admin",
    "category": "LEDGER",
    "hsmcategory": "LEDGER",
    "alias": "some-alias",
    "scheme": "CORDA.ECDSA.SECP256R1",
    "usage": "code-signer",
    "newstate": "MAINTENANCE",
    "flowclassname": "demo.Any",
    "clientrequestid": "some-request",
    "transactionid": f"SHA-256D:{'0' * 64}",
    "keyid": "0123456789AB",
    "targetcpifilechecksum": "0123456789AB",
}
BODIES = {
    "/flow/{holdingidentityshorthash}": {
        "clientRequestId": "by-nobody",
        "flowClassName": "demo.Any",
        "requestBody": {},
    },
    "/user/otheruserpassword": {"username": "admin", "password": "taken-over"},
    "/user/selfpassword": {"password": "taken-over"},
    "/virtualnode/{holdingidentityshorthash}/quota": {"overrides": {"flowsOpenMax": 1}},
    "/membership/{holdingidentityshorthash}": {"context": {}},
}


def is_node_parameter(name):
    return name in ("holdingidentityshorthash", "virtualnodeshortid", "tenantid")


def operations(asgi):
    """(base, method, template, query keys) of every operation that asks for a permission."""
    found = []
    for mount in asgi.routes:
        app = getattr(mount, "app", None)
        if not isinstance(app, FastAPI):
            continue
        for template, methods in app.openapi()["paths"].items():
            for method, operation in methods.items():
                if template.endswith("/getprotocolversion"):
                    continue
                keys = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
                found.append((mount.path, method.upper(), template, tuple(keys)))
    return found


def filled(template, node):
    def value(match):
        name = match[1]
        return node if is_node_parameter(name) else VALUES.get(name, "0123456789AB")

    return re.sub(r"\{(\w+)\}", value, template)


def as_pattern(template):
    """The template as operators write it in a permission."""
    return re.sub(r"\{\w+\}", "[^/]+", template.replace(".", r"\."))


ALL_SPELLINGS = os.environ.get("CORDBOX_SPELLINGS") == "all"


def escaped(path):
    return "".join("/" if c == "/" else f"%{ord(c):02X}" for c in path)


def spellings(base, method, path, keys, others):
    """(method, target, headers): what may be taken for `method` on `base` and `path`."""
    head, _, last = path.rpartition("/")
    full = base + path
    yield from (
        (method, target, {})
        for target in (
            full,
            f"{full}?",
            f"{full}?x=1",
            f"{full}?%0a",
            f"{full}?&&",
            f"{full}/",
            f"{full}//",
            f"/{full}",
            f"{base}/{path}",
            f"{base}{path.upper()}",
            f"{base}{path.lower()}",
            f"{base}{path.title()}",
            f"{base}{escaped(path)}",
            f"{base}{head}%2F{last}",
            f"{full};x=1",
            f"{base}{head};x=1/{last}",
            f"{full}%00",
            f"{full}%0A",
            f"{full}%0D%0AX:1",
            f"{full}%20",
            f"{full}%E2%80%8B",
            f"{full}?{'k' * 20000}",
            f"{base}/%2e{path}",
            f"{base}/x/%2e%2e{path}",
            f"{base}{path.replace('k', '%E2%84%AA')}",
            f"{base}{path.replace('A', '%EF%BC%A1')}",
            f"{base}{path.replace('/', '%5C')}",
            f"{full}%3Fx=1",
            f"{full}%23x",
            f"{full}%25",
            *(f"{full}?{key}=1" for key in keys),
            *(f"{full}?{key.upper()}=true&{key}=true" for key in keys),
        )
    )
    yield ("HEAD", full, {})
    yield ("OPTIONS", full, {})
    for other in others:
        yield (other, full, {"x-http-method-override": method, "x-method-override": method})
        yield (other, f"{full}?_method={method}", {})


@pytest.fixture(scope="module")
def everything(host):
    found = operations(host.asgi)
    assert len({(method, template) for _, method, template, _ in found}) > 40
    return found


@pytest.fixture
def user_with(services, request):
    numbers = itertools.count()
    prefix = f"u{abs(hash(request.node.nodeid)) % 10**9}"

    def make(*permissions):
        name = f"{prefix}-{next(numbers)}"
        services.users.create(name, "pw", full_name="", permissions=permissions)
        return name, "pw"

    return make


@pytest.fixture
def state_of_all(api, alice):
    """All that REST can tell, which shows what an operation has done."""

    def look():
        api.auth = ("admin", "secret")
        paths = (
            "/virtualnode",
            "/cpi",
            "/user/admin",
            "/certificate/cluster/code-signer",
            f"/key/{alice}",
            f"/flow/{alice}?responders=true",
            f"/membership/{alice}",
            f"/virtualnode/{alice}/quota",
        )
        replies = [api.get(f"/api/v5_2{path}") for path in paths]
        assert {reply.status_code for reply in replies} == {200}
        return [reply.json() for reply in replies]

    return look


def bodies_of(template):
    return json.dumps(BODIES.get(template, {})).encode()


def test_only_the_protocol_version_is_open_to_all(host):
    for mount in host.asgi.routes:
        if isinstance(getattr(mount, "app", None), FastAPI):
            paths = [r.path for r in flat_routes(mount.app) if isinstance(r, OpenOperation)]
            assert all(path.endswith("/getprotocolversion") for path in paths)


def flat_routes(app):
    for route in app.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        yield from inner.routes if inner is not None else (route,)


def some_of(number, tries):
    """The plain spelling, and a quarter of the others, another one for each operation."""
    plain, *others = tries
    return (plain, *(others if ALL_SPELLINGS else others[number % 4 :: 4]))


def ask_all(api, tries, template):
    """Every spelling is refused; the statuses by spelling."""
    seen = {}
    for method, target, headers in tries:
        body = bodies_of(template) if method in ("POST", "PUT") else None
        reply = api.request(method, target, headers=headers, content=body)
        assert reply.status_code in REFUSALS, (method, target, reply.status_code, reply.text)
        seen[method, target] = reply.status_code
    assert len(seen) > (20 if ALL_SPELLINGS else 7)
    return seen


@pytest.mark.parametrize("part", range(2))
def test_without_rights_no_spelling_of_any_operation_does_anything(
    api, alice, everything, user_with, state_of_all, part
):
    nobody = user_with(Permission(effect=Effect.ALLOW, pattern="StartFlow:.*"))
    before = state_of_all()
    api.auth = nobody
    newest = {(method, template): (base, keys) for base, method, template, keys in everything}
    for number, ((method, template), (base, keys)) in list(enumerate(newest.items()))[part::2]:
        path = filled(template, alice)
        tries = spellings(base, method, path, keys, METHODS - {method})
        seen = ask_all(api, some_of(number // 2, tries), template)
        assert seen[method, base + path] == 403, (method, base + path)
    for base, method, template, _ in everything:
        reply = api.request(method, base + filled(template, alice), content=bodies_of(template))
        assert reply.status_code == 403, (method, base, template)
    assert state_of_all() == before


@pytest.mark.parametrize("part", range(4))
def test_a_deny_holds_in_every_spelling_and_version(
    api, alice, everything, user_with, state_of_all, part
):
    by_operation = {(method, template): keys for _, method, template, keys in everything}
    before = state_of_all()
    for number, ((method, template), keys) in list(enumerate(by_operation.items()))[part::4]:
        bases = bases_with(everything, method, template)
        # Written for one version and without a tail.
        written = "/api/v5_2" if "/api/v5_2" in bases else bases[0]
        deny = Permission(effect=Effect.DENY, pattern=f"{method}:{written}{as_pattern(template)}")
        api.auth = user_with(ALLOW_ALL, deny)
        path = filled(template, alice)
        others = METHODS - methods_of(everything, path)
        # Tried in full in the newest version, for which it was not written.
        tries = spellings(bases[-1], method, path, keys, others)
        seen = ask_all(api, some_of(number // 4, tries), template)
        for version in bases:
            for target in (version + path, f"{version}{path}?x=1"):
                reply = api.request(method, target, content=bodies_of(template))
                assert seen.setdefault((method, target), reply.status_code) == 403, (method, target)
    assert state_of_all() == before


def methods_of(everything, path):
    """Methods of the operations at `path`, which a DENY of one of them leaves allowed."""
    return {m for _, m, t, _ in everything if re.fullmatch(as_pattern(t), path)}


def bases_with(everything, method, template):
    return [base for base, m, t, _ in everything if (m, t) == (method, template)]


@pytest.mark.parametrize("letters", [str.upper, str.lower])
def test_a_deny_of_a_node_holds_in_any_letter_case_and_through_its_other_door(
    api, alice, everything, user_with, state_of_all, letters
):
    before = state_of_all()
    api.auth = user_with(ALLOW_ALL, Permission(effect=Effect.DENY, pattern=f".*{letters(alice)}.*"))
    tried = 0
    for base, method, template, _ in everything:
        if not any(is_node_parameter(name) for name in re.findall(r"\{(\w+)\}", template)):
            continue
        for spelt in (alice, alice.lower(), alice.swapcase(), escaped(alice)):
            path = filled(template, spelt)
            body = bodies_of(template) if method != "GET" else None
            reply = api.request(method, base + path, content=body)
            assert reply.status_code == 403, (method, base + path, reply.text)
            tried += 1
    assert tried > 200
    assert state_of_all() == before


def test_the_other_door_to_starting_flows_needs_the_right_to_start_flows(api, alice, user_with):
    door, flow = f"/nodes/{alice}/flows/demo.Any", "demo.Any"
    starts = Permission(effect=Effect.ALLOW, pattern=f"StartFlow:{re.escape(flow)}")
    nodes = Permission(effect=Effect.ALLOW, pattern="POST:/nodes/.*")
    version_1 = Permission(effect=Effect.ALLOW, pattern=f"POST:/api/v5_1/flow/{alice}")
    denied = Permission(effect=Effect.DENY, pattern="POST:/api/v5_3/flow/.*")
    for permissions, status in (
        ((nodes, starts), 403),
        ((version_1, starts), 403),
        ((nodes, version_1), 403),
        ((nodes, version_1, starts, denied), 403),
        ((ALLOW_ALL, denied), 403),
        ((nodes, version_1, starts), 202),
    ):
        api.auth = user_with(*permissions)
        assert api.post(door, json={}).status_code == status, permissions
    api.auth = user_with(ALLOW_ALL, denied)
    assert api.post(f"/nodes/{alice.lower()}/flows/demo.Any?x=1", json={}).status_code == 403


def test_a_deny_of_a_flow_class_holds_for_both_doors(api, alice, user_with):
    api.auth = user_with(ALLOW_ALL, Permission(effect=Effect.DENY, pattern="StartFlow:DEMO.ANY"))
    body = {"clientRequestId": "denied", "flowClassName": "demo.Any", "requestBody": {}}
    assert api.post(f"/api/v5_2/flow/{alice}", json=body).status_code == 403
    assert api.post(f"/nodes/{alice}/flows/demo.Any", json={}).status_code == 403
    assert api.get(f"/api/v5_2/flow/{alice}/denied", auth=("admin", "secret")).status_code == 404


def test_an_allow_is_for_its_version_and_its_query_alone(api, user_with):
    api.auth = user_with(Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_2/virtualnode"))
    assert api.get("/api/v5_2/virtualnode").status_code == 200
    assert api.get("/api/v5_1/virtualnode").status_code == 403
    assert api.get("/api/v5_2/virtualnode?limit=1").status_code == 403


@pytest.mark.parametrize("value", ["true", "1", "yes", "on", "TRUE", "%74rue"])
def test_a_deny_of_a_query_holds_for_every_spelling_of_its_value(api, alice, user_with, value):
    pattern = r"GET:/api/v5_2/flow/.*\?responders=true"
    api.auth = user_with(ALLOW_ALL, Permission(effect=Effect.DENY, pattern=pattern))
    for query in (f"responders={value}", f"Responders={value}&status=RUNNING"):
        assert api.get(f"/api/v5_3/flow/{alice}?{query}").status_code == 403
    assert api.get(f"/api/v5_3/flow/{alice}?responders=false").status_code == 200


def test_unknown_query_keys_are_refused_and_named_by_every_operation(api, alice, everything):
    for base, method, template, _ in everything:
        reply = api.request(method, f"{base}{filled(template, alice)}?surprise=1", content=b"{}")
        details = reply.json()["details"]
        assert (reply.status_code, details["code"]) == (400, "query-key-unknown"), template
        assert details["key"] == "'surprise'"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/flow/{alice}?status=a%00b", "parameter-nul"),
        ("/user/adm%00in", "request-invalid"),
    ],
)
def test_a_character_that_databases_cannot_store_is_refused_in_path_and_query(
    api, alice, path, code
):
    reply = api.get(f"/api/v5_2{path.format(alice=alice)}")
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, code)


def test_a_query_key_stands_once_unless_it_takes_a_list(api, alice):
    reply = api.get(f"/api/v5_2/flow/{alice}?status=RUNNING&STATUS=FAILED")
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "query-key-repeated")
    assert api.get(f"/api/v5_2/key/{alice}?id=0123456789AB&id=0123456789AC").status_code == 200
    reply = api.get(f"/api/v5_2/key/{alice}?" + "id=1&" * 257)
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "query-too-long")


def test_what_is_judged_is_what_the_handler_gets(api, alice, user_with):
    api.auth = user_with()
    for target, action in (
        (f"/api/v5_2/flow/{alice.lower()}/a%2Db", f"/api/v5_2/flow/{alice}/a-b"),
        ("/api/v5_2/user/ADMIN/", "/api/v5_2/user/admin"),
        (f"/api/v5_2/hsm/{alice.lower()}/ledger", f"/api/v5_2/hsm/{alice}/LEDGER"),
        ("/api/v5_2/user/a%3Fb%25", "/api/v5_2/user/a%3Fb%25"),
        (
            f"/api/v5_2/flow/{alice}?Status=running&RESPONDERS=yes",
            f"/api/v5_2/flow/{alice}?responders=true&status=RUNNING",
        ),
        (f"/api/v5_2/key/{alice}?take=+007", f"/api/v5_2/key/{alice}?take=7"),
    ):
        reply = api.get(target)
        assert reply.status_code == 403
        assert reply.json()["details"]["action"] == f"GET:{action}"


REWRITING = (
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Forwarded-Uri",
    "X-Forwarded-Path",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
)


def raw_requests(path, credentials):
    """Request lines and headers that servers have been known to read in several ways."""
    lines = (
        f"GET {path} HTTP/1.1",
        f"GET {path} HTTP/1.0",
        f"GET https://elsewhere{path} HTTP/1.1",
        f"GET https://elsewhere/x/../{path} HTTP/1.1",
        f"GET {path}#x HTTP/1.1",
        f"GET {path}?#x HTTP/1.1",
        f"GET {path}?x=1#y HTTP/1.1",
        f"GET /{path} HTTP/1.1",
        f"GET /.{path} HTTP/1.1",
        f"GET /x/..{path} HTTP/1.1",
        f"GET {path}/. HTTP/1.1",
        f"GET {path}/x/.. HTTP/1.1",
        f"GET {path}%3f HTTP/1.1",
        f"GET {path.replace('/', chr(92))} HTTP/1.1",
        f"GET {path.replace('/api', '%2Fapi')} HTTP/1.1",
        f"GET {path.replace('v', '%76')} HTTP/1.1",
        f"GET {path.replace('v', '%u0076')} HTTP/1.1",
        f"GET {path}\t HTTP/1.1",
        f"GET\t{path}\tHTTP/1.1",
        f"GET  {path} HTTP/1.1",
        f"get {path} HTTP/1.1",
        f"GeT {path} HTTP/1.1",
        f"HEAD {path} HTTP/1.1",
        f"OPTIONS {path} HTTP/1.1",
        f"TRACE {path} HTTP/1.1",
        f"PROPFIND {path} HTTP/1.1",
        f"CONNECT {path} HTTP/1.1",
    )
    for line in lines:
        yield f"{line}\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n"
    for header in REWRITING:
        for value in (path, "GET"):
            yield (
                f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n"
                f"{header}: {value}\r\n"
            )


@pytest.fixture
def served(host):
    """The application behind a real HTTP parser; gives the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(host.asgi, http="httptools", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
    listener.close()


def test_no_spelling_on_the_wire_does_what_is_denied(served, services, user_with):
    path = "/api/v5_2/user/admin/permissionsummary"
    deny = Permission(effect=Effect.DENY, pattern=f"GET:{path}")
    name, password = user_with(ALLOW_ALL, deny)
    credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
    statuses = []
    for head in raw_requests(path, credentials):
        with socket.create_connection(served, timeout=30) as connection:
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert b"permissionString" not in answer, head
        status = int(answer.split(b" ")[1]) if answer else 400
        assert status in REFUSALS, (head, answer)
        statuses.append(status)
    assert statuses.count(403) > 12
