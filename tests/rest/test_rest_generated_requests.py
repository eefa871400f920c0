"""Requests that schemathesis makes from the OpenAPI document, sent to a running host.

`make prove-rest` sends 20,000; the seed is printed, so that a run can be repeated.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from host.rest.app import openapi_document
from tests.rest.conftest import PASSWORD
from tests.support.hosts import listening

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("CORDBOX_REQUESTS", "0")) // 120
"""For each operation; 0 for a short run of a few operations."""
SEED = int(os.environ.get("CORDBOX_SEED") or (random.randrange(2**32) if EXAMPLES else 1))
"""A short run sends the same requests each time, so that it fails only by a change."""
CHANGES_ITS_OWN_PASSWORD = "/user/selfpassword"
A_FEW = ("/config/{section}", "/mgm/{holdingidentityshorthash}/suspend", "/key/{tenantid}")

_TEXT = "as in Corda, a text is sent as it is, not as JSON"
_OVERLAP = "the path of another operation, which has the method, matches too, as in Corda"
EXPLAINED = {
    ("ST109", "GET /virtualnode/create/db/crypto"): _TEXT,
    ("ST109", "GET /virtualnode/create/db/uniqueness"): _TEXT,
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
}
"""Findings that are no faults, by code of schemathesis and operation."""


def findings(report):
    return {
        (failure["code"], operation)
        for failure in report["failures"]
        for operation in failure["operations"]
    }


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_generated_request_meets_a_fault(host, alice, tmp_path):
    sys.stdout.write(f"CORDBOX_SEED={SEED}\n")
    some = [word for path in A_FEW for word in ("--include-path", path)]
    chosen = (
        ["--phases=coverage,fuzzing", f"--max-examples={EXAMPLES}"]
        if EXAMPLES
        else ["--phases=fuzzing", "--max-examples=20", *some]
    )
    report, document = tmp_path / "report.json", tmp_path / "openapi.json"
    document.write_text(json.dumps(openapi_document("v5_2")))
    with listening(host.asgi) as address:
        run = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                f"--config-file={CONFIG}",
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
