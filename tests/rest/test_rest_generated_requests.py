"""Requests that schemathesis makes from the OpenAPI document, sent to a running host.

Half of the names in paths are of what there is, so that operations do their work and not only refuse.
`make prove-rest` sends 20,000; the seed is printed, so that a run can be repeated.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from host.access.permissions import Effect, Permission
from host.access.roles import NewPermission
from host.domain.ids import short_hash_of
from host.rest.app import openapi_document
from host.settings.sections import SECTIONS
from tests.rest.conftest import BOB, GROUP_ID, PASSWORD
from tests.support.hosts import listening

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("CORDBOX_REQUESTS", "0")) // 120
"""For each operation; 0 for a short run of a few operations."""
SEED = int(os.environ.get("CORDBOX_SEED") or (random.randrange(2**32) if EXAMPLES else 1))
"""A short run sends the same requests each time, so that it fails only by a change."""
SCHEME = "CORDA.ECDSA.SECP256R1"
KNOWN_SHARE = 0.5
CHANGES_ITS_OWN_PASSWORD = "/user/selfpassword"
A_FEW = ("/config/{section}", "/mgm/{holdingidentityshorthash}/suspend", "/key/{tenantid}")

_TEXT = "as in Corda, a text is sent as it is, not as JSON"
_OVERLAP = "the path of another operation, which has the method, matches too, as in Corda"
_AS_SENT = "the request that was sent is a valid one: what was wrong was lost when it was written"
EXPLAINED = {
    ("ST201", "GET /search"): _AS_SENT,
    ("ST201", "GET /members/{holdingidentityshorthash}"): _AS_SENT,
    ("ST109", "GET /virtualnode/create/db/crypto"): _TEXT,
    ("ST109", "GET /virtualnode/create/db/uniqueness"): _TEXT,
    ("ST109", "GET /virtualnode/create/db/vault/{cpichecksum}"): _TEXT,
    ("ST109", "GET /virtualnode/{virtualnodeshortid}/db/vault/{newcpichecksum}"): _TEXT,
    ("ST109", "POST /hello"): _TEXT,
    ("ST109", "GET /certificate/cluster/{usage}/{alias}"): _TEXT,
    ("ST109", "GET /key/{tenantid}/{keyid}"): _TEXT,
    ("ST109", "POST /certificate/{tenantid}/{keyid}"): _TEXT,
    ("ST204", "GET /permission/bulk"): _OVERLAP,
    ("ST204", "GET /user/selfpassword"): _OVERLAP,
    ("ST204", "GET /user/otheruserpassword"): _OVERLAP,
    ("ST204", "POST /certificate/cluster/{usage}"): _OVERLAP,
    ("ST204", "POST /flow/getprotocolversion"): _OVERLAP,
    ("ST204", "POST /membership/getprotocolversion"): _OVERLAP,
    **{
        ("ST205", f"OPTIONS {path}"): _OVERLAP
        for path in (
            "/certificate/cluster/{usage}",
            "/flow/getprotocolversion",
            "/membership/getprotocolversion",
            "/mgm/{holdingidentityshorthash}/approval/rules/preauth",
            "/permission/bulk",
            "/user/otheruserpassword",
            "/user/selfpassword",
        )
    },
}
"""Findings that are no faults, by code of schemathesis and operation."""


def findings(report):
    return {
        (failure["code"], operation)
        for failure in report["failures"]
        for operation in failure["operations"]
    }


@pytest.fixture
def what_there_is(api, services, cpi, alice, node_of, somebody, polled):
    """Values of parameters that lead to something, by the parameter's place and name."""
    bob = node_of(BOB)
    for number in range(3):
        body = {"clientRequestId": f"flow-{number}", "flowClassName": "demo.Any", "requestBody": {}}
        assert api.post(f"/api/v5_2/flow/{alice}", json=body).status_code == 202
        polled(f"/api/v5_2/flow/{alice}/flow-{number}", lambda s: s["flowStatus"] == "FAILED")
    role = services.roles.create("generated", group_visibility=None)
    reads = NewPermission(permission=Permission(effect=Effect.ALLOW, pattern="GET:.*"))
    (permission,) = services.roles.create_permissions([reads], role_ids=[role.id])
    assert api.post(f"/api/v5_2/hsm/soft/{alice}/SESSION_INIT").is_success
    key = api.post(f"/api/v5_2/key/{alice}/alias/a/category/SESSION_INIT/scheme/{SCHEME}").json()
    nodes, checksums = [alice, bob], [short_hash_of(cpi.file_checksum)]
    named = {
        **dict.fromkeys(("holdingidentityshorthash", "virtualnodeshortid"), nodes),
        "holdingidentityid": nodes,
        "tenantid": [alice, "p2p", "rest", "master"],
        "clientrequestid": [f"flow-{number}" for number in range(3)],
        "loginname": [somebody[0]],
        "roleid": [role.id],
        "permissionid": [permission.id],
        "groupid": [GROUP_ID],
        "keyid": [key["id"]],
        "usage": ["code-signer", "p2p-tls", "p2p-session", "rest-tls"],
        "category": ["SESSION_INIT", "TLS", "LEDGER", "PRE_AUTH"],
        "hsmcategory": ["SESSION_INIT", "TLS", "LEDGER", "PRE_AUTH"],
        "scheme": [SCHEME],
        "section": sorted(SECTIONS),
        "newstate": ["ACTIVE", "MAINTENANCE", "PAUSED"],
        **dict.fromkeys(("cpichecksum", "cpifilechecksum", "newcpichecksum"), checksums),
        "targetcpifilechecksum": checksums,
    }
    queries = {"status": ["OPEN", "FAILED", "COMPLETED"], "after": ["x"], "limit": [1, 2]}
    places = {"path": named, "query": queries}
    return {f"{place}.{name}": found for place, of in places.items() for name, found in of.items()}


def config_of(known):
    """The configuration, with values of parameters for a half of the requests."""
    lines = [CONFIG.read_text()]
    for parameter, values in known.items():
        name = parameter.replace(".", "-")
        lines.append(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}\n")
        lines.append(
            f'[parameters."{parameter}"]\ndictionary = "{name}"\nprobability = {KNOWN_SHARE}\n'
        )
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_generated_request_meets_a_fault(host, alice, what_there_is, tmp_path):
    sys.stdout.write(f"CORDBOX_SEED={SEED}\n")
    some = [word for path in A_FEW for word in ("--include-path", path)]
    chosen = (
        ["--phases=coverage,fuzzing", f"--max-examples={EXAMPLES}"]
        if EXAMPLES
        else ["--phases=fuzzing", "--max-examples=20", *some]
    )
    report, document = tmp_path / "report.json", tmp_path / "openapi.json"
    config = tmp_path / "schemathesis.toml"
    config.write_text(config_of(what_there_is))
    document.write_text(json.dumps(openapi_document("v5_2")))
    with listening(host.asgi) as address:
        run = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                f"--config-file={config}",
                "run",
                document,
                f"--url={address}/api/v5_2",
                f"--auth=admin:{PASSWORD}",
                f"--exclude-path={CHANGES_ITS_OWN_PASSWORD}",
                f"--seed={SEED}",
                "--continue-on-failure",
                "--request-timeout=60",
                "--no-shrink",
                "--report=json",
                f"--report-json-path={report}",
                *chosen,
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert report.exists(), run.stdout[-3000:] + run.stderr[-3000:]
    found = json.loads(report.read_text())
    sys.stdout.write(f"{found['test_cases']}\n")
    assert found["errors"] == []
    assert findings(found) <= set(EXPLAINED), run.stdout[-20_000:]
    assert found["test_cases"]["generated"] >= max(50, EXAMPLES * 100)
