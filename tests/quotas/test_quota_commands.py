"""`cordbox node` and `cordbox audit --node` against a host that really runs."""

import json
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from host.cli import main
from host.tools.client.host_client import HostClient
from tests.quotas.test_quota_error_texts import ALICE, cpi_of, key, project  # noqa: F401
from tests.rest.test_host_process import running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def where(tmp_path_factory, key):  # noqa: F811  # the fixture
    """Options that lead to a host with one virtual node, which has run a flow."""
    folder = tmp_path_factory.mktemp("commands")
    data_dir = folder / "data"
    cpi = cpi_of(project(folder / "p"), "failing", folder / "built", key)
    with running(data_dir, "--workers", "combined") as (_, facts):
        password = Path(facts["adminPasswordFile"])
        with HostClient(
            facts["url"],
            user="admin",
            password=password.read_text().strip(),
            ca_file=Path(facts["certificate"]),
        ) as client:
            made_ready(client, cpi, key)
        yield [
            *("--url", facts["url"], "--ca-file", facts["certificate"]),
            *("--password-file", str(password)),
        ]


def made_ready(client, cpi, signing_key):
    pem = signing_key.certificate_chain[0].public_bytes(Encoding.PEM)
    path = "/certificate/cluster/code-signer"
    client.upload("PUT", path, {"certificate": ("c.pem", pem)}, {"alias": "a"})
    upload = client.upload("POST", "/cpi", {"upload": ("a.cpi", cpi)})["id"]
    stored = polled(client, f"/cpi/status/{upload}", lambda s: s["status"] == "OK")
    body = {"request": {"cpiFileChecksum": stored["cpiFileChecksum"], "x500Name": ALICE}}
    asked = client.post("/virtualnode", body)["requestId"]
    made = polled(client, f"/virtualnode/status/{asked}", lambda s: s["status"] == "SUCCEEDED")
    start = {
        "clientRequestId": "r1",
        "flowClassName": "failing.Raises",
        "requestBody": {},
    }
    node = made["resourceId"]
    client.post(f"/flow/{node}", {"startFlow": start})
    polled(client, f"/flow/{node}/r1", lambda s: s["flowStatus"] == "FAILED")


def polled(client, path, until):
    for _ in range(10_000):
        answer = client.get(path)
        if until(answer):
            return answer
    raise AssertionError(answer)


@pytest.fixture
def run(capsys, where):
    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([*words, *where])
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return run


def test_a_quota_is_shown_set_and_given_back(run):
    code, out, _ = run("node", "quota", ALICE, "--set", "flowsOpenMax=7", "--output", "json")
    assert (code, json.loads(out)["overrides"]) == (0, {"flowsOpenMax": 7})
    code, out, _ = run("node", "quota", ALICE, "--set", "fuelMax=1_000_000_000")
    assert re.search(r"flowsOpenMax +7  \(default 10,000\)", out)
    assert re.search(r"fuelMax +1,000,000,000  \(default", out)
    code, out, _ = run("node", "quota", ALICE, "--unset", "flowsOpenMax", "--output", "json")
    assert json.loads(out)["overrides"] == {"fuelMax": 1_000_000_000}
    code, out, _ = run("node", "quota", ALICE, "--reset", "--output", "json")
    assert json.loads(out)["overrides"] == {}


def test_a_quota_that_cannot_be_is_refused(run):
    code, _, err = run("node", "quota", ALICE, "--set", "flowsOpenMax=0")
    assert code == 1
    assert "flowsOpenMax is 0, expected a number from 1" in err
    assert run("node", "quota", ALICE, "--set", "flowsOpenMax")[0] == 2


def test_usage_is_shown(run):
    code, out, _ = run("node", "usage", ALICE)
    assert code == 0
    assert re.search(r"runs +1\n", out)
    assert json.loads(run("node", "usage", ALICE, "--output", "json")[1])["fuel"] > 0


def test_a_node_is_audited_with_its_quota_and_usage(run):
    assert run("node", "quota", ALICE, "--set", "fuelMax=123456")[0] == 0
    code, out, _ = run("audit", "--node", ALICE)
    assert code == 0, out
    assert re.search(r"Quota fuelMax +123,456 \(set for this node\)", out)
    assert re.search(r"Granted +sessions", out)
    assert "  limit      fuelMax 123,456" in out
    document = json.loads(run("audit", "--node", ALICE, "--output", "json")[1])
    assert document["node"]["x500Name"] == ALICE
    assert document["node"]["usage"]["runs"] == 1
    assert document["name"] == "failing"
    assert document["findings"] == []
    page = run("audit", "--node", ALICE, "--output", "html")[1]
    assert "<h2>Virtual node</h2>" in page
    sarif = json.loads(run("audit", "--node", ALICE, "--output", "sarif")[1])
    assert sarif["version"] == "2.1.0"


def test_a_policy_judges_what_a_node_runs(run, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"policyVersion": 1, "capabilities": []}')
    code, out, _ = run("audit", "--node", ALICE, "--policy", str(policy))
    assert code == 1, out


def test_a_node_that_does_not_exist_cannot_be_audited(run):
    code, _, err = run("audit", "--node", "000000000000")
    assert code == 1
    assert "000000000000" in err
