"""A typed client that openapi-python-client makes of the document, used against a running host."""

import importlib
import json
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from host.rest.app import openapi_document
from tests.rest.conftest import ALICE, PASSWORD
from tests.rest.openapi_documents import operations
from tests.support.hosts import listening

JSON_LINES = "GET /ledger/{holdingidentityshorthash}/export"
"""Of whose answers the generator makes no type: they are lines of JSON."""


@pytest.fixture(scope="module")
def client_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    document = folder / "openapi.json"
    document.write_text(json.dumps(openapi_document("v5_2")))
    run = subprocess.run(
        [
            Path(sys.executable).with_name("openapi-python-client"),
            "generate",
            f"--path={document}",
            "--meta=none",
            f"--output-path={folder / 'corda_client'}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    warned = [line for line in run.stderr.splitlines() if line.startswith(("WARNING", "ERROR"))]
    assert [line.split(" within")[0].removeprefix("WARNING parsing ") for line in warned] == [
        JSON_LINES
    ], run.stderr
    return folder


@pytest.fixture
def generated(client_folder, monkeypatch):
    monkeypatch.syspath_prepend(client_folder)
    return lambda name: importlib.import_module(f"corda_client.{name}")


def test_each_operation_has_a_function(client_folder):
    made = {path.stem for path in (client_folder / "corda_client" / "api").rglob("*.py")}
    for operation in operations(openapi_document("v5_2")).values():
        name = re.sub("_+", "_", operation["operationId"]).strip("_")
        assert name in made


@pytest.mark.slow
def test_a_generated_client_talks_to_a_running_host(host, alice, generated):
    credential = b64encode(f"admin:{PASSWORD}".encode()).decode()
    with listening(host.asgi) as address:
        client = generated("client").AuthenticatedClient(
            base_url=f"{address}/api/v5_2", token=credential, prefix="Basic"
        )
        with client:
            nodes = generated("api.virtual_node.get_virtualnode").sync(client=client)
            (node,) = nodes.virtual_nodes
            assert node.holding_identity.x_500_name == ALICE
            assert node.holding_identity.short_hash == alice

            users = generated("api.rbac_user.post_user")
            wanted = generated("models.create_user_type").CreateUserType(
                login_name="typed", full_name="Typed", enabled=True, initial_password="secret"
            )
            assert users.sync(client=client, body=wanted).login_name == "typed"
            again = users.sync_detailed(client=client, body=wanted)
            assert again.status_code == 409
            assert again.parsed.details.code == "user-exists"

            start = generated("models.start_flow_parameters").StartFlowParameters(
                client_request_id="typed-1", flow_class_name="demo.Any", request_body={"a": 1}
            )
            flows = "api.flow_management"
            started = generated(f"{flows}.post_flow_holdingidentityshorthash").sync(
                alice, client=client, body=start
            )
            status = generated(f"{flows}.get_flow_holdingidentityshorthash_clientrequestid").sync(
                alice, "typed-1", client=client
            )
            assert status.client_request_id == started.client_request_id == "typed-1"
