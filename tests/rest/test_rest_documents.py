"""The OpenAPI document against Corda's own, and Swagger UI from local files."""

import json
import re

import pytest

from tests.support.vectors import VECTORS


def baseline(version):
    return json.loads((VECTORS / "openapi" / f"swagger-{version}.json").read_text())


def resolved(document, schema):
    reference = schema.get("$ref")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def body_schema(document, holder):
    content = holder.get("content", {})
    media = next(iter(content.values()), {})
    return resolved(document, media.get("schema", {}))


def reply_schema(document, operation):
    replies = [operation["responses"].get(code, {}) for code in ("200", "201", "202")]
    return next((s for r in replies if (s := body_schema(document, r))), {})


def properties(document, schema, depth=0):
    """Member names of a schema and of what it refers to, as dotted paths."""
    schema = resolved(document, schema)
    if depth > 4:
        return set()
    if schema.get("type") == "array":
        return properties(document, schema["items"], depth + 1)
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            return properties(document, choice, depth + 1)
    names = set()
    for name, inner in schema.get("properties", {}).items():
        names |= {name} | {f"{name}.{n}" for n in properties(document, inner, depth + 1)}
    return names


OURS_BEYOND_CORDA = {"responders", "results", "limit", "after"}
"""Optional query keys that Corda does not have."""

MEMBER_BEYOND_CORDA = "flowError.code"

PATHS_BEYOND_CORDA = (
    {"/administrativelog", "/deadletter"}
    | {
        f"/flow/{{holdingidentityshorthash}}/{{clientrequestid}}/{part}"
        for part in ("export", "history", "kill")
    }
    | {
        f"/ledger/{{holdingidentityshorthash}}/{part}"
        for part in (
            "export",
            "transaction",
            "transaction/{transactionid}",
            "transaction/{transactionid}/export",
            "transaction/{transactionid}/repair",
        )
    }
    | {f"/network/{{holdingidentityshorthash}}/{part}" for part in ("health", "peers", "ping")}
    | {
        f"/virtualnode/{{holdingidentityshorthash}}/{part}"
        for part in ("cpi", "quota", "usage", "vault/rebuild", "vault/rebuild/{requestid}")
    }
)
"""Paths that Corda does not have."""


def operations(document):
    return {
        (path, method): operation
        for path, methods in document["paths"].items()
        if path not in PATHS_BEYOND_CORDA
        for method, operation in methods.items()
    }


ALWAYS_NULL = {"externalMessagingRouteConfiguration"}
"""Members whose inner shape we never send: they are always null."""


@pytest.mark.conformance
@pytest.mark.parametrize("version", ["v5_2", "v5_3"])
def test_every_operation_is_one_of_cordas(api, version):
    ours, cordas = api.get(f"/api/{version}/swagger.json").json(), baseline(version)
    assert set(operations(ours)) <= set(operations(cordas))
    assert ours["servers"] == cordas["servers"]


@pytest.mark.conformance
@pytest.mark.parametrize("version", ["v5_2", "v5_3"])
def test_replies_have_cordas_members(api, version):
    ours, cordas = api.get(f"/api/{version}/swagger.json").json(), baseline(version)
    for key, operation in operations(ours).items():
        found = properties(ours, reply_schema(ours, operation))
        wanted = properties(cordas, reply_schema(cordas, operations(cordas)[key]))
        assert {n for n in found if "." not in n} == {n for n in wanted if "." not in n}, key
        assert {n for n in found if not n.endswith(MEMBER_BEYOND_CORDA)} <= wanted, key


@pytest.mark.conformance
@pytest.mark.parametrize("version", ["v5_2", "v5_3"])
def test_requests_take_cordas_members_and_require_the_same(api, version):
    ours, cordas = api.get(f"/api/{version}/swagger.json").json(), baseline(version)
    for key, operation in operations(ours).items():
        theirs = operations(cordas)[key]
        mine = body_schema(ours, operation.get("requestBody", {}))
        corda = body_schema(cordas, theirs.get("requestBody", {}))
        assert set(mine.get("properties", ())) <= set(corda.get("properties", ())), key
        if "required" in corda:
            assert set(mine["required"]) == set(corda["required"]), key
        wanted = {p["name"] for p in theirs.get("parameters", ())}
        queries = {p["name"] for p in operation.get("parameters", ())}
        assert queries - (OURS_BEYOND_CORDA - wanted) == wanted, key


def test_the_document_is_local_complete_and_open(api):
    document = api.get("/api/v5_2/swagger.json", auth=None).json()
    for operation in operations(document).values():
        assert operation["summary"]
        assert {"401", "403", "404"} <= set(operation["responses"])
    assert document["components"]["securitySchemes"] == {
        "basicAuth": {"type": "http", "scheme": "basic"}
    }


@pytest.mark.parametrize("slash", ["", "/"])
def test_swagger_ui_loads_nothing_from_elsewhere(api, slash):
    page = api.get(f"/api/v5_2/swagger{slash}", auth=None)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http:" not in policy
    assert "https:" not in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    assert "<script>" not in page.text
    for link in links:
        assert link.startswith("/api/v5_2/swagger"), link
        assert api.get(link, auth=None).status_code == 200
    assert 'url: "/api/v5_2/swagger.json"' in api.get("/api/v5_2/swagger-start.js").text


def test_other_files_of_the_disk_are_not_served(api):
    for path in ("../__init__.py", "%2e%2e/__init__.py", "..%2f__init__.py"):
        assert api.get(f"/api/v5_2/swagger-assets/{path}").status_code == 404
