"""The OpenAPI document against Corda's own, and Swagger UI from local files."""

import json
import re

import pytest

from host.rest.app import openapi_document
from tests.rest.openapi_documents import differences, operations
from tests.support.vectors import VECTORS


def baseline(version):
    return json.loads((VECTORS / "openapi" / f"swagger-{version}.json").read_text())


_PAGE = "lists come in pages, with `limit` and `after`"
_ANSWERED = "what a running Corda answers; its document says 200 for everything"
_ROUTES = "flows of this platform send to external systems, and receive nothing from them"
DEVIATIONS = {
    r"GET .* query (after|limit): absent -> optional": _PAGE,
    r"GET /flow/\{\w+\} query since: absent -> optional": "the command line asks for the latest ones",
    r"GET /flow/\{\w+\} query responders: absent -> optional": "shows flows of counterparties too",
    r"GET /flow/\{\w+\} query results: absent -> optional": "results are shown if they are asked for",
    r"\w+ /flow/.* answer.*\.flowError\.code: absent -> string": "the stable code of a failure",
    r"\w+ .* codes: 200 -> 20[24]": _ANSWERED,
    r"GET /virtualnode.* answer.*\.externalMessagingRouteConfiguration.*": _ROUTES,
    r"GET /virtualnode\S* answer\S*\.state: absent -> string": "the state in one word, PAUSED too",
    r"PUT /virtualnode/\S+/cpi/\S+ query (flows|diverging): absent -> optional": "flows live on",
    r"GET /wrappingkey/rotation/\{tenantid\} answer\.rotatedKeyStatus\[\]\..*": "never null here",
    r"POST /\S+ body\.upload: string\? -> string": "an upload without a file is refused",
    r"PUT /certificate/\S+ body\.(alias|certificate): .*": "a chain has an alias and certificates",
    r"POST /virtualnode body\.\w+Connection: (string|any)\? -> null\?": "databases of nodes are the host's",
}
"""What may differ from Corda's document, as patterns of whole lines, and why."""

PATHS_BEYOND_CORDA = (
    {
        "/administrativelog",
        "/attention",
        "/cpi/{cpifilechecksum}/audit",
        "/deadletter",
        "/deadletter/{letterid}",
        "/flow",
        "/glance/flow/{holdingidentityshorthash}",
        "/glance/group",
        "/glance/virtualnode",
        "/live",
        "/search",
    }
    | {f"/deadletter/{{letterid}}/{act}" for act in ("content", "discard", "restore", "retry")}
    | {
        f"/flow/{{holdingidentityshorthash}}/{{clientrequestid}}/{part}"
        for part in ("export", "history", "kill", "standing")
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
        f"/maintenance/{part}"
        for part in (
            "import",
            "import/{requestid}",
            "import/{requestid}/part",
            "import/{requestid}/start",
            "transfer/{requestid}",
            "transfer/{requestid}/file",
            "transferkey",
        )
    }
    | {
        f"/maintenance/group/{{groupid}}/{part}"
        for part in ("activate", "export", "export/cancel", "location", "moved")
    }
    | {
        f"/maintenance/virtualnode/{{virtualnodeshortid}}/{part}"
        for part in ("activate", "export", "export/cancel", "import", "location", "moved")
    }
    | {
        f"/virtualnode/{{holdingidentityshorthash}}/{part}"
        for part in ("cpi", "quota", "usage", "vault/rebuild", "vault/rebuild/{requestid}")
    }
    | {
        "/virtualnode/upgrade/{requestid}",
        "/virtualnode/{virtualnodeshortid}/cpi/{targetcpifilechecksum}/check",
    }
)
"""Paths that Corda does not have."""


def operations_of_both(document):
    return {key for key in operations(document) if key[1] not in PATHS_BEYOND_CORDA}


@pytest.mark.conformance
@pytest.mark.parametrize("version", ["v5_2", "v5_3"])
def test_every_operation_is_there(version):
    ours, cordas = openapi_document(version), baseline(version)
    assert operations_of_both(ours) == set(operations(cordas))
    assert ours["servers"] == cordas["servers"]


@pytest.mark.conformance
@pytest.mark.parametrize("version", ["v5_2", "v5_3"])
def test_whatever_differs_from_cordas_document_has_a_reason(version):
    ours, cordas = openapi_document(version), baseline(version)
    assert operations_of_both(ours) <= set(operations(cordas))
    found = [
        f"{key[0]} {key[1]} {difference}"
        for key in sorted(operations_of_both(ours))
        for difference in differences(ours, cordas, key)
    ]
    unused = set(DEVIATIONS)
    for line in found:
        reasons = [pattern for pattern in DEVIATIONS if re.fullmatch(pattern, line)]
        assert reasons, line
        unused -= set(reasons)
    assert not unused


def test_errors_are_documented_in_their_form():
    document = openapi_document("v5_2")
    for key, operation in operations(document).items():
        for code, answer in operation["responses"].items():
            if code >= "400":
                (schema,) = (part["schema"] for part in answer["content"].values())
                assert schema == {"$ref": "#/components/schemas/ErrorResponse"}, (key, code)


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
